# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module with the real SDK against the local endpoint, with one target: run, second run, check mode, diff, and each error. The tests
compare with the state and the call log of the endpoint."""

from __future__ import annotations

from typing import Any

import pytest
from support.emulator import Emulator
from support.module import run_module

SERVICE_ADDRESSES = ["192.168.0.101", "192.168.0.102", "192.168.0.103", "192.168.0.104", "192.168.0.105"]


class Module:
    """The module under test, and the calls that the service got from it."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.environment = emulator.environment()

    def __call__(self, check: bool = False, **arguments: Any) -> dict[str, Any]:
        return run_module("eni_secondary_ip", {"state": "absent", **arguments}, self.environment, check=check)

    def secondary_addresses(self, eni_id: str, kind: str = "private_ip_addresses") -> list[str]:
        return self.emulator.state()["interfaces"][eni_id][kind]

    def actions(self) -> list[str]:
        return [call["action"] for call in self.emulator.calls()]

    def writes(self) -> list[dict[str, Any]]:
        return self.emulator.calls(writes=True)


@pytest.fixture
def module(emulator: Emulator) -> Module:
    return Module(emulator)


def comparable(result: dict[str, Any]) -> dict[str, Any]:
    """The parts of the result that must be equal in check mode and in a run: everything except the number of calls."""
    summary = {key: value for key, value in result["summary"].items() if key != "api_calls"}
    return {**{key: result[key] for key in ("changed", "unassigned", "interfaces", "missing", "diff")}, "summary": summary}


