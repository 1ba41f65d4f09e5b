# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measurements, their order, and the files with the results."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from support.emulator import Emulator
from support.numbers import whole_number

from benchmarks import bulk
from benchmarks.guard import guard
from benchmarks.measuring import BenchmarkError, Process, Sample, count, environment, run, take_sample
from benchmarks.report import write_report
from benchmarks.ways import ANSIBLE, FLOOR, IDLE, LOOP, MODULE, PROGRAMS, ROOT, SCRIPTS, TASK, seed, write_assignments

IN_BULK = (FLOOR, MODULE, IDLE, TASK, ANSIBLE)  # the module leaves the answer that the idle ones repeat
LATENCIES = (0, 50)
LIMIT = 400  # calls of one action in a "minute"


@dataclass(frozen=True)
class Extent:
    rounds: int
    sizes: tuple[int, ...]  # measured in every round
    large: tuple[tuple[int, int, int], ...]  # (ENIs, latency, rounds), measured after them
    loops: tuple[int, ...]
    throttled: tuple[tuple[int, float], ...]  # (ENIs, seconds that a minute has)
    bulk_rounds: int


QUICK = Extent(rounds=3, sizes=(1, 100, 1000), large=((10000, 0, 1),), loops=(1, 10), throttled=((2000, 6.0),), bulk_rounds=1)
FULL = Extent(
    rounds=5,
    sizes=(1, 100, 1000),
    large=((10000, 0, 3), (10000, 50, 1)),
    loops=(1, 10, 100),
    throttled=((2000, 6.0), (1300, 60.0)),
    bulk_rounds=3,
)


def main() -> int:
    options = _options()
    results = options.output / "results.json"
    try:
        if options.guard:
            guard()
            return 0
        if options.more is not None:
            measured = _measure_more(results, options.more)
        elif options.bulk is not None:
            measured = _measure_bulk(results, options.bulk, options.divide)
        else:
            measured = {"arguments": "--full " * options.full, **_measure(FULL if options.full else QUICK)}
    except BenchmarkError as error:
        sys.exit(f"make bench: {error}")
    options.output.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    print(write_report(measured, options.output))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Calls, time and memory of one task, compared with other ways.")
    parser.add_argument(
        "--full",
        action="store_true",
        help="more rounds, longer loops, and a real minute; takes over half an hour",
    )
    parser.add_argument(
        "--more",
        type=whole_number(1),
        metavar="ROUNDS",
        help="so many more rounds of 10,000 ENIs at 0 ms, added to the results in the folder",
    )
    parser.add_argument(
        "--bulk",
        type=whole_number(1),
        metavar="ROUNDS",
        help="only the section of the bulk roles, with so many rounds; it replaces the one in the folder, or is printed alone",
    )
    parser.add_argument(
        "--divide",
        type=int,
        choices=range(1, 21),
        default=1,
        metavar="N",
        help="with --bulk: divide all sizes by N, 1 to 20, to try it out (default: %(default)s)",
    )
    parser.add_argument("--guard", action="store_true", help="a small benchmark next to the results of the documentation")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "benchmarks", metavar="FOLDER", help="default: build/benchmarks")
    return parser.parse_args()


def _measure(extent: Extent) -> dict[str, Any]:
    measured: dict[str, Any] = {"machine": _machine(), "load_before": os.getloadavg()[0]}
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory() as name, Emulator() as emulator:
        folder = Path(name)
        for way in IN_BULK:  # bytecode, caches
            take_sample(emulator, way, 1, 0, folder)
        for latency in LATENCIES:
            for _round in range(extent.rounds):
                for size in extent.sizes:
                    samples += [_sample(emulator, way, size, latency, folder) for way in IN_BULK]
        for size, latency, rounds in extent.large:
            for _round in range(rounds):
                samples += [_sample(emulator, way, size, latency, folder) for way in IN_BULK]
        for size in extent.loops:
            samples += [_sample(emulator, way, size, latency, folder) for latency in LATENCIES for way in (LOOP, SCRIPTS)]
        measured["throttled"] = [_throttled(emulator, size, seconds, folder) for size, seconds in extent.throttled]
        measured["bulk"] = bulk.measure(emulator, folder, extent.bulk_rounds)
    measured["samples"] = [sample.as_dict() for sample in samples]
    measured["load_after"] = os.getloadavg()[0]
    return measured


def _measure_bulk(results: Path, rounds: int, divide: int) -> dict[str, Any]:
    measured = _read_results(results, "--bulk") if results.exists() else {}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name, Emulator() as emulator:
        section = {**bulk.measure(emulator, Path(name), rounds, divide), "rounds": rounds, "load_before": load}
    return {"machine": _machine(), **measured, "bulk": section}


def _read_results(results: Path, option: str) -> dict[str, Any]:
    if not results.exists():
        raise BenchmarkError(f"{option}: {results} does not exist; measure without it first")
    measured: dict[str, Any] = json.loads(results.read_text(encoding="utf-8"))
    if (machine := _machine()) != measured["machine"]:
        raise BenchmarkError(f"{option}: {results} was measured on {measured['machine']}, which is not this machine: {machine}")
    return measured


def _measure_more(results: Path, rounds: int) -> dict[str, Any]:
    """A large run takes long, and the load of the machine changes meanwhile, so a few rounds alone show little about a ratio."""
    measured = _read_results(results, "--more")
    size, latency, _rounds = FULL.large[0]
    with tempfile.TemporaryDirectory() as name, Emulator() as emulator:
        for _round in range(rounds):
            measured["samples"] += [_sample(emulator, way, size, latency, Path(name)).as_dict() for way in IN_BULK]
    return {**measured, "load_after": os.getloadavg()[0], "more": [*measured.get("more", []), rounds]}


def _sample(emulator: Emulator, way: Any, size: int, latency: int, folder: Path) -> Sample:
    sample = take_sample(emulator, way, size, latency, folder)
    print(f"{latency:3} ms {size:6} ENIs {way.title:24} {sample.wall:8.2f} s {sample.calls:7} calls", file=sys.stderr, flush=True)
    return sample


def _throttled(emulator: Emulator, size: int, seconds: float, folder: Path) -> dict[str, Any]:
    """The module under the limit of the service. If the minute is shorter, it is shorter for the pacer of the module too."""
    assignments = folder / f"assignments-{size}.json"
    write_assignments(assignments, size)
    emulator.reset(seed=seed(size), calls_per_minute=LIMIT, window_seconds=seconds)
    time.sleep(seconds - time.time() % seconds)  # wait for the start of the next minute
    command = [sys.executable, str(PROGRAMS / "module_throttled.py"), str(assignments), str(seconds)]
    process: Process = run(command, environment(emulator, folder))
    counted = count(emulator)
    print(f"    {LIMIT} calls in {seconds:.0f} s: {size} ENIs in {process.wall:.1f} s, {counted}", file=sys.stderr, flush=True)
    return {"interfaces": size, "minute": seconds, "limit": LIMIT, "wall": process.wall, **counted}


def _machine() -> dict[str, str]:
    return {
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "ansible-core": version("ansible-core"),
        "alibabacloud-ecs20140526": version("alibabacloud-ecs20140526"),
    }
