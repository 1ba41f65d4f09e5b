# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that hold for any sequence of calls, as properties."""

from __future__ import annotations

import ipaddress
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ecs_emulator import paging, seed
from ecs_emulator.actions import ACTIONS
from ecs_emulator.call import Call, Parameters
from ecs_emulator.context import Context
from ecs_emulator.errors import Refusal
from ecs_emulator.settings import Settings
from ecs_emulator.signatures import Verifier, canonical_query
from ecs_emulator.switches import SWITCHES, choose
from ecs_emulator.timeline import Timeline
from ecs_emulator.world import World
from hypothesis import given, settings
from hypothesis import strategies as st

SMALL: dict[str, Any] = {
    "vswitches": [{"id": "vsw-a", "vpc_id": "vpc-a", "cidr": "10.0.0.0/25", "ipv6_cidr": "fd00::/64"}],
    "instances": [{"id": "i-a", "instance_type": "ecs.g7.large"}],
    "interfaces": [
        {
            "id": "eni-a",
            "type": "Primary",
            "instance_id": "i-a",
            "vswitch_id": "vsw-a",
            "primary_address": "10.0.0.1",
            "private_ip_addresses": ["10.0.0.2", "10.0.0.3"],
            "eips": {"10.0.0.2": "203.0.113.2"},
        },
        {
            "id": "eni-b",
            "vswitch_id": "vsw-a",
            "primary_address": "10.0.0.4",
            "ipv4_prefixes": ["10.0.0.16/28"],
            "ipv6_addresses": ["fd00::4"],
        },
        {"id": "eni-c", "vswitch_id": "vsw-a", "primary_address": "10.0.0.5"},
    ],
}
ENIS = st.sampled_from(["eni-a", "eni-b", "eni-c", "eni-nowhere"])
LAST = st.one_of(st.integers(1, 40), st.sampled_from([0, 124, 125, 126, 127]))
ADDRESSES = st.lists(LAST.map("10.0.0.{}".format), min_size=1, max_size=6)
LAST_IPV6 = st.one_of(st.integers(1, 9).map(str), st.sampled_from(["0", "ffff:ffff:ffff:fff6", "ffff:ffff:ffff:fff7"]))
IPV6 = st.lists(LAST_IPV6.map("fd00::{}".format), min_size=1, max_size=4)
PREFIXES = st.lists(st.sampled_from([f"10.0.0.{last}/28" for last in (0, 16, 32, 48, 112)]), min_size=1, max_size=3)
COUNT = st.integers(1, 12).map(str)


def numbered(name: str, items: list[str]) -> dict[str, str]:
    return {f"{name}.{number}": item for number, item in enumerate(items, 1)}


WRITES = st.one_of(
    st.tuples(st.just("UnassignPrivateIpAddresses"), ENIS, ADDRESSES.map(lambda items: numbered("PrivateIpAddress", items))),
    st.tuples(st.just("UnassignPrivateIpAddresses"), ENIS, PREFIXES.map(lambda items: numbered("Ipv4Prefix", items))),
    st.tuples(st.just("AssignPrivateIpAddresses"), ENIS, ADDRESSES.map(lambda items: numbered("PrivateIpAddress", items))),
    st.tuples(st.just("AssignPrivateIpAddresses"), ENIS, PREFIXES.map(lambda items: numbered("Ipv4Prefix", items))),
    st.tuples(st.just("AssignPrivateIpAddresses"), ENIS, COUNT.map(lambda count: {"SecondaryPrivateIpAddressCount": count})),
    st.tuples(st.just("AssignPrivateIpAddresses"), ENIS, COUNT.map(lambda count: {"Ipv4PrefixCount": count})),
    st.tuples(st.just("UnassignIpv6Addresses"), ENIS, IPV6.map(lambda items: numbered("Ipv6Address", items))),
    st.tuples(st.just("AssignIpv6Addresses"), ENIS, IPV6.map(lambda items: numbered("Ipv6Address", items))),
    st.tuples(st.just("AssignIpv6Addresses"), ENIS, COUNT.map(lambda count: {"Ipv6PrefixCount": count})),
)
CHOICES = st.fixed_dictionaries({switch.name: st.sampled_from(switch.choices) for switch in SWITCHES})


def small_world(lag_ms: float = 0) -> World:
    return seed.build(SMALL, {"lag_ms": lag_ms}, Settings(), time.monotonic).world


def act(world: World, switches: dict[str, str], action: str, given_: dict[str, str], effect: dict[str, Any]) -> dict[str, Any] | Refusal:
    context = Context(world, Parameters({"RegionId": "cn-hangzhou", **given_}), switches, lambda timeline: timeline.now, {}, effect)
    try:
        return ACTIONS[action].run(context)
    except Refusal as refused:
        return refused


