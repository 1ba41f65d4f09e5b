# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both signature schemes, wherever a client puts its parameters; and each way to get one wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.models import Config
from support.raw_call import KEY, STS_KEY, STS_TOKEN, Answer, RawRequest, acs3, version_1

LIST = "DescribeNetworkInterfaces"
# What percent-encoding can get wrong.
ODD = {"RegionId": "cn-hangzhou", "NetworkInterfaceName": "a b*c~d/e+f&g=h%20\u00e9\u4e2d"}
PLAIN = {"RegionId": "cn-hangzhou", "NetworkInterfaceId.1": "eni-secondary"}
pytestmark = pytest.mark.usefixtures("emulator")

Sign = Callable[..., RawRequest]


@pytest.fixture
def send(process: Any) -> Callable[..., Answer]:
    def signed(sign: Sign, parameters: dict[str, str] | None = None, **options: Any) -> Answer:
        return sign(process.endpoint, LIST, parameters or PLAIN, **options).send(process.endpoint)

    return signed


def shown(answer: Answer) -> list[str]:
    return [row["NetworkInterfaceId"] for row in answer.json["NetworkInterfaceSets"]["NetworkInterfaceSet"]]


@pytest.mark.parametrize("sign", [acs3, version_1])
@pytest.mark.parametrize("options", [{"method": "GET"}, {"method": "POST"}, {"method": "POST", "in_form": True}])
@pytest.mark.parametrize("login", [{}, {"key": STS_KEY, "token": STS_TOKEN}])
def test_accepted(send: Any, sign: Sign, options: dict[str, Any], login: dict[str, Any]) -> None:
    assert shown(send(sign, **options, **login)) == ["eni-secondary"]
    odd = send(sign, ODD, **options, **login)
    assert odd.status == 200, odd.body


def test_parameters_in_the_log_prove_nothing(process: Any, send: Any) -> None:
    send(version_1, key=STS_KEY, token=STS_TOKEN)
    send(acs3, key=STS_KEY, token=STS_TOKEN)
    for record in process.calls():
        assert record["parameters"] == PLAIN
        assert record["caller"] == "role"
        assert STS_TOKEN not in str(record)


@pytest.mark.parametrize("sign", [acs3, version_1])
@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"key": ("nobody", "secret")}, 404, "InvalidAccessKeyId.NotFound"),
        ({"key": ("inactive-key", "secret")}, 400, "InvalidAccessKeyId.Inactive"),
        ({"key": (KEY[0], "wrong")}, 400, "SignatureDoesNotMatch"),
        ({"date": "yesterday"}, 400, "InvalidTimeStamp.Format"),
        ({"date": "2020-01-01T00:00:00Z"}, 400, "InvalidTimeStamp.Expired"),
        ({"date": "2120-01-01T00:00:00Z"}, 400, "InvalidTimeStamp.Expired"),
        ({"key": STS_KEY}, 400, "MissingSecurityToken"),
        ({"key": STS_KEY, "token": "made-up"}, 400, "InvalidSecurityToken.Malformed"),
        ({"key": STS_KEY, "token": "expired-token"}, 400, "InvalidSecurityToken.MismatchWithAccessKey"),
        ({"token": STS_TOKEN}, 400, "InvalidSecurityToken.MismatchWithAccessKey"),
        ({"key": ("STS.expired", "secret"), "token": "expired-token"}, 400, "InvalidSecurityToken.Expired"),
    ],
)
def test_refused(send: Any, sign: Sign, options: dict[str, Any], status: int, code: str) -> None:
    answer = send(sign, **options)
    assert (answer.status, answer.code) == (status, code)
    assert "emulator-key-secret" not in answer.body.decode()


@pytest.mark.parametrize("sign", [acs3, version_1])
def test_a_nonce_is_valid_once(send: Any, sign: Sign) -> None:
    assert send(sign, nonce="once").status == 200
    again = send(sign, nonce="once")
    assert (again.status, again.code, again.json["Message"]) == (400, "SignatureNonceUsed", "Specified signature nonce was used already.")


