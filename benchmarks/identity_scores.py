"""How well people keep their ids: the field's tracking scores of label images against the true ones.

The scores are those of trackeval 1.3.0, with the overlap of masks as similarity:

- IDF1: Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking" (2016).
- MOTA and id switches: Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance" (2008).
- HOTA: Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking" (2021), the mean over its 19
  thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from trackeval.metrics import CLEAR, HOTA, Identity

Labels = npt.NDArray[np.uint16]
Ids = npt.NDArray[np.int64]

MATCH = 0.5
"""Intersection over union from which a mask is that of a person: the default of trackeval, as of MOTChallenge."""


@dataclass(frozen=True)
class Minimum:
    """Who is too little visible to be asked for.

    Attributes:
        pixels: fewer are not asked for.
        share: nor is a smaller part of the silhouette, where that is known.
    """

    pixels: int = 30
    share: float = 0.1


@dataclass(frozen=True)
class IdentityScores:
    """Scores between 0 and 1, and counts.

    Attributes:
        idf1: share of the masks that belong to the right person all along, both ways.
        mota: 1 - (misses + false masks + id switches) / true masks; negative for more errors than masks.
        hota: geometric mean of detection and association.
        detection: DetA, the part of HOTA that is about masks alone.
        association: AssA, the part of HOTA that is about ids.
        id_switches: how often a person got another id than the last time.
        misses: true masks without a predicted one.
        false_masks: predicted masks without a true one.
        true_masks: those that were asked for, in all frames.
        frames: number of them.
    """

    idf1: float
    mota: float
    hota: float
    detection: float
    association: float
    id_switches: int
    misses: int
    false_masks: int
    true_masks: int
    frames: int


@dataclass(eq=False)
class Comparison:
    """One video's predicted labels against the true ones, a frame at a time; of each frame it keeps one small matrix.

    Attributes:
        minimum: who is asked for.
    """

    minimum: Minimum = field(default_factory=Minimum)
    _true: list[Ids] = field(default_factory=list)
    _predicted: list[Ids] = field(default_factory=list)
    _overlaps: list[npt.NDArray[np.float64]] = field(default_factory=list)

    def add(self, truth: Labels, predicted: Labels, *, visible: Mapping[int, float] | None = None) -> None:
        """Compares the next frame.

        People below the minimum are ignore regions on both sides: they need not be found, and a predicted mask that
        matches nobody is forgiven if at least half of it lies on them, or if it is itself below the minimum of pixels.

        Args:
            truth: (height, width) true ids, 0 for nobody.
            predicted: likewise, with ids of their own.
            visible: for true ids the share of the silhouette that can be seen; whoever is not named counts as 1.

        Raises:
            ValueError: images of different sizes.
        """
        if truth.shape != predicted.shape or truth.ndim != 2:
            raise ValueError(f"labels: expected two images of one size, got {truth.shape} and {predicted.shape}")
        true_ids, predicted_ids, shared = _shared_pixels(truth, predicted)
        people, found = shared[1:], shared[:, 1:]
        areas, sizes = people.sum(axis=1), found.sum(axis=0)
        shares = np.array([1.0 if visible is None else visible.get(int(i), 1.0) for i in true_ids])
        asked = (areas >= self.minimum.pixels) & (shares >= self.minimum.share)

        forgiven = people[~asked, 1:].sum(axis=0)  # pixels of each predicted mask that lie in ignore regions
        both = people[asked, 1:]
        union = areas[asked, None] + (sizes - forgiven)[None, :] - both
        overlap = both / np.maximum(union, 1)
        unmatched = (overlap < MATCH).all(axis=0)
        dropped = unmatched & ((2 * forgiven >= sizes) | (sizes < self.minimum.pixels))
        self._true.append(true_ids[asked])
        self._predicted.append(predicted_ids[~dropped])
        self._overlaps.append(overlap[:, ~dropped])

    def scores(self) -> IdentityScores:
        """Of all frames so far. Raises ValueError if nobody was to be found in any of them."""
        return combined_scores([self])

    def _as_sequence(self) -> dict[str, Any]:
        """What trackeval's metrics take: ids from 0 on, without gaps."""
        true, true_count = _numbered(self._true)
        predicted, predicted_count = _numbered(self._predicted)
        return {
            "num_timesteps": len(self._overlaps),
            "num_gt_ids": true_count,
            "num_tracker_ids": predicted_count,
            "num_gt_dets": sum(len(ids) for ids in true),
            "num_tracker_dets": sum(len(ids) for ids in predicted),
            "gt_ids": true,
            "tracker_ids": predicted,
            "similarity_scores": self._overlaps,
        }


def combined_scores(comparisons: Sequence[Comparison]) -> IdentityScores:
    """The scores of several videos together, as benchmarks do it: counts are added, ids of different videos differ.

    Raises:
        ValueError: nobody was to be found in any of them.
    """
    sequences = [comparison._as_sequence() for comparison in comparisons]
    true_masks = sum(sequence["num_gt_dets"] for sequence in sequences)
    if true_masks == 0:
        raise ValueError("scores: expected at least one person in the true labels, got none")
    quiet = {"THRESHOLD": MATCH, "PRINT_CONFIG": False}  # it prints its configuration otherwise
    results = []
    for metric in (Identity(dict(quiet)), CLEAR(dict(quiet)), HOTA()):
        each = {str(number): metric.eval_sequence(sequence) for number, sequence in enumerate(sequences)}
        results.append(metric.combine_sequences(each))
    identity, clear, hota = results
    return IdentityScores(
        idf1=float(identity["IDF1"]),
        mota=float(clear["MOTA"]),
        hota=float(np.mean(hota["HOTA"])),
        detection=float(np.mean(hota["DetA"])),
        association=float(np.mean(hota["AssA"])),
        id_switches=int(clear["IDSW"]),
        misses=int(clear["CLR_FN"]),
        false_masks=int(clear["CLR_FP"]),
        true_masks=true_masks,
        frames=sum(sequence["num_timesteps"] for sequence in sequences),
    )


def _shared_pixels(truth: Labels, predicted: Labels) -> tuple[Ids, Ids, Ids]:
    """Ids on both sides without the background, and how many pixels each pair shares, background first.

    Returns:
        (n,), (m,) and (n + 1, m + 1) int64.
    """
    rows = np.flatnonzero((truth | predicted).any(axis=1))
    band = slice(int(rows[0]), int(rows[-1]) + 1) if rows.size else slice(0, 0)
    (true_ids, one), (predicted_ids, other) = _compact(truth[band]), _compact(predicted[band])
    count = len(predicted_ids) + 1
    joint = np.bincount((one * count + other).ravel(), minlength=(len(true_ids) + 1) * count)
    return true_ids, predicted_ids, joint.reshape(len(true_ids) + 1, count).astype(np.int64)


def _compact(labels: Labels) -> tuple[Ids, npt.NDArray[np.intp]]:
    """Ids in ascending order, and the image with 0 for the background and 1 + index elsewhere."""
    ids = np.flatnonzero(np.bincount(labels.ravel(), minlength=1)[1:]) + 1
    table = np.zeros(1 + int(ids.max(initial=0)), np.intp)
    table[ids] = np.arange(1, len(ids) + 1)
    return ids.astype(np.int64), table[labels]


def _numbered(frames: Sequence[Ids]) -> tuple[list[Ids], int]:
    """The same ids as numbers from 0 on, and how many there are."""
    known = np.unique(np.concatenate(frames)) if frames else np.zeros(0, np.int64)
    return [np.searchsorted(known, ids).astype(np.int64) for ids in frames], len(known)
