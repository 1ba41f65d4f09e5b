# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import (
    PRIVATE_IPV4,
    Blocks,
    count,
    difference,
    flatten,
    kind_of,
    make_address_set,
    union,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import EcsError
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import make_instance, make_interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import (
    ADDRESS_HELD,
    EIP_BOUND,
    ENI_IN_TRANSITION,
    ENI_MISSING,
    ENI_STATE,
    HOLDER_UNREADABLE,
    INSTANCE_IN_TRANSITION,
    INSTANCE_STATE,
    INSTANCE_UNKNOWN,
    KEPT,
    PROTECTED_TAG,
    SERVICE_MANAGED,
    Holders,
    Snapshot,
    fail_unreadable,
    find_refusals,
    guard,
    is_in_transition,
    make_plan,
    of_other_accounts,
)
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import (
    REGION,
    VSWITCH,
    eni,
    eni_record,
    instance_record,
    make_request,
    requests,
    target,
    worlds,
)

ONE_OF_EACH = ("192.168.0.10", "192.168.0.16/28", "2001:db8::10", "2001:db8:0:0:10::/80")
PREFIX, IPV6, IPV6_PREFIX = ONE_OF_EACH[1:]
EIP = "203.0.113.7"


def take_snapshot(*records, instances=(), unreadable=None):
    interfaces = [make_interface(record, 0.0) for record in records]
    machines = {one["InstanceId"]: make_instance(one, 0.0) for one in instances}
    return Snapshot(REGION, {one.eni_id: one for one in interfaces}, machines, unreadable or {})


def plan_for(request, snapshot):
    """The guarded plan, as ``review`` makes it."""
    plan = make_plan(request, request.targets, snapshot)
    by_vswitch = {}
    for interface in snapshot.interfaces.values():
        by_vswitch.setdefault(interface.vswitch_id, []).append(interface)
    holders = {} if request.state == "absent" else {vswitch: Holders(interfaces) for vswitch, interfaces in by_vswitch.items()}
    return guard(plan, request, snapshot.instances, holders)


def only_change(request, snapshot):
    plan = plan_for(request, snapshot)
    assert plan.errors == ()
    (change,) = plan.changes
    return change


def refusals(change):
    return {address: reason.text for address, reason in change.refused.items()}


def refusal_codes(change):
    return {address: reason.code for address, reason in change.refused.items()}


# The outcome of each address, in examples


def test_with_state_absent_held_addresses_are_planned_and_the_others_are_unchanged():
    snapshot = take_snapshot(eni_record("eni-1", ["192.168.0.10", "192.168.0.12"], ipv6=["2001:db8::10"]))
    change = only_change(make_request("absent", target("eni-1", "192.168.0.10", "192.168.0.11", "2001:db8::10", "2001:db8::11")), snapshot)
    assert flatten(change.todo) == ("192.168.0.10", "2001:db8::10")
    assert flatten(change.unchanged) == ("192.168.0.11", "2001:db8::11")


def test_with_state_present_held_addresses_are_unchanged_and_the_others_are_planned():
    snapshot = take_snapshot(eni_record("eni-1", ["192.168.0.10", "192.168.0.12"]))
    change = only_change(make_request("present", target("eni-1", "192.168.0.10", "192.168.0.11")), snapshot)
    assert flatten(change.todo) == ("192.168.0.11",)
    assert flatten(change.unchanged) == ("192.168.0.10",)


def test_all_secondary_is_every_secondary_ipv4_address_and_no_other_kind():
    record = eni_record(
        "eni-1", ["192.168.0.10", "192.168.0.11"], prefixes=["192.168.0.16/28"], ipv6=["2001:db8::1"], ipv6_prefixes=["2001:db8:1::/80"]
    )
    change = only_change(make_request("absent", target("eni-1", all_secondary=True)), take_snapshot(record))
    assert flatten(change.todo) == ("192.168.0.10", "192.168.0.11")


def test_an_empty_target_is_nothing_to_do():
    change = only_change(make_request("absent", target("eni-1")), take_snapshot(eni_record("eni-1", ["192.168.0.10"], Status="Detaching")))
    assert count(union(change.todo, change.unchanged)) == len(change.refused) == len(change.skipped) == 0


# Rule 2


@pytest.mark.parametrize("state", ["absent", "present"])
@pytest.mark.parametrize("address", ["192.168.0.1", "2001:db8::1"])
@pytest.mark.parametrize(
    "options", [{}, {"skip_refused": True}, {"ignore_missing": True}, {"keep": ("192.168.0.0/24", "2001:db8::/64")}], ids=str
)
def test_naming_a_primary_address_is_an_error_with_any_options(state, address, options):
    snapshot = take_snapshot(eni_record("eni-1", ["192.168.0.10"], primary_ipv6="2001:db8::1"), eni_record("eni-2", primary="192.168.0.2"))
    request = make_request(
        state,
        target("eni-2", "192.168.0.20", option_path="assignments[0]."),
        target("eni-1", address, option_path="assignments[1]."),
        **options,
    )
    plan = plan_for(request, snapshot)
    (error,) = plan.errors
    assert error.startswith("assignments[1].")
    assert f"{address} is the primary address of eni-1" in error
    assert error in find_refusals(plan, request)
    assert all(address not in flatten(change.todo) for change in plan.changes)


def test_all_secondary_and_its_keep_never_touch_the_primary_address():
    change = only_change(make_request("absent", target("eni-1", all_secondary=True)), take_snapshot(eni_record("eni-1", ["192.168.0.10"])))
    assert flatten(change.todo) == ("192.168.0.10",)


# Rule 4


