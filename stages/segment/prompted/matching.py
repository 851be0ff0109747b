"""Which detection is of whom: masks compared with masks, one to one, colours where masks leave it open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.segment.association import assign
from stages.segment.prompted.instances import UNLIKE, Instance
from stages.segment.prompted.mask_statistics import ratios
from stages.segment.prompted.protocols import Outlines

SAME = 0.5
"""Intersection over union from which a detection and a mask can be of one instance."""

CLOSE = 0.8
"""From here on they agree, whatever the colours say: these are then the same pixels. The original's only threshold."""

WITHIN = 0.8
"""Intersection over the smaller from which one is a part of the other: a detection inside somebody is nobody new."""

DUPLICATE = 0.7
"""Intersection over union from which two detections are one. By hand: people who hug overlap less."""

_PART = 0.5  # what it costs to explain a detection only in part
_COLOUR_WEIGHT = 0.5  # a colour difference of 0.1 counts like 0.05 of overlap; by hand


@dataclass(frozen=True, eq=False)
class Sightings:
    """What the detector has seen in a frame, outlined; nothing twice and nothing impossible.

    Attributes:
        outlines: of n sightings, as they came from the tracker.
        masks: (n, h, w) bool: the same on the CPU.
        areas: (n,) float32, as fractions of the frame.
        boxes: (n, 4) float32, xyxy, pixels: of the masks.
        scores: (n,) float32.
        class_names: n.
        colours: n times (2, 3, bins).
    """

    outlines: Outlines
    masks: NDArray[np.bool_]
    areas: NDArray[np.float32]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_names: tuple[str, ...]
    colours: tuple[NDArray[np.float32], ...]

    def __len__(self) -> int:
        return len(self.class_names)


@dataclass(frozen=True, eq=False)
class Match:
    """How the sightings of a frame are explained.

    Attributes:
        pairs: for rows of those who are followed, the sighting of each.
        overlaps: (rows, sightings) intersection over union.
        within: (rows, sightings) intersection over the smaller.
        unexplained: sightings of nobody who is followed.
    """

    pairs: dict[int, int]
    overlaps: NDArray[np.float32]
    within: NDArray[np.float32]
    unexplained: tuple[int, ...]


def compare(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Intersection over union, and over the smaller, of every mask with every other.

    Args:
        a: (n, h, w).
        b: (m, h, w).

    Returns:
        Twice (n, m) float32; 0 where a mask is empty.
    """
    cells = a.shape[1] * a.shape[2]  # spelled out: -1 cannot be inferred for no masks
    flat_a = a.reshape(len(a), cells).astype(np.float32)
    flat_b = b.reshape(len(b), cells).astype(np.float32)
    return ratios(flat_a @ flat_b.T, flat_a.sum(axis=1), flat_b.sum(axis=1))


def distinct(masks: NDArray[np.bool_], scores: NDArray[np.float32], class_names: Sequence[str]) -> list[int]:
    """Which sightings remain when of two of the same instance the surer one stays; best first.

    Args:
        masks: (n, h, w).
        scores: (n,).
        class_names: n; sightings of different classes are never the same.
    """
    overlaps, _ = compare(masks, masks)
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable"):
        if not any(overlaps[row, other] >= DUPLICATE and class_names[row] == class_names[other] for other in kept):
            kept.append(int(row))
    return kept


def match(followed: Sequence[Instance], masks: NDArray[np.bool_], sightings: Sightings) -> Match:
    """One sighting for each of those who are followed, or none.

    Args:
        followed: n instances.
        masks: (n, h, w): where they are in this frame.
        sightings: of this frame.
    """
    overlaps, within = compare(masks, sightings.masks)
    costs = np.full(overlaps.shape, math.inf)
    alike = np.zeros(overlaps.shape, dtype=bool)
    for row, instance in enumerate(followed):
        for column, colours in enumerate(sightings.colours):
            if instance.class_name != sightings.class_names[column]:
                continue
            same = overlaps[row, column] >= SAME
            part = within[row, column] >= WITHIN
            alike[row, column] = same or part
            if not (same or part):
                continue
            unlike = instance.unlike(colours)
            if unlike > UNLIKE and overlaps[row, column] < CLOSE:
                continue
            cost = 1 - overlaps[row, column] + (0.0 if same else _PART)
            costs[row, column] = cost + _COLOUR_WEIGHT * (0.0 if math.isnan(unlike) else unlike)
    pairs = dict(assign(costs))
    taken = set(pairs.values())
    # A part of somebody, or a box around two of them, is explained as well, although it is not theirs alone.
    explained = (np.isfinite(costs) | (alike & (within >= WITHIN))).any(axis=0)
    unexplained = [n for n in range(len(sightings)) if n not in taken and not explained[n]]
    return Match(pairs, overlaps, within, tuple(unexplained))
