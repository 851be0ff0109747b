"""Which solid a camera sees in every pixel, and how far away: rays against capsules, ellipsoids and boxes.

Every solid is cut with the rays of the pixels in its bounding box alone, analytically, so that depth is exact and what
is in front hides what is behind, pixel by pixel. A ray goes through the middle of its pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.synth.body import Part

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

NEAR = 0.3  # m in front of the camera, within which nothing is drawn


@dataclass(frozen=True, eq=False)
class Lens:
    """The rays of a camera's pixels.

    Attributes:
        focal: pixels, of both axes.
        centre: (2,) principal point, pixels.
        u: (width,) x/z of the columns.
        v: (height,) y/z of the rows.
        norms: (height, width) squared length of the rays (u, v, 1).
    """

    focal: Floats
    centre: Floats
    u: Singles
    v: Singles
    norms: Singles

    @staticmethod
    def of(intrinsics: Floats, *, height: int, width: int) -> Lens:
        """Of a camera without skew."""
        focal, centre = intrinsics[[0, 1], [0, 1]], intrinsics[:2, 2]
        u = ((np.arange(width) - centre[0]) / focal[0]).astype(np.float32)
        v = ((np.arange(height) - centre[1]) / focal[1]).astype(np.float32)
        return Lens(focal, centre, u, v, v[:, None] ** 2 + u**2 + np.float32(1))


@dataclass(frozen=True, eq=False)
class View:
    """What is seen of one body or thing, as if it were alone.

    Attributes:
        corner: (x, y) pixel of the arrays' top left.
        depth: (h, w) float32 metres along the camera's z; infinite where the ray misses.
        part: (h, w) uint8 index of the solid that is hit; meaningless where the ray misses.
    """

    corner: tuple[int, int]
    depth: Singles
    part: NDArray[np.uint8]

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the frame."""
        (x, y), (height, width) = self.corner, self.depth.shape
        return slice(y, y + height), slice(x, x + width)


@dataclass(frozen=True, eq=False)
class Solids:
    """Parts that belong together, as arrays.

    Attributes:
        nodes: (n,) joint that each moves with.
        starts: (n, 3) metres, in the joint's axes.
        alongs: (n, 3) likewise; zero unless it is a capsule.
        radii: (n, 3) half sizes.
        boxes: (n,) whether it is a box.
    """

    nodes: NDArray[np.intp]
    starts: Floats
    alongs: Floats
    radii: Floats
    boxes: NDArray[np.bool_]

    @staticmethod
    def of(parts: Sequence[Part]) -> Solids:
        """Of these parts."""
        return Solids(
            nodes=np.array([part.node for part in parts]),
            starts=np.array([part.start for part in parts]),
            alongs=np.array([part.along for part in parts]),
            radii=np.array([part.radii for part in parts]),
            boxes=np.array([part.box for part in parts]),
        )


_NOTHING = View((0, 0), np.zeros((0, 0), np.float32), np.zeros((0, 0), np.uint8))


def view(lens: Lens, solids: Solids, position: Floats, rotation: Floats) -> View:
    """What the camera sees of solids that belong together.

    Args:
        lens: of the camera.
        solids: parts.
        position: (joints, 3) metres, camera axes; NaN: nothing is there.
        rotation: (joints, 3, 3) from the joints' axes to the camera's.
    """
    if not np.isfinite(position).all():
        return _NOTHING
    turns = rotation[solids.nodes]
    starts = position[solids.nodes] + (turns @ solids.starts[..., None])[..., 0]
    alongs = (turns @ solids.alongs[..., None])[..., 0]
    boxes = _bounds(lens, starts, alongs, turns, solids)
    inside = np.flatnonzero((boxes[:, :2] < boxes[:, 2:]).all(1))
    if not inside.size:
        return _NOTHING
    x0, y0 = boxes[inside, :2].min(0).tolist()
    x1, y1 = boxes[inside, 2:].max(0).tolist()
    depth = np.full((y1 - y0, x1 - x0), np.inf, np.float32)
    owner = np.zeros(depth.shape, np.uint8)
    for index in inside.tolist():
        left, top, right, bottom = boxes[index].tolist()
        u, v = lens.u[left:right], lens.v[top:bottom, None]
        if solids.boxes[index]:
            hit = _box(u, v, starts[index], turns[index], solids.radii[index])
        elif solids.alongs[index].any():
            norms = lens.norms[top:bottom, left:right]
            hit = _capsule(u, v, norms, starts[index], alongs[index], float(solids.radii[index, 0]))
        else:
            hit = _ellipsoid(u, v, starts[index], turns[index], solids.radii[index])
        window = slice(top - y0, bottom - y0), slice(left - x0, right - x0)
        nearer = hit < depth[window]
        np.copyto(depth[window], hit, where=nearer)
        np.copyto(owner[window], np.uint8(index), where=nearer)
    return View((x0, y0), depth, owner)


