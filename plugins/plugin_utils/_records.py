# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that a run keeps in its folder: plan, restore recipe, reports, and the mark of a used approval.

Private to this collection. Plan and recipe are on the disk before the first write.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import flatten
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import FAILED, IN_FLIGHT, PLANNED, SKIPPED, EniLedger
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import total
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import Document, DocumentError, read_document, recipe_after
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._folder import Folder, FolderError, document_name, lock_name
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._gate import find_use, make_mark
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._render import render_all
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import RunView
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._settings import Settings


class Records:
    """Writes the files of a run, and adds their paths to ``view.files``: kind → path. ``folders``: that of the run first; all have marks
    of approvals."""

    def __init__(self, settings: Settings, view: RunView, folders: Sequence[Folder]) -> None:
        self._settings = settings
        self._view = view
        self._folder = folders[0]
        self._folders = folders
        self._earlier: Document | None = None

    def saved_plan(self, digest: str | None) -> Document | None:
        """The plan with this digest, if it is in the folder."""
        text = self._folder.read(document_name("plan", digest)) if digest else None
        document = read_document(text) if text else None
        return document if document and document.digest == digest else None

    def seconds_since_opposite(self, document: Document) -> float | None:
        """Seconds since the last opposite run ended: a restore if this run unassigns, and the other way round. ``document``: the plan or
        recipe of this run. Infinite if no opposite run is known. None if that run did not end, so that the time of its last write is not
        known."""
        opposite = self._view.opposite
        if any((folder.read(lock_name(document.whole_digest)) or "").startswith(opposite) for folder in self._folders):
            return None
        if opposite == "restore":  # it leaves only its report
            return min(folder.seconds_since(f"{opposite}-*.json") for folder in self._folders)
        return (datetime.now(UTC) - datetime.fromisoformat(document.made)).total_seconds() if document.made else None

    def approval_marks(self, digest: str | None) -> list[str]:
        """The marks of runs that used this approval: in the folder of this run, and in that of its saved plan."""
        found = [folder.read(document_name("approval", digest)) for folder in self._folders] if digest else []
        return [mark for mark in found if mark is not None]

    def _write(self, kind: str, name: str, text: str) -> None:
        self._view.files[kind] = str(self._folder.write(name, text))

    def save_plan(self) -> None:
        """Write the plan. Then read the recipe that an earlier run of this plan left. The recipe of this run keeps its addresses."""
        view, plan = self._view, self._view.plan
        if view.operation != "unassign" or plan is None:
            return
        # The time of the saved plan is the age of its approval. So a run that makes the same plan again does not replace the file.
        if not view.check_mode and not self._settings.saved and self.saved_plan(plan.digest):
            view.files["plan"] = str(self._folder.path / document_name("plan", plan.digest))
        elif plan.addresses and not self._settings.part:
            self._write("plan", document_name("plan", plan.digest), _as_text(plan))
        name = document_name("recipe", plan.digest)
        text = self._folder.read(name)
        try:
            self._earlier = read_document(text) if text else None
            recipe_after(plan, self._earlier, {}, {})
        except DocumentError as error:
            raise DocumentError(f"{self._folder.path / name}: {error}") from None

    def save_recipe(self, *, wave: Sequence[EniLedger] = (), last: bool = False) -> None:
        """Write the whole recipe before the first write. Later, write it again only if an address is proven untouched."""
        view = self._view
        if view.operation != "unassign" or view.plan is None:
            return
        if wave and all(address in eni.sent for eni in wave for address in eni.having(FAILED, SKIPPED)):
            return
        sent = {eni.eni_id: eni.sent if last else eni.sent.union(eni.having(PLANNED)) for eni in view.ledger}
        shown = {eni.eni_id: frozenset(flatten(eni.latest.held)) for eni in view.ledger if eni.latest}
        # Only the last recipe of a run has a time. If there is no time, a restore knows that the run did not end.
        recipe = recipe_after(view.plan, self._earlier, sent, shown, made=now() if last else "")
        self._write("recipe", document_name("recipe", view.plan.digest), _as_text(recipe))
        view.recipe = recipe

    def mark_approval(self, report: dict[str, Any]) -> None:
        """An approval is valid for one finished run. If the mark cannot be written, the report says so."""
        view = self._view
        if view.check_mode or not self._settings.approved_digest or not view.plan:
            return
        # A run that stopped after its last write has nothing to continue, and neither has the run after it.
        has_recipe = view.recipe and view.recipe.addresses
        is_complete = has_recipe and not total(view.ledger, PLANNED, FAILED, IN_FLIGHT)
        if report["outcome"] != "done" and not is_complete:
            return
        try:
            made = self._settings.saved or self.saved_plan(view.plan.digest) or view.plan
            if find_use(made, self.approval_marks(view.plan.digest)):
                return  # a run with nothing to write does not replace the mark of the run that wrote
            for folder in self._folders:
                folder.write(document_name("approval", view.plan.digest), make_mark(made, view.finished_at))
        except (DocumentError, FolderError) as error:
            self._note(report, f"The use of the approval could not be recorded: {error}")

    def write_reports(self, report: dict[str, Any]) -> None:
        """If a report cannot be written, add this error to the result. The rest of the result is complete."""
        try:
            for kind, name, text in render_all(report):
                self._write(kind, name, text)
        except FolderError as error:
            self._note(report, f"The report could not be written: {error}")
        report["files"] = dict(self._view.files)

    def _note(self, report: dict[str, Any], text: str) -> None:
        """Add what went wrong after the report was built."""
        report["stopped"] = ". ".join(filter(None, (report["stopped"], self._view.text(text))))


def _as_text(document: Document) -> str:
    return json.dumps(document.as_dict(), indent=1)


def now() -> str:
    """The time for documents and reports: UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
