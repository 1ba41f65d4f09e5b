#!/usr/bin/python
# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: internal_secondary_ips_merge
short_description: Internal part of the playbooks of this collection
version_added: 0.1.0
author: alicloud_ops maintainers (@alicloud-ops)
description:
  - B(WARNING. Do not use this plugin directly.) It is only for the playbook C(alicloud_ops.network.unassign_report). Its options and
    results may change or disappear in any release, without notice.
  - It is an action plugin and runs in the process of Ansible. It reads variables that earlier jobs of a workflow published, and calls
    no API.
options: {}
extends_documentation_fragment:
  - alicloud_ops.network.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Use the playbook, not this plugin
  ansible.builtin.import_playbook: alicloud_ops.network.unassign_report
"""

RETURN = r"""
outcome:
  description: What became of the plan. The other return values are for the playbook.
  returned: always
  type: str
  sample: done
"""
