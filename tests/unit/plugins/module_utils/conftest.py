# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import Clock


@pytest.fixture
def clock(monkeypatch):
    """The clock for all reads, waits and writes. It moves only in sleep calls."""
    clock = Clock()
    clock.install(monkeypatch)
    return clock
