# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.models import Config
from support import raw_call
from support.emulator import Emulator

REGION = "cn-hangzhou"

# A world in which each rule has an interface to be tried on.
SEED: dict[str, Any] = {
    "regions": ["cn-beijing"],
    "credentials": [
        {"user": "owner", "access_key_id": "emulator-key-id", "access_key_secret": "emulator-key-secret"},
        {
            "user": "role",
            "access_key_id": "STS.emulator-key-id",
            "access_key_secret": "emulator-sts-secret",
            "security_token": "emulator-sts-token",
        },
        {
            "user": "old role",
            "access_key_id": "STS.expired",
            "access_key_secret": "secret",
            "security_token": "expired-token",
            "token_expired": True,
        },
        {"user": "gone", "access_key_id": "inactive-key", "access_key_secret": "secret", "inactive": True},
        {
            "user": "limited",
            "access_key_id": "limited-key",
            "access_key_secret": "secret",
            "allow": ["DescribeNetworkInterfaces"],
        },
    ],
    "vswitches": [
        {"id": "vsw-a", "vpc_id": "vpc-a", "cidr": "10.0.0.0/24", "ipv6_cidr": "fd00::/64", "held": ["10.0.0.200"]},
        {"id": "vsw-b", "vpc_id": "vpc-a", "cidr": "10.0.1.0/28"},
        {"id": "vsw-far", "vpc_id": "vpc-far", "cidr": "10.9.0.0/24", "region": "cn-beijing"},
    ],
    "security_groups": [
        {"id": "sg-a", "vpc_id": "vpc-a", "name": "a", "tags": {"team": "x"}},
        {"id": "sg-b", "vpc_id": "vpc-a", "type": "enterprise", "service_managed": True},
    ],
    "instances": [
        {"id": "i-running", "instance_type": "ecs.g7.large", "name": "web-1", "tags": {"app": "web"}},
        {"id": "i-starting", "status": "Starting"},
    ],
    "interfaces": [
        {
            "id": "eni-primary",
            "type": "Primary",
            "instance_id": "i-running",
            "vswitch_id": "vsw-a",
            "security_group_ids": ["sg-a"],
            "primary_address": "10.0.0.10",
            "private_ip_addresses": ["10.0.0.11", "10.0.0.12", "10.0.0.13"],
            "eips": {"10.0.0.10": "203.0.113.1"},
        },
        {
            "id": "eni-starting",
            "type": "Primary",
            "instance_id": "i-starting",
            "vswitch_id": "vsw-a",
            "security_group_ids": ["sg-a"],
            "primary_address": "10.0.0.20",
            "private_ip_addresses": ["10.0.0.21"],
        },
        {
            "id": "eni-secondary",
            "name": "second",
            "instance_id": "i-running",
            "vswitch_id": "vsw-a",
            "security_group_ids": ["sg-a", "sg-b"],
            "primary_address": "10.0.0.30",
            "private_ip_addresses": ["10.0.0.31", "10.0.0.32"],
            "ipv4_prefixes": ["10.0.0.64/28", "10.0.0.80/28"],
            "ipv6_addresses": ["fd00::31", "fd00::32"],
            "primary_ipv6_address": "fd00::30",
            "ipv6_prefixes": ["fd00:0:0:0:1::/80"],
            "eips": {"10.0.0.31": "203.0.113.31"},
            "tags": {"app": "web", "team": "x"},
        },
        {
            "id": "eni-available",
            "vswitch_id": "vsw-a",
            "security_group_ids": ["sg-a"],
            "primary_address": "10.0.0.40",
            "private_ip_addresses": ["10.0.0.41"],
        },
        {
            "id": "eni-detaching",
            "status": "Detaching",
            "instance_id": "i-running",
            "vswitch_id": "vsw-a",
            "primary_address": "10.0.0.50",
            "private_ip_addresses": ["10.0.0.51"],
        },
        {
            "id": "eni-managed",
            "service_managed": True,
            "status": "InUse",
            "instance_id": "i-ofservice",
            "vswitch_id": "vsw-a",
            "primary_address": "10.0.0.60",
            "private_ip_addresses": ["10.0.0.61"],
        },
        {
            "id": "eni-trunk",
            "type": "Trunk",
            "vswitch_id": "vsw-a",
            "primary_address": "10.0.0.100",
            "private_ip_addresses": ["10.0.0.101"],
        },
        {
            "id": "eni-onstarting",
            "instance_id": "i-starting",
            "vswitch_id": "vsw-a",
            "primary_address": "10.0.0.110",
            "private_ip_addresses": ["10.0.0.111"],
        },
        {"id": "eni-small", "vswitch_id": "vsw-b", "primary_address": "10.0.1.1"},
        {"id": "eni-far", "vswitch_id": "vsw-far", "primary_address": "10.9.0.1"},
    ],
}
MANY: dict[str, Any] = {
    "vswitches": [{"id": "vsw-m", "vpc_id": "vpc-m", "cidr": "10.64.0.0/12", "ipv6_cidr": "fd00::/64"}],
    "security_groups": [{"id": "sg-m", "vpc_id": "vpc-m"}],
    "generate": [
        {"prefix": "node", "count": 120, "type": "Primary", "vswitch_id": "vsw-m", "security_group_ids": ["sg-m"]},
        {
            "prefix": "many",
            "count": 1100,
            "private_ip_addresses": 2,
            "vswitch_id": "vsw-m",
            "security_group_ids": ["sg-m"],
            "tags": {"set": "many"},
            "eip_every": 500,
        },
        {"prefix": "rich", "count": 3, "ipv4_prefixes": 1, "ipv6_addresses": 2, "ipv6_prefixes": 1, "vswitch_id": "vsw-m"},
    ],
}

Call = Callable[..., raw_call.Answer]


@pytest.fixture(scope="session")
def process() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(process: Emulator) -> Emulator:
    process.reset(seed=SEED)
    return process


@pytest.fixture
def seed() -> dict[str, Any]:
    return SEED


@pytest.fixture
def many_seed() -> dict[str, Any]:
    return MANY


@pytest.fixture
def many(process: Emulator) -> Emulator:
    process.reset(seed=MANY)
    return process


@pytest.fixture
def call(process: Emulator) -> Call:
    """Send one signed call and return the unchanged answer. Lists are spread over Name.1, Name.2 and so on."""

    def send(action: str, /, *, key: tuple[str, str] = raw_call.KEY, region: str = REGION, **parameters: Any) -> raw_call.Answer:
        given = {"RegionId": region} if region else {}
        for name, value in parameters.items():
            items = {f"{name}.{number}": item for number, item in enumerate(value, 1)} if isinstance(value, list) else {name: str(value)}
            given.update(items)
        return raw_call.acs3(process.endpoint, action, given, key=key).send(process.endpoint)

    return send


@pytest.fixture
def sdk(process: Emulator) -> Client:
    return Client(
        Config(
            endpoint=process.endpoint.removeprefix("http://"),
            protocol="http",
            region_id=REGION,
            access_key_id=raw_call.KEY[0],
            access_key_secret=raw_call.KEY[1],
        )
    )
