"""The lock file: every file that is fetched, the registry package or the model repository that holds it, its digest
and its licence.

A registry package is named, never located: the registry's own client knows where to get it. So are models of the
Hugging Face Hub.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import BadInput, UsageError
from common.weights.entries import read_digest, read_path, read_size, read_words, require
from common.weights.hub_lock import HubModel, OptionalFile, read_model, read_optional_file

FORMAT = 1
REGISTRIES = ("npm", "pypi")
CONVERSIONS = ("tfjs-to-onnx",)

_WEIGHTS = Path(__file__).with_name("lock.json")


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


Entry = LockedFile | HubModel | OptionalFile


@dataclass(frozen=True)
class Lock:
    """A lock file's content."""

    files: tuple[LockedFile, ...]
    npm_client: NpmClient | None
    models: tuple[HubModel, ...] = ()
    optional: tuple[OptionalFile, ...] = ()

    def find(self, name: str) -> Entry:
        """What is called `name`. Raises UsageError that lists the names there are."""
        entries: tuple[Entry, ...] = (*self.files, *self.models, *self.optional)
        for entry in entries:
            if entry.name == name:
                return entry
        known = ", ".join(entry.name for entry in entries)
        raise UsageError(f"no model file is called {name!r}; the lock file has {known}.")

    def used_by(self, backend: str | None) -> tuple[LockedFile, ...]:
        """The files of one backend, or all. Raises UsageError for a backend that has neither files nor models."""
        files = tuple(file for file in self.files if backend is None or backend in file.backends)
        if not files and not any(backend in model.backends for model in self.models):
            entries: tuple[LockedFile | HubModel, ...] = (*self.files, *self.models)
            known = ", ".join(sorted({backend for entry in entries for backend in entry.backends}))
            raise UsageError(f"no weights are locked for the backend {backend!r}; there are some for {known}.")
        return files

    def models_of(self, backend: str | None, names: Sequence[str] = ()) -> tuple[HubModel, ...]:
        """Models of the Hub: those named, else those that the backend uses by default, else none.

        Raises:
            UsageError: no model of the Hub has that name, or the backend does not use it; lists those that it does.
        """
        known = [model for model in self.models if backend is None or backend in model.backends]
        if not names:
            return tuple(model for model in known if backend is not None and model.is_default)
        for name in names:
            if name not in {model.name for model in known}:
                choices = ", ".join(model.name for model in known) or "none"
                of = "" if backend is None else f" of the backend {backend}"
                raise UsageError(f"no model{of} is called {name!r}; to fetch by name there are: {choices}.")
        return tuple(model for model in known if model.name in names)


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
        require(content["format"] == FORMAT, f"format {content['format']!r} instead of {FORMAT}")
        archives = {name: _read_archive(name, entry) for name, entry in content["archives"].items()}
        files = tuple(_read_file(entry, archives) for entry in content["files"])
        models = tuple(read_model(entry) for entry in content.get("models", ()))
        optional = tuple(read_optional_file(entry) for entry in content.get("optional", ()))
        names = [file.name for file in files] + [model.name for model in models] + [file.name for file in optional]
        require(len(set(names)) == len(names), "two entries have the same name")
        paths = [file.file for file in files] + [file.file for file in optional]
        require(len(set(paths)) == len(paths), "two files have the same path")
        client = content.get("npm_client")
        client = None if client is None else _read_client(client)
        return Lock(files=files, npm_client=client, models=models, optional=optional)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise BadInput(f"{path}: not a valid lock file: {reason}. Restore it from the repository.") from error


def _read_archive(name: str, entry: Mapping[str, Any]) -> Archive:
    require(entry["registry"] in REGISTRIES, f"archive {name}: registry {entry['registry']!r}")
    for key in ("package", "version"):
        # An option or a path in its place would reach the registry client's command line.
        require(re.fullmatch(r"[@\w][\w@/.+-]*", entry[key]) is not None, f"archive {name}: {key} {entry[key]!r}")
    return Archive(
        registry=entry["registry"],
        package=entry["package"],
        version=entry["version"],
        size=read_size(entry, f"archive {name}"),
        sha256=read_digest(entry["sha256"], f"archive {name}"),
    )


def _read_file(entry: Mapping[str, Any], archives: Mapping[str, Archive]) -> LockedFile:
    where = f"file {entry['name']}"
    require(entry["archive"] in archives, f"{where}: archive {entry['archive']!r} is not described")
    require(entry["conversion"] in (None, *CONVERSIONS), f"{where}: conversion {entry['conversion']!r}")
    expected = 1 if entry["conversion"] is None else 2
    require(len(entry["members"]) == expected, f"{where}: {len(entry['members'])} members instead of {expected}")
    read_words(entry, where)
    return LockedFile(
        name=entry["name"],
        file=read_path(entry["file"], where),
        backends=tuple(entry["backends"]),
        archive=archives[entry["archive"]],
        members=tuple(entry["members"]),
        conversion=entry["conversion"],
        size=read_size(entry, where),
        sha256=read_digest(entry["sha256"], where),
        licence=entry["licence"],
        notice=entry["notice"],
    )


def _read_client(entry: Mapping[str, Any]) -> NpmClient:
    digests = tuple(read_digest(digest, "npm_client") for digest in entry["sha256"])
    return NpmClient(package=entry["package"], version=entry["version"], sha256=digests)
