# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: secondary_ips_document
short_description: Read a saved plan or recipe, and check its digest
version_added: 0.1.0
author: alicloud_ops maintainers (@alicloud-ops)
description:
  - Reads what the roles of this collection save as plan or recipe, which is a mapping with C(version), C(region), C(account_id),
    C(digest) and C(assignments).
  - The digest is the sha256 of the assignments, written as JSON with sorted keys and without spaces. The assignments are sorted by ENI,
    have all four lists, and their addresses are in numeric order.
  - What was changed or cut off has another digest and is refused.
options:
  _input:
    description:
      - The document as a mapping, as text in JSON, or as the lines that a run shows before each wave.
      - Several documents of one region and account become one. Empty text and an empty mapping give an empty mapping.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Give back what a run took
  alicloud_ops.network.eni_secondary_ip:
    state: present
    assignments: "{{ (lookup('ansible.builtin.file', '/var/tmp/recipe.json') | alicloud_ops.network.secondary_ips_document).assignments }}"
"""

RETURN = r"""
_value:
  description: The document, in order.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._bulk import DocumentError, read_document


def secondary_ips_document(given: Any) -> dict[str, Any]:
    try:
        return read_document(given)
    except DocumentError as error:
        raise AnsibleFilterError(f"This is no plan or recipe that can be used: {error}") from None


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"secondary_ips_document": secondary_ips_document}
