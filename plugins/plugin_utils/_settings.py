# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables of a role and defaults of a play → settings of a run, validated by the rules of the modules, with every error at once.

Private to this collection. Pure, except for ``read_file``, which the caller passes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.alicloud_ops.network.plugins.module_utils._options import Connection, connection_spec, parse_connection
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import (
    GUARDS,
    Request,
    Selection,
    parse_request,
    parse_selection,
    request_spec,
    selection_spec,
    target_spec,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import (
    is_blank,
    name_blanks,
    parse_number,
    validate_guards,
    validate_selectors,
)
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import (
    Document,
    DocumentError,
    plain,
    read_document,
)
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._evidence import GuestSettings, parse_guest_settings
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import STATE_OF
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._sending import secrets_of
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._slices import Part, share_pace, take_part
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._variables import (
    GROUPS,
    NARROWING,
    SAVED,
    VARIABLES,
    Variable,
    find_encrypted,
    is_true,
    read_variables,
    variables_of,
)

# Options of the change module that the role itself sets, so that module_defaults do not count.
_OF_THE_ROLE = ("state", "wait", "missing", "assignments", *target_spec())
_OWN = ("approved_digest", "require_approval", "approval_max_age", "wave_size", "wave_pause", "max_failures")
_SPEC: Mapping[str, Mapping[str, Any]] = {**connection_spec(), **request_spec()}
_MAIN_NAMES = {alias: name for name, option in _SPEC.items() for alias in (name, *option.get("aliases", ()))}
# Options that no variable of a role sets. Outputs and files do not have their values.
_LOGIN = connection_spec().keys() - {variable.option.rpartition(".")[2] for variable in VARIABLES.values()}


class SettingsError(ValueError):
    """``errors``: every error, each with the full name of its variable."""

    def __init__(self, errors: Iterable[str]) -> None:
        self.errors = list(dict.fromkeys(errors))
        super().__init__("; ".join(self.errors))


@dataclass(frozen=True)
class Settings:
    """What a run does. ``request`` has no targets. ``given``: the variables that are set, without the prefix. A guard that the play sets
    too has the combined value. Times are seconds."""

    role: str
    selection: Selection
    request: Request
    connection: Connection
    saved: Document | None
    saved_path: str | None
    part: Part | None  # if several runs share the plan; ``saved`` is then the part of this run
    report_dir: str | None
    report_url: str | None
    by_group: bool
    given: Mapping[str, Any]
    guests: GuestSettings | None
    # A role without such a variable does not use the value.
    approved_digest: str | None = None
    require_approval: bool = False
    approval_max_age: int = 0  # hours
    wave_size: int = 1
    wave_pause: int = 0
    max_failures: str = "0"

    @property
    def operation(self) -> str:
        return self.role.removesuffix("_secondary_ips")

    @property
    def prefix(self) -> str:
        return f"{self.role}_"

    @property
    def own_digest(self) -> str | None:
        """The approved digest of what this run does. The settings have proven that the part of a slice belongs to the approved plan."""
        return self.saved.digest if self.part and self.saved else self.approved_digest

    @property
    def given_with_plan(self) -> dict[str, Any]:
        """The variables that go with a saved plan or recipe: without those that select, without another document, and without a URL
        that holds a secret."""
        left_out = {*GROUPS, *NARROWING, *SAVED, "approved_digest"}
        left_out |= {"report_url"} if any(secrets_of(self.report_url or "")) else set()
        return {name: value for name, value in self.given.items() if name not in left_out}

    @property
    def given_with_recipe(self) -> dict[str, Any]:
        """The variables that go with the restore that undoes this run: not its waves, because an undo has a pace of its own. The folder
        is that of the recipe anyway."""
        left_out = {"wave_size", "wave_pause", "max_failures", "report_dir"}
        return {
            name: value for name, value in self.given_with_plan.items() if name in variables_of("restore_secondary_ips").keys() - left_out
        }


def read_settings(
    role: str, variables: Mapping[str, Any], defaults: Mapping[str, Any], environ: Mapping[str, str], read_file: Callable[[str], str]
) -> Settings:
    """The settings of a run; SettingsError has everything that is wrong.

    ``variables``: full name → value, templated. ``defaults``: what ``module_defaults`` says for the change module and the action
    group. Both with the tags of Ansible, which show what was encrypted. ``read_file`` returns the text of a path, or raises OSError.
    """
    errors: list[str] = []
    prefix, operation = f"{role}_", role.removesuffix("_secondary_ips")
    shown_defaults = {f"module_defaults.{name}": value for name, value in defaults.items() if _MAIN_NAMES.get(name) not in _LOGIN}
    if encrypted := find_encrypted({**variables, **shown_defaults}):
        raise SettingsError(encrypted)  # without the other errors, which repeat values
    table = variables_of(role)
    enis = variables.get(f"{prefix}enis")
    if enis is not None and not is_blank(enis):
        # A slice takes its addresses from the plan, so it ignores the variables that select, which are for the planning job of its
        # workflow. But only_not_seen protects too, so ignoring it would be wrong.
        if is_true(variables.get(f"{prefix}only_not_seen")):
            errors.append(
                f"{prefix}only_not_seen: the runs that share a plan do not read the guests; set it for the run that makes the plan, "
                "and leave it out here"
            )
        variables = {name: value for name, value in variables.items() if name.removeprefix(prefix) not in (*GROUPS, *NARROWING)}
    given, named = read_variables(role, plain(variables), errors)
    values = {name: variable.default for name, variable in table.items()} | given
    _validate_sources(prefix, table, variables, named, errors)
    guests = parse_guest_settings(prefix, values, given, errors)
    saved, saved_path, saved_name = _read_saved(prefix, given, read_file, errors)
    module_defaults = _read_defaults(plain(defaults), errors)
    parts, paths = _merge(prefix, table, given, module_defaults, errors)
    _validate_slices(prefix, saved, named, values, parts, errors)
    by_group = any(given.get(name) not in (None, {}) for name in GROUPS)
    if by_group:
        not_read = {prefix + name: variables.get(prefix + name) for name in (*GROUPS, *NARROWING) if name not in named}
        validate_selectors(not_read, not_read, errors)
    selection_params = {"vpc_ids": None, **parts["selection"]}
    if not by_group:
        selection_params["eni_ids"] = list(saved.assignments) if saved else []
    # An audit has no request. Its settings get one as well, so that the guards are the same.
    request_params = {**parts["request"], "state": STATE_OF[operation] or "absent", "missing": "ignore", "assignments": []}
    connection_params = parts["connection"]
    if saved and saved.region and "region" not in given:
        connection_params["region"], paths["connection"]["region"] = saved.region, saved_name

    def parse(part: str, parser: Callable[..., Any], *arguments: Any) -> Any:
        found: list[str] = []
        parsed = parser(*arguments, found)
        # An error of the module names its option. Replace this with the variable or default that set the option.
        errors.extend(re.sub(r"^\w+(?=[:.\[])", lambda option: paths[part].get(option[0], option[0]), error) for error in found)
        return parsed

    selection = parse("selection", parse_selection, selection_params)
    request = parse("request", parse_request, request_params)
    connection = parse("connection", parse_connection, connection_params, environ)
    if saved:
        account_id = connection.account_id if connection else connection_params["account_id"]
        for name, value, theirs in (
            ("region", given.get("region"), saved.region),
            ("account_id", account_id, saved.account_id),
            ("approved_digest", values.get("approved_digest"), saved.digest),
        ):
            if value and theirs and value != theirs:
                what = {"region": "belongs to region", "account_id": "belongs to account", "approved_digest": "has the digest"}[name]
                hint = "; set the plan that was approved, or correct the digest" if name == "approved_digest" else ""
                errors.append(f"{prefix}{name}: {value} is set, but {saved_name} {what} {theirs}{hint}")
        connection_params["account_id"] = account_id or saved.account_id
        if saved.plan and (values.get("approved_digest") or values.get("require_approval")):
            # It may have the digest of its plan and a later time, so it would renew an approval that was used or is too old.
            errors.append(
                f"{saved_name} is a restore recipe, but an approval is for a plan; set the plan itself, or make a new one (--check)"
            )
    if errors or connection is None:
        raise SettingsError(errors)
    part = None
    if saved and "enis" in given:
        saved, part = take_part(saved, given["enis"])
    return Settings(
        role,
        selection,
        request,
        replace(connection, account_id=connection_params["account_id"] or connection.account_id),
        saved,
        saved_path,
        part=part,
        # All files of a plan stay in one folder, with its lock and the mark of its approval, whatever link leads to it.
        report_dir=values["report_dir"] or (os.path.dirname(os.path.realpath(saved_path)) if saved_path else None),
        report_url=values["report_url"],
        by_group=by_group,
        # Set the policy explicitly: its default may depend on only_not_seen, which the printed command for the saved plan leaves out.
        given={**given, "guest_policy": guests.policy} if guests and "guest_policy" in values else given,
        guests=guests,
        **{name: values[name] for name in _OWN if name in values},
    )


# -- the rules of the roles


def _validate_sources(
    prefix: str, table: Mapping[str, Variable], variables: Mapping[str, Any], named: Iterable[str], errors: list[str]
) -> None:
    given = [name for name in (*GROUPS, *SAVED) if name in named]
    saved = [name for name in given if name in SAVED]
    if not given:
        sources = [prefix + name for name in (*GROUPS, *SAVED) if name in table]
        errors.append(f"nothing is selected; set {' or '.join(sources)}{name_blanks(variables, sources)}")
    if len(saved) > 1:
        errors.append(f"{prefix}{saved[0]} and {prefix}{saved[1]} are both set; set only one of them")
    if given and saved == given:
        why = "narrows the selection by security groups, but a saved plan is applied exactly; leave it out"
        errors.extend(f"{prefix}{name}: {why}" for name in NARROWING if name in named)


def _validate_slices(
    prefix: str,
    plan: Document | None,
    named: Collection[str],
    values: Mapping[str, Any],
    parts: Mapping[str, dict[str, Any]],
    errors: list[str],
) -> None:
    """A slice proves that its part belongs to the approved plan, so it has to have both. Divides the pace by the number of slices."""
    if values.get("enis") is not None:
        if not {*SAVED} & {*named}:
            errors.append(f"{prefix}enis: the runs that share a plan need the plan itself; set {prefix}plan or {prefix}plan_file")
        if "approved_digest" not in named:
            errors.append(f"{prefix}enis: the runs that share a plan need its digest; set {prefix}approved_digest")
        most = parts["request"]["max_addresses"]
        if plan and most is not None and plan.addresses > most:
            errors.append(f"{prefix}max_addresses: at most {most} may be unassigned, but the plan of all slices has {plan.addresses}")
    slices = values.get("slices")
    if slices and slices > 1:
        try:
            parts["connection"]["calls_per_minute"] = share_pace(parts["connection"]["calls_per_minute"], slices)
        except ValueError as error:
            errors.append(f"{prefix}slices: {error}")


def _read_saved(
    prefix: str, given: Mapping[str, Any], read_file: Callable[[str], str], errors: list[str]
) -> tuple[Document | None, str | None, str]:
    """The saved plan or recipe, the path of its file, and what an error calls it."""
    found: tuple[Document | None, str | None, str] = (None, None, "")
    for name in SAVED:
        if name in given:
            path = given[name] if name.endswith("_file") else None
            source = f"{prefix}{name}: {path}" if path else prefix + name
            try:
                text = read_file(path) if path else given[name]
                found = (read_document(text, published_as=(prefix + name).removesuffix("_file")), path, source)
            except DocumentError as error:
                errors.append(f"{source}: {error}")
            except OSError as error:
                errors.append(f"{prefix}{name}: {error}")  # the error has the path
    return found


# -- module_defaults


def _read_defaults(defaults: Mapping[str, Any], errors: list[str]) -> dict[str, Any]:
    """The defaults that are set, by the main names of their options, typed."""
    found = {name: value for name, value in defaults.items() if value is not None}
    errors.extend(f"module_defaults.{name}: eni_secondary_ip has no such option" for name in found if name not in _MAIN_NAMES)
    guards = {f"module_defaults.{name}": found.get(name) for name in GUARDS}
    validate_guards(guards, guards, errors)
    found = {
        name: value
        for name, value in found.items()
        if name in _MAIN_NAMES and _MAIN_NAMES[name] not in _OF_THE_ROLE and not (name in GUARDS and is_blank(value))
    }
    validated = ArgumentSpecValidator(_SPEC).validate(found)
    errors.extend(f"module_defaults: {message}" for message in validated.error_messages)
    typed = {_MAIN_NAMES[name]: validated.validated_parameters[_MAIN_NAMES[name]] for name in found} if not validated.error_messages else {}
    if "max_addresses" in typed:
        typed["max_addresses"] = parse_number("module_defaults.max_addresses", typed["max_addresses"], errors)
    return typed


def _union_of_tags(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The tags that one or both of them protect. None stands for any value."""
    joined = {**one, **other}
    for key in one.keys() & other.keys():
        lists = [value if isinstance(value, list) else [value] for value in (one[key], other[key])]
        joined[key] = None if None in (one[key], other[key]) else lists[0] + lists[1]
    return joined


# For these options the stricter of role variable and default of the play wins. For all others the variable wins.
_STRICTER: Mapping[str, Callable[[Any, Any], Any]] = {
    "keep": lambda one, other: [*one, *other],
    "protected_tags": _union_of_tags,
    "allow_eip": lambda one, other: one and other,
    "on_refusal": lambda one, other: "fail" if "fail" in (one, other) else "skip",
    "max_addresses": min,
    "calls_per_minute": lambda one, other: min(one, other, key=lambda calls: calls or float("inf")),
}


def _merge(
    prefix: str, table: Mapping[str, Variable], given: dict[str, Any], defaults: Mapping[str, Any], errors: list[str]
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, str]]]:
    """The module options by part, and the variable or default that set each, for error messages. Puts joined guards into ``given``."""
    specs: Mapping[str, Mapping[str, Any]] = {"selection": selection_spec(), "request": request_spec(), "connection": connection_spec()}
    parts = {part: {name: defaults.get(name, option.get("default")) for name, option in spec.items()} for part, spec in specs.items()}
    paths = {part: {name: f"module_defaults.{name}" for name in spec if name in defaults} for part, spec in specs.items()}
    for name, variable in table.items():
        part, _dot, option = variable.option.partition(".")
        if not part:
            continue
        value = given.get(name)
        default = defaults.get(option)
        if option == "account_id" and None not in (value, default) and value != default:
            errors.append(f"{prefix}{name}: {value} is set, but module_defaults.account_id is {default}; set the same account")
        if value is None and (default is None or option in _STRICTER):
            value = variable.default
        if name in given or default is None:
            paths[part][option] = prefix + name + (f" and module_defaults.{option}" if default is not None and option in _STRICTER else "")
        if default is not None and option in _STRICTER:
            given[name] = value = default if value is None else _STRICTER[option](value, default)
        if value is not None:
            parts[part][option] = value
    return parts, paths
