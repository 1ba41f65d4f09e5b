# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: what a role was given, saved plans and recipes, and waves.

Private to this collection. A *document* is a plan or a recipe, ``{version, region, account_id, digest, assignments}``.
Every ValueError from here tells all that is wrong, and what would be right.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import KINDS, NOTHING, count, every, make_lists, union
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import ENI_ID, at_least

VERSION = 1
DIGEST = re.compile(r"[0-9a-f]{64}")

# At least one of these must be given, where a role has them: nothing is selected by an omission.
GROUPS = ("security_group_ids", "security_group_names", "security_group_tags")
SAVED = ("plan", "plan_file", "recipe", "recipe_file")
# What narrows the selecting of groups, and would have no effect on a saved plan, which is applied exactly.
NARROWING = ("eni_type", "eni_status", "eni_tags", "within", "excluding", "private_ip_addresses", "kinds")


def plain(value: Any) -> Any:
    """Ansible's lazy and tagged containers and texts as ordinary ones."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Sequence):
        return [plain(entry) for entry in value]
    return value


# -- what a role was given


def read_settings(variables: Mapping[str, Any], options: Mapping[str, Any], role: str) -> dict[str, Any]:
    """The variables of a role without its prefix: typed, with defaults, and without what was not given.

    ``options`` is the role's own argument spec, the one place where types, choices and defaults stand. What is empty text
    was not given: a survey of AWX defines every optional text that way. Lists and mappings may be text too.
    """
    prefix = f"{role}_"
    given: dict[str, Any] = {}
    mistakes: list[str] = []
    for name, value in plain(variables).items():
        if name == f"{prefix}result":
            continue
        if name not in options:
            close = difflib.get_close_matches(name, options, n=1)
            mistakes.append(f"{name}: there is no such variable" + (f"; did you mean {close[0]}?" if close else ""))
            continue
        try:
            found = _from_text(value, options[name].get("type", "str"))
        except ValueError as error:
            mistakes.append(f"{name}: {error}")
            continue
        if found is not None and options[name].get("type") == "path" and not Path(found).expanduser().is_absolute():
            # Ansible would take it from the folder of the playbook, which may be this collection.
            mistakes.append(f"{name}: '{found}' is not an absolute path")
        elif found is not None:
            given[name] = found
    validated = ArgumentSpecValidator(dict(options)).validate(given)
    mistakes.extend(validated.error_messages)
    settings = {name.removeprefix(prefix): value for name, value in validated.validated_parameters.items() if value is not None}
    if not validated.error_messages:
        mistakes.extend(f"{prefix}{mistake}" for mistake in _broken_rules(settings))
        mistakes.extend(_source_mistakes(settings, given, options, prefix))
    if mistakes:
        raise ValueError("; ".join(mistakes))
    settings["by_group"] = any(name in settings for name in GROUPS)
    return settings


def _from_text(value: Any, kind: str) -> Any:
    """What a survey's text means. None: it was not given."""
    if isinstance(value, list):
        entries = [entry.strip() if isinstance(entry, str) else entry for entry in value]
        kept = [entry for entry in entries if entry not in ("", None)]
        return kept if kept or not value else None
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text:
        return None
    if kind in ("list", "dict") and text[0] in "[{":
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError:
            raise ValueError(f"'{text}' can't be read; check its brackets and quotes") from None
    if kind == "list":
        return _from_text(re.split(r"[,\n]", text), kind)
    if kind == "dict":
        return _tags_from_text(re.split(r"[,\n]", text))
    return text


def _tags_from_text(entries: Iterable[str]) -> dict[str, Any]:
    """``key=value``; a key alone stands for any value, and a key that comes twice for either value."""
    tags: dict[str, Any] = {}
    for entry in filter(None, map(str.strip, entries)):
        key, equals, value = (part.strip() for part in entry.partition("="))
        if not key:
            raise ValueError(f"'{entry}' is not a tag such as team=web")
        if not equals:
            tags[key] = None
        elif key not in tags:
            tags[key] = [value]
        elif tags[key] is not None:
            tags[key].append(value)
    return tags


