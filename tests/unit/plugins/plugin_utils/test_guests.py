# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Joining ENIs with the results of guests, by MAC address."""

from __future__ import annotations

import copy
import ipaddress
import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.alicloud_ops.network.plugins.plugin_utils import _guests
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._guest_results import (
    CONFIGURED,
    IN_USE,
    LEVELS,
    NOT_SEEN,
    UNKNOWN,
    Guests,
)
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._guests import PERMANENT_CONFIGURATION, make_eni

ANY = "0.0.0.0"  # noqa: S104 (compared, not bound)

# The same examples everywhere and every time, however slow the machine.
examples = settings(deadline=None, derandomize=True, max_examples=150)


def mac(number=1):
    return f"00:16:3e:00:00:{number:02x}"


def eni(number=1, *addresses, **lists):
    return {
        "eni_id": f"eni-{number}",
        "mac_address": mac(number),
        "private_ip_address": f"192.168.{number}.5",
        "private_ip_addresses": list(addresses),
        "ipv4_prefixes": [],
        "ipv6_addresses": [],
        "ipv6_prefixes": [],
        **lists,
    }


def as_eni(one, mac_address=None, primary=()):
    kinds = ("private_ip_addresses", "ipv4_prefixes", "ipv6_addresses", "ipv6_prefixes")
    return make_eni(one["eni_id"], mac_address or one.get("mac_address"), {kind: one.get(kind, ()) for kind in kinds}, primary)


def join_guests(enis, guests):
    return _guests.join_guests([as_eni(one) for one in enis], guests)


def find_not_assigned(enis, guests):
    return _guests.find_not_assigned([as_eni(one, primary=filter(None, [one["private_ip_address"]])) for one in enis], guests)


def find_remaining(unassigned, enis, guests):
    macs = {one["eni_id"]: one["mac_address"] for one in enis}
    gone = [as_eni(one, macs[one["eni_id"]]) for one in unassigned]
    return _guests.find_remaining(gone, [as_eni(one, primary=filter(None, [one["private_ip_address"]])) for one in enis], guests)


def seen(address, length=24, number=1, **fields):
    return {
        "address": address,
        "prefix_length": length,
        "found_as": "interface_address",
        "namespace": "",
        "interface": "eth1",
        "mac_address": mac(number),
        "parent_interface": None,
        "parent_namespace": None,
        "parent_mac_address": None,
        "mac_addresses": [mac(number)],
        "scope": "global",
        "dynamic": False,
        "removed_with_it": [],
        "listeners": [],
        "connections": 0,
        "uncertain": False,
        **fields,
    }


def listener(port=22, process="sshd", protocol="tcp"):
    return {"protocol": protocol, "port": port, "process": process}


def guest(*addresses, macs=(1,), complete=True, namespaces=None, wildcards=(), interface="eth1"):
    main = {"namespace": "", "process": None, "complete": True, "interfaces_read": True, "wildcard_listeners": list(wildcards)}
    return {
        "changed": False,
        "complete": complete,
        "reasons": [] if complete else [{"code": "processes_hidden", "text": "processes are hidden", "namespace": ""}],
        "namespaces": [main, *(namespaces or ())],
        "interfaces": [{"interface": interface, "namespace": "", "mac_address": mac(number)} for number in macs],
        "addresses": list(addresses),
    }


def find(enis, address="192.168.1.10", **results):
    report = join_guests(enis if isinstance(enis, list) else [enis], Guests(results))
    (finding,) = [findings[address] for findings in report.findings.values() if address in findings]
    return finding


ONE = eni(1, "192.168.1.10")


# -- levels


def test_a_listener_counts_as_use():
    finding = find(ONE, web=guest(seen("192.168.1.10", listeners=[listener()], connections=3)))
    assert finding._asdict() == {
        "level": IN_USE,
        "reason_code": "listening",
        "text": "in use on web (eth1): sshd listens on port 22, 3 connections",
        "seen": IN_USE,
    }


def test_a_connection_counts_as_use():
    finding = find(ONE, web=guest(seen("192.168.1.10", connections=1)))
    assert (finding.level, finding.reason_code, finding.text) == (IN_USE, "connected", "in use on web (eth1): 1 connection")


