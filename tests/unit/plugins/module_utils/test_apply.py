# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.alicloud_ops.network.plugins.module_utils import _apply
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import count, flatten
from ansible_collections.alicloud_ops.network.plugins.module_utils._apply import ENI_GONE, NOT_VERIFIED, PLAN_AGED, REFUSED, apply, foresee
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import CONNECTION_FAILED, EcsError
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import objections
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import build_result
from ansible_collections.alicloud_ops.network.plugins.module_utils._review import review
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import (
    Call,
    Clock,
    FakeEcs,
    eni_record,
    lost_reply,
    refused,
    request,
    target,
    wishes,
    worlds,
)

A, B, C = "192.168.0.10", "192.168.0.11", "192.168.0.12"
PREFIX = "192.168.0.16/28"


def run(ecs, wish, concurrency=4):
    """Review, apply, and what must be so after every run, whatever happened."""
    plan = review(ecs, wish, wish.targets, patient=False)
    assert objections(plan, wish) == []
    ecs.writers = concurrency
    outcomes = apply(ecs, plan, wish)
    check(ecs, plan, wish, outcomes)
    return outcomes


def check(ecs, plan, wish, outcomes):
    assert [outcome.change for outcome in outcomes] == list(plan.changes)
    for outcome in outcomes:
        change = outcome.change
        todo = set(flatten(change.todo))
        sent = {address for call in ecs.writes if call.eni_id == change.eni_id for address in call.addresses}
        assert {make_canonical(change, address) for address in sent} <= todo
        named = Counter([*flatten(change.todo), *flatten(change.settled), *(note.address for note in (*change.skipped, *change.refused))])
        assert ledger(outcome) == named, "every address is in exactly one place"
        assert count(outcome.todo) == 0
        assert set(done(outcome)) <= todo
        if wish.wait and done(outcome) and change.eni_id in ecs.enis:
            now = ecs.held_by(change.eni_id)
            assert set(done(outcome)).isdisjoint(now) if wish.state == "absent" else set(done(outcome)) <= now
    assert ecs.most_at_once_on_one_eni <= 1


def make_canonical(change, address):
    return next((canonical for canonical, written in change.interface.spelled.items() if written == address), address)


def ledger(outcome):
    """How often each address is in the ledger."""
    failed = [address for failure in outcome.failed for address in failure.addresses]
    return Counter([*done(outcome), *flatten(outcome.settled), *(note.address for note in outcome.skipped), *failed])


def done(outcome):
    return flatten(outcome.done)


def failures(outcome):
    return {address: failure.code for failure in outcome.failed for address in failure.addresses}


def run_one(ecs, state, *addresses, **options):
    (outcome,) = run(ecs, request(state, target("eni-1", *addresses), **options))
    return outcome


def sent(ecs):
    return [call.addresses for call in ecs.writes]


# The plain way


def test_one_write_and_one_look(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B, C]))
    outcome = run_one(ecs, "absent", A, B)
    assert (done(outcome), outcome.wrote, outcome.verified, outcome.failed) == ((A, B), True, True, [])
    assert sent(ecs) == [(A, B)]
    assert ecs.reads == [("eni-1",), ("eni-1",)]
    assert ecs.held_by("eni-1") == {C}
    assert flatten(outcome.latest.held) == (C,)


