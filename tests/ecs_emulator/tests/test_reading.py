# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters, and the two ways through the pages."""

from __future__ import annotations

from typing import Any

import pytest

LIST = "DescribeNetworkInterfaces"


def ids(answer: Any) -> list[str]:
    return [row["NetworkInterfaceId"] for row in answer.json["NetworkInterfaceSets"]["NetworkInterfaceSet"]]


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"NetworkInterfaceId": ["eni-secondary", "eni-nowhere", "eni-primary"]}, {"eni-primary", "eni-secondary"}),
        ({"NetworkInterfaceId": ["eni-nowhere"]}, set()),
        # documented for secondary interfaces only
        ({"SecurityGroupId": "sg-a"}, {"eni-secondary", "eni-available"}),
        ({"SecurityGroupId": "sg-nowhere"}, set()),
        ({"InstanceId": "i-running"}, {"eni-primary", "eni-secondary", "eni-detaching"}),
        ({"InstanceId": "i-running", "Type": "Primary"}, {"eni-primary"}),
        ({"Type": "Primary"}, {"eni-primary", "eni-starting"}),
        ({"Status": "Detaching"}, {"eni-detaching"}),
        # secondary addresses only; the primary one has a filter of its own
        ({"PrivateIpAddress": ["10.0.0.11", "10.0.0.41", "10.0.0.10"]}, {"eni-primary", "eni-available"}),
        ({"PrivateIpAddress": ["10.0.0.10"]}, set()),
        ({"PrimaryIpAddress": "10.0.0.10"}, {"eni-primary"}),
        ({"PrimaryIpAddress": "10.0.0.11"}, set()),
        ({"Ipv6Address": ["fd00::31"]}, {"eni-secondary"}),
        ({"VSwitchId": "vsw-b"}, {"eni-small"}),
        ({"VpcId": "vpc-a", "Type": "Trunk"}, {"eni-trunk"}),
        ({"ServiceManaged": "True"}, {"eni-managed"}),
        ({"NetworkInterfaceName": "second"}, {"eni-secondary"}),
        ({"Tag.1.Key": "app", "Tag.1.Value": "web"}, {"eni-secondary"}),
        ({"Tag.1.Key": "app", "Tag.2.Key": "team", "Tag.2.Value": "x"}, {"eni-secondary"}),
        ({"Tag.1.Key": "app", "Tag.1.Value": "other"}, set()),
        ({"region": "cn-beijing"}, {"eni-far"}),
    ],
)
def test_interface_filters(call: Any, filters: dict[str, Any], found: set[str]) -> None:
    assert set(ids(call(LIST, MaxResults=500, **filters))) == found


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"InstanceIds": '["i-running"]'}, ["i-running"]),
        ({"InstanceIds": '["i-nowhere"]'}, []),
        ({"InstanceIds": "[]"}, []),
        ({"SecurityGroupId": "sg-a"}, ["i-running", "i-starting"]),
        ({"SecurityGroupId": "sg-b"}, []),
        ({"Status": "Starting"}, ["i-starting"]),
        ({"VSwitchId": "vsw-a", "VpcId": "vpc-a"}, ["i-running", "i-starting"]),
        ({"InstanceName": "web-*"}, ["i-running"]),
        ({"Tag.1.Key": "app"}, ["i-running"]),
        ({"InstanceNetworkType": "vpc", "PrivateIpAddresses": '["10.0.0.20"]'}, ["i-starting"]),
        # takes effect only together with the network type
        ({"PrivateIpAddresses": '["10.0.0.20"]'}, ["i-running", "i-starting"]),
        ({"InstanceNetworkType": "classic"}, []),
    ],
)
def test_instance_filters(call: Any, filters: dict[str, Any], found: list[str]) -> None:
    rows = call("DescribeInstances", MaxResults=100, **filters).json["Instances"]["Instance"]
    assert [row["InstanceId"] for row in rows] == found


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["sg-a", "sg-b"]),
        ({"SecurityGroupId": "sg-a"}, ["sg-a"]),
        ({"SecurityGroupIds": '["sg-b", "sg-nowhere"]'}, ["sg-b"]),
        ({"SecurityGroupType": "enterprise"}, ["sg-b"]),
        ({"ServiceManaged": "false"}, ["sg-a"]),
        ({"SecurityGroupName": "a"}, ["sg-a"]),
        ({"Tag.1.Key": "team"}, ["sg-a"]),
        ({"VpcId": "vpc-far"}, []),
    ],
)
def test_group_filters(call: Any, filters: dict[str, Any], found: list[str]) -> None:
    rows = call("DescribeSecurityGroups", **filters).json["SecurityGroups"]["SecurityGroup"]
    assert [row["SecurityGroupId"] for row in rows] == found


