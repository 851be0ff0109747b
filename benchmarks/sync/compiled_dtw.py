"""Weighted dynamic time warping of 3D joints as fast as one thread can: the peer of the cost figures.

The same method as stages/sync/dtw.py, compiled by numba (BSD-2): costs of a block of frames at a time in single
precision from data that stays in the processor's first cache, the totals row by row, one byte per cell for the way
back. It is the fastest of those tried, in CPU seconds for 70 joints at T = 3000 and 10,000: this one 0.20 and 2.7; the
same loops frame by frame, without blocks, 0.38 and 5.2; tslearn 0.10 (BSD-2, on the 210 coordinates) 1.15 and 13.
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

ROWS, COLUMNS = 16, 256  # of the block whose costs are computed at once: 16 kB, and 4 kB for each joint


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
    step = np.zeros((n, m), np.uint8)
    totals = np.empty(m, np.float32)
    cost = np.empty((ROWS, m), np.float32)
    part, weight = np.empty((ROWS, COLUMNS), np.float32), np.empty((ROWS, COLUMNS), np.float32)
    for first in range(0, n, ROWS):
        rows = min(ROWS, n - first)
        for begin in range(0, m, COLUMNS):
            columns = min(COLUMNS, m - begin)
            part[:] = 0
            weight[:] = np.float32(1e-8)
            for k in range(joints):
                end = begin + columns
                x, y, z, w = b[k, 0, begin:end], b[k, 1, begin:end], b[k, 2, begin:end], weights_b[k, begin:end]
                for r in range(rows):
                    ax, ay, az, aw = a[k, 0, first + r], a[k, 1, first + r], a[k, 2, first + r], weights_a[k, first + r]
                    of_row, weight_of_row = part[r], weight[r]
                    for j in range(columns):
                        dx, dy, dz, both = ax - x[j], ay - y[j], az - z[j], aw * w[j]
                        of_row[j] += both * np.sqrt(dx * dx + dy * dy + dz * dz)
                        weight_of_row[j] += both
            for r in range(rows):
                for j in range(columns):
                    mean = part[r, j] / weight[r, j]
                    cost[r, begin + j] = mean * mean
        for r in range(rows):
            i = first + r
            if i == 0:
                totals[0] = cost[0, 0]
                for j in range(1, m):
                    totals[j] = totals[j - 1] + cost[0, j]
                    step[0, j] = from_left
                continue
            corner = totals[0]
            left = corner + cost[r, 0]
            totals[0] = left
            step[i, 0] = from_above
            for j in range(1, m):
                best, how = corner, np.uint8(0)
                corner = totals[j]
                if corner < best:
                    best, how = corner, from_above
                if left < best:
                    best, how = left, from_left
                left = best + cost[r, j]
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
