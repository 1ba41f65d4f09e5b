# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``attributes`` are documented on every module."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
  diff_mode:
    description: Returns details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    description: When run twice in a row outside check mode, with the same arguments, the second run reports no change.
"""

    # Of those that talk to the API, and not only to the controller.
    API = r"""
options: {}
attributes:
  platform:
    description: Where the module runs.
    platforms: posix
    support: full
    details: On the controller or in an execution environment, with Python 3.11 or later.
  action_group:
    description: Use C(group/alicloud_ops.network.alicloud) in C(module_defaults) to set the shared options once.
    support: full
    membership:
      - alicloud_ops.network.alicloud
"""
