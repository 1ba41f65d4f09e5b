# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.alicloud_ops.network.plugins.module_utils import _result
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import KINDS, flatten, group
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import EcsError, SdkMissing
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import AddressState, EniLedger
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Change, Reason
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import parse_request, parse_selection
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import build_failure, build_info, build_refusal
from ansible_collections.alicloud_ops.network.plugins.module_utils._select import Found
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import eni, entry, params, selection_params

A, B, C, D, E, F = (f"192.168.0.{last}" for last in (9, 10, 11, 12, 13, 14))
PREFIX = "192.168.0.16/28"
EMPTY = {kind.name: [] for kind in KINDS}
DENIED = Reason("Forbidden.RAM", "not yours", "R-1")
LATE = Reason("NotVerified", "late")


def build_result(*arguments):
    """The result as plain JSON, as Ansible passes it on."""
    return json.loads(json.dumps(_result.build_result(*arguments)))


def ledger_of(eni_id="eni-1", before=(), after=(), *, done=(), unchanged=(), skipped=(), failed=None, in_flight=(), failure=None):
    """One ENI of a ledger; ``before`` and ``after`` are what it held, None if it could not be read. ``failed``: address → reason."""

    def view(held):
        if held is None:
            return None
        return eni(eni_id, [one for one in held if "/" not in one], prefixes=[one for one in held if "/" in one])

    failed = failed or {}
    change = Change(eni_id, "i-1", view(before), group((*done, *failed, *in_flight)), group(unchanged), failure=failure)
    states = {
        **dict.fromkeys(done, AddressState.DONE),
        **dict.fromkeys(unchanged, AddressState.UNCHANGED),
        **dict.fromkeys(skipped, AddressState.SKIPPED),
        **dict.fromkeys(failed, AddressState.FAILED),
        **dict.fromkeys(in_flight, AddressState.IN_FLIGHT),
    }
    reasons = {**dict.fromkeys(skipped, Reason("Kept", "because")), **failed, **dict.fromkeys(in_flight, LATE)}
    return EniLedger(change, view(after), 0.0, states, reasons)


mixed = ledger_of(
    before=[A, B, C, D, F, PREFIX],
    after=[C, D, F],
    done=[A, B, PREFIX],
    unchanged=[E],
    skipped=[C],
    failed={D: DENIED, F: DENIED},
)


def test_the_whole_outcome_of_an_eni_is_reported():
    (interface,) = build_result("absent", [mixed], 7)["interfaces"]
    assert interface == {
        "eni_id": "eni-1",
        "instance_id": "i-1",
        "type": "Secondary",
        "status": "Available",
        "before": {**EMPTY, "private_ip_addresses": [A, B, C, D, F], "ipv4_prefixes": [PREFIX]},
        "after": {**EMPTY, "private_ip_addresses": [C, D, F]},
        "verified": True,
        "unassigned": {**EMPTY, "private_ip_addresses": [A, B], "ipv4_prefixes": [PREFIX]},
        "already_absent": {**EMPTY, "private_ip_addresses": [E]},
        "skipped": [{"address": C, "code": "Kept", "reason": "because"}],
        "failures": [{"addresses": [D, F], "code": "Forbidden.RAM", "message": "not yours", "request_id": "R-1"}],
    }


def test_the_summary_adds_up():
    result = build_result("absent", [mixed, ledger_of("eni-2", unchanged=[A])], 7)
    assert result["summary"] == {
        "interfaces": 2,
        "addresses": 8,
        "unassigned": 3,
        "already_absent": 2,
        "skipped": 1,
        "failed": 2,
        "api_calls": 7,
    }


@pytest.mark.parametrize(
    ("state", "done", "unchanged"), [("absent", "unassigned", "already_absent"), ("present", "assigned", "already_present")]
)
def test_the_keys_of_the_result_depend_on_the_state(state, done, unchanged):
    result = build_result(state, [ledger_of(done=[A], unchanged=[B])], 1)
    other = {"unassigned", "assigned", "already_absent", "already_present"} - {done, unchanged}
    assert {done, unchanged} <= result["interfaces"][0].keys()
    assert {done, unchanged} <= result["summary"].keys()
    assert done in result
    assert other.isdisjoint(result)
    assert other.isdisjoint(result["interfaces"][0])
    assert other.isdisjoint(result["summary"])


def test_unassigned_with_the_other_state_is_a_valid_request_for_the_same_addresses():
    result = build_result("absent", [mixed, ledger_of("eni-2", unchanged=[A])], 1)
    assert result["unassigned"] == [{"eni_id": "eni-1", **EMPTY, "private_ip_addresses": [A, B], "ipv4_prefixes": [PREFIX]}]
    errors = []
    request = parse_request(params(state="present", assignments=[entry(**one) for one in result["unassigned"]]), errors)
    assert errors == []
    assert [(one.eni_id, flatten(one.named)) for one in request.targets] == [("eni-1", (A, B, PREFIX))]


# The diff


