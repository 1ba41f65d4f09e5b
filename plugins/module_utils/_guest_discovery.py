# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the network namespaces of this Linux machine, and the processes that hold its sockets. Changes nothing.

Private to this collection. It runs on the instances: Python 3.9 and the standard library.

A network namespace exists as long as a thread is in it, a file descriptor refers to it, or it is mounted. A file descriptor and a mount
are recognized by device and inode, because the path of a descriptor may be any text.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_proc import (
    MNT,
    NET,
    NamespaceMount,
    parse_mount_id,
    parse_mounts,
    read_file,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_reading import Problem, Unreadable, printable

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
_KINDS = {CLONE_NEWNS: MNT, CLONE_NEWNET: NET}
_NS_GET_NSTYPE = 0xB703  # include/uapi/linux/nsfs.h, Linux 4.11 and later
_NAMED = ("/run/netns", "/var/run/netns")
# The first PID namespace has the same number on every machine (include/linux/proc_ns.h).
_FIRST_PID_NAMESPACE = "pid:[4026531836]"
# Exists only in the first network namespace.
_FIRST_NETWORK_SETTING = "/proc/sys/net/core/netdev_max_backlog"
ENDED = (errno.ENOENT, errno.ESRCH, errno.EINVAL)

# Path of a mount namespace → its mounts. OSError if they may not be read.
MountReader = Callable[[str], str]


class Namespace:
    """A network namespace and the ways into it. ``tasks``: /proc/PID and /proc/PID/task/TID of the threads in it."""

    def __init__(self, inode: int | None) -> None:
        self.inode = inode
        self.name = ""
        self.paths: list[str] = []
        self.tasks: list[str] = []

    def label(self, own: bool) -> str:
        """The name of the namespace in results."""
        if own:
            return ""
        return self.name or (f"net:[{self.inode}]" if self.inode is not None else f"pid:{self.tasks[0].rpartition('/')[2]}")

    @property
    def process(self) -> str | None:
        return process_name(self.tasks[0]) if self.tasks else None

    def open(self) -> int | None:
        for path in [*self.paths, *(f"{task}/ns/net" for task in self.tasks)]:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except OSError:
                continue
            if self.inode is not None and os.fstat(descriptor).st_ino == self.inode:
                return descriptor
            os.close(descriptor)
        return None


class Discovery(NamedTuple):
    """``namespaces``: by key. ``socket_holders``: inode of a socket → process id."""

    namespaces: dict[str, Namespace]
    socket_holders: dict[int, int]
    problems: list[Problem]


def discover(read_mounts: MountReader) -> Discovery:
    return _Search(read_mounts).run()


def process_name(folder: str) -> str | None:
    try:
        with open(f"{folder}/comm", "rb") as file:
            return printable(file.read(256).decode("utf-8", "replace").rstrip("\n")) or None
    except OSError:
        return None


class _Search:
    def __init__(self, read_mounts: MountReader) -> None:
        self._read_mounts = read_mounts
        self.own = os.stat("/proc/self/ns/net")  # all namespaces have this device
        self.problems: list[Problem] = []
        self.pids: list[int] = []
        # By the inode of /proc/PID/net/dev, which differs for each namespace, and which everyone may read.
        self.tasks: dict[int, list[str]] = defaultdict(list)
        # One task for each mount namespace and root folder. A task in a chroot sees only the mounts below its root.
        self.roots: dict[tuple[int, int, int], str] = {}
        self.closed: set[int] = set()  # processes whose files or mounts may not be read
        self.socket_holders: dict[int, int] = {}
        self.held: list[tuple[str, int, str]] = []  # by a file descriptor: kind, inode, path
        self.mounted: list[NamespaceMount] = []
        self.ordinary: set[int] = set()  # ids of mounts that are not namespaces

    def run(self) -> Discovery:
        self._find_tasks()
        self._find_mounts()
        for pid in self.pids:
            self._find_descriptors(pid)
        namespaces = self._collect()
        self._find_unattended_mounts(namespaces)
        if self.closed:
            number = len(self.closed)
            text = (
                f"the open files and the mounts of {number} {'process' if number == 1 else 'processes'} may not be read, so network "
                "namespaces that only they keep open are unknown"
            )
            if os.geteuid() != 0:
                text += "; run the module as root"
            self.problems.append(Problem("namespaces_hidden", text))
        return Discovery(namespaces, self.socket_holders, self.problems)

    # -- threads

    def _find_tasks(self) -> None:
        hidden = 0
        self.pids = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
        for pid in self.pids:
            for task in _tasks_of(pid):
                try:
                    self.tasks[os.stat(f"{task}/net/dev").st_ino].append(task)
                except OSError as error:
                    # A thread that has ended, or a zombie, is in no namespace.
                    hidden += error.errno not in ENDED
                    continue
                try:
                    mounts, root = os.stat(f"{task}/ns/mnt").st_ino, os.stat(f"{task}/root")
                    self.roots.setdefault((mounts, root.st_dev, root.st_ino), task)
                except OSError as error:
                    if error.errno not in ENDED:
                        self.closed.add(pid)
        if hidden or not os.path.exists("/proc/1/net/dev"):
            text = "processes of other users are hidden, so their network namespaces are unknown; run the module as root"
            self.problems.append(Problem("processes_hidden", text))
        elif os.path.exists(_FIRST_NETWORK_SETTING) and os.readlink("/proc/self/ns/pid") != _FIRST_PID_NAMESPACE:
            text = "the module runs in a container that shares the network of its machine but cannot see the processes of the machine"
            self.problems.append(Problem("processes_hidden", text))

    # -- mounts

    def _find_mounts(self) -> None:
        own = "/proc/self"
        try:
            root = os.stat(f"{own}/root")
            self.roots.pop((os.stat(f"{own}/ns/mnt").st_ino, root.st_dev, root.st_ino), None)
        except OSError as error:
            self.problems.append(Problem("namespace_unreadable", f"{own}/root cannot be read: {error}"))
        for task, prefix in ((own, ""), *((task, f"{task}/root") for task in self.roots.values())):
            try:
                mounts, ordinary = parse_mounts(read_file(f"{task}/mountinfo"))
            except (OSError, Unreadable) as error:
                if isinstance(error, Unreadable) or task == own or error.errno not in ENDED:
                    self.problems.append(Problem("namespace_unreadable", f"{task}/mountinfo cannot be read: {error}"))
                continue
            self.mounted += [mount._replace(path=prefix + mount.path) for mount in mounts]
            self.ordinary |= ordinary

    def _find_unattended_mounts(self, namespaces: dict[str, Namespace]) -> None:
        """A mount namespace may have no process. Only its mounts are read, and a network namespace there is not entered."""
        known = {mounts for mounts, _device, _root in self.roots}
        with contextlib.suppress(OSError):
            known.add(os.stat("/proc/self/ns/mnt").st_ino)
        ways = [(kind, inode, path) for kind, inode, path in [*self.held, *self.mounted] if kind == MNT and inode not in known]
        for inode in sorted({inode for _kind, inode, _path in ways}):
            failure: Exception | None = None
            for path in [path for _kind, number, path in ways if number == inode]:
                try:
                    mounts, _ordinary = parse_mounts(self._read_mounts(path))
                except (OSError, Unreadable) as error:
                    failure = error
                    continue
                failure = None
                if any(mount.kind == NET and str(mount.inode) not in namespaces for mount in mounts):
                    text = f"mount namespace mnt:[{inode}] has no process, and keeps a network namespace that the module cannot enter"
                    self.problems.append(Problem("namespace_not_permitted", text))
                break
            if failure:
                text = f"mount namespace mnt:[{inode}] cannot be read: {failure}"
                self.problems.append(Problem("namespace_unreadable", text))

    # -- file descriptors

    def _find_descriptors(self, pid: int) -> None:
        folder = f"/proc/{pid}/fd"
        try:
            numbers = os.listdir(folder)
        except OSError as error:
            if error.errno not in ENDED and self._is_running(pid):
                self.closed.add(pid)
            return
        for number in numbers:
            path = f"{folder}/{number}"
            try:
                target = os.readlink(path)
                if target.startswith("socket:["):
                    inode = int(target[8:-1])
                    # Process 1 may hold a socket only to start its service, so another holder is preferred.
                    if self.socket_holders.get(inode, 1) == 1:
                        self.socket_holders[inode] = pid
                    continue
                # The kernel names a pipe and the like without a slash. A namespace that was opened through a mount has a path.
                if not target.startswith(("/", "net:[", "mnt:[")) or (target.startswith("/") and self._is_ordinary(pid, number)):
                    continue
                found = os.stat(path)
                if found.st_dev == self.own.st_dev:
                    kind = _kind_of(path)
                    if kind:
                        self.held.append((kind, found.st_ino, path))
            except OSError as error:
                if error.errno not in ENDED:
                    self.closed.add(pid)

    def _is_ordinary(self, pid: int, number: str) -> bool:
        """Whether the file is on a mount that is not a namespace. Then ``stat`` is not needed, which could wait for a server for ever."""
        try:
            mount = parse_mount_id(read_file(f"/proc/{pid}/fdinfo/{number}"))
        except OSError:
            return False
        return mount is not None and mount in self.ordinary

    def _is_running(self, pid: int) -> bool:
        """Whether the process is in a namespace. A zombie has no file."""
        return os.path.exists(f"/proc/{pid}/net/dev")

    # -- all together

    def _collect(self) -> dict[str, Namespace]:
        """By key, which is the inode of the namespace if it may be read."""
        namespaces: dict[str, Namespace] = {str(self.own.st_ino): Namespace(self.own.st_ino)}

        def known(inode: int) -> Namespace:
            return namespaces.setdefault(str(inode), Namespace(inode))

        own_number = os.stat("/proc/self/net/dev").st_ino
        for number, tasks in self.tasks.items():
            inode = self.own.st_ino if number == own_number else _inode_of_any(tasks)
            namespace = known(inode) if inode is not None else namespaces.setdefault(f"dev:{number}", Namespace(None))
            namespace.tasks += tasks
        for inode, name, path in self._named():
            namespace = known(inode)
            namespace.name = namespace.name or name
            namespace.paths.append(path)
        for kind, inode, path in [*self.mounted, *self.held]:
            if kind == NET:
                known(inode).paths.append(path)
        return namespaces

    def _named(self) -> Iterator[tuple[int, str, str]]:
        """Inode, name in ``ip netns``, and path."""
        for folder in _NAMED:
            try:
                names = sorted(os.listdir(folder))
            except FileNotFoundError:
                continue
            except OSError as error:
                self.problems.append(Problem("namespace_not_permitted", f"{folder} cannot be read: {error.strerror}"))
                continue
            for name in names:
                path = f"{folder}/{name}"
                try:
                    found = os.stat(path)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    self.problems.append(Problem("namespace_not_permitted", f"{path} cannot be read: {error.strerror}"))
                    continue
                if found.st_dev == self.own.st_dev:
                    yield found.st_ino, name, path
                else:
                    text = f"{path} is not a network namespace; remove it if nothing uses it"
                    self.problems.append(Problem("namespace_unreadable", text))


def _tasks_of(pid: int) -> list[str]:
    """The folders of the threads of a process. A thread may be in another namespace than its process."""
    folder = f"/proc/{pid}"
    try:
        threads = os.listdir(f"{folder}/task")
    except OSError:
        threads = []
    return [folder, *(f"{folder}/task/{thread}" for thread in threads if thread != str(pid))]


def _inode_of_any(tasks: Sequence[str]) -> int | None:
    for task in tasks:
        with contextlib.suppress(OSError):
            return os.stat(f"{task}/ns/net").st_ino
    return None


def _kind_of(path: str) -> str:
    """``net`` or ``mnt``, or an empty string for another kind of namespace. An old kernel does not know the kind. Then ``net`` is
    assumed: if that is wrong, the module cannot enter the namespace, and reports it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _KINDS.get(fcntl.ioctl(descriptor, _NS_GET_NSTYPE), "")
    except OSError as error:
        if error.errno == errno.ENOTTY:
            return NET
        raise
    finally:
        os.close(descriptor)
