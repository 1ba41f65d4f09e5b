# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan → API calls, many ENIs at once and one call at a time on each → read back → what happened to each ENI.

Private to this collection. ``Outcome`` is one line of the ledger. What is written is only what the review let pass,
and only while that review is fresh; what counts as done is only what was read back.
"""

from __future__ import annotations

import re
import time
import uuid
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import (
    KINDS,
    Lists,
    common,
    count,
    every,
    make_lists,
    union,
    without,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import UNREADABLE_REPLY, Ecs, EcsError, PlanAged
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import IDS_PER_READ, Interface, read_interfaces
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
ADDRESS_IN_TEXT = re.compile(r"[0-9A-Fa-f:.]*[0-9A-Fa-f:](?:/\d+)?")
# Codes of our own in the ledger, and one of the service's that we use for the same thing.
NOT_VERIFIED = "NotVerified"
PLAN_AGED = "PlanAged"
REFUSED = "Refused"
UNEXPECTED = "Unexpected"
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
    todo: Lists
    settled: Lists
    skipped: list[Note]
    latest: Interface | None  # the newest view of the ENI; None where there is none (any more)
    done: Lists = field(default_factory=make_lists)
    failed: list[Failure] = field(default_factory=list)
    unsure: set[str] = field(default_factory=set)  # sent, and no reply told whether it was carried out
    maybe: set[str] = field(default_factory=set)  # in a batch that was refused for another address
    wrote: bool = False  # a write was accepted, or may have been
    doubtful: bool = False  # what became of a write was never cleared up
    verified: bool = True  # ``latest`` shows what came of the last write
    written_at: float = 0.0

    @property
    def eni_id(self) -> str:
        return self.change.eni_id or ""

    @property
    def read_at(self) -> float:
        return self.latest.read_at if self.latest else 0.0

    def carried_out(self, lists: Lists) -> None:
        self.done, self.todo = union(self.done, lists), without(self.todo, lists)
        self.wrote, self.verified, self.written_at = True, False, time.monotonic()

    def fail(self, lists: Lists, code: str, message: str, request_id: str | None = None) -> None:
        if count(lists):
            self.failed.append(Failure(every(lists), code, message, request_id))
            self.todo, self.done = without(self.todo, lists), without(self.done, lists)
            if not self.unsure.isdisjoint(every(lists)):
                # Sent, never answered, never cleared up: it may have taken effect, and ``latest`` need not show that.
                self.wrote, self.doubtful, self.verified = True, True, False

    def expect(self, state: str) -> None:
        """The view that the done writes should lead to."""
        if self.latest:
            held = without(self.latest.held, self.done) if state == "absent" else union(self.latest.held, self.done)
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
    return [Outcome(change, change.todo, change.settled, [*change.skipped, *change.refused], change.interface) for change in plan.changes]


def foresee(plan: Plan, request: Request) -> list[Outcome]:
    """The ledger that a run would leave if nothing came between: check mode's answer."""
    outcomes = begin(plan)
    for outcome in outcomes:
        if count(outcome.todo):
            outcome.carried_out(outcome.todo)
            outcome.expect(request.state)
            outcome.verified = request.wait
    return outcomes


def apply(ecs: Ecs, plan: Plan, request: Request, max_concurrency: int) -> list[Outcome]:
    """Carry out the plan and read it back. What goes wrong with one ENI is in its outcome; nothing is raised for it."""
    outcomes = begin(plan)
    _Run(ecs, request, max_concurrency).carry_out([outcome for outcome in outcomes if count(outcome.todo)])
    return outcomes


