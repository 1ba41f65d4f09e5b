# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One call by the real SDK, answered without a network. The same over real HTTP is in tests/integration."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
import requests
from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.runtime import RuntimeOptions

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.failures import CredentialError
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import (
    CONNECTION_FAILED,
    INVALID_CREDENTIALS,
    NO_ERROR_CODE,
    REDIRECTED,
    UNREADABLE_REPLY,
    EcsError,
    PlanAged,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._options import Connection
from ansible_collections.alicloud_ops.network.plugins.module_utils._sdk import Sdk, _with_raw_replies
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import Transport
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.sessions import Canned, send


def test_the_reply_is_raw_and_not_a_model(monkeypatch):
    body = {"RequestId": "R-1", "NetworkInterfaceSets": {"NetworkInterfaceSet": [{"NetworkInterfaceId": "eni-1"}]}}
    monkeypatch.setattr(Client, "call_api", lambda client, *arguments: {"statusCode": 200, "headers": {}, "body": body})
    replies = threading.local()
    client = _with_raw_replies(Client, replies)(Config(access_key_id="id", access_key_secret="secret", endpoint="127.0.0.1:1"))
    response = client.describe_network_interfaces_with_options(models.DescribeNetworkInterfacesRequest(region_id="cn-x"), RuntimeOptions())
    assert (response.status_code, response.body, replies.body) == (200, None, body)


class Key:
    """Serves a key, after the requests that it takes to get one."""

    source = "access_key from options"

    def __init__(self, *urls, failure=None):
        self.urls, self.failure = urls, failure

    def get_credential(self):
        for url in self.urls:
            send(url, (200, {}))
        if self.failure:
            raise self.failure
        get = SimpleNamespace(access_key_id="id", access_key_secret="not-shown-secret", security_token="not-shown-token")
        return SimpleNamespace(type="sts", provider_name="test", get_type=lambda: "sts", **vars(get))


ENDPOINT = "ecs.example.com:8443"
SET_BY = "; endpoint or ALIBABA_CLOUD_ECS_ENDPOINT sets this host"


@pytest.fixture
def call(monkeypatch):
    """Makes a call that is answered with ``answer``. Returns the reply, or the exception."""

    def call(answer, before_send=None, credential=None, headers=None):
        adapter = Canned(answer)

        def answered(_adapter, request, **how):
            response = adapter.send(request, **how)
            response.headers.update(headers or {})
            return response

        monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", answered)
        connection = Connection("cn-hangzhou", ENDPOINT, "https", credential or Key(), Transport())
        call.adapter = adapter
        try:
            return Sdk(connection).call("DescribeInstances", {"region_id": "cn-hangzhou", "max_results": 10}, before_send)
        except Exception as raised:
            error = raised
        assert (error.__cause__, error.__context__) == (None, None), "the SDK's exceptions hold the signed request"
        assert "not-shown" not in str(error)
        return error

    return call


def test_the_reply_is_a_dict_and_the_parameters_are_those_of_the_call(call):
    assert call((200, {"RequestId": "R-1", "New": [1]})) == {"RequestId": "R-1", "New": [1]}
    ((url, _proxies),) = call.adapter.sent
    assert url.startswith(f"https://{ENDPOINT}/?")
    assert {"RegionId=cn-hangzhou", "MaxResults=10"} == set(url.partition("?")[2].split("&"))


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [
        ((403, {"Code": "InvalidIp.IpUnassigned", "Message": "no", "RequestId": "R-1"}), "InvalidIp.IpUnassigned", 403),
        ((400, {"code": "Throttling.User", "RequestId": "R-1"}), "Throttling.User", 400),
        ((504, {"Code": "ServiceTimeout", "RequestId": "R-1"}), "ServiceTimeout", 504),
        ((404, {"error": "not-shown"}), NO_ERROR_CODE, 404),
        ((429, {}), NO_ERROR_CODE, 429),
        ((503, {"Message": "not-shown"}), NO_ERROR_CODE, 503),
        ((502, "<html>not-shown</html>"), UNREADABLE_REPLY, 502),
        ((403, "<html>not-shown</html>"), UNREADABLE_REPLY, 403),
        ((200, "<html>not-shown</html>"), UNREADABLE_REPLY, 200),
        ((200, ""), UNREADABLE_REPLY, 200),
        ((200, ["not-shown"]), UNREADABLE_REPLY, 200),
        ((200, None), UNREADABLE_REPLY, 200),
        ((200, {"no": "request id"}), UNREADABLE_REPLY, 200),
        ((302, ""), REDIRECTED, 302),
        (ConnectionResetError("not-shown"), CONNECTION_FAILED, None),
    ],
    ids=str,
)
def test_every_failure_is_one_error_with_code_and_status(call, answer, code, status):
    error = call(answer)
    assert (type(error), error.action, error.code, error.status, error.unsent) == (EcsError, "DescribeInstances", code, status, False)
    assert error.request_id == (answer[1].get("RequestId") if isinstance(answer, tuple) and isinstance(answer[1], dict) else None)


