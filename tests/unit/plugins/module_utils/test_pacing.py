# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock
from ansible_collections.alicloud_ops.network.plugins.module_utils._pacing import Pacer
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import Alone

LONG = 20.0  # seconds for something that must happen: only a defect waits this long
SHORT = 0.05  # seconds for something that must not happen: never too short for correct code


@pytest.fixture
def clock(monkeypatch):
    clock = Alone()
    clock.install(monkeypatch)
    return clock


def make_pacer(clock, calls_per_minute=0, burst=1, second_of_minute=0.0):
    """For one thread, on the clock; ``second_of_minute`` is when it is made."""
    started = clock.monotonic()
    pacer = Pacer(calls_per_minute, burst, wall_clock=lambda: 60_000 + second_of_minute + clock.monotonic() - started)
    pacer._turn = clock
    return pacer


def admissions(clock, pacer, number, takes=0.0):
    """The times at which the next calls are admitted, one after another."""
    started, times = clock.monotonic(), []
    for _number in range(number):
        pacer.admit()
        times.append(round(clock.monotonic() - started, 6))
        clock.sleep(takes)
        pacer.passed()
    return times


# Spacing


def test_calls_are_evenly_spaced(clock):
    assert admissions(clock, make_pacer(clock, 60), 4) == [0, 1, 2, 3]


def test_a_burst_goes_at_once_and_then_evenly(clock):
    assert admissions(clock, make_pacer(clock, 60, burst=3), 6) == [0, 0, 0, 1, 2, 3]


def test_a_call_that_took_longer_than_the_spacing_is_not_waited_for_again(clock):
    assert admissions(clock, make_pacer(clock, 60), 3, takes=5) == [0, 5, 10]


def test_without_a_limit_calls_do_not_wait(clock):
    pacer = make_pacer(clock, 0, burst=8)
    assert admissions(clock, pacer, 100) == [0] * 100
    assert pacer.waited == 0


def test_the_time_held_back_is_measured(clock):
    pacer = make_pacer(clock, 60)
    admissions(clock, pacer, 4)
    assert pacer.waited == pytest.approx(3)


@given(per_minute=st.integers(1, 600), burst=st.integers(1, 10), idle=st.lists(st.floats(0, 20), min_size=1, max_size=60))
def test_every_period_gets_at_most_its_share_of_calls(per_minute, burst, idle):
    clock = Alone()
    with pytest.MonkeyPatch.context() as patch:
        clock.install(patch)
        pacer = make_pacer(clock, per_minute, burst)
        times = []
        for seconds in idle:
            clock.sleep(seconds)
            pacer.admit()
            times.append(clock.monotonic())
    interval = 60 / per_minute
    for first in range(len(times)):
        for last in range(first, len(times)):
            assert last - first + 1 <= burst + (times[last] - times[first]) / interval + 1e-6


# Throttled, one thread


def test_the_hold_lasts_as_long_as_the_service_asks(clock):
    pacer = make_pacer(clock)
    pacer.admit()
    pacer.throttled(7.5)
    assert admissions(clock, pacer, 2) == [7.5, 7.5]


def test_the_service_cannot_ask_for_a_hold_of_more_than_a_minute(clock):
    pacer = make_pacer(clock)
    pacer.admit()
    pacer.throttled(3600)
    assert admissions(clock, pacer, 1)[0] < 62


def test_without_retry_after_the_hold_doubles_until_a_call_passes(clock):
    pacer = make_pacer(clock)
    pacer.admit()
    waits = []
    for _number in range(4):
        pacer.throttled(None)
        started = clock.monotonic()
        pacer.admit()
        waits.append(clock.monotonic() - started)
    assert waits == [1, 2, 4, 8]
    pacer.passed()
    pacer.admit()
    pacer.throttled(None)
    assert admissions(clock, pacer, 1) == [1]


@pytest.mark.parametrize("second", [0.0, 30.0, 50.0, 58.0])
def test_a_hold_never_lasts_long_after_the_next_minute_has_begun(clock, second):
    """The quota resets then: the probe is sent soon after it, and the next hold is short again."""
    pacer = make_pacer(clock, second_of_minute=second)
    started = clock.monotonic()
    pacer.admit()
    probes = []
    while not probes or probes[-1] < 60:
        pacer.throttled(None)
        pacer.admit()
        probes.append(second + clock.monotonic() - started)
    assert 60.2 <= probes[-1] <= 60.8
    assert all(probe < 60 for probe in probes[:-1])
    pacer.throttled(None)
    assert admissions(clock, pacer, 1) == [1]


