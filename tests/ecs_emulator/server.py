# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP server: the API under /, the control paths under /_emulator/."""

from __future__ import annotations

import argparse
import asyncio
import gc
import ipaddress
import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import web

from ecs_emulator import fault_documents, seed
from ecs_emulator.call import read
from ecs_emulator.endpoint import Endpoint
from ecs_emulator.replies import Reply
from ecs_emulator.seed import SeedError
from ecs_emulator.settings import Settings
from ecs_emulator.switches import SWITCHES

# A hundred ids make a target of five kilobytes, and a seed for a benchmark may be large.
LONGEST_TARGET = 1 << 16
LARGEST_BODY = 1 << 26
MANY_INTERFACES = 1000
# Values of the query parameter that limits the calls in the reply.
WRITES = {"": None, "true": True, "false": False}


class Server:
    def __init__(self, document: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        self._document = document
        self._given = given
        self.endpoint = self._begin(document, given)

    @staticmethod
    def _begin(document: Mapping[str, Any], given: Mapping[str, Any]) -> Endpoint:
        endpoint = Endpoint(document, given, Settings())
        if len(endpoint.world.interfaces.timelines) >= MANY_INTERFACES:
            # These objects live on. Without freeze, the garbage collector would check them again and again, and stop all calls for 50 ms.
            gc.unfreeze()
            gc.collect()
            gc.freeze()
        return endpoint

    def app(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_get("/_emulator/state", self._state)
        app.router.add_get("/_emulator/calls", self._calls)
        app.router.add_get("/_emulator/faults", self._faults)
        app.router.add_get("/_emulator/settings", self._settings)
        app.router.add_post("/_emulator/faults", self._set_faults)
        app.router.add_post("/_emulator/reset", self._reset)
        app.router.add_route("*", "/{path:.*}", self._call)
        return app

    # --- the API

    async def _call(self, request: web.Request) -> web.StreamResponse:
        answer = await self.endpoint.answer(await read(request))
        if answer.manner == "reset":
            _reset_connection(request)
        elif answer.manner == "cut":
            await _send_half(request, answer.reply)
        else:
            return web.Response(status=answer.reply.status, headers=answer.reply.headers, body=answer.reply.body)
        return web.Response()

    # --- control

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response(self.endpoint.world.true_state())

    async def _calls(self, request: web.Request) -> web.Response:
        since, writes = request.query.get("since", "0"), request.query.get("writes", "")
        problems = []
        if not (since.isascii() and since.isdecimal()):
            problems.append(f"since must be the sequence number of a call, not {since!r}")
        if writes not in WRITES:
            problems.append(f"writes must be true or false, not {writes!r}")
        if problems:
            return _refused(problems)
        return web.json_response(self.endpoint.calls.select(request.query.get("action", ""), int(since), WRITES[writes]))

    async def _faults(self, request: web.Request) -> web.Response:
        return web.json_response(self.endpoint.faults.as_dicts())

    async def _settings(self, request: web.Request) -> web.Response:
        choices = {switch.name: {"choices": switch.choices, "fact": switch.fact} for switch in SWITCHES}
        return web.json_response({"settings": asdict(self.endpoint.settings), "switches": choices})

    async def _set_faults(self, request: web.Request) -> web.Response:
        try:
            parsed, problems = fault_documents.parse(await request.json())
        except json.JSONDecodeError as error:
            problems = [f"the body is not JSON: {error}"]
        if problems:
            return _refused(problems)
        self.endpoint.faults.replace(parsed)
        return web.json_response(self.endpoint.faults.as_dicts())

    async def _reset(self, request: web.Request) -> web.Response:
        """Reset the endpoint. Values that are not named are again as at the start."""
        try:
            body = await request.json() if request.can_read_body else {}
            if not isinstance(body, dict):
                return _refused(["the body must be a mapping"])
            document = body.pop("seed", None) or self._document
            seed_file = body.pop("seed_file", None)
            if seed_file:
                document = seed.read(Path(seed_file))
            self.endpoint = self._begin(document, {**self._given, **body})
        except json.JSONDecodeError as error:
            return _refused([f"the body is not JSON: {error}"])
        except SeedError as error:
            return _refused(error.problems)
        return web.json_response({"settings": asdict(self.endpoint.settings)})


def _refused(problems: list[str]) -> web.Response:
    return web.json_response({"errors": problems}, status=400)


def _reset_connection(request: web.Request) -> None:
    """A linger time of zero makes the kernel send a reset."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _send_half(request: web.Request, reply: Reply) -> None:
    response = web.StreamResponse(status=reply.status, headers={**reply.headers, "Content-Length": str(len(reply.body))})
    await response.prepare(request)
    await response.write(reply.body[: len(reply.body) // 2])
    if request.transport:
        request.transport.close()


def loopback(host: str) -> str:
    """The host, if it is a loopback address. Other machines must not reach the endpoint, because its control paths need no key."""
    address = "127.0.0.1" if host == "localhost" else host
    try:
        if ipaddress.ip_address(address).is_loopback:
            return address
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{host!r} is not a loopback address")


async def serve(server: Server, host: str, port: int, stop: asyncio.Event) -> None:
    runner = web.AppRunner(server.app(), access_log=None, max_line_size=LONGEST_TARGET, max_field_size=LONGEST_TARGET, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, loopback(host), port)
        await site.start()
        bound_host, bound_port = runner.addresses[0][:2]
        shown = f"[{bound_host}]" if ":" in bound_host else bound_host
        print(f"listening on http://{shown}:{bound_port}", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()
