# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: what a bulk run has read, planned and done so far → its report.

Private to this collection. The report is a view of the ledger of the run. It decides nothing and keeps nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils import _plan
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import flatten, sort_key
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import NOT_VERIFIED
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import Interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import AddressState, EniLedger
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Reason
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import DONE_KEY, UNCHANGED_KEY, format_name
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import first_few
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import Document
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._evidence import REASON_CODES, Evidence
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import MOST_EXAMPLES, clean, label, many, seconds_between
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._guest_report import add_levels, describe_guests

VERSION = 1  # of the JSON report
# The states of an address in the report, worst first. This is also the order of the report.
FAILED, PENDING, SKIPPED, PLANNED, HELD = "failed", "pending", "skipped", "planned", "held"
STATES = (FAILED, PENDING, SKIPPED, PLANNED, HELD, *DONE_KEY.values(), *UNCHANGED_KEY.values())
_OPTION = re.compile(r"(?<![\w.])(allow_eip|protected_tags|max_addresses|calls_per_minute|max_concurrency|report_dir)\b")
CONTRADICTION = "Contradiction"  # the last read does not show what the ledger has

STATE_OF = {"audit": "", "unassign": "absent", "restore": "present"}  # operation → state of the change module
TITLES = {
    "audit": "Secondary addresses by security group",
    "unassign": "Unassign secondary addresses",
    "restore": "Restore secondary addresses",
}
# Reason code of a skipped address → the guard that skipped it.
GUARDS = {
    _plan.KEPT: "keep",
    _plan.EIP_BOUND: "allow_eip",
    _plan.PROTECTED_TAG: "protected_tags",
    _plan.SERVICE_MANAGED: "service-managed ENI",
    **dict.fromkeys((_plan.ENI_STATE, _plan.ENI_IN_TRANSITION), "ENI state"),
    **dict.fromkeys((_plan.INSTANCE_STATE, _plan.INSTANCE_IN_TRANSITION, _plan.INSTANCE_UNKNOWN), "instance state"),
    **dict.fromkeys((_plan.ADDRESS_HELD, _plan.HOLDER_UNREADABLE), "address in use"),
    _plan.ENI_MISSING: "missing ENI",
    **dict.fromkeys(REASON_CODES.values(), "guests"),
}
# How today's plan can differ from the saved or approved one → text for the pairs of ENI and address.
DIFFERENCES = {
    "added": "not in the saved or approved plan",
    "removed": "in the saved or approved plan, but no longer on their ENI",
    "left": "in the saved or approved plan, but refused, not readable or not selected today",
}
NO_GROUP = "no security group"
_ONE_OF = "for example: "  # before the text of the first address, if those of the others differ


@dataclass(frozen=True)
class WaveView:
    """One wave that has ended. Times are ISO 8601 in UTC."""

    number: int
    of: int
    addresses: int
    done: int
    failed: int
    api_calls: int
    started_at: str
    finished_at: str


@dataclass
class RunView:
    """What a run has so far. Times are ISO 8601 in UTC; ``finished_at`` is empty while the run goes on.

    ``plan``: what the run may write, or what an audit found. ``interfaces``: the ENIs as first read. ``final``: the ENIs as the
    last read shows them, None if there was no last read. ``security_groups``: id → name. ``selected_groups``: ids of those that the
    user selected. ``unreadable``: id of an ENI or instance → why it cannot be read. ``refusals``: why nothing was written.
    ``stops``: why it wrote no more, or could not prove what it wrote. ``difference``: as in DIFFERENCES. ``sure``: text about addresses
    that looked already done. ``files``: kind → path. ``next_steps``: exact commands, each after its purpose ("To undo it:
    ansible-playbook …"). ``evidence``: what the guests returned, None if no guests are set. ``mask`` removes secrets from a text.
    """

    operation: str
    check_mode: bool = False
    started_at: str = ""
    finished_at: str = ""
    region: str | None = None
    account_id: str | None = None
    plan: Document | None = None
    recipe: Document | None = None
    approved_digest: str | None = None
    ledger: Sequence[EniLedger] = ()
    interfaces: Mapping[str, Interface] = field(default_factory=dict)
    security_groups: Mapping[str, str] = field(default_factory=dict)
    selected_groups: Sequence[str] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)
    difference: Mapping[str, Sequence[str]] = field(default_factory=dict)
    final: Mapping[str, Interface] | None = None
    waves: list[WaveView] = field(default_factory=list)
    api_calls: int = 0
    sure: str = ""
    files: dict[str, str] = field(default_factory=dict)
    next_steps: Sequence[str] = ()
    evidence: Evidence | None = None
    mask: Callable[[str], str] = str

    @property
    def state(self) -> str:
        """Of the change module; empty for an audit."""
        return STATE_OF[self.operation]

    @property
    def opposite(self) -> str:
        """The operation that undoes this one."""
        return "unassign" if self.operation == "restore" else "restore"

    def text(self, given: str) -> str:
        """Free text for the report, which may repeat what was sent to the service. Ids, addresses and documents are never masked:
        with a part masked, a recipe would restore nothing."""
        return clean(self.mask(given))

    def message(self, given: str) -> str:
        """As ``text``, for a message that may name options of the module. They become the variables of the role, because Ansible ignores
        a variable without its prefix."""
        return self.text(_OPTION.sub(rf"{self.operation}_secondary_ips_\1", given))


