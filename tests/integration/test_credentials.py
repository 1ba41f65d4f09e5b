# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each way to log in: the real SDK, servers on loopback that issue keys, and the local endpoint, which checks every signature and token.
Each failure is one clear error, with nothing on standard error, no request and no secret."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.emulator import Emulator
from support.module import run_module
from support.stand_ins import CloudSso, CredentialsUri, Front, Key, MetadataService, Proxy, StandIn, Sts, Tls

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth import choose
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import EcsError
from ansible_collections.alicloud_ops.network.plugins.module_utils._options import connection_spec, parse_connection

ROLE = "acs:ram::1000000000000001:role/network-operator"
IDP = "acs:ram::1000000000000001:oidc-provider/ack-rrsa-c1"
AK = {"access_key_id": "emulator-key-id", "access_key_secret": "emulator-key-secret"}
STS_KEY = {"access_key_id": "STS.emulator-key-id", "access_key_secret": "emulator-sts-secret", "security_token": "emulator-sts-token"}
ENVIRONMENT_KEY = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "emulator-key-id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "emulator-key-secret"}
STS_VARIABLES = {
    "access_key_id": "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "access_key_secret": "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "security_token": "ALIBABA_CLOUD_SECURITY_TOKEN",
}
STS_CALLER = {"STS.emulator-key-id": ("emulator-sts-secret", "emulator-sts-token")}


