# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results and refusals in the format of the client: JSON or XML."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from ecs_emulator.errors import Refusal

JSON_TYPE = "application/json;charset=utf-8"
XML_TYPE = "text/xml;charset=utf-8"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


def new_request_id() -> str:
    return str(uuid.uuid4()).upper()


def success(action: str, result: dict[str, Any], request_id: str, *, xml: bool) -> Reply:
    return _reply(200, f"{action}Response", {"RequestId": request_id, **result}, request_id, xml=xml)


def error(refusal: Refusal, request_id: str, host: str, *, xml: bool) -> Reply:
    document = {
        "RequestId": request_id,
        "HostId": host,
        "Code": refusal.code,
        "Message": refusal.message,
        "Recommend": f"https://api.aliyun.com/troubleshoot?q={quote(refusal.code)}&product=Ecs&requestId={request_id}",
        **refusal.extra,
    }
    reply = _reply(refusal.status, "Error", document, request_id, xml=xml)
    if refusal.retry_after is not None:
        reply.headers["x-acs-retry-after"] = str(refusal.retry_after)
    return reply


def _reply(status: int, root: str, document: dict[str, Any], request_id: str, *, xml: bool) -> Reply:
    text = _xml(root, document) if xml else json.dumps(document, separators=(",", ":"))
    return Reply(status, {"Content-Type": XML_TYPE if xml else JSON_TYPE, "x-acs-request-id": request_id}, text.encode())


def _xml(root: str, document: dict[str, Any]) -> str:
    return f"<?xml version='1.0' encoding='UTF-8'?>{_element(root, document)}"


def _element(name: str, value: Any) -> str:
    """In XML, a list repeats its element. The JSON names follow from this."""
    if isinstance(value, list):
        return "".join(_element(name, item) for item in value)
    if isinstance(value, dict):
        return f"<{name}>{''.join(_element(key, item) for key, item in value.items())}</{name}>"
    if isinstance(value, bool):
        value = str(value).lower()
    return f"<{name}>{escape(str(value))}</{name}>"
