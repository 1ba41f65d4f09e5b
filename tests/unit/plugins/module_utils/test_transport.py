# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
import sys
import threading
from contextlib import contextmanager, suppress

import pytest
import requests
import urllib3.exceptions as urllib3
from support.stand_ins import Tls

from ansible_collections.alicloud_ops.network.plugins.module_utils import _transport
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import (
    LARGEST_BODY_KEPT,
    Cause,
    Reply,
    Transport,
    aborted_by,
    cause_of,
    forget_last,
    is_true,
    last_failure,
    last_reply,
    make_session_class,
    parse_endpoint,
    sending,
    validate_uri,
)
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.sessions import Canned, send

# NO_PROXY

PROXY = "http://proxy.example.com:8080"


@pytest.mark.parametrize(
    ("no_proxy", "host", "proxied"),
    [
        ("", "ecs.example.com", True),
        (" , ", "ecs.example.com", True),
        ("*", "ecs.example.com", False),
        ("*", "[2001:db8::1]:443", False),
        # Suffixes
        ("example.com", "example.com", False),
        ("example.com", "ecs.example.com", False),
        (".example.com", "ecs.example.com", False),
        ("example.com", "badexample.com", True),
        ("cs.example.com", "ecs.example.com", True),
        ("EXAMPLE.com", "ecs.example.com", False),
        # Ports
        ("ecs.example.com:8443", "ecs.example.com:8443", False),
        ("example.com:8443", "ecs.example.com:8443", False),
        ("ecs.example.com:443", "ecs.example.com:8443", True),
        ("ecs.example.com", "ecs.example.com:8443", False),
        # Spaces
        ("localhost, ecs.example.com ,127.0.0.1", "ecs.example.com", False),
        (" 10.0.0.0/8 , 192.168.0.0/16", "192.168.7.7", False),
        # IPv4 addresses and CIDR blocks
        ("127.0.0.1", "127.0.0.1:8443", False),
        ("10.0.0.0/8", "10.1.2.3", False),
        ("10.0.0.0/8", "10.1.2.3:8443", False),
        ("10.0.0.0/8", "11.1.2.3", True),
        ("10.1.2.0/24", "10.1.3.3", True),
        ("10.0.0.0/8", "10.example.com", True),
        # IPv6 addresses
        ("2001:db8::1", "[2001:db8::1]", False),
        ("2001:db8::1", "[2001:db8::1]:8443", False),
        ("2001:db8::2", "[2001:db8::1]", True),
    ],
)
def test_no_proxy_has_the_meaning_that_it_has_for_requests(no_proxy, host, proxied):
    assert Transport(proxy=PROXY, no_proxy=no_proxy).proxy_for(host) == (PROXY if proxied else None)


def test_the_result_and_the_environment_are_independent(monkeypatch):
    """The options decide NO_PROXY. Without a value, requests uses the environment."""
    monkeypatch.setenv("no_proxy", "*")
    _transport._bypasses_proxy.cache_clear()
    assert Transport(proxy=PROXY).proxy_for("environment.example.com") == PROXY
    assert Transport(proxy=PROXY, no_proxy="example.com").proxy_for("environment.example.com") is None
    assert os.environ["no_proxy"] == "*"


def test_without_a_proxy_nothing_is_imported_and_without_requests_nothing_fails(monkeypatch):
    monkeypatch.setitem(sys.modules, "requests.utils", None)
    _transport._bypasses_proxy.cache_clear()
    assert Transport(no_proxy="example.com").proxy_for("ecs.example.com") is None
    assert Transport(proxy=PROXY, no_proxy="example.com").proxy_for("ecs.example.com") == PROXY
    _transport._bypasses_proxy.cache_clear()


# URLs, hosts and flags


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("ecs.example.com", ("https", "ecs.example.com")),
        ("ecs.example.com:8443", ("https", "ecs.example.com:8443")),
        ("http://[::1]:8080/", ("http", "[::1]:8080")),
        ("ftp://ecs.example.com", ("https", None)),
        ("https://ecs.example.com:99999", ("https", None)),
        ("https://user:not-shown@ecs.example.com", ("https", None)),
        ("https://ecs.example.com/path", ("https", None)),
        ("https://", ("https", None)),
    ],
)
def test_endpoints(text, parsed):
    errors = []
    assert parse_endpoint("endpoint", text, "ecs.example.com", errors) == parsed
    assert len(errors) == (parsed[1] is None)
    assert "not-shown" not in str(errors)


