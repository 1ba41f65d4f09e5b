# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real guests: namespaces with interfaces that have the MAC addresses of made-up ENIs, real sshd, real sockets.

Ansible reads them by its ssh connection, as it does in production, and the results are joined with the ENIs.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.guests import Guest, Hub, make_keys, why_not
from support.playbook import BIN, ROOT

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._guest_results import Guests
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._guests import (
    Eni,
    find_not_assigned,
    find_remaining,
    join_guests,
    make_eni,
)

ANY = "0.0.0.0"  # noqa: S104 (only inside of a guest)
PLAYBOOK = """
- hosts: guests
  gather_facts: false
  tasks:
    - name: Read the addresses of the instance
      alicloud_ops.network.guest_addresses_info:
      register: guest
      ignore_unreachable: true
    - name: Save the result
      ansible.builtin.copy:
        content: "{{ guest | to_json }}"
        dest: "{{ playbook_dir }}/results/{{ inventory_hostname }}.json"
        mode: "0600"
      delegate_to: localhost
      vars:
        ansible_python_interpreter: "{{ ansible_playbook_python }}"
      check_mode: false
"""

IN_USE, CONFIGURED, NOT_SEEN, UNKNOWN = "in_use", "configured", "not_seen", "unknown"
HOSTS = ("web", "node", "prefix", "db", "old", "down")

