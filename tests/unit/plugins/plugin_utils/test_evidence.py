# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The findings on the guests decide what is skipped. They are in the report and in the output."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import flatten, group
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import AddressState, Event
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Change, Plan
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._evidence import (
    GUEST_CONFIGURED,
    GUEST_IN_USE,
    GUEST_UNKNOWN,
    POLICIES,
    RESULT,
    Evidence,
    GuestSettings,
    read_evidence,
)
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._guest_results import CONFIGURED, IN_USE, NOT_SEEN, UNKNOWN
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._guests import PERMANENT_CONFIGURATION, Finding
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._lines import plan_lines, summary_lines
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._render import render
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import build_report
from ansible_collections.alicloud_ops.network.tests.unit.plugins.plugin_utils.report_builders import (
    EIP,
    KEPT,
    guest_evidence,
    guest_result,
    guests,
    mac,
    with_mac,
)

A, B, C, D = "10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.2.1"
NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
PREFIX = "unassign_secondary_ips_"


# -- the policy


@pytest.mark.parametrize(
    ("level", "seen", "protect", "require"),
    [
        (IN_USE, IN_USE, GUEST_IN_USE, GUEST_IN_USE),
        (CONFIGURED, CONFIGURED, GUEST_CONFIGURED, GUEST_CONFIGURED),
        (NOT_SEEN, None, None, None),
        (UNKNOWN, None, None, GUEST_UNKNOWN),
        # Seen by another guest, or by one of two that have the same MAC address.
        (UNKNOWN, IN_USE, GUEST_IN_USE, GUEST_IN_USE),
        (UNKNOWN, CONFIGURED, GUEST_CONFIGURED, GUEST_CONFIGURED),
    ],
)
@pytest.mark.parametrize("policy", [*POLICIES, "only_not_seen"])
def test_the_policy_says_what_is_skipped(policy, level, seen, protect, require):
    only = policy == "only_not_seen"
    evidence = Evidence(GuestSettings("web", "report" if only else policy, only, 15), ["web"], {})
    evidence.joined.findings["eni-1"] = {A: Finding(level, "any", "the finding", seen=seen)}
    (change,) = evidence.protect(plan_of(A)).changes
    expected = {"report": None, "protect": protect, "require": require, "only_not_seen": require}[policy]
    assert change.todo == (group([A]) if expected is None else group([]))
    assert {address: (reason.code, reason.text) for address, reason in change.skipped.items()} == (
        {A: (expected, "the finding")} if expected else {}
    )


def plan_of(*addresses: str, **more: Any) -> Plan:
    return Plan((Change("eni-1", None, with_mac(1, *addresses), group(addresses), group([]), **more),))


def test_an_address_that_was_not_looked_up_is_unknown():
    evidence = guest_evidence("require")  # not joined
    (change,) = evidence.protect(plan_of(A)).changes
    assert change.skipped[A].code == GUEST_UNKNOWN


def test_another_guard_keeps_its_reason_and_other_addresses_stay_planned():
    evidence = guest_evidence("protect")
    found = {"eni-1": with_mac(1, A, B, C)}
    evidence.join(found, {"eni-1": found["eni-1"].held})
    plan = plan_of(B, C, skipped={A: KEPT}, refused={"10.0.1.9": EIP})
    (change,) = evidence.protect(plan).changes
    assert flatten(change.todo) == (C,)
    assert {address: reason.code for address, reason in change.skipped.items()} == {A: "Kept", B: GUEST_CONFIGURED}
    assert change.refused == {"10.0.1.9": EIP}


def test_two_enis_with_one_mac_address_are_noticed_also_if_one_of_them_is_not_concerned():
    evidence = guest_evidence("require")
    found = {"eni-1": with_mac(1, C), "eni-9": replace(with_mac(1), eni_id="eni-9")}
    evidence.join(found, {"eni-1": group([C])})
    finding = evidence.finding("eni-1", C)
    assert finding
    assert (finding.level, finding.reason_code) == (UNKNOWN, "mac_conflict")


