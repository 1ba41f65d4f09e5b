# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs: review, write, read back."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.alicloud_ops.network.plugins.module_utils import _run, _write
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import flatten
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import (
    CALLER_GONE,
    CONNECTION_FAILED,
    ENI_NOT_FOUND,
    ENI_NOT_RETURNED,
    INTERRUPTED,
    NO_ERROR_CODE,
    NO_THREADS,
    NOT_VERIFIED,
    PLAN_AGED,
    REFUSED,
    UNEXPECTED,
    UNREADABLE_REPLY,
    EcsError,
    PlanAged,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import AddressState
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import ENI_STATE, find_refusals
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import build_result, may_have_changed
from ansible_collections.alicloud_ops.network.plugins.module_utils._review import review
from ansible_collections.alicloud_ops.network.plugins.module_utils._run import carry_out, open_ledger, predict
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import (
    Call,
    Clock,
    FakeEcs,
    answer,
    drop_rows,
    eni_record,
    lost_reply,
    make_request,
    refused,
    requests,
    spoil_rows,
    strip_rows,
    target,
    worlds,
)

A, B, C = "192.168.0.10", "192.168.0.11", "192.168.0.12"
PREFIX = "192.168.0.16/28"
MANY = tuple(f"192.168.1.{last}" for last in range(1, 41))  # two calls
UNASSIGNED, ASSIGNED = "InvalidIp.IpUnassigned", "InvalidIp.IpAssigned"
EXPIRED = "InvalidAccessKeyId.Inactive"
PLANNED, IN_FLIGHT, DONE, UNCHANGED, SKIPPED, FAILED = AddressState


def run(ecs, request, concurrency=4, raises=None):
    """Review, carry out, and check what must be true after every run, also after one that ``raises``."""
    plan = review(ecs, request, request.targets, wait_for_states=False)
    assert find_refusals(plan, request) == []
    ecs.writers = concurrency
    ledger = open_ledger(plan)
    with pytest.raises(raises) if raises else nullcontext():
        carry_out(ecs, request, ledger)
    check(ecs, plan, request, ledger)
    return ledger


def check(ecs, plan, request, ledger):
    assert [eni.change for eni in ledger] == list(plan.changes)
    for eni in ledger:
        change = eni.change
        todo = set(flatten(change.todo))
        sent = {make_canonical(change, address) for call in ecs.writes if call.eni_id == change.eni_id for address in call.addresses}
        assert sent == eni.sent <= todo
        assert set(eni.states) == {*todo, *flatten(change.unchanged), *change.skipped, *change.refused}
        assert eni.having(PLANNED) == ()
        assert set(done(eni)) | set(eni.having(IN_FLIGHT)) <= sent
        assert all(eni.reasons[address] for address in eni.having(IN_FLIGHT, FAILED, SKIPPED))
        assert set(eni.having(SKIPPED)).isdisjoint(sent) or request.skip_refused
        events = [event for event in ecs.events if (event.eni_id == change.eni_id if isinstance(event, Call) else change.eni_id in event)]
        assert not eni.verified or not events or not isinstance(events[-1], Call)
        if request.wait:
            assert set(done(eni)) <= seen_after_a_write(ecs, change)
        if request.wait and done(eni) and change.eni_id in ecs.enis:
            now = ecs.held_by(change.eni_id)
            assert set(done(eni)).isdisjoint(now) if request.state == "absent" else set(done(eni)) <= now
    assert ecs.most_at_once_on_one_eni <= 1


def seen_after_a_write(ecs, change):
    """The addresses of this ENI for which a write was sent, and then the ENI was read."""
    waiting, seen = set(), set()
    for event in ecs.events:
        if isinstance(event, Call) and event.eni_id == change.eni_id:
            waiting |= {make_canonical(change, address) for address in event.addresses}
        elif not isinstance(event, Call) and change.eni_id in event:
            seen |= waiting
    return seen


def make_canonical(change, address):
    return next((canonical for canonical, written in change.interface.spelled.items() if written == address), address)


def done(eni):
    return eni.having(DONE)


def failures(eni):
    """The code of each address that failed or is in flight, by address."""
    return {address: reason.code for reason, addresses in eni.failures() for address in addresses}


def texts(eni):
    return [reason.text for reason, _addresses in eni.failures()]


def run_one(ecs, state, *addresses, **options):
    (eni,) = run(ecs, make_request(state, target("eni-1", *addresses), **options))
    return eni


def sent(ecs):
    return [call.addresses for call in ecs.writes]


# Without errors


def test_one_write_and_one_read(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B, C]))
    eni = run_one(ecs, "absent", A, B)
    assert (done(eni), may_have_changed(eni), eni.verified, eni.failures()) == ((A, B), True, True, [])
    assert sent(ecs) == [(A, B)]
    assert ecs.reads == [("eni-1",), ("eni-1",)]
    assert ecs.held_by("eni-1") == {C}
    assert flatten(eni.latest.held) == (C,)


def test_assigning_works_in_the_same_way(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    eni = run_one(ecs, "present", A, B)
    assert (done(eni), eni.having(UNCHANGED), eni.verified) == ((B,), (A,), True)
    assert ecs.held_by("eni-1") == {A, B}


@pytest.mark.parametrize("code", [UNASSIGNED, "Operation.Conflict"])
@pytest.mark.parametrize("fault", [drop_rows("eni-1"), spoil_rows("eni-1"), refused("Forbidden.RAM")], ids=["lacks", "spoils", "denied"])
def test_a_refusal_that_no_read_follows_is_not_verified(clock, code, fault):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[refused(code)])
    ecs.read_faults = [None, *[fault] * 50]
    eni = run_one(ecs, "absent", A)
    assert (failures(eni), may_have_changed(eni), eni.verified) == ({A: code}, False, False)


def test_without_planned_addresses_nothing_is_sent(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    eni = run_one(ecs, "absent", B)
    assert (may_have_changed(eni), eni.verified, ecs.writes, len(ecs.reads)) == (False, True, [], 1)


def many_of_each():
    return {
        "addresses": [f"192.168.1.{last}" for last in range(1, 71)],
        "prefixes": [*(f"192.168.2.{16 * block}/28" for block in range(12)), "192.168.3.0/27", "192.168.3.32/27"],
        "ipv6": [f"2001:db8::1:{last:x}" for last in range(1, 13)],
        "ipv6_prefixes": [f"2001:db8:0:1:{block:x}::/80" for block in range(1, 12)],
    }


@pytest.mark.parametrize("state", ["absent", "present"])
def test_each_call_is_of_one_kind_within_its_limit_and_of_one_mask(clock, state):
    lists = many_of_each()
    everything = [address for addresses in lists.values() for address in addresses]
    ecs = FakeEcs(clock, eni_record("eni-1", **(lists if state == "absent" else {})))
    eni = run_one(ecs, state, *everything)
    assert set(done(eni)) == set(everything)
    assert sorted(len(addresses) for addresses in sent(ecs)) == sorted([32, 32, 6, 10, 2, 2, 10, 2, 10, 1])
    for call in ecs.writes:
        assert {address.partition("/")[2] for address in call.addresses} in ({""}, {"28"}, {"27"}, {"80"})
        assert len({(":" in address, "/" in address) for address in call.addresses}) == 1
        assert len(call.addresses) <= {"private_ip_addresses": 32}.get(call.kind, 10)
    assert sum(map(len, sent(ecs))) == len(everything)


def test_an_address_is_written_as_the_service_spells_it(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", ipv6=["2001:DB8:0:0::10"]))
    eni = run_one(ecs, "absent", "2001:db8::10")
    assert sent(ecs) == [("2001:DB8:0:0::10",)]
    assert done(eni) == ("2001:db8::10",)


def fleet(clock, number, addresses=1, **more):
    """An ECS with ``number`` ENIs that have ``addresses`` addresses each, and the targets that name all of them."""
    names = [f"eni-{index}" for index in range(number)]
    held = {name: [f"10.{index // 250}.{index % 250}.{last}" for last in range(10, 10 + addresses)] for index, name in enumerate(names)}
    records = [eni_record(name, held[name], primary=f"10.{index // 250}.{index % 250}.1") for index, name in enumerate(names)]
    return FakeEcs(clock, *records, **more), [target(name, *held[name]) for name in names]


def test_many_enis_are_read_and_read_back_by_the_hundred_and_written_one_call_at_a_time(clock):
    ecs, targets = fleet(clock, 250, addresses=40)
    ledger = run(ecs, make_request("absent", *targets), concurrency=8)
    assert all(eni.verified and len(done(eni)) == 40 for eni in ledger)
    assert len(ecs.writes) == 500
    assert [len(ids) for ids in ecs.reads[:3]] == [100, 100, 50]
    assert sorted(len(ids) for ids in ecs.reads[3:]) == [50, 100, 100]


# Lasting refusals of the service


def test_a_refused_call_fails_its_addresses_and_the_others_go_on(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", MANY), script=[refused("InvalidOperation.InvalidEniType", "no")])
    eni = run_one(ecs, "absent", *MANY)
    assert failures(eni) == dict.fromkeys(MANY[:32], "InvalidOperation.InvalidEniType")
    (reason, _addresses) = eni.failures()[0]
    assert (len(done(eni)), reason.request_id, reason.text) == (8, "R-1", "no")
    assert len(ecs.writes) == 2


@pytest.mark.parametrize("addresses", [(A,), (A, B)], ids=["one", "two"])
def test_a_refused_call_is_read_back_and_counts_as_unchanged_if_nothing_changed(clock, addresses):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[refused("Forbidden.RAM")])
    before = clock.monotonic()
    eni = run_one(ecs, "absent", *addresses)
    assert (failures(eni), may_have_changed(eni), eni.verified) == (dict.fromkeys(addresses, "Forbidden.RAM"), False, True)
    assert (len(ecs.reads), len(ecs.writes), clock.monotonic()) == (2, 1, before)


def test_an_address_of_a_refused_call_that_a_read_shows_as_gone_is_done(clock):
    error = refused("InvalidOperation.EniServiceManaged")
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[answer(error, lambda addresses: addresses[:1])])
    eni = run_one(ecs, "absent", A, B)
    assert (done(eni), failures(eni), may_have_changed(eni)) == ((A,), {B: error.code}, True)
    assert flatten(eni.latest.held) == (B,)


def test_a_thousand_refusals_cost_ten_reads(clock):
    ecs, targets = fleet(clock, 1000, script=[refused("Forbidden.RAM")] * 1000)
    ledger = run(ecs, make_request("absent", *targets), concurrency=8)
    assert all(list(failures(eni).values()) == ["Forbidden.RAM"] and not may_have_changed(eni) for eni in ledger)
    assert (len(ecs.writes), len(ecs.reads)) == (1000, 10 + 10)  # ten for the plan, ten after the writes


@pytest.mark.parametrize("code", ["Operation.Conflict", "Throttling.User"])
def test_a_certainly_refused_write_is_not_waited_for(clock, code):
    """``Ecs`` has already repeated the call until retry_timeout."""
    before = clock.monotonic()
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[refused(code)])
    eni = run_one(ecs, "absent", A, B)
    assert (failures(eni), may_have_changed(eni), eni.verified) == (dict.fromkeys((A, B), code), False, True)
    assert (len(ecs.reads), clock.monotonic()) == (2, before)


