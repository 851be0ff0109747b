"""When each frame of a video is shown, on the video's own clock, and which frames stand on their own.

No decoder behind it: stages that read no video work with the table that `frames/` holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class TimeTable:
    """The frames of one video in the order in which they are shown; n of them, at least one.

    Attributes:
        pts: (n,) int64, increasing, in ticks of `time_base`. A start offset is kept.
        keyframe: (n,) bool, frames that are decoded without any other.
        corrupt: (n,) bool, frames whose packet the demuxer found incomplete.
        time_base: seconds per tick.
        truncated: the file ends before the frames that its container announces.
        declared: frames that the container announces; None if it does not.
    """

    pts: npt.NDArray[np.int64]
    keyframe: npt.NDArray[np.bool_]
    corrupt: npt.NDArray[np.bool_]
    time_base: Fraction
    truncated: bool = False
    declared: int | None = None

    def __len__(self) -> int:
        return len(self.pts)

    @cached_property
    def seconds(self) -> npt.NDArray[np.float64]:
        """(n,) time of each frame on the video's own clock: PTS times time base, not shifted."""
        ticks = self.pts.astype(np.float64)  # exact up to 2^53
        return ticks * self.time_base.numerator / self.time_base.denominator

    @property
    def rate(self) -> float:
        """Frames per second of the regular part: frames at the median distance. NaN for a single frame.

        The mean of the distances within a tick and a half (or 5 %) of the median, so that a clock of
        milliseconds does not turn 30 frames per second into 1/0.033.
        """
        if len(self) < 2:
            return float("nan")
        steps = np.diff(self.pts)
        median = float(np.median(steps))
        regular = np.abs(steps - median) <= max(1.5, 0.05 * median)
        return (
            float(1 / (steps[regular].mean() * self.time_base))
            if regular.any()
            else float(1 / (median * self.time_base))
        )

    def nearest(self, seconds: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Index of the frame that is nearest in time, the earlier one of two, for times of any shape.

        Raises:
            ValueError: a time is NaN.
        """
        times = np.asarray(seconds, np.float64)
        if np.isnan(times).any():
            raise ValueError("nearest: expected times in seconds, got NaN")
        after = np.searchsorted(self.seconds, times).clip(0, len(self) - 1)
        before = (after - 1).clip(0)
        return np.where(times - self.seconds[before] <= self.seconds[after] - times, before, after).astype(np.int64)

    def key_at_or_before(self, index: int) -> int:
        """Index of the last key frame at or before `index`; 0 if there is none."""
        keys = self._keys
        at = int(np.searchsorted(keys, index, side="right")) - 1
        return int(keys[at]) if at >= 0 else 0

    @cached_property
    def _keys(self) -> npt.NDArray[np.int64]:
        return np.flatnonzero(self.keyframe).astype(np.int64)
