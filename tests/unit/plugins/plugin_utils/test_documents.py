# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from typing import Any

import pytest
import yaml
from ansible.module_utils.datatag import deprecate_value
from ansible.template import trust_as_template
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import KIND_BY_NAME, group
from ansible_collections.alicloud_ops.network.plugins.plugin_utils import _documents
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import (
    LINE_BYTES,
    Document,
    DocumentError,
    make_document,
    plain,
    publishable,
    read_document,
    recipe_after,
    recipe_lines,
)
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._packing import PREFIX, is_packed

MADE = "2026-01-01T00:00:00+00:00"
ACCOUNT = "1000000000000001"
ASSIGNMENTS = [
    {"eni_id": "eni-2", "private_ip_addresses": ["192.168.0.20", "192.168.0.3"]},
    {"eni_id": "eni-1", "ipv4_prefixes": ["192.168.0.32/28"], "ipv6_addresses": ["2001:db8::10", "2001:db8::"]},
    {"eni_id": "eni-2", "private_ip_addresses": ["192.168.0.3", "192.168.0.4"]},
    {"eni_id": "eni-3", "private_ip_addresses": []},
]


def document(assignments: Any = None, region: str | None = "cn-hangzhou", account_id: str | None = ACCOUNT, **more: Any) -> Document:
    return make_document(ASSIGNMENTS if assignments is None else assignments, region, account_id, **{"made": MADE, **more})


def of(addresses: dict[str, list[str]], **more: Any) -> Document:
    return document([{"eni_id": eni_id, **group(entries)} for eni_id, entries in addresses.items()], **more)


# -- the document


def test_a_document_has_each_eni_once_and_everything_in_order():
    made = document()
    assert list(made.assignments) == ["eni-1", "eni-2"]
    assert made.assignments["eni-2"]["private_ip_addresses"] == ("192.168.0.3", "192.168.0.4", "192.168.0.20")
    assert made.addresses == 6
    assert list(made.pairs())[:2] == [("eni-1", "192.168.0.32/28"), ("eni-1", "2001:db8::")]
    assert list(made.as_dict()) == ["version", "region", "account_id", "made", "digest", "assignments"]
    assert made.as_dict()["assignments"][1] == {
        "eni_id": "eni-2",
        "private_ip_addresses": ["192.168.0.3", "192.168.0.4", "192.168.0.20"],
        "ipv4_prefixes": [],
        "ipv6_addresses": [],
        "ipv6_prefixes": [],
    }
    assert made.as_dict(compact=True)["assignments"][0] == {
        "eni_id": "eni-1",
        "ipv4_prefixes": ["192.168.0.32/28"],
        "ipv6_addresses": ["2001:db8::", "2001:db8::10"],
    }


