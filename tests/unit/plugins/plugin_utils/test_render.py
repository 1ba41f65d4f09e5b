# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as JSON, as Markdown, and as a page in a real browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.browser import Browser

from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import AddressState
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._render import MOST_COPIED, render
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import RunView, build_report
from ansible_collections.alicloud_ops.network.tests.unit.plugins.plugin_utils.report_builders import (
    HOSTILE,
    STARTED,
    audit,
    document,
    eni,
    failed,
    guests,
    plan,
    refused,
    restore,
    run_of,
    wave,
)

DONE = AddressState.DONE
RUNS = {
    "audit": audit(),
    "plan": plan(),
    "stopped": replace(plan(check_mode=False), finished_at=STARTED, waves=[wave(1, 3)]),
    "failed": failed(),
    "refused": refused(),
    "restore": restore(),
    "guests": guests(),
    "audit of guests": guests("report", "audit"),
    "nothing": RunView("unassign", refusals=[HOSTILE], stops=[HOSTILE], sure=HOSTILE, next_steps=[HOSTILE], files={"plan": HOSTILE}),
}


@pytest.mark.parametrize("name", RUNS)
def test_json_is_the_report_with_one_line_an_eni(name: str) -> None:
    report = build_report(RUNS[name])
    text = render(report, "json")
    assert json.loads(text) == report
    assert sum(line.startswith('{"eni_id"') for line in text.splitlines()) == len(report["interfaces"])


@pytest.mark.parametrize("name", RUNS)
def test_markdown_and_html_have_every_address(name: str) -> None:
    report = build_report(RUNS[name])
    for kind in ("md", "html"):
        text = render(report, kind)
        assert report["outcome"] in text
        for row in report["interfaces"]:
            for line in row["addresses"]:
                assert line["address"] in text, (kind, line)
        for entry in report["next_steps"]:
            assert kind == "html" or f"\n    {entry.removeprefix('To undo it: ')}\n" in text
    # The page loads nothing from elsewhere.
    assert not re.search(r"""(https?:)?//[\w.-]+/|\b(src|href)\s*=\s*["'](?!#|data:)|@import|url\(""", render(report, "html"))


@pytest.mark.parametrize("kind", ["json", "md", "html"])
def test_approved_digest_and_eips_are_text_in_every_form(kind: str) -> None:
    text = render(build_report(replace(failed(), approved_digest="ab" * 32)), kind)
    assert text.count("ab" * 32) == 1
    assert text.count("10.0.5.1 EIP 203.0.113.7") == {"json": 0, "md": 1, "html": 2}[kind]  # HTML: once more for readers without scripts
    assert '"eip": "203.0.113.7"' in text or kind != "json"


def test_no_value_becomes_markup_in_markdown() -> None:
    hostile = replace(RUNS["nothing"], unreadable={"eni-1": HOSTILE}, difference={"added": [HOSTILE]}, security_groups={"sg-web": HOSTILE})
    for made in (hostile, replace(failed(), security_groups={"sg-web": HOSTILE})):
        text = render(build_report(made), "md")
        as_text = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
        assert "<script>" not in as_text
        assert "`x`" not in as_text
        assert r"\<script\>" in as_text
        rows = [line for line in as_text.splitlines() if line.startswith("| eni-")]
        assert all(line.count(" | ") == 8 for line in rows)
    assert len(rows) == 10  # one for the addresses of an ENI with the same outcome


def test_the_page_runs_its_own_script_and_no_other() -> None:
    text = render(build_report(RUNS["nothing"]), "html")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 1
    (allowed,) = re.findall(r"script-src '([^']*)'", text)
    assert allowed == f"sha256-{base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()}"
    assert "unsafe-inline" not in re.findall(r"script-src[^;]*", text)[0]


def recipe_of(number: int) -> RunView:
    addresses = [f"10.0.{n // 250}.{n % 250}" for n in range(number)]
    return replace(restore(), recipe=document({"eni-1": addresses} if number else {}), files={"recipe": "/state/recipe-0123456789ab.json"})


def test_a_recipe_is_in_the_page_up_to_a_size_and_then_the_page_names_its_file() -> None:
    assert "Copy recipe" in render(build_report(recipe_of(MOST_COPIED)), "html")
    text = render(build_report(recipe_of(MOST_COPIED + 1)), "html")
    assert "Copy recipe" not in text
    assert "It is in <code>/state/recipe-0123456789ab.json</code>" in text
    # The report of a plan in slices has no file of its recipe: the recipe is in the artifacts of the job.
    without_file = render(build_report(replace(recipe_of(MOST_COPIED + 1), files={})), "html")
    assert "The recipe is too large for this page.</p>" in without_file
    assert "The recipe is empty" in render(build_report(recipe_of(0)), "html")
    assert "recipe" not in render(build_report(replace(audit(), files={}, next_steps=[])), "html").split("<main>")[1].split("<script")[0]


# -- in a real browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("there is no chromium with chromedriver (on Debian: chromium, chromium-driver)")
    with Browser() as found:
        yield found


