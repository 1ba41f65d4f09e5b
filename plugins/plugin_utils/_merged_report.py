# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: the reports of several runs that shared a plan → one report of the same form.

Private to this collection. It adds the counts and joins the lists. The worst outcome is the outcome of the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import MOST_EXAMPLES, seconds_between
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import (
    build_headline,
    in_order,
    order_of_group,
    order_of_reason,
    worst_first,
)

# Worst first.
OUTCOMES = ("refused", "stopped", "not verified", "failed", "planned", "done", "nothing to do")


def merge_reports(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """At least one report. The caller sets ``recipe``, ``digest``, ``files`` and ``next_steps``."""
    first = reports[0]
    started = min(report["started_at"] for report in reports)
    finished = max(report["finished_at"] for report in reports)
    outcomes = [report["outcome"] for report in reports]
    merged = {
        **first,
        "outcome": min(outcomes, key=lambda outcome: OUTCOMES.index(outcome) if outcome in OUTCOMES else 0),
        "account_id": next((report["account_id"] for report in reports if report["account_id"]), None),
        "started_at": started,
        "finished_at": finished,
        "seconds": seconds_between(started, finished),
        "totals": in_order(sum((Counter(report["totals"]) for report in reports), Counter())),
        "refusals": list(dict.fromkeys(refusal for report in reports for refusal in report["refusals"])),
        "stopped": ". ".join(dict.fromkeys(report["stopped"] for report in reports if report["stopped"])),
        "sure": ". ".join(dict.fromkeys(report["sure"] for report in reports if report["sure"])),
        "difference": {name: [pair for report in reports for pair in report["difference"][name]] for name in first["difference"]},
        "groups": _merge_groups(reports),
        "reasons": _merge_reasons(reports),
        "waves": _merge_waves(reports, started),
        "interfaces": sorted((row for report in reports for row in report["interfaces"]), key=worst_first),
        "unreadable": [entry for report in reports for entry in report["unreadable"]],
        "files": {},
        "next_steps": [],
    }
    merged["headline"] = build_headline(merged)
    return merged


def _merge_reasons(reports: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for report in reports:
        for entry in report["reasons"]:
            known = found.get((entry["state"], entry["code"]))
            if known is None:
                found[entry["state"], entry["code"]] = {**entry, "first": list(entry["first"])}
                continue
            known["addresses"] += entry["addresses"]
            known["interfaces"] += entry["interfaces"]
            known["first"] = [*known["first"], *entry["first"]][:MOST_EXAMPLES]
    return sorted(found.values(), key=order_of_reason)


def _merge_groups(reports: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for report in reports:
        for group in report["groups"]:
            known = found.setdefault(group["security_group_id"], {**group, **{name: 0 for name in group if isinstance(group[name], int)}})
            for name, value in group.items():
                if isinstance(value, int):
                    known[name] += value
            known["name"] = known["name"] or group["name"]
    return sorted(found.values(), key=order_of_group)


def _merge_waves(reports: Iterable[Mapping[str, Any]], start: str) -> list[dict[str, Any]]:
    """In the order in which they began. Waves of different slices ran at the same time."""
    waves = sorted((wave for report in reports for wave in report["waves"]), key=lambda wave: wave["started_at"])
    return [
        {**wave, "number": number, "of": len(waves), "offset": seconds_between(start, wave["started_at"])}
        for number, wave in enumerate(waves, 1)
    ]
