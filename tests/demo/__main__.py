# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make demo`: the main job against the local ECS endpoint, each step as the command line that a user would type.
`make emulator` (``--emulator-only``): the endpoint alone, until Ctrl-C, with what exists in it and how to use it.

The demo checks the outcome of each step, and fails if the collection does not do what it shows.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from support.emulator import Emulator  # noqa: E402 - needs the path above

from demo.listing import describe  # noqa: E402 - likewise

MODULE = "alicloud_ops.network.eni_secondary_ip"
PLAYBOOK = "tests/demo/playbook.yml"
# Where the bulk run keeps plan, recipe and report. Git ignores it, and it is still there after the demo.
FILES = TESTS.parent / "build" / "demo"


@dataclass(frozen=True)
class Step:
    """One command of the demo, the text before it, and what must be in its output.

    ``command`` may be ``next: <title>``: then it is the command that an earlier step printed under this title.
    """

    title: str
    command: str
    expected: str
    succeeds: bool = True


def ad_hoc(arguments: str, options: str = "") -> str:
    return f"ansible localhost -m {MODULE} -a '{arguments}'" + (f" {options}" if options else "")


def bulk(playbook: str, options: str = "", **variables: str) -> str:
    extra = " ".join(f"-e {playbook}_secondary_ips_{name}={value}" for name, value in variables.items())
    return " ".join(filter(None, (f"ansible-playbook alicloud_ops.network.{playbook}", options, extra)))


STEPS = (
    Step(
        "Look: which secondary addresses does this ENI have?",
        f"ansible localhost -m {MODULE}_info -a 'eni_ids=eni-web1001'",
        "192.168.0.105",
    ),
    Step(
        "Check first: check mode shows exactly what would be unassigned, and changes nothing",
        ad_hoc("state=absent eni_id=eni-web1001 private_ip_addresses=192.168.0.101,192.168.0.102", "--check --diff"),
        '"unassigned": 2',
    ),
    Step(
        "Unassign them. The module reads the ENI again before it reports success",
        ad_hoc("state=absent eni_id=eni-web1001 private_ip_addresses=192.168.0.101,192.168.0.102"),
        '"unassigned": 2',
    ),
    Step(
        "The same again: nothing is left to do",
        ad_hoc("state=absent eni_id=eni-web1001 private_ip_addresses=192.168.0.101,192.168.0.102"),
        '"already_absent": 2',
    ),
    Step(
        "By instance: the module uses its primary ENI, as the Instances page of the console does",
        ad_hoc("state=absent instance_id=i-web0001 private_ip_addresses=192.168.0.11"),
        '"changed": true',
    ),
    Step(
        "An error: a primary address is never unassigned",
        ad_hoc("state=absent eni_id=eni-web1001 private_ip_addresses=192.168.0.100"),
        "is the primary address of eni-web1001",
        succeeds=False,
    ),
    Step(
        "From a playbook: check mode first",
        f"ansible-playbook {PLAYBOOK} --check --diff",
        "changed=1",
    ),
    Step(
        "The playbook unassigns addresses, verifies that, and assigns them back",
        f"ansible-playbook {PLAYBOOK}",
        "failed=0",
    ),
    Step(
        "By security group: make the plan. Nothing is changed, and the plan gets a digest",
        bulk("unassign", "--check", security_group_names="web", keep="192.168.0.103", wave_size="5", report_dir=str(FILES)),
        "planned: ",
    ),
    Step(
        "Whoever approves the plan approves its digest. The plan printed this command: it carries out exactly that plan, in waves",
        "next: To carry out exactly this plan",
        "done: ",
    ),
    Step(
        "Undo it. The run printed this command: the restore recipe names what was unassigned",
        "next: To undo it",
        "done: ",
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--emulator-only", action="store_true", help="only start the endpoint, and print what exists and how to use it")
    arguments = parser.parse_args()
    with Emulator() as emulator:
        if arguments.emulator_only:
            return offer(emulator)
        print(f"A local ECS endpoint is listening on {emulator.endpoint}; it is stopped at the end.", flush=True)
        shutil.rmtree(FILES, ignore_errors=True)
        environment = {
            **os.environ,
            **emulator.environment(),
            # Reports that no step names a folder for.
            "XDG_STATE_HOME": str(FILES),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        }
        output = ""
        for number, step in enumerate(STEPS, 1):
            shown = show(number, step, environment, output)
            if shown is None:
                return 1
            output += shown
    print("\nThat was all. The reports are pages without outside requests; open them in a browser:")
    for page in re.findall(r"^report, HTML: (.+)$", output, re.MULTILINE):
        print(f"  {Path(page).as_uri()}")
    print("Next: `make emulator`, and try it yourself.")
    return 0


def show(number: int, step: Step, environment: dict[str, str], earlier: str) -> str | None:
    """Run one step. Returns its output, or None if it is not as expected."""
    command = printed_command(step.command, earlier)
    print(f"\n\033[1m{number}. {step.title}\033[0m\n$ {command}", flush=True)
    done = subprocess.run(
        shlex.split(command),
        cwd=TESTS.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(done.stdout.rstrip(), flush=True)
    if (done.returncode == 0) == step.succeeds and step.expected in done.stdout:
        return done.stdout
    print(f"\nThis step should have {'succeeded' if step.succeeds else 'been refused'} and shown {step.expected!r}.", file=sys.stderr)
    return None


def printed_command(command: str, earlier: str) -> str:
    """The command itself, or the one that an earlier step printed. A long one is printed in several lines."""
    if not command.startswith("next: "):
        return command
    title = command.removeprefix("next: ")
    found = re.search(rf"^{re.escape(title)}: ((?:.*\\\n)*.*)$", earlier, re.MULTILINE)
    return re.sub(r" \\\n\s*", " ", found[1]) if found else f"echo No earlier step printed {shlex.quote(title)}"


def offer(emulator: Emulator) -> int:
    """Keep the endpoint running until it is interrupted."""
    print(f"A local ECS endpoint is listening on {emulator.endpoint}; Ctrl-C stops it.\n")
    print(*describe(emulator.state()), sep="\n")
    print("\nIn another terminal, first:\n")
    shown = {
        **emulator.environment(),
        "ANSIBLE_COLLECTIONS_PATH": os.environ.get("ANSIBLE_COLLECTIONS_PATH", ""),
        "PATH": f"{Path(sys.executable).parent}:$PATH",
    }
    for name, value in shown.items():
        print(f'export {name}="{value}"')
    tries = {
        "An ENI: see what would be unassigned. Without --check it is unassigned": ad_hoc(
            "state=absent eni_id=eni-web1001 private_ip_addresses=192.168.0.101", "--check --diff"
        ),
        "An instance: all secondary addresses of its primary ENI": ad_hoc(
            "state=absent instance_id=i-web0001 all_secondary=true", "--check --diff"
        ),
        "A security group: list, then plan. The plan prints the command that does it": bulk("audit", security_group_names="web,data")
        + "\n"
        + bulk("unassign", "--check", security_group_names="web"),
    }
    for title, command in tries.items():
        print(f"\n# {title}\n{command}")
    print(
        "\nTransitional states such as Detaching end within ten seconds. If you start the endpoint again, everything is as at the start.",
        flush=True,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
