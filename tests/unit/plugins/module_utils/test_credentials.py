# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which login is meant, and which of its broken forms is told how. Logging in for real is tests/integration/test_credentials.py."""

from __future__ import annotations

import json
import pwd
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, quote_plus

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils import _credentials
from ansible_collections.alicloud_ops.network.plugins.module_utils._credentials import (
    ENVIRONMENTS,
    SETTINGS,
    Credential,
    find_login,
    profile_region,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._logins import ECS_RAM_ROLE
from ansible_collections.alicloud_ops.network.plugins.module_utils._options import connection_spec
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import Transport

OPTIONS = {"access_key_id": "id-1", "access_key_secret": "not-shown-1-not-shown"}
NEW = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "id-2", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "not-shown-2"}
OLD = {"ALICLOUD_ACCESS_KEY": "id-3", "ALICLOUD_SECRET_KEY": "not-shown-3"}
ROLE = "acs:ram::1000000000000001:role/operator"
IDP = "acs:ram::1000000000000001:oidc-provider/ack-rrsa-c1"
LATER, EARLIER = int(time.time()) + 3600, int(time.time()) - 3600


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home on a machine that is no ECS instance, with a token of a pod."""
    monkeypatch.setattr(_credentials, "PRODUCT_NAME", tmp_path / "product_name")
    (tmp_path / "token").write_text("not-shown-token\n")
    return tmp_path


@pytest.fixture
def find(home):
    def find(options=None, environ=None):
        errors = []
        given = {name: str(value).replace("TOKEN", str(home / "token")) for name, value in (options or {}).items()}
        known = {name: value.replace("TOKEN", str(home / "token")) for name, value in (environ or {}).items()}
        login = find_login(given, {"HOME": str(home), **known}, errors)
        assert (login is None) == bool(errors)
        assert "not-shown" not in f"{login!r}{login}{errors}"
        return login, errors

    return find


def cli_file(home: Path, *profiles: dict, current: str = "default") -> None:
    (home / ".aliyun").mkdir(exist_ok=True)
    named = [{"name": "default", **profile} for profile in profiles]
    (home / ".aliyun" / "config.json").write_text(json.dumps({"current": current, "profiles": named}))


def ini_file(home: Path, text: str) -> None:
    (home / ".alibabacloud").mkdir(exist_ok=True)
    (home / ".alibabacloud" / "credentials.ini").write_text(text)


AK = {"mode": "AK", "access_key_id": "id-4", "access_key_secret": "not-shown-4", "region_id": "cn-beijing"}


class TestWhatIsNamedWins:
    @pytest.mark.parametrize(
        ("options", "environ", "told", "key_id"),
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
    def test_access_keys(self, find, home, options, environ, told, key_id):
        cli_file(home, AK)
        login, _errors = find(options, environ)
        assert (str(login), login.settings["access_key_id"]) == (told, key_id)

    @pytest.mark.parametrize(
        ("options", "environ", "told"),
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
            # As in the SDK's chain: a key comes before what a pod was given, whose role is not the key's.
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
    def test_every_other_kind(self, find, home, options, environ, told):
        cli_file(home, {**AK, "mode": "StsToken", "sts_token": "not-shown"}, {**AK, "name": "other"})
        ini_file(home, "[default]\ntype=ecs_ram_role\n[ini]\ntype = access_key\naccess_key_id = a # mine\naccess_key_secret = not-shown\n")
        assert str(find(options, environ)[0]) == told

    def test_the_last_is_the_role_of_the_instance_where_there_is_one(self, find, home):
        (home / "product_name").write_text("Alibaba Cloud ECS\n")
        assert str(find()[0]) == "ecs_ram_role from default chain"
        assert "METADATA_DISABLED is set" in find({}, {"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"})[1][0]
        assert str(find({"role_arn": ROLE})[0]) == "ram_role_arn from options, with ecs_ram_role from default chain"

    def test_a_profile_that_was_never_configured_is_none(self, find, home):
        cli_file(home, {"mode": "AK", "access_key_id": "", "access_key_secret": "", "region_id": "cn-beijing"})
        assert find()[1][0].startswith("access_key_id: no credential is given")

    def test_nothing_at_all_tells_the_ways(self, find):
        (mistake,) = find()[1]
        for name in (*OPTIONS, *NEW, "profile", "role_arn", "oidc_token_file", "ecs_role_name", "credentials_uri", "~/.aliyun/config.json"):
            assert name in mistake

    def test_a_user_without_a_home_has_no_profile(self, monkeypatch):
        """As in a container that runs with an arbitrary user id."""

        def no_such_user(_uid):
            raise KeyError("uid not found")

        monkeypatch.delenv("HOME", raising=False)
        monkeypatch.setattr(pwd, "getpwuid", no_such_user)
        errors = []
        assert find_login({}, {}, errors) is None
        assert "no credential is given" in errors[0]


class TestProfiles:
    @pytest.mark.parametrize(
        ("entries", "told"),
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
    def test_every_mode_of_the_command_line(self, find, home, entries, told):
        cli_file(home, {key: str(home / "token") if value == "TOKEN" else value for key, value in entries.items()})
        assert str(find()[0]) == f"{told} from profile default of ~/.aliyun/config.json"

    def test_a_role_by_a_source_profile(self, find, home):
        chained = {"name": "chained", "mode": "ChainableRamRoleArn", "source_profile": "default", "ram_role_arn": ROLE}
        cli_file(home, AK, chained)
        login, _errors = find({"profile": "chained"})
        assert (
            str(login)
            == "ram_role_arn from profile chained of ~/.aliyun/config.json, with access_key from profile default of ~/.aliyun/config.json"
        )
        assert profile_region(login, {}) == ("region_id of profile default of ~/.aliyun/config.json", "cn-beijing")

    @pytest.mark.parametrize(
        ("section", "told"),
        [
            ("type=access_key\naccess_key_id=a\naccess_key_secret=not-shown", "access_key"),
            ("type=sts\naccess_key_id=a\naccess_key_secret=not-shown\nsecurity_token=not-shown", "sts"),
            (f"type=ram_role_arn\naccess_key_id=a\naccess_key_secret=not-shown\nrole_arn={ROLE}\npolicy={{}}", "ram_role_arn"),
            (f"type=oidc_role_arn\nrole_arn={ROLE}\noidc_provider_arn={IDP}\noidc_token_file_path=TOKEN", "oidc_role_arn"),
            ("type=ecs_ram_role\nrole_name=operator", "ecs_ram_role"),
            ("type=credentials_uri\ncredentials_uri=http://localhost:1/a", "credentials_uri"),
        ],
    )
    def test_every_type_of_the_credentials_file(self, find, home, section, told):
        ini_file(home, f"[default]\n{section}\n".replace("TOKEN", str(home / "token")))
        assert str(find()[0]) == f"{told} from profile default of ~/.alibabacloud/credentials.ini"

    def test_a_file_of_ones_own(self, find, home):
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
    def test_its_file_may_be_told_elsewhere_and_be_called_as_it_likes(self, find, home, options, environ, text):
        """Before, the file was left out, and a profile of the same name in the usual file logged in."""
        cli_file(home, {**AK, "name": "ours"}, AK)
        ours = json.dumps({"current": "default", "profiles": [{**AK, "name": "ours", "access_key_id": "id-5"}, {**AK, "name": "default"}]})
        (home / "keys.txt").write_text(ours if text == "JSON" else text)
        told = [{name: value.replace("FILE", str(home / "keys.txt")) for name, value in given.items()} for given in (options, environ)]
        login, _errors = find(*told)
        assert (str(login), login.settings["access_key_id"]) == (f"access_key from profile ours of {home}/keys.txt", "id-5")

    def test_a_profile_that_the_file_has_not_is_told_with_both(self, find, home):
        cli_file(home, AK)
        (home / "keys.json").write_text(json.dumps({"current": "default", "profiles": [{**AK, "name": "a"}]}))
        (mistake,) = find({"profile": "default"}, {"ALIBABA_CLOUD_CREDENTIALS_FILE": str(home / "keys.json")})[1]
        assert mistake == f"profile and ALIBABA_CLOUD_CREDENTIALS_FILE: there is no profile default in {home}/keys.json"

    def test_what_a_profile_lacks_is_not_taken_from_elsewhere(self, find, home):
        cli_file(home, {"mode": "AK", "access_key_id": "id-4"})
        (mistake,) = find({"profile": "default"}, NEW)[1]
        assert mistake.startswith("access_key_secret of profile default of ~/.aliyun/config.json: this entry is not set")


URI = "credentials_uri"
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
    "a role that is no ARN": ({**OPTIONS, "role_arn": "operator"}, {}, "role_arn: 'operator' is not of the form acs:ram::"),
    "a session too short": ({**OPTIONS, "role_arn": ROLE, "role_session_expiration": 60}, {}, "role_session_expiration: '60'"),
    "a session name too short": ({**OPTIONS, "role_arn": ROLE, "role_session_name": "x"}, {}, "role_session_name: 'x'"),
    "a role and no key": ({"role_arn": ROLE}, {}, "access_key_id: no credential is given"),
    "a role and half a key": ({"role_arn": ROLE, "access_key_id": "a"}, NEW, "access_key_secret: this option"),
    "a pod without token": ({"role_arn": ROLE, "oidc_provider_arn": IDP}, NEW, "oidc_token_file: this option is not set"),
    "a pod without role": ({"oidc_token_file": "TOKEN", "oidc_provider_arn": IDP}, NEW, "role_arn: this option is not set"),
    "a pod without provider": (
        {},
        {"ALIBABA_CLOUD_ROLE_ARN": ROLE, "ALIBABA_CLOUD_OIDC_TOKEN_FILE": "TOKEN"},
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN: this",
    ),
    "a provider that is no ARN": (
        {"role_arn": ROLE, "oidc_provider_arn": "x", "oidc_token_file": "TOKEN"},
        {},
        "oidc_provider_arn: 'x' is not",
    ),
    "a token that is not there": (
        {"role_arn": ROLE, "oidc_provider_arn": IDP, "oidc_token_file": "/nonexistent"},
        {},
        "'/nonexistent' can't be read",
    ),
    "an external id for a pod": (
        {"role_arn": ROLE, "oidc_provider_arn": IDP, "oidc_token_file": "TOKEN", "external_id": "x"},
        {},
        "external_id: does not go with oidc_token_file",
    ),
    "a token in place of its file": (
        {"role_arn": ROLE, "oidc_provider_arn": IDP, "oidc_token_file": "eyJhbGciOi.not-shown"},
        {},
        "oidc_token_file: '…' can't be read, or is empty; give the path of a file",
    ),
    "a token file that no system can have": (
        {"role_arn": ROLE, "oidc_provider_arn": IDP, "oidc_token_file": "/run/token\0"},
        {},
        "can't be read",
    ),
    "a temporary key without its token": (
        {**OPTIONS, "access_key_id": "STS.id"},
        NEW,
        "security_token: this option is not set, but access_key_id is that of a temporary key",
    ),
    "two spellings that disagree": (
        {},
        {**OLD, "ALICLOUD_ACCESS_KEY_ID": "id-4"},
        "ALICLOUD_ACCESS_KEY and ALICLOUD_ACCESS_KEY_ID: these mean the same and are set to different values",
    ),
    "two spellings of a secret that disagree": (
        {},
        {**OLD, "ALICLOUD_SECRET_ACCESS_KEY": "not-shown"},
        "ALICLOUD_SECRET_KEY and ALICLOUD_SECRET_ACCESS_KEY: these mean the same",
    ),
    "the metadata service turned off": (
        {"ecs_role_name": "operator"},
        {"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "True"},
        "ALIBABA_CLOUD_ECS_METADATA_DISABLED: is true, but ecs_ram_role from options would ask the metadata service",
    ),
    "the metadata service turned off, for a role": (
        {"ecs_role_name": "operator", "role_arn": ROLE},
        {"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"},
        "is true, but ecs_ram_role from options would ask",
    ),
    "a file that no system can have": ({"credentials_file": "/keys\0"}, {}, "can't be read (ValueError)"),
    "a role name that bends the path": ({"ecs_role_name": "../x"}, {}, "ecs_role_name: '../x' is not"),
    "a URI in the clear": ({URI: "http://keys.example.com/a"}, {}, "credentials_uri: would fetch a key in the clear from keys.example.com"),
    "no URI": ({URI: "keys?token=not-shown"}, {}, "credentials_uri: is not a URI"),
    "a URI with a password": ({URI: "https://a:not-shown@keys.example.com/"}, {}, "must not hold a user or a password"),
    "a URI of an IPv6 address": ({URI: "http://[::1]:8080/x"}, {}, "credentials_uri: an IPv6 address is more than the SDK can ask"),
    "a URI with a blank parameter": ({URI: "https://keys.example.com/?a=not-shown&b="}, {}, "a parameter is blank or comes twice"),
    "a URI with a parameter twice": ({URI: "https://keys.example.com/?a=not-shown&a=2"}, {}, "a parameter is blank or comes twice"),
    "a URI with a port that is none": ({URI: "https://keys.example.com:x/"}, {}, "credentials_uri: is not a URI"),
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
}


@pytest.mark.parametrize("case", BROKEN)
def test_every_broken_form_is_one_clear_error(find, case):
    options, environ, told = BROKEN[case]
    (mistake,) = find(options, environ)[1]
    assert told in mistake


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
    "an end that is no number": (
        {"mode": "CloudSSO", "access_token": "x", **SSO, "cloud_sso_access_token_expire": "\N{SUPERSCRIPT TWO}"},
        "cloud_sso_access_token_expire of profile default of ~/.aliyun/config.json: '\N{SUPERSCRIPT TWO}' is not of the form",
    ),
    "a sign-in URL in the clear": (
        {"mode": "CloudSSO", "access_token": "x", **SSO, "cloud_sso_sign_in_url": "http://127.0.0.1/start"},
        "cloud_sso_sign_in_url of profile default of ~/.aliyun/config.json: would fetch a key in the clear from 127.0.0.1; use https://",
    ),
    "a sign-in URL that is none": (
        {"mode": "CloudSSO", "access_token": "x", **SSO, "cloud_sso_sign_in_url": "sso.example.com"},
        "is not a URI such as https://keys.example.com/network",
    ),
    "a key pair": ({"mode": "RsaKeyPair", "private_key": "not-shown"}, "its mode is not supported; supported are AK, "),
}


@pytest.mark.parametrize("case", BROKEN_PROFILES)
def test_every_broken_profile_is_one_clear_error(find, home, case):
    entries, told = BROKEN_PROFILES[case]
    cli_file(home, entries)
    for options in ({"profile": "default"}, {}):
        (mistake,) = find(options)[1]
        assert told in mistake


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"profiles": 1}', '{"current": "a", "profiles": ["a"]}'])
def test_a_file_that_is_no_configuration_is_an_error(find, home, text):
    cli_file(home)
    (home / ".aliyun" / "config.json").write_text(text)
    (mistake,) = find()[1]
    assert "~/.aliyun/config.json is not a configuration" in mistake
    assert find(OPTIONS)[0], "it is not read where something else is named"


@pytest.mark.parametrize("environ", [{}, {"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}])
def test_a_current_profile_that_is_not_there_is_an_error(find, home, environ):
    """Whatever else there is to log in with: it may be another account's."""
    cli_file(home, AK, current="prod")
    ini_file(home, "[default]\ntype=access_key\naccess_key_id=a\naccess_key_secret=not-shown\n")
    (home / "product_name").write_text("Alibaba Cloud ECS\n")
    (mistake,) = find({}, environ)[1]
    assert mistake.startswith("~/.aliyun/config.json: its current profile is prod, which it has not")
    assert str(find({"profile": "default"})[0]) == "access_key from profile default of ~/.aliyun/config.json"


