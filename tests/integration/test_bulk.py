# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bulk runs against the local endpoint, in the process of the test: the gate, the recipe, reads that lag or lack rows, and the files.
``test_roles.py`` has the tests that need a real ansible-playbook."""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret, is_encrypted
from support.bulk import Bulk, changed_by, outcomes, pairs, read_json, seed
from support.emulator import Emulator
from support.module import run_module

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import Blocks
from ansible_collections.alicloud_ops.network.plugins.plugin_utils import _bulk, _documents, _records
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import make_document, read_document
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._folder import Folder, FolderError, document_name, lock_name
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._settings import SettingsError
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._slices import merge

ACCOUNT, OTHER_ACCOUNT = "1000000000000001", "1000000000000002"
WEB = {"security_group_ids": ["sg-web"]}
READ = "DescribeNetworkInterfaces"


@pytest.fixture
def bulk(emulator: Emulator, tmp_path: Path) -> Bulk:
    emulator.reset(seed=seed(20))
    return Bulk(emulator, tmp_path)


def change(bulk: Bulk, state: str, eni_id: str, *addresses: str, wait: bool = True) -> None:
    """A change by somebody else."""
    options = {"state": state, "eni_id": eni_id, "private_ip_addresses": addresses, "wait": wait}
    run_module("eni_secondary_ip", options, bulk.emulator.environment())


def restore_all(bulk: Bulk, **variables: Any) -> dict[str, Any]:
    """From every recipe of the folder, one after the other."""
    result: dict[str, Any] = {}
    for path in sorted(bulk.reports.glob("recipe-*.json")):
        result = bulk.run("restore", recipe_file=str(path), **variables)
        assert not result.get("failed"), result
    return result


def documents(bulk: Bulk, result: Mapping[str, Any]) -> tuple[Any, Any]:
    return read_json(Path(result["files"]["plan"])), read_json(Path(result["files"]["recipe"]))


# -- the gate


def test_a_change_between_plan_and_run_stops_the_run_and_is_shown(bulk: Bulk) -> None:
    start = bulk.secondary_addresses()
    digest = bulk.run("unassign", check=True, **WEB)["published"]["unassign_secondary_ips_approved_digest"]
    change(bulk, "present", "eni-web00001", "10.3.0.77")
    change(bulk, "absent", "eni-both1", "10.3.0.11")
    drifted = bulk.secondary_addresses()
    refused = bulk.run("unassign", approved_digest=digest, **WEB)
    assert (refused["outcome"], refused["failed"], refused["changed"]) == ("refused", True, False)
    assert "1 not in the saved or approved plan: eni-web00001 10.3.0.77" in refused["msg"]
    assert "1 in the saved or approved plan, but no longer on their ENI: eni-both1 10.3.0.11" in refused["msg"]
    assert "make a new plan in check mode (--check)" in refused["msg"]
    assert refused["report"]["difference"] == {"added": ["eni-web00001 10.3.0.77"], "removed": ["eni-both1 10.3.0.11"], "left": []}
    assert any("eni-web00001 10.3.0.77" in line for line in bulk.lines)

    # With plan and groups, an address that is not in the plan stops the run. With the plan alone, the run does what still matches.
    plan_file = str(bulk.reports / document_name("plan", digest))
    assert "eni-web00001 10.3.0.77" in bulk.run("unassign", plan_file=plan_file, **WEB)["msg"]
    assert bulk.secondary_addresses() == drifted
    done = bulk.run("unassign", plan_file=plan_file, approved_digest=digest)
    assert done["outcome"] == "done"
    assert (done["digest"], done["approved_digest"]) == (digest, digest)
    assert done["totals"]["already_absent"] == 1
    assert bulk.secondary_addresses()["eni-web00001"] == ["10.3.0.77"]

    # The recipe also has the address that was gone before its write: nobody knows who has unassigned it.
    assert pairs(documents(bulk, done)[1]) == pairs(documents(bulk, done)[0])
    restore_all(bulk)
    change(bulk, "absent", "eni-web00001", "10.3.0.77")
    assert bulk.secondary_addresses() == start


def test_a_run_that_finds_nothing_left_to_do_still_publishes_the_recipe(bulk: Bulk) -> None:
    start = bulk.secondary_addresses()
    plan_file = bulk.run("unassign", check=True, **WEB)["files"]["plan"]
    done = bulk.run("unassign", plan_file=plan_file)
    again = bulk.run("unassign", plan_file=plan_file)
    assert (done["outcome"], again["outcome"], again["changed"]) == ("done", "nothing to do", False)
    assert pairs(again["recipe"]) == pairs(read_json(Path(again["files"]["recipe"]))) == changed_by(start, bulk.secondary_addresses())
    assert again["published"]["restore_secondary_ips_recipe"]
    assert "To undo it" in again["next_steps"][-1]


def test_a_recipe_that_was_lost_is_made_again_from_the_plan_even_if_nothing_is_left_to_do(bulk: Bulk) -> None:
    """A job of AWX that is cancelled after its last wave loses its folder, and publishes nothing. The next job has only the plan."""
    start = bulk.secondary_addresses()
    plan = bulk.run("unassign", check=True, **WEB)["published"]["unassign_secondary_ips_plan"]
    bulk.run("unassign", plan=plan)
    gone = changed_by(start, bulk.secondary_addresses())
    for in_awx in (True, False):
        shutil.rmtree(bulk.reports)
        again = bulk.run("unassign", plan=plan, in_awx=in_awx)
        assert (again["outcome"], again["changed"]) == ("nothing to do", False)
        assert pairs(again["published"]["restore_secondary_ips_recipe"]) == gone
        assert "undo it" in again["next_steps"][-1]


def test_nothing_to_do_without_anything_gone_has_no_undo(bulk: Bulk) -> None:
    plan = bulk.run("unassign", check=True, **WEB)["published"]["unassign_secondary_ips_plan"]
    again = bulk.run("unassign", plan=plan, keep=["0.0.0.0/0"])
    assert (again["outcome"], again["changed"], again["next_steps"]) == ("nothing to do", False, [])
    assert "restore_secondary_ips_recipe" not in again["published"]


def test_the_printed_undo_has_the_guards_of_the_run(bulk: Bulk) -> None:
    seed_of_cluster = seed(3, groups=("web",))
    seed_of_cluster["interfaces"][0]["tags"] = {"creator": "terway"}
    bulk.emulator.reset(seed=seed_of_cluster)
    done = bulk.run("unassign", security_group_names=["web"], protected_tags={}, wave_pause=1)
    assert '{"restore_secondary_ips_protected_tags": {}}' in done["next_steps"][-1]
    assert "wave_pause" not in done["next_steps"][-1]


def test_a_refused_address_that_nobody_approved_does_not_stop_the_approved_ones(bulk: Bulk) -> None:
    """An address with an EIP is skipped in check mode, and is not a part of the approved plan."""
    world = seed(20)
    world["interfaces"][0]["eips"] = {"10.3.0.11": "203.0.113.7"}
    bulk.emulator.reset(seed=world)
    start = bulk.secondary_addresses()
    planned = bulk.run("unassign", check=True, **WEB)
    assert planned["totals"]["skipped"] == 1
    done = bulk.run("unassign", approved_digest=planned["digest"], **WEB)
    assert done["outcome"] == "done", done["msg"]
    assert len(changed_by(start, bulk.secondary_addresses())) == 13
    again = bulk.run("unassign", approved_digest=planned["digest"], **WEB)
    assert (again.get("failed", False), again["changed"]) == (False, False), again.get("msg")


@pytest.mark.parametrize("by_plan", [True, False])
def test_an_approved_plan_with_an_address_that_is_refused_today_fails_before_a_write(bulk: Bulk, by_plan: bool) -> None:
    planned = bulk.run("unassign", check=True, **WEB)
    world = seed(20)
    world["interfaces"][0]["tags"] = {"creator": "terway"}
    bulk.emulator.reset(seed=world)
    source = {"plan_file": planned["files"]["plan"]} if by_plan else WEB
    refused = bulk.run("unassign", approved_digest=planned["digest"], **source)
    assert refused["failed"]
    assert "eni-both1 10.3.0.11" in refused["msg"]
    # The addresses are still assigned.
    assert refused["report"]["difference"] == {"added": [], "removed": [], "left": ["eni-both1 10.3.0.11", "eni-both1 10.3.0.12"]}
    assert "no longer" not in "".join(bulk.lines)
    assert bulk.writes() == []


@pytest.mark.parametrize("digest", ["", " ", "\n"])
def test_a_blank_digest_where_approval_is_required_is_an_error(bulk: Bulk, digest: str) -> None:
    with pytest.raises(SettingsError, match="unassign_secondary_ips_approved_digest: is empty text, and an approval is required") as error:
        bulk.run("unassign", approved_digest=digest, require_approval="true", **WEB)
    assert "make the plan in check mode (--check)" in str(error.value)
    assert "leave" not in str(error.value)
    assert bulk.emulator.calls() == []


def test_a_required_approval_is_needed_for_a_write_and_not_for_a_plan(bulk: Bulk) -> None:
    refused = bulk.run("unassign", require_approval=True, **WEB)
    assert "unassign_secondary_ips_approved_digest: is not set, but an approval is required" in refused["msg"]
    assert "make the plan in check mode (--check)" in refused["msg"]
    assert "leave" not in refused["msg"]
    assert refused["next_steps"] == []
    assert bulk.writes() == []
    planned = bulk.run("unassign", check=True, require_approval=True, **WEB)
    assert planned["outcome"] == "planned"
    (step,) = planned["next_steps"]
    assert "-e unassign_secondary_ips_require_approval=True" in step
    assert f"-e unassign_secondary_ips_approved_digest={planned['digest']}" in step
    elsewhere = bulk.run("unassign", approved_digest="0" * 64, report_dir=str(bulk.folder / "elsewhere"), **WEB)
    assert "has no plan with the digest that is set" in elsewhere["msg"]
    assert "make a new plan in check mode (--check)" in elsewhere["msg"]
    assert bulk.writes() == []
    approved = {"require_approval": True, "approved_digest": planned["digest"], **WEB}
    # Nobody knows how old the approval is, so it could have any age.
    no_age = bulk.run("unassign", report_dir=str(bulk.folder / "elsewhere"), **approved)
    assert "the age of the approved plan is not known" in no_age["msg"]
    assert bulk.writes() == []
    assert bulk.run("unassign", **approved)["outcome"] == "done"


def test_the_next_steps_have_no_url_that_holds_a_secret(bulk: Bulk) -> None:
    url = "https://reporter:pass-4711@reports.example.com/bulk/"
    keep = [f"10.9.{number // 250}.{number % 250}" for number in range(500)]  # a command that is longer than a line
    for given in ({}, {"keep": keep}):
        planned = bulk.run("unassign", check=True, report_url=url, **given, **WEB)
        (step,) = planned["next_steps"]
        written = "".join(path.read_text(encoding="utf-8") for path in bulk.reports.iterdir())
        assert "pass-4711" not in step + written
    assert list(bulk.reports.glob("variables-*"))
    plain = bulk.run("unassign", check=True, report_url="https://reports.example.com/bulk/", **WEB)
    assert "unassign_secondary_ips_report_url=https://reports.example.com/bulk/" in plain["next_steps"][0]


def test_a_plan_does_not_announce_a_wait_for_a_state(bulk: Bulk) -> None:
    """The module waits for states that end by themselves. The plan of a role does not."""
    bulk.emulator.reset()
    planned = bulk.run("unassign", check=True, security_group_names="web")
    reasons = {entry["code"]: entry["reason"] for entry in planned["report"]["reasons"]}
    assert "run it again when this state has ended" in reasons["InstanceInTransition"]
    assert "waits" not in "".join(reasons.values())


def test_a_saved_plan_shows_the_names_of_security_groups(bulk: Bulk) -> None:
    planned = bulk.run("unassign", check=True, **WEB)
    group = "  web (sg-web): 5 ENIs, 14 planned"
    assert group in bulk.lines
    bulk.run("unassign", check=True, plan_file=planned["files"]["plan"])
    assert group in bulk.lines
    # A name that cannot be read does not fail the run.
    bulk.emulator.faults([{"kind": "error", "action": "DescribeSecurityGroups", "code": "Forbidden.RAM", "status": 403}])
    assert bulk.run("unassign", check=True, plan_file=planned["files"]["plan"])["outcome"] == "planned"
    assert "  sg-web: 5 ENIs, 14 planned" in bulk.lines


def test_a_saved_plan_of_which_no_eni_exists_is_refused(bulk: Bulk) -> None:
    """More likely, the credentials are those of another account."""
    planned = bulk.run("unassign", check=True, **WEB)
    bulk.emulator.reset(seed=seed(20, groups=("other", "enis")))
    bulk.emulator.faults([{"kind": "drop_rows", "action": READ, "ids": ["eni-both1"]}])
    refused = bulk.run("unassign", plan_file=planned["files"]["plan"])
    assert (refused["outcome"], refused["failed"], refused["changed"]) == ("refused", True, False)
    assert f"ENIs of the saved plan exists in cn-hangzhou in this account; the account of the plan is {ACCOUNT}" in refused["msg"]
    assert bulk.writes() == []


def test_a_plan_that_is_too_large_for_an_artifact_says_that_it_cannot_be_handed_on(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    def planned() -> tuple[bool, bool]:
        published = bulk.run("unassign", check=True, **WEB)["published"]
        assert published["unassign_secondary_ips_approved_digest"]
        says_so = (
            "This plan cannot be passed on to a later job: it has 14 addresses, more than" in published["unassign_secondary_ips_plan_text"]
        )
        return "unassign_secondary_ips_plan" in published, says_so

    for most, expected in ((14, (True, False)), (13, (False, True))):
        for module in (_bulk, _documents):
            monkeypatch.setattr(module, "MOST_PUBLISHED", most)
        assert planned() == expected


def test_slices_do_their_part_of_the_plan_and_publish_it_under_their_own_names(bulk: Bulk) -> None:
    start = bulk.secondary_addresses()
    planned = bulk.run("unassign", check=True, **WEB)["published"]
    given = {name: planned[f"unassign_secondary_ips_{name}"] for name in ("plan", "approved_digest")}
    published: dict[str, Any] = {}
    first, *others = sorted({eni_id for eni_id, _address in pairs(given["plan"])})
    for enis in ([first], [*others, "eni-elsewhere"]):
        before = bulk.secondary_addresses()
        done = bulk.run("unassign", enis=enis, slices=2, **given)
        assert done["outcome"] == "done", done["msg"]
        assert {eni_id for eni_id, _address in changed_by(before, bulk.secondary_addresses())} == {*enis} - {"eni-elsewhere"}
        assert any(line.startswith("slice ") and line.endswith(f"of the approved plan {given['approved_digest']}") for line in bulk.lines)
        assert len(done["published"]) == 1
        published |= done["published"]
    merged = merge(read_document(given["plan"]), published)
    assert (merged.errors, len(published)) == ([], 2)
    assert merged.recipe
    assert set(merged.recipe.pairs()) == changed_by(start, bulk.secondary_addresses())


def test_a_plan_is_not_restored_while_a_slice_of_it_runs_and_other_slices_go_on(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bulk, "PATIENCE", 0)
    planned = bulk.run("unassign", check=True, **WEB)["published"]
    given = {name: planned[f"unassign_secondary_ips_{name}"] for name in ("plan", "approved_digest")}
    first, second, *others = sorted({eni_id for eni_id, _address in pairs(given["plan"])})
    others_runs: list[dict[str, Any]] = []

    def run_others(line: str) -> None:
        if line.startswith("wave 1/"):
            for operation, chosen in (
                ("restore", {"recipe": bulk.recipes()[0]}),
                ("unassign", {**given, "enis": [second, *others]}),
                ("unassign", {**given, "enis": [first]}),
                ("unassign", given),
            ):
                others_runs.append(Bulk(bulk.emulator, bulk.folder).run(operation, wait_timeout=1, **chosen))

    assert bulk.run("unassign", enis=[first], say=run_others, **given)["outcome"] == "done"
    assert [run["outcome"] for run in others_runs] == ["refused", "done", "refused", "refused"]
    assert "another run works on this plan (a slice of it)" in others_runs[0]["msg"]
    everything = bulk.run("unassign", enis=[first, second, *others], **given)  # a slice with all ENIs of the plan
    assert everything["outcome"] == "nothing to do"


def test_more_than_max_addresses_is_planned_but_not_done(bulk: Bulk) -> None:
    refused = bulk.run("unassign", check=True, security_group_names="web", max_addresses="13")
    assert "unassign_secondary_ips_max_addresses: at most 13 may be unassigned, but 14 would be" in refused["msg"]
    assert (refused["outcome"], refused["changed"]) == ("refused", False)
    assert len(outcomes(refused["report"], "planned")) == 14
    assert set(refused["published"]) == {"secondary_ips_unassign"}
    assert refused["next_steps"] == []
    assert bulk.writes() == []


def test_the_stricter_of_variable_and_module_default_wins(bulk: Bulk) -> None:
    refused = bulk.run("unassign", defaults={"account_id": OTHER_ACCOUNT}, **WEB)
    assert f"unassign_secondary_ips_account_id: 5 of 5 ENIs belong to account {ACCOUNT}, not to {OTHER_ACCOUNT}" in refused["msg"]
    assert bulk.writes() == []
    planned = bulk.run("unassign", check=True, defaults={"keep": ["10.3.0.11"]}, keep="10.3.0.12", **WEB)
    assert outcomes(planned["report"], "skipped") == {("eni-both1", "10.3.0.11"), ("eni-both1", "10.3.0.12")}
    # The printed command runs without the play, and keeps the same addresses.
    assert '{"unassign_secondary_ips_keep": ["10.3.0.12", "10.3.0.11"]}' in planned["next_steps"][0]


@pytest.mark.parametrize("groups", [{}, WEB, {"security_group_names": "web"}])
def test_a_plan_of_another_account_or_region_is_refused_before_any_write(bulk: Bulk, groups: dict[str, Any]) -> None:
    bulk.emulator.reset(seed={**seed(20), "regions": ["cn-beijing"]})
    plan = bulk.run("unassign", check=True, **WEB)["plan"]
    of_account = make_document(plan["assignments"], plan["region"], OTHER_ACCOUNT, plan["made"]).as_dict()
    of_region = make_document(plan["assignments"], "cn-beijing", ACCOUNT, plan["made"]).as_dict()
    refused = bulk.run("unassign", plan=of_account, **groups)
    assert f"the saved plan belongs to account {OTHER_ACCOUNT}, but this run uses account {ACCOUNT}" in refused["msg"]
    with pytest.raises(SettingsError, match="region: cn-hangzhou is set, but unassign_secondary_ips_plan belongs to region cn-beijing"):
        bulk.run("unassign", plan=of_region, region="cn-hangzhou", **groups)
    # Without the variable, the run is in the region of the plan, which has neither these ENIs nor these security groups.
    refused = bulk.run("unassign", plan=of_region, defaults={"region": "cn-hangzhou"}, **groups)
    assert (refused["outcome"], refused["region"]) == ("refused", "cn-beijing")
    assert re.search("exists? in cn-beijing", refused["msg"])
    assert bulk.writes() == []


def test_unknown_groups_and_names_in_several_vpcs_name_their_variables(bulk: Bulk) -> None:
    world = seed(20)
    world["vswitches"].append({"id": "vsw-two", "vpc_id": "vpc-two", "cidr": "10.8.0.0/24"})
    world["security_groups"].append({"id": "sg-web2", "vpc_id": "vpc-two", "name": "web"})
    world["interfaces"].append(
        {"id": "eni-two1", "vswitch_id": "vsw-two", "security_group_ids": ["sg-web2"], "private_ip_addresses": ["10.8.0.9"]}
    )
    bulk.emulator.reset(seed=world)
    for operation in ("audit", "unassign"):
        refused = bulk.run(operation, security_group_names=["web", "wbe"], security_group_ids="sg-none", security_group_tags="team=nobody")
        prefix = f"{operation}_secondary_ips_security_group"
        assert refused["outcome"] == "refused"
        for error in (
            f"{prefix}_names: 'wbe' does not exist in cn-hangzhou",
            f"{prefix}_ids: 'sg-none' does not exist",
            f"{prefix}_tags: 'team=nobody' does not exist",
            f"{prefix}_names: 'web' is the name of security groups in several VPCs (sg-web in vpc-main, sg-web2 in vpc-two); "
            f"set {operation}_secondary_ips_vpc_ids",
        ):
            assert error in refused["msg"], error
    assert bulk.writes() == []
    planned = bulk.run("unassign", check=True, security_group_names="web", vpc_ids="vpc-two")
    assert outcomes(planned["report"], "planned") == {("eni-two1", "10.8.0.9")}
    both = bulk.run("unassign", check=True, security_group_names="web", vpc_ids=["vpc-two", "vpc-main"])
    assert both["totals"]["planned"] == 15


def test_a_name_does_not_match_a_group_in_another_vpc(bulk: Bulk) -> None:
    refused = bulk.run("audit", security_group_names="web", vpc_ids="vpc-two")
    assert "audit_secondary_ips_security_group_names: 'web' does not exist" in refused["msg"]


def test_a_thousand_blocks_to_keep_cost_as_much_as_ten(bulk: Bulk) -> None:
    def steps(number: int) -> int:
        blocks = Blocks(f"10.{4 + at // 250}.{at % 250}.0/28" for at in range(number))
        found = 0

        def count(_frame: Any, event: str, _argument: Any) -> None:
            nonlocal found
            found += event == "call"

        sys.setprofile(count)
        try:
            for address in range(100):
                blocks.overlapping(f"10.3.1.{address}")
        finally:
            sys.setprofile(None)
        return found

    assert steps(5000) < 4 * steps(10)
    keep = [f"10.{4 + at // 250}.{at % 250}.0/28" for at in range(4999)]
    planned = bulk.run("unassign", check=True, keep=[*keep, "10.3.0.8/29"], **WEB)
    assert outcomes(planned["report"], "skipped") == {("eni-both1", "10.3.0.11"), ("eni-both1", "10.3.0.12")}
    # The command that carries out this plan is one line that AWX shows completely.
    (step,) = planned["next_steps"]
    assert len(step) < 1000
    assert read_json(Path(step.rpartition("@")[2]))["unassign_secondary_ips_keep"][-1] == "10.3.0.8/29"


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ('{"version": 1, "version": 1, "assignments": []}', "the key 'version' occurs twice"),
        ("version: 1\nassignments: []\n5: five", "the key '5' is not text"),
        ({5: "five", "version": 1, "assignments": []}, "the key 5 is not text"),
    ],
)
def test_errors_for_repeated_and_non_text_keys_name_their_variable(bulk: Bulk, plan: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=f"unassign_secondary_ips_plan: .*{message}"):
        bulk.run("unassign", plan=plan)


# -- the recipe


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"region": "cn-beijing"}, "its region is cn-beijing"),
        ({"account_id": OTHER_ACCOUNT}, f"its account_id is {OTHER_ACCOUNT}"),
        ({"plan": "a" * 64}, f"it belongs to the plan {'a' * 64}"),
    ],
)
def test_a_recipe_of_another_origin_in_the_folder_is_refused(bulk: Bulk, other: dict[str, str], message: str) -> None:
    planned = bulk.run("unassign", check=True, **WEB)
    recipe = bulk.reports / document_name("recipe", planned["digest"])
    plan = read_json(Path(planned["files"]["plan"]))
    origin = {"region": plan["region"], "account_id": plan["account_id"], "made": plan["made"], "plan": plan["digest"], **other}
    recipe.write_text(json.dumps(make_document(plan["assignments"], **origin).as_dict()), encoding="utf-8")
    before = recipe.read_text(encoding="utf-8")
    refused = bulk.run("unassign", **WEB)
    assert refused["outcome"] == "refused"
    assert str(recipe) in refused["msg"]
    assert message in refused["msg"]
    assert recipe.read_text(encoding="utf-8") == before
    assert bulk.writes() == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [('{"version": 1, "assign', "line 1 cannot be read"), ("$ANSIBLE_VAULT;1.1;AES256\n3832\n", "it cannot be read")],
    ids=["incomplete", "encrypted"],
)
def test_a_recipe_that_cannot_be_read_stops_the_run_and_stays_as_it_is(bulk: Bulk, text: str, reason: str) -> None:
    planned = bulk.run("unassign", check=True, **WEB)
    recipe = bulk.reports / document_name("recipe", planned["digest"])
    recipe.write_text(text, encoding="utf-8")
    refused = bulk.run("unassign", **WEB)
    assert refused["outcome"] == "refused"
    assert f"{recipe}: {reason}" in refused["msg"]
    assert f"{recipe}: {reason}" in str(refused["refusals"])
    assert recipe.read_text(encoding="utf-8") == text
    assert bulk.writes() == []


def test_reads_that_lag_for_longer_than_the_wait_leave_the_recipe_whole(bulk: Bulk) -> None:
    start = bulk.secondary_addresses()
    # Faults and not a lag in milliseconds, so that a slow machine sees the same.
    bulk.emulator.faults([{"kind": "stale", "action": READ, "times": 10_000}])
    failed = bulk.run("unassign", wait_timeout=1, **WEB)
    plan, recipe = documents(bulk, failed)
    assert failed["failed"]
    assert failed["changed"]
    assert failed["totals"]["failed"] == 14
    assert pairs(recipe) == pairs(plan) == changed_by(start, bulk.secondary_addresses())
    # While reads lag, all addresses look already present. The run reads them again before it believes that.
    bulk.emulator.faults([{"kind": "stale", "action": READ, "times": 1}])
    restored = bulk.run("restore", recipe_file=failed["files"]["recipe"], wait_timeout=1)
    assert not restored.get("failed"), restored["msg"]
    assert bulk.secondary_addresses() == start
    assert "looked already present and were read again" in restored["report"]["sure"]


def test_a_restore_right_after_the_run_does_not_believe_a_read_that_lags(bulk: Bulk) -> None:
    start = bulk.secondary_addresses()
    done = bulk.run("unassign", **WEB)
    # The next read shows the state before the last change of each ENI.
    bulk.emulator.faults([{"kind": "stale", "action": READ, "times": 1}])
    restored = bulk.run("restore", recipe_file=done["files"]["recipe"], wait_timeout=1)
    assert restored["totals"]["assigned"] == 14
    assert bulk.secondary_addresses() == start
    assert any("look already present" in line for line in bulk.lines)


@pytest.mark.parametrize("how", ["plan_file", "plan", "approved_digest", "plan_file and groups"])
def test_an_unassign_by_plan_right_after_a_restore_does_not_believe_a_read_that_lags(bulk: Bulk, how: str) -> None:
    start = bulk.secondary_addresses()
    planned = bulk.run("unassign", check=True, **WEB)
    done = bulk.run("unassign", plan_file=planned["files"]["plan"])
    assert not bulk.run("restore", recipe_file=done["files"]["recipe"], wait_timeout=1).get("failed")
    bulk.emulator.faults([{"kind": "stale", "action": READ, "times": 1}])
    given: dict[str, Any] = {
        "plan_file": {"plan_file": planned["files"]["plan"]},
        "plan": {"plan": planned["plan"]},
        "approved_digest": {"approved_digest": planned["digest"], **WEB},
        "plan_file and groups": {"plan_file": planned["files"]["plan"], **WEB},
    }[how]
    again = bulk.run("unassign", wait_timeout=2, **given)
    assert again["totals"]["unassigned"] == 14
    assert pairs(again["plan"]) == changed_by(start, bulk.secondary_addresses())
    assert any("addresses look already absent" in line for line in bulk.lines)
    assert "looked already absent and were read again" in again["report"]["sure"]
    restore_all(bulk, wait_timeout=1)
    assert bulk.secondary_addresses() == start


def test_one_stale_last_read_leaves_the_recipe_whole_and_fails_the_run(bulk: Bulk) -> None:
    start = bulk.secondary_addresses()
    bulk.run("unassign", **WEB)
    reads = len(bulk.emulator.calls(READ))
    restore_all(bulk)
    for path in bulk.reports.iterdir():
        path.unlink()
    bulk.emulator.reset(seed=seed(20))
    bulk.emulator.faults([{"kind": "stale", "action": READ, "nth": reads}])
    failed = bulk.run("unassign", **WEB)
    assert bulk.emulator.fault_counts()[0]["fired"] == 1
    assert len(bulk.emulator.calls(READ)) == reads
    plan, recipe = documents(bulk, failed)
    assert failed["failed"]
    assert "Contradiction" in failed["msg"]
    assert pairs(recipe) == pairs(plan) == changed_by(start, bulk.secondary_addresses())
    restore_all(bulk, wait_timeout=1)
    assert bulk.secondary_addresses() == start


def test_a_last_read_that_fails_leaves_the_recipe_whole_and_fails_the_run(bulk: Bulk) -> None:
    start = bulk.secondary_addresses()
    bulk.run("unassign", **WEB)
    reads = len(bulk.emulator.calls(READ))
    bulk.emulator.reset(seed=seed(20))
    for path in bulk.reports.iterdir():
        path.unlink()
    bulk.emulator.faults([{"kind": "error", "action": READ, "nth": reads, "code": "Forbidden.RAM", "status": 403}])
    red = bulk.run("unassign", **WEB)
    assert bulk.emulator.fault_counts()[0]["fired"] == 1
    assert (red["failed"], red["changed"]) == (True, True)
    assert "the last read failed, so the run does not verify what it did: DescribeNetworkInterfaces failed with Forbidden.RAM" in red["msg"]
    assert pairs(documents(bulk, red)[1]) == pairs(documents(bulk, red)[0]) == changed_by(start, bulk.secondary_addresses())


def test_a_recipe_is_a_plan_too(bulk: Bulk) -> None:
    """What was restored is unassigned again by the recipe, also when that is smaller than the plan was."""
    start = bulk.secondary_addresses()
    bulk.emulator.faults([{"action": "write", "eni_id": "eni-legacy00001", "kind": "error", "code": "OperationDenied", "status": 403}])
    stopped = bulk.run("unassign", wave_size=3, security_group_tags="stage=test")
    recipe = {"recipe_file": stopped["files"]["recipe"], "wait_timeout": 1}
    bulk.emulator.faults([])
    gone = changed_by(start, bulk.secondary_addresses())
    assert len(pairs(documents(bulk, stopped)[1])) < len(pairs(documents(bulk, stopped)[0]))
    bulk.run("restore", **recipe)
    assert bulk.secondary_addresses() == start
    again = bulk.run("unassign", plan_file=stopped["files"]["recipe"])
    assert again["outcome"] == "done", again.get("msg")
    assert gone <= changed_by(start, bulk.secondary_addresses()) == pairs(documents(bulk, again)[1])
    restore_all(bulk, wait_timeout=1)
    assert bulk.secondary_addresses() == start


def test_a_run_that_stopped_after_its_last_write_has_used_its_approval(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = bulk.run("unassign", check=True, **WEB)
    approved = {"plan_file": planned["files"]["plan"], "approved_digest": planned["digest"], "wait_timeout": 1}

    def disk_is_full(self: Any, read: Any = _bulk.BulkRun._read_finally) -> None:
        read(self)
        raise FolderError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(_bulk.BulkRun, "_read_finally", disk_is_full)
        stopped = bulk.run("unassign", **approved)
    assert (stopped["outcome"], stopped["totals"]["unassigned"]) == ("stopped", 14)
    restore_all(bulk, wait_timeout=1)
    assert "the approval was used" in bulk.run("unassign", **approved)["msg"]


def test_a_run_that_finds_its_plan_carried_out_has_used_the_approval(bulk: Bulk) -> None:
    """The run before it was killed after its last write, so it could leave no mark."""
    planned = bulk.run("unassign", check=True, **WEB)
    approved = {"plan_file": planned["files"]["plan"], "approved_digest": planned["digest"], "wait_timeout": 1}
    bulk.run("unassign", **approved)
    next(bulk.reports.glob("approval-*.json")).unlink()
    assert bulk.run("unassign", **approved)["outcome"] == "nothing to do"
    restore_all(bulk, wait_timeout=1)
    assert "the approval was used" in bulk.run("unassign", **approved)["msg"]


def test_another_report_dir_does_not_separate_the_runs_of_a_plan(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock and the mark of an approval are also in the folder of the plan."""
    monkeypatch.setattr(_bulk, "PATIENCE", 0)
    planned = bulk.run("unassign", check=True, **WEB)
    approved = {"plan_file": planned["files"]["plan"], "approved_digest": planned["digest"]}
    elsewhere = {"report_dir": str(bulk.folder / "elsewhere")}
    tried: list[dict[str, Any]] = []

    def run_others(line: str) -> None:
        if line.startswith("wave 1/"):
            other = Bulk(bulk.emulator, bulk.folder)
            recipe = str(next(bulk.reports.glob("recipe-*.json")))
            tried.append(other.run("restore", recipe_file=recipe, wait_timeout=1, **elsewhere))
            tried.append(other.run("unassign", **approved, **elsewhere))

    assert bulk.run("unassign", wave_size=5, say=run_others, **approved)["outcome"] == "done"
    assert [run["outcome"] for run in tried] == ["refused", "refused"]
    restore_all(bulk, wait_timeout=1)
    assert "the approval was used" in bulk.run("unassign", wait_timeout=1, **approved, **elsewhere)["msg"]


