# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: all that a role has read, planned and done so far → its report, which is also the ledger.

Private to this collection. One builder makes what is shown, written, published, compared and restored, before the first
write, after each wave and at the end. Every address of the plan is in exactly one state at any time.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import KINDS, PRIVATE_IPV4, flatten, sort_key
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import KEPT, NO_SUCH_ENI
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import DONE, SETTLED
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import first_few, shorten
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._bulk import (
    MODULE_STATE,
    VERSION,
    addresses_by_eni,
    allowed_failures,
    compact,
    count_addresses,
    cut_waves,
    in_lines,
    make_assignments,
    make_document,
    plain,
)

# What an address came to, worst first: the order of the report.
FAILED, PENDING, SKIPPED, PLANNED, HELD = "failed", "pending", "skipped", "planned", "held"
STATES = (FAILED, PENDING, SKIPPED, PLANNED, HELD, *DONE.values(), *SETTLED.values())

TITLES = {
    "audit": "Secondary addresses by security group",
    "unassign": "Unassigning secondary addresses",
    "restore": "Restoring secondary addresses",
}
# Published documents are kept by AWX in its database and given to every later job of a workflow.
MOST_PUBLISHED = 2_000  # addresses
MOST_TOLD = 20  # lines of one kind in the output; the report has all
NO_GROUP = "no security group"


@dataclass
class Line:
    """One address of one ENI, and what became of it."""

    state: str
    reason: str = ""
    request_id: str | None = None


@dataclass
class Run:
    """What a role has so far. Everything but ``operation`` may be missing. Kept from step to step as text (``state``):
    Ansible walks through every value of a nested variable again and again, which takes minutes with thousands of ENIs."""

    operation: str
    check: bool = False
    started: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)  # the ENIs before
    saved: dict[str, Any] = field(default_factory=dict)  # the plan or recipe that was given
    approved: dict[str, Any] = field(default_factory=dict)  # the plan of the approved digest, where it was found
    planned: dict[str, Any] = field(default_factory=dict)  # the module's answer in check mode
    earlier: dict[str, Any] = field(default_factory=dict)  # the recipe that an interrupted run of the same plan left
    taken_up: bool = False  # whether an earlier recipe is known, or known not to be there: before, none is written
    began: str = ""  # when the first wave did
    stopped: str = ""  # why no further wave was begun
    unverified: str = ""  # why the ENIs could not be read when all was done
    results: list[dict[str, Any]] = field(default_factory=list)  # the module's answer for each wave
    after: dict[str, Any] = field(default_factory=dict)  # the ENIs when all was done

    def learn(self, news: Mapping[str, Any]) -> None:
        """Take in a result of a module, or a document, and of it only what the report needs."""
        for name in ("info", "after"):
            if name in news:
                setattr(self, name, _pick(news[name], _OF_INFO, _OF_AN_ENI))
        if self.after and "interfaces" not in self.after:
            self.unverified, self.after = str(self.after.get("msg", "no result")), {}
        if "planned" in news:
            self.planned = _pick(news["planned"], _OF_AN_ANSWER, _of_an_outcome(self))
            self.planned[self.done] = plain(news["planned"][self.done])
        if "documents" in news:
            self.taken_up = True
            for name, document in news["documents"].items():
                setattr(self, name, json.loads(document))
        if "began" in news:
            self.began = str(news["began"])
        if "stopped" in news:
            self.stopped = self.stopped or str(news["stopped"])
        if "wave" in news:
            wave, answer = news["wave"], news["answer"]
            self.results.append(
                {
                    "number": int(wave["number"]),
                    "label": str(wave["label"]),
                    "assignments": json.loads(str(wave["assignments"])),
                    "finished": _now(),
                    "calls_per_minute": ((answer.get("invocation") or {}).get("module_args") or {}).get("calls_per_minute"),
                    "result": _pick(answer, _OF_AN_ANSWER, _of_an_outcome(self)),
                }
            )

    @property
    def prefix(self) -> str:
        """Of the variables that the user would set."""
        return f"{self.operation}_secondary_ips_"

    @property
    def by_group(self) -> bool:
        return any(name.startswith("security_group") for name in self.settings)

    @property
    def done(self) -> str:
        return HELD if self.operation == "audit" else DONE[MODULE_STATE[self.operation]]

    @property
    def settled(self) -> str:
        return "" if self.operation == "audit" else SETTLED[MODULE_STATE[self.operation]]


