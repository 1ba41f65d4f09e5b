# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text of /proc of an instance."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils import _guest_proc as proc
from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_reading import Address, Reading, Unreadable

ANY = "0.0.0.0"  # noqa: S104 (compared, not bound)
DATA = Path(__file__).parents[1] / "data" / "guests" / "instance"


def text(name):
    return (DATA / name).read_text(encoding="utf-8")


def sockets(name, byteorder="little"):
    listeners, connections = proc.parse_sockets(text(name), name, byteorder)
    return {(listener.protocol, listener.address, listener.port) for listener in listeners}, dict(connections)


def test_tcp_listeners_and_connections():
    assert sockets("tcp") == (
        {
            ("tcp", "127.0.0.1", 631),
            ("tcp", ANY, 22),
            ("tcp", "192.168.0.10", 8080),
            ("tcp", "192.168.0.10", 8443),
            ("tcp", "192.168.0.99", 8100),
        },
        # Both ends of three connections are here. The one in TIME_WAIT does not count.
        {"192.168.0.5": 3, "192.168.0.10": 3},
    )


def test_an_ipv4_address_in_the_list_of_ipv6_is_ipv4():
    assert sockets("tcp6") == ({("tcp", "::", 22), ("tcp", "192.168.0.11", 25), ("tcp", "2001:db8::5", 443)}, {})


def test_udp_sockets_that_are_connected_are_connections():
    assert sockets("udp") == ({("udp", "192.168.0.11", 53)}, {"192.168.0.20": 1})
    assert sockets("udp6") == ({("udp", "::", 546)}, {})


def test_the_port_of_a_raw_socket_is_its_protocol():
    assert sockets("raw") == ({("raw", ANY, 112), ("raw", "192.168.0.5", 112)}, {})


def test_inodes_lead_to_processes():
    listeners, _connections = proc.parse_sockets(text("tcp"), "tcp", "little")
    assert {listener.port: listener.inode for listener in listeners}[8080] == 60335


def test_a_machine_with_the_other_byte_order_writes_addresses_the_other_way_round():
    line = "   0: C0A8000A:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7 1 0 100 0 0 10 0\n"
    listeners, _connections = proc.parse_sockets("  sl  local_address rem_address\n" + line, "tcp", "big")
    assert listeners[0].address == "192.168.0.10"


@pytest.mark.parametrize(
    ("state", "counts"),
    [("01", True), ("02", True), ("03", False), ("04", True), ("05", True), ("06", False), ("07", False), ("08", True), ("09", False)],
)
def test_tcp_states_that_are_connections(state, counts):
    line = f"   0: 0A00A8C0:1F90 0500A8C0:9953 {state} 00000000:00000000 00:00000000 00000000     0        0 60343 1 0 20 0 0 10 -1\n"
    _listeners, connections = proc.parse_sockets("  sl  local_address rem_address\n" + line, "tcp", "little")
    assert dict(connections) == ({"192.168.0.10": 1} if counts else {})


def test_ipv4_addresses_of_fib_trie_are_those_that_ip_shows():
    shown = {entry["local"] for link in json.loads(text("ip_address.json")) for entry in link["addr_info"] if entry["family"] == "inet"}
    found = dict(proc.parse_fib_trie(text("fib_trie")))
    assert {address for address, length in found.items() if length == 32} == shown
    assert found["192.168.0.64"] == 28


def test_a_proxy_table_has_no_addresses_but_a_vrf_has():
    table = "Id 100:\n  +-- 0.0.0.0/0 2 0 2\n     |-- 0.0.0.0\n        /0 host LOCAL\n     |-- 192.168.0.30\n        /32 host LOCAL\n"
    assert proc.parse_fib_trie(text("fib_trie") + table) == sorted([*proc.parse_fib_trie(text("fib_trie")), ("192.168.0.30", 32)])


def test_ipv6_addresses_of_if_inet6_are_those_that_ip_shows():
    shown = {
        (link["ifname"], entry["local"], entry["prefixlen"], entry["scope"], entry.get("dynamic", False))
        for link in json.loads(text("ip_address.json"))
        for entry in link["addr_info"]
        if entry["family"] == "inet6"
    }
    found = proc.parse_if_inet6(text("if_inet6"))
    assert {(entry.interface, entry.address, entry.prefix_length, entry.scope, entry.dynamic) for entry in found} == shown


def test_local_routes_of_ipv6_are_those_that_ip_shows():
    shown = {entry["dst"] for entry in json.loads(text("ip_route_local.json")) if ":" in entry["dst"] and entry["type"] == "local"}
    found = {address if length == 128 else f"{address}/{length}" for address, length in proc.parse_ipv6_routes(text("ipv6_route"))}
    assert found == shown


def test_interfaces_and_namespaces():
    assert proc.parse_interface_names(text("dev")) == ["lo", "peer1", "eth1", "br0", "mv0"]
    assert proc.parse_mounts(text("mountinfo")) == ([("net", 4026532252, "/run/netns/blue")], set())
    lines = (
        "68 67 0:4 net:[7] /run/a\\040b rw - nsfs nsfs rw",
        "69 67 0:4 mnt:[8] /run/m rw shared:3 master:1 - nsfs nsfs rw",
        "70 67 0:4 user:[9] /run/u rw - nsfs nsfs rw",
        "71 67 8:1 / / rw - ext4 /dev/vda1 rw",
    )
    assert proc.parse_mounts("\n".join([*lines, ""])) == ([("net", 7, "/run/a b"), ("mnt", 8, "/run/m")], {71})


