"""Which videos the data can place at all: a number is given only where a chance agreement is ruled out.

Two rules. A video is *placed* where its peak stands out of the noise of its own curve: that takes some seconds of other
lags to compare with. Where a recording is too short for that, a video is still *supported* where it agrees closely
enough with the others; such an answer is reported as uncertain. Measured on cuts of real video of 0.8 and 1.2 s and on
simulated clips of 1.3 to 5 s: the mean correlation of right starts is 0.48-0.68 on real video, that of a camera of
another scene or of another person about 0.2, and 19 of 20 times below 0.4.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage

from stages.sync.consensus import Pair
from stages.sync.pairwise import APART, MIN_FAR_LAGS, MIN_OVERLAP, PRIOR_NOISE, Curve, noise

Floats = NDArray[np.float64]

TOLERANCE = 0.1  # s: three frames of 30 fps
MIN_VIDEO_Z = 5.0  # accepts a video of another scene in 1 of 200 simulated scenes of 30 s; right ones reach 6-16
CHOICE = 1.2  # z that each factor e of couples to choose from is worth: the best of 9 strangers reaches 7.5, of 1 5-6
MIN_SHARED = 5.0  # s that a placed video shares with another, on average: one raised arm looks like the next

# Of a supported video that does not stand out. Of what is given as uncertain by these, measured on simulated scenes:
# 0-3 % are off by more than TOLERANCE in clips of 5-15 s, 10 % in clips of 1.7 s that do overlap, 50 % where four clips
# of 1.7 s start anywhere within 5 s, so that most have nothing in common. No bar cures the last one.
MIN_R = 0.45  # mean correlation
MIN_SHARE = 0.5  # of the longest time that two videos could share: short overlaps at the ends agree by chance
DOUBTED_Z = 3.5  # where the noise is known, a lower z speaks against the match
SHORT = 10.0  # s: with a longer overlap the noise of the curve is known and MIN_VIDEO_Z alone decides


@dataclass(frozen=True)
class Agreement:
    """How well a video fits the others at its start.

    Attributes:
        z: height of the common peak over the noise away from it, less what choosing among several persons gains; 0
            where the highest peak is not within TOLERANCE of the start, or where fewer than MIN_FAR_LAGS lags are left
            to judge by.
        r: mean correlation with the others there, weighted by overlap.
        overlap: seconds shared with another video, on average.
        share: that, as a share of the longest time that the two could share at any start.
        highest: whether no other start fits better.
    """

    z: float
    r: float
    overlap: float
    share: float
    highest: bool


def agreement(
    side: Sequence[int], others: Sequence[int], starts: Floats, curves: Mapping[Pair, Curve], *, rate: float
) -> Agreement:
    """What all pairs of a video, or of a few that move together, with the others say about their start.

    The strength curves of these pairs are shifted by the starts and averaged *before* the peak is judged. Closing
    triangles prove less than it seems: the chance peaks of a wrong video agree with each other, because all the good
    videos it was compared with show the same motion.

    Args:
        side: the videos, mostly one.
        others: those they are compared with.
        starts: (videos,) grid steps.
        curves: of pairs (i, j), i < j.
        rate: grid steps per second.
    """
    parts = []
    alternatives = 1
    for k, o in itertools.product(side, others):
        curve = curves.get((min(o, k), max(o, k)))
        if curve is not None:
            alternatives = max(alternatives, curve.alternatives)
            flip = 1 if o < k else -1
            seen = np.where(curve.allowed, curve.overlap, 0.0)
            longest = max(float(curve.overlap.max()), 1e-9)
            rows = np.array(
                [curve.strength, curve.r * seen, seen, seen / curve.couples, seen / longest, seen > 0], dtype=np.float64
            )
            parts.append((round(starts[o] - starts[k]) - curve.reach, rows[:, ::flip]))
    if not parts:
        return Agreement(0.0, 0.0, 0.0, 0.0, False)
    low = min(begin for begin, _ in parts)
    sums = np.zeros((6, max(begin + rows.shape[1] for begin, rows in parts) - low))
    for begin, rows in parts:
        sums[:, begin - low : begin - low + rows.shape[1]] += rows
    strength, product, overlap, shared, share, count = sums
    mean = strength / np.sqrt(np.maximum(count, 1))
    distance, judged = np.abs(np.arange(sums.shape[1]) + low), count > 0
    near, far = judged & (distance <= TOLERANCE * rate), judged & (distance > APART * rate)
    if not near.any():
        return Agreement(0.0, 0.0, 0.0, 0.0, False)
    top = int(np.where(near, mean, -np.inf).argmax())
    highest = bool(mean[top] > 0 and mean[top] >= mean[judged].max())
    enough = far.sum() >= MIN_FAR_LAGS * rate / 30
    prior = PRIOR_NOISE * np.sqrt(count[top])  # the others show the same motion: their chance agreements add up
    z = 0.0
    if highest and enough:
        spread = noise(far.sum(), mean[far].var(), rate=rate, prior=prior)
        z = max(0.0, float(mean[top] / spread) - CHOICE * float(np.log(alternatives)))
    return Agreement(
        z=z,
        r=float(product[top] / overlap[top]),
        overlap=float(shared[top] / count[top] / rate),
        share=float(share[top] / count[top]),
        highest=highest,
    )


def placed_videos(starts: Floats, curves: Mapping[Pair, Curve], *, rate: float) -> list[int]:
    """The videos that stand out of the noise, each on its own and each part of them.

    Args:
        starts: (videos,) grid steps.
        curves: of pairs (i, j), i < j.
        rate: grid steps per second.

    Returns:
        Positions of the placed videos, ascending; none or at least two.
    """

    def z(side: list[int], others: list[int]) -> float:
        fit = agreement(side, others, starts, curves, rate=rate)
        return fit.z if fit.overlap >= MIN_SHARED else 0.0

    return _held_together(list(range(len(starts))), [], z, MIN_VIDEO_Z, starts, curves)


def supported_videos(starts: Floats, curves: Mapping[Pair, Curve], placed: list[int], *, rate: float) -> list[int]:
    """Videos of short recordings that agree with the placed ones, or with each other where none is placed.

    Args:
        starts: (videos,) grid steps.
        curves: of pairs (i, j), i < j.
        placed: positions of the placed videos.
        rate: grid steps per second.

    Returns:
        Positions of the placed and the supported videos, ascending; none or at least two.
    """

    def r(side: list[int], others: list[int]) -> float:
        fit = agreement(side, others, starts, curves, rate=rate)
        if fit.z >= MIN_VIDEO_Z and fit.overlap >= MIN_OVERLAP:
            return max(fit.r, MIN_R)
        doubtful = not fit.highest or fit.overlap >= SHORT or fit.share < MIN_SHARE or 0 < fit.z < DOUBTED_Z
        return 0.0 if doubtful else fit.r

    return _held_together(list(range(len(starts))), placed, r, MIN_R, starts, curves)


def _held_together(
    kept: list[int],
    core: list[int],
    bond: Callable[[list[int], list[int]], float],
    least: float,
    starts: Floats,
    curves: Mapping[Pair, Curve],
) -> list[int]:
    """What is left when every part whose bond to the rest is too weak has gone, the weakest first.

    First single videos, then clusters of those that agree best: two cameras of another scene agree with each other,
    so that each of them looks sound, and chance connects the two to the rest.

    Args:
        kept: the videos to begin with.
        core: videos that stay in any case.
        bond: how well one part (the first) agrees with the rest.
        least: bond that is enough.
        starts: (videos,) grid steps.
        curves: of pairs.
    """
    parts: Callable[[list[int]], list[list[int]]]
    while len(kept) > 1:
        for parts in (lambda group: [[k] for k in group], lambda group: _clusters(group, starts, curves)):
            free = [part for part in parts(kept) if not set(part) & set(core)]
            bonds = [bond(part, [k for k in kept if k not in part]) for part in free]
            if bonds and min(bonds) < least:
                gone = free[int(np.argmin(bonds))]
                kept = [k for k in kept if k not in gone]
                break
        else:
            return kept
    return []


def _clusters(group: list[int], starts: Floats, curves: Mapping[Pair, Curve]) -> list[list[int]]:
    """Parts of two videos up to half the group: the inner nodes of average linkage over the strengths at the starts."""
    if len(group) < 4:
        return []
    strength = []
    for i, j in itertools.combinations(group, 2):
        curve = curves.get((i, j))
        lag = starts[j] - starts[i]
        strength.append(0.0 if curve is None else float(np.interp(lag, curve.lags, curve.strength)))
    merges = linkage(max(strength) - np.array(strength), method="average")
    nodes = [[k] for k in group]
    for a, b in merges[:, :2].astype(np.int64):
        nodes.append(sorted(nodes[a] + nodes[b]))
    found = []
    for node in nodes[len(group) : -1]:
        rest = [k for k in group if k not in node]
        found.append(node if len(node) <= len(rest) else rest)
    return [part for part in found if len(part) > 1]