class Runner:
    """Reads one ENI, or unassigns an address of it, with the given options and variables, in a home of its own."""

    def __init__(self, emulator: Emulator, folder: Path, capture: pytest.CaptureFixture[str], tls: Tls) -> None:
        self.emulator, self.capture, self.tls = emulator, capture, tls
        self.home = folder / "home"
        self.home.mkdir()
        self.token_file = folder / "token"
        self.token_file.write_text("pod-token\n")

    def __call__(
        self,
        options: dict[str, Any] | None = None,
        environ: dict[str, str] | None = None,
        module: str = "eni_secondary_ip_info",
        **more: Any,
    ) -> dict[str, Any]:
        environment = {
            "HOME": str(self.home),
            "ALIBABA_CLOUD_ECS_ENDPOINT": self.emulator.endpoint,
            "ALIBABA_CLOUD_REGION_ID": "cn-hangzhou",
            "DEBUG": "sdk",
            **(environ or {}),
        }
        work: dict[str, dict[str, Any]] = {
            "eni_secondary_ip_info": {"eni_ids": ["eni-web1001"]},
            "eni_secondary_ip": {"state": "absent", "eni_id": "eni-web1001", "private_ip_addresses": ["192.168.0.101"]},
        }
        arguments = {**work[module], "ca_bundle": str(self.tls.bundle), "retry_timeout": 0, **(options or {}), **more}
        result = run_module(module, arguments, environment)
        assert self.capture.readouterr() == ("", "")
        assert not [thread.name for thread in threading.enumerate() if "APScheduler" in thread.name or "refresh" in thread.name]
        return result

    def caller(self) -> str:
        return self.emulator.calls()[-1]["caller"]

    def profile(self, **entries: Any) -> None:
        self.cli_file({"name": "default", **entries})

    def cli_file(self, *profiles: dict[str, Any]) -> None:
        (self.home / ".aliyun").mkdir(exist_ok=True)
        (self.home / ".aliyun" / "config.json").write_text(json.dumps({"current": "default", "profiles": profiles}))

    def ini_file(self, **entries: str) -> None:
        (self.home / ".alibabacloud").mkdir(exist_ok=True)
        lines = [f"{name} = {text}" for name, text in entries.items()]
        (self.home / ".alibabacloud" / "credentials.ini").write_text("\n".join(["[default]", *lines, ""]))


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return Tls(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def run(emulator: Emulator, tmp_path: Path, capfd: pytest.CaptureFixture[str], tls: Tls, monkeypatch: pytest.MonkeyPatch) -> Runner:
    monkeypatch.setattr(choose, "PRODUCT_NAME", tmp_path / "product_name")
    return Runner(emulator, tmp_path, capfd, tls)


@pytest.fixture
def sts(tls: Tls) -> Iterator[Sts]:
    with Sts(tls) as stand_in:
        yield stand_in


@pytest.fixture
def metadata() -> Iterator[MetadataService]:
    with MetadataService() as stand_in, stand_in.routed():
        yield stand_in


@pytest.fixture
def uri() -> Iterator[CredentialsUri]:
    with CredentialsUri() as stand_in:
        yield stand_in


class TestEveryKindLogsIn:
    @pytest.mark.parametrize(
        ("options", "environ", "source", "caller"),
        [
            (AK, {}, "access_key from options", "owner"),
            (
                {"alicloud_access_key": "emulator-key-id", "alicloud_secret_key": "emulator-key-secret"},
                {},
                "access_key from options",
                "owner",
            ),
            (STS_KEY, ENVIRONMENT_KEY, "sts from options", "role"),
            ({}, ENVIRONMENT_KEY, "access_key from environment", "owner"),
            (
                {},
                {"ALICLOUD_ACCESS_KEY": "emulator-key-id", "ALICLOUD_SECRET_KEY": "emulator-key-secret"},
                "access_key from environment",
                "owner",
            ),
            (
                {},
                {variable: STS_KEY[name] for name, variable in STS_VARIABLES.items()},
                "sts from environment",
                "role",
            ),
        ],
    )
    def test_keys(self, run: Runner, options: dict[str, Any], environ: dict[str, str], source: str, caller: str) -> None:
        assert run(options, environ)["credential_source"] == source
        assert run.caller() == caller

    def test_a_role_with_all_that_belongs_to_it(self, run: Runner, sts: Sts) -> None:
        sts.external_id = "partner-4711"
        policy = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "ecs:Describe*", "Resource": "a b*~"}]}
        role = {"role_arn": ROLE, "role_session_name": "nightly@ops", "role_session_expiration": 900, "external_id": "partner-4711"}
        result = run({**AK, **role, "role_policy": policy, "sts_endpoint": sts.endpoint})
        assert (result["credential_source"], run.caller()) == ("ram_role_arn from options", "role")
        (asked,) = sts.asked
        assert (asked.query["RoleSessionName"], asked.query["DurationSeconds"]) == ("nightly@ops", "900")
        assert json.loads(asked.query["Policy"]) == policy

    @pytest.mark.parametrize(
        ("options", "environ", "source"),
        [
            ({"assume_role_arn": ROLE}, ENVIRONMENT_KEY, "ram_role_arn from options, with access_key from environment"),
            ({}, {**ENVIRONMENT_KEY, "ALIBABA_CLOUD_ROLE_ARN": ROLE}, "ram_role_arn from environment"),
            (
                {},
                {"ALICLOUD_ACCESS_KEY": "emulator-key-id", "ALICLOUD_SECRET_KEY": "emulator-key-secret", "ALICLOUD_ASSUME_ROLE_ARN": ROLE},
                "ram_role_arn from environment",
            ),
        ],
    )
    def test_a_role_by_environment(self, run: Runner, sts: Sts, options: dict[str, Any], environ: dict[str, str], source: str) -> None:
        result = run(options, {**environ, "ALICLOUD_STS_ENDPOINT": sts.endpoint})
        assert (result["credential_source"], run.caller()) == (source, "role")
        assert sts.asked[0].query["RoleSessionName"] == "alicloud_ops.network"

    def test_a_role_with_a_temporary_key(self, run: Runner, sts: Sts) -> None:
        sts.callers = STS_CALLER
        assert run({**STS_KEY, "role_arn": ROLE, "sts_endpoint": sts.endpoint})["credential_source"] == "ram_role_arn from options"
        assert run.caller() == "role"

    @pytest.mark.parametrize("by", ["options", "environment"])
    def test_the_token_of_a_pod(self, run: Runner, sts: Sts, by: str) -> None:
        options = {"role_arn": ROLE, "oidc_provider_arn": IDP, "oidc_token_file": str(run.token_file)}
        variables = ("ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "ALIBABA_CLOUD_OIDC_TOKEN_FILE")
        given = (options, {}) if by == "options" else ({}, dict(zip(variables, options.values(), strict=True)))
        result = run(given[0], given[1], sts_endpoint=sts.endpoint)
        assert (result["credential_source"], run.caller()) == (f"oidc_role_arn from {by}", "role")

    @pytest.mark.parametrize(("hardened", "v2"), [(True, True), (False, True), (False, False)])
    @pytest.mark.parametrize("by", ["options", "environment", "default chain", "ALICLOUD"])
    def test_the_role_of_the_instance(
        self, run: Runner, metadata: MetadataService, tmp_path: Path, by: str, hardened: bool, v2: bool
    ) -> None:
        metadata.hardened, metadata.v2 = hardened, v2
        (tmp_path / "product_name").write_text("Alibaba Cloud ECS\n")
        options = {"ecs_role_name": metadata.role} if by == "options" else {}
        variable = {"environment": "ALIBABA_CLOUD_ECS_METADATA", "ALICLOUD": "ALICLOUD_ECS_ROLE_NAME"}.get(by)
        result = run(options, {variable: metadata.role} if variable else {})
        source = "environment" if by == "ALICLOUD" else by
        assert (result["credential_source"], run.caller()) == (f"ecs_ram_role from {source}", "role")
        # A session token and the key. If the role is not named, also its name, with another token.
        assert len(metadata.asked) == (4 if by == "default chain" else 2)

    def test_a_role_with_the_role_of_the_instance(self, run: Runner, metadata: MetadataService, sts: Sts) -> None:
        sts.callers = STS_CALLER
        result = run({"role_arn": ROLE, "ecs_role_name": metadata.role, "sts_endpoint": sts.endpoint})
        assert (result["credential_source"], run.caller()) == ("ram_role_arn from options", "role")
        assert len(sts.asked) == 1

    @pytest.mark.parametrize("by", ["options", "environment"])
    def test_a_credentials_uri(self, run: Runner, uri: CredentialsUri, by: str) -> None:
        uri.token = "a+b/c="
        where = f"{uri.url}/keys?token=a%2Bb%2Fc%3D"
        given = ({"credentials_uri": where}, {}) if by == "options" else ({}, {"ALIBABA_CLOUD_CREDENTIALS_URI": where})
        assert run(*given)["credential_source"] == f"credentials_uri from {by}"
        assert run.caller() == "role"

    def test_a_credentials_uri_by_https(self, run: Runner, tls: Tls) -> None:
        with CredentialsUri(tls) as uri:
            assert run({"credentials_uri": f"{uri.url}/keys"})["credential_source"] == "credentials_uri from options"


def sso_login(sso: StandIn) -> dict[str, Any]:
    """The entries that 'aliyun sso login' writes into a profile."""
    return {
        "cloud_sso_sign_in_url": f"{sso.url}/start/login",
        "cloud_sso_account_id": "1000000000000001",
        "cloud_sso_access_config": "ac-1",
        "access_token": CloudSso.access_token,
        "cloud_sso_access_token_expire": int(time.time()) + 600,
    }


class TestEveryProfileLogsIn:
    """Named by option or variable, or as the current one; the region comes with it."""

    @pytest.fixture(params=["profile", "ALIBABA_CLOUD_PROFILE", "ALICLOUD_PROFILE", "current"])
    def login(self, request: pytest.FixtureRequest, run: Runner) -> Any:
        def login(**options: Any) -> dict[str, Any]:
            by = request.param
            environ = {"ALIBABA_CLOUD_REGION_ID": "", **({by: "default"} if by.startswith("ALI") else {})}
            return run({**options, **({by: "default"} if by == "profile" else {})}, environ)

        return login

    def login_of(self, run: Runner, result: dict[str, Any]) -> tuple[str, str]:
        assert result["region"] == "cn-hangzhou"
        return result["credential_source"], run.caller()

    SOURCE = "from profile default of ~/.aliyun/config.json"

    def test_ak(self, run: Runner, login: Any) -> None:
        run.profile(mode="AK", region_id="cn-hangzhou", **AK)
        assert self.login_of(run, login()) == (f"access_key {self.SOURCE}", "owner")

    def test_sts_token(self, run: Runner, login: Any) -> None:
        run.profile(
            mode="StsToken",
            region_id="cn-hangzhou",
            access_key_id=STS_KEY["access_key_id"],
            access_key_secret=STS_KEY["access_key_secret"],
            sts_token=STS_KEY["security_token"],
        )
        assert self.login_of(run, login()) == (f"sts {self.SOURCE}", "role")

    def test_ram_role_arn(self, run: Runner, login: Any, sts: Sts) -> None:
        run.profile(mode="RamRoleArn", region_id="cn-hangzhou", ram_role_arn=ROLE, ram_session_name="night", expired_seconds=1800, **AK)
        assert self.login_of(run, login(sts_endpoint=sts.endpoint)) == (f"ram_role_arn {self.SOURCE}", "role")
        assert (sts.asked[0].query["RoleSessionName"], sts.asked[0].query["DurationSeconds"]) == ("night", "1800")

    def test_chainable_ram_role_arn(self, run: Runner, login: Any, sts: Sts) -> None:
        chained = {"mode": "ChainableRamRoleArn", "region_id": "cn-hangzhou", "ram_role_arn": ROLE, "source_profile": "base"}
        run.cli_file({"name": "default", **chained}, {"name": "base", "mode": "AK", **AK})
        base = "with access_key from profile base of ~/.aliyun/config.json"
        assert self.login_of(run, login(sts_endpoint=sts.endpoint)) == (f"ram_role_arn {self.SOURCE}, {base}", "role")

    def test_ecs_ram_role(self, run: Runner, login: Any, metadata: MetadataService) -> None:
        run.profile(mode="EcsRamRole", region_id="cn-hangzhou", ram_role_name=metadata.role)
        assert self.login_of(run, login()) == (f"ecs_ram_role {self.SOURCE}", "role")

    def test_oidc(self, run: Runner, login: Any, sts: Sts) -> None:
        run.profile(mode="OIDC", region_id="cn-hangzhou", ram_role_arn=ROLE, oidc_provider_arn=IDP, oidc_token_file=str(run.token_file))
        assert self.login_of(run, login(sts_endpoint=sts.endpoint)) == (f"oidc_role_arn {self.SOURCE}", "role")

    def test_credentials_uri(self, run: Runner, login: Any, uri: CredentialsUri) -> None:
        run.profile(mode="CredentialsURI", region_id="cn-hangzhou", credentials_uri=uri.url)
        assert self.login_of(run, login()) == (f"credentials_uri {self.SOURCE}", "role")

    def test_external(self, run: Runner, login: Any) -> None:
        (run.home / "key.json").write_text(json.dumps({"mode": "AK", **AK}))
        run.profile(mode="External", region_id="cn-hangzhou", process_command=f"cat {run.home}/key.json")
        assert self.login_of(run, login()) == (f"external {self.SOURCE}", "owner")

    def test_cloud_sso(self, run: Runner, login: Any, tls: Tls) -> None:
        with CloudSso(tls) as sso:
            run.profile(mode="CloudSSO", region_id="cn-hangzhou", **sso_login(sso))
            assert self.login_of(run, login()) == (f"cloud_sso {self.SOURCE}", "role")

    def test_oauth(self, run: Runner, login: Any) -> None:
        run.profile(
            mode="OAuth",
            region_id="cn-hangzhou",
            access_key_id=STS_KEY["access_key_id"],
            access_key_secret=STS_KEY["access_key_secret"],
            sts_token=STS_KEY["security_token"],
            sts_expiration=int(time.time()) + 600,
        )
        assert self.login_of(run, login()) == (f"sts {self.SOURCE}", "role")

    @pytest.mark.parametrize("kind", ["access_key", "sts", "ram_role_arn", "oidc_role_arn", "ecs_ram_role", "credentials_uri"])
    def test_credentials_file(self, run: Runner, login: Any, sts: Sts, metadata: MetadataService, uri: CredentialsUri, kind: str) -> None:
        entries: dict[str, dict[str, str]] = {
            "access_key": AK,
            "sts": STS_KEY,
            "ram_role_arn": {**AK, "role_arn": ROLE, "role_session_name": "night"},
            "oidc_role_arn": {"role_arn": ROLE, "oidc_provider_arn": IDP, "oidc_token_file_path": str(run.token_file)},
            "ecs_ram_role": {"role_name": metadata.role},
            "credentials_uri": {"credentials_uri": uri.url},
        }
        run.ini_file(type=kind, region_id="cn-hangzhou", **entries[kind])
        caller = "owner" if kind == "access_key" else "role"
        source = f"{kind} from profile default of ~/.alibabacloud/credentials.ini"
        assert self.login_of(run, login(sts_endpoint=sts.endpoint)) == (source, caller)
        asked = [len(stand_in.asked) > 0 for stand_in in (sts, metadata, uri)]
        assert asked == [kind in ("ram_role_arn", "oidc_role_arn"), kind == "ecs_ram_role", kind == "credentials_uri"]

    def test_no_profile_is_ever_changed(self, run: Runner, login: Any) -> None:
        run.profile(mode="AK", region_id="cn-hangzhou", **AK)
        file = run.home / ".aliyun" / "config.json"
        before = (file.read_bytes(), file.stat().st_mtime_ns)
        login()
        assert (file.read_bytes(), file.stat().st_mtime_ns) == before
        assert [path.name for path in run.home.rglob("*")] == [".aliyun", "config.json"]


def refused(result: dict[str, Any]) -> str:
    """The one error of a run that could not log in."""
    assert result["failed"] is True
    assert result["error"]["code"] == "InvalidCredentials"
    assert result["changed"] is False
    for secret in ("emulator-key-secret", "emulator-sts", "pod-token", "Signature=", "Traceback"):
        assert secret not in json.dumps(result)
    return str(result["msg"])


class TestWhatFails:
    """Each failure is one message with the request, the server and the answer. Nothing else is written anywhere (see Runner)."""

    ROLE_OPTIONS = {**AK, "role_arn": ROLE}  # noqa: RUF012 (read only)

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"role_arn": "acs:ram::1000000000000001:role/nobody"}, "EntityNotExist.Role (HTTP status 404) [request id 473469C7-"),
            ({"access_key_secret": "not-the-secret"}, "SignatureDoesNotMatch (HTTP status 400)"),
            ({"access_key_id": "LTAInobody"}, "InvalidAccessKeyId.NotFound (HTTP status 404)"),
            ({"external_id": "another"}, "NoPermission (HTTP status 403)"),
            ({"security_token": "not-the-token"}, "InvalidSecurityToken.MismatchWithAccessKey (HTTP status 400)"),
        ],
    )
    def test_a_role_that_sts_refuses(self, run: Runner, sts: Sts, options: dict[str, Any], expected: str) -> None:
        sts.external_id = "partner-4711"
        result = run({**self.ROLE_OPTIONS, "external_id": "partner-4711", **options, "sts_endpoint": sts.endpoint})
        message = refused(result)
        assert f"ram_role_arn from options: AssumeRole at {sts.endpoint} refused with {expected}" in message
        assert run.emulator.calls() == []

    @pytest.mark.parametrize(
        ("broken", "expected"),
        [
            ((502, "<html>502</html>"), "refused with HTTP status 502"),
            ((200, ""), "did not return a key (JSONDecodeError)"),
            ((200, {"RequestId": "R"}), "did not return a key (CredentialException)"),
            ((200, {"Credentials": {"AccessKeyId": "a", "AccessKeySecret": "emulator-sts-x"}}), "did not return a key"),
            ((200, {"Credentials": Key(lives=-7200).reply()}), "returned a key that has already expired"),
        ],
    )
    def test_an_answer_that_has_no_key(self, run: Runner, sts: Sts, broken: Any, expected: str) -> None:
        sts.broken = broken
        assert expected in refused(run({**self.ROLE_OPTIONS, "sts_endpoint": sts.endpoint}))

    def test_an_authority_that_is_not_trusted(self, run: Runner, sts: Sts) -> None:
        message = refused(run({**self.ROLE_OPTIONS, "sts_endpoint": sts.endpoint, "ca_bundle": ""}))
        assert "TLS failed: the certificate was not accepted" in message
        assert sts.asked == []

    def test_a_server_that_does_not_answer(self, run: Runner, sts: Sts) -> None:
        endpoint = sts.endpoint
        sts.__exit__(None, None, None)
        assert "connection refused" in refused(run({**self.ROLE_OPTIONS, "sts_endpoint": endpoint}))

    def test_a_token_of_a_pod_that_has_expired(self, run: Runner, sts: Sts) -> None:
        run.token_file.write_text("yesterday's-pod-token")
        options = {"role_arn": ROLE, "oidc_provider_arn": IDP, "oidc_token_file": str(run.token_file), "sts_endpoint": sts.endpoint}
        message = refused(run(options))
        assert (
            f"oidc_role_arn from options: AssumeRoleWithOIDC at {sts.endpoint} refused with AuthenticationFail.OIDCToken.Invalid" in message
        )

    @pytest.mark.parametrize(
        ("changes", "options", "expected"),
        [
            ({}, {"ecs_role_name": "another"}, "refused with HTTP status 404"),
            ({"v2": False}, {"disable_imds_v1": True}, "refused with HTTP status 404"),
            ({"broken": (200, {"Code": "Failed"})}, {}, "did not return a key"),
            ({"broken": (200, "a page")}, {}, "did not return a key"),
            ({"key": Key(lives=-7200)}, {}, "already expired"),
        ],
    )
    def test_a_role_that_the_instance_does_not_have(
        self, run: Runner, metadata: MetadataService, changes: dict[str, Any], options: dict[str, Any], expected: str
    ) -> None:
        for name, value in changes.items():
            setattr(metadata, name, value)
        message = refused(run({"ecs_role_name": metadata.role, **options}))
        assert "ecs_ram_role from options: the metadata service 100.100.100.200 (it exists on ECS instances only) " in message
        assert expected in message

    def test_the_older_metadata_service_is_not_used_if_it_is_turned_off(self, run: Runner, metadata: MetadataService) -> None:
        metadata.v2 = False
        refused(run({"ecs_role_name": metadata.role}, {"ALIBABA_CLOUD_IMDSV1_DISABLED": "true"}))
        assert [asked.method for asked in metadata.asked] == ["PUT"]

    @pytest.mark.parametrize(
        ("broken", "expected"),
        [
            ((500, "emulator-sts"), "refused with HTTP status 500"),
            ((200, "{"), "did not return a key"),
            ((200, {"Code": "Success", "AccessKeyId": "a"}), "did not return a key"),
            ((200, {"Code": "Success", **Key(lives=-7200).reply()}), "already expired"),
        ],
    )
    def test_a_credentials_uri(self, run: Runner, uri: CredentialsUri, broken: Any, expected: str) -> None:
        uri.broken = broken
        message = refused(run({"credentials_uri": f"{uri.url}/keys?token=not-to-be-seen"}))
        assert f"credentials_uri from options: the credentials URI on {uri.endpoint}" in message
        assert expected in message
        assert "not-to-be-seen" not in message

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{}",
            "emulator-key-secret",
            '{"access_key_id": "a", "access_key_secret": 12345}',
            '{"access_key_id": 1, "access_key_secret": "b"}',
        ],
    )
    def test_a_command_that_prints_no_key(self, run: Runner, text: str) -> None:
        (run.home / "printed").write_text(text)
        run.profile(mode="External", process_command=f"cat {run.home}/printed")
        assert "external from profile default of ~/.aliyun/config.json: the process_command of the profile" in refused(run())

    @pytest.mark.parametrize("command", ["false", "no-such-command"])
    def test_a_command_that_fails(self, run: Runner, command: str) -> None:
        run.profile(mode="External", process_command=command)
        assert "external from profile default of ~/.aliyun/config.json: the process_command of the profile" in refused(run())

    def test_the_base_of_a_role_is_reported_by_its_method(self, run: Runner, metadata: MetadataService, sts: Sts) -> None:
        message = refused(run({"role_arn": ROLE, "ecs_role_name": "another", "sts_endpoint": sts.endpoint}))
        assert message.count("ecs_ram_role from options: the metadata service") == 1
        assert sts.asked == []

    def test_an_incomplete_credential_is_not_completed_from_another_source(self, run: Runner) -> None:
        run.profile(mode="AK", region_id="cn-hangzhou", **AK)
        for environ in ({"ALIBABA_CLOUD_ACCESS_KEY_ID": "a"}, {"ALICLOUD_SECRET_KEY": "b"}):
            result = run({}, environ)
            assert result["failed"] is True
            assert result["errors"] == [result["errors"][0]]
            assert "is not set, but" in result["errors"][0]
        assert run.emulator.calls() == []

    def test_a_missing_credential_is_reported_at_once(self, run: Runner) -> None:
        started = time.monotonic()
        (error,) = run()["errors"]
        assert error.startswith("access_key_id: no credential is set")
        assert time.monotonic() - started < 0.5, "the login waited for a metadata service that does not exist"


