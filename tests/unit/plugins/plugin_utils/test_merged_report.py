# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reports of slices add up to one report."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import AddressState
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Reason
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import MOST_EXAMPLES
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._merged_report import OUTCOMES, merge_reports
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import build_report
from ansible_collections.alicloud_ops.network.tests.unit.plugins.plugin_utils.report_builders import EIP, KEPT, eni, run_of

OTHER = Reason("Throttling", "too many requests")


def report_of(*addresses: Any, number: int = 1, **view: Any) -> dict[str, Any]:
    """Of a slice with one ENI. ``addresses``: the state of each of its addresses."""
    return build_report(
        run_of("unassign", [eni(f"eni-{number}", {f"10.0.{number}.{last}": state for last, state in enumerate(addresses, 1)})], **view)
    )


SKIPPED_EIP, SKIPPED_KEPT = (AddressState.SKIPPED, EIP), (AddressState.SKIPPED, KEPT)
FAILED = (AddressState.FAILED, OTHER)


def test_reasons_add_up_and_the_most_frequent_is_first() -> None:
    first, second = report_of(SKIPPED_EIP, FAILED), report_of(SKIPPED_KEPT, SKIPPED_KEPT, SKIPPED_EIP, SKIPPED_KEPT, number=2)
    merged = merge_reports([first, second])
    found = [(entry["guard"], entry["code"], entry["addresses"], entry["interfaces"], entry["first"]) for entry in merged["reasons"]]
    assert found == [
        (None, OTHER.code, 1, 1, ["eni-1 10.0.1.2"]),
        ("keep", KEPT.code, 3, 1, ["eni-2 10.0.2.1", "eni-2 10.0.2.2", "eni-2 10.0.2.4"]),
        ("allow_eip", EIP.code, 2, 2, ["eni-1 10.0.1.1", "eni-2 10.0.2.3"]),
    ]
    # The reports themselves stay as they are.
    assert [entry["addresses"] for entry in first["reasons"] if entry["code"] == EIP.code] == [1]


def test_examples_stay_few() -> None:
    reports = [report_of(*[SKIPPED_EIP] * MOST_EXAMPLES, number=number) for number in (1, 2)]
    (reason,) = merge_reports(reports)["reasons"]
    assert (reason["addresses"], reason["first"]) == (2 * MOST_EXAMPLES, reports[0]["reasons"][0]["first"])


@pytest.mark.parametrize("better", range(1, len(OUTCOMES)))
def test_the_worst_outcome_becomes_the_outcome_of_the_whole(better: int) -> None:
    reports = [{**report_of(FAILED), "outcome": outcome} for outcome in (OUTCOMES[better], OUTCOMES[better - 1])]
    assert merge_reports(reports)["outcome"] == OUTCOMES[better - 1]


def test_an_outcome_that_is_not_known_counts_as_the_worst() -> None:
    reports = [{**report_of(FAILED), "outcome": outcome} for outcome in ("stopped", "new", "done")]
    assert merge_reports(reports)["outcome"] == "new"


def test_equal_texts_of_several_slices_are_listed_once() -> None:
    reports = [
        {**report_of(FAILED), "refusals": ["a", "b"], "stopped": "limit", "account_id": None},
        {**report_of(FAILED, number=2), "refusals": ["b", "c"], "stopped": "limit", "account_id": "1000000000000002"},
        {**report_of(FAILED, number=3), "stopped": "abort", "unreadable": [{"eni_id": "eni-9"}]},
    ]
    merged = merge_reports(reports)
    assert merged["refusals"] == ["a", "b", "c"]
    assert merged["stopped"] == "limit. abort"
    assert merged["account_id"] == "1000000000000002"
    assert merged["unreadable"] == [{"eni_id": "eni-9"}]
    assert (merged["files"], merged["next_steps"]) == ({}, [])


def test_security_groups_add_up_and_the_largest_is_first() -> None:
    def group(group_id: str, name: str, addresses: int) -> dict[str, Any]:
        return {"security_group_id": group_id, "name": name, "interfaces": 1, "addresses": addresses}

    reports = [
        {**report_of(FAILED), "groups": [group("sg-b", "", 2), group("sg-c", "c", 1)]},
        {**report_of(FAILED, number=2), "groups": [group("sg-a", "a", 4), group("sg-b", "b", 3)]},
    ]
    found = [(each["security_group_id"], each["name"], each["interfaces"], each["addresses"]) for each in merge_reports(reports)["groups"]]
    assert found == [("sg-b", "b", 2, 5), ("sg-a", "a", 1, 4), ("sg-c", "c", 1, 1)]
