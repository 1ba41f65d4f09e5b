# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the ``attributes`` of every module."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Returns what it would change, and changes nothing.
  diff_mode:
    description: Returns the difference before and after.
  idempotent:
    description: A second run with the same options reports no change.
"""

    # Only for modules that call the API.
    API = r"""
options: {}
attributes:
  action_group:
    description: Set shared options once in C(module_defaults).
    support: full
    membership:
      - alicloud_ops.network.alicloud
"""
