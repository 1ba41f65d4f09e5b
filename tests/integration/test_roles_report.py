# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings, documents, waves and reports without Ansible; and the HTML page in a real browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.browser import Browser
from support.playbook import ROOT

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._bulk import (
    allowed_failures,
    cut_waves,
    make_document,
    on_one_line,
    read_document,
    read_settings,
)
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._page import render
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import Run, build_report

ROLE = "unassign_secondary_ips"
HOSTILE = "<script>document.title='taken'</script>|`x`"


def settings(role: str = ROLE, **given: Any) -> dict[str, Any]:
    path = ROOT / "roles" / role / "meta" / "argument_specs.yml"
    options = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    return read_settings({f"{role}_{name}": value for name, value in given.items()}, options, role)


@pytest.mark.parametrize(
    ("name", "text", "meant"),
    [
        ("security_group_ids", "sg-1, sg-2\nsg-3\n", ["sg-1", "sg-2", "sg-3"]),
        ("security_group_ids", '["sg-1", "sg-2"]', ["sg-1", "sg-2"]),
        ("security_group_ids", [], []),
        ("security_group_tags", "team=web,team=shop, stage", {"team": ["web", "shop"], "stage": None}),
        ("security_group_tags", '{"team": null}', {"team": None}),
        ("protected_tags", "{}", {}),
        ("allow_eip", "true", True),
        ("allow_eip", "False", False),
        ("max_addresses", "5", 5),
    ],
)
def test_text_of_a_survey_means_what_it_says(name: str, text: object, meant: object) -> None:
    assert settings(**{"security_group_names": "web", name: text})[name] == meant


