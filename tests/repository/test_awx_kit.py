# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of the AWX kit have the form that the API of AWX accepts, and the modules of awx.awx create its objects from them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from support.awx import PATTERN, load
from support.awx_api import AwxApi
from support.emulator import Emulator
from support.playbook import BIN, ROOT, ansible_environment

from ansible_collections.alicloud_ops.network.plugins.module_utils._auth.choose import ENVIRONMENTS
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._variables import VARIABLES, variables_of

SURVEYS = sorted((PATTERN / "template_surveys").glob("*.yml"))
PLAYBOOKS = "extensions/patterns/bulk_secondary_ips/playbooks"
# AWX lists a file as a playbook for job templates only if it has this line.
PLAYBOOK_LINE = re.compile(r"^\s*?-?\s*?(?:hosts|(ansible\.builtin\.)?include|(ansible\.builtin\.)?import_playbook):\s*?.*?$", re.M)
RESERVED = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "JOB_ID", "INVENTORY_ID", "PROJECT_REVISION", "AWX_HOST", "MAX_EVENT_RES", "CACHE")
# `make awx` puts awx.awx here. Without it, the tests that need it are skipped and say so.
AWX_MODULES = Path(os.environ.get("AWX_MODULES") or ROOT / ".venv" / "awx")
has_awx_modules = pytest.mark.skipif(
    not (AWX_MODULES / "ansible_collections" / "awx" / "awx").exists(), reason="awx.awx is not installed; `make test` tries to get it"
)
NAMES = ("bulk_secondary_ips_image", "bulk_secondary_ips_webhook", "bulk_secondary_ips_audit_groups")
INSTALL_VARIABLES = dict(zip(NAMES, ("registry.example.com/alicloud_ops:1", "https://hooks.example.com/awx", "web,shop"), strict=True))


def options(role: str) -> dict[str, Any]:
    return load(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]


def templated(**given: Any) -> dict[str, Any]:
    """setup.yml as Ansible sees it."""
    variables = {"bulk_secondary_ips_surveys": str(PATTERN / "template_surveys"), **given}
    data = load(PATTERN / "setup.yml")
    trusted = {name: _trust(value) for name, value in data.items()}
    templar = Templar(loader=DataLoader(), variables={**variables, **trusted})
    return {
        name: templar.template(trusted[name]) for name in data if name.startswith("controller_") and name != "controller_credential_types"
    }


def _trust(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _trust(entry) for key, entry in value.items()}
    return [_trust(entry) for entry in value] if isinstance(value, list) else trust_as_template(value) if isinstance(value, str) else value


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
            # A default answer has the same effect as the default of the role. An empty answer would be an empty guard.
            assert question["default"] != "", name
            assert str(question["default"]).lower() == str(option["default"]).lower(), name
        if question["type"] == "multiplechoice":
            assert all(isinstance(choice, str) and choice for choice in question["choices"])
            assert question.get("default", question["choices"][0]) in question["choices"]
            choices = variables_of(role)[name.removeprefix(f"{role}_")].choices or ("false", "true")
            assert sorted(question["choices"]) == sorted(choices), name
        assert all(isinstance(question.get(key, 0), int) for key in ("min", "max"))


def test_job_templates_name_playbooks_that_awx_lists() -> None:
    setup = templated(**INSTALL_VARIABLES)
    for template in setup["controller_templates"]:
        path = Path(template["playbook"])
        assert not {"roles", "tasks", "group_vars", "host_vars"}.intersection(path.parts)
        text = (ROOT / path).read_text(encoding="utf-8")
        assert PLAYBOOK_LINE.search(text), path
        assert re.search(r"import_playbook: alicloud_ops\.network\.(\w+)", text)[1] == path.stem
        assert (ROOT / "playbooks" / path.name).exists()
        slices = path.stem == "unassign_slice"
        # A play for localhost would run once in each slice.
        assert template["job_slice_count"] == (4 if slices else 1)
        assert template["inventory"] == ("Alibaba Cloud ENIs" if slices else "Alibaba Cloud API")
        assert template["job_type"] == ("check" if template["name"].startswith("Plan") else "run")
        guards = {"unassign_secondary_ips_require_approval": True, "unassign_secondary_ips_approval_max_age": 24}
        writes = slices or (path.stem == "unassign" and template["job_type"] == "run")
        expected = {**guards, **({"unassign_secondary_ips_slices": 4} if slices else {})} if writes else {}
        assert template.get("extra_vars", {}) == expected
        # No survey asks for them, because an answer would win over the template.
        assert not {question["variable"] for question in template["survey_spec"]["spec"]}.intersection(expected)


