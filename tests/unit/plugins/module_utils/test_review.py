# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import count, flatten
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Record
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import ENI_NOT_RETURNED, INSTANCE_WITHOUT_ENI, UNREADABLE_REPLY
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import HOLDER_UNREADABLE, find_refusals
from ansible_collections.alicloud_ops.network.plugins.module_utils._review import MOST_PRIMARIES, find_elsewhere, review, take_snapshot
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import (
    Clock,
    FakeEcs,
    drop_rows,
    eni_record,
    instance_record,
    make_request,
    refused,
    requests,
    spoil_rows,
    strip_rows,
    target,
    worlds,
)

A, B = "192.168.0.10", "192.168.0.11"


class Transitional(FakeEcs):
    """An ECS in which a transitional state ends after this number of reads."""

    def __init__(self, clock, *records, after=3, instances=()):
        super().__init__(clock, *records, instances=instances)
        self.after = after

    def network_interfaces(self, network_interface_id=None, **filters):
        if network_interface_id and len(self.reads) + 1 >= self.after:
            for record in self.enis.values():
                record["Status"] = "InUse"
        return super().network_interfaces(network_interface_id, **filters)

    def instances(self, instance_ids):
        if len(self.instance_reads) + 1 >= self.after:
            for record in self.machines.values():
                record["Status"] = "Running"
        return super().instances(instance_ids)


def only(plan):
    (change,) = plan.changes
    return change


def look_at(ecs, request, wait_for_states=True, seen=()):
    return review(ecs, request, request.targets, seen=seen, wait_for_states=wait_for_states)


def primary_record(**more):
    return eni_record("eni-1", [A], **{"Type": "Primary", "InstanceId": "i-1", "Status": "InUse", **more})


# The number of calls


