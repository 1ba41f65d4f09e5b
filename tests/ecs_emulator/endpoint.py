# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoint from one reset to the next: it takes a call and returns the reply. Independent of the HTTP server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ecs_emulator import damage, reads, replies, seed
from ecs_emulator import faults as faults_module
from ecs_emulator.actions import ACTIONS, VERSION, Action
from ecs_emulator.call import Call, Parameters
from ecs_emulator.calls import CallLog, CallRecord
from ecs_emulator.context import Context, Remembered
from ecs_emulator.errors import TEXTS, Refusal, refusal
from ecs_emulator.faults import Fault, Faults
from ecs_emulator.replies import Reply
from ecs_emulator.seed import Credential
from ecs_emulator.settings import Settings
from ecs_emulator.signatures import Verifier
from ecs_emulator.throttle import Throttle
from ecs_emulator.timeline import View
from ecs_emulator.work import Work


@dataclass(frozen=True)
class Answer:
    reply: Reply
    # send: the whole reply; cut: only a part of it; reset: nothing.
    manner: str = "send"


@dataclass
class _Visit:
    """A call on its way through the endpoint."""

    call: Call
    record: CallRecord
    # The fault by which the call is the repeat of another.
    repeated_by: Fault | None = None
    firing: list[Fault] = field(default_factory=list)

    def fault(self, *kinds: str) -> Fault | None:
        """The first fault of these kinds that fires on the call."""
        return next((fault for fault in self.firing if fault.kind in kinds), None)


