# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read-back: the new states of addresses in flight after a read, as a table, and when the next read is due."""

from __future__ import annotations

from itertools import product

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import group
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import (
    CONNECTION_FAILED,
    ENI_NOT_FOUND,
    ENI_NOT_RETURNED,
    NO_ERROR_CODE,
    NOT_VERIFIED,
    UNEXPECTED,
    UNREADABLE_REPLY,
    EcsError,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import AddressState, EniLedger, Event, Write
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Change, Reason
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import may_have_changed
from ansible_collections.alicloud_ops.network.plugins.module_utils._verify import (
    FIRST_POLL,
    LONGEST_POLL,
    POLL_BACKOFF,
    Verifier,
    observe,
)
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import (
    FakeEcs,
    drop_rows,
    eni,
    eni_record,
    make_request,
    refused,
    spoil_rows,
)

PLANNED, IN_FLIGHT, DONE, _UNCHANGED, _SKIPPED, FAILED = AddressState
A, B, C, D = "192.168.0.10", "192.168.0.11", "192.168.0.12", "192.168.0.13"
UNASSIGNED, ASSIGNED = "InvalidIp.IpUnassigned", "InvalidIp.IpAssigned"
WAIT_TIMEOUT, RETRY_TIMEOUT = 60.0, 20.0
EARLY, LATE, OVER = 1.0, 30.0, 60.0  # within retry_timeout, within wait_timeout, and after both
UNREADABLE = EcsError("DescribeNetworkInterfaces", UNREADABLE_REPLY, "?", "R-9")


def ledger_after(*writes, planned=()):
    """The ledger of one ENI to which these calls were sent. A call is (addresses, error)."""
    states = dict.fromkeys(planned, PLANNED)
    ledger = EniLedger(Change("eni-1", None, None, group([]), group([])), None, 100.0, states, {})
    for addresses, error in writes:
        write = Write(tuple(addresses), error)
        ledger.writes.append(write)
        states.update(dict.fromkeys(addresses, IN_FLIGHT))
    return ledger


def shown(state, changed=(), addresses=(A, B, C, D)):
    """The ENI as a read shows it if only the addresses in ``changed`` are as requested."""
    return eni("eni-1", [one for one in addresses if (one in changed) == (state == "present")])


def look(ledger, found, state="absent", waited=EARLY, **options):
    return observe(ledger, found, make_request(state, wait_timeout=WAIT_TIMEOUT, **options), waited, RETRY_TIMEOUT)


STATES = ["absent", "present"]
TIMES = {"early": EARLY, "late": LATE, "over": OVER}
ACCEPTED_CALL = None
OPEN_REPLIES = [
    refused("ServiceTimeout", status=504),
    refused("SomethingNew", status=500),
    refused("SignatureNonceUsed", status=400),
    refused("IdempotentProcessing", status=403),
    refused("IdempotentFailed", status=400),
    EcsError("Write", CONNECTION_FAILED, "reset"),
    EcsError("Write", UNREADABLE_REPLY, "?", status=200),
    EcsError("Write", NO_ERROR_CODE, "?", status=403),
]
REFUSALS = [refused("Forbidden.RAM"), refused("Throttling.User"), refused("Operation.Conflict"), refused("InvalidOperation.InvalidEniType")]
STATE_REFUSALS = [refused("InvalidOperation.InvalidEniState", status=400), refused("InvalidOperation.InvalidEcsState", status=400)]
ADDRESS_REFUSALS = {"absent": refused("InvalidIp.IpPrefixNotStrict", "no"), "present": refused(ASSIGNED, "no")}
EVERY_REPLY = [ACCEPTED_CALL, *OPEN_REPLIES, *REFUSALS, *STATE_REFUSALS, *ADDRESS_REFUSALS.values(), refused(UNASSIGNED)]


# A read that shows the change


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("waited", TIMES.values(), ids=TIMES)
@pytest.mark.parametrize("error", EVERY_REPLY, ids=str)
def test_a_change_that_a_read_shows_is_done_with_any_reply(state, error, waited):
    ledger = ledger_after(([A], error))
    found = shown(state, changed=[A])
    assert look(ledger, found, state, waited)
    assert (ledger.states, ledger.reasons, ledger.latest) == ({A: DONE}, {}, found)


def test_a_given_up_address_is_done_if_a_read_shows_the_change():
    ledger = ledger_after(([A], None), ([B], refused("ServiceTimeout", status=504)))
    ledger.give_up(Reason(NOT_VERIFIED, "late"))
    assert look(ledger, shown("absent", changed=[A, B]))
    assert (ledger.states, ledger.reasons) == ({A: DONE, B: DONE}, {})


def test_addresses_that_are_not_in_flight_stay_unchanged():
    ledger = ledger_after(([A], None), planned=[B, C])
    ledger.move(Event.FAIL, [C], Reason("Why", "because"))
    look(ledger, shown("absent", changed=[A, B, C]))
    assert ledger.states == {A: DONE, B: PLANNED, C: FAILED}


# A read that does not show it: (state, error, time) → the state of the address, and the code of its reason

TABLE = [
    # an accepted call: wait
    *((state, ACCEPTED_CALL, time, IN_FLIGHT, NOT_VERIFIED if time == "over" else None) for state, time in product(STATES, TIMES)),
    # a call that may have been carried out: send it again, then wait
    *(
        (state, error, time, *{"early": (PLANNED, None), "late": (IN_FLIGHT, None), "over": (IN_FLIGHT, NOT_VERIFIED)}[time])
        for state, error, time in product(STATES, OPEN_REPLIES, TIMES)
    ),
    # a lasting refusal: failed
    *((state, error, time, FAILED, error.code) for state, error, time in product(STATES, REFUSALS, TIMES)),
    # a refusal because of the state of the ENI, which may change: send it again, then failed
    *(
        (state, error, time, *((FAILED, error.code) if time == "over" else (PLANNED, None)))
        for state, error, time in product(STATES, STATE_REFUSALS, TIMES)
    ),
    # a refusal of a single address: failed, unless the service says that the address is already gone
    *((state, error, time, FAILED, error.code) for (state, error), time in product(ADDRESS_REFUSALS.items(), TIMES)),
    *(
        ("absent", refused(code), time, *((FAILED, code) if time == "over" else (IN_FLIGHT, None)))
        for code, time in product([UNASSIGNED, "InvalidIp.IpPrefixIllegal"], TIMES)
    ),
    ("present", refused(UNASSIGNED), "early", FAILED, UNASSIGNED),
    # a defect of this collection: not sent again
    *(
        (state, EcsError("The module", UNEXPECTED, "?"), time, IN_FLIGHT, NOT_VERIFIED if time == "over" else None)
        for state, time in product(STATES, TIMES)
    ),
]


@pytest.mark.parametrize(("state", "error", "time", "expected", "code"), TABLE, ids=str)
def test_the_outcome_of_an_address_that_a_read_shows_unchanged(state, error, time, expected, code):
    ledger = ledger_after(([A], error))
    assert not look(ledger, shown(state), state, TIMES[time])
    assert ledger.states == {A: expected}
    assert (ledger.reasons[A].code if ledger.reasons else None) == code
    assert ledger.batches == ([(A,)] if expected is PLANNED else [])
    assert ledger.read_at == (float("-inf") if expected is PLANNED and error in STATE_REFUSALS else 100.0)


@pytest.mark.parametrize(
    ("error", "expected", "code"),
    [
        (refused("ServiceTimeout", status=504), PLANNED, None),
        (STATE_REFUSALS[0], FAILED, STATE_REFUSALS[0].code),
        (refused(UNASSIGNED), FAILED, UNASSIGNED),
        (refused("Forbidden.RAM"), FAILED, "Forbidden.RAM"),
    ],
    ids=str,
)
def test_without_waiting_one_read_decides_except_that_an_open_reply_is_sent_again(error, expected, code):
    ledger = ledger_after(([A], error))
    look(ledger, shown("absent"), waited=0.0, wait=False)
    assert ledger.states == {A: expected}
    assert (ledger.reasons[A].code if ledger.reasons else None) == code


@pytest.mark.parametrize(
    ("state", "text"),
    [("absent", "accepted, but it is still assigned after 60 s"), ("present", "accepted, but it is not assigned after 60 s")],
)
def test_the_text_of_an_unverified_address(state, text):
    ledger = ledger_after(([A], None))
    look(ledger, shown(state), state, OVER)
    assert ledger.reasons[A] == Reason(NOT_VERIFIED, text)


def test_the_text_without_waiting():
    ledger = ledger_after(([A], refused("ServiceTimeout", "slow", status=504)))
    look(ledger, shown("absent"), waited=LATE, wait=False)
    assert ledger.reasons[A] == Reason(NOT_VERIFIED, "sent, and then ServiceTimeout (slow), but it is still assigned after 0 s", "R-1")


def test_each_call_of_an_eni_is_decided_by_its_own_reply():
    ledger = ledger_after(
        ([A], None), ([B], refused("ServiceTimeout", status=504)), ([C], refused("Forbidden.RAM")), ([D], refused(UNASSIGNED))
    )
    look(ledger, shown("absent"))
    assert ledger.states == {A: IN_FLIGHT, B: PLANNED, C: FAILED, D: IN_FLIGHT}


def test_the_last_call_of_an_address_decides():
    ledger = ledger_after(([A, B], refused("Forbidden.RAM")), ([A], None))
    look(ledger, shown("absent"))
    assert ledger.states == {A: IN_FLIGHT, B: FAILED}


def test_sending_again_ends_with_the_retry_timeout():
    for waited, state in ((RETRY_TIMEOUT - 0.1, PLANNED), (RETRY_TIMEOUT, IN_FLIGHT)):
        ledger = ledger_after(([A], refused("ServiceTimeout", status=504)))
        look(ledger, shown("absent"), waited=waited)
        assert ledger.states == {A: state}


# An earlier call that may have been carried out

EARLIER = {
    "open": (([A, B], refused("ServiceTimeout", status=504)), NOT_VERIFIED),
    "refused because of another address": (([A, B], refused(UNASSIGNED, f"The IP {B}")), "Forbidden.RAM"),
    "refused because of an unnamed address": (([A, B], refused(UNASSIGNED)), "Forbidden.RAM"),
}


@pytest.mark.parametrize("earlier", EARLIER)
def test_after_a_later_refusal_reads_wait_for_the_effect_of_an_earlier_call(earlier):
    write, code = EARLIER[earlier]
    ledger = ledger_after(write, ([A], refused("Forbidden.RAM")))
    ledger.states.pop(B)
    assert not look(ledger, shown("absent"), waited=EARLY)
    assert (ledger.states, ledger.refusals[A].code, ledger.reasons) == ({A: IN_FLIGHT}, "Forbidden.RAM", {})
    assert not look(ledger, shown("absent"), waited=LATE)
    assert ledger.states == {A: IN_FLIGHT}
    look(ledger, shown("absent"), waited=OVER)
    assert (ledger.reasons[A].code, may_have_changed(ledger)) == (code, code == NOT_VERIFIED)


@pytest.mark.parametrize("earlier", EARLIER)
def test_an_address_is_done_when_a_read_shows_the_effect_of_the_earlier_call(earlier):
    ledger = ledger_after(EARLIER[earlier][0], ([A], refused("Forbidden.RAM")))
    look(ledger, shown("absent"))
    assert look(ledger, shown("absent", changed=[A]))
    assert ledger.states[A] is DONE
    assert A not in ledger.refusals


@pytest.mark.parametrize("earlier", EARLIER)
def test_without_waiting_the_effect_of_the_earlier_call_is_not_verified(earlier):
    ledger = ledger_after(EARLIER[earlier][0], ([A], refused("Forbidden.RAM")))
    look(ledger, shown("absent"), wait=False)
    assert (ledger.states[A], ledger.reasons[A].code) == (IN_FLIGHT, NOT_VERIFIED)


@pytest.mark.parametrize("error", OPEN_REPLIES, ids=str)
def test_a_held_address_is_only_read(error):
    """An address is held if the new plan refuses it, or if the run must not write any more."""
    ledger = ledger_after(([A], error))
    ledger.refuse([A], Reason("Refused", "no longer"))
    assert not look(ledger, shown("absent"), waited=EARLY)
    assert (ledger.states, ledger.batches) == ({A: IN_FLIGHT}, [])


# A call that is refused because of some of its addresses

SPLIT = [
    # addresses of the call, those that are now as requested, those that the refusal names, calls that are sent again
    ((A, B, C, D), (), (), [(A, B), (C, D)]),
    ((A, B, C), (), (), [(A, B), (C,)]),
    ((A, B), (), (), [(A,), (B,)]),
    ((A, B, C, D), (), (B,), [(B,), (A, C, D)]),
    ((A, B, C, D), (), (B, C), [(B, C), (A, D)]),
    ((A, B, C, D), (), (A, B, C, D), [(A, B), (C, D)]),  # the refusal names all, so the cause is unknown
    ((A, B), (), (A, B), [(A,), (B,)]),
    ((A, B, C, D), (B,), (), [(A, C, D)]),  # B may have been the cause
    ((A, B, C, D), (B,), (B,), [(A, C, D)]),
    ((A, B, C, D), (B,), (C,), [(C,), (A, D)]),
    ((A, B), (), (B,), [(B,), (A,)]),
    ((A, B), (A,), (B,), [(B,)]),
    ((A, B), (A, B), (), []),
    ((A,), (), (), []),
]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("addresses", "changed", "named", "batches"), SPLIT)
def test_a_refused_call_is_sent_again_in_parts(state, addresses, changed, named, batches):
    ledger = ledger_after((addresses, refused(ADDRESS_REFUSALS[state].code, " ".join(named))))
    progress = look(ledger, shown(state, changed), state)
    assert ledger.batches == batches
    assert set(ledger.having(PLANNED)) == {address for batch in batches for address in batch}
    assert set(ledger.having(DONE)) == set(changed)
    assert set(ledger.having(FAILED)) == set(addresses) - set(changed) - set(ledger.having(PLANNED))
    assert progress == bool(batches or changed)


