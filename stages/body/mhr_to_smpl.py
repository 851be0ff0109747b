"""MHR's mesh in the layout of SMPL's: every SMPL vertex as a point on one of MHR's triangles.

The map comes with the MHR repository (Apache-2.0, tools/mhr_smpl_conversion/assets) and needs no file of SMPL. It gives
vertices, not SMPL's joints or parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.artifacts.contract import Field, read_fields
from common.artifacts.npz import NpzReader
from common.errors import BadInput, ModelUnavailable

FILE_NAME = "mhr2smpl_mapping.npz"
SMPL_VERTICES = 6890
MHR_VERTICES = 18439

_FIELDS = {"triangle_ids": Field((SMPL_VERTICES,), np.int64), "baryc_coords": Field((SMPL_VERTICES, 3), np.float64)}
_OUTSIDE_TRIANGLE = 1e-3  # of a triangle; a weight slightly below 0 is a point a hair beside it
HOW_TO_GET = (
    f"Put {FILE_NAME}, from tools/mhr_smpl_conversion/assets of github.com/facebookresearch/MHR, into the folder of "
    "the weights, or use --vertices mhr"
)


@dataclass(frozen=True, eq=False)
class SurfaceMap:
    """Where SMPL's vertices lie on MHR's surface.

    Attributes:
        corners: (6890, 3) int64, the vertices of MHR around each.
        weights: (6890, 3) float64, their barycentric weights.
    """

    corners: NDArray[np.int64]
    weights: NDArray[np.float64]

    def apply(self, vertices: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """(6890, 3) vertices in SMPL's order from MHR's (18439, 3), in their unit and frame of reference."""
        return np.einsum("vk,vkd->vd", self.weights, vertices[self.corners])


def load_surface_map(path: Path, faces: NDArray[np.integer[Any]]) -> SurfaceMap:
    """The map of a file, for a mesh with these triangles.

    Args:
        path: mhr2smpl_mapping.npz: `triangle_ids` (6890,) int64, `baryc_coords` (6890, 3) float64.
        faces: (F, 3) triangles of MHR's mesh.

    Raises:
        ModelUnavailable: there is no such file, or it is not such a map. Says how to get it.
    """
    if not path.is_file():
        raise ModelUnavailable(f"--vertices smpl: no file {path}. {HOW_TO_GET}.")
    try:
        with NpzReader(path) as reader:
            arrays = read_fields(reader, str(path), _FIELDS)
    except BadInput as error:
        raise ModelUnavailable(f"--vertices smpl: {error} {HOW_TO_GET}.") from error
    triangles, weights = arrays["triangle_ids"], arrays["baryc_coords"]
    if triangles.min() < 0 or triangles.max() >= len(faces):
        got = f"{triangles.min()} to {triangles.max()}"
        raise ModelUnavailable(
            f"--vertices smpl: {path} names triangles {got}; the mesh has {len(faces)}. {HOW_TO_GET}."
        )
    if not (weights.min() > -_OUTSIDE_TRIANGLE and np.abs(weights.sum(axis=1) - 1).max() < _OUTSIDE_TRIANGLE):
        raise ModelUnavailable(f"--vertices smpl: the weights in {path} are not barycentric coordinates. {HOW_TO_GET}.")
    return SurfaceMap(np.asarray(faces[triangles], np.int64), weights)