def test_a_profile_without_a_name_is_nobodys(find, home):
    cli_file(home)
    (home / ".aliyun" / "config.json").write_text(json.dumps({"profiles": [{key: AK[key] for key in AK if key != "name"}]}))
    assert find()[1][0].startswith("access_key_id: no credential is given")


def test_keys_in_a_section_without_a_type_are_an_error(find, home):
    ini_file(home, "[default]\naccess_key_id=a\naccess_key_secret=not-shown\n")
    (home / "product_name").write_text("Alibaba Cloud ECS\n")
    assert find()[1] == ["profile default of ~/.alibabacloud/credentials.ini: it has no type, such as access_key"]


def test_a_zero_of_the_command_line_is_a_number_that_is_not_set(find, home):
    cli_file(home, {**AK, "mode": "RamRoleArn", "ram_role_arn": ROLE, "expired_seconds": 0})
    assert "role_session_expiration" not in find()[0].settings


def test_an_ini_file_that_is_none_is_an_error(find, home):
    ini_file(home, "access_key_secret = not-shown\n")
    (mistake,) = find()[1]
    assert "~/.alibabacloud/credentials.ini is not an INI file" in mistake


TOKEN = "token+of/all+the/keys="


class Provider:
    """Stands for one of the library's: hands out what it is told to."""

    def __init__(self, *keys):
        self.keys = list(keys)

    def get_credentials(self):
        key = self.keys.pop(0)
        if isinstance(key, Exception):
            raise key
        secret, lives = key
        return SimpleNamespace(
            get_access_key_id=lambda: "id",
            get_access_key_secret=lambda: secret,
            get_security_token=lambda: TOKEN,
            get_expiration=lambda: time.time() + lives,
            get_provider_name=lambda: "test",
        )


