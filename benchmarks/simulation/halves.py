"""Two halves of the made-up world that share no style of movement: one to tune on, the other to report on.

Every parameter of style (how fast somebody walks, how far an arm reaches, how deep a crouch is) has a range of eight
equal bins. A half knows four of them: the zeros or the ones of the Prouhet-Thue-Morse sequence 0 1 1 0 1 0 0 1. Sums of
powers up to the second are equal in its two classes, so the halves agree in mean and variance of every parameter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Half = Literal["tune", "report"]

BINS: Mapping[str, NDArray[np.int64]] = {"tune": np.array([0, 3, 5, 6]), "report": np.array([1, 2, 4, 7])}
ALL_BINS = 8


@dataclass(frozen=True)
class Dice:
    """Where all randomness of one performer comes from.

    Attributes:
        generator: for what is chance rather than style: which side, when, which way.
        half: the half whose styles may come up; None: all of them.
    """

    generator: np.random.Generator
    half: Half | None = None

    def style(self, low: float, high: float) -> float:
        """A parameter of style within the range."""
        return float(self.styles(np.array([low]), np.array([high]))[0])

    def styles(self, low: Floats, high: Floats) -> Floats:
        """Parameters of style, each within its range: arrays of one shape."""
        share = self.generator.random(low.shape)
        if self.half is not None:
            bins = BINS[self.half]
            place = share * len(bins)
            number = place.astype(np.int64)
            share = (bins[number] + place - number) / ALL_BINS
        return low + (high - low) * share
