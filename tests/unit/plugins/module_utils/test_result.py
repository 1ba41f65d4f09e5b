# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.alicloud_ops.network.plugins.module_utils import _result
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import KINDS, flatten, make_address_set
from ansible_collections.alicloud_ops.network.plugins.module_utils._apply import Failure, Outcome
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import EcsError, SdkMissing
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Change, Note
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import parse_request
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import build_failure, build_refusal
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import eni, entry, kind_of, params

A, B, C, D, E, F = (f"192.168.0.{last}" for last in (9, 10, 11, 12, 13, 14))
PREFIX = "192.168.0.16/28"
EMPTY = {kind.name: [] for kind in KINDS}


def build_result(*arguments):
    """As Ansible hands it on."""
    return json.loads(json.dumps(_result.build_result(*arguments)))


def lists(*addresses):
    return make_address_set({kind.name: [address for address in addresses if kind_of(address) == kind.name] for kind in KINDS})


def outcome(eni_id="eni-1", before=(), after=(), *, done=(), settled=(), skipped=(), failed=(), **more):
    """One line of the ledger; ``before`` and ``after`` are what the ENI held, None where there was no ENI."""

    def view(held):
        if held is None:
            return None
        return eni(eni_id, [one for one in held if "/" not in one], prefixes=[one for one in held if "/" in one])

    change = Change(eni_id, "i-1", view(before), lists(*done), lists(*settled))
    return Outcome(
        change,
        lists(),
        lists(*settled),
        [Note(address, "because") for address in skipped],
        view(after),
        done=lists(*done),
        failed=list(failed),
        wrote=more.pop("wrote", bool(done)),
        **more,
    )


mixed = outcome(
    before=[A, B, C, D, F, PREFIX],
    after=[C, D, F],
    done=[A, B, PREFIX],
    settled=[E],
    skipped=[C],
    failed=[Failure((D, F), "Forbidden.RAM", "not yours", "R-1")],
)


def test_everything_that_happened_to_an_eni_is_told():
    (told,) = build_result("absent", [mixed], 7)["interfaces"]
    assert told == {
        "eni_id": "eni-1",
        "instance_id": "i-1",
        "type": "Secondary",
        "status": "Available",
        "before": {**EMPTY, "private_ip_addresses": [A, B, C, D, F], "ipv4_prefixes": [PREFIX]},
        "after": {**EMPTY, "private_ip_addresses": [C, D, F]},
        "verified": True,
        "unassigned": {**EMPTY, "private_ip_addresses": [A, B], "ipv4_prefixes": [PREFIX]},
        "absent": {**EMPTY, "private_ip_addresses": [E]},
        "skipped": [{"address": C, "reason": "because"}],
        "failed": [{"addresses": [D, F], "code": "Forbidden.RAM", "message": "not yours", "request_id": "R-1"}],
    }


def test_the_summary_adds_up():
    result = build_result("absent", [mixed, outcome("eni-2", settled=[A])], 7)
    assert result["summary"] == {"interfaces": 2, "addresses": 8, "unassigned": 3, "absent": 2, "skipped": 1, "failed": 2, "api_calls": 7}


@pytest.mark.parametrize(("state", "done", "settled"), [("absent", "unassigned", "absent"), ("present", "assigned", "present")])
def test_words_follow_the_state(state, done, settled):
    result = build_result(state, [outcome(done=[A], settled=[B])], 1)
    other = {"unassigned", "assigned"} - {done}
    assert {done, settled} <= result["interfaces"][0].keys()
    assert {done, settled} <= result["summary"].keys()
    assert done in result
    assert other.isdisjoint(result)
    assert other.isdisjoint(result["summary"])


def test_what_was_unassigned_given_back_is_a_valid_request_for_just_that():
    result = build_result("absent", [mixed, outcome("eni-2", settled=[A])], 1)
    assert result["unassigned"] == [{"eni_id": "eni-1", **EMPTY, "private_ip_addresses": [A, B], "ipv4_prefixes": [PREFIX]}]
    errors = []
    request = parse_request(params(state="present", assignments=[entry(**one) for one in result["unassigned"]]), errors)
    assert errors == []
    assert [(one.eni_id, flatten(one.named)) for one in request.targets] == [("eni-1", (A, B, PREFIX))]


def test_the_diff_has_a_line_for_each_address_of_the_enis_that_change():
    unchanged = outcome("eni-2", [A], [A])
    diff = build_result("absent", [mixed, unchanged], 1)["diff"]
    assert diff["before"].splitlines() == [f"eni-1 {address}" for address in (A, B, C, D, F, PREFIX)]
    assert diff["after"].splitlines() == [f"eni-1 {address}" for address in (C, D, F)]
    assert build_result("absent", [unchanged], 1)["diff"] == {"before": "", "after": ""}