# ENI → host, MAC address, and for each address: level, reason code, and a part of the text.
TABLE: dict[str, tuple[str, str, dict[str, tuple[str, str, str]]]] = {
    "eni-web": (
        "web",
        "00:16:3e:00:00:01",
        {
            "192.168.1.10": (IN_USE, "listening", "web (eth1): shop listens on port 8080, 3 connections"),
            "192.168.1.11": (IN_USE, "listening", "web (eth1): sshd listens on port 22"),
            "192.168.1.12": (IN_USE, "listening", "web (eth1): dns listens on UDP port 53"),
            "192.168.1.13": (IN_USE, "connected", "web (eth1): 2 connections"),
            "192.168.1.14": (CONFIGURED, "configured", "configured on web (eth1)"),
            "192.168.1.15": (CONFIGURED, "configured", "configured on web (eth1)"),  # /32, as keepalived does
            "192.168.1.16": (CONFIGURED, "configured", "configured on web (lo)"),
            "192.168.1.17": (IN_USE, "listening", "web: shop listens on port 8081"),  # not configured anywhere
            "192.168.1.18": (NOT_SEEN, "not_seen", "not seen on web (eth1)"),
            "192.168.1.19": (NOT_SEEN, "not_seen", "not seen on web (eth1)"),
        },
    ),
    "eni-node": (
        "node",
        "00:16:3e:00:00:02",
        {
            "192.168.2.10": (IN_USE, "listening", "node (mv1 on eth1 in the network namespace of pod-a): pod-a listens on port 80"),
            "192.168.2.11": (CONFIGURED, "configured", "node (mv1 on eth1 in the network namespace of pod-a)"),
            "192.168.2.12": (IN_USE, "listening", "node (eth0 in the network namespace of pod-b): pod-b listens on port 80"),
            "192.168.2.13": (CONFIGURED, "configured", "node (eth0 in the network namespace of pod-b)"),
            "192.168.2.14": (CONFIGURED, "configured", "node (mv2 on eth1 in network namespace blue)"),
            "192.168.2.15": (IN_USE, "listening", "node (mv3 on eth1 in network namespace green): vip listens on port 80"),
            "192.168.2.16": (CONFIGURED, "configured", "node (mv0 on eth1)"),
            "192.168.2.17": (CONFIGURED, "local_route", "the local route 192.168.2.17/32 accepts it"),
            "192.168.2.18": (NOT_SEEN, "not_seen", "not seen on node (eth1)"),
            "192.168.2.19": (NOT_SEEN, "not_seen", "not seen on node (eth1)"),
        },
    ),
    "eni-prefix": (
        "prefix",
        "00:16:3e:00:00:03",
        {
            "192.168.3.10": (IN_USE, "listening", "prefix (eth1): dual listens on port 80"),
            "192.168.3.16/28": (IN_USE, "listening", "192.168.3.17: dual listens on port 81; 2 addresses of the prefix are seen"),
            "192.168.3.32/28": (CONFIGURED, "configured", "prefix (eth1): 192.168.3.47"),
            "192.168.3.48/28": (NOT_SEEN, "not_seen", "not seen on prefix (eth1)"),
            "192.168.3.64/28": (CONFIGURED, "local_route", "the local route 192.168.3.64/28 accepts it"),
            "2001:db8:3::10": (IN_USE, "listening", "prefix (eth1): dual listens on port 80"),
            "2001:db8:3::11": (CONFIGURED, "configured", "configured on prefix (eth1)"),
            "2001:db8:3::12": (NOT_SEEN, "not_seen", "not seen on prefix (eth1)"),
            "2001:db8:3:1::/80": (IN_USE, "listening", "2001:db8:3:1::7: dual listens on port 82"),
            "2001:db8:3:2::/80": (NOT_SEEN, "not_seen", "not seen on prefix (eth1)"),
        },
    ),
    "eni-db": (
        "db",
        "00:16:3e:00:00:04",
        {
            "192.168.4.10": (CONFIGURED, "configured", "db (br1); 1 service there listens on all addresses"),
            "192.168.4.11": (IN_USE, "connected", "db (br1): 1 connection"),  # to the wildcard listener
            "192.168.4.12": (CONFIGURED, "configured", "db (br1); 1 service there listens on all addresses"),  # from DHCP
            "192.168.4.13": (UNKNOWN, "other_guest", "but configured on web (eth1)"),
            "192.168.4.14": (NOT_SEEN, "not_seen", "not seen on db"),
            "192.168.4.15": (NOT_SEEN, "not_seen", "not seen on db"),
            "192.168.4.16": (NOT_SEEN, "not_seen", "not seen on db"),
        },
    ),
    "eni-twin": (
        "db",
        "00:16:3e:00:00:44",
        {
            "192.168.44.10": (UNKNOWN, "mac_conflict", "but in use on db (eth2): dbms listens on port 5433"),
            "192.168.44.11": (UNKNOWN, "mac_conflict", "db and old all have the MAC address"),
            "192.168.44.12": (UNKNOWN, "mac_conflict", "db and old all have the MAC address"),
        },
    ),
    "eni-old": (
        "old",
        "00:16:3e:00:00:05",
        {
            "192.168.5.10": (IN_USE, "listening", "old (eth1): app listens on port 80"),
            "192.168.5.11": (IN_USE, "listening", "old (eth1): app listens on port 80"),
            "192.168.5.12": (CONFIGURED, "configured", "configured on old (eth1)"),
            "192.168.5.13": (CONFIGURED, "configured", "configured on old (eth1)"),
            "192.168.5.14": (CONFIGURED, "configured", "configured on old (eth1)"),
            **{f"192.168.5.{number}": (UNKNOWN, "incomplete", "/run/netns/stale is not a network namespace") for number in range(15, 20)},
        },
    ),
    "eni-down": (
        "down",
        "00:16:3e:00:00:06",
        {f"192.168.6.{number}": (UNKNOWN, "no_guest", "no guest that was read has") for number in range(10, 20)},
    ),
}
ROWS = [(eni_id, address) for eni_id, (_host, _mac, addresses) in TABLE.items() for address in addresses]


def eni_of_table(eni_id: str) -> Eni:
    _host, mac, addresses = TABLE[eni_id]
    lists: dict[str, list[str]] = {"private_ip_addresses": [], "ipv4_prefixes": [], "ipv6_addresses": [], "ipv6_prefixes": []}
    for address in addresses:
        name = ("ipv6_prefixes" if ":" in address else "ipv4_prefixes") if "/" in address else ""
        lists[name or ("ipv6_addresses" if ":" in address else "private_ip_addresses")].append(address)
    return make_eni(eni_id, mac, lists)


