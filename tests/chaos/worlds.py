# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random worlds: seed documents of the endpoint with all types of ENIs and addresses, and their free addresses."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PRIVATE_IPV4, IPV4_PREFIXES, IPV6, IPV6_PREFIXES = KINDS = (
    "private_ip_addresses",
    "ipv4_prefixes",
    "ipv6_addresses",
    "ipv6_prefixes",
)
# Maximum number of addresses and prefixes of an ENI in these worlds. Only a write shows that the limit is reached.
ROOM = (((PRIVATE_IPV4, IPV4_PREFIXES), 49), ((IPV6, IPV6_PREFIXES), 10))
TRANSITIONAL_ENI_STATES = ("Attaching", "Detaching")
TRANSITIONAL_INSTANCE_STATES = ("Starting", "Stopping", "Pending")


@dataclass
class Subnet:
    """A vSwitch and its free addresses."""

    vswitch_id: str
    free: dict[str, list[str]]
    hidden: list[str] = field(default_factory=list)
    room: dict[tuple[str, tuple[str, ...]], int] = field(default_factory=dict)

    def take(self, kind: str, number: int = 1) -> list[str]:
        taken, self.free[kind] = self.free[kind][:number], self.free[kind][number:]
        return taken

    def take_for(self, interface: Mapping[str, Any], kind: str, number: int) -> list[str]:
        """This number, or fewer if the ENI would exceed its limit."""
        kinds, most = next(rule for rule in ROOM if kind in rule[0])
        room = self.room.setdefault((interface["id"], kinds), most - sum(len(interface.get(held, ())) for held in kinds))
        taken = self.take(kind, min(number, room))
        self.room[interface["id"], kinds] = room - len(taken)
        return taken


