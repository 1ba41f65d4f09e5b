# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One bulk run, step by step: select → plan → gate → waves of write and read back → final read → report.

Private to this collection. Runs in the process of the Ansible worker with the engine of the modules. The ledger stays in memory;
plan and recipe are on the disk before the first write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from math import isfinite
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import EMPTY, AddressSet, count, difference, flatten, union
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import CALLER_GONE, EcsError, as_defect
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import (
    DONE,
    FAILED,
    IN_FLIGHT,
    PLANNED,
    EniLedger,
    Event,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Change, Plan, Reason, Snapshot
from ansible_collections.alicloud_ops.network.plugins.module_utils._read import Unreadable, read_seen_interfaces
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import ENI_ID, Request, Target
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import UNCHANGED_KEY, total
from ansible_collections.alicloud_ops.network.plugins.module_utils._review import review
from ansible_collections.alicloud_ops.network.plugins.module_utils._run import carry_out, open_ledger
from ansible_collections.alicloud_ops.network.plugins.module_utils._select import Found, matching, read_group_names, select
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import (
    MOST_PUBLISHED,
    Document,
    DocumentError,
    recipe_lines,
)
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._evidence import Evidence
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._folder import Folder, FolderError, document_name
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import clean, label
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._gate import Gate, compare, find_unknown_groups
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._handover import Handover
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._lines import plan_lines, summary_lines, wave_line
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._records import Records, now
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import NO_GROUP, RunView, WaveView, build_report, group_of
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._settings import Settings
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._slices import part_line
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._variables import allowed_failures, name_questions

# A read may lag behind a change. If a run did the opposite within this time, addresses that look already done are read again.
RECENT_SECONDS = 300
# Seconds to wait for the lock of a killed run: the action ends such a run within a few seconds.
PATIENCE = 15.0


class CallerGone(BaseException):
    """Nobody waits for this run any more. This is not an Exception, so ``Folder.lock`` leaves its file as after an interrupted run."""


class BulkRun:
    """``say`` shows one line at once, and ``shown`` waits until the play has shown all lines. ``mask`` removes secrets from a text.
    ``check_mode``: of the task. ``evidence``: what the guests returned, if guests are set. ``in_awx``: refusals name the
    questions of a survey, and the next steps are jobs."""

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
        shown: Callable[[], None] = lambda: None,
        in_awx: bool = False,
    ) -> None:
        self._settings = settings
        self._ecs = ecs
        self._folder = folder
        self._say = say
        self._wait_until_shown = shown
        self._in_awx = in_awx
        self._plan_text: list[str] = []
        self._has_waited = False  # for another run of the plan
        self._view = RunView(
            operation=settings.operation,
            check_mode=check_mode,
            started_at=now(),
            region=ecs.region,
            approved_digest=settings.approved_digest,
            evidence=evidence,
            mask=mask,
        )
        self._folders = folder.with_folder_of(settings.saved_path)
        self._records = Records(settings, self._view, self._folders)

    def run(self) -> dict[str, Any]:
        """The result of the task, with ``failed`` and ``msg`` if it failed. It has everything that the run did."""
        try:
            self._folder.prove_writable()
            if self._settings.operation == "audit":
                self._audit()
            else:
                self._plan_and_carry_out()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # also the timeout of the task
            if isinstance(error, EcsError | DocumentError | FolderError | CallerGone):
                text = str(error)
            else:
                text = str(as_defect(error)) if isinstance(error, Exception) else f"interrupted: {type(error).__name__}: {error}"
            (self._view.stops if any(eni.writes for eni in self._view.ledger) else self._view.refusals).append(text)
        return self._finish()

    def _finish(self) -> dict[str, Any]:
        view = self._view
        if self._in_awx:
            view.refusals = [*map(name_questions, view.refusals)]
        view.finished_at, view.api_calls = now(), self._ecs.api_calls
        handover = Handover(self._settings, view, self._folder)
        view.next_steps = handover.next_jobs() if self._in_awx else handover.next_steps()
        report = build_report(view)
        self._records.mark_approval(report)
        self._records.write_reports(report)
        for line in summary_lines(report):
            self._say(line)
        return handover.result(report, self._plan_text)

    # -- audit

    def _audit(self) -> None:
        view, found = self._view, self._select()
        view.plan = self._document({interface.eni_id: matching(interface, self._settings.selection) for interface in found.interfaces})
        if view.evidence:
            view.evidence.join(view.interfaces, view.plan.assignments)
            view.refusals += view.evidence.refusals(self._settings.prefix)
        for line in plan_lines(build_report(view)):
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
        view.selected_groups = (*(self._settings.selection.security_group_ids or ()), *found.security_groups)
        view.security_groups = self._name_groups(found)
        view.unreadable = {name: str(error) for name, error in found.unreadable.items()}
        owners = {interface.owner_id for interface in found.interfaces}
        view.account_id = owners.pop() if len(owners) == 1 else None
        view.refusals += find_unknown_groups(self._settings, found, self._ecs.region)
        return found

    def _name_groups(self, found: Found) -> dict[str, str]:
        """Names by id of the security groups that the report lists. If their read fails, the plan shows only ids, and the run continues."""
        names = {group_id: group.name for group_id, group in found.security_groups.items()}
        counted = {group_of(interface, self._view.selected_groups) for interface in found.interfaces}
        try:
            return names | read_group_names(self._ecs, sorted(counted.difference(names, [NO_GROUP])))
        except EcsError:
            return names

    # -- plan

    def _plan_and_carry_out(self) -> None:
        view, settings = self._view, self._settings
        found = self._select()
        other = settings.saved or self._records.saved_plan(settings.own_digest)
        wanted = self._wanted(found, other)
        if view.evidence:
            view.evidence.join(view.interfaces, wanted)
        request = replace(
            settings.request,
            targets=tuple(Target("", eni_id, None, addresses) for eni_id, addresses in wanted.items()),
            skip_refused=True,  # the plan holds all reasons, and the gate decides what follows from them
            skip_transitional=True,
        )
        today = self._plan(request, found, other)
        view.plan = settings.saved or today
        self._folder.belong(*(document_name(kind, view.plan.whole_digest) for kind in ("plan", "recipe")))
        self._plan_text = [*plan_lines(build_report(view)), *self._limit_lines()]
        for line in self._plan_text:
            self._say(line)
        if view.refusals:
            return
        if view.check_mode:
            self._records.save_plan()
            return
        with ExitStack() as locks:
            interrupted = self._lock(locks, view.plan)
            if interrupted:
                self._say(clean(f"An earlier run of this plan did not end ({interrupted}). This run continues from there."))
                if self._has_waited and not interrupted.startswith(view.operation):
                    _clock.sleep(settings.request.wait_timeout)  # its last write may be so recent that a read does not show it yet
            if self._has_waited:  # the other run may have changed what this run has planned
                self._plan(request, self._select(), other)
                if view.refusals:
                    return
            self._records.save_plan()
            if total(view.ledger, PLANNED):
                self._carry_out(request)
                return
            self._read_finally()
            # What is already gone may be the work of an earlier run, whose recipe may be lost. So that it can still be undone:
            if view.plan.addresses:
                self._records.save_recipe(last=True)

    def _lock(self, locks: ExitStack, plan: Document) -> str:
        """Unassigning and restoring the same plan exclude each other. Slices do not, because they have no ENI in common. Returns the
        text of an earlier run that did not end, or ''."""
        # A slice with all ENIs of the plan has the lock alone.
        is_slice = bool(self._settings.part) and plan.digest != plan.whole_digest
        one_run = (PATIENCE, self._view.operation, self._wait_for)
        interrupted = ""
        for folder in self._folders:
            interrupted = locks.enter_context(folder.lock(plan.whole_digest, *one_run, shared=is_slice)) or interrupted
            if is_slice:
                interrupted = locks.enter_context(folder.lock(plan.digest, *one_run)) or interrupted
        return interrupted

    def _wanted(self, found: Found, other: Document | None) -> Mapping[str, AddressSet]:
        """``other``: the saved or approved plan, if it is known."""
        saved = self._settings.saved
        if saved and not self._settings.by_group:
            return saved.assignments
        wanted = {}
        for interface in found.interfaces:
            # Addresses of the plan that are gone are reported too, as in a run without security groups.
            gone = difference(other.assignments.get(interface.eni_id, EMPTY) if other else EMPTY, interface.held)
            wanted[interface.eni_id] = union(matching(interface, self._settings.selection), gone)
        return {eni_id: addresses for eni_id, addresses in wanted.items() if count(addresses)}

    def _plan(self, request: Request, found: Found, other: Document | None) -> Document:
        """Make the ledger, and find what forbids the run. Returns what would be written today."""
        view, settings = self._view, self._settings
        plan = self._make_plan(request, found, other)
        view.ledger = open_ledger(plan)
        today = self._document({change.eni_id or "": change.todo for change in plan.changes if not change.failure})
        if other and settings.operation == "unassign":
            view.difference = compare(today, other, view.interfaces)
        view.refusals += Gate(settings, view, other, self._records.approval_marks(settings.own_digest)).find_refusals(request, plan, today)
        return today

    def _make_plan(self, request: Request, found: Found, other: Document | None) -> Plan:
        snapshot = Snapshot(self._ecs.region, self._view.interfaces, {}, found.unreadable)
        plan = review(self._ecs, request, request.targets, snapshot=snapshot, wait_for_states=False)
        if other and not self._view.check_mode and self._wait_to_believe(plan, other):
            plan = review(self._ecs, request, request.targets, seen=list(self._view.interfaces), wait_for_states=False)
        if self._settings.by_group:
            # It is unknown which of their addresses match, so each of these ENIs is a failure.
            lacking = [
                Change(name if ENI_ID.fullmatch(name) else None, name, None, EMPTY, EMPTY, failure=Reason(error.code, str(error)))
                for name, error in found.unreadable.items()
            ]
            plan = replace(plan, changes=(*plan.changes, *lacking))
        return self._view.evidence.protect(plan) if self._view.evidence else plan

    def _wait_to_believe(self, plan: Plan, other: Document) -> bool:
        """Wait if addresses look already done, and a run did the opposite a short time ago, so that a read may still lag behind it.
        Returns whether to read again."""
        view, timeout = self._view, self._settings.request.wait_timeout
        addresses = sum(count(change.unchanged) for change in plan.changes)
        if not addresses:
            return False
        already, opposite = label(UNCHANGED_KEY[view.state]), view.opposite
        age = self._records.seconds_since_opposite(other)
        if age is not None and age > RECENT_SECONDS:
            known = f"{age / 60:.0f} minutes after the last {opposite} run" if isfinite(age) else f"no {opposite} run is known"
            view.sure = f"{addresses} were {already}: read once, {known}"
            return False
        # The clock may have been set in the meantime, so the pause is never negative and never longer than the timeout.
        left = timeout if age is None else min(max(timeout - age, 0), timeout)
        when = f"in {left:.0f} s" if round(left) else "now"
        self._say(f"{addresses} addresses look {already}. A read may still show an old state, so they are read again {when}")
        _clock.sleep(left)
        view.sure = f"{addresses} looked {already} and were read again" + (f" after {left:.0f} s" if round(left) else "")
        return True

    def _wait_for(self, holder: str) -> None:
        self._has_waited = True
        self._say(clean(f"Another run works on this plan ({holder}). This run waits up to {PATIENCE:.0f} s until it ends"))

    # -- waves

    def _carry_out(self, request: Request) -> None:
        view, settings = self._view, self._settings
        waves = _cut_waves(view.ledger, settings.wave_size)
        planned = total(view.ledger, PLANNED)
        failures_allowed = allowed_failures(settings.max_failures, planned)
        self._records.save_recipe()
        started = _clock.now()
        try:
            for number, wave in enumerate(waves, 1):
                if number > 1 and settings.wave_pause:
                    _clock.sleep(settings.wave_pause)
                self._do_wave(request, (number, len(waves)), wave)
                self._say(wave_line(view.waves, planned, view.operation, _clock.now() - started, settings.wave_pause))
                if any(reason.code == CALLER_GONE for eni in wave for reason in eni.reasons.values()):
                    raise CallerGone("nobody waits for this run any more")
                failed = sum(done.failed for done in view.waves)
                if failed > failures_allowed and number < len(waves):
                    view.stops.append(
                        f"stopped after wave {number} of {len(waves)}: {failed} of {planned} addresses failed, more than "
                        f"{settings.prefix}max_failures={settings.max_failures} allows; {total(view.ledger, PLANNED)} were not tried"
                    )
                    break
            self._read_finally()
        finally:
            self._records.save_recipe(last=True)

    def _do_wave(self, request: Request, place: tuple[int, int], enis: Sequence[EniLedger]) -> None:
        view = self._view
        addresses = {eni.eni_id: eni.as_set(PLANNED) for eni in enis}
        if view.operation == "unassign" and view.plan:
            name = self._settings.part.name if self._settings.part else ""
            for line in recipe_lines(self._document(addresses, made=""), view.plan.whole_digest, place, name):
                self._say(line)
            self._wait_until_shown()
        started, calls = now(), self._ecs.api_calls
        carry_out(self._ecs, request, enis)
        tried = sum(map(count, addresses.values()))
        done, failed = total(enis, DONE), total(enis, FAILED, IN_FLIGHT)
        view.waves.append(WaveView(*place, tried, done, failed, self._ecs.api_calls - calls, started, now()))
        self._records.save_recipe(wave=enis)

    def _read_finally(self) -> None:
        """Read all ENIs of the plan once more. The report compares each address with this read."""
        view = self._view
        enis = {eni.eni_id: eni for eni in view.ledger if eni.change.interface}
        try:
            view.final = read_seen_interfaces(self._ecs, enis, enis, {}, detailed=True)
        except EcsError as error:
            if error.code == CALLER_GONE:
                raise CallerGone("nobody waits for this run any more") from None
            view.stops.append(f"the last read failed, so the run does not verify what it did: {error}")
            return
        for eni_id, interface in view.final.items():
            held = set(flatten(interface.held))
            wanted = self._settings.request.state == "present"
            enis[eni_id].latest = interface
            enis[eni_id].move(Event.CONFIRM, [one for one in enis[eni_id].having(IN_FLIGHT) if (one in held) == wanted])

    def _document(self, assignments: Mapping[str, AddressSet], made: str | None = None) -> Document:
        account_id = self._view.account_id or (self._settings.saved.account_id if self._settings.saved else None)
        given = {eni_id: addresses for eni_id, addresses in sorted(assignments.items()) if count(addresses)}
        return Document(self._view.region, account_id, given, now() if made is None else made)

    def _limit_lines(self) -> list[str]:
        """Lines for the person who approves: the part of a slice, and a plan that is too large for an artifact."""
        view = self._view
        lines = [part_line(self._settings.part, view.plan)] if self._settings.part and view.plan else []
        if view.check_mode and view.operation == "unassign" and view.plan and view.plan.addresses > MOST_PUBLISHED:
            lines.append(
                f"This plan cannot be passed on to a later job: it has {view.plan.addresses} addresses, more than {MOST_PUBLISHED}. A run "
                f"that requires an approval refuses it, unless both runs have the same {self._settings.prefix}report_dir. "
                "Make smaller plans."
            )
        return lines


def _cut_waves(ledger: Sequence[EniLedger], size: int) -> list[list[EniLedger]]:
    """The ENIs with planned addresses in waves of at most ``size`` addresses. An ENI is never split, so an ENI with more addresses is
    a wave of its own."""
    waves: list[list[EniLedger]] = []
    room = 0
    for eni in ledger:
        addresses = len(eni.having(PLANNED))
        if not addresses:
            continue
        if not waves or addresses > room:
            waves.append([])
            room = size
        waves[-1].append(eni)
        room -= addresses
    return waves
