# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The meaning of a failed call: error codes, transient errors, and calls that were certainly not carried out.

Private to this collection. Only code and HTTP status decide, never the text of a message.
"""

from __future__ import annotations

import re

SDK_PACKAGE = "alibabacloud-ecs20140526"  # the Python package that is missing with SdkMissing

# Codes of this collection, for failures without a code of the service.
CONNECTION_FAILED = "ConnectionFailed"  # there was no reply
REDIRECTED = "Redirected"  # the reply was a redirect, which is never followed
UNREADABLE_REPLY = "UnreadableReply"  # the reply does not have the documented form
NO_ERROR_CODE = "NoErrorCode"  # the reply was a readable error without a code
INVALID_CREDENTIALS = "InvalidCredentials"  # no credential could be obtained
INTERRUPTED = "Interrupted"  # the task ended before the call was sent
CALLER_GONE = "CallerGone"  # the process that waits for the result has ended, so the call was not sent
OWN_CODES = frozenset({CONNECTION_FAILED, REDIRECTED, UNREADABLE_REPLY, NO_ERROR_CODE, INVALID_CREDENTIALS, INTERRUPTED, CALLER_GONE})

# Codes of this collection, for the outcome of reads.
NOT_VERIFIED = "NotVerified"  # the write was sent, and no read has shown the outcome
ENI_NOT_RETURNED = "EniNotReturned"  # this run has read the ENI before, and the service no longer lists it
NO_LONGER_LISTED = "the service no longer lists the ENI"  # text for this code
INSTANCE_WITHOUT_ENI = "InstanceWithoutEni"  # the record of the instance has no primary ENI
REFUSED = "Refused"  # a read right before the write shows that a guard now forbids it
PLAN_AGED = "PlanAged"  # because of pacing or throttling, no call could be sent while the plan was fresh
NO_THREADS = "NoThreads"  # the machine cannot start the writer threads
UNEXPECTED = "Unexpected"  # a defect of this collection

# Codes of the service. Throttling comes with HTTP status 400, 403 and 429, so the code decides.
THROTTLED = re.compile(r"Throttling|Rejected\.Throttling")
CONFLICT = re.compile(r"Operation\.?Conflict|InvalidOperation\.Conflict")
IN_PROGRESS = re.compile(r"IdempotentProcessing")
NONCE_USED = re.compile(r"SignatureNonceUsed")  # a repeated request has a new nonce
# A request with this nonce or this client token has arrived before, and may have been carried out.
ARRIVED_EARLIER = re.compile(r"SignatureNonceUsed|Idempotent")
# After a read that shows no change, the call needs a new client token.
TOKEN_USED_UP = re.compile(r"Idempotent(Failed|ParameterMismatch)")
# The state of the ENI or the instance has changed since the plan was made.
STATE_CHANGED = re.compile(r"InvalidOperation\.InvalidE(ni|cs)State")
ENI_NOT_FOUND = "InvalidEniId.NotFound"
# The call was refused because of one or more of its addresses. The API documents InvalidParameter for too many addresses.
ADDRESS_REFUSED = re.compile(r"InvalidIp\.|InvalidPrivateIpAddress\.|InvalidVSwitchId\.IpInvalid|InvalidParameter($|\.Conflict)")
# The service says that the address is not assigned to this ENI. If a read still shows it, the read may lag.
ALREADY_ABSENT = re.compile(r"InvalidIp\.(IpUnassigned|IpPrefixIllegal)")
DENIED = re.compile(r"Forbidden\.RAM|Forbidden\.SubUser|NoPermission|Forbidden$")
BAD_CREDENTIAL = re.compile(r"InvalidAccessKeyId|InvalidSecurityToken|MissingSecurityToken|SignatureDoesNotMatch|InvalidCredentials")

TRANSIENT_STATUS = (408, 429)  # and every 5xx


class SdkMissing(Exception):
    """The SDK cannot be imported into the Python that runs the module."""


class PlanAged(Exception):
    """The call was not sent, because its plan became too old while the call waited. ``refusal``: why the service refused an earlier
    attempt of the same call, if there was one."""

    def __init__(self, refusal: EcsError | None = None) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class EcsError(Exception):
    """A call that failed.

    ``status`` is the HTTP status, None if there was no reply. ``unsent``: no part of the request can have reached the host.
    ``retry_after``: seconds to wait before the next attempt, as the service asks.
    """

    def __init__(
        self,
        action: str,
        code: str,
        message: str,
        request_id: str | None = None,
        *,
        status: int | None = None,
        unsent: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(action, code, message, request_id)
        self.action = action
        self.code = code
        self.message = f"{message} (grant the RAM action ecs:{action})" if DENIED.match(code) else message
        self.request_id = request_id
        self.status = status
        self.unsent = unsent
        self.retry_after = retry_after

    def __str__(self) -> str:
        request_id = f" [request id {self.request_id}]" if self.request_id else ""
        return f"{self.action} failed with {self.code}: {self.message}{request_id}"

    @property
    def is_throttled(self) -> bool:
        return bool(THROTTLED.match(self.code))

    @property
    def is_unanswered(self) -> bool:
        """Whether there was no reply that looks like the ECS API."""
        return self.request_id is None and self.code in (CONNECTION_FAILED, REDIRECTED, UNREADABLE_REPLY, NO_ERROR_CODE)

    @property
    def is_transient(self) -> bool:
        """Whether the same call may succeed a little later. This does not mean that it may be sent again."""
        if self.is_throttled or any(code.match(self.code) for code in (CONFLICT, IN_PROGRESS, NONCE_USED)):
            return True
        if self.code in (CONNECTION_FAILED, UNREADABLE_REPLY) or _is_server_error(self.status):
            return True
        return self.code == NO_ERROR_CODE and self.status in TRANSIENT_STATUS

    @property
    def certainly_not_carried_out(self) -> bool:
        """Whether the call changed nothing: it was not sent, or the service refused it with a code."""
        if self.unsent:
            return True
        is_refused = self.status is not None and 400 <= self.status < 500 and self.code not in OWN_CODES
        return is_refused and not ARRIVED_EARLIER.match(self.code)

    @property
    def may_have_been_carried_out(self) -> bool:
        return not self.certainly_not_carried_out


def _is_server_error(status: int | None) -> bool:
    return status is not None and status >= 500


def as_defect(error: BaseException) -> EcsError:
    """Any exception as the reason why a run ended. An unexpected exception is a defect; only its type is shown, because its text may
    have secrets."""
    return error if isinstance(error, EcsError) else EcsError("The module", UNEXPECTED, f"{type(error).__name__}; please report it")
