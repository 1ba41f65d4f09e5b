# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people run in a loop: an SDK script that unassigns addresses of one ENI. `sdk_one.py ENI ADDRESS…`"""

from __future__ import annotations

import sys

from alibabacloud_ecs20140526 import models
from sdk_client import REGION, client


def secondary_addresses(eni_id: str) -> list[str]:
    request = models.DescribeNetworkInterfacesRequest(region_id=REGION, network_interface_id=[eni_id])
    (interface,) = client.describe_network_interfaces(request).body.network_interface_sets.network_interface_set
    return [address.private_ip_address for address in interface.private_ip_sets.private_ip_set if not address.primary]


def main() -> None:
    eni_id, *addresses = sys.argv[1:]
    there = [address for address in secondary_addresses(eni_id) if address in addresses]
    if there:
        request = models.UnassignPrivateIpAddressesRequest(region_id=REGION, network_interface_id=eni_id, private_ip_address=there)
        client.unassign_private_ip_addresses(request)
    if set(secondary_addresses(eni_id)) & set(addresses):
        sys.exit("not unassigned")


main()
