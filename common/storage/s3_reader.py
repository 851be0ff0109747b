"""An object as an open file: reads parts of it without a download."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO, cast

from common.errors import InputMissing, TemporaryFailure
from common.storage.s3_client import Client
from common.storage.s3_errors import ConditionFailed, ObjectMissing, RangeRefused

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_LEAST, _MOST = 1 << 16, 4 << 20  # bytes of one request: twice as many each time while reading goes straight on


def open_object(client: Client, key: str) -> BinaryIO:
    """A seekable reader. Raises InputMissing."""
    found = client.head(key)
    if found is None:
        raise InputMissing(f"{client.place(key)} is not there.")
    raw = _Object(client, key, size=int(found["ContentLength"]), etag=str(found["ETag"]))
    return cast(BinaryIO, io.BufferedReader(raw, buffer_size=_LEAST))


class _Object(io.RawIOBase):
    """One version of an object."""

    def __init__(self, client: Client, key: str, *, size: int, etag: str) -> None:
        super().__init__()
        self.name = client.place(key)
        self._client, self._key, self._size, self._etag = client, key, size, etag
        self._position = 0
        self._window, self._window_start, self._ahead = b"", 0, _LEAST

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("before the beginning")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        if not len(view) or self._position >= self._size:
            return 0
        window_stop = self._window_start + len(self._window)
        if not self._window_start <= self._position < window_stop:
            self._ahead = min(2 * self._ahead, _MOST) if self._position == window_stop else _LEAST
            self._fetch(max(len(view), self._ahead))
        start = self._position - self._window_start
        piece = self._window[start : start + len(view)]
        view[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def _fetch(self, count: int) -> None:
        start, stop = self._position, min(self._position + count, self._size)
        try:
            self._window = b"".join(self._client.stream(self._key, start, stop, size=self._size, etag=self._etag))
        except (ConditionFailed, RangeRefused) as error:
            raise TemporaryFailure(f"{self.name} was changed while it was read. Run again.") from error
        except ObjectMissing as error:
            raise InputMissing(f"{self.name} is gone. Put it back.") from error
        self._window_start = start
