# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bulk runs in the process of the test, against the local endpoint: what a role does, without the seconds that Ansible takes to start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader

from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._bulk import BulkRun
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import Folder, read_text
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._evidence import Evidence
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._settings import read_settings
from support.emulator import Emulator
from support.playbook import held


class Bulk:
    """``run("unassign", check=True, security_group_ids=[...])``: variables without the prefix of the role. The result is that of
    the task; ``lines`` are those that the last run showed."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator = emulator
        self.folder = folder
        self.reports = folder / "reports"
        self.lines: list[str] = []
        self.loader = DataLoader()

    def run(
        self,
        operation: str,
        *,
        check: bool = False,
        defaults: Mapping[str, Any] | None = None,
        say: Callable[[str], None] = lambda line: None,
        results: Mapping[str, Any] | None = None,
        **variables: Any,
    ) -> dict[str, Any]:
        role = f"{operation}_secondary_ips"
        given = {f"{role}_{name}": value for name, value in {"report_dir": str(self.reports), "calls_per_minute": 0, **variables}.items()}
        settings = read_settings(role, given, defaults or {}, self.emulator.environment(), partial(read_text, self.loader))
        self.lines = []

        def show(line: str) -> None:
            self.lines.append(line)
            say(line)

        folder = Folder(settings.report_dir or self.folder / "state", self.loader, like=settings.saved_path)
        # ``results``: host → what its guest_addresses_info returned.
        evidence = Evidence(settings.guests, results or {}, results or {}) if settings.guests else None
        return BulkRun(settings, Ecs(settings.connection), folder, show, str, check_mode=check, evidence=evidence).run()

    def held(self) -> dict[str, list[str]]:
        return held(self.emulator)
