# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One record over time: its real state now, and the state that a read shows, which may lag."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
KEEP = 16


class Version(NamedTuple, Generic[T]):
    changed_at: float
    seen_from: float
    value: T | None


class Timeline(Generic[T]):
    """The value None means that the record is deleted."""

    def __init__(self, value: T) -> None:
        self._versions: list[Version[T]] = [Version(float("-inf"), float("-inf"), value)]

    @property
    def now(self) -> T | None:
        return self._versions[-1].value

    def put(self, value: T | None, changed_at: float, seen_from: float) -> None:
        # A later change never becomes visible before an earlier one.
        seen_from = max(seen_from, self._versions[-1].seen_from)
        self._versions.append(Version(changed_at, seen_from, value))
        while len(self._versions) > KEEP and self._versions[1].seen_from <= changed_at:
            del self._versions[0]

    def seen(self, at: float) -> T | None:
        return next((version.value for version in reversed(self._versions) if version.seen_from <= at), self._versions[0].value)

    def as_of(self, at: float) -> T | None:
        return next((version.value for version in reversed(self._versions) if version.changed_at <= at), self._versions[0].value)

    def before_last(self) -> T | None:
        return self._versions[max(len(self._versions) - 2, 0)].value


View = Callable[[Timeline[T]], T | None]
