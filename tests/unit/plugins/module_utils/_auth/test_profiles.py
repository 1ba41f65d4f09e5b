# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.choose import profile_region
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils._auth.builders import (
    AK,
    EARLIER,
    IDP,
    LATER,
    NEW,
    OPTIONS,
    ROLE,
    cli_file,
    ini_file,
)


class TestProfiles:
    @pytest.mark.parametrize(
        ("entries", "expected"),
        [
            (AK, "access_key"),
            ({**AK, "mode": "ak"}, "access_key"),
            ({**AK, "mode": "StsToken", "sts_token": "not-shown"}, "sts"),
            ({**AK, "mode": "RamRoleArn", "ram_role_arn": ROLE, "ram_session_name": "night", "expired_seconds": 900}, "ram_role_arn"),
            ({"mode": "EcsRamRole", "ram_role_name": "operator"}, "ecs_ram_role"),
            ({"mode": "EcsRamRole"}, "ecs_ram_role"),
            ({"mode": "RamRoleArnWithRoleName", "ram_role_name": "operator", "ram_role_arn": ROLE}, "ram_role_arn"),
            ({"mode": "OIDC", "ram_role_arn": ROLE, "oidc_provider_arn": IDP, "oidc_token_file": "TOKEN"}, "oidc_role_arn"),
            ({"mode": "CredentialsURI", "credentials_uri": "http://127.0.0.1:8080/a"}, "credentials_uri"),
            ({"mode": "External", "process_command": "print-a-key"}, "external"),
            (
                {
                    "mode": "CloudSSO",
                    "cloud_sso_sign_in_url": "https://sso.example.com/start",
                    "cloud_sso_account_id": "1000000000000001",
                    "cloud_sso_access_config": "ac-1",
                    "access_token": "not-shown",
                    "cloud_sso_access_token_expire": LATER,
                },
                "cloud_sso",
            ),
            ({**AK, "mode": "OAuth", "sts_token": "not-shown", "sts_expiration": LATER}, "sts"),
        ],
    )
    def test_every_mode_of_the_command_line(self, find, home, entries, expected):
        cli_file(home, {key: str(home / "token") if value == "TOKEN" else value for key, value in entries.items()})
        assert str(find()[0]) == f"{expected} from profile default of ~/.aliyun/config.json"

    def test_a_role_by_a_source_profile(self, find, home):
        chained = {"name": "chained", "mode": "ChainableRamRoleArn", "source_profile": "default", "ram_role_arn": ROLE}
        cli_file(home, AK, chained)
        spec, _errors = find({"profile": "chained"})
        assert (
            str(spec)
            == "ram_role_arn from profile chained of ~/.aliyun/config.json, with access_key from profile default of ~/.aliyun/config.json"
        )
        assert profile_region(spec, {}) == ("region_id of profile default of ~/.aliyun/config.json", "cn-beijing")

    @pytest.mark.parametrize(
        ("section", "expected"),
        [
            ("type=access_key\naccess_key_id=a\naccess_key_secret=not-shown", "access_key"),
            ("type=sts\naccess_key_id=a\naccess_key_secret=not-shown\nsecurity_token=not-shown", "sts"),
            (f"type=ram_role_arn\naccess_key_id=a\naccess_key_secret=not-shown\nrole_arn={ROLE}\npolicy={{}}", "ram_role_arn"),
            (f"type=oidc_role_arn\nrole_arn={ROLE}\noidc_provider_arn={IDP}\noidc_token_file_path=TOKEN", "oidc_role_arn"),
            ("type=ecs_ram_role\nrole_name=operator", "ecs_ram_role"),
            ("type=credentials_uri\ncredentials_uri=http://localhost:1/a", "credentials_uri"),
        ],
    )
    def test_every_type_of_the_credentials_file(self, find, home, section, expected):
        ini_file(home, f"[default]\n{section}\n".replace("TOKEN", str(home / "token")))
        assert str(find()[0]) == f"{expected} from profile default of ~/.alibabacloud/credentials.ini"

    def test_another_credentials_file(self, find, home):
        (home / "keys.json").write_text(json.dumps({"current": "a", "profiles": [{**AK, "name": "a"}]}))
        for options, environ in (
            ({"credentials_file": home / "keys.json"}, {}),
            ({}, {"ALICLOUD_SHARED_CREDENTIALS_FILE": str(home / "keys.json"), "ALICLOUD_PROFILE": "a"}),
        ):
            assert str(find(options, environ)[0]) == f"access_key from profile a of {home}/keys.json"

    @pytest.mark.parametrize(
        ("options", "environ"),
        [
            ({"profile": "ours"}, {"ALIBABA_CLOUD_CREDENTIALS_FILE": "FILE"}),
            ({"profile": "ours"}, {"ALICLOUD_SHARED_CREDENTIALS_FILE": "FILE", **NEW}),
            ({"credentials_file": "FILE"}, {"ALIBABA_CLOUD_PROFILE": "ours"}),
            ({}, {"ALIBABA_CLOUD_PROFILE": "ours", "ALICLOUD_SHARED_CREDENTIALS_FILE": "FILE"}),
        ],
    )
    @pytest.mark.parametrize("text", ["JSON", "[ours]\ntype=access_key\naccess_key_id=id-5\naccess_key_secret=not-shown\n"])
    def test_its_file_may_come_from_another_source_and_have_any_name(self, find, home, options, environ, text):
        """Otherwise a profile of the same name in the usual file would log in."""
        cli_file(home, {**AK, "name": "ours"}, AK)
        ours = json.dumps({"current": "default", "profiles": [{**AK, "name": "ours", "access_key_id": "id-5"}, {**AK, "name": "default"}]})
        (home / "keys.txt").write_text(ours if text == "JSON" else text)
        settings = [{name: value.replace("FILE", str(home / "keys.txt")) for name, value in given.items()} for given in (options, environ)]
        spec, _errors = find(*settings)
        assert (str(spec), spec.settings["access_key_id"]) == (f"access_key from profile ours of {home}/keys.txt", "id-5")

    def test_the_error_for_an_unknown_profile_names_profile_and_file(self, find, home):
        cli_file(home, AK)
        (home / "keys.json").write_text(json.dumps({"current": "default", "profiles": [{**AK, "name": "a"}]}))
        (error,) = find({"profile": "default"}, {"ALIBABA_CLOUD_CREDENTIALS_FILE": str(home / "keys.json")})[1]
        assert error == f"profile and ALIBABA_CLOUD_CREDENTIALS_FILE: there is no profile default in {home}/keys.json"

    def test_a_missing_entry_of_a_profile_is_not_taken_from_another_source(self, find, home):
        cli_file(home, {"mode": "AK", "access_key_id": "id-4"})
        (error,) = find({"profile": "default"}, NEW)[1]
        assert error.startswith("access_key_secret of profile default of ~/.aliyun/config.json: this entry is not set")


