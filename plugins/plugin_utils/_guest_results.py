# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: results of C(guest_addresses_info) → which addresses each guest has, and where.

Private to this collection. A guest is an instance with its operating system. Its result is data from another machine. Data without the
expected form makes the guest incomplete, so that it never makes an address look unused.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Generic, TypeVar

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import many

IN_USE, CONFIGURED, NOT_SEEN, UNKNOWN = "in_use", "configured", "not_seen", "unknown"
LEVELS = (IN_USE, CONFIGURED, UNKNOWN, NOT_SEEN)  # the strongest evidence of use first

LISTENING = "listening"
CONNECTED = "connected"
ON_INTERFACE = "configured"
LOCAL_ROUTE = "local_route"

_MOST_ACTIVITIES = 3
_packed = attrgetter("packed")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(eq=False, slots=True)
class Sighting:
    """One address, or one block with a local route, on one guest."""

    guest: Guest
    packed: bytes  # the address in network order
    address: str
    found_as: str
    prefix_length: int | None
    interface: str | None
    parent: str | None
    namespace: str
    mac_addresses: frozenset[str]
    removed_with_it: list[str] | None  # None if it is not known
    listeners: list[tuple[str, int, str | None]]
    connections: int
    uncertain: bool

    @property
    def level(self) -> str:
        return IN_USE if self.listeners or self.connections or self.found_as == "socket" else CONFIGURED

    @property
    def reason_code(self) -> str:
        if self.listeners:
            return LISTENING
        if self.level == IN_USE:
            return CONNECTED
        return LOCAL_ROUTE if self.found_as == "local_route" else ON_INTERFACE

    @property
    def is_named(self) -> bool:
        """Whether ``ip netns`` can name the namespace, or it is the one of the host."""
        return not re.match(r"net:\[\d+\]$|pid:\d+$", self.namespace)

    def where(self) -> str:
        interface = f"{self.interface} on {self.parent}" if self.interface and self.parent else self.interface
        if not self.namespace:
            return f" ({interface})" if interface else ""
        process = self.guest.processes.get(self.namespace)
        namespace = f"the network namespace of {process}" if process and not self.is_named else f"network namespace {self.namespace}"
        return f" ({interface} in {namespace})" if interface else f" ({namespace})"

    def text(self, prefix: str | None = None) -> str:
        """``prefix``: the prefix in question, if the address is inside one."""
        place = f"on {self.guest.host}{self.where()}"
        named = f"{self.address}: " if prefix else ""
        if self.level == IN_USE:
            return f"in use {place}: {named}{self._activity()}"
        if self.found_as == "local_route":
            text = f"configured {place}: the local route {self.address}/{self.prefix_length} accepts it"
        else:
            text = f"configured {place}" + (f": {self.address}" if prefix else "")
        number = self.guest.wildcards.get(self.namespace, 0) if self.uncertain else 0
        if number:
            text += f"; {many(number, 'service')} there {'listens' if number == 1 else 'listen'} on all addresses"
        return text

    def _activity(self) -> str:
        parts = [f"{process or 'a process'} listens on {_port(protocol, port)}" for protocol, port, process in self.listeners]
        if len(parts) > _MOST_ACTIVITIES:
            parts = [*parts[:_MOST_ACTIVITIES], many(len(parts) - _MOST_ACTIVITIES, "more listener")]
        if self.connections:
            parts.append(many(self.connections, "connection"))
        return ", ".join(parts) or "a socket is bound to it"


@dataclass(eq=False, slots=True)
class Guest:
    """``gap``: why the guest may use an address that it does not show. Empty if its result is complete."""

    host: str
    gap: str = ""
    # MAC address → where, as (interface, namespace)
    mac_addresses: dict[str, tuple[str, str]] = field(default_factory=dict)
    wildcards: dict[str, int] = field(default_factory=dict)
    processes: dict[str, str] = field(default_factory=dict)
    sightings: list[Sighting] = field(default_factory=list)

    def at(self, mac: str) -> str:
        interface, namespace = self.mac_addresses[mac]
        return f"{self.host} ({interface} in network namespace {namespace})" if namespace else f"{self.host} ({interface})"


T = TypeVar("T")


class BlockIndex(Generic[T]):
    """Values of blocks of addresses. It finds the blocks that hold an address without a look at each block."""

    def __init__(self) -> None:
        # (address size in bytes, prefix length) → first address → values
        self._blocks: dict[tuple[int, int], dict[int, list[T]]] = defaultdict(lambda: defaultdict(list))

    def add(self, first: bytes, length: int, value: T) -> None:
        self._blocks[len(first), length][int.from_bytes(first, "big")].append(value)

    def around(self, packed: bytes, longest: int = 128) -> list[T]:
        """The values of the blocks that hold an address and whose prefix length is at most ``longest``."""
        number, bits = int.from_bytes(packed, "big"), len(packed) * 8
        return [
            value
            for (size, length), blocks in self._blocks.items()
            if size * 8 == bits and length <= longest
            for value in blocks.get(number >> (bits - length) << (bits - length), ())
        ]


