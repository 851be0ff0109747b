"""Who is who: distances between poses, and the best one-to-one assignment below a limit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pose_distance(a: NDArray[np.float64], b: NDArray[np.float64], *, size: float) -> float:
    """The median distance of corresponding points, as a fraction of a person's size.

    The median holds when one pose has a wrong arm or leg, as it often has where people touch.

    Args:
        a: (n, 2) pixels.
        b: (n, 2) pixels.
        size: pixels.
    """
    return float(np.median(np.hypot(*(a - b).T)) / size)


def assign(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The one-to-one assignment with most pairs, and among those the lowest sum of costs (Kuhn-Munkres).

    Args:
        costs: (rows, columns); inf forbids a pair.

    Returns:
        (row, column) of every pair, by row.
    """
    allowed = np.isfinite(costs)
    if not allowed.any():
        return []
    if min(costs.shape) == 1:
        row, column = np.unravel_index(costs.argmin(), costs.shape)
        return [(int(row), int(column))]
    from scipy.optimize import linear_sum_assignment  # here, since it takes 0.4 s and one person does not need it

    forbidden = 1.0 + 2.0 * min(costs.shape) * float(np.abs(costs[allowed]).max())  # worse than all allowed ones
    rows, columns = linear_sum_assignment(np.where(allowed, costs, forbidden))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if allowed[r, c]]