def test_a_certain_refusal_counts_as_unchanged_although_it_cannot_be_read_back(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[refused("Throttling.User")])
    ecs.read_faults = [None, refused("Forbidden.RAM")]
    eni = run_one(ecs, "absent", A, B)
    assert (failures(eni), may_have_changed(eni)) == (dict.fromkeys((A, B), "Throttling.User"), False)


# An ENI that is deleted during the run


def delete(error=None, carried_out=False):
    def step(ecs, call):
        if carried_out:
            ecs.carry_out(call)
        ecs.lag, ecs._stale = 0, []
        del ecs.enis[call.eni_id]
        if error:
            raise error

    return step


def test_a_deleted_eni_fails_at_once(clock):
    ecs, targets = fleet(clock, 3, script=[delete(refused(ENI_NOT_FOUND, status=404))])
    before = clock.monotonic()
    ledger = run(ecs, make_request("absent", *targets), concurrency=1)
    assert [list(failures(eni).values()) for eni in ledger] == [[ENI_NOT_FOUND], [], []]
    assert ([may_have_changed(eni) for eni in ledger], ledger[0].latest, clock.monotonic()) == ([False, True, True], None, before)


def test_an_eni_that_a_reply_calls_deleted_but_a_read_shows_fails(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[refused(ENI_NOT_FOUND, status=404)])
    eni = run_one(ecs, "absent", A)
    assert (failures(eni), may_have_changed(eni), flatten(eni.latest.held)) == ({A: ENI_NOT_FOUND}, False, (A,))


def test_if_no_read_shows_the_eni_after_its_write_the_run_waits_and_reports_a_possible_change(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[delete(carried_out=True)])
    before = clock.monotonic()
    eni = run_one(ecs, "absent", A, wait_timeout=30)
    assert (failures(eni), may_have_changed(eni), eni.verified) == ({A: ENI_NOT_RETURNED}, True, False)
    assert 30 <= clock.monotonic() - before < 36


@pytest.mark.parametrize("fault", [drop_rows, spoil_rows, strip_rows])
def test_one_read_that_lacks_an_eni_or_shows_it_unreadable_proves_nothing(clock, fault):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    ecs.read_faults = [None, *[fault("eni-1")] * 3]
    eni = run_one(ecs, "absent", A)
    assert (done(eni), eni.verified, eni.failures(), len(ecs.reads)) == ((A,), True, [], 5)


@pytest.mark.parametrize("fault", [drop_rows, spoil_rows])
def test_an_unreadable_eni_does_not_affect_other_enis(clock, fault):
    ecs, targets = fleet(clock, 20)
    ecs.read_faults = [None, *[fault("eni-3")] * 1000]
    ledger = run(ecs, make_request("absent", *targets))
    assert [eni.eni_id for eni in ledger if not eni.verified] == ["eni-3"]
    assert ledger[3].having(IN_FLIGHT)
    assert may_have_changed(ledger[3])
    assert list(failures(ledger[3]).values()) == [ENI_NOT_RETURNED if fault is drop_rows else NOT_VERIFIED]


# Defects, interrupts, and a machine without free threads


def test_after_a_defect_in_a_writer_only_its_eni_fails_and_the_message_hides_secrets(clock):
    ecs, targets = fleet(clock, 5, script=[None, ValueError("hunter2")])
    ledger = run(ecs, make_request("absent", *targets), concurrency=1)
    assert [len(eni.failures()) for eni in ledger] == [0, 1, 0, 0, 0]
    (text,) = texts(ledger[1])
    assert "ValueError" in text
    assert UNEXPECTED in text
    assert "hunter2" not in text
    assert len(ecs.writes) == 5  # the call with the defect is not sent again


def test_after_a_defect_in_a_writer_its_earlier_writes_are_read_back(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", MANY), script=[None, ValueError()])
    eni = run_one(ecs, "absent", *MANY)
    # It is not known whether the second call was carried out.
    assert (done(eni), eni.having(IN_FLIGHT), eni.verified, may_have_changed(eni)) == (MANY[:32], MANY[32:], False, True)


@pytest.mark.parametrize("effect", [True, False])
def test_an_open_outcome_after_a_defect_is_read(clock, effect):
    def fail(ecs, call):
        if effect:
            ecs.carry_out(call)
        raise ValueError

    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[fail])
    eni = run_one(ecs, "absent", A)
    assert (done(eni), failures(eni)) == (((A,), {}) if effect else ((), {A: NOT_VERIFIED}))
    assert may_have_changed(eni)


def test_a_defect_in_reading_back_does_not_lose_the_ledger(clock):
    ecs, targets = fleet(clock, 3)
    ecs.read_faults = [None, ValueError("hunter2")]
    ledger = run(ecs, make_request("absent", *targets))
    assert all(may_have_changed(eni) and not eni.verified and list(failures(eni).values()) == [NOT_VERIFIED] for eni in ledger)
    assert "hunter2" not in str([eni.failures() for eni in ledger])


class Ended(BaseException):
    """A BaseException that is not an Exception. Some extension modules and asyncio raise such."""


def end(*_arguments):
    raise Ended


def test_a_writer_that_ends_does_not_lose_the_ledger(clock):
    ecs, targets = fleet(clock, 5, script=[None, end])
    ledger = run(ecs, make_request("absent", *targets), concurrency=1)
    assert [eni.verified and not eni.failures() for eni in ledger] == [True, False, False, False, False]
    assert [list(failures(eni).values()) for eni in ledger[1:]] == [[NOT_VERIFIED], [UNEXPECTED], [UNEXPECTED], [UNEXPECTED]]
    assert [may_have_changed(eni) for eni in ledger] == [True, True, False, False, False]  # the second one may have been carried out
    assert all("not sent" in text for eni in ledger[2:] for text in texts(eni))


