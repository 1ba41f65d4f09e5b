# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the result is true, compared with the reads of the module and with the real state of the endpoint.

A result may differ from the real state only if no reply could show the difference: a refused call that took effect
anyway, a lag, or a read that left out an existing record. It never contradicts the replies.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from chaos.case import Case, flat
from chaos.evidence import secondary_addresses

# A possible write whose outcome no read has shown.
OPEN_CODES = ("NotVerified", "EniNotReturned")
# An ENI or instance whose record is missing or cannot be read.
UNREADABLE_CODES = ("UnreadableReply", "EniNotReturned", "InstanceWithoutEni")
# Seconds between the end of a write and the moment at which the module begins to wait.
CLOCK_GRAIN = 0.1
NO_CODE = ("Unexpected", "", None)


def find_result_problems(case: Case) -> Iterator[str]:
    yield from _nothing_seen_is_missing(case)
    if "interfaces" not in case.result:
        yield from _nothing_was_begun(case)
        return
    yield from find_ledger_problems(case)
    for entry in case.result["interfaces"]:
        if entry["eni_id"] in case.before:
            yield from (f"{entry['eni_id']}: {complaint}" for complaint in _reads_decide(case, entry))
            yield from (f"{entry['eni_id']}: {complaint}" for complaint in _matches_the_real_state(case, entry))
        elif entry["type"] is not None:
            yield f"{entry['eni_id']} does not exist, but its type is {entry['type']}"
        yield from _unreadable_is_its_own(case, entry)
    yield from _changed_is_true(case)


def find_ledger_problems(case: Case) -> Iterator[str]:
    """Whether the parts of a result agree with each other."""
    if "interfaces" in case.result:
        yield from _ledger_adds_up(case)
        yield from _summary_is_the_sum(case)


# --- before any write


def _nothing_was_begun(case: Case) -> Iterator[str]:
    result = case.result
    if case.evidence.writes:
        yield f"the result has no ledger, but {len(case.evidence.writes)} writes were sent"
    if result.get("changed") is not False or result.get("failed") is not True or not result.get("msg"):
        yield f"a run that ended before its writes must be failed, with a message, and changed=false: {result}"
    error = result.get("error", {})
    if not result.get("errors") and not error.get("code"):
        yield "a run that ended before its writes has neither errors nor the failed call"
    if error.get("code") in UNREADABLE_CODES and error.get("request_id") and not case.evidence.is_broken_in("", error["request_id"]):
        yield f"the record of one ENI or instance ended the whole run: {error}"


def _nothing_seen_is_missing(case: Case) -> Iterator[str]:
    named = set(case.result.get("missing", ()))
    for error in case.result.get("errors", ()):
        named.update(re.findall(r"\b((?:eni|i)-\w+) does not exist", error))
    for name in named:
        left_out = case.evidence.times_left_out(name)
        if len(left_out) < 2:
            yield f"{name} does not exist, says the result, but {len(left_out)} reads have left it out"
        elif case.evidence.was_seen(name, before=left_out[-1]):
            yield f"{name} does not exist, says the result, but a read had shown it before others left it out"


# --- the ledger as a whole


def _ledger_adds_up(case: Case) -> Iterator[str]:
    entries = case.result["interfaces"]
    for name, times in Counter(entry["eni_id"] or entry["instance_id"] for entry in entries).items():
        if times > 1:
            yield f"{name} is in the ledger {times} times"
    named = case.named()
    for entry in entries:
        places: dict[str, list[str]] = {}
        for place, address in case.listed(entry):
            places.setdefault(address, []).append(place)
        for address, found in places.items():
            if len(found) > 1:
                yield f"{entry['eni_id']}: {address} is in the ledger {len(found)} times: {found}"
            if entry["eni_id"] in case.before and address not in named.get(entry["eni_id"], ()):
                yield f"{entry['eni_id']}: {address} is in the ledger but was not named"
    for target in case.targets:
        yield from _target_is_listed(case, target)