@pytest.fixture
def two_vpcs(process: Any) -> None:
    """Each VPC has a group of the same name, and an instance in it."""
    world: dict[str, list[dict[str, Any]]] = {"vswitches": [], "security_groups": [], "instances": [], "interfaces": []}
    for number, name in enumerate(("one", "two"), 1):
        world["vswitches"].append({"id": f"vsw-{name}", "vpc_id": f"vpc-{name}", "cidr": f"10.0.{number}.0/24"})
        world["security_groups"].append({"id": f"sg-{name}", "vpc_id": f"vpc-{name}", "name": "web"})
        world["instances"].append({"id": f"i-{name}", "name": "web"})
        in_group = {"vswitch_id": f"vsw-{name}", "security_group_ids": [f"sg-{name}"]}
        world["interfaces"].append({"id": f"eni-{name}1", "type": "Primary", "instance_id": f"i-{name}", "name": "web", **in_group})
        world["interfaces"].append({"id": f"eni-{name}2", "name": "web", **in_group})
    process.reset(seed=world)


@pytest.mark.usefixtures("two_vpcs")
@pytest.mark.parametrize(("filters", "found"), [({}, ["one", "two"]), ({"VpcId": "vpc-two"}, ["two"]), ({"VpcId": "vpc-nowhere"}, [])])
def test_one_name_in_two_vpcs(call: Any, filters: dict[str, str], found: list[str]) -> None:
    groups = call("DescribeSecurityGroups", SecurityGroupName="web", **filters).json["SecurityGroups"]["SecurityGroup"]
    assert [(row["SecurityGroupId"], row["SecurityGroupName"], row["VpcId"]) for row in groups] == [
        (f"sg-{name}", "web", f"vpc-{name}") for name in found
    ]
    instances = call("DescribeInstances", InstanceName="web", **filters).json["Instances"]["Instance"]
    assert [(row["InstanceName"], row["VpcAttributes"]["VpcId"], row["SecurityGroupIds"]["SecurityGroupId"]) for row in instances] == [
        ("web", f"vpc-{name}", [f"sg-{name}"]) for name in found
    ]
    interfaces = call(LIST, NetworkInterfaceName="web", **filters).json["NetworkInterfaceSets"]["NetworkInterfaceSet"]
    assert [(row["NetworkInterfaceId"], row["NetworkInterfaceName"], row["VpcId"]) for row in interfaces] == [
        (f"eni-{name}{number}", "web", f"vpc-{name}") for name in found for number in (1, 2)
    ]


@pytest.mark.usefixtures("two_vpcs")
def test_a_group_holds_its_own_members_only(call: Any) -> None:
    assert ids(call(LIST, SecurityGroupId="sg-two")) == ["eni-two2"]
    assert [row["InstanceId"] for row in call("DescribeInstances", SecurityGroupId="sg-two").json["Instances"]["Instance"]] == ["i-two"]
    assert ids(call(LIST, SecurityGroupId="sg-two", VpcId="vpc-one")) == []


