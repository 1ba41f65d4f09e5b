# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""With real processes: a play, the worker that it forks, and the module that the worker starts, as ansible-core does it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils import _caller
from ansible_collections.alicloud_ops.network.plugins.module_utils._caller import Caller

DEADLINE = 40  # seconds that a test waits for a process before it fails
LIFE = 2 * DEADLINE  # seconds after which each of these processes ends by itself

ACTORS = f"""
import importlib.util, os, signal, subprocess, sys, time
from pathlib import Path

caller_file, folder, role, shape = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]


def note_life(name):
    # A forked process inherits neither the name nor the alarm.
    signal.alarm({LIFE})
    note(name, os.getpid())


def note(name, text):
    (folder / "new").write_text(str(text))
    (folder / "new").rename(folder / name)


def command(role):
    return [{sys.executable!r}, __file__, caller_file, str(folder), role, shape]


def sleep_for_ever():
    while True:
        time.sleep(1)


def launcher():
    subprocess.Popen(command("play"))
    sleep_for_ever()


def play():
    if os.fork():
        sleep_for_ever()
    os.setsid()
    note_life("worker")
    read_end, write_end = os.pipe()
    module = command("module")
    if shape == "shell":
        module = ["/bin/sh", "-c", 'echo $$ >"$0"/shell; "$@"; true', str(folder), *module]
    subprocess.Popen(module, stdout=write_end)
    os.close(write_end)
    while not (folder / "hang up").exists():
        time.sleep(0.05)
    os.close(read_end)
    sleep_for_ever()


def detached():
    if os.fork():
        sleep_for_ever()
    os.setsid()
    leader = os.getpid()
    if os.fork():
        os._exit(0)
    while os.getppid() == leader:
        time.sleep(0.01)
    module()


def module():
    note_life("module")
    spec = importlib.util.spec_from_file_location("caller", caller_file)
    caller = importlib.util.module_from_spec(spec)
    sys.modules["caller"] = caller
    spec.loader.exec_module(caller)
    if shape == "no proc":
        caller.PROC = Path("/nowhere")
    if shape == "become":  # as su and sudo do: another session, and another user
        os.setsid()
        os.seteuid(65534)
    asked = caller.Caller()
    os.seteuid(os.getuid())
    note("remote", int(asked.is_remote))
    looks = 0
    while asked.is_waiting():
        looks += 1
        note("looks", looks)
        time.sleep(caller.SECONDS_BETWEEN_CHECKS * 1.2)
    note("gone", looks)


note_life(role)
globals()[role]()
"""


class Stage:
    """The processes of one test, each with a file that holds its id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.actors = folder / "actors.py"
        self.actors.write_text(ACTORS)

    def start(self, role: str, shape: str = "plain", name: str = sys.executable) -> None:
        command = [name, str(self.actors), _caller.__file__, str(self.folder), role, shape]
        with (self.folder / "errors").open("w") as errors:
            self.process = subprocess.Popen(
                command, executable=sys.executable, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True
            )
        self.wait_for("looks")

    def wait_for(self, name: str, least: int = 0) -> int:
        """The number in this file, as soon as the file exists and the number is large enough."""
        gives_up_at = time.monotonic() + DEADLINE
        while time.monotonic() < gives_up_at:
            with suppress(OSError, ValueError):
                if (number := int((self.folder / name).read_text())) >= least:
                    return number
            time.sleep(0.02)
        raise AssertionError(f"{name}: {(self.folder / 'errors').read_text()} {sorted(path.name for path in self.folder.iterdir())}")

    def kill(self, name: str) -> None:
        os.kill(self.wait_for(name), signal.SIGKILL)

    def goes_on(self) -> bool:
        """Whether the module still finds a waiting caller, after several more checks."""
        self.wait_for("looks", self.wait_for("looks") + 4)
        return not (self.folder / "gone").exists()

    def end(self) -> None:
        for path in self.folder.iterdir():
            with suppress(OSError, ValueError):
                pid = int(path.read_text())
                if str(self.actors) in Path(f"/proc/{pid}/cmdline").read_text():
                    os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    yield stage
    stage.end()


@pytest.mark.parametrize("shape", ["plain", "shell"])
@pytest.mark.parametrize("victim", ["play", "worker"])
def test_a_killed_play_or_worker_is_noticed(stage, shape, victim):
    """Neither shares a process group with the module, or dies together with the other one."""
    stage.start("play", shape)
    assert stage.goes_on()
    stage.kill(victim)
    stage.wait_for("gone")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("victim", ["play", "worker"])
def test_a_killed_play_is_noticed_from_another_session_and_as_another_user(stage, victim):
    """As with become."""
    stage.start("play", "become")
    assert stage.goes_on()
    stage.kill(victim)
    stage.wait_for("gone")


@pytest.mark.parametrize(
    ("role", "name", "is_remote"),
    [
        ("module", "sshd: root@notty", True),
        ("module", "sshd-session: root@notty", True),
        ("module", sys.executable, False),  # started by hand
        ("play", "sshd: root@notty", False),  # somebody logged in to the controller
    ],
)
def test_a_module_below_an_ssh_server_and_without_a_play_runs_on_another_machine(stage, role, name, is_remote):
    stage.start(role, name=name)
    assert stage.wait_for("remote") == is_remote


def test_an_async_module_is_not_taken_for_one_on_another_machine(stage):
    stage.actors = stage.actors.rename(stage.folder / "async_wrapper.py")
    stage.start("module", name="sshd: root@notty")
    assert stage.wait_for("remote") == 0


def test_a_killed_process_in_between_is_noticed(stage):
    stage.start("play", "shell")
    assert stage.goes_on()
    stage.kill("shell")
    stage.wait_for("gone")


def test_a_play_outlives_its_own_parent(stage):
    """As after nohup, or when a terminal is closed; the play's end is still noticed."""
    stage.start("launcher")
    stage.kill("launcher")
    assert stage.goes_on()
    stage.kill("play")
    stage.wait_for("gone")


