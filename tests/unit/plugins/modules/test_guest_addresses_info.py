# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module on this machine, and its result if something may not be read."""

from __future__ import annotations

import ast
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.module import run_module

from ansible_collections.alicloud_ops.network.plugins.module_utils import _guest_discovery, _guest_proc, _guest_system
from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_reading import Reading, Unreadable
from ansible_collections.alicloud_ops.network.plugins.modules import guest_addresses_info

ROOT = Path(__file__).parents[4]
DATA = Path(__file__).parents[1] / "data" / "guests" / "instance"
FILES = [ROOT / "plugins/modules/guest_addresses_info.py", *sorted((ROOT / "plugins/module_utils").glob("_guest_*.py"))]

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the module reads Linux instances")


@linux
def test_check_mode_returns_the_same_and_nothing_is_changed():
    first, second = (run_module("guest_addresses_info", {}, {}, check=check) for check in (False, True))
    assert first["changed"] is second["changed"] is False
    # The number of connections changes.
    shown = [[(entry["address"], entry["interface"], entry["mac_address"]) for entry in result["addresses"]] for result in (first, second)]
    assert shown[0] == shown[1]
    assert first["interfaces"] == second["interfaces"]


@linux
def test_the_result_is_as_documented():
    documented = yaml.safe_load(guest_addresses_info.RETURN)
    del documented["read_at"]  # by the action plugin, with the clock of the controller

    def compare(value, fields, path):
        for entry in value if isinstance(value, list) else [value]:
            assert set(entry) == set(fields), path
            for name, field in fields.items():
                if "contains" in field:
                    compare(entry[name], field["contains"], f"{path}.{name}")

    result = run_module("guest_addresses_info", {}, {})
    compare({name: value for name, value in result.items() if name not in ("changed", "invocation")}, documented, "")


def test_another_system_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "platform", "freebsd14")
    result = run_module("guest_addresses_info", {}, {})
    assert result["failed"]
    assert "freebsd14" in result["msg"]


