"""That 2D keypoints are the projection of 3D ones: how they are computed, and how that is checked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.errors import BadInput

TOLERANCE_PX = 0.01
"""More than two ways of rounding to float32 leave; whatever is farther off was projected by another camera."""

_FARTHEST_PX = 1e5  # float32 holds pixels to 0.004 there; whatever projects farther is in no picture
_ROWS_AT_ONCE = 2048  # chosen by hand: 10 MB


def project_keypoints(
    keypoints: npt.NDArray[np.float32],
    translation: npt.NDArray[np.float32],
    *,
    focal: npt.NDArray[np.float32],
    principal_point: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """What belongs into `pred_keypoints_2d`: the pinhole projection, computed in float64 from what is stored.

    Args:
        keypoints: (N, 70, 3) `pred_keypoints_3d`, and so on.
        translation: (N, 3) metres.
        focal: (N, 2) pixels.
        principal_point: (N, 2) pixels.

    Returns:
        (N, 70, 2) pixels; NaN where a keypoint is missing, does not lie in front of the camera, or projects more than
        100,000 px from the principal point.
    """
    pixels = np.empty((*keypoints.shape[:2], 2), np.float32)
    for rows in _blocks(len(keypoints)):
        exact, depth = _project(keypoints[rows], translation[rows], focal[rows], principal_point[rows])
        far = np.abs(exact - principal_point[rows, None]).max(axis=-1)
        pixels[rows] = np.where(((depth > 0) & (far < _FARTHEST_PX))[..., None], exact, np.nan)
    return pixels


def _project(
    keypoints: npt.NDArray[np.float32],
    translation: npt.NDArray[np.float32],
    focal: npt.NDArray[np.float32],
    principal_point: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Pixels (N, 70, 2) and depths (N, 70), metres, of keypoints; behind the camera too."""
    points = keypoints.astype(np.float64) + translation.astype(np.float64)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels = points[..., :2] / points[..., 2:] * focal[:, None] + principal_point[:, None]
    return pixels, points[..., 2]


def _blocks(rows: int) -> list[slice]:
    return [slice(start, start + _ROWS_AT_ONCE) for start in range(0, rows, _ROWS_AT_ONCE)]


def check_projection(
    name: str,
    pixels: npt.NDArray[np.float32],
    keypoints: npt.NDArray[np.float32],
    translation: npt.NDArray[np.float32],
    *,
    focal: npt.NDArray[np.float32],
    principal_point: npt.NDArray[np.float32],
) -> None:
    """Raises BadInput if 2D keypoints differ anywhere from the projection of the 3D ones by more than TOLERANCE_PX.

    Args:
        name: artifact, place and field, for the message.
        pixels: (N, 70, 2); where they or the 3D keypoints are NaN, nothing is compared.
        keypoints: as in `project_keypoints`, and so are the others.
        translation: likewise.
        focal: likewise.
        principal_point: likewise.
    """
    for rows in _blocks(len(keypoints)):
        exact, _ = _project(keypoints[rows], translation[rows], focal[rows], principal_point[rows])
        off = np.abs(exact - pixels[rows]).max(axis=-1)
        wrong = np.isfinite(off) & (off > TOLERANCE_PX)
        if wrong.any():
            frame, keypoint = np.argwhere(wrong)[0]
            raise BadInput(
                f"{name}: expected the projection of pred_keypoints_3d + pred_cam_t within {TOLERANCE_PX} px, "
                f"got {off[frame, keypoint]:.3g} px off at [{rows.start + frame}, {keypoint}]"
            )