@pytest.mark.parametrize(
    ("uri", "may_be_loopback", "expected"),
    [
        ("https://keys.example.com/a?b=1", True, None),
        ("http://127.0.0.1:80/", True, None),
        ("http://localhost/", True, None),
        ("http://127.0.0.1/", False, "would fetch a key without encryption from 127.0.0.1; use https://"),
        (
            "http://keys.example.com/",
            True,
            "use https:// (http:// is for loopback addresses only)",
        ),
        ("https://a:not-shown@keys.example.com/", True, "must not have a user or a password"),
        ("https://[::1]/", True, "has an IPv6 address"),
        ("https://keys.example.com:99999/", True, "is not a valid URI"),
        ("https://[::1/?not-shown", True, "is not a valid URI"),
        ("not-shown", True, "is not a valid URI"),
        ("https://keys.example.com/?a=not-shown&b", True, "empty or repeated query parameter"),
    ],
)
def test_uris(uri, may_be_loopback, expected):
    errors = []
    validate_uri("credentials_uri", uri, errors, may_be_loopback=may_be_loopback)
    assert len(errors) == (expected is not None)
    assert not expected or (errors[0].startswith("credentials_uri: ") and expected in errors[0])
    assert "not-shown" not in str(errors)


@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), (" TRUE ", True), ("1", False), ("false", False), ("", False), (None, False)]
)
def test_flags(text, expected):
    assert is_true({} if text is None else {"FLAG": text}, "FLAG") is expected


# Causes of failures on real connections


