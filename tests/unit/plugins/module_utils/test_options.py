# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._options import connection_spec, parse_connection

KEYS = {"access_key_id": "LTAIexample", "access_key_secret": "not-a-real-secret"}
NO_HOME = {"HOME": "/nonexistent"}


def parse(environ=None, **given):
    options = {name: option.get("default") for name, option in connection_spec().items()}
    errors = []
    connection = parse_connection({**options, "region": "cn-hangzhou", **KEYS, **given}, NO_HOME if environ is None else environ, errors)
    assert (connection is None) == bool(errors)
    return connection, errors


def profile_home(path, config):
    (path / ".aliyun").mkdir()
    (path / ".aliyun" / "config.json").write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    return {"HOME": str(path)}


def test_the_plain_case():
    connection, _errors = parse()
    assert (connection.region, connection.protocol, connection.endpoint) == ("cn-hangzhou", "https", None)
    assert (connection.retry_timeout, connection.max_concurrency, connection.calls_per_minute) == (120, 8, 300)


def test_the_spec_leaves_blanks_to_the_one_validator():
    for option in connection_spec().values():
        assert not {"required", "choices", "required_if", "required_together"} & option.keys()


def test_secrets_are_never_logged_and_options_with_similar_names_are():
    spec = connection_spec()
    for name in ("access_key_id", "account_id", "role_arn", "external_id", "oidc_token_file", "oidc_provider_arn", "profile"):
        assert spec[name]["no_log"] is False
    assert {name for name, option in spec.items() if option.get("no_log")} == {"access_key_secret", "security_token", "credentials_uri"}


# region


PROFILES = {
    "current": "default",
    "profiles": [
        {"name": "default", "mode": "AK", "access_key_id": "a", "access_key_secret": "b", "region_id": "me-central-1"},
        {"name": "other", "mode": "ChainableRamRoleArn", "ram_role_arn": "acs:ram::1:role/a", "source_profile": "default"},
        {"name": "no region", "mode": "EcsRamRole"},
    ],
}
NO_KEYS = dict.fromkeys(KEYS)


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        ({"region": "cn-beijing"}, {"ALIBABA_CLOUD_REGION_ID": "cn-shanghai", "ALICLOUD_REGION": "eu-west-1"}, "cn-beijing"),
        ({"region": ""}, {"ALIBABA_CLOUD_REGION_ID": "cn-shanghai", "ALICLOUD_REGION": "eu-west-1"}, "cn-shanghai"),
        ({"region": None}, {"ALIBABA_CLOUD_REGION_ID": " ", "ALICLOUD_REGION": "eu-west-1"}, "eu-west-1"),
        ({"region": None, **NO_KEYS}, {}, "me-central-1"),
        ({"region": None, **NO_KEYS, "profile": "other"}, {}, "me-central-1"),
        ({"region": None, **NO_KEYS, "profile": "default"}, {"ALICLOUD_REGION": "eu-west-1"}, "eu-west-1"),
    ],
)
def test_region_comes_from_option_then_environment_then_the_profile_that_logs_in(tmp_path, given, environ, expected):
    assert parse(environ={**profile_home(tmp_path, PROFILES), **environ}, **given)[0].region == expected


def test_a_key_without_a_profile_uses_the_region_of_the_current_profile(tmp_path):
    assert parse(environ=profile_home(tmp_path, PROFILES), region=None)[0].region == "me-central-1"


def test_a_region_comes_only_from_a_profile_of_the_command_line(tmp_path):
    """The credentials file of the SDKs may belong to another account, and has no current profile."""
    environ = profile_home(tmp_path, {**PROFILES, "current": "no region"})
    (tmp_path / ".alibabacloud").mkdir()
    (tmp_path / ".alibabacloud" / "credentials.ini").write_text("[default]\ntype=ecs_ram_role\nregion_id=eu-west-1\n")
    (error,) = parse(environ=environ, region=None)[1]
    assert error.startswith("region: no region is set")
    for variable in ("ALIBABA_CLOUD_PROFILE", "ALICLOUD_PROFILE"):
        assert parse(environ={**environ, variable: "default"}, region=None)[0].region == "me-central-1"


