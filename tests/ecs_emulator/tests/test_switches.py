# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each choice of each switch has the effect that it describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ecs_emulator
import pytest
from ecs_emulator.switches import SWITCHES

LIST, UNASSIGN, ASSIGN = "DescribeNetworkInterfaces", "UnassignPrivateIpAddresses", "AssignPrivateIpAddresses"


@pytest.fixture
def switched(process: Any, seed: dict[str, Any]) -> Any:
    def switch(**switches: str) -> Any:
        process.reset(seed=seed, switches=switches)
        return process

    return switch


def real_state(emulator: Any, eni_id: str = "eni-primary") -> Any:
    return emulator.state()["interfaces"][eni_id]


@pytest.mark.parametrize(
    ("choice", "status", "left"),
    [
        ("atomic", 403, ["10.0.0.11", "10.0.0.12", "10.0.0.13"]),
        ("partial", 403, ["10.0.0.12", "10.0.0.13"]),
        ("lenient", 200, ["10.0.0.12", "10.0.0.13"]),
    ],
)
def test_batch(switched: Any, call: Any, choice: str, status: int, left: list[str]) -> None:
    emulator = switched(batch=choice)
    answer = call(UNASSIGN, NetworkInterfaceId="eni-primary", PrivateIpAddress=["10.0.0.11", "10.0.0.10", "10.0.0.99"])
    assert answer.status == status
    assert real_state(emulator)["private_ip_addresses"] == left
    assert real_state(emulator)["primary_address"] == "10.0.0.10"
    effect = emulator.calls()[0]["effect"]
    assert effect == ({} if choice == "atomic" else {"eni_id": "eni-primary", "unassigned": {"private_ip_addresses": ["10.0.0.11"]}})
    # If there is nothing to unassign, all choices refuse the call.
    assert call(UNASSIGN, NetworkInterfaceId="eni-primary", PrivateIpAddress=["10.0.0.10"]).code == "InvalidIp.IpUnassigned"


@pytest.mark.parametrize(("choice", "primary"), [("secondary", False), ("all", True)])
def test_group_filter(switched: Any, call: Any, choice: str, primary: bool) -> None:
    switched(group_filter=choice)
    rows = call(LIST, SecurityGroupId="sg-a").json["NetworkInterfaceSets"]["NetworkInterfaceSet"]
    assert ("Primary" in {row["Type"] for row in rows}) is primary


@pytest.mark.parametrize(("choice", "status"), [("drop", 200), ("refuse", 400)])
def test_eip(switched: Any, call: Any, choice: str, status: int) -> None:
    emulator = switched(eip=choice)
    answer = call(UNASSIGN, NetworkInterfaceId="eni-secondary", PrivateIpAddress=["10.0.0.31"])
    assert answer.status == status
    assert ("10.0.0.31" in real_state(emulator, "eni-secondary")["eips"]) is (choice == "refuse")
    dropped = emulator.calls()[0]["effect"].get("eips_dropped")
    assert dropped == ({"10.0.0.31": "203.0.113.31"} if choice == "drop" else None)


@pytest.mark.parametrize(("choice", "named"), [("named", True), ("bare", False)])
def test_unassigned_message(switched: Any, call: Any, choice: str, named: bool) -> None:
    switched(unassigned_message=choice)
    answer = call(UNASSIGN, NetworkInterfaceId="eni-primary", PrivateIpAddress=["10.0.0.99"])
    assert answer.code == "InvalidIp.IpUnassigned"
    assert ("10.0.0.99" in answer.json["Message"]) is named


@pytest.mark.parametrize(
    ("choice", "nowhere", "mixed"),
    [
        ("interface_first", "InvalidEniId.NotFound", "InvalidVSwitchId.IpInvalid"),
        ("parameters_first", "InvalidPrivateIpAddress.Malformed", "InvalidIp.IpUnassigned"),
    ],
)
def test_validation_order(switched: Any, call: Any, choice: str, nowhere: str, mixed: str) -> None:
    switched(validation_order=choice)
    assert call(UNASSIGN, NetworkInterfaceId="eni-nowhere", PrivateIpAddress=["x"]).code == nowhere
    assert call(UNASSIGN, NetworkInterfaceId="eni-primary", PrivateIpAddress=["192.168.9.9"]).code == mixed