def with_primary(eni: Eni) -> Eni:
    number = int(eni.mac_address[-2:])
    return replace(eni, addresses=[*eni.addresses, f"192.168.{number}.5"])


ENIS = [eni_of_table(eni_id) for eni_id in TABLE]


@dataclass
class Network:
    folder: Path
    hub: Hub
    guests: dict[str, Guest]
    results: dict[str, Any]

    def read(self, *arguments: str) -> dict[str, Any]:
        """The result of the module on each host, by Ansible."""
        variables = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.folder / "user"),
            "ansible_ssh_common_args": "-o UserKnownHostsFile=/dev/null -o ConnectTimeout=5",
            "ansible_remote_tmp": str(self.folder / "remote"),
            "ansible_python_interpreter": sys.executable,
        }
        hosts = {host: {"ansible_host": f"10.255.0.{number}"} for number, host in enumerate(HOSTS, 10)}
        oldest = shutil.which("python3.9")
        if oldest and not subprocess.run([oldest, "-c", ""], capture_output=True, check=False).returncode:
            hosts["node"]["ansible_python_interpreter"] = oldest
        environment = {
            "PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": os.environ.get("HOME", "/root"),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_REMOTE_TMP": str(self.folder / "remote"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_FORKS": "6",
        }
        results = self.folder / "results"
        shutil.rmtree(results, ignore_errors=True)
        results.mkdir()
        inventory = {"guests": {"hosts": hosts, "vars": variables}}
        output = self.hub.playbook(self.folder, {"all": {"children": inventory}}, PLAYBOOK, environment, *arguments)
        found = {path.stem: json.loads(path.read_text()) for path in results.glob("*.json")}
        assert found, output
        return found


def add(guest: Guest, interface: str, *addresses: str) -> None:
    """Addresses without a prefix length get /24 or /64."""
    for address in addresses:
        length = "" if "/" in address else "/64" if ":" in address else "/24"
        guest.run(f"ip address add {address}{length} dev {interface} {'nodad' if ':' in address else ''}")


def set_up_web(guest: Guest, folder: Path) -> None:
    add(guest, "eth1", *(f"192.168.1.{number}" for number in (5, 10, 11, 12, 13, 14)), "192.168.1.15/32", "192.168.4.13/32")
    guest.run("ip address add 192.168.1.16/32 dev lo")
    guest.sshd(folder, "10.255.0.10", "192.168.1.11")
    shop = guest.service("shop").open(listen=[("192.168.1.10", 8080), ("192.168.1.5", 9000)], freebind=[("192.168.1.17", 8081)])
    assert shop.pid
    guest.service("dns").open(datagram=[("192.168.1.12", 53)])
    guest.service("client").open(connect=[("192.168.1.5", "192.168.1.10", 8080, 3), ("192.168.1.13", "192.168.1.5", 9000, 2)])


