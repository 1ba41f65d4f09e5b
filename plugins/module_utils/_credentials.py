# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which key signs the calls: found in options, environment and profiles, and kept fresh while they are made.

Private to this collection. What is named wins, and is taken whole: an id from one place and a secret from another would
sign with a pair that nobody meant, and half a pair that fell through to the next place would be worse.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, quote_plus, urlsplit

from ansible_collections.alicloud_ops.network.plugins.module_utils._logins import (
    ACCESS_KEY,
    CREDENTIALS_URI,
    ECS_RAM_ROLE,
    OIDC_ROLE_ARN,
    RAM_ROLE_ARN,
    Kind,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._profiles import CLI_FILE, INI_FILE, Profile, ProfileError, read_profile
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import text_or_none
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import Cause, Transport, is_loopback, last_failure

# The kinds that can be named, in the order of the SDK's default chain; then the settings that name a profile.
KINDS = (ACCESS_KEY, OIDC_ROLE_ARN, ECS_RAM_ROLE, CREDENTIALS_URI)
PROFILE = ("profile", "credentials_file")
SETTINGS = tuple(dict.fromkeys((*RAM_ROLE_ARN.named_by, *(name for kind in KINDS for name in kind.named_by), *PROFILE)))

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

# What a value must look like, and an example. Values of secrets are never looked at, nor repeated.
FORMS = {
    "role_arn": (re.compile(r"acs:ram::[0-9]+:role/[\w.-]+"), "acs:ram::1000000000000001:role/network-operator"),
    "oidc_provider_arn": (re.compile(r"acs:ram::[0-9]+:oidc-provider/[\w.-]+"), "acs:ram::1000000000000001:oidc-provider/ack-rrsa-c1"),
    "external_id": (re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII), "partner-4711"),
    "role_session_name": (re.compile(r"[\w.@-]{2,64}", re.ASCII), "nightly-cleanup"),
    "role_session_expiration": (re.compile(r"9[0-9]{2}|[1-9][0-9]{3,4}"), "3600 (seconds, 900 or more)"),
    "ecs_role_name": (re.compile(r"[\w.-]{1,64}", re.ASCII), "network-operator"),
    "cloud_sso_access_token_expire": (re.compile(r"[0-9]{1,12}"), "1767225600 (seconds since 1970)"),
}
SECRETS = ("access_key_secret", "security_token", "access_token")
# Ansible masks a secret wherever its characters stand, in ids and numbers too. Real ones have 30 characters or more.
SHORTEST_MASKED = 16
MISMATCH = "the secret does not belong to this access_key_id"
METADATA_IS_OFF = "ALIBABA_CLOUD_ECS_METADATA_DISABLED"

# What the firmware of an ECS instance calls itself. Without it, asking the metadata service would only cost time.
PRODUCT_NAME = Path("/sys/class/dmi/id/product_name")
ECS_PRODUCT = "Alibaba Cloud ECS"


@dataclass(frozen=True)
class Place:
    """Where settings were read: what is set there, and what each setting is called there. ``disputed``: the spellings of
    those that are set twice, and differently."""

    source: str
    what: str
    names: Mapping[str, str]
    settings: Mapping[str, str] = field(repr=False)
    disputed: Mapping[str, str] = field(default_factory=dict)

    def has(self, settings: Iterable[str]) -> bool:
        return any(name in self.settings for name in settings)

    def called(self, settings: Iterable[str]) -> str:
        return " and ".join(self.names[name] for name in settings)


@dataclass(frozen=True)
class Login:
    """A way to log in that is complete. ``base`` is the login that a role is assumed with, ``profile`` where it stands."""

    kind: Kind
    source: str
    settings: Mapping[str, str] = field(repr=False)
    profile: Profile | None = None
    base: Login | None = None

    @property
    def chain(self) -> tuple[Login, ...]:
        """This one, what it is done with, and so on."""
        return (self, *(self.base.chain if self.base else ()))

    @property
    def profiles(self) -> tuple[Profile, ...]:
        return tuple(login.profile for login in self.chain if login.profile)

    def __str__(self) -> str:
        name = "sts" if self.kind is ACCESS_KEY and "security_token" in self.settings else self.kind.name
        return f"{name} from {self.source}" + (f", with {self.base}" if self.base and self.base.source != self.source else "")