def test_writes_before_the_end_of_a_writer_are_read_back(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", MANY), script=[None, end])
    eni = run_one(ecs, "absent", *MANY)
    assert (len(done(eni)), failures(eni)) == (32, dict.fromkeys(MANY[32:], NOT_VERIFIED))


@pytest.mark.parametrize("started", [0, 1, 2])
def test_if_a_thread_cannot_be_started_the_run_stops_before_the_first_write(clock, monkeypatch, started):
    really_start = threading.Thread.start
    answers = iter([really_start] * started)

    def start(thread):
        if (answer := next(answers, None)) is None:
            time.sleep(0.1)  # enough for the started threads to write, if they were allowed to
            raise RuntimeError("can't start new thread")
        answer(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    ecs, targets = fleet(clock, 3)
    ledger = run(ecs, make_request("absent", *targets))
    assert ecs.writes == []
    assert {code for eni in ledger for code in failures(eni).values()} == {NO_THREADS}
    assert not any(may_have_changed(eni) for eni in ledger)


def test_after_an_interrupt_while_the_writers_start_nothing_is_written(clock, monkeypatch):
    really_submit = _run.ThreadPoolExecutor.submit
    answers = iter([really_submit, really_submit])

    def submit(pool, task):
        if (answer := next(answers, None)) is None:
            time.sleep(0.1)
            raise KeyboardInterrupt
        return answer(pool, task)

    monkeypatch.setattr(_run.ThreadPoolExecutor, "submit", submit)
    ecs, targets = fleet(clock, 3)
    with pytest.raises(KeyboardInterrupt):
        run(ecs, make_request("absent", *targets))
    assert ecs.writes == []


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("concurrency", [1, 2])
def test_after_a_later_interrupt_nothing_more_is_written_and_the_ledger_is_complete(clock, monkeypatch, concurrency, interruption):
    """Neither an ENI in the queue is written, nor an ENI whose call waits for its turn."""

    def interrupt(*_arguments):
        raise interruption

    monkeypatch.setattr(_run._Run, "_route", interrupt)
    ecs, targets = fleet(clock, 300)
    ecs.writers = concurrency
    # All calls after the first one wait until the interruption has stopped the run.
    ecs.delays = [lambda: None, *[lambda: ecs.stopped.wait(20)] * 300]
    request = make_request("absent", *targets)
    plan = review(ecs, request, request.targets, wait_for_states=False)
    ledger = open_ledger(plan)
    with pytest.raises(interruption):
        carry_out(ecs, request, ledger)
    assert len(ecs.writes) == 1
    check(ecs, plan, request, ledger)
    assert [eni.eni_id for eni in ledger if may_have_changed(eni)] == [ecs.writes[0].eni_id]
    assert Counter(code for eni in ledger for code in failures(eni).values())[NOT_VERIFIED] == 1


def test_an_exception_that_ends_the_reader_is_raised_and_does_not_lose_the_ledger(clock, monkeypatch):
    monkeypatch.setattr(_run._Run, "_route", end)
    ecs, targets = fleet(clock, 3)
    ledger = run(ecs, make_request("absent", *targets), concurrency=1, raises=Ended)
    assert {eni.eni_id for eni in ledger if may_have_changed(eni)} == {call.eni_id for call in ecs.writes} != set()
    assert all(eni.failures() for eni in ledger)


def test_an_exception_that_ends_the_reader_does_not_fail_addresses_without_a_read_back(clock, monkeypatch):
    monkeypatch.setattr(_run._Run, "_route", end)
    ecs, targets = fleet(clock, 1)
    ledger = run(ecs, make_request("absent", *targets, wait=False), concurrency=1, raises=Ended)
    assert [(len(done(eni)), eni.failures()) for eni in ledger] == [(1, [])]


def test_a_defect_in_reading_again_does_not_lose_the_ledger(clock):
    ecs, targets = fleet(clock, 3)
    ecs.delays = [lambda: clock.sleep(50)]  # so that the ENIs after the first one are read again before their writes
    ecs.read_faults = [None, ValueError()]
    ledger = run(ecs, make_request("absent", *targets), concurrency=1)
    assert [may_have_changed(eni) for eni in ledger] == [True, False, False]
    assert [list(failures(eni).values()) for eni in ledger] == [[NOT_VERIFIED], [UNEXPECTED], [UNEXPECTED]]


# Errors after which no other call can succeed


def test_after_a_fatal_error_an_eni_with_several_calls_is_not_continued(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", MANY), script=[refused(EXPIRED)])
    ecs.fatal_codes = {EXPIRED}
    eni = run_one(ecs, "absent", *MANY)
    assert (len(ecs.writes), failures(eni), may_have_changed(eni)) == (1, dict.fromkeys(MANY, EXPIRED), False)


def test_after_a_fatal_error_the_rest_fails_at_once(clock):
    """For example after a revoked key. The remaining ENIs must not cost calls or time."""
    ecs, targets = fleet(clock, 300, script=[refused(EXPIRED)])
    ecs.fatal_codes = {EXPIRED}
    ecs.delays = [lambda: clock.sleep(50)]
    ledger = run(ecs, make_request("absent", *targets), concurrency=1)
    assert all(list(failures(eni).values()) == [EXPIRED] for eni in ledger)
    assert {reason.request_id for eni in ledger for reason, _addresses in eni.failures()} == {"R-1"}
    assert len(ecs.writes) == 1
    assert len(ecs.reads) <= 4  # three for the plan, and one for the ENI that was written


def test_a_fatal_error_in_the_read_back_ends_writing_too(clock):
    ecs, targets = fleet(clock, 450)
    ecs.fatal_codes = {EXPIRED}
    ecs.read_faults = [*[None] * 5, refused(EXPIRED)]

    def let_it_be_read() -> None:
        """Wait until the thread that reads had its turn, because the writes of this test take no time."""
        gives_up_at = time.monotonic() + 30
        while len(ecs.reads) < 6 and time.monotonic() < gives_up_at:
            time.sleep(0.001)
        time.sleep(0.002)

    ecs.delays = [lambda: None] * 250 + [let_it_be_read] * 200
    ledger = run(ecs, make_request("absent", *targets), concurrency=1)
    assert len(ecs.reads) == 6
    assert 100 <= len(ecs.writes) < 450
    by_code = Counter(code for eni in ledger for code in failures(eni).values())
    assert by_code == {NOT_VERIFIED: len(ecs.writes), EXPIRED: 450 - len(ecs.writes)}


@pytest.mark.parametrize("code", [CALLER_GONE, INTERRUPTED])
def test_a_call_that_was_never_sent_changes_nothing(clock, code):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[EcsError("Unassign", code, "not sent", unsent=True)])
    ecs.fatal_codes = {code}
    eni = run_one(ecs, "absent", A, B)
    assert (failures(eni), may_have_changed(eni), eni.verified, eni.sent) == (dict.fromkeys((A, B), code), False, True, frozenset())


@pytest.mark.parametrize("carried_out", [True, False])
def test_reads_wait_for_the_effect_of_an_earlier_call_if_the_next_one_is_never_sent(clock, carried_out):
    """The reply to the earlier call was lost, and the first read does not show the effect yet."""
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    ecs.script = [lost_reply(carried_out), EcsError("Unassign", CALLER_GONE, "not sent", unsent=True)]
    ecs.fatal_codes = {CALLER_GONE}
    ecs.lag = 3
    eni = run_one(ecs, "absent", A)
    assert (done(eni), failures(eni)) == (((A,), {}) if carried_out else ((), {A: NOT_VERIFIED}))
    assert may_have_changed(eni)


def test_an_outage_does_not_leave_every_eni_in_flight(clock):
    """If calls get no reply, the writers pause between them. After retry_timeout without any reply, the error is fatal and ends the run."""
    ecs, targets = fleet(clock, 1000)
    silence = EcsError("Any", CONNECTION_FAILED, "no reply")
    ecs.script = [silence] * 1000
    ecs.read_faults = [*[None] * 10, *[silence] * 1000]
    ledger = run(ecs, make_request("absent", *targets), concurrency=8)
    in_flight = [eni for eni in ledger if eni.having(IN_FLIGHT)]
    assert len(in_flight) == len(ecs.writes) <= 8 * 10
    assert {code for eni in ledger if eni not in in_flight for code in failures(eni).values()} == {CONNECTION_FAILED}
    assert all(may_have_changed(eni) == (eni in in_flight) for eni in ledger)


# Refusals because the address is already as requested


def unassigned(*names):
    return refused(UNASSIGNED, f"The specified IP \u201c{','.join(names)}\u201d is not assigned on this ENI.")


def taken_by_someone(*addresses, names=(), partly=False):
    """Someone else unassigned these addresses first. The service refuses the call. ``partly``: it carries out the rest of the call."""

    def step(ecs, call):
        ecs.take_away(call.eni_id, *addresses)
        if partly:
            ecs.carry_out(call)
        raise unassigned(*names)

    return step


@pytest.mark.parametrize("partly", [False, True])
@pytest.mark.parametrize("names", [(), (A,)], ids=["unnamed", "named"])
def test_an_address_that_someone_else_unassigned_is_done_and_the_rest_goes_on(clock, partly, names):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B, C]), script=[taken_by_someone(A, names=names, partly=partly)])
    eni = run_one(ecs, "absent", A, B, C)
    assert (done(eni), eni.failures()) == ((A, B, C), [])
    assert sent(ecs) == [(A, B, C)] + [(B, C)] * (not partly)