def test_an_address_in_the_message_that_is_not_in_the_call_is_not_the_cause():
    ledger = ledger_after(([A, B, C, D], refused(ASSIGNED, "192.168.0.99 is taken")))
    look(ledger, shown("present"), "present")
    assert ledger.batches == [(A, B), (C, D)]


@pytest.mark.parametrize(
    "code", [UNASSIGNED, "InvalidParameter", "InvalidParameter.Conflict", "InvalidVSwitchId.IpInvalid", "InvalidPrivateIpAddress.Malformed"]
)
def test_codes_that_refuse_single_addresses_of_a_call(code):
    ledger = ledger_after(([A, B], refused(code)))
    look(ledger, shown("absent"))
    assert ledger.batches == [(A,), (B,)]


@pytest.mark.parametrize("code", ["InvalidParameter.Other", "InvalidVSwitchId.IpNotEnough", "InvalidOperation.Ipv4CountExceeded"])
def test_codes_that_refuse_the_whole_call(code):
    ledger = ledger_after(([A, B], refused(code)))
    look(ledger, shown("absent"))
    assert (ledger.batches, ledger.having(FAILED)) == ([], (A, B))


# A read that does not show the ENI


@pytest.mark.parametrize("found", [None, UNREADABLE], ids=["left out", "unreadable"])
@pytest.mark.parametrize("error", [ACCEPTED_CALL, *OPEN_REPLIES, *REFUSALS, *STATE_REFUSALS], ids=str)
def test_a_read_without_the_eni_proves_nothing(error, found):
    ledger = ledger_after(([A], error))
    before = ledger.latest = shown("absent")
    for waited in (EARLY, LATE):
        assert not look(ledger, found, waited=waited)
        assert (ledger.states, ledger.reasons, ledger.latest) == ({A: IN_FLIGHT}, {}, before)
    look(ledger, found, waited=OVER)
    is_certain = error in REFUSALS or error in STATE_REFUSALS
    assert ledger.states == {A: FAILED if is_certain else IN_FLIGHT}
    assert ledger.reasons[A].code == (error.code if is_certain else ENI_NOT_RETURNED if found is None else NOT_VERIFIED)
    assert ledger.latest is before


