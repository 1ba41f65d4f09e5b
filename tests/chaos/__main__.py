# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python tests/chaos`: makes the folder a package, whatever the working directory, and starts the campaigns."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    # Python puts this folder first in its path, but its modules must only be found as chaos.*.
    tests = Path(__file__).resolve().parent.parent
    sys.path[0] = str(tests)
    # The collection in this checkout. `make .venv` makes this folder.
    sys.path.insert(1, str(tests.parent / "collections"))

from chaos.command_line import main

if __name__ == "__main__":
    sys.exit(main())
