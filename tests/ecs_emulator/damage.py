# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The effects of a fault on the world, on the rows of a read, and on a reply."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ecs_emulator.faults import Fault
from ecs_emulator.replies import JSON_TYPE, Reply
from ecs_emulator.world import World

# The fields that strip_rows can strip.
FIELDS = (
    "NetworkInterfaces",
    "PrivateIpSets",
    "Ipv4PrefixSets",
    "Ipv6Sets",
    "Ipv6PrefixSets",
    "PrivateIpAddress",
    "PrimaryIpAddress",
    "SecurityGroupIds",
    "Tags",
    "InstanceId",
    "Status",
    "Type",
    "VpcId",
    "VSwitchId",
    "VpcAttributes",
    "SecurityGroupName",
)
# The path of the rows in a reply, and the field with the id.
ROWS = (
    ("NetworkInterfaceSets", "NetworkInterfaceSet", "NetworkInterfaceId"),
    ("NetworkInterfaces", "NetworkInterface", "NetworkInterfaceId"),
    ("Instances", "Instance", "InstanceId"),
    ("SecurityGroups", "SecurityGroup", "SecurityGroupId"),
)


def act_as_others(fault: Fault, parameters: Mapping[str, str], world: World) -> dict[str, Any]:
    """Without an id, the interface of the call. Without an address, the first address of the call, or else the first secondary address."""
    named = parameters.get("NetworkInterfaceId") or parameters.get("NetworkInterfaceId.1", "")
    thing_id = str(fault.details.get("id") or named)
    interface = world.interface(thing_id)
    if fault.kind == "change_state":
        if interface is None and world.instance(thing_id) is None:
            return {}
        world.set_status(thing_id, fault.details["status"])
        return {"id": thing_id, "status": fault.details["status"]}
    if interface is None:
        return {}
    if fault.kind == "delete_interface":
        world.delete(thing_id)
        return {"deleted": thing_id}
    asked = [parameters.get("PrivateIpAddress.1"), *interface.private_ip_addresses]
    address = fault.details.get("address") or next((item for item in asked if item in interface.private_ip_addresses), None)
    if address not in interface.private_ip_addresses:
        return {}
    left = tuple(item for item in interface.private_ip_addresses if item != address)
    eips = {item: eip for item, eip in interface.eips.items() if item != address}
    world.change(thing_id, private_ip_addresses=left, eips=eips)
    return {"eni_id": thing_id, "unassigned": {"private_ip_addresses": [address]}}


def strip_rows(fault: Fault, result: dict[str, Any]) -> None:
    """Remove these fields from these rows of the result, at any depth. Without ids, from all rows."""
    ids = fault.details.get("ids")
    for row_id, row in list(_rows(result)):
        if ids is not None and row_id not in ids:
            continue
        for name in fault.details["fields"]:
            if name not in row:
                continue
            if fault.details.get("leave") == "absent":
                del row[name]
            else:
                row[name] = _emptied(row[name])


def _rows(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if "NetworkInterfaceId" in document and "PrivateIpSets" in document:
        # DescribeNetworkInterfaceAttribute returns one row, without a list.
        yield document["NetworkInterfaceId"], document
    for wrapper, inner, id_name in ROWS:
        for row in document.get(wrapper, {}).get(inner, ()):
            yield row[id_name], row
            if wrapper == "Instances":
                yield from _rows(row)


def _emptied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: [] for name, inner in value.items() if isinstance(inner, list)}
    return ""


HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center><h1>502 Bad Gateway</h1></center></body>\r\n</html>\r\n"


def spoil(fault: Fault, good: Reply | None) -> Reply:
    """The reply that the client gets. Before the effect, only an error is possible."""
    if fault.kind == "503_unreadable":
        return Reply(503, {"Content-Type": "text/plain"}, b"upstream connect error or disconnect/reset before headers")
    if fault.kind == "html":
        return Reply(502, {"Content-Type": "text/html"}, HTML)
    if good is None or fault.kind == "empty":
        return Reply(200, {"Content-Type": JSON_TYPE}, b"")
    if fault.kind == "truncated":
        return Reply(good.status, good.headers, good.body[: len(good.body) * 2 // 3])
    if fault.kind == "shape":
        return Reply(good.status, good.headers, _misshapen(good.body, fault.details.get("shape", "object")))
    return good


def _misshapen(body: bytes, shape: str) -> bytes:
    """Valid JSON, but not a reply of the action."""
    if shape == "null" or not body.startswith(b"{"):
        return b"null"
    document: dict[str, Any] = json.loads(body)
    wrapped = [name for name, value in document.items() if isinstance(value, dict)]
    if not wrapped:
        return b"[]"
    for name in wrapped:
        if shape == "missing":
            del document[name]
        else:
            document[name] = {inner: {} if isinstance(value, Sequence) else value for inner, value in document[name].items()}
    return json.dumps(document).encode()
