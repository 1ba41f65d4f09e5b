# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The writers: what they send, and what they note for each call."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import flatten, group
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import (
    CONNECTION_FAILED,
    NO_THREADS,
    PLAN_AGED,
    UNEXPECTED,
    EcsError,
    PlanAged,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import ACCEPTED, AddressState, EniLedger
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Change
from ansible_collections.alicloud_ops.network.plugins.module_utils._write import (
    LONGEST_PAUSE,
    PLAN_LIVES_SECONDS,
    RENEW_AFTER_SECONDS,
    RENEWALS_IN_A_ROW,
    Writers,
    is_aged,
    note_late,
)
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import (
    FakeEcs,
    eni,
    eni_record,
    make_request,
    refused,
)

PLANNED, IN_FLIGHT, DONE, _UNCHANGED, _SKIPPED, FAILED = AddressState
A, B, C = "192.168.0.10", "192.168.0.11", "192.168.0.12"
LOST = EcsError("Write", CONNECTION_FAILED, "reset")
PATIENCE = 20  # seconds that a test waits for a thread before it fails


def planned(*addresses, eni_id="eni-1", read_at=None):
    held = eni(eni_id, [one for one in addresses if "/" not in one], prefixes=[one for one in addresses if "/" in one])
    read_at = _clock.now() if read_at is None else read_at
    return EniLedger(Change(eni_id, None, held, group(addresses), group([])), held, read_at, dict.fromkeys(addresses, PLANNED), {})


@contextmanager
def at_work(ecs, number=1, state="absent", **options):
    writers = Writers(ecs, make_request(state, **options))
    with ThreadPoolExecutor(number) as pool:
        writers.start(pool, number)
        try:
            yield writers
        finally:
            writers.stop()


def write(ecs, *ledgers, **options):
    """Hand these ledgers to one writer, and wait until it has returned all of them."""
    with at_work(ecs, **options) as writers:
        for ledger in ledgers:
            writers.hand(ledger)
        assert [writers.take_back(PATIENCE) for _ledger in ledgers] == list(ledgers)
        assert writers.out == 0
    return writers


# What is noted


@pytest.mark.parametrize(("wait", "state"), [(True, IN_FLIGHT), (False, DONE)])
def test_an_accepted_call_is_in_flight_and_with_wait_false_it_is_done(clock, wait, state):
    ledger = planned(A, B)
    write(FakeEcs(clock, eni_record("eni-1", [A, B])), ledger, wait=wait)
    assert ledger.states == {A: state, B: state}
    assert ledger.reasons == ({} if wait else {A: ACCEPTED, B: ACCEPTED})
    assert [(call.addresses, call.error) for call in ledger.writes] == [((A, B), None)]


def test_an_address_is_in_flight_and_its_write_is_noted_before_the_call_is_sent(clock):
    ledger, states = planned(A), []

    def step(_fake, _call):
        states.append((dict(ledger.states), ledger.sent))

    write(FakeEcs(clock, eni_record("eni-1", [A]), script=[step]), ledger)
    assert states == [({A: IN_FLIGHT}, {A})]


@pytest.mark.parametrize(
    "error", [LOST, refused("Forbidden.RAM"), refused("ServiceTimeout", status=504), refused("InvalidIp.IpUnassigned", f"{A}!")], ids=str
)
def test_a_reply_is_noted_and_moves_nothing(clock, error):
    ledger = planned(A, B)
    write(FakeEcs(clock, eni_record("eni-1", [A, B]), script=[error]), ledger)
    (call,) = ledger.writes
    assert (ledger.states, call.error, call.named) == ({A: IN_FLIGHT, B: IN_FLIGHT}, error, {A} if A in error.message else set())


def test_a_call_that_was_never_sent_is_only_a_failure_and_not_a_write(clock):
    ledger = planned(A, B)
    error = EcsError("Unassign", "Interrupted", "not sent", unsent=True)
    write(FakeEcs(clock, eni_record("eni-1", [A, B]), script=[error]), ledger)
    assert (ledger.states, ledger.writes, ledger.sent) == ({A: FAILED, B: FAILED}, [], frozenset())
    assert ledger.reasons[A].code == "Interrupted"


def test_after_a_call_that_was_never_sent_an_earlier_call_still_counts(clock):
    ledger = planned(A)
    write(FakeEcs(clock, eni_record("eni-1", [A]), script=[LOST]), ledger)
    ledger.send_again([A])
    write(FakeEcs(clock, eni_record("eni-1", [A]), script=[EcsError("Unassign", "Interrupted", "not sent", unsent=True)]), ledger)
    assert (ledger.states, len(ledger.writes), ledger.sent, ledger.refusals[A].code) == ({A: IN_FLIGHT}, 1, {A}, "Interrupted")


def test_a_defect_is_noted_as_an_open_reply_without_its_message(clock):
    ledger, other = planned(A), planned(A, eni_id="eni-2")
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), eni_record("eni-2", [A]), script=[ValueError("hunter2")])
    writers = write(ecs, ledger, other)
    (call,) = ledger.writes
    assert (call.error.code, call.error.may_have_been_carried_out, "hunter2" in str(call.error)) == (UNEXPECTED, True, False)
    assert (ledger.states, other.writes[0].error, writers.abort) == ({A: IN_FLIGHT}, None, None)