@pytest.mark.parametrize(("choice", "most"), [("32", 32), ("10", 10), ("any", 100)])
def test_addresses_per_call(switched: Any, call: Any, choice: str, most: int) -> None:
    switched(addresses_per_call=choice)
    for count, code in ((most, "InvalidIp.IpUnassigned"), (most + 1, "InvalidIp.IpUnassigned" if choice == "any" else "InvalidParameter")):
        addresses = [f"10.0.0.{number}" for number in range(120, 120 + count)]
        assert call(UNASSIGN, NetworkInterfaceId="eni-primary", PrivateIpAddress=addresses).code == code


@pytest.mark.parametrize(("choice", "status"), [("ignore", 200), ("refuse", 403)])
def test_duplicates(switched: Any, call: Any, choice: str, status: int) -> None:
    switched(duplicates=choice)
    answer = call(UNASSIGN, NetworkInterfaceId="eni-primary", PrivateIpAddress=["10.0.0.11", "10.0.0.11"])
    assert answer.status == status
    assert answer.code == ("InvalidIp.IpRepeated" if choice == "refuse" else "")


@pytest.mark.parametrize(("choice", "status"), [("refuse", 400), ("accept", 200)])
def test_mixed(switched: Any, call: Any, choice: str, status: int) -> None:
    emulator = switched(mixed=choice)
    answer = call(UNASSIGN, NetworkInterfaceId="eni-secondary", PrivateIpAddress=["10.0.0.32"], Ipv4Prefix=["10.0.0.64/28"])
    assert answer.status == status
    assert (real_state(emulator, "eni-secondary")["ipv4_prefixes"] == ["10.0.0.80/28"]) is (choice == "accept")


@pytest.mark.parametrize("choice", ["InvalidIp.IpUnassigned", "InvalidIp.IpPrefixIllegal"])
def test_prefix_unassigned(switched: Any, call: Any, choice: str) -> None:
    switched(prefix_unassigned=choice)
    assert call(UNASSIGN, NetworkInterfaceId="eni-secondary", Ipv4Prefix=["10.0.0.96/28"]).code == choice


@pytest.mark.parametrize(("choice", "code"), [("28", "InvalidIp.IpPrefixMaskInvalid"), ("24-28", "")])
def test_ipv4_prefix_mask(switched: Any, call: Any, choice: str, code: str) -> None:
    switched(ipv4_prefix_mask=choice)
    assert call(ASSIGN, NetworkInterfaceId="eni-available", Ipv4Prefix=["10.0.0.160/27"]).code == code


@pytest.mark.parametrize(("choice", "code"), [("ignore", ""), ("check", "InvalidOperation.InvalidEcsState")])
def test_secondary_instance_state(switched: Any, call: Any, choice: str, code: str) -> None:
    switched(secondary_instance_state=choice)
    assert call(UNASSIGN, NetworkInterfaceId="eni-onstarting", PrivateIpAddress=["10.0.0.111"]).code == code


@pytest.mark.parametrize(("choice", "code"), [("refuse", "InvalidOperation.InvalidEniType"), ("accept", "")])
def test_trunk(switched: Any, call: Any, choice: str, code: str) -> None:
    switched(trunk=choice)
    assert call(UNASSIGN, NetworkInterfaceId="eni-trunk", PrivateIpAddress=["10.0.0.101"]).code == code


@pytest.mark.parametrize("choice", ["49", "50", "10"])
def test_available_limit(switched: Any, call: Any, choice: str) -> None:
    switched(available_limit=choice)
    # It has one already.
    assert (
        call(ASSIGN, NetworkInterfaceId="eni-available", SecondaryPrivateIpAddressCount=int(choice)).code
        == "InvalidOperation.Ipv4CountExceeded"
    )
    assert call(ASSIGN, NetworkInterfaceId="eni-available", SecondaryPrivateIpAddressCount=int(choice) - 1).status == 200


