# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan → API calls, many ENIs at once and one call at a time on each → read back → what happened to each ENI.

Private to this collection. ``Outcome`` is one line of the ledger. What is written is only what the review let pass,
and only while that review is fresh; what counts as done is only what was read back.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from queue import Empty, SimpleQueue

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import (
    EMPTY,
    KINDS,
    AddressSet,
    count,
    difference,
    flatten,
    intersection,
    make_address_set,
    union,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import EcsError, PlanAged
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import IDS_PER_READ, Interface, read_interfaces
from ansible_collections.alicloud_ops.network.plugins.module_utils._pacing import Stopwatch
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Change, Note, Plan
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Request, Target
from ansible_collections.alicloud_ops.network.plugins.module_utils._review import review

# Older than this, a plan is read and guarded again before its writes.
PLAN_LIVES_SECONDS = 60.0
# Renewed in batches a little earlier, so that no single ENI ages between its turn and its call.
RENEW_AFTER_SECONDS = 45.0
RENEWALS_IN_A_ROW = 3
# Reading back: at once, then ever more slowly.
FIRST_LOOK, LONGEST_BETWEEN_LOOKS, LOOKS_GROW = 0.5, 5.0, 1.5

# The service says that there is nothing to do. Never taken for success: the ENI is read again.
ALREADY_SO = {
    "absent": re.compile(r"InvalidIp\.(IpUnassigned|IpPrefixIllegal)"),
    "present": re.compile(r"InvalidIp\.IpAssigned|InvalidPrivateIpAddress\.Duplicated"),
}
# The service found another state than the plan did; it may be one that passes.
STATE_CHANGED = re.compile(r"InvalidOperation\.InvalidE(ni|cs)State")
ADDRESS_IN_TEXT = re.compile(r"[0-9A-Fa-f:.]*[0-9A-Fa-f:](?:/\d+)?")
# Codes of our own in the ledger, and one of the service's that we use for the same thing.
NOT_VERIFIED = "NotVerified"
PLAN_AGED = "PlanAged"
REFUSED = "Refused"
UNEXPECTED = "Unexpected"
NO_THREADS = "NoThreads"
ENI_GONE = "InvalidEniId.NotFound"


@dataclass
class Failure:
    """Addresses of one ENI that were not changed, or not seen to be, and what the service said."""

    addresses: tuple[str, ...]
    code: str
    message: str
    request_id: str | None = None


@dataclass(slots=True)
class Outcome:
    """What happened to one ENI. At the end every address of the plan is in exactly one of done, settled, skipped, failed."""

    change: Change
    todo: AddressSet
    settled: AddressSet
    skipped: list[Note]
    latest: Interface | None  # the newest view of the ENI; None where there is none (any more)
    read_at: float = 0.0  # of the oldest read that todo was guarded by
    done: AddressSet = field(default_factory=lambda: EMPTY)
    failed: list[Failure] = field(default_factory=list)
    unsure: frozenset[str] = frozenset()  # sent, and no reply told whether it was carried out
    maybe: frozenset[str] = frozenset()  # sent in a batch that was refused for one address, and perhaps carried out for the others
    rejected: frozenset[str] = frozenset()  # sent in a batch that was refused as a whole
    wrote: bool = False  # a write was accepted, or may have been
    doubtful: bool = False  # what became of a write was never cleared up
    verified: bool = True  # ``latest`` shows what came of the last write

    @property
    def eni_id(self) -> str:
        return self.change.eni_id or ""

    def carried_out(self, lists: AddressSet) -> None:
        self.done, self.todo = union(self.done, lists), difference(self.todo, lists)
        self.unsure = self.unsure.difference(flatten(lists))
        self.wrote, self.verified = True, False

    def fail(self, lists: AddressSet, code: str, message: str, request_id: str | None = None) -> None:
        if count(lists):
            self.failed.append(Failure(flatten(lists), code, message, request_id))
            self.todo, self.done = difference(self.todo, lists), difference(self.done, lists)
            if not (self.maybe | self.rejected).isdisjoint(flatten(lists)):
                self.verified = False  # so that it is read back
            if not self.unsure.isdisjoint(flatten(lists)):
                # Sent, never answered, never cleared up: it may have taken effect, and ``latest`` need not show that.
                self.wrote, self.doubtful, self.verified = True, True, False

    def addresses_failed(self) -> set[str]:
        return {address for failure in self.failed for address in failure.addresses}

    def expect(self, state: str) -> None:
        """The view that the done writes should lead to."""
        if self.latest:
            held = difference(self.latest.held, self.done) if state == "absent" else union(self.latest.held, self.done)
            self.latest = replace(self.latest, held=held)


def named_in(message: str) -> set[str]:
    """The addresses and prefixes in a text of the service, canonical."""
    found = set()
    for text in ADDRESS_IN_TEXT.findall(message):
        for kind in KINDS:
            with suppress(ValueError):
                found.add(kind.parse(text.lstrip(":") if kind.version == 4 else text))
    return found


def begin(plan: Plan) -> list[Outcome]:
    """The ledger before anything is done."""
    return [
        Outcome(change, change.todo, change.settled, [*change.skipped, *change.refused], change.interface, change.read_at)
        for change in plan.changes
    ]


def foresee(plan: Plan, request: Request) -> list[Outcome]:
    """The ledger that a run would leave if nothing came between: check mode's answer."""
    outcomes = begin(plan)
    for outcome in outcomes:
        if count(outcome.todo):
            outcome.carried_out(outcome.todo)
            outcome.expect(request.state)
            outcome.verified = request.wait
    return outcomes


def apply(ecs: Ecs, plan: Plan, request: Request) -> list[Outcome]:
    """Carry out the plan and read it back. What goes wrong with one ENI is in its outcome; nothing is raised for it."""
    outcomes = begin(plan)
    _Run(ecs, request).carry_out([outcome for outcome in outcomes if count(outcome.todo)])
    return outcomes


class _Run:
    def __init__(self, ecs: Ecs, request: Request) -> None:
        self._ecs = ecs
        self._request = request
        self._end: EcsError | None = None  # why nothing more is written
        self._blind: EcsError | None = None  # why nothing more is read back
        self._line = threading.Lock()  # for those waiting; taken before the pacer's lock, never after
        self._waiting: deque[Outcome] = deque()
        self._written: SimpleQueue[Outcome | None] = SimpleQueue()  # from the writers to the reader; None: one writer fewer

    def carry_out(self, outcomes: Sequence[Outcome]) -> None:
        """Whatever goes wrong, every outcome is complete afterwards: a ledger that is lost can't be restored from."""
        self._waiting.extend(outcomes)
        writers = min(self._ecs.writers, len(outcomes))
        with ThreadPoolExecutor(self._ecs.writers) as pool:
            try:
                self._start_writers(pool, writers)
                self._read_back_what_is_written(writers)
            except BaseException as error:  # nobody reads back any more, so nothing more may be written
                self._end = self._blind = error if isinstance(error, EcsError) else _defect(error)
                if isinstance(error, (KeyboardInterrupt, SystemExit)):
                    self._ecs.stop()  # and what waits for its turn may not be written either
                    raise
        for outcome in outcomes:
            self._give_up(outcome)

    def _give_up(self, outcome: Outcome) -> None:
        """Where nothing more is tried: what was not written is failed, and so is what was not read back. Of what a refused batch
        may have done, that nothing tells is no denial."""
        if self._end:
            sent = _those_in(outcome.todo, outcome.unsure | outcome.maybe)
            message = f"sent, and what became of it is not known; given up, because of: {self._end}"
            outcome.fail(sent, self._end.code, message, self._end.request_id)
            outcome.fail(outcome.todo, self._end.code, f"not tried, because of: {self._end}", self._end.request_id)
        if self._blind and self._request.wait and not outcome.verified:
            outcome.fail(outcome.done, NOT_VERIFIED, f"accepted, but not read back, because of: {self._blind}")
        if not outcome.verified and not outcome.maybe.isdisjoint(outcome.addresses_failed()):
            outcome.wrote = True  # nothing tells that it was not

    def _start_writers(self, pool: ThreadPoolExecutor, number: int) -> None:
        """All of them before the first write: a machine that can't start one more must not find out in the middle."""
        with self._line:  # the first one waits for the last
            try:
                for _number in range(number):
                    pool.submit(self._write_those_waiting)
            except RuntimeError:
                self._end = EcsError("The module", NO_THREADS, f"this machine can't start {number} threads; lower max_concurrency")
                raise self._end from None
            except BaseException as error:
                self._end = _defect(error)  # before they may go on
                raise

    def _read_back_what_is_written(self, writing: int) -> None:
        """In this thread, and in batches. ``writing``: how many writers are still at work."""
        looks: list[_Look] = []
        while writing or looks:
            next_look = max(looks[0].due - _clock.now(), 0) if looks else 0
            if not writing:
                _clock.sleep(next_look)
            else:
                with suppress(Empty):
                    outcome = self._written.get(timeout=next_look if len(looks) >= IDS_PER_READ else None)
                    if outcome is None:
                        writing -= 1
                    elif self._wants_look(outcome):
                        looks.append(_Look(outcome, self._ecs.stopwatch()))
            # Full batches, and the rest when no more will come.
            least = IDS_PER_READ if writing else 1
            if len(looks) >= least:
                looks = self._read_back(looks, least)

    # -- writing, in the threads of the pool

    def _write_those_waiting(self) -> None:
        """One ENI after the other, until none is left."""
        try:
            while outcome := self._next():
                try:
                    self._write_all(outcome)
                finally:
                    self._written.put(outcome)
        except BaseException as error:  # nobody asks the pool for it; with the end set, it is told of all that is left
            self._end = _defect(error)
        finally:
            self._written.put(None)

    def _next(self) -> Outcome | None:
        """The next one in line; by one writer at a time, as it may have to be read again with those behind it."""
        with self._line:
            if self._end or not self._waiting:
                return None
            self._renew_ahead()
            return self._waiting.popleft()

    def _renew_ahead(self) -> None:
        """One read for all those next in line whose plan would be too old by the time they are written."""
        oldest = _clock.now() - RENEW_AFTER_SECONDS
        if _is_aged(self._waiting[0], oldest):
            self._renew([outcome for outcome in islice(self._waiting, IDS_PER_READ) if _is_aged(outcome, oldest)], patient=False)

    def _write_all(self, outcome: Outcome) -> None:
        try:
            attempts = _Attempts(self._ecs)
            while self._end is None and (chunk := _next_call(outcome.todo)):
                self._write_once(outcome, chunk, attempts)
        except Exception as error:  # a defect of ours must not take the ledger of all other ENIs with it
            outcome.fail(outcome.todo, UNEXPECTED, f"{type(error).__name__} in the module; please report it")

    def _write_once(self, outcome: Outcome, chunk: AddressSet, attempts: _Attempts) -> None:
        """Send one call. Afterwards its addresses have left todo, or the ENI was read again."""
        before = outcome.unsure
        # Noted before it is sent: whatever goes wrong from here on, it may have been carried out.
        outcome.unsure |= set(flatten(chunk))
        try:
            self._send(outcome, chunk, attempts)
        except PlanAged:
            outcome.unsure = before
            if attempts.aged():
                message = f"pacing or throttling let no call through within {PLAN_LIVES_SECONDS:.0f} s of reading"
                outcome.fail(outcome.todo, PLAN_AGED, message)
            else:
                self._renew([outcome], patient=True)
        except EcsError as error:
            if not error.may_have_been_carried_out:
                outcome.unsure = before
            self._clear_up(outcome, chunk, error, attempts, is_first=before.isdisjoint(flatten(chunk)))
        else:
            attempts.succeeded()
            outcome.carried_out(chunk)

    def _send(self, outcome: Outcome, chunk: AddressSet, attempts: _Attempts) -> None:
        kind = next(name for name, addresses in chunk.items() if addresses)
        not_after = outcome.read_at + PLAN_LIVES_SECONDS
        if self._request.state == "absent":
            # As the service spells them, which differs for IPv6 only.
            written = [outcome.latest.spelled.get(address, address) if outcome.latest else address for address in chunk[kind]]
            self._ecs.unassign(outcome.eni_id, kind, written, not_after=not_after)
        else:
            self._ecs.assign(outcome.eni_id, kind, chunk[kind], client_token=attempts.token(chunk[kind]), not_after=not_after)

    def _clear_up(self, outcome: Outcome, chunk: AddressSet, error: EcsError, attempts: _Attempts, *, is_first: bool) -> None:
        """After a reply that does not tell what was done: read again, and book as ours what left and may be our doing.

        A batch refused for one address may have been carried out for the others: the API does not say that it is
        atomic. Taking too much for ours can at worst restore too much; taking too little would lose it.
        """
        if self._ecs.is_fatal(error):
            self._end = error
        sent = set(flatten(chunk))
        already_so = ALREADY_SO[self._request.state].match(error.code)
        if not error.may_have_been_carried_out and not already_so and not STATE_CHANGED.match(error.code):
            # What was throttled or in conflict was surely not carried out, not even for some.
            if len(sent) > 1 and not error.is_transient:
                outcome.rejected |= sent
            outcome.fail(chunk, error.code, error.message, error.request_id)
            return
        named = named_in(error.message) if already_so else set()
        todo = outcome.todo
        suspects = sent - named if already_so and len(sent) > 1 else set()
        has_waited = suspects <= outcome.maybe
        self._renew([outcome], patient=True, suspects=suspects)
        if outcome.todo != todo:
            return
        # An address that is held by something which the API does not show stays so: no need to send it again.
        final = already_so and is_first and self._request.state == "present"
        # Where a reply was lost, what the service says of the second sending is still about the first one.
        patience = self._request.wait_timeout if is_first and not error.may_have_been_carried_out else self._ecs.retry_timeout
        if not final and not self._end:
            if attempts.pause(patience):
                return
            if has_waited:  # and need not be waited for again
                outcome.maybe, outcome.rejected = outcome.maybe - suspects, outcome.rejected | suspects
        taken = _those_in(chunk, named)
        outcome.fail(taken if final and count(taken) else chunk, error.code, error.message, error.request_id)

    # -- reading again, before a write

    def _renew(self, outcomes: Sequence[Outcome], *, patient: bool, suspects: Collection[str] = ()) -> None:
        """Read and guard again. What no longer passes leaves todo, and so does what is no longer to be done.

        ``suspects``: addresses of a batch that was just refused, but not named as the reason.
        """
        targets = [Target("", outcome.eni_id, None, outcome.todo) for outcome in outcomes]
        try:
            plan = review(self._ecs, self._request, targets, patient=patient)
        except EcsError as error:
            if self._ecs.is_fatal(error):
                self._end = error
            for outcome in outcomes:
                outcome.maybe |= set(suspects)
                outcome.fail(outcome.todo, error.code, error.message, error.request_id)
            return
        changes = {change.eni_id: change for change in plan.changes}
        for outcome in outcomes:
            self._absorb(outcome, changes[outcome.eni_id], suspects)

    def _absorb(self, outcome: Outcome, change: Change, suspects: Collection[str]) -> None:
        outcome.latest, outcome.read_at = change.interface, change.read_at
        claimed = outcome.unsure | outcome.maybe
        outcome.maybe |= set(suspects)
        if change.interface is None:
            outcome.fail(outcome.todo, ENI_GONE, "the ENI does not exist any more")
            return
        if set(suspects) <= set(flatten(change.settled)):
            claimed |= set(suspects)  # the whole batch is as it was to be, so it may have been carried out
        ours = _those_in(change.settled, claimed)
        if count(ours):
            outcome.carried_out(ours)
        others = difference(change.settled, ours)
        outcome.settled, outcome.todo = union(outcome.settled, others), difference(outcome.todo, others)
        # What may have been written is never told as left alone.
        skipped = [note for note in change.refused if self._request.skip_refused and note.address not in outcome.unsure | outcome.maybe]
        outcome.skipped.extend(skipped)
        outcome.todo = difference(outcome.todo, _those_in(outcome.todo, [note.address for note in skipped]))
        for reason in dict.fromkeys(note.reason for note in change.refused):
            of_reason = [note.address for note in change.refused if note.reason == reason]
            outcome.fail(_those_in(outcome.todo, of_reason), REFUSED, reason)
        # What the plan now calls a mistake: say, the address was made a part of a prefix.
        outcome.fail(
            difference(outcome.todo, change.todo), REFUSED, "; ".join(change.errors) or "it is not what it was when the plan was made"
        )

    # -- reading back

    def _wants_look(self, outcome: Outcome) -> bool:
        if not self._request.wait:
            outcome.expect(self._request.state)
        return self._request.wait and not outcome.verified and (bool(count(outcome.done)) or not outcome.doubtful)

    def _read_back(self, looks: Sequence[_Look], least: int) -> list[_Look]:
        """One call for each batch whose first is due, of at least so many. Returns the looks still to be taken, the next one
        first."""
        looks = sorted(looks, key=lambda look: look.due)
        while self._blind is None and len(looks) >= least and looks[0].due <= _clock.now():
            batch, looks = looks[:IDS_PER_READ], looks[IDS_PER_READ:]
            looks = sorted([*looks, *self._look(batch)], key=lambda look: look.due)
        return looks if self._blind is None else []

    def _look(self, batch: Sequence[_Look]) -> list[_Look]:
        """Read these ENIs; what is not so yet comes back for another look, or has failed."""
        broken: dict[str, EcsError] = {}
        try:
            interfaces = read_interfaces(self._ecs, (look.outcome.eni_id for look in batch), broken=broken)
        except EcsError as error:
            if self._ecs.is_fatal(error):
                self._blind = error
            broken = {look.outcome.eni_id: error for look in batch}
            interfaces = {}
        again = []
        for look in batch:
            outcome = look.outcome
            if failure := broken.get(outcome.eni_id):
                outcome.fail(outcome.done, NOT_VERIFIED, f"accepted, but reading back failed: {failure}", failure.request_id)
            elif self._has_settled(outcome, interfaces.get(outcome.eni_id), is_last=look.watch.seconds >= self._request.wait_timeout):
                continue
            else:
                again.append(look)
        # Together, so that they stay one batch.
        pause = min(max((look.pause for look in again), default=0) * LOOKS_GROW, LONGEST_BETWEEN_LOOKS)
        due = _clock.now() + max((look.pause for look in again), default=0)
        for look in again:
            look.due, look.pause = due, pause
        return again

    def _has_settled(self, outcome: Outcome, latest: Interface | None, *, is_last: bool) -> bool:
        outcome.latest = latest
        if latest is None:
            outcome.fail(outcome.done, ENI_GONE, "accepted, but the ENI does not exist any more")
            return True
        is_absent = self._request.state == "absent"
        held = set(flatten(latest.held))
        failed = outcome.addresses_failed()
        as_before = {address for address in failed if (address in held) == is_absent}
        # Something of a batch that was refused has happened all the same.
        outcome.wrote = outcome.wrote or not (outcome.maybe | outcome.rejected).isdisjoint(failed - as_before)
        not_yet = (intersection if is_absent else difference)(outcome.done, latest.held)
        # What may have been carried out is waited for, too. If it never shows, it was not, and has failed already.
        if not count(not_yet) and (is_last or outcome.doubtful or outcome.maybe.isdisjoint(as_before)):
            outcome.verified = not outcome.doubtful
            return True
        if is_last:
            still = "still there" if is_absent else "not there yet"
            outcome.fail(not_yet, NOT_VERIFIED, f"accepted, but {still} after {self._request.wait_timeout} s")
        return is_last


@dataclass
class _Look:
    """Reading back one ENI: when next, and how long it has been since its writing ended."""

    outcome: Outcome
    watch: Stopwatch
    due: float = 0.0
    pause: float = field(default_factory=lambda: FIRST_LOOK)


class _Attempts:
    """How long the writer of one ENI goes on without getting anywhere, and the tokens of what it sent."""

    def __init__(self, ecs: Ecs) -> None:
        self._ecs = ecs
        self._tokens: dict[tuple[str, ...], str] = {}
        self.succeeded()

    def succeeded(self) -> None:
        self._stuck: Stopwatch | None = None
        self._pause = FIRST_LOOK
        self._aged = 0

    def aged(self) -> bool:
        """Whether the plan has aged before it could be sent once too often."""
        self._aged += 1
        return self._aged > RENEWALS_IN_A_ROW

    def pause(self, patience: float) -> bool:
        """Sleep a while, unless ``patience`` seconds have gone by since things began to stand still."""
        self._stuck = self._stuck or self._ecs.stopwatch()
        left = patience - self._stuck.seconds
        if left <= 0:
            return False
        _clock.sleep(min(self._pause, left))
        self._pause = min(self._pause * LOOKS_GROW, LONGEST_BETWEEN_LOOKS)
        return True

    def token(self, addresses: tuple[str, ...]) -> str:
        """The ClientToken of exactly this call: the same when it is sent again."""
        return self._tokens.setdefault(addresses, str(uuid.uuid4()))


def _is_aged(outcome: Outcome, oldest: float) -> bool:
    """Whether it has to be read again. What failed when it was, has nothing left to do."""
    return outcome.read_at < oldest and bool(count(outcome.todo))


def _those_in(lists: AddressSet, addresses: Collection[str]) -> AddressSet:
    return intersection(lists, dict.fromkeys(lists, tuple(addresses)))


def _defect(error: BaseException) -> EcsError:
    return EcsError("The module", UNEXPECTED, f"{type(error).__name__}; please report it")


def _next_call(todo: AddressSet) -> AddressSet | None:
    """What the next call takes: of one kind, no more than its limit."""
    for kind in KINDS:
        for addresses in kind.calls(todo[kind.name]):
            # Of most ENIs one call takes all: then it is the same list.
            return todo if addresses == flatten(todo) else make_address_set({kind.name: addresses})
    return None
