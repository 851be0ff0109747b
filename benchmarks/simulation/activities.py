"""What people do all day: walk, reach, gesture, turn, crouch, idle, stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from benchmarks.simulation.body import (
    RATE,
    SKELETON,
    Angles,
    bend_legs,
    between_targets,
    ease,
    rhythm,
    still,
    wander,
)
from benchmarks.simulation.halves import Dice

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Phase:
    """One stretch of one activity.

    Attributes:
        angles: of the joints.
        yaw: (frames,) radians, added to where the person faces already.
        drop: (frames,) metres by which the pelvis sinks; negative in the air.
    """

    angles: Angles
    yaw: Floats
    drop: Floats


@dataclass(frozen=True)
class Activity:
    """Something to do.

    Attributes:
        perform: for so many frames, in the style that the dice give.
        seconds: shortest and longest stretch; None: to the end, once begun.
        speed: forward, m/s.
    """

    perform: Callable[[int, Dice], Phase]
    seconds: tuple[float, float] | None = (1.5, 6.0)
    speed: float = 0.0


def stride(angles: Angles, phase: Floats, dice: Dice, *, amplitude: float) -> None:
    """Gait on the legs and, against it, on the arms; one stride per turn of the phase."""
    swing = dice.style(0.2, 0.7)
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
    angles: Angles,
    side: str,
    dice: Dice,
    *,
    move: tuple[float, float] = (0.3, 0.9),
    hold: tuple[float, float] = (0.0, 0.7),
) -> None:
    low, high = (-1.9, -0.6, 0.0, -1.9), (0.3, 0.6, 0.9, -0.1)
    target = between_targets(len(angles["pelvis"]), dice, low, high, move=move, hold=hold)
    sign = 1 if side == "left" else -1
    angles[f"{side}_shoulder"] += target[:, :3] * np.array([1, sign, sign])
    angles[f"{side}_elbow"][:, 0] += target[:, 3]


def _walk(frames: int, dice: Dice) -> Phase:
    angles = still(frames)
    amplitude, frequency = dice.style(0.6, 1.3), dice.style(0.7, 1.2)
    stride(angles, rhythm(frames, dice, frequency, seconds=0.6, unsteady=0.06), dice, amplitude=amplitude)
    yaw = np.cumsum(wander(frames, 1, dice.generator, 1.0, 0.25)[:, 0]) / RATE
    return Phase(angles, yaw, np.zeros(frames))


def _reach(frames: int, dice: Dice) -> Phase:
    angles = still(frames)
    either = str(dice.generator.choice(["left", "right"]))
    for side in ("left", "right") if dice.generator.random() < 0.6 else (either,):
        _move_arm(angles, side, dice)
    angles["spine"] += between_targets(frames, dice, (-0.1, -0.5, -0.15), (0.6, 0.5, 0.15), move=(0.5, 1.5))
    return Phase(angles, np.zeros(frames), np.zeros(frames))


def _gesture(frames: int, dice: Dice) -> Phase:
    angles = still(frames)
    side, other = dice.generator.permutation(["left", "right"]).tolist()
    phase = rhythm(frames, dice, dice.style(0.8, 2.3), seconds=0.4, unsteady=0.1)
    angles[f"{side}_shoulder"][:, 0] += dice.style(-2.4, -0.6)
    angles[f"{side}_shoulder"][:, 2] += (1 if side == "left" else -1) * (0.5 + 0.3 * np.sin(phase))
    angles[f"{side}_elbow"][:, 0] += -1.2 + dice.style(0.2, 0.7) * np.sin(phase + 1)
    _move_arm(angles, other, dice, move=(0.6, 1.5), hold=(0.5, 2.0))
    return Phase(angles, np.zeros(frames), np.zeros(frames))


def _turn(frames: int, dice: Dice) -> Phase:
    angles, yaw = still(frames), np.zeros(frames)
    phase = rhythm(frames, dice, dice.style(0.7, 1.0), seconds=0.6, unsteady=0.06)
    stride(angles, phase, dice, amplitude=0.5)
    length = min(frames, int(dice.style(0.8, 2.0) * RATE))
    first = dice.generator.integers(0, frames - length + 1)
    yaw[first : first + length], yaw[first + length :] = ease(length), 1
    yaw *= dice.generator.choice([-1, 1]) * dice.style(1.0, 3.1)
    angles["neck"][:, 1] += 0.3 * np.gradient(gaussian_filter1d(yaw, 8)) * RATE / 2  # the head turns first
    return Phase(angles, yaw, np.zeros(frames))


def _crouch(frames: int, dice: Dice) -> Phase:
    angles, depth = still(frames), np.zeros(frames)
    length = max(12, int(dice.style(0.6, 1.2) * RATE))
    first = int(dice.generator.integers(0, max(1, frames - 2 * length)))
    up = min(frames, first + 2 * length + int(dice.style(0, 1) * RATE))
    depth[first : first + length] = ease(length)[: max(0, min(length, frames - first))]
    depth[first + length : up] = 1
    depth[up : up + length] = 1 - ease(length)[: len(depth[up : up + length])]
    bend = dice.style(0.3, 1.2) * depth
    drop = bend_legs(angles, bend)
    for side in ("left", "right"):
        _move_arm(angles, side, dice, move=(0.6, 1.5), hold=(0.3, 1.5))
    angles["spine"][:, 0] += 0.4 * bend
    return Phase(angles, np.zeros(frames), drop)


def _idle(frames: int, dice: Dice) -> Phase:
    angles = {name: wander(frames, 3, dice.generator, 0.8, 0.03) for name in SKELETON}
    return Phase(angles, np.zeros(frames), np.zeros(frames))


def _stand(frames: int, dice: Dice) -> Phase:
    return Phase(still(frames), np.zeros(frames), np.zeros(frames))


EVERYDAY: Mapping[str, Activity] = {
    "walk": Activity(_walk, speed=1.2),
    "reach": Activity(_reach),
    "gesture": Activity(_gesture),
    "turn": Activity(_turn),
    "crouch": Activity(_crouch),
    "idle": Activity(_idle),
    "stand": Activity(_stand),
}
DEFAULT_ACTIVITIES = ("walk", "walk", "reach", "gesture", "turn", "crouch", "idle", "idle")
