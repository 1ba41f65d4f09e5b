# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of the made-up cloud. A value never changes; a change is a new value."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

# The four kinds of secondary addresses, with the names of this collection.
KINDS = ("private_ip_addresses", "ipv4_prefixes", "ipv6_addresses", "ipv6_prefixes")
# The system reserves the first address of a vSwitch, and this number of last addresses, by IP version.
RESERVED_LAST = {4: 3, 6: 9}


@dataclass(frozen=True)
class VSwitch:
    vswitch_id: str
    vpc_id: str
    zone_id: str
    region_id: str
    cidr: ipaddress.IPv4Network
    ipv6_cidr: ipaddress.IPv6Network | None = None

    def network(self, version: int) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
        return self.cidr if version == 4 else self.ipv6_cidr

    def reserves(self, block: str) -> bool:
        """Whether this address or prefix has an address that the system reserves."""
        asked = ipaddress.ip_network(block)
        network = self.network(asked.version)
        if network is None:
            return False
        first, last = int(network.network_address), int(network.broadcast_address)
        start, end = int(asked.network_address), int(asked.broadcast_address)
        return start <= first <= end or (start <= last and end > last - RESERVED_LAST[asked.version])


@dataclass(frozen=True)
class SecurityGroup:
    group_id: str
    vpc_id: str
    region_id: str
    name: str = ""
    description: str = ""
    type: str = "normal"
    service_managed: bool = False
    resource_group_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class InstanceType:
    """Maximum number of addresses of one ENI, with the primary address."""

    private_ip_addresses: int
    ipv6_addresses: int


@dataclass(frozen=True)
class Instance:
    instance_id: str
    status: str
    instance_type: str
    region_id: str
    name: str = ""
    resource_group_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Interface:
    eni_id: str
    type: str
    status: str
    vswitch: VSwitch
    primary_address: str
    instance_id: str = ""
    private_ip_addresses: tuple[str, ...] = ()
    ipv4_prefixes: tuple[str, ...] = ()
    ipv6_addresses: tuple[str, ...] = ()
    ipv6_prefixes: tuple[str, ...] = ()
    primary_ipv6_address: str = ""
    eips: Mapping[str, str] = field(default_factory=dict)
    security_group_ids: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    service_managed: bool = False
    name: str = ""
    description: str = ""
    resource_group_id: str = ""

    @cached_property
    def mac(self) -> str:
        digest = hashlib.sha256(self.eni_id.encode()).hexdigest()
        return "00:16:3e:" + ":".join(digest[at : at + 2] for at in (0, 2, 4))

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses that it holds in its vSwitch, without prefixes."""
        primary_ipv6 = (self.primary_ipv6_address,) if self.primary_ipv6_address else ()
        return (self.primary_address, *self.private_ip_addresses, *primary_ipv6, *self.ipv6_addresses)

    @property
    def prefixes(self) -> tuple[str, ...]:
        return self.ipv4_prefixes + self.ipv6_prefixes


def allocation_id(eip: str) -> str:
    return "eip-" + hashlib.sha256(eip.encode()).hexdigest()[:12]


def service_id(eni_id: str) -> int:
    """The account of the cloud service that manages an ENI. Any stable number is fine."""
    return 1_000_000_000 + int(hashlib.sha256(eni_id.encode()).hexdigest()[:7], 16)
