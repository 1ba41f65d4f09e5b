# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: the readings of all network namespaces → the result of ``guest_addresses_info``.

Private to this collection. It runs on the instances: Python 3.9 and the standard library.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

# Their traffic leaves through the parent interface, with its MAC address, or with a MAC address that the VPC does not know.
CHILD_KINDS = frozenset({"macvlan", "macvtap", "ipvlan", "ipvtap", "vlan", "macsec"})
_MASTER_KINDS = frozenset({"bridge", "bond", "team"})


class Unreadable(ValueError):
    """The reply of the kernel has an unexpected format.

    A parser never returns a part of such a reply, because the missing part could make an address look unused.
    """


def format_mac(value: bytes | None) -> str | None:
    """The MAC address. None if it is not an Ethernet address, or if all bytes are zero, as for the loopback interface."""
    return ":".join(f"{byte:02x}" for byte in value) if value and len(value) == 6 and any(value) else None


class Link(NamedTuple):
    """A network interface. ``link`` is the index of the interface below it, in the namespace ``link_nsid`` if that is not None."""

    link_index: int
    name: str
    mac_address: str | None
    permanent_mac_address: str | None
    kind: str | None
    link: int | None
    link_nsid: int | None
    master: int | None


class Address(NamedTuple):
    """An address of an interface. A value that the source does not have is None."""

    address: str
    prefix_length: int | None
    link_index: int | None
    interface: str | None
    scope: str | None
    dynamic: bool | None
    secondary: bool | None = None


class LocalRoute(NamedTuple):
    """A block whose addresses the kernel accepts as its own."""

    address: str
    prefix_length: int
    link_index: int | None


class Listener(NamedTuple):
    protocol: str
    address: str
    port: int
    inode: int


class Problem(NamedTuple):
    """Why a reading is incomplete."""

    code: str
    text: str
    namespace: str = ""


class Reading:
    """The reading of one namespace. ``links`` is None if its interfaces could not be read."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.links: list[Link] | None = None
        self.addresses: list[Address] = []
        self.local_routes: list[LocalRoute] = []
        self.listeners: list[Listener] = []
        # Local address → number of connections.
        self.connections: dict[str, int] = defaultdict(int)
        self.problems: list[Problem] = []
        # Interface with secondary IPv4 addresses → whether one of them becomes primary if their primary address is removed.
        self.promoting: dict[str, bool] = {}
        # link_nsid → key of the namespace.
        self.keys_by_nsid: dict[int, str] = {}
        # Set by the caller: the name of the namespace in results, and the name of a process in it.
        self.name = ""
        self.process: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The values for JSON, which a child process sends through a pipe."""
        return {
            "links": self.links,
            "addresses": self.addresses,
            "local_routes": self.local_routes,
            "listeners": self.listeners,
            "connections": self.connections,
            "problems": self.problems,
            "promoting": self.promoting,
            "nsids": list(self.keys_by_nsid.items()),
        }

    def update(self, values: Mapping[str, Any]) -> None:
        """Set the values that ``as_dict`` returned, after a conversion to JSON and back."""
        links = values["links"]
        self.links = None if links is None else [Link(*link) for link in links]
        self.addresses = [Address(*address) for address in values["addresses"]]
        self.local_routes = [LocalRoute(*route) for route in values["local_routes"]]
        self.listeners = [Listener(*listener) for listener in values["listeners"]]
        self.connections = defaultdict(int, values["connections"])
        self.problems = [Problem(*problem) for problem in values["problems"]]
        self.promoting = dict(values["promoting"])
        self.keys_by_nsid = dict(values["nsids"])


def build_result(readings: Sequence[Reading], processes: Mapping[int, str], problems: Iterable[Problem] = ()) -> dict[str, Any]:
    """The result of the module. ``processes``: the name of a process by the inode of a socket that it holds."""
    reasons = [*problems]
    for reading in readings:
        reasons += [problem._replace(namespace=reading.name) for problem in reading.problems]
    links = {(reading.key, link.link_index): link for reading in readings for link in reading.links or ()}
    readings_by_key = {reading.key: reading for reading in readings}
    addresses: list[dict[str, Any]] = []
    namespaces: list[dict[str, Any]] = []
    interfaces: list[dict[str, Any]] = []
    for reading in sorted(readings, key=lambda reading: reading.name):
        listeners = _by_address(reading.listeners, processes)
        wildcards = [
            {**listener, "family": family}
            for family, wildcard in (("ipv4", "0.0.0.0"), ("ipv6", "::"))  # noqa: S104 (compared, not bound)
            for listener in listeners.get(wildcard, ())
            if listener["protocol"] != "raw"  # a raw socket gets every packet of a protocol, but is not a service
        ]
        addresses += _addresses(reading, listeners, wildcards, links, readings_by_key)
        interfaces += [
            {"interface": link.name, "namespace": reading.name, "mac_address": mac}
            for link in reading.links or ()
            if link.kind not in CHILD_KINDS
            for mac in sorted({link.mac_address, link.permanent_mac_address} - {None}, key=str)
        ]
        namespaces.append(
            {
                "namespace": reading.name,
                "process": reading.process,
                "complete": not reading.problems,
                "interfaces_read": reading.links is not None,
                "wildcard_listeners": wildcards,
            }
        )
    addresses.sort(key=_order)
    interfaces.sort(key=lambda entry: (entry["namespace"], entry["interface"], str(entry["mac_address"])))
    return {
        "complete": not reasons,
        "reasons": [problem._asdict() for problem in sorted(set(reasons), key=lambda problem: (problem.namespace, problem))],
        "namespaces": namespaces,
        "interfaces": interfaces,
        "addresses": addresses,
    }


