# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The entry of each address in the report, the outcome of a run, and the lines of the output."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.alicloud_ops.network.plugins.module_utils import _plan
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import EMPTY, group
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import AddressState, EniLedger, Write
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Change, Plan, Reason
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Request
from ansible_collections.alicloud_ops.network.plugins.module_utils._run import open_ledger, predict
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import format_duration
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._lines import failure_message, plan_lines, summary_lines, wave_line
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import RunView, build_report, states_of
from ansible_collections.alicloud_ops.network.tests.unit.plugins.plugin_utils.report_builders import (
    DENIED,
    EIP,
    KEPT,
    STARTED,
    audit,
    document,
    eni,
    failed,
    interface,
    last_read,
    plan,
    refused,
    restore,
    run_of,
    wave,
)

PLANNED, IN_FLIGHT, DONE, UNCHANGED, SKIPPED, FAILED = AddressState
A, B = "10.0.0.1", "10.0.0.2"
FORBIDDEN_STATE = Reason(_plan.ENI_STATE, "the ENI is Deleting, it must be Available or InUse")


EIP_TEXT = EIP.text.replace("allow_eip", "unassign_secondary_ips_allow_eip")


def lines_of(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {line["address"]: line for row in report["interfaces"] for line in row["addresses"]}


# -- one address


@pytest.mark.parametrize(
    ("operation", "check_mode", "state", "expected"),
    [
        ("unassign", False, PLANNED, "pending"),
        ("unassign", True, PLANNED, "planned"),
        ("unassign", True, DONE, "planned"),
        ("unassign", False, DONE, "unassigned"),
        ("restore", False, DONE, "assigned"),
        ("unassign", False, UNCHANGED, "already_absent"),
        ("restore", True, UNCHANGED, "already_present"),
        ("unassign", False, (SKIPPED, KEPT), "skipped"),
        ("unassign", False, IN_FLIGHT, "failed"),
        ("unassign", False, (FAILED, DENIED), "failed"),
    ],
)
def test_state_of_an_address(operation: str, check_mode: bool, state: Any, expected: str) -> None:
    report = build_report(run_of(operation, [eni("eni-1", {A: state})], check_mode=check_mode))
    assert report["interfaces"][0]["addresses"][0]["state"] == expected
    assert states_of(report["totals"]) == [expected]
    assert report["totals"][expected] == report["totals"]["addresses"] == 1


def test_a_line_has_all_that_is_known_of_the_address() -> None:
    report = build_report(run_of("unassign", [eni("eni-1", {A: (FAILED, DENIED), "10.0.1.0/28": DONE}, eips={A: "203.0.113.7"})]))
    assert lines_of(report)[A] == {
        "address": A,
        "state": "failed",
        "code": "OperationDenied",
        "reason": DENIED.text,
        "request_id": DENIED.request_id,
        "eip": "203.0.113.7",
    }
    assert lines_of(report)["10.0.1.0/28"]["code"] is None


def test_an_address_that_no_read_confirmed_is_not_verified() -> None:
    for reason, text in ((None, "no read showed the outcome"), (Reason("NotVerified", "still there after 60 s"), "still there after 60 s")):
        state = (IN_FLIGHT, reason) if reason else IN_FLIGHT
        line = lines_of(build_report(run_of("unassign", [eni("eni-1", {A: state})])))[A]
        assert (line["state"], line["code"], line["reason"]) == ("failed", "NotVerified", text)


@pytest.mark.parametrize("operation", ["unassign", "restore"])
@pytest.mark.parametrize(
    ("state", "as_requested", "contradicts"),
    [
        (DONE, True, False),
        (DONE, False, True),
        (UNCHANGED, True, False),
        (UNCHANGED, False, True),
        (PLANNED, True, True),
        (PLANNED, False, False),
        ((SKIPPED, KEPT), True, True),
        ((SKIPPED, KEPT), False, False),
    ],
)
def test_an_address_that_contradicts_the_last_read_is_a_failure(operation: str, state: Any, as_requested: bool, contradicts: bool) -> None:
    held = [A] if as_requested == (operation == "restore") else []
    made = run_of(operation, [eni("eni-1", {A: state})], final={"eni-1": interface("eni-1", held)})
    line = lines_of(build_report(made))[A]
    assert (line["code"] == "Contradiction") == contradicts
    assert (line["state"] == "failed") == contradicts
    if contradicts:
        assert f"the last read shows that it is {'' if held else 'not '}on the ENI" in line["reason"]
        assert build_report(made)["outcome"] == "failed"
    # A prediction contradicts nothing.
    assert lines_of(build_report(replace(made, check_mode=True)))[A]["code"] != "Contradiction"


@pytest.mark.parametrize("state", [IN_FLIGHT, (FAILED, DENIED)])
def test_a_failure_says_what_the_last_read_shows_instead(state: Any) -> None:
    made = run_of("unassign", [eni("eni-1", {A: state}, sent=[A])], final={"eni-1": interface("eni-1", [])})
    line = lines_of(build_report(made))[A]
    assert line["state"] == "failed"
    assert line["code"] in ("NotVerified", "OperationDenied")
    assert line["reason"].endswith("; the last read shows that it is not on the ENI")
    made = replace(made, final={"eni-1": interface("eni-1", [A])})
    assert "last read" not in lines_of(build_report(made))[A]["reason"]


def test_the_report_says_that_an_eni_does_not_exist() -> None:
    missing = open_ledger(Plan((Change("eni-1", None, None, EMPTY, group([A])),)))
    report = build_report(run_of("unassign", missing))
    assert report["interfaces"][0]["status"] == "does not exist"
    assert lines_of(report)[A]["state"] == "already_absent"
    assert (lines_of(report)[A]["code"], lines_of(report)[A]["reason"]) == ("EniMissing", "the ENI does not exist")
    assert report["outcome"] == "done"  # what is missing is not "nothing to do"


def test_an_eni_that_fails_as_a_whole_is_a_failure_without_an_address() -> None:
    broken = open_ledger(Plan((Change(None, "i-1", None, EMPTY, EMPTY, failure=DENIED),)))
    report = build_report(run_of("unassign", broken))
    row = report["interfaces"][0]
    assert (row["eni_id"], row["status"], row["addresses"]) == ("i-1", "cannot be read", [])
    assert row["failure"]["code"] == "OperationDenied"
    assert report["outcome"] == "failed"
    assert report["totals"]["addresses"] == 0
    assert f"failed, OperationDenied: {DENIED.text} [request id {DENIED.request_id}]: i-1" in failure_message(report)


ANY_STATE = st.sampled_from([PLANNED, IN_FLIGHT, DONE, UNCHANGED, (SKIPPED, KEPT), (SKIPPED, EIP), (FAILED, DENIED)])
LEDGERS = st.dictionaries(
    st.sampled_from(["eni-1", "eni-2", "eni-3"]),
    st.dictionaries(st.sampled_from([A, B, "10.0.0.16/28", "2001:db8::1"]), ANY_STATE, min_size=1),
    min_size=1,
)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    LEDGERS,
    st.sampled_from(["unassign", "restore"]),
    st.booleans(),
    st.none() | st.sets(st.sampled_from([A, B])),
    st.sampled_from(["", STARTED]),
)
def test_every_address_has_one_line_and_every_sum_is_right(
    states: dict[str, dict[str, Any]], operation: str, check_mode: bool, held: set[str] | None, finished: str
) -> None:
    ledger = [eni(eni_id, of_eni) for eni_id, of_eni in states.items()]
    final = None if held is None else {eni_id: interface(eni_id, held) for eni_id in states}
    report = build_report(run_of(operation, ledger, check_mode=check_mode, final=final, finished_at=finished))
    shown = [(row["eni_id"], line["address"]) for row in report["interfaces"] for line in row["addresses"]]
    assert sorted(shown) == sorted((eni_id, address) for eni_id, of_eni in states.items() for address in of_eni)
    counts = Counter(line["state"] for row in report["interfaces"] for line in row["addresses"])
    assert {state: report["totals"][state] for state in states_of(report["totals"])} == counts
    for state in counts:
        assert sum(one[state] for one in report["groups"]) == counts[state]
    with_reason = [line for row in report["interfaces"] for line in row["addresses"] if line["reason"]]
    assert sum(entry["addresses"] for entry in report["reasons"]) == len(with_reason)
    assert bool(failure_message(report)) == (report["outcome"] in ("failed", "stopped", "not verified"))
    assert json.loads(json.dumps(report)) == report


