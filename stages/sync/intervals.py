"""How far the starts may be off: a bootstrap over blocks of scene time.

Errors of neighbouring instants are related, and those of two pairs with a common video as well. So blocks are drawn,
not instants, and the same blocks for all pairs (Künsch, "The jackknife and the bootstrap for general stationary
observations", Annals of Statistics 1989).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import stdtrit

from stages.sync.consensus import Pair
from stages.sync.features import Features

Floats = NDArray[np.float64]

BLOCK = 2.0  # s: longer than the memory of an estimator's errors
MIN_BLOCKS = 8  # shorter recordings are cut into this many blocks
DRAWS = 200
REACH = 4 / 30  # s around the consensus in which a redrawn peak may lie
CORRELATION_TIME = 0.25  # s over which the errors of a lag are related: blocks shorter than BLOCK share them


@dataclass(frozen=True)
class HalfWidths:
    """Half widths of 95 % intervals, in grid steps.

    Attributes:
        starts: (videos,) of starts[k] minus the mean of the other videos' starts, of those that pairs of positive
            weight connect with each other; NaN of a video outside the largest such group.
        lags: of every pair's own lag.
    """

    starts: Floats
    lags: dict[Pair, float]


def bootstrap(
    starts: Floats,
    couples: Mapping[Pair, Sequence[tuple[Features, Features]]],
    weights: Mapping[Pair, float],
    *,
    rate: float,
    centred: bool,
    generator: np.random.Generator,
) -> HalfWidths:
    """Half widths from DRAWS times redrawn recordings.

    Args:
        starts: (videos,) grid steps, the consensus.
        couples: of every pair (i, j), i < j, the features of the persons that both show.
        weights: of the same pairs in the consensus, not negative.
        rate: grid steps per second.
        centred: whether the correlation was centred.
        generator: source of the draws.
    """
    group = _connected(len(starts), weights)
    if not couples or not group:
        return HalfWidths(np.full(len(starts), np.nan), {})
    ends = max(
        starts[k] + f.begin + len(f.values)
        for pair, both in couples.items()
        for couple in both
        for k, f in zip(pair, couple, strict=True)
    )
    begin = float(starts.min())
    block = min(BLOCK * rate, max(1.0, (ends - begin) / MIN_BLOCKS))
    blocks = max(1, int(np.ceil((ends - begin) / block)))
    reach = max(2, round(REACH * rate))
    offsets = np.arange(-reach, reach + 1)
    drawn = generator.multinomial(blocks, np.full(blocks, 1 / blocks), DRAWS).astype(np.float64)
    lags: dict[Pair, Floats] = {}
    for (i, j), both in couples.items():
        middle = round(starts[j] - starts[i])
        sums = np.zeros((3, blocks, len(offsets)))
        for a, b in both:
            local, start = middle + offsets + b.begin - a.begin, starts[j] + b.begin - begin
            sums += _block_sums(a, b, local, start, block, blocks, centred=centred)
        lags[i, j] = middle + _peaks(drawn @ sums[0], drawn @ sums[1], drawn @ sums[2], offsets)
    inside = {(group.index(i), group.index(j)): w for (i, j), w in weights.items() if w > 0 and i in group}
    solve = _linear_solution(len(group), inside)
    redrawn = solve @ np.array([lags[group[a], group[b]] for a, b in inside])
    others = (redrawn.sum(0) - redrawn) / (len(group) - 1)
    factor = _coverage_factor(blocks, block / rate)
    widths = np.full(len(starts), np.nan)
    widths[group] = factor * (redrawn - others).std(1)
    return HalfWidths(widths, {pair: factor * float(drawn.std()) for pair, drawn in lags.items()})


def _connected(count: int, weights: Mapping[Pair, float]) -> list[int]:
    """The largest group of videos that pairs of positive weight connect, ascending; none, if no pair has any."""
    edges = [pair for pair, weight in weights.items() if weight > 0]
    if not edges:
        return []
    i, j = np.array(edges).T
    _, label = connected_components(coo_array((np.ones(len(edges)), (i, j)), shape=(count, count)), directed=False)
    return [int(k) for k in np.flatnonzero(label == np.bincount(label).argmax())]


def _coverage_factor(blocks: int, seconds: float) -> float:
    """Standard deviations in half a 95 % interval.

    Student's quantile, because few blocks show their own spread badly, times what the bootstrap misses because
    neighbouring blocks of that many seconds are related: with correlations exp(-k * seconds / CORRELATION_TIME) the
    variance of their mean is coth(seconds / (2 * CORRELATION_TIME)) times that of unrelated ones.
    """
    related = 1 / np.tanh(seconds / (2 * CORRELATION_TIME))
    return float(stdtrit(max(blocks - 1, 1), 0.975) * np.sqrt(related * blocks / max(blocks - 1, 1)))


def _block_sums(
    a: Features, b: Features, lags: NDArray[np.int64], start: float, block: float, blocks: int, *, centred: bool
) -> Floats:
    """(3, blocks, lags): the sums of product and energies of pairwise.correlate, per block of scene time."""
    out = np.zeros((3, blocks, len(lags)))
    middle = int(lags[len(lags) // 2])
    first, last = max(0, -middle), min(len(b.values), len(a.values) - middle)
    if centred and last > first:  # the means at the consensus serve for all lags so near to it
        window_a, window_b = slice(first + middle, last + middle), slice(first, last)
        both = a.mask[window_a] * b.mask[window_b]
        n = np.maximum(both.sum(0), 1)
        a = Features((a.values - (a.values[window_a] * both).sum(0) / n) * a.mask, a.mask)
        b = Features((b.values - (b.values[window_b] * both).sum(0) / n) * b.mask, b.mask)
    for q, lag in enumerate(lags):
        first, last = max(0, -int(lag)), min(len(b.values), len(a.values) - int(lag))
        if last - first < 2:
            continue
        here, there = slice(first, last), slice(first + lag, last + lag)
        number = np.clip(((np.arange(first, last) + start) // block).astype(np.int64), 0, blocks - 1)
        va, vb, ma, mb = a.values[there], b.values[here], a.mask[there], b.mask[here]
        for z, (x, y) in enumerate(((va, vb), (va**2, mb), (vb**2, ma))):
            out[z, :, q] = np.bincount(number, (x * y).sum(1), blocks)
    return out


def _peaks(product: Floats, energy_a: Floats, energy_b: Floats, offsets: NDArray[np.int64]) -> Floats:
    """(draws,) offset of the highest correlation of every draw, to a fraction of a step."""
    r = product / np.sqrt(np.maximum(energy_a * energy_b, 1e-9))
    top = r[:, 1:-1].argmax(1) + 1
    rows = np.arange(len(r))
    before, here, after = r[rows, top - 1], r[rows, top], r[rows, top + 1]
    bend = before - 2 * here + after
    fraction = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
    return np.asarray(offsets[top] + np.clip(fraction, -1, 1))


def _linear_solution(count: int, weights: Mapping[Pair, float]) -> Floats:
    """(videos, pairs): starts as a linear function of the pairs' lags, by weighted least squares on the graph."""
    incidence = np.zeros((len(weights), count))
    for e, (i, j) in enumerate(weights):
        incidence[e, i], incidence[e, j] = -1, 1
    weighted = incidence.T * np.array(list(weights.values()))
    return np.asarray(np.linalg.pinv(weighted @ incidence, hermitian=True) @ weighted)
