# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: a large value as one short text, which AWX can pass to a later job.

Private to this collection. The text is a prefix and the base64 of the compressed JSON. Ansible templates each value of a nested
variable, and AWX stores it, so a text is cheaper than the value itself.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from typing import Any

PREFIX = "secondary-ips-zlib:"
MOST_BYTES = 256 * 1024 * 1024  # of the JSON: a small text can stand for any amount of memory


def pack(value: Any) -> str:
    """One line of ASCII without quotes and braces, so no template, no YAML and no shell takes it for anything else."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return PREFIX + base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def is_packed(text: str) -> bool:
    return text.lstrip().startswith(PREFIX)


def unpack(text: str, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> list[Any]:
    """The values of one or more packed texts. Line breaks inside do not matter. ValueError says what is wrong.
    ``pairs``: what ``json`` calls for each mapping."""
    before, *packed = "".join(text.split()).split(PREFIX)
    if before or not packed:
        raise ValueError(f"it does not begin with {PREFIX}, so this collection has not packed it")
    try:
        return [json.loads(_decompress(one.rstrip(",")), object_pairs_hook=pairs) for one in packed]
    except RecursionError:
        raise ValueError("the packed text has too many brackets inside each other; this is not a plan or recipe of the role") from None


def _decompress(text: str) -> str:
    try:
        engine = zlib.decompressobj()
        data = engine.decompress(base64.b64decode(text, validate=True), MOST_BYTES)
    except (ValueError, zlib.error):  # also for text that is not ASCII
        raise ValueError("the packed text is incomplete, or was changed; copy the whole text") from None
    if engine.unconsumed_tail:
        raise ValueError(f"the unpacked text would have more than {MOST_BYTES} bytes; this is not a plan or recipe of the role")
    if not engine.eof or engine.unused_data:
        raise ValueError("the packed text is incomplete; copy the whole text")
    return data.decode()