def _target_is_listed(case: Case, target: Mapping[str, Any]) -> Iterator[str]:
    eni_id = case.eni_of(target)
    names = {eni_id, target.get("eni_id"), target.get("instance_id")} - {None}
    mine = [entry for entry in case.result["interfaces"] if entry["eni_id"] in names or entry["instance_id"] in names]
    if not mine:
        yield f"{target.get('eni_id') or target.get('instance_id')} is not in the ledger"
    listed = {address for entry in mine for _place, address in case.listed(entry)}
    lost = case.addresses_of(target, eni_id) - listed
    if target.get("all_secondary") and eni_id:
        # all_secondary means the addresses that a read shows. If no read shows the ENI, there are none, and the other ENIs of the
        # instance do not matter.
        own = [entry for entry in mine if entry["eni_id"] in (eni_id, None)]
        is_unknown = case.is_disturbed(eni_id) or all(entry["type"] is None for entry in own)
        lost = set() if is_unknown else lost - case.taken_by_others(eni_id)
    yield from (f"{eni_id}: {address} was named but is nowhere in the ledger" for address in lost)


def _summary_is_the_sum(case: Case) -> Iterator[str]:
    result, summary = case.result, case.result["summary"]
    places = Counter(place for entry in result["interfaces"] for place, _address in case.listed(entry))
    expected = {
        "interfaces": len(result["interfaces"]),
        "addresses": sum(places.values()),
        **{place: places[place] for place in (case.done_key, case.unchanged_key, "skipped", "failed")},
        "api_calls": len(case.evidence.exchanges),
    }
    if summary != expected:
        yield f"the summary is {summary}, but the ledger and the requests make {expected}"
    listed = {entry["eni_id"]: flat(entry) for entry in result[case.done_key]}
    booked = {entry["eni_id"]: flat(entry[case.done_key]) for entry in result["interfaces"] if flat(entry[case.done_key])}
    if listed != booked:
        yield f"{case.done_key} is {listed}, but the ledger says {booked}"
    failures = [(entry, failure) for entry in result["interfaces"] for failure in entry["failures"]]
    if bool(result.get("failed")) != bool(failures) or (failures and not result.get("msg")):
        yield f"failed is {result.get('failed')} with {len(failures)} failures"
    for entry, failure in failures:
        # An ENI that cannot be read has failed, also if its addresses are unknown.
        if failure["code"] in NO_CODE or not failure["message"] or not (failure["addresses"] or entry["type"] is None):
            yield f"{entry['eni_id']}: a failure that says too little: {failure}"
    for side in ("before", "after"):
        changed = [entry for entry in result["interfaces"] if entry["before"] != entry["after"]]
        lines = sorted(f"{entry['eni_id']} {address}" for entry in changed for address in flat(entry[side]))
        if sorted(result["diff"][side].splitlines()) != lines:
            yield f"diff.{side} is not what the ledger says"


def _changed_is_true(case: Case) -> Iterator[str]:
    """True if an address is done, or if the outcome of a possible write is unknown."""
    is_done = any(flat(entry[case.done_key]) for entry in case.result["interfaces"])
    is_open = any(_open(case, entry) for entry in case.result["interfaces"])
    if case.result["changed"] != (is_done or is_open):
        yield f"changed is {case.result['changed']}, but the ledger has {'something' if is_done or is_open else 'nothing'} done or open"


def _open(case: Case, entry: Mapping[str, Any]) -> set[str]:
    """Addresses that are reported as possibly written."""
    unconfirmed = {address for failure in entry["failures"] if failure["code"] in OPEN_CODES for address in failure["addresses"]}
    return {address for address in unconfirmed if _may_be_open(case, entry["eni_id"], address)}


def _may_be_open(case: Case, eni_id: str, address: str) -> bool:
    return any(write.may_have_changed(address) for write in case.evidence.writes_of(eni_id, address))


# --- one ENI, compared with the replies


