# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The credential of a profile. Its method may need the key of another method, or of another profile."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.access_key import ACCESS_KEY
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.method import SettingSource
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.profiles import (
    PROFILE_SETTINGS,
    Profile,
    ProfileError,
    ProfileFiles,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.spec import CredentialSpec, make_spec


def named_profile(sources: Sequence[SettingSource], files: ProfileFiles, errors: list[str]) -> CredentialSpec | None:
    """Name and file of a profile may come from different sources, because the file does not decide who logs in."""
    found = {setting: source for setting in PROFILE_SETTINGS for source in reversed(sources) if setting in source.settings}
    name, file = (found[setting].settings[setting] if setting in found else None for setting in PROFILE_SETTINGS)
    paths = " and ".join(source.option_paths[setting] for setting, source in found.items())
    try:
        profile = files.find(name, file)
    except ProfileError as error:
        errors.append(f"{paths}: {error}")
        return None
    if profile is None:
        which = f"profile {name}" if name else "default profile"
        errors.append(f"{paths}: there is no {which} in {file or ' or '.join(files.names)}")
        return None
    return spec_of_profile(profile, files, errors)


def spec_of_profile(profile: Profile, files: ProfileFiles, errors: list[str], seen: tuple[str, ...] = ()) -> CredentialSpec | None:
    """``seen``: the chain of profiles whose source_profile leads to this one."""
    if not profile.methods:
        errors.append(f"{profile}: it has no {profile.lacking}")
        return None
    if profile.ends_at is not None and profile.ends_at <= time.time():
        errors.append(f"{profile}: its {profile.mode} login has ended; log in again with 'aliyun configure --profile {profile.name}'")
        return None
    spec: CredentialSpec | None = None
    if profile.mode == "ChainableRamRoleArn":
        spec = _source_profile(profile, files, errors, seen)
        if spec is None:
            return None
    source = _settings_of(profile)
    for method in profile.methods:
        also_required = ("security_token",) if profile.needs_token and method is ACCESS_KEY else ()
        spec = make_spec(method, source, errors, base=spec, profile=profile, also_required=also_required)
        if spec is None:
            return None
    return spec


def _source_profile(profile: Profile, files: ProfileFiles, errors: list[str], seen: tuple[str, ...]) -> CredentialSpec | None:
    try:
        source = files.find(profile.source_profile, profile.file) if profile.source_profile else None
    except ProfileError as error:
        errors.append(str(error))
        return None
    if source is None or source.name in (*seen, profile.name):
        errors.append(f"source_profile of {profile}: is not the name of another profile in this file")
        return None
    return spec_of_profile(source, files, errors, (*seen, profile.name))


def _settings_of(profile: Profile) -> SettingSource:
    names = dict.fromkeys(
        name for method in profile.methods for name in (*method.triggers, *method.required, *method.optional, "external_id")
    )
    paths = {name: f"{profile.entry(name)} of {profile}" for name in (*names, "security_token")}
    settings = {name: profile.texts[entry] for name in paths if (entry := profile.entry(name)) in profile.texts}
    return SettingSource(str(profile), "entry", paths, settings)