def test_one_secondary_eni_takes_one_read(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    assert flatten(only(look_at(ecs, make_request("absent", target("eni-1", A)))).todo) == (A,)
    assert (len(ecs.reads), ecs.instance_reads, ecs.lists) == (1, [], [])


@pytest.mark.parametrize("name", ["eni-1", "i-1"])
def test_a_primary_eni_takes_one_read_more_for_its_instance(clock, name):
    record = primary_record()
    ecs = FakeEcs(clock, record, instances=[instance_record("i-1", enis=[record])])
    assert flatten(only(look_at(ecs, make_request("absent", target(name, A)))).todo) == (A,)
    assert (len(ecs.reads), ecs.instance_reads) == (1, [["i-1"]])


def test_a_primary_eni_with_nothing_to_do_needs_no_instance(clock):
    ecs = FakeEcs(clock, primary_record())
    look_at(ecs, make_request("absent", target("eni-1", "192.168.0.99")))
    assert ecs.instance_reads == []


def test_holders_are_looked_up_once_for_each_vswitch_and_only_for_assigning(clock):
    records = [eni_record(f"eni-{last}", primary=f"192.168.0.{last}", VSwitchId=f"vsw-{last % 2}") for last in range(4)]
    ecs = FakeEcs(clock, *records)
    plan = look_at(ecs, make_request("present", *(target(f"eni-{last}", f"192.168.0.{last + 50}") for last in range(4))))
    assert sum(count(change.todo) for change in plan.changes) == 4
    assert sorted(filters["v_switch_id"] for filters in ecs.lists) == ["vsw-0", "vsw-1"]


# Transitional states


@pytest.mark.parametrize(("eni_status", "instance_status"), [("Attaching", "Running"), ("InUse", "Starting")])
def test_a_run_waits_for_a_transitional_state(clock, eni_status, instance_status):
    record = primary_record(Status=eni_status)
    ecs = Transitional(clock, record, instances=[instance_record("i-1", instance_status, [record])])
    change = only(look_at(ecs, make_request("absent", target("i-1", A))))
    assert (flatten(change.todo), change.refused) == ((A,), {})
    assert len(ecs.reads) == 3


@pytest.mark.parametrize("instance_status", ["Running", "Starting"])
def test_check_mode_does_not_wait_and_says_how_long_a_run_would(clock, instance_status):
    record = primary_record(Status="Attaching" if instance_status == "Running" else "InUse")
    ecs = Transitional(clock, record, instances=[instance_record("i-1", instance_status, [record])])
    before = clock.monotonic()
    request = make_request("absent", target("i-1", A), wait_timeout=60)
    (line,) = find_refusals(look_at(ecs, request, wait_for_states=False), request)
    assert "a run waits up to 60 s for it" in line
    assert (clock.monotonic(), len(ecs.reads), len(ecs.instance_reads)) == (before, 1, 1)


def test_an_eni_that_a_read_leaves_out_during_the_wait_stays_unchanged(clock):
    """One read without the ENI proves nothing. An ENI that was read before never counts as missing."""
    ecs = Transitional(clock, eni_record("eni-1", [A], Status="Detaching"), after=1000)
    ecs.read_faults = [None, *[drop_rows("eni-1")] * 50]
    request = make_request("absent", target("eni-1", A))
    (line,) = find_refusals(look_at(ecs, request), request)
    assert "the ENI is Detaching" in line


def test_a_state_that_does_not_end_in_time_is_refused(clock):
    ecs = Transitional(clock, eni_record("eni-1", [A], Status="Detaching"), after=1000)
    before = clock.monotonic()
    change = only(look_at(ecs, make_request("absent", target("eni-1", A), wait_timeout=30)))
    assert list(change.refused) == [A]
    assert clock.monotonic() - before == 30


@pytest.mark.parametrize(("options", "wait_for_states"), [({"wait": False}, True), ({"wait_timeout": 0}, True), ({}, False)])
def test_without_wait_nothing_waits(clock, options, wait_for_states):
    ecs = Transitional(clock, eni_record("eni-1", [A], Status="Detaching"), after=1000)
    before = clock.monotonic()
    assert only(look_at(ecs, make_request("absent", target("eni-1", A), **options), wait_for_states)).refused
    assert (clock.monotonic(), len(ecs.reads)) == (before, 1)


def test_an_error_is_reported_without_waiting_for_anything(clock):
    ecs = Transitional(clock, eni_record("eni-1", [A], Status="Detaching"), after=1000)
    request = make_request("absent", target("eni-1", A, "192.168.0.1"))
    before = clock.monotonic()
    assert "is the primary address" in "".join(find_refusals(look_at(ecs, request), request))
    assert clock.monotonic() == before


def test_time_held_back_by_throttling_does_not_count(clock):
    ecs = Transitional(clock, eni_record("eni-1", [A], Status="Detaching"), after=4)
    answer = ecs.network_interfaces

    def throttled(**asked):
        clock.sleep(50)
        ecs.held += 50
        return answer(**asked)

    ecs.network_interfaces = throttled
    assert flatten(only(look_at(ecs, make_request("absent", target("eni-1", A), wait_timeout=10))).todo) == (A,)


# Records that exist, but are missing in a read or cannot be read


def test_an_eni_that_was_never_read_is_missing(clock):
    request = make_request("absent", target("eni-1", A))
    (line,) = find_refusals(look_at(FakeEcs(clock), request), request)
    assert "does not exist" in line


def test_an_eni_that_was_read_before_is_read_again_and_then_fails_with_its_own_code(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    request = make_request("absent", target("eni-1", A))
    ecs.read_faults = [drop_rows("eni-1")]
    assert flatten(only(look_at(ecs, request, seen=["eni-1"])).todo) == (A,)
    ecs.read_faults = [drop_rows("eni-1")] * 2
    plan = look_at(ecs, request, seen=["eni-1"])
    assert (only(plan).failure.code, plan.missing, find_refusals(plan, request)) == (ENI_NOT_RETURNED, (), [])
    assert only(plan).failure.request_id == ecs.last_request_id


@pytest.mark.parametrize("ignore_missing", [False, True])
def test_the_primary_eni_that_an_instance_names_exists(clock, ignore_missing):
    record = primary_record()
    ecs = FakeEcs(clock, record, instances=[instance_record("i-1", enis=[record])])
    ecs.read_faults = [drop_rows("eni-1")] * 2
    request = make_request("absent", target("i-1", A), ignore_missing=ignore_missing)
    plan = look_at(ecs, request)
    change = only(plan)
    assert (change.eni_id, change.instance_id, change.failure.code, plan.missing) == ("eni-1", "i-1", ENI_NOT_RETURNED, ())


@pytest.mark.parametrize("ignore_missing", [False, True])
def test_an_instance_without_a_primary_eni_fails_alone(clock, ignore_missing):
    ecs = FakeEcs(clock, eni_record("eni-2", [B]), instances=[instance_record("i-1")])
    request = make_request("absent", target("i-1", A), target("eni-2", B), ignore_missing=ignore_missing)
    plan = look_at(ecs, request)
    lost, other = plan.changes
    assert (lost.eni_id, lost.instance_id, lost.failure.code) == (None, "i-1", INSTANCE_WITHOUT_ENI)
    assert (flatten(other.todo), plan.missing, find_refusals(plan, request)) == ((B,), (), [])


@pytest.mark.parametrize("fault", [spoil_rows, strip_rows], ids=["spoiled", "stripped"])
def test_one_unreadable_eni_does_not_stop_the_others(clock, fault):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), eni_record("eni-2", [B]))
    ecs.read_faults = [fault("eni-1")]
    request = make_request("absent", target("eni-1", A), target("eni-2", B))
    plan = look_at(ecs, request)
    assert [(change.failure and change.failure.code, flatten(change.todo)) for change in plan.changes] == [
        (UNREADABLE_REPLY, (A,)),
        (None, (B,)),
    ]
    assert find_refusals(plan, request) == []


