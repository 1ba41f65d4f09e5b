# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The small benchmark of each change warns if, and only if, something is a third worse than on the page."""

from __future__ import annotations

import json

import pytest
from benchmarks.guard import PUBLISHED, SIZE, ratios, warnings


def sample(way: str, cpu: float, calls: int = 10, interfaces: int = SIZE, latency_ms: int = 0) -> dict[str, object]:
    return {"way": way, "cpu": cpu, "calls": calls, "fewest_calls": 10, "interfaces": interfaces, "latency_ms": latency_ms}


def test_ratios_compare_the_medians_at_one_size() -> None:
    samples = [sample("floor", cpu) for cpu in (1, 2, 9)] + [sample("module", 3), sample("task", 5, calls=11)]
    others = [sample("module", 50, interfaces=1), sample("task", 50, latency_ms=50)]
    assert ratios(samples + others) == {"CPU, module : script": 1.5, "CPU, task : script": 2.5, "calls, task : fewest": 1.1}


def test_the_page_has_what_is_compared() -> None:
    assert all(ratio >= 1 for ratio in ratios(json.loads(PUBLISHED.read_text(encoding="utf-8"))["samples"]).values())


@pytest.mark.parametrize(("now", "count"), [(2.6, 0), (2.7, 1), (1.0, 0)])
def test_a_result_that_is_a_third_worse_is_a_warning(now: float, count: int) -> None:
    assert len(warnings({"CPU, task : script": now}, {"CPU, task : script": 2.0})) == count
