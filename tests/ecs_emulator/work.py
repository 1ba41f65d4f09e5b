# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A write that the service has accepted and carries out later, while the interface is busy with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Work:
    action: str
    eni_id: str
    token: str
    # Number of later writes on the interface until it takes effect. None: they do not matter.
    calls_left: int | None
    # Carries out the work, or fails it.
    end: Callable[[], None]
    over: bool = False

    def is_of(self, action: str, token: str) -> bool:
        """Whether a call with this ClientToken is a repeat of this work."""
        return bool(token) and (action, token) == (self.action, self.token)

    def count_call(self) -> None:
        """Note that another write on the interface got its reply."""
        if self.calls_left is not None and not self.over:
            self.calls_left -= 1
            if self.calls_left == 0:
                self.finish()

    def finish(self) -> None:
        if not self.over:
            self.over = True
            self.end()