@pytest.mark.parametrize("module", ["eni_secondary_ip_info", "eni_secondary_ip"])
class TestMasks:
    """A service may repeat any part of a request in its reply, and modules repeat replies."""

    SECRETS = ("emulator-key-secret", "emulator-sts-secret", "emulator-sts-token")

    @pytest.mark.parametrize("kind", ["environment", "sts", "profile", "role", "instance", "uri", "command"])
    def test_what_the_service_repeats(
        self, run: Runner, sts: Sts, metadata: MetadataService, uri: CredentialsUri, module: str, kind: str
    ) -> None:
        (run.home / "key.json").write_text(json.dumps({"mode": "AK", **AK}))
        profiles: dict[str, dict[str, Any]] = {
            "profile": {"mode": "StsToken", "sts_token": "emulator-sts-token", **STS_KEY},
            "command": {"mode": "External", "process_command": f"cat {run.home}/key.json"},
        }
        if kind in profiles:
            run.profile(**profiles[kind])
        # The secrets that each way to log in knows, and so must mask.
        options, environ, known = {
            "environment": ({}, ENVIRONMENT_KEY, self.SECRETS[:1]),
            "sts": ({}, {variable: STS_KEY[name] for name, variable in STS_VARIABLES.items()}, self.SECRETS[1:]),
            "profile": ({}, {}, self.SECRETS[1:]),
            "role": ({"role_arn": ROLE, "sts_endpoint": sts.endpoint}, ENVIRONMENT_KEY, self.SECRETS),
            "instance": ({"ecs_role_name": metadata.role}, {}, self.SECRETS[1:]),
            "uri": ({}, {"ALIBABA_CLOUD_CREDENTIALS_URI": uri.url}, self.SECRETS[1:]),
            "command": ({}, {}, self.SECRETS[:1]),
        }[kind]
        run.emulator.faults([{"kind": "error", "code": "InvalidParameter", "status": 400, "message": f"sent {' '.join(known)}."}])
        result = run(options, environ, module)
        masked = f"sent {' '.join('********' for secret in known)}."
        assert result["error"]["message"] == masked
        assert masked in result["msg"]
        assert [secret for secret in self.SECRETS if secret in json.dumps(result)] == []

    def test_a_value_that_is_too_short_for_a_secret_masks_nothing(self, run: Runner, uri: CredentialsUri, module: str) -> None:
        result = run({}, {"ALIBABA_CLOUD_CREDENTIALS_URI": f"{uri.url}/?v=1&region=cn-hangzhou"}, module)
        assert "****" not in json.dumps(result)
        assert (result["interfaces"][0]["eni_id"], result["summary"]["interfaces"]) == ("eni-web1001", 1)


