# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces, instances and groups as records of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ecs_emulator.model import Instance, Interface, SecurityGroup, allocation_id, service_id

CREATED = "2026-01-01T00:00:00Z"


def interface_record(interface: Interface, account: str, switches: Mapping[str, str]) -> dict[str, Any]:
    vswitch = interface.vswitch
    record: dict[str, Any] = {
        "NetworkInterfaceId": interface.eni_id,
        "NetworkInterfaceName": interface.name,
        "Description": interface.description,
        "Status": interface.status,
        "Type": interface.type,
        "MacAddress": interface.mac,
        "ZoneId": vswitch.zone_id,
        "VpcId": vswitch.vpc_id,
        "VSwitchId": vswitch.vswitch_id,
        "OwnerId": account,
        "ResourceGroupId": interface.resource_group_id,
        "CreationTime": CREATED,
        "ServiceManaged": interface.service_managed,
        "DeleteOnRelease": True,
        "SourceDestCheck": False,
        "QueueNumber": 2,
        "NetworkInterfaceTrafficMode": "Standard",
        "PrivateIpAddress": interface.primary_address,
        "PrivateIpSets": {"PrivateIpSet": _private_ip_sets(interface)},
        "Ipv4PrefixSets": {"Ipv4PrefixSet": [{"Ipv4Prefix": prefix} for prefix in interface.ipv4_prefixes]},
        "Ipv6Sets": {"Ipv6Set": _ipv6_sets(interface)},
        "Ipv6PrefixSets": {"Ipv6PrefixSet": [{"Ipv6Prefix": prefix} for prefix in interface.ipv6_prefixes]},
        "SecurityGroupIds": {"SecurityGroupId": list(interface.security_group_ids)},
        "Tags": _tags(interface.tags),
        "AssociatedPublicIp": _public_ip(interface, interface.primary_address),
        "Attachment": {},
    }
    if interface.service_managed:
        # The service does not show the instance of a managed interface.
        record["ServiceID"] = service_id(interface.eni_id)
    elif interface.instance_id or switches["unattached_instance_id"] == "empty":
        record["InstanceId"] = interface.instance_id
    return record


def interface_attribute(record: dict[str, Any]) -> dict[str, Any]:
    """As in the list, but without the names inside the VPC."""
    rows = record["PrivateIpSets"]["PrivateIpSet"]
    shown = [{name: value for name, value in row.items() if name != "PrivateDnsName"} for row in rows]
    return {**record, "PrivateIpSets": {"PrivateIpSet": shown}}


def instance_record(instance: Instance, primary: Interface, interfaces: Sequence[Interface]) -> dict[str, Any]:
    eip = primary.eips.get(primary.primary_address, "")
    return {
        "InstanceId": instance.instance_id,
        "InstanceName": instance.name or instance.instance_id,
        "HostName": instance.name or instance.instance_id,
        "Description": "",
        "Status": instance.status,
        "InstanceType": instance.instance_type,
        "InstanceTypeFamily": instance.instance_type.rpartition(".")[0],
        "RegionId": instance.region_id,
        "ZoneId": primary.vswitch.zone_id,
        "ResourceGroupId": instance.resource_group_id,
        "InstanceNetworkType": "vpc",
        "InstanceChargeType": "PostPaid",
        "CreationTime": CREATED.replace(":00Z", "Z"),
        "StartTime": CREATED.replace(":00Z", "Z"),
        "Cpu": 2,
        "Memory": 8192,
        "ImageId": "aliyun_3_x64_20G_alibase.vhd",
        "OSName": "Alibaba Cloud Linux 3",
        "OSType": "linux",
        "IoOptimized": True,
        "InternetChargeType": "PayByTraffic",
        "InternetMaxBandwidthIn": 0,
        "InternetMaxBandwidthOut": 0,
        "DeletionProtection": False,
        "DeviceAvailable": True,
        "StoppedMode": "Not-applicable",
        "SecurityGroupIds": {"SecurityGroupId": list(primary.security_group_ids)},
        "PublicIpAddress": {"IpAddress": []},
        "InnerIpAddress": {"IpAddress": []},
        "EipAddress": {
            "AllocationId": allocation_id(eip) if eip else "",
            "IpAddress": eip,
            "InternetChargeType": "PayByTraffic" if eip else "",
            "IsSupportUnassociate": bool(eip),
        },
        "VpcAttributes": {
            "VpcId": primary.vswitch.vpc_id,
            "VSwitchId": primary.vswitch.vswitch_id,
            "NatIpAddress": "",
            "PrivateIpAddress": {"IpAddress": [primary.primary_address]},
        },
        "OperationLocks": {"LockReason": []},
        "NetworkInterfaces": {"NetworkInterface": [_instance_interface(interface) for interface in interfaces]},
        "Tags": _tags(instance.tags),
    }


def group_record(group: SecurityGroup) -> dict[str, Any]:
    return {
        "SecurityGroupId": group.group_id,
        "SecurityGroupName": group.name,
        "Description": group.description,
        "VpcId": group.vpc_id,
        "SecurityGroupType": group.type,
        "ServiceManaged": group.service_managed,
        "ResourceGroupId": group.resource_group_id,
        "CreationTime": CREATED,
        "Tags": _tags(group.tags),
    }


def region_record(region: str) -> dict[str, Any]:
    return {"RegionId": region, "LocalName": region, "RegionEndpoint": f"ecs.{region}.aliyuncs.com", "Status": "available"}


def _instance_interface(interface: Interface) -> dict[str, Any]:
    rows = [{name: value for name, value in row.items() if name != "AssociatedPublicIp"} for row in _private_ip_sets(interface)]
    return {
        "NetworkInterfaceId": interface.eni_id,
        "Type": interface.type,
        "MacAddress": interface.mac,
        "PrimaryIpAddress": interface.primary_address,
        "PrivateIpSets": {"PrivateIpSet": rows},
        "Ipv4PrefixSets": {"Ipv4PrefixSet": [{"Ipv4Prefix": prefix} for prefix in interface.ipv4_prefixes]},
        "Ipv6Sets": {"Ipv6Set": _ipv6_sets(interface)},
        "Ipv6PrefixSets": {"Ipv6PrefixSet": [{"Ipv6Prefix": prefix} for prefix in interface.ipv6_prefixes]},
    }


def _private_ip_sets(interface: Interface) -> list[dict[str, Any]]:
    """The primary address is in this list, marked as Primary."""
    return [
        {
            "PrivateIpAddress": address,
            "Primary": address == interface.primary_address,
            "PrivateDnsName": f"ip-{address.replace('.', '-')}.{interface.vswitch.region_id}.ecs.internal",
            "AssociatedPublicIp": _public_ip(interface, address),
        }
        for address in (interface.primary_address, *interface.private_ip_addresses)
    ]


def _ipv6_sets(interface: Interface) -> list[dict[str, Any]]:
    primary = [{"Ipv6Address": interface.primary_ipv6_address, "Primary": True}] if interface.primary_ipv6_address else []
    return primary + [{"Ipv6Address": address, "Primary": False} for address in interface.ipv6_addresses]


def _public_ip(interface: Interface, address: str) -> dict[str, str]:
    eip = interface.eips.get(address)
    return {"PublicIpAddress": eip, "AllocationId": allocation_id(eip)} if eip else {}


def _tags(tags: Mapping[str, str]) -> dict[str, list[dict[str, str]]]:
    return {"Tag": [{"TagKey": key, "TagValue": value} for key, value in tags.items()]}
