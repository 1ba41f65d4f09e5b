# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carry out a plan, or predict the outcome.

Private to this collection. An ENI moves in a circle until its work is finished: queue → writer → read-back → queue. The calling
thread makes all reads. An address is written only if the review allows it, and only while that review is fresh.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import difference, flatten, group, union
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import (
    ENI_NOT_RETURNED,
    NO_LONGER_LISTED,
    NOT_VERIFIED,
    REFUSED,
    EcsError,
    as_defect,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import ACCEPTED, PLANNED, AddressState, EniLedger, Event
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import TRANSITIONAL, Change, Plan, Reason
from ansible_collections.alicloud_ops.network.plugins.module_utils._read import IDS_PER_READ
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Request, Target
from ansible_collections.alicloud_ops.network.plugins.module_utils._review import review
from ansible_collections.alicloud_ops.network.plugins.module_utils._verify import Verifier
from ansible_collections.alicloud_ops.network.plugins.module_utils._write import Writers, is_aged, note_late


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
    """The ledger after a run without any error or change from outside. Check mode returns it."""
    ledger = open_ledger(plan)
    for eni in ledger:
        addresses = eni.having(PLANNED)
        eni.move(Event.SEND, addresses)
        if request.wait:
            eni.move(Event.CONFIRM, addresses)
        else:
            eni.move(Event.ACCEPT, addresses, ACCEPTED)
        _expect(eni, request.state)
    return ledger


def _expect(eni: EniLedger, state: str) -> None:
    """Set ``latest`` to what a read should show after the changes that are done. For check mode and wait=false."""
    if eni.latest:
        change = difference if state == "absent" else union
        eni.latest = replace(eni.latest, held=change(eni.latest.held, eni.as_set(AddressState.DONE)))


def carry_out(ecs: Ecs, request: Request, ledger: Sequence[EniLedger]) -> None:
    """Write the planned addresses and read them back. Afterwards the ledger is complete. Failures are in the ledger, and are not raised as
    exceptions. An interrupt such as KeyboardInterrupt is raised again after all writers have stopped."""
    enis = [eni for eni in ledger if eni.having(PLANNED)]
    if not enis:
        return
    run = _Run(ecs, request, enis)
    try:
        run.carry_out()
    finally:
        run.close()


class _Run:
    def __init__(self, ecs: Ecs, request: Request, enis: Sequence[EniLedger]) -> None:
        self._ecs = ecs
        self._request = request
        self._enis = enis
        self._queue = deque(enis)  # ENIs that wait for a writer
        self._writers = Writers(ecs, request)
        self._verifier = Verifier(ecs, request)

    def carry_out(self) -> None:
        with ThreadPoolExecutor(self._ecs.writers) as pool:
            try:
                self._writers.start(pool, min(self._ecs.writers, len(self._enis)))
                self._go_round()
            except BaseException as error:  # without further read-backs, no further writes are allowed
                self._writers.abort = self._verifier.abort = as_defect(error)
                if not isinstance(error, Exception):  # an interrupt, or the timeout of a task in the worker of Ansible
                    self._ecs.stop()  # calls that wait for their turn must not be sent either
                    raise
            finally:
                self._writers.stop()

    def _go_round(self) -> None:
        while self._queue or self._writers.out or self._verifier.waiting:
            if self._writers.abort:
                enis, self._queue = self._queue, deque()
                for eni in enis:
                    self._route(eni)
            self._feed()
            may_read = self._verifier.waiting and (not self._writers.out or len(self._verifier.waiting) >= IDS_PER_READ)
            seconds = (self._seconds_to_feed(), self._verifier.seconds_to_next() if may_read else None)
            written = self._writers.take_back(min((each for each in seconds if each is not None), default=None))
            for eni in [written] if written else self._verifier.read_back() if may_read else []:
                self._route(eni)
            self._writers.abort = self._writers.abort or self._verifier.abort  # never write what cannot be read back

    def _route(self, eni: EniLedger) -> None:
        """Move the ENI to the queue, to the verifier, or out of the circle."""
        self._drop_planned(eni)
        if eni.having(PLANNED):
            self._queue.appendleft(eni)
        elif eni.still_waiting() and not self._verifier.abort:
            self._verifier.add(eni)

    def _drop_planned(self, eni: EniLedger) -> None:
        """If no more writes are allowed, no address stays planned."""
        if abort := self._writers.abort:
            eni.refuse(eni.having(PLANNED), Reason(abort.code, f"not sent, because the run stopped: {abort}", abort.request_id))

    def _feed(self) -> None:
        """Hand the next ENIs to the writers, but only as many as can be written before their plans age. One read renews aged plans."""
        if not self._wants_feed:
            return
        due: list[EniLedger] = []
        later: list[EniLedger] = []
        while self._queue and len(due) < self._ecs.writes_ahead:
            eni = self._queue.popleft()
            (due if self._verifier.due(eni) <= _clock.now() else later).append(eni)
        self._queue.extendleft(reversed(later))
        self._renew([eni for eni in due if is_aged(eni)])
        for eni in due:
            if is_aged(eni) or not eni.having(PLANNED):
                self._route(eni)
            else:
                self._writers.hand(eni)

    @property
    def _wants_feed(self) -> bool:
        """Whether to hand out ENIs now. False until several ENIs can be handed out together. ENIs with aged plans return from the writers
        one by one, and one read can renew all of them."""
        enough = min(self._ecs.writes_ahead // 2, len(self._queue))
        return bool(self._queue) and (self._writers.out < self._ecs.writers or self._writers.out <= enough)

    def _seconds_to_feed(self) -> float | None:
        """How long to wait before the next ``_feed``. None while the writers have enough work, or if no ENI waits for them."""
        if not self._wants_feed:
            return None
        return max(min(map(self._verifier.due, self._queue)) - _clock.now(), 0)

    # -- reading again before a write

    def _renew(self, enis: Sequence[EniLedger]) -> None:
        if not enis:
            return
        targets = [Target("", eni.eni_id, None, group(eni.having(PLANNED))) for eni in enis]
        try:
            plan = review(self._ecs, self._request, targets, seen=[eni.eni_id for eni in enis], wait_for_states=False)
        except EcsError as error:
            if self._ecs.is_fatal(error):
                self._writers.abort = error
            for eni in enis:
                eni.refuse(eni.having(PLANNED), Reason(error.code, f"not sent: {error}", error.request_id))
            return
        for eni, change in zip(enis, plan.changes, strict=True):
            self._absorb(eni, change)

    def _absorb(self, eni: EniLedger, change: Change) -> None:
        """Take over the new plan. Addresses that it refuses, or that are already as requested, are no longer planned."""
        in_time = self._request.wait and self._verifier.waited(eni) < self._request.wait_timeout
        if change.interface is None:
            if not in_time:
                reason = change.failure or Reason(ENI_NOT_RETURNED, NO_LONGER_LISTED)
                eni.refuse(eni.having(PLANNED), reason)
            self._verifier.postpone(eni)  # a single read without the ENI proves nothing
            return
        eni.confirm(change.interface, self._request.state)
        eni.read_at = change.read_at
        sent = eni.sent
        for address in flatten(change.unchanged):
            eni.move(Event.CONFIRM if address in sent else Event.FOUND, [address])
        waits = {address for address, reason in change.refused.items() if in_time and reason.code in TRANSITIONAL}
        for address, reason in change.refused.items():
            if address in waits:
                continue
            # Never report a possible write as skipped.
            if self._request.skip_refused and not eni.may_have_been_changed(address):
                eni.move(Event.SKIP, [address], reason)
            else:
                eni.refuse([address], Reason(REFUSED, reason.text))
        # The new plan can have errors, for example if the address is now a part of a prefix.
        text = "; ".join(change.errors) or "the address has changed since the plan was made"
        planned = waits.union(flatten(change.todo))
        eni.refuse([address for address in eni.having(PLANNED) if address not in planned], Reason(REFUSED, text))
        if waits:
            eni.read_at = float("-inf")  # so that the ENI is read again before the write
            self._verifier.postpone(eni)
        elif is_aged(eni):
            note_late(eni)

    # -- the end

    def close(self) -> None:
        """Leave no address planned, and give a reason to addresses that were not read back because the run stopped."""
        for eni in self._enis:
            self._drop_planned(eni)
            if abort := self._verifier.abort:
                eni.give_up(Reason(NOT_VERIFIED, f"not read back, because the run stopped: {abort}", abort.request_id))
            if not self._request.wait:
                _expect(eni, self._request.state)