def test_assigning_goes_the_same_way(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    outcome = run_one(ecs, "present", A, B)
    assert (done(outcome), flatten(outcome.settled), outcome.verified) == ((B,), (A,), True)
    assert ecs.held_by("eni-1") == {A, B}


def test_with_nothing_to_do_nothing_is_sent(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    outcome = run_one(ecs, "absent", B)
    assert (outcome.wrote, outcome.verified, ecs.writes, len(ecs.reads)) == (False, True, [], 1)


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
    outcome = run_one(ecs, state, *everything)
    assert set(done(outcome)) == set(everything)
    assert sorted(len(addresses) for addresses in sent(ecs)) == sorted([32, 32, 6, 10, 2, 2, 10, 2, 10, 1])
    for call in ecs.writes:
        assert {address.partition("/")[2] for address in call.addresses} in ({""}, {"28"}, {"27"}, {"80"})
        assert len({(":" in address, "/" in address) for address in call.addresses}) == 1
        assert len(call.addresses) <= {"private_ip_addresses": 32}.get(call.kind, 10)
    assert sum(map(len, sent(ecs))) == len(everything)


def test_an_address_is_written_as_the_service_spells_it(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", ipv6=["2001:DB8:0:0::10"]))
    outcome = run_one(ecs, "absent", "2001:db8::10")
    assert sent(ecs) == [("2001:DB8:0:0::10",)]
    assert done(outcome) == ("2001:db8::10",)


def fleet(clock, number, addresses=1, **more):
    """So many ENIs with so many addresses each, and the targets that name them all."""
    names = [f"eni-{index}" for index in range(number)]
    held = {name: [f"10.{index // 250}.{index % 250}.{last}" for last in range(10, 10 + addresses)] for index, name in enumerate(names)}
    records = [eni_record(name, held[name], primary=f"10.{index // 250}.{index % 250}.1") for index, name in enumerate(names)]
    return FakeEcs(clock, *records, **more), [target(name, *held[name]) for name in names]


def test_many_enis_are_read_and_read_back_by_the_hundred_and_written_one_call_at_a_time(clock):
    ecs, targets = fleet(clock, 250, addresses=40)
    outcomes = run(ecs, request("absent", *targets), concurrency=8)
    assert all(outcome.verified and count(outcome.done) == 40 for outcome in outcomes)
    assert len(ecs.writes) == 500
    assert [len(ids) for ids in ecs.reads[:3]] == [100, 100, 50]
    assert sorted(len(ids) for ids in ecs.reads[3:]) == [50, 100, 100]


# What fails for good


def test_a_refused_call_fails_its_addresses_and_the_others_go_on(clock):
    addresses = [f"192.168.1.{last}" for last in range(1, 41)]
    ecs = FakeEcs(clock, eni_record("eni-1", addresses), script=[refused("InvalidOperation.InvalidEniType", "no")])
    outcome = run_one(ecs, "absent", *addresses)
    assert set(failures(outcome).values()) == {"InvalidOperation.InvalidEniType"}
    assert len(failures(outcome)) == 32
    assert (count(outcome.done), outcome.failed[0].request_id, outcome.failed[0].message) == (8, "R-1", "no")
    assert len(ecs.writes) == 2


def test_one_refused_call_is_no_change(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[refused("Forbidden.RAM")])
    outcome = run_one(ecs, "absent", A, B)
    assert (outcome.wrote, outcome.verified) == (False, True)
    assert len(ecs.reads) == 2  # the API does not say that a batch is atomic, so a refused one is looked at


def test_a_refused_call_for_one_address_needs_no_second_look(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[refused("Forbidden.RAM")])
    assert run_one(ecs, "absent", A).wrote is False
    assert len(ecs.reads) == 1


def test_what_happened_of_a_refused_batch_all_the_same_is_a_change(clock):
    def step(ecs, call):
        ecs.carry_out(Call("unassign", "eni-1", call.kind, call.addresses[:1]))
        raise refused("InvalidOperation.EniServiceManaged")

    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[step])
    outcome = run_one(ecs, "absent", A, B)
    assert outcome.wrote
    assert flatten(outcome.latest.held) == (B,)


def test_an_eni_that_is_deleted_before_its_write_has_failed(clock):
    ecs, targets = fleet(clock, 3)
    ecs.script = [refused(ENI_GONE)]
    outcomes = run(ecs, request("absent", *targets), concurrency=1)
    assert [list(failures(outcome).values()) for outcome in outcomes] == [[ENI_GONE], [], []]


def test_an_eni_that_is_deleted_after_its_write_has_failed(clock):
    def delete(ecs, call):
        ecs.carry_out(call)
        del ecs.enis[call.eni_id]

    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[delete])
    outcome = run_one(ecs, "absent", A)
    assert (failures(outcome), outcome.wrote, outcome.latest) == ({A: ENI_GONE}, True, None)


def test_a_defect_in_one_writer_costs_only_its_own_eni_and_tells_no_secret(clock):
    ecs, targets = fleet(clock, 5)
    ecs.script = [None, ValueError("hunter2")]
    outcomes = run(ecs, request("absent", *targets), concurrency=1)
    assert [len(outcome.failed) for outcome in outcomes] == [0, 1, 0, 0, 0]
    assert "ValueError" in outcomes[1].failed[0].message
    assert "hunter2" not in str(outcomes[1].failed)


def test_a_defect_in_a_writer_after_it_has_written_is_still_read_back(clock):
    addresses = [f"192.168.1.{last}" for last in range(1, 41)]
    ecs = FakeEcs(clock, eni_record("eni-1", addresses), script=[None, ValueError()])
    outcome = run_one(ecs, "absent", *addresses)
    # Whether the second call was carried out is not known.
    assert (count(outcome.done), len(failures(outcome)), outcome.verified, outcome.wrote) == (32, 8, False, True)


def test_a_defect_in_reading_back_does_not_lose_the_ledger(clock):
    ecs, targets = fleet(clock, 3)
    ecs.read_failures = [None, ValueError("hunter2")]
    outcomes = run(ecs, request("absent", *targets))
    assert all(outcome.wrote and not outcome.verified and outcome.failed for outcome in outcomes)
    assert "hunter2" not in str([outcome.failed for outcome in outcomes])


class Ended(BaseException):
    """What is no Exception, as some extension modules and asyncio raise."""


def test_a_writer_that_ends_loses_nothing_of_the_ledger(clock):
    def end(ecs, call):
        raise Ended

    ecs, targets = fleet(clock, 5)
    ecs.script = [None, end]
    outcomes = run(ecs, request("absent", *targets), concurrency=1)
    assert [outcome.verified and not outcome.failed for outcome in outcomes] == [True, False, False, False, False]
    assert {code for outcome in outcomes for code in failures(outcome).values()} == {"Unexpected"}
    assert [outcome.wrote for outcome in outcomes] == [True, True, False, False, False]  # the second one may have been carried out
    told = [outcome.failed[0].message for outcome in outcomes[1:]]
    assert ["what became of it is not known" in message for message in told] == [True, False, False, False]
    assert ["not tried" in message for message in told] == [False, True, True, True]


def test_what_was_written_before_a_writer_ended_is_read_back(clock, monkeypatch):
    def fail_the_first_time(*arguments):
        if next(answers):
            raise MemoryError
        return really_fail(*arguments)

    addresses = [f"192.168.1.{last}" for last in range(1, 41)]
    ecs = FakeEcs(clock, eni_record("eni-1", addresses), script=[None, ValueError()])
    really_fail = _apply.Outcome.fail
    answers = itertools.chain([True], itertools.repeat(False))
    monkeypatch.setattr(_apply.Outcome, "fail", fail_the_first_time)
    outcome = run_one(ecs, "absent", *addresses)
    assert (count(outcome.done), len(failures(outcome)), ecs.reads) == (32, 8, [("eni-1",), ("eni-1",)])


class SlowToGoOn:
    """A lock after which the thread of the test goes on last."""

    def __init__(self):
        self._lock = threading.Lock()

    def __enter__(self):
        self._lock.acquire()

    def __exit__(self, *_error):
        self._lock.release()
        if threading.current_thread() is threading.main_thread():
            time.sleep(0.1)


@pytest.mark.parametrize("started", [0, 1, 2])
def test_a_machine_that_can_start_no_more_threads_is_told_before_the_first_write(clock, monkeypatch, started):
    really_start = threading.Thread.start
    answers = iter([really_start] * started)

    def start(thread):
        if (answer := next(answers, None)) is None:
            time.sleep(0.1)  # those that were started would go on by now
            raise RuntimeError("can't start new thread")
        answer(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(_apply, "threading", SimpleNamespace(Lock=SlowToGoOn))
    ecs, targets = fleet(clock, 3)
    outcomes = run(ecs, request("absent", *targets))
    assert ecs.writes == []
    assert {code for outcome in outcomes for code in failures(outcome).values()} == {"NoThreads"}


def test_interrupted_while_the_writers_start_nothing_is_written(clock, monkeypatch):
    really_submit = _apply.ThreadPoolExecutor.submit
    answers = iter([really_submit, really_submit])

    def submit(pool, task):
        if (answer := next(answers, None)) is None:
            time.sleep(0.1)
            raise KeyboardInterrupt
        return answer(pool, task)

    monkeypatch.setattr(_apply.ThreadPoolExecutor, "submit", submit)
    monkeypatch.setattr(_apply, "threading", SimpleNamespace(Lock=SlowToGoOn))
    ecs, targets = fleet(clock, 3)
    with pytest.raises(KeyboardInterrupt):
        run(ecs, request("absent", *targets))
    assert ecs.writes == []


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("concurrency", [1, 2])
def test_interrupted_later_nothing_more_is_written(clock, monkeypatch, concurrency, interruption):
    """Neither another ENI, nor one whose call waits for its turn."""

    def interrupt(*_arguments):
        raise interruption

    monkeypatch.setattr(_apply._Run, "_wants_look", interrupt)
    ecs, targets = fleet(clock, 300)
    # After the first call no other one's turn comes before the interruption has come through.
    ecs.delays = [lambda: None, *[lambda: ecs.stopped.wait(20)] * 300]
    with pytest.raises(interruption):
        run(ecs, request("absent", *targets), concurrency=concurrency)
    assert len(ecs.writes) == 1


def test_a_defect_of_the_reader_that_is_no_exception_does_not_lose_the_ledger(clock, monkeypatch):
    def end(*_arguments):
        raise Ended

    monkeypatch.setattr(_apply._Run, "_wants_look", end)
    ecs, targets = fleet(clock, 3)
    outcomes = run(ecs, request("absent", *targets), concurrency=1)
    assert {outcome.eni_id for outcome in outcomes if outcome.wrote} == {call.eni_id for call in ecs.writes} != set()
    assert all(outcome.failed for outcome in outcomes)


def test_a_defect_of_the_reader_is_no_failure_of_what_need_not_be_read_back(clock, monkeypatch):
    def fail(*_arguments):
        raise ValueError

    monkeypatch.setattr(_apply.Outcome, "expect", fail)
    ecs, targets = fleet(clock, 1)
    outcomes = run(ecs, request("absent", *targets, wait=False), concurrency=1)
    assert [(count(outcome.done), outcome.failed) for outcome in outcomes] == [(1, [])]


def test_after_the_end_of_all_an_eni_with_several_calls_is_not_gone_on_with(clock):
    addresses = [f"192.168.1.{last}" for last in range(1, 41)]
    ecs = FakeEcs(clock, eni_record("eni-1", addresses), script=[refused("InvalidAccessKeyId.Inactive")])
    ecs.ending = {"InvalidAccessKeyId.Inactive"}
    outcome = run_one(ecs, "absent", *addresses)
    assert (len(ecs.writes), len(failures(outcome)), outcome.wrote) == (1, 40, False)


def test_a_defect_in_reading_again_does_not_lose_the_ledger(clock):
    ecs, targets = fleet(clock, 3)
    ecs.delays = [lambda: clock.sleep(50)]  # so that those behind it are read again before their turn
    ecs.read_failures = [None, ValueError()]
    outcomes = run(ecs, request("absent", *targets), concurrency=1)
    # What was written before is read back all the same.
    assert (outcomes[0].wrote, outcomes[0].verified, outcomes[0].failed) == (True, True, [])
    assert all(outcome.failed and not outcome.wrote and not count(outcome.done) for outcome in outcomes[1:])


def test_when_no_call_is_worth_trying_the_rest_is_failed_at_once(clock):
    """Such as a key that was taken away: what is left must cost neither a call nor a minute."""
    ecs, targets = fleet(clock, 300)
    ecs.ending = {"InvalidAccessKeyId.Inactive"}
    ecs.script = [refused("InvalidAccessKeyId.Inactive")]
    ecs.delays = [lambda: clock.sleep(50)]
    outcomes = run(ecs, request("absent", *targets), concurrency=1)
    assert all(list(failures(outcome).values()) == ["InvalidAccessKeyId.Inactive"] for outcome in outcomes)
    assert {failed.request_id for outcome in outcomes for failed in outcome.failed} == {"R-1"}
    assert len(ecs.writes) == 1
    assert len(ecs.reads) <= 4  # the three of the plan, and one that may have been under way


# InvalidIp.IpUnassigned: rule 4


def unassigned(*names):
    return refused("InvalidIp.IpUnassigned", f"The specified IP \u201c{','.join(names)}\u201d is not assigned on this ENI.")


def taken_by_somebody(*addresses, names=(), partly=False):
    """Somebody else was faster with these; the service refuses the call, and may have carried out the rest of it."""

    def step(ecs, call):
        ecs.take_away(call.eni_id, *addresses)
        if partly:
            ecs.carry_out(call)
        raise unassigned(*names)

    return step


@pytest.mark.parametrize("partly", [False, True])
def test_what_somebody_else_took_is_absent_and_the_rest_goes_on(clock, partly):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B, C]), script=[taken_by_somebody(A, names=[A], partly=partly)])
    outcome = run_one(ecs, "absent", A, B, C)
    assert (done(outcome), flatten(outcome.settled), outcome.failed) == ((B, C), (A,), [])
    assert sent(ecs) == [(A, B, C)] + [(B, C)] * (not partly)


