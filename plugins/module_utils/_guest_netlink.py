# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Interfaces, addresses and local routes from rtnetlink, the interface of the kernel that ``ip`` uses.

Private to this collection. It runs on the instances: Python 3.9 and the standard library. So the program ``ip`` is not needed, and the
kernel reports an incomplete reply.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Mapping
from typing import NamedTuple

from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_reading import (
    CHILD_KINDS,
    Address,
    Link,
    LocalRoute,
    Reading,
    Unreadable,
    format_mac,
)

# Numbers and layouts: include/uapi/linux/netlink.h, rtnetlink.h, if_link.h, if_addr.h, net_namespace.h
NLMSG_ERROR, NLMSG_DONE, NLMSG_MIN_TYPE = 2, 3, 16
NLM_F_REQUEST, NLM_F_DUMP_INTR, NLM_F_DUMP = 0x1, 0x10, 0x300
RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNSID = 18, 22, 26, 90
RT_TABLE_LOCAL = 255

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_LINK = struct.Struct("=BxHiII")  # family, hardware type, index, flags, change
_ADDRESS = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # family, destination length, source length, tos, table, protocol, scope, type, flags
_NESTED_BITS = 0xC000
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_LINK, _IFLA_MASTER, _IFLA_LINKINFO = 1, 3, 5, 10, 18
_IFLA_LINK_NETNSID, _IFLA_PERM_ADDRESS, _IFLA_INFO_KIND = 37, 54, 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS, _IFA_F_SECONDARY, _IFA_F_PERMANENT = 1, 2, 8, 0x01, 0x80
_RTA_DST, _RTA_OIF, _RTA_TABLE, _RTN_LOCAL = 1, 4, 15, 2
_NETNSA_NSID, _NETNSA_FD = 1, 3
_ETHERNET = 1
_INET, _INET6 = 2, 10
_SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
_SOL_NETLINK, _NETLINK_GET_STRICT_CHK = 270, 12
_LARGEST_MESSAGE = 1 << 18
_DUMP_ATTEMPTS = 6
_SECONDS = 10.0


# -- the format


class Message(NamedTuple):
    type: int
    flags: int
    sequence: int
    payload: bytes


def make_message(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(payload), kind, flags, sequence, 0) + payload


def link_request() -> bytes:
    return _LINK.pack(0, 0, 0, 0, 0)


def address_request() -> bytes:
    return _ADDRESS.pack(0, 0, 0, 0, 0)


def local_route_request(family: int) -> bytes:
    return _ROUTE.pack(family, 0, 0, 0, RT_TABLE_LOCAL, 0, 0, 0, 0)


def nsid_request(descriptor: int) -> bytes:
    """Ask for the id that the namespace of this file descriptor has in the namespace of the socket."""
    return struct.pack("=Bxxx", 0) + _ATTRIBUTE.pack(8, _NETNSA_FD) + struct.pack("=I", descriptor)


def parse_messages(data: bytes) -> list[Message]:
    messages = []
    position = 0
    while position < len(data):
        if len(data) - position < _HEADER.size:
            raise Unreadable("a netlink message ends within its header")
        length, kind, flags, sequence, _port = _HEADER.unpack_from(data, position)
        if length < _HEADER.size or position + length > len(data):
            raise Unreadable("a netlink message is cut off")
        messages.append(Message(kind, flags, sequence, data[position + _HEADER.size : position + length]))
        position += length + 3 & ~3
    return messages


def _parse_attributes(data: bytes, position: int = 0) -> dict[int, bytes]:
    attributes = {}
    while position < len(data):
        if len(data) - position < _ATTRIBUTE.size:
            raise Unreadable("a netlink attribute ends within its header")
        length, kind = _ATTRIBUTE.unpack_from(data, position)
        if length < _ATTRIBUTE.size or position + length > len(data):
            raise Unreadable("a netlink attribute is cut off")
        attributes[kind & ~_NESTED_BITS] = data[position + _ATTRIBUTE.size : position + length]
        position += length + 3 & ~3
    return attributes


