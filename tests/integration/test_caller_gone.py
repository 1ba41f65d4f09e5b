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
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.emulator import Emulator
from support.playbook import BIN, ansible_environment

ENIS = 60  # of each caller
FEW = 15  # if the test waits until the whole change is done
SECONDS_PER_WRITE = 0.3
# Writes must have ended by then (DESIGN section 3), and must not begin again in the time after it.
SECONDS_TO_STOP, SECONDS_OF_SILENCE = 2.0, 1.5
MODULE = "alicloud_ops.network.eni_secondary_ip"
# Callers that run at the same time, each with its own ENIs. The change of each takes about 18 s, one write after the other.
CALLERS = ("first", "second", "third", "fourth")


@pytest.fixture
def slow(emulator: Emulator) -> Emulator:
    reset(emulator)
    return emulator


def reset(emulator: Emulator) -> None:
    groups = [{"id": f"sg-{caller}", "vpc_id": "vpc-main"} for caller in CALLERS]
    generated = [
        {"prefix": caller, "count": ENIS, "private_ip_addresses": 1, "vswitch_id": "vsw-app", "security_group_ids": [f"sg-{caller}"]}
        for caller in CALLERS
    ]
    vswitches = [{"id": "vsw-app", "vpc_id": "vpc-main", "cidr": "10.0.0.0/16"}]
    seed = {"vswitches": vswitches, "security_groups": groups, "generate": generated}
    emulator.reset(seed=seed, latency_ms=1000 * SECONDS_PER_WRITE)


def arguments(caller: str, count: int = ENIS) -> dict[str, Any]:
    assignments = [{"eni_id": f"eni-{caller}{number:05d}", "all_secondary": True} for number in range(count)]
    return {"state": "absent", "assignments": assignments, "max_concurrency": 1, "calls_per_minute": 0}


def write_playbook(folder: Path, task: dict[str, Any]) -> Path:
    path = folder / "playbook.yml"
    path.write_text(yaml.safe_dump([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}]))
    return path


def playbook(folder: Path, caller: str, count: int = ENIS, **keywords: Any) -> Path:
    return write_playbook(folder, {"name": "Unassign", MODULE: arguments(caller, count), **keywords})


def writes(emulator: Emulator, caller: str) -> list[dict[str, Any]]:
    return [call for call in emulator.calls(writes=True) if call["parameters"]["NetworkInterfaceId"].startswith(f"eni-{caller}")]


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.05)


class Started:
    """A command in a process group of its own, with its output in a file. ``caller``: whose ENIs it changes."""

    def __init__(self, emulator: Emulator, folder: Path, caller: str, command: list[str], **environment: str) -> None:
        self.caller = caller
        self.output = folder / "output.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env={**ansible_environment(emulator, folder), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def end(self) -> None:
        if not self.has_ended():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


MakeCommand = Callable[[Path, str], list[str]]
Start = Callable[..., Started]


@pytest.fixture
def start(slow: Emulator, tmp_path: Path) -> Iterator[Start]:
    """Starts the command that ``make_command`` returns for a folder and a caller."""
    running: list[Started] = []

    def start(make_command: MakeCommand, **environment: str) -> Started:
        caller = CALLERS[len(running) % len(CALLERS)]
        folder = tmp_path / str(len(running))
        folder.mkdir()
        running.append(Started(slow, folder, caller, make_command(folder, caller), **environment))
        return running[-1]

    yield start
    for one in running:
        one.end()


def assert_writes_stop(emulator: Emulator, gone: Mapping[Started, datetime]) -> None:
    """``gone``: when each caller has gone. Call it right after the last of them."""
    time.sleep(SECONDS_TO_STOP + SECONDS_OF_SILENCE)
    for one, gone_at in gone.items():
        arrived = [datetime.fromisoformat(call["time"]) for call in writes(emulator, one.caller)]
        assert 0 < len(arrived) < ENIS, one.caller
        assert (max(arrived) - gone_at).total_seconds() < SECONDS_TO_STOP, one.caller


def by_playbook(folder: Path, caller: str, **keywords: Any) -> list[str]:
    return [str(BIN / "ansible-playbook"), str(playbook(folder, caller, **keywords))]


def ad_hoc(folder: Path, caller: str) -> list[str]:
    return [str(BIN / "ansible"), "localhost", "-m", MODULE, "-a", json.dumps(arguments(caller))]


@pytest.mark.parametrize("make_command", [by_playbook, ad_hoc], ids=["ansible-playbook", "ansible"])
def test_a_signal_ends_the_writes(slow: Emulator, start: Start, make_command: MakeCommand) -> None:
    signals = [(signal.SIGKILL, os.killpg), (signal.SIGKILL, os.kill), (signal.SIGTERM, os.kill), (signal.SIGINT, os.killpg)]
    started = [start(make_command) for _signal in signals]
    gone = {}
    for one, (number, send) in zip(started, signals, strict=True):
        wait_until(lambda caller=one.caller: len(writes(slow, caller)) >= 3)
        send(one.process.pid, number)
        gone[one] = datetime.now(UTC)
    assert_writes_stop(slow, gone)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can use su without a password")
