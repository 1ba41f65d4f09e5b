# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which credential is selected, and the error for each broken form. tests/integration/test_credentials.py really logs in."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.choose import ENVIRONMENTS, SETTINGS, find_credential_spec
from ansible_collections.alicloud_ops.network.plugins.module_utils._options import connection_spec
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils._auth.builders import (
    AK,
    IDP,
    NEW,
    OLD,
    OPTIONS,
    ROLE,
    URI,
    cli_file,
    ini_file,
)


class TestWhatIsNamedWins:
    @pytest.mark.parametrize(
        ("options", "environ", "expected", "key_id"),
        [
            (OPTIONS, {**NEW, **OLD}, "access_key from options", "id-1"),
            ({**OPTIONS, "security_token": "not-shown"}, NEW, "sts from options", "id-1"),
            ({"access_key_id": " id-1 ", "access_key_secret": " s "}, {}, "access_key from options", "id-1"),
            ({"access_key_id": "", "access_key_secret": " "}, {**NEW, **OLD}, "access_key from environment", "id-2"),
            ({}, {**dict.fromkeys(NEW, ""), **OLD}, "access_key from environment", "id-3"),
            ({}, {"ALICLOUD_ACCESS_KEY_ID": "id-3", "ALICLOUD_SECRET_ACCESS_KEY": "s"}, "access_key from environment", "id-3"),
            ({}, {**NEW, "ALIBABA_CLOUD_SECURITY_TOKEN": "not-shown"}, "sts from environment", "id-2"),
            ({}, {}, "access_key from profile default of ~/.aliyun/config.json", "id-4"),
        ],
    )
    def test_access_keys(self, find, home, options, environ, expected, key_id):
        cli_file(home, AK)
        spec, _errors = find(options, environ)
        assert (str(spec), spec.settings["access_key_id"]) == (expected, key_id)

    @pytest.mark.parametrize(
        ("options", "environ", "expected"),
        [
            ({"role_arn": ROLE, **OPTIONS}, NEW, "ram_role_arn from options"),
            ({"role_arn": ROLE}, NEW, "ram_role_arn from options, with access_key from environment"),
            ({}, {"ALIBABA_CLOUD_ROLE_ARN": ROLE, **NEW}, "ram_role_arn from environment"),
            ({}, {"ALICLOUD_ASSUME_ROLE_ARN": ROLE, **OLD}, "ram_role_arn from environment"),
            (OPTIONS, {"ALIBABA_CLOUD_ROLE_ARN": ROLE}, "access_key from options"),
            ({"role_arn": ROLE, "oidc_provider_arn": IDP, "oidc_token_file": "TOKEN"}, NEW, "oidc_role_arn from options"),
            (
                {},
                {"ALIBABA_CLOUD_ROLE_ARN": ROLE, "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": IDP, "ALIBABA_CLOUD_OIDC_TOKEN_FILE": "TOKEN"},
                "oidc_role_arn from environment",
            ),
            # As in the chain of the SDK: a key wins over the token of a pod, whose role does not belong to the key.
            (
                {},
                {"ALIBABA_CLOUD_ROLE_ARN": ROLE, "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": IDP, "ALIBABA_CLOUD_OIDC_TOKEN_FILE": "TOKEN", **NEW},
                "access_key from environment",
            ),
            ({"ecs_role_name": "operator"}, NEW, "ecs_ram_role from options"),
            ({}, {"ALIBABA_CLOUD_ECS_METADATA": "operator"}, "ecs_ram_role from environment"),
            ({}, {"ALICLOUD_ECS_ROLE_NAME": "operator"}, "ecs_ram_role from environment"),
            ({"role_arn": ROLE, "ecs_role_name": "operator"}, {}, "ram_role_arn from options"),
            ({"credentials_uri": "https://keys.example.com/a?b=not-shown"}, NEW, "credentials_uri from options"),
            ({}, {"ALIBABA_CLOUD_CREDENTIALS_URI": "http://127.0.0.1:80/a"}, "credentials_uri from environment"),
            ({"profile": "other"}, NEW, "access_key from profile other of ~/.aliyun/config.json"),
            ({}, {"ALIBABA_CLOUD_PROFILE": "other"}, "access_key from profile other of ~/.aliyun/config.json"),
            ({}, {"ALICLOUD_PROFILE": "ini"}, "access_key from profile ini of ~/.alibabacloud/credentials.ini"),
            (
                {"role_arn": ROLE, "profile": "other"},
                {},
                "ram_role_arn from options, with access_key from profile other of ~/.aliyun/config.json",
            ),
            ({}, {}, "sts from profile default of ~/.aliyun/config.json"),
            ({}, {"ALIBABA_CLOUD_CLI_PROFILE_DISABLED": "TRUE"}, "ecs_ram_role from profile default of ~/.alibabacloud/credentials.ini"),
        ],
    )
    def test_every_other_kind(self, find, home, options, environ, expected):
        cli_file(home, {**AK, "mode": "StsToken", "sts_token": "not-shown"}, {**AK, "name": "other"})
        ini_file(home, "[default]\ntype=ecs_ram_role\n[ini]\ntype = access_key\naccess_key_id = a # mine\naccess_key_secret = not-shown\n")
        assert str(find(options, environ)[0]) == expected

    def test_the_last_default_is_the_role_of_the_instance(self, find, home):
        (home / "product_name").write_text("Alibaba Cloud ECS\n")
        assert str(find()[0]) == "ecs_ram_role from default chain"
        assert "METADATA_DISABLED is set" in find({}, {"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"})[1][0]
        assert str(find({"role_arn": ROLE})[0]) == "ram_role_arn from options, with ecs_ram_role from default chain"

    def test_a_profile_that_was_never_configured_is_ignored(self, find, home):
        cli_file(home, {"mode": "AK", "access_key_id": "", "access_key_secret": "", "region_id": "cn-beijing"})
        assert find()[1][0].startswith("access_key_id: no credential is set")

    def test_without_a_credential_the_error_names_all_ways_to_log_in(self, find):
        (error,) = find()[1]
        for name in (*OPTIONS, *NEW, "profile", "role_arn", "oidc_token_file", "ecs_role_name", "credentials_uri", "~/.aliyun/config.json"):
            assert name in error

    def test_a_user_without_a_home_has_no_profile(self, monkeypatch):
        """As in a container that runs with an arbitrary user id."""

        def no_such_user(_uid):
            raise KeyError("uid not found")

        monkeypatch.delenv("HOME", raising=False)
        monkeypatch.setattr(pwd, "getpwuid", no_such_user)
        errors = []
        assert find_credential_spec({}, {}, errors) is None
        assert "no credential is set" in errors[0]


