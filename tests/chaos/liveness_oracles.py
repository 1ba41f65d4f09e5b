# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a run succeeds. If every fault ends before the module may give up, it must not give up."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ecs_emulator.faults import OTHERS

from chaos.case import Case
from chaos.scenario import PATIENT, SHORTEST_LONG_LAG, WRITES

# Codes of transient conditions.
TRANSIENT = re.compile(
    r"ConnectionFailed|UnreadableReply|InternalError|ServiceUnavailable|Throttling|Rejected|Operation\.?Conflict|NotVerified|PlanAged"
    r"|SignatureNonceUsed|Idempotent"
)
# Ends when reads no longer lag. With wait=false, the module does not wait for that.
ALREADY_ABSENT = re.compile(r"InvalidIp\.(IpUnassigned|IpPrefixIllegal)")
TRANSIENT_ERROR = re.compile(r"Throttling|Rejected\.Throttling|Operation\.?Conflict|InvalidOperation\.Conflict|IdempotentProcessing")
# Codes of calls that are refused because an address is already held.
HELD = re.compile(r"InvalidIp\.IpAssigned|InvalidPrivateIpAddress\.Duplicated")
LONG_LIFE = 30


def find_liveness_problems(case: Case) -> Iterator[str]:
    if not _all_ends(case):
        return
    failures = [(entry, failure) for entry in case.result.get("interfaces", ()) for failure in entry["failures"]]
    codes = {failure["code"] for entry, failure in failures if not _is_refused_for_good(case, entry, failure)}
    if "error" in case.result:
        codes.add(case.result["error"]["code"])
    yield from (f"{code} was not survived, although it ends" for code in sorted(codes) if _ends_by_itself(case, code))
    if case.state == "present":
        for entry, failure in failures:
            if HELD.match(failure["code"]) and not any("error" in call["faults"] for call in case.calls):
                free = [address for address in failure["addresses"] if not _is_held(case, entry["eni_id"], address)]
                yield from (f"{entry['eni_id']}: {address} was not assigned, although nobody holds it" for address in free)


def _is_refused_for_good(case: Case, entry: Mapping[str, Any], failure: Mapping[str, Any]) -> bool:
    """Whether one of its writes was certainly refused with a code that is not transient."""
    writes = (write for address in failure["addresses"] for write in case.evidence.writes_of(entry["eni_id"], address))
    return any(write.is_plainly_refused and not _ends_by_itself(case, write.code) for write in writes)


def _ends_by_itself(case: Case, code: str) -> bool:
    return bool(TRANSIENT.match(code) or (case.arguments["wait"] and ALREADY_ABSENT.match(code)))


def _all_ends(case: Case) -> bool:
    arguments, scenario = case.arguments, case.scenario
    if scenario.plan_lives < LONG_LIFE or _longest_lag(scenario.settings) >= SHORTEST_LONG_LAG:
        return False
    if arguments["retry_timeout"] < PATIENT or (arguments["wait"] and arguments["wait_timeout"] < PATIENT):
        return False
    return all(_ends(fault) for fault in scenario.faults)


def _longest_lag(settings: Mapping[str, Any]) -> float:
    lag = settings.get("lag_ms", 0)
    return float(max(lag) if isinstance(lag, list) else lag)


def _ends(fault: Mapping[str, Any]) -> bool:
    """An invalid record or list is an error at once, and so is a refusal that is not transient."""
    is_of_writes = fault["action"] in ("write", *WRITES)
    if fault["kind"] in (*OTHERS, "strip_rows") or not ("nth" in fault or "times" in fault):
        return False
    if fault["kind"] == "shape":
        return is_of_writes
    if fault["kind"] in ("error", "processing"):
        return _is_transient(fault)
    return True


def _is_transient(fault: Mapping[str, Any]) -> bool:
    if fault["kind"] == "processing" and (fault.get("ms", 0) >= SHORTEST_LONG_LAG or "code" not in fault):
        return fault.get("ms", 0) < SHORTEST_LONG_LAG
    return fault["status"] >= 500 or bool(TRANSIENT_ERROR.match(fault["code"]))


def _is_held(case: Case, eni_id: str, address: str) -> bool:
    """Whether another ENI in the vSwitch holds it or a part of it, at any time of the run or afterwards."""
    vswitch_id = case.before[eni_id]["vswitch_id"]
    hidden = next(vswitch["held"] for vswitch in case.scenario.seed["vswitches"] if vswitch["id"] == vswitch_id)
    held = set(hidden)
    for state in (case.before, case.after):
        for other in state.values():
            if other["vswitch_id"] == vswitch_id:
                held |= {other["primary_address"], other["primary_ipv6_address"]} - {""}
                held |= {
                    item for kind in ("private_ip_addresses", "ipv4_prefixes", "ipv6_addresses", "ipv6_prefixes") for item in other[kind]
                }
    network = ipaddress.ip_network(address)
    return any(network.overlaps(block) for block in map(ipaddress.ip_network, held) if block.version == network.version)
