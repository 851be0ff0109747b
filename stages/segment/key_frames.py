"""On which frames people are looked for anew."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

FAST = 0.5
"""Movement since the last key frame, in body sizes, that calls for the next one. By hand, not tuned."""

SOONER = 5
"""How many times shorter the step is where people move fast or touch."""

FIRST_RETRY = 4
"""Frames before the first attempt to find somebody who was lost; the pause doubles up to the regular step."""


@dataclass
class KeyFrames:
    """Decides frame by frame.

    Attributes:
        step: the longest pause between two key frames, in frames.
    """

    step: int
    _since: int | None = field(default=None, init=False)
    _retry: int = field(default=FIRST_RETRY, init=False)
    _missing: frozenset[int] = field(default=frozenset(), init=False)

    def due(self, *, movement: float, touching: bool, missing: Set[int]) -> bool:
        """Whether the next frame is a key frame; to be asked once for every frame.

        Args:
            movement: how far anybody has moved since the last key frame, in body sizes.
            touching: whether the boxes of two people overlap, so that one might be taken for the other.
            missing: numbers of those who were there a moment ago and are not being seen. Who is new among them
                is looked for soon, however long others have been missing.
        """
        first = self._since is None
        self._since = 0 if self._since is None else self._since + 1
        if missing - self._missing:
            self._retry = min(FIRST_RETRY, self.step)
        self._missing = frozenset(missing)
        sooner = max(1, self.step // SOONER)
        lively = (movement >= FAST or touching) and self._since >= sooner
        retry = bool(missing) and self._since >= self._retry
        if not (first or self._since >= self.step or lively or retry):
            return False
        if retry:
            self._retry = min(2 * self._retry, self.step)
        self._since = 0
        return True
