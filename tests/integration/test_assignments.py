# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module with many targets, with all four kinds, and with state=present, over real HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from support.emulator import Emulator
from support.module import run_module

KINDS = ("private_ip_addresses", "ipv4_prefixes", "ipv6_addresses", "ipv6_prefixes")


class Module:
    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    def __call__(self, state: str = "absent", check: bool = False, **arguments: Any) -> dict[str, Any]:
        pace = {"calls_per_minute": 0}
        return run_module("eni_secondary_ip", {"state": state, **pace, **arguments}, self.emulator.environment(), check=check)

    def holdings(self) -> dict[str, dict[str, list[str]]]:
        interfaces = self.emulator.state()["interfaces"]
        return {eni_id: {kind: sorted(interface[kind]) for kind in KINDS} for eni_id, interface in interfaces.items()}

    def writes(self) -> list[dict[str, Any]]:
        return self.emulator.calls(writes=True)


@pytest.fixture
def module(emulator: Emulator) -> Module:
    return Module(emulator)


def many(count: int, addresses: int = 3) -> dict[str, Any]:
    """A seed of ``count`` secondary ENIs in one vSwitch and one group."""
    return {
        "region": "cn-hangzhou",
        "credentials": [{"user": "owner", "access_key_id": "emulator-key-id", "access_key_secret": "emulator-key-secret"}],
        "vswitches": [{"id": "vsw-many", "vpc_id": "vpc-many", "cidr": "10.0.0.0/12"}],
        "security_groups": [{"id": "sg-many", "vpc_id": "vpc-many"}],
        "generate": [
            {
                "prefix": "bulk",
                "count": count,
                "private_ip_addresses": addresses,
                "vswitch_id": "vsw-many",
                "security_group_ids": ["sg-many"],
            }
        ],
    }


