"""Reading frames: streams of upright images with their place in the time table, in memory that does not grow.

Frames that the table lists and the decoder does not deliver are not yielded; the stream's tally counts them,
so that a stage can say how much of a damaged video it has seen.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from common.media.container import open_video, pixel_aspect
from common.media.decoder import Tally, decode_indices
from common.media.pixels import Converter, PixelFormat
from common.media.time_table import TimeTable


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video.

    Attributes:
        index: its place in the time table.
        seconds: its PTS on the video's own clock.
        image: (height, width, 3) or, gray, (height, width) uint8, upright, the caller's own.
            Rows may be padded: where they must lie side by side, use `np.ascontiguousarray`.
        corrupt: damaged, or predicted from a frame that is damaged or missing: pixels are partly invented.
    """

    index: int
    seconds: float
    image: npt.NDArray[np.uint8]
    corrupt: bool


class FrameStream:
    """An iterator of frames that counts what the decoder delivers; use it in `with` when leaving early."""

    def __init__(self, frames: Generator[Frame, None, None], tally: Tally) -> None:
        self.tally = tally
        self._frames = frames

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        return next(self._frames)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; no frame comes after."""
        self._frames.close()


def frames(
    path: Path,
    table: TimeTable,
    *,
    start: int = 0,
    stop: int | None = None,
    step: int = 1,
    pixel_format: PixelFormat = "rgb24",
    size: tuple[int, int] | None = None,
    max_side: int | None = None,
    threads: int = 1,
) -> FrameStream:
    """Every `step`-th frame from `start` up to, not including, `stop`; the others are not made pixels.

    Args:
        path: the video.
        table: its time table, from `read_time_table`.
        start: first index.
        stop: index to stop before; None is the end of the table.
        step: distance of the indices.
        pixel_format: "rgb24", "bgr24" or "gray".
        size: width and height to scale to, upright; any shape.
        max_side: longest side to shrink to, shape kept. Not with `size`.
        threads: slice threads of the decoder; more than one rarely helps, and several videos run at once.

    Raises:
        ValueError: a range that does not lie in the table.
        BadInput: while iterating: the file cannot be opened, or no frame of it can be decoded.
    """
    stop = len(table) if stop is None else stop
    if not 0 <= start <= stop <= len(table) or step < 1:
        raise ValueError(f"frames: start {start}, stop {stop}, step {step} do not fit {len(table)} frames")
    wanted = np.arange(start, stop, step)
    converter = Converter(pixel_format=pixel_format, size=size, max_side=max_side)
    return _stream(path, table, wanted, converter, threads=threads)


def read_frames(
    path: Path,
    table: TimeTable,
    indices: Iterable[int],
    *,
    pixel_format: PixelFormat = "rgb24",
    size: tuple[int, int] | None = None,
    max_side: int | None = None,
    threads: int = 1,
) -> FrameStream:
    """These frames, each once, in ascending order; seeks to the key frame before where that is shorter.

    Args:
        path: the video.
        table: its time table.
        indices: into the table, in any order.
        pixel_format: as in `frames`, and so are the others.
        size: likewise.
        max_side: likewise.
        threads: likewise.

    Raises:
        ValueError: an index outside the table.
        BadInput: as in `frames`.
    """
    wanted = np.unique(np.fromiter(indices, np.int64))
    if len(wanted) and not 0 <= wanted[0] <= wanted[-1] < len(table):
        raise ValueError(f"read_frames: indices {wanted[0]} to {wanted[-1]} do not fit {len(table)} frames")
    converter = Converter(pixel_format=pixel_format, size=size, max_side=max_side)
    return _stream(path, table, wanted, converter, threads=threads)


def _stream(
    path: Path,
    table: TimeTable,
    wanted: npt.NDArray[np.int64],
    converter: Converter,
    *,
    threads: int = 1,
) -> FrameStream:
    tally = Tally(asked=len(wanted))

    def converted() -> Generator[Frame, None, None]:
        if len(wanted) and not converter.sized:
            with open_video(path) as (_, stream):
                converter.aspect = pixel_aspect(stream)
        decoded = decode_indices(path, table, wanted, tally=tally, threads=threads)
        with closing(decoded):
            for index, frame, corrupt in decoded:
                yield Frame(index, float(table.seconds[index]), converter(frame), corrupt)

    return FrameStream(converted(), tally)
