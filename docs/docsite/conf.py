# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# `make docs` appends this to the configuration that antsibull-docs writes.

import re

html_title = "alicloud_ops.network"
language = "en"
intersphinx_mapping = {}  # the build needs no network
extensions = ["sphinx_antsibull_ext"]
# Links of generated pages into the documentation of ansible-core, which is not part of this site.
suppress_warnings = ["ref.ref", "ref.envvar", "toc.not_included"]
html_static_path = ["static"]
html_css_files = ["site.css"]
# Colours with enough contrast, in light and dark mode.
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
html_theme_options = {"navigation_with_keys": True}


def setup(app):
    """The theme has a table of contents of its own, so the generated pages must not bring another one."""
    contents = re.compile(r"\.\. contents::\n(?: +:.*\n)+")
    app.connect("source-read", lambda app, name, source: source.__setitem__(0, contents.sub("", source[0])))
