# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sockets and addresses from the text of /proc, for one network namespace. The folder is its /proc/…/net.

Private to this collection. It runs on the instances: Python 3.9 and the standard library.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import re
import socket
import struct
import sys
from collections import defaultdict
from typing import NamedTuple

from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_reading import (
    Address,
    Link,
    Listener,
    LocalRoute,
    Problem,
    Reading,
    Unreadable,
    format_mac,
)

_SIOCGIFHWADDR = 0x8927
_READ_ATTEMPTS = 6
_SOCKET_LISTS = ("tcp", "udp", "raw")
_IFA_F_PERMANENT = 0x80
_RTF_LOCAL = 0x80000000

# A TCP socket that a process holds and that has a peer: established, being opened by this machine, or half closed. Without TIME_WAIT,
# and without SYN_RECV, which another machine tries to open.
_CONNECTED = {0x01, 0x02, 0x04, 0x05, 0x08}
_LISTEN, _UNCONNECTED, _ESTABLISHED = 0x0A, 0x07, 0x01


# -- the text


def parse_sockets(text: str, protocol: str, byteorder: str = sys.byteorder) -> tuple[list[Listener], dict[str, int]]:
    """The listeners, wildcard ones included, and the connections per local address, in /proc/net/tcp, tcp6, udp, raw and so on."""
    listeners: list[Listener] = []
    connections: dict[str, int] = defaultdict(int)
    lines = _whole_lines(text)
    if not lines or "local_address" not in lines[0]:
        raise Unreadable("a list of sockets has no header")
    plain = protocol.rstrip("6")
    known: dict[str, str] = {}
    for line in lines[1:]:
        fields = line.split(None, 10)
        try:
            local, state = fields[1], int(fields[3], 16)
            connected = state in _CONNECTED if plain == "tcp" else state == _ESTABLISHED
            if not connected and state != (_LISTEN if plain == "tcp" else _UNCONNECTED):
                continue
            written, port = local.split(":")
            if written not in known:
                known[written] = _parse_socket_address(written, byteorder)
            if connected:
                connections[known[written]] += 1
            else:
                listeners.append(Listener(plain, known[written], int(port, 16), int(fields[9])))
        except (IndexError, ValueError):
            raise Unreadable("a line of a list of sockets has an unexpected format") from None
    return listeners, connections


def _whole_lines(text: str) -> list[str]:
    if text and not text.endswith("\n"):
        raise Unreadable("the text ends within a line")
    return text.split("\n")[:-1]


def _parse_socket_address(written: str, byteorder: str) -> str:
    """The kernel writes an address as numbers of 32 bits, each in the byte order of the machine."""
    if len(written) not in (8, 32):
        raise ValueError(written)
    order = "<I" if byteorder == "little" else ">I"
    raw = b"".join(struct.pack(order, int(written[start : start + 8], 16)) for start in range(0, len(written), 8))
    if len(raw) == 4:
        return str(ipaddress.IPv4Address(raw))
    address = ipaddress.IPv6Address(raw)
    return str(address.ipv4_mapped or address)


_FIB_ADDRESS = re.compile(r"\s*\|-- (\d+\.\d+\.\d+\.\d+)$")
_FIB_ROUTE = re.compile(r"\s*/(\d+) (\S+) (\S+)")
_FIB_NODE = re.compile(r"\s*\+-- \d+\.\d+\.\d+\.\d+/\d+ \d+ \d+ \d+$")


def parse_fib_trie(text: str) -> list[tuple[str, int]]:
    """The local IPv4 addresses, as (address, 32), and local routes, as (address, prefix length).

    A VRF has its own table for its addresses. A local route in such a table sends packets to a proxy, and is left out.
    """
    found = set()
    address = None
    common_table = False
    for line in _whole_lines(text):
        at = _FIB_ADDRESS.match(line)
        if at:
            address = at[1]
            continue
        route = _FIB_ROUTE.match(line)
        if route and address:
            if route[3] == "LOCAL" and (common_table or route[1] == "32"):
                found.add((address, int(route[1])))
        elif re.match(r"(Main|Local|Id \d+):$", line):
            common_table = not line.startswith("Id")
        elif not _FIB_NODE.match(line):
            raise Unreadable("a line of fib_trie has an unexpected format")
    return sorted(found)


def parse_if_inet6(text: str) -> list[Address]:
    addresses = []
    for line in _whole_lines(text):
        fields = line.split()
        try:
            address = ipaddress.IPv6Address(bytes.fromhex(fields[0]))
            index, length, scope, flags = (int(field, 16) for field in fields[1:5])
            name = fields[5]
        except (IndexError, ValueError):
            raise Unreadable("a line of if_inet6 has an unexpected format") from None
        # This scope is an address type (include/net/ipv6.h). It is not the scope of rtnetlink.
        names = {0x00: "global", 0x10: "host", 0x20: "link", 0x40: "site"}
        dynamic = not flags & _IFA_F_PERMANENT
        addresses.append(Address(str(address), length, index, name, names.get(scope & 0xF0, str(scope)), dynamic))
    return addresses


def parse_ipv6_routes(text: str) -> list[tuple[str, int]]:
    """The local routes of /proc/net/ipv6_route, as (address, prefix length). A route for ::/0 is left out, because it
    sends packets to a proxy."""
    routes = set()
    for line in _whole_lines(text):
        fields = line.split()
        try:
            address, length, flags = ipaddress.IPv6Address(bytes.fromhex(fields[0])), int(fields[1], 16), int(fields[8], 16)
        except (IndexError, ValueError):
            raise Unreadable("a line of ipv6_route has an unexpected format") from None
        if flags & _RTF_LOCAL and length:
            routes.add((str(address), length))
    return sorted(routes)


