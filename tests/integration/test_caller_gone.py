# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""After the caller is gone, the module writes nothing more. The tests kill real processes in the middle of a change of many ENIs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.emulator import Emulator
from support.playbook import BIN, ansible_environment

ENIS = 60
FEW = 15  # where all of the change is waited for
SECONDS_PER_WRITE = 0.3
# Writes must have ended by then (DESIGN section 3), and must not begin again in the time after it.
SECONDS_TO_STOP, SECONDS_OF_SILENCE = 2.0, 1.5
MODULE = "alicloud_ops.network.eni_secondary_ip"


@pytest.fixture
def slow(emulator: Emulator) -> Emulator:
    """An endpoint on which the change takes about 18 s, one write after the other."""
    emulator.reset(
        seed={
            "vswitches": [{"id": "vsw-app", "vpc_id": "vpc-main", "cidr": "10.0.0.0/16"}],
            "security_groups": [{"id": "sg-app", "vpc_id": "vpc-main"}],
            "generate": [
                {
                    "prefix": "slow",
                    "count": ENIS,
                    "private_ip_addresses": 1,
                    "vswitch_id": "vsw-app",
                    "security_group_ids": ["sg-app"],
                }
            ],
        },
        latency_ms=1000 * SECONDS_PER_WRITE,
    )
    return emulator


def arguments(count: int = ENIS) -> dict[str, Any]:
    assignments = [{"eni_id": f"eni-slow{number:05d}", "all_secondary": True} for number in range(count)]
    return {"state": "absent", "assignments": assignments, "max_concurrency": 1, "calls_per_minute": 0}


def playbook(folder: Path, count: int = ENIS, **keywords: Any) -> Path:
    path = folder / "playbook.yml"
    task = {"name": "Unassign", MODULE: arguments(count), **keywords}
    path.write_text(yaml.safe_dump([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}]))
    return path


def writes(emulator: Emulator) -> int:
    return len(emulator.calls(writes=True))


def has_read_back(emulator: Emulator) -> bool:
    """Whether the module has made its last call, so that it does not disturb the next test."""
    calls = emulator.calls()
    return writes(emulator) == FEW and calls[-1]["action"].startswith("Describe") and calls[-1]["status"] == 200


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to this in time"
        time.sleep(0.05)


class Started:
    """A command in a process group of its own, with its output in a file."""

    def __init__(self, emulator: Emulator, folder: Path, command: list[str], **environment: str) -> None:
        self.output = folder / "output.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env={**ansible_environment(emulator), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def assert_writes_stop(emulator: Emulator) -> None:
    """Call it right after the caller has gone."""
    time.sleep(SECONDS_TO_STOP)
    stopped_at = writes(emulator)
    time.sleep(SECONDS_OF_SILENCE)
    assert 0 < stopped_at < ENIS
    assert writes(emulator) == stopped_at


def commands(folder: Path) -> dict[str, list[str]]:
    return {
        "ansible-playbook": [str(BIN / "ansible-playbook"), str(playbook(folder))],
        "ansible": [str(BIN / "ansible"), "localhost", "-m", MODULE, "-a", json.dumps(arguments())],
    }


@pytest.mark.parametrize("command", ["ansible-playbook", "ansible"])
@pytest.mark.parametrize(
    ("number", "to_group"),
    [(signal.SIGKILL, True), (signal.SIGKILL, False), (signal.SIGTERM, False), (signal.SIGINT, True)],
    ids=["SIGKILL to the group", "SIGKILL", "SIGTERM", "SIGINT to the group"],
)
def test_a_signal_ends_the_writes(slow: Emulator, tmp_path: Path, command: str, number: int, to_group: bool) -> None:
    started = Started(slow, tmp_path, commands(tmp_path)[command])
    try:
        wait_until(lambda: writes(slow) >= 3)
        (os.killpg if to_group else os.kill)(started.process.pid, number)
        assert_writes_stop(slow)
    finally:
        started.end()