def test_a_prefix_that_someone_else_unassigned_is_done(clock):
    prefixes = [PREFIX, "192.168.0.32/28"]
    ecs = FakeEcs(clock, eni_record("eni-1", prefixes=prefixes), script=[taken_by_someone(PREFIX, names=[PREFIX])])
    eni = run_one(ecs, "absent", *prefixes)
    assert done(eni) == tuple(prefixes)
    assert sent(ecs) == [tuple(prefixes), ("192.168.0.32/28",)]


def test_an_address_is_recognized_in_the_spelling_of_the_service(clock):
    theirs, ours, other = "2001:DB8:0:0::10", "2001:db8::10", "2001:db8::11"
    ecs = FakeEcs(clock, eni_record("eni-1", ipv6=[theirs, other]))

    def step(ecs, call):
        ecs.enis["eni-1"]["Ipv6Sets"]["Ipv6Set"].pop(0)
        ecs.lag, ecs._stale = 0, [{"eni-1": eni_record("eni-1", ipv6=[theirs, other])}]
        raise unassigned(theirs)

    ecs.script = [step]
    eni = run_one(ecs, "absent", ours, other)
    assert done(eni) == (ours, other)
    assert sent(ecs) == [(theirs, other), (theirs,), (other,)]


@pytest.mark.parametrize("addresses", [(A,), (A, B)], ids=["one", "two"])
def test_while_reads_show_the_address_the_refusal_is_neither_a_success_nor_a_change(clock, addresses):
    """A comment in a client of the API says that the service refuses a primary address in this way."""
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[unassigned()] * 1000)
    before = clock.monotonic()
    eni = run_one(ecs, "absent", *addresses, wait_timeout=30)
    assert failures(eni) == dict.fromkeys(addresses, UNASSIGNED)
    assert 30 <= clock.monotonic() - before < 40
    assert (may_have_changed(eni), eni.verified) == (False, True)
    assert len(ecs.writes) == (1 if len(addresses) == 1 else 3)


def test_a_read_that_lags_behind_the_refusal_is_waited_for(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[taken_by_someone(A)])
    ecs.lag = 3
    eni = run_one(ecs, "absent", A)
    assert (done(eni), len(ecs.writes), len(ecs.reads)) == ((A,), 1, 5)


def test_without_waiting_a_refusal_fails_at_once_if_a_read_shows_the_address(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[unassigned()])
    before = clock.monotonic()
    eni = run_one(ecs, "absent", A, wait=False)
    assert (failures(eni), may_have_changed(eni), clock.monotonic()) == ({A: UNASSIGNED}, False, before)


@pytest.fixture
def half_done(clock):
    """Someone else unassigned A. The service refuses the call for A and B, but carries it out for B. The first read still shows B."""
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B, C]), script=[taken_by_someone(A, names=[A], partly=True)])
    ecs.lag = 1
    ecs.fatal_codes = {EXPIRED}
    yield ecs
    assert "eni-1" not in ecs.enis or B not in ecs.held_by("eni-1")


@pytest.mark.parametrize("lag", [1, 2, 5])
def test_the_effect_of_a_refused_batch_is_read_if_the_next_call_fails_too(half_done, lag):
    half_done.lag = lag
    half_done.script.append(refused("Forbidden.RAM"))
    eni = run_one(half_done, "absent", A, B)
    assert (done(eni), failures(eni), may_have_changed(eni), eni.verified) == ((A, B), {}, True, True)
    assert flatten(eni.latest.held) == (C,)


def test_if_the_effect_of_a_refused_batch_never_shows_it_was_not_carried_out(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B, C]), script=[unassigned(A), unassigned(A), refused("Forbidden.RAM")])
    before = clock.monotonic()
    eni = run_one(ecs, "absent", A, B, C, wait_timeout=30)
    assert failures(eni) == {A: UNASSIGNED, B: "Forbidden.RAM", C: "Forbidden.RAM"}
    assert (may_have_changed(eni), eni.verified) == (False, True)
    assert 30 <= clock.monotonic() - before < 40


def test_a_refused_batch_may_have_been_carried_out_if_a_guard_then_refuses_the_eni(half_done, clock):
    def refuse():
        half_done.enis["eni-1"]["Status"] = "Deleting"
        half_done._stale = [{"eni-1": eni_record("eni-1", [A, B, C], Status="Deleting")}]
        clock.sleep(61)  # so that the ENI is read again before the write

    half_done.delays = [lambda: None, refuse]
    eni = run_one(half_done, "absent", A, B, skip_refused=True)
    assert (done(eni), may_have_changed(eni), eni.verified) == ((A, B), True, True)


@pytest.mark.parametrize("code", ["Forbidden.RAM", EXPIRED])
@pytest.mark.parametrize("reads", [1, 2])
def test_a_refused_batch_may_have_been_carried_out_if_it_cannot_be_read_back(half_done, reads, code):
    """The read fails after the first refusal, or after the second one."""
    half_done.script.append(unassigned(B))
    half_done.read_faults = [*[None] * reads, *[refused(code)] * 2]
    eni = run_one(half_done, "absent", A, B)
    assert failures(eni) == ({A: UNASSIGNED, B: NOT_VERIFIED} if reads == 1 else {B: NOT_VERIFIED})
    assert (eni.having(IN_FLIGHT), may_have_changed(eni), eni.verified) == ((B,), True, False)


@pytest.mark.parametrize("code", ["Forbidden.RAM", EXPIRED])
def test_a_refused_batch_may_have_been_carried_out_if_the_next_call_is_refused_and_all_reads_fail(half_done, code):
    half_done.script.append(refused(code))
    half_done.read_faults = [None, None, refused(code)]
    eni = run_one(half_done, "absent", A, B)
    assert (failures(eni), done(eni), eni.verified) == ({B: NOT_VERIFIED}, (A,), False)
    assert code in texts(eni)[0]


def test_without_waiting_a_refused_batch_may_have_been_carried_out_if_no_read_shows_it(half_done):
    half_done.lag = 3
    half_done.script.append(refused("Forbidden.RAM"))
    eni = run_one(half_done, "absent", A, B, wait=False)
    assert (failures(eni), done(eni)) == ({B: NOT_VERIFIED}, (A,))


@pytest.mark.parametrize("first", [True, False])
def test_a_refused_batch_may_have_been_carried_out_if_the_eni_is_deleted_then(half_done, first):
    step = delete(unassigned(A if first else B), carried_out=True)
    half_done.script = [step] if first else [*half_done.script, step]
    eni = run_one(half_done, "absent", A, B)
    assert failures(eni) == ({A: UNASSIGNED, B: ENI_NOT_RETURNED} if first else {B: ENI_NOT_RETURNED})
    assert (may_have_changed(eni), eni.verified) == (True, False)


def test_a_refused_batch_is_read_back_although_another_eni_ends_the_run(half_done):
    half_done.enis["eni-2"] = eni_record("eni-2", ["192.168.0.20"], primary="192.168.0.2")
    half_done.script.append(refused(EXPIRED))
    half_done.lag = 3
    request = make_request("absent", target("eni-1", A, B), target("eni-2", "192.168.0.20"))
    eni, other = run(half_done, request, concurrency=1)
    assert (done(eni), eni.verified) == ((A, B), True)
    assert (failures(other), may_have_changed(other), len(half_done.writes)) == ({"192.168.0.20": EXPIRED}, False, 2)


def test_a_change_that_shows_late_after_the_last_refusal_is_done(clock):
    """Several refusals do not name an address. The service carries out a part of the last refused call."""

    def step(ecs, call):
        if call.addresses == (B,):
            ecs.lag = 4
            ecs.carry_out(call)
        raise unassigned()

    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[step] * 1000)
    eni = run_one(ecs, "absent", A, B, wait_timeout=30)
    assert (done(eni), failures(eni), may_have_changed(eni), eni.verified) == ((B,), {A: UNASSIGNED}, True, True)


def test_the_run_waits_for_one_kind_although_the_other_kind_used_up_the_time(clock):
    def step(ecs, call):
        if call.kind == "ipv6_addresses":
            ecs.lag = 4
            ecs.carry_out(replace(call, addresses=call.addresses[:1]))
        raise unassigned()

    ecs = FakeEcs(clock, eni_record("eni-1", MANY[:32], ipv6=["2001:db8::1", "2001:db8::2"]), script=[step] * 1000)
    eni = run_one(ecs, "absent", *MANY[:32], "2001:db8::1", "2001:db8::2")
    assert "2001:db8::1" in done(eni)
    assert set(failures(eni)) == {*MANY[:32], *ecs.held_by("eni-1")}
    assert (may_have_changed(eni), eni.verified) == (True, True)


# A batch that is refused because of some of its addresses


