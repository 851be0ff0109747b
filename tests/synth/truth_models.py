"""A detector and a mask tracker that know the truth and err as much as they are told to.

They obey `stages.segment.prompted.protocols`, so the driver can be run against known people, and against mistakes that
real models make: missed people, boxes around nothing, ragged masks, a mask that slides onto whoever stands in front.
Every mistake is drawn from the seed, the frame and the person, never from the order of calls.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from common.media.decode import Frame
from stages.segment.prompted.protocols import Detections, Outlines
from tests.synth.scene import TruthScene

LOGIT = 6.0
"""Of a cell that is inside, and of somebody who is in view; the negative elsewhere."""

_LOCKS = 0.3  # overlap from which a prompt means a person; below, it means the background
_FEWEST_CELLS = 6  # of somebody who is in view at all
_FINE = 150  # cells; of whoever has fewer, a contour that is a cell off would be somebody else
_HIDDEN = 0.1  # of the visible area a second ago, below which the tracker loses somebody


class View(Protocol):
    """What one camera sees."""

    @property
    def frames(self) -> int:
        """How many."""
        ...

    @property
    def rate(self) -> float:
        """Of them, per second."""
        ...

    @property
    def classes(self) -> dict[int, str]:
        """What every id is."""
        ...

    def labels(self, frame: int) -> NDArray[np.uint16]:
        """(H, W) ids of who is visible; 0 is nobody."""
        ...

    def image(self, frame: int) -> NDArray[np.uint8]:
        """(H, W, 3) RGB; no two frames are equal."""
        ...


@dataclass(frozen=True, eq=False)
class SceneView:
    """One camera of a rendered scene."""

    scene: TruthScene
    camera: int

    @property
    def frames(self) -> int:
        return self.scene.frames

    @property
    def rate(self) -> float:
        return self.scene.rate

    @property
    def classes(self) -> dict[int, str]:
        return self.scene.classes

    def labels(self, frame: int) -> NDArray[np.uint16]:
        return self.scene.labels(self.camera, frame)

    def image(self, frame: int) -> NDArray[np.uint8]:
        return self.scene.image(self.camera, frame)


@dataclass(eq=False)
class TruthVideo:
    """A view as a stream of frames, which knows every picture that it has given out."""

    view: View
    _order: dict[bytes, int] = field(default_factory=dict, init=False)

    def stream(self) -> Iterator[Frame]:
        """All frames, in order."""
        for frame in range(self.view.frames):
            image = self.view.image(frame)
            self._order[_digest(image)] = frame
            yield Frame(frame, frame / self.view.rate, image, corrupt=False)

    def frame_of(self, image: NDArray[np.uint8]) -> int:
        """Which frame a picture is; KeyError for one that was never given out."""
        return self._order[_digest(image)]


@dataclass(frozen=True, eq=False)
class TruthDetector:
    """Boxes of the people who are visible.

    Attributes:
        video: whose frames it is shown.
        missed: fraction of the visible people that it does not see.
        false: boxes around nothing, as a fraction of the people in view (and of a frame with nobody).
        jitter: standard deviation of the sides of a box, as a fraction of its size.
        fewest_pixels: of somebody visible enough to be seen.
        blind: (first frame, last frame, id) between which somebody is not seen at all.
        seed: of all mistakes.
        calls: by frame.
    """

    video: TruthVideo
    missed: float = 0.0
    false: float = 0.0
    jitter: float = 0.0
    fewest_pixels: int = 80
    blind: tuple[tuple[int, int, int], ...] = ()
    seed: int = 0
    calls: Counter[int] = field(default_factory=Counter)

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """All instances, but for the mistakes."""
        frame = self.video.frame_of(image)
        self.calls[frame] += 1
        labels = self.video.view.labels(frame)
        found: list[tuple[float, str, NDArray[np.float64]]] = []
        for person, box in boxes_of(labels, fewest=self.fewest_pixels).items():
            generator = np.random.default_rng((self.seed, frame, person))
            chance, score = generator.random(), float(np.clip(generator.normal(0.7, 0.1), 0.3, 0.95))
            size = np.array([box[2] - box[0], box[3] - box[1]] * 2)
            jittered = box + generator.normal(0, 1, 4) * self.jitter * size
            unseen = any(first <= frame <= last and person == who for first, last, who in self.blind)
            if chance >= self.missed and not unseen:
                found.append((score, self.video.view.classes[person], jittered))
        generator = np.random.default_rng((self.seed, frame, 0))
        if generator.random() < self.false * max(1, len(np.unique(labels)) - 1):
            found.append((float(generator.uniform(0.25, 0.6)), "person", _anywhere(labels.shape, generator)))
        found.sort(key=lambda one: -one[0])
        return Detections(
            np.array([box for _, _, box in found], np.float32).reshape(-1, 4),
            np.array([score for score, _, _ in found], np.float32),
            tuple(name for _, name, _ in found),
        )


@dataclass(frozen=True)
class TrackerMistakes:
    """How a tracker errs.

    Attributes:
        ragged: whether masks have frayed contours or holes, at random in each frame, where they are large enough.
        finds_again: frames of absence after which it does not find somebody again by itself.
        drift: probability that a mask slides onto whoever hides somebody, for each time that somebody is hidden.
        seed: of all this.
    """

    ragged: bool = False
    finds_again: int = 25
    drift: float = 0.0
    seed: int = 0


@dataclass(eq=False)
class TruthTracker:
    """Follows whoever is under the first mask, knowing the truth.

    Attributes:
        video: whose frames it is shown.
        mistakes: how it errs.
        cell: pixels of the frame along a side of a mask's cell.
        calls: of its methods.
        most: instances that one memory ever followed at once.
        memories: that it made.
    """

    video: TruthVideo
    mistakes: TrackerMistakes = field(default_factory=TrackerMistakes)
    cell: int = 2
    calls: Counter[str] = field(default_factory=Counter)
    most: int = 0

    def see(self, image: NDArray[np.uint8]) -> int:
        """The frame's number is all that it keeps."""
        self.calls["see"] += 1
        return self.video.frame_of(image)

    def outline(self, picture: int, boxes: NDArray[np.float32]) -> Outlines:
        """Masks of whoever fits a box best, else of the background in it."""
        self.calls["outline"] += 1
        labels = self.labels(picture)
        masks = []
        known = boxes_of(labels, fewest=_FEWEST_CELLS)
        for box in np.asarray(boxes, np.float64) / self.cell:
            overlaps = {person: _box_overlap(box, other) for person, other in known.items()}
            person = max(overlaps, key=lambda p: overlaps[p], default=0)
            if person and overlaps[person] >= _LOCKS:
                masks.append(self.ragged(labels == person, picture, person))
            else:
                masks.append(_ellipse(labels.shape, box) & (labels == 0))
        return self.as_outlines(tuple(range(len(boxes))), masks, labels.shape)

    def memory(self, *, reverse: bool = False) -> TruthMemory:
        """An empty one."""
        self.calls["reverse memory" if reverse else "memory"] += 1
        return TruthMemory(self, -1 if reverse else 1)

    def labels(self, frame: int) -> NDArray[np.uint16]:
        """(h, w): who is visible, at the masks' resolution."""
        return self.video.view.labels(frame)[:: self.cell, :: self.cell]

    def ragged(self, mask: NDArray[np.bool_], frame: int, person: int) -> NDArray[np.bool_]:
        """A mask as this tracker draws it."""
        if not self.mistakes.ragged or mask.sum() < _FINE:
            return mask
        generator = np.random.default_rng((self.mistakes.seed, frame, person))
        kernel, choice = np.ones((3, 3), np.uint8), generator.integers(4)
        drawn: NDArray[np.uint8] = mask.astype(np.uint8)
        if choice < 2:  # half of the contour's cells, the inner or the outer ones, are on the wrong side
            moved = cv2.erode(drawn, kernel) if choice == 0 else cv2.dilate(drawn, kernel)
            drawn = np.where(generator.random(mask.shape) < 0.5, moved, drawn).astype(np.uint8)
        elif choice == 2 and mask.any():
            rows, columns = np.nonzero(mask)
            hole = generator.integers(len(rows))
            drawn[rows[hole] - 1 : rows[hole] + 2, columns[hole] - 1 : columns[hole] + 2] = 0
        return drawn.astype(bool)

    def as_outlines(self, numbers: tuple[int, ...], masks: list[NDArray[np.bool_]], shape: tuple[int, ...]) -> Outlines:
        """Masks as logits; who has none is not in view."""
        cells = np.array(masks, bool).reshape(len(masks), *shape)
        in_view = cells.sum(axis=(1, 2)) >= _FEWEST_CELLS
        cells &= in_view[:, None, None]
        logits = torch.from_numpy(np.where(cells, LOGIT, -LOGIT).astype(np.float32))
        return Outlines(numbers, logits, torch.from_numpy(np.where(in_view, LOGIT, -LOGIT).astype(np.float32)))


