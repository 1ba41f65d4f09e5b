# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth import choose
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.choose import find_credential_spec


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home on a machine that is not an ECS instance, with a token of a pod."""
    monkeypatch.setattr(choose, "PRODUCT_NAME", tmp_path / "product_name")
    (tmp_path / "token").write_text("not-shown-token\n")
    return tmp_path


@pytest.fixture
def find(home):
    def find(options=None, environ=None):
        errors = []
        given = {name: str(value).replace("TOKEN", str(home / "token")) for name, value in (options or {}).items()}
        known = {name: value.replace("TOKEN", str(home / "token")) for name, value in (environ or {}).items()}
        spec = find_credential_spec(given, {"HOME": str(home), **known}, errors)
        assert (spec is None) == bool(errors)
        assert "not-shown" not in f"{spec!r}{spec}{errors}"
        return spec, errors

    return find
