# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of a run, on the controller: whole or not at all, and without a process for each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._bulk import DocumentError, plain, read_document
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._files import read_text, write_text


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(
            argument_spec={
                "folder": {"type": "path", "required": True},
                "documents": {"type": "dict", "default": {}},
                "files": {"type": "dict", "default": {}},
            }
        )
        folder = Path(arguments["folder"])
        documents: dict[str, str] = {}
        path = folder
        try:
            # Reading comes first: what can't be read is never written over.
            for name, file in plain(arguments["documents"]).items():
                path = folder / file
                if path.exists():
                    documents[name] = json.dumps(read_document(read_text(self._loader, str(path))))
            for name, text in plain(arguments["files"]).items():
                path = folder / name
                write_text(path, text)
        except DocumentError as error:
            return {**result, "failed": True, "msg": f"{path}: {error}"}
        except OSError as error:
            return {**result, "failed": True, "msg": f"{path}: {error.strerror or error}"}
        return {**result, "changed": False, "documents": documents, "paths": [str(folder / name) for name in arguments["files"]]}