class TestOnTheWay:
    @pytest.mark.parametrize("kind", ["metadata", "base", "uri", "endpoint"])
    def test_plain_http_goes_through_no_proxy(
        self, run: Runner, metadata: MetadataService, uri: CredentialsUri, sts: Sts, tls: Tls, kind: str
    ) -> None:
        sts.callers = STS_CALLER
        with Proxy() as proxy, Front(tls, behind=run.emulator.endpoint) as front:
            instance = {"ecs_role_name": metadata.role, "endpoint": front.url}
            options = {
                "metadata": instance,
                "base": {**instance, "role_arn": ROLE, "sts_endpoint": sts.endpoint},
                "uri": {"credentials_uri": uri.url},
                "endpoint": AK,
            }[kind]
            environ = {"NO_PROXY": "127.0.0.1", **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), proxy.url)}
            assert "failed" not in run(options, environ)
            assert proxy.asked == []

    @pytest.mark.parametrize("way", ["role", "metadata", "uri"])
    def test_a_write_can_be_stopped_after_the_login(
        self, run: Runner, sts: Sts, metadata: MetadataService, uri: CredentialsUri, way: str
    ) -> None:
        """The last check before a write comes after the login, and requests for the key do not count as the write."""
        options, asked = {
            "role": ({**AK, "role_arn": ROLE, "sts_endpoint": sts.endpoint}, sts.asked),
            "metadata": ({"ecs_role_name": metadata.role}, metadata.asked),
            "uri": ({"credentials_uri": uri.url}, uri.asked),
        }[way]
        defaults = {name: option.get("default") for name, option in connection_spec().items()}
        params = {**defaults, **options, "region": "cn-hangzhou", "endpoint": run.emulator.endpoint, "ca_bundle": str(run.tls.bundle)}
        errors: list[str] = []
        connection = parse_connection(params, {"HOME": str(run.home)}, errors)
        assert connection, errors
        looks: list[tuple[bool, int]] = []
        answers = [True, False, True, True, True]

        def is_caller_waiting() -> bool:
            looks.append((bool(asked), len(run.emulator.calls())))
            return answers.pop(0)

        ecs = Ecs(connection, is_caller_waiting)
        address = ["192.168.0.101"]
        with pytest.raises(EcsError, match="has ended"):
            ecs.unassign("eni-web1001", "private_ip_addresses", address, not_after=float("inf"))
        assert (looks, ecs.api_calls) == ([(False, 0), (True, 0)], 0), "before its turn ends, and right before it is sent"
        ecs.unassign("eni-web1001", "private_ip_addresses", address, not_after=float("inf"))
        assert looks[2:] == [(True, 0)] * 3, "before its turn ends, right before it is sent, and when the connection is there"
        assert [call["action"] for call in run.emulator.calls()] == ["UnassignPrivateIpAddresses"]

    @pytest.mark.parametrize("status", [301, 302, 307])
    @pytest.mark.parametrize("kind", ["endpoint", "sts", "pod", "uri", "metadata", "base", "sso"])
    def test_a_redirect_is_not_followed(self, run: Runner, tls: Tls, kind: str, status: int) -> None:
        """A redirect would send token and signature to another server, perhaps unencrypted, and the module would believe its answer."""
        servers: dict[str, tuple[StandIn, StandIn]] = {
            "endpoint": (Front(tls), Front(behind=run.emulator.endpoint)),
            "sts": (Sts(tls), Sts()),
            "pod": (Sts(tls), Sts()),
            "uri": (CredentialsUri(tls), CredentialsUri()),
            "metadata": (MetadataService(), MetadataService()),
            "base": (MetadataService(), MetadataService()),
            "sso": (CloudSso(tls), CloudSso()),
        }
        asked, elsewhere = servers[kind]
        with asked, elsewhere:
            asked.redirect = (status, elsewhere.url)
            if kind == "sso":
                run.profile(mode="CloudSSO", **sso_login(asked))
            options: dict[str, dict[str, Any]] = {
                "endpoint": {**STS_KEY, "endpoint": asked.url},
                "sts": {**AK, "role_arn": ROLE, "sts_endpoint": asked.endpoint},
                "pod": {"role_arn": ROLE, "oidc_provider_arn": IDP, "oidc_token_file": str(run.token_file), "sts_endpoint": asked.endpoint},
                "uri": {"credentials_uri": asked.url},
                "metadata": {"ecs_role_name": "network-operator", "disable_imds_v1": True},
                "base": {"ecs_role_name": "network-operator", "role_arn": ROLE, "disable_imds_v1": True},
                "sso": {},
            }
            with asked.routed() if isinstance(asked, MetadataService) else contextlib.nullcontext():
                result = run(options[kind], retry_timeout=60)
            assert "the reply is a redirect, which is never followed" in result["msg"]
            assert (len(asked.asked), elsewhere.asked) == (1, [])

    def test_a_command_has_the_proxies_of_its_environment(self, run: Runner) -> None:
        (run.home / "key.json").write_text(json.dumps({"mode": "AK", **AK}))
        (run.home / "key.sh").write_text(f'test "$HTTP_PROXY$HTTPS_PROXY" = "ab" && cat {run.home}/key.json\n')
        run.profile(mode="External", process_command=f"sh {run.home}/key.sh")
        assert "failed" not in run({}, {"HTTP_PROXY": "a", "HTTPS_PROXY": "b", "NO_PROXY": "127.0.0.1"})

    @pytest.mark.parametrize(("no_proxy", "proxied"), [("", True), ("example.com", True), ("127.0.0.1", False), ("*", False)])
    def test_https_goes_through_the_proxy_unless_no_proxy_matches(self, run: Runner, tls: Tls, no_proxy: str, proxied: bool) -> None:
        with Proxy() as proxy, Front(tls, behind=run.emulator.endpoint) as front:
            environ = {"HTTPS_PROXY": proxy.url.replace("//", "//me:proxy-password@"), "NO_PROXY": no_proxy}
            result = run({**AK, "endpoint": front.url}, environ)
            assert [asked.method for asked in proxy.asked] == ["CONNECT"] * proxied
            assert result.get("failed", False) is proxied
            assert "proxy-password" not in json.dumps(result)
            if proxied:
                expected = f"{front.endpoint} (through the proxy {proxy.endpoint}): the proxy did not connect"
                assert expected in result["msg"]

    @pytest.mark.parametrize(("no_proxy", "proxied"), [("", True), ("127.0.0.1", False)])
    def test_assuming_a_role_goes_through_the_proxy_too(self, run: Runner, sts: Sts, no_proxy: str, proxied: bool) -> None:
        with Proxy() as proxy:
            result = run({**AK, "role_arn": ROLE, "sts_endpoint": sts.endpoint}, {"https_proxy": proxy.url, "no_proxy": no_proxy})
            assert bool(proxy.asked) is proxied
            if proxied:
                expected = f"AssumeRole at {sts.endpoint} (through the proxy {proxy.endpoint}): the proxy did not connect"
                assert expected in refused(result)

    def test_an_endpoint_of_a_private_authority(self, run: Runner, tls: Tls) -> None:
        with Front(tls, behind=run.emulator.endpoint) as front:
            assert "failed" not in run({**AK, "endpoint": front.url})
        with Front(tls, behind=run.emulator.endpoint) as front:
            result = run({**AK, "endpoint": front.url, "ca_bundle": None})
            assert "TLS failed" in result["msg"]
            assert front.asked == []

    def test_timeouts_are_seconds(self, run: Runner) -> None:
        run.emulator.faults([{"action": "read", "kind": "slow", "ms": 3000}])
        started = time.monotonic()
        result = run({**AK, "read_timeout": 1})
        assert "no reply in time" in result["msg"]
        assert 0.9 < time.monotonic() - started < 2.5

    @pytest.mark.parametrize("region", ["cn-hangzhou", "cn-beijing", "cn-shanghai-finance-1"])
    def test_the_endpoints_of_a_region(self, monkeypatch: pytest.MonkeyPatch, run: Runner, region: str) -> None:
        """The host that the SDK would call, as the name lookup shows it."""
        looked_up: list[str] = []

        def nobody(host: Any, *more: Any, **named: Any) -> Any:
            looked_up.append(host)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr("socket.getaddrinfo", nobody)
        for endpoint_type in ("public", "vpc"):
            result = run({**AK, "endpoint_type": endpoint_type, "region": region}, {"ALIBABA_CLOUD_ECS_ENDPOINT": ""})
            assert "the host name could not be resolved" in result["msg"]
        public = {"cn-beijing": "ecs.cn-beijing.aliyuncs.com"}.get(region, "ecs-cn-hangzhou.aliyuncs.com")
        assert list(dict.fromkeys(looked_up)) == [public, f"ecs-vpc.{region}.aliyuncs.com"]


