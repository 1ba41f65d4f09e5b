# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Eight slices over 8,000 ENIs under one quota, each as a job of AWX, compared with one run: end state, writes, throttled calls, time.

A minute of the quota has 15 seconds here. The bound is the time that the quota takes for the writes alone: no run can be faster.

Start it at the root of the repository: .venv/bin/python tests/benchmarks/programs/slices.py [NUMBER OF ENIS] [NUMBER OF SLICES]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "collections"))

from support.awx import Awx, Job, answers, together
from support.emulator import Emulator
from support.playbook import secondary_addresses

QUOTA, WINDOW = 300, 15.0  # calls of one API in seconds
PACE = int(QUOTA * 60 / WINDOW)
WAVE = 500


def seed(interfaces: int) -> dict[str, Any]:
    common = {"private_ip_addresses": 2, "vswitch_id": "vsw-bench"}
    return {
        "region": "cn-hangzhou",
        "account": "1000000000000001",
        "vswitches": [{"id": "vsw-bench", "vpc_id": "vpc-bench", "cidr": "10.64.0.0/12"}],
        "security_groups": [{"id": f"sg-{name}", "vpc_id": "vpc-bench", "name": name} for name in ("web", "other")],
        "generate": [
            {"prefix": "web", "count": interfaces, "security_group_ids": ["sg-web"], **common},
            {"prefix": "other", "count": 100, "security_group_ids": ["sg-other"], **common},
        ],
    }


def succeeded(*jobs: Job) -> None:
    for job in jobs:
        assert job.status == "successful", job.output[-4000:]


def main() -> None:
    interfaces = int(sys.argv[1]) if len(sys.argv) > 1 else 8_000
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    with tempfile.TemporaryDirectory() as name, Emulator() as emulator:
        awx = Awx(emulator, Path(name))
        emulator.reset(seed=seed(interfaces))
        enis = list(secondary_addresses(emulator))
        limits = {"max_addresses": 100_000, "wave_size": WAVE}
        unlimited = {"unassign_secondary_ips_calls_per_minute": 0}
        approved = awx.approved({**answers("unassign", security_group_names="web", **limits), **unlimited})

        one = awx.launch("unassign", approved)
        succeeded(one)
        end_of_one = secondary_addresses(emulator)
        print(f"one run without a quota: {one.seconds:.0f} s", flush=True)

        emulator.reset(seed=seed(interfaces), calls_per_minute=QUOTA, window_seconds=WINDOW)
        paced = {**approved, "unassign_secondary_ips_calls_per_minute": PACE, "unassign_secondary_ips_slices": count}
        time.sleep(WINDOW - time.time() % WINDOW)
        started = time.monotonic()
        jobs = awx.slices(paced, enis, count)
        wall = time.monotonic() - started
        succeeded(*jobs)
        calls = emulator.calls()
        writes = Counter(call["parameters"]["NetworkInterfaceId"] for call in emulator.calls(writes=True) if call["status"] == 200)
        throttled = sum(call["status"] in (400, 429, 503) for call in calls)
        bound = sum(writes.values()) * WINDOW / QUOTA
        report = awx.launch("unassign_report", {**paced, **together(jobs)})
        succeeded(report)
        print(f"{count} slices, {interfaces} ENIs: {wall:.0f} s, bound {bound:.0f} s, ratio {wall / bound:.3f}")
        print(f"calls {len(calls)}, throttled {throttled} ({throttled / len(calls):.2%}), writes {sum(writes.values())}")
        twice = sum(number > 1 for number in writes.values())
        print(f"ENIs written twice: {twice}; same end state: {secondary_addresses(emulator) == end_of_one}")
        sizes = [len(str(job.artifacts)) for job in jobs]
        print(f"artifacts: plan {len(str(approved['unassign_secondary_ips_plan']))} bytes, slices {sum(sizes)} bytes together")
        print(f"report: {report.artifacts['secondary_ips_unassign']['headline']}, {report.seconds:.1f} s")


main()
