# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions that only read."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ecs_emulator.context import Context
from ecs_emulator.errors import refusal
from ecs_emulator.model import Instance, Interface
from ecs_emulator.paging import Limits, page
from ecs_emulator.records import group_record, instance_record, interface_attribute, interface_record, region_record

INTERFACE_LIMITS = Limits(least=10, most=500, most_by_page=1000)
INSTANCE_LIMITS = Limits(least=10, most=100, most_by_page=100)
GROUP_LIMITS = Limits(least=1, most=100, most_by_page=100)
MOST_IDS = 100
# A tag filter ends at this number of matches.
MOST_TAGGED = 1000


def describe_network_interfaces(context: Context) -> dict[str, Any]:
    region, parameters = context.region(), context.parameters
    catalogue = context.world.interfaces
    ids = set(parameters.listed("NetworkInterfaceId", MOST_IDS))
    addresses = set(parameters.listed("PrivateIpAddress", MOST_IDS))
    ipv6_addresses = set(parameters.listed("Ipv6Address", MOST_IDS))
    primary_address, instance_id = parameters.text("PrimaryIpAddress"), parameters.text("InstanceId")
    group_id, vswitch_id, vpc_id = parameters.text("SecurityGroupId"), parameters.text("VSwitchId"), parameters.text("VpcId")
    groups_of_all = context.switches["group_filter"] == "all"
    tags = parameters.tags()
    plain = [
        (parameters.text("Type"), lambda eni: eni.type),
        (parameters.text("Status"), lambda eni: eni.status),
        (parameters.text("NetworkInterfaceName"), lambda eni: eni.name),
        (parameters.text("ResourceGroupId"), lambda eni: eni.resource_group_id),
        (vswitch_id, lambda eni: eni.vswitch.vswitch_id),
        (vpc_id, lambda eni: eni.vswitch.vpc_id),
        (instance_id, lambda eni: eni.instance_id),
        (primary_address, lambda eni: eni.primary_address),
        (parameters.flag("ServiceManaged"), lambda eni: eni.service_managed),
    ]
    asked: list[tuple[Any, Callable[[Interface], Any]]] = [(wanted, of) for wanted, of in plain if wanted not in ("", None)]

    def matches(eni: Interface) -> bool:
        return (
            eni.vswitch.region_id == region
            and all(of(eni) == wanted for wanted, of in asked)
            and (not ids or eni.eni_id in ids)
            and (not group_id or (group_id in eni.security_group_ids and (groups_of_all or eni.type != "Primary")))
            and (not addresses or any(address in addresses for address in eni.private_ip_addresses))
            and (not ipv6_addresses or any(address in ipv6_addresses for address in eni.addresses))
            and _has_tags(eni.tags, tags)
        )

    def look(position: int) -> Interface | None:
        eni: Interface | None = context.view(catalogue.timelines[position])
        return eni if eni is not None and eni.eni_id not in context.dropped and matches(eni) else None

    narrow = [
        _positions_of_ids(context, ids),
        _positions_in(context, "address", addresses),
        _positions_in(context, "address", ipv6_addresses),
        *(
            _positions_in(context, index, [value] if value else [])
            for index, value in (
                ("address", primary_address),
                ("instance", instance_id),
                ("group", group_id),
                ("vswitch", vswitch_id),
                ("vpc", vpc_id),
            )
        ),
    ]
    candidates: Sequence[int] = min((found for found in narrow if found is not None), key=len, default=range(len(catalogue.timelines)))
    if tags:
        candidates = [position for position in candidates if look(position)][:MOST_TAGGED]
    found = page(context, "DescribeNetworkInterfaces", candidates, look, INTERFACE_LIMITS)
    records = [interface_record(eni, context.world.account, context.switches) for eni in found.rows]
    return {**found.fields, "NetworkInterfaceSets": {"NetworkInterfaceSet": records}}


def describe_network_interface_attribute(context: Context) -> dict[str, Any]:
    region = context.region()
    eni_id = context.parameters.required("NetworkInterfaceId")
    timeline = context.world.interfaces.find(eni_id)
    eni: Interface | None = context.view(timeline) if timeline else None
    if eni is None or eni.vswitch.region_id != region or eni_id in context.dropped:
        raise refusal("InvalidEniId.NotFound", eni_id)
    return interface_attribute(interface_record(eni, context.world.account, context.switches))


