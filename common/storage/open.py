"""From what a user typed to a Storage."""

from __future__ import annotations

from pathlib import Path

from common.errors import UsageError
from common.storage.interface import Storage
from common.storage.local import LocalStorage


def open_storage(root: str) -> Storage:
    """The storage behind a root that a user gave.

    Args:
        root: a folder, or s3://bucket/prefix.

    Raises:
        UsageError: a kind that is not supported, or nothing: an unset variable must not mean the current folder.
        ConfigurationError: no credentials or no region for S3.
    """
    if not root.strip():
        raise UsageError("the name of a data or output root is empty. Name a folder; the current one is '.'.")
    if root.startswith("s3://"):
        from common.storage.s3 import S3Storage  # boto3 takes longer to import than a command to explain itself

        return S3Storage(root)
    if "://" in root:
        raise UsageError(f"{root!r}: expected a folder or s3://bucket/prefix.")
    try:
        return LocalStorage(Path(root).expanduser())
    except RuntimeError as error:  # "~name" of a user that this machine does not know
        raise UsageError(f"{root!r}: {error} Write the whole path.") from error