@pytest.mark.parametrize("state", ["absent", "present"])
@pytest.mark.parametrize(
    ("address", "prefix"),
    [("192.168.0.17", "192.168.0.16/28"), ("192.168.0.24/29", "192.168.0.16/28"), ("2001:db8::10:0:0:5", "2001:db8:0:0:10::/80")],
)
def test_an_address_inside_an_assigned_prefix_is_an_error_that_names_the_prefix(state, address, prefix):
    snapshot = take_snapshot(eni_record("eni-1", prefixes=["192.168.0.16/28"], ipv6_prefixes=["2001:db8:0:0:10::/80"]))
    (error,) = plan_for(make_request(state, target("eni-1", address)), snapshot).errors
    assert f"{address} is inside the prefix {prefix} of eni-1" in error
    assert f"use {kind_of(prefix).name} " in error


@pytest.mark.parametrize("state", ["absent", "present"])
def test_a_block_that_contains_an_assigned_prefix_is_an_error(state):
    snapshot = take_snapshot(eni_record("eni-1", prefixes=["192.168.0.16/28"]))
    (error,) = plan_for(make_request(state, target("eni-1", "192.168.0.0/27")), snapshot).errors
    assert "192.168.0.0/27 contains the prefix 192.168.0.16/28" in error


@pytest.mark.parametrize("address", ["192.168.0.2", *ONE_OF_EACH])
def test_an_address_on_a_secondary_eni_of_the_named_instance_is_an_error_that_names_that_eni(address):
    first = eni_record("eni-1", Type="Primary", InstanceId="i-1")
    second = eni_record(
        "eni-2",
        ["192.168.0.10"],
        primary="192.168.0.2",
        prefixes=["192.168.0.16/28"],
        ipv6=["2001:DB8::10"],
        ipv6_prefixes=["2001:db8:0:0:10::/80"],
        InstanceId="i-1",
    )
    snapshot = take_snapshot(first, second, instances=[instance_record("i-1", enis=[first, second])])
    plan = plan_for(make_request("absent", target("i-1", address)), snapshot)
    assert len(plan.errors) == 1, plan
    assert "eni-2" in plan.errors[0]
    assert plan.errors[0].endswith("; use eni_id: eni-2")
    assert plan_for(make_request("absent", target("eni-1", address)), snapshot).errors == ()


# keep


@pytest.mark.parametrize(
    ("held", "keep"),
    [
        ("192.168.0.10", "192.168.0.10/32"),
        ("192.168.0.10", "192.168.0.8/29"),
        ("192.168.0.16/28", "192.168.0.20/32"),
        ("192.168.0.16/28", "192.168.0.0/16"),
        ("2001:db8::10", "2001:db8::/64"),
        ("2001:db8:0:0:10::/80", "2001:db8:0:0:10::7/128"),
    ],
)
def test_keep_skips_what_overlaps_for_every_kind_without_a_refusal(held, keep):
    record = eni_record(
        "eni-1", ["192.168.0.10"], prefixes=["192.168.0.16/28"], ipv6=["2001:db8::10"], ipv6_prefixes=["2001:db8:0:0:10::/80"]
    )
    request = make_request("absent", target("eni-1", *ONE_OF_EACH), keep=(keep,), max_addresses=3)
    change = only_change(request, take_snapshot(record))
    kept = set(change.skipped)
    assert held in kept
    assert kept == {address for address in ONE_OF_EACH if Blocks([keep]).overlapping(address)}
    assert set(flatten(change.todo)) == set(ONE_OF_EACH) - kept
    assert find_refusals(plan_for(request, take_snapshot(record)), request) == []


def test_keep_also_protects_addresses_of_all_secondary():
    request = make_request("absent", target("eni-1", all_secondary=True), keep=("192.168.0.8/31",))
    change = only_change(request, take_snapshot(eni_record("eni-1", ["192.168.0.8", "192.168.0.9", "192.168.0.10"])))
    assert flatten(change.todo) == ("192.168.0.10",)
    assert list(change.skipped) == ["192.168.0.8", "192.168.0.9"]
    assert (change.skipped["192.168.0.8"].code, change.skipped["192.168.0.8"].text) == (KEPT, "kept, inside 192.168.0.8/31")


@pytest.mark.parametrize(
    ("keep", "text"),
    [
        ("192.168.0.16/28", "kept, listed in keep"),
        ("192.168.0.0/16", "kept, inside 192.168.0.0/16"),
        ("192.168.0.20/32", "kept, contains 192.168.0.20/32"),
    ],
)
def test_the_reason_of_a_kept_address_names_the_block(keep, text):
    change = only_change(
        make_request("absent", target("eni-1", PREFIX), keep=[keep]), take_snapshot(eni_record("eni-1", prefixes=[PREFIX]))
    )
    assert change.skipped[PREFIX].text == text


def test_keep_does_not_apply_to_assigning():
    request = make_request("present", target("eni-1", "192.168.0.10"), keep=["192.168.0.0/24"])
    assert flatten(only_change(request, take_snapshot(eni_record("eni-1"))).todo) == ("192.168.0.10",)


# Guards: rule 5


def guarded(record, state="absent", instance_status=None, codes=False, **options):
    """The refusals for one ENI with a planned write: their texts, or with ``codes`` their codes."""
    named = "192.168.0.10" if state == "absent" else "192.168.0.20"
    instances = [instance_record("i-1", instance_status, [record])] if instance_status else []
    return (refusal_codes if codes else refusals)(
        only_change(make_request(state, target("eni-1", named), **options), take_snapshot(record, instances=instances))
    )


def standard(**more):
    return eni_record("eni-1", ["192.168.0.10"], **more)


@pytest.mark.parametrize("state", ["absent", "present"])
@pytest.mark.parametrize("status", ["Attaching", "Detaching", "Deleting", "Creating", "InUse ", "Available", "InUse"])
def test_the_eni_must_be_available_or_in_use(state, status):
    refused = guarded(standard(Status=status), state)
    assert bool(refused) == (status not in ("Available", "InUse"))
    assert all(status in reason for reason in refused.values())


