# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables of the roles: the one table, and their typed values. A variable may be typed, or text from a survey.

Private to this collection. Pure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.parsing.vault import VaultHelper

from ansible_collections.alicloud_ops.network.plugins.module_utils._addresses import KIND_BY_NAME, PRIVATE_IPV4
from ansible_collections.alicloud_ops.network.plugins.module_utils._request import ADDRESS_FILTERS, ENI_STATUSES, ENI_TYPES
from ansible_collections.alicloud_ops.network.plugins.module_utils._text import is_blank, parse_number, validate_guards, validate_numbers
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import DIGEST, DocumentError, StrictLoader
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._evidence import POLICIES
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import did_you_mean
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._sending import validate_url


@dataclass(frozen=True)
class Variable:
    """A variable of a role. ``roles``: first letters of its roles. ``option``: part and option of the module that it sets; '' if the role
    itself uses it."""

    kind: str
    roles: str
    option: str = ""
    default: Any = None
    choices: tuple[str, ...] = ()
    least: int | None = None  # allowed number, if no option of the module has a limit
    is_guard: bool = False  # protects or narrows, so that blank text is an error
    question: str = ""  # of the surveys in extensions/patterns, so that an error in AWX names the question that its reader knows


# The one table of the variables; meta/argument_specs.yml of the roles documents it.
VARIABLES: Mapping[str, Variable] = {
    "region": Variable("str", "aur", "connection.region", question="Region"),
    "account_id": Variable("str", "aur", "connection.account_id", is_guard=True, question="Account"),
    "security_group_ids": Variable("list", "au", "selection.security_group_ids", question="Security groups by id"),
    "security_group_names": Variable("list", "au", "selection.security_group_names", question="Security groups by name"),
    "security_group_tags": Variable("dict", "au", "selection.security_group_tags", question="Security groups by tag"),
    "vpc_ids": Variable("list", "au", "selection.vpc_ids", question="VPCs of these security groups"),
    "eni_type": Variable("str", "au", "selection.type", choices=ENI_TYPES, question="Type of the ENIs"),
    "eni_status": Variable("str", "au", "selection.status", choices=ENI_STATUSES),
    "eni_tags": Variable("dict", "au", "selection.tags"),
    "within": Variable("list", "au", "selection.within", is_guard=True, question="Only addresses in these CIDR blocks"),
    "excluding": Variable("list", "au", "selection.excluding", is_guard=True, question="Without these addresses"),
    "private_ip_addresses": Variable("list", "au", "selection.private_ip_addresses", is_guard=True),
    "kinds": Variable("list", "au", "selection.kinds", [PRIVATE_IPV4], choices=tuple(KIND_BY_NAME), is_guard=True),
    "keep": Variable("list", "u", "request.keep", is_guard=True, question="Addresses to keep"),
    "plan": Variable("raw", "u", question="Saved plan"),
    "plan_file": Variable("path", "u"),
    "approved_digest": Variable("digest", "u", question="Digest of the approved plan"),
    "require_approval": Variable("bool", "u", default=False, is_guard=True),
    "approval_max_age": Variable("int", "u", default=24, is_guard=True, least=1),
    "enis": Variable("list", "u", is_guard=True),
    "slices": Variable("int", "u", default=1, least=1),
    "recipe": Variable("raw", "r", question="Restore recipe"),
    "recipe_file": Variable("path", "r"),
    "max_addresses": Variable("int", "u", "request.max_addresses", 1000, is_guard=True, question="Maximum number of addresses"),
    "on_refusal": Variable("str", "u", "request.on_refusal", "skip", choices=("skip", "fail"), is_guard=True),
    "allow_eip": Variable("bool", "u", "request.allow_eip", False, question="Unassign addresses with an EIP, too"),
    "protected_tags": Variable("dict", "ur", "request.protected_tags", is_guard=True),
    "wave_size": Variable("int", "ur", default=50, least=1, question="Addresses per wave"),
    "wave_pause": Variable("int", "ur", default=0, least=0, question="Seconds between two waves"),
    "max_failures": Variable("share", "ur", default={"u": "0", "r": "100%"}, is_guard=True, question="Failures to allow"),
    "calls_per_minute": Variable("int", "aur", "connection.calls_per_minute"),
    "max_concurrency": Variable("int", "ur", "connection.max_concurrency"),
    "wait_timeout": Variable("int", "ur", "request.wait_timeout"),
    "report_url": Variable("url", "aur", question="Where to send the report"),
    "report_dir": Variable("path", "aur"),
    "guests": Variable("pattern", "au", is_guard=True),
    "guest_policy": Variable("str", "u", choices=POLICIES, is_guard=True),
    "only_not_seen": Variable("bool", "u", default=False, is_guard=True),
    "guest_max_age": Variable("int", "au", default=15, is_guard=True, least=1),
}
SAVED = ("plan", "plan_file", "recipe", "recipe_file")
APPROVAL_NEEDED = (
    "an approval is required (unassign_secondary_ips_require_approval); make the plan in check mode (--check), have it approved, and "
    "set this variable to its digest"
)
# A run needs at least one of these, or a saved document: an omission selects nothing.
GROUPS = ("security_group_ids", "security_group_names", "security_group_tags")
# These narrow the selection by groups. On a saved plan, which is applied exactly, they would have no effect.
NARROWING = ("vpc_ids", "eni_type", "eni_status", "eni_tags", *ADDRESS_FILTERS, "kinds", "only_not_seen")


