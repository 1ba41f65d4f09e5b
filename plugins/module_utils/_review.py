# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read, plan and guard. A run does this once at the start, and again for plans that have aged.

Private to this collection. It writes nothing, so check mode ends here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import KINDS, PRIVATE_IPV4, AddressKind, count
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import EcsError
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import Interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import (
    Change,
    Holders,
    Plan,
    Snapshot,
    fail_unreadable,
    guard,
    is_in_transition,
    make_plan,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._read import (
    IDS_PER_READ,
    Unreadable,
    list_interfaces,
    read_instances,
    read_interfaces,
    read_seen_interfaces,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Request, Target

SECONDS_BETWEEN_POLLS = 2.0
MOST_PRIMARIES = 3  # maximum number of addresses to look up as a primary address; each one costs a call


def review(
    ecs: Ecs,
    request: Request,
    targets: Sequence[Target],
    *,
    seen: Collection[str] = (),
    snapshot: Snapshot | None = None,
    wait_for_states: bool,
) -> Plan:
    """The guarded plan for these targets. ``seen``: ids of ENIs that this run has read before, so they exist. ``snapshot``: a snapshot
    that is fresh enough, to save the reads. ``wait_for_states``: wait for transitional states, as the request says."""
    snapshot = snapshot or take_snapshot(ecs, targets, seen)
    plan, snapshot = _with_instances(ecs, request, targets, snapshot)
    watch = ecs.stopwatch()
    while wait_for_states and request.wait and not plan.errors:
        transitional = [change for change in plan.changes if is_in_transition(change, request, snapshot.instances)]
        left = request.wait_timeout - watch.seconds
        if not transitional or left <= 0:
            break
        _clock.sleep(min(SECONDS_BETWEEN_POLLS, left))
        plan, snapshot = _with_instances(ecs, request, targets, _read_again(ecs, snapshot, transitional))
    return guard(plan, request, snapshot.instances, _find_holders(ecs, request, plan))


def take_snapshot(ecs: Ecs, targets: Sequence[Target], seen: Collection[str] = ()) -> Snapshot:
    unreadable: Unreadable = {}
    instances = read_instances(ecs, (target.instance_id for target in targets if target.instance_id), unreadable)
    primaries = {instance.primary_eni_id for instance in instances.values() if instance.primary_eni_id}
    eni_ids = dict.fromkeys([*(target.eni_id for target in targets if target.eni_id), *primaries])
    interfaces = read_seen_interfaces(ecs, eni_ids, primaries.union(seen), unreadable)
    return Snapshot(ecs.region, interfaces, instances, unreadable)


def find_elsewhere(ecs: Ecs, plan: Plan) -> list[str]:
    """Warnings for named addresses that are not on their ENI, but on another ENI of the same VPC. One call looks up at most 100 addresses
    of a kind, and at most MOST_PRIMARIES more calls look for primary addresses. This is enough to show a mistyped eni_id."""
    try:
        return [warning for kind in KINDS if kind.filter for warning in _find_holders_elsewhere(ecs, plan, kind)]
    except EcsError as error:
        return [f"addresses that are already absent could not be looked up on other ENIs: {error.code}"]


def _find_holders_elsewhere(ecs: Ecs, plan: Plan, kind: AddressKind) -> list[str]:
    named = [(address, change.interface) for change in plan.changes if change.interface for address in change.unchanged[kind.name]]
    named = named[:IDS_PER_READ]
    asked = list(dict.fromkeys(address for address, _interface in named))
    holders: dict[tuple[str, str], list[str]] = {}  # by address and VPC

    def look_up(name: str, wanted: Any, addresses_of: Callable[[Interface], Iterable[str]], suffix: str = "") -> None:
        for interface in list_interfaces(ecs, {}, **{name: wanted}).values():
            for address in addresses_of(interface):
                holders.setdefault((address, interface.vpc_id), []).append(interface.eni_id + suffix)

    if asked:
        look_up(str(kind.filter), asked, lambda interface: interface.held[kind.name])
    if kind.name == PRIVATE_IPV4:
        lacking = dict.fromkeys(address for address, interface in named if (address, interface.vpc_id) not in holders)
        for address in list(lacking)[:MOST_PRIMARIES]:
            look_up("primary_ip_address", address, lambda interface: [interface.private_ip_address], " as its primary address")
    return [
        f"{address} is not on {interface.eni_id}, but on {' and '.join(sorted(others))}; check eni_id"
        for address, interface in named
        if (others := holders.get((address, interface.vpc_id))) and interface.eni_id not in others
    ]


def _with_instances(ecs: Ecs, request: Request, targets: Iterable[Target], snapshot: Snapshot) -> tuple[Plan, Snapshot]:
    """The plan, and the snapshot with the instances whose state matters: those of primary ENIs with a planned write. If an instance cannot
    be read, only its ENI fails."""
    plan = make_plan(request, targets, snapshot)
    primaries = [change.interface for change in plan.changes if change.interface and change.interface.is_primary and count(change.todo)]
    unknown = [one.instance_id for one in primaries if one.instance_id and one.instance_id not in snapshot.instances]
    unreadable: Unreadable = {}
    instances = read_instances(ecs, unknown, unreadable)
    whole = {**snapshot.instances, **instances}
    snapshot = replace(snapshot, instances=whole, unreadable={**snapshot.unreadable, **unreadable})
    return fail_unreadable(plan, snapshot), snapshot


def _read_again(ecs: Ecs, snapshot: Snapshot, changes: Iterable[Change]) -> Snapshot:
    """The snapshot, with these ENIs and their instances read again. Records that the read leaves out stay as they were."""
    enis = [change.interface for change in changes if change.interface]
    of_primaries = {interface.instance_id for interface in enis if interface.is_primary and interface.instance_id}
    interfaces = read_interfaces(ecs, (interface.eni_id for interface in enis), {})
    instances = read_instances(ecs, of_primaries, {})
    return replace(snapshot, interfaces={**snapshot.interfaces, **interfaces}, instances={**snapshot.instances, **instances})


def _find_holders(ecs: Ecs, request: Request, plan: Plan) -> dict[str, Holders]:
    """By vSwitch in which something is to be assigned: which ENI holds which address. The list of a vSwitch shows primary addresses,
    secondary addresses and prefixes at once. The filter PrivateIpAddress.N would find only secondary addresses."""
    if request.state != "present":
        return {}
    found = {}
    for vswitch_id in dict.fromkeys(change.interface.vswitch_id for change in plan.changes if change.interface and count(change.todo)):
        unreadable: dict[str, EcsError] = {}
        found[vswitch_id] = Holders(list_interfaces(ecs, unreadable, v_switch_id=vswitch_id).values(), unreadable)
    return found
