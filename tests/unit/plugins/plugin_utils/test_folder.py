# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret, is_encrypted

from ansible_collections.alicloud_ops.network.plugins.plugin_utils import _folder
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._folder import (
    Folder,
    FolderError,
    default_folder,
    document_name,
    read_text,
    report_name,
)


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "some" / "where", DataLoader())
    made.prove_writable()
    return made


def test_the_folder_is_made_for_its_owner_and_group_and_left_empty(folder):
    assert folder.path.stat().st_mode & 0o027 == 0
    assert list(folder.path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_an_error(folder):
    folder.path.chmod(0o500)
    with pytest.raises(FolderError, match=f"{folder.path}: this folder cannot be written to"):
        folder.prove_writable()


def test_what_is_not_a_folder_is_an_error(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(FolderError, match="file: this folder cannot be written to; set report_dir to another one: File exists"):
        Folder(tmp_path / "file", DataLoader()).prove_writable()


def test_a_file_is_complete_on_the_disk_and_not_readable_for_others(folder, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(Path(f"/proc/self/fd/{descriptor}").resolve()), real(descriptor)))
    path = folder.write("recipe.json", "whole")
    assert path == folder.path / "recipe.json"
    assert synced[0].name.startswith(".recipe.json.")
    assert synced[1:] == [folder.path]
    assert folder.read("recipe.json") == "whole"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in folder.path.iterdir()] == ["recipe.json"]


def test_a_file_keeps_its_mode(folder):
    folder.write("recipe.json", "old").chmod(0o600)
    assert folder.write("recipe.json", "new").stat().st_mode & 0o777 == 0o600


