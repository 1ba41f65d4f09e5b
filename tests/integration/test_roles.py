# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles by real ansible-playbook. What is expected of the service is read from its own state and call log, and after
unassigning and restoring its state is that of the start, in every test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.emulator import Emulator
from support.module import run_module
from support.playbook import Playbooks, ansible_environment

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._bulk import read_document

GROUPS = ("web", "shop", "data", "batch", "legacy")
FAST = {"calls_per_minute": 0}
# Recipe to the output, unassign, take down, recipe to the disk, stop if need be, pause: whatever the number of ENIs.
TASKS_PER_WAVE = 6


def seed(count: int, each: int = 3, groups: tuple[str, ...] = GROUPS) -> dict[str, Any]:
    """``count`` ENIs over the groups, those of the first one primary; one more is in two of the groups."""
    return {
        "region": "cn-hangzhou",
        "account": "1000000000000001",
        "vswitches": [{"id": "vsw-app", "vpc_id": "vpc-main", "cidr": "10.0.0.0/14"}],
        "security_groups": [
            {"id": f"sg-{name}", "vpc_id": "vpc-main", "name": name, "tags": {"stage": "test", "team": name}} for name in groups
        ],
        "generate": [
            {
                "prefix": name,
                "count": count // len(groups),
                "type": "Primary" if name == groups[0] else "Secondary",
                "private_ip_addresses": each,
                "vswitch_id": "vsw-app",
                "security_group_ids": [f"sg-{name}"],
            }
            for name in groups
        ],
        "interfaces": [
            {
                "id": "eni-both1",
                "vswitch_id": "vsw-app",
                "security_group_ids": [f"sg-{groups[0]}", f"sg-{groups[-1]}"],
                "primary_address": "10.3.0.10",
                "private_ip_addresses": ["10.3.0.11", "10.3.0.12"],
            }
        ],
    }


@pytest.fixture
def playbooks(emulator: Emulator, tmp_path: Path) -> Playbooks:
    emulator.reset(seed=seed(20))
    return Playbooks(emulator, tmp_path)


def changed_by(before: Mapping[str, list[str]], after: Mapping[str, list[str]]) -> set[tuple[str, str]]:
    return {(eni_id, address) for eni_id, held in before.items() for address in held if address not in after[eni_id]}


def pairs(document: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(entry["eni_id"], address) for entry in document["assignments"] for address in entry["private_ip_addresses"]}


def outcomes(report: Mapping[str, Any], state: str) -> set[tuple[str, str]]:
    return {(row["eni_id"], line["address"]) for row in report["interfaces"] for line in row["addresses"] if line["state"] == state}


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_an_audit_lists_by_name_and_changes_nothing(playbooks: Playbooks) -> None:
    listed = playbooks.run("audit", security_group_names="web\nlegacy\n", within="10.0.0.0/24, 10.3.0.0/24", excluding="", eni_type="")
    report = playbooks.report("audit")

    assert listed.changed == 0
    assert {row["eni_id"][:7] for row in report["interfaces"]} == {"eni-web", "eni-leg", "eni-bot"}
    assert next(row for row in report["interfaces"] if row["eni_id"] == "eni-both1")["security_group_id"] == "sg-web"
    assert report["totals"]["held"] == 26
    assert "| sg-web | web | 5 |" in playbooks.report("audit", "md")
    # What can't be written hides nothing: neither what is wrong, nor what is published.
    (playbooks.folder / "file").touch()
    told = playbooks.run(
        "audit",
        succeeds=False,
        security_group_names=["web", "wbe"],
        security_group_tags="team=nobody",
        report_dir=f"{playbooks.folder}/file/reports",
    )
    assert "'wbe' does not exist" in told.output
    assert "'team=nobody' does not exist" in told.output
    assert f"{playbooks.folder}/file/reports/audit-" in told.output
    assert told.published["secondary_ips_audit"]["outcome"] == "refused"


