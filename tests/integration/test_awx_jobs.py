# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The jobs of the AWX kit, run as AWX runs them: it passes their artifacts on, cancels them and launches them again."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.awx import SHOWN_BYTES, Awx, answers
from support.bulk import Bulk
from support.emulator import Emulator
from support.playbook import secondary_addresses

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import read_document
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._settings import SettingsError
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._variables import name_questions

GROUPS = "pods\nweb\n"


def seed(count: int = 16) -> dict[str, Any]:
    generated = {"count": count, "private_ip_addresses": 3, "vswitch_id": "vsw-app"}
    return {
        "region": "cn-hangzhou",
        "account": "1000000000000001",
        "vswitches": [{"id": "vsw-app", "vpc_id": "vpc-main", "cidr": "10.10.0.0/16"}],
        "security_groups": [{"id": f"sg-{name}", "vpc_id": "vpc-main", "name": name} for name in ("web", "pods")],
        "generate": [{**generated, "prefix": name, "security_group_ids": [f"sg-{name}"]} for name in ("web", "pods")],
    }


@pytest.fixture
def awx(emulator: Emulator, tmp_path: Path) -> Awx:
    emulator.reset(seed=seed())
    return Awx(emulator, tmp_path)


def recipe_lines(shown: list[str]) -> list[str]:
    return [line for line in re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(shown)).splitlines() if "{version: 1" in line]


def test_plan_approve_unassign_report_restore(awx: Awx) -> None:
    emulator = awx.emulator
    start = secondary_addresses(emulator)
    chosen = answers("unassign", security_group_names=GROUPS, within="10.10.0.0/16, 192.168.0.96/27")

    planned = awx.launch("unassign", chosen, check=True)
    assert planned.status == "successful", planned.output
    assert planned.artifacts["secondary_ips_unassign"]["totals"]["planned"] == 96
    assert emulator.calls(writes=True) == []
    # What the approver sees: the same text as the job shows, in lines that AWX shows whole.
    text = planned.artifacts["unassign_secondary_ips_plan_text"].splitlines()
    assert text[2] == f"digest {planned.artifacts['unassign_secondary_ips_approved_digest']}"
    assert set(text) <= set(re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(planned.shown)).splitlines())
    assert all(len(line.encode()) < SHOWN_BYTES for line in text)

    # No artifact, no write.
    refused = awx.launch("unassign", {**chosen, "unassign_secondary_ips_require_approval": True})
    assert refused.status == "failed"
    assert "an approval is required" in refused.output
    assert emulator.calls(writes=True) == []

    approved = {**chosen, **planned.artifacts, "unassign_secondary_ips_require_approval": True}
    done = awx.launch("unassign", approved)
    assert done.status == "successful", done.output
    assert done.artifacts["secondary_ips_unassign"]["totals"]["unassigned"] == 96
    assert "emulator-key-secret" not in json.dumps([planned.artifacts, done.artifacts]) + done.output
    # A command would name a file of the container, which is gone.
    assert done.lines("Next: ") == ["Next: To undo it, launch 'Restore secondary addresses' with the artifacts of this job."]
    assert "ansible-playbook" not in planned.output + done.output

    # The last step has what both jobs published.
    report = awx.launch("unassign_report", {**chosen, **planned.artifacts, **done.artifacts})
    assert report.status == "successful", report.output
    assert report.artifacts["restore_secondary_ips_recipe"] == done.artifacts["restore_secondary_ips_recipe"]

    # Restore from the output, as somebody pastes it into the survey. It has the same recipe as the artifact.
    shown = recipe_lines(done.shown)
    assert len(shown) > 4
    assert read_document("\n".join(shown)).as_dict()["digest"] == done.artifacts["restore_secondary_ips_recipe"]["digest"]
    restored = awx.launch("restore", answers("restore", recipe="\n".join(shown)))
    assert restored.status == "successful", restored.output
    assert restored.artifacts["secondary_ips_restore"]["totals"]["assigned"] == 96
    assert secondary_addresses(emulator) == start


def test_a_failed_job_publishes_and_its_error_names_the_question(awx: Awx) -> None:
    audited = awx.launch("audit", answers("audit", security_group_ids="sg-web,sg-nowhere"))
    assert audited.status == "failed"
    assert audited.artifacts["secondary_ips_audit"]["outcome"] == "refused"
    wrong = awx.launch("unassign", answers("unassign", security_group_names="web", within="10.10.0.1/16", max_failures="many"), check=True)
    assert wrong.status == "failed"
    output = " ".join(wrong.output.split())
    assert "unassign_secondary_ips_within (question 'Only addresses in these CIDR blocks')" in output
    assert "unassign_secondary_ips_max_failures (question 'Failures to allow')" in output
    report = awx.launch("unassign_report", {"unassign_secondary_ips_approved_digest": "all"})
    assert "unassign_secondary_ips_approved_digest (question 'Digest of the approved plan'): 'all' is not" in " ".join(
        report.output.split()
    )


