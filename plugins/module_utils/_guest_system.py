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
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_discovery import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    Namespace,
    discover,
    process_name,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_netlink import read_netlink
from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_proc import (
    read_addresses,
    read_file,
    read_mac_addresses,
    read_promotion,
    read_sockets,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_reading import Problem, Reading, Unreadable, build_result

_NAMESPACE_SECONDS = 60.0


def read_guest() -> dict[str, Any]:
    """The result of the module, without ``changed``."""
    namespaces, holders, problems = discover(_read_mounts)
    own_key = str(os.stat("/proc/self/ns/net").st_ino)
    with contextlib.ExitStack() as stack:
        descriptors: dict[str, int] = {}
        for key, namespace in namespaces.items():
            descriptor = namespace.open()
            if descriptor is not None:
                stack.callback(os.close, descriptor)
                descriptors[key] = descriptor
        readings = []
        refused = {}
        for key, namespace in namespaces.items():
            reading = Reading(key)
            reading.name, reading.process = namespace.label(key == own_key), None if key == own_key else namespace.process
            if key == own_key:
                read_namespace(reading, "/proc/self/net", descriptors)
            else:
                refused[key] = _read_other(reading, namespace, descriptors)
            readings.append(reading)
    readings = _without_ended(readings, {key: why for key, why in refused.items() if why})
    used = {listener.inode for reading in readings for listener in reading.listeners} & set(holders)
    names = {inode: name for inode in used for name in [process_name(f"/proc/{holders[inode]}")] if name}
    return build_result(readings, names, problems)


def _without_ended(readings: list[Reading], refused: Mapping[str, str]) -> list[Reading]:
    """The readings without those of namespaces that no longer exist. ``refused``: why a namespace was not read."""
    if not refused:
        return readings
    existing = discover(_read_mounts).namespaces
    for reading in readings:
        if reading.key in refused:
            reading.problems.append(Problem("namespace_not_permitted", f"the namespace cannot be read: {refused[reading.key]}"))
    return [reading for reading in readings if reading.key not in refused or reading.key in existing]


# -- one namespace


def _read_other(reading: Reading, namespace: Namespace, descriptors: Mapping[str, int]) -> str:
    """Read a namespace that this process is not in. Returns why it failed, or ''."""
    refused = "the module may not enter it"
    if reading.key in descriptors:
        refused = _read_in_child(reading, descriptors)
        if not refused:
            return ""
    for task in namespace.tasks:
        folder = f"{task}/net"
        attempt = Reading(reading.key)
        try:
            before = os.stat(f"{folder}/dev").st_ino
            _read_text(attempt, folder)
            if os.stat(f"{folder}/dev").st_ino != before:
                continue
        except OSError:
            continue
        reading.update(attempt.as_dict())
        return ""
    return refused


def _read_in_child(reading: Reading, descriptors: Mapping[str, int]) -> str:
    """Returns why it failed, or ''."""

    def read() -> Any:
        _enter(descriptors[reading.key], CLONE_NEWNET)
        read_namespace(reading, "/proc/self/net", descriptors)
        return reading.as_dict()

    try:
        reading.update(_in_child(read))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _read_mounts(path: str) -> str:
    """The text of mountinfo in the mount namespace at this path."""

    def read() -> Any:
        process = os.open("/proc/self", os.O_RDONLY | os.O_DIRECTORY)
        descriptor = os.open(path, os.O_RDONLY)
        _enter(descriptor, CLONE_NEWNS)
        os.fchdir(process)
        return read_file("mountinfo")

    return str(_in_child(read))


def _in_child(read: Callable[[], Any]) -> Any:
    """Call ``read`` in a child process, because a process that has entered a namespace may not be able to leave it. Returns the value
    of ``read``, after a conversion to JSON and back. OSError says why it failed."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(receiver)
            answer: dict[str, Any]
            try:
                answer = {"value": read()}
            except OSError as error:
                answer = {"refused": error.strerror or str(error), "errno": error.errno}
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
        raise OSError(errno.ETIMEDOUT, f"the read took more than {_NAMESPACE_SECONDS:.0f} seconds")
    if status:
        raise OSError(errno.EIO, "the read ended early")
    answer = json.loads(data)
    if "refused" in answer:
        raise OSError(answer["errno"], answer["refused"])
    return answer["value"]


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


def _enter(descriptor: int, kind: int) -> None:
    enter: Callable[[int, int], None] | None = getattr(os, "setns", None)  # Python 3.12 and later
    if enter is not None:
        enter(descriptor, kind)
        return
    try:
        import ctypes

        function = ctypes.CDLL(None, use_errno=True).setns
    except (ImportError, OSError, AttributeError):
        raise OSError(errno.ENOSYS, "this Python cannot enter a namespace") from None
    if function(descriptor, kind) != 0:
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
    read_promotion(reading)
    read_sockets(reading, folder)


def _read_text(reading: Reading, folder: str) -> None:
    read_addresses(reading, folder)
    read_sockets(reading, folder)
