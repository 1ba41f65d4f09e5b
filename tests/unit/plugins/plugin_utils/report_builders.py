# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of every outcome, for the tests of the report and its pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils import _plan
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import group
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import Interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._ledger import AddressState, EniLedger, Write
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Change, Plan, Reason
from ansible_collections.alicloud_ops.network.plugins.module_utils._run import open_ledger
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import Document
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._evidence import Evidence, GuestSettings
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import RunView, WaveView

ACCOUNT = "1000000000000001"
STARTED = "2026-01-05T10:00:00+00:00"
HOSTILE = "<script>document.title='taken'</script>|`x` & [a](b)"

DENIED = Reason("OperationDenied", "The operation is not permitted for this ENI.", "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E")
EIP = Reason(_plan.EIP_BOUND, "the EIP 203.0.113.7 is bound to it; unbind the EIP first, or set allow_eip: true to unassign it anyway")
KEPT = Reason(_plan.KEPT, "kept, because keep has 192.168.0.0/28")


def document(held: Mapping[str, Iterable[str]]) -> Document:
    return Document("cn-hangzhou", ACCOUNT, {eni_id: group(addresses) for eni_id, addresses in held.items()}, STARTED)


def interface(eni_id: str, addresses: Iterable[str] = (), **more: Any) -> Interface:
    fields: dict[str, Any] = {
        "type": "Secondary",
        "status": "InUse",
        "instance_id": "i-bp1example0001",
        "private_ip_address": "192.168.0.1",
        "primary": frozenset(["192.168.0.1"]),
        "eips": {},
        "security_group_ids": ("sg-web",),
        "tags": {},
        "service_managed": False,
        "owner_id": ACCOUNT,
        "vpc_id": "vpc-1",
        "vswitch_id": "vsw-1",
        "read_at": 0.0,
        "spelled": {},
        "details": {"NetworkInterfaceName": "web frontend"},
    }
    return Interface(eni_id=eni_id, held=group(addresses), **{**fields, **more})


State = AddressState | tuple[AddressState, Reason]


def eni(eni_id: str, states: Mapping[str, State], *, sent: Iterable[str] = (), **more: Any) -> EniLedger:
    """The ledger of one ENI that held all these addresses. ``sent``: addresses for which a write was sent."""
    first = interface(eni_id, states, **more)
    pairs = {address: state if isinstance(state, tuple) else (state, None) for address, state in states.items()}
    return EniLedger(
        Change(eni_id, first.instance_id, first, first.held, group(())),
        first,
        0.0,
        {address: state for address, (state, _reason) in pairs.items()},
        {address: reason for address, (_state, reason) in pairs.items() if reason},
        [Write((address,)) for address in sent],
    )


def run_of(operation: str, ledger: Sequence[EniLedger] = (), **more: Any) -> RunView:
    """A run that is finished; its plan is what its ledger would have written or has written."""
    written = (AddressState.PLANNED, AddressState.IN_FLIGHT, AddressState.DONE, AddressState.FAILED)
    start = RunView(
        operation=operation,
        started_at=STARTED,
        finished_at="2026-01-05T10:02:05+00:00",
        region="cn-hangzhou",
        account_id=ACCOUNT,
        plan=document({one.eni_id: one.having(*written) for one in ledger}),
        ledger=ledger,
        interfaces={one.eni_id: one.change.interface for one in ledger if one.change.interface},
        security_groups={"sg-web": "web", "sg-data": "data"},
        selected_groups=("sg-web", "sg-data"),
        api_calls=12,
    )
    return replace(start, **more)


def last_read(ledger: Iterable[EniLedger], gone: Iterable[str] = (), **more: Iterable[str]) -> dict[str, Interface]:
    """The ENIs at the end: without what is ``gone``; ``more``: ENI id with underscores → what it holds."""
    found = {one.eni_id: interface(one.eni_id, [address for address in one.states if address not in set(gone)]) for one in ledger}
    return found | {name.replace("_", "-"): interface(name.replace("_", "-"), held) for name, held in more.items()}


