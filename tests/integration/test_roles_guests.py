# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles with guests, by real ansible-playbook: network namespaces that have the MAC addresses of the ENIs of the local endpoint,
read by Ansible's ssh connection. Tests without real guests have their results in the inventory."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.emulator import Emulator
from support.guests import Guest, Hub, make_keys, why_not
from support.module import run_module
from support.playbook import BIN, Playbooks, Played

IN_USE, CONFIGURED, NOT_SEEN, UNKNOWN = "in_use", "configured", "not_seen", "unknown"
GUEST_IN_USE, GUEST_CONFIGURED, GUEST_UNKNOWN = "GuestInUse", "GuestConfigured", "GuestUnknown"
# ENI → address → its level. What the guest has is set up below.
LEVELS = {
    "eni-web": {"192.168.1.10": IN_USE, "192.168.1.11": CONFIGURED, "192.168.1.12": NOT_SEEN, "192.168.1.13": NOT_SEEN},
    "eni-db": {"192.168.2.10": CONFIGURED, "192.168.2.11": NOT_SEEN},
    "eni-twin": {"192.168.3.10": UNKNOWN, "192.168.3.11": UNKNOWN},  # two guests have its MAC address, and one of them the first address
    "eni-down": {"192.168.4.10": UNKNOWN, "192.168.4.11": UNKNOWN},  # its guest cannot be reached
    "eni-broken": {"192.168.5.10": UNKNOWN},  # its guest has no Python
}
ADDRESSES = {(eni_id, address): level for eni_id, addresses in LEVELS.items() for address, level in addresses.items()}
IN_USE_OR_CONFIGURED = {
    ("eni-web", "192.168.1.10"): GUEST_IN_USE,
    ("eni-web", "192.168.1.11"): GUEST_CONFIGURED,
    ("eni-db", "192.168.2.10"): GUEST_CONFIGURED,
    ("eni-twin", "192.168.3.10"): GUEST_CONFIGURED,  # on one of the two guests that have its MAC address
}
NOT_SEEN_ONLY = {pair for pair, level in ADDRESSES.items() if level == NOT_SEEN}
HOSTS = {"web": "eni-web", "db": "eni-db", "down": "eni-down", "broken": "eni-broken"}
CHOSEN = {"security_group_ids": "sg-app", "guests": "guests", "calls_per_minute": 0}
SEED: dict[str, Any] = {
    "region": "cn-hangzhou",
    "account": "1000000000000001",
    "vswitches": [{"id": "vsw-app", "vpc_id": "vpc-main", "cidr": "192.168.0.0/16"}],
    "security_groups": [{"id": "sg-app", "vpc_id": "vpc-main", "name": "app"}],
    "interfaces": [
        {
            "id": eni_id,
            "vswitch_id": "vsw-app",
            "security_group_ids": ["sg-app"],
            "primary_address": f"192.168.{number}.5",
            "private_ip_addresses": list(addresses),
        }
        for number, (eni_id, addresses) in enumerate(LEVELS.items(), 1)
    ],
}


def mac_addresses(emulator: Emulator) -> dict[str, str]:
    found = run_module("eni_secondary_ip_info", {"eni_ids": list(LEVELS)}, emulator.environment())
    return {interface["eni_id"]: interface["mac_address"] for interface in found["interfaces"]}


def of_state(report: Mapping[str, Any], state: str) -> dict[tuple[str, str], str | None]:
    return {
        (row["eni_id"], line["address"]): line["code"]
        for row in report["interfaces"]
        for line in row["addresses"]
        if line["state"] == state
    }