@pytest.mark.parametrize("sign", [acs3, version_1])
@pytest.mark.parametrize("minutes", [-14, 14])
def test_clocks_may_differ_by_less_than_fifteen_minutes(send: Any, sign: Sign, minutes: int) -> None:
    date = (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert send(sign, date=date).status == 200


def change_header(name: str, value: str | None) -> Callable[[RawRequest], None]:
    def change(request: RawRequest) -> None:
        if value is None:
            del request.headers[name]
        else:
            request.headers[name] = value

    return change


def change_target(before: str, after: str) -> Callable[[RawRequest], None]:
    def change(request: RawRequest) -> None:
        assert before in request.target
        request.target = request.target.replace(before, after)

    return change


def change_method(request: RawRequest) -> None:
    request.method = "GET"


def change_body(request: RawRequest) -> None:
    request.body = b"RegionId=cn-beijing"


def change_body_and_its_hash(request: RawRequest) -> None:
    request.body = b"RegionId=cn-beijing"
    request.headers["x-acs-content-sha256"] = hashlib.sha256(request.body).hexdigest()


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (change_header("x-acs-date", "2026-01-01T00:00:00Z"), "SignatureDoesNotMatch"),
        (change_header("x-acs-signature-nonce", "another"), "SignatureDoesNotMatch"),
        (change_header("host", "elsewhere"), "SignatureDoesNotMatch"),
        (change_header("x-acs-action", "DescribeRegions"), "SignatureDoesNotMatch"),
        (change_target("eni-secondary", "eni-primary"), "SignatureDoesNotMatch"),
        (change_target("RegionId", "Region"), "SignatureDoesNotMatch"),
        (change_method, "SignatureDoesNotMatch"),
        (change_body, "IncompleteSignature"),
        (change_body_and_its_hash, "SignatureDoesNotMatch"),
        (change_header("x-acs-extra", "not signed"), "IncompleteSignature"),
        (change_header("x-acs-date", None), "MissingParameter"),
        (change_header("x-acs-signature-nonce", None), "MissingParameter"),
        (change_header("authorization", "ACS3-HMAC-SHA256 nonsense"), "IncompleteSignature"),
        (change_header("authorization", None), "MissingParameter"),
        (change_header("x-acs-version", "2015-01-01"), "InvalidVersion"),
        (change_header("x-acs-version", None), "MissingParameter"),
        (change_header("x-acs-action", None), "MissingParameter"),
    ],
)
def test_whatever_is_changed_after_signing_is_noticed(process: Any, tamper: Callable[[RawRequest], None], code: str) -> None:
    request = acs3(process.endpoint, LIST, PLAIN)
    tamper(request)
    answer = request.send(process.endpoint)
    # Without an Authorization header it is the older scheme, which answers in XML by default.
    found = answer.code if "authorization" in request.headers else answer.xml.findtext("Code")
    assert (answer.status, found) == (400, code)


@pytest.mark.parametrize("name", ["AccessKeyId", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp", "Signature"])
def test_version_1_needs_all_its_parameters(send: Any, name: str) -> None:
    answer = send(version_1, leave_out=name)
    assert (answer.status, answer.code) == (400, "MissingParameter")
    assert f'"{name}"' in answer.json["Message"]


def test_other_methods_and_paths_are_refused(process: Any) -> None:
    put = acs3(process.endpoint, LIST, PLAIN, method="PUT").send(process.endpoint)
    assert (put.status, put.code) == (403, "UnsupportedHTTPMethod")
    request = acs3(process.endpoint, LIST, PLAIN)
    request.target = request.target.replace("/?", "/v2?")
    assert request.send(process.endpoint).code == "InvalidAction.NotFound"


def test_an_absolute_target_is_accepted_too(process: Any) -> None:
    request = acs3(process.endpoint, LIST, PLAIN)
    request.target = process.endpoint + request.target
    assert shown(request.send(process.endpoint)) == ["eni-secondary"]


def test_replies_in_xml(process: Any, send: Any) -> None:
    for reply_format in ("XML", ""):
        answer = send(version_1, reply_format=reply_format)
        assert answer.headers["Content-Type"] == "text/xml;charset=utf-8"
        assert answer.xml.tag == "DescribeNetworkInterfacesResponse"
        assert answer.xml.findtext("RequestId")
        addresses = answer.xml.findall("NetworkInterfaceSets/NetworkInterfaceSet/PrivateIpSets/PrivateIpSet/PrivateIpAddress")
        assert [element.text for element in addresses] == ["10.0.0.30", "10.0.0.31", "10.0.0.32"]
        assert answer.xml.findtext("NetworkInterfaceSets/NetworkInterfaceSet/PrivateIpSets/PrivateIpSet/Primary") == "true"
    refused = send(version_1, key=("nobody", "<&>"), reply_format="XML")
    assert (refused.status, refused.xml.tag, refused.xml.findtext("Code")) == (404, "Error", "InvalidAccessKeyId.NotFound")
    assert refused.xml.findtext("HostId") == process.endpoint.removeprefix("http://")
    assert send(acs3, extra_headers={"accept": "text/xml"}).xml.tag == "DescribeNetworkInterfacesResponse"


@pytest.mark.parametrize("algorithm", [None, "v2"])
def test_the_sdk_with_a_token_and_with_the_older_scheme(process: Any, algorithm: str | None) -> None:
    client = Client(
        Config(
            endpoint=process.endpoint.removeprefix("http://"),
            protocol="http",
            region_id="cn-hangzhou",
            access_key_id=STS_KEY[0],
            access_key_secret=STS_KEY[1],
            security_token=STS_TOKEN,
            signature_algorithm=algorithm,
        )
    )
    tag = models.DescribeNetworkInterfacesRequestTag(key="a b*~/\u00e9", value="\u4e2d")
    request = models.DescribeNetworkInterfacesRequest(region_id="cn-hangzhou", tag=[tag], service_managed=False)
    assert client.describe_network_interfaces(request).body.network_interface_sets.network_interface_set == []
    assert process.calls()[-1]["parameters"]["Tag.1.Key"] == "a b*~/\u00e9"