NGINX = [listener(port, "nginx") for port in (80, 81, 82, 83, 84)]
NGINX_TEXT = "nginx listens on port 80, nginx listens on port 81, nginx listens on port 82"
CONTAINERS = [
    {"namespace": name, "process": process, "complete": True, "interfaces_read": True, "wildcard_listeners": []}
    for name, process in (("net:[7]", "nginx"), ("pid:8", "redis"), ("net:[9]", None), ("blue", "named"))
]
SOCKET = {"found_as": "socket", "prefix_length": None, "interface": None, "mac_addresses": []}
LOCAL_ROUTE = {"found_as": "local_route", "prefix_length": 32, "interface": "lo", "mac_addresses": []}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"listeners": NGINX[:3]}, f"in use on web (eth1): {NGINX_TEXT}"),
        ({"listeners": NGINX[:4]}, f"in use on web (eth1): {NGINX_TEXT}, 1 more listener"),
        ({"listeners": [*NGINX, listener()], "connections": 2}, f"in use on web (eth1): {NGINX_TEXT}, 3 more listeners, 2 connections"),
        ({"listeners": [listener(53, "named", "udp")]}, "in use on web (eth1): named listens on UDP port 53"),
        ({"listeners": [listener(89, "ospfd", "raw")]}, "in use on web (eth1): ospfd listens on IP protocol 89"),
        ({"listeners": [listener(80, None)], **SOCKET}, "in use on web: a process listens on port 80"),
        (SOCKET, "in use on web: a socket is bound to it"),
        ({**SOCKET, "namespace": "blue"}, "in use on web (network namespace blue): a socket is bound to it"),
        ({"parent_interface": "eth0", "interface": None}, "configured on web"),
        ({"namespace": "net:[7]"}, "configured on web (eth1 in the network namespace of nginx)"),
        ({"namespace": "pid:8"}, "configured on web (eth1 in the network namespace of redis)"),
        ({"namespace": "net:[9]"}, "configured on web (eth1 in network namespace net:[9])"),
        ({"namespace": "blue"}, "configured on web (eth1 in network namespace blue)"),
        ({"uncertain": True}, "configured on web (eth1); 1 service there listens on all addresses"),
        ({"uncertain": True, "namespace": "blue"}, "configured on web (eth1 in network namespace blue)"),
        ({"uncertain": True, "namespace": "red"}, "configured on web (eth1 in network namespace red)"),
        (
            {**LOCAL_ROUTE, "uncertain": True},
            "configured on web (lo): the local route 192.168.1.10/32 accepts it; 1 service there listens on all addresses",
        ),
        (LOCAL_ROUTE, "configured on web (lo): the local route 192.168.1.10/32 accepts it"),
    ],
)
def test_the_text_says_what_uses_the_address_and_where(fields, text):
    result = guest({**seen("192.168.1.10"), **fields}, namespaces=CONTAINERS, wildcards=[{"family": "ipv4", **listener()}])
    assert find(ONE, web=result).text == text


def test_a_configured_address_does_not_count_as_used():
    finding = find(ONE, web=guest(seen("192.168.1.10")))
    assert (finding.level, finding.reason_code, finding.text) == (CONFIGURED, "configured", "configured on web (eth1)")


def test_a_wildcard_listener_is_noted_and_does_not_count_as_use():
    wildcards = [{"family": family, **listener()} for family in ("ipv4", "ipv6")] + [{"family": "ipv4", **listener(80, "nginx")}]
    finding = find(ONE, web=guest(seen("192.168.1.10", uncertain=True), wildcards=wildcards))
    assert finding.level == CONFIGURED
    assert finding.text == "configured on web (eth1); 2 services there listen on all addresses"


def test_an_address_that_the_guest_of_the_eni_does_not_have_is_not_seen():
    finding = find(ONE, web=guest(seen("192.168.1.11")))
    assert (finding.level, finding.reason_code) == (NOT_SEEN, "not_seen")
    assert finding.text == "not seen on web (eth1), which has this ENI"


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (None, "the guest returned no result"),
        ("", "the guest returned no result"),
        ({"skipped": True}, "the guest returned no result"),
        ({"failed": True, "msg": "no Python"}, "the guest returned no result: no Python"),
        ({"unreachable": True, "msg": "Failed to connect\nvia ssh"}, "the guest could not be reached: Failed to connect via ssh"),
    ],
)
def test_without_a_result_nothing_is_known(result, text):
    report = join_guests([ONE], Guests({"web": result}))
    finding = report.findings["eni-1"]["192.168.1.10"]
    assert (finding.level, finding.reason_code) == (UNKNOWN, "no_guest")
    assert report.gaps == [{"host": "web", "text": text}]


@pytest.mark.parametrize(
    ("reasons", "text"),
    [
        (["one"], "one"),
        (["one", "two"], "one, and 1 more"),
        (["one", "two", "three"], "one, and 2 more"),
        ([], "its result is incomplete, without a reason"),
        (None, "its result is incomplete, without a reason"),
    ],
)
def test_why_a_guest_is_incomplete(reasons, text):
    result = {**guest(complete=False), "reasons": reasons and [{"code": "x", "text": text, "namespace": ""} for text in reasons]}
    assert join_guests([], Guests({"web": result, "db": guest()})).gaps == [{"host": "web", "text": text}]


def test_without_any_guest_nothing_is_known():
    assert find(ONE).level == UNKNOWN


def test_an_incomplete_guest_proves_use_but_not_absence():
    result = guest(seen("192.168.1.10"), complete=False)
    finding = find(eni(1, "192.168.1.10"), web=result)
    assert finding.level == CONFIGURED
    finding = find(eni(1, "192.168.1.11"), "192.168.1.11", web=result)
    assert (finding.level, finding.reason_code) == (UNKNOWN, "incomplete")
    assert finding.text == "not seen on web (eth1), but not everything could be read there: processes are hidden"


