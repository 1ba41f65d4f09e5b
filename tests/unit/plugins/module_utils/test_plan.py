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
    as_network,
    count,
    difference,
    flatten,
    make_address_set,
    overlaps,
    union,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import make_instance, make_interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Holders, Seen, guard, is_passing, make_plan, objections
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import (
    REGION,
    VSWITCH,
    eni,
    eni_record,
    instance_record,
    request,
    target,
    wishes,
    worlds,
)

ONE_OF_EACH = ("192.168.0.10", "192.168.0.16/28", "2001:db8::10", "2001:db8:0:0:10::/80")
PREFIX, IPV6, IPV6_PREFIX = ONE_OF_EACH[1:]
EIP = "203.0.113.7"


def see(*records, instances=()):
    interfaces = [make_interface(record, 0.0) for record in records]
    return Seen(REGION, {one.eni_id: one for one in interfaces}, {one["InstanceId"]: make_instance(one, 0.0) for one in instances})


def plan_for(wish, seen):
    """Plan and guard, as the review does it."""
    plan = make_plan(wish, wish.targets, seen)
    by_vswitch = {}
    for interface in seen.interfaces.values():
        by_vswitch.setdefault(interface.vswitch_id, []).append(interface)
    holders = {vswitch: Holders(interfaces) for vswitch, interfaces in by_vswitch.items()}
    return guard(plan, wish, seen.instances, holders)


def only_change(wish, seen):
    plan = plan_for(wish, seen)
    assert plan.errors == ()
    (change,) = plan.changes
    return change


def refusals(change):
    return {note.address: note.reason for note in change.refused}


# What each address comes to, by example


def test_with_state_absent_what_is_held_goes_and_what_is_not_is_settled():
    seen = see(eni_record("eni-1", ["192.168.0.10", "192.168.0.12"], ipv6=["2001:db8::10"]))
    change = only_change(request("absent", target("eni-1", "192.168.0.10", "192.168.0.11", "2001:db8::10", "2001:db8::11")), seen)
    assert flatten(change.todo) == ("192.168.0.10", "2001:db8::10")
    assert flatten(change.settled) == ("192.168.0.11", "2001:db8::11")


def test_with_state_present_it_is_the_other_way_round():
    seen = see(eni_record("eni-1", ["192.168.0.10", "192.168.0.12"]))
    change = only_change(request("present", target("eni-1", "192.168.0.10", "192.168.0.11")), seen)
    assert flatten(change.todo) == ("192.168.0.11",)
    assert flatten(change.settled) == ("192.168.0.10",)


def test_all_secondary_is_every_secondary_ipv4_address_and_no_other_kind():
    record = eni_record(
        "eni-1", ["192.168.0.10", "192.168.0.11"], prefixes=["192.168.0.16/28"], ipv6=["2001:db8::1"], ipv6_prefixes=["2001:db8:1::/80"]
    )
    change = only_change(request("absent", target("eni-1", all_secondary=True)), see(record))
    assert flatten(change.todo) == ("192.168.0.10", "192.168.0.11")


def test_an_empty_target_is_nothing_to_do():
    change = only_change(request("absent", target("eni-1")), see(eni_record("eni-1", ["192.168.0.10"], Status="Detaching")))
    assert count(union(change.todo, change.settled)) == len(change.refused) == len(change.skipped) == 0


# Rule 2


@pytest.mark.parametrize("state", ["absent", "present"])
@pytest.mark.parametrize("address", ["192.168.0.1", "2001:db8::1"])
@pytest.mark.parametrize(
    "options", [{}, {"skip_refused": True}, {"ignore_missing": True}, {"keep": ("192.168.0.0/24", "2001:db8::/64")}], ids=str
)
def test_naming_a_primary_address_is_an_error_whatever_is_allowed(state, address, options):
    seen = see(eni_record("eni-1", ["192.168.0.10"], primary_ipv6="2001:db8::1"), eni_record("eni-2", primary="192.168.0.2"))
    wish = request(
        state,
        target("eni-2", "192.168.0.20", option_path="assignments[0]."),
        target("eni-1", address, option_path="assignments[1]."),
        **options,
    )
    plan = plan_for(wish, seen)
    (error,) = plan.errors
    assert error.startswith("assignments[1].")
    assert f"{address} is the primary address of eni-1" in error
    assert error in objections(plan, wish)
    assert all(address not in flatten(change.todo) for change in plan.changes)


