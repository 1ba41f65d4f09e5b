# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: request and snapshot → the plan: what to write, skip or refuse, and why.

Private to this collection. Uses neither the SDK nor Ansible. ``make_plan`` decides what happens to each address. ``guard`` refuses
changes that must not be made. ``find_refusals`` lists everything that forbids the plan.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import NamedTuple

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import (
    EMPTY,
    KINDS,
    PRIVATE_IPV4,
    AddressSet,
    Blocks,
    count,
    difference,
    flatten,
    group,
    kind_of,
    lies_in,
    make_address_set,
    span,
    union,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import EcsError
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import Instance, Interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Request, Target, has_tag
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import shorten

# Preconditions of the service (console guide "Unassign secondary private IP addresses").
ENI_STATES = ("Available", "InUse")
INSTANCE_STATES = ("Running", "Stopped")
# These states end without an action of the user, so waiting may help.
TRANSITIONAL_ENI_STATES = ("Attaching", "Detaching")
TRANSITIONAL_INSTANCE_STATES = ("Starting", "Stopping", "Pending")

# Reason codes: why an address is skipped or refused.
KEPT = "Kept"
ENI_MISSING = "EniMissing"
SERVICE_MANAGED = "ServiceManaged"
PROTECTED_TAG = "ProtectedTag"
EIP_BOUND = "EipBound"
ADDRESS_HELD = "AddressHeld"
HOLDER_UNREADABLE = "HolderUnreadable"
ENI_STATE = "EniState"
ENI_IN_TRANSITION = "EniInTransition"
INSTANCE_STATE = "InstanceState"
INSTANCE_IN_TRANSITION = "InstanceInTransition"
INSTANCE_UNKNOWN = "InstanceUnknown"
TRANSITIONAL = (ENI_IN_TRANSITION, INSTANCE_IN_TRANSITION)


class Reason(NamedTuple):
    """Why an address is not written, or was not changed. Decisions use ``code``; ``text`` is for people."""

    code: str
    text: str
    request_id: str | None = None


Reasons = Mapping[str, Reason]  # by address
NO_REASONS: Reasons = {}


@dataclass(frozen=True)
class Snapshot:
    """Everything that was read before planning. ``instances`` has at least those whose state matters. ``unreadable``: by id, the error of
    each ENI or instance that exists, but whose record is missing or cannot be read."""

    region: str
    interfaces: Mapping[str, Interface] = field(default_factory=dict)
    instances: Mapping[str, Instance] = field(default_factory=dict)
    unreadable: Mapping[str, EcsError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """The planned change of one ENI. ``interface`` is None for an ENI that does not exist or cannot be read."""

    eni_id: str | None
    instance_id: str | None
    interface: Interface | None
    todo: AddressSet  # to be written
    unchanged: AddressSet  # already as requested: not on the ENI with state absent, on the ENI with state present
    skipped: Reasons = field(default_factory=lambda: NO_REASONS)
    refused: Reasons = field(default_factory=lambda: NO_REASONS)
    errors: tuple[str, ...] = ()  # errors of the request for this ENI; the plan has them too
    failure: Reason | None = None  # why this ENI cannot be changed, although it exists; todo then fails without a write
    read_at: float = 0.0  # start of the oldest read that this change depends on, by the clock of ``_clock``


@dataclass(frozen=True)
class Plan:
    """``errors``: errors of the request that only a read can show. They cannot be overridden by an option."""

    changes: tuple[Change, ...]
    missing: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


def make_plan(request: Request, targets: Iterable[Target], snapshot: Snapshot) -> Plan:
    """One Change for each ENI, in the order of the request. Targets for the same ENI are combined."""
    errors: list[str] = []
    claims: dict[tuple[str, bool], list[Target]] = {}
    for target in targets:
        eni_id = _eni_of(target, snapshot)
        exists = eni_id in snapshot.interfaces or eni_id in snapshot.unreadable
        claims.setdefault((eni_id if exists else target.name, exists), []).append(target)
        if not exists and not request.ignore_missing:
            option = "eni_id" if target.eni_id else "instance_id"
            errors.append(
                f"{target.option_path}{option}: {target.name} does not exist in {snapshot.region}, or belongs to another account; "
                "check the id and the region, or set missing: ignore"
            )
    changes = []
    for (name, exists), claimed in claims.items():
        if name in snapshot.interfaces:
            changes.append(_plan_one(request, snapshot, snapshot.interfaces[name], claimed))
        elif exists:
            changes.append(_plan_unreadable(name, snapshot.unreadable[name], claimed))
        else:
            changes.append(_plan_missing(request, claimed))
    errors.extend(error for change in changes for error in change.errors)
    if request.state == "present":
        errors.extend(_asked_twice(changes))
    missing = tuple(name for name, exists in claims if not exists)
    return Plan(tuple(changes), missing, tuple(dict.fromkeys(errors)))


def fail_unreadable(plan: Plan, snapshot: Snapshot) -> Plan:
    """Fails each primary ENI that has a planned write, if its instance cannot be read. A guard needs the state of the instance."""

    def check(change: Change) -> Change:
        instance_id = change.interface.instance_id if change.interface and change.interface.is_primary and count(change.todo) else None
        error = snapshot.unreadable.get(instance_id or "") if instance_id not in snapshot.instances else None
        return replace(change, interface=None, failure=_failure_of(error)) if error else change

    return replace(plan, changes=tuple(map(check, plan.changes)))


def guard(plan: Plan, request: Request, instances: Mapping[str, Instance], holders: Mapping[str, Holders]) -> Plan:
    """Moves addresses that must not be changed from ``todo`` to ``refused``. ENIs without a planned write are not checked."""
    return replace(plan, changes=tuple(_guard_one(change, request, instances, holders) for change in plan.changes))


def is_in_transition(change: Change, request: Request, instances: Mapping[str, Instance]) -> bool:
    """Whether a transitional state is the only reason against this change."""
    if change.interface is None or _owner_refusal(change.interface, request):
        return False
    state = _state_refusal(change.interface, request, instances)
    if state is None or state.code not in TRANSITIONAL:
        return False
    return not all(_address_refusal(change.interface, request, address, {}) for address in flatten(change.todo))


def find_refusals(plan: Plan, request: Request, account_id: str | None = None) -> list[str]:
    """Everything that forbids the plan. If there is anything, nothing may be written."""
    found = list(plan.errors)
    found.extend(of_other_accounts([change.interface for change in plan.changes if change.interface], account_id))
    if not request.skip_refused:
        found.extend(line for change in plan.changes for line in _format_refused(change))
    # A run waits for a transitional state and then writes these as well, so check mode counts them.
    waits = request.skip_refused and request.waits_for_states
    addresses = [
        address
        for change in plan.changes
        if not change.failure
        for address in (*flatten(change.todo), *(one for one, reason in change.refused.items() if waits and reason.code in TRANSITIONAL))
    ]
    if request.max_addresses is not None and len(addresses) > request.max_addresses:
        verb = "assigned" if request.state == "present" else "unassigned"
        found.append(
            f"max_addresses: at most {request.max_addresses} may be {verb}, but {len(addresses)} would be; "
            f"name fewer addresses, or raise max_addresses; first: {shorten(addresses)}"
        )
    return found


def of_other_accounts(interfaces: Sequence[Interface], account_id: str | None) -> list[str]:
    """One line for each account other than ``account_id`` that owns ENIs, and one for ENIs whose owner the service does not name. Empty
    without ``account_id``."""
    owners: dict[str, list[str]] = {}
    for interface in interfaces:
        if account_id and interface.owner_id != account_id:
            owner = f"account {interface.owner_id}" if interface.owner_id else "an unknown account"
            owners.setdefault(owner, []).append(interface.eni_id)
    right = len(interfaces) - sum(map(len, owners.values()))
    others = f" ({right} belong to {account_id})" if right else ""
    return [
        f"account_id: {len(eni_ids)} of {len(interfaces)} ENIs belong to {owner}, not to {account_id}{others}; first: {shorten(eni_ids)}; "
        "correct account_id or the credential, or leave these ENIs out"
        for owner, eni_ids in owners.items()
    ]


class Holders:
    """The ENI that holds an address or prefix in one vSwitch, where no two ranges overlap. ``unreadable``: ENIs of the vSwitch whose
    addresses could not be read. Any address may be on one of them."""

    def __init__(self, interfaces: Iterable[Interface], unreadable: Iterable[str] = ()) -> None:
        held = ((address, interface.eni_id) for interface in interfaces for address in (*interface.primary, *flatten(interface.held)))
        self._ranges = sorted((*span(address), eni_id) for address, eni_id in held)
        self.unreadable = tuple(unreadable)

    def of(self, address: str, asking: str = "") -> str | None:
        """The ENI that holds this address or a part of this prefix. None if the ENI ``asking`` holds exactly this."""
        version, first, last = span(address)
        at = bisect_right(self._ranges, (version, last), key=lambda held: held[:2]) - 1
        if at < 0 or self._ranges[at][0] != version or self._ranges[at][2] < first or self._ranges[at] == (version, first, last, asking):
            return None
        return self._ranges[at][3]


def _eni_of(target: Target, snapshot: Snapshot) -> str:
    """The id of the ENI of a target. If the ENI of an instance is unknown, the id of the instance. This happens if the instance does not
    exist, or if its record cannot be read."""
    if target.eni_id:
        return target.eni_id
    instance = snapshot.instances.get(target.instance_id or "")
    return (instance and instance.primary_eni_id) or target.instance_id or ""


def _plan_one(request: Request, snapshot: Snapshot, interface: Interface, claims: Iterable[Target]) -> Change:
    todo: dict[str, list[str]] = {kind.name: [] for kind in KINDS}
    unchanged: dict[str, list[str]] = {kind.name: [] for kind in KINDS}
    kept: dict[str, Reason] = {}
    errors: list[str] = []
    for target in claims:
        wanted = dict(target.named)
        if target.all_secondary:
            wanted[PRIVATE_IPV4] = interface.held[PRIVATE_IPV4]
        for kind in KINDS:
            for address in wanted[kind.name]:
                held = address in interface.held[kind.name]
                wrong = None if held else _find_error(target, interface, address, snapshot.instances)
                if wrong:
                    errors.append(f"{target.option_path}{kind.name}: {wrong}")
                elif held == (request.state == "present"):
                    unchanged[kind.name].append(address)
                elif request.state == "absent" and (block := request.keep.overlapping(address)):
                    kept[address] = Reason(KEPT, _format_kept(address, block))
                else:
                    todo[kind.name].append(address)
    planned = make_address_set(todo)
    return Change(
        interface.eni_id,
        interface.instance_id,
        interface,
        interface.held if planned == interface.held else planned,  # share one object if all addresses are unassigned
        make_address_set(unchanged),
        skipped=kept,
        errors=tuple(errors),
        read_at=interface.read_at,
    )


def _format_kept(address: str, block: str) -> str:
    if span(address) == span(block):
        return "kept, listed in keep"
    return f"kept, {'inside' if lies_in(address, block) else 'contains'} {block}"


def _find_error(target: Target, interface: Interface, address: str, instances: Mapping[str, Instance]) -> str | None:
    """Why it is an error to name this address, which is not a secondary address of the ENI. None if it is not an error."""
    if address in interface.primary:
        return f"{address} is the primary address of {interface.eni_id}; a primary address is never assigned or unassigned"
    prefix = Blocks((*interface.held["ipv4_prefixes"], *interface.held["ipv6_prefixes"])).overlapping(address)
    if prefix:
        how = "is inside" if lies_in(address, prefix) else "contains"
        return (
            f"{address} {how} the prefix {prefix} of {interface.eni_id}, which can only be assigned and unassigned as a whole; "
            f"use {kind_of(prefix).name} for the prefix"
        )
    instance = instances.get(target.instance_id or "")
    if instance and address in instance.on_other_enis:
        return (
            f"{address} is not on {interface.eni_id}, the primary ENI of {instance.instance_id}, but on its secondary ENI "
            f"{instance.on_other_enis[address]}; use eni_id: {instance.on_other_enis[address]}"
        )
    return None


def _plan_missing(request: Request, targets: list[Target]) -> Change:
    """With missing=ignore: an ENI that does not exist has no addresses, and nothing can be assigned to it."""
    named = reduce(union, (target.named for target in targets))
    eni_id, instance_id = targets[0].eni_id, targets[0].instance_id
    if request.state == "absent":
        return Change(eni_id, instance_id, None, EMPTY, named)
    reason = Reason(ENI_MISSING, "the ENI does not exist")
    return Change(eni_id, instance_id, None, EMPTY, EMPTY, dict.fromkeys(flatten(named), reason))


def _plan_unreadable(name: str, error: EcsError, targets: list[Target]) -> Change:
    """All named addresses fail. The addresses of ``all_secondary`` are unknown. ``name``: the id of the ENI or instance."""
    named = reduce(union, (target.named for target in targets))
    instance_id = next((target.instance_id for target in targets if target.instance_id), None)
    return Change(None if name == instance_id else name, instance_id, None, named, EMPTY, failure=_failure_of(error))


def _failure_of(error: EcsError) -> Reason:
    return Reason(error.code, f"{error.action}: {error.message}; no write was sent", error.request_id)


def _asked_twice(changes: Iterable[Change]) -> list[str]:
    """Errors for addresses and prefixes that overlap in one vSwitch. Only one of them can be assigned, and only the user knows which."""
    asked = sorted(
        (change.interface.vswitch_id, *span(address), change.interface.eni_id, address)
        for change in changes
        if change.interface
        for address in flatten(change.todo)
    )
    errors = []
    widest: tuple[str, int, int, str, str] | None = None
    for vswitch_id, version, first, last, eni_id, address in asked:
        overlaps = widest and widest[:2] == (vswitch_id, version) and first <= widest[2]
        if widest and overlaps:
            errors.append(f"{widest[4]} for {widest[3]} and {address} for {eni_id} overlap in {vswitch_id}; name only one of them")
        if not widest or not overlaps or last > widest[2]:
            widest = (vswitch_id, version, last, eni_id, address)
    return errors


def _guard_one(change: Change, request: Request, instances: Mapping[str, Instance], holders: Mapping[str, Holders]) -> Change:
    interface = change.interface
    if interface is None or not count(change.todo):
        return change
    owner, state = _owner_refusal(interface, request), _state_refusal(interface, request, instances)
    # The state comes last, because it may change in a moment. With another order, the reported reason could change with it.
    reasons = {address: owner or _address_refusal(interface, request, address, holders) or state for address in flatten(change.todo)}
    refused = {address: reason for address, reason in reasons.items() if reason}
    instance = instances.get(interface.instance_id or "") if interface.is_primary else None
    return replace(
        change,
        todo=difference(change.todo, group(refused)) if refused else change.todo,
        refused=refused or NO_REASONS,
        read_at=min(interface.read_at, instance.read_at) if instance else interface.read_at,
    )


def _owner_refusal(interface: Interface, request: Request) -> Reason | None:
    """Why another service or a container network may need the addresses of this ENI, or None."""
    if interface.service_managed:
        return Reason(SERVICE_MANAGED, "another cloud service manages the ENI; no option allows this change")
    for key, values in request.protected_tags.items():
        if has_tag(interface.tags, key, values):
            return Reason(
                PROTECTED_TAG, f"the ENI has the protected tag {key}={interface.tags[key]}; protected_tags: {{}} turns this guard off"
            )
    return None


def _state_refusal(interface: Interface, request: Request, instances: Mapping[str, Instance]) -> Reason | None:
    waits = f"; a run waits up to {request.wait_timeout:.0f} s for it" if request.waits_for_states else ""
    if request.skip_transitional:
        waits = "; run it again when this state has ended"
    if interface.status not in ENI_STATES:
        text = f"the ENI is {interface.status}, but must be {' or '.join(ENI_STATES)}"
        return Reason(ENI_IN_TRANSITION, text + waits) if interface.status in TRANSITIONAL_ENI_STATES else Reason(ENI_STATE, text)
    if not interface.is_primary:
        return None
    instance = instances.get(interface.instance_id or "")
    if instance is None:
        return Reason(
            INSTANCE_UNKNOWN, f"the state of the instance of this primary ENI is unknown ({interface.instance_id or 'no instance id'})"
        )
    if instance.status in INSTANCE_STATES:
        return None
    text = f"the instance {instance.instance_id} of this primary ENI is {instance.status}, but must be {' or '.join(INSTANCE_STATES)}"
    transitional = instance.status in TRANSITIONAL_INSTANCE_STATES
    return Reason(INSTANCE_IN_TRANSITION, text + waits) if transitional else Reason(INSTANCE_STATE, text)


def _address_refusal(interface: Interface, request: Request, address: str, holders: Mapping[str, Holders]) -> Reason | None:
    if request.state == "absent":
        if address in interface.eips and not request.allow_eip:
            eip = interface.eips[address]
            return Reason(EIP_BOUND, f"the EIP {eip} is bound to it; unbind the EIP first, or set allow_eip: true to unassign it anyway")
        return None
    in_vswitch = holders.get(interface.vswitch_id)
    if in_vswitch is None:
        return None
    if holder := in_vswitch.of(address, interface.eni_id):
        return Reason(ADDRESS_HELD, f"it is already assigned to {holder}; unassign it there first")
    if others := [eni_id for eni_id in in_vswitch.unreadable if eni_id != interface.eni_id]:
        return Reason(HOLDER_UNREADABLE, f"it may be assigned to {shorten(others)} in the same vSwitch, whose addresses cannot be read")
    return None


def _format_refused(change: Change) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for address, reason in change.refused.items():
        by_reason.setdefault(reason.text, []).append(address)
    return [f"{change.eni_id}: {shorten(addresses)}: {text}" for text, addresses in by_reason.items()]
