# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: secondary_ips_pages
short_description: A report of this collection as files in JSON, Markdown and HTML
version_added: 0.1.0
author: alicloud_ops maintainers (@alicloud-ops)
description:
  - Made for the roles of this collection. Renders a report by Jinja templates in which every value is escaped.
options:
  _input:
    description: The report, as text in JSON.
    type: str
    required: true
  name:
    description: The name of the files, without extension.
    type: str
    required: true
  templates:
    description: The folder of the templates.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Write a report
  alicloud_ops.network.secondary_ips_files:
    folder: /var/tmp/change-1234
    files: "{{ report | alicloud_ops.network.secondary_ips_pages('report', role_path ~ '/templates') }}"
"""

RETURN = r"""
_value:
  description: The texts by file name.
  type: dict
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._page import render


def secondary_ips_pages(report: str, name: str, templates: str) -> dict[str, str]:
    read = json.loads(report)
    pages = {
        f"{name}.{extension}": render(read, (Path(templates) / f"report.{extension}.j2").read_text(encoding="utf-8"), markup)
        for extension, markup in (("md", "markdown"), ("html", "html"))
    }
    return {f"{name}.json": str(report), **pages}


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"secondary_ips_pages": secondary_ips_pages}