def levels_of(report: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    return {(row["eni_id"], line["address"]): line["level"] for row in report["interfaces"] for line in row["addresses"]}


class Roles(Playbooks):
    """With this inventory, and these environment variables in addition to the usual ones."""

    def __init__(self, emulator: Emulator, folder: Path, inventory: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        super().__init__(emulator, folder)
        self.environment = environment
        (folder / "inventory.json").write_text(json.dumps({"all": {"children": inventory}}), encoding="utf-8")

    def guests_run(self, name: str, *arguments: str, check: bool = False, succeeds: bool = True, **variables: Any) -> Played:
        return self.run_command([*self.command(name, check, {**CHOSEN, **variables}), *arguments], succeeds)

    def own_play(self, playbook: str, succeeds: bool = True) -> Played:
        (self.folder / "play.yml").write_text(playbook, encoding="utf-8")
        return self.run_command([str(BIN / "ansible-playbook"), "play.yml"], succeeds)

    def run_command(self, command: list[str], succeeds: bool = True) -> Played:
        return self._play([*command, "-i", "inventory.json"], succeeds, self.environment)

    def gone(self) -> set[tuple[str, str]]:
        held = self.secondary_addresses()
        return {(eni_id, address) for eni_id, address in ADDRESSES if address not in held[eni_id]}


# -- real guests


@dataclass
class Network:
    folder: Path
    guests: dict[str, Guest]
    inventory: dict[str, Any]
    environment: dict[str, str]


def add(guest: Guest, interface: str, *addresses: str) -> None:
    for address in addresses:
        guest.run(f"ip address add {address}/24 dev {interface}")


@pytest.fixture(scope="module")
def network(running_emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    running_emulator.reset(seed=SEED)
    macs = mac_addresses(running_emulator)
    folder = tmp_path_factory.mktemp("guests")
    make_keys(folder)
    with ExitStack() as stack:
        hub = stack.enter_context(Hub())
        guests = {}
        for number, (host, eni_id) in enumerate(HOSTS.items(), 10):
            guest = guests[host] = stack.enter_context(Guest())
            hub.connect(guest, "mgmt0", bridged=True)
            add(guest, "mgmt0", f"10.255.0.{number}")
            hub.connect(guest, "eth1", macs[eni_id])
            if host in ("web", "db"):
                hub.connect(guest, "eth2", macs["eni-twin"])
            if host != "down":
                guest.sshd(folder, f"10.255.0.{number}")
        add(guests["web"], "eth1", "192.168.1.5", "192.168.1.10", "192.168.1.11")
        guests["web"].service("shop").open(listen=[("192.168.1.10", 8080)])
        add(guests["db"], "eth1", "192.168.2.5", "192.168.2.10", "192.168.2.99")
        add(guests["db"], "eth2", "192.168.3.10")
        # Ansible and the endpoint are on this machine; only ssh goes to where the guests are.
        ssh = folder / "ssh"
        ssh.write_text(f'#!/bin/sh\nexec {shlex.join(hub.network_command("ssh"))} "$@"\n', encoding="utf-8")
        ssh.chmod(0o755)
        variables = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(folder / "user"),
            "ansible_ssh_executable": str(ssh),
            "ansible_ssh_common_args": "-o UserKnownHostsFile=/dev/null -o ConnectTimeout=3",
            "ansible_remote_tmp": str(folder / "remote"),
            "ansible_python_interpreter": sys.executable,
        }
        hosts = {host: {"ansible_host": f"10.255.0.{number}"} for number, host in enumerate(HOSTS, 10)}
        hosts["broken"]["ansible_python_interpreter"] = "/nowhere/python3"
        yield Network(
            folder,
            guests,
            {"guests": {"hosts": hosts, "vars": variables}},
            {
                "PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin",
                "ANSIBLE_HOST_KEY_CHECKING": "false",
                "ANSIBLE_PIPELINING": "true",  # sftp would look for the guests on this machine
                "ANSIBLE_SSH_ARGS": "-F none -o ControlMaster=no -o LogLevel=ERROR",
            },
        )


@pytest.fixture
def roles(network: Network, emulator: Emulator, tmp_path: Path) -> Roles:
    emulator.reset(seed=SEED)
    return Roles(emulator, tmp_path, network.inventory, network.environment)


@pytest.mark.parametrize("check", [False, True], ids=["", "check mode"])
def test_an_audit_shows_the_level_of_each_address(roles: Roles, check: bool) -> None:
    shown = roles.guests_run("audit", check=check)
    report = roles.report("audit")
    assert levels_of(report) == ADDRESSES
    assert of_state(report, "held").keys() == ADDRESSES.keys()
    guests = report["guests"]
    assert guests["totals"] == {level: list(ADDRESSES.values()).count(level) for level in guests["totals"]}
    assert (guests["policy"], guests["hosts"], guests["read"]) == ("report", 4, 2)
    assert {gap["host"] for gap in guests["gaps"]} == {"down", "broken"}
    assert [(conflict["hosts"], conflict["eni_ids"]) for conflict in guests["conflicts"]] == [(["db", "web"], ["eni-twin"])]
    assert [(entry["eni_id"], entry["host"], entry["address"]) for entry in guests["not_assigned"]] == [("eni-db", "db", "192.168.2.99")]
    # The output has the same information, for people who see only the output.
    for line in (
        "guests of 'guests': 2 of 4 read",
        "in use: 1 address",
        "1 listening, in use on web (eth1): shop listens on port 8080: eni-web 192.168.1.10",
        "unknown: 5 addresses",
        "guest down: the guest could not be reached",
        "guest broken: the guest returned no result: The module interpreter '/nowhere/python3' was not found",
        "eni-db 192.168.2.99: configured on db (eth1) but not assigned to this ENI",
    ):
        assert line in shown.output, shown.output
    assert shown.published["secondary_ips_audit"]["levels"] == guests["totals"]
    assert "shop listens on port 8080" in roles.report("audit", "md")
    assert roles.writes() == []


def test_protect_skips_what_is_in_use_or_configured_and_unassigns_the_rest(roles: Roles) -> None:
    """It is the default policy if guests are set. The digest is that of the addresses that would be unassigned."""
    planned = roles.guests_run("unassign", check=True)
    report = roles.report("unassign")
    assert roles.writes() == []
    assert of_state(report, "skipped") == IN_USE_OR_CONFIGURED
    assert set(of_state(report, "planned")) == ADDRESSES.keys() - IN_USE_OR_CONFIGURED.keys()
    # The plan that somebody approves shows each level, and each reason with its number of addresses.
    for line in (
        "policy protect",
        "not seen: 3 addresses",
        "1 skipped, GuestInUse: in use on web (eth1): shop listens on port 8080: eni-web 192.168.1.10",
        "3 skipped, GuestConfigured: for example: ",
    ):
        assert line in planned.output, planned.output

    done = roles.guests_run("unassign", approved_digest=report["digest"], require_approval=True)
    assert roles.gone() == ADDRESSES.keys() - IN_USE_OR_CONFIGURED.keys()
    report = roles.report("unassign")
    assert report["outcome"] == "done"
    assert levels_of(report) == ADDRESSES
    assert report["guests"]["remaining"] == []
    assert done.published["secondary_ips_unassign"]["levels"] == report["guests"]["totals"]
    assert "policy protect does not skip addresses with the level unknown" in done.published["secondary_ips_unassign"]["guest_warning"]


def test_require_skips_what_is_unknown_as_well_and_the_printed_command_carries_out_the_plan(roles: Roles) -> None:
    planned = roles.guests_run("unassign", check=True, guest_policy="require")
    skipped = of_state(roles.report("unassign"), "skipped")
    assert skipped == {pair: IN_USE_OR_CONFIGURED.get(pair, GUEST_UNKNOWN) for pair, level in ADDRESSES.items() if level != NOT_SEEN}
    (command,) = re.findall(r"To carry out exactly this plan: (ansible-playbook .*)", planned.output)
    roles.run_command(shlex.split(command))
    assert roles.gone() == NOT_SEEN_ONLY
    assert roles.report("unassign")["guests"]["policy"] == "require"


def test_only_what_no_guest_uses_is_selected(network: Network, roles: Roles) -> None:
    """The rest is not refused, so a run that stops at each refusal goes on. A guest that uses it by now stops the approved plan."""
    planned = roles.guests_run("unassign", check=True, only_not_seen=True, on_refusal="fail")
    assert set(of_state(roles.report("unassign"), "planned")) == NOT_SEEN_ONLY
    assert "only what no guest uses" in planned.output
    (command,) = re.findall(r"To carry out exactly this plan: (ansible-playbook .*)", planned.output)
    assert "guest_policy=require" in command

    guest = network.guests["web"]
    add(guest, "eth1", "192.168.1.12")
    try:
        refused = roles.run_command(shlex.split(command), succeeds=False)
        assert "1 of its addresses are refused today" in refused.output
        assert "eni-web 192.168.1.12: configured on web (eth1)" in refused.output
        assert roles.gone() == set()
    finally:
        guest.run("ip address del 192.168.1.12/24 dev eth1")
    roles.run_command(shlex.split(command))
    assert roles.gone() == NOT_SEEN_ONLY


def test_after_an_unassign_the_report_names_the_guests_that_still_have_the_address(network: Network, roles: Roles) -> None:
    done = roles.guests_run("unassign", guest_policy="report")
    assert roles.gone() == ADDRESSES.keys()
    remaining = roles.report("unassign")["guests"]["remaining"]
    assert {(entry["host"], entry["address"], entry["command"]) for entry in remaining} == {
        ("web", "192.168.1.10", "ip address del 192.168.1.10/24 dev eth1"),
        ("web", "192.168.1.11", "ip address del 192.168.1.11/24 dev eth1"),
        ("db", "192.168.2.10", "ip address del 192.168.2.10/24 dev eth1"),
        ("db", "192.168.3.10", "ip address del 192.168.3.10/24 dev eth2"),
    }
    assert "web: ip address del 192.168.1.11/24 dev eth1" in done.output
    assert "/etc/netplan/*.yaml (netplan)" in done.output
    # The printed command works.
    guest, command = network.guests["web"], "ip address del 192.168.1.11/24 dev eth1"
    guest.run(command)
    try:
        assert "192.168.1.11" not in guest.run("ip address show dev eth1")
    finally:
        add(guest, "eth1", "192.168.1.11")


# -- results from the inventory


def result_of(mac: str, addresses: list[str], age: timedelta = timedelta()) -> dict[str, Any]:
    """The result of guest_addresses_info for a guest with these addresses."""
    return {
        "read_at": (datetime.now(UTC) - age).isoformat(timespec="seconds"),
        "complete": True,
        "reasons": [],
        "namespaces": [{"namespace": "", "process": None, "complete": True, "interfaces_read": True, "wildcard_listeners": []}],
        "interfaces": [{"interface": "eth1", "namespace": "", "mac_address": mac}],
        "addresses": [
            {
                "address": address,
                "prefix_length": 24,
                "found_as": "interface_address",
                "namespace": "",
                "interface": "eth1",
                "parent_interface": None,
                "mac_addresses": [mac],
                "dynamic": False,
                "removed_with_it": [],
                "listeners": [],
                "connections": 0,
                "uncertain": False,
            }
            for address in addresses
        ],
    }


OWN_PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    VARIABLES
  roles:
    - alicloud_ops.network.unassign_secondary_ips
"""


@pytest.fixture
def without_network(emulator: Emulator, tmp_path: Path) -> Roles:
    emulator.reset(seed=SEED)
    return make_roles(emulator, tmp_path)


def make_roles(emulator: Emulator, folder: Path, age: timedelta = timedelta(), more: Mapping[str, Any] | None = None) -> Roles:
    macs = mac_addresses(emulator)
    hosts = {
        host: {"guest_addresses_info_result": result_of(macs[eni_id], addresses, age)}
        for host, eni_id, addresses in (("web", "eni-web", ["192.168.1.10", "192.168.1.11"]), ("db", "eni-db", []))
    }
    return Roles(emulator, folder, {"guests": {"hosts": {**hosts, **(more or {})}}, "strangers": {"hosts": {"stranger": {}}}}, {})


def as_play(roles: Roles, **variables: Any) -> str:
    given = {**CHOSEN, "report_dir": str(roles.reports), **variables}
    lines = [f"unassign_secondary_ips_{name}: {json.dumps(value)}" for name, value in given.items()]
    return OWN_PLAY.replace("VARIABLES", "\n    ".join(lines))


def own_play(roles: Roles, succeeds: bool = True, **variables: Any) -> Played:
    return roles.own_play(as_play(roles, **variables), succeeds)


def test_the_role_takes_results_without_its_playbook(without_network: Roles) -> None:
    """A list of patterns, one of them with a host that was not read."""
    done = own_play(without_network, guests=["guests", "strangers"], only_not_seen="yes")
    not_there = {"eni-web": ("192.168.1.12", "192.168.1.13"), "eni-db": ("192.168.2.10", "192.168.2.11")}
    assert without_network.gone() == {(eni_id, address) for eni_id, addresses in not_there.items() for address in addresses}
    assert "guest stranger: the guest returned no result: it has no variable guest_addresses_info_result" in done.output
    assert without_network.report("unassign")["guests"]["pattern"] == "guests,strangers"


def test_old_evidence_is_refused(emulator: Emulator, tmp_path: Path) -> None:
    emulator.reset(seed=SEED)
    roles = make_roles(emulator, tmp_path, timedelta(minutes=16))
    refused = own_play(roles, succeeds=False)
    message = (
        "unassign_secondary_ips_guest_max_age: 2 of 2 guests were read too long ago, the oldest 16 minutes ago, but at most 15 minutes"
    )
    assert message in refused.output
    assert "Run the playbook again" in refused.output
    assert roles.writes() == []
    assert roles.report("unassign")["outcome"] == "refused"
    own_play(roles, guest_max_age="20")
    assert ("eni-web", "192.168.1.12") in roles.gone()


NO_GUARD: list[tuple[dict[str, Any], str]] = [
    ({"guests": ""}, "unassign_secondary_ips_guests: is empty text"),
    ({"guests": [" "]}, "unassign_secondary_ips_guests: is empty text"),
    ({"guests": "guest"}, "unassign_secondary_ips_guests: 'guest' matches no host of the inventory"),
    ({"guests": "strangers"}, "unassign_secondary_ips_guests: no host of 'strangers' was read: stranger."),
    ({"guests": None, "only_not_seen": True}, "unassign_secondary_ips_only_not_seen: needs unassign_secondary_ips_guests"),
    ({"guest_policy": "keep"}, "unassign_secondary_ips_guest_policy: 'keep' is not one of report, protect, require"),
]


def test_a_guard_that_would_protect_nothing_stops_the_run(without_network: Roles) -> None:
    """One play after the other in one run."""
    plays = [as_play(without_network, **variables) + "  ignore_errors: true\n" for variables, _message in NO_GUARD]
    _before, *outputs = without_network.own_play("".join(plays)).output.split("PLAY [localhost]")
    for (variables, message), output in zip(NO_GUARD, outputs, strict=True):
        assert message in output, variables
        assert "...ignoring" in output, variables
    assert without_network.writes() == []


@pytest.mark.parametrize("guests", ["", []], ids=["blank", "empty"])
def test_the_playbook_reads_nothing_without_guests(without_network: Roles, guests: Any) -> None:
    """Not even localhost. A blank value is an error of the role, and an empty list names no guest."""
    played = without_network.guests_run("audit", guests=guests, succeeds=guests == [])
    assert "Read the addresses of the guest]" not in played.output
    if guests == []:
        assert set(levels_of(without_network.report("audit")).values()) == {UNKNOWN}
    else:
        assert "audit_secondary_ips_guests: is empty text" in played.output


def test_without_guests_nothing_else_changes(without_network: Roles) -> None:
    played = without_network.run("unassign", security_group_ids="sg-app", calls_per_minute=0)
    report = without_network.report("unassign")
    assert without_network.gone() == ADDRESSES.keys()
    assert report["guests"] is None
    assert all("level" not in line for row in report["interfaces"] for line in row["addresses"])
    assert "level" not in without_network.report("unassign", "md").lower()
    assert played.output.count("PLAY [Read the addresses of the guests] ****") == 1
    assert "guest" not in played.output.replace("PLAY [Read the addresses of the guests]", "").replace(str(without_network.folder), "")
    assert "WARNING" not in played.output


@pytest.mark.parametrize("strategy", ["linear", "free"])
def test_the_results_of_several_hundred_hosts_are_read_without_templates(emulator: Emulator, tmp_path: Path, strategy: str) -> None:
    emulator.reset(seed=SEED)
    many = {}
    for number in range(400):
        mac, address = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}", f"10.0.{number >> 8}.{number & 255}"
        many[f"host{number}"] = {"guest_addresses_info_result": result_of(mac, [address] * 20)}
    roles = make_roles(emulator, tmp_path, more=many)
    roles.environment = {"ANSIBLE_STRATEGY": strategy}
    own_play(roles, only_not_seen=True)
    report = roles.report("unassign")
    assert report["guests"]["read"] == 402
    assert set(of_state(report, "unassigned")) == roles.gone() != set()
