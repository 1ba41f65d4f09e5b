# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options, the campaigns in several processes, and the summary."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ecs_emulator.switches import SWITCHES, problems_in
from support.emulator import Emulator
from support.numbers import whole_number

from chaos import roles
from chaos.campaigns import CAMPAIGNS, Trial
from chaos.shrinking import shrink


def main() -> int:
    options = _options()
    if options.campaign == roles.NAME:
        return 1 if roles.run(options) else 0
    wrong = 0
    for name in [options.campaign] if options.campaign else list(CAMPAIGNS):
        wrong += _run(name, options)
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make chaos", description="Run random scenarios against the local ECS endpoint, and check each result."
    )
    parser.add_argument(
        "--campaign", choices=[*CAMPAIGNS, roles.NAME], help="campaign to run; default: faults and truth, one after the other"
    )
    parser.add_argument(
        "--scenarios", type=whole_number(1), default=200, metavar="N", help="number of scenarios of each campaign (default: %(default)s)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        metavar="N",
        help="seed of the scenarios; the same seed makes the same scenarios (default: %(default)s)",
    )
    parser.add_argument("--first", type=whole_number(0), default=0, metavar="N", help="number of the first scenario (default: %(default)s)")
    parser.add_argument("--only", type=whole_number(0), metavar="N", help="only this scenario, reported in full")
    parser.add_argument(
        "--switches", type=_switches, default={}, metavar="NAME=CHOICE,…", help="switches for all scenarios, instead of random ones"
    )
    parser.add_argument(
        "--jobs",
        type=whole_number(1),
        default=2,
        metavar="N",
        help="number of processes, each with an endpoint of its own (default: %(default)s)",
    )
    parser.add_argument("--no-shrink", action="store_true", help="do not search for a smaller scenario that is wrong")
    return parser.parse_args()


def _switches(text: str) -> dict[str, str]:
    chosen = dict(part.partition("=")[::2] for part in text.split(",") if part)
    problems = problems_in(chosen)
    if problems:
        raise argparse.ArgumentTypeError("; ".join(problems))
    return chosen


def _run(name: str, options: argparse.Namespace) -> int:
    numbers = [options.only] if options.only is not None else list(range(options.first, options.first + options.scenarios))
    started = time.monotonic()
    met: Counter[str] = Counter()
    wrong: list[int] = []
    for number, report in _trials(name, options, numbers):
        met.update(report["met"])
        if report["complaints"]:
            wrong.append(number)
            _print_failure(name, options, number, report)
        elif options.only is not None:
            print(json.dumps(report, indent=1))
    seconds = time.monotonic() - started
    _print_summary(name, len(numbers), wrong, met, seconds)
    return len(wrong)


def _trials(name: str, options: argparse.Namespace, numbers: list[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number and the report of each scenario. Runs in several processes, because the module uses the environment of its process."""
    jobs = max(1, min(options.jobs, len(numbers)))
    if jobs == 1:
        with Emulator() as emulator:
            yield from ((number, _try_out(emulator, name, options, number)) for number in numbers)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, _begin_job) as pool:
        yield from pool.imap_unordered(_job, [(name, options, number) for number in numbers], chunksize=5)


_emulator: Emulator | None = None  # of this process


def _begin_job() -> None:
    global _emulator
    # It ends when its standard input is closed, at the latest with this process.
    _emulator = Emulator().start()


def _job(work: tuple[str, argparse.Namespace, int]) -> tuple[int, dict[str, Any]]:
    name, options, number = work
    assert _emulator is not None
    return number, _try_out(_emulator, name, options, number)


def _try_out(emulator: Emulator, name: str, options: argparse.Namespace, number: int) -> dict[str, Any]:
    campaign = CAMPAIGNS[name]
    trial = campaign.try_out(emulator, campaign.make(options.seed, number, options.switches))
    report: dict[str, Any] = {"met": trial.met, "complaints": trial.complaints, "details": []}
    if trial.complaints:
        smallest = trial if options.no_shrink else shrink(emulator, campaign, trial)
        report["details"] = [_in_full(smallest)]
    elif options.only is not None:
        report["details"] = [_in_full(trial)]
    return report


def _in_full(trial: Trial) -> dict[str, Any]:
    return {
        "complaints": trial.complaints,
        "scenario": asdict(trial.scenario),
        "runs": {name: asdict(run) for name, run in trial.runs.items()},
    }


def _print_failure(name: str, options: argparse.Namespace, number: int, report: dict[str, Any]) -> None:
    pinned = ",".join(f"{switch}={choice}" for switch, choice in options.switches.items())
    repeat = f"--campaign {name} --seed {options.seed} --only {number}" + (f" --switches {pinned}" if pinned else "")
    print(f"\n{name} {number} is wrong. To repeat it: make chaos ARGS='{repeat}'")
    for complaint in report["complaints"]:
        print(f"  - {complaint}")
    for details in report["details"]:
        _print_details(details)


SHOWN = ("sequence", "time", "action", "parameters", "status", "code", "effect", "faults", "by_others", "repeats", "duration_ms")


def _print_details(details: dict[str, Any]) -> None:
    scenario = details["scenario"]
    named = json.dumps(scenario["arguments"])
    print("  the smallest scenario that was found:")
    for complaint in details["complaints"]:
        print(f"  - {complaint}")
    print(f"  arguments: {named}")
    print(f"  settings: {json.dumps(scenario['settings'])}, a plan lives {scenario['plan_lives']} s")
    print(f"  faults: {json.dumps(scenario['faults'])}")
    for name, run in details["runs"].items():
        print(f"  {name}: result: {json.dumps(run['result'])}")
        print(f"  {name}: calls at the endpoint:")
        for call in run["calls"]:
            print(f"    {json.dumps({key: call[key] for key in SHOWN})}")
        changed = {
            eni_id: {"before": interface, "after": run["after"]["interfaces"].get(eni_id)}
            for eni_id, interface in run["before"]["interfaces"].items()
            if eni_id in named or interface != run["after"]["interfaces"].get(eni_id)
        }
        print(f"  {name}: ENIs before and after: {json.dumps(changed)}")


def _print_summary(name: str, tried: int, wrong: list[int], met: Counter[str], seconds: float) -> None:
    print(f"\n{name}: {tried} scenarios in {seconds:.0f} s, {len(wrong)} of them wrong" + (f": {sorted(wrong)}" if wrong else ""))
    for what, times in sorted(met.items()):
        if not what.startswith("switch "):
            print(f"  {times:8} {what}")
    for switch in SWITCHES:
        times_each = ", ".join(f"{choice} {met[f'switch {switch.name}={choice}']}" for choice in switch.choices)
        print(f"  switch {switch.name}: {times_each}")
