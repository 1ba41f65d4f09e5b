# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the guests returned, and what follows for a bulk run: the policy, the age of the evidence, and the skipped addresses.

Private to this collection. Pure, except for ``read_evidence``, which asks Ansible for the hosts and their variables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import EMPTY, AddressSet, difference, flatten, group
from ansible_collections.alicloud_ops.network.plugins.module_utils._interfaces import Interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._plan import Change, Plan, Reason
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import shorten
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import parse_time
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._guest_results import CONFIGURED, IN_USE, UNKNOWN, Guests
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._guests import (
    Eni,
    Finding,
    GuestReport,
    find_not_assigned,
    find_remaining,
    join_guests,
    make_eni,
)

# The variable of a host with the result of guest_addresses_info. The playbooks register it, and so does a play of the user.
RESULT = "guest_addresses_info_result"

# Reason codes: why an address is skipped.
GUEST_IN_USE, GUEST_CONFIGURED, GUEST_UNKNOWN = "GuestInUse", "GuestConfigured", "GuestUnknown"
REASON_CODES = {IN_USE: GUEST_IN_USE, CONFIGURED: GUEST_CONFIGURED, UNKNOWN: GUEST_UNKNOWN}

REPORT, PROTECT, REQUIRE = "report", "protect", "require"
SKIPPED_LEVELS: Mapping[str, tuple[str, ...]] = {
    REPORT: (),
    PROTECT: (IN_USE, CONFIGURED),
    REQUIRE: (IN_USE, CONFIGURED, UNKNOWN),
}
POLICIES = tuple(SKIPPED_LEVELS)
# The variables of the roles, without the prefix.
GUESTS, POLICY, ONLY_NOT_SEEN, MAX_AGE = "guests", "guest_policy", "only_not_seen", "guest_max_age"
NOT_JOINED = Finding(UNKNOWN, "", "nobody looked for it on the guests")
CLOCK_SKEW = 60  # seconds that a read may lie in the future, because somebody set the clock


@dataclass(frozen=True)
class GuestSettings:
    """``pattern``: hosts, as ``hosts:`` of a play names them. ``only_not_seen``: select only what no guest uses. ``max_age``: minutes."""

    pattern: str
    policy: str
    only_not_seen: bool
    max_age: int

    @property
    def skipped_levels(self) -> tuple[str, ...]:
        """The levels that protect an address. If only what no guest uses is selected, these are all others."""
        return SKIPPED_LEVELS[REQUIRE if self.only_not_seen else self.policy]


def parse_guest_settings(prefix: str, values: Mapping[str, Any], given: Mapping[str, Any], errors: list[str]) -> GuestSettings | None:
    """``values``: typed, with the defaults. ``given``: only the variables that are set. None if no guests are set."""
    if GUESTS not in given:
        # Without guests these variables would protect nothing.
        alone = [name for name in (POLICY, ONLY_NOT_SEEN) if given.get(name) not in (None, False, REPORT)]
        errors.extend(f"{prefix}{name}: needs {prefix}{GUESTS}; set that variable too, or leave this one out" for name in alone)
        return None
    only_not_seen = bool(values.get(ONLY_NOT_SEEN))
    # An audit has no policy, because it skips nothing. With only_not_seen the policy must also skip unknown addresses: when the plan is
    # carried out later, a guest may be unreadable and so no longer show an address that it uses.
    default = REPORT if POLICY not in values else REQUIRE if only_not_seen else PROTECT
    return GuestSettings(given[GUESTS], values.get(POLICY) or default, only_not_seen, values[MAX_AGE])


def read_evidence(settings: GuestSettings, task_vars: Mapping[str, Any], loader: DataLoader) -> Evidence:
    """Read the variables of the hosts without templating, because a template would visit every value of every guest."""
    # As in the lookup inventory_hostnames: with ``--limit``, the other hosts must not look as if they did not exist.
    manager = InventoryManager(loader, parse=False)
    for name, members in task_vars["groups"].items():
        manager.add_group(name)
        for host in members:
            manager.add_host(host, group=name)
    try:
        hosts = [str(host.name) for host in manager.get_hosts(pattern=settings.pattern)] if settings.pattern else []
    except AnsibleError:
        hosts = []
    hostvars = task_vars["hostvars"]
    found = {host: hostvars.raw_get(host).get(RESULT) for host in hosts}
    return Evidence(settings, hosts, {host: result for host, result in found.items() if isinstance(result, Mapping)})