def build_report(run: RunView) -> dict[str, Any]:
    """The report, ready for JSON. Every address of the ledger (of an audit: of the plan) has one line in ``interfaces``."""
    rows = sorted(_rows(run), key=worst_first)
    counts = Counter(line["state"] for row in rows for line in row["addresses"])
    totals = {**counts, "interfaces": len(rows), "addresses": counts.total(), "api_calls": run.api_calls}
    reasons = _reasons(rows)
    guests = _guests(run, rows)
    unverified = _unverified(run)
    report: dict[str, Any] = {
        "version": VERSION,
        "operation": run.operation,
        "title": TITLES[run.operation],
        "check_mode": run.check_mode,
        "outcome": _outcome(run, reasons, counts, unverified),
        "headline": "",
        "region": run.region,
        "account_id": run.account_id,
        "digest": run.plan.digest if run.plan else None,
        "approved_digest": run.approved_digest,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "seconds": seconds_between(run.started_at, run.finished_at),
        "totals": in_order(totals),
        "refusals": [run.message(refusal) for refusal in run.refusals],
        "stopped": ". ".join(filter(None, (run.message(". ".join(run.stops)).rstrip("."), unverified))),
        "sure": run.text(run.sure),
        "difference": {name: list(run.difference.get(name, ())) for name in DIFFERENCES},
        "groups": _by_group(run, rows),
        "reasons": reasons,
        "waves": [_wave(wave, run.waves[0].started_at) for wave in run.waves],
        "interfaces": rows,
        "unreadable": [{"id": name, "reason": run.text(reason)} for name, reason in sorted(run.unreadable.items())],
        "files": {kind: run.text(path) for kind, path in run.files.items()},
        "next_steps": [run.text(step) for step in run.next_steps],
        "recipe": run.recipe.as_dict() if run.recipe else None,
        "guests": guests,
    }
    report["headline"] = build_headline(report)
    return report


def in_order(totals: Mapping[str, int]) -> dict[str, int]:
    """The totals as in a report: without the states that no address has."""
    states = {state: totals[state] for state in states_of(totals)}
    return {"interfaces": totals["interfaces"], "addresses": totals["addresses"], **states, "api_calls": totals["api_calls"]}


def states_of(totals: Mapping[str, int]) -> list[str]:
    """The states that addresses have, worst first."""
    return [state for state in STATES if totals.get(state)]


# -- one row an ENI, one line an address


def _rows(run: RunView) -> list[dict[str, Any]]:
    if run.ledger:
        return [_row(run, format_name(eni), _outcomes_of(run, eni), eni) for eni in run.ledger]
    state = HELD if not run.state else PLANNED if run.check_mode else PENDING
    assignments = run.plan.assignments if run.plan else {}
    return [_row(run, eni_id, dict.fromkeys(flatten(held), (state, None))) for eni_id, held in assignments.items()]


Outcomes = Mapping[str, tuple[str, Reason | None]]  # address → its state in the report, and why


