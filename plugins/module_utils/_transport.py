# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How requests reach the API and the hosts that issue keys: URLs, proxies, timeouts, and causes of failures.

Private to this collection. Only this file parses URLs, host names, proxies and flags of the environment.
"""

from __future__ import annotations

import enum
import errno
import http.client
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

ENDS = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)


class Cause(enum.Enum):
    """Why there was no reply. ``unsent``: no part of the request can have reached the host.

    Only failures to connect are certainly unsent. A broken connection, a TLS error or a timeout may happen after the request was
    sent, and the exception does not show when it happened.
    """

    REDIRECTED = ("the reply is a redirect, which is never followed", False)
    REFUSED = ("connection refused", True)
    UNKNOWN_HOST = ("the host name could not be resolved", True)
    NETWORK_UNREACHABLE = ("the network or the host is not reachable", True)
    NOT_CONNECTED = ("no connection could be made", True)
    CERTIFICATE = ("TLS failed: the certificate was not accepted", True)  # checked before anything is sent
    TLS = ("TLS failed: the protocol was not accepted, or the reply was damaged", False)
    PROXY = ("the proxy did not connect", True)
    CONNECT_TIMEOUT = ("no connection in time", True)
    READ_TIMEOUT = ("no reply in time", False)  # also if the TLS handshake took too long
    CLOSED = ("the connection was closed before the reply was complete", False)
    OTHER = ("the connection failed", False)

    def __init__(self, text: str, unsent: bool) -> None:
        self.text = text
        self.unsent = unsent


def cause_of(exception: BaseException) -> Cause:
    """The cause of a failed request of ``requests``, by the types of this exception and of the exceptions that it wraps."""
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
        # urllib3 before 2.0 reports every failure behind a proxy as an error of the proxy.
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
    """The exception and all exceptions that it wraps, each once."""
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


LARGEST_BODY_KEPT = 16 * 1024  # bytes; enough for an error or a key, but not for the lists of the API


@dataclass(frozen=True)
class Reply:
    """``body`` is empty if it was longer than LARGEST_BODY_KEPT. It may contain a key, so ``repr`` does not show it."""

    status: int
    body: bytes = field(repr=False)


class _Thread(threading.local):
    """State of the guarded sessions in one thread: its last request, and the hook for the next one."""

    failure: Cause | None = None
    reply: Reply | None = None
    hook: Callable[[], None] | None = None
    host: str = ""
    on_connect: Callable[[], None] | None = None  # of the request that is under way
    aborted_by: BaseException | None = None


_THREAD = _Thread()


def last_failure() -> Cause | None:
    """Why the last request of this thread got no reply. None if it got one, or if no request was sent since ``forget_last``."""
    return _THREAD.failure


def last_reply() -> Reply | None:
    """The reply to the last request of this thread. None if there was no reply."""
    return _THREAD.reply


def forget_last() -> None:
    _THREAD.failure = _THREAD.reply = _THREAD.aborted_by = None


def aborted_by() -> BaseException | None:
    """The exception that the hook of ``sending`` raised in this thread, so that the request was not sent."""
    return _THREAD.aborted_by


@contextmanager
def sending(hook: Callable[[], None] | None, host: str) -> Iterator[None]:
    """Call ``hook`` right before each request of this thread to ``host`` (as in the URL: host or host:port).

    A request that needs a new connection calls it again when the connection is made, because that may take connect_timeout. Requests to
    other hosts, such as requests for a credential, do not call it. If it raises an exception, the request is not sent.
    """
    earlier = _THREAD.hook, _THREAD.host
    _THREAD.hook, _THREAD.host = hook, host
    try:
        yield
    finally:
        _THREAD.hook, _THREAD.host = earlier


def _run_hook(hook: Callable[[], None] | None) -> None:
    try:
        if hook:
            hook()
    except BaseException as error:
        _THREAD.aborted_by = error
        raise


@cache
def _pools_with_hook() -> dict[str, type]:
    """The connection pools of urllib3, with connections that run the hook after ``connect`` and before the first byte of a request."""
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

    def with_hook(pool: Any) -> type:
        class Connection(pool.ConnectionCls):
            def connect(self) -> None:
                super().connect()
                _run_hook(_THREAD.on_connect)

        class Pool(pool):
            ConnectionCls = Connection

        return Pool

    return {"http": with_hook(HTTPConnectionPool), "https": with_hook(HTTPSConnectionPool)}


def _add_hook(adapter: Any) -> None:
    """Make the adapter use ``_pools_with_hook``, for direct connections and behind a proxy."""
    if not hasattr(adapter, "poolmanager") or "proxy_manager_for" in vars(adapter):
        return
    manager_for = adapter.proxy_manager_for

    def proxy_manager_for(*arguments: Any, **keywords: Any) -> Any:
        manager = manager_for(*arguments, **keywords)
        manager.pool_classes_by_scheme = _pools_with_hook()
        return manager

    adapter.proxy_manager_for = proxy_manager_for
    adapter.poolmanager.pool_classes_by_scheme = _pools_with_hook()


def make_session_class(transport: Transport) -> Any:
    """The ``requests.Session`` for all requests of the SDK and of its credential library.

    Without this class, they would follow a redirect with token and signature, even to plain HTTP, and they would ignore NO_PROXY.
    Plain HTTP never goes through a proxy, because it is only for loopback addresses and for the metadata service. The SDK also loses
    the exception of a failed request, so the session keeps its cause, see ``last_failure``.
    """
    import requests

    class Session(requests.Session):
        def mount(self, prefix: Any, adapter: Any) -> None:
            _add_hook(adapter)
            super().mount(prefix, adapter)

        def send(self, request: Any, **how: Any) -> Any:
            self.max_redirects = 0
            url = urlsplit(request.url)
            proxy = transport.proxy_for(url.netloc) if url.scheme == "https" else None
            how["proxies"] = {"https": proxy} if proxy else {}
            forget_last()
            hook = _THREAD.hook if url.netloc == _THREAD.host else None
            _run_hook(hook)
            _THREAD.on_connect = hook
            try:
                response = super().send(request, **how)
            except Exception as error:
                _THREAD.failure = cause_of(error)
                redirect = getattr(error, "response", None)
                _THREAD.reply = None if redirect is None else Reply(redirect.status_code, b"")
                raise
            finally:
                _THREAD.on_connect = None
            body = response.content
            _THREAD.reply = Reply(response.status_code, body if len(body) <= LARGEST_BODY_KEPT else b"")
            return response

    return Session


HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Transport:
    """Timeouts are in seconds. ``imds_v1``: whether requests to the metadata service without a session token are allowed."""

    sts_endpoint: str = "sts.aliyuncs.com"
    connect_timeout: int = 5
    read_timeout: int = 10
    ca_bundle: str | None = None
    proxy: str | None = None
    no_proxy: str = ""
    imds_v1: bool = True

    def proxy_for(self, host: str) -> str | None:
        """The proxy for an https:// call to ``host`` (or host:port). None for a direct call."""
        return self.proxy if self.proxy and not _bypasses_proxy(host, self.no_proxy) else None

    def host_label(self, host: str) -> str:
        """The host of an https:// call, for messages. The text also names the proxy, without its password, because the proxy may have
        failed."""
        proxy = self.proxy_for(host)
        return f"{host} (through the proxy {proxy.rpartition('@')[2].rpartition('//')[2]})" if proxy else host

    def uri_label(self, uri: str) -> str:
        """The host of a URI, for messages. The rest of the URI may contain a secret."""
        parts = urlsplit(uri)
        return self.host_label(parts.netloc) if parts.scheme == "https" else parts.netloc


