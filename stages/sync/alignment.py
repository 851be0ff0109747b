"""Starts to a fraction of a step: every video against the mean of what all others show, and how far it may be off.

The mean of the others is a better picture of the movement than any one of them, and comparing with it costs as much for
64 videos as for two (Woody, "Characterization of an adaptive filter for the analysis of variable latency neuroelectric
signals", Medical and Biological Engineering 1967). Features do not count alike: those in which the videos agree count
more. In the basis in which their agreement is diagonal, the expected truth given the mean of n others is that mean,
each coordinate times snr / (snr + 1 / n): Wiener's filter; Hahn and Tretter, "Optimum processing for delay-vector
estimation in passive signal arrays", IEEE Transactions on Information Theory 1973. Both the agreement and the errors
are measured on the recording itself.

All positions are grid steps of the scene's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from stages.sync.features import Features
from stages.sync.pairwise import fraction_of_peak, normalised

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

SWEEPS = 3  # more change nothing
RADIUS = 0.1  # s that a start moves at most in one sweep
LEAST_ERROR = 0.02  # share of a feature's variance that is error at least, however well the videos agree
LEAST_SNR = 0.01  # of the best coordinate's: what agrees less is left out

BLOCK = 2.0  # s: longer than the memory of an estimator's errors
MIN_BLOCKS = 8  # shorter recordings are cut into this many blocks
DRAWS = 200
CHUNK = 1 << 12  # steps that are looked at at once: they fit into a cache, and long recordings need no more memory
REACH = 4 / 30  # s around the start in which a redrawn peak may lie
CORRELATION_TIME = 0.25  # s over which the errors of a start are related: blocks shorter than BLOCK share them
RESOLUTION = 0.00005  # s: half width below which no interval goes; interpolation between steps is no better
SHORT = 3.0  # s of seen time below which there is one movement only, in which every camera's estimator errs its own way
SHORT_BIAS = 0.03  # s: half width for that; on cuts of real video of 0.8-1.5 s


@dataclass(frozen=True, eq=False)
class View:
    """One person in one video.

    Attributes:
        video: position of the video.
        person: number of the person, the same in all videos.
        features: on the video's grid.
    """

    video: int
    person: int
    features: Features


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where the videos are, and the coordinates in which they were compared.

    Attributes:
        starts: (videos,) steps.
        half_widths: (videos,) half the 95 % interval of a start minus the mean of the other starts, steps; NaN of a
            video that shows nobody whom another one shows.
        r: (videos,) correlation with the mean of the others; 0 likewise.
        inflation: by what a start's variance exceeds that which its correlation curve alone suggests; see
            `expected_variance`.
        projection: (features, coordinates) float32; the dot product of two projected views is their agreement,
            weighted for the comparison of one video with another. None if nobody is shown by two.
        sums: of every video (3, blocks, lags): what makes the correlation with the mean of the others, per block of
            the scene's time and lag around the start: product, energy, energy of the others.
        block: steps in a block.
    """

    starts: Floats
    half_widths: Floats
    r: Floats
    inflation: float
    projection: Singles | None
    sums: dict[int, Floats]
    block: float


def align(
    starts: Floats, views: Sequence[View], *, rate: float, centred: bool, generator: np.random.Generator
) -> Alignment:
    """Moves every start to where the video agrees best with the mean of the others.

    Args:
        starts: (videos,) steps, right to about RADIUS.
        views: of these videos; a person whom only one of them shows does not count.
        rate: grid steps per second.
        centred: compare differences from the mean over what is shared; for recordings of few seconds.
        generator: of the draws behind the half widths.
    """
    scene = _Scene(starts, views, rate=rate)
    radius = max(2, round(RADIUS * rate))
    comparison = None
    for _ in range(SWEEPS if scene.videos else 0):
        comparison = _Comparison(scene, scene.basis())
        for video in scene.videos:
            sums = comparison.sums(video, radius=radius, centred=centred)
            if sums is not None:
                comparison.move(video, _best(sums.sum(1), radius))
    if comparison is None:
        nothing = np.full(len(starts), np.nan)
        return Alignment(starts - starts[0], nothing, np.zeros(len(starts)), 1.0, None, {}, scene.block)
    reach = max(2, round(REACH * rate))
    count = len(starts)
    widths, correlation, ratios = np.full(count, np.nan), np.zeros(count), []
    kept: dict[int, Floats] = {}
    drawn = generator.multinomial(scene.blocks, np.full(scene.blocks, 1 / scene.blocks), DRAWS).astype(np.float64)
    shared = [sum(view.features.known for view in scene.views if view.video == v) for v in range(count)]
    for video in scene.videos:
        sums = comparison.sums(video, radius=reach, centred=centred)
        if sums is None:
            continue
        kept[video] = sums
        lags = _peaks(*(drawn @ part for part in sums))
        product, energy, others = sums.sum(1)
        r = normalised(product, energy, others)
        top = int(r[1:-1].argmax()) + 1
        correlation[video] = r[top]
        weight = np.sqrt(sums[1] * sums[2])[:, reach]  # blocks in which little was seen by both do not count as such
        factor = _coverage_factor(float(weight.sum() ** 2 / np.square(weight).sum()), scene.block / rate)
        seconds = max(view.features.known for view in scene.views if view.video == video) / rate
        floor = SHORT_BIAS if seconds < SHORT else RESOLUTION  # two people in the same second are one second
        widths[video] = np.hypot(factor * lags.std(), floor * rate)
        expected = expected_variance(r[top - 1 : top + 2], shared[video])
        if np.isfinite(expected):
            ratios.append(float(lags.var()) / expected)
    return Alignment(
        scene.starts - scene.starts[0],
        widths,
        correlation,
        float(np.median(ratios)) if ratios else 1.0,
        comparison.basis.projection(others=1.0),
        kept,
        scene.block,
    )


