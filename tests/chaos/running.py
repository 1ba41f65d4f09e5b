# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module on a scenario, in this process, with short pauses."""

from __future__ import annotations

import contextlib
import faulthandler
import signal
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock

from support.emulator import Emulator
from support.module import run_module

from ansible_collections.alicloud_ops.network.plugins.module_utils import _ecs, _pacing, _review, _verify, _write
from chaos.scenario import Scenario
from chaos.witness import recording

MODULE = "eni_secondary_ip"
# A run hangs if it takes longer than this and all the time that it may wait for each ENI.
LONGEST_SECONDS = 60


@dataclass(frozen=True)
class Run:
    """The real state before and after a run, the calls, the replies that the client got, and the result of the module."""

    before: dict[str, Any]
    after: dict[str, Any]
    calls: list[dict[str, Any]]
    exchanges: list[dict[str, Any]]
    result: dict[str, Any]


class Hangs(Exception):
    pass


def prepare(emulator: Emulator, scenario: Scenario) -> None:
    emulator.reset(seed=scenario.seed, **scenario.settings)
    emulator.faults(scenario.faults)


def run_scenario(emulator: Emulator, scenario: Scenario, *, check: bool = False) -> Run:
    """Run the module on the world as it is now."""
    before, called = emulator.state(), len(emulator.calls())
    exchanges: list[dict[str, Any]] = []
    with recording(exchanges):
        result = _result(emulator, scenario.arguments, scenario.plan_lives, check=check)
    # Read the calls last, so that they have every write, also if the state does not have it yet.
    after = emulator.state()
    return Run(before, after, emulator.calls(since=called), exchanges, result)


def _result(emulator: Emulator, arguments: dict[str, Any], plan_lives: float, *, check: bool) -> dict[str, Any]:
    try:
        with _hurried(plan_lives), _alarm(LONGEST_SECONDS + _patience(arguments)):
            return run_module(MODULE, arguments, emulator.environment(), check=check)
    except Exception:  # the module should have reported any exception as JSON
        return {"traceback": traceback.format_exc()}


@contextlib.contextmanager
def _hurried(plan_lives: float) -> Iterator[None]:
    with (
        mock.patch.multiple(_ecs, FIRST_PAUSE=0.01, LONGEST_PAUSE=0.05),
        mock.patch.multiple(_verify, FIRST_POLL=0.01, LONGEST_POLL=0.05),
        mock.patch.multiple(_write, FIRST_PAUSE=0.01, LONGEST_PAUSE=0.05),
        mock.patch.multiple(_write, PLAN_LIVES_SECONDS=plan_lives, RENEW_AFTER_SECONDS=plan_lives * 0.75),
        mock.patch.object(_review, "SECONDS_BETWEEN_POLLS", 0.02),
        mock.patch.multiple(_pacing, FIRST_HOLD=0.01, PAST_THE_TURN=(0.0, 0.01)),
    ):
        yield


def _patience(arguments: Mapping[str, Any]) -> int:
    """Maximum number of seconds: each ENI fails one after another, with a call for IPv4 and one for IPv6."""
    of_one: int = 2 * (arguments.get("wait_timeout", 60) + arguments.get("retry_timeout", 120))
    return of_one * len(arguments.get("assignments") or [arguments])


@contextlib.contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    def ring(*_ignored: object) -> None:
        faulthandler.dump_traceback()
        raise Hangs(f"no result after {seconds} s")

    earlier = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, earlier)
