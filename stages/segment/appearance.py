"""What a person looks like: the colours of torso and thighs, to tell people apart after an occlusion."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from common.models.blazepose_landmarks import Landmarks33
from common.models.regions import cut_out

PARTS = ((11, 12, 24, 23), (23, 24, 26, 25))
"""The landmarks around the torso and around the thighs; arms and shins are too thin, and heads too small."""

BINS = 16
_SIDE = 64  # pixels of the crop that is looked at: 1,000 on a torso are plenty
_FEWEST_PIXELS = 12  # of the small crop; fewer than that say more about the mask than about the clothes
_WIDENING = 1.5  # pixels of the small crop around the polygon: seen from the side, a torso's is a line


def colours(image: NDArray[np.uint8], person: Landmarks33) -> NDArray[np.float32]:
    """Colour histograms of a person.

    Args:
        image: (H, W, 3) uint8 RGB.
        person: where to look.

    Returns:
        (2, 3, BINS) float32: for torso and thighs the distributions of L, a and b (CIELAB), each summing to
        1; NaN for a part that is not seen.
    """
    crop = cv2.cvtColor(cut_out(image, person.region, _SIDE), cv2.COLOR_RGB2LAB)
    mask = cv2.resize(person.mask, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) > 0.5
    to_image = person.region.to_image(_SIDE)
    points = np.linalg.solve(to_image[:, :2], (person.image - to_image[:, 2]).T).T
    histograms = np.full((len(PARTS), 3, BINS), np.nan, np.float32)
    for part, corners in enumerate(PARTS):
        polygon = np.zeros((_SIDE, _SIDE), np.uint8)
        outline = cv2.convexHull(np.round(points[list(corners)]).astype(np.int32))
        cv2.fillConvexPoly(polygon, outline, 1)
        cv2.polylines(polygon, [outline], isClosed=True, color=1, thickness=int(2 * _WIDENING))
        pixels = crop[(polygon > 0) & mask]
        if len(pixels) >= _FEWEST_PIXELS:
            for channel in range(3):
                counts = np.bincount(pixels[:, channel] // (256 // BINS), minlength=BINS)
                histograms[part, channel] = counts / len(pixels)
    return histograms


def difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """How differently two people are coloured: the mean Hellinger distance of the parts that both show.

    Args:
        a: (2, 3, BINS), as from `colours`.
        b: likewise.

    Returns:
        0 (same colours) to 1 (no colour in common); NaN if they have no part in common.
    """
    # Neighbouring bins count a little: a cloud over the sun must not make somebody else.
    overlap = np.sqrt(_blur(a) * _blur(b)).sum(axis=-1).mean(axis=-1)
    seen = ~np.isnan(overlap)
    if not seen.any():
        return float("nan")
    return float(np.sqrt(np.maximum(1 - overlap[seen], 0)).mean())


def remember(known: NDArray[np.float32], seen: NDArray[np.float32], *, rate: float) -> NDArray[np.float32]:
    """The known colours, moved towards those just seen; parts missing in one are taken from the other.

    Args:
        known: (2, 3, BINS).
        seen: likewise.
        rate: weight of what was just seen, in [0, 1].
    """
    mixed = (1 - rate) * known + rate * seen
    mixed = np.where(np.isnan(seen), known, mixed)
    return np.where(np.isnan(known), seen, mixed).astype(np.float32)


def _blur(histograms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each bin shared with its neighbours, 1:4:6:4:1; the ends keep what would fall off."""
    for _ in range(2):
        padded = np.pad(histograms, ((0, 0), (0, 0), (1, 1)), mode="edge")
        histograms = np.asarray((padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]) / 4, np.float32)
    return histograms