# -- the whole run


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        (audit(), "listed"),
        (plan(), "planned"),
        (plan(check_mode=False), "planned"),
        (replace(plan(check_mode=False), finished_at=STARTED), "stopped"),
        (failed(), "failed"),
        (refused(), "refused"),
        (restore(), "done"),
        (replace(restore(), stops=["the plan aged"]), "stopped"),
        (replace(restore(), final=None), "not verified"),
        (replace(restore(), final={}), "not verified"),
        (replace(restore(), final=None, stops=["the last read failed"]), "not verified"),
        (replace(plan(check_mode=False), finished_at=STARTED, final={}), "stopped"),
        (run_of("unassign", [eni("eni-1", {A: UNCHANGED})]), "nothing to do"),
        (run_of("unassign", [eni("eni-1", {A: (SKIPPED, KEPT)})]), "nothing to do"),
        (run_of("unassign", [eni("eni-1", {A: (SKIPPED, EIP)})]), "done"),
        (run_of("unassign", [eni("eni-1", {A: (SKIPPED, EIP)})], check_mode=True), "planned"),
        (run_of("unassign", [eni("eni-1", {A: UNCHANGED})], unreadable={"eni-2": "no primary address"}), "done"),
        (run_of("restore", [eni("eni-1", {A: (SKIPPED, FORBIDDEN_STATE)})]), "failed"),
        (run_of("restore", [eni("eni-1", {A: (SKIPPED, FORBIDDEN_STATE)})], check_mode=True), "failed"),
        (RunView("unassign", plan=document({"eni-1": [A]}), refusals=["no"]), "refused"),
    ],
)
def test_outcome(made: RunView, outcome: str) -> None:
    report = build_report(made)
    assert report["outcome"] == outcome
    assert bool(failure_message(report)) == (outcome in ("refused", "stopped", "not verified", "failed"))


