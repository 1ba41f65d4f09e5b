# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import group
from ansible_collections.alicloud_ops.network.plugins.plugin_utils import _documents
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import Document, DocumentError, make_document
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._last_step import read_last_step
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._packing import pack, unpack
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._render import render
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import RunView, WaveView, build_report
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._sending import secrets_of, validate_url
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._slices import artifact, merge, share_pace, slice_name, take_part

MADE = "2026-01-01T00:00:00+00:00"
ENIS = [f"eni-{number}" for number in range(1, 9)]
PLAN = make_document([{"eni_id": eni_id, **group([f"10.0.0.{eni_id[4:]}"])} for eni_id in ENIS], "cn-hangzhou", "1000000000000001", MADE)


def publish(hosts: list[str], plan: Document = PLAN, minute: int = 1, **view: Any) -> dict[str, Any]:
    """The artifact of a slice without a ledger: it refused, was interrupted, or had nothing to do."""
    document, part = take_part(plan, hosts)
    waves = [WaveView(1, 1, 1, 1, 0, 3, f"2026-01-01T00:0{minute}:00+00:00", f"2026-01-01T00:0{minute + 1}:00+00:00")]
    run = {"operation": "unassign", "region": "cn-hangzhou", "plan": document, "waves": waves, "api_calls": 3, **view}
    run |= {"started_at": f"2026-01-01T00:0{minute}:00+00:00", "finished_at": f"2026-01-01T00:0{minute + 2}:00+00:00"}
    report = build_report(RunView(**run))
    return artifact(part, document, report, document if document.addresses else None)


def finished(published: dict[str, Any]) -> dict[str, Any]:
    return {name: {**value, "outcome": "done"} for name, value in published.items()}


@given(st.lists(st.integers(0, 3), min_size=8, max_size=8))
def test_slices_together_have_the_whole_plan_and_nothing_twice(numbers: list[int]) -> None:
    parts = [take_part(PLAN, [eni_id for eni_id, mine in zip(ENIS, numbers, strict=True) if mine == number]) for number in range(4)]
    assert sorted(pair for document, _part in parts for pair in document.pairs()) == sorted(PLAN.pairs())
    assert {document.whole_digest for document, _part in parts} == {part.plan.digest for _document, part in parts} == {PLAN.digest}
    merged = merge(PLAN, {name: value for document, _part in parts for name, value in finished(publish([*document.assignments])).items()})
    assert merged.errors == []
    assert merged.recipe is not None
    assert merged.recipe.assignments == PLAN.assignments


def test_the_hosts_name_a_slice() -> None:
    assert slice_name(["eni-1", "eni-2"]) == slice_name(["eni-2", "eni-1", "eni-1"]) != slice_name(["eni-1"])
    assert len(slice_name([])) == 12


@pytest.mark.parametrize(("pace", "slices", "share"), [(300, 8, 37), (300, 75, 4), (0, 100, 0)])
def test_slices_share_the_pace(pace: int, slices: int, share: int) -> None:
    assert share_pace(pace, slices) == share
    assert share * slices <= pace


def test_a_pace_that_is_too_slow_for_a_plan_is_an_error() -> None:
    with pytest.raises(ValueError, match="use fewer slices"):
        share_pace(300, 76)


def test_errors_between_slices() -> None:
    other = replace(PLAN, region="cn-beijing")
    artifacts = finished(publish(ENIS[:3])) | finished(publish(ENIS[2:4])) | publish(ENIS[4:5], refusals=["not today"])
    artifacts |= finished(publish(ENIS[5:6], plan=other))
    artifacts["secondary_ips_slice_0"] = {**artifacts[f"secondary_ips_slice_{slice_name(ENIS[:3])}"], "enis": pack(["eni-stranger"])}
    errors = merge(PLAN, artifacts).errors
    assert len(errors) == 5
    assert "1 ENI not in the plan: eni-stranger" in errors
    assert any(f"it belongs to the plan {other.digest}, not to {PLAN.digest}" in error for error in errors)
    assert any(error.startswith("3 of 8 ENIs of the plan are in no slice that reported: eni-6, eni-7, eni-8") for error in errors)
    assert "1 ENI in more than one slice: eni-3" in errors
    assert any(error.endswith(": refused: not today") for error in errors)