class TestOneEni:
    def test_unassigns_exactly_what_is_named(self, module: Module) -> None:
        result = module(eni_id="eni-web1001", private_ip_addresses=["192.168.0.101", "192.168.0.103"])

        assert result["changed"] is True
        assert module.secondary_addresses("eni-web1001") == ["192.168.0.102", "192.168.0.104", "192.168.0.105"]
        (interface,) = result["interfaces"]
        assert interface["after"]["private_ip_addresses"] == ["192.168.0.102", "192.168.0.104", "192.168.0.105"]
        assert interface["unassigned"]["private_ip_addresses"] == ["192.168.0.101", "192.168.0.103"]
        assert interface["verified"] is True
        assert [entry["private_ip_addresses"] for entry in result["unassigned"]] == [["192.168.0.101", "192.168.0.103"]]

    def test_takes_one_read_one_write_and_one_read_back(self, module: Module) -> None:
        result = module(eni_id="eni-web1001", private_ip_addresses=SERVICE_ADDRESSES[:3])

        assert module.actions() == ["DescribeNetworkInterfaces", "UnassignPrivateIpAddresses", "DescribeNetworkInterfaces"]
        assert result["summary"]["api_calls"] == 3

    def test_reads_the_state_of_the_instance_of_a_primary_eni_too(self, module: Module) -> None:
        module(eni_id="eni-web0001", private_ip_addresses=["192.168.0.11"])

        assert module.actions() == [
            "DescribeNetworkInterfaces",
            "DescribeInstances",
            "UnassignPrivateIpAddresses",
            "DescribeNetworkInterfaces",
        ]
        assert module.secondary_addresses("eni-web0001") == ["192.168.0.12", "192.168.0.13"]

    def test_a_second_run_changes_nothing_and_writes_nothing(self, module: Module) -> None:
        module(eni_id="eni-web1001", private_ip_addresses=["192.168.0.101"])
        written = len(module.writes())
        result = module(eni_id="eni-web1001", private_ip_addresses=["192.168.0.101"])

        assert result["changed"] is False
        assert result["unassigned"] == []
        assert result["interfaces"][0]["already_absent"]["private_ip_addresses"] == ["192.168.0.101"]
        assert len(module.writes()) == written
        assert result["diff"] == {"before": "", "after": ""}

    @pytest.mark.parametrize(
        "arguments",
        [
            {"eni_id": "eni-web1001", "private_ip_addresses": ["192.168.0.101", "192.168.0.199"]},
            {"eni_id": "eni-web1001", "all_secondary": True, "keep": ["192.168.0.104/31"]},
            {"eni_id": "eni-web1001", "private_ip_addresses": []},
            {"eni_id": "eni-web0001", "all_secondary": True},
            {"instance_id": "i-web0001", "private_ip_addresses": ["192.168.0.12"]},
            {"eni_id": "eni-web1002", "all_secondary": True, "on_refusal": "skip"},
            {"eni_id": "eni-web1002", "all_secondary": True, "allow_eip": True},
            {"eni_id": "eni-nowhere1", "private_ip_addresses": ["192.168.0.7"], "missing": "ignore"},
            {"eni_id": "eni-web1001", "all_secondary": True, "wait": False},
            {
                "assignments": [
                    {"eni_id": "eni-web1007", "ipv6_addresses": ["fd00:0:0:1::161"]},
                    {"instance_id": "i-web0001", "all_secondary": True},
                    {"eni_id": "eni-nowhere1", "private_ip_addresses": ["192.168.0.7"]},
                    {"eni_id": "eni-web1001", "private_ip_addresses": ["192.168.0.103", "192.168.0.250", "192.168.0.101"]},
                    {"eni_id": "eni-web1002", "all_secondary": True},
                    {"eni_id": "eni-data1001", "ipv4_prefixes": ["192.168.1.32/28"]},
                ],
                "missing": "ignore",
                "on_refusal": "skip",
            },
            {"eni_id": "eni-data1001", "ipv4_prefixes": ["192.168.1.32/28"], "all_secondary": False},
            {"eni_id": "eni-web1007", "ipv6_addresses": ["fd00:0:0:1::161"], "ipv6_prefixes": ["fd00:0:0:1:1::/80"]},
        ],
    )
    def test_check_mode_says_what_a_run_says_and_writes_nothing(self, module: Module, arguments: dict[str, Any]) -> None:
        predicted = module(check=True, **arguments)
        assert module.writes() == []
        assert comparable(predicted) == comparable(module(**arguments))

    def test_diff_shows_the_addresses_of_the_eni_before_and_after(self, module: Module) -> None:
        diff = module(check=True, eni_id="eni-web1001", private_ip_addresses=["192.168.0.102", "192.168.0.101"])["diff"]

        assert diff["before"].splitlines() == [f"eni-web1001 {address}" for address in SERVICE_ADDRESSES]
        assert diff["after"].splitlines() == [f"eni-web1001 {address}" for address in SERVICE_ADDRESSES[2:]]

    def test_more_addresses_than_one_call_takes_go_in_several_calls_one_after_another(self, module: Module) -> None:
        addresses = [f"10.20.0.{number}" for number in range(11, 60)]
        module.emulator.reset(
            seed={
                "region": "cn-hangzhou",
                "vswitches": [{"id": "vsw-many", "vpc_id": "vpc-many", "cidr": "10.20.0.0/24"}],
                "interfaces": [
                    {"id": "eni-many1", "vswitch_id": "vsw-many", "primary_address": "10.20.0.10", "private_ip_addresses": addresses}
                ],
            }
        )
        result = module(eni_id="eni-many1", all_secondary=True)

        assert result["summary"]["unassigned"] == 49
        assert [len(call["effect"]["unassigned"]["private_ip_addresses"]) for call in module.writes()] == [32, 17]
        assert module.secondary_addresses("eni-many1") == []


