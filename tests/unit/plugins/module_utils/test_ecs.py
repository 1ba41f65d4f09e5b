# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of ``_ecs`` that need no endpoint. Everything else is tested over real HTTP, in tests/integration."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock
from ansible_collections.alicloud_ops.network.plugins.module_utils._ecs import Ecs
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import (
    CALLER_GONE,
    INTERRUPTED,
    UNREADABLE_REPLY,
    EcsError,
    PlanAged,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._pacing import Pacer
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import Alone


@pytest.mark.parametrize(
    "reply",
    [
        {"Rows": {"Row": [None]}},
        {"Rows": {"Row": [{}, ["eni-1"]]}},
        {"Rows": {"Row": ["eni-1"]}},
        {"Rows": {"Row": [{}]}, "NextToken": ["more"]},
        {"Rows": {"Row": [{}]}, "NextToken": {}},
    ],
)
def test_rows_that_are_not_records_and_a_token_that_is_not_a_string_are_an_error(reply):
    ecs = Ecs.__new__(Ecs)
    ecs._send = lambda action, parameters: {**reply, "RequestId": "R-1"}
    with pytest.raises(EcsError) as caught:
        list(ecs._rows("DescribeRows", {}, "Rows", "Row"))
    assert (caught.value.code, caught.value.request_id) == (UNREADABLE_REPLY, "R-1")


def test_a_row_knows_the_action_and_the_request_id_of_its_page():
    ecs = Ecs.__new__(Ecs)
    pages = [{"Rows": {"Row": [{"Id": 1}]}, "NextToken": "more", "RequestId": "R-1"}, {"Rows": {"Row": [{"Id": 2}]}, "RequestId": "R-2"}]
    asked = []
    ecs._send = lambda action, parameters: (asked.append(dict(parameters)), pages.pop(0))[1]
    rows = list(ecs._rows("DescribeRows", {"vpc_id": "vpc-1"}, "Rows", "Row"))
    assert [(row, row.action, row.request_id) for row in rows] == [({"Id": 1}, "DescribeRows", "R-1"), ({"Id": 2}, "DescribeRows", "R-2")]
    assert asked == [{"vpc_id": "vpc-1"}, {"vpc_id": "vpc-1", "next_token": "more"}]
    assert ecs.last_request_id == "R-2"


@pytest.mark.parametrize(("per_page", "most_pages"), [(500, 1000), (100, 5000), (1, 10_000), (0, 10_000)])
def test_a_list_with_a_new_token_on_every_page_ends(per_page, most_pages):
    """With full pages, the list ends before it fills the memory."""
    ecs = Ecs.__new__(Ecs)
    last, sent = most_pages, 0

    def send(action, parameters):
        nonlocal sent
        sent += 1
        return {"Rows": {"Row": [{}] * per_page}, "NextToken": str(sent) if sent < last else "", "RequestId": f"R-{sent}"}

    def count():
        return sum(1 for _row in ecs._rows("DescribeRows", {}, "Rows", "Row"))

    ecs._send = send
    assert count() == most_pages * per_page
    last, sent = float("inf"), 0
    with pytest.raises(EcsError, match="the list did not end") as caught:
        count()
    error = caught.value
    assert (error.action, error.code, error.request_id, sent) == ("DescribeRows", UNREADABLE_REPLY, f"R-{sent}", most_pages + 1)


def test_a_repeated_token_is_an_error():
    ecs = Ecs.__new__(Ecs)
    ecs._send = lambda action, parameters: {"Rows": {"Row": []}, "NextToken": "again", "RequestId": "R-1"}
    with pytest.raises(EcsError, match="repeats a NextToken"):
        list(ecs._rows("DescribeRows", {}, "Rows", "Row"))


@pytest.mark.parametrize("not_after", [None, float("inf")], ids=["read", "write"])
def test_once_stopped_no_call_is_sent(not_after):
    ecs = Ecs.__new__(Ecs)
    ecs._connection = SimpleNamespace(retry_timeout=0)
    ecs._answered_at = None
    ecs._pacer = Pacer(0, 8)
    ecs._send_once = pytest.fail
    ecs.stop()
    with pytest.raises(EcsError) as caught:
        ecs._send("DescribeRows", {}, not_after)
    assert (caught.value.code, caught.value.unsent, caught.value.may_have_been_carried_out) == (INTERRUPTED, True, False)


@pytest.fixture
def clock(monkeypatch):
    clock = Alone()
    clock.install(monkeypatch)
    return clock


class Service:
    """A stand-in for the SDK. It raises these errors one after another, and then returns a reply."""

    def __init__(self, clock, *errors, takes=0.0):
        self.clock, self.errors, self.takes = clock, list(errors), takes
        self.sent = []

    def call(self, action, parameters, before_send=None):
        self.clock.sleep(self.takes)  # the login
        if before_send:
            before_send()
        self.sent.append((action, dict(parameters)))
        if self.errors:
            raise self.errors.pop(0)
        return {"RequestId": "R-1"}


def make_ecs(service, retry_timeout=120, answered=True):
    ecs = Ecs.__new__(Ecs)
    ecs._pacer, ecs._sdk, ecs._count = Pacer(0, 8), service, threading.Lock()
    ecs._pacer._turn = service.clock
    ecs._connection = SimpleNamespace(retry_timeout=retry_timeout, region="cn-hangzhou")
    ecs.api_calls, ecs._answered_at = 0, _clock.now() if answered else None
    ecs._is_caller_waiting = lambda: True
    return ecs


def write(ecs):
    ecs.unassign("eni-1", "private_ip_addresses", ["192.168.0.10"], not_after=float("inf"))


def read(ecs):
    ecs._send("DescribeRows", {})


def failed(code, status=None, **more):
    return EcsError("Call", code, "", status=status, **more)


@pytest.mark.parametrize(
    ("proof", "code", "sent"),
    [
        (failed("DryRunOperation", 400), None, 3),  # proven once
        (failed("Forbidden.RAM", 403), "Forbidden.RAM", 2),
        (None, UNREADABLE_REPLY, 2),
    ],
)
def test_an_empty_list_of_instances_is_believed_only_if_a_dry_run_says_so(clock, proof, code, sent):
    class Empty(Service):
        def call(self, action, parameters, before_send=None):
            reply = {**super().call(action, parameters, before_send), "Instances": {"Instance": []}}
            if parameters.get("dry_run") and proof:
                raise proof
            return reply

    service = Empty(clock)
    ecs = make_ecs(service)
    ecs._may_read_instances = False
    if code is None:
        assert ecs.instances(instance_ids=["i-1"]) == ecs.instances(instance_ids=["i-2"]) == []
    else:
        with pytest.raises(EcsError) as caught:
            ecs.instances(instance_ids=["i-1"])
        assert caught.value.code == code
    assert [bool(parameters.get("dry_run")) for _action, parameters in service.sent] == [False, True, False][:sent]


@pytest.mark.parametrize(
    ("error", "read_again", "write_again"),
    [
        (failed("Operation.Conflict", 403), True, True),
        (failed("Throttling", 400), True, True),
        (failed("ConnectionFailed", unsent=True), True, True),
        (failed("ConnectionFailed"), True, False),
        (failed("UnreadableReply", 200), True, False),
        (failed("NoErrorCode", 429), True, False),
        (failed("NoErrorCode", 408), True, False),
        (failed("NoErrorCode", 404), False, False),
        (failed("ServiceTimeout", 504), True, False),
        (failed("AnyCodeAtAll", 500), True, False),
        (failed("Throttling", 503), True, False),
        (failed("IdempotentProcessing", 403), True, False),
        (failed("IdempotentFailed", 400), False, False),
        (failed("SignatureNonceUsed", 400), True, False),
        (failed("InvalidIp.IpUnassigned", 403), False, False),
        (failed("Redirected", 302), False, False),
        (failed("InvalidCredentials", unsent=True), False, False),
    ],
    ids=lambda value: f"{value.code} {value.status}" if isinstance(value, EcsError) else "",
)
def test_calls_that_are_repeated(clock, error, read_again, write_again):
    for send, again in ((read, read_again), (write, write_again)):
        service = Service(clock, error)
        ecs = make_ecs(service)
        if again:
            send(ecs)
        else:
            with pytest.raises(EcsError) as caught:
                send(ecs)
            assert caught.value is error
        assert len(service.sent) == ecs.api_calls == 1 + again


def test_trying_again_ends_with_the_retry_timeout_or_sooner_if_nothing_ever_answered(clock):
    for answered, retry_timeout, seconds in ((True, 120, 120), (False, 120, 8), (True, 0, 0)):
        service = Service(clock, *[failed("ConnectionFailed")] * 200)
        ecs = make_ecs(service, retry_timeout, answered)
        before = clock.monotonic()
        with pytest.raises(EcsError):
            read(ecs)
        assert clock.monotonic() - before == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("error", "after", "fatal"),
    [
        (failed("InvalidAccessKeyId.NotFound", 404), 0, True),
        (failed("ConnectionFailed"), 119, False),
        (failed("ConnectionFailed"), 120, True),
        (failed("UnreadableReply", 502), 120, True),
        (failed("NoErrorCode", 503), 120, True),
        (failed("NoErrorCode", 404), 120, False),
        (EcsError("Call", "UnreadableReply", "", "R-1"), 120, False),
        (failed("InternalError", 500), 120, False),
    ],
    ids=lambda value: value.code if isinstance(value, EcsError) else str(value),
)
def test_errors_after_which_no_more_calls_are_sent(clock, error, after, fatal):
    ecs = make_ecs(Service(clock))
    clock.sleep(after)
    assert ecs.is_fatal(error) is fatal