@pytest.mark.parametrize("status", ["Pending", "Starting", "Stopping", "Running", "Stopped", None])
def test_the_instance_of_a_primary_eni_must_be_running_or_stopped(status):
    refused = guarded(standard(Type="Primary", Status="InUse", InstanceId="i-1"), instance_status=status)
    assert bool(refused) == (status not in ("Running", "Stopped"))
    assert guarded(standard(Type="Secondary", Status="InUse", InstanceId="i-1"), instance_status=status) == {}


def test_a_primary_eni_without_an_instance_is_refused():
    assert guarded(standard(Type="Primary", Status="InUse")) != {}


@pytest.mark.parametrize("state", ["absent", "present"])
def test_an_eni_of_another_service_is_refused(state):
    assert (
        "another cloud service manages the ENI"
        in guarded(standard(ServiceManaged=True), state)["192.168.0.10" if state == "absent" else "192.168.0.20"]
    )


@pytest.mark.parametrize(
    ("tags", "protected", "is_refused"),
    [
        ({"creator": "terway"}, {"creator": ("terway",)}, True),
        ({"creator": "terway2"}, {"creator": ("terway",)}, False),
        ({"creator": ""}, {"creator": None}, True),
        ({"other": "terway"}, {"creator": None}, False),
        ({"creator": "b"}, {"owner": None, "creator": ("a", "b")}, True),
        ({"creator": "terway"}, {}, False),
    ],
)
def test_protected_tags(tags, protected, is_refused):
    assert bool(guarded(standard(tags=tags), protected_tags=protected)) == is_refused


@pytest.mark.parametrize(
    "tags",
    [{"creator": "terway"}, {"creator": "alibabacloud-erdma-controller"}, {"ack.aliyun.com": "c-any"}, {"cilium-eni-index": "3"}],
    ids=str,
)
def test_enis_of_container_networks_are_protected_by_default(tags):
    assert guarded(standard(tags=tags)) != {}


def test_an_eip_refuses_only_its_own_address_also_with_all_secondary():
    snapshot = take_snapshot(eni_record("eni-1", ["192.168.0.10", "192.168.0.11"], eips={"192.168.0.10": EIP}))
    change = only_change(make_request("absent", target("eni-1", all_secondary=True)), snapshot)
    assert flatten(change.todo) == ("192.168.0.11",)
    assert EIP in refusals(change)["192.168.0.10"]
    assert flatten(only_change(make_request("absent", target("eni-1", all_secondary=True), allow_eip=True), snapshot).todo) == (
        "192.168.0.10",
        "192.168.0.11",
    )


@pytest.mark.parametrize("status", ["Starting", "Running"])
def test_a_lasting_reason_takes_precedence_over_a_transitional_state(status):
    """A transitional state may end before the run. With this order, check mode and run report the same reason."""
    record = standard(Type="Primary", Status="InUse", InstanceId="i-1", eips={"192.168.0.10": EIP})
    assert EIP in guarded(record, instance_status=status)["192.168.0.10"]


def test_a_kept_address_is_not_refused_because_of_its_eip():
    snapshot = take_snapshot(eni_record("eni-1", ["192.168.0.10"], eips={"192.168.0.10": EIP}))
    change = only_change(make_request("absent", target("eni-1", all_secondary=True), keep=("192.168.0.10/32",)), snapshot)
    assert change.refused == {}
    assert len(change.skipped) == 1


def test_without_a_planned_write_nothing_is_refused():
    record = standard(Status="Deleting", ServiceManaged=True, tags={"creator": "terway"}, Type="Primary")
    assert only_change(make_request("absent", target("eni-1", "192.168.0.20")), take_snapshot(record)).refused == {}
    assert only_change(make_request("present", target("eni-1", "192.168.0.10")), take_snapshot(record)).refused == {}


@pytest.mark.parametrize(
    ("status", "instance_status", "more", "in_transition"),
    [
        ("Attaching", "Running", {}, True),
        ("Detaching", "Running", {}, True),
        ("InUse", "Starting", {}, True),
        ("InUse", "Stopping", {}, True),
        ("InUse", "Pending", {}, True),
        ("InUse", "Running", {}, False),
        ("Deleting", "Running", {}, False),
        ("Deleting", "Starting", {}, False),
        ("Attaching", "Running", {"ServiceManaged": True}, False),
        ("Attaching", "Running", {"tags": {"creator": "terway"}}, False),
        ("Attaching", "Running", {"eips": {"192.168.0.10": EIP}}, False),
        ("InUse", "Starting", {"Type": "Secondary"}, False),
    ],
)
def test_only_a_transitional_state_is_waited_for(status, instance_status, more, in_transition):
    record = standard(**{"Type": "Primary", "InstanceId": "i-1", "Status": status, **more})
    snapshot = take_snapshot(record, instances=[instance_record("i-1", instance_status, [record])])
    request = make_request("absent", target("eni-1", "192.168.0.10"))
    assert is_in_transition(make_plan(request, request.targets, snapshot).changes[0], request, snapshot.instances) == in_transition
    idle = make_request("absent", target("eni-1", "192.168.0.20"))
    assert not is_in_transition(make_plan(idle, idle.targets, snapshot).changes[0], idle, snapshot.instances)


# on_refusal, max_addresses, missing


def test_refusals_are_all_reported_or_all_skipped():
    snapshot = take_snapshot(
        standard(ServiceManaged=True), eni_record("eni-2", ["192.168.0.20"], primary="192.168.0.2", Status="Detaching")
    )
    targets = (target("eni-1", "192.168.0.10"), target("eni-2", "192.168.0.20"))
    strict, lenient = make_request("absent", *targets), make_request("absent", *targets, skip_refused=True)
    found = find_refusals(plan_for(strict, snapshot), strict)
    assert len(found) == 2
    assert "eni-1" in found[0]
    assert "192.168.0.10" in found[0]
    assert "Detaching" in found[1]
    assert find_refusals(plan_for(lenient, snapshot), lenient) == []
    assert [len(change.refused) for change in plan_for(lenient, snapshot).changes] == [1, 1]


