# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: everything that stops a run before its first write: guards, origin of a saved document, approval, changes since the plan.

Private to this collection. A run with a refusal writes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import flatten
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import Interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import PLANNED
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import KEPT, Plan, find_refusals
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import SECURITY_GROUP_ID, Request
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import total
from ansible_collections.alicloud_ops.network.plugins.module_utils._select import Found
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import shorten
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import Document
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import many
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import DIFFERENCES, RunView
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._settings import Settings
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._variables import APPROVAL_NEEDED


@dataclass(frozen=True)
class Gate:
    """``view``: with the ledger of today's plan. ``other``: the saved or approved plan, if it is known. ``marks``: the texts
    that finished runs with this approval have left."""

    settings: Settings
    view: RunView
    other: Document | None
    marks: Sequence[str]

    def find_refusals(self, request: Request, plan: Plan, today: Document) -> list[str]:
        settings, prefix, evidence = self.settings, self.settings.prefix, self.view.evidence
        refusals = [
            re.sub(r"^(?=(max_addresses|account_id): )", prefix, line)
            for line in find_refusals(plan, request, settings.connection.account_id)
        ]
        refusals += self._of_another_origin()
        refusals += evidence.refusals(prefix) if evidence else []
        if settings.operation != "unassign":
            return refusals
        refused = self._refused(plan)
        if not settings.request.skip_refused and refused:
            refusals.append(f"{prefix}on_refusal: {many(len(refused), 'address')} must not be unassigned: {shorten([*refused.values()])}")
        if settings.saved and (added := self.view.difference["added"]):
            refusals.append(f"{len(added)} addresses are not in the saved plan: {shorten(added)}")
        lacking = self._lacking(plan)
        if settings.saved and lacking:
            refusals.append(f"{len(lacking)} addresses of the saved plan are not selected today: {shorten(lacking)}")
        return refusals + self._of_the_approval(today, refused, lacking)

    def _lacking(self, plan: Plan) -> list[str]:
        """ENI and address of the saved or approved plan: today's plan does not have them, and no read shows that they are gone."""
        planned = {change.eni_id: {*flatten(change.todo), *change.skipped, *change.refused} for change in plan.changes}
        unreadable = {change.eni_id for change in plan.changes if change.failure}
        pairs = (pair.split(" ") for pair in self.view.difference.get("left", ()))
        return [f"{eni_id} {address}" for eni_id, address in pairs if eni_id not in unreadable and address not in planned.get(eni_id, ())]

    def _refused(self, plan: Plan) -> dict[tuple[str | None, str], str]:
        """ENI and address → why a guard refuses it. What the user keeps or does not select is not refused."""
        evidence = self.view.evidence
        return {
            (change.eni_id, address): f"{change.eni_id} {address}: {reason.text}"
            for change in plan.changes
            for address, reason in {**change.skipped, **change.refused}.items()
            if reason.code != KEPT and not (evidence and reason.code in evidence.deselected)
        }

    def _of_another_origin(self) -> list[str]:
        view, saved = self.view, self.settings.saved
        if saved is None:
            return []
        kind = "recipe" if view.operation == "restore" else "plan"
        refusals = []
        if saved.account_id and view.account_id and saved.account_id != view.account_id:  # the settings have compared the regions
            refusals.append(f"the saved {kind} belongs to account {saved.account_id}, but this run uses account {view.account_id}")
        if saved.assignments and not view.interfaces and not self.settings.by_group:
            # Wrong credentials are more likely than an account without any of these ENIs.
            refusals.append(
                f"none of the {len(saved.assignments)} ENIs of the saved {kind} exists in {view.region} in this account; "
                f"the account of the {kind} is {saved.account_id or 'not known'}"
            )
        return refusals

    def _of_the_approval(self, today: Document, refused: Mapping[tuple[str | None, str], str], lacking: Sequence[str]) -> list[str]:
        view, settings, other, prefix = self.view, self.settings, self.other, self.settings.prefix
        approved, needed = settings.own_digest, settings.require_approval and not view.check_mode
        if not approved:
            return [f"{prefix}approved_digest: is not set, but {APPROVAL_NEEDED}"] if needed else []
        refusals = find_expiry(other, settings.approval_max_age, datetime.now(UTC))
        if total(view.ledger, PLANNED):
            refusals += find_unknown_age(other) if needed else []
            refusals += find_use(other, self.marks)
        unreadable = [*view.unreadable]
        if other:
            # A refusal of an address that nobody approved does not stop the approved ones.
            refused = {pair: refused[pair] for pair in other.pairs() if pair in refused}
            unreadable = [name for name in unreadable if name in other.assignments]
        # Nobody knows whether a plan that is not in the folder is done.
        if not settings.saved and today.digest != approved and (today.addresses or refused or unreadable or lacking or not other):
            refusals.append(self._drifted(approved, today))
        if other and other.digest == approved and (refused or unreadable):
            refusals.append(
                f"{prefix}approved_digest: the approved plan has changed: {len(refused)} of its addresses are refused today and "
                f"{len(unreadable)} of its ENIs cannot be read: {shorten([*refused.values(), *unreadable])}"
            )
        return refusals

    def _drifted(self, approved: str, today: Document) -> str:
        prefix, differences = self.settings.prefix, self.view.difference
        difference = ". ".join(f"{len(pairs)} {DIFFERENCES[name]}: {shorten(pairs, 20)}" for name, pairs in differences.items() if pairs)
        return (
            f"{prefix}approved_digest: {approved} is set, but today's plan has the digest {today.digest}. "
            f"{difference or 'The folder of this run has no plan with the digest that is set, so check that digest'}. To continue an "
            f"interrupted run, set {prefix}plan_file or {prefix}plan to the approved plan. Otherwise make a new plan in check mode "
            "(--check) and have it approved"
        )