def test_all_secondary_and_its_keep_never_touch_the_primary_address():
    change = only_change(request("absent", target("eni-1", all_secondary=True)), see(eni_record("eni-1", ["192.168.0.10"])))
    assert flatten(change.todo) == ("192.168.0.10",)


# Rule 4


@pytest.mark.parametrize("state", ["absent", "present"])
@pytest.mark.parametrize(
    ("address", "prefix"),
    [("192.168.0.17", "192.168.0.16/28"), ("192.168.0.24/29", "192.168.0.16/28"), ("2001:db8::10:0:0:5", "2001:db8:0:0:10::/80")],
)
def test_what_lies_in_an_assigned_prefix_is_an_error_that_names_the_prefix(state, address, prefix):
    seen = see(eni_record("eni-1", prefixes=["192.168.0.16/28"], ipv6_prefixes=["2001:db8:0:0:10::/80"]))
    (error,) = plan_for(request(state, target("eni-1", address)), seen).errors
    assert f"{address} lies in the prefix {prefix}" in error


@pytest.mark.parametrize("state", ["absent", "present"])
def test_what_contains_an_assigned_prefix_is_an_error_that_says_so(state):
    seen = see(eni_record("eni-1", prefixes=["192.168.0.16/28"]))
    (error,) = plan_for(request(state, target("eni-1", "192.168.0.0/27")), seen).errors
    assert "192.168.0.0/27 contains the prefix 192.168.0.16/28" in error


@pytest.mark.parametrize("address", ["192.168.0.2", *ONE_OF_EACH])
def test_what_is_on_a_secondary_eni_of_the_named_instance_is_an_error_that_names_that_eni(address):
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
    seen = see(first, second, instances=[instance_record("i-1", enis=[first, second])])
    plan = plan_for(request("absent", target("i-1", address)), seen)
    assert len(plan.errors) == 1, plan
    assert "eni-2" in plan.errors[0]
    assert "by eni_id" in plan.errors[0]
    assert plan_for(request("absent", target("eni-1", address)), seen).errors == ()


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
def test_keep_counts_by_overlap_for_every_kind_and_is_no_refusal(held, keep):
    record = eni_record(
        "eni-1", ["192.168.0.10"], prefixes=["192.168.0.16/28"], ipv6=["2001:db8::10"], ipv6_prefixes=["2001:db8:0:0:10::/80"]
    )
    wish = request("absent", target("eni-1", *ONE_OF_EACH), keep=(keep,), max_addresses=3)
    change = only_change(wish, see(record))
    kept = {note.address for note in change.skipped}
    assert held in kept
    assert kept == {address for address in ONE_OF_EACH if overlaps(address, [keep])}
    assert set(flatten(change.todo)) == set(ONE_OF_EACH) - kept
    assert objections(plan_for(wish, see(record)), wish) == []


def test_keep_holds_back_all_secondary_too_and_says_so():
    wish = request("absent", target("eni-1", all_secondary=True), keep=("192.168.0.8/31",))
    change = only_change(wish, see(eni_record("eni-1", ["192.168.0.8", "192.168.0.9", "192.168.0.10"])))
    assert flatten(change.todo) == ("192.168.0.10",)
    assert [note.address for note in change.skipped] == ["192.168.0.8", "192.168.0.9"]
    assert "keep" in change.skipped[0].reason


# Guards: rule 5


def guarded(record, wish_for="absent", instance_status=None, **options):
    """The refusals for one ENI on which there is something to do."""
    named = "192.168.0.10" if wish_for == "absent" else "192.168.0.20"
    instances = [instance_record("i-1", instance_status, [record])] if instance_status else []
    return refusals(only_change(request(wish_for, target("eni-1", named), **options), see(record, instances=instances)))


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


def test_a_primary_eni_that_tells_no_instance_is_refused():
    assert guarded(standard(Type="Primary", Status="InUse")) != {}


