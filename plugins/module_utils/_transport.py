# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How calls reach a host, for the API and for what hands out keys: timeouts, certificates, proxies, and why they failed.

Private to this collection. Pure: it decides, and its users do.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

# The text of a failed connection comes from deep within and may hold a URL, so only what it means is passed on.
REDIRECTED = "the call was redirected, which is not followed"
CAUSES = (
    (re.compile(r"redirect", re.I), REDIRECTED),
    (re.compile(r"refused", re.I), "connection refused"),
    (re.compile(r"resolve|getaddrinfo|name or service|nodename", re.I), "the host name is not known"),
    (re.compile(r"certificate|ssl|tls", re.I), "TLS failed: the certificate or protocol was not accepted"),
    (re.compile(r"proxy|socks", re.I), "the proxy did not connect"),
    (re.compile(r"timed? ?out", re.I), "no answer in time"),
    (re.compile(r"reset|aborted|closed|broken pipe|incomplete", re.I), "the connection was closed before the reply was whole"),
)


# Causes after which nothing can have reached the host.
NOT_EVEN_CONNECTED = ("connection refused", "the host name is not known")


def cause_of(text: object) -> str:
    """What the text of a failed connection means, without the text."""
    return next((meaning for pattern, meaning in CAUSES if pattern.search(str(text))), "the connection failed")


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
