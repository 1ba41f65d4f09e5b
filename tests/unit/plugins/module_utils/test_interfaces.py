# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import flatten
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Record
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import (
    CONNECTION_FAILED,
    ENI_NOT_RETURNED,
    INSTANCE_WITHOUT_ENI,
    UNREADABLE_REPLY,
    EcsError,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import make_instance, make_interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._read import (
    list_instances,
    list_interfaces,
    read_instances,
    read_interfaces,
    read_seen_interfaces,
)
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import (
    VSWITCH,
    FakeEcs,
    drop_rows,
    eni,
    eni_record,
    instance_record,
    spoil_rows,
    strip_rows,
)


def leave_out(record, *keys):
    return {key: value for key, value in record.items() if key not in keys}


def private(*rows):
    return {"PrivateIpSet": [dict(row) for row in rows]}


def test_every_kind_is_read_and_primary_addresses_are_separate():
    interface = eni(
        "eni-1",
        ["192.168.0.11", "192.168.0.10"],
        prefixes=["192.168.0.16/28"],
        ipv6=["2001:db8::10"],
        ipv6_prefixes=["2001:db8:0:0:10::/80"],
        primary_ipv6="2001:db8::1",
        eips={"192.168.0.10": "203.0.113.7"},
        tags={"owner": "db"},
        InstanceId="i-1",
        Type="Primary",
        Status="InUse",
    )
    assert interface.held == {
        "private_ip_addresses": ("192.168.0.10", "192.168.0.11"),
        "ipv4_prefixes": ("192.168.0.16/28",),
        "ipv6_addresses": ("2001:db8::10",),
        "ipv6_prefixes": ("2001:db8:0:0:10::/80",),
    }
    assert interface.primary == {"192.168.0.1", "2001:db8::1"}
    assert interface.eips == {"192.168.0.10": "203.0.113.7"}
    assert interface.tags == {"owner": "db"}
    assert (interface.is_primary, interface.status, interface.instance_id, interface.security_group_ids) == (
        True,
        "InUse",
        "i-1",
        ("sg-1",),
    )


def test_a_list_that_the_service_leaves_out_is_empty():
    record = eni_record(InstanceId="")
    interface = make_interface(
        leave_out(record, "Ipv4PrefixSets", "Ipv6Sets", "Ipv6PrefixSets", "Tags", "SecurityGroupIds", "ServiceManaged"), 0
    )
    assert flatten(interface.held) == ()
    assert (interface.instance_id, interface.tags, interface.security_group_ids, interface.service_managed) == (None, {}, (), False)


def test_the_spelling_of_the_service_is_kept_for_writing():
    interface = eni(ipv6=["2001:DB8:0:0::10", "2001:db8::11"])
    assert interface.held["ipv6_addresses"] == ("2001:db8::10", "2001:db8::11")
    assert interface.spelled == {"2001:db8::10": "2001:DB8:0:0::10"}


def test_an_eip_with_only_an_allocation_id_is_an_eip():
    rows = [{"PrivateIpAddress": "192.168.0.10", "Primary": False, "AssociatedPublicIp": {"AllocationId": "eip-1"}}]
    interface = make_interface(eni_record(PrivateIpSets=private({"PrivateIpAddress": "192.168.0.1", "Primary": True}, *rows)), 0)
    assert interface.eips == {"192.168.0.10": "eip-1"}


# Which address is the primary one. It must never be among the addresses that can be unassigned.


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(eni_record(addresses=["192.168.0.10"]), id="marked and named"),
        pytest.param(leave_out(eni_record(addresses=["192.168.0.10"]), "PrivateIpAddress"), id="marked only"),
        pytest.param(
            eni_record(PrivateIpSets=private({"PrivateIpAddress": "192.168.0.1"}, {"PrivateIpAddress": "192.168.0.10"})), id="named only"
        ),
        pytest.param(
            eni_record(PrivateIpSets=private({"PrivateIpAddress": "192.168.0.1", "Primary": False}, {"PrivateIpAddress": "192.168.0.10"})),
            id="named, and marked wrongly",
        ),
    ],
)
def test_the_primary_address_is_known_by_mark_or_by_the_eni(record):
    interface = make_interface(record, 0)
    assert interface.private_ip_address == "192.168.0.1"
    assert interface.primary == {"192.168.0.1"}
    assert interface.held["private_ip_addresses"] == ("192.168.0.10",)