def find_login(params: Mapping[str, Any], environ: Mapping[str, str], errors: list[str]) -> Login | None:
    """The login that is named, by options first; where nothing is named, the default chain. Half a one is a mistake."""
    before = len(errors)
    files = _Files(environ)
    role: Place | None = None
    login: Login | None = None
    places = tuple(_places(params, environ))
    for number, place in enumerate(places):
        named = [kind for kind in KINDS if place.has(kind.named_by)]
        ways = [*named, PROFILE] if place.has(PROFILE) else named
        if role is None and OIDC_ROLE_ARN not in named and place.has(RAM_ROLE_ARN.named_by):
            role = place
        if len(ways) > 1 and place.source == "options":
            each = (place.called(name for name in _named_by(way) if name in place.settings) for way in ways)
            errors.append(f"{' / '.join(each)}: these are different ways to log in; name one of them")
        elif ways:
            login = _complete(named[0], place, errors) if named else _named_profile(places[number:], files, errors)
        if ways:
            break
    else:
        login = _default_chain(environ, files, errors)
    if role:
        login = _complete(RAM_ROLE_ARN, role, errors, base=login)
    if login and _is_off(environ) and (asking := [each for each in login.chain if each.kind is ECS_RAM_ROLE]):
        errors.append(f"{METADATA_IS_OFF}: is true, but {asking[0]} would ask the metadata service; unset one of them")
    return login if len(errors) == before else None


def _named_by(way: Any) -> tuple[str, ...]:
    return way.named_by if isinstance(way, Kind) else way


