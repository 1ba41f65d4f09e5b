# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin as users run it: by ``ansible-inventory``, by ``ansible-playbook``, and as AWX does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.emulator import FOLDER, Emulator
from support.inventory import PLUGIN, Inventories
from support.module import run_module
from support.playbook import BIN

SAMPLE = yaml.safe_load((FOLDER / "seeds" / "sample.yml").read_text(encoding="utf-8"))
CANARIES = {"option": "CanaryOption-1-abcdef", "vault": "CanaryVault-2-abcdef", "variable": "CanaryVariable-3-abcdef"}

NO_KEY = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": ""}


@pytest.fixture
def inventories(emulator: Emulator, tmp_path: Path) -> Inventories:
    return Inventories(emulator, tmp_path)


def a_world(*interfaces: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "region": "cn-hangzhou",
        "regions": ["cn-beijing"],
        "vswitches": [{"id": "vsw-a", "vpc_id": "vpc-a", "zone_id": "cn-hangzhou-h", "cidr": "10.0.0.0/12"}],
        "security_groups": [{"id": "sg-a", "vpc_id": "vpc-a", "name": "front end"}, {"id": "sg-b", "vpc_id": "vpc-a", "name": "back"}],
        "interfaces": [{"vswitch_id": "vsw-a", "security_group_ids": ["sg-a"], **interface} for interface in interfaces],
        **more,
    }


def test_the_graph_shows_all_kinds_of_groups_in_order(inventories: Inventories) -> None:
    inventories.emulator.reset(
        a_world(
            {"id": "eni-1", "tags": {"team": "web-1", "leer": ""}},
            {"id": "eni-2", "security_group_ids": ["sg-b", "sg-a"], "tags": {"团队": "网络"}},
        )
    )
    assert (
        inventories.graph(security_group_names=["front end"])
        == """\
@all:
  |--@ungrouped:
  |--@region_cn_hangzhou:
  |  |--@zone_cn_hangzhou_h:
  |  |  |--eni-1
  |  |  |--eni-2
  |--@vpc_vpc_a:
  |  |--@vswitch_vsw_a:
  |  |  |--eni-1
  |  |  |--eni-2
  |--@security_group_name_front_end:
  |  |--eni-1
  |  |--eni-2
  |--@security_group_sg_a:
  |  |--eni-1
  |  |--eni-2
  |--@security_group_sg_b:
  |  |--eni-2
  |--@type_Secondary:
  |  |--eni-1
  |  |--eni-2
  |--@status_Available:
  |  |--eni-1
  |  |--eni-2
  |--@tag_leer:
  |  |--eni-1
  |--@tag_team_web_1:
  |  |--eni-1
  |--@tag_团队_网络:
  |  |--eni-2
"""
    )


def test_group_by_chooses_the_groups(inventories: Inventories) -> None:
    shown = inventories.list(eni_ids=["eni-web1001"], group_by=["tag", "vswitch"])
    assert shown.groups == {
        "all": ["tag_app_web", "ungrouped", "vswitch_vsw_app"],
        "tag_app_web": ["eni-web1001"],
        "vswitch_vsw_app": ["eni-web1001"],
    }
    assert inventories.list(eni_ids=["eni-web1001"], group_by=[]).groups == {"all": ["ungrouped"], "ungrouped": ["eni-web1001"]}


def test_two_tags_that_share_a_group_are_a_warning(inventories: Inventories) -> None:
    inventories.emulator.reset(a_world({"id": "eni-1", "tags": {"team": "web-1"}}, {"id": "eni-2", "tags": {"team": "web.1"}}))
    shown = inventories.list(whole_region=True)
    assert shown.groups["tag_team_web_1"] == ["eni-1", "eni-2"]
    assert "the group tag_team_web_1 has the ENIs of several names: tag_team=web-1, tag_team=web.1." in shown.messages


def test_two_tags_whose_underscores_make_one_group_are_a_warning(inventories: Inventories) -> None:
    inventories.emulator.reset(a_world({"id": "eni-1", "tags": {"a": "b_c"}}, {"id": "eni-2", "tags": {"a_b": "c"}}))
    shown = inventories.list(whole_region=True)
    assert shown.groups["tag_a_b_c"] == ["eni-1", "eni-2"]
    assert "the group tag_a_b_c has the ENIs of several names: tag_a=b_c, tag_a_b=c." in shown.messages


