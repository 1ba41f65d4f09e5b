# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: options → validated request. All errors are collected, each with its option path.

Private to this collection. The argument spec has only types and choices. This file checks all other rules, because Ansible
would report only the first error, and would accept an empty string as a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import (
    KIND_BY_NAME,
    KINDS,
    PRIVATE_IPV4,
    AddressSet,
    Blocks,
    make_address_set,
    ordered,
    parse_block,
)
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import (
    is_blank,
    name_blanks,
    parse_number,
    text_or_none,
    texts_or_none,
    validate_guards,
    validate_numbers,
    validate_selectors,
)

# An id of the service is a type and letters or digits. Security groups from the time before VPCs have 'G' and digits.
ENI_ID = re.compile(r"eni-[A-Za-z0-9]+")
INSTANCE_ID = re.compile(r"i-[A-Za-z0-9]+")
SECURITY_GROUP_ID = re.compile(r"sg-[A-Za-z0-9]+|G[0-9]+")
VPC_ID = re.compile(r"vpc-[A-Za-z0-9]+")
VSWITCH_ID = re.compile(r"vsw-[A-Za-z0-9]+")
# Form of an id → what it is called in messages, and an example.
ID_NAMES = {
    ENI_ID: ("an ENI id", "eni-bp1example"),
    INSTANCE_ID: ("an instance id", "i-bp1example"),
    SECURITY_GROUP_ID: ("a security group id", "sg-bp1example"),
    VPC_ID: ("a VPC id", "vpc-bp1example"),
    VSWITCH_ID: ("a vSwitch id", "vsw-bp1example"),
}
# Types and states of ENIs, as the service names them.
ENI_TYPES = ("Primary", "Secondary")
ENI_STATUSES = ("Available", "Attaching", "InUse", "Detaching", "Deleting")
TARGET_OPTIONS = {ENI_ID: "eni_id", INSTANCE_ID: "instance_id"}
# A blank guard would silently protect nothing, so it is an error.
GUARDS = ("keep", "max_addresses")
ADDRESS_FILTERS = ("within", "excluding", "private_ip_addresses")

# ENIs with these tags belong to a container network, so pods use their addresses. None: any value. Source: the tags that the
# controllers set (terway, types/aliyun.go and pkg/aliyun/client/eni_filter.go; cilium, pkg/alibabacloud/utils).
CONTAINER_NETWORK_TAGS: Mapping[str, tuple[str, ...] | None] = {
    "creator": ("terway", "alibabacloud-erdma-controller"),
    "ack.aliyun.com": None,
    "cilium-eni-index": None,
}

Tags: TypeAlias = "dict[str, tuple[str, ...] | None]"  # tag key → values that match, None for any value


@dataclass(frozen=True)
class Target:
    """One ENI, or the primary ENI of one instance, and the addresses that the request names."""

    option_path: str
    eni_id: str | None
    instance_id: str | None
    named: AddressSet
    all_secondary: bool = False

    @property
    def name(self) -> str:
        return self.eni_id or self.instance_id or ""


@dataclass(frozen=True)
class Request:
    """A request to ``eni_secondary_ip``. Addresses and blocks are canonical; times are seconds."""

    state: str
    targets: tuple[Target, ...]
    keep: Blocks = field(default_factory=Blocks)
    allow_eip: bool = False
    protected_tags: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    ignore_missing: bool = False
    max_addresses: int | None = None
    skip_refused: bool = False
    wait: bool = True
    wait_timeout: float = 60
    skip_transitional: bool = False  # the plan of a role does not wait for transitional states

    @property
    def waits_for_states(self) -> bool:
        """Whether a run waits for transitional states to end."""
        return self.wait and self.wait_timeout > 0 and not self.skip_transitional


def parse_id(
    option_path: str, value: Any, pattern: re.Pattern[str], errors: list[str], options: Mapping[re.Pattern[str], str] | None = None
) -> str | None:
    """``options``: form of an id → the option of this plugin for it, so that the error for an id of another kind can name it."""
    text = text_or_none(value)
    if text is not None and not pattern.fullmatch(text):
        wanted, example = ID_NAMES[pattern]
        other = next((form for form in ID_NAMES if form.fullmatch(text)), None)
        problem = f"is {ID_NAMES[other][0]}, not {wanted}" if other else f"is not {wanted}"
        use = f"; use {options[other]}" if other and options and other in options else ""
        errors.append(f"{option_path}: '{text}' {problem} such as {example}{use}")
    return text