def compare(today: Document, other: Document, interfaces: Mapping[str, Interface]) -> dict[str, list[str]]:
    """How today's plan differs from the saved or approved one, as in DIFFERENCES."""
    ours, theirs = {*today.pairs()}, {*other.pairs()}
    held = {eni_id: frozenset(flatten(interface.held)) for eni_id, interface in interfaces.items()}
    gone = {(eni_id, address) for eni_id, address in theirs - ours if eni_id in held and address not in held[eni_id]}
    found = {"added": ours - theirs, "removed": gone, "left": theirs - ours - gone}
    return {name: [f"{eni_id} {address}" for eni_id, address in sorted(pairs)] for name, pairs in found.items()}


def find_unknown_groups(settings: Settings, found: Found, region: str) -> list[str]:
    """Errors for security groups that do not exist, and for a name in several VPCs if the user does not name a VPC."""
    prefix, selection = settings.prefix, settings.selection
    if not settings.by_group:
        return []
    variables = {
        **dict.fromkeys(selection.security_group_ids or (), "security_group_ids"),
        **dict.fromkeys(selection.security_group_names or (), "security_group_names"),
    }
    errors = [
        f"{prefix}{variables.get(name, 'security_group_tags')}: '{name}' does not exist in {region}, or belongs to another account; "
        + (
            f"it looks like an id: use {prefix}security_group_ids"
            if variables.get(name) == "security_group_names" and SECURITY_GROUP_ID.fullmatch(name)
            else "check it and the region"
        )
        for name in found.missing
    ]
    for name in selection.security_group_names or ():
        groups = {group_id: group.vpc_id for group_id, group in found.security_groups.items() if group.name == name}
        if selection.vpc_ids is None and len(set(groups.values())) > 1:
            listed = ", ".join(f"{group_id} in {vpc_id}" for group_id, vpc_id in sorted(groups.items()))
            errors.append(
                f"{prefix}security_group_names: '{name}' is the name of security groups in several VPCs ({listed}); set {prefix}vpc_ids"
            )
    return errors


# -- how long an approval is valid, and for how many runs
#
# An approval is the digest of a plan. The digest says what a run may do, but not when, so the time of the plan limits it. A run that has
# finished leaves a mark in its folder, so that nobody can repeat it after a restore. If the folder is lost with the container of the job,
# only the age limits the approval.

_PREFIX = "unassign_secondary_ips_"  # only this role has approvals
_CLOCK_DIFFERENCE = 1  # hours by which the clocks of two machines may differ; a plan of the future would never be too old


def find_expiry(plan: Document | None, max_age: int, now: datetime) -> list[str]:
    """Why the approval of this plan is too old, or cannot have been given yet. ``max_age``: hours. A plan that is unknown or has no time
    has no age."""
    if plan is None or not plan.made:
        return []
    age = (now - datetime.fromisoformat(plan.made)).total_seconds() / 3600
    if age < -_CLOCK_DIFFERENCE:
        return [
            f"{_PREFIX}approved_digest: the approved plan was made at {plan.made}, which is {-age:.1f} hours after the time of this "
            "machine; correct the clock, or make a new plan in check mode (--check) and have it approved"
        ]
    if age <= max_age:
        return []
    return [
        f"{_PREFIX}approved_digest: the approved plan was made {age:.1f} hours ago, at {plan.made}, and an approval is valid for "
        f"{max_age} hours ({_PREFIX}approval_max_age); make a new plan in check mode (--check) and have it approved"
    ]


def find_unknown_age(plan: Document | None) -> list[str]:
    """Why a run that requires an approval cannot use this one: without the time of the plan, the approval would never end."""
    if plan and plan.made:
        return []
    return [
        f"{_PREFIX}approved_digest: the age of the approved plan is not known; set {_PREFIX}plan or {_PREFIX}plan_file to the "
        f"approved plan, or use the {_PREFIX}report_dir of the run that made it"
    ]


def find_use(plan: Document | None, marks: Iterable[str]) -> list[str]:
    """Why the approval of this plan is used up. ``marks``: the texts that runs that used it left."""
    found: list[str] = []
    for mark in marks:
        try:
            used = json.loads(mark)
            made, finished_at = used["made"], used["finished_at"]
        except (ValueError, LookupError, TypeError):
            found.append(
                f"{_PREFIX}approved_digest: its file approval-….json in the folder of the reports or of the plan cannot be read, so "
                "the approval counts as used; see whether the plan was carried out, and then delete this file"
            )
            continue
        if plan is None or plan.made == made:  # otherwise the same addresses, but a later plan and approval
            found.append(
                f"{_PREFIX}approved_digest: the approval was used by the run that finished at {finished_at}, and it is valid for one "
                "run; make a new plan in check mode (--check) and have it approved"
            )
    return found[:1]


def make_mark(plan: Document, finished_at: str) -> str:
    return json.dumps({"digest": plan.digest, "made": plan.made, "finished_at": finished_at}, indent=1)
