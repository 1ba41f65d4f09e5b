# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that all plugins share: region, endpoint, credentials, pacing. Their spec, and the connection that they describe.

Private to this collection. Documented in ``doc_fragments/connection.py``. An option wins over environment variables. Both are
validated in the same way.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.choose import (
    PROFILE_VARIABLES,
    find_credential_spec,
    profile_region,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.credential import Credential
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.profiles import ProfileError
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.spec import CredentialSpec
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import text_or_none, validate_guards, validate_numbers
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import (
    Transport,
    host_name,
    is_loopback,
    is_true,
    parse_endpoint,
    validate_proxy,
)

REGION = re.compile(r"[a-z]{2,4}(-[a-z0-9]+)+")
LONGEST_TIMEOUT = 3600  # seconds; a socket has a limit too, which is much higher
MOST_AT_ONCE = 64  # threads with one connection each
LEAST_PACE = 4  # calls per minute, because a plan must be read and written within a minute
ACCOUNT_ID = re.compile(r"[0-9]{5,20}")
# In the order of the SDK, and in the order of requests.
PROXY, NO_PROXY = ("HTTPS_PROXY", "https_proxy"), ("no_proxy", "NO_PROXY")


def connection_spec() -> dict[str, dict[str, Any]]:
    """The argument spec of the shared options: types and choices only."""
    return {
        "region": {"type": "str", "aliases": ["region_id", "alicloud_region"]},
        "endpoint": {"type": "str"},
        "endpoint_type": {"type": "str"},
        "sts_endpoint": {"type": "str"},
        "ca_bundle": {"type": "path"},
        "connect_timeout": {"type": "int", "default": 5},
        "read_timeout": {"type": "int", "default": 10},
        "account_id": {"type": "str", "no_log": False},
        "access_key_id": {"type": "str", "aliases": ["access_key", "alicloud_access_key"], "no_log": False},
        "access_key_secret": {
            "type": "str",
            "aliases": ["secret_key", "secret_access_key", "alicloud_secret_key"],
            "no_log": True,
        },
        "security_token": {"type": "str", "aliases": ["alicloud_security_token"], "no_log": True},
        "role_arn": {"type": "str", "aliases": ["assume_role_arn", "alicloud_assume_role_arn"], "no_log": False},
        "role_session_name": {
            "type": "str",
            "aliases": ["assume_role_session_name", "alicloud_assume_role_session_name"],
            "no_log": False,
        },
        "role_session_expiration": {
            "type": "int",
            "aliases": ["assume_role_session_expiration", "alicloud_assume_role_session_expiration"],
            "no_log": False,
        },
        "role_policy": {"type": "json", "aliases": ["assume_role_policy"], "no_log": False},
        "external_id": {"type": "str", "no_log": False},
        "oidc_provider_arn": {"type": "str", "no_log": False},
        "oidc_token_file": {"type": "path", "no_log": False},
        "ecs_role_name": {"type": "str", "aliases": ["role_name"], "no_log": False},
        "disable_imds_v1": {"type": "bool"},
        "credentials_uri": {"type": "str", "no_log": True},
        "profile": {"type": "str", "no_log": False},
        "credentials_file": {"type": "path", "aliases": ["shared_credentials_file"], "no_log": False},
        "retry_timeout": {"type": "int", "default": 120},
        "max_concurrency": {"type": "int", "default": 8},
        "calls_per_minute": {"type": "int", "default": 300},
    }


@dataclass(frozen=True)
class Connection:
    """Endpoint, credential and pace of the calls. ``endpoint`` is host or host:port, or None for the public endpoint of the region."""

    region: str
    endpoint: str | None
    protocol: str
    credential: Credential
    transport: Transport = field(default_factory=Transport)
    account_id: str | None = None
    retry_timeout: float = 120
    max_concurrency: int = 8
    calls_per_minute: int = 300


def parse_connection(params: Mapping[str, Any], environ: Mapping[str, str], errors: list[str]) -> Connection | None:
    """The connection that options and environment describe. None if an error was added to ``errors``."""
    before = len(errors)
    ranges = {
        "retry_timeout": (0, None),
        "max_concurrency": (1, MOST_AT_ONCE),
        "calls_per_minute": (0, None),
        "connect_timeout": (1, LONGEST_TIMEOUT),
        "read_timeout": (1, LONGEST_TIMEOUT),
    }
    validate_numbers(params, ranges, errors)
    validate_guards(params, ("account_id",), errors)
    if 0 < params["calls_per_minute"] < LEAST_PACE:
        errors.append(
            f"calls_per_minute: {params['calls_per_minute']} is too slow, because plans would age before their calls; "
            f"set {LEAST_PACE} or more, or 0 for no limit"
        )
    spec = find_credential_spec(params, environ, errors)
    is_vpc = _parse_endpoint_type(params, environ, errors)
    region = _parse_region(params, environ, spec, errors)
    protocol, endpoint = _parse_endpoint(params, environ, errors)
    if endpoint is None and is_vpc:
        # The SDK would use its table of dedicated regions first, which has only public endpoints.
        endpoint = f"ecs-vpc.{region}.aliyuncs.com"
    proxy_path, proxy = first_given({}, "", environ, *PROXY)
    transport = Transport(
        sts_endpoint=_parse_sts_endpoint(params, environ, region, is_vpc, errors),
        connect_timeout=params["connect_timeout"],
        read_timeout=params["read_timeout"],
        ca_bundle=_parse_ca_bundle(params, errors),
        imds_v1=not _is_imds_v1_disabled(params, environ),
        proxy=proxy,
        no_proxy=first_given({}, "", environ, *NO_PROXY)[1] or "",
    )
    if proxy and protocol == "https" and transport.proxy_for(endpoint or f"ecs.{region}.aliyuncs.com"):
        validate_proxy(proxy_path, proxy, errors)
    account_id = _parse_account_id(params, environ, errors)
    if len(errors) > before or not region or not spec:
        return None
    pacing = {name: params[name] for name in ("retry_timeout", "max_concurrency", "calls_per_minute")}
    return Connection(region, endpoint, protocol, Credential(spec, transport), transport, account_id, **pacing)


def first_given(params: Mapping[str, Any], option: str, environ: Mapping[str, str], *variables: str) -> tuple[str, str | None]:
    """Option path and value of the option, or else of the first variable that is set. If nothing is set, the option and None."""
    for path, value in ((option, params.get(option)), *((variable, environ.get(variable)) for variable in variables)):
        text = text_or_none(value)
        if text is not None:
            return path, text
    return option, None


def _is_imds_v1_disabled(params: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    option: bool | None = params["disable_imds_v1"]
    return is_true(environ, "ALIBABA_CLOUD_IMDSV1_DISABLED") if option is None else option


def _parse_region(params: Mapping[str, Any], environ: Mapping[str, str], spec: CredentialSpec | None, errors: list[str]) -> str | None:
    path, region = first_given(params, "region", environ, "ALIBABA_CLOUD_REGION_ID", "ALICLOUD_REGION", "ALICLOUD_REGION_ID")
    try:
        if region is None:
            path, region = profile_region(spec, environ)
    except ProfileError as error:
        if not any(str(error) in known for known in errors):
            errors.append(f"region: no region is set, and {error}")
        return None
    # If the profile cannot be used, its error is enough, because the profile may have a region.
    if region is None and (spec or not first_given(params, "profile", environ, *PROFILE_VARIABLES)[1]):
        errors.append("region: no region is set; set region or ALIBABA_CLOUD_REGION_ID, or log in with a profile that has a region")
    validate_region(path, region, errors)
    return region


def validate_region(option_path: str, region: str | None, errors: list[str]) -> None:
    """A region becomes part of a host name, so any other text could send a signed request to another host."""
    if region is not None and not REGION.fullmatch(region):
        errors.append(f"{option_path}: '{region}' is not a region id such as cn-hangzhou")


def _parse_endpoint_type(params: Mapping[str, Any], environ: Mapping[str, str], errors: list[str]) -> bool:
    path, text = first_given(params, "endpoint_type", environ, "ALIBABA_CLOUD_ENDPOINT_TYPE")
    kind = (text or "public").lower()
    if kind not in ("public", "vpc"):
        errors.append(f"{path}: '{text}' is not an endpoint type; set public or vpc")
    return kind == "vpc"


def _parse_sts_endpoint(params: Mapping[str, Any], environ: Mapping[str, str], region: str | None, is_vpc: bool, errors: list[str]) -> str:
    """Always https. By default the endpoint for all regions."""
    path, text = first_given(params, "sts_endpoint", environ, "ALIBABA_CLOUD_STS_ENDPOINT", "ALICLOUD_STS_ENDPOINT")
    if text is not None:
        protocol, endpoint = parse_endpoint(path, text, "sts.cn-hangzhou.aliyuncs.com", errors)
        if protocol == "http":
            errors.append(f"{path}: '{text}' would fetch a key without encryption; use https://")
        return endpoint or ""
    path, sts_region = first_given({}, "", environ, "ALIBABA_CLOUD_STS_REGION")
    validate_region(path, sts_region, errors)
    is_vpc = is_vpc or is_true(environ, "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED")
    if is_vpc or sts_region:
        return f"{'sts-vpc' if is_vpc else 'sts'}.{sts_region or region}.aliyuncs.com"
    return "sts.aliyuncs.com"


def _parse_ca_bundle(params: Mapping[str, Any], errors: list[str]) -> str | None:
    text = text_or_none(params["ca_bundle"])
    if text is not None:
        try:
            ssl.create_default_context(cafile=text)
        except (OSError, ValueError):
            errors.append(f"ca_bundle: '{text}' cannot be read, or has no certificate; set the path of a PEM file")
    return text


def _parse_account_id(params: Mapping[str, Any], environ: Mapping[str, str], errors: list[str]) -> str | None:
    path, text = first_given(params, "account_id", environ, "ALIBABA_CLOUD_ACCOUNT_ID", "ALICLOUD_ACCOUNT_ID")
    if text is not None and not ACCOUNT_ID.fullmatch(text):
        errors.append(f"{path}: '{text}' is not an account id such as 1000000000000001")
    return text


def _parse_endpoint(params: Mapping[str, Any], environ: Mapping[str, str], errors: list[str]) -> tuple[str, str | None]:
    path, text = first_given(params, "endpoint", environ, "ALIBABA_CLOUD_ECS_ENDPOINT", "ALICLOUD_ECS_ENDPOINT")
    if text is None:
        return "https", None
    protocol, endpoint = parse_endpoint(path, text, "ecs.cn-hangzhou.aliyuncs.com", errors)
    if protocol == "http" and endpoint and not is_loopback(host_name(endpoint)):
        errors.append(f"{path}: '{text}' would send signed calls without encryption; use https:// (http:// is for loopback addresses only)")
    return protocol, endpoint
