# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which key signs the calls: the one place that knows about keys.

Private to this collection. A source is taken whole or not at all: an id from one place and a secret from another
would sign with a pair that nobody meant, and half a pair that fell through to the next source would be worse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

from ansible_collections.alicloud_ops.network.plugins.module_utils._request import text_or_none


@dataclass(frozen=True)
class AccessKey:
    """An AccessKey pair, with the security token of STS where it is a temporary one."""

    source: str
    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str | None = field(repr=False, default=None)

    def secrets(self) -> Iterable[str]:
        """What must never be shown, as it is and as it would stand in a URL."""
        for secret in (self.access_key_secret, self.security_token):
            if secret:
                yield from {secret, quote(secret, safe=""), quote(secret, safe="~"), quote_plus(secret)}


# Each source: its name in results, and its id, secret and token. Options come first, then the SDK's variables, then
# those of Terraform and of the older collection.
OPTION_NAMES = ("access_key_id", "access_key_secret", "security_token")
ENVIRONMENT_NAMES = (
    ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"),
    ("ALICLOUD_ACCESS_KEY", "ALICLOUD_SECRET_KEY", "ALICLOUD_SECURITY_TOKEN"),
)


def find_access_key(params: Mapping[str, Any], environ: Mapping[str, str], mistakes: list[str]) -> AccessKey | None:
    """The first source of which anything is set. Empty counts as unset; half a pair is a mistake that names the other half."""
    for source, names, values in (("options", OPTION_NAMES, params), *(("environment", names, environ) for names in ENVIRONMENT_NAMES)):
        key_id, secret, token = (text_or_none(values.get(name)) for name in names)
        if key_id and secret:
            return AccessKey(source, key_id, secret, token)
        present = [name for name, value in zip(names, (key_id, secret, token), strict=True) if value]
        absent = [name for name, value in zip(names[:2], (key_id, secret), strict=True) if not value]
        if present:
            kind = "option" if source == "options" else "environment variable"
            mistakes.append(
                f"{absent[0]}: this {kind} is not set, but {' and '.join(present)} is; set {' and '.join(absent)} too, or none of them"
            )
            return None
    mistakes.append(
        "access_key_id: no credential is given; set access_key_id and access_key_secret, or the environment variables "
        + " and ".join(ENVIRONMENT_NAMES[0][:2])
    )
    return None
