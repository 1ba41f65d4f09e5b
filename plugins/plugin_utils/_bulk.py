# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One bulk run, step by step: select → plan → gate → waves of write and read back → final read → report.

Private to this collection. Runs in the process of the Ansible worker with the engine of the modules. The ledger stays in memory;
plan and recipe are on the disk before the first write.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import EMPTY, AddressSet, count, flatten
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import CALLER_GONE, EcsError, as_defect
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import Unreadable, read_seen_interfaces
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import (
    DONE,
    FAILED,
    IN_FLIGHT,
    PLANNED,
    SKIPPED,
    EniLedger,
    Event,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import KEPT, Change, Plan, Reason, Snapshot, find_refusals
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import ENI_ID, Request, Target
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import total
from ansible_collections.alicloud_ops.network.plugins.module_utils._review import review
from ansible_collections.alicloud_ops.network.plugins.module_utils._run import carry_out, open_ledger
from ansible_collections.alicloud_ops.network.plugins.module_utils._select import Found, matching, select
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import shorten
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._approval import find_expiry, find_use, make_mark
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import (
    MOST_PUBLISHED,
    Document,
    DocumentError,
    Folder,
    FolderError,
    document_name,
    publishable,
    read_document,
    recipe_after,
    recipe_lines,
    report_name,
)
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._evidence import Evidence
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._render import render
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import (
    MOST_BYTES,
    RunView,
    WaveView,
    build_report,
    failure_message,
    plan_lines,
    summary_lines,
    wave_line,
)
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._settings import Settings, allowed_failures
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._slices import artifact, part_line
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._waves import cut_waves

# A read may lag behind a change. What looks "already present" so soon after the recipe was written is read a second time.
RECENT_SECONDS = 300
REPORT_KINDS = ("json", "md", "html")
UNFINISHED = (PLANNED, FAILED, IN_FLIGHT)
# A killed run that still holds its lock ends within a few seconds (the action sees to that).
PATIENCE = 15.0

_SIMPLE = re.compile(r"[A-Za-z0-9_./:%+,-]+")


class BulkRun:
    """``say`` shows one line at once; ``mask`` takes secrets out of a text. ``check_mode`` is that of the task. ``evidence``: what the
    guests returned, if any are given."""

    def __init__(
        self,
        settings: Settings,
        ecs: Ecs,
        folder: Folder,
        say: Callable[[str], None],
        mask: Callable[[str], str],
        *,
        check_mode: bool,
        evidence: Evidence | None = None,
    ) -> None:
        self._settings = settings
        self._evidence = evidence
        self._ecs = ecs
        self._folder = folder
        self._say = say
        self._mask = mask
        self._refusals: list[str] = []
        self._stops: list[str] = []
        self._waves: list[WaveView] = []
        self._files: dict[str, str] = {}
        self._earlier: Document | None = None
        self._plan_text: list[str] = []
        self._view = RunView(
            operation=settings.operation,
            check_mode=check_mode,
            started=_now(),
            region=ecs.region,
            approved_digest=settings.approved_digest,
            selected_groups=settings.selection.security_group_ids or (),
            refusals=self._refusals,
            waves=self._waves,
            files=self._files,
            evidence=evidence,
        )

    def run(self) -> dict[str, Any]:
        """The result of the task; with ``failed`` and ``msg`` if it failed. Everything that was done is in it."""
        try:
            self._folder.prove_writable()
            if self._settings.operation == "audit":
                self._audit()
            else:
                self._plan_and_carry_out()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # the timeout of the task is none of Exception
            if isinstance(error, EcsError | DocumentError | FolderError):
                text = str(error)
            else:
                text = str(as_defect(error)) if isinstance(error, Exception) else f"interrupted: {type(error).__name__}: {error}"
            (self._stops if any(eni.writes for eni in self._view.ledger) else self._refusals).append(text)
        return self._finish()

    def _finish(self) -> dict[str, Any]:
        view = self._view
        view.stopped = ". ".join(self._stops)
        view.finished, view.api_calls = _now(), self._ecs.api_calls
        view.next_steps = self._next_steps()
        report = build_report(view)
        self._mark_approval(report)
        self._write_reports(report)
        for line in summary_lines(report):
            self._say(line)
        return self._result(report)

    # -- audit

    def _audit(self) -> None:
        found = self._select()
        self._refusals += self._not_found(found)
        held = {interface.eni_id: matching(interface, self._settings.selection) for interface in found.interfaces}
        self._view.plan = self._document(held)
        if self._evidence:
            self._evidence.join(self._view.interfaces, self._view.plan.assignments)
            self._refusals += self._evidence.refusals(self._settings.prefix)
        for line in plan_lines(build_report(self._view)):
            self._say(line)

    # -- select

    def _select(self) -> Found:
        """The ENIs that are selected, or those of the saved plan or recipe. An ENI of a saved document is known to exist."""
        view, saved = self._view, self._settings.saved
        if self._settings.by_group or saved is None:
            found = select(self._ecs, self._settings.selection)
        else:
            unreadable: Unreadable = {}
            interfaces = read_seen_interfaces(self._ecs, saved.assignments, saved.assignments, unreadable, detailed=True)
            found = Found(list(interfaces.values()), [], {}, unreadable)
        view.interfaces = {interface.eni_id: interface for interface in found.interfaces}
        view.security_groups = {group_id: group.name for group_id, group in found.security_groups.items()}
        view.unreadable = {name: str(error) for name, error in found.unreadable.items()}
        owners = {interface.owner_id for interface in found.interfaces}
        view.account_id = owners.pop() if len(owners) == 1 else None
        return found

    def _not_found(self, found: Found) -> list[str]:
        """Unknown groups, and a name that groups of several VPCs have while no VPC is named."""
        prefix, selection = self._settings.prefix, self._settings.selection
        if not self._settings.by_group:
            return []
        variables = {
            **dict.fromkeys(selection.security_group_ids or (), "security_group_ids"),
            **dict.fromkeys(selection.security_group_names or (), "security_group_names"),
        }
        errors = [
            f"{prefix}{variables.get(name, 'security_group_tags')}: '{name}' does not exist in {self._ecs.region}, or not in this account"
            for name in found.missing
        ]
        for name in selection.security_group_names or ():
            groups = {group_id: group.vpc_id for group_id, group in found.security_groups.items() if group.name == name}
            if selection.vpc_ids is None and len(set(groups.values())) > 1:
                listed = ", ".join(f"{group_id} in {vpc_id}" for group_id, vpc_id in sorted(groups.items()))
                errors.append(
                    f"{prefix}security_group_names: '{name}' is the name of groups in several VPCs ({listed}); set {prefix}vpc_ids"
                )
        return errors

    # -- plan

    def _plan_and_carry_out(self) -> None:
        view, settings = self._view, self._settings
        found = self._select()
        self._refusals += self._not_found(found)
        wanted = self._wanted(found)
        if self._evidence:
            self._evidence.join(view.interfaces, wanted)
        request = replace(
            settings.request,
            targets=tuple(Target("", eni_id, None, addresses) for eni_id, addresses in wanted.items()),
            ignore_missing=True,
            skip_refused=True,  # the plan holds all reasons; what is done about them is decided by the gate
        )
        plan = self._make_plan(request, found)
        view.ledger = open_ledger(plan)
        today = self._document({change.eni_id or "": change.todo for change in plan.changes if not change.failure})
        view.plan = settings.saved or today
        self._refusals += self._gate(request, plan, today)
        self._plan_text = [*plan_lines(build_report(view)), *self._limit_lines()]
        for line in self._plan_text:
            self._say(line)
        if self._refusals:
            return
        if view.check_mode:
            self._save_plan()
            return
        # Unassigning and restoring the same plan exclude each other.
        # Slices do not: they have no ENI in common.
        locked = view.plan.digest if settings.part else view.plan.whole_digest
        with self._folder.lock(document_name("plan", locked), PATIENCE) as interrupted:
            if interrupted:
                self._say(f"An earlier run of this plan did not end ({interrupted}). This run goes on with it.")
            self._save_plan()
            if total(view.ledger, PLANNED):
                self._carry_out(request)

    def _wanted(self, found: Found) -> Mapping[str, AddressSet]:
        saved = self._settings.saved
        if self._settings.by_group or saved is None:
            matches = {interface.eni_id: matching(interface, self._settings.selection) for interface in found.interfaces}
            return {eni_id: addresses for eni_id, addresses in matches.items() if count(addresses)}
        return saved.assignments

    def _make_plan(self, request: Request, found: Found) -> Plan:
        snapshot = Snapshot(self._ecs.region, self._view.interfaces, {}, found.unreadable)
        plan = review(self._ecs, request, request.targets, snapshot=snapshot, wait_for_states=False)
        if self._settings.operation == "restore" and not self._view.check_mode and self._wait_to_believe(plan):
            plan = review(self._ecs, request, request.targets, seen=list(self._view.interfaces), wait_for_states=False)
        if self._settings.by_group:
            # Nobody can say what of these would have been selected, so each is a failure.
            lacking = [
                Change(name if ENI_ID.fullmatch(name) else None, name, None, EMPTY, EMPTY, failure=Reason(error.code, str(error)))
                for name, error in found.unreadable.items()
            ]
            plan = replace(plan, changes=(*plan.changes, *lacking))
        return self._evidence.protect(plan) if self._evidence else plan

    def _wait_to_believe(self, plan: Plan) -> bool:
        """Waits, if something looks already present while a read may still lag behind the change. Returns whether to read again."""
        view, saved, timeout = self._view, self._settings.saved, self._settings.request.wait_timeout
        present = [address for change in plan.changes for address in flatten(change.unchanged)]
        if not present or saved is None:
            return False
        # None: the run that wrote the recipe did not end, so nobody knows when its last write was.
        age = (datetime.now(UTC) - datetime.fromisoformat(saved.made)).total_seconds() if saved.made else None
        if age is not None and age > RECENT_SECONDS:
            view.sure = f"{len(present)} were already present: read once, {age / 60:.0f} minutes after the recipe was written"
            return False
        # Between, because somebody may have set the clock since.
        left = timeout if age is None else min(max(timeout - age, 0), timeout)
        self._say(f"{len(present)} addresses look already present. A read may lag behind the run, so they are read again in {left:.0f} s")
        _clock.sleep(left)
        view.sure = f"{len(present)} looked already present and were read again after {left:.0f} s"
        return True

    # -- gate

    def _gate(self, request: Request, plan: Plan, today: Document) -> list[str]:
        """Everything that forbids to begin. Nothing is written while there is one."""
        view, settings, prefix = self._view, self._settings, self._settings.prefix
        refusals = [
            line.replace("max_addresses: ", f"{prefix}max_addresses: ")
            for line in find_refusals(plan, request, self._settings.connection.account_id)
        ]
        refusals += self._of_another_origin()
        refusals += self._evidence.refusals(prefix) if self._evidence else []
        if settings.operation != "unassign":
            return refusals
        refused = {
            (change.eni_id, address): f"{change.eni_id} {address}: {reason.text}"
            for change in plan.changes
            for address, reason in {**change.skipped, **change.refused}.items()
            if reason.code != KEPT and not (self._evidence and reason.code in self._evidence.deselected)
        }
        unreadable = [*view.unreadable]
        if not settings.request.skip_refused and refused:
            refusals.append(f"{prefix}on_refusal: {len(refused)} addresses must not be unassigned: {shorten([*refused.values()])}")
        # The settings have proven that the part belongs to the approved plan.
        approved = settings.saved.digest if settings.part and settings.saved else settings.approved_digest
        if settings.require_approval and not approved and not view.check_mode:
            refusals.append(f"{prefix}approved_digest: an approval is required; give the digest of the approved plan")
        other = settings.saved or self._saved_plan(approved)
        if other:
            view.difference = {"added": _pairs(today, but_not=other), "removed": _pairs(other, but_not=today)}
            # What was never approved is no reason not to do what was.
            refused = {pair: refused[pair] for pair in other.pairs() if pair in refused}
            unreadable = [name for name in unreadable if name in other.assignments]
        if settings.saved and view.difference["added"]:
            refusals.append(f"{len(view.difference['added'])} addresses are not in the saved plan: {shorten(view.difference['added'])}")
        if not approved:
            return refusals
        refusals += find_expiry(prefix, other, settings.approval_max_age, datetime.now(UTC))
        if total(view.ledger, PLANNED):
            refusals += find_use(prefix, other, self._folder.read(document_name("approval", approved)))
        if not settings.saved and today.digest != approved and (today.addresses or refused or unreadable):
            refusals.append(self._drifted(approved, today, known=other is not None))
        if other and other.digest == approved and (refused or unreadable):
            refusals.append(
                f"{prefix}approved_digest: the approved plan has changed: {len(refused)} of its addresses are refused today and "
                f"{len(unreadable)} of its ENIs cannot be read: {shorten([*refused.values(), *unreadable])}"
            )
        return refusals

    def _of_another_origin(self) -> list[str]:
        view, saved = self._view, self._settings.saved
        if saved is None:
            return []
        kind = "recipe" if view.operation == "restore" else "plan"
        pairs = (("region", saved.region, view.region), ("account", saved.account_id, view.account_id))
        refusals = [f"the saved {kind} is of {name} {then}, but this is {now}" for name, then, now in pairs if then and now and then != now]
        if saved.assignments and not view.interfaces and not self._settings.by_group:
            # More likely the wrong credentials than an account that holds none of them any more.
            refusals.append(
                f"none of the {len(saved.assignments)} ENIs of the saved {kind} exists in {view.region}, or not in this account; "
                f"it is of account {saved.account_id or 'not known'}"
            )
        return refusals

    def _saved_plan(self, digest: str | None) -> Document | None:
        """The approved plan itself, if it is in the folder: to show the difference."""
        text = self._folder.read(document_name("plan", digest)) if digest else None
        document = read_document(text) if text else None
        return document if document and document.digest == digest else None

    def _drifted(self, approved: str, today: Document, *, known: bool) -> str:
        view, prefix = self._view, self._settings.prefix
        difference = (
            f"More than approved: {shorten(view.difference['added'], 20) or 'nothing'}. "
            f"No longer there: {shorten(view.difference['removed'], 20) or 'nothing'}."
            if known
            else "The approved plan itself is not in the folder, so the difference cannot be shown."
        )
        return (
            f"{prefix}approved_digest: {approved} was approved, but today's plan has the digest {today.digest}. {difference} To go on with "
            f"an interrupted run, give the approved plan as {prefix}plan_file or {prefix}plan"
        )

    # -- waves

    def _carry_out(self, request: Request) -> None:
        view, settings = self._view, self._settings
        waves = cut_waves(view.ledger, settings.wave_size)
        planned = total(view.ledger, PLANNED)
        failures_allowed = allowed_failures(settings.max_failures, planned)
        self._save_recipe()
        started = _clock.now()
        try:
            for number, wave in enumerate(waves, 1):
                if number > 1 and settings.wave_pause:
                    _clock.sleep(settings.wave_pause)
                self._do_wave(request, (number, len(waves)), wave)
                self._say(wave_line(self._waves, planned, view.operation, _clock.now() - started))
                if any(reason.code == CALLER_GONE for eni in wave for reason in eni.reasons.values()):
                    self._stops.append("nobody waits for this run any more")
                    return
                failed = sum(done.failed for done in self._waves)
                if failed > failures_allowed and number < len(waves):
                    self._stops.append(
                        f"stopped after wave {number} of {len(waves)}: {failed} of {planned} addresses failed, more than "
                        f"{settings.prefix}max_failures={settings.max_failures} allows; {total(view.ledger, PLANNED)} were not tried"
                    )
                    break
            self._read_finally()
        finally:
            self._save_recipe(last=True)

    def _do_wave(self, request: Request, place: tuple[int, int], enis: Sequence[EniLedger]) -> None:
        view = self._view
        addresses = {eni.eni_id: eni.as_set(PLANNED) for eni in enis}
        if view.operation == "unassign" and view.plan:
            name = self._settings.part.name if self._settings.part else ""
            for line in recipe_lines(self._document(addresses, made=""), view.plan.whole_digest, place, name):
                self._say(line)
        started, calls = _now(), self._ecs.api_calls
        carry_out(self._ecs, request, enis)
        tried = sum(map(count, addresses.values()))
        done, failed = total(enis, DONE), total(enis, FAILED, IN_FLIGHT)
        self._waves.append(WaveView(*place, tried, done, failed, self._ecs.api_calls - calls, started, _now()))
        self._save_recipe(wave=enis)

    def _read_finally(self) -> None:
        """One more read of all ENIs of the plan. What it shows is the last word."""
        view = self._view
        enis = {eni.eni_id: eni for eni in view.ledger if eni.change.interface}
        try:
            view.final = read_seen_interfaces(self._ecs, enis, enis, {}, detailed=True)
        except EcsError as error:
            self._stops.append(f"the last read failed, so what was done is not verified: {error}")
            return
        for eni_id, interface in view.final.items():
            held = set(flatten(interface.held))
            wanted = self._settings.request.state == "present"
            enis[eni_id].latest = interface
            enis[eni_id].move(Event.CONFIRM, [one for one in enis[eni_id].having(IN_FLIGHT) if (one in held) == wanted])

    # -- documents and files

    def _document(self, assignments: Mapping[str, AddressSet], made: str | None = None) -> Document:
        account_id = self._view.account_id or (self._settings.saved.account_id if self._settings.saved else None)
        given = {eni_id: addresses for eni_id, addresses in sorted(assignments.items()) if count(addresses)}
        return Document(self._view.region, account_id, given, _now() if made is None else made)

    def _write(self, kind: str, name: str, text: str) -> None:
        self._files[kind] = str(self._folder.write(name, self._mask(text)))

    def _save_plan(self) -> None:
        """Plan first; then the recipe that an earlier run of this plan left, of which nothing is dropped."""
        view, plan = self._view, self._view.plan
        if view.operation != "unassign" or plan is None:
            return
        # The time of an approved plan says how old its approval is, so a run that makes the plan again does not replace it.
        if not view.check_mode and not self._settings.saved and self._saved_plan(plan.digest):
            self._files["plan"] = str(self._folder.path / document_name("plan", plan.digest))
        elif plan.addresses and not self._settings.part:
            self._write("plan", document_name("plan", plan.digest), _as_text(plan))
        name = document_name("recipe", plan.digest)
        text = self._folder.read(name)
        try:
            self._earlier = read_document(text) if text else None
            recipe_after(plan, self._earlier, {}, {})
        except DocumentError as error:
            raise DocumentError(f"{self._folder.path / name}: {error}") from None

    def _save_recipe(self, *, wave: Sequence[EniLedger] = (), last: bool = False) -> None:
        """On the disk before the first write, whole. Afterwards written again only when something is proven to be untouched."""
        view = self._view
        if view.operation != "unassign" or view.plan is None:
            return
        if wave and all(address in eni.sent for eni in wave for address in eni.having(FAILED, SKIPPED)):
            return
        sent = {eni.eni_id: eni.sent if last else eni.sent.union(eni.having(PLANNED)) for eni in view.ledger}
        shown = {eni.eni_id: frozenset(flatten(eni.latest.held)) for eni in view.ledger if eni.latest}
        # A recipe without a time tells a restore that its run did not end.
        view.recipe = recipe_after(view.plan, self._earlier, sent, shown, made=_now() if last else "")
        self._write("recipe", document_name("recipe", view.plan.digest), _as_text(view.recipe))

    def _limit_lines(self) -> list[str]:
        """What the approver has to know about the way of the plan to the run."""
        view = self._view
        lines = [part_line(self._settings.part, view.plan)] if self._settings.part and view.plan else []
        if view.check_mode and view.operation == "unassign" and view.plan and view.plan.addresses > MOST_PUBLISHED:
            lines.append(
                f"This plan cannot be handed on to a later job: it has {view.plan.addresses} addresses, more than {MOST_PUBLISHED}. The "
                "run makes the plan again, and stops before the first write if anything has changed. Better approve smaller plans."
            )
        return lines

    def _mark_approval(self, report: dict[str, Any]) -> None:
        """An approval counts for one finished run. That the mark cannot be written must not hide what was done."""
        view = self._view
        if view.check_mode or not self._settings.approved_digest or not view.plan or report["outcome"] != "done":
            return
        made = self._settings.saved or self._saved_plan(view.plan.digest) or view.plan
        try:
            self._folder.write(document_name("approval", view.plan.digest), make_mark(made, view.finished))
        except FolderError as error:
            report["stopped"] = ". ".join(filter(None, (report["stopped"], f"The use of the approval could not be recorded: {error}")))

    def _write_reports(self, report: dict[str, Any]) -> None:
        """That a report cannot be written must not hide what was done."""
        digest = self._view.plan.digest if self._view.plan else "0" * 12
        try:
            for kind in REPORT_KINDS:
                name = report_name(self._view.operation, digest, self._view.started, kind)
                self._write(kind, name, json.dumps(report, indent=1, ensure_ascii=False) if kind == "json" else render(report, kind))
        except FolderError as error:
            report["stopped"] = ". ".join(filter(None, (report["stopped"], f"The report could not be written: {error}")))
        report["files"] = dict(self._files)

    def _next_steps(self) -> list[str]:
        """The exact commands that may follow: do the plan, go on, undo."""
        view, settings, files = self._view, self._settings, self._files
        steps = []
        if view.operation == "unassign" and "plan" in files and not self._refusals and total(view.ledger, *UNFINISHED):
            title = "To do exactly this plan" if view.check_mode else "To go on with this plan"
            digest = {"approved_digest": view.plan.digest} if view.plan and (view.check_mode or view.approved_digest) else {}
            steps.append(f"{title}: {self._command('unassign', {**settings.given_beside_plan, 'plan_file': files['plan'], **digest})}")
        if view.operation == "restore" and settings.saved_path and not self._refusals and total(view.ledger, *UNFINISHED):
            title = "To restore it" if view.check_mode else "To go on"
            steps.append(f"{title}: {self._command('restore', {**settings.given_beside_plan, 'recipe_file': settings.saved_path})}")
        if view.recipe and view.recipe.addresses:
            steps.append(f"To undo it: {self._command('restore', {'recipe_file': files['recipe']})}")
        return steps

    def _command(self, playbook: str, variables: Mapping[str, Any]) -> str:
        """Ansible splits ``name=value`` at spaces and takes quotes away, so what is not simple is JSON."""
        named = {f"{playbook}_secondary_ips_{name}": value for name, value in variables.items()}
        simple = {name: str(value) for name, value in named.items() if isinstance(value, str | int) and _SIMPLE.fullmatch(str(value))}
        other = {name: value for name, value in named.items() if name not in simple}
        arguments = [*(f"{name}={text}" for name, text in simple.items()), *([json.dumps(other)] if other else [])]
        if sum(map(len, arguments)) > MOST_BYTES - 200 and self._view.plan:
            # A line that is folded inside of quotes would be another command.
            path = self._folder.write(f"{playbook}-{self._view.plan.digest[:12]}-variables.json", json.dumps(named, indent=1))
            arguments = [f"@{path}"]
        return " ".join([f"ansible-playbook alicloud_ops.network.{playbook}", *(f"-e {shlex.quote(each)}" for each in arguments)])

    def _result(self, report: Mapping[str, Any]) -> dict[str, Any]:
        view = self._view
        shown = ("outcome", "headline", "region", "account_id", "digest", "approved_digest", "started", "finished", "totals")
        summary = {name: report[name] for name in shown}
        if report["guests"]:
            summary["levels"] = report["guests"]["totals"]
        result: dict[str, Any] = {
            "changed": any(eni.changed or (view.check_mode and eni.having(PLANNED)) for eni in view.ledger) and not self._refusals,
            **summary,
            "refusals": report["refusals"],
            "stopped": report["stopped"],
            "files": dict(self._files),
            "next_steps": report["next_steps"],
            "published": self._published(summary, report),
        }
        if view.plan:
            result["plan"] = view.plan.as_dict(compact=True)
        if view.recipe:
            result["recipe"] = view.recipe.as_dict(compact=True)
        if message := failure_message(report):
            result |= {"failed": True, "msg": self._mask(message)}
        return result

    def _published(self, summary: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
        """In a workflow of AWX these become variables of the jobs that follow, so they have the names of those: a plan that was made
        in check mode binds the run behind the approval, and a recipe is what restores it."""
        view, part = self._view, self._settings.part
        if part and self._settings.saved:
            return artifact(part, self._settings.saved, report, view.recipe)
        published: dict[str, Any] = {f"secondary_ips_{view.operation}": summary}
        if view.operation == "unassign" and view.check_mode and view.plan and not self._refusals:
            published["unassign_secondary_ips_approved_digest"] = view.plan.digest
            published["unassign_secondary_ips_plan_text"] = "\n".join(self._plan_text)
            if plan := publishable(view.plan):
                published["unassign_secondary_ips_plan"] = plan
        if view.recipe and view.recipe.addresses and (recipe := publishable(view.recipe)):
            published["restore_secondary_ips_recipe"] = recipe
        return published


def _pairs(document: Document, *, but_not: Document) -> list[str]:
    return [f"{eni_id} {address}" for eni_id, address in sorted({*document.pairs()}.difference(but_not.pairs()))]


def _as_text(document: Document) -> str:
    return json.dumps(document.as_dict(), indent=1)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
