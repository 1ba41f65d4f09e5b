# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No secret is left anywhere. Each way to log in is used, with success and with failure, by the real command lines with full verbosity.
Then every place that could have a trace is searched. Each way has secrets of its own, so that a found secret shows its source."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import yaml
from support.emulator import FOLDER, Emulator
from support.stand_ins import CredentialsUri, Key, MetadataService, Proxy, Sts, Tls

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = yaml.safe_load((FOLDER / "seeds" / "sample.yml").read_text(encoding="utf-8"))
COLLECTION = "alicloud_ops.network"
ROLE = "acs:ram::1000000000000001:role/network-operator"
IDP = "acs:ram::1000000000000001:oidc-provider/ack-rrsa-c1"

# They look like real secrets, and have the characters that URLs and JSON encode.
# They have the id of this process, because the search reads every process of the machine, and one test shows its canary on purpose.
OPTION, VARIABLE, PROFILE = (f"Canary{name}/{os.getpid()}+a=" for name in ("Option", "Variable", "Profile"))
TOKEN, POD_TOKEN, URI_TOKEN, PROXY_PASSWORD = "CanaryToken/4+d==", "CanaryPod.5-e_", "CanaryUri/6+f=", "CanaryProxy7"
FROM_STS = Key("STS.from-sts", "CanaryStsSecret/8+g=", "CanaryStsToken/9+h==")
FROM_METADATA = Key("STS.from-metadata", "CanaryMetadataSecret/10+i=", "CanaryMetadataToken/11+j==")
FROM_URI = Key("STS.from-uri", "CanaryUriSecret/12+k=", "CanaryUriToken/13+l==")
KEYS = [
    ("option-id", OPTION, None),
    ("variable-id", VARIABLE, None),
    ("profile-id", PROFILE, None),
    ("STS.option-id", OPTION, TOKEN),
    *((key.access_key_id, key.access_key_secret, key.security_token) for key in (FROM_STS, FROM_METADATA, FROM_URI)),
]
CANARIES = sorted({secret for _key_id, *secrets in KEYS for secret in secrets if secret} | {POD_TOKEN, URI_TOKEN, PROXY_PASSWORD})

CALLBACK = '''
import json
import os
from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Writes down whatever it is given."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "write_down"

    def write(self, *what):
        with open(os.environ["WRITE_DOWN"], "a") as file:
            file.write(repr(what) + "\\n")

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.write("start", task.get_name(), task.args)

    def v2_runner_on_ok(self, result):
        self.write("ok", getattr(result, "_result", None) or result.result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.write("failed", getattr(result, "_result", None) or result.result)

    def v2_on_file_diff(self, result):
        self.write("diff", getattr(result, "_result", None) or result.result)
'''


def spellings(secret: str) -> set[bytes]:
    """The secret as it is, encoded for a URL once and twice, as a string in JSON and in Python, and in base64."""
    once = {secret, quote(secret, safe=""), quote(secret, safe="~"), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    once |= {quote(text, safe="") for text in once} | {base64.b64encode(secret.encode()).decode()}
    return {text.encode() for text in once} | {secret.rstrip("=").encode()}


@dataclass
class Places:
    """The places that were searched, and the secrets that were found there."""

    searched: list[str] = field(default_factory=list)
    found: list[tuple[str, str]] = field(default_factory=list)

    def search(self, place: str, content: bytes) -> None:
        self.searched.append(place)
        self.found.extend((place, canary) for canary in CANARIES if any(spelling in content for spelling in spellings(canary)))

    def search_folder(self, folder: Path, *, but: Iterable[Path] = ()) -> None:
        """Every file in the folder, except the files that the test wrote there to log in."""
        for path in (path for path in sorted(folder.rglob("*")) if path.is_file() and path not in but):
            self.search(str(path.relative_to(folder)), path.read_bytes())


@contextmanager
def watched_processes(places: Places, program: bytes) -> Iterator[None]:
    """Read what `ps` shows to everybody, ten times a second, because a module runs for longer than that. ``program``: what must be seen."""
    over = threading.Event()
    seen: set[bytes] = set()

    def watch() -> None:
        while not over.wait(0.1):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes())
                except OSError:
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        assert any(program in line for line in seen), f"{program!r} was not seen running"
        places.search("process list", b"\n".join(seen))