def test_a_connection_that_was_refused_sent_nothing(call):
    error = call(requests.ConnectionError(ConnectionRefusedError("not-shown")))
    assert (error.code, error.unsent, error.message) == (CONNECTION_FAILED, True, f"{ENDPOINT}: connection refused{SET_BY}")


def test_a_host_of_that_name_is_not_unknown(call):
    error = call(requests.ConnectionError(ConnectionResetError("resolver: name or service not known")))
    assert error.message == f"{ENDPOINT}: the connection was closed before the reply was complete{SET_BY}"


def test_retry_after_of_the_service(call):
    body = {"Code": "Throttling", "RequestId": "R-1"}
    assert call((400, body), headers={"x-acs-retry-after": "1500"}).retry_after == 1.5
    assert call((400, body)).retry_after is None


def test_the_message_of_a_refused_signature_does_not_show_the_signed_text(call):
    text = "Specified signature is not matched with our calculation. server string to sign is:POST&not-shown-token"
    error = call((400, {"Code": "SignatureDoesNotMatch", "Message": text, "RequestId": "R-1"}))
    assert error.message.endswith("calculation. (access_key from options: the secret does not belong to this access_key_id)")


def test_an_exception_that_cannot_be_explained_is_one_error_and_is_not_shown(call, monkeypatch):
    """Another version of the SDK may have other exceptions."""

    def explain(self, action, failure):
        raise TypeError(f"not-shown: {failure}")

    monkeypatch.setattr(Sdk, "_explain_refusal", explain)
    error = call((403, {"Code": "Throttling", "Message": "not-shown", "RequestId": "R-1"}))
    assert (type(error), error.action, error.code, error.status) == (EcsError, "DescribeInstances", UNREADABLE_REPLY, 403)


def test_a_login_that_fails_sent_nothing(call):
    error = call((200, {}), credential=Key(failure=CredentialError("no key")))
    assert (error.code, error.message, error.unsent, call.adapter.sent) == (INVALID_CREDENTIALS, "no key", True, [])


# The hook


def test_the_hook_comes_after_the_login_and_before_the_request(call):
    order = []
    key = Key("https://sts.aliyuncs.com/", "http://100.100.100.200/", "http://127.0.0.1:8080/")
    key.get_credential = lambda fetch=key.get_credential: (fetch(), order.append("key"))[0]
    reply = call((200, {"RequestId": "R-1"}), lambda: order.append(f"hook, {len(call.adapter.sent)} sent"), key)
    assert reply == {"RequestId": "R-1"}
    assert order == ["key", "hook, 0 sent"]


@pytest.mark.parametrize("raised", [PlanAged(), OSError("x"), EcsError("Write", "Interrupted", "x", unsent=True)], ids=repr)
def test_an_exception_of_the_hook_is_raised_and_nothing_is_sent(call, raised):
    def hook():
        raise raised

    assert call((200, {"RequestId": "R-1"}), hook) is raised
    assert call.adapter.sent == []
    assert call((200, {"RequestId": "R-1"})) == {"RequestId": "R-1"}, "the hook belongs to one call"
