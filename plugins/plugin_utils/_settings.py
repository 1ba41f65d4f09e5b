# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a role was given: typed, judged by the rules of the modules, and every mistake at once.

Private to this collection. Pure, but for the ``read`` that it is given for files.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import KIND_BY_NAME, PRIVATE_IPV4, parse_block
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import (
    SECURITY_GROUP_ID,
    parse_each,
    parse_id,
    parse_tags,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import validate_numbers
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._bulk import (
    DIGEST,
    MODULE_STATE,
    DocumentError,
    StrictLoader,
    allowed_failures,
    plain,
    read_document,
)

# At least one of these must be given, where a role has them: nothing is selected by an omission.
GROUPS = ("security_group_ids", "security_group_names", "security_group_tags")
SAVED = ("plan", "plan_file", "recipe", "recipe_file")
# What narrows the selecting of groups, and would have no effect on a saved plan, which is applied exactly.
NARROWING = ("eni_type", "eni_status", "eni_tags", "within", "excluding", "private_ip_addresses", "kinds")


def read_settings(
    variables: Mapping[str, Any], options: Mapping[str, Any], role: str, read: Callable[[str], str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The variables of a role without its prefix (typed, with defaults, without what was not given), and the saved plan
    or recipe among them, ``{}`` where none was given. ValueError tells all that is wrong, and what would be right.

    ``options`` is the role's own argument spec, the one place where types, choices and defaults stand. What is empty text
    was not given: a survey of AWX defines every optional text that way. Whatever else is given and says nothing is a
    mistake, so that no limit and no selector vanishes. AddressSet and mappings may be text too.
    """
    prefix = f"{role}_"
    errors: list[str] = []
    named: list[str] = []
    given: dict[str, Any] = {}
    for full_name, value in plain(variables).items():
        name = full_name.removeprefix(prefix)
        if name == "result":
            continue
        if full_name not in options:
            close = difflib.get_close_matches(full_name, options, n=1)
            errors.append(f"{full_name}: there is no such variable" + (f"; did you mean {close[0]}?" if close else ""))
            continue
        try:
            found = _from_text(value, options[full_name]["type"])
        except ValueError as error:
            errors.append(f"{full_name}: {error}")
            named.append(name)
            continue
        if found is not None:
            named.append(name)
            # One by one, so that a wrong type hides nothing of what else is wrong.
            validated = ArgumentSpecValidator({full_name: options[full_name]}).validate({full_name: found})
            errors.extend(validated.error_messages)
            given |= {} if validated.error_messages else {name: validated.validated_parameters[full_name]}
    if "approved_plan" in given:
        given["approved_plan"] = given["approved_plan"].lower()
    for name, value in given.items():
        if options[prefix + name]["type"] == "path" and not Path(value).is_absolute():
            # Ansible would take it from the folder of the playbook, which may be this collection.
            errors.append(f"{prefix}{name}: '{value}' is not an absolute path")
        elif name in _VALIDATORS:
            _VALIDATORS[name](prefix + name, value, errors)
    errors.extend(_source_errors(named, options, prefix))
    saved = _read_saved(given, prefix, read, errors)
    if errors:
        raise ValueError("; ".join(errors))
    defaults = {name.removeprefix(prefix): option["default"] for name, option in options.items() if "default" in option}
    return {**defaults, **given}, saved


def _from_text(value: Any, kind: str) -> Any:
    """What a survey's text means. None: it was not given."""
    given = value
    if isinstance(value, str):
        value = value.strip()
        if not value:
            return None
        if kind in ("list", "dict"):
            value = _read_brackets(value) if value[0] in "[{" else re.split(r"[,\n]", value)
    if kind in ("list", "dict") and isinstance(value, list):
        entries = [entry.strip() if isinstance(entry, str) else entry for entry in value]
        kept = [entry for entry in entries if entry not in ("", None)]
        if value and not kept:
            raise ValueError(f"{given!r} names nothing; leave it out, or name something")
        return _tags_from_text(kept) if kind == "dict" and isinstance(given, str) else kept
    return value


def _read_brackets(text: str) -> Any:
    try:
        return yaml.load(text, StrictLoader)  # noqa: S506 - a SafeLoader that refuses more
    except yaml.YAMLError:
        raise ValueError(f"'{text}' can't be read; check its brackets and quotes, and that no key comes twice") from None


def _tags_from_text(entries: Iterable[Any]) -> dict[str, Any]:
    """``key=value``; a key alone stands for any value, and a key that comes twice for either value."""
    tags: dict[str, Any] = {}
    for entry in map(str, entries):
        key, equals, value = (part.strip() for part in entry.partition("="))
        if not key or (not equals and ":" in key):
            raise ValueError(f"'{entry}' is not a tag such as team=web")
        if not equals:
            tags[key] = None
        elif key not in tags:
            tags[key] = [value]
        elif tags[key] is not None:
            tags[key].append(value)
    return tags


# -- rules: those of the modules, and the few of the roles


def _validate_blocks(place: str, value: list[Any], errors: list[str]) -> None:
    parse_each(place, value, parse_block, errors)


def _validate_groups(place: str, value: list[Any], errors: list[str]) -> None:
    for one in value:
        parse_id(place, one, SECURITY_GROUP_ID, "sg-bp1example", errors)


def _validate_selecting_tags(place: str, value: Mapping[str, Any], errors: list[str]) -> None:
    if not value:
        errors.append(f"{place}: {{}} names no tag; leave it out, or name one")
    parse_tags(place, value, errors)


def _validate_number(least: int, place: str, value: int, errors: list[str]) -> None:
    validate_numbers({place: value}, {place: (least, None)}, errors)


def _validate_failures(place: str, value: str, errors: list[str]) -> None:
    try:
        allowed_failures(value, 0)
    except ValueError as error:
        errors.append(f"{place}: {error}")


def _validate_digest(place: str, value: str, errors: list[str]) -> None:
    if not DIGEST.fullmatch(value):
        errors.append(f"{place}: '{value}' is not the digest of a plan, which has 64 digits from 0 to 9 and a to f")


_VALIDATORS: Mapping[str, Callable[[str, Any, list[str]], object]] = {
    "security_group_ids": _validate_groups,
    "security_group_tags": _validate_selecting_tags,
    "eni_tags": _validate_selecting_tags,
    "protected_tags": parse_tags,
    "within": _validate_blocks,
    "excluding": _validate_blocks,
    "keep": _validate_blocks,
    "private_ip_addresses": lambda place, value, errors: parse_each(place, value, KIND_BY_NAME[PRIVATE_IPV4].parse, errors),
    "max_addresses": partial(_validate_number, 0),
    "wave_size": partial(_validate_number, 1),
    "wave_pause": partial(_validate_number, 0),
    "max_failures": _validate_failures,
    "approved_plan": _validate_digest,
}


def _source_errors(named: Iterable[str], options: Mapping[str, Any], prefix: str) -> list[str]:
    sources = [name for name in (*GROUPS, *SAVED) if prefix + name in options]
    given = [name for name in sources if name in named]
    if not given:
        return [f"nothing is named; give {' or '.join(prefix + name for name in sources)}"]
    errors = []
    saved = [name for name in given if name in SAVED]
    if len(saved) > 1:
        errors.append(f"{prefix}{saved[0]} and {prefix}{saved[1]} are both given; give one of them")
    if saved == given:
        errors.extend(
            f"{prefix}{name}: narrows the selecting of security groups, but a saved plan is applied exactly; leave it out"
            for name in NARROWING
            if name in named
        )
    return errors


# -- the saved plan or recipe


def _read_saved(given: Mapping[str, Any], prefix: str, read: Callable[[str], str], errors: list[str]) -> dict[str, Any]:
    saved: dict[str, Any] = {}
    for name in SAVED:
        if name not in given:
            continue
        variable = prefix + name
        place = f"{variable}: {given[name]}" if name.endswith("_file") else variable
        try:
            saved = read_document(read(given[name]) if name.endswith("_file") else given[name], published_as=variable.removesuffix("_file"))
        except (DocumentError, OSError) as error:
            errors.append(f"{place}: {error}")
            continue
        account_id = given.get("account_id", saved["account_id"])
        if saved["account_id"] and account_id != saved["account_id"]:
            errors.append(f"{prefix}account_id: {account_id} is given, but {place} is of account {saved['account_id']}")
    return saved


# -- how a run begins

_FOUND_BY = {"eni_type": "type", "eni_status": "status", "eni_tags": "tags"}
_OF_EVERY_READ = ("region", "account_id", "calls_per_minute")


def make_start(role: str, settings: dict[str, Any], saved: Mapping[str, Any], check: bool) -> dict[str, Any]:
    """What the tasks of a role go on with. What may be long is text, because Ansible walks through nested variables."""
    operation = role.removesuffix("_secondary_ips")
    by_group = any(name in settings for name in GROUPS)
    find = {name: settings[name] for name in _OF_EVERY_READ if name in settings}
    if by_group:
        find |= {_FOUND_BY.get(name, name): settings[name] for name in (*GROUPS, *NARROWING) if name in settings}
    else:
        find = {"region": saved["region"], **find, "eni_ids": json.dumps([entry["eni_id"] for entry in saved["assignments"]])}
    if "plan_file" in settings:
        # The way on after a stop: its recipe belongs to the one that is there.
        settings.setdefault("report_dir", str(Path(settings["plan_file"]).parent))
    return {
        "operation": operation,
        "state": MODULE_STATE.get(operation, ""),
        "check": check,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": settings,
        "saved": json.dumps(saved) if saved else "",
        "assignments": "" if by_group else json.dumps(saved["assignments"]),
        "find": {name: value for name, value in find.items() if value is not None},
    }