class TestOneInstance:
    def test_means_its_primary_eni(self, module: Module) -> None:
        result = module(instance_id="i-web0001", private_ip_addresses=["192.168.0.11"])

        assert result["unassigned"][0]["eni_id"] == "eni-web0001"
        assert module.secondary_addresses("eni-web0001") == ["192.168.0.12", "192.168.0.13"]
        assert module.actions() == [
            "DescribeInstances",
            "DescribeNetworkInterfaces",
            "UnassignPrivateIpAddresses",
            "DescribeNetworkInterfaces",
        ]

    def test_a_stopped_instance_is_accepted(self, module: Module) -> None:
        assert module(instance_id="i-web0002", private_ip_addresses=["192.168.0.21"])["changed"] is True

    def test_an_address_of_its_secondary_eni_is_an_error_that_names_that_eni(self, module: Module) -> None:
        result = module(instance_id="i-web0001", private_ip_addresses=["192.168.0.101"])

        assert result["failed"] is True
        assert "eni-web1001" in result["msg"]
        assert module.writes() == []

    def test_a_starting_instance_is_waited_for(self, module: Module) -> None:
        result = module(instance_id="i-web0003", private_ip_addresses=["192.168.0.31"])

        assert result["changed"] is True
        assert module.secondary_addresses("eni-web0003") == []

    def test_an_instance_that_stays_starting_is_refused_in_the_end(self, module: Module) -> None:
        result = module(instance_id="i-web0004", private_ip_addresses=["192.168.0.41"], wait_timeout=1)

        assert result["failed"] is True
        assert "i-web0004" in result["msg"]
        assert "Starting" in result["msg"]
        assert module.writes() == []

    def test_without_permission_an_empty_list_is_not_taken_for_a_missing_instance(self, module: Module) -> None:
        module.environment |= {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": "emulator-limited-key-id",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "emulator-limited-key-secret",
        }
        result = module(instance_id="i-web0001", private_ip_addresses=["192.168.0.11"], missing="ignore")

        assert result["failed"] is True
        assert result["error"]["code"] == "Forbidden.RAM"
        assert "ecs:DescribeInstances" in result["msg"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            ({"eni_id": "eni-web1005", "private_ip_addresses": ["192.168.0.141"], "wait": False}, "Detaching"),
            ({"eni_id": "eni-managed0001", "private_ip_addresses": ["192.168.1.101"]}, "another cloud service manages the ENI"),
            ({"eni_id": "eni-pods1001", "all_secondary": True}, "creator=terway"),
            ({"eni_id": "eni-web1002", "private_ip_addresses": ["192.168.0.111"]}, "203.0.113.11"),
            ({"eni_id": "eni-web1001", "private_ip_addresses": ["192.168.0.101"], "protected_tags": {"app": ["web", "db"]}}, "app=web"),
        ],
    )
    def test_are_reported_and_nothing_is_written(self, module: Module, arguments: dict[str, Any], reason: str) -> None:
        result = module(**arguments)
        predicted = module(check=True, **arguments)

        assert result["failed"] is True
        assert result["changed"] is False
        assert reason in result["msg"]
        assert predicted["msg"] == result["msg"]
        assert module.writes() == []

    def test_are_reported_and_left_out_if_the_user_says_so(self, module: Module) -> None:
        result = module(eni_id="eni-web1002", all_secondary=True, on_refusal="skip")

        assert result.get("failed") is not True
        assert module.secondary_addresses("eni-web1002") == ["192.168.0.111"]
        (skipped,) = result["interfaces"][0]["skipped"]
        assert skipped["address"] == "192.168.0.111"

    def test_protection_of_tags_ends_only_when_it_is_turned_off(self, module: Module) -> None:
        assert "failed" in module(eni_id="eni-pods1001", all_secondary=True, protected_tags={"other": None})
        assert module(eni_id="eni-pods1001", all_secondary=True, protected_tags={})["summary"]["unassigned"] == 3

    def test_do_not_concern_a_run_with_nothing_to_do(self, module: Module) -> None:
        result = module(eni_id="eni-managed0001", private_ip_addresses=["192.168.1.199"])

        assert result.get("failed") is not True
        assert result["changed"] is False

    def test_a_detaching_eni_is_waited_for(self, module: Module) -> None:
        assert module(eni_id="eni-web1006", private_ip_addresses=["192.168.0.151"])["changed"] is True

    def test_more_than_max_addresses_is_refused(self, module: Module) -> None:
        result = module(eni_id="eni-web1001", all_secondary=True, max_addresses=4)

        assert "max_addresses: at most 4 may be unassigned, but 5 would be" in result["msg"]
        assert module.writes() == []


