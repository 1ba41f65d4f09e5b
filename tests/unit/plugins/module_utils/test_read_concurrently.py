# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import MOST_READERS, Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import EcsError
from ansible_collections.alicloud_ops.network.plugins.module_utils._pacing import Pacer, Stopwatch

PATIENCE = 20  # seconds that a thread waits for another one before the test fails


@pytest.fixture
def ecs():
    pacer = Pacer(0, 8)
    return SimpleNamespace(writers=8, _pacer=pacer, stop=pacer.stop)


def test_the_first_read_goes_alone_and_then_as_many_as_allowed(ecs):
    under_way, most, met = [], [], threading.Barrier(MOST_READERS, timeout=PATIENCE)

    def read(batch):
        under_way.append(batch)
        most.append(len(under_way))
        if batch:
            met.wait()
        under_way.remove(batch)
        return batch * 10

    batches = range(1 + 2 * MOST_READERS)
    assert Ecs.read_concurrently(ecs, read, batches) == [batch * 10 for batch in batches]
    assert most[0] == 1
    assert max(most) <= MOST_READERS


def test_a_slow_pace_reads_one_after_the_other(ecs):
    ecs.writers = 1
    here, *threads = Ecs.read_concurrently(ecs, lambda batch: threading.get_ident(), range(4))
    assert here == threading.get_ident()
    assert len(set(threads)) == 1


def test_without_batches_nothing_is_read(ecs):
    assert Ecs.read_concurrently(ecs, pytest.fail, []) == []


def test_a_read_that_fails_ends_them_all(ecs):
    def read(batch):
        if batch == 2:
            raise EcsError("DescribeNetworkInterfaces", "Forbidden.RAM", "no")
        return batch

    with pytest.raises(EcsError, match=r"Forbidden\.RAM"):
        Ecs.read_concurrently(ecs, read, range(5))


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_interrupted_no_read_waits_for_its_turn(ecs, interruption):
    sent = []
    ecs._pacer.throttled(PATIENCE)

    def read(batch):
        if batch == 1:
            raise interruption
        if batch and ecs._pacer.admit():
            sent.append(batch)
        return batch

    with pytest.raises(interruption):
        Ecs.read_concurrently(ecs, read, range(MOST_READERS))
    assert sent == []


def test_the_time_held_back_of_the_slowest_read_is_included(ecs):
    watch = Stopwatch(ecs._pacer)
    began = watch.started

    def read(batch):
        if batch:  # of the threads, one after the other
            ecs._pacer.waited += 10.0
        return batch

    ecs.writers = 1
    Ecs.read_concurrently(ecs, read, range(3))
    assert watch.started - began == pytest.approx(20.0)