def test_the_survey_of_a_workflow_does_not_ask_for_what_its_first_job_publishes() -> None:
    asked = {question["variable"] for question in load(PATTERN / "template_surveys" / "unassign.yml")["spec"]}
    published = {"unassign_secondary_ips_approved_digest", "unassign_secondary_ips_plan"}
    for workflow in templated(**INSTALL_VARIABLES)["controller_workflows"]:
        # The inventory of the slices has the region of its credential, whatever an answer says.
        from_credential = {"unassign_secondary_ips_region"} if "in slices" in workflow["name"] else set()
        assert asked - {question["variable"] for question in workflow["survey_spec"]["spec"]} == published | from_credential


def test_each_workflow_ends_with_the_report_and_writes_only_behind_the_approval() -> None:
    setup = templated(**INSTALL_VARIABLES)
    writing = {template["name"] for template in setup["controller_templates"] if "extra_vars" in template}
    known = {template["name"] for template in setup["controller_templates"]}
    known |= {source["name"] for source in setup["controller_inventory_sources"]}
    for workflow in setup["controller_workflows"]:
        nodes = {node["identifier"]: node for node in workflow["simplified_workflow_nodes"]}
        order = [next(iter(nodes))]
        while following := nodes[order[-1]].get("success_nodes", nodes[order[-1]].get("always_nodes")):
            order += following
        assert list(nodes) == order
        assert {node["unified_job_template"] for node in nodes.values() if "unified_job_template" in node} <= known
        (write,) = (name for name in order if nodes[name].get("unified_job_template") in writing)
        assert order.index("approve") < order.index(write)
        # Also after a failure.
        assert nodes[write]["always_nodes"] == ["report"] == order[-1:]
        assert nodes["approve"]["approval_node"]["timeout"] == 24 * 3600


def test_schedule_and_notification_are_made_only_if_they_are_configured() -> None:
    setup = templated(bulk_secondary_ips_image="registry.example.com/alicloud_ops:1")
    assert setup["controller_schedules"] == setup["controller_notifications"] == []
    assert all(template["notification_templates_error"] == [] for template in setup["controller_templates"])
    (schedule,) = templated(**INSTALL_VARIABLES)["controller_schedules"]
    # AWX wants one of each, and an interval.
    assert re.fullmatch(r"DTSTART:\d{8}T\d{6}Z RRULE:FREQ=DAILY;INTERVAL=1", schedule["rrule"])
    assert schedule["extra_data"] == {"audit_secondary_ips_security_group_names": "web,shop"}


def test_errors_can_name_each_question() -> None:
    asked = {}
    for path in SURVEYS:
        for question in load(path)["spec"]:
            name = re.sub("^[a-z]+_secondary_ips_", "", question["variable"])
            assert asked.setdefault(name, question["question_name"]) == question["question_name"]
    assert asked == {name: variable.question for name, variable in VARIABLES.items() if variable.question}


