# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU time of joining generated results of 500 guests with 10,000 ENIs of 10 secondary addresses and a prefix each.

Start it at the root of the repository: .venv/bin/python tests/benchmarks/programs/join_guests.py
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "collections"))

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._guest_results import Guests
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._guests import Eni, find_not_assigned, find_remaining, join_guests

HOSTS, ENIS, ADDRESSES, LIMIT = 500, 10_000, 10, 1.0
ENIS_OF_A_GUEST, OTHERS = 4, 20  # OTHERS: containers' addresses, the same on each guest


def mac(number: int) -> str:
    return "00:16:3e:" + ":".join(f"{number >> shift & 255:02x}" for shift in (16, 8, 0))


def ip(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def make_eni(number: int) -> Eni:
    first = number * 32
    addresses = [*(ip(first + offset) for offset in range(1, ADDRESSES + 1)), f"2001:db8::{number:x}:1"]
    return Eni(f"eni-{number:05}", mac(number), addresses, [f"{ip(first + 16)}/28"])


def entry(address: str, macs: list[str], length: int = 24, **fields: Any) -> dict[str, Any]:
    return {
        "address": address,
        "prefix_length": length,
        "found_as": "interface_address",
        "namespace": "",
        "interface": "eth1",
        "parent_interface": None,
        "dynamic": False,
        "removed_with_it": [],
        "mac_addresses": macs,
        "listeners": [],
        "connections": 0,
        "uncertain": False,
        **fields,
    }


def make_result(host: int) -> dict[str, Any]:
    """A guest has two thirds of the addresses of its ENIs, and uses half of these."""
    numbers = [host * ENIS_OF_A_GUEST + offset for offset in range(ENIS_OF_A_GUEST)]
    addresses = [
        entry(ip(number * 32 + offset), [mac(number)], connections=offset % 2)
        for number in numbers
        for offset in (*range(1, ADDRESSES + 1), 17)
        if offset % 3
    ]
    addresses += [entry(f"172.17.0.{number}", [mac(0xF00000 + number)]) for number in range(OTHERS)]
    addresses.append(entry("192.168.64.0", [], 18, found_as="local_route", interface="lo"))
    return {
        "complete": True,
        "reasons": [],
        "namespaces": [{"namespace": "", "process": None, "wildcard_listeners": []}],
        "interfaces": [{"interface": f"eth{offset}", "namespace": "", "mac_address": mac(number)} for offset, number in enumerate(numbers)],
        "addresses": addresses,
    }


def main() -> None:
    enis = [make_eni(number) for number in range(ENIS)]
    results = {f"web-{host:03}": make_result(host) for host in range(HOSTS)}
    seconds = {}

    def measure(name: str, function: Any, *arguments: Any) -> Any:
        started = time.process_time()
        made = function(*arguments)
        seconds[name] = round(time.process_time() - started, 3)
        return made

    guests = measure("index_guests", Guests, results)
    report = measure("join_guests", join_guests, enis, guests)
    joined = round(sum(seconds.values()), 3)
    not_assigned = measure("find_not_assigned", find_not_assigned, enis, guests)
    emptied = [replace(eni, addresses=[], prefixes=[]) for eni in enis]
    remaining = measure("find_remaining", find_remaining, enis, emptied, guests)
    figures = {
        "hosts": HOSTS,
        "enis": ENIS,
        "findings": Counter(finding.level for of_eni in report.findings.values() for finding in of_eni.values()),
        "not_assigned": len(not_assigned),
        "remaining": len(remaining),
        "cpu_seconds": seconds,
        "cpu_seconds_of_the_join": joined,
        "below_limit": joined < LIMIT,
    }
    print(json.dumps(figures, indent=1))


main()