@settings(max_examples=150, deadline=None)
@given(writes=st.lists(WRITES, min_size=1, max_size=8), chosen=CHOICES)
def test_no_address_is_on_two_interfaces_and_no_primary_address_ever_moves(writes: list[Any], chosen: dict[str, str]) -> None:
    world = small_world()
    for action, eni_id, parameters in writes:
        before = world.true_state()["interfaces"]
        effect: dict[str, Any] = {}
        result = act(world, chosen, action, {"NetworkInterfaceId": eni_id, **parameters}, effect)
        after = world.true_state()["interfaces"]
        if isinstance(result, Refusal) and not (chosen["batch"] == "partial" and result.code == "InvalidIp.IpUnassigned"):
            assert after == before
        # The listed effect is what has changed.
        for kind in ("private_ip_addresses", "ipv4_prefixes", "ipv6_addresses", "ipv6_prefixes"):
            gone = [item for eni in before for item in before[eni][kind] if item not in after[eni][kind]]
            come = [item for eni in before for item in after[eni][kind] if item not in before[eni][kind]]
            assert sorted(gone) == sorted(effect.get("unassigned", {}).get(kind, []))
            assert sorted(come) == sorted(effect.get("assigned", {}).get(kind, []))
        held = [
            address for eni in after.values() for address in (eni["primary_address"], *eni["private_ip_addresses"], *eni["ipv6_addresses"])
        ]
        assert len(held) == len(set(held))
        blocks = [*held, *(prefix for eni in after.values() for prefix in (*eni["ipv4_prefixes"], *eni["ipv6_prefixes"]))]
        assert not any(world.vswitches["vsw-a"].reserves(block) for block in blocks)
        for eni in after.values():
            assert eni["primary_address"] == before[eni["eni_id"]]["primary_address"]
            assert set(eni["eips"]) <= {eni["primary_address"], *eni["private_ip_addresses"]}
        networks = [ipaddress.ip_network(prefix) for eni in after.values() for prefix in eni["ipv4_prefixes"]]
        assert not any(one.overlaps(other) for number, one in enumerate(networks) for other in networks[:number])
        assert not any(ipaddress.ip_address(address) in network for address in held if ":" not in address for network in networks)


@settings(max_examples=100, deadline=None)
@given(taken=st.lists(st.sampled_from(["10.0.0.2", "10.0.0.3"]), min_size=1, max_size=2, unique=True))
def test_what_was_unassigned_can_be_assigned_again(taken: list[str]) -> None:
    world, chosen = small_world(), choose()
    before = set(world.true_state()["interfaces"]["eni-a"]["private_ip_addresses"])
    given_ = {"NetworkInterfaceId": "eni-a", **numbered("PrivateIpAddress", taken)}
    assert act(world, chosen, "UnassignPrivateIpAddresses", given_, {}) == {}
    assert not isinstance(act(world, chosen, "AssignPrivateIpAddresses", given_, {}), Refusal)
    assert set(world.true_state()["interfaces"]["eni-a"]["private_ip_addresses"]) == before


@given(changes=st.lists(st.tuples(st.floats(0, 10), st.floats(0, 5)), max_size=40), at=st.floats(0, 60))
def test_reads_never_go_back_in_time(changes: list[tuple[float, float]], at: float) -> None:
    timeline: Timeline[int] = Timeline(0)
    now = 0.0
    shown: list[int] = []
    for number, (wait, lag) in enumerate(changes, 1):
        now += wait
        timeline.put(number, now, now + lag)
        shown.append(timeline.seen(now) or 0)
    shown.append(timeline.seen(now + at) or 0)
    assert shown == sorted(shown)
    assert timeline.now == len(changes)
    assert timeline.seen(now + 100) == len(changes)


@given(
    matching=st.lists(st.booleans(), max_size=80),
    size=st.integers(1, 25),
    short=st.sampled_from(["full", "short"]),
    last=st.sampled_from(["empty", "absent"]),
)
def test_tokens_lead_to_every_row_once_and_in_order(matching: list[bool], size: int, short: str, last: str) -> None:
    world = small_world()
    expected = [position for position, matches in enumerate(matching) if matches]
    found: list[int] = []
    token, pages = "", 0
    while pages == 0 or token:
        parameters = Parameters({"MaxResults": str(size), "NextToken": token})
        context = Context(world, parameters, choose({"token_pages": short, "last_token": last}), lambda timeline: timeline.now, {})
        page = paging.page(
            context, "List", range(len(matching)), lambda position: position if matching[position] else None, paging.Limits(1, 20, 20)
        )
        assert len(page.rows) <= min(size, 20)
        found += page.rows
        token, pages = page.fields.get("NextToken", ""), pages + 1
        assert pages <= len(expected) + 2
    assert found == expected


@given(pairs=st.dictionaries(st.text(min_size=1), st.text()))
def test_the_canonical_query_does_not_depend_on_the_order(pairs: dict[str, str]) -> None:
    assert canonical_query(pairs.items()) == canonical_query(reversed(list(pairs.items())))
    assert not set(canonical_query(pairs.items())) & set(" +*")


@given(seconds=st.integers(-3600, 3600))
def test_the_clock_difference_allowed_is_fifteen_minutes(seconds: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    verifier = Verifier({}, lambda: now)
    text = (now + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    if abs(seconds) <= 900:
        verifier._check_time(text)
    else:
        with pytest.raises(Refusal, match=r"InvalidTimeStamp\.Expired"):
            verifier._check_time(text)


@given(
    headers=st.dictionaries(st.sampled_from(["authorization", "x-acs-date", "accept", "host", "x-acs-format"]), st.text()), body=st.binary()
)
def test_no_nonsense_gets_past_the_signature(headers: dict[str, str], body: bytes) -> None:
    verifier = Verifier(seed.build(SMALL, {}, Settings(), time.monotonic).credentials)
    with pytest.raises(Refusal):
        verifier.caller(Call("POST", "/", (), (), headers, body))
