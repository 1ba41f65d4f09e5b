# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.vault import EncryptedString
from ansible.template import trust_as_template

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import Blocks, group
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import CONTAINER_NETWORK_TAGS
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import Document, make_document
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._evidence import GuestSettings
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._folder import FolderError
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._settings import Settings, SettingsError, read_settings
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._variables import VARIABLES, allowed_failures, variables_of

AUDIT, UNASSIGN, RESTORE = ROLES = ("audit_secondary_ips", "unassign_secondary_ips", "restore_secondary_ips")
ACCOUNT, OTHER = "1000000000000001", "1000000000000002"
SELECTORS = ("security_group_ids", "security_group_names", "security_group_tags", "vpc_ids", "eni_type", "eni_status", "eni_tags")
HIDDEN = EncryptedString(ciphertext="$ANSIBLE_VAULT;1.1;AES256\n3832\n")
ENVIRON = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "example-id",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "example-secret",
    "ALIBABA_CLOUD_REGION_ID": "cn-hangzhou",
}


def document(region: str | None = "cn-hangzhou", account_id: str | None = ACCOUNT) -> Document:
    records = [{"eni_id": f"eni-{number}", **group([f"10.0.0.{number}"])} for number in (2, 1)]
    return make_document(records, region, account_id, "2026-01-01T00:00:00+00:00")


def no_file(path: str) -> str:
    raise FolderError(f"{path}: it cannot be read: No such file or directory")


def read(role: str = UNASSIGN, *, defaults: Any = None, environ: Any = None, read_file: Any = no_file, **given: Any) -> Settings:
    variables = {f"{role}_{name}": value for name, value in given.items()}
    return read_settings(role, variables, defaults or {}, {**ENVIRON, **(environ or {})}, read_file)


def blocks_as_text(options: Any) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, Blocks) else value for name, value in vars(options).items()}


def pace_of(settings: Settings) -> tuple[Any, ...]:
    connection = settings.connection
    return connection.region, connection.account_id, connection.calls_per_minute, connection.max_concurrency


def by_group(**given: Any) -> Settings:
    return read(**{"security_group_names": "web", **given})


def errors_of(role: str = UNASSIGN, **given: Any) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        read(role, **given)
    assert str(raised.value) == "; ".join(raised.value.errors)
    return raised.value.errors


def only_error(role: str = UNASSIGN, **given: Any) -> str:
    (error,) = errors_of(role, **given)
    return error


# -- the settings of a run


def test_a_run_by_group_with_defaults():
    settings = by_group()
    assert (settings.operation, settings.request.state, settings.by_group, settings.saved) == ("unassign", "absent", True, None)
    assert settings.selection.security_group_names == ("web",)
    assert settings.selection.kinds == ("private_ip_addresses",)
    assert (settings.request.max_addresses, settings.request.skip_refused, settings.request.allow_eip) == (1000, True, False)
    assert (settings.request.wait, settings.request.ignore_missing, settings.request.wait_timeout) == (True, True, 60)
    assert settings.request.protected_tags == CONTAINER_NETWORK_TAGS
    assert (settings.connection.region, settings.connection.calls_per_minute, settings.connection.max_concurrency) == (
        "cn-hangzhou",
        300,
        8,
    )
    assert (settings.wave_size, settings.wave_pause, settings.max_failures) == (50, 0, "0")
    assert (settings.approved_digest, settings.require_approval, settings.report_dir, settings.selection.vpc_ids) == (
        None,
        False,
        None,
        None,
    )


def test_an_audit_and_a_restore():
    settings = read(AUDIT, security_group_ids=["sg-1"])
    assert (settings.operation, settings.by_group) == ("audit", True)
    settings = read(RESTORE, recipe=document().as_dict())
    assert (settings.operation, settings.by_group, settings.max_failures) == ("restore", False, "100%")
    assert settings.request.state == "present"
    assert settings.saved == document()
    assert settings.selection.eni_ids == ("eni-1", "eni-2")


