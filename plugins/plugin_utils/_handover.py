# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run hands over at its end: the commands that may follow, the result of its task, and the artifacts for later jobs.

Private to this collection. Pure, except that a very long command puts its variables into a file of the run's folder.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import FAILED, IN_FLIGHT, PLANNED
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import may_have_changed, total
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import publishable
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._folder import Folder, FolderError
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import MOST_BYTES
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._lines import failure_message
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import RunView
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._settings import Settings
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._slices import artifact

SUMMARY = ("outcome", "headline", "region", "account_id", "digest", "approved_digest", "started_at", "finished_at", "totals")
RECIPE = "restore_secondary_ips_recipe"  # the name of a published recipe
TO_UNDO = "To undo it, launch 'Restore secondary addresses' with the artifacts of this job."
_SIMPLE = re.compile(r"[A-Za-z0-9_./:%+,-]+")


def outcome_name(operation: str) -> str:
    """The name under which a run publishes its outcome."""
    return f"secondary_ips_{operation}"


@dataclass(frozen=True)
class Handover:
    settings: Settings
    view: RunView
    folder: Folder

    @property
    def _is_unfinished(self) -> bool:
        return not self.view.refusals and bool(total(self.view.ledger, PLANNED, FAILED, IN_FLIGHT))

    def next_jobs(self) -> list[str]:
        """The jobs of AWX that may follow. A command would name files that are lost with the container of the job."""
        is_unfinished = self._is_unfinished and not self.view.check_mode and bool(self.settings.saved)
        has_recipe = bool(self.view.recipe and self.view.recipe.addresses)
        return ["To continue, launch this job again."] * is_unfinished + [TO_UNDO] * has_recipe

    def next_steps(self) -> list[str]:
        """The exact commands that may follow: carry out the plan, continue, undo."""
        view, settings, files = self.view, self.settings, self.view.files
        steps = []
        unfinished = self._is_unfinished
        if view.operation == "unassign" and "plan" in files and unfinished:
            title = "To carry out exactly this plan" if view.check_mode else "To continue with this plan"
            digest = {"approved_digest": view.plan.digest} if view.plan and (view.check_mode or view.approved_digest) else {}
            steps.append(f"{title}: {self._command('unassign', {**settings.given_with_plan, 'plan_file': files['plan'], **digest})}")
        if view.operation == "restore" and settings.saved_path and unfinished:
            title = "To carry out this restore" if view.check_mode else "To continue this restore"
            steps.append(f"{title}: {self._command('restore', {**settings.given_with_plan, 'recipe_file': settings.saved_path})}")
        if view.recipe and view.recipe.addresses:
            steps.append(f"To undo it: {self._command('restore', {**settings.given_with_recipe, 'recipe_file': files['recipe']})}")
        return steps

    def _command(self, playbook: str, variables: Mapping[str, Any]) -> str:
        """Ansible splits ``name=value`` at spaces and removes quotes, so a value that is not simple is JSON."""
        named = {f"{playbook}_secondary_ips_{name}": value for name, value in variables.items()}
        simple = {name: str(value) for name, value in named.items() if isinstance(value, str | int) and _SIMPLE.fullmatch(str(value))}
        other = {name: value for name, value in named.items() if name not in simple}
        arguments = [*(f"{name}={text}" for name, text in simple.items()), *([json.dumps(other)] if other else [])]
        if sum(map(len, arguments)) > MOST_BYTES - 200 and self.view.plan:
            # Folding a line inside of quotes would change the command. If the disk is full, the result still has the command whole.
            with contextlib.suppress(FolderError):
                path = self.folder.write(f"variables-{playbook}-{self.view.plan.digest[:12]}.json", json.dumps(named, indent=1))
                arguments = [f"@{path}"]
        return " ".join([f"ansible-playbook alicloud_ops.network.{playbook}", *(f"-e {shlex.quote(each)}" for each in arguments)])

    def result(self, report: Mapping[str, Any], plan_text: Sequence[str]) -> dict[str, Any]:
        """The result of the task, with ``failed`` and ``msg`` if it failed."""
        view = self.view
        summary = {name: report[name] for name in SUMMARY}
        if report["guests"]:
            summary["levels"] = report["guests"]["totals"]
            summary["guest_warning"] = report["guests"]["warning"]
        result: dict[str, Any] = {
            "changed": any(may_have_changed(eni) or (view.check_mode and eni.having(PLANNED)) for eni in view.ledger) and not view.refusals,
            **summary,
            "refusals": report["refusals"],
            "stopped": report["stopped"],
            "files": report["files"],
            "next_steps": report["next_steps"],
            "published": self._published(summary, report, plan_text),
        }
        if view.plan:
            result["plan"] = view.plan.as_dict(compact=True)
        if view.recipe:
            result["recipe"] = view.recipe.as_dict(compact=True)
        if message := failure_message(report):
            result |= {"failed": True, "msg": message}
        return result

    def _published(self, summary: Mapping[str, Any], report: Mapping[str, Any], plan_text: Sequence[str]) -> dict[str, Any]:
        """The artifacts of the job, by name. AWX passes them to later jobs of a workflow as variables. So a plan from check mode has the
        names of the variables of the next run, and a recipe has the name of the variable of a restore."""
        view, part = self.view, self.settings.part
        if part and self.settings.saved:
            return artifact(part, self.settings.saved, report, view.recipe)
        published: dict[str, Any] = {outcome_name(view.operation): summary}
        if view.operation == "unassign" and view.check_mode and view.plan and not view.refusals:
            published["unassign_secondary_ips_approved_digest"] = view.plan.digest
            published["unassign_secondary_ips_plan_text"] = "\n".join(plan_text)
            if plan := publishable(view.plan):
                published["unassign_secondary_ips_plan"] = plan
        if view.recipe and view.recipe.addresses and (recipe := publishable(view.recipe)):
            published[RECIPE] = recipe
        return published