@pytest.mark.parametrize("choice", ["Forbidden.RAM", "NoPermission", "Forbidden.SubUser"])
def test_permission_code(switched: Any, call: Any, choice: str) -> None:
    switched(permission_code=choice)
    answer = call("DescribeSecurityGroups", key=("limited-key", "secret"))
    assert (answer.status, answer.code) == (403, choice)


@pytest.mark.parametrize(("choice", "shown"), [("empty", {"InstanceId": ""}), ("absent", {})])
def test_unattached_instance_id(switched: Any, call: Any, choice: str, shown: dict[str, str]) -> None:
    switched(unattached_instance_id=choice)
    (row,) = call(LIST, NetworkInterfaceId=["eni-available"]).json["NetworkInterfaceSets"]["NetworkInterfaceSet"]
    assert {name: value for name, value in row.items() if name == "InstanceId"} == shown


@pytest.mark.parametrize(("choice", "shown"), [("empty", {"NextToken": ""}), ("absent", {})])
@pytest.mark.parametrize("asked", [{}, {"MaxResults": 500}])
def test_last_token(switched: Any, call: Any, choice: str, shown: dict[str, str], asked: dict[str, int]) -> None:
    switched(last_token=choice)
    answer = call(LIST, NetworkInterfaceId=["eni-available"], **asked).json
    assert {name: value for name, value in answer.items() if name == "NextToken"} == shown


@pytest.mark.parametrize("choice", ["full", "short"])
@pytest.mark.parametrize(
    ("action", "wrapper", "row"), [(LIST, "NetworkInterfaceSets", "NetworkInterfaceSet"), ("DescribeInstances", "Instances", "Instance")]
)
def test_token_pages(many: Any, many_seed: dict[str, Any], call: Any, choice: str, action: str, wrapper: str, row: str) -> None:
    many.reset(seed=many_seed, switches={"token_pages": choice})
    pages: list[list[str]] = []
    token = ""
    while not pages or token:
        answer = call(action, MaxResults=100, NextToken=token).json
        pages.append([str(record.get("NetworkInterfaceId", record["InstanceId"])) for record in answer[wrapper][row]])
        token = answer["NextToken"]
    found = [name for page in pages for name in page]
    assert len(found) == len(set(found)) == (1223 if action == LIST else 120)
    assert (len(set(map(len, pages[:-1]))) > 1) is (choice == "short") or action != LIST
    assert (pages[-1] == []) is (choice == "short")


@pytest.mark.parametrize(("choice", "rows", "more"), [("pages", 10, False), ("tokens", 10, True)])
def test_default_paging(many: Any, many_seed: dict[str, Any], call: Any, choice: str, rows: int, more: bool) -> None:
    many.reset(seed=many_seed, switches={"default_paging": choice})
    answer = call(LIST).json
    assert len(answer["NetworkInterfaceSets"]["NetworkInterfaceSet"]) == rows
    assert bool(answer["NextToken"]) is more


@pytest.mark.parametrize(("choice", "code"), [("accept", ""), ("refuse", "NotSupported.PageNumberAndPageSize")])
def test_group_page_numbers(switched: Any, call: Any, choice: str, code: str) -> None:
    switched(group_page_numbers=choice)
    assert call("DescribeSecurityGroups", PageNumber=1, PageSize=50).code == code
    assert call("DescribeSecurityGroups", MaxResults=50).status == 200


def test_every_switch_has_its_fact_and_is_in_the_readme() -> None:
    readme = (Path(ecs_emulator.__file__).parent / "README.md").read_text(encoding="utf-8")
    for switch in SWITCHES:
        assert f"| `{switch.name}` | {', '.join(f'`{choice}`' for choice in switch.choices)} | {switch.fact} |" in readme
