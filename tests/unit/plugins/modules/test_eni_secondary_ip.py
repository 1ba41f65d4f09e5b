# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How ``run`` connects its parts. The whole module is tested over real HTTP, in tests/integration."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.alicloud_ops.network.plugins.modules import eni_secondary_ip
from ansible_collections.alicloud_ops.network.tests.unit.plugins.module_utils.builders import (
    Clock,
    FakeEcs,
    drop_rows,
    eni_record,
    params,
    refused,
    spoil_rows,
)

A, B = "192.168.0.10", "192.168.0.11"


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    clock.install(monkeypatch)
    return clock


class Module(SimpleNamespace):
    """As much of AnsibleModule as ``run`` uses."""

    def __init__(self, check_mode, **given):
        super().__init__(params=params(**given), check_mode=check_mode, warnings=[], no_log_values=set())

    def warn(self, text):
        self.warnings.append(text)


@pytest.fixture
def run(monkeypatch):
    """Run the module against this ECS."""

    def parse_connection(*_arguments):
        return SimpleNamespace(account_id=None, credential=SimpleNamespace(source="a test", report_secrets_to=lambda _update: None))

    def run_module(ecs, check_mode=False, is_remote=False, **given):
        ecs.api_calls = 0
        caller = SimpleNamespace(is_remote=is_remote, is_waiting=lambda: True)
        monkeypatch.setattr(eni_secondary_ip, "Caller", lambda: caller)
        monkeypatch.setattr(eni_secondary_ip, "parse_connection", parse_connection)
        monkeypatch.setattr(eni_secondary_ip, "Ecs", lambda _connection, is_waiting: ecs if is_waiting() else None)
        module = Module(check_mode, **given)
        return eni_secondary_ip.run(module), module.warnings

    return run_module


def test_a_run_changes_and_check_mode_predicts(clock, run):
    results = []
    for check_mode in (True, False):
        ecs = FakeEcs(clock, eni_record("eni-1", [A, B]))
        results.append(run(ecs, check_mode, eni_id="eni-1", private_ip_addresses=[A])[0])
        assert ecs.held_by("eni-1") == ({A, B} if check_mode else {B})
    assert results[0] == results[1]
    assert results[0]["changed"] is True
    assert results[0]["credential_source"] == "a test"


def test_check_mode_never_waits_and_says_how_long_a_run_would(clock, run):
    ecs = FakeEcs(clock, eni_record("eni-1", [A], Status="Detaching"))
    before = clock.monotonic()
    result, _warnings = run(ecs, check_mode=True, eni_id="eni-1", private_ip_addresses=[A])
    assert "a run waits up to 60 s for it" in result["msg"]
    assert (result["failed"], clock.monotonic(), len(ecs.reads)) == (True, before, 1)


def test_a_run_waits_and_then_refuses(clock, run):
    ecs = FakeEcs(clock, eni_record("eni-1", [A], Status="Detaching"))
    before = clock.monotonic()
    result, _warnings = run(ecs, eni_id="eni-1", private_ip_addresses=[A])
    assert (result["failed"], result["changed"], clock.monotonic() - before, ecs.writes) == (True, False, 60, [])


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_named_address_on_another_eni_is_a_warning_that_names_it(clock, run, check_mode):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), eni_record("eni-2", [B]))
    result, warnings = run(ecs, check_mode, eni_id="eni-1", private_ip_addresses=[B])
    assert warnings == [f"{B} is not on eni-1, but on eni-2; check eni_id"]
    assert (result["changed"], "failed" in result, ecs.held_by("eni-2")) == (False, False, {B})


@pytest.mark.parametrize(("is_remote", "check_mode", "warned"), [(True, False, True), (True, True, False), (False, False, False)])
def test_a_run_over_another_connection_warns_that_its_writes_may_go_on(clock, run, is_remote, check_mode, warned):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    _result, warnings = run(ecs, check_mode, is_remote, eni_id="eni-1", private_ip_addresses=[A])
    assert warnings == [eni_secondary_ip.REMOTE] * warned


def test_when_assigning_nothing_is_looked_up_elsewhere(clock, run):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    _result, warnings = run(ecs, state="present", eni_id="eni-1", private_ip_addresses=[A])
    assert (warnings, ecs.lists) == ([], [])


def test_a_blank_guard_stops_a_run_before_any_call(clock, run):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    result, _warnings = run(ecs, eni_id="eni-1", private_ip_addresses=[A], keep=[""], max_addresses="")
    assert [error.partition(":")[0] for error in result["errors"]] == ["keep", "max_addresses"]
    assert (ecs.reads, ecs.held_by("eni-1")) == ([], {A})


def test_one_unreadable_eni_fails_the_task_and_stops_no_other(clock, run):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]), eni_record("eni-2", [B], primary="192.168.0.2"))
    ecs.read_faults = [spoil_rows("eni-1")]
    entry = {"instance_id": None, "all_secondary": False, **dict.fromkeys(["ipv4_prefixes", "ipv6_addresses", "ipv6_prefixes"])}
    assignments = [{**entry, "eni_id": "eni-1", "private_ip_addresses": [A]}, {**entry, "eni_id": "eni-2", "private_ip_addresses": [B]}]
    result, _warnings = run(ecs, assignments=assignments)
    assert (result["failed"], result["changed"], [one["eni_id"] for one in result["unassigned"]]) == (True, True, ["eni-2"])
    assert "UnreadableReply" in result["msg"]
    assert ecs.held_by("eni-1") == {A}


def test_a_read_that_fails_is_one_error_with_its_code(clock, run):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    ecs.read_faults = [refused("Forbidden.RAM", "no")]
    result, _warnings = run(ecs, eni_id="eni-1", private_ip_addresses=[A])
    assert (result["failed"], result["changed"], result["error"]["code"]) == (True, False, "Forbidden.RAM")


def test_an_eni_that_one_read_lacks_is_read_again_before_it_counts_as_missing(clock, run):
    ecs = FakeEcs(clock, eni_record("eni-1", [A]))
    ecs.read_faults = [drop_rows("eni-1")]
    result, _warnings = run(ecs, eni_id="eni-1", private_ip_addresses=[A])
    assert (result["changed"], result["missing"]) == (True, [])