def test_an_eni_without_a_mac_address():
    finding = find({**ONE, "mac_address": None}, web=guest())
    assert (finding.level, finding.reason_code) == (UNKNOWN, "no_mac_address")


def test_case_of_a_mac_address_does_not_matter():
    assert find({**ONE, "mac_address": "00:16:3E:00:00:01"}, web=guest()).level == NOT_SEEN


def test_an_address_counts_wherever_it_is_on_the_guest():
    """A container with a veth pair has a MAC address of its own."""
    namespace = {"namespace": "net:[7]", "process": "nginx", "complete": True, "interfaces_read": True, "wildcard_listeners": []}
    entry = seen("192.168.1.10", 32, 99, namespace="net:[7]", interface="eth0")
    finding = find(ONE, node=guest(entry, namespaces=[namespace]))
    assert finding.level == CONFIGURED
    assert finding.text == "configured on node (eth0 in the network namespace of nginx)"


def test_a_child_interface_is_shown_with_its_parent():
    entry = seen("192.168.1.10", number=99, mac_addresses=[mac(99), mac(1)], interface="mv0", parent_interface="eth1", namespace="blue")
    assert find(ONE, web=guest(entry)).text == "configured on web (mv0 on eth1 in network namespace blue)"


def test_an_address_on_another_guest_is_not_unused():
    finding = find(ONE, web=guest(), db=guest(seen("192.168.1.10", number=2, connections=1), macs=[2]))
    assert (finding.level, finding.reason_code, finding.seen) == (UNKNOWN, "other_guest", IN_USE)
    assert finding.text == "not seen on web (eth1), which has this ENI, but in use on db (eth1): 1 connection"


def test_the_guest_with_the_eni_decides_when_several_have_the_address():
    """Networks of different VPCs may overlap."""
    finding = find(ONE, web=guest(seen("192.168.1.10")), db=guest(seen("192.168.1.10", number=2, listeners=[listener()]), macs=[2]))
    assert (finding.level, finding.text) == (CONFIGURED, "configured on web (eth1)")


def test_two_guests_with_one_mac_address_are_a_conflict():
    results = {"web": guest(seen("192.168.1.10", listeners=[listener()])), "web-alias": guest()}
    report = join_guests([eni(1, "192.168.1.10", "192.168.1.11")], Guests(results))
    assert report.conflicts == [{"mac_address": mac(1), "hosts": ["web", "web-alias"], "eni_ids": ["eni-1"]}]
    first, second = report.findings["eni-1"].values()
    assert [(finding.level, finding.reason_code, finding.seen) for finding in (first, second)] == [
        (UNKNOWN, "mac_conflict", IN_USE),
        (UNKNOWN, "mac_conflict", None),
    ]
    assert second.text == f"web and web-alias all have the MAC address {mac(1)} of this ENI"
    assert first.text == f"{second.text}, but in use on web (eth1): sshd listens on port 22"


def test_two_enis_with_one_mac_address_are_a_conflict():
    report = join_guests([ONE, {**eni(2, "192.168.2.10"), "mac_address": mac(1)}], Guests({"web": guest(seen("192.168.1.10"))}))
    assert report.conflicts == [{"mac_address": mac(1), "hosts": ["web"], "eni_ids": ["eni-1", "eni-2"]}]
    assert {finding.level for findings in report.findings.values() for finding in findings.values()} == {UNKNOWN}


def test_one_guest_with_a_mac_address_on_two_interfaces_is_not_a_conflict():
    result = guest()
    result["interfaces"].append({"interface": "bond0", "namespace": "", "mac_address": mac(1)})
    assert find(ONE, web=result).level == NOT_SEEN


# -- prefixes and IPv6


def test_an_address_inside_a_prefix_counts_for_the_prefix():
    entries = [seen("192.168.1.17"), seen("192.168.1.18", connections=2), seen("192.168.1.32")]
    finding = find(eni(1, ipv4_prefixes=["192.168.1.16/28"]), "192.168.1.16/28", web=guest(*entries))
    assert finding.level == IN_USE
    assert finding.text == "in use on web (eth1): 192.168.1.18: 2 connections; 2 addresses of the prefix are seen"


def test_of_a_prefix_only_the_addresses_on_the_guest_of_its_eni_are_counted():
    entries = {"web": guest(seen("192.168.1.17")), "db": guest(seen("192.168.1.18", number=2), seen("192.168.1.19", number=2), macs=[2])}
    finding = find(eni(1, ipv4_prefixes=["192.168.1.16/28"]), "192.168.1.16/28", **entries)
    assert finding.text == "configured on web (eth1): 192.168.1.17; 1 address of the prefix is seen"


@pytest.mark.parametrize(
    ("prefix", "level"),
    [
        ("192.168.1.16/28", CONFIGURED),
        ("192.168.1.32/28", CONFIGURED),
        ("192.168.1.0/28", NOT_SEEN),
        ("192.168.1.48/28", NOT_SEEN),
        ("192.168.1.20/28", CONFIGURED),
    ],
)
def test_first_and_last_address_of_a_prefix_belong_to_it(prefix, level):
    assert find(eni(1, ipv4_prefixes=[prefix]), prefix, web=guest(seen("192.168.1.16"), seen("192.168.1.47"))).level == level


