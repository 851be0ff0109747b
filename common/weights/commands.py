"""`ghost weights fetch`, `list` and `pin`, without the command line."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import ModelUnavailable, UsageError
from common.storage.interface import Storage
from common.weights.contents import is_stored_file
from common.weights.fetch import fetch_files
from common.weights.hub_fetch import fetch_models
from common.weights.hub_lock import HubModel, OptionalFile, write_model
from common.weights.hub_remote import store_models
from common.weights.lock import LockedFile, weights_lock
from common.weights.model_folder import FOLDER, inspect
from common.weights.pins import PINS, Pin, pin_of, with_pin
from common.weights.store import find, is_verified, recorded_pins, remote, root, stored_sizes

_LOG = logging.getLogger("ghost.weights")
_NOTHING_TO_FETCH = {
    "fake": "needs no weights",
    "nlf": "takes the file of its model as an option (--nlf-model)",
}


@dataclass(frozen=True)
class Row:
    """A model, for a table.

    Attributes:
        name: what the code calls it.
        file: where its file or folder is, or would be.
        backends: who uses it.
        size: bytes, as far as they are known.
        licence: SPDX name, with a word on what it covers where several apply.
        notice: the owner, and what is known about the licence.
        state: "verified", "damaged" or "missing"; "stored" where it lies elsewhere and is verified when it is used;
            "present" if nobody knows what it has to be.
        source: registry, package and version; or repository and revision.
        pinned: who says what it has to be: "pinned by ghost", "pinned here on <date>", "not fetched" or "not pinned".
        is_gated: whether its owner wants the licence accepted before the download.
    """

    name: str
    file: str
    backends: tuple[str, ...]
    size: int
    licence: str
    notice: str
    state: str
    source: str
    pinned: str = "pinned by ghost"
    is_gated: bool = False


def fetch(backend: str | None = None, models: Sequence[str] = ()) -> list[str]:
    """Fetches weights; returns where they are.

    Args:
        backend: whose; None for all that registries have. Models of the Hub are gigabytes, and come only if they are
            asked for: by the backend or by name.
        models: models of the Hub by name, instead of those that the backend uses by default.

    Raises:
        UsageError: no weights are locked for that backend, or under that name.
        TemporaryFailure, ModelUnavailable, ConfigurationError, DiskError: see `common.weights.fetch.fetch_files` and
            `common.weights.hub_fetch.fetch_models`.
    """
    if backend in _NOTHING_TO_FETCH and not models:
        _LOG.info("the backend %s %s: nothing to fetch", backend, _NOTHING_TO_FETCH[backend])
        return []
    lock = weights_lock()
    files = () if models and backend is None else lock.used_by(backend)
    chosen, elsewhere = lock.models_of(backend, models), remote()
    if backend is None and not models and lock.models:
        others = ", ".join(sorted({backend for model in lock.models for backend in model.backends}))
        _LOG.info("models of the Hugging Face Hub are fetched one backend at a time: --backend with one of %s", others)
    if elsewhere is None:
        places = [*fetch_files(lock, files, root()), *fetch_models(chosen, root())]
        return [str(place) for place in places]
    missing = [file for file in files if not is_stored_file(file, elsewhere)]
    with tempfile.TemporaryDirectory(prefix="ghost-weights-") as folder:
        for file, path in zip(missing, fetch_files(lock, missing, Path(folder)), strict=True):
            elsewhere.write(file.file, path.read_bytes())
            _LOG.info("%s/%s: stored", elsewhere.uri, file.file)
    return [f"{elsewhere.uri}/{file.file}" for file in files] + store_models(chosen, elsewhere)


def listing() -> list[Row]:
    """All weights in the lock file and how they stand. Hashes the files that are on this machine."""
    lock, elsewhere = weights_lock(), remote()
    recorded = recorded_pins(elsewhere) if lock.models else {}
    return [
        *(_file_row(file, elsewhere) for file in lock.files),
        *(_model_row(model, recorded, elsewhere) for model in lock.models),
        *(_optional_row(file, elsewhere) for file in lock.optional),
    ]


def pin(backend: str | None = None, models: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The entries of models for the lock file, with what was recorded here filled in: fetched once, pinned for all.

    Args:
        backend: whose models; None for all.
        models: those named instead.

    Raises:
        UsageError: as `fetch`.
        ModelUnavailable: there is no record of one of them.
    """
    lock, recorded = weights_lock(), recorded_pins(remote())
    names = models or [model.name for model in lock.models if backend is None or backend in model.backends]
    if not names:
        raise UsageError(f"the backend {backend!r} has no models of the Hugging Face Hub: there is nothing to pin.")
    entries = []
    for model in lock.models_of(backend, names):
        found = pin_of(model, recorded)
        if found is None and (models or backend):
            raise ModelUnavailable(
                f"{model.name}: {PINS} does not have all of its files. Run `ghost weights fetch --model {model.name}`."
            )
        entries.append(write_model(model if found is None else with_pin(model, found)))
    return entries


def _file_row(file: LockedFile, elsewhere: Storage | None) -> Row:
    place, state = _here(file) if elsewhere is None else _there(file, elsewhere)
    return Row(
        name=file.name,
        file=place,
        backends=file.backends,
        size=file.size,
        licence=file.licence,
        notice=file.notice,
        state=state,
        source=str(file.archive),
    )


def _here(file: LockedFile) -> tuple[str, str]:
    folder = root()
    path = folder / file.file
    return str(path), "verified" if is_verified(file, folder) else "damaged" if path.exists() else "missing"


def _there(file: LockedFile, elsewhere: Storage) -> tuple[str, str]:
    size = elsewhere.size(file.file)
    state = "missing" if size is None else "stored" if size == file.size else "damaged"
    return f"{elsewhere.uri}/{file.file}", state


def _model_row(model: HubModel, recorded: Mapping[str, Pin], elsewhere: Storage | None) -> Row:
    found = pin_of(model, recorded)
    files = found.files if found else {path: file for path, file in model.files.items() if file}
    return Row(
        name=model.name,
        file=f"{root() if elsewhere is None else elsewhere.uri}/{FOLDER}/{model.name}",
        backends=model.backends,
        size=sum(file.size for file in files.values()),
        licence=model.licence,
        notice=model.notice,
        state=_model_state(model, found, elsewhere),
        source=str(model),
        pinned=found.origin if found else "not fetched",
        is_gated=model.is_gated,
    )


def _model_state(model: HubModel, found: Pin | None, elsewhere: Storage | None) -> str:
    if elsewhere is None:
        folder = root() / FOLDER / model.name
        if found is None or not folder.is_dir():
            return "missing"
        findings = inspect(folder, found.files)
        if findings.are_none:
            return "verified"
        return "missing" if len(findings.missing) == len(found.files) else "damaged"
    sizes = {} if found is None else stored_sizes(model.name, found.files, elsewhere)
    if found is None or not sizes:
        return "missing"
    return "stored" if sizes == {path: file.size for path, file in found.files.items()} else "damaged"


def _optional_row(file: OptionalFile, elsewhere: Storage | None) -> Row:
    found = find(file.name)
    return Row(
        name=file.name,
        file=f"{root() if elsewhere is None else elsewhere.uri}/{file.file}",
        backends=file.backends,
        size=found.stat().st_size if found else 0,
        licence=file.licence,
        notice=file.notice,
        state="present" if found else "missing",
        source="put there by hand",
        pinned="not pinned",
    )
