# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real SDK understands every reply completely: no field is invented, and no field is lost."""

from __future__ import annotations

import re
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client

ADDRESSES = ["10.0.0.11"]
CALLS: list[tuple[str, dict[str, Any], Any]] = [
    ("DescribeNetworkInterfaces", {}, models.DescribeNetworkInterfacesResponseBody),
    ("DescribeNetworkInterfaces", {"MaxResults": 500}, models.DescribeNetworkInterfacesResponseBody),
    ("DescribeNetworkInterfaceAttribute", {"NetworkInterfaceId": "eni-secondary"}, models.DescribeNetworkInterfaceAttributeResponseBody),
    ("DescribeNetworkInterfaceAttribute", {"NetworkInterfaceId": "eni-managed"}, models.DescribeNetworkInterfaceAttributeResponseBody),
    ("DescribeInstances", {}, models.DescribeInstancesResponseBody),
    ("DescribeInstances", {"MaxResults": 100}, models.DescribeInstancesResponseBody),
    ("DescribeSecurityGroups", {}, models.DescribeSecurityGroupsResponseBody),
    ("DescribeSecurityGroups", {"MaxResults": 100}, models.DescribeSecurityGroupsResponseBody),
    ("DescribeRegions", {}, models.DescribeRegionsResponseBody),
    (
        "UnassignPrivateIpAddresses",
        {"NetworkInterfaceId": "eni-primary", "PrivateIpAddress": ADDRESSES},
        models.UnassignPrivateIpAddressesResponseBody,
    ),
    (
        "AssignPrivateIpAddresses",
        {"NetworkInterfaceId": "eni-available", "SecondaryPrivateIpAddressCount": 2, "Ipv4PrefixCount": 1},
        models.AssignPrivateIpAddressesResponseBody,
    ),
    (
        "UnassignIpv6Addresses",
        {"NetworkInterfaceId": "eni-secondary", "Ipv6Address": ["fd00::31"]},
        models.UnassignIpv6AddressesResponseBody,
    ),
    (
        "AssignIpv6Addresses",
        {"NetworkInterfaceId": "eni-available", "Ipv6AddressCount": 2, "Ipv6PrefixCount": 1},
        models.AssignIpv6AddressesResponseBody,
    ),
]


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize(("action", "parameters", "model"), CALLS)
def test_the_sdk_model_holds_every_field_of_the_reply(call: Any, action: str, parameters: dict[str, Any], model: Any) -> None:
    answer = call(action, **parameters)
    assert answer.status == 200, answer.body
    assert model().from_map(answer.json).to_map() == answer.json
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", answer.json["RequestId"])
    assert answer.headers["Content-Type"] == "application/json;charset=utf-8"


@pytest.mark.usefixtures("emulator")
def test_the_sdk_reads_an_interface(sdk: Client) -> None:
    request = models.DescribeNetworkInterfacesRequest(
        region_id="cn-hangzhou", network_interface_id=["eni-secondary"], service_managed=False
    )
    (eni,) = sdk.describe_network_interfaces(request).body.network_interface_sets.network_interface_set
    assert (eni.network_interface_id, eni.type, eni.status, eni.instance_id) == ("eni-secondary", "Secondary", "InUse", "i-running")
    rows = [(row.private_ip_address, row.primary) for row in eni.private_ip_sets.private_ip_set]
    assert rows == [("10.0.0.30", True), ("10.0.0.31", False), ("10.0.0.32", False)]
    assert eni.private_ip_sets.private_ip_set[1].associated_public_ip.public_ip_address == "203.0.113.31"
    assert eni.private_ip_sets.private_ip_set[2].associated_public_ip.public_ip_address is None
    assert [row.ipv_4prefix for row in eni.ipv_4prefix_sets.ipv_4prefix_set] == ["10.0.0.64/28", "10.0.0.80/28"]
    ipv6 = [(row.ipv_6address, row.primary) for row in eni.ipv_6sets.ipv_6set]
    assert ipv6 == [("fd00::30", True), ("fd00::31", False), ("fd00::32", False)]
    assert [row.ipv_6prefix for row in eni.ipv_6prefix_sets.ipv_6prefix_set] == ["fd00::1:0:0:0/80"]
    assert eni.security_group_ids.security_group_id == ["sg-a", "sg-b"]
    assert {tag.tag_key: tag.tag_value for tag in eni.tags.tag} == {"app": "web", "team": "x"}


