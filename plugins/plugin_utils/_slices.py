# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: a plan that several runs share. Each slice changes the ENIs of its hosts, and the last step puts the parts together.

Private to this collection. A slice does not know its number, so its name is a hash of its hosts. No host is in two slices, so the
name is unique.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.alicloud_ops.network.plugins.module_utils._options import LEAST_PACE
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import shorten
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import (
    SLICE_ARTIFACT,
    Document,
    DocumentError,
    publishable,
    read_document,
)
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import many
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._merged_report import merge_reports
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._packing import pack, unpack

VERSION = 1
FINISHED = ("done", "nothing to do")
_CHANGED = (LookupError, TypeError, AttributeError)  # what a changed artifact raises
_NOT_OF_A_SLICE = "it is not what a slice of this collection publishes"
MOST_ROWS_BYTES = 1_000_000  # of the packed rows of one slice; with more, it publishes its counts without its rows


@dataclass(frozen=True)
class Part:
    """A slice of an approved plan. ``plan``: the whole plan."""

    name: str
    plan: Document


def slice_name(hosts: Iterable[str]) -> str:
    """12 hex digits that are the same for the same hosts, whatever their order."""
    return hashlib.sha256("\n".join(sorted(set(hosts))).encode()).hexdigest()[:12]


def take_part(plan: Document, hosts: Iterable[str]) -> tuple[Document, Part]:
    """The part of the plan for the ENIs in ``hosts``. Hosts that are not in the plan are ignored."""
    names = set(hosts)
    mine = {eni_id: addresses for eni_id, addresses in plan.assignments.items() if eni_id in names}
    return replace(plan, assignments=mine, plan=plan.digest), Part(slice_name(names), plan)


def share_pace(calls_per_minute: int, slices: int) -> int:
    """The calls per minute of each of several runs at the same time. 0 is no limit. ValueError if that is too slow for a plan."""
    if calls_per_minute == 0:
        return 0
    share = calls_per_minute // slices
    if share < LEAST_PACE:
        raise ValueError(
            f"{calls_per_minute} calls per minute over {slices} slices are fewer than {LEAST_PACE} for each; use fewer slices, "
            "or raise calls_per_minute"
        )
    return share


def part_line(part: Part, document: Document) -> str:
    return (
        f"slice {part.name}: {document.addresses} of {part.plan.addresses} addresses, {len(document.assignments)} of "
        f"{len(part.plan.assignments)} ENIs of the approved plan {part.plan.digest}"
    )


def artifact(part: Part, document: Document, report: Mapping[str, Any], recipe: Document | None) -> dict[str, Any]:
    """What a slice publishes: {artifact name: value}. Each slice has a name of its own, because AWX keeps one value for each name."""
    rows = pack(report["interfaces"])
    shown = {name: value for name, value in report.items() if name not in ("interfaces", "recipe")}
    value = {
        "version": VERSION,
        "slice": part.name,
        "plan": part.plan.digest,
        "outcome": report["outcome"],
        "enis": pack([*document.assignments]),
        "report": pack(shown),
        "rows": rows if len(rows) <= MOST_ROWS_BYTES else "",
        "recipe": publishable(recipe) if recipe and recipe.addresses else None,
    }
    return {SLICE_ARTIFACT + part.name: value}


@dataclass(frozen=True)
class Merged:
    """All slices as one run. ``errors``: why the plan is not done."""

    report: dict[str, Any]
    recipe: Document | None
    errors: list[str]


def merge(plan: Document, artifacts: Mapping[str, Any]) -> Merged:
    """Put the parts together. ``artifacts``: those of all jobs, by name. DocumentError if one of them cannot be read."""
    parts = [_read_part(name, value) for name, value in sorted(artifacts.items()) if name.startswith(SLICE_ARTIFACT)]
    mine = [part for part in parts if part["plan"] == plan.digest]
    errors = [f"slice {part['slice']}: it belongs to the plan {part['plan']}, not to {plan.digest}" for part in parts if part not in mine]
    counts = Counter(eni_id for part in mine for eni_id in part["enis"])
    if lacking := [eni_id for eni_id in plan.assignments if eni_id not in counts]:
        errors.append(
            f"{len(lacking)} of {len(plan.assignments)} ENIs of the plan are in no slice that reported: {shorten(lacking)}. Either a slice "
            "was cancelled, or the inventory lacks them"
        )
    if doubles := [eni_id for eni_id, number in counts.items() if number > 1]:
        errors.append(f"{many(len(doubles), 'ENI')} in more than one slice: {shorten(doubles)}")
    if strangers := [eni_id for eni_id in counts if eni_id not in plan.assignments]:
        errors.append(f"{many(len(strangers), 'ENI')} not in the plan: {shorten(strangers)}")
    report = _merge_reports(mine)
    errors += [f"slice {part['slice']}: {_describe(part['report'])}" for part in mine if part["outcome"] not in FINISHED]
    recipes = [part["recipe"].as_dict(compact=True) for part in mine if part["recipe"]]
    recipe = read_document(recipes) if recipes else None
    return Merged(report, recipe, errors)


def _describe(report: Mapping[str, Any]) -> str:
    return f"{report['outcome']}: {'; '.join(report['refusals']) or report['stopped'] or report['headline']}"


def _read_part(name: str, value: Any) -> dict[str, Any]:
    try:
        if not isinstance(value, Mapping) or value.get("version") != VERSION:
            raise ValueError(_NOT_OF_A_SLICE)
        part = dict(value)
        for key, read in (("enis", _unpack), ("report", _unpack), ("rows", _unpack), ("recipe", read_document)):
            try:
                part[key] = read(part[key]) if part[key] else []
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        part["enis"] = [*map(str, part["enis"])]
        part["report"] = {**part["report"], "interfaces": part["rows"], "recipe": None}
        _describe(part["report"])
        return {"name": name, **{key: part[key] for key in ("slice", "plan", "outcome", "enis", "report", "recipe")}}
    except ValueError as error:
        raise DocumentError(f"{name}: {error}") from None
    except _CHANGED:
        raise DocumentError(f"{name}: {_NOT_OF_A_SLICE}") from None


def _unpack(text: str) -> Any:
    return unpack(text)[0]


def _merge_reports(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """DocumentError if a report was changed. Then each part is also merged alone, to find the artifact that was changed."""
    try:
        return merge_reports([part["report"] for part in parts]) if parts else {}
    except (*_CHANGED, ValueError):
        if len(parts) > 1:
            for part in parts:
                _merge_reports([part])
        raise DocumentError(f"{', '.join(part['name'] for part in parts)}: {_NOT_OF_A_SLICE}") from None