def test_the_digest_is_the_documented_one():
    bound = {name: value for name, value in document().as_dict().items() if name in ("region", "account_id", "assignments")}
    assert document().digest == hashlib.sha256(json.dumps(bound, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    # This must never change, because saved plans depend on it.
    assert document([], None, None).digest == hashlib.sha256(b'{"account_id":null,"assignments":[],"region":null}').hexdigest()


def test_the_digest_depends_on_region_account_and_assignments_alone():
    digest = document().digest
    assert document(list(reversed(ASSIGNMENTS)), made="2027-01-01T00:00:00+00:00", plan="a" * 64).digest == digest
    assert document(region="cn-beijing").digest != digest
    assert document(account_id=None).digest != digest
    assert document(ASSIGNMENTS[:2]).digest != digest


def test_tagged_and_lazy_values_become_plain_ones():
    tagged = {"one": [trust_as_template("text"), deprecate_value(5, "old", date="2099-01-01"), True, None, (1, 2)], "two": {"three": 4.5}}
    made = plain(tagged)
    assert made == {"one": ["text", 5, True, None, [1, 2]], "two": {"three": 4.5}}
    assert [type(entry) for entry in made["one"]] == [str, int, bool, type(None), list]


# -- reading


def test_a_document_is_read_back_from_every_form():
    made = document()
    given = made.as_dict()
    block = yaml.safe_dump(given)
    for form in (
        given,
        made.as_dict(compact=True),
        [given, given],
        json.dumps(given),
        json.dumps(given, indent=1) + "\n" + json.dumps(given, indent=1),
        json.dumps([given]),
        block,
        f"{block}---\n{block}",
        block.replace(f"'{ACCOUNT}'", ACCOUNT),
        block.replace(f"'{MADE}'", MADE),
        {"restore_secondary_ips_recipe": given, "secondary_ips_unassign": {}},
        json.dumps({"restore_secondary_ips_recipe": given}),
        {"restore_secondary_ips_recipe": json.dumps(given)},
        {
            "secondary_ips_slice_a": {"recipe": given},
            "secondary_ips_slice_b": {"recipe": None},
            "secondary_ips_slice_c": "recipe",
            "another": {"recipe": {"version": 7}},
        },
    ):
        assert read_document(form, published_as="restore_secondary_ips_recipe") == made, form


def test_several_documents_of_one_plan_become_one_and_the_newest_time_counts():
    plan = document()
    parts = [document([entry], plan=plan.digest) for entry in plan.as_dict()["assignments"]]
    later = [{**parts[0].as_dict(), "made": "2026-01-02T00:00:00+00:00"}, parts[1].as_dict()]
    joined = read_document(later)
    assert (joined.digest, joined.made, joined.plan) == (plan.digest, "2026-01-02T00:00:00+00:00", plan.digest)
    assert read_document([plan.as_dict(), parts[0].as_dict()]).digest == plan.digest
    # For one of them it is unknown when its run ended.
    assert read_document([{**parts[0].as_dict(), "made": ""}, parts[1].as_dict()]).made == ""


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (document(region="cn-beijing"), "region"),
        (document(account_id="1000000000000002"), "account_id"),
        (document(ASSIGNMENTS[:1]), "plan"),
        (document(plan="a" * 64), "plan"),
    ],
)
def test_documents_of_two_regions_accounts_or_plans_are_not_joined(other, name):
    with pytest.raises(DocumentError, match=f"its documents differ in their {name}: "):
        read_document([document().as_dict(), other.as_dict()])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text.replace("192.168.0.20", "192.168.0.21"), "it was changed, or is incomplete"),
        (lambda text: text.replace("cn-hangzhou", "cn-beijing"), "it was changed, or is incomplete"),
        (lambda text: text.replace(document().digest, "0" * 64), "it was changed, or is incomplete"),
        (lambda text: text.replace(document().digest, "f" * 64), "it was changed, or is incomplete"),
        (lambda text: text.replace(ACCOUNT, "1000000000000002"), "it was changed, or is incomplete"),
        (lambda text: text[: len(text) // 2], "line 1 cannot be read"),
        (lambda text: json.dumps(json.loads(text), indent=1)[:-20], r"line [2-9]\d* cannot be read"),
        (lambda text: text.replace("private_ip_addresses", "all_secondary"), r"assignments\[0\].all_secondary: is not a list of addresses"),
        (lambda text: "version: 1\nregion: cn-hangzhou\n\nmade: @\n", "line 4 cannot be read"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "it is 2, but this collection reads version 1"),
        (lambda text: text.replace('"version": 1', '"version": 0'), "it is 0, but this collection reads version 1"),
        (lambda text: text.replace('"version": 1', '"version": true'), "it is True, but this collection"),
        (lambda text: text.replace('"eni-2"', '"i-2"'), r"assignments\[1\].eni_id: is missing, or is not an ENI id"),
        (
            lambda text: text.replace("192.168.0.20", "192.168.0.300"),
            r"assignments\[1\].private_ip_addresses: '192.168.0.300' is not an IPv4",
        ),
        (lambda text: text.replace(f'"{ACCOUNT}"', "[1]"), r"account_id: \[1\] is not text"),
        (lambda text: text.replace("+00:00", ""), "made: '2026-01-01T00:00:00' is not a time with its zone"),
        (lambda text: text.replace("2026-01-01T", "yesterday "), "made: 'yesterday 00:00:00[+]00:00' is not a time"),
        (lambda text: "[]", "no plan or recipe in it"),
        (lambda text: "", "no plan or recipe in it"),
        (lambda text: "{}", "no plan or recipe in it"),
        (lambda text: "hello", "not a plan or recipe of this collection"),
        (lambda text: "[" * 100_000, "cannot be read"),
        (lambda text: "made: 2026-99-99T00:00:00", "cannot be read"),
        (lambda text: text + text[:40], "cannot be read"),
        (lambda text: text.replace('"region"', '"region": "cn-beijing", "region"'), "the key 'region' occurs twice"),
        (lambda text: text.replace('"ipv4_prefixes"', '"ipv4_prefixes": [], "ipv4_prefixes"'), "the key 'ipv4_prefixes' occurs twice"),
        # Two block documents without --- between them: plain YAML would take the second.
        (lambda text: yaml.safe_dump(json.loads(text)) * 2, "occurs twice"),
        (lambda text: yaml.safe_dump(json.loads(text)) + "1: 2\n", r"line \d+: the key '1' is not text"),
        (lambda text: yaml.safe_dump(json.loads(text)) + "? [a]\n: 2\n", "is not text"),
        (lambda text: yaml.safe_dump(json.loads(text)) + "? {a: b}\n: 2\n", "is not text"),
        (lambda text: {**json.loads(text), 5: "five"}, "the key 5 is not text"),
        (lambda text: [5], "not a plan or recipe of this collection"),
        (lambda text: 5, "not a plan or recipe of this collection"),
    ],
)
def test_a_damaged_document_is_a_clear_error(spoil, message):
    with pytest.raises(DocumentError, match=message):
        read_document(spoil(json.dumps(document().as_dict())))


