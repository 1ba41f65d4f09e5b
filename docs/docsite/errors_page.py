# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the pages "Errors and what to do" from codes.yml: `.venv/bin/python docs/docsite/errors_page.py`.

What the module did about a code of the service is not in the table: ``treatment`` takes it from the code that decides it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import yaml

FOLDER = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER.parents[1] / "collections"))

from ansible_collections.alicloud_ops.network.plugins.module_utils import _errors  # noqa: E402 - needs the path above

TABLE = yaml.safe_load((FOLDER / "codes.yml").read_text(encoding="utf-8"))
HEAD = """..
  Copyright (c) alicloud_ops maintainers
  GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
  SPDX-License-Identifier: GPL-3.0-or-later

.. errors_page.py makes this page from codes.yml. Change that file.

.. _ansible_collections.alicloud_ops.network.docsite.{label}:

"""
TEXTS = TABLE["page"]


def treatment(code: str, status: int) -> str:
    """The key in ``treatments`` of what the module does about this code of the service."""
    error = _errors.EcsError("UnassignPrivateIpAddresses", code, "", "request-id", status=status)
    if error.is_throttled:
        return "throttled"
    if _errors.BAD_CREDENTIAL.match(code):
        return "fatal"
    if _errors.TOKEN_USED_UP.match(code):
        return "new_token"
    if error.may_have_been_carried_out:
        return "looked"
    if error.is_transient:
        return "repeated"
    if _errors.STATE_CHANGED.match(code):
        return "state"
    if code == _errors.ENI_NOT_FOUND:
        return "gone"
    if _errors.DENIED.match(code):
        return "denied"
    if _errors.ADDRESS_REFUSED.match(code):
        return "already" if _errors.ALREADY_ABSENT.match(code) else "address"
    return "refused"


def make_page(language: str) -> str:
    texts = TEXTS[language]
    lines = [HEAD.format(label=texts["label"]) + _heading(texts["title"], "="), texts["intro"].rstrip()]
    for group in ("skipped", "failed", "service", "messages"):
        lines.append(_heading(texts[group], "-"))
        if group == "service":
            lines.append(texts["service_intro"].rstrip())
        for row in TABLE[group]:
            said = row if language == "en" else row["zh"]
            did = said.get("did")
            if group == "service":
                did = TABLE["treatments"][treatment(row["code"], row.get("status", 400))][language]
            lines.append(_heading(row["code"] if "code" in row else f"``{row['text']}``", "^"))
            if "also" in row:
                lines.append(_rst(texts["also"] + texts["also_separator"].join(f"`{code}`" for code in row["also"])))
            parts = ((texts["meaning"], said["meaning"]), (texts["did"], did), (texts["do"], said["do"]))
            lines.append("\n".join(f":{name}: {_rst(text)}" for name, text in parts if text))
    return "\n\n".join(lines) + "\n"


def _heading(text: str, underline: str) -> str:
    width = sum(2 if ord(letter) > 0x2E7F else 1 for letter in text)
    return f"{text}\n{underline * width}"


def _rst(text: str) -> str:
    """Chinese has no space around inline markup, which reStructuredText needs: a backslash and a space, which show nothing."""
    text = re.sub(r"`([^`]+)`", r"``\1``", text)
    text = re.sub(r"(?<=[\u3000-\uffef])(?=``\w|\*\w)", r"\\ ", text)
    return re.sub(r"(?<=\w``)(?=[\u4e00-\u9fff])", r"\\ ", text)


def main() -> None:
    for language, texts in TEXTS.items():
        (FOLDER / "rst" / f"{texts['label']}.rst").write_text(make_page(language), encoding="utf-8")


if __name__ == "__main__":
    main()