def test_an_unreadable_eni_is_reported_with_its_reason_and_request_id():
    ledger = ledger_after(([A], None))
    look(ledger, UNREADABLE, waited=OVER)
    assert ledger.reasons[A].request_id == "R-9"
    assert str(UNREADABLE) in ledger.reasons[A].text


def test_a_reply_and_a_read_together_prove_that_an_eni_is_deleted():
    error = refused(ENI_NOT_FOUND, "no such ENI", status=404)
    ledger = ledger_after(([A], error), ([B], None))
    ledger.latest = shown("absent")
    look(ledger, None)
    assert (ledger.states, ledger.reasons, ledger.latest) == (
        {A: FAILED, B: IN_FLIGHT},
        {A: Reason(ENI_NOT_FOUND, "no such ENI", "R-1")},
        None,
    )


@pytest.mark.parametrize("found", [UNREADABLE, shown("absent")], ids=["unreadable", "shown"])
def test_an_eni_that_a_read_shows_in_any_form_is_not_deleted(found):
    ledger = ledger_after(([A], refused(ENI_NOT_FOUND, status=404)))
    ledger.latest = shown("absent")
    look(ledger, found)
    assert ledger.latest is not None
    assert ledger.states == {A: IN_FLIGHT if found is UNREADABLE else FAILED}