# -- lines in the output

ENI_IDS = [f"eni-bp1{number:017}" for number in range(6)]
ADDRESSES = {
    "private_ip_addresses": st.integers(0, 300).map(lambda number: f"10.255.{100 + number // 256}.{number % 256}"),
    "ipv4_prefixes": st.integers(0, 200).map(lambda number: f"10.200.{number}.0/28"),
    "ipv6_addresses": st.integers(0x1000, 0x1100).map(lambda number: f"2001:db8:1111:2222:3333:4444:5555:{number:x}"),
    # Without a compressed part some look like a number of YAML 1.1, and are quoted.
    "ipv6_prefixes": st.integers(0x1000, 0x1100).map(lambda number: f"2001:db8:1111:2222:{number:x}::/80"),
}
RECORDS = st.fixed_dictionaries(
    {"eni_id": st.sampled_from(ENI_IDS)}, optional={name: st.lists(addresses, max_size=40) for name, addresses in ADDRESSES.items()}
)
DOCUMENTS = st.builds(
    make_document, st.lists(RECORDS, max_size=8), st.sampled_from(["cn-hangzhou", None]), st.sampled_from([ACCOUNT, None]), st.just(MADE)
)


@given(DOCUMENTS, st.sampled_from([None, (1, 1), (1, 20)]))
def test_lines_are_short_and_read_back_to_the_same(made, wave):
    lines = recipe_lines(made, "a" * 64, wave)
    assert all(len(line.encode()) <= 900 and "\n" not in line and '"' not in line for line in lines)
    if lines:
        back = read_document("\n".join(lines))
        assert (back.digest, back.made, back.plan) == (made.digest, MADE, "a" * 64)
    else:
        assert made.addresses == 0


@given(DOCUMENTS.filter(lambda made: len(recipe_lines(made, "a" * 64)) > 1), st.data())
def test_a_lost_line_is_noticed_and_named(made, data):
    lines = recipe_lines(made, "a" * 64)
    lost = data.draw(st.integers(0, len(lines) - 1))
    with pytest.raises(DocumentError, match=f"missing: part {lost + 1} of {len(lines)};"):
        read_document("\n".join([*lines[:lost], *lines[lost + 1 :]]))


def test_lines_use_the_room_that_they_have():
    made = of({eni_id: [f"10.255.{100 + number}.{100 + one}" for one in range(50)] for number, eni_id in enumerate(ENI_IDS)})
    lines = recipe_lines(made, made.digest, (1, 20))
    assert all(len(line) > 800 for line in lines[:-1])


WHOLE = of({eni_id: [f"10.255.{number}.{one}" for one in range(60)] for number, eni_id in enumerate(ENI_IDS)})
WAVES = [
    recipe_lines(of({eni_id: list(group_of["private_ip_addresses"])}), WHOLE.digest, (number, 6))
    for number, (eni_id, group_of) in enumerate(WHOLE.assignments.items(), 1)
]


def test_the_output_of_a_run_that_was_cut_off_is_whole_up_to_there():
    assert min(map(len, WAVES)) > 1
    shown = [line for lines in WAVES[:4] for line in lines]
    assert list(read_document("\n".join(shown)).assignments) == ENI_IDS[:4]
    assert read_document("\n".join(line for lines in WAVES for line in lines)).digest == WHOLE.digest


def test_a_lost_part_and_a_lost_wave_are_named():
    with pytest.raises(DocumentError, match="missing: wave 2 of 6, part 2 of 2 of wave 3 of 6;"):
        read_document("\n".join([*WAVES[0], *WAVES[2][:-1], *WAVES[3]]))


