# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the readings of all namespaces to the result of the module."""

from __future__ import annotations

import json

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_reading import (
    Address,
    Link,
    Listener,
    LocalRoute,
    Problem,
    Reading,
    build_result,
    format_mac,
    printable,
)

ANY = "0.0.0.0"  # noqa: S104 (compared, not bound)
ENI, OTHER, OWN = "00:16:3e:00:00:01", "00:16:3e:00:00:02", "5a:00:00:00:00:01"


def link(number, name, mac=None, kind=None, link=None, nsid=None, master=None, permanent=None):
    return Link(number, name, mac, permanent, kind, link, nsid, master)


def address(text, number=2, length=24, secondary=False):
    return Address(text, length, number, "eth1", "global", False, secondary)


def reading(key="1", name="", links=(), addresses=(), listeners=(), connections=None, routes=(), process=None):
    made = Reading(key)
    made.name, made.process = name, process
    made.links, made.addresses, made.local_routes, made.listeners = list(links), list(addresses), list(routes), list(listeners)
    made.connections.update(connections or {})
    return made


ETH1 = link(2, "eth1", ENI)


def only(result):
    (entry,) = result["addresses"]
    return entry


def test_an_address_with_a_listener_and_connections():
    made = reading(
        links=[ETH1],
        addresses=[address("192.168.0.10")],
        listeners=[Listener("tcp", "192.168.0.10", 443, 11), Listener("tcp", "192.168.0.10", 443, 12)],
        connections={"192.168.0.10": 3},
    )
    result = build_result([made], {11: "nginx", 12: "nginx"})
    assert only(result) == {
        "address": "192.168.0.10",
        "prefix_length": 24,
        "found_as": "interface_address",
        "namespace": "",
        "interface": "eth1",
        "mac_address": ENI,
        "parent_interface": None,
        "parent_namespace": None,
        "parent_mac_address": None,
        "mac_addresses": [ENI],
        "scope": "global",
        "dynamic": False,
        "removed_with_it": [],
        "listeners": [{"protocol": "tcp", "port": 443, "process": "nginx"}],
        "connections": 3,
        "uncertain": False,
    }
    assert result["complete"] is True
    assert result["reasons"] == []
    assert result["interfaces"] == [{"interface": "eth1", "namespace": "", "mac_address": ENI}]


@pytest.mark.parametrize(("promoting", "removed"), [({"eth1": False}, ["192.168.0.11", "192.168.0.12"]), ({"eth1": True}, []), ({}, None)])
def test_addresses_that_the_kernel_removes_with_the_primary_address_of_a_subnet(promoting, removed):
    made = reading(
        links=[ETH1],
        addresses=[
            address("192.168.0.10"),
            address("192.168.0.12", secondary=True),
            address("192.168.0.11", secondary=True),
            address("192.168.0.13", length=25, secondary=True),
            address("192.168.0.14", number=3, secondary=True),
            address("192.168.1.10"),
            address("2001:db8::5", length=64),
        ],
    )
    made.promoting = promoting
    copied = reading(name="copy")
    copied.update(json.loads(json.dumps(made.as_dict())))
    for read in (made, copied):
        found = {entry["address"]: entry["removed_with_it"] for entry in build_result([read], {})["addresses"]}
        assert found.pop("192.168.0.10") == removed
        assert set(map(tuple, found.values())) == {()}


def test_without_rtnetlink_it_is_unknown_what_is_removed_with_an_address():
    made = reading(addresses=[Address("192.168.0.10", None, None, None, None, None)])
    assert only(build_result([made], {}))["removed_with_it"] is None


def test_only_what_an_eni_can_have_is_returned():
    never = ["127.0.0.1", "::1", "169.254.1.1", "fe80::1", "224.0.0.251", "ff02::fb", "255.255.255.255"]
    made = reading(links=[ETH1], addresses=[address(text) for text in never], listeners=[Listener("udp", text, 5353, 1) for text in never])
    assert build_result([made], {})["addresses"] == []


@pytest.mark.parametrize(
    ("wildcard", "uncertain"),
    [(None, []), (ANY, ["192.168.0.10"]), ("::", ["192.168.0.10", "2001:db8::5"])],
)
def test_a_wildcard_listener_only_makes_an_address_uncertain(wildcard, uncertain):
    listeners = [Listener("tcp", wildcard, 22, 7)] if wildcard else []
    made = reading(links=[ETH1], addresses=[address("192.168.0.10"), address("2001:db8::5")], listeners=listeners)
    result = build_result([made], {7: "sshd"})
    assert [entry["address"] for entry in result["addresses"] if entry["uncertain"]] == uncertain
    assert [entry["listeners"] for entry in result["addresses"]] == [[], []]
    family = "ipv6" if wildcard == "::" else "ipv4"
    shown = [{"protocol": "tcp", "port": 22, "process": "sshd", "family": family}] if wildcard else []
    assert result["namespaces"][0]["wildcard_listeners"] == shown


def test_a_wildcard_raw_socket_is_not_a_service():
    made = reading(links=[ETH1], addresses=[address("192.168.0.10")], listeners=[Listener("raw", ANY, 112, 7)])
    assert only(build_result([made], {}))["uncertain"] is False


def test_a_wildcard_listener_matters_only_in_its_own_namespace():
    main = reading(links=[ETH1], addresses=[address("192.168.0.10")])
    blue = reading("2", "blue", listeners=[Listener("tcp", ANY, 22, 7)])
    assert only(build_result([main, blue], {}))["uncertain"] is False


