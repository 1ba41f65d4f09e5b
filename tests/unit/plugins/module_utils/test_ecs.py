# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be seen of ``_ecs`` without an endpoint. All else of it is tested over real HTTP, in tests/integration."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.runtime import RuntimeOptions

from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import (
    INTERRUPTED,
    UNREADABLE_REPLY,
    Ecs,
    EcsError,
    _with_raw_replies,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._pacing import Pacer


def test_the_reply_is_kept_as_it_came_and_no_model_is_made_of_it(monkeypatch):
    body = {"RequestId": "R-1", "NetworkInterfaceSets": {"NetworkInterfaceSet": [{"NetworkInterfaceId": "eni-1"}]}}
    monkeypatch.setattr(Client, "call_api", lambda client, *arguments: {"statusCode": 200, "headers": {}, "body": body})
    replies = threading.local()
    client = _with_raw_replies(Client, replies)(Config(access_key_id="id", access_key_secret="secret", endpoint="127.0.0.1:1"))
    response = client.describe_network_interfaces_with_options(models.DescribeNetworkInterfacesRequest(region_id="cn-x"), RuntimeOptions())
    assert (response.status_code, response.body, replies.body) == (200, None, body)


@pytest.mark.parametrize(
    "reply",
    [
        {"Rows": {"Row": [None]}},
        {"Rows": {"Row": [{}, ["eni-1"]]}},
        {"Rows": {"Row": ["eni-1"]}},
        {"Rows": {"Row": [{}]}, "NextToken": ["more"]},
        {"Rows": {"Row": [{}]}, "NextToken": {}},
    ],
)
def test_rows_that_are_no_records_and_a_token_that_is_no_text_are_an_error(reply):
    ecs = Ecs.__new__(Ecs)
    ecs._send = lambda action, request: {**reply, "RequestId": "R-1"}
    with pytest.raises(EcsError) as caught:
        list(ecs._rows("DescribeRows", SimpleNamespace(), "Rows", "Row"))
    assert (caught.value.code, caught.value.request_id) == (UNREADABLE_REPLY, "R-1")


@pytest.mark.parametrize("not_after", [None, float("inf")], ids=["read", "write"])
def test_once_stopped_no_call_is_sent(not_after):
    ecs = Ecs.__new__(Ecs)
    ecs._pacer = Pacer(0, 8)
    ecs._send_once = pytest.fail
    ecs.stop()
    with pytest.raises(EcsError) as caught:
        ecs._send("DescribeRows", SimpleNamespace(), not_after)
    assert (caught.value.code, caught.value.unsent, caught.value.uncertain) == (INTERRUPTED, True, False)