def test_the_recipe_of_a_run_does_not_renew_its_approval(bulk: Bulk) -> None:
    planned = bulk.run("unassign", check=True, **WEB)
    approved = {"approved_digest": planned["digest"], "require_approval": True}
    done = bulk.run("unassign", plan_file=planned["files"]["plan"], **approved)
    restore_all(bulk, wait_timeout=1)
    assert read_json(Path(done["files"]["recipe"]))["digest"] == planned["digest"]
    for given in (approved, {"approved_digest": planned["digest"]}, {"require_approval": True}):
        with pytest.raises(SettingsError, match="is a restore recipe, but an approval is for a plan"):
            bulk.run("unassign", plan_file=done["files"]["recipe"], **given)


def test_an_eni_that_a_read_by_id_lacks_fails_the_run_and_the_others_are_done(bulk: Bulk) -> None:
    start = bulk.secondary_addresses()
    planned = bulk.run("unassign", check=True, **WEB)
    bulk.emulator.faults([{"kind": "drop_rows", "action": READ, "ids": ["eni-both1"]}])
    failed = bulk.run("unassign", plan_file=planned["files"]["plan"])
    assert failed["failed"]
    assert "eni-both1" in failed["msg"]
    assert "already_absent" not in failed["totals"]
    assert outcomes(failed["report"], "failed") == {("eni-both1", "10.3.0.11"), ("eni-both1", "10.3.0.12")}
    assert bulk.secondary_addresses()["eni-both1"] == start["eni-both1"]
    assert len(changed_by(start, bulk.secondary_addresses())) == 12
    # Nothing is known about an ENI that could not be read, so it stays in the recipe.
    assert len(pairs(documents(bulk, failed)[1])) == 14
    # With an approval nothing is written.
    bulk.emulator.reset(seed=seed(20))
    bulk.emulator.faults([{"kind": "drop_rows", "action": READ, "ids": ["eni-both1"]}])
    refused = bulk.run("unassign", plan_file=planned["files"]["plan"], approved_digest=planned["digest"])
    assert refused["outcome"] == "refused"
    assert "eni-both1" in refused["msg"]
    assert bulk.writes() == []
    # One read that lacks it is read again.
    bulk.emulator.faults([{"kind": "drop_rows", "action": READ, "ids": ["eni-both1"], "times": 1}])
    assert bulk.run("unassign", plan_file=planned["files"]["plan"])["outcome"] == "done"


