"""A body of capsules and ellipsoids with the 70 keypoints inside of it.

Axes of a body: x to its left, y up, z forward; metres. At rest it stands upright with hanging arms. Lengths are shares
of the body's height from Winter, "Biomechanics and Motor Control of Human Movement" (2009), figure 4.1; thicknesses
were chosen by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.skeletons import INDEX, MHR70_COUNT

Floats = NDArray[np.float64]

# Where a joint sits below its parent, in body heights: (parent, offset of the left side).
_NODES: Mapping[str, tuple[str, tuple[float, float, float]]] = {
    "pelvis": ("", (0, 0, 0)),
    "chest": ("pelvis", (0, 0.080, 0)),
    "head": ("chest", (0, 0.235, 0.005)),
    "*_shoulder": ("chest", (0.112, 0.200, 0)),
    "*_elbow": ("*_shoulder", (0, -0.186, 0)),
    "*_wrist": ("*_elbow", (0, -0.146, 0)),
    "*_hip": ("pelvis", (0.055, -0.005, 0)),
    "*_knee": ("*_hip", (0, -0.245, 0)),
    "*_ankle": ("*_knee", (0, -0.246, 0)),
}

# Keypoints that are not joints themselves: joint they move with and offset of the left side, in body heights.
_POINTS: Mapping[str, tuple[str, tuple[float, float, float]]] = {
    "nose": ("head", (0, 0.050, 0.047)),
    "neck": ("chest", (0, 0.222, 0)),
    "*_eye": ("head", (0.016, 0.068, 0.043)),
    "*_ear": ("head", (0.035, 0.060, 0)),
    "*_acromion": ("*_shoulder", (0, 0.018, 0)),
    "*_olecranon": ("*_elbow", (0, 0, -0.016)),
    "*_cubital_fossa": ("*_elbow", (0, 0, 0.016)),
    "*_heel": ("*_ankle", (0, -0.022, -0.022)),
    "*_big_toe": ("*_ankle", (-0.010, -0.024, 0.090)),
    "*_small_toe": ("*_ankle", (0.014, -0.026, 0.080)),
}
_FOOT_START, _FOOT_ALONG = np.array([0, -0.019, -0.016]), np.array([0, -0.001, 0.100])
_FOOT_RADIUS = 0.022
_SOLE = 0.041  # body heights from the ankle down to the ground
# The hand hangs with the thumb forward: (sideways, forward) of each finger's base, and how far down tip and base are.
_FINGERS = {
    "thumb": (0.014, 0.055, 0.015),
    "index": (0.010, 0.098, 0.050),
    "middle": (0.003, 0.102, 0.050),
    "ring": (-0.005, 0.098, 0.048),
    "pinky": (-0.009, 0.082, 0.045),
}
_PHALANGES = ("tip", "first_joint", "second_joint", "third_joint")


@dataclass(frozen=True)
class Part:
    """A solid that moves with a joint: everything within reach of a line, an ellipsoid, or a box.

    Attributes:
        node: index of the joint.
        start: (3,) of the line or middle of the solid, in the joint's axes, metres.
        along: (3,) from the line's start to its end; zero for ellipsoids and boxes.
        radii: (3,) half sizes; equal for capsules.
        cloth: key of `Clothes.colours`.
        box: whether it is one.
    """

    node: int
    start: Floats
    along: Floats
    radii: Floats
    cloth: str
    box: bool = False


@dataclass(frozen=True, eq=False)
class Figure:
    """Lengths of one body.

    Attributes:
        parents: of the joints, -1 for the first.
        offsets: (joints, 3) metres from the parent, in its axes.
        point_nodes: (70,) joint that each keypoint moves with.
        point_offsets: (70, 3) metres.
        parts: what the body is made of.
        leg: metres from hip to ankle.
        sole: metres from the ankle to the ground.
    """

    parents: tuple[int, ...]
    offsets: Floats
    point_nodes: NDArray[np.intp]
    point_offsets: Floats
    parts: tuple[Part, ...]
    leg: float
    sole: float


def _both_sides() -> tuple[dict[str, tuple[str, Floats]], dict[str, tuple[str, Floats]]]:
    """Joints and keypoints of both sides: parent's name and offset in body heights."""

    def mirrored(table: Mapping[str, tuple[str, tuple[float, float, float]]]) -> dict[str, tuple[str, Floats]]:
        found: dict[str, tuple[str, Floats]] = {}
        for name, (parent, offset) in table.items():
            for side, sign in (("left", 1.0), ("right", -1.0)) if "*" in name else (("", 1.0),):
                place = np.array(offset) * (sign, 1, 1)
                found[name.replace("*", side)] = parent.replace("*", side), place
        return found

    nodes, points = mirrored(_NODES), mirrored(_POINTS)
    points |= {name: (name, np.zeros(3)) for name in nodes if name in INDEX}
    fingers = {}
    for finger, (forward, tip, base) in _FINGERS.items():
        for phalanx, share in zip(_PHALANGES, (1.0, 0.72, 0.42, 0.0), strict=True):
            down = base + (tip - base) * share
            fingers[f"*_{finger}_{phalanx}"] = ("*_wrist", (0.0, -down, forward))
    return nodes, points | mirrored(fingers)