def wave(number: int, of: int, *, done: int = 3, failed: int = 0, start: int = 0, seconds: int = 20) -> WaveView:
    times = [f"2026-01-05T10:{at // 60:02}:{at % 60:02}+00:00" for at in (start, start + seconds)]
    return WaveView(number, of, done + failed, done, failed, 4, *times)


def audit() -> RunView:
    held = {
        "eni-1": ["192.168.0.10", "192.168.0.11", "192.168.0.32/28"],
        "eni-2": ["192.168.0.20", "2001:db8::10"],
        "eni-3": ["192.168.0.30"],
    }
    found = {eni_id: interface(eni_id, addresses) for eni_id, addresses in held.items()}
    found["eni-1"] = replace(found["eni-1"], eips={"192.168.0.10": "203.0.113.7"})
    found["eni-3"] = replace(found["eni-3"], security_group_ids=("sg-data", "sg-web"))
    files = {"json": "/reports/audit-0123456789ab.json", "html": "/reports/audit-0123456789ab.html"}
    step = "ansible-playbook alicloud_ops.network.unassign_secondary_ips -e security_group_names=web --check"
    return run_of(
        "audit", plan=document(held), interfaces=found, files=files, next_steps=[step], unreadable={"eni-9": "no primary address"}
    )


def plan(check_mode: bool = True, number: int = 9) -> RunView:
    state = AddressState.DONE if check_mode else AddressState.PLANNED
    ledger = [eni(f"eni-{n}", {f"10.0.{n}.{one}": state for one in (1, 2, 3)}) for n in range(1, number // 3 + 1)]
    kept = eni("eni-0", {"192.168.0.10": (AddressState.SKIPPED, KEPT), "192.168.0.99": (AddressState.SKIPPED, EIP)})
    kept.change.interface.eips.update({"192.168.0.99": "203.0.113.7"})
    files = {"plan": "/state/plan-0123456789ab.json", "json": "/state/unassign-0123456789ab.json"}
    step = "ansible-playbook alicloud_ops.network.unassign_secondary_ips -e unassign_secondary_ips_plan_file=/state/plan-0123456789ab.json"
    return run_of(
        "unassign", [kept, *ledger], check_mode=check_mode, finished_at=STARTED if check_mode else "", files=files, next_steps=[step]
    )


def failed() -> RunView:
    """A finished run: eni-1 failed in part, one address of eni-2 was never confirmed, one of eni-3 came back, the rest is done."""
    ledger = [
        eni("eni-1", {"10.0.1.1": AddressState.DONE, "10.0.1.2": (AddressState.FAILED, DENIED), "10.0.1.3": (AddressState.FAILED, DENIED)}),
        eni("eni-2", {"10.0.2.1": AddressState.DONE, "10.0.2.2": AddressState.IN_FLIGHT}, security_group_ids=("sg-data",)),
        eni("eni-3", {"10.0.3.1": AddressState.DONE, "10.0.3.2": AddressState.DONE}, details={"NetworkInterfaceName": HOSTILE}),
        eni("eni-4", {"10.0.4.1": AddressState.UNCHANGED, "192.168.0.10": (AddressState.SKIPPED, KEPT)}),
        eni("eni-5", {"10.0.5.1": (AddressState.SKIPPED, EIP), "10.0.5.2": AddressState.DONE}),
    ]
    for one in ledger:
        one.writes = [Write((address,)) for address in one.having(AddressState.DONE, AddressState.IN_FLIGHT, AddressState.FAILED)]
    ledger[4].change.interface.eips.update({"10.0.5.1": "203.0.113.7"})
    final = last_read(ledger, ["10.0.1.1", "10.0.2.1", "10.0.3.1", "10.0.4.1", "10.0.5.2"])
    made = run_of("unassign", ledger, final=final)
    return replace(
        made,
        recipe=made.plan,
        approved_digest=made.plan.digest if made.plan else None,
        waves=[wave(1, 3, done=1, failed=2), wave(2, 3, done=1, failed=1, start=25), wave(3, 3, start=60, seconds=60)],
        files={"plan": "/state/plan-0123456789ab.json", "recipe": "/state/recipe-0123456789ab.json", "json": "/state/unassign.json"},
        next_steps=[
            "To undo it: ansible-playbook alicloud_ops.network.restore_secondary_ips -e restore_secondary_ips_recipe_file=/recipe.json"
        ],
    )


def refused() -> RunView:
    refusal = "unassign_secondary_ips_max_addresses: at most 5 addresses may be unassigned, but 9 would be"
    difference = {"added": ["eni-1 10.0.1.1"], "removed": ["eni-7 10.0.7.1", "eni-7 10.0.7.2"], "left": ["eni-8 10.0.8.1"]}
    return replace(plan(False), finished_at=STARTED, refusals=[refusal], difference=difference, approved_digest="ab" * 32)


def restore() -> RunView:
    ledger = [
        eni("eni-1", {f"10.0.1.{one}": AddressState.DONE for one in range(1, 6)}, sent=["10.0.1.1"]),
        eni("eni-2", {"10.0.2.1": AddressState.UNCHANGED, "10.0.2.2": AddressState.UNCHANGED}),
    ]
    sure = "2 addresses were already present: two reads, 60 s apart, show them on their ENIs."
    return run_of("restore", ledger, final=last_read(ledger), sure=sure, waves=[wave(1, 1, done=5)], files={"json": "/state/restore.json"})


# -- with guests


def mac(number: int) -> str:
    return f"00:16:3e:00:00:{number:02x}"


def guest_result(number: int, *addresses: str, read_at: str = STARTED, **more: Any) -> dict[str, Any]:
    """What guest_addresses_info returns of the guest that has ENI ``number``. An address with ``!`` is one that sshd listens on."""
    return {
        "read_at": read_at,
        "complete": True,
        "reasons": [],
        "namespaces": [],
        "interfaces": [{"interface": "eth1", "namespace": "", "mac_address": mac(number)}],
        "addresses": [
            {
                "address": address.removesuffix("!"),
                "prefix_length": 24,
                "found_as": "interface_address",
                "namespace": "",
                "interface": "eth1",
                "parent_interface": None,
                "mac_addresses": [mac(number)],
                "dynamic": False,
                "removed_with_it": [],
                "listeners": [{"protocol": "tcp", "port": 22, "process": "sshd"}] if address.endswith("!") else [],
                "connections": 0,
                "uncertain": False,
            }
            for address in addresses
        ],
        **more,
    }


def with_mac(number: int, *addresses: str, **more: Any) -> Interface:
    details = {"NetworkInterfaceName": HOSTILE, "MacAddress": mac(number)}
    return interface(f"eni-{number}", addresses, details=details, private_ip_address=f"10.0.{number}.5", **more)


def guest_evidence(policy: str = "report", *, only_not_seen: bool = False, results: Mapping[str, Any] | None = None) -> Evidence:
    """The results of web, which has eni-1, and of db, which has eni-2 and could not be reached."""
    default = {"web": guest_result(1, "10.0.1.5", "10.0.1.1!", "10.0.1.2", "10.0.1.99"), "db": {"unreachable": True, "msg": HOSTILE}}
    results = default if results is None else results
    return Evidence(GuestSettings("web,db", policy, only_not_seen, 15), results, results)


def guests(policy: str = "protect", operation: str = "unassign", **more: Any) -> RunView:
    """The plan of an unassign, or an audit: of eni-1 one address in use, one configured and one not seen, of eni-2 one unknown."""
    evidence = guest_evidence(policy, only_not_seen=more.pop("only_not_seen", False))
    found = {one.eni_id: one for one in (with_mac(1, "10.0.1.1", "10.0.1.2", "10.0.1.3"), with_mac(2, "10.0.2.1"))}
    evidence.join(found, {eni_id: one.held for eni_id, one in found.items()})
    if operation == "audit":
        held = document({eni_id: [address for kind in one.held.values() for address in kind] for eni_id, one in found.items()})
        return run_of("audit", plan=held, interfaces=found, evidence=evidence, **more)
    changes = tuple(Change(eni_id, one.instance_id, one, one.held, group(())) for eni_id, one in found.items())
    ledger = open_ledger(evidence.protect(Plan(changes)))
    return run_of("unassign", ledger, evidence=evidence, **{"check_mode": True, **more})
