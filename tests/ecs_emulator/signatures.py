# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authentication of the caller: ACS3-HMAC-SHA256, and version 1.0 with HMAC-SHA1."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from ecs_emulator.call import Call
from ecs_emulator.errors import refusal
from ecs_emulator.seed import Credential

CLOCK_DIFFERENCE_SECONDS = 15 * 60
AUTHORIZATION = re.compile(r"ACS3-HMAC-SHA256\s+Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})")


class Verifier:
    def __init__(self, credentials: Mapping[str, Credential], clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._credentials = credentials
        self._clock = clock
        self._nonces: dict[tuple[str, str], datetime] = {}

    def caller(self, call: Call, *, fresh_nonce: bool = False) -> Credential:
        """``fresh_nonce``: treat the nonce as new."""
        credential, nonce = self._acs3(call) if "authorization" in call.headers else self._version_1(call)
        if not fresh_nonce:
            self._use_nonce(credential.access_key_id, nonce)
        return credential

    def _acs3(self, call: Call) -> tuple[Credential, str]:
        headers = call.headers
        match = AUTHORIZATION.fullmatch(headers["authorization"].strip())
        if not match:
            raise refusal("IncompleteSignature", "the Authorization header can't be read")
        access_key_id, names, signature = match.groups()
        signed = names.split(";")
        for name in ("x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"):
            if not headers.get(name):
                raise refusal("MissingParameter", name)
        credential = self._credential(access_key_id)
        must_be_signed = {"host", *(name for name in headers if name.startswith("x-acs-"))}
        if not must_be_signed <= set(signed) <= set(headers):
            raise refusal("IncompleteSignature", "SignedHeaders must name host, all x-acs-* headers, and only what is sent")
        if headers["x-acs-content-sha256"] != hashlib.sha256(call.body).hexdigest():
            raise refusal("IncompleteSignature", "x-acs-content-sha256 is not the hash of the body")
        canonical = "\n".join(
            [
                call.method,
                quote(call.path, safe="/-_.~%"),
                canonical_query(call.query),
                "".join(f"{name}:{headers[name].strip()}\n" for name in signed),
                names,
                headers["x-acs-content-sha256"],
            ]
        )
        to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
        expected = hmac.new(credential.access_key_secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, signature):
            raise refusal("SignatureDoesNotMatch", to_sign)
        self._check_token(credential, headers.get("x-acs-security-token", ""))
        self._check_time(headers["x-acs-date"])
        return credential, headers["x-acs-signature-nonce"]

    def _version_1(self, call: Call) -> tuple[Credential, str]:
        given = call.given
        for name in ("AccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp"):
            if not given.get(name):
                raise refusal("MissingParameter", name)
        if (given["SignatureMethod"], given["SignatureVersion"]) != ("HMAC-SHA1", "1.0"):
            raise refusal("IncompleteSignature", "SignatureMethod is HMAC-SHA1 and SignatureVersion is 1.0")
        credential = self._credential(given["AccessKeyId"])
        query = canonical_query(pair for pair in call.query + call.form if pair[0] != "Signature")
        to_sign = f"{call.method}&{encoded('/')}&{encoded(query)}"
        digest = hmac.new((credential.access_key_secret + "&").encode(), to_sign.encode(), hashlib.sha1).digest()
        if not hmac.compare_digest(base64.b64encode(digest).decode(), given["Signature"]):
            raise refusal("SignatureDoesNotMatch", to_sign)
        self._check_token(credential, given.get("SecurityToken", ""))
        self._check_time(given["Timestamp"])
        return credential, given["SignatureNonce"]

    def _credential(self, access_key_id: str) -> Credential:
        credential = self._credentials.get(access_key_id)
        if credential is None:
            raise refusal("InvalidAccessKeyId.NotFound")
        if credential.inactive:
            raise refusal("InvalidAccessKeyId.Inactive")
        return credential

    def _check_token(self, credential: Credential, token: str) -> None:
        if credential.token_expired:
            raise refusal("InvalidSecurityToken.Expired")
        if credential.security_token == token:
            return
        if not token:
            raise refusal("MissingSecurityToken")
        known = any(token == other.security_token for other in self._credentials.values())
        if known or not credential.security_token:
            raise refusal("InvalidSecurityToken.MismatchWithAccessKey")
        raise refusal("InvalidSecurityToken.Malformed")

    def _check_time(self, text: str) -> None:
        try:
            sent = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            raise refusal("InvalidTimeStamp.Format") from None
        if abs((self._clock() - sent).total_seconds()) > CLOCK_DIFFERENCE_SECONDS:
            raise refusal("InvalidTimeStamp.Expired")

    def _use_nonce(self, access_key_id: str, nonce: str) -> None:
        now = self._clock()
        if (access_key_id, nonce) in self._nonces:
            raise refusal("SignatureNonceUsed")
        self._nonces[access_key_id, nonce] = now
        # The oldest nonces come first. A call with such an old nonce would be refused because of its date.
        while (now - self._nonces[oldest := next(iter(self._nonces))]).total_seconds() > 2 * CLOCK_DIFFERENCE_SECONDS:
            del self._nonces[oldest]


def encoded(text: str) -> str:
    """RFC 3986: a space is %20, an asterisk %2A, a tilde stays."""
    return quote(text, safe="~")


def canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{encoded(name)}={encoded(value)}" for name, value in sorted(pairs))