def parse_each(option_path: str, values: list[Any] | None, parse: Callable[[str], str], errors: list[str]) -> tuple[str, ...] | None:
    """Parse each value. A ValueError of ``parse`` becomes an error with its option path."""
    texts = texts_or_none(values)
    if texts is None:
        return None
    parsed = []
    for text in texts:
        try:
            parsed.append(parse(text))
        except ValueError as error:
            errors.append(f"{option_path}: {error}")
    return ordered(parsed)


def parse_protected_tags(given: Mapping[Any, Any] | None, errors: list[str]) -> Tags:
    """The built-in tags and the tags of the option. Only an explicit ``{}`` removes the built-in tags."""
    if given == {}:
        return {}
    protected: Tags = dict(CONTAINER_NETWORK_TAGS)
    for key, values in parse_tags("protected_tags", given, errors).items():
        others = protected.get(key, ())
        protected[key] = None if values is None or others is None else (*others, *values)
    return protected


def has_tag(tags: Mapping[str, str], key: str, values: tuple[str, ...] | None) -> bool:
    return key in tags and (values is None or tags[key] in values)


def parse_tags(option_path: str, given: Mapping[Any, Any] | None, errors: list[str]) -> Tags:
    """Tag key → values that match, None for any value."""
    tags: Tags = {}
    for key, value in (given or {}).items():
        values = value if isinstance(value, list) else [value]
        if not str(key).strip():
            errors.append(f"{option_path}: a tag has an empty key, so it would match nothing; name the key")
        elif value is None:
            tags[str(key)] = None
        elif values and all(isinstance(one, str) for one in values):
            tags[str(key)] = tuple(values)
        else:
            errors.append(
                f"{option_path}: the value of '{key}' is {value!r}; set a string (quote numbers), a list of strings, or null for any value"
            )
    return tags


def target_spec() -> dict[str, dict[str, Any]]:
    """The options for one ENI and its addresses, for the module itself and for an entry of ``assignments``."""
    addresses: dict[str, dict[str, Any]] = {kind.name: {"type": "list", "elements": "str"} for kind in KINDS}
    addresses[PRIVATE_IPV4]["aliases"] = ["secondary_private_ip_addresses"]
    return {
        "eni_id": {"type": "str", "aliases": ["network_interface_id"]},
        "instance_id": {"type": "str"},
        **addresses,
        "all_secondary": {"type": "bool", "default": False},
    }


def request_spec() -> dict[str, dict[str, Any]]:
    """The argument spec of a change: types and choices only."""
    return {
        "state": {"type": "str", "choices": ["absent", "present"]},
        **target_spec(),
        "assignments": {"type": "list", "elements": "dict", "options": target_spec()},
        "keep": {"type": "list", "elements": "str"},
        "allow_eip": {"type": "bool", "default": False},
        "protected_tags": {"type": "dict"},
        "missing": {"type": "str", "choices": ["fail", "ignore"], "default": "fail"},
        "max_addresses": {"type": "raw"},
        "on_refusal": {"type": "str", "choices": ["fail", "skip"], "default": "fail"},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 60},
    }


def parse_request(params: Mapping[str, Any], errors: list[str]) -> Request:
    """The request in ``params`` (module parameters, aliases resolved). Adds to ``errors``. If it adds something, the request must
    not be used."""
    state = text_or_none(params["state"])
    if state is None:
        errors.append("state: is required; set absent to unassign addresses, or present to assign them")
    validate_guards(params, GUARDS, errors)
    max_addresses = None if is_blank(params["max_addresses"]) else parse_number("max_addresses", params["max_addresses"], errors)
    numbers = {"max_addresses": max_addresses, "wait_timeout": params["wait_timeout"]}
    validate_numbers(numbers, dict.fromkeys(numbers, (0, None)), errors)
    return Request(
        state=state or "",
        targets=_parse_targets(params, state, errors),
        keep=Blocks(parse_each("keep", params["keep"], parse_block, errors) or ()),
        allow_eip=params["allow_eip"],
        protected_tags=parse_protected_tags(params["protected_tags"], errors),
        ignore_missing=params["missing"] == "ignore",
        max_addresses=max_addresses,
        skip_refused=params["on_refusal"] == "skip",
        wait=params["wait"],
        wait_timeout=params["wait_timeout"],
    )


