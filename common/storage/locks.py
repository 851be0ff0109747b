"""Locks between processes, by flock: the kernel lets go when the holder dies, so nothing is ever left locked."""

from __future__ import annotations

import errno
import fcntl
import logging
import time
from typing import IO

from common.errors import TemporaryFailure

_LOG = logging.getLogger("ghost")
_NOT_SUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_PATIENCE_S = 600.0  # a lock is held while files are renamed: seconds, minutes on a sick network file system
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.1
_warned: set[int] = set()


def try_lock(handle: IO[bytes]) -> bool:
    """Whether the lock on an open file could be had at once.

    The file must be open for writing: NFS gives an exclusive lock on nothing else.

    Raises:
        OSError: the file system has no locks (`is_unsupported`), or failed.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def try_lock_if_any(handle: IO[bytes]) -> bool:
    """Whether the lock on an open file could be had at once; False also where the file system has no locks.

    So it is never True of a file whose lock somebody else may hold.
    """
    try:
        return try_lock(handle)
    except OSError as error:
        if is_unsupported(error):
            return False
        raise


def wait_for_lock(handle: IO[bytes], *, patience_s: float = _PATIENCE_S) -> bool:
    """Takes the lock on an open file as soon as it is free.

    Returns:
        True once the lock is held; False if the file system has no locks. Then two writers can mix their files,
        which readers notice by the digests in the manifest.

    Raises:
        TemporaryFailure: it did not become free.
    """
    deadline, pause = time.monotonic() + patience_s, _FIRST_PAUSE_S
    try:
        while not try_lock(handle):
            if time.monotonic() >= deadline:
                raise TemporaryFailure(f"{handle.name}: locked by another process for {patience_s:.0f} s. Try again.")
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
    except OSError as error:
        if not is_unsupported(error):
            raise
        _warn_once(handle, error)
        return False
    return True


def is_unsupported(error: OSError) -> bool:
    """Whether an error of flock says that the file system has no locks."""
    return error.errno in _NOT_SUPPORTED


def _warn_once(handle: IO[bytes], error: OSError) -> None:
    if error.errno not in _warned:
        _warned.add(error.errno or 0)
        _LOG.warning(
            "%s: no file locks here (%s). Do not run the same unit twice at the same time.", handle.name, error.strerror
        )
