# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers that issue keys in the tests are as strict as the services that they replace."""

from __future__ import annotations

import pytest
from support.stand_ins import Asked, CloudSso, CredentialsUri, MetadataService, StandIn, Sts, signature

ROLE = "acs:ram::1000000000000001:role/network-operator"
IDP = "acs:ram::1000000000000001:oidc-provider/ack-rrsa-c1"


def by(method: str, path: str, query: dict[str, str] | None = None, headers: dict[str, str] | None = None) -> Asked:
    return Asked(method, path, query or {}, headers or {}, b"")


ASSUME = {"Action": "AssumeRole", "RoleArn": ROLE, "DurationSeconds": "3600", "AccessKeyId": "emulator-key-id", "ExternalId": "x"}
POD = {
    "Action": "AssumeRoleWithOIDC",
    "RoleArn": ROLE,
    "DurationSeconds": "3600",
    "OIDCProviderArn": IDP,
    "OIDCToken": "pod-token",
}


def signed(**changes: str) -> Asked:
    query = {**ASSUME, **changes}
    return by("GET", "/", {**query, "Signature": signature("GET", query, "emulator-key-secret")})


KEYS_PATH = "/latest/meta-data/ram/security-credentials/network-operator"
TTL = {"x-aliyun-ecs-metadata-token-ttl-seconds": "60"}
BEARER = {"authorization": "Bearer cloud-sso-token"}


@pytest.mark.parametrize(
    ("stand_in", "asked", "status"),
    [
        (Sts(external_id="x"), signed(), 200),
        (Sts(external_id="x"), by("GET", "/", {**ASSUME, "Signature": "x"}), 400),
        (Sts(external_id="x"), by("GET", "/", ASSUME), 400),
        (Sts(external_id="x"), signed(AccessKeyId="another"), 404),
        (Sts(external_id="x"), signed(SecurityToken="x"), 400),
        (Sts(external_id="x"), signed(ExternalId="y"), 403),
        (Sts(external_id="x"), signed(RoleArn="acs:ram::1000000000000001:role/nobody"), 404),
        (Sts(external_id="x"), signed(DurationSeconds="899"), 400),
        (Sts(external_id="x"), signed(Action="GetCallerIdentity"), 404),
        (Sts(), by("POST", "/", POD), 200),
        (Sts(), by("POST", "/", {**POD, "OIDCToken": "another"}), 400),
        (Sts(), by("POST", "/", {**POD, "OIDCProviderArn": "another"}), 404),
        (MetadataService(), by("PUT", "/latest/api/token", headers=TTL), 200),
        (MetadataService(), by("PUT", "/latest/api/token"), 404),
        (MetadataService(), by("GET", "/latest/api/token", headers=TTL), 404),
        (MetadataService(v2=False), by("PUT", "/latest/api/token", headers=TTL), 404),
        (MetadataService(), by("GET", KEYS_PATH), 200),
        (MetadataService(hardened=True), by("GET", KEYS_PATH), 403),
        (MetadataService(), by("GET", KEYS_PATH, headers={"x-aliyun-ecs-metadata-token": "another"}), 403),
        (MetadataService(), by("GET", f"{KEYS_PATH}x"), 404),
        (CredentialsUri(token="x"), by("GET", "/keys", {"token": "x"}), 200),
        (CredentialsUri(token="x"), by("GET", "/keys"), 403),
        (CredentialsUri(token="x"), by("POST", "/keys", {"token": "x"}), 403),
        (CloudSso(), by("POST", "/cloud-credentials", headers=BEARER), 200),
        (CloudSso(), by("POST", "/cloud-credentials"), 401),
        (CloudSso(), by("GET", "/cloud-credentials", headers=BEARER), 401),
        (CloudSso(), by("POST", "/", headers=BEARER), 401),
    ],
)
def test_stand_ins_are_strict(stand_in: StandIn, asked: Asked, status: int) -> None:
    """A stand-in that let everything pass would prove nothing."""
    assert stand_in.answer(asked)[0] == status
