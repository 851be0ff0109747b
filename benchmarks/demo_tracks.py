"""How well people are followed on the demo scenes, from the landmarks that `segment` publishes.

The scene `multi` is the footage of `single` with a rendered woman composited in. So the man of `single`, where he is
alone in the foreground, says frame by frame where the man of `multi` must be, also while the woman hides him.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from common.artifacts.landmarks import Landmarks

SAME = 0.15
"""Median distance of the landmarks, in sides of the region, up to which a person can be the man.

Measured: the man of `multi` is at most 0.08 from the man of `single` (camera 3, half hidden), else below 0.02; the
woman's distance is at least 0.12, so in every frame only the nearest person counts.
"""

AT_END = 10
"""Frames at the end of the video in which the man must be there again; in camera 3 the woman hides him before."""


@dataclass(frozen=True)
class ManTracks:
    """What became of the man in one video of `multi`.

    Attributes:
        found: frames in which somebody is where he is.
        found_at_end: of the last AT_END frames, those in which he is found under his most frequent id.
        ids: the ids that he had, most frequent first; one is right.
        switches: how often his id changed from one frame with him to the next.
        astray: frames in which his id was on somebody else.
        as_woman: frames in which he had the woman's id.
        woman_id: the woman's id, None if she was not found.
        woman_found: frames in which she had it.
        others: how many more people were found (the photographer of cameras 1 and 2 is one).
    """

    found: int
    found_at_end: int
    ids: tuple[int, ...]
    switches: int
    astray: int
    as_woman: int
    woman_id: int | None
    woman_found: int
    others: int


def foreground(tracks: Landmarks, *, without: int | None = None) -> int | None:
    """The person who is seen largest in most frames: in `single`, the man.

    Args:
        tracks: of one video.
        without: an id that is not meant.
    """
    sizes = {p: float(tracks.of(p).region[:, 2].sum()) for p in tracks.people if p != without}
    return max(sizes, key=lambda person: sizes[person]) if sizes else None


def man_found(single: Landmarks) -> int:
    """Frames of a video of `single` in which the man was found, under the id that he has most of the time."""
    man = foreground(single)
    return 0 if man is None else len(single.of(man))


def follow_man(single: Landmarks, multi: Landmarks) -> ManTracks:
    """Finds the man of `single` in the same camera's video of `multi`.

    Args:
        single: landmarks of camera n of `single`.
        multi: of camera n of `multi`; the frames are the same.
    """
    alone = foreground(single)
    if alone is None:
        return ManTracks(0, 0, (), 0, 0, 0, None, 0, len(multi.people))
    truth = single.of(alone)
    id_of_man: dict[int, int] = {}
    for frame, image, side in zip(truth.frame.tolist(), truth.image, truth.region[:, 2], strict=True):
        rows = np.flatnonzero(multi.frame == frame)
        if rows.size:
            distances = _distances(image, multi.image[rows], float(side))
            if distances.min() < SAME:
                id_of_man[frame] = int(multi.person[rows[distances.argmin()]])
    sequence = [id_of_man[frame] for frame in sorted(id_of_man)]
    ids = sorted(set(sequence), key=lambda person: (-sequence.count(person), person))
    man = ids[0] if ids else None
    woman = foreground(multi, without=man)
    compared = set(truth.frame.tolist())
    theirs = set() if man is None else set(multi.of(man).frame.tolist()) & compared
    return ManTracks(
        found=len(sequence),
        found_at_end=sum(id_of_man.get(frame) == man for frame in sorted(compared)[-AT_END:] if man is not None),
        ids=tuple(ids),
        switches=sum(a != b for a, b in pairwise(sequence)),
        astray=sum(id_of_man.get(frame) != man for frame in theirs),
        as_woman=sum(person == woman for person in sequence),
        woman_id=woman,
        woman_found=0 if woman is None else len(multi.of(woman)),
        others=len(set(multi.people) - {man, woman}),
    )


def _distances(truth: NDArray[np.float32], people: NDArray[np.float32], side: float) -> NDArray[np.float64]:
    """(n,) median distances of (n, 33, 2) from (33, 2) pixels, in sides of the region."""
    gaps = np.hypot(*np.moveaxis(people - truth, -1, 0))
    return np.asarray(np.median(gaps, axis=1) / side, np.float64)