rows = st.fixed_dictionaries(
    {"PrivateIpAddress": st.sampled_from([f"192.168.0.{last}" for last in range(1, 6)])}, optional={"Primary": st.booleans()}
)


@given(st.lists(rows, min_size=1, max_size=6), st.sampled_from(["192.168.0.1", "192.168.0.2", "", None]))
def test_a_primary_address_is_never_a_secondary_address(private_rows, own):
    record = eni_record(PrivateIpAddress=own, PrivateIpSets=private(*private_rows))
    marked = {row["PrivateIpAddress"] for row in private_rows if row.get("Primary")}
    try:
        interface = make_interface(record, 0)
    except EcsError:
        return  # the record cannot be read, so a plan cannot use it
    assert marked | ({own} if own else set()) <= interface.primary
    assert interface.primary.isdisjoint(flatten(interface.held))


# Rule 10: a record that cannot be read is an error, not an empty list


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(leave_out(eni_record(), "NetworkInterfaceId"), id="no id"),
        pytest.param(eni_record(NetworkInterfaceId=7), id="id is a number"),
        pytest.param(leave_out(eni_record(), "Type"), id="no type"),
        pytest.param(leave_out(eni_record(), "Status"), id="no status"),
        pytest.param(leave_out(eni_record(), "PrivateIpSets"), id="no addresses"),
        pytest.param(eni_record(PrivateIpSets={}), id="addresses without list"),
        pytest.param(eni_record(PrivateIpSets=private()), id="addresses empty"),
        pytest.param(eni_record(PrivateIpSets=[{"PrivateIpAddress": "192.168.0.1"}]), id="addresses not wrapped"),
        pytest.param(eni_record(PrivateIpSets={"PrivateIpSet": {"PrivateIpAddress": "192.168.0.1"}}), id="addresses are not a list"),
        pytest.param(eni_record(PrivateIpSets={"PrivateIpSet": ["192.168.0.1"]}), id="addresses are not records"),
        pytest.param(eni_record(PrivateIpSets=private({"Primary": True}), PrivateIpAddress=""), id="address missing"),
        pytest.param(eni_record(addresses=["192.168.0.300"]), id="address malformed"),
        pytest.param(eni_record(addresses=["2001:db8::1"]), id="address of the other family"),
        pytest.param(eni_record(PrivateIpAddress="", PrivateIpSets=private({"PrivateIpAddress": "192.168.0.10"})), id="no primary address"),
        pytest.param(
            eni_record(PrivateIpAddress="?", PrivateIpSets=private({"PrivateIpAddress": "192.168.0.1"})), id="primary address malformed"
        ),
        pytest.param(eni_record(PrivateIpSets=private({"PrivateIpAddress": "192.168.0.10"})), id="primary address not among the addresses"),
        pytest.param(eni_record(Ipv6Sets={"Ipv6Set": [{"Ipv6Address": "2001:db8::1", "Primary": "true"}]}), id="primary mark is a text"),
        pytest.param(eni_record(Ipv4PrefixSets={"Ipv4PrefixSet": [{"Prefix": "192.168.0.16/28"}]}), id="prefix by another name"),
        pytest.param(eni_record(Ipv4PrefixSets={"Ipv4PrefixSet": "192.168.0.16/28"}), id="prefixes are not a list"),
        pytest.param(eni_record(Ipv6Sets={"Ipv6Set": [None]}), id="ipv6 null"),
        pytest.param(eni_record(Ipv6PrefixSets="2001:db8::/80"), id="ipv6 prefixes are a text"),
        pytest.param(eni_record(SecurityGroupIds={"SecurityGroupId": "sg-1"}), id="groups are not a list"),
        pytest.param(eni_record(Tags={"Tag": ["creator"]}), id="tags are not records"),
        pytest.param(eni_record(Tags={"Tag": [{"Key": "creator", "Value": "terway"}]}), id="tag by other names"),
        pytest.param(
            eni_record(
                PrivateIpSets=private(
                    {"PrivateIpAddress": "192.168.0.1", "Primary": True},
                    {"PrivateIpAddress": "192.168.0.10", "AssociatedPublicIp": "203.0.113.7"},
                )
            ),
            id="eip is a text",
        ),
        pytest.param(
            eni_record(
                PrivateIpSets=private(
                    {"PrivateIpAddress": "192.168.0.1", "Primary": True}, {"PrivateIpAddress": "192.168.0.10", "AssociatedPublicIp": []}
                )
            ),
            id="eip is a list",
        ),
        pytest.param(eni_record(Tags={"Tag": [{"TagKey": "creator", "TagValue": ["terway"]}]}), id="tag value is a list"),
        pytest.param(eni_record(InstanceId=["i-1"]), id="instance id is a list"),
        pytest.param(eni_record(NetworkInterfaceId=None), id="id is null"),
    ],
)
def test_an_unreadable_interface_is_an_error(record):
    with pytest.raises(EcsError) as caught:
        make_interface(record, 0)
    assert caught.value.code == UNREADABLE_REPLY
    if isinstance(record, dict) and record.get("NetworkInterfaceId") == "eni-1":
        assert "eni-1" in caught.value.message


