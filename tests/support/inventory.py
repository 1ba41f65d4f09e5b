# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventory files by ``ansible-inventory`` and ``ansible-playbook``, against the local endpoint."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from ansible import context
from ansible.cli.inventory import InventoryCLI
from ansible.parsing.vault import VaultSecretsContext
from ansible.utils.context_objects import CLIArgs
from ansible.utils.display import Display

from support.emulator import Emulator
from support.playbook import BIN, ansible_environment

PLUGIN = "alicloud_ops.network.eni"


def without_marks(value: Any) -> Any:
    """Plain strings, without the marks of ``ansible-inventory`` for strings that must not be templated."""
    if isinstance(value, dict):
        return value["__ansible_unsafe"] if set(value) == {"__ansible_unsafe"} else {key: without_marks(one) for key, one in value.items()}
    return [without_marks(one) for one in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Shown:
    """The output of a command."""

    code: int
    output: str
    messages: str  # warnings and errors, in one line each

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.output)
        return found

    @property
    def hosts(self) -> dict[str, dict[str, Any]]:
        """Host → its variables."""
        found: dict[str, dict[str, Any]] = without_marks(self.document["_meta"]["hostvars"])
        return found

    @property
    def groups(self) -> dict[str, list[str]]:
        """Group → its hosts and groups."""
        groups = {name: group.get("hosts", []) + group.get("children", []) for name, group in self.document.items() if name != "_meta"}
        return {name: sorted(held) for name, held in groups.items()}


class Inventories:
    """``list(eni_ids=[...])``: the options of one inventory file, without ``plugin``. ``run`` starts a command; ``list`` does so only
    if it has arguments, or if a variable is set that Ansible reads when it starts."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator = emulator
        self.folder = folder
        self.environment: dict[str, str] = {}

    def write(self, options: Mapping[str, Any] | str, name: str = "test.eni.yml") -> Path:
        text = options if isinstance(options, str) else yaml.safe_dump({"plugin": PLUGIN, **options}, sort_keys=False)
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def list(self, *arguments: str, **options: Any) -> Shown:
        command = ["ansible-inventory", "-i", str(self.write(options)), "--list", *arguments]
        if arguments or any(name.startswith("ANSIBLE_") for name in self.environment):
            return self.run(*command)
        return self._run_in_process(command)

    def graph(self, **options: Any) -> str:
        return self.run("ansible-inventory", "-i", str(self.write(options)), "--graph").output

    def failure(self, *arguments: str, **options: Any) -> str:
        """The message of an inventory that cannot be read."""
        shown = self.list(*arguments, **options)
        assert shown.hosts == {}, shown.output
        before, found, message = shown.messages.partition("Failed to parse inventory with 'auto' plugin: ")
        assert found, before
        return message.split(" Failed to parse inventory with 'auto' plugin.")[0]

    def play(self, inventory: Path, playbook: str, *arguments: str) -> Shown:
        path = self.folder / "playbook.yml"
        path.write_text(playbook, encoding="utf-8")
        return self.run("ansible-playbook", "-i", str(inventory), str(path), *arguments)

    def _environ(self) -> dict[str, str]:
        return {name: text for name, text in {**ansible_environment(self.emulator, self.folder), **self.environment}.items() if text}

    def _run_in_process(self, command: Sequence[str]) -> Shown:
        """The same code as ``run``, without the seconds in which Python, Ansible and the SDK start."""
        display, output, messages = Display(), io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self._environ(), clear=True),
            # Ansible keeps these for the life of its process. pytest has initialized the loader of plugins.
            mock.patch.object(context, "CLIARGS", context.CLIARGS),
            mock.patch.object(context.GlobalCLIArgs, "from_options", CLIArgs.from_options),
            mock.patch.object(VaultSecretsContext, "_current", None),
            mock.patch("ansible.cli.init_plugin_loader"),
            mock.patch.multiple(display, _warns=set(), _errors=set(), columns=200),
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(messages),
            pytest.raises(SystemExit) as ended,
        ):
            InventoryCLI([*command]).run()
        return Shown(int(ended.value.code or 0), output.getvalue(), " ".join(messages.getvalue().split()))

    def run(self, command: str, *arguments: str) -> Shown:
        done = subprocess.run(
            [str(BIN / command), *arguments],
            cwd=self.folder,
            env={**self._environ(), "COLUMNS": os.environ.get("COLUMNS", "200")},
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=300,
        )
        return Shown(done.returncode, done.stdout, " ".join(done.stderr.split()))
