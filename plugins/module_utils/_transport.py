# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How calls reach a host, for the API and for what hands out keys: timeouts, certificates, proxies, and why they failed.

Private to this collection. Pure: it decides, and its users do.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

# The text of a failed connection comes from deep within and may hold a URL, so only what it means is passed on.
CAUSES = (
    (re.compile(r"refused", re.I), "connection refused"),
    (re.compile(r"resolve|getaddrinfo|name or service|nodename", re.I), "the host name is not known"),
    (re.compile(r"certificate|ssl|tls", re.I), "TLS failed: the certificate or protocol was not accepted"),
    (re.compile(r"proxy", re.I), "the proxy did not connect"),
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
    """Timeouts are seconds. The SDK takes HTTPS_PROXY but ignores NO_PROXY, so who goes through it is decided here.

    Plain HTTP is for loopback and for the metadata service only, so it never goes through a proxy.
    """

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


def proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """The part of a Transport that comes from the environment; upper case first, as the SDK reads it."""
    return {
        "proxy": environ.get("HTTPS_PROXY") or environ.get("https_proxy") or "",
        "no_proxy": environ.get("NO_PROXY") or environ.get("no_proxy") or "",
    }