@pytest.mark.parametrize(("most", "is_within"), [(None, True), (3, True), (2, False), (0, False)])
@pytest.mark.parametrize("state", ["absent", "present"])
def test_max_addresses_limits_the_planned_writes(state, most, is_within):
    addresses = ["192.168.0.10", "192.168.0.11", "192.168.0.12"]
    record = eni_record("eni-1", addresses, prefixes=[PREFIX], eips={"192.168.0.12": EIP})
    there = (*addresses, PREFIX)
    free = ("192.168.0.50", "192.168.0.51", "192.168.0.64/28")
    wanted = (*there, *free)  # planned with absent: `there` without the address with the EIP; planned with present: `free`
    request = make_request(state, target("eni-1", *wanted), max_addresses=most, skip_refused=True)
    found = find_refusals(plan_for(request, take_snapshot(record)), request)
    assert (found == []) == is_within
    verb = "unassigned" if state == "absent" else "assigned"
    assert all(line.startswith(f"max_addresses: at most {most} may be {verb}, but 3 would be; ") for line in found)
    assert all(line.endswith(f"; first: {', '.join(there[:2] + there[3:] if state == 'absent' else free)}") for line in found)


def test_with_max_addresses_zero_a_second_run_passes():
    request = make_request("absent", target("eni-1", "192.168.0.20"), max_addresses=0)
    assert find_refusals(plan_for(request, take_snapshot(standard())), request) == []


@pytest.mark.parametrize("name", ["eni-9", "i-9"])
def test_an_eni_or_instance_that_does_not_exist_is_an_error_with_its_option_path(name):
    request = make_request("absent", target("eni-1", "192.168.0.10"), target(name, "192.168.0.20", option_path="assignments[1]."))
    (error,) = find_refusals(plan_for(request, take_snapshot(standard())), request)
    assert error.startswith(f"assignments[1].{'eni_id' if name == 'eni-9' else 'instance_id'}: {name} does not exist")


@pytest.mark.parametrize("name", ["eni-9", "i-9"])
def test_an_eni_or_instance_that_does_not_exist_can_be_ignored_and_is_reported(name):
    twice = (target(name, "192.168.0.20"), target(name, "192.168.0.21", "192.168.0.16/28"))
    absent = make_request("absent", *twice, ignore_missing=True)
    plan = plan_for(absent, take_snapshot())
    assert (plan.missing, plan.errors) == ((name,), ())
    assert flatten(plan.changes[0].unchanged) == ("192.168.0.20", "192.168.0.21", "192.168.0.16/28")
    present = make_request("present", *twice, ignore_missing=True)
    (change,) = plan_for(present, take_snapshot()).changes
    assert list(change.skipped) == ["192.168.0.20", "192.168.0.21", "192.168.0.16/28"]
    assert count(change.todo) == count(change.unchanged) == 0


def test_an_eni_of_an_instance_that_does_not_exist_is_an_error():
    snapshot = take_snapshot(instances=[instance_record("i-1", enis=[eni_record("eni-1", Type="Primary")])])
    request = make_request("absent", target("i-1", "192.168.0.10"))
    assert len(find_refusals(plan_for(request, snapshot), request)) == 1


# ENIs and instances that exist, but cannot be read

LOST = EcsError("DescribeNetworkInterfaces", "EniNotReturned", "it is not there", "R-7")


@pytest.mark.parametrize("ignore_missing", [False, True])
@pytest.mark.parametrize(
    ("name", "unreadable", "eni_id", "instance_id"),
    [
        ("eni-2", "eni-2", "eni-2", None),
        ("i-2", "i-2", None, "i-2"),
        ("i-3", "i-3", None, "i-3"),
        ("i-1", "eni-1", "eni-1", "i-1"),
    ],
    ids=["the ENI", "the instance, which shows no ENI", "the whole record of the instance", "the primary ENI of the instance"],
)
def test_an_unreadable_eni_fails_alone_and_never_counts_as_missing(name, unreadable, eni_id, instance_id, ignore_missing):
    instances = [instance_record("i-1", enis=[eni_record("eni-1", Type="Primary")]), instance_record("i-2")]
    snapshot = take_snapshot(eni_record("eni-3", ["192.168.0.30"]), instances=instances, unreadable={unreadable: LOST})
    request = make_request(
        "absent", target(name, "192.168.0.10"), target("eni-3", "192.168.0.30"), target(name, PREFIX), ignore_missing=ignore_missing
    )
    plan = plan_for(request, snapshot)
    assert (find_refusals(plan, request), plan.missing) == ([], ())
    lost, other = plan.changes
    assert (lost.eni_id, lost.instance_id, lost.interface, flatten(lost.todo)) == (eni_id, instance_id, None, ("192.168.0.10", PREFIX))
    assert (lost.failure.code, lost.failure.request_id) == ("EniNotReturned", "R-7")
    assert "no write was sent" in lost.failure.text
    assert (flatten(other.todo), other.failure) == (("192.168.0.30",), None)


def test_an_unreadable_eni_is_reported_with_the_instance_by_which_one_of_its_targets_named_it():
    snapshot = take_snapshot(instances=[instance_record("i-1", enis=[eni_record("eni-1", Type="Primary")])], unreadable={"eni-1": LOST})
    (change,) = plan_for(make_request("absent", target("eni-1", "192.168.0.10"), target("i-1", "192.168.0.11")), snapshot).changes
    assert (change.eni_id, change.instance_id) == ("eni-1", "i-1")


@pytest.mark.parametrize("state", ["absent", "present"])
def test_an_unreadable_eni_has_no_vswitch_and_no_owner(state):
    request = make_request(state, target("eni-2", "192.168.0.10"), target("eni-1", "192.168.0.10"))
    snapshot = take_snapshot(eni_record("eni-1", OwnerId="1001"), unreadable={"eni-2": LOST})
    assert find_refusals(plan_for(request, snapshot), request, "1001") == []


