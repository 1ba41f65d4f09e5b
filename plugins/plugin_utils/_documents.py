# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans and recipes: the document, the rule for the recipe, and the forms in which a document is written and read.

Private to this collection. A document, as JSON or YAML: ``{version, region, account_id, made, digest, plan, assignments}``. ``plan`` is
the digest of the plan that a recipe belongs to; a plan does not have it. Each error says what is wrong and what would be right.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import yaml

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import (
    EMPTY,
    KIND_BY_NAME,
    AddressSet,
    count,
    flatten,
    group,
    kind_of,
    make_address_set,
    union,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import ENI_ID, parse_each
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import first_few, shorten
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import parse_time
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._packing import is_packed, pack, unpack

VERSION = 1
DIGEST = re.compile(r"[0-9a-f]{64}")
LINE_BYTES = 900  # of the 1,024 that AWX shows of an event; the rest is for what a callback plugin puts around the line
# AWX keeps published documents in its database, and passes them to every later job of a workflow.
MOST_PUBLISHED_PLAIN, MOST_PUBLISHED = 2_000, 100_000  # addresses
MOST_ERRORS = 20  # of one document that an error shows
SLICE_ARTIFACT = "secondary_ips_slice_"  # with the name of the slice after it: the artifact of a slice

# A document in flow style, as ``recipe_lines`` writes it, and signs of a part of such a document.
_SHOWN = re.compile(r"\{version:\s(?:(?!\{version:).)*?\}\s*\]\s*\}", re.S)
_CUT = re.compile(r"""\{\s*version:|\beni_id:|assignments:|[^"\s\[]\]\}\]\}""")
_NO_DOCUMENT = "it is not a plan or recipe of this collection, which has version, region, account_id, digest and assignments"
_NEEDS_NO_QUOTES = re.compile(r"[a-z]+-[A-Za-z0-9-]*[A-Za-z0-9]|(\d+\.){3}\d+(/\d+)?|\d+ of \d+")  # ids, IPv4, parts
_PART = re.compile(r"([1-9]\d*) of ([1-9]\d*)")


class DocumentError(ValueError):
    """The text or value is not a valid plan or recipe."""


def plain(value: Any) -> Any:
    """Ansible's tagged and lazy values as ordinary ones."""
    if isinstance(value, Mapping):
        return {plain(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return [plain(entry) for entry in value] if isinstance(value, Sequence) else value


@dataclass(frozen=True)
class Document:
    """A plan or a recipe. ``assignments``: ENI → its addresses, sorted by ENI, without empty ones. ``made``: UTC, ISO 8601; empty in
    a recipe whose run has not ended, so that nobody knows when its last write was."""

    region: str | None
    account_id: str | None
    assignments: Mapping[str, AddressSet]
    made: str
    plan: str = ""

    @cached_property
    def digest(self) -> str:
        """The sha256 of region, account and assignments. The time is not a part of it."""
        bound = {"region": self.region, "account_id": self.account_id, "assignments": self._records(compact=False)}
        return hashlib.sha256(json.dumps(bound, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def whole_digest(self) -> str:
        """The digest of the plan that this document is, or that it is a part of."""
        return self.plan or self.digest

    @cached_property
    def addresses(self) -> int:
        return sum(map(count, self.assignments.values()))

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Each ENI id with each of its addresses."""
        return ((eni_id, address) for eni_id, addresses in self.assignments.items() for address in flatten(addresses))

    def as_dict(self, compact: bool = False) -> dict[str, Any]:
        """``compact`` leaves out empty lists. ``read_document`` reads both."""
        where = {"version": VERSION, "region": self.region, "account_id": self.account_id}
        where |= {name: text for name, text in (("made", self.made), ("plan", self.plan)) if text}
        return {**where, "digest": self.digest, "assignments": self._records(compact)}

    def _records(self, compact: bool) -> list[dict[str, Any]]:
        return [
            {"eni_id": eni_id, **{name: list(entries) for name, entries in addresses.items() if entries or not compact}}
            for eni_id, addresses in self.assignments.items()
        ]


def publishable(document: Document) -> Any:
    """The document as an artifact of a job: a mapping, packed if it is large; None if it is too large."""
    value = document.as_dict(compact=True) if document.addresses <= MOST_PUBLISHED else None
    return pack(value) if value and document.addresses > MOST_PUBLISHED_PLAIN else value


def make_document(
    assignments: Iterable[Mapping[str, Any]], region: str | None, account_id: str | None, made: str, plan: str = ""
) -> Document:
    """The document of these assignments, whose addresses are canonical."""
    by_eni: dict[str, AddressSet] = {}
    for entry in assignments:
        addresses = make_address_set({name: entry.get(name) or () for name in KIND_BY_NAME})
        by_eni[entry["eni_id"]] = union(by_eni.get(entry["eni_id"], EMPTY), addresses)
    return Document(region, account_id, {eni_id: found for eni_id, found in sorted(by_eni.items()) if count(found)}, made, plan)


def recipe_after(
    plan: Document,
    earlier: Document | None,
    sent: Mapping[str, Collection[str]],
    last_read: Mapping[str, Collection[str]],
    made: str = "",
) -> Document:
    """The recipe: the plan without what is proven untouched. An address is untouched if it is not in ``earlier`` (the recipe that
    earlier runs of this plan left), this run never sent a write that names it, and the last read of its ENI shows it still assigned.

    ``sent`` and ``last_read``: ENI → addresses. An ENI that is not in ``last_read`` was not read. While a run may still write,
    ``last_read`` must not have the ENIs of the waves to come, because a read proves nothing about a later write.
    """
    if earlier:
        for name in ("region", "account_id"):
            theirs, ours = getattr(earlier, name), getattr(plan, name)
            if theirs != ours:
                raise DocumentError(f"its {name} is {theirs}, but that of the plan is {ours}; the two are never joined")
        if earlier.whole_digest != plan.whole_digest:
            raise DocumentError(f"it belongs to the plan {earlier.whole_digest}, not to {plan.whole_digest}; the two are never joined")
    left: dict[str, AddressSet] = {}
    for eni_id, addresses in plan.assignments.items():
        touched = {*sent.get(eni_id, ()), *flatten(earlier.assignments.get(eni_id, EMPTY) if earlier else EMPTY)}
        untouched = set(last_read.get(eni_id, ())).difference(touched)
        kept = {name: tuple(entry for entry in entries if entry not in untouched) for name, entries in addresses.items()}
        if count(kept):
            left[eni_id] = kept
    return Document(plan.region, plan.account_id, left, made, plan.whole_digest)


# -- documents in the output of a run


def recipe_lines(document: Document, plan_digest: str, wave: tuple[int, int] | None = None, slice_name: str = "") -> list[str]:
    """The document in lines that AWX shows whole, each a document of its own. ``wave``: its number, and of how many. ``slice_name``:
    of the slice, if several runs share the plan.

    In YAML flow style and without double quotes, which callback plugins would escape. Each line says which part it is, of which
    plan, wave and whole, so that ``read_document`` notices a line that is lost.
    """
    where = {"version": VERSION, "region": document.region, "account_id": document.account_id, "plan": plan_digest}
    where |= {"made": document.made} if document.made else {}
    where |= {"slice": slice_name} if slice_name else {}
    where |= {"wave": f"{wave[0]} of {wave[1]}"} if wave else {}
    free = LINE_BYTES - len(_flow({**where, "part": "99999 of 99999", "whole": "0" * 12, "digest": "0" * 64, "assignments": []}))
    parts: list[dict[str, list[str]]] = []
    room, last = 0, ("", "")
    for eni_id, address in document.pairs():
        in_list, of_list = len(address) + 4, len(eni_id) + len(kind_of(address).name) + 26  # with quotes, brackets and separators
        size = in_list if last == (eni_id, kind_of(address).name) else in_list + of_list
        if size > room:
            parts.append({})
            size, room = in_list + of_list, free
        parts[-1].setdefault(eni_id, []).append(address)
        room, last = room - size, (eni_id, kind_of(address).name)
    lines = []
    for number, part in enumerate(parts, 1):
        made = Document(document.region, document.account_id, {eni_id: group(of_eni) for eni_id, of_eni in part.items()}, document.made)
        place = {"part": f"{number} of {len(parts)}", "whole": document.digest[:12], "digest": made.digest}
        lines.append(_flow({**where, **place, "assignments": made.as_dict(compact=True)["assignments"]}))
    return lines


def _flow(value: Any) -> str:
    """YAML in flow style, about ten times as fast as ``yaml`` makes it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    return value if _NEEDS_NO_QUOTES.fullmatch(value) else "'" + value.replace("'", "''") + "'"


def _find_gaps(documents: Iterable[Mapping[str, Any]]) -> list[str]:
    """The parts and waves that are missing. A wave after the last one that is there may not have begun. Each slice has its own."""
    seen: dict[tuple[str, str, int], set[int]] = {}
    for document in documents:
        slice_name = f" of slice {document['slice']}" if "slice" in document else ""
        wave = f" of wave {document['wave']}{slice_name}" if "wave" in document else ""
        for name, whole, suffix in (("part", document.get("whole"), wave), ("wave", "", slice_name)):
            if name in document:
                found = _PART.fullmatch(str(document[name]))
                if not found or int(found[1]) > int(found[2]):
                    raise DocumentError(f"{name}: '{document[name]}' is not a number and a total such as '1 of 3'")
                seen.setdefault((name, f"{suffix} {whole}", int(found[2])), set()).add(int(found[1]))
    return [
        f"{name} {number} of {of}{suffix.rpartition(' ')[0]}"
        for (name, suffix, of), numbers in seen.items()
        for number in range(1, (of if name == "part" else max(numbers)) + 1)
        if number not in numbers
    ]


# -- reading documents


class StrictLoader(yaml.SafeLoader):
    """A key that occurs twice, or that is not text, is an error. Plain YAML keeps the last of two keys. So is an alias, with which a
    small text can stand for any amount of memory."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise DocumentError("an alias such as *name cannot be used; write out the value")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        odd = next((key for key, _value in node.value if key.tag != "tag:yaml.org,2002:str"), None)
        if odd:
            raise DocumentError(f"line {odd.start_mark.line + 1}: the key {odd.value!r} is not text; put it in quotes")
        without_doubles([(key.value, value) for key, value in node.value])
        return super().construct_mapping(node, deep)


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping of JSON or YAML. Two entries with the same key are an error; the parsers would keep the last one."""
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _value in pairs]
        raise DocumentError(f"the key '{next(key for key in keys if keys.count(key) > 1)}' occurs twice; remove one of them")
    return made


def read_document(given: Any, published_as: str = "") -> Document:
    """A saved document, checked. Several of one region, account and plan become one.

    ``given``: a mapping, a list of mappings, JSON (one or more), YAML, packed text, what the output of a run shows before its waves,
    or the artifacts of a job, in which ``published_as`` names the document. Those of slices have one document each.
    """
    try:
        return _read_document(given, published_as)
    except DocumentError:
        raise
    except ValueError:  # Python refuses to show such a number
        raise DocumentError("it has a value that cannot be read, such as a number with too many digits") from None


def _read_document(given: Any, published_as: str) -> Document:
    found = [inner for outer in _parse(plain(given)) for each in _published(outer, published_as) for inner in _parse(each)]
    documents = [_check_document(document) for document in found]
    if not documents:
        raise DocumentError("there is no plan or recipe in it")
    first = documents[0]
    for name in ("region", "account_id", "plan"):
        values = dict.fromkeys(str(getattr(document, name) or (document.digest if name == "plan" else None)) for document in documents)
        if len(values) > 1:
            raise DocumentError(f"its documents differ in their {name}: {', '.join(values)}; use only documents with the same {name}")
    if gaps := _find_gaps(found):
        raise DocumentError(f"missing: {shorten(gaps)}; copy all lines that the run shows")
    if len(documents) == 1:
        return first
    records = [record for document in documents for record in document.as_dict()["assignments"]]
    times = [document.made for document in documents]
    plan = max(document.plan for document in documents)
    return make_document(records, first.region, first.account_id, max(times) if all(times) else "", plan)


def _published(outer: Mapping[str, Any], name: str) -> list[Any]:
    """The documents in the artifacts of a job. Anything else is returned as it is."""
    if name and outer.get(name):
        return [outer[name]]
    slices = [value for key, value in outer.items() if str(key).startswith(SLICE_ARTIFACT) and isinstance(value, Mapping)]
    return [value.get("recipe") for value in slices] if slices else [outer]


def _parse(given: Any) -> list[Mapping[str, Any]]:
    try:
        found = _parse_text(given.strip()) if isinstance(given, str) else given if isinstance(given, list) else [given] if given else []
    except DocumentError:
        raise
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else getattr(error, "lineno", 1)
        forms = "JSON, or as YAML with --- between two documents, or the lines that a run shows"
        raise DocumentError(f"line {line} cannot be read; copy the complete text, as {forms}") from None
    if not all(isinstance(document, Mapping) for document in found):
        raise DocumentError(_NO_DOCUMENT)
    return found


def _parse_text(text: str) -> list[Any]:
    if is_packed(text):
        try:
            return unpack(text, without_doubles)
        except ValueError as error:
            raise DocumentError(str(error)) from None
    if _SHOWN.search(text):
        # Lines of an output, with other text around and between them; a callback plugin may have folded them and doubled quotes.
        joined = re.sub(r"\s+", " ", text).replace("''", "'")
        if _CUT.search(_SHOWN.sub("", joined)):
            raise DocumentError("one of its lines is incomplete; copy each line from its first { to its last }")
        return [yaml.load(shown, StrictLoader) for shown in _SHOWN.findall(joined)]  # noqa: S506 - a SafeLoader that refuses more
    if not text.startswith(("{", "[")):
        return [document for document in yaml.load_all(text, StrictLoader) if document is not None]
    found: list[Any] = []
    while text:
        document, end = json.JSONDecoder(object_pairs_hook=without_doubles).raw_decode(text)
        found.extend(document if isinstance(document, list) else [document])
        text = text[end:].lstrip(" \t\r\n,")
    return found


def _check_document(given: Mapping[str, Any]) -> Document:
    if not isinstance(given.get("assignments"), list):
        raise DocumentError(_NO_DOCUMENT)
    if given.get("version") is True or given.get("version") != VERSION:
        raise DocumentError(f"version: it is {given.get('version')!r}, but this collection reads version {VERSION}")
    errors = [f"the key {key!r} is not text" for key in given if not isinstance(key, str)]
    texts = {name: given.get(name) for name in ("region", "account_id", "made", "plan")}
    for name, value in texts.items():
        # YAML reads a time and the number of an account as such, if their quotes are lost.
        texts[name] = value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, int) else value
        if not isinstance(texts[name], str | None):
            errors.append(f"{name}: {value!r} is not text")
    if isinstance(texts["made"], str) and texts["made"] and not parse_time(texts["made"]):
        errors.append(f"made: '{texts['made']}' is not a time with its zone, such as 2026-01-01T00:00:00+00:00")
    records = [_check_record(f"assignments[{index}]", record, errors) for index, record in enumerate(given["assignments"])]
    if errors:
        raise DocumentError("; ".join(first_few(errors, MOST_ERRORS)))
    checked = make_document(records, texts["region"], texts["account_id"], texts["made"] or "", texts["plan"] or "")
    if checked.digest != given.get("digest"):
        raise DocumentError(f"its digest is {given.get('digest')}, but its content has {checked.digest}; it was changed, or is incomplete")
    return checked


def _check_record(option_path: str, record: Any, errors: list[str]) -> Mapping[str, Any]:
    if not isinstance(record, Mapping) or not ENI_ID.fullmatch(str(record.get("eni_id", ""))):
        errors.append(f"{option_path}.eni_id: is missing, or is not an ENI id such as eni-bp1example")
        return {"eni_id": ""}
    checked: dict[str, Any] = {"eni_id": record["eni_id"]}
    for name, addresses in record.items():
        if name in KIND_BY_NAME and isinstance(addresses, list):
            checked[name] = parse_each(f"{option_path}.{name}", addresses, KIND_BY_NAME[name].parse, errors)
        elif name != "eni_id":
            errors.append(f"{option_path}.{name}: is not a list of addresses named {' or '.join(KIND_BY_NAME)}")
    return checked
