"""The exceptions of ghost, and the exit code that each one ends a process with.

    GhostError                  70
    ├── UsageError              64   an option or a name that cannot be accepted
    ├── BadInput                65   a corrupt video, an artifact that breaks its contract
    ├── InputMissing            66   a camera or an upstream result is not there
    ├── ModelUnavailable        69   model, weights or GPU cannot be had
    ├── DiskError               74   full, over quota, read-only, input/output error
    ├── TemporaryFailure        75   worth trying again as it is
    ├── ConfigurationError      78   workspace, credentials, endpoint
    └── Terminated             143   asked to stop; nothing half-finished was left behind

A message says what is wrong, where, and what to do about it, in one line.
"""

from __future__ import annotations

import enum
import errno
import shutil
from pathlib import Path


class ExitCode(enum.IntEnum):
    """How a ghost process ends. Rendered into the README; schedulers decide by it whether to try again."""

    DONE = 0
    SOME_FAILED = 1
    USAGE = 64
    BAD_INPUT = 65
    INPUT_MISSING = 66
    MODEL_UNAVAILABLE = 69
    BUG = 70
    DISK = 74
    TEMPORARY = 75
    CONFIGURATION = 78
    TERMINATED = 143

    @property
    def meaning(self) -> str:
        """One phrase for tables."""
        return _MEANING[self]

    @property
    def retry(self) -> bool:
        """Whether the same attempt can succeed if it is simply made again."""
        return self in (ExitCode.TEMPORARY, ExitCode.TERMINATED)


_MEANING = {
    ExitCode.DONE: "done, up to date, or another attempt was first",
    ExitCode.SOME_FAILED: "finished, but some units failed (`ghost run` and `ghost close` say so)",
    ExitCode.USAGE: "usage: an option or a name",
    ExitCode.BAD_INPUT: "bad input: corrupt video, artifact that breaks its contract",
    ExitCode.INPUT_MISSING: "input missing: camera, upstream result",
    ExitCode.MODEL_UNAVAILABLE: "model, weights or GPU not available",
    ExitCode.BUG: "bug in ghost: please report the traceback",
    ExitCode.DISK: "disk full, quota, read-only, input/output error",
    ExitCode.TEMPORARY: "temporary, try again",
    ExitCode.CONFIGURATION: "configuration: workspace, credentials, endpoint",
    ExitCode.TERMINATED: "terminated, cleaned up",
}


class GhostError(Exception):
    """Anything that ghost knows how to explain to its user."""

    exit_code = ExitCode.BUG


class UsageError(GhostError):
    """An option or a name that cannot be accepted."""

    exit_code = ExitCode.USAGE


class BadInput(GhostError):
    """A corrupt video, or an artifact that breaks its contract."""

    exit_code = ExitCode.BAD_INPUT


class InputMissing(GhostError):
    """A camera or an upstream result is not there."""

    exit_code = ExitCode.INPUT_MISSING


class ModelUnavailable(GhostError):
    """A model, its weights or the device it needs cannot be had."""

    exit_code = ExitCode.MODEL_UNAVAILABLE


class DiskError(GhostError):
    """The file system refuses: full, over quota, read-only, broken."""

    exit_code = ExitCode.DISK


class TemporaryFailure(GhostError):
    """Something outside ghost failed in a way that passes."""

    exit_code = ExitCode.TEMPORARY


class ConfigurationError(GhostError):
    """The workspace, the credentials or the endpoint are not set up."""

    exit_code = ExitCode.CONFIGURATION


class Terminated(GhostError):
    """The process was asked to stop (SIGTERM, SIGINT) and has cleaned up."""

    exit_code = ExitCode.TERMINATED


# EFBIG is what a limit on the file size gives, and ENOSPC's cousin on some network file systems.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_PASSING = (errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN)  # of network file systems


def from_os_error(error: OSError, *, place: str = "a file", writing: bool = False) -> GhostError:
    """The ghost error that an operating-system error amounts to, naming the path and the way out.

    Args:
        error: what Python raised.
        place: what was worked on, for errors that name no file (a full disk is noticed by a handle, not by a path).
        writing: whether a place to write to was refused: then a missing folder is no missing input.
    """
    where = error.filename if isinstance(error.filename, str) else str(error.filename or place)
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno in _PASSING:
        return TemporaryFailure(f"{where}: {reason}. The network file system did not answer; try again.")
    if error.errno in _FORBIDDEN:
        return DiskError(f"{where}: {reason}. Change its permissions, or choose another folder.")
    if error.errno in _NO_ROOM:
        return DiskError(
            f"{where}: {reason}{_free_space(where, place)}. "
            "Free some space or choose another output folder, then run again."
        )
    if error.errno in (errno.ENOENT, errno.ENOTDIR) and not writing:
        return InputMissing(f"{where}: {reason}.")
    return DiskError(f"{where}: {reason}. Choose another output folder." if writing else f"{where}: {reason}.")


def _free_space(*places: str) -> str:
    """What is free where the first of the places lies that exists, or whose folder does, for a message."""
    for place in places:
        for folder in (Path(place), *Path(place).parents):
            if folder.is_absolute() and folder.exists():
                return f" ({shutil.disk_usage(folder).free / 1e9:.1f} GB free)"
    return ""