def test_errors_name_the_question_whatever_finds_them(awx: Awx) -> None:
    bulk = Bulk(awx.emulator, awx.folder)

    def plan(**given: Any) -> dict[str, Any]:
        chosen = {name.removeprefix("unassign_secondary_ips_"): value for name, value in answers("unassign", **given).items()}
        return bulk.run("unassign", check=True, in_awx=True, **chosen)

    # Errors that only a read can find.
    for given, error in (
        (
            {"security_group_names": "webb"},
            "unassign_secondary_ips_security_group_names (question 'Security groups by name'): 'webb' does not",
        ),
        (
            {"security_group_names": "web", "max_addresses": 3},
            "unassign_secondary_ips_max_addresses (question 'Maximum number of addresses')",
        ),
    ):
        refused = plan(**given)
        assert refused["failed"]
        assert error in refused["msg"]
    # A missing variable, a blank guard, and a blank selector that would widen the selection. They stop the job, and do not vanish.
    for given, error in (
        ({}, "or unassign_secondary_ips_security_group_names (question 'Security groups by name') or"),
        ({"security_group_names": "web", "keep": " "}, "(question 'Addresses to keep'): is empty text"),
        ({"security_group_names": "web", "security_group_ids": ""}, "(question 'Security groups by id'): is empty text"),
    ):
        with pytest.raises(SettingsError) as refusal:
            plan(**given)
        assert error in "; ".join(map(name_questions, refusal.value.errors))
    # Other empty text counts as not set.
    assert plan(security_group_names="web", region="")["outcome"] == "planned"


def test_an_expired_approval_is_refused(awx: Awx) -> None:
    approved = awx.approved(answers("unassign", security_group_names=GROUPS))
    plan = approved["unassign_secondary_ips_plan"]
    made = datetime.now(UTC) - timedelta(hours=24, minutes=6)
    old = {**approved, "unassign_secondary_ips_plan": {**plan, "made": made.isoformat(timespec="seconds")}}
    refused = awx.launch("unassign", old)
    assert refused.status == "failed"
    assert "the approved plan was made 24.1 hours ago" in " ".join(refused.output.split())
    assert awx.emulator.calls(writes=True) == []
    assert awx.launch("unassign", {**old, "unassign_secondary_ips_approval_max_age": 25}).status == "successful"


def test_an_approval_is_valid_for_one_finished_run_if_the_folder_is_kept(awx: Awx, tmp_path: Path) -> None:
    start = secondary_addresses(awx.emulator)
    awx.environment = {"XDG_STATE_HOME": str(tmp_path / "volume")}
    chosen = answers("unassign", security_group_names=GROUPS)
    approved = awx.approved(chosen, by_job=True)
    done = awx.launch("unassign", approved)
    assert done.status == "successful", done.output
    # Nothing is left to do, so the job may be launched again.
    assert awx.launch("unassign", approved).artifacts["secondary_ips_unassign"]["outcome"] == "nothing to do"
    restored = awx.launch("restore", answers("restore", recipe=json.dumps(done.artifacts)))
    assert restored.status == "successful", restored.output
    refused = awx.launch("unassign", approved)
    assert refused.status == "failed"
    assert "the approval was used by the run that finished at" in " ".join(refused.output.split())
    assert secondary_addresses(awx.emulator) == start
    # The same addresses, planned and approved again.
    time.sleep(1)
    assert awx.launch("unassign", awx.approved(chosen, by_job=True)).status == "successful"


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGKILL], ids=["cancelled", "killed"])
def test_a_job_that_was_stopped_is_restored_from_its_output_and_goes_on_when_it_is_launched_again(
    awx: Awx, signal_number: signal.Signals
) -> None:
    emulator = awx.emulator
    emulator.reset(seed=seed(), latency_ms=60)
    start = secondary_addresses(emulator)
    approved = awx.approved(answers("unassign", security_group_names=GROUPS, wave_size=12))

    def stop_after_the_second_wave(text: str, pid: int) -> str:
        if "wave 2/8" not in text:
            return ""
        if signal_number == signal.SIGKILL:
            os.kill(pid, signal.SIGKILL)
            return ""
        return "cancel"

    # At the default pace, because the job has to be stopped in the middle.
    awx.calls_per_minute = None
    stopped = awx.launch("unassign", approved, at=stop_after_the_second_wave)
    awx.calls_per_minute = 0
    assert stopped.status in ("canceled", "failed")
    assert stopped.artifacts == {}
    # Nothing is written after the job has ended and its caller is gone.
    time.sleep(2.5)
    gone = 96 - sum(len(set(secondary_addresses(emulator)[eni_id])) for eni_id in start if eni_id in secondary_addresses(emulator))
    calls = len(emulator.calls(writes=True))
    assert 24 <= gone < 96
    time.sleep(1)
    assert len(emulator.calls(writes=True)) == calls

    report = awx.launch("unassign_report", approved)
    assert report.status == "failed"
    assert "the job after the approval has not published an outcome" in " ".join(report.output.split())

    # Only from the text that AWX shows.
    restored = awx.launch("restore", answers("restore", recipe="\n".join(recipe_lines(stopped.shown)), wait_timeout=3))
    assert restored.status == "successful", restored.output
    assert secondary_addresses(emulator) == start

    # AWX passes the same variables to a job that is launched again.
    again = awx.launch("unassign", approved)
    assert again.status == "successful", again.output
    assert again.artifacts["secondary_ips_unassign"]["totals"]["unassigned"] == 96


