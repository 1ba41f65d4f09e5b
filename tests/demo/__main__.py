# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make demo`: the main job against the local ECS endpoint, each step as the command line that a user would type.
`make emulator` (``--emulator-only``): the endpoint alone, until Ctrl-C, with what to set to try things by hand.

The expected outcome of each step is checked: the demo fails when the collection does not do what it shows.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from support.emulator import Emulator  # noqa: E402 - needs the path above

MODULE = "alicloud_ops.network.eni_secondary_ip"
PLAYBOOK = "tests/demo/playbook.yml"


@dataclass(frozen=True)
class Step:
    """One command of the demo, what is said before it, and what must be in its output."""

    title: str
    command: str
    expected: str
    succeeds: bool = True


def ad_hoc(arguments: str, options: str = "") -> str:
    return f"ansible localhost -m {MODULE} -a '{arguments}'" + (f" {options}" if options else "")


STEPS = (
    Step(
        "Look: which secondary addresses does this ENI have?",
        f"ansible localhost -m {MODULE}_info -a 'eni_ids=eni-web1001'",
        "192.168.0.105",
    ),
    Step(
        "Ask first: check mode tells exactly what would be unassigned. Nothing is changed",
        ad_hoc("state=absent eni_id=eni-web1001 private_ip_addresses=192.168.0.101,192.168.0.102", "--check --diff"),
        '"unassigned": 2',
    ),
    Step(
        "Do it. What is reported was read back from the service",
        ad_hoc("state=absent eni_id=eni-web1001 private_ip_addresses=192.168.0.101,192.168.0.102"),
        '"unassigned": 2',
    ),
    Step(
        "Do it again: nothing is left to do",
        ad_hoc("state=absent eni_id=eni-web1001 private_ip_addresses=192.168.0.101,192.168.0.102"),
        '"absent": 2',
    ),
    Step(
        "By instance: its primary ENI is meant, as on the Instances page of the console",
        ad_hoc("state=absent instance_id=i-web0001 private_ip_addresses=192.168.0.11"),
        '"changed": true',
    ),
    Step(
        "A mistake: the primary address is never unassigned",
        ad_hoc("state=absent eni_id=eni-web1001 private_ip_addresses=192.168.0.100"),
        "is the primary address of eni-web1001",
        succeeds=False,
    ),
    Step(
        "The same from a playbook: first as a rehearsal",
        f"ansible-playbook {PLAYBOOK} --check --diff",
        "changed=1",
    ),
    Step(
        "And for real: it unassigns, proves it, and gives the addresses back",
        f"ansible-playbook {PLAYBOOK}",
        "failed=0",
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emulator-only", action="store_true", help="only start the endpoint and print what to set")
    arguments = parser.parse_args()
    with Emulator() as emulator:
        if arguments.emulator_only:
            return offer(emulator)
        print(f"A local ECS endpoint is listening on {emulator.endpoint}; it is stopped at the end.", flush=True)
        environment = {
            **os.environ,
            **emulator.environment(),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        }
        for number, step in enumerate(STEPS, 1):
            if not show(number, step, environment):
                return 1
    print("\nThat was all of it. Next: `make emulator`, and try it yourself.")
    return 0


def show(number: int, step: Step, environment: dict[str, str]) -> bool:
    """Run one step and tell whether it came out as it should."""
    print(f"\n\033[1m{number}. {step.title}\033[0m\n$ {step.command}", flush=True)
    done = subprocess.run(
        shlex.split(step.command),
        cwd=TESTS.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(done.stdout.rstrip(), flush=True)
    if (done.returncode == 0) == step.succeeds and step.expected in done.stdout:
        return True
    print(f"\nThis step should have {'succeeded' if step.succeeds else 'been refused'} and shown {step.expected!r}.", file=sys.stderr)
    return False


def offer(emulator: Emulator) -> int:
    """Keep the endpoint running until it is interrupted."""
    print(f"A local ECS endpoint is listening on {emulator.endpoint}; Ctrl-C stops it. In another terminal:\n")
    shown = {
        **emulator.environment(),
        "ANSIBLE_COLLECTIONS_PATH": os.environ.get("ANSIBLE_COLLECTIONS_PATH", ""),
        "PATH": f"{Path(sys.executable).parent}:$PATH",
    }
    for name, value in shown.items():
        print(f'export {name}="{value}"')
    print(f"\n{ad_hoc('state=absent eni_id=eni-web1001 private_ip_addresses=192.168.0.101', '--check --diff')}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
