"""How late one microphone heard what another did, to a tenth of a millisecond, window by window along a line.

Generalised cross-correlation with the phase transform (GCC-PHAT; Knapp and Carter, IEEE Trans. ASSP 24(4), 1976): the
cross-spectrum keeps its phase and loses its magnitude, so that a resonance or a hum counts no more than any other
frequency and the peak is as sharp as the band is wide. Only the direct sound is alike at two places of a room: in a
window it stands out where the source is near or the room is dead, and most windows say nothing. Those that do agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.stats import norm, poisson

from common.artifacts.sound import Sound
from stages.sync.hearing import HOP, Heard

WINDOW = 0.5  # s: of 0.25 to 2 s, the length with most windows that stand out in simulated rooms; nobody gets far in it
REACH = 0.04  # s around the line: the search is good to 0.01, and sources at 5 m move the delay by 0.015
LOWEST, HIGHEST = 250.0, 5000.0  # Hz, where microphones of cameras and their codecs agree
HEARD_SHARE = 0.9  # of a window that both must have heard
STANDS_OUT = 5.5  # height of a peak in units of its window's noise; 2 of 8700 windows of strangers reached it
ACCIDENT = 0.002  # share of the windows of a wrong line that stand out; nine times what was measured
TOGETHER = 0.02  # s: sources on the two sides of a room differ by so much
CERTAIN = 8.0  # z that is claimed at most: a model of chance is not to be trusted further
BATCH = 64  # windows at once, to hold memory down

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Delays:
    """The windows in which something common stands out.

    Attributes:
        times: (w,) PTS of a, seconds, middles of the windows.
        offsets: (w,) seconds.
        agreeing: number of windows that agree to within TOGETHER.
        z: how little chance there is that so many do by accident, as a normal deviate, at most CERTAIN.
    """

    times: Floats
    offsets: Floats
    agreeing: int
    z: float


def delays(a: Heard, b: Heard, *, offset: float, slope: float, moment: float, most: int) -> Delays:
    """Offsets in windows of two recordings around the line offset + slope * (t - moment).

    Args:
        a: first recording.
        b: second recording, of the same sample rate.
        offset: seconds, at `moment`.
        slope: of the offset, seconds per second of a.
        moment: PTS of a.
        most: windows to look at, spread evenly over what both heard.
    """
    rate = a.sound.rate
    reach, length = round(REACH * rate), round(WINDOW * rate)
    size = next_fast_len(length + 2 * reach, real=True)
    frequency = np.arange(size // 2 + 1) * rate / size
    band = (frequency >= LOWEST) & (frequency <= HIGHEST)
    taper = np.hanning(length).astype(np.float32)
    inner = (np.arange(length) - length / 2) / rate
    outer = (np.arange(length + 2 * reach) - length / 2 - reach) / rate
    times = _windows(a, b, offset=offset, slope=slope, moment=moment, most=most)
    extra, height = np.zeros(len(times)), np.zeros(len(times))
    for begin in range(0, len(times), BATCH):
        rows = slice(begin, begin + BATCH)
        middle = times[rows, None]
        line = offset + slope * (middle + outer - moment)
        mine = rfft(_read(a.sound, middle + inner) * taper, size, axis=1)
        cross = np.conj(mine) * rfft(_read(b.sound, middle + outer - line), size, axis=1)
        cross *= band / np.maximum(np.abs(cross), 1e-12)
        # at shift m of b's window its sound is reach - m samples earlier than on the line: the offset is larger by that
        curve = irfft(cross, size, axis=1)[:, 2 * reach :: -1]
        top = curve.argmax(axis=1)
        extra[rows] = (top - reach) / rate
        height[rows] = curve.max(axis=1) / np.maximum(1.4826 * np.median(np.abs(curve), axis=1), 1e-12)
    good = height >= STANDS_OUT
    offsets = (offset + slope * (times - moment) + extra)[good]
    ordered = np.sort(extra[good])
    counts = np.searchsorted(ordered, ordered + TOGETHER, side="right") - np.arange(len(ordered))
    agreeing = int(counts.max(initial=0))
    # neighbouring windows share half of what they hear, so two are worth one
    chance = poisson.sf(agreeing / 2 - 1e-9, max(len(times) * ACCIDENT, 1e-3)) if agreeing else 1.0
    z = max(0.0, float(norm.isf(max(float(chance), norm.sf(CERTAIN)))))
    return Delays(times[good], offsets, agreeing, z)


def _windows(a: Heard, b: Heard, *, offset: float, slope: float, moment: float, most: int) -> Floats:
    """Middles, seconds of a, of the windows that both heard."""
    times = np.arange(a.sound.start + WINDOW / 2, a.sound.end - WINDOW / 2, WINDOW / 2)
    others = times - offset - slope * (times - moment)
    heard = np.minimum(_share(a, times, WINDOW), _share(b, others, WINDOW + 2 * REACH)) >= HEARD_SHARE
    times = times[heard]
    if len(times) > most:
        times = times[np.round(np.linspace(0, len(times) - 1, most)).astype(int)]
    return times


def _share(heard: Heard, middles: Floats, length: float) -> Floats:
    """(w,) share of the windows that was heard."""
    total = np.concatenate([[0], np.cumsum(heard.known)])
    edges = [np.round((middles + side * length / 2 - heard.start) / HOP) for side in (-1, 1)]
    low, high = (np.clip(edge, 0, len(heard.known)).astype(int) for edge in edges)
    return np.asarray((total[high] - total[low]) * HOP / length)


def _read(sound: Sound, times: Floats) -> NDArray[np.float32]:
    """Samples between samples, linearly: at HIGHEST of 16 kHz that costs 3 dB, and the images stay 13 dB below."""
    position = (times - sound.start) * sound.rate
    whole = np.floor(position).astype(np.int64)
    inside = (whole >= 0) & (whole < len(sound.samples) - 1)
    whole = np.clip(whole, 0, max(0, len(sound.samples) - 2))
    part = (position - whole).astype(np.float32)
    pair = sound.samples[whole].astype(np.float32), sound.samples[whole + 1].astype(np.float32)
    return np.where(inside, pair[0] + part * (pair[1] - pair[0]), np.float32(0))
