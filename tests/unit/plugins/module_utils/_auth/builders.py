# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys, roles and profiles that find a credential."""

from __future__ import annotations

import json
import time
from pathlib import Path

OPTIONS = {"access_key_id": "id-1", "access_key_secret": "not-shown-1-not-shown"}
NEW = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "id-2", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "not-shown-2"}
OLD = {"ALICLOUD_ACCESS_KEY": "id-3", "ALICLOUD_SECRET_KEY": "not-shown-3"}
ROLE = "acs:ram::1000000000000001:role/operator"
IDP = "acs:ram::1000000000000001:oidc-provider/ack-rrsa-c1"
LATER, EARLIER = int(time.time()) + 3600, int(time.time()) - 3600


def cli_file(home: Path, *profiles: dict, current: str = "default") -> None:
    (home / ".aliyun").mkdir(exist_ok=True)
    named = [{"name": "default", **profile} for profile in profiles]
    (home / ".aliyun" / "config.json").write_text(json.dumps({"current": current, "profiles": named}))


def ini_file(home: Path, text: str) -> None:
    (home / ".alibabacloud").mkdir(exist_ok=True)
    (home / ".alibabacloud" / "credentials.ini").write_text(text)


AK = {"mode": "AK", "access_key_id": "id-4", "access_key_secret": "not-shown-4", "region_id": "cn-beijing"}
URI = "credentials_uri"
