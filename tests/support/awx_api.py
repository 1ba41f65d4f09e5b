# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of the AWX API (24.6.1) that the AWX modules need to make objects.

It has lists with filters, POST, PATCH, associations, surveys and approval nodes. As AWX, it returns stored objects, shows no secret, and
has no links for an approval template.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

TYPES = {
    "organizations": "organization",
    "credential_types": "credential_type",
    "credentials": "credential",
    "execution_environments": "execution_environment",
    "notification_templates": "notification_template",
    "projects": "project",
    "inventories": "inventory",
    "hosts": "host",
    "inventory_sources": "inventory_source",
    "job_templates": "job_template",
    "workflow_job_templates": "workflow_job_template",
    "workflow_job_template_nodes": "workflow_job_template_node",
    "workflow_approval_templates": "workflow_approval_template",
    "schedules": "schedule",
}
UNIFIED = ("job_templates", "workflow_job_templates", "projects", "inventory_sources", "workflow_approval_templates")
LINKS = {
    "job_templates": ("credentials", "labels", "instance_groups", "notification_templates_error"),
    "workflow_job_templates": ("labels", "notification_templates_approvals", "notification_templates_error"),
    "workflow_job_template_nodes": ("success_nodes", "always_nodes", "failure_nodes", "credentials", "labels", "instance_groups"),
    "schedules": ("credentials", "labels", "instance_groups"),
}
SECRET = "$encrypted$"
Answer = tuple[int, Any]


class AwxApi:
    """``objects``: endpoint → objects by id. ``writes``: method and path of each call that changed something."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in TYPES}
        self.links: dict[tuple[str, int, str], list[int]] = {}
        self.surveys: dict[tuple[str, int], dict[str, Any]] = {}
        self.writes: list[str] = []
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._add("organizations", {"name": "Default"})

    def __enter__(self) -> Self:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(api.get)

            def do_POST(self) -> None:
                self._answer(api.post)

            def do_PATCH(self) -> None:
                self._answer(api.patch)

            def _answer(self, method: Callable[[list[str], dict[str, Any]], Answer]) -> None:
                url = urlsplit(self.path)
                text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                data = json.loads(text) if text else dict(parse_qsl(url.query))
                path = url.path.strip("/").split("/")[2:]
                with api._lock:
                    status, body = method(path, data)
                    if status in (200, 201, 204) and self.command != "GET":
                        api.writes.append(f"{self.command} {'/'.join(path)}")
                content = b"" if status == 204 else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("X-API-Product-Name", "AWX")
                self.send_header("X-API-Product-Version", "24.6.1")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def named(self, endpoint: str, name: str) -> dict[str, Any]:
        (found,) = (each for each in self.objects[endpoint].values() if each.get("name", each.get("identifier")) == name)
        return found

    def linked(self, endpoint: str, number: int, link: str) -> list[int]:
        return self.links.get((endpoint, number, link), [])

    # -- requests of the modules

    def get(self, path: list[str], query: dict[str, Any]) -> Answer:
        if len(path) == 1:
            found = [item for name in (UNIFIED if path[0] == "unified_job_templates" else path) for item in self.objects[name].values()]
            chosen = {name: value for name, value in query.items() if name not in ("page_size", "order_by")}
            return self._page([item for item in found if all(str(item.get(name)) == value for name, value in chosen.items())])
        endpoint, number = path[0], int(path[1])
        if number not in self.objects[endpoint]:
            return 404, {"detail": "Not found."}
        if len(path) == 2:
            return 200, self._shown(self.objects[endpoint][number])
        if path[2] == "survey_spec":
            return 200, self.surveys.get((endpoint, number), {})
        if path[2] not in LINKS.get(endpoint, ()):
            return 404, {"detail": "Not found."}
        return self._page([{"id": other} for other in self.linked(endpoint, number, path[2])])

    def post(self, path: list[str], data: dict[str, Any]) -> Answer:
        if len(path) == 1:
            return 201, self._shown(self._add(path[0], data))
        endpoint, number = path[0], int(path[1])
        if path[2] == "survey_spec":
            self.surveys[endpoint, number] = data
            return 200, {}
        if path[2] == "create_approval_template":
            approval = self._add(
                "workflow_approval_templates", {name: data[name] for name in ("name", "description", "timeout") if name in data}
            )
            node = self.objects[endpoint][number]
            node["unified_job_template"] = approval["id"]
            node["related"]["unified_job_template"] = approval["url"]
            return 201, self._shown(approval)
        if path[2] not in LINKS.get(endpoint, ()):
            return 404, {"detail": "Not found."}
        linked = self.links.setdefault((endpoint, number, path[2]), [])
        (linked.remove if data.get("disassociate") else linked.append)(data["id"])
        return 204, None

    def patch(self, path: list[str], data: dict[str, Any]) -> Answer:
        item = self.objects[path[0]][int(path[1])]
        item.update({name: value for name, value in data.items() if name in item})
        return 200, self._shown(item)

    def _add(self, endpoint: str, data: dict[str, Any]) -> dict[str, Any]:
        number = next(self._ids)
        url = f"/api/v2/{endpoint}/{number}/"
        related = {"survey_spec": f"{url}survey_spec/"} if endpoint in ("job_templates", "workflow_job_templates") else {}
        item = {**data, "id": number, "url": url, "type": TYPES[endpoint], "related": related, "summary_fields": {}}
        if endpoint == "projects":
            item |= {"status": "successful", "scm_revision": "0" * 40}
        self.objects[endpoint][number] = item
        return item

    def _page(self, found: list[dict[str, Any]]) -> Answer:
        return 200, {"count": len(found), "next": None, "previous": None, "results": [self._shown(item) for item in found]}

    def _shown(self, item: dict[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(json.dumps(item))
        for part in ("inputs", "notification_configuration"):
            values: dict[str, Any] = (shown.get(part) if item.get("type") in ("credential", "notification_template") else None) or {}
            for name in values:
                if re.search("secret|password|token", name) and values[name]:
                    values[name] = SECRET
        return shown