@dataclass
class World:
    """The servers that issue keys, and a home folder to run in. ``inputs``: the files that must have a secret."""

    emulator: Emulator
    folder: Path
    tls: Tls
    sts: Sts
    metadata: MetadataService
    uri: CredentialsUri
    proxy: Proxy
    places: Places = field(default_factory=Places)
    inputs: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("home", "tmp", "work", "callbacks", "python"):
            (self.folder / name).mkdir()
        (self.folder / "callbacks" / "write_down.py").write_text(CALLBACK)
        profile = {"name": "default", "mode": "AK", "access_key_id": "profile-id", "access_key_secret": PROFILE, "region_id": "cn-hangzhou"}
        self.write(self.folder / "home" / ".aliyun" / "config.json", json.dumps({"current": "default", "profiles": [profile]}))
        self.write(self.folder / "home" / "token", POD_TOKEN)

    def write(self, path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self.inputs.append(path)
        return path

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONPATH": self.metadata.route(self.folder / "python"),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CALLBACK_PLUGINS": str(self.folder / "callbacks"),
            "ANSIBLE_CALLBACKS_ENABLED": "write_down",
            "WRITE_DOWN": str(self.folder / "work" / "callback.log"),
            "ANSIBLE_LOG_PATH": str(self.folder / "work" / "ansible.log"),
            "ANSIBLE_DISPLAY_TRACEBACK": "always",
            "ANSIBLE_DIFF_ALWAYS": "1",
            "DEBUG": "sdk",
            "ALIBABA_CLOUD_ECS_ENDPOINT": self.emulator.endpoint,
            "ALIBABA_CLOUD_REGION_ID": "cn-hangzhou",
            "ALIBABA_CLOUD_STS_ENDPOINT": self.sts.endpoint,
            **more,
        }

    def run(
        self, name: str, *command: str, environment: Mapping[str, str] | None = None, program: bytes = b"AnsiballZ_eni_secondary_ip"
    ) -> subprocess.CompletedProcess[bytes]:
        with watched_processes(self.places, program):
            work = self.folder / "work"
            done = subprocess.run(command, cwd=work, env={**self.environment(), **(environment or {})}, capture_output=True, check=False)
        self.places.search(f"{name}: standard output", done.stdout)
        self.places.search(f"{name}: standard error", done.stderr)
        self.places.search_folder(self.folder, but=self.inputs)
        assert b"censored" not in done.stdout, "a whole result is hidden, as no_log does it"
        return done


@pytest.fixture
def world(emulator: Emulator, tmp_path: Path) -> Iterator[World]:
    credentials = [
        {"user": key_id, "access_key_id": key_id, "access_key_secret": secret, **({"security_token": token} if token else {})}
        for key_id, secret, token in KEYS
    ]
    emulator.reset(seed={**SAMPLE, "credentials": credentials})
    (tmp_path / "authority").mkdir()
    tls = Tls(tmp_path / "authority")
    callers = {key_id: (secret, token or "") for key_id, secret, token in KEYS}
    with ExitStack() as stack:
        sts = stack.enter_context(Sts(tls, FROM_STS, callers=callers, oidc_token=POD_TOKEN))
        metadata = stack.enter_context(MetadataService(key=FROM_METADATA))
        uri = stack.enter_context(CredentialsUri(key=FROM_URI, token=URI_TOKEN))
        proxy = stack.enter_context(Proxy())
        yield World(emulator, tmp_path, tls, sts, metadata, uri, proxy)


