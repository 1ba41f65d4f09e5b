# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The only file that imports the ECS SDK: calls, pages, retries, and every failure as one ``EcsError``.

Private to this collection. The SDK's credential library is used in ``_logins.py`` and ``_credentials.py``. What comes out
of here is plain records with the API's own names. The SDK's exceptions never leave this file: they carry signed headers,
URLs and tokens.
"""

from __future__ import annotations

import json
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import SimpleNamespace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import KIND_BY_NAME
from ansible_collections.alicloud_ops.network.plugins.module_utils._credentials import MISMATCH, CredentialError
from ansible_collections.alicloud_ops.network.plugins.module_utils._options import Connection
from ansible_collections.alicloud_ops.network.plugins.module_utils._pacing import Pacer, Stopwatch
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import (
    NOT_EVEN_CONNECTED,
    REDIRECTED,
    Transport,
    cause_of,
)

Record = Mapping[str, Any]  # a row of a reply, with the API's own names
Batch = TypeVar("Batch")
Found = TypeVar("Found")

SDK_PACKAGE = "alibabacloud-ecs20140526"

# The largest pages: more is clamped, fewer would cost calls (DescribeNetworkInterfaces, DescribeInstances).
INTERFACES_PER_PAGE = 500
INSTANCES_PER_PAGE = 100
GROUPS_PER_PAGE = 100
# Readers at once. A reply of a hundred ENIs takes more memory while it is read than all that is kept of it.
MOST_READERS = 4

# Codes of our own, for when the service gave none.
CONNECTION_FAILED = "ConnectionFailed"
UNREADABLE_REPLY = "UnreadableReply"
INTERRUPTED = "Interrupted"

# Decided by code, never by HTTP status: throttling has been seen with 400, 403 and 429.
THROTTLED = re.compile(r"Throttling|Rejected\.Throttling")
CONFLICT = re.compile(r"Operation\.?Conflict|InvalidOperation\.Conflict")
PASSING = re.compile(r"InternalError|ServiceUnavailable|UnknownError")
DENIED = re.compile(r"Forbidden\.RAM|Forbidden\.SubUser|NoPermission|Forbidden$")
BAD_CREDENTIAL = re.compile(r"InvalidAccessKeyId|InvalidSecurityToken|MissingSecurityToken|SignatureDoesNotMatch|InvalidCredentials")

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
# So a writer's turn comes within 7.5 s (15 s at the slowest pace that may be set), and mostly within the 15 s by which a plan is
# renewed before it has aged. Where it does not, for reads go between, the call is not sent: PlanAged.
CALLS_PER_MINUTE_FOR_A_WRITER = 8
# An endpoint that has never answered is more likely mistyped than busy: then trying ends sooner than retry_timeout.
FIRST_CONTACT_SECONDS = 8.0


class SdkMissing(Exception):
    """The SDK can't be imported into the Python that runs the module."""


class PlanAged(Exception):
    """The call was not sent, because what it was decided on had become too old while it waited."""


