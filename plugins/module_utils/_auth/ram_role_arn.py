# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Log in with a role, and the key of another way to log in."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.method import AuthMethod, Settings, SettingSource, providers
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.role_session import (
    ROLE_FORMS,
    SESSION_SETTINGS,
    session_arguments,
    sts_label,
    validate_policy,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import Transport


class RamRoleArn(AuthMethod):
    name = "ram_role_arn"
    required = ("role_arn",)
    optional = (*SESSION_SETTINGS, "external_id")
    triggers = (*required, *optional)
    forms = {**ROLE_FORMS, "external_id": (re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII), "partner-4711")}  # noqa: RUF012 (read only)

    def validate(self, source: SettingSource, settings: dict[str, str], errors: list[str]) -> None:
        validate_policy(source, settings, errors)

    def host_label(self, settings: Settings, transport: Transport) -> str:
        return sts_label("AssumeRole", transport)

    def provider(self, settings: Settings, transport: Transport, base: Any) -> Any:
        return providers().RamRoleArnCredentialsProvider(
            credentials_provider=base,
            role_arn=settings["role_arn"],
            external_id=settings.get("external_id", ""),
            **session_arguments(settings, transport),
        )


RAM_ROLE_ARN = RamRoleArn()
