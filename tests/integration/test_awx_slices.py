# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan that several slices share: they reach the same state as one run, no ENI is in two slices, and the last step notices what is
missing."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from support.awx import Awx, answers, slice_of, together
from support.bulk import Bulk
from support.emulator import Emulator
from support.playbook import Playbooks, secondary_addresses

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._settings import SettingsError

ENIS = 80
FEW_ENIS = 24


def seed(count: int = ENIS) -> dict[str, Any]:
    return {
        "region": "cn-hangzhou",
        "account": "1000000000000001",
        "vswitches": [{"id": "vsw-app", "vpc_id": "vpc-main", "cidr": "10.10.0.0/16"}],
        "security_groups": [{"id": "sg-web", "vpc_id": "vpc-main", "name": "web"}],
        "generate": [
            {"prefix": "web", "count": count, "private_ip_addresses": 2, "vswitch_id": "vsw-app", "security_group_ids": ["sg-web"]},
        ],
    }


@pytest.fixture
def awx(emulator: Emulator, tmp_path: Path) -> Awx:
    emulator.reset(seed=seed())
    return Awx(emulator, tmp_path)


def approve(awx: Awx, slices: int, **given: Any) -> dict[str, Any]:
    return {**awx.approved(answers("unassign", security_group_names="web", **given)), "unassign_secondary_ips_slices": slices}


def writes(emulator: Emulator) -> list[dict[str, Any]]:
    return [call for call in emulator.calls(writes=True) if call["status"] == 200]


def enis_written(emulator: Emulator) -> Counter[str]:
    return Counter(call["parameters"]["NetworkInterfaceId"] for call in writes(emulator))


@pytest.mark.parametrize(("count", "calls_per_minute"), [(1, 0), (4, 300)], ids=["one slice", "four slices with a common pace"])
def test_concurrent_slices_reach_the_same_state_as_one_run(awx: Awx, count: int, calls_per_minute: int) -> None:
    emulator = awx.emulator
    emulator.reset(seed=seed(FEW_ENIS))
    start = secondary_addresses(emulator)
    approved = approve(awx, count, calls_per_minute=calls_per_minute, max_concurrency=1)
    # The inventory may have more ENIs than the plan.
    hosts = [*start, "eni-other", "localhost"]
    jobs = awx.slices(approved, hosts, count)
    assert [job.status for job in jobs] == ["successful"] * count, "\n".join(job.output for job in jobs if job.status != "successful")
    assert all(addresses == [] for addresses in secondary_addresses(emulator).values())
    assert enis_written(emulator) == dict.fromkeys(start, 1)
    # All slices share the pace. Otherwise they would be throttled most of the time.
    interval = count * 60 / calls_per_minute if calls_per_minute else 0
    for number in range(count):
        of_slice = slice_of(hosts, number + 1, count)
        sent = [datetime.fromisoformat(call["time"]) for call in writes(emulator) if call["parameters"]["NetworkInterfaceId"] in of_slice]
        assert (max(sent) - min(sent)).total_seconds() > 0.9 * (len(sent) - 1) * interval
    # Each slice publishes under its own name, so that nothing is lost, although AWX keeps one value for each name.
    assert len(together(jobs)) == count

    report = awx.launch("unassign_report", {**approved, **together(jobs)})
    assert report.status == "successful", report.output
    summary = report.artifacts["secondary_ips_unassign"]
    assert summary["outcome"] == "done"
    assert summary["totals"]["unassigned"] == summary["totals"]["addresses"] == 2 * FEW_ENIS
    assert summary["digest"] == approved["unassign_secondary_ips_approved_digest"]

    # One recipe restores all of it.
    restored = awx.launch("restore", answers("restore", recipe=json.dumps(report.artifacts)))
    assert restored.status == "successful", restored.output
    assert secondary_addresses(emulator) == start