def test_what_came_between_stops_the_run_and_is_shown(playbooks: Playbooks) -> None:
    start = playbooks.held()
    chosen = {"security_group_ids": ["sg-web"], **FAST}
    digest = playbooks.run("unassign", check=True, **chosen).published["unassign_secondary_ips_approved_plan"]

    def somebody_else(state: str, eni_id: str, address: str) -> None:
        run_module(
            "eni_secondary_ip",
            {"state": state, "eni_id": eni_id, "private_ip_addresses": [address]},
            playbooks.emulator.environment(),
        )

    somebody_else("present", "eni-web00001", "10.3.0.77")
    somebody_else("absent", "eni-both1", "10.3.0.11")
    drifted = playbooks.held()
    refused = playbooks.run("unassign", succeeds=False, approved_plan=digest, **chosen)
    assert "More than approved: eni-web00001 10.3.0.77" in refused.output
    assert "No longer there: eni-both1 10.3.0.11" in refused.output
    assert playbooks.report("unassign")["difference"] == {"added": ["eni-web00001 10.3.0.77"], "removed": ["eni-both1 10.3.0.11"]}

    # With the plan beside the groups, what is more than planned stops it; the plan alone is applied to what still matches.
    plan_file = str(playbooks.saved("plan", digest))
    assert "eni-web00001 10.3.0.77" in playbooks.run("unassign", succeeds=False, plan_file=plan_file, **chosen).output
    assert playbooks.held() == drifted
    playbooks.run("unassign", plan_file=plan_file, approved_plan=digest, **FAST)
    assert playbooks.report("unassign")["totals"]["absent"] == 1
    assert playbooks.held()["eni-web00001"] == ["10.3.0.77"]

    playbooks.run("restore", recipe_file=str(playbooks.saved("recipe", digest)), **FAST)
    assert playbooks.held() == drifted
    somebody_else("absent", "eni-web00001", "10.3.0.77")
    somebody_else("present", "eni-both1", "10.3.0.11")
    assert playbooks.held() == start


def test_more_than_the_cap_is_planned_but_not_done(playbooks: Playbooks) -> None:
    refused = playbooks.run("unassign", check=True, succeeds=False, security_group_names="web", max_addresses="13", **FAST)

    assert "unassign_secondary_ips_max_addresses: 14 addresses would be unassigned, more than 13" in refused.output
    assert playbooks.report("unassign")["outcome"] == "refused"
    assert len(outcomes(playbooks.report("unassign"), "planned")) == 14
    assert "restore_secondary_ips_recipe" not in refused.published
    assert playbooks.writes() == []


def test_a_recipe_that_can_not_be_read_stops_the_run_and_stays_as_it_is(playbooks: Playbooks) -> None:
    chosen = {"security_group_ids": "sg-web", **FAST}
    digest = playbooks.run("unassign", check=True, **chosen).published["unassign_secondary_ips_approved_plan"]
    recipe = playbooks.reports / f"recipe-{digest[:12]}.json"
    recipe.write_text('{"version": 1, "assign', encoding="utf-8")

    stopped = playbooks.run("unassign", succeeds=False, **chosen)
    assert f"{recipe}: it can't be read" in stopped.output
    assert stopped.published["secondary_ips_unassign"]["outcome"] == "stopped"
    assert f"{recipe}: it can't be read" in playbooks.report("unassign")["stopped"]
    assert recipe.read_text(encoding="utf-8") == '{"version": 1, "assign'
    assert playbooks.writes() == []