def test_text_that_is_empty_was_not_given() -> None:
    path = ROOT / "roles" / ROLE / "meta" / "argument_specs.yml"
    names = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    empty = dict.fromkeys((name.removeprefix(f"{ROLE}_") for name in names), " ")
    assert settings(**{**empty, "security_group_ids": "sg-1"}) == settings(security_group_ids=["sg-1"])
    with pytest.raises(ValueError, match="nothing is named"):
        settings(**empty)
    with pytest.raises(ValueError, match="nothing is named"):
        settings(security_group_ids=["", " "])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"securtiy_group_ids": ["sg-1"]}, "did you mean unassign_secondary_ips_security_group_ids"),
        ({"security_group_ids": ["sg-1"], "wave_size": 0}, "wave_size: 0 is too small"),
        ({"security_group_ids": ["sg-1"], "wave_pause": -1}, "wave_pause: -1 is too small"),
        ({"security_group_ids": ["sg-1"], "max_addresses": "many"}, "unassign_secondary_ips_max_addresses"),
        ({"security_group_ids": ["sg-1"], "max_failures": "101%"}, "neither a count such as 10 nor a share"),
        ({"security_group_ids": ["sg-1"], "approved_plan": "abc"}, "not the digest of a plan"),
        ({"security_group_ids": ["sg-1"], "on_refusal": "ask"}, "value of unassign_secondary_ips_on_refusal must be one of"),
        ({"security_group_ids": ["sg-1"], "eni_status": "Lost"}, "value of unassign_secondary_ips_eni_status must be one of"),
        ({"security_group_ids": ["sg-1"], "report_dir": "reports"}, "not an absolute path"),
        ({"security_group_tags": "=web"}, "not a tag such as team=web"),
        ({"security_group_tags": "{team: "}, "can't be read"),
        ({"plan": {"version": 1}, "plan_file": "/plan.json"}, "are both given"),
        ({"plan_file": "/plan.json", "excluding": "192.0.2.0/24"}, "a saved plan is applied exactly"),
        ({}, "nothing is named"),
    ],
)
def test_each_wrong_variable_is_told_by_its_name(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        settings(**given)


@pytest.mark.parametrize(("text", "total", "allowed"), [("0", 100, 0), ("7", 100, 7), ("5%", 150, 7), ("100%", 3, 3)])
def test_failures_are_allowed_by_count_or_share(text: str, total: int, allowed: int) -> None:
    assert allowed_failures(text, total) == allowed


ASSIGNMENTS = [
    {"eni_id": "eni-2", "private_ip_addresses": ["192.168.0.20", "192.168.0.3"]},
    {"eni_id": "eni-1", "ipv4_prefixes": ["192.168.0.32/28"], "ipv6_addresses": ["2001:db8::10", "2001:db8::"]},
    {"eni_id": "eni-2", "private_ip_addresses": ["192.168.0.3", "192.168.0.4"]},
    {"eni_id": "eni-3", "private_ip_addresses": []},
]


def test_the_digest_depends_on_nothing_but_the_assignments() -> None:
    document = make_document(ASSIGNMENTS, "cn-hangzhou", "1000000000000001")
    assert [entry["eni_id"] for entry in document["assignments"]] == ["eni-1", "eni-2"]
    assert document["assignments"][1]["private_ip_addresses"] == ["192.168.0.3", "192.168.0.4", "192.168.0.20"]
    assert make_document(list(reversed(ASSIGNMENTS)), "cn-beijing", None)["digest"] == document["digest"]
    # Fixed for ever: saved plans are bound to it.
    assert make_document([], None, None)["digest"] == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"


def test_a_document_is_read_back_from_every_form_it_is_shown_in() -> None:
    document = make_document(ASSIGNMENTS, "cn-hangzhou", "1000000000000001")
    line = on_one_line(document)
    assert '"' not in line
    for form in (document, json.dumps(document), line, f'    "msg": "{line}"', [document, document], yaml.safe_dump(document)):
        assert read_document(form) == document
    waves = cut_waves(document, 1, "cn-hangzhou", "1000000000000001")
    assert read_document("\n".join(on_one_line(wave["recipe"]) for wave in waves)) == document
    assert read_document("") == read_document({}) == {}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda text: text.replace("192.168.0.20", "192.168.0.21"), "it was changed or is not whole"),
        (lambda text: text[: len(text) // 2], "can't be read"),
        (lambda text: text.replace("private_ip_addresses", "all_secondary"), "not a list of one of the kinds"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "its version is 2"),
        (lambda text: text.replace("eni-2", "i-2"), "has no eni_id"),
        (lambda text: text.replace("192.168.0.20", "192.168.0.300"), "not an IPv4 address"),
        (lambda text: "[]", None),
        (lambda text: "hello", "not a plan or recipe"),
    ],
)
def test_a_spoilt_document_is_refused(spoil: Any, told: str | None) -> None:
    text = spoil(json.dumps(make_document(ASSIGNMENTS, "cn-hangzhou", None)))
    if told is None:
        with pytest.raises(ValueError, match="not a plan or recipe"):
            read_document(text)
        return
    with pytest.raises(ValueError, match=told):
        read_document(text)


def test_recipes_of_two_regions_are_not_joined() -> None:
    recipes = [make_document(ASSIGNMENTS[:1], region, None) for region in ("cn-hangzhou", "cn-beijing")]
    with pytest.raises(ValueError, match="more than one region"):
        read_document(recipes)


def test_waves_never_cut_an_eni_and_hold_no_more_than_told() -> None:
    entries = [
        {"eni_id": f"eni-{number}", "private_ip_addresses": [f"10.0.{number}.{one}" for one in range(number)]} for number in range(1, 9)
    ]
    waves = cut_waves(make_document(entries, None, None), 7, None, None)
    assert [wave["addresses"] for wave in waves] == [6, 4, 5, 6, 7, 8]
    assert waves[2]["label"] == "wave 3/6 · 15 of 36 addresses"
    assert [entry["eni_id"] for wave in waves for entry in wave["assignments"]] == [f"eni-{number}" for number in range(1, 9)]


def lists(addresses: list[str]) -> dict[str, list[str]]:
    return {"private_ip_addresses": addresses, "ipv4_prefixes": [], "ipv6_addresses": [], "ipv6_prefixes": []}


def eni(eni_id: str, held: list[str], group: str = "sg-web") -> dict[str, Any]:
    known = {"eni_id": eni_id, "name": HOSTILE, "type": "Secondary", "status": "InUse", "instance_id": None, "owner_id": "1000000000000001"}
    addresses = [{"address": address, "eip": None} for address in held]
    return {**known, "security_group_ids": [group], **lists([]), "private_ip_addresses": addresses}