def test_a_machine_without_proc_is_refused(monkeypatch):
    def refuse():
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "/proc")

    monkeypatch.setattr(guest_addresses_info, "read_guest", refuse)
    monkeypatch.setattr(sys, "platform", "linux")
    result = run_module("guest_addresses_info", {}, {})
    assert result["failed"]
    assert "/proc" in result["msg"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_is_written_for_python_3_9(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    imports = {
        (node.module if isinstance(node, ast.ImportFrom) else name.name).split(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imports <= {*sys.stdlib_module_names, "ansible", "ansible_collections"}


def find_python(version):
    """One that really runs, on PATH or kept by a version manager: the shim of a version that is not selected does not run."""
    managers = [
        Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions",
        Path.home() / ".local" / "share" / "uv" / "python",
    ]
    kept = [path for folder in managers for path in sorted(folder.glob(f"*{version}.*/bin/python{version}"))]
    for python in filter(None, [shutil.which(f"python{version}"), *kept]):
        if not subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode:
            return python
    return None


@linux
@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_each_python_of_an_instance_runs_it(version, tmp_path):
    python = find_python(version)
    if not python:
        pytest.skip(f"there is no Python {version} on this machine")
    package = tmp_path / "ansible_collections" / "alicloud_ops" / "network" / "plugins" / "module_utils"
    package.mkdir(parents=True)
    for path in FILES[1:]:
        shutil.copy(path, package)
    program = "from ansible_collections.alicloud_ops.network.plugins.module_utils._guest_system import read_guest; read_guest()"
    command = [python, "-B", "-I", "-W", "error", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {program}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


# -- what may not be read never looks unused


@pytest.fixture
def denied(monkeypatch):
    """Paths with this end cannot be read."""
    real_stat, real_exists = os.stat, os.path.exists

    def deny(*endings, number=errno.EACCES):
        def stat(path, *arguments, **options):
            if str(path).endswith(endings):
                raise OSError(number, os.strerror(number), str(path))
            return real_stat(path, *arguments, **options)

        monkeypatch.setattr(os, "stat", stat)
        monkeypatch.setattr(os.path, "exists", lambda path: not str(path).endswith(endings) and real_exists(path))

    return deny


def codes(result):
    return {reason["code"] for reason in result["reasons"]}


@linux
@pytest.mark.parametrize("pid", [1, os.getppid()], ids=["process 1", "another process"])
def test_hidden_processes_make_the_result_incomplete(denied, pid):
    denied(f"/proc/{pid}/net/dev")
    result = _guest_system.read_guest()
    assert result["complete"] is False
    assert "processes_hidden" in codes(result)


@linux
def test_processes_that_are_not_listed_at_all_make_the_result_incomplete(denied):
    """As with the option hidepid=2 of /proc: there is no error, and process 1 is missing."""
    denied("/proc/1/net/dev", number=errno.ENOENT)
    assert "processes_hidden" in codes(_guest_system.read_guest())


@linux
def test_a_container_with_the_network_of_its_machine_is_incomplete(monkeypatch):
    real = os.readlink
    monkeypatch.setattr(os, "readlink", lambda path: "pid:[4026532999]" if path == "/proc/self/ns/pid" else real(path))
    monkeypatch.setattr(_guest_discovery, "_FIRST_NETWORK_SETTING", "/proc/self/net/dev")
    assert "processes_hidden" in codes(_guest_system.read_guest())


@linux
def test_a_name_that_is_not_a_namespace_makes_the_result_incomplete(monkeypatch, tmp_path):
    (tmp_path / "stale").touch()
    monkeypatch.setattr(_guest_discovery, "_NAMED", (str(tmp_path),))
    result = _guest_system.read_guest()
    assert "namespace_unreadable" in codes(result)
    assert any("stale" in reason["text"] for reason in result["reasons"])


@linux
def test_a_namespace_that_may_not_be_entered_makes_the_result_incomplete(monkeypatch):
    """It has a name and no process."""
    real = _guest_system.discover

    def discover(read_mounts):
        found = real(read_mounts)
        blue = found.namespaces["1"] = _guest_discovery.Namespace(1)
        blue.name, blue.paths = "blue", ["/run/netns/blue"]
        return found

    monkeypatch.setattr(_guest_system, "discover", discover)
    result = _guest_system.read_guest()
    assert ("namespace_not_permitted", "blue") in {(reason["code"], reason["namespace"]) for reason in result["reasons"]}
    assert [entry["complete"] for entry in result["namespaces"] if entry["namespace"] == "blue"] == [False]


@pytest.mark.parametrize(
    "error", [PermissionError(errno.EPERM, "Operation not permitted"), Unreadable("cut off"), TimeoutError("timed out")]
)
def test_without_rtnetlink_the_addresses_come_from_proc_and_the_result_is_incomplete(monkeypatch, error):
    def refuse(*_arguments):
        raise error

    monkeypatch.setattr(_guest_system, "read_netlink", refuse)
    monkeypatch.setattr(_guest_proc.fcntl, "ioctl", lambda _probe, _code, request: request[:16] + b"\1\0\0\x16\x3e\0\0\1" + bytes(232))
    reading = Reading("own")
    _guest_system.read_namespace(reading, str(DATA), {})
    assert [problem.code for problem in reading.problems] == ["netlink_failed"]
    assert "192.168.0.10" in {address.address for address in reading.addresses}
    assert {link.mac_address for link in reading.links} == {"00:16:3e:00:00:01"}
    assert reading.connections["192.168.0.10"] == 3


def child(monkeypatch, read):
    """The answer of a child that reads with this function."""
    monkeypatch.setattr(_guest_system, "_enter", lambda _descriptor, _kind: None)
    monkeypatch.setattr(_guest_system, "read_namespace", read)
    reading = Reading("1")
    return _guest_system._read_in_child(reading, {"1": -1}), reading


@linux
def test_a_child_returns_what_it_read(monkeypatch):
    def read(reading, _folder, _descriptors):
        reading.connections["192.168.0.10"] = 100_000
        reading.addresses += [_guest_system_address(number) for number in range(20_000)]

    failure, reading = child(monkeypatch, read)
    assert (failure, reading.connections["192.168.0.10"], len(reading.addresses)) == ("", 100_000, 20_000)


def _guest_system_address(number):
    return _guest_proc.Address(f"10.0.{number // 256}.{number % 256}", 24, 2, "eth0", "global", False)


@linux
def test_a_child_that_ends_early_is_an_error(monkeypatch):
    def die(*_arguments):
        raise MemoryError

    failure, reading = child(monkeypatch, die)
    assert failure == "the read ended early"
    assert reading.links is None


@linux
def test_a_child_that_hangs_is_ended(monkeypatch):
    import time

    monkeypatch.setattr(_guest_system, "_NAMESPACE_SECONDS", 0.3)
    started = time.monotonic()
    failure, _reading = child(monkeypatch, lambda *_arguments: time.sleep(60))
    assert "more than" in failure
    assert time.monotonic() - started < 30


@linux
def test_a_namespace_that_ended_in_the_meantime_is_ignored():
    namespace = _guest_discovery.Namespace(1)
    namespace.tasks = [f"/proc/{2**22 + 1}"]  # above the highest process id
    reading = Reading("1")
    assert _guest_system._read_other(reading, namespace, {})
    assert _guest_system._without_ended([reading], {"1": "refused"}) == []


@linux
def test_a_namespace_that_may_not_be_entered_is_read_through_its_processes():
    namespace = _guest_discovery.Namespace(None)
    namespace.tasks = [f"/proc/{os.getpid()}"]
    reading = Reading("dev")
    assert _guest_system._read_other(reading, namespace, {}) == ""
    assert reading.problems == []
    assert reading.links is None
    assert "127.0.0.1" in {address.address for address in reading.addresses}


@linux
@pytest.mark.parametrize("ending", ["/ns/mnt", "/fd"])
def test_open_files_and_mounts_that_may_not_be_read_make_the_result_incomplete(monkeypatch, ending):
    """A namespace that only another process keeps open or mounted would be missed."""
    for module, name in ((os, "stat"), (os, "listdir")):
        real = getattr(module, name)

        def deny(path, *arguments, real=real, **options):
            if str(path) == f"/proc/{os.getppid()}{ending}":
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real(path, *arguments, **options)

        monkeypatch.setattr(module, name, deny)
    result = _guest_system.read_guest()
    assert result["complete"] is False
    assert "namespaces_hidden" in codes(result)


@linux
def test_a_file_on_an_ordinary_mount_is_not_asked(monkeypatch, tmp_path):
    """A file of a server that does not answer would stop the module."""
    (tmp_path / "file").touch()
    asked = []
    real = os.stat
    with (tmp_path / "file").open() as file:
        path = f"/proc/{os.getpid()}/fd/{file.fileno()}"
        monkeypatch.setattr(os, "stat", lambda path, *arguments, **options: asked.append(str(path)) or real(path, *arguments, **options))
        _guest_discovery.discover(lambda path: "")
    assert f"/proc/{os.getpid()}/net/dev" in asked
    assert path not in asked