@pytest.fixture
def credential(find):
    made = Credential(find({"ecs_role_name": "operator"})[0], Transport())
    made.told = set()
    made.tell_secrets_to(made.told.update)
    return made


class TestKeepingAKey:
    def test_one_key_serves_until_it_is_to_be_renewed(self, credential):
        credential._provider = Provider(("first", 900), ("second", 900))
        assert [credential.get_credential().access_key_secret for _time in range(3)] == ["first"] * 3
        credential._renew_at = 0
        assert credential.get_credential().access_key_secret == "second"

    def test_every_new_secret_is_told_in_every_spelling(self, credential):
        first, second = "first/secret-of-all", "second secret of all"
        credential._provider = Provider((first, 900), (second, 900))
        credential.get_credential()
        assert {first, first.replace("/", "%2F"), TOKEN, quote(TOKEN, safe="")} <= credential.told
        credential._renew_at = 0
        credential.get_credential()
        assert {second, quote(second), quote_plus(second)} <= credential.told

    def test_so_are_those_of_what_a_role_is_assumed_with(self, find):
        role = Credential(find({**OPTIONS, "role_arn": ROLE})[0], Transport())
        told = set()
        role.tell_secrets_to(told.update)
        assert OPTIONS["access_key_secret"] in told

    def test_what_is_too_short_for_a_secret_blots_nothing_out(self, find):
        """A mask on '1' would make an ENI id and a count of it illegible."""
        uri = "https://keys.example.com/a?v=1&region=cn-hangzhou&token=long-enough-for-a-secret+"
        credential, told = Credential(find({URI: uri})[0], Transport()), set()
        credential.tell_secrets_to(told.update)
        assert {uri, quote(uri, safe=""), "long-enough-for-a-secret ", "long-enough-for-a-secret%20"} <= told
        assert min(map(len, told)) > 16
        credential._provider = Provider(("t", 900))
        credential.get_credential()
        assert min(map(len, told)) > 16

    def test_a_renewal_that_fails_leaves_the_key_that_still_counts(self, credential):
        credential._provider = Provider(("first", 900), OSError("not-shown"))
        credential.get_credential()
        credential._renew_at = 0
        assert credential.get_credential().access_key_secret == "first"

    def test_and_is_not_tried_again_before_every_call(self, credential, monkeypatch):
        now = [1000.0]
        monkeypatch.setattr(_credentials.time, "time", lambda: now[0])
        credential._provider = Provider(("first", 900), OSError(), OSError(), ("second", 900))
        for at, expected, left in (
            (1000, "first", 3),
            (1700, "first", 2),
            (1750, "first", 2),
            (1761, "first", 1),
            (1820, "first", 1),
            (1831, "second", 0),
        ):
            now[0] = at
            assert (credential.get_credential().access_key_secret, len(credential._provider.keys)) == (expected, left)

    @pytest.mark.parametrize("secret", [12345, "", None])
    def test_a_key_that_is_no_text_is_the_fault_of_who_gave_it(self, credential, secret):
        credential._provider = Provider((secret, 900))
        with pytest.raises(_credentials.CredentialError, match=r"metadata service .* gave a key of which a part is no text"):
            credential.get_credential()

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            (
                'error, http_code: 403, result: {"RequestId":"R-1","Code":"NoPermission","x":"not-shown"}',
                "NoPermission (HTTP status 403); it takes the RAM action sts:AssumeRole, and a role that",
            ),
            ("Failed HttpCode=404 not-shown", "refused with HTTP status 404"),
            ("No cached value was found.", "already expired"),
            ("not-shown", "did not answer with a key (ValueError)"),
        ],
    )
    def test_a_login_that_fails_is_told_without_what_was_sent(self, credential, text, told):
        credential._provider = Provider(ValueError(text))
        with pytest.raises(_credentials.CredentialError) as caught:
            credential.get_credential()
        assert told in str(caught.value)
        assert str(caught.value).startswith("ecs_ram_role from options: the metadata service")
        assert "not-shown" not in str(caught.value)
        assert "only refused" not in str(caught.value)
        assert caught.value.__context__ is None


