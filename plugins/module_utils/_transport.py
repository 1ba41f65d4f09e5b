# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How calls reach a host, for the API and for what hands out keys: timeouts, certificates, proxies, and why they failed.

Private to this collection. Pure: it decides, and its users do.
"""

from __future__ import annotations

import enum
import errno
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ENDS = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)


class Cause(enum.Enum):
    """Why there was no reply. ``unsent``: no part of the request can have reached the host.

    Only failures to connect are unsent for certain. A connection that broke, a TLS error or a timeout may come after the
    request was sent, and nothing in the exception shows when it came.
    """

    REDIRECTED = ("the call was redirected, which is not followed", False)
    REFUSED = ("connection refused", True)
    UNKNOWN_HOST = ("the host name could not be resolved", True)
    NETWORK_UNREACHABLE = ("the network or the host is not reachable", True)
    NOT_CONNECTED = ("no connection could be made", True)
    CERTIFICATE = ("TLS failed: the certificate was not accepted", True)  # checked before anything is sent
    TLS = ("TLS failed: the protocol was not accepted, or the reply was damaged", False)
    PROXY = ("the proxy did not connect", True)
    CONNECT_TIMEOUT = ("no connection in time", True)
    READ_TIMEOUT = ("no answer in time", False)  # also if the TLS handshake took too long
    CLOSED = ("the connection was closed before the reply was complete", False)
    OTHER = ("the connection failed", False)

    def __init__(self, text: str, unsent: bool) -> None:
        self.text = text
        self.unsent = unsent


def cause_of(exception: BaseException) -> Cause:
    """The cause of a failed request of ``requests``, decided by the types of this exception and of those that it wraps."""
    import requests
    import urllib3.exceptions as urllib3

    chain = list(_chain(exception))

    def has(*types: type[BaseException]) -> bool:
        return any(isinstance(each, types) for each in chain)

    if has(requests.exceptions.TooManyRedirects):
        return Cause.REDIRECTED
    if has(ssl.SSLCertVerificationError):
        return Cause.CERTIFICATE
    if has(urllib3.ProtocolError, requests.exceptions.ChunkedEncodingError, http.client.HTTPException, *ENDS):
        return Cause.CLOSED
    if has(ssl.SSLError, urllib3.SSLError, requests.exceptions.SSLError):
        return Cause.TLS
    is_connecting = has(urllib3.NewConnectionError, urllib3.ConnectTimeoutError)
    numbers = {each.errno for each in chain if isinstance(each, OSError)} - {None}
    if has(urllib3.ProxyError, requests.exceptions.ProxyError):
        # urllib3 before 2.0 calls whatever happens on the way through a proxy an error of the proxy.
        return Cause.PROXY if is_connecting or not numbers else Cause.CLOSED
    if has(socket.gaierror):
        return Cause.UNKNOWN_HOST
    if has(ConnectionRefusedError):
        return Cause.REFUSED
    if not numbers.isdisjoint(NO_ROUTE):
        return Cause.NETWORK_UNREACHABLE
    if has(urllib3.NewConnectionError):
        return Cause.NOT_CONNECTED
    if is_connecting:
        return Cause.CONNECT_TIMEOUT
    if has(requests.exceptions.ReadTimeout, urllib3.ReadTimeoutError, TimeoutError):
        return Cause.READ_TIMEOUT
    return Cause.OTHER


def _chain(exception: BaseException) -> Iterator[BaseException]:
    """The exception and all that it wraps, each once."""
    waiting: list[Any] = [exception]
    known: set[int] = set()
    while waiting:
        each = waiting.pop(0)
        if not isinstance(each, BaseException) or id(each) in known:
            continue
        known.add(id(each))
        yield each
        waiting += [each.__cause__, None if each.__suppress_context__ else each.__context__, *each.args]
        waiting += [getattr(each, "reason", None), getattr(each, "original_error", None)]


class _Thread(threading.local):
    """What the guarded sessions know of one thread: its last request, and what to do before the next one."""

    failure: Cause | None = None
    status: int | None = None
    hook: Callable[[], None] | None = None
    host: str = ""
    aborted_by: BaseException | None = None


_THREAD = _Thread()


def last_failure() -> Cause | None:
    """Why the last request of this thread got no reply; None if it got one, or none was sent since ``forget_last``."""
    return _THREAD.failure


def last_status() -> int | None:
    """The HTTP status that the last request of this thread was answered with; None if there was no reply."""
    return _THREAD.status


def forget_last() -> None:
    _THREAD.failure = _THREAD.status = _THREAD.aborted_by = None


def aborted_by() -> BaseException | None:
    """What the hook of ``sending`` raised in this thread, so that the request was not sent."""
    return _THREAD.aborted_by


@contextmanager
def sending(hook: Callable[[], None] | None, host: str) -> Iterator[None]:
    """Meanwhile ``hook`` is called right before each request of this thread to ``host`` (as in the URL: host or host:port).

    A request to any other host, such as one for a credential, does not call it. If it raises, the request is not sent.
    """
    earlier = _THREAD.hook, _THREAD.host
    _THREAD.hook, _THREAD.host = hook, host
    try:
        yield
    finally:
        _THREAD.hook, _THREAD.host = earlier


def make_session_class(transport: Transport) -> Any:
    """The ``requests.Session`` that all requests of the SDK and of its credential library go through.

    By themselves these follow a redirect with token and signature, also into the clear, and believe what is answered
    there; and they ignore NO_PROXY. Plain HTTP is for loopback and for the metadata service only, so it never goes through
    a proxy. They also lose the exception of a failed request, so the session keeps its cause: see ``last_failure``.
    """
    import requests

    class Session(requests.Session):
        def send(self, request: Any, **how: Any) -> Any:
            self.max_redirects = 0
            url = urlsplit(request.url)
            proxy = transport.proxy_for(url.netloc) if url.scheme == "https" else None
            how["proxies"] = {"https": proxy} if proxy else {}
            forget_last()
            if _THREAD.hook and url.netloc == _THREAD.host:
                try:
                    _THREAD.hook()
                except BaseException as error:
                    _THREAD.aborted_by = error
                    raise
            try:
                response = super().send(request, **how)
            except Exception as error:
                _THREAD.failure = cause_of(error)
                _THREAD.status = getattr(getattr(error, "response", None), "status_code", None)
                raise
            _THREAD.status = response.status_code
            return response

    return Session


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True)
class Transport:
    """Timeouts are seconds."""

    sts_endpoint: str = "sts.aliyuncs.com"
    connect_timeout: int = 5
    read_timeout: int = 10
    ca_bundle: str | None = None
    proxy: str | None = None
    no_proxy: str = ""
    imds_v1: bool = True  # whether the metadata service may be asked without a session token

    def proxy_for(self, host: str) -> str | None:
        """The proxy for an https:// call to ``host`` (or host:port); None for a direct one."""
        name = urlsplit(f"//{host}").hostname or ""
        for entry in self.no_proxy.lower().split(","):
            suffix = entry.strip().lstrip(".")
            if suffix and (suffix in ("*", name, host) or name.endswith(f".{suffix}")):
                return None
        return self.proxy or None

    def place(self, host: str) -> str:
        """Whom a failed https:// call did not reach: the proxy without its password, as it may be the one that refused."""
        proxy = self.proxy_for(host)
        return f"{host} (through the proxy {proxy.rpartition('@')[2].rpartition('//')[2]})" if proxy else host
