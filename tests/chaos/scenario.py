# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One random scenario: world, request, faults, and the unknown behavior of the service."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ecs_emulator.actions import ACTIONS
from ecs_emulator.faults import LATE_OR_STALE, OTHERS, POSTPONED, REFUSALS, REPEATED, ROWS, SHAPES, SPOILT
from ecs_emulator.switches import SWITCHES

from chaos.worlds import IPV4_PREFIXES, IPV6, IPV6_PREFIXES, KINDS, PRIVATE_IPV4, World, make_world

WRITES = tuple(name for name, action in ACTIONS.items() if action.writes)
# Codes from the tables, from reports of other clients, from other APIs, and invented ones. Each can come with any status.
CODES = (
    "Forbidden.RAM",
    "InvalidOperation.InvalidEniState",
    "InvalidOperation.InvalidEcsState",
    "InvalidOperation.EniServiceManaged",
    "InvalidParameter",
    "InvalidEniId.NotFound",
    "InvalidIp.IpUnassigned",
    "InvalidIp.IpAssigned",
    "InvalidIp.IpPrefixIllegal",
    "InvalidVSwitchId.IpInvalid",
    "QuotaExceeded.PrivateIpAddress",
    "MissingParameter",
    "InternalError",
    "InternalServerError",
    "UnknownError",
    "ServiceBusy",
    "SystemBusy",
    "ServiceTimeout",
    "ServiceUnavailable",
    "Throttling",
    "Throttling.User",
    "Rejected.Throttling",
    "Operation.Conflict",
    "OperationConflict",
    "InvalidOperation.Conflict",
    "SignatureNonceUsed",
    "IdempotentProcessing",
    "IdempotentFailed",
    "IdempotentParameterMismatch",
    "InvalidAccessKeyId.NotFound",
    "InvalidSecurityToken.Expired",
    "NoSuchCodeAnywhere",
)
STATUSES = (400, 400, 403, 403, 404, 408, 409, 429, 499, 500, 500, 502, 503, 504, 599)
# Documented faults: likely codes with their statuses.
REFUSED = (
    ("Forbidden.RAM", 403),
    ("InvalidOperation.InvalidEniState", 400),
    ("InvalidOperation.InvalidEcsState", 400),
    ("InvalidParameter", 400),
    ("QuotaExceeded.PrivateIpAddress", 403),
    ("ServiceTimeout", 504),
    ("ServiceBusy", 503),
    ("SystemError", 500),
    ("SignatureNonceUsed", 400),
    ("IdempotentProcessing", 400),
    ("IdempotentFailed", 400),
)
# Fields that a read may lose. Some are optional, so the module cannot notice. A record without one of the others is invalid.
STRIPPED = (
    "NetworkInterfaces",
    "PrivateIpSets",
    "Ipv4PrefixSets",
    "Ipv6Sets",
    "Ipv6PrefixSets",
    "PrivateIpAddress",
    "PrimaryIpAddress",
    "SecurityGroupIds",
    "Tags",
    "InstanceId",
    "Status",
    "Type",
    "VSwitchId",
)
CARELESS = 0.12  # share of requests with an error
# Lags in ms that are longer than a wait_timeout of 0 or 1 s, and than one of 5 s.
SHORTEST_LONG_LAG, LONG_LAG = 1500, 9000
# Seconds for wait_timeout and retry_timeout: longer than any transient condition, also on a busy machine.
PATIENT = 8
# Without faults, a run would fail with these, because no read can show the problem beforehand.
CALM_SWITCHES = {
    "eip": ("drop",),
    "addresses_per_call": ("32", "any"),
    "available_limit": ("49", "50"),
    "secondary_instance_state": ("ignore",),
}


@dataclass
class Scenario:
    """Plain data, as in JSON."""

    seed: dict[str, Any]
    arguments: dict[str, Any]
    faults: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    # Lifetime of a plan in this scenario, in seconds. Usually much longer than the run.
    plan_lives: float = 60.0


def make_faulty(seed: int, number: int, pinned: Mapping[str, str]) -> Scenario:
    """The scenario with this number, with faults."""
    chance = random.Random(f"faults:{seed}:{number}")
    world = make_world(chance, calm=False)
    arguments = _arguments(chance, world, calm=False, careless=chance.random() < CARELESS)
    settings = {**_settings(chance, number, {}, pinned), "lag_ms": _lag(chance)}
    if settings["lag_ms"] in (SHORTEST_LONG_LAG, LONG_LAG):
        arguments["wait_timeout"] = chance.choice((0, 1))
    bounded = chance.random() < 0.4
    faults = [_fault(chance, world, arguments, bounded=bounded) for _number in range(chance.choice((1, 2, 2, 3, 4, 6)))]
    return Scenario(world.document, arguments, faults, settings, plan_lives=chance.choice((60, 60, 60, 0.05, 0.2)))


