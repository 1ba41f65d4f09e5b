# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules for writes."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from chaos.case import Case, kind_of
from chaos.evidence import ARRIVED_EARLIER, PARAMETERS, Write

CONTAINER_NETWORK_TAGS = {"creator": ["terway", "alibabacloud-erdma-controller"], "ack.aliyun.com": None, "cilium-eni-index": None}
ENI_STATES, INSTANCE_STATES = {"Available", "InUse"}, {"Running", "Stopped"}
# No later request with this ClientToken can succeed (ecs-api.md, section 8).
TOKEN_USED_UP = re.compile(r"Idempotent(Failed|ParameterMismatch)")
# Seconds between the age check of a plan and the record of the request, on a busy machine.
SCHEDULING = 0.3


def find_write_problems(case: Case) -> Iterator[str]:
    yield from _only_what_is_named(case)
    yield from _guards_hold(case)
    yield from _calls_are_well_formed(case)
    yield from _one_call_at_a_time_on_each_eni(case)
    yield from _client_tokens(case)
    yield from _no_plan_is_old(case)


def _where(write: Write) -> str:
    return f"{write.exchange['action']} on {write.eni_id} ({', '.join(write.addresses)})"


def _only_what_is_named(case: Case) -> Iterator[str]:
    named = case.named()
    for write in case.evidence.writes:
        where = _where(write)
        if not write.exchange["action"].startswith({"absent": "Unassign", "present": "Assign"}[case.state]):
            yield f"{where} is not what state={case.state} asks for"
        if write.eni_id not in named:
            yield f"{where}: this ENI was not named"
            continue
        interface = case.before[write.eni_id]
        for address in write.addresses:
            if address in (interface["primary_address"], interface["primary_ipv6_address"]):
                yield f"{where}: {address} is the primary address"
            if address not in named[write.eni_id]:
                yield f"{where}: {address} was not named"
            if case.state == "absent" and _is_kept(case, address):
                yield f"{where}: {address} is in keep"


def _is_kept(case: Case, address: str) -> bool:
    network = ipaddress.ip_network(address)
    kept = map(ipaddress.ip_network, case.arguments.get("keep") or ())
    return any(block.version == network.version and block.overlaps(network) for block in kept)


def _guards_hold(case: Case) -> Iterator[str]:
    """Compared with the real state, and with the last read before the write, which is what the guards use."""
    for write in case.evidence.writes:
        interface = case.before.get(write.eni_id)
        if interface is None:
            continue
        tags_are_credible = "Tags" not in case.stripped(write.eni_id)
        yield from (f"{_where(write)}: {reason}" for reason in _guarded_by_truth(case, write, interface, tags_are_credible))
        view = case.evidence.last_view_before(write.eni_id, write.began)
        if view is None:
            yield f"{_where(write)}: no read had shown this ENI"
            continue
        yield from (f"{_where(write)}: a read had shown that {reason}" for reason in _guarded_by_view(case, write, view))


def _guarded_by_truth(case: Case, write: Write, interface: Mapping[str, Any], tags_are_credible: bool) -> Iterator[str]:
    if interface["service_managed"]:
        yield "the ENI is service-managed"
    if tags_are_credible:
        yield from (f"the ENI has the protected tag {key}" for key in _protected(case, interface["tags"]))
    if case.state == "absent" and not case.arguments.get("allow_eip"):
        yield from (f"{address} has an EIP" for address in write.addresses if address in interface["eips"])
    if not _may_have_been(case, write.eni_id, interface["status"]) & ENI_STATES:
        yield f"the ENI was never in a state for this, but {interface['status']}"
    instance = case.run.before["instances"].get(interface["instance_id"])
    if interface["type"] == "Primary" and not _may_have_been(case, interface["instance_id"], instance["status"]) & INSTANCE_STATES:
        yield f"its instance was never in a state for this, but {instance['status']}"


