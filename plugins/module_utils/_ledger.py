# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: the ledger, which records the outcome of each address. It has the only table of transitions, and the views of the ledger.

Private to this collection. Uses neither the SDK nor Ansible. A reply never moves an address to ``done``. Only a read that started
after the write ended does. Module result, report and restore recipe are views of this ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from operator import attrgetter

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import AddressSet, find_addresses, flatten, group
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import ADDRESS_REFUSED, NOT_VERIFIED, EcsError
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import Interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Change, Reason


class AddressState(Enum):
    PLANNED = "planned"  # to be written, or to be written again
    IN_FLIGHT = "in_flight"  # a write that names it was sent, and no later read has shown the outcome
    DONE = "done"  # a read that started after the write shows the change
    UNCHANGED = "unchanged"  # it was already as requested
    SKIPPED = "skipped"  # not changed on purpose, with a reason
    FAILED = "failed"  # not changed, with a reason; an unconfirmed address stays in flight, and is reported as failed


class Event(Enum):
    FOUND = "a read shows it as requested"
    SKIP = "the plan skips it"
    SEND = "a write that names it is about to be sent"
    CONFIRM = "a read that started after its write shows the change"
    ACCEPT = "the write was accepted, and the user does not wait for a read (wait=false)"
    RETURN = "the write was never sent, or a read does not show the change and it may be sent again"
    HOLD = "it is not sent again, but a read may still show the change"
    FAIL = "it was never sent, or reply and read show that it was not changed"


PLANNED, IN_FLIGHT, DONE, UNCHANGED, SKIPPED, FAILED = AddressState

TRANSITIONS: Mapping[tuple[AddressState, Event], AddressState] = {
    (PLANNED, Event.FOUND): UNCHANGED,
    (PLANNED, Event.SKIP): SKIPPED,
    (PLANNED, Event.SEND): IN_FLIGHT,
    (PLANNED, Event.CONFIRM): DONE,  # it was sent earlier, and a read for a new plan shows the change
    (PLANNED, Event.HOLD): IN_FLIGHT,
    (PLANNED, Event.FAIL): FAILED,
    (IN_FLIGHT, Event.CONFIRM): DONE,
    (IN_FLIGHT, Event.ACCEPT): DONE,
    (IN_FLIGHT, Event.RETURN): PLANNED,
    (IN_FLIGHT, Event.HOLD): IN_FLIGHT,
    (IN_FLIGHT, Event.FAIL): FAILED,
    (SKIPPED, Event.CONFIRM): DONE,  # it was sent before it was skipped, and a later read shows the change
    (FAILED, Event.CONFIRM): DONE,  # it was sent, and a later read for other addresses of the ENI shows the change
}

ACCEPTED = Reason("Accepted", "accepted by the service")


@dataclass(slots=True, eq=False)
class Write:
    """One call that was sent, or is being sent."""

    addresses: tuple[str, ...]
    error: EcsError | None = None  # None if the service accepted it
    to_repeat: bool = False  # the plan aged before the call could be repeated

    @property
    def reply(self) -> Reason:
        return Reason(self.error.code, self.error.message, self.error.request_id) if self.error else ACCEPTED

    @property
    def named(self) -> frozenset[str]:
        """The addresses that a refusal names. They are sent again on their own, because a text proves no cause. Empty if it names all
        addresses."""
        named = find_addresses(self.error.message).intersection(self.addresses) if self.error else frozenset()
        return named if len(named) < len(self.addresses) else frozenset()

    def may_have_changed(self, address: str, *, partly: bool) -> bool:
        """``partly``: include a call that was refused because of another address. The API does not document whether such a call changes
        the other addresses (ecs-api.md, open question 1)."""
        is_open = self.error is None or self.error.may_have_been_carried_out
        is_for_another = len(self.addresses) > 1 and bool(ADDRESS_REFUSED.match(self.reply.code)) and address not in self.named
        return address in self.addresses and (is_open or (partly and is_for_another))


_GUARDED = attrgetter("type", "status", "instance_id", "primary", "eips", "tags", "service_managed")