def test_a_signal_ends_the_writes_of_a_task_with_become(slow: Emulator, start: Start) -> None:
    """To the same user, because another one may not read the virtual environment. test_caller.py becomes another user."""
    become = {"become": True, "become_user": "root", "vars": {"ansible_become_method": "ansible.builtin.su"}}
    started = start(partial(by_playbook, **become))
    wait_until(lambda: len(writes(slow, started.caller)) >= 3)
    os.kill(started.process.pid, signal.SIGKILL)
    assert_writes_stop(slow, {started: datetime.now(UTC)})


def by_role(folder: Path, caller: str, timeout: int) -> list[str]:
    variables = {"security_group_ids": [f"sg-{caller}"], "max_concurrency": 1, "calls_per_minute": 0, "report_dir": str(folder / "reports")}
    role = {
        "name": "Unassign",
        "ansible.builtin.import_role": {"name": "alicloud_ops.network.unassign_secondary_ips"},
        "vars": {f"unassign_secondary_ips_{name}": value for name, value in variables.items()},
        "timeout": timeout,
    }
    return [str(BIN / "ansible-playbook"), str(write_playbook(folder, role))]


def by_runner(folder: Path, caller: str, **settings: Any) -> list[str]:
    (folder / "project").mkdir()
    playbook(folder / "project", caller)
    (folder / "env").mkdir()
    (folder / "env" / "settings").write_text(json.dumps(settings))
    return [str(BIN / "ansible-runner"), "run", str(folder), "-p", "playbook.yml"]


def wait_until_gone(is_gone: Mapping[Started, Callable[[], bool]]) -> dict[Started, datetime]:
    gone: dict[Started, datetime] = {}

    def look() -> bool:
        gone.update({one: datetime.now(UTC) for one, condition in is_gone.items() if one not in gone and condition()})
        return len(gone) == len(is_gone)

    wait_until(look)
    return gone


def test_a_timeout_ends_the_writes(slow: Emulator, start: Start) -> None:
    """Of a task, of the configuration, of a role, and of a job of ansible-runner."""
    # On a busy machine, a module may take longer than that to come to its first write.
    for seconds in (8, 16, 32, 64):
        task = start(partial(by_playbook, timeout=seconds))
        setting = start(by_playbook, ANSIBLE_TASK_TIMEOUT=str(seconds))
        role = start(partial(by_role, timeout=seconds))
        job = start(partial(by_runner, job_timeout=seconds + 2))
        is_gone = {one: one.has_ended for one in (task, setting, role, job)}
        is_gone[role] = lambda role=role: role.has_ended() or "Timed out after" in role.output.read_text()
        gone = wait_until_gone(is_gone)
        if all(writes(slow, one.caller) for one in gone):
            break
        for one in gone:
            one.end()
        reset(slow)
    assert_writes_stop(slow, gone)
    assert 0 not in (task.process.returncode, setting.process.returncode)


def test_a_signal_to_ansible_runner_ends_the_writes(slow: Emulator, start: Start) -> None:
    started = {start(by_runner): number for number in (signal.SIGTERM, signal.SIGINT)}
    for one, number in started.items():
        wait_until(lambda caller=one.caller: len(writes(slow, caller)) >= 3)
        os.kill(one.process.pid, number)
    assert_writes_stop(slow, wait_until_gone({one: one.has_ended for one in started}))


def test_what_was_detached_on_purpose_goes_on(slow: Emulator, start: Start, tmp_path: Path) -> None:
    """An async task without its play, and a play without the shell that started it."""
    pid = tmp_path / "pid"

    def by_shell(folder: Path, caller: str) -> list[str]:
        command = f"nohup {BIN}/ansible-playbook {playbook(folder, caller, FEW)} >play.txt 2>&1 & echo $! >{pid}"
        return ["sh", "-c", command]

    detached = {"count": FEW, "async": 120, "poll": 0}
    started = [start(partial(by_playbook, **detached), ANSIBLE_ASYNC_DIR=str(tmp_path / "async")), start(by_shell)]

    def has_read_back(caller: str) -> bool:
        """Whether the module has made its last call, so that it does not disturb the next test."""
        calls = [call for call in slow.calls() if f"eni-{caller}" in json.dumps(call["parameters"])]
        return len(writes(slow, caller)) == FEW and calls[-1]["action"].startswith("Describe") and calls[-1]["status"] == 200

    try:
        for one in started:
            wait_until(one.has_ended)
            assert one.process.returncode == 0
        for one in started:
            wait_until(lambda caller=one.caller: has_read_back(caller))
    finally:
        if len(writes(slow, started[1].caller)) < FEW:
            os.kill(int(pid.read_text()), signal.SIGKILL)