@pytest.mark.parametrize("nothing_else", [True, False])
def test_an_eni_of_a_group_that_cannot_be_read_fails_the_run(bulk: Bulk, nothing_else: bool) -> None:
    if nothing_else:
        change(bulk, "absent", "eni-both1", "10.3.0.11", "10.3.0.12")
        world = seed(20)
        world["generate"] = [{**world["generate"][0], "count": 1}, *world["generate"][1:]]
        world["interfaces"] = []
        bulk.emulator.reset(seed=world)
    start = bulk.secondary_addresses()
    bulk.emulator.faults([{"kind": "drop_rows", "action": READ, "ids": ["eni-web00000"]}])
    failed = bulk.run("unassign", **WEB)
    assert failed["failed"]
    assert "eni-web00000" in failed["msg"]
    assert bulk.secondary_addresses()["eni-web00000"] == start["eni-web00000"]
    assert len(changed_by(start, bulk.secondary_addresses())) == (0 if nothing_else else 11)


def test_an_eni_that_the_last_read_lacks_fails_the_run(bulk: Bulk) -> None:
    bulk.run("unassign", **WEB)
    reads = len(bulk.emulator.calls(READ))
    bulk.emulator.reset(seed=seed(20))
    bulk.emulator.faults([{"kind": "drop_rows", "action": READ, "ids": ["eni-both1"], "nth": reads, "times": 2}])
    failed = bulk.run("unassign", **WEB)
    assert failed["outcome"] == "not verified"
    assert "eni-both1" in failed["msg"]


