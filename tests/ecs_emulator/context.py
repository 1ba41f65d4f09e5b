# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an action works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ecs_emulator.call import Parameters
from ecs_emulator.errors import earlier_request_failed, refusal
from ecs_emulator.timeline import View
from ecs_emulator.world import World


@dataclass(frozen=True)
class Remembered:
    """What became of the request that came first with a ClientToken."""

    given: dict[str, str]
    # processing, done or failed
    state: str
    result: Any = None


@dataclass
class Context:
    world: World
    parameters: Parameters
    switches: Mapping[str, str]
    # What a read shows: usually what has become visible by now.
    view: View[Any]
    # Requests by action and ClientToken, kept from call to call.
    idempotent: dict[tuple[str, str], Remembered]
    # What the call really changed.
    effect: dict[str, Any] = field(default_factory=dict)
    # Ids of what exists and is not shown by this read.
    dropped: frozenset[str] = frozenset()

    def region(self, missing: str = "MissingParameter") -> str:
        region = self.parameters.required("RegionId", missing)
        if region not in self.world.regions:
            raise refusal("InvalidRegionId.MalFormed")
        return region

    def asked_again(self, action: str, token: str) -> Any:
        """The earlier result, if this call was made before with the same ClientToken."""
        known = self.idempotent.get((action, token)) if token else None
        if known is None:
            return None
        if known.given != self.parameters.meaningful():
            raise refusal("IdempotentFailed")
        if known.state == "processing":
            raise refusal("IdempotentProcessing")
        if known.state == "failed":
            raise earlier_request_failed()
        return known.result

    def remember(self, action: str, token: str, result: Any) -> None:
        if token:
            self.idempotent[action, token] = Remembered(self.parameters.meaningful(), "done", result)
