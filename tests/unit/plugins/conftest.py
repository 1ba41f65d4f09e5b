# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from hypothesis import Phase, settings

# The same examples everywhere and every time, however slow the machine.
settings.register_profile("unit", deadline=None, derandomize=True, max_examples=50)
# For `make mutants`, which asks only whether a test fails.
settings.register_profile("mutants", settings.get_profile("unit"), phases=[Phase.explicit, Phase.generate])
settings.load_profile("unit")