def expected_variance(r: NDArray[np.floating], overlap: float) -> float:
    """Variance of a lag that a correlation curve suggests, steps², up to a factor; inf where the curve has no top.

    Args:
        r: (3,) correlation at the highest step and its neighbours.
        overlap: steps that it rests on.
    """
    before, top, after = (float(value) for value in r)
    bend = 2 * top - before - after
    if bend <= 0 or top <= 0 or overlap <= 0:
        return float("inf")
    return max(1 - top**2, 1e-6) / (top * bend * overlap)


@dataclass(frozen=True, eq=False)
class _Basis:
    """Coordinates in which features agree independently of each other.

    Attributes:
        axes: (features, coordinates) float32: features divided by their errors, turned.
        snr: (coordinates,) variance that videos share over the variance of one video's errors.
    """

    axes: Singles
    snr: Floats

    def weights(self, *, others: float) -> Singles:
        """(coordinates,) how much each counts against the mean of so many others."""
        return np.asarray(self.snr / (self.snr + 1 / max(others, 1.0)), dtype=np.float32)

    def projection(self, *, others: float) -> Singles:
        """(features, coordinates) axes times the root of the weights."""
        return np.asarray(self.axes * np.sqrt(self.weights(others=others)))


class _Scene:
    """All views on the scene's clock.

    Attributes:
        videos: that share a person with another one.
        starts: of all videos, steps.
    """

    def __init__(self, starts: Floats, views: Sequence[View], *, rate: float) -> None:
        shown: dict[int, set[int]] = {}
        for view in views:
            shown.setdefault(view.person, set()).add(view.video)
        self.views = [view for view in views if len(shown[view.person]) > 1]
        self.videos = sorted({view.video for view in self.views})
        self.given = starts.astype(np.float64)
        self.starts = self.given.copy()
        self.margin = round(rate)  # starts move by less than a second in all
        self.origin = int(np.floor(starts.min())) - self.margin
        ends = [self.position(k) + len(view.features.values) for k, view in enumerate(self.views)]
        self.length = int(max(ends, default=0.0)) + 2 * self.margin
        self.block = min(BLOCK * rate, max(1.0, (self.length - 2 * self.margin) / MIN_BLOCKS))
        self.blocks = max(1, int(np.ceil(self.length / self.block)))
        # products of every view with itself, and with itself one step later: what moves with it by a fraction of a step
        self.own = [_self_products(view.features.values) for view in self.views]
        masks = [view.features.mask for view in self.views]
        width = max((mask.shape[1] for mask in masks), default=1)  # some may be seen as a whole, others joint by joint
        self.masks = [np.broadcast_to(mask, (len(mask), width)) for mask in masks]
        self.own_count = [_self_products(mask) for mask in self.masks]

    def position(self, k: int) -> float:
        """Where view k begins, steps from the origin."""
        view = self.views[k]
        return float(self.starts[view.video] + view.features.begin - self.origin)

    def move(self, video: int, by: float) -> None:
        """Moves a video's start."""
        room = self.margin - 2
        self.starts[video] = np.clip(self.starts[video] + by, self.given[video] - room, self.given[video] + room)

    def sums(self, signals: Sequence[Singles]) -> dict[int, Singles]:
        """(length, columns) per person: the sum of the views' signals on the scene's clock."""
        total: dict[int, Singles] = {}
        for k, (view, signal) in enumerate(zip(self.views, signals, strict=True)):
            if view.person not in total:
                total[view.person] = np.zeros((self.length, signal.shape[1]), np.float32)
            _add(total[view.person], signal, self.position(k), 1.0)
        return total

    def products(self, signals: Sequence[Singles]) -> Floats:
        """(columns, columns): products of the sums of every person's views, summed over time and persons."""
        columns = signals[0].shape[1]
        out = np.zeros((columns, columns))
        for person in {view.person for view in self.views}:
            shown = [k for k, view in enumerate(self.views) if view.person == person]
            for begin in range(0, self.length, CHUNK):  # the sums of a long recording would take much memory
                total = np.zeros((columns, min(CHUNK, self.length - begin)), np.float32).T  # along time, as features
                for k in shown:
                    _add(total, signals[k], self.position(k) - begin, 1.0)
                out += total.T @ total
        return out

    def basis(self) -> _Basis:
        """The coordinates, from how the views agree where they are now."""
        own, together, own_count, together_count = (np.zeros(1) for _ in range(4))
        for k in range(len(self.views)):  # the sum of all products, less those of every view with itself
            _, fraction = _split(self.position(k))
            (same, next_step), (known, next_known) = self.own[k], self.own_count[k]
            keep, mix = (1 - fraction) ** 2 + fraction**2, fraction * (1 - fraction)
            own, own_count = own + same, own_count + known
            together = together - keep * same - mix * (next_step + next_step.T)
            together_count = together_count - keep * known - mix * (next_known + next_known.T)
        together = together + self.products([view.features.values for view in self.views])
        together_count = together_count + self.products(self.masks)
        variance = own / np.maximum(own_count, 1)
        agreement = together / np.maximum(together_count, 1)
        spread = np.diag(variance)
        error = np.maximum(spread - np.diag(agreement), LEAST_ERROR * spread)
        scale = np.where(spread > 0, 1 / np.sqrt(np.where(spread > 0, error, 1.0)), 0.0)
        snr, axes = np.linalg.eigh(scale[:, None] * (agreement + agreement.T) / 2 * scale)
        chance = max(0.0, -float(snr[0]))  # without agreement eigenvalues lie about 0 evenly
        kept = snr > max(chance, LEAST_SNR * float(snr[-1]))
        if not kept.any():  # nothing agrees: all features alike
            return _Basis(np.diag(scale).astype(np.float32), np.ones(len(scale)))
        return _Basis((scale[:, None] * axes[:, kept]).astype(np.float32), np.sqrt(snr[kept] ** 2 - chance**2))