def _bounds(lens: Lens, starts: Floats, alongs: Floats, turns: Floats, solids: Solids) -> NDArray[np.intp]:
    """(n, 4) half-open x0 y0 x1 y1 of the pixels that solids may cover; empty for what is too near.

    The silhouette of an ellipsoid with middle c and shape S is the conic whose dual is S - c c^T (Hartley and
    Zisserman, Multiple View Geometry, 2nd edition, result 8.9), and its extent solves a quadratic equation per axis. A
    capsule lies within the box of its two ends.
    """
    reach = solids.radii * np.where(solids.boxes, np.sqrt(3.0), 1.0)[:, None]  # the ellipsoid around a box
    scaled = turns * reach[:, None, :]
    shape = scaled @ scaled.transpose(0, 2, 1)
    middle = np.stack([starts, starts + alongs])
    shape_z = shape[:, 2, 2]
    dual_z = shape_z - middle[..., 2] ** 2  # negative in front of the camera
    near = (middle[..., 2] - np.sqrt(shape_z) < NEAR).any(0)
    cross = shape[:, :2, 2] - middle[..., :2] * middle[..., 2:]
    square = np.stack([shape[:, 0, 0], shape[:, 1, 1]], axis=-1) - middle[..., :2] ** 2
    dual_z = np.where(near, -1.0, dual_z)[..., None]
    half = np.sqrt(np.maximum(cross**2 - square * dual_z, 0)) / -dual_z
    low, high = (cross / dual_z - half).min(0), (cross / dual_z + half).max(0)
    height, width = lens.norms.shape
    first = np.clip(np.ceil(low * lens.focal + lens.centre), 0, (width, height))
    last = np.clip(np.floor(high * lens.focal + lens.centre) + 1, 0, (width, height))
    last[near] = first[near]
    return np.asarray(np.concatenate([first, last], axis=1).astype(np.intp))


def _capsule(u: Singles, v: Singles, norms: Singles, start: Floats, along: Floats, radius: float) -> Singles:
    """(h, w) depth at which rays meet what lies within `radius` of a line; infinite where they miss."""
    length = float(np.linalg.norm(along))
    axis = along / length
    by_axis = _dot(u, v, axis)
    by_start = _dot(u, v, start)
    lift = float(start @ axis)
    a = norms - by_axis * by_axis
    b = by_start - by_axis * np.float32(lift)
    discriminant = b * b - a * np.float32(start @ start - lift * lift - radius * radius)
    root = np.sqrt(np.maximum(discriminant, 0))
    depth = (b - root) / np.maximum(a, np.float32(1e-9))
    height = depth * by_axis - np.float32(lift)
    depth[(discriminant < 0) | (height < 0) | (height > np.float32(length))] = np.inf
    for middle, by_middle in ((start, by_start), (start + along, by_start + by_axis * np.float32(length))):
        square = by_middle * by_middle - norms * np.float32(middle @ middle - radius * radius)
        hit = square >= 0
        if hit.any():
            sphere = (by_middle - np.sqrt(np.maximum(square, 0))) / norms
            np.minimum(depth, sphere, out=depth, where=hit)
    return np.asarray(depth, np.float32)


def _ellipsoid(u: Singles, v: Singles, middle: Floats, rotation: Floats, radii: Floats) -> Singles:
    """(h, w) depth at which rays meet an ellipsoid; infinite where they miss."""
    shape = (rotation / radii**2) @ rotation.T
    b = _dot(u, v, shape @ middle)
    xx, yy, zz = (np.float32(shape[i, i]) for i in range(3))
    xy, xz, yz = (np.float32(2 * shape[i, j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    a = u * (xx * u + xz + xy * v) + (yy * v * v + yz * v + zz)
    discriminant = b * b - a * np.float32(middle @ shape @ middle - 1)
    depth = (b - np.sqrt(np.maximum(discriminant, 0))) / a
    depth[discriminant < 0] = np.inf
    return np.asarray(depth, np.float32)


def _box(u: Singles, v: Singles, middle: Floats, rotation: Floats, halves: Floats) -> Singles:
    """(h, w) depth at which rays meet a box; infinite where they miss (the slab method)."""
    first, last = np.float32(-np.inf), np.float32(np.inf)
    for axis in range(3):
        slope = _dot(u, v, rotation[:, axis])
        slope = np.where(np.abs(slope) < 1e-7, np.float32(1e-7), slope)
        place = np.float32(middle @ rotation[:, axis])
        near, far = (place - np.float32(halves[axis])) / slope, (place + np.float32(halves[axis])) / slope
        first = np.maximum(first, np.minimum(near, far))
        last = np.minimum(last, np.maximum(near, far))
    return np.asarray(np.where(first <= last, first, np.float32(np.inf)), np.float32)


def _dot(u: Singles, v: Singles, vector: Floats) -> Singles:
    """(h, w) product of the rays (u, v, 1) with a vector."""
    x, y, z = (np.float32(value) for value in vector)
    return np.asarray(u * x + (v * y + z), np.float32)