@pytest.mark.parametrize(("takes", "sent"), [(10, True), (11, False)])
def test_the_age_of_a_plan_is_checked_after_the_login(clock, takes, sent):
    service = Service(clock, takes=takes)
    ecs = make_ecs(service)

    def call():
        ecs.assign("eni-1", "private_ip_addresses", ["192.168.0.10"], client_token="t", not_after=clock.monotonic() + 10)

    if sent:
        call()
    else:
        with pytest.raises(PlanAged):
            call()
    assert ecs.api_calls == len(service.sent) == sent


@pytest.mark.parametrize("refusal", [None, failed("Operation.Conflict", 403)], ids=str)
def test_an_aged_plan_has_the_refusal_of_an_earlier_attempt(clock, refusal):
    service = Service(clock, *[refusal] * bool(refusal), takes=6)
    with pytest.raises(PlanAged) as caught:
        make_ecs(service).unassign("eni-1", "private_ip_addresses", ["192.168.0.10"], not_after=clock.monotonic() + 5 + 5 * bool(refusal))
    assert caught.value.refusal is refusal
    assert len(service.sent) == bool(refusal)


@pytest.mark.parametrize(("send", "first_counts"), [(read, False), (write, True)])
@pytest.mark.parametrize("stopped_by", ["caller", "connection"])
def test_a_write_that_was_sent_once_does_not_fail_as_one_that_was_never_sent(clock, send, first_counts, stopped_by):
    """Its first attempt was refused, and the next one did not leave this machine. For a read the newest error is the right one."""
    first, second = failed("Operation.Conflict", 403), failed("ConnectionFailed", unsent=True)
    service = Service(clock, first, *[second] * 100)
    ecs = make_ecs(service)
    ecs._is_caller_waiting = lambda: stopped_by != "caller" or not service.sent
    with pytest.raises(EcsError) as caught:
        send(ecs)
    assert caught.value.unsent is not first_counts
    assert (caught.value is first) is first_counts