def _reads_decide(case: Case, entry: Mapping[str, Any]) -> Iterator[str]:
    eni_id, evidence = entry["eni_id"], case.evidence
    for place, address in case.listed(entry):
        writes = evidence.writes_of(eni_id, address)
        is_shown = evidence.is_shown_changed(eni_id, address, case.state)
        if not writes:
            if place == case.done_key:
                yield f"{address} is {place}, but no write names it"
            continue
        if place == case.unchanged_key or (place == "skipped" and _may_be_open(case, eni_id, address)):
            yield f"{address} is reported as {place}, but a write of it was sent"
        if is_shown and place != case.done_key:
            yield f"{address} is reported as {place}, but a read after its last write shows the change"
        is_trusted = case.arguments["wait"] is False and writes[-1].is_accepted
        if place == case.done_key and not is_shown and not is_trusted:
            yield f"{address} is {place}, but no read after its last write shows that"
        if place == case.done_key and not is_shown and entry["verified"]:
            yield f"verified, but no read shows that {address} is {place}"
    for failure in entry["failures"]:
        for address in failure["addresses"]:
            yield from _failed_for_a_reason(case, entry, failure, address)
    rows = [row for _read, row in evidence.views_of(eni_id) if row]
    if case.arguments["wait"] and entry["type"] and entry["status"] and rows and flat(entry["after"]) != secondary_addresses(rows[-1]):
        yield f"after is not what the last read shows: they differ by {sorted(flat(entry['after']) ^ secondary_addresses(rows[-1]))}"


def _failed_for_a_reason(case: Case, entry: Mapping[str, Any], failure: Mapping[str, Any], address: str) -> Iterator[str]:
    eni_id, code = entry["eni_id"], failure["code"]
    writes = case.evidence.writes_of(eni_id, address)
    if code == "NotVerified" and not writes:
        yield f"{address} is {code}, but no write of it was sent"
    if not writes:
        return
    if code == "NotVerified" and not _may_be_open(case, eni_id, address):
        yield f"{address} is {code}, but each write of it was plainly refused: {[write.code for write in writes]}"
    if code == "NotVerified" and entry["verified"]:
        yield f"verified, but {address} is {code}"
    unclear = [write for write in writes if not write.is_plainly_refused]
    if code not in OPEN_CODES and unclear:
        yield f"{address} has failed with {code}, but a write of it may have been carried out ({unclear[-1].code or 'no code'})"
    if case.arguments["wait"] and not case.evidence.looked_again(eni_id, address) and not _is_fatal(case, code):
        yield f"{address} has failed with {code}, but was not read again after its last write"
    if _gave_up_too_early(case, eni_id, address) and not _is_fatal(case, code):
        yield f"{address} has failed with {code}, but was not looked for until wait_timeout was over"


def _gave_up_too_early(case: Case, eni_id: str, address: str) -> bool:
    """The module reads back a possible write until wait_timeout ends, because reads may lag. Only a refusal of a
    read ends this earlier, or a service that has not replied for retry_timeout."""
    if not case.arguments["wait"] or not _may_be_open(case, eni_id, address):
        return False
    first = min(write.ended for write in case.evidence.writes_of(eni_id, address))
    last = case.evidence.last_look(eni_id)
    is_refused = last["status"] in range(400, 500) and bool(last["code"])
    silence = case.evidence.seconds_of_silence(last)
    is_silent = silence > 0 and silence >= case.arguments["retry_timeout"]
    return not is_refused and not is_silent and last["began"] - first < case.arguments["wait_timeout"] - CLOCK_GRAIN


def _is_fatal(case: Case, code: str) -> bool:
    """An invalid credential ends the reads too."""
    fatal = re.compile(r"InvalidAccessKeyId|InvalidSecurityToken|MissingSecurityToken|SignatureDoesNotMatch")
    return any(fatal.match(exchange["code"]) for exchange in case.evidence.exchanges)


