# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin without Ansible around it: options, groups, host variables, cache keys. Its runs are in tests/integration."""

from __future__ import annotations

import json
import sys

import pytest
import yaml
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import inventory_loader

from ansible_collections.alicloud_ops.network.plugins.doc_fragments.connection import ModuleDocFragment
from ansible_collections.alicloud_ops.network.plugins.inventory.eni import DOCUMENTATION, EXAMPLES, InventoryModule
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import EcsError
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import make_interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._select import Found, SecurityGroup
from ansible_collections.alicloud_ops.network.plugins.plugin_utils import _inventory
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._inventory import (
    GROUP_NAMES,
    Membership,
    describe_region,
    has_matches,
    host_variables,
    in_order,
    inventory_spec,
    memberships,
    missing_everywhere,
    parse_settings,
    same_name,
    unknown_options,
)

SECRET = "canary-canary-canary"
KEY = {"access_key_id": "an-id", "access_key_secret": SECRET}
RECORD = {
    "NetworkInterfaceId": "eni-1",
    "NetworkInterfaceName": "web",
    "Type": "Secondary",
    "Status": "InUse",
    "InstanceId": "i-1",
    "PrivateIpAddress": "10.0.0.1",
    "PrivateIpSets": {
        "PrivateIpSet": [
            {"PrivateIpAddress": "10.0.0.1", "Primary": True},
            {"PrivateIpAddress": "10.0.0.2", "Primary": False, "AssociatedPublicIp": {"PublicIpAddress": "203.0.113.2"}},
            {"PrivateIpAddress": "10.0.1.3", "Primary": False},
        ]
    },
    "SecurityGroupIds": {"SecurityGroupId": ["sg-1", "sg-2"]},
    "Tags": {"Tag": [{"TagKey": "team", "TagValue": "web"}, {"TagKey": "old", "TagValue": ""}]},
    "VpcId": "vpc-1",
    "VSwitchId": "vsw-1",
    "ZoneId": "cn-hangzhou-h",
    "OwnerId": "1000000000000001",
}


def settings(**given):
    errors: list[str] = []
    found = parse_settings({"region": "cn-hangzhou", **KEY, **({} if "eni_ids" in given else {"whole_region": True}), **given}, {}, errors)
    assert errors == []
    return found


def errors_of(environ=None, **given):
    errors: list[str] = []
    assert parse_settings({"region": "cn-hangzhou", **KEY, "whole_region": True, **given}, environ or {}, errors) is None
    return errors


def described(*, groups=None, unreadable=None, missing=(), **given):
    found = Found([make_interface(RECORD, 0.0, detailed=True)], list(missing), groups or {}, unreadable or {})
    return describe_region("cn-hangzhou", found, settings(**given).selection)


@pytest.fixture
def eni():
    return described()["interfaces"][0]


class TestDocumentation:
    """Ansible gets the options from the documentation, and the plugin gets them from the spec."""

    def options(self):
        of_fragment = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
        return {**of_fragment, **yaml.safe_load(DOCUMENTATION)["options"]}

    def test_it_has_the_options_of_the_spec(self):
        assert set(self.options()) == {"plugin", *inventory_spec()}

    @pytest.mark.parametrize("name", inventory_spec())
    def test_types_choices_defaults_and_aliases_agree(self, name):
        option, documented = inventory_spec()[name], self.options()[name]
        for key in ("elements", "choices", "default", "aliases"):
            assert documented.get(key) == option.get(key), key
        assert documented["type"] == {"json": "raw"}.get(option["type"], option["type"])

    @pytest.mark.parametrize("example", list(yaml.safe_load_all(EXAMPLES)), ids=lambda example: min(set(example) - {"plugin"}))
    def test_every_example_is_valid(self, example, tmp_path):
        own = {name: value for name, value in example.items() if name in inventory_spec() and "{{" not in str(value)}
        of_ansible = {"plugin", "compose", "groups", "keyed_groups", "strict", "cache", "cache_plugin", "cache_connection", "cache_timeout"}
        assert unknown_options(example, [*inventory_spec(), *of_ansible]) == []
        profile = tmp_path / ".aliyun" / "config.json"
        profile.parent.mkdir()
        profile.write_text(json.dumps({"profiles": [{"name": "production", "mode": "AK", **KEY, "region_id": "cn-hangzhou"}]}))
        selector = {} if len(own) == len(set(example) & set(inventory_spec())) else {"whole_region": True}
        errors: list[str] = []
        login = {} if "profile" in own else KEY
        region = {} if {"regions", "profile"} & set(own) else {"region": "cn-hangzhou"}
        parse_settings({**login, **region, **selector, **own}, {"HOME": str(tmp_path)}, errors)
        assert errors == []


