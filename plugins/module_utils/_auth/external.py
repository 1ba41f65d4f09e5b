# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Log in with a key that a command prints. Only a profile of the aliyun command line can set the command."""

from __future__ import annotations

from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.method import AuthMethod, Settings
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import Transport


class External(AuthMethod):
    name = "external"
    required = ("process_command",)
    no_key = "failed, or did not print a key"

    def host_label(self, settings: Settings, transport: Transport) -> str:
        return "the process_command of the profile"

    def provider(self, settings: Settings, transport: Transport, base: Any) -> Any:
        from alibabacloud_credentials.provider.external import ExternalCredentialsProvider

        return ExternalCredentialsProvider(process_command=settings["process_command"])


EXTERNAL = External()
