# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carrying out a plan, or predicting what that would come to.

Private to this collection. An ENI moves in a circle until nothing is left to do for it: line → writer → reading back → line. All
reads are made by the calling thread. Only what the review let pass is written, and only while that review is fresh.
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
    NOT_VERIFIED,
    REFUSED,
    EcsError,
    as_defect,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import ACCEPTED, PLANNED, AddressState, EniLedger, Event
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import TRANSITIONAL, Change, Plan, Reason
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Request, Target
from ansible_collections.alicloud_ops.network.plugins.module_utils._review import review
from ansible_collections.alicloud_ops.network.plugins.module_utils._verify import Verifier
from ansible_collections.alicloud_ops.network.plugins.module_utils._write import Writers, is_aged


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
            eni.move(Event.ACCEPT, addresses, ACCEPTED)
        if addresses:
            _expect(eni, request.state)
    return ledger


def _expect(eni: EniLedger, state: str) -> None:
    """``latest`` as the changes that are done should leave it; for check mode and wait=false."""
    if eni.latest:
        change = difference if state == "absent" else union
        eni.latest = replace(eni.latest, held=change(eni.latest.held, eni.as_set(AddressState.DONE)))


def carry_out(ecs: Ecs, request: Request, ledger: Sequence[EniLedger]) -> None:
    """Write what is planned and read it back. Whatever goes wrong is in the ledger, which is complete afterwards; nothing is raised
    for an ENI. An interrupt (KeyboardInterrupt and the like) is raised again after all writers have stopped."""
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
        self._line = deque(enis)  # what waits for a writer
        self._writers = Writers(ecs, request)
        self._verifier = Verifier(ecs, request)

    def carry_out(self) -> None:
        with ThreadPoolExecutor(self._ecs.writers) as pool:
            try:
                self._writers.start(pool, min(self._ecs.writers, len(self._enis)))
                self._go_round()
            except BaseException as error:  # nothing is read back any more, so nothing more may be written
                self._writers.abort = self._verifier.abort = as_defect(error)
                if not isinstance(error, Exception):  # also the timeout of a task, where this runs in the worker
                    self._ecs.stop()  # a call that waits for its turn must not be sent either
                    raise
            finally:
                self._writers.stop()

    def _go_round(self) -> None:
        while self._line or self._writers.out or self._verifier.waiting:
            if self._writers.abort:
                enis, self._line = self._line, deque()
                for eni in enis:
                    self._route(eni)
            self._feed()
            may_read = self._verifier.waiting and (not self._writers.out or self._verifier.is_full)
            seconds = (self._seconds_to_feed(), self._verifier.seconds_to_next() if may_read else None)
            written = self._writers.take_back(min((each for each in seconds if each is not None), default=None))
            for eni in [written] if written else self._verifier.read_back() if may_read else []:
                self._route(eni)
            self._writers.abort = self._writers.abort or self._verifier.abort  # what cannot be read back is not written

    def _route(self, eni: EniLedger) -> None:
        """To the line, to the verifier, or out of the circle."""
        self._drop_planned(eni)
        if eni.having(PLANNED):
            self._line.appendleft(eni)
        elif eni.still_waiting() and not self._verifier.abort:
            self._verifier.add(eni)

    def _drop_planned(self, eni: EniLedger) -> None:
        """After the end of writing, nothing stays planned."""
        if abort := self._writers.abort:
            eni.refuse(eni.having(PLANNED), Reason(abort.code, f"not sent, because of: {abort}", abort.request_id))

    def _feed(self) -> None:
        """Hand the next ENIs to the writers, no more than they can write before these age. One read renews all that have aged."""
        if not self._wants_feed:
            return
        due: list[EniLedger] = []
        later: list[EniLedger] = []
        while self._line and len(due) < self._ecs.writes_ahead:
            eni = self._line.popleft()
            (due if self._verifier.due(eni) <= _clock.now() else later).append(eni)
        self._line.extendleft(reversed(later))
        self._renew([eni for eni in due if is_aged(eni)])
        for eni in due:
            if is_aged(eni) or not eni.having(PLANNED):
                self._route(eni)
            else:
                self._writers.hand(eni)

    @property
    def _wants_feed(self) -> bool:
        """Not for each single ENI, because ENIs that have aged come back from the writers one after the other."""
        enough = min(self._ecs.writes_ahead // 2, len(self._line))
        return bool(self._line) and (self._writers.out < self._ecs.writers or self._writers.out <= enough)

    def _seconds_to_feed(self) -> float | None:
        """None while the writers have enough, or none waits for them."""
        if not self._wants_feed:
            return None
        return max(min(map(self._verifier.due, self._line)) - _clock.now(), 0)

    # -- reading again, before a write

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
        """What no longer passes is no longer planned, and neither is what is no longer to be done."""
        in_time = self._request.wait and self._verifier.waited(eni) < self._request.wait_timeout
        if change.interface is None:
            if not in_time:
                reason = change.failure or Reason(ENI_NOT_RETURNED, "the service no longer lists the ENI")
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
        # What the plan now calls an error: for example, the address became a part of a prefix.
        text = "; ".join(change.errors) or "it is not what it was when the plan was made"
        planned = waits.union(flatten(change.todo))
        eni.refuse([address for address in eni.having(PLANNED) if address not in planned], Reason(REFUSED, text))
        if waits:
            eni.read_at = float("-inf")  # not to be written before it was read again
            self._verifier.postpone(eni)
        elif is_aged(eni):
            self._writers.note_late(eni)

    # -- the end

    def close(self) -> None:
        """Nothing stays planned, and what was never read back has a reason."""
        for eni in self._enis:
            self._drop_planned(eni)
            if abort := self._verifier.abort:
                eni.give_up(Reason(NOT_VERIFIED, f"not read back, because of: {abort}", abort.request_id))
            if not self._request.wait:
                _expect(eni, self._request.state)
