# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service refuses, with its code, HTTP status and message; and that a refused call changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

UNASSIGN, ASSIGN = "UnassignPrivateIpAddresses", "AssignPrivateIpAddresses"
UNASSIGN6, ASSIGN6 = "UnassignIpv6Addresses", "AssignIpv6Addresses"
NOT_GIVEN = 'The input parameter "{}" that is mandatory for processing this request is not supplied.'


def of(eni_id: str, **parameters: Any) -> dict[str, Any]:
    return {"NetworkInterfaceId": eni_id, **parameters}


def addresses(*last: int) -> list[str]:
    return [f"10.0.0.{number}" for number in last]


REFUSED: list[tuple[str, dict[str, Any], int, str, str]] = [
    # what both actions check first
    (UNASSIGN, {"region": "", **of("eni-primary")}, 400, "MissingParameter", NOT_GIVEN.format("RegionId")),
    (
        UNASSIGN,
        {"region": "mars-1", **of("eni-primary")},
        400,
        "InvalidRegionId.MalFormed",
        "The specified parameter RegionId is not valid.",
    ),
    (UNASSIGN, {"PrivateIpAddress": addresses(11)}, 400, "MissingParameter", NOT_GIVEN.format("NetworkInterfaceId")),
    (UNASSIGN, of(""), 400, "MissingParameter", NOT_GIVEN.format("NetworkInterfaceId")),
    (UNASSIGN, of("ENI_1"), 400, "InvalidEniId.Malformed", 'The specified parameter "EniId" is not valid.'),
    (
        UNASSIGN,
        of("eni-primary"),
        403,
        "MissingParameter",
        "These parameters PrivateIpAddress, Ipv4Prefix cannot be both empty.",
    ),
    (
        UNASSIGN,
        of("eni-nowhere", PrivateIpAddress=addresses(11)),
        404,
        "InvalidEniId.NotFound",
        'The specified EniId "eni-nowhere" is not found.',
    ),
    (UNASSIGN, of("eni-far", PrivateIpAddress=addresses(11)), 404, "InvalidEniId.NotFound", 'The specified EniId "eni-far" is not found.'),
    # state and kind of the interface
    (UNASSIGN, of("eni-managed", PrivateIpAddress=addresses(61)), 403, "InvalidOperation.EniServiceManaged", ""),
    (UNASSIGN, of("eni-trunk", PrivateIpAddress=addresses(101)), 403, "InvalidOperation.InvalidEniType", ""),
    (
        UNASSIGN,
        of("eni-detaching", PrivateIpAddress=addresses(51)),
        400,
        "InvalidOperation.InvalidEniState",
        "The operation is not allowed in the current ENI state. "
        'Expecting status is "Available, InUse" while current status is "Detaching".',
    ),
    (
        UNASSIGN,
        of("eni-starting", PrivateIpAddress=addresses(21)),
        400,
        "InvalidOperation.InvalidEcsState",
        'The operation is not allowed in the current ECS state. Expecting status is "Running, Stopped" while current status is "Starting".',
    ),
    # the addresses
    (UNASSIGN, of("eni-primary", PrivateIpAddress=["10.0.0.300"]), 403, "InvalidPrivateIpAddress.Malformed", ""),
    (UNASSIGN, of("eni-primary", PrivateIpAddress=["fd00::1"]), 403, "InvalidPrivateIpAddress.Malformed", ""),
    (
        UNASSIGN,
        of("eni-primary", PrivateIpAddress=["192.168.9.9"]),
        403,
        "InvalidVSwitchId.IpInvalid",
        'The specified IpAddress "192.168.9.9" is not valid in VSwitch CIDR block "10.0.0.0/24".',
    ),
    (
        UNASSIGN,
        of("eni-primary", PrivateIpAddress=addresses(10)),
        403,
        "InvalidIp.IpUnassigned",
        'The specified IP "10.0.0.10" is not assigned on this ENI.',
    ),
    (UNASSIGN, of("eni-primary", PrivateIpAddress=addresses(11, 31)), 403, "InvalidIp.IpUnassigned", ""),
    # inside an assigned prefix it is not an address of its own
    (UNASSIGN, of("eni-secondary", PrivateIpAddress=addresses(65)), 403, "InvalidIp.IpUnassigned", ""),
    (UNASSIGN, of("eni-primary", PrivateIpAddress=[f"10.0.0.{n}" for n in range(1, 34)]), 400, "InvalidParameter", ""),
    # prefixes
    (UNASSIGN, of("eni-secondary", PrivateIpAddress=addresses(32), Ipv4Prefix=["10.0.0.64/28"]), 400, "InvalidParameter.Conflict", ""),
    (
        UNASSIGN,
        of("eni-secondary", Ipv4Prefix=["10.0.0.65/28"]),
        403,
        "InvalidIp.IpPrefixNotStrict",
        "The ip prefix must be strict cidr format.",
    ),
    (UNASSIGN, of("eni-secondary", Ipv4Prefix=["10.0.0.64/28", "10.0.0.80/29"]), 403, "InvalidIp.IpPrefixMaskNotSame", ""),
    (
        UNASSIGN,
        of("eni-secondary", Ipv4Prefix=["10.0.0.64/27"]),
        403,
        "InvalidIp.IpPrefixMaskInvalid",
        "The ip prefixes mask 27 is illegal which must be between 28 and 28.",
    ),
    (
        UNASSIGN,
        of("eni-secondary", Ipv4Prefix=["10.0.0.64"]),
        403,
        "InvalidIp.IpPrefixIllegal",
        "The ip prefixes 10.0.0.64 is/are illegal.",
    ),
    (UNASSIGN, of("eni-secondary", Ipv4Prefix=["nonsense/28"]), 403, "InvalidIp.IpPrefixIllegal", ""),
    (UNASSIGN, of("eni-secondary", Ipv4Prefix=["10.0.0.96/28"]), 403, "InvalidIp.IpUnassigned", ""),
    (UNASSIGN, of("eni-secondary", Ipv4Prefix=[f"10.0.{n}.0/28" for n in range(11)]), 400, "InvalidParameter", ""),
    # IPv6
    (UNASSIGN6, of("eni-secondary"), 403, "MissingParameter", "These parameters Ipv6Address, Ipv6Prefix cannot be both empty."),
    (UNASSIGN6, of("eni-secondary", Ipv6Address=["10.0.0.31"]), 403, "InvalidIp.Address", ""),
    (UNASSIGN6, of("eni-secondary", Ipv6Address=["fd00::31", "fd00:0::31"]), 403, "InvalidIp.IpRepeated", ""),
    (UNASSIGN6, of("eni-secondary", Ipv6Address=["fd00::99"]), 403, "InvalidIp.IpUnassigned", ""),
    (UNASSIGN6, of("eni-secondary", Ipv6Address=["fd00::30"]), 403, "InvalidIp.IpUnassigned", ""),
    (UNASSIGN6, of("eni-secondary", Ipv6Address=["fd77::1"]), 403, "InvalidVSwitchId.IpInvalid", ""),
    (UNASSIGN6, of("eni-secondary", Ipv6Address=[f"fd00::{n}" for n in range(1, 12)]), 400, "InvalidParameter", ""),
    # assigning
    (ASSIGN, of("eni-primary", PrivateIpAddress=addresses(150), SecondaryPrivateIpAddressCount=1), 400, "InvalidParameter.Conflict", ""),
    (ASSIGN, of("eni-available", Ipv4Prefix=["10.0.0.112/28"], Ipv4PrefixCount=1), 400, "InvalidParameter.Conflict", ""),
    (ASSIGN, of("eni-available", Ipv4PrefixCount=11), 400, "InvalidParameter", ""),
    (ASSIGN, of("eni-available", SecondaryPrivateIpAddressCount="many"), 400, "InvalidParameter", ""),
    (ASSIGN, of("eni-available", SecondaryPrivateIpAddressCount=0), 400, "InvalidParameter", ""),
    (ASSIGN, of("eni-available", PrivateIpAddress=addresses(150, 150)), 403, "InvalidIp.IpRepeated", ""),
    (ASSIGN, of("eni-available", PrivateIpAddress=addresses(11)), 403, "InvalidIp.IpAssigned", ""),
    (ASSIGN, of("eni-available", PrivateIpAddress=addresses(41)), 403, "InvalidIp.IpAssigned", ""),
    (ASSIGN, of("eni-available", PrivateIpAddress=addresses(70)), 403, "InvalidIp.IpAssigned", ""),
    (ASSIGN, of("eni-available", PrivateIpAddress=addresses(200)), 403, "InvalidIp.IpAssigned", ""),
    (ASSIGN, of("eni-available", Ipv4Prefix=["10.0.0.16/28"]), 403, "InvalidIp.IpAssigned", ""),
    (ASSIGN, of("eni-available", Ipv4Prefix=["10.7.0.0/28"]), 403, "InvalidIp.IpPrefixIllegal", ""),
    (ASSIGN, of("eni-available", PrivateIpAddress=["10.7.0.1"]), 403, "InvalidVSwitchId.IpInvalid", ""),
    # the first address and the last three are reserved, of IPv6 the last nine
    (
        ASSIGN,
        of("eni-available", PrivateIpAddress=["10.0.0.150", "10.0.0.0"]),
        403,
        "InvalidVSwitchId.IpInvalid",
        'The specified IpAddress "10.0.0.0" is not valid in VSwitch CIDR block "10.0.0.0/24".',
    ),
    (ASSIGN, of("eni-available", PrivateIpAddress=addresses(253)), 403, "InvalidVSwitchId.IpInvalid", ""),
    (ASSIGN, of("eni-available", PrivateIpAddress=addresses(254)), 403, "InvalidVSwitchId.IpInvalid", ""),
    (ASSIGN, of("eni-available", PrivateIpAddress=addresses(255)), 403, "InvalidVSwitchId.IpInvalid", ""),
    (ASSIGN, of("eni-small", PrivateIpAddress=["10.0.1.13"]), 403, "InvalidVSwitchId.IpInvalid", ""),
    (ASSIGN, of("eni-small", Ipv4Prefix=["10.0.1.0/28"]), 403, "InvalidIp.IpPrefixIllegal", ""),
    (ASSIGN, of("eni-available", Ipv4Prefix=["10.0.0.0/28"]), 403, "InvalidIp.IpPrefixIllegal", ""),
    (ASSIGN, of("eni-available", Ipv4Prefix=["10.0.0.240/28"]), 403, "InvalidIp.IpPrefixIllegal", ""),
    (ASSIGN6, of("eni-available", Ipv6Address=["fd00::"]), 403, "InvalidVSwitchId.IpInvalid", ""),
    (ASSIGN6, of("eni-available", Ipv6Address=["fd00::ffff:ffff:ffff:fff7"]), 403, "InvalidVSwitchId.IpInvalid", ""),
    (ASSIGN6, of("eni-available", Ipv6Address=["fd00::ffff:ffff:ffff:ffff"]), 403, "InvalidVSwitchId.IpInvalid", ""),
    (ASSIGN6, of("eni-available", Ipv6Prefix=["fd00::/80"]), 403, "InvalidIp.IpPrefixIllegal", ""),
    (ASSIGN6, of("eni-available", Ipv6Prefix=["fd00:0:0:0:ffff::/80"]), 403, "InvalidIp.IpPrefixIllegal", ""),
    # not assigned, like any other
    (UNASSIGN, of("eni-primary", PrivateIpAddress=addresses(255)), 403, "InvalidIp.IpUnassigned", ""),
    (ASSIGN, of("eni-available", SecondaryPrivateIpAddressCount=49), 403, "InvalidOperation.Ipv4CountExceeded", ""),
    # ecs.g7.large takes six on one interface, the primary one among them
    (ASSIGN, of("eni-primary", SecondaryPrivateIpAddressCount=3), 403, "InvalidOperation.Ipv4CountExceeded", ""),
    (ASSIGN, of("eni-small", SecondaryPrivateIpAddressCount=12), 403, "InvalidVSwitchId.IpNotEnough", ""),
    (ASSIGN, of("eni-available", SecondaryPrivateIpAddressCount=1, ClientToken="x" * 65), 400, "InvalidParameter", ""),
    (ASSIGN, of("eni-detaching", SecondaryPrivateIpAddressCount=1), 400, "InvalidOperation.InvalidEniState", ""),
    (ASSIGN, of("eni-managed", SecondaryPrivateIpAddressCount=1), 403, "InvalidOperation.EniServiceManaged", ""),
    (ASSIGN6, of("eni-small", Ipv6AddressCount=1), 403, "InvalidVSwitch.Ipv6NotTurnOn", ""),
    (ASSIGN6, of("eni-available", Ipv6AddressCount=11), 400, "InvalidParameter", ""),
    (ASSIGN6, of("eni-available", Ipv6Address=["fd00::31"]), 403, "InvalidIp.IpAssigned", ""),
    (ASSIGN6, of("eni-secondary", Ipv6AddressCount=4), 403, "InvalidOperation.Ipv6CountExceeded", ""),
    # reading
    ("DescribeNetworkInterfaces", {"region": ""}, 400, "MissingParameter", ""),
    ("DescribeNetworkInterfaces", {"NetworkInterfaceId": [f"eni-{n}" for n in range(101)]}, 400, "InvalidParameter", ""),
    ("DescribeNetworkInterfaces", {"ServiceManaged": "perhaps"}, 400, "InvalidParameter", ""),
    ("DescribeNetworkInterfaces", {"MaxResults": "ten"}, 400, "InvalidParameter", ""),
    ("DescribeNetworkInterfaces", {"NextToken": "made-up"}, 400, "InvalidParameter", ""),
    ("DescribeNetworkInterfaces", {"PageNumber": 0}, 400, "InvalidParameter", ""),
    ("DescribeNetworkInterfaces", {"PageSize": 1001}, 400, "InvalidParameter", ""),
    ("DescribeNetworkInterfaceAttribute", {}, 400, "MissingParameter", ""),
    ("DescribeNetworkInterfaceAttribute", of("eni-nowhere"), 404, "InvalidEniId.NotFound", ""),
    ("DescribeInstances", {"InstanceIds": "i-running"}, 400, "InvalidParameter", ""),
    ("DescribeInstances", {"DryRun": "true"}, 400, "DryRunOperation", ""),
    (
        "DescribeSecurityGroups",
        {"region": ""},
        400,
        "MissingParameter.RegionId",
        "The input parameter RegionId that is mandatory for processing this request is not supplied.",
    ),
    ("DescribeSecurityGroups", {"SecurityGroupId": "web"}, 400, "InvalidSecurityGroupId.Malformed", ""),
    ("DescribeSecurityGroups", {"NextToken": "made-up"}, 400, "InValidParameter.NextToken", "The parameter NextToken is invalid."),
    ("DescribeSecurityGroups", {"DryRun": "True"}, 400, "DryRunOperation", ""),
    ("TerminateEverything", {}, 404, "InvalidAction.NotFound", ""),
]


