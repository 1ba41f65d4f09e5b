# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Log in with the role of the ECS instance that the module runs on."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.method import AuthMethod, Settings, http_options, providers
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import Transport

METADATA_SERVICE = "100.100.100.200"


class EcsRamRole(AuthMethod):
    name = "ecs_ram_role"
    optional = ("ecs_role_name",)
    triggers = ("ecs_role_name",)
    forms = {"ecs_role_name": (re.compile(r"[\w.-]{1,64}", re.ASCII), "network-operator")}  # noqa: RUF012 (read only)

    def host_label(self, settings: Settings, transport: Transport) -> str:
        return f"the metadata service {METADATA_SERVICE} (it exists on ECS instances only)"

    def provider(self, settings: Settings, transport: Transport, base: Any) -> Any:
        return providers().EcsRamRoleCredentialsProvider(
            role_name=settings.get("ecs_role_name", ""),  # '' asks the service; None would use the environment
            disable_imds_v1=not transport.imds_v1,
            async_update_enabled=False,  # without a thread of the library
            http_options=http_options(transport, connect_timeout=1),  # a short timeout, because the service is near or does not exist
        )


ECS_RAM_ROLE = EcsRamRole()
