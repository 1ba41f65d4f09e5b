# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: secondary_ips_report
short_description: What a role of this collection has read, planned and done, as its report
version_added: 0.1.0
author: alicloud_ops maintainers (@alicloud-ops)
description:
  - Made for the roles of this collection. Builds plan, waves, ledger, restore recipe and report from what a run has so far.
  - The report tells of every address of the plan what became of it.
options:
  _input:
    description: What the run has so far, which is its C(operation), settings, and the results of the modules.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Everything about a group, by security group and ENI
  ansible.builtin.debug:
    msg: "{{ {'operation': 'audit', 'info': group} | alicloud_ops.network.secondary_ips_report }}"
"""

RETURN = r"""
_value:
  description: >-
    The C(report); its C(text) for the output; C(plan), C(recipe) and C(waves); C(stop) and C(failure), which are empty where all is well;
    the C(pause) before the next wave, in seconds; and what is C(published) by C(set_stats).
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._bulk import plain
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import Run, build_report


def secondary_ips_report(run: Mapping[str, Any]) -> dict[str, Any]:
    return build_report(Run(**plain(run)))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"secondary_ips_report": secondary_ips_report}
