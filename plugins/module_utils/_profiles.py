# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Named profiles of the aliyun command line (JSON) and of the SDKs' credentials file (INI), read and never written.

Private to this collection. The SDK reads them too, but fills what a profile lacks from the environment, which may be
another account's, and knows neither their regions nor all modes of the command line.
"""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._logins import (
    ACCESS_KEY,
    CLOUD_SSO,
    CREDENTIALS_URI,
    ECS_RAM_ROLE,
    EXTERNAL,
    OIDC_ROLE_ARN,
    RAM_ROLE_ARN,
    Kind,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import text_or_none

CLI_FILE = "~/.aliyun/config.json"
INI_FILE = "~/.alibabacloud/credentials.ini"

# Mode of the command line → the kinds that it comes to; all but the last are what the last one is done with.
CLI_MODES: Mapping[str, tuple[Kind, ...]] = {
    "AK": (ACCESS_KEY,),
    "StsToken": (ACCESS_KEY,),
    "RamRoleArn": (ACCESS_KEY, RAM_ROLE_ARN),
    "ChainableRamRoleArn": (RAM_ROLE_ARN,),  # done with its source_profile
    "EcsRamRole": (ECS_RAM_ROLE,),
    "RamRoleArnWithRoleName": (ECS_RAM_ROLE, RAM_ROLE_ARN),
    "OIDC": (OIDC_ROLE_ARN,),
    "CredentialsURI": (CREDENTIALS_URI,),
    "External": (EXTERNAL,),
    "CloudSSO": (CLOUD_SSO,),
    "OAuth": (ACCESS_KEY,),  # the temporary key that the last login left there, while it lasts
}
INI_TYPES: Mapping[str, tuple[Kind, ...]] = {
    "access_key": (ACCESS_KEY,),
    "sts": (ACCESS_KEY,),
    "ram_role_arn": (ACCESS_KEY, RAM_ROLE_ARN),
    "oidc_role_arn": (OIDC_ROLE_ARN,),
    "ecs_ram_role": (ECS_RAM_ROLE,),
    "credentials_uri": (CREDENTIALS_URI,),
}
# What the two files call our settings, where they call them otherwise.
CLI_NAMES = {
    "security_token": "sts_token",
    "role_arn": "ram_role_arn",
    "role_session_name": "ram_session_name",
    "role_session_expiration": "expired_seconds",
    "role_policy": "policy",
    "ecs_role_name": "ram_role_name",
}
INI_NAMES = {"role_policy": "policy", "oidc_token_file": "oidc_token_file_path", "ecs_role_name": "role_name"}
KINDS = {kind for modes in (CLI_MODES, INI_TYPES) for kinds in modes.values() for kind in kinds}
TEMPORARY = ("StsToken", "OAuth", "sts")  # these need a security token


class ProfileError(Exception):
    """The file, or the profile in it, can't be used. Never holds a value of it."""


@dataclass(frozen=True)
class Profile:
    """``kinds`` from the inside out. ``texts`` are the entries of the profile as they stand, ``lacking`` is what it lacks
    where it has no mode."""

    name: str
    file: str
    kinds: tuple[Kind, ...]
    names: Mapping[str, str]
    texts: Mapping[str, str] = field(repr=False)
    mode: str = ""
    lacking: str = "mode"

    def __str__(self) -> str:
        return f"profile {self.name} of {self.file}"

    @property
    def region(self) -> str | None:
        return self.texts.get("region_id")

    @property
    def source_profile(self) -> str | None:
        return self.texts.get("source_profile") if self.mode == "ChainableRamRoleArn" else None

    @property
    def needs_token(self) -> bool:
        return self.mode in TEMPORARY

    @property
    def ends_at(self) -> int | None:
        """When the login that a person made ends (epoch seconds), for the modes that have such a one."""
        entry = {"OAuth": "sts_expiration", "CloudSSO": "cloud_sso_access_token_expire"}.get(self.mode)
        text = self.texts.get(entry, "0") if entry else ""
        return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else None

    @property
    def is_blank(self) -> bool:
        """As the command line leaves a profile that was never configured: nothing in it is of a login, not even half of one."""
        settings = (name for kind in KINDS for name in (*kind.needs, *kind.may_have))
        return self.kinds in ((), (ACCESS_KEY,)) and not any(self.names.get(name, name) in self.texts for name in settings)


def read_profile(file: str, name: str | None, home: Path | None) -> Profile | None:
    """The profile of that name; of no name the current one. None where file or profile does not exist."""
    path = _path(file, home)
    try:
        text = path.read_text(encoding="utf-8") if path else None
    except (FileNotFoundError, NotADirectoryError):
        text = None
    except (OSError, ValueError) as error:
        raise ProfileError(f"{file} can't be read ({type(error).__name__})") from None
    if text is None:
        return None
    is_json = file == CLI_FILE or text.lstrip().startswith("{")
    return (_from_json if is_json else _from_ini)(file, text, name)


def _path(file: str, home: Path | None) -> Path | None:
    if not file.startswith("~/"):
        return Path(file)
    return home / file[2:] if home else None


def _from_json(file: str, text: str, name: str | None) -> Profile | None:
    try:
        config = json.loads(text)
        wanted = name or text_or_none(config.get("current"))
        entries = next((entry for entry in config.get("profiles") or () if wanted and entry.get("name") == wanted), None)
    except (ValueError, AttributeError, TypeError):
        raise ProfileError(f"{file} is not a configuration of the aliyun command line") from None
    if wanted and entries:
        return _make(file, wanted, entries, "mode", CLI_MODES, CLI_NAMES)
    if wanted and not name:
        raise ProfileError(f"{file}: its current profile is {wanted}, which it has not; choose one with 'aliyun configure switch'")
    return None


def _from_ini(file: str, text: str, name: str | None) -> Profile | None:
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=("#",))
    try:
        parser.read_string(text)
    except configparser.Error:
        raise ProfileError(f"{file} is not an INI file") from None
    wanted = name or "default"
    return _make(file, wanted, parser[wanted], "type", INI_TYPES, INI_NAMES) if parser.has_section(wanted) else None


def _make(
    file: str, name: str, entries: Mapping[str, Any], mode_entry: str, modes: Mapping[str, tuple[Kind, ...]], names: Mapping[str, str]
) -> Profile:
    # The command line writes 0 for a number that is not set.
    texts = {key: text for key, value in entries.items() if (text := text_or_none(value)) not in (None, "0")}
    told = texts.get(mode_entry, "")
    mode = next((known for known in modes if known.lower() == told.lower()), told)
    if mode and mode not in modes:
        raise ProfileError(f"profile {name} of {file}: its {mode_entry} is not supported; supported are {', '.join(modes)}")
    return Profile(name, file, modes.get(mode, ()), names, texts, mode, f"{mode_entry}, such as {next(iter(modes))}")
