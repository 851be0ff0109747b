"""The last few frames, held back before they are published, with the masks found in them so far.

Whatever is found out later about a frame that is still held is put right in it: who was found on a key frame is added
to the frames before, and a mask that has slid onto somebody else is taken away or given to its owner.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic

import numpy as np
import torch
from numpy.typing import NDArray

from stages.segment.prompted.instances import Instance, box_overlap
from stages.segment.prompted.looks import CHECK, LOOKS
from stages.segment.prompted.protocols import Outlines, Picture

MOST_HELD = CHECK + LOOKS[-1]
"""Frames held back: the longest pause between two looks, and what it takes to be believed. For SAM 2 one frame takes
3 MB, and 0.3 MB for each instance: 280 MB with four."""

_EDGE = 0.01  # of the frame's size: a cell or two of the masks


@dataclass(frozen=True, eq=False)
class Seen:
    """An instance in a frame.

    Attributes:
        logits: (h, w), on the model's device.
        presence: (), likewise.
        area: fraction of the frame; NaN until the masks have been looked at.
        box: (4,) xyxy pixels; NaN until then.
    """

    logits: torch.Tensor
    presence: torch.Tensor
    area: float = float("nan")
    box: NDArray[np.float32] = field(default_factory=lambda: np.full(4, np.nan, np.float32))


@dataclass(frozen=True, eq=False)
class HeldFrame(Generic[Picture]):
    """A frame that has been followed through and not published yet.

    Attributes:
        order: how many frames came before.
        index: in the video's time table.
        seconds: PTS.
        height: of the frame, pixels.
        width: of the frame, pixels.
        picture: in the tracker's own form.
        found: who has a mask in it; changes while the frame is held.
        overlaps: intersection over union of masks that share something.
    """

    order: int
    index: int
    seconds: float
    height: int
    width: int
    picture: Picture
    found: dict[Instance, Seen] = field(default_factory=dict)
    overlaps: dict[frozenset[Instance], float] = field(default_factory=dict)

    @property
    def size(self) -> NDArray[np.float32]:
        """(4,) what fractions of the frame are multiplied with to be a box in pixels."""
        return np.array([self.width, self.height, self.width, self.height], np.float32)

    def holds(self, box: NDArray[np.float32]) -> bool:
        """Whether a box, xyxy, is away from the edges, so that whoever is in it is not half outside."""
        margin = _EDGE * np.array([self.width, self.height], np.float32)
        return bool((box[:2] > margin).all() and (box[2:] < np.array([self.width, self.height]) - margin).all())

    def take(self, instance: Instance) -> None:
        """It has no mask here."""
        self.found.pop(instance, None)
        for pair in [pair for pair in self.overlaps if instance in pair]:
            del self.overlaps[pair]

    def rename(self, names: Mapping[Instance, Instance]) -> None:
        """The mask of one is another's, who has none here or whose mask is renamed as well."""
        found = {names.get(instance, instance): seen for instance, seen in self.found.items()}
        overlaps = {frozenset(names.get(i, i) for i in pair): value for pair, value in self.overlaps.items()}
        self.found.clear()
        self.found.update(found)
        self.overlaps.clear()
        self.overlaps.update(overlaps)


def stacked(found: dict[Instance, Seen], numbers: Sequence[int]) -> Outlines:
    """The masks of a frame as they came, numbered anew; at least one."""
    return Outlines(
        tuple(numbers),
        torch.stack([seen.logits for seen in found.values()]),
        torch.stack([seen.presence for seen in found.values()]),
    )


def first_held(held: Sequence[HeldFrame[Picture]], instance: Instance) -> int:
    """The first frame in which somebody has a mask; -1 if there is none."""
    return next((frame.order for frame in held if instance in frame.found), -1)


def merged_since(held: Sequence[HeldFrame[Picture]], a: Instance, b: Instance, *, overlap: float) -> int | None:
    """Since which frame two masks have been on the same thing; None if they are not now.

    Args:
        held: frames in order.
        a: somebody.
        b: somebody.
        overlap: intersection over union from which masks are the same.
    """
    pair = frozenset({a, b})
    alike = itertools.takewhile(lambda frame: frame.overlaps.get(pair, 0.0) >= overlap, reversed(held))
    return min((frame.order for frame in alike), default=None)


def steadiness(held: Sequence[HeldFrame[Picture]], instance: Instance, *, start: int, end: int) -> float:
    """The lowest overlap of the boxes of neighbouring frames, 0 to 1; 0 if it has been away in between.

    Args:
        held: frames in order.
        instance: whose mask.
        start: the first frame that counts.
        end: the last one.
    """
    return min((value for _, value in _steps(held, instance, start=start, end=end)), default=1.0)


def break_near(held: Sequence[HeldFrame[Picture]], instance: Instance, *, around: int, reach: int) -> int:
    """Where a mask jumped onto somebody else: the frame after the least steady step near a frame.

    Args:
        held: frames in order.
        instance: whose mask.
        around: a frame.
        reach: how far from it, in frames.
    """
    steps = _steps(held, instance, start=around - reach, end=around + reach)
    if not steps:
        return around
    lowest = min(value for _, value in steps)
    # Of several equal ones the last: after an absence the frame in which it came back.
    return max(order for order, value in steps if value == lowest)


def _steps(held: Sequence[HeldFrame[Picture]], instance: Instance, *, start: int, end: int) -> list[tuple[int, float]]:
    nowhere = np.full(4, np.nan, np.float32)
    boxes = [
        (frame.order, frame.found[instance].box if instance in frame.found else nowhere)
        for frame in held
        if start <= frame.order <= end
    ]
    return [(order, box_overlap(before, box)) for (_, before), (order, box) in itertools.pairwise(boxes)]
