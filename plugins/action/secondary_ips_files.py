# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of a run, on the controller: whole or not at all, and without a process for each."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._bulk import plain

FOLDER_MODE = 0o750
FILE_MODE = 0o640


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(
            argument_spec={"folder": {"type": "path", "required": True}, "files": {"type": "dict", "required": True}}
        )
        folder = Path(arguments["folder"])
        try:
            folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            for name, content in plain(arguments["files"]).items():
                write(folder / name, content if isinstance(content, str) else json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        except OSError as error:
            raise AnsibleActionFail(f"can't write to {folder}: {error.strerror}") from None
        return {**result, "changed": False, "paths": [str(folder / name) for name in arguments["files"]]}


def write(path: Path, text: str) -> None:
    """Until the new file is whole and on the disk, the old one stays."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), FILE_MODE)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