def test_reports_add_up_and_render() -> None:
    merged = merge(PLAN, publish(ENIS[:4], minute=5) | publish(ENIS[4:], minute=2))
    report = merged.report
    assert report["totals"] == {"interfaces": 8, "addresses": 8, "pending": 8, "api_calls": 6}
    assert report["headline"] == "8 addresses on 8 ENIs: 8 pending"
    assert (report["started_at"], report["finished_at"]) == ("2026-01-01T00:02:00+00:00", "2026-01-01T00:07:00+00:00")
    assert [(wave["number"], wave["of"], wave["offset"]) for wave in report["waves"]] == [(1, 2, 0), (2, 2, 180)]
    assert [row["eni_id"] for row in report["interfaces"]] == ENIS
    (every,) = report["groups"]
    assert (every["interfaces"], every["pending"]) == (8, 8)
    for kind in ("json", "md", "html"):
        assert "eni-8" in render(report, kind)


def test_one_slice_alone_reports_what_one_run_would() -> None:
    (value,) = publish(ENIS).values()
    document, _part = take_part(PLAN, ENIS)
    waves = [WaveView(1, 1, 1, 1, 0, 3, "2026-01-01T00:01:00+00:00", "2026-01-01T00:02:00+00:00")]
    times = {"started_at": "2026-01-01T00:01:00+00:00", "finished_at": "2026-01-01T00:03:00+00:00"}
    alone = build_report(RunView(operation="unassign", region="cn-hangzhou", plan=document, waves=waves, api_calls=3, **times))
    assert merge(PLAN, {f"secondary_ips_slice_{value['slice']}": value}).report == {**alone, "recipe": None}


@pytest.mark.parametrize("value", ["text", {"version": 2}, {"version": 1}, {"version": 1, "enis": "eni-1", "report": "", "rows": ""}])
def test_an_artifact_of_another_kind_is_an_error(value: Any) -> None:
    with pytest.raises(DocumentError, match="secondary_ips_slice_0"):
        merge(PLAN, {"secondary_ips_slice_0": value})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"enis": pack(1)}, "it is not what a slice of this collection publishes"),
        ({"report": pack({"headline": "done"})}, "it is not what a slice of this collection publishes"),
        ({"report": pack([])}, "it is not what a slice of this collection publishes"),
        ({"outcome": None}, "it is not what a slice of this collection publishes"),
        ({"report": "secondary-ips-zlib:é"}, "report: the packed text is incomplete, or was changed"),
        ({"rows": "secondary-ips-zlib:eJw"}, "rows: the packed text is incomplete"),
        ({"enis": "eni-1"}, "enis: it does not begin with secondary-ips-zlib:"),
        ({"recipe": {"assignments": "all"}}, "recipe: it is not a plan or recipe"),
    ],
)
def test_a_changed_artifact_is_an_error_with_its_name(changed: dict[str, Any], message: str) -> None:
    ((name, value),) = publish(ENIS).items()
    wrong = {key: entry for key, entry in {**value, **changed}.items() if entry is not None}
    with pytest.raises(DocumentError, match=f"{name}: {message}"):
        merge(PLAN, {name: wrong})


def test_a_changed_list_of_enis_is_one_more_error() -> None:
    ((name, value),) = publish(ENIS).items()
    assert "1 ENI not in the plan: ['eni-1']" in merge(PLAN, {name: {**value, "enis": pack([["eni-1"], *ENIS])}}).errors