SSO = {
    "cloud_sso_sign_in_url": "https://sso.example.com/start",
    "cloud_sso_account_id": "1000000000000001",
    "cloud_sso_access_config": "ac-1",
    "cloud_sso_access_token_expire": LATER,
}
BROKEN_PROFILES = {
    "no secret": (
        {"mode": "AK", "access_key_id": "a"},
        "access_key_secret of profile default of ~/.aliyun/config.json: this entry is not set",
    ),
    "no token": ({**AK, "mode": "StsToken"}, "sts_token of profile default"),
    "no role": ({**AK, "mode": "RamRoleArn"}, "ram_role_arn of profile default"),
    "a session too short": (
        {**AK, "mode": "RamRoleArn", "ram_role_arn": ROLE, "expired_seconds": 60},
        "expired_seconds of profile default",
    ),
    "no token file": ({"mode": "OIDC", "ram_role_arn": ROLE, "oidc_provider_arn": IDP}, "oidc_token_file of profile default"),
    "no URI": ({"mode": "CredentialsURI"}, "credentials_uri of profile default"),
    "no command": ({"mode": "External"}, "process_command of profile default"),
    "no source": ({"mode": "ChainableRamRoleArn", "ram_role_arn": ROLE}, "source_profile of profile default"),
    "itself as source": (
        {"mode": "ChainableRamRoleArn", "ram_role_arn": ROLE, "source_profile": "default"},
        "source_profile of profile default",
    ),
    "a login that has ended": (
        {"mode": "CloudSSO", "access_token": "x", "cloud_sso_access_token_expire": EARLIER},
        "its CloudSSO login has ended",
    ),
    "an OAuth login that has ended": ({**AK, "mode": "OAuth", "sts_expiration": EARLIER}, "its OAuth login has ended"),
    "only a token": ({"mode": "StsToken", "sts_token": "not-shown"}, "access_key_id of profile default"),
    "no mode": ({**AK, "mode": ""}, "profile default of ~/.aliyun/config.json: it has no mode, such as AK"),
    "an end that is not a number": (
        {"mode": "CloudSSO", "access_token": "x", **SSO, "cloud_sso_access_token_expire": "\N{SUPERSCRIPT TWO}"},
        "cloud_sso_access_token_expire of profile default of ~/.aliyun/config.json: '\N{SUPERSCRIPT TWO}' is not valid; an example is",
    ),
    "a sign-in URL without encryption": (
        {"mode": "CloudSSO", "access_token": "x", **SSO, "cloud_sso_sign_in_url": "http://127.0.0.1/start"},
        "cloud_sso_sign_in_url of profile default of ~/.aliyun/config.json: would fetch a key without encryption from 127.0.0.1; use https://",
    ),
    "a sign-in URL that is not a URL": (
        {"mode": "CloudSSO", "access_token": "x", **SSO, "cloud_sso_sign_in_url": "sso.example.com"},
        "is not a valid URI; set one such as https://keys.example.com/network",
    ),
    "a key pair": ({"mode": "RsaKeyPair", "private_key": "not-shown"}, "its mode is not supported; set one of AK, "),
}


