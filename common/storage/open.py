"""From what a user typed to a Storage."""

from __future__ import annotations

from pathlib import Path

from common.errors import UsageError
from common.storage.interface import Storage
from common.storage.local import LocalStorage


def open_storage(root: str) -> Storage:
    """The storage behind a root that a user gave.

    Raises:
        UsageError: a kind that is not supported, or nothing: an unset variable must not mean the current folder.
    """
    if not root.strip():
        raise UsageError("the name of a data or output root is empty. Name a folder; the current one is '.'.")
    if "://" in root:
        raise UsageError(f"{root!r}: only folders are supported as data and output roots so far.")
    try:
        return LocalStorage(Path(root).expanduser())
    except RuntimeError as error:  # "~name" of a user that this machine does not know
        raise UsageError(f"{root!r}: {error} Write the whole path.") from error
