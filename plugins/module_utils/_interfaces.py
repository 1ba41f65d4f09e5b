# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: ENIs and instances, made from the records of the API.

Private to this collection. A record that cannot be read is an ``EcsError`` (UnreadableReply), and never an empty list. If an ENI
looked as if it had no addresses, a wrong plan would look right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import (
    KIND_BY_NAME,
    KINDS,
    PRIVATE_IPV4,
    AddressKind,
    AddressSet,
    make_address_set,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import (
    UNREADABLE_REPLY,
    EcsError,
)

NONE: Mapping[str, Any] = {}  # one shared empty mapping, to save memory


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
    eips: Mapping[str, str]  # secondary private IPv4 address → its EIP, or the id of the EIP if the service does not show the address
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
    """The ENI in a row of DescribeNetworkInterfaces (ecs-api reference, NetworkInterfaceSets.NetworkInterfaceSet)."""
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
    """The instance in a row of DescribeInstances (Instances.Instance)."""
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
    """A string that each such record must have. EcsError if it is missing or empty."""
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
    """The address in the form of the service, and in the canonical form."""
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
