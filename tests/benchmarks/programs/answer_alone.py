# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cost of Ansible in the Python of a module: arguments and result as in `module_alone.py`, and no work between them.

`answer_alone.py ASSIGNMENTS.json`, after `module_alone.py` with the same file.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import sys
from pathlib import Path
from unittest import mock

from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args

assignments = Path(sys.argv[1])
answer = json.dumps(str(assignments.with_suffix(".answer")))
start = f'{{"ANSIBLE_MODULE_ARGS": {{"state": "absent", "calls_per_minute": 0, "answer": {answer}, '.encode()
arguments = start + assignments.read_bytes().removeprefix(b"{") + b"}"
with (
    patch_module_args(),
    mock.patch.object(basic, "_ANSIBLE_ARGS", arguments),
    Path(os.devnull).open("w", encoding="utf-8") as nowhere,
    contextlib.redirect_stdout(nowhere),
):
    runpy.run_path(str(Path(__file__).with_name("library") / "repeat_answer.py"))