_OF_INFO = ("region", "missing", "security_groups", "summary", "assignments", "msg")
_OF_AN_ENI = (
    *("eni_id", "name", "type", "status", "instance_id", "private_ip_address", "security_group_ids", "owner_id"),
    *(kind.name for kind in KINDS),
)
_OF_AN_ANSWER = ("summary", "failure", "msg")


def _of_an_outcome(run: Run) -> tuple[str, ...]:
    return ("eni_id", "skipped", "failed", run.done, run.settled)


def _pick(answer: Mapping[str, Any], names: Iterable[str], of_interfaces: Iterable[str]) -> dict[str, Any]:
    picked = {name: plain(answer[name]) for name in names if name in answer}
    if "interfaces" in answer:
        picked["interfaces"] = [{name: plain(interface[name]) for name in of_interfaces} for interface in answer["interfaces"]]
    return picked


Ledger = dict[str, dict[str, Line]]  # ENI → address → line


def build_report(run: Run) -> dict[str, Any]:
    enis = {interface["eni_id"]: interface for interface in run.info.get("interfaces") or ()}
    region = run.info.get("region")
    account_id = _account(enis)
    # Of a document: where no ENI tells the account, the saved one does.
    source = (region, account_id or run.saved.get("account_id"))
    plan = make_document(run.info.get("assignments") or () if run.operation == "audit" else _todo(run), *source)
    ledger = make_ledger(run, plan)
    totals = Counter(line.state for lines in ledger.values() for line in lines.values())
    objections, difference = _compare(run, plan, account_id)
    recipe = make_document(_to_restore(run, ledger), *source)
    waves = [] if objections or run.operation == "audit" else cut_waves(plan, run.settings.get("wave_size"))
    finished = _now()
    rows = [_row(run, eni_id, lines, enis.get(eni_id, {})) for eni_id, lines in ledger.items()]
    rows.sort(key=lambda row: (min((STATES.index(line["state"]) for line in row["addresses"]), default=len(STATES)), row["eni_id"]))
    run.stopped = run.stopped or _too_many_failures(run, plan, totals)
    whole = run.saved or plan
    report = {
        "version": VERSION,
        "operation": run.operation,
        "title": TITLES[run.operation],
        "check_mode": run.check,
        "outcome": _outcome(run, totals, objections),
        "headline": "",
        "region": region,
        "account_id": account_id,
        "digest": whole["digest"],
        "approved_plan": run.settings.get("approved_plan"),
        "started": run.started or finished,
        "finished": finished,
        "seconds": _seconds(run.started, finished),
        "totals": {
            "interfaces": len(ledger),
            "addresses": sum(totals.values()),
            **{state: totals[state] for state in STATES if totals[state]},
            "api_calls": _api_calls(run),
        },
        "objections": objections,
        "stopped": ". ".join(
            filter(None, (run.stopped, run.unverified and f"The last reading failed, so what was done is not verified: {run.unverified}"))
        ),
        "difference": difference,
        "groups": _by_group(rows, run.info.get("security_groups") or {}),
        "reasons": [{"reason": reason, "addresses": number} for reason, number in _reasons(ledger).most_common()],
        "waves": [
            {
                "number": result["number"],
                "label": result["label"],
                "done": summary.get(run.done, 0),
                "failed": summary["failed"] if summary else count_addresses(result["assignments"]),
                "api_calls": summary.get("api_calls", 0),
                "finished": result["finished"],
            }
            for result in ([] if run.check else run.results)
            for summary in [result["result"].get("summary") or {}]
        ],
        "states": [state for state in STATES if totals[state]],
        "interfaces": rows,
    }
    report["headline"] = _headline(report, run)
    return {
        "report": report,
        "text": _text(report),
        "plan": run.saved if run.saved and run.operation == "unassign" else plan,
        "recipe": recipe,
        "eni_ids": [entry["eni_id"] for entry in plan["assignments"]],
        "waves": waves,
        "begun": bool(run.began),
        "stop": run.stopped,
        "pause": 0 if run.stopped or len(run.results) == len(waves) else _pause(run),
        "failure": _failure(run, report),
        "published": _published(run, report, plan, recipe),
    }