class TestFileName:
    @pytest.mark.parametrize("name", ["web.eni.yml", "web.eni.yaml", "eni.yml", "eni.yaml"])
    def test_these_are_read(self, tmp_path, name):
        (tmp_path / name).touch()
        assert InventoryModule().verify_file(str(tmp_path / name))

    @pytest.mark.parametrize("name", ["web.yml", "weni.yml", "web.eni.yml.bak", "web.eni.json", "eni"])
    def test_other_files_are_not_read(self, tmp_path, name):
        (tmp_path / name).touch()
        assert not InventoryModule().verify_file(str(tmp_path / name))

    def test_a_file_that_does_not_exist_is_not_read(self, tmp_path):
        assert not InventoryModule().verify_file(str(tmp_path / "web.eni.yml"))


def test_without_the_sdk_the_file_is_named_and_the_package(tmp_path, monkeypatch):
    path = tmp_path / "eni.yml"
    path.write_text(yaml.safe_dump({"plugin": InventoryModule.NAME, "region": "cn-hangzhou", "whole_region": True, **KEY}))
    monkeypatch.setitem(sys.modules, "alibabacloud_ecs20140526.client", None)
    with pytest.raises(AnsibleParserError) as raised:
        inventory_loader.get(InventoryModule.NAME).parse(InventoryData(), DataLoader(), str(path), cache=False)
    assert str(raised.value).startswith(f"{path}: ")
    assert "alibabacloud-ecs20140526" in str(raised.value)
    assert SECRET not in str(raised.value)


