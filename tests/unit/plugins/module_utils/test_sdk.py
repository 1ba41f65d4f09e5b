# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be seen of ``_sdk`` without an endpoint. All else of it is tested over real HTTP, in tests/integration."""

from __future__ import annotations

import threading

from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.runtime import RuntimeOptions

from ansible_collections.alicloud_ops.network.plugins.module_utils._sdk import _with_raw_replies


def test_the_reply_is_kept_as_it_came_and_no_model_is_made_of_it(monkeypatch):
    body = {"RequestId": "R-1", "NetworkInterfaceSets": {"NetworkInterfaceSet": [{"NetworkInterfaceId": "eni-1"}]}}
    monkeypatch.setattr(Client, "call_api", lambda client, *arguments: {"statusCode": 200, "headers": {}, "body": body})
    replies = threading.local()
    client = _with_raw_replies(Client, replies)(Config(access_key_id="id", access_key_secret="secret", endpoint="127.0.0.1:1"))
    response = client.describe_network_interfaces_with_options(models.DescribeNetworkInterfacesRequest(region_id="cn-x"), RuntimeOptions())
    assert (response.status_code, response.body, replies.body) == (200, None, body)