class Picky(FakeEcs):
    """Refuses each call that names a bad address. With ``names``, the refusal names the first of them."""

    def __init__(self, *arguments, bad, code, names=False, **more):
        super().__init__(*arguments, **more)
        self.bad, self.code, self.names = set(bad), code, names
        self.script = [self.step] * 10_000

    def step(self, _fake, call):
        if bad := [address for address in call.addresses if address in self.bad]:
            raise refused(self.code, f"The IP \u201c{bad[0]}\u201d is taken." if self.names else "The IP is taken.")
        self.carry_out(call)


@pytest.mark.parametrize("bad", range(0, 32, 5))
def test_one_unnamed_bad_address_of_32_costs_twice_the_logarithm_and_no_other_address(clock, bad):
    ecs = Picky(clock, eni_record("eni-1"), bad=[MANY[bad]], code=ASSIGNED)
    eni = run_one(ecs, "present", *MANY[:32])
    assert failures(eni) == {MANY[bad]: ASSIGNED}
    assert set(done(eni)) == set(MANY[:32]) - {MANY[bad]}
    assert len(ecs.writes) <= 1 + 2 * math.log2(32)


@given(
    st.sets(st.integers(0, 39)),
    st.sampled_from([("absent", "InvalidIp.IpPrefixIllegal"), ("present", "InvalidVSwitchId.IpInvalid")]),
    st.booleans(),
)
def test_all_good_addresses_of_refused_batches_are_done(bad, state_and_code, names):
    state, code = state_and_code
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        clock.install(patch)
        bad = {MANY[index] for index in bad}
        ecs = Picky(clock, eni_record("eni-1", MANY if state == "absent" else ()), bad=bad, code=code, names=names)
        eni = run_one(ecs, state, *MANY)
        assert failures(eni) == dict.fromkeys(bad, code)
        assert set(done(eni)) == set(MANY) - bad
        # Halving ends with one call for each bad address. A named address costs two more calls: its own, and that of the others.
        assert len(ecs.writes) <= 2 + 2 * len(bad) * (1 if names else math.log2(32))


def test_one_named_address_that_is_taken_costs_two_calls_more(clock):
    ecs = Picky(clock, eni_record("eni-1"), bad=[A], code=ASSIGNED, names=True)
    eni = run_one(ecs, "present", A, B, C)
    assert (failures(eni), done(eni), sent(ecs)) == ({A: ASSIGNED}, (B, C), [(A, B, C), (A,), (B, C)])


def test_an_address_that_a_message_names_is_not_believed_to_be_the_cause(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[refused("InvalidParameter", f"The parameter is not valid near {A}.")])
    eni = run_one(ecs, "absent", A, B)
    assert (failures(eni), done(eni)) == ({}, (A, B))


@pytest.mark.parametrize("code", [ASSIGNED, "InvalidPrivateIpAddress.Duplicated"])
def test_an_address_whose_holder_is_not_shown_fails_at_once_and_counts_as_unchanged(clock, code):
    before = clock.monotonic()
    ecs = FakeEcs(clock, eni_record("eni-1"), script=[refused(code, f"The IP \u201c{A}\u201d is taken.")])
    eni = run_one(ecs, "present", A)
    assert (failures(eni), may_have_changed(eni)) == ({A: code}, False)
    assert clock.monotonic() == before
    assert len(ecs.writes) == 1


def test_a_refused_batch_without_a_visible_effect_is_not_a_change(clock):
    ecs = FakeEcs(clock, eni_record("eni-1"), script=[refused(ASSIGNED, "taken")] * 100)
    eni = run_one(ecs, "present", A, B)
    assert failures(eni) == dict.fromkeys((A, B), ASSIGNED)
    assert (may_have_changed(eni), eni.verified) == (False, True)


def test_an_address_that_someone_else_assigned_to_the_eni_is_done(clock):
    ecs = FakeEcs(clock, eni_record("eni-1"), script=[answer(refused(ASSIGNED, f"{A} is assigned"))])
    eni = run_one(ecs, "present", A)
    assert (done(eni), eni.failures()) == ((A,), [])


# A lost reply, or a reply that does not show whether the write was carried out

OPEN = {
    "504": refused("ServiceTimeout", status=504),
    "503": refused("ServiceUnavailable", status=503),
    "500 unknown": refused("SomethingNew", status=500),
    "502 without code": EcsError("Write", NO_ERROR_CODE, "bad gateway", status=502),
    "403 without code": EcsError("Write", NO_ERROR_CODE, "a proxy says no", status=403),
    "unreadable": EcsError("Write", "UnreadableReply", "not JSON", status=200),
    "redirected": EcsError("Write", "Redirected", "moved", status=302),
    "lost": EcsError("Write", CONNECTION_FAILED, "reset"),
    "SignatureNonceUsed": refused("SignatureNonceUsed", status=400),
    "IdempotentProcessing": refused("IdempotentProcessing", status=403),
    "IdempotentFailed": refused("IdempotentFailed", status=400),
}


@pytest.mark.parametrize("reply", OPEN)
@pytest.mark.parametrize("state", ["absent", "present"])
@pytest.mark.parametrize("lag", [0, 1, 4])
def test_a_write_that_took_effect_is_done_whatever_the_reply_was(clock, state, reply, lag):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B] if state == "absent" else []), script=[answer(OPEN[reply])])
    ecs.lag = lag
    eni = run_one(ecs, state, A, B)
    assert (done(eni), may_have_changed(eni), eni.verified, eni.failures()) == ((A, B), True, True, [])


@pytest.mark.parametrize("reply", OPEN)
@pytest.mark.parametrize("state", ["absent", "present"])
def test_a_write_without_effect_is_sent_again(clock, state, reply):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B] if state == "absent" else []), script=[OPEN[reply]])
    eni = run_one(ecs, state, A, B)
    assert (done(eni), eni.failures(), sent(ecs)) == ((A, B), [], [(A, B)] * 2)
    if state == "present":
        first, second = (call.token for call in ecs.writes)
        # Only a request that is known to have failed gets a new token.
        assert (first == second) == (reply != "IdempotentFailed")


def test_a_request_that_is_still_being_processed_is_waited_for_with_the_same_token(clock):
    ecs = FakeEcs(clock, eni_record("eni-1"), script=[OPEN["lost"], *[OPEN["IdempotentProcessing"]] * 3])
    before = clock.monotonic()
    eni = run_one(ecs, "present", A)
    assert done(eni) == (A,)
    assert len(ecs.writes) == 5
    assert len({call.token for call in ecs.writes}) == 1
    assert clock.monotonic() > before


def test_after_a_failed_request_the_new_token_is_kept_too(clock):
    ecs = FakeEcs(clock, eni_record("eni-1"), script=[OPEN["IdempotentFailed"], OPEN["504"]])
    assert done(run_one(ecs, "present", A)) == (A,)
    first, second, third = (call.token for call in ecs.writes)
    assert first != second == third


@pytest.mark.parametrize("reply", ["504", "lost"])
@pytest.mark.parametrize("later", ["Forbidden.RAM", "InvalidOperation.EniServiceManaged", ENI_NOT_FOUND])
def test_after_a_later_refusal_the_effect_of_the_first_call_still_counts(clock, reply, later):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[answer(OPEN[reply]), refused(later)])
    ecs.lag = 5
    eni = run_one(ecs, "absent", A, B)
    assert (done(eni), eni.verified, len(ecs.writes)) == ((A, B), True, 2)


@pytest.mark.parametrize("later", ["InvalidOperation.EniServiceManaged", UNASSIGNED])
def test_a_write_with_a_lost_reply_and_without_a_visible_effect_may_have_been_carried_out(clock, later):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[OPEN["504"], refused(later, "no")])
    eni = run_one(ecs, "absent", A)
    assert (failures(eni), may_have_changed(eni), eni.verified) == ({A: NOT_VERIFIED}, True, False)
    (text,) = texts(eni)
    assert f"sent, and then {later} (no), but it is still assigned after 60 s" in text


@pytest.mark.parametrize("options", [{}, {"wait": False, "wait_timeout": 0}], ids=str)
@pytest.mark.parametrize("state", ["absent", "present"])
def test_a_write_with_a_lost_reply_whose_effect_shows_late_is_done(clock, state, options):
    code = {"absent": UNASSIGNED, "present": ASSIGNED}[state]
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B] if state == "absent" else []), script=[lost_reply(), refused(code), refused(code)])
    ecs.lag = 2
    eni = run_one(ecs, state, A, B, **options)
    assert (done(eni), may_have_changed(eni), eni.failures()) == ((A, B), True, [])


def test_a_write_that_never_gets_a_reply_fails_in_time_and_may_be_a_change(clock):
    """The write is sent again until retry_timeout (20 s). Reads wait for its effect until wait_timeout."""
    sent_at = []

    def lose(ecs, call):
        sent_at.append(clock.monotonic())
        raise OPEN["lost"]

    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[lose] * 1000)
    before = clock.monotonic()
    eni = run_one(ecs, "absent", A, wait_timeout=60)
    assert (failures(eni), may_have_changed(eni), eni.having(IN_FLIGHT)) == ({A: NOT_VERIFIED}, True, (A,))
    assert len(sent_at) > 3
    assert 10 < sent_at[-1] - before < 2 * ecs.retry_timeout
    assert 60 <= clock.monotonic() - before < 70


