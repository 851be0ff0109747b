"""What stands or rolls about in a scene: the pillar that hides, a ball, a box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.synth.body import Part
from tests.synth.scene import Thing
from tests.synth.shading import Cloth
from tests.synth.ways import PILLAR


def pillar(side: float, frames: int) -> Thing:
    """The pillar that hides person 3 from the first camera."""
    stone = Cloth(((150, 144, 132), (128, 122, 112)), ((0, 16, 0), (0, 0, 0)))
    part = Part(0, np.zeros(3), np.zeros(3), np.array([0.42, 1.4, 0.30]), "surface", box=True)
    place = np.tile((PILLAR[0] * side, 1.4, PILLAR[1]), (frames, 1))
    return Thing(None, (part,), {"surface": stone}, place, np.zeros(frames))


def things_of(
    kinds: Sequence[str], side: float, frames: int, rate: float, generator: np.random.Generator
) -> list[Thing]:
    """Objects of the classes asked for: balls roll to and fro, boxes stand. Raises ValueError for another class."""
    times, found = np.arange(frames) / rate, []
    for number, kind in enumerate(kinds):
        if kind == "ball":
            radius = 0.16
            x = 2.6 * np.sin(2 * np.pi * times / generator.uniform(9, 12) + generator.uniform(0, 6)) * side
            place = np.stack([x, np.full(frames, radius), np.full(frames, 0.22 + 1.1 * number)], axis=1)
            part = Part(0, np.zeros(3), np.zeros(3), np.full(3, radius), "surface")
            cloth = Cloth(((240, 140, 30), (250, 240, 230)), ((0, 0, 20), (0, 20, 0)))
            found.append(Thing("ball", (part,), {"surface": cloth}, place, x / radius, yaw=np.pi / 2))
        elif kind == "box":
            halves = np.array([0.24, 0.30, 0.18])
            place = np.tile((-0.9 * side, halves[1], -1.9 - 0.4 * number), (frames, 1))
            part = Part(0, np.zeros(3), np.zeros(3), halves, "surface", box=True)
            cloth = Cloth(((150, 96, 48), (190, 140, 90)), ((30, 0, 0), (0, 0, 0)))
            found.append(Thing("box", (part,), {"surface": cloth}, place, np.zeros(frames), yaw=0.5))
        else:
            raise ValueError(f"things: expected 'ball' or 'box', got {kind!r}")
    return found