class TestErrorsInTheRequest:
    @pytest.mark.parametrize("options", [{}, {"on_refusal": "skip"}])
    def test_the_primary_address_is_never_sent(self, module: Module, options: dict[str, Any]) -> None:
        result = module(eni_id="eni-web1001", private_ip_addresses=["192.168.0.100", "192.168.0.101"], **options)

        assert "192.168.0.100 is the primary address of eni-web1001" in result["msg"]
        assert module.writes() == []

    def test_an_address_inside_a_prefix_names_the_prefix(self, module: Module) -> None:
        result = module(eni_id="eni-data1001", private_ip_addresses=["192.168.1.35"])

        assert "192.168.1.32/28" in result["msg"]
        assert module.writes() == []

    @pytest.mark.parametrize(("name", "target"), [("eni_id", "eni-nowhere1"), ("instance_id", "i-nowhere1")])
    def test_an_unknown_target_is_an_error_or_ignored_as_requested(self, module: Module, name: str, target: str) -> None:
        result = module(**{name: target}, private_ip_addresses=["192.168.0.7"])
        assert f"{target} does not exist" in result["msg"]

        result = module(**{name: target}, private_ip_addresses=["192.168.0.7"], missing="ignore")
        assert result["changed"] is False
        assert result["missing"] == [target]

    def test_all_errors_are_reported_at_once_and_no_call_is_made(self, module: Module) -> None:
        module.environment = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "emulator-key-id"}
        result = module(
            eni_id="eni_1",
            instance_id="i-1",
            private_ip_addresses=["192.168.0.300"],
            ipv4_prefixes=["192.168.1.33/28"],
            keep=["nonsense"],
            max_addresses=-1,
            endpoint="http://192.0.2.1",
        )
        for place in (
            "eni_id: 'eni_1'",
            "eni_id (eni_1) and instance_id (i-1)",
            "private_ip_addresses: '192.168.0.300'",
            "ipv4_prefixes: '192.168.1.33/28' has host bits set; did you mean 192.168.1.32/28?",
            "keep: 'nonsense'",
            "max_addresses: -1",
            "region: no region",
            "endpoint: 'http://192.0.2.1'",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET: this environment variable is not set",
        ):
            assert any(error.startswith(place) for error in result["errors"]), place
        assert len(result["errors"]) == 9
        assert module.actions() == []

    @pytest.mark.parametrize("nothing", [None, [""], ["", " "], ""])
    def test_nothing_named_is_an_error_and_never_means_all(self, module: Module, nothing: object) -> None:
        result = module(eni_id="eni-web1001", private_ip_addresses=nothing)

        assert "no address is named" in result["msg"]
        assert module.actions() == []

    def test_an_empty_list_is_nothing_to_do(self, module: Module) -> None:
        assert module(eni_id="eni-web1001", private_ip_addresses=[])["changed"] is False
        assert module.secondary_addresses("eni-web1001") == SERVICE_ADDRESSES

    def test_no_target_is_an_error(self, module: Module) -> None:
        assert "no ENI is named" in module(private_ip_addresses=["192.168.0.101"])["msg"]

    def test_state_has_no_default(self, module: Module) -> None:
        result = run_module("eni_secondary_ip", {"eni_id": "eni-web1001", "all_secondary": True}, module.environment)
        assert "state: is required" in result["msg"]