def set_up_node(guest: Guest, folder: Path) -> None:
    """Containers and other namespaces."""
    add(guest, "eth1", "192.168.2.5")
    guest.sshd(folder, "10.255.0.11")
    guest.run("ip link add mv0 link eth1 type macvlan mode bridge; ip link set mv0 up; ip address add 192.168.2.16/24 dev mv0")
    guest.run("ip route add local 192.168.2.17/32 dev lo")
    for name, child in (("blue", "mv2"), ("green", "mv3")):
        guest.run(
            f"ip netns add {name}; ip link add {child} link eth1 netns {name} type macvlan mode bridge; ip -n {name} link set {child} up"
        )
    guest.run("ip -n blue address add 192.168.2.14/24 dev mv2; ip -n green address add 192.168.2.15/24 dev mv3")
    guest.service("vip", "ip", "netns", "exec", "green").open(listen=[("192.168.2.15", 80)])
    for name, interface, addresses in (
        ("pod-a", "mv1", ("192.168.2.10", "192.168.2.11")),
        ("pod-b", "eth0", ("192.168.2.12", "192.168.2.13")),
    ):
        pod = guest.service(name, "unshare", "--net")
        kind = "link eth1 type macvlan mode bridge" if interface == "mv1" else "type veth peer name host0"
        inside = ["nsenter", "--target", str(pod.pid), "--net", "--", "sh", "-ec"]
        setup = f"ip link add tmp0 {kind}; ip link set tmp0 netns {pod.pid} name {interface}"
        subprocess.run(guest.network_command("sh", "-ec", setup), check=True, timeout=30)
        lines = [f"ip address add {address}/24 dev {interface}" for address in addresses]
        subprocess.run([*inside, "; ".join([f"ip link set lo up; ip link set {interface} up", *lines])], check=True, timeout=30)
        pod.open(listen=[(addresses[0], 80)])


def set_up_prefix(guest: Guest, folder: Path) -> None:
    add(guest, "eth1", "192.168.3.5", "192.168.3.10", "192.168.3.17", "192.168.3.18", "192.168.3.47")
    add(guest, "eth1", "2001:db8:3::10", "2001:db8:3::11", "2001:db8:3:1::7/128")
    guest.run("ip route add local 192.168.3.64/28 dev lo")
    guest.sshd(folder, "10.255.0.12")
    addresses = [("::ffff:192.168.3.10", 80), ("192.168.3.17", 81), ("2001:db8:3::10", 80), ("2001:db8:3:1::7", 82)]
    guest.service("dual").open(listen=addresses)


def set_up_db(guest: Guest, folder: Path) -> None:
    """The ENI is a port of a bridge. Its MAC address is also that of a second guest."""
    guest.run("ip link add br1 type bridge; ip link set eth1 master br1; ip link set br1 up")
    add(guest, "br1", "192.168.4.5", "192.168.4.10", "192.168.4.11")
    guest.run("ip address add 192.168.4.12/24 dev br1 valid_lft 3000 preferred_lft 3000")
    add(guest, "eth2", "192.168.44.10")
    guest.sshd(folder, "10.255.0.13")
    guest.service("dbms").open(listen=[(ANY, 5432), ("192.168.44.10", 5433)])
    guest.service("client").open(connect=[("192.168.4.5", "192.168.4.11", 5432, 1)])


def set_up_old(guest: Guest, folder: Path) -> None:
    """A guest that cannot be read completely. It also has an address that is not assigned."""
    add(guest, "eth1", *(f"192.168.5.{number}" for number in (5, 10, 11, 12, 13, 14, 99)))
    guest.run("touch /run/netns/stale")
    guest.sshd(folder, "10.255.0.14")
    guest.service("app").open(listen=[("192.168.5.10", 80), ("192.168.5.11", 80)])


