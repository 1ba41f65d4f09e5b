# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a run of a role begins: what it was given, and how it is run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._bulk import plain
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._files import read_text
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._settings import make_start, read_settings


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(
            argument_spec={
                "role": {"type": "str", "required": True},
                "variables": {"type": "dict", "required": True},
                "options": {"type": "dict", "required": True},
            }
        )
        hosts = plain((task_vars or {}).get("ansible_play_hosts_all") or [])
        errors = []
        if len(hosts) > 1:
            # Each host would be a run of its own, and what they publish and write would be that of one of them.
            errors.append(f"hosts: {', '.join(hosts)}; this role talks to the cloud and not to hosts, give one, such as localhost")
        role, options = str(arguments["role"]), plain(arguments["options"])
        try:
            settings, saved = read_settings(arguments["variables"], options, role, partial(read_text, self._loader))
        except ValueError as error:
            errors.append(str(error))
        if errors:
            return {**result, "failed": True, "msg": "; ".join(errors)}
        # Not ansible_check_mode, which tells of the play: a task, block or role may be in another mode.
        return {**result, "changed": False, **make_start(role, settings, saved, check=bool(self._task.check_mode))}
