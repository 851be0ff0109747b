"""The first sound track of a recording as mono samples on the clock of its pictures, in memory that does not grow.

A demuxer gives sound and pictures their PTS on one clock, after edit lists and the priming of the codec (the first
1024 samples of AAC, say) have been accounted for. Samples are counted from the first one; where the PTS leave that
count, they win: a gap becomes silence, an overlap is dropped, and a sound card that is slow or fast is followed in
steps of a millisecond. So sample i was heard at start + i / rate seconds.

One error of the demuxer stays: an MP4 that was cut between two frames by an edit list has its pictures up to a frame
early, for FFmpeg lets the first whole frame begin at the edit's start (3.3 ms in a cut at 1.330 s of 30 fps).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path
from statistics import median

import av.error
import numpy as np
import numpy.typing as npt
from av import AudioFrame, AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard

from common.errors import BadInput
from common.media.container import open_video

RATE = 16_000  # Hz; speech and steps lie below 8 kHz, and codecs of phones keep little above
BLOCK = 60 * RATE  # samples that are handed on at once: 2 MB
MAX_SECONDS = 8 * 3600.0  # chosen by hand: 0.9 GB of samples

_JUMP_S = 0.03  # chosen by hand: more than the jitter of PTS, which is about a packet (20 ms in Opus and AAC)
_DRIFT_S = 0.001  # twice what Matroska's clock of milliseconds rounds
_WATCHED = 40  # packets, nearly a second of AAC, whose median says how far the PTS have left the count
_MAX_GAP_S = 600.0  # chosen by hand; a larger jump of the PTS is damage
_RATES = range(4_000, 400_000)  # Hz that a header may claim

Samples = npt.NDArray[np.int16]


class SoundStream:
    """An iterator of blocks of samples. What it found out is complete when it has ended.

    Attributes:
        rate: samples per second.
        start: PTS of the first sample, seconds on the video's clock; None while there is none.
        length: samples that were given so far.
        gaps: (first, end) of the runs of samples that are silence because the track has none there.
        lost_packets: packets that the decoder refused.
        broken_off: why the track was not read to its end; empty if it was.
    """

    def __init__(self, path: Path) -> None:
        """Reads from `path`, which is opened with the first block."""
        self.rate = RATE
        self.start: float | None = None
        self.length = 0
        self.gaps: list[tuple[int, int]] = []
        self.lost_packets = 0
        self.broken_off = ""
        self._path = path
        self._blocks = self._read()

    def __iter__(self) -> Iterator[Samples]:
        return self

    def __next__(self) -> Samples:
        return next(self._blocks)

    def close(self) -> None:
        """Closes the file; no block comes after."""
        self._blocks.close()

    def _read(self) -> Generator[Samples, None, None]:
        held: list[Samples] = []
        count = 0
        for samples in self._pieces():
            while len(samples):  # a gap may be longer than a block
                taken, samples = samples[: BLOCK - count], samples[BLOCK - count :]
                held.append(taken)
                count += len(taken)
                self.length += len(taken)
                if count == BLOCK:
                    yield np.concatenate(held)
                    held, count = [], 0
        if held:
            yield np.concatenate(held)

    def _pieces(self) -> Iterator[Samples]:
        with open_video(self._path) as (container, _):
            track = next(iter(container.streams.audio), None)
            if track is None:
                return
            if track.codec_context is None or track.codec_context.sample_rate not in _RATES:
                raise BadInput(f"{self._path.name}: its sound is coded in a way that cannot be decoded.")
            for stream in container.streams:
                if stream is not track:
                    stream.discard = Discard.all  # the demuxer of MP4 then skips the pictures instead of reading them
            placing = _Placing(self)
            for frame in self._decoded(container, track):
                yield from placing.put(frame)
                if placing.written > MAX_SECONDS * RATE:
                    self.broken_off = f"only its first {MAX_SECONDS / 3600:.0f} hours are used"
                if self.broken_off:
                    break
            yield from placing.finish()

    def _decoded(self, container: InputContainer, track: AudioStream) -> Iterator[AudioFrame]:
        try:
            for packet in container.demux(track):  # the last one is empty and flushes the decoder
                try:
                    yield from packet.decode()
                except av.error.FFmpegError:
                    self.lost_packets += 1
        except av.error.FFmpegError as error:
            self.broken_off = f"it breaks off ({error.strerror})"


class _Placing:
    """Resamples decoded sound and puts it where its PTS say."""

    def __init__(self, stream: SoundStream) -> None:
        self.written = 0  # samples at RATE
        self._stream = stream
        self._resampler: AudioResampler | None = None
        self._anchor = 0.0  # PTS at which the sound that is being resampled began
        self._heard = 0.0  # seconds of sound since then, by the count of samples
        self._form: tuple[int, str, str] = (0, "", "")
        self._late: deque[float] = deque(maxlen=_WATCHED)
        self._surplus = 0  # samples to come that overlap what was written

    def put(self, frame: AudioFrame) -> Iterator[Samples]:
        """The samples that can be given now; damage ends the stream with `broken_off`."""
        form = (frame.sample_rate, frame.format.name, frame.layout.name)
        if frame.samples == 0 or form[0] not in _RATES:
            return
        expected = self._anchor + self._heard
        pts = expected
        if frame.pts is not None and frame.time_base is not None:
            pts = float(frame.pts * frame.time_base)
        if self._stream.start is None:
            self._stream.start = self._anchor = pts
        else:
            late = pts - expected
            self._late.append(late)
            if abs(late) > _MAX_GAP_S:
                self._stream.broken_off = f"its times jump by {late:.3g} s"
                return
            drifted = median(self._late) if len(self._late) == _WATCHED else 0.0
            if abs(late) > _JUMP_S:
                yield from self._move_to(pts)
            elif abs(drifted) > _DRIFT_S:
                yield from self._move_to(expected + drifted)
            elif form != self._form:
                yield from self._move_to(expected)
        self._form = form
        if self._resampler is None:
            self._resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
        self._heard += frame.samples / frame.sample_rate
        try:
            converted = self._resampler.resample(frame)
        except (av.error.FFmpegError, ValueError) as error:  # PyAV: a layout that it has no name for
            raise BadInput(f"sound of {form[0]} Hz, {form[1]}, {form[2]} cannot be made mono ({error})") from error
        yield from self._given(converted)

    def finish(self) -> Iterator[Samples]:
        """What the resampler still holds."""
        if self._resampler is not None:
            yield from self._given(self._resampler.resample(None))
        self._resampler = None

    def _move_to(self, pts: float) -> Iterator[Samples]:
        """Ends what was begun, and lets the next sample be the one of `pts`."""
        yield from self.finish()
        self._anchor, self._heard = pts, 0.0
        self._late.clear()
        missing = round((pts - (self._stream.start or 0.0)) * RATE) - self.written
        self._surplus = max(0, -missing)
        if missing > 0:
            if missing > _JUMP_S * RATE:
                self._stream.gaps.append((self.written, self.written + missing))
            self.written += missing
            yield np.zeros(missing, np.int16)

    def _given(self, frames: list[AudioFrame]) -> Iterator[Samples]:
        for frame in frames:
            if frame is None:  # PyAV's resampler, asked for its rest when it had nothing to convert
                continue
            samples = frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)
            dropped = min(self._surplus, len(samples))
            self._surplus -= dropped
            self.written += len(samples) - dropped
            yield samples[dropped:]