def test_each_variable_reaches_its_option():
    settings = read(
        region="cn-beijing",
        account_id=int(ACCOUNT),
        security_group_ids=["sg-1"],
        security_group_tags={"team": "web"},
        vpc_ids="vpc-2, vpc-1, vpc-2",
        eni_type="Secondary",
        eni_status="InUse",
        eni_tags={"stage": None},
        within=["10.0.0.0/8"],
        excluding="10.1.0.0/16",
        private_ip_addresses=["10.0.0.1"],
        kinds="private_ip_addresses, ipv6_addresses",
        keep=["10.0.0.9"],
        on_refusal="fail",
        allow_eip=True,
        max_addresses="13",
        protected_tags={"owner": "db"},
        wave_size="7",
        wave_pause=2,
        max_failures=5,
        calls_per_minute=60,
        max_concurrency=3,
        wait_timeout=90,
        approved_digest="A" * 64,
        require_approval="yes",
        report_dir="/srv/change",
    )
    selection, request, connection = settings.selection, settings.request, settings.connection
    assert (selection.security_group_ids, selection.security_group_tags) == (("sg-1",), {"team": ("web",)})
    assert (selection.type, selection.status, selection.tags) == ("Secondary", "InUse", {"stage": None})
    assert (list(selection.within), list(selection.excluding)) == (["10.0.0.0/8"], ["10.1.0.0/16"])
    assert (selection.private_ip_addresses, selection.kinds) == (("10.0.0.1",), ("private_ip_addresses", "ipv6_addresses"))
    assert (list(request.keep), request.skip_refused, request.allow_eip, request.max_addresses) == (["10.0.0.9/32"], False, True, 13)
    assert request.protected_tags == {**CONTAINER_NETWORK_TAGS, "owner": ("db",)}
    assert request.wait_timeout == 90
    assert (connection.region, connection.account_id) == ("cn-beijing", ACCOUNT)
    assert (connection.calls_per_minute, connection.max_concurrency) == (60, 3)
    assert (settings.wave_size, settings.wave_pause, settings.max_failures) == (7, 2, "5")
    assert (settings.approved_digest, settings.require_approval) == ("a" * 64, True)
    assert (settings.report_dir, settings.selection.vpc_ids) == ("/srv/change", ("vpc-2", "vpc-1"))


def test_the_files_of_a_run_stay_in_the_folder_of_its_plan_or_recipe(tmp_path):
    given = {"plan_file": "/change/plan.json", "read_file": lambda path: {"/change/plan.json": json.dumps(document().as_dict())}[path]}
    settings = read(**given)
    assert (settings.saved, settings.saved_path, settings.report_dir) == (document(), "/change/plan.json", "/change")
    assert read(**given, report_dir="/elsewhere").report_dir == "/elsewhere"
    assert read(RESTORE, recipe_file="/change/plan.json", read_file=given["read_file"]).report_dir == "/change"
    assert read(RESTORE, recipe_file="/change/plan.json", report_dir="/elsewhere", read_file=given["read_file"]).report_dir == "/elsewhere"


# -- one contract for text and typed values


@pytest.mark.parametrize(
    ("name", "text", "typed"),
    [
        ("security_group_ids", "sg-1, sg-2\nsg-3\n", ["sg-1", "sg-2", "sg-3"]),
        ("security_group_ids", '["sg-1", "", "sg-2"]', ["sg-1", "sg-2"]),
        ("security_group_ids", "[]", []),
        ("kinds", "ipv4_prefixes\nipv6_prefixes", ["ipv4_prefixes", "ipv6_prefixes"]),
        ("security_group_tags", "team=web,team=shop, stage", {"team": ["web", "shop"], "stage": None}),
        ("security_group_tags", "team,team=web", {"team": None}),
        ("security_group_tags", '{"team": null}', {"team": None}),
        ("security_group_tags", '["team=web"]', {"team": ["web"]}),
        ("eni_tags", "acs:team=web=1", {"acs:team": ["web=1"]}),
        ("protected_tags", "{}", {}),
        ("allow_eip", "true", True),
        ("allow_eip", "False", False),
        ("require_approval", "no", False),
        ("max_addresses", " 5 ", 5),
        ("wave_size", "13", 13),
        ("on_refusal", " fail ", "fail"),
        ("max_failures", "5", 5),
        ("account_id", ACCOUNT, int(ACCOUNT)),
        ("keep", "10.0.0.0/24\n10.0.1.1", ["10.0.0.0/24", "10.0.1.1"]),
    ],
)
def test_text_of_a_survey_means_the_same_as_the_typed_value(name, text, typed):
    def comparable(value: Any) -> dict[str, Any]:
        settings = by_group(**{name: value})
        own = (settings.require_approval, settings.wave_size, settings.max_failures)
        return {"all": (blocks_as_text(settings.selection), blocks_as_text(settings.request), pace_of(settings), own)}

    assert comparable(text) == comparable(typed) == comparable(trust_as_template(text))
    assert comparable(text) != comparable(None) or typed in (False, [])


def test_empty_text_is_not_given():
    guards = {"keep", "within", "excluding", "private_ip_addresses", "max_addresses", "account_id", "max_failures"}
    guards |= {"guests", "guest_policy", "only_not_seen", "guest_max_age", "approval_max_age", "enis", "require_approval", "on_refusal"}
    guards |= {"protected_tags", "kinds"}
    empty = {name: " " for name, variable in VARIABLES.items() if "u" in variable.roles and name not in guards}
    assert guards == {name for name, variable in VARIABLES.items() if variable.is_guard}
    with_a_group = {name: text for name, text in empty.items() if name not in SELECTORS}
    given, plain = read(**with_a_group, security_group_ids="sg-1"), read(security_group_ids="sg-1")
    assert blocks_as_text(given.selection) == blocks_as_text(plain.selection)
    assert blocks_as_text(given.request) == blocks_as_text(plain.request)
    assert pace_of(given) == pace_of(plain)
    assert (given.wave_size, given.report_dir, given.saved) == (plain.wave_size, None, None)
    assert "nothing is selected; set unassign_secondary_ips_security_group_ids or" in only_error(**empty)