class Store:
    """An object store or web hook."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.status = 201
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                store.requests.append((self.path, self.headers.get("Authorization")))
                if store.status == 201:
                    store.files[self.path.partition("?")[0]] = text
                self.send_response(store.status)
                if store.status == 302:
                    self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.host = f"127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.stop()


def test_a_report_is_sent_without_showing_the_secrets_of_its_url(awx: Awx, store: Store) -> None:
    url = f"http://reporter:p%40ss-4711@{store.host}/bulk/?signature=s3cr3t-4711&part=1"
    sent = awx.launch("audit", answers("audit", security_group_names="web", report_url=url))
    assert sent.status == "successful", sent.output
    assert sorted(Path(path).suffix for path in store.files) == [".html", ".json"]
    (report,) = (json.loads(text) for path, text in store.files.items() if path.endswith(".json"))
    assert report["outcome"] == "listed"
    assert any(text.startswith("<!doctype html>") or "<html" in text for text in store.files.values())
    (credential,) = {credential for _path, credential in store.requests}
    assert base64.b64decode(credential.removeprefix("Basic ")) == b"reporter:p@ss-4711"
    assert all(path.endswith("?signature=s3cr3t-4711&part=1") for path, _credential in store.requests)
    everything = sent.output + json.dumps(sent.artifacts) + "".join(store.files.values())
    for secret in ("s3cr3t-4711", "p%40ss-4711", "p@ss-4711", "reporter:"):
        assert secret not in everything
    assert f"report, json: http://{store.host}/bulk/audit-" in sent.output


@pytest.mark.parametrize(("status", "reason"), [(403, "HTTP status 403"), (302, "HTTP status 302"), (0, "Connection refused")])
def test_a_report_that_cannot_be_sent_does_not_change_the_result(awx: Awx, store: Store, status: int, reason: str) -> None:
    store.status = status
    if status == 0:
        store.stop()
    approved = awx.approved(answers("unassign", security_group_names="web", report_url=f"http://{store.host}/bulk"))
    done = awx.launch("unassign", approved)
    assert done.status == "successful", done.output
    assert done.artifacts["secondary_ips_unassign"]["outcome"] == "done"
    assert f"{reason}. The result of the run does not depend on it." in " ".join(done.output.split())
    assert store.files == {}


@pytest.mark.parametrize("operation", ["unassign", "unassign_report"])
def test_a_wrong_url_is_not_shown(awx: Awx, operation: str) -> None:
    url = ["https://reporter:s3cr3t-4711@reports.example.com/"]
    refused = awx.launch(operation, {"unassign_secondary_ips_report_url": url})
    assert refused.status == "failed"
    assert "unassign_secondary_ips_report_url (question 'Where to send the report'): it is not text" in " ".join(refused.output.split())
    assert "s3cr3t-4711" not in refused.output


def test_a_report_is_not_sent_unencrypted_over_a_network(awx: Awx) -> None:
    url = "http://reporter:s3cr3t-4711@192.0.2.1/bulk"
    refused = awx.launch("audit", answers("audit", security_group_names="web", report_url=url))
    assert refused.status == "failed"
    assert "http is allowed only for a loopback address" in " ".join(refused.output.split())
    assert "s3cr3t-4711" not in refused.output