def test_a_prefix_that_somebody_else_took_is_absent(clock):
    prefixes = [PREFIX, "192.168.0.32/28"]
    ecs = FakeEcs(clock, eni_record("eni-1", prefixes=prefixes), script=[taken_by_somebody(PREFIX, names=[PREFIX])])
    outcome = run_one(ecs, "absent", *prefixes)
    assert (done(outcome), flatten(outcome.settled)) == (("192.168.0.32/28",), (PREFIX,))


def test_an_address_is_recognised_in_the_spelling_of_the_service(clock):
    theirs, ours = "2001:DB8:0:0::10", "2001:db8::10"
    ecs = FakeEcs(clock, eni_record("eni-1", ipv6=[theirs, "2001:db8::11"]))

    def step(ecs, call):
        ecs.enis["eni-1"]["Ipv6Sets"]["Ipv6Set"].pop(0)
        raise unassigned(theirs)

    ecs.script = [step]
    outcome = run_one(ecs, "absent", ours, "2001:db8::11")
    assert (done(outcome), flatten(outcome.settled)) == (("2001:db8::11",), (ours,))


def test_without_a_name_in_the_refusal_nothing_is_lost_from_what_can_be_restored(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B, C]), script=[taken_by_somebody(A, partly=True)])
    outcome = run_one(ecs, "absent", A, B, C)
    assert {B, C} <= set(done(outcome))
    assert outcome.failed == []
    assert sent(ecs) == [(A, B, C)]