def test_the_old_file_stays_until_the_new_one_is_whole(folder, monkeypatch):
    folder.write("recipe.json", "old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FolderError, match=r"recipe.json: it cannot be written: No space left on device"):
        folder.write("recipe.json", "new")
    assert folder.read("recipe.json") == "old"
    assert [entry.name for entry in folder.path.iterdir()] == ["recipe.json"]


def test_a_link_stays_a_link(folder, tmp_path):
    (tmp_path / "real.json").write_text("old", encoding="utf-8")
    (folder.path / "recipe.json").symlink_to(tmp_path / "real.json")
    folder.write("recipe.json", "new")
    assert (folder.path / "recipe.json").is_symlink()
    assert (tmp_path / "real.json").read_text(encoding="utf-8") == "new"


def test_a_missing_file_reads_as_none_and_an_unreadable_file_is_an_error(folder):
    assert folder.read("recipe.json") is None
    (folder.path / "folder.json").mkdir()
    (folder.path / "dangling.json").symlink_to("nowhere")
    (folder.path / "bytes.json").write_bytes(b"\xff")
    os.mkfifo(folder.path / "pipe.json")
    (folder.path / "device.json").symlink_to("/dev/zero")
    (folder.path / "vault.json").write_text("$ANSIBLE_VAULT;1.1;AES256\n3832\n", encoding="utf-8")
    for name, message in (
        ("folder.json", "Is a directory"),
        ("dangling.json", "No such file"),
        ("bytes.json", "not UTF-8 text"),
        ("vault.json", ""),
        ("pipe.json", "not a regular file"),
        ("device.json", "not a regular file"),
    ):
        with pytest.raises(FolderError, match=f"{name}: it cannot be read: .*{message}"):
            folder.read(name)
    with pytest.raises(FolderError, match=r"none.json: it cannot be read: No such file"):
        read_text(DataLoader(), folder.path / "none.json")
    with pytest.raises(FolderError, match=r"a\x00b: it cannot be read: its path has a NUL byte"):
        read_text(DataLoader(), "/a\x00b")


SECRET = VaultSecret(b"correct horse")


def vault_loader() -> DataLoader:
    loader = DataLoader()
    loader.set_vault_secrets([("other", VaultSecret(b"wrong")), ("prod", SECRET)])
    return loader


@pytest.mark.parametrize("vault_id", ["prod", None])
def test_an_encrypted_file_is_replaced_by_one_that_is_encrypted_alike(folder, vault_id):
    path = folder.path / "recipe.json"
    path.write_bytes(VaultLib([("prod", SECRET)]).encrypt("old", SECRET, vault_id=vault_id))
    header = path.read_bytes().splitlines()[0]
    encrypted = Folder(folder.path, vault_loader())
    encrypted.write("recipe.json", "192.0.2.1")
    assert path.read_bytes().splitlines()[0] == header
    assert encrypted.read("recipe.json") == "192.0.2.1"


def test_an_encrypted_file_without_its_password_is_never_replaced(folder):
    path = folder.path / "recipe.json"
    path.write_bytes(VaultLib([("prod", SECRET)]).encrypt("old", SECRET))
    before = path.read_bytes()
    with pytest.raises(FolderError, match=r"recipe.json: it is encrypted with Ansible Vault, and is never replaced with plain text"):
        folder.write("recipe.json", "192.0.2.1")
    assert path.read_bytes() == before


def test_every_file_of_an_encrypted_plan_is_encrypted_in_any_folder(folder, tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_bytes(VaultLib([("prod", SECRET)]).encrypt("plan", SECRET, vault_id="prod"))
    path = Folder(folder.path, vault_loader(), like=plan).write("recipe.json", "192.0.2.1")
    assert is_encrypted(path.read_bytes())
    plan.write_text("plan", encoding="utf-8")
    path = Folder(folder.path, vault_loader(), like=plan).write("clear.json", "192.0.2.1")
    assert path.read_text(encoding="utf-8") == "192.0.2.1"


# -- the lock

PLAN = "a" * 64
LOCK = "lock-aaaaaaaaaaaa"
COLLECTIONS = str(Path(_folder.__file__).parents[5])
HOLD = """
import sys
from ansible_collections.alicloud_ops.network.plugins.plugin_utils._folder import Folder
with Folder(sys.argv[1], None).lock("a" * 64):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([COLLECTIONS, *sys.path])},
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_run_learns_who_holds_the_lock_and_the_first_removes_it(folder, holder):
    with (
        pytest.raises(FolderError, match=rf"{LOCK}: another run works on this plan \(run, process {holder.pid} on .* since 20"),
        folder.lock(PLAN),
    ):
        pass
    with folder.lock("b" * 64):
        pass
    # No pattern for the plans, recipes or documents of the folder matches the lock.
    assert [path.name for pattern in ("plan*", "recipe*", "*.json") for path in folder.path.glob(pattern)] == []
    holder.communicate("")
    assert list(folder.path.iterdir()) == []


def test_a_killed_run_leaves_its_lock_file_so_that_the_next_run_knows(folder, holder):
    holder.kill()
    holder.communicate()
    assert (folder.path / LOCK).exists()
    with folder.lock(PLAN) as unfinished:
        assert unfinished.startswith(f"run, process {holder.pid} on ")
    with folder.lock(PLAN) as unfinished:
        assert unfinished == ""


@pytest.mark.parametrize(("error", "stays"), [(KeyboardInterrupt, True), (ValueError, False)])
def test_an_interrupted_run_did_not_end_and_a_failed_one_did(folder, error, stays):
    with pytest.raises(error), folder.lock(PLAN):
        raise error
    assert (folder.path / LOCK).exists() is stays
    with folder.lock(PLAN):
        pass


def test_a_lock_file_that_was_removed_meanwhile_is_not_a_lock(folder, monkeypatch):
    locked, lock = [], fcntl.flock

    def removed_the_first_time(file, how):
        locked.append(lock(file, how))
        if len(locked) == 1:
            (folder.path / LOCK).unlink()

    monkeypatch.setattr("fcntl.flock", removed_the_first_time)
    with folder.lock(PLAN):
        assert len(locked) == 2
        assert (folder.path / LOCK).exists()


def test_a_run_that_is_about_to_end_is_waited_for(folder, holder):
    threading.Timer(0.5, holder.kill).start()
    with folder.lock(PLAN, patience=60) as unfinished:
        assert unfinished.startswith(f"run, process {holder.pid} on ")


def test_slices_share_the_lock_of_their_plan_and_exclude_all_other_runs(folder):
    with folder.lock(PLAN, shared=True) as earlier, folder.lock(PLAN, shared=True):
        assert earlier == ""
        with pytest.raises(FolderError, match=r"another run works on this plan \(a slice of it\)"), folder.lock(PLAN):
            pass
    assert list(folder.path.iterdir()) == []


def test_a_slice_waits_for_a_run_that_has_the_lock_alone(folder, holder):
    waited = []
    with pytest.raises(FolderError, match=f"process {holder.pid}"), folder.lock(PLAN, 0.3, "unassign", waited.append, shared=True):
        pass
    assert [f"process {holder.pid}" in text for text in waited] == [True]


def test_slices_leave_the_text_of_a_killed_run_to_the_next_run_that_has_the_lock_alone(folder, holder):
    holder.kill()
    holder.communicate()
    for _slice in range(2):
        with folder.lock(PLAN, shared=True) as unfinished:
            assert unfinished.startswith(f"run, process {holder.pid} on ")
    with folder.lock(PLAN) as unfinished:
        assert unfinished.startswith(f"run, process {holder.pid} on ")
    assert list(folder.path.iterdir()) == []


@pytest.mark.parametrize(("error", "stays"), [(KeyboardInterrupt, True), (ValueError, False)])
def test_an_interrupted_slice_leaves_the_file(folder, error, stays):
    with pytest.raises(error), folder.lock(PLAN, shared=True):
        raise error
    assert (folder.path / LOCK).exists() is stays
    with folder.lock(PLAN):
        pass


def test_names():
    digest = "0123456789abcdef"
    assert document_name("recipe", digest) == "recipe-0123456789ab.json"
    assert report_name("unassign", digest, "2026-01-02T03:04:05+00:00", "html") == "unassign-0123456789ab-20260102T030405Z.html"
    # The time may be from an artifact.
    assert report_name("unassign", digest, "2026/../../../tmp/1", "html") == "unassign-0123456789ab-2026Z.html"
    assert report_name("unassign", digest, "/etc/1", "html") == "unassign-0123456789ab-1Z.html"
    assert default_folder({"XDG_STATE_HOME": "/state", "HOME": "/home/me"}) == Path("/state/alicloud_ops.network")
    for environ in ({"HOME": "/home/me"}, {"XDG_STATE_HOME": "", "HOME": "/home/me"}, {"XDG_STATE_HOME": "state", "HOME": "/home/me"}):
        assert default_folder(environ) == Path("/home/me/.local/state/alicloud_ops.network")
    assert default_folder({}) == Path.home() / ".local/state/alicloud_ops.network"


def test_a_link_that_leads_nowhere_is_named(folder):
    """It may lead to an encrypted file, for example on a file system that is not mounted."""
    (folder.path / "recipe.json").symlink_to(folder.path / "nowhere" / "recipe.json")
    folder.belong("recipe.json")
    assert folder.encrypts()
    with pytest.raises(FolderError, match=r"recipe\.json: it cannot be read: No such file or directory"):
        folder.write("plan.json", "{}")
    assert [path.name for path in folder.path.iterdir()] == ["recipe.json"]