def test_failures_in_a_wave_stop_the_run_and_what_was_done_can_be_restored(playbooks: Playbooks) -> None:
    start = playbooks.held()
    denied = {"action": "write", "eni_id": "eni-legacy00001", "kind": "error", "code": "OperationDenied", "status": 403}
    playbooks.emulator.faults([denied])
    chosen = {"security_group_tags": "stage=test", "wave_size": 20, **FAST}

    stopped = playbooks.run("unassign", succeeds=False, **chosen)
    gone = changed_by(start, playbooks.held())
    report = playbooks.report("unassign")
    assert "stopped after wave 2/" in stopped.output
    assert report["outcome"] == "stopped"
    assert {eni_id for eni_id, _address in outcomes(report, "failed")} == {"eni-legacy00001"}
    assert outcomes(report, "unassigned") == gone
    assert outcomes(report, "pending")
    assert report["interfaces"][0]["eni_id"] == "eni-legacy00001"
    assert report["interfaces"][0]["addresses"][0]["request_id"]
    assert pairs(read(playbooks.saved("recipe"))) == gone
    assert stopped.published["restore_secondary_ips_recipe"]["digest"] == read(playbooks.saved("recipe"))["digest"]

    # Some may fail: it goes on to the end, and fails there.
    ended = playbooks.run("unassign", succeeds=False, max_failures="20%", **chosen)
    assert playbooks.report("unassign")["outcome"] == "failed"
    assert "OperationDenied" in ended.output
    assert set(playbooks.held()["eni-legacy00001"]) == set(start["eni-legacy00001"])
    assert len(changed_by(start, playbooks.held())) == 59

    playbooks.emulator.faults([])
    recipes = [read(path) for path in playbooks.reports.glob("recipe-*.json")]
    assert len(recipes) == 2
    playbooks.run("restore", recipe=recipes, **FAST)
    assert playbooks.held() == start


def test_a_killed_run_goes_on_and_all_of_it_can_be_restored(playbooks: Playbooks) -> None:
    """SIGKILL to the whole process group, in the middle of the second wave."""
    start = playbooks.held()
    playbooks.emulator.reset(seed=seed(20), latency_ms=150)
    chosen = {"security_group_names": list(GROUPS), "wave_size": 15, "max_concurrency": 1, **FAST}
    digest = playbooks.run("unassign", check=True, **chosen).published["unassign_secondary_ips_approved_plan"]

    output = playbooks.folder / "killed.txt"
    with output.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            playbooks.command("unassign", False, {"approved_plan": digest, **chosen}),
            cwd=playbooks.folder,
            env=ansible_environment(playbooks.emulator),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + 120
        while len(playbooks.writes()) < 8 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    time.sleep(1)
    gone = changed_by(start, playbooks.held())
    assert 0 < len(gone) < 62
    assert gone <= pairs(read(playbooks.saved("recipe", digest)))
    # The ledger of the waves that ended is there too, and the output holds the recipe of each wave that began.
    assert outcomes(playbooks.report("unassign"), "unassigned") <= gone
    assert outcomes(playbooks.report("unassign"), "unassigned")
    shown = output.read_text(encoding="utf-8")
    assert gone <= pairs(read_document(shown))

    plan_file = str(playbooks.saved("plan", digest))
    # As the guide has it, with the plan alone: its recipe and reports stay where the plan is.
    playbooks.run("unassign", plan_file=plan_file, approved_plan=digest, wave_size=100, report_dir="", **FAST)
    assert playbooks.report("unassign")["totals"]["absent"] == len(gone)
    assert playbooks.report("unassign")["digest"] == playbooks.report("unassign")["approved_plan"] == digest
    assert changed_by(start, playbooks.held()) == pairs(read(Path(plan_file)))
    # One recipe for both runs.
    assert pairs(read(playbooks.saved("recipe", digest))) == pairs(read(Path(plan_file)))

    # From what the output of the killed run shows, as somebody would paste it, and then the rest.
    playbooks.run("restore", recipe=shown, **FAST)
    assert gone.isdisjoint(changed_by(start, playbooks.held()))
    playbooks.run("restore", recipe_file=str(playbooks.saved("recipe", digest)), **FAST)
    assert playbooks.held() == start


def test_what_can_not_be_restored_is_told_and_the_rest_is_restored(playbooks: Playbooks) -> None:
    start = playbooks.held()
    playbooks.run("unassign", security_group_ids="sg-web", **FAST)
    taken = start["eni-web00000"][0]
    other = {"eni_id": "eni-data00000", "private_ip_addresses": [taken]}
    run_module("eni_secondary_ip", {"state": "present", **other}, playbooks.emulator.environment())
    recipe = {"recipe_file": str(playbooks.saved("recipe")), **FAST}

    told = playbooks.run("restore", succeeds=False, **recipe)
    assert f"eni-web00000 {taken}: eni-data00000 holds it" in told.output
    assert changed_by(start, playbooks.held()) == {("eni-web00000", taken)}

    run_module("eni_secondary_ip", {"state": "absent", **other}, playbooks.emulator.environment())
    playbooks.run("restore", **recipe)
    assert playbooks.held() == start


