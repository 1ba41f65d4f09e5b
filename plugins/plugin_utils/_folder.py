# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The folder of a run. A file is always complete, one run at a time works on a plan, and an encrypted plan is never written as plain
text.

Private to this collection. An error names the path.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from ansible.errors import AnsibleError
from ansible.parsing.vault import is_encrypted_file, parse_vaulttext_envelope

from ansible_collections.alicloud_ops.network.plugins.module_utils import _clock

FOLDER_MODE, FILE_MODE = 0o750, 0o640


class FolderError(OSError):
    """A file or folder of a run cannot be used. The message names its path."""


def default_folder(environ: Mapping[str, str]) -> Path:
    """Where runs keep their files if no folder is named. A relative XDG_STATE_HOME is ignored, as its specification says."""
    state = Path(environ.get("XDG_STATE_HOME", ""))
    home = Path(environ.get("HOME") or Path.home())
    return (state if state.is_absolute() else home / ".local" / "state") / "alicloud_ops.network"


def document_name(kind: str, plan_digest: str) -> str:
    """``kind``: plan or recipe."""
    return f"{kind}-{plan_digest[:12]}.json"


def lock_name(plan_digest: str) -> str:
    return f"lock-{plan_digest[:12]}"


def report_name(operation: str, plan_digest: str, started: str, ending: str) -> str:
    """``started``: UTC, ISO 8601. It may be from an artifact, so nothing of it leads to another folder. ``ending``: json, md or html."""
    return f"{operation}-{plan_digest[:12]}-{re.sub(r'[+.].*|[^0-9T]', '', started)}Z.{ending}"


@contextmanager
def _naming(path: str | Path, what: str) -> Iterator[None]:
    """Errors of the system as FolderError with the path."""
    try:
        yield
    except FolderError:
        raise
    except UnicodeError:
        raise FolderError(f"{path}: {what}: it is not UTF-8 text") from None
    except ValueError:  # its text differs from one Python to the next
        raise FolderError(f"{path}: {what}: its path has a NUL byte") from None
    except (OSError, AnsibleError) as error:
        cause = error.strerror if isinstance(error, OSError) else str(error)
        raise FolderError(f"{path}: {what}: {(cause or str(error)).splitlines()[0]}") from None


def read_text(loader: Any, path: str | Path) -> str:
    """A file of the controller, decrypted if it is encrypted with Ansible Vault."""
    with _naming(path, "it cannot be read"):
        _open(path).close()  # its error has a cause, and the error of the loader does not
        text = str(loader.get_text_file_contents(str(path)))
        text.encode()  # fails for bytes that are not UTF-8, which the loader accepts
        return text


