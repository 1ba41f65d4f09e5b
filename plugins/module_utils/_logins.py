# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways to log in, one piece each: what it needs, whom it asks, and which provider of the SDK's credential library does it.

Private to this collection. The library fills whatever it is not given from variables it read when it was imported, so
each is given everything: nothing here may be left to a default of the library that looks around.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import Transport

METADATA_SERVICE = "100.100.100.200"
SESSION_NAME = "alicloud_ops.network"
SESSION_SECONDS = 3600
ROLE_SETTINGS = ("role_session_name", "role_session_expiration", "role_policy")

Settings = Mapping[str, str]  # by the names of our options, whatever they are called where they were read


@dataclass(frozen=True)
class Kind:
    """One way to log in. ``named_by``: the settings of which any one says that this kind is meant."""

    name: str
    needs: tuple[str, ...]
    may_have: tuple[str, ...]
    named_by: tuple[str, ...]
    asks: Callable[[Settings, Transport], str]
    provider: Callable[[Settings, Transport, Any], Any]


def _library() -> Any:
    from alibabacloud_credentials import provider

    return provider


def _over(transport: Transport, connect_timeout: int | None = None) -> Any:
    from alibabacloud_credentials.http import HttpOptions

    return HttpOptions(
        connect_timeout=1000 * (connect_timeout or transport.connect_timeout),
        read_timeout=1000 * transport.read_timeout,
    )


def _access_key(settings: Settings, transport: Transport, base: Any) -> Any:
    if "security_token" in settings:
        return _library().StaticSTSCredentialsProvider(**_only(settings, ACCESS_KEY))
    return _library().StaticAKCredentialsProvider(**_only(settings, ACCESS_KEY))


def _ram_role_arn(settings: Settings, transport: Transport, base: Any) -> Any:
    return _library().RamRoleArnCredentialsProvider(
        credentials_provider=base,
        role_arn=settings["role_arn"],
        external_id=settings.get("external_id", ""),
        **_session(settings, transport),
    )


def _oidc_role_arn(settings: Settings, transport: Transport, base: Any) -> Any:
    return _library().OIDCRoleArnCredentialsProvider(
        role_arn=settings["role_arn"],
        oidc_provider_arn=settings["oidc_provider_arn"],
        oidc_token_file_path=settings["oidc_token_file"],
        **_session(settings, transport),
    )


def _session(settings: Settings, transport: Transport) -> dict[str, Any]:
    return {
        "role_session_name": settings.get("role_session_name", SESSION_NAME),
        "duration_seconds": int(settings.get("role_session_expiration", SESSION_SECONDS)),
        "policy": settings.get("role_policy", ""),
        "sts_endpoint": transport.sts_endpoint,
        "http_options": _over(transport),
    }


def _ecs_ram_role(settings: Settings, transport: Transport, base: Any) -> Any:
    return _library().EcsRamRoleCredentialsProvider(
        role_name=settings.get("ecs_role_name", ""),  # '' asks the service, None would ask the variables
        disable_imds_v1=not transport.imds_v1,
        async_update_enabled=False,  # no thread of its own
        http_options=_over(transport, connect_timeout=1),  # a hop away, or not there
    )


def _credentials_uri(settings: Settings, transport: Transport, base: Any) -> Any:
    return _library().URLCredentialsProvider(uri=_with_port(settings["credentials_uri"]), http_options=_over(transport))


def _external(settings: Settings, transport: Transport, base: Any) -> Any:
    from alibabacloud_credentials.provider.external import ExternalCredentialsProvider

    return ExternalCredentialsProvider(process_command=settings["process_command"])


def _cloud_sso(settings: Settings, transport: Transport, base: Any) -> Any:
    return _library().CloudSSOCredentialsProvider(
        sign_in_url=_with_port(settings["cloud_sso_sign_in_url"]),
        account_id=settings["cloud_sso_account_id"],
        access_config=settings["cloud_sso_access_config"],
        access_token=settings["access_token"],
        access_token_expire=int(settings["cloud_sso_access_token_expire"]),
        http_options=_over(transport),
    )


def _only(settings: Settings, kind: Kind) -> dict[str, str]:
    return {name: settings[name] for name in (*kind.needs, *kind.may_have) if name in settings}


def _placed(uri: str, transport: Transport) -> str:
    """Its host alone: the rest may hold a secret."""
    parts = urlsplit(uri)
    return transport.place(parts.netloc) if parts.scheme == "https" else parts.netloc


def _with_port(uri: str) -> str:
    """Without one, the library would ask a port called None."""
    parts = urlsplit(uri)
    return parts._replace(netloc=f"{parts.hostname}:{parts.port or {'http': 80, 'https': 443}[parts.scheme]}").geturl()


def _sts(action: str) -> Callable[[Settings, Transport], str]:
    return lambda settings, transport: f"{action} at {transport.place(transport.sts_endpoint)}"


ACCESS_KEY = Kind(
    "access_key",
    ("access_key_id", "access_key_secret"),
    ("security_token",),
    named_by=("access_key_id", "access_key_secret", "security_token"),
    asks=lambda settings, transport: "nobody",
    provider=_access_key,
)
RAM_ROLE_ARN = Kind(
    "ram_role_arn",
    ("role_arn",),
    (*ROLE_SETTINGS, "external_id"),
    named_by=("role_arn", *ROLE_SETTINGS, "external_id"),
    asks=_sts("AssumeRole"),
    provider=_ram_role_arn,
)
OIDC_ROLE_ARN = Kind(
    "oidc_role_arn",
    ("role_arn", "oidc_provider_arn", "oidc_token_file"),
    ROLE_SETTINGS,
    named_by=("oidc_provider_arn", "oidc_token_file"),
    asks=_sts("AssumeRoleWithOIDC"),
    provider=_oidc_role_arn,
)
ECS_RAM_ROLE = Kind(
    "ecs_ram_role",
    (),
    ("ecs_role_name",),
    named_by=("ecs_role_name",),
    asks=lambda settings, transport: f"the metadata service {METADATA_SERVICE} (there on ECS instances only)",
    provider=_ecs_ram_role,
)
CREDENTIALS_URI = Kind(
    "credentials_uri",
    ("credentials_uri",),
    (),
    named_by=("credentials_uri",),
    asks=lambda settings, transport: f"the credentials URI on {_placed(settings['credentials_uri'], transport)}",
    provider=_credentials_uri,
)
# Only in profiles of the aliyun command line.
EXTERNAL = Kind(
    "external",
    ("process_command",),
    (),
    named_by=(),
    asks=lambda settings, transport: "the process_command of the profile",
    provider=_external,
)
CLOUD_SSO = Kind(
    "cloud_sso",
    ("cloud_sso_sign_in_url", "cloud_sso_account_id", "cloud_sso_access_config", "access_token", "cloud_sso_access_token_expire"),
    (),
    named_by=(),
    asks=lambda settings, transport: f"CloudSSO at {_placed(settings['cloud_sso_sign_in_url'], transport)}",
    provider=_cloud_sso,
)
