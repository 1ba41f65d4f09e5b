# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import textwrap
import zlib

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import group
from ansible_collections.alicloud_ops.network.plugins.plugin_utils import _packing
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import (
    Document,
    DocumentError,
    make_document,
    publishable,
    read_document,
)
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._packing import PREFIX, is_packed, pack, unpack


def document(enis: int, each: int = 1, plan: str = "") -> Document:
    def addresses(number: int) -> list[str]:
        return [f"10.{number // 60000}.{number // 240 % 250}.{number % 240 + one}" for one in range(each)]

    records = [{"eni_id": f"eni-x{number:06}", **group(addresses(number))} for number in range(enis)]
    return make_document(records, "cn-hangzhou", "1000000000000001", "2026-01-01T00:00:00+00:00", plan)


@pytest.mark.parametrize("value", [{}, [], {"a": [1, "ü {{ x }}", None, True]}, "text", ["'\"\n"]])
def test_a_value_is_read_back_from_one_line_that_does_not_look_like_a_template(value):
    text = pack(value)
    assert is_packed(text)
    assert unpack(text) == [value]
    assert not set(text) & set("{}'\"\n %#")


def test_line_breaks_and_several_texts_do_not_matter():
    one, two = pack({"a": 1}), pack([2])
    folded = "\n".join(textwrap.wrap(one, 20))
    assert unpack(f"  {folded}\n{two}\n") == unpack(f"{one},{two}") == [{"a": 1}, [2]]


def test_a_text_that_is_not_whole_or_was_changed_is_an_error():
    whole = pack(document(200).as_dict())
    data = base64.b64decode(whole.removeprefix(PREFIX))
    wrong = bytearray(data)
    wrong[-1] ^= 1  # the checksum
    for text in (whole[:-40], whole[:-41], whole + "A", PREFIX, PREFIX + base64.b64encode(bytes(wrong)).decode(), whole + " and more"):
        with pytest.raises(ValueError, match="whole"):
            unpack(text)
        with pytest.raises(DocumentError):
            read_document(text)


def test_a_small_text_that_unpacks_to_a_huge_one_is_an_error(monkeypatch):
    monkeypatch.setattr(_packing, "MOST_BYTES", 1000)
    bomb = PREFIX + base64.b64encode(zlib.compress(b'"' + b"0" * 2000 + b'"')).decode()
    with pytest.raises(ValueError, match="would have more than 1000 bytes"):
        unpack(bomb)


def test_a_key_that_comes_twice_is_an_error_in_packed_text_too():
    twice = json.dumps(document(1).as_dict())[:-1] + ', "region": "cn-beijing"}'
    with pytest.raises(DocumentError, match="the key 'region' occurs twice"):
        read_document(PREFIX + base64.b64encode(zlib.compress(twice.encode())).decode())


@pytest.mark.parametrize(("enis", "kind"), [(2_000, dict), (2_001, str)])
def test_a_document_is_published_in_the_simplest_form_that_fits(enis, kind):
    made = document(enis)
    published = publishable(made)
    assert isinstance(published, kind)
    artifacts = {"unassign_secondary_ips_plan": published, "other": 1}
    for given in (published, artifacts, json.dumps(artifacts)):
        assert read_document(given, published_as="unassign_secondary_ips_plan") == made


def test_the_largest_document_that_is_published():
    made = document(10_000, each=10)
    assert read_document(publishable(made)).digest == made.digest
    assert publishable(document(10_001, each=10)) is None


def test_the_recipes_of_slices_become_one():
    whole = document(6)
    records = whole.as_dict()["assignments"]
    parts = [make_document(records[at : at + 3], whole.region, whole.account_id, whole.made, whole.digest) for at in (0, 3)]
    artifacts = {f"secondary_ips_slice_{number}": {"recipe": pack(part.as_dict())} for number, part in enumerate(parts)}
    artifacts["secondary_ips_slice_9"] = {"recipe": None}
    joined = read_document(json.dumps({**artifacts, "more": 1}), published_as="restore_secondary_ips_recipe")
    assert joined.assignments == whole.assignments
    assert joined.whole_digest == whole.digest
    # That of the last step comes first.
    last = read_document({**artifacts, "restore_secondary_ips_recipe": parts[0].as_dict()}, published_as="restore_secondary_ips_recipe")
    assert last == parts[0]


def test_brackets_too_deep_for_the_parser_are_an_error():
    with pytest.raises(ValueError, match="too many brackets"):
        unpack(PREFIX + base64.b64encode(zlib.compress(b"[" * 100_000 + b"]" * 100_000)).decode())
