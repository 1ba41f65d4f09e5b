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
from typing import Any

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
TEXTS: dict[str, dict[str, Any]] = {
    "en": {
        "label": "guide_errors",
        "title": "Errors and what to do",
        "intro": "Each failed or skipped address has a **code** and a message. Search this page for the code. "
        "A failure also has the **request id**, by which Alibaba Cloud finds the call.\n\n"
        "Options of the roles have the prefix of the role, for example ``unassign_secondary_ips_keep`` for ``keep``.",
        "skipped": "Left alone: a guard said no",
        "failed": "Failed: codes of this collection",
        "service": "Failed: codes of the service",
        "service_intro": "These codes come from Alibaba Cloud. The service decides what they mean. The module looks only at code and status, "
        "never at the message. A code that is not listed is treated like ``InvalidOperation.EniServiceManaged``: the module reads the ENI, "
        "and reports the addresses as failed.",
        "messages": "Messages without a code",
        "meaning": "Meaning",
        "did": "What the module did",
        "do": "What to do",
        "also": "Also",
        "stop": " ",
    },
    "zh": {
        "label": "guide_errors_zh",
        "title": "错误与处理",
        "intro": "每个失败或被跳过的地址都有一个 **错误码** 和一条消息。请在本页搜索错误码。失败还带有 **请求 ID**，阿里云可用它查找请求。\n\n"
        "角色的选项带有角色前缀，例如 ``keep`` 对应 ``unassign_secondary_ips_keep``。",
        "skipped": "未改动：被保护选项阻止",
        "failed": "失败：本 collection 的错误码",
        "service": "失败：服务的错误码",
        "service_intro": "这些错误码来自阿里云，含义由服务决定。模块只根据错误码和状态码判断，从不根据消息文本。"
        "未列出的错误码按 ``InvalidOperation.EniServiceManaged`` 处理：读取网卡，并将地址报告为失败。",
        "messages": "没有错误码的消息",
        "meaning": "含义",
        "did": "模块做了什么",
        "do": "如何处理",
        "also": "同类错误码",
        "stop": "",
    },
}


def treatment(code: str, status: int) -> str:
    """The key in ``treatments`` of what the module does about this code of the service."""
    error = _errors.EcsError("UnassignPrivateIpAddresses", code, "", "request-id", status=status)
    if error.is_throttled:
        return "throttled"
    if _errors.BAD_CREDENTIAL.match(code):
        return "fatal"
    if _errors.IDEMPOTENT_FAILED.match(code):
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
    lines = [HEAD.format(label=texts["label"]) + _heading(texts["title"], "="), texts["intro"]]
    for group in ("skipped", "failed", "service", "messages"):
        lines.append(_heading(texts[group], "-"))
        if group == "service":
            lines.append(texts["service_intro"])
        for row in TABLE[group]:
            said = row if language == "en" else row["zh"]
            did = said.get("did")
            if group == "service":
                did = TABLE["treatments"][treatment(row["code"], row.get("status", 400))][language]
            lines.append(_heading(row["code"] if "code" in row else f"“{row['text']}”", "^"))
            if "also" in row:
                lines.append(f"{texts['also']}: {', '.join(f'``{code}``' for code in row['also'])}")
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
