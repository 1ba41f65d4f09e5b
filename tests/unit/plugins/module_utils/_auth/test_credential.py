# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from types import SimpleNamespace
from urllib.parse import quote, quote_plus

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth import credential as credential_module
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.credential import Credential
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.ecs_ram_role import ECS_RAM_ROLE
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.failures import CredentialError
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import Transport
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils._auth.builders import OPTIONS, ROLE, URI

TOKEN = "token+of/all+the/keys="


class Provider:
    """A stand-in for a provider of the library. It returns the given keys."""

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
    made.reported = set()
    made.report_secrets_to(made.reported.update)
    return made


class TestKeepingAKey:
    def test_one_key_serves_until_it_is_to_be_renewed(self, credential):
        credential._provider = Provider(("first", 900), ("second", 900))
        assert [credential.get_credential().access_key_secret for _time in range(3)] == ["first"] * 3
        credential._renew_at = 0
        assert credential.get_credential().access_key_secret == "second"

    def test_every_new_secret_is_reported_in_every_encoding(self, credential):
        first, second = "first/secret-of-all", "second secret of all"
        credential._provider = Provider((first, 900), (second, 900))
        credential.get_credential()
        assert {first, first.replace("/", "%2F"), TOKEN, quote(TOKEN, safe="")} <= credential.reported
        credential._renew_at = 0
        credential.get_credential()
        assert {second, quote(second), quote_plus(second)} <= credential.reported

    def test_the_secrets_of_the_base_of_a_role_are_reported_too(self, find):
        role = Credential(find({**OPTIONS, "role_arn": ROLE})[0], Transport())
        reported = set()
        role.report_secrets_to(reported.update)
        assert OPTIONS["access_key_secret"] in reported

    def test_a_short_secret_is_not_masked(self, find):
        """A mask on '1' would make ENI ids and counts unreadable."""
        uri = "https://keys.example.com/a?v=1&region=cn-hangzhou&token=long-enough-for-a-secret+"
        credential, reported = Credential(find({URI: uri})[0], Transport()), set()
        credential.report_secrets_to(reported.update)
        assert {uri, quote(uri, safe=""), "long-enough-for-a-secret ", "long-enough-for-a-secret%20"} <= reported
        assert min(map(len, reported)) > 16
        credential._provider = Provider(("t", 900))
        credential.get_credential()
        assert min(map(len, reported)) > 16

    def test_a_failed_renewal_keeps_a_key_that_is_still_valid(self, credential):
        credential._provider = Provider(("first", 900), OSError("not-shown"))
        credential.get_credential()
        credential._renew_at = 0
        assert credential.get_credential().access_key_secret == "first"

    def test_a_failed_renewal_is_not_tried_again_before_every_call(self, credential, monkeypatch):
        now = [1000.0]
        monkeypatch.setattr(credential_module.time, "time", lambda: now[0])
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
    def test_the_error_for_an_incomplete_key_names_its_host(self, credential, secret):
        credential._provider = Provider((secret, 900))
        with pytest.raises(CredentialError, match=r"metadata service .* returned an incomplete key"):
            credential.get_credential()

    def test_an_expired_key_is_not_used(self, credential):
        """The library itself returns a key from a command for up to twelve minutes after its end."""
        credential._provider = Provider(("first", -1), ("second", 900))
        with pytest.raises(CredentialError, match=r"metadata service .* returned a key that has already expired"):
            credential.get_credential()
        assert credential.get_credential().access_key_secret == "second"

    def test_a_failure_does_not_have_the_exception_of_the_library(self, credential):
        credential._provider = Provider(ValueError("not-shown"))
        with pytest.raises(CredentialError) as caught:
            credential.get_credential()
        assert str(caught.value).startswith("ecs_ram_role from options: the metadata service")
        assert "did not return a key (ValueError)" in str(caught.value)
        assert "not-shown" not in str(caught.value)
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_no_repr_shows_the_key(find):
    credential = Credential(find(OPTIONS)[0], Transport())
    assert "not-shown" not in f"{credential!r} {vars(credential)}"
    reported = set()
    credential.report_secrets_to(reported.update)
    secret = OPTIONS["access_key_secret"]
    assert secret in reported
    assert (credential.get_credential().access_key_secret, credential.get_credential().type) == (secret, "access_key")


def test_the_metadata_service_is_waited_for_no_longer_than_a_second():
    """The service is one network hop away, or it does not exist."""
    provider = ECS_RAM_ROLE.provider({"ecs_role_name": "operator"}, Transport(connect_timeout=30, read_timeout=7), None)
    assert provider._runtime_options == {**provider._runtime_options, "connectTimeout": 1000, "readTimeout": 7000}


class TestFingerprint:
    def test_each_login_has_another_one(self, find):
        logins = [
            OPTIONS,
            {**OPTIONS, "access_key_id": "other-id"},
            {**OPTIONS, "role_arn": ROLE},
            {URI: "https://keys.example.com/a?token=one"},
            {URI: "https://keys.example.com/a?token=two"},
            {"ecs_role_name": "operator"},
        ]
        fingerprints = [Credential(find(login)[0], Transport()).fingerprint for login in logins]
        assert len(set(fingerprints)) == len(logins)
        assert Credential(find(OPTIONS)[0], Transport()).fingerprint == fingerprints[0]
