"""Procedural human motion: a skeleton that walks, reaches, gestures, turns, crouches and idles.

Made rather than recorded, because no motion capture may be shipped with this project. Its character over 600 s, against
the Bandai Namco mocap set: wrist speed median 0.30-0.38 m/s (mocap 0.44) and 95th percentile 1.9-2.1 (2.31), spread of
joint distances 0.13 m (0.13).

World axes: x to the person's left at yaw 0, y up, z forward; metres. All randomness comes from one generator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline, make_interp_spline
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from common.skeletons import INDEX, MHR70_COUNT

Floats = NDArray[np.float64]

RATE = 60.0  # Hz at which the skeleton is posed; splines in between
FADE = 0.5  # s over which one phase turns into the next
REST_HEIGHT = 0.95  # m of the pelvis above the ground
LEG = 0.83  # m from hip to ankle


@dataclass(frozen=True)
class Joint:
    """One joint: the mhr70 keypoint it is, if any, its parent, and the offset from it in the rest pose, metres."""

    parent: str | None
    offset: tuple[float, float, float]


def _skeleton() -> Mapping[str, Joint]:
    joints = {
        "pelvis": Joint(None, (0, 0, 0)),
        "spine": Joint("pelvis", (0, 0.12, 0)),
        "chest": Joint("spine", (0, 0.15, 0)),
        "neck": Joint("chest", (0, 0.20, 0)),
        "head": Joint("neck", (0, 0.18, 0.02)),
        "nose": Joint("head", (0, 0, 0.11)),
    }
    for side, sign in (("left", 1), ("right", -1)):
        joints |= {
            f"{side}_ear": Joint("head", (0.075 * sign, 0.01, 0)),
            f"{side}_shoulder": Joint("chest", (0.17 * sign, 0.15, 0)),
            f"{side}_elbow": Joint(f"{side}_shoulder", (0, -0.28, 0)),
            f"{side}_wrist": Joint(f"{side}_elbow", (0, -0.25, 0)),
            f"{side}_hip": Joint("pelvis", (0.10 * sign, -0.05, 0)),
            f"{side}_knee": Joint(f"{side}_hip", (0, -0.42, 0)),
            f"{side}_ankle": Joint(f"{side}_knee", (0, -0.41, 0)),
            f"{side}_big_toe": Joint(f"{side}_ankle", (0, -0.06, 0.15)),
        }
    return joints


SKELETON = _skeleton()
KEYPOINTS = tuple(INDEX[name] for name in SKELETON if name in INDEX)
"""mhr70 indices of the simulated keypoints; the rest stays NaN."""

Angles = dict[str, Floats]
"""Rotation vector (frames, 3) of every joint against its parent, radians."""


@dataclass(frozen=True)
class Motion:
    """A person's movement, continuous in time."""

    spline: BSpline

    def __call__(self, times: Floats) -> Floats:
        """(instants, 70, 3) metres in world axes at these seconds of scene time; NaN for keypoints not simulated."""
        keypoints = np.full((len(times), MHR70_COUNT, 3), np.nan)
        keypoints[:, KEYPOINTS] = self.spline(times)
        return keypoints


@dataclass(frozen=True)
class _Phase:
    angles: Angles
    yaw: Floats  # radians, added to what the person faces already
    drop: Floats  # m by which the pelvis sinks


def simulate_motion(
    seconds: float, generator: np.random.Generator, *, activities: Sequence[str] | None = None
) -> Motion:
    """A person who does one thing after the other for so many seconds.

    Args:
        seconds: from scene time 0.
        generator: of everything.
        activities: to draw from, names of ACTIVITIES; by default all, walking and idling twice as often.
    """
    activities = activities or DEFAULT_ACTIVITIES
    frames, fade = int(np.ceil(seconds * RATE)), int(FADE * RATE)
    angles, yaw, drop, walking = _still(frames), np.zeros(frames), np.zeros(frames), np.zeros(frames)
    first, facing = 0, generator.uniform(0, 2 * np.pi)
    while first < frames:
        activity = activities[int(generator.integers(len(activities)))]
        length = int(generator.uniform(1.5, 6) * RATE)
        phase = ACTIVITIES[activity](length, generator)
        weight = np.ones(length)
        weight[:fade], weight[-fade:] = _ease(fade), 1 - _ease(fade)
        now, part = slice(first, first + length), slice(0, min(length, frames - first))
        for name, angle in phase.angles.items():
            angles[name][now] += (weight[:, None] * angle)[part]
        drop[now] += (weight * phase.drop)[part]
        walking[now] += (weight * (activity == "walk"))[part]
        yaw[now] += phase.yaw[part]
        yaw[first + length :] += phase.yaw[-1]
        first += length - fade
    for name in angles:
        angles[name] += _wander(frames, 3, generator, 0.12, 0.015) + _wander(frames, 3, generator, 0.7, 0.03)
    _make_hinges(angles)
    yaw = gaussian_filter1d(yaw + facing, 0.1 * RATE)
    step = 1.2 * gaussian_filter1d(walking, 0.2 * RATE) / RATE  # 1.2 m/s
    root = np.stack([np.cumsum(step * np.sin(yaw)), REST_HEIGHT - drop, np.cumsum(step * np.cos(yaw))], axis=1)
    root += _wander(frames, 3, generator, 0.5, 0.012)
    joints = _forward_kinematics(angles, yaw, root, size=generator.uniform(0.92, 1.08))
    return Motion(make_interp_spline(np.arange(frames) / RATE, joints, k=3))