def test_a_missing_slice_is_noticed_and_what_ran_is_restored_without_the_report(awx: Awx) -> None:
    emulator = awx.emulator
    start = secondary_addresses(emulator)
    approved = approve(awx, 4)
    ran = [awx.launch("unassign_slice", approved, hosts=slice_of(sorted(start), number, 4)) for number in (1, 2)]
    report = awx.launch("unassign_report", {**approved, **together(ran)})
    assert report.status == "failed"
    output = " ".join(report.output.split())
    assert f"{ENIS // 2} of {ENIS} ENIs of the plan are in no slice that reported: {slice_of(sorted(start), 3, 4)[0]}" in output
    assert report.artifacts["secondary_ips_unassign"]["outcome"] == "stopped"
    # A restore accepts the artifacts of the slices, or the lines of all their outputs together.
    lines = "\n".join(line for job in ran for line in job.lines("{version: 1"))
    bulk = Bulk(emulator, awx.folder)
    restored = bulk.run("restore", recipe=json.dumps(together(ran)))
    assert not restored.get("failed"), restored["msg"]
    assert secondary_addresses(emulator) == start
    again = awx.launch("unassign_slice", approved, hosts=slice_of(sorted(start), 1, 4))
    assert again.status == "successful", again.output
    assert sum(not addresses for addresses in secondary_addresses(emulator).values()) == ENIS // 4
    # Some addresses are already present. The run reads them again until wait_timeout is over.
    restored = bulk.run("restore", recipe=lines, wait_timeout=1)
    assert not restored.get("failed"), restored["msg"]
    assert secondary_addresses(emulator) == start


def test_a_line_that_is_missing_in_one_slice_is_noticed_though_another_has_the_same_wave(awx: Awx) -> None:
    approved = approve(awx, 2, wave_size=16)
    enis = sorted(secondary_addresses(awx.emulator))
    ran = [awx.launch("unassign_slice", approved, hosts=slice_of(enis, number, 2)) for number in (1, 2)]
    lines = [line for job in ran for line in job.lines("{version: 1")]
    second = [line for line in ran[1].lines("{version: 1") if "wave: 2 of 5" in line]
    assert second
    with pytest.raises(SettingsError, match="missing: wave 2 of 5 of slice"):
        Bulk(awx.emulator, awx.folder).run("restore", recipe="\n".join(line for line in lines if line not in second))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"unassign_secondary_ips_approved_digest": "0" * 64},
            "is set, but unassign_secondary_ips_plan (question 'Saved plan') has the digest",
        ),
        ({"unassign_secondary_ips_approved_digest": None}, "the runs that share a plan need its digest"),
    ],
)
def test_a_slice_that_cannot_prove_its_part_writes_nothing(awx: Awx, changed: dict[str, Any], message: str) -> None:
    """test_settings.py has the other reasons."""
    awx.calls_per_minute = None
    given = {name: value for name, value in {**approve(awx, 8), **changed}.items() if value is not None}
    refused = awx.launch("unassign_slice", given, hosts=slice_of(sorted(secondary_addresses(awx.emulator)), 1, 8))
    assert refused.status == "failed"
    assert message in " ".join(refused.output.split())
    assert awx.emulator.calls(writes=True) == []


def test_a_slice_without_an_eni_of_the_plan_has_nothing_to_do(awx: Awx) -> None:
    approved = approve(awx, 2)
    idle = awx.launch("unassign_slice", approved, hosts=["eni-other1", "eni-other2"])
    assert idle.status == "successful", idle.output
    (artifact,) = idle.artifacts.values()
    assert artifact["outcome"] == "nothing to do"
    assert awx.emulator.calls(writes=True) == []


@pytest.mark.parametrize("strategy", ["linear", "free", "host_pinned"])
def test_one_host_carries_out_the_slice_under_every_strategy(awx: Awx, tmp_path: Path, strategy: str) -> None:
    approved = approve(awx, 1)
    enis = sorted(secondary_addresses(awx.emulator))
    inventory = tmp_path / "hosts.ini"
    inventory.write_text("".join(f"{eni_id} ansible_connection=local\n" for eni_id in enis))
    limited = enis[:10]
    playbook = tmp_path / "play.yml"
    text = (Path(__file__).parents[2] / "playbooks" / "unassign_slice.yml").read_text(encoding="utf-8")
    playbook.write_text(text.replace("  hosts: all\n", f"  hosts: all\n  strategy: {strategy}\n"))
    runs = Playbooks(awx.emulator, tmp_path)
    runs.play(str(playbook), "-i", str(inventory), "--limit", ",".join(limited), "--forks", "3", variables=approved)
    assert enis_written(awx.emulator) == dict.fromkeys(limited, 1)