def test_an_unreadable_configuration_is_reported(tmp_path):
    (error,) = parse(environ=profile_home(tmp_path, "{"), region=None)[1]
    assert error == "region: no region is set, and ~/.aliyun/config.json is not a configuration of the aliyun command line"


def test_a_failed_login_does_not_lead_to_a_second_error(tmp_path):
    (error,) = parse(environ=profile_home(tmp_path, PROFILES), region=None, **NO_KEYS, profile="nobody")[1]
    assert error.startswith("profile: there is no profile nobody")


def test_a_file_of_profiles_that_cannot_be_used_is_named_once(tmp_path):
    (error,) = parse(environ=profile_home(tmp_path, "{"), region=None, **NO_KEYS)[1]
    assert "config.json" in error


def test_the_region_does_not_come_from_another_profile(tmp_path):
    (error,) = parse(environ=profile_home(tmp_path, PROFILES), region=None, **NO_KEYS, profile="no region")[1]
    assert error.startswith("region: no region is set")


def test_a_region_of_a_profile_is_checked_too(tmp_path):
    profile = {**PROFILES["profiles"][0], "region_id": "cn-hangzhou.evil.example"}
    (error,) = parse(environ=profile_home(tmp_path, {**PROFILES, "profiles": [profile]}), region=None, **NO_KEYS)[1]
    assert error.startswith("region_id of profile default of ~/.aliyun/config.json: 'cn-hangzhou.evil")


@pytest.mark.parametrize(
    "region", ["cn-hangzhou.evil.example", "cn-hangzhou/", "cn hangzhou", "CN-HANGZHOU", "cn", "@cn-hangzhou", "cn-hangzhou#"]
)
def test_a_region_that_could_change_the_host_name_is_an_error(region):
    (error,) = parse(region=region)[1]
    assert error.startswith(f"region: '{region}'")
    (error,) = parse(environ={**NO_HOME, "ALICLOUD_REGION": region}, region=None)[1]
    assert error.startswith(f"ALICLOUD_REGION: '{region}'")


# endpoint


@pytest.mark.parametrize(
    ("text", "protocol", "endpoint"),
    [
        ("ecs.cn-hangzhou.aliyuncs.com", "https", "ecs.cn-hangzhou.aliyuncs.com"),
        ("ecs.example.com:8443", "https", "ecs.example.com:8443"),
        ("https://ecs.example.com/", "https", "ecs.example.com"),
        ("http://127.0.0.1:28931", "http", "127.0.0.1:28931"),
        ("http://localhost:8080", "http", "localhost:8080"),
        ("http://[::1]:8080", "http", "[::1]:8080"),
    ],
)
def test_endpoints(text, protocol, endpoint):
    for connection in (parse(endpoint=text)[0], parse(environ={**NO_HOME, "ALIBABA_CLOUD_ECS_ENDPOINT": text}, endpoint="")[0]):
        assert (connection.protocol, connection.endpoint) == (protocol, endpoint)


@pytest.mark.parametrize(
    "host", ["ecs.example.com", "192.168.0.1", "localhost.example.com", "127.0.0.1.example.com", "[2001:db8::1]", "169.254.0.1"]
)
def test_signed_calls_without_encryption_go_only_to_loopback_addresses(host):
    (error,) = parse(endpoint=f"http://{host}")[1]
    assert "without encryption" in error


@pytest.mark.parametrize(
    "text",
    [
        "ftp://example.com",
        "https://",
        "https://host:port",
        "https://host:99999",
        "host/path",
        "https://h?x=1",
        "https://h#x",
        "https://a b",
        "http:/127.0.0.1",
        "h:",
    ],
)
def test_a_malformed_endpoint_is_an_error(text):
    (error,) = parse(endpoint=text)[1]
    assert error.startswith(f"endpoint: '{text}' is not an endpoint")


