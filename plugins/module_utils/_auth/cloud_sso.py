# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Log in with CloudSSO, with the access token that the aliyun command line stored in a profile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.method import (
    AuthMethod,
    Settings,
    SettingSource,
    http_options,
    providers,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import Transport, validate_uri, with_port


class CloudSso(AuthMethod):
    name = "cloud_sso"
    required = ("cloud_sso_sign_in_url", "cloud_sso_account_id", "cloud_sso_access_config", "access_token", "cloud_sso_access_token_expire")
    forms = {"cloud_sso_access_token_expire": (re.compile(r"[0-9]{1,12}"), "1767225600 (seconds since 1970)")}  # noqa: RUF012 (read only)

    def validate(self, source: SettingSource, settings: dict[str, str], errors: list[str]) -> None:
        validate_uri(source.option_paths["cloud_sso_sign_in_url"], settings["cloud_sso_sign_in_url"], errors, may_be_loopback=False)

    def host_label(self, settings: Settings, transport: Transport) -> str:
        return f"CloudSSO at {transport.uri_label(settings['cloud_sso_sign_in_url'])}"

    def provider(self, settings: Settings, transport: Transport, base: Any) -> Any:
        return providers().CloudSSOCredentialsProvider(
            sign_in_url=with_port(settings["cloud_sso_sign_in_url"]),
            account_id=settings["cloud_sso_account_id"],
            access_config=settings["cloud_sso_access_config"],
            access_token=settings["access_token"],
            access_token_expire=int(settings["cloud_sso_access_token_expire"]),
            http_options=http_options(transport),
        )

    def secrets(self, settings: Settings) -> Iterator[str]:
        yield settings["access_token"]


CLOUD_SSO = CloudSso()
