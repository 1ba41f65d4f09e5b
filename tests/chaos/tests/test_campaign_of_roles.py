# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first trials of the campaign that kills bulk runs (`make chaos ARGS='--campaign roles'`), and that it would notice a loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from chaos import roles
from support.bulk import Bulk
from support.emulator import Emulator


def test_a_number_always_makes_the_same_story() -> None:
    assert roles.make(77, 5) == roles.make(77, 5)
    stories = [roles.make(number, 5) for number in range(100)]
    assert {story.then for story in stories} == {"again", "plan", "restore"}
    assert len(set(stories)) == 100


@pytest.mark.parametrize("number", range(2))
def test_a_killed_run_loses_no_address(emulator: Emulator, number: int) -> None:
    complaints, met = roles.try_out(emulator, roles.make(number, 1))
    assert not complaints, f"to repeat it: make chaos ARGS='--campaign roles --seed 1 --only {number}'"
    assert met["kills"] + met["ended before the kill"] > 0


def test_a_recipe_that_lacks_something_is_noticed(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(bulk: Bulk, *_arguments: Any, **_variables: Any) -> dict[str, Any]:
        return {}

    monkeypatch.setattr(Bulk, "recipes", lambda _bulk: [])
    monkeypatch.setattr(Bulk, "run", forget)
    # Not at once: the trial ends after the killed run has written its last file.
    chosen = {"enis": 5, "kill_after_writes": 2, "wave_pause": 0, "lag_ms": 0, "latency_ms": 60}
    story = replace(roles.make(0, 1), **chosen, at_once=False, then="restore", kill_twice=False)
    complaints, met = roles.try_out(emulator, story)
    assert any(complaint.startswith("right after the kill no recipe has [('eni-") for complaint in complaints)
    assert any(complaint.startswith("lost: [('eni-") for complaint in complaints)
    assert met["addresses lost"] > 0
