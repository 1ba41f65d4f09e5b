# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules as users run them: ad hoc and from a playbook, by the real command lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from support.emulator import Emulator

ROOT = Path(__file__).resolve().parents[2]
MODULE = "alicloud_ops.network.eni_secondary_ip"


class CommandLine:
    def __init__(self, emulator: Emulator, home: Path) -> None:
        self.emulator = emulator
        self.home = home

    def __call__(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
            **self.emulator.environment(),
        }
        return subprocess.run([command, *arguments], cwd=self.home, env=environment, capture_output=True, text=True, check=False)

    def ad_hoc(self, arguments: str, *options: str, module: str = MODULE) -> tuple[int, str, dict[str, Any]]:
        """Exit code, the text before the result, and the result."""
        done = self("ansible", "localhost", "-m", module, "-a", arguments, *options)
        before, _arrow, result = done.stdout.partition(" => ")
        return done.returncode, before, json.loads(result)

    def play(self, playbook: str, *options: str) -> subprocess.CompletedProcess[str]:
        path = self.home / "playbook.yml"
        path.write_text(playbook, encoding="utf-8")
        return self("ansible-playbook", str(path), *options)


@pytest.fixture
def command_line(emulator: Emulator, tmp_path: Path) -> CommandLine:
    return CommandLine(emulator, tmp_path)


def test_ad_hoc_first_in_check_mode_and_then_for_real(command_line: CommandLine) -> None:
    arguments = "state=absent eni_id=eni-web1001 private_ip_addresses=192.168.0.101,192.168.0.102"
    code, shown, predicted = command_line.ad_hoc(arguments, "--check", "--diff")

    assert code == 0
    assert "-eni-web1001 192.168.0.101\n-eni-web1001 192.168.0.102\n eni-web1001 192.168.0.103\n" in shown
    assert command_line.emulator.calls("UnassignPrivateIpAddresses") == []

    code, _shown, result = command_line.ad_hoc(arguments)
    assert code == 0
    assert result["unassigned"] == predicted["unassigned"]
    assert command_line.emulator.state()["interfaces"]["eni-web1001"]["private_ip_addresses"] == [
        "192.168.0.103",
        "192.168.0.104",
        "192.168.0.105",
    ]


def test_module_defaults_of_the_action_group_set_region_and_credentials_once(command_line: CommandLine) -> None:
    playbook = """
- hosts: localhost
  gather_facts: false
  module_defaults:
    group/alicloud_ops.network.alicloud:
      region: cn-beijing
  tasks:
    - alicloud_ops.network.eni_secondary_ip_info:
        whole_region: true
      register: listed
    - ansible.builtin.assert:
        that: listed.interfaces == []
    - alicloud_ops.network.eni_secondary_ip:
        state: absent
        eni_id: eni-web1001
        all_secondary: true
        missing: ignore
      register: cleaned
    - ansible.builtin.assert:
        that: cleaned.missing == ['eni-web1001'] and not cleaned.changed
"""
    done = command_line.play(playbook)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {call["parameters"]["RegionId"] for call in command_line.emulator.calls()} == {"cn-beijing"}


def test_the_change_module_unassigns_and_restores_what_info_finds(command_line: CommandLine) -> None:
    before = command_line.emulator.state()["interfaces"]
    playbook = """
- hosts: localhost
  gather_facts: false
  tasks:
    - alicloud_ops.network.eni_secondary_ip_info:
        security_group_ids: [sg-web]
        within: [192.168.0.0/25]
        excluding: [192.168.0.103]
        status: InUse
      register: found
    - alicloud_ops.network.eni_secondary_ip:
        state: absent
        assignments: "{{ found.assignments }}"
        on_refusal: skip
        wait_timeout: 1
      register: taken
    - alicloud_ops.network.eni_secondary_ip:
        state: present
        assignments: "{{ taken.unassigned }}"
        wait_timeout: 5
      register: given
    - ansible.builtin.assert:
        that:
          - taken.summary.unassigned > 5
          - given.assigned == taken.unassigned
"""
    done = command_line.play(playbook)
    assert done.returncode == 0, done.stdout + done.stderr
    after = command_line.emulator.state()["interfaces"]
    assert {eni: sorted(after[eni]["private_ip_addresses"]) for eni in after} == {
        eni: sorted(before[eni]["private_ip_addresses"]) for eni in before
    }


def test_without_the_sdk_the_error_names_the_python_and_the_package(command_line: CommandLine, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    venv.create(bare, with_pip=False)
    python = bare / "bin" / "python"
    code, _shown, result = command_line.ad_hoc(
        "state=absent eni_id=eni-web1001 all_secondary=true", "-e", f"ansible_python_interpreter={python}"
    )

    assert code != 0
    assert "alibabacloud-ecs20140526" in result["msg"]
    assert str(python) in result["msg"]
