# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: the questions of the surveys in ``extensions/patterns``, so that an error in AWX names the question that its reader knows.

Private to this collection. A test compares this table with the surveys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Variable without the prefix of its role → question.
QUESTIONS: Mapping[str, str] = {
    "region": "Region",
    "account_id": "Account",
    "security_group_ids": "Security groups by id",
    "security_group_names": "Security groups by name",
    "security_group_tags": "Security groups by tag",
    "vpc_ids": "VPCs of these security groups",
    "eni_type": "Type of the ENIs",
    "within": "Only addresses in these CIDR blocks",
    "excluding": "Without these addresses",
    "keep": "Addresses to keep",
    "approved_digest": "Digest of the approved plan",
    "plan": "Saved plan",
    "recipe": "Restore recipe",
    "max_addresses": "Maximum number of addresses",
    "wave_size": "Addresses per wave",
    "wave_pause": "Seconds between two waves",
    "max_failures": "Failures to allow",
    "allow_eip": "Unassign addresses with an EIP, too",
    "report_url": "Where to send the report",
}
_VARIABLE = re.compile(r"\b(?:audit|unassign|restore)_secondary_ips_([a-z_]+)")


def is_awx(variables: Mapping[str, Any]) -> bool:
    """AWX sets these variables in each job, and no user can."""
    return "awx_job_id" in variables or "tower_job_id" in variables


def name_questions(error: str) -> str:
    """The error, with the question after the first mention of each variable that a survey asks for."""
    named: set[str] = set()

    def with_question(found: re.Match[str]) -> str:
        question = QUESTIONS.get(found[1])
        if question is None or found[1] in named:
            return found[0]
        named.add(found[1])
        return f"{found[0]} (question '{question}')"

    return _VARIABLE.sub(with_question, error)
