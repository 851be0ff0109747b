"""One start per video from the lags of all pairs: robust least squares on the camera graph, then the whole curves.

All quantities are grid steps; `starts[k]` is where video k's grid begins on the scene's clock, `starts[0] = 0`, and
the lag of an edge (i, j) is an estimate of starts[j] - starts[i].
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Pair = tuple[int, int]

SCALE = 1 / 30  # s: disagreement from which an edge counts as wrong; about the error of a right pair in hard noise
SHRINK, STEPS = 0.7, 40  # the scale shrinks from the largest disagreement to SCALE: 0.7^40 = 6e-7
STAR_SCALE = 1 / 3  # s: scale at which a start from one video's lags begins
MAX_STARS = 8  # videos up to which every star is tried; with more, the graduation alone is right as often
MAX_SWEEPS = 10  # of the ascent; two or three are usual


def weighted_starts(count: int, i: Indices, j: Indices, lags: Floats, weights: Floats) -> Floats:
    """The starts that minimise sum_e weights_e (lags_e - (starts_j - starts_i))², with starts[0] = 0.

    The normal equations are the weighted Laplacian of the graph, count x count, whatever the number of edges. Parts of
    the graph that no edge connects to video 0 come out with an arbitrary common shift.
    """
    laplacian, right = np.zeros((count, count)), np.zeros(count)
    np.add.at(laplacian, (i, i), weights)
    np.add.at(laplacian, (j, j), weights)
    np.add.at(laplacian, (i, j), -weights)
    np.add.at(laplacian, (j, i), -weights)
    np.add.at(right, j, weights * lags)
    np.add.at(right, i, -weights * lags)
    starts = np.zeros(count)
    starts[1:] = np.linalg.solve(laplacian[1:, 1:] + 1e-9 * np.eye(count - 1), right[1:])
    return starts


def robust_starts(count: int, i: Indices, j: Indices, lags: Floats, weights: Floats, *, rate: float) -> Floats:
    """Starts that most of the weighted edges agree on.

    Minimises sum_e weights_e rho(x_e / c) with the Geman-McClure rho(x) = x² / (1 + x²) by iteratively reweighted least
    squares, graduated (Black and Rangarajan, IJCV 1996): c shrinks from the largest residual to SCALE. Starting
    lower loses one scene in three with 30 % random edges. With few videos the lags from each single one, directly and
    through third videos, are tried as starting points too, and the lowest cost wins.

    Args:
        count: number of videos.
        i: (edges,) first video.
        j: (edges,) second video.
        lags: (edges,) grid steps.
        weights: (edges,) not negative.
        rate: grid steps per second.

    Returns:
        (count,) grid steps.
    """
    if count < 2 or not len(i):
        return np.zeros(count)
    final = SCALE * rate

    def residual(starts: Floats) -> Floats:
        return np.asarray(lags - (starts[j] - starts[i]))

    def cost(starts: Floats) -> float:
        squares = (residual(starts) / final) ** 2
        return float((weights * squares / (1 + squares)).sum())

    def descend(starts: Floats, width: float) -> Floats:
        for _ in range(STEPS):
            width = max(final, width * SHRINK)
            trust = weights / (1 + (residual(starts) / width) ** 2) ** 2 + 1e-12
            starts = weighted_starts(count, i, j, lags, trust)
        return starts

    starts = weighted_starts(count, i, j, lags, weights)
    best = descend(starts, max(final, float(np.abs(residual(starts)).max())))
    if 2 < count <= MAX_STARS:
        between = np.full((count, count), np.nan)
        between[i, j], between[j, i] = lags, -lags
        np.fill_diagonal(between, 0.0)
        for centre in range(count):
            star = _voted(between, centre, width=final)
            best = min(best, descend(star - star[0], STAR_SCALE * rate), key=cost)
    return best


def _voted(between: Floats, centre: int, *, width: float) -> Floats:
    """Starts against one video's: of its own lag to each and those through every third video, where most agree.

    Args:
        between: (videos, videos) lag from the row's video to the column's, NaN where there is none.
        centre: the video.
        width: steps within which lags agree.
    """
    paths = between[centre][:, None] + between  # (third, videos); the third being the centre is the lag itself
    votes = np.exp(-0.5 * np.square((paths[:, None] - paths[None]) / width))
    support = np.nansum(votes, axis=0) + 0.5 * (np.arange(len(between)) == centre)[:, None]
    chosen = np.where(np.isfinite(paths), support, -1.0).argmax(0)
    return np.nan_to_num(paths[chosen, np.arange(len(between))])


def ascend(starts: Floats, evidence: Mapping[Pair, Floats]) -> Floats:
    """Moves one video at a time to where the evidence of all its pairs sums to most, until none moves.

    A pair's second-best peak can be the right one; a consensus of single peaks has thrown it away.

    Args:
        starts: (videos,) grid steps.
        evidence: of pairs (i, j), i < j: (2 * reach + 1,) for the lags -reach..reach, not negative, 0 for none.

    Returns:
        (videos,) whole grid steps.
    """
    count = len(starts)
    at = np.round(starts).astype(np.int64)
    for _ in range(MAX_SWEEPS):
        moved = False
        for k in range(count):
            partners = {o: evidence[pair] for o in range(count) if (pair := (min(o, k), max(o, k))) in evidence}
            if not partners:
                continue
            low = min(at[o] - len(e) // 2 for o, e in partners.items())
            total = np.zeros(max(at[o] + len(e) // 2 for o, e in partners.items()) - low + 1)
            for o, heights in partners.items():
                begin = at[o] - len(heights) // 2 - low
                total[begin : begin + len(heights)] += heights if o < k else heights[::-1]
            best = int(total.argmax())
            now = at[k] - low
            if not (0 <= now < len(total) and total[now] >= total[best]):
                at[k], moved = best + low, True
        at = at - at[0]
        if not moved:
            break
    return np.asarray(at, dtype=np.float64)
