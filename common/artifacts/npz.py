"""npz archives of numpy arrays, written and read through zlib-ng, several times faster than by numpy.

The files are what `numpy.savez` writes, so that any numpy reads them: a zip of ``<name>.npy`` entries,
deflated or stored. Python's zipfile cannot be given another deflate, hence a small zip writer here (PKWARE
APPNOTE 6.3.10, sections 4.3 to 4.5; zip64 where an offset, a size or the number of entries needs it). Dates
are fixed: equal arrays give equal bytes.
"""

from __future__ import annotations

import io
import struct
import types
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
from zlib_ng import zlib_ng

from common.artifacts.npy import (
    DAMAGE,
    DEFLATE_LEVEL,
    DEFLATED,
    STORED,
    Entry,
    Header,
    Stream,
    pack,
    read_header,
)
from common.errors import BadInput

MAX_ARRAY_BYTES = 1 << 30  # chosen by hand: no artifact needs more at once; 1 MB of deflated zeros can claim 1 GiB

_1980_01_01 = 33  # MS-DOS date, the earliest there is
_MARK_16, _MARK_32 = 0xFFFF, 0xFFFFFFFF  # "look into the zip64 record"
_ZIP64_FROM = _MARK_32  # the first number that does not fit into 32 bits beside the mark

# What zipfile raises on a torn or forged directory; UnicodeDecodeError is a ValueError.
_NO_ZIP = (zipfile.BadZipFile, ValueError, EOFError, struct.error, NotImplementedError, OverflowError)


class NpzWriter:
    """Writes arrays into an npz archive, one after the other; nothing but the directory is kept in memory.

    The directory is the end of a zip and is written last, only when the `with` block ends without an
    exception: what a full disk or a kill leaves behind is not readable as an archive.
    """

    def __init__(self, path: Path, *, level: int = DEFLATE_LEVEL) -> None:
        """Opens `path` for writing; what was there is lost.

        Args:
            path: where to.
            level: 0 stores, 1 to 9 deflates; 6 is numpy's.
        """
        self._level = level
        self._names: set[str] = set()
        self._directory = bytearray()
        self._file: BinaryIO = path.open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        with self._file:
            if kind is None:
                self._finish()

    def write(self, name: str, array: npt.NDArray[Any]) -> None:
        """Appends `array` as ``<name>.npy``.

        Raises:
            ValueError: the name is taken or not ASCII, or the array holds Python objects.
            OSError: the disk refuses.
        """
        self.write_entry(name, pack(array, level=self._level))

    def write_entry(self, name: str, entry: Entry) -> None:
        """Appends an array that was packed before, as ``<name>.npy``; errors as in `write`."""
        if name in self._names:
            raise ValueError(f"{name} was written already")
        self._names.add(name)
        member = f"{name}.npy".encode("ascii")
        offset = self._file.tell()
        compressed = entry.compressed_size
        wide = max(entry.size, compressed) >= _ZIP64_FROM  # zip64 demands that both sizes move then
        sizes = (_MARK_32, _MARK_32) if wide else (compressed, entry.size)
        is_far = offset >= _ZIP64_FROM
        version = 45 if wide or is_far else 20
        about = struct.pack("<HHHHIII", 0, entry.method, 0, _1980_01_01, entry.crc, *sizes)
        extra = struct.pack("<HHQQ", 1, 16, entry.size, compressed) if wide else b""
        lengths = struct.pack("<HH", len(member), len(extra))
        self._file.write(b"".join((b"PK\3\4", struct.pack("<H", version), about, lengths, member, extra)))
        for part in entry.parts:
            self._file.write(part)

        large = [*((entry.size, compressed) if wide else ()), *((offset,) if is_far else ())]
        extra = struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b""
        # Made by Unix, so that the upper half of the external attributes is a file mode.
        self._directory += b"PK\1\2" + struct.pack("<HH", 3 << 8 | 45, version) + about
        self._directory += struct.pack("<HHHHHI", len(member), len(extra), 0, 0, 0, 0o644 << 16)
        self._directory += struct.pack("<I", _MARK_32 if is_far else offset) + member + extra

    def _finish(self) -> None:
        start, size, count = self._file.tell(), len(self._directory), len(self._names)
        self._file.write(self._directory)
        if count >= _MARK_16 or max(start, size) >= _ZIP64_FROM:
            end = start + size
            self._file.write(b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, size, start))
            self._file.write(b"PK\6\7" + struct.pack("<IQI", 0, end, 1))
        few = min(count, _MARK_16)
        self._file.write(
            b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, few, few, min(size, _MARK_32), min(start, _MARK_32), 0)
        )


