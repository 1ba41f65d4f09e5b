# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a module of this collection in the process of the test: real argument spec, real SDK, real HTTP."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
from collections.abc import Mapping
from typing import Any
from unittest import mock

from ansible.module_utils.common.parameters import PASS_VARS
from ansible.module_utils.testing import patch_module_args

# ansible-core 2.21 repeats the arguments in the result only if it is asked to. Older versions always do, and refuse to be asked.
REPEAT_ARGUMENTS = {"_ansible_inject_invocation": True} if "inject_invocation" in PASS_VARS else {}


def run_module(
    name: str, arguments: Mapping[str, Any], environment: Mapping[str, str], *, check: bool = False, diff: bool = False
) -> dict[str, Any]:
    """The result of the module. The environment is exactly ``environment``, plus PATH and HOME if they are missing."""
    main = importlib.import_module(f"ansible_collections.alicloud_ops.network.plugins.modules.{name}").main
    kept = {variable: os.environ[variable] for variable in ("PATH", "HOME", "SSL_CERT_FILE") if variable in os.environ}
    output = io.StringIO()
    with (
        mock.patch.dict(os.environ, {**kept, **environment}, clear=True),
        patch_module_args({**arguments, "_ansible_check_mode": check, "_ansible_diff": diff, **REPEAT_ARGUMENTS}),
        contextlib.redirect_stdout(output),
        contextlib.suppress(SystemExit),
    ):
        main()
    return json.loads(output.getvalue())
