# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings, documents, waves and reports without Ansible; and the HTML page in a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from support.browser import Browser
from support.playbook import ROOT

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._bulk import (
    DocumentError,
    allowed_failures,
    cut_waves,
    in_lines,
    make_document,
    read_document,
)
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._files import read_text, write_text
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._page import render
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import Run, build_report
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._settings import make_start, read_settings

ROLE = "unassign_secondary_ips"
HOSTILE = "<script>document.title='taken'</script>|`x`"


def options(role: str = ROLE) -> dict[str, Any]:
    path = ROOT / "roles" / role / "meta" / "argument_specs.yml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]


def read(path: str) -> str:
    return read_text(DataLoader(), path)


def settings(role: str = ROLE, **given: Any) -> dict[str, Any]:
    return read_settings({f"{role}_{name}": value for name, value in given.items()}, options(role), role, read)[0]


def saved(role: str = ROLE, **given: Any) -> dict[str, Any]:
    return read_settings({f"{role}_{name}": value for name, value in given.items()}, options(role), role, read)[1]


@pytest.mark.parametrize(
    ("name", "text", "meant"),
    [
        ("security_group_ids", "sg-1, sg-2\nsg-3\n", ["sg-1", "sg-2", "sg-3"]),
        ("security_group_ids", '["sg-1", "", "sg-2"]', ["sg-1", "sg-2"]),
        ("security_group_ids", [], []),
        ("security_group_tags", "team=web,team=shop, stage", {"team": ["web", "shop"], "stage": None}),
        ("security_group_tags", '{"team": null}', {"team": None}),
        ("security_group_tags", '["team=web"]', {"team": ["web"]}),
        ("security_group_tags", {"acs:team": None}, {"acs:team": None}),
        ("protected_tags", "{}", {}),
        ("allow_eip", "true", True),
        ("allow_eip", "False", False),
        ("max_addresses", "5", 5),
        ("approved_plan", "A" * 64, "a" * 64),
    ],
)
def test_text_of_a_survey_means_what_it_says(name: str, text: object, meant: object) -> None:
    assert settings(**{"security_group_names": "web", name: text})[name] == meant


def test_text_that_is_empty_was_not_given() -> None:
    empty = dict.fromkeys((name.removeprefix(f"{ROLE}_") for name in options()), " ")
    assert settings(**{**empty, "security_group_ids": "sg-1"}) == settings(security_group_ids=["sg-1"])
    with pytest.raises(ValueError, match="nothing is named"):
        settings(**empty)


def of_type(*types: str) -> list[str]:
    return [name.removeprefix(f"{ROLE}_") for name, option in options().items() if option["type"] in types]