def _outcomes_of(run: RunView, eni: EniLedger) -> Outcomes:
    done, unchanged = DONE_KEY[run.state], UNCHANGED_KEY[run.state]
    names = {
        AddressState.PLANNED: PLANNED if run.check_mode else PENDING,
        AddressState.IN_FLIGHT: FAILED,
        AddressState.DONE: PLANNED if run.check_mode else done,
        AddressState.UNCHANGED: unchanged,
        AddressState.SKIPPED: SKIPPED,
        AddressState.FAILED: FAILED,
    }
    last = run.final.get(eni.eni_id) if run.final is not None and not run.check_mode else None
    held = frozenset(flatten(last.held)) if last else None
    outcomes: dict[str, tuple[str, Reason | None]] = {}
    for address, state in eni.states.items():
        name, reason = names[state], eni.reasons.get(address)
        if name == FAILED:
            reason = reason or Reason(NOT_VERIFIED, "no read showed the outcome")
        elif name == PLANNED:
            reason = None  # the reason of a write that check mode predicts
        elif name == unchanged and eni.change.interface is None:
            reason = reason or Reason(_plan.ENI_MISSING, "the ENI does not exist")
        if held is not None:
            is_as_requested = (address in held) == (run.state == "present")
            shown = f"the last read shows that it is {'' if address in held else 'not '}on the ENI"
            if name != FAILED and is_as_requested != (name in (done, unchanged)):
                name, reason = FAILED, Reason(CONTRADICTION, f"{label(name)}, but {shown}")
            elif name == FAILED and is_as_requested and reason:
                reason = reason._replace(text=f"{reason.text}; {shown}")
        outcomes[address] = name, reason
    return outcomes


def _row(run: RunView, eni_id: str, outcomes: Outcomes, eni: EniLedger | None = None) -> dict[str, Any]:
    interface = run.interfaces.get(eni_id) or (eni.change.interface if eni else None)
    last = (run.final or {}).get(eni_id) or (eni.latest if eni else None) or interface
    failure = eni.change.failure if eni and not outcomes else None
    return {
        "eni_id": eni_id,
        "name": run.text((interface.details.get("NetworkInterfaceName") if interface else None) or ""),
        "type": interface.type if interface else "",
        "status": last.status if last else "cannot be read" if eni and eni.change.failure else "does not exist",
        "instance_id": (interface.instance_id if interface else eni.change.instance_id if eni else None) or "",
        "security_group_id": group_of(interface, run.selected_groups) if interface else NO_GROUP,
        "security_group_ids": list(interface.security_group_ids) if interface else [],
        "failure": _line(run, "", FAILED, failure, None) if failure else None,  # of the ENI as a whole, if it has no address here
        "addresses": [
            _line(run, address, *outcomes[address], interface.eips.get(address) if interface else None)
            for address in sorted(outcomes, key=sort_key)
        ],
    }


def group_of(interface: Interface, selected: Iterable[str]) -> str:
    """The security group in which an ENI counts: the first selected one that it is in."""
    groups = interface.security_group_ids
    return next((group for group in selected if group in groups), groups[0] if groups else NO_GROUP)


def worst_first(row: Mapping[str, Any]) -> tuple[int, str]:
    """The order of the rows."""
    return min((STATES.index(line["state"]) for line in _lines_of(row)), default=len(STATES)), row["eni_id"]


def _line(run: RunView, address: str, state: str, reason: Reason | None, eip: str | None) -> dict[str, Any]:
    return {
        "address": address,
        "state": state,
        "code": reason.code if reason else None,
        "reason": run.message(reason.text) if reason else "",
        "request_id": reason.request_id if reason else None,
        "eip": eip,
    }


