# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first scenarios of both campaigns (tests/chaos; `make chaos` runs as many as you like), whether the oracles notice what is wrong,
and what the campaigns have found."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any
from unittest import mock

import pytest
import requests
from chaos.campaigns import CAMPAIGNS, run_with_faults
from chaos.oracles import find_prediction_problems, find_problems
from chaos.predictions import differences
from chaos.running import Run, prepare, run_scenario
from chaos.scenario import CODES, Scenario, make_calm, make_faulty
from chaos.witness import recording
from chaos.worlds import KINDS, Subnet
from ecs_emulator.faults import KINDS as FAULT_KINDS
from support.emulator import Emulator
from support.playbook import ROOT

from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import PlanAged

ENI = "eni-one1"
HELD = ["10.0.0.11", "10.0.0.12", "10.0.0.13"]


def scenario(faults: list[dict[str, Any]], *, settings: dict[str, Any] | None = None, **arguments: Any) -> Scenario:
    """One ENI with three addresses. By default all of them are to be unassigned."""
    seed = {
        "region": "cn-hangzhou",
        "vswitches": [{"id": "vsw-one", "vpc_id": "vpc-one", "cidr": "10.0.0.0/24", "held": []}],
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
    for number in range(part * 6, part * 6 + 6):
        made = CAMPAIGNS[campaign].make(1, number, {})
        complaints = CAMPAIGNS[campaign].try_out(emulator, made).complaints
        assert not complaints, f"to repeat it: make chaos ARGS='--campaign {campaign} --seed 1 --only {number}'"


@pytest.mark.parametrize("make", [make_faulty, make_calm])
def test_a_number_always_makes_the_same_scenario(make: Any) -> None:
    assert make(5, 77, {}) == make(5, 77, {})
    assert make(5, 77, {}) != make(5, 78, {})


@pytest.fixture(scope="module")
def many() -> list[Scenario]:
    return [make_faulty(1, number, {}) for number in range(1500)]


def test_every_choice_of_every_switch_is_tried(many: list[Scenario]) -> None:
    switches = [made.settings["switches"] for made in many[:200]]
    for name in ("batch", "eip", "unassigned_message", "addresses_per_call", "token_pages", "throttle_code"):
        assert len({chosen[name] for chosen in switches}) > 1
    assert {make_faulty(1, number, {"batch": "partial"}).settings["switches"]["batch"] for number in range(50)} == {"partial"}


def test_every_kind_of_fault_and_every_code_is_tried_before_and_after_the_effect(many: list[Scenario]) -> None:
    faults = [fault for made in many for fault in made.faults]
    assert {fault["kind"] for fault in faults} == set(FAULT_KINDS)
    errors = [fault for fault in faults if fault["kind"] == "error"]
    assert {fault["code"] for fault in errors} >= set(CODES)
    assert {(fault["status"] >= 500, fault.get("after_effect", False)) for fault in errors} == {
        (False, False),
        (False, True),
        (True, False),
        (True, True),
    }
    assert {fault["nonce"] for fault in faults if fault["kind"] == "twice"} == {"used", "fresh"}
    assert {fault.get("fails", False) for fault in faults if fault["kind"] == "processing"} == {False, True}


def test_every_way_to_wait_is_tried_with_longer_lags(many: list[Scenario]) -> None:
    made = many[:800]
    for option in ("wait_timeout", "retry_timeout"):
        assert {scenario.arguments[option] for scenario in made} == {0, 1, 8}
    assert {scenario.arguments["wait"] for scenario in made} == {True, False}
    longer = [
        one for one in made if isinstance(one.settings["lag_ms"], int) and one.settings["lag_ms"] > 1000 * one.arguments["wait_timeout"]
    ]
    assert len(longer) > 20


@pytest.mark.parametrize(
    ("program", "arguments", "message"),
    [
        ("chaos", ["--first", "-5"], "-5 is too small; it must be 0 or more"),
        ("chaos", ["--only", "-1"], "-1 is too small"),
        ("chaos", ["--scenarios", "0"], "0 is too small; it must be 1 or more"),
        ("chaos", ["--jobs", "0"], "0 is too small"),
        ("chaos", ["--scenarios", "many"], "invalid whole number value: 'many'"),
        ("benchmarks", ["--more", "0"], "0 is too small; it must be 1 or more"),
        ("benchmarks", ["--bulk", "0"], "0 is too small; it must be 1 or more"),
        ("benchmarks", ["--bulk", "1", "--divide", "21"], "invalid choice: 21"),
    ],
)
def test_an_invalid_number_is_an_error_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], program: str, arguments: list[str], message: str
) -> None:
    monkeypatch.setattr(sys, "argv", [program, *arguments])
    with pytest.raises(SystemExit) as ended:
        import_module(f"{program}.command_line").main()
    output, errors = capsys.readouterr()
    assert (ended.value.code, output) == (2, "")
    assert message in errors