def test_variables_are_what_the_info_module_returns(inventories: Inventories) -> None:
    selected = {
        "security_group_names": ["web"],
        "status": "InUse",
        "within": ["192.168.0.100/30"],
        "kinds": ["private_ip_addresses", "ipv6_addresses"],
    }
    info = run_module("eni_secondary_ip_info", {"calls_per_minute": 0, **selected}, inventories.emulator.environment())
    shown = inventories.list(**selected)

    assert shown.messages == ""
    assert set(shown.hosts) == {interface["eni_id"] for interface in info["interfaces"]}
    for interface in info["interfaces"]:
        variables = shown.hosts[interface["eni_id"]]
        for name, value in interface.items():
            assert variables[name if name == "eni_id" else f"eni_{name}"] == value
        assert variables["eni_region"] == info["region"]
        assert variables["eni_security_group_names"] == info["security_groups"] == {"sg-web": "web"}
        assert variables["ansible_connection"] == "local"
    listed = [shown.hosts[eni_id]["eni_assignment"] for eni_id in sorted(shown.hosts)]
    assert [entry for entry in listed if entry["private_ip_addresses"] or entry["ipv6_addresses"]] == info["assignments"]
    assert info["assignments"]


def test_matching_only_leaves_out_enis_without_matching_addresses(inventories: Inventories) -> None:
    shown = inventories.list(whole_region=True, private_ip_addresses=["192.168.0.105", "192.168.0.21"], matching_only=True)
    assert sorted(shown.hosts) == ["eni-web0002", "eni-web1001"]
    assert shown.groups["status_InUse"] == ["eni-web0002", "eni-web1001"]
    assert "status_Available" not in shown.groups
    assert len(inventories.list(whole_region=True, private_ip_addresses=["192.168.0.105"]).hosts) == len(SAMPLE["interfaces"])


def test_constructed_features(inventories: Inventories) -> None:
    options = {
        "eni_ids": ["eni-web1001", "eni-web1002", "eni-web1003", "eni-web1004"],
        "group_by": [],
        "strict": True,
        "leading_separator": False,
        "compose": {"secondary": "eni_private_ip_addresses | map(attribute='address')", "ansible_connection": "'ssh'"},
        "groups": {"with_eip": "eni_private_ip_addresses | selectattr('eip') | length > 0"},
        "keyed_groups": [
            {"key": "eni_instance_id", "prefix": "instance", "default_value": "none"},
            {"key": "eni_tags"},
            {"key": "secondary | length | string", "prefix": "held", "parent_group": "by-count"},
        ],
    }
    shown = inventories.list(**options)
    assert shown.messages == ""
    assert shown.hosts["eni-web1002"]["secondary"] == ["192.168.0.111", "192.168.0.112"]
    assert shown.hosts["eni-web1002"]["ansible_connection"] == "ssh"
    assert shown.groups["with_eip"] == ["eni-web1002"]
    assert shown.groups["instance_none"] == ["eni-web1003", "eni-web1004"]
    assert shown.groups["app_web"] == ["eni-web1001"]
    assert shown.groups["by_count"] == ["held_0", "held_1", "held_2", "held_5"]


def test_strict_makes_an_expression_that_fails_an_error(inventories: Inventories) -> None:
    options = {"eni_ids": ["eni-web1001"], "compose": {"team": "eni_tags.team | upper"}}
    assert "team" not in inventories.list(**options).hosts["eni-web1001"]
    assert inventories.failure(strict=True, **options).startswith("Could not set team for host eni-web1001: ")


def test_every_page_is_read(inventories: Inventories) -> None:
    generated = {"prefix": "bulk", "count": 1203, "private_ip_addresses": 1, "vswitch_id": "vsw-a"}
    inventories.emulator.reset(a_world(generate=[generated]))
    shown = inventories.list(whole_region=True, group_by=[])
    assert len(shown.hosts) == 1203
    assert len(inventories.emulator.calls()) == 3


