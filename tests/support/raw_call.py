# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of the ECS API with signatures made here, so that a test can send calls that the SDK cannot send. Standard library only."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

VERSION = "2014-05-26"
KEY = ("emulator-key-id", "emulator-key-secret")
STS_KEY = ("STS.emulator-key-id", "emulator-sts-secret")
STS_TOKEN = "emulator-sts-token"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def xml(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.body)  # noqa: S314 (our own endpoint)

    @property
    def code(self) -> str:
        return str(self.json.get("Code", ""))


@dataclass
class RawRequest:
    """The request. A test may change it after it was signed."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def send(self, endpoint: str) -> Answer:
        connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=30)
        try:
            connection.putrequest(self.method, self.target, skip_host=True, skip_accept_encoding=True)
            for name, value in {**self.headers, "content-length": str(len(self.body))}.items():
                connection.putheader(name, value)
            connection.endheaders(self.body)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def acs3(
    endpoint: str,
    action: str,
    parameters: Mapping[str, str],
    *,
    key: tuple[str, str] = KEY,
    token: str = "",
    method: str = "POST",
    in_form: bool = False,
    date: str = "",
    nonce: str = "",
    extra_headers: Mapping[str, str] | None = None,
    unsigned_headers: Mapping[str, str] | None = None,
) -> RawRequest:
    """ACS3-HMAC-SHA256: action and version are headers, and the parameters are in the query (or in a form)."""
    access_key_id, secret = key
    body = urlencode(parameters).encode() if in_form else b""
    query = {} if in_form else dict(parameters)
    headers = {
        "host": endpoint.removeprefix("http://"),
        "x-acs-action": action,
        "x-acs-version": VERSION,
        "x-acs-date": date or now(),
        "x-acs-signature-nonce": nonce or uuid.uuid4().hex,
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        **({"content-type": "application/x-www-form-urlencoded"} if in_form else {}),
        **({"x-acs-security-token": token, "x-acs-accesskey-id": access_key_id} if token else {}),
        **(extra_headers or {}),
    }
    names = sorted(headers)
    canonical = "\n".join(
        [
            method,
            "/",
            "&".join(f"{quote(name, safe='~')}={quote(query[name], safe='~')}" for name in sorted(query)),
            *(f"{name}:{headers[name].strip()}" for name in names),
            "",
            ";".join(names),
            headers["x-acs-content-sha256"],
        ]
    )
    to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    signature = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = f"ACS3-HMAC-SHA256 Credential={access_key_id},SignedHeaders={';'.join(names)},Signature={signature}"
    headers.update(unsigned_headers or {})
    return RawRequest(method, "/?" + urlencode(query) if query else "/", headers, body)


def version_1(
    endpoint: str,
    action: str,
    parameters: Mapping[str, str],
    *,
    key: tuple[str, str] = KEY,
    token: str = "",
    method: str = "GET",
    in_form: bool = False,
    reply_format: str = "JSON",
    date: str = "",
    nonce: str = "",
    leave_out: str = "",
) -> RawRequest:
    """Signature version 1.0, HMAC-SHA1: everything is a parameter."""
    access_key_id, secret = key
    given = {
        **parameters,
        "Action": action,
        "Version": VERSION,
        "AccessKeyId": access_key_id,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": nonce or uuid.uuid4().hex,
        "Timestamp": date or now(),
        **({"SecurityToken": token} if token else {}),
        **({"Format": reply_format} if reply_format else {}),
    }
    given.pop(leave_out, None)
    query = "&".join(f"{quote(name, safe='~')}={quote(given[name], safe='~')}" for name in sorted(given))
    to_sign = f"{method}&%2F&{quote(query, safe='~')}"
    digest = hmac.new((secret + "&").encode(), to_sign.encode(), hashlib.sha1).digest()
    if leave_out != "Signature":
        given["Signature"] = base64.b64encode(digest).decode()
    headers = {"host": endpoint.removeprefix("http://")}
    if not in_form:
        return RawRequest(method, "/?" + urlencode(given), headers)
    return RawRequest(method, "/", {**headers, "content-type": "application/x-www-form-urlencoded"}, urlencode(given).encode())
