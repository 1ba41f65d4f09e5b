# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an ENI and its instance are, made from the records of the API, and reading them by id.

Private to this collection. A record that can't be read is an ``EcsError`` (UnreadableReply), never an empty list: an
ENI that looks as if it held nothing would make a wrong plan look right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import (
    KIND_BY_NAME,
    KINDS,
    PRIVATE_IPV4,
    AddressKind,
    AddressSet,
    make_address_set,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import UNREADABLE_REPLY, EcsError

NONE: Mapping[str, Any] = {}  # one for all that have none
IDS_PER_READ = 100  # NetworkInterfaceId.N and InstanceIds both take at most 100


@dataclass(frozen=True, slots=True)
class Interface:
    """One ENI as one read showed it. ``read_at`` is ``_clock.now`` just before that read was sent."""

    eni_id: str
    type: str
    status: str
    instance_id: str | None
    private_ip_address: str
    primary: frozenset[str]  # what the service marks Primary, of both families, and private_ip_address
    held: AddressSet  # secondary addresses only
    eips: Mapping[str, str]  # secondary private IPv4 address → its EIP
    security_group_ids: tuple[str, ...]
    tags: Mapping[str, str]
    service_managed: bool
    owner_id: str
    vpc_id: str
    vswitch_id: str
    read_at: float
    spelled: Mapping[str, str]  # canonical → as the service writes it, where that differs
    details: Mapping[str, Any]  # told by the info module, never decided on; empty unless it was asked for

    @property
    def is_primary(self) -> bool:
        return self.type == "Primary"


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance: its state, its primary ENI, and which address is on which of its other ENIs. ``read_at`` as of an ENI."""

    instance_id: str
    status: str
    primary_eni_id: str | None
    on_other_enis: Mapping[str, str]
    read_at: float


def make_interface(record: Mapping[str, Any], read_at: float, *, detailed: bool = False) -> Interface:
    """From a row of DescribeNetworkInterfaces (ecs-api reference, NetworkInterfaceSets.NetworkInterfaceSet)."""
    eni_id = intern(read_text(record, "NetworkInterfaceId", source_of(record, "a network interface")))
    where = source_of(record, f"network interface {eni_id}")
    rows = {kind.name: _rows(record, *kind.record_path[:2], where) for kind in KINDS}
    status = read_text(record, "Status", where)
    if not rows[PRIVATE_IPV4] and status != "Deleting":
        raise _unreadable(where, f"{where} has no PrivateIpSet, though every ENI has a primary address")
    try:
        own = KIND_BY_NAME[PRIVATE_IPV4].parse(read_text(record, "PrivateIpAddress", where)) if record.get("PrivateIpAddress") else ""
    except ValueError as error:
        raise _unreadable(where, f"the PrivateIpAddress of {where}: {error}") from None
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
                raise _unreadable(where, f"{where} has a Primary of {address} that is neither true nor false")
            if mark or address == own:
                primary.add(address)
                continue
            held[kind.name].append(address)
            if written != address:
                spelled[address] = written
            public = NONE if row.get("AssociatedPublicIp") is None else row["AssociatedPublicIp"]
            if not isinstance(public, dict):
                raise _unreadable(where, f"{where} has an AssociatedPublicIp of {address} that is not a record")
            if public.get("PublicIpAddress") or public.get("AllocationId"):
                eips[address] = str(public.get("PublicIpAddress") or public["AllocationId"])
    if status != "Deleting" and (not any(":" not in address for address in primary) or (own and own not in primary)):
        raise _unreadable(where, f"{where} has no primary private IP address among its PrivateIpSet")
    return Interface(
        eni_id=eni_id,
        # What is the same for thousands of ENIs is kept once: intern, NONE.
        type=intern(read_text(record, "Type", where)),
        status=intern(status),
        instance_id=_text_if_any(record, "InstanceId", where) or None,
        private_ip_address=own or next((address for address in primary if ":" not in address), ""),
        primary=frozenset(primary),
        held=make_address_set({name: set(addresses) - primary for name, addresses in held.items()}),
        eips=eips or NONE,
        security_group_ids=tuple(intern(str(group_id)) for group_id in _entries(record.get("SecurityGroupIds"), "SecurityGroupId", where)),
        tags=read_tags(record, where) or NONE,
        service_managed=bool(record.get("ServiceManaged")),
        owner_id=intern(str(record.get("OwnerId") or "")),
        vpc_id=intern(str(record.get("VpcId") or "")),
        vswitch_id=intern(str(record.get("VSwitchId") or "")),
        read_at=read_at,
        spelled=spelled or NONE,
        details={key: record.get(key) for key in _DETAILS} if detailed else NONE,
    )


_DETAILS = ("NetworkInterfaceName", "Description", "MacAddress", "ZoneId", "ResourceGroupId", "CreationTime")


def make_instance(record: Mapping[str, Any], read_at: float) -> Instance:
    """From a row of DescribeInstances (Instances.Instance)."""
    instance_id = read_text(record, "InstanceId", source_of(record, "an instance"))
    where = source_of(record, f"instance {instance_id}")
    primary_eni_id = None
    others: dict[str, str] = {}
    for row in _rows(record, "NetworkInterfaces", "NetworkInterface", where):
        eni_id = read_text(row, "NetworkInterfaceId", where)
        if row.get("Type") == "Primary":
            primary_eni_id = eni_id
            continue
        for kind in KINDS:
            others.update((_address(entry, kind, where)[1], eni_id) for entry in _rows(row, *kind.record_path[:2], where))
    return Instance(instance_id, read_text(record, "Status", where), primary_eni_id, others, read_at)


def list_interfaces(ecs: Ecs, *, detailed: bool = False, broken: dict[str, EcsError] | None = None, **filters: Any) -> dict[str, Interface]:
    """All ENIs that the service's own filters let through (by the SDK's names), by id. A record that can't be read is an
    error, or goes into ``broken`` where one is given."""
    watch = ecs.stopwatch()
    records = ecs.network_interfaces(**filters)
    found: dict[str, Interface] = {}
    for record in records:
        try:
            interface = make_interface(record, watch.started, detailed=detailed)
        except EcsError as error:
            eni_id = record.get("NetworkInterfaceId")
            if broken is None or not isinstance(eni_id, str) or not eni_id:
                raise  # it may be any of those that were asked for
            broken[eni_id] = error
        else:
            found[interface.eni_id] = interface
    return found


def read_interfaces(
    ecs: Ecs, eni_ids: Iterable[str], *, detailed: bool = False, broken: dict[str, EcsError] | None = None
) -> dict[str, Interface]:
    """The ENIs of these ids that exist, by id; 100 ids a call."""

    def read(asked: list[str]) -> dict[str, Interface]:
        interfaces = list_interfaces(ecs, detailed=detailed, broken=broken, network_interface_id=asked)
        # An answer that was not asked for must never become a target.
        return {eni_id: interface for eni_id, interface in interfaces.items() if eni_id in asked}

    return in_batches(ecs, eni_ids, read)


def list_instances(ecs: Ecs, **filters: Any) -> dict[str, Instance]:
    """As ``list_interfaces``, for instances."""
    watch = ecs.stopwatch()
    records = ecs.instances(**filters)
    return {instance.instance_id: instance for instance in (make_instance(record, watch.started) for record in records)}


def read_instances(ecs: Ecs, instance_ids: Iterable[str]) -> dict[str, Instance]:
    """The instances of these ids that exist, by id; 100 ids a call."""

    def read(asked: list[str]) -> dict[str, Instance]:
        return {instance_id: instance for instance_id, instance in list_instances(ecs, instance_ids=asked).items() if instance_id in asked}

    return in_batches(ecs, instance_ids, read)


def in_batches(ecs: Ecs, ids: Iterable[str], read: Callable[[list[str]], dict[str, Any]]) -> dict[str, Any]:
    """What ``read`` finds for these ids, of which it takes 100 at once."""
    wanted = list(dict.fromkeys(ids))
    batches = [wanted[start : start + IDS_PER_READ] for start in range(0, len(wanted), IDS_PER_READ)]
    found: dict[str, Any] = {}
    for more in ecs.read_concurrently(read, batches):
        found |= more
    return found


@dataclass(frozen=True, slots=True)
class Source:
    """What a value was read from, and the call that returned it."""

    label: str
    action: str
    request_id: str | None

    def __str__(self) -> str:
        return self.label


def source_of(record: Mapping[str, Any], label: str) -> Source:
    """``label`` is the name of the record in messages. A record that no call returned has no request id."""
    return Source(label, getattr(record, "action", "The read"), getattr(record, "request_id", None))


def _unreadable(source: Source, what: str) -> EcsError:
    return EcsError(source.action, UNREADABLE_REPLY, f"the reply can't be read: {what}", source.request_id)


def read_text(record: Mapping[str, Any], key: str, where: Source) -> str:
    """What every record of its kind has."""
    value = record.get(key)
    if not isinstance(value, str) or not value:
        raise _unreadable(where, f"{where} has no {key}")
    return value


def read_tags(record: Mapping[str, Any], where: Source) -> dict[str, str]:
    """The tags of an ENI or a security group: key → value."""
    return {read_text(tag, "TagKey", where): _text_if_any(tag, "TagValue", where) for tag in _rows(record, "Tags", "Tag", where)}


def _text_if_any(record: Mapping[str, Any], key: str, where: Source) -> str:
    value = record.get(key)
    if value is not None and not isinstance(value, str):
        raise _unreadable(where, f"{where} has a {key} that is no text")
    return value or ""


def _address(row: Mapping[str, Any], kind: AddressKind, where: Source) -> tuple[str, str]:
    """As the service writes it, and canonical."""
    written = read_text(row, kind.record_path[2], where)
    try:
        return written, kind.parse(written)
    except ValueError as error:
        raise _unreadable(where, f"in {where} {error}") from None


def _entries(wrapper: Any, inner: str, where: Source) -> list[Any]:
    """The list inside its wrapper. An absent wrapper is an empty list: the service leaves out what an ENI has none of."""
    if wrapper is None:
        return []
    entries = wrapper.get(inner) if isinstance(wrapper, dict) else None
    if entries is None and isinstance(wrapper, dict):
        return []
    if not isinstance(entries, list):
        raise _unreadable(where, f"{where} has a {inner} that is not a list")
    return entries


def _rows(record: Mapping[str, Any], outer: str, inner: str, where: Source) -> list[Mapping[str, Any]]:
    rows = _entries(record.get(outer), inner, where)
    if not all(isinstance(row, dict) for row in rows):
        raise _unreadable(where, f"{where} has a {inner} with something that is not a record")
    return rows
