# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unknown behavior of the service, as switches with choices, a default and a fact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Switch:
    name: str
    choices: tuple[str, ...]
    fact: str

    @property
    def default(self) -> str:
        return self.choices[0]


# The first choice is the default, because it has the best evidence.
SWITCHES: tuple[Switch, ...] = (
    Switch(
        "batch",
        ("atomic", "partial", "lenient"),
        "The documentation does not say what happens if one address of a batch is not assigned. atomic: the call is refused and nothing "
        "changes (one error code, and a success that names no address, speak for it). partial: the assigned addresses are unassigned, "
        "but the answer is InvalidIp.IpUnassigned. lenient: the assigned addresses are unassigned and the answer is a success, unless "
        "none was assigned.",
    ),
    Switch(
        "group_filter",
        ("secondary", "all"),
        "DescribeNetworkInterfaces(SecurityGroupId) is documented for secondary ENIs only; that it leaves out primary ones is not proven.",
    ),
    Switch(
        "eip",
        ("drop", "refuse"),
        "Unassigning an address with an EIP: not documented. No error code is listed for it, so the EIP is dropped; refuse answers "
        "InvalidParameter.Conflict, the listed code that fits best.",
    ),
    Switch("throttle_status", ("400", "429", "403"), "The documentation says 400; newer clients' tests show 429, terway's show 403."),
    Switch(
        "throttle_code",
        ("Throttling", "Throttling.User", "Throttling.Api", "Rejected.Throttling"),
        "The ECS page names Throttling; clients see the others too.",
    ),
    Switch("retry_after", ("none", "window"), "The SDK knows the header x-acs-retry-after (ms); that ECS sends it is not documented."),
    Switch(
        "unassigned_message", ("named", "bare"), "The 2018 text of InvalidIp.IpUnassigned names the address; today's table only says %s."
    ),
    Switch(
        "validation_order",
        ("interface_first", "parameters_first"),
        "The order is a guess: ENI exists, managed, type, state, address format, CIDR, assigned; or the parameters' form before all that.",
    ),
    Switch(
        "addresses_per_call",
        ("32", "10", "any"),
        "PrivateIpAddress.N is documented as 1 to 32, formerly 1 to 10, without a number in the newest SDK. The code is a guess.",
    ),
    Switch("duplicates", ("ignore", "refuse"), "No code for doubles is listed for unassigning IPv4; refuse answers InvalidIp.IpRepeated."),
    Switch("mixed", ("refuse", "accept"), "terway found that addresses and prefixes can't be unassigned in one call; the code is a guess."),
    Switch(
        "prefix_unassigned",
        ("InvalidIp.IpUnassigned", "InvalidIp.IpPrefixIllegal"),
        "Unassigning a prefix that is not assigned: both codes are listed.",
    ),
    Switch("ipv4_prefix_mask", ("28", "24-28"), "Examples use /28 only; the range stands in the error's message, which is not published."),
    Switch(
        "concurrent_writes",
        ("conflict", "accept"),
        "Two writes on one ENI at once answer Operation.Conflict; when exactly is not known.",
    ),
    Switch(
        "secondary_instance_state",
        ("ignore", "check"),
        "The instance must be Running or Stopped for its primary ENI; for a secondary one no such rule is documented.",
    ),
    Switch(
        "trunk", ("refuse", "accept"), "Some ENI types are refused with InvalidOperation.InvalidEniType; Trunk and Member are candidates."
    ),
    Switch("available_limit", ("49", "50", "10"), "Secondary addresses on an Available ENI: three pages, three numbers."),
    Switch(
        "permission_code", ("Forbidden.RAM", "NoPermission", "Forbidden.SubUser"), "Which of the listed codes ECS answers is not known."
    ),
    Switch("unattached_instance_id", ("empty", "absent"), "InstanceId of an ENI that is not attached: '' or left out."),
    Switch("last_token", ("empty", "absent"), "NextToken on the last page: '' or left out."),
    Switch(
        "token_pages",
        ("full", "short"),
        "Nothing promises that a page with a NextToken is full, or that the last page has a row: short makes pages of any length.",
    ),
    Switch(
        "default_paging",
        ("pages", "tokens"),
        "With no paging parameter at all: the first 10 with TotalCount and no token, or with a token.",
    ),
    Switch(
        "group_page_numbers",
        ("accept", "refuse"),
        "PageNumber and PageSize of DescribeSecurityGroups will be removed; NotSupported.PageNumberAndPageSize is already listed.",
    ),
)
BY_NAME = {switch.name: switch for switch in SWITCHES}


def problems_in(chosen: Mapping[str, object]) -> list[str]:
    found = []
    for name, choice in chosen.items():
        switch = BY_NAME.get(name)
        if switch is None:
            found.append(f"switch {name!r} is not known; there are: {', '.join(BY_NAME)}")
        elif str(choice) not in switch.choices:
            found.append(f"switch {name} can't be {choice!r}; it is one of {', '.join(switch.choices)}")
    return found


def choose(*layers: Mapping[str, object]) -> dict[str, str]:
    """All switches. Later layers win. The layers are already validated."""
    chosen = {switch.name: switch.default for switch in SWITCHES}
    for layer in layers:
        chosen.update({name: str(choice) for name, choice in layer.items()})
    return chosen