# -- the age


def aged(*ages: timedelta | str | None, most: int = 15) -> list[str]:
    times = [age if age is None or isinstance(age, str) else (NOW - age).isoformat() for age in ages]
    results = {f"host{number}": guest_result(number, read_at=time) for number, time in enumerate(times)}
    return Evidence(GuestSettings("all", "report", False, most), results, results).refusals(PREFIX, NOW)


@pytest.mark.parametrize(
    ("age", "is_refused"),
    [
        (timedelta(0), False),
        (timedelta(minutes=15), False),
        (timedelta(minutes=15, seconds=1), True),
        (timedelta(seconds=-60), False),  # somebody set the clock
        (timedelta(seconds=-61), True),
        (None, True),
        ("2026-01-05T12:00:00", True),  # without a time zone
        ("now", True),
    ],
)
def test_old_evidence_is_refused_at_the_limit(age, is_refused):
    assert bool(aged(age)) == is_refused
    # One result that is too old is enough.
    assert bool(aged(timedelta(0), age)) == is_refused


def test_the_refusal_names_the_hosts_the_age_and_what_to_do():
    (text,) = aged(timedelta(minutes=31), timedelta(0), timedelta(minutes=20), most=10)
    assert text == (
        "unassign_secondary_ips_guest_max_age: 2 of 3 guests were read too long ago, the oldest 31 minutes ago, but at most 10 minutes are "
        "allowed: host0, host2. Run the playbook again: it reads the guests again"
    )


def test_a_guest_that_could_not_be_read_has_no_age():
    results = {"web": guest_result(1, read_at=NOW.isoformat()), "db": {"unreachable": True}, "old": {"failed": True, "msg": "no Python"}}
    assert Evidence(GuestSettings("all", "report", False, 15), results, results).refusals(PREFIX, NOW) == []


@pytest.mark.parametrize(
    ("policy", "only_not_seen", "is_refused"),
    [("report", False, False), ("protect", False, True), ("require", False, False), ("protect", True, False)],
)
def test_guests_of_which_none_could_be_read_protect_nothing(policy, only_not_seen, is_refused):
    results = {"db": {"unreachable": True, "msg": "timed out"}, "old": {"failed": True, "msg": "no Python"}}
    found = Evidence(GuestSettings("all", policy, only_not_seen, 15), results, results).refusals(PREFIX, NOW)
    assert bool(found) is is_refused
    assert not found or "none of the 2 hosts of 'all' could be read, so nothing would be protected: db: the guest could not" in found[0]


def test_a_pattern_without_a_host_and_hosts_without_a_result_are_refused():
    def refusals(pattern: str, hosts: list[str]) -> list[str]:
        return Evidence(GuestSettings(pattern, "report", False, 15), hosts, {}).refusals(PREFIX, NOW)

    assert refusals("wbe", []) == ["unassign_secondary_ips_guests: 'wbe' matches no host of the inventory"]
    (text,) = refusals("web", ["web1", "web2"])
    assert text.startswith("unassign_secondary_ips_guests: no host of 'web' was read: web1, web2.")
    assert refusals("", []) == []


# -- the report and the output


def levels(report: dict[str, Any]) -> dict[str, str]:
    return {line["address"]: line["level"] for row in report["interfaces"] for line in row["addresses"]}


LEVELS = {A: IN_USE, B: CONFIGURED, C: NOT_SEEN, D: UNKNOWN}


@pytest.mark.parametrize("policy", POLICIES)
def test_each_line_has_its_level_and_the_totals_are_of_all_lines(policy):
    report = build_report(guests(policy))
    assert levels(report) == LEVELS
    assert report["guests"]["totals"] == dict.fromkeys([IN_USE, CONFIGURED, UNKNOWN, NOT_SEEN], 1)
    assert (report["guests"]["hosts"], report["guests"]["read"], report["guests"]["policy"]) == (2, 1, policy)
    (first,) = [line for row in report["interfaces"] for line in row["addresses"] if line["address"] == A]
    assert first["finding"] == "in use on web (eth1): sshd listens on port 22"


