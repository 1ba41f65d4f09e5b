# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: the one table of address kinds (option, API record, API call, limits), and sets of addresses of one ENI.

Private to this collection. All other files use addresses as canonical strings, as ``ipaddress`` prints them. The addresses of one ENI
are an ``AddressSet``: kind name → sorted tuple of such strings.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"
AddressSet = Mapping[str, tuple[str, ...]]  # with all four kinds; never changed, so that many records can share one

# Limits of one call, per kind. UnassignPrivateIpAddresses documents 32 addresses and 10 prefixes, UnassignIpv6Addresses 10 and 10
# (ECS API reference 2024-12). The newest text in the SDK no longer names the 32.
IPV4_ADDRESSES_PER_CALL = 32
IPV6_ADDRESSES_PER_CALL = 10
PREFIXES_PER_CALL = 10


@dataclass(frozen=True)
class AddressKind:
    """One kind of secondary address. Names of records, actions and parameters: ECS API 2014-05-26 (facts: DescribeNetworkInterfaces,
    UnassignPrivateIpAddresses, UnassignIpv6Addresses)."""

    name: str  # of the option, and in every result
    version: int
    is_prefix: bool
    per_call: int  # limit of one call
    example: str
    record_path: tuple[str, str, str]  # path in the record of an ENI: two wrappers, then the address of a row
    api_noun: str  # the actions are Assign… and Unassign… with this noun
    parameter: str  # of these actions, by the name in the SDK; the service accepts one kind per call
    filter: str | None  # of DescribeNetworkInterfaces, by the name in the SDK; None if the service has no such filter

    @property
    def noun(self) -> str:
        return f"IPv{self.version} {'prefix' if self.is_prefix else 'address'}"

    def parse(self, text: str) -> str:
        """The canonical form of ``text``. The ValueError says what would be right."""
        if self.version == 4 and not self.is_prefix and _is_canonical_ipv4(text):
            return text
        try:
            # An address with a scope id ('fe80::1%eth0') belongs to a host and not to an ENI.
            parsed = _parse_prefix(self, text) if self.is_prefix else _ADDRESS[self.version]("" if "%" in text else text)
            return str(parsed)
        except _HostBits:
            raise
        except ValueError:
            other = next((kind for kind in KINDS if kind is not self and kind.accepts(text)), None)
            if other:
                raise ValueError(f"'{text}' is an {other.noun}, not an {self.noun}; use {other.name}") from None
            raise ValueError(f"'{text}' is not an {self.noun} such as {self.example}") from None

    def accepts(self, text: str) -> bool:
        try:
            (_NETWORK if self.is_prefix else _ADDRESS)[self.version](text)
        except ValueError:
            return False
        return ("/" in text) == self.is_prefix

    def calls(self, addresses: Iterable[str]) -> Iterator[tuple[str, ...]]:
        """The addresses in groups for one call each. The service requires the same mask for all prefixes of a call."""
        by_mask: dict[str, list[str]] = {}
        for address in addresses:
            by_mask.setdefault(address.partition("/")[2], []).append(address)
        for same_mask in by_mask.values():
            for start in range(0, len(same_mask), self.per_call):
                yield tuple(same_mask[start : start + self.per_call])


_ADDRESS: Mapping[int, type[ipaddress.IPv4Address | ipaddress.IPv6Address]] = {4: ipaddress.IPv4Address, 6: ipaddress.IPv6Address}
_NETWORK: Mapping[int, type[ipaddress.IPv4Network | ipaddress.IPv6Network]] = {4: ipaddress.IPv4Network, 6: ipaddress.IPv6Network}


class _HostBits(ValueError):
    """A prefix with bits set after its mask."""

    def __init__(self, text: str, network: Network) -> None:
        super().__init__(f"'{text}' has host bits set; did you mean {network}?")