@pytest.mark.parametrize(("keywords", "environment"), [({"timeout": 5}, {}), ({}, {"ANSIBLE_TASK_TIMEOUT": "5"})], ids=["task", "setting"])
def test_a_task_timeout_ends_the_writes(slow: Emulator, tmp_path: Path, keywords: dict[str, int], environment: dict[str, str]) -> None:
    started = Started(slow, tmp_path, [str(BIN / "ansible-playbook"), str(playbook(tmp_path, **keywords))], **environment)
    try:
        wait_until(lambda: started.process.poll() is not None)
        assert started.process.returncode != 0
        assert_writes_stop(slow)
    finally:
        started.end()


def test_a_task_timeout_ends_the_writes_of_a_role(slow: Emulator, tmp_path: Path) -> None:
    variables = {"security_group_ids": ["sg-app"], "max_concurrency": 1, "calls_per_minute": 0, "report_dir": str(tmp_path / "reports")}
    role = {
        "name": "Unassign",
        "ansible.builtin.import_role": {"name": "alicloud_ops.network.unassign_secondary_ips"},
        "vars": {f"unassign_secondary_ips_{name}": value for name, value in variables.items()},
        "timeout": 7,
    }
    path = tmp_path / "playbook.yml"
    path.write_text(yaml.safe_dump([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [role]}]))
    started = Started(slow, tmp_path, [str(BIN / "ansible-playbook"), str(path)])
    try:
        wait_until(lambda: "Timed out after" in started.output.read_text() or started.process.poll() is not None)
        assert_writes_stop(slow)
    finally:
        started.end()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can use su without a password")
def test_a_signal_ends_the_writes_of_a_task_with_become(slow: Emulator, tmp_path: Path) -> None:
    """To the same user, because another one may not read the virtual environment. test_caller.py becomes another user."""
    path = playbook(tmp_path, become=True, become_user="root", vars={"ansible_become_method": "ansible.builtin.su"})
    started = Started(slow, tmp_path, [str(BIN / "ansible-playbook"), str(path)])
    try:
        wait_until(lambda: writes(slow) >= 3)
        os.kill(started.process.pid, signal.SIGKILL)
        assert_writes_stop(slow)
    finally:
        started.end()


def run_by_runner(slow: Emulator, folder: Path, **settings: Any) -> Started:
    (folder / "project").mkdir()
    playbook(folder / "project")
    (folder / "env").mkdir()
    (folder / "env" / "settings").write_text(json.dumps(settings))
    return Started(slow, folder, [str(BIN / "ansible-runner"), "run", str(folder), "-p", "playbook.yml"])


def test_a_job_timeout_of_ansible_runner_ends_the_writes(slow: Emulator, tmp_path: Path) -> None:
    started = run_by_runner(slow, tmp_path, job_timeout=6)
    try:
        wait_until(lambda: started.process.poll() is not None)
        assert_writes_stop(slow)
    finally:
        started.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_ansible_runner_ends_the_writes(slow: Emulator, tmp_path: Path, number: int) -> None:
    started = run_by_runner(slow, tmp_path)
    try:
        wait_until(lambda: writes(slow) >= 3)
        os.kill(started.process.pid, number)
        wait_until(lambda: started.process.poll() is not None, 10)
        assert_writes_stop(slow)
    finally:
        started.end()


def test_an_async_task_goes_on_without_its_play(slow: Emulator, tmp_path: Path) -> None:
    environment = {"ANSIBLE_ASYNC_DIR": str(tmp_path / "async")}
    started = Started(
        slow, tmp_path, [str(BIN / "ansible-playbook"), str(playbook(tmp_path, FEW, **{"async": 120, "poll": 0}))], **environment
    )
    try:
        wait_until(lambda: started.process.poll() is not None)
        assert started.process.returncode == 0
        wait_until(lambda: has_read_back(slow))
    finally:
        started.end()


def test_a_play_goes_on_when_the_shell_that_started_it_has_ended(slow: Emulator, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"nohup {BIN}/ansible-playbook {playbook(tmp_path, FEW)} >play.txt 2>&1 & echo $! >{pid}"
    started = Started(slow, tmp_path, ["sh", "-c", script])
    try:
        wait_until(lambda: started.process.poll() is not None)
        wait_until(lambda: has_read_back(slow))
    finally:
        if writes(slow) < FEW:
            os.kill(int(pid.read_text()), signal.SIGKILL)