def _unreadable_is_its_own(case: Case, entry: Mapping[str, Any]) -> Iterator[str]:
    """An unreadable record does not affect other ENIs, unless it may be the holder of an address."""
    names = [name for name in (entry["eni_id"], entry["instance_id"]) if name]
    for failure in entry["failures"]:
        code, request_id = failure["code"], failure["request_id"]
        if code in UNREADABLE_CODES and request_id and not any(case.evidence.is_broken_in(name, request_id) for name in names):
            yield f"{names[0]} has failed with {code}, but the reply {request_id} shows it"
        if code == "EniNotReturned" and entry["eni_id"] and not case.evidence.times_left_out(entry["eni_id"]):
            yield f"{names[0]} has failed with {code}, but no read left it out"
    for skip in entry["skipped"]:
        if skip["code"] == "HolderUnreadable" and not case.evidence.has_broken_holder(entry["eni_id"]):
            yield f"{names[0]}: {skip['address']} is skipped with {skip['code']}, but every other ENI of the vSwitch can be read"


# --- one ENI, compared with the real state


def _matches_the_real_state(case: Case, entry: Mapping[str, Any]) -> Iterator[str]:
    eni_id = entry["eni_id"]
    places: dict[str, set[str]] = {place: set() for place in (case.done_key, case.unchanged_key, "skipped", "failed")}
    for place, address in case.listed(entry):
        places[place].add(address)
    done, unchanged = (case.credible(eni_id, places[place]) for place in (case.done_key, case.unchanged_key))
    ours, taken = case.changed_by_us(eni_id), case.taken_by_others(eni_id)
    is_deleted, is_disturbed = eni_id not in case.after, case.is_disturbed(eni_id)
    there = set() if is_deleted else flat(case.after[eni_id])
    hidden = {address for address in ours if _is_hidden(case, eni_id, address)}
    reported = places[case.done_key] | _open(case, entry) | hidden
    yield from (f"{address} was changed by our calls, but is reported as neither done nor open" for address in ours - reported)
    if entry["type"] is not None or not case.evidence.times_left_out(eni_id):
        yield from _addresses_match_the_real_state(case, done, unchanged, ours, taken, there, is_deleted)
    if is_disturbed:
        return
    if entry["type"] is not None and case.credible(eni_id, flat(entry["before"]) ^ flat(case.before[eni_id])):
        yield f"before is not the real state: {entry['before']}"
    wrong_after = case.credible(eni_id, (flat(entry["after"]) ^ there) - hidden)
    if entry["verified"] and entry["type"] is not None and wrong_after:
        yield f"verified, but after differs from the real state by {sorted(wrong_after)}"
    is_trusted = case.arguments["wait"] is False and places[case.done_key]
    is_shown = case.evidence.is_shown_after_last_write(eni_id)
    if entry["verified"] and not is_shown:
        yield "verified, but no read after the last write shows the ENI"
    if not entry["verified"] and is_shown and not _open(case, entry) and not is_trusted:
        yield "not verified, though nothing is open"


def _addresses_match_the_real_state(
    case: Case, done: set[str], unchanged: set[str], ours: set[str], taken: set[str], there: set[str], is_deleted: bool
) -> Iterator[str]:
    if case.state == "absent":
        yield from (f"{address} is reported as unassigned, but is there" for address in done & there)
        yield from (f"{address} is reported as unassigned, but nobody took it" for address in done - ours - taken if not is_deleted)
        yield from (f"{address} is reported as absent, but is there" for address in unchanged & there)
    elif not is_deleted:
        yield from (f"{address} is reported as assigned, but is not there" for address in done - there - taken)
        yield from (f"{address} is reported as assigned, but our calls did not" for address in done - ours)
        yield from (f"{address} is reported as present, but is not there" for address in unchanged - there - taken)


def _is_hidden(case: Case, eni_id: str, address: str) -> bool:
    """It was changed, but no reply shows it: each of its writes was refused, and a later read did not show the
    change (because of a lag, or of a read that shows the past)."""
    writes = case.evidence.writes_of(eni_id, address)
    return (
        all(write.is_plainly_refused for write in writes)
        and case.evidence.looked_again(eni_id, address)
        and not case.evidence.is_shown_changed(eni_id, address, case.state)
    )
