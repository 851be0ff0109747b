"""Which videos the data can place at all: a number is given only where a chance agreement is ruled out.

Two rules. A video is *placed* where its peak stands out of the noise of its own curve: that takes some seconds of other
lags to compare with. Where a recording is too short for that, a video is still *supported* where it agrees closely
enough with the others; such an answer is reported as uncertain. Measured on cuts of real video of 0.8 and 1.2 s and on
simulated clips of 1.3 to 5 s: the mean correlation of right starts is 0.48-0.68 on real video, that of a camera of
another scene or of another person about 0.2, and 19 of 20 times below 0.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.sync.consensus import Pair
from stages.sync.pairwise import APART, MIN_FAR_LAGS, MIN_OVERLAP, PRIOR_NOISE, Curve, Peak, find_peak, noise

Floats = NDArray[np.float64]

TOLERANCE = 0.1  # s: three frames of 30 fps
MIN_VIDEO_Z = 5.0  # a video of another scene was accepted in 0 of 40 simulated scenes; right real ones reach 4.9-6.6
MIN_PAIR_Z = 3.0  # of a pair that holds a group together
MIN_SHARED = 5.0  # s that a placed video shares with another, on average: one raised arm looks like the next

# Of a supported video that does not stand out. Of what is given as uncertain by these, measured on simulated scenes:
# 0-3 % are off by more than TOLERANCE in clips of 5-15 s, 10 % in clips of 1.7 s that do overlap, 50 % where four clips
# of 1.7 s start anywhere within 5 s, so that most have nothing in common. No bar cures the last one.
MIN_R = 0.45  # mean correlation
MIN_PAIR_R = 0.4  # correlation of a pair that joins it to the others
MIN_SHARE = 0.5  # of the longest time that two videos could share: short overlaps at the ends agree by chance
DOUBTED_Z = 3.5  # where the noise is known, a lower z speaks against the match
SHORT = 10.0  # s: with a longer overlap the noise of the curve is known and MIN_VIDEO_Z alone decides


@dataclass(frozen=True)
class Agreement:
    """How well one video fits the others at its start.

    Attributes:
        z: height of the common peak over the standard deviation away from it; 0 where the highest peak is not within
            TOLERANCE of the start, or where fewer than MIN_FAR_LAGS lags are left to judge by.
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


def agreement(k: int, others: Sequence[int], starts: Floats, curves: Mapping[Pair, Curve], *, rate: float) -> Agreement:
    """What all pairs of video k say together about its start.

    The strength curves of video k with every other video are shifted by that video's start and averaged *before* the
    peak is judged. Closing triangles prove less than it seems: the chance peaks of a wrong video agree with each
    other, because all the good videos it was compared with show the same motion.

    Args:
        k: the video.
        others: those it is compared with.
        starts: (videos,) grid steps.
        curves: of pairs (i, j), i < j.
        rate: grid steps per second.
    """
    parts = []
    for o in others:
        curve = curves.get((min(o, k), max(o, k)))
        if curve is not None:
            flip = 1 if o < k else -1
            seen = np.where(curve.allowed, curve.overlap, 0.0)
            longest = max(float(curve.overlap.max()), 1e-9)
            rows = np.array(
                [curve.strength, curve.r * seen, seen, seen / curve.couples, seen / longest, seen > 0], dtype=np.float64
            )
            parts.append((round(starts[o]) - curve.reach, rows[:, ::flip]))
    if not parts:
        return Agreement(0.0, 0.0, 0.0, 0.0, False)
    low = min(begin for begin, _ in parts)
    sums = np.zeros((6, max(begin + rows.shape[1] for begin, rows in parts) - low))
    for begin, rows in parts:
        sums[:, begin - low : begin - low + rows.shape[1]] += rows
    strength, product, overlap, shared, share, count = sums
    mean = strength / np.sqrt(np.maximum(count, 1))
    distance, judged = np.abs(np.arange(sums.shape[1]) + low - starts[k]), count > 0
    near, far = judged & (distance <= TOLERANCE * rate), judged & (distance > APART * rate)
    if not near.any():
        return Agreement(0.0, 0.0, 0.0, 0.0, False)
    top = int(np.where(near, mean, -np.inf).argmax())
    highest = bool(mean[top] > 0 and mean[top] >= mean[judged].max())
    enough = far.sum() >= MIN_FAR_LAGS * rate / 30
    prior = PRIOR_NOISE * np.sqrt(count[top])  # the others show the same motion: their chance agreements add up
    z = float(mean[top] / noise(mean[far], rate=rate, prior=prior)) if highest and enough else 0.0
    return Agreement(
        z=z,
        r=float(product[top] / overlap[top]),
        overlap=float(shared[top] / count[top] / rate),
        share=float(share[top] / count[top]),
        highest=highest,
    )


