# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The refusals of the service: code, HTTP status and message text."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """The reply of the call is an error instead of a result."""

    def __init__(
        self, code: str, status: int, message: str, *, extra: dict[str, Any] | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.code = code
        self.status = status
        self.message = message
        self.extra = extra or {}
        self.retry_after = retry_after


# Where the current error tables only say "%s", the text is that of the 2018 tables, with straight quotes.
TEXTS: dict[str, tuple[int, str]] = {
    "DryRunOperation": (400, "Request validation has been passed with DryRun flag set."),
    "Forbidden.RAM": (403, "User not authorized to operate on the specified resource, or this API doesn't support RAM."),
    "Forbidden.SubUser": (403, "The specified action is not available for you."),
    "IdempotentFailed": (400, "The request uses the same client token as a previous, but non-identical request."),
    "IdempotentProcessing": (400, "The previous idempotent request(s) is still processing."),
    "IncompleteSignature": (400, "The request signature does not conform to Aliyun standards: {0}."),
    "InValidParameter.NextToken": (400, "The parameter NextToken is invalid."),
    "InternalError": (500, "The request processing has failed due to some unknown error."),
    "InvalidAccessKeyId.Inactive": (400, "Specified access key is disabled."),
    "InvalidAccessKeyId.NotFound": (404, "Specified access key is not found."),
    "InvalidAction.NotFound": (404, "Specified api is not found, please check your url and method."),
    "InvalidEniId.Malformed": (400, 'The specified parameter "EniId" is not valid.'),
    "InvalidEniId.NotFound": (404, 'The specified EniId "{0}" is not found.'),
    "InvalidIp.Address": (403, 'The specified IP "{0}" is not a valid IPv6 address.'),
    "InvalidIp.IpAssigned": (403, 'The specified IP "{0}" is already assigned.'),
    "InvalidIp.IpPrefixIllegal": (403, "The ip prefixes {0} is/are illegal."),
    "InvalidIp.IpPrefixMaskInvalid": (403, "The ip prefixes mask {0} is illegal which must be between {1} and {2}."),
    "InvalidIp.IpPrefixMaskNotSame": (403, "The ip prefixes {0} are illegal which mask must be same."),
    "InvalidIp.IpPrefixNotStrict": (403, "The ip prefix must be strict cidr format."),
    "InvalidIp.IpRepeated": (403, 'The specified IP "{0}" is repeated.'),
    "InvalidIp.IpUnassigned": (403, 'The specified IP "{0}" is not assigned on this ENI.'),
    "InvalidOperation.EniServiceManaged": (403, "The operation is invalid: the ENI is managed by a cloud service."),
    "InvalidOperation.InvalidEcsState": (
        400,
        'The operation is not allowed in the current ECS state. Expecting status is "{0}" while current status is "{1}".',
    ),
    "InvalidOperation.InvalidEniState": (
        400,
        'The operation is not allowed in the current ENI state. Expecting status is "{0}" while current status is "{1}".',
    ),
    "InvalidOperation.InvalidEniType": (403, "The operation is not allowed in the current ENI type."),
    "InvalidOperation.Ipv4CountExceeded": (403, "The number of private IPv4 addresses exceeds the limit of {0}."),
    "InvalidOperation.Ipv6CountExceeded": (403, "The number of IPv6 addresses exceeds the limit of {0}."),
    "InvalidOperation.Ipv6NotSupport": (403, "The instance type does not support IPv6."),
    "InvalidParameter": (400, 'The parameter(s) "{0}" provided is(are) invalid.'),
    "InvalidParameter.Conflict": (400, "The parameters {0} conflict."),
    "InvalidPrivateIpAddress.Malformed": (403, 'The specified private IP address "{0}" is malformed.'),
    "InvalidRegionId.MalFormed": (400, "The specified parameter RegionId is not valid."),
    "InvalidSecurityGroupId.Malformed": (400, "The specified parameter SecurityGroupId is not valid."),
    "InvalidSecurityToken.Expired": (400, "Specified SecurityToken is expired."),
    "InvalidSecurityToken.Malformed": (400, "Specified SecurityToken is malformed."),
    "InvalidSecurityToken.MismatchWithAccessKey": (400, "Specified SecurityToken mismatch with the AccessKey."),
    "InvalidTimeStamp.Expired": (400, "Specified time stamp or date value is expired."),
    "InvalidTimeStamp.Format": (400, "Specified time stamp or date value is not well formatted."),
    "InvalidVSwitch.Ipv6NotTurnOn": (403, "The VSwitch has not turned on IPv6."),
    "InvalidVSwitchId.IpInvalid": (403, 'The specified IpAddress "{0}" is not valid in VSwitch CIDR block "{1}".'),
    "InvalidVSwitchId.IpNotEnough": (403, 'The specified VSwitch "{0}" has not enough IpAddress.'),
    "InvalidVersion": (400, "Specified parameter Version is not valid."),
    "MissingParameter": (400, 'The input parameter "{0}" that is mandatory for processing this request is not supplied.'),
    "MissingParameter.RegionId": (400, "The input parameter RegionId that is mandatory for processing this request is not supplied."),
    "MissingSecurityToken": (400, "SecurityToken is mandatory for this action."),
    "NoPermission": (403, "You are not authorized to perform this action."),
    "NotSupported.PageNumberAndPageSize": (
        400,
        "The parameters PageNumber and PageSize are currently not supported, please use NextToken and MaxResults instead.",
    ),
    "Operation.Conflict": (403, "ecs task is conflicted."),
    "Rejected.Throttling": (400, "Request was denied due to request throttling."),
    "ServiceUnavailable": (503, "The request has failed due to a temporary failure of the server."),
    "SignatureDoesNotMatch": (400, "Specified signature is not matched with our calculation. server string to sign is:{0}"),
    "SignatureNonceUsed": (400, "Specified signature nonce was used already."),
    "Throttling": (400, "Request was denied due to request throttling."),
    "Throttling.Api": (400, "Request was denied due to user flow control."),
    "Throttling.User": (400, "Request was denied due to user flow control."),
    "UnsupportedHTTPMethod": (403, "This http method is not supported."),
}


def refusal(
    code: str, *values: object, status: int | None = None, extra: dict[str, Any] | None = None, retry_after: int | None = None
) -> Refusal:
    usual_status, text = TEXTS[code]
    return Refusal(code, status or usual_status, text.format(*values), extra=extra, retry_after=retry_after)


def earlier_request_failed() -> Refusal:
    """The second meaning of IdempotentFailed, with its own message."""
    return Refusal(
        "IdempotentFailed", 400, "The previous idempotent request(s) has failed due to some unknown error, exception or failure."
    )


def nothing_given(*names: str) -> Refusal:
    """The second form of MissingParameter, 403, with its own message."""
    return Refusal("MissingParameter", 403, f"These parameters {', '.join(names)} cannot be both empty.")