def test_a_socket_without_a_configured_address_is_found():
    made = reading(links=[ETH1], listeners=[Listener("tcp", "192.168.0.99", 80, 7)], connections={"192.168.0.98": 2})
    found = [(entry["address"], entry["found_as"], entry["connections"]) for entry in build_result([made], {})["addresses"]]
    assert found == [("192.168.0.98", "socket", 2), ("192.168.0.99", "socket", 0)]


def test_a_local_route_is_found_unless_it_is_that_of_an_address():
    routes = [LocalRoute("192.168.0.10", 32, 2), LocalRoute("192.168.0.64", 28, 1), LocalRoute("127.0.0.0", 8, 1)]
    made = reading(links=[link(1, "lo"), ETH1], addresses=[address("192.168.0.10")], routes=routes)
    found = [(entry["address"], entry["prefix_length"], entry["found_as"]) for entry in build_result([made], {})["addresses"]]
    assert found == [("192.168.0.10", 24, "interface_address"), ("192.168.0.64", 28, "local_route")]


@pytest.mark.parametrize("kind", ["macvlan", "ipvlan", "vlan"])
def test_a_child_belongs_to_its_parent_in_the_same_namespace(kind):
    made = reading(links=[ETH1, link(3, "child", OWN, kind, link=2)], addresses=[address("192.168.0.20", 3)])
    result = build_result([made], {})
    entry = only(result)
    assert (entry["parent_interface"], entry["parent_namespace"], entry["parent_mac_address"]) == ("eth1", "", ENI)
    assert entry["mac_addresses"] == sorted([ENI, OWN])
    assert [entry["interface"] for entry in result["interfaces"]] == ["eth1"]


def test_a_child_in_a_container_belongs_to_its_parent_outside():
    main = reading(links=[ETH1])
    container = reading(
        "2", "net:[2]", links=[link(2, "eth0", OWN, "macvlan", link=2, nsid=0)], addresses=[address("192.168.0.20")], process="nginx"
    )
    container.keys_by_nsid = {0: "1"}
    entry = only(build_result([main, container], {}))
    assert (entry["namespace"], entry["interface"], entry["parent_interface"], entry["parent_mac_address"]) == (
        "net:[2]",
        "eth0",
        "eth1",
        ENI,
    )


def test_a_child_of_a_child_leads_to_the_physical_interface():
    made = reading(
        links=[ETH1, link(3, "eth1.5", ENI, "vlan", link=2), link(4, "mv0", OWN, "macvlan", link=3)], addresses=[address("192.168.0.20", 4)]
    )
    assert only(build_result([made], {}))["parent_interface"] == "eth1"


def test_an_ipvlan_child_whose_parent_is_not_visible_owns_no_mac_address():
    """It has the MAC address of the ENI, but the machine around the container has the ENI."""
    made = reading(links=[link(2, "eth0", ENI, "ipvlan", link=5, nsid=0)], addresses=[address("192.168.0.20")])
    result = build_result([made], {})
    assert result["interfaces"] == []
    assert only(result)["mac_addresses"] == [ENI]
    assert only(result)["parent_interface"] is None


@pytest.mark.parametrize("kind", ["bridge", "bond"])
def test_an_address_of_a_bridge_or_bond_belongs_to_its_ports(kind):
    made = reading(
        links=[link(2, "eth1", OWN, master=4, permanent=ENI), link(3, "eth2", OTHER, master=4), link(4, "top", OWN, kind)],
        addresses=[address("192.168.0.20", 4)],
    )
    assert only(build_result([made], {}))["mac_addresses"] == sorted([ENI, OTHER, OWN])


def test_interfaces_in_a_circle_end():
    made = reading(links=[link(2, "a", ENI, "macvlan", link=3), link(3, "b", OWN, "macvlan", link=2)], addresses=[address("192.168.0.20")])
    assert only(build_result([made], {}))["mac_addresses"] == sorted([ENI, OWN])


def test_a_problem_makes_the_result_incomplete_and_names_the_namespace():
    blue = reading("2", "blue")
    blue.problems.append(Problem("sockets_not_read", "tcp cannot be read"))
    result = build_result([reading(links=[ETH1]), blue], {}, [Problem("processes_hidden", "hidden")])
    assert result["complete"] is False
    assert result["reasons"] == [
        {"code": "processes_hidden", "text": "hidden", "namespace": ""},
        {"code": "sockets_not_read", "text": "tcp cannot be read", "namespace": "blue"},
    ]
    assert [(namespace["namespace"], namespace["complete"]) for namespace in result["namespaces"]] == [("", True), ("blue", False)]


def test_a_reading_comes_through_a_pipe_as_it_was():
    made = reading(
        links=[ETH1, link(3, "mv", OWN, "macvlan", 2, 0)],
        addresses=[address("192.168.0.20", 3)],
        listeners=[Listener("tcp", "192.168.0.20", 80, 5)],
        connections={"192.168.0.20": 1},
        routes=[LocalRoute("192.168.0.64", 28, 1)],
    )
    made.keys_by_nsid = {0: "4026531840"}
    made.problems.append(Problem("sockets_not_read", "tcp"))
    other = Reading("1")
    other.update(json.loads(json.dumps(made.as_dict())))
    assert build_result([other], {}) == build_result([made], {})
    assert other.keys_by_nsid == {0: "4026531840"}


def test_text_of_others():
    assert printable("ok\x1b[31m\n") == "ok?[31m?"
    assert [format_mac(value) for value in (b"\0" * 6, b"\0\x16\x3e\0\0\1", b"\1" * 20, None)] == [None, ENI, None, None]
