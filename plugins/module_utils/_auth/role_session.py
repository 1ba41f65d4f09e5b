# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings and validation that are common to all ways to assume a role."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.method import Form, Settings, SettingSource, http_options
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import Transport

SESSION_SETTINGS = ("role_session_name", "role_session_expiration", "role_policy")
SESSION_NAME = "alicloud_ops.network"
SESSION_SECONDS = 3600
ROLE_FORMS: Mapping[str, Form] = {
    "role_arn": (re.compile(r"acs:ram::[0-9]+:role/[\w.-]+"), "acs:ram::1000000000000001:role/network-operator"),
    "role_session_name": (re.compile(r"[\w.@-]{2,64}", re.ASCII), "nightly-cleanup"),
    "role_session_expiration": (re.compile(r"9[0-9]{2}|[1-9][0-9]{3,4}"), "3600 (seconds, 900 or more)"),
}


def validate_policy(source: SettingSource, settings: dict[str, str], errors: list[str]) -> None:
    """Replace the policy with one without spaces, because the library and STS sign spaces differently."""
    if "role_policy" not in settings:
        return
    try:
        policy = json.loads(settings["role_policy"])
    except ValueError:
        policy = None
    if not isinstance(policy, dict):
        errors.append(f"{source.option_paths['role_policy']}: is not a policy; set a JSON object with Version and Statement")
    settings["role_policy"] = json.dumps(policy, separators=(",", ":")).replace(" ", "\\u0020")


def session_arguments(settings: Settings, transport: Transport) -> dict[str, Any]:
    return {
        "role_session_name": settings.get("role_session_name", SESSION_NAME),
        "duration_seconds": int(settings.get("role_session_expiration", SESSION_SECONDS)),
        "policy": settings.get("role_policy", ""),
        "sts_endpoint": transport.sts_endpoint,
        "http_options": http_options(transport),
    }


def sts_label(action: str, transport: Transport) -> str:
    return f"{action} at {transport.host_label(transport.sts_endpoint)}"
