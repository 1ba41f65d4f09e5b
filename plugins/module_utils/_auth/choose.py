# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Choose the credential that signs the calls: from options, then from the environment, then from profiles, then from the default chain.

Private to this collection. A credential comes completely from one source, because an id and a secret from different sources do not
belong together. An incomplete credential is an error. The next source is then not tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.access_key import ACCESS_KEY
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.credentials_uri import CREDENTIALS_URI
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.ecs_ram_role import ECS_RAM_ROLE
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.method import SettingSource, read_file
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.oidc_role_arn import OIDC_ROLE_ARN
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.profile_login import named_profile, spec_of_profile
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.profiles import (
    CLI_FILE,
    PROFILE_SETTINGS,
    ProfileError,
    ProfileFiles,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.ram_role_arn import RAM_ROLE_ARN
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.spec import CredentialSpec, make_spec
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import text_or_none
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import is_true

# The methods that options and variables can select, in the order of the default chain of the SDK.
METHODS = (ACCESS_KEY, OIDC_ROLE_ARN, ECS_RAM_ROLE, CREDENTIALS_URI)
SETTINGS = tuple(dict.fromkeys((*RAM_ROLE_ARN.triggers, *(name for method in METHODS for name in method.triggers), *PROFILE_SETTINGS)))

OPTIONS = {name: (name,) for name in SETTINGS}
# The variables of the SDKs and of the aliyun command line; then those of Terraform and of alibaba.alicloud.
ENVIRONMENTS: tuple[Mapping[str, tuple[str, ...]], ...] = (
    {
        "access_key_id": ("ALIBABA_CLOUD_ACCESS_KEY_ID",),
        "access_key_secret": ("ALIBABA_CLOUD_ACCESS_KEY_SECRET",),
        "security_token": ("ALIBABA_CLOUD_SECURITY_TOKEN",),
        "role_arn": ("ALIBABA_CLOUD_ROLE_ARN",),
        "role_session_name": ("ALIBABA_CLOUD_ROLE_SESSION_NAME",),
        "external_id": ("ALIBABA_CLOUD_EXTERNAL_ID",),
        "oidc_provider_arn": ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN",),
        "oidc_token_file": ("ALIBABA_CLOUD_OIDC_TOKEN_FILE",),
        "ecs_role_name": ("ALIBABA_CLOUD_ECS_METADATA",),
        "credentials_uri": ("ALIBABA_CLOUD_CREDENTIALS_URI",),
        "profile": ("ALIBABA_CLOUD_PROFILE",),
        "credentials_file": ("ALIBABA_CLOUD_CREDENTIALS_FILE",),
    },
    {
        "access_key_id": ("ALICLOUD_ACCESS_KEY", "ALICLOUD_ACCESS_KEY_ID"),
        "access_key_secret": ("ALICLOUD_SECRET_KEY", "ALICLOUD_SECRET_ACCESS_KEY", "ALICLOUD_ACCESS_KEY_SECRET"),
        "security_token": ("ALICLOUD_SECURITY_TOKEN",),
        "role_arn": ("ALICLOUD_ASSUME_ROLE_ARN",),
        "role_session_name": ("ALICLOUD_ASSUME_ROLE_SESSION_NAME",),
        "role_session_expiration": ("ALICLOUD_ASSUME_ROLE_SESSION_EXPIRATION",),
        "ecs_role_name": ("ALICLOUD_ECS_ROLE_NAME",),
        "profile": ("ALICLOUD_PROFILE",),
        "credentials_file": ("ALICLOUD_SHARED_CREDENTIALS_FILE",),
    },
)
PROFILE_VARIABLES = tuple(name for variables in ENVIRONMENTS for name in variables["profile"])
METADATA_IS_OFF = "ALIBABA_CLOUD_ECS_METADATA_DISABLED"

# The firmware of an ECS instance has this product name. On other machines, a request to the metadata service would only cost time.
PRODUCT_NAME = Path("/sys/class/dmi/id/product_name")
ECS_PRODUCT = "Alibaba Cloud ECS"


def find_credential_spec(params: Mapping[str, Any], environ: Mapping[str, str], errors: list[str]) -> CredentialSpec | None:
    """The credential that is set, or else the credential of the default chain. None if an error was added to ``errors``."""
    before = len(errors)
    files = ProfileFiles(environ)
    role: SettingSource | None = None
    spec: CredentialSpec | None = None
    sources = tuple(_sources(params, environ))
    for number, source in enumerate(sources):
        named = [method for method in METHODS if source.has(method.triggers)]
        ways = [method.triggers for method in named] + ([PROFILE_SETTINGS] if source.has(PROFILE_SETTINGS) else [])
        if role is None and OIDC_ROLE_ARN not in named and source.has(RAM_ROLE_ARN.triggers):
            role = source
        if len(ways) > 1 and source.label == "options":
            each = (source.paths(name for name in way if name in source.settings) for way in ways)
            errors.append(f"{' / '.join(each)}: these are different ways to log in; set only one of them")
        elif ways:
            spec = make_spec(named[0], source, errors) if named else named_profile(sources[number:], files, errors)
        if ways:
            break
    else:
        spec = _default_chain(environ, files, errors)
    if role:
        spec = make_spec(RAM_ROLE_ARN, role, errors, base=spec)
    if spec and is_true(environ, METADATA_IS_OFF) and (asking := [each for each in spec.chain if each.method is ECS_RAM_ROLE]):
        errors.append(f"{METADATA_IS_OFF}: is true, but {asking[0]} needs the metadata service; unset one of them")
    return spec if len(errors) == before else None


def profile_region(spec: CredentialSpec | None, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """Option path and region of the profile that logs in, or else of the current profile of the aliyun command line."""
    profiles = spec.profiles if spec else ()
    if not profiles:
        name = next((text for each in PROFILE_VARIABLES if (text := text_or_none(environ.get(each)))), None)
        files = ProfileFiles(environ)
        current = files.find(name, CLI_FILE) if CLI_FILE in files.names else None
        profiles = (current,) if current else ()
    return next(((f"region_id of {profile}", profile.region) for profile in profiles if profile.region), ("region", None))


def _sources(params: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[SettingSource]:
    yield _source("options", "option", OPTIONS, params)
    for variables in ENVIRONMENTS:
        yield _source("environment", "environment variable", variables, environ)


def _source(label: str, noun: str, spellings: Mapping[str, Sequence[str]], given: Mapping[str, Any]) -> SettingSource:
    paths, settings, conflicts = {name: name for name in SETTINGS}, {}, {}
    for name, spelled in spellings.items():
        texts = {spelling: text for spelling in spelled if (text := text_or_none(given.get(spelling)))}
        paths[name] = next(iter(texts), spelled[0])
        if texts:
            settings[name] = texts[paths[name]]
        if len(set(texts.values())) > 1:
            conflicts[name] = " and ".join(texts)
    return SettingSource(label, noun, paths, settings, conflicts)


def _default_chain(environ: Mapping[str, str], files: ProfileFiles, errors: list[str]) -> CredentialSpec | None:
    """The credential if nothing is set: the current profile, then the role of this ECS instance."""
    try:
        profile = files.find(None)
    except ProfileError as error:
        errors.append(str(error))
        return None
    if profile:
        return spec_of_profile(profile, files, errors)
    is_off = is_true(environ, METADATA_IS_OFF)
    if not is_off and read_file(str(PRODUCT_NAME)) == ECS_PRODUCT:
        return CredentialSpec(ECS_RAM_ROLE, "default chain", {})
    errors.append(
        "access_key_id: no credential is set. Set access_key_id and access_key_secret, or the environment variables "
        "ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET. Or set one of profile, ecs_role_name, credentials_uri, and "
        f"role_arn with oidc_token_file. There is no current profile in {' or '.join(files.names)}, and "
        + (f"{METADATA_IS_OFF} is set" if is_off else "this machine does not look like an ECS instance")
    )
    return None