def placed_videos(starts: Floats, curves: Mapping[Pair, Curve], *, rate: float) -> list[int]:
    """The largest group of videos that stand out of the noise and hang together.

    The video with the lowest z goes until all have MIN_VIDEO_Z with the remaining ones; of those, the largest group
    that is joined by pairs whose own peak agrees with the starts and has MIN_PAIR_Z.

    Args:
        starts: (videos,) grid steps.
        curves: of pairs (i, j), i < j.
        rate: grid steps per second.

    Returns:
        Positions of the placed videos, ascending; none or at least two.
    """

    def z(k: int, others: list[int]) -> float:
        fit = agreement(k, others, starts, curves, rate=rate)
        return fit.z if fit.overlap >= MIN_SHARED else 0.0

    kept = _drop_lowest(list(range(len(starts))), z, least=MIN_VIDEO_Z)
    return _largest_group(kept, [], lambda peak: _stands_out(peak, rate), starts, curves, rate=rate)


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

    def r(k: int, others: list[int]) -> float:
        if k in placed:
            return 1.0
        fit = agreement(k, others, starts, curves, rate=rate)
        if fit.z >= MIN_VIDEO_Z and fit.overlap >= MIN_OVERLAP:
            return max(fit.r, MIN_R)
        doubtful = not fit.highest or fit.overlap >= SHORT or fit.share < MIN_SHARE or 0 < fit.z < DOUBTED_Z
        return 0.0 if doubtful else fit.r

    kept = _drop_lowest(list(range(len(starts))), r, least=MIN_R)
    return _largest_group(
        kept, placed, lambda peak: peak.r >= MIN_PAIR_R or _stands_out(peak, rate), starts, curves, rate=rate
    )


def _stands_out(peak: Peak, rate: float) -> bool:
    # two groups of videos, each right in itself, were once bridged by two such pairs of 3 s that agreed by chance
    return peak.z >= MIN_PAIR_Z and peak.overlap >= MIN_SHARED * rate


def _drop_lowest(kept: list[int], value: Callable[[int, list[int]], float], *, least: float) -> list[int]:
    while kept:
        values = {k: value(k, [o for o in kept if o != k]) for k in kept}
        worst = min(kept, key=lambda k: values[k])
        if values[worst] >= least:
            break
        kept = [k for k in kept if k != worst]
    return kept


def _largest_group(
    kept: list[int],
    together: list[int],
    convincing: Callable[[Peak], bool],
    starts: Floats,
    curves: Mapping[Pair, Curve],
    *,
    rate: float,
) -> list[int]:
    """The largest part of `kept` (that with `together`, if given) joined by convincing pairs at the starts."""
    group = {k: {k} for k in kept}

    def join(a: int, b: int) -> None:
        group[a] |= group[b]
        for k in group[b]:
            group[k] = group[a]

    for k in together[1:]:
        join(together[0], k)
    for (i, j), curve in curves.items():
        if i in group and j in group and group[i] is not group[j]:
            peak = find_peak(curve, rate=rate)
            if convincing(peak) and abs(peak.lag - (starts[j] - starts[i])) <= TOLERANCE * rate:
                join(i, j)
    if together:
        return sorted(group[together[0]])
    largest = max(group.values(), key=lambda members: (len(members), -min(members)), default=set())
    return sorted(largest) if len(largest) > 1 else []
