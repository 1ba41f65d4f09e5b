# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The behavior of the endpoint: pace, lag, limits, switches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ecs_emulator import switches


@dataclass(frozen=True)
class Settings:
    latency_ms: float = 0
    # A change becomes visible after this time, or after a time between the two.
    lag_ms: tuple[float, float] = (0, 0)
    # Calls per window, by action. "default" is for all other actions. 0 sets no limit.
    calls_per_minute: Mapping[str, int] = field(default_factory=dict)
    window_seconds: float = 60
    random_seed: int = 0
    switches: Mapping[str, str] = field(default_factory=switches.choose)


NAMES = tuple(Settings.__dataclass_fields__)


def merged(settings: Settings, given: Mapping[str, Any]) -> tuple[Settings, list[str]]:
    """The settings with the given values, and all errors in these."""
    problems = [f"{name!r} is not a setting; there are: {', '.join(NAMES)}" for name in given if name not in NAMES]
    values: dict[str, Any] = {}
    for name in ("latency_ms", "window_seconds", "random_seed"):
        if name in given:
            value = given[name]
            least_excluded = name == "window_seconds"
            if not _is_number(value) or value < 0 or (least_excluded and value == 0):
                problems.append(f"{name} must be a number {'above' if least_excluded else 'from'} 0, not {value!r}")
            values[name] = value
    if "lag_ms" in given:
        lag = given["lag_ms"]
        pair = tuple(lag) if isinstance(lag, list | tuple) else (lag, lag)
        if len(pair) != 2 or not all(_is_number(part) and part >= 0 for part in pair) or pair[0] > pair[1]:
            problems.append(f"lag_ms must be a number from 0, or a list of the least and the most, not {lag!r}")
        values["lag_ms"] = pair
    if "calls_per_minute" in given:
        limits = given["calls_per_minute"]
        limits = limits if isinstance(limits, Mapping) else {"default": limits}
        if not all(isinstance(limit, int) and not isinstance(limit, bool) and limit >= 0 for limit in limits.values()):
            problems.append(f"calls_per_minute must be a whole number from 0, or one for each action, not {given['calls_per_minute']!r}")
        values["calls_per_minute"] = dict(limits)
    if "switches" in given:
        chosen = given["switches"]
        found = switches.problems_in(chosen) if isinstance(chosen, Mapping) else [f"switches must be a mapping, not {chosen!r}"]
        problems += found
        values["switches"] = {} if found else switches.choose(settings.switches, chosen)
    return (settings if problems else replace(settings, **values)), problems


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