@pytest.mark.parametrize(
    ("status", "options", "is_counted"),
    [
        ("Detaching", {}, True),  # a run waits for it, and then unassigns
        ("Detaching", {"skip_transitional": True}, False),
        ("Detaching", {"wait": False}, False),
        ("Detaching", {"wait_timeout": 0}, False),
        ("Deleting", {}, False),  # a run does not wait for this state, because it never allows the write
    ],
)
def test_max_addresses_counts_what_a_run_waits_for(status, options, is_counted):
    request = make_request("absent", target("eni-1", "192.168.0.10"), max_addresses=0, skip_refused=True, **options)
    found = find_refusals(plan_for(request, take_snapshot(standard(Status=status))), request)
    assert bool(found) == is_counted


def test_max_addresses_excludes_unreadable_enis():
    request = make_request("absent", target("eni-2", "192.168.0.10"), max_addresses=0)
    assert find_refusals(plan_for(request, take_snapshot(unreadable={"eni-2": LOST})), request) == []


@pytest.mark.parametrize("vswitch", ["same", "other"])
def test_an_address_that_may_be_on_an_unreadable_eni_is_refused(vswitch):
    request = make_request("present", target("eni-1", "192.168.0.50"))
    snapshot = take_snapshot(eni_record("eni-1"))
    plan = make_plan(request, request.targets, snapshot)
    holders = {VSWITCH if vswitch == "same" else "vsw-2": Holders([], ["eni-2"])}
    (change,) = guard(plan, request, {}, holders).changes
    assert refusal_codes(change) == ({"192.168.0.50": HOLDER_UNREADABLE} if vswitch == "same" else {})
    assert all("eni-2" in text for text in refusals(change).values())


@pytest.mark.parametrize("unreadable", ["eni-0", "eni-2"])
def test_the_asking_eni_is_not_an_unreadable_holder_and_a_known_holder_is_named_first(unreadable):
    request = make_request("present", target("eni-1", "192.168.0.50", "192.168.0.20"))
    plan = make_plan(request, request.targets, take_snapshot(eni_record("eni-1")))
    other = eni("eni-3", ["192.168.0.20"], primary="192.168.0.3")
    (change,) = guard(plan, request, {}, {VSWITCH: Holders([other], ["eni-1"])}).changes
    assert refusal_codes(change) == {"192.168.0.20": ADDRESS_HELD}
    (change,) = guard(plan, request, {}, {VSWITCH: Holders([other], ["eni-1", unreadable])}).changes
    assert refusal_codes(change) == {"192.168.0.20": ADDRESS_HELD, "192.168.0.50": HOLDER_UNREADABLE}


def test_an_address_of_the_asking_eni_is_not_held_by_another_eni():
    """After a lost reply, the list of the vSwitch may show addresses that the read of the ENI did not show."""
    holders = Holders([eni("eni-1", ["192.168.0.50"], prefixes=["192.168.0.64/28"])])
    assert holders.of("192.168.0.50", "eni-1") is None
    assert holders.of("192.168.0.50", "eni-2") == "eni-1"
    assert holders.of("192.168.0.65", "eni-1") == "eni-1"  # an address inside its prefix is not exactly what it holds


@pytest.mark.parametrize(("kind", "of_eni", "of_instance", "oldest"), [("Primary", 7, 5, 5), ("Primary", 5, 7, 5), ("Secondary", 7, 5, 7)])
def test_a_plan_is_as_old_as_the_oldest_read_that_it_depends_on(kind, of_eni, of_instance, oldest):
    record = standard(Type=kind, Status="InUse", InstanceId="i-1")
    snapshot = replace(
        take_snapshot(),
        interfaces={"eni-1": make_interface(record, of_eni)},
        instances={"i-1": make_instance(instance_record("i-1", enis=[record]), of_instance)},
    )
    assert only_change(make_request("absent", target("eni-1", "192.168.0.10")), snapshot).read_at == oldest


def test_unassigning_ignores_holders():
    request = make_request("absent", target("eni-1", "192.168.0.10"))
    plan = make_plan(request, request.targets, take_snapshot(standard()))
    assert guard(plan, request, {}, {VSWITCH: Holders([], ["eni-2"])}).changes[0].refused == {}


# Codes, and the text for a transitional state


@pytest.mark.parametrize(
    ("record", "instance_status", "code"),
    [
        ({"Status": "Detaching"}, None, ENI_IN_TRANSITION),
        ({"Status": "Attaching"}, None, ENI_IN_TRANSITION),
        ({"Status": "Deleting"}, None, ENI_STATE),
        ({"Type": "Primary", "Status": "InUse", "InstanceId": "i-1"}, "Starting", INSTANCE_IN_TRANSITION),
        ({"Type": "Primary", "Status": "InUse", "InstanceId": "i-1"}, "Expired", INSTANCE_STATE),
        ({"Type": "Primary", "Status": "InUse", "InstanceId": "i-2"}, "Running", INSTANCE_UNKNOWN),
        ({"ServiceManaged": True, "Status": "Detaching"}, None, SERVICE_MANAGED),
        ({"tags": {"cilium-eni-index": "0"}}, None, PROTECTED_TAG),
        ({"eips": {"192.168.0.10": EIP}}, None, EIP_BOUND),
    ],
    ids=str,
)
def test_each_refusal_has_its_code(record, instance_status, code):
    assert guarded(standard(**record), instance_status=instance_status, codes=True) == {"192.168.0.10": code}


def test_the_codes_of_skipped_addresses():
    request = make_request("absent", target("eni-1", "192.168.0.10"), keep=("192.168.0.10/32",))
    assert only_change(request, take_snapshot(standard())).skipped["192.168.0.10"].code == KEPT
    request = make_request("present", target("eni-9", "192.168.0.10"), ignore_missing=True)
    assert only_change(request, take_snapshot()).skipped["192.168.0.10"].code == ENI_MISSING


