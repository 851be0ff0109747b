"""Models of random weights that find the same people in every frame, so that so many of them cost what they would.

What random weights compute is thrown away after it has been computed: the detector's network runs, and rectangles are
answered; the tracker's networks run, memories included, and outlines within the rectangles are answered.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic

import numpy as np
import torch
from numpy.typing import NDArray

from stages.segment.prompted.protocols import Detections, InstanceDetector, MaskTracker, Memory, Outlines, Picture

_SURE = 8.0  # logit of a mask; any positive number would do
_WAVE = 5.0  # cells from one bulge of an outline to the next; chosen by hand
_DEPTH = 0.15  # of the width by which it is drawn in between two, likewise


def rectangles(people: int, *, height: int, width: int) -> NDArray[np.float32]:
    """(people, 4) xyxy pixels: side by side, a third of their place wide and two thirds of the frame high."""
    place = width / people
    left = (np.arange(people) + 1 / 3) * place
    boxes = np.stack([left, np.full(people, height / 6), left + place / 3, np.full(people, 5 * height / 6)], axis=1)
    return boxes.astype(np.float32)


def wavy(box: NDArray[np.int_], *, rows: int, columns: int) -> NDArray[np.bool_]:
    """(rows, columns): the cells of a box, xyxy, less what is missing at its left and right side, here and there."""
    x1, y1, x2, y2 = box.tolist()
    y, x = np.mgrid[:rows, :columns]
    depth = _DEPTH * (x2 - x1)
    left, right = (depth * (1 - np.cos(2 * np.pi * (y - y1) / length)) / 2 for length in (_WAVE, 1.7 * _WAVE))
    cells: NDArray[np.bool_] = (y >= y1) & (y < y2) & (x >= x1 + left.round()) & (x < x2 - right.round())
    return cells


class CertainDetector:
    """Runs a detector and answers rectangles."""

    def __init__(self, detector: InstanceDetector, boxes: NDArray[np.float32]) -> None:
        self._detector, self._boxes = detector, boxes

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """See InstanceDetector."""
        self._detector.detect(image)
        count = len(self._boxes)
        return Detections(self._boxes, np.full(count, 0.9, np.float32), ("person",) * count)


class CertainTracker(Generic[Picture]):
    """Runs a tracker and answers outlines that fill the rectangles that it was prompted with.

    Their sides are wavy: to deflate straight ones takes a third of the time that masks of people take.
    """

    def __init__(self, tracker: MaskTracker[Picture], *, height: int, width: int) -> None:
        self._tracker, self._size = tracker, (height, width)

    def see(self, image: NDArray[np.uint8]) -> Picture:
        """See MaskTracker."""
        return self._tracker.see(image)

    def outline(self, picture: Picture, boxes: NDArray[np.float32]) -> Outlines:
        """See MaskTracker."""
        found = self._tracker.outline(picture, boxes)
        rows, columns = found.logits.shape[1:]
        scale = np.array([columns / self._size[1], rows / self._size[0]] * 2)
        inside = [wavy(box, rows=rows, columns=columns) for box in (boxes * scale).round().astype(int)]
        logits = torch.from_numpy(np.where(np.array(inside), _SURE, -_SURE)).to(found.logits)
        return Outlines(found.numbers, logits, torch.ones_like(found.presence))

    def memory(self, *, reverse: bool = False) -> CertainMemory[Picture]:
        """See MaskTracker."""
        return CertainMemory(self._tracker.memory(reverse=reverse))


class CertainMemory(Generic[Picture]):
    """The memory of a CertainTracker."""

    def __init__(self, memory: Memory[Picture]) -> None:
        self._memory = memory
        self._logits: dict[int, torch.Tensor] = {}

    @property
    def numbers(self) -> tuple[int, ...]:
        """See Memory."""
        return self._memory.numbers

    def follow(self, picture: Picture, index: int) -> Outlines:
        """See Memory."""
        found = self._memory.follow(picture, index)
        if not len(found):
            return found
        logits = torch.stack([self._logits[number] for number in found.numbers])
        return Outlines(found.numbers, logits, torch.ones_like(found.presence))

    def remember(self, picture: Picture, index: int, outlines: Outlines) -> None:
        """See Memory."""
        self._memory.remember(picture, index, outlines)
        self._logits.update(zip(outlines.numbers, outlines.logits, strict=True))

    def forget(self, numbers: Collection[int]) -> None:
        """See Memory."""
        self._memory.forget(numbers)
        for number in numbers:
            self._logits.pop(number, None)
