# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import pwd

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._options import connection_spec, parse_connection

KEYS = {"access_key_id": "LTAIexample", "access_key_secret": "not-a-real-secret"}
NO_HOME = {"HOME": "/nonexistent"}


def parse(environ=NO_HOME, **given):
    options = {name: option.get("default") for name, option in connection_spec().items()}
    mistakes = []
    connection = parse_connection({**options, "region": "cn-hangzhou", **KEYS, **given}, environ, mistakes)
    assert (connection is None) == bool(mistakes)
    return connection, mistakes


def profile_home(path, config):
    (path / ".aliyun").mkdir()
    (path / ".aliyun" / "config.json").write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    return {"HOME": str(path)}


def test_the_plain_case():
    connection, _ = parse()
    assert (connection.region, connection.protocol, connection.endpoint) == ("cn-hangzhou", "https", None)
    assert (connection.retry_timeout, connection.max_concurrency, connection.calls_per_minute) == (120, 8, 300)


def test_the_spec_leaves_blanks_to_the_one_validator():
    for option in connection_spec().values():
        assert not {"required", "choices", "required_if", "required_together"} & option.keys()


def test_secrets_are_never_logged():
    spec = connection_spec()
    assert {name for name, option in spec.items() if option.get("no_log")} == {"access_key_secret", "security_token"}


# region


@pytest.mark.parametrize(
    ("option", "environ", "expected"),
    [
        ("cn-beijing", {"ALIBABA_CLOUD_REGION_ID": "cn-shanghai", "ALICLOUD_REGION": "eu-west-1"}, "cn-beijing"),
        ("", {"ALIBABA_CLOUD_REGION_ID": "cn-shanghai", "ALICLOUD_REGION": "eu-west-1"}, "cn-shanghai"),
        (None, {"ALIBABA_CLOUD_REGION_ID": " ", "ALICLOUD_REGION": "eu-west-1"}, "eu-west-1"),
        (None, {}, "me-central-1"),
    ],
)
def test_region_comes_from_option_then_environment_then_profile(tmp_path, option, environ, expected):
    home = profile_home(tmp_path, {"current": "default", "profiles": [{"name": "default", "region_id": "me-central-1"}]})
    assert parse(environ={**home, **environ}, region=option)[0].region == expected


def test_the_profile_can_be_chosen_and_disabled(tmp_path):
    profiles = [{"name": "default", "region_id": "cn-hangzhou"}, {"name": "other", "region_id": "cn-beijing"}]
    home = profile_home(tmp_path, {"current": "default", "profiles": profiles})
    assert parse(environ={**home, "ALIBABA_CLOUD_PROFILE": "other"}, region=None)[0].region == "cn-beijing"
    assert parse(environ={**home, "ALIBABA_CLOUD_PROFILE": "none of them"}, region=None)[0] is None
    assert parse(environ={**home, "ALIBABA_CLOUD_CLI_PROFILE_DISABLED": "TRUE"}, region=None)[0] is None


@pytest.mark.parametrize(
    "config",
    ["", "{", "[]", "null", '{"profiles": null}', '{"current": "a", "profiles": ["a"]}', '{"current": "a", "profiles": [{"name": "a"}]}'],
)
def test_a_profile_that_tells_no_region_is_no_region(tmp_path, config):
    (mistake,) = parse(environ=profile_home(tmp_path, config), region=None)[1]
    assert mistake.startswith("region: no region is given")


def test_a_user_without_a_home_has_no_profile(monkeypatch):
    """As in a container that runs with an arbitrary user id."""

    def no_such_user(_uid):
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_such_user)
    (mistake,) = parse(environ={}, region=None)[1]
    assert mistake.startswith("region: no region is given")


@pytest.mark.parametrize(
    "region", ["cn-hangzhou.evil.example", "cn-hangzhou/", "cn hangzhou", "CN-HANGZHOU", "cn", "@cn-hangzhou", "cn-hangzhou#"]
)
def test_a_region_that_could_bend_the_host_name_is_a_mistake(region):
    (mistake,) = parse(region=region)[1]
    assert mistake.startswith(f"region: '{region}'")
    (mistake,) = parse(environ={**NO_HOME, "ALICLOUD_REGION": region}, region=None)[1]
    assert mistake.startswith(f"ALICLOUD_REGION: '{region}'")


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
def test_signed_calls_go_in_the_clear_to_loopback_only(host):
    (mistake,) = parse(endpoint=f"http://{host}")[1]
    assert "in the clear" in mistake


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
def test_a_malformed_endpoint_is_a_mistake(text):
    (mistake,) = parse(endpoint=text)[1]
    assert mistake.startswith(f"endpoint: '{text}' is not an endpoint")


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
def test_a_password_in_the_endpoint_is_not_repeated(text):
    (mistake,) = parse(endpoint=text)[1]
    assert mistake.startswith("endpoint: ")
    assert "hunter2" not in mistake


# all at once


def test_every_mistake_is_reported():
    _, mistakes = parse(region="?", endpoint="ftp://h", access_key_id="", retry_timeout=-1, max_concurrency=0, calls_per_minute=-1)
    assert sorted(mistake.partition(":")[0] for mistake in mistakes) == [
        "access_key_id",
        "calls_per_minute",
        "endpoint",
        "max_concurrency",
        "region",
        "retry_timeout",
    ]


def test_zero_means_no_retry_and_no_pace_of_our_own():
    connection, _ = parse(retry_timeout=0, calls_per_minute=0)
    assert (connection.retry_timeout, connection.calls_per_minute) == (0, 0)
