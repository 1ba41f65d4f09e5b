# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux counts the time asleep")
def test_the_clock_includes_the_time_asleep(monkeypatch):
    read = []
    monkeypatch.setattr(_clock.time, "clock_gettime", lambda clock: read.append(clock) or 5.0)
    assert (_clock.now(), read) == (5.0, [time.CLOCK_BOOTTIME])


def test_other_systems_use_the_monotonic_clock(monkeypatch):
    monkeypatch.setattr(_clock, "BOOTTIME", None)
    monkeypatch.setattr(_clock.time, "monotonic", lambda: 7.0)
    assert _clock.now() == 7.0


def test_sleeping_moves_it():
    before = _clock.now()
    _clock.sleep(0.01)
    assert _clock.now() - before >= 0.01
