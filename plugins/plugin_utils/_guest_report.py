# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: the part of a report that is about the guests, and its lines in the output.

Private to this collection. People approve what the output shows, so it has the number of addresses of each level, and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import Interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import first_few
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._evidence import REPORT, Evidence
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import MOST_EXAMPLES, MOST_LINES, format_examples, label, many
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._guest_results import LEVELS, UNKNOWN
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._guests import PERMANENT_CONFIGURATION


def add_levels(rows: Iterable[Mapping[str, Any]], evidence: Evidence) -> None:
    """Add level and finding to each address of the report."""
    for row in rows:
        for line in row["addresses"]:
            finding = evidence.finding(row["eni_id"], line["address"])
            line["level"], line["finding"] = finding.level, finding.text


def describe_guests(
    operation: str, rows: Iterable[Mapping[str, Any]], evidence: Evidence, before: Mapping[str, Interface], now: Mapping[str, Interface]
) -> dict[str, Any]:
    """``rows``: with their levels. ``before`` and ``now``: the ENIs as first and as last read."""
    reasons = _reasons(rows, evidence)
    times = [time for time in evidence.read_at.values() if time]
    # Only what this run unassigned: an address that was absent before may be on another ENI of the guest.
    unassigned = {row["eni_id"]: [line["address"] for line in row["addresses"] if line["state"] == "unassigned"] for row in rows}
    remaining = evidence.remaining({eni_id: gone for eni_id, gone in unassigned.items() if gone}, {**before, **now})
    totals = {level: sum(entry["addresses"] for entry in reasons if entry["level"] == level) for level in LEVELS}
    return {
        "warning": _warning(evidence, totals[UNKNOWN]),
        "pattern": evidence.settings.pattern,
        "policy": evidence.settings.policy,
        "only_not_seen": evidence.settings.only_not_seen,
        "hosts": len(evidence.hosts),
        "read": len(evidence.read_at),
        "read_at": min(times).isoformat(timespec="seconds") if times else None,  # the oldest
        "totals": totals,
        "reasons": reasons,
        "conflicts": evidence.joined.conflicts,
        "gaps": evidence.joined.gaps,
        "not_assigned": evidence.not_assigned(before) if operation == "audit" else [],
        "remaining": remaining,
        "permanent_configuration": PERMANENT_CONFIGURATION if remaining else "",
    }


def guest_plan_lines(guests: Mapping[str, Any] | None) -> list[str]:
    """For the plan: one line a level with its counts, one line a reason, and what could not be read."""
    if not guests:
        return []
    lines = [_format_guests(guests)] + [f"  warning: {guests['warning']}"] * bool(guests["warning"])
    for level, number in guests["totals"].items():
        reasons = [entry for entry in guests["reasons"] if entry["level"] == level]
        if number:
            lines.append(f"  {label(level)}: {many(number, 'address')}")
            lines += [f"    {_format_reason(entry)}" for entry in reasons]
    lines += first_few([f"  guest {gap['host']}: {gap['text']}" for gap in guests["gaps"]], MOST_LINES)
    return lines + first_few([f"  {format_conflict(conflict)}" for conflict in guests["conflicts"]], MOST_LINES)


def guest_summary_lines(guests: Mapping[str, Any] | None) -> list[str]:
    """At the end: addresses that are configured in a guest, but not assigned to its ENI."""
    if not guests:
        return []
    lines = []
    if found := guests["not_assigned"]:
        lines.append(
            f"configured in a guest, but not assigned to its ENI: {many(len(found), 'address')}. Such an address may be a HaVip, or an "
            "EIP that is visible in the guest:"
        )
        lines += first_few([f"  {entry['eni_id']} {entry['address']}: {entry['text']}" for entry in found], MOST_LINES)
    if found := guests["remaining"]:
        lines.append(f"unassigned, but still configured in a guest: {many(len(found), 'address')}. To remove them there:")
        lines += first_few([f"  {entry['host']}: {entry['command'] or entry['text']}" for entry in found], MOST_LINES)
        lines.append(guests["permanent_configuration"])
    return lines


def _warning(evidence: Evidence, unknown: int) -> str:
    """Policy protect skips only addresses that a guest shows. If a guest cannot be read, its addresses are not protected."""
    if UNKNOWN in evidence.settings.skipped_levels or not unknown:
        return ""
    nothing = "" if evidence.read_at else "no guest could be read, so "
    if evidence.settings.policy == REPORT:
        return f"{nothing}every level is unknown ({many(unknown, 'address')})" if nothing and evidence.hosts else ""
    what = "protects nothing" if nothing else "does not skip addresses with the level unknown"
    return f"{nothing}policy protect {what} ({many(unknown, 'address')}); use policy require (unassign_secondary_ips_guest_policy)"


def format_conflict(conflict: Mapping[str, Any]) -> str:
    """Several guests or ENIs that have one MAC address."""
    sharers = [*(f"guest {host}" for host in conflict["hosts"]), *conflict["eni_ids"]]
    return f"MAC address {conflict['mac_address']} belongs to {', '.join(sharers)}"


def _reasons(rows: Iterable[Mapping[str, Any]], evidence: Evidence) -> list[dict[str, Any]]:
    """One entry for each level and reason code: how many addresses, the first few of them, and the text of the first."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        for line in row["addresses"]:
            finding = evidence.finding(row["eni_id"], line["address"])
            code = finding.reason_code
            entry = found.setdefault(
                (line["level"], code), {"level": line["level"], "code": code, "addresses": 0, "finding": line["finding"], "first": []}
            )
            entry["addresses"] += 1
            if len(entry["first"]) < MOST_EXAMPLES:
                entry["first"].append(f"{row['eni_id']} {line['address']}")
    return sorted(found.values(), key=lambda entry: (LEVELS.index(entry["level"]), -entry["addresses"], entry["code"]))


def _format_guests(guests: Mapping[str, Any]) -> str:
    named = f" of '{guests['pattern']}'" if guests["pattern"] else ""
    rule = "only what no guest uses" if guests["only_not_seen"] else f"policy {guests['policy']}"
    when = f", the first at {guests['read_at']}" if guests["read_at"] else ""
    return f"  guests{named}: {guests['read']} of {guests['hosts']} read{when}; {rule}"


def _format_reason(entry: Mapping[str, Any]) -> str:
    example = "for example: " if entry["addresses"] > 1 else ""
    return f"{entry['addresses']} {label(entry['code'] or UNKNOWN)}, {example}{entry['finding']}: {format_examples(entry)}"