def _broken_rules(settings: dict[str, Any]) -> list[str]:
    """What types and choices do not tell."""
    mistakes: list[str] = []
    least = {"max_addresses": 0, "wave_size": 1, "wave_pause": 0}
    at_least(settings, {name: number for name, number in least.items() if name in settings}, mistakes)
    if "max_failures" in settings:
        try:
            allowed_failures(settings["max_failures"], 0)
        except ValueError as error:
            mistakes.append(f"max_failures: {error}")
    if "approved_plan" in settings:
        settings["approved_plan"] = settings["approved_plan"].lower()
        if not DIGEST.fullmatch(settings["approved_plan"]):
            mistakes.append(f"approved_plan: '{settings['approved_plan']}' is not the digest of a plan, which has 64 digits from 0 to f")
    return mistakes


def _source_mistakes(settings: Mapping[str, Any], given: Mapping[str, Any], options: Mapping[str, Any], prefix: str) -> list[str]:
    sources = [name for name in (*GROUPS, *SAVED) if prefix + name in options]
    named = [name for name in sources if name in settings]
    if not named:
        return [f"nothing is named; give {' or '.join(prefix + name for name in sources)}"]
    mistakes = []
    saved = [name for name in named if name in SAVED]
    if len(saved) > 1:
        mistakes.append(f"{prefix}{saved[0]} and {prefix}{saved[1]} are both given; give one of them")
    if saved == named:
        mistakes.extend(
            f"{prefix}{name}: narrows the selecting of security groups, but a saved plan is applied exactly; leave it out"
            for name in NARROWING
            if prefix + name in given
        )
    return mistakes


def allowed_failures(text: str, total: int) -> int:
    """A count, or a share of the total in percent."""
    number = re.fullmatch(r"(\d+)(%?)", text.strip())
    if not number or (number[2] and int(number[1]) > 100):
        raise ValueError(f"'{text}' is neither a count such as 10 nor a share such as 5%")
    return total * int(number[1]) // 100 if number[2] else int(number[1])


# -- documents


class DocumentError(ValueError):
    """It is no plan or recipe that can be used, and why."""


def make_document(assignments: Iterable[Mapping[str, Any]], region: str | None, account_id: str | None) -> dict[str, Any]:
    """The document of these assignments: each ENI once, by id, its addresses in order."""
    by_eni: dict[str, dict[str, tuple[str, ...]]] = {}
    for entry in assignments:
        lists = {kind.name: entry.get(kind.name) or () for kind in KINDS}
        by_eni[entry["eni_id"]] = union(by_eni.get(entry["eni_id"], NOTHING), lists)
    ordered = [
        {"eni_id": eni_id, **{name: list(addresses) for name, addresses in lists.items()}}
        for eni_id, lists in sorted(by_eni.items())
        if count(lists)
    ]
    return {"version": VERSION, "region": region, "account_id": account_id, "digest": digest(ordered), "assignments": ordered}


