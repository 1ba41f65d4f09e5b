#!/usr/bin/python
# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: internal_secondary_ips_run
short_description: Internal part of the roles of this collection
version_added: 0.1.0
author: alicloud_ops maintainers (@alicloud-ops)
description:
  - B(WARNING. Do not use this plugin directly.) It is only for the roles and playbooks of this collection. Its options and results may
    change or disappear in any release, without notice.
  - Use the roles P(alicloud_ops.network.audit_secondary_ips#role), P(alicloud_ops.network.unassign_secondary_ips#role) and
    P(alicloud_ops.network.restore_secondary_ips#role), which document their variables, or the modules
    M(alicloud_ops.network.eni_secondary_ip) and M(alicloud_ops.network.eni_secondary_ip_info).
  - It is an action plugin and runs in the process of Ansible on the controller or in the execution environment.
options:
  operation:
    description: Operation to run. V(merge) reads the artifacts of earlier jobs, the others read the variables of the role with this name.
    type: str
    required: true
    choices: [audit, unassign, restore, merge]
extends_documentation_fragment:
  - alicloud_ops.network.connection
  - alicloud_ops.network.connection.module
  - alicloud_ops.network.attributes
  - alicloud_ops.network.attributes.api
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Use the role, not this plugin
  ansible.builtin.include_role:
    name: alicloud_ops.network.audit_secondary_ips
  vars:
    audit_secondary_ips_security_group_names: [web]
"""

RETURN = r"""
outcome:
  description: Outcome of the run. The other return values are for the roles.
  returned: always
  type: str
  sample: done
"""