@pytest.mark.parametrize("program", ["chaos", "benchmarks"])
def test_the_programs_are_their_command_lines(program: str) -> None:
    ended = subprocess.run([sys.executable, f"tests/{program}", "--help"], cwd=ROOT, capture_output=True, check=False, encoding="utf-8")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "usage: make " in ended.stdout


def test_no_scenario_assigns_more_addresses_than_an_eni_may_have() -> None:
    """No read shows that it would be too much, so check mode and run would differ, and neither would be wrong."""
    subnet = Subnet("vsw-one", {kind: [f"{kind} {number}" for number in range(60)] for kind in KINDS})
    interface = {"id": ENI, "private_ip_addresses": HELD}
    given = [len(subnet.take_for(interface, kind, 30)) for kind in KINDS * 2]
    assert given == [30, 16, 10, 0, 0, 0, 0, 0]  # 3 + 30 + 16 are 49
    assert len(subnet.take_for({"id": "eni-two2"}, KINDS[1], 30)) == 30


Lie = Callable[[Scenario, Run], None]


def entry_of(run: Run) -> dict[str, Any]:
    (entry,) = run.result["interfaces"]
    found: dict[str, Any] = entry
    return found


def writes_of(run: Run) -> list[dict[str, Any]]:
    return [exchange for exchange in run.exchanges if exchange["action"].startswith(("Assign", "Unassign"))]


def move(place: str, address: str, code: str = "Why") -> Lie:
    """Reports an address that is done, or has failed, at another place."""

    def lie(_made: Scenario, run: Run) -> None:
        entry = entry_of(run)
        for kind in KINDS:
            for done in (entry.get("unassigned"), entry.get("assigned")):
                if done and address in done[kind]:
                    done[kind].remove(address)
        for failure in entry["failures"]:
            failure["addresses"] = [other for other in failure["addresses"] if other != address]
        entry["failures"] = [failure for failure in entry["failures"] if failure["addresses"]]
        if place == "failures":
            entry["failures"].append({"addresses": [address], "code": code, "message": "because", "request_id": None})
        elif place == "skipped":
            entry["skipped"].append({"address": address, "code": code, "reason": "because"})
        elif place:
            entry[place]["private_ip_addresses"].append(address)

    return lie


def result(**values: Any) -> Lie:
    return lambda _made, run: run.result.update(values)


def entry(**values: Any) -> Lie:
    return lambda _made, run: entry_of(run).update(values)


def before(**values: Any) -> Lie:
    return lambda _made, run: run.before["interfaces"][ENI].update(values)


def shown(**values: Any) -> Lie:
    """What the first read of the run showed."""
    return lambda _made, run: run.exchanges[0]["interfaces"][ENI].update(values)


def asked(**values: Any) -> Lie:
    return lambda made, _run: made.arguments.update(values)


def write(**values: Any) -> Lie:
    return lambda _made, run: writes_of(run)[-1].update(values)


def parameters(**values: Any) -> Lie:
    return lambda _made, run: writes_of(run)[-1]["parameters"].update({name.replace("_", "."): value for name, value in values.items()})


def without_later_reads(_made: Scenario, run: Run) -> None:
    ended = writes_of(run)[-1]["ended"]
    run.exchanges[:] = [exchange for exchange in run.exchanges if exchange["began"] < ended]
    run.result["summary"]["api_calls"] = len(run.exchanges)


def overlapping(_made: Scenario, run: Run) -> None:
    first, second = writes_of(run)[:2]
    first["ended"] = second["began"] + 0.01


