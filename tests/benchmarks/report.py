# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples → a page with tables, goals and a plot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bulk import BulkFigures
from benchmarks.ways import ANSIBLE, FLOOR, IDLE, LOOP, MODULE, ROOT, SCRIPTS, TASK, WAYS, WITHOUT_WORK

COLOURS = {"floor": "#7f8c8d", "module": "#2e86c1", "task": "#1b4f72", "loop": "#c0392b", "scripts": "#e59866"}
EXTRAPOLATED_TO = (100, 1000, 10000)


def write_report(measured: Mapping[str, Any], folder: Path) -> str:
    """README.md and wall.svg next to the results. Returns the page. Results of the bulk roles alone are only that section."""
    if "samples" not in measured:
        return "\n".join(_bulk(measured))
    figures = _Figures(measured)
    page = "\n".join(
        [
            "# What it costs",
            "",
            "Unassigning three secondary addresses from each of so many ENIs, in several ways, against the local ECS endpoint",
            "(`tests/ecs_emulator`):",
            "",
            "- **one task**: the whole `ansible-playbook` command, with one task and `assignments`;",
            "- **the module alone**: the same module in a Python of its own, without Ansible around it;",
            "- **SDK script, thread pool**: the floor; the same reads, writes and reads back by eight threads, without any check;",
            "- **Ansible's own share**: the whole `ansible-playbook` command, with a module that is handed the same assignments, does",
            "  nothing, and gives the same answer. A module as fast as the floor would come to about 1 plus this share;",
            f"- **{IDLE.title}**: the same for the module alone: arguments and result in a Python of its own, and no work;",
            "- **loop of tasks**: `loop` over the same module, one ENI each;",
            "- **loop of SDK scripts**: `loop` over `ansible.builtin.command`, a script that reads, unassigns and reads back one ENI.",
            "",
            f"{_machine(measured)}",
            "`calls_per_minute: 0`, `max_concurrency: 8`. CPU and memory are those of the processes of that way; the endpoint, which",
            "shares the machine with them, is not counted. Wall, CPU and peak are medians; a ratio is the median of the ratios within a",
            "round, in which the ways follow one another.",
            "",
            "![Wall time by number of ENIs](wall.svg)",
            "",
            "## Goals",
            "",
            *_table(("goal", "measured", ""), figures.goals()),
            "",
            "## In bulk",
            "",
            *_table(
                ("latency", "ENIs", "way", "calls", "÷ fewest", "wall s", "CPU s", "peak MB", "wall ÷ floor", "runs"), figures.in_bulk()
            ),
            "",
            "## One by one",
            "",
            "≈: not measured, but the line through what was measured.",
            "",
            *_table(("latency", "ENIs", "way", "calls", "wall s", "CPU s", "peak MB", "÷ one task"), figures.one_by_one()),
            "",
            "## Under a throttle",
            "",
            f"The endpoint takes {measured['throttled'][0]['limit']} calls of one action in a minute and refuses the rest. A minute of",
            "less than 60 s is scaled for the endpoint and for the module's pacer alike (`programs/module_throttled.py`); latency and the",
            "module's speed are not.",
            "Used: of what was allowed in all minutes but the last, in which there was less left to do.",
            "",
            *_table(("minute", "ENIs", "wall s", "writes sent", "calls throttled", "of all calls", "used"), figures.throttled()),
            "",
            *_bulk(measured),
            "## How to repeat it",
            "",
            "`make bench` measures in some minutes and writes to `build/benchmarks/`; `make bench ARGS='--full'` measures all of it.",
            f"`make bench ARGS='{measured['arguments']}--output {_shown(folder)}'` wrote this page"
            + "".join(f", and with `--more {rounds}` for `--full` added rounds to it" for rounds in measured.get("more", []))
            + ".",
            "Other work on the machine shows in every time, and most in those of the ways with more processes.",
            "",
        ]
    )
    (folder / "README.md").write_text(page, encoding="utf-8")
    _plot(figures, folder / "wall.svg")
    return page


def _bulk(measured: Mapping[str, Any]) -> list[str]:
    if "bulk" not in measured:
        return []
    figures = BulkFigures(measured["bulk"])
    return [
        "## Bulk roles",
        "",
        "The whole `ansible-playbook` command of `alicloud_ops.network.unassign` for one security group: plan, recipe, waves, last read",
        "and reports. Next to it, in the same round, one module task that unassigns the same addresses by `assignments`. No call waits",
        "(0 ms), and there is no limit of the pace. The cost of a wave is the CPU time above that of a run with one wave.",
        "",
        *_table(("goal", "measured", ""), (_goal_of_bulk(*goal) for goal in figures.goals())),
        "",
        *_table(("ENIs", "addresses", "way", "calls", "wall s", "CPU s", "peak MB", "runs"), figures.rows()),
        "",
        "`make bench ARGS='--bulk 3 --output FOLDER'` measures this section again.",
        "",
    ]


def _goal_of_bulk(name: str, measured: str, reached: bool) -> tuple[str, str, str]:
    return name, measured, "reached" if reached else "missed"


