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
    ExitCode.SOME_FAILED: "finished, but some units failed (only `ghost run` says so)",
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
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM}


def from_os_error(error: OSError) -> GhostError:
    """The ghost error that an operating-system error amounts to, naming the path and the way out."""
    where = error.filename or "a file"
    if error.errno == errno.ESTALE:
        return TemporaryFailure(f"{where}: stale network file handle. Try again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DiskError(f"{where}: {error.strerror}. Choose a folder that this user can write to.")
    if error.errno in _DISK_ERRORS:
        return DiskError(f"{where}: {error.strerror}. Free some space or choose another output folder, then run again.")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return InputMissing(f"{where}: {error.strerror}.")
    return DiskError(f"{where}: {error.strerror or error}.")
