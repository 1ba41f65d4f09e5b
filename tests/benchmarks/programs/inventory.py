# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time and memory of an inventory of 10,000 ENIs in 100 security groups, with 100 values of a tag and 3 secondary addresses each.

Start it at the root of the repository: .venv/bin/python tests/benchmarks/programs/inventory.py [NUMBER OF ENIS]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import yaml
from benchmarks.measuring import environment, run
from support.emulator import Emulator

PLUGIN = "alicloud_ops.network.eni"
PARTS = 100
# Only what happens before the first task or the first line of output.
READ = (
    "import sys; from ansible.inventory.manager import InventoryManager; from ansible.parsing.dataloader import DataLoader; "
    "from ansible.plugins.loader import init_plugin_loader; init_plugin_loader(); "
    "print(len(InventoryManager(DataLoader(), sources=sys.argv[1:]).hosts))"
)
PLAY = [{"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.debug": {"msg": "once"}, "run_once": True}]}]


def seed(interfaces: int) -> dict[str, Any]:
    common = {"count": interfaces // PARTS, "private_ip_addresses": 3, "vswitch_id": "vsw-bench"}
    return {
        "region": "cn-hangzhou",
        "vswitches": [{"id": "vsw-bench", "vpc_id": "vpc-bench", "cidr": "10.64.0.0/12"}],
        "security_groups": [{"id": f"sg-{part}", "vpc_id": "vpc-bench", "name": f"group-{part}"} for part in range(PARTS)],
        "generate": [
            {"prefix": f"b{part:02}x", "security_group_ids": [f"sg-{part}"], "tags": {"team": f"team-{part}", "stage": "test"}, **common}
            for part in range(PARTS)
        ],
    }


def main() -> None:
    interfaces = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as name, Emulator() as emulator:
        folder = Path(name)
        emulator.reset(seed=seed(interfaces))
        options = {"plugin": PLUGIN, "whole_region": True, "calls_per_minute": 0}
        cache = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(folder / "cache")}
        constructed = {
            "compose": {"addresses": "eni_private_ip_addresses | map(attribute='address')"},
            "groups": {"managed": "eni_service_managed"},
            "keyed_groups": [{"key": "eni_tags.team", "prefix": "team"}],
        }
        files = {"plain": options, "cached": {**options, **cache}, "constructed": {**options, **constructed}}
        for file, content in files.items():
            (folder / f"{file}.eni.yml").write_text(yaml.safe_dump(content))
        (folder / "play.yml").write_text(yaml.safe_dump(PLAY))
        plain, cached, with_constructed = (str(folder / f"{file}.eni.yml") for file in files)
        python, program = [sys.executable, "-c", READ], "ansible-inventory"
        commands = {
            "read only": [*python, plain],
            "read only, writes the cache": [*python, cached],
            "read only, from the cache": [*python, cached],
            "read only, constructed": [*python, with_constructed],
            "ansible-inventory --graph": [program, "-i", plain, "--graph"],
            "ansible-inventory --list": [program, "-i", plain, "--list"],
            "ansible-inventory --list --export": [program, "-i", plain, "--list", "--export"],
            "ansible-playbook, one task run once": ["ansible-playbook", "-i", plain, str(folder / "play.yml")],
        }
        for title, command in commands.items():
            before = len(emulator.calls())
            process = run(command, environment(emulator, folder))
            calls = len(emulator.calls()) - before
            print(f"{title:36} {process.wall:6.1f} s  CPU {process.cpu:6.1f} s  {process.peak:5.0f} MB  {calls:3} calls", flush=True)


main()