def logins(world: World) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """By options: each way to log in, and a setting that breaks it."""
    key = {"access_key_id": "option-id", "access_key_secret": OPTION}
    pod = {"role_arn": ROLE, "oidc_provider_arn": IDP, "oidc_token_file": str(world.folder / "home" / "token")}
    nobody = {"role_arn": "acs:ram::1000000000000001:role/nobody"}
    return {
        "access key": (key, {"access_key_secret": PROFILE}),
        "half a key": (key, {"access_key_id": ""}),
        "sts": (
            {"access_key_id": "STS.option-id", "access_key_secret": OPTION, "security_token": TOKEN},
            {"security_token": FROM_STS.security_token},
        ),
        "role": ({**key, "role_arn": ROLE}, nobody),
        "role of a pod": (pod, nobody),
        "instance": ({"ecs_role_name": world.metadata.role}, {"ecs_role_name": "nobody"}),
        "uri": (
            {"credentials_uri": f"{world.uri.url}/keys?token={quote(URI_TOKEN, safe='')}"},
            {"credentials_uri": f"{world.uri.url}/?token={OPTION}"},
        ),
        "profile": ({"profile": "default"}, {"profile": "nobody"}),
    }


def playbook(world: World, *only: str) -> Path:
    """Check mode, diff, a change and its undoing, and a failure, with each kind. Secrets are in a file of variables, as from a vault."""
    tasks: list[dict[str, Any]] = []
    variables: dict[str, Any] = {}
    for number, (name, (login, broken)) in enumerate((name, login) for name, login in logins(world).items() if not only or name in only):
        for kind, options in (("works", login), ("fails", {**login, **broken})):
            given = {option: f"{{{{ v{number}_{kind}.{option} }}}}" for option in options}
            variables[f"v{number}_{kind}"] = options
            change = {
                "eni_id": "eni-web1001",
                "private_ip_addresses": ["192.168.0.101"],
                "retry_timeout": 0,
                "ca_bundle": str(world.tls.bundle),
                **given,
            }
            states = [("absent", False), ("present", False)] if (number, kind) == (0, "works") else [("absent", kind == "works")]
            for state, check in states:
                task = {"alicloud_ops.network.eni_secondary_ip": {"state": state, **change}, "check_mode": check, "register": "done"}
                tasks.append({"name": f"{name} {kind}", **task, **({"failed_when": "done.failed is not true"} if kind == "fails" else {})})
    tasks.append({"ansible.builtin.debug": {"var": "done"}})
    world.write(world.folder / "work" / "secrets.yml", yaml.safe_dump(variables))
    path = world.folder / "work" / "playbook.yml"
    path.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}], sort_keys=False), encoding="utf-8")
    return path


def test_by_options(world: World) -> None:
    path = playbook(world)
    done = world.run("playbook", "ansible-playbook", str(path), "-e", "@secrets.yml", "-vvvv", "--diff")
    assert done.returncode == 0, done.stdout.decode()[-3000:] + done.stderr.decode()
    output = done.stdout.decode()
    for source in ("access_key", "sts", "ram_role_arn", "oidc_role_arn", "ecs_ram_role", "credentials_uri"):
        assert f'"credential_source": "{source} from options"' in output
    assert "-eni-web1001 192.168.0.101" in output
    assert {call["caller"] for call in world.emulator.calls()} >= {
        "option-id",
        "STS.option-id",
        "STS.from-sts",
        "STS.from-metadata",
        "STS.from-uri",
    }
    assert world.places.found == []
    assert len(world.places.searched) >= 6


