# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways that are compared. Each is a command line that reads a file of assignments."""

from __future__ import annotations

import ipaddress
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = Path(__file__).resolve().parent / "programs"
ADDRESSES_EACH = 3
IDS_PER_READ = 100
NETWORK = ipaddress.IPv4Network("10.64.0.0/12")

Command = Callable[[Path], list[str]]


@dataclass(frozen=True)
class Way:
    """``fewest_calls``: number of ENIs → the fewest calls that this way needs. 0 if it changes nothing."""

    name: str
    title: str
    command: Command
    fewest_calls: Callable[[int], int]


def seed(interfaces: int, each: int = ADDRESSES_EACH, group: str = "") -> dict[str, Any]:
    """ENIs with ``each`` secondary addresses. If ``group`` is set, all are in this security group."""
    grouped = {"security_group_ids": [group]} if group else {}
    return {
        "region": "cn-hangzhou",
        "vswitches": [{"id": "vsw-bench", "vpc_id": "vpc-bench", "cidr": str(NETWORK)}],
        "security_groups": [{"id": group, "vpc_id": "vpc-bench", "name": "bench"}] if group else [],
        "generate": [{"prefix": "bench", "count": interfaces, "private_ip_addresses": each, "vswitch_id": "vsw-bench", **grouped}],
    }


def write_assignments(path: Path, interfaces: int, each: int = ADDRESSES_EACH) -> None:
    """All secondary addresses of the seed. The seed numbers addresses in ascending order, for each ENI the primary one first."""
    first = int(NETWORK.network_address) + 1
    assignments = [
        {
            "eni_id": f"eni-bench{number:05d}",
            "private_ip_addresses": [str(ipaddress.IPv4Address(first + number * (1 + each) + step)) for step in range(1, 1 + each)],
        }
        for number in range(interfaces)
    ]
    path.write_text(json.dumps({"assignments": assignments}), encoding="utf-8")


def _playbook(name: str) -> Command:
    playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    return lambda assignments: [playbook, str(PROGRAMS / name), "--extra-vars", f"@{assignments}"]


def _ansible_alone(assignments: Path) -> list[str]:
    return [*_playbook("ansible_alone.yml")(assignments), "--extra-vars", f"answer={assignments.with_suffix('.answer')}"]


def _program(name: str) -> Command:
    return lambda assignments: [sys.executable, str(PROGRAMS / name), str(assignments)]


def _in_bulk(interfaces: int) -> int:
    batches = -(-interfaces // IDS_PER_READ)
    return batches + interfaces + batches


def _one_by_one(interfaces: int) -> int:
    return 3 * interfaces


def _none(_interfaces: int) -> int:
    return 0


FLOOR = Way("floor", "SDK script, thread pool", _program("sdk_pool.py"), _in_bulk)
MODULE = Way("module", "the module alone", _program("module_alone.py"), _in_bulk)
TASK = Way("task", "one task", _playbook("one_task.yml"), _in_bulk)
ANSIBLE = Way("ansible", "Ansible's own share", _ansible_alone, _none)
IDLE = Way("idle", "a module that does nothing", _program("answer_alone.py"), _none)
LOOP = Way("loop", "loop of tasks", _playbook("loop_of_tasks.yml"), _one_by_one)
SCRIPTS = Way("scripts", "loop of SDK scripts", _playbook("loop_of_scripts.yml"), _one_by_one)
WAYS: Mapping[str, Way] = {way.name: way for way in (FLOOR, MODULE, IDLE, TASK, ANSIBLE, LOOP, SCRIPTS)}
# The way that has the same arguments and the same result, but does no work.
WITHOUT_WORK: Mapping[Way, Way] = {TASK: ANSIBLE, MODULE: IDLE}
