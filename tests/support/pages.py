# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages of the documentation, their code blocks, and the commands in them. Standard library only."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RST = ROOT / "docs" / "docsite" / "rst"
# What a user or a contributor reads. The page of the benchmarks is written by the benchmarks.
PAGES = sorted(
    [
        ROOT / "docs" / "docsite" / "index.rst",
        *RST.glob("*.rst"),
        *ROOT.glob("README*.md"),
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("roles/*/README.md"),
        ROOT / "tests" / "ecs_emulator" / "README.md",
        *ROOT.glob("extensions/patterns/*/README.md"),
    ]
)

RST_BLOCK = re.compile(r"^(?P<indent> *)\.\. code-block:: (?P<language>[\w-]+)\n(?P<body>(?:(?P=indent) +.*\n|\s*\n)+)", re.M)
MARKDOWN_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>[\w-]+)\n(?P<body>.*?)^(?P=indent)```$", re.M | re.S)
# In front of a block that is not run.
MARK = re.compile(r"(?:\.\. |<!-- )not run: (?P<reason>[^\n]+?)(?: -->)?\s*$")


@dataclass
class Command:
    """A line that is typed, and the lines of its output that the page shows. … stands for anything."""

    text: str
    shown: list[str] = field(default_factory=list)

    def missing(self, output: str) -> str | None:
        """The first shown line that the output does not have in this order."""
        lines = iter([line.rstrip() for line in output.splitlines()])
        for line in self.shown:
            if line.strip() in ("", "…"):
                continue
            wanted = re.compile(".*".join(re.escape(part) for part in line.split("…")))
            if not any(wanted.fullmatch(actual) for actual in lines):
                return line
        return None


@dataclass
class Block:
    page: Path
    line: int
    language: str
    body: str
    not_run: str  # the reason, if the page gives one

    @property
    def file_name(self) -> str:
        """The name of a file that the block shows: its first line is a comment with it."""
        found = re.match(r"# ([\w.-]+\.(?:yml|json))\n", self.body)
        return found[1] if found else ""

    def commands(self) -> list[Command]:
        found: list[Command] = []
        goes_on = False
        for line in self.body.splitlines():
            if line.startswith("$ "):
                found.append(Command(line.removeprefix("$ ")))
            elif goes_on:
                found[-1].text += "\n" + line
            elif found:
                found[-1].shown.append(line)
            goes_on = line.endswith("\\")
        return found


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    pattern = RST_BLOCK if page.suffix == ".rst" else MARKDOWN_BLOCK
    found = []
    for match in pattern.finditer(text):
        before = text[: match.start()].rstrip()
        mark = MARK.search(before.splitlines()[-1]) if before else None
        body = textwrap.dedent(match["body"]).strip("\n") + "\n"
        found.append(Block(page, before.count("\n") + 1, match["language"], body, mark["reason"] if mark else ""))
    return found