@pytest.mark.parametrize("name", of_type("list", "dict"))
@pytest.mark.parametrize("blank", [",", " ,\n, ", '[""]', "[null]", [""], [" ", None], "{}", {}])
def test_what_is_given_and_names_nothing_widens_nothing(name: str, blank: Any) -> None:
    """Least of all a group: with a type or a state of ENIs beside it, the whole region would be selected."""
    if name == "protected_tags" and blank in ("{}", {}):
        assert settings(security_group_ids="sg-1", protected_tags=blank)["protected_tags"] == {}
        return
    for others in ({}, {"eni_type": "Secondary"}, {"security_group_names": "web"}):
        with pytest.raises(ValueError, match=rf"{ROLE}_{name}\b"):
            settings(**{**others, name: blank})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"securtiy_group_ids": ["sg-1"]}, "did you mean unassign_secondary_ips_security_group_ids"),
        ({"wave_size": 0}, "unassign_secondary_ips_wave_size: 0 is too small"),
        ({"wave_pause": -1}, "unassign_secondary_ips_wave_pause: -1 is too small"),
        ({"max_addresses": "many"}, "unassign_secondary_ips_max_addresses"),
        ({"max_addresses": -1}, "unassign_secondary_ips_max_addresses: -1"),
        ({"max_failures": "101%"}, "neither a count such as 10 nor a share"),
        ({"approved_plan": "abc"}, "not the digest of a plan"),
        ({"on_refusal": "ask"}, "value of unassign_secondary_ips_on_refusal must be one of"),
        ({"eni_status": "Lost"}, "value of unassign_secondary_ips_eni_status must be one of"),
        ({"report_dir": "reports"}, "unassign_secondary_ips_report_dir: 'reports' is not an absolute path"),
        ({"report_dir": 5}, "unassign_secondary_ips_report_dir: '5' is not an absolute path"),
        ({"report_dir": ["/reports"]}, "is not an absolute path"),
        ({"security_group_tags": "=web"}, "not a tag such as team=web"),
        ({"security_group_tags": "team:web"}, "unassign_secondary_ips_security_group_tags: 'team:web' is not a tag such as team=web"),
        ({"security_group_tags": "{team: "}, "can't be read"),
        ({"eni_tags": "{team: web, team: shop}"}, "no key comes twice"),
        ({"security_group_tags": {"team": 5}}, "unassign_secondary_ips_security_group_tags: the value of 'team' is 5"),
        ({"security_group_ids": "web"}, "unassign_secondary_ips_security_group_ids: 'web' is not an id such as sg-bp1example"),
        ({"keep": "192.168.0.1/24"}, "unassign_secondary_ips_keep: '192.168.0.1/24' has bits set"),
        ({"within": "here"}, "unassign_secondary_ips_within: 'here' is not an address or a CIDR block"),
        ({"excluding": "here"}, "unassign_secondary_ips_excluding: 'here' is not an address or a CIDR block"),
        ({"private_ip_addresses": "fe80::1"}, "unassign_secondary_ips_private_ip_addresses: 'fe80::1' is not an IPv4 address"),
        ({"plan": {"version": 1}, "plan_file": "/plan.json"}, "are both given"),
        ({"plan_file": "/plan.json", "excluding": "192.0.2.0/24"}, "unassign_secondary_ips_excluding: narrows the selecting"),
        ({}, "nothing is named"),
    ],
)
def test_each_wrong_variable_is_told_by_its_name(given: dict[str, Any], told: str) -> None:
    named = {} if not given or given.keys() & {"plan", "plan_file"} else {"security_group_names": "web"}
    with pytest.raises(ValueError, match=re.escape(told)):
        settings(**{**named, **given})


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="wave_size") as refused:
        settings(plan_file="/nowhere/plan.json", wave_size="many", max_failures="few", keep="here", within="there", alow_eip=True)
    for name in ("plan_file: /nowhere/plan.json: there is no such file", "wave_size", "max_failures", "keep", "within", "alow_eip"):
        assert f"{ROLE}_{name}" in str(refused.value), name


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
    (line,) = in_lines(document)
    quoted = line.replace("'", "''")
    block = yaml.safe_dump(document)
    for form in (
        document,
        [document, document],
        json.dumps(document),
        json.dumps(document, indent=1) + "\n" + json.dumps(document, indent=1),
        json.dumps([document]),
        line,
        f'ok: [localhost] => (item=1 of 2) => {{\n    "msg": "{line}"\n}}',
        # With callback_result_format=yaml.
        f"ok: [localhost] =>\n    msg: '{quoted}'",
        "msg: '" + quoted.replace(" ", "\n        ") + "'",
        # The whole output of a run.
        f'TASK [x] ***\n"msg": "{line}"\n"  failed: eni-1: no"\nRUN: {json.dumps({"recipe": document})}',
        block,
        f"{block}---\n{block}",
        block.replace("'1000000000000001'", "1000000000000001"),
    ):
        assert read_document(form) == document, form
    published = {"secondary_ips_unassign": {}, "restore_secondary_ips_recipe": document}
    for form in (published, json.dumps(published)):
        assert saved("restore_secondary_ips", recipe=form) == document


