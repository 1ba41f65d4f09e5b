# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: what was asked and what was seen → what would be written, what is skipped and what is refused, and why.

Private to this collection. Knows no SDK and no Ansible. ``make_plan`` decides what each address comes to, ``guard`` what
must not be touched, ``objections`` whether the whole may go on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import NamedTuple

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import (
    EMPTY,
    KINDS,
    PRIVATE_IPV4,
    AddressSet,
    as_network,
    count,
    difference,
    flatten,
    lies_in,
    make_address_set,
    overlaps,
    union,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import Instance, Interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Request, Target, has_tag
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import shorten

# The service's own preconditions (console guide "Unassign secondary private IP addresses").
ENI_STATES = ("Available", "InUse")
INSTANCE_STATES = ("Running", "Stopped")
# States that end by themselves, so that waiting may help.
PASSING_ENI_STATES = ("Attaching", "Detaching")
PASSING_INSTANCE_STATES = ("Starting", "Stopping", "Pending")

KEPT = "it is in keep"
NO_SUCH_ENI = "the ENI does not exist"


class Note(NamedTuple):
    """Why one address is not written."""

    address: str
    reason: str


@dataclass(frozen=True)
class Seen:
    """Everything that was read before planning. ``instances`` holds at least those whose state matters."""

    region: str
    interfaces: Mapping[str, Interface] = field(default_factory=dict)
    instances: Mapping[str, Instance] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What is to happen to one ENI. ``interface`` is None for what does not exist."""

    eni_id: str | None
    instance_id: str | None
    interface: Interface | None
    todo: AddressSet  # to be written
    settled: AddressSet  # already so: with state absent not on the ENI, with state present on it
    skipped: tuple[Note, ...] = ()
    refused: tuple[Note, ...] = ()
    errors: tuple[str, ...] = ()  # of this ENI; also among those of the plan
    read_at: float = 0.0  # of the oldest read that it was guarded by


@dataclass(frozen=True)
class Plan:
    """``errors`` are errors that only a read could show; no option lets them pass."""

    changes: tuple[Change, ...]
    missing: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


def make_plan(request: Request, targets: Iterable[Target], seen: Seen) -> Plan:
    """One Change for each ENI that is meant, however often and by whatever name, in the order of the request."""
    errors: list[str] = []
    claims: dict[tuple[str, bool], list[Target]] = {}
    for target in targets:
        eni_id = _eni_of(target, seen, errors)
        if eni_id is None:
            continue
        exists = eni_id in seen.interfaces
        claims.setdefault((eni_id if exists else target.name, exists), []).append(target)
        if not exists and not request.ignore_missing:
            option = "eni_id" if target.eni_id else "instance_id"
            errors.append(f"{target.place}{option}: {target.name} does not exist in {seen.region}, or not in this account")
    changes = [
        _plan_one(request, seen, seen.interfaces[name], claimed) if exists else _nothing_there(request, claimed)
        for (name, exists), claimed in claims.items()
    ]
    errors.extend(error for change in changes for error in change.errors)
    missing = tuple(name for name, exists in claims if not exists)
    if request.state == "present":
        errors.extend(_asked_twice(changes))
    return Plan(tuple(changes), missing, tuple(dict.fromkeys(errors)))


def guard(plan: Plan, request: Request, instances: Mapping[str, Instance], holders: Mapping[str, Holders]) -> Plan:
    """Moves from todo to refused what must not be touched. Looks only at ENIs where something would be written."""
    return replace(plan, changes=tuple(_guard_one(change, request, instances, holders) for change in plan.changes))


def is_passing(change: Change, request: Request, instances: Mapping[str, Instance]) -> bool:
    """Whether nothing but a state that ends by itself stands in the way of this ENI."""
    if change.interface is None or not count(change.todo) or _owner_refusal(change.interface, request):
        return False
    interface = change.interface
    if all(_address_refusal(interface, request, address, {}) for address in flatten(change.todo)):
        return False
    instance = instances.get(interface.instance_id or "")
    instance_passes = interface.is_primary and instance is not None and instance.status in PASSING_INSTANCE_STATES
    return interface.status in PASSING_ENI_STATES or (interface.status in ENI_STATES and instance_passes)


def objections(plan: Plan, request: Request, account_id: str | None = None) -> list[str]:
    """All that keeps the plan from being carried out; nothing is written while there is one."""
    found = list(plan.errors)
    if any(count(change.todo) for change in plan.changes):
        found.extend(of_other_accounts((change.interface for change in plan.changes if change.interface), account_id))
    if not request.skip_refused:
        found.extend(line for change in plan.changes for line in _told_by_reason(change))
    would_write = sum(count(change.todo) for change in plan.changes)
    if request.max_addresses is not None and would_write > request.max_addresses:
        verb = "assigned" if request.state == "present" else "unassigned"
        found.append(f"max_addresses: {would_write} would be {verb}, more than {request.max_addresses}")
    return found


def of_other_accounts(interfaces: Iterable[Interface], account_id: str | None) -> list[str]:
    """The ENIs that do not belong to this account, or of which that is not told; none where no account is named."""
    owners = {interface.eni_id: interface.owner_id or "an account that is not told" for interface in interfaces}
    strangers = {eni_id: owner for eni_id, owner in owners.items() if account_id and owner != account_id}
    return [f"account_id: {eni_id} belongs to {owner}, not to {account_id}" for eni_id, owner in strangers.items()]


class Holders:
    """Who holds what in one vSwitch, where no two ranges overlap: answers for an address and for a prefix."""

    def __init__(self, interfaces: Iterable[Interface]) -> None:
        held = ((address, interface.eni_id) for interface in interfaces for address in (*interface.primary, *flatten(interface.held)))
        self._ranges = sorted((*_span(address), eni_id) for address, eni_id in held)

    def of(self, address: str, asking: str = "") -> str | None:
        """The ENI that holds this address or a part of this prefix. That the asking one holds exactly this is no hindrance:
        it can't be seen on the ENI yet, but is."""
        first, last = _span(address)
        at = bisect_right(self._ranges, last, key=lambda held: held[0]) - 1
        if at < 0 or self._ranges[at][1] < first or self._ranges[at] == (first, last, asking):
            return None
        return self._ranges[at][2]


def _span(address: str) -> tuple[tuple[int, int], tuple[int, int]]:
    network = as_network(address)
    return (network.version, int(network.network_address)), (network.version, int(network.broadcast_address))


def _eni_of(target: Target, seen: Seen, errors: list[str]) -> str | None:
    """The ENI that a target means; '' for that of an instance that does not exist; None where an error was noted."""
    if target.eni_id:
        return target.eni_id
    instance = seen.instances.get(target.instance_id or "")
    if instance is None:
        return ""
    if instance.primary_eni_id is None:
        errors.append(
            f"{target.place}instance_id: DescribeInstances tells no primary ENI of {target.instance_id}, so nothing can be done for it"
        )
    return instance.primary_eni_id


def _plan_one(request: Request, seen: Seen, interface: Interface, claims: Iterable[Target]) -> Change:
    todo: dict[str, list[str]] = {kind.name: [] for kind in KINDS}
    settled: dict[str, list[str]] = {kind.name: [] for kind in KINDS}
    kept: list[Note] = []
    errors: list[str] = []
    for target in claims:
        wanted = dict(target.named)
        if target.all_secondary:
            wanted[PRIVATE_IPV4] = interface.held[PRIVATE_IPV4]
        for kind in KINDS:
            for address in wanted[kind.name]:
                held = address in interface.held[kind.name]
                wrong = None if held else _mistaken(target, interface, address, seen.instances)
                if wrong:
                    errors.append(f"{target.place}{kind.name}: {wrong}")
                elif held == (request.state == "present"):
                    settled[kind.name].append(address)
                elif request.state == "absent" and overlaps(address, request.keep):
                    kept.append(Note(address, KEPT))
                else:
                    todo[kind.name].append(address)
    planned = make_address_set(todo)
    return Change(
        interface.eni_id,
        interface.instance_id,
        interface,
        interface.held if planned == interface.held else planned,  # of thousands that give up all they have, each list is kept once
        make_address_set(settled),
        skipped=tuple(dict.fromkeys(kept)),
        errors=tuple(errors),
        read_at=interface.read_at,
    )


def _mistaken(target: Target, interface: Interface, address: str, instances: Mapping[str, Instance]) -> str | None:
    """Why naming this address, which is no secondary one of the ENI, can't be meant."""
    if address in interface.primary:
        return f"{address} is the primary address of {interface.eni_id}, which is never assigned or unassigned"
    prefix = overlaps(address, (*interface.held["ipv4_prefixes"], *interface.held["ipv6_prefixes"]))
    if prefix:
        how = "lies in" if lies_in(address, prefix) else "contains"  # of two blocks that overlap, one contains the other
        return f"{address} {how} the prefix {prefix} of {interface.eni_id}, which comes and goes as a whole; name the prefix"
    instance = instances.get(target.instance_id or "")
    if instance and address in instance.on_other_enis:
        return (
            f"{address} is not on the primary ENI of {instance.instance_id} ({interface.eni_id}) but on its secondary ENI "
            f"{instance.on_other_enis[address]}; name that one by eni_id"
        )
    return None


def _nothing_there(request: Request, targets: list[Target]) -> Change:
    """With missing=ignore: nothing is on what does not exist, and nothing can be assigned to it."""
    named = reduce(union, (target.named for target in targets))
    if request.state == "absent":
        return Change(targets[0].eni_id, targets[0].instance_id, None, EMPTY, named)
    notes = tuple(Note(address, NO_SUCH_ENI) for address in flatten(named))
    return Change(targets[0].eni_id, targets[0].instance_id, None, EMPTY, EMPTY, notes)


def _asked_twice(changes: Iterable[Change]) -> list[str]:
    """Nothing can be assigned twice in one vSwitch, be it as a part of a prefix; which one is meant is not ours to choose."""
    asked = sorted(
        (change.interface.vswitch_id, *_span(address), change.interface.eni_id, address)
        for change in changes
        if change.interface
        for address in flatten(change.todo)
    )
    errors = []
    widest: tuple[str, tuple[int, int], str, str] | None = None
    for vswitch_id, first, last, eni_id, address in asked:
        if widest and widest[0] == vswitch_id and first <= widest[1]:
            errors.append(f"{widest[3]} for {widest[2]} and {address} for {eni_id} overlap in {vswitch_id}: only one can be assigned")
        if not widest or widest[0] != vswitch_id or last > widest[1]:
            widest = (vswitch_id, last, eni_id, address)
    return errors


def _guard_one(change: Change, request: Request, instances: Mapping[str, Instance], holders: Mapping[str, Holders]) -> Change:
    interface = change.interface
    if interface is None or not count(change.todo):
        return change
    owner, state = _owner_refusal(interface, request), _state_refusal(interface, instances)
    # The state last: it is the one that may be another one a moment later, and then the reason would be, too.
    reasons = {address: owner or _address_refusal(interface, request, address, holders) or state for address in flatten(change.todo)}
    refused = tuple(Note(address, reason) for address, reason in reasons.items() if reason)
    instance = instances.get(interface.instance_id or "") if interface.is_primary else None
    return replace(
        change,
        todo=difference(change.todo, dict.fromkeys(change.todo, tuple(note.address for note in refused))),
        refused=refused,
        read_at=min(interface.read_at, instance.read_at) if instance else interface.read_at,
    )


def _owner_refusal(interface: Interface, request: Request) -> str | None:
    """Whether the ENI belongs to somebody who would miss the address."""
    if interface.service_managed:
        return "the ENI is managed by another cloud service, which no option overrides"
    for key, values in request.protected_tags.items():
        if has_tag(interface.tags, key, values):
            return f"the ENI has the tag {key}={interface.tags[key]} (protected_tags)"
    return None


def _state_refusal(interface: Interface, instances: Mapping[str, Instance]) -> str | None:
    if interface.status not in ENI_STATES:
        return f"the ENI is {interface.status}, it must be {' or '.join(ENI_STATES)}"
    if not interface.is_primary:
        return None
    instance = instances.get(interface.instance_id or "")
    if instance is None:
        return f"the state of the instance ({interface.instance_id or 'not told'}) of this primary ENI is not known"
    if instance.status not in INSTANCE_STATES:
        return f"the instance {instance.instance_id} of this primary ENI is {instance.status}, it must be {' or '.join(INSTANCE_STATES)}"
    return None


def _address_refusal(interface: Interface, request: Request, address: str, holders: Mapping[str, Holders]) -> str | None:
    if request.state == "absent":
        if address in interface.eips and not request.allow_eip:
            return f"the EIP {interface.eips[address]} is bound to it (allow_eip)"
        return None
    holder = holders[interface.vswitch_id].of(address, interface.eni_id) if interface.vswitch_id in holders else None
    return f"{holder} holds it" if holder else None


def _told_by_reason(change: Change) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for note in change.refused:
        by_reason.setdefault(note.reason, []).append(note.address)
    return [f"{change.eni_id}: {shorten(addresses)}: {reason}" for reason, addresses in by_reason.items()]
