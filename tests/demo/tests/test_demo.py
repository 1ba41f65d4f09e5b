# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first things that a newcomer sees: the sample of the local endpoint, and the tables that `make emulator` prints."""

from __future__ import annotations

import yaml
from demo.__main__ import printed_command
from demo.listing import describe
from support.emulator import FOLDER, Emulator

SAMPLE = yaml.safe_load((FOLDER / "seeds" / "sample.yml").read_text(encoding="utf-8"))
IN_TRANSITION = ("Pending", "Starting", "Stopping", "Attaching", "Detaching")


def test_each_transitional_state_of_the_sample_ends_long_before_a_run_stops_waiting() -> None:
    in_transition = [row for row in SAMPLE["instances"] + SAMPLE["interfaces"] if row.get("status") in IN_TRANSITION]

    assert in_transition
    assert all(row["becomes"]["after_ms"] <= 10_000 for row in in_transition)


def test_the_tables_list_all_that_exists(emulator: Emulator) -> None:
    text = "\n".join(describe(emulator.state()))

    for kind in ("security_groups", "instances", "interfaces"):
        assert [row["id"] for row in SAMPLE[kind] if row["id"] not in text] == []
    assert "192.168.0.101, 192.168.0.102, 192.168.0.103 and 2 more" in text
    assert "EIP 203.0.113.11 on 192.168.0.111" in text
    assert "tag creator=terway" in text
    assert "managed by a cloud service" in text


def test_a_printed_command_is_found_also_if_it_was_folded() -> None:
    output = "plan: x\nTo undo it: ansible-playbook restore -e a=1 \\\n    -e b=2\nchanged: [localhost]\n"

    assert printed_command("next: To undo it", output) == "ansible-playbook restore -e a=1 -e b=2"
    assert printed_command("ansible --version", output) == "ansible --version"
