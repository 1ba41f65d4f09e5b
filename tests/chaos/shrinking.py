# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shrink a failing scenario, as long as it still fails."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from support.emulator import Emulator

from chaos.campaigns import Campaign, Trial
from chaos.scenario import Scenario

MOST_TRIES = 80


def shrink(emulator: Emulator, campaign: Campaign, trial: Trial) -> Trial:
    """The smallest failing scenario. Leaves out parts as long as the scenario still fails."""
    tries = 0
    smaller = True
    while smaller and tries < MOST_TRIES:
        smaller = False
        for candidate in _smaller(trial.scenario):
            tries += 1
            tried = campaign.try_out(emulator, candidate)
            if tried.complaints:
                trial, smaller = tried, True
                break
            if tries >= MOST_TRIES:
                break
    return trial


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    for number in range(len(scenario.faults)):
        candidate = copy.deepcopy(scenario)
        del candidate.faults[number]
        yield candidate
    assignments = scenario.arguments.get("assignments") or []
    halves = [slice(0, len(assignments) // 2), slice(len(assignments) // 2, None)] if len(assignments) > 3 else []
    for part in (*halves, *range(len(assignments) if len(assignments) > 1 else 0)):
        candidate = copy.deepcopy(scenario)
        del candidate.arguments["assignments"][part]
        yield candidate
    unused = _unused(scenario)
    if unused:
        candidate = copy.deepcopy(scenario)
        candidate.seed["interfaces"] = [entry for entry in scenario.seed["interfaces"] if entry["id"] not in unused]
        yield candidate
    if scenario.settings.get("lag_ms"):
        yield _with_settings(scenario, lag_ms=0)
    if scenario.settings.get("switches"):
        yield _with_settings(scenario, switches={})
    for option in ("keep", "protected_tags", "allow_eip", "max_addresses"):
        if option in scenario.arguments:
            candidate = copy.deepcopy(scenario)
            del candidate.arguments[option]
            yield candidate


def _with_settings(scenario: Scenario, **settings: object) -> Scenario:
    candidate = copy.deepcopy(scenario)
    candidate.settings |= settings
    return candidate


def _unused(scenario: Scenario) -> set[str]:
    """ENIs that nothing names, without primary ENIs, because their instances need them."""
    text = str(scenario.arguments) + str(scenario.faults)
    return {entry["id"] for entry in scenario.seed["interfaces"] if entry["id"] not in text and entry.get("type") != "Primary"}