@contextmanager
def server(handle):
    """Listens on loopback, and calls ``handle`` with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            while True:
                try:
                    connection, _address = listener.accept()
                except OSError:
                    return
                with connection:
                    handle(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def cause(url, transport=None, **how):
    session = make_session_class(transport or Transport())()
    with pytest.raises(requests.RequestException):
        session.send(requests.Request("POST", url).prepare(), **{"timeout": (2, 0.2), **how})
    assert last_reply() is None
    return last_failure()


def read_request(connection):
    received = b" "
    while received and b"\r\n\r\n" not in received:
        received = connection.recv(65536)


def close(connection):
    read_request(connection)


def reset(connection):
    read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def half_a_reply(connection):
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


def silence(connection):
    read_request(connection)
    connection.recv(1)


def nonsense(connection):
    connection.recv(65536)
    connection.sendall(b"this is no TLS\r\n")


def refuse_tunnel(connection):
    read_request(connection)
    connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.parametrize(
    ("handle", "scheme", "expected"),
    [
        (close, "http", Cause.CLOSED),
        (reset, "http", Cause.CLOSED),
        (half_a_reply, "http", Cause.CLOSED),
        (silence, "http", Cause.READ_TIMEOUT),
        (nonsense, "https", Cause.TLS),
        (lambda connection: connection.recv(1), "https", Cause.CLOSED),
    ],
    ids=["close", "reset", "half a reply", "silence", "no TLS", "closed during TLS"],
)
def test_a_connection_that_breaks(handle, scheme, expected):
    with server(handle) as port:
        assert cause(f"{scheme}://127.0.0.1:{port}/") is expected


def test_a_port_without_a_listener():
    assert cause(f"http://127.0.0.1:{free_port()}/") is Cause.REFUSED


def test_a_certificate_that_is_not_trusted(tmp_path):
    tls = Tls(tmp_path)

    def handle(connection):
        with pytest.raises(OSError), tls.context.wrap_socket(connection, server_side=True):  # noqa: PT011 (of either side, first come)
            pytest.fail("it was trusted")

    with server(handle) as port:
        assert cause(f"https://127.0.0.1:{port}/") is Cause.CERTIFICATE


@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_AGAIN])
def test_an_unknown_host(monkeypatch, number):
    def fail(*_arguments, **_named):
        raise socket.gaierror(number, "refused: timed out at the proxy, certificate")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert cause("http://ecs.example.com/") is Cause.UNKNOWN_HOST


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (OSError(errno.ENETUNREACH, "x"), Cause.NETWORK_UNREACHABLE),
        (OSError(errno.EHOSTUNREACH, "x"), Cause.NETWORK_UNREACHABLE),
        (OSError(errno.EMFILE, "x"), Cause.NOT_CONNECTED),
        (TimeoutError("x"), Cause.CONNECT_TIMEOUT),
        (ConnectionRefusedError("x"), Cause.REFUSED),
    ],
    ids=str,
)
@pytest.mark.parametrize("host", ["resolver", "refused.example.com", "timed-out.example.com", "certificate-proxy.example.com"])
def test_a_host_name_that_looks_like_a_cause_is_not_the_cause(monkeypatch, host, raised, expected):
    def connect(*_arguments):
        raise raised

    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_arguments, **_named: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))]
    )
    monkeypatch.setattr(socket, "socket", type("Socket", (socket.socket,), {"connect": connect}))
    assert cause(f"http://{host}/") is expected


@pytest.mark.parametrize("handle", [refuse_tunnel, None], ids=["refused", "not there"])
def test_a_proxy_that_does_not_connect(handle):
    with server(handle or close) as port:
        proxy = f"http://127.0.0.1:{port if handle else free_port()}"
        assert cause("https://refused.example.com/", Transport(proxy=proxy)) is Cause.PROXY


def test_if_a_proxy_closes_the_connection_the_request_may_have_been_sent():
    with server(close) as port:
        assert cause("https://ecs.example.com/", Transport(proxy=f"http://127.0.0.1:{port}")) is Cause.CLOSED


def test_a_redirect_is_not_followed_and_its_status_is_known():
    with pytest.raises(requests.TooManyRedirects):
        send("https://ecs.example.com/", (302, "not-shown"))
    assert (last_failure(), last_reply()) == (Cause.REDIRECTED, Reply(302, b""))


# Causes of exceptions that a server cannot provoke


def of_urllib3_1(reason):
    """urllib3 before 2.0 reports every failure behind a proxy as an error of the proxy."""
    return requests.exceptions.ProxyError(urllib3.MaxRetryError(None, "/", urllib3.ProxyError("Cannot connect to proxy.", reason)))


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        (of_urllib3_1(ConnectionResetError(errno.ECONNRESET, "x")), Cause.CLOSED),
        (of_urllib3_1(http.client.RemoteDisconnected("x")), Cause.CLOSED),
        (of_urllib3_1(OSError(errno.EHOSTUNREACH, "x")), Cause.CLOSED),
        (of_urllib3_1(OSError("Tunnel connection failed: 403 Forbidden")), Cause.PROXY),
        (of_urllib3_1(urllib3.NewConnectionError(None, "x")), Cause.PROXY),
        (urllib3.ProtocolError("Connection aborted.", OSError(errno.EHOSTUNREACH, "x")), Cause.CLOSED),
        (requests.ConnectionError(urllib3.ProtocolError("x", ConnectionRefusedError())), Cause.CLOSED),
        (requests.ConnectTimeout(urllib3.MaxRetryError(None, "/", urllib3.ConnectTimeoutError())), Cause.CONNECT_TIMEOUT),
        (requests.ConnectionError(urllib3.ReadTimeoutError(None, "/", "refused")), Cause.READ_TIMEOUT),
        (requests.exceptions.SSLError(ssl.SSLError(1, "WRONG_VERSION_NUMBER")), Cause.TLS),
        (requests.exceptions.SSLError(ssl.SSLZeroReturnError(6, "x")), Cause.CLOSED),
        (requests.exceptions.ChunkedEncodingError("x"), Cause.CLOSED),
        (requests.exceptions.InvalidProxyURL("refused"), Cause.OTHER),
        (ValueError("Name or service not known: refused, timed out"), Cause.OTHER),
    ],
    ids=str,
)
def test_causes_by_type(exception, expected):
    assert cause_of(exception) is expected


def test_exceptions_that_wrap_each_other_in_a_circle_have_a_cause():
    first, second = OSError(), ConnectionRefusedError()
    first.args, second.args = (second,), (first,)
    assert cause_of(first) is Cause.REFUSED


def test_only_failures_to_connect_are_unsent():
    """Only after these failures may a write be sent again without a read."""
    unsent = {"REFUSED", "UNKNOWN_HOST", "NETWORK_UNREACHABLE", "NOT_CONNECTED", "CERTIFICATE", "PROXY", "CONNECT_TIMEOUT"}
    assert {each.name for each in Cause if each.unsent} == unsent
    assert len({each.text for each in Cause}) == len(Cause)


# The session


def test_the_last_failure_belongs_to_the_last_request_of_this_thread():
    send("https://ecs.example.com/", (503, "not-shown"))
    assert last_reply() == Reply(503, b"not-shown")
    assert "not-shown" not in repr(last_reply())
    others = []
    thread = threading.Thread(target=lambda: others.append((last_reply(), last_failure())))
    thread.start()
    thread.join(5)
    assert others == [(None, None)]
    with pytest.raises(ConnectionResetError):
        send("https://ecs.example.com/", ConnectionResetError())
    assert (last_reply(), last_failure()) == (None, Cause.CLOSED)
    send("https://ecs.example.com/", (200, {}))
    assert (last_reply(), last_failure()) == (Reply(200, b"{}"), None)
    forget_last()
    assert (last_reply(), last_failure()) == (None, None)


def test_a_long_body_is_not_kept():
    for size, kept in ((LARGEST_BODY_KEPT, LARGEST_BODY_KEPT), (LARGEST_BODY_KEPT + 1, 0)):
        send("https://ecs.example.com/", (200, "x" * size))
        assert len(last_reply().body) == kept


@pytest.mark.parametrize(
    ("url", "proxies"),
    [
        ("https://ecs.example.com/", {"https": PROXY}),
        ("https://sts.example.com/", {}),
        ("http://100.100.100.200/", {}),
        ("http://127.0.0.1:80/", {}),
    ],
)
def test_the_session_decides_which_request_goes_through_the_proxy(monkeypatch, url, proxies):
    monkeypatch.setenv("HTTP_PROXY", "http://other.example.com")
    adapter = Canned((200, {}))
    send(url, None, Transport(proxy=PROXY, no_proxy="sts.example.com"), adapter)
    assert [used for _url, used in adapter.sent] == [proxies]


# The hook


ECS = "ecs.example.com:8443"


def test_the_hook_is_called_right_before_requests_to_its_host_and_to_no_other():
    order = []
    adapter = Canned((200, {}))
    with sending(lambda: order.append(f"hook, then {len(adapter.sent)} sent"), ECS):
        for url in (
            "https://sts.example.com/",
            "http://100.100.100.200/latest/api/token",
            "http://127.0.0.1:8080/keys",
            "https://ecs.example.com/",  # another port is another server
            f"https://{ECS}/?Action=x",
        ):
            send(url, None, adapter=adapter)
    assert order == ["hook, then 4 sent"]
    assert len(adapter.sent) == 5
    send(f"https://{ECS}/", None, adapter=adapter)
    assert len(order) == 1, "the hook ends with the block"


@pytest.mark.parametrize("raised", [ValueError("stop"), OSError("stop"), KeyboardInterrupt()], ids=repr)
def test_a_hook_that_raises_stops_the_request_and_is_known_afterwards(raised):
    def hook():
        raise raised

    adapter = Canned((200, {}))
    with sending(hook, ECS), pytest.raises(type(raised)):
        send(f"https://{ECS}/", None, adapter=adapter)
    assert adapter.sent == []
    assert (aborted_by(), last_failure(), last_reply()) == (raised, None, None)
    send(f"https://{ECS}/", None, adapter=adapter)
    assert aborted_by() is None


@pytest.mark.parametrize("behind_proxy", [False, True])
def test_a_hook_that_raises_when_the_connection_is_made_stops_the_request(tmp_path, behind_proxy):
    """For example, the caller ends or the plan ages while the tunnel of a proxy or the TLS handshake is made."""
    tls, is_late, arrived = Tls(tmp_path), threading.Event(), []
    stop = ValueError("stop")

    def handle(connection):
        if behind_proxy:
            read_request(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        is_late.set()
        with suppress(OSError), tls.context.wrap_socket(connection, server_side=True) as secured:
            arrived.append(secured.recv(65536))

    def hook():
        if is_late.is_set():
            raise stop

    with server(handle) as port:
        host = "127.0.0.1:9" if behind_proxy else f"127.0.0.1:{port}"
        session = make_session_class(Transport(proxy=f"http://127.0.0.1:{port}" if behind_proxy else None))()
        with sending(hook, host), pytest.raises(ValueError, match="stop"):
            session.send(requests.Request("POST", f"https://{host}/").prepare(), timeout=(5, 5), verify=str(tls.bundle))
    assert aborted_by() is stop
    assert arrived in ([], [b""])


def test_a_connection_that_is_used_again_needs_no_second_call_of_the_hook():
    calls = []

    def handle(connection):
        for _request in range(2):
            read_request(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    session = make_session_class(Transport())()
    with server(handle) as port, sending(lambda: calls.append(1), f"127.0.0.1:{port}"):
        for expected in (2, 3):
            session.send(requests.Request("GET", f"http://127.0.0.1:{port}/").prepare(), timeout=(5, 5))
            assert len(calls) == expected


def test_a_hook_belongs_to_one_thread():
    called = []
    with sending(lambda: called.append(1), ECS):
        thread = threading.Thread(target=send, args=(f"https://{ECS}/", (200, {})))
        thread.start()
        thread.join(5)
    assert called == []
