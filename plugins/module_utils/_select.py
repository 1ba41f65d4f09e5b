# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find ENIs by security group, instance, network, tags and so on, and their addresses that match the filters.

Private to this collection. Reliable filters of the service shorten the list, and every selector is checked again on each ENI. Tags
are checked only here, because the tag filter of the service silently ends at 1,000 resources.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import AddressSet, make_address_set
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs, Record
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import UNREADABLE_REPLY, EcsError
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import Instance, Interface, read_tags, read_text, source_of
from ansible_collections.alicloud_ops.network.plugins.module_utils._read import (
    Unreadable,
    in_batches,
    list_instances,
    list_interfaces,
    read_instances,
    read_seen_interfaces,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Selection, has_tag


class SecurityGroup(NamedTuple):
    name: str
    vpc_id: str


class Found(NamedTuple):
    """The ENIs that match all selectors, sorted by id; selectors that match nothing; the security groups found by name or tag; and ENIs
    and instances that exist but cannot be read, so that it is unknown whether they match."""

    interfaces: list[Interface]
    missing: list[str]
    security_groups: dict[str, SecurityGroup]  # by id
    unreadable: Unreadable


def select(ecs: Ecs, wanted: Selection) -> Found:
    if () in (wanted.eni_ids, wanted.instance_ids, wanted.security_group_ids, wanted.security_group_names, wanted.vpc_ids):
        return Found([], [], {}, {})
    missing: list[str] = []
    unreadable: Unreadable = {}
    groups, group_sets = _look_up_groups(ecs, wanted, missing)
    vpc_id = wanted.vpc_ids[0] if wanted.vpc_ids and len(wanted.vpc_ids) == 1 else None
    filters: dict[str, Any] = {"vpc_id": vpc_id, "v_switch_id": wanted.vswitch_id, "status": wanted.status}
    if wanted.eni_ids is not None:
        found = read_seen_interfaces(ecs, wanted.eni_ids, (), unreadable, detailed=True)
        missing += [eni_id for eni_id in wanted.eni_ids if eni_id not in found and eni_id not in unreadable]
    elif wanted.instance_ids is not None:
        instances = read_instances(ecs, wanted.instance_ids, unreadable)
        missing += [instance_id for instance_id in wanted.instance_ids if instance_id not in instances and instance_id not in unreadable]
        found = _of_instances(ecs, instances.values(), unreadable, all_enis=wanted.all_enis_of_instances)
    elif group_sets:
        found = {}
        for group_id in group_sets[0]:
            found.update(_in_group(ecs, group_id, wanted, filters, unreadable))
        in_use = {group_id for interface in found.values() for group_id in interface.security_group_ids}
        missing += _unknown_groups(ecs, [group_id for group_id in wanted.security_group_ids or () if group_id not in in_use])
    else:
        found = list_interfaces(ecs, unreadable, detailed=True, type=wanted.type, **filters)
    fitting = []
    for eni_id, interface in sorted(found.items()):
        lacking = _find_lacking(interface, wanted, group_sets)
        if lacking:
            text = f"the record of the ENI {eni_id} has no {' and no '.join(lacking)}, so it is unknown whether it matches"
            unreadable[eni_id] = EcsError("DescribeNetworkInterfaces", UNREADABLE_REPLY, text)
        elif lacking is not None:
            fitting.append(interface)
    return Found(fitting, missing, groups, unreadable)


def matching(interface: Interface, wanted: Selection) -> AddressSet:
    """The secondary addresses of an ENI that match the address filters."""
    return make_address_set({kind: [address for address in interface.held[kind] if _matches(address, wanted)] for kind in wanted.kinds})


def _matches(address: str, wanted: Selection) -> bool:
    if wanted.private_ip_addresses is not None and address not in wanted.private_ip_addresses:
        return False
    if wanted.excluding.overlapping(address):
        return False
    return wanted.within is None or wanted.within.containing(address) is not None


def _of_instances(ecs: Ecs, instances: Iterable[Instance], unreadable: Unreadable, *, all_enis: bool = False) -> dict[str, Interface]:
    """The primary ENIs of these instances, or all their ENIs."""
    eni_ids = [
        eni_id
        for instance in instances
        for eni_id in (instance.primary_eni_id, *(instance.secondary_eni_ids if all_enis else ()))
        if eni_id
    ]
    return read_seen_interfaces(ecs, eni_ids, eni_ids, unreadable, detailed=True)


def _look_up_groups(ecs: Ecs, wanted: Selection, missing: list[str]) -> tuple[dict[str, SecurityGroup], list[tuple[str, ...]]]:
    """The security groups found by name or tag, and the ids for each group selector that is set."""
    groups: dict[str, SecurityGroup] = {}
    group_sets = [] if wanted.security_group_ids is None else [wanted.security_group_ids]
    if wanted.security_group_names is not None:
        named: dict[str, SecurityGroup] = {}
        for name in wanted.security_group_names:
            # Compared again, because the service may use the name as a pattern.
            of_name = _groups(
                wanted, (row for row in ecs.security_groups(security_group_name=name) if row.get("SecurityGroupName") == name)
            )
            missing += [] if of_name else [name]
            named |= of_name
        groups |= named
        group_sets.append(tuple(named))
    if wanted.security_group_tags:
        tagged = _groups(wanted, (row for row in ecs.security_groups() if _is_tagged(row, wanted)))
        # A mistyped tag must not look like an empty security group.
        missing += [] if tagged else [", ".join(_tag_texts(wanted))]
        groups |= tagged
        group_sets.append(tuple(tagged))
    return groups, group_sets


def _groups(wanted: Selection, rows: Iterable[Record]) -> dict[str, SecurityGroup]:
    groups = {_id(row): SecurityGroup(str(row.get("SecurityGroupName") or ""), str(row.get("VpcId") or "")) for row in rows}
    return {group_id: group for group_id, group in groups.items() if wanted.vpc_ids is None or group.vpc_id in wanted.vpc_ids}


def _id(row: Record) -> str:
    return read_text(row, "SecurityGroupId", source_of(row, "a security group"))


def _tag_texts(wanted: Selection) -> list[str]:
    return [f"{key}={'|'.join(values)}" if values else key for key, values in wanted.security_group_tags.items()]


def _is_tagged(row: Record, wanted: Selection) -> bool:
    held = read_tags(row, source_of(row, f"security group {_id(row)}"))
    return all(has_tag(held, key, values) for key, values in wanted.security_group_tags.items())


def _in_group(ecs: Ecs, group_id: str, wanted: Selection, filters: dict[str, Any], unreadable: Unreadable) -> dict[str, Interface]:
    """The ENIs in a security group. The documentation says that the list of ENIs by group leaves out primary ENIs, so these are found
    by the instances in the group."""
    found: dict[str, Interface] = {}
    if wanted.type != "Primary":
        found.update(list_interfaces(ecs, unreadable, detailed=True, security_group_id=group_id, **filters))
    if wanted.type != "Secondary":
        of_instances = {name: value for name, value in filters.items() if name != "status"}
        instances = list_instances(ecs, unreadable, security_group_id=group_id, **of_instances)
        found |= _of_instances(ecs, [one for one in instances.values() if one.primary_eni_id not in found], unreadable)
    return found


def _unknown_groups(ecs: Ecs, group_ids: list[str]) -> list[str]:
    """The groups that do not exist, so that a mistyped id does not look like an empty group."""
    existing = read_group_names(ecs, group_ids)
    return [group_id for group_id in group_ids if group_id not in existing]


def read_group_names(ecs: Ecs, group_ids: Iterable[str]) -> dict[str, str]:
    """Id → name of the groups that exist."""

    def read(asked: list[str]) -> dict[str, str]:
        return {_id(row): str(row.get("SecurityGroupName") or "") for row in ecs.security_groups(security_group_ids=asked)}

    return in_batches(ecs, group_ids, read)


def _find_lacking(interface: Interface, wanted: Selection, group_sets: Iterable[tuple[str, ...]]) -> list[str] | None:
    """The fields that the record lacks, so that it cannot confirm a selector. Empty if the ENI matches every selector, and None if it
    does not match one of them. Records of service-managed ENIs may lack fields, so a missing field does not prove a mismatch."""
    is_attached = interface.status != "Available"
    of_record = {
        "InstanceId": (wanted.instance_ids is None or _is_of_instance(interface, wanted), is_attached and not interface.instance_id),
        "SecurityGroupIds": (
            not any(set(group_ids).isdisjoint(interface.security_group_ids) for group_ids in group_sets),
            not interface.security_group_ids,
        ),
        "VpcId": (wanted.vpc_ids is None or interface.vpc_id in wanted.vpc_ids, not interface.vpc_id),
        "VSwitchId": (wanted.vswitch_id is None or interface.vswitch_id == wanted.vswitch_id, not interface.vswitch_id),
    }
    fits = (
        all(matches or is_lacking for matches, is_lacking in of_record.values())
        and (wanted.status is None or interface.status == wanted.status)
        and (wanted.type is None or interface.type == wanted.type)
        and all(has_tag(interface.tags, key, values) for key, values in wanted.tags.items())
    )
    return [name for name, (matches, _is_lacking) in of_record.items() if not matches] if fits else None


def _is_of_instance(interface: Interface, wanted: Selection) -> bool:
    return interface.instance_id in (wanted.instance_ids or ()) and (interface.is_primary or wanted.all_enis_of_instances)
