"""From frames to everybody in them by SAM 3, as many frames later as it may still take somebody back."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages.segment.prompted.driver import MOST_IDS, FollowedFrame
from stages.segment.prompted.filters import Plausible
from stages.segment.prompted.mask_statistics import fetch, measure
from stages.segment.prompted.protocols import Outlines
from stages.segment.prompted.sam3_follower import Found, Sam3, Sam3Follower

if TYPE_CHECKING:
    from common.media.decode import Frame

MOST_ABSENT = 16
"""Objects out of view that are still looked for; of more, those that have been gone longest are given up. SAM 3 itself
gives up nobody, and each costs as much memory and time in every frame as if it were there. Chosen by hand."""

_LOG = logging.getLogger("ghost")


@dataclass(eq=False)
class _Track:
    """One object.

    Attributes:
        score: of the detection that it began with.
        class_name: the phrase that found it.
        last: the frame in which it was in view last, counted as they come.
        seen: frames in which it has a plausible mask.
        mistaken: whether it was taken back.
        id: as published, None before.
    """

    score: float
    class_name: str
    last: int
    seen: int = 0
    mistaken: bool = False
    id: int | None = None


@dataclass(frozen=True, eq=False)
class _Held:
    """A frame that is not published yet: whose mask each row of its outlines is."""

    frame: FollowedFrame
    tracks: tuple[_Track, ...]


def follow(frames: Iterable[Frame], sam3: Sam3, *, plausible: Plausible | None = None) -> Iterator[FollowedFrame]:
    """Follows everybody.

    Ids count up from 1 in the order of publication and are constant; nobody who was published is ever taken back. A
    track shows from its first frame on if it has enough masks by the time that this frame is published; the fewer it
    has, the later, and with less than `plausible.shortest` (or, in a shorter video, than it has frames) never.

    Args:
        frames: in order, upright, RGB, of one size.
        sam3: the model.
        plausible: what masks and tracks must be like.

    Yields:
        One result per frame, in order, `delay` frames after the input.
    """
    stream = _Stream(sam3.follower(), plausible or Plausible())
    hold = delay(sam3, stream.plausible)
    for frame in frames:
        stream.take(frame)
        if len(stream.held) > hold:
            yield stream.publish(stream.plausible.shortest)
    shortest = min(stream.plausible.shortest, stream.frames)
    while stream.held:
        yield stream.publish(shortest)


def delay(sam3: Sam3, plausible: Plausible) -> int:
    """Frames by which results come after the input: while somebody may be taken back, or be too short to count."""
    return max(sam3.doubt, plausible.shortest) - 1


class _Stream:
    """The frames that are held, and who is in them."""

    def __init__(self, follower: Sam3Follower, plausible: Plausible) -> None:
        self.held: deque[_Held] = deque()
        self.plausible = plausible
        self.frames = 0
        self._follower = follower
        self._tracks: dict[int, _Track] = {}
        self._given = 0

    def take(self, frame: Frame) -> None:
        """Looks at the next frame."""
        found = self._follower.follow(frame.image)
        for number in found.taken_back:
            if number in self._tracks:
                self._tracks.pop(number).mistaken = True
        self.held.append(self._note(frame, found))
        self._give_up()
        self.frames += 1

    def publish(self, shortest: int) -> FollowedFrame:
        """The oldest frame that is held, with those who have at least so many masks by now."""
        held = self.held.popleft()
        rows = {}
        for row, track in enumerate(held.tracks):
            if not track.mistaken and track.seen >= shortest and (number := self._id(track)) is not None:
                rows[number] = row
        numbers = tuple(sorted(rows))
        order = [rows[number] for number in numbers]
        outlines = held.frame.outlines
        shown = [held.tracks[row] for row in order]
        return FollowedFrame(
            held.frame.index, held.frame.seconds, held.frame.height, held.frame.width,
            Outlines(numbers, outlines.logits[order], outlines.presence[order]),
            {number: track.score for number, track in zip(numbers, shown, strict=True)},
            {number: track.class_name for number, track in zip(numbers, shown, strict=True)},
        )  # fmt: skip

    def _note(self, frame: Frame, found: Found) -> _Held:
        """Keeps what is plausible of a frame."""
        cells = found.outlines.logits.shape[1:]
        (statistics,) = fetch([measure(found.outlines)], height=cells[0], width=cells[1])
        plausible = self.plausible.masks(statistics.areas, statistics.fills)
        kept = []
        for row, number in enumerate(found.outlines.numbers):
            track = self._tracks.get(number)
            if track is None:
                track = _Track(found.scores[number], found.class_names[number], self.frames)
                self._tracks[number] = track
            if statistics.areas[row] > 0:
                track.last = self.frames
            if plausible[row]:
                track.seen += 1
                kept.append(number)
        height, width = frame.image.shape[:2]
        followed = FollowedFrame(frame.index, frame.seconds, height, width, found.outlines.of(kept), {}, {})
        return _Held(followed, tuple(self._tracks[number] for number in kept))

    def _give_up(self) -> None:
        """Looks no longer for those who have been gone longest, if they are too many."""
        absent = [number for number in self._follower.followed if self._last(number) < self.frames]
        longest = sorted(absent, key=self._last)[: max(len(absent) - MOST_ABSENT, 0)]
        if longest:
            self._follower.forget(longest)
            for number in longest:
                self._tracks.pop(number, None)

    def _last(self, number: int) -> int:
        return self._tracks[number].last if number in self._tracks else -1

    def _id(self, track: _Track) -> int | None:
        """A track's id, the next one if it has none; None if there are too many."""
        if track.id is None and self._given <= MOST_IDS:
            self._given += 1
            if self._given > MOST_IDS:
                _LOG.warning("more than %d people or things: those found from here on have no mask.", MOST_IDS)
            else:
                track.id = self._given
        return track.id
