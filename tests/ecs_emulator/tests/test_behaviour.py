# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pace, lag, latency, transitional states, and faults."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.emulator import EmulatorError
from support.raw_call import acs3

LIST, UNASSIGN = "DescribeNetworkInterfaces", "UnassignPrivateIpAddresses"
ONE = {"NetworkInterfaceId": ["eni-primary"]}


def shown_addresses(answer: Any) -> list[str]:
    (row,) = answer.json["NetworkInterfaceSets"]["NetworkInterfaceSet"]
    return [address["PrivateIpAddress"] for address in row["PrivateIpSets"]["PrivateIpSet"] if not address["Primary"]]


def real_addresses(emulator: Any, eni_id: str = "eni-primary") -> list[str]:
    return list(emulator.state()["interfaces"][eni_id]["private_ip_addresses"])


def unassign(call: Any, *addresses: str) -> Any:
    return call(UNASSIGN, NetworkInterfaceId="eni-primary", PrivateIpAddress=list(addresses))


# --- pace


def test_a_limit_holds_for_one_action_in_one_region_until_the_window_ends(process: Any, seed: dict[str, Any], call: Any) -> None:
    process.reset(seed=seed, calls_per_minute={"default": 3, "DescribeRegions": 0}, window_seconds=1.5, switches={"retry_after": "window"})
    time.sleep(1.5 - time.time() % 1.5)
    assert [call(LIST).status for _number in range(3)] == [200] * 3
    throttled = call(LIST)
    assert (throttled.status, throttled.code) == (400, "Throttling")
    assert throttled.json["Message"] == "Request was denied due to request throttling."
    assert 0 < int(throttled.headers["x-acs-retry-after"]) <= 1500
    assert call("DescribeInstances").status == 200
    assert call(LIST, region="cn-beijing").status == 200
    assert [call("DescribeRegions").status for _number in range(5)] == [200] * 5
    time.sleep(int(throttled.headers["x-acs-retry-after"]) / 1000 + 0.01)
    assert call(LIST).status == 200


@pytest.mark.parametrize("status", [400, 429, 403])
@pytest.mark.parametrize("code", ["Throttling.User", "Rejected.Throttling"])
def test_how_a_throttled_call_looks_is_not_known(process: Any, seed: dict[str, Any], call: Any, status: int, code: str) -> None:
    process.reset(seed=seed, calls_per_minute=1, switches={"throttle_status": status, "throttle_code": code})
    answers = [call(LIST), call(LIST), call(LIST)]
    assert (answers[-1].status, answers[-1].code) == (status, code)
    assert "x-acs-retry-after" not in answers[-1].headers


def test_latency(process: Any, seed: dict[str, Any], call: Any) -> None:
    process.reset(seed=seed, latency_ms=60)
    start = time.monotonic()
    call(LIST)
    assert time.monotonic() - start >= 0.06
    assert process.calls()[0]["duration_ms"] >= 60


@pytest.mark.parametrize(("switch", "statuses"), [("conflict", [200, 403]), ("accept", [200, 200])])
def test_two_writes_on_one_interface_at_once(process: Any, seed: dict[str, Any], call: Any, switch: str, statuses: list[int]) -> None:
    process.reset(seed=seed, latency_ms=150, switches={"concurrent_writes": switch})
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda address: unassign(call, address), ["10.0.0.11", "10.0.0.12"]))
    assert sorted(answer.status for answer in answers) == statuses
    if switch == "conflict":
        (refused,) = (answer for answer in answers if answer.status == 403)
        assert (refused.code, refused.json["Message"]) == ("Operation.Conflict", "ecs task is conflicted.")
        assert len(real_addresses(process)) == 2


def test_writes_on_two_interfaces_at_once(process: Any, seed: dict[str, Any], call: Any) -> None:
    process.reset(seed=seed, latency_ms=100)
    wanted = [("eni-primary", "10.0.0.11"), ("eni-available", "10.0.0.41")]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda pair: call(UNASSIGN, NetworkInterfaceId=pair[0], PrivateIpAddress=[pair[1]]), wanted))
    assert [answer.status for answer in answers] == [200, 200]