@pytest.mark.parametrize(
    "changed", [{"groups": None}, {"difference": [1]}, {"reasons": [{"state": "gone", "code": "X", "addresses": 1, "first": []}]}]
)
def test_a_changed_report_among_others_is_an_error_with_its_name_alone(changed: dict[str, Any]) -> None:
    artifacts = {**publish(ENIS[:4]), **publish(ENIS[4:])}
    first, second = sorted(artifacts)
    report = unpack(artifacts[second]["report"])[0]
    artifacts[second] = {**artifacts[second], "report": pack({**report, **changed})}
    with pytest.raises(DocumentError) as raised:
        merge(PLAN, artifacts)
    assert str(raised.value).startswith(f"{second}: it is not what a slice")
    assert first not in str(raised.value)


@pytest.mark.parametrize("changed", [{"region": None}, {"title": None}, {"outcome": 5}, {"unreadable": [{}]}, {"guests": {"hosts": 1}}])
def test_a_changed_report_that_cannot_be_shown_is_an_error_with_the_names_of_the_artifacts(changed: dict[str, Any]) -> None:
    artifacts = {**publish(ENIS[:4]), **publish(ENIS[4:])}
    for name, value in artifacts.items():
        report = {**unpack(value["report"])[0], **changed}
        artifacts[name] = {
            **value,
            "report": pack({key: entry for key, entry in report.items() if key not in changed or entry is not None}),
        }
    with pytest.raises(DocumentError, match=f"^{', '.join(artifacts)}: a report in them was changed, or is of another version"):
        read_last_step(variables(**artifacts))


@pytest.mark.parametrize("guests", ["", [], {}])
def test_a_report_with_empty_guests_is_one_without_guests(guests: Any) -> None:
    artifacts = publish(ENIS)
    (name,) = artifacts
    report = unpack(artifacts[name]["report"])[0]
    shown = [
        read_last_step(variables(**{name: {**artifacts[name], "report": pack({**report, "guests": value})}})).lines()
        for value in (None, guests)
    ]
    assert shown[0] == shown[1] != []


def test_reports_that_do_not_fit_together_are_an_error_with_all_their_names() -> None:
    """Each of them alone has the form of a report."""
    artifacts = {**publish(ENIS[:4]), **publish(ENIS[4:])}
    first, second = sorted(artifacts)
    for name, differences in ((first, {"added": []}), (second, {})):
        report = unpack(artifacts[name]["report"])[0]
        artifacts[name] = {**artifacts[name], "report": pack({**report, "difference": differences})}
    with pytest.raises(DocumentError) as raised:
        merge(PLAN, artifacts)
    assert str(raised.value).startswith(f"{first}, {second}: it is not what a slice")


# -- the last step


def variables(**more: Any) -> dict[str, Any]:
    return {"unassign_secondary_ips_plan": pack(PLAN.as_dict()), "unassign_secondary_ips_approved_digest": PLAN.digest, **more}


def test_the_last_step_fails_if_a_part_is_missing_and_publishes_what_there_is() -> None:
    step = read_last_step(variables(**finished(publish(ENIS[:4]))))
    result = step.result()
    assert result["failed"]
    assert "4 of 8 ENIs of the plan are in no slice that reported" in result["msg"]
    assert len(result["published"]["restore_secondary_ips_recipe"]["assignments"]) == 4
    assert result["published"]["secondary_ips_unassign"]["digest"] == PLAN.digest


def test_the_last_step_of_slices_of_another_plan_has_nothing_to_publish() -> None:
    step = read_last_step(variables(**finished(publish(ENIS, plan=replace(PLAN, region="cn-beijing")))))
    result = step.result()
    assert (result["failed"], result["outcome"], result["published"], step.files) == (True, "missing", {}, {})
    assert any(line.startswith("missing or failed: 8 of 8 ENIs of the plan are in no slice that reported") for line in step.lines())


def test_the_last_step_says_where_a_recipe_is_that_is_too_large_for_an_artifact(monkeypatch: pytest.MonkeyPatch) -> None:
    artifacts = finished(publish(ENIS[:4])) | finished(publish(ENIS[4:]))
    monkeypatch.setattr(_documents, "MOST_PUBLISHED", 7)  # one slice has 4
    step = read_last_step(variables(**artifacts))
    assert "restore_secondary_ips_recipe" not in step.result()["published"]
    assert len(step.report["recipe"]["assignments"]) == 8
    assert any("so it is in the JSON report" in line for line in step.lines())


