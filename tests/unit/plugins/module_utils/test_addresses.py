# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.alicloud_ops.network.plugins.module_utils import _addresses
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import KIND_BY_NAME, KINDS, overlaps, parse_block

IPV4, PREFIX4, IPV6, PREFIX6 = (kind.name for kind in KINDS)


@pytest.mark.parametrize(
    ("kind", "text", "canonical"),
    [
        (IPV4, "192.168.0.10", "192.168.0.10"),
        (PREFIX4, "192.168.0.16/28", "192.168.0.16/28"),
        (IPV6, "2001:DB8:0:0::10", "2001:db8::10"),
        (PREFIX6, "2001:0db8:0:0:10::/80", "2001:db8:0:0:10::/80"),
    ],
)
def test_one_address_has_one_spelling(kind, text, canonical):
    assert KIND_BY_NAME[kind].parse(text) == canonical


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (IPV4, "192.168.0.300"),
        (IPV4, "192.168.0.010"),  # octal to some, decimal to others
        (IPV4, "192.168.0"),
        (IPV4, "192.168.0.10/32"),
        (IPV4, "192.168.0.10 192.168.0.11"),
        (IPV4, "2001:db8::1"),
        (IPV4, "192.168.0.10\0"),
        (IPV4, "3232235530"),  # an integer is an address to the ipaddress module
        (PREFIX4, "192.168.0.16"),
        (PREFIX4, "192.168.0.17/28"),
        (PREFIX4, "192.168.0.0/255.255.255.0"),
        (PREFIX4, "192.168.0.16/-4"),
        (PREFIX4, "192.168.0.16/33"),
        (PREFIX4, "192.168.0.16/"),
        (PREFIX4, "2001:db8:0:0:10::/80"),
        (IPV6, "192.168.0.10"),
        (IPV6, "2001:db8::1%eth0"),
        (IPV6, "2001:db8::g"),
        (PREFIX6, "192.168.0.16/28"),
        (PREFIX6, "2001:db8::1/80"),
        (PREFIX6, "fe80::%eth0/64"),
        (PREFIX6, "2001:db8::/129"),
    ],
)
def test_what_is_no_address_of_its_kind_is_a_mistake_that_repeats_it(kind, text):
    with pytest.raises(ValueError, match=r".") as caught:
        KIND_BY_NAME[kind].parse(text)
    assert f"'{text}'" in str(caught.value)
    assert KIND_BY_NAME[kind].noun in str(caught.value)


def test_a_prefix_with_host_bits_is_told_the_prefix_around_it():
    with pytest.raises(ValueError, match=r"the IPv4 prefix around it is 192\.168\.0\.16/28"):
        KIND_BY_NAME[PREFIX4].parse("192.168.0.17/28")


@pytest.mark.parametrize(
    ("text", "canonical"), [("192.168.0.7", "192.168.0.7/32"), ("192.168.0.0/24", "192.168.0.0/24"), ("2001:DB8::/64", "2001:db8::/64")]
)
def test_a_block_is_an_address_or_a_network(text, canonical):
    assert parse_block(text) == canonical


@pytest.mark.parametrize("text", ["192.168.0.1/24", "192.168.0.0-192.168.0.9", "all", "/24", "192.168.0.0/33"])
def test_a_malformed_block_is_a_mistake(text):
    with pytest.raises(ValueError, match=f"'{text}'"):
        parse_block(text)


def blocks(version):
    """Blocks of one small network, so that they often meet."""
    bits, base = (32, int(ipaddress.ip_address("192.168.0.0"))) if version == 4 else (128, int(ipaddress.ip_address("2001:db8::")))
    return st.tuples(st.integers(0, 255), st.integers(bits - 9, bits)).map(
        lambda pair: str(ipaddress.ip_network((base + pair[0], pair[1]), strict=False))
    )


any_block = st.one_of(blocks(4), blocks(6))


@given(any_block, st.lists(any_block, max_size=4))
def test_overlap_is_a_common_address(block, others):
    def members(text):
        network = ipaddress.ip_network(text)
        return {(network.version, int(network.network_address) + offset) for offset in range(network.num_addresses)}

    found = overlaps(block, others)
    if found is None:
        assert not any(members(block) & members(other) for other in others)
    else:
        assert found in others
        assert members(block) & members(found)