# --- lag


def test_a_read_shows_the_old_view_until_the_lag_is_over(process: Any, seed: dict[str, Any], call: Any) -> None:
    process.reset(seed=seed, lag_ms=300)
    assert unassign(call, "10.0.0.11").status == 200
    assert real_addresses(process) == ["10.0.0.12", "10.0.0.13"]
    assert shown_addresses(call(LIST, **ONE)) == ["10.0.0.11", "10.0.0.12", "10.0.0.13"]
    assert shown_addresses(call(LIST, PrivateIpAddress=["10.0.0.11"])) == ["10.0.0.11", "10.0.0.12", "10.0.0.13"]
    # A write uses the real state.
    assert unassign(call, "10.0.0.11").code == "InvalidIp.IpUnassigned"
    time.sleep(0.3)
    assert shown_addresses(call(LIST, **ONE)) == ["10.0.0.12", "10.0.0.13"]
    assert call(LIST, PrivateIpAddress=["10.0.0.11"]).json["NetworkInterfaceSets"]["NetworkInterfaceSet"] == []


def test_a_lag_between_two_bounds_is_the_same_in_every_run(process: Any, seed: dict[str, Any], call: Any) -> None:
    shown = []
    for _number in range(2):
        process.reset(seed=seed, lag_ms=[0, 400], random_seed=3)
        for address in ("10.0.0.11", "10.0.0.12", "10.0.0.13"):
            unassign(call, address)
        time.sleep(0.2)
        shown.append(shown_addresses(call(LIST, **ONE)))
    assert shown[0] == shown[1]


def test_transitional_states_end_by_themselves(process: Any, seed: dict[str, Any], call: Any) -> None:
    changing = {**seed, "instances": [dict(item) for item in seed["instances"]], "interfaces": [dict(item) for item in seed["interfaces"]]}
    changing["instances"][1]["becomes"] = {"status": "Running", "after_ms": 300}
    changing["interfaces"][4]["becomes"] = {"status": "Available", "after_ms": 300}
    process.reset(seed=changing)
    detaching = {"NetworkInterfaceId": "eni-detaching", "PrivateIpAddress": ["10.0.0.51"]}
    starting = {"NetworkInterfaceId": "eni-starting", "PrivateIpAddress": ["10.0.0.21"]}
    assert [call(UNASSIGN, **detaching).status, call(UNASSIGN, **starting).status] == [400, 400]
    time.sleep(0.31)
    assert [call(UNASSIGN, **detaching).status, call(UNASSIGN, **starting).status] == [200, 200]
    eni = process.state()["interfaces"]["eni-detaching"]
    assert (eni["status"], eni["instance_id"]) == ("Available", "")


# --- faults


def faulty(emulator: Any, kind: str, **more: Any) -> None:
    emulator.faults([{"kind": kind, "nth": 1, **more}])


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"kind": "throttle"}, 400, "Throttling"),
        ({"kind": "throttle", "code": "Throttling.User", "status": 429}, 429, "Throttling.User"),
        ({"kind": "conflict"}, 403, "Operation.Conflict"),
        ({"kind": "500"}, 500, "InternalError"),
        ({"kind": 503}, 503, "ServiceUnavailable"),
        ({"kind": "error", "code": "Forbidden.RiskControl", "status": 403, "message": "No."}, 403, "Forbidden.RiskControl"),
    ],
)
def test_faults_with_a_code(emulator: Any, call: Any, fault: dict[str, Any], status: int, code: str) -> None:
    emulator.faults([{"action": UNASSIGN, "nth": 1, **fault}])
    answer = unassign(call, "10.0.0.11")
    assert (answer.status, answer.code) == (status, code)
    assert len(real_addresses(emulator)) == 3
    assert unassign(call, "10.0.0.11").status == 200


@pytest.mark.parametrize("fault", ["500", "503", "error", "conflict"])
def test_a_refused_call_may_have_taken_effect(emulator: Any, call: Any, fault: str) -> None:
    more = {"code": "InternalError", "status": 500} if fault == "error" else {}
    faulty(emulator, fault, after_effect=True, **more)
    assert unassign(call, "10.0.0.11").status >= 400
    assert real_addresses(emulator) == ["10.0.0.12", "10.0.0.13"]
    assert emulator.calls()[0]["effect"]["unassigned"] == {"private_ip_addresses": ["10.0.0.11"]}


