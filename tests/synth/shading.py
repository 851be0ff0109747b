"""Colours of what is seen: clothes with patterns, faces, light from above."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.synth.body import Part
from tests.synth.raster import Lens, View

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Rows = Sequence[NDArray[np.float32]] | NDArray[np.float32]  # x, y and z of n points

LIGHT = np.array([0.35, 0.85, -0.40]) / np.linalg.norm([0.35, 0.85, -0.40])  # towards it, in the world
_AMBIENT = 0.45  # of a surface's colour that light from everywhere shows


@dataclass(frozen=True)
class Cloth:
    """A pattern: waves of two colours along one or two directions of a part's axes.

    Attributes:
        colours: two RGB colours, 0-255; the first is the pattern's ground.
        waves: (2, 3) radians per metre; zero: plain, one row: stripes, two: checks.
    """

    colours: tuple[tuple[int, int, int], tuple[int, int, int]]
    waves: tuple[tuple[float, float, float], tuple[float, float, float]] = ((0, 0, 0), (0, 0, 0))


Clothes = Mapping[str, Cloth]
"""By name: skin, head (hair is its second colour), shirt, sleeve, trousers, shoes, coat, backpack; surface (things)."""


@dataclass(frozen=True, eq=False)
class Paint:
    """Numbers of every part in a table, so that all pixels of a body are coloured at once.

    Attributes:
        parts: (parts, 18) start, along / squared length, 1 / squared radii, along, waves.
        colours: (2 * parts, 3) both colours of every part.
        head: index of the head, -1 for things.
        boxes: (parts,) whether it is a box.
        nodes: (parts,) joint that each moves with.
    """

    parts: NDArray[np.float32]
    colours: NDArray[np.float32]
    head: int
    boxes: NDArray[np.bool_]
    nodes: NDArray[np.intp]

    @staticmethod
    def of(parts: Sequence[Part], clothes: Clothes) -> Paint:
        """Of these parts in these clothes."""
        cloths = [clothes[part.cloth] for part in parts]
        rows = [
            (
                part.start,
                part.along / max(float(part.along @ part.along), 1e-12),
                part.radii**-2.0,
                part.along,
                *cloth.waves,
            )
            for part, cloth in zip(parts, cloths, strict=True)
        ]
        heads = [index for index, part in enumerate(parts) if part.cloth == "head"]
        return Paint(
            parts=np.array([np.concatenate(row) for row in rows], np.float32),
            colours=np.array([rgb for cloth in cloths for rgb in cloth.colours], np.float32),
            head=heads[0] if heads else -1,
            boxes=np.array([part.box for part in parts]),
            nodes=np.array([part.node for part in parts]),
        )


def colour(
    image: Bytes, seen: View, visible: NDArray[np.bool_], lens: Lens, paint: Paint, position: Floats, rotation: Floats,
    light: Floats,
) -> None:  # fmt: skip
    """Draws a body into an image.

    Args:
        image: (height, width, 3) uint8, changed.
        seen: the body.
        visible: (h, w) of the view's arrays: the pixels to draw.
        lens: of the camera.
        paint: of the body.
        position: (joints, 3) metres, camera axes.
        rotation: (joints, 3, 3) from the joints' axes to the camera's.
        light: (3,) direction towards the light, camera axes.
    """
    rows, columns = np.nonzero(visible)
    if not rows.size:
        return
    depth, part = seen.depth[rows, columns], seen.part[rows, columns]
    rows, columns = rows + seen.corner[1], columns + seen.corner[0]
    # from camera axes to those of each pixel's part: its rotation, transposed, and where its origin goes
    turns = rotation[paint.nodes].transpose(0, 2, 1)
    origins = -(turns @ position[paint.nodes, :, None])[..., 0]
    numbers = np.concatenate([turns.reshape(-1, 9), origins, turns @ light, paint.parts], axis=1).astype(np.float32)
    # one row per number: what follows runs along rows
    of_pixel = np.take(np.ascontiguousarray(numbers.T), part, axis=1, mode="clip") if len(numbers) > 1 else numbers.T
    turn, origin, lamp, start, slope, sharp, along, wave = np.split(of_pixel, (9, 12, 15, 18, 21, 24, 27))
    point = lens.u[columns] * depth, lens.v[rows] * depth, depth
    local = [_product(turn[3 * axis : 3 * axis + 3], point) + origin[axis] for axis in range(3)]
    offset = [local[axis] - start[axis] for axis in range(3)]
    share = np.clip(_product(slope, offset), 0, 1)
    outward = np.stack([(offset[axis] - share * along[axis]) * sharp[axis] for axis in range(3)])
    if paint.boxes.any():
        faces = np.abs(np.stack(offset)) * np.sqrt(sharp)  # 1 on a face
        outward = np.where(paint.boxes[part], np.sign(np.stack(offset)) * (faces >= faces.max(0)), outward)
    brightness = _product(outward, lamp) / np.sqrt(_product(outward, outward) + np.float32(1e-12))
    shade = np.float32(_AMBIENT) + np.float32(1 - _AMBIENT) * np.maximum(brightness, 0)
    second = np.cos(_product(wave[:3], local)) * np.cos(_product(wave[3:], local)) < 0
    if paint.head >= 0:
        head = np.flatnonzero(part == paint.head)
        second[head] = _hair_and_eyes([offset[axis][head] * np.sqrt(sharp[axis, head]) for axis in range(3)])
    image[rows, columns] = (paint.colours[second.astype(np.intp) + 2 * part.astype(np.intp)] * shade[:, None]).astype(
        np.uint8
    )


def _product(one: Rows, other: Rows) -> NDArray[np.float32]:
    """(n,) sum over three rows."""
    return np.asarray(one[0] * other[0] + one[1] * other[1] + one[2] * other[2])


def _hair_and_eyes(place: Rows) -> NDArray[np.bool_]:
    """Which points of a head are dark; x, y and z in its half sizes."""
    x, y, z = place
    hair = (y > 0.55) | ((z < 0.15) & (y > -0.45))
    eyes = (z > 0.3) & (np.abs(np.abs(x) - 0.38) < 0.13) & (np.abs(y - 0.10) < 0.10)
    return np.asarray(hair | eyes)
