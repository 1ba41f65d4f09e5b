# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When the next call may be sent: calls are evenly spaced, and all wait while the service throttles. Does not use the SDK.

Private to this collection. The quota of the service is per account, region and API, and resets each minute. The whole account shares
it (ECS "API call throttling"). So one throttled call holds all calls. Then one call probes, and when it succeeds, the others go on.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock

MINUTE = 60.0
FIRST_HOLD = 1.0
# Seconds after the start of a minute, so that a fast clock does not probe in the previous minute.
PAST_THE_TURN = (0.2, 0.8)


class Stopwatch:
    """Seconds since the start, without the time in which calls of this thread were held back. Use it in one thread only."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._started = _clock.now()
        self._waited_before = pacer.waited

    @property
    def seconds(self) -> float:
        return _clock.now() - self.started

    @property
    def started(self) -> float:
        """``_clock.now`` at the start, plus the time that calls were held back since: when the first call was sent."""
        return self._started + self._pacer.waited - self._waited_before


class Pacer:
    """Shared by all threads of a run. With ``calls_per_minute`` 0, calls are not spaced."""

    def __init__(self, calls_per_minute: int, burst: int, wall_clock: Callable[[], float] = time.time) -> None:
        self._interval = MINUTE / calls_per_minute if calls_per_minute else 0.0
        self._tolerance = self._interval * max(burst - 1, 0)
        self._due = _clock.now()
        self._wall_clock = wall_clock
        self._turn = threading.Condition()
        self._resume_at: float | None = None  # set while calls are held
        self._next_hold = FIRST_HOLD
        self._probe: int | None = None  # the thread whose call tests whether the service still throttles
        self._stopped = False
        self._waited = threading.local()

    @property
    def waited(self) -> float:
        """Seconds that this thread has spent in ``admit``, or waiting for a thread in it. The timeouts of the user exclude this time."""
        return getattr(self._waited, "seconds", 0.0)

    @waited.setter
    def waited(self, seconds: float) -> None:
        self._waited.seconds = seconds

    def admit(self) -> bool:
        """Wait until this thread may send one call. Afterwards ``throttled``, ``passed`` or ``abandoned`` must be called. Returns False
        if no more calls may be sent."""
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
                self._turn.wait(left)  # not a sleep, because a hold may begin in the meantime
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
        """A call was throttled. Hold all calls, for ``retry_after`` seconds if the service asks for that."""
        with self._turn:
            if self._resume_at is not None and self._probe != threading.get_ident():
                return  # this call was sent before the hold began
            self._probe = None
            # The quota resets each minute, so a longer wait would be an error of the service.
            self._resume_at = _clock.now() + min(retry_after or self._own_hold(), MINUTE + PAST_THE_TURN[1])
            self._turn.notify_all()

    def passed(self) -> None:
        """A call was not throttled. If it was the probe, the other calls go on."""
        with self._turn:
            if self._probe == threading.get_ident():
                self._probe = self._resume_at = None
                self._next_hold = FIRST_HOLD
                self._turn.notify_all()

    def abandoned(self) -> None:
        """The admitted call was not sent. If it was the probe, another call takes its place."""
        with self._turn:
            if self._probe == threading.get_ident():
                self._probe = None
                self._turn.notify_all()

    def _own_hold(self) -> float:
        """Seconds to hold. They double each time, but end shortly after the next minute begins, because the quota resets then."""
        margin = random.uniform(*PAST_THE_TURN)  # noqa: S311 - spreads calls, not a secret
        to_the_turn = MINUTE - self._wall_clock() % MINUTE + margin
        hold = min(self._next_hold, to_the_turn)
        self._next_hold = FIRST_HOLD if hold == to_the_turn else self._next_hold * 2
        return hold
