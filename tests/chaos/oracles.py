# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be so of every run, whatever went wrong: judged by the endpoint's own state and calls, with none of the module's code."""

from __future__ import annotations

import ipaddress
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from ecs_emulator.faults import OTHERS

from chaos.running import Story
from chaos.scenario import LONG_LAG, PATIENT, WRITES, Scenario
from chaos.worlds import IPV4_PREFIXES, IPV6, IPV6_PREFIXES, KINDS, PRIVATE_IPV4

PARAMETERS = {
    PRIVATE_IPV4: ("PrivateIpAddress.", 32),
    IPV4_PREFIXES: ("Ipv4Prefix.", 10),
    IPV6: ("Ipv6Address.", 10),
    IPV6_PREFIXES: ("Ipv6Prefix.", 10),
}
CONTAINER_NETWORK_TAGS = {"creator": ["terway", "alibabacloud-erdma-controller"], "ack.aliyun.com": None, "cilium-eni-index": None}
DONE = {"absent": "unassigned", "present": "assigned"}
UNCHANGED = {"absent": "already_absent", "present": "already_present"}
# The log tells the beginning of a call in whole milliseconds.
CLOCK_GRAIN = 0.0021
# What passes by itself, by the code that is told of it.
PASSING = re.compile(
    r"ConnectionFailed|UnreadableReply|InternalError|ServiceUnavailable|Throttling|Rejected|Operation\.Conflict|NotVerified|PlanAged"
    r"|InvalidIp\.IpUnassigned|InvalidIp\.IpPrefixIllegal"
)
# Nothing of such a call was carried out. Of a batch that is refused for one address the API does not say so.
SURELY_NOT = re.compile(r"Throttling|Rejected|Operation\.Conflict")
LONG_LIFE = 30
NO_CODE = ("Unexpected", "", None)


def judge(scenario: Scenario, story: Story) -> list[str]:
    """Everything that is wrong with this run."""
    return list(_Judge(scenario, story).complaints())


