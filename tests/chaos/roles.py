# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The campaign "roles": bulk runs by real ansible-playbook that are killed at random moments, and then continued or undone.

A trial succeeds on three conditions. The recipes in the folder always have all addresses that are gone. The next run reaches
the plan. A restore from the recipes assigns every address again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from support.bulk import Bulk, changed_by, pairs, seed
from support.emulator import Emulator
from support.playbook import Playbooks, ansible_environment

NAME = "roles"
LONGEST_SECONDS = 300
SECONDS_TO_STOP = 3.0  # after the kill; DESIGN allows 2 s to the last write


@dataclass(frozen=True)
class Story:
    """The events of a trial. Times are in seconds, except those of the endpoint."""

    enis: int
    each: int
    latency_ms: int
    lag_ms: int
    wave_size: int
    max_concurrency: int
    wave_pause: int
    kill_after_writes: int | None  # None: after a time
    kill_after_seconds: float
    whole_group: bool
    at_once: bool  # whether the next command starts at once, or after the end of the killed run
    then: str  # "again": the same command; "plan": by plan file; "restore"
    by_playbook: bool  # whether the next command is a real ansible-playbook too
    kill_twice: bool


def make(number: int, random_seed: int) -> Story:
    chance = random.Random(f"{random_seed}:{number}")
    enis, each = chance.randint(1, 3) * 5, chance.randint(1, 4)
    by_writes = chance.random() < 0.85
    return Story(
        enis=enis,
        each=each,
        latency_ms=chance.choice((0, 20, 60, 150)),
        lag_ms=chance.choice((0, 0, 300, 1500)),
        wave_size=chance.randint(1, 12),
        max_concurrency=chance.choice((1, 1, 2, 4)),
        wave_pause=chance.choice((0, 0, 0, 1)),
        kill_after_writes=chance.randint(0, enis + 1) if by_writes else None,
        kill_after_seconds=chance.uniform(0, 0.4) if by_writes else chance.uniform(0.3, 6),
        whole_group=chance.random() < 0.8,
        at_once=chance.random() < 0.6,
        then=chance.choice(("again", "plan", "restore")),
        by_playbook=chance.random() < 0.3,
        kill_twice=chance.random() < 0.2,
    )


def try_out(emulator: Emulator, story: Story) -> tuple[list[str], Counter[str]]:
    """Problems and statistics."""
    with tempfile.TemporaryDirectory() as folder:
        return _Trial(emulator, story, Path(folder)).run()


