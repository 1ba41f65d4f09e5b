# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first scenarios of both campaigns (tests/chaos; `make chaos` runs as many as wanted), that the campaigns would notice,
and what they have found."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
from chaos.campaigns import CAMPAIGNS, run_with_faults
from chaos.oracles import judge
from chaos.running import Run, prepare, run_scenario
from chaos.scenario import Scenario, make_calm, make_faulty
from chaos.worlds import KINDS, Subnet
from support.emulator import Emulator
from support.playbook import ROOT

ENI = "eni-one1"
HELD = ["10.0.0.11", "10.0.0.12", "10.0.0.13"]


def scenario(faults: list[dict[str, Any]], *, settings: dict[str, Any] | None = None, **arguments: Any) -> Scenario:
    """One ENI with three addresses, all of which are to go unless told otherwise."""
    seed = {
        "region": "cn-hangzhou",
        "vswitches": [{"id": "vsw-one", "vpc_id": "vpc-one", "cidr": "10.0.0.0/24"}],
        "instances": [],
        "interfaces": [{"id": ENI, "vswitch_id": "vsw-one", "primary_address": "10.0.0.10", "private_ip_addresses": HELD}],
    }
    asked = {"state": "absent", "eni_id": ENI, "wait": True, "wait_timeout": 5, "retry_timeout": 5, "calls_per_minute": 0, **arguments}
    if "private_ip_addresses" not in asked:
        asked["private_ip_addresses"] = HELD
    return Scenario(seed, asked, faults, settings or {})


@pytest.mark.parametrize("campaign", CAMPAIGNS)
@pytest.mark.parametrize("part", range(2))
def test_a_few_scenarios_of_each_campaign(emulator: Emulator, campaign: str, part: int) -> None:
    for number in range(part * 12, part * 12 + 12):
        made = CAMPAIGNS[campaign].make(1, number, {})
        complaints = CAMPAIGNS[campaign].try_out(emulator, made).complaints
        assert not complaints, f"to repeat it: make chaos ARGS='--campaign {campaign} --seed 1 --only {number}'"


@pytest.mark.parametrize("make", [make_faulty, make_calm])
def test_a_number_always_makes_the_same_scenario(make: Any) -> None:
    assert make(5, 77, {}) == make(5, 77, {})
    assert make(5, 77, {}) != make(5, 78, {})


def test_every_choice_of_every_switch_gets_its_turn() -> None:
    switches = [make_faulty(1, number, {}).settings["switches"] for number in range(200)]
    for name in ("batch", "eip", "unassigned_message", "addresses_per_call", "token_pages", "throttle_code"):
        assert len({chosen[name] for chosen in switches}) > 1
    assert {make_faulty(1, number, {"batch": "partial"}).settings["switches"]["batch"] for number in range(50)} == {"partial"}


@pytest.mark.parametrize(
    ("program", "arguments", "told"),
    [
        ("chaos", ["--first", "-5"], "-5 is too small; it must be 0 or more"),
        ("chaos", ["--only", "-1"], "-1 is too small"),
        ("chaos", ["--scenarios", "0"], "0 is too small; it must be 1 or more"),
        ("chaos", ["--jobs", "0"], "0 is too small"),
        ("chaos", ["--scenarios", "many"], "invalid whole number value: 'many'"),
        ("benchmarks", ["--more", "0"], "0 is too small; it must be 1 or more"),
    ],
)
def test_a_number_that_makes_no_sense_is_told_before_anything_runs(program: str, arguments: list[str], told: str) -> None:
    ended = subprocess.run([sys.executable, "tests/" + program, *arguments], cwd=ROOT, capture_output=True, check=False, encoding="utf-8")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_no_more_is_asked_for_an_eni_than_it_has_room_for() -> None:
    """That it would be too much, no read tells: check mode and run would differ, and neither would be wrong."""
    subnet = Subnet("vsw-one", {kind: [f"{kind} {number}" for number in range(60)] for kind in KINDS})
    interface = {"id": ENI, "private_ip_addresses": HELD}
    given = [len(subnet.take_for(interface, kind, 30)) for kind in KINDS * 2]
    assert given == [30, 16, 10, 0, 0, 0, 0, 0]  # 3 + 30 + 16 are 49
    assert len(subnet.take_for({"id": "eni-two2"}, KINDS[1], 30)) == 30


