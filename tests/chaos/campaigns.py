# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two campaigns: each takes the number of a scenario, and says what was wrong with it and what it met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from support.emulator import Emulator

from chaos.oracles import DONE, PARAMETERS, judge
from chaos.running import Story, prepare, tell
from chaos.scenario import Scenario, make_calm, make_faulty
from chaos.worlds import KINDS


@dataclass
class Trial:
    """One scenario and what became of it."""

    scenario: Scenario
    complaints: list[str]
    stories: dict[str, Story]
    met: Counter[str] = field(default_factory=Counter)  # for the summary: how often what was met


@dataclass(frozen=True)
class Campaign:
    make: Callable[[int, int, Mapping[str, str]], Scenario]
    try_out: Callable[[Emulator, Scenario], Trial]


def run_with_faults(emulator: Emulator, scenario: Scenario) -> Trial:
    prepare(emulator, scenario)
    story = tell(emulator, scenario)
    trial = Trial(scenario, judge(scenario, story), {"run": story})
    trial.met.update({f"fault {fault['kind']}": fault["fired"] for fault in emulator.fault_counts() if fault["fired"]})
    trial.met.update(f"by others: {event_kind}" for call in story.calls for event in call["by_others"] for event_kind in event if event)
    _count(trial, story)
    return trial


def run_in_peace(emulator: Emulator, scenario: Scenario) -> Trial:
    """Check mode, run, second run, and giving back what the run returned."""
    prepare(emulator, scenario)
    stories = {"check": tell(emulator, scenario, check=True), "run": tell(emulator, scenario), "second run": tell(emulator, scenario)}
    complaints = judge(scenario, stories["run"])
    foreseen, result = (_comparable(scenario, stories[name]) for name in ("check", "run"))
    complaints += [
        f"check mode says {key}={foreseen.get(key)!r}, the run {result.get(key)!r}"
        for key in sorted({*foreseen, *result})
        if foreseen.get(key) != result.get(key)
    ]
    if stories["run"].result.get("changed"):
        complaints += _too_many_writes(stories["run"])
    complaints += [f"{name} sent writes" for name in ("check", "second run") if _writes(stories[name])]
    if "interfaces" in result:
        if stories["second run"].result.get("changed") is not False or stories["second run"].result.get("failed"):
            complaints.append(f"the second run is not quiet: {stories['second run'].result}")
        complaints += _restore(emulator, scenario, stories)
    trial = Trial(scenario, complaints, stories)
    _count(trial, stories["run"])
    return trial


FAULTS, TRUTH = Campaign(make_faulty, run_with_faults), Campaign(make_calm, run_in_peace)
CAMPAIGNS = {"faults": FAULTS, "truth": TRUTH}


def _restore(emulator: Emulator, scenario: Scenario, stories: dict[str, Story]) -> list[str]:
    state = scenario.arguments["state"]
    given_back = stories["run"].result[DONE[state]]
    arguments = {
        **{name: scenario.arguments[name] for name in ("on_refusal", "protected_tags", "wait_timeout") if name in scenario.arguments},
        "state": "present" if state == "absent" else "absent",
        "assignments": given_back,
        "calls_per_minute": 0,
    }
    restoring = Scenario(scenario.seed, arguments, settings=scenario.settings)
    stories["restoring"] = tell(emulator, restoring)
    at_first, now = stories["run"].before["interfaces"], stories["restoring"].after["interfaces"]
    return [
        f"{eni_id}: after giving back what was returned, {kind} is {now[eni_id][kind]} instead of {at_first[eni_id][kind]}"
        for eni_id in at_first
        for kind in KINDS
        if set(now[eni_id][kind]) != set(at_first[eni_id][kind])
    ]


def _too_many_writes(story: Story) -> list[str]:
    """With nothing going wrong there is one call for each full batch of a kind, and one for the rest."""
    needed = sum(
        -(-len(entry[done][kind]) // most)
        for entry in story.result["interfaces"]
        for done in DONE.values()
        if done in entry
        for kind, (_prefix, most) in PARAMETERS.items()
    )
    sent = len(_writes(story))
    return [f"{sent} writes were sent where {needed} do"] if sent > needed else []


def _comparable(scenario: Scenario, story: Story) -> dict[str, Any]:
    """All but the number of calls, and the status of an ENI that is about to change by itself."""
    result = {name: value for name, value in story.result.items() if name != "invocation"}
    if "interfaces" in result:
        passing = {interface["id"] for interface in scenario.seed["interfaces"] if "becomes" in interface}
        result["interfaces"] = [
            {name: value for name, value in entry.items() if name != "status" or entry["eni_id"] not in passing}
            for entry in result["interfaces"]
        ]
        result["summary"] = {name: number for name, number in result["summary"].items() if name != "api_calls"}
    return result


def _writes(story: Story) -> list[dict[str, Any]]:
    return [call for call in story.calls if call["writes"]]


def _count(trial: Trial, story: Story) -> None:
    result, met = story.result, trial.met
    if "interfaces" not in result:
        met["ended before any write"] += 1
    elif result.get("failed"):
        met["ended with failures"] += 1
    else:
        met["ended well, changed" if result["changed"] else "ended well, unchanged"] += 1
    met["calls"] += len(story.calls)
    met["writes"] += len(_writes(story))
    met["addresses changed"] += sum(
        len(addresses)
        for call in _writes(story)
        for changed in call["effect"].values()
        if isinstance(changed, dict)
        for addresses in changed.values()
    )
    met.update(f"switch {name}={choice}" for name, choice in trial.scenario.settings.get("switches", {}).items())
