# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Profiles of the aliyun command line (JSON) and of the credentials file of the SDKs (INI). The files are never written.

Private to this collection. The SDK reads them too. But it takes missing entries from the environment, which may belong to another
account. It supports neither the regions of profiles nor all modes of the command line.
"""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.access_key import ACCESS_KEY
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.cloud_sso import CLOUD_SSO
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.credentials_uri import CREDENTIALS_URI
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.ecs_ram_role import ECS_RAM_ROLE
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.external import EXTERNAL
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.method import AuthMethod
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.oidc_role_arn import OIDC_ROLE_ARN
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.ram_role_arn import RAM_ROLE_ARN
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import text_or_none
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import is_true

PROFILE_SETTINGS = ("profile", "credentials_file")
CLI_FILE = "~/.aliyun/config.json"
INI_FILE = "~/.alibabacloud/credentials.ini"

# Mode of the command line → its methods. Each method uses the key of the method before it.
CLI_MODES: Mapping[str, tuple[AuthMethod, ...]] = {
    "AK": (ACCESS_KEY,),
    "StsToken": (ACCESS_KEY,),
    "RamRoleArn": (ACCESS_KEY, RAM_ROLE_ARN),
    "ChainableRamRoleArn": (RAM_ROLE_ARN,),  # with the key of its source_profile
    "EcsRamRole": (ECS_RAM_ROLE,),
    "RamRoleArnWithRoleName": (ECS_RAM_ROLE, RAM_ROLE_ARN),
    "OIDC": (OIDC_ROLE_ARN,),
    "CredentialsURI": (CREDENTIALS_URI,),
    "External": (EXTERNAL,),
    "CloudSSO": (CLOUD_SSO,),
    "OAuth": (ACCESS_KEY,),  # the temporary key that the last login stored, until it expires
}
INI_TYPES: Mapping[str, tuple[AuthMethod, ...]] = {
    "access_key": (ACCESS_KEY,),
    "sts": (ACCESS_KEY,),
    "ram_role_arn": (ACCESS_KEY, RAM_ROLE_ARN),
    "oidc_role_arn": (OIDC_ROLE_ARN,),
    "ecs_ram_role": (ECS_RAM_ROLE,),
    "credentials_uri": (CREDENTIALS_URI,),
}
# Setting → its name in the file, if it differs.
CLI_NAMES = {
    "security_token": "sts_token",
    "role_arn": "ram_role_arn",
    "role_session_name": "ram_session_name",
    "role_session_expiration": "expired_seconds",
    "role_policy": "policy",
    "ecs_role_name": "ram_role_name",
}
INI_NAMES = {"role_policy": "policy", "oidc_token_file": "oidc_token_file_path", "ecs_role_name": "role_name"}
METHODS = {method for modes in (CLI_MODES, INI_TYPES) for methods in modes.values() for method in methods}
TEMPORARY = ("StsToken", "OAuth", "sts")  # these need a security token


class ProfileError(Exception):
    """The file, or the profile in it, cannot be used. The text never has a value of the file."""


@dataclass(frozen=True)
class Profile:
    """``texts`` are the entries of the profile, ``names`` the names of our settings in it. ``lacking`` is the missing entry of a
    profile without methods."""

    name: str
    file: str
    methods: tuple[AuthMethod, ...]
    names: Mapping[str, str]
    texts: Mapping[str, str] = field(repr=False)
    mode: str = ""
    lacking: str = "mode"

    def __str__(self) -> str:
        return f"profile {self.name} of {self.file}"

    def entry(self, setting: str) -> str:
        """The name of a setting in this profile."""
        return self.names.get(setting, setting)

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
        """The time at which the login of a person ends (epoch seconds), for modes with such a login."""
        entry = {"OAuth": "sts_expiration", "CloudSSO": "cloud_sso_access_token_expire"}.get(self.mode)
        text = self.texts.get(entry, "0") if entry else ""
        return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else None

    @property
    def is_blank(self) -> bool:
        """Whether the profile has no part of a login. The command line creates such a profile before the user configures it."""
        settings = (name for method in METHODS for name in (*method.required, *method.optional))
        return self.methods in ((), (ACCESS_KEY,)) and not any(self.entry(name) in self.texts for name in settings)


class ProfileFiles:
    """The files that may have profiles."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.names = (INI_FILE,) if is_true(environ, "ALIBABA_CLOUD_CLI_PROFILE_DISABLED") else (CLI_FILE, INI_FILE)
        try:
            self.home: Path | None = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
        except (KeyError, RuntimeError):  # a user without an entry in the password file
            self.home = None

    def find(self, name: str | None, file: str | None = None) -> Profile | None:
        """The profile with this name, or without a name the current profile that was configured."""
        found = (read_profile(candidate, name, self.home) for candidate in ((file,) if file else self.names))
        return next((profile for profile in found if profile and (name or file or not profile.is_blank)), None)


def read_profile(file: str, name: str | None, home: Path | None) -> Profile | None:
    """The profile with this name, or without a name the current profile. None if the file or the profile does not exist."""
    path = _path(file, home)
    try:
        text = path.read_text(encoding="utf-8") if path else None
    except (FileNotFoundError, NotADirectoryError):
        text = None
    except (OSError, ValueError) as error:
        raise ProfileError(f"{file} cannot be read ({type(error).__name__})") from None
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
        raise ProfileError(f"{file}: the current profile {wanted} does not exist in this file; choose one with 'aliyun configure switch'")
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
    file: str, name: str, entries: Mapping[str, Any], mode_entry: str, modes: Mapping[str, tuple[AuthMethod, ...]], names: Mapping[str, str]
) -> Profile:
    # The command line writes 0 if a number is not set.
    texts = {key: text for key, value in entries.items() if (text := text_or_none(value)) not in (None, "0")}
    written = texts.get(mode_entry, "")
    mode = next((known for known in modes if known.lower() == written.lower()), written)
    if mode and mode not in modes:
        raise ProfileError(f"profile {name} of {file}: its {mode_entry} is not supported; set one of {', '.join(modes)}")
    return Profile(name, file, modes.get(mode, ()), names, texts, mode, f"{mode_entry}, such as {next(iter(modes))}")
