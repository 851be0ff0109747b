"""The skeleton that performs, and the curves from which its movements are made.

World axes: x to the person's left at yaw 0, y up, z forward; metres, radians. Curves have one value per 1 / RATE s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.spatial.transform import Rotation

from benchmarks.simulation.halves import Dice
from common.skeletons import INDEX

Floats = NDArray[np.float64]

RATE = 60.0  # Hz at which the skeleton is posed; splines in between
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
"""Rotation vector (frames, 3) of every joint against its parent, radians. Forward is negative about x at hips and
shoulders, bent is positive about x at knees and negative at elbows; out to the person's left is positive about z."""


def still(frames: int) -> Angles:
    """The rest pose: upright, arms hanging."""
    return {name: np.zeros((frames, 3)) for name in SKELETON}


def forward_kinematics(angles: Angles, yaw: Floats, root: Floats, *, size: float) -> Floats:
    """(frames, simulated keypoints, 3) world positions, metres; `root` is the pelvis, `size` scales all limbs."""
    position, rotation = {}, {}  # rotation: (frames, 3, 3) from the joint's axes to the world's
    for name, joint in SKELETON.items():
        local = Rotation.from_rotvec(angles[name]).as_matrix()
        if joint.parent is None:
            position[name], rotation[name] = root, Rotation.from_euler("y", yaw[:, None]).as_matrix() @ local
        else:
            parent = rotation[joint.parent]
            position[name] = position[joint.parent] + parent @ (size * np.array(joint.offset))
            rotation[name] = parent @ local
    return np.stack([position[name] for name in SKELETON if name in INDEX], axis=1)


def make_hinges(angles: Angles) -> None:
    """Knees and elbows bend one way only and hardly twist."""
    for side in ("left", "right"):
        for joint, sign in ((f"{side}_knee", 1), (f"{side}_elbow", -1)):
            angles[joint][:, 0] = sign * np.abs(angles[joint][:, 0])
            angles[joint][:, 1:] *= 0.2


def bend_legs(angles: Angles, bend: Floats) -> Floats:
    """Bends both legs over the feet by that angle at hip and ankle; returns by how many metres the pelvis sinks."""
    for side in ("left", "right"):
        angles[f"{side}_hip"][:, 0] -= bend
        angles[f"{side}_knee"][:, 0] += 2 * bend
        angles[f"{side}_ankle"][:, 0] -= bend
    return LEG * (1 - np.cos(bend))


def ease(frames: int) -> Floats:
    """From 0 to 1 with minimum jerk (Flash and Hogan, Journal of Neuroscience 1985)."""
    u = np.linspace(0, 1, frames)
    return np.asarray(u**3 * (10 - 15 * u + 6 * u**2))


def through(frames: int, *knots: tuple[float, float]) -> Floats:
    """(frames,) a curve from 0 through (seconds to get there, value) one after the other, resting at the last."""
    out, here, first = np.empty(frames), 0.0, 0
    for seconds, value in knots:
        path = here + (value - here) * ease(max(2, int(seconds * RATE)))
        out[first : first + len(path)] = path[: max(0, frames - first)]
        first, here = first + len(path), value
    out[first:] = here
    return out


def wander(frames: int, columns: int, generator: np.random.Generator, seconds: float, amplitude: float) -> Floats:
    """(frames, columns) noise of that standard deviation, smooth over so many seconds: white noise past a Gaussian."""
    sigma = seconds * RATE
    length = next_fast_len(frames + int(8 * sigma), real=True)  # the filter wraps around, and that part is not used
    passed = np.exp(-2 * (np.pi * sigma * np.fft.rfftfreq(length)) ** 2)
    spectrum = rfft(generator.standard_normal((length, columns)), axis=0) * passed[:, None]
    noise = irfft(spectrum, length, axis=0)[:frames]
    return np.asarray(amplitude * noise * np.sqrt(2 * np.sqrt(np.pi) * sigma))


def rhythm(frames: int, dice: Dice, frequency: float, *, seconds: float, unsteady: float) -> Floats:
    """(frames,) radians of a cycle that repeats `frequency` times a second, unsteady by that share over so long."""
    steady = 1 + wander(frames, 1, dice.generator, seconds, unsteady)[:, 0]
    return 2 * np.pi * np.cumsum(frequency * steady) / RATE + dice.generator.uniform(0, 2 * np.pi)


def between_targets(
    frames: int,
    dice: Dice,
    low: Sequence[float],
    high: Sequence[float],
    *,
    move: tuple[float, float] = (0.3, 0.9),
    hold: tuple[float, float] = (0.0, 0.7),
) -> Floats:
    """(frames, values) moving from one random target to the next and resting there, for so many seconds each."""
    lowest, highest = np.array(low, dtype=np.float64), np.array(high, dtype=np.float64)
    out, here, first = np.empty((frames, len(lowest))), dice.styles(lowest, highest), 0
    while first < frames:
        there = dice.styles(lowest, highest)
        moving = max(6, int(dice.style(*move) * RATE))
        resting = int(dice.style(*hold) * RATE)
        path = np.concatenate([here + (there - here) * ease(moving)[:, None], np.repeat(there[None], resting, axis=0)])
        path = path[: frames - first]
        out[first : first + len(path)] = path
        first, here = first + len(path), there
    return out