class Folder:
    """The folder of a run. ``like``: a file. If it, or a file that ``belong`` names, is encrypted with Ansible Vault, every file here is
    encrypted in the same way."""

    def __init__(self, path: str | Path, loader: Any, like: str | Path | None = None) -> None:
        self.path = Path(path)
        self._loader = loader
        self._like = [Path(like)] if like else []

    def with_folder_of(self, document: str | None) -> list[Folder]:
        """This folder first. If a saved document is in another folder that can be written to, that one too. Locks and marks are in both,
        so that two runs of a document find them although their ``report_dir`` differs."""
        other = Path(os.path.realpath(document)).parent if document else self.path
        is_other = other != Path(os.path.realpath(self.path)) and os.access(other, os.W_OK | os.X_OK)
        return [self, Folder(other, self._loader)] if is_other else [self]

    def belong(self, *names: str) -> None:
        """Name files of the folder. If one of them is encrypted, this run encrypts all its files."""
        self._like += [self.path / name for name in names]

    def encrypts(self) -> bool:
        """Whether files of the run are encrypted."""
        try:
            return any(map(_is_encrypted_file, self._like))
        except OSError:
            return True  # it is unknown, and the caller must not send the content of a file that may be encrypted

    def prove_writable(self) -> None:
        """Make the folder if it does not exist, and write to it. So a run that cannot save its files fails before its first write."""
        with _naming(self.path, "this folder cannot be written to; set report_dir to another one"):
            new = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
            self.path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            for folder in new:
                _sync_folder(folder.parent)
            with tempfile.TemporaryFile(dir=self.path) as file:
                file.write(b"written")

    def read(self, name: str) -> str | None:
        """The text of a file, or None if it does not exist. A file that cannot be read is an error, and never counts as missing."""
        with _naming(self.path / name, "it cannot be read"):
            return read_text(self._loader, self.path / name) if _exists(self.path / name) else None

    def seconds_since(self, pattern: str) -> float:
        """Since the newest of these files was written; infinite if there is none."""
        with _naming(self.path, "it cannot be read"):
            return time.time() - max((path.stat().st_mtime for path in self.path.glob(pattern)), default=float("-inf"))

    def write(self, name: str, text: str) -> Path:
        """Replace a file at once: the old one stays until the new one is complete on the disk. Returns its path."""
        with _naming(self.path / name, "it cannot be written"):
            target = Path(os.path.realpath(self.path / name))
            encrypt = next((self._encryption_of(path) for path in (target, *self._like) if _is_encrypted_file(path)), None)
            mode = target.stat().st_mode & 0o777 if _exists(target) else FILE_MODE
            descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            try:
                with open(descriptor, "wb") as file:
                    file.write(encrypt(text) if encrypt else text.encode())
                    file.flush()
                    os.fchmod(file.fileno(), mode)
                    os.fsync(file.fileno())
                os.replace(temporary, target)
            except BaseException:
                os.unlink(temporary)
                raise
            _sync_folder(target.parent)
        return self.path / name

    def _encryption_of(self, path: Path) -> Callable[[str], bytes]:
        """A function that encrypts a text with the vault secret of this file."""
        data = path.read_bytes()
        try:
            vault = self._loader._vault  # the loader has no public access to it
            secret = vault.decrypt_and_get_vault_id(data)[2]
        except (AnsibleError, AttributeError):
            what = "is encrypted with Ansible Vault, and is never replaced with plain text"
            raise FolderError(f"{path}: it {what}; run Ansible with its vault password, or set report_dir to another folder") from None
        return lambda text: vault.encrypt(text, secret, vault_id=parse_vaulttext_envelope(data)[3])

    @contextmanager
    def lock(
        self,
        plan_digest: str,
        patience: float = 0,
        operation: str = "run",
        wait: Callable[[str], None] = lambda holder: None,
        *,
        shared: bool = False,
    ) -> Iterator[str]:
        """Let one run at a time work on a plan. Yields the text of an earlier run that held the lock and did not end regularly, or ''.
        ``patience``: seconds to wait for another run to end. ``wait``: called once, with its description, before such a wait.
        ``operation``: the operation of this run, which becomes the first word of the file. ``shared``: slices of a plan share its lock,
        and write nothing into the file.

        The lock ends with the process. Its file stays if the process is killed or interrupted. Its name is neither plan-… nor ….json,
        so that it is never read as a document.
        """
        path = self.path / lock_name(plan_digest)
        with _naming(path, "it cannot be locked"):
            file, holder = _lock_file(path, _clock.now() + patience, operation, wait, shared)
        with file:
            try:
                yield holder
            except Exception:
                _remove_lock(path, file, shared)
                raise
            _remove_lock(path, file, shared)


def _lock_file(path: Path, deadline: float, operation: str, wait: Callable[[str], None], shared: bool) -> tuple[TextIO, str]:
    """The open file that holds the lock, and its text about the last holder."""
    waits = False
    while True:
        file = open(os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE), "r+", encoding="utf-8", errors="replace")  # noqa: SIM115 - the caller closes it
        holder = file.read(200).strip()
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            holder = holder or "a slice of it"
            if _clock.now() >= deadline:
                raise FolderError(f"{path}: another run works on this plan ({holder}); wait until it ends") from None
            if not waits:
                wait(holder)
            waits = True
            _clock.sleep(0.25)
            continue
        if not _exists(path) or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
            file.close()  # its holder has just removed it, and the next run would lock another file
            continue
        if shared:
            return file, holder
        file.seek(0)
        file.truncate()
        since = datetime.now(UTC).isoformat(timespec="seconds")
        file.write(f"{operation}, process {os.getpid()} on {socket.gethostname()} since {since}\n")
        file.flush()
        return file, holder


def _remove_lock(path: Path, file: TextIO, shared: bool) -> None:
    """Slices leave the file to the last of them, and the text of an interrupted run to the next run that has the lock alone."""
    if shared:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if os.fstat(file.fileno()).st_size:
            return
    path.unlink(missing_ok=True)


def _is_encrypted_file(path: Path) -> bool:
    """Reads only the beginning, because each write calls this. A file that does not exist is not encrypted."""
    if not _exists(path):
        return False
    with _naming(path, "it cannot be read"), _open(path) as file:
        return bool(is_encrypted_file(file))


def _open(path: str | Path) -> BinaryIO:
    """Open a file for reading. A pipe could block for ever, and a device could have no end, so they are errors."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # for a folder, open has a good error
        raise OSError(errno.EINVAL, "it is not a regular file")
    return open(path, "rb")


def _exists(path: Path) -> bool:
    """Unlike ``Path.exists``, this raises an error if the folder cannot be searched."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _sync_folder(path: Path) -> None:
    """Make sure that new file names of this folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
