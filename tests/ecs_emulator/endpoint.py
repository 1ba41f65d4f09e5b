# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One life of the endpoint, from one reset to the next: takes a call, says what to send back. It knows no HTTP server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ecs_emulator import faults as faults_module
from ecs_emulator import reads, replies, seed
from ecs_emulator.actions import ACTIONS, VERSION, Action
from ecs_emulator.call import Call, Parameters
from ecs_emulator.calls import CallLog, CallRecord
from ecs_emulator.context import Context
from ecs_emulator.errors import Refusal, refusal
from ecs_emulator.faults import Fault, Faults
from ecs_emulator.replies import Reply
from ecs_emulator.seed import Credential
from ecs_emulator.settings import Settings
from ecs_emulator.signatures import Verifier
from ecs_emulator.throttle import Throttle
from ecs_emulator.timeline import View


@dataclass(frozen=True)
class Answer:
    reply: Reply
    # send: as usual; cut: break off in the middle; reset: send nothing at all.
    manner: str = "send"


class Endpoint:
    def __init__(self, document: Mapping[str, Any], given: Mapping[str, Any], start: Settings) -> None:
        built = seed.build(document, given, start, time.monotonic)
        self.world = built.world
        self.settings = built.settings
        self.calls = CallLog()
        self.faults = Faults(int(self.settings.random_seed))
        self._verifier = Verifier(built.credentials)
        self._throttle = Throttle(self.settings.calls_per_minute, self.settings.window_seconds, self.settings.switches, time.time)
        self._idempotent: dict[tuple[str, str], tuple[dict[str, str], Any]] = {}
        self._busy: set[str] = set()

    async def answer(self, call: Call) -> Answer:
        request_id = replies.new_request_id()
        record = self.calls.begin(call.action, call.shown, request_id)
        try:
            answer = await self._act(call, record)
        except Refusal as refused:
            record.code = refused.code
            answer = Answer(replies.error(refused, request_id, call.headers.get("host", ""), xml=call.wants_xml))
        record.status = answer.reply.status if answer.manner == "send" else None
        self.calls.end(record)
        return answer

    async def _act(self, call: Call, record: CallRecord) -> Answer:
        try:
            action = _action(call)
            caller = self._verifier.caller(call)
            record.caller = caller.user
            self._throttle.take(call.given.get("RegionId", ""), call.action)
        except Refusal:
            await asyncio.sleep(self.settings.latency_ms / 1000)
            raise
        firing = self.faults.firing(call.action, call.shown, action.writes)
        record.faults = [fault.kind for fault in firing]
        await self._travel(call, action, _slowness(firing, after_effect=False))
        self.world.settle()
        for fault in firing:
            if fault.kind in faults_module.OTHERS:
                record.by_others.append(faults_module.act_as_others(fault, call.shown, self.world))
        wrong = next((fault for fault in firing if fault.kind in faults_module.REFUSALS + faults_module.SPOILT), None)
        if wrong and not wrong.after_effect:
            return self._wrong_answer(wrong, None)
        good = self._take_effect(call, action, caller, record, _view(firing, self.world.clock()))
        await asyncio.sleep(_slowness(firing, after_effect=True))
        return self._wrong_answer(wrong, good) if wrong else Answer(good)

    async def _travel(self, call: Call, action: Action, slowness: float) -> None:
        """The time a call takes. A second write on an interface that comes within it is in conflict."""
        seconds = self.settings.latency_ms / 1000 + slowness
        eni_id = call.given.get("NetworkInterfaceId", "") if action.writes else ""
        if not eni_id or self.settings.switches["concurrent_writes"] == "accept":
            await asyncio.sleep(seconds)
        elif eni_id in self._busy:
            await asyncio.sleep(seconds)
            raise refusal("Operation.Conflict")
        else:
            self._busy.add(eni_id)
            try:
                await asyncio.sleep(seconds)
            finally:
                self._busy.discard(eni_id)

    def _take_effect(self, call: Call, action: Action, caller: Credential, record: CallRecord, view: View[Any]) -> Reply:
        switches = self.settings.switches
        context = Context(self.world, Parameters(call.given), switches, view, self._idempotent)
        context.effect = record.effect
        permitted = caller.may(call.action)
        dry_run = action.has_dry_run and context.parameters.flag("DryRun")
        if not permitted and (dry_run or action.run is not reads.describe_instances):
            raise self._denied(call.action, caller)
        if dry_run:
            context.region()
            raise refusal("DryRunOperation")
        # Without permission DescribeInstances answers an empty list.
        result = action.run(context) if permitted else reads.describe_instances(context, permitted=False)
        return replies.success(call.action, result, record.request_id, xml=call.wants_xml)

    def _denied(self, action: str, caller: Credential) -> Refusal:
        detail = {
            "AuthAction": f"ecs:{action}",
            "AuthPrincipalDisplayName": caller.user,
            "AuthPrincipalType": "SubUser",
            "NoPermissionType": "ImplicitDeny",
            "PolicyType": "AccountLevelIdentityBasedPolicy",
        }
        return refusal(self.settings.switches["permission_code"], extra={"AccessDeniedDetail": detail})

    def _wrong_answer(self, fault: Fault, good: Reply | None) -> Answer:
        details = fault.details
        if fault.kind == "throttle":
            refused = self._throttle.refusal(details.get("retry_after"))
            raise Refusal(
                details.get("code", refused.code), details.get("status", refused.status), refused.message, retry_after=refused.retry_after
            )
        if fault.kind == "conflict":
            raise refusal("Operation.Conflict")
        if fault.kind in ("500", "503"):
            raise refusal("InternalError" if fault.kind == "500" else "ServiceUnavailable")
        if fault.kind == "error":
            raise Refusal(details["code"], details["status"], details.get("message", "The request was refused."))
        if fault.kind in ("reset_before", "reset_after"):
            return Answer(good or Reply(200, {}, b""), "reset")
        return Answer(faults_module.spoil(fault, good), "cut" if fault.kind == "cut" else "send")


def _action(call: Call) -> Action:
    if call.method not in ("GET", "POST"):
        raise refusal("UnsupportedHTTPMethod")
    if not call.action:
        raise refusal("MissingParameter", "Action")
    if not call.version:
        raise refusal("MissingParameter", "Version")
    if call.version != VERSION:
        raise refusal("InvalidVersion")
    if call.action not in ACTIONS or call.path != "/":
        raise refusal("InvalidAction.NotFound")
    return ACTIONS[call.action]


def _slowness(firing: list[Fault], *, after_effect: bool) -> float:
    return sum(float(fault.details["ms"]) for fault in firing if fault.kind == "slow" and fault.after_effect == after_effect) / 1000


def _view(firing: list[Fault], now: float) -> View[Any]:
    stale = next((fault for fault in firing if fault.kind == "stale"), None)
    if stale is None:
        return lambda timeline: timeline.seen(now)
    if "ms" in stale.details:
        return lambda timeline: timeline.as_of(now - stale.details["ms"] / 1000)
    return lambda timeline: timeline.before_last()
