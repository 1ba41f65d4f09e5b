# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The RAM policies of policies/: what they allow is enough, and is exactly what runs really call. And what a missing one looks like."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.emulator import FOLDER, Emulator
from support.module import run_module

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = yaml.safe_load((FOLDER / "seeds" / "sample.yml").read_text(encoding="utf-8"))
READ_ONLY, UNASSIGN, RESTORE = "read-only", "unassign", "restore"
IPV4 = {"instance_id": "i-web0001", "private_ip_addresses": ["192.168.0.11"]}
IPV6 = {"eni_id": "eni-web1007", "ipv6_addresses": ["fd00:0:0:1::161"]}


def actions_of(policy: str) -> list[str]:
    statements = json.loads((ROOT / "policies" / f"{policy}.json").read_text(encoding="utf-8"))["Statement"]
    actions = [
        action
        for statement in statements
        for action in [statement["Action"]]
        for action in ([action] if isinstance(action, str) else action)
    ]
    return [action.removeprefix("ecs:") for action in actions]


class Caller:
    """Somebody who may do just this."""

    def __init__(self, emulator: Emulator, allow: list[str]) -> None:
        own = {"user": "caller", "access_key_id": "caller-id", "access_key_secret": "caller-secret", "allow": allow}
        emulator.reset(seed={**SAMPLE, "credentials": [*SAMPLE["credentials"], own]})
        self.environment = {
            **emulator.environment(),
            "ALIBABA_CLOUD_ACCESS_KEY_ID": "caller-id",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "caller-secret",
        }

    def info(self, **options: Any) -> dict[str, Any]:
        return run_module("eni_secondary_ip_info", options, self.environment)

    def change(self, state: str, *assignments: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
        return run_module("eni_secondary_ip", {"state": state, "assignments": list(assignments), **options}, self.environment, check=check)


def use(caller: Caller, policy: str) -> list[dict[str, Any]]:
    """What the policy is for: find, foresee and, but for reading, write both families."""
    found = [caller.info(security_group_ids=["sg-web", "sg-nobody"]), caller.info(instance_ids=["i-web0001", "i-nobody"])]
    if policy == RESTORE:
        free = (
            {"instance_id": "i-web0001", "private_ip_addresses": ["192.168.0.77"]},
            {"eni_id": "eni-web1007", "ipv6_addresses": ["fd00:0:0:1::77"]},
        )
        return [*found, caller.change("present", *free)]
    return [*found, caller.change("absent", IPV4, IPV6, check=policy == READ_ONLY)]


@pytest.mark.parametrize("policy", [READ_ONLY, UNASSIGN, RESTORE])
def test_a_policy_is_enough_and_no_more(emulator: Emulator, policy: str) -> None:
    results = use(Caller(emulator, actions_of(policy)), policy)
    assert [result.get("msg") for result in results if result.get("failed")] == []
    assert results[-1]["changed"] is True
    assert {call["action"] for call in emulator.calls()} == set(actions_of(policy))


@pytest.mark.parametrize("policy", [READ_ONLY, UNASSIGN, RESTORE])
def test_a_policy_is_bound_to_a_region_and_to_its_kind_of_resource(policy: str) -> None:
    statements = json.loads((ROOT / "policies" / f"{policy}.json").read_text(encoding="utf-8"))["Statement"]
    kinds = {"DescribeInstances": "instance", "DescribeSecurityGroups": "securitygroup"}
    for statement in statements:
        for action in statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]:
            kind = kinds.get(action.removeprefix("ecs:"), "eni")
            assert re.fullmatch(rf"acs:ecs:cn-hangzhou:\*:{kind}/\*", statement["Resource"])


@pytest.mark.parametrize("policy", [READ_ONLY, UNASSIGN, RESTORE])
def test_what_is_missing_is_named(emulator: Emulator, policy: str) -> None:
    for missing in actions_of(policy):
        caller = Caller(emulator, [action for action in actions_of(policy) if action != missing])
        failed = [result for result in use(caller, policy) if result.get("failed")]
        assert failed, missing
        for result in failed:
            assert f"(the RAM action it takes is ecs:{missing})" in json.dumps(result)
            assert "does not exist" not in json.dumps(result)


@pytest.mark.parametrize("code", ["Forbidden.RiskControl", "Forbidden.RegionId", "Forbidden.AccountClosed"])
def test_what_is_refused_for_another_reason_is_no_missing_permission(emulator: Emulator, code: str) -> None:
    caller = Caller(emulator, actions_of(READ_ONLY))
    emulator.faults([{"kind": "error", "code": code, "status": 403, "message": "No."}])
    assert caller.info(eni_ids=["eni-web1001"])["failure"]["message"] == "No."


@pytest.mark.parametrize("policy", [READ_ONLY, UNASSIGN, RESTORE])
def test_the_guide_shows_the_policies_as_they_are(policy: str) -> None:
    guide = (ROOT / "docs" / "docsite" / "rst" / "guide_credentials.rst").read_text(encoding="utf-8")
    for action in actions_of(policy):
        assert f"ecs:{action}" in guide
    assert f"policies/{policy}.json" in guide
