# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Send writes: many ENIs at once, one call at a time for each ENI.

Private to this collection. An address is in flight before its call is sent. The reply is only recorded: ``_verify`` decides, after a read.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock, _errors
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import KINDS, kind_of
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import ACCEPTED, PLANNED, EniLedger, Event, Write
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Reason
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Request

# If the plan is older than this, the call is not sent before the ENI has been read and guarded again.
PLAN_LIVES_SECONDS = 60.0
# A plan is renewed a little earlier, so that it does not get too old while its call waits to be sent.
RENEW_AFTER_SECONDS = 45.0
RENEWALS_IN_A_ROW = 3
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 4.0  # seconds that a writer pauses if its calls get no reply


def is_aged(eni: EniLedger) -> bool:
    return eni.read_at < _clock.now() - RENEW_AFTER_SECONDS


class Writers:
    """Threads that take ENIs, send their planned writes, and return them."""

    def __init__(self, ecs: Ecs, request: Request) -> None:
        self._ecs = ecs
        self._request = request
        self._handed: SimpleQueue[EniLedger | None] = SimpleQueue()
        self._returned: SimpleQueue[EniLedger] = SimpleQueue()
        self._tokens: dict[tuple[str, tuple[str, ...]], str] = {}  # by ENI and addresses: the ClientToken of this call
        self.out = 0  # ENIs that were handed over and not returned yet
        self.abort: _errors.EcsError | None = None  # why nothing more is written

    def start(self, pool: ThreadPoolExecutor, number: int) -> None:
        """Start all threads before the first write, so that running out of threads cannot interrupt a run."""
        self._threads = number
        try:
            for _number in range(number):
                pool.submit(self._work)
        except RuntimeError:
            text = f"this machine cannot start {number} threads; lower max_concurrency"
            raise _errors.EcsError("The module", _errors.NO_THREADS, text) from None

    def stop(self) -> None:
        for _number in range(self._threads):
            self._handed.put(None)

    def hand(self, eni: EniLedger) -> None:
        self.out += 1
        self._handed.put(eni)

    def take_back(self, seconds: float | None) -> EniLedger | None:
        """The next ENI that the writers return. None if they return none within ``seconds``. If they have no ENI, this only pauses."""
        if not self.out:
            _clock.sleep(seconds or 0)
            return None
        try:
            eni = self._returned.get(timeout=seconds)
        except Empty:
            return None
        self.out -= 1
        return eni

    def _work(self) -> None:
        unanswered = 0  # in a row
        while (eni := self._handed.get()) is not None:
            try:
                while self.abort is None and not is_aged(eni) and (batch := _next_batch(eni)):
                    error = self._write(eni, batch)
                    unanswered = unanswered + 1 if error and error.is_transient and error.may_have_been_carried_out else 0
                    if unanswered:  # slow down, so that an outage does not leave every ENI with a write of unknown outcome
                        _clock.sleep(min(FIRST_PAUSE * 2 ** (unanswered - 1), LONGEST_PAUSE))
            except BaseException as error:
                self.abort = _errors.as_defect(error)
            finally:
                self._returned.put(eni)

    def _write(self, eni: EniLedger, batch: tuple[str, ...]) -> _errors.EcsError | None:
        write = Write(batch)
        eni.writes.append(write)
        eni.move(Event.SEND, batch)
        try:
            self._send(eni, batch)
        except _errors.PlanAged as aged:
            if aged.refusal is None:
                eni.take_back(write)
            else:  # an earlier attempt was sent, so a read decides
                self._note_error(eni, write, aged.refusal)
                write.to_repeat = eni.late < RENEWALS_IN_A_ROW
            note_late(eni)
        except BaseException as error:  # after a defect it is unknown whether the call was carried out
            self._note_error(eni, write, _errors.as_defect(error))
            if not isinstance(error, Exception):
                raise
        else:
            eni.late = 0
            if not self._request.wait:
                eni.move(Event.ACCEPT, batch, ACCEPTED)
        return write.error

    def _send(self, eni: EniLedger, batch: tuple[str, ...]) -> None:
        kind, not_after = kind_of(batch[0]).name, eni.read_at + PLAN_LIVES_SECONDS
        if self._request.state == "absent":
            spelled = eni.latest.spelled if eni.latest else {}  # the form of the service, which can differ only for IPv6
            self._ecs.unassign(eni.eni_id, kind, [spelled.get(address, address) for address in batch], not_after=not_after)
        else:
            token = self._tokens.setdefault((eni.eni_id, batch), str(uuid.uuid4()))
            self._ecs.assign(eni.eni_id, kind, batch, client_token=token, not_after=not_after)

    def _note_error(self, eni: EniLedger, write: Write, error: _errors.EcsError) -> None:
        write.error = error
        if self._ecs.is_fatal(error):
            self.abort = error
        if error.unsent:
            eni.take_back(write)
            eni.refuse(write.addresses, write.reply)
        elif _errors.TOKEN_USED_UP.match(error.code):
            self._tokens.pop((eni.eni_id, write.addresses), None)


def note_late(eni: EniLedger) -> None:
    """The plan was too old when the call was due to be sent. Have the ENI read again, but at most RENEWALS_IN_A_ROW times in a row."""
    eni.read_at = float("-inf")
    eni.late += 1
    if eni.late > RENEWALS_IN_A_ROW:
        late = f"no call could be sent within {PLAN_LIVES_SECONDS:.0f} s after the ENI was read, because of pacing or throttling"
        eni.refuse(eni.having(PLANNED), Reason(_errors.PLAN_AGED, f"{late}; raise calls_per_minute, or lower max_concurrency"))


def _next_batch(eni: EniLedger) -> tuple[str, ...] | None:
    """The addresses of the next call: of one kind, and within the limit."""
    planned = eni.having(PLANNED)
    while eni.batches:
        if batch := tuple(address for address in eni.batches.pop(0) if address in planned):
            return batch
    return next((call for kind in KINDS for call in kind.calls(each for each in planned if kind_of(each) is kind)), None)