class _Run:
    def __init__(self, ecs: Ecs, request: Request, max_concurrency: int) -> None:
        self._ecs = ecs
        self._request = request
        self._max_concurrency = max_concurrency
        self._end: EcsError | None = None  # why nothing more is tried

    def carry_out(self, outcomes: Sequence[Outcome]) -> None:
        """Writers run in a pool; this thread feeds them, renews what aged before its turn, and reads back in batches."""
        waiting = deque(outcomes)
        writing: set[Future[Outcome]] = set()
        looks: list[_Look] = []
        with ThreadPoolExecutor(self._max_concurrency) as pool:
            while waiting or writing or looks:
                # Twice as many as can run, so that no writer idles while this thread reads.
                while waiting and len(writing) < 2 * self._max_concurrency:
                    self._renew_ahead(waiting)
                    writing.add(pool.submit(self._write_all, waiting.popleft()))
                if writing:
                    # Woken early only where a full batch may be due for another look.
                    written, writing = wait(writing, 0.25 if len(looks) >= IDS_PER_READ else None, FIRST_COMPLETED)
                    looks.extend(
                        _Look(outcome, self._ecs.held) for outcome in (future.result() for future in written) if self._wants_look(outcome)
                    )
                else:
                    time.sleep(max(min(look.due for look in looks) - time.monotonic(), 0))
                looks = self._read_back(looks, nothing_follows=not waiting and not writing)

    # -- writing one ENI, in a thread of the pool

    def _write_all(self, outcome: Outcome) -> Outcome:
        try:
            attempts = _Attempts(self._ecs)
            while self._end is None and (chunk := _next_call(outcome.todo)):
                self._write_once(outcome, chunk, attempts)
            if self._end:
                outcome.fail(outcome.todo, self._end.code, f"not tried, because of {self._end}", self._end.request_id)
        except Exception as error:  # a defect of ours must not take the ledger of all other ENIs with it
            outcome.fail(outcome.todo, UNEXPECTED, f"{type(error).__name__} in the module; please report it")
        return outcome

    def _write_once(self, outcome: Outcome, chunk: Lists, attempts: _Attempts) -> None:
        """Send one call. Afterwards its addresses have left todo, or the ENI was read again."""
        try:
            self._send(outcome, chunk, attempts)
        except PlanAged:
            if attempts.aged():
                outcome.fail(
                    outcome.todo,
                    PLAN_AGED,
                    f"no call could be sent within {PLAN_LIVES_SECONDS:.0f} s of reading; calls_per_minute is too low",
                )
            else:
                self._renew([outcome])
        except EcsError as error:
            if self._ecs.ends_all(error):
                self._end = error
            already_so = ALREADY_SO[self._request.state].match(error.code)
            if not error.uncertain and not already_so:
                outcome.fail(chunk, error.code, error.message, error.request_id)
                return
            # An address that is held by something which the API does not show stays so: no need to wait for it.
            final = already_so and self._request.state == "present" and outcome.unsure.isdisjoint(every(chunk))
            before = outcome.todo
            self._clear_up(outcome, chunk, error)
            patience = self._request.wait_timeout if already_so else self._ecs.retry_timeout
            if outcome.todo == before and (final or self._end or not attempts.pause(patience)):
                taken = make_lists({name: named_in(error.message).intersection(addresses) for name, addresses in chunk.items()})
                outcome.fail(taken if final and count(taken) else chunk, error.code, error.message, error.request_id)
        else:
            attempts.succeeded()
            outcome.carried_out(chunk)

    def _send(self, outcome: Outcome, chunk: Lists, attempts: _Attempts) -> None:
        kind = next(name for name, addresses in chunk.items() if addresses)
        not_after = outcome.read_at + PLAN_LIVES_SECONDS
        if self._request.state == "absent":
            # As the service spells them, which differs for IPv6 only.
            written = [outcome.latest.spelled.get(address, address) if outcome.latest else address for address in chunk[kind]]
            self._ecs.unassign(outcome.eni_id, kind, written, not_after=not_after)
        else:
            self._ecs.assign(outcome.eni_id, kind, chunk[kind], client_token=attempts.token(chunk[kind]), not_after=not_after)

    def _clear_up(self, outcome: Outcome, chunk: Lists, error: EcsError) -> None:
        """After a reply that does not tell what was done: read again, and book as ours what left and may be our doing.

        A batch refused for one address may have been carried out for the others: the API does not say that it is
        atomic. Taking too much for ours can at worst restore too much; taking too little would lose it.
        """
        sent = set(every(chunk))
        if error.uncertain:
            outcome.unsure |= sent
        elif len(sent) > 1:
            outcome.maybe |= sent - named_in(error.message)
        self._renew([outcome])

    # -- reading again, before a write

    def _renew_ahead(self, waiting: deque[Outcome]) -> None:
        """One read for all those next in line whose plan would be too old by the time they are written."""
        oldest = time.monotonic() - RENEW_AFTER_SECONDS
        if self._end is None and waiting[0].read_at < oldest:
            self._renew([outcome for outcome in islice(waiting, IDS_PER_READ) if outcome.read_at < oldest])

    def _renew(self, outcomes: Sequence[Outcome]) -> None:
        """Read and guard again. What no longer passes leaves todo, and so does what is no longer to be done."""
        try:
            plan = review(self._ecs, self._request, [Target("", outcome.eni_id, None, outcome.todo) for outcome in outcomes], patient=False)
        except EcsError as error:
            if self._ecs.ends_all(error):
                self._end = error
            for outcome in outcomes:
                outcome.fail(outcome.todo, error.code, error.message, error.request_id)
            return
        except Exception as error:  # as in _write_all
            for outcome in outcomes:
                outcome.fail(outcome.todo, UNEXPECTED, f"{type(error).__name__} in the module; please report it")
            return
        changes = {change.eni_id: change for change in plan.changes}
        for outcome in outcomes:
            self._absorb(outcome, changes[outcome.eni_id], plan.errors)

    def _absorb(self, outcome: Outcome, change: Change, errors: Sequence[str]) -> None:
        outcome.latest = change.interface
        if change.interface is None:
            outcome.fail(outcome.todo, ENI_GONE, "the ENI does not exist any more")
            return
        ours = {name: tuple((outcome.unsure | outcome.maybe).intersection(addresses)) for name, addresses in change.settled.items()}
        if count(ours):
            outcome.carried_out(make_lists(ours))
        taken = without(change.settled, ours)
        outcome.settled, outcome.todo = union(outcome.settled, taken), without(outcome.todo, taken)
        # What may have been written is never told as left alone.
        skipped = [note for note in change.refused if self._request.skip_refused and note.address not in outcome.unsure]
        outcome.skipped.extend(skipped)
        outcome.todo = without(outcome.todo, dict.fromkeys(outcome.todo, tuple(note.address for note in skipped)))
        for reason in dict.fromkeys(note.reason for note in change.refused):
            of_reason = tuple(note.address for note in change.refused if note.reason == reason)
            outcome.fail(common(outcome.todo, dict.fromkeys(outcome.todo, of_reason)), REFUSED, reason)
        # What the plan now calls a mistake: say, the address was made a part of a prefix.
        outcome.fail(without(outcome.todo, change.todo), REFUSED, "; ".join(errors) or "it is not what it was when the plan was made")

    # -- reading back

    def _wants_look(self, outcome: Outcome) -> bool:
        if not self._request.wait:
            outcome.expect(self._request.state)
        return self._request.wait and bool(count(outcome.done))

    def _read_back(self, looks: list[_Look], *, nothing_follows: bool) -> list[_Look]:
        """Full batches that are due, and the rest when no more will come. Returns the looks still to be taken."""
        now = time.monotonic()
        due = [look for look in looks if look.due <= now]
        later = [look for look in looks if look.due > now]
        while len(due) >= IDS_PER_READ or (nothing_follows and due):
            batch, due = due[:IDS_PER_READ], due[IDS_PER_READ:]
            later.extend(self._look(batch))
        return due + later

    def _look(self, batch: Sequence[_Look]) -> list[_Look]:
        """Read these ENIs; what is not so yet comes back for another look, or has failed."""
        try:
            interfaces = read_interfaces(self._ecs, (look.outcome.eni_id for look in batch))
        except EcsError as error:
            if error.code == UNREADABLE_REPLY and len(batch) > 1:
                # One record that can't be read must not cost the others their verification.
                middle = len(batch) // 2
                return [*self._look(batch[:middle]), *self._look(batch[middle:])]
            for look in batch:
                look.outcome.fail(look.outcome.done, NOT_VERIFIED, f"accepted, but reading back failed: {error}", error.request_id)
            return []
        except Exception as error:  # as in _write_all
            for look in batch:
                look.outcome.fail(look.outcome.done, NOT_VERIFIED, f"accepted, but {type(error).__name__} while reading back")
            return []
        again = []
        for look in batch:
            outcome = look.outcome
            outcome.latest = interfaces.get(outcome.eni_id)
            if outcome.latest is None:
                outcome.fail(outcome.done, ENI_GONE, "accepted, but the ENI does not exist any more")
                continue
            wrong = common if self._request.state == "absent" else without
            not_yet = wrong(outcome.done, outcome.latest.held)
            if not count(not_yet):
                outcome.verified = not outcome.doubtful
            elif look.seconds(self._ecs.held) >= self._request.wait_timeout:
                still = "still there" if self._request.state == "absent" else "not there yet"
                outcome.fail(not_yet, NOT_VERIFIED, f"accepted, but {still} after {self._request.wait_timeout} s")
            else:
                look.postpone()
                again.append(look)
        return again


