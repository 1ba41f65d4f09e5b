# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The floor: a plain script with the SDK and a pool of threads, with the same reads, writes and reads back, and no checks."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alibabacloud_ecs20140526 import models
from darabonba.runtime import RuntimeOptions
from sdk_client import REGION, client

THREADS = 8
IDS_PER_READ = 100
runtime = RuntimeOptions(max_idle_conns=40)


def read(eni_ids: list[str]) -> dict[str, list[str]]:
    request = models.DescribeNetworkInterfacesRequest(region_id=REGION, network_interface_id=eni_ids, max_results=500)
    rows = client.describe_network_interfaces_with_options(request, runtime).body.network_interface_sets.network_interface_set
    return {
        row.network_interface_id: [address.private_ip_address for address in row.private_ip_sets.private_ip_set if not address.primary]
        for row in rows
    }


def unassign(eni_id: str, addresses: list[str]) -> None:
    request = models.UnassignPrivateIpAddressesRequest(region_id=REGION, network_interface_id=eni_id, private_ip_address=addresses)
    client.unassign_private_ip_addresses_with_options(request, runtime)


def main() -> None:
    wanted = {
        entry["eni_id"]: set(entry["private_ip_addresses"])
        for entry in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["assignments"]
    }
    eni_ids = list(wanted)
    batches = [eni_ids[start : start + IDS_PER_READ] for start in range(0, len(eni_ids), IDS_PER_READ)]
    held = read(batches[0])  # alone, so that all threads share its pool of connections
    with ThreadPoolExecutor(THREADS) as pool:
        for more in pool.map(read, batches[1:]):
            held.update(more)
        list(pool.map(lambda eni_id: unassign(eni_id, [address for address in held[eni_id] if address in wanted[eni_id]]), eni_ids))
        left = [
            address
            for found in pool.map(read, batches)
            for eni_id, addresses in found.items()
            for address in addresses
            if address in wanted[eni_id]
        ]
    if left:
        sys.exit(f"{len(left)} addresses are still there")


main()