def test_the_last_step_of_one_run_believes_only_its_own_plan() -> None:
    summary = {"outcome": "done", "headline": "8 addresses", "digest": PLAN.digest}
    assert "failed" not in read_last_step(variables(secondary_ips_unassign=summary)).result()
    wrong = [
        {**summary, "digest": "0" * 64},
        {**summary, "outcome": "planned"},
        {**summary, "outcome": "stopped"},
        {"outcome": "refused"},
        None,
    ]
    for each in wrong:
        step = read_last_step(variables(secondary_ips_unassign=each))
        assert step.result()["failed"]
        assert step.lines()
    for other in ("done", ["done"], {"headline": "8 addresses"}):
        with pytest.raises(DocumentError, match="secondary_ips_unassign: it is not what a run of this collection publishes"):
            read_last_step(variables(secondary_ips_unassign=other))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"unassign_secondary_ips_plan": ""}, "it is not set, so the report cannot show whether a slice is missing"),
        ({"unassign_secondary_ips_plan": "{"}, "unassign_secondary_ips_plan: line 1 cannot be read"),
        ({"unassign_secondary_ips_approved_digest": "0" * 64}, "is set, but the plan has the digest"),
        ({"unassign_secondary_ips_report_url": "ftp://reports.example.com"}, "unassign_secondary_ips_report_url: it is not a URL"),
        ({"unassign_secondary_ips_report_url": ["https://reports.example.com"]}, "unassign_secondary_ips_report_url: it is not text"),
        ({"unassign_secondary_ips_report_dir": "reports"}, "unassign_secondary_ips_report_dir: 'reports' is not an absolute path"),
        ({"unassign_secondary_ips_approved_digest": "all"}, "unassign_secondary_ips_approved_digest: 'all' is not the digest of a plan"),
    ],
)
def test_the_last_step_needs_the_approved_plan(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        read_last_step(variables(**publish(ENIS), **given) if "plan" not in next(iter(given)) else {**variables(**publish(ENIS)), **given})


def test_the_last_step_takes_a_folder_as_the_roles_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert read_last_step(variables(**publish(ENIS), unassign_secondary_ips_report_dir="~/reports")).report_dir == "/home/someone/reports"


# -- sending


@pytest.mark.parametrize(
    ("url", "is_right"),
    [
        ("https://reports.example.com/bulk/", True),
        ("https://user:secret@reports.example.com:8443/bulk?sig=abc", True),
        ("http://127.0.0.1:8080/", True),
        ("http://[::1]:8080/", True),
        ("http://localhost/", True),
        ("http://192.0.2.1/", False),
        ("http://reports.example.com/", False),
        ("file:///etc/passwd", False),
        ("reports.example.com/bulk", False),
        ("https:///bulk", False),
        ("https://reports.example.com:port/", False),
        ("https://reports.example.com/#part", False),
    ],
)
def test_a_report_is_sent_only_to_https_or_a_loopback_address(url: str, is_right: bool) -> None:
    with nullcontext() if is_right else pytest.raises(ValueError, match=r"URL|loopback"):
        validate_url(url)


def test_a_wrong_url_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="loopback") as raised:
        validate_url("http://name:pass-4711@192.0.2.1/")
    assert "4711" not in str(raised.value)


def test_the_secrets_of_a_url_are_found_and_a_short_value_is_not_a_secret() -> None:
    secrets = set(secrets_of("https://name%40:pass%2Fword@reports.example.com/bulk?part=1&signature=abcdef%3D"))
    assert {"pass%2Fword", "pass/word", "part=1&signature=abcdef%3D", "abcdef="} <= secrets
    assert "1" not in secrets
    assert set(secrets_of("https://reports.example.com/bulk/")) == set()
