# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading back: what a read says about addresses in flight, and when to read again.

Private to this collection. ``observe`` is the one place where a reply counts at all: where a read shows no change, it decides
whether to wait for one, to send again, or to fail.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import flatten
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import (
    ADDRESS_REFUSED,
    ALREADY_SO,
    ENI_NOT_FOUND,
    ENI_NOT_RETURNED,
    NOT_VERIFIED,
    STATE_CHANGED,
    EcsError,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import IDS_PER_READ, Interface, read_interfaces
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import IN_FLIGHT, EniLedger, Event, Write
from ansible_collections.alicloud_ops.network.plugins.module_utils._pacing import Stopwatch
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Reason
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Request

# Seconds between two reads of an ENI: the first pause, its growth, the longest.
FIRST_POLL, POLL_BACKOFF, LONGEST_POLL = 0.5, 1.5, 5.0


class _Patience:
    """How long an ENI has waited for progress, and when it is read or sent again."""

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch
        self.writes = 0  # that were sent before the last read
        self.pause = FIRST_POLL
        self.due = 0.0


class Verifier:
    """Reads ENIs back in batches of up to 100, in the thread that calls it, and knows how long each has waited."""

    def __init__(self, ecs: Ecs, request: Request) -> None:
        self._ecs = ecs
        self._request = request
        self._patience: dict[str, _Patience] = {}
        self.waiting: list[EniLedger] = []
        self.abort: EcsError | None = None  # why nothing more is read

    def add(self, eni: EniLedger) -> None:
        """The wait begins when the first call was sent, and again with each that was accepted."""
        patience = self._patience.setdefault(eni.eni_id, _Patience(self._ecs.stopwatch()))
        if any(write.error is None for write in eni.writes[patience.writes :]):
            self._restart(eni)
        self._patience[eni.eni_id].writes = len(eni.writes)
        self.waiting.append(eni)

    def _restart(self, eni: EniLedger) -> None:
        self._patience[eni.eni_id] = _Patience(self._ecs.stopwatch())
        self._patience[eni.eni_id].writes = len(eni.writes)

    def waited(self, eni: EniLedger) -> float:
        return self._patience[eni.eni_id].watch.seconds if eni.eni_id in self._patience else 0.0

    def due(self, eni: EniLedger) -> float:
        """When the ENI may be read or sent again, by the clock of ``_clock``."""
        return self._patience[eni.eni_id].due if eni.eni_id in self._patience else 0.0

    def postpone(self, eni: EniLedger) -> None:
        patience = self._patience.setdefault(eni.eni_id, _Patience(self._ecs.stopwatch()))
        patience.due = _clock.now() + patience.pause
        patience.pause = min(patience.pause * POLL_BACKOFF, LONGEST_POLL)

    @property
    def is_full(self) -> bool:
        return len(self.waiting) >= IDS_PER_READ

    def seconds_to_next(self) -> float:
        return max(min(map(self.due, self.waiting)) - _clock.now(), 0)

    def read_back(self) -> list[EniLedger]:
        """Reads one batch, if its first ENI is due. Returns the ENIs of the batch."""
        self.waiting.sort(key=self.due)
        if self.due(self.waiting[0]) > _clock.now():
            return []
        batch, self.waiting = self.waiting[:IDS_PER_READ], self.waiting[IDS_PER_READ:]
        unreadable: dict[str, EcsError] = {}
        try:
            interfaces = read_interfaces(self._ecs, (eni.eni_id for eni in batch), unreadable)
        except EcsError as error:
            if self._ecs.is_fatal(error):
                self.abort = error
                self.waiting.clear()
            for eni in batch:
                eni.give_up(still_waiting(eni), Reason(NOT_VERIFIED, f"sent, but reading back failed: {error}", error.request_id))
            return batch
        for eni in batch:
            interface, lacking = interfaces.get(eni.eni_id), unreadable.get(eni.eni_id)
            if observe(eni, interface, self._request, self.waited(eni), self._ecs.retry_timeout, lacking):
                self._restart(eni)
            else:
                self.postpone(eni)
        return batch


def still_waiting(eni: EniLedger) -> list[str]:
    """Addresses in flight that were not given up."""
    return [address for address in eni.having(IN_FLIGHT) if address not in eni.reasons]


def observe(
    eni: EniLedger,
    interface: Interface | None,
    request: Request,
    waited: float,
    retry_timeout: float,
    unreadable: EcsError | None = None,
) -> bool:
    """Move what is in flight by what a read shows, which started after the last write of the ENI ended. ``waited``: seconds without
    progress. ``interface`` None: the read left out the ENI, or its record is ``unreadable``. Returns whether there was progress."""
    in_time = request.wait and waited < request.wait_timeout
    progress = False
    if interface is None:
        _observe_nothing(eni, in_time, unreadable)
        return False
    eni.latest = interface
    held = set(flatten(interface.held))
    changed = [address for address in eni.having(IN_FLIGHT) if (address in held) == (request.state == "present")]
    eni.move(Event.CONFIRM, changed)
    may_send_again = waited < retry_timeout
    for write, addresses in _by_last_write(eni):
        error = write.error
        if error is None:
            _wait(eni, addresses, in_time, Reason(NOT_VERIFIED, f"accepted, but {_as_before(request)}"))
            continue
        reason = Reason(error.code, error.message, error.request_id)
        if error.may_have_been_carried_out:
            if may_send_again:
                eni.move(Event.RETURN, addresses)
            else:
                _wait(eni, addresses, in_time, Reason(NOT_VERIFIED, f"sent, but {_as_before(request)}: {error}", error.request_id))
        elif STATE_CHANGED.match(error.code) and in_time:
            eni.move(Event.RETURN, addresses)
            eni.read_at = float("-inf")  # the plan is older than the state that the service found
        elif ADDRESS_REFUSED.match(error.code):
            progress |= _settle_refused_call(eni, write, addresses, request, in_time, reason)
        else:
            eni.move(Event.FAIL, addresses, reason)
    return bool(changed) or progress


def _by_last_write(eni: EniLedger) -> Iterable[tuple[Write, list[str]]]:
    by_write: dict[int, tuple[Write, list[str]]] = {}
    for address in still_waiting(eni):
        write = eni.last_write(address)
        by_write.setdefault(id(write), (write, []))[1].append(address)
    return by_write.values()


def _observe_nothing(eni: EniLedger, in_time: bool, unreadable: EcsError | None) -> None:
    """One read without the ENI proves nothing; the service's own answer that it does not exist confirms it."""
    for write, addresses in _by_last_write(eni):
        if write.error and write.error.code == ENI_NOT_FOUND and not unreadable:
            eni.latest = None
            eni.move(Event.FAIL, addresses, Reason(ENI_NOT_FOUND, write.error.message, write.error.request_id))
        elif unreadable:
            _wait(eni, addresses, in_time, Reason(NOT_VERIFIED, f"sent, but the ENI cannot be read: {unreadable}", unreadable.request_id))
        else:
            _wait(eni, addresses, in_time, Reason(ENI_NOT_RETURNED, "sent, but the service no longer lists the ENI"))


def _settle_refused_call(eni: EniLedger, write: Write, addresses: list[str], request: Request, in_time: bool, reason: Reason) -> bool:
    """The service refused the call because of one or more of its addresses. The others are sent again without them; where it names
    none, in halves, so that one bad address of n costs about 2·log₂ n calls. Returns whether there is something to send again."""
    named = [address for address in addresses if address in write.named or len(write.addresses) == 1]
    others = [address for address in addresses if address not in named]
    eni.move(Event.RETURN, others)
    if write.named.isdisjoint(write.addresses):
        middle = (len(others) + 1) // 2
        eni.halves.extend(filter(None, (tuple(others[:middle]), tuple(others[middle:]))))
    for address in named:
        uncertain = eni.may_have_been_carried_out(address)
        if in_time and (uncertain or (request.state == "absent" and ALREADY_SO[request.state].match(reason.code))):
            continue  # the service says that it is already so; a read may lag behind it
        if uncertain:
            text = f"refused with {reason.code} ({reason.text}), but an earlier call of it may have been carried out"
            eni.give_up([address], Reason(NOT_VERIFIED, text, reason.request_id))
        else:
            eni.move(Event.FAIL, [address], reason)
    return bool(others)


def _wait(eni: EniLedger, addresses: list[str], in_time: bool, reason: Reason) -> None:
    if not in_time:
        eni.give_up(addresses, reason)


def _as_before(request: Request) -> str:
    return f"{'still there' if request.state == 'absent' else 'not there'} after {request.wait_timeout if request.wait else 0:.0f} s"
