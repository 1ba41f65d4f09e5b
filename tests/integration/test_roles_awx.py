# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What AWX needs: its set-up as data held to what its API accepts, and jobs run as it runs them, by ansible-runner with a
private data dir of its layout: inventory, extra variables of a survey, credentials in the environment, ``-u root``."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from support.bulk import changed_by, seed
from support.emulator import Emulator
from support.playbook import BIN, ROOT, ansible_environment, held

from ansible_collections.alicloud_ops.network.plugins.plugin_utils._documents import DocumentError, read_document
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._settings import variables_of

PATTERN = ROOT / "extensions" / "patterns" / "bulk_secondary_ips"
SURVEYS = sorted((PATTERN / "template_surveys").glob("*.yml"))
# By this line AWX takes a file for a playbook that a job template may name.
PLAYBOOK_LINE = re.compile(r"^\s*?-?\s*?(?:hosts|(ansible\.builtin\.)?include|(ansible\.builtin\.)?import_playbook):\s*?.*?$", re.M)
RESERVED = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "JOB_ID", "INVENTORY_ID", "PROJECT_REVISION", "AWX_HOST", "MAX_EVENT_RES", "CACHE")


class Loader(yaml.SafeLoader):
    """YAML as Ansible reads it: text that is never a template."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def load(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader)  # noqa: S506 - a SafeLoader with one more tag


def options(role: str) -> dict[str, Any]:
    return load(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]


@pytest.mark.parametrize("survey", [load(path) for path in SURVEYS], ids=[path.stem for path in SURVEYS])
def test_surveys_are_of_the_form_that_awx_accepts_and_ask_for_variables_that_exist(survey: dict[str, Any]) -> None:
    assert set(survey) == {"name", "description", "spec"}
    variables = [question["variable"] for question in survey["spec"]]
    assert len(set(variables)) == len(variables)
    for question in survey["spec"]:
        name = question["variable"]
        role = re.match(r"[a-z]+_secondary_ips", name)[0]
        option = options(role)[name]
        assert set(question) <= {
            "variable",
            "question_name",
            "question_description",
            "type",
            "required",
            "default",
            "min",
            "max",
            "choices",
        }
        assert isinstance(question["required"], bool)
        assert question["type"] in ("text", "textarea", "password", "multiplechoice", "multiselect", "integer", "float")
        if "default" in question:
            assert isinstance(question["default"], int if question["type"] == "integer" else str), name
            # An answer that is left as it is means what the role does by itself. An empty one would be an empty guard.
            assert question["default"] != "", name
            assert str(question["default"]).lower() == str(option["default"]).lower(), name
        if question["type"] == "multiplechoice":
            assert all(isinstance(choice, str) and choice for choice in question["choices"])
            assert question.get("default", question["choices"][0]) in question["choices"]
            assert sorted(question["choices"]) == sorted(variables_of(role)[name].choices or ("false", "true")), name
        assert all(isinstance(question.get(key, 0), int) for key in ("min", "max"))


def test_job_templates_name_playbooks_that_awx_lists() -> None:
    setup = load(PATTERN / "setup.yml")
    for template in setup["controller_templates"]:
        path = Path(template["playbook"])
        assert not {"roles", "tasks", "group_vars", "host_vars"}.intersection(path.parts)
        assert PLAYBOOK_LINE.search((ROOT / path).read_text(encoding="utf-8")), path
        survey = re.search(r"'/(\w+\.yml)'", template["survey_spec"])[1]
        assert PATTERN / "template_surveys" / survey in SURVEYS
        assert template["job_slice_count"] == 1
        writes = template["playbook"] == "playbooks/unassign.yml" and template["job_type"] == "run"
        assert template.get("extra_vars", {}) == ({"unassign_secondary_ips_require_approval": True} if writes else {})
    # A workflow's survey would win over the digest and the plan that its first job publishes.
    (workflow,) = setup["controller_workflows"]
    variables = {
        "bulk_secondary_ips_surveys": str(PATTERN / "template_surveys"),
        "__bulk_secondary_ips_survey": trust_as_template(setup["__bulk_secondary_ips_survey"]),
    }
    asked = Templar(loader=DataLoader(), variables=variables).template(trust_as_template(workflow["survey_spec"]))
    survey = load(PATTERN / "template_surveys" / "unassign.yml")
    published = {"unassign_secondary_ips_approved_digest", "unassign_secondary_ips_plan"}
    assert {question["variable"] for question in survey["spec"]} - {question["variable"] for question in asked["spec"]} == published
    assert set(asked) == set(survey)


def test_the_credential_type_is_of_the_form_that_awx_accepts() -> None:
    (kind,) = load(PATTERN / "setup.yml")["controller_credential_types"]
    fields = {field["id"] for field in kind["inputs"]["fields"]}
    assert kind["kind"] == "cloud"
    assert set(kind["inputs"]) == {"fields", "required"}
    assert fields.issuperset(kind["inputs"]["required"])
    for field in kind["inputs"]["fields"]:
        assert set(field) <= {"id", "label", "type", "format", "choices", "multiline", "secret", "ask_at_runtime", "help_text", "default"}
        assert re.fullmatch(r"[a-zA-Z_]+[a-zA-Z0-9_]*", field["id"])
    assert set(kind["injectors"]) == {"env"}
    for variable, template in kind["injectors"]["env"].items():
        assert not variable.startswith("ANSIBLE_")
        assert variable not in RESERVED
        assert re.fullmatch(r"\{\{ (\w+) \}\}", template)[1] in fields


def test_the_execution_environment_is_told_what_the_modules_need() -> None:
    folder = ROOT / "collections"
    shown = subprocess.run(
        [str(BIN / "ansible-builder"), "introspect", str(folder)], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    assert re.search(r"alibabacloud-ecs20140526\S*  # from collection alicloud_ops\.network", shown.stdout), shown.stdout


class Awx:
    """Jobs as AWX gives them to ansible-runner."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator = emulator
        self._folder = folder
        self._jobs = 0
        # Of each event of all jobs, as it comes: how many writes the service has had by then, and what AWX lists of it.
        self.live: list[tuple[int, str]] = []

    def _on_event(self, event: dict[str, Any]) -> bool:
        if event["stdout"]:
            assert len(event["stdout"].encode()) < 1024 or event["event"] != "verbose", event["stdout"]
            self.live.append((len(self.emulator.calls(writes=True)), plain_text(event["stdout"].encode()[:1024].decode(errors="ignore"))))
        return True

    def launch(self, playbook: str, answers: dict[str, Any], check: bool = False) -> tuple[str, dict[str, Any], str]:
        """Status, artifacts and output of the job; ``shown`` is what AWX lists of it, 1,024 bytes of each event."""
        self._jobs += 1
        job = self._folder / f"job{self._jobs}"
        files = {
            # The project is the collection's repository; the collection itself is in the execution environment.
            f"project/playbooks/{playbook}": (ROOT / "playbooks" / playbook).read_text(encoding="utf-8"),
            "inventory/hosts": "localhost ansible_connection=local\n",
            "env/extravars": json.dumps({**answers, "awx_job_id": self._jobs, "tower_job_id": self._jobs}),
            "env/envvars": json.dumps(
                {**ansible_environment(self.emulator), "ALIBABA_CLOUD_SECURITY_TOKEN": "", "ANSIBLE_UNSAFE_WRITES": "1"}
            ),
        }
        for name, text in files.items():
            path = job / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        runner = ansible_runner.run(
            private_data_dir=str(job),
            playbook=f"playbooks/{playbook}",
            cmdline="-u root" + (" --check" if check else ""),
            quiet=True,
            event_handler=self._on_event,
        )
        self.shown = [event["stdout"].encode()[:1024].decode(errors="ignore") for event in runner.events]
        artifacts = [event["event_data"].get("artifact_data") for event in runner.events if event["event"] == "playbook_on_stats"]
        return runner.status, artifacts[-1] or {}, Path(runner.stdout.name).read_text(encoding="utf-8")


