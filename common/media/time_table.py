"""When each frame of a video is shown: a table made of packets alone, at a thirtieth of the cost of decoding.

The PTS of all packets that carry data and are not discarded by an edit list, sorted, are the PTS of the
decoded frames (measured on B-frames, open GOPs, variable rate, edit lists, start offsets, VP9, HEVC, MPEG-4).
A damaged file may deliver fewer frames than its table lists; decoding says which (`common.media.decode`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av.error
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.stream import VideoStream

from common.errors import BadInput
from common.media.container import CONVERT, MAX_FRAMES, MAX_SPAN_S, claimed_duration, open_video

_UNFILLED_S = 0.5  # chosen by hand: claims are rounded, and some writers count one frame more


@dataclass(frozen=True, eq=False)
class TimeTable:
    """The frames of one video in the order in which they are shown; n of them, at least one.

    Attributes:
        pts: (n,) int64, increasing, in ticks of `time_base`. A start offset is kept.
        keyframe: (n,) bool, frames that are decoded without any other.
        corrupt: (n,) bool, frames whose packet the demuxer found incomplete.
        time_base: seconds per tick.
        truncated: the file ends before the frames that its container announces.
        declared: frames that the container announces; None if it does not.
    """

    pts: npt.NDArray[np.int64]
    keyframe: npt.NDArray[np.bool_]
    corrupt: npt.NDArray[np.bool_]
    time_base: Fraction
    truncated: bool = False
    declared: int | None = None

    def __len__(self) -> int:
        return len(self.pts)

    @cached_property
    def seconds(self) -> npt.NDArray[np.float64]:
        """(n,) time of each frame on the video's own clock: PTS times time base, not shifted."""
        ticks = self.pts.astype(np.float64)  # exact up to 2^53
        return ticks * self.time_base.numerator / self.time_base.denominator

    @property
    def rate(self) -> float:
        """Frames per second of the regular part: frames at the median distance. NaN for a single frame.

        The mean of the distances within a tick and a half (or 5 %) of the median, so that a clock of
        milliseconds does not turn 30 frames per second into 1/0.033.
        """
        if len(self) < 2:
            return float("nan")
        steps = np.diff(self.pts)
        median = float(np.median(steps))
        regular = np.abs(steps - median) <= max(1.5, 0.05 * median)
        return (
            float(1 / (steps[regular].mean() * self.time_base))
            if regular.any()
            else float(1 / (median * self.time_base))
        )

    def nearest(self, seconds: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Index of the frame that is nearest in time, the earlier one of two, for times of any shape.

        Raises:
            ValueError: a time is NaN.
        """
        times = np.asarray(seconds, np.float64)
        if np.isnan(times).any():
            raise ValueError("nearest: expected times in seconds, got NaN")
        after = np.searchsorted(self.seconds, times).clip(0, len(self) - 1)
        before = (after - 1).clip(0)
        return np.where(times - self.seconds[before] <= self.seconds[after] - times, before, after).astype(np.int64)

    def key_at_or_before(self, index: int) -> int:
        """Index of the last key frame at or before `index`; 0 if there is none."""
        keys = self._keys
        at = int(np.searchsorted(keys, index, side="right")) - 1
        return int(keys[at]) if at >= 0 else 0

    @cached_property
    def _keys(self) -> npt.NDArray[np.int64]:
        return np.flatnonzero(self.keyframe).astype(np.int64)


def read_time_table(path: Path) -> TimeTable:
    """The time table of a video; nothing is decoded.

    Raises:
        InputMissing: there is no such file.
        BadInput: no video, no frames, frames without usable time stamps, or beyond the limits.
    """
    with open_video(path) as (container, stream):
        if stream.time_base is None or _hides_display_order(container, stream):
            raise BadInput(f"{path.name}: its frames carry no presentation times. {CONVERT}")
        packets = _read_packets(path, container, stream)
        if not packets.pts:
            raise BadInput(f"{path.name}: holds no frames. Copy the file again or leave this camera out.")
        pts, first = np.unique(np.array(packets.pts, np.int64), return_index=True)
        span = float((int(pts[-1]) - int(pts[0])) * stream.time_base)
        if span > MAX_SPAN_S:
            raise BadInput(f"{path.name}: times span {span:.3g} s, at most {MAX_SPAN_S:.0f} are accepted. {CONVERT}")
        declared = stream.frames - packets.discarded if container.format.name.startswith("mov") else 0
        missing_end = _unfilled(container, stream, packets) > _UNFILLED_S
        return TimeTable(
            pts=pts,
            keyframe=np.array(packets.keyframe, np.bool_)[first],
            corrupt=np.array(packets.corrupt, np.bool_)[first],
            time_base=stream.time_base,
            truncated=packets.broken_off or packets.corrupt[-1] or len(packets.pts) < declared or missing_end,
            declared=declared if declared > 0 else None,
        )


@dataclass
class _Packets:
    """What was read, in the order of the file."""

    pts: list[int] = field(default_factory=list)
    keyframe: list[bool] = field(default_factory=list)
    corrupt: list[bool] = field(default_factory=list)
    end: int = 0  # ticks, of the frame that is shown last
    discarded: int = 0
    broken_off: bool = False


def _read_packets(path: Path, container: InputContainer, stream: VideoStream) -> _Packets:
    found = _Packets()
    try:
        for packet in container.demux(stream):
            if packet.size == 0:  # the end of the stream, or a frame that an AVI repeats
                continue
            if packet.is_discard:  # decoded for the sake of others, not shown: the lead-in of an edit list
                found.discarded += 1
                continue
            if packet.pts is None:
                raise BadInput(f"{path.name}: its frames carry no presentation times. {CONVERT}")
            if len(found.pts) >= MAX_FRAMES:
                raise BadInput(f"{path.name}: more than {MAX_FRAMES} frames. Cut it into shorter recordings.")
            found.pts.append(packet.pts)
            found.keyframe.append(packet.is_keyframe)
            found.corrupt.append(packet.is_corrupt)
            found.end = max(found.end, packet.pts + (packet.duration or 0))
    except av.error.FFmpegError:
        found.broken_off = True
    return found


def _hides_display_order(container: InputContainer, stream: VideoStream) -> bool:
    """Whether frames are stored in another order than they are shown, and the file does not say in which.

    AVI has no presentation times. The demuxer reconstructs them for MPEG-4; for H.264 and HEVC with B-frames
    it gives times in the order of storage, which the decoded frames then carry out of order.
    """
    reordered = stream.codec_context.has_b_frames and stream.codec_context.name in ("h264", "hevc")
    return reordered and container.format.name == "avi"


def _unfilled(container: InputContainer, stream: VideoStream, packets: _Packets) -> float:
    """Seconds of the duration that Matroska and WebM announce, after the end of the last frame."""
    claimed = claimed_duration(container, stream)
    is_about_pictures = "DURATION" in stream.metadata or len(container.streams) == 1
    if claimed is None or stream.time_base is None or not is_about_pictures or "matroska" not in container.format.name:
        return 0.0  # MP4 counts its frames instead; a torn AVI claims what is left of it
    return claimed - float(packets.end * stream.time_base)
