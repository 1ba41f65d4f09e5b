# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two campaigns. Each takes the number of a scenario, and returns its problems and its statistics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from support.emulator import Emulator

from chaos.case import DONE
from chaos.evidence import PARAMETERS
from chaos.oracles import find_prediction_problems, find_problems
from chaos.predictions import differences
from chaos.running import Run, prepare, run_scenario
from chaos.scenario import Scenario, make_calm, make_faulty
from chaos.worlds import KINDS


@dataclass
class Trial:
    """One scenario and its outcome."""

    scenario: Scenario
    complaints: list[str]
    runs: dict[str, Run]
    met: Counter[str] = field(default_factory=Counter)  # statistics for the summary: event → count


@dataclass(frozen=True)
class Campaign:
    make: Callable[[int, int, Mapping[str, str]], Scenario]
    try_out: Callable[[Emulator, Scenario], Trial]


def run_with_faults(emulator: Emulator, scenario: Scenario) -> Trial:
    prepare(emulator, scenario)
    run = run_scenario(emulator, scenario)
    trial = Trial(scenario, find_problems(scenario, run), {"run": run})
    trial.met.update({f"fault {fault['kind']}": fault["fired"] for fault in emulator.fault_counts() if fault["fired"]})
    trial.met.update(f"by others: {event_kind}" for call in run.calls for event in call["by_others"] for event_kind in event if event)
    _count(trial, run)
    return trial


def run_without_faults(emulator: Emulator, scenario: Scenario) -> Trial:
    """Check mode, run, second run, and a run that undoes what the first one returned."""
    prepare(emulator, scenario)
    runs = {"check": run_scenario(emulator, scenario, check=True)}
    runs |= {name: run_scenario(emulator, scenario) for name in ("run", "second run")}
    result = runs["run"].result
    complaints = find_problems(scenario, runs["run"]) + find_prediction_problems(scenario, runs["check"])
    complaints += differences(scenario, runs["check"].result, result)
    if runs["run"].result.get("changed"):
        complaints += _too_many_writes(runs["run"])
    complaints += [f"{name} sent writes" for name in ("check", "second run") if _writes(runs[name])]
    if "interfaces" in result:
        if runs["second run"].result.get("changed") is not False or runs["second run"].result.get("failed"):
            complaints.append(f"the second run is not quiet: {runs['second run'].result}")
        complaints += _restore(emulator, scenario, runs)
    trial = Trial(scenario, complaints, runs)
    _count(trial, runs["run"])
    return trial


FAULTS, TRUTH = Campaign(make_faulty, run_with_faults), Campaign(make_calm, run_without_faults)
CAMPAIGNS = {"faults": FAULTS, "truth": TRUTH}


def _restore(emulator: Emulator, scenario: Scenario, runs: dict[str, Run]) -> list[str]:
    state = scenario.arguments["state"]
    returned = runs["run"].result[DONE[state]]
    arguments = {
        **{name: scenario.arguments[name] for name in ("on_refusal", "protected_tags", "wait_timeout") if name in scenario.arguments},
        "state": "present" if state == "absent" else "absent",
        "assignments": returned,
        "calls_per_minute": 0,
    }
    restoring = Scenario(scenario.seed, arguments, settings=scenario.settings)
    runs["restoring"] = run_scenario(emulator, restoring)
    at_first, now = runs["run"].before["interfaces"], runs["restoring"].after["interfaces"]
    return [
        f"{eni_id}: after the run was undone, {kind} is {now[eni_id][kind]} instead of {at_first[eni_id][kind]}"
        for eni_id in at_first
        for kind in KINDS
        if set(now[eni_id][kind]) != set(at_first[eni_id][kind])
    ]


def _too_many_writes(run: Run) -> list[str]:
    """Without faults there is one call for each full batch of a kind, and one for the rest."""
    needed = sum(
        -(-len(entry[done][kind]) // most)
        for entry in run.result["interfaces"]
        for done in DONE.values()
        if done in entry
        for kind, (_prefix, most) in PARAMETERS.items()
    )
    sent = len(_writes(run))
    return [f"{sent} writes were sent where {needed} do"] if sent > needed else []


def _writes(run: Run) -> list[dict[str, Any]]:
    return [call for call in run.calls if call["writes"]]


def _count(trial: Trial, run: Run) -> None:
    result, met = run.result, trial.met
    if "interfaces" not in result:
        met["ended before any write"] += 1
    elif result.get("failed"):
        met["ended with failures"] += 1
    else:
        met["ended well, changed" if result["changed"] else "ended well, unchanged"] += 1
    met["calls"] += len(run.calls)
    met["writes"] += len(_writes(run))
    met["addresses changed"] += sum(
        len(addresses)
        for call in _writes(run)
        for changed in call["effect"].values()
        if isinstance(changed, dict)
        for addresses in changed.values()
    )
    met.update(f"switch {name}={choice}" for name, choice in trial.scenario.settings.get("switches", {}).items())