def test_an_address_that_an_unreadable_eni_of_the_vswitch_may_hold_is_not_assigned(clock):
    ecs = FakeEcs(
        clock,
        eni_record("eni-1"),
        eni_record("eni-2", primary="192.168.0.2", Type=None),
        eni_record("eni-3", primary="192.168.1.1", VSwitchId="vsw-2"),
    )
    plan = look_at(ecs, make_request("present", target("eni-1", A), target("eni-3", B)))
    first, second = plan.changes
    assert {address: reason.code for address, reason in first.refused.items()} == {A: HOLDER_UNREADABLE}
    assert "eni-2" in first.refused[A].text
    assert (second.refused, flatten(second.todo)) == ({}, (B,))


@pytest.mark.parametrize("ignore_missing", [False, True])
def test_an_instance_that_one_read_lacks_is_read_again_before_it_counts_as_missing(clock, ignore_missing):
    record = primary_record()
    ecs = FakeEcs(clock, record, instances=[instance_record("i-1", enis=[record])])
    answer = ecs.instances
    ecs.instances = lambda instance_ids: answer(instance_ids)[: len(ecs.instance_reads) - 1]
    plan = look_at(ecs, make_request("absent", target("i-1", A), ignore_missing=ignore_missing))
    assert (flatten(only(plan).todo), plan.missing, ecs.instance_reads) == ((A,), (), [["i-1"], ["i-1"]])


@pytest.mark.parametrize("skip_refused", [False, True])
@pytest.mark.parametrize("name", ["eni-1", "i-1"])
def test_an_unreadable_instance_fails_only_its_own_eni(clock, name, skip_refused):
    ecs = FakeEcs(clock, primary_record(), eni_record("eni-2", [B]), instances=[{"InstanceId": "i-1"}])
    request = make_request("absent", target(name, A), target("eni-2", B), skip_refused=skip_refused)
    plan = look_at(ecs, request)
    lost, other = plan.changes
    assert (lost.failure.code, flatten(lost.todo), flatten(other.todo), find_refusals(plan, request)) == (UNREADABLE_REPLY, (A,), (B,), [])
    assert "i-1 has no Status" in lost.failure.text
    assert lost.instance_id == "i-1"


def test_the_failure_of_an_unreadable_instance_has_action_and_request_id(clock):
    ecs = FakeEcs(clock, primary_record())
    ecs.instances = lambda instance_ids: [Record({"InstanceId": "i-1"}, "DescribeInstances", "R-7")]
    failure = only(look_at(ecs, make_request("absent", target("eni-1", A)))).failure
    assert (failure.request_id, failure.text.partition(":")[0]) == ("R-7", "DescribeInstances")


def test_the_failure_of_an_instance_without_a_primary_eni_has_its_request_id(clock):
    ecs = FakeEcs(clock)
    ecs.instances = lambda instance_ids: [Record(instance_record("i-1"), "DescribeInstances", "R-7")]
    failure = only(look_at(ecs, make_request("absent", target("i-1", A)))).failure
    assert (failure.code, failure.request_id) == (INSTANCE_WITHOUT_ENI, "R-7")


def test_an_unreadable_instance_of_an_eni_with_nothing_to_do_does_no_harm(clock):
    ecs = FakeEcs(clock, primary_record(), instances=[{"InstanceId": "i-1"}])
    change = only(look_at(ecs, make_request("absent", target("eni-1", B))))
    assert (change.failure, flatten(change.unchanged)) == (None, (B,))


def test_a_snapshot_names_all_that_cannot_be_read(clock):
    ecs = FakeEcs(clock, eni_record("eni-1"), instances=[instance_record("i-1")])
    ecs.read_faults = [spoil_rows("eni-1")]
    snapshot = take_snapshot(ecs, [target("eni-1"), target("i-1"), target("eni-9"), target("i-9")])
    assert set(snapshot.unreadable) == {"eni-1", "i-1"}
    assert set(snapshot.interfaces) == set()
    assert set(snapshot.instances) == {"i-1"}


