#!/usr/bin/python
# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: secondary_ips_files
short_description: Read and write plan, recipe and report of a run on the controller
version_added: 0.1.0
author: alicloud_ops maintainers (@alicloud-ops)
description:
  - Made for the roles of this collection. Reads and writes files on the controller, whatever the connection is.
  - A file is replaced as a whole and is on the disk before the task ends, so that a run that is cut off leaves the old or the new one.
  - Is done by an action plugin. There is no module that runs elsewhere.
options:
  folder:
    description: An absolute path. It is made where it does not exist.
    type: path
    required: true
  documents:
    description:
      - Names of plans and recipes, each with its file in the folder. They are read, and their digests checked, before anything is written.
      - A file that is not there is left out. One that can't be read fails the task.
    type: dict
    default: {}
  files:
    description: Names of files in the folder, with their texts.
    type: dict
    default: {}
extends_documentation_fragment:
  - alicloud_ops.network.attributes
attributes:
  check_mode:
    support: full
    details: A plan is made in check mode as well, so the files are written, which counts as no change.
  diff_mode:
    support: none
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Keep what was unassigned
  alicloud_ops.network.secondary_ips_files:
    folder: /var/tmp/change-1234
    files:
      recipe.json: "{{ unassign_secondary_ips_result.recipe }}"
"""

RETURN = r"""
documents:
  description: The documents that were found, by name, as text in JSON.
  returned: success
  type: dict
  sample: {}
paths:
  description: The files that were written.
  returned: success
  type: list
  elements: str
  sample: [/var/tmp/change-1234/recipe.json]
"""