@pytest.mark.parametrize("name", SELECTORS)
def test_an_empty_selector_together_with_a_group_is_an_error_because_it_would_widen_the_selection(name):
    group = "security_group_names" if name == "security_group_ids" else "security_group_ids"
    assert only_error(**{group: "sg-1", name: " "}) == f"unassign_secondary_ips_{name}: is empty text; set a value, or leave it out"
    assert not read(plan=document().as_dict(), **{name: " "}).by_group  # there is nothing to widen


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
@pytest.mark.parametrize("name", [name for name, variable in VARIABLES.items() if variable.is_guard])
def test_a_guard_that_is_given_and_blank_is_an_error(name, blank):
    assert only_error(security_group_ids="sg-1", **{name: blank}).startswith(f"unassign_secondary_ips_{name}: is empty text")


@pytest.mark.parametrize(
    ("name", "value", "index"),
    [
        ("keep", ["10.0.0.250", ""], 1),
        ("keep", ["10.0.0.250", None, "10.0.0.251"], 1),
        ("keep", "10.0.0.1,,", 1),
        ("keep", "10.0.0.1,", 1),
        ("keep", "\n10.0.0.1", 0),
        ("keep", "10.0.0.1\n\n10.0.0.2\n", 1),
        ("keep", '["10.0.0.1", ""]', 1),
        ("within", "10.0.0.0/24, ", 1),
        ("excluding", ["10.0.0.1", " "], 1),
        ("protected_tags", "team=web,", 1),
        ("guests", "web,,db", 1),
        ("guests", ["web", ""], 1),
    ],
)
def test_a_blank_entry_of_a_guard_is_an_error_with_its_path(name, value, index):
    assert f"unassign_secondary_ips_{name}[{index}]: is empty text" in errors_of(security_group_ids="sg-1", **{name: value})[0]


@pytest.mark.parametrize(
    "text", ["10.0.0.1,10.0.0.2", "10.0.0.1\n10.0.0.2\n", "10.0.0.1,\n10.0.0.2", " 10.0.0.1 , 10.0.0.2 ", "10.0.0.1\r\n10.0.0.2\r\n"]
)
def test_commas_and_line_breaks_that_separate_add_no_blank_entry(text):
    assert list(by_group(keep=text).request.keep) == ["10.0.0.1/32", "10.0.0.2/32"]


def test_a_blank_entry_of_a_default_of_the_play_is_an_error_with_its_path():
    assert only_error(security_group_ids="sg-1", defaults={"keep": ["10.0.0.1", ""]}).startswith("module_defaults.keep[1]: is empty text")


@pytest.mark.parametrize("required", [True, "true", "yes"])
def test_a_blank_digest_where_approval_is_required_is_an_error(required):
    error = only_error(security_group_ids="sg-1", approved_digest="", require_approval=required)
    assert error.startswith("unassign_secondary_ips_approved_digest: is empty text")
    assert by_group(approved_digest="", require_approval=False).approved_digest is None
    assert by_group(require_approval=required).require_approval is True


@pytest.mark.parametrize(
    "name", [name for name, variable in VARIABLES.items() if variable.kind in ("list", "dict") and "u" in variable.roles]
)
@pytest.mark.parametrize("blank", [",", " ,\n, ", '[""]', "[null]", [""], [" ", None], "{}", {}], ids=repr)
def test_a_blank_list_or_mapping_of_any_variable_is_an_error(name, blank):
    """Otherwise, with only a type or a state of ENIs left, the run would select the whole region."""
    if name == "protected_tags" and blank in ("{}", {}):
        assert by_group(protected_tags=blank).request.protected_tags == {}
        return
    for others in ({}, {"eni_type": "Secondary"}, {"security_group_names": "web"}):
        assert any(error.startswith(f"unassign_secondary_ips_{name}: ") for error in errors_of(**{**others, name: blank}))


@pytest.mark.parametrize("name", ["security_group_ids", "within", "private_ip_addresses", "kinds", "vpc_ids"])
def test_an_empty_list_stays_an_empty_list(name):
    settings = by_group(**{name: []})
    found = settings.selection.vpc_ids if name == "vpc_ids" else getattr(settings.selection, name)
    assert found is not None
    assert tuple(found) == ()


# -- errors

