# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: waves of a plan, and when a run stops after one.

Private to this collection.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import PLANNED, EniLedger


def cut_waves(ledger: Sequence[EniLedger], size: int | None) -> list[list[EniLedger]]:
    """The ENIs with planned addresses in waves of at most ``size`` addresses; None: all in one. An ENI is never cut: one with more
    addresses is a wave of its own."""
    waves: list[list[EniLedger]] = []
    room = 0
    for eni in ledger:
        addresses = len(eni.having(PLANNED))
        if not addresses:
            continue
        if not waves or (size is not None and addresses > room):
            waves.append([])
            room = size or 0
        waves[-1].append(eni)
        room -= addresses
    return waves


def allowed_failures(limit: str, planned: int) -> int:
    """A count such as ``10``, or a share of the planned addresses such as ``5%``; ValueError if it is neither."""
    number, percent, rest = limit.strip().partition("%")
    if rest or not (number.isascii() and number.isdecimal()) or (percent and int(number) > 100):
        raise ValueError(f"'{limit}' is neither a count such as 10 nor a share such as 5%")
    return planned * int(number) // 100 if percent else int(number)
