# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Internal: the last step of a workflow, for the playbook ``unassign_report``. Reads what the jobs before it published."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import (
    SLICE_ARTIFACT,
    DocumentError,
    Folder,
    FolderError,
    default_folder,
    plain,
)
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._last_step import LastStep, read_last_step
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._sending import secrets_of, send

WANTED = ("unassign_secondary_ips_", "secondary_ips_unassign", SLICE_ARTIFACT, "restore_secondary_ips_recipe")


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        self.validate_argument_spec(argument_spec={})
        found = {name: value for name, value in (task_vars or {}).items() if name.startswith(WANTED)}
        variables = {name: plain(self._templar.template(value)) for name, value in found.items()}
        try:
            step = read_last_step(variables)
        except DocumentError as error:
            return {**result, "failed": True, "changed": False, "msg": str(error)}
        secrets = set(secrets_of(step.report_url or ""))
        made: dict[str, Any] = remove_values(self._finish(step), secrets)
        return {**result, **made}

    def _finish(self, step: LastStep) -> dict[str, Any]:
        folder = Folder(step.report_dir or default_folder(os.environ), self._loader)
        report, texts = step.report, {}
        try:
            folder.prove_writable()
            for kind, (name, text) in step.files().items():
                texts[kind] = (name, text)
                report["files"][kind] = str(folder.write(name, text))
        except FolderError as error:
            step.notes.append(f"The report could not be written: {error}")
        lines = step.lines()
        if step.report_url:
            lines += send(step.report_url, {kind: text for kind, text in texts.items() if kind in ("json", "html")})
        if not self._task.no_log:
            for line in lines:
                Display().display(line)
        result = step.result()
        if self._task.no_log:
            del result["published"]  # nothing censors what set_stats shows
        return result
