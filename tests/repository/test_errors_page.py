# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages "Errors and what to do" hold every code in the plugins, and say what the code really does."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCSITE = ROOT / "docs" / "docsite"
PLUGINS = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "plugins").rglob("*.py"))}
CODE = re.compile(r"[A-Z][a-z]+(\.?[A-Z][A-Za-z]*)+|Kept|Refused|Accepted|Unexpected|Contradiction|Redirected|Interrupted")


def load_generator() -> Any:
    spec = importlib.util.spec_from_file_location("errors_page", DOCSITE / "errors_page.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGE = load_generator()
_errors = PAGE._errors
OWN_CODES = {row["code"] for group in ("skipped", "failed") for row in PAGE.TABLE[group]}
SERVICE_CODES = {code for row in PAGE.TABLE["service"] for code in (row["code"], *row.get("also", ()))}


def constants() -> dict[str, str]:
    """NAME of the plugins → its text, also of ``A, B = "a", "b"``."""
    found: dict[str, str] = {}
    for tree in PLUGINS.values():
        for node in tree.body:
            if not isinstance(node, ast.Assign):
                continue
            (target,), text = node.targets, node.value
            both = isinstance(target, ast.Tuple) and isinstance(text, ast.Tuple)
            for name, value in zip(target.elts, text.elts, strict=True) if both else [(target, text)]:
                if isinstance(name, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found.setdefault(name.id, value.value)
    return found


CONSTANTS = constants()


def codes_of_calls() -> Iterator[tuple[str, str]]:
    """The codes with which the plugins create a Reason or an EcsError, and where. A code that is only passed on, as ``error.code``, is not
    new."""
    for path, tree in PLUGINS.items():
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call) or (name := getattr(call.func, "id", "")) not in ("Reason", "EcsError"):
                continue
            code = call.args[0 if name == "Reason" else 1]
            named = getattr(code, "id", None) or getattr(code, "attr", None)
            text = code.value if isinstance(code, ast.Constant) else CONSTANTS.get(named or "")
            if text:
                yield text, f"{path.name}:{code.lineno}"


def test_every_code_of_this_collection_is_on_the_page() -> None:
    made = dict(codes_of_calls())
    assert len(made) > 20, "the search above no longer finds the codes"
    named = {
        value
        for name, value in CONSTANTS.items()
        if CODE.fullmatch(value) and any(getattr(module, name, None) == value for module in (_errors, reasons()))
    }
    assert set(made) | set(_errors.OWN_CODES) | named - {_errors.ENI_NOT_FOUND} | guest_codes() == OWN_CODES


def reasons() -> Any:
    from ansible_collections.alicloud_ops.network.plugins.module_utils import _plan

    return _plan


def guest_codes() -> set[str]:
    from ansible_collections.alicloud_ops.network.plugins.plugin_utils._evidence import REASON_CODES

    return set(REASON_CODES.values())


PATTERNS = {
    f"{name} {alternative}": re.compile(alternative)
    for name, value in vars(_errors).items()
    if name.isupper() and isinstance(value, re.Pattern)
    for alternative in re.split(r"\|(?![^(]*\))", value.pattern)
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_code_of_the_service_that_is_treated_is_on_the_page(pattern: str) -> None:
    assert [code for code in SERVICE_CODES | OWN_CODES if PATTERNS[pattern].match(code)]


def test_codes_in_one_row_are_treated_alike() -> None:
    for row in PAGE.TABLE["service"]:
        status = row.get("status", 400)
        assert {PAGE.treatment(code, status) for code in row.get("also", ())} <= {PAGE.treatment(row["code"], status)}
    used = {PAGE.treatment(row["code"], row.get("status", 400)) for row in PAGE.TABLE["service"]}
    assert used == set(PAGE.TABLE["treatments"])


def messages() -> Iterator[str]:
    """All texts in the plugins, with … for each value of an f-string."""
    for tree in PLUGINS.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@pytest.mark.parametrize("text", [row["text"] for row in PAGE.TABLE["messages"]])
def test_a_message_on_the_page_is_in_the_code(text: str) -> None:
    wanted = re.compile(".*".join(re.escape(part.strip()) for part in text.split("…")))
    assert any(wanted.search(message) for message in messages())


@pytest.mark.parametrize("language", PAGE.TEXTS)
def test_the_page_is_what_the_generator_writes(language: str) -> None:
    page = DOCSITE / "rst" / f"{PAGE.TEXTS[language]['label']}.rst"
    assert page.read_text(encoding="utf-8") == PAGE.make_page(language), "run .venv/bin/python docs/docsite/errors_page.py"
