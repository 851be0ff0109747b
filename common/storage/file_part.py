"""A part of a file as an open file of its own."""

from __future__ import annotations

import io
import os
from pathlib import Path


class FilePart(io.RawIOBase):
    """Reads some bytes of a file; all of them are never in memory at once.

    Args:
        path: the file.
        start: first byte.
        size: how many; fewer where the file ends before.
    """

    def __init__(self, path: Path, start: int, size: int) -> None:
        super().__init__()
        self._descriptor = os.open(path, os.O_RDONLY)
        self._start = start
        self._size = max(0, min(size, os.fstat(self._descriptor).st_size - start))
        self._position = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Position in the part."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a position in the part."""
        self._position = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence] + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes; all that are left if no number is given."""
        left = max(0, self._size - self._position)
        wanted = left if size is None or size < 0 else min(size, left)
        content = os.pread(self._descriptor, wanted, self._start + self._position)
        self._position += len(content)
        return content

    def close(self) -> None:
        """Lets go of the file."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()
