# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals before and after the effect, repeated requests, rows that a read does not show, and requests that are carried out later."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ecs_emulator
import pytest
from alibabacloud_ecs20140526 import models
from ecs_emulator.damage import FIELDS
from ecs_emulator.fault_documents import COMMON, DETAILS
from ecs_emulator.faults import KINDS
from support.emulator import EmulatorError
from support.raw_call import version_1

LIST, ATTRIBUTE = "DescribeNetworkInterfaces", "DescribeNetworkInterfaceAttribute"
INSTANCES, GROUPS = "DescribeInstances", "DescribeSecurityGroups"
UNASSIGN, ASSIGN = "UnassignPrivateIpAddresses", "AssignPrivateIpAddresses"


def real_addresses(emulator: Any, eni_id: str = "eni-primary") -> list[str]:
    return list(emulator.state()["interfaces"][eni_id]["private_ip_addresses"])


def unassign(call: Any, *addresses: str) -> Any:
    return call(UNASSIGN, NetworkInterfaceId="eni-primary", PrivateIpAddress=list(addresses))


def assign(call: Any, *addresses: str, token: str = "") -> Any:
    return call(ASSIGN, NetworkInterfaceId="eni-available", PrivateIpAddress=list(addresses), ClientToken=token)


def rows(answer: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer.json["NetworkInterfaceSets"]["NetworkInterfaceSet"]
    return found


def ids(answer: Any) -> list[str]:
    return [row["NetworkInterfaceId"] for row in rows(answer)]


# --- any code and status, before or after the effect

REFUSING = [
    ({"kind": "throttle"}, 400, "Throttling", "Request was denied due to request throttling."),
    (
        {"kind": "throttle", "code": "Throttling.User", "status": 429},
        429,
        "Throttling.User",
        "Request was denied due to user flow control.",
    ),
    ({"kind": "throttle", "code": "Throttling.Odd", "message": "Slow down."}, 400, "Throttling.Odd", "Slow down."),
    ({"kind": "conflict"}, 403, "Operation.Conflict", "ecs task is conflicted."),
    ({"kind": "500"}, 500, "InternalError", "The request processing has failed due to some unknown error."),
    ({"kind": "503"}, 503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server."),
    ({"kind": "error", "code": "ServiceTimeout", "status": 504}, 504, "ServiceTimeout", "The request was refused."),
    ({"kind": "error", "code": "SystemBusy", "status": 599, "message": "Busy."}, 599, "SystemBusy", "Busy."),
    ({"kind": "error", "code": "Forbidden.RAM", "status": 400}, 400, "Forbidden.RAM", "User not authorized to operate on the specified "),
    # The usual text has a placeholder, and the fault has no value for it.
    ({"kind": "error", "code": "InvalidEniId.NotFound", "status": 404}, 404, "InvalidEniId.NotFound", "The request was refused."),
]


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize(("fault", "status", "code", "message"), REFUSING)
def test_any_refusal_comes_before_or_after_the_effect(
    emulator: Any, call: Any, fault: dict[str, Any], status: int, code: str, message: str, after_effect: bool
) -> None:
    emulator.faults([{**fault, "nth": 1, "after_effect": after_effect}])
    answer = unassign(call, "10.0.0.11")
    assert (answer.status, answer.code) == (status, code)
    assert answer.json["Message"].startswith(message)
    assert set(answer.json) == {"RequestId", "HostId", "Code", "Message", "Recommend"}
    assert ("10.0.0.11" in real_addresses(emulator)) is not after_effect
    (record,) = emulator.calls()
    assert (record["status"], record["code"], record["faults"]) == (status, code, [fault["kind"]])
    assert bool(record["effect"]) is after_effect


@pytest.mark.parametrize(
    ("action", "parameters", "effect"),
    [
        (ASSIGN, {"NetworkInterfaceId": "eni-available", "PrivateIpAddress": ["10.0.0.150"]}, "assigned"),
        ("AssignIpv6Addresses", {"NetworkInterfaceId": "eni-available", "Ipv6Address": ["fd00::150"]}, "assigned"),
        ("UnassignIpv6Addresses", {"NetworkInterfaceId": "eni-secondary", "Ipv6Address": ["fd00::31"]}, "unassigned"),
        (LIST, {}, ""),
        (ATTRIBUTE, {"NetworkInterfaceId": "eni-primary"}, ""),
        (INSTANCES, {}, ""),
        (GROUPS, {}, ""),
        ("DescribeRegions", {}, ""),
    ],
)
def test_any_action_can_be_refused(emulator: Any, call: Any, action: str, parameters: dict[str, Any], effect: str) -> None:
    emulator.faults([{"kind": "error", "code": "SystemError", "status": 502, "after_effect": True, "retry_after": 70}])
    answer = call(action, **parameters)
    assert (answer.status, answer.code, answer.headers["x-acs-retry-after"]) == (502, "SystemError", "70")
    assert (effect in emulator.calls()[0]["effect"]) is bool(effect)


def test_an_error_reaches_a_client_that_reads_xml(emulator: Any) -> None:
    emulator.faults([{"kind": "error", "code": "SystemBusy", "status": 503, "message": "<busy>"}])
    answer = version_1(emulator.endpoint, LIST, {"RegionId": "cn-hangzhou"}, reply_format="XML").send(emulator.endpoint)
    assert (answer.status, answer.xml.tag, answer.xml.findtext("Code"), answer.xml.findtext("Message")) == (
        503,
        "Error",
        "SystemBusy",
        "<busy>",
    )


@pytest.mark.parametrize(
    ("fault", "code"), [({"kind": "503"}, "ServiceUnavailable"), ({"kind": "slow", "ms": 1}, "InvalidIp.IpUnassigned")]
)
def test_a_fault_after_the_effect_replaces_the_refusal_of_the_action_too(
    emulator: Any, call: Any, fault: dict[str, Any], code: str
) -> None:
    emulator.faults([{**fault, "after_effect": True}])
    assert unassign(call, "10.0.0.99").code == code
    assert emulator.calls()[0]["effect"] == {}


def test_a_connection_is_reset_after_a_refusal_too(emulator: Any, call: Any) -> None:
    emulator.faults([{"kind": "reset_after", "nth": 1}, {"kind": "cut", "nth": 2}])
    with pytest.raises(ConnectionResetError):
        unassign(call, "10.0.0.99")
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        unassign(call, "10.0.0.99")
    assert [(record["status"], record["code"], record["effect"]) for record in emulator.calls()] == [(None, "", {})] * 2


# --- a request that arrives twice


def test_a_repeated_request_has_a_used_nonce(emulator: Any, call: Any) -> None:
    emulator.faults([{"kind": "twice", "nth": 1}])
    answer = unassign(call, "10.0.0.11")
    assert (answer.status, answer.code, answer.json["Message"]) == (
        400,
        "SignatureNonceUsed",
        "Specified signature nonce was used already.",
    )
    assert real_addresses(emulator) == ["10.0.0.12", "10.0.0.13"]
    first, second = emulator.calls()
    assert first["effect"] == {"eni_id": "eni-primary", "unassigned": {"private_ip_addresses": ["10.0.0.11"]}}
    # The client got the second reply and never the first one.
    assert (first["status"], first["code"], first["faults"], first["repeats"]) == (None, "", ["twice"], None)
    assert (second["status"], second["code"], second["faults"], second["repeats"]) == (400, "SignatureNonceUsed", [], 1)
    assert second["request_id"] == answer.json["RequestId"] != first["request_id"]
    assert (second["parameters"], second["effect"]) == (first["parameters"], {})
    # It fires once.
    assert unassign(call, "10.0.0.12").status == 200
    assert emulator.calls()[-1]["repeats"] is None


def test_a_repeated_request_with_signature_version_1(emulator: Any) -> None:
    emulator.faults([{"kind": "twice"}])
    parameters = {"RegionId": "cn-hangzhou", "NetworkInterfaceId": "eni-primary", "PrivateIpAddress.1": "10.0.0.11"}
    answer = version_1(emulator.endpoint, UNASSIGN, parameters).send(emulator.endpoint)
    assert answer.code == "SignatureNonceUsed"
    assert real_addresses(emulator) == ["10.0.0.12", "10.0.0.13"]


def test_a_repeat_that_was_signed_again_gets_what_the_action_answers_then(emulator: Any, call: Any) -> None:
    emulator.faults([{"kind": "twice", "nonce": "fresh"}])
    assert unassign(call, "10.0.0.11").code == "InvalidIp.IpUnassigned"
    assert real_addresses(emulator) == ["10.0.0.12", "10.0.0.13"]
    assert assign(call, "10.0.0.150").code == "InvalidIp.IpAssigned"
    assert real_addresses(emulator, "eni-available") == ["10.0.0.41", "10.0.0.150"]


def test_a_repeat_with_the_same_client_token_is_idempotent(emulator: Any, call: Any) -> None:
    emulator.faults([{"kind": "twice", "nonce": "fresh"}])
    answer = call(ASSIGN, NetworkInterfaceId="eni-available", SecondaryPrivateIpAddressCount=2, ClientToken="token-1")
    assert answer.status == 200
    assigned = answer.json["AssignedPrivateIpAddressesSet"]["PrivateIpSet"]["PrivateIpAddress"]
    assert real_addresses(emulator, "eni-available") == ["10.0.0.41", *assigned]
    assert [bool(record["effect"]) for record in emulator.calls()] == [True, False]


def test_a_read_can_be_repeated_too(emulator: Any, call: Any) -> None:
    emulator.faults([{"kind": "twice", "nth": 1, "nonce": "fresh"}, {"kind": "twice", "nth": 2}])
    assert len(rows(call(LIST))) == 9
    assert call(LIST).code == "SignatureNonceUsed"


def test_other_faults_meet_the_first_of_the_two(emulator: Any, call: Any) -> None:
    """So SignatureNonceUsed does not prove that something took effect."""
    emulator.faults([{"kind": "twice"}, {"kind": "503"}])
    assert unassign(call, "10.0.0.11").code == "SignatureNonceUsed"
    assert len(real_addresses(emulator)) == 3
    emulator.faults([{"kind": "reset_before"}, {"kind": "twice", "nonce": "fresh"}])
    assert unassign(call, "10.0.0.11").status == 200
    assert real_addresses(emulator) == ["10.0.0.12", "10.0.0.13"]
    assert [(record["repeats"], bool(record["effect"])) for record in emulator.calls()] == [
        (None, False),
        (1, False),
        (None, False),
        (3, True),
    ]


def test_both_count_towards_the_limit_of_calls(process: Any, seed: dict[str, Any], call: Any) -> None:
    process.reset(seed=seed, calls_per_minute=1, window_seconds=1000)
    process.faults([{"kind": "twice", "nonce": "fresh"}])
    assert call("DescribeRegions").code == "Throttling"


def test_a_request_with_a_refused_signature_triggers_no_fault(emulator: Any, call: Any) -> None:
    emulator.faults([{"kind": "twice"}])
    assert call(LIST, key=("emulator-key-id", "wrong")).code == "SignatureDoesNotMatch"
    assert len(emulator.calls()) == 1
    assert emulator.fault_counts()[0]["matched"] == 0


# --- rows that a read does not show


def test_dropped_rows_are_not_there(emulator: Any, call: Any) -> None:
    emulator.faults([{"kind": "drop_rows", "ids": ["eni-primary", "i-starting", "sg-b"]}])
    everything = call(LIST, PageSize=100)
    assert "eni-primary" not in ids(everything)
    assert everything.json["TotalCount"] == len(rows(everything)) == 8
    assert ids(call(LIST, NetworkInterfaceId=["eni-primary", "eni-secondary"])) == ["eni-secondary"]
    assert call(ATTRIBUTE, NetworkInterfaceId="eni-primary").code == "InvalidEniId.NotFound"
    (instance,) = call(INSTANCES).json["Instances"]["Instance"]
    assert instance["InstanceId"] == "i-running"
    interfaces = instance["NetworkInterfaces"]["NetworkInterface"]
    assert [row["NetworkInterfaceId"] for row in interfaces] == ["eni-secondary", "eni-detaching"]
    assert [row["SecurityGroupId"] for row in call(GROUPS).json["SecurityGroups"]["SecurityGroup"]] == ["sg-a"]
    # It still exists, and writes find it.
    assert "eni-primary" in emulator.state()["interfaces"]
    assert unassign(call, "10.0.0.11").status == 200


def test_rows_can_be_dropped_from_one_action_and_for_a_while(emulator: Any, call: Any) -> None:
    emulator.faults([{"kind": "drop_rows", "ids": ["eni-primary"], "action": LIST, "nth": 2}])
    asked = {"NetworkInterfaceId": ["eni-primary"]}
    call("DescribeRegions")
    unassign(call, "10.0.0.11")
    assert [len(rows(call(LIST, **asked))) for _number in range(3)] == [1, 0, 1]
    assert emulator.fault_counts()[0]["matched"] == 3
    emulator.faults([{"kind": "drop_rows", "ids": ["eni-primary"], "eni_id": "eni-primary"}])
    assert ids(call(LIST, **asked)) == []
    assert "eni-primary" in ids(call(LIST, Type="Primary"))


def test_only_reads_with_rows_count(emulator: Any, call: Any) -> None:
    emulator.faults([{"kind": "drop_rows", "ids": ["eni-primary"], "nth": 1}])
    call("DescribeRegions")
    unassign(call, "10.0.0.11")
    assert "eni-primary" not in ids(call(LIST))


def test_pages_stay_whole_without_the_dropped_rows(many: Any, call: Any) -> None:
    many.faults([{"kind": "drop_rows", "ids": ["eni-node00000", "eni-many00099"]}])
    found: list[str] = []
    token = ""
    while not found or token:
        answer = call(LIST, MaxResults=100, NextToken=token)
        found, token = found + ids(answer), answer.json["NextToken"]
        assert len(rows(answer)) == 100 or not token
    assert len(found) == len(set(found)) == 1221


def test_stripped_rows_lack_what_is_named(emulator: Any, call: Any) -> None:
    fault = {"kind": "strip_rows", "action": INSTANCES, "fields": ["NetworkInterfaces"]}
    emulator.faults([{**fault, "ids": ["i-running"]}])
    running, starting = call(INSTANCES).json["Instances"]["Instance"]
    assert running["NetworkInterfaces"] == {"NetworkInterface": []}
    assert len(starting["NetworkInterfaces"]["NetworkInterface"]) == 2
    emulator.faults([{**fault, "leave": "absent"}])
    assert ["NetworkInterfaces" in row for row in call(INSTANCES).json["Instances"]["Instance"]] == [False, False]
    assert all("PrivateIpSets" in row for row in rows(call(LIST)))


def test_addresses_can_be_stripped_wherever_the_interface_is_shown(emulator: Any, call: Any) -> None:
    fields = ["PrivateIpSets", "Ipv6Sets", "Ipv4PrefixSets", "Ipv6PrefixSets", "PrivateIpAddress"]
    emulator.faults([{"kind": "strip_rows", "ids": ["eni-secondary"], "fields": fields}])
    primary, secondary = rows(call(LIST, NetworkInterfaceId=["eni-primary", "eni-secondary"]))
    attribute = call(ATTRIBUTE, NetworkInterfaceId="eni-secondary").json
    for row in (secondary, attribute):
        assert {name: row[name] for name in fields} == {
            "PrivateIpSets": {"PrivateIpSet": []},
            "Ipv6Sets": {"Ipv6Set": []},
            "Ipv4PrefixSets": {"Ipv4PrefixSet": []},
            "Ipv6PrefixSets": {"Ipv6PrefixSet": []},
            "PrivateIpAddress": "",
        }
        assert row["Status"] == "InUse"
    assert len(primary["PrivateIpSets"]["PrivateIpSet"]) == 4
    shown = call(INSTANCES, InstanceIds='["i-running"]').json["Instances"]["Instance"][0]["NetworkInterfaces"]["NetworkInterface"]
    assert {row["NetworkInterfaceId"]: len(row["PrivateIpSets"]["PrivateIpSet"]) for row in shown} == {
        "eni-primary": 4,
        "eni-secondary": 0,
        "eni-detaching": 2,
    }
    assert shown[1]["PrimaryIpAddress"] == "10.0.0.30"
    # The interface still has them.
    assert len(real_addresses(emulator, "eni-secondary")) == 2


def test_a_stripped_reply_is_one_that_the_sdk_reads(emulator: Any, sdk: Any) -> None:
    emulator.faults([{"kind": "strip_rows", "fields": ["PrivateIpSets", "InstanceId", "Tags"], "leave": "absent"}])
    request = models.DescribeNetworkInterfacesRequest(region_id="cn-hangzhou", network_interface_id=["eni-secondary"])
    (eni,) = sdk.describe_network_interfaces(request).body.network_interface_sets.network_interface_set
    assert (eni.private_ip_sets, eni.instance_id, eni.tags) == (None, None, None)


# --- requests that are carried out later


def postpone(emulator: Any, **more: Any) -> None:
    emulator.faults([{"kind": "processing", "action": "write", "nth": 1, **more}])


def test_a_request_is_processed_for_a_while(emulator: Any, call: Any) -> None:
    postpone(emulator, ms=250)
    first = assign(call, "10.0.0.150", token="token-1")
    assert (first.status, first.code) == (503, "ServiceUnavailable")
    assert real_addresses(emulator, "eni-available") == ["10.0.0.41"]
    again = assign(call, "10.0.0.150", token="token-1")
    assert (again.status, again.code) == (400, "IdempotentProcessing")
    assert again.json["Message"] == "The previous idempotent request(s) is still processing."
    time.sleep(0.26)
    # It ends without another call.
    assert real_addresses(emulator, "eni-available") == ["10.0.0.41", "10.0.0.150"]
    done = assign(call, "10.0.0.150", token="token-1")
    assert done.json["AssignedPrivateIpAddressesSet"]["PrivateIpSet"]["PrivateIpAddress"] == ["10.0.0.150"]
    assert [bool(record["effect"]) for record in emulator.calls()] == [True, False, False]


def test_a_request_is_processed_for_some_calls(emulator: Any, call: Any) -> None:
    postpone(emulator, calls=2, code="ServiceTimeout", status=504, message="Too late.")
    first = assign(call, "10.0.0.150", token="token-1")
    assert (first.status, first.code, first.json["Message"]) == (504, "ServiceTimeout", "Too late.")
    # Reads and other interfaces do not matter.
    call(LIST)
    assert unassign(call, "10.0.0.11").status == 200
    codes = [assign(call, "10.0.0.150", token="token-1").code for _number in range(3)]
    assert codes == ["IdempotentProcessing", "IdempotentProcessing", ""]
    assert real_addresses(emulator, "eni-available") == ["10.0.0.41", "10.0.0.150"]


def test_whichever_comes_first_ends_the_processing(emulator: Any, call: Any) -> None:
    postpone(emulator, calls=1, ms=60000)
    assign(call, "10.0.0.150", token="token-1")
    assert [assign(call, "10.0.0.150", token="token-1").status for _number in range(2)] == [400, 200]


def test_the_same_token_for_another_request_is_refused_meanwhile(emulator: Any, call: Any) -> None:
    postpone(emulator, ms=60000)
    assign(call, "10.0.0.150", token="token-1")
    assert assign(call, "10.0.0.151", token="token-1").code == "IdempotentFailed"


def test_meanwhile_the_interface_is_busy(emulator: Any, call: Any) -> None:
    postpone(emulator, ms=200)
    assign(call, "10.0.0.150", token="token-1")
    assert assign(call, "10.0.0.151", token="token-2").code == "Operation.Conflict"
    assert call(UNASSIGN, NetworkInterfaceId="eni-available", PrivateIpAddress=["10.0.0.41"]).code == "Operation.Conflict"
    time.sleep(0.21)
    assert assign(call, "10.0.0.151", token="token-2").status == 200
    assert real_addresses(emulator, "eni-available") == ["10.0.0.41", "10.0.0.150", "10.0.0.151"]


def test_writes_at_once_may_be_accepted_meanwhile(process: Any, seed: dict[str, Any], call: Any) -> None:
    process.reset(seed=seed, switches={"concurrent_writes": "accept"})
    postpone(process, calls=2)
    assign(call, "10.0.0.150", token="token-1")
    assert [assign(call, "10.0.0.151").status, assign(call, "10.0.0.152").status] == [200, 200]
    assert real_addresses(process, "eni-available") == ["10.0.0.41", "10.0.0.151", "10.0.0.152", "10.0.0.150"]


def test_an_earlier_request_that_failed_uses_its_token_up(emulator: Any, call: Any) -> None:
    postpone(emulator, calls=1, fails=True)
    assign(call, "10.0.0.150", token="token-1")
    codes = [assign(call, "10.0.0.150", token="token-1").code for _number in range(3)]
    assert codes == ["IdempotentProcessing", "IdempotentFailed", "IdempotentFailed"]
    assert "has failed" in assign(call, "10.0.0.150", token="token-1").json["Message"]
    assert real_addresses(emulator, "eni-available") == ["10.0.0.41"]
    assert assign(call, "10.0.0.150", token="token-2").status == 200


def test_a_refusal_of_the_action_shows_at_the_end(emulator: Any, call: Any) -> None:
    postpone(emulator, ms=30)
    assert assign(call, "10.0.0.11", token="token-1").code == "ServiceUnavailable"
    time.sleep(0.04)
    assert assign(call, "10.0.0.11", token="token-1").code == "IdempotentFailed"
    assert all(record["effect"] == {} for record in emulator.calls())


def test_a_write_without_a_token_takes_effect_late(emulator: Any, call: Any) -> None:
    postpone(emulator, ms=100)
    assert unassign(call, "10.0.0.11").code == "ServiceUnavailable"
    assert unassign(call, "10.0.0.11").code == "Operation.Conflict"
    assert len(real_addresses(emulator)) == 3
    time.sleep(0.11)
    assert real_addresses(emulator) == ["10.0.0.12", "10.0.0.13"]
    assert unassign(call, "10.0.0.11").code == "InvalidIp.IpUnassigned"
    assert emulator.calls()[0]["effect"] == {"eni_id": "eni-primary", "unassigned": {"private_ip_addresses": ["10.0.0.11"]}}


def test_another_fault_decides_what_the_client_gets(emulator: Any, call: Any) -> None:
    processing = {"kind": "processing", "calls": 1, "nth": 1}
    emulator.faults([processing, {"kind": "reset_after", "nth": 1}])
    with pytest.raises(ConnectionResetError):
        assign(call, "10.0.0.150", token="token-1")
    assert [assign(call, "10.0.0.150", token="token-1").code for _number in range(2)] == ["IdempotentProcessing", ""]
    # With a failure before the effect, the request does not reach the service.
    emulator.faults([processing, {"kind": "reset_before", "nth": 1}])
    with pytest.raises(ConnectionResetError):
        assign(call, "10.0.0.151", token="token-2")
    assert assign(call, "10.0.0.151", token="token-2").status == 200


def test_a_repeated_request_that_is_still_processed(emulator: Any, call: Any) -> None:
    emulator.faults([{"kind": "processing", "calls": 2, "nth": 1}, {"kind": "twice", "nonce": "fresh", "nth": 1}])
    assert [assign(call, "10.0.0.150", token="token-1").code for _number in range(3)] == ["IdempotentProcessing"] * 2 + [""]


def test_a_token_that_is_known_is_not_processed_again(emulator: Any, call: Any) -> None:
    emulator.faults([{"kind": "processing", "ms": 0}])
    assert assign(call, "10.0.0.150", token="token-1").code == "ServiceUnavailable"
    assert assign(call, "10.0.0.150", token="token-1").status == 200
    assert assign(call, "10.0.0.151", token="token-2").code == "ServiceUnavailable"


def test_without_permission_nothing_is_processed(emulator: Any, call: Any) -> None:
    postpone(emulator, ms=0)
    assert call(UNASSIGN, key=("limited-key", "secret"), NetworkInterfaceId="eni-primary").code == "Forbidden.RAM"
    postpone(emulator, ms=0)
    assert call(UNASSIGN, PrivateIpAddress=["10.0.0.11"]).code == "MissingParameter"


def test_a_late_effect_lags_from_when_it_took_place(process: Any, seed: dict[str, Any], call: Any) -> None:
    process.reset(seed=seed, lag_ms=300)
    postpone(process, ms=100)
    unassign(call, "10.0.0.11")
    asked = {"PrivateIpAddress": ["10.0.0.11"]}
    time.sleep(0.2)
    assert ids(call(LIST, **asked)) == ["eni-primary"]
    assert len(real_addresses(process)) == 2
    time.sleep(0.25)
    assert ids(call(LIST, **asked)) == []


def test_the_errors_of_a_token_do_not_depend_on_earlier_calls(emulator: Any, call: Any) -> None:
    codes = ["IdempotentProcessing", "IdempotentFailed"]
    emulator.faults([{"kind": "error", "code": code, "status": 400, "nth": number} for number, code in enumerate(codes, 1)])
    assert [assign(call, "10.0.0.150", token="token-1").code for _number in range(3)] == [*codes, ""]


def test_faults_work_with_concurrent_calls(emulator: Any, call: Any) -> None:
    emulator.faults([{"kind": "twice", "action": UNASSIGN, "nonce": "fresh"}])
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda last: unassign(call, f"10.0.0.{last}"), (11, 12, 13)))
    # If the first of the two is in conflict with another call, the second one acts.
    assert {answer.code for answer in answers} <= {"InvalidIp.IpUnassigned", "Operation.Conflict", ""}
    by_sequence = {record["sequence"]: record for record in emulator.calls()}
    for record in by_sequence.values():
        if record["repeats"]:
            assert by_sequence[record["repeats"]]["parameters"] == record["parameters"]