def _shown(folder: Path) -> str:
    whole = folder.resolve()
    return str(whole.relative_to(ROOT)) if whole.is_relative_to(ROOT) else whole.name


def _machine(measured: Mapping[str, Any]) -> str:
    machine = measured["machine"]
    parts = ", ".join(f"{name} {value}" for name, value in machine.items() if name not in ("cores", "system"))
    return (
        f"{machine['cores']} cores, {machine['system']}, {parts}; load average {measured['load_before']:.1f} before, "
        f"{measured['load_after']:.1f} after.\n"
        "Three addresses go in one call, so the fewest calls are pages of reads + ENIs + batches of reads back."
    )


class _Figures:
    def __init__(self, measured: Mapping[str, Any]) -> None:
        self._measured = measured
        self.samples: list[dict[str, Any]] = measured["samples"]

    def of(self, way: str, interfaces: int, latency: int, what: str = "wall") -> list[float]:
        wanted = (way, interfaces, latency)
        return [sample[what] for sample in self.samples if (sample["way"], sample["interfaces"], sample["latency_ms"]) == wanted]

    def sizes(self, way: str, latency: int) -> list[int]:
        return sorted({sample["interfaces"] for sample in self.samples if (sample["way"], sample["latency_ms"]) == (way, latency)})

    @property
    def latencies(self) -> list[int]:
        return sorted({sample["latency_ms"] for sample in self.samples})

    def ratio(self, way: str, interfaces: int, latency: int) -> float:
        """Ratio to the floor, within each round, so that other work of the machine affects both."""
        pairs = zip(self.of(way, interfaces, latency), self.of(FLOOR.name, interfaces, latency), strict=True)
        return median(one / other for one, other in pairs)

    def peak_growth(self, way: str, latency: int) -> float:
        return median(self.of(way, 10000, latency, "peak")) / median(self.of(way, 100, latency, "peak"))

    def line(self, way: str, latency: int) -> tuple[float, float]:
        """Start time and seconds for each ENI, from the smallest and the largest measurement."""
        few, many = self.sizes(way, latency)[0], self.sizes(way, latency)[-1]
        at_few, at_many = median(self.of(way, few, latency)), median(self.of(way, many, latency))
        each = (at_many - at_few) / (many - few)
        return at_few - few * each, each

    def in_bulk(self) -> Iterable[tuple[str, ...]]:
        for latency in self.latencies:
            for size in self.sizes(TASK.name, latency):
                for way in (each for each in (TASK, ANSIBLE, MODULE, IDLE, FLOOR) if size in self.sizes(each.name, latency)):
                    calls, fewest = median(self.of(way.name, size, latency, "calls")), way.fewest_calls(size)
                    yield (
                        f"{latency} ms",
                        f"{size:,}",
                        way.title,
                        f"{calls:,.0f}",
                        f"{calls / fewest:.3f}" if fewest else "",
                        *(
                            f"{median(self.of(way.name, size, latency, what)):.{digits}f}"
                            for what, digits in (("wall", 2), ("cpu", 2), ("peak", 0))
                        ),
                        f"{self.ratio(way.name, size, latency):.2f}",
                        str(len(self.of(way.name, size, latency))),
                    )

    def one_by_one(self) -> Iterable[tuple[str, ...]]:
        for latency in self.latencies:
            for way in (LOOP, SCRIPTS):
                measured = self.sizes(way.name, latency)
                start, each = self.line(way.name, latency)
                for size in sorted({*measured, *EXTRAPOLATED_TO}):
                    one_task = self.of(TASK.name, size, latency)
                    if size in measured:
                        calls, wall, cpu, peak = (
                            median(self.of(way.name, size, latency, what)) for what in ("calls", "wall", "cpu", "peak")
                        )
                        measures = (f"{calls:,.0f}", f"{wall:.1f}", f"{cpu:.1f}", f"{peak:.0f}")
                    else:
                        wall = start + each * size
                        measures = (f"≈ {way.fewest_calls(size):,}", f"≈ {wall:,.0f}", "", "")
                    yield f"{latency} ms", f"{size:,}", way.title, *measures, f"{wall / median(one_task):.1f}" if one_task else ""

    def throttled(self) -> Iterable[tuple[str, ...]]:
        for run in self._measured["throttled"]:
            yield (
                f"{run['minute']:.0f} s",
                f"{run['interfaces']:,}",
                f"{run['wall']:.1f}",
                f"{run['writes']:,}",
                str(run["throttled"]),
                f"{run['throttled'] / run['calls']:.1%}",
                f"{_used(run):.0%}",
            )

    def goals(self) -> Iterable[tuple[str, ...]]:
        bulk = [sample for sample in self.samples if sample["way"] == TASK.name]
        most_calls = max(sample["calls"] / sample["fewest_calls"] for sample in bulk)
        yield _goal("calls ÷ fewest calls, everywhere", f"{most_calls:.3f}", "≤ 1.02", most_calls <= 1.02)
        for way in (MODULE, TASK):
            for latency in self.latencies:
                for size in (size for size in self.sizes(way.name, latency) if size >= 1000):
                    ratio, most = self.ratio(way.name, size, latency), 1.3 if way is TASK else 1.25
                    idle = WITHOUT_WORK[way]  # results of an earlier version do not have it for the module
                    own = f"; {idle.title} {self.ratio(idle.name, size, latency):.2f}" if size in self.sizes(idle.name, latency) else ""
                    wanted = f"≤ {most}{own}"
                    yield _goal(f"wall ÷ floor, {way.title}, {size:,} ENIs, {latency} ms", f"{ratio:.2f}", wanted, ratio <= most)
        start, each = self.line(LOOP.name, 0)
        measured = self.of(LOOP.name, 100, 0)
        faster = (median(measured) if measured else start + 100 * each) / median(self.of(TASK.name, 100, 0))
        yield _goal(
            "faster than the loop of tasks, 100 ENIs, 0 ms", f"{'' if measured else '≈ '}{faster:.0f} times", "≥ 15 times", faster >= 15
        )
        for run in self._measured["throttled"]:
            share = run["throttled"] / run["calls"]
            minute = f"a minute of {run['minute']:.0f} s"
            yield _goal(f"allowed rate used, {minute}", f"{_used(run):.0%}", "≥ 90 %", _used(run) >= 0.9)
            yield _goal(f"throttled calls, {minute}", f"{share:.1%}", "< 5 %", share < 0.05)
            yield _goal(f"addresses not unassigned, {minute}", str(run["left"]), "0", not run["left"])
        for latency in self.latencies:
            sizes = self.sizes(TASK.name, latency)
            if 10000 in sizes:
                grows, floor_grows = self._growth(TASK.name, latency), self._growth(FLOOR.name, latency)
                yield _goal(
                    f"time for one more ENI from 1,000 to 10,000 ÷ that up to 1,000, {latency} ms",
                    f"{grows:.2f}",
                    f"linear: about that of the floor, {floor_grows:.2f}",
                    grows <= 1.2 * floor_grows,
                )
                for way in (MODULE, TASK):
                    peak, idle = self.peak_growth(way.name, latency), WITHOUT_WORK[way]
                    own = f"; {idle.title} {self.peak_growth(idle.name, latency):.2f}" if self.sizes(idle.name, latency) else ""
                    wanted = f"< 2{own}"
                    yield _goal(f"peak memory, 10,000 ÷ 100 ENIs, {way.title}, {latency} ms", f"{peak:.3f}", wanted, peak < 2)

    def _growth(self, way: str, latency: int) -> float:
        """1 if the time grows in proportion. The floor shows how much of it the endpoint or the machine causes."""
        few, some, many = (median(self.of(way, size, latency)) for size in (1, 1000, 10000))
        return ((many - some) / 9000) / ((some - few) / 999)