class _Comparison:
    """Every video against the mean of the others, in the coordinates of a basis."""

    def __init__(self, scene: _Scene, basis: _Basis) -> None:
        self.scene, self.basis = scene, basis
        self.signals = [np.asarray(view.features.values @ basis.axes) for view in scene.views]
        self.known = [
            np.ascontiguousarray(view.features.mask.mean(1, dtype=np.float32)[:, None]) for view in scene.views
        ]
        self.total, self.count = scene.sums(self.signals), scene.sums(self.known)

    def move(self, video: int, by: float) -> None:
        """Moves a video's start."""
        mine = [k for k, view in enumerate(self.scene.views) if view.video == video]
        for sign in (-1.0, 1.0):
            for k in mine:
                person, position = self.scene.views[k].person, self.scene.position(k)
                _add(self.total[person], self.signals[k], position, sign)
                _add(self.count[person], self.known[k], position, sign)
            if sign < 0:
                self.scene.move(video, by)

    def sums(self, video: int, *, radius: int, centred: bool) -> Floats | None:
        """What makes the correlation of a video with the mean of the others, per block and lag.

        Returns:
            (3, blocks, 2 * radius + 1): product, the video's energy, the others'; None if nothing is shared.
        """
        scene = self.scene
        out = np.zeros((3, scene.blocks, 2 * radius + 1))
        for k, view in enumerate(scene.views):
            if view.video != video:
                continue
            values, known, position = self.signals[k], self.known[k][:, 0], scene.position(k)
            length, (first, fraction) = len(values), _split(position)
            seen = _others(self.count[view.person], self.known[k], position, slice(-radius, length + radius))[:, 0]
            there = seen > 0.5
            middle = slice(radius, radius + length)
            both = there[middle] & (known > 0)
            if not both.any():
                continue
            weights = self.basis.weights(others=float(seen[middle][both].mean()))
            share = there / np.maximum(seen, np.float32(0.5))
            number = ((np.arange(length) + (first + fraction)) // scene.block).astype(np.int64)
            for begin in range(0, length, length if centred else CHUNK):
                rows = slice(begin, length if centred else min(begin + CHUNK, length))
                around = slice(rows.start, rows.stop + 2 * radius)
                mine, here, known_here = values[rows], there[around], known[rows]
                others = _others(
                    self.total[view.person], values, position, slice(rows.start - radius, rows.stop + radius)
                )
                others *= share[around, None]
                if centred:
                    mine = (mine - mine.mean(0, where=both[:, None])) * known_here[:, None]
                    others = (others - others[middle].mean(0, where=both[:, None])) * here[:, None]
                weighted = mine * weights
                energy, energy_others = np.einsum("tq,tq->t", weighted, mine), np.square(others) @ weights
                edges = np.flatnonzero(np.diff(number[rows], prepend=-1))
                series = np.empty((3, len(mine)), np.float32)
                for lag in range(2 * radius + 1):
                    at = slice(lag, lag + len(mine))
                    np.einsum("tq,tq->t", weighted, others[at], out=series[0])
                    np.multiply(energy, here[at], out=series[1])
                    np.multiply(known_here, energy_others[at], out=series[2])
                    out[:, number[rows][edges], lag] += np.add.reduceat(series, edges, axis=1, dtype=np.float64)
        return out if out[1].any() and out[2].any() else None


def _self_products(signal: Singles) -> tuple[Floats, Floats]:
    """(columns, columns): products summed over time, of an instant with itself and with the next one."""
    columns = signal.shape[1]
    same, next_step = np.zeros((columns, columns)), np.zeros((columns, columns))
    for begin in range(0, len(signal), CHUNK):
        part = np.ascontiguousarray(signal[begin : begin + CHUNK + 1])
        first = part[:CHUNK]
        same += first.T @ first
        next_step += part[1:].T @ first[: len(part) - 1]
    return same, next_step


def _add(total: Singles, signal: Singles, position: float, sign: float) -> None:
    """Adds a signal at a position between two steps, by linear interpolation, in place; what lies outside is lost."""
    first, fraction = _split(position)
    for start, weight in ((first, 1 - fraction), (first + 1, fraction)):
        rows = slice(max(0, start), min(len(total), start + len(signal)))
        if rows.stop > rows.start and weight:
            total[rows] += np.float32(sign * weight) * signal[rows.start - start : rows.stop - start]


def _others(total: Singles, own: Singles, position: float, instants: slice) -> Singles:
    """(instants, columns): the sum without one's own part, at some of one's own instants and some around them.

    Args:
        total: on the scene's clock.
        own: part of it.
        position: of the own one in the sum.
        instants: of one's own; they may lie before the first and after the last one.
    """
    first, fraction = _split(position)
    low, high = first + instants.start, first + instants.stop + 1
    room = slice(max(0, low), min(len(total), high))
    rest = np.zeros((high - low, total.shape[1]), np.float32)
    rest[room.start - low : room.stop - low] = total[room]
    _add(rest, own, position - low, -1.0)
    out = np.float32(1 - fraction) * rest[:-1]
    rest *= np.float32(fraction)
    out += rest[1:]
    return out


def _split(position: float) -> tuple[int, float]:
    first = int(np.floor(position))
    return first, position - first


def _best(sums: Floats, radius: int) -> float:
    """Lag of the highest correlation, to a fraction of a step."""
    product, energy, others = sums
    r = normalised(product, energy, others)
    top = int(r.argmax())
    inside = 0 < top < len(r) - 1
    return top - radius + (fraction_of_peak(*r[top - 1 : top + 2]) if inside else 0.0)


def _coverage_factor(blocks: float, seconds: float) -> float:
    """Standard deviations in half a 95 % interval.

    The quantile lies between the normal one and Student's (few blocks do not show their own spread well; measured, the
    normal one covers 90 % in hard noise, Student's 98 %), times what the bootstrap misses: a few blocks vary less about
    their own mean than about the true one, and neighbouring blocks of so many seconds are related. With correlations
    exp(-k * seconds / CORRELATION_TIME) the variance of their mean is coth(seconds / (2 * CORRELATION_TIME)) times that
    of unrelated ones.
    """
    related = 1 / np.tanh(seconds / (2 * CORRELATION_TIME))
    quantile = np.sqrt(1.96 * stdtrit(max(blocks - 1, 1.0), 0.975))
    return float(quantile * np.sqrt(related * blocks / max(blocks - 1, 1.0)))


def _peaks(product: Floats, energy: Floats, others: Floats) -> Floats:
    """(draws,) steps from the middle to the highest correlation of every draw, to a fraction of a step."""
    r = product / np.sqrt(np.maximum(energy * others, 1e-9))
    top = r[:, 1:-1].argmax(1) + 1
    rows = np.arange(len(r))
    before, here, after = r[rows, top - 1], r[rows, top], r[rows, top + 1]
    bend = before - 2 * here + after
    fraction = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
    return np.asarray(top - r.shape[1] // 2 + np.clip(fraction, -1, 1))