def _forward_kinematics(angles: Angles, yaw: Floats, root: Floats, *, size: float) -> Floats:
    """(frames, simulated keypoints, 3) world positions."""
    position, rotation = {}, {}
    for name, joint in SKELETON.items():
        local = Rotation.from_rotvec(angles[name])
        if joint.parent is None:
            position[name], rotation[name] = root, Rotation.from_euler("y", yaw[:, None]) * local
        else:
            parent = rotation[joint.parent]
            position[name] = position[joint.parent] + parent.apply(size * np.array(joint.offset))
            rotation[name] = parent * local
    return np.stack([position[name] for name in SKELETON if name in INDEX], axis=1)


def _make_hinges(angles: Angles) -> None:
    for side in ("left", "right"):
        for joint, sign in ((f"{side}_knee", 1), (f"{side}_elbow", -1)):
            angles[joint][:, 0] = sign * np.abs(angles[joint][:, 0])
            angles[joint][:, 1:] *= 0.2


def _still(frames: int) -> Angles:
    return {name: np.zeros((frames, 3)) for name in SKELETON}


def _ease(frames: int) -> Floats:
    """From 0 to 1 with minimum jerk (Flash and Hogan, Journal of Neuroscience 1985)."""
    u = np.linspace(0, 1, frames)
    return np.asarray(u**3 * (10 - 15 * u + 6 * u**2))


def _wander(frames: int, columns: int, generator: np.random.Generator, seconds: float, amplitude: float) -> Floats:
    """Band-limited noise of that standard deviation."""
    sigma = seconds * RATE
    margin = int(4 * sigma) + 8
    noise = gaussian_filter1d(generator.standard_normal((frames + 2 * margin, columns)), sigma, axis=0)
    return np.asarray(amplitude * noise[margin : margin + frames] * np.sqrt(2 * np.sqrt(np.pi) * sigma))


def _reach_between_targets(
    frames: int,
    generator: np.random.Generator,
    low: Floats,
    high: Floats,
    *,
    move: tuple[float, float] = (0.3, 0.9),
    hold: tuple[float, float] = (0.0, 0.7),
) -> Floats:
    """(frames, values) moving from one random target to the next and resting there, for so many seconds each."""
    out, here, first = np.empty((frames, len(low))), generator.uniform(low, high), 0
    while first < frames:
        there = generator.uniform(low, high)
        moving = max(6, int(generator.uniform(*move) * RATE))
        resting = int(generator.uniform(*hold) * RATE)
        path = np.concatenate([here + (there - here) * _ease(moving)[:, None], np.repeat(there[None], resting, axis=0)])
        path = path[: frames - first]
        out[first : first + len(path)] = path
        first, here = first + len(path), there
    return out


def _stride(angles: Angles, frames: int, generator: np.random.Generator, *, amplitude: float, frequency: float) -> None:
    """Gait on the legs and, against it, on the arms; frequency in strides per second."""
    phase = 2 * np.pi * np.cumsum(frequency * (1 + _wander(frames, 1, generator, 0.6, 0.06)[:, 0])) / RATE
    phase = phase + generator.uniform(0, 2 * np.pi)
    swing = generator.uniform(0.2, 0.7)
    for side, lag in (("left", 0.0), ("right", np.pi)):
        p = phase + lag
        angles[f"{side}_hip"][:, 0] -= amplitude * (0.12 + 0.45 * np.sin(p))
        angles[f"{side}_knee"][:, 0] += amplitude * (0.45 - 0.40 * np.cos(p - 0.9) + 0.12 * np.cos(2 * p))
        angles[f"{side}_ankle"][:, 0] += amplitude * 0.2 * np.sin(p + 2.0)
        angles[f"{side}_shoulder"][:, 0] += amplitude * swing * np.sin(p)
        angles[f"{side}_elbow"][:, 0] -= amplitude * (0.35 - 0.25 * np.sin(p))
    angles["spine"][:, 1] += amplitude * 0.12 * np.sin(phase)
    angles["pelvis"][:, 2] += amplitude * 0.05 * np.sin(phase)


