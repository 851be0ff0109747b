"""Folders that belong to a living process, and how those of dead ones are found and removed."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import IO

from common.storage.locks import try_lock, try_lock_if_any

_ALIVE = ".alive"  # held under lock by the owner; the kernel lets go when it dies
_YOUNG_S = 3600.0  # a folder without that file may be about to get one


def stay_alive(folder: Path) -> IO[bytes]:
    """Marks a folder as that of a living process. The file has its name only once it is locked."""
    handle = (folder / f"{_ALIVE}.new").open("wb")
    with contextlib.suppress(OSError):  # no locks here: then it is never swept either
        try_lock(handle)
    (folder / f"{_ALIVE}.new").rename(folder / _ALIVE)
    return handle


def sweep(place: Path, pattern: str) -> None:
    """Removes the folders of dead processes of this user."""
    for folder in place.glob(pattern):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid() or not folder.is_dir():
                continue
            if _is_dead(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_dead(folder: Path) -> bool:
    try:
        with (folder / _ALIVE).open("r+b") as alive:
            return try_lock_if_any(alive)
    except FileNotFoundError:
        return time.time() - folder.stat().st_mtime > _YOUNG_S
