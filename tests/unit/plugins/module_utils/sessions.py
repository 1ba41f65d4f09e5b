# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests through the guarded session, answered without a network."""

from __future__ import annotations

import json
from typing import Any

import requests
from requests.adapters import BaseAdapter

from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import Transport, make_session_class


class Canned(BaseAdapter):
    """Answers with (status, body), or raises the given exception, and records the requests."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer
        self.sent: list[tuple[str, dict[str, str]]] = []

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        self.sent.append((str(request.url), how["proxies"]))
        if isinstance(self.answer, BaseException):
            raise self.answer
        status, body = self.answer
        response = requests.Response()
        response.status_code = status
        response.request, response.url = request, str(request.url)
        response._content = (body if isinstance(body, str) else json.dumps(body)).encode()
        if 300 <= status < 400:
            response.headers["Location"] = "https://elsewhere.example.com/"
        return response

    def close(self) -> None:
        pass


def send(url: str, answer: Any, transport: Transport | None = None, adapter: Canned | None = None) -> requests.Response:
    adapter = adapter or Canned(answer)
    session = make_session_class(transport or Transport())()
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    response: requests.Response = session.send(requests.Request("POST", url).prepare(), timeout=(1, 1))
    return response
