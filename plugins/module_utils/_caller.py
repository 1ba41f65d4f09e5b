# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a caller still waits for the result of this process. If not, nothing more may be written.

Private to this collection. ansible-core starts each worker in a session of its own. So a signal to the process group of the play
reaches neither worker nor module, and a module whose play was killed would go on writing (ansible-runs.md). There are two signs: the
reader of standard output has closed it, or a process between this one and the play has ended.
"""

from __future__ import annotations

import os
import re
import select
import time
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
STANDARD_OUTPUT = 1
ASYNC_WRAPPER = b"async_wrapper"  # in the command line of the process that starts the module of an async task
REMOTE_LOGIN = re.compile(rb"[^ \0]*\b(sshd|dropbear)")  # begins the command line of the server of a connection by SSH
SECONDS_BETWEEN_CHECKS = 0.25  # after the caller is gone, writes end within 2 s


class _Process(NamedTuple):
    """One process, with its start time, because the system reuses process ids. ``parent`` is None if it does not matter."""

    pid: int
    parent: int | None
    started: str


class Caller:
    """This process and the processes that started it, when this object is made. ``output``: the file descriptor for the result; None
    for an action, which has no such descriptor. ``is_remote``: the play runs on another machine, and this process cannot see its end."""

    def __init__(self, output: int | None = STANDARD_OUTPUT) -> None:
        self._output = output
        self._chain, self.is_remote = _find_chain()
        self._checked_at = float("-inf")

    def is_waiting(self) -> bool:
        """Checks at most once in SECONDS_BETWEEN_CHECKS, because it is called before each call."""
        if time.monotonic() - self._checked_at > SECONDS_BETWEEN_CHECKS:
            if _has_hung_up(self._output) or not all(map(_is_there, self._chain)):
                return False
            self._checked_at = time.monotonic()
        return True

    def check_next_time(self) -> None:
        """The next ``is_waiting`` checks in any case."""
        self._checked_at = float("-inf")


def _find_chain() -> tuple[tuple[_Process, ...], bool]:
    """This process and its ancestors up to the play, and whether the play runs on another machine. The parent of the play may end, as
    after ``nohup``.

    The play is the process whose child is a session leader with the same command line, because ansible-core starts its workers in this
    way. With become, there are other sessions and other users in between. Without a play (async, or a connection to another host) the
    chain ends with the first process of another session, or below process 1. The play is on another machine if an SSH server is found
    first, and no async task. Other connections, such as that to a container, cannot be distinguished from a module that was started by
    hand."""
    chain: list[_Process] = []
    other_session = 0
    is_async = is_remote = False
    pid: int | None = os.getpid()
    while pid and pid > 1 and (process := _look_up(pid)):
        chain.append(process)
        if not other_session and _session(process.pid) != _session(os.getpid()):
            other_session = len(chain)
        command_line = _command_line(pid) or b""
        is_async = is_async or ASYNC_WRAPPER in command_line
        is_remote = is_remote or bool(REMOTE_LOGIN.match(command_line))
        is_worker = _session(process.pid) == process.pid and command_line in {_command_line(process.parent)} - {None}
        if is_worker and process.parent and (play := _look_up(process.parent)):
            return (*chain, play._replace(parent=None)), False
        pid = process.parent
    chain = chain[: other_session or None]
    return (*chain[:-1], *(top._replace(parent=None) for top in chain[-1:])), is_remote and not is_async


def _look_up(pid: int) -> _Process | None:
    """Read from /proc; None if the process has ended. Without /proc only the parent of this process is known."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return _Process(pid, os.getppid(), "") if pid == os.getpid() and not PROC.joinpath("self").exists() else None
    state, parent, started = fields[0], int(fields[1]), fields[19]
    return None if state in "ZX" else _Process(pid, parent, started)


def _is_there(process: _Process) -> bool:
    now = _look_up(process.pid)
    return now is not None and now.started == process.started and process.parent in (None, now.parent)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _command_line(pid: int | None) -> bytes | None:
    """Of a process of any user. None if it is not known, or if the process has none."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes() or None
    except OSError:
        return None


def _has_hung_up(descriptor: int | None) -> bool:
    """Whether the other end of a pipe or socket was closed. Always False for a file or a terminal."""
    if descriptor is None:
        return False
    poll = select.poll()
    try:
        poll.register(descriptor, 0)  # errors and hang-ups are always reported
        return any(event & (select.POLLERR | select.POLLHUP) for _descriptor, event in poll.poll(0))
    except (OSError, ValueError):
        return False