class TestRenewal:
    def test_a_key_of_the_shortest_session_is_fetched_once_for_many_calls(self, run: Runner, sts: Sts) -> None:
        sts.key = Key(lives=900)
        run.emulator.reset(seed={**SMALL_PAGES})
        result = run({**AK, "role_arn": ROLE, "role_session_expiration": 900, "sts_endpoint": sts.endpoint, "eni_ids": MANY})
        assert result["summary"]["api_calls"] == 3
        assert len(sts.asked) == 1

    def test_a_key_that_ends_during_a_run_is_renewed(self, run: Runner, uri: CredentialsUri, monkeypatch: pytest.MonkeyPatch) -> None:
        run.emulator.reset(seed={**SMALL_PAGES})
        uri.key = Key(lives=2)
        run.emulator.faults([{"action": "read", "kind": "slow", "ms": 1600, "nth": 1}])
        assert run({"credentials_uri": uri.url, "eni_ids": MANY})["summary"]["api_calls"] == 3
        assert len(uri.asked) == 2


MANY = [f"eni-many{number:05}" for number in range(250)]
SMALL_PAGES = {
    "vswitches": [{"id": "vsw-app", "vpc_id": "vpc-main", "zone_id": "cn-hangzhou-h", "cidr": "10.0.0.0/16"}],
    "security_groups": [{"id": "sg-web", "vpc_id": "vpc-main"}],
    "generate": [{"prefix": "many", "count": 250, "vswitch_id": "vsw-app", "security_group_ids": ["sg-web"], "private_ip_addresses": 1}],
}


