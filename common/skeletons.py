"""The 70 keypoints of a body, how they are joined and mirrored, and where other models' points belong.

The order is "mhr70", that of SAM 3D Body's `pred_keypoints_3d`: 21 points of head, body and feet, then 21 per
hand (four per finger from the tip inwards, then the wrist; the right hand first), then seven extra points.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from types import MappingProxyType

_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_PHALANGES = ("tip", "first_joint", "second_joint", "third_joint")


def _hand(side: str) -> tuple[str, ...]:
    return (*(f"{side}_{finger}_{joint}" for finger in _FINGERS for joint in _PHALANGES), f"{side}_wrist")


MHR70: tuple[str, ...] = (
    "nose",
    *("left_eye", "right_eye", "left_ear", "right_ear"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
    *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
    *("left_big_toe", "left_small_toe", "left_heel"),
    *("right_big_toe", "right_small_toe", "right_heel"),
    *_hand("right"),
    *_hand("left"),
    *("left_olecranon", "right_olecranon"),  # the point of the elbow
    *("left_cubital_fossa", "right_cubital_fossa"),  # the hollow of the elbow
    *("left_acromion", "right_acromion"),  # the top of the shoulder
    "neck",
)
"""Names of the 70 keypoints, in order. Left and right are the person's own."""

MHR70_COUNT = len(MHR70)

INDEX: Mapping[str, int] = MappingProxyType({name: index for index, name in enumerate(MHR70)})
"""Index of every keypoint by its name."""

NECK = INDEX["neck"]
SHOULDERS = (INDEX["left_shoulder"], INDEX["right_shoulder"])
HIPS = (INDEX["left_hip"], INDEX["right_hip"])


def _other_side(name: str) -> str:
    swap = {"left": "right", "right": "left"}
    side, _, rest = name.partition("_")
    return f"{swap[side]}_{rest}" if side in swap else name


MIRROR: tuple[int, ...] = tuple(INDEX[_other_side(name)] for name in MHR70)
"""`keypoints[..., MIRROR, :]` renames left and right; nose and neck stay."""

MIRROR_PAIRS: tuple[tuple[int, int], ...] = tuple(
    (index, MIRROR[index]) for index, name in enumerate(MHR70) if name.startswith("left_")
)
"""(left, right) index of every keypoint that has two sides."""


def _bones(*chains: str) -> tuple[tuple[int, int], ...]:
    """Consecutive pairs of each chain; "*" stands for left and right in turn."""
    found: list[tuple[int, int]] = []
    for chain in chains:
        for side in ("left", "right") if "*" in chain else ("",):
            points = [INDEX[name.replace("*", side)] for name in chain.split()]
            found += itertools.pairwise(points)
    return tuple(found)


BODY_BONES: tuple[tuple[int, int], ...] = _bones(
    "nose neck",
    "nose *_eye *_ear",
    "neck *_shoulder *_elbow *_wrist",
    "*_shoulder *_hip *_knee *_ankle *_heel *_big_toe",
    "left_hip right_hip",
)
"""Pairs of keypoints to draw a line between, hands left out; the same lines on both sides."""

HAND_BONES: tuple[tuple[int, int], ...] = _bones(
    *(f"*_wrist {' '.join(f'*_{finger}_{joint}' for joint in reversed(_PHALANGES))}" for finger in _FINGERS)
)
"""Pairs of keypoints of both hands, from the wrist outwards."""

COCO17: tuple[int, ...] = (*range(9), INDEX["left_wrist"], INDEX["right_wrist"], *range(9, 15))
"""`keypoints[..., COCO17, :]` are the 17 keypoints of COCO, in COCO's order."""

BLAZEPOSE_COUNT = 33
BLAZEPOSE_SHOULDERS = (11, 12)
BLAZEPOSE_HIPS = (23, 24)

BLAZEPOSE_TO_MHR70: Mapping[int, int] = MappingProxyType(
    {
        blazepose: INDEX[name]
        for blazepose, name in (
            (0, "nose"),
            (2, "left_eye"),
            (5, "right_eye"),
            (7, "left_ear"),
            (8, "right_ear"),
            (11, "left_shoulder"),
            (12, "right_shoulder"),
            (13, "left_elbow"),
            (14, "right_elbow"),
            (15, "left_wrist"),
            (16, "right_wrist"),
            (23, "left_hip"),
            (24, "right_hip"),
            (25, "left_knee"),
            (26, "right_knee"),
            (27, "left_ankle"),
            (28, "right_ankle"),
            (29, "left_heel"),
            (30, "right_heel"),
            (31, "left_big_toe"),  # BlazePose's "foot index"
            (32, "right_big_toe"),
        )
    }
)
"""Which keypoint each of these BlazePose landmarks is; the neck is none but the middle of SHOULDERS."""