def digest(assignments: Sequence[Mapping[str, Any]]) -> str:
    """The sha256 of ordered assignments, as JSON with sorted keys and no spaces."""
    return hashlib.sha256(json.dumps(assignments, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read_document(given: Any) -> dict[str, Any]:
    """A saved document, checked to the last bit. Several (as printed before each wave) become one; nothing becomes ``{}``."""
    documents = [_check_document(document) for document in _parse_documents(plain(given))]
    if not documents:
        return {}
    for name in ("region", "account_id"):
        values = dict.fromkeys(document[name] for document in documents)
        if len(values) > 1:
            raise DocumentError(f"these are of more than one {name}: {', '.join(map(str, values))}")
    first = documents[0]
    return make_document((entry for document in documents for entry in document["assignments"]), first["region"], first["account_id"])


def _parse_documents(given: Any) -> list[Any]:
    if isinstance(given, Mapping):
        return [given] if given else []
    if isinstance(given, list):
        return given
    text = str(given or "").strip()
    if not text:
        return []
    try:
        return [json.loads(text)]
    except ValueError:
        # As the output of a run shows them: one a line, maybe with the name of the field around.
        lines = [found.group() for found in (re.search(r"\{.*\}", line) for line in text.splitlines()) if found]
        try:
            return [yaml.safe_load(line) for line in lines] if lines else [yaml.safe_load(text)]
        except yaml.YAMLError:
            raise DocumentError("it can't be read; is it whole? It is JSON, or lines as a run shows them before each wave") from None


def _check_document(document: Any) -> dict[str, Any]:
    if not isinstance(document, Mapping) or not isinstance(document.get("assignments"), list):
        raise DocumentError("it is not a plan or recipe of this collection, which has version, region, account_id, digest and assignments")
    if document.get("version") != VERSION:
        raise DocumentError(f"its version is {document.get('version')!r}, this collection reads {VERSION}")
    mistakes: list[str] = []
    assignments = [_check_entry(f"assignments[{index}]", entry, mistakes) for index, entry in enumerate(document["assignments"])]
    if mistakes:
        raise DocumentError("; ".join(mistakes))
    checked = make_document(assignments, document.get("region"), document.get("account_id"))
    if checked["digest"] != document.get("digest"):
        raise DocumentError(
            f"its digest is {document.get('digest')}, but its assignments have {checked['digest']}; it was changed or is not whole"
        )
    return checked


def _check_entry(place: str, entry: Any, mistakes: list[str]) -> dict[str, Any]:
    if not isinstance(entry, Mapping) or not ENI_ID.fullmatch(str(entry.get("eni_id", ""))):
        mistakes.append(f"{place}: has no eni_id")
        return {"eni_id": ""}
    checked: dict[str, Any] = {"eni_id": entry["eni_id"]}
    kinds = {kind.name: kind for kind in KINDS}
    for name, addresses in entry.items():
        if name == "eni_id":
            continue
        if name not in kinds or not isinstance(addresses, list):
            mistakes.append(f"{place}.{name}: is not a list of one of the kinds {', '.join(kinds)}")
            continue
        try:
            checked[name] = [kinds[name].parse(str(address)) for address in addresses]
        except ValueError as error:
            mistakes.append(f"{place}.{name}: {error}")
    return checked


def compact(document: Mapping[str, Any]) -> dict[str, Any]:
    """Without the empty lists; ``read_document`` takes it back."""
    return {**document, "assignments": [{name: value for name, value in entry.items() if value} for entry in document["assignments"]]}


def on_one_line(document: Mapping[str, Any]) -> str:
    """Compact and without double quotes, which output would escape; ``read_document`` takes it back."""
    return yaml.safe_dump(compact(document), default_flow_style=True, sort_keys=False, width=float("inf")).strip()


def addresses_by_eni(document: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """All addresses of each ENI of a document, of all kinds."""
    return {entry["eni_id"]: every({kind.name: entry[kind.name] for kind in KINDS}) for entry in (document or {}).get("assignments") or ()}


def make_assignments(addresses: Mapping[str, Iterable[str]]) -> list[dict[str, Any]]:
    """ENI → addresses of whatever kind, as assignments. What kind an address is, its form tells."""
    return [
        {
            "eni_id": eni_id,
            **make_lists(
                {
                    kind.name: [one for one in entries if (":" in one) == (kind.version == 6) and ("/" in one) == kind.is_prefix]
                    for kind in KINDS
                }
            ),
        }
        for eni_id, entries in ((eni_id, tuple(of_eni)) for eni_id, of_eni in addresses.items())
    ]


# -- waves


def cut_waves(plan: Mapping[str, Any], size: int | None, region: str | None, account_id: str | None) -> list[dict[str, Any]]:
    """The plan in waves of at most ``size`` addresses, None for all in one. An ENI is never cut: one with more is a wave of its own."""
    waves: list[list[Mapping[str, Any]]] = []
    room: float = 0
    for entry in plan["assignments"]:
        addresses = _addresses_of([entry])
        if not waves or addresses > room:
            waves.append([])
            room = math.inf if size is None else size
        waves[-1].append(entry)
        room -= addresses
    total, done = _addresses_of(plan["assignments"]), 0
    cut = []
    for number, entries in enumerate(waves, 1):
        addresses = _addresses_of(entries)
        done += addresses
        cut.append(
            {
                "number": number,
                "label": f"wave {number}/{len(waves)} · {done} of {total} addresses",
                "addresses": addresses,
                "assignments": entries,
                "recipe": make_document(entries, region, account_id),
            }
        )
    return cut


def _addresses_of(entries: Iterable[Mapping[str, Any]]) -> int:
    return sum(count({kind.name: entry[kind.name] for kind in KINDS}) for entry in entries)
