# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.alicloud_ops.network.plugins.module_utils import _addresses
from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import (
    KIND_BY_NAME,
    KINDS,
    Blocks,
    count,
    find_addresses,
    flatten,
    group,
    kind_of,
    lies_in,
    parse_block,
    span,
)

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
        (IPV4, "192.168.0.010"),  # some programs read this as octal, others as decimal
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
def test_a_text_that_is_not_an_address_of_its_kind_is_an_error_that_shows_it(kind, text):
    with pytest.raises(ValueError, match=r".") as caught:
        KIND_BY_NAME[kind].parse(text)
    assert f"'{text}'" in str(caught.value)
    assert KIND_BY_NAME[kind].noun in str(caught.value) or "has host bits set" in str(caught.value)


def test_the_error_for_a_prefix_with_host_bits_names_the_prefix_around_it():
    with pytest.raises(ValueError, match=r"has host bits set; did you mean 192\.168\.0\.16/28\?"):
        KIND_BY_NAME[PREFIX4].parse("192.168.0.17/28")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("192.168.0.7", "192.168.0.7/32"),
        ("2001:DB8::7", "2001:db8::7/128"),
        ("192.168.0.0/24", "192.168.0.0/24"),
        ("2001:DB8::/64", "2001:db8::/64"),
    ],
)
def test_a_block_is_an_address_or_a_network(text, canonical):
    assert parse_block(text) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "192.168.0.1/24",
        "192.168.0.0-192.168.0.9",
        "all",
        "/24",
        "192.168.0.0/33",
        "fe80::1%eth0",
        "fe80::%eth0/64",
        "::ffff:192.168.0.0/112",
    ],
)
def test_a_malformed_block_is_an_error(text):
    with pytest.raises(ValueError, match=f"'{text}'"):
        parse_block(text)


def test_the_error_for_a_block_with_host_bits_names_the_block_around_it():
    with pytest.raises(ValueError, match=r"did you mean 192\.168\.0\.0/24\?"):
        parse_block("192.168.0.1/24")


EXAMPLES = {IPV4: "192.168.0.10", PREFIX4: "192.168.0.16/28", IPV6: "2001:db8::10", PREFIX6: "2001:db8:0:0:10::/80"}


@pytest.mark.parametrize("given", EXAMPLES)
@pytest.mark.parametrize("wanted", EXAMPLES)
def test_the_error_for_an_address_of_another_kind_names_the_option_for_it(wanted, given):
    if wanted == given:
        assert KIND_BY_NAME[wanted].parse(EXAMPLES[given]) == EXAMPLES[given]
        return
    with pytest.raises(ValueError, match=f"; use {given}$") as caught:
        KIND_BY_NAME[wanted].parse(EXAMPLES[given])
    assert f"'{EXAMPLES[given]}' is an {KIND_BY_NAME[given].noun}, not an {KIND_BY_NAME[wanted].noun}" in str(caught.value)


def test_the_error_for_a_text_that_is_not_an_address_gives_an_example():
    with pytest.raises(ValueError, match=r"'nonsense' is not an IPv6 address such as 2001:db8::10"):
        KIND_BY_NAME[IPV6].parse("nonsense")


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_form_of_an_address_shows_its_kind(kind):
    assert kind_of(EXAMPLES[kind]) is KIND_BY_NAME[kind]


def blocks(version):
    """Blocks of one small network, so that they often meet."""
    bits, base = (32, int(ipaddress.ip_address("192.168.0.0"))) if version == 4 else (128, int(ipaddress.ip_address("2001:db8::")))
    return st.tuples(st.integers(0, 255), st.integers(bits - 9, bits)).map(
        lambda pair: str(ipaddress.ip_network((base + pair[0], pair[1]), strict=False))
    )


any_block = st.one_of(blocks(4), blocks(6))


def members(text):
    network = ipaddress.ip_network(text)
    return {(network.version, int(network.network_address) + offset) for offset in range(network.num_addresses)}


@given(any_block)
def test_a_span_is_the_first_and_the_last_address(text):
    network = ipaddress.ip_network(text)
    size, first, last = span(text)
    assert (first, last) == (int(network.network_address), int(network.broadcast_address))
    assert size == network.max_prefixlen // 8
    if network.num_addresses == 1:
        assert span(text.partition("/")[0]) == span(text)


@given(any_block, any_block)
def test_an_address_lies_in_a_block_that_contains_it(text, block):
    assert lies_in(text, block) == (members(text) <= members(block))


def check_blocks(blocks, text):
    """Against the definition, block by block."""
    overlapping = [block for block in blocks if members(block) & members(text)]
    containing = [block for block in blocks if members(text) <= members(block)]
    found = Blocks(blocks)
    for answer, expected in ((found.overlapping(text), overlapping), (found.containing(text), containing)):
        assert (answer in expected) if expected else answer is None
        # The widest of them: no other one contains it.
        assert not any(members(answer) < members(other) for other in expected)


