# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a request reaches a host, for the API and for what gives out keys: URLs, proxies, timeouts, and why it failed.

Private to this collection. This is the only file that parses URLs, host names, proxies and flags of the environment.
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


LARGEST_BODY_KEPT = 16 * 1024  # bytes; what an error or a key takes, and not the lists of the API


@dataclass(frozen=True)
class Reply:
    """``body`` is empty if it is long. It may hold a key."""

    status: int
    body: bytes = field(repr=False)


class _Thread(threading.local):
    """What the guarded sessions know of one thread: its last request, and what to do before the next one."""

    failure: Cause | None = None
    reply: Reply | None = None
    hook: Callable[[], None] | None = None
    host: str = ""
    aborted_by: BaseException | None = None


_THREAD = _Thread()


def last_failure() -> Cause | None:
    """Why the last request of this thread got no reply; None if it got one, or none was sent since ``forget_last``."""
    return _THREAD.failure


def last_reply() -> Reply | None:
    """What the last request of this thread was answered with; None if there was no reply."""
    return _THREAD.reply


def forget_last() -> None:
    _THREAD.failure = _THREAD.reply = _THREAD.aborted_by = None


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
                redirect = getattr(error, "response", None)
                _THREAD.reply = None if redirect is None else Reply(redirect.status_code, b"")
                raise
            body = response.content
            _THREAD.reply = Reply(response.status_code, body if len(body) <= LARGEST_BODY_KEPT else b"")
            return response

    return Session


HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Transport:
    """Timeouts are seconds. ``imds_v1``: whether the metadata service may be asked without a session token."""

    sts_endpoint: str = "sts.aliyuncs.com"
    connect_timeout: int = 5
    read_timeout: int = 10
    ca_bundle: str | None = None
    proxy: str | None = None
    no_proxy: str = ""
    imds_v1: bool = True

    def proxy_for(self, host: str) -> str | None:
        """The proxy for an https:// call to ``host`` (or host:port); None for a direct one."""
        return self.proxy if self.proxy and not _bypasses_proxy(host, self.no_proxy) else None

    def host_label(self, host: str) -> str:
        """What a failed https:// call did not reach. It names the proxy, which may be what refused, without its password."""
        proxy = self.proxy_for(host)
        return f"{host} (through the proxy {proxy.rpartition('@')[2].rpartition('//')[2]})" if proxy else host

    def uri_label(self, uri: str) -> str:
        """The host of a URI. The rest may hold a secret."""
        parts = urlsplit(uri)
        return self.host_label(parts.netloc) if parts.scheme == "https" else parts.netloc


_ENVIRONMENT = threading.Lock()


@cache
def _bypasses_proxy(host: str, no_proxy: str) -> bool:
    """NO_PROXY as ``requests`` understands it: names with their subdomains, ports, CIDR blocks, and ``*``."""
    try:
        from requests.utils import should_bypass_proxies
    except ImportError:
        return False  # the SDK needs requests, so it is missing too, which is reported a little later
    with _ENVIRONMENT:  # requests puts no_proxy into the environment of the process meanwhile
        return bool(should_bypass_proxies(f"https://{host}", no_proxy))


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_true(environ: Mapping[str, str], variable: str) -> bool:
    """As the SDK reads its flags: true in any case, and anything else is false."""
    return environ.get(variable, "").strip().lower() == "true"


def parse_endpoint(option_path: str, text: str, example: str, errors: list[str]) -> tuple[str, str | None]:
    """Protocol, and host or host:port. The host is None if ``text`` is wrong, which is then among ``errors``."""
    example = f"give a host, host:port or URL such as https://{example}"
    url = _split(text if "://" in text else f"https://{text}")
    if "@" in text:
        # Not repeated: the part before the @ may be a password.
        errors.append(f"{option_path}: must not hold a user or a password; {example}")
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
    """Without port and without the brackets of an IPv6 address."""
    return urlsplit(f"//{endpoint}").hostname or ""


def validate_proxy(option_path: str, proxy: str, errors: list[str]) -> None:
    """The rest of ``proxy`` is not repeated: it may hold a password."""
    scheme, separator, _host = proxy.partition("://")
    if separator and scheme.lower() not in DEFAULT_PORTS:
        errors.append(f"{option_path}: a proxy of the type {scheme}:// is not supported; give one such as http://proxy.example.com:8080")


def validate_uri(option_path: str, text: str, errors: list[str], *, may_be_loopback: bool = True) -> None:
    """A URI that answers with a key. It is not repeated in a message, because it may hold a token."""
    uri = _split(text)
    if uri is None or uri.scheme not in DEFAULT_PORTS or not uri.hostname:
        loopback = " or http://127.0.0.1:8080/network" if may_be_loopback else ""
        errors.append(f"{option_path}: is not a URI such as https://keys.example.com/network{loopback}")
    elif "@" in uri.netloc:
        errors.append(f"{option_path}: must not hold a user or a password, because the SDK would not send them")
    elif ":" in uri.hostname:
        errors.append(f"{option_path}: has an IPv6 address, which the SDK does not support; give a host name or an IPv4 address")
    elif uri.scheme == "http" and not (may_be_loopback and is_loopback(uri.hostname)):
        loopback = "http:// is for loopback only, " if may_be_loopback else ""
        errors.append(f"{option_path}: would fetch a key in the clear from {uri.hostname}; {loopback}use https://")
    else:
        pairs = parse_qsl(uri.query, keep_blank_values=True)
        if not all(value for _name, value in pairs) or len(dict(pairs)) < len(pairs):
            errors.append(f"{option_path}: has a query parameter that is blank or comes twice, which the SDK would not send as written")


def with_port(uri: str) -> str:
    """Without a port, the credential library would call a port named None."""
    parts = urlsplit(uri)
    return parts._replace(netloc=f"{parts.hostname}:{parts.port or DEFAULT_PORTS[parts.scheme]}").geturl()


def query_values(uri: str) -> list[str]:
    return [value for _name, value in parse_qsl(urlsplit(uri).query)]


def _split(text: str) -> SplitResult | None:
    """None if it cannot be parsed, or if its port is not a number of a port."""
    with suppress(ValueError):
        url = urlsplit(text)
        return url if url.port is None or url.port >= 0 else None  # reading the port is what validates it
    return None