@pytest.mark.parametrize(("action", "parameters", "status", "code", "message"), REFUSED)
def test_refused(emulator: Any, call: Any, action: str, parameters: dict[str, Any], status: int, code: str, message: str) -> None:
    before = emulator.state()
    answer = call(action, **parameters)
    assert (answer.status, answer.code) == (status, code), answer.body
    if message:
        assert answer.json["Message"] == message
    assert set(answer.json) == {"RequestId", "HostId", "Code", "Message", "Recommend"}
    assert f"q={code}&product=Ecs" in answer.json["Recommend"]
    assert emulator.state() == before
    (record,) = emulator.calls()
    assert (record["status"], record["code"], record["request_id"], record["effect"]) == (status, code, answer.json["RequestId"], {})


def test_an_available_interface_may_be_changed_in_any_other_state(emulator: Any, call: Any) -> None:
    assert call(UNASSIGN, **of("eni-available", PrivateIpAddress=addresses(41))).status == 200
    assert call(UNASSIGN, **of("eni-onstarting", PrivateIpAddress=addresses(111))).status == 200
    assert emulator.state()["interfaces"]["eni-available"]["private_ip_addresses"] == []


def test_prefixes_and_ipv6_go_by_their_own_names(emulator: Any, call: Any) -> None:
    assert call(UNASSIGN, **of("eni-secondary", Ipv4Prefix=["10.0.0.64/28"])).status == 200
    assert call(UNASSIGN6, **of("eni-secondary", Ipv6Address=["fd00:0:0::0031"])).status == 200
    assert call(UNASSIGN6, **of("eni-secondary", Ipv6Prefix=["fd00:0:0:0:1::/80"])).status == 200
    eni = emulator.state()["interfaces"]["eni-secondary"]
    assert (eni["ipv4_prefixes"], eni["ipv6_addresses"], eni["ipv6_prefixes"]) == (["10.0.0.80/28"], ["fd00::32"], [])
    # What was freed can be assigned again, and prefixes too.
    assert call(ASSIGN, **of("eni-available", PrivateIpAddress=addresses(65))).status == 200
    assert call(ASSIGN6, **of("eni-secondary", Ipv6Prefix=["fd00:0:0:0:1::/80"])).status == 200


