"""How well two persons' features agree at every lag: masked normalised cross-correlation, its peak, its certainty.

Signs: a curve of (a, b) is high at the lag L, in grid steps, where instant k of b shows what instant k + L of a
shows. L estimates (start of b's grid) - (start of a's grid) on the scene's clock.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from stages.sync.features import Features

Floats = NDArray[np.float64]
Complex = NDArray[np.complexfloating]

MIN_OVERLAP = 3.0  # s of shared, seen time below which a lag is not considered
MIN_OVERLAP_SHARE = 0.35  # of the shorter video, which replaces MIN_OVERLAP in clips under 9 s
APART = 0.5  # s around a peak that belong to the peak
MIN_FAR_LAGS = 60  # at 30 Hz: with fewer lags apart from the peak its noise is not known
PRIOR_NOISE = 0.15  # sqrt(s): rms strength of strangers; 0.06-0.23 in simulated recordings of 1.5 to 60 s
PRIOR_COUNT = 8.0  # independent lags, APART each, that the prior is worth (chosen on simulated clips)
EXCLUDED = -1.0  # value of a curve where nothing can be said


@dataclass(frozen=True)
class Spectrum:
    """Fourier transforms of features, of their squares and of their masks, along time.

    Attributes:
        values: (features, frequencies).
        energy: (features, frequencies), or their sum (1, frequencies) where the features share one mask.
        mask: (features, frequencies), or (1, frequencies).
        known: (features,) or (1,) bool: whether the feature is ever known.
        size: length of the transform.
    """

    values: Complex
    energy: Complex
    mask: Complex
    known: NDArray[np.bool_]
    size: int


@dataclass(frozen=True)
class Curve:
    """Agreement of two persons, or of two videos, at every lag from -reach to +reach.

    Attributes:
        r: (2 * reach + 1,) normalised cross-correlation, EXCLUDED where the lag cannot be judged.
        overlap: (2 * reach + 1,) grid steps that both have seen, averaged over the features, summed over couples.
        couples: number of couples of tracks that went into it.
        alternatives: number of couples that they were chosen from.
    """

    r: Floats
    overlap: Floats
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

    def limited(self, low: float, high: float) -> Curve:
        """The same, excluded outside the lags low..high."""
        inside = (self.lags >= low) & (self.lags <= high)
        return Curve(np.where(inside, self.r, EXCLUDED), self.overlap, self.couples, self.alternatives)

    @property
    def strength(self) -> Floats:
        """(2 * reach + 1,) r * sqrt(overlap): comparable between lags of different overlap; 0 where excluded."""
        return np.where(self.allowed, self.r * np.sqrt(np.maximum(self.overlap, 0)), 0.0)


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


def transform_length(length: int, reach: int) -> int:
    """Shortest fast length at which no lag within ±reach wraps around."""
    return next_fast_len(length + reach + 1, real=True)


def spectrum(features: Features, *, size: int, one_mask: bool, single: bool = False) -> Spectrum:
    """Transforms of one person's features.

    Args:
        features: the person's.
        size: length of the transform, see transform_length.
        one_mask: whether all persons of the scene have features that are known together. It then takes features + 2
            transforms instead of 3 * features.
        single: half the memory, for long recordings (float32).
    """
    kind = np.float32 if single else np.float64

    def transform(signal: NDArray[np.float32]) -> Complex:
        whole = np.zeros((signal.shape[1], size), kind)
        whole[:, features.begin : features.begin + len(signal)] = signal.T
        return np.asarray(rfft(whole, overwrite_x=True))

    values, mask = features.values, features.mask
    energy = np.square(values)
    if one_mask:
        energy = energy.sum(1, keepdims=True)
    else:
        mask = np.broadcast_to(mask, values.shape)
    return Spectrum(transform(values), transform(energy), transform(mask), np.asarray(mask.any(axis=0)), size)


def correlate(a: Spectrum, b: Spectrum, *, reach: int, min_overlap: float, centred: bool) -> Curve:
    """Masked normalised cross-correlation, all lags at once.

    r(L) = sum_t a[t + L] b[t] / sqrt(sum a[t + L]² · sum b[t]²), every sum over the instants and features that both
    have seen (Padfield, "Masked object registration in the Fourier domain", IEEE TIP 2012, here in one dimension
    and with one common scale for all features).

    Args:
        a: the earlier named person's spectrum.
        b: the other's, of the same size and kind.
        reach: largest lag in grid steps.
        min_overlap: grid steps, averaged over features, below which a lag is excluded.
        centred: subtract every feature's mean over each overlap: for short clips, at 2 * features more transforms.

    Returns:
        The curve of (a, b).
    """
    at = np.arange(-reach, reach + 1)

    def total(product: Complex) -> Floats:
        return np.asarray(irfft(product.sum(0), a.size)[at], dtype=np.float64)

    def each(product: Complex) -> Floats:
        return np.asarray(irfft(product, a.size)[:, at], dtype=np.float64)

    shared = int((a.known & b.known).sum())
    overlap = total(a.mask * b.mask.conj()) / max(shared, 1)
    product = total(a.values * b.values.conj())
    energy_a, energy_b = total(a.energy * b.mask.conj()), total(a.mask * b.energy.conj())
    if centred:
        count = np.maximum(each(a.mask * b.mask.conj()), 1)
        sum_a, sum_b = each(a.values * b.mask.conj()), each(a.mask * b.values.conj())
        product = product - (sum_a * sum_b / count).sum(0)
        energy_a = energy_a - (sum_a**2 / count).sum(0)
        energy_b = energy_b - (sum_b**2 / count).sum(0)
    # rounding leaves a little of nothing, in single precision about eps of all energy: an overlap without movement says
    # nothing
    floor = 1e-6 * np.maximum(overlap, 1)
    floor_a, floor_b = (floor + np.finfo(s.energy.dtype).eps * float(s.energy[:, 0].real.sum()) for s in (a, b))
    judged = (overlap >= max(min_overlap, 1.0)) & (energy_a > floor_a) & (energy_b > floor_b)
    r = np.full(len(at), EXCLUDED)
    r[judged] = np.clip(product[judged] / np.sqrt(energy_a[judged] * energy_b[judged]), -0.999999, 1)
    return Curve(r, np.maximum(overlap, 0))


def fraction_of_peak(before: float, top: float, after: float) -> float:
    """Where the parabola through three neighbouring values has its top, in (-0.5, 0.5) steps from the middle one."""
    bend = before - 2 * top + after
    return 0.5 * (before - after) / bend if bend < 0 and top >= max(before, after) else 0.0


def noise(far: Floats, *, rate: float, prior: float = PRIOR_NOISE) -> float:
    """Standard deviation of the strength of strangers, from the lags away from a peak and a prior.

    Args:
        far: strengths at those lags; few of them, in a short clip, and then the prior decides.
        rate: grid steps per second.
        prior: the standard deviation that is assumed before looking, sqrt(s).
    """
    independent = len(far) / (APART * rate)
    square = independent * float(far.var()) if len(far) else 0.0
    return float(np.sqrt((square + PRIOR_COUNT * prior**2 * rate) / (independent + PRIOR_COUNT)))


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
        fraction = fraction_of_peak(*curve.r[k - 1 : k + 2])
    strength = curve.strength
    far = curve.allowed & (np.abs(lags - lags[k]) > APART * rate)
    z = 0.0
    if far.sum() >= MIN_FAR_LAGS * rate / 30 and r[k] > 0:
        z = float(strength[k] / noise(strength[far], rate=rate))
    return Peak(float(lags[k] + fraction), float(r[k]), z, float(curve.overlap[k]) / curve.couples)
