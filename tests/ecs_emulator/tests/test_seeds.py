# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds: a good one becomes a world, a wrong one is refused with every problem and its path. And the command line."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ecs_emulator
import pytest
from ecs_emulator import command_line
from ecs_emulator import seed as seeds
from ecs_emulator.seed import SeedError
from ecs_emulator.settings import Settings
from support.emulator import Emulator, EmulatorError

FOLDER = Path(ecs_emulator.__file__).parent


def build(document: dict[str, Any], **settings: Any) -> seeds.Built:
    return seeds.build(document, settings, Settings(), time.monotonic)


def with_interface(seed: dict[str, Any], **fields: Any) -> dict[str, Any]:
    seed = {**seed, "security_groups": [*seed["security_groups"], {"id": "sg-far", "vpc_id": "vpc-far"}]}
    return {**seed, "interfaces": [*seed["interfaces"], {"id": "eni-new", "vswitch_id": "vsw-a", **fields}]}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"id": "ENI 1"}, "interfaces[10].id: 'ENI 1' does not look like eni-[a-z0-9]+"),
        ({"id": "eni-primary"}, "interfaces[10].id: eni-primary is there twice"),
        ({"type": "Tertiary"}, "interfaces[10].type: 'Tertiary' is not one of Primary, Secondary, Trunk, Member"),
        ({"type": "Primary"}, "interfaces[10].instance_id: a primary interface has an instance"),
        ({"type": "Primary", "instance_id": "i-running"}, "interfaces[10].instance_id: 'i-running' has a primary interface already"),
        ({"instance_id": "i-nowhere"}, "interfaces[10].instance_id: 'i-nowhere' is not in instances"),
        ({"status": "Idle"}, "interfaces[10].status: 'Idle' is not one of"),
        ({"status": "InUse"}, "interfaces[10].status: an InUse interface has an instance"),
        ({"status": "Available", "instance_id": "i-running"}, "interfaces[10].status: an Available interface has no instance"),
        ({"vswitch_id": "vsw-nowhere"}, "interfaces[10].vswitch_id: 'vsw-nowhere' is not in vswitches"),
        ({"security_group_ids": ["sg-nowhere"]}, "interfaces[10].security_group_ids: 'sg-nowhere' is not in security_groups"),
        ({"private_ip_addresses": "10.0.0.9"}, "interfaces[10].private_ip_addresses: must be a list of texts, not '10.0.0.9'"),
        ({"private_ip_addresses": ["10.0.0.999"]}, "interfaces[10]: '10.0.0.999' is not an address"),
        ({"private_ip_addresses": ["10.1.0.1"]}, "interfaces[10]: 10.1.0.1 is not in vsw-a"),
        ({"private_ip_addresses": ["10.0.0.11"]}, "interfaces[10]: 10.0.0.11 is held by eni-primary already"),
        ({"private_ip_addresses": ["10.0.0.200"]}, "interfaces[10]: 10.0.0.200 is held by hidden already"),
        ({"private_ip_addresses": ["10.0.0.9", "10.0.0.9"]}, "interfaces[10]: 10.0.0.9 is held by eni-new already"),
        ({"ipv4_prefixes": ["10.0.0.64/28"]}, "interfaces[10]: 10.0.0.64/28 is in use already"),
        (
            {"private_ip_addresses": ["10.0.0.0"]},
            "interfaces[10]: 10.0.0.0 is reserved by the system in vsw-a; these are the first address and the last 3",
        ),
        ({"private_ip_addresses": ["10.0.0.253"]}, "interfaces[10]: 10.0.0.253 is reserved by the system in vsw-a"),
        ({"primary_address": "10.0.0.255"}, "interfaces[10]: 10.0.0.255 is reserved by the system in vsw-a"),
        (
            {"ipv6_addresses": ["fd00::"]},
            "interfaces[10]: fd00:: is reserved by the system in vsw-a; these are the first address and the last 9",
        ),
        ({"ipv6_addresses": ["fd00::ffff:ffff:ffff:fff7"]}, "interfaces[10]: fd00::ffff:ffff:ffff:fff7 is reserved by the system"),
        ({"primary_ipv6_address": "fd00::ffff:ffff:ffff:ffff"}, "interfaces[10]: fd00::ffff:ffff:ffff:ffff is reserved by the system"),
        ({"ipv4_prefixes": ["10.0.0.0/28"]}, "interfaces[10]: 10.0.0.0/28 contains an address that is reserved by the system"),
        ({"ipv4_prefixes": ["10.0.0.240/28"]}, "interfaces[10]: 10.0.0.240/28 contains an address that is reserved by the system"),
        ({"ipv6_prefixes": ["fd00::/80"]}, "interfaces[10]: fd00::/80 contains an address that is reserved by the system"),
        (
            {"ipv6_prefixes": ["fd00:0:0:0:ffff::/80"]},
            "interfaces[10]: fd00::ffff:0:0:0/80 contains an address that is reserved by the system",
        ),
        ({"security_group_ids": ["sg-far"]}, "interfaces[10].security_group_ids: sg-far is in vpc-far, but vsw-a is in vpc-a"),
        ({"ipv4_prefixes": ["10.0.0.160/27"]}, "interfaces[10]: 10.0.0.160/27 is not a /28 of vsw-a"),
        ({"ipv4_prefixes": ["10.0.0.161/28"]}, "interfaces[10]: 10.0.0.161/28 has host bits set"),
        (
            {"ipv4_prefixes": ["10.0.0.160/28"], "private_ip_addresses": ["10.0.0.161"]},
            "interfaces[10]: 10.0.0.160/28 holds an address of eni-new",
        ),
        ({"ipv6_addresses": ["10.0.0.9"]}, "interfaces[10]: '10.0.0.9' is not an IPv6 address"),
        ({"eips": {"10.0.0.9": "203.0.113.9"}}, "interfaces[10].eips: 10.0.0.9 is not an address of eni-new"),
        ({"tags": {"a": 1}}, "interfaces[10].tags: must hold texts only"),
        ({"service_managed": "no"}, "interfaces[10].service_managed: must be true or false, not 'no'"),
        ({"becomes": {"status": "Available"}}, "interfaces[10].becomes.after_ms: is missing"),
        ({"colour": "red"}, "interfaces[10].colour: is not known"),
    ],
)
def test_wrong_interfaces(seed: dict[str, Any], fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(SeedError) as caught:
        build(with_interface(seed, **fields))
    assert any(text.startswith(problem) for text in caught.value.problems), caught.value.problems


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"interfaces": {}, "colour": 1}, "colour: is not known"),
        ({"interfaces": "none"}, "interfaces: must be a list, not 'none'"),
        ({"interfaces": ["eni-1"]}, "interfaces[0]: must be a mapping, not 'eni-1'"),
        ({"vswitches": [{"id": "vsw-a", "vpc_id": "vpc-a", "cidr": "10.0.0.1/24"}]}, "vswitches[0].cidr: 10.0.0.1/24 has host bits set"),
        ({"vswitches": [{"id": "vsw-a", "vpc_id": "vpc-a"}]}, "vswitches[0].cidr: is missing"),
        ({"vswitches": [{"id": "vsw-a", "vpc_id": "vpc-a", "cidr": "10.0.0.0/24"}] * 2}, "vswitches[1].id: vsw-a is there twice"),
        ({"vswitches": [{"id": "vsw-a", "vpc_id": "vpc-a", "cidr": "10.0.0.0/24", "held": ["x"]}]}, "vswitches[0].held: 'x' is not an"),
        (
            {"vswitches": [{"id": "vsw-a", "vpc_id": "vpc-a", "cidr": "10.0.0.0/24", "held": ["10.0.0.254"]}]},
            "vswitches[0].held: 10.0.0.254 is reserved by the system in vsw-a",
        ),
        (
            {"security_groups": [{"id": "sg-a", "vpc_id": "vpc-a"}, {"id": "sg-a", "vpc_id": "vpc-b"}]},
            "security_groups[1].id: sg-a is there",
        ),
        ({"vswitches": [{"id": "vsw-a", "vpc_id": "vpc-a", "cidr": "10.0.0.0/24", "region": "mars-1"}]}, "vswitches[0].region: 'mars-1'"),
        ({"instances": [{"id": "i-alone"}]}, "instances: i-alone has no primary interface"),
        ({"instances": [{"id": "i-a", "instance_type": "ecs.none"}]}, "instances[0].instance_type: 'ecs.none' is not in instance_types"),
        ({"instance_types": [{"name": "ecs.x"}]}, "instance_types[0].private_ip_addresses: is missing"),
        ({"credentials": [{"access_key_id": "a"}]}, "credentials[0].access_key_secret: is missing"),
        ({"settings": {"latency_ms": "long"}}, "settings: latency_ms must be a number from 0, not 'long'"),
        ({"settings": {"switches": {"batch": "maybe"}}}, "settings: switch batch can't be 'maybe'"),
        (
            {
                "vswitches": [{"id": "vsw-a", "vpc_id": "vpc-a", "cidr": "10.0.0.0/28"}],
                "generate": [{"prefix": "x", "count": 20, "vswitch_id": "vsw-a"}],
            },
            "generate[0].vswitch_id: 10.0.0.0/28 has no room for 20 addresses",
        ),
    ],
)
def test_wrong_documents(document: dict[str, Any], problem: str) -> None:
    with pytest.raises(SeedError) as caught:
        build(document)
    assert any(text.startswith(problem) for text in caught.value.problems), caught.value.problems