def variables_of(role: str) -> dict[str, Variable]:
    """Name without the prefix → variable of this role, with its default in this role."""
    return {
        name: replace(variable, default=variable.default[role[0]]) if isinstance(variable.default, dict) else variable
        for name, variable in VARIABLES.items()
        if role[0] in variable.roles
    }


def read_variables(role: str, variables: Mapping[str, Any], errors: list[str]) -> tuple[dict[str, Any], set[str]]:
    """The typed values, and the names of all variables that are set, also of the wrong ones. Both without the prefix of the role."""
    table = variables_of(role)
    given: dict[str, Any] = {}
    named = set()
    needs_digest = is_true(variables.get(f"{role}_require_approval"))
    for full_name, value in variables.items():
        name = full_name.removeprefix(f"{role}_")
        if name in ("result", "plan_text") or value is None:
            continue  # the role itself registers and publishes these
        if name not in table:
            errors.append(f"{full_name}: there is no such variable" + did_you_mean(full_name, [f"{role}_{known}" for known in table]))
        elif is_blank(value) and name == "approved_digest" and needs_digest:
            # A digest that was left empty must not let an unapproved run pass.
            errors.append(f"{full_name}: is empty text, and {APPROVAL_NEEDED}")
        elif isinstance(value, list) or not is_blank(value) or table[name].is_guard:
            named.add(name)
            blank: list[str] = []
            try:
                value = _split(value, table[name].kind)
                if table[name].is_guard or is_blank(value):
                    validate_guards({full_name: value}, [full_name], blank)
                given |= {} if blank else {name: _convert(value, table[name])}
            except ValueError as error:
                errors.append(f"{full_name}: {error}")
            errors += blank
    return given, named


def name_questions(error: str) -> str:
    """The error, with the question after the first mention of each variable that a survey asks for."""
    named: set[str] = set()

    def with_question(found: re.Match[str]) -> str:
        variable = VARIABLES.get(found[1])
        if variable is None or not variable.question or found[1] in named:
            return found[0]
        named.add(found[1])
        return f"{found[0]} (question '{variable.question}')"

    return re.sub(r"\b(?:audit|unassign|restore)_secondary_ips_([a-z_]+)", with_question, error)


def find_encrypted(values: Mapping[str, Any]) -> list[str]:
    """An error for each value with a part that is encrypted with Ansible Vault. ``values``: full name → value, templated, with its tags.
    A secret may be encrypted, because no output and no file has it."""
    secret = tuple(name for name, variable in VARIABLES.items() if variable.kind == "url")
    return [
        f"{name}: it is encrypted with Ansible Vault, but output and files of the run would show its plain text; set it to plain text. "
        "A plan or recipe may be an encrypted file, see plan_file and recipe_file"
        for name, value in values.items()
        if not name.endswith(secret) and _has_encrypted(value)
    ]


def _has_encrypted(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_encrypted, [*value, *value.values()]))
    if isinstance(value, list | tuple):
        return any(map(_has_encrypted, value))
    return VaultHelper.get_ciphertext(value, with_tags=False) is not None


def is_true(value: Any) -> bool:
    try:
        return bool(boolean(value, strict=True))
    except TypeError:
        return False


