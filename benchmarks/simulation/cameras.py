"""What a body estimator would say about made-up people, seen by cameras that started at different times."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.spatial.transform import Rotation

from benchmarks.simulation.clocks import even_times, uneven_times
from benchmarks.simulation.halves import Half
from benchmarks.simulation.motion import KEYPOINTS, Motion, mirror_image, simulate_motion
from common.skeletons import HIPS, INDEX, MHR70_COUNT, MIRROR
from stages.sync.tracks import PersonTrack, VideoTracks

Floats = NDArray[np.float64]

WANDER_TIME = 0.5  # s over which an estimator's slow errors change
BURST = 1.0  # s for which a lost person stays lost, on average
DEPTH_FACTOR = 2.0  # errors along the optical axis against those across
LEGS = tuple(
    INDEX[f"{side}_{name}"] for side in ("left", "right") for name in ("knee", "ankle", "big_toe", "small_toe", "heel")
)


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


class Outlier(enum.StrEnum):
    """A camera that does not belong, and why."""

    ELSEWHERE = "of another scene"
    FROZEN = "frozen"  # one pose for ever, with the noise of the estimator
    MIRRORED = "mirrored"  # a selfie: left and right of the picture exchanged


@dataclass(frozen=True)
class Scene:
    """Simulated recordings and the truth about them.

    Attributes:
        videos: what the cameras show; local ids count from 1.
        start_times: (videos,) seconds, the earliest 0: scene time = start_time + rate * pts.
        people: number of the person behind every track, per video; of one from another scene, from 1000.
        rates: (videos,) seconds of the scene's clock per second of the video's, or (1,) for all of them.
        outliers: what is wrong with a video, by its position.
    """

    videos: tuple[VideoTracks, ...]
    start_times: Floats
    people: tuple[tuple[int, ...], ...]
    rates: Floats = field(default_factory=lambda: np.ones(1))
    outliers: Mapping[int, Outlier] = field(default_factory=dict)


def observe(
    motion: Motion,
    scene_times: Floats,
    pts: Floats,
    level: Level,
    generator: np.random.Generator,
    *,
    rotation: Floats | None = None,
    person: int = 1,
    hidden: Collection[int] = (),
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
        hidden: keypoints that the camera does not see.

    Returns:
        The track; frames in which the person is lost are not in it.
    """
    truth = motion(scene_times)
    centre = truth[:, HIPS].mean(1, keepdims=True)
    truth = (truth[:, KEYPOINTS] - centre) * (1 + level.size * generator.uniform(-1, 1))
    truth = truth @ (camera_rotation(generator) if rotation is None else rotation).T
    rate = (len(pts) - 1) / (pts[-1] - pts[0]) if len(pts) > 1 else 30.0
    error = level.white * generator.standard_normal(truth.shape)
    error += level.wander * _autoregressive(truth.shape, WANDER_TIME * rate, generator)
    error += level.bias * generator.standard_normal(truth.shape[1:])
    keypoints = np.full((len(pts), MHR70_COUNT, 3), np.nan)
    keypoints[:, KEYPOINTS] = truth + error * np.array([1, 1, DEPTH_FACTOR])
    swapped = np.flatnonzero(generator.random(len(pts)) < level.swapped)
    keypoints[swapped] = keypoints[swapped][:, MIRROR]
    keypoints[:, sorted(hidden)] = np.nan
    seen = ~_bursts(len(pts), level.lost, BURST * rate, generator)
    confidence = np.isfinite(keypoints).all(-1).astype(np.float64)
    return PersonTrack(person, pts[seen], keypoints[seen], confidence[seen])


def mirrored(track: PersonTrack) -> PersonTrack:
    """The same person in the flipped picture: x the other way, and what was a left hand is taken for a right one."""
    flipped = track.keypoints[:, MIRROR] * np.array([-1.0, 1, 1])
    return replace(track, keypoints=flipped, confidence=track.confidence[:, MIRROR])


def simulate_scene(
    generator: np.random.Generator,
    *,
    cameras: int,
    seconds: float,
    shortest: float | None = None,
    level: str = "medium",
    people: int = 1,
    absent: float = 0.0,
    max_start: float = 10.0,
    rates: Sequence[float] = (30.0,),
    first_pts: Sequence[float] = (0.0,),
    variable: bool = False,
    ppm: float = 0.0,
    activities: Sequence[str] | None = None,
    mirroring: bool = False,
    half: Half | None = None,
    legs_hidden: float = 0.0,
    outliers: Mapping[int, Outlier] | None = None,
) -> Scene:
    """Cameras around moving people, each started within `max_start` seconds.

    People, cameras and errors have generators of their own: the same scene comes back at another level, or with other
    clocks.

    Args:
        generator: of everything.
        cameras: number of videos.
        seconds: length of each.
        shortest: if given, lengths lie anywhere between this and `seconds`.
        level: key of LEVELS.
        people: number of persons in the scene; their order differs from video to video.
        absent: chance that a person is not in a video; one always is.
        max_start: seconds.
        rates: frames per second, one for all videos or one each.
        first_pts: seconds, of the first frame, likewise.
        variable: the intervals between frames vary about that rate.
        ppm: largest deviation of a camera's clock, parts per million.
        activities: what the persons do; see simulate_motion.
        mirroring: the second person copies the first as a mirror would, a moment later.
        half: of the benchmark; see halves.py.
        legs_hidden: share of the cameras, the first ones, that see nobody's legs below the hip.
        outliers: what is wrong with a camera, by its position.
    """
    outliers = outliers or {}
    longest = (seconds + max_start + 2) * (1 + 1e-6 * ppm)
    motions = [simulate_motion(longest, g, activities=activities, half=half) for g in generator.spawn(people)]
    if mirroring:
        motions[1] = mirror_image(motions[0], longest, generator.spawn(1)[0])
    videos, starts, clocks, everybody = [], [], [], []
    for k, chance in enumerate(generator.spawn(cameras)):
        begin, rate, zero = chance.uniform(0, max_start), rates[k % len(rates)], first_pts[k % len(first_pts)]
        rotation = camera_rotation(chance)
        shown = [int(p) for p in chance.permutation(people) if chance.random() >= absent]
        shown = shown or [int(chance.integers(people))]
        clock = 1 + 1e-6 * ppm * chance.uniform(-1, 1)
        length = seconds if shortest is None else chance.uniform(shortest, seconds)
        stamps, errors, stranger = chance.spawn(3)
        since = uneven_times(length, rate, stamps) if variable else even_times(length, rate)
        times, wrong = begin + clock * since, outliers.get(k)
        if wrong is Outlier.FROZEN:
            times = np.full(len(times), begin)
        tracks = []
        for number, p in enumerate(shown, start=1):
            motion = motions[p]
            if wrong is Outlier.ELSEWHERE:
                motion = simulate_motion(longest, stranger, activities=activities, half=half)
            track = observe(
                motion,
                times,
                zero + since,
                LEVELS[level],
                errors,
                rotation=rotation,
                person=number,
                hidden=LEGS if k < round(legs_hidden * cameras) else (),
            )
            tracks.append(mirrored(track) if wrong is Outlier.MIRRORED else track)
        videos.append(VideoTracks(f"cam{k + 1}", tuple(tracks)))
        starts.append(begin - clock * zero)
        clocks.append(clock)
        everybody.append(tuple(1000 + p if wrong is Outlier.ELSEWHERE else p for p in shown))
    return Scene(tuple(videos), np.array(starts) - min(starts), tuple(everybody), np.array(clocks), outliers)


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
