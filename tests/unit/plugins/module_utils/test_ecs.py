# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be seen of ``_ecs`` without an endpoint. All else of it is tested over real HTTP, in tests/integration."""

from __future__ import annotations

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils import _ecs
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


def test_a_row_knows_the_action_and_the_request_id_of_its_page():
    ecs = Ecs.__new__(Ecs)
    pages = [{"Rows": {"Row": [{"Id": 1}]}, "NextToken": "more", "RequestId": "R-1"}, {"Rows": {"Row": [{"Id": 2}]}, "RequestId": "R-2"}]
    asked = []
    ecs._send = lambda action, parameters: (asked.append(dict(parameters)), pages.pop(0))[1]
    rows = list(ecs._rows("DescribeRows", {"vpc_id": "vpc-1"}, "Rows", "Row"))
    assert [(row, row.action, row.request_id) for row in rows] == [({"Id": 1}, "DescribeRows", "R-1"), ({"Id": 2}, "DescribeRows", "R-2")]
    assert asked == [{"vpc_id": "vpc-1"}, {"vpc_id": "vpc-1", "next_token": "more"}]


@pytest.mark.parametrize("pages", [_ecs.MOST_PAGES - 1, _ecs.MOST_PAGES])
def test_a_list_whose_every_page_brings_a_new_token_ends(pages):
    ecs = Ecs.__new__(Ecs)
    sent = 0

    def send(action, parameters):
        nonlocal sent
        sent += 1
        return {"Rows": {"Row": [{}]}, "NextToken": str(sent) if sent < pages else "", "RequestId": f"R-{sent}"}

    ecs._send = send
    assert len(list(ecs._rows("DescribeRows", {}, "Rows", "Row"))) == pages

    pages = float("inf")
    sent = 0
    with pytest.raises(EcsError, match=f"the list has more than {_ecs.MOST_PAGES} pages") as caught:
        list(ecs._rows("DescribeRows", {}, "Rows", "Row"))
    assert (caught.value.action, caught.value.code, caught.value.request_id) == ("DescribeRows", UNREADABLE_REPLY, f"R-{_ecs.MOST_PAGES}")


def test_a_token_that_comes_twice_is_an_error():
    ecs = Ecs.__new__(Ecs)
    ecs._send = lambda action, parameters: {"Rows": {"Row": []}, "NextToken": "again", "RequestId": "R-1"}
    with pytest.raises(EcsError, match="a NextToken came twice"):
        list(ecs._rows("DescribeRows", {}, "Rows", "Row"))


@pytest.mark.parametrize("check", [None, lambda: None], ids=["read", "write"])
def test_once_stopped_no_call_is_sent(check):
    ecs = Ecs.__new__(Ecs)
    ecs._pacer = Pacer(0, 8)
    ecs._send_once = pytest.fail
    ecs.stop()
    with pytest.raises(EcsError) as caught:
        ecs._send("DescribeRows", {}, check)
    assert (caught.value.code, caught.value.unsent, caught.value.may_have_been_carried_out) == (INTERRUPTED, True, False)
