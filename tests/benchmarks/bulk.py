# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section "Bulk roles": a whole run of the role, compared with one module task that unassigns the same addresses."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from support.emulator import Emulator

from benchmarks.measuring import BenchmarkError, count, environment, run
from benchmarks.ways import TASK, seed, write_assignments

EACH = 5  # addresses of an ENI
GROUP = "sg-bench"
ENIS, MANY_ENIS = 2_000, 10_000
WAVE, LARGE_WAVE = 50, 1_000  # addresses
MOST_EACH = 10  # addresses of an ENI in the largest run

Row = tuple[str, str, bool]  # goal, measured, whether it is reached


@dataclass(frozen=True)
class Case:
    """One command. ``wave_size`` None: the module task instead of the role."""

    name: str
    enis: int
    each: int
    wave_size: int | None

    @property
    def addresses(self) -> int:
        return self.enis * self.each

    @property
    def waves(self) -> int:
        return -(-self.addresses // self.wave_size) if self.wave_size else 0

    @property
    def title(self) -> str:
        if not self.wave_size:
            return "one module task"
        return f"role, {self.waves} {'wave' if self.waves == 1 else 'waves'} of {min(self.wave_size, self.addresses)}"


# In this order in every round: a ratio compares neighbours, so that other work of the machine affects both.
START, FEW_WAVES, WAVES, TASK_ALONE, LARGE_WAVES = "start", "few waves", "waves", "task", "large waves"
# After them, once.
MANY_TASK, MANY, LARGEST = "many, task", "many", "largest"
ONCE = (MANY_TASK, MANY, LARGEST)


def make_cases(divide: int = 1) -> dict[str, Case]:
    """``divide`` makes all sizes smaller, for a quick trial."""
    sizes: dict[str, tuple[int, int, int | None]] = {
        START: (WAVE // EACH * divide, EACH, WAVE),  # one wave: nearly all of its time is the start of Ansible
        FEW_WAVES: (50 * WAVE // EACH, EACH, WAVE),
        WAVES: (ENIS, EACH, WAVE),
        TASK_ALONE: (ENIS, EACH, None),
        LARGE_WAVES: (ENIS, EACH, LARGE_WAVE),
        MANY_TASK: (MANY_ENIS, EACH, None),
        MANY: (MANY_ENIS, EACH, LARGE_WAVE),
        LARGEST: (MANY_ENIS, MOST_EACH, LARGE_WAVE),
    }
    return {name: Case(name, enis // divide, each, wave_size) for name, (enis, each, wave_size) in sizes.items()}


def measure(emulator: Emulator, folder: Path, rounds: int, divide: int = 1) -> dict[str, Any]:
    cases = make_cases(divide)
    each_round = [case for name, case in cases.items() if name not in ONCE]
    in_turn = each_round * rounds + [cases[name] for name in ONCE]
    return {"divide": divide, "samples": [_sample(emulator, folder, case, number) for number, case in enumerate(in_turn)]}


def _sample(emulator: Emulator, folder: Path, case: Case, number: int) -> dict[str, Any]:
    """It is an error if the command leaves an address assigned."""
    emulator.reset(seed=seed(case.enis, case.each, GROUP))
    process = run(_command(folder, case, number), environment(emulator, folder))
    counted = count(emulator)
    if counted["left"]:
        raise BenchmarkError(f"{case.title} left {counted['left']} addresses of {case.enis} ENIs:\n{process.output[-2000:]}")
    print(
        f"{case.enis:6} ENIs, {case.addresses:7} addresses, {case.title:28} {process.wall:8.2f} s {process.cpu:8.2f} s CPU",
        file=sys.stderr,
        flush=True,
    )
    return {**asdict(case), "wall": process.wall, "cpu": process.cpu, "peak": process.peak, "calls": counted["calls"]}


def _command(folder: Path, case: Case, number: int) -> list[str]:
    if case.wave_size is None:
        assignments = folder / f"assignments-{case.enis}-{case.each}.json"
        if not assignments.exists():
            write_assignments(assignments, case.enis, case.each)
        return TASK.command(assignments)
    variables = {
        "security_group_ids": [GROUP],
        "max_addresses": case.addresses,
        "wave_size": case.wave_size,
        "calls_per_minute": 0,
        "report_dir": str(folder / f"run-{number}"),
    }
    extra = json.dumps({f"unassign_secondary_ips_{name}": value for name, value in variables.items()})
    return [str(Path(sys.executable).with_name("ansible-playbook")), "alicloud_ops.network.unassign", "-e", extra]


# -- the page


class BulkFigures:
    def __init__(self, measured: Mapping[str, Any]) -> None:
        self._cases = make_cases(measured["divide"])
        self._samples: dict[str, list[dict[str, Any]]] = {}
        for sample in measured["samples"]:
            self._samples.setdefault(sample["name"], []).append(sample)

    def _of(self, name: str, what: str) -> list[float]:
        return [sample[what] for sample in self._samples[name]]

    def _ratio(self, name: str, other: str, what: str) -> float:
        """The median of the ratios within a round."""
        return median(one / two for one, two in zip(self._of(name, what), self._of(other, what), strict=True))

    def _cost_of_a_wave(self, name: str) -> float:
        """CPU seconds for each wave after the first."""
        more = (one - two for one, two in zip(self._of(name, "cpu"), self._of(START, "cpu"), strict=True))
        return median(more) / (self._cases[name].waves - self._cases[START].waves)

    def goals(self) -> Iterable[Row]:
        cases = self._cases
        for name, what, most in ((WAVES, "cpu", 2.0), (WAVES, "wall", 2.5), (LARGE_WAVES, "cpu", 1.3), (LARGE_WAVES, "wall", 1.3)):
            ratio = self._ratio(name, TASK_ALONE, what)
            yield f"{cases[name].title} ÷ one module task, {what}", f"{ratio:.2f} (goal ≤ {most})", ratio <= most
        growth = self._cost_of_a_wave(WAVES) / self._cost_of_a_wave(FEW_WAVES)
        title = f"CPU of a wave, with {cases[WAVES].waves} waves ÷ with {cases[FEW_WAVES].waves} waves"
        yield title, f"{growth:.2f} (goal ≤ 1.1)", growth <= 1.1
        peak = self._ratio(MANY, MANY_TASK, "peak")
        yield f"peak memory, {cases[MANY].enis:,} ENIs, role ÷ one module task", f"{peak:.2f} (goal ≤ 1.5)", peak <= 1.5
        largest = cases[LARGEST]
        yield f"{largest.addresses:,} addresses on {largest.enis:,} ENIs in one run", "all unassigned (goal: done)", True

    def rows(self) -> Iterable[tuple[str, ...]]:
        for name, samples in self._samples.items():
            case = self._cases[name]
            yield (
                f"{case.enis:,}",
                f"{case.addresses:,}",
                case.title,
                f"{median(self._of(name, 'calls')):,.0f}",
                *(f"{median(self._of(name, what)):.{digits}f}" for what, digits in (("wall", 2), ("cpu", 2), ("peak", 0))),
                str(len(samples)),
            )
