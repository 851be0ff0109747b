"""Time stamps of frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

JITTER = 0.3  # largest change of an interval, as a share of it; telephones in changing light (chosen by hand)
DROPPED = 0.03  # share of frames that a busy camera leaves out


def even_times(seconds: float, rate: float) -> Floats:
    """(frames,) seconds from 0 at a constant rate in frames per second."""
    return np.arange(int(seconds * rate + 1e-9)) / rate


def uneven_times(seconds: float, rate: float, generator: np.random.Generator) -> Floats:
    """(frames,) seconds from 0 of a variable frame rate: no two intervals alike, and here and there a frame missing."""
    frames = int(seconds * rate + 1e-9)
    intervals = generator.uniform(1 - JITTER, 1 + JITTER, frames) / rate
    times: Floats = np.cumsum(intervals) - intervals[0]
    kept = generator.random(frames) >= DROPPED
    kept[:1] = True
    return np.asarray(times[kept])
