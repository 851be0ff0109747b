"""Models of the Hub on S3: fetched into scratch space, verified there, uploaded as a whole, pinned beside them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence

from common.storage.interface import CommitConflict, Storage
from common.weights.hub_fetch import bring
from common.weights.hub_lock import HubFile, HubModel
from common.weights.model_folder import FOLDER
from common.weights.pins import PINS, pin_of, render
from common.weights.store import recorded_pins, stored_files, stored_sizes

_LOG = logging.getLogger("ghost.weights")
_CHUNK = 4 << 20
_LISTING = ".stored"  # names of what was uploaded together end so; written last


def store_models(models: Sequence[HubModel], elsewhere: Storage) -> list[str]:
    """Makes sure that models are there, byte for byte, and that all their files are pinned; returns their places.

    Raises:
        As `common.weights.hub_fetch.fetch_models`.
    """
    for model in models:
        pin = pin_of(model, recorded_pins(elsewhere))
        if pin is None or not is_stored(model.name, pin.files, elsewhere):
            _store_model(model, elsewhere)
    return [f"{elsewhere.uri}/{FOLDER}/{model.name}" for model in models]


def is_stored(name: str, files: Mapping[str, HubFile], elsewhere: Storage) -> bool:
    """Whether a model lies there byte for byte: it is read, for fetching again is what mends a damaged file."""
    sizes = stored_sizes(name, files, elsewhere)
    if any(sizes.get(path) != file.size for path, file in files.items()):
        return False
    return all(_digest(f"{FOLDER}/{name}/{path}", elsewhere) == file.sha256 for path, file in files.items())


def _store_model(model: HubModel, elsewhere: Storage) -> None:
    with elsewhere.attempt(FOLDER, model.name) as attempt:
        pin = bring(model, recorded_pins(elsewhere), attempt / model.name, attempts=attempt)
        files = stored_files(model.name, pin.files)
        manifest = f"{FOLDER}/{model.name}{_LISTING}"
        try:
            elsewhere.commit(attempt, FOLDER, files, obsolete=(), manifest=manifest, content=render({model.name: pin}))
        except CommitConflict:
            _LOG.info("%s/%s/%s: another process has just stored it", elsewhere.uri, FOLDER, model.name)
        if not model.is_pinned:
            # Read again: others may have recorded other models meanwhile. There are no locks on S3; a record that is
            # lost between reading and writing is made again by the next fetch, and must agree with the files there.
            elsewhere.write(PINS, render({**recorded_pins(elsewhere), model.name: pin}))
    _LOG.info("%s/%s/%s: stored", elsewhere.uri, FOLDER, model.name)


def _digest(key: str, elsewhere: Storage) -> str:
    sha256 = hashlib.sha256()
    with elsewhere.open(key) as handle:
        while chunk := handle.read(_CHUNK):
            sha256.update(chunk)
    return sha256.hexdigest()