def _order(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    address = ipaddress.ip_address(entry["address"])
    return (entry["namespace"], address.version, address, entry["found_as"], entry["interface"] or "")


def can_be_assigned(address: str) -> bool:
    """Whether an ENI can have this address. It cannot have loopback, link-local, multicast and broadcast addresses."""
    value = ipaddress.ip_address(address)
    never = value.is_loopback or value.is_link_local or value.is_multicast or value.is_unspecified
    return not never and address != "255.255.255.255"


def _by_address(listeners: Iterable[Listener], processes: Mapping[int, str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, set[tuple[str, int, str]]] = defaultdict(set)
    for listener in listeners:
        found[listener.address].add((listener.protocol, listener.port, processes.get(listener.inode, "")))
    return {
        address: [{"protocol": protocol, "port": port, "process": process or None} for protocol, port, process in sorted(entries)]
        for address, entries in found.items()
    }


def _addresses(
    reading: Reading,
    listeners: Mapping[str, list[dict[str, Any]]],
    wildcards: Sequence[Mapping[str, Any]],
    links: Mapping[tuple[str, int], Link],
    readings: Mapping[str, Reading],
) -> Iterator[dict[str, Any]]:
    families = {listener["family"] for listener in wildcards}
    connections = reading.connections
    own_links = {link.link_index: link for link in reading.links or ()}

    def entry(found_as: str, address: str, length: int | None, index: int | None, **known: Any) -> dict[str, Any]:
        ours = listeners.get(address, []) if found_as != "local_route" else []
        number = connections.get(address, 0) if found_as != "local_route" else 0
        link = own_links.get(index) if index is not None else None
        chain = _follow(reading, link, links, readings)
        # An IPv6 wildcard listener accepts IPv4 too, unless its program forbids it.
        uncertain = "ipv6" in families if ":" in address else bool(families)
        return {
            "address": address,
            "prefix_length": length,
            "found_as": found_as,
            "namespace": reading.name,
            "interface": link.name if link else known.get("interface"),
            "mac_address": link.mac_address if link else None,
            **chain,
            "scope": known.get("scope"),
            "dynamic": known.get("dynamic"),
            "removed_with_it": known.get("removed_with_it", []),
            "listeners": ours,
            "connections": number,
            "uncertain": uncertain and not ours and not number,
        }

    configured = {address.address for address in reading.addresses}
    for address in reading.addresses:
        if can_be_assigned(address.address):
            known: dict[str, Any] = {"interface": address.interface, "scope": address.scope, "dynamic": address.dynamic}
            known["removed_with_it"] = _removed_with(address, reading)
            yield entry("interface_address", address.address, address.prefix_length, address.link_index, **known)
    for route in sorted(set(reading.local_routes)):
        single = route.prefix_length == (128 if ":" in route.address else 32)
        if not (single and route.address in configured) and _matters_as_block(route):
            yield entry("local_route", route.address, route.prefix_length, route.link_index)
    for address_text in sorted((set(listeners) | set(connections)) - configured):
        if can_be_assigned(address_text):
            yield entry("socket", address_text, None, None)


def _removed_with(address: Address, reading: Reading) -> list[str] | None:
    """The addresses that the kernel removes together with this one: those of its subnet, if it is their primary address."""
    if ":" in address.address or address.secondary:
        return []
    if address.secondary is None or address.prefix_length is None:
        return None
    subnet = ipaddress.ip_network(f"{address.address}/{address.prefix_length}", strict=False)
    others = [
        other.address
        for other in reading.addresses
        if other.secondary
        and (other.link_index, other.prefix_length) == (address.link_index, address.prefix_length)
        and ipaddress.ip_address(other.address) in subnet
    ]
    if not others:
        return []
    promoting = reading.promoting.get(address.interface or "")
    return None if promoting is None else [] if promoting else sorted(others, key=ipaddress.ip_address)


def _matters_as_block(route: LocalRoute) -> bool:
    return route.prefix_length == 0 or can_be_assigned(route.address)


def _follow(reading: Reading, link: Link | None, links: Mapping[tuple[str, int], Link], readings: Mapping[str, Reading]) -> dict[str, Any]:
    """The parent interface at the end of the chain, and all MAC addresses of the chain, with the ports of bridges and bonds."""
    macs: set[str] = set()
    parent: tuple[str, Link] | None = None
    todo = [(reading.key, link, True)] if link else []
    done: set[tuple[str, int]] = set()
    while todo:
        key, current, direct = todo.pop()
        if (key, current.link_index) in done:
            continue
        done.add((key, current.link_index))
        macs.update(mac for mac in (current.mac_address, current.permanent_mac_address) if mac)
        if current.kind in CHILD_KINDS and current.link is not None:
            below_key = key
            if current.link_nsid is not None:
                below_key = readings[key].keys_by_nsid.get(current.link_nsid, "")
            below = links.get((below_key, current.link))
            if below:
                parent = (below_key, below) if direct else parent
                todo.append((below_key, below, direct))
        elif current.kind in _MASTER_KINDS:
            todo += [(key, port, False) for port in readings[key].links or () if port.master == current.link_index]
    return {
        "parent_interface": parent[1].name if parent else None,
        "parent_namespace": readings[parent[0]].name if parent else None,
        "parent_mac_address": parent[1].mac_address if parent else None,
        "mac_addresses": sorted(macs),
    }


def printable(text: str, limit: int = 64) -> str:
    """The name of a process, without control characters, because a process can choose its name."""
    return "".join(character if character.isprintable() else "?" for character in text)[:limit]
