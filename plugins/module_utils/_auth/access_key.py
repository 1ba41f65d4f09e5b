# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Log in with an AccessKey: a permanent one, or a temporary one with its security token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.method import AuthMethod, Settings, SettingSource, providers
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import Transport


class AccessKey(AuthMethod):
    name = "access_key"
    required = ("access_key_id", "access_key_secret")
    optional = ("security_token",)
    triggers = ("access_key_id", "access_key_secret", "security_token")

    def title(self, settings: Settings) -> str:
        return "sts" if "security_token" in settings else self.name

    def validate(self, source: SettingSource, settings: dict[str, str], errors: list[str]) -> None:
        if settings["access_key_id"].startswith("STS.") and "security_token" not in settings:
            paths = source.option_paths
            errors.append(
                f"{paths['security_token']}: this {source.noun} is not set, but {paths['access_key_id']} is the id of a temporary key, "
                "which needs its security token"
            )

    def host_label(self, settings: Settings, transport: Transport) -> str:  # pragma: no cover - a given key comes from no host
        return "no host"

    def provider(self, settings: Settings, transport: Transport, base: Any) -> Any:
        arguments = {name: settings[name] for name in (*self.required, *self.optional) if name in settings}
        if "security_token" in settings:
            return providers().StaticSTSCredentialsProvider(**arguments)
        return providers().StaticAKCredentialsProvider(**arguments)

    def secrets(self, settings: Settings) -> Iterator[str]:
        yield from (settings[name] for name in ("access_key_secret", "security_token") if name in settings)


ACCESS_KEY = AccessKey()