def test_the_credential_type_is_of_the_form_that_awx_accepts() -> None:
    (kind,) = load(PATTERN / "setup.yml")["controller_credential_types"]
    fields = {field["id"] for field in kind["inputs"]["fields"]}
    assert kind["kind"] == "cloud"
    # Each way to log in needs other fields, so no field is always required.
    assert set(kind["inputs"]) == {"fields"}
    assert len(fields) == len(kind["inputs"]["fields"])
    for field in kind["inputs"]["fields"]:
        assert set(field) <= {"id", "label", "type", "format", "choices", "multiline", "secret", "ask_at_runtime", "help_text", "default"}
        assert re.fullmatch(r"[a-zA-Z_]+[a-zA-Z0-9_]*", field["id"])
        assert field.get("secret", False) == (field["id"] in ("access_key_secret", "security_token"))
    assert set(kind["injectors"]) == {"env"}
    assert {template.strip("{} ") for template in kind["injectors"]["env"].values()} == fields
    known = {name for environment in ENVIRONMENTS for names in environment.values() for name in names}
    known |= {f"ALIBABA_CLOUD_{name}" for name in ("REGION_ID", "ACCOUNT_ID", "ECS_ENDPOINT", "STS_ENDPOINT")}
    for variable, template in kind["injectors"]["env"].items():
        assert not variable.startswith("ANSIBLE_")
        assert variable not in RESERVED
        assert variable in known
        assert re.fullmatch(r"\{\{ (\w+) \}\}", template)[1] in fields


def test_the_execution_environment_lists_what_the_modules_need() -> None:
    folder = ROOT / "collections"
    shown = subprocess.run(
        [str(BIN / "ansible-builder"), "introspect", str(folder)], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    assert re.search(r"alibabacloud-ecs20140526\S*  # from collection alicloud_ops\.network", shown.stdout), shown.stdout


def test_the_build_of_the_execution_environment_is_complete_and_pinned(tmp_path: Path) -> None:
    folder = PATTERN / "exec_env"
    command = [str(BIN / "ansible-builder"), "create", "--file", "execution-environment.yml", "--context", str(tmp_path)]
    subprocess.run(command, cwd=folder, capture_output=True, check=True, env={"PATH": "/usr/bin:/bin"})
    assert (tmp_path / "_build" / "requirements.txt").read_text() == (folder / "requirements.txt").read_text()
    pins = [line for line in (folder / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert set(pins) <= set((ROOT / "constraints.txt").read_text().splitlines())
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if not line.startswith("#"):
            assert any(pin.startswith(re.match("[a-z0-9-]+", line)[0] + "==") for pin in pins), line


def test_the_pattern_is_of_the_form_that_galaxy_imports() -> None:
    pattern = json.loads((PATTERN / "meta" / "pattern.json").read_text())
    assert pattern["name"] == PATTERN.name
    assert len(pattern["title"]) <= 64
    assert not pattern["short_description"].endswith(".")
    resources = pattern["aap_resources"]
    templates = {template["name"]: template for template in load(PATTERN / "setup.yml")["controller_templates"]}
    assert len([template for template in resources["controller_job_templates"] if template["primary"]]) == 1
    for template in resources["controller_job_templates"]:
        assert (PATTERN / "playbooks" / template["playbook"]).exists()
        assert template["execution_environment"] == resources["controller_execution_environment"]["name"]
        assert set(template["labels"]) <= set(resources["controller_labels"])
        made = templates[template["name"]]
        assert (template["description"], template["playbook"]) == (made["description"], Path(made["playbook"]).name)
        asked = load(PATTERN / "template_surveys" / re.search(r"'/(\w+\.yml)'", made["survey_spec"])[1])["spec"]
        # Here a default is always text.
        assert template["survey"]["spec"] == [{**one, **({"default": str(one["default"])} if "default" in one else {})} for one in asked]
        assert all(question["question_description"] for question in asked)


def install(api: AwxApi, *arguments: str, collections: Path = AWX_MODULES) -> subprocess.CompletedProcess[str]:
    environment = {name: os.environ[name] for name in ("HOME",) if name in os.environ}
    environment |= {
        "PATH": f"{BIN}:/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_NOCOLOR": "true",
        # The API is plain HTTP. Otherwise the modules load all certificates of this machine for each request.
        "SSL_CERT_FILE": os.devnull,
        # Fewer processes for each task. The modules of AWX do the same with it.
        "ANSIBLE_PIPELINING": "true",
    }
    environment |= {"CONTROLLER_HOST": api.url, "CONTROLLER_OAUTH_TOKEN": "example"}
    command = [str(BIN / "ansible-playbook"), str(PATTERN / "install.yml"), *arguments]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=600)


@has_awx_modules
def test_the_set_up_creates_everything_once_and_keeps_the_keys_that_were_filled_in() -> None:
    given = ["-e", json.dumps(INSTALL_VARIABLES)]
    with AwxApi() as api:
        first = install(api, *given)
        assert first.returncode == 0, first.stdout
        assert {name: len(api.objects[name]) for name in ("job_templates", "workflow_job_templates", "schedules", "credentials")} == {
            "job_templates": 6,
            "workflow_job_templates": 2,
            "schedules": 1,
            "credentials": 1,
        }
        credential = api.named("credentials", "Alibaba Cloud")
        for template in api.objects["job_templates"].values():
            assert api.linked("job_templates", template["id"], "credentials") == [credential["id"]]
            assert api.surveys["job_templates", template["id"]]["spec"]
        nodes = api.objects["workflow_job_template_nodes"].values()
        assert all(node["unified_job_template"] for node in nodes)
        assert sum(bool(api.linked("workflow_job_template_nodes", node["id"], "success_nodes")) for node in nodes) == 5
        credential["inputs"] = {"access_key_id": "example", "access_key_secret": "example"}
        api.writes.clear()
        second = install(api, *given)
        assert second.returncode == 0, second.stdout
        assert re.search(r"changed=0 ", second.stdout), second.stdout
        assert api.writes == []
        assert credential["inputs"]["access_key_secret"] == "example"


@has_awx_modules
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "bulk_secondary_ips_image is the name of the execution environment's image"),
        (["-e", "bulk_secondary_ips_image=x:1 bulk_secondary_ips_slices=0"], "are numbers from 1"),
        (["-e", "bulk_secondary_ips_image=x:1 bulk_secondary_ips_organization=Nobody"], "Check that AWX answers and has the organization"),
    ],
)
def test_the_set_up_stops_before_the_first_object(arguments: list[str], message: str) -> None:
    with AwxApi() as api:
        stopped = install(api, *arguments)
        assert stopped.returncode != 0
        assert message in " ".join(stopped.stdout.split())
        assert api.writes == []


