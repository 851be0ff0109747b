"""How well two persons' features agree at every lag: masked normalised cross-correlation, its peak, its certainty.

Signs: a curve of (a, b) is high at the lag L, in grid steps, where instant k of b shows what instant k + L of a
shows. L estimates (start of b's grid) - (start of a's grid) on the scene's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from stages.sync.features import Features

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Complex = NDArray[np.complexfloating]

MIN_OVERLAP = 3.0  # s of shared, seen time below which a lag is not considered
MIN_OVERLAP_SHARE = 0.35  # of the shorter video, which replaces MIN_OVERLAP in clips under 9 s
APART = 0.5  # s around a peak that belong to the peak
MIN_FAR_LAGS = 60  # at 30 Hz: with fewer lags apart from the peak its noise is not known
PRIOR_NOISE = 0.15  # sqrt(s): rms strength of strangers; 0.06-0.23 in simulated recordings of 1.5 to 60 s
PRIOR_COUNT = 8.0  # independent lags, APART each, that the prior is worth (chosen on simulated clips)
CHUNK_BYTES = 1 << 23  # of the signals that are transformed at once
BLOCK_BYTES = 1 << 19  # of a curve each of the couples that are looked at at once: they fit into a cache
FREQUENCIES = 256  # of which products are formed at once: they fit into a cache
EXCLUDED = -1.0  # value of a curve where nothing can be said


@dataclass(frozen=True)
class Curve:
    """Agreement of two persons, or of two videos, at every lag from -reach to +reach.

    Attributes:
        r: (2 * reach + 1,) normalised cross-correlation, EXCLUDED where the lag cannot be judged.
        overlap: (2 * reach + 1,) grid steps that both have seen, averaged over the features, summed over couples.
        couples: number of couples of tracks that went into it.
        alternatives: number of couples that they were chosen from.
    """

    r: NDArray[np.floating]
    overlap: NDArray[np.floating]
    couples: int = 1
    alternatives: int = 1

    @property
    def reach(self) -> int:
        """The largest lag."""
        return len(self.r) // 2

    @property
    def lags(self) -> NDArray[np.int64]:
        """(2 * reach + 1,) lags in grid steps."""
        return np.arange(-self.reach, self.reach + 1)

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """Where something can be said."""
        return self.r > EXCLUDED

    @cached_property
    def strength(self) -> NDArray[np.floating]:
        """(2 * reach + 1,) r * sqrt(overlap): comparable between lags of different overlap; 0 where excluded."""
        return strength(self.r, self.overlap)


@dataclass(frozen=True)
class Peak:
    """The top of a curve.

    Attributes:
        lag: grid steps, with a fraction.
        r: height.
        z: strength at the top over the noise of the strength away from it; 0 where unknown.
        overlap: grid steps that both have seen there, per couple.
    """

    lag: float
    r: float
    z: float
    overlap: float


def correlate(
    first: Sequence[Features],
    second: Sequence[Features],
    couples: Sequence[tuple[int, int]],
    *,
    length: int,
    reach: int,
    least: NDArray[np.floating],
    centred: bool,
) -> tuple[Singles, Singles]:
    """Masked normalised cross-correlation of many couples, all lags at once.

    r(L) = sum_t a[t + L] b[t] / sqrt(sum a[t + L]² · sum b[t]²), every sum over the instants and features that both
    have seen (Padfield, "Masked object registration in the Fourier domain", IEEE TIP 2012, here in one dimension
    and with one common scale for all features). Each track is transformed once; what all couples need is then one
    product of small matrices per frequency.

    Args:
        first: features of the earlier named tracks.
        second: of the others; may be the same list.
        couples: (position in first, position in second).
        length: grid steps that hold every track.
        reach: largest lag in grid steps.
        least: (couples,) grid steps, averaged over features, below which a lag is excluded.
        centred: subtract every feature's mean over each overlap: for short clips, at 2 * features more transforms.

    Returns:
        (couples, 2 * reach + 1): r, EXCLUDED where nothing can be said; and the overlap in grid steps.
    """
    lags = 2 * reach + 1
    if not couples:
        return np.zeros((0, lags), np.float32), np.zeros((0, lags), np.float32)
    kind = np.dtype(np.float64 if centred else np.float32)  # centring takes differences of large sums
    size = next_fast_len(length + reach + 1, real=True)  # no lag within ±reach wraps around
    tracks = [first] if second is first else [first, second]
    one_mask = all(f.mask.shape[1] == 1 for side in tracks for f in side)
    i, j = np.array(couples).T
    columns = first[0].values.shape[1]
    wide = max(len(side) for side in tracks)
    chunk = int(np.clip(CHUNK_BYTES // (size * wide * kind.itemsize), 1, columns))
    at_once = max(1, BLOCK_BYTES // (size * kind.itemsize))

    def transforms(signal: Callable[[Features], NDArray[np.float32]], number: int) -> list[Complex]:
        """(tracks, columns, frequencies) of either side."""
        out = []
        for side in tracks:
            whole = np.zeros((len(side), number, size), kind)
            for k, f in enumerate(side):
                whole[k, :, f.begin : f.begin + len(f.values)] = signal(f).T
            out.append(np.asarray(rfft(whole, overwrite_x=True)))
        return out

    def add_products(total: Complex, a: Complex, b: Complex) -> None:
        """Adds sum_columns a conj(b) of every couple to (frequencies, couples)."""
        for block in range(0, len(total), FREQUENCIES):
            part = slice(block, block + FREQUENCIES)
            of_all = a[..., part].transpose(2, 0, 1).copy() @ b[..., part].transpose(2, 1, 0).conj()
            total[part] += of_all.reshape(len(of_all), -1).take(i * len(b) + j, axis=1)

    def lagged(product: Complex) -> NDArray[np.floating]:
        """(couples, lags) from (frequencies, couples)."""
        whole = irfft(product, size, axis=0)
        out = np.empty((whole.shape[1], lags), kind)
        out[:, :reach], out[:, reach:] = whole[size - reach :].T, whole[: reach + 1].T
        return out

    spectra = np.result_type(kind, 1j)
    shape = (size // 2 + 1, len(couples))
    product = np.zeros(shape, spectra)
    energy_a, energy_b, overlap = (np.zeros((0, 0) if one_mask else shape, spectra) for _ in range(3))
    shift = [np.zeros((len(couples), lags)) for _ in range(3 if centred else 0)]
    totals = [np.zeros(len(side), kind) for side in tracks]
    for begin in range(0, columns, chunk):
        part = slice(begin, min(begin + chunk, columns))
        number = part.stop - part.start
        values = transforms(lambda f, part=part: f.values[:, part], number)  # type: ignore[misc]
        add_products(product, values[0], values[-1])
        if not one_mask or centred:
            masks = transforms(
                lambda f, part=part: np.broadcast_to(f.mask, f.values.shape)[:, part],  # type: ignore[misc]
                number,
            )
        if not one_mask:
            energies = transforms(lambda f, part=part: np.square(f.values[:, part]), number)  # type: ignore[misc]
            add_products(energy_a, energies[0], masks[-1])
            add_products(energy_b, masks[0], energies[-1])
            add_products(overlap, masks[0], masks[-1])
            for total, energy in zip(totals, energies, strict=True):
                total += energy[..., 0].real.sum(-1)
        if centred:
            for c in range(number):
                a, b = values[0][i, c].T, values[-1][j, c].T
                ma, mb = masks[0][i, c].T, masks[-1][j, c].T
                count = np.maximum(lagged(ma * mb.conj()), 1)
                sum_a, sum_b = lagged(a * mb.conj()), lagged(ma * b.conj())
                for total, square in zip(shift, (sum_a * sum_b, sum_a**2, sum_b**2), strict=True):
                    total += square / count
    if one_mask:
        masks = [side[:, 0].T for side in transforms(lambda f: f.mask, 1)]
        energies = [side[:, 0].T for side in transforms(lambda f: np.square(f.values).sum(1, keepdims=True), 1)]
        totals = [energy[0].real for energy in energies]
    counted = 1 if one_mask else columns
    known = [np.array([np.broadcast_to(f.mask.any(axis=0), counted) for f in side]) for side in tracks]
    shared = np.maximum((known[0][i] & known[-1][j]).sum(1), 1).astype(kind)
    asked = np.maximum(least, 1.0).astype(kind)
    eps = 32 * float(np.finfo(np.float64 if centred else np.float32).eps)  # measured: transforms lose some five bits
    r, seen = (np.empty((len(couples), lags), np.float32) for _ in range(2))
    for begin in range(0, len(couples), at_once):
        part = slice(begin, begin + at_once)
        u, v = i[part], j[part]
        if one_mask:
            steps = lagged(masks[0][:, u] * masks[-1][:, v].conj())
            square_a = lagged(energies[0][:, u] * masks[-1][:, v].conj())
            square_b = lagged(masks[0][:, u] * energies[-1][:, v].conj())
        else:
            steps, square_a, square_b = (lagged(s[:, part]) for s in (overlap, energy_a, energy_b))
            steps /= shared[part, None]
        dot = lagged(product[:, part])
        if centred:
            for sums, less in zip((dot, square_a, square_b), shift, strict=True):
                sums -= less[part]
        # rounding leaves a little of nothing, in single precision about eps of all energy: an overlap without movement
        # says nothing
        np.maximum(steps, 0, out=steps)
        floor = 1e-6 * np.maximum(steps, 1)
        excluded = steps < asked[part, None] - 0.01  # whole numbers, but for rounding
        excluded |= square_a <= floor + eps * totals[0][u, None]
        excluded |= square_b <= floor + eps * totals[-1][v, None]
        square_a *= square_b
        np.copyto(square_a, 1, where=excluded)
        dot /= np.sqrt(square_a, out=square_a)
        np.clip(dot, -0.999999, 1, out=dot)
        np.copyto(dot, EXCLUDED, where=excluded)
        r[part], seen[part] = dot, steps
    return r, seen


def strength(r: NDArray[np.floating], overlap: NDArray[np.floating]) -> NDArray[np.floating]:
    """Correlation times the root of the overlap, 0 where excluded: of equal spread at all lags that show nothing."""
    return np.asarray(r * np.sqrt(overlap) * (r > EXCLUDED))


def normalised(product: Floats, energy_a: Floats, energy_b: Floats) -> Floats:
    """Correlation from its three sums; 0 where there is nothing."""
    return np.asarray(product / np.sqrt(np.maximum(energy_a * energy_b, 1e-12)))


def fraction_of_peak(before: float, top: float, after: float) -> float:
    """Where the parabola through three neighbouring values has its top, in (-0.5, 0.5) steps from the middle one."""
    bend = before - 2 * top + after
    return 0.5 * (before - after) / bend if bend < 0 and top >= max(before, after) else 0.0


def noise(count: float, variance: float, *, rate: float, prior: float = PRIOR_NOISE) -> float:
    """Standard deviation of the strength of strangers, from the lags away from a peak and a prior.

    Args:
        count: number of those lags; few of them, in a short clip, and then the prior decides.
        variance: of the strength at them.
        rate: grid steps per second.
        prior: the standard deviation that is assumed before looking, sqrt(s).
    """
    independent = count / (APART * rate)
    square = (independent * variance if count else 0.0) + PRIOR_COUNT * prior**2 * rate
    return float(np.sqrt(square / (independent + PRIOR_COUNT)))


def in_units_of_noise(r: Singles, overlap: Singles, *, rate: float) -> Singles:
    """Strength over the standard deviation it has away from its peak, not negative, 0 where excluded.

    Without the prior in the noise the flat curve of two strangers gets a higher score in a short clip than the broad,
    high one of the right couple.

    Args:
        r: (couples, lags) as of `correlate`.
        overlap: likewise.
        rate: grid steps per second.
    """
    out = np.empty_like(r)
    for k, (curve, seen) in enumerate(zip(r, overlap, strict=True)):
        height = strength(curve, seen)
        spread = noise(*_away_from(int(height.argmax()), height, curve > EXCLUDED, rate=rate), rate=rate)
        np.maximum(height, 0, out=out[k])
        out[k] /= np.float32(spread)
    return out


def curve_noise(curve: Curve, *, rate: float) -> float:
    """Standard deviation of a curve's strength away from its peak."""
    height = curve.strength
    return noise(*_away_from(int(height.argmax()), height, curve.allowed, rate=rate), rate=rate)


