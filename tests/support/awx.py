# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs of the AWX kit as AWX runs them: by ansible-runner, in a private data dir of its layout, with the inventory as a script, the
answers of a survey and the variables of AWX as extra variables, the credential in the environment, and ``-u root``."""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner
import yaml

from support.bulk import Bulk
from support.emulator import Emulator
from support.playbook import ROOT, ansible_environment

PATTERN = ROOT / "extensions" / "patterns" / "bulk_secondary_ips"
SHOWN_BYTES = 1024  # of an event
API = ("localhost",)


class Loader(yaml.SafeLoader):
    """YAML as Ansible reads it, with text that is never a template."""


def _as_text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
    return loader.construct_scalar(node)


Loader.add_constructor("!unsafe", _as_text)


def load(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader)  # noqa: S506 - a SafeLoader with one more tag


def survey(name: str) -> dict[str, Any]:
    found: dict[str, Any] = load(PATTERN / "template_surveys" / f"{name}.yml")
    return found


def answers(name: str, **given: Any) -> dict[str, Any]:
    """The answers of a launch to a survey. Questions with a default always have an answer. ``given``: without the prefix of the role."""
    prefix = f"{name.partition('_')[0]}_secondary_ips_"
    defaults = {question["variable"]: question["default"] for question in survey(name)["spec"] if "default" in question}
    return {**defaults, **{prefix + key: value for key, value in given.items()}}


def slice_of(hosts: Sequence[str], number: int, of: int) -> list[str]:
    """The hosts that AWX gives to slice ``number``, from 1."""
    return sorted(hosts)[number - 1 :: of]


@dataclass
class Job:
    """``output`` is the text of Download Output, and ``shown`` the part that AWX lists."""

    status: str = ""
    artifacts: dict[str, Any] = field(default_factory=dict)
    output: str = ""
    shown: list[str] = field(default_factory=list)
    seconds: float = 0

    def lines(self, beginning: str) -> list[str]:
        plain = re.sub(r"\x1b\[[0-9;]*m", "", self.output)
        return [line for line in plain.splitlines() if line.startswith(beginning)]


class Awx:
    """``launch("unassign", {...})`` runs a playbook of the kit to its end."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator = emulator
        self.folder = folder
        self.environment: dict[str, str] = {}
        # With the pace that the roles have by default, jobs would mostly wait. None is that pace.
        self.calls_per_minute: int | None = 0
        self._numbers = itertools.count(1)

    def prepare(self, playbook: str, given: Mapping[str, Any], hosts: Sequence[str] = API) -> Path:
        number = next(self._numbers)
        job = self.folder / f"job{number}"
        groups = {"all": {"hosts": list(hosts)}, "_meta": {"hostvars": {host: {"remote_tower_enabled": "true"} for host in hosts}}}
        environment = {
            # The files of a job are lost with its container.
            **ansible_environment(self.emulator, job / "home"),
            # An empty field of a credential of the kit becomes an empty variable.
            "ALIBABA_CLOUD_SECURITY_TOKEN": "",
            "ALIBABA_CLOUD_ROLE_ARN": "",
            "ALIBABA_CLOUD_ACCOUNT_ID": "",
            "ANSIBLE_UNSAFE_WRITES": "1",
            "JOB_ID": str(number),
            **self.environment,
        }
        files = {
            f"project/playbooks/{playbook}.yml": (PATTERN / "playbooks" / f"{playbook}.yml").read_text(encoding="utf-8"),
            "inventory/hosts": f"#!/usr/bin/env python3\nprint('''{json.dumps(groups)}''')\n",
            "env/extravars": json.dumps({**self.pace(playbook), **given, "awx_job_id": number, "tower_job_id": number}),
            "env/envvars": json.dumps(environment),
        }
        for name, text in files.items():
            path = job / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        (job / "home").mkdir()
        (job / "inventory" / "hosts").chmod(0o700)
        return job

    def pace(self, playbook: str) -> dict[str, int]:
        operation = playbook.partition("_")[0]
        return {} if self.calls_per_minute is None else {f"{operation}_secondary_ips_calls_per_minute": self.calls_per_minute}

    def launch(
        self,
        playbook: str,
        given: Mapping[str, Any],
        *,
        check: bool = False,
        hosts: Sequence[str] = API,
        at: Callable[[str, int], str] = lambda text, pid: "",
    ) -> Job:
        """Calls ``at`` with the text of each event and the process of ansible-playbook. If it returns "cancel", the job is
        cancelled as AWX does it."""
        folder = self.prepare(playbook, given, hosts)
        canceled = threading.Event()
        started = time.monotonic()

        def handle(event: dict[str, Any]) -> bool:
            if at(event.get("stdout") or "", event.get("pid") or 0) == "cancel":
                canceled.set()
            return True

        runner = ansible_runner.run(
            private_data_dir=str(folder),
            playbook=f"playbooks/{playbook}.yml",
            cmdline="-u root" + (" --check" if check else ""),
            quiet=True,
            event_handler=handle,
            cancel_callback=canceled.is_set,
        )
        events = list(runner.events)
        found = [event["event_data"].get("artifact_data") for event in events if event["event"] == "playbook_on_stats"]
        return Job(
            runner.status,
            (found[-1] if found else None) or {},
            "\n".join(event.get("stdout") or "" for event in events),
            [(event.get("stdout") or "").encode()[:SHOWN_BYTES].decode(errors="ignore") for event in events],
            time.monotonic() - started,
        )

    def slices(self, given: Mapping[str, Any], hosts: Sequence[str], count: int) -> list[Job]:
        """All slices of a job template at the same time."""
        jobs: list[Job] = [Job()] * count

        def run(number: int) -> None:
            jobs[number] = self.launch("unassign_slice", given, hosts=slice_of(hosts, number + 1, count))

        threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return jobs

    def approved(self, chosen: Mapping[str, Any], *, by_job: bool = False) -> dict[str, Any]:
        """The variables of the jobs behind the approval. The plan is made in this process, or ``by_job`` as AWX makes it."""
        if by_job:
            planned = self.launch("unassign", chosen, check=True)
            assert planned.status == "successful", planned.output
            artifacts = planned.artifacts
        else:
            prefix = "unassign_secondary_ips_"
            given = {name.removeprefix(prefix): value for name, value in {**self.pace("unassign"), **chosen}.items()}
            made = Bulk(self.emulator, self.folder / "plan").run("unassign", check=True, in_awx=True, **given)
            assert not made.get("failed"), made["msg"]
            artifacts = json.loads(json.dumps(made["published"]))
        return {**chosen, **artifacts, "unassign_secondary_ips_require_approval": True}


def together(jobs: Sequence[Job]) -> dict[str, Any]:
    """The artifacts that AWX passes to the next job, with one value per name."""
    return {name: value for job in jobs for name, value in job.artifacts.items()}