def test_a_run_that_is_refused_before_it_has_a_ledger_shows_its_plan() -> None:
    report = build_report(RunView("unassign", plan=document({"eni-1": [A], "eni-2": [B]}), refusals=["account_id: no"]))
    assert report["headline"] == "2 addresses on 2 ENIs: 2 pending"
    assert failure_message(report) == "Nothing was changed. account_id: no"


def test_the_last_read_must_have_every_eni_that_was_written() -> None:
    ledger = [eni("eni-1", {A: DONE}, sent=[A]), eni("eni-2", {B: UNCHANGED})]
    report = build_report(run_of("unassign", ledger, final=last_read(ledger[1:], [B])))
    assert report["outcome"] == "not verified"
    assert "The last read lacks eni-1" in report["stopped"]
    assert "eni-1" in failure_message(report)
    assert build_report(run_of("unassign", ledger, final=last_read(ledger[:1], [A])))["outcome"] == "done"


def test_the_worst_rows_come_first() -> None:
    ledger = [
        eni("eni-1", {A: DONE}),
        eni("eni-2", {A: DONE, B: (SKIPPED, KEPT)}),
        eni("eni-3", {A: UNCHANGED}),
        eni("eni-4", {A: DONE, B: (FAILED, DENIED)}),
    ]
    report = build_report(run_of("unassign", ledger))
    assert [row["eni_id"] for row in report["interfaces"]] == ["eni-4", "eni-2", "eni-1", "eni-3"]
    assert list(report["totals"]) == ["interfaces", "addresses", "failed", "skipped", "unassigned", "already_absent", "api_calls"]
    assert report["headline"] == "6 addresses on 4 ENIs: 1 failed, 1 skipped, 3 unassigned, 1 already absent"