def test_a_throttled_call_shows_how_long_to_wait_if_wanted(emulator: Any, call: Any) -> None:
    faulty(emulator, "throttle", retry_after=1234)
    assert call(LIST).headers["x-acs-retry-after"] == "1234"


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [("503_unreadable", 503, b"upstream"), ("503-unreadable", 503, b"upstream"), ("html", 502, b"<html>"), ("empty", 200, b"")],
)
@pytest.mark.parametrize("after_effect", [False, True])
def test_unreadable_replies(emulator: Any, call: Any, kind: str, status: int, body: bytes, after_effect: bool) -> None:
    faulty(emulator, kind, after_effect=after_effect)
    answer = unassign(call, "10.0.0.11")
    assert answer.status == status
    assert answer.body.startswith(body)
    assert ("10.0.0.11" in real_addresses(emulator)) is not after_effect


def test_truncated_json_is_not_valid_json(emulator: Any, call: Any) -> None:
    faulty(emulator, "truncated")
    answer = call(LIST)
    assert answer.status == 200
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|delimiter"):
        assert answer.json


@pytest.mark.parametrize(("shape", "body"), [("object", {"NetworkInterfaceSet": {}}), ("missing", None)])
def test_wrong_shapes(emulator: Any, call: Any, shape: str, body: Any) -> None:
    faulty(emulator, "shape", shape=shape)
    assert call(LIST).json.get("NetworkInterfaceSets") == body
    faulty(emulator, "shape", shape="null")
    assert call(LIST).body == b"null"
    faulty(emulator, "shape")
    assert unassign(call, "10.0.0.11").body == b"[]"


@pytest.mark.parametrize(("kind", "left"), [("reset_before", 3), ("reset_after", 2)])
def test_connection_resets(emulator: Any, call: Any, kind: str, left: int) -> None:
    faulty(emulator, kind)
    with pytest.raises(ConnectionResetError):
        unassign(call, "10.0.0.11")
    assert len(real_addresses(emulator)) == left
    assert emulator.calls()[0]["status"] is None
    assert unassign(call, "10.0.0.12").status == 200


def test_a_reply_cut_off(emulator: Any, call: Any) -> None:
    faulty(emulator, "cut")
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        unassign(call, "10.0.0.11")
    assert len(real_addresses(emulator)) == 2


@pytest.mark.parametrize(("after_effect", "left"), [(False, 3), (True, 2)])
def test_slow_calls_take_effect_before_or_after_the_wait(emulator: Any, call: Any, after_effect: bool, left: int) -> None:
    emulator.faults([{"kind": "slow", "ms": 250, "after_effect": after_effect}])
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(unassign, call, "10.0.0.11")
        time.sleep(0.1)
        assert len(real_addresses(emulator)) == left
        assert answer.result().status == 200
    assert len(real_addresses(emulator)) == 2


def test_stale_reads(emulator: Any, call: Any) -> None:
    unassign(call, "10.0.0.11")
    time.sleep(0.1)
    unassign(call, "10.0.0.12")
    emulator.faults([{"kind": "stale", "nth": 1}, {"kind": "stale", "nth": 2, "ms": 60000}, {"kind": "stale", "nth": 3, "ms": 90}])
    assert shown_addresses(call(LIST, **ONE)) == ["10.0.0.12", "10.0.0.13"]
    assert shown_addresses(call(LIST, **ONE)) == ["10.0.0.11", "10.0.0.12", "10.0.0.13"]
    assert shown_addresses(call(LIST, **ONE)) == ["10.0.0.12", "10.0.0.13"]
    assert shown_addresses(call(LIST, **ONE)) == ["10.0.0.13"]