_ENVIRONMENT = threading.Lock()


@cache
def _bypasses_proxy(host: str, no_proxy: str) -> bool:
    """Whether NO_PROXY matches, by the rules of ``requests``: names with their subdomains, ports, CIDR blocks, and ``*``."""
    try:
        from requests.utils import should_bypass_proxies
    except ImportError:
        return False  # without requests the SDK cannot be imported either, and that error is reported a little later
    with _ENVIRONMENT:  # requests changes no_proxy in the environment of the process during this call
        return bool(should_bypass_proxies(f"https://{host}", no_proxy))


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_true(environ: Mapping[str, str], variable: str) -> bool:
    """The rule of the SDK: ``true`` in upper or lower case is true, everything else is false."""
    return environ.get(variable, "").strip().lower() == "true"


def parse_endpoint(option_path: str, text: str, example: str, errors: list[str]) -> tuple[str, str | None]:
    """Protocol, and host or host:port. If ``text`` is wrong, the host is None, and ``errors`` has the error."""
    example = f"set a host, host:port or URL such as https://{example}"
    url = split_url(text if "://" in text else f"https://{text}")
    if "@" in text:
        # The text is not shown, because the part before the @ may be a password.
        errors.append(f"{option_path}: must not have a user or a password; {example}")
    elif (
        url is None
        or url.scheme not in DEFAULT_PORTS
        or not HOST.fullmatch(url.netloc.removesuffix(f":{url.port}"))
        or url.path.strip("/")
        or url.query
        or url.fragment
    ):
        errors.append(f"{option_path}: '{text}' is not an endpoint; {example}")
    else:
        return url.scheme, url.netloc
    return "https", None


