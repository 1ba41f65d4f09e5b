# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ENIs and instances, made from the records of the API, and functions to read them by id.

Private to this collection. A record that cannot be read is an ``EcsError`` (UnreadableReply), and never an empty list. If an ENI
looked as if it had no addresses, a wrong plan would look right.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import (
    KIND_BY_NAME,
    KINDS,
    PRIVATE_IPV4,
    AddressKind,
    AddressSet,
    make_address_set,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs, Record
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import (
    ENI_NOT_RETURNED,
    INSTANCE_WITHOUT_ENI,
    UNREADABLE_REPLY,
    EcsError,
)

NONE: Mapping[str, Any] = {}  # one shared empty mapping, to save memory
IDS_PER_READ = 100  # NetworkInterfaceId.N and InstanceIds both take at most 100


@dataclass(frozen=True, slots=True)
class Interface:
    """One ENI as one read showed it. ``read_at`` is ``_clock.now`` right before that read was sent."""

    eni_id: str
    type: str
    status: str
    instance_id: str | None
    private_ip_address: str
    primary: frozenset[str]  # IPv4 and IPv6 addresses that the service marks as Primary, and private_ip_address
    held: AddressSet  # only secondary addresses
    eips: Mapping[str, str]  # secondary private IPv4 address → its EIP
    security_group_ids: tuple[str, ...]
    tags: Mapping[str, str]
    service_managed: bool
    owner_id: str
    vpc_id: str
    vswitch_id: str
    read_at: float
    spelled: Mapping[str, str]  # canonical form → form of the service, if it differs
    details: Mapping[str, Any]  # only for the result of the info module and the inventory; empty unless requested

    @property
    def is_primary(self) -> bool:
        return self.type == "Primary"


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance with its state, its ENIs, and the addresses on its secondary ENIs. ``read_at`` as for an ENI."""

    instance_id: str
    status: str
    primary_eni_id: str | None
    secondary_eni_ids: tuple[str, ...]
    on_other_enis: Mapping[str, str]  # address → secondary ENI
    read_at: float


def make_interface(record: Mapping[str, Any], read_at: float, *, detailed: bool = False) -> Interface:
    """Made from a row of DescribeNetworkInterfaces (ecs-api reference, NetworkInterfaceSets.NetworkInterfaceSet)."""
    eni_id = read_text(record, "NetworkInterfaceId", source_of(record, "a network interface"))
    where = source_of(record, f"network interface {eni_id}")
    rows = {kind.name: _rows(record, *kind.record_path[:2], where) for kind in KINDS}
    status = read_text(record, "Status", where)
    if not rows[PRIVATE_IPV4] and status != "Deleting":
        raise _unreadable(where, f"{where} has no PrivateIpSet, although every ENI has a primary address")
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
            # A row without Primary is compared with the PrivateIpAddress of the ENI, which is the primary address.
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
        type=read_text(record, "Type", where),
        status=status,
        instance_id=_text_if_any(record, "InstanceId", where) or None,
        private_ip_address=own or next((address for address in primary if ":" not in address), ""),
        primary=frozenset(primary),
        held=make_address_set({name: set(addresses) - primary for name, addresses in held.items()}),
        eips=eips or NONE,
        security_group_ids=tuple(str(group_id) for group_id in _entries(record.get("SecurityGroupIds"), "SecurityGroupId", where)),
        tags=read_tags(record, where) or NONE,
        service_managed=bool(record.get("ServiceManaged")),
        owner_id=str(record.get("OwnerId") or ""),
        vpc_id=str(record.get("VpcId") or ""),
        vswitch_id=str(record.get("VSwitchId") or ""),
        read_at=read_at,
        spelled=spelled or NONE,
        details={key: record.get(key) for key in _DETAILS} if detailed else NONE,
    )


_DETAILS = ("NetworkInterfaceName", "Description", "MacAddress", "ZoneId", "ResourceGroupId", "CreationTime")


def make_instance(record: Mapping[str, Any], read_at: float) -> Instance:
    """Made from a row of DescribeInstances (Instances.Instance)."""
    instance_id = read_text(record, "InstanceId", source_of(record, "an instance"))
    where = source_of(record, f"instance {instance_id}")
    primary_eni_id = None
    secondary_eni_ids = []
    others: dict[str, str] = {}
    for row in _rows(record, "NetworkInterfaces", "NetworkInterface", where):
        eni_id = read_text(row, "NetworkInterfaceId", where)
        if row.get("Type") == "Primary":
            primary_eni_id = eni_id
            continue
        secondary_eni_ids.append(eni_id)
        for kind in KINDS:
            others.update((_address(entry, kind, where)[1], eni_id) for entry in _rows(row, *kind.record_path[:2], where))
    return Instance(instance_id, read_text(record, "Status", where), primary_eni_id, tuple(secondary_eni_ids), others, read_at)


Unreadable: TypeAlias = "dict[str, EcsError]"  # by id: ENIs and instances whose records are missing or cannot be read


def list_interfaces(ecs: Ecs, unreadable: Unreadable, *, detailed: bool = False, **filters: Any) -> dict[str, Interface]:
    """All ENIs that match the filters of the service (with the names of the SDK), by id. Adds records that cannot be read to
    ``unreadable``. A record without an id is an error of the whole list."""
    watch = ecs.stopwatch()
    found: dict[str, Interface] = {}
    for record in ecs.network_interfaces(**filters):
        try:
            interface = make_interface(record, watch.started, detailed=detailed)
        except EcsError as error:
            unreadable[_id_of(record, "NetworkInterfaceId", error)] = error
        else:
            found[interface.eni_id] = interface
    return found


def read_interfaces(ecs: Ecs, eni_ids: Iterable[str], unreadable: Unreadable, *, detailed: bool = False) -> dict[str, Interface]:
    """The ENIs with these ids that one read shows, by id. Each call reads 100 ids."""

    return in_batches(ecs, eni_ids, lambda asked: _read_batch(ecs, asked, unreadable, detailed))


def _read_batch(ecs: Ecs, asked: list[str], unreadable: Unreadable, detailed: bool) -> dict[str, Interface]:
    interfaces = list_interfaces(ecs, unreadable, detailed=detailed, network_interface_id=asked)
    # An ENI that was not requested must never become a target.
    return {eni_id: interface for eni_id, interface in interfaces.items() if eni_id in asked}


def read_seen_interfaces(
    ecs: Ecs, eni_ids: Iterable[str], seen: Collection[str], unreadable: Unreadable, *, detailed: bool = False
) -> dict[str, Interface]:
    """As ``read_interfaces``, for ENIs that this run may have ``seen`` before. If a record is missing in a read, it is read again,
    because one read proves nothing. An ENI that was seen before is then ``unreadable``, and never counts as missing."""
    wanted = list(dict.fromkeys(eni_ids))
    found = read_interfaces(ecs, wanted, unreadable, detailed=detailed)
    lacking = [eni_id for eni_id in wanted if eni_id not in found and eni_id not in unreadable]

    def read_again(asked: list[str]) -> dict[str, Interface]:
        interfaces = _read_batch(ecs, asked, unreadable, detailed)
        for eni_id in asked:
            if eni_id in seen and eni_id not in interfaces and eni_id not in unreadable:
                text = f"this run has read the ENI {eni_id} before, but two later reads did not return it"
                unreadable[eni_id] = EcsError("DescribeNetworkInterfaces", ENI_NOT_RETURNED, text, ecs.last_request_id)
        return interfaces

    return found | in_batches(ecs, lacking, read_again)


def list_instances(ecs: Ecs, unreadable: Unreadable, **filters: Any) -> dict[str, Instance]:
    """As ``list_interfaces``, for instances. An instance without a primary ENI in its record is ``unreadable`` too."""
    watch = ecs.stopwatch()
    found: dict[str, Instance] = {}
    for record in ecs.instances(**filters):
        try:
            instance = make_instance(record, watch.started)
        except EcsError as error:
            unreadable[_id_of(record, "InstanceId", error)] = error
            continue
        found[instance.instance_id] = instance
        if instance.primary_eni_id is None:
            text = f"the record of the instance {instance.instance_id} has no primary ENI, although every instance has one"
            unreadable[instance.instance_id] = EcsError("DescribeInstances", INSTANCE_WITHOUT_ENI, text, source_of(record, "").request_id)
    return found


def read_instances(ecs: Ecs, instance_ids: Iterable[str], unreadable: Unreadable) -> dict[str, Instance]:
    """The instances with these ids that exist, by id. Each call reads 100 ids. If a record is missing in a read, it is read again,
    because one read proves nothing."""

    def read(asked: list[str]) -> dict[str, Instance]:
        found = list_instances(ecs, unreadable, instance_ids=asked)
        return {instance_id: instance for instance_id, instance in found.items() if instance_id in asked}

    wanted = list(instance_ids)
    found = in_batches(ecs, wanted, read)
    return found | in_batches(ecs, (each for each in wanted if each not in found and each not in unreadable), read)


def _id_of(record: Record, key: str, error: EcsError) -> str:
    """The id of a record that cannot be read. Without an id, raises ``error``, because it may be any of the requested records."""
    found = record.get(key)
    if not isinstance(found, str) or not found:
        raise error
    return found


def in_batches(ecs: Ecs, ids: Iterable[str], read: Callable[[list[str]], dict[str, Any]]) -> dict[str, Any]:
    """The results of ``read`` for these ids, in batches of 100."""
    wanted = list(dict.fromkeys(ids))
    batches = [wanted[start : start + IDS_PER_READ] for start in range(0, len(wanted), IDS_PER_READ)]
    found: dict[str, Any] = {}
    for more in ecs.read_concurrently(read, batches):
        found |= more
    return found


@dataclass(frozen=True, slots=True)
class Source:
    """The record that a value comes from, and the call that returned it."""

    label: str
    action: str
    request_id: str | None

    def __str__(self) -> str:
        return self.label


def source_of(record: Mapping[str, Any], label: str) -> Source:
    """``label`` is the name of the record in messages. A record that does not come from a call has no request id."""
    return Source(label, getattr(record, "action", "The read"), getattr(record, "request_id", None))


def _unreadable(source: Source, what: str) -> EcsError:
    return EcsError(source.action, UNREADABLE_REPLY, f"the reply cannot be read: {what}", source.request_id)


def read_text(record: Mapping[str, Any], key: str, where: Source) -> str:
    """A string that every record of this kind must have."""
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
        raise _unreadable(where, f"{where} has a {key} that is not a string")
    return value or ""


def _address(row: Mapping[str, Any], kind: AddressKind, where: Source) -> tuple[str, str]:
    """The form of the service, and the canonical form."""
    written = read_text(row, kind.record_path[2], where)
    try:
        return written, kind.parse(written)
    except ValueError as error:
        raise _unreadable(where, f"in {where} {error}") from None


def _entries(wrapper: Any, inner: str, where: Source) -> list[Any]:
    """The list inside its wrapper. A missing wrapper is an empty list, because the service leaves out empty lists."""
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
    if rows and not all(isinstance(row, dict) for row in rows):
        raise _unreadable(where, f"{where} has a {inner} with something that is not a record")
    return rows
