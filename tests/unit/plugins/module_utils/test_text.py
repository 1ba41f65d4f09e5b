# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._text import (
    LARGEST,
    first_few,
    is_blank,
    parse_number,
    shorten,
    text_or_none,
    texts_or_none,
    validate_guards,
    validate_numbers,
)


@pytest.mark.parametrize(("value", "text"), [(None, None), ("", None), (" \t", None), (" a ", "a"), (0, "0"), (False, "False")], ids=repr)
def test_a_blank_text_counts_as_not_given(value, text):
    assert text_or_none(value) == text


@pytest.mark.parametrize(
    ("values", "texts"), [(None, None), ([], []), (["", None, " "], None), ([" a", "", "b"], ["a", "b"]), ([7], ["7"])], ids=repr
)
def test_a_list_of_blanks_counts_as_not_given_and_an_empty_list_as_empty(values, texts):
    assert texts_or_none(values) == texts


@pytest.mark.parametrize(
    ("value", "blank"),
    [
        ("", True),
        (" ", True),
        ([""], True),
        ([None], True),
        (None, False),
        ([], False),
        (0, False),
        ("0", False),
        ([0], False),
        ({}, False),
    ],
    ids=repr,
)
def test_blank_values(value, blank):
    assert is_blank(value) == blank


def test_every_blank_guard_is_an_error_with_its_option_path():
    errors = []
    validate_guards(
        {"keep": [""], "within": "", "max_addresses": "3", "excluding": None, "other": ""},
        ("keep", "within", "max_addresses", "excluding"),
        errors,
    )
    assert [error.partition(": ")[0] for error in errors] == ["keep", "within"]
    assert all("is empty text" in error for error in errors)


@pytest.mark.parametrize(("value", "number"), [(None, None), (5, 5), ("5", 5), (" -5\n", -5), ("007", 7), (0, 0)], ids=repr)
def test_a_whole_number_may_be_a_text(value, number):
    errors = []
    assert parse_number("option", value, errors) == number
    assert errors == []


@pytest.mark.parametrize("value", ["five", "5.0", "--5", "-", "1_000", "0x10", "\u0665", "\u00b2", 5.5, True, False, [5], {}], ids=repr)
def test_a_value_that_is_not_a_whole_number_is_an_error_with_option_path_and_value(value):
    errors = []
    assert parse_number("option", value, errors) is None
    assert errors == [f"option: '{value}' is not a whole number such as 10"]


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (None, None),
        (0, None),
        (10, None),
        (-1, "a: -1 is too small; it must be 0 or more"),
        (11, "a: 11 is too large; it must be 10 or less"),
    ],
)
def test_a_number_must_be_in_its_range(number, error):
    errors = []
    validate_numbers({"a": number}, {"a": (0, 10)}, errors)
    assert errors == ([error] if error else [])


def test_a_number_without_a_limit_of_its_own_is_large_at_most():
    errors = []
    validate_numbers({"a": LARGEST, "b": LARGEST + 1}, {"a": (0, None), "b": (0, None)}, errors)
    assert errors == ["b: 2147483648 is too large; it must be 2147483647 or less"]


@pytest.mark.parametrize("digits", [21, 400, 5000])
def test_a_text_with_very_many_digits_is_an_error_that_is_short(digits):
    errors = []
    assert parse_number("a", "9" * digits, errors) is None
    assert errors == [f"a: 99999999999999999999… ({digits} digits) is too large; it must be 2147483647 or less"]


@pytest.mark.parametrize(
    ("number", "end"),
    [(10**399, "0… (400 digits) is too large; it must be 10 or less"), (-(10**399), "… (400 digits) is too small; it must be 0 or more")],
)
def test_a_number_with_very_many_digits_is_an_error_that_is_short(number, end):
    errors = []
    validate_numbers({"a": number}, {"a": (0, 10)}, errors)
    (error,) = errors
    assert error.endswith(end)
    assert len(error) < 100


def test_long_lists_are_shortened_and_say_how_much_is_left_out():
    assert shorten(["a", "b"]) == "a, b"
    assert shorten("abcde") == "a, b, c, d, e"
    assert shorten("abcdefg") == "a, b, c, d, e and 2 more"
    assert first_few(["a", "b"], 2) == ["a", "b"]
    assert first_few(["a", "b", "c"], 2) == ["a", "b", "and 1 more"]
