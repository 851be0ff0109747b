"""Where the model files lie, and whether they are what the lock file says.

A file is hashed each time it is asked for: 28 MB take 25 ms, less than loading the model, and no note about
an earlier check has to be believed.
"""

from __future__ import annotations

import os
from pathlib import Path

from common import fingerprint
from common.errors import ConfigurationError, ModelUnavailable, from_os_error
from common.weights.lock import LockedFile, weights_lock


def root() -> Path:
    """The folder of the fetched weights: $GHOST_WEIGHTS, else ghost/weights in the user's cache folder.

    Raises:
        ConfigurationError: there is no home folder, as for a user id that a container does not know.
    """
    chosen = os.environ.get("GHOST_WEIGHTS")
    cache = os.environ.get("XDG_CACHE_HOME")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        return (Path(cache) if cache else Path.home() / ".cache") / "ghost" / "weights"
    except RuntimeError as error:
        raise ConfigurationError(
            f"the folder of the weights: {error} Set GHOST_WEIGHTS to a folder that holds them, or may hold them."
        ) from error


def path(name: str) -> Path:
    """The verified file of a model.

    Raises:
        ModelUnavailable: it was not fetched, or is damaged.
        UsageError: the lock file has no such name.
    """
    file = weights_lock().find(name)
    found = root() / file.file
    if not is_verified(file, root()):
        state = "is damaged" if found.exists() else "is missing"
        advice = f"Run `ghost weights fetch --backend {file.backends[0]}`."
        raise ModelUnavailable(f"the weights of {name} at {found}: the file {state}. {advice}")
    return found


def digest(name: str) -> str:
    """What identifies a model in keys of results: the sha256 in the lock file, the same on every machine.

    Nothing is read from the disk: a file that differs from it is never handed out.
    """
    return weights_lock().find(name).sha256


def is_verified(file: LockedFile, folder: Path) -> bool:
    """Whether the file lies below `folder` with the size and the digest of the lock file."""
    candidate = folder / file.file
    try:
        return candidate.stat().st_size == file.size and fingerprint.of_file(candidate) == file.sha256
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise from_os_error(error) from error