class TestManyTargets:
    def test_doubles_and_two_names_of_one_eni_are_joined(self, module: Module) -> None:
        result = module(
            assignments=[
                {"eni_id": "eni-web0001", "private_ip_addresses": ["192.168.0.11"]},
                {"instance_id": "i-web0001", "private_ip_addresses": ["192.168.0.11", "192.168.0.12"]},
                {"eni_id": "eni-web1001", "all_secondary": True},
                {"eni_id": "eni-web1001", "private_ip_addresses": ["192.168.0.101"]},
            ]
        )
        assert [entry["eni_id"] for entry in result["unassigned"]] == ["eni-web0001", "eni-web1001"]
        assert result["summary"]["unassigned"] == 7
        assert len(module.writes()) == 2

    def test_every_error_of_every_entry_is_reported_with_its_option_path(self, module: Module) -> None:
        result = module(
            assignments=[
                {"eni_id": "eni-web1001", "private_ip_addresses": ["192.168.0.100"]},
                {"eni_id": "eni-nowhere1", "private_ip_addresses": ["192.168.0.7"]},
                {"instance_id": "i-web0001", "private_ip_addresses": ["192.168.0.101"]},
                {"eni_id": "eni-web1002", "all_secondary": True},
                {"eni_id": "eni-pods1001", "all_secondary": True},
            ],
            max_addresses=0,
        )
        for part in (
            "assignments[0].private_ip_addresses: 192.168.0.100 is the primary address",
            "assignments[1].eni_id: eni-nowhere1 does not exist",
            "assignments[2].private_ip_addresses: 192.168.0.101 is not on eni-web0001, the primary ENI of i-web0001",
            "eni-web1002: 192.168.0.111: the EIP 203.0.113.11 is bound to it",
            "creator=terway",
            "max_addresses: at most 0 may be unassigned, but 1 would be",
        ):
            assert part in result["msg"]
        assert module.writes() == []

    def test_assignments_stand_alone(self, module: Module) -> None:
        result = module(assignments=[{"eni_id": "eni-web1001"}], eni_id="eni-web1001", all_secondary=True)
        assert "assignments: cannot be combined with eni_id, all_secondary" in result["msg"]
        assert "assignments[0]: no address is named" in result["msg"]

    def test_no_assignments_are_nothing_to_do(self, module: Module) -> None:
        result = module(assignments=[])
        assert result["changed"] is False
        assert result["summary"] == {
            "interfaces": 0,
            "addresses": 0,
            "unassigned": 0,
            "already_absent": 0,
            "skipped": 0,
            "failed": 0,
            "api_calls": 0,
        }

    def test_refused_addresses_can_be_skipped_while_the_others_are_written(self, module: Module) -> None:
        result = module(
            assignments=[{"eni_id": eni_id, "all_secondary": True} for eni_id in ("eni-pods1001", "eni-managed0001", "eni-web1003")],
            on_refusal="skip",
        )
        assert result["summary"]["skipped"] == 4
        assert [entry["eni_id"] for entry in result["unassigned"]] == ["eni-web1003"]

    def test_reads_and_readings_back_go_in_batches_and_one_call_at_a_time_on_each_eni(self, module: Module) -> None:
        module.emulator.reset(seed=many(250))
        enis = sorted(module.emulator.state()["interfaces"])
        result = module(assignments=[{"eni_id": eni_id, "all_secondary": True} for eni_id in enis])

        assert result["summary"]["unassigned"] == 750
        assert result["summary"]["api_calls"] == 3 + 250 + 3
        assert all(interface["verified"] for interface in result["interfaces"])
        assert not any(held[kind] for held in module.holdings().values() for kind in KINDS)

    @pytest.mark.parametrize(("count", "text"), [(100, None), (101, "101 entries (not repeated here, see interfaces)")])
    def test_a_large_request_is_not_repeated_among_the_arguments(self, module: Module, count: int, text: str | None) -> None:
        module.emulator.reset(seed=many(count))
        assignments = [{"eni_id": eni_id, "all_secondary": True} for eni_id in sorted(module.emulator.state()["interfaces"])]
        result = module(assignments=assignments, check=True)

        repeated = result["invocation"]["module_args"]["assignments"]
        assert repeated == text if text else [entry["eni_id"] for entry in repeated] == [entry["eni_id"] for entry in assignments]
        assert len(result["interfaces"]) == count

    def test_a_partial_failure_returns_the_whole_ledger(self, module: Module) -> None:
        module.emulator.faults(
            [
                {
                    "action": "UnassignPrivateIpAddresses",
                    "kind": "error",
                    "code": "InvalidOperation.EniServiceManaged",
                    "status": 403,
                    "eni_id": "eni-web1003",
                }
            ]
        )
        result = module(
            assignments=[
                {"eni_id": "eni-web1001", "private_ip_addresses": ["192.168.0.101"]},
                {"eni_id": "eni-web1003", "private_ip_addresses": ["192.168.0.121"]},
            ]
        )
        assert result["failed"] is True
        assert result["changed"] is True
        assert [entry["eni_id"] for entry in result["unassigned"]] == ["eni-web1001"]
        assert result["interfaces"][1]["failures"][0]["code"] == "InvalidOperation.EniServiceManaged"
        assert result["interfaces"][1]["failures"][0]["request_id"]
        assert "1 of 2 addresses failed, 1 were unassigned" in result["msg"]

    def test_after_the_credential_has_expired_nothing_more_is_tried(self, module: Module) -> None:
        module.emulator.reset(seed=many(200))
        module.emulator.faults(
            [
                {
                    "action": "UnassignPrivateIpAddresses",
                    "kind": "error",
                    "code": "InvalidSecurityToken.Expired",
                    "status": 400,
                    "nth": 20,
                    "times": 999,
                }
            ]
        )
        enis = sorted(module.emulator.state()["interfaces"])
        result = module(assignments=[{"eni_id": eni_id, "all_secondary": True} for eni_id in enis])

        done = result["summary"]["unassigned"]
        assert done == 19 * 3
        assert result["summary"]["failed"] == 600 - done
        assert len(module.writes()) < 40
        assert (
            "not sent, because the run stopped: UnassignPrivateIpAddresses failed with InvalidSecurityToken.Expired"
            in result["interfaces"][-1]["failures"][0]["message"]
        )

    def test_after_the_endpoint_has_stopped_answering_nothing_more_is_tried(self, module: Module) -> None:
        module.emulator.reset(seed=many(200))
        module.emulator.faults([{"action": "*", "kind": "reset_before", "nth": 30, "times": 9999}])
        enis = sorted(module.emulator.state()["interfaces"])
        result = module(assignments=[{"eni_id": eni_id, "all_secondary": True} for eni_id in enis], retry_timeout=1)

        assert result["failed"] is True
        assert {failed["code"] for interface in result["interfaces"] for failed in interface["failures"]} == {
            "ConnectionFailed",
            "NotVerified",
        }
        assert len(module.emulator.calls()) < 150

    def test_a_write_is_not_sent_again_for_a_header_when_its_code_says_that_it_may_have_been_carried_out(self, module: Module) -> None:
        fault = {"kind": "throttle", "code": "InternalError", "status": 500, "retry_after": 200, "after_effect": True, "nth": 1}
        module.emulator.faults([{"action": "UnassignPrivateIpAddresses", **fault}])
        result = module(eni_id="eni-web1003", all_secondary=True)

        assert result["changed"] is True
        assert result["unassigned"][0]["private_ip_addresses"] == ["192.168.0.121"]
        assert len(module.writes()) == 1

    def test_a_part_of_a_refused_batch_that_was_carried_out_is_reported(self, module: Module) -> None:
        fault = {"kind": "error", "code": "InvalidOperation.EniServiceManaged", "status": 403, "after_effect": True, "nth": 1}
        module.emulator.faults([{"action": "UnassignPrivateIpAddresses", **fault}])
        result = module(eni_id="eni-web1001", private_ip_addresses=["192.168.0.101", "192.168.0.102"])

        assert result["changed"] is True
        assert result["summary"]["unassigned"] == 2
        assert result["interfaces"][0]["after"]["private_ip_addresses"] == module.holdings()["eni-web1001"]["private_ip_addresses"]

    def test_with_a_lag_the_readings_back_stay_whole_batches(self, module: Module) -> None:
        module.emulator.reset(seed=many(100, addresses=1), lag_ms=1500)
        enis = sorted(module.emulator.state()["interfaces"])
        result = module(assignments=[{"eni_id": eni_id, "all_secondary": True} for eni_id in enis])

        assert result["summary"]["unassigned"] == 100
        reads = [call["parameters"] for call in module.emulator.calls("DescribeNetworkInterfaces")]
        sizes = [sum(name.startswith("NetworkInterfaceId.") for name in read) for read in reads]
        assert sizes[:2] == [100, 100]
        assert sizes == sorted(sizes, reverse=True), "the changes that no read has shown yet are read together"

    @pytest.mark.parametrize("batch", ["atomic", "partial", "lenient"])
    @pytest.mark.parametrize("message", ["named", "bare"])
    def test_addresses_that_others_unassign_in_the_meantime_are_reported_correctly(self, module: Module, batch: str, message: str) -> None:
        module.emulator.reset(switches={"batch": batch, "unassigned_message": message})
        module.emulator.faults([{"action": "UnassignPrivateIpAddresses", "kind": "take_address", "address": "192.168.0.102", "nth": 1}])
        result = module(eni_id="eni-web1001", all_secondary=True, keep=["192.168.0.105"])

        assert module.holdings()["eni-web1001"]["private_ip_addresses"] == ["192.168.0.105"]
        assert result["interfaces"][0]["after"]["private_ip_addresses"] == ["192.168.0.105"]
        assert {"192.168.0.101", "192.168.0.103", "192.168.0.104"} <= set(result["unassigned"][0]["private_ip_addresses"])