def _places(params: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[Place]:
    yield _place("options", "option", OPTIONS, params)
    for variables in ENVIRONMENTS:
        yield _place("environment", "environment variable", variables, environ)


def _place(source: str, what: str, spellings: Mapping[str, Sequence[str]], given: Mapping[str, Any]) -> Place:
    names, settings, disputed = {name: name for name in SETTINGS}, {}, {}
    for name, spelled in spellings.items():
        texts = {spelling: text for spelling in spelled if (text := text_or_none(given.get(spelling)))}
        names[name] = next(iter(texts), spelled[0])
        if texts:
            settings[name] = texts[names[name]]
        if len(set(texts.values())) > 1:
            disputed[name] = " and ".join(texts)
    return Place(source, what, names, settings, disputed)


def _complete(
    kind: Kind,
    place: Place,
    errors: list[str],
    *,
    base: Login | None = None,
    profile: Profile | None = None,
    also: tuple[str, ...] = (),
) -> Login | None:
    """The login of this kind, from this place alone. ``also``: settings that this one can't do without."""
    needs = (*kind.needs, *also)
    absent = [name for name in needs if name not in place.settings]
    before = len(errors)
    if absent:
        present = [name for name in dict.fromkeys((*kind.named_by, *needs)) if name in place.settings]
        but = f", but {place.called(present)} {'are' if present[1:] else 'is'}" if present else ""
        errors.append(
            f"{place.names[absent[0]]}: this {place.what} is not set{but}; set {place.called(absent)} too"
            + (", or none of them" if place.what != "entry" else f" ({kind.name})")
        )
        return None
    settings = {name: place.settings[name] for name in (*needs, *kind.may_have) if name in place.settings}
    for name, text in settings.items():
        if name in place.disputed:
            errors.append(f"{place.disputed[name]}: these mean the same and are set to different values; set one of them")
        form, example = FORMS.get(name, (None, ""))
        if form and not form.fullmatch(text):
            errors.append(f"{place.names[name]}: '{text}' is not of the form {example}")
    if kind is OIDC_ROLE_ARN and "external_id" in place.settings:
        errors.append(f"{place.names['external_id']}: does not go with {place.names['oidc_token_file']}; leave it out")
    if kind is ACCESS_KEY and settings["access_key_id"].startswith("STS.") and "security_token" not in settings:
        but = f"{place.names['access_key_id']} is that of a temporary key, which takes one"
        errors.append(f"{place.names['security_token']}: this {place.what} is not set, but {but}")
    if "oidc_token_file" in settings and not _read(settings["oidc_token_file"]):
        # What is no path may be the token itself, which must not be repeated.
        file = settings["oidc_token_file"] if settings["oidc_token_file"].startswith(("/", "~", ".")) else "…"
        errors.append(f"{place.names['oidc_token_file']}: '{file}' can't be read, or is empty; give the path of a file with the token")
    if "role_policy" in settings:
        settings["role_policy"] = _parse_policy(place.names["role_policy"], settings["role_policy"], errors)
    if "credentials_uri" in settings:
        _check_uri(place.names["credentials_uri"], settings["credentials_uri"], errors)
    if "cloud_sso_sign_in_url" in settings:
        _check_uri(place.names["cloud_sso_sign_in_url"], settings["cloud_sso_sign_in_url"], errors, may_be_loopback=False)
    return Login(kind, place.source, settings, profile, base) if len(errors) == before else None


def _parse_policy(place: str, text: str, errors: list[str]) -> str:
    """Without a single space: the library signs them otherwise than STS does."""
    try:
        policy = json.loads(text)
    except ValueError:
        policy = None
    if not isinstance(policy, dict):
        errors.append(f"{place}: is not a policy, which is a JSON object with Version and Statement")
    return json.dumps(policy, separators=(",", ":")).replace(" ", "\\u0020")


def _check_uri(place: str, text: str, errors: list[str], *, may_be_loopback: bool = True) -> None:
    """It is not repeated in a message: it may hold a token."""
    uri: SplitResult | None = None
    port = -1
    with contextlib.suppress(ValueError):
        uri = urlsplit(text)
        port = uri.port or 0
    if uri is None or port < 0 or uri.scheme not in ("http", "https") or not uri.hostname:
        loopback = " or http://127.0.0.1:8080/network" if may_be_loopback else ""
        errors.append(f"{place}: is not a URI such as https://keys.example.com/network{loopback}")
    elif "@" in uri.netloc:
        errors.append(f"{place}: must not hold a user or a password, which would not be sent")
    elif ":" in uri.hostname:
        errors.append(f"{place}: an IPv6 address is more than the SDK can ask; give a host name or an IPv4 address")
    elif uri.scheme == "http" and not (may_be_loopback and is_loopback(uri.hostname)):
        loopback = "http:// is for loopback only, " if may_be_loopback else ""
        errors.append(f"{place}: would fetch a key in the clear from {uri.hostname}; {loopback}use https://")
    else:
        pairs = parse_qsl(uri.query, keep_blank_values=True)
        if not all(value for _name, value in pairs) or len(dict(pairs)) < len(pairs):
            errors.append(f"{place}: has a query in which a parameter is blank or comes twice, of which the SDK would send one or none")


class _Files:
    """Where profiles are looked for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        cli_is_off = environ.get("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "").lower() == "true"
        self.names = (INI_FILE,) if cli_is_off else (CLI_FILE, INI_FILE)
        try:
            self.home: Path | None = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
        except (KeyError, RuntimeError):
            self.home = None

    def find(self, name: str | None, file: str | None = None) -> Profile | None:
        found = (read_profile(candidate, name, self.home) for candidate in ((file,) if file else self.names))
        return next((profile for profile in found if profile and (name or file or not profile.is_blank)), None)


def profile_region(login: Login | None, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """The region of the profile that logs in; where none does, of the current one of the aliyun command line."""
    profiles = login.profiles if login else ()
    if not profiles:
        name = next((text for each in PROFILE_VARIABLES if (text := text_or_none(environ.get(each)))), None)
        files = _Files(environ)
        current = files.find(name, CLI_FILE) if CLI_FILE in files.names else None
        profiles = (current,) if current else ()
    return next(((f"region_id of {profile}", profile.region) for profile in profiles if profile.region), ("region", None))


def _named_profile(places: Sequence[Place], files: _Files, errors: list[str]) -> Login | None:
    """Its name and its file may stand in different places: the file says where to look, and not who logs in."""
    found = {setting: place for setting in PROFILE for place in reversed(places) if setting in place.settings}
    name, file = (found[setting].settings[setting] if setting in found else None for setting in PROFILE)
    called = " and ".join(place.names[setting] for setting, place in found.items())
    try:
        profile = files.find(name, file)
    except ProfileError as error:
        errors.append(f"{called}: {error}")
        return None
    if profile is None:
        which = f"profile {name}" if name else "default profile"
        errors.append(f"{called}: there is no {which} in {file or ' or '.join(files.names)}")
        return None
    return _from_profile(profile, files, errors)


def _from_profile(profile: Profile, files: _Files, errors: list[str], seen: tuple[str, ...] = ()) -> Login | None:
    """The login of a profile: one kind done with another, or with the login of its source_profile."""
    label = str(profile)
    names = {
        name: f"{profile.names.get(name, name)} of {label}"
        for name in (*SETTINGS, *(name for kind in profile.kinds for name in kind.needs))
    }
    settings = {name: profile.texts[called] for name in names if (called := profile.names.get(name, name)) in profile.texts}
    place = Place(label, "entry", names, settings)
    login: Login | None = None
    if not profile.kinds:
        errors.append(f"{label}: it has no {profile.lacking}")
        return None
    if profile.ends_at is not None and profile.ends_at <= time.time():
        errors.append(f"{label}: its {profile.mode} login has ended; log in anew with 'aliyun configure --profile {profile.name}'")
        return None
    if profile.mode == "ChainableRamRoleArn":
        try:
            source = files.find(profile.source_profile, profile.file) if profile.source_profile else None
        except ProfileError as error:
            errors.append(str(error))
            return None
        if source is None or source.name in (*seen, profile.name):
            errors.append(f"source_profile of {label}: is not the name of another profile there")
            return None
        login = _from_profile(source, files, errors, (*seen, profile.name))
        if login is None:
            return None
    for kind in profile.kinds:
        also = ("security_token",) if profile.needs_token and kind is ACCESS_KEY else ()
        login = _complete(kind, place, errors, base=login, profile=profile, also=also)
        if login is None:
            return None
    return login


def _default_chain(environ: Mapping[str, str], files: _Files, errors: list[str]) -> Login | None:
    """Nothing is named: the current profile, then the role of this ECS instance, if it is one."""
    try:
        profile = files.find(None)
    except ProfileError as error:
        errors.append(str(error))
        return None
    if profile:
        return _from_profile(profile, files, errors)
    is_off = _is_off(environ)
    if not is_off and _read(str(PRODUCT_NAME)) == ECS_PRODUCT:
        return Login(ECS_RAM_ROLE, "default chain", {})
    errors.append(
        "access_key_id: no credential is given. Set access_key_id and access_key_secret, or the environment variables "
        "ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or one of profile, role_arn with oidc_token_file, "
        f"ecs_role_name and credentials_uri. There is no current profile in {' or '.join(files.names)}, and "
        + (f"{METADATA_IS_OFF} is set" if is_off else "this does not look like an ECS instance")
    )
    return None


def _is_off(environ: Mapping[str, str]) -> bool:
    return environ.get(METADATA_IS_OFF, "").lower() == "true"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


class CredentialError(Exception):
    """No key could be had. Its text is safe to show."""


class Credential:
    """What the SDK asks for a key before each call, and a role's provider for the key of its base.

    Keeps a temporary key for three quarters of its life: the library would fetch a new one for each call in the last
    fifteen minutes, which is all the life of the shortest session.
    """

    def __init__(self, login: Login, transport: Transport) -> None:
        self.source = str(login)
        self._login = login
        self._transport = transport
        self._base = Credential(login.base, transport) if login.base else None
        self._provider: Any = None
        self._key: Any = None
        self._renew_at = self._ends_at = 0.0
        self._turn = threading.Lock()
        self._tell: Callable[[Iterable[str]], None] = lambda secrets: None

    def tell_secrets_to(self, listener: Callable[[Iterable[str]], None]) -> None:
        """``listener`` gets what must never be shown: at once what is known, and every new key before it is used."""
        self._tell = listener
        listener(_spellings(_secrets_of(self._login)))
        if self._base:
            self._base.tell_secrets_to(listener)

    def get_credential(self) -> Any:
        with self._turn:
            if self._key is None or time.time() >= self._renew_at:
                self._renew()
            return self._key

    get_credentials = get_credential  # as the library's providers call it

    def _renew(self) -> None:
        from alibabacloud_credentials.models import CredentialModel

        failure: Exception | None = None
        try:
            if self._login.kind is OIDC_ROLE_ARN:
                self._tell(_spellings([_read(self._login.settings["oidc_token_file"])]))
            got = self._provided()
            key_id, secret, token = got.get_access_key_id(), got.get_access_key_secret(), got.get_security_token() or ""
            if not (key_id and secret and all(isinstance(text, str) for text in (key_id, secret, token))):
                raise CredentialError(f"{self.source}: {self._asked()} gave a key of which a part is no text")
        except Exception as error:  # whatever the library raises holds URLs, signatures and replies
            failure = error
        if failure is not None:
            now = time.time()
            if now < self._ends_at:
                # The key at hand still counts. Asking again before each call would hold up all of them.
                self._renew_at = min(now + 60, (now + self._ends_at) / 2)
                return
            raise failure if isinstance(failure, CredentialError) else CredentialError(self._explain(failure))
        self._tell(_spellings((secret, token)))
        self._ends_at = got.get_expiration() or float("inf")
        self._renew_at = time.time() + 0.75 * (self._ends_at - time.time())
        self._key = CredentialModel(
            access_key_id=key_id,
            access_key_secret=secret,
            security_token=token or None,
            type="sts" if token else "access_key",
            provider_name=got.get_provider_name(),
        )

    def _provided(self) -> Any:
        if self._provider is None:
            self._provider = self._login.kind.provider(self._login.settings, self._transport, self._base)
            if self._transport.ca_bundle:
                # The library sends it along, but has no argument for it.
                getattr(self._provider, "_runtime_options", {})["ca"] = self._transport.ca_bundle
        return self._provider.get_credentials()

    def _asked(self) -> str:
        return self._login.kind.asks(self._login.settings, self._transport)

    def _explain(self, failure: Exception) -> str:
        """What the library raised, without the URL, the signature and the reply that are in its text."""
        text = str(getattr(failure, "message", failure))
        whom = self._asked()
        if type(failure).__name__ == "RetryError":
            return f"{self.source}: {whom}: {(last_failure() or Cause.OTHER).text}"
        status, code, request_id = (found.group(1) if (found := pattern.search(text)) else None for pattern in _TOLD)
        if status and status != "200":
            refused = f"{code} (HTTP status {status})" if code else f"HTTP status {status}"
            identified = f" [request id {request_id}]" if request_id else ""
            hint = f"; {_HINTS[code]}" if code in _HINTS else ""
            return f"{self.source}: {whom} refused with {refused}{hint}{identified}"
        if "No cached value" in text:
            return f"{self.source}: {whom} gave a key that has already expired"
        if "command" in text:
            return f"{self.source}: {whom} failed, or did not print a key"
        return f"{self.source}: {whom} did not answer with a key ({type(failure).__name__})"


# In the library's texts: HTTP status, and the code and request id of a reply of the service.
_TOLD = (
    re.compile(r"(?:http_?code)[:=]\s*([0-9]{3})", re.I),
    re.compile(r'"Code"\s*:\s*"([A-Za-z0-9._]+)"'),
    re.compile(r'"RequestId"\s*:\s*"([A-Za-z0-9-]+)"'),
)


_HINTS = {
    "NoPermission": "it takes the RAM action sts:AssumeRole, and a role that trusts the caller",
    "SignatureDoesNotMatch": MISMATCH,
}


def _secrets_of(login: Login) -> Iterator[str]:
    yield from (login.settings[name] for name in SECRETS if name in login.settings)
    if uri := login.settings.get("credentials_uri"):
        yield uri
        yield from (value for _name, value in parse_qsl(urlsplit(uri).query))


def _spellings(secrets: Iterable[str]) -> set[str]:
    """As they are, and as they would stand in a URL."""
    return {
        spelling
        for secret in secrets
        if len(secret) >= SHORTEST_MASKED
        for spelling in (secret, quote(secret, safe=""), quote(secret, safe="~"), quote_plus(secret))
    }