def test_somebody_else_unassigns_an_address(emulator: Any, call: Any) -> None:
    emulator.faults([{"kind": "take_address", "action": UNASSIGN, "nth": 1}])
    assert unassign(call, "10.0.0.11", "10.0.0.12").code == "InvalidIp.IpUnassigned"
    assert real_addresses(emulator) == ["10.0.0.12", "10.0.0.13"]
    (record,) = emulator.calls()
    assert record["by_others"] == [{"eni_id": "eni-primary", "unassigned": {"private_ip_addresses": ["10.0.0.11"]}}]
    assert record["effect"] == {}
    emulator.faults([{"kind": "take_address", "id": "eni-secondary", "address": "10.0.0.32", "nth": 1}])
    assert call(LIST).status == 200
    assert real_addresses(emulator, "eni-secondary") == ["10.0.0.31"]


def test_somebody_else_deletes_the_interface(emulator: Any, call: Any) -> None:
    emulator.faults([{"kind": "delete_interface", "action": "write", "nth": 1}])
    assert unassign(call, "10.0.0.11").code == "InvalidEniId.NotFound"
    assert "eni-primary" not in emulator.state()["interfaces"]
    assert call(LIST, **ONE).json["NetworkInterfaceSets"]["NetworkInterfaceSet"] == []
    # Its addresses are free.
    assert call("AssignPrivateIpAddresses", NetworkInterfaceId="eni-available", PrivateIpAddress=["10.0.0.11"]).status == 200


@pytest.mark.parametrize(
    ("thing", "status", "code"),
    [("", "Detaching", "InvalidOperation.InvalidEniState"), ("i-running", "Stopping", "InvalidOperation.InvalidEcsState")],
)
def test_a_state_changes(emulator: Any, call: Any, thing: str, status: str, code: str) -> None:
    emulator.faults([{"kind": "change_state", "action": UNASSIGN, "nth": 1, "status": status, **({"id": thing} if thing else {})}])
    assert unassign(call, "10.0.0.11").code == code


def statuses(call: Any, action: str = "DescribeRegions", times: int = 6) -> list[int]:
    return [call(action).status for _number in range(times)]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, [503] * 6),
        ({"nth": 2}, [200, 503, 200, 200, 200, 200]),
        ({"times": 2}, [503, 503, 200, 200, 200, 200]),
        ({"nth": 3, "times": 2}, [200, 200, 503, 503, 200, 200]),
        ({"probability": 0}, [200] * 6),
        ({"probability": 1, "times": 1}, [503, 200, 200, 200, 200, 200]),
        ({"action": LIST}, [200] * 6),
        ({"action": ["DescribeRegions", LIST], "nth": 1}, [503, 200, 200, 200, 200, 200]),
        ({"action": "write"}, [200] * 6),
        ({"action": "read", "nth": 1}, [503, 200, 200, 200, 200, 200]),
        ({"eni_id": "eni-primary"}, [200] * 6),
    ],
)
def test_when_a_fault_fires(emulator: Any, call: Any, when: dict[str, Any], expected: list[int]) -> None:
    emulator.faults([{"kind": "503", **when}])
    assert statuses(call) == expected


def test_a_fault_may_affect_only_one_interface(emulator: Any, call: Any) -> None:
    emulator.faults([{"kind": "500", "eni_id": "eni-primary"}])
    assert call(LIST, NetworkInterfaceId=["eni-available"]).status == 200
    assert call(LIST, NetworkInterfaceId=["eni-available", "eni-primary"]).status == 500
    assert unassign(call, "10.0.0.11").status == 500
    (fault,) = emulator.fault_counts()
    assert (fault["matched"], fault["fired"]) == (2, 2)


def test_chance_does_not_depend_on_the_order_of_calls(process: Any, seed: dict[str, Any], call: Any) -> None:
    ids = [f"eni-{number:04d}" for number in range(40)]

    def unlucky(order: list[str], random_seed: int) -> set[str]:
        process.reset(seed=seed, random_seed=random_seed)
        process.faults([{"kind": "500", "probability": 0.3}])
        return {eni_id for eni_id in order if call(LIST, NetworkInterfaceId=[eni_id]).status == 500}

    first = unlucky(ids, 1)
    assert 0 < len(first) < len(ids)
    assert unlucky(ids[::-1], 1) == first
    assert unlucky(ids, 2) != first