@pytest.mark.parametrize("route", [("192.168.1.21", 32), ("192.168.1.16", 28), ("192.168.1.0", 24), ("192.168.1.20", 30), (ANY, 0)])
def test_a_local_route_makes_its_addresses_configured(route):
    entry = seen(*route, found_as="local_route", interface="lo", mac_addresses=[])
    enis = [eni(1, "192.168.1.21", ipv4_prefixes=["192.168.1.16/28"])]
    for address in ("192.168.1.21", "192.168.1.16/28"):
        finding = find(enis, address, web=guest(entry))
        assert (finding.level, finding.reason_code) == (CONFIGURED, "local_route")
    assert f"the local route {route[0]}/{route[1]} accepts it" in finding.text


@pytest.mark.parametrize(
    ("route", "wanted", "level"),
    [
        (("192.168.1.16", 28), "192.168.1.15", NOT_SEEN),
        (("192.168.1.16", 28), "192.168.1.32", NOT_SEEN),
        (("192.168.1.31", 28), "192.168.1.16", CONFIGURED),  # as a program may show it
        (("192.168.1.16", 28), "192.168.1.0/28", NOT_SEEN),
        (("192.168.1.16", 28), "192.168.1.32/28", NOT_SEEN),
        (("2001:db8::", 64), "2001:db8::ffff:0:0:5", CONFIGURED),
        (("2001:db8::", 64), "2001:db8:0:1::5", NOT_SEEN),
        (("2001:db8::", 64), "2001:db8:0:0:1::/80", CONFIGURED),
        (("2001:db8::5", 128), "2001:db8::/80", CONFIGURED),
        (("2001:db8::5", 128), "2001:db8:0:0:1::/80", NOT_SEEN),
        (("::", 0), "192.168.1.16", NOT_SEEN),
        ((ANY, 0), "2001:db8::/80", NOT_SEEN),
    ],
)
def test_what_a_local_route_covers(route, wanted, level):
    kind = ("ipv6" if ":" in wanted else "ipv4" if "/" in wanted else "private_ip") + ("_prefixes" if "/" in wanted else "_addresses")
    entry = seen(*route, found_as="local_route", interface="lo", mac_addresses=[])
    assert find(eni(1, **{kind: [wanted]}), wanted, web=guest(entry)).level == level


def test_a_local_route_is_counted_once():
    entry = seen("192.168.1.16", 28, found_as="local_route", interface="lo", mac_addresses=[])
    one = eni(1, ipv4_prefixes=["192.168.1.16/28"])
    text = find(one, "192.168.1.16/28", web=guest(entry)).text
    assert text == "configured on web (lo): the local route 192.168.1.16/28 accepts it"
    text = find(one, "192.168.1.16/28", web=guest(entry, seen("192.168.1.16"))).text
    assert text.endswith("; 1 address of the prefix is seen")


def test_addresses_of_ipv6_are_compared_by_value():
    one = eni(1, ipv6_addresses=["2001:DB8:0:0::10"], ipv6_prefixes=["2001:db8:0:1::/80"])
    result = guest(seen("2001:db8::10", 64), seen("2001:db8:0:1::7", 128, listeners=[listener()]))
    assert find(one, "2001:DB8:0:0::10", web=result).level == CONFIGURED
    assert find(one, "2001:db8:0:1::/80", web=result).level == IN_USE


def test_each_address_of_each_eni_has_a_finding():
    report = join_guests([eni(1, "192.168.1.10", "192.168.1.11"), eni(2, "192.168.2.10")], Guests({"web": guest(seen("192.168.1.10"))}))
    assert {eni_id: {address: finding.level for address, finding in found.items()} for eni_id, found in report.findings.items()} == {
        "eni-1": {"192.168.1.10": CONFIGURED, "192.168.1.11": NOT_SEEN},
        "eni-2": {"192.168.2.10": UNKNOWN},
    }
    assert (report.conflicts, report.gaps) == ([], [])


# -- results that are not what the module returns


@pytest.mark.parametrize(
    "change",
    [
        lambda result: result.update(complete="yes"),
        lambda result: result.pop("complete"),
        lambda result: result.pop("namespaces"),
        lambda result: result.update(addresses=None),
        lambda result: result.update(addresses=[{}]),
        lambda result: result.update(addresses=[{**seen("192.168.1.10"), "address": "192.168.1"}]),
        lambda result: result.update(addresses=[{**seen("192.168.1.10"), "prefix_length": 33}]),
        lambda result: result.update(addresses=[{**seen("192.168.1.10"), "prefix_length": -1}]),
        lambda result: result.update(addresses=[{**seen("2001:db8::1"), "prefix_length": 129}]),
        lambda result: result.update(addresses=[{**seen("192.168.1.11"), "mac_addresses": [f"{mac()}:00"]}]),
        lambda result: result.update(addresses=[{**seen("192.168.1.10"), "found_as": "guess"}]),
        lambda result: result.update(addresses=[{**seen("192.168.1.10"), "connections": "many"}]),
        lambda result: result.update(addresses=[{**seen("192.168.1.10"), "listeners": [1]}]),
        lambda result: result.update(interfaces=[*result["interfaces"], {"interface": "x", "namespace": "", "mac_address": "?"}]),
    ],
)
def test_a_result_of_another_form_never_makes_an_address_look_unused(change):
    result = guest()
    assert find(ONE, web=result).level == NOT_SEEN
    change(result)
    assert find(ONE, web=result).level == UNKNOWN