def test_a_hold_is_part_of_the_time_held_back(clock):
    pacer = make_pacer(clock)
    pacer.admit()
    pacer.throttled(7.5)
    pacer.admit()
    assert pacer.waited == pytest.approx(7.5)


# Throttled, many threads, in real time


class Callers:
    """Threads that each call admit once, and then follow the test."""

    def __init__(self, pacer, number):
        self.pacer = pacer
        self.admitted = threading.Semaphore(0)
        self.answers = []
        self.answered = threading.Condition()
        self.threads = [threading.Thread(target=self._call, daemon=True) for _number in range(number)]
        for thread in self.threads:
            thread.start()

    def _call(self):
        self.pacer.admit()
        self.admitted.release()
        with self.answered:
            assert self.answered.wait_for(lambda: self.answers, LONG)
            answer = self.answers.pop(0)
        answer()

    def answer(self, answer, number=1):
        with self.answered:
            self.answers.extend([answer] * number)
            self.answered.notify_all()

    def wait_for(self, number):
        for _number in range(number):
            assert self.admitted.acquire(timeout=LONG)

    def none_more(self):
        assert not self.admitted.acquire(timeout=SHORT)

    def join(self):
        for thread in self.threads:
            thread.join(LONG)
            assert not thread.is_alive()


def held_pacer(seconds, **more):
    pacer = Pacer(more.get("calls_per_minute", 0), more.get("burst", 8))
    pacer.admit()
    pacer.throttled(seconds)
    return pacer


def test_all_wait_together_and_one_probes():
    pacer = held_pacer(0.01)
    callers = Callers(pacer, 6)
    callers.wait_for(1)
    callers.none_more()
    callers.answer(pacer.passed)
    callers.wait_for(5)
    callers.answer(pacer.passed, 5)
    callers.join()


def test_a_throttled_probe_holds_all_again():
    pacer = held_pacer(0.01)
    callers = Callers(pacer, 4)
    callers.wait_for(1)
    callers.answer(lambda: pacer.throttled(0.01))
    callers.wait_for(1)
    callers.none_more()
    callers.answer(pacer.passed)
    callers.wait_for(2)
    callers.answer(pacer.passed, 2)
    callers.join()


def test_a_probe_that_was_not_sent_leaves_it_to_another():
    pacer = held_pacer(0.01)
    callers = Callers(pacer, 3)
    callers.wait_for(1)
    callers.answer(pacer.abandoned)
    callers.wait_for(1)
    callers.none_more()
    callers.answer(pacer.passed)
    callers.wait_for(1)
    callers.answer(pacer.passed)
    callers.join()


def test_replies_to_earlier_calls_neither_end_nor_extend_the_hold():
    pacer = Pacer(0, 8)
    early = Callers(pacer, 3)
    early.wait_for(3)
    held = threading.Event()
    early.answer(lambda: (pacer.throttled(SHORT), held.set()))
    assert held.wait(LONG)
    early.answer(pacer.passed)
    early.answer(lambda: pacer.throttled(LONG * 10))
    early.join()
    late = Callers(pacer, 2)
    late.wait_for(1)
    late.none_more()
    late.answer(pacer.passed)
    late.wait_for(1)
    late.answer(pacer.passed)
    late.join()


def test_a_call_that_waits_for_its_turn_is_held_too():
    """Its slot now lies in the hold."""
    pacer = Pacer(calls_per_minute=240, burst=1)  # every 0.25 s
    pacer.admit()
    callers = Callers(pacer, 1)
    time.sleep(0.05)  # so that it gets its slot; otherwise the test proves less, but it never fails wrongly
    held_until = _clock.now() + 1.0
    pacer.throttled(1.0)
    callers.wait_for(1)
    assert _clock.now() >= held_until
    callers.answer(pacer.passed)
    callers.join()


# stop


@pytest.mark.parametrize("why", ["spacing", "hold", "probe"])
def test_after_stop_no_thread_is_admitted_also_not_a_waiting_one(why):
    pacer = Pacer(1 if why == "spacing" else 0, 1)
    assert pacer.admit()
    if why == "spacing":
        pacer.passed()
    else:
        pacer.throttled(LONG if why == "hold" else 0.01)
    if why == "probe":
        assert pacer.admit()  # and its outcome is never reported
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(pacer.admit()), daemon=True)
    waiting.start()
    time.sleep(SHORT)
    assert answers == []
    pacer.stop()
    waiting.join(LONG)
    assert answers == [False]
    assert not pacer.admit()