def parse_interface_names(text: str) -> list[str]:
    """The names in /proc/net/dev. A name may have any character except slash, colon and white space."""
    lines = _whole_lines(text)
    if len(lines) < 2 or any(":" not in line for line in lines[2:]):
        raise Unreadable("a line of the list of interfaces has an unexpected format")
    return [line.split(":", 1)[0].strip() for line in lines[2:]]


NET, MNT = "net", "mnt"
_NAMESPACE = re.compile(r"(net|mnt):\[(\d+)\]$")


class NamespaceMount(NamedTuple):
    """A mounted namespace. ``kind``: NET or MNT."""

    kind: str
    inode: int
    path: str


def parse_mounts(text: str) -> tuple[list[NamespaceMount], set[int]]:
    """The mounted namespaces in /proc/PID/mountinfo, and the ids of all mounts that are not namespaces."""
    mounts = []
    ordinary = set()
    for line in _whole_lines(text):
        fields = line.split(" ")
        try:
            number, root, path = int(fields[0]), fields[3], fields[4]
            kind = fields[fields.index("-", 6) + 1]
        except (IndexError, ValueError):
            raise Unreadable("a line of mountinfo has an unexpected format") from None
        if kind not in ("nsfs", "proc"):  # before Linux 3.19 a namespace is a file of proc
            ordinary.add(number)
        found = _NAMESPACE.match(root)
        if found:
            mounts.append(NamespaceMount(found[1], int(found[2]), re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), path)))
    return mounts, ordinary


def parse_mount_id(text: str) -> int | None:
    """The id of the mount in /proc/PID/fdinfo/N. None before Linux 3.15."""
    found = re.search(r"^mnt_id:\s*(\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else None


# -- the files


def read_file(path: str) -> str:
    """The whole file."""
    parts: list[bytes] = []
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while True:
            part = os.read(descriptor, 1 << 20)
            if not part:
                return b"".join(parts).decode("utf-8", "replace")
            parts.append(part)
    finally:
        os.close(descriptor)


def _read_stable(path: str) -> str:
    """The whole file, after two reads with the same text, because the kernel writes the file in parts."""
    before = read_file(path)
    for _attempt in range(_READ_ATTEMPTS):
        now = read_file(path)
        if now == before:
            return now
        before = now
    raise Unreadable("it kept changing during the read")


def _has_ipv6(folder: str) -> bool:
    return os.path.exists(f"{folder}/if_inet6")


def read_addresses(reading: Reading, folder: str) -> None:
    """Addresses without their interfaces (IPv4), and without MAC addresses."""
    try:
        for text, length in parse_fib_trie(_read_stable(f"{folder}/fib_trie")):
            if length == 32:
                reading.addresses.append(Address(text, None, None, None, None, None))
            else:
                reading.local_routes.append(LocalRoute(text, length, None))
        if _has_ipv6(folder):
            reading.addresses += parse_if_inet6(_read_stable(f"{folder}/if_inet6"))
            reading.local_routes += [LocalRoute(*route, None) for route in parse_ipv6_routes(read_file(f"{folder}/ipv6_route"))]
    except (OSError, Unreadable) as error:
        reading.problems.append(Problem("addresses_not_read", f"the addresses cannot be read: {error}"))


def read_mac_addresses(reading: Reading, folder: str) -> None:
    links: list[Link] = []
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            for name in parse_interface_names(read_file(f"{folder}/dev")):
                request = struct.pack("256s", os.fsencode(name)[:15])
                answer = fcntl.ioctl(probe, _SIOCGIFHWADDR, request)
                ethernet = struct.unpack_from("=H", answer, 16)[0] == 1
                mac = format_mac(answer[18:24]) if ethernet else None
                # The index is unknown, and no other record refers to it, so any unique number can be used.
                links.append(Link(-len(links) - 1, name, mac, None, None, None, None, None))
    except (OSError, Unreadable) as error:
        reading.problems.append(Problem("interfaces_not_read", f"the MAC addresses cannot be read: {error}"))
    reading.links = links


def read_promotion(reading: Reading) -> None:
    """Whether a secondary address stays if the primary address of its subnet is removed. For the namespace of this process."""
    for name in {address.interface for address in reading.addresses if address.secondary and address.interface}:
        settings = [f"/proc/sys/net/ipv4/conf/{part}/promote_secondaries" for part in ("all", name)]
        with contextlib.suppress(OSError):
            reading.promoting[name] = any(read_file(path).strip() != "0" for path in settings)


def read_sockets(reading: Reading, folder: str) -> None:
    names = [*_SOCKET_LISTS, *(f"{name}6" for name in _SOCKET_LISTS if _has_ipv6(folder))]
    names += [name for name in ("udplite", "udplite6") if os.path.exists(f"{folder}/{name}")]
    for name in names:
        try:
            listeners, connections = parse_sockets(read_file(f"{folder}/{name}"), name)
        except (OSError, Unreadable) as error:
            reading.problems.append(Problem("sockets_not_read", f"{name} cannot be read: {error}"))
            continue
        reading.listeners += listeners
        for address, number in connections.items():
            reading.connections[address] += number
