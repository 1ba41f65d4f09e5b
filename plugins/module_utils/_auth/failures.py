# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a login failed, without the URL, signature and reply in the exceptions of the library.

Private to this collection. Only this file decides what a failure of the credential library means. The library raises one type for
all failures, with an English text, which is not used. The last request of the guarded session decides, by HTTP status, code and
expiration.
"""

from __future__ import annotations

import calendar
import json
import re
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.method import AuthMethod
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import last_failure, last_reply

MISMATCH = "the secret does not belong to this access_key_id"
HINTS = {
    "NoPermission": "the caller needs the RAM action sts:AssumeRole, and the role must trust the caller",
    "SignatureDoesNotMatch": MISMATCH,
}
CODE, REQUEST_ID = re.compile(r"[A-Za-z0-9._]+"), re.compile(r"[A-Za-z0-9-]+")
EXPIRED = "returned a key that has already expired"


class CredentialError(Exception):
    """No credential could be obtained. The text is safe to show."""


def explain_failure(method: AuthMethod, host_label: str, failure: Exception) -> str:
    """Must be called in the thread of the failed login, before it sends another request."""
    cause, reply = last_failure(), last_reply()
    if cause:
        return f"{host_label}: {cause.text}"
    if reply is None:
        return f"{host_label} {method.no_key} ({type(failure).__name__})"
    content = _read_object(reply.body)
    if reply.status != 200:
        code, request_id = _text(content, "Code", CODE), _text(content, "RequestId", REQUEST_ID)
        refusal = f"{code} (HTTP status {reply.status})" if code else f"HTTP status {reply.status}"
        hint = f"; {HINTS[code]}" if code in HINTS else ""
        return f"{host_label} refused with {refusal}{hint}" + (f" [request id {request_id}]" if request_id else "")
    if _is_expired(content):
        return f"{host_label} {EXPIRED}"
    return f"{host_label} {method.no_key} ({type(failure).__name__})"


def _read_object(body: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _text(content: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str | None:
    value = content.get(name)
    return value if isinstance(value, str) and form.fullmatch(value) else None


def _is_expired(content: Mapping[str, Any]) -> bool:
    """Only STS puts the key into Credentials."""
    inner = content.get("Credentials")
    expiration = (inner if isinstance(inner, dict) else content).get("Expiration")
    try:
        return calendar.timegm(time.strptime(str(expiration), "%Y-%m-%dT%H:%M:%SZ")) <= time.time()
    except ValueError:
        return False
