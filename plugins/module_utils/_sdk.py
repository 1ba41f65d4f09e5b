# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One call through the SDK. It returns the raw reply, and turns every failure into one ``EcsError``.

Private to this collection. Only ``_sdk.py`` and ``_ecs.py`` use the ECS SDK; ``_auth/`` uses its credential library. Exceptions of the
SDK never leave this file, because they have signed headers, URLs and tokens.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.failures import MISMATCH, CredentialError
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import (
    BAD_CREDENTIAL,
    CONNECTION_FAILED,
    INVALID_CREDENTIALS,
    NO_ERROR_CODE,
    REDIRECTED,
    UNREADABLE_REPLY,
    EcsError,
    SdkMissing,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._options import Connection
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import (
    Cause,
    Transport,
    aborted_by,
    forget_last,
    last_failure,
    last_reply,
    make_session_class,
    sending,
)

NOT_THE_API = "did not return a valid reply of the ECS API"


class Sdk:
    """The typed client of one endpoint. Safe to share between threads once the first call has returned."""

    def __init__(self, connection: Connection) -> None:
        self._library = _import_library()
        self._connection = connection
        _mute_library()
        _guard_sessions(self._library.cores, connection.transport)
        self._replies = threading.local()
        self._client = _with_raw_replies(self._library.Client, self._replies)(
            self._library.Config(
                credential=connection.credential,
                region_id=connection.region,
                endpoint=connection.endpoint,
                protocol=connection.protocol,
                user_agent="alicloud_ops.network",
            )
        )
        # The same options for all calls, because the SDK has a separate connection pool for each number of idle connections.
        transport = connection.transport
        self._runtime = self._library.RuntimeOptions(
            max_idle_conns=max(40, connection.max_concurrency),
            connect_timeout=1000 * transport.connect_timeout,
            read_timeout=1000 * transport.read_timeout,
            ca=transport.ca_bundle,
        )

    @property
    def endpoint(self) -> str:
        """Host, or host:port, of the endpoint."""
        return str(self._client._endpoint)

    def call(self, action: str, parameters: Mapping[str, Any], before_send: Callable[[], None] | None = None) -> dict[str, Any]:
        """The reply with the names of the API. ``parameters`` have the names of the SDK.

        ``before_send`` is called right before the request is sent, when it is already signed. If it raises an exception, the request
        is not sent, and this method raises the same exception.
        """
        request = getattr(self._library.models, f"{action}Request")(**parameters)
        send = getattr(self._client, f"{_snake(action)}_with_options")
        failure: BaseException
        forget_last()
        try:
            with sending(before_send, self.endpoint):
                send(request, self._runtime)
                reply = self._replies.body
        except Exception as error:  # the SDK wraps all exceptions, also its own
            failure = aborted_by() or self._explain_safely(action, error)
        else:
            if isinstance(reply, dict) and reply.get("RequestId"):
                return reply
            failure = EcsError(action, UNREADABLE_REPLY, f"{self._host_label()} {NOT_THE_API}", status=_status())
        raise failure  # outside of the except clause, so that the exception of the SDK is not attached to it

    def _explain_safely(self, action: str, failure: Exception) -> EcsError:
        try:
            return self._explain(action, failure)
        except Exception:  # a reply of an unknown kind; it is not shown, because it may have a secret
            return EcsError(action, UNREADABLE_REPLY, f"{self._host_label()} {NOT_THE_API}", status=_status())

    def _explain(self, action: str, failure: Exception) -> EcsError:
        """The exception of the SDK as an EcsError, without the request that the exception has."""
        if isinstance(failure, self._library.AlibabaCloudException):
            return self._explain_refusal(action, failure)
        inner = getattr(failure, "inner_exception", failure)
        if isinstance(inner, CredentialError):
            return EcsError(action, INVALID_CREDENTIALS, str(inner), unsent=True)
        cause = last_failure()
        if isinstance(inner, self._library.RetryError) and cause:
            code = REDIRECTED if cause is Cause.REDIRECTED else CONNECTION_FAILED
            is_set = self._connection.endpoint and not self._connection.endpoint.endswith(".aliyuncs.com")
            hint = "; endpoint or ALIBABA_CLOUD_ECS_ENDPOINT sets this host" if is_set else ""
            return EcsError(action, code, f"{self._host_label()}: {cause.text}{hint}", status=_status(), unsent=cause.unsent)
        return EcsError(action, UNREADABLE_REPLY, f"{self._host_label()} {NOT_THE_API} ({type(inner).__name__})", status=_status())

    def _explain_refusal(self, action: str, failure: Any) -> EcsError:
        data = failure.data if isinstance(failure.data, Mapping) else {}
        code = str(data.get("Code") or data.get("code") or "")
        status = _status()
        if not code:
            message = f"{self._host_label()} returned HTTP status {status} without an error code"
            return EcsError(action, NO_ERROR_CODE, message, status=status)
        message = _without_string_to_sign(str(data.get("Message") or data.get("message") or ""))
        if BAD_CREDENTIAL.match(code):
            hint = f": {MISMATCH}" if code.startswith("SignatureDoesNotMatch") else ""
            message += f" ({self._connection.credential.source}{hint})"
        if code.startswith("InvalidRegionId"):
            message += f" (region: {self._connection.region})"
        retry_after = getattr(failure, "retry_after", None)
        return EcsError(
            action, code, message, data.get("RequestId"), status=status, retry_after=retry_after / 1000 if retry_after else None
        )

    def _host_label(self) -> str:
        return self._connection.transport.host_label(self.endpoint) if self._connection.protocol == "https" else self.endpoint


def _status() -> int | None:
    """The HTTP status of the last reply in this thread. The SDK loses it if the reply is not JSON."""
    reply = last_reply()
    return reply.status if reply else None


def _import_library() -> SimpleNamespace:
    """Import late, because it takes almost a second, and errors of the options are reported first."""
    try:
        import darabonba.core
        import Tea.core
        from alibabacloud_ecs20140526 import models
        from alibabacloud_ecs20140526.client import Client
        from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
        from alibabacloud_tea_openapi.utils_models import Config
        from darabonba.exceptions import RetryError
        from darabonba.runtime import RuntimeOptions

        # Older versions do not have these: profiles that run a command, and sessions for _guard_sessions.
        import_module("alibabacloud_credentials.provider.external")
        cores = ((darabonba.core, darabonba.core.DaraCore._sessions), (Tea.core, Tea.core.TeaCore._sessions))
    except (ImportError, AttributeError) as error:
        raise SdkMissing(f"{error}; see requirements.txt of this collection") from None
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
    """The typed client, with raw replies instead of models. A model silently drops fields that do not fit, and reads an object as an
    empty list. Then an ENI would look as if it had no addresses and no tags."""

    class Client(client):
        def call_api(self, *arguments: Any) -> dict[str, Any]:
            replies.body = None
            reply = super().call_api(*arguments)
            replies.body = reply.pop("body", None)
            return reply

    return Client


def _mute_library() -> None:
    """Turn off the logs of the SDK. They have the signed URL of a failed login, and with DEBUG=sdk the Authorization of each request."""
    for name in ("darabonba-core", "alibabacloud-tea", "credentials"):
        logging.getLogger(name).disabled = True


def _guard_sessions(cores: Any, transport: Transport) -> None:
    """Replace the sessions of these two cores. The SDK and its credential library send all requests through them."""
    session_class = make_session_class(transport)
    for core, sessions in cores:
        core.Session = session_class
        sessions.clear()


def _snake(action: str) -> str:
    """DescribeNetworkInterfaces → describe_network_interfaces; the SDK writes Ipv6 as ipv_6."""
    return re.sub(r"(?<=[a-z])(?=[A-Z0-9])", "_", action).lower()


def _without_string_to_sign(message: str) -> str:
    """Without the string to sign, which SignatureDoesNotMatch repeats. In the older scheme it has the security token."""
    return re.split(r"\s*(?:server )?string to sign is", message, maxsplit=1, flags=re.I)[0]