def _parse_targets(params: Mapping[str, Any], state: str | None, errors: list[str]) -> tuple[Target, ...]:
    if params["assignments"] is None:
        return (_parse_target("", params, state, errors),)
    single = ("eni_id", "instance_id", *(kind.name for kind in KINDS))
    given = [name for name in single if _is_given(params[name])] + ["all_secondary"] * params["all_secondary"]
    if given:
        errors.append(f"assignments: cannot be combined with {', '.join(given)}; set these in each assignment")
    return tuple(_parse_target(f"assignments[{index}].", entry, state, errors) for index, entry in enumerate(params["assignments"]))


def _is_given(value: Any) -> bool:
    return (texts_or_none(value) if isinstance(value, list) else text_or_none(value)) is not None


def _parse_target(option_path: str, entry: Mapping[str, Any], state: str | None, errors: list[str]) -> Target:
    eni_id = parse_id(f"{option_path}eni_id", entry["eni_id"], ENI_ID, errors, TARGET_OPTIONS)
    instance_id = parse_id(f"{option_path}instance_id", entry["instance_id"], INSTANCE_ID, errors, TARGET_OPTIONS)
    whole = option_path.rstrip(".") + ": " if option_path else ""
    alternatives = "eni_id or instance_id" if option_path else "eni_id, instance_id or assignments"
    if eni_id and instance_id:
        errors.append(f"{whole}eni_id ({eni_id}) and instance_id ({instance_id}) are both set; set only one of them")
    elif not eni_id and not instance_id:
        errors.append(f"{whole}no ENI is named; set {alternatives}{name_blanks(entry, ('eni_id', 'instance_id'))}")

    lists = {kind.name: parse_each(f"{option_path}{kind.name}", entry[kind.name], kind.parse, errors) for kind in KINDS}
    given = [name for name, entries in lists.items() if entries is not None]
    all_secondary = bool(entry["all_secondary"])
    if all_secondary and state == "present":
        errors.append(f"{option_path}all_secondary: requires state=absent; with state=present, name each address to assign")
    if all_secondary and given:
        errors.append(f"{option_path}all_secondary: cannot be combined with {', '.join(given)}; leave one of them out")
    if not all_secondary and not given:
        also = " or all_secondary" if state != "present" else ""
        blank = name_blanks(entry, lists)
        errors.append(f"{whole}no address is named; set one of {', '.join(lists)}{also} (an empty list does nothing){blank}")
    return Target(
        option_path, eni_id, instance_id, make_address_set({name: entries or () for name, entries in lists.items()}), all_secondary
    )


@dataclass(frozen=True)
class Selection:
    """A request to ``eni_secondary_ip_info``. A selector that is None was not set; an empty tuple selects nothing."""

    eni_ids: tuple[str, ...] | None
    instance_ids: tuple[str, ...] | None
    security_group_ids: tuple[str, ...] | None
    security_group_names: tuple[str, ...] | None
    security_group_tags: Tags
    vpc_ids: tuple[str, ...] | None
    vswitch_id: str | None
    tags: Tags
    status: str | None
    type: str | None
    within: Blocks | None
    excluding: Blocks
    private_ip_addresses: tuple[str, ...] | None
    kinds: tuple[str, ...]
    all_enis_of_instances: bool = False


SELECTORS = (
    "eni_ids",
    "instance_ids",
    "security_group_ids",
    "security_group_names",
    "security_group_tags",
    "vpc_id",
    "vswitch_id",
    "tags",
    "status",
    "type",
)


