# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests for tests: Linux machines, each made of a network, a process and a mount namespace, and connected by a hub.

Each guest has its own process 1, which ends with this process. Then the kernel ends all other processes of the guest,
and removes its interfaces and mounts. Nothing is left outside.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SERVICE = Path(__file__).with_name("guest_service.py")
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
# Process 1 of a guest has its own /run, and ends when its standard input is closed.
FIRST = "mount -t tmpfs tmpfs /run && mkdir /run/netns /run/sshd && ip link set lo up && echo ready && exec cat"
UNSHARE = ("unshare", "--net", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child")
WAIT = 30.0


def why_not() -> str:
    """Why guests cannot be made on this machine. '' if they can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces need Linux"
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [program for program in ("ip", "unshare", "nsenter", "ssh", "ssh-keygen") if not shutil.which(program)]
    if missing or not SSHD:
        return f"not installed: {', '.join(missing + ([] if SSHD else ['sshd']))}"
    attempt = "ip link add v0 type veth peer name v1 && ip link add m0 link v0 type macvlan mode bridge"
    done = subprocess.run(
        [*UNSHARE, "sh", "-c", f"{FIRST.removesuffix('exec cat')} {attempt}"], capture_output=True, text=True, check=False
    )
    return f"this machine does not permit what guests need: {done.stderr.strip()}" if done.returncode else ""


def child_of(pid: int) -> int:
    """The first child of a process. Waits until there is one."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                return int(path.parent.name)
        time.sleep(0.02)
    raise RuntimeError(f"process {pid} has no child")


class Guest:
    def __init__(self) -> None:
        self._programs: list[subprocess.Popen[str]] = []
        self._first = subprocess.Popen([*UNSHARE, "sh", "-c", FIRST], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._first.stdout is not None
        if self._first.stdout.readline() != "ready\n":
            self.stop()
            raise RuntimeError("the guest did not start")
        self.pid = child_of(self._first.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End the first process, and so all other processes of this guest."""
        first = self._first
        assert first.stdin is not None
        first.stdin.close()
        try:
            first.wait(timeout=WAIT)
        except subprocess.TimeoutExpired:
            first.kill()
            first.wait()
        assert first.stdout is not None
        first.stdout.close()
        for program in self._programs:
            program.wait(timeout=WAIT)
            for pipe in (program.stdin, program.stdout):
                if pipe is not None:
                    pipe.close()

    def command(self, *command: str) -> list[str]:
        return ["nsenter", "--target", str(self.pid), "--net", "--pid", "--mount", "--", *command]

    def network_command(self, *command: str) -> list[str]:
        """With the network of the guest, and the files and processes of this machine."""
        return ["nsenter", "--target", str(self.pid), "--net", "--", *command]

    def run(self, command: str, **options: Any) -> str:
        done = subprocess.run(self.command("sh", "-ec", command), capture_output=True, text=True, check=False, timeout=WAIT, **options)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr}")
        return done.stdout

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """A program in the background, which ends with the guest."""
        program = subprocess.Popen(self.command(*command), text=True, **options)
        self._programs.append(program)
        return program

    def service(self, name: str, *prefix: str) -> Service:
        """``prefix``: a command that starts the service in another namespace of the guest."""
        return Service(self.start(*prefix, sys.executable, "-I", str(SERVICE), name, stdin=subprocess.PIPE, stdout=subprocess.PIPE))

    def sshd(self, folder: Path, *addresses: str) -> subprocess.Popen[str]:
        """A real sshd on these addresses of the guest, with the keys in ``folder``."""
        configuration = folder / f"sshd-{self.pid}"
        lines = [f"ListenAddress {address}" for address in addresses]
        lines += [f"HostKey {folder}/host", f"AuthorizedKeysFile {folder}/user.pub", "PidFile none", "StrictModes no", "UsePAM no"]
        lines += ["PermitRootLogin prohibit-password", "PasswordAuthentication no", "Subsystem sftp internal-sftp"]
        configuration.write_text("\n".join(lines) + "\n")
        assert SSHD
        program = self.start(SSHD, "-D", "-e", "-f", str(configuration), stderr=(folder / f"sshd-{self.pid}.log").open("w"))
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline and program.poll() is None:
            if all(f" {address}:22 " in self.run("ss -Hltn") for address in addresses):
                return program
            time.sleep(0.05)
        raise RuntimeError((folder / f"sshd-{self.pid}.log").read_text())


class Service:
    """Sockets in a guest; see guest_service.py."""

    def __init__(self, program: subprocess.Popen[str]) -> None:
        self._program = program
        self._read("started")
        self.pid = child_of(program.pid)  # as this machine numbers it

    def _read(self, word: str) -> None:
        assert self._program.stdout is not None
        line = self._program.stdout.readline().strip()
        if line != word:
            raise RuntimeError(f"the service answered {line!r} instead of {word!r}")

    def open(self, **sockets: Sequence[Any]) -> Self:
        assert self._program.stdin is not None
        self._program.stdin.write(json.dumps(sockets) + "\n")
        self._program.stdin.flush()
        self._read("ready")
        return self


class Hub(Guest):
    """The hub that connects the guests, on which Ansible runs."""

    ADDRESS = "10.255.0.254"

    def __init__(self) -> None:
        super().__init__()
        self._ports = 0
        self.run(f"ip link add br0 type bridge; ip address add {self.ADDRESS}/24 dev br0; ip link set br0 up")

    def connect(self, guest: Guest, interface: str, mac_address: str = "", bridged: bool = False) -> None:
        """Give a guest an interface."""
        self._ports += 1
        port = f"port{self._ports}"
        address = ["address", mac_address] if mac_address else []
        pair = ["ip", "link", "add", port, "type", "veth", "peer", "name", interface, *address, "netns", str(guest.pid)]
        # The process ids are those of this machine.
        subprocess.run(self.network_command(*pair), check=True, timeout=WAIT)
        self.run((f"ip link set {port} master br0; " if bridged else "") + f"ip link set {port} up")
        guest.run(f"ip link set {interface} up")

    def playbook(self, folder: Path, inventory: Mapping[str, Any], playbook: str, environment: Mapping[str, str], *arguments: str) -> str:
        """Run a playbook against guests. Returns the output."""
        (folder / "inventory.json").write_text(json.dumps(inventory))
        (folder / "playbook.yml").write_text(playbook)
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "inventory.json", "playbook.yml", *arguments]
        done = subprocess.run(
            self.network_command(*command),
            cwd=folder,
            env={**environment, "ANSIBLE_HOST_KEY_CHECKING": "false", "ANSIBLE_SSH_ARGS": "-F none -o ControlMaster=no -o LogLevel=ERROR"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode not in (0, 4):  # 4: a host is unreachable
            raise RuntimeError(done.stdout)
        return done.stdout


def make_keys(folder: Path) -> None:
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True, timeout=WAIT)