LIMITS = {IPV4: 32, PREFIX4: 10, IPV6: 10, PREFIX6: 10}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@given(data=st.data())
def test_calls_hold_everything_once_within_the_limit_and_of_one_mask(kind, data):
    entries = data.draw(st.lists(blocks(kind.version), unique=True, max_size=80))
    if not kind.is_prefix:
        entries = sorted({entry.partition("/")[0] for entry in entries})
    calls = list(kind.calls(entries))
    assert sorted(entry for call in calls for entry in call) == sorted(entries)
    assert all(1 <= len(call) <= LIMITS[kind.name] for call in calls)
    assert all(len({entry.partition("/")[2] for entry in call}) == 1 for call in calls)
    masks = {entry.partition("/")[2] for entry in entries}
    fewest = sum(-(-sum(entry.partition("/")[2] == mask for entry in entries) // LIMITS[kind.name]) for mask in masks)
    assert len(calls) == fewest


def test_results_are_ordered_by_number_and_without_doubles():
    assert _addresses.ordered(["192.168.0.10", "192.168.0.9", "10.0.0.1", "192.168.0.9", "2001:db8::1"]) == (
        "10.0.0.1",
        "192.168.0.9",
        "192.168.0.10",
        "2001:db8::1",
    )


anything = st.one_of(
    st.ip_addresses().map(str), st.ip_addresses(v=4, network="10.0.0.0/28").map(str), st.sampled_from(["10.0.0.0/28", "10.0.0.0/30"])
)


@given(st.lists(anything))
def test_the_order_is_that_of_the_networks(texts):
    expected = sorted({ipaddress.ip_network(text) for text in texts}, key=lambda net: (net.version, net.network_address, net.prefixlen))
    assert [ipaddress.ip_network(text) for text in _addresses.ordered(texts)] == expected


def test_lists_that_hold_nothing_are_one_and_the_same():
    some = _addresses.make_address_set({IPV4: ["192.168.0.1"]})
    assert (
        _addresses.make_address_set()
        is _addresses.difference(some, some)
        is _addresses.intersection(some, _addresses.EMPTY)
        is _addresses.EMPTY
    )
    assert _addresses.difference(some, _addresses.EMPTY) is _addresses.union(_addresses.EMPTY, some) is some


@given(st.one_of(st.ip_addresses(v=4).map(str), st.text("0123456789.\0", max_size=16), st.text(max_size=8)))
@example("1.2.3.4\0")
@example("01.2.3.4")
@example("\ud800")
@example("\uff11.2.3.4")
def test_the_short_way_to_an_address_takes_what_the_library_takes(text):
    def tried(parse):
        try:
            return str(parse(text))
        except ValueError:
            return None

    assert tried(KIND_BY_NAME[IPV4].parse) == tried(ipaddress.IPv4Address)


some_lists = st.fixed_dictionaries(
    {
        IPV4: st.lists(st.sampled_from(["192.168.0.1", "192.168.0.2", "192.168.0.3"])),
        PREFIX4: st.lists(st.sampled_from(["192.168.0.16/28", "192.168.0.32/28"])),
        IPV6: st.lists(st.sampled_from(["2001:db8::1", "2001:db8::2"])),
        PREFIX6: st.just([]),
    }
).map(_addresses.make_address_set)


@given(some_lists, some_lists)
def test_sets_of_lists_behave_like_sets(one, other):
    first, second = set(_addresses.flatten(one)), set(_addresses.flatten(other))
    for function, expected in (
        (_addresses.union, first | second),
        (_addresses.difference, first - second),
        (_addresses.intersection, first & second),
    ):
        lists = function(one, other)
        assert list(lists) == list(KIND_BY_NAME)
        assert lists == _addresses.make_address_set({kind: expected.intersection(one[kind] + other[kind]) for kind in KIND_BY_NAME})
        assert _addresses.count(lists) == len(expected) == len(_addresses.flatten(lists))
