"""The lock file: every file that is fetched, the registry package that holds it, its digest and its licence.

A registry package is named, never located: the registry's own client knows where to get it.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from common.errors import BadInput, UsageError

FORMAT = 1
REGISTRIES = ("npm", "pypi")
CONVERSIONS = ("tfjs-to-onnx",)

_WEIGHTS = Path(__file__).with_name("lock.json")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Archive:
    """One version of a registry package, as the archive that the registry serves.

    Attributes:
        registry: "npm" or "pypi".
        package: its name there.
        version: exact.
        size: bytes.
        sha256: of the archive, hexadecimal.
    """

    registry: str
    package: str
    version: str
    size: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.registry} {self.package} {self.version}"


@dataclass(frozen=True)
class LockedFile:
    """One file that the code opens.

    Attributes:
        name: what the code calls it.
        file: path below the folder of fetched files, with "/".
        backends: who uses it; empty for data.
        archive: where it comes from.
        members: paths in the archive: the file itself, or what it is converted from.
        conversion: None, or one of CONVERSIONS.
        size: bytes of the file.
        sha256: of the file (after conversion: conversions are reproducible), hexadecimal.
        licence: SPDX name, with a word on what it covers where several apply.
        notice: the owner, and what is known about the licence.
    """

    name: str
    file: str
    backends: tuple[str, ...]
    archive: Archive
    members: tuple[str, ...]
    conversion: str | None
    size: int
    sha256: str
    licence: str
    notice: str


@dataclass(frozen=True)
class NpmClient:
    """A PyPI package that carries npm, for machines that have none: version and digests of its wheels."""

    package: str
    version: str
    sha256: tuple[str, ...]


@dataclass(frozen=True)
class Lock:
    """A lock file's content."""

    files: tuple[LockedFile, ...]
    npm_client: NpmClient | None

    def find(self, name: str) -> LockedFile:
        """The file called `name`. Raises UsageError that lists the names there are."""
        for file in self.files:
            if file.name == name:
                return file
        known = ", ".join(file.name for file in self.files)
        raise UsageError(f"no model file is called {name!r}; the lock file has {known}.")

    def used_by(self, backend: str | None) -> tuple[LockedFile, ...]:
        """The files of one backend, or all. Raises UsageError for a backend that has none."""
        files = tuple(file for file in self.files if backend is None or backend in file.backends)
        if not files:
            known = ", ".join(sorted({backend for file in self.files for backend in file.backends}))
            raise UsageError(f"no weights are locked for the backend {backend!r}; there are some for {known}.")
        return files


@functools.cache
def weights_lock() -> Lock:
    """The lock file of the model weights."""
    return load(_WEIGHTS)


def load(path: Path) -> Lock:
    """The content of a lock file.

    Raises:
        BadInput: it is not one; names the file and the entry.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        _require(content["format"] == FORMAT, f"format {content['format']!r} instead of {FORMAT}")
        archives = {name: _read_archive(name, entry) for name, entry in content["archives"].items()}
        files = tuple(_read_file(entry, archives) for entry in content["files"])
        _require(len({file.name for file in files}) == len(files), "two files have the same name")
        _require(len({file.file for file in files}) == len(files), "two files have the same path")
        client = content.get("npm_client")
        return Lock(files=files, npm_client=None if client is None else _read_client(client))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise BadInput(f"{path}: not a valid lock file: {reason}. Restore it from the repository.") from error


def _read_archive(name: str, entry: Mapping[str, Any]) -> Archive:
    _require(entry["registry"] in REGISTRIES, f"archive {name}: registry {entry['registry']!r}")
    for key in ("package", "version"):
        # An option or a path in its place would reach the registry client's command line.
        _require(re.fullmatch(r"[@\w][\w@/.+-]*", entry[key]) is not None, f"archive {name}: {key} {entry[key]!r}")
    return Archive(
        registry=entry["registry"],
        package=entry["package"],
        version=entry["version"],
        size=_read_size(entry, f"archive {name}"),
        sha256=_read_digest(entry["sha256"], f"archive {name}"),
    )


def _read_file(entry: Mapping[str, Any], archives: Mapping[str, Archive]) -> LockedFile:
    where = f"file {entry['name']}"
    path = PurePosixPath(entry["file"])
    _require(not path.is_absolute() and ".." not in path.parts, f"{where}: path {entry['file']!r} leads out")
    _require(entry["archive"] in archives, f"{where}: archive {entry['archive']!r} is not described")
    _require(entry["conversion"] in (None, *CONVERSIONS), f"{where}: conversion {entry['conversion']!r}")
    expected = 1 if entry["conversion"] is None else 2
    _require(len(entry["members"]) == expected, f"{where}: {len(entry['members'])} members instead of {expected}")
    for key in ("licence", "notice"):
        _require(bool(entry[key]), f"{where}: {key} is empty")
    return LockedFile(
        name=entry["name"],
        file=entry["file"],
        backends=tuple(entry["backends"]),
        archive=archives[entry["archive"]],
        members=tuple(entry["members"]),
        conversion=entry["conversion"],
        size=_read_size(entry, where),
        sha256=_read_digest(entry["sha256"], where),
        licence=entry["licence"],
        notice=entry["notice"],
    )


def _read_client(entry: Mapping[str, Any]) -> NpmClient:
    digests = tuple(_read_digest(digest, "npm_client") for digest in entry["sha256"])
    return NpmClient(package=entry["package"], version=entry["version"], sha256=digests)


def _read_size(entry: Mapping[str, Any], where: str) -> int:
    _require(type(entry["bytes"]) is int and entry["bytes"] > 0, f"{where}: bytes {entry['bytes']!r}")
    return int(entry["bytes"])


def _read_digest(digest: str, where: str) -> str:
    _require(_SHA256.fullmatch(digest) is not None, f"{where}: sha256 {digest!r}")
    return digest


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise ValueError(problem)
