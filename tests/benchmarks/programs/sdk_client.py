# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start of each SDK script: a client with the settings of the environment."""

from __future__ import annotations

import os

from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.utils_models import Config

REGION = os.environ["ALIBABA_CLOUD_REGION_ID"]

client = Client(
    Config(
        access_key_id=os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"],
        access_key_secret=os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"],
        endpoint=os.environ["ALIBABA_CLOUD_ECS_ENDPOINT"].removeprefix("http://"),
        protocol="http",
        region_id=REGION,
    )
)