def test_the_neighbours_of_the_reserved_addresses_can_be_assigned(call: Any) -> None:
    assert call(ASSIGN, **of("eni-available", PrivateIpAddress=addresses(1, 252))).status == 200
    assert call(ASSIGN, **of("eni-available", Ipv4Prefix=["10.0.0.224/28"])).status == 200
    assert call(ASSIGN6, **of("eni-available", Ipv6Address=["fd00::1", "fd00::ffff:ffff:ffff:fff6"])).status == 200
    assert call(ASSIGN6, **of("eni-available", Ipv6Prefix=["fd00:0:0:0:fffe::/80"])).status == 200


def test_reserved_addresses_are_never_picked(emulator: Any, call: Any) -> None:
    # Sixteen addresses: four are reserved, one is the primary one.
    answer = call(ASSIGN, **of("eni-small", SecondaryPrivateIpAddressCount=11))
    assert answer.status == 200
    assert set(emulator.state()["interfaces"]["eni-small"]["private_ip_addresses"]) == {f"10.0.1.{last}" for last in range(2, 13)}


def test_an_assigned_address_moves_only_when_it_is_free(call: Any) -> None:
    assert call(ASSIGN, **of("eni-available", PrivateIpAddress=addresses(12))).code == "InvalidIp.IpAssigned"
    assert call(UNASSIGN, **of("eni-primary", PrivateIpAddress=addresses(12))).status == 200
    assert call(ASSIGN, **of("eni-available", PrivateIpAddress=addresses(12))).status == 200
    assert call(UNASSIGN, **of("eni-primary", PrivateIpAddress=addresses(12))).code == "InvalidIp.IpUnassigned"


