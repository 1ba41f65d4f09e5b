# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finding ENIs by what they are in: groups, instances, networks, tags; and those of their addresses that match.

Private to this collection. The service narrows the list where its filters can be trusted; every selector is checked
again on each ENI, and tags only here, because the service's tag filter ends silently at 1,000 resources.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import AddressSet, lies_in, make_address_set, overlaps
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs, Record
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import (
    Interface,
    in_batches,
    list_instances,
    list_interfaces,
    read_instances,
    read_interfaces,
    read_tags,
    read_text,
    source_of,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Selection, has_tag


class Found(NamedTuple):
    """The ENIs that every given selector fits, by id; what was named but does not exist; and the groups found by name or tag."""

    interfaces: list[Interface]
    missing: list[str]
    security_groups: dict[str, str]  # id → name


def select(ecs: Ecs, wanted: Selection) -> Found:
    if () in (wanted.eni_ids, wanted.instance_ids, wanted.security_group_ids, wanted.security_group_names):
        return Found([], [], {})
    missing: list[str] = []
    groups, group_sets = _look_up_groups(ecs, wanted, missing)
    filters: dict[str, Any] = {"vpc_id": wanted.vpc_id, "v_switch_id": wanted.vswitch_id, "status": wanted.status}
    if wanted.eni_ids is not None:
        found = read_interfaces(ecs, wanted.eni_ids, detailed=True)
        missing += [eni_id for eni_id in wanted.eni_ids if eni_id not in found]
    elif wanted.instance_ids is not None:
        instances = read_instances(ecs, wanted.instance_ids)
        missing += [instance_id for instance_id in wanted.instance_ids if instance_id not in instances]
        found = read_interfaces(ecs, filter(None, (instance.primary_eni_id for instance in instances.values())), detailed=True)
    elif group_sets:
        found = {}
        for group_id in group_sets[0]:
            found.update(_in_group(ecs, group_id, wanted, filters, known=found))
        in_use = {group_id for interface in found.values() for group_id in interface.security_group_ids}
        missing += _unknown_groups(ecs, [group_id for group_id in wanted.security_group_ids or () if group_id not in in_use])
    else:
        found = list_interfaces(ecs, detailed=True, type=wanted.type, **filters)
    fitting = [interface for _eni_id, interface in sorted(found.items()) if _fits(interface, wanted, group_sets)]
    return Found(fitting, missing, groups)


def matching(interface: Interface, wanted: Selection) -> AddressSet:
    """The secondary addresses of an ENI that the filters let through."""
    return make_address_set({kind: [address for address in interface.held[kind] if _matches(address, wanted)] for kind in wanted.kinds})


def _matches(address: str, wanted: Selection) -> bool:
    if wanted.private_ip_addresses is not None and address not in wanted.private_ip_addresses:
        return False
    if overlaps(address, wanted.excluding):
        return False
    return wanted.within is None or any(lies_in(address, block) for block in wanted.within)


def _look_up_groups(ecs: Ecs, wanted: Selection, missing: list[str]) -> tuple[dict[str, str], list[tuple[str, ...]]]:
    """The groups found by name or tag, and for each way of naming groups that was used, the ids that it comes to."""
    groups: dict[str, str] = {}
    group_sets = [] if wanted.security_group_ids is None else [wanted.security_group_ids]
    if wanted.security_group_names is not None:
        named: dict[str, str] = {}
        for name in wanted.security_group_names:
            # Compared here again: the service may take a name for a pattern.
            of_name = {
                _id(row): name for row in ecs.security_groups(security_group_name=name) if str(row.get("SecurityGroupName") or "") == name
            }
            missing += [] if of_name else [name]
            named |= of_name
        groups |= named
        group_sets.append(tuple(named))
    if wanted.security_group_tags:
        tagged = {_id(row): str(row.get("SecurityGroupName") or "") for row in ecs.security_groups() if _is_tagged(row, wanted)}
        # A mistyped tag is no empty group either.
        missing += [] if tagged else [", ".join(_tag_texts(wanted))]
        groups |= tagged
        group_sets.append(tuple(tagged))
    return groups, group_sets


def _id(row: Record) -> str:
    return read_text(row, "SecurityGroupId", source_of(row, "a security group"))


def _tag_texts(wanted: Selection) -> list[str]:
    return [f"{key}={'|'.join(values)}" if values else key for key, values in wanted.security_group_tags.items()]


def _is_tagged(row: Record, wanted: Selection) -> bool:
    held = read_tags(row, source_of(row, f"security group {_id(row)}"))
    return all(has_tag(held, key, values) for key, values in wanted.security_group_tags.items())


def _in_group(ecs: Ecs, group_id: str, wanted: Selection, filters: dict[str, Any], known: Iterable[str]) -> dict[str, Interface]:
    """Both roads into a group: the ENI list is documented to leave out primary ENIs, and instances tell those."""
    found: dict[str, Interface] = {}
    if wanted.type != "Primary":
        found.update(list_interfaces(ecs, detailed=True, security_group_id=group_id, **filters))
    if wanted.type != "Secondary":
        of_instances = {name: value for name, value in filters.items() if name != "status"}
        instances = list_instances(ecs, security_group_id=group_id, **of_instances)
        primaries = {instance.primary_eni_id for instance in instances.values() if instance.primary_eni_id}
        found.update(read_interfaces(ecs, sorted(primaries.difference(found, known)), detailed=True))
    return found


def _unknown_groups(ecs: Ecs, group_ids: list[str]) -> list[str]:
    """Of groups in which no ENI was found: those that do not exist, so that a mistyped id is not taken for an empty group."""
    existing = in_batches(ecs, group_ids, lambda asked: {_id(row): row for row in ecs.security_groups(security_group_ids=asked)})
    return [group_id for group_id in group_ids if group_id not in existing]


def _fits(interface: Interface, wanted: Selection, group_sets: Iterable[tuple[str, ...]]) -> bool:
    """Every selector, on the ENI itself."""
    return (
        (wanted.instance_ids is None or (interface.is_primary and interface.instance_id in wanted.instance_ids))
        and not any(set(group_ids).isdisjoint(interface.security_group_ids) for group_ids in group_sets)
        and (wanted.vpc_id is None or interface.vpc_id == wanted.vpc_id)
        and (wanted.vswitch_id is None or interface.vswitch_id == wanted.vswitch_id)
        and (wanted.status is None or interface.status == wanted.status)
        and (wanted.type is None or interface.type == wanted.type)
        and all(has_tag(interface.tags, key, values) for key, values in wanted.tags.items())
    )
