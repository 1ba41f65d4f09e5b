# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Links between the Markdown pages, and figures that two pages show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.pages import PAGES, ROOT, RST

MARKDOWN = [page for page in PAGES if page.suffix == ".md"] + [ROOT / name for name in ("MAINTAINING.md", "SECURITY.md")]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_between_pages_leads_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        path, _hash, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not re.match(r"\w+:", link) and (not target.exists() or (anchor and anchor not in anchors(target))):
            broken.append(link)
    assert broken == []


def measured() -> dict[tuple[str, int, str], float]:
    """Latency, ENIs and way → seconds, from the tables of the benchmarks."""
    found: dict[tuple[str, int, str], float] = {}
    heads: list[str] = []
    for line in (ROOT / "docs" / "benchmarks" / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip(" ≈").replace(",", "") for cell in line.strip("|").split("|")]
        if "way" in cells:
            heads = cells
        elif len(cells) == len(heads) and cells[0].endswith("ms"):
            row = dict(zip(heads, cells, strict=True))
            found[row["latency"], int(row["ENIs"]), row["way"]] = float(row["wall s"])
    return found


def test_the_page_on_performance_has_the_figures_of_the_benchmarks() -> None:
    page = (RST / "guide_performance.rst").read_text(encoding="utf-8")
    seconds = {"s": 1, "min": 60, "h": 3600}
    rows = re.findall(r"\* - (One task|Loop of tasks), (\d+ ms) latency\n((?: +- .+\n)+)", page)
    assert len(rows) == 3
    for way, latency, cells in rows:
        figures = re.findall(r"- (?:about )?([\d.]+) (s|min|h)\n", cells)
        shown = [float(number) * seconds[unit] for number, unit in figures]
        assert shown == pytest.approx([measured()[latency, enis, way.lower()] for enis in (100, 1_000, 10_000)], rel=0.1), (way, latency)


def test_every_reference_of_the_site_has_a_label() -> None:
    """Sphinx says nothing, because the generated pages refer to labels of the documentation of ansible-core."""
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES if page.suffix == ".rst"}
    labels = {label for text in texts.values() for label in re.findall(r"^\.\. _([\w.]+):$", text, re.M)}
    named = {page.name: set(re.findall(r":ref:`(?:[^`<]*<)?([\w.]+)>?`", text)) - labels for page, text in texts.items()}
    assert {name: missing for name, missing in named.items() if missing} == {}
    assert len(labels) >= len(texts) - 1  # the start page has none
