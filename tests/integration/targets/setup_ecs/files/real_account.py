# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create what the integration targets need on a real account, and delete it: two ENIs with secondary addresses, and their security group.

usage: real_account.py create|delete CLOUD_CONFIG STATE_FILE

The state file lists what was created. It is written after each step, and only what it lists is ever deleted.
"""

from __future__ import annotations

import configparser
import json
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

ADDRESSES = (3, 2)  # secondary addresses of each ENI
SECONDS = 120.0  # until an ENI has appeared or disappeared
TAG = {"key": "alicloud_ops.network", "value": "integration-test"}


class Account:
    """What is created on the account, by the ECS SDK. ``models`` is the module with the SDK's requests."""

    def __init__(
        self, client: Any, models: Any, place: dict[str, str], state_file: Path, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client, self._models, self._place, self._file, self._sleep = client, models, place, state_file, sleep
        self._state: dict[str, Any] = {"security_group_id": "", "enis": []}
        if state_file.exists():
            self._state = json.loads(state_file.read_text(encoding="utf-8"))

    def create(self) -> dict[str, Any]:
        name = f"ansible-test-{uuid.uuid4().hex[:12]}"
        request = self._models.CreateSecurityGroupRequest(
            region_id=self._place["region"],
            vpc_id=self._place["vpc_id"],
            security_group_name=name,
            client_token=uuid.uuid4().hex,
            tag=[self._models.CreateSecurityGroupRequestTag(**TAG)],
        )
        self._state["security_group_id"] = self._client.create_security_group(request).body.security_group_id
        self._save()
        for count in ADDRESSES:
            tag = self._models.CreateNetworkInterfaceRequestTag(**TAG)
            made = self._client.create_network_interface(
                self._models.CreateNetworkInterfaceRequest(
                    region_id=self._place["region"],
                    v_switch_id=self._place["vswitch_id"],
                    security_group_id=self._state["security_group_id"],
                    secondary_private_ip_address_count=count,
                    network_interface_name=name,
                    client_token=uuid.uuid4().hex,
                    tag=[tag],
                )
            )
            self._state["enis"].append({"eni_id": made.body.network_interface_id})
            self._save()
        for eni, count in zip(self._state["enis"], ADDRESSES, strict=True):
            eni.update(self._wait_until_available(eni["eni_id"], count))
        self._save()
        return self._state

    def delete(self) -> dict[str, Any]:
        """Everything that the state file lists, and nothing else. It can be called again."""
        for eni in self._state["enis"]:
            if self._read(eni["eni_id"]):
                request = self._models.DeleteNetworkInterfaceRequest(region_id=self._place["region"], network_interface_id=eni["eni_id"])
                self._client.delete_network_interface(request)
        for eni in self._state["enis"]:
            self._wait(lambda eni_id=eni["eni_id"]: not self._read(eni_id), f"{eni['eni_id']} is still there")
        self._state["enis"] = []
        self._save()
        if self._state["security_group_id"]:
            request = self._models.DeleteSecurityGroupRequest(
                region_id=self._place["region"], security_group_id=self._state["security_group_id"]
            )
            self._client.delete_security_group(request)
            self._state["security_group_id"] = ""
            self._save()
        return self._state

    def _wait_until_available(self, eni_id: str, count: int) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def look() -> bool:
            rows = self._read(eni_id)
            if not rows or rows[0].status != "Available":
                return False
            sets = rows[0].private_ip_sets.private_ip_set
            found["primary_address"] = next(each.private_ip_address for each in sets if each.primary)
            found["private_ip_addresses"] = [each.private_ip_address for each in sets if not each.primary]
            return len(found["private_ip_addresses"]) == count

        self._wait(look, f"{eni_id} is not Available with {count} secondary addresses")
        return found

    def _read(self, eni_id: str) -> list[Any]:
        request = self._models.DescribeNetworkInterfacesRequest(region_id=self._place["region"], network_interface_id=[eni_id])
        rows: list[Any] = self._client.describe_network_interfaces(request).body.network_interface_sets.network_interface_set
        return rows

    def _wait(self, condition: Callable[[], bool], problem: str) -> None:
        waited = 0.0
        while not condition():
            if waited >= SECONDS:
                raise TimeoutError(f"After {SECONDS:.0f} s {problem}.")
            self._sleep(2.0)
            waited += 2.0

    def _save(self) -> None:
        self._file.write_text(json.dumps(self._state), encoding="utf-8")


def main(step: str, cloud_config: str, state_file: str) -> dict[str, Any]:
    from alibabacloud_credentials.client import Client as Credential
    from alibabacloud_credentials.provider import ProfileCredentialsProvider
    from alibabacloud_ecs20140526 import models
    from alibabacloud_ecs20140526.client import Client
    from alibabacloud_tea_openapi.models import Config

    parser = configparser.ConfigParser(interpolation=None)
    parser.read(cloud_config, encoding="utf-8")
    place = dict(parser["integration"])
    credential = Credential(provider=ProfileCredentialsProvider(profile_file=cloud_config, profile_name="default"))
    client = Client(Config(credential=credential, region_id=place["region"]))
    account = Account(client, models, place, Path(state_file))
    return account.create() if step == "create" else account.delete()


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
