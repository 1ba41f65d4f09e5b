# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module alone under a throttle. An argument sets the length of a minute. `module_throttled.py ASSIGNMENTS.json SECONDS`

The times of the pacer are scaled by the same factor: its minute, its first hold, and how long after the turn of the minute it
tries again. Nothing else is scaled.
"""

from __future__ import annotations

import importlib
import sys
from unittest import mock

from ansible_collections.alicloud_ops.network.plugins.module_utils import _pacing

seconds = float(sys.argv[2])
scale = seconds / _pacing.MINUTE
early, late = _pacing.PAST_THE_TURN
with mock.patch.multiple(_pacing, MINUTE=seconds, FIRST_HOLD=_pacing.FIRST_HOLD * scale, PAST_THE_TURN=(early * scale, late * scale)):
    importlib.import_module("module_alone")  # runs
