"""Starts from all kinds of evidence together: weighted least squares, and what each kind contributed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CONTRADICTION = 4.0  # standard deviations from the rest at which a measurement is set aside
UNSURE = 0.05  # s added to what the rest says when that is judged: an interval is a guess as well


@dataclass(frozen=True)
class Measurement:
    """One kind's word on the difference of two starts.

    Attributes:
        kind: of evidence.
        a: position of the first video.
        b: of the second.
        difference: start of b minus start of a, seconds.
        deviation: its standard deviation, seconds.
    """

    kind: str
    a: int
    b: int
    difference: float
    deviation: float


@dataclass(frozen=True, eq=False)
class Fused:
    """The starts, how sure they are, and where that comes from.

    Attributes:
        starts: (videos,) seconds; the first is 0.
        half_widths: (videos,) half the 95 % interval of a start minus the mean of the others, seconds; NaN if unknown.
        shares: per kind (videos,) its part of the information about that difference, 0 to 1.
        used: of every measurement, whether it went in; False where it contradicts the rest.
    """

    starts: Floats
    half_widths: Floats
    shares: dict[str, Floats]
    used: list[bool]


def fuse(motion: Floats, half_widths: Floats, measurements: Sequence[Measurement]) -> Fused:
    """Moves the starts that motion gives by what else was measured.

    Args:
        motion: (videos,) seconds, the starts so far.
        half_widths: (videos,) of each start minus the mean of the others by motion alone, seconds; NaN where motion
            says nothing.
        measurements: of other kinds.
    """
    count = len(motion)
    if not measurements:
        shares = {"motion": np.where(np.isfinite(half_widths), 1.0, 0.0)}
        return Fused(motion - motion[0], half_widths, shares, [])
    against_mean = _against_mean(np.ones(count, bool))
    moving = np.isfinite(half_widths)
    seen = np.flatnonzero(moving)
    by_motion = _against_mean(moving)[seen]
    # the starts against the mean of the others are one more than they tell: n differences hold n - 1 starts
    weight = (1 - 1 / max(len(seen), 2)) * np.square(1.96 / half_widths[seen])
    row = np.zeros((len(measurements), count))
    for k, m in enumerate(measurements):
        row[k, m.a], row[k, m.b] = -1, 1
    said = np.array([m.difference for m in measurements])
    precision = np.array([m.deviation for m in measurements]) ** -2.0
    used = np.ones(len(measurements), bool)
    while True:
        design = np.vstack([by_motion, row[used]])
        target, trust = np.concatenate([by_motion @ motion, said[used]]), np.r_[weight, precision[used]]
        information = design.T * trust @ design
        covariance = np.linalg.pinv(information, hermitian=True)
        starts = covariance @ (design.T * trust) @ target
        # what all others say of each measurement, without solving again (deleted residuals; Cook and Weisberg 1982)
        leverage = np.einsum("ki,ij,kj->k", row[used], covariance, row[used]) * precision[used]
        alone = leverage > 1 - 1e-6  # nothing else connects the two
        rest = np.where(alone, 1.0, 1 - leverage)
        deleted = np.abs(said[used] - row[used] @ starts) / rest
        excess = np.where(alone, 0.0, deleted / np.sqrt(1 / (precision[used] * rest) + UNSURE**2))
        if not used.any() or excess.max() <= CONTRADICTION:
            break
        used[np.flatnonzero(used)[int(excess.argmax())]] = False
    kinds = ["motion"] * len(seen) + [m.kind for m, kept in zip(measurements, used, strict=True) if kept]
    half = np.full(count, np.nan)
    shares = {kind: np.zeros(count) for kind in dict.fromkeys(["motion", *(m.kind for m in measurements)])}
    for v in range(count):
        direction = against_mean[v]
        if not np.allclose(information @ covariance @ direction, direction, atol=1e-6):
            continue
        half[v] = 1.96 * float(np.sqrt(direction @ covariance @ direction))
        parts = trust * np.square(design @ covariance @ direction)
        for kind in shares:
            shares[kind][v] = float(parts[[k == kind for k in kinds]].sum() / max(parts.sum(), 1e-300))
    return Fused(starts - starts[0], half, shares, used.tolist())


def _against_mean(counted: NDArray[np.bool_]) -> Floats:
    """(videos, videos) that makes, of starts, each one minus the mean of the other ones that count."""
    number = int(counted.sum())
    others = np.outer(np.ones(len(counted)), counted) * ~np.eye(len(counted), dtype=bool)
    return np.asarray(np.eye(len(counted)) - others / max(number - 1, 1))
