# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation is easy to read, as far as a script can measure it."""

from __future__ import annotations

from pathlib import Path

import pytest
from gates.readability import ENGLISH, HIGHEST_GRADE, grade, paragraphs, too_long
from support.pages import PAGES, ROOT


@pytest.mark.parametrize("page", ENGLISH, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_easy_to_read(page: Path) -> None:
    assert too_long(page) == []
    assert grade(page) <= HIGHEST_GRADE


def test_every_page_is_measured() -> None:
    written = set((ROOT / "docs" / "docsite").rglob("*.rst")) | set(ROOT.glob("README*.md"))
    assert written <= set(PAGES)
    assert len(ENGLISH) >= 20


def test_the_measure_finds_what_is_hard_to_read(tmp_path: Path) -> None:
    page = tmp_path / "page.rst"
    page.write_text(
        "Title\n=====\n\n.. list-table::\n\n   * - Left out.\n\n.. code-block:: console\n\n   $ left out\n\n"
        "Notwithstanding considerable organizational heterogeneity, comprehensive administrative responsibilities necessitate "
        "interdepartmental communication infrastructure.\n\n* " + "one " * 31 + "words.\n",
        encoding="utf-8",
    )
    assert len(paragraphs(page)) == 2
    assert [len(sentence.split()) for sentence in too_long(page)] == [32]
    assert grade(page) > HIGHEST_GRADE


@pytest.mark.parametrize(("text", "expected"), [("The cat sat on the mat.", -1.4), ("This sentence is easy to understand.", 6.4)])
def test_the_grade_is_that_of_the_formula(tmp_path: Path, text: str, expected: float) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    assert grade(page) == pytest.approx(expected, abs=0.1)