def test_a_single_address_that_somebody_else_took_is_no_change(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[taken_by_somebody(A)])
    outcome = run_one(ecs, "absent", A)
    assert (done(outcome), flatten(outcome.settled), outcome.wrote, outcome.verified) == ((), (A,), False, True)


@pytest.mark.parametrize("addresses", [(A,), (A, B)], ids=["one", "two"])
def test_while_the_address_is_still_seen_the_refusal_is_never_success_and_no_change(clock, addresses):
    """As for a primary address, by a client's comment."""
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[unassigned()] * 1000)
    before = clock.monotonic()
    outcome = run_one(ecs, "absent", *addresses, wait_timeout=30)
    assert failures(outcome) == dict.fromkeys(addresses, "InvalidIp.IpUnassigned")
    assert 30 <= clock.monotonic() - before < 40
    assert not outcome.wrote


def test_a_read_that_lags_behind_the_refusal_is_waited_for(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[taken_by_somebody(A), unassigned(A), unassigned(A)])
    ecs.lag = 2
    outcome = run_one(ecs, "absent", A)
    assert (flatten(outcome.settled), outcome.wrote) == ((A,), False)


@pytest.fixture
def half_done(clock):
    """Of A and B, somebody else took A. The service refuses the call, has carried it out for B, and one read does not show that yet."""
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B, C]), script=[taken_by_somebody(A, names=[A], partly=True)])
    ecs.lag = 1
    ecs.ending = {"InvalidAccessKeyId.Inactive"}
    yield ecs
    assert "eni-1" not in ecs.enis or B not in ecs.held_by("eni-1")


@pytest.mark.parametrize("lag", [1, 2, 5])
def test_what_a_refused_batch_may_have_done_is_looked_for_when_the_next_call_fails_too(half_done, lag):
    half_done.lag = lag
    half_done.script.append(refused("Forbidden.RAM"))
    outcome = run_one(half_done, "absent", A, B)
    assert (failures(outcome), outcome.wrote, outcome.verified) == ({B: "Forbidden.RAM"}, True, True)
    assert flatten(outcome.latest.held) == (C,)


def test_where_it_never_shows_it_was_not_done(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B, C]), script=[taken_by_somebody(A, names=[A]), refused("Forbidden.RAM")])
    before = clock.monotonic()
    outcome = run_one(ecs, "absent", A, B, C, wait_timeout=30)
    assert (failures(outcome), outcome.wrote, outcome.verified) == (dict.fromkeys((B, C), "Forbidden.RAM"), False, True)
    assert 30 <= clock.monotonic() - before < 40


def test_nor_is_it_denied_when_the_eni_is_refused_meanwhile(half_done, clock):
    def refuse():
        half_done.lag = 0
        half_done.enis["eni-1"]["Status"] = "Detaching"
        half_done._stale = [{"eni-1": eni_record("eni-1", [A, B, C], Status="Detaching")}]
        clock.sleep(61)  # so that it is read again

    half_done.delays = [lambda: None, refuse]
    outcome = run_one(half_done, "absent", A, B, wait_timeout=0)
    assert (failures(outcome), outcome.wrote, outcome.verified) == ({B: REFUSED}, True, True)


@pytest.mark.parametrize("code", ["Forbidden.RAM", "InvalidAccessKeyId.Inactive"])
@pytest.mark.parametrize("reads", [1, 2])
def test_nor_when_it_can_not_be_read_again(half_done, reads, code):
    """Neither after the refusal, or the one after that, nor when all is read back."""
    half_done.script.append(unassigned(B))
    half_done.read_failures = [*[None] * reads, *[refused(code)] * 2]
    outcome = run_one(half_done, "absent", A, B)
    assert failures(outcome) == dict.fromkeys((A, B) if reads == 1 else (B,), code)
    assert (outcome.wrote, outcome.verified) == (True, False)


@pytest.mark.parametrize("why", ["read-back fails", "credential ends", "credential ends at the write", "deleted", "wait=false"])
def test_nor_when_it_can_not_be_read_back(half_done, why):
    code = "InvalidAccessKeyId.Inactive" if why == "credential ends at the write" else "Forbidden.RAM"

    def refuse(ecs, _call):
        if why == "deleted":
            del ecs.enis["eni-1"]
        raise refused(code)

    half_done.script.append(refuse)
    fails_with = {
        "read-back fails": "Forbidden.RAM",
        "credential ends": "InvalidAccessKeyId.Inactive",
        "credential ends at the write": code,
    }
    half_done.read_failures = [None, None, refused(fails_with[why]) if why in fails_with else None]
    outcome = run_one(half_done, "absent", A, B, wait=why != "wait=false")
    assert (failures(outcome), outcome.wrote, outcome.verified) == ({B: code}, True, False)


def test_what_shows_when_all_has_been_waited_for_is_a_change(clock):
    """A refusal that names no address, again and again; the last one has done something, which only the read-back shows."""

    def step(ecs, call):
        if clock.monotonic() >= 1030:
            ecs.lag = 1
            ecs.carry_out(Call("unassign", "eni-1", call.kind, (B,)))
        raise unassigned()

    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[step] * 1000)
    outcome = run_one(ecs, "absent", A, B, wait_timeout=30)
    assert B not in ecs.held_by("eni-1")
    assert (outcome.wrote, outcome.verified) == (True, True)


