# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: saved plans and recipes, and waves.

Private to this collection. A *document* is a plan or a recipe, ``{version, region, account_id, digest, assignments}``.
Every ValueError from here tells all that is wrong, and what would be right.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import (
    EMPTY,
    KINDS,
    AddressSet,
    count,
    flatten,
    make_address_set,
    union,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import ENI_ID

# What a role does, and the state that it asks the module for.
MODULE_STATE = {"unassign": "absent", "restore": "present"}
VERSION = 1
DIGEST = re.compile(r"[0-9a-f]{64}")


def plain(value: Any) -> Any:
    """Ansible's lazy and tagged containers and texts as ordinary ones."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Sequence):
        return [plain(entry) for entry in value]
    return value


def allowed_failures(text: str, total: int) -> int:
    """A count, or a share of the total in percent."""
    number = re.fullmatch(r"(\d+)(%?)", text.strip())
    if not number or (number[2] and int(number[1]) > 100):
        raise ValueError(f"'{text}' is neither a count such as 10 nor a share such as 5%")
    return total * int(number[1]) // 100 if number[2] else int(number[1])


# -- documents


NO_DOCUMENT = "it is not a plan or recipe of this collection, which has version, region, account_id, digest and assignments"

# A document as ``in_lines`` writes it, and what shows that a part of one is left over.
SHOWN = re.compile(r"\{version:\s(?:(?!\{version:).)*?\}\s*\]\s*\}", re.S)
CUT = re.compile(r"""\{\s*version:|\beni_id:|assignments:|[^"\s\[]\]\}\]\}""")
MOST_IN_A_LINE = 500  # bytes of addresses: with what is around them fewer than the 1,024 that AWX shows of an event


class DocumentError(ValueError):
    """It is no plan or recipe that can be used, and why."""


def make_document(assignments: Iterable[Mapping[str, Any]], region: str | None, account_id: str | None) -> dict[str, Any]:
    """The document of these assignments: each ENI once, by id, its addresses in order."""
    by_eni: dict[str, AddressSet] = {}
    for entry in assignments:
        lists = make_address_set({kind.name: entry.get(kind.name) or () for kind in KINDS})
        by_eni[entry["eni_id"]] = union(by_eni.get(entry["eni_id"], EMPTY), lists)
    ordered = [
        {"eni_id": eni_id, **{name: list(addresses) for name, addresses in lists.items()}}
        for eni_id, lists in sorted(by_eni.items())
        if count(lists)
    ]
    return {"version": VERSION, "region": region, "account_id": account_id, "digest": digest(ordered), "assignments": ordered}


def digest(assignments: Sequence[Mapping[str, Any]]) -> str:
    """The sha256 of ordered assignments, as JSON with sorted keys and no spaces."""
    return hashlib.sha256(json.dumps(assignments, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class StrictLoader(yaml.SafeLoader):
    """Of a key that comes twice, YAML would keep the last: here it is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _value in node.value]
        if len(set(keys)) < len(keys):
            raise yaml.constructor.ConstructorError(problem="a key comes twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def read_document(given: Any, published_as: str = "") -> dict[str, Any]:
    """A saved document, checked to the last bit. Several of one region and account become one.

    Given as mapping, list of mappings, JSON (one or more), YAML, or what the output of a run shows before its waves; also as the
    artifacts of a job, where ``published_as`` names the one that is meant.
    """
    documents = [_check_document(document.get(published_as, document)) for document in _parse_documents(plain(given))]
    if not documents:
        raise DocumentError("there is no plan or recipe in it")
    for name in ("region", "account_id"):
        values = dict.fromkeys(document[name] for document in documents)
        if len(values) > 1:
            raise DocumentError(f"these are of more than one {name}: {', '.join(map(str, values))}")
    first = documents[0]
    return make_document((entry for document in documents for entry in document["assignments"]), first["region"], first["account_id"])


def _parse_documents(given: Any) -> list[Mapping[str, Any]]:
    if isinstance(given, str):
        try:
            found = _parse_text(given.strip())
        except DocumentError:
            raise
        except (ValueError, yaml.YAMLError):
            raise DocumentError(
                "it can't be read; is it whole? It is JSON, or YAML with --- between two, or the lines that a run shows before a wave"
            ) from None
    else:
        found = given if isinstance(given, list) else [given] if given else []
    if not all(isinstance(document, Mapping) for document in found):
        raise DocumentError(NO_DOCUMENT)
    return found


def _parse_text(text: str) -> list[Any]:
    if SHOWN.search(text):
        # In the output, with the name of a field around and other lines between; maybe folded, and with quotes doubled.
        joined = re.sub(r"\s+", " ", text).replace("''", "'")
        if CUT.search(SHOWN.sub("", joined)):
            raise DocumentError("a line of it is not whole; take all lines from its first { to its last }")
        return [yaml.load(shown, StrictLoader) for shown in SHOWN.findall(joined)]  # noqa: S506 - a SafeLoader that refuses more
    if not text.startswith(("{", "[")):
        return [document for document in yaml.load_all(text, StrictLoader) if document is not None]
    found: list[Any] = []
    while text:
        document, end = json.JSONDecoder().raw_decode(text)
        found.extend(document if isinstance(document, list) else [document])
        text = text[end:].lstrip(" \t\r\n,")
    return found


def _check_document(document: Any) -> dict[str, Any]:
    if not isinstance(document, Mapping) or not isinstance(document.get("assignments"), list):
        raise DocumentError(NO_DOCUMENT)
    if document.get("version") != VERSION:
        raise DocumentError(f"its version is {document.get('version')!r}, this collection reads {VERSION}")
    errors: list[str] = []
    assignments = [_check_entry(f"assignments[{index}]", entry, errors) for index, entry in enumerate(document["assignments"])]
    if errors:
        raise DocumentError("; ".join(errors))
    # In YAML the number of an account may have lost its quotes.
    account_id = document.get("account_id")
    checked = make_document(assignments, document.get("region"), None if account_id is None else str(account_id))
    if checked["digest"] != document.get("digest"):
        raise DocumentError(
            f"its digest is {document.get('digest')}, but its assignments have {checked['digest']}; it was changed or is not whole"
        )
    return checked


def _check_entry(place: str, entry: Any, errors: list[str]) -> dict[str, Any]:
    if not isinstance(entry, Mapping) or not ENI_ID.fullmatch(str(entry.get("eni_id", ""))):
        errors.append(f"{place}: has no eni_id")
        return {"eni_id": ""}
    checked: dict[str, Any] = {"eni_id": entry["eni_id"]}
    kinds = {kind.name: kind for kind in KINDS}
    for name, addresses in entry.items():
        if name == "eni_id":
            continue
        if name not in kinds or not isinstance(addresses, list):
            errors.append(f"{place}.{name}: is not a list of one of the kinds {', '.join(kinds)}")
            continue
        try:
            checked[name] = [kinds[name].parse(str(address)) for address in addresses]
        except ValueError as error:
            errors.append(f"{place}.{name}: {error}")
    return checked


def compact(document: Mapping[str, Any]) -> dict[str, Any]:
    """Without the empty lists; ``read_document`` takes it back."""
    return {**document, "assignments": [{name: value for name, value in entry.items() if value} for entry in document["assignments"]]}


def in_lines(document: Mapping[str, Any]) -> list[str]:
    """For the output, in lines that are short enough to be shown whole, each a document of its own. Without double quotes,
    which output would escape; ``read_document`` takes them back."""
    parts: list[list[dict[str, Any]]] = []
    room = 0
    for entry in document["assignments"]:
        for kind in KINDS:
            for address in entry[kind.name]:
                room -= len(address) + 2
                if room < 0:
                    parts.append([])
                    room = MOST_IN_A_LINE - len(address)
                if not parts[-1] or parts[-1][-1]["eni_id"] != entry["eni_id"]:
                    parts[-1].append({"eni_id": entry["eni_id"]})
                    room -= len(entry["eni_id"]) + len(kind.name) + 20
                parts[-1][-1].setdefault(kind.name, []).append(address)
    made = (compact(make_document(part, document["region"], document["account_id"])) for part in parts)
    return [yaml.safe_dump(part, default_flow_style=True, sort_keys=False, width=float("inf")).strip() for part in made]


def addresses_by_eni(document: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """All addresses of each ENI of a document, of all kinds."""
    return {entry["eni_id"]: flatten(entry) for entry in (document or {}).get("assignments") or ()}


def count_addresses(assignments: Iterable[Mapping[str, Any]]) -> int:
    return sum(len(flatten(entry)) for entry in assignments)


def make_assignments(addresses: Mapping[str, Iterable[str]]) -> list[dict[str, Any]]:
    """ENI → addresses of whatever kind, as assignments. What kind an address is, its form tells."""
    return [
        {
            "eni_id": eni_id,
            **make_address_set(
                {
                    kind.name: [one for one in entries if (":" in one) == (kind.version == 6) and ("/" in one) == kind.is_prefix]
                    for kind in KINDS
                }
            ),
        }
        for eni_id, entries in ((eni_id, tuple(of_eni)) for eni_id, of_eni in addresses.items())
    ]


# -- waves


def cut_waves(plan: Mapping[str, Any], size: int | None = None) -> list[dict[str, Any]]:
    """The plan in waves of at most ``size`` addresses, None for all in one. An ENI is never cut: one with more is a wave of its own."""
    waves: list[list[Mapping[str, Any]]] = []
    room: float = 0
    for entry in plan["assignments"]:
        addresses = count_addresses([entry])
        if not waves or addresses > room:
            waves.append([])
            room = math.inf if size is None else size
        waves[-1].append(entry)
        room -= addresses
    total, done = count_addresses(plan["assignments"]), 0
    cut = []
    for number, entries in enumerate(waves, 1):
        addresses = count_addresses(entries)
        done += addresses
        label = f"wave {number}/{len(waves)} · {done} of {total} addresses"
        cut.append({"number": number, "label": label, "addresses": addresses, "assignments": entries})
    return cut