def selection_spec() -> dict[str, dict[str, Any]]:
    """The argument spec of the selectors and address filters: types and choices only."""
    texts = {"type": "list", "elements": "str"}
    return {
        "eni_ids": texts,
        "instance_ids": texts,
        "instance_enis": {"type": "str", "choices": ["primary", "all"], "default": "primary"},
        "security_group_ids": texts,
        "security_group_names": texts,
        "security_group_tags": {"type": "dict"},
        "vpc_id": {"type": "str"},
        "vswitch_id": {"type": "str"},
        "tags": {"type": "dict"},
        "status": {"type": "str", "choices": list(ENI_STATUSES)},
        "type": {"type": "str", "choices": list(ENI_TYPES)},
        "whole_region": {"type": "bool", "default": False},
        "within": texts,
        "excluding": texts,
        "private_ip_addresses": {**texts, "aliases": ["secondary_private_ip_addresses"]},
        "kinds": {**texts, "choices": list(KIND_BY_NAME), "default": [PRIVATE_IPV4]},
    }


def parse_selection(params: Mapping[str, Any], errors: list[str]) -> Selection:
    """As ``parse_request``, for the info module and the inventory; with ``vpc_ids`` in ``params`` for the roles."""
    options = {SECURITY_GROUP_ID: "security_group_ids"}
    if "vpc_ids" in params:
        options |= {VPC_ID: "vpc_ids"}
    else:
        options |= {VPC_ID: "vpc_id", ENI_ID: "eni_ids", INSTANCE_ID: "instance_ids", VSWITCH_ID: "vswitch_id"}

    def ids(option: str, pattern: re.Pattern[str]) -> tuple[str, ...] | None:
        texts = texts_or_none(params[option])
        return (
            texts
            if texts is None
            else tuple(filter(None, (parse_id(option, text, pattern, errors, options) for text in dict.fromkeys(texts))))
        )

    def one_id(option: str, pattern: re.Pattern[str]) -> tuple[str, ...] | None:
        found = parse_id(option, params[option], pattern, errors, options)
        return (found,) if found else None

    def blocks(option: str) -> Blocks | None:
        parsed = parse_each(option, params[option], parse_block, errors)
        return None if parsed is None else Blocks(parsed)

    names = texts_or_none(params["security_group_names"])
    for option in ("security_group_tags", "tags"):
        if params[option] == {}:
            # It may mean any tag or no tag. In doubt, it must not select more than the other selectors do.
            errors.append(f"{option}: {{}} is empty; set a tag such as {{team: web}}, or leave it out")
    selection = Selection(
        eni_ids=ids("eni_ids", ENI_ID),
        instance_ids=ids("instance_ids", INSTANCE_ID),
        security_group_ids=ids("security_group_ids", SECURITY_GROUP_ID),
        security_group_names=names if names is None else tuple(dict.fromkeys(names)),
        security_group_tags=parse_tags("security_group_tags", params["security_group_tags"], errors),
        vpc_ids=ids("vpc_ids", VPC_ID) if "vpc_ids" in params else one_id("vpc_id", VPC_ID),
        vswitch_id=parse_id("vswitch_id", params["vswitch_id"], VSWITCH_ID, errors, options),
        tags=parse_tags("tags", params["tags"], errors),
        status=params["status"],
        type=params["type"],
        within=blocks("within"),
        excluding=blocks("excluding") or Blocks(),
        private_ip_addresses=parse_each("private_ip_addresses", params["private_ip_addresses"], KIND_BY_NAME[PRIVATE_IPV4].parse, errors),
        kinds=tuple(params["kinds"]),
        all_enis_of_instances=params["instance_enis"] == "all",
    )
    validate_guards(params, ADDRESS_FILTERS, errors)
    given = [name for name in SELECTORS if getattr(selection, {"vpc_id": "vpc_ids"}.get(name, name)) not in (None, {})]
    if given:
        validate_selectors(params, SELECTORS, errors)
    if not given and not params["whole_region"]:
        errors.append(
            f"no ENI is selected; set one or more of {', '.join(SELECTORS)}, or set whole_region=true for every ENI of the region"
        )
    if given and params["whole_region"]:
        errors.append(
            f"whole_region: selects every ENI of the region, so it cannot be combined with {', '.join(given)}; leave one of them out"
        )
    return selection