def show(browser: Browser, tmp_path: Path, made: RunView, *, width: int = 1240, scheme: str = "light", fragment: str = "") -> Path:
    path = tmp_path / "report.html"
    path.write_text(render(build_report(made), "html"), encoding="utf-8")
    browser.prefer(scheme)
    browser.resize(width)
    browser.open(path, fragment)
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_a_run_with_failures(browser: Browser, tmp_path: Path, scheme: str) -> None:
    path = show(browser, tmp_path, failed(), scheme=scheme)
    assert browser.title() == "Unassign secondary addresses · failed · cn-hangzhou"
    assert set(browser.requests()) == {path.as_uri()}
    assert browser.errors() == []
    # Values are text: the hostile name is shown, and does not run as a script.
    assert browser.value("[...document.scripts].filter(script => script.type != 'application/json').length") == 1
    assert HOSTILE in browser.value("document.querySelector('#eni-3').innerText")
    assert browser.value("document.querySelectorAll('[id=eni-3]').length") == 1
    # Failures come first, in the page and in the table.
    assert browser.value("document.querySelector('#failures').offsetTop < document.querySelector('#groups').offsetTop")
    assert browser.shown_rows() == ["eni-1", "eni-2", "eni-3", "eni-4", "eni-5"]
    # The chart has a bar for each security group, as long as its share.
    bars = "[...document.querySelectorAll('#groups .bar')].map(bar => [...bar.children].filter(i => i.className != 'rest')"
    widths = browser.value(f"{bars}.reduce((sum, i) => sum + i.getBoundingClientRect().width, 0))")
    assert len(widths) == 2
    assert widths[0] / widths[1] == pytest.approx(9 / 2, rel=0.1)
    # The timeline shows the pause between the second wave and the third.
    ends = browser.value(
        "[...document.querySelectorAll('#waves .bar')].map(bar => bar.getBoundingClientRect()).map(r => [r.left, r.right])"
    )
    assert ends[2][0] - ends[1][1] == pytest.approx((60 - 45) / 120 * (ends[2][1] - ends[0][0]), rel=0.1)
    # Readable: the contrast between text and background is high enough (WCAG AA).
    selectors = ["h1", ".lead", "#outcome", ".tile span", ".ip.s-failed", ".ip.s-unassigned", ".ip.s-skipped", ".why", ".alarm h2"]
    for selector in [
        *selectors,
        ".state.s-failed",
        ".state.s-already_absent",
        "th",
        "dt",
        "button.copy",
        ".pick[aria-pressed=true]",
        "pre",
    ]:
        assert browser.contrast(selector) >= 4.5, (scheme, selector)


def test_the_table_is_filtered_by_words_and_by_state(browser: Browser, tmp_path: Path) -> None:
    show(browser, tmp_path, failed())
    for words, rows in (
        ("10.0.2 sg-data", ["eni-2"]),
        ("203.0.113.7", ["eni-5"]),
        ("operationdenied", ["eni-1"]),
        ("10.0.2 sg-web", []),
        ("", ["eni-1", "eni-2", "eni-3", "eni-4", "eni-5"]),
    ):
        browser.type("#filter", words)
        assert browser.shown_rows() == rows, words
        assert browser.value("document.querySelector('#shown').innerText") == f"{len(rows)} of 5 ENIs"
        assert browser.value("document.querySelector('#none').hidden") == bool(rows)
    browser.click("button[data-state=skipped]")
    assert browser.shown_rows() == ["eni-4", "eni-5"]
    browser.type("#filter", "eni-5")
    assert browser.shown_rows() == ["eni-5"]
    browser.click("button[data-state='']")
    assert browser.shown_rows() == ["eni-5"]


def test_the_table_is_filtered_by_level(browser: Browser, tmp_path: Path) -> None:
    show(browser, tmp_path, guests("protect"))
    assert browser.errors() == []
    assert browser.value("[...document.querySelectorAll('#table th')].map(cell => cell.innerText)")[3] == "Guests"
    counts = "[...document.querySelectorAll('#eni-1 td')][3].innerText.split('\\n').filter(Boolean)"
    assert browser.value(counts) == ["1 in use", "1 configured", "1 not seen"]
    for state, level, rows in (
        ("", "unknown", ["eni-2"]),
        ("", "in_use", ["eni-1"]),
        ("skipped", "in_use", ["eni-1"]),
        ("planned", "in_use", []),  # both of one address, not of one ENI
        ("planned", "not_seen", ["eni-1"]),
    ):
        browser.click(f"button[data-state='{state}']")
        browser.click(f"button[data-level={level}]")
        assert browser.shown_rows() == rows, (state, level)
        browser.click(f"button[data-level={level}]")  # all levels again
    assert browser.shown_rows() == ["eni-1", "eni-2"]
    browser.type("#filter", "sshd")
    assert browser.shown_rows() == ["eni-1"]
    for selector in (".state.l-in_use", ".state.l-not_seen", ".level"):
        assert browser.contrast(selector) >= 4.5, selector


def test_without_guests_the_page_has_neither_the_column_nor_the_filter() -> None:
    text = render(build_report(replace(guests(), evidence=None)), "html")
    assert "<th>Guests</th>" not in text
    assert "data-level=" not in text
    assert "On the guests" not in text


