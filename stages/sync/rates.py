"""Which clocks run fast or slow: how a lag changes from one window of time to the next.

First between pairs of videos, over a wide range; where the clocks are nearly right, against the mean of the others,
which tells more exactly.

Two consumer cameras differ by some ten parts per million; 29.97 frames per second taken for 30 are a thousand.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.special import stdtrit

from stages.sync.alignment import Alignment, View, expected_variance
from stages.sync.consensus import Pair, weighted_starts
from stages.sync.pairwise import fraction_of_peak, normalised

Floats = NDArray[np.float64]

WINDOW = 20.0  # s in which a lag is measured
HOP = 10.0  # s from one window to the next
MIN_SPAN = 60.0  # s of recordings below which rates are not looked at: a lag is known to some 0.1 of a frame per window
MIN_WINDOWS = 5
MIN_R = 0.3  # correlation below which a window says nothing
MIN_KNOWN = 0.25  # of a window that both have seen
LARGEST_RATE = 2.5e-3  # that two clocks may differ by: 29.97 taken for 30 is 1e-3, in both directions
LEAST_REACH = 0.3  # s of lags around the consensus that are looked at
ALL_PAIRS = 8  # videos up to which all pairs are measured; above, those that are needed and PARTNERS more per video
PARTNERS = 2
SIGNIFICANT = 4.0  # standard deviations: at 3 drift-free scenes get worse (sync study)


@dataclass(frozen=True, eq=False)
class ClockRates:
    """How fast the clocks run against the clock of the middle one, in seconds per second, minus 1.

    Attributes:
        excess: (videos,) NaN where the recordings do not tell.
        deviations: (videos,) standard deviations; NaN likewise.
    """

    excess: Floats
    deviations: Floats

    def corrections(self, fitted: NDArray[np.bool_]) -> Floats:
        """(videos,) factors that rates have to be multiplied by.

        Args:
            fitted: (videos,) whether a video's rate is already known not to be 1; the others stay at exactly 1 unless
                the difference is significant.
        """
        known = np.isfinite(self.excess)
        significant = known & (fitted | (np.abs(self.excess) > SIGNIFICANT * self.deviations))
        return np.where(significant, 1 + self.excess, 1.0)


def rates_of_pairs(
    starts: Floats, views: Sequence[View], projection: NDArray[np.float32], *, rate: float
) -> ClockRates | None:
    """Rates of the videos' clocks from the drift of the pairs' lags.

    Args:
        starts: (videos,) grid steps.
        views: the persons in them.
        projection: (features, coordinates) in which dot products compare views; see alignment.py.
        rate: grid steps per second.

    Returns:
        The rates; None if the recordings are too short to tell.
    """
    longest = max((len(view.features.values) for view in views), default=0)
    if longest < MIN_SPAN * rate:
        return None
    signals = [np.ascontiguousarray(view.features.values @ projection) for view in views]
    energies = [np.einsum("tq,tq->t", signal, signal) for signal in signals]
    known = [view.features.mask.mean(1, dtype=np.float32) for view in views]
    slopes, variances = {}, {}
    for i, j in _partners(len(starts), views):
        drift = _drift(starts, views, signals, energies, known, i, j, rate=rate)
        if drift is not None:
            slopes[i, j], variances[i, j] = drift
    return _consensus(len(starts), slopes, variances)


def rates_of_clues(count: int, told: Sequence[tuple[int, int, float, float]]) -> ClockRates | None:
    """Rates of the videos' clocks from what other evidence says of pairs.

    Args:
        count: number of videos.
        told: (first video, second video, seconds of the first's clock per second of the second's, its standard
            deviation).

    Returns:
        The rates; None if nothing is told.
    """
    slopes = {(i, j): rate - 1 for i, j, rate, _ in told}
    return _consensus(count, slopes, {(i, j): deviation**2 for i, j, _, deviation in told})


def rates_of_means(alignment: Alignment, *, rate: float) -> ClockRates | None:
    """Rates of the videos' clocks from the drift of each against the mean of the others.

    Args:
        alignment: of the videos.
        rate: grid steps per second.

    Returns:
        The rates; None if the recordings are too short to tell.
    """
    count = len(alignment.starts)
    per_hop = max(1, round(HOP * rate / alignment.block))
    slope, variance = np.full(count, np.nan), np.full(count, np.nan)
    for video, sums in alignment.sums.items():
        hops = sums.shape[1] // per_hop
        if hops * per_hop * alignment.block < MIN_SPAN * rate:
            return None
        of_hops = sums[:, : hops * per_hop].reshape(3, hops, per_hop, -1).sum(2)
        line = _line(of_hops[:, :-1] + of_hops[:, 1:], np.arange(1, hops) * per_hop * alignment.block)
        if line is not None:
            slope[video], variance[video] = line
    known = np.flatnonzero(np.isfinite(slope))
    if len(known) < 2:
        return None
    share = (len(known) - 1) / len(known)  # a rate minus the mean of the others' is more than it minus the mean of all
    return _against_the_middle(share * slope, np.square(share) * variance)


def _line(windows: Floats, times: Floats) -> tuple[float, float] | None:
    """Slope of the lag over the windows, and its variance; None if too few windows tell.

    Args:
        windows: (3, windows, lags) product and both energies.
        times: (windows,) steps.
    """
    product, energy, others = windows
    r = normalised(product, energy, others)
    full = np.median(energy.max(1))
    lags, at, variance = [], [], []
    for w, k in enumerate(r[:, 1:-1].argmax(1) + 1):
        if r[w, k] < MIN_R or energy[w, k] < MIN_KNOWN * full or r[w, k] < max(r[w, 0], r[w, -1]):
            continue
        expected = expected_variance(r[w, k - 1 : k + 2], float(energy[w, k] / full))
        if np.isfinite(expected):
            lags.append(k + fraction_of_peak(*r[w, k - 1 : k + 2]))
            at.append(times[w])
            variance.append(expected)
    if len(at) < MIN_WINDOWS:
        return None
    return robust_slope(np.array(at), np.array(lags), 1 / np.array(variance), overlapping=WINDOW / HOP)


def _partners(count: int, views: Sequence[View]) -> list[Pair]:
    """Pairs to measure: all of few videos; of many, those that hold everything together, and the longest overlaps."""
    shared: dict[Pair, float] = {}
    for a, b in itertools.combinations(views, 2):
        if a.person == b.person and a.video != b.video:
            pair = (min(a.video, b.video), max(a.video, b.video))
            shared[pair] = shared.get(pair, 0.0) + min(a.features.known, b.features.known)
    if count <= ALL_PAIRS or not shared:
        return sorted(shared)
    i, j = np.array(list(shared)).T
    cost = coo_array((1 / np.maximum(list(shared.values()), 1.0), (i, j)), shape=(count, count))
    tree = minimum_spanning_tree(cost.tocsr()).tocoo()
    chosen = set(zip(tree.row.tolist(), tree.col.tolist(), strict=True))
    for v in range(count):
        mine = sorted((pair for pair in shared if v in pair), key=lambda pair: -shared[pair])
        chosen |= set(mine[:PARTNERS])
    return sorted(chosen)


def _drift(
    starts: Floats,
    views: Sequence[View],
    signals: Sequence[NDArray[np.float32]],
    energies: Sequence[NDArray[np.float32]],
    known: Sequence[NDArray[np.float32]],
    i: int,
    j: int,
    *,
    rate: float,
) -> tuple[float, float] | None:
    """Slope of the lag of (i, j) against the scene's time, and its variance; None if too few windows tell.

    A lag is where b begins minus where a begins, so that its slope is b's rate minus a's.
    """
    middle = round(float(starts[j] - starts[i]))
    hop = round(HOP * rate)
    begin = float(starts.min())
    of_i, of_j = ([k for k, view in enumerate(views) if view.video == v] for v in (i, j))
    couples = [(a, b) for a, b in itertools.product(of_i, of_j) if views[a].person == views[b].person]
    end = max((starts[j] + views[b].features.begin + len(signals[b]) for _, b in couples), default=begin)
    hops = int((end - begin) // hop) + 1
    reach = max(round(LEAST_REACH * rate), int(LARGEST_RATE / 2 * (end - begin)))
    sums = np.zeros((4, hops, 2 * reach + 1))
    for a, b in couples:
        lowest = middle - reach + views[b].features.begin - views[a].features.begin
        length = len(signals[b])
        x, energy_x, mask_x = (_cut(whole, lowest, length + 2 * reach) for whole in (signals[a], energies[a], known[a]))
        position = starts[j] + views[b].features.begin - begin + np.arange(length)
        number = (position // hop).astype(np.int64)
        edges = np.flatnonzero(np.diff(number, prepend=-1))
        series = np.empty((4, length), np.float32)
        for k in range(2 * reach + 1):
            at = slice(k, k + length)
            np.einsum("tq,tq->t", x[at], signals[b], out=series[0])
            np.multiply(energy_x[at], known[b], out=series[1])
            np.multiply(energies[b], mask_x[at], out=series[2])
            np.multiply(mask_x[at], known[b], out=series[3])
            sums[:, number[edges], k] += np.add.reduceat(series, edges, axis=1, dtype=np.float64)
    windows = sums[:, :-1] + sums[:, 1:]  # two hops each
    product, energy_a, energy_b, overlap = windows
    r = normalised(product, energy_a, energy_b)
    r[overlap < MIN_KNOWN * WINDOW * rate] = -1
    top = r[:, 1:-1].argmax(1) + 1
    times, lags, variance = [], [], []
    for w, k in enumerate(top):
        if r[w, k] < MIN_R or r[w, k] < max(r[w, 0], r[w, -1]) or min(r[w, k - 1], r[w, k + 1]) <= -1:
            continue
        expected = expected_variance(r[w, k - 1 : k + 2], float(overlap[w, k]))
        if np.isfinite(expected):
            times.append((w + 1.0) * hop)
            lags.append(k - reach + fraction_of_peak(*r[w, k - 1 : k + 2]))
            variance.append(expected)
    if len(times) < MIN_WINDOWS:
        return None
    return robust_slope(np.array(times), np.array(lags), 1 / np.array(variance), overlapping=WINDOW / HOP)


def _cut(values: NDArray[np.float32], first: int, length: int) -> NDArray[np.float32]:
    """(length, ...) from the first row on, which may lie before the values; 0 where there are none."""
    out = np.zeros((length, *values.shape[1:]), np.float32)
    inside = slice(max(0, first), max(0, min(len(values), first + length)))
    if inside.stop > inside.start:
        out[inside.start - first : inside.stop - first] = values[inside]
    return out


def robust_slope(times: Floats, values: Floats, weights: Floats, *, overlapping: float) -> tuple[float, float]:
    """Slope of a weighted line that outliers do not bend, and its variance.

    Starts from the median of the slopes of all pairs of points (Theil 1950, Sen 1968), then reweights by Tukey's
    biweight.

    Args:
        times: (points,).
        values: (points,).
        weights: (points,) inverse variances, up to a factor.
        overlapping: how many neighbouring points share their data.
    """
    a, b = np.triu_indices(len(times), 1)
    slope = _median((values[b] - values[a]) / (times[b] - times[a]))
    level = _median(values - slope * times)
    trust = weights
    for _ in range(10):
        residual = values - slope * times - level
        scaled = np.abs(residual) * np.sqrt(weights)
        scale = max(1.4826 * _median(scaled), 1e-9)
        trust = weights * np.square(np.maximum(1 - np.square(scaled / (4.685 * scale)), 0))
        if trust.sum() <= 0:
            trust = weights
            break
        mean = float(trust @ times / trust.sum())
        spread = float(trust @ np.square(times - mean))
        if spread <= 0:
            break
        slope = float(trust @ ((times - mean) * values) / spread)
        level = float(trust @ (values - slope * times) / trust.sum())
    residual = values - slope * times - level
    mean = float(trust @ times / trust.sum())
    used = float(trust.sum() ** 2 / np.square(trust).sum()) / overlapping
    freedom = max(used - 2, 0.5)
    variance = float(trust @ np.square(residual) / trust.sum()) * used / freedom  # of a point of mean trust
    spread = float(trust @ np.square(times - mean) / trust.sum()) * used
    inflation = float(stdtrit(max(freedom, 1.0), 0.975) / 1.96) ** 2
    return slope, inflation * variance / max(spread, 1e-9)


def _median(values: Floats) -> float:
    """Of few values numpy's own takes ten times as long."""
    ordered = np.sort(values)
    return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _consensus(count: int, slopes: Mapping[Pair, float], variances: Mapping[Pair, float]) -> ClockRates | None:
    """One rate per video from the slopes of pairs; those that do not differ from most are exactly 1."""
    if not slopes:
        return None
    i, j = np.array(list(slopes)).T
    slope, variance = np.array(list(slopes.values())), np.array(list(variances.values()))
    variance = np.maximum(variance, 1e-16)
    _, label = connected_components(coo_array((np.ones(len(i)), (i, j)), shape=(count, count)), directed=False)
    inside = label == np.bincount(label).argmax()
    kept = inside[i] & inside[j]
    rates = weighted_starts(count, i[kept], j[kept], slope[kept], 1 / variance[kept])
    # the errors of a video's pairs are mostly its own, so that more pairs do not make them smaller: half of a pair's
    own = np.full(count, np.nan)
    for v in np.flatnonzero(inside):
        mine = kept & ((i == v) | (j == v))
        own[v] = 0.5 * float(np.median(variance[mine])) if mine.any() else np.nan
    return _against_the_middle(np.where(np.isfinite(own), rates, np.nan), own)


def _against_the_middle(rates: Floats, variances: Floats) -> ClockRates:
    """Differences from the video whose rate is the (lower) median."""
    known = np.flatnonzero(np.isfinite(rates))
    reference = known[np.argsort(rates[known], kind="stable")[(len(known) - 1) // 2]]
    deviations = np.sqrt(variances + variances[reference])
    return ClockRates(rates - rates[reference], deviations)
