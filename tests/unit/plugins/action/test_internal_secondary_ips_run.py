# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the action adds to a bulk run: what it takes from task and play, and what it shows. Its runs are in tests/integration."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import EncryptedString, VaultLib, VaultSecret, VaultSecretsContext
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader
from ansible.template import Templar, trust_as_template

from ansible_collections.alicloud_ops.network.plugins.action import internal_secondary_ips_run as action
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import publishable
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._folder import FolderError
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import build_report
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._slices import artifact, take_part
from ansible_collections.alicloud_ops.network.tests.unit.plugins.plugin_utils.report_builders import document, run_of

NAME = "alicloud_ops.network.internal_secondary_ips_run"
LOGIN = {"access_key_id": "example-id", "access_key_secret": "example-secret", "region": "cn-hangzhou"}
PUBLISHED = {"secondary_ips_unassign": {"outcome": "done"}, "restore_secondary_ips_recipe": {"assignments": []}}
DONE: dict[str, Any] = {"outcome": "done", "region": "cn-hangzhou", "digest": "2" * 64, "files": {}, "published": PUBLISHED}
UNASSIGN = {"unassign_secondary_ips_security_group_ids": "sg-web"}


class Play:
    """``run("unassign", variables, no_log=True)``: a task of a play. ``lines``: what it shows. ``settings``: of its bulk run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.settings: Any = None
        self.environ: dict[str, str] = {}
        self.files: dict[str, str] = {}

    def bulk_run(self, settings: Any, _ecs: Any, _folder: Any, say: Any, _mask: Any, **_more: Any) -> Any:
        def run() -> dict[str, Any]:
            self.settings, self.environ = settings, dict(os.environ)
            say("wave 1/1")
            return {**DONE, "published": dict(PUBLISHED), "files": self.files}

        return SimpleNamespace(run=run)

    def run(self, operation: str, variables: Any, **keywords: Any) -> dict[str, Any]:
        loader = DataLoader()
        arguments = {} if operation == action.MERGE else LOGIN
        task = Task.load({NAME: {"operation": operation, **arguments}, **keywords}, loader=loader)
        connection = connection_loader.get("local", PlayContext())
        made = action.ActionModule(task, connection, PlayContext(), loader, Templar(loader=loader))
        role = "unassign" if operation == action.MERGE else operation
        folder = {f"{role}_secondary_ips_report_dir": str(self.folder)}
        return made.run(task_vars={**folder, **variables})


@pytest.fixture
def play(tmp_path, monkeypatch):
    play = Play(tmp_path)
    monkeypatch.setattr(action, "BulkRun", play.bulk_run)
    monkeypatch.setattr(action.Display, "display", lambda _display, line: play.lines.append(line))
    return play


# -- what it takes from task and play


def test_a_run_gets_defaults_and_environment_of_its_task_and_leaves_the_environment_as_it_was(play, monkeypatch):
    monkeypatch.setenv("KEPT", "before")
    result = play.run(
        "unassign",
        UNASSIGN,
        environment=[{"KEPT": "of the task", "ADDED": 1}],
        module_defaults=[
            {action.CHANGE_MODULE: {"keep": ["192.0.2.1"], "wait_timeout": 7}},
            {action.CHANGE_MODULE: {"keep": [trust_as_template("192.0.2.{{ 1 + 1 }}")]}},
            {"ansible.builtin.copy": {"src": "of no interest"}},
        ],
    )
    assert result == {**DONE, "changed": False}
    request = play.settings.request
    assert ([str(block) for block in request.keep], request.wait_timeout) == (["192.0.2.2/32"], 7)
    assert (play.environ["KEPT"], play.environ["ADDED"]) == ("of the task", "1")
    assert os.environ["KEPT"] == "before"
    assert "ADDED" not in os.environ


HOSTS = {"ansible_play_hosts_all": ["one", "other"], "ansible_play_hosts": ["one", "other"]}


@pytest.mark.parametrize(
    ("host", "once", "outcome"),
    [("one", False, "refused"), ("other", False, "refused"), ("one", True, "done"), ("other", True, "skipped")],
)
def test_of_several_hosts_one_does_the_work_of_all_or_nothing_is_done(play, host, once, outcome):
    result = play.run("unassign", {**UNASSIGN, **HOSTS, "inventory_hostname": host}, run_once=once)
    assert ("skipped" if result.get("skipped") else result["outcome"]) == outcome
    assert result.get("failed", False) == (outcome == "refused")
    assert bool(play.settings) == (outcome == "done")
    if outcome == "refused":
        assert "the play has ['one', 'other']" in result["msg"]
        assert result["published"] == {"secondary_ips_unassign": {"outcome": "refused"}}


def test_without_the_sdk_the_task_fails_with_the_name_of_the_package(play, monkeypatch):
    monkeypatch.setitem(sys.modules, "alibabacloud_ecs20140526.client", None)
    result = play.run("unassign", UNASSIGN)
    assert (result["failed"], result["changed"], play.settings) == (True, False, None)
    assert "alibabacloud-ecs20140526" in result["msg"]
    assert "requirements.txt of this collection" in result["msg"]


# -- what it shows


def test_with_no_log_nothing_is_shown_or_published(play):
    assert "published" not in play.run("unassign", UNASSIGN, no_log=True)
    assert play.lines == []
    assert play.run("unassign", UNASSIGN)["published"] == PUBLISHED
    assert play.lines == ["wave 1/1"]


URL = {"unassign_secondary_ips_report_url": "https://reports.example.com/bulk/"}


@pytest.mark.parametrize(
    ("names", "encrypted", "sent", "line"),
    [
        (
            ["report.json", "page.html"],
            False,
            {"json": ("report.json", "text of report.json"), "html": ("page.html", "text of page.html")},
            "",
        ),
        (["report.json"], False, {"json": ("report.json", "text of report.json")}, ""),
        ([], False, {}, "The report was not sent, because it could not be written."),
        (["report.json"], True, None, "The report was not sent, because the plan or recipe is encrypted with Ansible Vault."),
    ],
)
def test_the_reports_that_were_written_are_sent_unless_they_are_encrypted(play, monkeypatch, names, encrypted, sent, line):
    calls = []
    monkeypatch.setattr(action, "send", lambda _url, texts: (calls.append(texts), [f"report, {kind}" for kind in texts])[1])
    monkeypatch.setattr(action.Folder, "encrypts", lambda _folder: encrypted)
    for name in names:
        (play.folder / name).write_text(f"text of {name}", encoding="utf-8")
    play.files = {"json": str(play.folder / "report.json"), "html": str(play.folder / "page.html")}
    play.run("unassign", {**UNASSIGN, **URL})
    assert calls == ([] if sent is None else [sent])
    assert play.lines == ["wave 1/1", *([line] if line else [f"report, {kind}" for kind in sent])]


BEFORE = {"region": "cn-beijing", "digest": "1" * 64, "published": PUBLISHED}


@pytest.mark.parametrize(
    ("earlier", "expected"),
    [
        (
            BEFORE,
            ["cn-beijing, digest 1111", "secondary_ips_unassign, restore_secondary_ips_recipe. To undo that run, use its recipe lines"],
        ),
        ({**BEFORE, "published": {"secondary_ips_unassign": {}}}, ["names: secondary_ips_unassign. Launch a job"]),
        ({**BEFORE, "published": {"of_another_role": {}}}, []),
        ({**BEFORE, "published": None}, []),
        ({**BEFORE, "digest": DONE["digest"]}, []),
        ({"skipped": True}, []),
        (None, []),
    ],
)
def test_in_awx_a_second_run_of_a_job_warns_of_what_it_replaces(play, earlier, expected):
    result = play.run("unassign", {**UNASSIGN, "awx_job_id": 7, "unassign_secondary_ips_result": earlier})
    assert len(result["warnings"]) == bool(expected)
    assert all(part in result["warnings"][0] for part in expected)
    assert "warnings" not in play.run("unassign", {**UNASSIGN, "unassign_secondary_ips_result": earlier})


# -- the last step of a workflow


def artifacts():
    plan = document({"eni-1": ["192.168.0.10"]})
    mine, part = take_part(plan, ["eni-1"])
    report = {**build_report(run_of("unassign", plan=mine)), "outcome": "done"}
    return {
        "unassign_secondary_ips_plan": publishable(plan),
        "unassign_secondary_ips_approved_digest": plan.digest,
        **artifact(part, mine, report, mine),
    }


def test_the_last_step_writes_and_sends_the_report_of_all_slices(play, monkeypatch):
    sent = {}
    monkeypatch.setattr(action, "send", lambda _url, texts: (sent.update(texts), ["sent"])[1])
    result = play.run(action.MERGE, {**artifacts(), **URL})
    assert (result.get("failed"), result["outcome"], set(result["published"])) == (None, "done", set(PUBLISHED))
    assert set(result["files"]) == {"json", "md", "html"}
    assert {kind: Path(result["files"][kind]).read_text(encoding="utf-8") for kind in sent} == {
        kind: text for kind, (_name, text) in sent.items()
    }
    assert set(sent) == {"json", "html"}
    assert play.lines[-1] == "sent"


def test_a_folder_that_cannot_be_written_to_does_not_change_the_outcome_of_the_last_step(play, monkeypatch):
    def refuse(_folder):
        raise FolderError("this folder cannot be written to")

    monkeypatch.setattr(action.Folder, "prove_writable", refuse)
    result = play.run(action.MERGE, artifacts())
    assert (result.get("failed"), result["outcome"], result["files"]) == (None, "done", {})
    assert any("The report could not be written: this folder cannot be written to" in line for line in play.lines)


def test_the_last_step_does_not_read_an_encrypted_plan(play, monkeypatch):
    """It would be in clear in the output. The play has its password."""
    secrets = [("prod", VaultSecret(b"correct horse"))]
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext(secrets))
    given = artifacts()
    hidden = VaultLib(secrets).encrypt(json.dumps(given["unassign_secondary_ips_plan"]), secrets[0][1]).decode()
    result = play.run(action.MERGE, {**given, "unassign_secondary_ips_plan": EncryptedString(ciphertext=hidden)})
    assert result["failed"]
    assert result["msg"].startswith("unassign_secondary_ips_plan: it is encrypted with Ansible Vault")
    assert list(play.folder.iterdir()) == []


# -- after the play has ended


@pytest.mark.parametrize(("is_waiting", "ends"), [(True, False), (False, True)])
def test_a_run_that_nobody_waits_for_ends_its_process(monkeypatch, is_waiting, ends):
    looked, ended = threading.Event(), threading.Event()

    def look():
        looked.set()
        return is_waiting

    monkeypatch.setattr(action, "SECONDS_BETWEEN_CHECKS", 0.001)
    monkeypatch.setattr(action, "SECONDS_TO_CLOSE", 0.001)
    monkeypatch.setattr(action.os, "_exit", lambda code: ended.set() if code == 1 else None)
    with action._ending_with(SimpleNamespace(is_waiting=look)):
        assert looked.wait(10)
        assert ended.wait(10 if ends else 0.05) is ends


def test_a_run_that_ends_in_time_by_itself_is_not_ended(monkeypatch):
    looked, ended = threading.Event(), threading.Event()
    monkeypatch.setattr(action, "SECONDS_BETWEEN_CHECKS", 0.001)
    monkeypatch.setattr(action.os, "_exit", lambda _code: ended.set())
    threads = set(threading.enumerate())
    with action._ending_with(SimpleNamespace(is_waiting=lambda: bool(looked.set()))):
        assert looked.wait(10)
        (watch,) = set(threading.enumerate()) - threads
    watch.join(10)
    assert not watch.is_alive()
    assert not ended.is_set()


@pytest.mark.parametrize("is_waiting", [True, False])
def test_a_play_that_takes_no_more_lines_ends_the_run(monkeypatch, is_waiting):
    """The program that reads the output has ended, as ``head`` does, and the play has not noticed it."""
    monkeypatch.setattr(action, "SECONDS_TO_TAKE", 0.05)
    monkeypatch.setattr(action, "Display", lambda: SimpleNamespace(_final_q=SimpleNamespace(empty=lambda: False)))
    caller = SimpleNamespace(is_waiting=lambda: is_waiting, check_next_time=lambda: None)
    if is_waiting:
        with pytest.raises(action.CallerGone, match="has shown no line for"):
            action._wait_until_shown(caller)
    else:
        action._wait_until_shown(caller)
