# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module in a Python of its own, as Ansible starts it, without Ansible around it. `module_alone.py ASSIGNMENTS.json`"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from support.module import run_module


def main() -> None:
    assignments = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["assignments"]
    result = run_module("eni_secondary_ip", {"state": "absent", "assignments": assignments, "calls_per_minute": 0}, dict(os.environ))
    if result.get("failed"):
        sys.exit(result["msg"])


main()
