# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A way to log in with all its settings, complete and valid."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.method import AuthMethod, Settings, SettingSource
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.profiles import Profile


@dataclass(frozen=True)
class CredentialSpec:
    """``source`` is the source of the settings, and ``profile`` the profile, if any. ``base`` logs in first, and provides the key to
    assume a role."""

    method: AuthMethod
    source: str
    settings: Settings = field(repr=False)
    profile: Profile | None = None
    base: CredentialSpec | None = None

    @property
    def chain(self) -> tuple[CredentialSpec, ...]:
        """This spec, its base, the base of its base, and so on."""
        return (self, *(self.base.chain if self.base else ()))

    @property
    def profiles(self) -> tuple[Profile, ...]:
        return tuple(spec.profile for spec in self.chain if spec.profile)

    def __str__(self) -> str:
        base = f", with {self.base}" if self.base and self.base.source != self.source else ""
        return f"{self.method.title(self.settings)} from {self.source}{base}"


def make_spec(
    method: AuthMethod,
    source: SettingSource,
    errors: list[str],
    *,
    base: CredentialSpec | None = None,
    profile: Profile | None = None,
    also_required: tuple[str, ...] = (),
) -> CredentialSpec | None:
    """All settings come from one source, because an id and a secret from different sources do not belong together."""
    required = (*method.required, *also_required)
    absent = [name for name in required if name not in source.settings]
    if absent:
        errors.append(_incomplete(method, source, required, absent))
        return None
    before = len(errors)
    settings = {name: source.settings[name] for name in (*required, *method.optional) if name in source.settings}
    for name, text in settings.items():
        if name in source.conflicts:
            errors.append(f"{source.conflicts[name]}: these mean the same, but have different values; set only one of them")
        form, example = method.forms.get(name, (None, ""))
        if form and not form.fullmatch(text):
            errors.append(f"{source.option_paths[name]}: '{text}' is not valid; an example is {example}")
    method.validate(source, settings, errors)
    return CredentialSpec(method, source.label, settings, profile, base) if len(errors) == before else None


def _incomplete(method: AuthMethod, source: SettingSource, required: tuple[str, ...], absent: list[str]) -> str:
    present = [name for name in dict.fromkeys((*method.triggers, *required)) if name in source.settings]
    but = f", but {source.paths(present)} {'are' if present[1:] else 'is'}" if present else ""
    end = f" ({method.name})" if source.noun == "entry" else ", or none of them"
    return f"{source.option_paths[absent[0]]}: this {source.noun} is not set{but}; set {source.paths(absent)} too{end}"