def test_the_diff_has_a_line_for_each_address_of_the_enis_that_change():
    unchanged = ledger_of("eni-2", [A], [A])
    diff = build_result("absent", [mixed, unchanged], 1)["diff"]
    assert diff["before"].splitlines() == [f"eni-1 {address}" for address in (A, B, C, D, F, PREFIX)]
    assert diff["after"].splitlines() == [f"eni-1 {address}" for address in (C, D, F)]
    assert build_result("absent", [unchanged], 1)["diff"] == {"before": "", "after": ""}


@given(st.permutations(["eni-1", "eni-10", "eni-2", "eni-30"]))
def test_the_diff_is_in_order_of_eni_and_address_whatever_the_order_of_the_request(names):
    ledger = [ledger_of(name, [PREFIX, B, A], [A], done=[B, PREFIX]) for name in names]
    diff = build_result("absent", ledger, 1)["diff"]
    assert diff["before"].splitlines() == [
        f"{name} {address}" for name in ("eni-1", "eni-10", "eni-2", "eni-30") for address in (A, B, PREFIX)
    ]
    assert diff["after"].splitlines() == [f"{name} {A}" for name in ("eni-1", "eni-10", "eni-2", "eni-30")]


def test_the_interfaces_are_in_the_order_of_the_request():
    result = build_result("absent", [ledger_of(name, done=[A]) for name in ("eni-2", "eni-1")], 1)
    assert [one["eni_id"] for one in result["interfaces"]] == [one["eni_id"] for one in result["unassigned"]] == ["eni-2", "eni-1"]


def test_an_eni_that_went_away_is_reported_and_its_diff_ends_empty():
    gone = ledger_of(before=[A], after=None, in_flight=[A])
    result = build_result("absent", [gone], 1)
    assert (result["interfaces"][0]["type"], result["interfaces"][0]["status"]) == ("Secondary", None)
    assert result["diff"] == {"before": f"eni-1 {A}\n", "after": ""}
    assert result["missing"] == []


def test_an_eni_that_does_not_exist_is_missing():
    by_instance = ledger_of(None, before=None, after=None, unchanged=[A])
    result = build_result("absent", [by_instance, ledger_of("eni-9", before=None, after=None)], 1)
    assert result["missing"] == ["i-1", "eni-9"]
    assert (result["changed"], result["unassigned"], result["diff"]) == (False, [], {"before": "", "after": ""})


# Changed and failed


@pytest.mark.parametrize(
    ("outcome", "changed", "verified"),
    [
        ({"done": [A]}, True, True),
        ({"in_flight": [A]}, True, False),
        ({"failed": {A: DENIED}}, False, True),
        ({"unchanged": [A]}, False, True),
        ({"skipped": [A]}, False, True),
    ],
    ids=str,
)
def test_changed_is_true_if_an_address_was_changed_or_may_have_been(outcome, changed, verified):
    result = build_result("absent", [ledger_of(), ledger_of("eni-2", **outcome)], 1)
    assert result["changed"] == changed
    assert [one["verified"] for one in result["interfaces"]] == [True, verified]


def test_without_a_failure_nothing_has_failed():
    result = build_result("absent", [ledger_of(before=[A], done=[A], skipped=[B], unchanged=[C])], 1)
    assert "failed" not in result
    assert "msg" not in result


def test_a_failure_fails_the_task_and_says_how_many_and_why():
    result = build_result("absent", [mixed], 1)
    assert result["failed"] is True
    assert result["changed"] is True
    for words in ("2 of 7", "3 were unassigned", "eni-1", D, "Forbidden.RAM", "not yours", "R-1"):
        assert words in result["msg"]


def test_an_unverified_address_is_a_failure():
    result = build_result("absent", [ledger_of(before=[A], after=[A], in_flight=[A])], 1)
    assert (result["failed"], result["summary"]["failed"], result["unassigned"]) == (True, 1, [])
    assert result["interfaces"][0]["failures"] == [{"addresses": [A], "code": "NotVerified", "message": "late", "request_id": None}]


def test_an_unreadable_eni_fails_the_task_even_if_no_address_of_it_is_named():
    """As with all_secondary, because its addresses are unknown."""
    lost = ledger_of("eni-2", before=None, after=None, failure=Reason("EniNotReturned", "it is not there; no write was sent", "R-7"))
    result = build_result("absent", [mixed, lost], 1)
    assert result["failed"] is True
    assert result["interfaces"][1]["failures"] == [
        {"addresses": [], "code": "EniNotReturned", "message": "it is not there; no write was sent", "request_id": "R-7"}
    ]
    assert "eni-2: EniNotReturned: it is not there; no write was sent [request id R-7]" in result["msg"]
    assert result["missing"] == []
    alone = build_result("absent", [lost], 1)
    assert (alone["failed"], alone["changed"], alone["summary"]["failed"]) == (True, False, 0)


