# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read an HTTP request as a call of the API. A client can put the parameters into query, form or body."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from ecs_emulator.errors import nothing_given, refusal

# Parameters that authenticate the caller. No log has them.
SECRETS = frozenset({"AccessKeyId", "Signature", "SignatureNonce", "SecurityToken"})
COMMON = SECRETS | {"Action", "Version", "Format", "Timestamp", "SignatureMethod", "SignatureVersion", "SignatureType"}


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    form: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    body: bytes
    # All parameters of query and form. If one is repeated, the first wins.
    given: dict[str, str] = field(default_factory=dict)

    @property
    def action(self) -> str:
        return self.given.get("Action") or self.headers.get("x-acs-action", "")

    @property
    def version(self) -> str:
        return self.given.get("Version") or self.headers.get("x-acs-version", "")

    @property
    def wants_xml(self) -> bool:
        """XML is the default of the older scheme. The newer scheme selects the format with its Accept header."""
        asked = (self.given.get("Format") or self.headers.get("x-acs-format", "")).upper()
        if asked in ("JSON", "XML"):
            return asked == "XML"
        if "authorization" in self.headers:
            return "xml" in self.headers.get("accept", "")
        return True

    @property
    def shown(self) -> dict[str, str]:
        """The parameters, without those that authenticate the caller."""
        return {name: value for name, value in self.given.items() if name not in COMMON}


async def read(request: web.Request) -> Call:
    # The target as it was sent. The client of a proxy sends an absolute URL.
    target = urlsplit(request.raw_path)
    body = await request.read()
    query = tuple(parse_qsl(target.query, keep_blank_values=True))
    is_form = request.content_type == "application/x-www-form-urlencoded"
    form = tuple(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)) if is_form else ()
    return Call(
        method=request.method,
        path=target.path or "/",
        query=query,
        form=form,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        given=dict(reversed(query + form)),
    )


class Parameters:
    """Typed access to the parameters of a call. An empty parameter counts as not set, and an unknown one is ignored."""

    def __init__(self, given: dict[str, str]) -> None:
        self._given = given

    def meaningful(self) -> dict[str, str]:
        return {name: value for name, value in self._given.items() if value and name not in COMMON}

    def text(self, name: str) -> str:
        return self._given.get(name, "")

    def required(self, name: str, code: str = "MissingParameter") -> str:
        value = self.text(name)
        if not value:
            raise refusal(code, name)
        return value

    def number(self, name: str) -> int | None:
        value = self.text(name)
        if not value:
            return None
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise refusal("InvalidParameter", name)
        return int(value)

    def flag(self, name: str) -> bool | None:
        value = self.text(name).lower()
        if value not in ("", "true", "false"):
            raise refusal("InvalidParameter", name)
        return value == "true" if value else None

    def listed(self, name: str, most: int | None = None) -> list[str]:
        """Name.1, Name.2, … in the order of their numbers."""
        numbered = []
        for key, value in self._given.items():
            head, _dot, number = key.rpartition(".")
            if head == name and number.isascii() and number.isdecimal() and int(number) > 0 and value:
                numbered.append((int(number), value))
        if most is not None and len(numbered) > most:
            raise refusal("InvalidParameter", name)
        return [value for _number, value in sorted(numbered)]

    def json_list(self, name: str, most: int) -> list[str] | None:
        value = self.text(name)
        if not value:
            return None
        try:
            items: Any = json.loads(value)
        except ValueError:
            items = None
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items) or len(items) > most:
            raise refusal("InvalidParameter", name)
        return items

    def tags(self) -> list[tuple[str, str | None]]:
        """Tag.N.Key and Tag.N.Value. Without a value, any value matches."""
        found = []
        for number in range(1, 21):
            key = self.text(f"Tag.{number}.Key") or self.text(f"Tag.{number}.key")
            if key:
                found.append((key, self.text(f"Tag.{number}.Value") or self.text(f"Tag.{number}.value") or None))
        return found

    def one_of(self, *names: str) -> None:
        """At least one of these lists or values must be set."""
        if not any(self.text(name) or self.listed(name) for name in names):
            raise nothing_given(*names)