@pytest.mark.parametrize("state", ["absent", "present"])
def test_an_eni_of_another_service_is_refused(state):
    assert (
        "managed by another cloud service"
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
    "tags", [{"creator": "terway"}, {"creator": "alibabacloud-erdma-controller"}, {"ack.aliyun.com": "c-any"}], ids=str
)
def test_enis_of_container_networks_are_protected_by_default(tags):
    assert guarded(standard(tags=tags)) != {}


def test_an_eip_holds_back_its_own_address_only_and_all_secondary_too():
    seen = see(eni_record("eni-1", ["192.168.0.10", "192.168.0.11"], eips={"192.168.0.10": EIP}))
    change = only_change(request("absent", target("eni-1", all_secondary=True)), seen)
    assert flatten(change.todo) == ("192.168.0.11",)
    assert EIP in refusals(change)["192.168.0.10"]
    assert flatten(only_change(request("absent", target("eni-1", all_secondary=True), allow_eip=True), seen).todo) == (
        "192.168.0.10",
        "192.168.0.11",
    )


@pytest.mark.parametrize("status", ["Starting", "Running"])
def test_a_reason_that_lasts_is_told_before_a_state_that_passes(status):
    """The check mode of one moment and the run of the next one tell the same."""
    record = standard(Type="Primary", Status="InUse", InstanceId="i-1", eips={"192.168.0.10": EIP})
    assert EIP in guarded(record, instance_status=status)["192.168.0.10"]


def test_what_is_kept_is_not_refused_for_its_eip():
    seen = see(eni_record("eni-1", ["192.168.0.10"], eips={"192.168.0.10": EIP}))
    change = only_change(request("absent", target("eni-1", all_secondary=True), keep=("192.168.0.10/32",)), seen)
    assert change.refused == ()
    assert len(change.skipped) == 1


def test_with_nothing_to_do_nothing_is_refused():
    record = standard(Status="Deleting", ServiceManaged=True, tags={"creator": "terway"}, Type="Primary")
    assert only_change(request("absent", target("eni-1", "192.168.0.20")), see(record)).refused == ()
    assert only_change(request("present", target("eni-1", "192.168.0.10")), see(record)).refused == ()