MALFORMED = EcsError("DescribeNetworkInterfaces", UNREADABLE_REPLY, "the reply has no list", "R-1", status=200)


@pytest.mark.parametrize("error", [MALFORMED, refused("ServiceUnavailable", status=503)], ids=str)
@pytest.mark.parametrize("times", [5, 1000])
def test_after_a_lost_reply_reads_go_on_until_wait_timeout_although_they_fail(clock, error, times):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[lost_reply()])
    ecs.read_faults = [None, *[error] * times]
    before = clock.monotonic()
    eni = run_one(ecs, "absent", A, wait_timeout=60)
    if times == 5:
        assert (done(eni), eni.failures(), eni.verified) == ((A,), [], True)
    else:
        assert (failures(eni), may_have_changed(eni), eni.verified) == ({A: NOT_VERIFIED}, True, False)
        assert error.code in texts(eni)[0]
        assert 60 <= clock.monotonic() - before < 70


def test_a_read_back_that_is_refused_for_good_ends_the_wait(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[lost_reply()])
    ecs.read_faults = [None, refused("Forbidden.RAM")]
    eni = run_one(ecs, "absent", A)
    assert (failures(eni), may_have_changed(eni), eni.verified, len(ecs.reads)) == ({A: NOT_VERIFIED}, True, False, 2)


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_possible_write_is_not_reported_as_skipped(clock, carried_out):
    """The reply is lost, the reads lag, and a guard refuses the ENI before the next call. To report it as skipped would hide the write."""

    def refuse():
        record = eni_record("eni-1", [A], Status="Deleting")
        ecs.enis["eni-1"]["Status"] = "Deleting"
        ecs._stale = [{"eni-1": record}] * 2
        clock.sleep(61)

    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[lost_reply(carried_out)])
    ecs.lag = 1
    ecs.delays = [lambda: None, refuse]
    eni = run_one(ecs, "absent", A, skip_refused=True, wait_timeout=120)
    assert (may_have_changed(eni), eni.having(SKIPPED), len(ecs.writes)) == (True, (), 1)
    assert failures(eni) == ({} if carried_out else {A: NOT_VERIFIED})


def test_a_certainly_refused_write_may_be_skipped(clock):
    def refuse(ecs, call):
        ecs.enis["eni-1"]["Status"] = "Deleting"
        raise refused("InvalidOperation.InvalidEniState", status=400)

    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[refuse])
    eni = run_one(ecs, "absent", A, skip_refused=True)
    assert (eni.having(SKIPPED), eni.reasons[A].code, may_have_changed(eni)) == ((A,), ENI_STATE, False)


# Client tokens


def test_each_call_has_its_own_token_and_a_repeated_call_has_the_same(clock):
    ecs = FakeEcs(clock, eni_record("eni-1"), eni_record("eni-2", primary="192.168.0.2", VSwitchId="vsw-2"))
    ecs.script = [lost_reply(carried_out=False)] * 2
    run(ecs, make_request("present", target("eni-1", *MANY), target("eni-2", *MANY)), concurrency=2)
    by_call = {}
    for call in ecs.writes:
        by_call.setdefault((call.eni_id, call.addresses), []).append(call.token)
    assert len(by_call) == 4
    assert len(ecs.writes) == 6
    assert all(len(set(tokens)) == 1 for tokens in by_call.values())
    assert len({tokens[0] for tokens in by_call.values()}) == 4
    assert all(token.isascii() and 0 < len(token) <= 64 for (token, *_others) in by_call.values())


def test_a_token_is_not_used_for_other_addresses(clock):
    """The service refuses that (IdempotentFailed)."""
    ecs = FakeEcs(clock, eni_record("eni-1"), script=[answer(OPEN["lost"], lambda addresses: addresses[:1])])
    eni = run_one(ecs, "present", A, B)
    assert done(eni) == (A, B)
    assert sent(ecs) == [(A, B), (B,)]
    assert ecs.writes[0].token != ecs.writes[1].token


def test_a_half_that_is_sent_again_is_the_same_call(clock):
    ecs = FakeEcs(clock, eni_record("eni-1"))
    ecs.script = [refused(ASSIGNED, "taken"), OPEN["504"], None, None]
    eni = run_one(ecs, "present", A, B, C)
    assert done(eni) == (A, B, C)
    assert sent(ecs) == [(A, B, C), (A, B), (C,), (A, B)]
    assert ecs.writes[1].token == ecs.writes[3].token


def test_an_address_that_the_eni_itself_already_holds_is_not_refused(clock):
    """After a lost reply, a read of the ENI may lag behind the list of the vSwitch, which already shows the address."""
    ecs = FakeEcs(clock, eni_record("eni-1"), script=[lost_reply()])
    ecs.lag = 2
    ecs.delays = [lambda: None, lambda: clock.sleep(61)]  # so that the plan is renewed
    eni = run_one(ecs, "present", A)
    assert (done(eni), eni.failures(), may_have_changed(eni)) == ((A,), [], True)


# A plan that ages


def aged(ecs, and_then=lambda record: None):
    """The first write waits longer for its turn than a plan lives. ``and_then`` changes the record of its ENI during this wait."""

    def wait():
        ecs.clock.sleep(_write.PLAN_LIVES_SECONDS + 1)
        and_then(ecs.enis["eni-1"])

    ecs.delays = [wait]
    return ecs


def test_a_call_on_an_aged_plan_is_not_sent_before_the_plan_is_renewed(clock):
    ecs = aged(FakeEcs(clock, eni_record("eni-1", [A, B])))
    eni = run_one(ecs, "absent", A, B)
    assert (done(eni), sent(ecs)) == ((A, B), [(A, B)])
    assert len(ecs.reads) == 3  # plan, renewal, read-back


def bind_eip(record):
    record["PrivateIpSets"]["PrivateIpSet"][1]["AssociatedPublicIp"] = {"PublicIpAddress": "203.0.113.7"}


def make_primary(record):
    record["PrivateIpSets"]["PrivateIpSet"][1]["Primary"] = True


def make_prefix(record):
    record["PrivateIpSets"]["PrivateIpSet"].pop(1)
    record["Ipv4PrefixSets"]["Ipv4PrefixSet"].append({"Ipv4Prefix": "192.168.0.10/31"})


def bind_eip_and_detach(record):
    bind_eip(record)
    record["Status"] = "Detaching"


REFUSED_BY_NOW = [
    pytest.param(lambda record: record.update(Status="Deleting"), {A, B}, id="state"),
    pytest.param(lambda record: record.update(Status="Detaching"), {A, B}, id="transitional state"),
    pytest.param(lambda record: record.update(ServiceManaged=True), {A, B}, id="managed"),
    pytest.param(lambda record: record.update(Tags={"Tag": [{"TagKey": "creator", "TagValue": "terway"}]}), {A, B}, id="tag"),
    pytest.param(bind_eip, {A}, id="eip"),
    pytest.param(bind_eip_and_detach, {A, B}, id="eip and transitional state"),
]


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(("happens", "stays"), REFUSED_BY_NOW)
def test_an_address_that_a_guard_now_forbids_is_refused_and_not_written(clock, happens, stays, skip):
    ecs = aged(FakeEcs(clock, eni_record("eni-1", [A, B])), happens)
    eni = run_one(ecs, "absent", A, B, skip_refused=skip)
    assert stays <= ecs.held_by("eni-1")
    assert set(done(eni)) == {A, B} - stays
    assert may_have_changed(eni) == (stays != {A, B})
    assert set(eni.having(SKIPPED)) == (stays if skip else set())
    assert failures(eni) == ({} if skip else dict.fromkeys(stays, REFUSED))


def test_a_transitional_state_at_renewal_is_waited_for_and_a_lasting_reason_is_not(clock):
    ecs = aged(FakeEcs(clock, eni_record("eni-1", [A, B])), bind_eip_and_detach)
    answer_reads = ecs.network_interfaces

    def attach_later(*arguments, **filters):
        if len(ecs.reads) == 4:
            ecs.enis["eni-1"]["Status"] = "InUse"
        return answer_reads(*arguments, **filters)

    ecs.network_interfaces = attach_later
    eni = run_one(ecs, "absent", A, B)
    assert (failures(eni), done(eni)) == ({A: REFUSED}, (B,))


@pytest.mark.parametrize("happens", [make_primary, make_prefix])
def test_a_new_error_fails_with_any_on_refusal(clock, happens):
    ecs = aged(FakeEcs(clock, eni_record("eni-1", [A, C])), happens)
    eni = run_one(ecs, "absent", A, C, skip_refused=True)
    assert (failures(eni), done(eni)) == ({A: REFUSED}, (C,))
    assert A in texts(eni)[0]