_BOTH_NODES, _BOTH_POINTS = _both_sides()
NODES: Mapping[str, int] = {name: index for index, name in enumerate(_BOTH_NODES)}
"""Index of every joint."""


def figure(height: float, *, breadth: float = 1.0, dressed: bool = False) -> Figure:
    """A body.

    Args:
        height: metres.
        breadth: thickness of everything, 1 for a slim adult.
        dressed: wears a coat down to the knees and a backpack.
    """
    parents = tuple(NODES.get(parent, -1) for parent, _ in _BOTH_NODES.values())
    names = list(INDEX)
    offsets = height * np.array([offset for _, offset in _BOTH_NODES.values()])
    point_offsets = height * np.array([_BOTH_POINTS[name][1] for name in names])
    point_nodes = np.array([NODES[_BOTH_POINTS[name][0]] for name in names])
    assert len(point_nodes) == MHR70_COUNT
    return Figure(
        parents=parents,
        offsets=offsets,
        point_nodes=point_nodes,
        point_offsets=point_offsets,
        parts=_parts(height, height * breadth, dressed=dressed),
        leg=height * 0.491,
        sole=height * _SOLE,
    )


def _parts(height: float, girth: float, *, dressed: bool) -> tuple[Part, ...]:
    """Capsules and ellipsoids; lengths in body heights times `height`, thicknesses times `girth`."""
    found = []

    def capsule(node: str, start: Floats, along: Floats, radius: float, cloth: str) -> None:
        found.append(Part(NODES[node], height * start, height * along, np.full(3, girth * radius), cloth))

    def ellipsoid(node: str, middle: tuple[float, float, float], radii: tuple[float, ...], cloth: str) -> None:
        size = np.array(radii) * (girth, height, girth)
        found.append(Part(NODES[node], height * np.array(middle), np.zeros(3), size, cloth))

    nothing, down = np.zeros(3), np.array([0.0, -1.0, 0.0])
    ellipsoid("head", (0, 0.062, 0.004), (0.045, 0.068, 0.056), "head")
    capsule("chest", np.array([0, 0.20, 0]), np.array([0, 0.06, 0.004]), 0.034, "skin")
    capsule("chest", np.array([-0.085, 0.192, 0]), np.array([0.170, 0, 0]), 0.033, "shirt")
    ellipsoid("chest", (0, 0.115, 0), (0.108, 0.125, 0.066), "shirt")
    ellipsoid("pelvis", (0, 0.065, 0), (0.090, 0.105, 0.062), "shirt")
    ellipsoid("pelvis", (0, -0.005, 0), (0.095, 0.070, 0.066), "coat" if dressed else "trousers")
    if dressed:
        ellipsoid("chest", (0, 0.095, -0.095), (0.080, 0.120, 0.062), "backpack")
        ellipsoid("pelvis", (0, -0.070, 0), (0.112, 0.230, 0.104), "coat")
    for side in ("left", "right"):
        capsule(f"{side}_shoulder", nothing, 0.186 * down, 0.028, "shirt")
        capsule(f"{side}_elbow", nothing, 0.146 * down, 0.022, "sleeve")
        ellipsoid(f"{side}_wrist", (0, -0.052, 0.002), (0.014, 0.060, 0.022), "skin")
        capsule(f"{side}_hip", nothing, 0.245 * down, 0.046, "trousers")
        capsule(f"{side}_knee", nothing, 0.236 * down, 0.031, "trousers")
        capsule(f"{side}_ankle", _FOOT_START, _FOOT_ALONG, _FOOT_RADIUS, "shoes")
    return tuple(found)