def test_a_second_call_is_waited_for_although_the_first_one_took_all_the_time(clock):
    many = [f"192.168.1.{last}" for last in range(1, 33)]

    def step(ecs, call):
        if call.kind == "ipv6_addresses":
            ecs.lag = 4
            ecs.carry_out(Call("unassign", "eni-1", call.kind, call.addresses[:1]))
        raise unassigned()

    ecs = FakeEcs(clock, eni_record("eni-1", many, ipv6=["2001:db8::1", "2001:db8::2"]), script=[step] * 1000)
    wish = request("absent", target("eni-1", *many, "2001:db8::1", "2001:db8::2"))
    (outcome,) = run(ecs, wish)
    assert "2001:db8::1" not in ecs.held_by("eni-1")
    assert (outcome.wrote, outcome.verified) == (True, True)


def test_what_can_not_be_verified_any_more_is_not_waited_for(clock):
    ecs = FakeEcs(
        clock,
        eni_record("eni-1", [A, B], ipv6=["2001:db8::1"]),
        script=[unassigned(), lost_reply(carried_out=False), refused("Forbidden.RAM")],
    )
    before = clock.monotonic()
    (outcome,) = run(ecs, request("absent", target("eni-1", A, B, "2001:db8::1")))
    assert (failures(outcome), outcome.wrote, outcome.verified) == (dict.fromkeys((A, B), "Forbidden.RAM"), True, False)
    assert clock.monotonic() - before < 30


def test_what_was_surely_not_carried_out_is_not_read_again(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[refused("Operation.Conflict")])
    outcome = run_one(ecs, "absent", A, B)
    assert (failures(outcome), outcome.wrote, outcome.verified) == (dict.fromkeys((A, B), "Operation.Conflict"), False, True)
    assert len(ecs.reads) == 1


@pytest.mark.parametrize("first", [True, False])
def test_nor_when_the_eni_is_deleted_meanwhile(half_done, first):
    def delete(ecs, call):
        ecs.carry_out(call)
        ecs.lag, ecs._stale = 0, []
        del ecs.enis["eni-1"]
        raise unassigned(A if first else B)

    half_done.script = [delete] if first else [*half_done.script, delete]
    outcome = run_one(half_done, "absent", A, B)
    assert failures(outcome) == dict.fromkeys((A, B) if first else (B,), ENI_GONE)
    assert (outcome.wrote, outcome.verified) == (True, False)


def test_nor_when_another_eni_meets_the_end_of_all(half_done, monkeypatch):
    seen, ended = threading.Event(), threading.Event()
    half_begun = half_done.script.pop()

    def step(ecs, call):
        if call.eni_id == "eni-1":
            return half_begun(ecs, call)
        assert seen.wait(20)
        raise refused("InvalidAccessKeyId.Inactive")

    def look_again(*arguments, **options):
        plan = review(*arguments, **options)
        seen.set()
        assert ended.wait(20)
        return plan

    def fail(outcome, *what, told=_apply.Outcome.fail):
        told(outcome, *what)
        if outcome.eni_id == "eni-2":
            ended.set()

    monkeypatch.setattr(_apply, "review", look_again)
    monkeypatch.setattr(_apply.Outcome, "fail", fail)
    half_done.enis["eni-2"] = eni_record("eni-2", ["192.168.0.20"], primary="192.168.0.2")
    half_done.script = [step, step]
    outcome, _other = run(half_done, request("absent", target("eni-1", A, B), target("eni-2", "192.168.0.20")), concurrency=2)
    assert (failures(outcome), outcome.wrote, outcome.verified) == ({B: "InvalidAccessKeyId.Inactive"}, True, False)
    assert "what became of it is not known" in outcome.failed[0].message


# A reply that was lost: rule 13


@pytest.mark.parametrize("carried_out", [True, False])
@pytest.mark.parametrize("state", ["absent", "present"])
def test_after_a_lost_reply_only_what_remains_is_sent(clock, state, carried_out):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B] if state == "absent" else []), script=[lost_reply(carried_out)])
    outcome = run_one(ecs, state, A, B)
    assert (done(outcome), outcome.wrote, outcome.verified, outcome.failed) == ((A, B), True, True, [])
    assert len(ecs.writes) == (1 if carried_out else 2)


@pytest.mark.parametrize("options", [{}, {"wait": False, "wait_timeout": 0}])
@pytest.mark.parametrize("state", ["absent", "present"])
def test_a_lost_reply_whose_effect_shows_late_is_ours(clock, state, options):
    code = {"absent": "InvalidIp.IpUnassigned", "present": "InvalidIp.IpAssigned"}[state]
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B] if state == "absent" else []), script=[lost_reply(), refused(code), refused(code)])
    ecs.lag = 2
    outcome = run_one(ecs, state, A, B, **options)
    assert (done(outcome), outcome.wrote, outcome.failed) == ((A, B), True, [])


def test_a_write_that_never_gets_a_reply_fails_in_time_and_may_be_a_change(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[lost_reply(carried_out=False)] * 1000)
    before = clock.monotonic()
    outcome = run_one(ecs, "absent", A)
    assert (failures(outcome), outcome.wrote) == ({A: CONNECTION_FAILED}, True)
    assert ecs.retry_timeout <= clock.monotonic() - before < 2 * ecs.retry_timeout


def test_a_lost_reply_that_can_not_be_cleared_up_is_not_called_verified(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[lost_reply()])
    ecs.read_failures = [None, EcsError("DescribeNetworkInterfaces", CONNECTION_FAILED, "gone")]
    (outcome,) = apply(ecs, *planned(ecs, request("absent", target("eni-1", A))))
    assert outcome.wrote
    assert A in done(outcome) or not outcome.verified


def planned(ecs, wish):
    return review(ecs, wish, wish.targets, patient=False), wish


