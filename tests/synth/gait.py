"""How people move along their ways: strides as long as the way asks for, arms, idle sway and gestures.

Walking is drawn from the angles of hip, knee and ankle over a stride as textbooks show them, by hand. Beside it every
joint sways at frequencies of its own which share no period, so that no two moments look alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.synth.body import NODES

Floats = NDArray[np.float64]

_SMOOTH = 0.22  # s over which corners of a way are rounded
_BRISK = 1.25  # m/s at which strides are full
_SWING = 0.40  # rad that a hip turns to each side of a full stride
_SIDES = (("left", 1.0, 0.0), ("right", -1.0, np.pi))  # side, sign of outward, lag of its leg


@dataclass(frozen=True)
class Stretch:
    """A way on which somebody is in the world from its first to its last point.

    Attributes:
        points: (time in seconds, x, z in metres), times increasing; straight lines between them.
    """

    points: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Embrace:
    """Two people hold each other.

    Attributes:
        first: seconds, when arms begin to rise.
        last: seconds, when they are down again.
        towards: (x, z) metres that the person faces.
    """

    first: float
    last: float
    towards: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Style:
    """What is this person's own: amplitudes, and phases and frequencies of the sway of every joint.

    Attributes:
        arms: how far they swing, 1 for many people.
        bounce: likewise for the trunk.
        gestures: how far arms are raised now and then, 1 for many people, 0 for somebody calm.
        frequencies: (joints, 3, 2) Hz of two waves.
        phases: (joints, 3, 2) radians.
    """

    arms: float
    bounce: float
    gestures: float
    frequencies: Floats
    phases: Floats

    @staticmethod
    def draw(generator: np.random.Generator, *, gestures: float = 1.0) -> Style:
        """Somebody's."""
        shape = (len(NODES), 3, 2)
        return Style(
            arms=generator.uniform(0.6, 1.3),
            bounce=generator.uniform(0.6, 1.4),
            gestures=gestures,
            frequencies=generator.uniform((0.07, 0.21), (0.19, 0.57), shape),
            phases=generator.uniform(0, 2 * np.pi, shape),
        )


@dataclass(frozen=True, eq=False)
class Track:
    """Somebody's way, per frame; NaN while out of the world.

    Attributes:
        place: (frames, 2) x and z, metres.
        yaw: (frames,) radians.
        phase: (frames,) radians of the left leg's stride.
        stride: (frames,) from 0 (stands) to 1 (walks briskly).
        embrace: (frames,) from 0 to 1.
    """

    place: Floats
    yaw: Floats
    phase: Floats
    stride: Floats
    embrace: Floats


def follow(
    stretches: Sequence[Stretch],
    embraces: Sequence[Embrace],
    *,
    frames: int,
    rate: float,
    leg: float,
    first_phase: float,
) -> Track:
    """The way of somebody who walks along these stretches.

    Args:
        stretches: one after the other; between them, before and after the person is out of the world.
        embraces: when the person hugs.
        frames: number of them.
        rate: frames per second.
        leg: metres from hip to ankle; strides are in proportion.
        first_phase: radians of the stride at the beginning.
    """
    times = np.arange(frames) / rate
    track = Track(np.full((frames, 2), np.nan), *(np.full(frames, np.nan) for _ in range(4)))
    embrace = np.zeros(frames)
    for hug in embraces:
        embrace = np.maximum(embrace, _rise(times, hug.first) - _rise(times, hug.last - 0.6))
    for stretch in stretches:
        knots = np.array(stretch.points)
        there = np.flatnonzero((times >= knots[0, 0] - 1e-9) & (times <= knots[-1, 0] + 1e-9))
        if not there.size:
            continue
        place = _smooth(times[there], knots, rate)
        velocity = np.gradient(place, axis=0) * rate if len(there) > 1 else np.zeros((1, 2))
        speed = np.hypot(velocity[:, 0], velocity[:, 1])
        stride = np.sqrt(np.clip(speed / _BRISK, 0, 1.3))
        cycles = speed / np.maximum(4 * leg * np.sin(_SWING * stride), 1e-3)
        facing = _facing(velocity, speed)
        for hug in embraces:
            near = (times[there] > hug.first - 0.8) & (times[there] < hug.last)
            facing[near] = np.array(hug.towards) - place[near]
        facing = _blur(facing / np.maximum(np.hypot(*facing.T)[:, None], 1e-9), 0.18 * rate)
        track.place[there], track.stride[there], track.embrace[there] = place, stride, embrace[there]
        track.yaw[there] = np.arctan2(facing[:, 0], facing[:, 1])
        track.phase[there] = first_phase + 2 * np.pi * np.cumsum(cycles) / rate
    return track


def angles_at(seconds: float, tracks: Sequence[Track], frame: int, styles: Sequence[Style]) -> Floats:
    """(people, joints, 3) radians: see `body.forward_kinematics`. NaN for people who are out of the world."""
    found = np.zeros((len(tracks), len(NODES), 3))
    for person, (track, style) in enumerate(zip(tracks, styles, strict=True)):
        waves = np.sin(2 * np.pi * style.frequencies * seconds + style.phases)
        angles = found[person]
        angles += 0.03 * waves.sum(-1)
        _walk(angles, float(track.phase[frame]), float(track.stride[frame]), style)
        _gesture(angles, waves, style.gestures * (1 - 0.6 * min(1.0, float(track.stride[frame]))))
        _hold(angles, float(track.embrace[frame]))
    return found