BROKEN = {
    "id without secret": ({"access_key_id": "a"}, NEW, "access_key_secret: this option is not set, but access_key_id is"),
    "secret without id": ({"access_key_secret": "not-shown"}, NEW, "access_key_id: this option"),
    "token alone": ({"security_token": "not-shown"}, NEW, "set access_key_id and access_key_secret too"),
    "token and id": ({"security_token": "not-shown", "access_key_id": "a"}, NEW, "but access_key_id and security_token are"),
    "half in the environment": (
        {},
        {"ALIBABA_CLOUD_ACCESS_KEY_ID": "a", **OLD},
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET: this environment variable",
    ),
    "half in the older variables": ({}, {"ALICLOUD_SECRET_KEY": "not-shown"}, "ALICLOUD_ACCESS_KEY: this environment"),
    "two halves of two sources": (
        {"access_key_id": "a"},
        {"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "not-shown"},
        "access_key_secret: this option",
    ),
    "session name without a role": (
        {**OPTIONS, "role_session_name": "night"},
        {},
        "role_arn: this option is not set, but role_session_name is",
    ),
    "external id without a role": ({}, {**NEW, "ALIBABA_CLOUD_EXTERNAL_ID": "x"}, "ALIBABA_CLOUD_ROLE_ARN: this environment variable"),
    "a role that is not an ARN": ({**OPTIONS, "role_arn": "operator"}, {}, "role_arn: 'operator' is not valid; an example is acs:ram::"),
    "a session too short": ({**OPTIONS, "role_arn": ROLE, "role_session_expiration": 60}, {}, "role_session_expiration: '60'"),
    "a session name too short": ({**OPTIONS, "role_arn": ROLE, "role_session_name": "x"}, {}, "role_session_name: 'x'"),
    "a role and no key": ({"role_arn": ROLE}, {}, "access_key_id: no credential is set"),
    "a role and half a key": ({"role_arn": ROLE, "access_key_id": "a"}, NEW, "access_key_secret: this option"),
    "a pod without token": ({"role_arn": ROLE, "oidc_provider_arn": IDP}, NEW, "oidc_token_file: this option is not set"),
    "a pod without role": ({"oidc_token_file": "TOKEN", "oidc_provider_arn": IDP}, NEW, "role_arn: this option is not set"),
    "a pod without provider": (
        {},
        {"ALIBABA_CLOUD_ROLE_ARN": ROLE, "ALIBABA_CLOUD_OIDC_TOKEN_FILE": "TOKEN"},
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN: this",
    ),
    "a provider that is not an ARN": (
        {"role_arn": ROLE, "oidc_provider_arn": "x", "oidc_token_file": "TOKEN"},
        {},
        "oidc_provider_arn: 'x' is not",
    ),
    "a token that is not there": (
        {"role_arn": ROLE, "oidc_provider_arn": IDP, "oidc_token_file": "/nonexistent"},
        {},
        "'/nonexistent' cannot be read",
    ),
    "an external id for a pod": (
        {"role_arn": ROLE, "oidc_provider_arn": IDP, "oidc_token_file": "TOKEN", "external_id": "x"},
        {},
        "external_id: cannot be combined with oidc_token_file",
    ),
    "a token in place of its file": (
        {"role_arn": ROLE, "oidc_provider_arn": IDP, "oidc_token_file": "eyJhbGciOi.not-shown"},
        {},
        "oidc_token_file: '…' cannot be read, or is empty; set the path of a file",
    ),
    "a token file that no system can have": (
        {"role_arn": ROLE, "oidc_provider_arn": IDP, "oidc_token_file": "/run/token\0"},
        {},
        "cannot be read",
    ),
    "a temporary key without its token": (
        {**OPTIONS, "access_key_id": "STS.id"},
        NEW,
        "security_token: this option is not set, but access_key_id is the id of a temporary key, which needs its security token",
    ),
    "two spellings that disagree": (
        {},
        {**OLD, "ALICLOUD_ACCESS_KEY_ID": "id-4"},
        "ALICLOUD_ACCESS_KEY and ALICLOUD_ACCESS_KEY_ID: these mean the same, but have different values",
    ),
    "two spellings of a secret that disagree": (
        {},
        {**OLD, "ALICLOUD_SECRET_ACCESS_KEY": "not-shown"},
        "ALICLOUD_SECRET_KEY and ALICLOUD_SECRET_ACCESS_KEY: these mean the same",
    ),
    "the metadata service turned off": (
        {"ecs_role_name": "operator"},
        {"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "True"},
        "ALIBABA_CLOUD_ECS_METADATA_DISABLED: is true, but ecs_ram_role from options needs the metadata service",
    ),
    "the metadata service turned off, for a role": (
        {"ecs_role_name": "operator", "role_arn": ROLE},
        {"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"},
        "is true, but ecs_ram_role from options needs",
    ),
    "a file that no system can have": ({"credentials_file": "/keys\0"}, {}, "cannot be read (ValueError)"),
    "a role name that bends the path": ({"ecs_role_name": "../x"}, {}, "ecs_role_name: '../x' is not"),
    "a URI without encryption": (
        {URI: "http://keys.example.com/a"},
        {},
        "would fetch a key without encryption from keys.example.com",
    ),
    "not a URI": ({URI: "keys?token=not-shown"}, {}, "credentials_uri: is not a valid URI"),
    "a URI with a password": ({URI: "https://a:not-shown@keys.example.com/"}, {}, "must not have a user or a password"),
    "a URI of an IPv6 address": ({URI: "http://[::1]:8080/x"}, {}, "credentials_uri: has an IPv6 address, which the SDK does not support"),
    "a URI with a blank parameter": (
        {URI: "https://keys.example.com/?a=not-shown&b="},
        {},
        "has an empty or repeated query parameter",
    ),
    "a URI with a parameter twice": (
        {URI: "https://keys.example.com/?a=not-shown&a=2"},
        {},
        "has an empty or repeated query parameter",
    ),
    "a URI with a port that is not a number": ({URI: "https://keys.example.com:x/"}, {}, "credentials_uri: is not a valid URI"),
    "two ways": ({**OPTIONS, "ecs_role_name": "operator"}, {}, "access_key_id and access_key_secret / ecs_role_name: these are different"),
    "a profile and a key": ({**OPTIONS, "profile": "default"}, {}, "access_key_secret / profile: these are different ways"),
    "a profile that is not there": (
        {"profile": "nobody"},
        NEW,
        "profile: there is no profile nobody in ~/.aliyun/config.json or ~/.alibaba",
    ),
    "a profile of a file that is not there": (
        {"profile": "a", "credentials_file": "/nonexistent"},
        {},
        "credentials_file: there is no profile a in /nonexistent",
    ),
    "a profile in the environment": ({}, {"ALICLOUD_PROFILE": "nobody"}, "ALICLOUD_PROFILE: there is no profile nobody"),
    "a policy that is not JSON": (
        {**OPTIONS, "role_arn": ROLE, "role_policy": "Allow"},
        {},
        "role_policy: is not a policy; set a JSON object",
    ),
    "a policy that is a list": ({**OPTIONS, "role_arn": ROLE, "role_policy": "[1]"}, {}, "role_policy: is not a policy; set a JSON object"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_every_broken_form_is_one_clear_error(find, case):
    options, environ, expected = BROKEN[case]
    (error,) = find(options, environ)[1]
    assert expected in error


def test_every_variable_has_one_meaning():
    variables = [variable for names in ENVIRONMENTS for spelled in names.values() for variable in spelled]
    assert len(variables) == len(set(variables))


def test_the_guide_names_every_option_alias_and_variable():
    guide = (Path(__file__).resolve().parents[5] / "docs" / "docsite" / "rst" / "guide_credentials.rst").read_text(encoding="utf-8")
    variables = [variable for names in ENVIRONMENTS for spelled in names.values() for variable in spelled]
    options = [spelling for name in SETTINGS for spelling in (name, *connection_spec()[name].get("aliases", []))]
    assert [name for name in (*options, *variables) if f"``{name}``" not in guide] == []