class Endpoint:
    def __init__(self, document: Mapping[str, Any], given: Mapping[str, Any], start: Settings) -> None:
        built = seed.build(document, given, start, time.monotonic)
        self.world = built.world
        self.settings = built.settings
        self.calls = CallLog()
        self.faults = Faults(int(self.settings.random_seed))
        self._verifier = Verifier(built.credentials)
        self._throttle = Throttle(self.settings.calls_per_minute, self.settings.window_seconds, self.settings.switches, time.time)
        self._idempotent: dict[tuple[str, str], Remembered] = {}
        self._busy: set[str] = set()
        self._works: dict[str, list[Work]] = {}

    async def answer(self, call: Call) -> Answer:
        visit = self._visit(call)
        answer = await self._serve(visit)
        twice = visit.fault("twice")
        if twice is None:
            return answer
        # The client never gets the reply to the first request.
        visit.record.status, visit.record.code = None, ""
        return await self._serve(self._visit(call, twice, visit.record.sequence))

    def _visit(self, call: Call, repeated_by: Fault | None = None, repeats: int | None = None) -> _Visit:
        action = ACTIONS.get(call.action)
        record = self.calls.begin(call.action, action is not None and action.writes, call.shown, replies.new_request_id(), repeats)
        return _Visit(call, record, repeated_by)

    async def _serve(self, visit: _Visit) -> Answer:
        try:
            answer = await self._act(visit)
        except Refusal as refused:
            visit.record.code = refused.code
            answer = Answer(_error(visit, refused))
        visit.record.status = answer.reply.status if answer.manner == "send" else None
        self.calls.end(visit.record)
        return answer

    async def _act(self, visit: _Visit) -> Answer:
        call, record = visit.call, visit.record
        try:
            action = _action(call)
            fresh_nonce = visit.repeated_by is not None and visit.repeated_by.details.get("nonce") == "fresh"
            caller = self._verifier.caller(call, fresh_nonce=fresh_nonce)
            record.caller = caller.user
            self._throttle.take(call.given.get("RegionId", ""), call.action)
        except Refusal:
            await asyncio.sleep(self.settings.latency_ms / 1000)
            raise
        if visit.repeated_by is None:
            visit.firing = self.faults.firing(call.action, call.shown, action.writes)
        record.faults = [fault.kind for fault in visit.firing]
        await self._travel(call, action, _slowness(visit.firing, after_effect=False))
        self.world.settle()
        for fault in visit.firing:
            if fault.kind in faults_module.OTHERS:
                record.by_others.append(damage.act_as_others(fault, call.shown, self.world))
        wrong = visit.fault(*faults_module.REFUSALS, *faults_module.SPOILT)
        if wrong and not wrong.after_effect:
            return self._wrong_answer(wrong, None)
        refused: Refusal | None = None
        try:
            reply = self._carry_out(visit, action, caller)
        except Refusal as error:
            refused, reply = error, _error(visit, error)
        await asyncio.sleep(_slowness(visit.firing, after_effect=True))
        if wrong:
            return self._wrong_answer(wrong, reply)
        if refused:
            raise refused
        return Answer(reply)

    async def _travel(self, call: Call, action: Action, slowness: float) -> None:
        """The duration of a call. A second write on the same interface in this time is a conflict."""
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

    def _carry_out(self, visit: _Visit, action: Action, caller: Credential) -> Reply:
        works = self._works_on(visit.call, action)
        try:
            return self._take_effect(visit, action, caller, works)
        finally:
            for work in works:
                work.count_call()

    def _works_on(self, call: Call, action: Action) -> list[Work]:
        """Earlier writes that the service still carries out on the interface of this write."""
        eni_id = call.given.get("NetworkInterfaceId", "")
        if not action.writes or eni_id not in self._works:
            return []
        self._works[eni_id] = [work for work in self._works[eni_id] if not work.over]
        return self._works[eni_id][:]

    def _take_effect(self, visit: _Visit, action: Action, caller: Credential, works: list[Work]) -> Reply:
        call = visit.call
        context = Context(
            self.world, Parameters(call.given), self.settings.switches, _view(visit.firing, self.world.clock()), self._idempotent
        )
        context.effect = visit.record.effect
        context.dropped = frozenset(thing_id for fault in visit.firing if fault.kind == "drop_rows" for thing_id in fault.details["ids"])
        permitted = caller.may(call.action)
        dry_run = action.has_dry_run and context.parameters.flag("DryRun")
        if not permitted and (dry_run or action.run is not reads.describe_instances):
            raise self._denied(call.action, caller)
        if dry_run:
            context.region()
            raise refusal("DryRunOperation")
        token = context.parameters.text("ClientToken")
        is_repeat = any(work.is_of(call.action, token) for work in works)
        if works and not is_repeat and self.settings.switches["concurrent_writes"] == "conflict":
            raise refusal("Operation.Conflict")
        processing = visit.fault("processing")
        is_known = bool(token) and (call.action, token) in self._idempotent
        if processing and not is_known and context.parameters.text("NetworkInterfaceId"):
            self._postpone(processing, action, call.action, context)
            raise _refusal_of(processing, refusal("ServiceUnavailable"))
        # Without permission, DescribeInstances returns an empty list.
        result = action.run(context) if permitted else reads.describe_instances(context, permitted=False)
        for fault in visit.firing:
            if fault.kind == "strip_rows":
                damage.strip_rows(fault, result)
        return replies.success(call.action, result, visit.record.request_id, xml=call.wants_xml)

    def _postpone(self, fault: Fault, action: Action, name: str, context: Context) -> None:
        """The service accepts the request and carries it out later. Only then it finds reasons to refuse it."""
        token = context.parameters.text("ClientToken")
        given = context.parameters.meaningful()

        def end() -> None:
            self._idempotent.pop((name, token), None)
            try:
                if not fault.details.get("fails"):
                    action.run(context)
                    return
            except Refusal:
                pass
            if token:
                self._idempotent[name, token] = Remembered(given, "failed")

        work = Work(name, context.parameters.text("NetworkInterfaceId"), token, fault.details.get("calls"), end)
        if token:
            self._idempotent[name, token] = Remembered(given, "processing")
        self._works.setdefault(work.eni_id, []).append(work)
        if "ms" in fault.details:
            self.world.do_later(work.finish, fault.details["ms"])

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
        if fault.kind == "throttle":
            raise _refusal_of(fault, self._throttle.refusal())
        if fault.kind == "error":
            raise _refusal_of(fault, refusal("InternalError"))
        if fault.kind == "conflict":
            raise refusal("Operation.Conflict")
        if fault.kind in ("500", "503"):
            raise refusal("InternalError" if fault.kind == "500" else "ServiceUnavailable")
        if fault.kind in ("reset_before", "reset_after"):
            return Answer(good or Reply(200, {}, b""), "reset")
        return Answer(damage.spoil(fault, good), "cut" if fault.kind == "cut" else "send")


def _refusal_of(fault: Fault, usual: Refusal) -> Refusal:
    """The refusal that the fault describes. Missing values are the defaults, or the defaults for its code."""
    details = fault.details
    code = details.get("code", usual.code)
    message = usual.message
    if code != usual.code:
        _status, text = TEXTS.get(code, (0, ""))
        # A text with a placeholder needs a value that the fault does not have.
        message = text if text and "{" not in text else "The request was refused."
    return Refusal(
        code,
        details.get("status", usual.status),
        details.get("message", message),
        retry_after=details.get("retry_after", usual.retry_after),
    )


def _error(visit: _Visit, refused: Refusal) -> Reply:
    return replies.error(refused, visit.record.request_id, visit.call.headers.get("host", ""), xml=visit.call.wants_xml)


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