@pytest.mark.parametrize("record", [{"Status": "Detaching"}, {"Type": "Primary", "Status": "InUse", "InstanceId": "i-1"}], ids=str)
@pytest.mark.parametrize(
    ("options", "says"), [({"wait_timeout": 75}, True), ({"wait_timeout": 0}, False), ({"wait": False}, False)], ids=str
)
def test_a_transitional_state_says_how_long_a_run_would_wait_for_it(record, options, says):
    (text,) = guarded(standard(**record), instance_status="Starting", **options).values()
    assert ("a run waits up to" in text) == says
    assert ("75 s" in text) == says


def test_a_plan_that_does_not_wait_for_a_transitional_state_does_not_say_so():
    (text,) = guarded(standard(Status="Detaching"), wait_timeout=75, skip_transitional=True).values()
    assert text == "the ENI is Detaching, but must be Available or InUse; run it again when this state has ended"


def test_the_reason_for_a_lasting_state_does_not_mention_a_wait():
    (text,) = guarded(standard(Status="Deleting")).values()
    assert "a run waits" not in text


# The account of the ENIs


def test_each_other_account_is_one_line_with_its_enis():
    owners = {"eni-1": "1001", "eni-2": "1002", "eni-3": "1002", "eni-4": "", "eni-5": "1003", "eni-6": "1001"}
    interfaces = [eni(name, OwnerId=owner) for name, owner in owners.items()]
    lines = of_other_accounts(interfaces, "1001")
    advice = "correct account_id or the credential, or leave these ENIs out"
    assert lines == [
        f"account_id: 2 of 6 ENIs belong to account 1002, not to 1001 (2 belong to 1001); first: eni-2, eni-3; {advice}",
        f"account_id: 1 of 6 ENIs belong to an unknown account, not to 1001 (2 belong to 1001); first: eni-4; {advice}",
        f"account_id: 1 of 6 ENIs belong to account 1003, not to 1001 (2 belong to 1001); first: eni-5; {advice}",
    ]
    assert of_other_accounts(interfaces[1:3], "1001") == [
        f"account_id: 2 of 2 ENIs belong to account 1002, not to 1001; first: eni-2, eni-3; {advice}"
    ]


def test_without_an_account_or_with_only_own_enis_there_is_no_error():
    assert of_other_accounts([eni(OwnerId="1002")], None) == []
    assert of_other_accounts([eni(OwnerId="1001")], "1001") == []


@pytest.mark.parametrize("address", ["192.168.0.10", "192.168.0.99"], ids=["a write", "nothing to do"])
def test_a_plan_with_an_eni_of_another_account_is_refused(address):
    request = make_request("absent", target("eni-1", address))
    (line,) = find_refusals(plan_for(request, take_snapshot(standard(OwnerId="1002"))), request, "1001")
    assert "1002" in line


# Merging


def test_targets_for_the_same_eni_become_one_change():
    record = eni_record("eni-1", ["192.168.0.10", "192.168.0.11", "192.168.0.12"], Type="Primary", Status="InUse", InstanceId="i-1")
    snapshot = take_snapshot(record, instances=[instance_record("i-1", enis=[record])])
    change = only_change(
        make_request(
            "absent",
            target("eni-1", "192.168.0.10", "192.168.0.11"),
            target("i-1", "192.168.0.11", "192.168.0.12"),
            target("eni-1", "192.168.0.20"),
        ),
        snapshot,
    )
    assert flatten(change.todo) == ("192.168.0.10", "192.168.0.11", "192.168.0.12")
    assert flatten(change.unchanged) == ("192.168.0.20",)


def test_a_kept_address_that_is_named_twice_is_skipped_once():
    request = make_request("absent", target("eni-1", "192.168.0.10"), target("eni-1", all_secondary=True), keep=("192.168.0.10/32",))
    assert len(only_change(request, take_snapshot(standard())).skipped) == 1


def test_changes_come_in_the_order_of_the_request():
    records = [eni_record(f"eni-{number}", primary=f"192.168.0.{number}") for number in (1, 2, 3)]
    request = make_request("absent", *(target(name, "192.168.0.50") for name in ("eni-3", "eni-9", "eni-1", "eni-2")), ignore_missing=True)
    assert [change.eni_id for change in plan_for(request, take_snapshot(*records)).changes] == ["eni-3", "eni-9", "eni-1", "eni-2"]


# state=present: who holds what


def second_eni(**more):
    return eni_record("eni-2", **{"addresses": ["192.168.0.20"], "primary": "192.168.0.2", "prefixes": ["192.168.0.32/28"], **more})


@pytest.mark.parametrize(
    "address",
    ["192.168.0.20", "192.168.0.2", "192.168.0.32", "192.168.0.40", "192.168.0.47", "192.168.0.32/28", "192.168.0.0/27", "192.168.0.32/29"],
)
def test_an_address_that_another_eni_holds_is_refused_with_its_holder(address):
    snapshot = take_snapshot(eni_record("eni-1", primary="192.168.0.200"), second_eni())
    change = only_change(make_request("present", target("eni-1", address)), snapshot)
    assert "eni-2" in refusals(change)[address]
    assert flatten(change.todo) == ()