@pytest.mark.parametrize("lacking", seen("192.168.1.10"))
def test_an_entry_that_lacks_a_field_is_as_used_as_before_or_unknown(lacking):
    entry = seen("192.168.1.10", listeners=[listener()])
    del entry[lacking]
    assert find(ONE, web=guest(entry)).level in (IN_USE, UNKNOWN)


@pytest.mark.parametrize(
    ("address", "prefix_length"), [("192.168.1.10", 0), ("192.168.1.10", 32), ("2001:db8::1", 0), ("2001:db8::1", 128)]
)
def test_every_prefix_length_is_understood(address, prefix_length):
    assert find(ONE, "192.168.1.10", web=guest(seen(address, prefix_length))).level != UNKNOWN


@pytest.mark.parametrize(("process", "shown"), [("x" * 200, "x" * 200), ("x" * 201, "x" * 199 + "…"), ("a\nb\x1b[31m", "a b [31m")])
def test_text_of_a_guest_stays_in_its_line(process, shown):
    finding = find(ONE, web=guest(seen("192.168.1.10", interface="eth1\n", listeners=[listener(process=process)])))
    assert finding.text == f"in use on web (eth1 ): {shown} listens on port 22"


# -- properties, compared with a simple implementation

OCTETS = st.integers(8, 20)
ADDRESSES = OCTETS.map("192.168.1.{}".format)
ROUTES = st.builds(
    lambda address, length: seen(
        str(ipaddress.ip_network(f"{address}/{length}", strict=False)[0]), length, found_as="local_route", interface="lo", mac_addresses=[]
    ),
    ADDRESSES,
    st.sampled_from([29, 30, 32]),
)
HOSTS = st.sampled_from(["a", "b", "c"])


def guests(numbers, least=0):
    entries = st.builds(
        lambda address, number, connections: seen(address, number=number, connections=connections), ADDRESSES, numbers, st.integers(0, 1)
    )
    return st.builds(
        lambda entries, routes, macs, complete: guest(*entries, *routes, macs=macs, complete=complete),
        st.lists(entries, min_size=least, max_size=4),
        st.lists(ROUTES, max_size=1),
        st.lists(numbers, min_size=least, max_size=2, unique=True),
        st.booleans(),
    )


def enis_with(addresses, least, most):
    prefixes = st.lists(st.sampled_from(["192.168.1.8/29", "192.168.1.16/28"]), max_size=1)
    return st.lists(st.tuples(addresses, prefixes), min_size=least, max_size=most).map(
        lambda lists: [eni(number, *addresses, ipv4_prefixes=prefixes) for number, (addresses, prefixes) in enumerate(lists, 1)]
    )


RESULTS = st.dictionaries(HOSTS, guests(st.integers(1, 4)) | st.just({"unreachable": True}))
ENIS = enis_with(st.lists(ADDRESSES, max_size=4, unique=True), 0, 4)
# Two ENIs, and guests that mostly have them.
TWO_ENIS = enis_with(st.sets(ADDRESSES, min_size=3, max_size=8).map(sorted), 2, 2)
THEIR_GUESTS = st.dictionaries(HOSTS, guests(st.integers(1, 2), 1), min_size=1, max_size=2)


def overlaps(entry, wanted):
    block = f"{entry['address']}/{entry['prefix_length']}" if entry["found_as"] == "local_route" else entry["address"]
    return ipaddress.ip_network(block).overlaps(ipaddress.ip_network(wanted))


def expected_level(one, wanted, results):
    reached = [result for result in results.values() if "addresses" in result]
    owners = [result for result in reached if one["mac_address"] in {entry["mac_address"] for entry in result["interfaces"]}]
    if len(owners) != 1:
        return UNKNOWN
    ours = [entry for entry in owners[0]["addresses"] if overlaps(entry, wanted)]
    if ours:
        return IN_USE if any(entry["connections"] for entry in ours) else CONFIGURED
    elsewhere = any(overlaps(entry, wanted) for result in reached for entry in result["addresses"])
    return UNKNOWN if elsewhere or not owners[0]["complete"] else NOT_SEEN


@examples
@given(ENIS, RESULTS)
def test_each_address_has_the_level_of_the_rules(enis, results):
    findings = join_guests(enis, Guests(results)).findings
    for one in enis:
        for wanted in one["private_ip_addresses"] + one["ipv4_prefixes"]:
            assert findings[one["eni_id"]][wanted].level == expected_level(one, wanted, results)


