"""Everybody's body in one video: a backend's estimate, checked against what was asked for, smoothed on request."""

from __future__ import annotations

from common.artifacts.bodies import PersonBody
from stages.body.backends import BodyEstimator
from stages.body.clip import Clip, OpenFrames
from stages.body.smoothing import smooth_body


def estimate_bodies(
    estimator: BodyEstimator, clip: Clip, open_frames: OpenFrames, *, smooth: bool = False
) -> dict[int, PersonBody]:
    """The bodies of a video.

    Frames are streamed once, and only those that the backend asks for. What is held is about 2.5 kB per person
    and frame.

    Args:
        estimator: the backend.
        clip: the video's people, masks, camera and times.
        open_frames: opens the video.
        smooth: whether to smooth over time.

    Returns:
        By local id, ascending; rows in the order of the frames, at multiples of the clip's step.
    """
    bodies = estimator.estimate(clip, open_frames)
    return {person: smooth_body(bodies[person]) if smooth else bodies[person] for person in sorted(bodies)}