def test_if_no_read_shows_the_eni_a_call_refused_because_of_another_address_may_have_been_carried_out_in_part():
    ledger = ledger_after(([A, B], refused(UNASSIGNED, f"The IP {B}")))
    look(ledger, None, waited=OVER)
    assert (ledger.states, ledger.reasons[A].code) == ({A: IN_FLIGHT, B: FAILED}, ENI_NOT_RETURNED)


def test_an_earlier_call_to_a_deleted_eni_may_have_been_carried_out():
    ledger = ledger_after(([A], refused("ServiceTimeout", status=504)), ([A], refused(ENI_NOT_FOUND, status=404)))
    look(ledger, None)
    assert ledger.states == {A: IN_FLIGHT}
    look(ledger, None, waited=OVER)
    assert (ledger.reasons[A].code, may_have_changed(ledger)) == (ENI_NOT_RETURNED, True)


# When an ENI is read


@pytest.fixture
def fleet(clock):
    """Makes an ECS with this number of ENIs, a verifier, and a ledger for each ENI. Each has an accepted call without a visible effect."""

    def make(number, **options):
        ecs = FakeEcs(clock, *(eni_record(f"eni-{index}", [A]) for index in range(number)))
        ledgers = [ledger_after(([A], None)) for _index in range(number)]
        for index, ledger in enumerate(ledgers):
            ledger.change = Change(f"eni-{index}", None, None, group([]), group([]))
        return ecs, Verifier(ecs, make_request("absent", **{"wait_timeout": 60, **options})), ledgers

    return make


