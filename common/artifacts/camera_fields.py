"""How a camera's calibration stands in JSON, and what is wrong with it if it does not.

Plain Python, because what only lists recordings has no use for numpy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeGuard

from common.errors import BadInput

Row = tuple[float, float, float]
Intrinsics = tuple[Row, Row, Row]
"""A 3x3 camera matrix: [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], pixels of the upright frame."""

PoseRow = tuple[float, float, float, float]
Pose = tuple[PoseRow, PoseRow, PoseRow, PoseRow]
"""A 4x4 rigid transform by rows: rotation and, in the last column, translation in metres; (0, 0, 0, 1) below."""

Distortion = tuple[float, ...]
"""Lens distortion in OpenCV's order: k1 k2 p1 p2, k1 k2 p1 p2 k3, or k1 k2 p1 p2 k3 k4 k5 k6."""

COEFFICIENTS = (4, 5, 8)
RIGID = 2e-3  # by which a rotation may miss orthonormality: three decimals, as people write them down


@dataclass(frozen=True)
class Calibration:
    """What is known of one camera.

    Attributes:
        intrinsics: camera matrix.
        distortion: of the lens; None: none is known.
        camera_T_world: where a static camera stands: world to camera axes (x right, y down, z forward); None: unknown.
    """

    intrinsics: Intrinsics
    distortion: Distortion | None = None
    camera_T_world: Pose | None = None


def read_intrinsics(where: str, value: object) -> Intrinsics:
    """A camera matrix without skew. Raises BadInput that begins with `where`."""
    rows = _rows(value, 3, 3)
    if rows is None:
        raise BadInput(f"{where}: expected 3x3 numbers, got {value!r}.")
    first, second, third = ((row[0], row[1], row[2]) for row in rows)
    if first[1] != 0:
        raise BadInput(f"{where}: expected a skew of 0 (second number), got {first[1]}.")
    if first[0] <= 0 or second[0] != 0 or second[1] <= 0 or third != (0, 0, 1):
        raise BadInput(f"{where}: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], got {value!r}.")
    return first, second, third


def read_distortion(where: str, value: object) -> Distortion:
    """Distortion coefficients. Raises BadInput that begins with `where`."""
    if not isinstance(value, list) or len(value) not in COEFFICIENTS or not all(is_number(x) for x in value):
        raise BadInput(f"{where}: expected 4, 5 or 8 numbers (k1 k2 p1 p2 k3 k4 k5 k6), got {value!r}.")
    return tuple(float(x) for x in value)


def read_pose(where: str, value: object) -> Pose:
    """A rigid transform, given by its upper 3x4 part or as 4x4. Raises BadInput that begins with `where`."""
    rows = _rows(value, 4, 4) or _rows(value, 3, 4)
    if rows is None:
        raise BadInput(f"{where}: expected 3x4 or 4x4 numbers, got {value!r}.")
    if len(rows) == 4 and rows[3] != [0, 0, 0, 1]:
        raise BadInput(f"{where}: expected (0, 0, 0, 1) as the last row, got {rows[3]}.")
    a, b, c = (row[:3] for row in rows[:3])
    products = [
        sum(x * y for x, y in zip(p, q, strict=True)) for p, q in ((a, a), (b, b), (c, c), (a, b), (b, c), (c, a))
    ]
    off = max(abs(found - wanted) for found, wanted in zip(products, (1, 1, 1, 0, 0, 0), strict=True))
    if off > RIGID:
        raise BadInput(f"{where}: expected a rotation in the first three columns, got rows {off:.3g} off orthonormal.")
    determinant = sum(a[i] * (b[(i + 1) % 3] * c[(i + 2) % 3] - b[(i + 2) % 3] * c[(i + 1) % 3]) for i in range(3))
    if determinant < 0:
        raise BadInput(f"{where}: expected a rotation of determinant 1, got a mirror image of determinant -1.")
    first, second, third = ((row[0], row[1], row[2], row[3]) for row in rows[:3])
    return first, second, third, (0.0, 0.0, 0.0, 1.0)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether JSON gave a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _rows(value: object, height: int, width: int) -> list[list[float]] | None:
    """Rows of finite numbers, if that is what it is."""
    if not isinstance(value, list) or len(value) != height:
        return None
    rows = [[float(x) for x in row if is_number(x)] for row in value if isinstance(row, list) and len(row) == width]
    return rows if len(rows) == height and all(len(row) == width for row in rows) else None
