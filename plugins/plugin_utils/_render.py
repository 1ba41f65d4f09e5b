# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A report as JSON, as Markdown or as an HTML page; every value is escaped.

Private to this collection. Reads the templates, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._folder import report_name
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._format import format_duration, label
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._guest_report import format_conflict
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._lines import FILE_LABELS, split_step
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._report import DIFFERENCES, states_of

TEMPLATES = Path(__file__).parents[2] / "roles" / "audit_secondary_ips" / "templates"
MOST_COPIED = 2_000  # addresses of a recipe that the page itself holds, to be copied; a larger one is in its file
# Characters that Markdown (as tickets render it) takes for markup or HTML.
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~&])")


def render_all(report: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Kind, file name and text of the report in each form."""
    for kind in ("json", "md", "html"):
        yield kind, report_name(report["operation"], report["digest"] or "0" * 12, report["started_at"], kind), render(report, kind)


def render(report: Mapping[str, Any], kind: str) -> str:
    """``kind``: "json" (one line for each ENI), "md" (one row for the addresses of an ENI with the same outcome) or "html" (one page
    without requests)."""
    if kind == "json":
        return _as_json(report)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_for_markdown if kind == "md" else None,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(label=label, duration=format_duration, clusters=_clusters, csp_hash=_csp_hash)
    environment.filters.update(step=split_step, conflict=format_conflict)
    table, recipe = (_table(report), _recipe(report)) if kind == "html" else (None, "")
    return environment.get_template(f"report.{kind}.j2").render(
        report=report,
        states=states_of(report["totals"]),
        table=table,
        recipe=recipe,
        differences=DIFFERENCES,
        file_labels=FILE_LABELS,
    )


def _as_json(report: Mapping[str, Any]) -> str:
    """Without indents, which would make it ten times slower and twice as long."""
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in report["interfaces"])
    entries = {name: json.dumps(value, ensure_ascii=False) for name, value in report.items() if name != "interfaces"}
    return "{\n" + ",\n".join(f'"{name}": {text}' for name, text in {**entries, "interfaces": f"[\n{rows}\n]"}.items()) + "\n}\n"


def _for_markdown(value: Any) -> Markup:
    """Escaped for Markdown, and marked as safe, so that Jinja does not escape it for HTML as well. What the template marks as safe is in
    a code block, where nothing is markup."""
    if isinstance(value, Markup):
        return value
    return Markup(_MARKDOWN.sub(r"\\\1", str(value).replace("\n", " ")))  # noqa: S704 - this is the escaping


def _clusters(row: Mapping[str, Any]) -> list[tuple[tuple[str, ...], list[str]]]:
    """The addresses of an ENI by outcome: (state, code, reason, request id, level, finding) → addresses, each with its
    EIP. Level and finding are empty without guests. A finding that repeats the reason is empty too."""
    found: dict[tuple[str, ...], list[str]] = {}
    for line in row["addresses"] + ([row["failure"]] if row["failure"] else []):
        level, finding = line.get("level", ""), line.get("finding", "")
        key = (line["state"], line["code"] or "", line["reason"], line["request_id"] or "")
        addresses = found.setdefault((*key, level, "" if finding == line["reason"] else finding), [])
        if line["address"]:
            addresses.append(line["address"] + (f" EIP {line['eip']}" if line["eip"] else ""))
    return sorted(found.items(), key=lambda cluster: cluster[0][1] == "")


def _table(report: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of the page in a short form, so that 100,000 addresses make a page of a few megabytes. Its script makes the table."""
    reasons: dict[tuple[str, ...], int] = {}
    rows = [
        [
            *(row[name] for name in ("eni_id", "name", "type", "status", "instance_id", "security_group_ids")),
            [[reasons.setdefault(reason, len(reasons)), ",".join(addresses)] for reason, addresses in _clusters(row)],
        ]
        for row in report["interfaces"]
    ]
    names = {group["security_group_id"]: group["name"] for group in report["groups"] if group["name"]}
    return {
        "guests": report["guests"] is not None,
        "groups": names,
        "reasons": [[label(reason[0]), *reason] for reason in reasons],
        "rows": rows,
    }


def _recipe(report: Mapping[str, Any]) -> str:
    """The recipe in one line, to be copied; empty if there is none, or if it is too large."""
    recipe = report["recipe"] or {"assignments": []}
    assignments = [{name: value for name, value in entry.items() if value} for entry in recipe["assignments"]]
    number = sum(len(value) for entry in assignments for name, value in entry.items() if name != "eni_id")
    return json.dumps({**recipe, "assignments": assignments}) if 0 < number <= MOST_COPIED else ""


def _csp_hash(script: str) -> str:
    """For the Content-Security-Policy: the page runs this script and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