class TestServiceFailures:
    def test_a_wrong_secret_is_reported_with_the_code_of_the_service(self, module: Module) -> None:
        module.environment["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] = "wrong-canary-secret"
        result = module(eni_id="eni-web1001", all_secondary=True)

        assert result["error"]["code"] == "SignatureDoesNotMatch"
        assert result["error"]["request_id"]
        assert "wrong-canary-secret" not in str(result)

    def test_an_endpoint_that_does_not_answer_is_one_clear_error(self, module: Module) -> None:
        result = module(eni_id="eni-web1001", all_secondary=True, endpoint="http://127.0.0.1:9", retry_timeout=1)

        assert result["error"]["code"] == "ConnectionFailed"
        assert "127.0.0.1:9: connection refused" in result["msg"]

    @pytest.mark.parametrize("kind", ["html", "empty", "truncated", "503_unreadable", "shape"])
    def test_an_endpoint_that_answers_garbage_is_one_clear_error(self, module: Module, kind: str) -> None:
        module.emulator.faults([{"action": "*", "kind": kind}])
        result = module(eni_id="eni-web1001", all_secondary=True, retry_timeout=1, missing="ignore")

        assert result["error"]["code"] == "UnreadableReply"
        assert result["changed"] is False

    @pytest.mark.parametrize("kind", ["throttle", "conflict", "500", "503", "503_unreadable", "html", "reset_before", "truncated"])
    @pytest.mark.parametrize("action", ["DescribeNetworkInterfaces", "UnassignPrivateIpAddresses"])
    def test_a_transient_error_does_not_fail_the_task(self, module: Module, kind: str, action: str) -> None:
        fault = {"action": action, "kind": kind, "nth": 1}
        module.emulator.faults([fault | {"retry_after": 200} if kind == "throttle" else fault])
        result = module(eni_id="eni-web1001", private_ip_addresses=["192.168.0.101"])

        assert result["summary"]["unassigned"] == 1
        assert module.secondary_addresses("eni-web1001") == SERVICE_ADDRESSES[1:]

    def test_a_lost_reply_is_cleared_up_by_reading_and_not_by_sending_again(self, module: Module) -> None:
        module.emulator.faults([{"action": "UnassignPrivateIpAddresses", "kind": "reset_after", "nth": 1}])
        result = module(eni_id="eni-web1001", private_ip_addresses=["192.168.0.101"])

        assert result["summary"]["unassigned"] == 1
        assert len(module.writes()) == 1

    def test_an_address_that_somebody_else_unassigns_meanwhile_counts_as_unassigned_because_a_write_of_it_was_sent(
        self, module: Module
    ) -> None:
        module.emulator.faults([{"action": "UnassignPrivateIpAddresses", "kind": "take_address", "address": "192.168.0.102", "nth": 1}])
        result = module(eni_id="eni-web1001", private_ip_addresses=SERVICE_ADDRESSES[:3])

        assert result["interfaces"][0]["unassigned"]["private_ip_addresses"] == SERVICE_ADDRESSES[:3]
        assert module.secondary_addresses("eni-web1001") == SERVICE_ADDRESSES[3:]

    def test_an_eni_that_is_deleted_meanwhile_fails(self, module: Module) -> None:
        module.emulator.faults([{"action": "UnassignPrivateIpAddresses", "kind": "delete_interface", "nth": 1}])
        result = module(eni_id="eni-web1003", private_ip_addresses=["192.168.0.121"])

        assert result["failed"] is True
        assert result["interfaces"][0]["failures"][0]["code"] == "InvalidEniId.NotFound"

    def test_a_missing_permission_to_write_names_the_ram_action_and_what_was_not_done(self, module: Module) -> None:
        module.environment |= {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": "emulator-limited-key-id",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "emulator-limited-key-secret",
        }
        result = module(eni_id="eni-web1001", private_ip_addresses=["192.168.0.101"])

        assert result["failed"] is True
        assert result["changed"] is False
        assert result["interfaces"][0]["failures"][0]["addresses"] == ["192.168.0.101"]
        assert "ecs:UnassignPrivateIpAddresses" in result["msg"]

    def test_success_is_what_was_read_back(self, module: Module) -> None:
        module.emulator.reset(lag_ms=700)
        result = module(eni_id="eni-web1001", private_ip_addresses=["192.168.0.101"])

        assert result["interfaces"][0]["verified"] is True
        assert len(module.emulator.calls("DescribeNetworkInterfaces")) > 2

    def test_what_does_not_show_in_time_is_not_called_done(self, module: Module) -> None:
        module.emulator.reset(lag_ms=30000)
        result = module(eni_id="eni-web1001", private_ip_addresses=["192.168.0.101"], wait_timeout=1)

        assert result["failed"] is True
        assert result["changed"] is True
        assert result["unassigned"] == []
        assert result["interfaces"][0]["failures"][0]["code"] == "NotVerified"
        assert result["interfaces"][0]["verified"] is False

    def test_without_waiting_nothing_is_read_back_and_the_result_shows_that(self, module: Module) -> None:
        result = module(eni_id="eni-web1001", private_ip_addresses=["192.168.0.101"], wait=False)

        assert module.actions() == ["DescribeNetworkInterfaces", "UnassignPrivateIpAddresses"]
        assert result["interfaces"][0]["verified"] is False
        assert result["summary"]["unassigned"] == 1