def test_an_eni_counts_once_in_the_first_selected_security_group() -> None:
    ledger = [
        eni("eni-1", {A: DONE}, security_group_ids=("sg-other", "sg-data", "sg-web")),
        eni("eni-2", {A: DONE, B: DONE}, security_group_ids=("sg-other",)),
        eni("eni-3", {A: DONE}, security_group_ids=()),
    ]
    report = build_report(run_of("unassign", ledger, selected_groups=["sg-web", "sg-data"], security_groups={"sg-web": "web"}))
    assert [(one["security_group_id"], one["name"], one["interfaces"], one["addresses"]) for one in report["groups"]] == [
        ("sg-other", "", 1, 2),
        ("no security group", "", 1, 1),
        ("sg-web", "web", 1, 1),
    ]


def test_many_addresses_with_one_reason_are_one_entry() -> None:
    states = {f"10.0.0.{n}": (SKIPPED, EIP._replace(text=f"the EIP 203.0.113.{n} is bound to it")) for n in range(1, 61)}
    report = build_report(run_of("unassign", [eni("eni-1", states), eni("eni-2", {A: (SKIPPED, KEPT), B: (FAILED, DENIED)})]))
    assert [(entry["state"], entry["code"], entry["addresses"], entry["interfaces"]) for entry in report["reasons"]] == [
        ("failed", "OperationDenied", 1, 1),
        ("skipped", "EipBound", 60, 1),
        ("skipped", "Kept", 1, 1),
    ]
    assert [entry["guard"] for entry in report["reasons"]] == [None, "allow_eip", "keep"]
    (line,) = [line for line in plan_lines(report) if "EipBound" in line]
    first = ", ".join(f"eni-1 10.0.0.{n}" for n in range(1, 6))
    assert line == f"  60 skipped, EipBound: for example: the EIP 203.0.113.1 is bound to it: {first} and 55 more"


def test_every_reason_code_of_the_plan_names_its_guard() -> None:
    codes = [value for name, value in vars(_plan).items() if name.isupper() and isinstance(value, str) and value[0].isupper()]
    assert len(codes) == 12
    states = {f"10.0.0.{n}": (SKIPPED, Reason(code, "text")) for n, code in enumerate(codes)}
    report = build_report(run_of("unassign", [eni("eni-1", states)]))
    assert [entry["code"] for entry in report["reasons"] if entry["guard"] == entry["code"]] == []
    assert len(report["reasons"]) == len(codes)


def test_the_timeline_has_offsets_and_a_clock_that_is_set_back_breaks_nothing() -> None:
    waves = [wave(1, 3), wave(2, 3, start=30, seconds=5), replace(wave(3, 3), started_at="2026-01-05T09:00:00+00:00")]
    report = build_report(replace(restore(), waves=waves, finished_at="2026-01-05T09:00:00+00:00"))
    assert [(one["offset"], one["seconds"]) for one in report["waves"]] == [(0, 20), (30, 5), (0, 3620)]
    assert report["seconds"] == 0


# -- the lines of the output


def test_lines_before_the_first_write() -> None:
    report = build_report(plan())
    assert plan_lines(report) == [
        "Unassign secondary addresses, cn-hangzhou, account 1000000000000001 (check mode)",
        "plan: 11 addresses on 4 ENIs: 2 skipped, 9 planned",
        f"digest {report['digest']}",
        "  web (sg-web): 4 ENIs, 2 skipped, 9 planned",
        f"  1 skipped, EipBound: {EIP_TEXT}: eni-0 192.168.0.99",
        f"  1 skipped, Kept: {KEPT.text}: eni-0 192.168.0.10",
        "  eni-1: 10.0.1.1, 10.0.1.2, 10.0.1.3",
        "  eni-2: 10.0.2.1, 10.0.2.2, 10.0.2.3",
        "  eni-3: 10.0.3.1, 10.0.3.2, 10.0.3.3",
    ]


def test_lines_of_an_audit() -> None:
    report = build_report(audit())
    lines = plan_lines(report)
    assert lines[:2] == ["Secondary addresses by security group, cn-hangzhou, account 1000000000000001", f"found: {report['headline']}"]
    assert "  web (sg-web): 3 ENIs, 6 held" in lines
    assert "  eni-3: 192.168.0.30" in lines