def _walk(angles: Floats, phase: float, stride: float, style: Style) -> None:
    """One stride per turn of the phase: the left heel strikes at pi/2, its toe leaves the ground at 3 pi/2."""
    angles[NODES["pelvis"]] *= 0.25  # the legs hang on it: what sways here moves the feet
    for side, outward, lag in _SIDES:
        p = phase + lag
        hip = -stride * (0.06 + _SWING * np.sin(p))
        knee = 0.06 + stride * (0.95 * _bump(p, 5.65, 3) + 0.18 * _bump(p, 2.5, 5))
        flat = (1 - np.cos(p)) / 2 if stride > 0 else 1.0  # how much the foot stands rather than swings
        legs = NODES[f"{side}_hip"], NODES[f"{side}_knee"], NODES[f"{side}_ankle"]
        angles[legs, :] *= min(1.0, 0.25 + stride)  # who stands moves the legs little
        angles[legs[0], 0] += hip
        angles[legs[0], 2] += 0.02 * outward
        angles[legs[1], 0] = abs(angles[legs[1], 0]) + knee
        angles[legs[1], 1:] *= 0.2
        angles[legs[2], 0] -= (1 - stride * (1 - flat)) * (hip + knee) - 0.4 * stride * _bump(p, 4.7, 4)
        angles[NODES[f"{side}_shoulder"], 0] += 0.45 * style.arms * stride * np.sin(p) + 0.05
        angles[NODES[f"{side}_shoulder"], 2] += 0.10 * outward
        elbow = NODES[f"{side}_elbow"]
        angles[elbow, 0] = -abs(angles[elbow, 0]) - 0.15 - stride * style.arms * (0.25 - 0.18 * np.sin(p))
        angles[elbow, 1:] *= 0.2
    angles[NODES["pelvis"], 0] += 0.04 * stride
    angles[NODES["pelvis"], 2] += 0.04 * style.bounce * stride * np.cos(phase)
    angles[NODES["chest"], 1] += 0.12 * style.bounce * stride * np.sin(phase)
    angles[NODES["chest"], 2] -= 0.05 * style.bounce * stride * np.cos(phase)
    angles[NODES["head"], 1] -= 0.10 * style.bounce * stride * np.sin(phase)


def _gesture(angles: Floats, waves: Floats, weight: float) -> None:
    """Now and then an arm is raised, when two slow waves meet; rather by those who stand."""
    for side, _, _ in _SIDES:
        shoulder, elbow = NODES[f"{side}_shoulder"], NODES[f"{side}_elbow"]
        raised = weight * max(0.0, float(waves[shoulder, 0].sum()) - 0.7)
        angles[shoulder, 0] -= 0.7 * raised
        angles[elbow, 0] -= 0.9 * raised * (1 + 0.5 * waves[elbow, 2, 1])
    angles[NODES["head"], 1] += 0.25 * waves[NODES["head"], 1].sum()


def _hold(angles: Floats, weight: float) -> None:
    """Arms around somebody who stands in front."""
    for side, outward, _ in _SIDES:
        shoulder, elbow = NODES[f"{side}_shoulder"], NODES[f"{side}_elbow"]
        angles[shoulder] += weight * (np.array([-1.15, -0.25 * outward, 0.05 * outward]) - angles[shoulder])
        angles[elbow] += weight * (np.array([-0.55, 0, -0.5 * outward]) - angles[elbow])
    angles[NODES["chest"], 0] += 0.10 * weight


def _bump(phase: float, centre: float, sharpness: float) -> float:
    """A periodic bump of height 1 (von Mises)."""
    return float(np.exp(sharpness * (np.cos(phase - centre) - 1)))


def _rise(times: Floats, first: float) -> Floats:
    """From 0 to 1 within 0.6 s from `first` on."""
    u = np.clip((times - first) / 0.6, 0, 1)
    return np.asarray(u * u * (3 - 2 * u))


def _facing(velocity: Floats, speed: Floats) -> Floats:
    """(n, 2) the way somebody moves; who stands still faces where they went or will go."""
    moves = np.flatnonzero(speed > 0.12)
    if not moves.size:
        return np.tile((0.2, -1.0), (len(speed), 1))
    last = moves[np.clip(np.searchsorted(moves, np.arange(len(speed)), side="right") - 1, 0, None)]
    return velocity[last]


def _smooth(times: Floats, knots: Floats, rate: float) -> Floats:
    """(n, 2) places on the way at these times, corners rounded."""
    margin = np.arange(1, int(4 * _SMOOTH * rate) + 2) / rate
    padded = np.concatenate([times[0] - margin[::-1], times, times[-1] + margin])
    place = np.stack([np.interp(padded, knots[:, 0], knots[:, axis]) for axis in (1, 2)], axis=1)
    return _blur(place, _SMOOTH * rate)[len(margin) : -len(margin)]


def _blur(values: Floats, sigma: float) -> Floats:
    """(n, columns) past a Gaussian along the first axis; the ends are repeated."""
    reach = max(1, int(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-6)) ** 2)
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, weights / weights.sum(), mode="valid") for column in padded.T], axis=1)