class NpzReader:
    """Reads single arrays out of an npz archive that may come from strangers.

    Whatever is wrong with the archive is a BadInput that names it; an OSError is about the disk.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_ARRAY_BYTES) -> None:
        """Opens the archive and reads its directory, no array.

        Args:
            path: the archive.
            max_bytes: an array that declares more is refused before anything of it is inflated.

        Raises:
            BadInput: no archive, or a torn one.
        """
        self.path = path
        self._max_bytes = max_bytes
        self._file = path.open("rb")
        try:
            with zipfile.ZipFile(self._file) as directory:
                members = directory.infolist()
            self._size = self._file.seek(0, io.SEEK_END)
        except _NO_ZIP as error:
            self._file.close()
            raise BadInput(
                f"{path}: not an npz archive, or torn ({error}). Run the stage that writes it again."
            ) from error
        except BaseException:
            self._file.close()
            raise
        self._members = {m.filename.removesuffix(".npy"): m for m in members if m.filename.endswith(".npy")}
        self.names: tuple[str, ...] = tuple(self._members)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; arrays that were read stay valid."""
        self._file.close()

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and dtype that the entry declares; its numbers are not inflated."""
        header = self._header(name, self._stream(name))
        return header.shape, header.dtype

    def read(self, name: str) -> npt.NDArray[Any]:
        """The whole array, checked against its CRC-32; read-only, for it lies in the inflater's buffer."""
        stream = self._stream(name)
        header = self._header(name, stream)
        payload = self._take(name, stream, header.nbytes)
        crc = zlib_ng.crc32(payload, zlib_ng.crc32(header.raw))
        if crc != self._members[name].CRC:
            raise self._damaged(name, "its checksum differs")
        return np.ndarray(header.shape, header.dtype, payload, order="F" if header.fortran else "C")

    def _stream(self, name: str) -> Stream:
        member = self._members.get(name)
        if member is None:
            raise BadInput(f"{self.path}: holds no array {name!r}, but {len(self.names)} others")
        if member.flag_bits & 1 or member.compress_type not in (STORED, DEFLATED):
            raise self._damaged(name, f"encrypted, or compressed by method {member.compress_type}")
        if not 0 <= member.header_offset < self._size:
            raise self._damaged(name, "the directory says that it lies outside the file")
        self._file.seek(member.header_offset)
        local = self._file.read(30)  # of use only for the lengths of name and extra field, which may differ here
        if len(local) < 30 or not local.startswith(b"PK\3\4"):
            raise self._damaged(name, "its local header is not where the directory says")
        self._file.seek(sum(struct.unpack("<HH", local[26:])), io.SEEK_CUR)
        return Stream(self._file, member.compress_size, deflated=member.compress_type == DEFLATED)

    def _header(self, name: str, stream: Stream) -> Header:
        try:
            header = read_header(stream)
        except DAMAGE as error:
            raise self._damaged(name, str(error)) from error
        if header.nbytes > self._max_bytes:
            declared = f"{header.shape} {header.dtype}, {header.nbytes} bytes"
            raise self._damaged(name, f"declares {declared}; the limit is {self._max_bytes}")
        if len(header.raw) + header.nbytes != self._members[name].file_size:
            raise self._damaged(name, "the size in the directory is not the size of the array")
        return header

    def _take(self, name: str, stream: Stream, count: int) -> bytes:
        try:
            return stream.take(count)
        except DAMAGE as error:
            raise self._damaged(name, str(error)) from error

    def _damaged(self, name: str, reason: str) -> BadInput:
        return BadInput(f"{self.path}: {name}: {reason}. Run the stage that writes it again.")
