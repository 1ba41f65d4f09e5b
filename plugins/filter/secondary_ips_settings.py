# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: secondary_ips_settings
short_description: The variables of a role of this collection, typed and checked
version_added: 0.1.0
author: alicloud_ops maintainers (@alicloud-ops)
description:
  - Made for the roles of this collection. Takes all variables with the role's prefix and returns what they mean, without the prefix.
  - Empty text counts as not given, because a survey of AWX defines every optional text question that way.
  - A list may be text with commas or line breaks, a mapping text such as V(team=web,stage), a boolean text such as V(true).
  - A variable that the role does not have is a mistake, so that a misspelled limit is not taken for none.
  - All mistakes are told at once.
options:
  _input:
    description: Variables by name.
    type: dict
    required: true
  options:
    description: The options of the role's argument spec.
    type: dict
    required: true
  role:
    description: The name of the role, which is the prefix of its variables.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: What the survey gave
  ansible.builtin.debug:
    msg: "{{ given | alicloud_ops.network.secondary_ips_settings(options, 'audit_secondary_ips') }}"
  vars:
    given:
      audit_secondary_ips_security_group_ids: "sg-bp1example, sg-bp2example"
      audit_secondary_ips_within: ""
    options: "{{ (lookup('ansible.builtin.file', 'argument_specs.yml') | from_yaml).argument_specs.main.options }}"
"""

RETURN = r"""
_value:
  description: The settings that were given or have a default.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._bulk import plain, read_settings


def secondary_ips_settings(variables: Mapping[str, Any], options: Mapping[str, Any], role: str) -> dict[str, Any]:
    try:
        return read_settings(variables, plain(options), role)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"secondary_ips_settings": secondary_ips_settings}