def _guarded_by_view(case: Case, write: Write, view: Mapping[str, Any]) -> Iterator[str]:
    if view["service_managed"]:
        yield "the ENI is service-managed"
    yield from (f"the ENI has the protected tag {key}" for key in _protected(case, view["tags"]))
    if case.state == "absent" and not case.arguments.get("allow_eip"):
        yield from (f"{address} has an EIP" for address in write.addresses if address in view["eips"])
    yield from (f"{address} is the primary address" for address in write.addresses if address in view["primary"])
    if view["status"] not in ENI_STATES:
        yield f"the ENI is {view['status']}"
    if view["type"] == "Primary":
        status = case.evidence.instance_status_before(view["instance_id"], write.began)
        if status not in INSTANCE_STATES:
            yield f"its instance is {status}"


def _protected(case: Case, tags: Mapping[str, str]) -> Iterator[str]:
    given = case.arguments.get("protected_tags")
    if given == {}:
        return
    for key, value in {**CONTAINER_NETWORK_TAGS, **(given or {})}.items():
        values = value if value is None or isinstance(value, list) else [value]
        if key in tags and (values is None or tags[key] in values):
            yield key


def _may_have_been(case: Case, thing_id: str, at_first: str) -> set[str]:
    """All states that this ENI or instance may have been in during the run."""
    states = {at_first}
    states |= {thing["becomes"]["status"] for thing in case.seeded() if thing["id"] == thing_id and "becomes" in thing}
    return states | {event["status"] for event in case.by_others(thing_id) if "status" in event}


def _calls_are_well_formed(case: Case) -> Iterator[str]:
    for write in case.evidence.writes:
        kinds = {kind_of(address) for address in write.addresses}
        if len(kinds) != 1:
            yield f"{_where(write)} names {len(kinds)} kinds of address"
            continue
        kind = kinds.pop()
        if len(write.addresses) > PARAMETERS[kind][1]:
            yield f"{_where(write)} names {len(write.addresses)} of {kind}"
        if len(set(write.addresses)) != len(write.addresses):
            yield f"{_where(write)} names an address twice"
        if len({address.partition("/")[2] for address in write.addresses}) > 1:
            yield f"{_where(write)} names prefixes of different masks"


def _one_call_at_a_time_on_each_eni(case: Case) -> Iterator[str]:
    last: dict[str, Write] = {}
    for write in case.evidence.writes:
        earlier = last.get(write.eni_id)
        if earlier and write.began < earlier.ended:
            yield f"{_where(write)} was sent while {_where(earlier)} was under way"
        last[write.eni_id] = write


def _client_tokens(case: Case) -> Iterator[str]:
    """A repeated call has the same token, unless the service says that no request with this token can succeed."""
    last: dict[tuple[str, frozenset[str]], Write] = {}
    for write in case.evidence.writes:
        token = write.exchange["parameters"].get("ClientToken")
        if case.state == "absent":
            continue
        if not token:
            yield f"{_where(write)} has no ClientToken"
        call = (write.eni_id, frozenset(write.addresses))
        earlier = last.get(call)
        if earlier:
            is_same = earlier.exchange["parameters"].get("ClientToken") == token
            if TOKEN_USED_UP.match(earlier.code) and is_same:
                yield f"{_where(write)} was sent with a token that cannot succeed, according to the service"
            if (
                not is_same
                and not TOKEN_USED_UP.match(earlier.code)
                and (not earlier.is_plainly_refused or ARRIVED_EARLIER.match(earlier.code))
            ):
                yield f"{_where(write)} was sent again with another token, although the first call may have been carried out"
        last[call] = write


def _no_plan_is_old(case: Case) -> Iterator[str]:
    for write in case.evidence.writes:
        began = max((read.began for read, row in case.evidence.views_of(write.eni_id) if row and read.ended < write.began), default=None)
        if began is not None and write.began - began > case.scenario.plan_lives + SCHEDULING:
            yield f"{_where(write)} was sent {write.began - began:.2f} s after the ENI was read"