class TestOptions:
    def test_the_defaults_are_those_of_the_modules(self):
        found = settings()
        assert found.selection.kinds == ("private_ip_addresses",)
        assert [connection.region for connection in found.connections] == ["cn-hangzhou"]
        assert found.group_by == tuple(GROUP_NAMES)
        assert not found.warn_on_region_error
        assert not found.matching_only

    def test_there_is_a_connection_for_each_region_once(self):
        found = settings(region=None, regions=["cn-hangzhou", "cn-beijing", "cn-hangzhou"])
        assert [connection.region for connection in found.connections] == ["cn-hangzhou", "cn-beijing"]

    @pytest.mark.parametrize("blank", [None, [""], [" ", ""]])
    def test_blank_regions_are_not_set(self, blank):
        assert [connection.region for connection in settings(regions=blank).connections] == ["cn-hangzhou"]

    def test_regions_win_over_the_region_of_the_environment(self):
        errors: list[str] = []
        found = parse_settings({**KEY, "regions": ["cn-beijing"], "whole_region": True}, {"ALIBABA_CLOUD_REGION_ID": "cn-hangzhou"}, errors)
        assert [connection.region for connection in found.connections] == ["cn-beijing"]

    @pytest.mark.parametrize(
        ("given", "error"),
        [
            ({"regions": ["cn-beijing"]}, "regions: cannot be combined with region; set only one of them"),
            ({"region": None, "regions": []}, "regions: is empty, so nothing would be read; name a region, or leave the option out"),
            ({"region": None, "regions": ["a b"]}, "regions: 'a b' is not a region id such as cn-hangzhou"),
            ({"status": "Gone"}, "status: 'Gone' is not one of Available, Attaching, InUse, Detaching, Deleting"),
            ({"group_by": ["nic"]}, f"group_by: ['nic'] is not a list of strings out of {', '.join(GROUP_NAMES)}"),
            ({"connect_timeout": "soon"}, "connect_timeout: 'soon' is not a whole number"),
            ({"matching_only": "perhaps"}, "matching_only: 'perhaps' is not true or false"),
            ({"tags": "team=web,shop"}, "tags: 'team=web,shop' is not a mapping"),
            ({"region_id": "cn-beijing"}, "region and region_id: these mean the same; set one of them"),
            ({"within": ["10.0.0.1/8"]}, "within: '10.0.0.1/8' has host bits set; did you mean 10.0.0.0/8?"),
            ({"within": [""]}, "within: is empty text, so this guard would have no effect; set a value, or leave it out"),
            ({"account_id": ""}, "account_id: is empty text, so this guard would have no effect; set a value, or leave it out"),
        ],
    )
    def test_each_error_names_the_option_and_what_would_be_right(self, given, error):
        assert errors_of(**given) == [error]

    def test_all_errors_are_reported_at_once_whatever_their_kind(self):
        errors = errors_of(status="Gone", eni_ids=["eni_1"], regions=["a b"], region=None, endpoint_type="fast", whole_region=False)
        assert [error.split(":")[0] for error in errors] == ["status", "eni_ids", "regions", "endpoint_type"]

    def test_an_error_of_every_region_is_reported_once(self):
        errors = errors_of(region=None, regions=["cn-hangzhou", "cn-beijing"], endpoint_type="fast", read_timeout=0)
        assert [error.split(":")[0] for error in errors] == ["read_timeout", "endpoint_type"]

    def test_nothing_selected_is_an_error(self):
        (error,) = errors_of(whole_region=False, eni_ids=[""])
        assert error.startswith("no ENI is selected; set one or more of eni_ids, ")

    def test_an_option_that_does_not_exist_is_an_error_with_a_hint(self):
        assert unknown_options(["eni_id", "tags", "zzz", 7], ["eni_ids", "tags"]) == [
            "eni_id: there is no such option; did you mean eni_ids?",
            "zzz: there is no such option",
            "7: there is no such option",
        ]

    @pytest.mark.parametrize("option", ["access_key_secret", "secret_key", "security_token", "credentials_uri"])
    def test_no_error_shows_a_secret(self, option):
        shown = " ".join(errors_of(**{"access_key_secret": None, option: SECRET, "status": f"is-{SECRET}", "profile": SECRET}))
        assert "status: " in shown
        assert SECRET not in shown

    def test_an_error_of_the_type_does_not_show_a_secret(self):
        assert SECRET not in " ".join(errors_of(access_key_secret=[{"a": SECRET}], status="Gone"))


class TestHosts:
    def test_variables_are_those_of_the_info_module_with_a_prefix(self, eni):
        variables = host_variables(eni)
        assert variables["eni_id"] == "eni-1"
        assert variables["eni_name"] == "web"
        assert variables["eni_tags"] == {"team": "web", "old": ""}
        assert variables["eni_private_ip_addresses"] == [
            {"address": "10.0.0.2", "eip": "203.0.113.2"},
            {"address": "10.0.1.3", "eip": None},
        ]
        assert variables["eni_region"] == "cn-hangzhou"
        assert all(name.startswith("eni_") for name in variables)

    def test_the_assignment_has_the_matching_addresses_only(self):
        (eni,) = described(within=["10.0.0.0/24"])["interfaces"]
        assert eni["assignment"] == {
            "eni_id": "eni-1",
            "private_ip_addresses": ["10.0.0.2"],
            "ipv4_prefixes": [],
            "ipv6_addresses": [],
            "ipv6_prefixes": [],
        }
        assert len(eni["private_ip_addresses"]) == 2
        assert has_matches(eni)
        assert not has_matches(described(within=["10.9.0.0/24"])["interfaces"][0])

    def test_names_of_security_groups_are_those_that_are_known(self, eni):
        assert eni["security_group_names"] == {}
        groups = {"sg-1": SecurityGroup("front", "vpc-1"), "sg-9": SecurityGroup("other", "vpc-1")}
        assert described(groups=groups)["interfaces"][0]["security_group_names"] == {"sg-1": "front"}

    def test_a_region_is_described_by_what_json_can_hold(self):
        error = EcsError("DescribeInstances", "InstanceWithoutEni", "no primary ENI")
        region = described(unreadable={"i-2": error}, missing=["eni-2"])
        assert json.loads(json.dumps(region)) == region
        assert region["missing"] == ["eni-2"]
        assert region["unreadable"] == ["DescribeInstances failed with InstanceWithoutEni: no primary ENI"]

    def test_missing_has_only_names_that_are_missing_in_every_region(self):
        regions = [{"missing": ["eni-1", "eni-2"]}, {"missing": ["eni-2", "eni-3"]}]
        assert missing_everywhere(regions) == ["eni-2"]
        assert missing_everywhere(regions[:1]) == ["eni-1", "eni-2"]


