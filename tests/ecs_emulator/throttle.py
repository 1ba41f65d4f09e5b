# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limit of calls of one API in one region per minute. Each minute starts at zero."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ecs_emulator.errors import Refusal, refusal


class Throttle:
    def __init__(self, limits: Mapping[str, int], window_seconds: float, switches: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._limits = limits
        self._window_seconds = window_seconds
        self._switches = switches
        # The wall clock, because a client cannot know when this process started.
        self._clock = clock
        self._window = -1
        self._used: dict[tuple[str, str], int] = {}

    def take(self, region: str, action: str) -> None:
        limit = self._limits.get(action, self._limits.get("default", 0))
        if not limit:
            return
        window = int(self._clock() // self._window_seconds)
        if window != self._window:
            self._window, self._used = window, {}
        used = self._used.get((region, action), 0)
        if used >= limit:
            raise self.refusal()
        self._used[region, action] = used + 1

    def refusal(self) -> Refusal:
        retry_after = None
        if self._switches["retry_after"] == "window":
            retry_after = max(1, math.ceil((self._window_seconds - self._clock() % self._window_seconds) * 1000))
        return refusal(self._switches["throttle_code"], status=int(self._switches["throttle_status"]), retry_after=retry_after)