def _unpack(form: struct.Struct, data: bytes) -> tuple[int, ...]:
    if len(data) < form.size:
        raise Unreadable("a netlink message is too short")
    return form.unpack_from(data)


def _integer(attributes: Mapping[int, bytes], number: int, form: str = "=I") -> int | None:
    value = attributes.get(number)
    if value is None:
        return None
    if len(value) < 4:
        raise Unreadable("a number of a netlink message is too short")
    return int(struct.unpack_from(form, value)[0])


def _string(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "replace")


def _packed(family: int, value: bytes) -> str:
    try:
        return str(ipaddress.IPv4Address(value) if family == _INET else ipaddress.IPv6Address(value))
    except ValueError:
        raise Unreadable("an address of a netlink message has a wrong length") from None


def parse_link(payload: bytes) -> Link:
    _family, hardware, index, _flags, _change = _unpack(_LINK, payload)
    attributes = _parse_attributes(payload, _LINK.size)
    if _IFLA_IFNAME not in attributes:
        raise Unreadable("an interface has no name")
    information = _parse_attributes(attributes.get(_IFLA_LINKINFO, b""))
    ethernet = hardware == _ETHERNET
    return Link(
        link_index=index,
        name=_string(attributes[_IFLA_IFNAME]),
        mac_address=format_mac(attributes.get(_IFLA_ADDRESS)) if ethernet else None,
        permanent_mac_address=format_mac(attributes.get(_IFLA_PERM_ADDRESS)) if ethernet else None,
        kind=_string(information[_IFLA_INFO_KIND]) if _IFLA_INFO_KIND in information else None,
        link=_integer(attributes, _IFLA_LINK),
        link_nsid=_integer(attributes, _IFLA_LINK_NETNSID, "=i"),
        master=_integer(attributes, _IFLA_MASTER),
    )


def parse_address(payload: bytes, names: Mapping[int, str]) -> Address | None:
    """None for a family other than IPv4 and IPv6."""
    family, prefix_length, flags, scope, index = _unpack(_ADDRESS, payload)
    if family not in (_INET, _INET6):
        return None
    attributes = _parse_attributes(payload, _ADDRESS.size)
    # If there is a peer, IFA_ADDRESS is the address of the peer.
    value = attributes.get(_IFA_LOCAL, attributes.get(_IFA_ADDRESS))
    if value is None:
        raise Unreadable("an address record has no address")
    all_flags = _integer(attributes, _IFA_FLAGS)
    flags = flags if all_flags is None else all_flags
    return Address(
        address=_packed(family, value),
        prefix_length=prefix_length,
        link_index=index,
        interface=names.get(index),
        scope=_SCOPES.get(scope, str(scope)),
        dynamic=not flags & _IFA_F_PERMANENT,
        # In IPv6 this bit has another meaning, and no address depends on another one.
        secondary=family == _INET and bool(flags & _IFA_F_SECONDARY),
    )


def parse_local_route(payload: bytes) -> LocalRoute | None:
    """None for a route that is not of the type local, or not of the table local."""
    family, length, _source, _tos, table, _protocol, _scope, kind, _flags = _unpack(_ROUTE, payload)
    attributes = _parse_attributes(payload, _ROUTE.size)
    whole_table = _integer(attributes, _RTA_TABLE)
    if family not in (_INET, _INET6) or kind != _RTN_LOCAL or (table if whole_table is None else whole_table) != RT_TABLE_LOCAL:
        return None
    destination = attributes.get(_RTA_DST, bytes(4 if family == _INET else 16))
    return LocalRoute(_packed(family, destination), length, _integer(attributes, _RTA_OIF))


