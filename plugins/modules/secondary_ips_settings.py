#!/usr/bin/python
# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secondary_ips_settings
short_description: The variables of a role of this collection, typed and checked
version_added: 0.1.0
author: alicloud_ops maintainers (@alicloud-ops)
description:
  - Made for the roles of this collection. Takes all variables with the role's prefix, and tells what they mean, without the prefix.
  - Empty text counts as not given, because a survey of AWX defines every optional text question that way. What is given and
    names nothing, such as a lone comma, is a mistake.
  - A list may be text with commas or line breaks, a mapping text such as V(team=web,stage), a boolean text such as V(true).
  - A variable that the role does not have is a mistake, so that a misspelled limit is not taken for none.
  - A saved plan or recipe is read, from a file of the controller too, and its digest is checked.
  - All errors in the variables are told at once. Those of the connection, which may come from the environment, the modules tell.
  - Is done by an action plugin. There is no module that runs elsewhere.
options:
  role:
    description: The name of the role, which is the prefix of its variables.
    type: str
    required: true
  variables:
    description: Variables by name.
    type: dict
    required: true
  options:
    description: The options of the role's argument spec.
    type: dict
    required: true
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
- name: What the survey gave
  alicloud_ops.network.secondary_ips_settings:
    role: audit_secondary_ips
    variables:
      audit_secondary_ips_security_group_ids: "sg-bp1example, sg-bp2example"
      audit_secondary_ips_within: ""
    options: "{{ (lookup('ansible.builtin.file', 'argument_specs.yml') | from_yaml).argument_specs.main.options }}"
"""

RETURN = r"""
settings:
  description: What was given or has a default, by name without the prefix.
  returned: success
  type: dict
  sample: {security_group_ids: [sg-bp1example, sg-bp2example], kinds: [private_ip_addresses]}
check:
  description: Whether this task runs in check mode, and so the other tasks of the role.
  returned: success
  type: bool
operation:
  description: What the role does.
  returned: success
  type: str
  sample: audit
state:
  description: The state that the role asks M(alicloud_ops.network.eni_secondary_ip) for; empty where it asks for none.
  returned: success
  type: str
  sample: ""
started:
  description: When this was.
  returned: success
  type: str
  sample: "2026-01-01T00:00:00+00:00"
find:
  description: What M(alicloud_ops.network.eni_secondary_ip_info) is to select.
  returned: success
  type: dict
  sample: {security_group_ids: [sg-bp1example, sg-bp2example], kinds: [private_ip_addresses]}
saved:
  description: The saved plan or recipe, as text in JSON; empty where none was given.
  returned: success
  type: str
  sample: ""
assignments:
  description: Its assignments, as text in JSON; empty where security groups are given.
  returned: success
  type: str
  sample: ""
"""
