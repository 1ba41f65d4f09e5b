# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import (
    CONNECTION_FAILED,
    INTERRUPTED,
    INVALID_CREDENTIALS,
    NO_ERROR_CODE,
    OWN_CODES,
    REDIRECTED,
    UNREADABLE_REPLY,
    EcsError,
)


def failed(code, status=None, **more):
    return EcsError("UnassignPrivateIpAddresses", code, "", more.pop("request_id", "R-1"), status=status, **more)


# Code, status; whether it may succeed a little later; whether it was certainly not carried out.
CASES = [
    # The service refused it by a code.
    ("InvalidIp.IpUnassigned", 403, False, True),
    ("InvalidEniId.NotFound", 404, False, True),
    ("Forbidden.RAM", 403, False, True),
    ("Throttling", 400, True, True),
    ("Throttling.User", 429, True, True),
    ("Rejected.Throttling", 403, True, True),
    ("Operation.Conflict", 403, True, True),
    ("OperationConflict", 400, True, True),
    ("InvalidOperation.Conflict", 409, True, True),
    ("InternalError", 400, False, True),
    ("RequestTimeout", 408, False, True),
    ("TooManyRequests", 429, False, True),
    # The code says that the request arrived earlier.
    ("SignatureNonceUsed", 400, True, False),
    ("IdempotentProcessing", 403, True, False),
    ("IdempotentFailed", 400, False, False),
    ("IdempotentParameterMismatch", 400, False, False),
    # Every 5xx, whatever its code.
    ("InternalError", 500, True, False),
    ("ServiceUnavailable", 503, True, False),
    ("ServiceTimeout", 504, True, False),
    ("InvalidOperation.RegionNotSupportIpPrefix", 500, True, False),
    ("Throttling", 503, True, False),
    # No code.
    (NO_ERROR_CODE, 400, False, False),
    (NO_ERROR_CODE, 404, False, False),
    (NO_ERROR_CODE, 408, True, False),
    (NO_ERROR_CODE, 429, True, False),
    (NO_ERROR_CODE, 502, True, False),
    (UNREADABLE_REPLY, 200, True, False),
    (UNREADABLE_REPLY, 403, True, False),
    (UNREADABLE_REPLY, 503, True, False),
    # No reply.
    (CONNECTION_FAILED, None, True, False),
    (REDIRECTED, 302, False, False),
    # A code without a status, or with a status of success, is not a refusal.
    ("InvalidIp.IpUnassigned", 200, False, False),
    ("InvalidIp.IpUnassigned", None, False, False),
]


@pytest.mark.parametrize(("code", "status", "transient", "not_carried_out"), CASES, ids=str)
def test_the_meaning_of_code_and_status(code, status, transient, not_carried_out):
    error = failed(code, status)
    assert (error.is_transient, error.certainly_not_carried_out) == (transient, not_carried_out)
    assert error.may_have_been_carried_out is not not_carried_out


@pytest.mark.parametrize("code", sorted(OWN_CODES))
def test_an_unsent_call_was_certainly_not_carried_out(code):
    assert failed(code, unsent=True).certainly_not_carried_out
    assert not failed(code, 403).certainly_not_carried_out, "this code is not a word of the service"


@pytest.mark.parametrize(
    ("code", "request_id", "unanswered"),
    [
        (CONNECTION_FAILED, None, True),
        (REDIRECTED, None, True),
        (UNREADABLE_REPLY, None, True),
        (NO_ERROR_CODE, None, True),
        (UNREADABLE_REPLY, "R-1", False),  # a reply of the service, in which a record cannot be read
        (INTERRUPTED, None, False),
        (INVALID_CREDENTIALS, None, False),
        ("Throttling", None, False),
        ("InternalError", "R-1", False),
    ],
)
def test_whether_the_service_answered(code, request_id, unanswered):
    assert failed(code, request_id=request_id).is_unanswered is unanswered


def test_a_denied_call_names_the_ram_action():
    assert EcsError("DescribeInstances", "Forbidden.RAM", "no").message == "no (grant the RAM action ecs:DescribeInstances)"
    assert EcsError("DescribeInstances", "Forbidden.RegionId", "no").message == "no"


def test_an_error_names_action_code_and_request_id():
    assert (
        str(EcsError("DescribeInstances", "Throttling", "slow", "R-1")) == "DescribeInstances failed with Throttling: slow [request id R-1]"
    )
