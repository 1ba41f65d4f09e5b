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
    description: What M(alicloud_ops.network.secondary_ips_settings) told, or the C(state) that this filter returned before.
    type: raw
    required: true
  info:
    description: What M(alicloud_ops.network.eni_secondary_ip_info) told before.
    type: dict
  after:
    description: What M(alicloud_ops.network.eni_secondary_ip_info) told at the end.
    type: dict
  planned:
    description: What M(alicloud_ops.network.eni_secondary_ip) told in check mode.
    type: dict
  documents:
    description: The C(approved) plan, and the C(earlier) recipe of the same plan, as M(alicloud_ops.network.secondary_ips_files) read them.
    type: dict
  began:
    description: When the first wave began.
    type: str
  wave:
    description: One of the waves that this filter returned.
    type: dict
  answer:
    description: What M(alicloud_ops.network.eni_secondary_ip) told for O(wave).
    type: dict
  stopped:
    description: Why the run can't go on.
    type: str
"""

EXAMPLES = r"""
- name: Everything about a group, by security group and ENI
  ansible.builtin.debug:
    msg: "{{ (start | alicloud_ops.network.secondary_ips_report(info=group)).text }}"
"""

RETURN = r"""
_value:
  description:
    - As text in JSON the C(report), the C(result) for the play, C(eni_ids), what is C(published) by C(set_stats), and the C(state) to
      go on with.
    - The C(text) for the output, the C(waves), and the C(pause) before the next wave in seconds.
    - The name of the report (C(file)), and by name the files that are C(taken_up), C(plan_files) and C(progress_files).
    - The reason to C(stop) or for a C(failure), which are empty where all is well.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import make_report


def secondary_ips_report(before: Mapping[str, Any] | str, **news: Any) -> dict[str, Any]:
    return make_report(before, news)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"secondary_ips_report": secondary_ips_report}