BLOCK = "10.0.0.1/24"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"securtiy_group_ids": ["sg-1"]}, "securtiy_group_ids: there is no such variable; did you mean unassign_secondary_ips_security_"),
        ({"approved_plan": "a" * 64}, "approved_plan: there is no such variable; did you mean unassign_secondary_ips_approved_digest?"),
        ({"wave_size": 0}, "wave_size: 0 is too small"),
        ({"wave_size": True}, "wave_size: 'True' is not a whole number such as 10"),
        ({"wave_pause": -1}, "wave_pause: -1 is too small"),
        ({"wave_pause": 2**31}, "wave_pause: 2147483648 is too large; it must be 2147483647 or less"),
        ({"wait_timeout": "9" * 5000}, "wait_timeout: 99999999999999999999… (5000 digits) is too large"),
        ({"calls_per_minute": 10**400}, "calls_per_minute: 10000000000000000000… (401 digits) is too large"),
        ({"max_failures": "9" * 11}, "max_failures: '99999999999' is neither a count such as 10 nor a share"),
        ({"max_addresses": "many"}, "max_addresses: 'many' is not a whole number such as 10"),
        ({"max_addresses": -1}, "max_addresses: -1 is too small"),
        ({"wait_timeout": "-1"}, "wait_timeout: -1 is too small"),
        ({"max_concurrency": 65}, "max_concurrency: 65 is too large"),
        ({"calls_per_minute": 2}, "calls_per_minute: 2 is too slow"),
        ({"region": "china"}, "region: 'china' is not a region id such as cn-hangzhou"),
        ({"account_id": "me"}, "account_id: 'me' is not an account id such as 1000000000000001"),
        ({"account_id": ["1"]}, "account_id: ['1'] is not text"),
        ({"max_failures": "101%"}, "max_failures: '101%' is neither a count such as 10 nor a share such as 5%"),
        ({"approved_digest": "abc"}, "approved_digest: 'abc' is not the digest of a plan"),
        ({"on_refusal": "ask"}, "on_refusal: 'ask' is not one of skip, fail"),
        ({"eni_status": "Lost"}, "eni_status: 'Lost' is not one of Available,"),
        ({"kinds": "ipv5"}, "kinds: 'ipv5' is not one of private_ip_addresses, ipv4_prefixes"),
        ({"allow_eip": "perhaps"}, "allow_eip: 'perhaps' is neither true nor false"),
        ({"report_dir": "reports"}, "report_dir: 'reports' is not an absolute path"),
        ({"report_dir": 5}, "report_dir: '5' is not an absolute path"),
        ({"report_dir": ["/reports"]}, "report_dir: ['/reports'] is not text"),
        ({"vpc_ids": "vsw-1"}, "vpc_ids: 'vsw-1' is a vSwitch id, not a VPC id"),
        ({"security_group_tags": "=web"}, "security_group_tags: '=web' is not a tag such as team=web"),
        ({"security_group_tags": "team:web"}, "security_group_tags: 'team:web' is not a tag such as team=web"),
        ({"security_group_tags": "{team: "}, "security_group_tags: '{team: ' cannot be read; check its brackets and quotes"),
        ({"security_group_tags": {"team": 5}}, "security_group_tags: the value of 'team' is 5"),
        ({"eni_tags": "{team: web, team: shop}"}, "eni_tags: the key 'team' occurs twice; remove one of them"),
        ({"eni_tags": "{1: web}"}, "eni_tags: line 1: the key '1' is not text; put it in quotes"),
        ({"security_group_ids": "web"}, "security_group_ids: 'web' is not a security group id such as sg-bp1example"),
        ({"security_group_ids": {"sg-1": None}}, "security_group_ids: {'sg-1': None} is not a list"),
        ({"security_group_ids": [{"id": "sg-1"}]}, "security_group_ids: {'id': 'sg-1'} is not text"),
        ({"keep": BLOCK}, f"keep: '{BLOCK}' has host bits set; did you mean 10.0.0.0/24?"),
        ({"within": "here"}, "within: 'here' is not an address or a CIDR block"),
        ({"excluding": "here"}, "excluding: 'here' is not an address or a CIDR block"),
        ({"private_ip_addresses": "fe80::1"}, "private_ip_addresses: 'fe80::1' is an IPv6 address, not an IPv4 address"),
        ({"recipe": {"version": 1}}, "recipe: there is no such variable"),
        ({"plan": {"version": 1}}, "plan: it is not a plan or recipe of this collection"),
        ({"plan": "[]"}, "plan: there is no plan or recipe in it"),
        ({"plan": {}}, "plan: there is no plan or recipe in it"),
        ({"plan_file": "/x/plan.json"}, "plan_file: /x/plan.json: it cannot be read: No such file or directory"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_each_wrong_variable_is_named_once_by_its_full_name(given, message):
    assert only_error(**{"security_group_names": "web", **given}).startswith(f"unassign_secondary_ips_{message}")


def test_a_file_that_is_not_a_document_is_named():
    error = only_error(plan_file="/x/plan.json", read_file=lambda path: "hello")
    assert error.startswith("unassign_secondary_ips_plan_file: /x/plan.json: it is not a plan or recipe of this collection")


def test_one_saved_document_and_no_variable_without_effect():
    plan = document().as_dict()
    assert "_plan and unassign_secondary_ips_plan_file are both set" in "".join(
        errors_of(plan=plan, plan_file="/x", security_group_ids="sg-1")
    )
    for name in ("vpc_ids", "eni_type", "eni_status", "eni_tags", "within", "excluding", "private_ip_addresses", "kinds"):
        value = {"vpc_ids": "vpc-1", "eni_type": "Primary", "eni_status": "InUse", "eni_tags": "a", "kinds": "ipv4_prefixes"}.get(
            name, "10.0.0.1"
        )
        assert only_error(plan=plan, **{name: value}).startswith(f"unassign_secondary_ips_{name}: narrows the selection by security groups")
        assert read(plan=plan, security_group_ids="sg-1", **{name: value}).by_group


def test_everything_that_is_wrong_is_reported_at_once():
    given = {"plan_file": "/x", "wave_size": "many", "max_failures": "few", "keep": "here", "within": "there", "alow_eip": True}
    errors = errors_of(
        **given, region="nowhere", defaults={"keep": " ", "read_timeout": 0}, environ={"ALIBABA_CLOUD_ENDPOINT_TYPE": "private"}
    )
    for name in given | {"region": ""}:
        assert [error for error in errors if error.startswith(f"unassign_secondary_ips_{name}: ")], (name, errors)
    for start in (
        "module_defaults.keep: is empty text",
        "module_defaults.read_timeout: 0 is too small",
        "ALIBABA_CLOUD_ENDPOINT_TYPE: 'private'",
    ):
        assert [error for error in errors if start in error], (start, errors)


def test_a_secret_is_in_no_error():
    errors = errors_of(security_group_ids="web", defaults={"access_key_secret": "top-secret", "read_timeout": 0}, environ={})
    assert errors
    assert "top-secret" not in str(errors)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"keep": HIDDEN}, ["unassign_secondary_ips_keep"]),
        ({"excluding": ["192.0.2.1", HIDDEN]}, ["unassign_secondary_ips_excluding"]),
        ({"protected_tags": {"team": HIDDEN}, "wave_size": "no number"}, ["unassign_secondary_ips_protected_tags"]),
        ({"defaults": {"keep": [HIDDEN], "access_key_secret": HIDDEN}}, ["module_defaults.keep"]),
    ],
    ids=str,
)
def test_a_value_that_is_encrypted_is_the_only_error_unless_it_is_a_secret(given, names):
    """Other errors repeat values, so they wait until the value is not encrypted."""
    errors = errors_of(security_group_ids="sg-web", **given)
    assert [error.partition(": it is encrypted with Ansible Vault")[0] for error in errors] == names


