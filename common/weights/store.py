"""Where the model files lie, and whether they are what the lock file says: a folder, or s3://bucket/prefix.

A file is hashed each time it is asked for: 28 MB take 25 ms, less than loading the model, and no note about
an earlier check has to be believed.
"""

from __future__ import annotations

import os
from pathlib import Path

from common import fingerprint
from common.errors import ConfigurationError, ModelUnavailable, from_os_error
from common.storage.interface import Storage
from common.storage.open import open_storage
from common.weights.lock import LockedFile, weights_lock

VARIABLE = "GHOST_WEIGHTS"  # --weights sets it for a process and its children


def remote() -> Storage | None:
    """Where the weights are if $GHOST_WEIGHTS names no folder of this machine."""
    chosen = os.environ.get(VARIABLE, "")
    return open_storage(chosen) if "://" in chosen else None


def root() -> Path:
    """The folder of the fetched weights: $GHOST_WEIGHTS, else ghost/weights in the user's cache folder.

    Raises:
        ConfigurationError: there is no home folder, as for a user id that a container does not know.
    """
    chosen = os.environ.get(VARIABLE)
    cache = os.environ.get("XDG_CACHE_HOME")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        return (Path(cache) if cache else Path.home() / ".cache") / "ghost" / "weights"
    except RuntimeError as error:
        raise ConfigurationError(
            f"the folder of the weights: {error} Set {VARIABLE} to a folder that holds them, or may hold them."
        ) from error


def path(name: str) -> Path:
    """The verified file of a model.

    Raises:
        ModelUnavailable: it was not fetched, or is damaged.
        UsageError: the lock file has no such name.
        TemporaryFailure, ConfigurationError: the place where the weights are did not answer.
    """
    file, elsewhere = weights_lock().find(name), remote()
    if elsewhere is None:
        found: Path | None = root() / file.file
        place = str(found)
    else:
        found = elsewhere.localize(file.file) if elsewhere.size(file.file) is not None else None
        place = f"{elsewhere.uri}/{file.file}"
    if found is None or not matches(file, found):
        state = "is damaged" if found is not None and found.exists() else "is missing"
        advice = f"Run `ghost weights fetch --backend {file.backends[0]}`."
        raise ModelUnavailable(f"the weights of {name} at {place}: the file {state}. {advice}")
    return found


def digest(name: str) -> str:
    """What identifies a model in keys of results: the sha256 in the lock file, the same on every machine.

    Nothing is read from the disk: a file that differs from it is never handed out.
    """
    return weights_lock().find(name).sha256


def is_verified(file: LockedFile, folder: Path) -> bool:
    """Whether the file lies below `folder` with the size and the digest of the lock file."""
    return matches(file, folder / file.file)


def matches(file: LockedFile, candidate: Path) -> bool:
    """Whether `candidate` has the size and the digest that the lock file gives for a file."""
    try:
        return candidate.stat().st_size == file.size and fingerprint.of_file(candidate) == file.sha256
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise from_os_error(error) from error