def test_an_instance_has_its_primary_eni_and_the_addresses_on_the_others():
    first = eni_record("eni-1", ["192.168.0.10"], Type="Primary")
    second = eni_record(
        "eni-2", ["192.168.0.20"], primary="192.168.0.2", prefixes=["192.168.0.32/28"], ipv6=["2001:DB8::20"], Type="Secondary"
    )
    instance = make_instance(instance_record("i-1", "Stopped", [second, first]), 0.0)
    assert (instance.instance_id, instance.status, instance.primary_eni_id) == ("i-1", "Stopped", "eni-1")
    assert instance.secondary_eni_ids == ("eni-2",)
    assert instance.on_other_enis == dict.fromkeys(["192.168.0.2", "192.168.0.20", "192.168.0.32/28", "2001:db8::20"], "eni-2")


def test_an_instance_that_shows_no_eni_has_no_primary_eni():
    assert make_instance({"InstanceId": "i-1", "Status": "Running"}, 0.0).primary_eni_id is None


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({"Status": "Running"}, id="no id"),
        pytest.param({"InstanceId": "i-1"}, id="no status"),
        pytest.param({"InstanceId": "i-1", "Status": "Running", "NetworkInterfaces": {"NetworkInterface": {}}}, id="enis are not a list"),
        pytest.param(
            {"InstanceId": "i-1", "Status": "Running", "NetworkInterfaces": {"NetworkInterface": [{"Type": "Primary"}]}},
            id="eni without id",
        ),
        pytest.param(
            {
                "InstanceId": "i-1",
                "Status": "Running",
                "NetworkInterfaces": {"NetworkInterface": [{"NetworkInterfaceId": "eni-2", "PrivateIpSets": private({"Primary": True})}]},
            },
            id="address missing",
        ),
    ],
)
def test_an_unreadable_instance_is_an_error(record):
    with pytest.raises(EcsError) as caught:
        make_instance(record, 0.0)
    assert caught.value.code == UNREADABLE_REPLY


