"""mask_data.npz: for every frame an image of person ids, as the original ghost wrote it.

One entry ``mask_%06d`` per frame, uint16 (height, width) of the upright frame; 0 is background, any other
value the local id of the person that the pixel belongs to. ``numpy.load(path)["mask_000000"]`` reads it.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from common.artifacts.contract import FREE, check_header, check_person, place
from common.artifacts.npy import Entry, pack
from common.artifacts.npz import NpzReader, NpzWriter
from common.errors import BadInput

MAX_PIXELS = 1 << 26  # the limit that videos are opened with, 64 megapixels

_ENTRY = re.compile(r"mask_(\d{6,})")
_DTYPE = np.dtype(np.uint16)


def entry_name(frame: int) -> str:
    """Name of a frame's entry, and of its file in json_data without the ending."""
    return f"mask_{frame:06d}"


class MaskWriter:
    """Writes label images one after the other; holds one of them, whatever the length of the video."""

    def __init__(self, path: Path, *, height: int, width: int) -> None:
        """Opens `path`; the file is complete only when the `with` block ends without an exception.

        Args:
            path: the artifact's file.
            height: of every frame, pixels.
            width: likewise.
        """
        self._shape = (height, width)
        self._npz = NpzWriter(path)
        self._blank: Entry | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._npz.__exit__(kind, error, trace)

    def write(self, frame: int, labels: npt.NDArray[np.uint16]) -> None:
        """Appends the label image of one frame; a frame may be written once.

        Args:
            frame: index in the video, from 0.
            labels: (height, width) uint16, 0 where nobody is.

        Raises:
            BadInput: another shape or dtype, or ids that do not fit into 16 bits.
            ValueError: a frame that was written already, or a negative index.
            OSError: the disk refuses.
        """
        self.write_packed(frame, self.pack(frame, labels))

    def write_packed(self, frame: int, packed: Entry) -> None:
        """Appends a label image that `pack` has deflated; errors as in `write`."""
        if frame < 0:
            raise ValueError(f"frame {frame} is negative")
        self._npz.write_entry(entry_name(frame), packed)

    def pack(self, frame: int, labels: npt.NDArray[np.uint16]) -> Entry:
        """Deflates the label image of a frame, nearly all the work of writing it; several threads may do so at once.

        Raises:
            BadInput: as in `write`.
        """
        if labels.shape == self._shape and labels.dtype != _DTYPE and np.issubdtype(labels.dtype, np.integer):
            check_person(f"masks: frame {frame}", int(labels.max(initial=1)))
        check_header("masks", labels.shape, labels.dtype, shape=self._shape, dtype=_DTYPE)
        if labels.max(initial=0) > 0:
            return pack(labels)
        if self._blank is None:  # frames with nobody in them are all alike: deflated once
            self._blank = pack(labels)
        return self._blank


class Masks:
    """Label images in random order, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        """Opens the artifact; see `Masks.open`."""
        self._npz = NpzReader(path, max_bytes=MAX_PIXELS * _DTYPE.itemsize)
        try:
            self.path = path
            self.frames: tuple[int, ...] = tuple(sorted(_frame(name, path) for name in self._npz.names))
            if not self.frames:
                raise BadInput(f"{place('masks', path)}: expected entries mask_000000 ..., got none")
            shape, dtype = self._npz.header(entry_name(self.frames[0]))
            check_header(f"{place('masks', path)}", shape, dtype, shape=(FREE, FREE), dtype=_DTYPE)
            self.height, self.width = shape
        except BaseException:
            self._npz.close()
            raise

    @classmethod
    def open(cls, path: Path) -> Self:
        """Opens the artifact and reads the directory and one header.

        Raises:
            BadInput: torn, or not a mask_data.npz.
            OSError: the file cannot be read.
        """
        return cls(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; images that were read stay valid."""
        self._npz.close()

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[tuple[int, npt.NDArray[np.uint16]]]:
        """Yields (frame, labels) in the order of the frames."""
        for frame in self.frames:
            yield frame, self.labels(frame)

    def labels(self, frame: int) -> npt.NDArray[np.uint16]:
        """The label image of a frame, (height, width) uint16, read-only.

        Raises:
            BadInput: no such frame, another size than the first, or damaged.
        """
        self._check(frame)
        return self._npz.read(entry_name(frame))

    def _check(self, frame: int) -> None:
        name = entry_name(frame)
        shape, dtype = self._npz.header(name)
        where = f"{place('masks', self.path)}: {name}"
        check_header(where, shape, dtype, shape=(self.height, self.width), dtype=_DTYPE)


def validate(path: Path) -> None:
    """Checks names, sizes and dtypes of all frames by their headers, without inflating the images.

    Raises:
        BadInput: what breaks the contract, expected and actual.
    """
    with Masks.open(path) as masks:
        for frame in masks.frames:
            masks._check(frame)


def _frame(name: str, path: Path) -> int:
    match = _ENTRY.fullmatch(name)
    if match is None or entry_name(int(match[1])) != name:
        raise BadInput(f"{place('masks', path)}: expected entries mask_000000 ..., got {name!r}")
    return int(match[1])
