# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The context of an action."""

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
    """The outcome of the first request with a ClientToken."""

    given: dict[str, str]
    # processing, done or failed
    state: str
    result: Any = None


@dataclass
class Context:
    world: World
    parameters: Parameters
    switches: Mapping[str, str]
    # The state that a read shows, which may lag.
    view: View[Any]
    # Requests by action and ClientToken, kept from call to call.
    idempotent: dict[tuple[str, str], Remembered]
    # The real changes of the call.
    effect: dict[str, Any] = field(default_factory=dict)
    # Ids of existing records that this read does not show.
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
