# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which namespaces are found, and the problems for those that cannot be read."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils import _guest_discovery as discovery
from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_discovery import MNT, NET, Namespace
from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_proc import NamespaceMount

NET_MOUNT = "150 30 0:4 net:[4711] /run/netns/blue rw - nsfs nsfs rw\n"
ROOT_MOUNT = "30 1 8:1 / / rw - ext4 /dev/sda1 rw\n"


@pytest.fixture
def search():
    """A search on a machine where nothing has been found yet, and the content of its mount namespaces, by path."""
    mounts: dict[str, str | Exception] = {}

    def read(path):
        if isinstance(mounts[path], Exception):
            raise mounts[path]
        return mounts[path]

    return SimpleNamespace(of=discovery._Search(read), mounts=mounts)


def codes(problems):
    return [problem.code for problem in problems]


@pytest.fixture
def machine(monkeypatch):
    """A machine whose /proc has what the test says: folder → names, link → text, and path → what stat returns or raises."""
    machine = SimpleNamespace(folders={}, links={"/proc/self/ns/pid": discovery._FIRST_PID_NAMESPACE}, found={})

    def known(values):
        def look_up(path):
            value = values.get(path, FileNotFoundError(errno.ENOENT, "gone", path))
            if isinstance(value, OSError):
                raise value
            return value

        return look_up

    # In place of the whole module, because pytest needs it too.
    path = SimpleNamespace(exists=lambda path: path in machine.found)
    reading = {"listdir": known(machine.folders), "readlink": known(machine.links), "stat": known(machine.found)}
    monkeypatch.setattr(discovery, "os", SimpleNamespace(path=path, **reading))
    return machine


def inode(number, device=4):
    return SimpleNamespace(st_ino=number, st_dev=device)


NO_ENTRY, ENDED = PermissionError(errno.EACCES, "no entry"), ProcessLookupError(errno.ESRCH, "ended")


# -- threads


@pytest.mark.parametrize(
    ("network", "mounts", "tasks", "closed", "problems"),
    [
        (inode(7), inode(8), {7: ["/proc/5"]}, set(), []),
        (inode(7), NO_ENTRY, {7: ["/proc/5"]}, {5}, []),
        (inode(7), ENDED, {7: ["/proc/5"]}, set(), []),
        (ENDED, ENDED, {}, set(), []),
        (NO_ENTRY, NO_ENTRY, {}, set(), ["processes_hidden"]),
    ],
)
def test_a_process_that_may_not_be_read_is_noted_and_one_that_has_ended_is_not(search, machine, network, mounts, tasks, closed, problems):
    machine.folders.update({"/proc": ["5", "net"], "/proc/5/task": ["5"]})
    machine.found.update({"/proc/5/net/dev": network, "/proc/5/ns/mnt": mounts, "/proc/5/root": inode(2), "/proc/1/net/dev": inode(7)})
    search.of._find_tasks()
    assert (search.of.tasks, search.of.closed, codes(search.of.problems)) == (tasks, closed, problems)


@pytest.mark.parametrize(
    ("first_network", "pids", "problems"),
    [(True, "pid:[4026539999]", ["processes_hidden"]), (False, "pid:[4026539999]", []), (True, discovery._FIRST_PID_NAMESPACE, [])],
)
def test_only_a_container_in_the_network_of_its_machine_lacks_the_processes_of_the_machine(search, machine, first_network, pids, problems):
    machine.folders["/proc"] = []
    machine.links["/proc/self/ns/pid"] = pids
    machine.found["/proc/1/net/dev"] = inode(7)
    machine.found.update({discovery._FIRST_NETWORK_SETTING: inode(1)} if first_network else {})
    search.of._find_tasks()
    assert codes(search.of.problems) == problems


def test_the_threads_of_a_process_that_has_ended_are_not_known(machine):
    machine.folders["/proc/5/task"] = ["5", "6"]
    assert discovery._tasks_of(5) == ["/proc/5", "/proc/5/task/6"]
    assert discovery._tasks_of(9) == ["/proc/9"]