@dataclass
class World:
    document: dict[str, Any]
    subnets: dict[str, Subnet]

    @property
    def interfaces(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.document["interfaces"]
        return found

    @property
    def instances(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.document["instances"]
        return found


def make_world(chance: random.Random, *, calm: bool) -> World:
    """``calm``: without problems that only a write can show."""
    subnets = {}
    vswitches = []
    for number in range(chance.randint(1, 3)):
        subnet, vswitch = _subnet(chance, number, calm=calm)
        subnets[subnet.vswitch_id] = subnet
        vswitches.append(vswitch)
    world = World(
        {
            "region": "cn-hangzhou",
            "vswitches": vswitches,
            "security_groups": [{"id": f"sg-{name}", "vpc_id": "vpc-chaos"} for name in ("one", "two")],
            "instances": [],
            "interfaces": [],
        },
        subnets,
    )
    for number in range(chance.randint(0, 6)):
        _add_instance(chance, world, number)
    most = chance.choice((3, 6, 12, 40))
    for number in range(chance.randint(1, most)):
        world.interfaces.append(_secondary(chance, world, f"eni-s{number:03d}", calm=calm))
    return world


def _subnet(chance: random.Random, number: int, *, calm: bool) -> tuple[Subnet, dict[str, Any]]:
    free = {
        PRIVATE_IPV4: [f"10.{number}.{third}.{fourth}" for third in (0, 1) for fourth in range(1, 255)],
        IPV4_PREFIXES: [f"10.{number}.{third}.{fourth}/28" for third in (2, 3) for fourth in range(0, 240, 16)],
        IPV6: [f"fd00:0:0:{number}:1::{host:x}" for host in range(1, 400)],
        IPV6_PREFIXES: [f"fd00:0:0:{number}:{block:x}::/80" for block in range(0x10, 0x90)],
    }
    for addresses in free.values():
        chance.shuffle(addresses)
    subnet = Subnet(f"vsw-{number}", free)
    subnet.hidden = [] if calm else subnet.take(PRIVATE_IPV4, 3)
    vswitch = {"id": subnet.vswitch_id, "vpc_id": "vpc-chaos", "cidr": f"10.{number}.0.0/22", "held": subnet.hidden}
    if chance.random() < 0.8:
        vswitch["ipv6_cidr"] = f"fd00:0:0:{number}::/64"
    else:
        free[IPV6], free[IPV6_PREFIXES] = [], []
    return subnet, vswitch


def _add_instance(chance: random.Random, world: World, number: int) -> None:
    instance = {"id": f"i-{number:03d}", "instance_type": "ecs.g7.16xlarge", "status": "Running"}
    dice = chance.random()
    if dice < 0.2:
        instance["status"] = "Stopped"
    elif dice < 0.4:
        instance["status"] = chance.choice(TRANSITIONAL_INSTANCE_STATES)
        if chance.random() < 0.7:
            instance["becomes"] = {"status": chance.choice(("Running", "Stopped")), "after_ms": chance.randint(5, 150)}
    world.instances.append(instance)
    world.interfaces.append(
        {
            **_holdings(chance, chance.choice(list(world.subnets.values())), roomy=True),
            "id": f"eni-p{number:03d}",
            "type": "Primary",
            "instance_id": instance["id"],
        }
    )


def _secondary(chance: random.Random, world: World, eni_id: str, *, calm: bool) -> dict[str, Any]:
    attached = world.instances and chance.random() < 0.4
    interface = {
        **_holdings(chance, chance.choice(list(world.subnets.values())), roomy=chance.random() < 0.3),
        "id": eni_id,
        "status": "InUse" if attached else "Available",
    }
    if attached:
        interface["instance_id"] = chance.choice(world.instances)["id"]
    dice = chance.random()
    if dice < 0.06:
        interface["status"] = chance.choice(("Deleting", "Creating", "CreateFailed"))
    elif dice < 0.16:
        interface["status"] = chance.choice(TRANSITIONAL_ENI_STATES)
        if chance.random() < 0.7:
            interface["becomes"] = {"status": "InUse" if attached else "Available", "after_ms": chance.randint(5, 150)}
    elif dice < 0.22:
        interface |= {"service_managed": True}
    elif dice < 0.25 and not calm:
        interface |= {"type": "Trunk"}
    return interface


def _holdings(chance: random.Random, subnet: Subnet, *, roomy: bool) -> dict[str, Any]:
    """The common fields of all ENIs. ``roomy``: it may have more addresses than one call can take."""
    many = chance.randint(33, 40) if roomy and chance.random() < 0.2 else chance.choice((0, 1, 1, 2, 3, 5, 8))
    addresses = subnet.take(PRIVATE_IPV4, many)
    interface: dict[str, Any] = {
        "vswitch_id": subnet.vswitch_id,
        "primary_address": subnet.take(PRIVATE_IPV4)[0],
        PRIVATE_IPV4: addresses,
        "security_group_ids": ["sg-one"],
    }
    if chance.random() < 0.25:
        interface[IPV4_PREFIXES] = subnet.take(IPV4_PREFIXES, chance.randint(1, 3))
    if chance.random() < 0.3:
        interface[IPV6] = subnet.take(IPV6, chance.choice((1, 2, 5)))
    if chance.random() < 0.15:
        interface[IPV6_PREFIXES] = subnet.take(IPV6_PREFIXES, chance.randint(1, 2))
    if chance.random() < 0.1 and subnet.free[IPV6]:
        interface["primary_ipv6_address"] = subnet.take(IPV6)[0]
    if addresses and chance.random() < 0.15:
        interface["eips"] = {chance.choice(addresses): f"198.18.0.{chance.randint(1, 250)}"}
    dice = chance.random()
    if dice < 0.08:
        interface["tags"] = chance.choice(({"creator": "terway"}, {"ack.aliyun.com": "c1"}, {"creator": "alibabacloud-erdma-controller"}))
    elif dice < 0.2:
        interface["tags"] = {"app": chance.choice(("web", "db"))}
    return interface
