# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The info module over real HTTP: every selector, both ways to read a group, every page, every filter."""

from __future__ import annotations

from typing import Any

import pytest
from support.emulator import Emulator
from support.module import run_module

WEB_SECONDARY = {f"eni-web100{number}" for number in range(1, 8)}
WEB_PRIMARY = {f"eni-web000{number}" for number in range(1, 5)}


class Info:
    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    def __call__(self, **arguments: Any) -> dict[str, Any]:
        return run_module("eni_secondary_ip_info", {"calls_per_minute": 0, **arguments}, self.emulator.environment())

    def found(self, **arguments: Any) -> set[str]:
        return {interface["eni_id"] for interface in self(**arguments)["interfaces"]}


@pytest.fixture
def info(emulator: Emulator) -> Info:
    return Info(emulator)


@pytest.mark.parametrize("group_filter", ["secondary", "all"])
def test_a_security_group_is_read_in_both_ways_whatever_the_filter_of_the_service_does(info: Info, group_filter: str) -> None:
    info.emulator.reset(switches={"group_filter": group_filter})
    result = info(security_group_ids=["sg-web"])

    assert {interface["eni_id"] for interface in result["interfaces"]} == WEB_SECONDARY | WEB_PRIMARY
    assert len(result["interfaces"]) == len(WEB_SECONDARY | WEB_PRIMARY)
    assert all("sg-web" in interface["security_group_ids"] for interface in result["interfaces"])


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ({"eni_ids": ["eni-web1001", "eni-web1003"]}, {"eni-web1001", "eni-web1003"}),
        ({"eni_ids": []}, set()),
        ({"instance_ids": ["i-web0001", "i-web0002"]}, {"eni-web0001", "eni-web0002"}),
        ({"security_group_ids": ["sg-web"], "type": "Primary"}, WEB_PRIMARY),
        ({"security_group_names": ["web"]}, WEB_SECONDARY | WEB_PRIMARY),
        ({"security_group_names": []}, set()),
        ({"security_group_names": ["web"], "security_group_ids": ["sg-data"]}, set()),
        ({"security_group_names": ["we", "WEB", "web*"]}, set()),
        ({"security_group_tags": {"app": "shop"}}, set()),
        ({"security_group_ids": ["sg-web"], "type": "Secondary"}, WEB_SECONDARY),
        ({"security_group_ids": ["sg-web"], "status": "Available"}, {"eni-web1003", "eni-web1004"}),
        ({"security_group_ids": ["sg-web"], "tags": {"app": "web"}}, {"eni-web1001"}),
        ({"security_group_ids": ["sg-web"], "eni_ids": ["eni-web1001", "eni-pods1001"]}, {"eni-web1001"}),
        ({"vswitch_id": "vsw-pods"}, {"eni-pods0001", "eni-pods1001"}),
        ({"tags": {"creator": None}}, {"eni-pods1001"}),
        ({"vpc_id": "vpc-other"}, set()),
    ],
)
def test_an_eni_must_match_every_selector_that_is_set(info: Info, selectors: dict[str, Any], expected: set[str]) -> None:
    assert info.found(**selectors) == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["192.168.0.101", "192.168.0.102", "192.168.0.103", "192.168.0.104", "192.168.0.105"]),
        ({"within": ["192.168.0.102/31"]}, ["192.168.0.102", "192.168.0.103"]),
        ({"excluding": ["192.168.0.102/31"]}, ["192.168.0.101", "192.168.0.104", "192.168.0.105"]),
        ({"private_ip_addresses": ["192.168.0.105", "192.168.0.9"]}, ["192.168.0.105"]),
        ({"within": []}, []),
    ],
)
def test_filters_leave_only_matching_addresses_in_the_assignments(info: Info, filters: dict[str, Any], expected: list[str]) -> None:
    result = info(eni_ids=["eni-web1001"], **filters)

    assert [address for entry in result["assignments"] for address in entry["private_ip_addresses"]] == expected
    assert len(result["interfaces"][0]["private_ip_addresses"]) == 5


def test_a_prefix_is_inside_only_as_a_whole_and_excluded_by_any_overlap(info: Info) -> None:
    def prefixes(**filters: Any) -> list[str]:
        result = info(eni_ids=["eni-data1001"], kinds=["ipv4_prefixes"], **filters)
        return [prefix for entry in result["assignments"] for prefix in entry["ipv4_prefixes"]]

    assert prefixes(within=["192.168.1.32/29"]) == []
    assert prefixes(within=["192.168.1.32/28"]) == ["192.168.1.32/28"]
    assert prefixes(excluding=["192.168.1.40"]) == ["192.168.1.48/28"]