@pytest.mark.parametrize(
    "text",
    [
        "https://user:hunter2@host",
        "user:hunter2@host",
        "https://user:hunter2@host:99999",
        "https://user:hunter2@host:port",
        "https://user:hunter2@[host",
    ],
)
def test_a_password_in_the_endpoint_is_not_shown(text):
    (error,) = parse(endpoint=text)[1]
    assert error.startswith("endpoint: ")
    assert "hunter2" not in error


@pytest.mark.parametrize(
    ("given", "environ", "endpoint", "sts"),
    [
        ({}, {}, None, "sts.aliyuncs.com"),
        ({"endpoint_type": "public"}, {"ALIBABA_CLOUD_ENDPOINT_TYPE": "vpc"}, None, "sts.aliyuncs.com"),
        ({"endpoint_type": "vpc"}, {}, "ecs-vpc.cn-hangzhou.aliyuncs.com", "sts-vpc.cn-hangzhou.aliyuncs.com"),
        ({}, {"ALIBABA_CLOUD_ENDPOINT_TYPE": "VPC"}, "ecs-vpc.cn-hangzhou.aliyuncs.com", "sts-vpc.cn-hangzhou.aliyuncs.com"),
        ({"endpoint_type": "vpc", "endpoint": "ecs.example.com"}, {}, "ecs.example.com", "sts-vpc.cn-hangzhou.aliyuncs.com"),
        ({}, {"ALIBABA_CLOUD_STS_REGION": "cn-beijing"}, None, "sts.cn-beijing.aliyuncs.com"),
        ({}, {"ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED": "True"}, None, "sts-vpc.cn-hangzhou.aliyuncs.com"),
        ({"sts_endpoint": "https://sts.example.com:8443"}, {"ALICLOUD_STS_ENDPOINT": "x"}, None, "sts.example.com:8443"),
    ],
)
def test_endpoints_by_type(given, environ, endpoint, sts):
    connection, _errors = parse(environ={**NO_HOME, **environ}, **given)
    assert (connection.endpoint, connection.transport.sts_endpoint) == (endpoint, sts)


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        ({"endpoint_type": "internal"}, {}, "endpoint_type: 'internal' is not an endpoint type"),
        ({"sts_endpoint": "http://127.0.0.1"}, {}, "sts_endpoint: 'http://127.0.0.1' would fetch a key without encryption"),
        ({"sts_endpoint": "sts/x"}, {}, "sts_endpoint: 'sts/x' is not an endpoint"),
        ({}, {"ALIBABA_CLOUD_STS_REGION": "x.evil.example/"}, "ALIBABA_CLOUD_STS_REGION: 'x.evil.example/' is not a region"),
        ({"account_id": "me"}, {}, "account_id: 'me' is not an account id"),
        ({}, {"ALICLOUD_ACCOUNT_ID": "12"}, "ALICLOUD_ACCOUNT_ID: '12' is not an account id"),
        ({"ca_bundle": "/nonexistent"}, {}, "ca_bundle: '/nonexistent' cannot be read"),
        ({"ca_bundle": __file__}, {}, "has no certificate"),
        ({"connect_timeout": 0}, {}, "connect_timeout: 0 is too small"),
        ({"read_timeout": -1}, {}, "read_timeout: -1 is too small"),
        ({"connect_timeout": 10**10}, {}, "connect_timeout: 10000000000 is too large; it must be 3600 or less"),
        ({"read_timeout": 3601}, {}, "read_timeout: 3601 is too large; it must be 3600 or less"),
        ({"retry_timeout": 10**400}, {}, "… (401 digits) is too large; it must be 2147483647 or less"),
        ({"calls_per_minute": 10**400}, {}, "… (401 digits) is too large; it must be 2147483647 or less"),
        ({"max_concurrency": 65}, {}, "max_concurrency: 65 is too large; it must be 64 or less"),
    ],
)
def test_errors_of_connection_options(given, environ, expected):
    (error,) = parse(environ={**NO_HOME, **environ}, **given)[1]
    assert expected in error


# proxies


