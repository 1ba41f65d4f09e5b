# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ledger → result of the modules. One builder makes before, after, diff and assignments, for check mode and for a run.

Private to this collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import EMPTY, PRIVATE_IPV4, count
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import SDK_PACKAGE, EcsError, SdkMissing
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import Interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import AddressState, EniLedger
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Reason
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Selection
from ansible_collections.alicloud_ops.network.plugins.module_utils._select import Found, matching
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import first_few, shorten

# These keys of the result depend on the requested state.
DONE_KEY = {"absent": "unassigned", "present": "assigned"}
UNCHANGED_KEY = {"absent": "already_absent", "present": "already_present"}
MOST_LINES = 20


def build_result(state: str, ledger: Sequence[EniLedger], api_calls: int) -> dict[str, Any]:
    """The result of the module, with ``failed`` and ``msg`` if anything failed."""
    interfaces = [_eni_as_dict(state, eni) for eni in ledger]
    changed = sorted((one for one in interfaces if one["before"] != one["after"]), key=lambda one: one["eni_id"])
    done, failed = total(ledger, AddressState.DONE), total(ledger, AddressState.FAILED, AddressState.IN_FLIGHT)
    addresses = sum(len(eni.states) for eni in ledger)
    result: dict[str, Any] = {
        "changed": any(may_have_changed(eni) for eni in ledger),
        DONE_KEY[state]: [{"eni_id": one["eni_id"], **one[DONE_KEY[state]]} for one in interfaces if count(one[DONE_KEY[state]])],
        "interfaces": interfaces,
        "missing": [format_name(eni) for eni in ledger if eni.change.interface is None and eni.change.failure is None],
        "summary": {
            "interfaces": len(interfaces),
            "addresses": addresses,
            DONE_KEY[state]: done,
            UNCHANGED_KEY[state]: total(ledger, AddressState.UNCHANGED),
            "skipped": total(ledger, AddressState.SKIPPED),
            "failed": failed,
            "api_calls": api_calls,
        },
        "diff": {side: "".join(_diff_lines(one, side) for one in changed) for side in ("before", "after")},
    }
    lines = [format_failure(eni, reason, of_reason) for eni in ledger for reason, of_reason in eni.failures()]
    if lines:
        result["failed"] = True
        result["msg"] = f"{failed} of {addresses} addresses failed, {done} were {DONE_KEY[state]}. {format_list(lines)}"
    return result


def total(ledger: Sequence[EniLedger], *states: AddressState) -> int:
    return sum(len(eni.having(*states)) for eni in ledger)


def may_have_changed(eni: EniLedger) -> bool:
    """Whether an address was changed, or may have been."""
    return bool(eni.having(AddressState.DONE, AddressState.IN_FLIGHT))


def format_name(eni: EniLedger) -> str:
    return eni.change.eni_id or eni.change.instance_id or ""


def format_failure(eni: EniLedger, reason: Reason, addresses: Sequence[str]) -> str:
    request_id = f" [request id {reason.request_id}]" if reason.request_id else ""
    return f"{format_name(eni)}: {shorten(addresses) + ': ' if addresses else ''}{reason.code}: {reason.text}{request_id}"


# Begins the message of a module that writes, if it stops before the first write.
UNCHANGED = "Nothing was changed. "


def build_refusal(errors: Sequence[str], first: str = UNCHANGED) -> dict[str, Any]:
    """The result of a request that was refused before any write: all errors in one message, and as a list."""
    return {"changed": False, "msg": f"{first}{format_list(errors)}", "errors": list(errors)}


def build_failure(error: EcsError | SdkMissing, first: str = UNCHANGED) -> dict[str, Any]:
    """The result if a call failed, or could not be sent, before any write."""
    if isinstance(error, SdkMissing):
        return {"changed": False, "msg": f"{missing_required_lib(SDK_PACKAGE)} ({error})"}
    details = {"action": error.action, "code": error.code, "message": error.message, "request_id": error.request_id}
    return {"changed": False, "msg": f"{first}{error}", "error": details}


def build_info(found: Found, wanted: Selection, api_calls: int) -> dict[str, Any]:
    """The result of the info module."""
    matches = {interface.eni_id: matching(interface, wanted) for interface in found.interfaces}
    return {
        "changed": False,
        "interfaces": [describe_interface(interface) for interface in found.interfaces],
        "assignments": [{"eni_id": eni_id, **lists} for eni_id, lists in matches.items() if count(lists)],
        "missing": found.missing,
        "unreadable": [{"id": name, "reason": str(error)} for name, error in sorted(found.unreadable.items())],
        "security_groups": {group_id: group.name for group_id, group in found.security_groups.items()},
        "summary": {"interfaces": len(found.interfaces), "addresses": sum(map(count, matches.values())), "api_calls": api_calls},
    }


def describe_interface(interface: Interface) -> dict[str, Any]:
    """An ENI with all its details, for the info module and the inventory. It must have been read with ``detailed=True``."""
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


def _eni_as_dict(state: str, eni: EniLedger) -> dict[str, Any]:
    planned, latest = eni.change.interface, eni.latest
    return {
        "eni_id": eni.change.eni_id,
        "instance_id": eni.change.instance_id,
        "type": planned.type if planned else None,
        "status": latest.status if latest else None,
        "before": planned.held if planned else EMPTY,
        "after": latest.held if latest else EMPTY,
        "verified": eni.verified,
        DONE_KEY[state]: eni.as_set(AddressState.DONE),
        UNCHANGED_KEY[state]: eni.as_set(AddressState.UNCHANGED),
        "skipped": tuple(
            {"address": address, "code": eni.reasons[address].code, "reason": eni.reasons[address].text}
            for address in eni.having(AddressState.SKIPPED)
        ),
        "failures": tuple(
            {"addresses": addresses, "code": reason.code, "message": reason.text, "request_id": reason.request_id}
            for reason, addresses in eni.failures()
        ),
    }


def _diff_lines(interface: Mapping[str, Any], side: str) -> str:
    """One line per address, with its ENI, so that a diff of many ENIs is easy to read."""
    return "".join(f"{interface['eni_id']} {address}\n" for addresses in interface[side].values() for address in addresses)


def format_list(lines: Sequence[str]) -> str:
    """One line as it is; several with their numbers, because a line can have any punctuation."""
    if len(lines) == 1:
        return lines[0]
    return "; ".join(f"({number}) {line}" for number, line in enumerate(first_few(lines, MOST_LINES), 1))
