# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the endpoint knows about a run, as a few numbers: calls, throttled calls, addresses left, writes in each window."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections import Counter
from datetime import datetime
from typing import Any


def ask(what: str) -> Any:
    with urllib.request.urlopen(f"{sys.argv[1]}/_emulator/{what}", timeout=60) as reply:  # noqa: S310 (our own endpoint)
        return json.load(reply)


def main() -> None:
    calls = ask("calls")
    window = ask("settings")["settings"]["window_seconds"]
    writes = [call for call in calls if call["writes"]]
    done = [call for call in writes if call["effect"]]
    in_window = Counter(int(datetime.fromisoformat(call["time"]).timestamp() // window) for call in done)
    print(
        json.dumps(
            {
                "calls": len(calls),
                "throttled": sum("Throttling" in call["code"] for call in calls),
                "writes": len(writes),
                "done_in_each_window": [in_window[number] for number in sorted(in_window)],
                "left": sum(len(interface["private_ip_addresses"]) for interface in ask("state")["interfaces"].values()),
            }
        )
    )


main()
