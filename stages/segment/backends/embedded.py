"""The CPU backend: MoveNet and BlazePose find people, BlazePose heavy follows them and draws their masks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from common.device_names import RanOn
from common.models.blazepose_detector import PersonDetector
from common.models.blazepose_landmarks import LandmarkModel
from common.models.movenet import MultiPoseModel
from common.weights import store
from stages.segment.backends import TrackFrame
from stages.segment.candidates import Candidate, from_circles, from_poses, united
from stages.segment.follow import follow

if TYPE_CHECKING:
    from common.media.decode import Frame


class EmbeddedSegmenter:
    """Follows all people through a video, on a CPU.

    Two detectors, since each sees what the other does not: MoveNet small people and groups (it alone found the small
    bystanders of the demo scenes), BlazePose close-ups of which only an upper body or legs are in the picture.
    """

    gives_landmarks = True
    runs_elsewhere = False
    remark = ""
    ran_on = RanOn()

    def __init__(self, *, detection_step: int = 50) -> None:
        """Loads the models.

        Args:
            detection_step: the longest pause between two key frames, in frames; see KeyFrames.

        Raises:
            ModelUnavailable: weights or a runtime are missing.
        """
        self._poses = MultiPoseModel(store.path("movenet-multipose"))
        self._circles = PersonDetector(store.path("blazepose-detector"))
        self._landmarks = LandmarkModel(store.path("blazepose-heavy"))
        self._detection_step = detection_step

    def segment(self, frames: Iterable[Frame]) -> Iterator[TrackFrame]:
        """One result per frame, in order, some `detection_step` frames (but 4 to 60) after the input; see `follow`."""
        return follow(frames, look=self._landmarks.run, detect=self.detect, detection_step=self._detection_step)

    def detect(self, image: NDArray[np.uint8]) -> list[Candidate]:
        """Everybody whom either detector sees.

        Args:
            image: (H, W, 3) uint8 RGB.
        """
        return united(from_poses(self._poses.detect(image)), from_circles(self._circles.detect(image)))