def test_all_wrong_variables_are_told_at_once_and_no_call_is_made(playbooks: Playbooks) -> None:
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
    for told in (
        "unassign_secondary_ips_secuirty_group_ids: there is no such variable; did you mean unassign_secondary_ips_security_group_ids?",
        "unassign_secondary_ips_wave_size",
        "ipv5",
        "Third",
        "perhaps",
        "'plan.json' is not an absolute path",
    ):
        assert told in refused.output, told
    for told in ("_wave_size", "_kinds", "_eni_type", "_allow_eip", "_plan_file"):
        assert f"unassign_secondary_ips{told}" in refused.output, told
    for machinery in ("Finalization", "filter plugin", "Traceback", "set_fact"):
        assert machinery not in refused.output
    changed = {"version": 1, "region": "cn-hangzhou", "digest": "0" * 64, "assignments": [{"eni_id": "eni-1", "private_ip_addresses": []}]}
    refused = playbooks.run("restore", succeeds=False, recipe=changed)
    assert "restore_secondary_ips_recipe: its digest is 0000" in refused.output
    assert playbooks.emulator.calls() == []
    # Another account than meant.
    account = {"security_group_ids": "sg-web", "account_id": "1000000000000002"}
    assert "belongs to 1000000000000001, not to 1000000000000002" in playbooks.run("unassign", succeeds=False, **account).output
    assert playbooks.writes() == []


def test_two_hundred_enis_planned_approved_unassigned_and_restored(playbooks: Playbooks) -> None:
    playbooks.emulator.reset(seed=seed(200))
    start = playbooks.held()
    chosen = {
        "security_group_tags": {"stage": "test"},
        "keep": ["10.3.0.12"],
        "wave_size": 250,
        "account_id": "1000000000000001",
        **FAST,
    }

    # The first run is a rehearsal: plan and report, no write.
    rehearsed = playbooks.run("unassign", check=True, **chosen)
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
    assert rehearsed.published["unassign_secondary_ips_approved_plan"] == plan["digest"]
    assert list(playbooks.reports.glob("recipe-*")) == []

    # Another plan than the approved one: stopped, and told.
    refused = playbooks.run("unassign", succeeds=False, approved_plan="0" * 64, **chosen)
    assert f"today's plan has the digest {plan['digest']}" in refused.output
    assert playbooks.report("unassign")["outcome"] == "refused"
    assert playbooks.writes() == []

    # What was approved is done, in waves, and proven.
    done = playbooks.run("unassign", approved_plan=plan["digest"], **chosen)
    assert [name for name in done.tasks if name.startswith("Unassign wave")] == [
        "Unassign wave 1/3 · 250 of 601 addresses",
        "Unassign wave 2/3 · 499 of 601 addresses",
        "Unassign wave 3/3 · 601 of 601 addresses",
    ]
    assert tasks_per_wave(done.tasks) == [TASKS_PER_WAVE] * 3
    gone = changed_by(start, playbooks.held())
    assert len(gone) == 601
    assert ("eni-both1", "10.3.0.12") not in gone
    report = playbooks.report("unassign")
    assert report["outcome"] == "done"
    assert outcomes(report, "unassigned") == gone
    assert pairs(read(playbooks.saved("recipe"))) == gone
    assert pairs(read(playbooks.saved("plan", plan["digest"]))) == gone
    assert done.published["restore_secondary_ips_recipe"]["digest"] == plan["digest"]
    assert done.published["secondary_ips_unassign"]["totals"]["unassigned"] == 601

    # The second run finds nothing to do, also under the old approval.
    written = len(playbooks.writes())
    again = playbooks.run("unassign", approved_plan=plan["digest"], **chosen)
    assert again.changed == 0
    assert playbooks.report("unassign")["outcome"] == "nothing to do"
    assert len(playbooks.writes()) == written

    # Back again: rehearsed, done, and nothing the second time.
    recipe = {"recipe_file": str(playbooks.saved("recipe")), "account_id": "1000000000000001", "wave_size": 400, **FAST}
    playbooks.run("restore", check=True, **recipe)
    assert len(playbooks.writes()) == written
    assert playbooks.report("restore")["totals"]["planned"] == 601
    restored = playbooks.run("restore", **recipe)
    assert restored.changed == 2
    assert tasks_per_wave(restored.tasks) == [TASKS_PER_WAVE] * 2
    assert playbooks.held() == start
    assert playbooks.run("restore", **recipe).changed == 0