def test_wrong_faults_are_refused_with_all_errors(emulator: Any) -> None:
    with pytest.raises(EmulatorError) as caught:
        emulator.faults(
            [{"kind": "earthquake"}, {"kind": "slow"}, {"kind": "500", "nth": 0, "when": "now"}, "500", {"kind": "500", "probability": 2}]
        )
    text = str(caught.value)
    for expected in (
        "faults[0]: kind 'earthquake'",
        "faults[1]: slow needs ms",
        "faults[2]: 'when'",
        "nth must be",
        "faults[3]",
        "probability must",
    ):
        assert expected in text


# --- control


def test_a_reset_restores_the_start(process: Any, seed: dict[str, Any], call: Any) -> None:
    process.reset(seed=seed, latency_ms=5, switches={"batch": "partial"})
    assert process.settings()["settings"]["switches"]["batch"] == "partial"
    process.faults([{"kind": "500"}])
    assert call(LIST).status == 500
    process.reset()
    assert process.calls() == process.fault_counts() == []
    assert process.settings()["settings"]["latency_ms"] == 0
    assert process.settings()["settings"]["switches"]["batch"] == "atomic"
    assert "eni-web0001" in process.state()["interfaces"]


def test_a_wrong_reset_changes_nothing(emulator: Any) -> None:
    before = emulator.state()
    with pytest.raises(EmulatorError) as caught:
        emulator.reset(
            latency_ms=-1,
            window_seconds=float("inf"),
            lag_ms=[2, 1],
            switches={"batch": "maybe", "btach": "atomic"},
            calls_per_minute="many",
            hurry=True,
        )
    text = str(caught.value)
    for expected in (
        "latency_ms must",
        "window_seconds must",
        "lag_ms must",
        "switch batch can't be 'maybe'",
        "switch 'btach'",
        "calls_per_minute must",
        "'hurry' is not",
    ):
        assert expected in text
    assert emulator.state() == before


def test_calls_are_selected_by_number_and_action(emulator: Any, call: Any) -> None:
    call(LIST)
    call("DescribeRegions")
    call(LIST, MaxResults=10)
    assert [record["sequence"] for record in emulator.calls(LIST)] == [1, 3]
    assert [record["sequence"] for record in emulator.calls(since=1)] == [2, 3]
    assert [record["parameters"] for record in emulator.calls(LIST)] == [
        {"RegionId": "cn-hangzhou"},
        {"RegionId": "cn-hangzhou", "MaxResults": "10"},
    ]


def test_calls_are_selected_by_whether_they_write(emulator: Any, call: Any) -> None:
    call(LIST)
    call(UNASSIGN, NetworkInterfaceId="eni-nowhere", PrivateIpAddress=["10.0.0.11"])
    call("AssignIpv6Addresses", NetworkInterfaceId="eni-available", Ipv6AddressCount=1)
    acs3(emulator.endpoint, UNASSIGN, {}, key=("emulator-key-id", "wrong")).send(emulator.endpoint)
    call("TerminateEverything")
    assert [record["writes"] for record in emulator.calls()] == [False, True, True, True, False]
    assert [record["sequence"] for record in emulator.calls(writes=True)] == [2, 3, 4]
    assert [record["sequence"] for record in emulator.calls(writes=False)] == [1, 5]
    assert [record["sequence"] for record in emulator.calls(UNASSIGN, since=2, writes=True)] == [4]
    assert emulator.calls(LIST, writes=True) == []


def test_a_wrong_request_for_calls_is_refused_with_all_errors(emulator: Any) -> None:
    with pytest.raises(
        EmulatorError, match="since must be the sequence number of a call, not 'x'; writes must be true or false, not 'yes'"
    ):
        emulator._talk("GET", "calls?since=x&writes=yes")


def test_a_call_with_a_refused_signature_is_listed_too(emulator: Any) -> None:
    acs3(emulator.endpoint, LIST, {}, key=("emulator-key-id", "wrong")).send(emulator.endpoint)
    (record,) = emulator.calls()
    assert (record["action"], record["status"], record["code"], record["caller"]) == (LIST, 400, "SignatureDoesNotMatch", "")