def _is_canonical_ipv4(text: str) -> bool:
    """Seven times faster than ``ipaddress``. Nearly all addresses in replies are canonical IPv4 addresses."""
    try:
        return socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, text)) == text
    except (OSError, ValueError):
        return False


def _parse_prefix(kind: AddressKind, text: str) -> Network:
    address, _slash, mask = text.partition("/")
    if "%" in address or not mask.isascii() or not mask.isdigit():
        raise ValueError
    network = _NETWORK[kind.version](text, strict=False)
    if _ADDRESS[kind.version](address) != network.network_address:
        raise _HostBits(text, network)
    return network


KINDS = (
    AddressKind(
        *("private_ip_addresses", 4, False, IPV4_ADDRESSES_PER_CALL, "192.168.0.10"),
        record_path=("PrivateIpSets", "PrivateIpSet", "PrivateIpAddress"),
        api_noun="PrivateIpAddresses",
        parameter="private_ip_address",
        filter="private_ip_address",
    ),
    AddressKind(
        *("ipv4_prefixes", 4, True, PREFIXES_PER_CALL, "192.168.0.16/28"),
        record_path=("Ipv4PrefixSets", "Ipv4PrefixSet", "Ipv4Prefix"),
        api_noun="PrivateIpAddresses",
        parameter="ipv_4prefix",
        filter=None,
    ),
    AddressKind(
        *("ipv6_addresses", 6, False, IPV6_ADDRESSES_PER_CALL, "2001:db8::10"),
        record_path=("Ipv6Sets", "Ipv6Set", "Ipv6Address"),
        api_noun="Ipv6Addresses",
        parameter="ipv_6address",
        filter="ipv_6address",
    ),
    AddressKind(
        *("ipv6_prefixes", 6, True, PREFIXES_PER_CALL, "2001:db8:0:0:10::/80"),
        record_path=("Ipv6PrefixSets", "Ipv6PrefixSet", "Ipv6Prefix"),
        api_noun="Ipv6Addresses",
        parameter="ipv_6prefix",
        filter=None,
    ),
)
KIND_BY_NAME: Mapping[str, AddressKind] = {kind.name: kind for kind in KINDS}
PRIVATE_IPV4 = "private_ip_addresses"


def parse_block(text: str) -> str:
    """The canonical form of an address or CIDR block, IPv4 or IPv6. The ValueError says what would be right."""
    try:
        network = ipaddress.ip_network("" if "%" in text else text, strict=False)  # a scope id, as in AddressKind.parse
    except ValueError:
        raise ValueError(f"'{text}' is not an address or a CIDR block such as 192.168.0.0/24") from None
    if network.version == 6 and network.network_address.ipv4_mapped is not None and network.prefixlen >= 96:
        raise ValueError(f"'{text}' is an IPv4 address or block in the form of IPv6, so it would match nothing; write it as IPv4")
    if ipaddress.ip_address(text.partition("/")[0]) != network.network_address:
        raise _HostBits(text, network)
    return str(network)


def span(text: str) -> tuple[int, int, int]:
    """Size of an address in bytes, first and last address as numbers, for a canonical text. Much faster than ``ipaddress``."""
    version, packed, length = sort_key(text)
    first = int.from_bytes(packed, "big")
    return version, first, first | ((1 << (8 * len(packed) - length)) - 1)


class Blocks:
    """Addresses and CIDR blocks of an option, for lookups by binary search."""

    def __init__(self, blocks: Iterable[str] = ()) -> None:
        self._blocks = tuple(blocks)
        # If two CIDR blocks overlap, one contains the other. So without the inner blocks, no two blocks overlap.
        self._outer: list[tuple[int, int, int, str]] = []
        for version, first, last, block in sorted(
            ((*span(block), block) for block in self._blocks), key=lambda found: (found[0], found[1], -found[2])
        ):
            if not self._outer or self._outer[-1][0] != version or self._outer[-1][2] < first:
                self._outer.append((version, first, last, block))

    def __iter__(self) -> Iterator[str]:
        return iter(self._blocks)

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def overlapping(self, text: str) -> str | None:
        """The widest block that overlaps ``text``. If there are several, the one with the highest address."""
        version, first, last = span(text)
        at = bisect_right(self._outer, (version, last), key=lambda block: block[:2]) - 1
        found = self._outer[at] if at >= 0 else None
        return found[3] if found and found[0] == version and found[2] >= first else None

    def containing(self, text: str) -> str | None:
        """The widest block that contains ``text`` completely."""
        block = self.overlapping(text)
        return block if block and lies_in(text, block) else None