@pytest.fixture(scope="module")
def possible() -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def network(possible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("guests")
    make_keys(folder)
    with ExitStack() as stack:
        hub = stack.enter_context(Hub())
        guests = {}
        for number, host in enumerate(HOSTS, 10):
            guest = guests[host] = stack.enter_context(Guest())
            hub.connect(guest, "mgmt0", bridged=True)
            add(guest, "mgmt0", f"10.255.0.{number}")
            for interface, eni_id in (("eth1", f"eni-{host}"), ("eth2", "eni-twin")):
                if interface == "eth1" or host in ("db", "old"):
                    hub.connect(guest, interface, TABLE[eni_id][1])
        set_up_web(guests["web"], folder)
        set_up_node(guests["node"], folder)
        set_up_prefix(guests["prefix"], folder)
        set_up_db(guests["db"], folder)
        set_up_old(guests["old"], folder)
        # The host "down" has no sshd.
        network = Network(folder, hub, guests, {})
        network.results = network.read()
        yield network


def test_the_table_is_about_60_addresses_of_six_guests() -> None:
    assert len(ROWS) == 60
    assert {host for host, _mac, _addresses in TABLE.values()} == set(HOSTS)


def test_each_address_gets_the_right_level(network: Network) -> None:
    """One test for all addresses. Otherwise two processes of pytest would share the tests, and each would make the guests."""
    findings = join_guests(ENIS, Guests(network.results)).findings
    found = {(eni_id, address): findings[eni_id][address] for eni_id, address in ROWS}
    expected = {(eni_id, address): TABLE[eni_id][2][address] for eni_id, address in ROWS}
    assert {row: (finding.level, finding.reason_code) for row, finding in found.items()} == {
        row: (level, code) for row, (level, code, _text) in expected.items()
    }
    assert {row: found[row].text for row, (_level, _code, text) in expected.items() if text not in found[row].text} == {}


def test_conflicts_and_gaps_are_reported(network: Network) -> None:
    report = join_guests(ENIS, Guests(network.results))
    assert report.conflicts == [{"mac_address": TABLE["eni-twin"][1], "hosts": ["db", "old"], "eni_ids": ["eni-twin"]}]
    assert [gap["host"] for gap in report.gaps] == ["down", "old"]


def test_guests_without_a_gap_are_complete(network: Network) -> None:
    assert {host: network.results[host]["complete"] for host in ("web", "node", "prefix", "db")} == dict.fromkeys(
        ("web", "node", "prefix", "db"), True
    )
    assert network.results["web"]["reasons"] == []


def test_addresses_are_those_that_ip_shows(network: Network) -> None:
    for host in ("web", "node", "prefix", "db", "old"):
        for namespace in ("", "blue", "green") if host == "node" else ("",):
            command = f"ip {f'-n {namespace} ' if namespace else ''}-json address"
            shown = {
                (link["ifname"], entry["local"], entry["prefixlen"], entry["scope"], entry.get("dynamic", False))
                for link in json.loads(network.guests[host].run(command))
                for entry in link["addr_info"]
                if not ipaddress.ip_address(entry["local"]).is_loopback and entry["scope"] != "link"
            }
            found = {
                (entry["interface"], entry["address"], entry["prefix_length"], entry["scope"], entry["dynamic"])
                for entry in network.results[host]["addresses"]
                if entry["namespace"] == namespace and entry["found_as"] == "interface_address"
            }
            assert found == shown, host
            assert found


def test_an_address_that_is_not_assigned_is_found(network: Network) -> None:
    found = find_not_assigned([with_primary(eni) for eni in ENIS], Guests(network.results))
    assert {(entry["eni_id"], entry["host"], entry["address"]) for entry in found} == {
        ("eni-old", "old", "192.168.5.99"),
        ("eni-web", "web", "192.168.4.13"),
    }


def test_the_commands_remove_what_remains(network: Network) -> None:
    """The addresses are configured again afterwards, because other tests read the same guest."""
    before = eni_of_table("eni-node")
    unassigned = replace(before, addresses=["192.168.2.14", "192.168.2.16", "192.168.2.17", "192.168.2.10"])
    now = with_primary(replace(before, addresses=[]))
    found = {entry["address"]: entry for entry in find_remaining([unassigned], [now], Guests(network.results))}
    assert {address: entry["command"] for address, entry in found.items()} == {
        "192.168.2.10": None,
        "192.168.2.14": "ip netns exec blue ip address del 192.168.2.14/24 dev mv2",
        "192.168.2.16": "ip address del 192.168.2.16/24 dev mv0",
        "192.168.2.17": "ip route del local 192.168.2.17/32 dev lo",
    }
    undo = [
        "ip -n blue address add 192.168.2.14/24 dev mv2",
        "ip address add 192.168.2.16/24 dev mv0",
        "ip route add local 192.168.2.17/32 dev lo",
    ]
    try:
        for entry in found.values():
            if entry["command"]:
                network.guests["node"].run(entry["command"])
        results = {**network.results, **{"node": network.read("--limit", "node")["node"]}}
        findings = join_guests([before], Guests(results)).findings["eni-node"]
        assert [findings[address].level for address in ("192.168.2.14", "192.168.2.16", "192.168.2.17")] == [NOT_SEEN] * 3
    finally:
        for command in undo:
            network.guests["node"].run(f"{command} || true")


def test_check_mode_returns_the_same(network: Network) -> None:
    again = network.read("--check", "--limit", "web")["web"]
    assert again["changed"] is False
    # The number of Ansible's own connections changes.
    fields = ("address", "interface", "namespace", "listeners", "uncertain")
    assert [{name: entry[name] for name in fields} for entry in again["addresses"] if entry["interface"] != "mgmt0"] == [
        {name: entry[name] for name in fields} for entry in network.results["web"]["addresses"] if entry["interface"] != "mgmt0"
    ]


def test_no_address_of_another_machine_is_returned(network: Network) -> None:
    """Ansible is connected from the hub to each guest while the module reads."""
    assert any(entry["connections"] for entry in network.results["web"]["addresses"] if entry["interface"] == "mgmt0")
    assert Hub.ADDRESS not in json.dumps(network.results["web"]["addresses"])


# -- without root

PROGRAM = """
import json, sys, types
sources = json.load(sys.stdin)
name = "ansible_collections.alicloud_ops.network.plugins.module_utils"
for number in range(1, len(name.split(".")) + 1):
    package = sys.modules[".".join(name.split(".")[:number])] = types.ModuleType("package")
    package.__path__ = []
for part, source in sources:
    module = sys.modules[f"{name}.{part}"] = types.ModuleType(f"{name}.{part}")
    exec(compile(source, part, "exec"), module.__dict__)
print(json.dumps(sys.modules[f"{name}._guest_system"].read_guest()))
"""


def read_in(guest: Guest, *prefix: str) -> dict[str, Any]:
    python = "/usr/bin/python3"
    if not os.path.exists(python) or not shutil.which("setpriv"):
        pytest.skip(f"{python} or setpriv is not installed")
    folder = ROOT / "plugins" / "module_utils"
    names = ("_guest_reading", "_guest_netlink", "_guest_proc", "_guest_discovery", "_guest_system")
    sources = json.dumps([(name, (folder / f"{name}.py").read_text(encoding="utf-8")) for name in names])
    command = guest.command(*prefix, python, "-I", "-c", PROGRAM)
    done = subprocess.run(command, input=sources, capture_output=True, text=True, check=False, timeout=60, cwd="/")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def read_as_nobody(guest: Guest) -> dict[str, Any]:
    return read_in(guest, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all")


def test_without_root_levels_of_what_is_found_hold(network: Network) -> None:
    """Everything except the names of processes is the same. An address that is not found may be in a namespace that only another user
    keeps open."""
    result = read_as_nobody(network.guests["web"])
    assert {reason["code"] for reason in result["reasons"]} == {"namespaces_hidden"}
    joined = join_guests(ENIS, Guests({**network.results, "web": result})).findings["eni-web"]
    assert {address: finding.level for address, finding in joined.items()} == {
        address: UNKNOWN if level == NOT_SEEN else level for address, (level, _code, _text) in TABLE["eni-web"][2].items()
    }
    assert joined["192.168.1.10"].text == "in use on web (eth1): a process listens on port 8080, 3 connections"


def test_without_root_containers_are_seen_and_named_namespaces_make_it_incomplete(network: Network) -> None:
    result = read_as_nobody(network.guests["node"])
    refused = {reason["namespace"] for reason in result["reasons"] if reason["code"] == "namespace_not_permitted"}
    assert refused == {"blue", "green"}
    findings = join_guests(ENIS, Guests({"node": result})).findings["eni-node"]
    levels = {address: finding.level for address, finding in findings.items()}
    # Containers, and the namespace "green", which has a process.
    assert [levels[f"192.168.2.{number}"] for number in (10, 11, 12, 13, 15)] == [IN_USE, CONFIGURED, IN_USE, CONFIGURED, IN_USE]
    assert [levels[f"192.168.2.{number}"] for number in (16, 17)] == [CONFIGURED, CONFIGURED]
    # The namespace "blue" has none, so what is nowhere else may be there.
    assert [levels[f"192.168.2.{number}"] for number in (14, 18, 19)] == [UNKNOWN] * 3


@pytest.mark.parametrize("value", ["1", "2"])
def test_without_root_hidden_processes_make_it_incomplete(possible: None, value: str) -> None:
    with Guest() as guest:
        guest.run(f"mount -o remount,hidepid={value} /proc")
        assert "processes_hidden" in {reason["code"] for reason in read_as_nobody(guest)["reasons"]}


def test_a_guest_of_its_own_is_complete_as_root_only(possible: None) -> None:
    with Guest() as guest:
        assert read_in(guest)["reasons"] == []
        assert {reason["code"] for reason in read_as_nobody(guest)["reasons"]} == {"namespaces_hidden"}


@pytest.mark.parametrize("promote", [0, 1])
def test_what_the_kernel_removes_together_with_an_address(possible: None, promote: int) -> None:
    with Guest() as guest:
        guest.run("ip link add d0 type veth peer name d1")
        guest.run(f"sysctl -qw net.ipv4.conf.d0.promote_secondaries={promote}")
        add(guest, "d0", "192.168.1.10", "192.168.1.11", "192.168.1.12", "192.168.2.10", "192.168.1.13/32")
        found = {entry["address"]: entry["removed_with_it"] for entry in read_in(guest)["addresses"]}
        guest.run("ip address del 192.168.1.10/24 dev d0")
        gone = found.keys() - {entry["address"] for entry in read_in(guest)["addresses"]} - {"192.168.1.10"}
        assert set(found["192.168.1.10"]) == gone == (set() if promote else {"192.168.1.11", "192.168.1.12"})
        assert [found[address] for address in ("192.168.1.11", "192.168.2.10", "192.168.1.13")] == [[], [], []]


# -- a namespace in which no process is

# A namespace with the name "x", which has an address.
MAKE = "ip netns add x; ip -n x link add d0 type veth peer name d1; ip -n x address add 192.168.1.30/24 dev d0"
WAIT_FOREVER = "echo ready; exec cat"
OWN_MOUNTS = f"mount -t tmpfs tmpfs /run; mkdir /run/netns; {MAKE}"
THREAD = """
import ctypes, os, subprocess, sys, threading
done = threading.Event()
def run():
    ctypes.CDLL(None).unshare(0x40000000)
    inside = ["nsenter", f"--net=/proc/{os.getpid()}/task/{threading.get_native_id()}/ns/net", "sh", "-ec"]
    subprocess.run([*inside, "ip link add d0 type veth peer name d1; ip address add 192.168.1.30/24 dev d0"], check=True)
    done.set()
    threading.Event().wait()
threading.Thread(target=run, daemon=True).start()
assert done.wait(20)
print("ready", flush=True)
sys.stdin.read()
"""
HIDDEN = {
    "a file descriptor": ("sh", "-ec", f"{MAKE}; exec 9</run/netns/x; umount -l /run/netns/x; rm /run/netns/x; {WAIT_FOREVER}"),
    "a file descriptor and a lazy unmount": (
        "sh",
        "-ec",
        f"mkdir /run/t; mount -t tmpfs tmpfs /run/t; {MAKE}; touch /run/t/x; mount --bind /run/netns/x /run/t/x; exec 9</run/t/x; "
        f"umount -l /run/t; ip netns del x; {WAIT_FOREVER}",
    ),
    "another mount namespace": ("unshare", "--mount", "sh", "-ec", f"{OWN_MOUNTS}; {WAIT_FOREVER}"),
    "a file descriptor to a name in another mount namespace": (
        "unshare",
        "--mount",
        "sh",
        "-ec",
        f"{OWN_MOUNTS}; exec 9</run/netns/x; umount -l /run/netns/x; {WAIT_FOREVER}",
    ),
    "a thread": ("/usr/bin/python3", "-I", "-c", THREAD),
}


def start_and_wait(guest: Guest, *command: str) -> None:
    program = guest.start(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"


@pytest.mark.parametrize("kept_by", HIDDEN)
def test_a_namespace_without_a_process_is_read(possible: None, kept_by: str) -> None:
    with Guest() as guest:
        start_and_wait(guest, *HIDDEN[kept_by])
        result = read_in(guest)
        assert result["complete"], result["reasons"]
        (entry,) = [entry for entry in result["addresses"] if entry["address"] == "192.168.1.30"]
        assert entry["namespace"].startswith("net:[")
        nobody = read_as_nobody(guest)
        assert nobody["complete"] is False


KEEP_MOUNTS = """
import subprocess, sys
child = subprocess.Popen(["unshare", "--mount", "sh", "-ec", sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
kept = open(f"/proc/{child.pid}/ns/mnt")
child.stdin.close()
child.wait()
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_mount_namespace_without_a_process_is_looked_into(possible: None) -> None:
    """As snapd keeps one for each program. It is a reason only if it has a network namespace that nothing else has."""
    with Guest() as guest:
        start_and_wait(guest, "/usr/bin/python3", "-I", "-c", KEEP_MOUNTS, WAIT_FOREVER)
        assert read_in(guest)["reasons"] == []
        start_and_wait(guest, "/usr/bin/python3", "-I", "-c", KEEP_MOUNTS, f"{OWN_MOUNTS}; {WAIT_FOREVER}")
        result = read_in(guest)
        assert [reason["code"] for reason in result["reasons"]] == ["namespace_not_permitted"]
        assert "keeps a network namespace" in result["reasons"][0]["text"]


def test_a_name_below_another_mount_is_never_forgotten(possible: None) -> None:
    with Guest() as guest:
        guest.run(f"{MAKE}; mount -t tmpfs tmpfs /run")
        result = read_in(guest)
        assert [reason["code"] for reason in result["reasons"]] == ["namespace_not_permitted"]


def test_an_ipvlan_child_belongs_to_the_eni_of_its_parent(possible: None) -> None:
    with Guest() as guest, Hub() as hub:
        hub.connect(guest, "eth1", "00:16:3e:00:00:01")
        try:
            guest.run("ip link add iv0 link eth1 type ipvlan mode l2; ip link set iv0 up; ip address add 192.168.1.20/24 dev iv0")
        except RuntimeError as error:
            pytest.skip(f"the kernel has no ipvlan: {error}")
        entry = next(entry for entry in read_as_nobody(guest)["addresses"] if entry["address"] == "192.168.1.20")
        assert (entry["parent_interface"], entry["parent_mac_address"]) == ("eth1", "00:16:3e:00:00:01")


def test_a_guest_leaves_nothing_behind(possible: None) -> None:
    def namespaces() -> set[str]:
        found = set()
        for path in Path("/proc").glob("[0-9]*/ns/net"):
            try:
                found.add(os.readlink(path))
            except OSError:
                continue
        return found

    guest = Guest()
    own = os.readlink(f"/proc/{guest.pid}/ns/net")
    service = guest.service("left").open(listen=[("127.0.0.1", 80)])
    assert own in namespaces()
    guest.stop()
    assert own not in namespaces()
    assert not Path(f"/proc/{service.pid}").exists()