def earlier(_made: Scenario, run: Run) -> None:
    run.exchanges[0]["began"] -= 100
    run.exchanges[0]["ended"] -= 100


LOST = [{"action": "write", "kind": "reset_after", "nth": 1}]
LOST_FOR_GOOD = [*LOST, {"action": "read", "kind": "503", "nth": 2, "times": 999}]
DENIED = [{"action": "write", "kind": "error", "code": "Forbidden.RAM", "status": 403}]
BROKEN = [{"action": "read", "kind": "strip_rows", "fields": ["PrivateIpSets"]}]
FIRST, SECOND = HELD[:2]
TO_ASSIGN = {"state": "present", "private_ip_addresses": ["10.0.0.21", "10.0.0.22"]}
IMPATIENT = {"retry_timeout": 0, "wait_timeout": 0}

# What happens, what is asked for, what is then changed in the report or in what is known, and what the oracles say to that.
LIES: dict[str, tuple[list[dict[str, Any]], dict[str, Any], Lie, str]] = {
    # what is reported
    "done as unchanged": (LOST, {}, move("already_absent", FIRST), f"{FIRST} is reported as already_absent, but a write of it was sent"),
    "done as failed": (LOST, {}, move("failures", FIRST), f"{FIRST} is reported as failed, but a read after its last write shows"),
    "done as skipped": (LOST, {}, move("skipped", FIRST), f"{FIRST} is reported as skipped, but a read after its last write shows"),
    "possible write as skipped": (
        LOST_FOR_GOOD,
        IMPATIENT,
        move("skipped", FIRST),
        f"{FIRST} is reported as skipped, but a write of it was",
    ),
    "possible write as failed": (LOST_FOR_GOOD, IMPATIENT, move("failures", FIRST), "but a write of it may have been carried out"),
    "refused as possible": (DENIED, {}, move("failures", FIRST, "NotVerified"), "each write of it was plainly refused"),
    "refused as done": (DENIED, {}, move("unassigned", FIRST), "no read after its last write shows that"),
    "possible write as done": (LOST_FOR_GOOD, IMPATIENT, move("unassigned", FIRST), "no read after its last write shows that"),
    "done that no read shows": (LOST, {}, without_later_reads, "no read after its last write shows that"),
    "refusal that was not read back": (DENIED, {}, without_later_reads, "was not read again after its last write"),
    "possible write given up early": (
        [{"action": "write", "kind": "reset_before"}],
        {"retry_timeout": 0, "wait_timeout": 1},
        asked(wait_timeout=30),
        "was not looked for until wait_timeout was over",
    ),
    "an address left out": (LOST, {}, move("", FIRST), f"{FIRST} was named but is nowhere in the ledger"),
    "an address twice": (LOST, {}, lambda _made, run: entry_of(run)["skipped"].append({"address": FIRST, "code": "x"}), "2 times"),
    "changed is false": (LOST, {}, result(changed=False), "changed is False, but the ledger has something done or open"),
    "changed is false although open": (LOST_FOR_GOOD, IMPATIENT, result(changed=False), "changed is False"),
    "changed is true": (DENIED, {}, result(changed=True), "changed is True, but the ledger has nothing done or open"),
    "verified although open": (LOST_FOR_GOOD, IMPATIENT, entry(verified=True), f"verified, but {FIRST} is NotVerified"),
    "verified without a read": ([], {"wait": False}, entry(verified=True), "verified, but no read shows"),
    "verified although not shown again": (DENIED, {}, without_later_reads, "verified, but no read after the last write shows the ENI"),
    "not verified without a reason": (LOST, {}, entry(verified=False), "not verified, though nothing is open"),
    "another after": (LOST, {}, entry(after=dict.fromkeys(KINDS, ("10.0.0.99",))), "after is not what the last read shows"),
    "another before": (LOST, {}, entry(before=dict.fromkeys(KINDS, ("10.0.0.99",))), "before is not the real state"),
    "a failure without a message": (DENIED, {}, lambda _made, run: entry_of(run)["failures"][0].update(message=""), "says too little"),
    "failed is false": (DENIED, {}, result(failed=False), "failed is False with 1 failures"),
    "a seen ENI is missing": (LOST, {}, result(missing=[ENI]), f"{ENI} does not exist, says the result, but 0 reads have left it out"),
    "another summary": (LOST, {}, lambda _made, run: run.result["summary"].update(api_calls=1), "the summary is"),
    "another diff": (LOST, {}, result(diff={"before": "", "after": ""}), "diff.before is not what the ledger says"),
    "another list of what is done": (LOST, {}, result(unassigned=[]), "unassigned is {}, but the ledger says"),
    "a secret": (LOST, {}, result(msg="emulator-key-secret"), "the result holds a traceback or a secret"),
    "an error that ends": (
        LOST,
        {"wait_timeout": 8, "retry_timeout": 8},
        move("failures", FIRST, "Throttling"),
        "Throttling was not survived",
    ),
    "unreadable although shown": (BROKEN, {}, lambda _made, run: run.exchanges[0]["interfaces"][ENI].update(whole=True), "shows it"),
    "a holder that can be read": (LOST, {}, move("skipped", FIRST, "HolderUnreadable"), "every other ENI of the vSwitch can be read"),
    "not returned although returned": (DENIED, {}, move("failures", FIRST, "EniNotReturned"), "but no read left it out"),
    # the real state
    "changed in truth": (
        DENIED,
        {},
        lambda _made, run: run.calls[-2].update(effect={"eni_id": ENI, "unassigned": {"private_ip_addresses": ["10.0.0.99"]}}),
        "10.0.0.99 was changed by our calls, but is reported as neither done nor open",
    ),
    "still there in truth": (
        LOST,
        {},
        lambda _made, run: run.after["interfaces"][ENI]["private_ip_addresses"].append(FIRST),
        f"{FIRST} is reported as unassigned, but is there",
    ),
    # what is written
    "an address that was not named": (LOST, {}, asked(private_ip_addresses=[FIRST]), f"{SECOND} was not named"),
    "the primary address": (LOST, {}, parameters(PrivateIpAddress_4="10.0.0.10"), "10.0.0.10 is the primary address"),
    "an address that is kept": (LOST, {}, asked(keep=["10.0.0.11/32"]), f"{FIRST} is in keep"),
    "an address with an EIP": (LOST, {}, before(eips={FIRST: "203.0.113.1"}), f"{FIRST} has an EIP"),
    "a managed ENI": (LOST, {}, before(service_managed=True), "the ENI is service-managed"),
    "a protected ENI": (LOST, {}, before(tags={"cilium-eni-index": "1"}), "the ENI has the protected tag cilium-eni-index"),
    "a state that forbids it": (LOST, {}, before(status="Deleting"), "the ENI was never in a state for this, but Deleting"),
    "an EIP that was shown": (LOST, {}, shown(eips=[FIRST]), f"a read had shown that {FIRST} has an EIP"),
    "a manager that was shown": (LOST, {}, shown(service_managed=True), "a read had shown that the ENI is service-managed"),
    "a tag that was shown": (LOST, {}, shown(tags={"creator": "terway"}), "a read had shown that the ENI has the protected tag creator"),
    "a state that was shown": (LOST, {}, shown(status="Detaching"), "a read had shown that the ENI is Detaching"),
    "an ENI that no read has shown": (LOST, {}, shown(whole=False), "no read had shown this ENI"),
    "the wrong verb": (LOST, {}, write(action="AssignPrivateIpAddresses"), "is not what state=absent asks for"),
    "an ENI that was not named": (LOST, {}, parameters(NetworkInterfaceId="eni-other"), "this ENI was not named"),
    "two kinds in one call": (LOST, {}, parameters(Ipv4Prefix_1="10.0.0.16/28"), "names 2 kinds of address"),
    "an address twice in one call": (LOST, {}, parameters(PrivateIpAddress_4=FIRST), "names an address twice"),
    "too many in one call": (
        LOST,
        {},
        parameters(**{f"PrivateIpAddress_{number}": f"10.0.0.{number}" for number in range(40, 80)}),
        "of private_ip_addresses",
    ),
    "two calls at once": ([{"action": "write", "kind": "conflict", "nth": 1}], {}, overlapping, "was under way"),
    "a plan that is old": (LOST, {}, earlier, "s after the ENI was read"),
    "a call without a token": ([], TO_ASSIGN, parameters(ClientToken=""), "has no ClientToken"),
    "another token": (
        [{"action": "write", "kind": "503", "nth": 1}],
        TO_ASSIGN,
        parameters(ClientToken="new"),
        "sent again with another token",
    ),
    **{
        f"a token after {code}": (
            [{"action": "write", "kind": "503", "nth": 1}],
            TO_ASSIGN,
            lambda _made, run, code=code: writes_of(run)[0].update(code=code),
            "a token that cannot succeed",
        )
        for code in ("IdempotentFailed", "IdempotentParameterMismatch")
    },
}


