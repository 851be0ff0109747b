"""Puts the official package sam2 into a folder of packages, out of an archive of its sources that is checked first.

    python3 unpack_sam2.py https://github.com/facebookresearch/sam2/archive/<commit>.zip /opt/python

No index carries the authors' own package, and the archives that a commit is served as are not the same bytes for ever.
What counts is in them: one digest over every file that is taken. Nothing in an archive is run, its setup.py neither:
the package is Python and YAML, but for a CUDA extension that fills holes in masks and is left out.
"""

from __future__ import annotations

import hashlib
import io
import re
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path

DIGEST = "a880bf88665243a380e10c801f8eb35eeba322a716b3469a1dcacb260bb523d2"
"""Of facebookresearch/sam2 at commit 2b90b9f5ceec907a1c18123530e92e794ad901a4, for which the adapter was written."""

TAKEN = re.compile(r"[^/]+/(sam2/(?:.*/)?[^/]+\.py|sam2/configs/.*\.yaml|LICENSE\w*)")
"""Below the archive's one folder. sam2/*.yaml are links to the same configs, under the names of older versions."""

METADATA = "Metadata-Version: 2.1\nName: SAM-2\nVersion: 1.0\nLicense: Apache-2.0\n"
"""What its own setup.py says, as far as anybody asks."""


def files_of(archive: bytes) -> dict[str, bytes]:
    """What is taken of an archive, zip or tar: path -> content."""
    content = io.BytesIO(archive)
    if zipfile.is_zipfile(content):
        with zipfile.ZipFile(content) as opened:
            found = {name: opened.read(name) for name in opened.namelist() if TAKEN.fullmatch(name)}
    else:
        content.seek(0)
        with tarfile.open(fileobj=content) as tar:
            opened_files = {entry.name: tar.extractfile(entry) for entry in tar if TAKEN.fullmatch(entry.name)}
            found = {name: file.read() for name, file in opened_files.items() if file is not None}
    return {path.partition("/")[2]: content for path, content in found.items()}


def digest_of(files: dict[str, bytes]) -> str:
    """sha256 over the names and the digests of files, sorted: that of what `sha256sum` prints for them."""
    lines = [f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def install(files: dict[str, bytes], target: Path) -> None:
    """Writes the package, and the record by which Python knows its version."""
    record = target / "SAM_2-1.0.dist-info"
    for path, content in files.items():
        place = target / path if path.startswith("sam2/") else record / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    (record / "METADATA").write_text(METADATA, encoding="utf-8")


def main() -> None:
    """Ends with a message and exit code 1 if the archive holds anything else."""
    address, target = sys.argv[1:]
    with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 - whoever builds names it
        files = files_of(answer.read())
    found = digest_of(files)
    if found != DIGEST:
        raise SystemExit(f"{address}: sam2 in it has the digest {found}, expected {DIGEST}")
    install(files, Path(target))


if __name__ == "__main__":
    main()
