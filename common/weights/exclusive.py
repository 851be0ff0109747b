"""One process at a time fetches into a folder, and clears away what killed ones have left."""

from __future__ import annotations

import contextlib
import logging
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

from common.errors import TemporaryFailure
from common.storage.locks import wait_for_lock

_LOG = logging.getLogger("ghost.weights")
ATTEMPT = ".fetch-"
"""What the names of folders of downloads begin with."""


@contextlib.contextmanager
def exclusively(folder: Path) -> Iterator[None]:
    """Holds the folder's lock; whoever has it may remove what killed processes left behind."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("ab") as handle:
        try:
            is_locked = wait_for_lock(handle, patience_s=0)
        except TemporaryFailure:
            _LOG.info("another process is fetching into %s: waiting for it", folder)
            is_locked = wait_for_lock(handle, patience_s=math.inf)  # a download takes as long as the network does
        for leftover in folder.glob(f"{ATTEMPT}*") if is_locked else ():
            shutil.rmtree(leftover, ignore_errors=True)
        yield
