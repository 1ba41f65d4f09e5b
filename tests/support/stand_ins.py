# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers on loopback that issue keys: metadata service, STS, CloudSSO and a credentials URI. And a proxy that must not be used.

Each is as strict as the real service: STS checks signatures, tokens and parameters, the metadata service checks its token.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import hmac
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest import mock
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import trustme

METADATA_ADDRESS = "100.100.100.200"


@dataclass(frozen=True)
class Key:
    """A temporary key, as the server returns it."""

    access_key_id: str = "STS.emulator-key-id"
    access_key_secret: str = "emulator-sts-secret"
    security_token: str = "emulator-sts-token"
    lives: float = 3600

    def reply(self) -> dict[str, str]:
        ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.lives)
        return {
            "AccessKeyId": self.access_key_id,
            "AccessKeySecret": self.access_key_secret,
            "SecurityToken": self.security_token,
            "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


Answer = tuple[int, Any]


@dataclass
class StandIn:
    """An HTTP server on a free port of 127.0.0.1. ``broken``, if set, is the reply to every request; with
    ``redirect``, a status and a URL, every reply is this redirect."""

    tls: Tls | None = None
    key: Key = field(default_factory=Key)
    broken: Answer | None = None
    redirect: tuple[int, str] | None = None
    asked: list[Asked] = field(default_factory=list)

    def answer(self, asked: Asked) -> Answer:
        raise NotImplementedError

    def __enter__(self) -> Self:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, url.path, dict(parse_qsl(url.query, keep_blank_values=True)), headers, body)
                stand_in.asked.append(asked)
                status, location = stand_in.redirect or (0, "")
                status, reply = (status, "") if status else stand_in.broken or stand_in.answer(asked)
                text = reply if isinstance(reply, str) else json.dumps(reply)
                self.send_response(status)
                if location:
                    self.send_header("location", location + self.path)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_PUT = do_POST = do_CONNECT = handle_any

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if self.tls:
            self._server.socket = self.tls.context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.endpoint}"


@dataclass
class MetadataService(StandIn):
    """The metadata service of an ECS instance with one RAM role. ``hardened``: only IMDSv2. Without ``v2``: only the older mode."""

    role: str = "network-operator"
    hardened: bool = False
    v2: bool = True

    def answer(self, asked: Asked) -> Answer:
        token = "metadata-session-token"
        if asked.path == "/latest/api/token":
            return (
                (200, token)
                if self.v2 and asked.method == "PUT" and "x-aliyun-ecs-metadata-token-ttl-seconds" in asked.headers
                else (404, "")
            )
        given = asked.headers.get("x-aliyun-ecs-metadata-token")
        if given not in ({token} if self.hardened else {token, None}):
            return 403, "<html>403 Forbidden</html>"
        path = "/latest/meta-data/ram/security-credentials/"
        if asked.path == path:
            return 200, self.role
        return (200, {"Code": "Success", **self.key.reply()}) if asked.path == path + self.role else (404, "<html>404 Not Found</html>")

    @contextlib.contextmanager
    def routed(self) -> Iterator[None]:
        """Route the address of the service to this server, as the network of an instance does."""
        real = socket.getaddrinfo

        def getaddrinfo(host: Any, port: Any, *more: Any, **named: Any) -> Any:
            return real("127.0.0.1", self.port, *more, **named) if host == METADATA_ADDRESS else real(host, port, *more, **named)

        with mock.patch("socket.getaddrinfo", getaddrinfo):
            yield

    def route(self, folder: Path) -> str:
        """The same for another Python: the entry for its PYTHONPATH."""
        (folder / "sitecustomize.py").write_text(
            f"""
import socket

real = socket.getaddrinfo


def getaddrinfo(host, port, *more, **named):
    if host == "{METADATA_ADDRESS}":
        host, port = "127.0.0.1", {self.port}
    return real(host, port, *more, **named)


socket.getaddrinfo = getaddrinfo
"""
        )
        return str(folder)


@dataclass
class CredentialsUri(StandIn):
    """A server that replies to GET with a key. With ``token``, the query must have it."""

    token: str = ""

    def answer(self, asked: Asked) -> Answer:
        if asked.method != "GET" or asked.query.get("token", "") != self.token:
            return 403, {"Code": "Forbidden", "Message": f"not {asked.query}"}
        return 200, {"Code": "Success", **self.key.reply()}