@examples
@given(ENIS, RESULTS)
def test_the_order_of_hosts_and_enis_does_not_matter(enis, results):
    backwards = dict(reversed(results.items()))
    assert join_guests(enis, Guests(results)).findings == join_guests(enis[::-1], Guests(backwards)).findings


def levels(enis, results):
    findings = join_guests(enis, Guests(results)).findings
    return {(eni_id, address): finding.level for eni_id, entries in findings.items() for address, finding in entries.items()}


@examples
@given(ENIS, RESULTS, st.data())
def test_a_loss_never_makes_an_address_look_unused(enis, results, data):
    """A host that is no longer reached, or a field that is missing or has another type."""
    before = levels(enis, results)
    worse = copy.deepcopy(results)
    for host in data.draw(st.lists(st.sampled_from(sorted(worse)), max_size=2, unique=True)) if worse else ():
        if "addresses" not in worse[host]:
            continue
        places = [worse[host], *worse[host]["addresses"], *worse[host]["interfaces"], *worse[host]["namespaces"]]
        place = data.draw(st.sampled_from(places))
        name = data.draw(st.sampled_from(sorted(place)))
        if data.draw(st.booleans()):
            del place[name]
        else:
            place[name] = data.draw(st.sampled_from([None, "?", [1], {"x": 1}, -1]))
    for key, level in levels(enis, worse).items():
        if before[key] in (IN_USE, CONFIGURED):
            assert level != NOT_SEEN


@examples
@given(ENIS, RESULTS)
def test_a_prefix_has_the_strongest_level_of_its_addresses(enis, results):
    for one in enis:
        for prefix in one["ipv4_prefixes"]:
            inside = [str(address) for address in ipaddress.ip_network(prefix)]
            single = {"x": {**one, "private_ip_addresses": inside, "ipv4_prefixes": [prefix]}}
            findings = join_guests(single.values(), Guests(results)).findings[one["eni_id"]]
            strongest = min((findings[address].level for address in inside), key=LEVELS.index)
            assert findings[prefix].level == strongest


# -- configured, but not assigned


def test_an_address_that_is_configured_but_not_assigned():
    entries = [
        seen("192.168.1.5"),  # primary
        seen("192.168.1.10"),
        seen("192.168.1.17"),  # inside the prefix
        seen("192.168.1.99", connections=1),
        seen("192.168.1.98", found_as="socket"),
        seen("192.168.1.97", number=7),  # another interface
        seen("10.9.9.9", number=9, mac_addresses=[mac(1), mac(9)], interface="mv0", parent_interface="eth1"),
        seen("fe80::1"),
        seen("127.0.0.2"),
        seen("2001:db8::9"),
    ]
    found = find_not_assigned([eni(1, "192.168.1.10", ipv4_prefixes=["192.168.1.16/28"])], Guests({"web": guest(*entries)}))
    assert [(entry["eni_id"], entry["address"], entry["interface"], entry["text"].split(" on ")[0]) for entry in found] == [
        ("eni-1", "10.9.9.9", "mv0", "configured"),
        ("eni-1", "192.168.1.99", "eth1", "in use"),
        ("eni-1", "2001:db8::9", "eth1", "configured"),
    ]
    assert found[0]["text"] == "configured on web (mv0 on eth1) but not assigned to this ENI"


def test_an_address_of_a_neighbour_eni_names_the_neighbour():
    result = guest(seen("192.168.2.10"), macs=[1, 2])
    (entry,) = find_not_assigned([ONE, eni(2, "192.168.2.10")], Guests({"web": result}))
    assert entry["text"].endswith("but assigned to eni-2 of the same guest")
    (entry,) = find_not_assigned([ONE, eni(2, "192.168.2.10")], Guests({"web": guest(seen("192.168.2.10"))}))
    assert entry["text"].endswith("but not assigned to this ENI")


def test_the_primary_address_of_an_eni_is_assigned_and_an_eni_without_one_is_joined_all_the_same():
    guests = Guests({"web": guest(seen("192.168.1.5"), seen("192.168.1.10"))})
    assert find_not_assigned([ONE], guests) == []
    (entry,) = find_not_assigned([{**ONE, "private_ip_address": None}], guests)
    assert (entry["address"], entry["text"]) == ("192.168.1.5", "configured on web (eth1) but not assigned to this ENI")


def test_a_bridge_over_two_enis_may_have_the_addresses_of_both():
    entry = seen("192.168.2.10", mac_addresses=[mac(1), mac(2)])
    assert find_not_assigned([ONE, eni(2, "192.168.2.10")], Guests({"web": guest(entry, macs=[1, 2])})) == []


@pytest.mark.parametrize(("prefix", "number"), [("192.168.1.16/28", 0), ("192.168.1.20/28", 0), ("192.168.1.32/28", 1)])
def test_an_address_of_an_assigned_prefix_is_assigned(prefix, number):
    """With host bits, too."""
    assert len(find_not_assigned([eni(1, ipv4_prefixes=[prefix])], Guests({"web": guest(seen("192.168.1.17"))}))) == number