@pytest.mark.parametrize("case", BROKEN_PROFILES)
def test_every_broken_profile_is_one_clear_error(find, home, case):
    entries, expected = BROKEN_PROFILES[case]
    cli_file(home, entries)
    for options in ({"profile": "default"}, {}):
        (error,) = find(options)[1]
        assert expected in error


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"profiles": 1}', '{"current": "a", "profiles": ["a"]}'])
def test_a_file_that_is_not_a_configuration_is_an_error(find, home, text):
    cli_file(home)
    (home / ".aliyun" / "config.json").write_text(text)
    (error,) = find()[1]
    assert "~/.aliyun/config.json is not a configuration" in error
    assert find(OPTIONS)[0], "the file is not read if another source is named"


@pytest.mark.parametrize("environ", [{}, {"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}])
def test_a_current_profile_that_does_not_exist_is_an_error(find, home, environ):
    """Another credential is not used instead, because it may belong to another account."""
    cli_file(home, AK, current="prod")
    ini_file(home, "[default]\ntype=access_key\naccess_key_id=a\naccess_key_secret=not-shown\n")
    (home / "product_name").write_text("Alibaba Cloud ECS\n")
    (error,) = find({}, environ)[1]
    assert error.startswith("~/.aliyun/config.json: the current profile prod does not exist in this file")
    assert str(find({"profile": "default"})[0]) == "access_key from profile default of ~/.aliyun/config.json"


def test_a_profile_without_a_name_is_ignored(find, home):
    cli_file(home)
    (home / ".aliyun" / "config.json").write_text(json.dumps({"profiles": [{key: AK[key] for key in AK if key != "name"}]}))
    assert find()[1][0].startswith("access_key_id: no credential is set")


def test_keys_in_a_section_without_a_type_are_an_error(find, home):
    ini_file(home, "[default]\naccess_key_id=a\naccess_key_secret=not-shown\n")
    (home / "product_name").write_text("Alibaba Cloud ECS\n")
    assert find()[1] == ["profile default of ~/.alibabacloud/credentials.ini: it has no type, such as access_key"]


def test_a_zero_of_the_command_line_is_a_number_that_is_not_set(find, home):
    cli_file(home, {**AK, "mode": "RamRoleArn", "ram_role_arn": ROLE, "expired_seconds": 0})
    assert "role_session_expiration" not in find()[0].settings


def test_an_invalid_ini_file_is_an_error(find, home):
    ini_file(home, "access_key_secret = not-shown\n")
    (error,) = find()[1]
    assert "~/.alibabacloud/credentials.ini is not an INI file" in error


def test_a_source_profile_that_cannot_be_read_is_one_clear_error(find, home):
    chained = {"name": "chained", "mode": "ChainableRamRoleArn", "source_profile": "default", "ram_role_arn": ROLE}
    cli_file(home, {"mode": "RsaKeyPair", "private_key": "not-shown"}, chained)
    (error,) = find({"profile": "chained"})[1]
    assert error.startswith("profile default of ~/.aliyun/config.json: its mode is not supported; set one of AK, ")