def test_in_another_vswitch_the_same_address_is_free():
    snapshot = take_snapshot(eni_record("eni-1"), second_eni(VSwitchId="vsw-2"))
    change = only_change(make_request("present", target("eni-1", "192.168.0.20")), snapshot)
    assert flatten(change.todo) == ("192.168.0.20",)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.168.0.50", "192.168.0.50"),
        ("192.168.0.64/28", "192.168.0.64/28"),
        ("192.168.0.70", "192.168.0.64/28"),
        ("192.168.0.64/28", "192.168.0.64/27"),
    ],
)
def test_one_address_cannot_be_assigned_to_two_enis_of_a_vswitch(one, other):
    request = make_request("present", target("eni-1", one), target("eni-2", other))
    snapshot = take_snapshot(eni_record("eni-1"), second_eni())
    found = find_refusals(plan_for(request, snapshot), request)
    assert len(found) == 1, found
    assert all(word in found[0] for word in (one, "eni-1", "eni-2", VSWITCH))
    apart = take_snapshot(eni_record("eni-1"), second_eni(VSwitchId="vsw-2"))
    assert find_refusals(plan_for(request, apart), request) == []


def test_each_address_inside_a_planned_prefix_is_a_separate_error():
    request = make_request("present", target("eni-1", "192.168.0.64/27"), target("eni-2", "192.168.0.65", "192.168.0.90", "192.168.0.96"))
    found = find_refusals(plan_for(request, take_snapshot(eni_record("eni-1"), second_eni())), request)
    assert len(found) == 2
    assert all("192.168.0.64/27 for eni-1" in line for line in found)
    assert "192.168.0.65 for eni-2" in found[0]
    assert "192.168.0.90 for eni-2" in found[1]


def test_after_a_prefix_and_its_first_address_the_prefix_still_overlaps_the_rest():
    request = make_request("present", target("eni-1", "192.168.0.64", "192.168.0.70"), target("eni-2", "192.168.0.64/27"))
    found = find_refusals(plan_for(request, take_snapshot(eni_record("eni-1"), second_eni())), request)
    assert len(found) == 2
    assert all("192.168.0.64/27 for eni-2" in line for line in found)


def test_each_vswitch_is_checked_separately():
    records = [eni_record(f"eni-{last}", primary=f"192.168.1.{last}", VSwitchId=f"vsw-{last // 2}") for last in (2, 4, 5)]
    request = make_request("present", target("eni-2", "192.168.0.200"), target("eni-4", "192.168.0.50"), target("eni-5", "192.168.0.50"))
    (line,) = find_refusals(plan_for(request, take_snapshot(*records)), request)
    assert "192.168.0.50 for eni-4 and 192.168.0.50 for eni-5 overlap in vsw-2" in line


def test_one_address_that_is_seen_on_two_enis_may_be_unassigned_from_both():
    """Two reads at different moments may show the address on both ENIs."""
    snapshot = take_snapshot(eni_record("eni-1", ["192.168.0.20"]), second_eni())
    request = make_request("absent", target("eni-1", "192.168.0.20"), target("eni-2", "192.168.0.20"))
    assert find_refusals(plan_for(request, snapshot), request) == []


def test_an_address_cannot_be_assigned_together_with_the_prefix_that_contains_it():
    request = make_request("present", target("eni-1", "192.168.0.70", "192.168.0.64/28"))
    assert len(find_refusals(plan_for(request, take_snapshot(eni_record("eni-1"))), request)) == 1


spans = st.tuples(st.integers(0, 15), st.integers(0, 3)).map(lambda pair: f"192.168.0.{pair[0] >> pair[1] << pair[1]}/{32 - pair[1]}")


@given(st.lists(spans, max_size=12), spans)
def test_holders_find_every_overlap(held, asked):
    apart = []
    for block in held:
        if not Blocks(apart).overlapping(block):
            apart.append(block)
    secondary = [block.removesuffix("/32") for block in apart]
    interfaces = [
        eni(f"eni-{index}", primary=f"192.168.1.{index}", **({"prefixes": [one]} if "/" in one else {"addresses": [one]}))
        for index, one in enumerate(secondary)
    ]
    expected = {f"eni-{index}" for index, block in enumerate(apart) if Blocks([block]).overlapping(asked)}
    found = Holders(interfaces).of(asked.removesuffix("/32"))
    assert (found in expected) if expected else (found is None)


# The same rules, for random requests and records


snapshots = worlds().map(lambda world: take_snapshot(*world[0], instances=world[1]))


def meant(one, snapshot):
    """The ENI of a target, or None."""
    if one.eni_id:
        return snapshot.interfaces.get(one.eni_id)
    instance = snapshot.instances.get(one.instance_id)
    return snapshot.interfaces.get(instance.primary_eni_id) if instance else None


def asked_for(request, snapshot, eni_id):
    """Everything that the request names for this ENI."""
    named = set()
    for one in request.targets:
        interface = meant(one, snapshot)
        if interface and interface.eni_id == eni_id:
            named |= set(flatten(one.named)) | set(interface.held[PRIVATE_IPV4] if one.all_secondary else ())
    return named


def written(plan, snapshot, state):
    """The snapshot as it would be after the plan was carried out."""
    interfaces = dict(snapshot.interfaces)
    for change in plan.changes:
        if change.interface:
            change_held = difference if state == "absent" else union
            interfaces[change.eni_id] = replace(change.interface, held=change_held(change.interface.held, change.todo))
    return replace(snapshot, interfaces=interfaces)


@given(snapshots, requests())
def test_only_what_is_named_is_ever_written_and_never_a_primary_address(snapshot, request):
    for change in plan_for(request, snapshot).changes:
        todo = set(flatten(change.todo))
        assert all(todo.isdisjoint(interface.primary) for interface in snapshot.interfaces.values())
        assert todo <= asked_for(request, snapshot, change.eni_id)
        if todo:
            held = set(flatten(change.interface.held))
            assert todo <= held if request.state == "absent" else todo.isdisjoint(held)