class TestAccount:
    """The account of the local endpoint is 1000000000000001."""

    CHANGE = {"state": "absent", "eni_id": "eni-web1001", "private_ip_addresses": ["192.168.0.101"]}  # noqa: RUF012 (read only)
    OTHER = (
        "account_id: 1 of 1 ENIs belong to account 1000000000000001, not to 1000000000000002; first: eni-web1001; "
        "correct account_id or the credential, or leave these ENIs out"
    )

    def change(self, emulator: Emulator, check: bool = False, environ: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
        return run_module("eni_secondary_ip", {**self.CHANGE, **options}, {**emulator.environment(), **(environ or {})}, check=check)

    @pytest.mark.parametrize("check", [False, True])
    @pytest.mark.parametrize("by", ["account_id", "ALIBABA_CLOUD_ACCOUNT_ID", "ALICLOUD_ACCOUNT_ID"])
    def test_another_account_is_refused_before_any_write(self, emulator: Emulator, by: str, check: bool) -> None:
        given = {by: "1000000000000002"} if by == "account_id" else {"environ": {by: "1000000000000002"}}
        for on_refusal in ("fail", "skip"):
            result = self.change(emulator, check, on_refusal=on_refusal, **given)
            assert result["errors"] == [self.OTHER]
        assert {call["action"] for call in emulator.calls()} == {"DescribeNetworkInterfaces"}

    def test_the_right_account_passes(self, emulator: Emulator) -> None:
        assert self.change(emulator, account_id=1000000000000001)["changed"] is True

    def test_another_account_is_refused_also_if_nothing_would_be_written(self, emulator: Emulator) -> None:
        """Otherwise a wrong account looks like work that is done."""
        assert self.change(emulator, account_id="1000000000000002", private_ip_addresses=["192.168.0.199"])["errors"] == [self.OTHER]

    def test_a_listing_of_another_account_is_refused(self, run: Runner) -> None:
        assert run(AK, account_id="1000000000000002")["errors"] == [self.OTHER]
        assert run(AK, account_id="1000000000000001")["interfaces"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"access_key_secret": "another-secret"}, "(access_key from options: the secret does not belong to this access_key_id)"),
        ({"access_key_id": "nobody"}, "(access_key from options)"),
        ({"security_token": "emulator-sts-token"}, "(sts from options)"),
    ],
)
def test_a_key_that_the_endpoint_refuses_is_reported_with_its_source(run: Runner, options: dict[str, Any], expected: str) -> None:
    assert expected in run({**AK, **options})["msg"]


def test_an_sdk_that_is_too_old_is_reported_as_too_old(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "alibabacloud_credentials.provider.external", None)
    message = run(AK)["msg"]
    assert "Failed to import the required Python library" in message
    assert "see requirements.txt of this collection" in message


def test_no_logger_of_the_sdk_writes(run: Runner) -> None:
    run(AK)
    assert all(logging.getLogger(name).disabled for name in ("credentials", "alibabacloud-tea", "darabonba-core"))