def test_an_eni_is_read_at_once_and_then_less_and_less_often(clock, fleet):
    ecs, verifier, (ledger,) = fleet(1)
    began, pauses = clock.monotonic(), []
    while ledger.still_waiting():
        verifier.add(ledger)
        pauses.append(verifier.seconds_to_next())
        clock.sleep(pauses[-1])
        assert verifier.read_back() == [ledger]
    assert pauses[:4] == pytest.approx([0, FIRST_POLL, FIRST_POLL * POLL_BACKOFF, FIRST_POLL * POLL_BACKOFF**2])
    assert max(pauses) == pytest.approx(LONGEST_POLL)
    assert 60 <= clock.monotonic() - began <= 60 + LONGEST_POLL
    assert len(ecs.reads) == len(pauses)


def test_nothing_is_read_before_it_is_due(clock, fleet):
    ecs, verifier, (ledger,) = fleet(1)
    verifier.add(ledger)
    verifier.read_back()
    verifier.add(ledger)
    assert verifier.read_back() == []
    assert verifier.waiting == [ledger]
    assert len(ecs.reads) == 1


def test_enis_are_read_by_the_hundred_and_the_first_due_first(clock, fleet):
    ecs, verifier, ledgers = fleet(150)
    for ledger in ledgers[:99]:
        verifier.add(ledger)
    verifier.add(ledgers[99])
    assert len(verifier.read_back()) == 100
    for ledger in ledgers:
        verifier.add(ledger)
    assert set(map(id, verifier.read_back())) >= set(map(id, ledgers[100:]))
    assert [len(ids) for ids in ecs.reads] == [100, 100]