@pytest.mark.parametrize(("error", "recorded"), [(PlanAged(), 0), (requests.ConnectionError(), 1)])
def test_a_request_that_the_module_stopped_is_not_recorded(error: Exception, recorded: int) -> None:
    exchanges: list[dict[str, Any]] = []
    request = requests.Request("POST", "http://192.0.2.1").prepare()
    with mock.patch.object(requests.Session, "send", side_effect=error, autospec=True), recording(exchanges), pytest.raises(type(error)):
        requests.Session().send(request)
    assert len(exchanges) == recorded


class TestTheOraclesNotice:
    """An oracle that never complains proves nothing. Each test changes the report of a correct run, or what is known about the run."""

    @pytest.mark.parametrize("name", LIES)
    def test_a_false_result_is_found(self, emulator: Emulator, name: str) -> None:
        faults, arguments, lie, complaint = LIES[name]
        made = scenario(copy.deepcopy(faults), **arguments)
        prepare(emulator, made)
        run = run_scenario(emulator, made)
        assert find_problems(made, run) == []

        made, run = copy.deepcopy((made, run))
        lie(made, run)
        complaints = find_problems(made, run)
        assert complaints
        assert any(complaint in one for one in complaints), complaints

    def test_a_traceback_is_found(self, emulator: Emulator) -> None:
        made = scenario([])
        prepare(emulator, made)
        run = run_scenario(emulator, made)
        run.result.clear()
        run.result["traceback"] = "ZeroDivisionError"
        assert find_problems(made, run) == ["the module raised: ZeroDivisionError"]

    @pytest.mark.parametrize(
        ("values", "complaint"),
        [
            ({"changed": True}, "must be failed, with a message, and changed=false"),
            ({"error": {}}, "neither errors nor the failed call"),
            ({"errors": [f"eni_id: {ENI} does not exist in cn-hangzhou"]}, "0 reads have left it out"),
        ],
    )
    def test_a_false_result_of_a_run_that_ended_before_its_writes_is_found(
        self, emulator: Emulator, values: dict[str, Any], complaint: str
    ) -> None:
        made = scenario([{"action": "read", "kind": "error", "code": "Forbidden.RAM", "status": 403}])
        prepare(emulator, made)
        run = run_scenario(emulator, made)
        assert find_problems(made, run) == []
        run.result.update(values)
        assert any(complaint in one for one in find_problems(made, run))

    def test_a_run_that_ended_because_of_one_record_is_found(self, emulator: Emulator) -> None:
        made = scenario([])
        prepare(emulator, made)
        run = run_scenario(emulator, made)
        error = {"action": "DescribeNetworkInterfaces", "code": "UnreadableReply", "request_id": run.exchanges[0]["request_id"]}
        ended = Run(run.before, run.before, [], run.exchanges[:1], {"failed": True, "changed": False, "msg": "no", "error": error})
        assert find_problems(made, ended) == [f"the record of one ENI or instance ended the whole run: {error}"]

    def test_a_prediction_that_a_run_does_not_confirm_is_found(self, emulator: Emulator) -> None:
        made = scenario([])
        prepare(emulator, made)
        check, run = run_scenario(emulator, made, check=True), run_scenario(emulator, made)
        assert find_prediction_problems(made, check) + differences(made, check.result, run.result) == []
        check.result["changed"] = False
        assert differences(made, check.result, run.result) == ["check mode says changed=False, the run True"]
        check.result["summary"]["unassigned"] = 0
        assert "check mode: the summary is" in find_prediction_problems(made, check)[0]

    @pytest.mark.parametrize("ends", [False, True])
    def test_a_prediction_is_wrong_about_a_transitional_state_only_if_it_has_ended(self, emulator: Emulator, ends: bool) -> None:
        made = scenario([], on_refusal="skip")
        made.seed["interfaces"][0] |= {"status": "Detaching", "becomes": {"status": "Available", "after_ms": 4000}}
        prepare(emulator, made)
        check, run = run_scenario(emulator, made, check=True), run_scenario(emulator, made)
        assert check.result["summary"]["skipped"] == run.result["summary"]["unassigned"] == len(HELD)
        assert differences(made, check.result, run.result) == []
        if not ends:
            check.result["interfaces"][0]["skipped"][0]["code"] = "EniState"
        else:
            run.result["interfaces"][0]["after"] = check.result["interfaces"][0]["after"]
        assert differences(made, check.result, run.result)