def host_name(endpoint: str) -> str:
    """The host, without port, and without the brackets of an IPv6 address."""
    return urlsplit(f"//{endpoint}").hostname or ""


def validate_proxy(option_path: str, proxy: str, errors: list[str]) -> None:
    """The message shows only the scheme of ``proxy``, because the rest may contain a password."""
    scheme, separator, _host = proxy.partition("://")
    if separator and scheme.lower() not in DEFAULT_PORTS:
        errors.append(f"{option_path}: a proxy with {scheme}:// is not supported; set one such as http://proxy.example.com:8080")


def validate_uri(option_path: str, text: str, errors: list[str], *, may_be_loopback: bool = True) -> None:
    """A URI that returns a key. Messages do not show the URI, because it may contain a token."""
    uri = split_url(text)
    if uri is None or uri.scheme not in DEFAULT_PORTS or not uri.hostname:
        loopback = " or http://127.0.0.1:8080/network" if may_be_loopback else ""
        errors.append(f"{option_path}: is not a valid URI; set one such as https://keys.example.com/network{loopback}")
    elif "@" in uri.netloc:
        errors.append(f"{option_path}: must not have a user or a password, because the SDK would not send them")
    elif ":" in uri.hostname:
        errors.append(f"{option_path}: has an IPv6 address, which the SDK does not support; set a host name or an IPv4 address")
    elif uri.scheme == "http" and not (may_be_loopback and is_loopback(uri.hostname)):
        loopback = " (http:// is for loopback addresses only)" if may_be_loopback else ""
        errors.append(f"{option_path}: would fetch a key without encryption from {uri.hostname}; use https://{loopback}")
    else:
        pairs = parse_qsl(uri.query, keep_blank_values=True)
        if not all(value for _name, value in pairs) or len(dict(pairs)) < len(pairs):
            errors.append(f"{option_path}: has an empty or repeated query parameter, which the SDK would not send unchanged; remove it")


def with_port(uri: str) -> str:
    """The URI with its port. If the URI had no port, the credential library would use None as the port."""
    parts = urlsplit(uri)
    return parts._replace(netloc=f"{parts.hostname}:{parts.port or DEFAULT_PORTS[parts.scheme]}").geturl()


def query_values(uri: str) -> list[str]:
    return [value for _name, value in parse_qsl(urlsplit(uri).query)]


def split_url(text: str) -> SplitResult | None:
    """None if the text cannot be parsed, or if its port is not valid."""
    with suppress(ValueError):
        url = urlsplit(text)
        return url if url.port is None or url.port >= 0 else None  # reading the port is what validates it
    return None