def test_the_digest_is_that_of_the_assignments():
    """It is made from the planned addresses, independent of the findings on the guests."""
    run = guests("require")
    assert run.plan
    assert build_report(run)["digest"] == run.plan.digest == build_report(replace(run, evidence=None))["digest"]
    assert list(run.plan.pairs()) == [("eni-1", C)]


def test_the_plan_has_one_line_for_each_level_and_one_for_each_reason():
    lines = plan_lines(build_report(guests("protect")))
    at = lines.index("  guests of 'web,db': 1 of 2 read, the first at 2026-01-05T10:00:00+00:00; policy protect")
    assert lines[at + 1] == (
        "  warning: policy protect does not skip addresses with the level unknown (1 address); "
        "use policy require (unassign_secondary_ips_guest_policy)"
    )
    assert lines[at + 2 : at + 10] == [
        "  in use: 1 address",
        "    1 listening, in use on web (eth1): sshd listens on port 22: eni-1 10.0.1.1",
        "  configured: 1 address",
        "    1 configured, configured on web (eth1): eni-1 10.0.1.2",
        "  unknown: 1 address",
        f"    1 no guest, no guest that was read has the MAC address {mac(2)}: eni-2 10.0.2.1",
        "  not seen: 1 address",
        "    1 not seen, not seen on web (eth1), which has this ENI: eni-1 10.0.1.3",
    ]
    assert lines[at + 10].startswith("  guest db: the guest could not be reached: <script>")
    assert "  1 skipped, GuestInUse: in use on web (eth1): sshd listens on port 22: eni-1 10.0.1.1" in lines
    assert [entry["guard"] for entry in build_report(guests("protect"))["reasons"]] == ["guests", "guests"]


@pytest.mark.parametrize("results", [{"web": {"unreachable": True}, "db": {"failed": True, "msg": "no Python"}}, {}])
def test_a_policy_that_protects_nothing_says_so(results):
    """No guest could be read, so every address is unknown, and policy protect skips none of them."""

    def warnings(policy, operation="unassign", **more):
        evidence = guest_evidence(policy, results=results, **more)
        run = guests(policy, operation)
        evidence.join(run.interfaces, {eni_id: one.held for eni_id, one in run.interfaces.items()})
        report = build_report(replace(run, evidence=evidence))
        pages = [report["guests"]["warning"] in render(report, kind) for kind in ("md", "html")]
        return [line for line in plan_lines(report) if "warning" in line], pages

    (line,), pages = warnings("protect")
    assert line == (
        "  warning: no guest could be read, so policy protect protects nothing (4 addresses); "
        "use policy require (unassign_secondary_ips_guest_policy)"
    )
    assert pages == [False, True]  # Markdown escapes the underscores
    assert warnings("require")[0] == warnings("protect", only_not_seen=True)[0] == []
    # With the policy report it says so too, unless the user named no guest.
    expected = ["  warning: no guest could be read, so every level is unknown (4 addresses)"] if results else []
    assert warnings("report")[0] == warnings("report", operation="audit")[0] == expected


def test_a_line_says_when_only_what_no_guest_uses_is_selected():
    assert any(line.endswith("; only what no guest uses") for line in plan_lines(build_report(guests(only_not_seen=True))))


def test_an_audit_reports_what_is_configured_and_not_assigned():
    """But not the primary addresses (an ENI has one in each family), and not addresses that were not selected."""
    run = guests("report", "audit")
    run.interfaces = {**run.interfaces, "eni-1": replace(run.interfaces["eni-1"], primary=frozenset(["10.0.1.5", "2001:db8::1"]))}
    assert run.evidence
    run.evidence = guest_evidence(results={"web": guest_result(1, "10.0.1.5", "2001:db8::1", A, "10.0.1.99")})
    report = build_report(run)
    assert [(entry["eni_id"], entry["host"], entry["address"]) for entry in report["guests"]["not_assigned"]] == [
        ("eni-1", "web", "10.0.1.99")
    ]
    assert "  eni-1 10.0.1.99: configured on web (eth1) but not assigned to this ENI" in summary_lines(report)
    assert any("HaVip" in line and "EIP" in line for line in summary_lines(report))