@given(st.lists(any_block, max_size=8), any_block)
def test_blocks_find_overlaps_and_containing_blocks(blocks, text):
    check_blocks(blocks, text)


@given(st.lists(any_block, max_size=6))
def test_blocks_iterate_over_the_given_blocks(blocks):
    assert list(Blocks(blocks)) == blocks
    assert bool(Blocks(blocks)) == bool(blocks)


def test_thousands_of_blocks_give_the_same_results_as_a_few():
    """Compared with the library, for each pair of 5,000 blocks. Many are inside each other."""
    chance = random.Random(5)

    def draw():
        base, bits = chance.choice([(int(ipaddress.ip_address("10.0.0.0")), 32), (int(ipaddress.ip_address("2001:db8::")), 128)])
        mask = bits - min(int(chance.expovariate(0.25)), 9)
        return ipaddress.ip_network((base + chance.randrange(1 << 17), mask), strict=False)

    networks = list({draw() for _number in range(6000)})[:5000]
    assert len(networks) == 5000
    blocks = Blocks(map(str, networks))
    hits = 0
    for asked in (draw() for _number in range(150)):
        of_family = [network for network in networks if network.version == asked.version]
        overlapping = [str(network) for network in of_family if network.overlaps(asked)]
        containing = [str(network) for network in of_family if asked.subnet_of(network)]
        found, around = blocks.overlapping(str(asked)), blocks.containing(str(asked))
        assert (found in overlapping) if overlapping else found is None
        assert (around in containing) if containing else around is None
        hits += bool(found) + bool(around)
    assert hits > 50  # so that this has tested something


def test_addresses_of_an_option_without_value_are_in_no_block():
    assert Blocks().overlapping("192.168.0.1") is Blocks().containing("2001:db8::/80") is None


# Addresses in a message of the service


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("The specified IP \u201c192.168.0.10\u201d is not assigned on this ENI.", {"192.168.0.10"}),
        ('The specified IP "192.168.0.10,192.168.0.11" is not assigned.', {"192.168.0.10", "192.168.0.11"}),
        ("192.168.0.10.", {"192.168.0.10"}),
        ("IP:192.168.0.10 is taken", {"192.168.0.10"}),
        ("The ip prefixes [192.168.0.16/28] is/are illegal.", {"192.168.0.16/28"}),
        ("2001:DB8:0:0::10 is not assigned", {"2001:db8::10"}),
        ("address ::1:2, prefix 2001:0db8:0:0:10::/80.", {"::1:2", "2001:db8:0:0:10::/80"}),
        ("no address, but 403 and dead:beef and 12:30:45 and 1.2.3", set()),
        ("eni-bp1example", set()),
        ("", set()),
    ],
)
def test_only_addresses_are_found_in_a_message(message, found):
    assert find_addresses(message) == found


LIMITS = {IPV4: 32, PREFIX4: 10, IPV6: 10, PREFIX6: 10}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@given(data=st.data())
def test_calls_have_each_address_once_within_the_limit_and_with_one_mask(kind, data):
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


def test_results_are_in_numeric_order_without_duplicates():
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


def test_empty_sets_are_the_same_object():
    some = _addresses.make_address_set({IPV4: ["192.168.0.1"]})
    assert (
        _addresses.make_address_set({})
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
def test_the_fast_check_of_an_address_agrees_with_the_library(text):
    def tried(parse):
        try:
            return str(parse(text))
        except ValueError:
            return None

    assert tried(KIND_BY_NAME[IPV4].parse) == tried(ipaddress.IPv4Address)


def test_grouped_addresses_are_by_kind_in_order_without_duplicates():
    assert group(["2001:db8::10", "192.168.0.10", "192.168.0.9", "192.168.0.16/28", "192.168.0.9"]) == {
        IPV4: ("192.168.0.9", "192.168.0.10"),
        PREFIX4: ("192.168.0.16/28",),
        IPV6: ("2001:db8::10",),
        PREFIX6: (),
    }
    assert group([]) is _addresses.EMPTY


@given(st.lists(st.sampled_from([*EXAMPLES.values(), "192.168.0.9", "2001:db8::9"])))
def test_grouping_loses_nothing(addresses):
    assert set(flatten(group(addresses))) == set(addresses)
    assert count(group(addresses)) == len(set(addresses))


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
    first, second = set(flatten(one)), set(flatten(other))
    for function, expected in (
        (_addresses.union, first | second),
        (_addresses.difference, first - second),
        (_addresses.intersection, first & second),
    ):
        lists = function(one, other)
        assert list(lists) == list(KIND_BY_NAME)
        assert lists == _addresses.make_address_set({kind: expected.intersection(one[kind] + other[kind]) for kind in KIND_BY_NAME})
        assert count(lists) == len(expected) == len(flatten(lists))