@has_awx_modules
def test_the_set_up_works_with_the_modules_of_either_name(tmp_path: Path) -> None:
    (tmp_path / "ansible_collections" / "ansible").mkdir(parents=True)
    (tmp_path / "ansible_collections" / "ansible" / "controller").symlink_to(AWX_MODULES / "ansible_collections" / "awx" / "awx")
    with AwxApi() as api:
        for folder in (tmp_path, AWX_MODULES):
            checked = install(api, "--syntax-check", "-e", json.dumps(INSTALL_VARIABLES), collections=folder)
            assert checked.returncode == 0, checked.stdout


def test_the_inventory_file_lists_what_a_plan_can_hold(emulator: Emulator, tmp_path: Path) -> None:
    inventory = PATTERN / "inventories" / "secondary_addresses.eni.yml"

    def hosts(**environment: str) -> set[str]:
        command = [str(BIN / "ansible-inventory"), "-i", str(inventory), "--list"]
        shown = subprocess.run(
            command, env={**ansible_environment(emulator, tmp_path), **environment}, capture_output=True, text=True, check=True
        )
        return set(json.loads(shown.stdout)["_meta"]["hostvars"])

    kinds = ("private_ip_addresses", "ipv4_prefixes", "ipv6_addresses", "ipv6_prefixes")
    interfaces = emulator.state()["interfaces"]
    holding = {eni_id for eni_id, interface in interfaces.items() if any(interface[kind] for kind in kinds)}
    assert set(interfaces) > holding == hosts()
    # AWX gives an empty source variable, too.
    assert hosts(SECURITY_GROUP_IDS="") == holding
    narrowed = hosts(SECURITY_GROUP_IDS="sg-web, sg-data")
    assert narrowed == {eni_id for eni_id in holding if {"sg-web", "sg-data"}.intersection(interfaces[eni_id]["security_group_ids"])}
    assert yaml.safe_load(inventory.read_text())["matching_only"] is True