def _lines_of(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The lines of an ENI, and the failure of the ENI as a whole."""
    return row["addresses"] if row["failure"] is None else [*row["addresses"], row["failure"]]


def _guests(run: RunView, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    if run.evidence is None:
        return None
    add_levels(rows, run.evidence)
    # A read right before a write does not return the MAC address.
    latest = {
        eni.eni_id: replace(eni.latest, details=run.interfaces[eni.eni_id].details)
        for eni in run.ledger
        if eni.latest and eni.eni_id in run.interfaces
    }
    return describe_guests(run.operation, rows, run.evidence, run.interfaces, {**latest, **(run.final or {})})


def _reasons(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One entry for each state and code: how many addresses of how many ENIs, the first few of them, and the guard that skipped them."""
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    for row in rows:
        new = set()
        for line in _lines_of(row):
            if line["code"] is None:
                continue
            key = line["state"], line["code"]
            start = {"state": key[0], "code": key[1], "reason": line["reason"], "request_id": line["request_id"]}
            start["guard"] = GUARDS.get(line["code"], line["code"]) if line["state"] == SKIPPED else None
            entry = found.setdefault(key, {**start, "addresses": 0, "interfaces": 0, "first": []})
            entry["addresses"] += bool(line["address"])
            entry["interfaces"] += key not in new
            new.add(key)
            if len(entry["first"]) < MOST_EXAMPLES:
                entry["first"].append(f"{row['eni_id']} {line['address']}".rstrip())
            if line["reason"] != entry["reason"] and not entry["reason"].startswith(_ONE_OF):
                entry["reason"] = _ONE_OF + entry["reason"]
    return sorted(found.values(), key=order_of_reason)


def order_of_reason(entry: Mapping[str, Any]) -> tuple[int, int, str]:
    return STATES.index(entry["state"]), -entry["addresses"], entry["code"]


def _by_group(run: RunView, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    groups: dict[str, Counter[str]] = {}
    for row in rows:
        counts = groups.setdefault(row["security_group_id"], Counter())
        counts.update({"interfaces": 1, "addresses": len(row["addresses"])})
        counts.update(line["state"] for line in row["addresses"])
    found = (
        {"security_group_id": group, "name": run.text(run.security_groups.get(group, "")), **dict.fromkeys(STATES, 0), **counts}
        for group, counts in groups.items()
    )
    return sorted(found, key=order_of_group)


def order_of_group(group: Mapping[str, Any]) -> tuple[int, str]:
    return -group["addresses"], group["security_group_id"]


def _wave(wave: WaveView, start: str) -> dict[str, Any]:
    """With its place in the timeline: seconds from the start of the first wave, and how long it took."""
    return {
        **asdict(wave),
        "offset": seconds_between(start, wave.started_at),
        "seconds": seconds_between(wave.started_at, wave.finished_at),
    }


# -- the outcome


def _unverified(run: RunView) -> str:
    """Why the last read does not prove what was done; empty if it does, or if there is nothing to prove."""
    written = [eni.eni_id for eni in run.ledger if eni.writes]
    if not run.finished_at or run.check_mode or not written:
        return ""
    if run.final is None:
        return "There is no last read, so the result is not verified"
    lacking = [eni_id for eni_id in written if eni_id not in run.final]
    return f"The last read lacks {', '.join(first_few(lacking, MOST_EXAMPLES))}, so the result is not verified" if lacking else ""


def _outcome(run: RunView, reasons: Iterable[Mapping[str, Any]], counts: Counter[str], unverified: str) -> str:
    if run.refusals:
        return "refused"
    if not run.state:
        return "listed"
    if counts[PENDING]:
        return "stopped" if run.finished_at else "planned"
    if unverified:
        return "not verified"
    if run.stops:
        return "stopped"
    if any(entry["state"] in wrong_states(run.operation) for entry in reasons):
        return "failed"
    # A run with refused, missing or unreadable addresses has something to do.
    something = any(entry["code"] != _plan.KEPT for entry in reasons) or run.unreadable or counts[PLANNED] or counts[DONE_KEY[run.state]]
    return "nothing to do" if not something else "planned" if run.check_mode else "done"


def wrong_states(operation: str) -> tuple[str, ...]:
    """The states that make a run fail. For a restore a skipped address is a failure, because the recipe names it."""
    return (FAILED, SKIPPED) if operation == "restore" else (FAILED,)


def build_headline(report: Mapping[str, Any]) -> str:
    totals, broken = report["totals"], len(report["unreadable"])
    parts = [f"{totals[state]} {label(state)}" for state in states_of(totals)]
    parts += [f"{many(broken, 'ENI or instance', 'ENIs or instances')} cannot be read"] if broken else []
    subject = f"{many(totals['addresses'], 'address')} on {many(totals['interfaces'], 'ENI')}"
    return f"{subject}: {', '.join(parts)}" if parts else subject