def make_calm(seed: int, number: int, pinned: Mapping[str, str]) -> Scenario:
    """The scenario with this number, without faults."""
    chance = random.Random(f"truth:{seed}:{number}")
    world = make_world(chance, calm=True)
    careless = chance.random() < CARELESS
    arguments = _arguments(chance, world, calm=True, careless=careless)
    settings = _settings(chance, number, CALM_SWITCHES, pinned)
    waits = arguments["wait"] and arguments["wait_timeout"]
    if waits:
        settings["lag_ms"] = chance.choice((0, [0, 60]))
    if not waits or careless or arguments["missing"] == "fail":
        # Check mode does not wait and reports an error at once, so no state may change between two runs.
        for thing in (*world.interfaces, *world.instances):
            thing.pop("becomes", None)
    return Scenario(world.document, arguments, settings=settings)


def _settings(chance: random.Random, number: int, only: Mapping[str, tuple[str, ...]], pinned: Mapping[str, str]) -> dict[str, Any]:
    switches = {switch.name: chance.choice(only.get(switch.name, switch.choices)) for switch in SWITCHES}
    # The window, which is the time in x-acs-retry-after.
    return {"random_seed": number, "window_seconds": 0.05, "switches": {**switches, **pinned}}


def _lag(chance: random.Random) -> Any:
    dice = chance.random()
    if dice < 0.6:
        return 0
    if dice < 0.92:
        return [0, chance.choice((20, 100, 300))]
    return chance.choice((SHORTEST_LONG_LAG, LONG_LAG))


# --- the request


def _arguments(chance: random.Random, world: World, *, calm: bool, careless: bool) -> dict[str, Any]:
    """``careless``: with errors that the module reports before any write."""
    state = "absent" if chance.random() < 0.7 else "present"
    targets = [_target(chance, world, state, careless=careless) for _number in range(_how_many(chance, len(world.interfaces)))]
    arguments = targets[0] if len(targets) == 1 and chance.random() < 0.8 else {"assignments": targets}
    arguments |= {
        "state": state,
        "on_refusal": chance.choice(("skip", "skip", "skip", "fail")),
        "missing": chance.choice(("ignore", "ignore", "ignore", "fail")),
        "wait": chance.random() < 0.85,
        "wait_timeout": chance.choice((0, 0, 1) if calm else (0, 1, PATIENT, PATIENT)),
        "retry_timeout": chance.choice((0, 1, PATIENT, PATIENT)),
        "max_concurrency": chance.choice((1, 2, 8)),
        "calls_per_minute": chance.choice((0, 0, 0, 60000)),
    }
    if chance.random() < 0.3:
        arguments["allow_eip"] = True
    if chance.random() < 0.25:
        arguments["keep"] = _keep(chance, world)
    dice = chance.random()
    if dice < 0.1:
        arguments["protected_tags"] = {}
    elif dice < 0.3:
        arguments["protected_tags"] = {"app": chance.choice(("web", None, ["web", "db"]))}
    if chance.random() < 0.06:
        arguments["max_addresses"] = chance.choice((0, 3, 20))
    return arguments


def _how_many(chance: random.Random, interfaces: int) -> int:
    return chance.choice((1, 1, 2, min(4, interfaces), interfaces, interfaces + 3))


def _keep(chance: random.Random, world: World) -> list[str]:
    held = [address for interface in world.interfaces for kind in KINDS for address in interface.get(kind, ())]
    kept = chance.sample(held, min(len(held), chance.randint(1, 4)))
    if chance.random() < 0.3:
        kept.append(f"10.0.{chance.randint(0, 1)}.{chance.choice((0, 64, 128))}/26")
    return kept