def test_an_address_that_is_already_gone_is_unchanged(clock):
    ecs = aged(FakeEcs(clock, eni_record("eni-1", [A, B])), lambda record: record["PrivateIpSets"]["PrivateIpSet"].pop(1))
    eni = run_one(ecs, "absent", A, B)
    assert (done(eni), eni.having(UNCHANGED), sent(ecs)) == ((B,), (A,), [(B,)])


def test_a_sent_address_that_is_gone_when_the_plan_is_renewed_is_done(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[lost_reply()])
    ecs.lag = 1
    ecs.delays = [lambda: None, lambda: clock.sleep(61)]
    eni = run_one(ecs, "absent", A)
    assert (done(eni), eni.verified, len(ecs.writes), len(ecs.reads)) == ((A,), True, 1, 3)


@pytest.mark.parametrize("carried_out", [False, True])
def test_a_call_that_was_refused_before_its_plan_aged_is_read_back_and_sent_again(clock, carried_out):
    def refuse_and_age(fake, call):
        if carried_out:
            fake.carry_out(call)
        clock.sleep(61)
        raise PlanAged(refused("Operation.Conflict"))

    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[refuse_and_age])
    eni = run_one(ecs, "absent", A)
    assert (done(eni), eni.failures(), sent(ecs)) == ((A,), [], [(A,)] * (1 if carried_out else 2))


def test_a_refused_call_whose_plan_always_ages_fails_with_that_refusal(clock):
    def refuse_and_age(_fake, _call):
        clock.sleep(61)
        raise PlanAged(refused("Operation.Conflict"))

    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[refuse_and_age] * 50)
    eni = run_one(ecs, "absent", A)
    assert (failures(eni), may_have_changed(eni)) == ({A: "Operation.Conflict"}, False)
    assert len(ecs.writes) < 10


def test_a_change_that_a_renewal_shows_is_done_without_another_read(clock):
    """There are two calls. The plan ages after the first one. After the second one, the service no longer lists the ENI."""
    ecs = FakeEcs(
        clock, eni_record("eni-1", MANY[:33]), script=[answer(refused("ServiceTimeout", status=504)), lambda fake, _call: fake.enis.clear()]
    )
    ecs.delays = [lambda: clock.sleep(50)]
    eni = run_one(ecs, "absent", *MANY[:33])
    assert (done(eni), failures(eni)) == (MANY[:32], {MANY[32]: ENI_NOT_RETURNED})


@pytest.mark.parametrize("skip", [False, True])
def test_before_the_next_call_the_guards_check_what_the_read_back_shows(clock, skip):
    """The reply to the first call is lost. Then another service manages the ENI, so a second call is not sent."""

    def lose(fake, _call):
        fake.enis["eni-1"]["ServiceManaged"] = True
        raise refused("ServiceTimeout", status=504)

    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[lose])
    eni = run_one(ecs, "absent", A, skip_refused=skip)
    assert (failures(eni), may_have_changed(eni), sent(ecs)) == ({A: NOT_VERIFIED}, True, [(A,)])


def test_a_refused_address_that_is_gone_in_a_later_read_is_done(clock):
    """A is refused, and the first read shows A. A later read, which waits for another call, no longer shows A."""
    ecs = FakeEcs(clock, eni_record("eni-1", [A], prefixes=[PREFIX]), script=[refused("Forbidden.RAM")])
    ecs.lag = 1

    def lose_a(rows):
        ecs.lag = 0
        ecs.take_away("eni-1", A)
        return rows

    ecs.read_faults = [None, lose_a]
    eni = run_one(ecs, "absent", A, PREFIX)
    assert (done(eni), eni.failures(), len(ecs.reads)) == ((A, PREFIX), [], 3)


@pytest.mark.parametrize("ignore_missing", [False, True])
def test_an_eni_that_is_no_longer_listed_fails_in_time_with_any_missing(clock, ignore_missing):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    aged(ecs, lambda _record: ecs.enis.clear())
    before = clock.monotonic()
    eni = run_one(ecs, "absent", A, ignore_missing=ignore_missing)
    assert (failures(eni), may_have_changed(eni), ecs.writes) == ({A: ENI_NOT_RETURNED}, False, [])
    assert 60 <= clock.monotonic() - before - 61 < 70


@pytest.mark.parametrize("fault", [drop_rows, spoil_rows])
def test_if_a_renewal_lacks_an_eni_the_eni_is_read_again(clock, fault):
    ecs = aged(FakeEcs(clock, eni_record("eni-1", [A])))
    ecs.read_faults = [None, *[fault("eni-1")] * 4]
    eni = run_one(ecs, "absent", A)
    assert (done(eni), eni.failures(), len(ecs.writes)) == ((A,), [], 1)


def test_a_plan_that_ages_again_and_again_is_given_up(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    ecs.delays = [lambda: clock.sleep(61)] * 50
    eni = run_one(ecs, "absent", A)
    assert (failures(eni), may_have_changed(eni), ecs.writes) == ({A: PLAN_AGED}, False, [])


def test_a_run_ends_although_each_read_takes_longer_than_a_plan_lives(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    answer_reads = ecs.network_interfaces

    def slow(*arguments, **filters):
        rows = answer_reads(*arguments, **filters)
        clock.sleep(50)
        return rows

    ecs.network_interfaces = slow
    eni = run_one(ecs, "absent", A)
    assert (failures(eni), ecs.writes) == ({A: PLAN_AGED}, [])
    assert len(ecs.reads) < 10


def test_after_a_failed_renewal_its_enis_fail(clock):
    ecs = aged(FakeEcs(clock, eni_record("eni-1", [A])))
    ecs.read_faults = [None, refused("Forbidden.RAM", "no")]
    eni = run_one(ecs, "absent", A)
    assert (failures(eni), may_have_changed(eni), ecs.writes) == ({A: "Forbidden.RAM"}, False, [])


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_long_queue_is_renewed_in_batches_of_a_hundred(clock, concurrency):
    """All writes together take longer than a plan lives. With eight writers each delay is shorter: while one call waits, the delays of
    the other writers also move the clock of the test."""
    ecs, targets = fleet(clock, 300)
    ecs.delays = [lambda: clock.sleep(1 if concurrency == 1 else 0.25)] * 300
    ledger = run(ecs, make_request("absent", *targets, wait=False), concurrency=concurrency)
    assert all(len(done(eni)) == 1 for eni in ledger)
    assert Counter(call.eni_id for call in ecs.writes) == Counter(wanted.eni_id for wanted in targets)
    renewals = [len(ids) for ids in ecs.reads[3:]]
    assert max(renewals) <= 100
    assert len(renewals) <= 14


def test_an_eni_in_a_transitional_state_waits_alone(clock):
    def happens():
        clock.sleep(50)
        ecs.enis[targets[1].eni_id]["Status"] = "Attaching"

    ecs, targets = fleet(clock, 3)
    ecs.delays = [happens]
    ledger = run(ecs, make_request("absent", *targets, wait_timeout=60), concurrency=1)
    assert [list(failures(eni).values()) for eni in ledger] == [[], [REFUSED], []]
    assert [call.eni_id for call in ecs.writes] == ["eni-0", "eni-2"]
    assert clock.monotonic() < 1000 + 50 + 60 + 10


@pytest.mark.parametrize("why", ["denied", "deleted"])
def test_a_failed_renewal_is_not_tried_again_for_each_eni(clock, why):
    ecs, targets = fleet(clock, 300)

    def happens():
        clock.sleep(50)
        if why == "denied":
            ecs.read_faults = [refused("Forbidden.RAM")] * 300
        else:
            ecs.enis.clear()

    ecs.delays = [happens]
    ledger = run(ecs, make_request("absent", *targets, wait=False), concurrency=1)
    assert all(eni.failures() for eni in ledger[1:])
    # A read takes up to a hundred ENIs, and fewer at the end. A read that lacks an ENI is repeated once.
    assert len(ecs.reads) <= 3 + (14 if why == "denied" else 28)


# A state that has changed since the plan was made


@pytest.mark.parametrize("code", ["InvalidOperation.InvalidEniState", "InvalidOperation.InvalidEcsState"])
def test_a_state_that_changed_meanwhile_is_read_and_waited_for(clock, code):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))

    def detach(ecs, call):
        ecs.enis["eni-1"]["Status"] = "Detaching"
        raise refused(code, status=400)

    answer_reads = ecs.network_interfaces

    def end_later(*arguments, **filters):
        if len(ecs.reads) == 4:
            ecs.enis["eni-1"]["Status"] = "Available"
        return answer_reads(*arguments, **filters)

    ecs.script, ecs.network_interfaces = [detach], end_later
    eni = run_one(ecs, "absent", A)
    assert (done(eni), eni.failures(), len(ecs.writes)) == ((A,), [], 2)