def describe_instances(context: Context, *, permitted: bool = True) -> dict[str, Any]:
    region, parameters = context.region(), context.parameters
    catalogue = context.world.interfaces
    instance_ids = parameters.json_list("InstanceIds", MOST_IDS)
    addresses = parameters.json_list("PrivateIpAddresses", MOST_IDS)
    if parameters.text("InstanceNetworkType") != "vpc":
        # The filter takes effect only together with the network type.
        addresses = None
    group_id, vswitch_id, vpc_id = parameters.text("SecurityGroupId"), parameters.text("VSwitchId"), parameters.text("VpcId")
    name, tags = parameters.text("InstanceName"), parameters.tags()
    network_type = parameters.text("InstanceNetworkType")
    plain: list[tuple[str, Callable[[Instance, Interface], str]]] = [
        (parameters.text("Status"), lambda instance, eni: instance.status),
        (parameters.text("InstanceType"), lambda instance, eni: instance.instance_type),
        (parameters.text("ResourceGroupId"), lambda instance, eni: instance.resource_group_id),
        (parameters.text("ZoneId"), lambda instance, eni: eni.vswitch.zone_id),
        (vswitch_id, lambda instance, eni: eni.vswitch.vswitch_id),
        (vpc_id, lambda instance, eni: eni.vswitch.vpc_id),
        (network_type, lambda instance, eni: "vpc"),
    ]
    asked = [(wanted, of) for wanted, of in plain if wanted]

    def matches(instance: Instance, eni: Interface) -> bool:
        return (
            permitted
            and instance.instance_id not in context.dropped
            and instance.region_id == region
            and all(of(instance, eni) == wanted for wanted, of in asked)
            and (instance_ids is None or instance.instance_id in instance_ids)
            and (addresses is None or eni.primary_address in addresses)
            and (not group_id or group_id in eni.security_group_ids)
            and (not name or fnmatch.fnmatchcase(instance.name, name))
            and _has_tags(instance.tags, tags)
        )

    def look(position: int) -> tuple[Instance, Interface] | None:
        """The network of an instance is that of its primary interface."""
        eni: Interface | None = context.view(catalogue.timelines[position])
        timeline = context.world.instances.get(eni.instance_id) if eni and eni.type == "Primary" else None
        instance: Instance | None = context.view(timeline) if timeline else None
        return (instance, eni) if instance and eni and matches(instance, eni) else None

    narrow = [
        _positions_in(context, "instance", instance_ids) if instance_ids is not None else None,
        _positions_in(context, "group", [group_id] if group_id else []),
        _positions_in(context, "vswitch", [vswitch_id] if vswitch_id else []),
    ]
    if instance_ids == []:
        # An empty list is a filter that nothing matches.
        narrow = [[]]
    candidates: Sequence[int] = min((found for found in narrow if found is not None), key=len, default=range(len(catalogue.timelines)))
    if tags:
        candidates = [position for position in candidates if look(position)][:MOST_TAGGED]
    found = page(context, "DescribeInstances", candidates, look, INSTANCE_LIMITS)
    records = [instance_record(instance, eni, _interfaces_of(context, instance.instance_id)) for instance, eni in found.rows]
    return {**found.fields, "Instances": {"Instance": records}}


def describe_security_groups(context: Context) -> dict[str, Any]:
    region, parameters = context.region("MissingParameter.RegionId"), context.parameters
    if context.switches["group_page_numbers"] == "refuse" and (parameters.text("PageNumber") or parameters.text("PageSize")):
        raise refusal("NotSupported.PageNumberAndPageSize")
    group_id = parameters.text("SecurityGroupId")
    if group_id and not group_id.startswith("sg-"):
        raise refusal("InvalidSecurityGroupId.Malformed")
    ids = parameters.json_list("SecurityGroupIds", MOST_IDS)
    managed, tags = parameters.flag("ServiceManaged"), parameters.tags()
    kind, vpc_id, name = parameters.text("SecurityGroupType"), parameters.text("VpcId"), parameters.text("SecurityGroupName")
    groups = list(context.world.security_groups.values())

    def look(position: int) -> dict[str, Any] | None:
        group = groups[position]
        matches = (
            group.region_id == region
            and group.group_id not in context.dropped
            and (not group_id or group.group_id == group_id)
            and (ids is None or group.group_id in ids)
            and (not kind or group.type == kind)
            and (not vpc_id or group.vpc_id == vpc_id)
            and (not name or group.name == name)
            and (managed is None or group.service_managed == managed)
            and _has_tags(group.tags, tags)
        )
        return group_record(group) if matches else None

    found = page(context, "DescribeSecurityGroups", range(len(groups)), look, GROUP_LIMITS, bad_token="InValidParameter.NextToken")
    fields = dict(found.fields)
    if parameters.text("MaxResults") or parameters.text("NextToken"):
        for field in ("TotalCount", "PageNumber", "PageSize"):
            del fields[field]
    return {"RegionId": region, **fields, "SecurityGroups": {"SecurityGroup": found.rows}}


def describe_regions(context: Context) -> dict[str, Any]:
    return {"Regions": {"Region": [region_record(region) for region in context.world.regions]}}


def _interfaces_of(context: Context, instance_id: str) -> list[Interface]:
    catalogue = context.world.interfaces
    seen = (context.view(catalogue.timelines[position]) for position in catalogue.positions("instance", instance_id))
    shown = (eni for eni in seen if eni and eni.instance_id == instance_id and not eni.service_managed)
    return [eni for eni in shown if eni.eni_id not in context.dropped]


def _positions_of_ids(context: Context, ids: set[str]) -> list[int] | None:
    if not ids:
        return None
    known = context.world.interfaces.position
    return sorted(known[eni_id] for eni_id in ids if eni_id in known)


def _positions_in(context: Context, index: str, values: Iterable[str]) -> list[int] | None:
    """The positions for any of the values. None without values."""
    lists = [context.world.interfaces.positions(index, value) for value in set(values)]
    if not lists:
        return None
    return lists[0] if len(lists) == 1 else sorted(set().union(*lists))


def _has_tags(tags: Mapping[str, str], wanted: Iterable[tuple[str, str | None]]) -> bool:
    return all(key in tags and value in (None, tags[key]) for key, value in wanted)