@pytest.mark.parametrize("has_last_read", [True, False])
def test_after_an_unassign_the_guests_that_still_have_the_address_are_named(has_last_read):
    run = guests("report", check_mode=False)
    for eni in run.ledger:
        eni.move(Event.SEND, eni.having(AddressState.PLANNED))
        eni.move(Event.CONFIRM, [each for each in eni.having(AddressState.IN_FLIGHT) if each != A])
        eni.latest = replace(with_mac(1, A) if eni.eni_id == "eni-1" else with_mac(2), details={})  # as it is read before a write
    if has_last_read:
        run.final = {"eni-1": with_mac(1, A), "eni-2": with_mac(2)}
    report = build_report(run)
    # Without the address that may still be on the ENI.
    assert [(entry["host"], entry["address"], entry["command"]) for entry in report["guests"]["remaining"]] == [
        ("web", B, "ip address del 10.0.1.2/24 dev eth1")
    ]
    lines = summary_lines(report)
    assert "  web: ip address del 10.0.1.2/24 dev eth1" in lines
    assert PERMANENT_CONFIGURATION in lines


def test_without_guests_there_is_no_level():
    report = build_report(replace(guests(), evidence=None))
    assert report["guests"] is None
    assert all("level" not in line for row in report["interfaces"] for line in row["addresses"])
    assert not [line for line in [*plan_lines(report), *summary_lines(report)] if line.startswith("  guest")]


# -- the variables of the hosts


class HostVariables(dict[str, dict[str, Any]]):
    """The variables as Ansible provides them. A template would visit every part of a value, so only raw values may be read."""

    def __getitem__(self, host: str) -> Any:
        raise AssertionError(f"the variables of {host} were templated")

    def raw_get(self, host: str) -> dict[str, Any]:
        return dict(self.items())[host]


@pytest.mark.parametrize(
    ("pattern", "hosts", "read"),
    [
        ("all", ["db1", "web1", "web2"], ["web1"]),
        ("web", ["web1", "web2"], ["web1"]),
        ("web:!web1", ["web2"], []),
        ("db1", ["db1"], []),
        ("nowhere", [], []),
        ("", [], []),
    ],
)
def test_the_evidence_is_what_the_hosts_of_the_pattern_registered(pattern, hosts, read):
    result = guest_result(1, A)
    variables = HostVariables(web1={RESULT: result}, web2={}, db1={RESULT: "not a result"})
    task_vars = {"groups": {"all": ["web1", "web2", "db1"], "web": ["web1", "web2"], "ungrouped": []}, "hostvars": variables}
    evidence = read_evidence(GuestSettings(pattern, "protect", False, 15), task_vars, DataLoader())
    assert sorted(evidence.hosts) == hosts
    assert evidence.results == dict.fromkeys(read, result)


def test_a_pattern_that_ansible_does_not_understand_matches_nothing():
    task_vars = {"groups": {"all": ["web1"]}, "hostvars": HostVariables(web1={})}
    evidence = read_evidence(GuestSettings("~(", "protect", False, 15), task_vars, DataLoader())
    assert evidence.hosts == []
    assert "matches no host" in evidence.refusals(PREFIX)[0]


def test_an_eni_that_is_not_known_has_an_unknown_level():
    evidence = guest_evidence("require")
    evidence.join({}, {"eni-1": group([A])})
    finding = evidence.finding("eni-1", A)
    assert (finding.level, finding.seen) == (UNKNOWN, IN_USE)