def test_throttling_and_lost_replies_do_not_fail_the_inventory(inventories: Inventories) -> None:
    faults = [{"action": "DescribeNetworkInterfaces", "kind": kind, "nth": nth} for nth, kind in ((1, "throttle"), (2, "503"), (3, "cut"))]
    inventories.emulator.faults(faults)
    shown = inventories.list(whole_region=True)
    assert len(shown.hosts) == len(SAMPLE["interfaces"])
    assert shown.messages == ""
    assert [call["status"] for call in inventories.emulator.calls()][-1] == 200
    assert len(inventories.emulator.calls()) == 4


def test_what_does_not_exist_and_what_cannot_be_read_is_a_warning(inventories: Inventories) -> None:
    inventories.emulator.faults([{"action": "DescribeNetworkInterfaces", "kind": "drop_rows", "ids": ["eni-web0002"]}])
    shown = inventories.list(instance_ids=["i-web0001", "i-web0002", "i-nowhere"])
    assert sorted(shown.hosts) == ["eni-web0001"]
    assert "test.eni.yml: i-nowhere: not found in cn-hangzhou." in shown.messages
    assert "cn-hangzhou: an ENI or instance cannot be read, so it is not in the inventory: Describe" in shown.messages
    assert "failed with EniNotReturned" in shown.messages


class TestRegions:
    def test_each_has_its_group(self, inventories: Inventories) -> None:
        shown = inventories.list(regions=["cn-hangzhou", "cn-beijing"], eni_ids=["eni-web1001", "eni-nowhere1"])
        assert shown.groups["region_cn_hangzhou"] == ["zone_cn_hangzhou_h"]
        assert {call["parameters"]["RegionId"] for call in inventories.emulator.calls()} == {"cn-hangzhou", "cn-beijing"}
        # eni-web1001 is in one of them.
        assert "eni-nowhere1: not found in cn-hangzhou, cn-beijing." in shown.messages
        assert "eni-web1001" not in shown.messages

    def test_one_that_fails_is_an_error(self, inventories: Inventories) -> None:
        message = inventories.failure(regions=["cn-nowhere", "cn-hangzhou"], whole_region=True)
        assert "test.eni.yml: region cn-nowhere cannot be read: DescribeNetworkInterfaces failed with InvalidRegionId" in message

    def test_one_that_fails_is_a_warning_with_on_region_error_warn(self, inventories: Inventories) -> None:
        shown = inventories.list(regions=["cn-nowhere", "cn-hangzhou"], whole_region=True, on_region_error="warn")
        assert len(shown.hosts) == len(SAMPLE["interfaces"])
        assert "region cn-nowhere cannot be read" in shown.messages
        assert "Its ENIs are not in the inventory." in shown.messages

    def test_if_none_can_be_read_the_inventory_fails(self, inventories: Inventories) -> None:
        message = inventories.failure(regions=["cn-nowhere", "cn-nowhere2"], whole_region=True, on_region_error="warn")
        assert "cn-nowhere cannot" in message
        assert "cn-nowhere2 cannot" in message