class _Judge:
    def __init__(self, scenario: Scenario, story: Story) -> None:
        self.scenario, self.story, self.result = scenario, story, story.result
        self.arguments = scenario.arguments
        self.state = self.arguments["state"]
        self.before, self.after = story.before["interfaces"], story.after["interfaces"]
        self.writes = [call for call in story.calls if call["writes"]]
        self.targets = self.arguments.get("assignments") or [self.arguments]

    def complaints(self) -> Iterator[str]:
        if "traceback" in self.result:
            yield f"the module raised: {self.result['traceback']}"
            return
        if "Traceback" in json.dumps(self.result) or "emulator-key-secret" in json.dumps(self.result):
            yield "the result holds a traceback or a secret"
        yield from self._writes_are_allowed()
        yield from self._writes_are_well_formed()
        yield from self._writes_on_one_eni_follow_one_another()
        yield from self._what_passes_is_survived()
        if "interfaces" in self.result:
            yield from self._ledger_adds_up()
            yield from self._summary_is_the_sum()
            for entry in self.result["interfaces"]:
                if entry["eni_id"]:
                    yield from self._is_so(entry)
            yield from self._changed_is_told()
        else:
            yield from self._nothing_was_begun()

    # --- what may be written at all

    def _writes_are_allowed(self) -> Iterator[str]:
        allowed = self._named()
        for call in self.writes:
            eni_id, _kind, addresses = _written(call)
            where = f"call {call['sequence']} ({call['action']} on {eni_id})"
            if not call["action"].startswith({"absent": "Unassign", "present": "Assign"}[self.state]):
                yield f"{where} is not what state={self.state} asks for"
            if eni_id not in allowed:
                yield f"{where}: this ENI was not named"
                continue
            interface = self.before[eni_id]
            for address in addresses:
                if address in (interface["primary_address"], interface["primary_ipv6_address"]):
                    yield f"{where}: {address} is the primary address"
                if address not in allowed[eni_id]:
                    yield f"{where}: {address} was not named"
                if self.state == "absent" and self._kept(address):
                    yield f"{where}: {address} is in keep"
                if self.state == "absent" and address in interface["eips"] and not self.arguments.get("allow_eip"):
                    yield f"{where}: {address} has an EIP"
            yield from (f"{where}: {reason}" for reason in self._guarded(interface))
            yield from (f"{where}: {reason}" for reason in self._known_to_be_wrong(call, interface))

    def _named(self) -> dict[str, set[str]]:
        """By ENI, all that the request names, in canonical spelling."""
        named: dict[str, set[str]] = {}
        for target in self.targets:
            eni_id = self._eni_of(target)
            if eni_id:
                named.setdefault(eni_id, set()).update(self._addresses_of(target, eni_id))
        return named

    def _eni_of(self, target: Mapping[str, Any]) -> str | None:
        if target.get("eni_id"):
            return target["eni_id"] if target["eni_id"] in self.before else None
        primaries = (eni for eni in self.before.values() if eni["type"] == "Primary" and eni["instance_id"] == target["instance_id"])
        return next((eni["eni_id"] for eni in primaries), None)

    def _addresses_of(self, target: Mapping[str, Any], eni_id: str | None) -> set[str]:
        if target.get("all_secondary"):
            return set(self.before[eni_id][PRIVATE_IPV4]) if eni_id else set()
        return {canonical(text) for kind in KINDS for text in target.get(kind) or ()}

    def _kept(self, address: str) -> bool:
        network = ipaddress.ip_network(address)
        kept = map(ipaddress.ip_network, self.arguments.get("keep") or ())
        return any(block.version == network.version and block.overlaps(network) for block in kept)

    def _guarded(self, interface: Mapping[str, Any]) -> Iterator[str]:
        if interface["service_managed"]:
            yield "the ENI is service-managed"
        for key, values in self._protected_tags():
            if key in interface["tags"] and (values is None or interface["tags"][key] in values):
                yield f"the ENI has the protected tag {key}"
        if not self._may_have_been(interface["eni_id"], interface["status"]) & {"Available", "InUse"}:
            yield f"the ENI was never in a state for this, but {interface['status']}"
        instance = self.story.before["instances"].get(interface["instance_id"])
        if interface["type"] == "Primary" and not self._may_have_been(interface["instance_id"], instance["status"]) & {
            "Running",
            "Stopped",
        }:
            yield f"its instance was never in a state for this, but {instance['status']}"

    def _protected_tags(self) -> Iterator[tuple[str, list[str] | None]]:
        given = self.arguments.get("protected_tags")
        if given == {}:
            return
        yield from CONTAINER_NETWORK_TAGS.items()
        for key, value in (given or {}).items():
            yield key, value if value is None or isinstance(value, list) else [value]

    def _may_have_been(self, thing_id: str, at_first: str) -> set[str]:
        """All states that this ENI or instance may have been in during the run."""
        states = {at_first}
        for thing in self._seeded():
            if thing["id"] == thing_id and "becomes" in thing:
                states.add(thing["becomes"]["status"])
        return states | {event["status"] for event in self._by_others(thing_id) if "status" in event}

    def _by_others(self, thing_id: str) -> list[dict[str, Any]]:
        events = [event for call in self.story.calls for event in call["by_others"]]
        return [event for event in events if thing_id in (event.get("id"), event.get("eni_id"), event.get("deleted"))]

    def _known_to_be_wrong(self, write: Mapping[str, Any], interface: Mapping[str, Any]) -> Iterator[str]:
        """Whether a read before this write has shown a state that somebody else had brought about, in which it must not be."""
        things = {interface["eni_id"]: ("Available", "InUse")}
        if interface["type"] == "Primary":
            things[interface["instance_id"]] = ("Running", "Stopped")
        lags = self.scenario.settings.get("lag_ms")
        for thing_id, good in things.items():
            events = [
                (_end(call), event["status"]) for call in self.story.calls for event in call["by_others"] if event.get("id") == thing_id
            ]
            by_itself = any(thing["id"] == thing_id and "becomes" in thing for thing in self._seeded())
            if lags or by_itself or len(events) != 1 or events[0][1] in good:
                continue
            for read in self.story.calls:
                shows = thing_id in read["parameters"].values() or thing_id in read["parameters"].get("InstanceIds", "")
                whole = read["status"] == 200 and not read["code"] and not read["faults"] and "DryRun" not in read["parameters"]
                if not read["writes"] and shows and whole and _begin(read) > events[0][0] and _end(read) < _begin(write):
                    yield f"call {read['sequence']} had shown that {thing_id} is {events[0][1]}"

    def _seeded(self) -> Iterator[Mapping[str, Any]]:
        yield from self.scenario.seed["interfaces"]
        yield from self.scenario.seed["instances"]

    # --- how it may be written

    def _writes_are_well_formed(self) -> Iterator[str]:
        for call in self.writes:
            names = [name for name in call["parameters"] if name[-1].isdigit()]
            kinds = [kind for kind, (prefix, _most) in PARAMETERS.items() if any(name.startswith(prefix) for name in names)]
            if len(kinds) != 1:
                yield f"call {call['sequence']} names {len(kinds)} kinds of address: {call['parameters']}"
                continue
            _eni_id, kind, addresses = _written(call)
            if len(addresses) > PARAMETERS[kind][1]:
                yield f"call {call['sequence']} names {len(addresses)} of {kind}"
            if len(set(addresses)) != len(addresses):
                yield f"call {call['sequence']} names an address twice"
            if len({address.partition("/")[2] for address in addresses}) > 1:
                yield f"call {call['sequence']} names prefixes of different masks"

    def _writes_on_one_eni_follow_one_another(self) -> Iterator[str]:
        last_end: dict[str, float] = {}
        for call in self.writes:
            eni_id = call["parameters"]["NetworkInterfaceId"]
            if call["code"] == "Operation.Conflict" and "conflict" not in call["faults"]:
                yield f"call {call['sequence']} met another write of ours on {eni_id}"
            if _begin(call) < last_end.get(eni_id, 0) - CLOCK_GRAIN:
                yield f"call {call['sequence']} was sent while another write on {eni_id} was under way"
            last_end[eni_id] = _end(call)

    # --- whether it gets there

    def _what_passes_is_survived(self) -> Iterator[str]:
        if not self._all_passes():
            return
        codes = [self.result["error"]["code"]] if "error" in self.result else []
        codes += [failed["code"] for entry in self.result.get("interfaces", ()) for failed in entry["failures"]]
        yield from (f"{code} was not survived, though it passes" for code in set(codes) if PASSING.match(code))

    def _all_passes(self) -> bool:
        """Whether every fault ends by itself before the module may lose its patience. A read that makes no sense is an error at once."""
        arguments, scenario = self.arguments, self.scenario
        if scenario.plan_lives < LONG_LIFE or scenario.settings.get("lag_ms") == LONG_LAG:
            return False
        if arguments["retry_timeout"] < PATIENT or (arguments["wait"] and arguments["wait_timeout"] < PATIENT):
            return False
        return all(
            ("nth" in fault or "times" in fault)
            and fault["kind"] not in OTHERS
            and (fault["kind"] != "shape" or fault["action"] in ("write", *WRITES))
            for fault in scenario.faults
        )

    # --- what is told of it

    def _nothing_was_begun(self) -> Iterator[str]:
        if self.writes:
            yield f"the result has no ledger, but {len(self.writes)} writes were sent"
        if self.result.get("changed") is not False or self.result.get("failed") is not True or not self.result.get("msg"):
            yield f"a run that ended before its writes must be failed, with a message, and changed=false: {self.result}"
        if not self.result.get("errors") and not self.result.get("error", {}).get("code"):
            yield "a run that ended before its writes tells neither errors nor the failed call"

    def _ledger_adds_up(self) -> Iterator[str]:
        entries = self.result["interfaces"]
        for name, times in Counter(entry["eni_id"] or entry["instance_id"] for entry in entries).items():
            if times > 1:
                yield f"{name} is in the ledger {times} times"
        for entry in entries:
            told = Counter(address for _place, address in self._told(entry))
            for address, times in told.items():
                if times > 1:
                    places = [place for place, found in self._told(entry) if found == address]
                    yield f"{entry['eni_id']}: {address} is in the ledger {times} times: {places}"
            known = self._named().get(entry["eni_id"]) if entry["eni_id"] in self.before else None
            yield from (
                f"{entry['eni_id']}: {address} is in the ledger but was not named"
                for address in told
                if known is not None and address not in known
            )
        for target in self.targets:
            yield from self._target_is_told(target)

    def _target_is_told(self, target: Mapping[str, Any]) -> Iterator[str]:
        eni_id = self._eni_of(target)
        names = {eni_id, target.get("eni_id"), target.get("instance_id")} - {None}
        mine = [entry for entry in self.result["interfaces"] if entry["eni_id"] in names or entry["instance_id"] in names]
        if not mine:
            yield f"{target.get('eni_id') or target.get('instance_id')} is not in the ledger"
        told = {address for entry in mine for _place, address in self._told(entry)}
        taken = set(self._taken_by_others(eni_id)) if eni_id else set()
        gone = target.get("all_secondary") and (not eni_id or self._disturbed(eni_id))
        for address in self._addresses_of(target, eni_id) - told:
            # What all_secondary means is what was there when it was read.
            if not (target.get("all_secondary") and (address in taken or gone)):
                yield f"{eni_id}: {address} was named but is nowhere in the ledger"

    def _told(self, entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for place in (DONE[self.state], UNCHANGED[self.state]):
            yield from ((place, address) for kind in KINDS for address in entry[place][kind])
        yield from (("skipped", note["address"]) for note in entry["skipped"])
        yield from (("failed", address) for failed in entry["failures"] for address in failed["addresses"])

    def _summary_is_the_sum(self) -> Iterator[str]:
        result, summary = self.result, self.result["summary"]
        places = Counter(place for entry in result["interfaces"] for place, _address in self._told(entry))
        expected = {
            "interfaces": len(result["interfaces"]),
            "addresses": sum(places.values()),
            **{place: places[place] for place in (DONE[self.state], UNCHANGED[self.state], "skipped", "failed")},
            "api_calls": len(self.story.calls),
        }
        if summary != expected:
            yield f"the summary is {summary}, but the ledger and the endpoint's log make {expected}"
        listed = {entry["eni_id"]: {kind: entry[kind] for kind in KINDS} for entry in result[DONE[self.state]]}
        booked = {entry["eni_id"]: entry[DONE[self.state]] for entry in result["interfaces"] if any(entry[DONE[self.state]].values())}
        if listed != booked:
            yield f"{DONE[self.state]} is {listed}, but the ledger says {booked}"
        if bool(result.get("failed")) != bool(places["failed"]) or (result.get("failed") and not result.get("msg")):
            yield f"failed is {result.get('failed')} with {places['failed']} failed addresses"
        for entry in result["interfaces"]:
            for failed in entry["failures"]:
                if failed["code"] in NO_CODE or not failed["message"] or not failed["addresses"]:
                    yield f"{entry['eni_id']}: a failure that tells too little: {failed}"
        for side in ("before", "after"):
            lines = sorted(
                f"{entry['eni_id']} {address}"
                for entry in result["interfaces"]
                if entry["before"] != entry["after"]
                for address in _flat(entry[side])
            )
            if sorted(result["diff"][side].splitlines()) != lines:
                yield f"diff.{side} is not what the ledger says"

    def _is_so(self, entry: Mapping[str, Any]) -> Iterator[str]:
        """The ledger of one ENI against what the endpoint knows."""
        eni_id = entry["eni_id"]
        if eni_id not in self.before:
            if entry["type"] is not None:
                yield f"{eni_id} never was, but its type is {entry['type']}"
            return
        places: dict[str, set[str]] = {place: set() for place in (DONE[self.state], UNCHANGED[self.state], "skipped", "failed")}
        for place, address in self._told(entry):
            places[place].add(address)
        done, unchanged = places[DONE[self.state]], places[UNCHANGED[self.state]]
        ours, taken = self._changed_by_us(eni_id), set(self._taken_by_others(eni_id))
        there = _flat(self.after[eni_id]) if eni_id in self.after else set()
        at_first = _flat(self.before[eni_id])
        deleted = eni_id not in self.after
        yield from (
            f"{eni_id}: {address} was changed by our calls but is told as neither done nor failed"
            for address in ours - done - places["failed"]
        )
        if self.state == "absent":
            yield from (f"{eni_id}: {address} is told as unassigned, but is there" for address in done & there)
            yield from (f"{eni_id}: {address} is told as unassigned, but nobody took it" for address in done - ours - taken if not deleted)
            yield from (f"{eni_id}: {address} is told as absent, but is there" for address in unchanged & there)
        elif not deleted:
            yield from (f"{eni_id}: {address} is told as assigned, but is not there" for address in done - there - taken)
            yield from (f"{eni_id}: {address} is told as assigned, but our calls did not" for address in done - ours)
            yield from (f"{eni_id}: {address} is told as present, but is not there" for address in unchanged - there - taken)
        yield from (f"{eni_id}: {address} is skipped, but was changed" for address in places["skipped"] & ours)
        if entry["type"] is None and not self._disturbed(eni_id):
            yield f"{eni_id} is told as missing, but nothing happened to it"
        if any(failed["code"] == "InvalidEniId.NotFound" for failed in entry["failures"]) and not deleted:
            yield f"{eni_id} is told as gone, but is there"
        if not self._disturbed(eni_id) and _flat(entry["before"]) != at_first:
            yield f"{eni_id}: before is not what was so: {entry['before']}"
        if entry["verified"] and not self._disturbed(eni_id) and _flat(entry["after"]) != there:
            yield f"{eni_id}: verified, but after differs from what is so by {sorted(_flat(entry['after']) ^ there)}"
        if not entry["verified"] and not ours and not self._sent(eni_id):
            yield f"{eni_id}: not verified, though nothing was sent to it"
        if entry["verified"] and self.arguments["wait"] is False and done:
            yield f"{eni_id}: told as verified with wait=false"

    def _changed_by_us(self, eni_id: str) -> set[str]:
        effects = [call["effect"] for call in self.writes if call["effect"].get("eni_id") == eni_id]
        return {address for effect in effects for addresses in effect.get(DONE[self.state], {}).values() for address in addresses}

    def _taken_by_others(self, eni_id: str) -> Iterable[str]:
        return [address for event in self._by_others(eni_id) for addresses in event.get("unassigned", {}).values() for address in addresses]

    def _disturbed(self, eni_id: str) -> bool:
        """Whether somebody else changed what it holds, or what it belongs to."""
        return any("status" not in event or event["status"] == "Available" for event in self._by_others(eni_id))

    def _sent(self, eni_id: str) -> bool:
        return any(call["parameters"].get("NetworkInterfaceId") == eni_id for call in self.writes)

    def _changed_is_told(self) -> Iterator[str]:
        by_us = [call for call in self.writes if call["effect"]]
        if not self.result["changed"] and not all(self._hidden(call) for call in by_us):
            yield f"changed is false, but the calls {[call['sequence'] for call in by_us]} changed something"
        if self.result["changed"] and not self.writes:
            yield "changed is true, but nothing was sent"
        if self.result["changed"] and all(SURELY_NOT.match(call["code"]) for call in self.writes):
            yield "changed is true, but every write was plainly refused"

    def _hidden(self, call: Mapping[str, Any]) -> bool:
        """A batch that was refused, carried out for some all the same, and given up before reads could show that."""
        impatient = self.arguments["wait_timeout"] < PATIENT and self.scenario.settings.get("lag_ms")
        return bool(impatient) and call["code"] in ("InvalidIp.IpUnassigned", "InvalidIp.IpPrefixIllegal")


def _begin(call: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(call["time"]).timestamp()


def _end(call: Mapping[str, Any]) -> float:
    return _begin(call) + (call["duration_ms"] or 0) / 1000


def canonical(text: str) -> str:
    network = ipaddress.ip_network(text.strip())
    return str(network) if "/" in text else str(network.network_address)


def _written(call: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    """ENI, kind and addresses of one write."""
    parameters = call["parameters"]
    for kind, (prefix, _most) in PARAMETERS.items():
        addresses = [canonical(value) for name, value in parameters.items() if name.startswith(prefix)]
        if addresses:
            return parameters["NetworkInterfaceId"], kind, addresses
    return parameters["NetworkInterfaceId"], "", []


def _flat(lists: Mapping[str, Any]) -> set[str]:
    return {address for kind in KINDS for address in lists[kind]}