@pytest.mark.parametrize(
    ("make", "action", "row"),
    [
        (make_interface, "DescribeNetworkInterfaces", eni_record(Status=None)),
        (make_interface, "DescribeNetworkInterfaces", {}),
        (make_instance, "DescribeInstances", {"InstanceId": "i-1"}),
        (make_instance, "DescribeInstances", {}),
    ],
)
def test_an_unreadable_record_names_the_call_that_returned_it(make, action, row):
    with pytest.raises(EcsError) as caught:
        make(Record(row, action, "R-7"), 0.0)
    assert (caught.value.action, caught.value.request_id) == (action, "R-7")


# Reading by id


class WithStrangers(FakeEcs):
    """Each reply also has a record that was not requested."""

    def network_interfaces(self, network_interface_id=None, **filters):
        return [*super().network_interfaces(network_interface_id, **filters), eni_record("eni-stranger")]

    def instances(self, instance_ids):
        return [*super().instances(instance_ids), instance_record("i-stranger", enis=[eni_record("eni-stranger", Type="Primary")])]


def test_ids_are_read_by_the_hundred_once_each_and_strangers_are_ignored(clock):
    names = [f"eni-{number}" for number in range(150)]
    ecs = WithStrangers(clock, *map(eni_record, names), instances=map(instance_record, ("i-1", "i-2")))
    assert list(read_interfaces(ecs, [*names, *names, "eni-gone"], {})) == names
    assert [len(ids) for ids in ecs.reads] == [100, 51]
    assert list(read_instances(ecs, ["i-2", "i-1", "i-2", "i-gone"], {})) == ["i-2", "i-1"]
    assert ecs.instance_reads == [["i-2", "i-1", "i-gone"], ["i-gone"]]


def test_without_ids_nothing_is_read(clock):
    ecs = FakeEcs(clock)
    assert read_interfaces(ecs, [], {}) == {}
    assert read_seen_interfaces(ecs, [], [], {}) == {}
    assert read_instances(ecs, [], {}) == {}
    assert ecs.reads == ecs.instance_reads == []


def test_a_view_is_as_old_as_the_moment_its_read_was_sent(clock):
    """The time before the read is sent does not count. The time until the reply does."""
    ecs = FakeEcs(clock, eni_record())
    answer = ecs.network_interfaces

    def slow(**asked):
        ecs.held += 30
        clock.sleep(30)
        records = answer(**asked)
        clock.sleep(5)
        return records

    ecs.network_interfaces = slow
    read_at = read_interfaces(ecs, ["eni-1"], {})["eni-1"].read_at
    assert clock.monotonic() - read_at == 5


# What cannot be read


@pytest.mark.parametrize("fault", [spoil_rows, strip_rows], ids=["spoiled", "stripped"])
def test_the_other_enis_of_a_read_with_an_unreadable_eni_are_read(clock, fault):
    ecs = FakeEcs(clock, *(eni_record(f"eni-{number}") for number in range(3)))
    ecs.read_faults = [fault("eni-1")]
    unreadable = {}
    assert list(read_interfaces(ecs, ["eni-0", "eni-1", "eni-2"], unreadable)) == ["eni-0", "eni-2"]
    assert {eni_id: error.code for eni_id, error in unreadable.items()} == {"eni-1": UNREADABLE_REPLY}


@pytest.mark.parametrize("eni_id", [None, "", ["eni-1"]])
def test_an_unreadable_record_without_an_id_fails_the_whole_read_because_it_may_be_any_eni(clock, eni_id):
    ecs = FakeEcs(clock, eni_record("eni-0"), eni_record("eni-1"))
    ecs.enis["eni-1"]["NetworkInterfaceId"] = eni_id
    unreadable = {}
    with pytest.raises(EcsError) as caught:
        read_interfaces(ecs, ["eni-0", "eni-1"], unreadable)
    assert (caught.value.code, unreadable) == (UNREADABLE_REPLY, {})