# -- the saved document and the variables that go with it


def test_a_document_says_where_and_as_whom_the_run_works():
    settings = read(RESTORE, recipe=document(region="cn-beijing").as_dict(), defaults={"region": "cn-shanghai"})
    assert (settings.connection.region, settings.connection.account_id) == ("cn-beijing", ACCOUNT)
    settings = read(RESTORE, recipe=document(None, None).as_dict())
    assert (settings.connection.region, settings.connection.account_id) == ("cn-hangzhou", None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"account_id": OTHER}, f"account_id: {OTHER} is set, but unassign_secondary_ips_plan belongs to account {ACCOUNT}"),
        ({"defaults": {"account_id": OTHER}}, f"account_id: {OTHER} is set, but unassign_secondary_ips_plan belongs to account {ACCOUNT}"),
        (
            {"environ": {"ALIBABA_CLOUD_ACCOUNT_ID": OTHER}},
            f"account_id: {OTHER} is set, but unassign_secondary_ips_plan belongs to account {ACCOUNT}",
        ),
        ({"region": "cn-beijing"}, "region: cn-beijing is set, but unassign_secondary_ips_plan belongs to region cn-hangzhou"),
        ({"approved_digest": "a" * 64}, "approved_digest: " + "a" * 64 + " is set, but unassign_secondary_ips_plan has the digest"),
    ],
)
def test_a_document_of_another_account_region_or_digest_is_refused(given, message):
    assert only_error(plan=document().as_dict(), **given).startswith(f"unassign_secondary_ips_{message}")


@pytest.mark.parametrize("groups", [{}, {"security_group_names": "web"}, {"security_group_ids": "sg-1"}])
@pytest.mark.parametrize(
    "elsewhere", [{"defaults": {"region_id": "cn-beijing"}}, {"environ": {"ALIBABA_CLOUD_REGION_ID": "", "ALICLOUD_REGION": "cn-beijing"}}]
)
def test_a_plan_is_never_carried_out_in_the_region_of_the_play_or_the_environment(groups, elsewhere):
    assert read(plan=document().as_dict(), **groups, **elsewhere).connection.region == "cn-hangzhou"
    error = only_error(plan=document().as_dict(), region="cn-beijing", **groups, **elsewhere)
    assert error.startswith(
        "unassign_secondary_ips_region: cn-beijing is set, but unassign_secondary_ips_plan belongs to region cn-hangzhou"
    )


