# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ledger → what the modules return. One builder makes before, after, diff and the lists, for check mode and for a run.

Private to this collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import EMPTY, PRIVATE_IPV4, count, flatten
from ansible_collections.alicloud_ops.network.plugins.module_utils._apply import Outcome
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import SDK_PACKAGE, EcsError, SdkMissing
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import Interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Selection
from ansible_collections.alicloud_ops.network.plugins.module_utils._select import matching
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import first_few, shorten

# What was changed, and what was already so, are called by the state that was asked for.
DONE = {"absent": "unassigned", "present": "assigned"}
SETTLED = {"absent": "absent", "present": "present"}
MOST_TOLD = 20


def build_result(state: str, outcomes: Sequence[Outcome], api_calls: int) -> dict[str, Any]:
    """The module's result; with ``failed`` and ``msg`` where anything failed."""
    interfaces = [_tell(state, outcome) for outcome in outcomes]
    changed = [interface for interface in interfaces if interface["before"] != interface["after"]]
    failures = [
        f"{_name(interface)}: {shorten(failed['addresses'])}: {_told(failed)}" for interface in interfaces for failed in interface["failed"]
    ]
    done = sum(count(outcome.done) for outcome in outcomes)
    result: dict[str, Any] = {
        "changed": any(outcome.wrote for outcome in outcomes),
        DONE[state]: [{"eni_id": outcome.eni_id, **outcome.done} for outcome in outcomes if count(outcome.done)],
        "interfaces": interfaces,
        "missing": [_name(interface) for interface in interfaces if interface["type"] is None],
        "summary": {
            "interfaces": len(interfaces),
            "addresses": sum(_addresses_of(outcome) for outcome in outcomes),
            DONE[state]: done,
            SETTLED[state]: sum(count(outcome.settled) for outcome in outcomes),
            "skipped": sum(len(outcome.skipped) for outcome in outcomes),
            "failed": sum(_count_failed(outcome) for outcome in outcomes),
            "api_calls": api_calls,
        },
        "diff": {side: "".join(_lines(interface, side) for interface in changed) for side in ("before", "after")},
    }
    if failures:
        result["failed"] = True
        result["msg"] = (
            f"{result['summary']['failed']} of {result['summary']['addresses']} addresses failed, {done} were {DONE[state]}. "
            + _listed(failures)
        )
    return result


# What a module that writes says first when it stops before. One that only reads has nothing to say of changes.
UNCHANGED = "Nothing was changed. "


def build_refusal(errors: Sequence[str], first: str = UNCHANGED) -> dict[str, Any]:
    """For what stops before any write: all of it in one message, and as a list."""
    return {"changed": False, "msg": f"{first}{_listed(errors)}", "errors": list(errors)}


def build_failure(error: EcsError | SdkMissing, first: str = UNCHANGED) -> dict[str, Any]:
    """For a call that failed, or could not even be tried, before any write."""
    if isinstance(error, SdkMissing):
        return {"changed": False, "msg": f"{missing_required_lib(SDK_PACKAGE)} ({error})"}
    failure = {"action": error.action, "code": error.code, "message": error.message, "request_id": error.request_id}
    return {"changed": False, "msg": f"{first}{error}", "failure": failure}


def build_info(interfaces: Sequence[Interface], missing: Sequence[str], wanted: Selection, api_calls: int) -> dict[str, Any]:
    """What the info module returns."""
    matches = {interface.eni_id: matching(interface, wanted) for interface in interfaces}
    return {
        "changed": False,
        "interfaces": [_describe(interface) for interface in interfaces],
        "assignments": [{"eni_id": eni_id, **lists} for eni_id, lists in matches.items() if count(lists)],
        "missing": list(missing),
        "summary": {"interfaces": len(interfaces), "addresses": sum(map(count, matches.values())), "api_calls": api_calls},
    }


def _describe(interface: Interface) -> dict[str, Any]:
    details = interface.details
    return {
        "eni_id": interface.eni_id,
        "name": details.get("NetworkInterfaceName"),
        "description": details.get("Description"),
        "type": interface.type,
        "status": interface.status,
        "instance_id": interface.instance_id,
        "private_ip_address": interface.private_ip_address,
        **interface.held,
        PRIVATE_IPV4: [{"address": address, "eip": interface.eips.get(address)} for address in interface.held[PRIVATE_IPV4]],
        "security_group_ids": list(interface.security_group_ids),
        "vpc_id": interface.vpc_id or None,
        "vswitch_id": interface.vswitch_id,
        "zone_id": details.get("ZoneId"),
        "mac_address": details.get("MacAddress"),
        "owner_id": interface.owner_id or None,
        "resource_group_id": details.get("ResourceGroupId"),
        "creation_time": details.get("CreationTime"),
        "service_managed": interface.service_managed,
        "tags": dict(interface.tags),
    }


def _tell(state: str, outcome: Outcome) -> dict[str, Any]:
    planned, latest = outcome.change.interface, outcome.latest
    return {
        "eni_id": outcome.change.eni_id,
        "instance_id": outcome.change.instance_id,
        "type": planned.type if planned else None,
        "status": latest.status if latest else None,
        "before": planned.held if planned else EMPTY,
        "after": latest.held if latest else EMPTY,
        "verified": outcome.verified,
        DONE[state]: outcome.done,
        SETTLED[state]: outcome.settled,
        "skipped": tuple({"address": note.address, "reason": note.reason} for note in outcome.skipped),
        "failed": tuple(
            {"addresses": failure.addresses, "code": failure.code, "message": failure.message, "request_id": failure.request_id}
            for failure in outcome.failed
        ),
    }


def _lines(interface: Mapping[str, Any], side: str) -> str:
    """One line an address, each with its ENI, so that a diff of many reads well."""
    return "".join(f"{_name(interface)} {address}\n" for addresses in interface[side].values() for address in addresses)


def _name(interface: Mapping[str, Any]) -> str:
    return interface["eni_id"] or interface["instance_id"]


def _count_failed(outcome: Outcome) -> int:
    return sum(len(failure.addresses) for failure in outcome.failed)


def _addresses_of(outcome: Outcome) -> int:
    return len(flatten(outcome.done)) + len(flatten(outcome.settled)) + len(outcome.skipped) + _count_failed(outcome)


def _told(failed: Mapping[str, Any]) -> str:
    request_id = f" [request id {failed['request_id']}]" if failed["request_id"] else ""
    return f"{failed['code']}: {failed['message']}{request_id}"


def _listed(lines: Sequence[str]) -> str:
    if len(lines) == 1:
        return lines[0]
    return "; ".join(f"({number}) {line}" for number, line in enumerate(first_few(lines, MOST_TOLD), 1))
