"""One person (or thing) that is followed or was: who they are, what they look like, where they were last."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stages.segment.appearance import difference, remember
from stages.segment.prompted.looks import SUPPORTS, SURE

UNLIKE = 0.3
"""Colours that differ more are somebody else's: `appearance.difference`, as in the CPU backend."""

UNLIKE_RETURNING = 0.2
"""Stricter, where position says little; likewise."""

MARGIN = 0.05
"""By which colours must decide between two; likewise."""

KNOWN = 5
"""Looks after which what somebody looks like is known well enough to be compared after a long time; by hand."""

_LEARNING_RATE = 0.2  # of the colours at a detection, several frames after the one before; chosen by hand


_MOST_WEIGHT = 4.0  # of a view, by its area against the usual one; by hand
_MOST_VIEWS = 6
_NEW_VIEW = 0.08  # in colour difference from those that are known: what one person differs by from look to look


@dataclass(eq=False)
class Instance:
    """Somebody who is followed, or was, or is not believed yet. Takes 3 kB, for as long as it is remembered.

    Attributes:
        key: counts instances in the order in which they were found.
        class_name: what it is.
        found: the frame of its first detection; frames are counted as they come.
        score: of its last detection.
        colours: (2, 3, bins), as from `mask_colours`, averaged over detections.
        stream: the number by which the tracker's memory knows it; None while it is lost.
        supports: detections that agreed with it.
        scores: the sum of theirs.
        misses: looks in a row that did not see it although its mask was there.
        seen: frames in which it has a mask.
        first: the first of them.
        last: the last of them.
        box: (4,) where it was then, xyxy, pixels.
        first_box: likewise in the first.
        views: colours at some detections, no two of them alike: light and distance change them.
        area: its usual size, as a fraction of the frame: the mean at detections.
        size: longer side of its box, likewise, pixels.
        samples: detections that colours, area and size have been learned from.
        whole: whether it was away from the frame's edges in these.
        back: the frame in which its mask came back after an absence, until its colours have been compared.
        near: who was so close that masks may have been exchanged, and the frame in which they were closest.
        supported: the frame of the last detection that agreed with it.
        reminded: the frame in which a detection corrected its mask last.
        believed: whether it may be published.
        id: as published, None before.
    """

    key: int
    class_name: str
    found: int
    score: float
    colours: NDArray[np.float32]
    stream: int | None
    supports: int = 1
    scores: float = 0.0
    misses: int = 0
    seen: int = 0
    first: int = -1
    last: int = -1
    box: NDArray[np.float32] = field(default_factory=lambda: np.full(4, np.nan, np.float32))
    first_box: NDArray[np.float32] = field(default_factory=lambda: np.full(4, np.nan, np.float32))
    views: list[NDArray[np.float32]] = field(default_factory=list)
    area: float = 0.0
    size: float = 0.0
    samples: int = 0
    whole: bool = False
    back: int | None = None
    near: dict[Instance, Contact] = field(default_factory=dict)
    supported: int = -1
    reminded: int = -1
    believed: bool = False
    id: int | None = None

    def support(self, score: float, *, frame: int) -> None:
        """A detection agrees with it."""
        self.supports += 1
        self.scores += score
        self.misses = 0
        self.score = score
        self.supported = frame

    def convinces(self, *, frames: float = math.inf) -> bool:
        """Whether its detections are enough to believe in it, where there were only so many frames to look at."""
        sure = self.supports >= SUPPORTS and self.scores >= SURE * self.supports
        return sure or self.supports > SUPPORTS or self.supports >= frames

    def learn(self, colours: NDArray[np.float32], area: float, box: NDArray[np.float32], *, whole: bool) -> None:
        """What it looks like at a detection that can be trusted.

        Args:
            colours: (2, 3, bins).
            area: fraction of the frame.
            box: (4,) xyxy, pixels.
            whole: whether the box is away from the frame's edges. What is half outside tells nothing about somebody
                who has been seen whole, and is forgotten once they are.
        """
        if self.whole and not whole:
            return
        if whole and not self.whole:
            self.samples, self.whole = 0, True
            self.views.clear()
        self.samples += 1
        # Of somebody who is hardly seen the colours say little: large views count for more.
        weight = float(np.clip(area / max(self.area, 1e-6), 1 / _MOST_WEIGHT, _MOST_WEIGHT))
        rate = min(1.0, weight * max(1 / self.samples, _LEARNING_RATE))
        self.colours = remember(self.colours, colours, rate=rate)
        if len(self.views) < _MOST_VIEWS and all(difference(colours, view) > _NEW_VIEW for view in self.views):
            self.views.append(colours)
        self.area += rate * (area - self.area)
        self.size += rate * (longer_side(box) - self.size)

    def unlike(self, colours: NDArray[np.float32]) -> float:
        """How differently somebody is coloured, 0 to 1; NaN if that cannot be said."""
        return difference(self.colours, colours)


@dataclass(frozen=True)
class Contact:
    """Two who came close.

    Attributes:
        frame: in which they were closest.
        shared: how much of the smaller box lay in the other.
    """

    frame: int
    shared: float


def box_shared(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """How much of the smaller of two boxes lies in the other, 0 to 1; 0 where one is NaN."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if not (width > 0 and height > 0):
        return 0.0
    return float(width * height / min(box_area(a), box_area(b)))


def touching(boxes: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Which of n boxes share something when each has a rim of a tenth of its size: pairs of rows, the lower first.

    Of somebody behind another no more is seen than what sticks out: boxes that hardly touch are close. For all at once,
    since every frame asks for every two.

    Args:
        boxes: (n, 4) xyxy; one that is NaN touches nobody.
    """
    rim = 0.1 * (boxes[:, 2:] - boxes[:, :2])
    low, high = boxes[:, :2] - rim, boxes[:, 2:] + rim
    with np.errstate(invalid="ignore"):
        shared = (np.minimum(high[:, None], high) > np.maximum(low[:, None], low)).all(axis=2)
    return [(int(row), int(column)) for row, column in np.argwhere(np.triu(shared, 1))]


def box_overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes; 0 where one is NaN."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if not (width > 0 and height > 0):
        return 0.0
    common = float(width * height)
    return common / (box_area(a) + box_area(b) - common)


def box_area(box: NDArray[np.float32]) -> float:
    """Square pixels."""
    return float((box[2] - box[0]) * (box[3] - box[1]))


def longer_side(box: NDArray[np.float32]) -> float:
    """Pixels."""
    return float(max(box[2] - box[0], box[3] - box[1]))


def distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Between the middles of two boxes, pixels; inf where one is NaN."""
    apart = float(np.hypot(a[0] + a[2] - b[0] - b[2], a[1] + a[3] - b[1] - b[3]) / 2)
    return apart if math.isfinite(apart) else math.inf
