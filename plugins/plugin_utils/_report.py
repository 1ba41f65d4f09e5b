# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: what a bulk run has read, planned and done so far → its report, and the lines of its output.

Private to this collection. The report is a view of the ledger of the run; it decides nothing and keeps nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ansible_collections.alicloud_ops.network.plugins.module_utils import _plan
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import flatten, kind_of, sort_key
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import NOT_VERIFIED
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import Interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import AddressState, EniLedger
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Reason
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import DONE_KEY, UNCHANGED_KEY, format_name
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import first_few
from ansible_collections.alicloud_ops.network.plugins.plugin_utils import _evidence
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._guest_report import (
    add_levels,
    describe_guests,
    guest_plan_lines,
    guest_summary_lines,
)

if TYPE_CHECKING:
    from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import Document
    from ansible_collections.alicloud_ops.network.plugins.plugin_utils._evidence import Evidence

VERSION = 1  # of the JSON report
# The states of an address in the report, worst first. This is also the order of the report.
FAILED, PENDING, SKIPPED, PLANNED, HELD = "failed", "pending", "skipped", "planned", "held"
STATES = (FAILED, PENDING, SKIPPED, PLANNED, HELD, *DONE_KEY.values(), *UNCHANGED_KEY.values())
CONTRADICTION = "Contradiction"  # the last read shows something else than the ledger says

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
    **dict.fromkeys((_evidence.GUEST_IN_USE, _evidence.GUEST_CONFIGURED, _evidence.GUEST_UNKNOWN), "guests"),
}
FILE_LABELS = {"plan": "plan", "recipe": "restore recipe", "json": "report, JSON", "md": "report, Markdown", "html": "report, HTML"}
DIFFERENCES = {"added": "not in the saved or approved plan", "removed": "in that plan, but no longer there"}
NO_GROUP = "no security group"
MOST_LISTED = 50  # addresses that the output lists one by one; with more, the first of each security group
MOST_LINES = 20  # of one kind in the output; the report has all
MOST_EXAMPLES = 5  # addresses that a line names as examples
MOST_BYTES = 1_000  # of one line: AWX shows the first 1,024 bytes of an event

_ONE_OF = "for example: "  # before the text of the first address, if those of the others differ
# Whatever would break a line, drive a terminal, or let text read backwards; and halves of a character that no file can hold.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


@dataclass(frozen=True)
class WaveView:
    """One wave. Times are ISO 8601 in UTC; ``finished`` is empty while the wave runs."""

    number: int
    of: int
    addresses: int
    done: int
    failed: int
    api_calls: int
    started: str
    finished: str = ""


@dataclass
class RunView:
    """What a run has so far. Times are ISO 8601 in UTC; ``finished`` is empty while the run goes on.

    ``plan``: what the run may write, or what an audit found. ``interfaces``: the ENIs as first read. ``final``: the ENIs as the
    last read shows them, None if there was no last read. ``security_groups``: id → name. ``unreadable``: id of an ENI or instance →
    why it cannot be read. ``refusals``: why nothing was written. ``difference``: lines "added" to and "removed" from the saved or
    approved plan. ``sure``: how sure a restore is of "already present". ``files``: kind → path. ``next_steps``: exact commands, each
    with what it is for before it if there are several ("To undo it: ansible-playbook …"). ``evidence``: what the guests returned,
    None if no guests are given.
    """

    operation: str
    check_mode: bool = False
    started: str = ""
    finished: str = ""
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
    refusals: Sequence[str] = ()
    stopped: str = ""
    difference: Mapping[str, Sequence[str]] = field(default_factory=dict)
    final: Mapping[str, Interface] | None = None
    waves: Sequence[WaveView] = ()
    api_calls: int = 0
    sure: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    next_steps: Sequence[str] = ()
    evidence: Evidence | None = None

    @property
    def state(self) -> str:
        """Of the change module; empty for an audit."""
        return STATE_OF[self.operation]


