# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be seen of ``_ecs`` without an endpoint. All else of it is tested over real HTTP, in tests/integration."""

from __future__ import annotations

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import INTERRUPTED, UNREADABLE_REPLY, EcsError
from ansible_collections.alicloud_ops.network.plugins.module_utils._pacing import Pacer


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
    ecs._send = lambda action, parameters: {**reply, "RequestId": "R-1"}
    with pytest.raises(EcsError) as caught:
        list(ecs._rows("DescribeRows", {}, "Rows", "Row"))
    assert (caught.value.code, caught.value.request_id) == (UNREADABLE_REPLY, "R-1")


@pytest.mark.parametrize("check", [None, lambda: None], ids=["read", "write"])
def test_once_stopped_no_call_is_sent(check):
    ecs = Ecs.__new__(Ecs)
    ecs._pacer = Pacer(0, 8)
    ecs._send_once = pytest.fail
    ecs.stop()
    with pytest.raises(EcsError) as caught:
        ecs._send("DescribeRows", {}, check)
    assert (caught.value.code, caught.value.unsent, caught.value.may_have_been_carried_out) == (INTERRUPTED, True, False)