@dataclass(eq=False)
class _Lock:
    """What a mask is on: a person, or a patch of background (target 0)."""

    target: int
    patch: NDArray[np.bool_]
    seen: int
    area: int
    decided: bool = False  # whether it has been drawn if this absence makes it drift


@dataclass(eq=False)
class TruthMemory:
    """What the tracker follows; it complains if it is not used as the protocol says."""

    tracker: TruthTracker
    direction: int
    _locks: dict[int, _Lock] = field(default_factory=dict, init=False)
    _index: int | None = field(default=None, init=False)

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(self._locks)

    def follow(self, picture: int, index: int) -> Outlines:
        assert self._index is None or index == self._index + self.direction, f"{index} after {self._index}"
        self._index = index
        self.tracker.calls["follow"] += 1
        self.tracker.calls["followed"] += len(self._locks)
        labels = self.tracker.labels(picture)
        masks = [self._advance(lock, labels, picture) for lock in self._locks.values()]
        return self.tracker.as_outlines(tuple(self._locks), masks, labels.shape)

    def remember(self, picture: int, index: int, outlines: Outlines) -> None:
        assert self._index is None or index == self._index, f"{index} is not {self._index}"
        assert len(outlines)
        assert len(set(outlines.numbers)) == len(outlines)
        self._index = index
        labels = self.tracker.labels(picture)
        for number, logits in zip(outlines.numbers, outlines.logits, strict=True):
            mask = (logits > 0).numpy()
            people = [int(p) for p in np.unique(labels) if p]
            overlaps = {p: _mask_overlap(mask, labels == p) for p in people}
            person = max(overlaps, key=lambda p: overlaps[p], default=0)
            if person and overlaps[person] < _LOCKS:
                person = 0
            self._locks[number] = _Lock(person, mask, picture, int(mask.sum()))
        self.tracker.most = max(self.tracker.most, len(self._locks))

    def forget(self, numbers: Collection[int]) -> None:
        for number in numbers:
            self._locks.pop(number, None)

    def _advance(self, lock: _Lock, labels: NDArray[np.uint16], frame: int) -> NDArray[np.bool_]:
        mistakes = self.tracker.mistakes
        if not lock.target:
            return lock.patch & (labels == 0)
        nothing = np.zeros(labels.shape, bool)
        if abs(frame - lock.seen) > mistakes.finds_again:
            return nothing
        mask = labels == lock.target
        if mask.sum() < max(_FEWEST_CELLS, _HIDDEN * lock.area) and not lock.decided:
            lock.decided = True
            over = np.bincount(labels[lock.patch], minlength=lock.target + 1)
            over[[0, lock.target]] = 0
            chance = np.random.default_rng((mistakes.seed, frame, lock.target)).random()
            if over.any() and chance < mistakes.drift:
                lock.target = int(over.argmax())
                mask = labels == lock.target
        if mask.sum() < _FEWEST_CELLS:
            return nothing
        if mask.sum() >= _HIDDEN * lock.area:
            lock.seen, lock.area, lock.patch, lock.decided = frame, int(mask.sum()), mask, False
        return self.tracker.ragged(mask, frame, lock.target)


def boxes_of(labels: NDArray[np.uint16], *, fewest: int) -> dict[int, NDArray[np.float64]]:
    """The box around everybody of whom that many pixels are visible, xyxy, by id."""
    found = {}
    for person in np.unique(labels):
        rows, columns = np.nonzero(labels == person)
        if person and len(rows) >= fewest:
            box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            found[int(person)] = np.array(box, np.float64)
    return found


def _digest(image: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()


def _anywhere(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
    height, width = shape
    tall = height * generator.uniform(0.2, 0.5)
    x, y = generator.uniform(0, width - tall / 3), generator.uniform(0, height - tall)
    return np.array([x, y, x + tall / 3, y + tall])


def _ellipse(shape: tuple[int, ...], box: NDArray[np.float64]) -> NDArray[np.bool_]:
    drawn = np.zeros(shape, np.uint8)
    centre = (round((box[0] + box[2]) / 2), round((box[1] + box[3]) / 2))
    axes = (max(1, round((box[2] - box[0]) / 2)), max(1, round((box[3] - box[1]) / 2)))
    return cv2.ellipse(drawn, centre, axes, 0, 0, 360, 1, -1).astype(bool)


def _mask_overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def _box_overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return float(width * height / (areas - width * height))
