"""Writing previews: H.264 in MP4 that every player and browser shows, at the times of the frames."""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from common.errors import from_os_error

_TICKS = Fraction(1, 90_000)  # as MPEG systems count; holds 24, 25, 30, 60 and 30000/1001 Hz without rounding
# "veryfast" and 23 are x264's usual choices for viewing. The same frames shall give the same bytes: one thread,
# and no macroblock tree, which with B-frames reads memory that it has not written (4 results in 60 runs of the same
# frames, x264 165; without it, or without assembler, 1 in 60).
_X264 = {"preset": "veryfast", "crf": "23", "threads": "1", "x264-params": "mbtree=0"}


class VideoWriter:
    """Writes RGB frames to an MP4; its `with` block finishes the file or, on an error, removes it."""

    def __init__(self, path: Path, *, rate: float) -> None:
        """Opens the file when the first frame comes, in its size.

        Args:
            path: ends in .mp4.
            rate: nominal frames per second; the distance of frames that are written without a time.
        """
        if not rate > 0:
            raise ValueError(f"VideoWriter: expected a positive rate, got {rate}")
        self._path, self._rate = path, rate
        self._container: av.container.OutputContainer | None = None
        self._shape: tuple[int, ...] = ()
        self._origin = 0.0
        self._last = -1

    def write(self, image: npt.NDArray[np.uint8], *, seconds: float | None = None) -> None:
        """Appends one frame.

        Args:
            image: (height, width, 3) uint8 RGB, of one size in all calls; odd sizes get a row or column more.
            seconds: when it is shown, on any clock; the file begins at 0. None: 1 / rate after the last one.

        Raises:
            ValueError: another size than before, or a time that does not increase.
            DiskError: the disk refuses.
        """
        if self._container is None:
            self._origin = 0.0 if seconds is None else seconds
            self._open(image)
        if image.shape != self._shape or image.dtype != np.uint8:
            raise ValueError(f"{self._path.name}: expected {self._shape} uint8, got {image.shape} {image.dtype}")
        pts = self._pts(seconds)
        height, width = image.shape[:2]
        if height % 2 or width % 2:  # yuv420p halves both sides
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
        frame.pts, frame.time_base = pts, _TICKS
        self._last = pts
        self._mux(frame)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if self._container is None:  # not a single frame: no file either
            return
        finished = False
        try:
            try:
                if kind is None:
                    self._mux(None)  # what the encoder still holds
            finally:
                self._close()
            finished = kind is None
        finally:
            if not finished:
                self._path.unlink(missing_ok=True)

    def _open(self, image: npt.NDArray[np.uint8]) -> None:
        self._shape = image.shape
        if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise ValueError(f"{self._path.name}: expected (height, width, 3) uint8, got {image.shape} {image.dtype}")
        height, width = image.shape[:2]
        with _disk_errors():
            # faststart puts the index first, so that a browser can begin to play
            self._container = av.open(str(self._path), "w", format="mp4", options={"movflags": "+faststart"})
        rate = Fraction(self._rate).limit_denominator(1001)
        self._stream = self._container.add_stream("libx264", rate=rate, options=_X264)
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.time_base = _TICKS
        # Said in the file, or players guess by the size: BT.601 for small pictures, BT.709 for large ones.
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709

    def _pts(self, seconds: float | None) -> int:
        if seconds is None:
            return 0 if self._last < 0 else self._last + round(1 / (self._rate * _TICKS))
        pts = round((seconds - self._origin) / _TICKS)
        if pts <= self._last:
            raise ValueError(f"{self._path.name}: time {seconds:.6f} s does not come after the frame before")
        return pts

    def _mux(self, frame: VideoFrame | None) -> None:
        if self._container is not None:
            with _disk_errors():
                self._container.mux(self._stream.encode(frame))

    def _close(self) -> None:
        if self._container is not None:
            with _disk_errors():
                self._container.close()


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:  # PyAV's errors of the operating system are OSErrors too
        raise from_os_error(error) from error
