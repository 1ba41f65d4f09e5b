# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every command and every file in the documentation, page by page, as a reader would type them, against one local endpoint.

A block of the language ``console`` is run, and its output has to have the lines that the page shows. A YAML block is a file, if its
first line is a comment with a name, and otherwise a playbook that is run. ``text`` is output or a drawing. What cannot be run here has
a comment in front of it that says why.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.emulator import FOLDER, Emulator
from support.pages import PAGES, ROOT, Block, blocks
from support.playbook import ansible_environment

SAMPLE = yaml.safe_load((FOLDER / "seeds" / "sample.yml").read_text(encoding="utf-8"))
# Another test checks that Chinese pages have the same blocks.
RUN = [page for page in PAGES if not re.search(r"_zh\.rst|zh-CN", page.name) and blocks(page)]
TMP = "/var/tmp"  # noqa: S108 - only the name in the pages; their files go into a folder of the test
LANGUAGES = {"console", "yaml", "json", "text", "python", "ini"}
# A host of the group web that is this machine: guests that a test can read without a network.
INVENTORY = {
    "web": {
        "hosts": {
            "web1": {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": sys.executable},
        }
    }
}
# Clones nothing and installs nothing: the clone is this repository, and make only checks the name of the target.
STAND_INS = {
    "git": f'#!/bin/sh\n[ "$1" = clone ] && ln -s {shlex.quote(str(ROOT))} "$(basename "$2")"\n',
    "make": f'#!/bin/sh\nexec /usr/bin/make --dry-run --directory {shlex.quote(str(ROOT))} "$@"\n',
}


def without_transitions() -> dict[str, Any]:
    """The sample after all transitional states have ended, so that the output of a page does not depend on the time."""
    seed: dict[str, Any] = json.loads(json.dumps(SAMPLE))
    for row in [*seed["instances"], *seed["interfaces"]]:
        if becomes := row.pop("becomes", None):
            row["status"] = becomes["status"]
            if becomes["status"] == "Available":
                row.pop("instance_id", None)
    return seed


class Reader:
    """Somebody who types what a page says, in a folder of their own. ``/var/tmp`` of the page is a folder of the test."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        emulator.reset(seed=without_transitions())
        self.folder = folder
        self.tmp = folder / "var-tmp"
        for name in ("home", "bin", "var-tmp"):
            (folder / name).mkdir()
        for name, script in STAND_INS.items():
            (folder / "bin" / name).write_text(script, encoding="utf-8")
            (folder / "bin" / name).chmod(0o755)
        environment = ansible_environment(emulator, folder / "home")
        self.environment = {
            **environment,
            "PATH": f"{folder / 'bin'}:{environment['PATH']}",
            "PYTHONPATH": str(ROOT / "tests"),
        }
        self.state = folder / "state"
        self.state.write_text(f"cd {shlex.quote(str(folder / 'home'))}\n", encoding="utf-8")
        self.write("hosts.yml", json.dumps(INVENTORY))

    def write(self, name: str, text: str) -> None:
        (self.folder / "home" / name).write_text(self.local(text), encoding="utf-8")

    def local(self, text: str) -> str:
        return text.replace(TMP, str(self.tmp))

    def type(self, command: str) -> tuple[int, str]:
        """Exported variables and the current folder are kept for the next command."""
        state = shlex.quote(str(self.state))
        keep = f'trap \'export -p >{state}; printf "cd %q\\\\n" "$PWD" >>{state}\' EXIT'
        script = f"{keep}\n. {state}\n{self.local(command)}\n"
        done = subprocess.run(
            ["bash", "-c", script],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
            timeout=300,
        )
        return done.returncode, done.stdout.replace(str(self.tmp), TMP)

    def follow(self, block: Block) -> None:
        where = f"{block.page.relative_to(ROOT)}:{block.line}"
        assert block.language in LANGUAGES, f"{where}: {block.language} is none of {sorted(LANGUAGES)}"
        if block.not_run or block.language == "text":
            return
        if block.language == "console":
            commands = block.commands()
            assert commands, f"{where}: no line begins with $"
            for command in commands:
                code, output = self.type(command.text)
                fails = any(re.search(r"FAILED!|\bfatal: ", line) for line in command.shown)
                assert (code == 0) != fails, f"{where}: {command.text}\n{output}"
                missing = command.missing(output)
                assert missing is None, f"{where}: {command.text}\nThe output lacks this line: {missing}\n{output}"
        elif block.language == "json":
            json.loads(block.body)
        elif block.language == "python":
            prelude = "from support.emulator import Emulator\nemulator = Emulator().start()\n"
            (self.folder / "home" / "block.py").write_text(prelude + block.body, encoding="utf-8")
            code, output = self.type("python ~/block.py")
            assert code == 0, f"{where}: {output}"
        elif block.file_name:
            assert isinstance(yaml.safe_load(block.body), dict | list), where
            self.write(block.file_name, block.body)
            assert block.file_name in block.page.read_text(encoding="utf-8").replace(block.body, ""), f"{where}: nothing uses this file"
        else:
            plays = yaml.safe_load(block.body)
            assert all("hosts" in play for play in plays), f"{where}: not a playbook; name the file in its first line"
            self.write("play.yml", block.body)
            code, output = self.type("ansible-playbook -i ~/hosts.yml ~/play.yml")
            assert code == 0, f"{where}:\n{output}"


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_a_page_runs_and_shows_its_output(emulator: Emulator, tmp_path: Path, page: Path) -> None:
    reader = Reader(emulator, tmp_path)
    for block in blocks(page):
        reader.follow(block)
    assert all(len(block.not_run.split()) > 2 for block in blocks(page) if block.not_run), "a block that is not run says why"
