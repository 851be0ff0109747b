"""Dynamic time warping of two pose sequences: what every two frames differ by, and the cheapest way through.

The core of the method that dtw.py offers for comparison. A path may stretch time, which cameras do not do, so its
offsets are worse than those of one rigid lag (pairwise.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Indices = NDArray[np.int64]

_CELLS_AT_ONCE = 1 << 15  # float32 costs of 128 kB, which stay in the cache: with 1 MB it takes 3 to 5 times as long


def costs(a: Floats, b: Floats, weights_a: Floats, weights_b: Floats) -> Singles:
    """What every frame of a differs from every frame of b by: the squared weighted mean distance of their joints.

    cost(i, j) = (sum_k w |a[i, k] - b[j, k]| / sum_k w)² with w = weights_a[i, k] * weights_b[j, k].

    Args:
        a: (n, joints, 3) metres; anything where the weight is 0.
        b: (m, joints, 3) likewise, in the same axes.
        weights_a: (n, joints) in [0, 1], 0 where a joint was not seen.
        weights_b: (m, joints) likewise.

    Returns:
        (n, m) square metres, to 1e-6 for bodies of human size near the origin. Two frames that show no joint in
        common cost as much as the worst two that do: what is cheap attracts the path. All NaN if no two frames do.
    """
    shown = (weights_a > 0).any(0) & (weights_b > 0).any(0)
    weights_a, weights_b = weights_a[:, shown], weights_b[:, shown]
    left = _terms(a[:, shown], weights_a, flip=False)
    right = np.ascontiguousarray(_terms(b[:, shown], weights_b, flip=True).transpose(0, 2, 1))
    out = np.empty((len(a), len(b)), np.float32)
    rows = max(1, _CELLS_AT_ONCE // max(1, len(b)))
    one_joint = np.empty((rows, len(b)), np.float32)
    weights_a, weights_b = weights_a.astype(np.float32), weights_b.T.astype(np.float32)
    for first in range(0, len(a), rows):
        total = out[first : first + rows]
        distance = one_joint[: len(total)]
        total[:] = 0
        for of_a, of_b in zip(left, right, strict=True):
            np.matmul(of_a[first : first + rows], of_b, out=distance)
            total += np.sqrt(np.maximum(distance, 0, out=distance), out=distance)
        weight = weights_a[first : first + rows] @ weights_b
        total /= np.where(weight > 0, weight, np.nan)
        np.square(total, out=total)
    unknown = np.isnan(out)
    if unknown.any() and not unknown.all():
        out[unknown] = np.nanmax(out)
    return out


def _terms(points: Floats, weights: Floats, *, flip: bool) -> Singles:
    """(joints, frames, 5) so that the product with the flipped terms of b is w² |a - b|² = w² (|a|² - 2 ab + |b|²)."""
    points = np.where(weights[..., None] > 0, points, 0)
    square = np.square(points).sum(-1, keepdims=True)
    one = np.ones_like(square)
    parts = [-2 * points, one, square] if flip else [points, square, one]
    terms = np.concatenate(parts, axis=-1) * np.square(weights)[..., None]
    return np.ascontiguousarray(terms.transpose(1, 0, 2), dtype=np.float32)


def cheapest_path(costs: Singles) -> tuple[Indices, Indices]:
    """The corner-to-corner path of least total cost, with steps (1, 1), (1, 0) and (0, 1); ties go to (1, 1).

    Row by row instead of cell by cell: with S the running sum of a row's costs and E(j) the least total with which
    the path can enter the row at j, less S(j - 1), the totals of the row are S(j) + min over k <= j of E(k).

    Args:
        costs: (n, m) finite, not negative, n and m at least 1.

    Returns:
        Rows and columns (steps,) of the path, from (0, 0) to (n - 1, m - 1). Takes 2 bytes per cell.
    """
    n, m = costs.shape
    from_left, from_above = np.zeros((n, m), np.bool_), np.zeros((n, m), np.bool_)
    from_left[0, 1:], from_above[:, 0] = True, True
    above = np.cumsum(costs[0], dtype=np.float64)
    entry = np.empty(m)
    for i in range(1, n):
        running = np.cumsum(costs[i], dtype=np.float64)
        np.less(above[1:], above[:-1], out=from_above[i, 1:])
        entry[0] = above[0]
        np.subtract(np.minimum(above[1:], above[:-1]), running[:-1], out=entry[1:])
        least = np.minimum.accumulate(entry)
        np.less(least, entry, out=from_left[i])
        above = least + running
    i, j = n - 1, m - 1
    rows, columns = [i], [j]
    while i or j:
        if from_left[i, j]:
            j -= 1
        else:
            j -= not from_above[i, j]
            i -= 1
        rows.append(i)
        columns.append(j)
    return np.array(rows[::-1]), np.array(columns[::-1])
