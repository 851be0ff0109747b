"""Calibrated cameras around made-up people: where they stand, and the pixels at which a detector sees the joints.

Beside the 3D joints that `observe` gives, every track has image points: projected, and wrong in the ways in which
detectors are wrong. A detector sees a joint somewhere on the near surface of the body, so that cameras from two sides
see two points: the bias, part of which turns with the person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter
from scipy.spatial.transform import Rotation

from benchmarks.simulation.cameras import LEVELS, WANDER_TIME, Scene, observe
from benchmarks.simulation.halves import Half
from benchmarks.simulation.motion import KEYPOINTS, RATE, Motion, simulate_motion
from common.cameras import Camera, camera_centre, project
from common.skeletons import HIPS, MIRROR_PAIRS, SHOULDERS
from stages.sync.tracks import VideoTracks

Floats = NDArray[np.float64]

WIDTH, HEIGHT, FOCAL = 1920, 1080, 1400.0  # px: 69 degrees across, an action camera without its fisheye
DISTORTION = (-0.12, 0.04, 0.0005, -0.0005, 0.0)  # a mild barrel
NEAR, FAR = 3.5, 6.0  # m from the middle of the scene
PACE = 2.0  # s, standard deviation: slower walks than this stay in place, so that people do not leave the scene


@dataclass(frozen=True)
class Blur:
    """Errors of a 2D detector in pixels, for a person 4 m away (px that go with the metres of `cameras.Level`).

    Attributes:
        white: standard deviation of the error of every frame and joint.
        wander: of the error that changes over WANDER_TIME.
        bias: of the constant error of every joint and camera, and of the one that turns with the person.
        swapped: share of frames with left and right exchanged.
    """

    white: float
    wander: float
    bias: float
    swapped: float


BLURS = {
    "clean": Blur(0, 0, 0, 0),
    "easy": Blur(3, 3, 4, 0),
    "medium": Blur(6, 8, 8, 0.01),
    "hard": Blur(12, 16, 16, 0.05),
}


def simulate_calibrated_scene(
    generator: np.random.Generator,
    *,
    cameras: int,
    seconds: float,
    level: str = "medium",
    people: int = 1,
    max_start: float = 10.0,
    rates: Sequence[float] = (30.0,),
    activities: Sequence[str] | None = None,
    half: Half | None = None,
) -> Scene:
    """Calibrated cameras around people who stay within some metres, each started within `max_start` seconds.

    Args:
        generator: of everything.
        cameras: number of videos.
        seconds: length of each.
        level: key of LEVELS and of BLURS.
        people: number of persons; their order differs from video to video.
        max_start: seconds.
        rates: frames per second, one for all videos or one each.
        activities: what the persons do; see simulate_motion.
        half: whose styles of movement come up.

    Returns:
        Recordings with cameras and image points.
    """
    longest = seconds + max_start + 2
    motions = []
    for _ in range(people):
        motion = simulate_motion(longest, generator, activities=activities, half=half)
        motions.append(in_place(motion, longest, generator.uniform(-1, 1, 2)))
    videos, starts, everybody = [], [], []
    for k, camera in enumerate(cameras_around(cameras, generator)):
        begin, rate = generator.uniform(0, max_start), rates[k % len(rates)]
        pts = np.arange(int(seconds * rate)) / rate
        order = [int(p) for p in generator.permutation(people)]
        tracks = []
        for number, p in enumerate(order, start=1):
            rotation = camera.camera_T_world[:3, :3]
            track = observe(motions[p], begin + pts, pts, LEVELS[level], generator, rotation=rotation, person=number)
            pixels = detect(motions[p], begin + track.times, camera, BLURS[level], rate, generator)
            tracks.append(replace(track, image_points=pixels))
        videos.append(VideoTracks(f"cam{k + 1}", tuple(tracks), camera))
        starts.append(begin)
        everybody.append(tuple(order))
    return Scene(tuple(videos), np.array(starts) - min(starts), tuple(everybody))


def cameras_around(count: int, generator: np.random.Generator) -> list[Camera]:
    """Cameras in a circle about the origin of the world (y up), at any height of a tripod, that look at the middle."""
    yaws = generator.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(count) / count + generator.uniform(-0.4, 0.4, count)
    found = []
    for yaw in generator.permutation(yaws):
        distance, height = generator.uniform(NEAR, FAR), generator.uniform(0.8, 2.4)
        centre = np.array([distance * np.sin(yaw), height, distance * np.cos(yaw)])
        target = np.array([0, 0.9, 0]) + generator.normal(0, 0.15, 3)
        found.append(look_at(centre, target, roll=generator.uniform(-5, 5)))
    return found


def look_at(centre: Floats, target: Floats, *, roll: float = 0.0) -> Camera:
    """A camera at `centre` (metres, y up) that has `target` in its middle, rolled by so many degrees."""
    forward = (target - centre) / np.linalg.norm(target - centre)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    rotation = Rotation.from_euler("z", roll, degrees=True).as_matrix() @ np.stack(
        [right, np.cross(forward, right), forward]
    )
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ centre
    matrix = np.array([[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1]])
    return Camera(matrix, pose, DISTORTION)


def wrongly_calibrated(camera: Camera, generator: np.random.Generator, *, degrees: float, metres: float) -> Camera:
    """The same camera as a wrong calibration has it: turned and moved by that much in a random direction."""
    axis, way = (vector / np.linalg.norm(vector) for vector in generator.standard_normal((2, 3)))
    turn = Rotation.from_rotvec(np.radians(degrees) * axis).as_matrix()
    pose = np.eye(4)
    pose[:3, :3] = turn @ camera.camera_T_world[:3, :3]
    pose[:3, 3] = -pose[:3, :3] @ (camera_centre(camera) + metres * way)
    return replace(camera, camera_T_world=pose)


def in_place(motion: Motion, seconds: float, home: Floats) -> Motion:
    """The same movement without the slow part of the way that it covers: a walk to and fro.

    Args:
        motion: of somebody who may end far away.
        seconds: for which it is wanted.
        home: (2,) where the person stays, x and z in metres.
    """
    times = np.arange(int(np.ceil(seconds * RATE))) / RATE
    joints = motion(times)
    floor = joints[:, HIPS].mean(1) * np.array([1, 0, 1])
    drift = gaussian_filter1d(floor, PACE * RATE, axis=0, mode="nearest") - [home[0], 0.0, home[1]]
    return Motion(make_interp_spline(times, (joints - drift[:, None])[:, KEYPOINTS], k=3))


def detect(
    motion: Motion, scene_times: Floats, camera: Camera, blur: Blur, rate: float, generator: np.random.Generator
) -> Floats:
    """(frames, 70, 2) pixels at which a detector sees the joints; NaN outside the frame and where not simulated.

    Args:
        motion: of the person, world axes.
        scene_times: (frames,) seconds.
        camera: that looks.
        blur: errors.
        rate: frames per second.
        generator: of the errors.
    """
    joints = motion(scene_times)
    pixels = project(camera, joints)
    shape = pixels.shape
    error = blur.white * generator.standard_normal(shape)
    fade = np.exp(-1 / (WANDER_TIME * rate))
    steps = generator.standard_normal(shape) * np.sqrt(1 - fade**2)
    steps[:1] /= np.sqrt(1 - fade**2)
    error += blur.wander * np.asarray(lfilter([1], [1, -fade], steps, axis=0))
    across = joints[:, SHOULDERS[0]] - joints[:, SHOULDERS[1]]
    side = np.arctan2(*(across @ camera.camera_T_world[:3, :3].T)[:, [2, 0]].T)  # 0: seen from behind or in front
    fixed, cosine, sine = generator.standard_normal((3, 1, *shape[1:])) * np.array([0.7, 0.5, 0.5])[:, None, None, None]
    turning = cosine * np.cos(side)[:, None, None] + sine * np.sin(side)[:, None, None]
    error += blur.bias * (fixed + turning)
    depth = (joints @ camera.camera_T_world[2, :3] + camera.camera_T_world[2, 3])[..., None]
    pixels += error * 4.0 / depth
    swapped = np.flatnonzero(generator.random(len(pixels)) < blur.swapped)
    for left, right in MIRROR_PAIRS:
        pixels[swapped, left], pixels[swapped, right] = pixels[swapped, right], pixels[swapped, left]
    inside = np.all((pixels >= 0) & (pixels <= [WIDTH - 1, HEIGHT - 1]), axis=-1, keepdims=True)
    return np.where(inside, pixels, np.nan)
