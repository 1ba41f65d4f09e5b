# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python tests/benchmarks`: makes the folder a package, whatever the working directory, and measures."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    # Python puts this folder first in its path, but its modules must only be found as benchmarks.*.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.command_line import main

if __name__ == "__main__":
    sys.exit(main())
