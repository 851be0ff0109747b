"""Geometry of label images: who is where in one, and one image out of overlapping masks.

A label image is (height, width) uint16, 0 for background and a person's id elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from common.artifacts.contract import check_person

FOREGROUND = 0.5
"""A pixel belongs to somebody only where a mask says "more likely than not"."""

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True)
class PeopleInFrame:
    """Who is in a label image.

    Attributes:
        ids: (n,) int64, ascending, without the background.
        boxes: (n, 4) int64, inclusive pixels (x1, y1, x2, y2).
        areas: (n,) int64, pixels.
    """

    ids: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.int64]
    areas: npt.NDArray[np.int64]


def people_in(labels: npt.NDArray[np.uint16]) -> PeopleInFrame:
    """Ids, boxes and areas of everybody in a label image.

    Works on horizontal runs of equal labels, a few thousand instead of two million pixels: 0.8 ms at 1080p
    whatever the number of people, against 2.7 ms for one comparison per person and 7 ms for a histogram of
    all pixels.

    Args:
        labels: (height, width) uint16.
    """
    rows = np.flatnonzero(labels.any(axis=1))
    if rows.size == 0:
        nobody = np.zeros(0, np.int64)
        return PeopleInFrame(nobody, np.zeros((0, 4), np.int64), nobody)
    top = int(rows[0])
    band = np.ascontiguousarray(labels[top : rows[-1] + 1])
    width = band.shape[1]

    starts_run = np.ones(band.shape, bool)  # the first pixel of a row always does, so no run spans two rows
    np.not_equal(band[:, 1:], band[:, :-1], out=starts_run[:, 1:])
    starts = np.flatnonzero(starts_run)
    lengths = np.diff(starts, append=band.size)
    values = band.reshape(-1)[starts]
    person = values > 0
    starts, lengths = starts[person], lengths[person]
    y, x = np.divmod(starts, width)
    y += top

    ids, owner = np.unique(values[person], return_inverse=True)
    boxes = np.empty((len(ids), 4), np.int64)
    boxes[:, :2] = np.iinfo(np.int64).max
    boxes[:, 2:] = -1
    np.minimum.at(boxes[:, 0], owner, x)
    np.minimum.at(boxes[:, 1], owner, y)
    np.maximum.at(boxes[:, 2], owner, x + lengths - 1)
    np.maximum.at(boxes[:, 3], owner, y)
    areas = np.zeros(len(ids), np.int64)
    np.add.at(areas, owner, lengths)
    return PeopleInFrame(ids.astype(np.int64), boxes, areas)


def exclusive_labels(
    people: Sequence[tuple[int, npt.NDArray[np.float32], tuple[int, int]]], *, height: int, width: int
) -> npt.NDArray[np.uint16]:
    """One label image out of soft masks: a pixel is the person's with the highest probability above 0.5.

    At equal probability the lower id has the pixel, so the order of `people` does not matter. NaN means "not
    here". Only the boxes and their overlaps are looked at; no array of numbers of the frame's size is made.

    Args:
        people: for each person its id, its probabilities (h, w) float32, and the pixel (x0, y0) of their top
            left corner, which like the rest of the box may lie outside the frame.
        height: of the frame, pixels.
        width: likewise.

    Returns:
        (height, width) uint16.

    Raises:
        BadInput: an id outside of 1..65535.
        ValueError: the same id twice.
    """
    ids = [check_person("masks", person) for person, _, _ in people]
    if len(set(ids)) < len(ids):
        raise ValueError(f"every person needs one mask, got the ids {ids}")
    frame = _Box(0, 0, width, height)
    boxes = [_Box(x0, y0, x0 + soft.shape[1], y0 + soft.shape[0]).intersection(frame) for _, soft, (x0, y0) in people]
    labels = np.zeros((height, width), np.uint16)
    for i, (person, soft, corner) in enumerate(people):
        mine = _view(soft, corner, boxes[i])
        wins = mine > FOREGROUND
        for j, (other, other_soft, other_corner) in enumerate(people):
            both = boxes[i].intersection(boxes[j])
            if i == j or both.empty:
                continue
            theirs, ours = _view(other_soft, other_corner, both), _view(soft, corner, both)
            loses = theirs >= ours if other < person else theirs > ours  # False where either is NaN
            contested = _view(wins, (boxes[i].x1, boxes[i].y1), both)
            np.logical_and(contested, ~loses, out=contested)
        np.copyto(_view(labels, (0, 0), boxes[i]), np.uint16(person), where=wins)
    return labels


@dataclass(frozen=True)
class _Box:
    """Half-open: x1 <= x < x2."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def empty(self) -> bool:
        return self.x1 >= self.x2 or self.y1 >= self.y2

    def intersection(self, other: _Box) -> _Box:
        x1, y1 = max(self.x1, other.x1), max(self.y1, other.y1)
        return _Box(x1, y1, max(x1, min(self.x2, other.x2)), max(y1, min(self.y2, other.y2)))


def _view(image: npt.NDArray[_Scalar], corner: tuple[int, int], box: _Box) -> npt.NDArray[_Scalar]:
    """What `box` of the frame covers of `image`, whose top left pixel lies at `corner` of the frame."""
    x0, y0 = corner
    return image[box.y1 - y0 : box.y2 - y0, box.x1 - x0 : box.x2 - x0]
