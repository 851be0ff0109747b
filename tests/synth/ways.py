"""Where the people of a scene go: ways through stations that a script gives, or to and fro as chance has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.synth.gait import Embrace, Stretch

Points = list[tuple[float, float, float]]
"""Stations: seconds, x, z in metres."""

ACT = 22.0  # s after which the script of a crowd begins anew, with other chances
DOOR = (8.0, -2.4)  # (x, z) metres, on both sides
NEAR, FAR = -3.6, 3.0  # m: z of those who cross, 3.4 and 10 m from the first camera
ALIGNED = (7 + NEAR) / (7 + FAR)  # x of what hides against x of what is hidden, seen from the first camera
PASSING = 1.0  # s before and after crossing in which somebody walks evenly
PILLAR = (1.5, -0.3)  # (x, z) metres


@dataclass(frozen=True)
class Way:
    """Where somebody goes, and whom they hug."""

    stretches: tuple[Stretch, ...]
    embraces: tuple[Embrace, ...] = ()


@dataclass(frozen=True)
class Pass:
    """When person 1 passes in front of person 2, and how fast (m/s)."""

    seconds: float
    speed: float

    def points(self, x: float, side: float) -> Points:
        """Evenly past a place, from so many seconds before to so many after."""
        reach = PASSING * side * self.speed
        return [(self.seconds - PASSING, x - reach, NEAR), (self.seconds + PASSING, x + reach, NEAR)]


def walker(passes: Sequence[Pass], side: float, people: int) -> Way:
    """Person 1 of a crowd: passes in front of person 2 in every act; with four people, meets person 4 to hug."""
    points: Points = []
    embraces = []
    for act, passing in enumerate(passes):
        t = act * ACT
        points += [(t, -1.3 * side, NEAR), *passing.points(ALIGNED * 0.6 * side, side)]
        points += [(t + 5.0, 1.4 * side, NEAR), (t + 7.3, 1.4 * side, NEAR)]
        points += [(t + 9.2, 0.22 * side, -2.0), (t + 12.0, 0.22 * side, -2.0), (t + 13.2, 0.6 * side, -3.2)]
        points += [(t + 16.5, -3.0 * side, NEAR), (t + 19.0, -3.0 * side, NEAR)]
        if people >= 4:
            embraces.append(Embrace(t + 9.6, t + 12.0, (-0.22 * side, -2.0)))
    end = len(passes) * ACT
    return Way((Stretch((*points, (end, -1.3 * side, NEAR))),), tuple(embraces))


def leaver(acts: int, side: float) -> Way:
    """Person 2: stands far from the first camera, goes out by one door and comes back by the other."""
    x = 0.6 * side
    stretches, points = [], []
    for act in range(acts):
        t = act * ACT
        points += [(t, x, FAR + 1.07), (t + 5.0, x, FAR - 1.07), (t + 10.6, DOOR[0] * side, DOOR[1])]
        stretches.append(Stretch(tuple(points)))
        points = [(t + 14.5, -DOOR[0] * side, DOOR[1])]
    return Way((*stretches, Stretch((*points, (acts * ACT, x, FAR + 1.07)))))


def hider(acts: int, side: float, chances: NDArray[np.float64]) -> Way:
    """Person 3: to and fro behind the pillar, a little differently in every act."""
    behind = PILLAR[0] * 7.6 / (7 + PILLAR[1]) * side
    points: Points = []
    for act in range(acts):
        t, chance = act * ACT, chances[act]
        points += [
            (t, -2.5 * side, 0.6),
            (t + 5.4 + 0.2 * chance[0], behind, 0.6),
            (t + 8.2 + 0.2 * chance[1], behind, 0.6),
        ]
        points += [(t + 10.2, (3.1 + 0.3 * chance[2]) * side, 0.6 + 0.2 * chance[3])]
        points += [
            (t + 15.5, -2.2 * side, 0.6),
            (t + 18.7, -2.2 * side, 0.6),
            (t + 20, (-1.0 + 0.4 * chance[4]) * side, 0.6),
        ]
    return Way((Stretch((*points, (acts * ACT, -2.5 * side, 0.6))),))


def latecomer(acts: int, side: float) -> Way:
    """Person 4: comes late, hugs person 1, stands still and leaves."""
    stretches, embraces = [], []
    for act in range(acts):
        t = act * ACT
        points: Points = [(t + 3.0, -DOOR[0] * side, DOOR[1]), (t + 7.2, -2.2 * side, -1.3)]
        points += [(t + 9.2, -0.22 * side, -2.0), (t + 12.0, -0.22 * side, -2.0), (t + 12.9, -0.5 * side, -1.2)]
        points += [(t + 14.7, 1.6 * side, -1.0), (t + 17.5, 1.6 * side, -1.0), (t + 21.8, DOOR[0] * side, DOOR[1])]
        stretches.append(Stretch(tuple(points)))
        embraces.append(Embrace(t + 9.6, t + 12.0, (0.22 * side, -2.0)))
    return Way(tuple(stretches), tuple(embraces))


def wanderer(number: int, seconds: float, generator: np.random.Generator) -> Way:
    """Whoever is more: to and fro in the background, each at a depth of their own."""
    z = 4.8 + 0.8 * ((number - 1) % 9)
    points: Points = [(0.0, float(generator.uniform(-3.5, 3.5)), z)]
    return Way((Stretch(tuple(strolling(points, seconds, z, 5.0, generator))),))


def strolling(points: Points, seconds: float, z: float, reach: float, generator: np.random.Generator) -> Points:
    """These points, and from the last one on to and fro, resting now and then."""
    time, x = points[-1][:2]
    while time < seconds + 1:
        rest = float(generator.choice((0.0, 0.0, 1.4)))
        target = float(generator.uniform(-reach, reach))
        walk = max(0.4, abs(target - x) / generator.uniform(0.7, 1.3))
        if rest:
            points.append((time + rest, x, z))
        time, x = time + rest + walk, target
        points.append((time, x, z + float(generator.uniform(-0.15, 0.15))))
    return points