def test_the_key_itself_is_in_no_repr(find):
    credential = Credential(find(OPTIONS)[0], Transport())
    assert "not-shown" not in f"{credential!r} {vars(credential)}"
    told = set()
    credential.tell_secrets_to(told.update)
    secret = OPTIONS["access_key_secret"]
    assert secret in told
    assert (credential.get_credential().access_key_secret, credential.get_credential().type) == (secret, "access_key")


def test_the_metadata_service_is_waited_for_no_longer_than_a_second():
    """It is a hop away, or not there."""
    provider = ECS_RAM_ROLE.provider({"ecs_role_name": "operator"}, Transport(connect_timeout=30, read_timeout=7), None)
    assert provider._runtime_options == {**provider._runtime_options, "connectTimeout": 1000, "readTimeout": 7000}


def test_every_variable_has_one_meaning():
    variables = [variable for names in ENVIRONMENTS for spelled in names.values() for variable in spelled]
    assert len(variables) == len(set(variables))


def test_the_guide_names_every_option_alias_and_variable():
    guide = (Path(__file__).resolve().parents[4] / "docs" / "docsite" / "rst" / "guide_credentials.rst").read_text(encoding="utf-8")
    variables = [variable for names in ENVIRONMENTS for spelled in names.values() for variable in spelled]
    options = [spelling for name in SETTINGS for spelling in (name, *connection_spec()[name].get("aliases", []))]
    assert [name for name in (*options, *variables) if f"``{name}``" not in guide] == []