def test_the_mount_of_a_file_descriptor():
    assert proc.parse_mount_id("pos:\t0\nflags:\t0100000\nmnt_id:\t29\nino:\t12\n") == 29
    assert proc.parse_mount_id("pos:\t0\nflags:\t0100000\n") is None


PARSERS = {
    "fib_trie": proc.parse_fib_trie,
    "if_inet6": proc.parse_if_inet6,
    "ipv6_route": proc.parse_ipv6_routes,
    "dev": proc.parse_interface_names,
    "mountinfo": proc.parse_mounts,
    **{name: lambda value, name=name: proc.parse_sockets(value, name) for name in ("tcp", "tcp6", "udp", "udp6", "raw")},
}


@pytest.mark.parametrize("name", PARSERS)
def test_text_that_ends_within_a_line_is_refused(name):
    for length in range(1, len(text(name))):
        if text(name)[length - 1] != "\n":
            with pytest.raises(Unreadable):
                PARSERS[name](text(name)[:length])


def test_an_address_of_an_unknown_length_is_an_error():
    header, line, *_others = text("tcp").splitlines(keepends=True)
    with pytest.raises(Unreadable):
        proc.parse_sockets(header + line.replace(line.split()[1].split(":")[0], "0A00A8"), "tcp")


@pytest.mark.parametrize("name", PARSERS)
def test_an_invalid_line_is_an_error(name):
    first, *others = text(name).splitlines(keepends=True)
    with pytest.raises(Unreadable):
        PARSERS[name]("".join([first, *others[:1], "what is this\n", *others[1:]]))


@pytest.mark.parametrize("name", ["tcp", "udp"])
def test_an_empty_list_of_sockets_has_a_header(name):
    with pytest.raises(Unreadable):
        PARSERS[name]("")


# -- the files


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(DATA, tmp_path / "net")


def read(folder):
    reading = Reading("own")
    proc.read_addresses(reading, str(folder))
    proc.read_sockets(reading, str(folder))
    return reading


def test_a_whole_folder_is_read_without_a_problem(folder):
    reading = read(folder)
    assert reading.problems == []
    assert {"192.168.0.10", "192.168.0.11", "2001:db8::5"} <= {address.address for address in reading.addresses}
    assert {(route.address, route.prefix_length) for route in reading.local_routes} > {("192.168.0.64", 28), ("2001:db8:0:0:1::", 80)}
    assert reading.connections == {"192.168.0.5": 3, "192.168.0.10": 3, "192.168.0.20": 1}


def test_a_machine_without_ipv6_is_complete(folder):
    for name in ("if_inet6", "ipv6_route", "tcp6", "udp6", "raw6"):
        (folder / name).unlink()
    assert read(folder).problems == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("fib_trie", "addresses_not_read"),
        ("ipv6_route", "addresses_not_read"),
        *((name, "sockets_not_read") for name in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6")),
    ],
)
def test_a_file_that_is_missing_or_broken_is_a_problem(folder, name, code):
    path = folder / name
    path.write_text(path.read_text(encoding="utf-8") + "half a li", encoding="utf-8")
    assert [problem.code for problem in read(folder).problems] == [code]
    path.unlink()
    assert [problem.code for problem in read(folder).problems] == [code]


def test_addresses_that_keep_changing_are_a_problem(folder, monkeypatch):
    original, calls = proc.read_file, []

    def restless(path):
        calls.append(path)
        return original(path) + ("Main:\n" * len(calls) if path.endswith("fib_trie") else "")

    monkeypatch.setattr(proc, "read_file", restless)
    assert [problem.code for problem in read(folder).problems] == ["addresses_not_read"]


@pytest.mark.parametrize(
    ("settings", "promoting"),
    [
        ({"all": "1\n", "eth0": "0\n"}, {"eth0": True}),
        ({"all": "0\n", "eth0": "1\n"}, {"eth0": True}),
        ({"all": "0\n", "eth0": "0\n"}, {"eth0": False}),
        ({"all": "0\n"}, {}),  # the interface is gone
    ],
)
def test_whether_secondary_addresses_stay_is_asked_only_where_there_are_some(monkeypatch, settings, promoting):
    def read_setting(path):
        part, name = path.removeprefix("/proc/sys/net/ipv4/conf/").split("/")
        assert name == "promote_secondaries"
        if part not in settings:
            raise FileNotFoundError(path)
        return settings[part]

    monkeypatch.setattr(proc, "read_file", read_setting)
    reading = Reading("own")
    reading.addresses = [
        Address("192.168.0.11", 24, 2, "eth0", "global", False, True),
        Address("192.168.0.12", 24, 2, "eth1", "global", False, False),
        Address("192.168.0.13", 24, None, None, "global", None, True),
    ]
    proc.read_promotion(reading)
    assert reading.promoting == promoting
