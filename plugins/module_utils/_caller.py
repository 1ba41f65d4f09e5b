# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether anybody still waits for the result of this process. If not, nothing more may be written.

Private to this collection. ansible-core starts each worker in a session of its own, so a signal to the play's process group
reaches neither the worker nor the module, and a module whose play was killed would go on writing (ansible-runs.md). Two signs
show it: nobody reads standard output any more, or a process between this one and the play has ended.
"""

from __future__ import annotations

import os
import select
import time
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
STANDARD_OUTPUT = 1
SECONDS_BETWEEN_LOOKS = 0.25  # after the caller is gone, writes end within 2 s


class _Process(NamedTuple):
    """One process. With its start time, because the system uses a process id again. ``parent`` is None where it does not matter."""

    pid: int
    parent: int | None
    started: str


class Caller:
    """The processes that this one was started by, as they are when this object is made. ``output``: the file descriptor that the
    result goes to; None for an action, whose result does not go through one."""

    def __init__(self, output: int | None = STANDARD_OUTPUT) -> None:
        self._output = output
        self._chain = _find_chain()
        self._looked_at = float("-inf")

    def is_waiting(self) -> bool:
        """Looks at most every SECONDS_BETWEEN_LOOKS, because it is asked before each call."""
        if time.monotonic() - self._looked_at > SECONDS_BETWEEN_LOOKS:
            if _has_hung_up(self._output) or not all(map(_is_there, self._chain)):
                return False
            self._looked_at = time.monotonic()
        return True

    def look_again(self) -> None:
        """The next ``is_waiting`` looks, however short ago the last look was."""
        self._looked_at = float("-inf")


def _find_chain() -> tuple[_Process, ...]:
    """This process and its ancestors up to the play, whose own parent may end, as after ``nohup``.

    The play is where a process forked a session leader that runs the same program: ansible-core's worker. Without a play above
    (async, or a connection to another host) the chain ends with the first process of another session, or with the last one
    below process 1.
    """
    chain: list[_Process] = []
    other_session = 0
    pid: int | None = os.getpid()
    while pid and pid > 1 and (process := _look_up(pid)):
        chain.append(process)
        if not other_session and _session(process.pid) != _session(os.getpid()):
            other_session = len(chain)
        is_worker = _session(process.pid) == process.pid and _program(process.pid) in {_program(process.parent)} - {None}
        if is_worker and process.parent and (play := _look_up(process.parent)):
            return (*chain, play._replace(parent=None))
        pid = process.parent
    chain = chain[: other_session or None]
    return (*chain[:-1], *(top._replace(parent=None) for top in chain[-1:]))


def _look_up(pid: int) -> _Process | None:
    """From /proc; None if the process has ended. Elsewhere only the parent of this process is known."""
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


def _program(pid: int | None) -> str | None:
    try:
        return os.readlink(PROC / str(pid) / "exe")
    except OSError:
        return None


def _has_hung_up(descriptor: int | None) -> bool:
    """Whether the other end of a pipe or socket was closed. A file or a terminal has no other end that could."""
    if descriptor is None:
        return False
    poll = select.poll()
    try:
        poll.register(descriptor, 0)  # errors and hang-ups are always reported
        return any(event & (select.POLLERR | select.POLLHUP) for _descriptor, event in poll.poll(0))
    except (OSError, ValueError):
        return False
