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
from stages.sync.pairwise import fraction_of_peak

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

SWEEPS = 3  # more change nothing
RADIUS = 0.1  # s that a start moves at most in one sweep
LEAST_ERROR = 0.02  # share of a feature's variance that is error at least, however well the videos agree
LEAST_SNR = 0.01  # of the best coordinate's: what agrees less is left out

BLOCK = 2.0  # s: longer than the memory of an estimator's errors
MIN_BLOCKS = 8  # shorter recordings are cut into this many blocks
DRAWS = 200
REACH = 4 / 30  # s around the start in which a redrawn peak may lie
CORRELATION_TIME = 0.25  # s over which the errors of a start are related: blocks shorter than BLOCK share them
RESOLUTION = 0.001  # s: half width below which no interval goes; interpolation between steps is no better


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
            weighted for the comparison of one video with another.
    """

    starts: Floats
    half_widths: Floats
    r: Floats
    inflation: float
    projection: Singles


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
    for _ in range(SWEEPS):
        basis = scene.basis()
        for video in scene.videos:
            sums = scene.compare(video, basis, radius=radius, centred=centred)
            if sums is not None:
                scene.move(video, _best(sums.sum(1), radius))
    basis = scene.basis()
    reach = max(2, round(REACH * rate))
    count = len(starts)
    widths, correlation, ratios = np.full(count, np.nan), np.zeros(count), []
    drawn = generator.multinomial(scene.blocks, np.full(scene.blocks, 1 / scene.blocks), DRAWS).astype(np.float64)
    factor = _coverage_factor(scene.blocks, scene.block / rate)
    for video in scene.videos:
        sums = scene.compare(video, basis, radius=reach, centred=centred)
        if sums is None:
            continue
        lags = _peaks(*(drawn @ part for part in sums))
        product, energy, others = sums.sum(1)
        r = product / np.sqrt(np.maximum(energy * others, 1e-12))
        top = int(r[1:-1].argmax()) + 1
        correlation[video] = r[top]
        widths[video] = np.hypot(factor * lags.std(), RESOLUTION * rate)
        expected = expected_variance(r[top - 1 : top + 2], scene.shared(video))
        if np.isfinite(expected):
            ratios.append(float(lags.var()) / expected)
    return Alignment(
        scene.starts - scene.starts[0],
        widths,
        correlation,
        float(np.median(ratios)) if ratios else 1.0,
        basis.projection(others=1.0),
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
    """All views on the scene's clock, and per person the sum of them."""

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
        ends = [self._position(view) + len(view.features.values) for view in self.views]
        self.length = int(max(ends, default=0.0)) + 2 * self.margin
        self.block = min(BLOCK * rate, max(1.0, self.length / MIN_BLOCKS))
        self.blocks = max(1, int(np.ceil(self.length / self.block)))
        columns = self.views[0].features.values.shape[1] if self.views else 1
        masks = max((view.features.mask.shape[1] for view in self.views), default=1)
        people = {view.person for view in self.views}
        self.total = {p: np.zeros((self.length, columns), np.float32) for p in people}
        self.count = {p: np.zeros((self.length, masks), np.float32) for p in people}
        for view in self.views:
            self._add(view, 1.0)

    def _position(self, view: View) -> float:
        return float(self.starts[view.video] + view.features.begin - self.origin)

    def _add(self, view: View, sign: float) -> None:
        first, fraction = _split(self._position(view))
        for total, values in (
            (self.total[view.person], view.features.values),
            (self.count[view.person], view.features.mask),
        ):
            end = first + len(values)
            total[first:end] += np.float32(sign * (1 - fraction)) * values
            total[first + 1 : end + 1] += np.float32(sign * fraction) * values

    def move(self, video: int, by: float) -> None:
        """Moves a video's start."""
        mine = [view for view in self.views if view.video == video]
        for view in mine:
            self._add(view, -1.0)
        room = self.margin - 2
        self.starts[video] = np.clip(self.starts[video] + by, self.given[video] - room, self.given[video] + room)
        for view in mine:
            self._add(view, 1.0)

    def shared(self, video: int) -> float:
        """Steps that the video has seen."""
        return sum(view.features.known for view in self.views if view.video == video)

    def basis(self) -> _Basis:
        """The coordinates, from how the views agree where they are now."""
        columns = next(iter(self.total.values())).shape[1] if self.total else 1
        own, together = np.zeros((columns, columns)), np.zeros((columns, columns))
        own_count, together_count = np.zeros(()), np.zeros(())
        for view in self.views:  # the sum of all products, less those of every view with itself, leaves the others
            values, mask = view.features.values, view.features.mask
            own = own + values.T @ values
            own_count = own_count + mask.T @ mask
            _, fraction = _split(self._position(view))
            blurred, known = _blend(values, fraction), _blend(mask, fraction)
            together = together - blurred.T @ blurred
            together_count = together_count - known.T @ known
        for person, total in self.total.items():
            together = together + total.T @ total
            together_count = together_count + self.count[person].T @ self.count[person]
        variance = own / np.maximum(own_count, 1)
        agreement = together / np.maximum(together_count, 1)
        spread = np.diag(variance)
        error = np.maximum(spread - np.diag(agreement), LEAST_ERROR * spread)
        scale = np.where(spread > 0, 1 / np.sqrt(np.where(spread > 0, error, 1.0)), 0.0)
        snr, axes = np.linalg.eigh(scale[:, None] * (agreement + agreement.T) / 2 * scale)
        kept = snr > LEAST_SNR * snr[-1]
        if snr[-1] <= 0:  # nothing agrees: all features alike
            return _Basis(np.diag(scale).astype(np.float32), np.ones(columns))
        return _Basis((scale[:, None] * axes[:, kept]).astype(np.float32), snr[kept])

    def compare(self, video: int, basis: _Basis, *, radius: int, centred: bool) -> Floats | None:
        """Sums that make the correlation of a video with the mean of the others, per block and lag.

        Returns:
            (3, blocks, 2 * radius + 1): product, the video's energy, the others'; None if nothing is shared.
        """
        out = np.zeros((3, self.blocks, 2 * radius + 1))
        for view in (view for view in self.views if view.video == video):
            first, fraction = _split(self._position(view))
            length = len(view.features.values)
            # the others at this view's instants, with `radius` to spare on both sides and one for interpolation
            low, high = first - radius, first + length + radius + 1
            room = slice(max(0, low), min(self.length, high))
            pad = (room.start - low, high - room.stop)
            rest, seen = self.total[view.person][room], self.count[view.person][room]
            mine = slice(first - room.start, first - room.start + length + 1)
            rest, seen = rest.copy(), seen.copy()
            rest[mine] -= _blend(view.features.values, fraction)
            seen[mine] -= _blend(view.features.mask, fraction)
            rest, seen = (np.pad(x, (pad, (0, 0))) for x in (rest, seen))
            rest = (1 - fraction) * rest[:-1] + fraction * rest[1:]
            seen = (1 - fraction) * seen[:-1] + fraction * seen[1:]
            there = seen > 0.5
            others = np.where(there, rest / np.maximum(seen, 0.5), 0).astype(np.float32)
            middle = seen[radius : radius + length]
            together = there[radius : radius + length] & (view.features.mask > 0)
            if not together.any():
                continue
            weights = basis.weights(others=float(middle[together].mean()))
            values = view.features.values
            if centred:
                n = np.maximum(together.sum(0), 1)
                values = (values - (values * together).sum(0) / n) * view.features.mask
                others = (others - (others[radius : radius + length] * together).sum(0) / n) * there
            mine_turned, others_turned = values @ basis.axes, others @ basis.axes
            energy = np.square(mine_turned) @ weights
            energy_others = np.square(others_turned) @ weights
            known, known_others = view.features.mask.mean(1), there.mean(1)
            weighted = mine_turned * weights
            number = ((np.arange(length) + (first + fraction)) // self.block).astype(np.int64)
            edges = np.flatnonzero(np.diff(number, prepend=-1))
            rows = number[edges]
            for k in range(2 * radius + 1):
                at = slice(k, k + length)
                for part, series in enumerate(
                    (
                        np.einsum("tq,tq->t", weighted, others_turned[at]),
                        energy * known_others[at],
                        known * energy_others[at],
                    )
                ):
                    out[part, rows, k] += np.add.reduceat(series, edges, dtype=np.float64)
        return out if out[1].any() and out[2].any() else None


def _split(position: float) -> tuple[int, float]:
    first = int(np.floor(position))
    return first, position - first


def _blend(values: Singles, fraction: float) -> Singles:
    """(length + 1, columns): the values a fraction of a step later, by linear interpolation."""
    out = np.zeros((len(values) + 1, values.shape[1]), np.float32)
    out[:-1] = np.float32(1 - fraction) * values
    out[1:] += np.float32(fraction) * values
    return out


def _best(sums: Floats, radius: int) -> float:
    """Lag of the highest correlation, to a fraction of a step."""
    product, energy, others = sums
    r = product / np.sqrt(np.maximum(energy * others, 1e-12))
    top = int(r.argmax())
    inside = 0 < top < len(r) - 1
    return top - radius + (fraction_of_peak(*r[top - 1 : top + 2]) if inside else 0.0)


def _coverage_factor(blocks: int, seconds: float) -> float:
    """Standard deviations in half a 95 % interval.

    Student's quantile, because few blocks show their own spread badly, times what the bootstrap misses because
    neighbouring blocks of that many seconds are related: with correlations exp(-k * seconds / CORRELATION_TIME) the
    variance of their mean is coth(seconds / (2 * CORRELATION_TIME)) times that of unrelated ones.
    """
    related = 1 / np.tanh(seconds / (2 * CORRELATION_TIME))
    return float(stdtrit(max(blocks - 1, 1), 0.975) * np.sqrt(related * blocks / max(blocks - 1, 1)))


def _peaks(product: Floats, energy: Floats, others: Floats) -> Floats:
    """(draws,) steps from the middle to the highest correlation of every draw, to a fraction of a step."""
    r = product / np.sqrt(np.maximum(energy * others, 1e-9))
    top = r[:, 1:-1].argmax(1) + 1
    rows = np.arange(len(r))
    before, here, after = r[rows, top - 1], r[rows, top], r[rows, top + 1]
    bend = before - 2 * here + after
    fraction = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
    return np.asarray(top - r.shape[1] // 2 + np.clip(fraction, -1, 1))