def test_the_eip_of_an_address_is_shown(info: Info) -> None:
    (interface,) = info(eni_ids=["eni-web1002"])["interfaces"]
    assert interface["private_ip_addresses"] == [
        {"address": "192.168.0.111", "eip": "203.0.113.11"},
        {"address": "192.168.0.112", "eip": None},
    ]
    assert interface["private_ip_address"] == "192.168.0.110"


def test_every_page_is_read_at_its_largest(info: Info) -> None:
    info.emulator.reset(
        seed={
            "region": "cn-hangzhou",
            "credentials": [{"user": "owner", "access_key_id": "emulator-key-id", "access_key_secret": "emulator-key-secret"}],
            "vswitches": [{"id": "vsw-many", "vpc_id": "vpc-many", "cidr": "10.0.0.0/12"}],
            "generate": [{"prefix": "bulk", "count": 1203, "private_ip_addresses": 1, "vswitch_id": "vsw-many"}],
        }
    )
    result = info(whole_region=True)

    assert result["summary"] == {"interfaces": 1203, "addresses": 1203, "api_calls": 3}
    assert {call["parameters"]["MaxResults"] for call in info.emulator.calls()} == {"500"}


def test_what_was_named_and_does_not_exist_is_missing(info: Info) -> None:
    assert info(eni_ids=["eni-nowhere1", "eni-web1001"])["missing"] == ["eni-nowhere1"]
    assert info(instance_ids=["i-nowhere1"])["missing"] == ["i-nowhere1"]


def test_groups_are_found_by_name_and_by_tag_over_all_pages(info: Info) -> None:
    groups = [{"id": f"sg-many{number:03d}", "vpc_id": "vpc-many", "name": f"many-{number % 120}"} for number in range(240)]
    groups[7]["tags"] = groups[230]["tags"] = {"team": "shop", "stage": "test"}
    groups[8]["tags"] = {"team": "shop"}
    info.emulator.reset(
        seed={
            "region": "cn-hangzhou",
            "vswitches": [{"id": "vsw-many", "vpc_id": "vpc-many", "cidr": "10.0.0.0/16"}],
            "security_groups": groups,
            "interfaces": [
                {"id": f"eni-many{number:03d}", "vswitch_id": "vsw-many", "security_group_ids": [f"sg-many{number:03d}"]}
                for number in (5, 7, 8, 125, 230)
            ],
        }
    )
    assert info.found(security_group_tags={"team": ["shop", "web"], "stage": None}) == {"eni-many007", "eni-many230"}
    assert info(security_group_tags={"team": ["shop", "wbe"], "stage": "prod"})["missing"] == ["team=shop|wbe, stage=prod"]

    named = info(security_group_names=["many-5", "many-nowhere"])
    assert [interface["eni_id"] for interface in named["interfaces"]] == ["eni-many005", "eni-many125"]
    assert named["missing"] == ["many-nowhere"]
    assert named["security_groups"] == {"sg-many005": "many-5", "sg-many125": "many-5"}
    assert named["region"] == "cn-hangzhou"


def test_an_empty_group_differs_from_one_that_does_not_exist(info: Info) -> None:
    result = info(security_group_ids=["sg-empty", "sg-nowhere", "sg-data"])
    assert result["missing"] == ["sg-nowhere"]


def test_an_unreadable_reply_is_an_error_and_not_an_empty_list(info: Info) -> None:
    for shape in ("object", "missing", "null"):
        info.emulator.faults([{"action": "DescribeNetworkInterfaces", "kind": "shape", "shape": shape}])
        result = info(whole_region=True, retry_timeout=0)
        assert result["error"]["code"] == "UnreadableReply", shape


def test_without_permission_for_instances_a_group_is_an_error_and_not_half_a_list(info: Info) -> None:
    environment = info.emulator.environment() | {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "emulator-limited-key-id",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "emulator-limited-key-secret",
    }
    result = run_module("eni_secondary_ip_info", {"security_group_ids": ["sg-web"]}, environment)
    assert result["error"]["code"] == "Forbidden.RAM"
    assert "ecs:DescribeInstances" in result["msg"]


def test_all_errors_are_reported_at_once(info: Info) -> None:
    result = info(eni_ids=["eni_1"], security_group_ids=["web"], within=["192.168.0.1/24"], whole_region=True)
    assert [error.split(":")[0] for error in result["errors"]] == ["eni_ids", "security_group_ids", "within", "whole_region"]
    assert info.emulator.calls() == []


def test_nothing_selected_is_an_error(info: Info) -> None:
    assert "no ENI is selected" in info(eni_ids=[""], vpc_id=" ")["msg"]