def test_what_agrees_with_the_document_passes():
    digest = document().digest.upper()
    settings = read(plan=document().as_dict(), account_id=ACCOUNT, region="cn-hangzhou", approved_digest=digest)
    assert settings.approved_digest == document().digest


# -- module_defaults


def test_a_variable_wins_over_an_ordinary_default_of_the_play():
    defaults = {"alicloud_region": "cn-beijing", "wait_timeout": "30", "max_concurrency": 2, "connect_timeout": 3}
    settings = by_group(defaults=defaults)
    assert (settings.connection.region, settings.connection.max_concurrency) == ("cn-beijing", 2)
    assert settings.request.wait_timeout == 30
    assert settings.connection.transport.connect_timeout == 3
    settings = by_group(defaults=defaults, region="cn-shanghai", wait_timeout=20, max_concurrency=4)
    assert (settings.connection.region, settings.connection.max_concurrency) == ("cn-shanghai", 4)
    assert settings.request.wait_timeout == 20


@pytest.mark.parametrize(
    ("option", "variable", "default", "result"),
    [
        ("keep", None, "10.0.0.1", ["10.0.0.1/32"]),
        ("keep", "10.0.0.2", ["10.0.0.1"], ["10.0.0.1/32", "10.0.0.2/32"]),
        ("allow_eip", None, True, False),
        ("allow_eip", True, None, True),
        ("allow_eip", True, False, False),
        ("allow_eip", False, True, False),
        ("allow_eip", True, True, True),
        ("on_refusal", None, None, "skip"),
        ("on_refusal", None, "fail", "fail"),
        ("on_refusal", "skip", "fail", "fail"),
        ("on_refusal", "fail", "skip", "fail"),
        ("on_refusal", "skip", "skip", "skip"),
        ("max_addresses", None, None, 1000),
        ("max_addresses", None, "10", 10),
        ("max_addresses", None, 5000, 1000),
        ("max_addresses", 5000, 10, 10),
        ("max_addresses", 5, 10, 5),
        ("calls_per_minute", None, 60, 60),
        ("calls_per_minute", 600, None, 600),
        ("calls_per_minute", 600, 60, 60),
        ("calls_per_minute", 0, 60, 60),
        ("calls_per_minute", 60, 0, 60),
        ("calls_per_minute", 0, 0, 0),
        ("account_id", None, ACCOUNT, ACCOUNT),
        ("account_id", ACCOUNT, int(ACCOUNT), ACCOUNT),
    ],
)
def test_of_two_guards_the_stricter_one_wins(option, variable, default, result):
    settings = by_group(**{option: variable}, defaults={option: default})
    found = {
        **{name: getattr(settings.connection, name) for name in ("calls_per_minute", "account_id")},
        **{name: getattr(settings.request, name) for name in ("allow_eip", "max_addresses")},
        "keep": list(settings.request.keep),
        "on_refusal": "skip" if settings.request.skip_refused else "fail",
    }
    assert found[option] == result


@pytest.mark.parametrize(
    ("variable", "default", "result"),
    [
        (None, {"a": "1"}, {**CONTAINER_NETWORK_TAGS, "a": ("1",)}),
        ({"b": "2"}, {"a": "1"}, {**CONTAINER_NETWORK_TAGS, "a": ("1",), "b": ("2",)}),
        ({"a": ["1", "3"]}, {"a": "2"}, {**CONTAINER_NETWORK_TAGS, "a": ("1", "3", "2")}),
        ({"a": "1"}, {"a": None}, {**CONTAINER_NETWORK_TAGS, "a": None}),
        ({}, {"a": "1"}, {**CONTAINER_NETWORK_TAGS, "a": ("1",)}),
        ({"a": "1"}, {}, {**CONTAINER_NETWORK_TAGS, "a": ("1",)}),
        ({}, {}, {}),
        ({}, None, {}),
    ],
)
def test_tags_that_only_one_of_two_guards_names_are_protected(variable, default, result):
    assert by_group(protected_tags=variable, defaults={"protected_tags": default}).request.protected_tags == result


def test_guards_of_the_play_count_for_a_role_without_such_a_variable():
    settings = read(RESTORE, recipe=document().as_dict(), defaults={"max_addresses": 1})
    assert settings.request.max_addresses == 1
    assert read(AUDIT, security_group_ids="sg-1", defaults={"max_concurrency": 2}).connection.max_concurrency == 2


