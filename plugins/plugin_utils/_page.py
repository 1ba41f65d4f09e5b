# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: a report by a template, every value escaped.

Private to this collection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

# What Markdown (as tickets render it) would take for markup or for HTML.
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~&])")


def render(report: Mapping[str, Any], template: str, markup: str) -> str:
    environment = Environment(
        autoescape=True,
        finalize=_for_markdown if markup == "markdown" else None,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(template).render(report=report)


def _for_markdown(value: Any) -> Any:
    """Escaped for Markdown, and said to be safe, so that it is not escaped for HTML as well."""
    return Markup(MARKDOWN.sub(r"\\\1", str(value).replace("\n", " ")))  # noqa: S704 - this is the escaping
