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
    forbidden = 1.0 + 2.0 * min(costs.shape) * float(np.abs(costs[allowed]).max())  # worse than all allowed ones
    filled = np.where(allowed, costs, forbidden)
    if costs.shape[0] <= costs.shape[1]:
        pairs = list(enumerate(_lowest_sum(filled)))
    else:
        pairs = sorted((row, column) for column, row in enumerate(_lowest_sum(filled.T)))
    return [(row, column) for row, column in pairs if allowed[row, column]]


def _lowest_sum(costs: NDArray[np.float64]) -> list[int]:
    """The column of every row, each used once, such that the sum of costs is the lowest.

    Shortest augmenting paths with potentials (Jonker and Volgenant 1987, Computing 38, 325-340). SciPy has the same;
    for a handful of people it would cost 0.4 s of import in every process, and its size in the image.

    Args:
        costs: (rows, columns), finite, not more rows than columns.
    """
    rows, columns = costs.shape
    free = rows  # stands for "no row" among the owners
    of_rows, of_columns = np.zeros(rows + 1), np.zeros(columns + 1)  # potentials; the last column is the path's start
    owner = np.full(columns + 1, free)
    for row in range(rows):
        owner[-1], here = row, columns
        slack, before = np.full(columns, np.inf), np.full(columns, columns)
        seen = np.zeros(columns + 1, dtype=bool)
        while owner[here] != free:
            seen[here] = True
            reduced = costs[owner[here]] - of_rows[owner[here]] - of_columns[:-1]
            nearer = ~seen[:-1] & (reduced < slack)
            slack[nearer], before[nearer] = reduced[nearer], here
            following = int(np.argmin(np.where(seen[:-1], np.inf, slack)))
            step = slack[following]
            of_rows[owner[seen]] += step
            of_columns[seen] -= step
            slack[~seen[:-1]] -= step
            here = following
        while here != columns:  # the path is found: every row on it moves one column on
            owner[here], here = owner[before[here]], int(before[here])
    assigned = {int(row): column for column, row in enumerate(owner[:-1]) if row != free}
    return [assigned[row] for row in range(rows)]
