# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults, and when they happen. The same calls with the same random seed get the same faults, in any order."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The call is refused with a readable reply and a code, as by the service.
REFUSALS = ("throttle", "conflict", "500", "503", "error")
# The reply is not a reply of the service.
SPOILT = ("503_unreadable", "html", "empty", "truncated", "shape", "cut", "reset_before", "reset_after")
# The call succeeds, but late, or it reads an old state.
LATE_OR_STALE = ("slow", "stale")
# Someone else changes something right before the call takes effect.
OTHERS = ("take_address", "delete_interface", "change_state")
# A read leaves out existing records.
ROWS = ("drop_rows", "strip_rows")
# The request arrives twice, or the service carries it out later.
REPEATED = ("twice",)
POSTPONED = ("processing",)
KINDS = REFUSALS + SPOILT + LATE_OR_STALE + OTHERS + ROWS + REPEATED + POSTPONED
# By default these happen after the action took effect, and all others before it.
AFTER_EFFECT = ("empty", "truncated", "shape", "cut", "reset_after")
SHAPES = ("object", "null", "missing")
# The reads whose replies have rows with an id.
ROW_ACTIONS = ("DescribeNetworkInterfaces", "DescribeNetworkInterfaceAttribute", "DescribeInstances", "DescribeSecurityGroups")


@dataclass
class Fault:
    kind: str
    actions: tuple[str, ...] = ()
    eni_id: str = ""
    nth: int | None = None
    times: int | None = None
    probability: float | None = None
    after_effect: bool = False
    # The required values of the kind, with the names in the README.
    details: Mapping[str, Any] = field(default_factory=dict)
    matched: int = 0
    fired: int = 0


class Faults:
    def __init__(self, random_seed: int) -> None:
        self._random_seed = random_seed
        self._faults: list[Fault] = []
        self._occurrences: Counter[tuple[int, str]] = Counter()

    def replace(self, faults: list[Fault]) -> None:
        self._faults = faults
        self._occurrences.clear()

    def as_dicts(self) -> list[dict[str, Any]]:
        return [
            {"kind": fault.kind, "action": list(fault.actions), "matched": fault.matched, "fired": fault.fired, **fault.details}
            for fault in self._faults
        ]

    def firing(self, action: str, parameters: Mapping[str, str], writes: bool) -> list[Fault]:
        fired = []
        for number, fault in enumerate(self._faults):
            if not _concerns(fault, action, parameters, writes):
                continue
            fault.matched += 1
            if self._is_due(number, fault, action, parameters):
                fault.fired += 1
                fired.append(fault)
        return fired

    def _is_due(self, number: int, fault: Fault, action: str, parameters: Mapping[str, str]) -> bool:
        """The fault fires from the nth matching call on, ``times`` times. Only nth: once. Neither: always."""
        times = fault.times or (1 if fault.nth and fault.probability is None else None)
        if fault.matched < (fault.nth or 1) or (times is not None and fault.fired >= times):
            return False
        if fault.probability is None:
            return True
        return self._luck(number, action, parameters) < fault.probability

    def _luck(self, number: int, action: str, parameters: Mapping[str, str]) -> float:
        """Depends on the call and on the number of equal calls before it, not on the order of other calls."""
        what = json.dumps([action, sorted(item for item in parameters.items() if item[0] != "ClientToken")])
        self._occurrences[number, what] += 1
        return random.Random(f"{self._random_seed}:{number}:{what}:{self._occurrences[number, what]}").random()


def _concerns(fault: Fault, action: str, parameters: Mapping[str, str], writes: bool) -> bool:
    names = {"*", action, "write" if writes else "read"}
    if not names & set(fault.actions):
        return False
    if (fault.kind in ROWS and action not in ROW_ACTIONS) or (fault.kind in POSTPONED and not writes):
        return False
    if not fault.eni_id:
        return True
    return any(value == fault.eni_id for name, value in parameters.items() if name.startswith("NetworkInterfaceId"))