class Evidence:
    """``results``: host → what its task registered. A host without one was not read."""

    def __init__(self, settings: GuestSettings, hosts: Iterable[str], results: Mapping[str, Any]) -> None:
        self.settings = settings
        self.hosts = list(hosts)
        self.results = results
        not_read = {"msg": f"it has no variable {RESULT}"}
        self.guests = Guests({host: results.get(host, not_read) for host in self.hosts})
        self.joined = GuestReport()
        # Reason codes of addresses that the user does not select. They are not refused.
        self.deselected = frozenset(REASON_CODES.values()) if settings.only_not_seen else frozenset()

    @property
    def read_at(self) -> dict[str, datetime | None]:
        """Host that was read → when. None if the time is not known."""
        return {host: parse_time(result.get("read_at")) for host, result in self.results.items() if "addresses" in result}

    def join(self, interfaces: Mapping[str, Interface], assignments: Mapping[str, AddressSet]) -> None:
        """Find the level of each address. ``interfaces``: all that are known, because two of them may have one MAC address."""
        eni_ids = dict.fromkeys([*interfaces, *assignments])
        self.joined = join_guests([_make_eni(eni_id, interfaces, assignments.get(eni_id, EMPTY)) for eni_id in eni_ids], self.guests)

    def finding(self, eni_id: str, address: str) -> Finding:
        return self.joined.findings.get(eni_id, {}).get(address, NOT_JOINED)

    def refusals(self, prefix: str, now: datetime | None = None) -> list[str]:
        """Why a run must not decide by this evidence."""
        pattern, most = self.settings.pattern, self.settings.max_age
        if not self.hosts:
            # An empty list names no guest, so every level is unknown. A group that is empty or misspelled is more likely an error.
            return [f"{prefix}{GUESTS}: '{pattern}' matches no host of the inventory"] if pattern else []
        if not self.results:
            return [
                f"{prefix}{GUESTS}: no host of '{pattern}' was read: {shorten(self.hosts)}. The playbook of "
                f"this role reads them first, if {prefix}{GUESTS} is set with -e and --limit does not leave them out. In a play of your "
                f"own, run alicloud_ops.network.guest_addresses_info on them and register {RESULT}"
            ]
        if self.settings.skipped_levels == SKIPPED_LEVELS[PROTECT] and not self.read_at:
            # The run would unassign everything, as if it had no guests.
            gaps = [f"{guest.host}: {guest.gap}" for guest in self.guests.guests]
            return [
                f"{prefix}{GUESTS}: none of the {len(gaps)} hosts of '{pattern}' could be read, so nothing would be protected: "
                f"{shorten(gaps)}. Make at least one of them readable, or set {prefix}{POLICY} to {REPORT}"
            ]
        now = now or datetime.now(UTC)
        ages = {host: (now - time).total_seconds() if time else None for host, time in self.read_at.items()}
        old = [host for host, age in ages.items() if age is None or not -CLOCK_SKEW <= age <= most * 60]
        if not old:
            return []
        known = [age for host in old if (age := ages[host]) is not None]
        oldest = f"{max(known) / 60:.0f} minutes ago" if known else "at an unknown time"
        return [
            f"{prefix}{MAX_AGE}: {len(old)} of {len(self.hosts)} guests were read too long ago, the oldest {oldest}, but at most {most} "
            f"minutes are allowed: {shorten(old)}. Run the playbook again: it reads the guests again"
        ]

    def protect(self, plan: Plan) -> Plan:
        """Skip the addresses that the policy forbids or that are not selected. An address that another guard refuses keeps that reason."""
        return replace(plan, changes=tuple(map(self._protect_one, plan.changes)))

    def _protect_one(self, change: Change) -> Change:
        eni_id = change.eni_id or ""
        found = {address: self._reason_to_skip(eni_id, address) for address in flatten(change.todo)}
        reasons = {address: reason for address, reason in found.items() if reason}
        if not reasons:
            return change
        return replace(change, todo=difference(change.todo, group(reasons)), skipped={**change.skipped, **reasons})

    def _reason_to_skip(self, eni_id: str, address: str) -> Reason | None:
        finding = self.finding(eni_id, address)
        # The level may be unknown although some guest shows the address, for example if two guests have one MAC address.
        level = finding.seen or finding.level
        return Reason(REASON_CODES[level], finding.text) if level in self.settings.skipped_levels else None

    def not_assigned(self, interfaces: Mapping[str, Interface]) -> list[dict[str, Any]]:
        """The addresses that guests have configured on these ENIs and that are not assigned."""
        return find_not_assigned([_whole(interface) for interface in interfaces.values()], self.guests)

    def remaining(self, unassigned: Mapping[str, Iterable[str]], interfaces: Mapping[str, Interface]) -> list[dict[str, Any]]:
        """Where unassigned addresses are still configured. ``interfaces``: as they are now."""
        gone = [_make_eni(eni_id, interfaces, group(addresses)) for eni_id, addresses in unassigned.items()]
        return find_remaining(gone, [_whole(interface) for interface in interfaces.values()], self.guests)


def _make_eni(eni_id: str, interfaces: Mapping[str, Interface], held: AddressSet) -> Eni:
    return make_eni(eni_id, interfaces[eni_id].details.get("MacAddress") if eni_id in interfaces else None, held)


def _whole(interface: Interface) -> Eni:
    """The ENI with all its addresses, also those that are not selected, and the primary ones."""
    primary = filter(None, {interface.private_ip_address, *interface.primary})
    return make_eni(interface.eni_id, interface.details.get("MacAddress"), interface.held, primary)