@pytest.mark.parametrize("send", [read, write])
def test_the_caller_is_checked_before_each_attempt_of_a_call(clock, send):
    asked = []
    service = Service(clock, failed("Operation.Conflict", 403))
    ecs = make_ecs(service)
    ecs._is_caller_waiting = lambda: not asked.append(len(service.sent))
    send(ecs)
    assert set(asked) == {0, 1}


@pytest.mark.parametrize("send", [read, write])
@pytest.mark.parametrize("looks", [0, 1])
def test_once_the_caller_is_gone_nothing_is_sent(clock, send, looks):
    """The module notices it at the turn of the call, or right before the call is sent."""
    service, answers = Service(clock), iter([True] * looks)
    ecs = make_ecs(service)
    ecs._is_caller_waiting = lambda: next(answers, False)
    with pytest.raises(EcsError) as caught:
        send(ecs)
    assert (caught.value.code, caught.value.unsent, caught.value.may_have_been_carried_out) == (CALLER_GONE, True, False)
    assert ecs.is_fatal(caught.value)
    assert (service.sent, ecs.api_calls) == ([], 0)


def test_a_call_that_was_stopped_leaves_the_probe_to_another(clock):
    ecs = make_ecs(Service(clock))
    ecs._pacer.admit()
    ecs._pacer.throttled(0.0001)
    with pytest.raises(PlanAged):
        ecs.unassign("eni-1", "private_ip_addresses", ["192.168.0.10"], not_after=-1)
    assert ecs._pacer._probe is None
    assert ecs._pacer._resume_at is not None
