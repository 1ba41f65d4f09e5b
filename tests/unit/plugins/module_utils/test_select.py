# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security groups of which the service says what nobody can read. All else of ``_select`` is tested over real HTTP."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import UNREADABLE_REPLY, EcsError
from ansible_collections.alicloud_ops.network.plugins.module_utils._pacing import Pacer, Stopwatch
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import parse_selection
from ansible_collections.alicloud_ops.network.plugins.module_utils._select import select
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import selection_params

TAGS = {"Tag": [{"TagKey": "stage", "TagValue": "test"}]}
BY = {
    "id": {"security_group_ids": ["sg-bp1example"]},
    "name": {"security_group_names": ["web"]},
    "tag": {"security_group_tags": {"stage": "test"}},
}


def look_up(rows, **given):
    def read_alone(read, batches):
        return [read(batch) for batch in batches]

    def nothing(**_filters):
        return []

    ecs = SimpleNamespace(
        stopwatch=lambda: Stopwatch(Pacer(0, 1)),
        read_concurrently=read_alone,
        network_interfaces=nothing,
        instances=nothing,
        security_groups=lambda **_filters: rows,
    )
    errors = []
    wanted = parse_selection(selection_params(**given), errors)
    assert errors == []
    return select(ecs, wanted)


@pytest.mark.parametrize("by", BY)
def test_a_group_without_eni_is_not_missing(by):
    row = {"SecurityGroupId": "sg-bp1example", "SecurityGroupName": "web", "Tags": TAGS}
    assert look_up([row], **BY[by]).missing == []


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("group_id", [None, "", ["sg-bp1example"]], ids=repr)
def test_a_group_without_id_is_an_unreadable_reply_and_none_is_called_missing(by, group_id):
    with pytest.raises(EcsError) as caught:
        look_up([{"SecurityGroupId": group_id, "SecurityGroupName": "web", "Tags": TAGS}], **BY[by])
    assert caught.value.code == UNREADABLE_REPLY


@pytest.mark.parametrize(
    "tags", [[], {"Tag": {}}, {"Tag": [{"TagKey": ["stage"]}]}, {"Tag": [{"TagKey": "stage", "TagValue": 1}]}], ids=repr
)
def test_tags_that_can_not_be_read_are_not_taken_for_others(tags):
    with pytest.raises(EcsError) as caught:
        look_up([{"SecurityGroupId": "sg-bp1example", "Tags": tags}], **BY["tag"])
    assert caught.value.code == UNREADABLE_REPLY