def test_a_list_reports_what_it_cannot_read(clock):
    ecs = FakeEcs(clock, eni_record("eni-0"), eni_record("eni-1", Type=None), eni_record("eni-2", VSwitchId="vsw-2"))
    unreadable = {}
    assert list(list_interfaces(ecs, unreadable, v_switch_id=VSWITCH)) == ["eni-0"]
    assert list(unreadable) == ["eni-1"]


def test_an_instance_without_a_primary_eni_is_unreadable_but_exists(clock):
    secondary = eni_record("eni-2")
    ecs = FakeEcs(clock, instances=[instance_record("i-1"), instance_record("i-2", enis=[secondary])])
    unreadable = {}
    assert list(read_instances(ecs, ["i-1", "i-2"], unreadable)) == ["i-1", "i-2"]
    assert {instance_id: error.code for instance_id, error in unreadable.items()} == dict.fromkeys(["i-1", "i-2"], INSTANCE_WITHOUT_ENI)
    assert "i-2" in unreadable["i-2"].message


def test_the_other_instances_of_a_read_with_an_unreadable_instance_are_read(clock):
    ecs = FakeEcs(clock, instances=[instance_record("i-1", status=None), instance_record("i-2", enis=[eni_record(Type="Primary")])])
    unreadable = {}
    ecs.instances = lambda **_filters: list(ecs.machines.values())
    assert list(list_instances(ecs, unreadable)) == ["i-2"]
    assert {instance_id: error.code for instance_id, error in unreadable.items()} == {"i-1": UNREADABLE_REPLY}


# ENIs that this run has read before


def read_seen(clock, faults, seen=("eni-1",), enis=("eni-1", "eni-2")):
    ecs = FakeEcs(clock, *map(eni_record, enis))
    ecs.read_faults = list(faults)
    unreadable = {}
    found = read_seen_interfaces(ecs, ["eni-1", "eni-2"], seen, unreadable)
    return list(found), {eni_id: error.code for eni_id, error in unreadable.items()}, ecs.reads


def test_an_eni_that_one_read_shows_is_read_once(clock):
    assert read_seen(clock, []) == (["eni-1", "eni-2"], {}, [("eni-1", "eni-2")])


def test_an_eni_that_one_read_lacks_is_read_again(clock):
    found, unreadable, reads = read_seen(clock, [drop_rows("eni-1")])
    assert (sorted(found), unreadable, reads) == (["eni-1", "eni-2"], {}, [("eni-1", "eni-2"), ("eni-1",)])


def test_an_eni_that_was_read_before_and_is_missing_twice_is_unreadable(clock):
    assert read_seen(clock, [drop_rows("eni-1")] * 2)[:2] == (["eni-2"], {"eni-1": ENI_NOT_RETURNED})


def test_an_eni_that_was_never_read_and_is_missing_twice_does_not_exist(clock):
    assert read_seen(clock, [drop_rows("eni-1", "eni-2")] * 2, seen=["eni-2"])[:2] == ([], {"eni-2": ENI_NOT_RETURNED})
    assert read_seen(clock, [], seen=[], enis=["eni-2"])[:2] == (["eni-2"], {})


def test_an_unreadable_eni_keeps_its_reason_and_is_not_read_again(clock):
    assert read_seen(clock, [spoil_rows("eni-1")]) == (["eni-2"], {"eni-1": UNREADABLE_REPLY}, [("eni-1", "eni-2")])
    assert read_seen(clock, [drop_rows("eni-1"), spoil_rows("eni-1")])[1] == {"eni-1": UNREADABLE_REPLY}


def test_a_second_read_that_fails_is_an_error_and_proves_nothing(clock):
    with pytest.raises(EcsError, match=CONNECTION_FAILED):
        read_seen(clock, [drop_rows("eni-1"), EcsError("DescribeNetworkInterfaces", CONNECTION_FAILED, "reset")])