def test_what_may_have_been_written_is_not_told_as_left_alone(clock):
    """The reply was lost, the view still shows the address, and now the ENI is refused: skipping it would deny the write."""

    def step(ecs, call):
        ecs.enis["eni-1"]["Status"] = "Detaching"
        lost_reply()(ecs, call)

    def lagging(ecs, call):
        ecs.enis["eni-1"]["Status"] = "Detaching"
        raise EcsError("Unassign", CONNECTION_FAILED, "reset")

    for script in ([step], [lagging]):
        ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=script)
        ecs.enis["eni-1"]["Status"] = "InUse"
        ecs.lag = 1
        outcome = run_one(ecs, "absent", A, skip_refused=True)
        assert outcome.wrote
        assert not outcome.skipped


# Assigning


def test_each_call_has_its_own_token_and_a_repeated_call_has_the_same(clock):
    addresses = [f"192.168.1.{last}" for last in range(1, 41)]
    ecs = FakeEcs(clock, eni_record("eni-1"), eni_record("eni-2", primary="192.168.0.2", VSwitchId="vsw-2"))
    ecs.script = [lost_reply(carried_out=False)] * 2
    run(ecs, request("present", target("eni-1", *addresses), target("eni-2", *addresses)), concurrency=2)
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

    def partly(ecs, call):
        rows = ecs.enis["eni-1"]["PrivateIpSets"]["PrivateIpSet"]
        rows.append({"PrivateIpAddress": A, "Primary": False})
        raise EcsError("Assign", CONNECTION_FAILED, "reset")

    ecs = FakeEcs(clock, eni_record("eni-1"), script=[partly])
    outcome = run_one(ecs, "present", A, B)
    assert done(outcome) == (A, B)
    assert sent(ecs) == [(A, B), (B,)]
    assert ecs.writes[0].token != ecs.writes[1].token


def test_an_address_that_somebody_else_gave_to_the_eni_is_present(clock):
    def step(ecs, call):
        ecs.carry_out(call)
        raise refused("InvalidIp.IpAssigned", f"{A} is assigned")

    ecs = FakeEcs(clock, eni_record("eni-1"), script=[step])
    outcome = run_one(ecs, "present", A)
    assert (flatten(outcome.settled), outcome.wrote) == ((A,), False)


@pytest.mark.parametrize("code", ["InvalidIp.IpAssigned", "InvalidPrivateIpAddress.Duplicated"])
def test_an_address_held_by_what_is_not_shown_fails_at_once_and_is_no_change(clock, code):
    before = clock.monotonic()
    ecs = FakeEcs(clock, eni_record("eni-1"), script=[refused(code, f"The IP \u201c{A}\u201d is taken.")])
    outcome = run_one(ecs, "present", A)
    assert (failures(outcome), outcome.wrote) == ({A: code}, False)
    assert clock.monotonic() == before
    assert len(ecs.writes) == 1


def test_one_address_that_is_taken_does_not_cost_those_that_are_free(clock):
    """A service that refuses the whole call for one address, and names it."""

    def step(ecs, call):
        if A in call.addresses:
            raise refused("InvalidIp.IpAssigned", f"The IP \u201c{A}\u201d is taken.")
        ecs.carry_out(call)

    ecs = FakeEcs(clock, eni_record("eni-1"), script=[step] * 5)
    outcome = run_one(ecs, "present", A, B, C)
    assert failures(outcome) == {A: "InvalidIp.IpAssigned"}
    assert done(outcome) == (B, C)


def test_a_refused_batch_that_gave_nothing_is_no_change(clock):
    ecs = FakeEcs(clock, eni_record("eni-1"), script=[refused("InvalidIp.IpAssigned", "taken")] * 100)
    outcome = run_one(ecs, "present", A, B)
    assert set(failures(outcome)) == {A, B}
    assert not outcome.wrote


def test_an_address_that_the_eni_itself_holds_by_now_is_not_refused_to_it(clock):
    """After a lost reply the ENI's own view may lag behind the list of the vSwitch."""
    ecs = FakeEcs(clock, eni_record("eni-1"), script=[lost_reply()])
    ecs.lag = 1
    outcome = run_one(ecs, "present", A)
    assert (done(outcome), outcome.failed, outcome.wrote) == ((A,), [], True)


# A plan that ages: rule 14


def aged(ecs, and_then=lambda record: None):
    """The first write waits for its turn longer than a plan lives; meanwhile something happens to its ENI."""

    def wait():
        ecs.clock.sleep(_apply.PLAN_LIVES_SECONDS + 1)
        and_then(ecs.enis["eni-1"])

    ecs.delays = [wait]
    return ecs


def test_a_call_on_an_aged_plan_is_not_sent_before_the_plan_is_renewed(clock):
    ecs = aged(FakeEcs(clock, eni_record("eni-1", [A, B])))
    outcome = run_one(ecs, "absent", A, B)
    assert (done(outcome), sent(ecs)) == ((A, B), [(A, B)])
    assert len(ecs.reads) == 3  # plan, renewal, back


def bind_eip(record):
    record["PrivateIpSets"]["PrivateIpSet"][1]["AssociatedPublicIp"] = {"PublicIpAddress": "203.0.113.7"}


def make_primary(record):
    record["PrivateIpSets"]["PrivateIpSet"][1]["Primary"] = True


def make_prefix(record):
    record["PrivateIpSets"]["PrivateIpSet"].pop(1)
    record["Ipv4PrefixSets"]["Ipv4PrefixSet"].append({"Ipv4Prefix": "192.168.0.10/31"})


REFUSED_BY_NOW = [
    pytest.param(lambda record: record.update(Status="Detaching"), {A, B}, id="state"),
    pytest.param(lambda record: record.update(ServiceManaged=True), {A, B}, id="managed"),
    pytest.param(lambda record: record.update(Tags={"Tag": [{"TagKey": "creator", "TagValue": "terway"}]}), {A, B}, id="tag"),
    pytest.param(bind_eip, {A}, id="eip"),
]


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(("happens", "stays"), REFUSED_BY_NOW)
def test_what_no_longer_passes_is_refused_and_not_written(clock, happens, stays, skip):
    ecs = aged(FakeEcs(clock, eni_record("eni-1", [A, B])), happens)
    outcome = run_one(ecs, "absent", A, B, skip_refused=skip)
    assert stays <= ecs.held_by("eni-1")
    assert set(done(outcome)) == {A, B} - stays
    assert outcome.wrote == (stays != {A, B})
    assert {note.address for note in outcome.skipped} == (stays if skip else set())
    assert failures(outcome) == ({} if skip else dict.fromkeys(stays, REFUSED))


