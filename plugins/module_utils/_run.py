# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carrying out a plan. An ENI moves in a circle until nothing is left to do for it: line → writer → reading back → line.

Private to this collection. All reads are made by the calling thread. Only what the review let pass is written, and only while
that review is fresh.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import flatten, group
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import (
    ENI_NOT_RETURNED,
    NOT_VERIFIED,
    REFUSED,
    EcsError,
    as_defect,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import PLANNED, EniLedger, Event
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import TRANSITIONAL, Change, Reason
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Request, Target
from ansible_collections.alicloud_ops.network.plugins.module_utils._review import review
from ansible_collections.alicloud_ops.network.plugins.module_utils._verify import Verifier, still_waiting
from ansible_collections.alicloud_ops.network.plugins.module_utils._write import Writers, is_aged


def carry_out(ecs: Ecs, request: Request, ledger: Sequence[EniLedger]) -> None:
    """Write what is planned and read it back. Whatever goes wrong is in the ledger, which is complete afterwards; nothing is raised
    for an ENI. An interrupt (KeyboardInterrupt and the like) is raised again after all writers have stopped."""
    enis = [eni for eni in ledger if eni.having(PLANNED)]
    if enis:
        _Run(ecs, request, enis).carry_out()


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
                if not isinstance(error, Exception):
                    self._ecs.stop()  # a call that waits for its turn must not be sent either
                    raise
            finally:
                self._writers.stop()
        for eni in self._enis:
            self._close(eni)

    def _go_round(self) -> None:
        while self._line or self._writers.out or self._verifier.waiting:
            if self._writers.abort:
                self._line.clear()
            self._feed()
            may_read = self._verifier.waiting and (not self._writers.out or self._verifier.is_full)
            seconds = (self._seconds_to_feed(), self._verifier.seconds_to_next() if may_read else None)
            eni = self._writers.take_back(min((each for each in seconds if each is not None), default=None))
            for moved in [eni] if eni else self._verifier.read_back() if may_read else []:
                self._route(moved)

    def _route(self, eni: EniLedger) -> None:
        """To the line, to the verifier, or out of the circle."""
        if eni.having(PLANNED) and not self._writers.abort:
            self._line.appendleft(eni)
        elif still_waiting(eni) and not self._verifier.abort:
            self._verifier.add(eni)

    def _feed(self) -> None:
        """Hand the next ENIs to the writers, no more than they can write before these age. One read renews all that have aged."""
        if self._writers.out > self._ecs.writes_ahead:
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

    def _seconds_to_feed(self) -> float | None:
        """None while the writers have enough, or none waits for them."""
        if not self._line or self._writers.out > self._ecs.writes_ahead:
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
                eni.move(Event.FAIL, eni.having(PLANNED), Reason(error.code, f"not sent: {error}", error.request_id))
            return
        for eni, change in zip(enis, plan.changes, strict=True):
            self._absorb(eni, change)

    def _absorb(self, eni: EniLedger, change: Change) -> None:
        """What no longer passes is no longer planned, and neither is what is no longer to be done."""
        in_time = self._request.wait and self._verifier.waited(eni) < self._request.wait_timeout
        if change.interface is None:
            if not in_time:
                reason = change.failure or Reason(ENI_NOT_RETURNED, "the service no longer lists the ENI")
                eni.move(Event.FAIL, eni.having(PLANNED), reason)
            self._verifier.postpone(eni)  # a single read without the ENI proves nothing
            return
        eni.latest, eni.read_at = change.interface, change.read_at
        sent = eni.sent
        for address in flatten(change.unchanged):
            eni.move(Event.CONFIRM if address in sent else Event.FOUND, [address])
        if in_time and change.refused and all(reason.code in TRANSITIONAL for reason in change.refused.values()):
            eni.read_at = float("-inf")  # not to be written before it was read again
            self._verifier.postpone(eni)
            return
        for address, reason in change.refused.items():
            # Never report a possible write as skipped.
            skip = self._request.skip_refused and address not in sent
            eni.move(Event.SKIP if skip else Event.FAIL, [address], reason if skip else Reason(REFUSED, reason.text))
        # What the plan now calls an error: for example, the address became a part of a prefix.
        text = "; ".join(change.errors) or "it is not what it was when the plan was made"
        planned = set(flatten(change.todo))
        eni.move(Event.FAIL, [address for address in eni.having(PLANNED) if address not in planned], Reason(REFUSED, text))

    # -- the end

    def _close(self, eni: EniLedger) -> None:
        """Nothing stays planned, and what was never read back has a reason."""
        if abort := self._writers.abort:
            eni.move(Event.FAIL, eni.having(PLANNED), Reason(abort.code, f"not sent, because of: {abort}", abort.request_id))
        if abort := self._verifier.abort:
            eni.give_up(still_waiting(eni), Reason(NOT_VERIFIED, f"sent, but not read back, because of: {abort}", abort.request_id))
        if not self._request.wait:
            eni.expect(self._request.state)