@pytest.mark.parametrize(
    ("given", "defaults", "message"),
    [
        ({"account_id": ACCOUNT}, {"account_id": OTHER}, f"account_id: {ACCOUNT} is set, but module_defaults.account_id is {OTHER}"),
        ({"keep": BLOCK}, {"keep": "10.0.0.1"}, f"keep and module_defaults.keep: '{BLOCK}' has host bits set"),
    ],
)
def test_errors_about_combined_guards_name_both_sources(given, defaults, message):
    assert only_error(security_group_ids="sg-1", **given, defaults=defaults).startswith(f"unassign_secondary_ips_{message}")


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        ({"keep": BLOCK}, f"module_defaults.keep: '{BLOCK}' has host bits set"),
        ({"max_addresses": ""}, "module_defaults.max_addresses: is empty text"),
        ({"max_addresses": "ten"}, "module_defaults.max_addresses: 'ten' is not a whole number"),
        ({"max_addresses": -1}, "module_defaults.max_addresses: -1 is too small"),
        ({"calls_per_minute": -1}, "module_defaults.calls_per_minute: -1 is too small"),
        ({"region_id": "nowhere"}, "module_defaults.region: 'nowhere' is not a region id"),
        ({"max_concurrency": "many"}, "module_defaults: argument 'max_concurrency' is of type"),
        ({"kep": "10.0.0.1"}, "module_defaults.kep: eni_secondary_ip has no such option"),
    ],
)
def test_what_is_wrong_in_module_defaults_is_named_there(defaults, message):
    assert only_error(security_group_ids="sg-1", defaults=defaults).startswith(message)


def test_module_defaults_for_single_enis_are_ignored():
    defaults = {
        "state": "present",
        "eni_id": "eni-9",
        "all_secondary": True,
        "wait": False,
        "missing": "fail",
        "network_interface_id": "eni-9",
    }
    settings = by_group(defaults=defaults)
    assert (settings.request.state, settings.request.targets, settings.request.wait) == ("absent", (), True)


# -- guests


@pytest.mark.parametrize(
    ("given", "pattern"), [("web", "web"), (" web,db:!old ", "web,db:!old"), (["web", "db[0:3]"], "web,db[0:3]"), ([], "")]
)
def test_guests_are_a_host_pattern(given, pattern):
    for role in (AUDIT, UNASSIGN):
        settings = read(role, security_group_ids="sg-1", guests=given)
        assert settings.guests == GuestSettings(pattern, {AUDIT: "report", UNASSIGN: "protect"}[role], False, 15)
    assert by_group().guests is None


@pytest.mark.parametrize("empty", [[], "[]"], ids=repr)
def test_an_empty_list_of_protected_tags_turns_no_guard_off(empty):
    assert only_error(security_group_ids="sg-1", protected_tags=empty).startswith("unassign_secondary_ips_protected_tags: an empty list")


@pytest.mark.parametrize("name", ["security_group_ids", "security_group_names"])
def test_an_error_says_which_variable_is_empty_text(name):
    assert only_error(**{name: " "}).endswith(f"; unassign_secondary_ips_{name} is empty text")


def test_a_restore_that_undoes_a_run_has_its_guards_and_not_its_waves():
    own = {"protected_tags": {}, "region": "cn-hangzhou", "wait_timeout": 90}
    others = {"keep": ["10.3.0.12"], "wave_size": 5, "wave_pause": 60, "max_failures": "3", "report_dir": "/reports", "max_addresses": 9}
    assert by_group(**own, **others).given_with_recipe == own


@pytest.mark.parametrize(
    ("given", "policy"),
    [
        ({}, "protect"),
        ({"only_not_seen": "no"}, "protect"),
        ({"guest_policy": "report"}, "report"),
        ({"only_not_seen": "true"}, "require"),  # so that a later run of this plan unassigns nothing that has become unknown
        ({"only_not_seen": True, "guest_policy": "protect"}, "protect"),
    ],
)
def test_the_policy_goes_with_the_plan(given, policy):
    settings = by_group(guests="web", guest_max_age="5", **given)
    assert settings.guests == GuestSettings("web", policy, given.get("only_not_seen") in (True, "true"), 5)
    assert settings.given_with_plan == {"guests": "web", "guest_max_age": 5, "guest_policy": policy}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"guest_policy": "protect"}, "guest_policy: needs unassign_secondary_ips_guests; set that variable too, or leave this one out"),
        ({"only_not_seen": True}, "only_not_seen: needs unassign_secondary_ips_guests"),
        ({"guests": "web", "guest_max_age": 0}, "guest_max_age: 0 is too small; it must be 1 or more"),
        ({"guest_max_age": 0}, "guest_max_age: 0 is too small; it must be 1 or more"),  # so that it is not a surprise with guests
        ({"guests": "web", "guest_policy": "keep"}, "guest_policy: 'keep' is not one of report, protect, require"),
        ({"guests": {"hosts": "web"}}, "guests: {'hosts': 'web'} is not text"),
    ],
)
def test_errors_about_guests(given, message):
    assert only_error(security_group_ids="sg-1", **given).startswith(f"unassign_secondary_ips_{message}")


