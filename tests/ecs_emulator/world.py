# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state: records, holders of addresses, and indexes. Independent of HTTP and API."""

from __future__ import annotations

import ipaddress
import itertools
import random
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from heapq import heappop, heappush
from typing import Any

from ecs_emulator.model import KINDS, RESERVED_LAST, Instance, InstanceType, Interface, SecurityGroup, VSwitch
from ecs_emulator.timeline import Timeline

IPV4_PREFIX_MASK = 28
IPV6_PREFIX_MASK = 80


class Catalogue:
    """Interfaces in order, with indexes. An index may have too many entries (from an old state), but never too few."""

    def __init__(self) -> None:
        self.timelines: list[Timeline[Interface]] = []
        self.position: dict[str, int] = {}
        self._indexes: dict[tuple[str, str], list[int]] = defaultdict(list)

    def add(self, interface: Interface) -> None:
        self.position[interface.eni_id] = len(self.timelines)
        self.timelines.append(Timeline(interface))
        self.index(interface)

    def find(self, eni_id: str) -> Timeline[Interface] | None:
        position = self.position.get(eni_id)
        return None if position is None else self.timelines[position]

    def index(self, interface: Interface) -> None:
        position = self.position[interface.eni_id]
        for key in self._keys(interface):
            positions = self._indexes[key]
            if not positions or position > positions[-1]:
                positions.append(position)
            elif position not in positions:
                insort(positions, position)

    def positions(self, index: str, value: str) -> list[int]:
        return self._indexes.get((index, value), [])

    @staticmethod
    def _keys(interface: Interface) -> Iterator[tuple[str, str]]:
        yield "vswitch", interface.vswitch.vswitch_id
        yield "vpc", interface.vswitch.vpc_id
        yield "instance", interface.instance_id
        for group_id in interface.security_group_ids:
            yield "group", group_id
        for address in interface.addresses:
            yield "address", address


