# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that every plugin shares: region, endpoint, credentials, pacing. Their spec, and what they come to.

Private to this collection. Documented in ``doc_fragments/connection.py``. The option comes first, then the environment,
both through the same validation.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.alicloud_ops.network.plugins.module_utils._credentials import AccessKey, find_access_key
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import at_least, text_or_none

REGION = re.compile(r"[a-z]{2,4}(-[a-z0-9]+)+")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")


def connection_spec() -> dict[str, dict[str, Any]]:
    """The shared part of an argument spec: types and choices only."""
    return {
        "region": {"type": "str", "aliases": ["region_id", "alicloud_region"]},
        "endpoint": {"type": "str"},
        "access_key_id": {"type": "str", "aliases": ["access_key", "alicloud_access_key"], "no_log": False},
        "access_key_secret": {"type": "str", "aliases": ["secret_key", "alicloud_secret_key"], "no_log": True},
        "security_token": {"type": "str", "aliases": ["alicloud_security_token"], "no_log": True},
        "retry_timeout": {"type": "int", "default": 120},
        "max_concurrency": {"type": "int", "default": 8},
        "calls_per_minute": {"type": "int", "default": 300},
    }


@dataclass(frozen=True)
class Connection:
    """Where the calls go, as whom, and how fast. ``endpoint`` is host:port, or None for the region's own."""

    region: str
    endpoint: str | None
    protocol: str
    access_key: AccessKey
    retry_timeout: float = 120
    max_concurrency: int = 8
    calls_per_minute: int = 300


def parse_connection(params: Mapping[str, Any], environ: Mapping[str, str], mistakes: list[str]) -> Connection | None:
    """The connection that options and environment come to; None where something was added to ``mistakes``."""
    before = len(mistakes)
    at_least(params, {"retry_timeout": 0, "max_concurrency": 1, "calls_per_minute": 0}, mistakes)
    region = _parse_region(params, environ, mistakes)
    protocol, endpoint = _parse_endpoint(params, environ, mistakes)
    access_key = find_access_key(params, environ, mistakes)
    if len(mistakes) > before or not region or not access_key:
        return None
    pacing = {name: params[name] for name in ("retry_timeout", "max_concurrency", "calls_per_minute")}
    return Connection(region, endpoint, protocol, access_key, **pacing)


def first_given(params: Mapping[str, Any], option: str, environ: Mapping[str, str], *variables: str) -> tuple[str, str | None]:
    """The place and value of the first that is set; the option's name and None where none is."""
    for place, value in ((option, params.get(option)), *((variable, environ.get(variable)) for variable in variables)):
        text = text_or_none(value)
        if text is not None:
            return place, text
    return option, None


def _parse_region(params: Mapping[str, Any], environ: Mapping[str, str], mistakes: list[str]) -> str | None:
    place, region = first_given(params, "region", environ, "ALIBABA_CLOUD_REGION_ID", "ALICLOUD_REGION")
    if region is None:
        place, region = "the region_id of the CLI profile", _profile_region(environ)
    if region is None:
        mistakes.append(
            "region: no region is given; set region, or ALIBABA_CLOUD_REGION_ID, or a region in the current profile of the aliyun CLI"
        )
    elif not REGION.fullmatch(region):
        # It becomes part of a host name: anything else here could send a signed request elsewhere.
        mistakes.append(f"{place}: '{region}' is not a region id such as cn-hangzhou")
    return region


def _profile_region(environ: Mapping[str, str]) -> str | None:
    """The region of the aliyun CLI's profile. The SDK never reads it. A file that can't be read tells no region."""
    if environ.get("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "").lower() == "true":
        return None
    try:
        config = json.loads(Path(environ.get("HOME") or "~").expanduser().joinpath(".aliyun", "config.json").read_text(encoding="utf-8"))
        wanted = text_or_none(environ.get("ALIBABA_CLOUD_PROFILE")) or config.get("current")
        return next((text_or_none(profile.get("region_id")) for profile in config["profiles"] if profile.get("name") == wanted), None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _parse_endpoint(params: Mapping[str, Any], environ: Mapping[str, str], mistakes: list[str]) -> tuple[str, str | None]:
    place, text = first_given(params, "endpoint", environ, "ALIBABA_CLOUD_ECS_ENDPOINT")
    if text is None:
        return "https", None
    example = "give a host, host:port or URL such as https://ecs.cn-hangzhou.aliyuncs.com"
    try:
        url = urlsplit(text if "://" in text else f"https://{text}")
        port = url.port
    except ValueError:
        mistakes.append(f"{place}: '{text}' is not an endpoint; {example}")
        return "https", None
    if url.username is not None or url.password is not None:
        # Not repeated: what stands before the @ may be a password.
        mistakes.append(f"{place}: must not hold a user or a password; {example}")
    elif (
        url.scheme not in ("http", "https")
        or not HOST.fullmatch(url.netloc.removesuffix(f":{port}"))
        or url.path.strip("/")
        or url.query
        or url.fragment
    ):
        mistakes.append(f"{place}: '{text}' is not an endpoint; {example}")
    elif url.scheme == "http" and not _is_loopback(url.hostname or ""):
        mistakes.append(f"{place}: '{text}' would send signed calls in the clear; http:// is for loopback only, use https://")
    return url.scheme, url.netloc


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