def test_the_output_of_two_runs_of_one_plan_may_be_given_together():
    """The second run divided the remaining addresses into other waves."""
    second = recipe_lines(of({ENI_IDS[2]: [f"10.255.2.{one}" for one in range(60)]}), WHOLE.digest, (1, 2))
    assert list(read_document("\n".join([*WAVES[0], *WAVES[1], *second])).assignments) == ENI_IDS[:3]


def test_lines_of_two_plans_are_refused():
    with pytest.raises(DocumentError, match="its documents differ in their plan: "):
        read_document("\n".join([*WAVES[0], *recipe_lines(WHOLE, "b" * 64)]))


@pytest.mark.parametrize("part", ["2 of 1", "0 of 1", "one"])
def test_a_part_without_number_and_total_is_an_error(part):
    (line,) = recipe_lines(document(), "a" * 64)
    with pytest.raises(DocumentError, match=f"part: '{part}' is not a number and a total"):
        read_document(line.replace("1 of 1", part))


@pytest.mark.parametrize(
    "around",
    [
        lambda line: f'ok: [localhost] => (item=1 of 2) => {{\n    "msg": "{line}"\n}}',
        lambda line: "ok: [localhost] =>\n    msg: '" + line.replace("'", "''") + "'",
        lambda line: "msg: '" + line.replace("'", "''").replace(" ", "\n        ") + "'",
        lambda line: f"TASK [x] ***\n{line}\nwave 1/2: eni-1\nRUN: {json.dumps({'recipe': document().as_dict()})}",
    ],
)
def test_lines_are_found_in_the_output_around_them(around):
    (line,) = recipe_lines(document(), "a" * 64)
    assert read_document(around(line)).digest == document().digest


@pytest.mark.parametrize("where", [slice(20, None), slice(None, -20), slice(10, 300), slice(-30, None)])
def test_a_line_that_is_cut_is_always_an_error(where):
    lines = recipe_lines(WHOLE, WHOLE.digest)
    with pytest.raises(DocumentError, match=r"is incomplete|missing: part 2 of"):
        read_document("\n".join([lines[0], f'    "msg": "{lines[1][where]}', *lines[2:]]))


# -- the recipe rule

PAIRS = st.sets(st.tuples(st.sampled_from(["eni-1", "eni-2", "eni-3"]), st.sampled_from([f"10.0.0.{number}" for number in range(5)])))


def by_eni(pairs: set[tuple[str, str]], also: tuple[str, ...] = ()) -> dict[str, list[str]]:
    return {
        eni_id: [address for of_eni, address in sorted(pairs) if of_eni == eni_id]
        for eni_id in {*also, *(eni_id for eni_id, _address in pairs)}
    }


@given(PAIRS, st.none() | PAIRS, PAIRS, PAIRS)
def test_the_recipe_is_the_plan_minus_what_is_proven_untouched(planned, left, sent, shown):
    plan = of(by_eni(planned))
    earlier = None if left is None else of(by_eni(left), plan=plan.digest)
    recipe = recipe_after(plan, earlier, by_eni(sent), by_eni(shown))
    assert set(recipe.pairs()) == {pair for pair in planned if pair in (left or ()) or pair in sent or pair not in shown}
    assert (recipe.region, recipe.account_id, recipe.plan) == (plan.region, plan.account_id, plan.digest)
    # It is a document like any other.
    assert read_document(recipe.as_dict()) == recipe


@given(PAIRS, PAIRS, st.lists(st.tuples(PAIRS, PAIRS), max_size=4))
def test_over_many_runs_no_address_that_was_ever_sent_leaves_the_recipe(planned, first, runs):
    plan = of(by_eni(planned))
    recipe, ever = None, set(first)
    for sent, shown in [(first, planned), *runs]:
        recipe = recipe_after(plan, recipe, by_eni(sent), by_eni(shown, ("eni-1", "eni-2", "eni-3")))
        ever |= sent
        assert ever & planned <= set(recipe.pairs()) <= planned


def test_before_the_first_write_the_recipe_is_the_whole_plan():
    recipe = recipe_after(WHOLE, None, {}, {}, made="2026-01-02T00:00:00+00:00")
    assert (recipe.assignments, recipe.made) == (WHOLE.assignments, "2026-01-02T00:00:00+00:00")