ENVIRONMENTS: dict[str, dict[str, str]] = {
    "key": {"ALIBABA_CLOUD_ACCESS_KEY_ID": "variable-id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": VARIABLE},
    "older key": {"ALICLOUD_ACCESS_KEY": "variable-id", "ALICLOUD_SECRET_KEY": VARIABLE},
    "wrong key": {"ALIBABA_CLOUD_ACCESS_KEY_ID": "option-id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": VARIABLE},
    "role": {"ALIBABA_CLOUD_ACCESS_KEY_ID": "variable-id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": VARIABLE, "ALIBABA_CLOUD_ROLE_ARN": ROLE},
    "role with a wrong key": {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "option-id",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": VARIABLE,
        "ALIBABA_CLOUD_ROLE_ARN": ROLE,
    },
    "uri": {"ALIBABA_CLOUD_CREDENTIALS_URI": "URI"},
    "profile": {},
    "half a key": {"ALICLOUD_SECRET_KEY": VARIABLE},
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_by_environment(world: World, name: str) -> None:
    uri = f"{world.uri.url}/keys?token={quote(URI_TOKEN, safe='')}"
    environment = {variable: uri if text == "URI" else text for variable, text in ENVIRONMENTS[name].items()}
    # A proxy with a password. Only requests to other machines would use it.
    proxy = {"HTTPS_PROXY": world.proxy.url.replace("//", f"//me:{PROXY_PASSWORD}@"), "NO_PROXY": "127.0.0.1"}
    arguments = f"state=absent eni_id=eni-web1001 private_ip_addresses=192.168.0.101 retry_timeout=0 ca_bundle={world.tls.bundle}"
    command = ("ansible", "localhost", "-m", "alicloud_ops.network.eni_secondary_ip", "-a", arguments, "-vvvv", "--diff")
    done = world.run(name, *command, environment={**environment, **proxy})
    assert (done.returncode == 0) is not any(word in name for word in ("wrong", "half")), done.stdout.decode()[-2000:]
    assert world.proxy.asked == []
    assert world.places.found == []


@pytest.mark.parametrize("by", ["options", "environment"])
def test_ansible_runner(world: World, by: str) -> None:
    private = world.folder / "work" / "runner"
    (private / "project").mkdir(parents=True)
    if by == "options":
        (private / "project" / "playbook.yml").write_text(playbook(world, "sts", "role").read_text())
        world.write(private / "env" / "extravars", (world.folder / "work" / "secrets.yml").read_text())
        environment: dict[str, str] = {}
    else:
        task = {"alicloud_ops.network.eni_secondary_ip_info": {"eni_ids": ["eni-web1001"]}}
        (private / "project" / "playbook.yml").write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
        environment = ENVIRONMENTS["key"]
    command = ("ansible-runner", "run", str(private), "-p", "playbook.yml", "--ident", "one", "-vvvv")
    done = world.run("runner", *command, environment=environment)
    assert done.returncode == 0, done.stdout.decode()[-3000:] + done.stderr.decode()
    events = [place for place in world.places.searched if "artifacts/one/job_events" in place]
    assert len(events) > 3
    assert "work/runner/artifacts/one/stdout" in world.places.searched
    # ansible-runner itself records the environment. The guide says so, and a module cannot change it.
    record = [("work/runner/artifacts/one/command", VARIABLE)] if by == "environment" else []
    assert world.places.found == record


def role_login(world: World, by: str) -> tuple[dict[str, Any], dict[str, str], str]:
    """Keywords of the play, environment of the command, and the caller that the service then sees."""
    if by == "environment of the command":
        # What the guide says if the connection to STS needs this certificate authority too.
        return {}, {**ENVIRONMENTS["role"], "SSL_CERT_FILE": str(world.tls.bundle)}, FROM_STS.access_key_id
    if by == "environment of the play":
        keyword = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "variable-id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "{{ the_secret }}"}
        return {"environment": keyword}, {}, "variable-id"
    options = {"access_key_id": "STS.option-id", "access_key_secret": "{{ the_option }}", "security_token": "{{ the_token }}"}
    return {"module_defaults": {"group/alicloud_ops.network.alicloud": options}}, {}, "STS.option-id"


@pytest.mark.parametrize("by", ["environment of the command", "environment of the play", "module_defaults"])
def test_the_roles_show_publish_and_write_no_secret(world: World, by: str) -> None:
    """The service repeats secrets in its message, and this message reaches lines, ledger, stats and reports."""
    keywords, environment, caller = role_login(world, by)
    known = {"environment of the play": [VARIABLE], "module_defaults": [OPTION, TOKEN]}
    sent = " ".join(known.get(by, [VARIABLE, FROM_STS.access_key_secret, FROM_STS.security_token]))
    refusal = {"kind": "error", "code": "OperationDenied", "status": 403, "message": f"Sent: {sent}"}
    world.emulator.faults([{**refusal, "action": "UnassignPrivateIpAddresses", "eni_id": "eni-web1001"}])
    world.write(world.folder / "work" / "secrets.yml", yaml.safe_dump({"the_secret": VARIABLE, "the_option": OPTION, "the_token": TOKEN}))
    reports = world.folder / "work" / "reports"

    def run(role: str, **variables: Any) -> subprocess.CompletedProcess[bytes]:
        given = {"report_dir": str(reports), "calls_per_minute": 0, **variables}
        extra = json.dumps({f"{role}_secondary_ips_{name}": value for name, value in given.items()})
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [{"ansible.builtin.include_role": {"name": f"{COLLECTION}.{role}_secondary_ips"}}],
        }
        shown = {"ansible.builtin.debug": {"var": f"{role}_secondary_ips_result"}}
        play["tasks"] = [{"block": play["tasks"], "always": [shown]}]
        (world.folder / "work" / "play.yml").write_text(yaml.safe_dump([{**play, **keywords}]), encoding="utf-8")
        command = ("ansible-playbook", "play.yml", "-e", "@secrets.yml", "-e", extra, "-vvvv", "--diff")
        show = {"ANSIBLE_SHOW_CUSTOM_STATS": "true"}
        return world.run(role, *command, environment={**environment, **show}, program=b"ansible-playbook")

    audited = run("audit", security_group_ids=["sg-web"])
    assert audited.returncode == 0, audited.stdout.decode()[-3000:]
    failed = run("unassign", security_group_ids=["sg-web"], wait_timeout=2)
    assert failed.returncode != 0
    assert b"secondary_ips_unassign" in failed.stdout
    (recipe,) = reports.glob("recipe-*.json")
    restored = run("restore", recipe_file=str(recipe), wait_timeout=2)
    assert restored.returncode == 0, restored.stdout.decode()[-3000:]
    assert {call["caller"] for call in world.emulator.calls()} == {caller}
    assert {path.suffix for path in reports.iterdir()} >= {".json", ".md", ".html"}
    repeated = [path.name for path in reports.iterdir() if "Sent: " in path.read_text(encoding="utf-8")]
    assert {Path(name).suffix for name in repeated} >= {".json", ".md", ".html"}, "the reports lack the message of the service"
    assert b"Sent: " in failed.stdout
    assert {f"work/reports/{path.name}" for path in reports.iterdir()} <= set(world.places.searched)
    assert world.places.found == []


def test_the_search_finds_what_is_there(world: World) -> None:
    """Otherwise an empty result would prove nothing. This is also why the guide warns of the environment keyword."""
    task = {
        "alicloud_ops.network.eni_secondary_ip_info": {"eni_ids": ["eni-web1001"]},
        "environment": {"ALIBABA_CLOUD_ACCESS_KEY_ID": "variable-id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "{{ secret }}"},
    }
    world.write(world.folder / "work" / "secrets.yml", f"secret: {VARIABLE}")
    (world.folder / "work" / "playbook.yml").write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    world.run("playbook", "ansible-playbook", "playbook.yml", "-e", "@secrets.yml", "-vvvv")
    assert {place for place, _canary in world.places.found} >= {"process list", "playbook: standard output"}
    (world.folder / "tmp" / "left").write_text(f"x={quote(VARIABLE, safe='')}")
    world.places.search_folder(world.folder / "tmp")
    assert world.places.found[-1] == ("left", VARIABLE)