def test_the_lines_of_the_output_are_whole_in_awx() -> None:
    """Of an event's output its list shows the first 1,024 bytes, and a line needs its place in an event."""
    many = [
        {"eni_id": f"eni-bp1{number:017}", "private_ip_addresses": [f"10.255.{number}.{one}" for one in range(100, 110)]}
        for number in range(50)
    ]
    large = [{"eni_id": f"eni-bp1{90:017}", "ipv6_addresses": [f"2001:db8:1111:2222:3333:4444:5555:{one:x}" for one in range(4096, 4140)]}]
    document = make_document([*many, *large, *ASSIGNMENTS], "cn-hangzhou", "1000000000000001")
    lines = in_lines(document)
    assert max(len(line.encode()) for line in lines) < 850
    assert not any('"' in line for line in lines)
    assert read_document("\n".join(lines)) == document
    assert len(lines) < 40


@pytest.mark.parametrize("where", [slice(20, None), slice(None, -20), slice(10, 300), slice(-30, None)])
def test_a_line_that_is_cut_is_never_passed_over(where: slice) -> None:
    lines = in_lines(
        make_document([{"eni_id": f"eni-{n}", "private_ip_addresses": ["10.255.255.255"]} for n in range(30)], "cn-hangzhou", "1")
    )
    with pytest.raises(DocumentError, match="not whole"):
        read_document("\n".join([lines[0], f'    "msg": "{lines[1][where]}', *lines[2:]]))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda text: text.replace("192.168.0.20", "192.168.0.21"), "it was changed or is not whole"),
        (lambda text: text[: len(text) // 2], "can't be read"),
        (lambda text: text.replace("private_ip_addresses", "all_secondary"), "not a list of one of the kinds"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "its version is 2"),
        (lambda text: text.replace("eni-2", "i-2"), "has no eni_id"),
        (lambda text: text.replace("192.168.0.20", "192.168.0.300"), "not an IPv4 address"),
        (lambda text: "[]", "no plan or recipe in it"),
        (lambda text: "{}", "not a plan or recipe"),
        (lambda text: "", "no plan or recipe in it"),
        (lambda text: "hello", "not a plan or recipe"),
        # As block YAML one below the other: YAML would take the last.
        (lambda text: yaml.safe_dump(json.loads(text)) * 2, "can't be read"),
        (lambda text: text + text[:40], "can't be read"),
    ],
)
def test_a_spoilt_document_is_refused(spoil: Any, told: str) -> None:
    text = spoil(json.dumps(make_document(ASSIGNMENTS, "cn-hangzhou", None)))
    with pytest.raises(DocumentError, match=told):
        read_document(text)


@pytest.mark.parametrize("place", [("cn-beijing", "1000000000000001"), ("cn-hangzhou", "1000000000000002")])
def test_recipes_of_two_regions_or_accounts_are_not_joined(place: tuple[str, str]) -> None:
    recipes = [make_document(ASSIGNMENTS[:1], *where) for where in (("cn-hangzhou", "1000000000000001"), place)]
    with pytest.raises(DocumentError, match=r"more than one (region|account_id)"):
        read_document(recipes)


@pytest.mark.parametrize(("role", "kind"), [(ROLE, "plan"), ("restore_secondary_ips", "recipe")])
def test_a_source_that_is_given_and_holds_no_document_is_never_nothing(tmp_path: Path, role: str, kind: str) -> None:
    """Beside groups an empty plan would bind the run to nothing."""
    groups = {"security_group_ids": "sg-1"} if kind == "plan" else {}
    path = tmp_path / "empty.json"
    path.write_text("", encoding="utf-8")
    for given in ({f"{kind}_file": str(path)}, {kind: {}}, {kind: []}, {kind: "[]"}):
        with pytest.raises(ValueError, match=rf"{role}_{kind}.*(no plan or recipe in it|not a plan or recipe)") as refused:
            settings(role, **groups, **given)
        assert str(path) in str(refused.value) or kind in given
    empty = make_document([], "cn-hangzhou", None)
    assert saved(role, **groups, **{kind: empty}) == empty
    if groups:
        assert saved(**groups, plan=" ") == {}