@pytest.mark.parametrize("number", [50, 51])
def test_the_plan_names_all_addresses_up_to_fifty(number: int) -> None:
    names = [f"10.0.{n // 10}.{n % 10}" for n in range(number)]
    ledger = [eni("eni-1", dict.fromkeys(names[:30], DONE)), eni("eni-2", dict.fromkeys(names[30:], DONE), security_group_ids=("sg-data",))]
    made = run_of("unassign", ledger, check_mode=True, files={"plan": "/state/plan-0123456789ab.json"})
    text = "\n".join(plan_lines(build_report(made)))
    if number == 50:
        assert all(f" {name}" in text for name in names)
        assert "plan-0123456789ab.json" not in text
    else:
        assert "\n  sg-web: eni-1 10.0.0.0, eni-1 10.0.0.1, eni-1 10.0.0.2, eni-1 10.0.0.3, eni-1 10.0.0.4, and 25 more\n" in text
        assert "\n  sg-data: eni-2 10.0.3.0, " in text
        assert text.endswith("\nall 51 addresses: /state/plan-0123456789ab.json")


def test_summary_of_a_run_with_failures() -> None:
    report = build_report(failed())
    assert summary_lines(report) == [
        "failed: 11 addresses on 5 ENIs: 4 failed, 2 skipped, 4 unassigned, 1 already absent",
        f"digest {report['digest']}, approved {report['digest']}",
        f"  2 failed, OperationDenied: {DENIED.text} [request id {DENIED.request_id}]: eni-1 10.0.1.2, eni-1 10.0.1.3",
        "  1 failed, Contradiction: unassigned, but the last read shows that it is on the ENI: eni-3 10.0.3.2",
        "  1 failed, NotVerified: no read showed the outcome: eni-2 10.0.2.2",
        f"  1 skipped, EipBound: {EIP_TEXT}: eni-5 10.0.5.1",
        f"  1 skipped, Kept: {KEPT.text}: eni-4 192.168.0.10",
        "plan: /state/plan-0123456789ab.json",
        "restore recipe: /state/recipe-0123456789ab.json",
        "report, JSON: /state/unassign.json",
        "To undo it: ansible-playbook alicloud_ops.network.restore_secondary_ips -e restore_secondary_ips_recipe_file=/recipe.json",
    ]


def test_summary_says_why_nothing_was_written_and_how_sure_a_restore_is() -> None:
    report = build_report(refused())
    assert f"  refused: {report['refusals'][0]}" in summary_lines(report)
    assert "  1 not in the saved or approved plan: eni-1 10.0.1.1" in plan_lines(report)
    assert "  2 in the saved or approved plan, but no longer on their ENI: eni-7 10.0.7.1, eni-7 10.0.7.2" in plan_lines(report)
    assert "  1 in the saved or approved plan, but refused, not readable or not selected today: eni-8 10.0.8.1" in plan_lines(report)
    assert restore().sure in summary_lines(build_report(restore()))
    assert "  cannot be read: eni-9: no primary address" in plan_lines(build_report(audit()))
    stopped = replace(plan(check_mode=False), finished_at=STARTED, stops=["2 of 9 addresses failed."])
    assert "2 of 9 addresses failed" in summary_lines(build_report(stopped))


@pytest.mark.parametrize("name", ["web" * 500, "端" * 700, "a b " * 400])
def test_no_line_is_longer_than_awx_shows_and_nothing_is_lost(name: str) -> None:
    made = replace(
        refused(),
        security_groups={"sg-web": name},
        refusals=[f"refusal: {name}"],
        next_steps=[f"ansible-playbook {name}"],
        unreadable={f"eni-{n}": name for n in range(3)},
        difference={"added": [f"eni-bp1{n:017} 2001:db8:1111:2222:3333:4444:5555:{n:04x}" for n in range(1000)]},
    )
    report = build_report(made)
    lines = plan_lines(report) + summary_lines(report)
    assert max(len(line.encode()) for line in lines) < 1024
    squeezed = "".join(lines).replace(" ", "").replace("\\", "")
    assert squeezed.count(name.replace(" ", "")) == 6
    assert "and 980 more" in "".join(lines)
    commands = summary_lines(report)[-len(summary_lines(report)) :]
    start = next(at for at, line in enumerate(commands) if line.startswith("Next: "))
    assert all(line.endswith(" \\") for line in commands[start:-1])
    assert not commands[-1].endswith("\\")


