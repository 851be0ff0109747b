"""Decoded frames, matched to its time table by PTS; seeks where that is cheaper, outlives damage."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import av.error
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from common.errors import BadInput
from common.media.container import CONVERT, open_video
from common.media.time_table import TimeTable

# A decoder holds back at most this many frames to put them in order (H.264, E.2.1: max_num_reorder_frames).
_REORDER = 16

_Matched = tuple[int, VideoFrame, bool]


@dataclass
class Tally:
    """What became of the frames that were asked for. True at any moment of a pass.

    Attributes:
        asked: frames that were asked for.
        delivered: frames that the decoder gave so far.
        missing: frames that the time table lists and the decoder did not give.
        corrupt: delivered frames that are damaged, or predicted from a frame that is damaged or missing.
        lost_packets: packets that the decoder refused.
    """

    asked: int
    delivered: int = 0
    missing: int = 0
    corrupt: int = 0
    lost_packets: int = 0

    @property
    def intact(self) -> bool:
        """Whether nothing that was asked for is missing or damaged so far."""
        return self.missing == 0 and self.corrupt == 0


def decode_indices(
    path: Path,
    table: TimeTable,
    wanted: npt.NDArray[np.int64],
    *,
    tally: Tally,
    threads: int = 1,
) -> Generator[tuple[int, VideoFrame, bool], None, None]:
    """Index in the table, frame, and whether it is damaged; ascending, not upright, not converted.

    Args:
        path: the video.
        table: its time table.
        wanted: (m,) increasing indices into the table.
        tally: counts what is delivered.
        threads: slice threads of the decoder.

    Raises:
        BadInput: the file cannot be opened, or not a single frame of it can be decoded.
    """
    if len(wanted) == 0:
        return
    with open_video(path, threads=threads) as (container, stream):
        reader = _Reader(path, container, stream, table, tally)
        frames = reader.positioned(int(wanted[0]))
        position = 0
        while position < len(wanted):
            found = next(frames, None)
            if found is None:
                break
            index, frame, corrupt = found
            reached = int(np.searchsorted(wanted, index, side="right"))
            if reached <= position:  # not there yet: frames that lead to it, or that a seek repeats
                continue
            is_wanted = bool(wanted[reached - 1] == index)
            tally.missing += reached - position - is_wanted
            position = reached
            if is_wanted:
                tally.delivered += 1
                tally.corrupt += corrupt
                yield index, frame, corrupt
            if position < len(wanted):
                target = int(wanted[position])
                # Only from here, for a seek may land before the frame that is at hand
                if table.key_at_or_before(target) > index + _REORDER:
                    frames = reader.positioned(target)
        tally.missing += len(wanted) - position
    if not reader.anything:
        raise BadInput(f"{path.name}: none of its {len(table)} frames can be decoded. Copy it again or leave it out.")


class _Reader:
    """Decodes from a position on, and matches what comes out with the table."""

    def __init__(
        self, path: Path, container: InputContainer, stream: VideoStream, table: TimeTable, tally: Tally
    ) -> None:
        self._path, self._container, self._stream = path, container, stream
        self._table, self._tally = table, tally
        self.anything = False

    def positioned(self, index: int) -> Iterator[_Matched]:
        """Frames from the key frame at or before `index` on.

        Containers look for a position by decoding time or by an index that may be missing, and can land too
        late; then the search goes one key frame further back, and at last to the beginning.
        """
        key = self._table.key_at_or_before(index)
        if key == 0 and not self.anything:
            return self._matched(self._decoded(), expected=0)
        for candidate in (key, self._table.key_at_or_before(key - 1)):
            frames = self._sought(candidate)
            first = next(frames, None)
            if first is not None and first[0] <= candidate:
                return chain([first], frames)
        return self._sought(0)

    def _sought(self, index: int) -> Iterator[_Matched]:
        try:
            self._container.seek(int(self._table.pts[index]), stream=self._stream)
        except av.error.FFmpegError:  # no index, or a damaged one
            return iter(())
        return self._matched(self._decoded(), expected=index)

    def _matched(self, decoded: Iterator[VideoFrame], *, expected: int) -> Iterator[_Matched]:
        """The frames with their index in the table and whether they are damaged.

        The decoder marks the frame in which it finds damage, and not those that are predicted from it. Here
        all are marked up to the next key frame, as are those after a missing frame. A B-frame that is shown
        just before the damaged frame, and predicted from it, escapes.

        Args:
            decoded: frames as they come from the decoder.
            expected: index of the first if nothing is missing.
        """
        suspect, last = False, expected - 1
        for frame in decoded:
            index = self._index(frame)
            if index is None:  # hidden by an edit list
                continue
            if index < last and self._container.format.name == "avi" and not frame.is_corrupt:
                raise BadInput(  # AVI has no PTS; the demuxer's reconstruction fails for packed B-frames
                    f"{self._path.name}: its time stamps contradict the order of its frames. {CONVERT}"
                )
            damaged = bool(frame.is_corrupt or self._table.corrupt[index])
            if damaged or self._table.keyframe[index]:
                suspect = damaged
            elif index > last + 1:
                suspect = True
            self.anything, last = True, index
            yield index, frame, suspect

    def _decoded(self) -> Iterator[VideoFrame]:
        for packet in self._packets():  # the last one is empty and flushes the decoder
            yield from self._frames_of(packet)

    def _packets(self) -> Iterator[Packet[VideoStream] | None]:
        try:
            yield from self._container.demux(self._stream)
        except av.error.FFmpegError:  # the container breaks off; the decoder may still hold frames
            yield None

    def _frames_of(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        """What a packet brings out of the decoder; nothing if it refuses. None asks for what it still holds."""
        try:
            return self._stream.codec_context.decode(packet)
        except av.error.FFmpegError:  # the container's own decode() would stop here for good
            self._tally.lost_packets += packet is not None
            return []

    def _index(self, frame: VideoFrame) -> int | None:
        if frame.pts is None:
            return None
        at = int(np.searchsorted(self._table.pts, frame.pts))
        return at if at < len(self._table) and self._table.pts[at] == frame.pts else None
