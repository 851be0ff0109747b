"""Procedural human motion: somebody does one thing after the other, smoothly, for as long as asked.

Made rather than recorded, because no motion capture may be shipped with this project. Its character over 600 s, in both
halves, against the Bandai Namco mocap set: wrist speed relative to the pelvis, median 0.3-0.45 m/s (mocap 0.44) and
95th percentile 1.8-2.3 (2.31), spread of joint distances 0.07-0.29 m (0.13).

World axes: x to the person's left at yaw 0, y up, z forward; metres. All randomness comes from one generator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline, make_interp_spline
from scipy.ndimage import gaussian_filter1d

from benchmarks.simulation.activities import DEFAULT_ACTIVITIES, EVERYDAY, Activity
from benchmarks.simulation.body import (
    KEYPOINTS,
    RATE,
    REST_HEIGHT,
    ease,
    forward_kinematics,
    make_hinges,
    still,
    wander,
)
from benchmarks.simulation.exercises import PERIODIC, SPORTS
from benchmarks.simulation.halves import Dice, Half
from common.skeletons import MHR70_COUNT, MIRROR

__all__ = ["ACTIVITIES", "HELD_OUT", "KEYPOINTS", "RATE", "Motion", "mirror_image", "simulate_motion"]

Floats = NDArray[np.float64]

FADE = 0.5  # s over which one phase turns into the next
REACTION = (0.2, 0.4)  # s that somebody who copies another is behind (human reaction times)

HELD_OUT: Mapping[str, Activity] = {**SPORTS, **PERIODIC}
"""Not for the half that is tuned on."""

ACTIVITIES: Mapping[str, Activity] = {**EVERYDAY, **HELD_OUT}


@dataclass(frozen=True)
class Motion:
    """A person's movement, continuous in time."""

    spline: BSpline

    def __call__(self, times: Floats) -> Floats:
        """(instants, 70, 3) metres in world axes at these seconds of scene time; NaN for keypoints not simulated."""
        keypoints = np.full((len(times), MHR70_COUNT, 3), np.nan)
        keypoints[:, KEYPOINTS] = self.spline(times)
        return keypoints


def simulate_motion(
    seconds: float,
    generator: np.random.Generator,
    *,
    activities: Sequence[str] | None = None,
    half: Half | None = None,
) -> Motion:
    """A person who does one thing after the other for so many seconds.

    Args:
        seconds: from scene time 0.
        generator: of everything.
        activities: to draw from, names of ACTIVITIES; by default those of every day, walking and idling twice as often.
        half: draw styles of this half alone.

    Raises:
        ValueError: a held-out activity in the half that is tuned on.
    """
    activities = activities or DEFAULT_ACTIVITIES
    if half == "tune" and (held_out := HELD_OUT.keys() & set(activities)):
        raise ValueError(f"activities: {sorted(held_out)} are held out: nothing may be tuned on them. Use 'report'.")
    dice = Dice(generator, half)
    frames, fade = int(np.ceil(seconds * RATE)), int(FADE * RATE)
    angles, yaw, drop, speed = still(frames), np.zeros(frames), np.zeros(frames), np.zeros(frames)
    first, facing = 0, generator.uniform(0, 2 * np.pi)
    while first < frames:
        activity = ACTIVITIES[activities[int(generator.integers(len(activities)))]]
        to_the_end = frames - first + fade
        length = int(dice.style(*activity.seconds) * RATE) if activity.seconds else to_the_end
        phase = activity.perform(length, dice)
        weight = np.ones(length)
        weight[-fade:] = 1 - ease(fade)
        if first > 0:  # the first thing is under way already
            weight[:fade] = ease(fade)
        now, part = slice(first, first + length), slice(0, min(length, frames - first))
        for name, angle in phase.angles.items():
            angles[name][now] += (weight[:, None] * angle)[part]
        drop[now] += (weight * phase.drop)[part]
        speed[now] += (weight * activity.speed)[part]
        yaw[now] += phase.yaw[part]
        yaw[first + length :] += phase.yaw[-1]
        first += length - fade
    for name in angles:
        angles[name] += wander(frames, 3, generator, 0.12, 0.015) + wander(frames, 3, generator, 0.7, 0.03)
    make_hinges(angles)
    yaw = gaussian_filter1d(yaw + facing, 0.1 * RATE)
    step = gaussian_filter1d(speed, 0.2 * RATE) / RATE
    root = np.stack([np.cumsum(step * np.sin(yaw)), REST_HEIGHT - drop, np.cumsum(step * np.cos(yaw))], axis=1)
    root += wander(frames, 3, generator, 0.5, 0.012)
    return _spline(forward_kinematics(angles, yaw, root, size=dice.style(0.92, 1.08)))


def mirror_image(motion: Motion, seconds: float, generator: np.random.Generator) -> Motion:
    """Somebody who faces the first person and copies every movement as a mirror does, a human moment later.

    Args:
        motion: of the first.
        seconds: how long.
        generator: of the delay, which drifts by some hundredths of a second.
    """
    times = np.arange(int(np.ceil(seconds * RATE))) / RATE
    delay = generator.uniform(*REACTION) + wander(len(times), 1, generator, 2.0, 0.02)[:, 0]
    followed = motion(np.clip(times - delay, 0, None)) * [-1, 1, 1]
    return _spline(followed[:, MIRROR][:, KEYPOINTS])


def _spline(joints: Floats) -> Motion:
    return Motion(make_interp_spline(np.arange(len(joints)) / RATE, joints, k=3))