class TestGroups:
    def test_every_kind_has_its_groups_and_parents(self, eni):
        eni["security_group_names"] = {"sg-1": "front"}
        assert memberships(eni, list(GROUP_NAMES)) == [
            Membership("zone", "zone_cn-hangzhou-h", "region_cn-hangzhou"),
            Membership("vswitch", "vswitch_vsw-1", "vpc_vpc-1"),
            Membership("security_group", "security_group_sg-1", None),
            Membership("security_group", "security_group_sg-2", None),
            Membership("security_group", "security_group_name_front", None),
            Membership("type", "type_Secondary", None),
            Membership("status", "status_InUse", None),
            Membership("tag", "tag_team=web", None),
            Membership("tag", "tag_old", None),
        ]

    @pytest.mark.parametrize(
        ("group_by", "groups"),
        [
            ([], []),
            (["zone"], [("zone_cn-hangzhou-h", None)]),
            (["region"], [("region_cn-hangzhou", None)]),
            (["vswitch", "vpc"], [("vswitch_vsw-1", "vpc_vpc-1")]),
            (["tag"], [("tag_team=web", None), ("tag_old", None)]),
        ],
    )
    def test_only_the_chosen_kinds_are_made(self, eni, group_by, groups):
        assert [(one.group, one.parent) for one in memberships(eni, group_by)] == groups

    def test_an_eni_without_a_zone_is_in_the_group_of_its_region(self, eni):
        eni["zone_id"] = None
        assert memberships(eni, ["region", "zone"]) == [Membership("region", "region_cn-hangzhou", None)]

    def test_groups_are_shown_once_by_kind_and_name(self, eni):
        other = {**eni, "region": "cn-beijing", "zone_id": "cn-beijing-a", "type": "Primary", "tags": {"a": "b"}}
        ordered = in_order([*memberships(eni, ["tag", "type", "region", "zone"]), *memberships(other, ["tag", "type", "region", "zone"])])
        assert [one.group for one in ordered] == [
            "zone_cn-beijing-a",
            "zone_cn-hangzhou-h",
            "type_Primary",
            "type_Secondary",
            "tag_a=b",
            "tag_old",
            "tag_team=web",
        ]

    def test_names_that_become_the_same_group_are_found(self):
        assert same_name({"tag_a-b": "tag_a_b", "tag_a.b": "tag_a_b", "tag_c": "tag_c"}) == {"tag_a_b": ["tag_a-b", "tag_a.b"]}


class TestCache:
    def suffix(self, **given):
        found = settings(**given)
        return found.cache_suffix(found.connections[0])

    def test_the_same_options_have_the_same_key(self):
        assert self.suffix() == self.suffix()
        assert self.suffix(tags={1: "a", "b": None}, whole_region=False) == self.suffix(tags={1: "a", "b": None}, whole_region=False)
        assert self.suffix(group_by=[], matching_only=True, on_region_error="warn", calls_per_minute=0) == self.suffix()

    @pytest.mark.parametrize(
        "changed",
        [
            {"region": "cn-beijing"},
            {"endpoint": "https://ecs.example.com"},
            {"account_id": "1000000000000001"},
            {"access_key_id": "another-id"},
            {"access_key_secret": f"{SECRET}2"},
            {"role_arn": "acs:ram::1000000000000001:role/reader"},
            {"within": ["10.0.0.0/24"]},
            {"kinds": ["ipv6_prefixes"]},
            {"eni_ids": ["eni-1"]},
        ],
    )
    def test_each_option_that_affects_the_read_changes_the_key(self, changed):
        assert self.suffix(**changed) != self.suffix()

    def test_a_cache_of_another_version_is_not_used(self, monkeypatch):
        before = self.suffix()
        monkeypatch.setattr(_inventory, "CACHE_VERSION", _inventory.CACHE_VERSION + 1)
        assert self.suffix() != before
