# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The drawing of the layout in CONTRIBUTING is what the code is: imports run downwards only."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from support.pages import ROOT, blocks

PLUGINS = ROOT / "plugins"
PACKAGE = "ansible_collections.alicloud_ops.network.plugins."


def row_of(path: Path) -> str:
    """The entry of a file in the drawing."""
    parts = path.relative_to(PLUGINS).parts
    return "_auth/" if "_auth" in parts else f"plugins/{parts[0]}/" if parts[0] in ("modules", "action", "inventory") else path.name


def drawn() -> dict[str, int]:
    (drawing,) = (block.body for block in blocks(ROOT / "CONTRIBUTING.md") if block.language == "text")
    rows = enumerate(drawing.splitlines())
    return {name: number for number, line in rows for name in re.findall(r"_auth/|_\w+\.py|plugins/\w+/", line)}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            base = PLUGINS.joinpath(*(node.module or "").removeprefix(PACKAGE).split("."))
            found |= {
                row_of(base.with_suffix(".py") if base.with_suffix(".py").exists() else base / f"{name.name}.py") for name in node.names
            }
    return found - {row_of(path)}


def test_the_drawing_names_every_file_and_no_other() -> None:
    files = {row_of(path) for path in PLUGINS.rglob("*.py") if "doc_fragments" not in path.parts}
    assert files == set(drawn()) - {"plugins/plugin_utils/", "plugins/module_utils/"}


def test_imports_run_downwards() -> None:
    rows = drawn()
    upwards = [
        f"{path.name} imports {name}" for path in PLUGINS.rglob("*.py") for name in imported(path) if rows[name] < rows[row_of(path)]
    ]
    assert upwards == []
