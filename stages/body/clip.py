"""What a body backend gets to know about one video, and how it asks for pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.artifacts.landmarks import Landmarks
from common.artifacts.masks import Masks
from common.artifacts.people import PeopleTable
from common.media.decode import Frame
from stages.body.placement import Intrinsics

OpenFrames = Callable[[NDArray[np.int64]], Iterator[Frame]]
"""Opens the video and yields these frames in order, as far as they can be decoded. Not called, nothing is decoded."""


@dataclass(frozen=True)
class Clip:
    """One video with its people.

    Attributes:
        times: (frames,) float64, presentation times in seconds of all frames of the video.
        people: who is where, a row per person and frame.
        masks: whose pixels are whose.
        camera: the intrinsics, known or assumed.
        landmarks: BlazePose's landmarks, if the masks were made with it.
        step: a body is wanted in every `step`-th frame.
    """

    times: NDArray[np.float64]
    people: PeopleTable
    masks: Masks
    camera: Intrinsics
    landmarks: Landmarks | None = None
    step: int = 1

    @property
    def height(self) -> int:
        """Of the upright frames, pixels."""
        return self.people.height

    @property
    def width(self) -> int:
        """Of the upright frames, pixels."""
        return self.people.width

    def wanted(self) -> NDArray[np.int64]:
        """(n,) rows of `people` for which a body is wanted."""
        return np.flatnonzero(self.people.frame % self.step == 0)


def make_clip(
    times: NDArray[np.float64],
    people: PeopleTable,
    masks: Masks,
    *,
    landmarks: Landmarks | None = None,
    intrinsics: NDArray[np.float64] | None = None,
    step: int = 1,
) -> Clip:
    """A clip with the known camera or, without `intrinsics`, the conventional one.

    Args:
        times: as in Clip, and so are the others.
        people: likewise.
        masks: likewise.
        landmarks: likewise; no rows are the same as None.
        intrinsics: (3, 3) camera matrix in pixels of the upright frame, or None.
        step: likewise.
    """
    camera = (
        Intrinsics.assume(height=people.height, width=people.width)
        if intrinsics is None
        else Intrinsics.from_matrix(intrinsics)
    )
    return Clip(times, people, masks, camera, landmarks if landmarks is not None and len(landmarks) else None, step)
