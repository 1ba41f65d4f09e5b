# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one way once and measures it: the kernel provides time, CPU and memory, and the log of the endpoint the calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from support.emulator import Emulator

from benchmarks.ways import PROGRAMS, ROOT, Way, seed, write_assignments


class BenchmarkError(Exception):
    pass


@dataclass(frozen=True)
class Process:
    wall: float  # seconds
    cpu: float  # seconds, user and system, of all its processes; the endpoint is not among them
    peak: float  # MB, of the largest of its processes
    output: str


@dataclass(frozen=True)
class Sample:
    way: str
    interfaces: int
    latency_ms: int
    wall: float
    cpu: float
    peak: float
    calls: int
    fewest_calls: int
    throttled: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def take_sample(emulator: Emulator, way: Way, interfaces: int, latency_ms: int, folder: Path) -> Sample:
    """One run on a new world. An address that it left assigned is an error, except for a way that changes nothing."""
    assignments = folder / f"assignments-{interfaces}.json"
    if not assignments.exists():
        write_assignments(assignments, interfaces)
    emulator.reset(seed=seed(interfaces), latency_ms=latency_ms)
    process = run(way.command(assignments), environment(emulator, folder))
    counted = count(emulator)
    if counted["left"] and way.fewest_calls(interfaces):
        raise BenchmarkError(f"{way.name} left {counted['left']} addresses of {interfaces} ENIs:\n{process.output[-2000:]}")
    if counted["calls"] and not way.fewest_calls(interfaces):
        raise BenchmarkError(f"{way.name} was to do nothing and made {counted['calls']} calls")
    return Sample(
        way.name,
        interfaces,
        latency_ms,
        process.wall,
        process.cpu,
        process.peak,
        counted["calls"],
        way.fewest_calls(interfaces),
        counted["throttled"],
    )


def environment(emulator: Emulator, folder: Path) -> dict[str, str]:
    """Without the user's own Ansible settings, with this collection as it is."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "tmp"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "PYTHONPATH": f"{ROOT / 'collections'}{os.pathsep}{ROOT / 'tests'}",
        **emulator.environment(),
    }


def run(command: Sequence[str], environ: Mapping[str, str]) -> Process:
    """The resources of the command and all that it started and waited for."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=dict(environ), stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        _pid, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise BenchmarkError(f"{' '.join(command)} ended with {process.returncode}:\n{text[-4000:]}")
    return Process(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, text)


def count(emulator: Emulator) -> dict[str, Any]:
    """The figures in the log of the endpoint. Another process reads the log, because this one must stay small: the kernel counts the memory
    of a process also for the processes that it starts."""
    counted = subprocess.run([sys.executable, str(PROGRAMS / "count.py"), emulator.endpoint], check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(counted.stdout)
    return found