@dataclass
class _Look:
    """Reading back one ENI: when next, and how long it has been since its last write."""

    outcome: Outcome
    held_before: float  # seconds, of the thread that looks
    due: float = 0.0
    pause: float = field(default_factory=lambda: FIRST_LOOK)

    def seconds(self, held: float) -> float:
        return time.monotonic() - self.outcome.written_at - (held - self.held_before)

    def postpone(self) -> None:
        self.due = time.monotonic() + self.pause
        self.pause = min(self.pause * LOOKS_GROW, LONGEST_BETWEEN_LOOKS)


class _Attempts:
    """How long the writer of one ENI goes on without getting anywhere, and the tokens of what it sent."""

    def __init__(self, ecs: Ecs) -> None:
        self._ecs = ecs
        self._tokens: dict[tuple[str, ...], str] = {}
        self.succeeded()

    def succeeded(self) -> None:
        self._stuck_since: float | None = None
        self._held_before = 0.0
        self._pause = FIRST_LOOK
        self._aged = 0

    def aged(self) -> bool:
        """Whether the plan has aged before it could be sent once too often."""
        self._aged += 1
        return self._aged > RENEWALS_IN_A_ROW

    def pause(self, patience: float) -> bool:
        """Sleep a while, unless ``patience`` seconds have gone by since things began to stand still."""
        if self._stuck_since is None:
            self._stuck_since, self._held_before = time.monotonic(), self._ecs.held
        left = patience - (time.monotonic() - self._stuck_since - (self._ecs.held - self._held_before))
        if left <= 0:
            return False
        time.sleep(min(self._pause, left))
        self._pause = min(self._pause * LOOKS_GROW, LONGEST_BETWEEN_LOOKS)
        return True

    def token(self, addresses: tuple[str, ...]) -> str:
        """The ClientToken of exactly this call: the same when it is sent again."""
        return self._tokens.setdefault(addresses, str(uuid.uuid4()))


def _next_call(todo: Lists) -> Lists | None:
    """What the next call takes: of one kind, no more than its limit."""
    for kind in KINDS:
        for addresses in kind.calls(todo[kind.name]):
            return make_lists({kind.name: addresses})
    return None
