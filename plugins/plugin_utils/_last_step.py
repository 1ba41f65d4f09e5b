# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: what earlier jobs of a workflow published → whether the approved plan is done, with one report and one recipe.

Private to this collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import UndefinedError

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import (
    MOST_PUBLISHED,
    SLICE_ARTIFACT,
    Document,
    DocumentError,
    publishable,
    read_document,
)
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import MOST_LINES, fold_lines
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._handover import RECIPE, SUMMARY, TO_UNDO, outcome_name
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._lines import summary_lines
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._render import render_all
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._slices import FINISHED, merge
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._variables import read_variables

ROLE = "unassign_secondary_ips"
PREFIX = f"{ROLE}_"
OWN = tuple(PREFIX + name for name in ("approved_digest", "report_dir", "report_url"))
UNASSIGNED = outcome_name("unassign")
PREFIXES = (PREFIX, UNASSIGNED, SLICE_ARTIFACT, RECIPE)  # the beginnings of the names of what this step reads
_NOTHING = (
    "the job after the approval has not published an outcome: it was cancelled, or it did not start. To continue, launch the job again. "
    "To undo what it did, restore from the lines of its output that begin with {version: 1"
)


@dataclass
class LastStep:
    """``report``: that of all slices; empty if there is none. ``files``: kind → name and text of each report file; empty for a run
    without slices, because that run has written its report itself. ``errors``: why the plan is not done. ``notes``: more lines for the
    output."""

    summary: dict[str, Any]
    report: dict[str, Any]
    recipe: Any  # as published
    errors: list[str]
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    report_dir: str | None = None
    report_url: str | None = None
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        lines = summary_lines(self.report) if self.report else []
        if self.summary and not self.report:
            lines += fold_lines([f"{self.summary['outcome']}: {self.summary.get('headline') or 'see the job that ran'}"])
        # The report already lists what is missing.
        errors = [] if self.report else self.errors[:MOST_LINES]
        lines += fold_lines([*self.notes, *(f"missing or failed: {error}" for error in errors)])
        if self.recipe:
            lines.append(TO_UNDO)
        return lines

    def result(self) -> dict[str, Any]:
        published = {UNASSIGNED: self.summary} if self.summary else {}
        published |= {RECIPE: self.recipe} if self.recipe else {}
        result = {
            "changed": False,
            "outcome": self.summary.get("outcome", "missing"),
            "errors": self.errors,
            "published": published,
            "files": self.report.get("files", {}),
        }
        if self.errors:
            result |= {"failed": True, "msg": "The approved plan is not done. " + "; ".join(self.errors[:MOST_LINES])}
        return result


def read_last_step(variables: Mapping[str, Any]) -> LastStep:
    """DocumentError if a variable or an artifact cannot be read."""
    given = {name: value for name, value in variables.items() if not isinstance(value, str) or value.strip()}
    errors: list[str] = []
    own, _named = read_variables(ROLE, {name: given.get(name) for name in OWN}, errors)
    digest = own.get("approved_digest", "")
    if errors:
        raise DocumentError("; ".join(errors))
    is_sliced = any(name.startswith(SLICE_ARTIFACT) for name in given)
    step = _of_slices(given, digest) if is_sliced else _of_one_run(given, digest)
    step.report_dir, step.report_url = own.get("report_dir"), own.get("report_url")
    return step


def _of_slices(given: Mapping[str, Any], digest: str) -> LastStep:
    plan = _read_plan(given, digest)
    merged = merge(plan, given)
    recipe = publishable(merged.recipe) if merged.recipe else None
    report = merged.report
    if report:
        # The first two are in the names of files, so they do not come from an artifact.
        report |= {"operation": "unassign", "digest": plan.digest, "approved_digest": plan.digest}
        report["recipe"] = merged.recipe.as_dict() if merged.recipe else None
        # An ENI that no slice reported is not done.
        report["outcome"] = "stopped" if merged.errors and report["outcome"] in FINISHED else report["outcome"]
        report["stopped"] = ". ".join(filter(None, (report["stopped"], *merged.errors[:MOST_LINES])))
    try:
        summary = {name: report[name] for name in SUMMARY} if report else {}
        files = {kind: (name, text) for kind, name, text in render_all(report)} if report else {}
    except (LookupError, TypeError, AttributeError, ValueError, UndefinedError):
        names = ", ".join(name for name in given if name.startswith(SLICE_ARTIFACT))
        raise DocumentError(f"{names}: a report in them was changed, or is of another version of this collection") from None
    step = LastStep(summary, report, recipe, merged.errors, files)
    if merged.recipe and recipe is None:
        step.notes.append(f"The recipe has more than {MOST_PUBLISHED} addresses, so it is in the JSON report, and not in the artifacts.")
    return step


def _read_plan(given: Mapping[str, Any], digest: str) -> Document:
    name = PREFIX + "plan"
    if not given.get(name):
        raise DocumentError(f"{name}: it is not set, so the report cannot show whether a slice is missing")
    try:
        plan = read_document(given[name], published_as=name)
    except DocumentError as error:
        raise DocumentError(f"{name}: {error}") from None
    if digest and digest != plan.digest:
        raise DocumentError(f"{PREFIX}approved_digest: {digest} is set, but the plan has the digest {plan.digest}")
    return plan


def _of_one_run(given: Mapping[str, Any], digest: str) -> LastStep:
    """The planning job publishes its outcome under the same name, but that outcome is "planned"."""
    published = given.get(UNASSIGNED) or {"outcome": "planned"}
    if not isinstance(published, Mapping) or "outcome" not in published:
        raise DocumentError(f"{UNASSIGNED}: it is not what a run of this collection publishes")
    summary = dict(published) if published["outcome"] != "planned" else {}
    errors = []
    if not summary:
        errors.append(_NOTHING)
    elif summary["outcome"] != "refused" and digest and summary.get("digest") != digest:
        errors.append(f"the outcome belongs to the plan {summary.get('digest')}, but {digest} was approved")
    elif summary["outcome"] not in FINISHED:
        errors.append(": ".join(filter(None, (summary["outcome"], summary.get("headline")))))
    return LastStep(summary, {}, given.get(RECIPE), errors)
