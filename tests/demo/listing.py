# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What exists in the local ECS endpoint, as tables of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MOST_ADDRESSES = 3  # named in the line of an ENI


def describe(state: Mapping[str, Any]) -> list[str]:
    """The lines of three tables. ``state``: what GET /_emulator/state answers."""
    interfaces = state["interfaces"]
    groups = [
        (group_id, group["name"], group["vpc_id"], str(sum(group_id in eni["security_group_ids"] for eni in interfaces.values())))
        for group_id, group in state["security_groups"].items()
    ]
    primary = {eni["instance_id"]: eni_id for eni_id, eni in interfaces.items() if eni["type"] == "Primary"}
    instances = [(instance_id, instance["status"], primary[instance_id]) for instance_id, instance in state["instances"].items()]
    enis = [
        (
            eni_id,
            eni["type"],
            eni["status"],
            eni["instance_id"] or "-",
            ", ".join(eni["security_group_ids"]),
            _secondary(eni),
            _remarks(eni),
        )
        for eni_id, eni in interfaces.items()
    ]
    return [
        f"Region {state['region']}, account {state['account']}",
        "",
        *_table(("SECURITY GROUP", "NAME", "VPC", "ENIS"), groups),
        "",
        *_table(("INSTANCE", "STATUS", "PRIMARY ENI"), instances),
        "",
        *_table(("ENI", "TYPE", "STATUS", "INSTANCE", "GROUPS", "SECONDARY ADDRESSES", "REMARKS"), enis),
    ]


def _secondary(eni: Mapping[str, Any]) -> str:
    addresses = [one for kind in ("private_ip_addresses", "ipv4_prefixes", "ipv6_addresses", "ipv6_prefixes") for one in eni[kind]]
    more = len(addresses) - MOST_ADDRESSES
    return ", ".join(addresses[:MOST_ADDRESSES]) + (f" and {more} more" if more > 0 else "") or "-"


def _remarks(eni: Mapping[str, Any]) -> str:
    remarks = [f"EIP {eip} on {address}" for address, eip in eni["eips"].items()]
    remarks += [f"tag {key}={value}" for key, value in eni["tags"].items()]
    remarks += ["managed by a cloud service"] if eni["service_managed"] else []
    return ", ".join(remarks)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    rows = [heads, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