def _used(run: Mapping[str, Any]) -> float:
    full = run["done_in_each_window"][:-1]
    return sum(full) / (len(full) * run["limit"]) if full else 0.0


def _goal(name: str, measured: str, wanted: str, reached: bool) -> tuple[str, str, str]:
    return name, f"{measured} (goal {wanted})", "reached" if reached else "missed"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


def _plot(figures: _Figures, path: Path) -> None:
    """matplotlib is imported only here, because it is large, and the process that measures must stay small."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "bench", "font.family": "sans-serif", "font.size": 10})
    from matplotlib import pyplot

    drawing, axes = pyplot.subplots(1, len(figures.latencies), figsize=(11, 4.6), sharey=True, layout="constrained")
    for axis, latency in zip(axes, figures.latencies, strict=True):
        for way in (SCRIPTS, LOOP, TASK, MODULE, FLOOR):
            sizes = figures.sizes(way.name, latency)
            walls = [median(figures.of(way.name, size, latency)) for size in sizes]
            axis.plot(sizes, walls, "o-", color=COLOURS[way.name], label=WAYS[way.name].title, linewidth=2, markersize=5)
            if way in (LOOP, SCRIPTS):
                start, each = figures.line(way.name, latency)
                further = [sizes[-1], *(size for size in EXTRAPOLATED_TO if size > sizes[-1])]
                axis.plot(further, [start + each * size for size in further], ":", color=COLOURS[way.name], linewidth=2)
        axis.set(xscale="log", yscale="log", title=f"{latency} ms a call", xlabel="ENIs")
        axis.grid(which="major", color="#dddddd", linewidth=0.8)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_xticks([1, 10, 100, 1000, 10000], ["1", "10", "100", "1,000", "10,000"])
        axis.set_yticks([1, 10, 60, 600, 3600, 36000], ["1 s", "10 s", "1 min", "10 min", "1 h", "10 h"])
        axis.minorticks_off()
    axes[0].set_ylabel("wall time")
    axes[0].legend(frameon=False, title="dotted: extrapolated", alignment="left")
    drawing.savefig(path, metadata={"Date": None})
