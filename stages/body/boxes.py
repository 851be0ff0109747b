"""Whose boxes are large enough for a model to recognise somebody in them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALL = "box under 10 px"
"""Why there is no body in a box that is not large enough."""

_SMALLEST_PX = 10  # of either side, as in the original ghost


def large_enough(boxes: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Which boxes are at least 10 px wide and high.

    Args:
        boxes: (n, 4) first and last pixels x1, y1, x2, y2.

    Returns:
        (n,).
    """
    return np.asarray((boxes[:, 2:] - boxes[:, :2] + 1 >= _SMALLEST_PX).all(axis=1))
