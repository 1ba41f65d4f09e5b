# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finding ENIs by what they are in: groups, instances, networks, tags; and those of their addresses that match.

Private to this collection. The service narrows the list where its filters can be trusted; every selector is checked
again on each ENI, and tags only here, because the service's tag filter ends silently at 1,000 resources.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import Lists, as_network, make_lists, overlaps
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import (
    Interface,
    list_interfaces,
    make_instance,
    read_instances,
    read_interfaces,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Selection, has_tag


def select(ecs: Ecs, wanted: Selection) -> tuple[list[Interface], list[str]]:
    """The ENIs that every given selector fits, by id, and the ids that were named but do not exist."""
    if () in (wanted.eni_ids, wanted.instance_ids, wanted.security_group_ids):
        return [], []
    missing: list[str] = []
    narrowed = {"vpc_id": wanted.vpc_id, "v_switch_id": wanted.vswitch_id, "status": wanted.status}
    filters = {name: value for name, value in narrowed.items() if value}
    if wanted.eni_ids is not None:
        found = read_interfaces(ecs, wanted.eni_ids)
        missing += [eni_id for eni_id in wanted.eni_ids if eni_id not in found]
    elif wanted.instance_ids is not None:
        instances = read_instances(ecs, wanted.instance_ids)
        missing += [instance_id for instance_id in wanted.instance_ids if instance_id not in instances]
        found = read_interfaces(ecs, filter(None, (instance.primary_eni_id for instance in instances.values())))
    elif wanted.security_group_ids is not None:
        found = {}
        for group_id in wanted.security_group_ids:
            found.update(_in_group(ecs, group_id, wanted, filters, known=found))
        in_use = {group_id for interface in found.values() for group_id in interface.security_group_ids}
        missing += _unknown_groups(ecs, [group_id for group_id in wanted.security_group_ids if group_id not in in_use])
    else:
        found = list_interfaces(ecs, **filters, **({"type": wanted.type} if wanted.type else {}))
    return [interface for _eni_id, interface in sorted(found.items()) if _fits(interface, wanted)], missing


def matching(interface: Interface, wanted: Selection) -> Lists:
    """The secondary addresses of an ENI that the filters let through."""
    return make_lists({kind: [address for address in interface.held[kind] if _matches(address, wanted)] for kind in wanted.kinds})


def _matches(address: str, wanted: Selection) -> bool:
    if wanted.private_ip_addresses is not None and address not in wanted.private_ip_addresses:
        return False
    if overlaps(address, wanted.excluding):
        return False
    return wanted.within is None or any(_lies_in(address, block) for block in wanted.within)


def _lies_in(address: str, block: str) -> bool:
    inner, outer = as_network(address), as_network(block)
    return inner.version == outer.version and inner.subnet_of(outer)


def _in_group(ecs: Ecs, group_id: str, wanted: Selection, filters: dict[str, Any], known: Iterable[str]) -> dict[str, Interface]:
    """Both roads into a group: the ENI list is documented to leave out primary ENIs, and instances tell those."""
    found: dict[str, Interface] = {}
    if wanted.type != "Primary":
        found.update(list_interfaces(ecs, security_group_id=group_id, **filters))
    if wanted.type != "Secondary":
        of_instances = {name: value for name, value in filters.items() if name != "status"}
        instances = map(make_instance, ecs.instances(security_group_id=group_id, **of_instances))
        primaries = {instance.primary_eni_id for instance in instances if instance.primary_eni_id}
        found.update(read_interfaces(ecs, sorted(primaries.difference(found, known))))
    return found


def _unknown_groups(ecs: Ecs, group_ids: list[str]) -> list[str]:
    """Of groups in which no ENI was found: those that do not exist, so that a mistyped id is not taken for an empty group."""
    existing = ecs.security_group_ids(group_ids)
    return [group_id for group_id in group_ids if group_id not in existing]


def _fits(interface: Interface, wanted: Selection) -> bool:
    """Every selector, on the ENI itself."""
    return (
        (wanted.instance_ids is None or (interface.is_primary and interface.instance_id in wanted.instance_ids))
        and (wanted.security_group_ids is None or not set(wanted.security_group_ids).isdisjoint(interface.security_group_ids))
        and (wanted.vpc_id is None or interface.details["VpcId"] == wanted.vpc_id)
        and (wanted.vswitch_id is None or interface.vswitch_id == wanted.vswitch_id)
        and (wanted.status is None or interface.status == wanted.status)
        and (wanted.type is None or interface.type == wanted.type)
        and all(has_tag(interface.tags, key, values) for key, values in wanted.tags.items())
    )
