"""`ghost weights fetch` and `ghost weights list`, without the command line."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from common.weights.fetch import fetch_files
from common.weights.lock import weights_lock
from common.weights.store import is_verified, root

_LOG = logging.getLogger("ghost.weights")
_WITHOUT_WEIGHTS = ("fake",)  # backends that run no model


@dataclass(frozen=True)
class Row:
    """One model file, for a table.

    Attributes:
        name: what the code calls it.
        file: its path in the cache.
        backends: who uses it.
        size: bytes.
        licence: SPDX name, with a word on what it covers where several apply.
        notice: the owner, and what is known about the licence.
        state: "verified", "damaged" or "missing".
        source: registry, package and version.
    """

    name: str
    file: Path
    backends: tuple[str, ...]
    size: int
    licence: str
    notice: str
    state: str
    source: str


def fetch(backend: str | None = None) -> list[Path]:
    """Fetches the weights of one backend, or all; returns the files: none for a backend that needs none.

    Logs to "ghost.weights".

    Raises:
        UsageError: no weights are locked for that backend.
        TemporaryFailure, ModelUnavailable, DiskError: see `common.weights.fetch.fetch_files`.
    """
    if backend in _WITHOUT_WEIGHTS:
        _LOG.info("the backend %s needs no weights: nothing to fetch", backend)
        return []
    lock = weights_lock()
    return fetch_files(lock, lock.used_by(backend), root())


def listing() -> list[Row]:
    """All weights in the lock file and how they stand on this machine. Hashes the files that are there."""
    folder = root()
    rows = []
    for file in weights_lock().files:
        path = folder / file.file
        state = "verified" if is_verified(file, folder) else "damaged" if path.exists() else "missing"
        rows.append(
            Row(
                name=file.name,
                file=path,
                backends=file.backends,
                size=file.size,
                licence=file.licence,
                notice=file.notice,
                state=state,
                source=str(file.archive),
            )
        )
    return rows
