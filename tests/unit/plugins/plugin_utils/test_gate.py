# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._gate import compare
from ansible_collections.alicloud_ops.network.tests.unit.plugins.plugin_utils.report_builders import document, interface


def test_only_an_address_that_a_read_shows_as_gone_is_gone() -> None:
    planned = document({"eni-1": ["10.0.1.1", "10.0.1.2", "10.0.1.3"], "eni-2": ["10.0.2.1"]})
    today = document({"eni-1": ["10.0.1.1", "10.0.1.4"]})
    # 10.0.1.3 is refused, and eni-2 cannot be read or is not selected.
    assert compare(today, planned, {"eni-1": interface("eni-1", ["10.0.1.1", "10.0.1.3", "10.0.1.4"])}) == {
        "added": ["eni-1 10.0.1.4"],
        "removed": ["eni-1 10.0.1.2"],
        "left": ["eni-1 10.0.1.3", "eni-2 10.0.2.1"],
    }
