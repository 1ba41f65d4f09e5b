# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._gate import compare, find_expiry, find_unknown_age, find_use, make_mark
from ansible_collections.alicloud_ops.network.tests.unit.plugins.plugin_utils.report_builders import document, interface


def test_only_an_address_that_a_read_shows_as_gone_is_gone() -> None:
    planned = document({"eni-1": ["10.0.1.1", "10.0.1.2", "10.0.1.3"], "eni-2": ["10.0.2.1"]})
    today = document({"eni-1": ["10.0.1.1", "10.0.1.4"]})
    # 10.0.1.3 is refused, and eni-2 cannot be read or is not selected.
    assert compare(today, planned, {"eni-1": interface("eni-1", ["10.0.1.1", "10.0.1.3", "10.0.1.4"])}) == {
        "added": ["eni-1 10.0.1.4"],
        "removed": ["eni-1 10.0.1.2"],
        "left": ["eni-1 10.0.1.3", "eni-2 10.0.2.1"],
    }


# -- approvals

PLAN = replace(document({"eni-1": ["10.0.0.1"]}), made="2026-01-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("hour", "zone", "is_refused"),
    [("23:59", "+00:00", False), ("24:00", "+00:00", False), ("24:30", "+00:00", True), ("24:30", "+08:00", False)],
)
def test_an_approval_is_valid_for_some_hours(hour, zone, is_refused):
    hours, minutes = map(int, hour.split(":"))
    now = datetime.fromisoformat(f"2026-01-{1 + hours // 24:02}T{hours % 24:02}:{minutes:02}:00{zone}").astimezone(UTC)
    found = find_expiry(PLAN, 24, now)
    assert bool(found) == is_refused
    if found:
        assert "was made 24.5 hours ago, at 2026-01-01T00:00:00+00:00" in found[0]
        assert "unassign_secondary_ips_approval_max_age" in found[0]


def test_a_plan_without_a_known_time_does_not_expire():
    now = datetime(2027, 1, 1, tzinfo=UTC)
    assert find_expiry(None, 24, now) == find_expiry(replace(PLAN, made=""), 24, now) == []
    # Where an approval is required, its age must be known.
    for unknown in (None, replace(PLAN, made="")):
        (error,) = find_unknown_age(unknown)
        assert error.startswith("unassign_secondary_ips_approved_digest: the age of the approved plan is not known; set unassign_")
    assert find_unknown_age(PLAN) == []


def test_a_plan_of_the_future_is_refused_but_clocks_may_differ_by_an_hour():
    """Otherwise a changed time would make an approval that never ends."""
    assert find_expiry(PLAN, 24, datetime(2025, 12, 31, 23, tzinfo=UTC)) == []
    (error,) = find_expiry(PLAN, 24, datetime(2025, 12, 31, 22, tzinfo=UTC))
    assert error.startswith(
        "unassign_secondary_ips_approved_digest: the approved plan was made at 2026-01-01T00:00:00+00:00, which is 2.0 hours after the time"
    )


def test_an_approval_is_valid_for_one_finished_run():
    mark = make_mark(PLAN, "2026-01-01T01:00:00+00:00")
    assert find_use(PLAN, []) == []
    (used,) = find_use(PLAN, [mark])
    assert "finished at 2026-01-01T01:00:00+00:00" in used
    # If nobody knows which plan was approved, the digest alone does not count a second time.
    assert find_use(None, [mark]) == [used]
    # The same addresses in a later plan.
    assert find_use(replace(PLAN, made="2026-01-02T00:00:00+00:00"), [mark]) == []


@pytest.mark.parametrize("mark", ["{", "[]", '"used"', "{}", '{"made": "2026-01-01T00:00:00+00:00"}'])
def test_an_approval_with_a_mark_that_cannot_be_read_counts_as_used(mark):
    for plan in (PLAN, None):
        (used,) = find_use(plan, [mark])
        assert "approved_digest: its file approval-….json in the folder of the reports or of the plan cannot be read" in used