@pytest.mark.parametrize("options", [{"wait": False}, {"wait_timeout": 30}], ids=str)
def test_a_state_that_the_service_refuses_again_and_again_fails_in_time(clock, options):
    """The reads never show the state that the service refuses."""
    code = "InvalidOperation.InvalidEcsState"
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[refused(code, status=400)] * 1000)
    before = clock.monotonic()
    eni = run_one(ecs, "absent", A, **options)
    assert (failures(eni), may_have_changed(eni), eni.verified) == ({A: code}, False, True)
    assert (len(ecs.writes) == 1) == ("wait" in options)
    assert clock.monotonic() - before < 40


# Reading back


@pytest.mark.parametrize("state", ["absent", "present"])
def test_a_change_that_shows_late_is_waited_for(clock, state):
    ecs = FakeEcs(clock, eni_record("eni-1", [A] if state == "absent" else []))
    ecs.lag = 4
    eni = run_one(ecs, state, A)
    assert (done(eni), eni.verified, len(ecs.reads)) == ((A,), True, 6)


@pytest.mark.parametrize("eni_id", [None, "", ["eni-1"]])
def test_a_record_without_an_id_proves_nothing(clock, eni_id):
    def spoil(ecs, call):
        ecs.carry_out(call)
        ecs.enis["eni-1"]["NetworkInterfaceId"] = eni_id

    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[spoil])
    eni = run_one(ecs, "absent", A)
    assert (failures(eni), may_have_changed(eni), eni.verified) == ({A: NOT_VERIFIED}, True, False)


@pytest.mark.parametrize("state", ["absent", "present"])
def test_a_change_that_does_not_show_in_time_is_not_verified_and_a_change(clock, state):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, C] if state == "absent" else []))
    ecs.lag = 1000
    before = clock.monotonic()
    eni = run_one(ecs, state, A, wait_timeout=30)
    assert (failures(eni), done(eni), eni.having(IN_FLIGHT), may_have_changed(eni), eni.verified) == (
        {A: NOT_VERIFIED},
        (),
        (A,),
        True,
        False,
    )
    assert texts(eni) == [f"accepted, but it is {'still' if state == 'absent' else 'not'} assigned after 30 s"]
    assert 30 <= clock.monotonic() - before < 36


def test_only_a_change_that_no_read_shows_is_not_verified(clock):
    def only_a(ecs, call):
        ecs.take_away("eni-1", A)

    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[only_a])
    eni = run_one(ecs, "absent", A, B)
    assert (done(eni), failures(eni)) == ((A,), {B: NOT_VERIFIED})


def test_the_time_starts_again_with_the_last_write(clock):
    """A second call that is sent late still has the whole wait_timeout for its effect to show."""
    ecs = FakeEcs(clock, eni_record("eni-1", MANY))
    ecs.delays = [lambda: None, lambda: clock.sleep(40)]
    ecs.lag = 5
    eni = run_one(ecs, "absent", *MANY, wait_timeout=30)
    assert (len(done(eni)), eni.verified) == (40, True)


def test_time_held_back_by_throttling_does_not_count(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    ecs.lag = 3
    answer_reads = ecs.network_interfaces

    def throttled(**asked):
        if ecs.writes:
            clock.sleep(50)
            ecs.held += 50
        return answer_reads(**asked)

    ecs.network_interfaces = throttled
    eni = run_one(ecs, "absent", A, wait_timeout=60)
    assert (done(eni), eni.verified) == ((A,), True)


def test_without_waiting_nothing_is_read_back_and_nothing_is_verified(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]))
    ecs.lag = 1000
    eni = run_one(ecs, "absent", A, wait=False)
    assert (done(eni), may_have_changed(eni), eni.verified, len(ecs.reads)) == ((A,), True, False, 1)
    assert flatten(eni.latest.held) == (B,)


def test_if_the_read_back_fails_an_accepted_write_is_not_verified(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    ecs.read_faults = [None, refused("Forbidden.RAM", "no")]
    eni = run_one(ecs, "absent", A)
    assert (failures(eni), eni.having(IN_FLIGHT), may_have_changed(eni), eni.verified) == ({A: NOT_VERIFIED}, (A,), True, False)
    assert "Forbidden.RAM" in texts(eni)[0]


# Check mode predicts what a run does


def both_ways(world, request):
    """The results of check mode and of a run, for the same records."""
    results = []
    for check_mode in (True, False):
        clock = Clock()
        with pytest.MonkeyPatch.context() as patch:
            clock.install(patch)
            ecs = FakeEcs(clock, *world[0], instances=world[1])
            plan = review(ecs, request, request.targets, wait_for_states=not check_mode)
            if refusals := find_refusals(plan, request):
                results.append(refusals)
                continue
            ledger = predict(plan, request) if check_mode else open_ledger(plan)
            if not check_mode:
                carry_out(ecs, request, ledger)
                check(ecs, plan, request, ledger)
            results.append(build_result(request.state, ledger, 0))
    return results


@given(worlds(), requests(), st.booleans())
def test_check_mode_predicts_exactly_what_a_run_does(world, request, wait):
    predicted, happened = both_ways(world, replace(request, wait=wait))
    assert predicted == happened


# Any faults


def make_write_fault(kind):
    """A fault of a write that is possible with the service and the network. A refusal because of an address does not change the address."""
    reply, _comma, effect = kind.partition(", ")

    def step(ecs, call):
        first, rest = replace(call, addresses=call.addresses[:1]), replace(call, addresses=call.addresses[1:])
        if effect == "all done":
            ecs.carry_out(call)
        elif effect == "some done":
            ecs.carry_out(first)
        if reply == "someone":
            if call.verb == "unassign":
                ecs.by_someone.update(first.addresses)
                ecs.take_away(call.eni_id, *first.addresses)
            if effect == "rest done":
                ecs.carry_out(rest)
            named = "" if effect == "no name" else first.addresses[0]
            raise refused(UNASSIGNED if call.verb == "unassign" else ASSIGNED, f"The IP \u201c{named}\u201d")
        if reply in OPEN:
            raise OPEN[reply]
        if reply == "unsent":
            raise EcsError(call.verb, "Anything", "not sent", unsent=True)
        if reply != "accepted":
            raise refused(reply)

    return step


WRITE_FAULTS = [
    *(f"{reply}, {effect}" for reply in OPEN for effect in ("all done", "some done", "none done")),
    "accepted, some done",
    "accepted, none done",
    "someone",
    "someone, rest done",
    "someone, no name",
    "InvalidOperation.InvalidEniType",
    "InvalidOperation.InvalidEniState",
    "Throttling.User",
    "IdempotentParameterMismatch, none done",
]
scripts = st.lists(st.one_of(st.none(), st.sampled_from(WRITE_FAULTS).map(make_write_fault)), min_size=1, max_size=6)
delays = st.lists(st.sampled_from([0, 0, 30, 61]), max_size=4)
read_faults = st.lists(
    st.one_of(
        st.none(),
        st.none(),
        st.builds(lambda fault, number: fault(f"eni-{number}"), st.sampled_from([drop_rows, spoil_rows, strip_rows]), st.integers(0, 2)),
        st.just(refused("Forbidden.RAM")),
        st.just(EcsError("DescribeNetworkInterfaces", CONNECTION_FAILED, "reset")),
    ),
    max_size=6,
)


@settings(max_examples=300)
@given(worlds(calm=True), requests(calm=True), scripts, st.integers(0, 3), delays, read_faults, st.booleans())
def test_with_any_fault_the_ledger_is_complete_and_hides_no_change(world, request, script, lag, waits, faults, wait):
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        clock.install(patch)
        ecs = FakeEcs(clock, *world[0], instances=world[1], script=script)
        ecs.by_someone = set()
        request = replace(request, skip_refused=True, ignore_missing=True, wait=wait)
        plan = review(ecs, request, request.targets, wait_for_states=False)
        if find_refusals(plan, request):
            return
        ecs.lag, ecs.read_faults = lag, list(faults)
        ecs.delays = [lambda seconds=seconds: clock.sleep(seconds) for seconds in waits]
        before = {eni_id: ecs.held_by(eni_id) for eni_id in ecs.enis}
        ledger = open_ledger(plan)
        carry_out(ecs, request, ledger)
        check(ecs, plan, request, ledger)
        for eni in ledger:
            if eni.change.interface is None:
                continue
            now = ecs.held_by(eni.eni_id)
            assert before[eni.eni_id] ^ now <= set(flatten(eni.change.todo))
            ours = (before[eni.eni_id] ^ now) - ecs.by_someone
            assert ours <= set(eni.having(DONE, IN_FLIGHT))
            assert may_have_changed(eni) == bool(eni.having(DONE, IN_FLIGHT))
