"""A calibrated pinhole camera with lens distortion, standing still."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Camera:
    """Where a camera stands and how it projects, in OpenCV's conventions.

    Attributes:
        intrinsics: (3, 3) pixels of the upright frame, without skew.
        camera_T_world: (4, 4) rigid transform from world to camera axes (x right, y down, z forward), metres.
        distortion: coefficients in OpenCV's order k1 k2 p1 p2 k3 ...; empty: none.
    """

    intrinsics: Floats
    camera_T_world: Floats
    distortion: tuple[float, ...] = ()
