# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: the four kinds of secondary address of an ENI: parse, sort, compare, cut into calls.

Private to this collection. Everywhere else an address is a canonical string, as ``ipaddress`` prints it, and a
set of addresses of one ENI is a ``Lists``: kind name → sorted tuple of such strings.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"
Lists = dict[str, tuple[str, ...]]

# The most of one kind that one call takes. UnassignPrivateIpAddresses documents 32 addresses and 10 prefixes,
# UnassignIpv6Addresses 10 and 10 (ECS API reference 2024-12). The SDK's newest text no longer names the 32.
IPV4_ADDRESSES_PER_CALL = 32
IPV6_ADDRESSES_PER_CALL = 10
PREFIXES_PER_CALL = 10


@dataclass(frozen=True)
class Kind:
    """One kind of secondary address: its option and result name, and how it is written."""

    name: str
    version: int
    is_prefix: bool
    per_call: int
    example: str

    @property
    def noun(self) -> str:
        return f"IPv{self.version} {'prefix' if self.is_prefix else 'address'}"

    def parse(self, text: str) -> str:
        """The canonical spelling of ``text``; ValueError says what would be right."""
        wrong = f"'{text}' is not an {self.noun} such as {self.example}"
        if self.is_prefix:
            return _parse_prefix(self, text, wrong)
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise ValueError(wrong) from None
        # A scope id ('fe80::1%eth0') names something on a host, never something on an ENI.
        if address.version != self.version or getattr(address, "scope_id", None):
            raise ValueError(wrong)
        return str(address)

    def calls(self, addresses: Iterable[str]) -> Iterator[tuple[str, ...]]:
        """Cut into what one call takes. The service wants prefixes of one call to have the same mask."""
        by_mask: dict[int, list[str]] = {}
        for address in addresses:
            by_mask.setdefault(as_network(address).prefixlen, []).append(address)
        for same_mask in by_mask.values():
            for start in range(0, len(same_mask), self.per_call):
                yield tuple(same_mask[start : start + self.per_call])


def _parse_prefix(kind: Kind, text: str, wrong: str) -> str:
    address, slash, mask = text.partition("/")
    # A scope id has no place in a prefix either.
    if not slash or "%" in address or not mask.isascii() or not mask.isdigit():
        raise ValueError(wrong)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(wrong) from None
    if network.version != kind.version:
        raise ValueError(wrong)
    if ipaddress.ip_address(address) != network.network_address:
        raise ValueError(f"'{text}' has bits set behind its mask; the {kind.noun} around it is {network}")
    return str(network)


KINDS = (
    Kind("private_ip_addresses", 4, False, IPV4_ADDRESSES_PER_CALL, "192.168.0.10"),
    Kind("ipv4_prefixes", 4, True, PREFIXES_PER_CALL, "192.168.0.16/28"),
    Kind("ipv6_addresses", 6, False, IPV6_ADDRESSES_PER_CALL, "2001:db8::10"),
    Kind("ipv6_prefixes", 6, True, PREFIXES_PER_CALL, "2001:db8:0:0:10::/80"),
)
KIND_BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}
PRIVATE_IPV4 = "private_ip_addresses"


@cache
def as_network(text: str) -> Network:
    """An address as its /32 or /128, a block as itself."""
    return ipaddress.ip_network(text)


def parse_block(text: str) -> str:
    """An address or a CIDR block of either family, canonical; ValueError says what would be right."""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        if "has host bits set" in str(error):
            around = ipaddress.ip_network(text, strict=False)
            raise ValueError(f"'{text}' has bits set behind its mask; the block around it is {around}") from None
        raise ValueError(f"'{text}' is not an address or a CIDR block such as 192.168.0.0/24") from None


def overlaps(text: str, blocks: Iterable[str]) -> str | None:
    """The first of the blocks that shares an address with ``text``."""
    network = as_network(text)
    for block in blocks:
        other = as_network(block)
        if other.version == network.version and other.overlaps(network):
            return block
    return None


def sort_key(text: str) -> tuple[int, int, int]:
    network = as_network(text)
    return network.version, int(network.network_address), network.prefixlen


def ordered(addresses: Iterable[str]) -> tuple[str, ...]:
    """Without doubles, in numeric order, so that results and diffs are stable."""
    return tuple(sorted(set(addresses), key=sort_key))


def make_lists(lists: Mapping[str, Iterable[str]] | None = None) -> Lists:
    """All four kinds, each ordered; a kind that is not given is empty."""
    given = lists or {}
    return {kind.name: ordered(given.get(kind.name, ())) for kind in KINDS}


def union(one: Mapping[str, Iterable[str]], other: Mapping[str, Iterable[str]]) -> Lists:
    return make_lists({name: (*one.get(name, ()), *other.get(name, ())) for name in KIND_BY_NAME})


def without(one: Mapping[str, Iterable[str]], other: Mapping[str, Iterable[str]]) -> Lists:
    return make_lists({name: set(one.get(name, ())) - set(other.get(name, ())) for name in KIND_BY_NAME})


def common(one: Mapping[str, Iterable[str]], other: Mapping[str, Iterable[str]]) -> Lists:
    return make_lists({name: set(one.get(name, ())) & set(other.get(name, ())) for name in KIND_BY_NAME})


def count(lists: Mapping[str, Iterable[str]]) -> int:
    return sum(len(tuple(entries)) for entries in lists.values())


def every(lists: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """All entries of all kinds, in the order of the kinds."""
    return tuple(entry for kind in KINDS for entry in lists.get(kind.name, ()))