def test_an_interrupt_ends_all_writing(clock):
    class Ended(BaseException):
        pass

    def end(_fake, _call):
        raise Ended

    ledger, other = planned(A), planned(A, eni_id="eni-2")
    writers = write(FakeEcs(clock, eni_record("eni-1", [A]), eni_record("eni-2", [A]), script=[end]), ledger, other)
    assert (ledger.writes[0].error.code, writers.abort.code, other.states, other.writes) == (UNEXPECTED, UNEXPECTED, {A: PLANNED}, [])


def test_a_fatal_error_ends_all_writing(clock):
    ledger, other = planned(A), planned(A, eni_id="eni-2")
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), eni_record("eni-2", [A]), script=[refused("Gone")])
    ecs.fatal_codes = {"Gone"}
    writers = write(ecs, ledger, other)
    assert (writers.abort.code, other.states, len(ecs.writes)) == ("Gone", {A: PLANNED}, 1)


# What is sent


def test_earlier_calls_are_repeated_first_and_unchanged(clock):
    ledger = planned(A, B, C)
    ledger.batches = [(A, C), (C,), ()]
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B, C]))
    write(ecs, ledger)
    assert [call.addresses for call in ecs.writes] == [(A, C), (B,)]
    assert ledger.batches == []


def test_a_call_that_is_sent_again_names_only_planned_addresses(clock):
    ledger = planned(A, B)
    ledger.batches = [(A, B, C)]
    ledger.states[C] = DONE
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]))
    write(ecs, ledger)
    assert [call.addresses for call in ecs.writes] == [(A, B)]


@pytest.mark.parametrize("code", ["IdempotentFailed.Request", "IdempotentParameterMismatch"])
def test_a_call_for_one_eni_keeps_its_token_until_the_service_says_that_it_is_used_up(clock, code):
    ledger, other = planned(A), planned(A, eni_id="eni-2")
    ecs = FakeEcs(clock, eni_record("eni-1"), eni_record("eni-2"), script=[LOST, None, refused(code, status=400)])
    with at_work(ecs, state="present") as writers:
        for one in (ledger, other, ledger, ledger):
            if one.having(IN_FLIGHT):
                one.send_again(one.having(IN_FLIGHT))
            writers.hand(one)
            writers.take_back(PATIENCE)
    first, of_other, again, after_failure = (call.token for call in ecs.writes)
    assert first == again
    assert len({first, of_other, after_failure}) == 3


# Plans that age


@pytest.mark.parametrize(("seconds", "aged"), [(0, False), (RENEW_AFTER_SECONDS, False), (RENEW_AFTER_SECONDS + 0.1, True)])
def test_a_plan_ages(clock, seconds, aged):
    ledger = planned(A)
    clock.sleep(seconds)
    assert is_aged(ledger) == aged


def test_an_aged_plan_is_returned_unsent(clock):
    ledger = planned(A)
    clock.sleep(RENEW_AFTER_SECONDS + 1)
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    write(ecs, ledger)
    assert (ledger.states, ecs.writes) == ({A: PLANNED}, [])


def test_a_plan_that_ages_while_its_call_waits_is_returned_unsent_and_has_to_be_read_again(clock):
    ledger = planned(A, B)
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]))
    ecs.delays = [lambda: clock.sleep(PLAN_LIVES_SECONDS + 1)]
    write(ecs, ledger)
    assert (ledger.states, ledger.writes, ledger.batches, ecs.writes) == ({A: PLANNED, B: PLANNED}, [], [(A, B)], [])
    assert is_aged(ledger)


@pytest.mark.parametrize("times_late", [0, RENEWALS_IN_A_ROW])
def test_a_call_that_was_refused_before_its_plan_aged_stays_noted(clock, times_late):
    """A read decides, as for other calls. Then the call is sent again, but only a limited number of times."""
    ledger = planned(A, B)
    refusal = refused("Operation.Conflict")
    writers = Writers(FakeEcs(clock, eni_record("eni-1", [A, B]), script=[PlanAged(refusal)]), make_request("absent"))
    ledger.late = times_late
    writers._write(ledger, (A,))
    (call,) = ledger.writes
    assert (call.addresses, call.error, call.to_repeat) == ((A,), refusal, not times_late)
    assert ledger.states == {A: IN_FLIGHT, B: FAILED if times_late else PLANNED}
    assert is_aged(ledger)


