"""Digests: of files, of the code, of values. What keys are made of."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from common.errors import BadInput

_ROOT = Path(__file__).parent.parent
_CHUNK = 1 << 20
_SAMPLES = 16
_IMPORT = re.compile(r"^\s*(?:from\s+(common[\w.]*)\s+import\s+(\([^)]*\)|.*)|import\s+(common[\w.]*))", re.MULTILINE)
_OF_CHECKOUTS = (".py", ".yaml", ".yml")
_DATA = (".json", ".html", ".css", ".svg")  # what code reads from its own folder


def of_file(path: Path) -> str:
    """sha256 of a whole file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def of_model(path: Path) -> str:
    """sha256 of a model file, or of the code and settings of a checkout, wherever it lies.

    A run asks for it several times for each video, so a file that is as it was (size, time, inode) is not read again.

    Raises:
        OSError: it is not there, or may not be read.
    """
    status = path.stat()
    if not path.is_dir():
        return _of_unchanged(path, status.st_size, status.st_mtime_ns, status.st_ino)
    digest = hashlib.sha256()
    for source in _sources(path):
        digest.update(f"{source.relative_to(path).as_posix()}\0{of_file(source)}\0".encode())
    return digest.hexdigest()


def _sources(checkout: Path) -> list[Path]:
    """Code and settings of a checkout, sorted, without what is hidden or a virtual environment."""
    found: list[Path] = []
    for folder, inner, names in os.walk(checkout):
        inner[:] = [name for name in inner if name[0] != "." and not Path(folder, name, "pyvenv.cfg").exists()]
        found += [Path(folder, name) for name in names if name.endswith(_OF_CHECKOUTS)]
    return sorted(found)


@functools.lru_cache(maxsize=32)
def _of_unchanged(path: Path, size: int, changed_ns: int, inode: int) -> str:
    return of_file(path)


def of_recording(path: Path) -> str:
    """An identity of a recording without reading all of it: its size, its first and last MiB and 16 samples between.

    A take is tens of gigabytes; hashing it whole would cost more than the stages that read it. Cutting, re-encoding or
    replacing a file changes its size or its ends; flipping single bytes in the middle may go unnoticed.

    Raises:
        BadInput: a folder, a pipe or a device; opening a pipe would wait for ever.
        OSError: it is gone, or may not be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise BadInput(f"{path.name}: not a regular file. Copy the recording to a file.")
    with path.open("rb") as handle:
        return of_opened_recording(handle)


def of_opened_recording(handle: BinaryIO) -> str:
    """The same of a recording that is open; it is read at a few places only, wherever it lies."""
    size = handle.seek(0, io.SEEK_END)
    handle.seek(0)
    digest = hashlib.sha256(str(size).encode())
    if size <= 4 * _CHUNK:
        digest.update(handle.read())
    else:
        for i in range(_SAMPLES + 2):
            handle.seek(i * (size - _CHUNK) // (_SAMPLES + 1))
            digest.update(handle.read(_CHUNK if i in (0, _SAMPLES + 1) else _CHUNK // 16))
    return digest.hexdigest()


def of_value(value: object) -> str:
    """sha256 of a JSON value, independent of the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def of_json_entry(content: bytes, *, section: str, name: str) -> str | None:
    """Digest of one named entry of a section of a JSON file: readers of that entry do not care about its neighbours.

    None if there is no such entry.
    """
    document = json.loads(content)
    entries = document.get(section) if isinstance(document, dict) else None
    return of_value(entries[name]) if isinstance(entries, dict) and name in entries else None


@functools.cache
def of_code(stage: str) -> str:
    """sha256 of the code that can change a stage's result: its own folder and what that imports from `common`."""
    digest = hashlib.sha256()
    for path in code_of(stage):
        digest.update(f"{path.relative_to(_ROOT).as_posix()}\0{_of_source(path)}\0".encode())
    return digest.hexdigest()


def code_of(stage: str) -> list[Path]:
    """The files that `of_code` stands for, sorted: all of the stage's own, and modules of `common` that they lead to.

    Imports inside functions count. What is no Python counts in the stage's own folder only: `common` has just the
    weights' lock file, and the digest of every model that is used is part of the key by itself.
    """
    own = {path for path in (_ROOT / "stages" / stage).rglob("*") if path.suffix in (".py", *_DATA)}
    found, fresh = set(own), list(own)
    while fresh:
        new = set(_imported_by(fresh.pop())) - found
        found |= new
        fresh += new
    return sorted(found)


@functools.cache
def _of_source(path: Path) -> str:
    return of_file(path)


@functools.cache
def _imported_by(path: Path) -> tuple[Path, ...]:
    """Modules of `common` that the text of a module imports.

    By pattern, in a tenth of the time of a parser; a test compares the two.
    """
    if path.suffix != ".py":
        return ()
    found: set[Path] = set()
    for module, names, plain in _IMPORT.findall(path.read_text(encoding="utf-8")):
        for name in re.findall(r"\w+", re.sub(r"#.*", "", names)):
            found.update(_modules(f"{module}.{name}"))
        found.update(_modules(module or plain))
    return tuple(found)


@functools.cache
def _modules(name: str) -> tuple[Path, ...]:
    """The file of a module and those of the packages that it lies in; names that are no modules add nothing."""
    parts = name.split(".")
    files = (_ROOT.joinpath(*parts[:count], "__init__.py") for count in range(1, len(parts) + 1))
    return tuple(path for path in (*files, _ROOT.joinpath(*parts).with_suffix(".py")) if path.is_file())


@functools.cache
def version(distribution: str) -> str:
    """The installed version of a distribution, "" if it is not installed."""
    import importlib.metadata  # half of what the harness costs to import, and `--help` does not need it

    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
