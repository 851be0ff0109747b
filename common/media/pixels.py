"""Upright pixel arrays of decoded frames, converted and scaled by swscale in one pass."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from common.media.container import clockwise_rotation

PixelFormat = Literal["rgb24", "bgr24", "gray"]

_LEARNT = 31 << 20  # bytes, just below glibc's largest threshold of 32 MiB


@cache
def _keep_freed_memory() -> None:
    """Makes the C library keep the memory of freed images for the next ones.

    As it starts, glibc gives each block of megabytes back to the system, and every new image then costs a page
    fault per 4 kB: 2 ms per 1080p frame, measured, a fifth of decoding it. It learns from the first large block that
    is freed (mallopt(3), M_MMAP_THRESHOLD); this one is never touched and so costs nothing. Elsewhere it is idle.
    """
    block = np.empty(_LEARNT, np.uint8)
    del block


class Converter:
    """Turns frames of one video into upright arrays of one size, that of the first frame unless scaled.

    Attributes:
        aspect: width of a stored pixel over its height, which frames do not know; set it before the first frame
            unless the size is given. Pixels of the arrays are square.
    """

    def __init__(
        self,
        *,
        pixel_format: PixelFormat = "rgb24",
        size: tuple[int, int] | None = None,
        max_side: int | None = None,
    ) -> None:
        """What to make of each frame.

        Args:
            pixel_format: "rgb24", "bgr24" or "gray" (BT.601 luma of the RGB colours, 0 to 255).
            size: width and height of the upright image, whatever the shape of the frame.
            max_side: longest side; smaller frames are not enlarged, the shape is kept.

        Raises:
            ValueError: both size and max_side, or none positive.
        """
        if size is not None and max_side is not None:
            raise ValueError("give size or max_side, not both")
        if min((*(size or ()), max_side or 1)) < 1:
            raise ValueError(f"expected positive pixels, got size={size}, max_side={max_side}")
        self._format, self._size, self._max_side = pixel_format, size, max_side
        self.aspect = 1.0
        self._reformatter = VideoReformatter()  # keeps its tables from frame to frame
        _keep_freed_memory()

    @property
    def sized(self) -> bool:
        """Whether the size of the arrays is known, be it given or that of the first frame."""
        return self._size is not None

    def __call__(self, frame: VideoFrame) -> npt.NDArray[np.uint8]:
        """(height, width, 3) or, gray, (height, width) uint8, the caller's own; rows may be padded (strides)."""
        rotation = clockwise_rotation(frame)
        if self._size is None:
            self._size = self._fitting(frame, rotation)
        width, height = self._size if rotation % 180 == 0 else self._size[::-1]
        scaled = (width, height) != (frame.width, frame.height)
        converted = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=self._format,
            # Bicubic is what ffmpeg makes chroma with at odd sizes; for shrinking, bilinear (its kernel
            # widens) costs less and does not ring.
            interpolation=Interpolation.BILINEAR if scaled else Interpolation.BICUBIC,
            threads=1,
        )
        image: npt.NDArray[np.uint8] = converted.to_ndarray()  # type: ignore[assignment]  # 8 bits in all formats
        return upright(image, rotation)

    def _fitting(self, frame: VideoFrame, rotation: int) -> tuple[int, int]:
        square = round(frame.width * self.aspect)
        width, height = (frame.height, square) if rotation % 180 else (square, frame.height)
        shrink = min(1.0, (self._max_side or max(width, height)) / max(width, height))
        return max(1, round(width * shrink)), max(1, round(height * shrink))


def upright(image: npt.NDArray[np.uint8], rotation: int) -> npt.NDArray[np.uint8]:
    """The image turned clockwise by 0, 90, 180 or 270 degrees."""
    if rotation == 0:
        return image
    import cv2  # np.rot90 and a copy take four times as long (1080p: 15 ms against 4)

    turn = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}[rotation]
    turned: npt.NDArray[np.uint8] = cv2.rotate(image, turn)  # type: ignore[assignment]
    return turned
