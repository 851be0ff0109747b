"""Whether somebody else is so close to a person that a model confuses the two, and whose pixels are whose."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from common.artifacts.people import PeopleTable
from common.models.blazepose_landmarks import SIDE
from common.models.regions import Region, cut_out_labels

NEAR = 3
"""Crop pixels (of 256): masks at most that far apart touch; one heatmap cell of BlazePose is 4."""

CROWDED = 128
"""So many crop pixels of a person within NEAR of somebody else, and the model looks again without the others.

Measured on the demo with two people: PA-MPJPE of the man in cameras 1 to 4, model runs needed for 780 person-frames.
never 74.9 67.3 165.4 91.3 mm, 0 runs · from 256 pixels on 74.9 67.3 128.8 91.3, 82 · 128: 75.3 67.2 118.8 92.1, 141 ·
64: 75.5 66.2 118.3 92.9, 223 · 1: 75.0 66.9 117.4 94.1, 407. Where she stands in front of him (camera 3) it is worth
47 mm, elsewhere nothing; looking again with her in the picture is worth nothing either (165.9).
How they are painted over matters less: mean colour 89.4 mm over 367 frames, grey 89.8, the background blurred over
90.2, black and the picture blurred 91.2; but a margin around them costs 7 (96.4), as it takes away his own limbs.
"""


@dataclass(frozen=True)
class Crowding:
    """What the label image says about one person's crop.

    Attributes:
        others: (256, 256) bool, crop pixels of somebody else.
        border: number of the person's crop pixels that touch somebody else's.
        visible: whether the person has any pixel in the crop.
    """

    others: NDArray[np.bool_]
    border: int
    visible: bool

    @property
    def confusing(self) -> bool:
        """Whether the model should look again without the others."""
        return self.border >= CROWDED or (not self.visible and bool(self.others.any()))


def crowding(labels: NDArray[np.uint16], person: int, region: Region) -> Crowding:
    """Looks at the crop of one person in a label image.

    Args:
        labels: (height, width) uint16, 0 = background.
        person: whose crop it is.
        region: the crop.
    """
    crop = cut_out_labels(labels, region, SIDE)
    own = crop == person
    others = (crop != 0) & ~own
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * NEAR + 1, 2 * NEAR + 1))
    near = cv2.dilate(others.view(np.uint8), disc).view(np.bool_) if others.any() else others
    return Crowding(others, int(np.count_nonzero(own & near)), bool(own.any()))


def boxes_close(people: PeopleTable, rows: NDArray[np.int64], *, margins: NDArray[np.float64]) -> NDArray[np.bool_]:
    """For each of these rows, whether another person's box in the same frame comes closer than a margin.

    Boxes are known without opening any mask, and masks cannot touch where boxes do not.

    Args:
        people: everybody in all frames, sorted by frame.
        rows: (n,) rows of `people`.
        margins: (n,) pixels.

    Returns:
        (n,) bool.
    """
    first = np.searchsorted(people.frame, people.frame[rows], side="left")
    last = np.searchsorted(people.frame, people.frame[rows], side="right")
    close = np.zeros(len(rows), bool)
    for i, (row, start, stop, margin) in enumerate(zip(rows, first, last, margins, strict=True)):
        mine, theirs = people.box[row], people.box[start:stop]
        apart = np.maximum(theirs[:, :2] - mine[2:], mine[:2] - theirs[:, 2:]).max(axis=1)
        close[i] = (apart[np.arange(start, stop) != row] <= margin).any()
    return close


def hidden_by_others(labels: NDArray[np.uint16], person: int, image: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which image points lie on pixels of somebody else.

    Args:
        labels: (height, width) uint16.
        person: whose points they are.
        image: (J, 2) pixels, finite.

    Returns:
        (J,) bool; False outside the image.
    """
    height, width = labels.shape
    column, row = np.rint(image).astype(np.int64).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    label = np.where(inside, labels[row.clip(0, height - 1), column.clip(0, width - 1)], 0)
    return np.asarray((label != 0) & (label != person))