@given(snapshots, requests())
def test_every_named_address_ends_in_exactly_one_list(snapshot, request):
    plan = plan_for(request, snapshot)
    changes = {change.eni_id: change for change in plan.changes if change.interface}
    assert len(changes) == len({meant(one, snapshot).eni_id for one in request.targets if meant(one, snapshot)})
    for one in request.targets:
        interface = meant(one, snapshot)
        for address in flatten(one.named):
            error = [text for text in plan.errors if text.startswith(one.option_path) and f": {address} " in text]
            if interface is None:
                gone = next(change for change in plan.changes if one.name in (change.eni_id, change.instance_id))
                unchanged, skipped = flatten(gone.unchanged), list(gone.skipped)
                assert (address in unchanged, address in skipped) == ((True, False) if request.state == "absent" else (False, True))
                continue
            change = changes[interface.eni_id]
            states = [
                flatten(change.todo),
                flatten(change.unchanged),
                list(change.skipped),
                list(change.refused),
            ]
            found = sum(list(addresses).count(address) for addresses in states)
            others_say = any(other.option_path != one.option_path and meant(other, snapshot) is interface for other in request.targets)
            assert len(error) <= 1
            assert found + len(error) == 1 or (others_say and error and found == 1)


@given(snapshots, requests())
def test_naming_a_primary_address_always_stops_everything(snapshot, request):
    plan = plan_for(request, snapshot)
    named = any(meant(one, snapshot) and meant(one, snapshot).primary & set(flatten(one.named)) for one in request.targets)
    if named:
        assert any("is the primary address of" in line for line in find_refusals(plan, request))


@given(snapshots, requests())
def test_every_planned_write_has_passed_all_guards(snapshot, request):
    for change in plan_for(request, snapshot).changes:
        if not count(change.todo):
            assert not change.refused or change.interface
            continue
        interface = change.interface
        assert interface.status in ("Available", "InUse")
        assert not interface.service_managed
        assert interface.tags.get("creator") != "terway"
        if interface.is_primary:
            assert snapshot.instances[interface.instance_id].status in ("Running", "Stopped")
        for address in flatten(change.todo):
            if request.state == "absent":
                assert not request.keep.overlapping(address)
                assert request.allow_eip or address not in interface.eips
            else:
                for other in snapshot.interfaces.values():
                    assert not Blocks([*flatten(other.held), *other.primary]).overlapping(address)


@given(snapshots, requests())
def test_a_second_run_changes_nothing_and_is_not_refused(snapshot, request):
    plan = plan_for(request, snapshot)
    if find_refusals(plan, request):
        return
    again = plan_for(request, written(plan, snapshot, request.state))
    assert find_refusals(again, request) == []
    for first, second in zip(plan.changes, again.changes, strict=True):
        assert count(second.todo) == 0
        assert second.refused == first.refused
        assert second.skipped == first.skipped
        if not any(one.all_secondary for one in request.targets):
            assert second.unchanged == union(first.unchanged, first.todo)


@given(snapshots, requests())
def test_the_other_state_restores_exactly_the_unassigned_addresses(snapshot, request):
    request = replace(request, state="absent", keep=Blocks(), skip_refused=True)
    plan = plan_for(request, snapshot)
    if plan.errors:
        return
    taken = [change for change in plan.changes if count(change.todo)]
    restore = make_request("present", *(target(change.eni_id, *flatten(change.todo)) for change in taken))
    gone = written(plan, snapshot, "absent")
    back = plan_for(restore, gone)
    assert find_refusals(back, restore) == []
    assert {name: one.held for name, one in written(back, gone, "present").interfaces.items()} == {
        name: one.held for name, one in snapshot.interfaces.items()
    }


@given(snapshots, requests(), st.randoms())
def test_splitting_and_shuffling_the_request_changes_nothing(snapshot, request, random):
    def by_eni(plan):
        return {
            change.eni_id or change.instance_id: (change.todo, change.unchanged, dict(change.skipped), dict(change.refused))
            for change in plan.changes
        }

    pieces = []
    for one in request.targets:
        pieces += [replace(one, named=make_address_set({}))]
        pieces += [replace(target(one.name, address, option_path=one.option_path)) for address in flatten(one.named)]
    random.shuffle(pieces)
    whole, split = plan_for(request, snapshot), plan_for(replace(request, targets=tuple(pieces)), snapshot)
    assert by_eni(split) == by_eni(whole)
    assert bool(split.errors) == bool(whole.errors)


@pytest.mark.parametrize(
    ("more", "address", "known", "unreadable", "fails"),
    [
        ({"Type": "Primary"}, "192.168.0.10", False, "i-1", True),
        ({"Type": "Primary"}, "192.168.0.10", False, "i-2", False),  # the unreadable instance belongs to another ENI
        ({"Type": "Primary"}, "192.168.0.10", True, "i-1", False),  # another read has shown the instance
        ({"Type": "Primary"}, "192.168.0.99", False, "i-1", False),  # nothing to write
        ({"Type": "Secondary"}, "192.168.0.10", False, "i-1", False),  # the state of the instance does not matter
    ],
)
def test_an_eni_fails_if_the_state_of_its_instance_matters_and_cannot_be_read(more, address, known, unreadable, fails):
    record = eni_record("eni-1", ["192.168.0.10"], InstanceId="i-1", Status="InUse", **more)
    instances = [instance_record("i-1", enis=[record])] if known else []
    snapshot = take_snapshot(record, instances=instances, unreadable={unreadable: LOST})
    request = make_request("absent", target("eni-1", address))
    plan = make_plan(request, request.targets, snapshot)
    (change,) = fail_unreadable(plan, snapshot).changes
    assert (change.failure is not None, change.interface is None) == (fails, fails)
    if not fails:
        assert change == plan.changes[0]


@pytest.mark.parametrize(("instance_id", "shown"), [("i-2", "(i-2)"), ("", "(no instance id)")])
def test_the_refusal_names_the_instance_whose_state_is_unknown(instance_id, shown):
    record = eni_record("eni-1", ["192.168.0.10"], Type="Primary", Status="InUse", InstanceId=instance_id)
    change = only_change(make_request("absent", target("eni-1", "192.168.0.10")), take_snapshot(record))
    assert refusals(change)["192.168.0.10"].endswith(shown)
