# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Log in with a role and a token of an identity provider (RRSA in a pod)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.method import (
    AuthMethod,
    Settings,
    SettingSource,
    providers,
    read_file,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.role_session import (
    ROLE_FORMS,
    SESSION_SETTINGS,
    session_arguments,
    sts_label,
    validate_policy,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import Transport

PROVIDER_ARN = re.compile(r"acs:ram::[0-9]+:oidc-provider/[\w.-]+")


class OidcRoleArn(AuthMethod):
    name = "oidc_role_arn"
    required = ("role_arn", "oidc_provider_arn", "oidc_token_file")
    optional = SESSION_SETTINGS
    triggers = ("oidc_provider_arn", "oidc_token_file")
    forms = {  # noqa: RUF012 (read only)
        **ROLE_FORMS,
        "oidc_provider_arn": (PROVIDER_ARN, "acs:ram::1000000000000001:oidc-provider/ack-rrsa-c1"),
    }

    def validate(self, source: SettingSource, settings: dict[str, str], errors: list[str]) -> None:
        paths = source.option_paths
        if "external_id" in source.settings:
            errors.append(f"{paths['external_id']}: cannot be combined with {paths['oidc_token_file']}; leave it out")
        file = settings["oidc_token_file"]
        if not read_file(file):
            # A text that is not a path may be the token itself, which must not be shown.
            shown = file if file.startswith(("/", "~", ".")) else "…"
            errors.append(f"{paths['oidc_token_file']}: '{shown}' cannot be read, or is empty; set the path of a file with the token")
        validate_policy(source, settings, errors)

    def host_label(self, settings: Settings, transport: Transport) -> str:
        return sts_label("AssumeRoleWithOIDC", transport)

    def provider(self, settings: Settings, transport: Transport, base: Any) -> Any:
        return providers().OIDCRoleArnCredentialsProvider(
            role_arn=settings["role_arn"],
            oidc_provider_arn=settings["oidc_provider_arn"],
            oidc_token_file_path=settings["oidc_token_file"],
            **session_arguments(settings, transport),
        )

    def secrets(self, settings: Settings) -> Iterator[str]:
        yield read_file(settings["oidc_token_file"])  # read again each time, because the token changes while the pod runs


OIDC_ROLE_ARN = OidcRoleArn()