def _move_arm(
    angles: Angles, side: str, frames: int, generator: np.random.Generator, **timing: tuple[float, float]
) -> None:
    low, high = np.array([-1.9, -0.6, 0.0, -1.9]), np.array([0.3, 0.6, 0.9, -0.1])
    target = _reach_between_targets(frames, generator, low, high, **timing)
    sign = 1 if side == "left" else -1
    angles[f"{side}_shoulder"] += target[:, :3] * np.array([1, sign, sign])
    angles[f"{side}_elbow"][:, 0] += target[:, 3]


def _walk(frames: int, generator: np.random.Generator) -> _Phase:
    angles = _still(frames)
    amplitude, frequency = generator.uniform(0.6, 1.3), generator.uniform(0.7, 1.2)
    _stride(angles, frames, generator, amplitude=amplitude, frequency=frequency)
    yaw = np.cumsum(_wander(frames, 1, generator, 1.0, 0.25)[:, 0]) / RATE
    return _Phase(angles, yaw, np.zeros(frames))


def _reach(frames: int, generator: np.random.Generator) -> _Phase:
    angles = _still(frames)
    sides = ("left", "right") if generator.random() < 0.6 else (str(generator.choice(["left", "right"])),)
    for side in sides:
        _move_arm(angles, side, frames, generator)
    low, high = np.array([-0.1, -0.5, -0.15]), np.array([0.6, 0.5, 0.15])
    angles["spine"] += _reach_between_targets(frames, generator, low, high, move=(0.5, 1.5))
    return _Phase(angles, np.zeros(frames), np.zeros(frames))


def _gesture(frames: int, generator: np.random.Generator) -> _Phase:
    angles = _still(frames)
    side, other = generator.permutation(["left", "right"]).tolist()
    rhythm = generator.uniform(0.8, 2.3) * (1 + _wander(frames, 1, generator, 0.4, 0.1)[:, 0])
    phase = 2 * np.pi * np.cumsum(rhythm) / RATE
    angles[f"{side}_shoulder"][:, 0] += generator.uniform(-2.4, -0.6)
    angles[f"{side}_shoulder"][:, 2] += (1 if side == "left" else -1) * (0.5 + 0.3 * np.sin(phase))
    angles[f"{side}_elbow"][:, 0] += -1.2 + generator.uniform(0.2, 0.7) * np.sin(phase + 1)
    _move_arm(angles, other, frames, generator, move=(0.6, 1.5), hold=(0.5, 2.0))
    return _Phase(angles, np.zeros(frames), np.zeros(frames))


def _turn(frames: int, generator: np.random.Generator) -> _Phase:
    angles, yaw = _still(frames), np.zeros(frames)
    _stride(angles, frames, generator, amplitude=0.5, frequency=generator.uniform(0.7, 1.0))
    length = min(frames, int(generator.uniform(0.8, 2.0) * RATE))
    first = generator.integers(0, frames - length + 1)
    yaw[first : first + length], yaw[first + length :] = _ease(length), 1
    yaw *= generator.choice([-1, 1]) * generator.uniform(1.0, 3.1)
    angles["neck"][:, 1] += 0.3 * np.gradient(gaussian_filter1d(yaw, 8)) * RATE / 2  # the head turns first
    return _Phase(angles, yaw, np.zeros(frames))


def _crouch(frames: int, generator: np.random.Generator) -> _Phase:
    angles, depth = _still(frames), np.zeros(frames)
    length = max(12, int(generator.uniform(0.6, 1.2) * RATE))
    first = int(generator.integers(0, max(1, frames - 2 * length)))
    up = min(frames, first + 2 * length + int(generator.uniform(0, 1) * RATE))
    depth[first : first + length] = _ease(length)[: max(0, min(length, frames - first))]
    depth[first + length : up] = 1
    depth[up : up + length] = 1 - _ease(length)[: len(depth[up : up + length])]
    bend = generator.uniform(0.3, 1.2) * depth
    for side in ("left", "right"):
        angles[f"{side}_hip"][:, 0] -= bend
        angles[f"{side}_knee"][:, 0] += 2 * bend
        angles[f"{side}_ankle"][:, 0] -= bend
        _move_arm(angles, side, frames, generator, move=(0.6, 1.5), hold=(0.3, 1.5))
    angles["spine"][:, 0] += 0.4 * bend
    return _Phase(angles, np.zeros(frames), LEG * (1 - np.cos(bend)))


def _idle(frames: int, generator: np.random.Generator) -> _Phase:
    angles = {name: _wander(frames, 3, generator, 0.8, 0.03) for name in SKELETON}
    return _Phase(angles, np.zeros(frames), np.zeros(frames))


ACTIVITIES: Mapping[str, Callable[[int, np.random.Generator], _Phase]] = {
    "walk": _walk,
    "reach": _reach,
    "gesture": _gesture,
    "turn": _turn,
    "crouch": _crouch,
    "idle": _idle,
}
DEFAULT_ACTIVITIES = ("walk", "walk", "reach", "gesture", "turn", "crouch", "idle", "idle")
