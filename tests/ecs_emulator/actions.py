# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ecs_emulator import reads, writes
from ecs_emulator.context import Context

VERSION = "2014-05-26"


@dataclass(frozen=True)
class Action:
    run: Callable[[Context], dict[str, Any]]
    writes: bool = False
    has_dry_run: bool = False


ACTIONS: dict[str, Action] = {
    "DescribeNetworkInterfaces": Action(reads.describe_network_interfaces),
    "DescribeNetworkInterfaceAttribute": Action(reads.describe_network_interface_attribute),
    "DescribeInstances": Action(reads.describe_instances, has_dry_run=True),
    "DescribeSecurityGroups": Action(reads.describe_security_groups, has_dry_run=True),
    "DescribeRegions": Action(reads.describe_regions),
    "AssignPrivateIpAddresses": Action(writes.assign_private_ip_addresses, writes=True),
    "UnassignPrivateIpAddresses": Action(writes.unassign_private_ip_addresses, writes=True),
    "AssignIpv6Addresses": Action(writes.assign_ipv6_addresses, writes=True),
    "UnassignIpv6Addresses": Action(writes.unassign_ipv6_addresses, writes=True),
}
