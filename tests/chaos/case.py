# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run as a case for the oracles: the request, the state before and after, and the events in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chaos.evidence import Evidence
from chaos.running import Run
from chaos.scenario import Scenario
from chaos.witness import PATHS, canonical
from chaos.worlds import KINDS, PRIVATE_IPV4

DONE = {"absent": "unassigned", "present": "assigned"}
UNCHANGED = {"absent": "already_absent", "present": "already_present"}


class Case:
    def __init__(self, scenario: Scenario, run: Run) -> None:
        self.scenario, self.run, self.result = scenario, run, run.result
        self.arguments = scenario.arguments
        self.state = self.arguments["state"]
        self.done_key, self.unchanged_key = DONE[self.state], UNCHANGED[self.state]
        self.before, self.after = run.before["interfaces"], run.after["interfaces"]
        self.calls = run.calls
        self.evidence = Evidence(run.exchanges)
        self.targets = self.arguments.get("assignments") or [self.arguments]

    # --- the request

    def named(self) -> dict[str, set[str]]:
        """By ENI, all addresses that the request names, in canonical form."""
        named: dict[str, set[str]] = {}
        for target in self.targets:
            eni_id = self.eni_of(target)
            if eni_id:
                named.setdefault(eni_id, set()).update(self.addresses_of(target, eni_id))
        return named

    def eni_of(self, target: Mapping[str, Any]) -> str | None:
        if target.get("eni_id"):
            return target["eni_id"] if target["eni_id"] in self.before else None
        primaries = (eni for eni in self.before.values() if eni["type"] == "Primary" and eni["instance_id"] == target["instance_id"])
        return next((eni["eni_id"] for eni in primaries), None)

    def addresses_of(self, target: Mapping[str, Any], eni_id: str | None) -> set[str]:
        if target.get("all_secondary"):
            return set(self.before[eni_id][PRIVATE_IPV4]) if eni_id else set()
        return {canonical(text) for kind in KINDS for text in target.get(kind) or ()}

    # --- events

    def seeded(self) -> Iterator[Mapping[str, Any]]:
        yield from self.scenario.seed["interfaces"]
        yield from self.scenario.seed["instances"]

    def by_others(self, thing_id: str) -> list[dict[str, Any]]:
        events = [event for call in self.calls for event in call["by_others"]]
        return [event for event in events if thing_id in (event.get("id"), event.get("eni_id"), event.get("deleted"))]

    def taken_by_others(self, eni_id: str) -> set[str]:
        taken = (event.get("unassigned", {}) for event in self.by_others(eni_id))
        return {address for lists in taken for addresses in lists.values() for address in addresses}

    def is_disturbed(self, eni_id: str) -> bool:
        """Whether someone else changed the addresses or the owner of this ENI."""
        return any("status" not in event or event["status"] == "Available" for event in self.by_others(eni_id))

    def changed_by_us(self, eni_id: str) -> set[str]:
        effects = [call["effect"] for call in self.calls if call["writes"] and call["effect"].get("eni_id") == eni_id]
        return {address for effect in effects for addresses in effect.get(self.done_key, {}).values() for address in addresses}

    def stripped(self, eni_id: str) -> set[str]:
        """Fields of this ENI that a read may have left out. If the field is optional, the module cannot notice
        that the read was wrong."""
        if not any("strip_rows" in call["faults"] for call in self.calls if call["action"] == "DescribeNetworkInterfaces"):
            return set()
        strips = [fault for fault in self.scenario.faults if fault["kind"] == "strip_rows" and fault["action"] != "DescribeInstances"]
        return {field for fault in strips if eni_id in fault.get("ids", [eni_id]) for field in fault["fields"]}

    def credible(self, eni_id: str, addresses: set[str]) -> set[str]:
        """The addresses whose kind no read of this ENI has left out."""
        stripped = self.stripped(eni_id)
        lost = {kind for kind, path in PATHS.items() if path[0] in stripped}
        return {address for address in addresses if kind_of(address) not in lost}

    # --- the result

    def listed(self, entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Each key of an entry of ``interfaces``, with each address in it."""
        for place in (self.done_key, self.unchanged_key):
            yield from ((place, address) for kind in KINDS for address in entry[place][kind])
        yield from (("skipped", skip["address"]) for skip in entry["skipped"])
        yield from (("failed", address) for failure in entry["failures"] for address in failure["addresses"])


def kind_of(address: str) -> str:
    return KINDS[2 * (":" in address) + ("/" in address)]


def flat(lists: Mapping[str, Any]) -> set[str]:
    return {address for kind in KINDS for address in lists[kind]}
