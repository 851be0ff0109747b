"""Sports: bursts (a jump, a kick, a throw) and exercises that repeat the same movement to the end.

They are held out: only the half that is reported knows them, so that nothing is ever tuned on them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.simulation.activities import Activity, Phase, stride
from benchmarks.simulation.body import LEG, RATE, bend_legs, rhythm, still, through
from benchmarks.simulation.halves import Dice

STEADY = 0.03  # share by which the period of an exercise varies (chosen by hand: people count along)
GRAVITY = 9.81  # m/s²


def _jump(frames: int, dice: Dice) -> Phase:
    """Dip, take off, fly, land softly."""
    angles = still(frames)
    wait, dip, flight = dice.style(0.0, 0.4), dice.style(0.25, 0.45), dice.style(0.3, 0.55)
    depth, landing = dice.style(0.6, 1.1), dice.style(0.4, 0.9)
    drop = bend_legs(
        angles,
        through(frames, (wait, 0), (dip, depth), (0.18, 0), (flight, 0), (0.15, landing), (0.4, 0)),
    )
    for side in ("left", "right"):
        swing = through(frames, (wait, 0), (dip, 0.7), (0.35, -dice.style(1.4, 2.2)), (flight, -0.8), (0.5, 0))
        angles[f"{side}_shoulder"][:, 0] += swing
        angles[f"{side}_elbow"][:, 0] -= 0.3 + 0.2 * np.abs(swing)
    angles["spine"][:, 0] += through(frames, (wait, 0), (dip, 0.5), (0.2, 0), (flight, 0), (0.15, 0.35), (0.4, 0))
    t = np.arange(frames) / RATE - wait - dip - 0.18
    drop -= np.where((t > 0) & (t < flight), GRAVITY / 2 * t * (flight - t), 0)
    return Phase(angles, np.zeros(frames), drop)


def _kick(frames: int, dice: Dice) -> Phase:
    """One leg back, then forward and up; the opposite arm goes along."""
    angles = still(frames)
    leg, other = dice.generator.permutation(["left", "right"]).tolist()
    wait, back, strike, up = dice.style(0, 0.4), dice.style(0.25, 0.5), dice.style(0.18, 0.32), dice.style(0.8, 1.6)
    angles[f"{leg}_hip"][:, 0] += through(frames, (wait, 0), (back, 0.5), (strike, -up), (0.5, 0))
    angles[f"{leg}_knee"][:, 0] += through(frames, (wait, 0), (back, 1.5), (strike, 0.1), (0.3, 0.5), (0.3, 0))
    angles[f"{other}_shoulder"][:, 0] += through(frames, (wait, 0), (back, -0.9), (strike, 0.5), (0.5, 0))
    angles[f"{leg}_shoulder"][:, 2] += (1 if leg == "left" else -1) * through(frames, (wait + back, 0.8), (0.6, 0))
    angles["spine"][:, 0] += through(frames, (wait, 0), (back, -0.15), (strike, 0.3), (0.5, 0))
    return Phase(angles, np.zeros(frames), np.zeros(frames))


def _throw(frames: int, dice: Dice) -> Phase:
    """Arm and trunk wind up and come forward."""
    angles = still(frames)
    side = str(dice.generator.choice(["left", "right"]))
    sign = 1 if side == "left" else -1
    wait, wind, release = dice.style(0, 0.4), dice.style(0.35, 0.7), dice.style(0.25, 0.4)
    high, twist = dice.style(2.0, 2.8), dice.style(0.4, 0.8)
    angles[f"{side}_shoulder"][:, 0] -= through(frames, (wait, 0), (wind, high), (release, 0.5), (0.6, 0))
    angles[f"{side}_shoulder"][:, 2] += sign * through(frames, (wait, 0), (wind, 0.6), (release, -0.2), (0.6, 0))
    angles[f"{side}_elbow"][:, 0] -= through(frames, (wait, 0), (wind, 1.9), (release, 0.2), (0.6, 0.2))
    angles["spine"][:, 1] += sign * through(frames, (wait, 0), (wind, twist), (release, -twist), (0.6, 0))
    front = "right" if side == "left" else "left"  # the foot that steps forward
    step = through(frames, (wait, 0), (wind, 0.6), (release + 0.6, 0))
    angles[f"{front}_hip"][:, 0] -= step
    angles[f"{front}_knee"][:, 0] += step
    return Phase(angles, np.zeros(frames), np.zeros(frames))


def _jumping_jacks(frames: int, dice: Dice) -> Phase:
    angles = still(frames)
    phase = rhythm(frames, dice, dice.style(0.7, 1.2), seconds=1.0, unsteady=STEADY)
    opened = (1 - np.cos(phase)) / 2
    arms, legs = dice.style(2.0, 2.8), dice.style(0.25, 0.5)
    for side, sign in (("left", 1), ("right", -1)):
        angles[f"{side}_shoulder"][:, 2] += sign * arms * opened
        angles[f"{side}_hip"][:, 2] += sign * legs * opened
        angles[f"{side}_elbow"][:, 0] -= 0.3
    return Phase(angles, np.zeros(frames), LEG * (1 - np.cos(legs * opened)) - 0.08 * np.abs(np.sin(phase)))


def _squats(frames: int, dice: Dice) -> Phase:
    angles = still(frames)
    down = (1 - np.cos(rhythm(frames, dice, dice.style(0.3, 0.6), seconds=1.5, unsteady=STEADY))) / 2
    drop = bend_legs(angles, dice.style(0.6, 1.1) * down)
    forward = dice.style(0.8, 1.5)
    for side in ("left", "right"):
        angles[f"{side}_shoulder"][:, 0] -= forward * down
    angles["spine"][:, 0] += 0.4 * down
    return Phase(angles, np.zeros(frames), drop)


def _wave(frames: int, dice: Dice) -> Phase:
    angles = still(frames)
    side = str(dice.generator.choice(["left", "right"]))
    phase = rhythm(frames, dice, dice.style(0.7, 1.6), seconds=1.0, unsteady=STEADY)
    angles[f"{side}_shoulder"][:, 0] -= dice.style(1.2, 2.4)
    angles[f"{side}_shoulder"][:, 2] += (1 if side == "left" else -1) * (0.4 + dice.style(0.2, 0.5) * np.sin(phase))
    angles[f"{side}_elbow"][:, 0] -= 0.9 + 0.5 * np.sin(phase + 0.5)
    return Phase(angles, np.zeros(frames), np.zeros(frames))


def _treadmill(frames: int, dice: Dice) -> Phase:
    angles = still(frames)
    amplitude, frequency = dice.style(0.8, 1.3), dice.style(0.8, 1.1)
    stride(angles, rhythm(frames, dice, frequency, seconds=1.0, unsteady=STEADY / 2), dice, amplitude=amplitude)
    return Phase(angles, np.zeros(frames), np.zeros(frames))


SPORTS: Mapping[str, Activity] = {
    "jump": Activity(_jump, seconds=(1.6, 2.6)),
    "kick": Activity(_kick, seconds=(1.4, 2.2)),
    "throw": Activity(_throw, seconds=(1.6, 2.4)),
}
PERIODIC: Mapping[str, Activity] = {
    "jumping jacks": Activity(_jumping_jacks, seconds=None),
    "squats": Activity(_squats, seconds=None),
    "wave": Activity(_wave, seconds=None),
    "treadmill": Activity(_treadmill, seconds=None),
}