class Guests:
    """Results of several guests, indexed. ``results``: host → result of the module, or the failure of its task."""

    def __init__(self, results: Mapping[str, Any]) -> None:
        self.guests = [_read_result(str(host), results[host]) for host in sorted(results, key=str)]
        self.owners: dict[str, list[Guest]] = defaultdict(list)
        self.by_mac: dict[str, list[Sighting]] = defaultdict(list)
        self._exact: dict[bytes, list[Sighting]] = defaultdict(list)
        self._routes: BlockIndex[Sighting] = BlockIndex()
        for guest in self.guests:
            for mac in guest.mac_addresses:
                self.owners[mac].append(guest)
            for sighting in guest.sightings:
                for mac in sighting.mac_addresses:
                    self.by_mac[mac].append(sighting)
                if sighting.found_as == "local_route" and sighting.prefix_length is not None:
                    self._routes.add(sighting.packed, sighting.prefix_length, sighting)
                else:
                    self._exact[sighting.packed].append(sighting)
        # For prefixes. Addresses of one family sort by their value; equal ones stay in the order of their hosts.
        everything = [sighting for guest in self.guests for sighting in guest.sightings]
        self._ordered = {size: sorted((s for s in everything if len(s.packed) == size), key=_packed) for size in (4, 16)}

    def find_address(self, address: str) -> list[Sighting]:
        """Where an address is."""
        packed = pack_address(address)
        return [*self._exact.get(packed, ()), *self._routes.around(packed)]

    def find_prefix(self, prefix: str) -> list[Sighting]:
        """The addresses inside a prefix, and the blocks that overlap it."""
        network = ipaddress.ip_network(prefix, strict=False)
        first = network.network_address.packed
        ordered = self._ordered[len(first)]
        start = bisect_left(ordered, first, key=_packed)
        inside = ordered[start : bisect_right(ordered, network.broadcast_address.packed, start, key=_packed)]
        known = {id(sighting) for sighting in inside}
        return inside + [sighting for sighting in self._routes.around(first, network.prefixlen) if id(sighting) not in known]


def _read_result(host: str, result: Any) -> Guest:
    guest = Guest(host)
    if not isinstance(result, Mapping) or "addresses" not in result:
        message = result.get("msg") if isinstance(result, Mapping) else None
        state = "could not be reached" if isinstance(result, Mapping) and result.get("unreachable") else "returned no result"
        guest.gap = f"the guest {state}" + (f": {one_line(message)}" if message else "")
        return guest
    if result.get("complete") is not True:
        reasons = result.get("reasons")
        texts = [one_line(reason.get("text")) for reason in reasons if isinstance(reason, Mapping)] if isinstance(reasons, list) else []
        more = f", and {len(texts) - 1} more" if len(texts) > 1 else ""
        guest.gap = texts[0] + more if texts else "its result is incomplete, without a reason"
    try:
        for namespace in result["namespaces"]:
            name = one_line(namespace["namespace"])
            # One service often has a socket for each family.
            wildcards = {(entry["protocol"], int(entry["port"]), entry["process"]) for entry in namespace["wildcard_listeners"]}
            guest.wildcards[name] = len(wildcards)
            if namespace["process"]:
                guest.processes[name] = one_line(namespace["process"])
        for entry in result["interfaces"]:
            guest.mac_addresses.setdefault(parse_mac(entry["mac_address"]), (one_line(entry["interface"]), one_line(entry["namespace"])))
        for entry in result["addresses"]:
            guest.sightings.append(_read_sighting(guest, entry))
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        guest.gap = f"its result does not have the expected form ({type(error).__name__}: {one_line(error)})"
    return guest


def _read_sighting(guest: Guest, entry: Mapping[str, Any]) -> Sighting:
    address = str(entry["address"])
    packed = pack_address(address)
    length, interface = entry["prefix_length"], entry["interface"]
    if length is not None and not 0 <= int(length) <= len(packed) * 8:
        raise ValueError(f"{length} is not a prefix length")
    found_as = str(entry["found_as"])
    if found_as not in ("interface_address", "local_route", "socket"):
        raise ValueError(f"{one_line(found_as)} is not a way to find an address")
    if found_as == "local_route":
        packed = ipaddress.ip_network(f"{address}/{length}", strict=False).network_address.packed
    return Sighting(
        guest=guest,
        packed=packed,
        address=_format(packed),
        found_as=found_as,
        prefix_length=None if length is None else int(length),
        interface=None if interface is None else one_line(interface),
        parent=None if entry["parent_interface"] is None else one_line(entry["parent_interface"]),
        namespace=one_line(entry["namespace"]),
        mac_addresses=frozenset(parse_mac(mac) for mac in entry["mac_addresses"]),
        removed_with_it=None if entry["removed_with_it"] is None else [_format(pack_address(each)) for each in entry["removed_with_it"]],
        listeners=[
            (one_line(listener["protocol"]), int(listener["port"]), one_line(listener["process"]) if listener["process"] else None)
            for listener in entry["listeners"]
        ],
        connections=int(entry["connections"]),
        uncertain=bool(entry["uncertain"]),
    )


# -- text


def parse_mac(value: Any) -> str:
    mac = str(value).lower()
    if not _MAC.fullmatch(mac):
        raise ValueError(f"{one_line(value)} is not a MAC address")
    return mac


def pack_address(address: str) -> bytes:
    """The address in network order. Faster than ipaddress, and as strict."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _format(packed: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def one_line(value: Any, limit: int = 200) -> str:
    """Text of another machine, in one line without control characters."""
    text = str(value)
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _port(protocol: str, port: int) -> str:
    if protocol == "raw":
        return f"IP protocol {port}"
    return f"port {port}" if protocol == "tcp" else f"{protocol.upper()} port {port}"