def test_with_a_conflict_no_address_is_reported_as_not_assigned():
    results = {"web": guest(seen("192.168.1.99")), "web-alias": guest(seen("192.168.1.99"))}
    assert find_not_assigned([ONE], Guests(results)) == []
    twin = {**eni(2, "192.168.2.10"), "mac_address": mac(1)}
    assert find_not_assigned([ONE, twin], Guests({"web": guest(seen("192.168.1.99"))})) == []


def network(address, length=None):
    return ipaddress.ip_network(address if length is None else f"{address}/{length}", strict=False)


def held_by(one):
    return [network(address) for address in (one["private_ip_address"], *one["private_ip_addresses"], *one["ipv4_prefixes"])]


def is_held(address, enis):
    return any(network(address).subnet_of(held) for one in enis for held in held_by(one))


def macs_of(result):
    return {entry["mac_address"] for entry in result.get("interfaces", ())}


@examples
@given(TWO_ENIS, THEIR_GUESTS)
def test_what_is_not_assigned_is_what_the_only_owner_has_and_the_eni_has_not(enis, results):
    expected = []
    for one in enis:
        owners = [host for host, result in results.items() if one["mac_address"] in macs_of(result)]
        for entry in results[owners[0]]["addresses"] if len(owners) == 1 else ():
            if one["mac_address"] in entry["mac_addresses"] and not is_held(entry["address"], [one]):
                on_guest = [other for other in enis if other["mac_address"] in macs_of(results[owners[0]])]
                expected.append((one["eni_id"], entry["address"], owners[0], is_held(entry["address"], on_guest)))
    found = find_not_assigned(enis, Guests(results))
    assert sorted((entry["eni_id"], entry["address"], entry["host"], " but assigned to " in entry["text"]) for entry in found) == sorted(
        expected
    )


# -- after an unassign


@examples
@given(TWO_ENIS, TWO_ENIS, THEIR_GUESTS)
def test_what_remains_is_what_the_owners_have_and_no_eni_of_theirs(unassigned, enis, results):
    expected = []
    for one in unassigned:
        gone = one["private_ip_addresses"] + one["ipv4_prefixes"]
        now = [other for other in enis if other["eni_id"] == one["eni_id"]]
        for host, result in results.items():
            if not now or one["mac_address"] not in macs_of(result):
                continue
            on_guest = [other for other in enis if other["mac_address"] in macs_of(result)]
            for entry in result["addresses"]:
                is_block = entry["found_as"] == "local_route"
                if any(overlaps(entry, address) for address in gone) and (is_block or not is_held(entry["address"], on_guest)):
                    block = network(entry["address"], entry["prefix_length"])
                    left = any(block.overlaps(held) for other in on_guest for held in held_by(other))
                    allowed = not is_block or (not left and {*block} <= {each for address in gone for each in network(address)})
                    expected.append((one["eni_id"], entry["address"], host, allowed))
    found = find_remaining(unassigned, enis, Guests(results))
    assert sorted((entry["eni_id"], entry["address"], entry["host"], entry["command"] is not None) for entry in found) == sorted(expected)


def remaining(*entries, assignment=None, enis=None, macs=(1,), **others):
    unassigned = assignment or {"eni_id": "eni-1", "private_ip_addresses": ["192.168.1.10"]}
    return find_remaining([unassigned], enis or [eni(1)], Guests({"web": guest(*entries, macs=macs), **others}))


def test_a_command_removes_an_address_until_the_next_boot():
    (entry,) = remaining(seen("192.168.1.10", 32, listeners=[listener()]), seen("192.168.1.11"))
    assert (entry["eni_id"], entry["host"]) == ("eni-1", "web")
    assert entry["command"] == "ip address del 192.168.1.10/32 dev eth1"
    assert entry["text"] == "still in use on web (eth1): sshd listens on port 22"


def test_where_an_address_remains():
    (entry,) = remaining(seen("192.168.1.10", namespace="blue"))
    assert entry == {
        "eni_id": "eni-1",
        "address": "192.168.1.10",
        "host": "web",
        "interface": "eth1",
        "namespace": "blue",
        "command": "ip netns exec blue ip address del 192.168.1.10/24 dev eth1",
        "text": "still configured on web (eth1 in network namespace blue)",
    }


@pytest.mark.parametrize(
    ("fields", "command"),
    [
        ({"namespace": "blue"}, "ip netns exec blue ip address del 192.168.1.10/24 dev eth1"),
        ({"namespace": "net:[7]"}, None),
        ({"namespace": "pid:7"}, None),
        ({"prefix_length": None}, None),
        ({"interface": None}, None),
        ({"interface": "a;reboot"}, "ip address del 192.168.1.10/24 dev 'a;reboot'"),
        ({"namespace": "$(reboot)"}, "ip netns exec '$(reboot)' ip address del 192.168.1.10/24 dev eth1"),
    ],
)
def test_commands(fields, command):
    (entry,) = remaining({**seen("192.168.1.10"), **fields})
    assert entry["command"] == command
    assert ("remove it in the container" in entry["text"]) == (command is None)
    assert command is None or shlex.split(command)[-1] == fields.get("interface", "eth1")