class TestTheOraclesNotice:
    """A judge that never complains proves nothing: so a true story is told falsely, and has to be noticed."""

    @pytest.fixture
    def told(self, emulator: Emulator) -> tuple[Scenario, Run]:
        made = scenario([{"action": "write", "kind": "reset_after", "nth": 1}], private_ip_addresses=HELD[:2])
        prepare(emulator, made)
        story = run_scenario(emulator, made)
        assert judge(made, story) == []
        return made, copy.deepcopy(story)

    def test_a_change_that_is_not_told(self, told: tuple[Scenario, Run]) -> None:
        made, story = told
        entry = story.result["interfaces"][0]
        entry["already_absent"], entry["unassigned"] = entry["unassigned"], entry["already_absent"]

        complaints = " ".join(judge(made, story))
        assert "changed by our calls" in complaints
        assert "changed is True, but the ledger has nothing" in complaints

    def test_an_address_that_was_not_named(self, told: tuple[Scenario, Run]) -> None:
        made, story = told
        made.arguments["private_ip_addresses"] = HELD[:1]

        assert any("10.0.0.12 was not named" in complaint for complaint in judge(made, story))

    def test_the_primary_address(self, told: tuple[Scenario, Run]) -> None:
        made, story = told
        write = next(exchange for exchange in story.exchanges if exchange["action"].startswith("Unassign"))
        write["parameters"]["PrivateIpAddress.3"] = "10.0.0.10"

        assert any("10.0.0.10 is the primary address" in complaint for complaint in judge(made, story))

    def test_an_after_that_is_not_so(self, told: tuple[Scenario, Run]) -> None:
        made, story = told
        story.result["interfaces"][0]["after"]["private_ip_addresses"] = []

        assert any("verified, but after differs" in complaint for complaint in judge(made, story))

    def test_an_address_that_got_lost(self, told: tuple[Scenario, Run]) -> None:
        made, story = told
        story.result["interfaces"][0]["unassigned"]["private_ip_addresses"].pop()

        assert any("nowhere in the ledger" in complaint for complaint in judge(made, story))

    def test_a_traceback(self, told: tuple[Scenario, Run]) -> None:
        made, story = told

        assert judge(made, Run(story.before, story.after, story.calls, story.exchanges, {"traceback": "ZeroDivisionError"}))


class TestFound:
    """Each was a wrong result once."""

    @pytest.mark.parametrize("later", ["reset_before", "html"])
    def test_a_write_whose_end_is_not_known_is_never_called_verified(self, emulator: Emulator, later: str) -> None:
        faults = [{"action": "write", "kind": "reset_after", "nth": 1}, {"action": "read", "kind": later, "nth": 2, "times": 99}]
        trial = run_with_faults(emulator, scenario(faults, retry_timeout=1))

        assert trial.complaints == []
        (entry,) = trial.runs["run"].result["interfaces"]
        assert entry["verified"] is False
        assert trial.runs["run"].result["changed"] is True

    def test_what_an_eni_holds_itself_but_does_not_show_yet_is_not_held_by_another(self, emulator: Emulator) -> None:
        faults = [{"action": "write", "kind": "reset_after", "nth": 1}, {"action": "read", "kind": "stale", "nth": 3}]
        trial = run_with_faults(emulator, scenario(faults, state="present", private_ip_addresses=["10.0.0.21"], on_refusal="skip"))

        assert trial.complaints == []
        assert trial.runs["run"].result["summary"]["assigned"] == 1

    @pytest.mark.parametrize("reading", ["503_unreadable", "html", "reset_before"])
    def test_a_batch_refused_for_one_address_may_have_been_carried_out_for_the_others(self, emulator: Emulator, reading: str) -> None:
        faults = [{"action": "write", "kind": "take_address", "nth": 1}, {"action": "read", "kind": reading, "nth": 2}]
        settings = {"switches": {"batch": "partial", "unassigned_message": "bare"}}
        trial = run_with_faults(emulator, scenario(faults, settings=settings, retry_timeout=0))

        assert trial.complaints == []

    @pytest.mark.parametrize("kind", ["throttle", "conflict"])
    def test_what_somebody_else_takes_counts_as_unassigned_when_a_write_of_it_was_sent(self, emulator: Emulator, kind: str) -> None:
        faults = [{"action": "write", "kind": kind}, {"action": "write", "kind": "take_address", "nth": 1}]
        trial = run_with_faults(emulator, scenario(faults, retry_timeout=0))

        assert trial.complaints == []
        assert trial.runs["run"].result["changed"] is True
