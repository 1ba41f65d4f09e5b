# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tarball of a release: the same files give the same bytes, independent of place, time and user of the build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from support.playbook import BIN, ROOT

EPOCH = 1_700_000_000


def files_of_the_repository() -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, encoding="utf-8").stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is not a clone of the repository")
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def build(folder: Path, *, reverse: bool, umask: int, time: int) -> Path:
    for name in sorted(files_of_the_repository(), reverse=reverse):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
        target.chmod((0o777 if os.access(ROOT / name, os.X_OK) else 0o666) & ~umask)
        os.utime(target, (time, time))
    output = folder / "build"
    environment = {**os.environ, "ANSIBLE_HOME": str(folder / ".ansible"), "SOURCE_DATE_EPOCH": str(EPOCH)}
    galaxy = [str(BIN / "ansible-galaxy"), "collection", "build", str(folder), "--output-path", str(output)]
    subprocess.run(galaxy, check=True, env=environment, capture_output=True)
    (tarball,) = output.glob("*.tar.gz")
    subprocess.run([sys.executable, str(ROOT / "tests" / "gates" / "repack.py"), str(tarball)], check=True, env=environment)
    return tarball


def test_two_builds_are_the_same_byte_for_byte_and_can_be_installed(tmp_path: Path) -> None:
    one = build(tmp_path / "one", reverse=False, umask=0o022, time=EPOCH)
    two = build(tmp_path / "another path", reverse=True, umask=0o077, time=EPOCH + 86400)
    assert one.read_bytes() == two.read_bytes()

    with tarfile.open(one) as packed:
        members = packed.getmembers()
    assert [member.name for member in members[:2]] == ["MANIFEST.json", "FILES.json"]
    assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {(EPOCH, 0, 0, "")}
    assert {member.mode for member in members} == {0o755, 0o644}

    # ansible-galaxy compares every file with FILES.json, and that with MANIFEST.json.
    environment = {**os.environ, "ANSIBLE_HOME": str(tmp_path / "ansible"), "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections")}
    for step in (["install", str(one), "-p", str(tmp_path / "collections")], ["verify", "--offline", "alicloud_ops.network"]):
        done = subprocess.run(
            [str(BIN / "ansible-galaxy"), "collection", *step], env=environment, capture_output=True, check=False, encoding="utf-8"
        )
        assert done.returncode == 0, done.stdout + done.stderr
