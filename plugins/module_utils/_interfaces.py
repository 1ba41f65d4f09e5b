# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an ENI and its instance are, made from the records of the API, and reading them by id.

Private to this collection. A record that can't be read is an ``EcsError`` (UnreadableReply), never an empty list: an
ENI that looks as if it held nothing would make a wrong plan look right.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import (
    KIND_BY_NAME,
    KINDS,
    PRIVATE_IPV4,
    Kind,
    Lists,
    make_lists,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import UNREADABLE_REPLY, Ecs, EcsError, Record

IDS_PER_READ = 100  # NetworkInterfaceId.N and InstanceIds both take at most 100


# Where the API keeps each kind: the two wrappers around the rows, and the address in a row.
_WRAPPERS = {
    PRIVATE_IPV4: ("PrivateIpSets", "PrivateIpSet", "PrivateIpAddress"),
    "ipv4_prefixes": ("Ipv4PrefixSets", "Ipv4PrefixSet", "Ipv4Prefix"),
    "ipv6_addresses": ("Ipv6Sets", "Ipv6Set", "Ipv6Address"),
    "ipv6_prefixes": ("Ipv6PrefixSets", "Ipv6PrefixSet", "Ipv6Prefix"),
}


@dataclass(frozen=True, slots=True)
class Interface:
    """One ENI as one read showed it. ``read_at`` is ``time.monotonic`` just before that read was sent."""

    eni_id: str
    type: str
    status: str
    instance_id: str | None
    private_ip_address: str
    primary: frozenset[str]  # what the service marks Primary, of both families, and private_ip_address
    held: Lists  # secondary addresses only
    eips: Mapping[str, str]  # secondary private IPv4 address → its EIP
    security_group_ids: tuple[str, ...]
    tags: Mapping[str, str]
    service_managed: bool
    vswitch_id: str
    read_at: float
    details: Mapping[str, Any] = field(default_factory=dict)  # told by the info module, never decided on
    spelled: Mapping[str, str] = field(default_factory=dict)  # canonical → as the service writes it, where that differs

    @property
    def is_primary(self) -> bool:
        return self.type == "Primary"


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance: its state, its primary ENI, and which address is on which of its other ENIs."""

    instance_id: str
    status: str
    primary_eni_id: str | None
    on_other_enis: Mapping[str, str]


def make_interface(record: Record, read_at: float) -> Interface:
    """From a row of DescribeNetworkInterfaces (ecs-api reference, NetworkInterfaceSets.NetworkInterfaceSet)."""
    eni_id = _text(record, "NetworkInterfaceId", "a network interface")
    where = f"network interface {eni_id}"
    rows = {kind: _rows(record, outer, inner, where) for kind, (outer, inner, _name) in _WRAPPERS.items()}
    if not rows[PRIVATE_IPV4]:
        raise _unreadable(f"{where} has no PrivateIpSet, though every ENI has a primary address")
    try:
        own = KIND_BY_NAME[PRIVATE_IPV4].parse(_text(record, "PrivateIpAddress", where)) if record.get("PrivateIpAddress") else ""
    except ValueError as error:
        raise _unreadable(f"the PrivateIpAddress of {where}: {error}") from None
    primary: set[str] = set()
    held: dict[str, list[str]] = {kind.name: [] for kind in KINDS}
    eips: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for kind in KINDS:
        for row in rows[kind.name]:
            written, address = _address(row, kind, where)
            # A row that does not say Primary is judged by the ENI's own address, which is the primary one.
            mark = row.get("Primary")
            if mark not in (None, True, False):
                raise _unreadable(f"{where} has a Primary of {address} that is neither true nor false")
            if mark or address == own:
                primary.add(address)
                continue
            held[kind.name].append(address)
            if written != address:
                spelled[address] = written
            public = row.get("AssociatedPublicIp") or {}
            if not isinstance(public, Mapping):
                raise _unreadable(f"{where} has an AssociatedPublicIp of {address} that is not a record")
            if public.get("PublicIpAddress") or public.get("AllocationId"):
                eips[address] = str(public.get("PublicIpAddress") or public["AllocationId"])
    if not any(":" not in address for address in primary) or (own and own not in primary):
        raise _unreadable(f"{where} has no primary private IP address among its PrivateIpSet")
    return Interface(
        eni_id=eni_id,
        type=_text(record, "Type", where),
        status=_text(record, "Status", where),
        instance_id=str(record.get("InstanceId") or "") or None,
        private_ip_address=own or next(address for address in primary if ":" not in address),
        primary=frozenset(primary),
        held=make_lists({name: set(addresses) - primary for name, addresses in held.items()}),
        eips=eips,
        security_group_ids=tuple(map(str, _entries(record.get("SecurityGroupIds"), "SecurityGroupId", where))),
        tags={_text(tag, "TagKey", where): str(tag.get("TagValue") or "") for tag in _rows(record, "Tags", "Tag", where)},
        service_managed=bool(record.get("ServiceManaged")),
        vswitch_id=str(record.get("VSwitchId") or ""),
        read_at=read_at,
        details={key: record.get(key) for key in _DETAILS},
        spelled=spelled,
    )


_DETAILS = ("NetworkInterfaceName", "Description", "MacAddress", "ZoneId", "VpcId", "OwnerId", "ResourceGroupId", "CreationTime")


def make_instance(record: Record) -> Instance:
    """From a row of DescribeInstances (Instances.Instance)."""
    instance_id = _text(record, "InstanceId", "an instance")
    where = f"instance {instance_id}"
    primary_eni_id = None
    others: dict[str, str] = {}
    for row in _rows(record, "NetworkInterfaces", "NetworkInterface", where):
        eni_id = _text(row, "NetworkInterfaceId", where)
        if row.get("Type") == "Primary":
            primary_eni_id = eni_id
            continue
        for kind in KINDS:
            outer, inner, _name = _WRAPPERS[kind.name]
            others.update((_address(entry, kind, where)[1], eni_id) for entry in _rows(row, outer, inner, where))
    return Instance(instance_id, _text(record, "Status", where), primary_eni_id, others)


def list_interfaces(ecs: Ecs, **filters: Any) -> dict[str, Interface]:
    """All ENIs that the service's own filters let through (by the SDK's names), by id."""
    # The moment it was sent: what it was held back for before that does not age it.
    started, held = time.monotonic(), ecs.held
    records = ecs.network_interfaces(**filters)
    read_at = started + ecs.held - held
    return {interface.eni_id: interface for interface in (make_interface(record, read_at) for record in records)}


def read_interfaces(ecs: Ecs, eni_ids: Iterable[str]) -> dict[str, Interface]:
    """The ENIs of these ids that exist, by id; 100 ids a call."""
    wanted = list(dict.fromkeys(eni_ids))
    found: dict[str, Interface] = {}
    for start in range(0, len(wanted), IDS_PER_READ):
        asked = wanted[start : start + IDS_PER_READ]
        interfaces = list_interfaces(ecs, network_interface_id=asked)
        # An answer that was not asked for must never become a target.
        found.update((eni_id, interface) for eni_id, interface in interfaces.items() if eni_id in asked)
    return found


def read_instances(ecs: Ecs, instance_ids: Iterable[str]) -> dict[str, Instance]:
    """The instances of these ids that exist, by id; 100 ids a call."""
    wanted = list(dict.fromkeys(instance_ids))
    found: dict[str, Instance] = {}
    for start in range(0, len(wanted), IDS_PER_READ):
        asked = wanted[start : start + IDS_PER_READ]
        for record in ecs.instances(instance_ids=asked):
            instance = make_instance(record)
            if instance.instance_id in asked:
                found[instance.instance_id] = instance
    return found


def _unreadable(what: str) -> EcsError:
    return EcsError("Describe", UNREADABLE_REPLY, f"the reply can't be read: {what}")


def _text(record: Any, key: str, where: str) -> str:
    value = record.get(key) if isinstance(record, Mapping) else None
    if not isinstance(value, str) or not value:
        raise _unreadable(f"{where} has no {key}")
    return value


def _address(row: Mapping[str, Any], kind: Kind, where: str) -> tuple[str, str]:
    """As the service writes it, and canonical."""
    written = _text(row, _WRAPPERS[kind.name][2], where)
    try:
        return written, kind.parse(written)
    except ValueError as error:
        raise _unreadable(f"in {where} {error}") from None


def _entries(wrapper: Any, inner: str, where: str) -> list[Any]:
    """The list inside its wrapper. An absent wrapper is an empty list: the service leaves out what an ENI has none of."""
    if wrapper is None:
        return []
    entries = wrapper.get(inner) if isinstance(wrapper, Mapping) else None
    if entries is None and isinstance(wrapper, Mapping):
        return []
    if not isinstance(entries, list):
        raise _unreadable(f"{where} has a {inner} that is not a list")
    return entries


def _rows(record: Record, outer: str, inner: str, where: str) -> list[Mapping[str, Any]]:
    rows = _entries(record.get(outer), inner, where)
    if not all(isinstance(row, Mapping) for row in rows):
        raise _unreadable(f"{where} has a {inner} with something that is not a record")
    return rows
