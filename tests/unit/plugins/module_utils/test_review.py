# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import count, flatten
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import objections
from ansible_collections.alicloud_ops.network.plugins.module_utils._review import review
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import (
    Clock,
    FakeEcs,
    eni_record,
    instance_record,
    request,
    target,
    wishes,
    worlds,
)

A = "192.168.0.10"


class Passing(FakeEcs):
    """An ECS in which a state ends after so many reads; counts what is read."""

    def __init__(self, clock, *records, after=3, instances=()):
        super().__init__(clock, *records, instances=instances)
        self.after = after
        self.instance_reads = []
        self.vswitch_reads = []

    def network_interfaces(self, network_interface_id=None, v_switch_id=None):
        if network_interface_id is None:
            self.vswitch_reads.append(v_switch_id)
        elif len(self.reads) + 1 >= self.after:
            for record in self.enis.values():
                record["Status"] = "InUse"
        return super().network_interfaces(network_interface_id, v_switch_id)

    def instances(self, instance_ids):
        self.instance_reads.append(list(instance_ids))
        if len(self.instance_reads) >= self.after:
            for record in self.machines.values():
                record["Status"] = "Running"
        return super().instances(instance_ids)


def only(plan):
    (change,) = plan.changes
    return change


def look(ecs, wish, patient=True):
    return review(ecs, wish, wish.targets, patient=patient)


def primary_record(**more):
    return eni_record("eni-1", [A], **{"Type": "Primary", "InstanceId": "i-1", "Status": "InUse", **more})


# How many calls it takes


def test_one_secondary_eni_takes_one_read(clock):
    ecs = Passing(clock, eni_record("eni-1", [A]))
    assert flatten(only(look(ecs, request("absent", target("eni-1", A)))).todo) == (A,)
    assert (len(ecs.reads), ecs.instance_reads, ecs.vswitch_reads) == (1, [], [])


@pytest.mark.parametrize("name", ["eni-1", "i-1"])
def test_a_primary_eni_takes_one_read_more_for_its_instance(clock, name):
    record = primary_record()
    ecs = Passing(clock, record, instances=[instance_record("i-1", enis=[record])])
    assert flatten(only(look(ecs, request("absent", target(name, A)))).todo) == (A,)
    assert (len(ecs.reads), ecs.instance_reads) == (1, [["i-1"]])


def test_a_primary_eni_with_nothing_to_do_needs_no_instance(clock):
    ecs = Passing(clock, primary_record())
    look(ecs, request("absent", target("eni-1", "192.168.0.99")))
    assert ecs.instance_reads == []


def test_holders_are_looked_up_once_for_each_vswitch_and_only_for_assigning(clock):
    records = [eni_record(f"eni-{last}", primary=f"192.168.0.{last}", VSwitchId=f"vsw-{last % 2}") for last in range(4)]
    ecs = Passing(clock, *records)
    plan = look(ecs, request("present", *(target(f"eni-{last}", f"192.168.0.{last + 50}") for last in range(4))))
    assert sum(count(change.todo) for change in plan.changes) == 4
    assert sorted(ecs.vswitch_reads) == ["vsw-0", "vsw-1"]


# Passing states


@pytest.mark.parametrize(("eni_status", "instance_status"), [("Attaching", "Running"), ("InUse", "Starting")])
def test_a_passing_state_is_waited_for(clock, eni_status, instance_status):
    record = primary_record(Status=eni_status)
    ecs = Passing(clock, record, instances=[instance_record("i-1", instance_status, [record])])
    change = only(look(ecs, request("absent", target("i-1", A))))
    assert (flatten(change.todo), change.refused) == ((A,), ())
    assert len(ecs.reads) == 3


def test_what_is_gone_after_the_wait_is_missing(clock):
    ecs = Passing(clock, eni_record("eni-1", [A], Status="Detaching"), after=100)
    answer = ecs.network_interfaces

    def gone_later(**asked):
        if len(ecs.reads) == 2:
            ecs.enis.clear()
        return answer(**asked)

    ecs.network_interfaces = gone_later
    wish = request("absent", target("eni-1", A))
    (told,) = objections(look(ecs, wish), wish)
    assert "does not exist" in told


def test_what_does_not_pass_in_time_is_refused(clock):
    ecs = Passing(clock, eni_record("eni-1", [A], Status="Detaching"), after=1000)
    before = clock.monotonic()
    change = only(look(ecs, request("absent", target("eni-1", A), wait_timeout=30)))
    assert [note.address for note in change.refused] == [A]
    assert clock.monotonic() - before == 30


@pytest.mark.parametrize(("options", "patient"), [({"wait": False}, True), ({"wait_timeout": 0}, True), ({}, False)])
def test_nobody_waits_who_does_not_want_to(clock, options, patient):
    ecs = Passing(clock, eni_record("eni-1", [A], Status="Detaching"), after=1000)
    before = clock.monotonic()
    assert only(look(ecs, request("absent", target("eni-1", A), **options), patient)).refused
    assert (clock.monotonic(), len(ecs.reads)) == (before, 1)


def test_a_mistake_is_told_without_waiting_for_anything(clock):
    ecs = Passing(clock, eni_record("eni-1", [A], Status="Detaching"), after=1000)
    wish = request("absent", target("eni-1", A, "192.168.0.1"))
    before = clock.monotonic()
    assert "is the primary address" in "".join(objections(look(ecs, wish), wish))
    assert clock.monotonic() == before


def test_time_held_back_by_throttling_does_not_count(clock):
    ecs = Passing(clock, eni_record("eni-1", [A], Status="Detaching"), after=4)
    answer = ecs.network_interfaces

    def throttled(**asked):
        clock.sleep(50)
        ecs.held += 50
        return answer(**asked)

    ecs.network_interfaces = throttled
    assert flatten(only(look(ecs, request("absent", target("eni-1", A), wait_timeout=10))).todo) == (A,)


@given(worlds(), wishes())
def test_a_review_writes_nothing(world, wish):
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        clock.install(patch)
        ecs = FakeEcs(clock, *world[0], instances=world[1])
        before = str(ecs.enis)
        look(ecs, wish)
    assert ecs.writes == []
    assert str(ecs.enis) == before
