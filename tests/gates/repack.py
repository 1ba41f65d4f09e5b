# Copyright (c) alicloud_ops maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pack a tarball of ``ansible-galaxy collection build`` again, so that the same files always give the same bytes.

usage: SOURCE_DATE_EPOCH=SECONDS repack.py TARBALL

Names are sorted, also in FILES.json; times are SOURCE_DATE_EPOCH; owners are 0; modes are 755 for folders and for files that somebody
may execute, and 644 for others. MANIFEST.json gets the checksum of the new FILES.json, and comes first.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path

MANIFEST, FILES = "MANIFEST.json", "FILES.json"


def repack(tarball: Path, epoch: int) -> None:
    with tarfile.open(tarball, "r:gz") as packed:
        members = {member.name.removeprefix("./"): member for member in packed.getmembers()}
        contents = {name: packed.extractfile(member).read() for name, member in members.items() if member.isfile()}  # type: ignore[union-attr]

    files = json.loads(contents[FILES])
    files["files"].sort(key=lambda entry: entry["name"])
    contents[FILES] = as_galaxy_writes(files)
    manifest = json.loads(contents[MANIFEST])
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(contents[FILES]).hexdigest()
    contents[MANIFEST] = as_galaxy_writes(manifest)

    output = io.BytesIO()
    # No name and no time in the header of gzip.
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=output, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as packed,
    ):
        for name in sorted(members, key=lambda name: (name not in (MANIFEST, FILES), name != MANIFEST, name)):
            packed.addfile(normalized(members[name], name, len(contents.get(name, b"")), epoch), io.BytesIO(contents.get(name, b"")))
    temporary = tarball.with_suffix(".repacked")
    temporary.write_bytes(output.getvalue())
    temporary.replace(tarball)


def as_galaxy_writes(document: object) -> bytes:
    return json.dumps(document, indent=True).encode()


def normalized(member: tarfile.TarInfo, name: str, size: int, epoch: int) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size, made.mtime = member.type, member.linkname, size, epoch
    made.mode = 0o755 if member.isdir() or member.mode & 0o111 else 0o644
    return made


if __name__ == "__main__":
    repack(Path(sys.argv[1]), int(os.environ["SOURCE_DATE_EPOCH"]))
