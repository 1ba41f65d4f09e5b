# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules for every run, with any fault. They use no code of the module. They compare the actions of the endpoint with the replies that
arrived at the client."""

from __future__ import annotations

import json
from collections.abc import Iterator

from chaos.case import Case
from chaos.liveness_oracles import find_liveness_problems
from chaos.result_oracles import find_ledger_problems, find_result_problems
from chaos.running import Run
from chaos.scenario import Scenario
from chaos.write_oracles import find_write_problems


def find_problems(scenario: Scenario, run: Run) -> list[str]:
    """All problems of this run."""
    if "traceback" in run.result:
        return [f"the module raised: {run.result['traceback']}"]
    return list(_complaints(Case(scenario, run)))


def find_prediction_problems(scenario: Scenario, run: Run) -> list[str]:
    """All problems in the result of check mode, apart from its prediction of the run."""
    if "traceback" in run.result:
        return [f"check mode raised: {run.result['traceback']}"]
    return [f"check mode: {complaint}" for complaint in find_ledger_problems(Case(scenario, run))]


def _complaints(case: Case) -> Iterator[str]:
    result = json.dumps(case.result)
    if "Traceback" in result or "emulator-key-secret" in result:
        yield "the result holds a traceback or a secret"
    yield from find_write_problems(case)
    yield from find_liveness_problems(case)
    yield from find_result_problems(case)
