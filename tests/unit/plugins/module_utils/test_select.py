# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unreadable security groups, instances and ENIs, and which ENIs of an instance are selected. Everything else of ``_select`` is tested
over real HTTP."""

from __future__ import annotations

from itertools import chain, repeat
from types import SimpleNamespace

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import (
    ENI_NOT_RETURNED,
    INSTANCE_WITHOUT_ENI,
    UNREADABLE_REPLY,
    EcsError,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._pacing import Pacer, Stopwatch
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import parse_selection
from ansible_collections.alicloud_ops.network.plugins.module_utils._select import select
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import (
    FakeEcs,
    drop_rows,
    eni_record,
    instance_record,
    selection_params,
    spoil_rows,
)

TAGS = {"Tag": [{"TagKey": "stage", "TagValue": "test"}]}
BY = {
    "id": {"security_group_ids": ["sg-bp1example"]},
    "name": {"security_group_names": ["web"]},
    "tag": {"security_group_tags": {"stage": "test"}},
}


def look_up_groups(rows, **given):
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
    return select(ecs, make_selection(**given))


def make_selection(**given):
    errors = []
    wanted = parse_selection(selection_params(**given), errors)
    assert errors == []
    return wanted


@pytest.mark.parametrize("by", BY)
def test_a_group_without_eni_is_not_missing(by):
    row = {"SecurityGroupId": "sg-bp1example", "SecurityGroupName": "web", "Tags": TAGS}
    assert look_up_groups([row], **BY[by]).missing == []


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("group_id", [None, "", ["sg-bp1example"]], ids=repr)
def test_a_group_without_id_is_an_unreadable_reply_and_does_not_count_as_missing(by, group_id):
    with pytest.raises(EcsError) as caught:
        look_up_groups([{"SecurityGroupId": group_id, "SecurityGroupName": "web", "Tags": TAGS}], **BY[by])
    assert caught.value.code == UNREADABLE_REPLY


@pytest.mark.parametrize(
    "tags", [[], {"Tag": {}}, {"Tag": [{"TagKey": ["stage"]}]}, {"Tag": [{"TagKey": "stage", "TagValue": 1}]}], ids=repr
)
def test_unreadable_tags_are_an_error(tags):
    with pytest.raises(EcsError) as caught:
        look_up_groups([{"SecurityGroupId": "sg-bp1example", "Tags": tags}], **BY["tag"])
    assert caught.value.code == UNREADABLE_REPLY


# Instances and their ENIs


@pytest.fixture
def ecs(clock):
    """Two instances, the first with two ENIs."""
    enis = [
        eni_record("eni-1", Type="Primary", InstanceId="i-1"),
        eni_record("eni-2", InstanceId="i-1", primary="192.168.0.2"),
        eni_record("eni-3", Type="Primary", InstanceId="i-2", primary="192.168.0.3"),
    ]
    return FakeEcs(clock, *enis, instances=[instance_record("i-1", enis=enis[:2]), instance_record("i-2", enis=enis[2:])])


def found_ids(found):
    return [interface.eni_id for interface in found.interfaces]


def codes(found):
    return {name: error.code for name, error in found.unreadable.items()}


@pytest.mark.parametrize(("instance_enis", "enis"), [("primary", ["eni-1", "eni-3"]), ("all", ["eni-1", "eni-2", "eni-3"])])
def test_the_primary_enis_of_instances_or_all_of_them(ecs, instance_enis, enis):
    found = select(ecs, make_selection(instance_ids=["i-1", "i-2"], instance_enis=instance_enis))
    assert (found_ids(found), found.missing, found.unreadable) == (enis, [], {})


def test_an_instance_without_a_primary_eni_is_reported_and_not_missing(ecs):
    ecs.machines["i-3"] = instance_record("i-3")
    found = select(ecs, make_selection(instance_ids=["i-1", "i-3", "i-9"]))
    assert (found_ids(found), found.missing, codes(found)) == (["eni-1"], ["i-9"], {"i-3": INSTANCE_WITHOUT_ENI})


def test_a_primary_eni_that_one_read_lacks_is_read_again_and_reported_if_it_is_lacking_twice(ecs):
    ecs.read_faults = [drop_rows("eni-1")]
    assert found_ids(select(ecs, make_selection(instance_ids=["i-1", "i-2"]))) == ["eni-1", "eni-3"]
    ecs.read_faults = [drop_rows("eni-1")] * 2
    found = select(ecs, make_selection(instance_ids=["i-1", "i-2"]))
    assert (found_ids(found), found.missing, codes(found)) == (["eni-3"], [], {"eni-1": ENI_NOT_RETURNED})


def test_an_eni_that_cannot_be_read_is_reported_and_not_missing(ecs):
    ecs.read_faults = [spoil_rows("eni-1")]
    found = select(ecs, make_selection(eni_ids=["eni-1", "eni-2", "eni-9"]))
    assert (found_ids(found), found.missing, codes(found)) == (["eni-2"], ["eni-9"], {"eni-1": UNREADABLE_REPLY})


def test_an_eni_that_one_read_lacks_is_read_again_before_it_counts_as_missing(ecs):
    ecs.read_faults = [drop_rows("eni-1")]
    found = select(ecs, make_selection(eni_ids=["eni-1", "eni-9"]))
    assert (found_ids(found), found.missing) == (["eni-1"], ["eni-9"])


def test_unreadable_enis_of_a_whole_list_are_reported(ecs):
    ecs.enis["eni-2"]["Type"] = None
    found = select(ecs, make_selection(whole_region=True))
    assert (found_ids(found), codes(found)) == (["eni-1", "eni-3"], {"eni-2": UNREADABLE_REPLY})


def test_in_a_group_an_instance_without_a_primary_eni_is_reported(ecs):
    record = eni_record("eni-2", InstanceId="i-1")
    answers = chain([[record]], repeat([]))
    ecs.network_interfaces = lambda **filters: next(answers) if "security_group_id" in filters else []
    ecs.instances = lambda **_filters: [instance_record("i-3")]
    found = select(ecs, make_selection(security_group_ids=["sg-1"]))
    assert (found_ids(found), codes(found)) == (["eni-2"], {"i-3": INSTANCE_WITHOUT_ENI})


# A record that cannot confirm a selector

LACKING = {
    "InstanceId": ({"InstanceId": ""}, {"instance_ids": ["i-1"]}),
    "SecurityGroupIds": ({"SecurityGroupIds": {}}, {"security_group_ids": ["sg-1"]}),
    "VpcId": ({"VpcId": None}, {"vpc_id": "vpc-1"}),
    "VSwitchId": ({"VSwitchId": ""}, {"vswitch_id": "vsw-1"}),
}


def answering(ecs, *records):
    """The service returns these ENIs, whatever the filters, because it knows more than the records show."""
    ecs.network_interfaces = lambda **_filters: list(records)
    ecs.instances = lambda **_filters: [instance_record("i-1", enis=records[:1])]
    ecs.security_groups = lambda **_filters: [{"SecurityGroupId": "sg-1"}]
    return ecs


@pytest.mark.parametrize("field", LACKING)
def test_an_eni_whose_record_cannot_confirm_the_selector_is_reported(ecs, field):
    fields, selectors = LACKING[field]
    complete = {"Type": "Primary", "Status": "InUse", "InstanceId": "i-1"}
    found = select(answering(ecs, eni_record("eni-1", **{**complete, **fields})), make_selection(**selectors))
    assert (found_ids(found), found.missing, codes(found)) == ([], [], {"eni-1": UNREADABLE_REPLY})
    assert f"has no {field}, so it is unknown whether it matches" in str(found.unreadable["eni-1"])
    found = select(answering(ecs, eni_record("eni-1", **complete)), make_selection(**selectors))
    assert (found_ids(found), codes(found)) == (["eni-1"], {})


@pytest.mark.parametrize(
    "other", [{"tags": {"team": "web"}}, {"status": "Available"}, {"type": "Secondary"}, {"vswitch_id": "vsw-9"}], ids=str
)
def test_an_eni_that_another_selector_excludes_is_not_reported(ecs, other):
    record = eni_record("eni-1", Type="Primary", Status="InUse", InstanceId="i-1", VpcId="")
    found = select(answering(ecs, record), make_selection(vpc_id="vpc-1", **other))
    assert (found_ids(found), codes(found)) == ([], {})


def test_an_eni_that_is_not_attached_is_of_no_instance(ecs):
    found = select(answering(ecs, eni_record("eni-1")), make_selection(eni_ids=["eni-1"], instance_ids=["i-1"]))
    assert (found_ids(found), codes(found)) == ([], {})