def lies_in(text: str, block: str) -> bool:
    """Whether the block contains ``text`` completely."""
    version, first, last = span(text)
    outer = span(block)
    return outer[0] == version and outer[1] <= first and last <= outer[2]


def sort_key(text: str) -> tuple[int, bytes, int]:
    """Sort key of a canonical address or prefix: size in bytes, packed address, prefix length. Fast, because it is called often."""
    address, _slash, mask = text.partition("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    return len(packed), packed, int(mask or 8 * len(packed))


def ordered(addresses: Iterable[str]) -> tuple[str, ...]:
    """Without duplicates and in numeric order, so that results and diffs are stable."""
    unique = set(addresses)
    return tuple(sorted(unique, key=sort_key) if len(unique) > 1 else unique)


def make_address_set(lists: Mapping[str, Iterable[str]]) -> AddressSet:
    """An address set with all four kinds. A kind that is missing in ``lists`` is empty."""
    made = {name: ordered(entries) for name in KIND_BY_NAME if (entries := lists.get(name))}
    return {**EMPTY, **made} if any(made.values()) else EMPTY


# One shared object, because most lists of ten thousand ENIs are empty. An operation that changes nothing returns its argument.
EMPTY: AddressSet = {kind.name: () for kind in KINDS}


def union(one: AddressSet, other: AddressSet) -> AddressSet:
    if EMPTY in (one, other):
        return one if other == EMPTY else other
    return make_address_set({name: (*one.get(name, ()), *other.get(name, ())) for name in KIND_BY_NAME})


def difference(one: AddressSet, other: AddressSet) -> AddressSet:
    if EMPTY in (one, other):
        return one
    if one == other:
        return EMPTY
    return make_address_set({name: set(one.get(name, ())).difference(other.get(name, ())) for name in KIND_BY_NAME})


def intersection(one: AddressSet, other: AddressSet) -> AddressSet:
    if EMPTY in (one, other):
        return EMPTY
    return make_address_set({name: set(one.get(name, ())).intersection(other.get(name, ())) for name in KIND_BY_NAME})


def group(addresses: Iterable[str]) -> AddressSet:
    """An address set of these addresses. The form of an address shows its kind."""
    by_kind: dict[str, list[str]] = {}
    for address in addresses:
        by_kind.setdefault(kind_of(address).name, []).append(address)
    return make_address_set(by_kind)


def kind_of(address: str) -> AddressKind:
    return KINDS[2 * (":" in address) + ("/" in address)]


_ADDRESS_IN_TEXT = re.compile(r"[0-9A-Fa-f:.]*[0-9A-Fa-f:](?:/\d+)?")


def find_addresses(text: str) -> frozenset[str]:
    """The canonical form of all addresses and prefixes in a message of the service."""
    found = set()
    for candidate in _ADDRESS_IN_TEXT.findall(text):
        for kind in KINDS:
            with suppress(ValueError):
                found.add(kind.parse(candidate.lstrip(":") if kind.version == 4 else candidate))
    return frozenset(found)


def count(lists: Mapping[str, Collection[str]]) -> int:
    return sum(map(len, lists.values()))


def flatten(lists: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """The entries of all kinds, in the order of the kinds."""
    return tuple([entry for name in KIND_BY_NAME for entry in lists.get(name, ())])