def test_variables_that_protect_nothing_are_allowed_without_guests():
    """A file of variables may set them for all runs."""
    assert by_group(guest_policy="report", only_not_seen=False, guest_max_age=5).guests is None


def test_only_what_no_guest_uses_narrows_the_selection():
    error = only_error(plan=document().as_dict(), guests="web", only_not_seen=True)
    assert error.startswith("unassign_secondary_ips_only_not_seen: narrows the selection by security groups")


# -- the argument specs of the roles


def spec(role: str) -> dict[str, Any]:
    path = Path(__file__).parents[4] / "roles" / role / "meta" / "argument_specs.yml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]


@pytest.mark.parametrize("role", ROLES)
def test_the_argument_spec_documents_the_table(role):
    options = spec(role)
    table = {f"{role}_{name}": variable for name, variable in variables_of(role).items()}
    assert list(options) == list(table)
    for name, variable in table.items():
        kind = {"digest": "str", "share": "str", "url": "str"}.get(variable.kind, variable.kind)
        documented = kind if kind in ("list", "str", "path") and not variable.choices else "raw"
        assert options[name]["type"] == documented, name
        assert options[name].get("elements") == ("str" if documented == "list" else None), name
        assert options[name].get("default") == variable.default, name
        for choice in variable.choices:
            assert f"V({choice})" in str(options[name]["description"]), name


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "text", ["", "one,two\nthree", "team=web,stage", "[]", "{}", "true", "13", 13, True, [], [""], {}, {"a": [1]}], ids=repr
)
def test_the_argument_spec_lets_text_and_typed_values_pass_to_the_run(role, text):
    """So that a play needs no ``rolespec_validate: false``, and every error comes from one place."""
    options = {name: {key: option[key] for key in ("type", "elements", "choices") if key in option} for name, option in spec(role).items()}
    lists = [name for name, option in options.items() if option["type"] == "list"]
    values = {name: text for name in options if not (name in lists and isinstance(text, dict))}
    assert ArgumentSpecValidator(options).validate(values).error_messages == []


@pytest.mark.parametrize(("text", "total", "allowed"), [("0", 100, 0), ("7", 100, 7), ("5%", 150, 7), ("100%", 3, 3), (" 2 ", 9, 2)])
def test_failures_are_allowed_by_count_or_share(text, total, allowed):
    assert allowed_failures(text, total) == allowed


@pytest.mark.parametrize("more", [{}, {"guests": "web"}])
def test_a_slice_does_not_drop_a_guard_that_it_cannot_keep(more):
    """It reads no guests. Variables that select are for the run that makes the plan, but this one also protects."""
    plan = document()
    slice_of = {"plan": plan.as_dict(), "approved_digest": plan.digest, "enis": ["eni-1"], **more}
    message = "unassign_secondary_ips_only_not_seen: the runs that share a plan do not read the guests"
    assert any(error.startswith(message) for error in errors_of(**slice_of, only_not_seen="yes"))
    for value in (False, "no"):
        assert read(**slice_of, only_not_seen=value).part
    # A policy that needs guests is an error without them, and is kept with them.
    if more:
        settings = read(**slice_of, guest_policy="require")
        assert settings.guests
        assert settings.guests.policy == "require"
    else:
        assert "needs unassign_secondary_ips_guests" in only_error(**slice_of, guest_policy="require")


# -- slices

SLICE: dict[str, Any] = {
    "plan": document().as_dict(),
    "approved_digest": document().digest,
    "enis": ["eni-1", "eni-other"],
    "slices": 4,
}


def test_a_slice_takes_its_part_of_the_plan_and_of_the_pace():
    settings = read(**SLICE, calls_per_minute=300)
    assert settings.connection.calls_per_minute == 75
    assert read(**{**SLICE, "slices": 1}, calls_per_minute=300).connection.calls_per_minute == 300


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"approved_digest": None}, "enis: the runs that share a plan need its digest; set unassign_secondary_ips_approved_digest"),
        ({"approved_digest": "approved"}, "approved_digest: 'approved' is not the digest of a plan"),
        ({"plan": "approved"}, "plan: it is not a plan or recipe of this collection"),
        ({"max_addresses": 1}, "max_addresses: at most 1 may be unassigned, but the plan of all slices has 2"),
        ({"slices": 100, "calls_per_minute": 300}, "slices: 300 calls per minute over 100 slices are fewer than 4 for each; use fewer"),
    ],
)
def test_a_slice_that_cannot_prove_its_part_is_an_error(changed: dict[str, Any], error: str):
    given = {name: value for name, value in {**SLICE, **changed}.items() if value is not None}
    assert only_error(**given).startswith(f"unassign_secondary_ips_{error}")


def test_a_slice_without_the_plan_is_an_error():
    given = {name: value for name, value in SLICE.items() if name != "plan"}
    error = "unassign_secondary_ips_enis: the runs that share a plan need the plan itself; set unassign_secondary_ips_plan or "
    assert any(found.startswith(error) for found in errors_of(**given))
