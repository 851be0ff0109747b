"""What a video file says about itself. No decoder behind it: stages that read no video know it from `frames/`."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class VideoProperties:
    """What a video file says about itself.

    Attributes:
        width: pixels of the upright frame, rotation applied, pixels made square.
        height: pixels of the upright frame.
        coded_width: pixels of the frame as it is stored, padding of the codec included.
        coded_height: likewise.
        rotation: degrees clockwise that make the stored frame upright: 0, 90, 180 or 270.
        codec: name of the decoder: h264, hevc, vp9, mpeg4, ...
        pixel_format: ffmpeg's name: yuv420p, ...
        time_base: seconds per tick of a PTS.
        average_rate: nominal frames per second, as the container has it; a guess where the rate varies.
        duration_s: seconds, as the container claims; None if it does not. The time table knows better.
        has_audio: whether there is at least one audio stream.
        container: ffmpeg's name of the format: "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm" or "avi".
    """

    width: int
    height: int
    coded_width: int
    coded_height: int
    rotation: int
    codec: str
    pixel_format: str
    time_base: Fraction
    average_rate: float
    duration_s: float | None
    has_audio: bool
    container: str