class TestKinds:
    def test_each_goes_by_its_own_api_and_in_its_own_calls(self, module: Module) -> None:
        result = module(
            assignments=[
                {"eni_id": "eni-data1001", "private_ip_addresses": ["192.168.1.21"], "ipv4_prefixes": ["192.168.1.32/28"]},
                {"eni_id": "eni-web1007", "ipv6_addresses": ["FD00:0:0:1::161"], "ipv6_prefixes": ["fd00:0:0:1:1::/80"]},
            ]
        )
        assert result["summary"]["unassigned"] == 4
        after = module.holdings()
        assert after["eni-data1001"]["ipv4_prefixes"] == ["192.168.1.48/28"]
        assert after["eni-web1007"]["ipv6_addresses"] == ["fd00:0:0:1::162"]
        assert sorted(call["action"] for call in module.writes()) == ["UnassignIpv6Addresses"] * 2 + ["UnassignPrivateIpAddresses"] * 2

    def test_keep_skips_every_kind_that_overlaps_it(self, module: Module) -> None:
        result = module(
            eni_id="eni-data1001",
            private_ip_addresses=["192.168.1.21"],
            ipv4_prefixes=["192.168.1.32/28", "192.168.1.48/28"],
            keep=["192.168.1.40", "192.168.1.21"],
        )
        assert [note["address"] for note in result["interfaces"][0]["skipped"]] == ["192.168.1.21", "192.168.1.32/28"]
        assert result["unassigned"][0]["ipv4_prefixes"] == ["192.168.1.48/28"]


