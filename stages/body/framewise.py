"""From a model that looks at single frames to everybody's body in a video: decoded ahead, kept in chunks, resumed.

Frames are made and masks opened in a thread while the model works. What has been estimated is kept every CHUNK_FRAMES
frames or CHUNK_SECONDS, so that a killed job repeats one chunk at most.
"""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from common.ahead import Ahead
from common.artifacts.bodies import PersonBody
from common.device_names import RanOn
from common.errors import ModelUnavailable
from common.media.decode import Frame
from stages.body.backends import OUT_OF_MEMORY, BodyEstimate, FrameBodyModel, PeopleInFrame
from stages.body.clip import Clip, OpenFrames
from stages.body.estimates import CONTRADICTORY, Tracks, apart_px, held_bytes, objection, to_columns
from stages.body.labels import renumbered

CHUNK_FRAMES = 200
"""Frames with people after which what has been estimated is kept."""

CHUNK_SECONDS = 60.0
"""The same in seconds of work: 200 frames of eight people take SAM 3D Body many minutes."""

_CHUNK_BYTES = 64 << 20  # the same in memory, which matters where meshes are kept; chosen by hand
_AHEAD = 4  # frames that are decoded and wait, at least; chosen by hand
_AHEAD_BYTES = 256 << 20  # of those, if the model takes many at once: 25 at 1080p, 6 at 4K; chosen by hand
_PIXEL_BYTES = 5  # of a frame that waits: RGB and a label

_NOTE = "note"  # the entry of a chunk that says which frames it is about

_LOG = logging.getLogger("ghost")