def test_no_value_controls_the_terminal_or_breaks_a_line() -> None:
    evil = "a\nok: [localhost]\x1b[2J\u202eb\ud800"
    denied = DENIED._replace(text=evil)
    ledger = [eni("eni-1", {A: (FAILED, denied)}, details={"NetworkInterfaceName": evil})]
    report = build_report(
        run_of("unassign", ledger, security_groups={"sg-web": evil}, unreadable={"eni-2": evil}, refusals=[evil], stops=[evil])
    )
    text = json.dumps(report, ensure_ascii=False) + "".join(plan_lines(report) + summary_lines(report)) + failure_message(report)
    assert not set("\n\x1b\u202e\ud800") & set(text)
    assert "a ok: [localhost] [2J b" in text
    text.encode()


@pytest.mark.parametrize(
    ("waves", "elapsed", "expected"),
    [
        ([wave(1, 20, done=50)], 12.0, "wave 1/20 · 50 of 1000 addresses · 50 unassigned · about 4 min left"),
        (
            [wave(1, 20, done=50), wave(2, 20, done=50), wave(3, 20, done=48, failed=2)],
            42.4,
            "wave 3/20 · 150 of 1000 addresses · 148 unassigned, 2 failed · about 4 min left",
        ),
        ([wave(1, 2, done=900)], 90.0, "wave 1/2 · 900 of 1000 addresses · 900 unassigned · about 10 s left"),
        ([wave(1, 20, done=50)], 600.0, "wave 1/20 · 50 of 1000 addresses · 50 unassigned · about 3 h 10 min left"),
        ([wave(2, 2, done=900)], 90.0, "wave 2/2 · 900 of 1000 addresses · 900 unassigned"),
        ([wave(1, 1, done=998, failed=2)], 9.0, "wave 1/1 · 1000 of 1000 addresses · 998 unassigned, 2 failed"),
    ],
)
def test_line_of_a_wave(waves: list[Any], elapsed: float, expected: str) -> None:
    assert wave_line(waves, 1000, "unassign", elapsed) == expected


def test_the_time_left_has_the_pauses_to_come_and_not_those_of_the_past() -> None:
    waves = [wave(1, 4, done=250), wave(2, 4, done=250)]
    # 20 s of work and one pause so far. 20 s of work and two pauses are left.
    assert wave_line(waves, 1000, "unassign", 50.0, 30).endswith(" · about 1 min left")
    assert wave_line(waves, 1000, "unassign", 50.0).endswith(" · about 50 s left")
    assert wave_line([wave(1, 4, done=250)], 1000, "unassign", 10.0, 600).endswith(" · about 30 min left")


@pytest.mark.parametrize(("seconds", "expected"), [(0, "1 s"), (59.4, "59 s"), (59.6, "1 min"), (3599, "1 h 0 min"), (7830, "2 h 10 min")])
def test_duration(seconds: float, expected: str) -> None:
    assert format_duration(seconds) == expected


def test_a_last_read_is_needed_only_for_a_ledger_with_writes() -> None:
    """A run that sent nothing has nothing to verify."""
    ledger: list[EniLedger] = [eni("eni-1", {A: (FAILED, DENIED)})]
    assert build_report(run_of("unassign", ledger))["outcome"] == "failed"
    ledger[0].writes.append(Write((A,)))
    assert build_report(run_of("unassign", ledger))["outcome"] == "not verified"


@pytest.mark.parametrize("wait", [True, False])
def test_what_check_mode_predicts_is_planned_and_needs_no_reason(wait: bool) -> None:
    todo = Plan((Change("eni-1", None, interface("eni-1", [A, B]), group([A]), EMPTY, {B: KEPT}),))
    report = build_report(run_of("unassign", predict(todo, Request("absent", (), wait=wait)), check_mode=True))
    assert {address: (line["state"], line["code"]) for address, line in lines_of(report).items()} == {
        A: ("planned", None),
        B: ("skipped", "Kept"),
    }
