# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults, in the form that a client of the control path sends. A wrong list is refused with all its errors and their paths."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from ecs_emulator.actions import ACTIONS
from ecs_emulator.damage import FIELDS
from ecs_emulator.faults import AFTER_EFFECT, KINDS, OTHERS, POSTPONED, REPEATED, ROW_ACTIONS, ROWS, SHAPES, Fault
from ecs_emulator.seed import INSTANCE_STATES, INTERFACE_STATES

COMMON = ("kind", "action", "eni_id", "nth", "times", "probability")
DETAILS: dict[str, tuple[str, ...]] = {
    "throttle": ("code", "status", "message", "retry_after"),
    "error": ("code", "status", "message", "retry_after"),
    "slow": ("ms",),
    "stale": ("ms",),
    "shape": ("shape",),
    "take_address": ("id", "address"),
    "delete_interface": ("id",),
    "change_state": ("id", "status"),
    "twice": ("nonce",),
    "drop_rows": ("ids",),
    "strip_rows": ("ids", "fields", "leave"),
    "processing": ("ms", "calls", "fails", "code", "status", "message"),
}
NEEDED: dict[str, tuple[str, ...]] = {
    "slow": ("ms",),
    "error": ("code", "status"),
    "change_state": ("status",),
    "drop_rows": ("ids",),
    "strip_rows": ("fields",),
}
Rule = tuple[Callable[[Any], bool], str]


def parse(documents: object) -> tuple[list[Fault], list[str]]:
    if not isinstance(documents, list):
        return [], ["faults must be a list"]
    faults, problems = [], []
    for number, document in enumerate(documents):
        found = _problems_in(document)
        problems += [f"faults[{number}]: {problem}" for problem in found]
        if not found:
            faults.append(_fault(document))
    return faults, problems


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(least: int, most: int | None = None) -> Rule:
    def fits(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= least and (most is None or value <= most)

    return fits, f"must be a whole number from {least}" + ("" if most is None else f" to {most}")


def _one_of(*choices: str) -> Rule:
    return lambda value: isinstance(value, str) and value in choices, f"is one of {', '.join(choices)}"


def _list_of(fits: Callable[[str], bool], text: str) -> Rule:
    def all_fit(value: object) -> bool:
        return isinstance(value, list) and bool(value) and all(isinstance(item, str) and fits(item) for item in value)

    return all_fit, f"must be a list of {text}"


TEXT: Rule = (lambda value: isinstance(value, str) and value != "", "must be a text that is not empty")
FLAG: Rule = (lambda value: isinstance(value, bool), "must be true or false")
RULES: dict[str, Rule] = {
    "eni_id": TEXT,
    "nth": _whole(1),
    "times": _whole(1),
    "probability": (lambda value: _is_number(value) and 0 <= value <= 1, "must be from 0 to 1"),
    "after_effect": FLAG,
    "code": TEXT,
    "message": TEXT,
    "status": _whole(400, 599),
    "retry_after": _whole(1),
    "ms": (lambda value: _is_number(value) and value >= 0, "must be a number from 0"),
    "calls": _whole(1),
    "fails": FLAG,
    "shape": _one_of(*SHAPES),
    "nonce": _one_of("used", "fresh"),
    "id": TEXT,
    "address": TEXT,
    "ids": _list_of(lambda item: re.fullmatch("(eni|i|sg)-[a-z0-9]+", item) is not None, "ids of ENIs, instances or security groups"),
    "fields": _list_of(lambda item: item in FIELDS, f"fields; there are: {', '.join(FIELDS)}"),
    "leave": _one_of("empty", "absent"),
}
STATE: Rule = _one_of(*dict.fromkeys(INTERFACE_STATES + INSTANCE_STATES))


def _problems_in(document: object) -> list[str]:
    if not isinstance(document, Mapping):
        return [f"must be a mapping, not {document!r}"]
    kind = _kind(document)
    if kind not in KINDS:
        return [f"kind {kind!r} is not known; there are: {', '.join(KINDS)}"]
    allowed = _allowed(kind)
    problems = [f"{name!r} is not known for {kind}; there are: {', '.join(allowed)}" for name in document if name not in allowed]
    for name, value in document.items():
        fits, text = STATE if (kind, name) == ("change_state", "status") else RULES.get(name, (None, ""))
        if name in allowed and fits and value is not None and not fits(value):
            problems.append(f"{name} {text}, not {value!r}")
    problems += [f"{kind} needs {name}" for name in NEEDED.get(kind, ()) if document.get(name) is None]
    if kind == "processing" and document.get("ms") is None and document.get("calls") is None:
        problems.append("processing needs ms or calls")
    return problems + _wrong_actions(kind, document.get("action", "*"))


def _allowed(kind: str) -> tuple[str, ...]:
    """``before`` and ``after`` the effect are valid only for faults that change the reply or its time."""
    when = () if kind in ROWS + OTHERS + REPEATED + POSTPONED + ("stale",) else ("after_effect",)
    return COMMON + when + DETAILS.get(kind, ())


def _wrong_actions(kind: str, given: object) -> list[str]:
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return [f"action must be a name or a list of names, not {given!r}"]
    possible = ["*", "read", "write", *ACTIONS]
    if kind in ROWS:
        possible = ["*", "read", *ROW_ACTIONS]
    if kind in POSTPONED:
        possible = ["*", "write", *(name for name, action in ACTIONS.items() if action.writes)]
    return [f"action {name!r} can't be used for {kind}; there are: {', '.join(possible)}" for name in names if name not in possible]


def _kind(document: Mapping[str, Any]) -> str:
    return str(document.get("kind", "")).replace("-", "_")


def _fault(document: Mapping[str, Any]) -> Fault:
    kind = _kind(document)
    given = {name: value for name, value in document.items() if value is not None}
    action = given.get("action", "*")
    return Fault(
        kind=kind,
        actions=(action,) if isinstance(action, str) else tuple(action),
        eni_id=given.get("eni_id", ""),
        nth=given.get("nth"),
        times=given.get("times"),
        probability=given.get("probability"),
        after_effect=given.get("after_effect", kind in AFTER_EFFECT),
        details={name: given[name] for name in DETAILS.get(kind, ()) if name in given},
    )
