# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: options of the inventory plugin → settings, and ENIs → hosts with their groups and variables.

Private to this collection.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import KINDS
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.credential import SHORTEST_MASKED
from ansible_collections.alicloud_ops.network.plugins.module_utils._options import (
    REGION,
    Connection,
    connection_spec,
    parse_connection,
    validate_region,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import Selection, parse_selection, selection_spec
from ansible_collections.alicloud_ops.network.plugins.module_utils._result import describe_interface
from ansible_collections.alicloud_ops.network.plugins.module_utils._select import Found, matching
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import text_or_none, texts_or_none
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import plain
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import did_you_mean

CACHE_VERSION = 1  # of what `describe_region` returns: a cache of another version is not used
VARIABLE_PREFIX = "eni_"

# Kind of group → its names for one ENI, before they are made safe. The kinds are in the order of the documentation.
GROUP_NAMES: Mapping[str, Callable[[Mapping[str, Any]], Iterable[str]]] = {
    "region": lambda eni: [f"region_{eni['region']}"],
    "zone": lambda eni: _named("zone", eni["zone_id"]),
    "vpc": lambda eni: _named("vpc", eni["vpc_id"]),
    "vswitch": lambda eni: _named("vswitch", eni["vswitch_id"]),
    "security_group": lambda eni: [
        *(f"security_group_{group_id}" for group_id in eni["security_group_ids"]),
        *(f"security_group_name_{name}" for name in eni["security_group_names"].values() if name),
    ],
    "type": lambda eni: _named("type", eni["type"]),
    "status": lambda eni: _named("status", eni["status"]),
    # With "=", so that a=b_c and a_b=c differ until their names are made safe.
    "tag": lambda eni: ["=".join(filter(None, (f"tag_{key}", value))) for key, value in eni["tags"].items()],
}
TYPE_NAMES = {
    "str": "a string",
    "path": "a path",
    "int": "a whole number",
    "bool": "true or false",
    "list": "a list of strings",
    "dict": "a mapping",
    "json": "JSON",
}
SECRETS = tuple(
    spelling for name, option in connection_spec().items() if option.get("no_log") for spelling in (name, *option.get("aliases", ()))
)
# A zone lies in one region, and a vSwitch in one VPC, so their groups are children of the groups of the region and of the VPC.
PARENTS = {"zone": "region", "vswitch": "vpc"}


def _named(kind: str, value: str | None) -> list[str]:
    return [f"{kind}_{value}"] if value else []


def inventory_spec() -> dict[str, dict[str, Any]]:
    """The options of this plugin, without those of Ansible itself: types and choices only."""
    return {
        **selection_spec(),
        **connection_spec(),
        "regions": {"type": "list", "elements": "str"},
        "on_region_error": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
        "matching_only": {"type": "bool", "default": False},
        "group_by": {"type": "list", "elements": "str", "choices": list(GROUP_NAMES), "default": list(GROUP_NAMES)},
    }


@dataclass(frozen=True)
class Settings:
    """What the inventory was asked for. One connection for each region."""

    selection: Selection
    connections: tuple[Connection, ...]
    selection_params: Mapping[str, Any]
    warn_on_region_error: bool
    matching_only: bool
    group_by: tuple[str, ...]

    def cache_suffix(self, connection: Connection) -> str:
        """Differs as soon as the region, the endpoint, the login, the account or the selection does. What only shapes the
        inventory (groups, ``matching_only``) is not part of it."""
        parts = [
            CACHE_VERSION,
            connection.region,
            connection.protocol,
            connection.endpoint,
            connection.account_id,
            connection.credential.fingerprint,
            self.selection_params,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def unknown_options(given: Iterable[Any], known: Sequence[str]) -> list[str]:
    """An error for each option that does not exist: Ansible would ignore it, and a selector must not vanish by a misspelling."""
    return [f"{name}: there is no such option" + did_you_mean(str(name), known) for name in given if name not in known]


def parse_settings(given: Mapping[str, Any], environ: Mapping[str, str], errors: list[str]) -> Settings | None:
    """The settings in ``given`` (options of ``inventory_spec`` that the file has, aliases unresolved). None if something was added
    to ``errors``, in which no secret is shown."""
    found: list[str] = []
    params = {name: _parse_option(name, option, given, found) for name, option in inventory_spec().items()}
    selection = parse_selection(params, found)
    connections = _parse_regions(params, environ, found)
    errors += remove_values(found, {text for name in SECRETS for text in _texts_in(given.get(name)) if len(text) >= SHORTEST_MASKED})
    if found:
        return None
    return Settings(
        selection=selection,
        connections=tuple(connections),
        selection_params={name: params[name] for name in selection_spec()},
        warn_on_region_error=params["on_region_error"] == "warn",
        matching_only=params["matching_only"],
        group_by=tuple(params["group_by"]),
    )


def _parse_option(name: str, option: Mapping[str, Any], given: Mapping[str, Any], errors: list[str]) -> Any:
    """The value of one option in its type. If it is wrong, the default, so that all other options can be checked as well."""
    spellings = [spelling for spelling in (name, *option.get("aliases", ())) if given.get(spelling) is not None]
    if len(spellings) > 1:
        errors.append(f"{' and '.join(spellings)}: these mean the same; set one of them")
    if not spellings:
        return option.get("default")
    value = given[spellings[0]]
    result = ArgumentSpecValidator({name: option}).validate({name: value})
    if not result.error_messages:
        return result.validated_parameters[name]
    wanted = TYPE_NAMES[option["type"]]
    if "choices" in option:
        wanted = f"{wanted} out of" if option["type"] == "list" else "one of"
        wanted += f" {', '.join(option['choices'])}"
    errors.append(f"{spellings[0]}: {'the value' if option.get('no_log') else repr(value)} is not {wanted}")
    return option.get("default")


def _parse_regions(params: Mapping[str, Any], environ: Mapping[str, str], errors: list[str]) -> list[Connection]:
    """One connection for each of ``regions``; without them, one for the region that the modules would use."""
    given = texts_or_none(params["regions"])
    if given is not None and text_or_none(params["region"]):
        errors.append("regions: cannot be combined with region; set only one of them")
    if given == []:
        errors.append("regions: is empty, so nothing would be read; name a region, or leave the option out")
    for region in given or ():
        validate_region("regions", region, errors)
    regions = [params["region"]] if given is None else list(dict.fromkeys(filter(REGION.fullmatch, given)))
    connections: list[Connection] = []
    # The other options are checked even if no region is right.
    for region in regions or ["cn-hangzhou"]:
        of_region: list[str] = []
        connection = parse_connection({**params, "region": region}, environ, of_region)
        errors += [error for error in of_region if error not in errors]
        connections += [connection] if connection else []
    return connections


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _texts_in(one)
    elif text_or_none(value):
        yield str(value).strip()


def describe_region(region: str, found: Found, selection: Selection) -> dict[str, Any]:
    """What one region holds, as it is cached: ordinary lists, dictionaries and strings."""
    names = {group_id: group.name for group_id, group in found.security_groups.items()}
    described: dict[str, Any] = plain(
        {
            "region": region,
            "interfaces": [
                {
                    **describe_interface(interface),
                    "region": region,
                    "security_group_names": {group_id: names[group_id] for group_id in interface.security_group_ids if group_id in names},
                    "assignment": {"eni_id": interface.eni_id, **matching(interface, selection)},
                }
                for interface in found.interfaces
            ],
            "missing": found.missing,
            "unreadable": [str(error) for _id, error in sorted(found.unreadable.items())],
        }
    )
    return described


def host_variables(eni: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a host from an entry of ``interfaces``: all have the prefix, and the id has it already."""
    return {name if name == "eni_id" else f"{VARIABLE_PREFIX}{name}": value for name, value in eni.items()}


def has_matches(eni: Mapping[str, Any]) -> bool:
    return any(eni["assignment"][kind.name] for kind in KINDS)


class Membership(NamedTuple):
    """A group that holds an ENI, and the group that it is a child of, if any. Names are not made safe yet."""

    kind: str
    group: str
    parent: str | None


def memberships(eni: Mapping[str, Any], group_by: Sequence[str]) -> list[Membership]:
    """The groups of an ENI, in the order of ``GROUP_NAMES``. A group is left out if a child of it holds the ENI."""
    names = {kind: list(make(eni)) for kind, make in GROUP_NAMES.items() if kind in group_by}
    parents = {child: parent for child, parent in PARENTS.items() if names.get(child) and names.get(parent)}
    return [
        Membership(kind, name, names[parents[kind]][0] if kind in parents else None)
        for kind, of_kind in names.items()
        if kind not in parents.values()
        for name in of_kind
    ]


def in_order(all_memberships: Iterable[Membership]) -> list[Membership]:
    """Each once, by kind and name: the order in which the groups are shown."""
    kinds = list(GROUP_NAMES)
    return sorted(set(all_memberships), key=lambda one: (kinds.index(one.kind), one.parent or "", one.group))


def same_name(safe_names: Mapping[str, str]) -> dict[str, list[str]]:
    """Safe name → the names that became it, where there are several."""
    names: dict[str, list[str]] = {}
    for name, safe in safe_names.items():
        names.setdefault(safe, []).append(name)
    return {safe: of_safe for safe, of_safe in names.items() if len(of_safe) > 1}


def missing_everywhere(regions: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was named and is in none of the regions that were read."""
    first, *others = [region["missing"] for region in regions]
    return [name for name in first if all(name in other for other in others)]
