# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation site as `make docs` built it: its links, and its layout in a real browser."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from support.browser import Browser
from support.pages import ROOT

SITE = ROOT / "build" / "docs" / "build" / "html"
DOCSITE = SITE / "collections" / "alicloud_ops" / "network" / "docsite"
PHONE = 375
LEAST_CONTRAST = 4.5  # WCAG AA, for text of normal size


def is_built() -> bool:
    """Whether the site is there, and newer than its pages."""
    index = SITE / "index.html"
    sources = [path for folder in ("rst", "images", "static") for path in (ROOT / "docs" / "docsite" / folder).iterdir()]
    return index.exists() and index.stat().st_mtime > max(path.stat().st_mtime for path in sources)


pytestmark = pytest.mark.skipif(not is_built(), reason="the site is not built from today's pages; run `make docs`")
needs_browser = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")), reason="chromium and chromedriver are not installed"
)


class Page(HTMLParser):
    """The ids of a page, and the targets of its links."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids.update(value for name in ("id", "name") if (value := values.get(name)))
        self.links.update(value for name in ("href", "src") if (value := values.get(name)))


@pytest.fixture(scope="module")
def pages() -> dict[Path, Page]:
    return {path: Page(path) for path in SITE.rglob("*.html")}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as started:
        yield started


def test_every_page_of_the_repository_is_on_the_site(pages: dict[Path, Page]) -> None:
    written = {path.stem for path in (ROOT / "docs" / "docsite" / "rst").glob("*.rst")}
    assert written == {path.stem for path in DOCSITE.glob("*.html")}
    linked = {Path(urlsplit(link).path).stem for link in pages[SITE / "index.html"].links}
    assert written <= linked, "the start page does not lead to these"


def test_no_link_and_no_anchor_is_broken(pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.is_file() or (anchor and target in pages and anchor not in pages[target].ids):
                broken.append(f"{path.relative_to(SITE)}: {link}")
    assert broken == []


def test_the_theme_reports_no_error(pages: dict[Path, Page]) -> None:
    assert [path.name for path in pages if "Adding a table of contents in Furo" in path.read_text(encoding="utf-8")] == []


@needs_browser
def test_no_page_is_wider_than_a_phone(browser: Browser, pages: dict[Path, Page]) -> None:
    browser.resize(PHONE)
    wide = {}
    for path in pages:
        browser.open(path)
        width = browser.value("document.documentElement.scrollWidth")
        if width > PHONE:
            wide[str(path.relative_to(SITE))] = width
    assert wide == {}


@needs_browser
@pytest.mark.parametrize("width", [PHONE, 1000, 1280, 1600])
def test_tables_show_all_their_rows(browser: Browser, pages: dict[Path, Page], width: int) -> None:
    browser.resize(width)
    hidden = {}
    for path in pages:
        browser.open(path)
        if found := browser.value(
            "[...document.querySelectorAll('article table')].filter(t => t.clientHeight + 40 < t.scrollHeight).length"
        ):
            hidden[str(path.relative_to(SITE))] = found
    assert hidden == {}


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark_mode(browser: Browser, scheme: str) -> None:
    browser.resize(1240)
    browser.prefer(scheme)
    browser.open(DOCSITE / "guide_eni.html")
    shown = {
        selector: round(browser.contrast(selector), 1)
        for selector in (
            "article p",
            "article h2",
            "article p a",
            "article code",
            "article td",
            ".highlight pre",
            ".sidebar-tree a",
            ".toc-tree a",
        )
    }
    assert min(shown.values()) >= LEAST_CONTRAST, shown
    background = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is (scheme == "light"), background


@needs_browser
@pytest.mark.parametrize("word", ["EipBound", "IdempotentParameterMismatch", "wait_timeout"])
def test_search_works_offline(browser: Browser, word: str) -> None:
    browser.open(SITE / "search.html", query=f"q={word}")
    deadline = time.monotonic() + 20
    found: list[str] = []
    while not found and time.monotonic() < deadline:
        time.sleep(0.2)
        found = browser.value("[...document.querySelectorAll('#search-results li a')].map(link => link.href)")
    assert any("guide_errors.html" in link for link in found), found


@needs_browser
def test_a_page_sends_no_request_to_other_servers(browser: Browser) -> None:
    browser.open(SITE / "index.html")
    assert [url for url in browser.requests() if not url.startswith("file:")] == []
    assert browser.errors() == []
