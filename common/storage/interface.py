"""What the harness needs of a place that holds scenes. Keys are relative paths with "/" between the parts.

An implementation stands for one root. Stages never see it: they get local paths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from common.errors import TemporaryFailure


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A published file, as its manifest lists it: the key is relative to the scene."""

    key: str
    bytes: int
    sha256: str


class CommitConflict(TemporaryFailure):
    """Another attempt at the same unit has published its result while this one was about to."""


class Storage(Protocol):
    """A root under which files are read, and results are published as a whole or not at all.

    Whatever is refused while writing is a DiskError or a TemporaryFailure that names the place.
    """

    @property
    def uri(self) -> str:
        """How a user would name this root."""
        ...

    def read(self, key: str) -> bytes | None:
        """The content of a small file, or None if there is none."""
        ...

    def write(self, key: str, content: bytes) -> None:
        """Replaces a small file atomically."""
        ...

    def remove(self, key: str) -> None:
        """Removes a file if it exists."""
        ...

    def remove_folder(self, folder: str) -> None:
        """Removes all files below a folder, as far as they are there."""
        ...

    def size(self, key: str) -> int | None:
        """Bytes of a file, or None if there is none."""
        ...

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of all files directly in a folder, by key: one question where `size` takes many."""
        ...

    def list(self, prefix: str) -> list[str]:
        """Keys of the files directly in the folder `prefix` ("" is the root), sorted. Folders end in "/"."""
        ...

    def occupied(self, place: str) -> tuple[str, ...]:
        """Keys of what lies where results are to be published, sorted: the file `place` or, if it ends in "/", all
        files below that folder. Hidden files are of no account.

        Raises:
            DiskError: a link to a folder, which is never written or removed through, or a folder instead of a file.
        """
        ...

    def set_aside(self, moves: Mapping[str, str]) -> None:
        """Renames files: key -> new key, which must be free."""
        ...

    def localize(self, key: str, files: Sequence[StoredFile] = ()) -> Path:
        """A local path where a file or a folder can be read.

        Args:
            key: what is wanted, looked up by the caller.
            files: what its manifest lists of it. A place whose files must be fetched checks each against it; one
                where they lie already leaves that to the artifacts' own checks. None for a recording, which has no
                manifest.

        Raises:
            BadInput: a file is not what the manifest says.
        """
        ...

    def open(self, key: str) -> BinaryIO:
        """A file for reading parts of it: it can be sought.

        Raises:
            InputMissing: there is none.
            BadInput: a folder, a pipe or a device.
        """
        ...

    def attempt(self, scene: str, label: str) -> AbstractContextManager[Path]:
        """A private local folder for the files of one attempt; gone afterwards, and so are those of dead attempts."""
        ...

    def sweep(self, scene: str) -> None:
        """Removes what dead attempts at units of a scene have left; touches nothing where there is none."""
        ...

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Mutual exclusion between writers of one unit, where the place can give it."""
        ...

    def commit(
        self,
        attempt: Path,
        scene: str,
        files: Sequence[StoredFile],
        *,
        obsolete: Sequence[str],
        manifest: str,
        content: bytes,
    ) -> None:
        """Publishes an attempt: old manifest out, files in, obsolete files out, new manifest in, in this order.

        Args:
            attempt: folder that holds every file under its key.
            scene: folder to publish into.
            files: what to publish; keys relative to the scene.
            obsolete: what to remove; keys relative to the scene. What is not there is no error.
            manifest: key of the manifest; its appearance is the commit.
            content: the manifest.

        Raises:
            CommitConflict: where the place has no locks, another attempt was first.
        """
        ...
