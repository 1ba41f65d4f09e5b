# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all ways to log in have in common.

Private to this collection. The SDK's credential library fills whatever it is not given from environment variables that it
read when it was imported. So every argument of a provider is given, and none is left to a default of the library.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import Transport

Settings = Mapping[str, str]  # by the names of our options, whatever they are called where they were read
Form = tuple[re.Pattern[str], str]  # what a value must look like, and an example


@dataclass(frozen=True)
class SettingSource:
    """Where settings were read: the options, the environment or a profile."""

    label: str
    noun: str  # what a setting is there: option, environment variable or entry
    option_paths: Mapping[str, str]  # the name of each setting there, for messages
    settings: Settings = field(repr=False)
    conflicts: Mapping[str, str] = field(default_factory=dict)  # setting → its spellings that have different values

    def has(self, names: Iterable[str]) -> bool:
        return any(name in self.settings for name in names)

    def paths(self, names: Iterable[str]) -> str:
        return " and ".join(self.option_paths[name] for name in names)


class AuthMethod(ABC):
    """One way to log in."""

    name: ClassVar[str]
    required: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[tuple[str, ...]] = ()
    triggers: ClassVar[tuple[str, ...]] = ()  # any of these settings selects the method; none if only a profile can
    forms: ClassVar[Mapping[str, Form]] = {}
    no_key: ClassVar[str] = "did not answer with a key"  # said of the host if it gave no key and no error that can be read

    def title(self, settings: Settings) -> str:
        return self.name

    def validate(self, source: SettingSource, settings: dict[str, str], errors: list[str]) -> None:
        """Add what is wrong with ``settings``, beyond presence and form. May replace a value by its normal form."""
        return

    @abstractmethod
    def host_label(self, settings: Settings, transport: Transport) -> str:
        """What is asked for the key, for messages."""

    @abstractmethod
    def provider(self, settings: Settings, transport: Transport, base: Any) -> Any:
        """The provider of the credential library. ``base`` serves the key that a role is assumed with."""

    def secrets(self, settings: Settings) -> Iterator[str]:
        """What must never be shown, beside the key."""
        yield from ()


def providers() -> Any:
    """The credential library, imported late, because it takes a third of a second."""
    from alibabacloud_credentials import provider

    return provider


def http_options(transport: Transport, connect_timeout: int | None = None) -> Any:
    from alibabacloud_credentials.http import HttpOptions

    return HttpOptions(
        connect_timeout=1000 * (connect_timeout or transport.connect_timeout),
        read_timeout=1000 * transport.read_timeout,
    )


def read_file(path: str) -> str:
    """Its stripped text; '' if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
