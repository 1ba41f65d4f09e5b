# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: blank values, ranges of numbers, and short lists for messages.

Private to this collection. An ``errors`` list collects all errors of a request, each with its option path, so that the user sees
all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# For numbers without a limit of their own. Clocks and floating-point numbers have limits, and more is a typing error.
LARGEST = 2**31 - 1


def text_or_none(value: Any) -> str | None:
    """The stripped text. None for null and for a blank text, because both count as not set."""
    stripped = str(value).strip() if value is not None else ""
    return stripped or None


def texts_or_none(values: list[Any] | None) -> list[str] | None:
    """The stripped texts. ``[]`` stays an empty list. None for null and for a list of blanks, because both count as not set."""
    if values is None:
        return None
    texts = [text for text in map(text_or_none, values) if text]
    return texts if texts or not values else None


def is_blank(value: Any) -> bool:
    """Whether the value is ``''`` or a list of blanks. Null and ``[]`` are not blank."""
    if isinstance(value, list):
        return bool(value) and texts_or_none(value) is None
    return isinstance(value, str) and not value.strip()


def name_blanks(params: Mapping[str, Any], names: Iterable[str]) -> str:
    """The end of an error about something that is not set: which of these were set, but to empty text. ``names``: keys of ``params``."""
    blank = [name for name in names if is_blank(params.get(name))]
    return f"; {' and '.join(blank)} {'is' if len(blank) == 1 else 'are'} empty text" if blank else ""


def validate_guards(params: Mapping[str, Any], guards: Iterable[str], errors: list[str]) -> None:
    """A blank guard is an error, and so is a blank entry, because a guard must never vanish with an empty variable."""
    for guard in guards:
        value = params[guard]
        entries = value if isinstance(value, list) and not is_blank(value) else []
        blank = [guard] * is_blank(value) + [f"{guard}[{index}]" for index, entry in enumerate(entries) if text_or_none(entry) is None]
        errors.extend(f"{path}: is empty text, so this guard would have no effect; set a value, or leave it out" for path in blank)


def validate_selectors(params: Mapping[str, Any], selectors: Iterable[str], errors: list[str]) -> None:
    """Each selector narrows the selection, so a blank one next to others would widen it."""
    errors.extend(f"{name}: is empty text; set a value, or leave it out" for name in selectors if is_blank(params[name]))


def parse_number(option_path: str, value: Any, errors: list[str]) -> int | None:
    """A whole number, as a number or as text. None for null, and for a wrong value, which is added to ``errors``."""
    if value is None:
        return None
    text = _as_text(value).strip()
    if isinstance(value, bool) or not text.removeprefix("-").isdecimal() or not text.isascii():
        errors.append(f"{option_path}: '{text}' is not a whole number such as 10")
        return None
    if len(text.lstrip("-0")) > len(str(LARGEST)):  # int() refuses thousands of digits
        errors.append(_too_large(option_path, text, LARGEST))
        return None
    return int(text)


def _as_text(value: Any) -> str:
    try:
        return str(value)
    except ValueError:  # Python refuses to show such a number
        return "a number with thousands of digits"


def validate_numbers(params: Mapping[str, Any], ranges: Mapping[str, tuple[int, int | None]], errors: list[str]) -> None:
    """``ranges``: option path → lowest and highest allowed number. None stands for LARGEST."""
    for name, (least, own_most) in ranges.items():
        number, most = params[name], LARGEST if own_most is None else own_most
        if number is not None and number < least:
            errors.append(f"{name}: {_shorten_digits(number)} is too small; it must be {least} or more")
        elif number is not None and number > most:
            errors.append(_too_large(name, number, most))


def _too_large(option_path: str, number: int | str, most: int) -> str:
    return f"{option_path}: {_shorten_digits(number)} is too large; it must be {most} or less"


def _shorten_digits(number: int | str) -> str:
    text = str(number)
    return text if len(text) <= 20 else f"{text[:20]}… ({len(text.lstrip('-'))} digits)"


def shorten(items: Iterable[str], most: int = 5) -> str:
    """The first items and the number of further ones, on one line."""
    listed = list(items)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def first_few(lines: Sequence[str], most: int) -> list[str]:
    """The first lines, and a last line with the number of further ones."""
    return [*lines[:most], *([f"and {len(lines) - most} more"] if len(lines) > most else [])]
