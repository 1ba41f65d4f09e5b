# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module with the options of the real one. It returns the result that the real one returned, without any work."""

from __future__ import annotations

import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    entry = {"eni_id": {"type": "str"}, "private_ip_addresses": {"type": "list", "elements": "str"}}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str"},
            "assignments": {"type": "list", "elements": "dict", "options": entry},
            "calls_per_minute": {"type": "int"},
            "answer": {"type": "path"},
        }
    )
    module.exit_json(**json.loads(Path(module.params["answer"]).read_text(encoding="utf-8")))


main()