def build_report(run: RunView) -> dict[str, Any]:
    """The report, ready for JSON. Every address of the ledger (of an audit: of the plan) has one line in ``interfaces``."""
    rows = _rows(run)
    rows.sort(key=lambda row: (min((STATES.index(line["state"]) for line in _lines_of(row)), default=len(STATES)), row["eni_id"]))
    counts = Counter(line["state"] for row in rows for line in row["addresses"])
    totals = {"interfaces": len(rows), "addresses": counts.total(), **{state: counts[state] for state in STATES if counts[state]}}
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
        "started": run.started,
        "finished": run.finished,
        "seconds": _seconds(run.started, run.finished),
        "totals": {**totals, "api_calls": run.api_calls},
        "refusals": [_clean(refusal) for refusal in run.refusals],
        "stopped": ". ".join(filter(None, (_clean(run.stopped).rstrip("."), unverified))),
        "sure": _clean(run.sure),
        "difference": {name: list(run.difference.get(name, ())) for name in DIFFERENCES},
        "groups": _by_group(rows, run.security_groups),
        "reasons": reasons,
        "guards": [{"guard": GUARDS.get(entry["code"], entry["code"]), **entry} for entry in reasons if entry["state"] == SKIPPED],
        "waves": [_wave(wave, run.waves[0].started) for wave in run.waves],
        "states": [state for state in STATES if counts[state]],
        "interfaces": rows,
        "unreadable": [{"id": name, "reason": _clean(reason)} for name, reason in sorted(run.unreadable.items())],
        "files": {kind: _clean(path) for kind, path in run.files.items()},
        "next_steps": [_clean(step) for step in run.next_steps],
        "recipe": run.recipe.as_dict() if run.recipe else None,
        "guests": guests,
    }
    report["headline"] = build_headline(report)
    return report


# -- one row an ENI, one line an address


def _rows(run: RunView) -> list[dict[str, Any]]:
    if run.ledger:
        return [_row(run, format_name(eni), _told_by_ledger(run, eni), eni) for eni in run.ledger]
    state = HELD if not run.state else PLANNED if run.check_mode else PENDING
    assignments = run.plan.assignments if run.plan else {}
    return [_row(run, eni_id, dict.fromkeys(flatten(held), (state, None))) for eni_id, held in assignments.items()]


Told = Mapping[str, tuple[str, Reason | None]]  # address → its state in the report, and why


def _told_by_ledger(run: RunView, eni: EniLedger) -> Told:
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
    told: dict[str, tuple[str, Reason | None]] = {}
    for address, state in eni.states.items():
        name, reason = names[state], eni.reasons.get(address)
        if name == FAILED:
            reason = reason or Reason(NOT_VERIFIED, "no read showed the outcome")
        elif name == PLANNED:
            reason = None  # what a prediction says of its writes
        elif name == unchanged and eni.change.interface is None:
            reason = reason or Reason(_plan.ENI_MISSING, "the ENI does not exist")
        if held is not None:
            is_as_requested = (address in held) == (run.state == "present")
            shown = f"the last read shows that it is {'' if address in held else 'not '}on the ENI"
            if name != FAILED and is_as_requested != (name in (done, unchanged)):
                name, reason = FAILED, Reason(CONTRADICTION, f"{label(name)}, but {shown}")
            elif name == FAILED and is_as_requested and reason:
                reason = reason._replace(text=f"{reason.text}; {shown}")
        told[address] = name, reason
    return told


def _row(run: RunView, eni_id: str, told: Told, eni: EniLedger | None = None) -> dict[str, Any]:
    interface = run.interfaces.get(eni_id) or (eni.change.interface if eni else None)
    last = (run.final or {}).get(eni_id) or (eni.latest if eni else None) or interface
    failure = eni.change.failure if eni and not told else None
    groups = list(interface.security_group_ids) if interface else []
    selected = (*run.selected_groups, *run.security_groups)
    return {
        "eni_id": eni_id,
        "name": _clean((interface.details.get("NetworkInterfaceName") if interface else None) or ""),
        "type": interface.type if interface else "",
        "status": last.status if last else "cannot be read" if eni and eni.change.failure else "does not exist",
        "instance_id": (interface.instance_id if interface else eni.change.instance_id if eni else None) or "",
        "private_ip_address": interface.private_ip_address if interface else "",
        # An ENI counts once: in the first of the selected security groups that it is in.
        "security_group_id": next((group for group in selected if group in groups), groups[0] if groups else NO_GROUP),
        "security_group_ids": groups,
        "failure": _line("", FAILED, failure, None) if failure else None,  # of the ENI as a whole, if it has no address here
        "addresses": [
            _line(address, *told[address], interface.eips.get(address) if interface else None) for address in sorted(told, key=sort_key)
        ],
    }