class World:
    def __init__(self, *, region: str, account: str, clock: Callable[[], float], lag_ms: tuple[float, float], random_seed: int) -> None:
        self.region = region
        self.account = account
        self.clock = clock
        self.regions: list[str] = [region]
        self.vswitches: dict[str, VSwitch] = {}
        self.security_groups: dict[str, SecurityGroup] = {}
        self.instance_types: dict[str, InstanceType] = {}
        self.instances: dict[str, Timeline[Instance]] = {}
        self.interfaces = Catalogue()
        self.random = random.Random(random_seed)
        self._random_seed = random_seed
        self._lag_ms = lag_ms
        self._holders: dict[tuple[str, str], str] = {}
        self._prefix_masks: dict[str, set[int]] = defaultdict(set)
        self._ipv6_blocks: Counter[tuple[str, str]] = Counter()
        self._changes: dict[str, int] = defaultdict(int)
        # Scheduled events: time, number (for a stable order), event.
        self._coming: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._at: float | None = None

    # --- reading

    def interface(self, eni_id: str) -> Interface | None:
        timeline = self.interfaces.find(eni_id)
        return timeline.now if timeline else None

    def instance(self, instance_id: str) -> Instance | None:
        timeline = self.instances.get(instance_id)
        return timeline.now if timeline else None

    def holder(self, vswitch: VSwitch, address: str) -> str | None:
        """The holder of the address, or of a prefix that contains it."""
        alone = self._holders.get((vswitch.vswitch_id, address))
        return alone or self.prefix_around(vswitch, address)[1]

    def prefix_around(self, vswitch: VSwitch, address: str) -> tuple[str, str | None]:
        parsed = ipaddress.ip_address(address)
        for mask in self._prefix_masks[vswitch.vswitch_id]:
            if mask <= parsed.max_prefixlen:
                prefix = str(ipaddress.ip_network((parsed, mask), strict=False))
                holder = self._holders.get((vswitch.vswitch_id, prefix))
                if holder:
                    return prefix, holder
        return "", None

    def prefix_is_free(self, vswitch: VSwitch, prefix: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
        if prefix.version == 6:
            # A /80 has too many addresses to check each, so the used blocks are counted.
            return not self._ipv6_blocks[vswitch.vswitch_id, str(prefix)]
        return not any(self.holder(vswitch, str(address)) for address in prefix)

    def free_addresses(self, vswitch: VSwitch, count: int, *, version: int = 4, in_order: bool = False) -> list[str]:
        """Random free addresses (or the lowest ones). Fewer than requested if the vSwitch is full."""
        network = vswitch.network(version)
        if network is None:
            return []
        first, last = int(network.network_address) + 1, int(network.broadcast_address) - RESERVED_LAST[version]
        # The start of an IPv6 network has enough addresses.
        last = min(last, first + (1 << 24))
        size = max(last - first + 1, 0)
        start = 0 if in_order or not size else self.random.randrange(size)
        make = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
        picked: list[str] = []
        for step in range(size):
            if len(picked) == count:
                break
            address = str(make(first + (start + step) % size))
            if not self.holder(vswitch, address):
                picked.append(address)
        return picked

    def free_prefixes(self, vswitch: VSwitch, count: int, *, version: int = 4) -> list[str]:
        network, mask = (vswitch.cidr, IPV4_PREFIX_MASK) if version == 4 else (vswitch.ipv6_cidr, IPV6_PREFIX_MASK)
        if network is None or network.prefixlen >= mask:
            return []
        # Without the first and the last one, because they have reserved addresses.
        size = (1 << (mask - network.prefixlen)) - 2
        start, step = self.random.randrange(size), 1 << (network.max_prefixlen - mask)
        picked: list[str] = []
        for number in range(min(size, 1 << 20)):
            if len(picked) == count:
                break
            prefix = ipaddress.ip_network((int(network.network_address) + (1 + (start + number) % size) * step, mask))
            if self.prefix_is_free(vswitch, prefix):
                picked.append(str(prefix))
        return picked

    # --- changing

    def add(self, interface: Interface) -> None:
        self.interfaces.add(interface)
        self._hold(interface)

    def block(self, vswitch: VSwitch, address: str) -> None:
        """The address is held by a record that the ENI API does not show."""
        self._holders[vswitch.vswitch_id, address] = "hidden"

    def change(self, eni_id: str, **fields: Any) -> Interface:
        timeline = self.interfaces.find(eni_id)
        if timeline is None or timeline.now is None:
            raise KeyError(eni_id)
        before = timeline.now
        after = replace(before, **fields)
        self._release(before)
        self._hold(after)
        self.interfaces.index(after)
        self._put(eni_id, timeline, after)
        return after

    def delete(self, eni_id: str) -> None:
        timeline = self.interfaces.find(eni_id)
        if timeline and timeline.now:
            self._release(timeline.now)
            self._put(eni_id, timeline, None)

    def set_status(self, thing_id: str, status: str) -> None:
        interface = self.interface(thing_id)
        if interface:
            # An available ENI is not attached to an instance.
            instance_id = "" if status == "Available" else interface.instance_id
            self.change(thing_id, status=status, instance_id=instance_id)
            return
        timeline = self.instances.get(thing_id)
        if timeline is None or timeline.now is None:
            raise KeyError(thing_id)
        self._put(thing_id, timeline, replace(timeline.now, status=status))

    def pass_later(self, thing_id: str, status: str, after_ms: float) -> None:
        def change() -> None:
            if self.interface(thing_id) or self.instance(thing_id):
                self.set_status(thing_id, status)

        self.do_later(change, after_ms)

    def do_later(self, change: Callable[[], None], after_ms: float) -> None:
        heappush(self._coming, (self.clock() + after_ms / 1000, next(self._numbers), change))

    def settle(self) -> None:
        """Carry out all due events. Called before each read."""
        while self._coming and self._coming[0][0] <= self.clock():
            self._at, _number, change = heappop(self._coming)
            try:
                change()
            finally:
                self._at = None

    def _put(self, thing_id: str, timeline: Timeline[Any], value: Any) -> None:
        # A due event happened at its own time, even if there was no read since.
        now = self.clock() if self._at is None else self._at
        self._changes[thing_id] += 1
        low, high = self._lag_ms
        # The lag of a change is the same in every run, whatever else happens.
        luck = random.Random(f"{self._random_seed}:{thing_id}:{self._changes[thing_id]}") if low != high else None
        lag_ms = luck.uniform(low, high) if luck else low
        timeline.put(value, now, now + lag_ms / 1000)

    def _hold(self, interface: Interface) -> None:
        vswitch_id = interface.vswitch.vswitch_id
        for name in interface.addresses + interface.prefixes:
            self._holders[vswitch_id, name] = interface.eni_id
        for prefix in interface.prefixes:
            self._prefix_masks[vswitch_id].add(int(prefix.rpartition("/")[2]))
        self._ipv6_blocks.update(_ipv6_blocks(interface))

    def _release(self, interface: Interface) -> None:
        for name in interface.addresses + interface.prefixes:
            self._holders.pop((interface.vswitch.vswitch_id, name), None)
        self._ipv6_blocks.subtract(_ipv6_blocks(interface))

    # --- output

    def true_state(self) -> dict[str, Any]:
        self.settle()
        interfaces = (timeline.now for timeline in self.interfaces.timelines)
        instances = (timeline.now for timeline in self.instances.values())
        return {
            "region": self.region,
            "account": self.account,
            "interfaces": {interface.eni_id: interface_state(interface) for interface in interfaces if interface},
            "instances": {
                instance.instance_id: {"status": instance.status, "instance_type": instance.instance_type, "tags": dict(instance.tags)}
                for instance in instances
                if instance
            },
            "security_groups": {group.group_id: {"name": group.name, "vpc_id": group.vpc_id} for group in self.security_groups.values()},
            "vswitches": {
                vswitch.vswitch_id: {
                    "cidr": str(vswitch.cidr),
                    "ipv6_cidr": str(vswitch.ipv6_cidr or ""),
                    "vpc_id": vswitch.vpc_id,
                    "zone_id": vswitch.zone_id,
                }
                for vswitch in self.vswitches.values()
            },
        }


def _ipv6_blocks(interface: Interface) -> list[tuple[str, str]]:
    names = [name for name in interface.addresses + interface.prefixes if ":" in name]
    return [
        (interface.vswitch.vswitch_id, str(ipaddress.ip_network((name.partition("/")[0], IPV6_PREFIX_MASK), strict=False)))
        for name in names
    ]


def interface_state(interface: Interface) -> dict[str, Any]:
    return {
        "eni_id": interface.eni_id,
        "type": interface.type,
        "status": interface.status,
        "instance_id": interface.instance_id,
        "primary_address": interface.primary_address,
        **{kind: list(getattr(interface, kind)) for kind in KINDS},
        "primary_ipv6_address": interface.primary_ipv6_address,
        "eips": dict(interface.eips),
        "security_group_ids": list(interface.security_group_ids),
        "tags": dict(interface.tags),
        "service_managed": interface.service_managed,
        "vswitch_id": interface.vswitch.vswitch_id,
        "vpc_id": interface.vswitch.vpc_id,
        "zone_id": interface.vswitch.zone_id,
    }
