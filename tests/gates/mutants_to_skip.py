# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Remove mutants from a session of cosmic-ray that do not change the program: an annotation is never evaluated here, the * in a
signature is not a product, and == and `is` are the same for the members of an enumeration and for booleans.

usage: mutants_to_skip.py SESSION MOST

If MOST is not 0, at most MOST of the others remain, always the same ones.
"""

from __future__ import annotations

import ast
import random
import re
import sys
from pathlib import Path

from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import WorkerOutcome, WorkResult

Position = tuple[int, int]
SAME = re.compile("core/ReplaceComparisonOperator_(Is_Eq|Eq_Is|IsNot_NotEq|NotEq_IsNot)$")
SIGNATURE = re.compile(r"\s*(async )?def ")


def annotations(path: Path) -> list[tuple[Position, Position]]:
    found: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.arg | ast.AnnAssign):
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef):
            found.append(node.returns)
    return [
        ((node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)) for node in found if node
    ]


def main(session: str, most: int) -> None:
    database = WorkDB(session, WorkDB.Mode.open)
    kept = []
    for item in database.pending_work_items:
        (mutation,) = item.mutations
        path = Path(mutation.module_path)
        line = path.read_text(encoding="utf-8").splitlines()[mutation.start_pos[0] - 1]
        is_star = "BinaryOperator_Mul" in mutation.operator_name and SIGNATURE.match(line)
        if (
            SAME.match(mutation.operator_name)
            or is_star
            or any(start <= tuple(mutation.start_pos) < end for start, end in annotations(path))
        ):
            database.set_result(item.job_id, WorkResult(worker_outcome=WorkerOutcome.SKIPPED))
        else:
            # The id of a job differs in each session.
            kept.append((mutation.start_pos, mutation.operator_name, mutation.occurrence, item.job_id))
    kept = [job_id for *_mutation, job_id in sorted(kept)]
    chosen = set(random.Random(1).sample(kept, most)) if 0 < most < len(kept) else set(kept)
    for job_id in kept:
        if job_id not in chosen:
            database.set_result(job_id, WorkResult(worker_outcome=WorkerOutcome.SKIPPED))
    print(f"{len(chosen)} of {len(kept)} mutants")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
