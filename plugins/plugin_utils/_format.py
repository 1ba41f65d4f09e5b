# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: the form of counts, times, states and lines in a report and in the output.

Private to this collection.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

MOST_LINES = 20  # of one kind in the output; the report has all
MOST_EXAMPLES = 5  # addresses that a line names as examples
MOST_BYTES = 1_000  # of one line: AWX shows the first 1,024 bytes of an event

# Characters that break a line, control a terminal, or reverse text; and surrogates, which no file can hold.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


def label(state: str) -> str:
    return state.replace("_", " ")


def many(number: int, one: str, more: str = "") -> str:
    return f"{number} {one if number == 1 else more or one + ('es' if one.endswith('s') else 's')}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error about a name that is not known."""
    similar = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {similar[0]}?" if similar else ""


def format_examples(entry: Mapping[str, Any]) -> str:
    """The first addresses of a reason and the number of further ones: ``eni-1 10.0.0.1, eni-1 10.0.0.2 and 3 more``."""
    more = entry["addresses"] - len(entry["first"])
    return ", ".join(entry["first"]) + (f" and {more} more" if more > 0 else "")


def format_duration(seconds: float) -> str:
    """In the two units that matter: ``40 s``, ``4 min``, ``2 h 10 min``."""
    if round(seconds) < 60:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def parse_time(text: Any) -> datetime | None:
    """ISO 8601 with a time zone; None for anything else."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else None


def seconds_between(started: str, finished: str) -> int:
    """Between two times of the wall clock, which somebody may have set back."""
    if not started or not finished:
        return 0
    return max(int((datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()), 0)


def fold_lines(lines: Iterable[str], continued: str = "") -> list[str]:
    """Lines that AWX shows whole. A line that is too long is cut, at a space if it has one."""
    folded = []
    for line in lines:
        rest = clean(line)
        while len(rest.encode()) > MOST_BYTES:
            head = rest.encode()[:MOST_BYTES].decode(errors="ignore")
            at = head.rstrip().rfind(" ")
            at = at if head[:at].strip() else len(head)
            folded.append(rest[:at] + continued)
            rest = "    " + rest[at:].lstrip()
        folded.append(rest)
    return folded


def clean(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text)
