"""Starts from all kinds of evidence together: weighted least squares, and what each kind contributed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CONTRADICTION = 4.0  # standard deviations from the rest at which a measurement is set aside
LEAST_NOISE = 0.001  # s
OFF = 3.0  # standard deviations of a camera's own bias at which its measurements of that kind are set aside
UNSURE = 0.01  # s added to what the rest says when that is judged: an interval is a guess as well
TIE = 0.99  # of the worst contradiction: which of three that contradict each other is wrong, nobody can tell


@dataclass(frozen=True)
class Measurement:
    """One kind's word on the difference of two starts.

    Attributes:
        kind: of evidence.
        a: position of the first video.
        b: of the second.
        difference: start of b minus start of a, seconds.
        deviation: its standard deviation, seconds, biases of the two cameras included.
        bias: standard deviation of what each camera adds to all measurements of this kind, seconds: a microphone far
            from the source is late in every pair. 0: pairs err independently.
    """

    kind: str
    a: int
    b: int
    difference: float
    deviation: float
    bias: float = 0.0

    @property
    def noise(self) -> float:
        """Standard deviation of the part that is not the cameras' biases, seconds."""
        return float(np.sqrt(max(self.deviation**2 - 2 * self.bias**2, 0.0))) + LEAST_NOISE


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
    said = np.array([m.difference for m in measurements])
    precision = np.array([m.noise for m in measurements]) ** -2.0
    # unknowns: the starts, and behind them the biases of those that have one
    biased = sorted({(m.kind, v) for m in measurements if m.bias > 0 for v in (m.a, m.b)})
    prior = np.array([max(m.bias for m in measurements if m.kind == kind and v in (m.a, m.b)) for kind, v in biased])
    row = np.zeros((len(measurements), count + len(biased)))
    for k, m in enumerate(measurements):
        row[k, m.a], row[k, m.b] = -1, 1
        if m.bias > 0:
            row[k, count + biased.index((m.kind, m.a))], row[k, count + biased.index((m.kind, m.b))] = -1, 1
    motion_rows = np.pad(by_motion, ((0, 0), (0, len(biased))))
    prior_rows = np.pad(np.eye(len(biased)), ((0, 0), (count, 0)))
    used = np.ones(len(measurements), bool)
    while True:
        design = np.vstack([motion_rows, row[used], prior_rows])
        target = np.concatenate([by_motion @ motion, said[used], np.zeros(len(biased))])
        trust = np.r_[weight, precision[used], prior**-2.0]
        information = design.T * trust @ design
        covariance = np.linalg.pinv(information, hermitian=True)
        solution = covariance @ (design.T * trust) @ target
        if not used.any():
            break
        # a bias that is larger than biases are: the sound of that camera is off its pictures, or its motion is wrong
        shrunk = np.sqrt(np.maximum(prior**2 - np.diag(covariance)[count:], 1e-12))
        excess_bias = np.abs(solution[count:]) / np.maximum(shrunk, 0.1 * prior)
        if len(biased) and excess_bias.max() > OFF:
            kind, v = biased[int(excess_bias.argmax())]
            used &= np.array([m.kind != kind or v not in (m.a, m.b) for m in measurements])
            continue
        # what all others say of each measurement, without solving again (deleted residuals; Cook and Weisberg 1982)
        leverage = np.einsum("ki,ij,kj->k", row[used], covariance, row[used]) * precision[used]
        alone = leverage > 1 - 1e-6  # nothing else connects the two
        rest = np.where(alone, 1.0, 1 - leverage)
        deleted = np.abs(said[used] - row[used] @ solution) / rest
        excess = np.where(alone, 0.0, deleted / np.sqrt(1 / (precision[used] * rest) + UNSURE**2))
        if excess.max() <= CONTRADICTION:
            break
        used[np.flatnonzero(used)[excess >= TIE * excess.max()]] = False
    starts = solution[:count]
    against_mean = np.pad(against_mean, ((0, 0), (0, len(biased))))
    kinds = ["motion"] * len(seen) + [m.kind for m, kept in zip(measurements, used, strict=True) if kept]
    kinds += [kind for kind, _ in biased]
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