# --- wrong faults

WRONG: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"kind": "error", "code": "", "status": 200},
        ["code must be a text that is not empty, not ''", "status must be a whole number from 400"],
    ),
    ({"kind": "error", "code": "A", "status": "503"}, ["status must be a whole number from 400 to 599, not '503'"]),
    ({"kind": "error", "code": "A", "status": 600, "message": 5}, ["not 600", "message must be a text"]),
    ({"kind": "error"}, ["error needs code", "error needs status"]),
    ({"kind": "throttle", "retry_after": 0, "status": True}, ["retry_after must be a whole number from 1", "status must be"]),
    ({"kind": "500", "after_effect": "yes"}, ["after_effect must be true or false, not 'yes'"]),
    ({"kind": "500", "status": 501}, ["'status' is not known for 500"]),
    ({"kind": "500", "action": "Describe"}, ["action 'Describe' can't be used for 500; there are: *, read, write, DescribeNetwork"]),
    ({"kind": "500", "action": []}, ["action must be a name or a list of names, not []"]),
    ({"kind": "500", "action": {"read": 1}}, ["action must be a name or a list of names"]),
    ({"kind": "500", "times": 1.5, "eni_id": 7}, ["times must be a whole number from 1, not 1.5", "eni_id must be a text"]),
    ({"kind": "slow", "ms": float("nan")}, ["ms must be a number from 0"]),
    ({"kind": "shape", "shape": ["null"]}, ["shape is one of object, null, missing, not ['null']"]),
    ({"kind": "change_state", "status": "Idle"}, ["status is one of Available, "]),
    ({"kind": "stale", "after_effect": True}, ["'after_effect' is not known for stale"]),
    ({"kind": "take_address", "after_effect": True}, ["'after_effect' is not known for take_address"]),
    ({"kind": "twice", "nonce": "new", "after_effect": True}, ["nonce is one of used, fresh", "'after_effect' is not known for twice"]),
    ({"kind": "drop_rows"}, ["drop_rows needs ids"]),
    ({"kind": "drop_rows", "ids": []}, ["ids must be a list of ids of ENIs, instances or security groups, not []"]),
    ({"kind": "drop_rows", "ids": ["eni-1", "vsw-1"]}, ["ids must be a list of ids"]),
    ({"kind": "drop_rows", "ids": "eni-1"}, ["ids must be a list of ids"]),
    (
        {"kind": "drop_rows", "ids": ["eni-1"], "action": "write"},
        ["action 'write' can't be used for drop_rows; there are: *, read, Describe"],
    ),
    (
        {"kind": "drop_rows", "ids": ["eni-1"], "action": [UNASSIGN, "DescribeRegions"], "after_effect": False},
        [f"action '{UNASSIGN}' can't", "action 'DescribeRegions' can't", "'after_effect' is not known"],
    ),
    ({"kind": "strip_rows", "ids": ["i-1"]}, ["strip_rows needs fields"]),
    (
        {"kind": "strip_rows", "fields": ["Colour"], "leave": "null"},
        ["fields must be a list of fields; there are: Netw", "leave is one of"],
    ),
    ({"kind": "processing"}, ["processing needs ms or calls"]),
    ({"kind": "processing", "calls": 0, "fails": 1}, ["calls must be a whole number from 1", "fails must be true or false"]),
    ({"kind": "processing", "ms": -1, "action": ["read", LIST]}, ["ms must be a number from 0", "action 'read' can't", f"'{LIST}' can't"]),
]


