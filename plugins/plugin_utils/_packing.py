# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: a large value as one short text, to be handed to a later job.

Private to this collection. The text is a prefix and the base64 of the compressed JSON. Ansible templates each value of a nested
variable, and AWX stores it, so a text is cheaper than the value itself.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Callable
from typing import Any

PREFIX = "secondary-ips-zlib:"
MOST_BYTES = 256 * 1024 * 1024  # of the JSON: a small text can stand for any amount of memory
_PACKED = re.compile(re.escape(PREFIX) + r"([A-Za-z0-9+/=\s]*)")


def pack(value: Any) -> str:
    """One line of ASCII without quotes and braces, so no template, no YAML and no shell takes it for anything else."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return PREFIX + base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def is_packed(text: str) -> bool:
    return text.lstrip().startswith(PREFIX)


def unpack(text: str, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> list[Any]:
    """The values of one or more packed texts. Line breaks inside do not matter. ValueError says what is wrong.
    ``pairs``: what ``json`` calls for each mapping."""
    values = []
    rest = text.strip()
    while rest:
        found = _PACKED.match(rest)
        if not found:
            raise ValueError(f"'{rest[:20]}' is not the beginning of a text that was packed by this collection")
        values.append(json.loads(_decompress(found[1]), object_pairs_hook=pairs))
        rest = rest[found.end() :].lstrip(" \t\r\n,")
    return values


def _decompress(text: str) -> str:
    try:
        engine = zlib.decompressobj()
        data = engine.decompress(base64.b64decode("".join(text.split()), validate=True), MOST_BYTES)
    except (binascii.Error, zlib.error):
        raise ValueError("the packed text is not whole, or was changed; copy all of it") from None
    if engine.unconsumed_tail:
        raise ValueError(f"the packed text stands for more than {MOST_BYTES} bytes")
    if not engine.eof:
        raise ValueError("the packed text is not whole; copy all of it")
    return data.decode()
