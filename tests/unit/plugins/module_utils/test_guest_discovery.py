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