def test_many_failures_are_shortened_in_the_message_and_whole_in_the_ledger():
    failed = [ledger_of(f"eni-{number}", failed={A: Reason("Code", "message")}) for number in range(500)]
    result = build_result("absent", failed, 1)
    assert "and 480 more" in result["msg"]
    assert len(result["msg"]) < 3000
    assert len(result["interfaces"]) == result["summary"]["failed"] == 500


addresses = st.lists(st.sampled_from([A, B, C, D, E, PREFIX]), unique=True, max_size=6)


@given(st.lists(st.tuples(addresses, addresses, st.integers(0, 4), st.integers(0, 4), st.booleans()), max_size=4))
def test_counts_and_diff_follow_from_the_interfaces(drawn):
    ledger = []
    for number, (before, after, one, other, failing) in enumerate(drawn):
        lower, upper = sorted((one, other))
        done, rest, skipped = before[:lower], before[lower:upper], before[upper:]
        failed = dict.fromkeys(rest, Reason("Code", "message")) if failing else {}
        ledger.append(
            ledger_of(f"eni-{number}", before, after, done=done, unchanged=() if failing else rest, skipped=skipped, failed=failed)
        )
    result = build_result("absent", ledger, 3)
    interfaces, summary = result["interfaces"], result["summary"]
    assert summary["unassigned"] == sum(len(entries) for one in interfaces for entries in one["unassigned"].values())
    assert summary["already_absent"] == sum(len(entries) for one in interfaces for entries in one["already_absent"].values())
    assert summary["skipped"] == sum(len(one["skipped"]) for one in interfaces)
    assert summary["failed"] == sum(len(failure["addresses"]) for one in interfaces for failure in one["failures"])
    assert summary["addresses"] == sum(summary[name] for name in ("unassigned", "already_absent", "skipped", "failed"))
    assert summary["interfaces"] == len(interfaces)
    for side in ("before", "after"):
        expected = [
            f"{one['eni_id']} {address}"
            for one in interfaces
            if one["before"] != one["after"]
            for entries in one[side].values()
            for address in entries
        ]
        assert result["diff"][side].splitlines() == expected
    assert {one["eni_id"] for one in result["unassigned"]} == {one["eni_id"] for one in interfaces if one["unassigned"] != EMPTY}


# The result of the info module


def info(interfaces=(), unreadable=None, **given):
    errors = []
    wanted = parse_selection(selection_params(whole_region=True, **given), errors)
    assert errors == []
    return json.loads(json.dumps(build_info(Found(list(interfaces), [], {}, unreadable or {}), wanted, 3)))


def test_assignments_name_the_matching_addresses_of_enis_that_have_one():
    result = info([eni("eni-1", [A, B, C]), eni("eni-2", [C])], excluding=[C])
    assert result["assignments"] == [{"eni_id": "eni-1", **EMPTY, "private_ip_addresses": [A, B]}]
    assert result["summary"] == {"interfaces": 2, "addresses": 2, "api_calls": 3}
    assert result["unreadable"] == []


def test_unreadable_records_are_reported_by_id_with_their_reasons():
    unreadable = {
        "i-2": EcsError("DescribeInstances", "InstanceWithoutEni", "no primary ENI"),
        "eni-2": EcsError("DescribeNetworkInterfaces", "EniNotReturned", "not there", "R-7"),
    }
    result = info([eni("eni-1", [A])], unreadable)
    assert result["unreadable"] == [
        {"id": "eni-2", "reason": "DescribeNetworkInterfaces failed with EniNotReturned: not there [request id R-7]"},
        {"id": "i-2", "reason": "DescribeInstances failed with InstanceWithoutEni: no primary ENI"},
    ]
    assert result["missing"] == []


# What stops before any write


def test_one_error_has_no_number_and_several_are_numbered():
    assert build_refusal(["no region"])["msg"] == "Nothing was changed. no region"
    many = build_refusal([f"error {number}" for number in range(30)])
    assert "(1) error 0; (2) error 1" in many["msg"]
    assert "and 10 more" in many["msg"]
    assert len(many["errors"]) == 30
    assert many["changed"] is False


def test_a_failed_read_says_what_failed_and_that_nothing_was_changed():
    failure = build_failure(EcsError("DescribeInstances", "Forbidden.RAM", "no", "R-1"))
    assert failure["changed"] is False
    assert failure["error"]["code"] == "Forbidden.RAM"
    assert failure["error"]["request_id"] == "R-1"
    for words in ("Nothing was changed", "DescribeInstances", "Forbidden.RAM", "R-1", "ecs:DescribeInstances"):
        assert words in failure["msg"]
    # A module that only reads must not say that nothing was changed, because an earlier task may have written.
    assert "changed" not in build_failure(EcsError("DescribeInstances", "Forbidden.RAM", "no", "R-1"), first="")["msg"]


def test_a_missing_sdk_names_the_package():
    failure = build_failure(SdkMissing("No module named 'x'"))
    assert failure["changed"] is False
    assert _result.SDK_PACKAGE in failure["msg"]