def plain_text(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", shown)


def answers(survey: str, **given: Any) -> dict[str, Any]:
    """What a launch gives for a survey: a question with a default is always answered."""
    spec = load(PATTERN / "template_surveys" / f"{survey}.yml")["spec"]
    defaults = {question["variable"]: question["default"] for question in spec if "default" in question}
    return {**defaults, **{f"{survey}_secondary_ips_{name}": value for name, value in given.items()}}


def test_plan_approve_unassign_restore_as_awx_does(emulator: Emulator, tmp_path: Path) -> None:
    generated = {"count": 16, "private_ip_addresses": 3, "vswitch_id": "vsw-app"}
    emulator.reset(
        seed={
            "region": "cn-hangzhou",
            "account": "1000000000000001",
            "vswitches": [{"id": "vsw-app", "vpc_id": "vpc-main", "cidr": "10.10.0.0/16"}],
            "security_groups": [{"id": f"sg-{name}", "vpc_id": "vpc-main", "name": name} for name in ("web", "pods")],
            "generate": [{**generated, "prefix": name, "security_group_ids": [f"sg-{name}"]} for name in ("web", "pods")],
        }
    )
    awx = Awx(emulator, tmp_path)
    start = held(emulator)
    chosen = answers("unassign", security_group_names="pods\nweb\n", within="10.10.0.0/16, 192.168.0.96/27", wave_size=50)

    status, planned, _output = awx.launch("unassign.yml", chosen, check=True)
    assert status == "successful"
    assert planned["secondary_ips_unassign"]["totals"]["planned"] == 96
    assert emulator.calls(writes=True) == []

    # Behind the approval the artifacts of the plan are variables of the run, and win over the survey's defaults.
    status, _nothing, output = awx.launch("unassign.yml", {**chosen, "unassign_secondary_ips_require_approval": True})
    assert status == "failed"
    assert "an approval is required" in output
    assert emulator.calls(writes=True) == []
    status, done, output = awx.launch("unassign.yml", {**chosen, **planned, "unassign_secondary_ips_require_approval": True})
    assert status == "successful", output
    assert done["secondary_ips_unassign"]["totals"]["unassigned"] == 96
    assert "emulator-key-secret" not in json.dumps([planned, done]) + output

    # Back by the output, as somebody pastes it into the survey: it holds what the artifact holds.
    shown = [line for line in plain_text("\n".join(awx.shown)).splitlines() if "{version: 1" in line]
    assert len(shown) > 4
    assert read_document("\n".join(shown)).as_dict()["digest"] == done["restore_secondary_ips_recipe"]["digest"]
    status, restored, output = awx.launch("restore.yml", answers("restore", recipe="\n".join(shown)))
    assert status == "successful", output
    assert restored["secondary_ips_restore"]["totals"]["assigned"] == 96
    assert held(emulator) == start

    # A failed job publishes too.
    status, audited, _output = awx.launch("audit.yml", answers("audit", security_group_ids="sg-web,sg-nowhere"))
    assert status == "failed"
    assert audited["secondary_ips_audit"]["outcome"] == "refused"


def test_progress_is_there_while_the_run_goes_on_and_restores_it(emulator: Emulator, tmp_path: Path) -> None:
    emulator.reset(seed=seed(40, each=8), latency_ms=100)
    start = held(emulator)
    awx = Awx(emulator, tmp_path)
    chosen = {"security_group_names": "web, shop", "wave_size": 48, "max_concurrency": 1}
    variables = {f"unassign_secondary_ips_{name}": value for name, value in {**chosen, "calls_per_minute": 0}.items()}
    status, done, output = awx.launch("unassign.yml", variables)
    assert status == "successful", output
    digest = done["secondary_ips_unassign"]["digest"]
    writes = len(emulator.calls(writes=True))
    assert len(changed_by(start, held(emulator))) == 130

    # The plan and the recipe of the first wave came before the first write, each wave when it ended, and nothing waited for the end.
    def writes_at(text: str) -> list[int]:
        return [count for count, shown in awx.live if text in shown]

    assert writes_at(f"digest {digest}")[0] == 0
    waves = [writes_at(f"wave {number}/3 · ")[0] for number in (1, 2, 3)]
    assert 0 < waves[0] < waves[1] < waves[2] == writes
    parts = [(count, shown.strip()) for count, shown in awx.live if "{version: 1" in shown]
    for number in (1, 2, 3):
        before = [count for count, shown in parts if f"wave: {number} of 3" in shown]
        assert before
        # Events take a moment to get here; a wave that has gone on for that long is far from its end.
        assert all(count < waves[number - 1] for count in before)
    assert re.search(r"wave 1/3 · \d+ of 130 addresses · \d+ unassigned · about .* left", output)

    # Each line says which part it is and of which plan; one that is lost is noticed, and from all of them everything comes back.
    assert len(parts) > 3
    assert all(re.search(r"part: \d+ of \d+, ", shown) and f"plan: '{digest}'" in shown for _count, shown in parts)
    lines = [shown for _count, shown in parts]
    for lost in range(len(lines) - 1):
        with pytest.raises(DocumentError, match="missing: "):
            read_document("\n".join(lines[:lost] + lines[lost + 1 :]))
    status, _artifacts, output = awx.launch(
        "restore.yml",
        {"restore_secondary_ips_recipe": "\n".join(shown for _count, shown in awx.live), "restore_secondary_ips_wait_timeout": 2},
    )
    assert status == "successful", output
    assert held(emulator) == start
