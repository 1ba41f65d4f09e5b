# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clock by which plans age, calls are paced and timeouts run.

Private to this collection. It includes time that the machine was asleep, because a plan ages while a laptop is closed. Use it as
``_clock.now()`` and ``_clock.sleep()``, so that tests can replace it here.
"""

from __future__ import annotations

import time

# Only Linux has this clock. On other systems, the time asleep is not included.
BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)


def now() -> float:
    """Seconds since an unspecified moment. Independent of the time of day."""
    return time.monotonic() if BOOTTIME is None else time.clock_gettime(BOOTTIME)


def sleep(seconds: float) -> None:
    time.sleep(seconds)
