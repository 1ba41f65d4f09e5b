# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The common base of all ways to log in.

Private to this collection. The credential library takes missing arguments from environment variables, as they were when it was
imported. So each provider gets all its arguments.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import Transport

Settings = Mapping[str, str]  # by the names of our options, also for variables and profiles
Form = tuple[re.Pattern[str], str]  # form of a value, and an example


@dataclass(frozen=True)
class SettingSource:
    """A source of settings: the options, the environment or a profile."""

    label: str
    noun: str  # what messages call a setting of this source: option, environment variable or entry
    option_paths: Mapping[str, str]  # setting → its name in this source, for messages
    settings: Settings = field(repr=False)
    conflicts: Mapping[str, str] = field(default_factory=dict)  # setting → its variables with different values

    def has(self, names: Iterable[str]) -> bool:
        return any(name in self.settings for name in names)

    def paths(self, names: Iterable[str]) -> str:
        return " and ".join(self.option_paths[name] for name in names)


class AuthMethod(ABC):
    """One way to log in."""

    name: ClassVar[str]
    required: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[tuple[str, ...]] = ()
    triggers: ClassVar[tuple[str, ...]] = ()  # each of these settings selects the method; empty if only a profile can select it
    forms: ClassVar[Mapping[str, Form]] = {}
    no_key: ClassVar[str] = "did not return a key"  # message about the host, if its reply has neither a key nor a readable error

    def title(self, settings: Settings) -> str:
        return self.name

    def validate(self, source: SettingSource, settings: dict[str, str], errors: list[str]) -> None:
        """Add errors other than missing settings and wrong forms. May replace a value with its normal form."""
        return

    @abstractmethod
    def host_label(self, settings: Settings, transport: Transport) -> str:
        """The host or program that issues the key, for messages."""

    @abstractmethod
    def provider(self, settings: Settings, transport: Transport, base: Any) -> Any:
        """The provider of the credential library. ``base`` provides the key to assume a role."""

    def secrets(self, settings: Settings) -> Iterator[str]:
        """Secrets other than the key, which must never be shown."""
        yield from ()


def providers() -> Any:
    """The credential library. It is imported late, because the import takes a third of a second."""
    from alibabacloud_credentials import provider

    return provider


def http_options(transport: Transport, connect_timeout: int | None = None) -> Any:
    from alibabacloud_credentials.http import HttpOptions

    return HttpOptions(
        connect_timeout=1000 * (connect_timeout or transport.connect_timeout),
        read_timeout=1000 * transport.read_timeout,
    )


def read_file(path: str) -> str:
    """The stripped text of the file. '' if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
