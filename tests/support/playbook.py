# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks of this collection by real ``ansible-playbook``, against the local endpoint."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.emulator import Emulator

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def ansible_environment(emulator: Emulator, home: Path) -> dict[str, str]:
    """As little of this machine as possible, the collection in this checkout, and the local endpoint.

    ``home``: a folder of the test. A run keeps its files there, and must not find those of an earlier run.
    """
    kept = {name: os.environ[name] for name in ("LANG", "COVERAGE_PROCESS_CONFIG") if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        **emulator.environment(),
        "PATH": f"{BIN}:/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        # The endpoint is plain HTTP. Otherwise each process loads all certificates of this machine.
        "SSL_CERT_FILE": os.devnull,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_HOME": str(ROOT / ".venv" / "ansible"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_SHOW_CUSTOM_STATS": "true",
        "ANSIBLE_NOCOLOR": "true",
    }


def secondary_addresses(emulator: Emulator) -> dict[str, list[str]]:
    """ENI → its secondary addresses of all kinds, in the real state."""
    kinds = ("private_ip_addresses", "ipv4_prefixes", "ipv6_addresses", "ipv6_prefixes")
    return {
        eni_id: sorted(address for kind in kinds for address in interface[kind])
        for eni_id, interface in emulator.state()["interfaces"].items()
    }


@dataclass(frozen=True)
class Played:
    """The outcome of a run."""

    code: int
    output: str

    @property
    def changed(self) -> int:
        found = re.search(r"changed=(\d+)", self.output)
        assert found, self.output
        return int(found[1])

    @property
    def published(self) -> dict[str, Any]:
        """The data that set_stats published."""
        found = re.search(r"RUN: (\{.*\})", self.output)
        return json.loads(found[1]) if found else {}

    @property
    def tasks(self) -> list[str]:
        return re.findall(r"^TASK \[(?:[\w.]+ : )?(.*)\] \*+$", self.output, re.M)


class Playbooks:
    """``run("unassign", check=True, security_group_ids=[...])``: variables without the role's prefix."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator = emulator
        self.folder = folder
        self.home = folder / "home"
        self.reports = folder / "reports"

    def command(self, name: str, check: bool, variables: Mapping[str, Any]) -> list[str]:
        extra = {f"{name}_secondary_ips_{key}": value for key, value in {"report_dir": str(self.reports), **variables}.items()}
        chosen = ["--check"] if check else []
        return [str(BIN / "ansible-playbook"), f"alicloud_ops.network.{name}", "-u", "root", *chosen, "-e", json.dumps(extra)]

    def run(
        self, name: str, check: bool = False, succeeds: bool = True, environment: Mapping[str, str] | None = None, **variables: Any
    ) -> Played:
        return self._play(self.command(name, check, variables), succeeds, environment)

    def play(
        self,
        path: str,
        *arguments: str,
        variables: Mapping[str, Any],
        succeeds: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> Played:
        """A playbook that the test writes."""
        return self._play([str(BIN / "ansible-playbook"), path, *arguments, "-e", json.dumps(variables)], succeeds, environment)

    def _play(self, command: list[str], succeeds: bool, environment: Mapping[str, str] | None) -> Played:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**ansible_environment(self.emulator, self.home), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
            timeout=300,
        )
        assert (done.returncode == 0) == succeeds, done.stdout
        return Played(done.returncode, done.stdout)

    def report(self, name: str, extension: str = "json") -> Any:
        """The newest report of this role."""
        newest = sorted(self.reports.glob(f"{name}-*.{extension}"), key=lambda path: path.stat().st_mtime_ns)[-1]
        text = newest.read_text(encoding="utf-8")
        return json.loads(text) if extension == "json" else text

    def saved(self, what: str, digest: str = "") -> Path:
        """The plan or recipe of this digest."""
        (found,) = self.reports.glob(f"{what}-{digest[:12]}*.json")
        return found

    def secondary_addresses(self) -> dict[str, list[str]]:
        return secondary_addresses(self.emulator)

    def writes(self) -> list[dict[str, Any]]:
        return self.emulator.calls(writes=True)