def _convert(value: Any, variable: Variable) -> Any:
    """The typed value; ValueError says what would be right."""
    kind = variable.kind
    if kind == "list":
        if isinstance(value, Mapping):
            raise ValueError(f"{dict(value)!r} is not a list")
        value = [_text(entry) for entry in value if not is_blank([entry])]
    elif kind == "dict" and value == []:
        # {} may turn a guard off, and an empty list must not do the same.
        raise ValueError("an empty list has no tag; set tags, or leave it out")
    elif kind == "dict":
        value = dict(value) if isinstance(value, Mapping) else _tags(_text(entry) for entry in value if not is_blank([entry]))
    elif kind == "int":
        errors: list[str] = []
        number = parse_number("", value, errors)
        if variable.least is not None:
            validate_numbers({"": number}, {"": (variable.least, None)}, errors)
        if errors:
            raise ValueError(errors[0].removeprefix(": "))
        value = number
    elif kind == "bool":
        try:
            value = boolean(value, strict=True)
        except TypeError:
            raise ValueError(f"'{value}' is neither true nor false") from None
    elif kind == "str":
        value = _text(value)
    elif kind == "path":
        value = os.path.expanduser(os.path.expandvars(_text(value)))
        if not os.path.isabs(value):
            # Ansible would resolve it against the folder of the playbook, which may be this collection.
            raise ValueError(f"'{value}' is not an absolute path")
    elif kind == "digest":
        value = _text(value).lower()
        if not DIGEST.fullmatch(value):
            raise ValueError(f"'{value}' is not the digest of a plan, which has 64 hex digits")
    elif kind == "share":
        value = _text(value)
        allowed_failures(value, 0)
    elif kind == "url":
        if not isinstance(value, str):
            raise ValueError("it is not text")  # no error repeats it, because it may hold a secret
        value = _text(value)
        validate_url(value)
    elif kind == "pattern":  # of hosts
        value = ",".join(map(_text, value))
    for one in value if kind == "list" else [value]:
        if variable.choices and one not in variable.choices:
            raise ValueError(f"'{one}' is not one of {', '.join(variable.choices)}")
    return value


def allowed_failures(text: str, total: int) -> int:
    """The number of failures that ``max_failures``, a count or a percentage, allows of ``total`` addresses."""
    number = re.fullmatch(r"([0-9]{1,10})(%?)", text.strip())
    if not number or (number[2] and int(number[1]) > 100):
        raise ValueError(f"'{text}' is neither a count such as 10 nor a share such as 5%")
    return total * int(number[1]) // 100 if number[2] else int(number[1])


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{value!r} is not text")
    try:
        return str(value).strip()
    except ValueError:
        raise ValueError("it has a number with too many digits") from None  # Python refuses to show it


def _split(given: Any, kind: str) -> Any:
    """The entries of a list, of a mapping of tags, or of a pattern. As text: with commas or line breaks, or in the brackets of JSON or
    YAML. The text of a pattern has commas only."""
    if kind not in ("list", "dict", "pattern"):
        return given
    if not isinstance(given, str):
        return given if isinstance(given, list) or (isinstance(given, Mapping) and kind != "pattern") else [given]
    if kind != "pattern" and given.strip()[:1] in ("[", "{"):
        try:
            # A SafeLoader that refuses more.
            return yaml.load(given.strip(), StrictLoader)  # noqa: S506 - see above
        except DocumentError:
            raise
        except (ValueError, yaml.YAMLError, RecursionError):
            raise ValueError(f"'{given}' cannot be read; check its brackets and quotes") from None
    # Each line of a block of text ends with a line break, also the last one. A comma before it separates nothing more.
    return given.split(",") if kind == "pattern" else re.split(r",?[ \t\r]*\n|,", given.removesuffix("\n"))


def _tags(entries: Iterable[str]) -> dict[str, Any]:
    """``key=value``. A key alone stands for any value, and a key that occurs twice for either value."""
    tags: dict[str, Any] = {}
    for entry in entries:
        key, equals, value = (part.strip() for part in entry.partition("="))
        if not key or (not equals and ":" in key):
            raise ValueError(f"'{entry}' is not a tag such as team=web")
        if not equals:
            tags[key] = None
        elif tags.setdefault(key, []) is not None:
            tags[key].append(value)
    return tags