class TestFound:
    """Each test repeats a scenario whose result was once wrong."""

    @pytest.mark.parametrize("later", ["reset_before", "html"])
    def test_a_write_whose_outcome_is_not_known_is_never_verified(self, emulator: Emulator, later: str) -> None:
        faults = [{"action": "write", "kind": "reset_after", "nth": 1}, {"action": "read", "kind": later, "nth": 2, "times": 99}]
        trial = run_with_faults(emulator, scenario(faults, retry_timeout=1))

        assert trial.complaints == []
        assert entry_of(trial.runs["run"])["verified"] is False
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
    def test_what_somebody_else_unassigned_while_every_call_was_refused_is_done_and_the_rest_has_failed(
        self, emulator: Emulator, kind: str
    ) -> None:
        faults = [{"action": "write", "kind": kind}, {"action": "write", "kind": "take_address", "nth": 1}]
        trial = run_with_faults(emulator, scenario(faults, retry_timeout=0))

        assert trial.complaints == []
        summary = trial.runs["run"].result["summary"]
        assert (summary["unassigned"], summary["failed"]) == (1, 2)

    def test_a_call_that_took_effect_and_was_refused_before_its_plan_aged_is_not_forgotten(self, emulator: Emulator) -> None:
        made = scenario(
            [{"action": "write", "kind": "conflict", "nth": 1, "after_effect": True}, {"action": "write", "kind": "slow", "ms": 400}]
        )
        made.plan_lives = 0.2
        trial = run_with_faults(emulator, made)

        assert trial.complaints == []
        assert trial.runs["run"].result["summary"]["unassigned"] == len(HELD)

    def test_a_read_that_arrived_twice_is_sent_again(self, emulator: Emulator) -> None:
        trial = run_with_faults(emulator, scenario([{"action": "read", "kind": "twice", "times": 2}]))

        assert trial.complaints == []
        assert trial.runs["run"].result["summary"]["unassigned"] == len(HELD)

    def test_no_call_is_sent_to_an_eni_that_reading_back_has_shown_to_be_in_transition(self, emulator: Emulator) -> None:
        faults = [
            {"action": "write", "kind": "change_state", "id": ENI, "status": "Detaching", "nth": 1},
            {"action": "write", "kind": "reset_before", "nth": 1},
        ]
        trial = run_with_faults(emulator, scenario(faults, wait_timeout=1))

        assert trial.complaints == []
        assert len(writes_of(trial.runs["run"])) == 1
        assert [failure["code"] for failure in entry_of(trial.runs["run"])["failures"]] == ["NotVerified"]

    def test_what_was_refused_is_done_if_a_later_read_for_other_addresses_shows_that_it_is_gone(self, emulator: Emulator) -> None:
        made = scenario(
            [
                {"action": "write", "kind": "error", "code": "Forbidden.RAM", "status": 403, "nth": 1, "after_effect": True},
                {"action": "read", "kind": "stale", "nth": 2},
            ],
            ipv4_prefixes=["10.0.0.32/28"],
        )
        made.seed["interfaces"][0]["ipv4_prefixes"] = ["10.0.0.32/28"]
        made.faults[1] |= {"ms": 10000}
        trial = run_with_faults(emulator, made)

        assert trial.complaints == []
        assert trial.runs["run"].result["summary"]["unassigned"] == len(HELD) + 1
