"""What synchronisation looks at: per video, the 3D joints of every tracked person on the video's own clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.cameras import Camera
from common.errors import BadInput

KEYPOINTS = 70  # mhr70, the joint order of SAM 3D Body and of every body backend here


@dataclass(frozen=True)
class PersonTrack:
    """One person in one video.

    Attributes:
        person: id, local to the video.
        times: (frames,) float64 presentation times (PTS) in seconds, strictly increasing, of any rate.
        keypoints: (frames, 70, 3) float32 or float64 metres in mhr70 order, in any axes that do not turn against the
            camera's; NaN where a joint was not observed.
        confidence: (frames, 70) float32 or float64 in [0, 1]; NaN counts as 0.
        image_points: (frames, 70, 2) pixels of the upright frame, NaN where not observed; None if they are not known.
    """

    person: int
    times: NDArray[np.float64]
    keypoints: NDArray[np.floating]
    confidence: NDArray[np.floating]
    image_points: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        frames = len(self.times)
        for name, expected in (
            ("times", (frames,)),
            ("keypoints", (frames, KEYPOINTS, 3)),
            ("confidence", (frames, KEYPOINTS)),
            *((("image_points", (frames, KEYPOINTS, 2)),) if self.image_points is not None else ()),
        ):
            actual = getattr(self, name).shape
            if actual != expected:
                raise BadInput(f"person {self.person}: {name}: expected shape {expected}, got {actual}.")
        if not np.isfinite(self.times).all() or (np.diff(self.times) <= 0).any():
            raise BadInput(
                f"person {self.person}: times: expected finite seconds that increase strictly. Estimate the body again."
            )


@dataclass(frozen=True)
class VideoTracks:
    """The persons of one video; none at all is allowed.

    Attributes:
        video: its id.
        persons: everybody who was tracked in it.
        camera: the calibrated camera that took it, standing still; None if that is not known.
    """

    video: str
    persons: tuple[PersonTrack, ...]
    camera: Camera | None = None

    def __post_init__(self) -> None:
        ids = [track.person for track in self.persons]
        if len(set(ids)) != len(ids):
            raise BadInput(f"{self.video}: persons: expected every id once, got {sorted(ids)}.")
