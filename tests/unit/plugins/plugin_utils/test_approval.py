# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import group
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._approval import find_expiry, find_unknown_age, find_use, make_mark
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import make_document

PLAN = make_document([{"eni_id": "eni-1", **group(["10.0.0.1"])}], "cn-hangzhou", None, "2026-01-01T00:00:00+00:00")
PREFIX = "unassign_secondary_ips_"


@pytest.mark.parametrize(
    ("hour", "zone", "is_refused"),
    [("23:59", "+00:00", False), ("24:00", "+00:00", False), ("24:30", "+00:00", True), ("24:30", "+08:00", False)],
)
def test_an_approval_is_valid_for_some_hours(hour, zone, is_refused):
    hours, minutes = map(int, hour.split(":"))
    now = datetime.fromisoformat(f"2026-01-{1 + hours // 24:02}T{hours % 24:02}:{minutes:02}:00{zone}").astimezone(UTC)
    found = find_expiry(PREFIX, PLAN, 24, now)
    assert bool(found) == is_refused
    if found:
        assert "was made 24.5 hours ago, at 2026-01-01T00:00:00+00:00" in found[0]
        assert "unassign_secondary_ips_approval_max_age" in found[0]


def test_a_plan_without_a_known_time_does_not_expire():
    now = datetime(2027, 1, 1, tzinfo=UTC)
    assert find_expiry(PREFIX, None, 24, now) == find_expiry(PREFIX, replace(PLAN, made=""), 24, now) == []
    # Where an approval is required, its age must be known.
    for unknown in (None, replace(PLAN, made="")):
        (error,) = find_unknown_age(PREFIX, unknown)
        assert error.startswith("unassign_secondary_ips_approved_digest: the age of the approved plan is not known; set unassign_")
    assert find_unknown_age(PREFIX, PLAN) == []
    # With a clock that is behind, no plan is too old.
    assert find_expiry(PREFIX, PLAN, 24, datetime(2025, 1, 1, tzinfo=UTC)) == []


def test_an_approval_is_valid_for_one_finished_run():
    mark = make_mark(PLAN, "2026-01-01T01:00:00+00:00")
    assert find_use(PREFIX, PLAN, None) == []
    (used,) = find_use(PREFIX, PLAN, mark)
    assert "finished at 2026-01-01T01:00:00+00:00" in used
    # If nobody knows which plan was approved, the digest alone does not count a second time.
    assert find_use(PREFIX, None, mark) == [used]
    # The same addresses in a later plan.
    assert find_use(PREFIX, replace(PLAN, made="2026-01-02T00:00:00+00:00"), mark) == []