@pytest.fixture(autouse=True)
def _fresh(emulator: Any) -> None:
    """Each test has its own world."""


def test_the_same_client_token_acts_once(emulator: Any, call: Any) -> None:
    wanted = of("eni-available", SecondaryPrivateIpAddressCount=2, ClientToken="token-1")
    first = call(ASSIGN, **wanted).json
    again = call(ASSIGN, **wanted).json
    assert again["AssignedPrivateIpAddressesSet"] == first["AssignedPrivateIpAddressesSet"]
    assert again["RequestId"] != first["RequestId"]
    assert len(emulator.state()["interfaces"]["eni-available"]["private_ip_addresses"]) == 3
    assert [record["effect"] != {} for record in emulator.calls()] == [True, False]
    other = call(ASSIGN, **of("eni-available", SecondaryPrivateIpAddressCount=3, ClientToken="token-1"))
    assert other.code == "IdempotentFailed"
    # A refused call does not use the token up.
    assert call(ASSIGN, **of("eni-detaching", SecondaryPrivateIpAddressCount=1, ClientToken="token-2")).status == 400
    assert call(ASSIGN, **of("eni-available", SecondaryPrivateIpAddressCount=1, ClientToken="token-2")).status == 200


def test_without_permission_instances_are_an_empty_list_and_all_else_is_refused(call: Any) -> None:
    limited = ("limited-key", "secret")
    assert call("DescribeNetworkInterfaces", key=limited).status == 200
    answer = call("DescribeInstances", key=limited, InstanceIds='["i-running"]')
    assert answer.status == 200
    assert answer.json["Instances"]["Instance"] == []
    for action, parameters in (("DescribeInstances", {"DryRun": "true"}), ("DescribeSecurityGroups", {}), (UNASSIGN, of("eni-primary"))):
        refused = call(action, key=limited, **parameters)
        assert (refused.status, refused.code) == (403, "Forbidden.RAM")
        assert refused.json["AccessDeniedDetail"]["AuthAction"] == f"ecs:{action}"


def test_unknown_and_empty_parameters_do_not_matter(call: Any) -> None:
    plain = call("DescribeNetworkInterfaces").json["NetworkInterfaceSets"]
    odd = call("DescribeNetworkInterfaces", Nonsense="1", Status="", Type="", SecurityGroupId="", OwnerId="", MaxResults="")
    assert odd.json["NetworkInterfaceSets"] == plain


def test_the_order_of_a_numbered_list_is_that_of_its_numbers(emulator: Any, call: Any) -> None:
    parameters = {"PrivateIpAddress.10": "10.0.0.151", "PrivateIpAddress.9": "10.0.0.152", "PrivateIpAddress.2": ""}
    assert call(ASSIGN, **of("eni-available", **parameters)).status == 200
    assert emulator.state()["interfaces"]["eni-available"]["private_ip_addresses"] == ["10.0.0.41", "10.0.0.152", "10.0.0.151"]