def test_all_errors_are_reported_at_once(seed: dict[str, Any]) -> None:
    wrong = with_interface(seed, vswitch_id="vsw-nowhere", status="Idle", colour="red")
    with pytest.raises(SeedError) as caught:
        build({**wrong, "shape": "round"}, lag_ms=-1)
    text = str(caught.value)
    for expected in ("vsw-nowhere", "Idle", "colour", "shape", "lag_ms"):
        assert expected in text


def test_a_seed_is_left_as_it_was(seed: dict[str, Any]) -> None:
    before = copy.deepcopy(seed)
    build(seed)
    assert seed == before


def test_settings_on_the_command_line_win_over_those_of_the_seed() -> None:
    document = {"settings": {"latency_ms": 5, "lag_ms": 7, "switches": {"batch": "partial", "eip": "refuse"}}}
    settings = build(document, lag_ms=9, switches={"batch": "lenient"}).settings
    assert (settings.latency_ms, settings.lag_ms) == (5, (9, 9))
    assert (settings.switches["batch"], settings.switches["eip"]) == ("lenient", "refuse")


def test_without_credentials_the_usual_ones_hold() -> None:
    assert set(build({}).credentials) == {"emulator-key-id", "STS.emulator-key-id", "emulator-limited-key-id"}
    assert build({}).credentials == build(seeds.read(seeds.SAMPLE)).credentials


