# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The key that signs the calls, and its renewal.

Private to this collection.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, quote_plus

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.failures import EXPIRED, CredentialError, explain_failure
from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.spec import CredentialSpec
from ansible_collections.alicloud_ops.network.plugins.module_utils._transport import Transport, forget_last

# Ansible masks a secret wherever its characters occur, also in ids and numbers. Real secrets have 30 characters or more.
SHORTEST_MASKED = 16


class Credential:
    """The SDK gets the key for each call from this object. The provider of a role gets the key of its base from it.

    It keeps a temporary key for three quarters of its lifetime. The library would fetch a new key for each call in the last fifteen
    minutes, which is the whole lifetime of the shortest session.
    """

    def __init__(self, spec: CredentialSpec, transport: Transport) -> None:
        self.source = str(spec)
        self._spec = spec
        self._transport = transport
        self._base = Credential(spec.base, transport) if spec.base else None
        self._provider: Any = None
        self._key: Any = None
        self._renew_at = self._ends_at = 0.0  # wall clock, as for the expiration of a key
        self._turn = threading.Lock()
        self._report_secrets: Callable[[Iterable[str]], None] = lambda secrets: None

    @property
    def fingerprint(self) -> str:
        """One-way hash of all settings, as a part of cache keys. It differs for each login."""
        settings = [[spec.method.name, sorted(spec.settings.items())] for spec in self._spec.chain]
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()

    def report_secrets_to(self, listener: Callable[[Iterable[str]], None]) -> None:
        """``listener`` gets all secrets: the known ones now, and every new key before it is used."""
        self._report_secrets = listener
        listener(_spellings(self._spec.method.secrets(self._spec.settings)))
        if self._base:
            self._base.report_secrets_to(listener)

    def get_credential(self) -> Any:
        with self._turn:
            if self._key is None or time.time() >= self._renew_at:
                self._renew()
            return self._key

    get_credentials = get_credential  # the name in the providers of the library

    def _renew(self) -> None:
        failure: CredentialError | None = None
        try:
            self._report_secrets(_spellings(self._spec.method.secrets(self._spec.settings)))
            self._key, ends_at = self._fetch()
        except CredentialError as error:
            failure = error
        except Exception as error:  # exceptions of the library have URLs, signatures and replies
            failure = CredentialError(f"{self.source}: {explain_failure(self._spec.method, self._host_label(), error)}")
        now = time.time()
        if failure is None:
            self._ends_at = ends_at
            self._renew_at = now + 0.75 * (ends_at - now)
        elif now < self._ends_at:
            # The current key is still valid. A new attempt before each call would delay all calls.
            self._renew_at = min(now + 60, (now + self._ends_at) / 2)
        else:
            raise failure  # outside of the except clause, so that the exception of the library is not attached to it

    def _fetch(self) -> tuple[Any, float]:
        """A new key, and when it expires (epoch seconds)."""
        from alibabacloud_credentials.models import CredentialModel

        forget_last()
        got = self._get_provider().get_credentials()
        key_id, secret, token = got.get_access_key_id(), got.get_access_key_secret(), got.get_security_token() or ""
        if not (key_id and secret and all(isinstance(text, str) for text in (key_id, secret, token))):
            raise CredentialError(f"{self.source}: {self._host_label()} returned an incomplete key")
        self._report_secrets(_spellings((secret, token)))
        ends_at = got.get_expiration() or float("inf")
        if ends_at <= time.time():
            raise CredentialError(f"{self.source}: {self._host_label()} {EXPIRED}")
        kind = "sts" if token else "access_key"
        key = CredentialModel(
            access_key_id=key_id, access_key_secret=secret, security_token=token or None, type=kind, provider_name=got.get_provider_name()
        )
        return key, ends_at

    def _get_provider(self) -> Any:
        if self._provider is None:
            self._provider = self._spec.method.provider(self._spec.settings, self._transport, self._base)
            if self._transport.ca_bundle:
                # The library uses it, but has no argument for it.
                getattr(self._provider, "_runtime_options", {})["ca"] = self._transport.ca_bundle
        return self._provider

    def _host_label(self) -> str:
        return self._spec.method.host_label(self._spec.settings, self._transport)


def _spellings(secrets: Iterable[str]) -> set[str]:
    """The secrets unchanged, and with the encodings of a URL."""
    return {
        spelling
        for secret in secrets
        if len(secret) >= SHORTEST_MASKED
        for spelling in (secret, quote(secret, safe=""), quote(secret, safe="~"), quote_plus(secret))
    }