@pytest.mark.parametrize(("user", "advice"), [(0, False), (1000, True)])
def test_processes_that_may_not_be_read_are_a_problem_with_advice_for_other_users_than_root(search, monkeypatch, user, advice):
    monkeypatch.setattr(discovery.os, "geteuid", lambda: user)
    for step in ("_find_tasks", "_find_mounts"):
        monkeypatch.setattr(search.of, step, lambda: None)
    assert search.of.run().problems == []
    search.of.closed = {7, 8}
    (problem,) = search.of.run().problems
    assert problem.code == "namespaces_hidden"
    assert problem.text.startswith("the open files and the mounts of 2 processes may not be read")
    assert problem.text.endswith("; run the module as root") is advice


# -- mounts


@pytest.mark.parametrize(
    ("task", "text", "problems"),
    [
        ("/proc/5", ROOT_MOUNT + NET_MOUNT, []),
        ("/proc/5", "150 30\n", ["namespace_unreadable"]),
        ("/proc/5", NO_ENTRY, ["namespace_unreadable"]),
        ("/proc/5", ENDED, []),
        ("/proc/self", ENDED, ["namespace_unreadable"]),
    ],
)
def test_mounts_that_cannot_be_read_are_a_problem_unless_the_process_has_ended(search, machine, monkeypatch, task, text, problems):
    texts = {f"{each}/mountinfo": "" for each in ("/proc/self", "/proc/5")} | {f"{task}/mountinfo": text}

    def read(path):
        if isinstance(texts[path], OSError):
            raise texts[path]
        return texts[path]

    monkeypatch.setattr(discovery, "read_file", read)
    machine.found.update({"/proc/self/root": inode(2), "/proc/self/ns/mnt": inode(8)})
    search.of.roots = {(9, 4, 2): "/proc/5"}
    search.of._find_mounts()
    assert codes(search.of.problems) == problems
    assert [mount.path for mount in search.of.mounted] == ["/proc/5/root/run/netns/blue"] * isinstance(text, str) * (not problems)


def test_if_its_own_root_cannot_be_read_the_module_reads_the_mounts_all_the_same(search, machine, monkeypatch):
    monkeypatch.setattr(discovery, "read_file", lambda _path: NET_MOUNT)
    machine.found["/proc/self/root"] = NO_ENTRY
    search.of._find_mounts()
    assert [(problem.code, "/proc/self/root" in problem.text) for problem in search.of.problems] == [("namespace_unreadable", True)]
    assert [mount.path for mount in search.of.mounted] == ["/run/netns/blue"]


# -- mount namespaces without a process


def test_a_network_namespace_that_only_a_mount_namespace_without_a_process_keeps_is_a_problem(search):
    search.of.held = [(MNT, 99, "/proc/7/fd/3")]
    search.mounts["/proc/7/fd/3"] = ROOT_MOUNT + NET_MOUNT
    search.of._find_unattended_mounts({})
    assert codes(search.of.problems) == ["namespace_not_permitted"]
    assert "mnt:[99]" in search.of.problems[0].text


@pytest.mark.parametrize(("text", "known"), [(NET_MOUNT, {"4711": Namespace(4711)}), (ROOT_MOUNT, {})])
def test_a_mount_namespace_that_keeps_nothing_unknown_is_not_a_problem(search, text, known):
    search.of.held = [(MNT, 99, "/proc/7/fd/3")]
    search.mounts["/proc/7/fd/3"] = text
    search.of._find_unattended_mounts(known)
    assert search.of.problems == []


def test_a_mount_namespace_with_a_process_is_not_read_again(search):
    """Neither that of another process, nor that of this one."""
    search.of.roots = {(99, 1, 2): "/proc/7"}
    search.of.held = [(MNT, 99, "/never/read"), (MNT, os.stat("/proc/self/ns/mnt").st_ino, "/never/read"), (NET, 98, "/never/read")]
    search.of._find_unattended_mounts({})
    assert search.of.problems == []


@pytest.mark.parametrize("last", [NET_MOUNT, PermissionError(errno.EPERM, "no entry"), "150 30\n"])
def test_each_way_into_a_mount_namespace_is_tried_before_it_cannot_be_read(search, last):
    search.of.held = [(MNT, 99, "/first"), (MNT, 99, "/second")]
    search.mounts.update({"/first": PermissionError(errno.EPERM, "no entry"), "/second": last})
    search.of._find_unattended_mounts({})
    assert codes(search.of.problems) == ["namespace_not_permitted" if last == NET_MOUNT else "namespace_unreadable"]