class Store(Protocol):
    """Where chunks are kept: common.checkpoints.Checkpoints."""

    def load(self, index: int) -> Mapping[str, NDArray[Any]] | None:
        """A chunk that an earlier attempt has kept, or None."""
        ...

    def save(self, index: int, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keeps a chunk."""
        ...


@dataclass(frozen=True)
class Progress:
    """Where work in progress lies.

    Attributes:
        folder: for large arrays, until they are published.
        store: keeps chunks for the next attempt; None keeps none.
    """

    folder: Path
    store: Store | None = None


@dataclass
class _Chunk:
    """What was estimated in some frames.

    Attributes:
        first: number of frames with people before it.
        end: and with it.
        rows: of the clip's people, whose bodies these are.
        estimates: their bodies.
        rejected: how many bodies of these frames are left out, by reason.
        apart: by how many pixels the 2D keypoints of those that contradict themselves are off, each body's median.
        bytes: of the large arrays among the estimates.
    """

    first: int
    end: int = 0
    rows: list[int] = field(default_factory=list)
    estimates: list[BodyEstimate] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    apart: list[float] = field(default_factory=list)
    bytes: int = 0
    began: float = field(default_factory=time.monotonic)

    def add(self, clip: Clip, rows: NDArray[np.int64], found: list[BodyEstimate | None]) -> None:
        """Takes the bodies of one frame, if there is nothing against them."""
        for row, estimate in zip(rows.tolist(), found, strict=True):
            if estimate is None:
                continue
            reason = objection(estimate, clip.camera)
            if reason is None:
                self.rows.append(row)
                self.estimates.append(estimate)
                self.bytes += held_bytes(estimate)
            else:
                self.rejected[reason] += 1
            if reason == CONTRADICTORY:
                self.apart.append(apart_px(estimate, clip.camera))

    @property
    def is_full(self) -> bool:
        """Whether it is time to keep it."""
        return (
            self.end - self.first >= CHUNK_FRAMES
            or time.monotonic() - self.began >= CHUNK_SECONDS
            or self.bytes >= _CHUNK_BYTES
        )


class FramewiseEstimator:
    """A BodyEstimator made of a FrameBodyModel."""

    def __init__(self, model: FrameBodyModel, *, progress: Progress, warn: Callable[[str], None] | None = None) -> None:
        """Remembers the model, which is closed when a video is done.

        Args:
            model: what looks at the frames.
            progress: where chunks and large arrays lie; the latter until the bodies are not needed any more.
            warn: tells the user what limits the result; None logs it.
        """
        self._model = model
        self._progress = progress
        self._warn = warn or _LOG.warning

    @property
    def identity(self) -> str:
        """What else than options, code and locked weights determines the results; see FrameBodyModel."""
        return self._model.identity

    @property
    def about(self) -> Mapping[str, str]:
        """What the manifest should say about where the model ran, by name."""
        return self._model.about

    @property
    def gpu(self) -> tuple[str, int]:
        """Name and most bytes taken of the GPU that a process of its own has used; "" if this process has."""
        return self._model.gpu

    @property
    def ran_on(self) -> RanOn:
        """Device and precision of the model."""
        return self._model.ran_on

    @property
    def remark(self) -> str:
        """See BodyEstimator."""
        return self._model.remark

    def estimate(self, clip: Clip, open_frames: OpenFrames) -> dict[int, PersonBody]:
        """See BodyEstimator.

        Raises:
            ModelUnavailable: the model cannot be loaded, has broken down, or gives nothing that could be published.
            BadInput: a mask or the video is damaged.
            DiskError: what was estimated cannot be kept.
        """
        rows = clip.wanted()
        frames, first = np.unique(clip.people.frame[rows], return_index=True)
        rows_of = np.split(rows, first[1:])
        tracks, rejected, store = Tracks(clip, self._progress.folder), Counter[str](), self._progress.store
        with closing(self._model):
            if len(frames):
                self._model.open()  # before checkpoints are taken up: only then its identity is complete
            kept, done = self._resume(tracks, rejected, total=len(frames))
            if done < len(frames):
                rest = self._chunks(clip, open_frames, frames, rows_of, done=done)
                for index, chunk in enumerate(rest, kept):
                    columns = to_columns(chunk.rows, chunk.estimates)
                    tracks.add(columns)
                    rejected.update(chunk.rejected)
                    self._judge(tracks.count, rejected, chunk.apart)
                    if store is not None and chunk.end < len(frames):
                        store.save(index, columns | {_NOTE: self._note(chunk)})
        if rejected:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(rejected.items()))
            self._warn(f"{self._model.name}: {rejected.total()} bodies in single frames are left out: {reasons}.")
        return tracks.bodies()

    def _judge(self, good: int, rejected: Counter[str], apart: list[float]) -> None:
        """Raises ModelUnavailable where what was left out so far is no accident: nobody would want the rest.

        Args:
            good: number of bodies so far that nothing is to be said against.
            rejected: and of those that were left out.
            apart: see _Chunk.
        """
        crooked = rejected[CONTRADICTORY]
        if crooked > good:
            raise ModelUnavailable(
                f"{self._model.name}: in {crooked} of {good + crooked} bodies the 2D keypoints are not the projection "
                f"of the 3D ones, {np.nanmedian(apart or [np.nan]):.3g} px off in the median. This version of the "
                "model's code computes otherwise than ghost expects: use the one that the README of stages/body names."
            )
        if not good and rejected[OUT_OF_MEMORY] > rejected.total() / 2:
            raise ModelUnavailable(
                f"{self._model.name}: memory runs out with a single person. Choose a GPU with more memory or one that "
                "nobody else uses, or --device cpu."
            )

    def _note(self, chunk: _Chunk) -> NDArray[np.str_]:
        note = {"identity": self._model.identity, "first": chunk.first, "end": chunk.end, "rejected": chunk.rejected}
        return np.array(json.dumps(note))

    def _resume(self, tracks: Tracks, rejected: Counter[str], *, total: int) -> tuple[int, int]:
        """Takes up what earlier attempts have kept; returns the number of their chunks and of their frames."""
        index, done, store = 0, 0, self._progress.store
        while store is not None and done < total and (arrays := store.load(index)) is not None:
            note = json.loads(str(arrays[_NOTE]))
            if note["identity"] != self._model.identity or note["first"] != done:
                break  # by other code than ghost's own, which the key of the checkpoints cannot know
            tracks.add({name: array for name, array in arrays.items() if name != _NOTE})
            rejected.update(note["rejected"])
            index, done = index + 1, note["end"]
        if done:
            _LOG.info("%s: resumed at frame %d of %d", self._model.name, done, total)
        return index, done

    def _chunks(
        self,
        clip: Clip,
        open_frames: OpenFrames,
        frames: NDArray[np.int64],
        rows_of: list[NDArray[np.int64]],
        *,
        done: int,
    ) -> Iterator[_Chunk]:
        """Estimates all frames from number `done` on; the last chunk ends with the last of them."""
        model, size = self._model, self._model.frames_at_once
        chunk, counted = _Chunk(done), Counter(model.rejected)
        pictures = _pictures(clip, open_frames(frames[done:]), frames, rows_of)
        waiting = _AHEAD_BYTES // (_PIXEL_BYTES * clip.height * clip.width)
        with Ahead(pictures, max(_AHEAD, min(size, waiting))) as stream:
            # Always the same frames together, wherever work was taken up: on a GPU the last digits depend on it.
            for batch, group in itertools.groupby(stream, key=lambda picture: picture[0] // size):
                members = list(group)
                found = model.estimate_batch([people for _, people in members])
                for (position, _), bodies in zip(members, found, strict=True):
                    chunk.add(clip, rows_of[position], bodies)
                chunk.end = min((batch + 1) * size, len(frames))
                chunk.rejected += model.rejected - counted
                counted = Counter(model.rejected)
                if chunk.is_full and chunk.end < len(frames):
                    yield chunk
                    chunk = _Chunk(chunk.end)
        chunk.end = len(frames)
        yield chunk


def _pictures(
    clip: Clip, stream: Iterable[Frame], frames: NDArray[np.int64], rows_of: list[NDArray[np.int64]]
) -> Iterator[tuple[int, PeopleInFrame]]:
    """For each frame that can be decoded its place among `frames`, and what the model gets to see."""
    (fx, fy), (cx, cy) = clip.camera.focal, clip.camera.centre
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    for frame in stream:
        position = int(np.searchsorted(frames, frame.index))
        rows = rows_of[position]
        yield (
            position,
            PeopleInFrame(
                image=np.ascontiguousarray(frame.image),
                boxes=clip.people.box[rows].astype(np.float32),
                labels=renumbered(clip.masks.labels(frame.index), clip.people.person[rows]),
                camera=matrix,
            ),
        )
