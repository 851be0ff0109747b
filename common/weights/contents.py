"""Whether models are what they are pinned to, byte for byte, wherever they lie: asked before many units need them."""

from __future__ import annotations

import hashlib

from common.storage.interface import Storage
from common.weights.hub_lock import HubModel
from common.weights.hub_remote import is_stored
from common.weights.lock import LockedFile, weights_lock
from common.weights.model_folder import FOLDER, inspect
from common.weights.pins import pin_of
from common.weights.store import is_verified, recorded_pins, remote, root


def damage(name: str) -> str:
    """What is wrong with a model that is where the weights are: "damaged: model.safetensors"; "" if nothing is.

    Reads all of it: 3.4 GB take 3 s from a local disk. On optional files nobody can judge.

    Raises:
        UsageError: the lock file has no such name.
        DiskError, TemporaryFailure, ConfigurationError: it cannot be read.
    """
    entry, elsewhere = weights_lock().find(name), remote()
    if isinstance(entry, LockedFile):
        is_good = is_verified(entry, root()) if elsewhere is None else is_stored_file(entry, elsewhere)
        return "" if is_good else f"damaged: {entry.file}"
    if not isinstance(entry, HubModel):
        return ""
    pin = pin_of(entry, {} if entry.is_pinned else recorded_pins(elsewhere))
    if pin is None:
        return "not fetched"
    if elsewhere is None:
        return str(inspect(root() / FOLDER / entry.name, pin.files))
    return "" if is_stored(entry.name, pin.files, elsewhere) else "damaged"


def is_stored_file(file: LockedFile, elsewhere: Storage) -> bool:
    """Whether a file lies there byte for byte: it is read, for fetching again is what mends a damaged one."""
    content = elsewhere.read(file.file) if elsewhere.size(file.file) == file.size else None
    return content is not None and hashlib.sha256(content).hexdigest() == file.sha256