def test_a_document_of_another_account_is_refused_before_any_call() -> None:
    recipe = make_document(ASSIGNMENTS, "cn-hangzhou", "1000000000000001")
    with pytest.raises(ValueError, match=r"_account_id: 1000000000000002 is given, but .*_recipe is of account 1000000000000001"):
        settings("restore_secondary_ips", recipe=recipe, account_id="1000000000000002")
    assert settings("restore_secondary_ips", recipe=recipe, account_id="1000000000000001")


def test_a_run_that_goes_on_keeps_its_recipe_beside_its_plan(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(make_document(ASSIGNMENTS, "cn-hangzhou", None)), encoding="utf-8")

    def report_dir(**given: Any) -> str:
        return make_start(ROLE, settings(plan_file=str(path), **given), saved(plan_file=str(path)), check=False)["settings"]["report_dir"]

    assert report_dir() == str(tmp_path)
    assert report_dir(report_dir="/elsewhere") == "/elsewhere"


def test_a_file_that_can_not_be_decrypted_is_not_taken_for_none(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text("$ANSIBLE_VAULT;1.1;AES256\n3832\n", encoding="utf-8")
    with pytest.raises(OSError, match="can't be read"):
        read_text(DataLoader(), str(path))


def test_a_file_is_on_the_disk_and_for_no_stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    path = tmp_path / "new" / "recipe.json"
    write_text(path, "whole")
    assert synced == [5]
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.parent.stat().st_mode & 0o027 == 0
    assert [entry.name for entry in path.parent.iterdir()] == ["recipe.json"]


def test_waves_never_cut_an_eni_and_hold_no_more_than_told() -> None:
    entries = [
        {"eni_id": f"eni-{number}", "private_ip_addresses": [f"10.0.{number}.{one}" for one in range(number)]} for number in range(1, 9)
    ]
    waves = cut_waves(make_document(entries, None, None), 7)
    assert [wave["addresses"] for wave in waves] == [6, 4, 5, 6, 7, 8]
    assert waves[2]["label"] == "wave 3/6 · 15 of 36 addresses"
    assert [entry["eni_id"] for wave in waves for entry in wave["assignments"]] == [f"eni-{number}" for number in range(1, 9)]


def lists(addresses: list[str]) -> dict[str, list[str]]:
    return {"private_ip_addresses": addresses, "ipv4_prefixes": [], "ipv6_addresses": [], "ipv6_prefixes": []}


def eni(eni_id: str, held: list[str], group: str = "sg-web") -> dict[str, Any]:
    known = {"eni_id": eni_id, "name": HOSTILE, "type": "Secondary", "status": "InUse", "instance_id": None, "owner_id": "1000000000000001"}
    known["private_ip_address"] = None
    addresses = [{"address": address, "eip": None} for address in held]
    return {**known, "security_group_ids": [group], **lists([]), "private_ip_addresses": addresses}


def told(eni_id: str, done: list[str], failed: list[dict[str, Any]] | None = None, skipped: list[dict[str, str]] | None = None) -> Any:
    return {"eni_id": eni_id, "unassigned": lists(done), "absent": lists([]), "skipped": skipped or [], "failed": failed or []}


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
        self.run.learn({"after": {"interfaces": [eni(eni_id, addresses) for eni_id, addresses in held.items()]}})
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


def test_a_rehearsal_does_not_pause() -> None:
    story = Story(wave_pause=30)
    story.run.check = True
    story.run.began = story.made["report"]["finished"]
    assert story.wave(1, {"interfaces": [], "summary": {}})["pause"] == 0


def test_nothing_large_or_secret_is_published() -> None:
    story = Story()
    assert set(story.made["published"]) == {"secondary_ips_unassign"}
    story.run.check = True
    assert set(build_report(story.run)["published"]) == {
        "secondary_ips_unassign",
        "unassign_secondary_ips_approved_plan",
        "unassign_secondary_ips_plan",
    }


@pytest.mark.parametrize(("more", "published"), [(0, True), (1, False)])
def test_plan_and_recipe_are_published_up_to_two_thousand_addresses(more: int, published: bool) -> None:
    held = [f"10.1.{number // 250}.{number % 250}" for number in range(2000 - 9 + more)]
    for check in (True, False):
        story = Story(max_failures="100%")
        story.run.check = check
        story.run.planned["interfaces"].append(told("eni-4", held))
        story.run.planned["unassigned"].append({"eni_id": "eni-4", **lists(held)})
        story.made = build_report(story.run)
        made = story.wave(1, {"interfaces": [told("eni-1", story.addresses["eni-1"])], "summary": {"failed": 0, "unassigned": 3}})
        assert ("unassign_secondary_ips_plan" in made["published"]) == (check and published)
        assert ("restore_secondary_ips_recipe" in made["published"]) == (not check and published)
        assert ("unassign_secondary_ips_approved_plan" in made["published"]) == check


def saved_plan(story: Story, **changes: Any) -> dict[str, Any]:
    assignments = [{"eni_id": eni_id, "private_ip_addresses": held} for eni_id, held in story.addresses.items()]
    return {**make_document(assignments, "cn-hangzhou", "1000000000000001"), **changes}


@pytest.mark.parametrize(
    ("changes", "settings", "told"),
    [
        ({"region": "cn-beijing"}, {}, "the saved plan is for region cn-beijing, this is cn-hangzhou"),
        ({"account_id": "1000000000000002"}, {}, "the saved plan is for account_id 1000000000000002, this is 1000000000000001"),
        (
            {},
            {"approved_plan": "0" * 64},
            f"unassign_secondary_ips_approved_plan: {'0' * 64} was approved, but the saved plan has the digest",
        ),
        ({}, {"max_addresses": 8}, "unassign_secondary_ips_max_addresses: 9 addresses would be unassigned, more than 8"),
        ({"assignments": []}, {}, "9 addresses are not in the saved plan"),
        ({}, {}, ""),
    ],
)
def test_a_saved_plan_is_done_only_where_and_as_it_was_made(changes: dict[str, Any], settings: dict[str, Any], told: str) -> None:
    story = Story(**settings)
    story.run.saved = saved_plan(story, **changes)
    made = build_report(story.run)
    assert bool(made["waves"]) == (not told)
    assert made["report"]["outcome"] == ("refused" if told else "planned")
    assert made["failure"].startswith(f"Nothing was changed. {told}" if told else "")


def test_a_plan_of_which_no_eni_exists_is_more_likely_that_of_another_account() -> None:
    story = Story()
    story.run.saved = saved_plan(story)
    nothing = {"eni_id": "", "unassigned": lists([]), "skipped": [], "failed": []}
    story.run.planned = {
        "interfaces": [{**nothing, "eni_id": eni_id, "absent": lists(held)} for eni_id, held in story.addresses.items()],
        "unassigned": [],
    }
    interfaces = story.run.info["interfaces"]
    story.run.info.update(interfaces=[], missing=list(story.addresses))
    made = build_report(story.run)
    assert "of the 3 ENIs of the saved plan none exists in cn-hangzhou" in made["failure"]
    assert "1000000000000001" in made["failure"]
    assert made["report"]["account_id"] is None
    assert {line["reason"] for row in made["report"]["interfaces"] for line in row["addresses"]} == {"the ENI does not exist"}
    assert made["recipe"]["account_id"] == "1000000000000001"
    # One that exists tells the account, and that the others are gone.
    story.run.info.update(interfaces=interfaces[:1], missing=["eni-2", "eni-3"])
    made = build_report(story.run)
    assert made["failure"] == ""
    assert made["report"]["reasons"] == [{"reason": "absent: the ENI does not exist", "addresses": 6}]


def test_what_must_not_be_touched_is_planned_and_stops_the_run_if_told_so() -> None:
    skipped = [
        {"address": "10.0.9.1", "reason": "the EIP 198.51.100.7 is bound to it (allow_eip)"},
        {"address": "10.0.9.2", "reason": "it is in keep"},
    ]
    for on_refusal, outcome in (("skip", "planned"), ("fail", "refused")):
        story = Story(on_refusal=on_refusal)
        story.run.planned["interfaces"].append(told("eni-9", [], skipped=skipped))
        made = build_report(story.run)
        assert made["report"]["outcome"] == outcome
        assert made["report"]["totals"]["skipped"] == 2
    assert made["failure"].startswith(
        "Nothing was changed. unassign_secondary_ips_on_refusal: 1 address must not be touched: eni-9 10.0.9.1: the EIP"
    )
    assert "keep" not in made["failure"]


def test_the_report_of_a_run_that_goes_on_has_the_approved_digest() -> None:
    story = Story()
    plan = saved_plan(story)
    story.run.saved, story.run.settings["approved_plan"] = plan, plan["digest"]
    del story.run.planned["interfaces"][0], story.run.planned["unassigned"][0]
    made = build_report(story.run)
    assert made["report"]["digest"] == made["report"]["approved_plan"] == plan["digest"]
    assert made["published"]["secondary_ips_unassign"]["approved_plan"] == plan["digest"]
    assert f"digest {plan['digest']}, approved {plan['digest']}" in made["text"]


def test_a_last_reading_that_failed_is_no_proof() -> None:
    story = Story(max_failures="100%")
    for number in (1, 2, 3):
        story.wave(
            number, {"interfaces": [told(f"eni-{number}", story.addresses[f"eni-{number}"])], "summary": {"failed": 0, "unassigned": 3}}
        )
    story.run.learn({"after": {"failed": True, "msg": "DescribeNetworkInterfaces failed: Forbidden.RAM: denied"}})
    made = build_report(story.run)
    assert made["report"]["outcome"] == "not verified"
    assert "not verified: DescribeNetworkInterfaces failed: Forbidden.RAM" in made["failure"]
    assert len(made["recipe"]["assignments"]) == 3


def test_an_error_on_the_way_is_why_it_stopped() -> None:
    story = Story()
    story.run.learn({"stopped": "/reports/recipe.json: it can't be read"})
    made = build_report(story.run)
    assert made["report"]["outcome"] == "stopped"
    assert made["failure"].endswith("9 pending. /reports/recipe.json: it can't be read")
    assert "/reports/recipe.json: it can't be read" in made["text"]


def test_failures_in_the_last_wave_stop_nothing_and_are_told_with_their_codes() -> None:
    story = Story(max_failures="0")
    story.addresses = {"eni-1": story.addresses["eni-1"]}
    story.run.planned = {
        "interfaces": [told("eni-1", story.addresses["eni-1"])],
        "unassigned": [{"eni_id": "eni-1", **lists(story.addresses["eni-1"])}],
    }
    story.made = build_report(story.run)
    failed = {"addresses": story.addresses["eni-1"], "code": "OperationDenied", "message": "no", "request_id": "473469C7"}
    made = story.wave(1, {"interfaces": [told("eni-1", [], [failed])], "summary": {"failed": 3, "unassigned": 0}})
    assert made["stop"] == ""
    assert made["report"]["outcome"] == "failed"
    assert "eni-1 10.0.1.1: OperationDenied: no [request id 473469C7]" in made["failure"]


def test_a_stop_is_told_with_what_failed() -> None:
    story = Story()
    failed = {"addresses": ["10.0.1.3"], "code": "OperationDenied", "message": "no", "request_id": "473469C7"}
    made = story.wave(1, {"interfaces": [told("eni-1", ["10.0.1.1", "10.0.1.2"], [failed])], "summary": {"failed": 1, "unassigned": 2}})
    assert "more than unassign_secondary_ips_max_failures=0 allows: stopped after wave 1/3" in made["failure"]
    assert "eni-1 10.0.1.3: OperationDenied: no [request id 473469C7]" in made["failure"]


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
