# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When the next call may go: evenly spaced, and held together while the service throttles. Knows no SDK.

Private to this collection. The quota of the service is per account, region and API, resets with the minute, and is
shared with everything else in the account (ECS "API call throttling"): so one throttled call holds all of them, one
call probes, and only when that one is let through do the others go on.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock

MINUTE = 60.0
FIRST_HOLD = 1.0
# Behind the turn of the minute, so that a clock that is a little fast does not probe in the old one.
PAST_THE_TURN = (0.2, 0.8)


class Stopwatch:
    """Seconds that passed, without those in which the calls of this thread were held back. Use it in one thread only."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._started = _clock.now()
        self._waited_before = pacer.waited

    @property
    def seconds(self) -> float:
        return _clock.now() - self.started

    @property
    def started(self) -> float:
        """``_clock.now`` of the start, later by what was held back since: when a call that followed was really sent."""
        return self._started + self._pacer.waited - self._waited_before


class Pacer:
    """Shared by all threads of a run. ``calls_per_minute`` 0 means no spacing of our own."""

    def __init__(self, calls_per_minute: int, burst: int, wall_clock: Callable[[], float] = time.time) -> None:
        self._interval = MINUTE / calls_per_minute if calls_per_minute else 0.0
        self._tolerance = self._interval * max(burst - 1, 0)
        self._due = _clock.now()
        self._wall_clock = wall_clock
        self._turn = threading.Condition()
        self._resume_at: float | None = None  # set while held
        self._next_hold = FIRST_HOLD
        self._probe: int | None = None  # the thread whose call tries whether the service lets go
        self._stopped = False
        self._waited = threading.local()

    @property
    def waited(self) -> float:
        """Seconds this thread has spent in ``admit``, or waiting for one that was there: time that no timeout of a user should
        count."""
        return getattr(self._waited, "seconds", 0.0)

    @waited.setter
    def waited(self, seconds: float) -> None:
        self._waited.seconds = seconds

    def admit(self) -> bool:
        """Returns when this thread may send one call: ``throttled``, ``passed`` or ``abandoned`` must follow. False: it never may."""
        started = _clock.now()
        with self._turn:
            slot: float | None = None
            while True:
                self._wait_out_the_hold()
                if self._stopped:
                    return False
                if slot is None:
                    self._due = max(self._due, _clock.now())
                    slot = self._due - self._tolerance
                    self._due += self._interval
                left = slot - _clock.now()
                if left <= 0:
                    break
                self._turn.wait(left)  # and not sleep: a hold may begin meanwhile
            if self._resume_at is not None:
                self._probe = threading.get_ident()
        self.waited += _clock.now() - started
        return True

    def stop(self) -> None:
        """Admit no more calls. Threads that wait for their turn return at once."""
        with self._turn:
            self._stopped = True
            self._turn.notify_all()

    def _wait_out_the_hold(self) -> None:
        while not self._stopped and self._resume_at is not None and (self._probe is not None or _clock.now() < self._resume_at):
            self._turn.wait(None if self._probe is not None else max(self._resume_at - _clock.now(), 0))

    def throttled(self, retry_after: float | None) -> None:
        """A call was refused for its rate: hold all, for ``retry_after`` seconds if the service asked for that."""
        with self._turn:
            if self._resume_at is not None and self._probe != threading.get_ident():
                return  # one of those that were under way when the hold began
            self._probe = None
            # The quota is new with the next minute: so a longer wait can only be an error of the service.
            self._resume_at = _clock.now() + min(retry_after or self._own_hold(), MINUTE + PAST_THE_TURN[1])
            self._turn.notify_all()

    def passed(self) -> None:
        """A call got any other answer. If it was the probe, the others go on."""
        with self._turn:
            if self._probe == threading.get_ident():
                self._probe = self._resume_at = None
                self._next_hold = FIRST_HOLD
                self._turn.notify_all()

    def abandoned(self) -> None:
        """The admitted call was not sent after all. If it was to be the probe, another one will be."""
        with self._turn:
            if self._probe == threading.get_ident():
                self._probe = None
                self._turn.notify_all()

    def _own_hold(self) -> float:
        """Doubling, but not past the turn of the minute, where the quota is new."""
        margin = random.uniform(*PAST_THE_TURN)  # noqa: S311 - spreads calls, keeps no secret
        to_the_turn = MINUTE - self._wall_clock() % MINUTE + margin
        hold = min(self._next_hold, to_the_turn)
        self._next_hold = FIRST_HOLD if hold == to_the_turn else self._next_hold * 2
        return hold