@pytest.mark.parametrize(
    ("environ", "host", "proxy"),
    [
        ({}, "ecs.cn-hangzhou.aliyuncs.com", None),
        ({"HTTPS_PROXY": "http://p:1"}, "ecs.cn-hangzhou.aliyuncs.com", "http://p:1"),
        ({"https_proxy": "http://p:1", "HTTP_PROXY": "http://q:1"}, "ecs.cn-hangzhou.aliyuncs.com", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com,.aliyuncs.com"}, "ecs.cn-hangzhou.aliyuncs.com", None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "sts.aliyuncs.com"}, "ecs.cn-hangzhou.aliyuncs.com", "http://p:1"),
        # As in requests: the lower case comes first.
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "sts.aliyuncs.com", "NO_PROXY": "*"}, "ecs.cn-hangzhou.aliyuncs.com", "http://p:1"),
    ],
)
def test_hosts_that_are_called_through_the_proxy(environ, host, proxy):
    assert parse(environ={**NO_HOME, **environ})[0].transport.proxy_for(host) == proxy


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_a_proxy_of_another_kind_is_an_error_before_any_request(variable):
    (error,) = parse(environ={**NO_HOME, variable: "socks5://me:hunter2@p:1"})[1]
    assert error == f"{variable}: a proxy with socks5:// is not supported; set one such as http://proxy.example.com:8080"
    for unused in ({"endpoint": "http://127.0.0.1:1"}, {"endpoint": "ecs.example.com"}):
        assert parse(environ={**NO_HOME, variable: "socks5://p:1", "NO_PROXY": "example.com"}, **unused)[0]


def test_a_host_label_names_the_proxy():
    transport = parse(environ={**NO_HOME, "HTTPS_PROXY": "http://me:hunter2@p:1", "NO_PROXY": "sts.aliyuncs.com"})[0].transport
    assert transport.host_label("ecs.aliyuncs.com") == "ecs.aliyuncs.com (through the proxy p:1)"
    assert transport.host_label("sts.aliyuncs.com") == "sts.aliyuncs.com"


@pytest.mark.parametrize(
    ("option", "variable", "allowed"), [(None, "", True), (None, "TRUE", False), (True, "", False), (False, "true", True)]
)
def test_the_older_metadata_service_can_be_turned_off(option, variable, allowed):
    connection, _errors = parse(environ={**NO_HOME, "ALIBABA_CLOUD_IMDSV1_DISABLED": variable}, disable_imds_v1=option)
    assert connection.transport.imds_v1 is allowed


# all at once


def test_every_error_is_reported():
    _connection, errors = parse(region="?", endpoint="ftp://h", access_key_id="", retry_timeout=-1, max_concurrency=0, calls_per_minute=-1)
    assert sorted(error.partition(":")[0] for error in errors) == [
        "access_key_id",
        "calls_per_minute",
        "endpoint",
        "max_concurrency",
        "region",
        "retry_timeout",
    ]


@pytest.mark.parametrize("blank", ["", " "])
def test_an_account_id_that_is_blank_is_an_error_because_it_is_a_guard(blank):
    for environ in ({}, {"ALIBABA_CLOUD_ACCOUNT_ID": "1000000000000001"}):
        (error,) = parse(environ={**NO_HOME, **environ}, account_id=blank)[1]
        assert error.startswith("account_id: is empty text, so this guard would have no effect")


@pytest.mark.parametrize("variable", ["ALIBABA_CLOUD_ACCOUNT_ID", "ALICLOUD_ACCOUNT_ID"])
def test_an_account_variable_that_is_blank_is_not_set(variable):
    assert parse(environ={**NO_HOME, variable: " "})[0].account_id is None
    assert parse(environ={**NO_HOME, variable: "1000000000000001"})[0].account_id == "1000000000000001"


def test_the_limits_of_each_range_are_allowed():
    for connect, read, concurrency in ((1, 3600, 64), (3600, 1, 1)):
        assert parse(connect_timeout=connect, read_timeout=read, max_concurrency=concurrency)[1] == []


def test_zero_means_no_retry_and_no_pace():
    connection, _errors = parse(retry_timeout=0, calls_per_minute=0)
    assert (connection.retry_timeout, connection.calls_per_minute) == (0, 0)
