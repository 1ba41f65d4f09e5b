# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: how long an approval is valid, and for how many runs.

Private to this collection. An approval is the digest of a plan. The digest says what a run may do, but not when, so the time of the
plan limits it. A run that has finished leaves a mark in its folder, so that nobody can repeat it after a restore. If the folder is
lost with the container of the job, only the age limits the approval.
"""

from __future__ import annotations

import json
from datetime import datetime

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import Document


def find_expiry(prefix: str, plan: Document | None, max_age: int, now: datetime) -> list[str]:
    """Why the approval of this plan is too old. ``max_age``: hours. A plan that is unknown or has no time has no age."""
    if plan is None or not plan.made:
        return []
    age = (now - datetime.fromisoformat(plan.made)).total_seconds() / 3600
    if age <= max_age:
        return []
    return [
        f"{prefix}approved_digest: the approved plan was made {age:.1f} hours ago, at {plan.made}, and an approval is valid for "
        f"{max_age} hours ({prefix}approval_max_age); make a new plan in check mode (--check) and have it approved"
    ]


def find_unknown_age(prefix: str, plan: Document | None) -> list[str]:
    """Why a run that requires an approval cannot use this one: without the time of the plan, the approval would never end."""
    if plan and plan.made:
        return []
    return [
        f"{prefix}approved_digest: the age of the approved plan is not known; set {prefix}plan or {prefix}plan_file to the "
        f"approved plan, or use the {prefix}report_dir of the run that made it"
    ]


def find_use(prefix: str, plan: Document | None, mark: str | None) -> list[str]:
    """Why the approval of this plan is used up. ``mark``: the text that the run that used it left."""
    if not mark:
        return []
    used = json.loads(mark)
    if plan is not None and plan.made != used["made"]:
        return []  # the same addresses, but a later plan and approval
    return [
        f"{prefix}approved_digest: the approval was used by the run that finished at {used['finished']}, and it is valid for one "
        "run; make a new plan in check mode (--check) and have it approved"
    ]


def make_mark(plan: Document, finished: str) -> str:
    return json.dumps({"digest": plan.digest, "made": plan.made, "finished": finished}, indent=1)
