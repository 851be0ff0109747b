"""What evidence other than motion says about the offset of two videos, in one form for every kind."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Clue:
    """One measurement of an offset, and how well every other offset would have done.

    Attributes:
        kind: "audio" or "calibration".
        a: first video.
        b: second video.
        offset: start_time[b] - start_time[a] in seconds, at the moment `moment`: what happens at PTS t of a happens at
            PTS t - offset of b.
        deviation: standard deviation of offset, seconds, systematic errors included.
        z: how far the match stands out of the noise at other offsets, in standard deviations; 5 is sure.
        moment: PTS of a, seconds, at which offset holds: the middle of what both recorded.
        overlap: seconds of what both recorded that it rests on.
        offsets: (lags,) seconds, ascending, evenly spaced by one step of the grid on which videos are compared.
        score: (lags,) float32 evidence at each offset in units of its own noise, not negative; 0 where nothing is
            said. Where the measurement is finer than the grid, the highest within the step.
        rate: seconds of a's clock that pass in one second of b's; None where the recordings do not tell.
        rate_deviation: standard deviation of rate; None like it.
    """

    kind: str
    a: str
    b: str
    offset: float
    deviation: float
    z: float
    moment: float
    overlap: float
    offsets: NDArray[np.float64]
    score: NDArray[np.float32]
    rate: float | None = None
    rate_deviation: float | None = None

    def turned(self) -> Clue:
        """The same, told of (b, a)."""
        return replace(
            self,
            a=self.b,
            b=self.a,
            offset=-self.offset,
            moment=self.moment - self.offset,
            offsets=-self.offsets[::-1],
            score=self.score[::-1],
            rate=None if self.rate is None else 1 / self.rate,
        )