def _target(chance: random.Random, world: World, state: str, *, careless: bool) -> dict[str, Any]:
    if chance.random() < 0.03:
        return {chance.choice(("eni_id", "instance_id")): None, PRIVATE_IPV4: ["10.0.3.240"]} | _nowhere(chance)
    interface = chance.choice(world.interfaces)
    name = {"eni_id": interface["id"]}
    if interface.get("type") == "Primary" and chance.random() < 0.6:
        name = {"instance_id": interface["instance_id"]}
    if state == "absent":
        return name | _to_unassign(chance, world, interface, careless=careless)
    return name | _to_assign(chance, world, interface, careless=careless)


def _nowhere(chance: random.Random) -> dict[str, Any]:
    return chance.choice(({"eni_id": "eni-nowhere1"}, {"instance_id": "i-nowhere1"}))


def _to_unassign(chance: random.Random, world: World, interface: Mapping[str, Any], *, careless: bool) -> dict[str, Any]:
    if chance.random() < 0.25:
        return {"all_secondary": True}
    named: dict[str, list[str]] = {PRIVATE_IPV4: []}
    for kind in KINDS:
        held = interface.get(kind, ())
        if held and chance.random() < 0.8:
            named[kind] = chance.sample(held, chance.randint(1, len(held)))
    subnet = world.subnets[interface["vswitch_id"]]
    if chance.random() < 0.2:
        named[PRIVATE_IPV4] += subnet.free[PRIVATE_IPV4][-2:]
    if careless and chance.random() < 0.3:
        named[PRIVATE_IPV4].append(interface["primary_address"])
    if careless and interface.get(IPV4_PREFIXES) and chance.random() < 0.3:
        named[PRIVATE_IPV4].append(str(ipaddress.ip_network(interface[IPV4_PREFIXES][0])[3]))
    if careless and interface.get("primary_ipv6_address"):
        named.setdefault(IPV6, []).append(interface["primary_ipv6_address"])
    return _as_people_write(chance, named)


def _to_assign(chance: random.Random, world: World, interface: Mapping[str, Any], *, careless: bool) -> dict[str, Any]:
    subnet = world.subnets[interface["vswitch_id"]]
    roomy = interface.get("status") == "Available" and not interface[PRIVATE_IPV4]
    many = 36 if roomy and chance.random() < 0.2 else chance.randint(0, 3)
    named = {PRIVATE_IPV4: subnet.take_for(interface, PRIVATE_IPV4, many)}
    for kind in (IPV4_PREFIXES, IPV6, IPV6_PREFIXES):
        if chance.random() < 0.25:
            named[kind] = subnet.take_for(interface, kind, 1)
    for kind in KINDS:
        if interface.get(kind) and chance.random() < 0.3:
            named[kind] = [*named.get(kind, ()), chance.choice(interface[kind])]
    if careless:
        # In the same vSwitch, because the ECS API refuses an address outside of it only when it is assigned.
        other = chance.choice([one for one in world.interfaces if one["vswitch_id"] == interface["vswitch_id"]])
        named[PRIVATE_IPV4] += chance.choice((subnet.hidden[:1], [interface["primary_address"]], list(other[PRIVATE_IPV4][:1])))
    return _as_people_write(chance, named)


def _as_people_write(chance: random.Random, named: Mapping[str, list[str]]) -> dict[str, Any]:
    """In any order, with duplicates and spaces, and with other forms of IPv6 addresses."""
    written = {}
    for kind, addresses in named.items():
        texts = list(addresses)
        chance.shuffle(texts)
        if texts and chance.random() < 0.1:
            texts += [f" {texts[0]} "]
        if kind == IPV6 and chance.random() < 0.3:
            texts = [ipaddress.ip_address(text.strip()).exploded.upper() for text in texts]
        written[kind] = texts
    return written


# --- faults

LASTING = (REFUSALS, ("error",), SPOILT, SPOILT, LATE_OR_STALE, ROWS, REPEATED, POSTPONED)


