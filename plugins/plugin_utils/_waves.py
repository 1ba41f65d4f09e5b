# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: the waves of a plan.

Private to this collection.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import PLANNED, EniLedger


def cut_waves(ledger: Sequence[EniLedger], size: int) -> list[list[EniLedger]]:
    """The ENIs with planned addresses in waves of at most ``size`` addresses. An ENI is never split, so an ENI with more addresses is
    a wave of its own."""
    waves: list[list[EniLedger]] = []
    room = 0
    for eni in ledger:
        addresses = len(eni.having(PLANNED))
        if not addresses:
            continue
        if not waves or addresses > room:
            waves.append([])
            room = size
        waves[-1].append(eni)
        room -= addresses
    return waves
