# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read-back: what a read shows about addresses in flight, and when to read again.

Private to this collection. ``observe`` is the only place that uses the reply of a write. If a read shows no change, the reply decides
whether to wait, to send again or to fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock, _errors
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import Interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import EniLedger, Write
from ansible_collections.alicloud_ops.network.plugins.module_utils._pacing import Stopwatch
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Reason
from ansible_collections.alicloud_ops.network.plugins.module_utils._read import IDS_PER_READ, read_interfaces
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Request

# Seconds between two reads of an ENI: the first pause, its growth, the longest.
FIRST_POLL, POLL_BACKOFF, LONGEST_POLL = 0.5, 1.5, 5.0


@dataclass(slots=True)
class _Patience:
    """How long an ENI has waited for progress, and when it is due to be read or sent again."""

    watch: Stopwatch
    writes: int  # number of writes that were sent before the wait began
    pause: float = FIRST_POLL
    due: float = 0.0


class Verifier:
    """Reads ENIs back in batches of up to 100, in the calling thread, and measures how long each has waited."""

    def __init__(self, ecs: Ecs, request: Request) -> None:
        self._ecs = ecs
        self._request = request
        self._patience: dict[str, _Patience] = {}
        self.waiting: list[EniLedger] = []
        self.abort: _errors.EcsError | None = None  # why nothing more is read

    def add(self, eni: EniLedger) -> None:
        """The wait begins after the first calls, and again after each accepted call."""
        patience = self._patience.get(eni.eni_id)
        if patience is None or any(write.error is None for write in eni.writes[patience.writes :]):
            self._restart(eni)
        self.waiting.append(eni)

    def _restart(self, eni: EniLedger) -> _Patience:
        self._patience[eni.eni_id] = _Patience(self._ecs.stopwatch(), len(eni.writes))
        return self._patience[eni.eni_id]

    def waited(self, eni: EniLedger) -> float:
        return self._patience[eni.eni_id].watch.seconds if eni.eni_id in self._patience else 0.0

    def due(self, eni: EniLedger) -> float:
        """When the ENI may be read or sent again, by the clock of ``_clock``."""
        return self._patience[eni.eni_id].due if eni.eni_id in self._patience else 0.0

    def postpone(self, eni: EniLedger) -> None:
        patience = self._patience.get(eni.eni_id) or self._restart(eni)
        patience.due = _clock.now() + patience.pause
        patience.pause = min(patience.pause * POLL_BACKOFF, LONGEST_POLL)

    def seconds_to_next(self) -> float:
        return max(min(map(self.due, self.waiting)) - _clock.now(), 0)

    def read_back(self) -> list[EniLedger]:
        """Read one batch if its first ENI is due. Returns the ENIs of the batch."""
        self.waiting.sort(key=self.due)
        if self.due(self.waiting[0]) > _clock.now():
            return []
        batch, self.waiting = self.waiting[:IDS_PER_READ], self.waiting[IDS_PER_READ:]
        unreadable: dict[str, _errors.EcsError] = {}
        is_over = False  # whether another read would fail too
        try:
            interfaces = read_interfaces(self._ecs, (eni.eni_id for eni in batch), unreadable)
        except _errors.EcsError as error:
            if self._ecs.is_fatal(error):
                self.abort = error
                self.waiting.clear()
            interfaces, unreadable, is_over = {}, {eni.eni_id: error for eni in batch}, not error.is_transient
        for eni in batch:
            found = interfaces.get(eni.eni_id) or unreadable.get(eni.eni_id)
            waited = inf if is_over or self.abort else self.waited(eni)
            if observe(eni, found, self._request, waited, self._ecs.retry_timeout):
                self._restart(eni)
            else:
                self.postpone(eni)
        return batch


def observe(eni: EniLedger, found: Interface | _errors.EcsError | None, request: Request, waited: float, retry_timeout: float) -> bool:
    """Move the addresses in flight to the state that a read shows. The read started after the last write of the ENI ended. ``found``: the
    ENI, or why its record cannot be read, or None if the read left it out. ``waited``: seconds without progress. Returns whether there
    was progress."""
    in_time = request.wait and waited < request.wait_timeout
    progress = False
    if isinstance(found, Interface):
        progress = _observe_addresses(eni, found, request, in_time, waited < retry_timeout)
        still = "it is still assigned" if request.state == "absent" else "it is not assigned"
        reason = Reason(_errors.NOT_VERIFIED, f"{still} after {request.wait_timeout if request.wait else 0:.0f} s")
    elif found:
        reason = Reason(_errors.NOT_VERIFIED, f"the ENI cannot be read: {found}", found.request_id)
    else:
        # By itself, a read without the ENI proves nothing. The ENI counts as deleted only if the reply of a write says so too.
        for write, error, addresses in _refused(eni):
            if error.code == _errors.ENI_NOT_FOUND:
                eni.latest = None
                eni.refuse(addresses, write.reply)
        reason = Reason(_errors.ENI_NOT_RETURNED, _errors.NO_LONGER_LISTED)
    if not in_time:
        eni.give_up(reason, partly=not (request.wait and isinstance(found, Interface)))
    return progress


def _observe_addresses(eni: EniLedger, interface: Interface, request: Request, in_time: bool, may_send_again: bool) -> bool:
    has_progress = eni.confirm(interface, request.state)
    for write, error, addresses in _refused(eni):
        if error.may_have_been_carried_out:
            if may_send_again and error.code != _errors.UNEXPECTED:
                eni.send_again(addresses)
        elif write.to_repeat or (_errors.STATE_CHANGED.match(error.code) and in_time):
            eni.send_again(addresses)
            eni.read_at = float("-inf")  # the state has changed since the plan was made
        elif _errors.ADDRESS_REFUSED.match(error.code):
            has_progress |= _settle_refused_call(eni, write, addresses, request)
        else:
            eni.refuse(addresses, write.reply)
    return has_progress


def _refused(eni: EniLedger) -> Iterator[tuple[Write, _errors.EcsError, list[str]]]:
    """The calls with an error. Each has its open addresses: they wait for an outcome, were not refused, and are in no later call."""
    waiting = [address for address in eni.still_waiting() if address not in eni.refusals]
    for write in eni.writes:
        if write.error and (addresses := [address for address in waiting if eni.last_write(address) is write]):
            yield write, write.error, addresses


def _settle_refused_call(eni: EniLedger, write: Write, addresses: list[str], request: Request) -> bool:
    """The service refused the call because of one or more of its addresses. An address is the cause only if the call had no other.
    Otherwise the addresses are sent again, apart from those that the message names. If it names none, the call is split in halves, so
    that one bad address among n costs about 2·log₂ n calls. Returns whether any are sent again."""
    if len(write.addresses) == 1:
        eni.refuse(addresses, write.reply, hold=request.state == "absent" and bool(_errors.ALREADY_ABSENT.match(write.reply.code)))
        return False
    named = [address for address in addresses if address in write.named]
    others = [address for address in addresses if address not in write.named]
    is_cause_known = named or len(addresses) < len(write.addresses)
    middle = len(others) if is_cause_known else (len(others) + 1) // 2
    eni.send_again(*filter(None, (named, others[:middle], others[middle:])))
    return True
