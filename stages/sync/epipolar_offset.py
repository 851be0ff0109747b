"""The lag of two calibrated cameras to a fraction of a frame, and how sure it is.

The difference of both cameras' angles of a joint (plane_tracks.py) is, near the right lag, the error of the lag times
the speed of the angle, plus errors: noise, and a bias, because cameras on two sides see two sides of a joint and no
calibration is exact. The bias changes slowly. So the differences are taken against their own slow trend, joint by
joint, and what is left is regressed on the speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from stages.sync.features import SMOOTHING
from stages.sync.plane_tracks import JOINTS, PART, PARTS, PlaneTrack

Floats = NDArray[np.float64]

TOLERANCE = 0.06  # m by which a detector's joint may well be off
TREND = 1.0  # s, standard deviation: what changes more slowly counts as bias
AROUND = 0.3  # s on either side of the given lag that are searched
STRIDE = 0.05  # s between the lags that are searched: the regression finds the rest of the way
USUAL = 3.0  # medians of the absolute differences: two standard deviations of a normal error
ROUNDS = 8  # of reweighting; the last ones change nothing
BLOCK = 1.0  # s: errors of detectors last about half a second
SHORT_BLOCK = 0.25  # s, in clips of so few seconds that there would be fewer than 6 blocks
FEW_BLOCKS = 6
MEMORY = 1.0  # s over which errors are correlated
MAX_BLOCKS = 30
MIN_BLOCKS = 4
MIN_SHARED = 4.0  # standard deviations by which the motion that both cameras saw must exceed zero; the best of some 20
# lags reaches 3 with noise alone
MAX_MISFIT = 0.08  # m; simulated detectors disagree by 0.05 at worst, a camera turned by 10 degrees by 0.06 to 0.2
LEAST_DEVIATION = 0.001  # s: cameras that open their shutters row by row are off by more


@dataclass(frozen=True)
class RefinedLag:
    """A lag with a fraction.

    Attributes:
        lag: grid steps.
        deviation: standard deviation of lag, grid steps.
        moment: middle of the instants that it rests on, steps of a's grid.
        misfit: metres by which the two cameras' joints disagree at this lag, typically, bias included.
    """

    lag: float
    deviation: float
    moment: float
    misfit: float


@dataclass(frozen=True)
class _Smooth:
    """Angles on the whole grid as points on the unit circle, and what goes with them; (instants, joints)."""

    points: NDArray[np.complex128]  # 0 where unknown
    speed: Floats  # rad per step
    radius: Floats
    begin: int


@dataclass(frozen=True)
class _Residuals:
    """At one lag, of one couple, in metres at the joint; 0 where unknown. (instants, joints)."""

    known: NDArray[np.bool_]
    difference: Floats
    speed_a: Floats  # m per step
    speed_b: Floats
    first: int  # step of a's grid at the first instant


def refine_offset(couples: Sequence[tuple[PlaneTrack, PlaneTrack]], *, rate: float, near: float) -> RefinedLag | None:
    """The lag near a given one at which the angles agree best.

    Robust regression of the differences on the speed (Geman-McClure weights, Gauss-Newton). The slope is that of
    instrumental variables: the square of the speed is taken as the product of the two cameras' speeds, whose noises
    know nothing of each other; otherwise the noise of a person who stands still would pass for motion and its lag for
    sure. The variance is that of noise which is correlated in time like the differences themselves, plus the scatter
    between blocks of time or between parts of the body, whichever is larger: what a joint is off in one posture, or a
    part of the body throughout, does not average out over the frames.

    Args:
        couples: tracks of one person each, in both videos.
        rate: grid steps per second.
        near: grid steps.

    Returns:
        None where the lag cannot be told: too little in common, no motion across the planes that both cameras see, or a
        calibration with which the two cameras' joints never meet.
    """
    smooth = [(_smooth(a, rate), _smooth(b, rate)) for a, b in couples]
    steps = np.round(np.arange(-AROUND, AROUND + 1e-9, STRIDE) * rate)
    tolerance = TOLERANCE
    start = round(near)
    for _ in range(2):  # the errors at the best lag say which errors are usual, and those which lag is the best
        costs = [_cost([_residuals(a, b, start + int(step)) for a, b in smooth], rate, tolerance) for step in steps]
        if not np.isfinite(costs).any():
            return None
        start += int(steps[int(np.nanargmin(costs))])
        tolerance = _usual([_residuals(a, b, start) for a, b in smooth], rate, tolerance)
    lag = float(start)
    for _ in range(ROUNDS):
        residuals = [_residuals(a, b, lag) for a, b in smooth]
        shared, missed, chance = _regression(residuals, rate, tolerance)
        if shared.sum() <= MIN_SHARED * chance:
            return None
        lag -= float(np.clip(missed.sum() / shared.sum(), -2, 2))
        if abs(lag - near) > AROUND * rate:
            return None
    return _certain(lag, shared, missed, [_residuals(a, b, lag) for a, b in smooth], rate, tolerance)


def _certain(
    lag: float, shared: Floats, missed: Floats, residuals: Sequence[_Residuals], rate: float, tolerance: float
) -> RefinedLag | None:
    """The lag with its deviation. shared, missed: (blocks, parts)."""
    if (shared.any(1)).sum() < MIN_BLOCKS:
        return None
    scatter = max(_scatter_of_slope(shared.sum(axis), missed.sum(axis)) for axis in (1, 0))
    noise = _noise_of_slope(residuals, rate, tolerance)
    deviation = np.sqrt((noise + scatter) / float(shared.sum()) ** 2 + (LEAST_DEVIATION * rate) ** 2)
    if not deviation <= AROUND * rate:
        return None
    known = np.concatenate([r.first + np.flatnonzero(r.known.any(1)) for r in residuals])
    off = np.concatenate([r.difference[r.known] for r in residuals])
    misfit = float(np.median(np.abs(off)))
    return RefinedLag(lag, float(deviation), float(known.mean()), misfit) if misfit <= MAX_MISFIT else None


def _scatter_of_slope(shared: Floats, missed: Floats) -> float:
    """Variance of the sum of `missed` if its entries scatter independently about their common slope.

    The sandwich of clusters (Liang and Zeger, Biometrika 1986) with the correction for their number; 0 where one
    cluster is all there is.
    """
    there = shared != 0
    count = int(there.sum())
    if count < 2:
        return 0.0
    off = missed[there] - shared[there] * missed.sum() / shared.sum()
    return float(count / (count - 1) * np.square(off).sum())


def _noise_of_slope(residuals: Sequence[_Residuals], rate: float, tolerance: float) -> float:
    """Variance of the sum of speed times difference if differences are noise that is correlated over MEMORY.

    The correlation is that of the differences themselves, of all instants and joints together, with a triangular window
    (Newey and West, Econometrica 1987). It varies far less from clip to clip than the scatter between blocks, of which
    few have motion.
    """
    total = 0.0
    for r in residuals:
        weight, beyond = _weights(r, rate, tolerance)
        speed = 0.5 * weight * (_detrend(r.speed_a, weight, rate) + _detrend(r.speed_b, weight, rate))
        error = r.known * np.clip(beyond, -3 * tolerance, 3 * tolerance)
        reach = min(int(MEMORY * rate), len(speed) - 1)
        for step in range(reach + 1):
            now, later = slice(0, len(speed) - step), slice(step, None)
            pairs = float((r.known[now] & r.known[later]).sum())
            covariance = float((error[now] * error[later]).sum()) / max(pairs, 1.0)
            share = (1.0 if step == 0 else 2.0) * (1 - step / (reach + 1))
            total += share * covariance * float((speed[now] * speed[later]).sum())
    return max(total, 0.0)


def _smooth(track: PlaneTrack, rate: float) -> _Smooth:
    known = track.known
    points = np.where(known, np.exp(1j * np.where(known, track.angles, 0.0)), 0.0)
    sigma = SMOOTHING * rate
    blurred = gaussian_filter1d(points.real, sigma, axis=0, mode="constant") + 1j * gaussian_filter1d(
        points.imag, sigma, axis=0, mode="constant"
    )
    clear = known & (np.abs(blurred) > 1e-3)
    unit = np.where(clear, blurred / np.maximum(np.abs(blurred), 1e-3), 0.0)
    speed = np.zeros(known.shape)
    inside = clear[2:] & clear[1:-1] & clear[:-2]
    speed[1:-1] = np.where(inside, np.angle(unit[2:] * unit[:-2].conj()) / 2, 0.0)
    clear[[0, -1]] = False
    clear[1:-1] &= inside
    return _Smooth(np.where(clear, unit, 0.0), speed, np.where(clear, track.radius, 1.0), track.begin)


def _residuals(a: _Smooth, b: _Smooth, lag: float) -> _Residuals:
    """B's instants k against a's k + lag."""
    whole = int(np.floor(lag))
    share = lag - whole
    first = max(b.begin, a.begin - whole)
    last = min(b.begin + len(b.points), a.begin + len(a.points) - whole - 1)
    if last <= first:
        nothing = np.zeros((0, len(JOINTS)))
        return _Residuals(nothing > 0, nothing, nothing, nothing, 0)
    now = slice(first - b.begin, last - b.begin)
    left = slice(first + whole - a.begin, last + whole - a.begin)
    right = slice(left.start + 1, left.stop + 1)
    there = (a.points[left] != 0) & (a.points[right] != 0) & (b.points[now] != 0)
    point = (1 - share) * a.points[left] + share * a.points[right]
    # of two equal errors of the joint in metres, so many radians are expected
    radius = 1 / np.sqrt(1 / a.radius[left] ** 2 + 1 / b.radius[now] ** 2)
    return _Residuals(
        there,
        np.where(there, np.angle(point * b.points[now].conj()) * radius, 0.0),
        np.where(there, ((1 - share) * a.speed[left] + share * a.speed[right]) * radius, 0.0),
        np.where(there, b.speed[now] * radius, 0.0),
        first + whole,
    )


def _usual(residuals: Sequence[_Residuals], rate: float, tolerance: float) -> float:
    """Metres within which differences are no outliers: what the larger ones of them usually are."""
    beyond = [np.abs(_weights(r, rate, tolerance)[1][r.known]) for r in residuals if r.known.any()]
    return max(TOLERANCE, USUAL * float(np.median(np.concatenate(beyond)))) if beyond else TOLERANCE


def _weights(residuals: _Residuals, rate: float, tolerance: float) -> tuple[Floats, Floats]:
    """Robust weight of every difference, and what the difference has beyond its slow trend; both (instants, joints)."""
    weight = residuals.known.astype(np.float64)
    beyond = residuals.difference
    for _ in range(2):
        beyond = _detrend(residuals.difference, weight, rate)
        weight = residuals.known / np.square(1 + np.square(beyond / tolerance))
    return weight, beyond


def _detrend(values: Floats, weight: Floats, rate: float) -> Floats:
    """Minus the weighted running mean, at a cost that does not grow with its width."""
    width = round(np.sqrt(12) * TREND * rate)
    mean = uniform_filter1d(weight * values, width, axis=0, mode="constant")
    return np.asarray(values - mean / np.maximum(uniform_filter1d(weight, width, axis=0, mode="constant"), 1e-6))


def _cost(residuals: Sequence[_Residuals], rate: float, tolerance: float) -> float:
    """Mean robust error at a lag; NaN where nothing is shared."""
    total, count = 0.0, 0.0
    for r in residuals:
        if r.known.any():
            _, beyond = _weights(r, rate, tolerance)
            square = np.square(beyond / tolerance)
            total += float((r.known * square / (1 + square)).sum())
            count += float(r.known.sum())
    return total / count if count else float("nan")


def _regression(residuals: Sequence[_Residuals], rate: float, tolerance: float) -> tuple[Floats, Floats, float]:
    """Sums (blocks, parts) of the products of both speeds, and of speed times difference.

    Then the standard deviation that the sum of all products would have if the speeds were two noises that are
    correlated by the smoothing alone: the squared correlation of a smoothed speed sums to 0.75 * sqrt(2 pi) * sigma.
    """
    steps = max((len(r.known) for r in residuals), default=0)
    block = max(np.clip(steps / FEW_BLOCKS, SHORT_BLOCK * rate, BLOCK * rate), steps / MAX_BLOCKS)
    count = int(np.ceil(steps / block)) if steps else 0
    shared, missed, chance = np.zeros((count, len(PARTS))), np.zeros((count, len(PARTS))), 0.0
    begin = min((r.first for r in residuals if len(r.known)), default=0)
    for r in residuals:
        if not r.known.any():
            continue
        weight, beyond = _weights(r, rate, tolerance)
        speed_a, speed_b = (_detrend(speed, weight, rate) for speed in (r.speed_a, r.speed_b))
        number = np.minimum((r.first - begin + np.arange(len(r.known))) / block, count - 1).astype(np.int64)
        for sums, product in ((shared, speed_a * speed_b), (missed, 0.5 * (speed_a + speed_b) * beyond)):
            np.add.at(sums, (number[:, None], PART[None, :]), weight * product)
        chance += float(np.square(weight * speed_a * speed_b).sum())
    return shared, missed, float(np.sqrt(0.75 * np.sqrt(2 * np.pi) * SMOOTHING * rate * chance))
