# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: the ledger, which says what became of each address. The one table of transitions, and the views of the ledger.

Private to this collection. Knows no SDK and no Ansible. A reply never moves an address to ``done``: only a read that
started after the write ended does. Module result, report and restore recipe are views of this ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import (
    AddressSet,
    difference,
    flatten,
    group,
    union,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import NOT_VERIFIED, EcsError
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import Interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Change, Plan, Reason
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Request


class AddressState(Enum):
    PLANNED = "planned"  # to be written; every write that names it, if any, is known to have done nothing
    IN_FLIGHT = "in_flight"  # a write that names it was sent, and no later read has shown the outcome
    DONE = "done"  # a read that started after the write shows the change
    UNCHANGED = "unchanged"  # it was already as requested
    SKIPPED = "skipped"  # left alone, with a reason
    FAILED = "failed"  # not changed, with a reason


class Event(Enum):
    FOUND = "a read shows it as requested"
    SKIP = "the plan leaves it alone"
    SEND = "a write that names it is about to be sent"
    CONFIRM = "a read that started after a write of it shows the change"
    ACCEPT = "the write was accepted, and the user does not want to wait for a read (wait=false)"
    RETURN = "the write was never sent, or a read shows that nothing changed and it may be sent again"
    FAIL = "a read shows that nothing changed and it is not sent again, or it was never sent"


PLANNED, IN_FLIGHT, DONE, UNCHANGED, SKIPPED, FAILED = AddressState

TRANSITIONS: Mapping[tuple[AddressState, Event], AddressState] = {
    (PLANNED, Event.FOUND): UNCHANGED,
    (PLANNED, Event.SKIP): SKIPPED,
    (PLANNED, Event.SEND): IN_FLIGHT,
    (PLANNED, Event.CONFIRM): DONE,  # it was sent earlier, and found changed when the plan was read again
    (PLANNED, Event.FAIL): FAILED,
    (IN_FLIGHT, Event.CONFIRM): DONE,
    (IN_FLIGHT, Event.ACCEPT): DONE,
    (IN_FLIGHT, Event.RETURN): PLANNED,
    (IN_FLIGHT, Event.FAIL): FAILED,
}

ACCEPTED = "Accepted"


@dataclass(slots=True, eq=False)
class Write:
    """One call that was sent, or is being sent. ``error`` None: the service accepted it. ``named``: the addresses that a refusal
    names as its cause."""

    addresses: tuple[str, ...]
    error: EcsError | None = None
    named: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class EniLedger:
    """What became of each address of one ENI. ``latest`` is the newest view of the ENI; ``read_at`` as in ``Change``."""

    change: Change
    latest: Interface | None
    read_at: float
    states: dict[str, AddressState]
    reasons: dict[str, Reason]
    writes: list[Write] = field(default_factory=list)
    halves: list[tuple[str, ...]] = field(default_factory=list)  # of a call that was refused without a named cause: what to send next

    @property
    def eni_id(self) -> str:
        return self.change.eni_id or ""

    def move(self, event: Event, addresses: Iterable[str], reason: Reason | None = None) -> None:
        """KeyError where the table has no such transition: that is a defect, and nothing may hide it."""
        for address in addresses:
            self.states[address] = TRANSITIONS[self.states[address], event]
            if reason:
                self.reasons[address] = reason
            else:
                self.reasons.pop(address, None)

    def give_up(self, addresses: Iterable[str], reason: Reason) -> None:
        """No read showed the outcome: the address stays in flight, which is reported as failed."""
        self.reasons.update(dict.fromkeys(addresses, reason))

    def having(self, *states: AddressState) -> tuple[str, ...]:
        return tuple(address for address, state in self.states.items() if state in states)

    def as_set(self, state: AddressState) -> AddressSet:
        """The addresses in this state, by kind."""
        addresses = self.having(state)
        return self.change.todo if addresses == flatten(self.change.todo) else group(addresses)

    @property
    def sent(self) -> frozenset[str]:
        """Every address for which a write was ever sent, whatever the reply was."""
        return frozenset(address for write in self.writes for address in write.addresses)

    def last_write(self, address: str) -> Write:
        return next(write for write in reversed(self.writes) if address in write.addresses)

    def may_have_been_carried_out(self, address: str) -> bool:
        """Whether a write of it was accepted, may have arrived, or was refused because of another address of the same call: the
        API does not say that such a call does nothing for the others (ecs-api.md, open question 1)."""
        return any(
            address in write.addresses
            and (write.error is None or write.error.may_have_been_carried_out or (len(write.addresses) > 1 and address not in write.named))
            for write in self.writes
        )

    @property
    def changed(self) -> bool:
        """Something was changed, or may have been."""
        return any(state in (DONE, IN_FLIGHT) for state in self.states.values())

    @property
    def verified(self) -> bool:
        """Whether reads show the outcome of every write."""
        return not any(state is IN_FLIGHT or (state is DONE and address in self.reasons) for address, state in self.states.items())

    def failures(self) -> list[tuple[Reason, tuple[str, ...]]]:
        """What failed or is still in flight, by reason. Without an address: an ENI for which nothing could be read."""
        by_reason: dict[Reason, list[str]] = {}
        for address in self.having(FAILED, IN_FLIGHT):
            by_reason.setdefault(self.reasons.get(address) or Reason(NOT_VERIFIED, "no read showed the outcome"), []).append(address)
        if self.change.failure and not by_reason:
            return [(self.change.failure, ())]
        return [(reason, tuple(addresses)) for reason, addresses in by_reason.items()]

    def expect(self, state: str) -> None:
        """``latest`` as the changes that are done should leave it; for check mode and wait=false."""
        if self.latest:
            change = difference if state == "absent" else union
            self.latest = replace(self.latest, held=change(self.latest.held, self.as_set(DONE)))


def open_ledger(plan: Plan) -> list[EniLedger]:
    """The ledger before anything is sent."""
    ledger = []
    for change in plan.changes:
        states = dict.fromkeys(flatten(change.todo), PLANNED)
        eni = EniLedger(change, change.interface, change.read_at, states, {})
        for event, reasons in ((Event.FOUND, dict.fromkeys(flatten(change.unchanged))), (Event.SKIP, {**change.skipped, **change.refused})):
            for address, reason in reasons.items():
                states[address] = PLANNED
                eni.move(event, [address], reason)
        if change.failure:
            eni.move(Event.FAIL, flatten(change.todo), change.failure)
        ledger.append(eni)
    return ledger


def predict(plan: Plan, request: Request) -> list[EniLedger]:
    """The ledger that a run would leave if nothing came between: the answer of check mode."""
    ledger = open_ledger(plan)
    for eni in ledger:
        addresses = eni.having(PLANNED)
        eni.move(Event.SEND, addresses)
        if request.wait:
            eni.move(Event.CONFIRM, addresses)
        else:
            accept(eni, addresses)
        if addresses:
            eni.expect(request.state)
    return ledger


def accept(eni: EniLedger, addresses: Iterable[str]) -> None:
    eni.move(Event.ACCEPT, addresses, Reason(ACCEPTED, "accepted by the service, and not read back because of wait=false"))


def total(ledger: Iterable[EniLedger], *states: AddressState) -> int:
    return sum(len(eni.having(*states)) for eni in ledger)