def forward_kinematics(
    figures: tuple[Figure, ...], angles: Floats, yaw: Floats, ground: Floats
) -> tuple[Floats, Floats]:
    """Where the joints of several bodies are and how they are turned, their lower foot on the ground.

    Args:
        figures: one per person.
        angles: (people, joints, 3) radians about x, y, z against the parent, turned about x first, z next, y last.
        yaw: (people,) radians about the world's y; 0 faces +z, a quarter turn +x.
        ground: (people, 3) metres in the world: the place under the pelvis.

    Returns:
        Positions (people, joints, 3), metres, and rotations (people, joints, 3, 3) from a joint's axes to the world's.
    """
    turned = angles.copy()
    turned[:, 0, 1] += yaw
    local = _rotations(turned)
    offsets = np.stack([figure.offsets for figure in figures])
    position, rotation = np.zeros(angles.shape), np.empty((*angles.shape, 3))
    rotation[:, 0] = local[:, 0]
    for node, parent in enumerate(figures[0].parents):
        if parent >= 0:
            turn = rotation[:, parent]
            position[:, node] = position[:, parent] + (turn @ offsets[:, node, :, None])[..., 0]
            rotation[:, node] = turn @ local[:, node]
    lowest = np.minimum(
        *(
            (position[:, NODES[f"{side}_ankle"], 1] - _reach(rotation[:, NODES[f"{side}_ankle"]], figures))
            for side in ("left", "right")
        )
    )
    position += (ground - lowest[:, None] * (0, 1, 0))[:, None]
    return position, rotation


def keypoints(figures: tuple[Figure, ...], position: Floats, rotation: Floats) -> Floats:
    """(people, 70, 3) metres in the world."""
    found = np.empty((len(figures), MHR70_COUNT, 3))
    for person, body in enumerate(figures):
        turn = rotation[person, body.point_nodes]
        found[person] = position[person, body.point_nodes] + (turn @ body.point_offsets[..., None])[..., 0]
    return found


def _reach(ankle: Floats, figures: tuple[Figure, ...]) -> Floats:
    """(people,) metres from an ankle down to the lowest point of heel or toe, by the ankle's rotation."""
    height = np.array([figure.sole for figure in figures]) / _SOLE
    ends = np.minimum(*((ankle @ end)[:, 1] for end in (_FOOT_START, _FOOT_START + _FOOT_ALONG)))
    return np.asarray((_FOOT_RADIUS - ends) * height)


def _rotations(angles: Floats) -> Floats:
    """(..., 3, 3) from (..., 3) radians: Ry Rz Rx."""
    (a, b, c), (p, q, r) = np.moveaxis(np.cos(angles), -1, 0), np.moveaxis(np.sin(angles), -1, 0)
    rows = [
        [b * c, q * p - b * r * a, b * r * p + q * a],
        [r, c * a, -c * p],
        [-q * c, q * r * a + b * p, b * a - q * r * p],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
