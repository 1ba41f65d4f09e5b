# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to go wrong, and when. The same calls with the same random seed meet the same faults, in whatever order they come."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ecs_emulator.replies import JSON_TYPE, Reply
from ecs_emulator.world import World

# The call is refused as the service refuses: readable, with a code.
REFUSALS = ("throttle", "conflict", "500", "503", "error")
# The reply is not what the service would send.
SPOILT = ("503_unreadable", "html", "empty", "truncated", "shape", "cut", "reset_before", "reset_after")
# The call goes through, but late, or it sees the past.
BENT = ("slow", "stale")
# Somebody else does something just before the call takes effect.
OTHERS = ("take_address", "delete_interface", "change_state")
KINDS = REFUSALS + SPOILT + BENT + OTHERS
# These happen after the action took effect, unless told otherwise; all others before.
AFTER_EFFECT = ("empty", "truncated", "shape", "cut", "reset_after")
SHAPES = ("object", "null", "missing")


@dataclass
class Fault:
    kind: str
    actions: tuple[str, ...] = ()
    eni_id: str = ""
    nth: int | None = None
    times: int | None = None
    probability: float | None = None
    after_effect: bool = False
    # What the kind needs: ms, code, status, message, retry_after, address, id, shape.
    details: Mapping[str, Any] = field(default_factory=dict)
    matched: int = 0
    fired: int = 0


DETAILS: dict[str, tuple[str, ...]] = {
    "throttle": ("code", "status", "retry_after"),
    "error": ("code", "status", "message"),
    "slow": ("ms",),
    "stale": ("ms",),
    "shape": ("shape",),
    "take_address": ("id", "address"),
    "delete_interface": ("id",),
    "change_state": ("id", "status"),
}
COMMON = ("kind", "action", "eni_id", "nth", "times", "probability", "after_effect")


def parse(documents: object) -> tuple[list[Fault], list[str]]:
    if not isinstance(documents, list):
        return [], ["faults must be a list"]
    faults, mistakes = [], []
    for number, document in enumerate(documents):
        found = _mistakes_in(document)
        mistakes += [f"faults[{number}]: {mistake}" for mistake in found]
        if not found:
            faults.append(_fault(document))
    return faults, mistakes


def _mistakes_in(document: object) -> list[str]:
    if not isinstance(document, Mapping):
        return [f"must be a mapping, not {document!r}"]
    kind = _kind(document)
    if kind not in KINDS:
        return [f"kind {kind!r} is not known; there are: {', '.join(KINDS)}"]
    allowed = COMMON + DETAILS.get(kind, ())
    mistakes = [f"{name!r} is not known for {kind}; there are: {', '.join(allowed)}" for name in document if name not in allowed]
    for name, least in (("nth", 1), ("times", 1), ("ms", 0), ("retry_after", 1)):
        value = document.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < least):
            mistakes.append(f"{name} must be a number from {least}, not {value!r}")
    probability = document.get("probability")
    if probability is not None and not (isinstance(probability, int | float) and 0 <= probability <= 1):
        mistakes.append(f"probability must be from 0 to 1, not {probability!r}")
    needed = {"slow": ["ms"], "error": ["code", "status"], "change_state": ["status"]}.get(kind, [])
    mistakes += [f"{kind} needs {name}" for name in needed if name not in document]
    if document.get("shape", "object") not in SHAPES:
        mistakes.append(f"shape is one of {', '.join(SHAPES)}")
    return mistakes


def _kind(document: Mapping[str, Any]) -> str:
    return str(document.get("kind", "")).replace("-", "_")


def _fault(document: Mapping[str, Any]) -> Fault:
    kind = _kind(document)
    action = document.get("action", "*")
    return Fault(
        kind=kind,
        actions=(action,) if isinstance(action, str) else tuple(action),
        eni_id=document.get("eni_id", ""),
        nth=document.get("nth"),
        times=document.get("times"),
        probability=document.get("probability"),
        after_effect=bool(document.get("after_effect", kind in AFTER_EFFECT)),
        details={name: document[name] for name in DETAILS.get(kind, ()) if name in document},
    )


