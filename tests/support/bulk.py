# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bulk runs in the process of the test, against the local endpoint: what a role does, without the seconds that Ansible takes to start."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import is_encrypted

from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._bulk import BulkRun
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import read_document
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._evidence import Evidence
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._folder import Folder, read_text
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._settings import read_settings
from support.emulator import Emulator
from support.playbook import secondary_addresses


class Bulk:
    """``run("unassign", check=True, security_group_ids=[...])``: variables without the prefix of the role. The result is that of
    the task, and its ``report`` is the JSON report; ``lines`` are those that the last run showed."""

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
        in_awx: bool = False,
        defaults: Mapping[str, Any] | None = None,
        say: Callable[[str], None] = lambda line: None,
        results: Mapping[str, Any] | None = None,
        waiting: Callable[[], bool] = lambda: True,
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
        # ``results``: host → result of its guest_addresses_info.
        evidence = Evidence(settings.guests, results or {}, results or {}) if settings.guests else None
        ecs = Ecs(settings.connection, waiting)
        result = BulkRun(settings, ecs, folder, show, str, check_mode=check, evidence=evidence, in_awx=in_awx).run()
        # Another run of the same plan in the same second would overwrite it.
        path = Path(result["files"].get("json", "/nowhere"))
        return {**result, "report": read_json(path) if path.exists() and not is_encrypted(path.read_bytes()) else None}

    def recipes(self) -> list[Any]:
        return [read_json(path) for path in sorted(self.reports.glob("recipe-*.json"))]

    def secondary_addresses(self) -> dict[str, list[str]]:
        return secondary_addresses(self.emulator)

    def writes(self) -> list[dict[str, Any]]:
        return self.emulator.calls(writes=True)


def seed(count: int, each: int = 3, groups: tuple[str, ...] = ("web", "shop", "data", "batch", "legacy")) -> dict[str, Any]:
    """``count`` ENIs, spread over the groups. Those of the first group are primary. One more ENI is in two groups."""
    return {
        "region": "cn-hangzhou",
        "account": "1000000000000001",
        "vswitches": [{"id": "vsw-app", "vpc_id": "vpc-main", "cidr": "10.0.0.0/14"}],
        "security_groups": [
            {"id": f"sg-{name}", "vpc_id": "vpc-main", "name": name, "tags": {"stage": "test", "team": name}} for name in groups
        ],
        "generate": [
            {
                "prefix": name,
                "count": count // len(groups),
                "type": "Primary" if name == groups[0] else "Secondary",
                "private_ip_addresses": each,
                "vswitch_id": "vsw-app",
                "security_group_ids": [f"sg-{name}"],
            }
            for name in groups
        ],
        "interfaces": [
            {
                "id": "eni-both1",
                "vswitch_id": "vsw-app",
                "security_group_ids": [f"sg-{groups[0]}", f"sg-{groups[-1]}"],
                "primary_address": "10.3.0.10",
                "private_ip_addresses": ["10.3.0.11", "10.3.0.12"],
            }
        ],
    }


def changed_by(before: Mapping[str, list[str]], after: Mapping[str, list[str]]) -> set[tuple[str, str]]:
    """Each ENI with each address that it had before, but not after."""
    return {(eni_id, address) for eni_id, held in before.items() for address in held if address not in after[eni_id]}


def pairs(document: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Each ENI with each address of a plan or recipe."""
    return set(read_document(document).pairs())


def outcomes(report: Mapping[str, Any], state: str) -> set[tuple[str, str]]:
    """Each ENI with each address that a report shows in this state."""
    return {(row["eni_id"], line["address"]) for row in report["interfaces"] for line in row["addresses"] if line["state"] == state}


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
