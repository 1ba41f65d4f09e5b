# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Log in with a key that a URI returns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.method import (
    AuthMethod,
    Settings,
    SettingSource,
    http_options,
    providers,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import Transport, query_values, validate_uri, with_port


class CredentialsUri(AuthMethod):
    name = "credentials_uri"
    required = ("credentials_uri",)
    triggers = ("credentials_uri",)

    def validate(self, source: SettingSource, settings: dict[str, str], errors: list[str]) -> None:
        validate_uri(source.option_paths["credentials_uri"], settings["credentials_uri"], errors)

    def host_label(self, settings: Settings, transport: Transport) -> str:
        return f"the credentials URI on {transport.uri_label(settings['credentials_uri'])}"

    def provider(self, settings: Settings, transport: Transport, base: Any) -> Any:
        return providers().URLCredentialsProvider(uri=with_port(settings["credentials_uri"]), http_options=http_options(transport))

    def secrets(self, settings: Settings) -> Iterator[str]:
        yield settings["credentials_uri"]
        yield from query_values(settings["credentials_uri"])


CREDENTIALS_URI = CredentialsUri()
