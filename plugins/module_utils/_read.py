# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read ENIs and instances by id or by filter.

Private to this collection. A record that cannot be read concerns only its own ENI or instance.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeAlias

from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs, Record
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import ENI_NOT_RETURNED, INSTANCE_WITHOUT_ENI, EcsError
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import (
    Instance,
    Interface,
    make_instance,
    make_interface,
    source_of,
)

IDS_PER_READ = 100  # NetworkInterfaceId.N and InstanceIds both take at most 100

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