PLAYS = """
- hosts: "{{ chosen_hosts }}"
  connection: local
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - ansible.builtin.import_role:
        name: alicloud_ops.network.unassign_secondary_ips
        rolespec_validate: false
      check_mode: MODE
"""


def test_the_mode_of_the_task_counts_and_not_that_of_the_play(playbooks: Playbooks) -> None:
    """A report that says otherwise than what was done would be the end of all trust; and so would a run on many hosts."""
    start = playbooks.held()

    def play(mode: str, *arguments: str, hosts: str = "localhost", succeeds: bool = True) -> str:
        path = playbooks.folder / "play.yml"
        path.write_text(PLAYS.replace("MODE", mode), encoding="utf-8")
        variables = {
            "chosen_hosts": hosts,
            "unassign_secondary_ips_security_group_ids": "sg-web",
            "unassign_secondary_ips_calls_per_minute": 0,
        }
        return playbooks.play(
            str(path), *arguments, variables={**variables, "unassign_secondary_ips_report_dir": str(playbooks.reports)}, succeeds=succeeds
        ).output

    play("true")
    assert playbooks.report("unassign")["outcome"] == "planned"
    assert playbooks.report("unassign")["check_mode"] is True
    assert playbooks.writes() == []

    assert "give one, such as localhost" in play("false", "-i", "one,other,", hosts="all", succeeds=False)
    assert playbooks.writes() == []

    output = play("false", "--check")
    gone = changed_by(start, playbooks.held())
    assert len(gone) == 14
    assert "{version: 1" in output
    assert playbooks.report("unassign")["check_mode"] is False
    assert outcomes(playbooks.report("unassign"), "unassigned") == gone
    playbooks.run("restore", recipe_file=str(playbooks.saved("recipe")), **FAST)
    assert playbooks.held() == start


def test_two_thousand_enis_take_the_same_tasks_a_wave(playbooks: Playbooks) -> None:
    playbooks.emulator.reset(seed=seed(2000, each=1))
    start = playbooks.held()
    chosen = {"security_group_tags": "stage", "wave_size": 700, "max_addresses": 2002, "max_concurrency": 16, **FAST}
    began = time.monotonic()
    done = playbooks.run("unassign", **chosen)
    unassigned = time.monotonic() - began
    assert tasks_per_wave(done.tasks) == [TASKS_PER_WAVE] * 3
    assert len(changed_by(start, playbooks.held())) == 2002

    began = time.monotonic()
    playbooks.run("restore", recipe_file=str(playbooks.saved("recipe")), wave_size=700, max_concurrency=16, **FAST)
    assert playbooks.held() == start
    print(
        f"2,000 ENIs: {TASKS_PER_WAVE} tasks a wave, {len(done.tasks)} in all; {unassigned:.0f} s and {time.monotonic() - began:.0f} s back"
    )


def tasks_per_wave(tasks: list[str]) -> list[int]:
    """Tasks from each wave's first to the one before the next wave's first; behind the last wave comes the reading back."""
    first = [index for index, name in enumerate(tasks) if name.startswith("Restore recipe of wave")]
    last = tasks.index("Read all ENIs of the plan again")
    return [end - begin for begin, end in zip(first, [*first[1:], last], strict=True)]
