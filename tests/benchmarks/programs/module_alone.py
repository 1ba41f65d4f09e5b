# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module in its own Python process, as Ansible starts it, but without Ansible. `module_alone.py ASSIGNMENTS.json`

Its answer is left in ASSIGNMENTS.answer, for `ansible_alone.yml`. A failure shows in how it ends.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from unittest import mock

from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args

from ansible_collections.alicloud_ops.network.plugins.modules.eni_secondary_ip import main

# The arguments are text, as Ansible passes them. A list would take memory of this process in addition.
start = b'{"ANSIBLE_MODULE_ARGS": {"state": "absent", "calls_per_minute": 0, '
arguments = start + Path(sys.argv[1]).read_bytes().removeprefix(b"{") + b"}"
with (
    patch_module_args(),
    mock.patch.object(basic, "_ANSIBLE_ARGS", arguments),
    Path(sys.argv[1]).with_suffix(".answer").open("w", encoding="utf-8") as answer,
    contextlib.redirect_stdout(answer),
):
    main()
