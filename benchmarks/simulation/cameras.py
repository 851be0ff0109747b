"""What a body estimator would say about made-up people, seen by cameras that started at different times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.spatial.transform import Rotation

from benchmarks.simulation.motion import Motion, simulate_motion
from common.skeletons import HIPS, MIRROR_PAIRS
from stages.sync.tracks import PersonTrack, VideoTracks

Floats = NDArray[np.float64]

WANDER_TIME = 0.5  # s over which an estimator's slow errors change
BURST = 1.0  # s for which a lost person stays lost, on average
DEPTH_FACTOR = 2.0  # errors along the optical axis against those across


@dataclass(frozen=True)
class Level:
    """How badly a person is seen.

    Attributes:
        white: standard deviation of the error of every frame and joint, m.
        wander: of the error that changes over WANDER_TIME, m.
        bias: of the constant error of every joint and camera, m.
        lost: share of frames without the person, in bursts.
        swapped: share of frames with left and right exchanged.
        size: largest relative error of the body size.
    """

    white: float
    wander: float
    bias: float
    lost: float
    swapped: float
    size: float


LEVELS = {
    "clean": Level(0, 0, 0, 0, 0, 0),
    "easy": Level(0.01, 0.01, 0.01, 0.05, 0, 0.03),
    "medium": Level(0.02, 0.03, 0.02, 0.15, 0.01, 0.05),
    "hard": Level(0.04, 0.06, 0.04, 0.30, 0.05, 0.08),
}


@dataclass(frozen=True)
class Scene:
    """Simulated recordings and the truth about them.

    Attributes:
        videos: what the cameras show; local ids count from 1.
        start_times: (videos,) seconds, the earliest 0: scene time = start_time + pts.
        people: number of the person behind every track, per video.
    """

    videos: tuple[VideoTracks, ...]
    start_times: Floats
    people: tuple[tuple[int, ...], ...]


def observe(
    motion: Motion,
    scene_times: Floats,
    pts: Floats,
    level: Level,
    generator: np.random.Generator,
    *,
    rotation: Floats | None = None,
    person: int = 1,
) -> PersonTrack:
    """One person as one camera's estimator sees it: relative to the pelvis, in OpenCV camera axes.

    Args:
        motion: the person's.
        scene_times: (frames,) seconds at which the frames are taken.
        pts: (frames,) seconds that the video gives them.
        level: of the errors.
        generator: of the errors.
        rotation: (3, 3) from world to camera axes; random if not given.
        person: local id.

    Returns:
        The track; frames in which the person is lost are not in it.
    """
    truth = motion(scene_times)
    truth = (truth - truth[:, HIPS].mean(1, keepdims=True)) * (1 + level.size * generator.uniform(-1, 1))
    keypoints = truth @ (camera_rotation(generator) if rotation is None else rotation).T
    rate = (len(pts) - 1) / (pts[-1] - pts[0]) if len(pts) > 1 else 30.0
    error = level.white * generator.standard_normal(keypoints.shape)
    error += level.wander * _autoregressive(keypoints.shape, WANDER_TIME * rate, generator)
    error += level.bias * generator.standard_normal(keypoints.shape[1:])
    keypoints += error * np.array([1, 1, DEPTH_FACTOR])
    swapped = np.flatnonzero(generator.random(len(pts)) < level.swapped)
    for left, right in MIRROR_PAIRS:
        keypoints[swapped, left], keypoints[swapped, right] = keypoints[swapped, right], keypoints[swapped, left]
    seen = ~_bursts(len(pts), level.lost, BURST * rate, generator)
    confidence = np.isfinite(keypoints).all(-1).astype(np.float64)
    return PersonTrack(person, pts[seen], keypoints[seen], confidence[seen])


def simulate_scene(
    generator: np.random.Generator,
    *,
    cameras: int,
    seconds: float,
    level: str = "medium",
    people: int = 1,
    absent: float = 0.0,
    max_start: float = 10.0,
    rates: Sequence[float] = (30.0,),
    first_pts: Sequence[float] = (0.0,),
    activities: Sequence[str] | None = None,
) -> Scene:
    """Cameras around moving people, each started within `max_start` seconds.

    Args:
        generator: of everything.
        cameras: number of videos.
        seconds: length of each.
        level: key of LEVELS.
        people: number of persons in the scene; their order differs from video to video.
        absent: chance that a person is not in a video; one always is.
        max_start: seconds.
        rates: frames per second, one for all videos or one each.
        first_pts: seconds, of the first frame, likewise.
        activities: what the persons do; see simulate_motion.
    """
    longest = seconds + max_start + 2
    motions = [simulate_motion(longest, generator, activities=activities) for _ in range(people)]
    videos, starts, everybody = [], [], []
    for k in range(cameras):
        begin, rate, zero = generator.uniform(0, max_start), rates[k % len(rates)], first_pts[k % len(first_pts)]
        pts = zero + np.arange(int(seconds * rate)) / rate
        rotation = camera_rotation(generator)
        shown = [int(p) for p in generator.permutation(people) if generator.random() >= absent]
        shown = shown or [int(generator.integers(people))]
        tracks = tuple(
            observe(motions[p], begin + pts - zero, pts, LEVELS[level], generator, rotation=rotation, person=number)
            for number, p in enumerate(shown, start=1)
        )
        videos.append(VideoTracks(f"cam{k + 1}", tracks))
        starts.append(begin - zero)
        everybody.append(tuple(shown))
    return Scene(tuple(videos), np.array(starts) - min(starts), tuple(everybody))


def camera_rotation(generator: np.random.Generator) -> Floats:
    """(3, 3) from world axes (y up) to camera axes (y down): any yaw, pitch -5..30, roll ±5 degrees."""
    yaw = generator.uniform(0, 360)
    pitch, roll = generator.uniform(-5, 30), generator.uniform(-5, 5)
    turned = Rotation.from_euler("zxy", [roll, pitch, yaw], degrees=True).as_matrix()
    return np.asarray(np.diag([1.0, -1.0, -1.0]) @ turned)


def _autoregressive(shape: tuple[int, ...], frames: float, generator: np.random.Generator) -> Floats:
    """AR(1) noise of unit variance that is forgotten within that many frames."""
    a = np.exp(-1 / max(frames, 1e-9))
    noise = generator.standard_normal(shape) * np.sqrt(1 - a * a)
    before = (a * generator.standard_normal(shape[1:]))[None]
    return np.asarray(lfilter([1], [1, -a], noise, axis=0, zi=before)[0])


def _bursts(frames: int, share: float, mean: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    lost = np.zeros(frames, dtype=bool)
    while lost.mean() < share:
        first = generator.integers(0, frames)
        lost[first : first + int(generator.exponential(mean)) + 3] = True
    return lost