@dataclass
class Sts(StandIn):
    """AssumeRole and AssumeRoleWithOIDC. ``callers``: secret and token by the id of the key that signs."""

    callers: dict[str, tuple[str, str]] = field(default_factory=lambda: {"emulator-key-id": ("emulator-key-secret", "")})
    role_arn: str = "acs:ram::1000000000000001:role/network-operator"
    external_id: str = ""
    oidc_provider_arn: str = "acs:ram::1000000000000001:oidc-provider/ack-rrsa-c1"
    oidc_token: str = "pod-token"

    def answer(self, asked: Asked) -> Answer:
        query = asked.query
        refusal = self._refusal(asked.method, query)
        if refusal:
            status, code = refusal
            # The real service also repeats the request.
            return status, {"RequestId": "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E", "Code": code, "Message": f"{code}: {dict(query)}"}
        return 200, {"RequestId": "R", "Credentials": self.key.reply(), "AssumedRoleUser": {"Arn": query["RoleArn"]}}

    def _refusal(self, method: str, query: Mapping[str, str]) -> tuple[int, str] | None:
        if query.get("Action") == "AssumeRole":
            secret, token = self.callers.get(query.get("AccessKeyId", ""), (None, None))
            if secret is None:
                return 404, "InvalidAccessKeyId.NotFound"
            if query.get("SecurityToken", "") != token:
                return 400, "InvalidSecurityToken.MismatchWithAccessKey"
            if query.get("Signature") != signature(method, query, secret):
                return 400, "SignatureDoesNotMatch"
            if self.external_id and query.get("ExternalId") != self.external_id:
                return 403, "NoPermission"
        elif query.get("Action") == "AssumeRoleWithOIDC":
            if query.get("OIDCProviderArn") != self.oidc_provider_arn:
                return 404, "EntityNotExist.OIDCProvider"
            if query.get("OIDCToken", "").strip() != self.oidc_token:
                return 400, "AuthenticationFail.OIDCToken.Invalid"
        else:
            return 404, "InvalidAction.NotFound"
        if query.get("RoleArn") != self.role_arn:
            return 404, "EntityNotExist.Role"
        if not 900 <= int(query.get("DurationSeconds", "0")) <= 43200:
            return 400, "InvalidParameter.DurationSeconds"
        if query.get("Policy"):
            json.loads(query["Policy"])
        return None


@dataclass
class CloudSso(StandIn):
    access_token: str = "cloud-sso-token"

    def answer(self, asked: Asked) -> Answer:
        if (
            asked.method != "POST"
            or asked.path != "/cloud-credentials"
            or asked.headers.get("authorization") != f"Bearer {self.access_token}"
        ):
            return 401, {"ErrorCode": "InvalidToken", "Message": asked.headers.get("authorization")}
        return 200, {"CloudCredential": self.key.reply()}


@dataclass
class Front(StandIn):
    """HTTPS in front of an endpoint that supports only HTTP."""

    behind: str = ""

    def answer(self, asked: Asked) -> Answer:
        connection = http.client.HTTPConnection(self.behind.removeprefix("http://"), timeout=30)
        try:
            connection.putrequest(asked.method, f"{asked.path}?{urlencode(asked.query)}", skip_host=True, skip_accept_encoding=True)
            for name, value in asked.headers.items():
                connection.putheader(name, value)
            connection.endheaders(asked.body)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


@dataclass
class Proxy(StandIn):
    """Refuses every request, and records it."""

    def answer(self, asked: Asked) -> Answer:
        return 502, "<html>502 Bad Gateway</html>"


def signature(method: str, query: Mapping[str, str], secret: str) -> str:
    """Version 1.0, by the rule of the documentation: RFC 3986, space as %20."""
    signed = "&".join(f"{quote(name, safe='~')}={quote(query[name], safe='~')}" for name in sorted(query) if name != "Signature")
    to_sign = f"{method}&%2F&{quote(signed, safe='~')}"
    return base64.b64encode(hmac.new(f"{secret}&".encode(), to_sign.encode(), hashlib.sha1).digest()).decode()


class Tls:
    """A private certificate authority, with a certificate for 127.0.0.1. ``bundle`` is the file to trust."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.bundle = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.bundle))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self.context)