def test_a_clock_that_is_set_back_does_not_delay_the_run(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = 0
    slept: list[float] = []

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(hours=hours)

    def set_back(line: str) -> None:
        nonlocal hours
        if line.startswith("wave 1/"):
            hours -= 1

    monkeypatch.setattr(_records, "datetime", Clock)
    monkeypatch.setattr(_clock, "sleep", lambda seconds, sleep=_clock.sleep: (slept.append(seconds), sleep(min(seconds, 1))))
    start = bulk.secondary_addresses()
    done = bulk.run("unassign", wave_size=5, wave_pause=1, wait_timeout=30, say=set_back, **WEB)
    assert done["outcome"] == "done"
    assert done["report"]["seconds"] >= 0
    assert all(wave["offset"] >= 0 and wave["seconds"] >= 0 for wave in done["report"]["waves"])
    assert max(slept) <= 5
    # The time of the recipe is now in the future.
    hours = -2
    change(bulk, "present", "eni-both1", "10.3.0.11")
    assert not bulk.run("restore", recipe_file=done["files"]["recipe"], wait_timeout=30).get("failed")
    assert max(slept) <= 30
    assert bulk.secondary_addresses() == start


def test_the_report_says_how_sure_already_present_is(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(_clock, "sleep", slept.append)
    plan = read_json(Path(bulk.run("unassign", check=True, **WEB)["files"]["plan"]))

    def restore(made: str) -> str:
        slept.clear()
        recipe = make_document(plan["assignments"], "cn-hangzhou", ACCOUNT, made, plan["digest"])
        return str(bulk.run("restore", recipe=recipe.as_dict(), wait_timeout=40)["report"]["sure"])

    def ago(seconds: float) -> str:
        return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()

    assert restore(ago(3600)) == "14 were already present: read once, 60 minutes after the last unassign run"
    assert slept == []
    assert "read again after" in restore(ago(20))
    assert 0 < slept[0] <= 20
    assert "were read again" in restore(ago(120))
    # Its run did not end, so that nobody knows when its last write was.
    assert "read again after 40 s" in restore("")
    assert slept == [40]


def test_how_sure_already_absent_is(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(_clock, "sleep", slept.append)
    plan_file = bulk.run("unassign", **WEB)["files"]["plan"]

    def again() -> str:
        slept.clear()
        return str(bulk.run("unassign", plan_file=plan_file, wait_timeout=40)["report"]["sure"])

    # Going on with a plan costs no wait.
    assert again() == "14 were already absent: read once, no restore run is known"
    assert slept == []
    restored = Path(bulk.run("restore", recipe_file=str(*bulk.reports.glob("recipe-*")), wait_timeout=1)["files"]["json"])
    bulk.run("unassign", plan_file=plan_file)
    for age, sure in (
        (20, "were read again after"),
        (120, "were read again"),
        (3600, "read once, 60 minutes after the last restore run"),
    ):
        written = time.time() - age
        os.utime(restored, (written, written))
        assert sure in again()
        assert all(10 < seconds <= 20 for seconds in slept[: age == 20])
    # A restore that works, or was killed.
    (bulk.reports / lock_name(read_json(Path(plan_file))["digest"])).write_text("restore, process 1 on other since 2026-01-01\n")
    assert "read again after 40 s" in again()
    assert slept == [40]
    restore_all(bulk, wait_timeout=1)


# -- failures


def test_failures_in_a_wave_stop_the_run_and_what_was_done_can_be_restored(bulk: Bulk) -> None:
    start = bulk.secondary_addresses()
    bulk.emulator.faults([{"action": "write", "eni_id": "eni-legacy00001", "kind": "error", "code": "OperationDenied", "status": 403}])
    chosen = {"security_group_tags": "stage=test", "wave_size": 20}
    stopped = bulk.run("unassign", **chosen)
    gone = changed_by(start, bulk.secondary_addresses())
    report = stopped["report"]
    assert "stopped after wave 2 of 4: 3 of 62 addresses failed" in stopped["msg"]
    assert stopped["outcome"] == stopped["published"]["secondary_ips_unassign"]["outcome"] == "stopped"
    assert {eni_id for eni_id, _address in outcomes(report, "failed")} == {"eni-legacy00001"}
    assert outcomes(report, "unassigned") == gone
    assert outcomes(report, "pending")
    assert report["interfaces"][0]["eni_id"] == "eni-legacy00001"
    assert report["interfaces"][0]["addresses"][0]["request_id"]
    # A write was sent for the failed address. It would be proven untouched only if no write was ever sent.
    assert pairs(documents(bulk, stopped)[1]) == gone | outcomes(report, "failed")
    assert stopped["published"]["restore_secondary_ips_recipe"]["digest"] == documents(bulk, stopped)[1]["digest"]

    # Some addresses may fail: the run goes on to the end, and fails there.
    ended = bulk.run("unassign", max_failures="20%", **chosen)
    assert ended["outcome"] == "failed"
    assert "OperationDenied" in ended["msg"]
    assert set(bulk.secondary_addresses()["eni-legacy00001"]) == set(start["eni-legacy00001"])
    assert len(changed_by(start, bulk.secondary_addresses())) == 59

    bulk.emulator.faults([])
    restore_all(bulk, wait_timeout=1)
    assert bulk.secondary_addresses() == start


def test_what_failed_before_the_first_wave_does_not_stop_the_waves(bulk: Bulk) -> None:
    planned = bulk.run("unassign", check=True, security_group_tags="stage=test")
    bulk.emulator.faults([{"kind": "drop_rows", "action": READ, "ids": ["eni-both1"]}])
    failed = bulk.run("unassign", plan_file=planned["files"]["plan"], wave_size=20)
    assert failed["outcome"] == "failed"
    assert failed["totals"]["unassigned"] == 60


class TimeoutOfTask(BaseException):
    pass


@pytest.mark.parametrize("error", [RuntimeError("a defect"), TimeoutOfTask("60 s")])
def test_the_result_has_what_was_done_whatever_goes_wrong(bulk: Bulk, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    start = bulk.secondary_addresses()

    def fail(ecs: Any, request: Any, wave: Any, carry_out: Any = _bulk.carry_out) -> None:
        carry_out(ecs, request, wave)
        raise error

    monkeypatch.setattr(_bulk, "carry_out", fail)
    failed = bulk.run("unassign", wave_size=5, **WEB)
    gone = changed_by(start, bulk.secondary_addresses())
    assert (failed["outcome"], failed["failed"], failed["changed"]) == ("stopped", True, True)
    assert type(error).__name__ in failed["msg"]
    assert 0 < len(gone) < 14
    assert outcomes(failed["report"], "unassigned") == gone == pairs(documents(bulk, failed)[1])
    assert "To undo it" in str(failed["next_steps"])


def test_an_interrupt_ends_the_run_at_once_and_the_next_one_goes_on_with_its_plan(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    start = bulk.secondary_addresses()

    def interrupt(ecs: Any, request: Any, wave: Any, carry_out: Any = _bulk.carry_out) -> None:
        carry_out(ecs, request, wave)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_bulk, "carry_out", interrupt)
        with pytest.raises(KeyboardInterrupt):
            bulk.run("unassign", wave_size=5, **WEB)
    gone = changed_by(start, bulk.secondary_addresses())
    assert 0 < len(gone) < 14
    assert gone <= pairs(bulk.recipes()[0])
    (plan,) = bulk.reports.glob("plan-*.json")
    again = bulk.run("unassign", plan_file=str(plan))
    assert any(line.startswith("An earlier run of this plan did not end (unassign, process ") for line in bulk.lines)
    assert again["outcome"] == "done", again["msg"]
    restore_all(bulk, wait_timeout=1)
    assert bulk.secondary_addresses() == start


def test_what_cannot_be_restored_is_reported_and_the_rest_is_restored(bulk: Bulk) -> None:
    start = bulk.secondary_addresses()
    recipe = {"recipe_file": bulk.run("unassign", **WEB)["files"]["recipe"]}
    taken = start["eni-web00000"][0]
    change(bulk, "present", "eni-data00000", taken)
    failed = bulk.run("restore", **recipe)
    assert (failed["outcome"], failed["failed"], failed["changed"]) == ("failed", True, True)
    assert f"it is already assigned to eni-data00000; unassign it there first: eni-web00000 {taken}" in failed["msg"]
    assert changed_by(start, bulk.secondary_addresses()) == {("eni-web00000", taken)}

    change(bulk, "absent", "eni-data00000", taken)
    bulk.run("restore", wait_timeout=1, **recipe)
    assert bulk.secondary_addresses() == start


def test_a_restore_of_an_eni_that_was_deleted_fails_and_names_it(bulk: Bulk) -> None:
    recipe = bulk.run("unassign", **WEB)["files"]["recipe"]
    world = seed(20)
    world["interfaces"] = []
    bulk.emulator.reset(seed=world)
    failed = bulk.run("restore", recipe_file=recipe, wait_timeout=1)
    assert failed["failed"]
    assert "eni-both1" in failed["msg"]


# -- files


@pytest.mark.parametrize("operation", ["audit", "unassign", "restore"])
def test_a_folder_that_cannot_be_written_to_is_an_error_before_any_call(bulk: Bulk, operation: str) -> None:
    (bulk.folder / "file").touch()
    recipe = make_document([{"eni_id": "eni-both1", "private_ip_addresses": ["10.3.0.11"]}], "cn-hangzhou", ACCOUNT, "").as_dict()
    source: dict[str, Any] = {"recipe": recipe} if operation == "restore" else WEB
    refused = bulk.run(operation, report_dir=f"{bulk.folder}/file/reports", **source)
    assert refused["failed"]
    assert f"{bulk.folder}/file/reports: this folder cannot be written to" in refused["msg"]
    assert set(refused["published"]) == {f"secondary_ips_{operation}"}
    assert bulk.emulator.calls() == []


def test_the_recipe_is_on_the_disk_before_the_first_write_and_lines_come_before_each_wave(bulk: Bulk) -> None:
    seen: list[tuple[str, int, set[tuple[str, str]]]] = []

    def look(line: str) -> None:
        recipes = bulk.recipes()
        seen.append((line.split(" ")[0], len(bulk.writes()), pairs(recipes[0]) if recipes else set()))

    done = bulk.run("unassign", wave_size=5, say=look, **WEB)
    plan, recipe = documents(bulk, done)
    before = [(count, held) for word, count, held in seen if word == "{version:"]
    assert before[0] == (0, pairs(plan))
    assert len(before) == done["report"]["waves"][-1]["of"] == 4
    assert all(held >= pairs(recipe) for _count, held in before)
    assert seen[0][:2] == ("Unassign", 0)


def test_without_a_report_dir_all_files_are_in_the_state_folder_of_the_user(bulk: Bulk) -> None:
    done = bulk.run("unassign", report_dir="", **WEB)
    assert {Path(path).parent for path in done["files"].values()} == {bulk.folder / "state"}


def test_no_file_of_an_encrypted_plan_is_written_as_plain_text(bulk: Bulk) -> None:
    start = bulk.secondary_addresses()
    planned = bulk.run("unassign", check=True, **WEB)
    secret = VaultSecret(b"secret")
    vault = VaultLib([("team", secret)])
    plan = bulk.folder / "vaulted" / "plan.yml"
    plan.parent.mkdir()
    plan.write_bytes(vault.encrypt(Path(planned["files"]["plan"]).read_bytes(), secret, vault_id="team"))
    bulk.loader.set_vault_secrets([("team", secret)])
    done = bulk.run("unassign", plan_file=str(plan), report_dir="")
    written = [path for path in plan.parent.iterdir() if path != plan]
    assert {path.suffix for path in written} == {".json", ".md", ".html"}
    assert all(is_encrypted(path.read_bytes()) for path in written)
    restored = bulk.run("restore", recipe_file=done["files"]["recipe"], report_dir=str(bulk.folder / "restored"))
    assert not restored.get("failed"), restored["msg"]
    assert all(is_encrypted(path.read_bytes()) for path in (bulk.folder / "restored").iterdir())
    assert bulk.secondary_addresses() == start


@pytest.mark.parametrize(("after", "outcome"), [("wave 1/", "stopped"), ("wave 4/", "not verified")])
def test_the_next_run_knows_that_a_run_ended_early_because_nobody_waited(bulk: Bulk, after: str, outcome: str) -> None:
    """The next run says so, also if nobody waited only for the last read."""
    start = bulk.secondary_addresses()
    gone = False

    def close(line: str) -> None:
        nonlocal gone
        gone = gone or line.startswith(after)

    stopped = bulk.run("unassign", wave_size=5, say=close, waiting=lambda: not gone, **WEB)
    assert (stopped["outcome"], stopped["failed"]) == (outcome, True)
    assert "nobody waits for this run any more" in stopped["msg"]
    assert changed_by(start, bulk.secondary_addresses()) <= pairs(documents(bulk, stopped)[1])
    again = bulk.run("unassign", plan_file=stopped["files"]["plan"])
    assert any(line.startswith("An earlier run of this plan did not end (unassign, process ") for line in bulk.lines)
    assert not again.get("failed"), again["msg"]
    bulk.run("unassign", plan_file=stopped["files"]["plan"])
    assert not any("An earlier run" in line for line in bulk.lines)
    restore_all(bulk, wait_timeout=1)
    assert bulk.secondary_addresses() == start


def test_a_restore_keeps_its_files_in_the_folder_of_the_recipe(bulk: Bulk) -> None:
    recipe = bulk.run("unassign", **WEB)["files"]["recipe"]
    restored = bulk.run("restore", recipe_file=recipe, report_dir="", wait_timeout=1)
    assert {Path(path).parent for path in restored["files"].values()} == {bulk.reports}


def test_one_plan_is_never_restored_and_unassigned_at_the_same_time(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bulk, "PATIENCE", 0)
    start = bulk.secondary_addresses()
    tried: list[dict[str, Any]] = []

    def restore(line: str) -> None:
        if line.startswith("wave 1/"):
            tried.append(Bulk(bulk.emulator, bulk.folder).run("restore", recipe=bulk.recipes()[0], wait_timeout=1))

    bulk.run("unassign", wave_size=5, say=restore, **WEB)
    (refused,) = tried
    assert refused["outcome"] == "refused"
    assert "another run works on this plan" in refused["msg"]
    restore_all(bulk, wait_timeout=1)
    assert bulk.secondary_addresses() == start


def test_a_run_that_waited_for_another_one_reads_again_before_it_writes(bulk: Bulk) -> None:
    start = bulk.secondary_addresses()
    plan_file = bulk.run("unassign", check=True, **WEB)["files"]["plan"]
    other, waits, results = Bulk(bulk.emulator, bulk.folder), threading.Event(), []

    def say(line: str) -> None:
        if line.startswith("Another run works on this plan (unassign, process "):
            waits.set()

    thread = threading.Thread(target=lambda: results.append(other.run("unassign", plan_file=plan_file, say=say)))

    def start_other(line: str) -> None:
        if line.startswith("wave 1/"):
            thread.start()
            assert waits.wait(30)

    done = bulk.run("unassign", plan_file=plan_file, wave_size=5, say=start_other)
    thread.join(60)
    (second,) = results
    assert (done["totals"]["unassigned"], done["outcome"]) == (14, "done")
    assert "unassigned" not in second["totals"]
    assert (second["totals"]["already_absent"], second["changed"]) == (14, False)
    assert len(bulk.writes()) == len({eni_id for eni_id, _address in changed_by(start, bulk.secondary_addresses())})
    restore_all(bulk, wait_timeout=1)
    assert bulk.secondary_addresses() == start


@pytest.mark.parametrize("operation", ["unassign", "restore"])
def test_a_run_with_nothing_to_do_plans_again_after_the_run_that_it_waited_for(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    start = bulk.secondary_addresses()
    files = bulk.run("unassign", **WEB)["files"]
    source = {"unassign": {"plan_file": files["plan"]}, "restore": {"recipe_file": files["recipe"]}}
    if operation == "restore":
        restore_all(bulk, wait_timeout=1)
    opposite = "unassign" if operation == "restore" else "restore"
    first, second, waits, results = Bulk(bulk.emulator, bulk.folder), bulk, threading.Event(), []

    def say(line: str) -> None:
        if line.startswith(f"Another run works on this plan ({opposite}, process "):
            waits.set()

    thread = threading.Thread(target=lambda: results.append(second.run(operation, wait_timeout=1, say=say, **source[operation])))

    def start_second(*arguments: Any, carry_out: Any = _bulk.carry_out) -> None:
        if not thread.ident:
            thread.start()
            assert waits.wait(30)
        carry_out(*arguments)

    monkeypatch.setattr(_bulk, "carry_out", start_second)
    assert not first.run(opposite, wait_timeout=1, **source[opposite]).get("failed")
    thread.join(60)
    (result,) = results
    assert (result["outcome"], result["totals"]["unassigned" if operation == "unassign" else "assigned"]) == ("done", 14)
    assert len(changed_by(start, bulk.secondary_addresses())) == (14 if operation == "unassign" else 0)
    restore_all(bulk, wait_timeout=1)
    assert bulk.secondary_addresses() == start


def test_a_run_with_nothing_to_do_waits_for_the_reads_if_the_opposite_run_is_killed_while_it_waits(bulk: Bulk) -> None:
    start = bulk.secondary_addresses()
    files = bulk.run("unassign", **WEB)["files"]
    restore_all(bulk, wait_timeout=1)
    bulk.emulator.reset(seed=seed(20), lag_ms=1500)
    lock = bulk.reports / lock_name(read_json(Path(files["plan"]))["digest"])
    lock.write_text("unassign, process 4711 on host since then\n", encoding="utf-8")
    with lock.open() as killed:
        fcntl.flock(killed, fcntl.LOCK_EX)

        def kill(line: str) -> None:
            if line.startswith("Another run works on this plan (unassign, process 4711 "):
                change(bulk, "absent", "eni-both1", "10.3.0.11", wait=False)
                fcntl.flock(killed, fcntl.LOCK_UN)

        restored = bulk.run("restore", recipe_file=files["recipe"], wait_timeout=3, say=kill)
    assert (restored["outcome"], restored["totals"]["assigned"]) == ("done", 1), restored
    assert bulk.secondary_addresses() == start


# -- the same again, and many


def test_check_mode_a_run_and_a_second_run_agree(bulk: Bulk) -> None:
    start = bulk.secondary_addresses()
    planned, done, again = (bulk.run("unassign", check=check, **WEB) for check in (True, False, False))
    assert (planned["changed"], done["changed"], again["changed"]) == (True, True, False)
    assert outcomes(planned["report"], "planned") == outcomes(done["report"], "unassigned") == changed_by(start, bulk.secondary_addresses())
    assert (planned["digest"], again["outcome"]) == (done["digest"], "nothing to do")
    recipe = {"recipe_file": done["files"]["recipe"], "wait_timeout": 1}
    written = len(bulk.writes())
    predicted = bulk.run("restore", check=True, **recipe)
    assert len(bulk.writes()) == written
    restored, again = (bulk.run("restore", **recipe) for _time in range(2))
    assert (predicted["changed"], restored["changed"], again["changed"]) == (True, True, False)
    assert outcomes(predicted["report"], "planned") == outcomes(restored["report"], "assigned")
    assert bulk.secondary_addresses() == start


def test_all_kinds_are_unassigned_and_restored(bulk: Bulk) -> None:
    bulk.emulator.reset()
    start = bulk.secondary_addresses()
    kinds = "private_ip_addresses, ipv4_prefixes, ipv6_addresses, ipv6_prefixes"
    done = bulk.run("unassign", security_group_names="web, data, pods", kinds=kinds, allow_eip=True, wait_timeout=5, wave_size=7)
    assert done["outcome"] == "done", done.get("msg")
    gone = changed_by(start, bulk.secondary_addresses())
    assert {":" in address for _eni_id, address in gone} == {"/" in address for _eni_id, address in gone} == {True, False}
    assert gone == outcomes(done["report"], "unassigned") == pairs(documents(bulk, done)[1])
    # It also works only from the lines of the output.
    shown = [line for line in bulk.lines if line.startswith("{version")]
    assert not bulk.run("restore", recipe="\n".join(shown), wait_timeout=5).get("failed")
    assert bulk.secondary_addresses() == start


def test_a_thousand_enis_are_unassigned_and_restored(bulk: Bulk) -> None:
    bulk.emulator.reset(seed=seed(1000, each=1))
    start = bulk.secondary_addresses()
    many = {"wave_size": 350, "max_concurrency": 16, "wait_timeout": 20}
    done = bulk.run("unassign", security_group_tags="stage", max_addresses=1002, **many)
    assert [wave["addresses"] for wave in done["report"]["waves"]] == [350, 350, 302]
    assert len(changed_by(start, bulk.secondary_addresses())) == 1002
    # One write for each ENI. For each wave, only the reads for its ENIs and the polls.
    assert len(bulk.writes()) == 1001
    bulk.run("restore", recipe_file=done["files"]["recipe"], **many)
    assert bulk.secondary_addresses() == start


def without_group(all_enis: bool) -> dict[str, Any]:
    """The same ENIs and addresses, but one ENI, or all of them, left the security group."""
    world = seed(20)
    world["interfaces"][0]["security_group_ids"] = ["sg-legacy"]
    if all_enis:
        world["generate"][0]["security_group_ids"] = ["sg-legacy"]
    return world


@pytest.mark.parametrize("by_plan", [True, False])
@pytest.mark.parametrize("lacking", ["all", "one"])
def test_an_approved_plan_with_an_address_that_is_not_selected_today_fails(bulk: Bulk, by_plan: bool, lacking: str) -> None:
    planned = bulk.run("unassign", check=True, **WEB)
    bulk.emulator.reset(seed=without_group(lacking == "all"))
    source = {"plan_file": planned["files"]["plan"]} if by_plan else {}
    refused = bulk.run("unassign", approved_digest=planned["digest"], **source, **WEB)
    assert (refused["outcome"], refused.get("failed")) == ("refused", True)
    assert "eni-both1 10.3.0.11" in refused["msg"]
    assert bulk.writes() == []


def test_an_unknown_approved_plan_is_not_taken_for_an_empty_plan(bulk: Bulk) -> None:
    planned = bulk.run("unassign", check=True, **WEB)
    bulk.emulator.reset(seed=without_group(all_enis=True))
    refused = bulk.run("unassign", approved_digest=planned["digest"], report_dir=str(bulk.folder / "lost"), **WEB)
    assert (refused["outcome"], refused.get("failed")) == ("refused", True)


def test_a_recipe_that_cannot_be_written_stops_the_run_before_the_first_write(bulk: Bulk) -> None:
    planned = bulk.run("unassign", check=True, **WEB)
    room = Path(planned["files"]["plan"]).stat().st_size + 20  # the recipe also names its plan
    _soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        refused = bulk.run("unassign", approved_digest=planned["digest"], **WEB)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert (refused["outcome"], refused["failed"], refused["changed"]) == ("refused", True, False)
    assert "recipe-" in refused["msg"]
    assert "File too large" in refused["msg"]
    assert "recipe" not in refused["files"]
    assert bulk.writes() == []


def test_a_disk_that_is_full_after_the_waves_leaves_the_result_and_the_recipe(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports and long commands are written last."""
    start = bulk.secondary_addresses()
    full = False

    def say(line: str) -> None:
        nonlocal full
        full = full or line.startswith("wave 3/")

    def write(folder: Folder, name: str, text: str, written: Any = Folder.write) -> Path:
        if full:
            raise FolderError(f"{name}: it cannot be written: No space left on device")
        return written(folder, name, text)

    monkeypatch.setattr(Folder, "write", write)
    keep = [f"10.9.{number}.0/24" for number in range(100)]
    bulk.emulator.faults([{"action": "write", "kind": "error", "code": "OperationDenied", "status": 403, "eni_id": "eni-web00003"}])
    done = bulk.run("unassign", wave_size=5, max_failures="100%", keep=keep, say=say, **WEB)
    assert full
    assert (done["failed"], done["changed"]) == (True, True)
    assert "No space left" in done["msg"]
    recipe = Path(done["files"]["recipe"])
    assert changed_by(start, bulk.secondary_addresses()) <= pairs(read_json(recipe))
    assert any("restore" in step and str(recipe) in step for step in done["next_steps"])


def test_a_used_approval_that_cannot_be_recorded_is_reported(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    start = bulk.secondary_addresses()
    planned = bulk.run("unassign", check=True, **WEB)

    def write(folder: Folder, name: str, text: str, written: Any = Folder.write) -> Path:
        if name.startswith("approval-"):
            raise FolderError(f"{name}: it cannot be written: No space left on device")
        return written(folder, name, text)

    monkeypatch.setattr(Folder, "write", write)
    done = bulk.run("unassign", approved_digest=planned["digest"], **WEB)
    assert (done["outcome"], len(changed_by(start, bulk.secondary_addresses()))) == ("done", 14)
    for shown in (done["stopped"], done["report"]["stopped"], " ".join(bulk.lines)):
        assert "The use of the approval could not be recorded: approval-" in shown


def test_a_run_with_nothing_to_write_keeps_the_mark_of_the_run_that_used_the_approval(bulk: Bulk) -> None:
    world = seed(10)  # not the sample, in which states change during the test
    world["interfaces"][0]["eips"] = {world["interfaces"][0]["private_ip_addresses"][0]: "203.0.113.7"}
    bulk.emulator.reset(seed=world)  # with an EIP, so that no run has nothing to do
    planned = bulk.run("unassign", check=True, security_group_names="web")
    approved = {"security_group_names": "web", "plan_file": planned["files"]["plan"], "approved_digest": planned["digest"]}
    assert bulk.run("unassign", **approved)["outcome"] == "done"
    (mark,) = bulk.reports.glob("approval-*")
    used = {**read_json(mark), "finished_at": "2026-01-01T00:00:00+00:00"}
    mark.write_text(json.dumps(used), encoding="utf-8")
    again = bulk.run("unassign", **approved)
    assert again["outcome"] == "done", again["msg"]
    assert read_json(mark) == used


def test_no_file_of_a_plan_that_was_encrypted_in_the_folder_is_written_as_plain_text(bulk: Bulk) -> None:
    planned = bulk.run("unassign", check=True, **WEB)
    secret = VaultSecret(b"secret")
    plan = Path(planned["files"]["plan"])
    text = plan.read_bytes()
    for path in bulk.reports.iterdir():
        path.unlink()
    plan.write_bytes(VaultLib([("team", secret)]).encrypt(text, secret, vault_id="team"))
    bulk.loader.set_vault_secrets([("team", secret)])
    done = bulk.run("unassign", approved_digest=planned["digest"], **WEB)
    assert done["outcome"] == "done", done["msg"]
    assert {path.name[:4] for path in bulk.reports.iterdir()} == {"plan", "reci", "appr", "unas"}
    assert [path.name for path in bulk.reports.iterdir() if not is_encrypted(path.read_bytes())] == []


def test_no_file_has_the_secret_of_the_report_url(bulk: Bulk) -> None:
    keep = [f"10.9.{number}.0/24" for number in range(100)]
    planned = bulk.run("unassign", check=True, keep=keep, report_url="https://deploy:pa$$word@reports.example.com/bulk/", **WEB)
    assert len(list(bulk.reports.glob("variables-*.json"))) == 1
    assert [path.name for path in bulk.reports.iterdir() if "pa$$word" in path.read_text(encoding="utf-8")] == []
    short = bulk.run("unassign", check=True, report_url="https://deploy:pa$$word@reports.example.com/bulk/", **WEB)
    assert "reports.example.com" not in json.dumps([planned["next_steps"], short["next_steps"]])
    assert "https://reports.example.com/bulk/" in json.dumps(
        bulk.run("unassign", check=True, report_url="https://reports.example.com/bulk/", **WEB)["next_steps"]
    )