def make_report(before: Mapping[str, Any] | str, news: Mapping[str, Any]) -> dict[str, Any]:
    """``before``: how a run begins (``make_start``), or the state of one that goes on. What is long comes as text (see ``Run``)."""
    if isinstance(before, str):
        run = Run(**json.loads(before))
    else:
        begin = {name: plain(before[name]) for name in ("operation", "check", "started", "settings")}
        run = Run(**begin, saved=json.loads(before["saved"] or "{}"))
    run.learn(news)
    made = build_report(run)
    report, recipe = made["report"], _as_text(made["recipe"])
    return {
        **{name: made[name] for name in ("text", "begun", "stop", "pause", "failure")},
        "region": report["region"],
        "waves": [_as_task(run, wave, report) for wave in made["waves"]],
        "eni_ids": _as_text(made["eni_ids"]),
        "report": _as_text(report),
        "published": _as_text(made["published"]),
        "result": _as_text({**report, "recipe": made["recipe"]} if run.operation == "unassign" else report),
        "state": _as_text(asdict(run)),
        **_files(run, made, _as_text(report), recipe),
    }


def _as_task(run: Run, wave: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    # The lines for the output take their time, and are needed before the first wave only.
    shown = run.operation == "unassign" and not run.check and not run.results
    recipe = make_document(wave["assignments"], report["region"], report["account_id"]) if shown else None
    return {
        **wave,
        "title": f"{run.operation.capitalize()} {wave['label']}",
        "assignments": _as_text(wave["assignments"]),
        "lines": in_lines(recipe) if recipe else [],
        "on_refusal": run.settings.get("on_refusal", "skip"),
    }


def _files(run: Run, made: Mapping[str, Any], report: str, recipe: str) -> dict[str, Any]:
    """The files of a run, with their names: what is taken up where it is there, and what is written when."""
    name = made["report"]["digest"][:12]
    file = f"{run.operation}-{name}-{re.sub('[-:]|[+].*', '', made['report']['started'])}Z"
    files: dict[str, Any] = {"file": file, "taken_up": {}, "plan_files": {}, "progress_files": {}}
    if run.operation != "unassign" or "report_dir" not in run.settings:
        return files
    files["taken_up"]["earlier"] = f"recipe-{name}.json"
    if "approved_plan" in run.settings:
        files["taken_up"]["approved"] = f"plan-{run.settings['approved_plan'][:12]}.json"
    files["plan_files"][f"plan-{name}.json"] = _as_text(made["plan"])
    if run.taken_up and not run.check and made["waves"]:
        files["progress_files"] = {f"recipe-{name}.json": recipe, f"{file}.json": report}
    return files


def _as_text(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)


# -- the ledger


def make_ledger(run: Run, plan: Mapping[str, Any]) -> Ledger:
    if run.operation == "audit":
        return {eni_id: {address: Line(HELD) for address in addresses} for eni_id, addresses in addresses_by_eni(plan).items()}
    ledger: Ledger = {}
    for interface in run.planned.get("interfaces") or ():
        _take(ledger, run, interface, PLANNED if run.check else PENDING)
    for wave in run.results:
        told = wave["result"].get("interfaces")
        for interface in _all_failed(wave) if told is None else [] if run.check else told:
            _take(ledger, run, interface, run.done)
    for eni_id in run.info.get("missing") or () if run.saved else ():
        for line in ledger.get(eni_id, {}).values():
            line.reason = line.reason or NO_SUCH_ENI
    if not run.check:
        _read_back(ledger, run)
    return ledger


def _take(ledger: Ledger, run: Run, interface: Mapping[str, Any], done: str) -> None:
    """What the module tells of one ENI. ``done``: what its 'unassigned' or 'assigned' stands for here."""
    lines = ledger.setdefault(interface["eni_id"], {})
    for name, state in ((run.settled, run.settled), (run.done, done)):
        lines.update((address, Line(state)) for kind in KINDS for address in (interface.get(name) or {}).get(kind.name, ()))
    lines.update((note["address"], Line(SKIPPED, note["reason"])) for note in interface["skipped"])
    for failed in interface["failed"]:
        reason = f"{failed['code']}: {failed['message']}" if failed["code"] else failed["message"]
        lines.update((address, Line(FAILED, reason, failed["request_id"])) for address in failed["addresses"])


def _all_failed(wave: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A wave that left no ledger: refused as a whole, or its process ended."""
    failure = wave["result"].get("failure") or {}
    message = failure.get("message") or wave["result"].get("msg") or "the module left no result"
    told = {"code": failure.get("code"), "message": message, "request_id": failure.get("request_id")}
    return [
        {"eni_id": eni_id, "skipped": [], "failed": [{"addresses": addresses, **told}]}
        for eni_id, addresses in addresses_by_eni({"assignments": wave["assignments"]}).items()
    ]


def _read_back(ledger: Ledger, run: Run) -> None:
    """The last word is the service's. What failed and is done all the same is ours, so that it can be restored."""
    for eni_id, held in _held(run.after).items():
        for address, line in ledger.get(eni_id, {}).items():
            is_so = (address in held) == (run.operation == "restore")
            if line.state == run.done and not is_so:
                ledger[eni_id][address] = Line(FAILED, f"NotVerified: it was {run.done}, but is not any more")
            elif line.state == FAILED and is_so:
                ledger[eni_id][address] = Line(run.done, f"reported as failed ({line.reason}), but read back as {run.done}")
            elif line.state == PENDING and is_so:
                ledger[eni_id][address] = Line(run.settled, "before its turn, by somebody else")


def _to_restore(run: Run, ledger: Ledger) -> list[dict[str, Any]]:
    """All that may have been unassigned by the time this is read: rather too much than too little."""
    if run.operation != "unassign":
        return []
    counted = {run.done} if run.after else {run.done, FAILED, PENDING}
    ours = {eni_id: [address for address, line in lines.items() if line.state in counted] for eni_id, lines in ledger.items()}
    held = _held(run.info)
    for eni_id, addresses in addresses_by_eni(run.earlier).items():
        still_gone = [address for address in addresses if address not in held.get(eni_id, ())]
        ours[eni_id] = [*ours.get(eni_id, ()), *still_gone]
    return make_assignments(ours)


def _held(info: Mapping[str, Any]) -> dict[str, set[str]]:
    """ENI → all its secondary addresses."""
    return {
        interface["eni_id"]: {
            *(entry["address"] for entry in interface[PRIVATE_IPV4]),
            *flatten({kind.name: interface[kind.name] for kind in KINDS if kind.name != PRIVATE_IPV4}),
        }
        for interface in info.get("interfaces") or ()
    }


# -- whether it may go on


def _todo(run: Run) -> list[Mapping[str, Any]]:
    return run.planned.get(run.done) or []


def _compare(run: Run, plan: Mapping[str, Any], account_id: str | None) -> tuple[list[str], dict[str, list[str]]]:
    """What keeps the run from writing, and today's plan against the one that was saved or approved."""
    objections: list[str] = []
    difference: dict[str, list[str]] = {"added": [], "removed": []}
    region, missing = run.info.get("region"), run.info.get("missing") or ()
    if run.by_group:
        objections.extend(f"'{name}' does not exist in {region}, or not in this account" for name in missing)
    kind = "recipe" if run.operation == "restore" else "plan"
    for name, today in (("region", region), ("account_id", account_id)):
        then = run.saved.get(name)
        if then and today and then != today:
            objections.append(f"the saved {kind} is for {name} {then}, this is {today}")
    wanted = [entry["eni_id"] for entry in run.saved.get("assignments") or ()]
    if wanted and not run.by_group and set(wanted) <= set(missing):
        # More likely the wrong credentials than a thing that is done: with no ENI to see, nothing tells the account.
        objections.append(
            f"of the {_many(len(wanted), 'ENI')} of the saved {kind} none exists in {region}, or not in this account; "
            f"it is for account {run.saved.get('account_id') or 'not known'}"
        )
    if run.operation != "unassign":
        return objections, difference
    planned, most = count_addresses(plan["assignments"]), run.settings.get("max_addresses")
    if most is not None and planned > most:
        objections.append(f"{run.prefix}max_addresses: {planned} addresses would be unassigned, more than {most}")
    refused = [] if run.settings.get("on_refusal") != "fail" else _refused(run)
    if refused:
        told = "; ".join(first_few(refused, MOST_TOLD))
        objections.append(f"{run.prefix}on_refusal: {_many(len(refused), 'address')} must not be touched: {told}")
    digest = run.settings.get("approved_plan")
    if digest and run.saved and run.saved["digest"] != digest:
        objections.append(f"{run.prefix}approved_plan: {digest} was approved, but the saved plan has the digest {run.saved['digest']}")
    other = run.saved or run.approved
    if other:
        difference = _difference(other, plan)
    if run.saved and difference["added"]:
        objections.append(f"{len(difference['added'])} addresses are not in the saved plan: {shorten(difference['added'])}")
    if digest and not run.saved and planned and plan["digest"] != digest:
        objections.append(_drifted(digest, plan["digest"], difference, run))
    return objections, difference


def _refused(run: Run) -> list[str]:
    return [
        f"{interface['eni_id']} {note['address']}: {note['reason']}"
        for interface in run.planned.get("interfaces") or ()
        for note in interface["skipped"]
        if note["reason"] != KEPT
    ]


def _drifted(approved: str, today: str, difference: Mapping[str, list[str]], run: Run) -> str:
    told = f"{run.prefix}approved_plan: {approved} was approved, but today's plan has the digest {today}"
    way_on = (
        f"To go on with what is left of an interrupted run, give the approved plan as {run.prefix}plan_file or {run.prefix}plan; "
        "in AWX, launch the interrupted job again if it had the plan, or paste the plan from the artifacts of the planning job"
    )
    if not run.approved:
        return f"{told}. The approved plan itself is not at hand to show the difference. {way_on}"
    return (
        f"{told}. More than approved: {shorten(difference['added'], MOST_TOLD) or 'nothing'}. "
        f"No longer there: {shorten(difference['removed'], MOST_TOLD) or 'nothing'}. {way_on}"
    )


def _difference(then: Mapping[str, Any], today: Mapping[str, Any]) -> dict[str, list[str]]:
    one, other = (
        {(eni_id, address) for eni_id, addresses in addresses_by_eni(document).items() for address in addresses}
        for document in (then, today)
    )
    return {name: [" ".join(pair) for pair in sorted(pairs)] for name, pairs in (("added", other - one), ("removed", one - other))}


def _too_many_failures(run: Run, plan: Mapping[str, Any], totals: Counter[str]) -> str:
    if run.check or not run.results or "max_failures" not in run.settings:
        return ""
    failed, planned = totals[FAILED], count_addresses(plan["assignments"])
    if not totals[PENDING] or failed <= allowed_failures(run.settings["max_failures"], planned):
        return ""
    return (
        f"{failed} of {planned} addresses failed, more than {run.prefix}max_failures={run.settings['max_failures']} allows: "
        f"stopped after {run.results[-1]['label']}, {totals[PENDING]} were not tried"
    )


def _pause(run: Run) -> int:
    """Seconds until the next wave: as told, and so long that the calls of all waves together keep the module's pace."""
    if not run.results:
        return 0
    last = run.results[-1]
    calls_per_minute = last["calls_per_minute"] or 0
    spent = _seconds(run.began, last["finished"])
    calls = sum((result["result"].get("summary") or {}).get("api_calls", 0) for result in run.results)
    behind = calls * 60 / calls_per_minute - spent if calls_per_minute else 0
    return max(0 if run.check else run.settings.get("wave_pause", 0), math.ceil(behind), 0)


# -- what is told


def _row(run: Run, eni_id: str, lines: Mapping[str, Line], interface: Mapping[str, Any]) -> dict[str, Any]:
    eips = {entry["address"]: entry["eip"] for entry in interface.get(PRIVATE_IPV4) or ()}
    told = [
        {
            "address": address,
            "state": line.state,
            "reason": line.reason,
            "request_id": line.request_id,
            "eip": eips.get(address),
        }
        for address, line in sorted(lines.items(), key=lambda entry: sort_key(entry[0]))
    ]
    groups = interface.get("security_group_ids") or []
    return {
        "eni_id": eni_id,
        "name": interface.get("name") or "",
        "type": interface.get("type") or "",
        "status": interface.get("status") or ("" if interface else "does not exist"),
        "instance_id": interface.get("instance_id") or "",
        "private_ip_address": interface.get("private_ip_address") or "",
        "security_group_id": _group_of(run, groups),
        "security_group_ids": groups,
        "addresses": told,
    }


def _group_of(run: Run, groups: list[str]) -> str:
    """An ENI counts once: in the first of the selected groups that it is in."""
    selected = [*(run.settings.get("security_group_ids") or ()), *(run.info.get("security_groups") or ())]
    return next((group for group in selected if group in groups), groups[0] if groups else NO_GROUP)


def _by_group(rows: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    groups: dict[str, Counter[str]] = {}
    for row in rows:
        of_group = groups.setdefault(row["security_group_id"], Counter())
        of_group["interfaces"] += 1
        of_group["addresses"] += len(row["addresses"])
        of_group.update(line["state"] for line in row["addresses"])
    return [
        {"security_group_id": group, "name": names.get(group, ""), **dict.fromkeys(STATES, 0), **counts}
        for group, counts in sorted(groups.items(), key=lambda entry: (-entry[1]["addresses"], entry[0]))
    ]


def _reasons(ledger: Ledger) -> Counter[str]:
    return Counter(f"{line.state}: {line.reason}" for lines in ledger.values() for line in lines.values() if line.reason)


def _outcome(run: Run, totals: Counter[str], objections: list[str]) -> str:
    if objections:
        return "refused"
    if run.operation == "audit":
        return "listed"
    if run.stopped or (totals[PENDING] and run.after):
        return "stopped"
    if run.unverified:
        return "not verified"
    if any(totals[state] for state in _wrong(run)):
        return "failed"
    if run.check:
        return "planned" if totals[PLANNED] else "nothing to do"
    if totals[PENDING]:
        return "under way" if run.results else "planned"
    return "done" if totals[run.done] else "nothing to do"


def _headline(report: Mapping[str, Any], run: Run) -> str:
    totals = report["totals"]
    told = [f"{totals[state]} {'not tried' if state == PENDING and run.results else state}" for state in STATES if totals.get(state)]
    return f"{_many(totals['addresses'], 'address')} on {_many(totals['interfaces'], 'ENI')}" + (f": {', '.join(told)}" if told else "")


def _many(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "es" if what.endswith("s") else "s")


def _wrong(run: Run) -> tuple[str, ...]:
    """What makes the role fail at its end. What a restore had to leave out is a failure: it was asked for."""
    return (FAILED, SKIPPED) if run.operation == "restore" else (FAILED,)


def _failure(run: Run, report: Mapping[str, Any]) -> str:
    """Why the role fails, or nothing."""
    if report["objections"]:
        return "Nothing was changed. " * (run.operation != "audit") + "; ".join(report["objections"])
    lines = [
        f"{row['eni_id']} {line['address']}: {line['reason']}" + (f" [request id {line['request_id']}]" if line.get("request_id") else "")
        for row in report["interfaces"]
        for line in row["addresses"]
        if line["state"] in _wrong(run)
    ]
    told = [text for text in (report["stopped"], "; ".join(first_few(lines, MOST_TOLD))) if text]
    return ". ".join([report["headline"], *told]) if told else ""


def _text(report: Mapping[str, Any]) -> list[str]:
    """For the output: short, and all that is needed to approve."""
    lines = [
        f"{report['title']}, {report['region']}, account {report['account_id'] or 'not known'}" + (" (check mode)" * report["check_mode"]),
        f"{report['outcome']}: {report['headline']}",
        f"digest {report['digest']}" + (f", approved {report['approved_plan']}" if report["approved_plan"] else ""),
        *report["objections"],
        *([report["stopped"]] if report["stopped"] else []),
    ]
    for group in report["groups"][:MOST_TOLD]:
        name = f"{group['name']} ({group['security_group_id']})" if group["name"] else group["security_group_id"]
        counts = ", ".join(f"{group[state]} {state}" for state in STATES if group.get(state))
        lines.append(f"  {name}: {_many(group['interfaces'], 'ENI')}, {counts}")
    lines.extend(f"  {entry['addresses']} {entry['reason']}" for entry in report["reasons"][:MOST_TOLD])
    for name, sign in (("added", "+"), ("removed", "-")):
        lines.extend(f"  {sign} {line}" for line in first_few(report["difference"][name], MOST_TOLD))
    return lines


def _published(run: Run, report: Mapping[str, Any], plan: Mapping[str, Any], recipe: Mapping[str, Any]) -> dict[str, Any]:
    """For set_stats. In a workflow of AWX these become variables of the jobs that follow, so they are called as what
    takes them: a plan made in check mode binds the run behind the approval, and a recipe is what restores it."""
    told = ("outcome", "headline", "region", "account_id", "digest", "approved_plan", "started", "finished", "totals")
    published: dict[str, Any] = {f"secondary_ips_{run.operation}": {name: report[name] for name in told}}
    if run.operation == "unassign" and run.check and not report["objections"]:
        published["unassign_secondary_ips_approved_plan"] = report["digest"]
        if count_addresses(plan["assignments"]) <= MOST_PUBLISHED:
            published["unassign_secondary_ips_plan"] = compact(run.saved or plan)
    if run.results and not run.check and 0 < count_addresses(recipe["assignments"]) <= MOST_PUBLISHED:
        published["restore_secondary_ips_recipe"] = compact(recipe)
    return published


def _account(enis: Mapping[str, Mapping[str, Any]]) -> str | None:
    """As the ENIs tell it, never as a saved plan does."""
    owners = {interface["owner_id"] for interface in enis.values() if interface.get("owner_id")}
    return owners.pop() if len(owners) == 1 else None


def _api_calls(run: Run) -> int:
    answers = [run.info, run.planned, run.after, *(result["result"] for result in run.results)]
    return sum((answer.get("summary") or {}).get("api_calls", 0) for answer in answers)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _seconds(started: str, finished: str) -> int:
    return int((datetime.fromisoformat(finished) - datetime.fromisoformat(started or finished)).total_seconds())