@dataclass
class Ended:
    code: int
    output: str
    errors: str


Run = Callable[..., Ended]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line, in the process of the test."""

    def run(*options: str) -> Ended:
        try:
            code = command_line.main(options)
        except SystemExit as ended:
            code = int(str(ended.code))
        return Ended(code, *capsys.readouterr())

    return run


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "example.com"])  # noqa: S104 (refused)
def test_only_loopback_is_listened_on(run: Run, host: str) -> None:
    ended = run("--host", host)
    assert ended.code == 2
    assert "is not a loopback address" in ended.errors


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--seed", "nowhere.yml"], "nowhere.yml: No such file or directory"),
        (["--switch", "batch=maybe"], "switch batch can't be 'maybe'"),
        (["--switch", "batch"], "--switch batch: NAME=CHOICE is needed"),
        (["--calls-per-minute", "many"], "--calls-per-minute many: a whole number is needed"),
        (["--latency-ms", "-5"], "latency_ms must be a number from 0"),
        (["--window-seconds", "nan"], "window_seconds must be a number above 0, not nan"),
    ],
)
def test_wrong_options(run: Run, options: list[str], text: str) -> None:
    ended = run(*options)
    assert ended.code == 2
    assert text in ended.errors


PORT, LAG = (
    "a whole number from 0 to 65535 is needed",
    "milliseconds are needed, as one number (200) or as the least and the most (100-300)",
)


@pytest.mark.parametrize(
    ("option", "text", "problem"),
    [
        ("--port", "99999", f"'99999' is not a port; {PORT}"),
        ("--port", "65536", f"'65536' is not a port; {PORT}"),
        ("--port", "-1", f"'-1' is not a port; {PORT}"),
        ("--port", "http", f"'http' is not a port; {PORT}"),
        ("--port", "", f"'' is not a port; {PORT}"),
        ("--lag-ms", "x", f"'x' is not a lag; {LAG}"),
        ("--lag-ms", "", f"'' is not a lag; {LAG}"),
        ("--lag-ms", "-5", f"'-5' is not a lag; {LAG}"),
        ("--lag-ms", "5-", f"'5-' is not a lag; {LAG}"),
        ("--lag-ms", "1-2-3", f"'1-2-3' is not a lag; {LAG}"),
        ("--lag-ms", "300-100", f"'300-100' is not a lag; {LAG}"),
        ("--lag-ms", "nan", f"'nan' is not a lag; {LAG}"),
    ],
)
def test_a_wrong_number_is_reported_in_one_line(run: Run, option: str, text: str, problem: str) -> None:
    ended = run(f"{option}={text}")
    assert (ended.code, ended.output) == (2, "")
    assert ended.errors == f"ecs_emulator: argument {option}: {problem} (--help lists the options)\n"


@pytest.mark.parametrize("content", [b"- a list", b"{not: [closed", b"region: \xff"])
def test_wrong_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "seed.yml"
    path.write_bytes(content)
    with pytest.raises(EmulatorError, match=r"seed\.yml (must hold a mapping|is not YAML|is not UTF-8)"):
        Emulator(seed=path).start()


def test_the_options_reach_the_endpoint_and_a_used_port_is_reported() -> None:
    options = ("--latency-ms", "1", "--lag-ms", "5-10", "--calls-per-minute", "100", "--calls-per-minute", "DescribeRegions=7")
    with Emulator(*options, "--window-seconds", "5", "--random-seed", "4", "--switch", "batch=partial") as emulator:
        settings = emulator.settings()["settings"]
        assert emulator.environment()["ALIBABA_CLOUD_ECS_ENDPOINT"] == emulator.endpoint
        with pytest.raises(EmulatorError, match="Can't listen"):
            Emulator(port=int(emulator.endpoint.rpartition(":")[2])).start()
    assert (settings["latency_ms"], settings["lag_ms"], settings["window_seconds"], settings["random_seed"]) == (1, [5, 10], 5, 4)
    assert settings["calls_per_minute"] == {"default": 100, "DescribeRegions": 7}
    assert settings["switches"]["batch"] == "partial"


def test_the_endpoint_does_not_outlive_what_started_it() -> None:
    """The end of a process also closes the standard input of its endpoint."""
    script = (
        f"import os, sys; sys.path.insert(0, {str(FOLDER.parent)!r}); from support.emulator import Emulator; "
        "print(Emulator().start().pid, flush=True); os._exit(1)"
    )
    started = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)
    pid = int(started.stdout)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the endpoint is still there")


def test_the_program_is_the_command_line() -> None:
    def program(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, str(FOLDER), *options], capture_output=True, text=True, timeout=60, check=False)

    assert "batch: atomic|partial|lenient" in program("--list-switches").stdout
    refused = program("--switch", "batch=maybe")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "switch batch can't be 'maybe'" in refused.stderr
    assert "Traceback" not in refused.stderr