@pytest.mark.parametrize(("fault", "problems"), WRONG)
def test_a_wrong_fault_is_refused(emulator: Any, fault: dict[str, Any], problems: list[str]) -> None:
    emulator.faults([{"kind": "503", "nth": 7}])
    with pytest.raises(EmulatorError) as caught:
        emulator.faults([{"kind": "500"}, fault])
    text = str(caught.value)
    for problem in problems:
        assert problem in text
    assert "faults[1]: " in text
    assert "faults[0]" not in text
    # The earlier faults stay.
    assert [fault["kind"] for fault in emulator.fault_counts()] == ["503"]


def test_all_wrong_faults_are_reported_at_once(emulator: Any) -> None:
    with pytest.raises(EmulatorError) as caught:
        emulator.faults([fault for fault, _problems in WRONG])
    for number, (_fault, problems) in enumerate(WRONG):
        assert f"faults[{number}]: " in str(caught.value)
        assert all(problem in str(caught.value) for problem in problems)


def test_the_options_of_a_fault_are_listed(emulator: Any) -> None:
    listed = emulator.faults(
        [{"kind": "twice", "nonce": "fresh"}, {"kind": "drop-rows", "ids": ["eni-1"]}, {"kind": "processing", "calls": 2}]
    )
    assert listed == [
        {"kind": "twice", "action": ["*"], "matched": 0, "fired": 0, "nonce": "fresh"},
        {"kind": "drop_rows", "action": ["*"], "matched": 0, "fired": 0, "ids": ["eni-1"]},
        {"kind": "processing", "action": ["*"], "matched": 0, "fired": 0, "calls": 2},
    ]


def test_every_fault_is_in_the_readme_with_its_options() -> None:
    readme = (Path(ecs_emulator.__file__).parent / "README.md").read_text(encoding="utf-8")
    part = readme.partition("## Faults\n")[2].partition("\n## Seeds\n")[0]
    heads = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    for kind in KINDS:
        (head,) = (head for head in heads if f"`{kind}`" in head.partition(" (")[0])
        assert [option for option in DETAILS.get(kind, ()) if f"`{option}`" not in head] == []
    assert [name for name in (*COMMON, *FIELDS) if f"`{name}`" not in part and name != "kind"] == []
