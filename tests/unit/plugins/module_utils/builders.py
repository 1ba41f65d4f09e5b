# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records of the API, requests, a clock that only moves in sleep calls, and an ECS without HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Self, TypeAlias

import pytest
from hypothesis import strategies as st

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import KINDS, Blocks, group, kind_of
from ansible_collections.alicloud_ops.network.plugins.module_utils._errors import CONNECTION_FAILED, INTERRUPTED, EcsError, PlanAged
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import Interface, make_interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._pacing import Stopwatch
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import CONTAINER_NETWORK_TAGS, SELECTORS, Request, Target

REGION = "cn-hangzhou"
VSWITCH = "vsw-1"

# For each kind, the path of its entries in the record of an ENI.
WRAPPERS = {
    "private_ip_addresses": ("PrivateIpSets", "PrivateIpSet", "PrivateIpAddress"),
    "ipv4_prefixes": ("Ipv4PrefixSets", "Ipv4PrefixSet", "Ipv4Prefix"),
    "ipv6_addresses": ("Ipv6Sets", "Ipv6Set", "Ipv6Address"),
    "ipv6_prefixes": ("Ipv6PrefixSets", "Ipv6PrefixSet", "Ipv6Prefix"),
}


def eni_record(
    eni_id: str = "eni-1",
    addresses: Iterable[str] = (),
    *,
    primary: str = "192.168.0.1",
    prefixes: Iterable[str] = (),
    ipv6: Iterable[str] = (),
    ipv6_prefixes: Iterable[str] = (),
    primary_ipv6: str | None = None,
    eips: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A row of DescribeNetworkInterfaces. ``more`` replaces fields by the API's names."""
    private = [{"PrivateIpAddress": primary, "Primary": True}]
    for address in addresses:
        row: dict[str, Any] = {"PrivateIpAddress": address, "Primary": False}
        if address in (eips or {}):
            row["AssociatedPublicIp"] = {"PublicIpAddress": (eips or {})[address], "AllocationId": "eip-1"}
        private.append(row)
    v6 = [{"Ipv6Address": address, "Primary": False} for address in ipv6]
    if primary_ipv6:
        v6.append({"Ipv6Address": primary_ipv6, "Primary": True})
    return {
        "NetworkInterfaceId": eni_id,
        "Type": "Secondary",
        "Status": "Available",
        "VpcId": "vpc-1",
        "VSwitchId": VSWITCH,
        "PrivateIpAddress": primary,
        "PrivateIpSets": {"PrivateIpSet": private},
        "Ipv4PrefixSets": {"Ipv4PrefixSet": [{"Ipv4Prefix": prefix} for prefix in prefixes]},
        "Ipv6Sets": {"Ipv6Set": v6},
        "Ipv6PrefixSets": {"Ipv6PrefixSet": [{"Ipv6Prefix": prefix} for prefix in ipv6_prefixes]},
        "SecurityGroupIds": {"SecurityGroupId": ["sg-1"]},
        "Tags": {"Tag": [{"TagKey": key, "TagValue": value} for key, value in (tags or {}).items()]},
        "ServiceManaged": False,
        **more,
    }


def instance_record(instance_id: str = "i-1", status: str = "Running", enis: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """A row of DescribeInstances that shows these ENIs (rows of DescribeNetworkInterfaces)."""
    shown = ("NetworkInterfaceId", "Type", "PrivateIpSets", "Ipv4PrefixSets", "Ipv6Sets", "Ipv6PrefixSets")
    rows = [{name: eni[name] for name in shown if name in eni} for eni in enis]
    return {"InstanceId": instance_id, "Status": status, "NetworkInterfaces": {"NetworkInterface": rows}}


def eni(*args: Any, read_at: float = 0.0, **more: Any) -> Interface:
    return make_interface(eni_record(*args, **more), read_at)


def target(name: str = "eni-1", *addresses: str, option_path: str = "", all_secondary: bool = False) -> Target:
    """A target for the ENI or instance with this id. Each address is put into the list of its kind."""
    eni_id, instance_id = (name, None) if name.startswith("eni-") else (None, name)
    return Target(option_path, eni_id, instance_id, group(kind_of(address).parse(address) for address in addresses), all_secondary)


def make_request(state: str, *targets: Target, keep: Iterable[str] = (), **options: Any) -> Request:
    return Request(state=state, targets=targets, keep=Blocks(keep), **{"protected_tags": CONTAINER_NETWORK_TAGS, **options})


def selection_params(**given: Any) -> dict[str, Any]:
    """Like ``params``, for the selectors of the info module."""
    nothing = dict.fromkeys([*SELECTORS, "within", "excluding", "private_ip_addresses"])
    return {**nothing, "kinds": ["private_ip_addresses"], "whole_region": False, "instance_enis": "primary", **given}


def params(**given: Any) -> dict[str, Any]:
    """Module parameters as Ansible passes them: each option is there, with its value or its default."""
    return {
        "state": "absent",
        **entry(),
        "assignments": None,
        "keep": None,
        "allow_eip": False,
        "protected_tags": None,
        "missing": "fail",
        "max_addresses": None,
        "on_refusal": "fail",
        "wait": True,
        "wait_timeout": 60,
        **given,
    }


def entry(**given: Any) -> dict[str, Any]:
    """One entry of ``assignments`` as Ansible passes it."""
    return {"eni_id": None, "instance_id": None, **{kind.name: None for kind in KINDS}, "all_secondary": False, **given}


# For property tests. Few addresses, so that requests and records often overlap.

POOL4 = [f"192.168.0.{last}" for last in range(10, 16)]
POOL4_PREFIXES = ["192.168.0.16/28", "192.168.0.32/28"]
POOL6 = ["2001:db8::10", "2001:db8::11"]
POOL6_PREFIXES = ["2001:db8:0:0:10::/80"]
PRIMARIES = ["192.168.0.1", "192.168.0.2", "192.168.0.3", "2001:db8::1"]
INSIDE = ["192.168.0.17", "2001:db8::10:0:0:5"]
POOLS = [*POOL4, *POOL4_PREFIXES, *POOL6, *POOL6_PREFIXES]
ANYTHING = [*POOLS, *PRIMARIES, *INSIDE, "192.168.0.99"]


@st.composite
def worlds(draw, calm=False):
    """Records of up to three ENIs of one vSwitch, with addresses from shared pools, and of the instance of the first two ENIs.

    In a calm world, nothing is refused before the first write."""

    def one_of(usual, *others):
        return draw(st.sampled_from([usual] if calm else [usual, usual, usual, *others]))

    size = draw(st.integers(1, 3))
    held = {number: [] for number in range(size)}
    for address in POOLS:
        owner = draw(st.integers(-1, size - 1))
        if owner >= 0:
            held[owner].append(address)
    records = []
    for number in range(size):
        mine = held[number]
        records.append(
            eni_record(
                f"eni-{number}",
                [address for address in mine if address in POOL4],
                primary=PRIMARIES[number],
                primary_ipv6="2001:db8::1" if number == 0 else None,
                prefixes=[address for address in mine if address in POOL4_PREFIXES],
                ipv6=[address for address in mine if address in POOL6],
                ipv6_prefixes=[address for address in mine if address in POOL6_PREFIXES],
                eips={address: "203.0.113.7" for address in mine if address in POOL4 and one_of(False, True)},
                tags=one_of({}, {"creator": "terway"}, {"owner": "db"}),
                Status=one_of("InUse", "Detaching"),
                Type="Primary" if number == 0 else "Secondary",
                InstanceId="i-0" if number < 2 else "",
                ServiceManaged=one_of(False, True),
            )
        )
    instance = instance_record("i-0", one_of("Running", "Stopped", "Starting"), records[:2])
    return records, [instance]


@st.composite
def requests(draw, calm=False):
    """Random requests. A calm request has no error that is found before any read."""
    state = draw(st.sampled_from(["absent", "present"]))
    targets = []
    for index in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from(["eni-0", "eni-1", "eni-2"] if calm else ["eni-0", "eni-1", "eni-2", "i-0", "i-9"]))
        option_path = f"assignments[{index}]."
        if state == "absent" and draw(st.integers(0, 3)) == 0:
            targets.append(target(name, option_path=option_path, all_secondary=True))
        else:
            targets.append(
                target(
                    name, *draw(st.lists(st.sampled_from(POOLS if calm else ANYTHING), max_size=8 if calm else 5)), option_path=option_path
                )
            )
    return make_request(
        state,
        *targets,
        keep=draw(st.lists(st.sampled_from(["192.168.0.12/30", "192.168.0.20/32", "2001:db8::10/127"]), max_size=2)),
        allow_eip=draw(st.booleans()),
        skip_refused=draw(st.booleans()),
        ignore_missing=draw(st.booleans()),
    )


class Clock:
    """A stand-in for ``_clock``. It does not really wait, so a minute takes no time."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += max(seconds, 0)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Replace the time of everything in this collection that reads, waits or writes."""
        patch.setattr(_clock, "now", self.monotonic)
        patch.setattr(_clock, "sleep", self.sleep)


class Alone(Clock):
    """A clock for one thread, also in place of the pacer's condition: waiting moves it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait(self, timeout: float | None) -> None:
        assert timeout is not None, "nothing would wake this thread"
        self.sleep(timeout)

    def notify_all(self) -> None:
        pass


@dataclass(frozen=True)
class Call:
    """A write as it arrived."""

    verb: str
    eni_id: str
    kind: str
    addresses: tuple[str, ...]
    token: str | None = None


# What happens to a write: it is carried out (None), it is refused with an error, or a function decides. The function gets the fake and
# the call. It may call ``fake.carry_out(call)``, and it may raise an exception as the reply.
Step: TypeAlias = 'Exception | Callable[["FakeEcs", Call], None] | None'
# What happens to a read of ENIs by id: it succeeds (None), it fails with an error, or a function changes the rows of the reply.
ReadFault: TypeAlias = "Exception | Callable[[list[dict[str, Any]]], list[dict[str, Any]]] | None"


def refused(code: str, message: str = "", status: int | None = 403) -> EcsError:
    return EcsError("Write", code, message, "R-1", status=status)


def answer(error: EcsError, effect: Callable[[tuple[str, ...]], Iterable[str]] = tuple) -> Step:
    """The reply is this error, although the write took effect for the addresses that ``effect`` returns, by default for all."""

    def step(fake: FakeEcs, call: Call) -> None:
        if addresses := tuple(effect(call.addresses)):
            fake.carry_out(replace(call, addresses=addresses))
        raise error

    return step


def lost_reply(carried_out: bool = True) -> Step:
    """The connection breaks, after the write took effect or, if not ``carried_out``, before."""
    error = EcsError("Write", CONNECTION_FAILED, "the connection was closed before the reply was whole")
    return answer(error) if carried_out else error


def drop_rows(*eni_ids: str) -> ReadFault:
    """The reply lacks these ENIs."""
    return lambda rows: [row for row in rows if row["NetworkInterfaceId"] not in eni_ids]


def strip_rows(*eni_ids: str) -> ReadFault:
    """The reply shows these ENIs without any address."""
    return lambda rows: [{**row, "PrivateIpSets": {}} if row["NetworkInterfaceId"] in eni_ids else row for row in rows]


def spoil_rows(*eni_ids: str) -> ReadFault:
    """The reply shows these ENIs in a form that cannot be read."""
    return lambda rows: [{**row, "Type": None} if row["NetworkInterfaceId"] in eni_ids else row for row in rows]


def _throw(error: Exception) -> NoReturn:
    raise error


class FakeEcs:
    """The parts of ``Ecs`` that ``_review`` and ``_run`` use, with records in memory. Writes follow ``script``, then they succeed."""

    region = REGION
    last_request_id = "R-last"
    retry_timeout = 20.0
    writes_ahead = 100

    def __init__(self, clock: Clock, *enis: Mapping[str, Any], instances: Iterable[Mapping[str, Any]] = (), script: Iterable[Step] = ()):
        self.clock = clock
        self.enis = {record["NetworkInterfaceId"]: deepcopy(dict(record)) for record in enis}
        self.machines = {record["InstanceId"]: deepcopy(dict(record)) for record in instances}
        self.script = list(script)
        self.lag = 0  # number of reads of ENIs by id after a write that still show the old state
        self.read_faults: list[ReadFault] = []  # one for each read of ENIs by id
        self.writes: list[Call] = []
        self.reads: list[tuple[str, ...]] = []  # the ids of each read of ENIs by id
        self.lists: list[dict[str, Any]] = []  # the filters of each other read of ENIs
        self.instance_reads: list[list[str]] = []
        self.events: list[Call | tuple[str, ...]] = []  # writes and reads of ENIs by id, in their order
        self.held = 0.0
        self.writers = 8
        self.delays: list[Callable[[], None]] = []  # what happens while a write waits for its turn, one for each write
        self.fatal_codes: set[str] = set()  # errors after which no other call can succeed
        self.most_at_once_on_one_eni = 0
        self.stopped = threading.Event()
        self._answered_at = clock.monotonic()
        self._lock = threading.RLock()
        self._under_way: list[str] = []
        self._stale: list[dict[str, Any]] = []

    # -- as in Ecs

    def read_concurrently(self, read: Callable[[Any], Any], batches: Iterable[Any]) -> list[Any]:
        return [read(batch) for batch in batches]

    def network_interfaces(self, network_interface_id: Sequence[str] | None = None, **filters: Any) -> list[dict[str, Any]]:
        with self._lock:
            if network_interface_id is None:
                self.lists.append(filters)
                return [deepcopy(record) for record in self.enis.values() if _passes(record, **filters)]
            self.reads.append(tuple(network_interface_id))
            self.events.append(tuple(network_interface_id))
            fault = self.read_faults.pop(0) if self.read_faults else None
            if isinstance(fault, Exception):
                self._note(fault)
                _throw(fault)
            self._note(None)
            shown = self._stale.pop(0) if self._stale else self.enis
            rows = [deepcopy(shown[eni_id]) for eni_id in network_interface_id if eni_id in shown]
            return fault(rows) if fault else rows

    def instances(self, instance_ids: Sequence[str]) -> list[dict[str, Any]]:
        self.instance_reads.append(list(instance_ids))
        return [deepcopy(self.machines[instance_id]) for instance_id in instance_ids if instance_id in self.machines]

    def unassign(self, eni_id: str, kind: str, addresses: Sequence[str], *, not_after: float) -> None:
        self._write(Call("unassign", eni_id, kind, tuple(addresses)), not_after)

    def assign(self, eni_id: str, kind: str, addresses: Sequence[str], *, client_token: str, not_after: float) -> None:
        self._write(Call("assign", eni_id, kind, tuple(addresses), client_token), not_after)

    def stop(self) -> None:
        self.stopped.set()

    @property
    def waited(self) -> float:
        return self.held

    def stopwatch(self) -> Stopwatch:
        return Stopwatch(self)

    def is_fatal(self, error: EcsError) -> bool:
        silent = self.clock.monotonic() - self._answered_at
        return error.code in self.fatal_codes or (error.is_unanswered and error.is_transient and silent >= self.retry_timeout)

    # -- changes from outside, and the true state

    def held_by(self, eni_id: str) -> set[str]:
        """The secondary addresses that this ENI really has now."""
        interface = make_interface(self.enis[eni_id], 0.0)
        return {address for addresses in interface.held.values() for address in addresses}

    def carry_out(self, call: Call) -> None:
        """Carry out a write, without the checks of the service."""
        outer, inner, name = WRAPPERS[call.kind]
        with self._lock:
            if self.lag:
                self._stale = [deepcopy(self.enis)] * self.lag
            rows = self.enis[call.eni_id][outer][inner]
            if call.verb == "unassign":
                rows[:] = [row for row in rows if row[name] not in call.addresses]
            else:
                have = {row[name] for row in rows}
                rows.extend({name: address, "Primary": False} for address in call.addresses if address not in have)

    def take_away(self, eni_id: str, *addresses: str) -> None:
        for address in addresses:
            self.carry_out(Call("unassign", eni_id, kind_of(address).name, (address,)))

    def _write(self, call: Call, not_after: float) -> None:
        with self._lock:
            delay = self.delays.pop(0) if self.delays else None
        if delay:
            delay()
        if self.stopped.is_set():
            raise EcsError(call.verb, INTERRUPTED, "not sent, because the task was interrupted", unsent=True)
        if self.clock.monotonic() > not_after:
            raise PlanAged
        with self._lock:
            step = self.script.pop(0) if self.script else None
            if isinstance(step, EcsError) and step.unsent:
                _throw(step)
            self.writes.append(call)
            self.events.append(call)
            self._under_way.append(call.eni_id)
            self.most_at_once_on_one_eni = max(self.most_at_once_on_one_eni, self._under_way.count(call.eni_id))
        try:
            if isinstance(step, Exception):
                _throw(step)
            if step is None:
                self.carry_out(call)
            else:
                step(self, call)
        except BaseException as error:
            self._note(error)
            raise
        else:
            self._note(None)
        finally:
            with self._lock:
                self._under_way.remove(call.eni_id)

    def _note(self, error: BaseException | None) -> None:
        if not (isinstance(error, EcsError) and error.is_unanswered):
            self._answered_at = self.clock.monotonic()


_FIELDS = {"v_switch_id": "VSwitchId", "vpc_id": "VpcId", "status": "Status", "type": "Type", "primary_ip_address": "PrivateIpAddress"}
_WRAPPERS = {"private_ip_address": WRAPPERS["private_ip_addresses"], "ipv_6address": WRAPPERS["ipv6_addresses"]}


def _passes(record: Mapping[str, Any], **filters: Any) -> bool:
    """Whether this ENI matches the filters, as in the service. Filters by address look only at secondary addresses."""
    for name, wanted in filters.items():
        if name in _FIELDS:
            if wanted not in (None, record.get(_FIELDS[name])):
                return False
            continue
        outer, inner, field = _WRAPPERS[name]
        if not any(row[field] in wanted and not row.get("Primary") for row in record[outer][inner]):
            return False
    return True