def route(block):
    address, _slash, length = block.partition("/")
    return seen(address, int(length), found_as="local_route", interface="lo", mac_addresses=[])


@pytest.mark.parametrize(
    ("block", "unassigned", "now", "shown"),
    [
        # Others of the block are still assigned, or were never assigned, so other traffic may use them.
        ("192.168.1.0/24", {"private_ip_addresses": ["192.168.1.10"]}, eni(1, "192.168.1.11", "192.168.1.12"), False),
        ("192.168.1.8/30", {"private_ip_addresses": ["192.168.1.8", "192.168.1.9", "192.168.1.10"]}, eni(1), False),
        ("192.168.1.8/30", {"private_ip_addresses": [f"192.168.1.{number}" for number in (8, 9, 10, 11)]}, eni(1), True),
        ("192.168.1.10/32", {"private_ip_addresses": ["192.168.1.10"]}, eni(1, "192.168.1.11"), True),
        ("192.168.1.16/28", {"ipv4_prefixes": ["192.168.1.16/28"]}, eni(1), True),
        ("192.168.1.16/29", {"ipv4_prefixes": ["192.168.1.16/28"]}, eni(1), True),
        ("192.168.1.0/26", {"ipv4_prefixes": ["192.168.1.16/28"]}, eni(1), False),
        # Assigned again in the meantime.
        ("192.168.1.16/28", {"ipv4_prefixes": ["192.168.1.16/28"]}, eni(1, "192.168.1.17"), False),
        ("192.168.1.4/30", {"ipv4_prefixes": ["192.168.1.4/30"]}, eni(1), False),  # with the primary address
        ("2001:db8::/80", {"ipv6_prefixes": ["2001:db8::/80"]}, eni(1), True),
        ("2001:db8::/80", {"ipv6_addresses": ["2001:db8::1"]}, eni(1), False),
    ],
)
def test_a_route_is_removed_only_if_its_whole_block_was_unassigned(block, unassigned, now, shown):
    (entry,) = remaining(route(block), assignment={"eni_id": "eni-1", **unassigned}, enis=[now])
    assert entry["command"] == (f"ip route del local {block} dev lo" if shown else None)
    assert f"the local route {block} accepts it" in entry["text"]
    assert ("addresses that were not unassigned" in entry["text"]) is not shown


@pytest.mark.parametrize(
    ("removed", "shown", "text"),
    [
        ([], True, ""),
        (["192.168.1.11"], True, ""),  # was unassigned, too
        (["192.168.1.11", "192.168.1.12"], False, "would also remove 192.168.1.12; set net.ipv4.conf.eth1.promote_secondaries to 1"),
        (None, False, "may be the primary address of its subnet"),
    ],
)
def test_no_command_that_also_removes_what_was_not_unassigned(removed, shown, text):
    assignment = {"eni_id": "eni-1", "private_ip_addresses": ["192.168.1.10", "192.168.1.11"]}
    (entry,) = remaining(seen("192.168.1.10", removed_with_it=removed), assignment=assignment)
    assert (entry["command"] is not None) is shown
    assert text in entry["text"]


def test_every_address_of_an_unassigned_prefix_remains():
    assignment = {"eni_id": "eni-1", "ipv4_prefixes": ["192.168.1.16/28"], "ipv6_addresses": ["2001:db8::7"]}
    entries = [seen("192.168.1.17"), seen("192.168.1.31"), seen("192.168.1.32"), seen("2001:db8::7", 64)]
    found = remaining(*entries, assignment=assignment)
    assert [entry["address"] for entry in found] == ["192.168.1.17", "192.168.1.31", "2001:db8::7"]
    assert found[2]["command"] == "ip address del 2001:db8::7/64 dev eth1"


def test_no_command_for_another_guest_that_has_an_equal_address():
    assert remaining(db=guest(seen("192.168.1.10", number=2), macs=[2])) == []


def test_an_address_that_was_assigned_to_another_eni_of_the_guest_does_not_remain():
    entry = seen("192.168.1.10", number=2)
    assert remaining(entry, enis=[eni(1), eni(2, "192.168.1.10")], macs=[1, 2]) == []
    # If that ENI belongs to another instance, the address is wrong here.
    assert len(remaining(entry, enis=[eni(1), eni(2, "192.168.1.10")], macs=[1])) == 1


def test_an_address_that_only_a_socket_shows_has_no_command():
    assert remaining(seen("192.168.1.10", None, found_as="socket", listeners=[listener()])) == []


def test_the_places_of_permanent_configuration():
    for name in ("netplan", "NetworkManager", "systemd-networkd", "ifcfg", "cloud-init", "keepalived"):
        assert name in PERMANENT_CONFIGURATION
