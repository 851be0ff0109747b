"""Weighted dynamic time warping of 3D joints, compiled: the peer of the cost figures.

The method of stages/sync/dtw.py as a textbook writes it, frame by frame, compiled by numba (BSD-2): single precision,
joints along memory so that the inner loops become vector instructions, one row of totals, one byte per cell for the way
back. In CPU seconds, for 70 joints at T = 3000 and 10,000, it takes 0.38 and 5.2. In the study behind the promises
compiled warpings (numba, tslearn, dtw-python, librosa) took 0.33-0.60 and 5.1, of 19 to 21 joints.

It is not the fastest possible: with the costs computed for blocks of 16 x 256 frames, which stay in the processor's
first cache, the same took 0.20 and 2.7. Nor the slowest: tslearn 0.10 took 1.15 and 13, on the 210 coordinates.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]

DESCRIPTION = "numba, frame by frame"  # for the row that compares with it


def available() -> bool:
    """Whether numba is installed; it is needed by the benchmark alone."""
    return importlib.util.find_spec("numba") is not None


def compiled_lag(a: Singles, b: Singles, weights_a: Singles, weights_b: Singles) -> int:
    """The lag L that occurs most often on the cheapest path: frame k of b shows what frame k + L of a shows.

    Args:
        a: (n, joints, 3) finite metres.
        b: (m, joints, 3) finite metres.
        weights_a: (n, joints) in [0, 1].
        weights_b: (m, joints) in [0, 1].

    Raises:
        ModuleNotFoundError: numba is not installed.
    """
    a, b = (np.ascontiguousarray(x.transpose(1, 2, 0), dtype=np.float32) for x in (a, b))
    weights_a, weights_b = (np.ascontiguousarray(w.T, dtype=np.float32) for w in (weights_a, weights_b))
    lags = _compiled()(a, b, weights_a, weights_b)
    values, counts = np.unique(lags, return_counts=True)
    return int(values[counts.argmax()])


def warm_up() -> None:
    """Compiles, which takes seconds and is not part of any figure."""
    few = np.zeros((3, 2, 3), np.float32)
    compiled_lag(few, few, np.ones((3, 2), np.float32), np.ones((3, 2), np.float32))


@cache
def _compiled() -> Callable[[Singles, Singles, Singles, Singles], NDArray[np.int32]]:
    numba: Any = importlib.import_module("numba")
    compiled: Callable[[Singles, Singles, Singles, Singles], NDArray[np.int32]]
    compiled = numba.njit(fastmath=True)(_lags_on_path)
    return compiled


def _lags_on_path(a: Singles, b: Singles, weights_a: Singles, weights_b: Singles) -> NDArray[np.int32]:
    """(steps,) i - j along the path, from the end; a and b (joints, 3, frames), weights (joints, frames).

    Written for numba: plain loops, the innermost ones without branches, so that they become vector instructions.
    """
    joints, n, m = a.shape[0], a.shape[2], b.shape[2]
    from_left, from_above = np.uint8(1), np.uint8(2)
    step = np.empty((n, m), np.uint8)
    totals, cost, weight = np.empty(m, np.float32), np.empty(m, np.float32), np.empty(m, np.float32)
    for i in range(n):
        cost[:] = 0
        weight[:] = np.float32(1e-8)
        for k in range(joints):
            ax, ay, az, aw = a[k, 0, i], a[k, 1, i], a[k, 2, i], weights_a[k, i]
            x, y, z, w = b[k, 0], b[k, 1], b[k, 2], weights_b[k]
            for j in range(m):
                dx, dy, dz, both = ax - x[j], ay - y[j], az - z[j], aw * w[j]
                cost[j] += both * np.sqrt(dx * dx + dy * dy + dz * dz)
                weight[j] += both
        for j in range(m):
            mean = cost[j] / weight[j]
            cost[j] = mean * mean
        if i == 0:
            totals[0] = cost[0]
            for j in range(1, m):
                totals[j] = totals[j - 1] + cost[j]
                step[0, j] = from_left
            continue
        corner = totals[0]
        left = corner + cost[0]
        totals[0], step[i, 0] = left, from_above
        for j in range(1, m):
            best, how = corner, np.uint8(0)
            corner = totals[j]
            if corner < best:
                best, how = corner, from_above
            if left < best:
                best, how = left, from_left
            left = best + cost[j]
            totals[j], step[i, j] = left, how
    lags = np.empty(n + m, np.int32)
    i, j, count = n - 1, m - 1, 1
    lags[0] = i - j
    while i > 0 or j > 0:
        how = step[i, j]
        if how != from_left:
            i -= 1
        if how != from_above:
            j -= 1
        lags[count] = i - j
        count += 1
    return lags[:count]
