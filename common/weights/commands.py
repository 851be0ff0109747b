"""`ghost weights fetch` and `ghost weights list`, without the command line."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

from common.storage.interface import Storage
from common.weights.fetch import fetch_files
from common.weights.lock import LockedFile, weights_lock
from common.weights.store import is_verified, remote, root

_LOG = logging.getLogger("ghost.weights")
_WITHOUT_WEIGHTS = ("fake",)  # backends that run no model


@dataclass(frozen=True)
class Row:
    """One model file, for a table.

    Attributes:
        name: what the code calls it.
        file: where it is, or would be.
        backends: who uses it.
        size: bytes.
        licence: SPDX name, with a word on what it covers where several apply.
        notice: the owner, and what is known about the licence.
        state: "verified", "damaged" or "missing"; "stored" where it lies elsewhere and is verified when it is used.
        source: registry, package and version.
    """

    name: str
    file: str
    backends: tuple[str, ...]
    size: int
    licence: str
    notice: str
    state: str
    source: str


def fetch(backend: str | None = None) -> list[str]:
    """Fetches the weights of one backend, or all; returns where they are: nowhere for a backend that needs none.

    Logs to "ghost.weights".

    Raises:
        UsageError: no weights are locked for that backend.
        TemporaryFailure, ModelUnavailable, DiskError: see `common.weights.fetch.fetch_files`.
    """
    if backend in _WITHOUT_WEIGHTS:
        _LOG.info("the backend %s needs no weights: nothing to fetch", backend)
        return []
    lock = weights_lock()
    files, elsewhere = lock.used_by(backend), remote()
    if elsewhere is None:
        return [str(path) for path in fetch_files(lock, files, root())]
    missing = [file for file in files if not _is_stored(file, elsewhere)]
    with tempfile.TemporaryDirectory(prefix="ghost-weights-") as folder:
        for file, path in zip(missing, fetch_files(lock, missing, Path(folder)), strict=True):
            elsewhere.write(file.file, path.read_bytes())
            _LOG.info("%s/%s: stored", elsewhere.uri, file.file)
    return [f"{elsewhere.uri}/{file.file}" for file in files]


def listing() -> list[Row]:
    """All weights in the lock file and how they stand. Hashes the files that are on this machine."""
    elsewhere = remote()
    rows = []
    for file in weights_lock().files:
        place, state = _here(file) if elsewhere is None else _there(file, elsewhere)
        rows.append(
            Row(
                name=file.name,
                file=place,
                backends=file.backends,
                size=file.size,
                licence=file.licence,
                notice=file.notice,
                state=state,
                source=str(file.archive),
            )
        )
    return rows


def _is_stored(file: LockedFile, elsewhere: Storage) -> bool:
    """Whether a file lies there byte for byte: fetching again is what mends a damaged one."""
    content = elsewhere.read(file.file) if elsewhere.size(file.file) == file.size else None
    return content is not None and hashlib.sha256(content).hexdigest() == file.sha256


def _here(file: LockedFile) -> tuple[str, str]:
    folder = root()
    path = folder / file.file
    return str(path), "verified" if is_verified(file, folder) else "damaged" if path.exists() else "missing"


def _there(file: LockedFile, elsewhere: Storage) -> tuple[str, str]:
    size = elsewhere.size(file.file)
    state = "missing" if size is None else "stored" if size == file.size else "damaged"
    return f"{elsewhere.uri}/{file.file}", state