@pytest.mark.parametrize("happens", [make_primary, make_prefix])
def test_what_has_become_a_mistake_fails_whatever_on_refusal_says(clock, happens):
    ecs = aged(FakeEcs(clock, eni_record("eni-1", [A, C])), happens)
    outcome = run_one(ecs, "absent", A, C, skip_refused=True)
    assert (failures(outcome), done(outcome)) == ({A: REFUSED}, (C,))
    assert A in outcome.failed[0].message


def test_what_is_gone_by_now_is_absent(clock):
    ecs = aged(FakeEcs(clock, eni_record("eni-1", [A, B])), lambda record: record["PrivateIpSets"]["PrivateIpSet"].pop(1))
    outcome = run_one(ecs, "absent", A, B)
    assert (done(outcome), flatten(outcome.settled), sent(ecs)) == ((B,), (A,), [(B,)])


@pytest.mark.parametrize("ignore_missing", [False, True])
def test_an_eni_that_is_gone_by_now_has_failed_whatever_missing_says(clock, ignore_missing):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    aged(ecs, lambda _record: ecs.enis.clear())
    outcome = run_one(ecs, "absent", A, ignore_missing=ignore_missing)
    assert (failures(outcome), outcome.wrote, ecs.writes) == ({A: ENI_GONE}, False, [])


def test_a_plan_that_ages_again_and_again_is_given_up(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    ecs.delays = [lambda: clock.sleep(61)] * 50
    outcome = run_one(ecs, "absent", A)
    assert (failures(outcome), outcome.wrote, ecs.writes) == ({A: PLAN_AGED}, False, [])


def test_a_renewal_that_fails_fails_its_enis(clock):
    ecs = aged(FakeEcs(clock, eni_record("eni-1", [A])))
    ecs.read_failures = [None, refused("Forbidden.RAM", "no")]
    outcome = run_one(ecs, "absent", A)
    assert (failures(outcome), outcome.wrote, ecs.writes) == ({A: "Forbidden.RAM"}, False, [])


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_long_line_is_renewed_by_the_hundred_before_its_turn(clock, concurrency):
    """The writes take longer than a plan lives. Less for each where eight go side by side: between its turn and its call, the time of
    all others' goes by."""
    ecs, targets = fleet(clock, 300)
    ecs.delays = [lambda: clock.sleep(1 if concurrency == 1 else 0.25)] * 300
    outcomes = run(ecs, request("absent", *targets, wait=False), concurrency=concurrency)
    assert all(count(outcome.done) == 1 for outcome in outcomes)
    assert Counter(call.eni_id for call in ecs.writes) == Counter(wanted.eni_id for wanted in targets)
    renewals = [len(ids) for ids in ecs.reads[3:]]
    assert max(renewals) == 100
    assert sum(length == 1 for length in renewals) == 0
    assert len(renewals) <= 7


def test_those_behind_do_not_wait_for_a_state_that_passes(clock):
    def happens():
        clock.sleep(50)
        ecs.enis[targets[1].eni_id]["Status"] = "Attaching"

    ecs, targets = fleet(clock, 3)
    ecs.delays = [happens]
    outcomes = run(ecs, request("absent", *targets, wait_timeout=60), concurrency=1)
    assert [list(failures(outcome).values()) for outcome in outcomes] == [[], [REFUSED], []]
    assert clock.monotonic() < 1000 + 50 + 60


@pytest.mark.parametrize("why", ["denied", "deleted"])
def test_what_could_not_be_renewed_is_not_tried_again_for_each_eni(clock, why):
    ecs, targets = fleet(clock, 300)

    def happens():
        clock.sleep(50)
        if why == "denied":
            ecs.read_failures = [refused("Forbidden.RAM")] * 300
        else:
            ecs.enis.clear()

    ecs.delays = [happens]
    outcomes = run(ecs, request("absent", *targets, wait=False), concurrency=1)
    assert all(outcome.failed for outcome in outcomes[1:])
    assert len(ecs.reads) <= 3 + 4


# Reading back: rule 6


@pytest.mark.parametrize("state", ["absent", "present"])
def test_a_change_that_shows_late_is_waited_for(clock, state):
    ecs = FakeEcs(clock, eni_record("eni-1", [A] if state == "absent" else []))
    ecs.lag = 4
    outcome = run_one(ecs, state, A)
    assert (done(outcome), outcome.verified, len(ecs.reads)) == ((A,), True, 6)


@pytest.mark.parametrize("eni_id", [None, "", ["eni-1"]])
def test_a_record_that_does_not_say_whose_it_is_is_no_eni_that_is_gone(clock, eni_id):
    def spoil(ecs, call):
        ecs.carry_out(call)
        ecs.enis["eni-1"]["NetworkInterfaceId"] = eni_id

    ecs = FakeEcs(clock, eni_record("eni-1", [A]), script=[spoil])
    outcome = run_one(ecs, "absent", A)
    assert (failures(outcome), outcome.wrote, outcome.verified) == ({A: NOT_VERIFIED}, True, False)


@pytest.mark.parametrize("state", ["absent", "present"])
def test_a_change_that_does_not_show_in_time_has_failed_and_is_a_change(clock, state):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, C] if state == "absent" else []))
    ecs.lag = 1000
    before = clock.monotonic()
    (outcome,) = apply(ecs, *planned(ecs, request(state, target("eni-1", A), wait_timeout=30)))
    assert (failures(outcome), done(outcome), outcome.wrote, outcome.verified) == ({A: NOT_VERIFIED}, (), True, False)
    assert 30 <= clock.monotonic() - before < 36


def test_only_what_does_not_show_has_failed(clock):
    def only_a(ecs, call):
        ecs.take_away("eni-1", A)

    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]), script=[only_a])
    outcome = run_one(ecs, "absent", A, B)
    assert (done(outcome), failures(outcome)) == ((A,), {B: NOT_VERIFIED})