def told(eni_id: str, done: list[str], failed: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"eni_id": eni_id, "unassigned": lists(done), "absent": lists([]), "skipped": [], "failed": failed or []}


class Story:
    """A run in the middle: three ENIs of three addresses, one wave each."""

    def __init__(self, **settings: Any) -> None:
        self.addresses = {f"eni-{number}": [f"10.0.{number}.{one}" for one in (1, 2, 3)] for number in (1, 2, 3)}
        self.run = Run(
            "unassign",
            started="2026-01-01T00:00:00+00:00",
            began="2026-01-01T00:00:00+00:00",
            settings={"wave_size": 3, "max_failures": "0", **settings},
            info={
                "region": "cn-hangzhou",
                "missing": [],
                "security_groups": {"sg-web": HOSTILE},
                "interfaces": [eni(eni_id, held) for eni_id, held in self.addresses.items()],
            },
            planned={
                "interfaces": [told(eni_id, held) for eni_id, held in self.addresses.items()],
                "unassigned": [{"eni_id": eni_id, **lists(held)} for eni_id, held in self.addresses.items()],
            },
        )
        self.made = build_report(self.run)

    def wave(self, number: int, answer: dict[str, Any]) -> dict[str, Any]:
        wave = {**self.made["waves"][number - 1], "assignments": json.dumps(self.made["waves"][number - 1]["assignments"])}
        self.run.learn({"wave": wave, "answer": answer})
        self.made = build_report(self.run)
        return self.made

    def after(self, held: dict[str, list[str]]) -> dict[str, Any]:
        self.run.after = {"interfaces": [eni(eni_id, addresses) for eni_id, addresses in held.items()]}
        self.made = build_report(self.run)
        return self.made

    def recipe(self) -> list[str]:
        return [address for entry in self.made["recipe"]["assignments"] for address in entry["private_ip_addresses"]]


def test_the_recipe_never_lacks_what_may_be_gone() -> None:
    story = Story()
    assert len(story.recipe()) == 9
    failed = {"addresses": ["10.0.1.3"], "code": "NotVerified", "message": "accepted, but still there", "request_id": None}
    story.wave(1, {"interfaces": [told("eni-1", ["10.0.1.1", "10.0.1.2"], [failed])], "summary": {"failed": 1, "unassigned": 2}})
    assert len(story.recipe()) == 9
    assert "stopped after wave 1/3" in story.made["stop"]
    # Read back: the one that was said to have failed is gone after all; of the next waves nothing is.
    story.after({**story.addresses, "eni-1": []})
    assert story.recipe() == story.addresses["eni-1"]
    assert story.made["report"]["totals"]["unassigned"] == 3


def test_a_wave_that_left_no_ledger_counts_as_failed_until_it_is_read_back() -> None:
    story = Story(max_failures="100%")
    made = story.wave(1, {"failed": True, "msg": "MODULE FAILURE"})
    assert made["report"]["totals"]["failed"] == 3
    assert "MODULE FAILURE" in made["failure"]
    assert story.after({**story.addresses, "eni-1": ["10.0.1.3"]})["report"]["totals"] == {
        "interfaces": 3,
        "addresses": 9,
        "failed": 1,
        "pending": 6,
        "unassigned": 2,
        "api_calls": 0,
    }


def test_a_rehearsal_that_could_not_read_is_a_failure() -> None:
    story = Story()
    story.run.check = True
    story.made = build_report(story.run)
    refused = {"failed": True, "msg": "Nothing was changed.", "failure": {"code": "Forbidden.RAM", "message": "denied", "request_id": "1"}}
    made = story.wave(1, refused)
    assert made["report"]["outcome"] == "failed"
    assert "Forbidden.RAM: denied [request id 1]" in made["failure"]


def test_what_comes_back_after_it_was_unassigned_is_a_failure() -> None:
    story = Story(max_failures="100%")
    story.wave(1, {"interfaces": [told("eni-1", story.addresses["eni-1"])], "summary": {"failed": 0, "unassigned": 3}})
    made = story.after(story.addresses)
    assert made["report"]["totals"]["failed"] == 3
    assert story.recipe() == []