def test_a_plan_that_is_too_old_several_times_in_a_row_is_given_up_and_a_sent_call_ends_the_row(clock):
    ledger = planned(A, B)
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]))
    writers = Writers(ecs, make_request("absent"))
    for _time in range(RENEWALS_IN_A_ROW):
        note_late(ledger)
    assert ledger.having(PLANNED) == (A, B)
    ledger.batches = [(A,)]
    ledger.read_at = clock.monotonic()
    with ThreadPoolExecutor(1) as pool:
        writers.start(pool, 1)
        ecs.delays = [lambda: None, lambda: clock.sleep(PLAN_LIVES_SECONDS + 1)]
        writers.hand(ledger)
        writers.take_back(PATIENCE)
        writers.stop()
    assert ledger.states == {A: IN_FLIGHT, B: PLANNED}
    for _time in range(RENEWALS_IN_A_ROW):
        note_late(ledger)
    assert (ledger.states, ledger.reasons[B].code) == ({A: IN_FLIGHT, B: FAILED}, PLAN_AGED)


# Pauses of a writer that does not get a reply


def test_a_writer_that_does_not_get_a_reply_pauses_longer_and_longer(clock):
    ledgers = [planned(A, eni_id=f"eni-{number}") for number in range(6)]
    ecs = FakeEcs(clock, *(eni_record(ledger.eni_id, [A]) for ledger in ledgers), script=[LOST] * 6)
    before = clock.monotonic()
    write(ecs, *ledgers)
    assert clock.monotonic() - before == 0.5 + 1 + 2 + 3 * LONGEST_PAUSE


@pytest.mark.parametrize("reply", [None, refused("Forbidden.RAM"), refused("Throttling.User"), ValueError()], ids=repr)
def test_a_reply_ends_the_pauses(clock, reply):
    ledgers = [planned(A, eni_id=f"eni-{number}") for number in range(4)]
    ecs = FakeEcs(clock, *(eni_record(ledger.eni_id, [A]) for ledger in ledgers), script=[LOST, LOST, reply, LOST])
    before = clock.monotonic()
    write(ecs, *ledgers)
    assert clock.monotonic() - before == 0.5 + 1 + 0.5


# Threads


def test_many_writers_send_concurrently_but_only_one_call_at_a_time_per_eni(clock):
    meeting = threading.Barrier(4, timeout=PATIENCE)
    ledgers = [planned(A, "192.168.0.16/28", eni_id=f"eni-{number}") for number in range(4)]
    ecs = FakeEcs(clock, *(eni_record(ledger.eni_id, [A], prefixes=["192.168.0.16/28"]) for ledger in ledgers))
    ecs.script = [lambda _fake, _call: meeting.wait()] * 8
    with at_work(ecs, number=4) as writers:
        for ledger in ledgers:
            writers.hand(ledger)
        assert {writers.take_back(PATIENCE).eni_id for _ledger in ledgers} == {ledger.eni_id for ledger in ledgers}
    assert ecs.most_at_once_on_one_eni == 1
    assert all(flatten(ledger.as_set(IN_FLIGHT)) == (A, "192.168.0.16/28") for ledger in ledgers)


def test_if_the_writers_have_no_eni_take_back_only_pauses(clock):
    with at_work(FakeEcs(clock)) as writers:
        before = clock.monotonic()
        assert writers.take_back(7) is None
        assert writers.take_back(None) is None
        assert clock.monotonic() - before == 7


def test_an_eni_that_does_not_return_in_time_is_still_out(clock):
    held = threading.Event()
    ledger = planned(A)
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[lambda _fake, _call: held.wait(PATIENCE)])
    with at_work(ecs) as writers:
        writers.hand(ledger)
        assert (writers.take_back(0.01), writers.out) == (None, 1)
        held.set()
        assert (writers.take_back(PATIENCE), writers.out) == (ledger, 0)


def test_a_machine_without_threads_is_one_clear_error(clock, monkeypatch):
    def start(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    writers = Writers(FakeEcs(clock), make_request("absent"))
    with ThreadPoolExecutor(2) as pool, pytest.raises(EcsError, match="cannot start 2 threads; lower max_concurrency") as caught:
        writers.start(pool, 2)
    assert caught.value.code == NO_THREADS
