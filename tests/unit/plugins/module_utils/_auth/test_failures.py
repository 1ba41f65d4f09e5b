# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A failed login is explained by the reply, whatever the library says in its exceptions."""

from __future__ import annotations

import time

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.access_key import ACCESS_KEY
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.external import EXTERNAL
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.failures import explain_failure
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import forget_last
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.sessions import send

EARLIER, LATER = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds)) for seconds in (-60, 86400))


def explain(answer, text="not-shown", method=ACCESS_KEY):
    forget_last()
    try:
        send("https://sts.aliyuncs.com/?Signature=not-shown", answer)
    except Exception as error:
        failure = error
    else:
        failure = ValueError(text)
    expected = explain_failure(method, "AssumeRole at sts.aliyuncs.com", failure)
    assert "not-shown" not in expected
    return expected.removeprefix("AssumeRole at sts.aliyuncs.com")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            (403, {"RequestId": "R-1", "Code": "NoPermission", "Message": "not-shown"}),
            " refused with NoPermission (HTTP status 403); the caller needs the RAM action sts:AssumeRole, and the role must trust the "
            "caller [request id R-1]",
        ),
        (
            (400, {"Code": "SignatureDoesNotMatch", "RequestId": "R-2"}),
            " refused with SignatureDoesNotMatch (HTTP status 400); the secret does not belong to this access_key_id [request id R-2]",
        ),
        ((404, "not-shown"), " refused with HTTP status 404"),
        ((404, ["not-shown"]), " refused with HTTP status 404"),
        ((500, {"Code": "<b>not-shown</b>", "RequestId": {"not-shown": 1}}), " refused with HTTP status 500"),
        ((200, {"Credentials": {"Expiration": EARLIER, "AccessKeySecret": "not-shown"}}), " returned a key that has already expired"),
        ((200, {"Code": "Success", "Expiration": EARLIER}), " returned a key that has already expired"),
        ((200, {"Credentials": {"Expiration": LATER}}), " did not return a key (ValueError)"),
        ((200, {"Expiration": "not-shown"}), " did not return a key (ValueError)"),
        ((200, {}), " did not return a key (ValueError)"),
        ((200, "not-shown"), " did not return a key (ValueError)"),
        (ConnectionRefusedError(), ": connection refused"),
    ],
)
def test_by_the_reply(answer, expected):
    assert explain(answer) == expected


@pytest.mark.parametrize("text", ["No cached value was found.", "command failed", "http_code: 403", '"Code": "NoPermission"', "refused"])
def test_words_of_an_exception_decide_nothing(text):
    """The words may come from a host name, from a file or from a reply."""
    assert explain((200, {"RequestId": "R-1"}), text) == " did not return a key (ValueError)"


def test_a_command_sends_nothing():
    forget_last()
    assert (
        explain_failure(EXTERNAL, "the process_command", OSError("not-shown"))
        == "the process_command failed, or did not print a key (OSError)"
    )


def test_an_earlier_request_does_not_matter():
    send("https://sts.aliyuncs.com/", (403, {"Code": "NoPermission"}))
    forget_last()
    assert explain_failure(ACCESS_KEY, "nobody", ValueError()) == "nobody did not return a key (ValueError)"