# -- names


def test_named_namespaces_are_found_and_a_stale_name_is_a_problem(search, tmp_path, monkeypatch):
    (tmp_path / "blue").touch()
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    monkeypatch.setattr(discovery, "_NAMED", (str(tmp_path), str(tmp_path / "missing")))
    assert list(search.of._named()) == []
    assert codes(search.of.problems) == ["namespace_unreadable"]
    assert f"{tmp_path}/blue is not a network namespace" in search.of.problems[0].text

    search.of.problems.clear()
    search.of.own = os.stat(tmp_path)  # a namespace is known by its device
    path = tmp_path / "blue"
    assert list(search.of._named()) == [(path.stat().st_ino, "blue", str(path))]
    assert search.of.problems == []


def test_a_folder_of_names_that_may_not_be_read_is_a_problem(search, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(discovery, "_NAMED", (str(tmp_path / "file"),))
    assert list(search.of._named()) == []
    assert codes(search.of.problems) == ["namespace_not_permitted"]


def test_a_name_that_may_not_be_read_is_a_problem(search, tmp_path, monkeypatch):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    monkeypatch.setattr(discovery, "_NAMED", (str(tmp_path),))
    assert list(search.of._named()) == []
    assert [(problem.code, f"{tmp_path}/loop" in problem.text) for problem in search.of.problems] == [("namespace_not_permitted", True)]


# -- one namespace


def test_a_namespace_is_opened_by_the_first_way_that_still_leads_to_it(tmp_path):
    other, right = tmp_path / "other", tmp_path / "right"
    other.touch()
    right.touch()
    namespace = Namespace(right.stat().st_ino)
    namespace.paths = [str(tmp_path / "gone"), str(other), str(right)]
    descriptor = namespace.open()
    assert descriptor is not None
    try:
        assert os.readlink(f"/proc/self/fd/{descriptor}") == str(right)
    finally:
        os.close(descriptor)
    namespace.paths = [str(other)]
    assert namespace.open() is None


def test_the_label_is_the_best_name_that_there_is():
    unknown = Namespace(None)
    unknown.tasks = ["/proc/12/task/34"]
    named = Namespace(7)
    named.name = "blue"
    assert [unknown.label(False), Namespace(7).label(False), named.label(False), named.label(True)] == ["pid:34", "net:[7]", "blue", ""]
    assert Namespace(7).process is None


def test_a_process_that_has_ended_has_no_name(tmp_path):
    assert discovery.process_name(str(tmp_path)) is None
    (tmp_path / "comm").write_bytes(b"named\n")
    assert discovery.process_name(str(tmp_path)) == "named"


# -- which kind


@pytest.mark.parametrize(("name", "kind"), [("net", NET), ("mnt", MNT), ("uts", "")])
def test_the_kernel_says_which_kind_of_namespace_it_is(name, kind):
    assert discovery._kind_of(f"/proc/self/ns/{name}") == kind


@pytest.mark.parametrize("number", [errno.ENOTTY, errno.EPERM])
def test_a_kernel_that_does_not_know_the_kind_is_assumed_to_mean_a_network(monkeypatch, number):
    def refuse(*_arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(discovery.fcntl, "ioctl", refuse)
    if number == errno.ENOTTY:
        assert discovery._kind_of("/proc/self/ns/uts") == NET
    else:
        with pytest.raises(PermissionError):
            discovery._kind_of("/proc/self/ns/uts")


# -- open files


def test_a_socket_belongs_to_another_process_than_the_first_one_if_there_is_one(search, monkeypatch):
    monkeypatch.setattr(discovery.os, "listdir", lambda _folder: ["3"])
    monkeypatch.setattr(discovery.os, "readlink", lambda _path: "socket:[5]")
    holders = []
    for pid in (1, 40, 50):
        search.of._find_descriptors(pid)
        holders.append(dict(search.of.socket_holders))
    assert holders == [{5: 1}, {5: 40}, {5: 40}]


@pytest.mark.parametrize(("number", "closed"), [(errno.EACCES, {7}), (errno.ENOENT, set())])
def test_open_files_that_may_not_be_read_are_noted_and_those_of_an_ended_process_are_not(search, monkeypatch, number, closed):
    def refuse(_path):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(discovery.os, "listdir", refuse)
    monkeypatch.setattr(search.of, "_is_running", lambda _pid: True)
    search.of._find_descriptors(7)
    assert search.of.closed == closed
    monkeypatch.setattr(discovery.os, "listdir", lambda _folder: ["3"])
    monkeypatch.setattr(discovery.os, "readlink", refuse)
    search.of.closed.clear()
    search.of._find_descriptors(7)
    assert search.of.closed == closed


def test_an_open_network_namespace_is_held_and_a_file_or_a_pipe_is_not(search, tmp_path):
    receiver, sender = os.pipe()
    plain = os.open(tmp_path, os.O_RDONLY)
    namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        search.of._find_descriptors(os.getpid())
    finally:
        for descriptor in (receiver, sender, plain, namespace):
            os.close(descriptor)
    held = {int(path.rpartition("/")[2]): (kind, inode) for kind, inode, path in search.of.held}
    assert held[namespace] == (NET, os.stat("/proc/self/ns/net").st_ino)
    assert not held.keys() & {receiver, sender, plain}


@pytest.mark.parametrize(("is_open", "held"), [(True, [(NET, 9, "/proc/7/fd/3")]), (False, [])])
def test_a_file_whose_mount_is_not_known_is_looked_at_unless_it_was_closed(search, machine, monkeypatch, is_open, held):
    def refuse(_path):
        raise NO_ENTRY

    monkeypatch.setattr(discovery, "read_file", refuse)
    monkeypatch.setattr(discovery, "_kind_of", lambda _path: NET)
    machine.folders["/proc/7/fd"] = ["3"]
    machine.links["/proc/7/fd/3"] = "/run/netns/blue"
    machine.found.update({"/proc/7/fd/3": inode(9, search.of.own.st_dev)} if is_open else {})
    search.of._find_descriptors(7)
    assert (search.of.held, search.of.closed) == (held, set())


@pytest.mark.parametrize(("kind", "held"), [("net", [NET]), ("mnt", [MNT]), ("uts", [])])
def test_of_namespaces_that_were_opened_through_a_mount_only_those_of_networks_and_mounts_are_held(search, monkeypatch, kind, held):
    """Such a file has the path of the mount, which says nothing."""
    descriptor = os.open(f"/proc/self/ns/{kind}", os.O_RDONLY)
    try:
        monkeypatch.setattr(discovery.os, "listdir", lambda _folder: [str(descriptor)])
        monkeypatch.setattr(discovery.os, "readlink", lambda _path: "/run/mounted")
        search.of._find_descriptors(os.getpid())
    finally:
        os.close(descriptor)
    assert [kind for kind, _inode, _path in search.of.held] == held


# -- all together


def test_a_namespace_has_all_the_ways_into_it_and_the_ways_into_mount_namespaces_are_left_out(search, machine, monkeypatch):
    search.of.own = inode(1)
    search.of.tasks = {10: ["/proc/1"], 20: ["/proc/5/task/6", "/proc/5"], 30: ["/proc/9"]}
    machine.found.update({"/proc/self/net/dev": inode(10), "/proc/5/ns/net": inode(2)})  # thread 6 has ended, 9 may not be read
    machine.found["/proc/9/ns/net"] = NO_ENTRY
    machine.folders["/named"] = ["blue", "green"]
    machine.found.update({"/named/blue": inode(2), "/named/green": inode(3)})
    monkeypatch.setattr(discovery, "_NAMED", ("/named", "/also"))
    machine.folders["/also"] = ["azure"]
    machine.found["/also/azure"] = inode(2)
    search.of.mounted = [NamespaceMount(NET, 4, "/run/net"), NamespaceMount(MNT, 5, "/run/mnt")]
    search.of.held = [(NET, 2, "/proc/7/fd/3"), (MNT, 6, "/proc/7/fd/4")]
    found = {key: (each.name, each.paths, each.tasks) for key, each in search.of._collect().items()}
    assert found == {
        "1": ("", [], ["/proc/1"]),
        "2": ("blue", ["/named/blue", "/also/azure", "/proc/7/fd/3"], ["/proc/5/task/6", "/proc/5"]),
        "dev:30": ("", [], ["/proc/9"]),
        "3": ("green", ["/named/green"], []),
        "4": ("", ["/run/net"], []),
    }
