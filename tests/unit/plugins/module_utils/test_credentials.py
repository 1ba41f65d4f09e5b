# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest

from ansible_collections.alicloud_ops.network.plugins.module_utils._credentials import AccessKey, find_access_key

NEW = ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN")
OLD = ("ALICLOUD_ACCESS_KEY", "ALICLOUD_SECRET_KEY", "ALICLOUD_SECURITY_TOKEN")
OPTIONS = ("access_key_id", "access_key_secret", "security_token")


def named(names, *values):
    return dict(zip(names, values, strict=False))


def find(options=(), new=(), old=()):
    mistakes = []
    key = find_access_key(named(OPTIONS, *options), {**named(NEW, *new), **named(OLD, *old)}, mistakes)
    assert (key is None) == bool(mistakes)
    return key, mistakes


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({"options": ("id-1", "secret-1", "token-1"), "new": ("id-2", "secret-2")}, ("id-1", "secret-1", "token-1")),
        ({"options": (" id-1 ", " secret-1 "), "new": ("id-2", "secret-2", "token-2")}, ("id-1", "secret-1", None)),
        ({"new": ("id-2", "secret-2", "token-2"), "old": ("id-3", "secret-3")}, ("id-2", "secret-2", "token-2")),
        ({"options": ("", " ", None), "new": ("", ""), "old": ("id-3", "secret-3", "token-3")}, ("id-3", "secret-3", "token-3")),
    ],
)
def test_the_first_source_is_taken_whole(sources, expected):
    key, _ = find(**sources)
    assert (key.access_key_id, key.access_key_secret, key.security_token) == expected


@pytest.mark.parametrize("source", ["options", "new", "old"])
@pytest.mark.parametrize(
    ("values", "missing"),
    [
        (("id", ""), [1]),
        (("", "not-shown-1"), [0]),
        (("id", "", "not-shown-2"), [1]),
        (("", "not-shown-1", "not-shown-2"), [0]),
        (("", "", "not-shown-2"), [0, 1]),
    ],
)
def test_half_a_pair_names_the_missing_half_and_falls_through_to_no_other_source(source, values, missing):
    names = {"options": OPTIONS, "new": NEW, "old": OLD}[source]
    later = {"new": ("id-2", "secret-2")} if source == "options" else {"old": ("id-3", "secret-3")} if source == "new" else {}
    key, (mistake,) = find(**{source: values}, **later)
    assert key is None
    assert mistake.startswith(names[missing[0]])
    assert all(names[index] in mistake for index in missing)
    assert "not-shown" not in mistake


def test_a_pair_is_never_put_together_from_two_sources():
    _, (mistake,) = find(options=("id-1", None), new=("id-2", "secret-2"), old=("id-3", "secret-3"))
    assert mistake.startswith("access_key_secret")


def test_no_credential_at_all_tells_every_way_to_give_one():
    _, (mistake,) = find()
    for name in (*OPTIONS[:2], *NEW[:2]):
        assert name in mistake


def test_secrets_cover_every_spelling_that_a_url_may_have():
    secret, token = "a+b/c=d ~e", "t%k&n"
    secrets = set(AccessKey("options", "id", secret, token).secrets())
    for text in (secret, token):
        assert {text, quote(text, safe=""), quote_plus(text)} <= secrets
    assert "" not in set(AccessKey("options", "id", secret).secrets())
    assert None not in set(AccessKey("options", "id", secret).secrets())


def test_secrets_are_in_no_repr():
    text = repr(AccessKey("options", "id", "not-shown-1", "not-shown-2"))
    assert "not-shown" not in text