def test_waves_hold_the_pace_of_the_module() -> None:
    story = Story(wave_pause=2)
    answer = {"interfaces": [told("eni-1", story.addresses["eni-1"])], "summary": {"failed": 0, "unassigned": 3, "api_calls": 10}}
    story.run.began = story.run.started = "2999-01-01T00:00:00+00:00"
    assert story.wave(1, answer)["pause"] >= 2
    story = Story(wave_pause=2)
    story.run.began = story.made["report"]["finished"]
    paced = story.wave(1, {**answer, "invocation": {"module_args": {"calls_per_minute": 60}}})
    assert paced["pause"] in (9, 10)
    assert story.wave(2, {"interfaces": [], "summary": {}})["pause"] >= 2
    assert story.wave(3, {"interfaces": [], "summary": {}})["pause"] == 0


def test_nothing_large_or_secret_is_published() -> None:
    story = Story()
    assert set(story.made["published"]) == {"secondary_ips_unassign"}
    story.run.check = True
    assert set(build_report(story.run)["published"]) == {
        "secondary_ips_unassign",
        "unassign_secondary_ips_approved_plan",
        "unassign_secondary_ips_plan",
    }


# -- the page


def template(extension: str) -> str:
    return (ROOT / "roles" / "audit_secondary_ips" / "templates" / f"report.{extension}.j2").read_text(encoding="utf-8")


def eventful_report() -> dict[str, Any]:
    story = Story()
    story.run.info["interfaces"][1]["security_group_ids"] = ["sg-data"]
    failed = {"addresses": ["10.0.1.3"], "code": "OperationDenied", "message": HOSTILE, "request_id": "473469C7"}
    story.wave(1, {"interfaces": [told("eni-1", ["10.0.1.1", "10.0.1.2"], [failed])], "summary": {"failed": 1, "unassigned": 2}})
    return story.made["report"]


def test_markdown_takes_no_value_for_markup() -> None:
    page = render(eventful_report(), template("md"), "markdown")
    assert "<script>" not in page
    assert r"\<script\>" in page
    assert all(line.count(" | ") == 7 for line in page.splitlines() if line.startswith("| eni-"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("there is no chromium with chromedriver (on Debian: chromium, chromium-driver)")
    with Browser() as found:
        yield found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_in_a_browser(browser: Browser, tmp_path: Path, scheme: str) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(eventful_report(), template("html"), "html"), encoding="utf-8")
    browser.prefer(scheme)
    browser.open(path)

    assert browser.title() == "Unassigning secondary addresses · stopped · cn-hangzhou"
    assert set(browser.requests()) == {path.as_uri()}
    assert browser.errors() == []
    # Values are text: the hostile name is shown, and no more scripts run than the page's own.
    assert browser.value("document.scripts.length") == 1
    assert HOSTILE in browser.value("document.querySelector('#failures').innerText")
    # Failures stand first, in the page and in the table.
    assert browser.value("document.querySelector('#table tbody tr td').innerText").startswith("eni-1")
    assert browser.value("document.querySelector('#failures').offsetTop < document.querySelector('#groups').offsetTop")
    # The chart has a bar for each group, as long as its share.
    widths = browser.value(
        "[...document.querySelectorAll('#groups .bar')].map(bar => [...bar.children].filter(i => i.className != 'rest')"
        ".reduce((sum, i) => sum + i.getBoundingClientRect().width, 0))"
    )
    assert len(widths) == 2
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.1)
    # The table is filtered by words and by state.
    assert browser.shown_rows() == ["eni-1", "eni-2", "eni-3"]
    browser.type("#filter", "10.0.2 sg-data")
    assert browser.shown_rows() == ["eni-2"]
    browser.type("#filter", "")
    browser.click("button[data-state=failed]")
    assert browser.shown_rows() == ["eni-1"]
    browser.type("#filter", "eni-3")
    assert browser.shown_rows() == []
    assert browser.value("document.querySelector('#none').hidden") is False
    # Readable: text and ground are far enough apart (WCAG AA), on the page and on each kind of address.
    for selector in ("h1", ".lead", ".badge", ".tile span", ".ip.failed", ".ip.unassigned", ".ip.pending", ".why"):
        assert browser.contrast(selector) >= 4.5, (scheme, selector)
    assert browser.value("document.documentElement.scrollWidth <= window.innerWidth")