def large(number: int) -> RunView:
    ledger = [eni(f"eni-{n:04}", {f"10.{n // 200}.{n % 200}.1": DONE}) for n in range(number)]
    return run_of("unassign", ledger)


def test_a_large_table_grows_on_demand_and_every_eni_has_a_link(browser: Browser, tmp_path: Path) -> None:
    show(browser, tmp_path, large(450))
    assert len(browser.shown_rows()) == 200
    browser.click("#more")
    assert len(browser.shown_rows()) == 400
    assert browser.value("document.querySelector('#more').innerText") == "Show 50 more of 50"
    browser.click("#more")
    assert len(browser.shown_rows()) == 450
    assert browser.value("document.querySelector('#more').hidden")
    # A link to an ENI whose row is not made yet.
    show(browser, tmp_path, large(450), fragment="eni-0449")
    assert browser.shown_rows() == ["eni-0449"]
    assert browser.wait_for("document.querySelector('tr.target')?.id") == "eni-0449"
    # A link to one that is shown removes no other row.
    show(browser, tmp_path, failed())
    browser.click("#guards a[href='#eni-4']")
    assert browser.wait_for("document.querySelector('tr.target')?.id") == "eni-4"
    assert len(browser.shown_rows()) == 5


def test_digest_recipe_and_command_can_be_copied(browser: Browser, tmp_path: Path) -> None:
    made = failed()
    assert made.recipe
    show(browser, tmp_path, made)
    browser.value("(window.copied = [], navigator.clipboard.writeText = async (text) => { window.copied.push(text); })")
    for source in ("digest", "recipe-text", "step-1"):
        browser.click(f"button[data-from={source}]")
    digest, recipe, step = browser.value("window.copied")
    assert digest == build_report(made)["digest"]
    assert f"To undo it: {step}" == made.next_steps[0]
    document_: dict[str, Any] = json.loads(recipe)
    whole = made.recipe.as_dict()
    assert document_ == {**whole, "assignments": [{name: v for name, v in one.items() if v} for one in whole["assignments"]]}
    assert browser.value("document.querySelector('button[data-from=digest]').innerText") == "Copied"
    # Without a clipboard, as on a page that was loaded with plain HTTP.
    browser.value("(window.selected = '', navigator.clipboard.writeText = async () => { throw new Error(); })")
    browser.value("(document.execCommand = (name) => { window.selected = name + ' ' + document.activeElement.value; })")
    browser.click("button[data-from=digest]")
    assert browser.value("window.selected") == f"copy {digest}"


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("width", [320, 375, 768])
def test_the_page_is_never_wider_than_the_screen(browser: Browser, tmp_path: Path, name: str, width: int) -> None:
    made = RUNS[name]
    if name == "failed":
        made = replace(made, security_groups={"sg-web": "w" * 80}, files={"plan": "/state/" + "p" * 200}, stops=["s" * 200])
    show(browser, tmp_path, made, width=width)
    assert browser.errors() == []
    assert browser.value("window.innerWidth") == width
    assert browser.value("document.documentElement.scrollWidth") <= width
    # Nothing is wider than its card either.
    outside = "[...document.querySelectorAll('.card')].filter(card => card.scrollWidth > card.clientWidth).map(card => card.id)"
    assert browser.value(outside) == []


def test_the_printed_page_is_complete_and_has_no_buttons(browser: Browser, tmp_path: Path) -> None:
    show(browser, tmp_path, large(450), scheme="dark")
    browser.value("dispatchEvent(new Event('beforeprint'))")
    assert len(browser.shown_rows()) == 450
    show(browser, tmp_path, large(1001))
    browser.value("dispatchEvent(new Event('beforeprint'))")
    assert len(browser.shown_rows()) == 1000
    assert browser.value("document.querySelector('#cut').innerText") == "Printed: 1000 of 1001 ENIs. The JSON report has all."
    show(browser, tmp_path, failed(), scheme="dark")
    browser.prefer("dark", media="print")
    assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.value("[...document.querySelectorAll('button, input')].filter(one => one.checkVisibility()).length") == 0
    for selector in ("h1", ".lead", ".ip.s-failed", ".why"):
        assert browser.contrast(selector) >= 4.5, selector
    assert browser.print_to_pdf().startswith(b"%PDF")
    browser.prefer("light")


def test_without_scripts_the_page_still_has_its_table(browser: Browser, tmp_path: Path) -> None:
    text = render(build_report(failed()), "html")
    path = tmp_path / "sandboxed.html"
    # As on servers of build artifacts that forbid all scripts.
    path.write_text(re.sub(r"script-src '[^']*'", "script-src 'none'", text), encoding="utf-8")
    browser.open(path)
    assert browser.value("document.querySelector('#listing').hidden")
    shown = browser.value("document.querySelector('main').innerText")
    assert HOSTILE in shown
    assert "10.0.5.1 EIP 203.0.113.7" in shown
    assert "Copy" not in shown
    browser.resize(320)
    assert browser.value("document.documentElement.scrollWidth") <= 320
