"""On which frames people are looked for anew."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

FAST = 0.5
"""Movement since the last key frame, in body sizes, that calls for the next one. By hand, not tuned."""

SOONER = 5
"""How many times shorter the step is where people move fast or touch."""

FIRST_RETRY = 1 / 15
"""Seconds before the first attempt to find somebody who was lost; the pause doubles up to the regular one. By hand."""

RATE = 60.0
"""Frames per second at which a step of so many frames takes no longer than it was meant to: that of the recordings
for which it was chosen."""


@dataclass
class KeyFrames:
    """Decides frame by frame.

    The step is a number of frames, since it says what detection may cost: of any so many frames, one. But with five
    frames in a second 50 would take ten, in which people come and go unseen. So the pause is never longer than what the
    step takes at RATE. All else is in seconds, and happens on the frame that is nearest to the time when it is due.

    Attributes:
        step: the longest pause between two key frames, in frames.
    """

    step: int
    _frames: int | None = field(default=None, init=False)  # since the last key frame
    _key: float = field(default=0.0, init=False)  # its PTS
    _before: float = field(default=0.0, init=False)  # PTS of the frame before
    _retry: float = field(default=FIRST_RETRY, init=False)
    _missing: frozenset[int] = field(default=frozenset(), init=False)

    @property
    def pause(self) -> float:
        """The longest between two key frames, in seconds."""
        return self.step / RATE

    def due(self, seconds: float, *, movement: float, touching: bool, missing: Set[int]) -> bool:
        """Whether the next frame is a key frame; to be asked once for every frame.

        Args:
            seconds: its PTS.
            movement: how far anybody has moved since the last key frame, in body sizes.
            touching: whether the boxes of two people overlap, so that one might be taken for the other.
            missing: numbers of those who were there a moment ago and are not being seen. Who is new among them
                is looked for soon, however long others have been missing.
        """
        first = self._frames is None
        if first:
            self._key = self._before = seconds
        self._frames = 0 if self._frames is None else self._frames + 1
        since = seconds - self._key + (seconds - self._before) / 2  # the next frame would be half an interval too late
        self._before = seconds
        if missing - self._missing:
            self._retry = min(FIRST_RETRY, self.pause)
        self._missing = frozenset(missing)
        regular = self._frames >= self.step or since >= self.pause
        lively = (movement >= FAST or touching) and since >= self.pause / SOONER
        retry = bool(missing) and since >= self._retry
        if not (first or regular or lively or retry):
            return False
        if retry:
            self._retry = min(2 * self._retry, self.pause)
        self._frames, self._key = 0, seconds
        return True