def test_a_reader_that_hangs_up_is_noticed_while_all_processes_live(stage):
    """As after a task's timeout."""
    stage.start("play")
    assert stage.goes_on()
    (stage.folder / "hang up").touch()
    stage.wait_for("gone")
    for name in ("play", "worker"):
        os.kill(stage.wait_for(name), 0)


def test_a_module_that_was_detached_on_purpose_goes_on(stage):
    """As with async."""
    stage.start("detached")
    stage.kill("detached")
    assert stage.goes_on()


def test_without_a_process_table_the_parent_is_still_known(stage):
    stage.start("play", "no proc")
    assert stage.goes_on()
    stage.kill("worker")
    stage.wait_for("gone")


# The two signs by themselves


def test_the_other_end_of_a_pipe_or_a_socket_can_hang_up():
    read_end, write_end = os.pipe()
    ours, theirs = socket.socketpair()
    with ours, theirs, open(write_end, "w"):
        assert not _caller._has_hung_up(write_end)
        assert not _caller._has_hung_up(ours.fileno())
        os.close(read_end)
        theirs.close()
        assert _caller._has_hung_up(write_end)
        assert _caller._has_hung_up(ours.fileno())


def test_a_file_and_a_closed_descriptor_cannot_hang_up(tmp_path):
    with (tmp_path / "file").open("w") as file, open(os.devnull, "w") as nothing:
        assert not _caller._has_hung_up(file.fileno())
        assert not _caller._has_hung_up(nothing.fileno())
        closed = os.dup(file.fileno())
    os.close(closed)
    assert not _caller._has_hung_up(closed)
    assert not _caller._has_hung_up(-1)
    assert not _caller._has_hung_up(None)


def test_a_chain_begins_with_this_process_and_each_is_the_child_of_the_next():
    chain, _is_remote = _caller._find_chain()
    assert chain[0].pid == os.getpid()
    assert [process.parent for process in chain[:-1]] == [process.pid for process in chain[1:]]
    assert chain[-1].parent is None
    assert all(map(_caller._is_there, chain))


def test_another_process_with_the_same_id_is_another_process():
    (me, *_others), _is_remote = _caller._find_chain()
    assert _caller._is_there(me)
    assert not _caller._is_there(me._replace(started="1"))
    assert not _caller._is_there(me._replace(parent=me.pid))


def test_a_process_that_has_ended_is_not_there_even_before_it_is_reaped():
    with subprocess.Popen(["/bin/sh", "-c", "read line"], stdin=subprocess.PIPE) as child:
        process = _caller._look_up(child.pid)
        assert _caller._is_there(process)
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not _caller._is_there(process)
    assert _caller._look_up(child.pid) is None


def test_the_signs_are_looked_for_at_most_every_quarter_of_a_second(monkeypatch):
    now, looks = [100.0], []
    monkeypatch.setattr(_caller, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(_caller, "_has_hung_up", lambda _descriptor: bool(looks.append(now[0])))
    caller = Caller()
    for seconds in (0, 0.1, 0.2, 0.1, 0.1, 0.1):
        now[0] += seconds
        assert caller.is_waiting()
    assert looks == pytest.approx([100.0, 100.3, 100.6])


def test_once_gone_the_caller_is_looked_for_each_time(monkeypatch):
    caller = Caller()
    monkeypatch.setattr(_caller, "_has_hung_up", lambda _descriptor: True)
    assert not caller.is_waiting()
    assert not caller.is_waiting()


def test_a_process_that_has_ended_has_no_session():
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert _caller._session(process.pid) is None
    assert _caller._session(os.getpid()) == os.getsid(0)
