# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the addresses and sockets of this Linux machine, in all its network namespaces. Changes nothing.

Private to this collection. It runs on the instances: Python 3.9 and the standard library.

If rtnetlink is not permitted, or a namespace may not be entered, the addresses come from /proc/PID/net, which everyone may read.
Each part that could not be read becomes a ``Problem``.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_netlink import read_netlink
from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_proc import (
    parse_namespace_link,
    parse_namespace_mounts,
    read_addresses,
    read_file,
    read_mac_addresses,
    read_sockets,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_reading import (
    Problem,
    Reading,
    Unreadable,
    build_result,
    printable,
)

_CLONE_NEWNET = 0x40000000
_NAMESPACE_SECONDS = 60.0
_NAMED = ("/run/netns", "/var/run/netns")
# The first PID namespace has the same number on every machine (include/linux/proc_ns.h).
_FIRST_PID_NAMESPACE = "pid:[4026531836]"
# Exists only in the first network namespace.
_FIRST_NETWORK_SETTING = "/proc/sys/net/core/netdev_max_backlog"
_ENDED = (errno.ENOENT, errno.ESRCH, errno.EINVAL)


def read_guest() -> dict[str, Any]:
    """The result of the module, without ``changed``."""
    problems: list[Problem] = []
    processes = _find_processes(problems)
    own = os.stat("/proc/self/ns/net")
    own_key = str(own.st_ino)
    namespaces = _find_namespaces(processes, own, problems)
    with contextlib.ExitStack() as stack:
        descriptors: dict[str, int] = {}
        for key, namespace in namespaces.items():
            descriptor = namespace.open()
            if descriptor is not None:
                stack.callback(os.close, descriptor)
                descriptors[key] = descriptor
        readings = []
        for key, namespace in namespaces.items():
            reading = Reading(key)
            reading.name, reading.process = namespace.label(key == own_key), None if key == own_key else namespace.process
            if key == own_key:
                read_namespace(reading, "/proc/self/net", descriptors)
            elif not _read_other(reading, namespace, descriptors):
                continue
            readings.append(reading)
    holders = processes.socket_holders
    used = {listener.inode for reading in readings for listener in reading.listeners} & set(holders)
    names = {inode: name for inode in used for name in [_process_name(holders[inode])] if name}
    return build_result(readings, names, problems)


# -- processes and namespaces


class _Processes:
    """Process ids by network namespace, and what their file descriptors refer to."""

    def __init__(self) -> None:
        # By the inode of /proc/PID/net/dev, which differs for each namespace, and which everyone may read.
        self.by_namespace: dict[int, list[int]] = defaultdict(list)
        self.socket_holders: dict[int, int] = {}
        self.held_namespaces: dict[int, str] = {}


def _find_processes(problems: list[Problem]) -> _Processes:
    processes = _Processes()
    hidden = 0
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            processes.by_namespace[os.stat(f"/proc/{pid}/net/dev").st_ino].append(pid)
        except OSError as error:
            # A process that has ended, or a zombie, is in no namespace.
            hidden += error.errno not in _ENDED
        _find_descriptors(pid, processes)
    if hidden or not os.path.exists("/proc/1/net/dev"):
        text = "processes of other users are hidden, so their network namespaces are unknown; run the module as root"
        problems.append(Problem("processes_hidden", text))
    elif os.path.exists(_FIRST_NETWORK_SETTING) and os.readlink("/proc/self/ns/pid") != _FIRST_PID_NAMESPACE:
        text = "the module runs in a container that shares the network of its machine but cannot see the processes of the machine"
        problems.append(Problem("processes_hidden", text))
    return processes


def _find_descriptors(pid: int, processes: _Processes) -> None:
    folder = f"/proc/{pid}/fd"
    try:
        numbers = os.listdir(folder)
    except OSError:
        return  # then only names of processes are missing
    for number in numbers:
        try:
            target = os.readlink(f"{folder}/{number}")
        except OSError:
            continue
        if target.startswith("socket:["):
            inode = int(target[8:-1])
            # Process 1 may hold a socket only to start its service, so another holder is preferred.
            if processes.socket_holders.get(inode, 1) == 1:
                processes.socket_holders[inode] = pid
        elif target.startswith("net:["):
            held = parse_namespace_link(target)
            if held is not None:
                processes.held_namespaces.setdefault(held, f"{folder}/{number}")


class _Namespace:
    """A network namespace and the ways into it."""

    def __init__(self, inode: int | None) -> None:
        self.inode = inode
        self.name = ""
        self.paths: list[str] = []
        self.pids: list[int] = []
        self.process: str | None = None

    def label(self, own: bool) -> str:
        """The name of the namespace in results."""
        if own:
            return ""
        return self.name or (f"net:[{self.inode}]" if self.inode is not None else f"pid:{self.pids[0]}")

    def open(self) -> int | None:
        for path in [*self.paths, *(f"/proc/{pid}/ns/net" for pid in self.pids)]:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            if self.inode is not None and os.fstat(descriptor).st_ino == self.inode:
                return descriptor
            os.close(descriptor)
        return None

    def exists(self) -> bool:
        """Whether the namespace still exists. True if in doubt."""
        if any(os.path.exists(f"/proc/{pid}/net/dev") for pid in self.pids):
            return True
        for path in self.paths:
            try:
                if os.stat(path).st_ino == self.inode:
                    return True
            except OSError as error:
                if error.errno not in _ENDED:
                    return True
        return False


def _find_namespaces(processes: _Processes, own: os.stat_result, problems: list[Problem]) -> dict[str, _Namespace]:
    """All namespaces by key. The key is the inode of the namespace, if it may be read."""
    namespaces: dict[str, _Namespace] = {str(own.st_ino): _Namespace(own.st_ino)}

    def known(inode: int) -> _Namespace:
        return namespaces.setdefault(str(inode), _Namespace(inode))

    own_number = os.stat("/proc/self/net/dev").st_ino
    for number, pids in processes.by_namespace.items():
        inode = own.st_ino if number == own_number else _inode_of_any(pids)
        namespace = known(inode) if inode is not None else namespaces.setdefault(f"pid:{pids[0]}", _Namespace(None))
        namespace.pids += pids
        namespace.process = _process_name(pids[0])
    for inode, name, path in _named_namespaces(own.st_dev, problems):
        namespace = known(inode)
        namespace.name = namespace.name or name
        namespace.paths.append(path)
    for inode, path in processes.held_namespaces.items():
        known(inode).paths.append(path)
    return namespaces


def _inode_of_any(pids: Iterable[int]) -> int | None:
    for pid in pids:
        with contextlib.suppress(OSError):
            return os.stat(f"/proc/{pid}/ns/net").st_ino
    return None


def _named_namespaces(device: int, problems: list[Problem]) -> Iterator[tuple[int, str, str]]:
    """Inode, name in ``ip netns`` or an empty string, and path."""
    for folder in _NAMED:
        try:
            names = sorted(os.listdir(folder))
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(Problem("namespace_not_permitted", f"{folder} cannot be read: {error.strerror}"))
            continue
        for name in names:
            path = f"{folder}/{name}"
            try:
                found = os.stat(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                problems.append(Problem("namespace_not_permitted", f"{path} cannot be read: {error.strerror}"))
                continue
            if found.st_dev == device:
                yield found.st_ino, name, path
            else:
                problems.append(Problem("namespace_unreadable", f"{path} is not a network namespace; remove it if nothing uses it"))
    try:
        for inode, path in parse_namespace_mounts(read_file("/proc/self/mountinfo")):
            yield inode, "", path
    except (OSError, Unreadable) as error:
        problems.append(Problem("namespace_unreadable", f"/proc/self/mountinfo cannot be read: {error}"))


def _process_name(pid: int) -> str | None:
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return printable(file.read(256).decode("utf-8", "replace").rstrip("\n")) or None
    except OSError:
        return None


# -- one namespace


def _read_other(reading: Reading, namespace: _Namespace, descriptors: Mapping[str, int]) -> bool:
    """Read a namespace that this process is not in. False if it no longer exists."""
    refused = "the module may not enter it"
    if reading.key in descriptors:
        refused = _in_child(reading, descriptors)
        if not refused:
            return True
    for pid in namespace.pids:
        folder = f"/proc/{pid}/net"
        attempt = Reading(reading.key)
        try:
            before = os.stat(f"{folder}/dev").st_ino
            _read_text(attempt, folder)
            if os.stat(f"{folder}/dev").st_ino != before:
                continue
        except OSError:
            continue
        reading.update(attempt.as_dict())
        return True
    if not namespace.exists():
        return False
    reading.problems.append(Problem("namespace_not_permitted", f"the namespace cannot be read: {refused}"))
    return True


def _in_child(reading: Reading, descriptors: Mapping[str, int]) -> str:
    """Read in a child process, because a process that has entered a namespace may not be able to leave it. Returns why it failed,
    or ''."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(receiver)
            answer: dict[str, Any]
            try:
                _enter(descriptors[reading.key])
                read_namespace(reading, "/proc/self/net", descriptors)
                answer = reading.as_dict()
            except OSError as error:
                answer = {"refused": error.strerror or str(error)}
            _write_all(sender, json.dumps(answer).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(sender)
    try:
        data = _read_pipe(receiver, time.monotonic() + _NAMESPACE_SECONDS)
        if data is None:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(receiver)
        _pid, status = os.waitpid(child, 0)
    if data is None:
        return f"the read took more than {_NAMESPACE_SECONDS:.0f} seconds"
    if status:
        return "the read ended early"
    answer = json.loads(data)
    if "refused" in answer:
        return str(answer["refused"])
    reading.update(answer)
    return ""


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _read_pipe(descriptor: int, deadline: float) -> bytes | None:
    parts: list[bytes] = []
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            return None
        part = os.read(descriptor, 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)


def _enter(descriptor: int) -> None:
    enter: Callable[[int, int], None] | None = getattr(os, "setns", None)  # Python 3.12 and later
    if enter is not None:
        enter(descriptor, _CLONE_NEWNET)
        return
    try:
        import ctypes

        function = ctypes.CDLL(None, use_errno=True).setns
    except (ImportError, OSError, AttributeError):
        raise OSError(errno.ENOSYS, "this Python cannot enter a namespace") from None
    if function(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def read_namespace(reading: Reading, folder: str, descriptors: Mapping[str, int]) -> None:
    """Read the namespace that this process is in. ``folder``: its /proc/…/net. ``descriptors``: all namespaces, by key."""
    try:
        read_netlink(reading, descriptors)
    except (OSError, Unreadable) as error:
        reading.problems.append(Problem("netlink_failed", f"the interfaces cannot be read: {error}"))
        read_addresses(reading, folder)
        read_mac_addresses(reading, folder)
    read_sockets(reading, folder)


def _read_text(reading: Reading, folder: str) -> None:
    read_addresses(reading, folder)
    read_sockets(reading, folder)