# A named address that is on another ENI


def elsewhere(ecs, *targets, **options):
    request = make_request("absent", *targets, **options)
    return find_elsewhere(ecs, look_at(ecs, request))


def test_an_address_on_another_eni_is_named_with_that_eni(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), eni_record("eni-2", [B], ipv6=["2001:db8::10"]))
    lines = elsewhere(ecs, target("eni-1", A, B, "2001:db8::10", "192.168.0.99"))
    assert lines == [
        f"{B} is not on eni-1, but on eni-2; check eni_id",
        "2001:db8::10 is not on eni-1, but on eni-2; check eni_id",
    ]
    assert ecs.lists == [
        {"private_ip_address": [B, "192.168.0.99"]},
        {"primary_ip_address": "192.168.0.99"},
        {"ipv_6address": ["2001:db8::10"]},
    ]


def test_addresses_on_their_eni_and_prefixes_are_not_looked_up(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A], prefixes=["192.168.0.16/28"]))
    assert elsewhere(ecs, target("eni-1", A, "192.168.0.32/28", "2001:db8:0:0:10::/80")) == []
    assert ecs.lists == []


def test_a_thousand_addresses_are_one_call_for_the_first_hundred(clock):
    """The first hundred addresses are enough to show a mistyped eni_id."""
    names = [f"eni-{number}" for number in range(50)]
    ecs = FakeEcs(clock, *map(eni_record, names))
    assert elsewhere(ecs, *(target(name, *(f"10.0.{number}.{last}" for last in range(20))) for number, name in enumerate(names))) == []
    filters, *primaries = ecs.lists
    assert len(filters["private_ip_address"]) == 100
    assert len(primaries) == MOST_PRIMARIES


def test_several_holders_are_all_named_but_not_the_asking_eni_itself(clock):
    ecs = FakeEcs(clock, eni_record("eni-1"), eni_record("eni-3", [A]), eni_record("eni-2", [A], VSwitchId="vsw-2"))
    assert elsewhere(ecs, target("eni-1", A)) == [f"{A} is not on eni-1, but on eni-2 and eni-3; check eni_id"]
    request = make_request("absent", target("eni-1", A))
    plan = look_at(ecs, request)
    ecs.enis["eni-1"] = eni_record("eni-1", [A])  # another read shows A on the ENI itself
    assert find_elsewhere(ecs, plan) == []


def test_an_address_in_another_vpc_is_another_address(clock):
    ecs = FakeEcs(clock, eni_record("eni-1"), eni_record("eni-2", [A], VpcId="vpc-2"))
    assert elsewhere(ecs, target("eni-1", A)) == []


def test_an_address_that_is_named_for_two_enis_is_looked_up_for_both(clock):
    ecs = FakeEcs(
        clock, eni_record("eni-1"), eni_record("eni-2", VpcId="vpc-2"), eni_record("eni-3", [A]), eni_record("eni-4", [A], VpcId="vpc-2")
    )
    assert elsewhere(ecs, target("eni-1", A), target("eni-2", A)) == [
        f"{A} is not on eni-1, but on eni-3; check eni_id",
        f"{A} is not on eni-2, but on eni-4; check eni_id",
    ]


def test_the_primary_address_of_another_eni_is_found(clock):
    ecs = FakeEcs(clock, eni_record("eni-1"), eni_record("eni-2", primary=A))
    assert elsewhere(ecs, target("eni-1", A)) == [f"{A} is not on eni-1, but on eni-2 as its primary address; check eni_id"]


def test_a_look_up_that_fails_is_only_a_warning(clock):
    ecs = FakeEcs(clock, eni_record("eni-1"))
    request = make_request("absent", target("eni-1", A))
    plan = look_at(ecs, request)

    def deny(**_filters):
        raise refused("Forbidden.RAM", "no")

    ecs.network_interfaces = deny
    (warning,) = find_elsewhere(ecs, plan)
    assert warning.endswith("could not be looked up on other ENIs: Forbidden.RAM")


def test_an_eni_that_does_not_exist_needs_no_look_up(clock):
    ecs = FakeEcs(clock, eni_record("eni-2", [A]))
    assert elsewhere(ecs, target("eni-1", A), ignore_missing=True) == []
    assert ecs.lists == []


@given(worlds(), requests())
def test_a_review_writes_nothing(world, request):
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        clock.install(patch)
        ecs = FakeEcs(clock, *world[0], instances=world[1])
        before = str(ecs.enis)
        look_at(ecs, request)
    assert ecs.writes == []
    assert str(ecs.enis) == before
