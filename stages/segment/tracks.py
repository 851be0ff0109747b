"""One person's track: where they were, what they look like, and what it would cost to continue it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.models.blazepose_landmarks import Landmarks33
from stages.segment.appearance import difference, remember
from stages.segment.association import pose_distance

HIPS = [23, 24]

UNSEEN = 0.045
"""Seconds without the person after which the track is lost: only a key frame can find it again, and only if it is
confirmed. Chosen by hand on recordings at 60 frames per second as the third frame in a row; like PROOF between two
frames, so that rounded time stamps change nothing."""

FEWEST_MISSES = 2
"""Frames in a row without the person, at least, before the track is lost. A count: a look fails once for its own
reasons, at any rate. By hand."""

PROOF = 0.045
"""Seconds for which a person must have been seen, before being lost, to be believed: four frames at 60 per second."""

FEWEST_SIGHTINGS = 3
"""Frames in which a person must have been seen, at least, to be believed. A count: where frames are far apart, false
detections are in one of them, or two. By hand."""

LONG_GONE = 1.0
"""Seconds after which a lost person may come back anywhere, and is no longer searched for more often than usual."""

_HALF_LIFE = 0.225  # seconds after which what was learned of the colours counts half: long against a passing arm
_MOST_LEARNED = 0.25  # weight of what was just seen, at most: a wrong look is one look at any rate; by hand
_JUMP = 0.2  # landmarks that move further in _STEP, in sizes, are somebody else's; half the hips' height
_STEP = 1 / 60  # seconds; in less than that people do not jump less, as jumps are mostly the models' noise
_SPEED = 6.0  # sizes per second: what any longer time adds to _JUMP
_FARTHEST = 0.4  # sizes: after however long a time, whoever is further away is no longer in the crop
_LOST_REACH = 1.5  # in sizes: nobody is looked for further away until LONG_GONE has passed
_UNLIKE = 0.3  # colours that differ more are somebody else's (demo scenes: own <= 0.19, others >= 0.22)
_UNLIKE_RETURNING = 0.2  # stricter where position says little
_MARGIN = 0.05  # by which colours must decide where position says nothing; by hand, of the order of their noise
_COLOUR_WEIGHT = 1.0  # a colour difference of 0.1 counts like a movement of 0.1 sizes


@dataclass(frozen=True, eq=False)
class Observation:
    """Somebody seen in a frame.

    Attributes:
        landmarks: the body, in pixels of the frame.
        colours: (2, 3, bins) float32, as from `appearance.colours`.
    """

    landmarks: Landmarks33
    colours: NDArray[np.float32]

    @property
    def size(self) -> float:
        """Side of the square around the body, pixels: steadier than a box around points that come and go."""
        return max(self.landmarks.next_region.side, 1.0)

    @property
    def hips(self) -> NDArray[np.float64]:
        """(2,) pixels: the middle of the hips."""
        middle: NDArray[np.float64] = self.landmarks.image[HIPS].mean(axis=0)
        return middle

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Around all landmarks, xyxy, pixels."""
        (x0, y0), (x1, y1) = self.landmarks.image.min(axis=0), self.landmarks.image.max(axis=0)
        return float(x0), float(y0), float(x1), float(y1)


@dataclass(eq=False)
class Track:
    """A person that is being followed, or was.

    Attributes:
        number: counts tracks in the order in which they began; not the published id.
        last: where the person was seen last.
        last_seconds: when that was, PTS.
        colours: what the person looks like, averaged over time.
        seen: in how many frames.
        seen_for: seconds, of all frames with the person but the first, each as long as it is after the frame before.
        misses: frames in a row without the person.
        reference: the hips (2,) at the last key frame, pixels: what movement is measured from.
    """

    number: int
    last: Observation
    last_seconds: float
    colours: NDArray[np.float32]
    seen: int
    seen_for: float
    misses: int
    reference: NDArray[np.float64]

    def is_lost(self, seconds: float) -> bool:
        """Whether the person is no longer looked for where they were.

        Args:
            seconds: now, PTS.
        """
        return self.misses >= FEWEST_MISSES and seconds - self.last_seconds >= UNSEEN

    @property
    def confirmed(self) -> bool:
        """Whether the person has been seen long and often enough to be believed."""
        return self.seen >= FEWEST_SIGHTINGS and self.seen_for >= PROOF

    @property
    def movement(self) -> float:
        """How far the hips have moved since the last key frame, in sizes."""
        return float(np.hypot(*(self.last.hips - self.reference))) / self.last.size

    def remembered(self) -> Lost:
        """What is kept of the person while they are not seen."""
        return Lost(
            self.number, self.last.hips, self.last.size, self.colours, self.last_seconds, self.seen, self.seen_for
        )

    def extend(self, observation: Observation, *, seconds: float, interval: float, learn: bool) -> None:
        """Continues the track.

        Args:
            observation: the person, now.
            seconds: now, PTS.
            interval: seconds since the frame before, whether or not the person was in it.
            learn: whether the colours can be trusted (they cannot where people touch).
        """
        if learn:
            rate = min(1 - 0.5 ** (interval / _HALF_LIFE), _MOST_LEARNED)
            self.colours = remember(self.colours, observation.colours, rate=rate)
        self.last, self.last_seconds = observation, seconds
        self.seen_for += interval if self.seen else 0.0
        self.seen += 1
        self.misses = 0


