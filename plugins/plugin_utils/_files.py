# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files on the controller: read as Ansible reads them, and written whole or not at all.

Private to this collection.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError

FOLDER_MODE = 0o750
FILE_MODE = 0o640


def read_text(loader: Any, path: str) -> str:
    """By Ansible's loader, so that a file may be in Ansible Vault. OSError says why it can't be read."""
    if not os.path.isfile(path):
        raise OSError("there is no such file")
    try:
        return str(loader.get_text_file_contents(path))
    except AnsibleError as error:
        # Also what can't be decrypted: it must never be taken for a file that is not there.
        raise OSError(f"it can't be read: {error.message.splitlines()[0]}") from None
    except UnicodeError:
        raise OSError("it can't be read: it is not text") from None


def write_text(path: Path, text: str) -> None:
    """Until the new file is whole and on the disk, the old one stays."""
    path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
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
