# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: a report → the lines that a run shows, and the message of a task that fails.

Private to this collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._result import DONE_KEY, format_list
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import first_few
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import (
    MOST_EXAMPLES,
    MOST_LINES,
    fold_lines,
    format_duration,
    format_examples,
    label,
    many,
)
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._guest_report import guest_plan_lines, guest_summary_lines
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import (
    DIFFERENCES,
    HELD,
    PENDING,
    PLANNED,
    STATE_OF,
    STATES,
    WaveView,
    wrong_states,
)

MOST_LISTED = 50  # addresses that the output lists one by one; with more, the first of each security group
FILE_LABELS = {"plan": "plan", "recipe": "restore recipe", "json": "report, JSON", "md": "report, Markdown", "html": "report, HTML"}


def plan_lines(report: Mapping[str, Any]) -> list[str]:
    """Before the first write: all that is needed to approve the plan. Of an audit: what was found."""
    where = f"{report['region'] or 'region not known'}, account {report['account_id'] or 'not known'}"
    lines = [
        f"{report['title']}, {where}" + " (check mode)" * report["check_mode"],
        f"{'found' if report['operation'] == 'audit' else 'plan'}: {report['headline']}",
        _format_digest(report),
        *first_few([f"  {_format_group(group)}" for group in report["groups"]], MOST_LINES),
        *guest_plan_lines(report["guests"]),
        *_reason_lines(report),
        *first_few([f"  cannot be read: {entry['id']}: {entry['reason']}" for entry in report["unreadable"]], MOST_LINES),
    ]
    for name, what in DIFFERENCES.items():
        if pairs := report["difference"][name]:
            lines.append(f"  {len(pairs)} {what}: {', '.join(first_few(pairs, MOST_LINES))}")
    return fold_lines(lines + _address_lines(report))


def summary_lines(report: Mapping[str, Any]) -> list[str]:
    """At the end of a run: what became of it, where its files are, and what to do next."""
    lines = [f"{report['outcome']}: {report['headline']}", _format_digest(report)]
    lines += [f"  refused: {refusal}" for refusal in first_few(report["refusals"], MOST_LINES)]
    lines += [report["stopped"]] if report["stopped"] else []
    lines += [] if report["check_mode"] or report["operation"] == "audit" or report["refusals"] else _reason_lines(report)
    lines += [report["sure"]] if report["sure"] else []
    lines += guest_summary_lines(report["guests"])
    lines += [f"{FILE_LABELS[kind]}: {path}" for kind, path in report["files"].items()]
    # A command that is folded must still be one command.
    steps = [": ".join(split_step(step)) for step in report["next_steps"]]
    return fold_lines(lines) + [line for step in steps for line in fold_lines([step], " \\")]


def wave_line(waves: Sequence[WaveView], addresses: int, operation: str, elapsed: float, pause: float = 0) -> str:
    """After each wave. ``waves``: those that are finished. ``addresses``: of the whole plan. ``elapsed``: seconds since the first wave
    started, pauses included, by a clock that nobody sets. ``pause``: seconds between two waves."""
    last, so_far = waves[-1], sum(wave.addresses for wave in waves)
    done, failed = sum(wave.done for wave in waves), sum(wave.failed for wave in waves)
    parts = [
        f"wave {last.number}/{last.of}",
        f"{so_far} of {addresses} addresses",
        f"{done} {DONE_KEY[STATE_OF[operation]]}" + (f", {failed} failed" if failed else ""),
    ]
    if 0 < so_far < addresses and last.number < last.of:
        at_work = max(elapsed - pause * (last.number - 1), 0)
        left = at_work * (addresses - so_far) / so_far + pause * (last.of - last.number)
        parts.append(f"about {format_duration(left)} left")
    return " · ".join(parts)


def failure_message(report: Mapping[str, Any]) -> str:
    """Why the task fails; empty if it does not."""
    if report["outcome"] == "refused":
        return "Nothing was changed. " * (report["operation"] != "audit") + format_list(report["refusals"])
    if report["outcome"] not in ("stopped", "not verified", "failed"):
        return ""
    wrong = [format_reason(entry) for entry in report["reasons"] if entry["state"] in wrong_states(report["operation"])]
    return ". ".join(filter(None, (report["headline"], report["stopped"], "; ".join(first_few(wrong, MOST_LINES)))))


def format_reason(entry: Mapping[str, Any]) -> str:
    """``2 failed, OperationDenied: not now [request id 4734]: eni-1 10.0.0.1, eni-1 10.0.0.2``."""
    how_many = f"{entry['addresses']} {label(entry['state'])}" if entry["addresses"] else label(entry["state"])
    request_id = f" [request id {entry['request_id']}]" if entry["request_id"] else ""
    return f"{how_many}, {entry['code']}: {entry['reason']}{request_id}: {format_examples(entry)}"


def split_step(step: str) -> tuple[str, str]:
    """What the next step is for, and its exact command."""
    title, _colon, command = step.partition(": ")
    return (title, command) if command.startswith("ansible-playbook ") else ("Next", step)


def _reason_lines(report: Mapping[str, Any]) -> list[str]:
    return first_few([f"  {format_reason(entry)}" for entry in report["reasons"]], MOST_LINES)


def _format_digest(report: Mapping[str, Any]) -> str:
    return f"digest {report['digest'] or 'none'}" + (f", approved {report['approved_digest']}" if report["approved_digest"] else "")


def _format_group(group: Mapping[str, Any]) -> str:
    name = f"{group['name']} ({group['security_group_id']})" if group["name"] else group["security_group_id"]
    counts = [f"{group[state]} {label(state)}" for state in STATES if group[state]]
    return f"{name}: {', '.join([many(group['interfaces'], 'ENI'), *counts])}"


def _address_lines(report: Mapping[str, Any]) -> list[str]:
    """The addresses of the plan: all, or the first of each security group and where the rest is."""
    by_eni: dict[str, list[str]] = {}
    by_group: dict[str, list[str]] = {group["security_group_id"]: [] for group in report["groups"]}
    for row in report["interfaces"]:
        for line in row["addresses"]:
            if line["state"] in (PLANNED, PENDING, HELD):
                by_eni.setdefault(row["eni_id"], []).append(line["address"])
                by_group[row["security_group_id"]].append(f"{row['eni_id']} {line['address']}")
    number = sum(map(len, by_eni.values()))
    if number <= MOST_LISTED:
        return [f"  {eni_id}: {', '.join(addresses)}" for eni_id, addresses in by_eni.items()]
    lines = [f"  {group}: {', '.join(first_few(pairs, MOST_EXAMPLES))}" for group, pairs in by_group.items() if pairs]
    where = report["files"].get("plan") or report["files"].get("json") or "in the report"
    return [*first_few(lines, MOST_LINES), f"all {number} addresses: {where}"]