@pytest.mark.usefixtures("emulator")
def test_the_sdk_finds_the_primary_interface_of_an_instance(sdk: Client) -> None:
    request = models.DescribeInstancesRequest(region_id="cn-hangzhou", instance_ids='["i-running", "i-nowhere"]', max_results=100)
    (instance,) = sdk.describe_instances(request).body.instances.instance
    assert instance.status == "Running"
    rows = {row.network_interface_id: row.type for row in instance.network_interfaces.network_interface}
    assert rows == {"eni-primary": "Primary", "eni-secondary": "Secondary", "eni-detaching": "Secondary"}
    assert instance.vpc_attributes.private_ip_address.ip_address == ["10.0.0.10"]
    assert instance.eip_address.ip_address == "203.0.113.1"


def test_the_sdk_unassigns_and_assigns(emulator: Any, sdk: Client) -> None:
    def secondary() -> list[str]:
        return list(emulator.state()["interfaces"]["eni-primary"]["private_ip_addresses"])

    target = {"region_id": "cn-hangzhou", "network_interface_id": "eni-primary"}
    sdk.unassign_private_ip_addresses(models.UnassignPrivateIpAddressesRequest(**target, private_ip_address=["10.0.0.11", "10.0.0.13"]))
    assert secondary() == ["10.0.0.12"]
    body = sdk.assign_private_ip_addresses(models.AssignPrivateIpAddressesRequest(**target, private_ip_address=["10.0.0.11"])).body
    assert body.assigned_private_ip_addresses_set.private_ip_set.private_ip_address == ["10.0.0.11"]
    assert secondary() == ["10.0.0.12", "10.0.0.11"]
    effects = [(record["action"], record["effect"]) for record in emulator.calls()]
    assert effects == [
        ("UnassignPrivateIpAddresses", {"eni_id": "eni-primary", "unassigned": {"private_ip_addresses": ["10.0.0.11", "10.0.0.13"]}}),
        ("AssignPrivateIpAddresses", {"eni_id": "eni-primary", "assigned": {"private_ip_addresses": ["10.0.0.11"]}}),
    ]


@pytest.mark.usefixtures("emulator")
def test_the_sdk_raises_what_the_service_refuses(sdk: Client) -> None:
    request = models.UnassignPrivateIpAddressesRequest(
        region_id="cn-hangzhou", network_interface_id="eni-nowhere", private_ip_address=["10.0.0.11"]
    )
    with pytest.raises(Exception, match=r"InvalidEniId\.NotFound") as caught:
        sdk.unassign_private_ip_addresses(request)
    error: Any = caught.value
    assert (error.code, error.status_code) == ("InvalidEniId.NotFound", 404)
    assert error.data["Message"] == 'The specified EniId "eni-nowhere" is not found.'
    assert error.data["RequestId"] == error.request_id
    assert set(error.data) == {"RequestId", "HostId", "Code", "Message", "Recommend", "statusCode"}


@pytest.mark.usefixtures("emulator")
def test_the_sample_seed_replies_are_whole_too(process: Any, call: Any) -> None:
    process.reset()
    answer = call("DescribeNetworkInterfaces", MaxResults=500)
    assert models.DescribeNetworkInterfacesResponseBody().from_map(answer.json).to_map() == answer.json
    shown = {row["NetworkInterfaceId"]: row for row in answer.json["NetworkInterfaceSets"]["NetworkInterfaceSet"]}
    in_group = [row for row in shown.values() if "sg-web" in row["SecurityGroupIds"]["SecurityGroupId"] and row["Type"] == "Secondary"]
    assert len(in_group) >= 3
    assert shown["eni-web1005"]["Status"] == "Detaching"
    assert {"TagKey": "creator", "TagValue": "terway"} in shown["eni-pods1001"]["Tags"]["Tag"]
    assert shown["eni-managed0001"]["ServiceManaged"]
    assert "InstanceId" not in shown["eni-managed0001"]
