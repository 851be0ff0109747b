"""What a microphone heard, as the rise and fall of loudness in bands of pitch: what two places of a room share.

Waveforms of two microphones differ by the room's reflections; loudness against time hardly does, and a clock that is
off by 1000 ppm smears it by a hundredth of a second only after ten. So the search over all offsets is done on this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.ndimage import uniform_filter1d

from common.artifacts.sound import Sound

HOP = 0.01  # s between values
WINDOW = 0.032  # s that a value looks at; a usual choice for speech
BANDS = 16
LOWEST, HIGHEST = 200.0, 7000.0  # Hz: above mains hum and its first harmonics; codecs of phones end about there
TREND = 0.5  # s of loudness that is taken as the background: rooms and gain control change slower
LIMIT = 3.0  # of a value, in units of its spread: one clap shall not speak for a whole recording
SILENT = 4  # counts of int16 from crest to trough: muted microphones give zeros, or the last bit
CHUNK = 3000  # values that are made at once, to hold memory down

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Heard:
    """A sound and its loudness.

    Attributes:
        sound: the samples.
        bands: (BANDS, n) float32 loudness less its background, in units of its spread; 0 where not known.
        known: (n,) bool: whether there was sound at all, and no gap.
        start: PTS that the first value is about, seconds.
    """

    sound: Sound
    bands: Floats
    known: NDArray[np.bool_]
    start: float

    @property
    def times(self) -> NDArray[np.float64]:
        """(n,) PTS of the values, seconds."""
        return np.asarray(self.start + HOP * np.arange(len(self.known)), np.float64)


def hear(sound: Sound) -> Heard:
    """Loudness of a recording against time, for comparisons with others."""
    window = round(WINDOW * sound.rate)
    # a hop need not be a whole number of samples: at 11025 Hz 110 instead of 110.25 would be a clock 2000 ppm off
    first = np.round(np.arange(len(sound.samples) / (HOP * sound.rate)) * HOP * sound.rate).astype(np.int64)
    first = first[first + window <= len(sound.samples)]
    count = len(first)
    bands = np.zeros((BANDS, count), np.float32)
    known = np.zeros(count, np.bool_)
    weights = _band_weights(window, sound.rate)
    taper = np.hanning(window).astype(np.float32)
    for begin in range(0, count, CHUNK):
        end = min(count, begin + CHUNK)
        frames = np.lib.stride_tricks.sliding_window_view(sound.samples, window)[first[begin:end]]
        known[begin:end] = frames.max(axis=1).astype(np.int32) - frames.min(axis=1) >= SILENT
        power = np.square(np.abs(rfft(frames * taper, axis=1)))
        bands[:, begin:end] = np.log(weights @ power.T + window)  # the last bit's noise, about
    for gap, end in sound.gaps:
        known[np.searchsorted(first, gap - window, side="right") : np.searchsorted(first, end)] = False
    return Heard(sound, _whitened(bands, known), known, sound.start + window / 2 / sound.rate)


def _band_weights(window: int, rate: int) -> Floats:
    """(BANDS, frequencies) 0 or 1: bands of equal width on a logarithmic scale, each of one bin at least."""
    frequency = np.arange(window // 2 + 1) * rate / window
    edges = np.geomspace(LOWEST, min(HIGHEST, 0.45 * rate), BANDS + 1)
    chosen = np.searchsorted(edges, frequency, side="right") - 1
    return np.asarray(chosen == np.arange(BANDS)[:, None], np.float32)


def _whitened(bands: Floats, known: NDArray[np.bool_]) -> Floats:
    """Loudness less its mean over TREND, over its spread, limited; the means are over what is known."""
    length = max(1, round(TREND / HOP))
    mask = known.astype(np.float32)
    share = np.maximum(uniform_filter1d(mask, length, mode="constant"), 1e-3)
    result = np.zeros_like(bands)
    for band, values in enumerate(bands):
        background = uniform_filter1d(values * mask, length, mode="constant") / share
        rest = (values - background) * mask
        spread = np.sqrt(np.square(rest).sum() / max(1.0, float(mask.sum())))
        result[band] = np.clip(rest / max(float(spread), 1e-3), -LIMIT, LIMIT)
    return result
