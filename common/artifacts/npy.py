"""One array as it stands in an npz archive: packed into deflated bytes, unpacked as far as asked for.

zlib-ng does the deflating, at a fifth of zlib's CPU time on label images. Nothing is ever unpickled.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
from zlib_ng import zlib_ng

STORED, DEFLATED = 0, 8
"""Compression methods of a zip."""

STORED_LEVEL = 0
DEFLATE_LEVEL = 6  # as numpy; on 1080p label images level 4 is 1.5x faster, but 20 % larger

# What damaged bytes make `Stream` and `read_header` raise. The type stubs call zlib-ng's error an instance.
DAMAGE = (cast("type[Exception]", zlib_ng.error), ValueError, EOFError)

_RAW_DEFLATE = -15  # window bits: no zlib header, as zip wants it
_CHUNK = 1 << 26  # what one call of the compressor gets; keeps sizes far below what C integers hold
_FIRST_READ = 1 << 16  # nearly every label image fits in whole
_READ = 1 << 20  # later reads; the inflater copies what it leaves over, so they are not large
_MAX_HEADER = 10_000  # what numpy itself accepts without trusting the file

# Numpy evaluates this text as Python, and fails on damaged text in a dozen ways. Ours fits a pattern.
_HEADER_TEXT = re.compile(
    rb"\{'descr': '([<>|][biufcSU]\d{1,9})', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\), \} *\n"
)


@dataclass(frozen=True)
class Entry:
    """One array as it will stand in an archive; packed once, it can be written under many names."""

    parts: tuple[bytes | memoryview, ...]
    size: int
    crc: int
    method: int

    @property
    def compressed_size(self) -> int:
        """Bytes that the entry takes in the archive, without its headers."""
        return sum(len(part) for part in self.parts)


def pack(array: npt.NDArray[Any], *, level: int = DEFLATE_LEVEL) -> Entry:
    """The ``.npy`` form of `array`, deflated at this level, or stored without a copy at level 0.

    Args:
        array: any shape and dtype but object. Stored, it must not change until the entry is written.
        level: 0 (stored) to 9.

    Raises:
        ValueError: an array of Python objects, which only pickle could store.
    """
    if array.dtype.hasobject:
        raise ValueError(f"arrays of Python objects are not stored, got {array.dtype}")
    array = np.asarray(array, order="C")
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(array))
    header, payload = head.getvalue(), _bytes_of(array)
    crc = zlib_ng.crc32(header)
    for chunk in _chunks(payload):
        crc = zlib_ng.crc32(chunk, crc)
    size = len(header) + len(payload)
    if level == STORED_LEVEL:
        return Entry((header, payload), size, crc, STORED)
    deflate = zlib_ng.compressobj(level, zlib_ng.DEFLATED, _RAW_DEFLATE)
    parts = [
        deflate.compress(header),
        *(deflate.compress(chunk) for chunk in _chunks(payload)),
        deflate.flush(),
    ]
    return Entry(tuple(parts), size, crc, DEFLATED)


def _bytes_of(array: npt.NDArray[Any]) -> memoryview:
    flat = array.reshape(-1)  # a view: the array is C-contiguous
    return flat.view(np.uint8).data if flat.size else memoryview(b"")


def _chunks(payload: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(payload), _CHUNK):
        yield payload[start : start + _CHUNK]


class Stream:
    """The bytes of one packed array in order; as little as asked for is read and inflated."""

    def __init__(self, file: BinaryIO, compressed_size: int, *, deflated: bool) -> None:
        """Starts where `file` stands.

        Args:
            file: an archive, at the first byte of the entry.
            compressed_size: bytes of the entry in the archive.
            deflated: whether they are deflated or stored.
        """
        self._file = file
        self._left = compressed_size
        self._inflate = zlib_ng.decompressobj(_RAW_DEFLATE) if deflated else None
        self._waiting = b""
        self._next_read = _FIRST_READ

    def take(self, count: int) -> bytes:
        """Exactly `count` bytes.

        Raises:
            one of DAMAGE: the entry has fewer, or does not inflate.
        """
        if self._inflate is None:
            return self._read(count)
        parts = []
        while count:
            if not self._waiting and not self._inflate.eof:
                self._waiting = self._read(min(self._left, self._next_read))
                self._next_read = _READ
            part = self._inflate.decompress(self._waiting, count)  # a length of 0 would mean no limit
            self._waiting = self._inflate.unconsumed_tail
            if not part and (self._inflate.eof or (not self._waiting and not self._left)):
                raise EOFError("it ends early")
            parts.append(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read(self, count: int) -> bytes:
        data = self._file.read(count) if count <= self._left else b""
        if len(data) < count:
            raise EOFError("it ends early")
        self._left -= count
        return data


@dataclass(frozen=True)
class Header:
    """What stands before the numbers of an array.

    Attributes:
        shape: sizes, none negative.
        dtype: of numbers, truth values or text.
        fortran: whether the first axis varies fastest.
        raw: the bytes that said so.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    raw: bytes

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers alone, as declared; nothing says yet that they are there."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: Stream) -> Header:
    """Takes the header, and no more, from the start of a stream.

    Raises:
        one of DAMAGE: no ``.npy`` of format 1.0 or 2.0, or one of something else than numbers and text.
    """
    start = 10
    prefix = stream.take(start)
    if prefix[:8] == b"\x93NUMPY\2\0":  # the length has four bytes instead of two
        start = 12
        prefix += stream.take(2)
    elif prefix[:8] != b"\x93NUMPY\1\0":
        raise ValueError("it is not an array as numpy writes it (format 1.0 or 2.0)")
    length = int.from_bytes(prefix[8:], "little")
    if length > _MAX_HEADER:
        raise ValueError(f"its header claims {length} bytes")
    raw = prefix + stream.take(length)
    match = _HEADER_TEXT.fullmatch(raw, start)
    if match is None:
        raise ValueError(f"its header is not that of an array of numbers or text: {raw[start : start + 80]!r}")
    descr, fortran, sizes = (group.decode("ascii") for group in match.groups())
    try:
        dtype = np.dtype(descr)
    except TypeError as error:  # such as <f3
        raise ValueError(f"its header declares the dtype {descr}") from error
    shape = tuple(int(size) for size in sizes.split(",") if size)
    return Header(shape, dtype, fortran == "True", raw)
