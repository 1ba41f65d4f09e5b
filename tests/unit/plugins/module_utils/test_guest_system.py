# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a namespace is read, and the problem that a failed read causes."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils import _guest_system as system
from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_discovery import CLONE_NEWNET, Discovery, Namespace
from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_reading import Reading, Unreadable

DATA = Path(__file__).parents[1] / "data" / "guests" / "instance"


@pytest.fixture
def task(tmp_path):
    """The folder of a thread, as in /proc."""
    shutil.copytree(DATA, tmp_path / "thread" / "net")
    return str(tmp_path / "thread")


def namespace_of(*tasks):
    namespace = Namespace(7)
    namespace.tasks = list(tasks)
    return namespace


# -- the child process


def test_a_child_process_returns_what_it_read():
    parent = os.getpid()
    assert system._in_child(lambda: {"text": "é" * 100_000, "child": os.getpid() != parent}) == {"text": "é" * 100_000, "child": True}


def test_an_error_in_the_child_keeps_its_number_and_its_text():
    def read():
        raise PermissionError(errno.EPERM, "not here")

    with pytest.raises(PermissionError, match="not here") as caught:
        system._in_child(read)
    assert caught.value.errno == errno.EPERM


def test_a_child_that_ends_early_is_an_error():
    with pytest.raises(OSError, match="ended early") as caught:
        system._in_child(lambda: os._exit(3))
    assert caught.value.errno == errno.EIO


def test_a_child_that_hangs_is_ended(monkeypatch):
    children = []
    fork = os.fork

    def remember():
        children.append(fork())
        return children[-1]

    monkeypatch.setattr(os, "fork", remember)
    monkeypatch.setattr(system, "_NAMESPACE_SECONDS", 0.2)
    with pytest.raises(TimeoutError, match="took more than"):
        system._in_child(lambda: time.sleep(60))
    (child,) = children
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


# -- entering


def test_what_is_not_a_namespace_cannot_be_entered(monkeypatch):
    """The implementation for Python before 3.12."""
    monkeypatch.delattr(os, "setns", raising=False)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)) as caught:
        system._enter(-1, CLONE_NEWNET)
    assert caught.value.errno == errno.EBADF


def test_python_enters_by_itself_if_it_can(monkeypatch):
    entered = []
    monkeypatch.setattr(os, "setns", lambda *arguments: entered.append(arguments), raising=False)
    system._enter(5, CLONE_NEWNET)
    assert entered == [(5, CLONE_NEWNET)]


def test_a_python_that_cannot_enter_says_so(monkeypatch):
    monkeypatch.delattr(os, "setns", raising=False)
    monkeypatch.setitem(sys.modules, "ctypes", None)
    with pytest.raises(OSError, match="this Python cannot enter a namespace") as caught:
        system._enter(-1, CLONE_NEWNET)
    assert caught.value.errno == errno.ENOSYS


# -- one namespace


def test_a_namespace_that_may_not_be_entered_is_read_from_the_files_of_its_threads(task):
    reading = Reading("7")
    assert system._read_other(reading, namespace_of("/proc/0", task), {}) == ""
    expected = Reading("7")
    system._read_text(expected, f"{task}/net")
    assert reading.as_dict() == expected.as_dict()
    assert reading.addresses
    assert reading.listeners


def test_a_thread_that_changes_its_namespace_during_the_read_is_not_believed(task, monkeypatch):
    read_text = system._read_text

    def read(attempt, folder):
        read_text(attempt, folder)
        # The next namespace has another file: the old one is kept, so that its number is not used again.
        os.rename(f"{folder}/dev", f"{folder}/old")
        shutil.copy(f"{folder}/old", f"{folder}/dev")

    monkeypatch.setattr(system, "_read_text", read)
    reading = Reading("7")
    assert system._read_other(reading, namespace_of(task), {}) == "the module may not enter it"
    assert reading.as_dict() == Reading("7").as_dict()