@pytest.mark.parametrize(
    ("earlier", "message"),
    [
        (document(region="cn-beijing", plan=document().digest), "its region is cn-beijing, but that of the plan is cn-hangzhou"),
        (document(account_id="1000000000000002", plan=document().digest), "its account_id is 1000000000000002, but that of the plan is"),
        (document(account_id=None, plan=document().digest), "its account_id is None"),
        # Before and after the digest of the plan.
        (document(plan="0" * 64), "it belongs to the plan 0{64}, not to"),
        (document(plan="f" * 64), "it belongs to the plan f{64}, not to"),
        (document(ASSIGNMENTS[:1]), "it belongs to the plan"),
    ],
)
def test_a_recipe_of_another_region_account_or_plan_is_never_merged(earlier, message):
    plan = document()
    if not earlier.plan or earlier.plan == "a" * 64:
        plan = of({"eni-9": ["10.0.0.1"]})
    with pytest.raises(DocumentError, match=message):
        recipe_after(plan, earlier, {}, {})


def test_the_documents_of_these_tests_have_every_kind():
    assert set(ADDRESSES) == set(KIND_BY_NAME)


@pytest.mark.parametrize("number", range(1, 7))
def test_a_large_document_is_published_packed_and_a_too_large_one_is_not(monkeypatch, number):
    monkeypatch.setattr(_documents, "MOST_PUBLISHED_PLAIN", 3)
    monkeypatch.setattr(_documents, "MOST_PUBLISHED", 5)
    made = of({"eni-1": [f"10.0.0.{last}" for last in range(1, number + 1)]})
    published = publishable(made)
    if number > 5:
        assert published is None
    elif number > 3:
        assert is_packed(published)
    else:
        assert published == made.as_dict(compact=True)


def test_a_key_that_comes_twice_in_packed_text_is_named():
    packed = PREFIX + base64.b64encode(zlib.compress(b'{"version": 1, "version": 1}')).decode()
    with pytest.raises(DocumentError, match=r"^the key 'version' occurs twice; remove one of them$"):
        read_document(packed)


@pytest.mark.parametrize("line", [1, 3])
def test_a_key_that_is_not_text_is_named_with_its_line(line):
    with pytest.raises(DocumentError, match=rf"^line {line}: the key '5' is not text; put it in quotes$"):
        read_document("".join(f"key{number}: 1\n" for number in range(1, line)) + "5: 1\n")


def test_packed_text_that_is_not_whole_says_so():
    with pytest.raises(DocumentError, match=r"^the packed text is incomplete, or was changed; copy the whole text$"):
        read_document(PREFIX + "AAAA")


@pytest.mark.parametrize(
    ("enis", "addresses"),
    [
        # Each list has its name in the line, and the lists are not in the order of their names.
        (40, ["10.0.0.1", "2001:db8:0:0:10::/80"]),
        (40, ["2001:db8::1111:2222"]),
        (1, [f"fd00::{number:x}" for number in range(1, 200)]),
    ],
)
@pytest.mark.parametrize("width", range(2, 20))
def test_no_line_is_too_long_however_many_lists_and_addresses_it_has(enis, addresses, width):
    made = of({f"eni-{number:0{width}}": addresses for number in range(enis)}, region=None, account_id=None, made="")
    lengths = list(map(len, recipe_lines(made, "")))
    assert max(lengths) <= LINE_BYTES
    assert min(lengths[:-1], default=LINE_BYTES) > 600


@pytest.mark.parametrize("name", ["version", "region", "account_id", "made", "plan", "digest", "eni_id", "private_ip_addresses"])
def test_a_number_with_too_many_digits_is_an_error(name):
    number = "0x" + "f" * 6000
    text = "version: 1\nregion: cn-hangzhou\nassignments:\n- eni_id: eni-1\n  private_ip_addresses: [10.0.0.1]\ndigest: x\n"
    found = re.sub(rf"({name}: ).*", rf"\g<1>{number}", text)
    with pytest.raises(DocumentError, match=r"too many digits|is not|is missing|but its content"):
        read_document(found if found != text else f"{text}{name}: {number}\n")


def test_an_error_shows_only_the_first_errors_of_a_document():
    with pytest.raises(DocumentError, match=r"and 980 more$"):
        read_document({"version": 1, "assignments": [{"eni_id": f"x{number}"} for number in range(1000)]})


def test_an_alias_is_an_error():
    with pytest.raises(DocumentError, match=r"an alias such as \*name cannot be used"):
        read_document("version: 1\nregion: &r cn-hangzhou\naccount_id: *r\nassignments: []\n")
