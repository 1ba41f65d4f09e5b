# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: secondary_ips_page
short_description: A report of this collection as Markdown or as one HTML page
version_added: 0.1.0
author: alicloud_ops maintainers (@alicloud-ops)
description:
  - Made for the roles of this collection. Renders a report by a Jinja template in which every value is escaped.
options:
  _input:
    description: The report, as text in JSON.
    type: str
    required: true
  template:
    description: The text of the template.
    type: str
    required: true
  markup:
    description: What values are escaped for.
    type: str
    choices: [html, markdown]
    default: html
"""

EXAMPLES = r"""
- name: A page
  ansible.builtin.copy:
    content: "{{ report | alicloud_ops.network.secondary_ips_page(lookup('ansible.builtin.file', 'report.html.j2')) }}"
    dest: /var/tmp/report.html
    mode: "0640"
"""

RETURN = r"""
_value:
  description: The page.
  type: str
"""

import json
from collections.abc import Callable
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._page import render


def secondary_ips_page(report: str, template: str, markup: str = "html") -> str:
    return render(json.loads(report), str(template), markup)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"secondary_ips_page": secondary_ips_page}