@dataclass(slots=True, eq=False)
class EniLedger:
    """The outcome of each address of one ENI. ``latest`` is the ENI as the newest read shows it; ``read_at`` as in ``Change``."""

    change: Change
    latest: Interface | None
    read_at: float
    states: dict[str, AddressState]
    reasons: dict[str, Reason]
    writes: list[Write] = field(default_factory=list)
    writes_shown: int = 0  # number of writes that ended before the newest read that shows the ENI
    batches: list[tuple[str, ...]] = field(default_factory=list)  # calls to repeat next, whole or in parts
    refusals: dict[str, Reason] = field(default_factory=dict)  # by address in flight: why it is not sent again
    late: int = 0  # how many times in a row the plan was too old when a call was due to be sent

    @property
    def eni_id(self) -> str:
        return self.change.eni_id or ""

    def move(self, event: Event, addresses: Iterable[str], reason: Reason | None = None) -> None:
        """KeyError if the table does not have the transition. That is a defect, which must not be hidden."""
        for address in addresses:
            self.states[address] = TRANSITIONS[self.states[address], event]
            self.refusals.pop(address, None)
            self.reasons.pop(address, None)
            if reason:
                self.reasons[address] = reason

    def confirm(self, view: Interface, state: str) -> bool:
        """``view``: the ENI as a read shows it that started after all writes ended. Addresses that it shows as changed are done. Returns
        whether there are any. If a field that the guards use has changed, the guards must check the ENI again before a write."""
        if self.latest and _GUARDED(view) != _GUARDED(self.latest):
            self.read_at = float("-inf")
        self.latest, self.writes_shown = view, len(self.writes)
        held, sent = set(flatten(view.held)), self.sent
        open_or_refused = self.having(IN_FLIGHT, FAILED, SKIPPED)
        changed = [address for address in open_or_refused if address in sent and (address in held) == (state == "present")]
        self.move(Event.CONFIRM, changed)
        return bool(changed)

    def send_again(self, *batches: Iterable[str]) -> None:
        """Send each batch in one call. A batch is a whole earlier call, which then keeps its ClientToken, or a part of one."""
        for batch in map(tuple, batches):
            self.move(Event.RETURN, batch)
            self.batches.append(batch)

    def take_back(self, write: Write) -> None:
        """The call never left this machine, so it is forgotten, and its addresses are planned again."""
        self.writes.remove(write)
        self.send_again(write.addresses)

    def refuse(self, addresses: Iterable[str], reason: Reason, *, hold: bool = False) -> None:
        """Do not send these addresses, or not again. Those that may have been changed are held, that is, read until wait_timeout ends.
        The others fail. ``hold``: hold all of them."""
        for address in addresses:
            if hold or self.may_have_been_changed(address):
                self.move(Event.HOLD, [address])
                self.refusals[address] = reason
            else:
                self.move(Event.FAIL, [address], reason)

    def give_up(self, reason: Reason, *, partly: bool = True) -> None:
        """End the reads. Addresses that may have been changed stay in flight, and are reported as failed with this ``reason``. Addresses
        that were certainly not changed move to failed. ``partly`` as in ``Write``; False if reads showed no change until the end."""
        for address in self.still_waiting():
            last = self.refusals.get(address) or self.last_write(address).reply
            if self.may_have_been_changed(address, partly=partly):
                sent = "accepted" if last is ACCEPTED else f"sent, and then {last.code} ({last.text})"
                self.reasons[address] = Reason(reason.code, f"{sent}, but {reason.text}", last.request_id or reason.request_id)
            else:
                self.move(Event.FAIL, [address], last)

    def still_waiting(self) -> list[str]:
        """Addresses in flight that were not given up."""
        return [address for address in self.having(IN_FLIGHT) if address not in self.reasons]

    def having(self, *states: AddressState) -> tuple[str, ...]:
        return tuple([address for address, state in self.states.items() if state in states])

    def as_set(self, state: AddressState) -> AddressSet:
        """The addresses in this state, by kind."""
        addresses = self.having(state)
        return self.change.todo if addresses == flatten(self.change.todo) else group(addresses)

    @property
    def sent(self) -> frozenset[str]:
        """All addresses for which a write was ever sent, with any reply."""
        return frozenset(address for write in self.writes for address in write.addresses)

    def last_write(self, address: str) -> Write:
        return next(write for write in reversed(self.writes) if address in write.addresses)

    def may_have_been_changed(self, address: str, *, partly: bool = True) -> bool:
        return any(write.may_have_changed(address, partly=partly) for write in self.writes)

    @property
    def verified(self) -> bool:
        """Whether a read after the last write shows the ENI, and the outcome of every write."""
        is_open = any(state is IN_FLIGHT or (state is DONE and address in self.reasons) for address, state in self.states.items())
        return self.writes_shown == len(self.writes) and not is_open

    def failures(self) -> list[tuple[Reason, tuple[str, ...]]]:
        """Addresses that failed or are still in flight, by reason. An entry without addresses is an ENI that could not be read."""
        by_reason: dict[Reason, list[str]] = {}
        for address in self.having(FAILED, IN_FLIGHT):
            by_reason.setdefault(self.reasons.get(address) or Reason(NOT_VERIFIED, "no read showed the outcome"), []).append(address)
        if self.change.failure and not by_reason:
            return [(self.change.failure, ())]
        return [(reason, tuple(addresses)) for reason, addresses in by_reason.items()]
