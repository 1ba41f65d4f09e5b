# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The RAM policies in policies/ allow exactly the actions that runs call. A missing permission is a clear error."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
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
    return [action.removeprefix("ecs:") for statement in statements for action in listed(statement["Action"])]


class Caller:
    """A caller who may do only this."""

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
    """The purpose of the policy: find, check mode and, unless it is read-only, writes of both families."""
    found = [caller.info(security_group_ids=["sg-web", "sg-nobody"]), caller.info(instance_ids=["i-web0001", "i-nobody"])]
    if policy == RESTORE:
        free = (
            {"instance_id": "i-web0001", "private_ip_addresses": ["192.168.0.77"]},
            {"eni_id": "eni-web1007", "ipv6_addresses": ["fd00:0:0:1::77"]},
        )
        return [*found, caller.change("present", *free)]
    return [*found, caller.change("absent", IPV4, IPV6, check=policy == READ_ONLY)]


@pytest.mark.parametrize("policy", [READ_ONLY, UNASSIGN, RESTORE])
def test_a_policy_allows_exactly_what_is_needed(emulator: Emulator, policy: str) -> None:
    results = use(Caller(emulator, actions_of(policy)), policy)
    assert [result.get("msg") for result in results if result.get("failed")] == []
    assert results[-1]["changed"] is True
    assert {call["action"] for call in emulator.calls()} == set(actions_of(policy))


# What each action is checked against, by the tables "RAM authorization" of the API documentation.
RESOURCES = {
    "DescribeNetworkInterfaces": "eni/eni-web1001",
    "DescribeInstances": "instance/i-web0001",
    "DescribeSecurityGroups": "securitygroup/sg-web",
    "UnassignPrivateIpAddresses": "eni/eni-web1001",
    "UnassignIpv6Addresses": "eni/eni-web1001",
    "AssignPrivateIpAddresses": "eni/eni-web1001",
    "AssignIpv6Addresses": "eni/eni-web1001",
}


def allows(policy: dict[str, Any], action: str, resource: str, region: str = "cn-hangzhou") -> bool:
    """As RAM decides: a statement with the effect Allow has the action, and a pattern that matches the resource."""
    arn = f"acs:ecs:{region}:1000000000000001:{resource}"
    return any(
        statement["Effect"] == "Allow"
        and any(fnmatchcase(f"ecs:{action}", pattern) for pattern in listed(statement["Action"]))
        and any(fnmatchcase(arn, pattern) for pattern in listed(statement["Resource"]))
        for statement in policy["Statement"]
    )


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.mark.parametrize("policy", [READ_ONLY, UNASSIGN, RESTORE])
def test_a_policy_allows_its_actions_on_their_resources_in_its_region_alone(policy: str) -> None:
    document = json.loads((ROOT / "policies" / f"{policy}.json").read_text(encoding="utf-8"))
    assert document["Version"] == "1"
    for action, resource in RESOURCES.items():
        assert allows(document, action, resource) is (action in actions_of(policy))
        assert not allows(document, action, resource, region="cn-beijing")
        assert not allows(document, action, "disk/d-1")
    assert not allows(document, "DeleteNetworkInterface", "eni/eni-web1001")


def test_the_example_policy_of_the_guide_allows_its_actions_on_its_resources_in_its_region_alone() -> None:
    text = (ROOT / "docs" / "docsite" / "rst" / "guide_credentials.rst").read_text(encoding="utf-8")
    start = text.rindex("{", 0, text.index('"Version"'))
    document, _end = json.JSONDecoder().raw_decode(text, start)
    write = "UnassignPrivateIpAddresses"
    assert allows(document, write, "eni/eni-bp1example")
    assert not allows(document, write, "eni/eni-web1001"), "the example names its ENIs"
    assert not allows(document, write, "eni/eni-bp1example", region="cn-beijing")


@pytest.mark.parametrize("policy", [READ_ONLY, UNASSIGN, RESTORE])
def test_what_is_missing_is_named(emulator: Emulator, policy: str) -> None:
    for missing in actions_of(policy):
        caller = Caller(emulator, [action for action in actions_of(policy) if action != missing])
        failed = [result for result in use(caller, policy) if result.get("failed")]
        assert failed, missing
        for result in failed:
            assert f"(grant the RAM action ecs:{missing})" in json.dumps(result)
            assert "does not exist" not in json.dumps(result)


@pytest.mark.parametrize("code", ["Forbidden.RiskControl", "Forbidden.RegionId", "Forbidden.AccountClosed"])
def test_a_refusal_for_another_reason_does_not_look_like_a_missing_permission(emulator: Emulator, code: str) -> None:
    caller = Caller(emulator, actions_of(READ_ONLY))
    emulator.faults([{"kind": "error", "code": code, "status": 403, "message": "No."}])
    assert caller.info(eni_ids=["eni-web1001"])["error"]["message"] == "No."


@pytest.mark.parametrize("policy", [READ_ONLY, UNASSIGN, RESTORE])
def test_the_guide_shows_the_policies_as_they_are(policy: str) -> None:
    guide = (ROOT / "docs" / "docsite" / "rst" / "guide_credentials.rst").read_text(encoding="utf-8")
    for action in actions_of(policy):
        assert f"ecs:{action}" in guide
    assert f"policies/{policy}.json" in guide
