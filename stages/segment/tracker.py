"""Follows everybody through a stream of frames; the models come in as functions.

Each track looks at the place where its own last landmarks say the person will be, which costs one model call
per person and frame and no detection. On key frames a detector looks at the whole image, which starts tracks,
finds lost people again and puts tracks right that have slid onto something else. What was seen in a frame, by
whichever way, goes into one pool, and one assignment decides who is who. Who is still missed, while somebody else
stands where they should be, is looked for behind them: the other's pixels are painted over.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.models.blazepose_landmarks import Landmarks33
from common.models.regions import Region, move_to_region
from stages.segment.appearance import colours
from stages.segment.association import assign
from stages.segment.candidates import Candidate
from stages.segment.key_frames import KeyFrames
from stages.segment.tracks import (
    FEWEST_SIGHTINGS,
    LONG_GONE,
    PROOF,
    Lost,
    Observation,
    Track,
    continuation_cost,
    return_costs,
    same_person,
    touching,
)


class Look(Protocol):
    """A landmark model."""

    def __call__(
        self, image: NDArray[np.uint8], region: Region, *, suppress: NDArray[np.bool_] | None = None
    ) -> Landmarks33:
        """Who is in a region of an (H, W, 3) RGB image, apart from the pixels of its crop to suppress."""
        ...


Detect = Callable[[NDArray[np.uint8]], list[Candidate]]
"""A detector: an (H, W, 3) RGB image to the people in it."""

PERSON = 0.5
"""Score from which a region shows a person; the value that MediaPipe uses."""

# Distances of a detection from a body, in the body's extents; by hand on real scenes.
_SAME = 0.35  # further away, it is somebody else
_DRIFTED = 0.12  # further away, the body is looked at again, where the detection is
_AGREES = 0.2  # a new person must be at least that close to the detection


@dataclass(eq=False)
class Tracker:
    """The state of the tracking of one video.

    Attributes:
        look: the landmark model.
        detect: the detector.
        key_frames: when to detect.
        tracks: those who are being followed, by the number of their track.
        lost: those who were there and are to be known again, in the order in which they were lost.
        arrived: numbers of the tracks whose past became interesting with the last step: the person is believed as
            of now, or is back after frames in which they were not seen.
    """

    look: Look
    detect: Detect
    key_frames: KeyFrames
    tracks: dict[int, Track] = field(default_factory=dict, init=False)
    lost: dict[int, Lost] = field(default_factory=dict, init=False)
    arrived: list[int] = field(default_factory=list, init=False)
    _begun: int = field(default=0, init=False)
    _frames: int = field(default=0, init=False)
    _start: float = field(default=0.0, init=False)  # PTS of the first frame
    _seconds: float = field(default=0.0, init=False)  # and of the current one
    _interval: float = field(default=0.0, init=False)  # seconds between the frame before and the current one

    def step(self, image: NDArray[np.uint8], seconds: float) -> dict[int, Observation]:
        """Looks at the next frame.

        Args:
            image: (H, W, 3) uint8 RGB.
            seconds: its PTS, greater than that of the frame before.

        Returns:
            Who was seen, by the number of their track.
        """
        if self._frames == 0:
            self._start = self._seconds = seconds
        self._interval, self._seconds = seconds - self._seconds, seconds
        self._frames += 1
        active = list(self.tracks.values())
        pool = [seen for track in active if (seen := self.observe(image, track.last.landmarks.next_region)) is not None]
        pool = distinct(pool)
        found = self._continue(active, pool)
        self._look_behind(image, active, found)
        key_frame = self.key_frames.due(
            seconds,
            movement=max((track.movement for track in active), default=0.0),
            touching=any(touching(a, b) for a, b in itertools.combinations(found.values(), 2)),
            missing=self._missing(found),
        )
        if key_frame:
            pool = distinct(self._confirm(image, list(found.values())))
            found = self._continue(active, pool)
            self._look_behind(image, active, found)
            found |= self._return(found, pool)
            found |= self._begin(found, pool)
        self._update(found, key_frame=key_frame)
        return found

    def believes(self, number: int) -> bool:
        """Whether somebody is taken for a person: seen long and often enough, by now, before being lost.

        In a video that is too short for that, who was seen in all of it.
        """
        track = self.tracks.get(number)
        if track is None:
            return number in self.lost
        too_short = self._frames < FEWEST_SIGHTINGS or self._seconds - self._start < PROOF
        return track.confirmed or (too_short and track.seen == self._frames)

    def observe(
        self, image: NDArray[np.uint8], region: Region, *, others: Iterable[Observation] = ()
    ) -> Observation | None:
        """Who is in a region, or None if nobody.

        Args:
            image: (H, W, 3) uint8 RGB.
            region: where to look.
            others: people whose pixels are painted over first: they stand in front.
        """
        if region.side < 2:
            return None
        suppress = None
        for other in others:
            theirs = move_to_region(other.landmarks.mask, other.landmarks.region, region) > 0.5
            suppress = theirs if suppress is None else suppress | theirs
        landmarks = self.look(image, region, suppress=suppress)
        if landmarks.score < PERSON:
            return None
        return Observation(landmarks, colours(image, landmarks))

    def _look_behind(self, image: NDArray[np.uint8], tracks: Sequence[Track], found: dict[int, Observation]) -> None:
        """Adds to `found` those who were missed because somebody else fills their region."""
        for track in tracks:
            if track.number in found:
                continue
            others = [seen for seen in found.values() if touching(seen, track.last)]
            if not others:
                continue
            seen = self.observe(image, track.last.landmarks.next_region, others=others)
            if seen is None or any(same_person(seen, other) for other in others):
                continue
            if np.isfinite(continuation_cost(track, seen, seconds=self._seconds)):
                found[track.number] = seen

    def _confirm(self, image: NDArray[np.uint8], pool: list[Observation]) -> list[Observation]:
        """The pool after a look at every detection that it does not explain."""
        candidates = self.detect(image)
        costs = np.array([[c.distance(seen.landmarks.image) for seen in pool] for c in candidates])
        costs = costs.reshape(len(candidates), len(pool))
        costs[costs > _SAME] = np.inf
        explained = dict(assign(costs))
        result = list(pool)
        for row, candidate in enumerate(candidates):
            column = explained.get(row)
            if column is not None and costs[row, column] <= _DRIFTED:
                continue
            seen = self.observe(image, candidate.region)
            if seen is None:
                continue
            error = candidate.distance(seen.landmarks.image)
            if column is None and error <= _AGREES:
                result.append(seen)
            elif column is not None and error < costs[row, column]:
                result[column] = seen
        return result

    def _continue(self, tracks: Sequence[Track], pool: Sequence[Observation]) -> dict[int, Observation]:
        """Who of the pool continues which active track."""
        costs = np.array([[continuation_cost(t, seen, seconds=self._seconds) for seen in pool] for t in tracks])
        pairs = assign(costs.reshape(len(tracks), len(pool)))
        return {tracks[row].number: pool[column] for row, column in pairs}

    def _missing(self, found: dict[int, Observation]) -> set[int]:
        """Numbers of those who should be there or were until a moment ago."""
        followed = {number for number, track in self.tracks.items() if track.confirmed and number not in found}
        recent = itertools.takewhile(lambda p: self._seconds - p.seconds < LONG_GONE, reversed(self.lost.values()))
        return followed | {person.number for person in recent}

    def _return(self, found: dict[int, Observation], pool: Sequence[Observation]) -> dict[int, Observation]:
        """Who of the others is somebody that was there before."""
        others = _without(pool, found)
        missed = [t.remembered() for t in self.tracks.values() if t.confirmed and t.number not in found]
        absent = [*self.lost.values(), *missed]
        present = [self.tracks[number] for number in found]
        pairs = assign(return_costs(absent, others, present, seconds=self._seconds))
        for row, column in pairs:
            if self.lost.pop(absent[row].number, None):
                self.tracks[absent[row].number] = absent[row].resumed(others[column])
        return {absent[row].number: others[column] for row, column in pairs}

    def _begin(self, found: dict[int, Observation], pool: Sequence[Observation]) -> dict[int, Observation]:
        """New tracks for all who are still nobody."""
        begun = {}
        for seen in _without(pool, found):
            number = self._begun
            self.tracks[number] = Track(
                number=number, last=seen, last_seconds=self._seconds, colours=seen.colours,
                seen=0, seen_for=0.0, misses=0, reference=seen.hips,
            )  # fmt: skip
            begun[number] = seen
            self._begun += 1
        return begun

    def _update(self, found: dict[int, Observation], *, key_frame: bool) -> None:
        """Continues the tracks of those who were seen, counts a miss for the others, lets go of who is lost."""
        self.arrived = []
        for track in list(self.tracks.values()):
            seen = found.get(track.number)
            if seen is None:
                track.misses += 1
                if track.is_lost(self._seconds):
                    del self.tracks[track.number]
                    if track.confirmed:  # what was seen a time or two was nobody, and must not come back
                        self.lost[track.number] = track.remembered()
                continue
            believed, gap = track.confirmed, track.misses > 0
            alone = not any(touching(seen, other) for n, other in found.items() if n != track.number)
            track.extend(seen, seconds=self._seconds, interval=self._interval, learn=alone)
            if track.confirmed and (gap or not believed):
                self.arrived.append(track.number)
            if key_frame:
                track.reference = seen.hips


def distinct(pool: Sequence[Observation]) -> list[Observation]:
    """The pool without second looks at the same body: of two, the surer one stays."""
    kept: list[Observation] = []
    for seen in sorted(pool, key=lambda o: -o.landmarks.score):
        if not any(same_person(seen, other) for other in kept):
            kept.append(seen)
    return kept


def _without(pool: Sequence[Observation], found: dict[int, Observation]) -> list[Observation]:
    taken = {id(seen) for seen in found.values()}
    return [seen for seen in pool if id(seen) not in taken]
