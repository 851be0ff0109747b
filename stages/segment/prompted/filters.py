"""Which masks cannot be of what was asked for: the rules that the original's author arrived at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Plausible:
    """What a mask and a track must be like; the three figures are those of the original's later version.

    Attributes:
        largest: fraction of the frame that an instance fills at most: more is background.
        emptiest: fraction of its box that it fills at least: less is crumbs.
        shortest: frames in which an instance must have been in view to be published.
    """

    largest: float = 0.8
    emptiest: float = 0.1
    shortest: int = 3

    def masks(self, areas: NDArray[np.float32], fills: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which of n masks show something that can be an instance.

        Args:
            areas: (n,) fractions of the frame.
            fills: (n,) fractions of their boxes.
        """
        plausible: NDArray[np.bool_] = (areas > 0) & (areas <= self.largest) & (fills >= self.emptiest)
        return plausible