def parse_nsid(payload: bytes) -> int | None:
    """The id, or None if the namespace does not have one in the namespace of the socket."""
    if len(payload) < 4:
        raise Unreadable("a netlink message is too short")
    number = _integer(_parse_attributes(payload, 4), _NETNSA_NSID, "=i")
    return None if number is None or number < 0 else number


def parse_error(payload: bytes) -> int:
    """The error number of an error message, or of the end of a dump. 0 without an error."""
    return -int(struct.unpack_from("=i", payload)[0]) if len(payload) >= 4 else 0


# -- the conversation


def read_netlink(reading: Reading, descriptors: Mapping[str, int]) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as connection:
        connection.settimeout(_SECONDS)
        with contextlib.suppress(OSError):  # Before Linux 5.0 the kernel sends the routes of all tables.
            connection.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)
        netlink = _Netlink(connection)
        links = [parse_link(payload) for payload in netlink.dump(RTM_GETLINK, link_request())]
        names = {link.link_index: link.name for link in links}
        addresses = [
            address for payload in netlink.dump(RTM_GETADDR, address_request()) for address in [parse_address(payload, names)] if address
        ]
        routes = [
            route
            for family in (socket.AF_INET, socket.AF_INET6)
            for payload in netlink.dump_routes(family)
            for route in [parse_local_route(payload)]
            if route
        ]
        wanted = {link.link_nsid for link in links if link.kind in CHILD_KINDS and link.link_nsid is not None}
        if wanted:
            reading.keys_by_nsid = netlink.find_namespaces(descriptors)
    reading.links, reading.addresses, reading.local_routes = links, addresses, routes


class _Netlink:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sequence = 0

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self._sequence += 1
        self._connection.send(make_message(kind, NLM_F_REQUEST | flags, self._sequence, body))

    def _receive(self) -> list[Message]:
        data, _ancillary, flags, sender = self._connection.recvmsg(_LARGEST_MESSAGE)
        if flags & socket.MSG_TRUNC:
            raise Unreadable("a netlink message is larger than expected")
        if sender[0] != 0:
            return []  # ignore messages that do not come from the kernel
        return [message for message in parse_messages(data) if message.sequence == self._sequence]

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """All records. They are consistent, because a read during a change is repeated."""
        for _attempt in range(_DUMP_ATTEMPTS):
            self._send(kind, NLM_F_DUMP, body)
            records = self._receive_dump()
            if records is not None:
                return records
        raise Unreadable("they kept changing during the read")

    def _receive_dump(self) -> list[bytes] | None:
        """None if something changed in the meantime."""
        records: list[bytes] = []
        interrupted = False
        while True:
            for message in self._receive():
                interrupted = interrupted or bool(message.flags & NLM_F_DUMP_INTR)
                if message.type in (NLMSG_DONE, NLMSG_ERROR):
                    number = parse_error(message.payload)
                    if number:
                        raise OSError(number, os.strerror(number))
                    return None if interrupted else records
                if message.type < NLMSG_MIN_TYPE:
                    raise Unreadable("a part of the reply was lost")
                records.append(message.payload)

    def dump_routes(self, family: int) -> list[bytes]:
        try:
            return self.dump(RTM_GETROUTE, local_route_request(family))
        except OSError as error:
            # A namespace without addresses does not have this table, and a kernel without IPv6 does not have this family.
            if error.errno in (errno.ENOENT, errno.EOPNOTSUPP, errno.EAFNOSUPPORT):
                return []
            raise

    def find_namespaces(self, descriptors: Mapping[str, int]) -> dict[int, str]:
        """The namespaces that have an id in this namespace."""
        found = {}
        for key, descriptor in descriptors.items():
            self._send(RTM_GETNSID, 0, nsid_request(descriptor))
            answers: list[Message] = []
            while not answers:
                answers = self._receive()
            for answer in answers:
                if answer.type == NLMSG_ERROR:
                    continue  # then the parent interface stays unknown
                number = parse_nsid(answer.payload)
                if number is not None:
                    found[number] = key
        return found
