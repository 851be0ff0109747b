"""Models of the Hugging Face Hub in the lock file: repository, revision, files with their digests.

A model is pinned as far as its digests are known for certain: each digest in the lock file is quoted by at least two
independent public projects for this very revision. A file without a digest is pinned by whoever fetches it first: see
`common.weights.pins`. Files that can carry code are never without: pickles are listed only where the model has nothing
else, and never without a digest; Python files never.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from common.weights.entries import read_digest, read_path, read_size, read_words, require

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_REVISION = re.compile(r"[0-9a-f]{40}")
_PICKLES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")  # TorchScript, which is also .pt, runs code as well


@dataclass(frozen=True)
class HubFile:
    """What a file has to be.

    Attributes:
        size: bytes.
        sha256: hexadecimal.
    """

    size: int
    sha256: str


@dataclass(frozen=True)
class HubModel:
    """One model.

    Attributes:
        name: what the code calls it; also its folder below the fetched models.
        repository: "owner/name" at the Hub.
        revision: the commit, 40 hexadecimal digits; None if it is pinned at the first fetch.
        backends: who uses it.
        is_default: whether `ghost weights fetch --backend` fetches it without being told its name.
        is_gated: whether its owner wants the licence accepted before the download.
        licence: SPDX name, or the licence's own name.
        notice: the owner, and what is known about the licence.
        files: path in the repository -> what it has to be; None if that is pinned at the first fetch.
    """

    name: str
    repository: str
    revision: str | None
    backends: tuple[str, ...]
    is_default: bool
    is_gated: bool
    licence: str
    notice: str
    files: Mapping[str, HubFile | None]

    @property
    def is_pinned(self) -> bool:
        """Whether the lock file alone says what every file has to be."""
        return self.revision is not None and all(self.files.values())

    def __str__(self) -> str:
        return self.repository if self.revision is None else f"{self.repository} at {self.revision[:12]}"


@dataclass(frozen=True)
class OptionalFile:
    """A file that improves results, that no registry has, and that users may put beside the weights themselves.

    Attributes:
        name: what the code calls it.
        file: path below the folder of the weights, with "/".
        backends: who uses it.
        licence: SPDX name.
        notice: the owner, and where it is to be found.
    """

    name: str
    file: str
    backends: tuple[str, ...]
    licence: str
    notice: str


def read_model(entry: Mapping[str, Any]) -> HubModel:
    """A model's entry. Raises ValueError, KeyError or TypeError for one that is not as it should be."""
    where = f"model {entry['name']}"
    require(_NAME.fullmatch(entry["name"]) is not None, f"{where}: a name becomes a folder's")
    require(_REPOSITORY.fullmatch(entry["repository"]) is not None, f"{where}: repository {entry['repository']!r}")
    for key in ("default", "gated"):
        require(type(entry[key]) is bool, f"{where}: {key} {entry[key]!r}")
    read_words(entry, where)
    files = {read_path(path, where): read_file(pin, f"{where}: {path}") for path, pin in entry["files"].items()}
    revision = None if entry["revision"] is None else read_revision(entry["revision"], where)
    require(bool(files), f"{where}: no files")
    require(revision is not None or not any(files.values()), f"{where}: digests of an unknown revision")
    suffixes = {path: PurePosixPath(path).suffix for path in files}
    for path, suffix in suffixes.items():
        require(suffix != ".py", f"{where}: {path}: code is never fetched")
        is_pickle = suffix in _PICKLES
        require(not is_pickle or files[path] is not None, f"{where}: {path}: a pickle without a digest")
        require(not is_pickle or ".safetensors" not in suffixes.values(), f"{where}: {path}: a pickle too many")
    return HubModel(
        name=entry["name"],
        repository=entry["repository"],
        revision=revision,
        backends=tuple(entry["backends"]),
        is_default=entry["default"],
        is_gated=entry["gated"],
        licence=entry["licence"],
        notice=entry["notice"],
        files=files,
    )


def read_optional_file(entry: Mapping[str, Any]) -> OptionalFile:
    """An optional file's entry. Raises as `read_model`."""
    where = f"optional file {entry['name']}"
    read_words(entry, where)
    return OptionalFile(
        name=entry["name"],
        file=read_path(entry["file"], where),
        backends=tuple(entry["backends"]),
        licence=entry["licence"],
        notice=entry["notice"],
    )


def read_revision(revision: str, where: str) -> str:
    """A commit's 40 hexadecimal digits: a branch or a tag can move."""
    require(_REVISION.fullmatch(revision) is not None, f"{where}: revision {revision!r}")
    return revision


def read_file(pin: Mapping[str, Any] | None, where: str) -> HubFile | None:
    """Size and digest of a file, or None."""
    return None if pin is None else HubFile(read_size(pin, where), read_digest(pin["sha256"], where))


def write_model(model: HubModel) -> dict[str, Any]:
    """The entry that `read_model` reads."""
    files = {path: None if file is None else write_file(file) for path, file in model.files.items()}
    return {
        "name": model.name,
        "repository": model.repository,
        "revision": model.revision,
        "backends": list(model.backends),
        "default": model.is_default,
        "gated": model.is_gated,
        "licence": model.licence,
        "notice": model.notice,
        "files": files,
    }


def write_file(file: HubFile) -> dict[str, Any]:
    """The entry that `read_file` reads."""
    return {"bytes": file.size, "sha256": file.sha256}