def _away_from(
    top: int, height: NDArray[np.floating], allowed: NDArray[np.bool_], *, rate: float
) -> tuple[float, float]:
    """Number of allowed lags that lie more than APART from the top, and the variance of the heights there.

    Args:
        top: its index.
        height: (lags,), 0 where not allowed.
        allowed: likewise.
        rate: grid steps per second.
    """
    width = int(APART * rate)
    near = slice(max(0, top - width), top + width + 1)
    heights = height.astype(np.float64)
    count = int(np.count_nonzero(allowed)) - int(np.count_nonzero(allowed[near]))
    mean = (float(heights.sum()) - float(heights[near].sum())) / max(count, 1)
    square = (float(heights @ heights) - float(heights[near] @ heights[near])) / max(count, 1)
    return float(count), max(0.0, square - mean * mean)


def highest(curve: Curve, *, near: float, radius: float) -> tuple[float, float]:
    """Lag, to a fraction of a step, and height of the highest point within `radius` steps of a lag."""
    first = max(0, int(np.ceil(near - radius)) + curve.reach)
    last = min(len(curve.r) - 1, int(np.floor(near + radius)) + curve.reach)
    k = first + int(np.argmax(curve.r[first : last + 1]))
    fraction = 0.0
    if 0 < k < len(curve.r) - 1 and (curve.r[k - 1 : k + 2] > EXCLUDED).all():
        fraction = fraction_of_peak(*curve.r[k - 1 : k + 2].tolist())
    return k - curve.reach + fraction, float(curve.r[k])


def find_peak(curve: Curve, *, rate: float, near: float | None = None, radius: float = 0.0) -> Peak:
    """The highest point of a curve, to a fraction of a step.

    Args:
        curve: of a couple or of a pair of videos.
        rate: grid steps per second.
        near: look only within `radius` steps of this lag.
        radius: in steps.

    Returns:
        The peak; r = EXCLUDED and z = 0 where the curve says nothing there.
    """
    lags = curve.lags
    r = curve.r if near is None else np.where(np.abs(lags - near) <= radius, curve.r, EXCLUDED)
    k = int(np.argmax(r))
    fraction = 0.0
    if 0 < k < len(lags) - 1 and curve.allowed[k - 1 : k + 2].all():
        fraction = fraction_of_peak(*curve.r[k - 1 : k + 2].tolist())
    z = 0.0
    if r[k] > 0:
        count, variance = _away_from(k, curve.strength, curve.allowed, rate=rate)
        if count >= MIN_FAR_LAGS * rate / 30:
            z = float(curve.strength[k] / noise(count, variance, rate=rate))
    return Peak(float(lags[k] + fraction), float(r[k]), z, float(curve.overlap[k]) / curve.couples)
