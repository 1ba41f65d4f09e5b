# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two ways to page through a list: tokens (MaxResults, NextToken), and the older pages (PageNumber, PageSize)."""

from __future__ import annotations

import base64
import json
import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ecs_emulator.context import Context
from ecs_emulator.errors import refusal

T = TypeVar("T")
DEFAULT_SIZE = 10


@dataclass(frozen=True)
class Limits:
    least: int
    most: int
    most_by_page: int


@dataclass(frozen=True)
class Page(Generic[T]):
    rows: list[T]
    # NextToken, PageNumber, PageSize, TotalCount as in the reply.
    fields: dict[str, Any]


def page(
    context: Context, action: str, candidates: Sequence[int], look: Callable[[int], T | None], limits: Limits, *, bad_token: str = ""
) -> Page[T]:
    """The requested page of the candidates (in ascending positions). look() returns the row at a position, or None if it does not match."""
    parameters = context.parameters
    by_token = bool(parameters.text("MaxResults") or parameters.text("NextToken"))
    by_page = bool(parameters.text("PageNumber") or parameters.text("PageSize"))
    if by_token or (not by_page and context.switches["default_paging"] == "tokens"):
        return _by_token(context, action, candidates, look, limits, bad_token)
    return _by_page(context, candidates, look, limits)


def _by_token(
    context: Context, action: str, candidates: Sequence[int], look: Callable[[int], T | None], limits: Limits, bad_token: str
) -> Page[T]:
    asked = context.parameters.number("MaxResults")
    size = min(asked, limits.most) if asked is not None and asked >= limits.least else DEFAULT_SIZE
    token = context.parameters.text("NextToken")
    start = _position(action, token, bad_token) if token else 0
    short = context.switches["token_pages"] == "short"
    if short:
        size = random.Random(f"{action}:{start}").randint(1, size)
    rows: list[T] = []
    following: int | None = None
    for position in candidates[bisect_left(candidates, start) :]:
        row = look(position)
        if row is None:
            continue
        if len(rows) == size:
            following = position
            break
        rows.append(row)
        if short:
            # A token after every shown row, so that the next page may be empty.
            following = position + 1
        if short and len(rows) == size:
            break
    # In this mode the count is wrong, so that a client that uses it fails.
    fields: dict[str, Any] = {"TotalCount": 0, "PageNumber": 1, "PageSize": DEFAULT_SIZE}
    if following is not None:
        fields["NextToken"] = _token(action, following)
    elif context.switches["last_token"] == "empty":
        fields["NextToken"] = ""
    return Page(rows, fields)


def _by_page(context: Context, candidates: Sequence[int], look: Callable[[int], T | None], limits: Limits) -> Page[T]:
    number = context.parameters.number("PageNumber")
    size = context.parameters.number("PageSize")
    number, size = 1 if number is None else number, DEFAULT_SIZE if size is None else size
    if number < 1:
        raise refusal("InvalidParameter", "PageNumber")
    if not 1 <= size <= limits.most_by_page:
        raise refusal("InvalidParameter", "PageSize")
    rows = [row for row in map(look, candidates) if row is not None]
    fields: dict[str, Any] = {"TotalCount": len(rows), "PageNumber": number, "PageSize": size}
    if context.switches["last_token"] == "empty":
        fields["NextToken"] = ""
    return Page(rows[(number - 1) * size : number * size], fields)


def _token(action: str, position: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([action, position]).encode()).decode().rstrip("=")


def _position(action: str, token: str, bad_token: str) -> int:
    try:
        of_action, position = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError:
        of_action, position = "", 0
    if of_action != action or not isinstance(position, int):
        raise refusal(bad_token) if bad_token else refusal("InvalidParameter", "NextToken")
    return position
