# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger alone: the table of transitions, and events in random order."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ansible_collections.alicloud_ops.network.plugins.module_utils import _ledger
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import flatten, group
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import (
    CONNECTION_FAILED,
    NOT_VERIFIED,
    UNREADABLE_REPLY,
    EcsError,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import TRANSITIONS, AddressState, EniLedger, Event, Write
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Change, Plan, Reason
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import may_have_changed
from ansible_collections.alicloud_ops.network.plugins.module_utils._run import open_ledger, predict
from ansible_collections.alicloud_ops.network.plugins.module_utils._verify import observe
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import eni, make_request, refused

PLANNED, IN_FLIGHT, DONE, UNCHANGED, SKIPPED, FAILED = AddressState
A, B, C, D = "192.168.0.10", "192.168.0.11", "192.168.0.12", "192.168.0.13"
PREFIX, IPV6 = "192.168.0.16/28", "2001:db8::10"
WHY = Reason("Why", "because", "R-1")
LATE = Reason(NOT_VERIFIED, "late")
LOST = EcsError("Unassign", CONNECTION_FAILED, "reset")
REFUSED_BATCH = refused("InvalidIp.IpUnassigned", f"The IP \u201c{A}\u201d")


def ledger_in(state, *addresses):
    """The ledger of one ENI with these addresses, all in this state."""
    held = eni("eni-1", [one for one in addresses if ":" not in one and "/" not in one])
    return EniLedger(Change("eni-1", None, held, group(addresses), group([])), held, 0.0, dict.fromkeys(addresses, state), {})


# A second copy of the table, to compare with: rows are states, columns are events, cells are new states. "." is a KeyError.

EXPECTED = """
             FOUND      SKIP     SEND       CONFIRM  ACCEPT  RETURN   HOLD       FAIL
    PLANNED    UNCHANGED  SKIPPED  IN_FLIGHT  DONE     .       .        IN_FLIGHT  FAILED
    IN_FLIGHT  .          .        .          DONE     DONE    PLANNED  IN_FLIGHT  FAILED
    DONE       .          .        .          .        .       .        .          .
    UNCHANGED  .          .        .          .        .       .        .          .
    SKIPPED    .          .        .          DONE     .       .        .          .
    FAILED     .          .        .          DONE     .       .        .          .
"""


def expected_table():
    header, *rows = [line.split() for line in EXPECTED.strip().splitlines()]
    return {(AddressState[row[0]], Event[name]): target for row in rows for name, target in zip(header, row[1:], strict=True)}


def deviations():
    """Each (state, event) for which the code differs from the table above."""
    found = []
    for (state, event), target in expected_table().items():
        ledger = ledger_in(state, A)
        try:
            ledger.move(event, [A])
            result = ledger.states[A].name
        except KeyError:
            result = "."
        if result != target:
            found.append((state, event))
    return found


def test_the_table_names_every_state_and_every_event():
    assert set(expected_table()) == set(product(AddressState, Event))


def test_the_code_moves_states_as_the_table_says():
    assert deviations() == []


def test_two_swapped_targets_are_found(monkeypatch):
    swapped = 0
    for one, other in combinations(TRANSITIONS, 2):
        if TRANSITIONS[one] is TRANSITIONS[other]:
            continue
        mutant = {**TRANSITIONS, one: TRANSITIONS[other], other: TRANSITIONS[one]}
        monkeypatch.setattr(_ledger, "TRANSITIONS", mutant)
        assert set(deviations()) == {one, other}
        swapped += 1
    assert swapped > 30


def test_a_removed_added_or_changed_transition_is_found(monkeypatch):
    for key, target in product(product(AddressState, Event), (None, *AddressState)):
        mutant = {**TRANSITIONS, key: target}
        if target is None:
            del mutant[key]
        if mutant != TRANSITIONS:
            monkeypatch.setattr(_ledger, "TRANSITIONS", mutant)
            assert deviations() == [key]


def test_a_final_state_stays_unless_a_read_shows_the_change():
    final = {(state, event) for state, event in TRANSITIONS if state not in (PLANNED, IN_FLIGHT)}
    assert final == {(FAILED, Event.CONFIRM), (SKIPPED, Event.CONFIRM)}


@pytest.mark.parametrize("state", [IN_FLIGHT, FAILED, SKIPPED])
@pytest.mark.parametrize(("requested", "shown"), [("absent", [B]), ("present", [A])])
def test_a_read_confirms_what_was_sent_and_nothing_else(state, requested, shown):
    ledger = ledger_in(state, A, B, C)
    ledger.writes.append(Write((A, B) if requested == "absent" else (A, C)))
    assert ledger.confirm(eni("eni-1", shown), requested) is True
    assert ledger.states == {A: DONE, B: state, C: state}
    assert ledger.confirm(eni("eni-1", shown), requested) is False


@pytest.mark.parametrize(
    ("more", "ages"),
    [
        ({}, False),
        ({"Status": "Detaching"}, True),
        ({"Type": "Primary"}, True),
        ({"InstanceId": "i-2"}, True),
        ({"ServiceManaged": True}, True),
        ({"tags": {"creator": "terway"}}, True),
        ({"eips": {B: "203.0.113.7"}}, True),
        ({"primary": C}, True),
        ({"OwnerId": "2"}, False),
    ],
    ids=str,
)
def test_a_change_of_a_field_that_the_guards_use_ages_the_plan(more, ages):
    ledger = ledger_in(IN_FLIGHT, A, B)
    ledger.confirm(eni("eni-1", [B], **more), "absent")
    assert (ledger.read_at == float("-inf")) is ages


# Reasons


def test_a_move_sets_its_reason_and_drops_the_old_one():
    ledger = ledger_in(PLANNED, A, B)
    ledger.move(Event.SEND, [A, B])
    ledger.writes.append(Write((A, B)))
    ledger.give_up(LATE)
    assert set(ledger.reasons) == {A, B}
    ledger.move(Event.CONFIRM, [A])
    ledger.move(Event.FAIL, [B], WHY)
    assert ledger.reasons == {B: WHY}


def test_a_move_that_is_not_in_the_table_is_a_key_error():
    ledger = ledger_in(PLANNED, A)
    with pytest.raises(KeyError):
        ledger.move(Event.ACCEPT, [A])
    with pytest.raises(KeyError):
        ledger.move(Event.SEND, [B])
    assert ledger.states == {A: PLANNED}


# What a write may have changed

MAY_HAVE_CHANGED = [
    # error, named, addresses of the call, whether A may have been changed: if a refused call may be carried out in part, and if not
    (None, (), (A,), True, True),
    (LOST, (), (A,), True, True),
    (refused("ServiceTimeout", status=504), (), (A,), True, True),
    (refused("SignatureNonceUsed", status=400), (), (A,), True, True),
    (EcsError("Unassign", UNREADABLE_REPLY, "", status=200), (), (A, B), True, True),
    (refused("Forbidden.RAM"), (), (A,), False, False),
    (refused("Forbidden.RAM"), (), (A, B), False, False),
    (refused("InvalidIp.IpUnassigned"), (), (A,), False, False),
    (refused("InvalidIp.IpUnassigned"), (A,), (A, B), False, False),
    (refused("InvalidIp.IpUnassigned"), (B,), (A, B), True, False),
    (refused("InvalidIp.IpUnassigned"), (), (A, B), True, False),
    (refused("InvalidIp.IpUnassigned"), (A, B), (A, B), True, False),  # a refusal that names all does not show the cause
    (None, (), (B,), False, False),
]


@pytest.mark.parametrize(("error", "named", "addresses", "partly", "not_partly"), MAY_HAVE_CHANGED)
def test_possible_changes_of_a_write(error, named, addresses, partly, not_partly):
    ledger = ledger_in(IN_FLIGHT, A, B)
    error = error and EcsError(error.action, error.code, " ".join(named), error.request_id, status=error.status)
    ledger.writes = [Write(addresses, error), Write((B,), refused("Forbidden.RAM"))]
    assert ledger.may_have_been_changed(A) == partly
    assert ledger.may_have_been_changed(A, partly=False) == not_partly


def test_a_possible_change_by_an_earlier_write_counts_with_any_reply_to_the_last_one():
    ledger = ledger_in(IN_FLIGHT, A)
    ledger.writes = [Write((A,), LOST), Write((A,), refused("Forbidden.RAM"))]
    assert ledger.may_have_been_changed(A, partly=False)
    assert ledger.last_write(A) is ledger.writes[1]


def test_the_reply_of_a_write_has_code_text_and_request_id():
    assert Write((A,), refused("Code", "text")).reply == ("Code", "text", "R-1")
    assert Write((A,)).reply is _ledger.ACCEPTED
    assert not Write((A,)).to_repeat


# What is not sent again


@pytest.mark.parametrize("state", [PLANNED, IN_FLIGHT])
def test_possible_changes_are_held_and_the_rest_fails(state):
    ledger = ledger_in(state, A, B)
    ledger.writes = [Write((A,), LOST), Write((B,), refused("Forbidden.RAM"))]
    ledger.refuse([A, B], WHY)
    assert (ledger.states, ledger.refusals, ledger.reasons) == ({A: IN_FLIGHT, B: FAILED}, {A: WHY}, {B: WHY})
    assert ledger.still_waiting() == [A]


def test_with_hold_all_addresses_are_held():
    ledger = ledger_in(IN_FLIGHT, A)
    ledger.writes = [Write((A,), refused("InvalidIp.IpUnassigned"))]
    ledger.refuse([A], WHY, hold=True)
    assert (ledger.states, ledger.refusals) == ({A: IN_FLIGHT}, {A: WHY})
    ledger.move(Event.CONFIRM, [A])
    assert (ledger.states, ledger.refusals, ledger.reasons) == ({A: DONE}, {}, {})


GIVEN_UP = [
    # writes, refusal, whether reads showed no change until the end, state, reason
    ([Write((A,))], None, True, IN_FLIGHT, Reason(NOT_VERIFIED, "accepted, but late")),
    ([Write((A,), LOST)], None, True, IN_FLIGHT, Reason(NOT_VERIFIED, "sent, and then ConnectionFailed (reset), but late")),
    ([Write((A,), LOST)], WHY, True, IN_FLIGHT, Reason(NOT_VERIFIED, "sent, and then Why (because), but late", "R-1")),
    ([Write((A,), refused("Code", "text"))], None, True, FAILED, Reason("Code", "text", "R-1")),
    ([Write((A,), refused("Code", "text"))], WHY, False, FAILED, WHY),
    ([Write((A, B), REFUSED_BATCH), Write((A,), refused("Code"))], WHY, False, FAILED, WHY),
    ([Write((B, A), refused("InvalidIp.IpUnassigned", "?")), Write((A,), refused("Code"))], WHY, True, FAILED, WHY),
    (
        [Write((B, A), refused("InvalidIp.IpUnassigned", "?")), Write((A,), refused("Code"))],
        WHY,
        False,
        IN_FLIGHT,
        Reason(NOT_VERIFIED, "sent, and then Why (because), but late", "R-1"),
    ),
]


@pytest.mark.parametrize(("writes", "refusal", "until_the_end", "state", "reason"), GIVEN_UP)
def test_possible_changes_are_given_up_and_certain_refusals_fail(writes, refusal, until_the_end, state, reason):
    ledger = ledger_in(IN_FLIGHT, A)
    ledger.writes = writes
    if refusal:
        ledger.refuse([A], refusal, hold=True)
    ledger.writes_shown = len(writes)
    ledger.give_up(LATE, partly=not until_the_end)
    assert (ledger.states, ledger.reasons) == ({A: state}, {A: reason})
    assert ledger.still_waiting() == []
    assert ledger.verified == (state is FAILED)
    assert may_have_changed(ledger) == (state is IN_FLIGHT)


def test_without_reads_until_the_end_a_call_refused_because_of_another_address_may_have_changed_this_one():
    ledger = ledger_in(IN_FLIGHT, B)
    ledger.writes = [Write((A, B), REFUSED_BATCH, frozenset({A}))]
    ledger.give_up(LATE)
    assert ledger.states == {B: IN_FLIGHT}


def test_if_the_write_has_no_request_id_the_failed_read_provides_it():
    ledger = ledger_in(IN_FLIGHT, A)
    ledger.writes = [Write((A,), LOST)]
    ledger.give_up(Reason(NOT_VERIFIED, "late", "R-9"))
    assert ledger.reasons[A].request_id == "R-9"


def test_a_new_ledger_has_no_past():
    ledger = ledger_in(PLANNED, A)
    assert (ledger.late, ledger.writes, ledger.writes_shown, ledger.batches, ledger.refusals) == (0, [], 0, [], {})


# Views


def test_the_views_of_a_ledger():
    ledger = ledger_in(PLANNED, A, B, C, D)
    ledger.writes = [Write((A, B)), Write((C,), refused("Code", "text"))]
    ledger.move(Event.SEND, [A, B, C])
    ledger.move(Event.CONFIRM, [A])
    assert ledger.sent == {A, B, C}
    assert (may_have_changed(ledger), ledger.verified) == (True, False)
    ledger.give_up(LATE)
    ledger.move(Event.FAIL, [D], WHY)
    assert ledger.failures() == [
        (Reason(NOT_VERIFIED, "accepted, but late"), (B,)),
        (Reason("Code", "text", "R-1"), (C,)),
        (WHY, (D,)),
    ]
    assert flatten(ledger.as_set(DONE)) == (A,)
    assert ledger.having(DONE, FAILED) == (A, C, D)
    assert ledger.eni_id == "eni-1"


def test_addresses_with_the_same_reason_are_one_failure():
    ledger = ledger_in(PLANNED, A, B, C)
    ledger.move(Event.FAIL, [A, C], WHY)
    ledger.move(Event.FAIL, [B], LATE)
    assert ledger.failures() == [(WHY, (A, C)), (LATE, (B,))]


def test_an_eni_that_could_not_be_read_is_a_failure_without_an_address():
    ledger = EniLedger(Change("eni-1", None, None, group([]), group([]), failure=WHY), None, 0.0, {}, {})
    assert ledger.failures() == [(WHY, ())]
    assert (may_have_changed(ledger), ledger.verified) == (False, True)


def test_an_address_in_flight_without_a_reason_is_not_verified():
    ((reason, addresses),) = ledger_in(IN_FLIGHT, A).failures()
    assert (reason.code, addresses) == (NOT_VERIFIED, (A,))


@pytest.mark.parametrize(
    ("state", "reason", "changed", "verified"),
    [
        (PLANNED, None, False, True),
        (IN_FLIGHT, None, True, False),
        (DONE, None, True, True),
        (DONE, _ledger.ACCEPTED, True, False),
        (UNCHANGED, None, False, True),
        (SKIPPED, WHY, False, True),
        (FAILED, WHY, False, True),
    ],
)
def test_changed_and_verified_follow_from_the_states(state, reason, changed, verified):
    ledger = ledger_in(state, A)
    ledger.reasons = {A: reason} if reason else {}
    assert (may_have_changed(ledger), ledger.verified) == (changed, verified)


def test_without_a_read_after_the_last_write_an_eni_is_not_verified():
    ledger = ledger_in(PLANNED, A, B)
    for address in (A, B):
        ledger.writes.append(Write((address,), refused("Forbidden.RAM")))
        ledger.move(Event.SEND, [address])
        ledger.refuse([address], WHY)
        assert (ledger.states[address], ledger.verified) == (FAILED, False)
        ledger.confirm(eni("eni-1", [A, B]), "absent")
        assert ledger.verified


def test_an_address_set_is_by_kind_and_is_the_planned_set_itself_if_equal():
    ledger = ledger_in(PLANNED, A, PREFIX, IPV6)
    assert ledger.as_set(PLANNED) is ledger.change.todo
    ledger.move(Event.SEND, [A])
    assert ledger.as_set(PLANNED) == group([PREFIX, IPV6])


# Opening and predicting


def change(**more):
    held = eni("eni-1", [A, B])
    return Change("eni-1", None, held, group([A, B]), group([C]), **{"read_at": 7.0, **more})


def test_a_new_ledger_has_the_states_and_reasons_of_the_plan():
    (ledger,) = open_ledger(Plan((change(skipped={D: WHY}, refused={PREFIX: LATE}),)))
    assert ledger.states == {A: PLANNED, B: PLANNED, C: UNCHANGED, D: SKIPPED, PREFIX: SKIPPED}
    assert ledger.reasons == {D: WHY, PREFIX: LATE}
    assert (ledger.read_at, ledger.latest, ledger.sent, ledger.writes) == (7.0, ledger.change.interface, frozenset(), [])


def test_an_unreadable_eni_fails_from_the_start():
    (ledger,) = open_ledger(Plan((Change("eni-1", None, None, group([A]), group([]), failure=WHY),)))
    assert (ledger.states, ledger.reasons, may_have_changed(ledger)) == ({A: FAILED}, {A: WHY}, False)
    assert ledger.failures() == [(WHY, (A,))]


def test_an_instance_whose_eni_is_not_known_has_no_eni_id():
    assert EniLedger(Change(None, "i-1", None, group([]), group([])), None, 0.0, {}, {}).eni_id == ""


@pytest.mark.parametrize(("wait", "verified"), [(True, True), (False, False)])
@pytest.mark.parametrize(("state", "held"), [("absent", ()), ("present", (A, B))])
def test_a_prediction_is_the_ledger_of_a_run_without_errors(state, held, wait, verified):
    (ledger,) = predict(Plan((change(),)), make_request(state, wait=wait))
    assert (ledger.states, ledger.verified) == ({A: DONE, B: DONE, C: UNCHANGED}, verified)
    assert flatten(ledger.latest.held) == held
    assert flatten(ledger.change.interface.held) == (A, B)


def test_a_prediction_without_a_change_leaves_the_view_as_it_is():
    (ledger,) = predict(Plan((change(failure=WHY),)), make_request("absent"))
    assert (ledger.states[A], ledger.latest) == (FAILED, ledger.change.interface)


# Any order of events

ADDRESSES = (A, B, C, PREFIX)
ERRORS = [
    None,
    LOST,
    refused("ServiceTimeout", status=504),
    refused("IdempotentProcessing"),
    refused("SignatureNonceUsed", status=400),
    refused("Forbidden.RAM"),
    refused("Throttling.User"),
    refused("InvalidOperation.InvalidEniState", status=400),
    refused("InvalidEniId.NotFound", status=404),
    refused("InvalidIp.IpUnassigned"),
    REFUSED_BATCH,
    refused("InvalidIp.IpAssigned", f"{B} is taken"),
]


class AnyOrder(RuleBasedStateMachine):
    """Random events of a run: calls are sent and get any reply, reads show anything, and time passes."""

    @initialize(state=st.sampled_from(["absent", "present"]), wait=st.booleans())
    def begin(self, state, wait):
        self.request = make_request(state, wait=wait)
        self.ledger = ledger_in(PLANNED, *ADDRESSES)
        self.called, self.seen_after, self.accepted = set(), set(), set()
        self.sent_before, self.final, self.held_back = frozenset(), {}, set()

    def write(self, batch, error):
        write = Write(tuple(batch))
        self.ledger.writes.append(write)
        self.ledger.move(Event.SEND, batch)
        write.error = error
        self.called |= set(batch)
        if error is None and not self.request.wait:
            self.ledger.move(Event.ACCEPT, batch, _ledger.ACCEPTED)
            self.accepted |= set(batch)

    @precondition(lambda self: self.ledger.having(PLANNED))
    @rule(data=st.data(), error=st.sampled_from(ERRORS))
    def send_anything_planned(self, data, error):
        planned = self.ledger.having(PLANNED)
        self.write(data.draw(st.lists(st.sampled_from(planned), min_size=1, unique=True)), error)

    @precondition(lambda self: self.ledger.batches)
    @rule(error=st.sampled_from(ERRORS))
    def send_what_is_to_be_sent_next(self, error):
        planned = self.ledger.having(PLANNED)
        if batch := [address for address in self.ledger.batches.pop(0) if address in planned]:
            self.write(batch, error)

    @precondition(lambda self: self.ledger.having(PLANNED))
    @rule(data=st.data())
    def fail_to_send(self, data):
        batch = tuple(data.draw(st.lists(st.sampled_from(self.ledger.having(PLANNED)), min_size=1, unique=True)))
        write = Write(batch)
        self.ledger.writes.append(write)
        self.ledger.move(Event.SEND, batch)
        self.ledger.writes.remove(write)
        self.ledger.send_again(batch)

    @rule(
        held=st.sets(st.sampled_from(ADDRESSES)), waited=st.sampled_from([0.0, 19.0, 21.0, 59.0, 60.0]), retry=st.sampled_from([0.0, 20.0])
    )
    def read(self, held, waited, retry):
        found = eni("eni-1", [one for one in held if "/" not in one], prefixes=[one for one in held if "/" in one])
        observe(self.ledger, found, self.request, waited, retry)
        self.seen_after |= {address for address in self.called if (address in held) == (self.request.state == "present")}

    @rule(found=st.sampled_from([None, EcsError("DescribeNetworkInterfaces", UNREADABLE_REPLY, "?")]), waited=st.sampled_from([0.0, 60.0]))
    def read_nothing(self, found, waited):
        assert not observe(self.ledger, found, self.request, waited, 20.0)

    @rule()
    def fail_to_read(self):
        self.ledger.give_up(LATE)

    @rule()
    def stop_writing(self):
        self.ledger.refuse(self.ledger.having(PLANNED), WHY)

    @invariant()
    def every_address_is_in_one_known_state(self):
        assert set(self.ledger.states) == set(ADDRESSES)
        counted = [address for state in AddressState for address in self.ledger.having(state)]
        assert sorted(counted) == sorted(ADDRESSES)

    @invariant()
    def nothing_is_sent_that_was_not_planned(self):
        assert self.ledger.sent == self.called <= set(flatten(self.ledger.change.todo))

    @invariant()
    def what_was_sent_stays_sent(self):
        assert self.ledger.sent >= self.sent_before
        self.sent_before = self.ledger.sent

    @invariant()
    def what_is_done_was_shown_by_a_read_after_its_write_or_accepted_with_wait_false(self):
        assert set(self.ledger.having(DONE)) <= self.seen_after | self.accepted

    @invariant()
    def a_final_state_stays_unless_a_read_shows_the_change(self):
        for address, state in self.final.items():
            is_shown = state in (SKIPPED, FAILED) and address in self.seen_after
            assert self.ledger.states[address] in ((state, DONE) if is_shown else (state,))
        self.final = {address: state for address, state in self.ledger.states.items() if state in (DONE, UNCHANGED, SKIPPED, FAILED)}

    @invariant()
    def an_address_that_may_have_been_changed_has_not_failed(self):
        for address in self.ledger.having(FAILED):
            assert self.ledger.reasons[address]
            assert not self.ledger.may_have_been_changed(address, partly=False)

    @invariant()
    def what_is_in_flight_was_sent(self):
        assert set(self.ledger.having(IN_FLIGHT)) <= self.called
        assert set(self.ledger.refusals) <= set(self.ledger.having(IN_FLIGHT))

    @invariant()
    def what_was_given_up_is_in_flight_and_a_failure(self):
        given_up = set(self.ledger.having(IN_FLIGHT)) - set(self.ledger.still_waiting())
        assert all(self.ledger.reasons[address] for address in given_up)
        reported = {address for _reason, addresses in self.ledger.failures() for address in addresses}
        assert reported == set(self.ledger.having(IN_FLIGHT, FAILED))


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=25, deadline=None, derandomize=True)