def _fault(chance: random.Random, world: World, arguments: Mapping[str, Any], *, bounded: bool) -> dict[str, Any]:
    """``bounded``: the fault ends after a few times, and does not change the world."""
    kind = chance.choice(chance.choice(LASTING if bounded else (*LASTING, OTHERS, OTHERS, ("take_address",))))
    named = [target["eni_id"] for target in arguments.get("assignments", [arguments]) if target.get("eni_id")]
    fault: dict[str, Any] = {"kind": kind, "action": chance.choice(_actions(kind, arguments))}
    if named and chance.random() < 0.3:
        fault["eni_id"] = chance.choice(named)
    fault |= _when(chance, bounded=bounded)
    if kind == "throttle" and chance.random() < 0.7:
        fault["retry_after"] = chance.randint(1, 30)
    if kind == "slow":
        fault |= {"ms": chance.randint(1, 40), "after_effect": chance.random() < 0.5}
    if kind == "stale" and chance.random() < 0.5:
        fault["ms"] = chance.choice((10, 50, 200))
    if kind == "shape":
        fault["shape"] = chance.choice(SHAPES)
    if kind == "error":
        fault |= _refusal(chance)
    if kind == "twice":
        fault["nonce"] = chance.choice(("used", "fresh"))
    if kind in (*REFUSALS, "html", "503_unreadable") and chance.random() < 0.4:
        fault["after_effect"] = True
    if kind in ROWS:
        fault |= _rows(chance, world, kind, named)
    if kind in POSTPONED:
        fault |= _postponed(chance)
    if kind in OTHERS:
        fault |= _by_others(chance, world, kind, named)
    return fault


def _actions(kind: str, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    if kind == "stale":
        return ("read",)
    reads = ("DescribeInstances", "DescribeNetworkInterfaces", "DescribeNetworkInterfaces")
    if kind in ROWS:
        return ("read", *reads)
    writes = ("write", "write", "write", ("Unassign" if arguments["state"] == "absent" else "Assign") + "PrivateIpAddresses")
    return writes if kind in POSTPONED else (*writes, "read", "*", *reads[:2])


def _refusal(chance: random.Random) -> dict[str, Any]:
    if chance.random() < 0.5:
        return {"code": chance.choice(CODES), "status": chance.choice(STATUSES)}
    return dict(zip(("code", "status"), chance.choice(REFUSED), strict=True))


def _rows(chance: random.Random, world: World, kind: str, named: list[str]) -> dict[str, Any]:
    """Usually addresses that the request names."""
    things = [thing["id"] for thing in (*world.interfaces, *world.instances)]
    likely = [
        *named,
        *(interface["instance_id"] for interface in world.interfaces if interface["id"] in named and "instance_id" in interface),
    ]
    ids = [chance.choice(likely if likely and chance.random() < 0.7 else things) for _number in range(chance.choice((1, 1, 2, 5)))]
    if kind == "drop_rows":
        return {"ids": sorted(set(ids))}
    found = {"fields": chance.sample(STRIPPED, chance.choice((1, 1, 2))), "leave": chance.choice(("empty", "absent"))}
    return found if chance.random() < 0.2 else {**found, "ids": sorted(set(ids))}


def _postponed(chance: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {"fails": True} if chance.random() < 0.25 else {}
    if chance.random() < 0.6:
        found["ms"] = chance.choice((5, 50, 200, 600, SHORTEST_LONG_LAG, LONG_LAG))
    if "ms" not in found or chance.random() < 0.3:
        found["calls"] = chance.randint(1, 3)
    return found | (_refusal(chance) if chance.random() < 0.3 else {})


def _when(chance: random.Random, *, bounded: bool) -> dict[str, Any]:
    dice = chance.random() * (0.75 if bounded else 1)
    if dice < 0.4:
        return {"nth": chance.randint(1, 4)}
    if dice < 0.6:
        return {"nth": chance.randint(1, 3), "times": chance.randint(2, 4)}
    if dice < 0.75:
        return {"times": chance.randint(1, 3)}
    if dice < 0.98:
        return {"probability": round(chance.uniform(0.05, 0.5), 2)} | chance.choice(({}, {"times": 4}))
    return {}  # always


def _by_others(chance: random.Random, world: World, kind: str, named: list[str]) -> dict[str, Any]:
    likely = [interface for interface in world.interfaces if interface["id"] in named] if chance.random() < 0.8 else []
    interface = chance.choice(likely or world.interfaces)
    found: dict[str, Any] = {}
    if kind == "take_address" and chance.random() < 0.6:
        return {"action": "write"}  # one of those that the call names
    if kind == "change_state":
        found["status"] = chance.choice(("Available", "InUse", "Attaching", "Detaching", "Deleting"))
        if world.instances and chance.random() < 0.4:
            return {"id": chance.choice(world.instances)["id"], "status": chance.choice(("Running", "Stopping", "Stopped", "Starting"))}
    if chance.random() < 0.5:
        found["id"] = interface["id"]
    if kind == "take_address" and interface[PRIVATE_IPV4] and "id" in found and chance.random() < 0.5:
        found["address"] = chance.choice(interface[PRIVATE_IPV4])
    return found
