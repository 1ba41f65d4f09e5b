# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of all calls, with their real effect."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass
class CallRecord:
    sequence: int
    time: str
    action: str
    # Whether the action changes something.
    writes: bool
    parameters: dict[str, str]
    caller: str = ""
    # Both are empty until the call has ended. The status stays empty if the connection was cut.
    status: int | None = None
    code: str = ""
    request_id: str = ""
    effect: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    by_others: list[dict[str, Any]] = field(default_factory=list)
    # The sequence number of the call that this one repeats, byte for byte, because of a fault.
    repeats: int | None = None
    duration_ms: float | None = None


class CallLog:
    def __init__(self) -> None:
        self._records: list[CallRecord] = []
        self._started: dict[int, float] = {}

    def begin(self, action: str, writes: bool, parameters: dict[str, str], request_id: str, repeats: int | None = None) -> CallRecord:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        record = CallRecord(len(self._records) + 1, now, action, writes, parameters, request_id=request_id, repeats=repeats)
        self._started[record.sequence] = time.monotonic()
        self._records.append(record)
        return record

    def end(self, record: CallRecord) -> None:
        record.duration_ms = round((time.monotonic() - self._started.pop(record.sequence)) * 1000, 3)

    def select(self, action: str = "", since: int = 0, writes: bool | None = None) -> list[dict[str, Any]]:
        return [
            asdict(record)
            for record in self._records[since:]
            if (not action or record.action == action) and (writes is None or record.writes == writes)
        ]