@pytest.mark.parametrize(
    ("status", "instance_status", "more", "passing"),
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
def test_only_what_may_pass_by_itself_is_worth_waiting_for(status, instance_status, more, passing):
    record = standard(**{"Type": "Primary", "InstanceId": "i-1", "Status": status, **more})
    seen = see(record, instances=[instance_record("i-1", instance_status, [record])])
    wish = request("absent", target("eni-1", "192.168.0.10"))
    assert is_passing(make_plan(wish, wish.targets, seen).changes[0], wish, seen.instances) == passing
    idle = request("absent", target("eni-1", "192.168.0.20"))
    assert not is_passing(make_plan(idle, idle.targets, seen).changes[0], idle, seen.instances)


# on_refusal, max_addresses, missing


def test_refusals_are_all_told_or_all_skipped():
    seen = see(standard(ServiceManaged=True), eni_record("eni-2", ["192.168.0.20"], primary="192.168.0.2", Status="Detaching"))
    targets = (target("eni-1", "192.168.0.10"), target("eni-2", "192.168.0.20"))
    strict, lenient = request("absent", *targets), request("absent", *targets, skip_refused=True)
    told = objections(plan_for(strict, seen), strict)
    assert len(told) == 2
    assert "eni-1" in told[0]
    assert "192.168.0.10" in told[0]
    assert "Detaching" in told[1]
    assert objections(plan_for(lenient, seen), lenient) == []
    assert [len(change.refused) for change in plan_for(lenient, seen).changes] == [1, 1]


@pytest.mark.parametrize(("most", "passes"), [(None, True), (3, True), (2, False), (0, False)])
@pytest.mark.parametrize("state", ["absent", "present"])
def test_max_addresses_counts_what_would_be_written(state, most, passes):
    addresses = ["192.168.0.10", "192.168.0.11", "192.168.0.12"]
    record = eni_record("eni-1", addresses, prefixes=[PREFIX], eips={"192.168.0.12": EIP})
    there = (*addresses, PREFIX)
    free = ("192.168.0.50", "192.168.0.51", "192.168.0.64/28")
    wanted = (*there, *free)  # absent: two addresses and a prefix, without the one with the EIP; present: what is free
    wish = request(state, target("eni-1", *wanted), max_addresses=most, skip_refused=True)
    told = objections(plan_for(wish, see(record)), wish)
    assert (told == []) == passes
    assert all("max_addresses: 3 would be" in line for line in told)


def test_zero_addresses_let_a_second_run_pass():
    wish = request("absent", target("eni-1", "192.168.0.20"), max_addresses=0)
    assert objections(plan_for(wish, see(standard())), wish) == []


@pytest.mark.parametrize("name", ["eni-9", "i-9"])
def test_what_does_not_exist_is_an_error_with_its_place(name):
    wish = request("absent", target("eni-1", "192.168.0.10"), target(name, "192.168.0.20", option_path="assignments[1]."))
    (error,) = objections(plan_for(wish, see(standard())), wish)
    assert error.startswith(f"assignments[1].{'eni_id' if name == 'eni-9' else 'instance_id'}: {name} does not exist")


@pytest.mark.parametrize("name", ["eni-9", "i-9"])
def test_what_does_not_exist_may_be_ignored_and_is_reported(name):
    twice = (target(name, "192.168.0.20"), target(name, "192.168.0.21", "192.168.0.16/28"))
    absent = request("absent", *twice, ignore_missing=True)
    plan = plan_for(absent, see())
    assert (plan.missing, plan.errors) == ((name,), ())
    assert flatten(plan.changes[0].settled) == ("192.168.0.20", "192.168.0.21", "192.168.0.16/28")
    present = request("present", *twice, ignore_missing=True)
    (change,) = plan_for(present, see()).changes
    assert [note.address for note in change.skipped] == ["192.168.0.20", "192.168.0.21", "192.168.0.16/28"]
    assert count(change.todo) == count(change.settled) == 0


def test_the_primary_eni_of_an_instance_may_be_gone_while_the_instance_is_there():
    seen = see(instances=[instance_record("i-1", enis=[eni_record("eni-1", Type="Primary")])])
    wish = request("absent", target("i-1", "192.168.0.10"))
    assert len(objections(plan_for(wish, seen), wish)) == 1


def test_an_instance_without_a_primary_eni_is_an_error_that_missing_does_not_govern():
    wish = request("absent", target("i-1", "192.168.0.10"), ignore_missing=True)
    plan = plan_for(wish, see(instances=[instance_record("i-1")]))
    assert len(objections(plan, wish)) == 1
    assert plan.changes == ()


# Merging


def test_one_change_for_one_eni_however_often_and_by_whatever_name():
    record = eni_record("eni-1", ["192.168.0.10", "192.168.0.11", "192.168.0.12"], Type="Primary", Status="InUse", InstanceId="i-1")
    seen = see(record, instances=[instance_record("i-1", enis=[record])])
    change = only_change(
        request(
            "absent",
            target("eni-1", "192.168.0.10", "192.168.0.11"),
            target("i-1", "192.168.0.11", "192.168.0.12"),
            target("eni-1", "192.168.0.20"),
        ),
        seen,
    )
    assert flatten(change.todo) == ("192.168.0.10", "192.168.0.11", "192.168.0.12")
    assert flatten(change.settled) == ("192.168.0.20",)


def test_a_kept_address_that_is_named_twice_is_skipped_once():
    wish = request("absent", target("eni-1", "192.168.0.10"), target("eni-1", all_secondary=True), keep=("192.168.0.10/32",))
    assert len(only_change(wish, see(standard())).skipped) == 1


def test_changes_come_in_the_order_of_the_request():
    records = [eni_record(f"eni-{number}", primary=f"192.168.0.{number}") for number in (1, 2, 3)]
    wish = request("absent", *(target(name, "192.168.0.50") for name in ("eni-3", "eni-9", "eni-1", "eni-2")), ignore_missing=True)
    assert [change.eni_id for change in plan_for(wish, see(*records)).changes] == ["eni-3", "eni-9", "eni-1", "eni-2"]


# state=present: who holds what


def second_eni(**more):
    return eni_record("eni-2", **{"addresses": ["192.168.0.20"], "primary": "192.168.0.2", "prefixes": ["192.168.0.32/28"], **more})


@pytest.mark.parametrize(
    "address",
    ["192.168.0.20", "192.168.0.2", "192.168.0.32", "192.168.0.40", "192.168.0.47", "192.168.0.32/28", "192.168.0.0/27", "192.168.0.32/29"],
)
def test_an_address_that_another_eni_holds_is_refused_with_its_holder(address):
    seen = see(eni_record("eni-1", primary="192.168.0.200"), second_eni())
    change = only_change(request("present", target("eni-1", address)), seen)
    assert "eni-2" in refusals(change)[address]
    assert flatten(change.todo) == ()


def test_in_another_vswitch_the_same_address_is_free():
    seen = see(eni_record("eni-1"), second_eni(VSwitchId="vsw-2"))
    change = only_change(request("present", target("eni-1", "192.168.0.20")), seen)
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
def test_one_address_can_not_be_for_two_enis_of_a_vswitch(one, other):
    wish = request("present", target("eni-1", one), target("eni-2", other))
    seen = see(eni_record("eni-1"), second_eni())
    told = objections(plan_for(wish, seen), wish)
    assert len(told) == 1, told
    assert all(word in told[0] for word in (one, "eni-1", "eni-2", VSWITCH))
    apart = see(eni_record("eni-1"), second_eni(VSwitchId="vsw-2"))
    assert objections(plan_for(wish, apart), wish) == []


def test_an_address_can_not_be_assigned_beside_the_prefix_that_it_lies_in():
    wish = request("present", target("eni-1", "192.168.0.70", "192.168.0.64/28"))
    assert len(objections(plan_for(wish, see(eni_record("eni-1"))), wish)) == 1


spans = st.tuples(st.integers(0, 15), st.integers(0, 3)).map(lambda pair: f"192.168.0.{pair[0] >> pair[1] << pair[1]}/{32 - pair[1]}")


@given(st.lists(spans, max_size=12), spans)
def test_holders_find_whatever_overlaps(held, asked):
    apart = []
    for block in held:
        if not overlaps(block, apart):
            apart.append(block)
    secondary = [block.removesuffix("/32") for block in apart]
    interfaces = [
        eni(f"eni-{index}", primary=f"192.168.1.{index}", **({"prefixes": [one]} if "/" in one else {"addresses": [one]}))
        for index, one in enumerate(secondary)
    ]
    expected = {f"eni-{index}" for index, block in enumerate(apart) if as_network(block).overlaps(as_network(asked))}
    found = Holders(interfaces).of(asked.removesuffix("/32"))
    assert (found in expected) if expected else (found is None)


# The same, for whatever may come


seen_worlds = worlds().map(lambda world: see(*world[0], instances=world[1]))


def meant(one, seen):
    """The ENI that a target means, or None."""
    if one.eni_id:
        return seen.interfaces.get(one.eni_id)
    instance = seen.instances.get(one.instance_id)
    return seen.interfaces.get(instance.primary_eni_id) if instance else None


def asked_for(wish, seen, eni_id):
    """Everything that the request names for this ENI."""
    named = set()
    for one in wish.targets:
        interface = meant(one, seen)
        if interface and interface.eni_id == eni_id:
            named |= set(flatten(one.named)) | set(interface.held[PRIVATE_IPV4] if one.all_secondary else ())
    return named


def written(plan, seen, state):
    """What would be seen if the plan were carried out."""
    interfaces = dict(seen.interfaces)
    for change in plan.changes:
        if change.interface:
            change_held = difference if state == "absent" else union
            interfaces[change.eni_id] = replace(change.interface, held=change_held(change.interface.held, change.todo))
    return replace(seen, interfaces=interfaces)


@given(seen_worlds, wishes())
def test_only_what_is_named_is_ever_written_and_never_a_primary_address(seen, wish):
    for change in plan_for(wish, seen).changes:
        todo = set(flatten(change.todo))
        assert all(todo.isdisjoint(interface.primary) for interface in seen.interfaces.values())
        assert todo <= asked_for(wish, seen, change.eni_id)
        if todo:
            held = set(flatten(change.interface.held))
            assert todo <= held if wish.state == "absent" else todo.isdisjoint(held)


@given(seen_worlds, wishes())
def test_every_named_address_ends_in_exactly_one_place(seen, wish):
    plan = plan_for(wish, seen)
    changes = {change.eni_id: change for change in plan.changes if change.interface}
    assert len(changes) == len({meant(one, seen).eni_id for one in wish.targets if meant(one, seen)})
    for one in wish.targets:
        interface = meant(one, seen)
        for address in flatten(one.named):
            error = [text for text in plan.errors if text.startswith(one.option_path) and f": {address} " in text]
            if interface is None:
                gone = next(change for change in plan.changes if one.name in (change.eni_id, change.instance_id))
                settled, skipped = flatten(gone.settled), [note.address for note in gone.skipped]
                assert (address in settled, address in skipped) == ((True, False) if wish.state == "absent" else (False, True))
                continue
            change = changes[interface.eni_id]
            places = [
                flatten(change.todo),
                flatten(change.settled),
                [note.address for note in change.skipped],
                [note.address for note in change.refused],
            ]
            found = sum(list(option_path).count(address) for place in places)
            others_say = any(other.place != one.place and meant(other, seen) is interface for other in wish.targets)
            assert len(error) <= 1
            assert found + len(error) == 1 or (others_say and error and found == 1)


@given(seen_worlds, wishes())
def test_naming_a_primary_address_always_stops_everything(seen, wish):
    plan = plan_for(wish, seen)
    named = any(meant(one, seen) and meant(one, seen).primary & set(flatten(one.named)) for one in wish.targets)
    if named:
        assert any("is the primary address of" in line for line in objections(plan, wish))


@given(seen_worlds, wishes())
def test_what_is_written_has_passed_every_guard(seen, wish):
    for change in plan_for(wish, seen).changes:
        if not count(change.todo):
            assert not change.refused or change.interface
            continue
        interface = change.interface
        assert interface.status in ("Available", "InUse")
        assert not interface.service_managed
        assert interface.tags.get("creator") != "terway"
        if interface.is_primary:
            assert seen.instances[interface.instance_id].status in ("Running", "Stopped")
        for address in flatten(change.todo):
            if wish.state == "absent":
                assert not overlaps(address, wish.keep)
                assert wish.allow_eip or address not in interface.eips
            else:
                for other in seen.interfaces.values():
                    assert not overlaps(address, [*flatten(other.held), *other.primary])


@given(seen_worlds, wishes())
def test_a_second_run_has_nothing_to_do_and_is_not_refused_for_what_was_done(seen, wish):
    plan = plan_for(wish, seen)
    if objections(plan, wish):
        return
    again = plan_for(wish, written(plan, seen, wish.state))
    assert objections(again, wish) == []
    for first, second in zip(plan.changes, again.changes, strict=True):
        assert count(second.todo) == 0
        assert second.refused == first.refused
        assert second.skipped == first.skipped
        if not any(one.all_secondary for one in wish.targets):
            assert second.settled == union(first.settled, first.todo)


@given(seen_worlds, wishes())
def test_the_other_state_restores_exactly_what_was_taken(seen, wish):
    wish = replace(wish, state="absent", keep=(), skip_refused=True)
    plan = plan_for(wish, seen)
    if plan.errors:
        return
    taken = [change for change in plan.changes if count(change.todo)]
    restore = request("present", *(target(change.eni_id, *flatten(change.todo)) for change in taken))
    gone = written(plan, seen, "absent")
    back = plan_for(restore, gone)
    assert objections(back, restore) == []
    assert {name: one.held for name, one in written(back, gone, "present").interfaces.items()} == {
        name: one.held for name, one in seen.interfaces.items()
    }


@given(seen_worlds, wishes(), st.randoms())
def test_splitting_and_shuffling_the_request_changes_nothing(seen, wish, random):
    def by_eni(plan):
        return {
            change.eni_id or change.instance_id: (change.todo, change.settled, set(change.skipped), set(change.refused))
            for change in plan.changes
        }

    pieces = []
    for one in wish.targets:
        pieces += [replace(one, named=make_address_set())]
        pieces += [replace(target(one.name, address, option_path=one.option_path)) for address in flatten(one.named)]
    random.shuffle(pieces)
    whole, split = plan_for(wish, seen), plan_for(replace(wish, targets=tuple(pieces)), seen)
    assert by_eni(split) == by_eni(whole)
    assert bool(split.errors) == bool(whole.errors)