def test_an_eni_that_went_away_is_told_and_its_diff_ends_empty():
    gone = outcome(before=[A], after=None, failed=[Failure((A,), "InvalidEniId.NotFound", "gone")], wrote=True)
    result = build_result("absent", [gone], 1)
    assert (result["interfaces"][0]["type"], result["interfaces"][0]["status"]) == ("Secondary", None)
    assert result["diff"] == {"before": f"eni-1 {A}\n", "after": ""}
    assert result["missing"] == []


def test_what_does_not_exist_is_missing():
    by_instance = outcome(None, before=None, after=None, settled=[A])
    result = build_result("absent", [by_instance, outcome("eni-9", before=None, after=None)], 1)
    assert result["missing"] == ["i-1", "eni-9"]
    assert (result["changed"], result["unassigned"], result["diff"]) == (False, [], {"before": "", "after": ""})


@pytest.mark.parametrize("wrote", [True, False])
def test_changed_is_whether_anything_was_written(wrote):
    result = build_result("absent", [outcome(), outcome("eni-2", failed=[Failure((A,), "NotVerified", "late")], wrote=wrote)], 1)
    assert result["changed"] == wrote


def test_without_a_failure_nothing_has_failed():
    result = build_result("absent", [outcome(before=[A], done=[A], skipped=[B], settled=[C])], 1)
    assert "failed" not in result
    assert "msg" not in result


def test_a_failure_fails_the_task_and_says_how_many_and_why():
    result = build_result("absent", [mixed], 1)
    assert result["failed"] is True
    assert result["changed"] is True
    for words in ("2 of 7", "3 were unassigned", "eni-1", D, "Forbidden.RAM", "not yours", "R-1"):
        assert words in result["msg"]


def test_many_failures_are_shortened_in_the_message_and_whole_in_the_ledger():
    failed = [outcome(f"eni-{number}", failed=[Failure((A,), "Code", "message")]) for number in range(500)]
    result = build_result("absent", failed, 1)
    assert "and 480 more" in result["msg"]
    assert len(result["msg"]) < 3000
    assert len(result["interfaces"]) == result["summary"]["failed"] == 500


addresses = st.lists(st.sampled_from([A, B, C, D, E, PREFIX]), unique=True, max_size=6)


@given(st.lists(st.tuples(addresses, addresses, st.integers(0, 4), st.integers(0, 4), st.booleans()), max_size=4))
def test_counts_and_diff_follow_from_the_interfaces(drawn):
    outcomes = []
    for number, (before, after, one, other, failing) in enumerate(drawn):
        lower, upper = sorted((one, other))
        done, rest, skipped = before[:lower], before[lower:upper], before[upper:]
        failed = [Failure((address,), "Code", "message") for address in rest] if failing else []
        settled = () if failing else rest
        outcomes.append(outcome(f"eni-{number}", before, after, done=done, settled=settled, skipped=skipped, failed=failed))
    result = build_result("absent", outcomes, 3)
    interfaces, summary = result["interfaces"], result["summary"]
    assert summary["unassigned"] == sum(len(entries) for one in interfaces for entries in one["unassigned"].values())
    assert summary["absent"] == sum(len(entries) for one in interfaces for entries in one["absent"].values())
    assert summary["skipped"] == sum(len(one["skipped"]) for one in interfaces)
    assert summary["failed"] == sum(len(failed["addresses"]) for one in interfaces for failed in one["failed"])
    assert summary["addresses"] == sum(summary[name] for name in ("unassigned", "absent", "skipped", "failed"))
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


# What stops before any write


def test_one_mistake_stands_alone_and_many_are_numbered():
    assert build_refusal(["no region"])["msg"] == "Nothing was changed. no region"
    many = build_refusal([f"mistake {number}" for number in range(30)])
    assert "(1) mistake 0; (2) mistake 1" in many["msg"]
    assert "and 10 more" in many["msg"]
    assert len(many["errors"]) == 30
    assert many["changed"] is False


def test_a_failed_read_says_what_failed_and_that_nothing_was_changed():
    failure = build_failure(EcsError("DescribeInstances", "Forbidden.RAM", "no", "R-1"))
    assert failure["changed"] is False
    assert failure["failure"]["code"] == "Forbidden.RAM"
    assert failure["failure"]["request_id"] == "R-1"
    for words in ("Nothing was changed", "DescribeInstances", "Forbidden.RAM", "R-1", "ecs:DescribeInstances"):
        assert words in failure["msg"]
    # A module that only reads, maybe after another one has written.
    assert "changed" not in build_failure(EcsError("DescribeInstances", "Forbidden.RAM", "no", "R-1"), first="")["msg"]


def test_a_missing_sdk_names_the_package():
    failure = build_failure(SdkMissing("No module named 'x'"))
    assert failure["changed"] is False
    assert _result.SDK_PACKAGE in failure["msg"]
