# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sending a report to a server that does not behave."""

from __future__ import annotations

import itertools
import socket
import threading
import time

import pytest

from ansible_collections.alicloud_ops.network.plugins.plugin_utils import _sending

STARTED = b"HTTP/1.1 201 Created\r\n"
NO_ANSWER = "could not be sent to http://{}/bulk/report.json: no complete answer within 1 s"


def slowly(text):
    for byte in text:
        yield bytes([byte])
        time.sleep(0.5)


ANSWERS = {
    "silence": lambda: slowly(b""),
    "one byte after the other": lambda: slowly(STARTED * 10),
    "headers without end": lambda: itertools.chain([STARTED], slowly(b"X: 1\r\n" * 10)),
    "an informational answer after the other": lambda: itertools.chain.from_iterable(
        (b"HTTP/1.1 100 Continue\r\n\r\n", *slowly(b"")) for _request in itertools.count()
    ),
}


@pytest.fixture
def serve():
    """``serve(make_answer)`` returns host and port of a server that answers one request. Without an answer it does not even read it."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()
    threads = []

    def run(make_answer):
        connection = listener.accept()[0]
        with connection:
            if make_answer:
                connection.recv(65536)
                try:
                    for part in make_answer():
                        connection.sendall(part)
                        if ended.is_set():
                            return
                except OSError:
                    return
            ended.wait(10)

    def start(make_answer):
        threads.append(threading.Thread(target=run, args=(make_answer,), daemon=True))
        threads[-1].start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield start
    ended.set()
    for thread in threads:
        thread.join(5)
    listener.close()


def send(monkeypatch, host, text="{}"):
    monkeypatch.setattr(_sending, "TIMEOUT", 1)
    started = time.monotonic()
    (line,) = _sending.send(f"http://{host}/bulk?signature=s3cr3t", {"json": ("report.json", text)})
    assert time.monotonic() - started < 3
    assert "s3cr3t" not in line
    return line


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_server_that_never_ends_its_answer_does_not_hold_the_run(monkeypatch, serve, answer):
    host = serve(ANSWERS[answer])
    line = send(monkeypatch, host)
    assert NO_ANSWER.format(host) in line or "timed out" in line


def test_a_server_that_does_not_read_the_report_does_not_hold_the_run(monkeypatch, serve):
    host = serve(None)
    line = send(monkeypatch, host, "x" * 50_000_000)
    assert NO_ANSWER.format(host) in line or "timed out" in line


def test_a_huge_body_is_not_read(monkeypatch, serve):
    host = serve(lambda: itertools.chain([STARTED + b"Content-Length: 999999999999\r\n\r\n"], itertools.repeat(b"x" * 65536)))
    assert send(monkeypatch, host) == f"report, json: http://{host}/bulk/report.json"


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", STARTED + b"X: 1\r\n" * 200 + b"\r\n", b"HTTP/1.1 201 " + b"x" * 100_000])
def test_an_answer_that_is_not_http_is_named(monkeypatch, serve, answer):
    assert "The report could not be sent" in send(monkeypatch, serve(lambda: [answer]))


def test_without_a_thread_the_run_still_has_its_result(monkeypatch):
    def fail(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    assert "json: this machine cannot start another thread." in send(monkeypatch, "127.0.0.1:9")


@pytest.mark.parametrize("url", ["http://[192.0.2.1", "https://reports.example.com:port/"])
def test_text_that_is_not_a_url_is_neither_sent_nor_repeated(url):
    """A run validates it before. A report must never stop a run, whoever gives its URL."""
    assert list(_sending.secrets_of(url)) == []
    (line,) = _sending.send(url, {"json": ("report.json", "{}")})
    assert line.startswith("The report could not be sent: it is not a URL.")
    assert url not in line
