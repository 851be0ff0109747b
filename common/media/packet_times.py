"""The time table of a video, made of its packets alone, at a thirtieth of the cost of decoding.

The PTS of all packets that carry data and are not discarded by an edit list, sorted, are the PTS of the
decoded frames (measured on B-frames, open GOPs, variable rate, edit lists, start offsets, VP9, HEVC, MPEG-4).
A damaged file may deliver fewer frames than its table lists; decoding says which (`common.media.decode`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import av.error
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from common.errors import BadInput
from common.media.container import CONVERT, MAX_FRAMES, MAX_SPAN_S, claimed_duration, open_video
from common.media.time_table import TimeTable

_UNFILLED_S = 0.5  # chosen by hand: claims are rounded, and some writers count one frame more


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
