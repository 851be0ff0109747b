"""On which frames the detector looks: decided ahead, since between two looks the device is not asked anything."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field

LOOKS = (4, 8, 14)
"""Frames after its first detection at which an instance that is not believed yet is looked for again. Long enough that
a detector's chance hit has passed, and the last one so early that the frames before the first are still held back."""

SUPPORTS = 2
"""Detections, of the first and those LOOKS, that make an instance believed if they are SURE, else one more. With 20 %
missed at random, 99.2 % of those who are there pass; chance hits at one place are rare, and hardly ever sure."""

SURE = 0.5
"""Mean score of detections that are sure; a detector's own threshold is lower. By hand."""

FIRST_RETRY = 4
"""Frames before the first attempt to find somebody who is missing; the pause doubles up to the regular step."""

CHECK = 50
"""Frames after which the masks are looked at even if the detector is not due: what they show is held back no longer."""

CURIOUS = 8
"""The same while somebody is about to be published of whom more should be known; every look stops the device for some
10 ms."""


@dataclass
class Looks:
    """Decides, at every look, when the next one is.

    Attributes:
        step: the longest pause between two detections, in frames.
    """

    step: int
    _next_detection: int = field(default=0, init=False)
    _next_check: int = field(default=0, init=False)
    _retry: int = field(default=FIRST_RETRY, init=False)
    _missing: frozenset[int] = field(default=frozenset(), init=False)

    def detection_due(self, frame: int) -> bool:
        """Whether a frame is to be shown to the detector."""
        return frame >= self._next_detection

    def check_due(self, frame: int) -> bool:
        """Whether the masks up to a frame are to be looked at; so it is whenever a detection is due."""
        return frame >= min(self._next_check, self._next_detection)

    def checked(self, frame: int, *, curious: bool) -> None:
        """The masks up to this frame have been looked at, without the detector.

        Args:
            frame: this.
            curious: whether more should be known soon of what somebody looks like.
        """
        self._next_check = frame + (CURIOUS if curious else CHECK)

    def detected(
        self, frame: int, *, doubted: Iterable[int], missing: Set[int], unsettled: bool, curious: bool
    ) -> None:
        """The detector has looked at this frame.

        Args:
            frame: this.
            doubted: the frames of the first detection of all who are not believed yet.
            missing: who was there a moment ago and is not in view. For whoever is new among them is looked soon,
                however long others have been missing.
            unsettled: whether two instances have just been taken apart or for each other.
            curious: as for `checked`.
        """
        pauses = [self.step]
        for first in doubted:
            pauses += [first + look - frame for look in LOOKS if first + look > frame]
        if missing - self._missing:
            self._retry = FIRST_RETRY
        if missing:
            pauses.append(self._retry)
            self._retry = min(2 * self._retry, self.step)
        self._missing = frozenset(missing)
        if unsettled:
            pauses.append(FIRST_RETRY)
        self._next_detection = frame + max(1, min(pauses))
        self.checked(frame, curious=curious)
