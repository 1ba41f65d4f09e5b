# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module of the same name, and adds the time of the read. It uses the clock of the controller, as the roles do, because the
clock of a guest may be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ansible.plugins.action.normal import ActionModule as NormalAction


class ActionModule(NormalAction):
    def run(self, tmp: Any = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        read_at = datetime.now(UTC).isoformat(timespec="seconds")  # before the module starts, so that the age is never too small
        return {**super().run(tmp, task_vars), "read_at": read_at}