class TestErrors:
    def test_all_are_reported_at_once_with_file_and_option(self, inventories: Inventories) -> None:
        message = inventories.failure(
            eni_id=["eni-web1001"], vpc_id="vsw-app", within="{{ nowhere }}", status="Gone", cache_timeout="soon", access_key_id="an-id"
        )
        assert message.startswith(f"{inventories.folder}/test.eni.yml: (1) eni_id: there is no such option; did you mean eni_ids?; (2) ")
        for part in (
            "within: 'nowhere' is undefined",
            "'cache_timeout'",
            "status: 'Gone' is not one of",
            "vpc_id: 'vsw-app' is a vSwitch id, not a VPC id",
            "access_key_secret: this option is not set, but access_key_id is",
        ):
            assert part in message
        assert inventories.emulator.calls() == []

    def test_nothing_selected(self, inventories: Inventories) -> None:
        assert "no ENI is selected; set one or more of eni_ids, " in inventories.failure(eni_ids=[""])
        assert inventories.emulator.calls() == []

    def test_a_file_that_is_not_for_this_plugin(self, inventories: Inventories) -> None:
        inventories.environment["ANSIBLE_INVENTORY_ENABLED"] = PLUGIN
        for text in ("plugin: other.one\n", "- a\n", "text\n"):
            shown = inventories.run("ansible-inventory", "-i", str(inventories.write(text)), "--list")
            assert f"test.eni.yml: plugin: the file must be a mapping with plugin: {PLUGIN}" in shown.messages

    def test_a_cache_that_cannot_be_used(self, inventories: Inventories) -> None:
        message = inventories.failure(whole_region=True, cache=True, cache_plugin="ansible.builtin.jsonfile")
        assert "test.eni.yml: cache_plugin: cannot be used with this cache_connection" in message
        message = inventories.failure(whole_region=True, cache=True, cache_plugin="nowhere.at.all", eni_ids=["eni-1"])
        assert "test.eni.yml: (1) cache_plugin: " in message
        assert "'nowhere.at.all'" in message
        assert "; (2) whole_region: " in message

    def test_another_account(self, inventories: Inventories) -> None:
        message = inventories.failure(whole_region=True, account_id="1000000000000002")
        assert "test.eni.yml: " in message
        assert "1000000000000001" in message
        assert len(inventories.list(whole_region=True, account_id="1000000000000001").hosts) == len(SAMPLE["interfaces"])

    def test_no_permission(self, inventories: Inventories) -> None:
        inventories.environment |= {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": "emulator-limited-key-id",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "emulator-limited-key-secret",
        }
        message = inventories.failure(security_group_ids=["sg-web"])
        assert "Forbidden.RAM" in message
        assert "ecs:DescribeInstances" in message

    def test_no_credential(self, inventories: Inventories) -> None:
        inventories.environment |= {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": "",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "",
            "HOME": str(inventories.folder),
        }
        assert "access_key_id: no credential is set." in inventories.failure(whole_region=True)

    def test_ansible_fails_if_it_is_configured_to(self, inventories: Inventories) -> None:
        assert inventories.list(eni_ids=["eni_1"]).code == 0
        inventories.environment["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "true"
        assert inventories.list(eni_ids=["eni_1"]).code != 0


class TestOptionsFromElsewhere:
    def test_templates_use_variables_and_the_environment(self, inventories: Inventories) -> None:
        inventories.environment["SECURITY_GROUPS"] = "sg-data, sg-pods"
        shown = inventories.list(
            "-e",
            "kind=Primary",
            security_group_ids="{{ lookup('env', 'SECURITY_GROUPS') | split(',') }}",
            type="{{ kind }}",
            whole_region="{{ false }}",
            read_timeout="{{ 5 + 5 }}",
        )
        assert sorted(shown.hosts) == ["eni-data0001", "eni-pods0001"]

    def test_the_environment_gives_what_the_file_leaves_out(self, inventories: Inventories) -> None:
        inventories.environment |= {
            "ALIBABA_CLOUD_REGION_ID": "",
            "ALICLOUD_REGION": "cn-beijing",
            "ALIBABA_CLOUD_ACCOUNT_ID": "1000000000000001",
        }
        assert inventories.list(whole_region=True).hosts == {}
        assert [call["parameters"]["RegionId"] for call in inventories.emulator.calls()] == ["cn-beijing"]

    def test_a_file_that_is_wholly_encrypted(self, inventories: Inventories) -> None:
        path = inventories.write({"eni_ids": ["eni-web1001"]})
        password = inventories.folder / "password"
        password.write_text("open sesame")
        assert inventories.run("ansible-vault", "encrypt", "--vault-password-file", str(password), str(path)).code == 0
        assert path.read_text().startswith("$ANSIBLE_VAULT")
        shown = inventories.run("ansible-inventory", "-i", str(path), "--list", "--vault-password-file", str(password))
        assert list(shown.hosts) == ["eni-web1001"]


class TestCache:
    @pytest.fixture
    def cached(self, inventories: Inventories) -> dict[str, Any]:
        folder = str(inventories.folder / "cache")
        return {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": folder, "security_group_ids": ["sg-web"]}

    def calls(self, inventories: Inventories, *arguments: str, **options: Any) -> int:
        """The calls of one run."""
        before = len(inventories.emulator.calls())
        assert "eni-web1001" in inventories.list(*arguments, **options).hosts
        return len(inventories.emulator.calls()) - before

    def test_the_second_run_makes_no_call_and_shows_the_same(self, inventories: Inventories, cached: dict[str, Any]) -> None:
        first = inventories.list(**cached)
        calls = len(inventories.emulator.calls())
        assert calls > 0
        second = inventories.list(**cached)
        assert second.output == first.output
        assert len(inventories.emulator.calls()) == calls

    def test_it_is_refreshed_on_request(self, inventories: Inventories, cached: dict[str, Any]) -> None:
        assert self.calls(inventories, **cached) > 0
        assert self.calls(inventories, "--flush-cache", **cached) > 0
        assert self.calls(inventories, **cached) == 0

    def test_what_only_shapes_the_inventory_is_applied_to_the_cache(self, inventories: Inventories, cached: dict[str, Any]) -> None:
        assert self.calls(inventories, **cached) > 0
        shown = inventories.list(**cached, matching_only=True, group_by=["tag"], compose={"a": "eni_vpc_id"})
        assert "eni-web1004" not in shown.hosts
        assert shown.hosts["eni-web1001"]["a"] == "vpc-main"
        assert self.calls(inventories, **cached, group_by=[]) == 0

    @pytest.mark.parametrize(
        "changed",
        [
            {"status": "InUse"},
            {"excluding": ["192.168.0.103"]},
            {"account_id": "1000000000000001"},
            {"access_key_id": "STS.emulator-key-id", "access_key_secret": "emulator-sts-secret", "security_token": "emulator-sts-token"},
        ],
    )
    def test_a_changed_option_does_not_use_it(self, inventories: Inventories, cached: dict[str, Any], changed: dict[str, Any]) -> None:
        assert self.calls(inventories, **cached) > 0
        assert self.calls(inventories, **cached, **changed) > 0
        assert self.calls(inventories, **cached) == 0

    def test_another_login_of_the_environment_does_not_use_it(self, inventories: Inventories, cached: dict[str, Any]) -> None:
        assert self.calls(inventories, **cached) > 0
        inventories.environment |= {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": "STS.emulator-key-id",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "emulator-sts-secret",
            "ALIBABA_CLOUD_SECURITY_TOKEN": "emulator-sts-token",
        }
        assert self.calls(inventories, **cached) > 0

    def test_a_region_that_failed_is_read_again_and_no_other(self, inventories: Inventories, cached: dict[str, Any]) -> None:
        options = {**cached, "regions": ["cn-hangzhou", "cn-nowhere"], "on_region_error": "warn"}
        assert self.calls(inventories, **options) > 1
        assert self.calls(inventories, **options) == 1

    def test_warnings_are_kept(self, inventories: Inventories, cached: dict[str, Any]) -> None:
        options = {**cached, "security_group_ids": None, "eni_ids": ["eni-web1001", "eni-nowhere1"]}
        assert "eni-nowhere1: not found in" in inventories.list(**options).messages
        calls = len(inventories.emulator.calls())
        assert "eni-nowhere1: not found in" in inventories.list(**options).messages
        assert len(inventories.emulator.calls()) == calls


PLAYBOOK = """
- hosts: eni-1
  gather_facts: false
  tasks:
    - name: Strings of the cloud are used in every way that a template could be
      ansible.builtin.debug:
        msg: "{{ item }}"
      loop:
        - "{{ eni_tags.evil }}"
        - "{{ eni_tags }}"
        - "{{ eni_description ~ eni_name }}"
        - "{{ hostvars['eni-1'].eni_tags.evil | upper | lower }}"
        - "{{ composed | default('') }}"
        - "{{ group_names }}"
    - name: The Python that runs Ansible runs the modules
      ansible.builtin.command: "{{ ansible_python_interpreter }} -c 'import sys; print(sys.executable)'"
      register: python
      changed_when: false
    - ansible.builtin.assert:
        that:
          - python.stdout == ansible_playbook_python
          - eni_tags.evil is match('\\{\\{ lookup')
          - ansible_connection == 'local'
"""


class TestCloudStrings:
    @pytest.fixture
    def marker(self, inventories: Inventories) -> Path:
        """A file that exists if a string from the cloud was evaluated as a template."""
        marker = inventories.folder / "evaluated"
        evil = f"{{{{ lookup('pipe', 'touch {marker}') }}}}"
        statement = f"{{% set x = lookup('pipe', 'touch {marker}') %}}"
        tags = {"evil": evil, evil: "key", "bare": f"lookup('pipe', 'touch {marker}')"}
        inventories.emulator.reset(a_world({"id": "eni-1", "name": statement, "description": evil, "tags": tags}))
        return marker

    CONSTRUCTED = {  # noqa: RUF012 (never changed)
        "whole_region": True,
        "compose": {"composed": "eni_tags.evil ~ eni_name", "kept": "eni_tags"},
        "groups": {"conditional": "eni_tags.bare"},
        "keyed_groups": [{"key": "eni_tags", "prefix": "t"}, {"key": "eni_description", "parent_group": "parent"}],
    }

    def test_are_never_templated_in_a_play(self, inventories: Inventories, marker: Path) -> None:
        played = inventories.play(inventories.write(self.CONSTRUCTED), PLAYBOOK)
        assert played.code == 0, played.output + played.messages
        assert "lookup('pipe'" in played.output
        assert not marker.exists()

    def test_nor_in_what_awx_makes_of_the_inventory(self, inventories: Inventories, marker: Path) -> None:
        """AWX keeps the JSON of ``--list --export``, and gives it back to a job by a script."""
        kept = inventories.folder / "kept.json"
        inventories.list("--export", "--output", str(kept), **self.CONSTRUCTED)
        script = inventories.folder / "hosts"
        script.write_text(f"#!/bin/sh\ncat {kept}\n")
        script.chmod(0o755)
        played = inventories.play(script, PLAYBOOK)
        assert played.code == 0, played.output + played.messages
        assert not marker.exists()

    def test_nor_from_the_cache(self, inventories: Inventories, marker: Path) -> None:
        cache = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(inventories.folder / "cache")}
        for _run in range(2):
            played = inventories.play(inventories.write({**self.CONSTRUCTED, **cache}), PLAYBOOK)
            assert played.code == 0, played.output + played.messages
        assert len(inventories.emulator.calls()) == 1
        assert not marker.exists()

    def test_templates_of_the_inventory_file_are_evaluated(self, inventories: Inventories, marker: Path) -> None:
        options = {"whole_region": True, "compose": {"composed": f"lookup('pipe', 'touch {marker}')"}}
        assert inventories.list(**options).code == 0
        assert marker.exists()


def test_a_play_over_the_hosts_unassigns_their_assignments_in_one_task(inventories: Inventories) -> None:
    playbook = """
- hosts: security_group_sg_web:&status_InUse:!tag_app_web
  gather_facts: false
  tasks:
    - alicloud_ops.network.eni_secondary_ip:
        state: absent
        assignments: "{{ ansible_play_hosts | map('extract', hostvars, 'eni_assignment') }}"
        allow_eip: true
        on_refusal: skip
        wait_timeout: 1
      run_once: true
"""
    inventory = inventories.write({"security_group_ids": ["sg-web"], "matching_only": True, "excluding": ["192.168.0.12"]})
    played = inventories.play(inventory, playbook)
    assert played.code == 0, played.output + played.messages
    left = {eni_id: eni["private_ip_addresses"] for eni_id, eni in inventories.emulator.state()["interfaces"].items()}
    assert left["eni-web0001"] == ["192.168.0.12"]
    assert left["eni-web1002"] == []
    assert len(left["eni-web1001"]) == 5
    assert left["eni-web1003"] == ["192.168.0.121"]


class TestSecrets:
    def encrypted(self, inventories: Inventories, text: str) -> str:
        password = inventories.folder / "password"
        password.write_text("open sesame")
        command = [
            str(BIN / "ansible-vault"),
            "encrypt_string",
            "--vault-password-file",
            str(password),
            "--name",
            "access_key_secret",
            text,
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=inventories.folder).stdout

    @pytest.mark.parametrize("login", CANARIES)
    @pytest.mark.parametrize("is_right", [True, False], ids=["right", "wrong"])
    def test_are_in_no_output_and_in_no_file(self, inventories: Inventories, login: str, is_right: bool) -> None:
        secret = CANARIES[login]
        known = secret if is_right else "another-secret-1234"
        inventories.emulator.reset({**SAMPLE, "credentials": [{"user": "canary", "access_key_id": "canary", "access_key_secret": known}]})
        inventories.environment |= {"ALIBABA_CLOUD_ACCESS_KEY_ID": "", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": ""}
        inventories.environment |= {
            "ANSIBLE_DISPLAY_TRACEBACK": "always",
            "ANSIBLE_LOG_PATH": str(inventories.folder / "log"),
            "DEBUG": "sdk",
        }
        text = f"plugin: {PLUGIN}\nretry_timeout: 0\nwhole_region: true\n"
        text += f"cache: true\ncache_plugin: ansible.builtin.jsonfile\ncache_connection: {inventories.folder}/cache\n"
        text += "access_key_id: canary\n" if login != "variable" else ""
        if login == "option":
            text += f"access_key_secret: {secret}\n"
        elif login == "vault":
            text += self.encrypted(inventories, secret)
        else:
            inventories.environment |= {"ALIBABA_CLOUD_ACCESS_KEY_ID": "canary", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": secret}
        path = inventories.write(text)
        password = inventories.folder / "password"
        password.write_text("open sesame")
        arguments = ("--vault-password-file", str(password), "-vvvv")
        shown = inventories.run("ansible-inventory", "-i", str(path), "--list", *arguments)
        if is_right:
            assert f"credential: access_key from {'environment' if login == 'variable' else 'options'}" in shown.output
            assert '"eni-web1001": {' in shown.output
            assert list((inventories.folder / "cache").iterdir())
        else:
            assert "SignatureDoesNotMatch" in shown.messages
        files = [file.read_text() for file in inventories.folder.rglob("*") if file.is_file() and file != path]
        assert len(files) > 1
        assert not any(secret in place for place in (shown.output, shown.messages, *files))

    def test_a_wrong_option_next_to_one_does_not_show_it(self, inventories: Inventories) -> None:
        inventories.environment["ANSIBLE_DISPLAY_TRACEBACK"] = "always"
        options = {"access_key_id": "an-id", "access_key_secret": CANARIES["option"], "within": "{{ lookup(nowhere) }}", "compose": 7}
        shown = inventories.list("-vvvv", **options, whole_region=True)
        assert "within: " in shown.messages
        assert CANARIES["option"] not in shown.output + shown.messages

    def test_without_the_vault_password_the_option_is_named(self, inventories: Inventories) -> None:
        text = self.encrypted(inventories, CANARIES["vault"])
        path = inventories.write(f"plugin: {PLUGIN}\nwhole_region: true\naccess_key_id: canary\n{text}")
        shown = inventories.run("ansible-inventory", "-i", str(path), "--list")
        assert "test.eni.yml: (1) access_key_secret: " in shown.messages or "test.eni.yml: access_key_secret: " in shown.messages
        assert inventories.emulator.calls() == []


def test_as_an_awx_inventory_source(inventories: Inventories) -> None:
    """What AWX runs for a source from a project: the credential and the source variables are environment variables, which may be empty."""
    key = {name: text for name, text in inventories.emulator.environment().items() if "ACCESS_KEY" in name}
    of_credential = {**key, "ALIBABA_CLOUD_ROLE_ARN": "", "ALIBABA_CLOUD_PROFILE": "", "ALIBABA_CLOUD_SECURITY_TOKEN": ""}
    source_variables = {"ALIBABA_CLOUD_REGION_ID": "cn-hangzhou", "SECURITY_GROUPS": "sg-data"}
    of_update = {"ANSIBLE_INVENTORY_UNPARSED_FAILED": "True", "ANSIBLE_FORCE_COLOR": "True"}
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(inventories.folder),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(Path(__file__).resolve().parents[2] / "collections"),
        "ALIBABA_CLOUD_ECS_ENDPOINT": inventories.emulator.endpoint,
        **of_credential,
        **source_variables,
        **of_update,
    }
    path = inventories.write({"security_group_ids": "{{ lookup('env', 'SECURITY_GROUPS') | split(',') }}"})
    output = inventories.folder / "output.json"
    command = [str(BIN / "ansible-inventory"), "-i", str(path), "--list", "--export", "--output", str(output), "-vvv"]
    done = subprocess.run(command, cwd=inventories.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(output.read_text())
    assert document["security_group_sg_data"]["hosts"] == ["eni-data0001", "eni-data1001", "eni-managed0001"]
    assert set(document["_meta"]["hostvars"]) == {"eni-data0001", "eni-data1001", "eni-managed0001"}

    path.write_text(path.read_text().replace("security_group_ids", "security_groups"))
    done = subprocess.run(command, cwd=inventories.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "security_groups: there is no such option" in done.stderr
