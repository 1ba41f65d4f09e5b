# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Send a report to an object store or a web hook, so that it outlives the container of a job.

Private to this collection. A URL may hold a secret: a user and password, or the signature in its query. Messages show only its host
and path.
"""

from __future__ import annotations

import threading
import urllib.error
from collections.abc import Iterator, Mapping
from urllib.parse import quote, unquote, urlsplit

from ansible.module_utils.urls import open_url

from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import is_loopback, query_values, split_url

SHORTEST = 6  # length of the shortest secret that is masked in messages
TIMEOUT = 15  # seconds, for each of two files
TYPES = {"json": "application/json", "html": "text/html; charset=utf-8"}


def validate_url(url: str) -> None:
    """ValueError says what is wrong, without the URL, because it may hold a secret."""
    parts = split_url(url)
    if parts is None or parts.scheme not in ("https", "http") or not parts.hostname or parts.fragment:
        raise ValueError("it is not a URL such as https://reports.example.com/bulk/")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("http is allowed only for a loopback address, because a report shows what is in the account; use https")


def secrets_of(url: str) -> Iterator[str]:
    """The parts of a valid URL that nobody may see."""
    parts = urlsplit(url)
    texts = [parts.query, *query_values(url)] + [
        each for text in (parts.password, parts.username) if text for each in (text, unquote(text))
    ]
    # A short value, such as the 1 of part=1, is not a secret, and masking it would spoil other text.
    yield from (text for text in texts if len(text) >= SHORTEST)
    if parts.username or parts.query:
        yield url


def send(url: str, texts: Mapping[str, tuple[str, str]]) -> list[str]:
    """PUT each text to a valid URL; returns a line for each. ``texts``: kind (json, html) → (file name, text). It never raises."""
    return [_send_one(url, name, kind, text) for kind, (name, text) in texts.items()]


def _send_one(url: str, name: str, kind: str, text: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    path = f"{parts.path.rstrip('/')}/{quote(name)}"
    label = f"{parts.scheme}://{host}{path}"
    login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    target = parts._replace(netloc=host, path=path, fragment="").geturl()
    errors: list[str] = []
    # The timeout of a socket is for each wait, so a server that sends a byte each second would hold the run for hours. The thread ends
    # with the process.
    thread = threading.Thread(target=lambda: errors.append(_put(target, login, kind, text)), daemon=True)
    try:
        thread.start()
        thread.join(TIMEOUT)
    except RuntimeError:
        errors.append("this machine cannot start another thread")
    reason = errors[0] if errors else f"no complete answer within {TIMEOUT} s"
    if not reason:
        return f"report, {kind}: {label}"
    return f"The report could not be sent to {label}: {reason}. The result of the run does not depend on it."


def _put(target: str, login: tuple[str, str] | None, kind: str, text: str) -> str:
    """Returns why the text could not be sent, or ''."""
    try:
        answer = open_url(
            target,
            data=text.encode(),
            method="PUT",
            headers={"Content-Type": TYPES[kind]},
            timeout=TIMEOUT,
            url_username=login and login[0],
            url_password=login and login[1],
            force_basic_auth=bool(login),
            follow_redirects="none",  # a redirect would send the report and the credential to another host
        )
        answer.close()  # its body does not matter
    except urllib.error.HTTPError as error:
        return f"HTTP status {error.code}"
    except Exception as error:
        # Not the text of the error, which may have the URL.
        cause = getattr(error, "reason", error)
        return cause.strerror if isinstance(cause, OSError) and cause.strerror else type(cause).__name__
    return ""
