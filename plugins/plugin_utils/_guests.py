# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: ENIs of the API and results of C(guest_addresses_info) → whether each secondary address is still in use.

Private to this collection. The MAC address joins an ENI and a guest.
"""

from __future__ import annotations

import ipaddress
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import KINDS, AddressSet, Network
from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_reading import can_be_assigned
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import many
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._guest_results import (
    IN_USE,
    NOT_SEEN,
    UNKNOWN,
    BlockIndex,
    Guest,
    Guests,
    Sighting,
    pack_address,
    parse_mac,
)

# Reason codes of a finding, next to those of a sighting.
NOWHERE = "not_seen"
NO_GUEST = "no_guest"
INCOMPLETE = "incomplete"
OTHER_GUEST = "other_guest"
MAC_CONFLICT = "mac_conflict"
NO_MAC_ADDRESS = "no_mac_address"

PERMANENT_CONFIGURATION = (
    "These commands last until the next boot or until the network service reads its configuration again. "
    "Remove the address there too: /etc/netplan/*.yaml (netplan), /etc/NetworkManager/system-connections/ (NetworkManager, nmcli), "
    "/etc/systemd/network/*.network (systemd-networkd), /etc/sysconfig/network-scripts/ifcfg-* (ifcfg), "
    "/etc/network/interfaces (ifupdown), /etc/cloud/cloud.cfg.d/ (cloud-init), /etc/keepalived/keepalived.conf (keepalived)."
)


@dataclass(frozen=True)
class Eni:
    """``mac_address``: empty if the API returned none."""

    eni_id: str
    mac_address: str
    addresses: Sequence[str]
    prefixes: Sequence[str]


def make_eni(eni_id: str, mac_address: str | None, held: AddressSet, primary: Iterable[str] = ()) -> Eni:
    """``held``: the addresses and prefixes in question. ``primary``: more addresses of the ENI."""
    addresses = [address for kind in KINDS if not kind.is_prefix for address in held[kind.name]]
    prefixes = [prefix for kind in KINDS if kind.is_prefix for prefix in held[kind.name]]
    return Eni(eni_id, parse_mac(mac_address) if mac_address else "", [*addresses, *primary], prefixes)


class Finding(NamedTuple):
    """What the guests show of one address or prefix.

    ``seen`` is the strongest level that any guest shows, or None. It differs from ``level`` if the level is unknown because the
    evidence cannot be assigned to the ENI.
    """

    level: str
    reason_code: str
    text: str
    seen: str | None = None


@dataclass
class GuestReport:
    """``findings``: ENI → address or prefix, as the API writes it → finding."""

    findings: dict[str, dict[str, Finding]] = field(default_factory=dict)
    # {mac_address, hosts, eni_ids}: more than one guest, or more than one ENI, has this MAC address.
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    # {host, text}: guests without a usable result, and guests whose result is incomplete.
    gaps: list[dict[str, str]] = field(default_factory=list)


# -- ENI by ENI


def join_guests(enis: Sequence[Eni], guests: Guests) -> GuestReport:
    """The finding of each address and prefix of these ENIs."""
    sharing = _enis_by_mac(enis)
    report = GuestReport()
    for eni in enis:
        report.findings[eni.eni_id] = _join(eni, guests, sharing.get(eni.mac_address, ()))
    for mac, sharers in sorted(sharing.items()):
        hosts = [guest.host for guest in guests.owners.get(mac, ())]
        if len(hosts) > 1 or len(sharers) > 1:
            report.conflicts.append({"mac_address": mac, "hosts": hosts, "eni_ids": [eni.eni_id for eni in sharers]})
    report.gaps = [{"host": guest.host, "text": guest.gap} for guest in guests.guests if guest.gap]
    return report


def _enis_by_mac(enis: Iterable[Eni]) -> dict[str, list[Eni]]:
    found: dict[str, list[Eni]] = {}
    for eni in enis:
        if eni.mac_address:
            found.setdefault(eni.mac_address, []).append(eni)
    return found


def _join(eni: Eni, guests: Guests, sharers: Sequence[Eni]) -> dict[str, Finding]:
    owners = guests.owners.get(eni.mac_address, []) if eni.mac_address else []
    nothing = _unseen(eni, owners, sharers)  # the same for each address that no guest has
    findings = {}
    for prefixes, addresses in ((False, eni.addresses), (True, eni.prefixes)):
        find = guests.find_prefix if prefixes else guests.find_address
        for address in addresses:
            seen = find(address)
            findings[address] = _weigh(eni, owners, nothing, seen, address if prefixes else None) if seen else nothing
    return findings


def _unseen(eni: Eni, owners: Sequence[Guest], sharers: Sequence[Eni]) -> Finding:
    mac = eni.mac_address
    if not mac:
        return Finding(UNKNOWN, NO_MAC_ADDRESS, "the API returned no MAC address for this ENI")
    if len(sharers) > 1:
        return Finding(UNKNOWN, MAC_CONFLICT, f"{_list(other.eni_id for other in sharers)} have the same MAC address {mac}")
    if not owners:
        return Finding(UNKNOWN, NO_GUEST, f"no guest that was read has the MAC address {mac}")
    if len(owners) > 1:
        return Finding(UNKNOWN, MAC_CONFLICT, f"{_list(guest.host for guest in owners)} all have the MAC address {mac} of this ENI")
    guest = owners[0]
    if guest.gap:
        return Finding(UNKNOWN, INCOMPLETE, f"not seen on {guest.at(mac)}, but not everything could be read there: {guest.gap}")
    return Finding(NOT_SEEN, NOWHERE, f"not seen on {guest.at(mac)}, which has this ENI")


def _weigh(eni: Eni, owners: Sequence[Guest], nothing: Finding, seen: list[Sighting], prefix: str | None) -> Finding:
    def strength(sighting: Sighting) -> tuple[bool, bool]:
        return sighting.level != IN_USE, eni.mac_address not in sighting.mac_addresses

    ours = [sighting for sighting in seen if sighting.guest in owners]
    certain = ours and nothing.reason_code != MAC_CONFLICT
    best = min(ours if certain else seen, key=strength)
    text = best.text(prefix)
    if prefix and len(seen) > 1:
        number = len({sighting.address for sighting in (ours if certain else seen)})
        text += f"; {many(number, 'address')} of the prefix {'is' if number == 1 else 'are'} seen"
    if certain:
        return Finding(best.level, best.reason_code, text, best.level)
    code = OTHER_GUEST if nothing.reason_code in (NOWHERE, INCOMPLETE) else nothing.reason_code
    return Finding(UNKNOWN, code, f"{nothing.text}, but {text}", best.level)


# -- the other way round


def find_not_assigned(enis: Sequence[Eni], guests: Guests) -> list[dict[str, Any]]:
    """Addresses that a guest has configured on an ENI's interface and that are not assigned to this ENI. ``enis``: with all their
    addresses.

    If several guests or ENIs have the MAC address, nothing is returned for it: ``join_guests`` reports the conflict.
    """
    assigned = _Assigned(enis, guests)
    found = []
    for mac, sharers in assigned.by_mac.items():
        owners = guests.owners.get(mac, [])
        if len(sharers) > 1 or len(owners) != 1:
            continue
        for sighting in guests.by_mac.get(mac, ()):
            if sighting.guest is not owners[0] or sighting.found_as != "interface_address" or not can_be_assigned(sighting.address):
                continue
            holders = assigned.holders(sighting.packed)
            if any(eni.mac_address in sighting.mac_addresses for eni in holders):
                continue  # a bridge or bond may be on several ENIs
            on_guest = [eni.eni_id for eni in holders if eni.mac_address in owners[0].mac_addresses]
            note = f" but assigned to {on_guest[0]} of the same guest" if on_guest else " but not assigned to this ENI"
            found.append(_place(sharers[0], sighting) | {"text": sighting.text() + note})
    return sorted(found, key=_by_eni)


def find_remaining(unassigned: Iterable[Eni], enis: Sequence[Eni], guests: Guests) -> list[dict[str, Any]]:
    """Where guests still have unassigned addresses, with the command that removes each until the next boot.

    ``unassigned``: only with what was unassigned. ``enis``: as they are now, with all their addresses. ``command`` is None, and ``text``
    says why, if no command works from outside, or if it would remove an address that was not unassigned.
    """
    assigned = _Assigned(enis, guests)
    found = []
    for entry in unassigned:
        owners = guests.owners.get(entry.mac_address, [])
        sightings = [sighting for address in entry.addresses for sighting in guests.find_address(address)]
        sightings += [sighting for prefix in entry.prefixes for sighting in guests.find_prefix(prefix)]
        gone = _collapse(_networks(entry))
        for sighting in {id(sighting): sighting for sighting in sightings}.values():
            if sighting.guest not in owners or sighting.found_as == "socket":
                continue
            is_block = sighting.found_as == "local_route"
            # It may have been assigned to another ENI of the same instance in the meantime.
            if not is_block and any(eni.mac_address in sighting.guest.mac_addresses for eni in assigned.holders(sighting.packed)):
                continue
            why_not = _why_no_command(sighting, gone, assigned)
            text = f"still {sighting.text()}" + (f"; {why_not}" if why_not else "")
            found.append(_place(entry, sighting) | {"command": None if why_not else _removal(sighting), "text": text})
    return sorted(found, key=_by_eni)


def _networks(eni: Eni) -> list[Network]:
    return [ipaddress.ip_network(address, strict=False) for address in (*eni.addresses, *eni.prefixes)]


def _collapse(networks: Iterable[Network]) -> list[Network]:
    """Fewer networks with the same addresses, so that a block of single addresses is recognized."""
    ours = list(networks)
    four = [network for network in ours if isinstance(network, ipaddress.IPv4Network)]
    six = [network for network in ours if isinstance(network, ipaddress.IPv6Network)]
    return [*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six)]


def _why_no_command(sighting: Sighting, gone: Sequence[Network], assigned: _Assigned) -> str:
    """Why no command may be shown, or ''. ``gone``: what was unassigned from the ENI."""
    if sighting.prefix_length is None or not sighting.interface or not sighting.is_named:
        return "remove it in the container or program that configured it"
    if sighting.found_as == "local_route":
        block = ipaddress.ip_network(f"{sighting.address}/{sighting.prefix_length}")
        if not _is_inside(block, gone) or any(block.overlaps(network) for network in assigned.on_guest(sighting.guest, block.version)):
            return "no command is shown, because the route also accepts addresses that were not unassigned; make the route smaller"
        return ""
    if sighting.removed_with_it is None:
        return (
            "no command is shown, because it may be the primary address of its subnet, and the kernel may remove the others of the subnet "
            "with it"
        )
    others = [address for address in sighting.removed_with_it if not _is_inside(ipaddress.ip_network(address), gone)]
    if others:
        return (
            f"no command is shown, because the kernel would also remove {_list(others)}; set net.ipv4.conf.{sighting.interface}."
            "promote_secondaries to 1 there first"
        )
    return ""


def _is_inside(network: Network, gone: Iterable[Network]) -> bool:
    return any(network.version == other.version and network.subnet_of(other) for other in gone)  # type: ignore[arg-type]


class _Assigned:
    """Which ENIs of the guests an address belongs to."""

    def __init__(self, enis: Sequence[Eni], guests: Guests) -> None:
        self.by_mac = _enis_by_mac(enis)
        self._addresses: dict[bytes, list[Eni]] = defaultdict(list)
        self._prefixes: BlockIndex[Eni] = BlockIndex()
        for eni in enis:
            if eni.mac_address not in guests.owners and eni.mac_address not in guests.by_mac:
                continue
            for address in eni.addresses:
                self._addresses[pack_address(address)].append(eni)
            for prefix in eni.prefixes:
                network = ipaddress.ip_network(prefix, strict=False)
                self._prefixes.add(network.network_address.packed, network.prefixlen, eni)

    def holders(self, packed: bytes) -> list[Eni]:
        return [*self._addresses.get(packed, ()), *self._prefixes.around(packed)]

    def on_guest(self, guest: Guest, version: int) -> list[Network]:
        """What is assigned to the ENIs of a guest."""
        enis = [eni for mac in guest.mac_addresses for eni in self.by_mac.get(mac, ())]
        return [network for eni in enis for network in _networks(eni) if network.version == version]


def _place(eni: Eni, sighting: Sighting) -> dict[str, Any]:
    return {
        "eni_id": eni.eni_id,
        "address": sighting.address,
        "host": sighting.guest.host,
        "interface": sighting.interface,
        "namespace": sighting.namespace,
    }


def _by_eni(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    address = ipaddress.ip_address(entry["address"])
    return (entry["eni_id"], address.version, address, entry["host"], entry["namespace"], entry["interface"] or "")


def _removal(sighting: Sighting) -> str:
    block = f"{sighting.address}/{sighting.prefix_length}"
    command = ["ip", "address", "del", block, "dev", str(sighting.interface)]
    if sighting.found_as == "local_route":
        command = ["ip", "route", "del", "local", block, "dev", str(sighting.interface)]
    prefix = ["ip", "netns", "exec", sighting.namespace] if sighting.namespace else []
    return shlex.join([*prefix, *command])


def _list(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