class TestPresent:
    def test_restores_exactly_what_was_unassigned(self, module: Module) -> None:
        before = module.holdings()
        taken = module(
            assignments=[
                {"eni_id": "eni-web1001", "all_secondary": True},
                {"eni_id": "eni-data1001", "private_ip_addresses": ["192.168.1.21"], "ipv4_prefixes": ["192.168.1.32/28"]},
                {"eni_id": "eni-web1007", "ipv6_addresses": ["fd00:0:0:1::161"], "ipv6_prefixes": ["fd00:0:0:1:1::/80"]},
            ]
        )
        assert module.holdings() != before
        predicted = module("present", check=True, assignments=taken["unassigned"])
        given = module("present", assignments=taken["unassigned"])

        assert module.holdings() == before
        assert given["assigned"] == taken["unassigned"] == predicted["assigned"]
        again = module("present", assignments=taken["unassigned"])
        assert again["changed"] is False
        assert again["summary"]["already_present"] == given["summary"]["assigned"] == 9

    def test_an_address_of_another_eni_is_refused_with_its_holder(self, module: Module) -> None:
        result = module("present", eni_id="eni-web1001", private_ip_addresses=["192.168.0.121", "192.168.0.120", "192.168.0.199"])

        assert "it is already assigned to eni-web1003" in result["msg"]
        assert module.writes() == []
        skipped = module(
            "present", eni_id="eni-web1001", private_ip_addresses=["192.168.0.121", "192.168.0.120", "192.168.0.199"], on_refusal="skip"
        )
        assert skipped["assigned"][0]["private_ip_addresses"] == ["192.168.0.199"]

    def test_an_address_held_by_what_the_api_does_not_show_is_a_clear_failure(self, module: Module) -> None:
        result = module("present", eni_id="eni-web1001", private_ip_addresses=["192.168.0.250"])

        assert result["failed"] is True
        assert result["changed"] is False
        assert result["interfaces"][0]["failures"][0]["addresses"] == ["192.168.0.250"]

    def test_one_address_for_two_enis_of_a_vswitch_is_an_error(self, module: Module) -> None:
        entries = [{"eni_id": eni_id, "private_ip_addresses": ["192.168.0.199"]} for eni_id in ("eni-web1003", "eni-web1004")]
        message = module("present", assignments=entries)["msg"]
        assert "192.168.0.199 for eni-web1003 and 192.168.0.199 for eni-web1004 overlap in vsw-app" in message

    def test_all_secondary_is_an_error_with_state_present(self, module: Module) -> None:
        assert "all_secondary: requires state=absent" in module("present", eni_id="eni-web1001", all_secondary=True)["msg"]

    def test_a_lost_reply_is_sent_again_with_the_same_client_token(self, module: Module) -> None:
        module.emulator.faults([{"action": "AssignPrivateIpAddresses", "kind": "reset_before", "nth": 1}])
        result = module("present", eni_id="eni-web1001", private_ip_addresses=["192.168.0.199"])

        assert result["summary"]["assigned"] == 1
        tokens = [call["parameters"]["ClientToken"] for call in module.writes()]
        assert len(tokens) == 2
        assert len(set(tokens)) == 1

    def test_more_than_the_instance_type_allows_is_reported_with_the_code_of_the_service(self, module: Module) -> None:
        addresses = [f"192.168.0.{number}" for number in range(200, 232)]
        result = module("present", eni_id="eni-web1001", private_ip_addresses=addresses)

        assert result["failed"] is True
        assert result["interfaces"][0]["failures"][0]["code"] == "InvalidOperation.Ipv4CountExceeded"


class TestThrottling:
    def test_all_calls_wait_and_none_fails(self, module: Module) -> None:
        module.emulator.reset(seed=many(60), calls_per_minute=20, window_seconds=1, switches={"retry_after": "window"})
        enis = sorted(module.emulator.state()["interfaces"])
        result = module(assignments=[{"eni_id": eni_id, "all_secondary": True} for eni_id in enis])

        assert result["summary"]["unassigned"] == 180
        assert result["summary"]["failed"] == 0
