# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles by real ansible-playbook. The tests compare with the state and the call log of the endpoint. After unassign and restore, its
state is the same as at the start, in every test. ``test_bulk.py`` has the tests that do not need Ansible."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret, is_encrypted
from support.bulk import Bulk, changed_by, outcomes, pairs, read_json, seed
from support.emulator import Emulator
from support.playbook import Playbooks, ansible_environment

from ansible_collections.alicloud_ops.network.plugins.plugin_utils import _bulk
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import read_document

ROLE = "alicloud_ops.network.unassign_secondary_ips"
MODULE = "alicloud_ops.network.eni_secondary_ip"
GROUP = "group/alicloud_ops.network.alicloud"
ACCOUNT, OTHER_ACCOUNT = "1000000000000001", "1000000000000002"
FAST = {"calls_per_minute": 0}
# Seconds to watch after the end of the caller. Nothing is written in this time.
SECONDS_TO_STOP = 2.5
WEB = {"security_group_ids": ["sg-web"], **FAST}
DIGEST = "unassign_secondary_ips_approved_digest"


@pytest.fixture
def playbooks(emulator: Emulator, tmp_path: Path) -> Playbooks:
    emulator.reset(seed=seed(20))
    return Playbooks(emulator, tmp_path)


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.05)


@contextmanager
def started(playbooks: Playbooks, **variables: Any) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """An unassign run in a process group of its own, and the file with its output."""
    output = playbooks.folder / f"output-{time.monotonic_ns()}.txt"
    environment = variables.pop("environment", {})
    with output.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            playbooks.command("unassign", False, variables),
            cwd=playbooks.folder,
            # Into a file, Ansible itself writes in blocks; to a terminal, as AWX gives it one, it writes each line at once.
            env={**ansible_environment(playbooks.emulator, playbooks.home), "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        try:
            yield process, output
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def recipes(playbooks: Playbooks) -> set[tuple[str, str]]:
    """All addresses in the recipes of the folder."""
    return {pair for path in playbooks.reports.glob("recipe-*.json") for pair in pairs(read_json(path))}


def in_process(playbooks: Playbooks) -> Bulk:
    """Without ansible-playbook, in the same folder: for steps before and after the run that a test is about."""
    return Bulk(playbooks.emulator, playbooks.folder)


def plan(playbooks: Playbooks, **chosen: Any) -> str:
    """The digest of a new plan."""
    digest: str = in_process(playbooks).run("unassign", check=True, **chosen)["digest"]
    return digest


def restore_all(playbooks: Playbooks, **variables: Any) -> None:
    for path in sorted(playbooks.reports.glob("recipe-*.json")):
        restored = in_process(playbooks).run("restore", recipe_file=str(path), **{"wait_timeout": 5, **FAST, **variables})
        assert not restored.get("failed"), restored["msg"]


def play(tasks: list[dict[str, Any]], **keywords: Any) -> str:
    base = {"hosts": "localhost", "connection": "local", "gather_facts": False}
    python = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    return yaml.safe_dump([{**base, "vars": python, **({"tasks": tasks} if tasks else {}), **keywords}], sort_keys=False)


def use_role(kind: str = "import_role", **keywords: Any) -> dict[str, Any]:
    return {f"ansible.builtin.{kind}": {"name": ROLE}, **keywords}


def of_each_play(output: str, count: int) -> list[str]:
    _before, *found = output.partition("PLAY RECAP")[0].split("PLAY [localhost]")
    assert len(found) == count, output
    return found


class Plays:
    """Plays that a test writes, with ``unassign_secondary_ips``."""

    def __init__(self, playbooks: Playbooks) -> None:
        self.playbooks = playbooks

    def run(self, text: str, *arguments: str, succeeds: bool = True, environment: Mapping[str, str] | None = None, **given: Any) -> str:
        path = self.playbooks.folder / "play.yml"
        path.write_text(text, encoding="utf-8")
        variables = {"report_dir": str(self.playbooks.reports), **WEB, **given}
        extra = {f"unassign_secondary_ips_{name}": value for name, value in variables.items()}
        return self.playbooks.play(str(path), *arguments, variables=extra, succeeds=succeeds, environment=environment).output


@pytest.fixture
def plays(playbooks: Playbooks) -> Plays:
    return Plays(playbooks)


# -- from plan to restore


def test_an_audit_lists_by_name_and_changes_nothing(playbooks: Playbooks) -> None:
    # A variable that narrows the selection is a guard, so empty text is an error. For all others, empty text counts as not set.
    listed = playbooks.run("audit", security_group_names="web\nlegacy\n", within="10.0.0.0/24, 10.3.0.0/24")
    report = playbooks.report("audit")
    assert listed.changed == 0
    assert "[WARNING]" not in listed.output
    assert {row["eni_id"][:7] for row in report["interfaces"]} == {"eni-web", "eni-leg", "eni-bot"}
    assert next(row for row in report["interfaces"] if row["eni_id"] == "eni-both1")["security_group_id"] == "sg-web"
    assert report["totals"]["held"] == 26
    assert "| sg-web | web | 5 |" in playbooks.report("audit", "md")
    assert "web (sg-web): 5 ENIs, 14 held" in listed.output
    assert playbooks.writes() == []


def test_all_wrong_variables_are_reported_at_once_and_no_call_is_made(playbooks: Playbooks) -> None:
    refused = playbooks.run(
        "unassign",
        succeeds=False,
        secuirty_group_ids="sg-web",
        wave_size="many",
        kinds="ipv5",
        eni_type="Third",
        allow_eip="perhaps",
        plan_file="plan.json",
    )
    for error in (
        "secuirty_group_ids: there is no such variable; did you mean unassign_secondary_ips_security_group_ids?",
        "wave_size: 'many'",
        "kinds: 'ipv5'",
        "eni_type: 'Third'",
        "allow_eip: 'perhaps'",
        "plan_file: 'plan.json' is not an absolute path",
    ):
        assert f"unassign_secondary_ips_{error}" in refused.output, error
    for machinery in ("Finalization", "Traceback", "set_fact"):
        assert machinery not in refused.output
    edited = {"version": 1, "region": "cn-hangzhou", "digest": "0" * 64, "assignments": [{"eni_id": "eni-1", "private_ip_addresses": []}]}
    refused = playbooks.run("restore", succeeds=False, recipe=edited)
    assert "restore_secondary_ips_recipe: its digest is 0000" in refused.output
    assert refused.published == {"secondary_ips_restore": {"outcome": "refused"}}
    assert playbooks.emulator.calls() == []
    # Another account than the expected one.
    refused = playbooks.run("unassign", succeeds=False, account_id=OTHER_ACCOUNT, **WEB)
    assert f"belong to account {ACCOUNT}, not to {OTHER_ACCOUNT}" in refused.output
    assert playbooks.writes() == []


def test_two_hundred_enis_planned_approved_unassigned_and_restored(playbooks: Playbooks) -> None:
    playbooks.emulator.reset(seed=seed(200))
    start = playbooks.secondary_addresses()
    chosen = {"security_group_tags": {"stage": "test"}, "keep": ["10.3.0.12"], "wave_size": 250, "account_id": ACCOUNT, **FAST}

    # Plan and report, no write.
    planned = playbooks.run("unassign", check=True, **chosen)
    plan = playbooks.report("unassign")
    assert playbooks.writes() == []
    assert plan["outcome"] == "planned"
    assert plan["totals"] == {"interfaces": 201, "addresses": 602, "planned": 601, "skipped": 1, "api_calls": plan["totals"]["api_calls"]}
    assert {group["name"]: group["interfaces"] for group in plan["groups"]} == {
        "web": 41,
        "shop": 40,
        "data": 40,
        "batch": 40,
        "legacy": 40,
    }
    assert planned.published[DIGEST] == plan["digest"]
    assert list(playbooks.reports.glob("recipe-*")) == []

    # The plan differs from the approved one, so the run stops.
    refused = playbooks.run("unassign", succeeds=False, approved_digest="0" * 64, **chosen)
    assert f"today's plan has the digest {plan['digest']}" in refused.output
    assert refused.published["secondary_ips_unassign"]["outcome"] == "refused"
    assert playbooks.writes() == []

    # The approved plan is carried out in waves, and verified.
    done = playbooks.run("unassign", approved_digest=plan["digest"], **chosen)
    waves = re.findall(r"^wave (\d/3) · (\d+) of 601 addresses · (\d+) unassigned", done.output, re.M)
    assert waves == [("1/3", "250", "250"), ("2/3", "499", "499"), ("3/3", "601", "601")]
    assert done.tasks[-2:] == ["Plan, unassign in waves and verify", "Publish the outcome for later jobs"]
    gone = changed_by(start, playbooks.secondary_addresses())
    assert len(gone) == 601
    assert ("eni-both1", "10.3.0.12") not in gone
    report = playbooks.report("unassign")
    assert report["outcome"] == "done"
    assert outcomes(report, "unassigned") == gone
    assert pairs(read_json(playbooks.saved("recipe"))) == pairs(read_json(playbooks.saved("plan", plan["digest"]))) == gone
    assert done.published["restore_secondary_ips_recipe"]["digest"] == plan["digest"]
    assert done.published["secondary_ips_unassign"]["totals"]["unassigned"] == 601
    # The plan was shown before the recipe of the first wave, and this recipe was shown before the first write ended.
    assert done.output.index(f"digest {plan['digest']}") < done.output.index("{version: 1") < done.output.index("wave 1/3")

    # The second run finds nothing to do, also under the old approval.
    written = len(playbooks.writes())
    again = playbooks.run("unassign", approved_digest=plan["digest"], **chosen)
    assert again.changed == 0
    assert playbooks.report("unassign")["outcome"] == "nothing to do"
    assert len(playbooks.writes()) == written

    # Restore: planned, done, and nothing to do the second time.
    recipe = {"recipe_file": str(playbooks.saved("recipe")), "account_id": ACCOUNT, "wave_size": 400, "wait_timeout": 5, **FAST}
    playbooks.run("restore", check=True, **recipe)
    assert len(playbooks.writes()) == written
    assert playbooks.report("restore")["totals"]["planned"] == 601
    restored = playbooks.run("restore", **recipe)
    assert restored.changed == 1
    assert playbooks.secondary_addresses() == start
    assert playbooks.run("restore", **recipe).changed == 0

    # ansible-core converts result keys that it uses itself, and warns.
    for played in (planned, done, again, restored):
        assert "[WARNING]" not in played.output


def test_the_printed_commands_run_as_they_are(playbooks: Playbooks) -> None:
    """Plan → the command that does it → (a failure) the command that goes on → the command that undoes it."""
    start = playbooks.secondary_addresses()
    playbooks.reports = playbooks.folder / "a folder with 'quotes' & spaces"

    def run_as_printed(output: str, title: str, succeeds: bool = True) -> str:
        (command,) = re.findall(rf"^{title}: (ansible-playbook .*)$", output, re.M)
        assert len(command.encode()) < 1000
        environment = ansible_environment(playbooks.emulator, playbooks.home)
        # The test runs the command in a shell, as a user does.
        asked = {"cwd": "/", "env": environment, "capture_output": True, "encoding": "utf-8", "timeout": 300}
        done = subprocess.run(["sh", "-c", command], check=False, **asked)
        assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
        return done.stdout

    tags = {"team": ["it's", 'a "b"'], "x y": None}
    planned = playbooks.run("unassign", check=True, keep=["10.3.0.12", "10.9.0.0/16"], protected_tags=tags, wave_size=5, **WEB)
    assert playbooks.writes() == []
    playbooks.emulator.faults([{"action": "write", "eni_id": "eni-web00002", "kind": "error", "code": "OperationDenied", "status": 403}])
    stopped = run_as_printed(planned.output, "To carry out exactly this plan", succeeds=False)
    assert "OperationDenied" in stopped
    assert 0 < len(changed_by(start, playbooks.secondary_addresses())) < 13
    playbooks.emulator.faults([])
    done = run_as_printed(stopped, "To continue with this plan")
    assert len(changed_by(start, playbooks.secondary_addresses())) == 13
    assert "10.3.0.12" in playbooks.secondary_addresses()["eni-both1"]
    # Nothing is restored. Otherwise the next run would look at what is present until its wait_timeout is over.
    playbooks.emulator.faults([{"action": "write", "kind": "error", "code": "OperationDenied", "status": 403}])
    failed = run_as_printed(done, "To undo it", succeeds=False)
    playbooks.emulator.faults([])
    run_as_printed(failed, "To continue this restore")
    assert playbooks.secondary_addresses() == start


# -- runs that are killed, interrupted or started twice


def kill_in_the_middle(playbooks: Playbooks, writes: int, **chosen: Any) -> tuple[set[tuple[str, str]], str]:
    """Send SIGKILL to the whole process group after ``writes`` writes. Returns the addresses that are gone soon after, and the output."""
    start = {eni_id: list(held) for eni_id, held in playbooks.secondary_addresses().items()}
    with started(playbooks, **chosen) as (process, output):
        wait_until(lambda: len(playbooks.writes()) >= writes or process.poll() is not None)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return changed_by(start, playbooks.secondary_addresses()), output.read_text(encoding="utf-8")


def test_a_killed_run_and_the_same_command_again_at_once(playbooks: Playbooks) -> None:
    start = playbooks.secondary_addresses()
    playbooks.emulator.reset(seed=seed(20), latency_ms=150)
    chosen = {"security_group_names": ["web", "shop", "data"], "wave_size": 15, "max_concurrency": 1, **FAST}
    kill_in_the_middle(playbooks, 8, **chosen)
    playbooks.run("unassign", **chosen)
    gone = changed_by(start, playbooks.secondary_addresses())
    assert len(gone) == 38
    assert gone <= recipes(playbooks)
    restore_all(playbooks)
    assert playbooks.secondary_addresses() == start


def test_a_killed_run_goes_on_by_its_plan_and_all_of_it_can_be_restored(playbooks: Playbooks) -> None:
    start = playbooks.secondary_addresses()
    playbooks.emulator.reset(seed=seed(20), latency_ms=150)
    chosen = {"security_group_names": ["web", "shop", "data", "batch", "legacy"], "wave_size": 15, "max_concurrency": 1, **FAST}
    digest = plan(playbooks, **chosen)
    _gone, shown = kill_in_the_middle(playbooks, 8, approved_digest=digest, **chosen)
    time.sleep(SECONDS_TO_STOP)
    gone = changed_by(start, playbooks.secondary_addresses())
    assert 0 < len(gone) < 62
    assert gone <= pairs(read_json(playbooks.saved("recipe", digest)))
    # The output holds the recipe of each wave that began.
    assert gone <= set(read_document(shown).pairs())

    plan_file = str(playbooks.saved("plan", digest))
    # With only the plan file: recipe and reports stay in the folder of the plan.
    playbooks.run("unassign", plan_file=plan_file, approved_digest=digest, wave_size=100, report_dir="", **FAST)
    report = playbooks.report("unassign")
    assert report["totals"]["already_absent"] == len(gone)
    assert report["digest"] == report["approved_digest"] == digest
    assert changed_by(start, playbooks.secondary_addresses()) == pairs(read_json(Path(plan_file)))
    # One recipe for both runs.
    assert pairs(read_json(playbooks.saved("recipe", digest))) == pairs(read_json(Path(plan_file)))
    assert list(playbooks.reports.glob("lock-*")) == []

    # From what the output of the killed run shows, as somebody would paste it, and then the rest.
    playbooks.run("restore", recipe=shown, wait_timeout=5, **FAST)
    assert gone.isdisjoint(changed_by(start, playbooks.secondary_addresses()))
    restore_all(playbooks)
    assert playbooks.secondary_addresses() == start


def test_a_killed_run_goes_on_while_reads_lag(playbooks: Playbooks) -> None:
    start = playbooks.secondary_addresses()
    playbooks.emulator.reset(seed=seed(20), latency_ms=100, lag_ms=6_000)
    chosen = {"wave_size": 8, "max_concurrency": 1, **WEB}
    kill_in_the_middle(playbooks, 2, **chosen)
    playbooks.run("unassign", plan_file=str(playbooks.saved("plan")), **FAST)
    assert len(changed_by(start, playbooks.secondary_addresses())) == 14
    assert recipes(playbooks) == changed_by(start, playbooks.secondary_addresses())
    # Reads also lag behind this change, so the run does not believe at once that an address is already present.
    restore_all(playbooks, wait_timeout=12)
    assert playbooks.secondary_addresses() == start


def test_of_two_concurrent_runs_one_is_refused(playbooks: Playbooks, monkeypatch: pytest.MonkeyPatch) -> None:
    start = playbooks.secondary_addresses()
    playbooks.emulator.reset(seed=seed(20), latency_ms=150)
    chosen = {"wave_size": 3, "max_concurrency": 1, "wave_pause": 30, **WEB}
    digest = plan(playbooks, **chosen)
    with started(playbooks, **chosen) as (first, output):
        wait_until(lambda: "wave 1/" in output.read_text(encoding="utf-8"))
        before = len(playbooks.writes())
        plan_file = str(playbooks.saved("plan", digest))
        # The second one waits for the first one, but here not for long.
        monkeypatch.setattr(_bulk, "PATIENCE", 1)
        second = in_process(playbooks).run("unassign", plan_file=plan_file, **FAST)
        assert second["outcome"] == "refused"
        assert "another run works on this plan (unassign, process " in second["msg"]
        assert len(playbooks.writes()) == before
        assert first.poll() is None
        os.killpg(first.pid, signal.SIGKILL)
    assert changed_by(start, playbooks.secondary_addresses()) <= recipes(playbooks)
    # The worker of the killed run is in its pause. Nevertheless the lock of the plan is free within seconds.
    playbooks.run("unassign", plan_file=plan_file, **FAST)
    restore_all(playbooks)
    assert playbooks.secondary_addresses() == start


@pytest.mark.parametrize("how", ["setting", "task"])
def test_the_timeout_of_a_task_stops_the_writes_and_leaves_the_recipe_whole(plays: Plays, how: str) -> None:
    playbooks = plays.playbooks
    start = playbooks.secondary_addresses()
    playbooks.emulator.reset(seed=seed(60), latency_ms=300)
    start = playbooks.secondary_addresses()
    chosen = {"max_concurrency": 1, "wave_size": 20, "security_group_tags": "stage", "security_group_ids": None}
    environment = {"ANSIBLE_TASK_TIMEOUT": "10"} if how == "setting" else {}
    keywords = {} if how == "setting" else {"timeout": 10}
    output = plays.run(play([use_role(**keywords)]), succeeds=False, environment=environment, **chosen)
    stopped_at = len(playbooks.writes())
    gone = changed_by(start, playbooks.secondary_addresses())
    assert 0 < stopped_at < 61
    assert gone <= recipes(playbooks)
    # Files, result and stats have what was done, although Ansible has interrupted the task.
    assert "interrupted: TaskTimeoutError" in output
    report = playbooks.report("unassign")
    assert report["outcome"] == "stopped"
    assert outcomes(report, "unassigned") <= gone <= outcomes(report, "unassigned") | outcomes(report, "failed")
    assert '"secondary_ips_unassign"' in output
    time.sleep(1)
    assert len(playbooks.writes()) == stopped_at
    restore_all(playbooks)
    assert playbooks.secondary_addresses() == start


def test_sigterm_ends_the_writes_and_the_run_goes_on(playbooks: Playbooks) -> None:
    start = playbooks.secondary_addresses()
    playbooks.emulator.reset(seed=seed(20), latency_ms=150)
    with started(playbooks, wave_size=5, max_concurrency=1, **WEB) as (process, _output):
        wait_until(lambda: len(playbooks.writes()) >= 2)
        process.terminate()
        wait_until(lambda: process.poll() is not None)
    time.sleep(SECONDS_TO_STOP)
    stopped_at = len(playbooks.writes())
    time.sleep(1)
    assert len(playbooks.writes()) == stopped_at
    assert changed_by(start, playbooks.secondary_addresses()) <= recipes(playbooks)
    (plan_file,) = playbooks.reports.glob("plan-*.json")
    assert len(list(playbooks.reports.glob("lock-*"))) == 1
    done = playbooks.run("unassign", plan_file=str(plan_file), **FAST)
    assert "An earlier run of this plan did not end (unassign, process " in done.output
    assert list(playbooks.reports.glob("lock-*")) == []
    restore_all(playbooks)
    assert playbooks.secondary_addresses() == start


# -- what a play sets


@pytest.mark.parametrize("strategy", ["free", "host_pinned"])
def test_every_strategy_works(playbooks: Playbooks, strategy: str) -> None:
    start = playbooks.secondary_addresses()
    environment = {"ANSIBLE_STRATEGY": strategy}
    done = playbooks.run("unassign", environment=environment, wave_size=5, wave_pause=1, **WEB)
    assert len(changed_by(start, playbooks.secondary_addresses())) == 14
    assert playbooks.report("unassign")["outcome"] == "done"
    assert done.published["secondary_ips_unassign"]["outcome"] == "done"
    restore_all(playbooks)
    assert playbooks.secondary_addresses() == start


@pytest.mark.parametrize("where", ["play", "block", "task"])
def test_module_defaults_apply(plays: Plays, where: str) -> None:
    start = plays.playbooks.secondary_addresses()

    def use_with(defaults: Mapping[str, Any], **keywords: Any) -> str:
        keyword = {"module_defaults": defaults}
        if where == "block":
            return play([{"block": [use_role(**keywords)], **keyword}])
        return play([use_role(**keywords)], **keyword) if where == "play" else play([use_role(**keywords, **keyword)])

    # One play after the other in one run.
    refused = [use_with({key: {"account_id": OTHER_ACCOUNT}}, ignore_errors=True) for key in (GROUP, MODULE)]
    for output in of_each_play(plays.run("".join(refused)), 2):
        assert f"belong to account {ACCOUNT}, not to {OTHER_ACCOUNT}" in output
        assert "...ignoring" in output
    assert plays.playbooks.writes() == []
    plays.run(use_with({GROUP: {"account_id": ACCOUNT}, MODULE: {"keep": ["10.3.0.12", "10.255.0.0/30"]}}))
    assert plays.playbooks.secondary_addresses()["eni-both1"] == ["10.3.0.12"]
    assert outcomes(plays.playbooks.report("unassign"), "skipped") == {("eni-both1", "10.3.0.12")}
    restore_all(plays.playbooks)
    assert plays.playbooks.secondary_addresses() == start


@pytest.mark.parametrize("where", ["play", "block", "task"])
def test_the_environment_of_play_block_and_task_applies(plays: Plays, where: str) -> None:
    """Endpoint and credentials are set nowhere else."""
    start = plays.playbooks.secondary_addresses()
    names = plays.playbooks.emulator.environment()
    keyword = {"environment": {**names, "ALIBABA_CLOUD_ACCOUNT_ID": "{{ the_account }}"}}
    variables = {"vars": {"the_account": ACCOUNT, "ansible_python_interpreter": "{{ ansible_playbook_python }}"}}
    text = {
        "play": lambda: play([use_role()], **keyword, **variables),
        "block": lambda: play([{"block": [use_role()], **keyword}], **variables),
        "task": lambda: play([use_role(**keyword)], **variables),
    }[where]()
    nothing = dict.fromkeys(names, "")
    output = plays.run(text, environment=nothing)
    assert len(changed_by(start, plays.playbooks.secondary_addresses())) == 14
    assert names["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] not in output
    restore_all(plays.playbooks)
    assert plays.playbooks.secondary_addresses() == start


def test_the_mode_of_task_block_and_role_decides_and_not_that_of_the_play(plays: Plays) -> None:
    """The report must show the mode that was really used."""
    playbooks = plays.playbooks
    start = playbooks.secondary_addresses()
    for text in (
        play([use_role(check_mode=True)]),
        play([{"block": [use_role()], "check_mode": True}]),
        play([], roles=[{"role": ROLE, "check_mode": True}]),
        play([{"ansible.builtin.include_role": {"name": ROLE, "apply": {"check_mode": True}}}]),
    ):
        plays.run(text)
        report = playbooks.report("unassign")
        assert (report["outcome"], report["check_mode"]) == ("planned", True)
        assert playbooks.writes() == []
    output = plays.run(play([use_role(check_mode=False)]), "--check")
    gone = changed_by(start, playbooks.secondary_addresses())
    assert len(gone) == 14
    assert "{version: 1" in output
    assert playbooks.report("unassign")["check_mode"] is False
    assert outcomes(playbooks.report("unassign"), "unassigned") == gone
    restore_all(playbooks)
    assert playbooks.secondary_addresses() == start


def test_a_loop_in_a_job_of_awx_warns_of_artifacts_that_are_replaced(plays: Plays) -> None:
    playbooks = plays.playbooks
    start = playbooks.secondary_addresses()
    loop = play([use_role("include_role", loop=["sg-web", "sg-shop"], loop_control={"loop_var": "the_group"})])
    group = {"security_group_ids": "{{ [the_group] }}"}
    warning = "Later jobs do not get what this job published before"
    assert warning not in plays.run(loop, "--check", **group)
    job = json.dumps({"awx_job_id": 7})
    planned = " ".join(plays.run(loop, "--check", "-e", job, **group).split())
    assert warning in planned
    assert "To undo that run" not in planned
    shown = plays.run(loop, "-e", job, **group)
    output = " ".join(shown.split())
    first, last = (read_json(path) for path in sorted(playbooks.reports.glob("recipe-*"), key=lambda path: path.stat().st_mtime_ns))
    assert f"{warning} for cn-hangzhou, digest {first['plan']}, because" in output
    assert output.count(warning) == 1
    assert "secondary_ips_unassign, restore_secondary_ips_recipe. To undo that run, use its recipe lines in this output." in output
    # What the warning names is there: the lines of the first run restore it.
    lines = [line for line in shown.splitlines() if line.startswith("{version: 1") and first["plan"] in line]
    assert pairs(read_document("\n".join(lines)).as_dict()) == pairs(first)
    assert pairs(last).isdisjoint(pairs(first))
    restore_all(playbooks)
    assert playbooks.secondary_addresses() == start


def test_no_log_shows_nothing_of_the_run(plays: Plays) -> None:
    start = plays.playbooks.secondary_addresses()
    for keywords in ({"no_log": True}, {"no_log": True, "ignore_errors": True}):
        output = plays.run(play([use_role(**keywords)]), "-vv", wave_size=5)
        for shown in ("eni-web", "10.3.0.1", "digest", "wave 1", "sg-web", "recipe-", "part: 1 of"):
            assert shown not in output, shown
    assert len(changed_by(start, plays.playbooks.secondary_addresses())) == 14
    restore_all(plays.playbooks)
    assert plays.playbooks.secondary_addresses() == start


def test_many_hosts_are_a_clear_error(plays: Plays) -> None:
    output = plays.run(play([use_role()], hosts="all"), "-i", "one,other,", succeeds=False)
    assert "use one host, such as localhost" in output
    assert plays.playbooks.emulator.calls() == []


@pytest.mark.parametrize("keywords", [{}, {"strategy": "free"}, {"serial": 1}, {"any_errors_fatal": True}], ids=str)
def test_with_run_once_one_host_does_the_work_of_all(plays: Plays, keywords: dict[str, Any]) -> None:
    output = plays.run(play([use_role(run_once=True, delegate_to="localhost")], hosts="all", **keywords), "-i", "one,other,third,")
    assert output.count("done: 14 addresses on 5 ENIs: 14 unassigned") == 1
    assert output.count("already absent") == 0
    assert len(list(plays.playbooks.reports.glob("unassign-*.json"))) == 1
    restore_all(plays.playbooks)


def test_a_link_to_a_plan_leads_to_its_folder(playbooks: Playbooks) -> None:
    """The lock of the plan, and the mark of a used approval, are there."""
    start = playbooks.secondary_addresses()
    digest = playbooks.run("unassign", check=True, **WEB).published[DIGEST]
    links = playbooks.folder / "links"
    links.mkdir()
    (links / "latest.json").symlink_to(playbooks.saved("plan", digest))
    given = {"plan_file": str(links / "latest.json"), "approved_digest": digest, "report_dir": "", **FAST}
    playbooks.run("unassign", **given)
    assert [path.name for path in links.iterdir()] == ["latest.json"]
    restore_all(playbooks)
    assert playbooks.secondary_addresses() == start
    assert (
        "the approval was used" in playbooks.run("unassign", succeeds=False, **{**given, "plan_file": str(playbooks.saved("plan"))}).output
    )


TYPED = {
    "security_group_ids": ["sg-web"],
    "keep": ["10.3.0.12"],
    "max_addresses": 13,
    "allow_eip": False,
    "wave_size": 5,
    "kinds": ["private_ip_addresses"],
    "require_approval": False,
    "protected_tags": {"team": "db"},
}
TEXT = {
    "security_group_ids": "sg-web\n",
    "keep": "10.3.0.12",
    "max_addresses": "13",
    "allow_eip": "false",
    "wave_size": "5",
    "kinds": "private_ip_addresses",
    "require_approval": "false",
    "protected_tags": "team=db",
    **dict.fromkeys(("plan", "approved_digest", "region", "report_url"), ""),
}


@pytest.mark.parametrize("given", [TYPED, TEXT], ids=["typed", "text"])
def test_every_way_to_use_the_role_takes_the_same_input(plays: Plays, given: dict[str, Any]) -> None:
    text = "".join((play([], roles=[ROLE]), play([use_role()]), play([use_role("include_role")])))
    output = plays.run(text, "--check", **given)
    digests = {re.search(r"^digest ([0-9a-f]{64})$", shown, re.M)[1] for shown in of_each_play(output, 3)}
    digests.add(plays.playbooks.run("unassign", check=True, **FAST, **given).published[DIGEST])
    assert len(digests) == 1
    assert plays.playbooks.report("unassign")["totals"]["planned"] == 13
    assert plays.playbooks.writes() == []


def test_variables_may_be_templates_and_survey_text_is_never_a_template(plays: Plays) -> None:
    # An omitted variable counts as not set, as for a module.
    defaults = {MODULE: {"keep": "{{ ['10.3.0.11'] }}", "max_addresses": "{{ nothing | default(omit) }}"}}
    text = play(
        [
            use_role(
                vars={
                    "unassign_secondary_ips_keep": "{{ [the_address] }}",
                    "unassign_secondary_ips_report_url": "{{ nothing | default('') }}",
                    "unassign_secondary_ips_within": "{{ nothing | default(omit) }}",
                }
            )
        ],
        module_defaults=defaults,
        vars={"the_address": "10.3.0.12", "ansible_python_interpreter": "{{ ansible_playbook_python }}"},
    )
    plays.run(text, "--check")
    assert outcomes(plays.playbooks.report("unassign"), "skipped") == {("eni-both1", "10.3.0.11"), ("eni-both1", "10.3.0.12")}


def test_what_was_done_is_in_the_result_and_the_stats_after_a_failure(plays: Plays) -> None:
    playbooks = plays.playbooks
    start = playbooks.secondary_addresses()
    playbooks.emulator.faults([{"action": "write", "eni_id": "eni-web00002", "kind": "error", "code": "OperationDenied", "status": 403}])
    rescue = [
        {
            "ansible.builtin.debug": {
                "msg": "RESCUED {{ unassign_secondary_ips_result.totals.unassigned }} {{ unassign_secondary_ips_result.outcome }}"
            }
        },
        {"ansible.builtin.fail": {"msg": "{{ unassign_secondary_ips_result.msg }}"}},
    ]
    output = plays.run(play([{"block": [use_role()], "rescue": rescue}]), succeeds=False, wave_size=5)
    gone = changed_by(start, playbooks.secondary_addresses())
    assert 0 < len(gone) < 14
    assert f"RESCUED {len(gone)} stopped" in output
    stats = json.loads(re.search(r"RUN: (\{.*\})", output)[1])
    assert stats["secondary_ips_unassign"]["totals"]["unassigned"] == len(gone)
    assert gone <= pairs(stats["restore_secondary_ips_recipe"])
    playbooks.emulator.faults([])
    restore_all(playbooks)
    assert playbooks.secondary_addresses() == start


def test_a_plan_that_is_encrypted_with_vault_stays_encrypted(playbooks: Playbooks) -> None:
    start = playbooks.secondary_addresses()
    digest = plan(playbooks, **WEB)
    secret = VaultSecret(b"open sesame")
    vaulted = playbooks.folder / "vaulted" / "plan.json"
    vaulted.parent.mkdir()
    vaulted.write_bytes(VaultLib([("default", secret)]).encrypt(playbooks.saved("plan", digest).read_bytes(), secret))
    password = playbooks.folder / "password"
    password.write_text("open sesame", encoding="utf-8")
    environment = {"ANSIBLE_VAULT_PASSWORD_FILE": str(password)}
    assert "it cannot be read" in playbooks.run("unassign", succeeds=False, plan_file=str(vaulted), report_dir="", **FAST).output
    playbooks.run("unassign", environment=environment, plan_file=str(vaulted), report_dir="", **FAST)
    assert len(changed_by(start, playbooks.secondary_addresses())) == 14
    files = list(vaulted.parent.iterdir())
    assert len(files) == 6  # the plan as it was, and as it is saved, the recipe and three reports
    assert all(is_encrypted(path.read_bytes()) for path in files)
    (recipe,) = vaulted.parent.glob("recipe-*")
    playbooks.run("restore", environment=environment, recipe_file=str(recipe), report_dir=str(vaulted.parent), **FAST)
    assert all(is_encrypted(path.read_bytes()) for path in vaulted.parent.iterdir())
    assert playbooks.secondary_addresses() == start


def test_a_url_never_masks_a_part_of_a_recipe(playbooks: Playbooks) -> None:
    """Each value of its query may be a secret, such as the region here. The file, the artifact and the lines still restore all."""
    start = playbooks.secondary_addresses()
    url = "http://127.0.0.1:9/?region=cn-hangzhou&account=1000000000000001&kind=private_ip_addresses"
    done = playbooks.run("unassign", report_url=url, **WEB)
    assert "account=" not in done.output
    gone = changed_by(start, playbooks.secondary_addresses())
    file = read_document(playbooks.saved("recipe").read_text(encoding="utf-8"))
    artifact = read_document(done.published["restore_secondary_ips_recipe"])
    lines = read_document(done.output)
    assert {*file.pairs()} == {*artifact.pairs()} == {*lines.pairs()} == gone
    assert read_document(playbooks.saved("plan").read_text(encoding="utf-8")).digest == file.plan
    restore_all(playbooks)
    assert playbooks.secondary_addresses() == start


def test_without_a_folder_the_files_are_in_the_state_folder(playbooks: Playbooks) -> None:
    start = playbooks.secondary_addresses()
    state = playbooks.folder / "state"
    done = playbooks.run("unassign", environment={"XDG_STATE_HOME": str(state)}, report_dir="", **WEB)
    (recipe,) = (state / "alicloud_ops.network").glob("recipe-*.json")
    assert f"restore recipe: {recipe}" in done.output
    assert shlex.quote(f"restore_secondary_ips_recipe_file={recipe}") in done.output
    playbooks.run("restore", recipe_file=str(recipe), **FAST)
    assert playbooks.secondary_addresses() == start


CANARY = "10.77.66.55"


def vaulted(text: str) -> str:
    """The value as ``ansible-vault encrypt_string`` makes it, for a file of variables."""
    secret = VaultSecret(b"open sesame")
    lines = VaultLib([("default", secret)]).encrypt(text, secret).decode().splitlines()
    return "\n".join(["!vault |", *(f"      {line}" for line in lines)])


def test_a_variable_that_is_encrypted_with_vault_is_never_written_in_clear(plays: Plays) -> None:
    playbooks = plays.playbooks
    start = playbooks.secondary_addresses()
    (playbooks.folder / "password").write_text("open sesame", encoding="utf-8")
    environment = {"ANSIBLE_VAULT_PASSWORD_FILE": str(playbooks.folder / "password")}
    planned = playbooks.run("unassign", check=True, within=["10.3.0.12/32"], **WEB)
    document = playbooks.saved("plan", planned.published[DIGEST])
    before = set(playbooks.reports.iterdir())

    def run(variables: str, succeeds: bool = False, **keywords: Any) -> str:
        (playbooks.folder / "variables.yml").write_text(f"hidden: {vaulted(CANARY)}\n{variables}\n", encoding="utf-8")
        return plays.run(play([use_role()], vars_files=["variables.yml"], **keywords), "-vvvv", environment=environment, succeeds=succeeds)

    for name, value in {
        "keep": vaulted(CANARY),
        "within": "[10.3.0.12, '{{ hidden }}']",
        "excluding": "'{{ [hidden] }}'",
        "protected_tags": f"\n    team: {vaulted(CANARY)}",
        "plan": vaulted(document.read_text(encoding="utf-8")),
    }.items():
        output = run(f"unassign_secondary_ips_{name}: {value}")
        assert f"unassign_secondary_ips_{name}: it is encrypted with Ansible Vault" in output
        assert CANARY not in output
    for key, name, value in (
        (MODULE, "keep", ["{{ hidden }}"]),
        (MODULE, "protected_tags", {"team": "{{ hidden }}"}),
        (GROUP, "region_id", "{{ hidden }}"),
    ):
        output = run("", module_defaults={key: {name: value}})
        assert f"module_defaults.{name}: it is encrypted with Ansible Vault" in output
        assert CANARY not in output
    (playbooks.folder / "variables.yml").write_text(f"unassign_secondary_ips_plan: {vaulted(document.read_text(encoding='utf-8'))}\n")
    merged = playbooks.play(
        "alicloud_ops.network.unassign_report", "-e@variables.yml", variables={}, environment=environment, succeeds=False
    )
    assert "unassign_secondary_ips_plan: it is encrypted with Ansible Vault" in merged.output
    assert playbooks.writes() == []
    assert set(playbooks.reports.iterdir()) == before
    # A secret may be encrypted, and so may the login.
    access_key_id, secret = (playbooks.emulator.environment()[f"ALIBABA_CLOUD_ACCESS_KEY_{part}"] for part in ("ID", "SECRET"))
    run(
        f"unassign_secondary_ips_report_url: {vaulted('http://deploy:s3cr3t-4711@127.0.0.1:9/')}\nkey: {vaulted(secret)}",
        succeeds=True,
        environment={"CANARY_OF_THE_TEST": "{{ key }}"},
        module_defaults={GROUP: {"access_key_id": access_key_id, "secret_key": "{{ key }}"}},
    )
    assert len(changed_by(start, playbooks.secondary_addresses())) == 14
    assert not any("s3cr3t-4711" in path.read_text(encoding="utf-8") for path in playbooks.reports.iterdir())
    restore_all(playbooks)
    assert playbooks.secondary_addresses() == start