def test_a_namespace_that_is_refused_and_has_no_thread_says_why():
    """A pipe is in place of the namespace: the kernel refuses it."""
    receiver, sender = os.pipe()
    try:
        refused = system._read_other(Reading("7"), namespace_of(), {"7": receiver})
    finally:
        os.close(receiver)
        os.close(sender)
    assert refused in (os.strerror(errno.EINVAL), os.strerror(errno.EPERM))


def test_what_the_child_read_is_the_reading(monkeypatch):
    def read(reading, folder, descriptors):
        assert (folder, descriptors) == ("/proc/self/net", {"7": 4})
        reading.connections["192.0.2.1"] += 2

    monkeypatch.setattr(system, "_enter", lambda descriptor, kind: None)
    monkeypatch.setattr(system, "read_namespace", read)
    reading = Reading("7")
    assert system._read_other(reading, namespace_of(), {"7": 4}) == ""
    assert dict(reading.connections) == {"192.0.2.1": 2}


@pytest.mark.parametrize("error", [PermissionError(errno.EPERM, "no"), Unreadable("a part of the reply was lost")])
def test_without_netlink_the_addresses_come_from_files_and_a_problem_says_so(task, monkeypatch, error):
    def refuse(reading, descriptors):
        raise error

    monkeypatch.setattr(system, "read_netlink", refuse)
    reading = Reading("7")
    system.read_namespace(reading, f"{task}/net", {})
    assert "netlink_failed" in {problem.code for problem in reading.problems}
    assert any(str(error) in problem.text for problem in reading.problems)
    assert "192.168.0.10" in {address.address for address in reading.addresses}


def test_a_refused_namespace_that_has_ended_is_left_out_and_one_that_exists_has_a_problem(monkeypatch):
    monkeypatch.setattr(system, "discover", lambda _read: Discovery({"1": Namespace(1), "2": Namespace(2)}, {}, []))
    readings = [Reading("1"), Reading("2"), Reading("3")]
    left = system._without_ended(readings, {"2": "not permitted", "3": "not permitted"})
    assert [reading.key for reading in left] == ["1", "2"]
    assert [[problem.code for problem in reading.problems] for reading in left] == [[], ["namespace_not_permitted"]]
    assert left[1].problems[0].text == "the namespace cannot be read: not permitted"


def test_a_reading_that_nobody_refused_stays(monkeypatch):
    monkeypatch.setattr(system, "discover", lambda _read: pytest.fail("everything was read"))
    readings = [Reading("1")]
    assert system._without_ended(readings, {}) == readings
    assert readings[0].problems == []


def test_the_mounts_are_those_that_the_child_sees_after_it_entered(tmp_path, monkeypatch):
    entered = tmp_path / "entered"
    monkeypatch.setattr(
        system, "_enter", lambda descriptor, kind: entered.write_text(f"{os.readlink(f'/proc/self/fd/{descriptor}')} {kind}")
    )
    namespace = tmp_path / "namespace"
    namespace.touch()
    assert system._read_mounts(str(namespace)) == Path("/proc/self/mountinfo").read_text()
    assert entered.read_text() == f"{namespace} {0x00020000}"
    with pytest.raises(FileNotFoundError):
        system._read_mounts(str(tmp_path / "ended"))


@pytest.mark.parametrize("by_python", [True, False], ids=["Python 3.12 and later", "an older Python"])
def test_a_namespace_is_entered_by_the_call_that_this_python_has(monkeypatch, by_python):
    entered = []

    def setns(descriptor, kind):
        entered.append((descriptor, kind))
        return 0

    monkeypatch.setattr(os, "setns", setns if by_python else None, raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda _name, **_options: SimpleNamespace(setns=setns))
    system._enter(4, CLONE_NEWNET)
    assert entered == [(4, CLONE_NEWNET)]


def test_a_namespace_that_may_not_be_entered_is_an_error_with_its_number(monkeypatch):
    monkeypatch.delattr(os, "setns", raising=False)
    receiver, sender = os.pipe()
    try:
        with pytest.raises(OSError, match=r"Invalid argument|Operation not permitted") as raised:
            system._enter(receiver, CLONE_NEWNET)
    finally:
        os.close(receiver)
        os.close(sender)
    assert raised.value.errno in (errno.EINVAL, errno.EPERM)