def test_progress_starts_the_wait_again(clock, fleet):
    ecs, verifier, (ledger,) = fleet(1)
    ledger.states[B] = IN_FLIGHT
    ledger.writes[0].addresses = (A, B)
    ecs.enis["eni-0"] = eni_record("eni-0", [A, B])
    verifier.add(ledger)
    verifier.read_back()
    clock.sleep(50)
    ecs.take_away("eni-0", B)
    verifier.add(ledger)
    assert verifier.waited(ledger) == 50
    verifier.read_back()
    assert (ledger.states, verifier.waited(ledger), verifier.due(ledger)) == ({A: IN_FLIGHT, B: DONE}, 0, 0)


@pytest.mark.parametrize(
    ("error", "starts_again"), [(None, True), (refused("ServiceTimeout", status=504), False), (refused("Forbidden.RAM"), False)]
)
def test_only_an_accepted_call_starts_the_wait_again(clock, fleet, error, starts_again):
    _ecs, verifier, (ledger,) = fleet(1)
    verifier.add(ledger)
    verifier.read_back()
    clock.sleep(50)
    ledger.writes.append(Write((B,), error))
    verifier.add(ledger)
    assert verifier.waited(ledger) == (0 if starts_again else 50)
    clock.sleep(5)
    verifier.add(ledger)
    assert verifier.waited(ledger) == (5 if starts_again else 55)


def test_an_eni_that_was_never_waited_for_is_due(fleet):
    _ecs, verifier, (ledger,) = fleet(1)
    assert (verifier.waited(ledger), verifier.due(ledger)) == (0, 0)


def test_an_eni_that_is_postponed_before_its_first_write_is_not_due(clock, fleet):
    _ecs, verifier, (ledger,) = fleet(1)
    verifier.postpone(ledger)
    assert verifier.due(ledger) == clock.monotonic() + FIRST_POLL


@pytest.mark.parametrize("is_fatal", [True, False])
def test_after_a_failed_read_its_batch_is_given_up_and_after_a_fatal_error_all_enis(fleet, is_fatal):
    ecs, verifier, ledgers = fleet(101)
    ecs.read_faults = [refused("Forbidden.RAM", "no")]
    ecs.fatal_codes = {"Forbidden.RAM"} if is_fatal else set()
    for ledger in ledgers:
        verifier.add(ledger)
    batch = verifier.read_back()
    assert all(ledger.reasons[A].code == NOT_VERIFIED and "Forbidden.RAM" in ledger.reasons[A].text for ledger in batch)
    assert (verifier.abort is not None, len(batch), len(verifier.waiting)) == (is_fatal, 100, 0 if is_fatal else 1)


@pytest.mark.parametrize(("fault", "code"), [(drop_rows, ENI_NOT_RETURNED), (spoil_rows, NOT_VERIFIED)])
def test_only_the_enis_that_a_read_lacks_are_missing_in_a_batch(fleet, fault, code):
    ecs, verifier, ledgers = fleet(3, wait_timeout=0)
    ecs.enis["eni-0"] = eni_record("eni-0")
    ecs.read_faults = [fault("eni-1")]
    for ledger in ledgers:
        verifier.add(ledger)
    verifier.read_back()
    assert [ledger.states[A] for ledger in ledgers] == [DONE, IN_FLIGHT, IN_FLIGHT]
    assert [ledger.reasons[A].code for ledger in ledgers[1:]] == [code, NOT_VERIFIED]
