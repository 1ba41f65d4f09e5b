# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The replies of a kernel, compared with the output of ``ip -json`` on the same instance at the same time."""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
from collections import deque
from pathlib import Path

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils import _guest_netlink as netlink
from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_reading import Reading, Unreadable

DATA = Path(__file__).parents[1] / "data" / "guests" / "instance"


def load(name):
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


def payloads(name, what):
    return [bytes.fromhex(text) for text in load(name)[what]]


def links(name="netlink"):
    return [netlink.parse_link(payload) for payload in payloads(name, "links")]


@pytest.mark.parametrize("suffix", ["", "_blue"])
def test_interfaces_are_those_that_ip_shows(suffix):
    parsed = {link.name: link for link in links(f"netlink{suffix}")}
    shown = {link["ifname"]: link for link in load(f"ip_address{suffix}")}
    assert list(parsed) == list(shown)
    for name, link in shown.items():
        ours = parsed[name]
        assert ours.link_index == link["ifindex"]
        assert ours.mac_address == (link["address"] if link["link_type"] == "ether" else None)
        assert ours.kind == link["kind"]
        assert ours.link_nsid == link.get("link_netnsid")
        # ip shows the name of an interface that it can see, and the index of one in another namespace.
        below = next((other.name for other in parsed.values() if other.link_index == ours.link), ours.link)
        assert ours.link is None or below == link.get("link", link.get("link_index"))
        assert next((other.name for other in parsed.values() if other.link_index == ours.master), None) == link.get("master")


@pytest.mark.parametrize("suffix", ["", "_blue"])
def test_addresses_are_those_that_ip_shows(suffix):
    names = {link.link_index: link.name for link in links(f"netlink{suffix}")}
    parsed = [netlink.parse_address(payload, names) for payload in payloads(f"netlink{suffix}", "addresses")]
    shown = [
        (link["ifname"], entry["local"], entry["prefixlen"], entry["scope"], entry.get("dynamic", False))
        for link in load(f"ip_address{suffix}")
        for entry in link["addr_info"]
    ]
    ours = [(address.interface, address.address, address.prefix_length, address.scope, address.dynamic) for address in parsed]
    assert sorted(ours) == sorted(shown)


def test_local_routes_are_those_that_ip_shows():
    routes = [netlink.parse_local_route(payload) for payload in payloads("netlink", "routes")]
    ours = {route.address if route.prefix_length in (32, 128) else f"{route.address}/{route.prefix_length}" for route in routes if route}
    assert ours == {entry["dst"] for entry in load("ip_route_local") if entry["type"] == "local"}
    assert {"192.168.0.64/28", "2001:db8:0:0:1::/80"} <= ours


def test_a_broadcast_route_is_not_an_address_of_the_instance():
    routes = payloads("netlink", "routes")
    assert None in [netlink.parse_local_route(payload) for payload in routes]


@pytest.mark.parametrize("what", ["links", "addresses", "routes"])
def test_a_truncated_reply_is_never_read_as_a_shorter_one(what):
    """Truncated at each byte: it is refused, or only irrelevant data was lost."""
    parse = {"links": netlink.parse_link, "addresses": lambda data: netlink.parse_address(data, {}), "routes": netlink.parse_local_route}
    for payload in payloads("netlink", what):
        message = netlink.make_message(16, 2, 1, payload)
        for length in range(1, len(message)):
            with pytest.raises(Unreadable):
                netlink.parse_messages(message[:length])
        for length in range(4):
            with pytest.raises(Unreadable):
                parse[what](payload[:length])


def test_an_attribute_of_a_wrong_length_is_refused():
    header = struct.pack("=BBBBI", socket.AF_INET, 24, 0x80, 0, 2)
    for attribute in (struct.pack("=HH3s", 7, 2, b"\xc0\xa8\x00"), struct.pack("=HH", 12, 2), struct.pack("=HH", 3, 2), b"\x08\x00\x02"):
        with pytest.raises(Unreadable):
            netlink.parse_address(header + attribute, {})
    with pytest.raises(Unreadable, match="no address"):
        netlink.parse_address(header, {})


class Conversation:
    """A stand-in for a netlink socket. It returns the prepared answers one after another, for any request."""

    def __init__(self, *answers):
        self.answers = deque(answers)
        self.sequence = 0
        self.questions = 0

    def send(self, data):
        self.questions += 1
        self.sequence = struct.unpack_from("=IHHII", data)[3]

    def recvmsg(self, _size):
        if not self.answers:
            raise TimeoutError("timed out")
        answer = self.answers.popleft()
        if isinstance(answer, tuple):
            return answer
        data = b"".join(netlink.make_message(kind, flags, self.sequence, payload) for kind, flags, payload in answer)
        return data, [], 0, (0, 0)


NOTHING = struct.pack("=i", 0)
RECORD, END = (20, 2, b"record!!"), (netlink.NLMSG_DONE, 2, NOTHING)
CHANGED = (20, 2 | netlink.NLM_F_DUMP_INTR, b"changed!")


def dump(*answers):
    conversation = Conversation(*answers)
    return netlink._Netlink(conversation).dump(netlink.RTM_GETADDR, netlink.address_request()), conversation


def test_a_list_in_several_parts_is_put_together():
    records, conversation = dump([RECORD, RECORD], [RECORD], [END])
    assert (records, conversation.questions) == ([b"record!!"] * 3, 1)