def _line(address: str, state: str, reason: Reason | None, eip: str | None) -> dict[str, Any]:
    return {
        "address": address,
        "kind": kind_of(address).name,
        "state": state,
        "code": reason.code if reason else None,
        "reason": _clean(reason.text) if reason else "",
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
    # What is read again before a write is read without its MAC address.
    latest = {
        eni.eni_id: replace(eni.latest, details=run.interfaces[eni.eni_id].details)
        for eni in run.ledger
        if eni.latest and eni.eni_id in run.interfaces
    }
    return describe_guests(run.operation, rows, run.evidence, run.interfaces, {**latest, **(run.final or {})})


def _reasons(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One entry a state and code: how many addresses of how many ENIs, and the first few of them."""
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    for row in rows:
        new = set()
        for line in _lines_of(row):
            if line["code"] is None:
                continue
            key = line["state"], line["code"]
            start = {"state": key[0], "code": key[1], "reason": line["reason"], "request_id": line["request_id"]}
            entry = found.setdefault(key, {**start, "addresses": 0, "interfaces": 0, "first": []})
            entry["addresses"] += bool(line["address"])
            entry["interfaces"] += key not in new
            new.add(key)
            if len(entry["first"]) < MOST_EXAMPLES:
                entry["first"].append(f"{row['eni_id']} {line['address']}".rstrip())
            if line["reason"] != entry["reason"] and not entry["reason"].startswith(_ONE_OF):
                entry["reason"] = _ONE_OF + entry["reason"]
    return sorted(found.values(), key=lambda entry: (STATES.index(entry["state"]), -entry["addresses"], entry["code"]))


def _by_group(rows: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    groups: dict[str, Counter[str]] = {}
    for row in rows:
        counts = groups.setdefault(row["security_group_id"], Counter())
        counts.update({"interfaces": 1, "addresses": len(row["addresses"])})
        counts.update(line["state"] for line in row["addresses"])
    return [
        {"security_group_id": group, "name": _clean(names.get(group, "")), **dict.fromkeys(STATES, 0), **counts}
        for group, counts in sorted(groups.items(), key=lambda entry: (-entry[1]["addresses"], entry[0]))
    ]


def _wave(wave: WaveView, start: str) -> dict[str, Any]:
    """With its place in the timeline: seconds from the start of the first wave, and how long it took."""
    return {**asdict(wave), "offset": _seconds(start, wave.started), "seconds": _seconds(wave.started, wave.finished)}


# -- the outcome


def _unverified(run: RunView) -> str:
    """Why the last read does not prove what was done; empty if it does, or if there is nothing to prove."""
    written = [eni.eni_id for eni in run.ledger if eni.writes]
    if not run.finished or run.check_mode or not written:
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
    if run.finished and counts[PENDING]:
        return "stopped"
    if unverified:
        return "not verified"
    if run.stopped:
        return "stopped"
    if not run.finished and (run.waves or counts[PENDING]):
        return "under way" if run.waves else "planned"
    if any(entry["state"] in _wrong(run.operation) for entry in reasons):
        return "failed"
    # What is refused, missing or unreadable is not "nothing to do".
    something = any(entry["code"] != _plan.KEPT for entry in reasons) or run.unreadable or counts[PLANNED] or counts[DONE_KEY[run.state]]
    return "nothing to do" if not something else "planned" if run.check_mode else "done"


def _wrong(operation: str) -> tuple[str, ...]:
    """The states that make a run fail. What a restore has to leave out is a failure, because the recipe names it."""
    return (FAILED, SKIPPED) if operation == "restore" else (FAILED,)


def build_headline(report: Mapping[str, Any]) -> str:
    totals, broken = report["totals"], len(report["unreadable"])
    parts = [f"{totals[state]} {label(state)}" for state in report["states"]]
    parts += [f"{_many(broken, 'ENI or instance', 'ENIs or instances')} cannot be read"] if broken else []
    subject = f"{_many(totals['addresses'], 'address', 'addresses')} on {_many(totals['interfaces'], 'ENI')}"
    return f"{subject}: {', '.join(parts)}" if parts else subject


def failure_message(report: Mapping[str, Any]) -> str:
    """Why the task fails; empty if it does not."""
    if report["outcome"] == "refused":
        return "Nothing was changed. " * (report["operation"] != "audit") + "; ".join(first_few(report["refusals"], MOST_LINES))
    if report["outcome"] not in ("stopped", "not verified", "failed"):
        return ""
    wrong = [format_reason(entry) for entry in report["reasons"] if entry["state"] in _wrong(report["operation"])]
    return ". ".join(filter(None, (report["headline"], report["stopped"], "; ".join(first_few(wrong, MOST_LINES)))))


# -- the lines of the output


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
    lines += [f"{FILE_LABELS.get(kind, kind)}: {path}" for kind, path in report["files"].items()]
    # A command that is folded must still be one command.
    steps = [": ".join(split_step(step)) for step in report["next_steps"]]
    return fold_lines(lines) + [line for step in steps for line in fold_lines([step], " \\")]


def wave_line(waves: Sequence[WaveView], addresses: int, operation: str, elapsed: float) -> str:
    """After each wave. ``waves``: those that are finished. ``addresses``: of the whole plan. ``elapsed``: seconds since the first wave
    started, by a clock that nobody sets."""
    last, so_far = waves[-1], sum(wave.addresses for wave in waves)
    done, failed = sum(wave.done for wave in waves), sum(wave.failed for wave in waves)
    parts = [
        f"wave {last.number}/{last.of}",
        f"{so_far} of {addresses} addresses",
        f"{done} {DONE_KEY[STATE_OF[operation]]}" + (f", {failed} failed" if failed else ""),
    ]
    if 0 < so_far < addresses and last.number < last.of:
        parts.append(f"about {format_duration(elapsed * (addresses - so_far) / so_far)} left")
    return " · ".join(parts)


def format_duration(seconds: float) -> str:
    """In the two units that matter: ``40 s``, ``4 min``, ``2 h 10 min``."""
    if round(seconds) < 60:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def format_reason(entry: Mapping[str, Any]) -> str:
    """``2 failed, OperationDenied: not now [request id 4734]: eni-1 10.0.0.1, eni-1 10.0.0.2``."""
    how_many = f"{entry['addresses']} {label(entry['state'])}" if entry["addresses"] else label(entry["state"])
    request_id = f" [request id {entry['request_id']}]" if entry["request_id"] else ""
    more = f" and {entry['addresses'] - len(entry['first'])} more" if entry["addresses"] > len(entry["first"]) else ""
    return f"{how_many}, {entry['code']}: {entry['reason']}{request_id}: {', '.join(entry['first'])}{more}"


def split_step(step: str) -> tuple[str, str]:
    """What the next step is for, and its exact command."""
    title, _colon, command = step.partition(": ")
    return (title, command) if command.startswith("ansible-playbook ") else ("Next", step)


def label(state: str) -> str:
    return state.replace("_", " ")


def _reason_lines(report: Mapping[str, Any]) -> list[str]:
    return first_few([f"  {format_reason(entry)}" for entry in report["reasons"]], MOST_LINES)


def _format_digest(report: Mapping[str, Any]) -> str:
    return f"digest {report['digest'] or 'none'}" + (f", approved {report['approved_digest']}" if report["approved_digest"] else "")


def _format_group(group: Mapping[str, Any]) -> str:
    name = f"{group['name']} ({group['security_group_id']})" if group["name"] else group["security_group_id"]
    counts = [f"{group[state]} {label(state)}" for state in STATES if group[state]]
    return f"{name}: {', '.join([_many(group['interfaces'], 'ENI'), *counts])}"


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


def fold_lines(lines: Iterable[str], continued: str = "") -> list[str]:
    """Lines that AWX shows whole: what is too long goes on in a next line, cut at a space where there is one."""
    folded = []
    for line in lines:
        rest = _clean(line)
        while len(rest.encode()) > MOST_BYTES:
            head = rest.encode()[:MOST_BYTES].decode(errors="ignore")
            at = head.rstrip().rfind(" ")
            at = at if head[:at].strip() else len(head)
            folded.append(rest[:at] + continued)
            rest = "    " + rest[at:].lstrip()
        folded.append(rest)
    return folded


def _clean(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text)


def _many(number: int, one: str, more: str = "") -> str:
    return f"{number} {one if number == 1 else more or one + 's'}"


def _seconds(started: str, finished: str) -> int:
    """Between two times of the wall clock, which somebody may have set back."""
    if not started or not finished:
        return 0
    return max(int((datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()), 0)