class Faults:
    def __init__(self, random_seed: int) -> None:
        self._random_seed = random_seed
        self._faults: list[Fault] = []
        self._occurrences: Counter[tuple[int, str]] = Counter()

    def replace(self, faults: list[Fault]) -> None:
        self._faults = faults
        self._occurrences.clear()

    def told(self) -> list[dict[str, Any]]:
        return [
            {"kind": fault.kind, "action": list(fault.actions), "matched": fault.matched, "fired": fault.fired, **fault.details}
            for fault in self._faults
        ]

    def firing(self, action: str, parameters: Mapping[str, str], writes: bool) -> list[Fault]:
        fired = []
        for number, fault in enumerate(self._faults):
            if not _concerns(fault, action, parameters, writes):
                continue
            fault.matched += 1
            if self._is_due(number, fault, action, parameters):
                fault.fired += 1
                fired.append(fault)
        return fired

    def _is_due(self, number: int, fault: Fault, action: str, parameters: Mapping[str, str]) -> bool:
        """From the nth matching call on, so many times: once if only nth is given, always if nothing is."""
        times = fault.times or (1 if fault.nth and fault.probability is None else None)
        if fault.matched < (fault.nth or 1) or (times is not None and fault.fired >= times):
            return False
        if fault.probability is None:
            return True
        return self._luck(number, action, parameters) < fault.probability

    def _luck(self, number: int, action: str, parameters: Mapping[str, str]) -> float:
        """Hangs on what is called, and how often it was called so, not on the order among other calls."""
        what = json.dumps([action, sorted(item for item in parameters.items() if item[0] != "ClientToken")])
        self._occurrences[number, what] += 1
        return random.Random(f"{self._random_seed}:{number}:{what}:{self._occurrences[number, what]}").random()


def _concerns(fault: Fault, action: str, parameters: Mapping[str, str], writes: bool) -> bool:
    names = {"*", action, "write" if writes else "read"}
    if not names & set(fault.actions):
        return False
    if not fault.eni_id:
        return True
    return any(value == fault.eni_id for name, value in parameters.items() if name.startswith("NetworkInterfaceId"))


def act_as_others(fault: Fault, parameters: Mapping[str, str], world: World) -> dict[str, Any]:
    """Without an id it is the interface of the call; without an address, the call's first one, or else the first secondary one."""
    named = parameters.get("NetworkInterfaceId") or parameters.get("NetworkInterfaceId.1", "")
    thing_id = str(fault.details.get("id") or named)
    interface = world.interface(thing_id)
    if fault.kind == "change_state":
        if interface is None and world.instance(thing_id) is None:
            return {}
        world.set_status(thing_id, fault.details["status"])
        return {"id": thing_id, "status": fault.details["status"]}
    if interface is None:
        return {}
    if fault.kind == "delete_interface":
        world.delete(thing_id)
        return {"deleted": thing_id}
    asked = [parameters.get("PrivateIpAddress.1"), *interface.private_ip_addresses]
    address = fault.details.get("address") or next((item for item in asked if item in interface.private_ip_addresses), None)
    if address not in interface.private_ip_addresses:
        return {}
    left = tuple(item for item in interface.private_ip_addresses if item != address)
    eips = {item: eip for item, eip in interface.eips.items() if item != address}
    world.change(thing_id, private_ip_addresses=left, eips=eips)
    return {"eni_id": thing_id, "unassigned": {"private_ip_addresses": [address]}}


HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center><h1>502 Bad Gateway</h1></center></body>\r\n</html>\r\n"


def spoil(fault: Fault, good: Reply | None) -> Reply:
    """The reply as the client gets it; there is no good one before the effect."""
    if fault.kind == "503_unreadable":
        return Reply(503, {"Content-Type": "text/plain"}, b"upstream connect error or disconnect/reset before headers")
    if fault.kind == "html":
        return Reply(502, {"Content-Type": "text/html"}, HTML)
    if good is None or fault.kind == "empty":
        return Reply(200, {"Content-Type": JSON_TYPE}, b"")
    if fault.kind == "truncated":
        return Reply(good.status, good.headers, good.body[: len(good.body) * 2 // 3])
    if fault.kind == "shape":
        return Reply(good.status, good.headers, _misshapen(good.body, fault.details.get("shape", "object")))
    return good


def _misshapen(body: bytes, shape: str) -> bytes:
    """Valid JSON, but not what the action answers."""
    if shape == "null" or not body.startswith(b"{"):
        return b"null"
    document: dict[str, Any] = json.loads(body)
    wrapped = [name for name, value in document.items() if isinstance(value, dict)]
    if not wrapped:
        return b"[]"
    for name in wrapped:
        if shape == "missing":
            del document[name]
        else:
            document[name] = {inner: {} if isinstance(value, Sequence) else value for inner, value in document[name].items()}
    return json.dumps(document).encode()