def test_a_list_that_changed_during_the_read_is_read_again():
    records, conversation = dump([RECORD, CHANGED], [END], [RECORD], [END])
    assert (records, conversation.questions) == ([b"record!!"], 2)


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([[RECORD]], TimeoutError),
        ([[CHANGED], [END]] * 6, Unreadable),
        ([[RECORD, (netlink.NLMSG_ERROR, 0, struct.pack("=i", -errno.EPERM))]], PermissionError),
        ([[RECORD, (netlink.NLMSG_DONE, 2, struct.pack("=i", -errno.EMSGSIZE))]], OSError),
        ([[RECORD, (4, 2, b"")], [END]], Unreadable),
        ([(netlink.make_message(*END[:2], 1, NOTHING), [], socket.MSG_TRUNC, (0, 0))], Unreadable),
    ],
    ids=["no end", "always changing", "error", "error at the end", "overrun", "truncated"],
)
def test_a_list_without_its_end_is_an_error(answers, error):
    with pytest.raises(error):
        dump(*answers)


def test_messages_that_do_not_come_from_the_kernel_are_ignored():
    forged = netlink.make_message(netlink.NLMSG_DONE, 2, 1, NOTHING)
    records, _conversation = dump((forged, [], 0, (4711, 0)), [RECORD], [END])
    assert records == [b"record!!"]


def test_a_namespace_without_a_local_table_has_no_local_routes():
    refused = [(netlink.NLMSG_ERROR, 0, struct.pack("=i", -errno.ENOENT))]
    assert netlink._Netlink(Conversation(refused)).dump_routes(socket.AF_INET) == []
    with pytest.raises(PermissionError):
        netlink._Netlink(Conversation([(netlink.NLMSG_ERROR, 0, struct.pack("=i", -errno.EPERM))])).dump_routes(socket.AF_INET)


@pytest.mark.skipif(not hasattr(socket, "AF_NETLINK"), reason="not Linux")
def test_the_kernel_of_this_machine_is_understood():
    reading = Reading("own")
    netlink.read_netlink(reading, {})
    assert {link.name for link in reading.links} == set(os.listdir("/sys/class/net")) - {"bonding_masters"}


def test_what_is_too_short_or_has_a_wrong_length_is_refused():
    link = struct.pack("=BxHiII", 0, 1, 2, 0, 0)
    name = struct.pack("=HH5s3x", 9, 3, b"eth0\0")
    assert netlink.parse_link(link + name).name == "eth0"
    for payload, error in [
        (link, "has no name"),
        (link[:-1], "too short"),
        (link + name + struct.pack("=HH2s2x", 6, 10, b"\x01\x00"), "a number of a netlink message is too short"),
    ]:
        with pytest.raises(Unreadable, match=error):
            netlink.parse_link(payload)
    with pytest.raises(Unreadable, match="wrong length"):
        netlink.parse_address(struct.pack("=BBBBI", socket.AF_INET6, 64, 0, 0, 2) + struct.pack("=HH4s", 8, 2, b"\xc0\x00\x02\x01"), {})
    with pytest.raises(Unreadable, match="too short"):
        netlink.parse_nsid(b"\0\0\0")
    with pytest.raises(Unreadable, match="ends within its header"):
        netlink.parse_messages(b"\0" * 15)


def test_only_ipv4_and_ipv6_are_addresses():
    assert netlink.parse_address(struct.pack("=BBBBI", 28, 24, 0x80, 0, 2), {}) is None


def nsid(number):
    return (netlink.RTM_GETNSID - 2, 0, struct.pack("=Bxxx", 0) + struct.pack("=HHi", 8, 1, number))


def test_namespaces_are_found_by_their_ids():
    """Neither one that has no id here, nor one that the kernel refuses. An answer to another question is ignored."""
    refused = [(netlink.NLMSG_ERROR, 0, struct.pack("=i", -errno.EPERM))]
    stranger = (netlink.make_message(*nsid(9)[:2], 4711, nsid(9)[2]), [], 0, (0, 0))
    conversation = Conversation([nsid(0)], [nsid(-1)], refused, stranger, [nsid(3)])
    found = netlink._Netlink(conversation).find_namespaces({"first": 10, "second": 11, "third": 12, "fourth": 13})
    assert (found, conversation.questions) == ({0: "first", 3: "fourth"}, 4)


@pytest.mark.parametrize("kind", ["ipvlan", "bridge"])
def test_namespaces_are_asked_for_only_if_an_interface_has_its_parent_in_another_one(monkeypatch, kind):
    class Kernel(Conversation):
        def __init__(self, *_arguments):
            text = kind.encode() + b"\0"
            information = struct.pack("=HH", 4 + len(text), 1) + text
            attributes = b"".join(
                struct.pack("=HH", 4 + len(value), number) + value + b"\0" * (-len(value) % 4)
                for number, value in [(3, b"eth0\0"), (18, information), (37, struct.pack("=i", 3))]
            )
            link = (16, 2, struct.pack("=BxHiII", 0, 1, 2, 0, 0) + attributes)
            super().__init__([link], [END], [END], [END], [END], [nsid(3)])

        def __enter__(self):
            return self

        def __exit__(self, *_error):
            pass

        def settimeout(self, seconds):
            assert seconds > 0

        def setsockopt(self, *_option):
            raise OSError(errno.ENOPROTOOPT, "an old kernel")

    monkeypatch.setattr(netlink.socket, "socket", Kernel)
    reading = Reading("own")
    netlink.read_netlink(reading, {"parent": 10})
    assert [(link.name, link.kind, link.link_nsid) for link in reading.links] == [("eth0", kind, 3)]
    assert reading.keys_by_nsid == ({3: "parent"} if kind == "ipvlan" else {})