def test_the_time_starts_anew_with_the_last_write(clock):
    """A second call that was long in coming leaves the whole time to wait for its effect."""
    addresses = [f"192.168.1.{last}" for last in range(1, 41)]
    ecs = FakeEcs(clock, eni_record("eni-1", addresses))
    ecs.delays = [lambda: None, lambda: clock.sleep(40)]
    ecs.lag = 5
    outcome = run_one(ecs, "absent", *addresses, wait_timeout=30)
    assert (count(outcome.done), outcome.verified) == (40, True)


def test_time_held_back_by_throttling_does_not_count(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    ecs.lag = 3
    answer = ecs.network_interfaces

    def throttled(**asked):
        if ecs.writes:
            clock.sleep(50)
            ecs.held += 50
        return answer(**asked)

    ecs.network_interfaces = throttled
    outcome = run_one(ecs, "absent", A, wait_timeout=60)
    assert (done(outcome), outcome.verified) == ((A,), True)


def test_without_waiting_nothing_is_read_back_and_nothing_is_verified(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A, B]))
    ecs.lag = 1000
    (outcome,) = apply(ecs, *planned(ecs, request("absent", target("eni-1", A), wait=False)))
    assert (done(outcome), outcome.wrote, outcome.verified, len(ecs.reads)) == ((A,), True, False, 1)
    assert flatten(outcome.latest.held) == (B,)


def test_when_reading_back_fails_what_was_accepted_is_not_verified(clock):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    ecs.read_failures = [None, refused("Forbidden.RAM", "no")]
    outcome = run_one(ecs, "absent", A)
    assert (failures(outcome), outcome.wrote, outcome.verified) == ({A: NOT_VERIFIED}, True, False)
    assert "Forbidden.RAM" in outcome.failed[0].message


def test_one_unreadable_eni_does_not_cost_the_others_their_verification(clock):
    ecs, targets = fleet(clock, 20)

    def spoil(ecs, call):
        ecs.carry_out(call)
        ecs.enis[call.eni_id]["Type"] = None

    ecs.script = [spoil]
    outcomes = run_spoiled(ecs, request("absent", *targets))
    assert [outcome.verified for outcome in outcomes].count(False) == 1


def run_spoiled(ecs, wish):
    return apply(ecs, *planned(ecs, wish))


# Check mode tells what a run would do


def both_ways(world, wish):
    """The result of check mode and that of a run, on the same world."""
    results = []
    for check_mode in (True, False):
        clock = Clock()
        with pytest.MonkeyPatch.context() as patch:
            clock.install(patch)
            ecs = FakeEcs(clock, *world[0], instances=world[1])
            plan = review(ecs, wish, wish.targets, patient=True)
            told = objections(plan, wish)
            if told:
                results.append(told)
                continue
            outcomes = foresee(plan, wish) if check_mode else apply(ecs, plan, wish)
            if not check_mode:
                check(ecs, plan, wish, outcomes)
            results.append(build_result(wish.state, outcomes, 0))
    return results


@given(worlds(), wishes(), st.booleans())
def test_check_mode_tells_exactly_what_a_run_does(world, wish, wait):
    foreseen, happened = both_ways(world, replace(wish, wait=wait))
    assert foreseen == happened


# Whatever goes wrong


def gone_wrong(kind):
    """A write that goes wrong as the service and the network can: a refusal for an address never comes with its effect."""

    def step(ecs, call):
        first, rest = replace(call, addresses=call.addresses[:1]), replace(call, addresses=call.addresses[1:])
        if kind in ("lost, all done", "error, all done"):
            ecs.carry_out(call)
        elif kind == "lost, some done":
            ecs.carry_out(first)
        elif kind.startswith("somebody"):
            if call.verb == "unassign":
                ecs.by_somebody.update(first.addresses)
                ecs.take_away(call.eni_id, *first.addresses)
            if kind.endswith("rest done"):
                ecs.carry_out(rest)
        if kind.startswith("lost"):
            raise EcsError(call.verb, CONNECTION_FAILED, "reset")
        if kind.startswith("error"):
            raise EcsError(call.verb, "InternalError", "sorry", status=500)
        if kind == "refused":
            raise refused("InvalidOperation.InvalidEniType")
        named = "" if kind == "somebody, no name" else first.addresses[0]
        raise refused("InvalidIp.IpUnassigned" if call.verb == "unassign" else "InvalidIp.IpAssigned", f"The IP \u201c{named}\u201d")

    return step


KINDS_OF_WRONG = [
    "lost, all done",
    "lost, some done",
    "lost, none done",
    "error, all done",
    "error, none done",
    "somebody",
    "somebody, rest done",
    "somebody, no name",
    "refused",
]
scripts = st.lists(st.one_of(st.none(), st.sampled_from(KINDS_OF_WRONG).map(gone_wrong)), min_size=1, max_size=6)
delays = st.lists(st.sampled_from([0, 0, 30, 61]), max_size=4)


@settings(max_examples=150)
@given(worlds(calm=True), wishes(calm=True), scripts, st.integers(0, 3), delays)
def test_whatever_goes_wrong_the_ledger_is_whole_and_denies_no_change(world, wish, script, lag, waits):
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        clock.install(patch)
        ecs = FakeEcs(clock, *world[0], instances=world[1], script=script)
        ecs.by_somebody = set()
        wish = replace(wish, skip_refused=True, ignore_missing=True)
        plan = review(ecs, wish, wish.targets, patient=False)
        if objections(plan, wish):
            return
        ecs.lag = lag
        ecs.delays = [lambda seconds=seconds: clock.sleep(seconds) for seconds in waits]
        before = {eni_id: ecs.held_by(eni_id) for eni_id in ecs.enis}
        outcomes = apply(ecs, plan, wish)
        check(ecs, plan, wish, outcomes)
        for outcome in outcomes:
            if outcome.change.interface is None:
                continue
            now = ecs.held_by(outcome.eni_id)
            assert before[outcome.eni_id] ^ now <= set(flatten(outcome.change.todo))
            ours = (before[outcome.eni_id] ^ now) - ecs.by_somebody
            assert outcome.wrote or not ours
            assert ours.isdisjoint(note.address for note in outcome.skipped)
