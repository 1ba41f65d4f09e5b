# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients of other projects work with the endpoint without changes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import ecs_emulator
import pytest
from support.emulator import Emulator
from support.raw_call import KEY, STS_KEY, STS_TOKEN

SCRIPT = Path(ecs_emulator.__file__).parent / "clients" / "node.js"
NODE_PATHS = [*filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep)), str(Path(sys.prefix) / "node" / "node_modules")]
ENI = "eni-web0001"


@pytest.fixture
def emulator(process: Emulator) -> Emulator:
    process.reset()
    return process


def addresses(emulator: Emulator) -> list[str]:
    return list(emulator.state()["interfaces"][ENI]["private_ip_addresses"])


# --- aliyun-python-sdk-ecs: version 1.0, GET and POST


@pytest.fixture
def aliyun(emulator: Emulator) -> Any:
    core = pytest.importorskip("aliyunsdkcore.client", reason="aliyun-python-sdk-ecs is not installed")
    pytest.importorskip("aliyunsdkecs", reason="aliyun-python-sdk-ecs is not installed")
    credentials = pytest.importorskip("aliyunsdkcore.auth.credentials")

    def send(request: Any, *, login: Any = KEY, method: str = "GET") -> dict[str, Any]:
        request.set_endpoint(emulator.endpoint.removeprefix("http://"))
        request.set_protocol_type("http")
        request.set_method(method)
        kind = credentials.StsTokenCredential if len(login) == 3 else credentials.AccessKeyCredential
        client = core.AcsClient(credential=kind(*login), region_id="cn-hangzhou")
        found: dict[str, Any] = json.loads(client.do_action_with_exception(request))
        return found

    return send


@pytest.mark.parametrize("login", [KEY, (*STS_KEY, STS_TOKEN)])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_aliyun_python_sdk_reads(aliyun: Any, login: Any, method: str) -> None:
    from aliyunsdkecs.request.v20140526.DescribeNetworkInterfacesRequest import DescribeNetworkInterfacesRequest

    request = DescribeNetworkInterfacesRequest()
    request.set_NetworkInterfaceIds([ENI, "eni-web1001"])
    request.set_MaxResults(500)
    rows = aliyun(request, login=login, method=method)["NetworkInterfaceSets"]["NetworkInterfaceSet"]
    assert [row["NetworkInterfaceId"] for row in rows] == [ENI, "eni-web1001"]


def test_aliyun_python_sdk_changes(aliyun: Any, emulator: Emulator) -> None:
    from aliyunsdkcore.acs_exception.exceptions import ServerException
    from aliyunsdkecs.request.v20140526.AssignPrivateIpAddressesRequest import AssignPrivateIpAddressesRequest
    from aliyunsdkecs.request.v20140526.UnassignPrivateIpAddressesRequest import UnassignPrivateIpAddressesRequest

    def unassign() -> UnassignPrivateIpAddressesRequest:
        request = UnassignPrivateIpAddressesRequest()
        request.set_NetworkInterfaceId(ENI)
        request.set_PrivateIpAddresss(["192.168.0.11", "192.168.0.12"])
        return request

    aliyun(unassign())
    assert addresses(emulator) == ["192.168.0.13"]
    with pytest.raises(ServerException) as caught:
        aliyun(unassign())
    error = caught.value
    assert (error.error_code, error.http_status) == ("InvalidIp.IpUnassigned", 403)
    assert error.request_id == emulator.calls()[-1]["request_id"]
    request = AssignPrivateIpAddressesRequest()
    request.set_NetworkInterfaceId(ENI)
    request.set_PrivateIpAddresss(["192.168.0.11"])
    assert aliyun(request)["AssignedPrivateIpAddressesSet"]["PrivateIpSet"]["PrivateIpAddress"] == ["192.168.0.11"]
    # It compares the string to sign in the message with its own, and finds that only the secret can be wrong.
    with pytest.raises(ServerException, match="InvalidAccessKeySecret"):
        aliyun(unassign(), login=(KEY[0], "wrong"))


# --- apache-libcloud: version 1.0, GET, XML; it has no call for network interfaces


def libcloud(emulator: Emulator, secret: str = KEY[1]) -> Any:
    driver = pytest.importorskip("libcloud.compute.drivers.ecs", reason="apache-libcloud is not installed")
    host, _colon, port = emulator.endpoint.removeprefix("http://").partition(":")
    return driver.ECSDriver(KEY[0], secret, region="cn-hangzhou", secure=False, host=host, port=int(port))


def test_libcloud_lists_every_page(process: Emulator, many_seed: dict[str, Any]) -> None:
    process.reset(seed=many_seed)
    nodes = libcloud(process).list_nodes()
    assert len({node.name for node in nodes}) == 120
    assert all(node.state == "running" and len(node.private_ips) == 1 for node in nodes)
    assert len(process.calls("DescribeInstances")) == 12


def test_libcloud_reads_the_rest(emulator: Emulator) -> None:
    driver = libcloud(emulator)
    (node,) = driver.list_nodes(ex_node_ids=["i-web0002"])
    assert (node.name, node.state, node.private_ips) == ("web-2", "stopped", ["192.168.0.20"])
    assert node.extra["vpc_attributes"]["vswitch_id"] == "vsw-app"
    assert [location.id for location in driver.list_locations()] == ["cn-hangzhou", "cn-beijing", "cn-shanghai", "eu-central-1"]
    assert {group.id for group in driver.ex_list_security_groups()} == {"sg-web", "sg-data", "sg-pods", "sg-empty"}


def test_libcloud_understands_an_error(emulator: Emulator) -> None:
    exceptions = pytest.importorskip("libcloud.common.exceptions", reason="apache-libcloud is not installed")
    with pytest.raises(exceptions.BaseHTTPError, match="SignatureDoesNotMatch"):
        libcloud(emulator, "wrong").list_nodes()


# --- Node.js: today's SDK (ACS3), and the one before it (version 1.0, GET with a query and POST with a form)


def run_node(client: str, endpoint: str) -> dict[str, Any]:
    node = shutil.which("node")
    if not node:
        pytest.skip("Node.js is not installed")
    environment = {**os.environ, "NODE_PATH": os.pathsep.join(NODE_PATHS)}
    package = f"@alicloud/{client}"
    if subprocess.run([node, "-e", f"require.resolve('{package}')"], env=environment, capture_output=True, check=False).returncode:
        pytest.skip(f"the Node package {package} is not installed (see tests/ecs_emulator/README.md)")
    ended = subprocess.run([node, str(SCRIPT), client, endpoint], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@pytest.mark.parametrize("client", ["ecs20140526", "pop-core"])
def test_node(emulator: Emulator, client: str) -> None:
    found = run_node(client, emulator.endpoint)
    secondary = [f"eni-web100{number}" for number in range(1, 8)]
    assert [found["listed"], found["byToken"], found.get("byForm", secondary)] == [secondary] * 3
    assert found["unassigned"] is True
    assert found["assigned"] == ["192.168.0.11"]
    assert found["again"]["code"] == "InvalidIp.IpUnassigned"
    assert found["wrongKey"]["code"] == "SignatureDoesNotMatch"
    # pop-core does not show the HTTP status.
    assert found["again"]["status"] == (403 if client == "ecs20140526" else None)
    assert addresses(emulator) == ["192.168.0.13", "192.168.0.11"]
    assert found["again"]["requestId"] in {record["request_id"] for record in emulator.calls("UnassignPrivateIpAddresses")}