@pytest.mark.usefixtures("emulator")
def test_a_managed_interface_does_not_show_its_instance(call: Any) -> None:
    (row,) = call(LIST, NetworkInterfaceId=["eni-managed"]).json["NetworkInterfaceSets"]["NetworkInterfaceSet"]
    assert row["ServiceManaged"] is True
    assert "InstanceId" not in row


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        ({}, 10),
        ({"MaxResults": 9}, 10),
        ({"MaxResults": -1}, 10),
        ({"MaxResults": 11}, 11),
        ({"MaxResults": 501}, 500),
        ({"PageSize": 1000}, 1000),
    ],
)
def test_page_sizes_of_interfaces(call: Any, asked: dict[str, Any], rows: int) -> None:
    assert len(ids(call(LIST, **asked))) == rows


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(("asked", "rows"), [({}, 10), ({"MaxResults": 1}, 10), ({"MaxResults": 500}, 100), ({"PageSize": 100}, 100)])
def test_page_sizes_of_instances(call: Any, asked: dict[str, Any], rows: int) -> None:
    assert len(call("DescribeInstances", **asked).json["Instances"]["Instance"]) == rows


@pytest.mark.usefixtures("many")
def test_tokens_lead_through_all_rows_once(call: Any) -> None:
    found: list[str] = []
    token, calls = "", 0
    while calls == 0 or token:
        answer = call(LIST, SecurityGroupId="sg-m", MaxResults=500, NextToken=token)
        found, token, calls = found + ids(answer), answer.json["NextToken"], calls + 1
        assert answer.json["TotalCount"] == 0
    assert calls == 3
    assert len(found) == len(set(found)) == 1100


@pytest.mark.usefixtures("many")
def test_a_token_is_valid_only_for_its_own_action(call: Any) -> None:
    token = call(LIST, MaxResults=10).json["NextToken"]
    assert call("DescribeInstances", NextToken=token).code == "InvalidParameter"


@pytest.mark.usefixtures("many")
def test_page_numbers_count_all_that_matches(call: Any) -> None:
    first = call(LIST, SecurityGroupId="sg-m", PageNumber=1, PageSize=1000)
    second = call(LIST, SecurityGroupId="sg-m", PageNumber=2, PageSize=1000)
    assert first.json["TotalCount"] == second.json["TotalCount"] == 1100
    assert first.json["NextToken"] == ""
    assert len(set(ids(first) + ids(second))) == 1100
    assert ids(call(LIST, SecurityGroupId="sg-m", PageNumber=3, PageSize=1000)) == []


@pytest.mark.usefixtures("emulator")
def test_groups_count_in_pages_only(call: Any) -> None:
    assert call("DescribeSecurityGroups").json["TotalCount"] == 2
    assert "TotalCount" not in call("DescribeSecurityGroups", MaxResults=1).json


@pytest.mark.usefixtures("many")
def test_a_tag_filter_stops_at_a_thousand(call: Any) -> None:
    tag = {"Tag.1.Key": "set", "Tag.1.Value": "many"}
    assert call(LIST, PageSize=10, **tag).json["TotalCount"] == 1000
    found: list[str] = []
    token = ""
    while not found or token:
        answer = call(LIST, MaxResults=500, NextToken=token, **tag)
        found, token = found + ids(answer), answer.json["NextToken"]
    assert len(found) == 1000


def test_generated_interfaces_are_the_same_in_every_run(many: Any, many_seed: dict[str, Any]) -> None:
    state = many.state()
    assert len(state["interfaces"]) == 1223
    rich = state["interfaces"]["eni-rich00000"]
    assert (len(rich["ipv4_prefixes"]), len(rich["ipv6_addresses"]), len(rich["ipv6_prefixes"])) == (1, 2, 1)
    assert sum(bool(eni["eips"]) for eni in state["interfaces"].values()) == 3
    many.reset(seed=many_seed)
    assert many.state() == state
