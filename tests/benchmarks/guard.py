# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small benchmark that is compared with the one of the documentation. What is compared is independent of the machine: how many times the
CPU time of an SDK script is used, and how many calls are made."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from support.emulator import Emulator

from benchmarks.measuring import take_sample
from benchmarks.ways import FLOOR, MODULE, ROOT, TASK

PUBLISHED = ROOT / "docs" / "benchmarks" / "results.json"
ROUNDS = 3
SIZE = 1000
WORSE = 4 / 3


def guard() -> None:
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))["samples"]
    ways = (FLOOR, MODULE, TASK)
    with tempfile.TemporaryDirectory() as name, Emulator() as emulator:
        for way in ways:  # bytecode, caches
            take_sample(emulator, way, 1, 0, Path(name))
        measured = [take_sample(emulator, way, SIZE, 0, Path(name)).as_dict() for _round in range(ROUNDS) for way in ways]
    now, page = ratios(measured), ratios(published)
    print(f"{SIZE} ENIs, {ROUNDS} rounds     now    page")
    for title, ratio in now.items():
        print(f"{title:24} {ratio:6.2f}  {page[title]:6.2f}")
    for warning in warnings(now, page):
        print(f"::warning title=make bench-guard::{warning}" if os.environ.get("GITHUB_ACTIONS") else f"WARNING: {warning}")


def ratios(samples: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    def typical(way: str, what: str) -> float:
        return median(sample[what] for sample in samples if (sample["way"], sample["interfaces"], sample["latency_ms"]) == (way, SIZE, 0))

    return {
        "CPU, module : script": typical("module", "cpu") / typical("floor", "cpu"),
        "CPU, task : script": typical("task", "cpu") / typical("floor", "cpu"),
        "calls, task : fewest": typical("task", "calls") / typical("task", "fewest_calls"),
    }


def warnings(now: Mapping[str, float], page: Mapping[str, float]) -> list[str]:
    return [
        f"{title} is {ratio:.2f}, a third worse than {page[title]:.2f} in docs/benchmarks/results.json"
        for title, ratio in now.items()
        if ratio > WORSE * page[title]
    ]