class EcsError(Exception):
    """A call that failed for good. ``uncertain``: it may have taken effect, and the reply does not tell. ``unsent``: it never
    left this machine. ``retry_after``: how long the service says to hold back, in seconds."""

    def __init__(
        self,
        action: str,
        code: str,
        message: str,
        request_id: str | None = None,
        *,
        uncertain: bool = False,
        unsent: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(action, code, message, request_id)
        self.action = action
        self.code = code
        self.message = f"{message} (the RAM action it takes is ecs:{action})" if DENIED.match(code) else message
        self.request_id = request_id
        self.uncertain = uncertain
        self.unsent = unsent
        self.retry_after = retry_after

    def __str__(self) -> str:
        request_id = f" [request id {self.request_id}]" if self.request_id else ""
        return f"{self.action} failed with {self.code}: {self.message}{request_id}"

    @property
    def throttled(self) -> bool:
        return bool(THROTTLED.match(self.code))

    def may_be_sent_again(self, is_write: bool) -> bool:
        """A read is simply sent again; a write only when it surely was not carried out."""
        if self.throttled or self.unsent or CONFLICT.match(self.code):
            return True
        return not is_write and self.uncertain


class Ecs:
    """The ECS API of one region, safe to share between threads once the first call has returned."""

    def __init__(self, connection: Connection) -> None:
        self._sdk = _import_sdk()
        self._connection = connection
        self._pacer = Pacer(connection.calls_per_minute, connection.max_concurrency)
        self._count = threading.Lock()
        self.api_calls = 0
        self._answered_at: float | None = None
        self._may_read_instances = False
        _mute_sdk()
        _guard_sessions(self._sdk.cores, connection.transport)
        self._replies = threading.local()
        self._client = _with_raw_replies(self._sdk.Client, self._replies)(
            self._sdk.Config(
                credential=connection.credential,
                region_id=connection.region,
                endpoint=connection.endpoint,
                protocol=connection.protocol,
                user_agent="alicloud_ops.network",
            )
        )
        # One runtime for all calls: the SDK keeps its connection pool by this number.
        transport = connection.transport
        self._runtime = self._sdk.RuntimeOptions(
            max_idle_conns=max(40, connection.max_concurrency),
            connect_timeout=1000 * transport.connect_timeout,
            read_timeout=1000 * transport.read_timeout,
            ca=transport.ca_bundle,
        )

    def stop(self) -> None:
        """Nothing is sent any more, not even what waits for its turn: it fails as Interrupted."""
        self._pacer.stop()

    def stopwatch(self) -> Stopwatch:
        """Started now; stands still while pacing or throttling holds back this thread's calls."""
        return Stopwatch(self._pacer)

    @property
    def retry_timeout(self) -> float:
        return self._connection.retry_timeout

    def ends_all(self, error: EcsError) -> bool:
        """Whether no later call is likely to fare better: the credential no longer counts, or nothing answers any more."""
        silent = time.monotonic() - (self._answered_at or 0)
        unanswered = error.code in (CONNECTION_FAILED, UNREADABLE_REPLY) and (error.uncertain or error.unsent)
        return bool(BAD_CREDENTIAL.match(error.code)) or (unanswered and silent >= self.retry_timeout)

    @property
    def writers(self) -> int:
        """How many ENIs to write at once: no more than the pace can serve before their plans age."""
        pace, most = self._connection.calls_per_minute, self._connection.max_concurrency
        return max(min(most, pace // CALLS_PER_MINUTE_FOR_A_WRITER), 1) if pace else most

    def side_by_side(self, read: Callable[[Batch], Found], batches: Sequence[Batch]) -> list[Found]:
        """What ``read`` finds for each batch, in their order. The first goes alone, so that all share its connections."""
        found = [read(batch) for batch in batches[:1]]
        if len(batches) > 1:
            with ThreadPoolExecutor(min(self.writers, MOST_READERS, len(batches) - 1)) as pool:
                try:
                    timed = list(pool.map(lambda batch: (read(batch), self._pacer.waited), batches[1:]))
                except (KeyboardInterrupt, SystemExit):
                    self.stop()  # the pool waits for its threads, and they would wait for their turns
                    raise
            found += [one for one, _waited in timed]
            self._pacer.waited += max(waited for _one, waited in timed)
        return found

    @property
    def region(self) -> str:
        return self._connection.region

    def network_interfaces(self, **filters: Any) -> list[Record]:
        """All rows of DescribeNetworkInterfaces; filters by the SDK's names."""
        request = self._sdk.models.DescribeNetworkInterfacesRequest(region_id=self.region, max_results=INTERFACES_PER_PAGE, **filters)
        return list(self._rows("DescribeNetworkInterfaces", request, "NetworkInterfaceSets", "NetworkInterfaceSet"))

    def instances(self, *, instance_ids: Sequence[str] | None = None, **filters: Any) -> list[Record]:
        """All rows of DescribeInstances. Without permission the service answers an empty list: that is never taken for one."""
        request = self._sdk.models.DescribeInstancesRequest(region_id=self.region, max_results=INSTANCES_PER_PAGE, **filters)
        if instance_ids is not None:
            request.instance_ids = json.dumps(list(instance_ids))
        rows = list(self._rows("DescribeInstances", request, "Instances", "Instance"))
        if len(rows) < (1 if instance_ids is None else len(instance_ids)):
            self._prove_instances_are_readable()
        return rows

    def security_groups(self, *, security_group_ids: Sequence[str] | None = None, **filters: Any) -> list[Record]:
        """All rows of DescribeSecurityGroups; filters by the SDK's names."""
        request = self._sdk.models.DescribeSecurityGroupsRequest(region_id=self.region, max_results=GROUPS_PER_PAGE, **filters)
        if security_group_ids is not None:
            request.security_group_ids = json.dumps(list(security_group_ids))
        return list(self._rows("DescribeSecurityGroups", request, "SecurityGroups", "SecurityGroup"))

    def unassign(self, eni_id: str, kind: str, addresses: Sequence[str], *, not_after: float) -> None:
        """Take addresses of one kind off one ENI. ``not_after`` (``time.monotonic``): PlanAged instead of sending later."""
        called = KIND_BY_NAME[kind]
        self._write(f"Unassign{called.api_noun}", eni_id, {called.parameter: list(addresses)}, not_after)

    def assign(self, eni_id: str, kind: str, addresses: Sequence[str], *, client_token: str, not_after: float) -> None:
        """Give addresses of one kind to one ENI. The same ``client_token`` makes a second sending harmless."""
        called = KIND_BY_NAME[kind]
        self._write(f"Assign{called.api_noun}", eni_id, {called.parameter: list(addresses), "client_token": client_token}, not_after)

    def _write(self, action: str, eni_id: str, parameters: Mapping[str, Any], not_after: float) -> None:
        request_class = getattr(self._sdk.models, f"{action}Request")
        self._send(action, request_class(region_id=self.region, network_interface_id=eni_id, **parameters), not_after)

    def _prove_instances_are_readable(self) -> None:
        if self._may_read_instances:
            return
        try:
            self._send("DescribeInstances", self._sdk.models.DescribeInstancesRequest(region_id=self.region, dry_run=True))
        except EcsError as error:
            if error.code == "DryRunOperation":
                self._may_read_instances = True
                return
            raise
        raise EcsError(
            "DescribeInstances", UNREADABLE_REPLY, "DryRun=true was not answered with DryRunOperation, so an empty list proves nothing"
        )

    def _rows(self, action: str, request: Any, outer: str, inner: str) -> Iterator[Record]:
        tokens: set[str] = set()
        while True:
            reply = self._send(action, request)
            wrapper = reply.get(outer)
            rows = wrapper.get(inner) if isinstance(wrapper, dict) else None
            if not isinstance(rows, list):
                raise EcsError(action, UNREADABLE_REPLY, f"the reply has no {outer}.{inner}", reply.get("RequestId"))
            if not all(isinstance(row, dict) for row in rows):
                raise EcsError(action, UNREADABLE_REPLY, f"not all in its {outer}.{inner} are records", reply.get("RequestId"))
            yield from rows
            token = reply.get("NextToken")
            if token in (None, ""):
                return
            if not isinstance(token, str):
                raise EcsError(action, UNREADABLE_REPLY, "its NextToken is no text", reply.get("RequestId"))
            if token in tokens:
                raise EcsError(action, UNREADABLE_REPLY, "a NextToken came twice, so the list has no end", reply.get("RequestId"))
            tokens.add(token)
            request.next_token = token

    def _send(self, action: str, request: Any, not_after: float | None = None) -> dict[str, Any]:
        """One call, until it is answered or has failed for good. Returns the reply with the API's own names."""
        started: float | None = None
        pause = FIRST_PAUSE
        while True:
            if not self._pacer.admit():
                raise EcsError(action, INTERRUPTED, "not sent, because the task was interrupted", unsent=True)
            if not_after is not None and time.monotonic() > not_after:
                self._pacer.abandoned()
                raise PlanAged()
            started = started or time.monotonic()
            reply, error = self._send_once(action, request)
            if error is None:
                return reply
            patience = self.retry_timeout
            if self._answered_at is None:
                patience = min(patience, FIRST_CONTACT_SECONDS)
            left = started + patience - time.monotonic()
            if left <= 0 or not error.may_be_sent_again(is_write=not_after is not None):
                raise error
            if not error.throttled:  # a throttled call waits with all others, in admit()
                jitter = random.uniform(0.75, 1.25)  # noqa: S311 - spreads calls, keeps no secret
                time.sleep(min(pause * jitter, left))
                pause = min(pause * 2, LONGEST_PAUSE)

    def _send_once(self, action: str, request: Any) -> tuple[dict[str, Any], EcsError | None]:
        with self._count:
            self.api_calls += 1
        error: EcsError | None = None
        reply: dict[str, Any] = {}
        try:
            getattr(self._client, f"{_snake(action)}_with_options")(request, self._runtime)
            reply = self._replies.body
            if not isinstance(reply, dict) or not reply.get("RequestId"):
                error = EcsError(action, UNREADABLE_REPLY, "the reply is not of the shape that the API documents", uncertain=True)
        except Exception as failure:  # the SDK wraps whatever happens, its own errors included
            try:
                error = self._explain(action, failure)
            except Exception:  # a reply of a kind that nobody thought of; told without it, for what it may hold
                error = EcsError(action, UNREADABLE_REPLY, f"{self._place()} did not answer as the ECS API does", uncertain=True)
        finally:
            if error is not None and error.throttled:
                self._pacer.throttled(error.retry_after)
            else:
                self._pacer.passed()
        if error is None or error.code not in (CONNECTION_FAILED, UNREADABLE_REPLY):
            self._answered_at = time.monotonic()
        return reply, error

    def _explain(self, action: str, failure: Exception) -> EcsError:
        """What the SDK raised, as one of ours, without the request that it carries."""
        if isinstance(failure, self._sdk.AlibabaCloudException):
            data = failure.data if isinstance(failure.data, Mapping) else {}
            code = str(data.get("Code") or data.get("code") or "")
            retry_after = getattr(failure, "retry_after", None)
            if code:
                message = _without_string_to_sign(str(data.get("Message") or data.get("message") or ""))
                if BAD_CREDENTIAL.match(code):
                    hint = f": {MISMATCH}" if code.startswith("SignatureDoesNotMatch") else ""
                    message += f" ({self._connection.credential.source}{hint})"
                return EcsError(
                    action,
                    code,
                    message,
                    data.get("RequestId"),
                    uncertain=bool(PASSING.match(code)),
                    retry_after=retry_after / 1000 if retry_after else None,
                )
            if failure.code == "InvalidCredentials":
                return EcsError(action, failure.code, "the SDK was given no credential")
            status = failure.status_code or 0
            return EcsError(action, UNREADABLE_REPLY, f"HTTP status {status} and no error code", uncertain=status >= 500)
        inner = getattr(failure, "inner_exception", failure)
        if isinstance(inner, self._sdk.RetryError):
            cause = cause_of(inner.message)
            unsent = cause in NOT_EVEN_CONNECTED
            uncertain = not unsent and cause != REDIRECTED
            return EcsError(action, CONNECTION_FAILED, f"{self._place()}: {cause}", uncertain=uncertain, unsent=unsent)
        if isinstance(inner, CredentialError):
            return EcsError(action, "InvalidCredentials", str(inner))
        return EcsError(
            action, UNREADABLE_REPLY, f"{self._place()} did not answer as the ECS API does ({type(inner).__name__})", uncertain=True
        )

    def _place(self) -> str:
        endpoint = self._client._endpoint
        return self._connection.transport.place(endpoint) if self._connection.protocol == "https" else endpoint


def _import_sdk() -> SimpleNamespace:
    """Late, because it takes most of a second: bad input is told before it."""
    try:
        import darabonba.core
        import Tea.core
        from alibabacloud_ecs20140526 import models
        from alibabacloud_ecs20140526.client import Client
        from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
        from alibabacloud_tea_openapi.utils_models import Config
        from darabonba.exceptions import RetryError
        from darabonba.runtime import RuntimeOptions

        # What older ones lack: profiles that run a command, and sessions that _guard_sessions can guard.
        import_module("alibabacloud_credentials.provider.external")
        cores = ((darabonba.core, darabonba.core.DaraCore._sessions), (Tea.core, Tea.core.TeaCore._sessions))
    except (ImportError, AttributeError) as error:
        raise SdkMissing(f"{error}; requirements.txt of this collection says what is needed") from None
    return SimpleNamespace(
        AlibabaCloudException=AlibabaCloudException,
        Client=Client,
        Config=Config,
        RetryError=RetryError,
        RuntimeOptions=RuntimeOptions,
        cores=cores,
        models=models,
    )


def _with_raw_replies(client: type, replies: threading.local) -> type:
    """The typed client, keeping the reply as it came and making no models of it. Those drop without a word what does not fit
    them, and take an object for an empty list, where an ENI would look as if it held nothing and had no tags."""

    class Client(client):
        def call_api(self, *arguments: Any) -> dict[str, Any]:
            replies.body = None
            reply = super().call_api(*arguments)
            replies.body = reply.pop("body", None)
            return reply

    return Client


def _mute_sdk() -> None:
    """A failed login is logged with traceback and signed URL, and with DEBUG=sdk every request with its Authorization."""
    for name in ("darabonba-core", "alibabacloud-tea", "credentials"):
        logging.getLogger(name).disabled = True


def _guard_sessions(cores: Any, transport: Transport) -> None:
    """All that the SDK and its credential library send goes through sessions of these two cores. By themselves they follow a
    redirect with token and signature, into the clear as well, and believe what is answered there; and they ignore NO_PROXY.
    Plain HTTP is for loopback and for the metadata service only, so it never goes through a proxy."""
    import requests

    class Session(requests.Session):
        def send(self, request: Any, **how: Any) -> Any:
            self.max_redirects = 0
            url = urlsplit(request.url)
            proxy = transport.proxy_for(url.netloc) if url.scheme == "https" else None
            how["proxies"] = {"https": proxy} if proxy else {}
            return super().send(request, **how)

    for core, sessions in cores:
        core.Session = Session
        sessions.clear()


def _snake(action: str) -> str:
    """DescribeNetworkInterfaces → describe_network_interfaces; the SDK writes Ipv6 as ipv_6."""
    return re.sub(r"(?<=[a-z])(?=[A-Z0-9])", "_", action).lower()


def _without_string_to_sign(message: str) -> str:
    """SignatureDoesNotMatch repeats what was to be signed, in the older scheme with the security token in it."""
    return re.split(r"\s*(?:server )?string to sign is", message, maxsplit=1, flags=re.I)[0]
