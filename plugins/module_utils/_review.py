# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads, plan and guard in one go: select → plan → guard. Done once before everything, and again for what has aged.

Private to this collection. Writes nothing: check mode goes through here and no further.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import count
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import list_interfaces, read_instances, read_interfaces
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Change, Holders, Plan, Seen, guard, is_passing, make_plan
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Request, Target

SECONDS_BETWEEN_LOOKS = 2.0


def review(ecs: Ecs, request: Request, targets: Sequence[Target], *, patient: bool) -> Plan:
    """What is to be done now for these targets. ``patient``: wait, as the request says, for states that pass."""
    instances = read_instances(ecs, (target.instance_id for target in targets if target.instance_id))
    eni_ids = [*(target.eni_id for target in targets), *(instance.primary_eni_id for instance in instances.values())]
    seen = Seen(ecs.region, read_interfaces(ecs, filter(None, eni_ids)), instances)
    plan, seen = _with_states(ecs, request, targets, seen)
    watch = ecs.stopwatch()
    while patient and request.wait and not plan.errors:
        passing = [change for change in plan.changes if is_passing(change, request, seen.instances)]
        left = request.wait_timeout - watch.seconds
        if not passing or left <= 0:
            break
        _clock.sleep(min(SECONDS_BETWEEN_LOOKS, left))
        plan, seen = _with_states(ecs, request, targets, _look_again(ecs, seen, passing))
    return guard(plan, request, seen.instances, _holders(ecs, request, plan))


def _with_states(ecs: Ecs, request: Request, targets: Iterable[Target], seen: Seen) -> tuple[Plan, Seen]:
    """The plan, and the states of those instances that it hangs on: of primary ENIs where something would be written."""
    plan = make_plan(request, targets, seen)
    wanted = [
        change.interface.instance_id for change in plan.changes if change.interface and change.interface.is_primary and count(change.todo)
    ]
    unknown = [instance_id for instance_id in wanted if instance_id and instance_id not in seen.instances]
    return plan, replace(seen, instances={**seen.instances, **read_instances(ecs, unknown)})


def _look_again(ecs: Ecs, seen: Seen, passing: Iterable[Change]) -> Seen:
    """The same view with these ENIs and their instances read anew. What is gone now is gone from the view."""
    enis = {change.interface.eni_id: change.interface for change in passing if change.interface}
    of_primaries = {interface.instance_id for interface in enis.values() if interface.is_primary and interface.instance_id}
    interfaces = {eni_id: interface for eni_id, interface in seen.interfaces.items() if eni_id not in enis}
    instances = {instance_id: instance for instance_id, instance in seen.instances.items() if instance_id not in of_primaries}
    interfaces.update(read_interfaces(ecs, enis))
    instances.update(read_instances(ecs, of_primaries))
    return replace(seen, interfaces=interfaces, instances=instances)


def _holders(ecs: Ecs, request: Request, plan: Plan) -> dict[str, Holders]:
    """Before assigning: who holds what in the vSwitches concerned. One list by vSwitch shows primary and secondary
    addresses and prefixes at once, where PrivateIpAddress.N shows only secondary ones."""
    if request.state != "present":
        return {}
    vswitches = dict.fromkeys(change.interface.vswitch_id for change in plan.changes if change.interface and count(change.todo))
    return {vswitch_id: Holders(list_interfaces(ecs, v_switch_id=vswitch_id).values()) for vswitch_id in vswitches}