@dataclass(frozen=True, eq=False)
class Lost:
    """A person who was there: no more than it takes to know them again, since a long video has many.

    Attributes:
        number: of their track.
        hips: (2,) pixels: where they were seen last.
        size: of the body then, pixels.
        colours: (2, 3, bins): what they look like, averaged over time.
        seconds: when they were seen last, PTS.
        seen: in how many frames.
        seen_for: as in Track.
    """

    number: int
    hips: NDArray[np.float64]
    size: float
    colours: NDArray[np.float32]
    seconds: float
    seen: int
    seen_for: float

    def resumed(self, observation: Observation) -> Track:
        """The track of the person, who has just been found again; still to be extended by the observation."""
        return Track(
            number=self.number, last=observation, last_seconds=self.seconds, colours=self.colours, seen=self.seen,
            seen_for=self.seen_for, misses=FEWEST_MISSES, reference=observation.hips,
        )  # fmt: skip


def reach(seconds: float) -> float:
    """How far landmarks of one person can be apart, in sizes, after so many seconds."""
    return min(_JUMP + _SPEED * max(seconds - _STEP, 0.0), _FARTHEST)


def continuation_cost(track: Track, observation: Observation, *, seconds: float) -> float:
    """What speaks against `observation` continuing a track: movement and colour; inf forbids it.

    Args:
        track: of somebody.
        observation: perhaps the same person.
        seconds: now, PTS.
    """
    moved = movement_between(track.last, observation)
    unlike = difference(track.colours, observation.colours)
    if moved > reach(seconds - track.last_seconds) or unlike > _UNLIKE:
        return math.inf
    return moved + _COLOUR_WEIGHT * (0.0 if math.isnan(unlike) else unlike)


def continues(last: Observation, observation: Observation, *, apart: float, colours: NDArray[np.float32]) -> bool:
    """Whether two observations in neighbouring frames can be of one person.

    Args:
        last: the person.
        observation: perhaps the same, one frame before or after.
        apart: seconds between the frames.
        colours: (2, 3, bins) what the person looks like.
    """
    near = movement_between(last, observation) <= reach(apart)
    return near and not (difference(colours, observation.colours) > _UNLIKE)


def movement_between(a: Observation, b: Observation) -> float:
    """The median distance of the landmarks of two observations, in sizes of the larger."""
    return pose_distance(a.landmarks.image, b.landmarks.image, size=max(a.size, b.size))


def return_costs(
    lost: Sequence[Lost], newcomers: Sequence[Observation], present: Sequence[Track], *, seconds: float
) -> NDArray[np.float64]:
    """What speaks against newcomers being people who were lost: mostly colour.

    Near the place where somebody was lost, their colours are enough. Elsewhere they must come back after LONG_GONE
    and be told apart: everybody else who might be meant, lost, present or coming in too, has to fit worse by a
    margin. With nobody to compare them to, colours prove nothing there. One person with two ids can be reunited later,
    two people with one id cannot be parted.

    Args:
        lost: n people who are not seen.
        newcomers: m people who are nobody yet.
        present: the people who are seen and known.
        seconds: now, PTS.

    Returns:
        (n, m); inf forbids.
    """
    unlike = np.array([[difference(person.colours, new.colours) for new in newcomers] for person in lost])
    unlike = unlike.reshape(len(lost), len(newcomers))
    to_present = np.array([[difference(track.colours, new.colours) for new in newcomers] for track in present])
    to_present = to_present.reshape(len(present), len(newcomers))
    costs = np.full(unlike.shape, math.inf)
    for row, person in enumerate(lost):
        gone = seconds - person.seconds
        for column, new in enumerate(newcomers):
            if not unlike[row, column] <= _UNLIKE_RETURNING:  # NaN as well
                continue
            moved = float(np.hypot(*(person.hips - new.hips))) / max(person.size, new.size)
            if moved > _LOST_REACH:
                rivals = np.concatenate(
                    [np.delete(unlike[:, column], row), np.delete(unlike[row], column), to_present[:, column]]
                )
                # Colours that cannot be compared might be the same.
                rival = np.nan_to_num(rivals, nan=0.0).min(initial=math.inf)
                if gone < LONG_GONE or not unlike[row, column] + _MARGIN <= rival < math.inf:
                    continue
            costs[row, column] = unlike[row, column] + 0.1 * moved / (1 + gone / LONG_GONE)
    return costs


def same_person(a: Observation, b: Observation, *, threshold: float = 0.08) -> bool:
    """Whether two observations of one frame show the same body: their poses coincide.

    Args:
        a: somebody.
        b: somebody.
        threshold: median distance of the landmarks, in sizes. By eye on people who hug.
    """
    return movement_between(a, b) < threshold


def touching(a: Observation, b: Observation) -> bool:
    """Whether the boxes of two people overlap."""
    ax0, ay0, ax1, ay1 = a.box
    bx0, by0, bx1, by1 = b.box
    return ax0 < bx1 and bx0 < ax1 and ay0 < by1 and by0 < ay1