class _Trial:
    def __init__(self, emulator: Emulator, story: Story, folder: Path) -> None:
        self._story = story
        self._emulator = emulator
        emulator.reset(seed=seed(story.enis, each=story.each), latency_ms=story.latency_ms, lag_ms=story.lag_ms)
        self._playbooks = Playbooks(emulator, folder)
        self._bulk = Bulk(emulator, folder)
        self._start = self._bulk.secondary_addresses()
        self._chosen: dict[str, Any] = {
            "security_group_tags": "stage=test",
            "wave_size": story.wave_size,
            "wave_pause": story.wave_pause,
            "max_concurrency": story.max_concurrency,
            "calls_per_minute": 0,
            "wait_timeout": 5 + 2 * story.lag_ms // 1000,
        }
        self._complaints: list[str] = []
        self._met: Counter[str] = Counter()

    def run(self) -> tuple[list[str], Counter[str]]:
        story = self._story
        source = self._kill(self._chosen)
        if story.kill_twice and source:
            self._kill(source)
            self._met["killed twice"] += 1
        if not story.at_once:
            time.sleep(SECONDS_TO_STOP)
        if story.then != "restore":
            self._continue(source if story.then == "plan" and source else self._chosen)
        self._restore()
        return self._complaints, self._met

    def _kill(self, chosen: dict[str, Any]) -> dict[str, Any]:
        """Start a run and kill it. Returns the options that name its saved plan, if there is one."""
        story = self._story
        before = len(self._bulk.writes())
        with subprocess.Popen(
            self._playbooks.command("unassign", False, chosen),
            cwd=self._playbooks.folder,
            env=ansible_environment(self._emulator, self._playbooks.home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            deadline = time.monotonic() + LONGEST_SECONDS
            while story.kill_after_writes is not None and process.poll() is None and time.monotonic() < deadline:
                if len(self._bulk.writes()) - before >= story.kill_after_writes:
                    break
                time.sleep(0.01)
            time.sleep(story.kill_after_seconds)
            self._met["kills" if process.poll() is None else "ended before the kill"] += 1
            if process.poll() is None:
                (os.killpg if story.whole_group else os.kill)(process.pid, signal.SIGKILL)
            process.wait()
        killed_at, writes = time.monotonic(), len(self._bulk.writes())
        self._look("right after the kill")
        if not story.at_once:
            time.sleep(max(killed_at + SECONDS_TO_STOP - time.monotonic(), 0))
            stopped_at = len(self._bulk.writes())
            time.sleep(1)
            if len(self._bulk.writes()) > stopped_at:
                self._complaints.append(f"{len(self._bulk.writes()) - stopped_at} writes later than {SECONDS_TO_STOP:.0f} s after the kill")
            self._look("when the killed run had stopped")
        gone = len(changed_by(self._start, self._bulk.secondary_addresses()))
        whole = sum(map(len, self._start.values()))
        self._met["killed before a write" if not writes else "killed when all was gone" if gone == whole else "killed in the middle"] += 1
        plans = list(self._bulk.reports.glob("plan-*.json"))
        return {**self._chosen, "security_group_tags": "", "plan_file": str(plans[0])} if len(plans) == 1 else {}

    def _look(self, when: str) -> None:
        """The recipe is read after the addresses, so it has all addresses that disappear in between."""
        gone = changed_by(self._start, self._bulk.secondary_addresses())
        named = {pair for recipe in self._bulk.recipes() for pair in pairs(recipe)}
        if lost := gone - named:
            self._complaints.append(f"{when} no recipe has {sorted(lost)}")

    def _continue(self, chosen: dict[str, Any]) -> None:
        self._met[f"continued {'by its plan' if 'plan_file' in chosen else 'with the same command'}"] += 1
        if self._story.by_playbook:
            done = subprocess.run(
                self._playbooks.command("unassign", False, chosen),
                cwd=self._playbooks.folder,
                env=ansible_environment(self._emulator, self._playbooks.home),
                capture_output=True,
                encoding="utf-8",
                check=False,
                timeout=LONGEST_SECONDS,
            )
            if done.returncode:
                self._complaints.append(f"the run that continues fails: {done.stdout[-2000:]}")
        else:
            result = self._bulk.run("unassign", **chosen)
            if result.get("failed"):
                self._complaints.append(f"the run that continues fails: {result['msg']}")
        if left := {eni_id: held for eni_id, held in self._bulk.secondary_addresses().items() if held}:
            self._complaints.append(f"the run that continues leaves {left}")
        self._look("when the run that continues had ended")

    def _restore(self) -> None:
        self._met["restored"] += 1
        for path in sorted(self._bulk.reports.glob("recipe-*.json")):
            result = self._bulk.run("restore", recipe_file=str(path), wait_timeout=self._chosen["wait_timeout"])
            if result.get("failed"):
                self._complaints.append(f"restoring fails: {result['msg']}")
        # Not at once, because the killed run may still have an open write.
        time.sleep(0.5)
        if lost := changed_by(self._start, self._bulk.secondary_addresses()):
            self._complaints.append(f"lost: {sorted(lost)}")
            self._met["addresses lost"] += len(lost)


def run(options: argparse.Namespace) -> int:
    """``make chaos ARGS='--campaign roles'``; returns how many trials were wrong."""
    numbers = [options.only] if options.only is not None else list(range(options.first, options.first + options.scenarios))
    started = time.monotonic()
    met: Counter[str] = Counter({"addresses lost": 0})
    wrong = []
    with multiprocessing.get_context("spawn").Pool(min(options.jobs, len(numbers)), _begin_job) as pool:
        for number, complaints, found in pool.imap_unordered(_job, [(number, options.seed) for number in numbers]):
            met.update(found)
            if complaints:
                wrong.append(number)
                print(
                    f"\n{NAME} {number} is wrong. To repeat it: make chaos ARGS='--campaign {NAME} --seed {options.seed} --only {number}'"
                )
                for complaint in complaints:
                    print(f"  - {complaint}")
                print(f"  {asdict(make(number, options.seed))}", flush=True)
    seconds = time.monotonic() - started
    print(f"\n{NAME}: {len(numbers)} scenarios in {seconds:.0f} s, {len(wrong)} of them wrong" + (f": {sorted(wrong)}" if wrong else ""))
    for what, times in sorted(met.items()):
        print(f"  {times:8} {what}")
    return len(wrong)


_emulator: Emulator | None = None  # of this process


def _begin_job() -> None:
    global _emulator
    # It ends when its standard input is closed, at the latest with this process.
    _emulator = Emulator().start()


def _job(work: tuple[int, int]) -> tuple[int, list[str], Counter[str]]:
    number, random_seed = work
    assert _emulator is not None
    try:
        return (number, *try_out(_emulator, make(number, random_seed)))
    except Exception as error:  # it must not end the campaign
        return number, [f"{type(error).__name__}: {error}"], Counter()
