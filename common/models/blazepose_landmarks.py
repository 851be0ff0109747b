"""BlazePose landmark model: 33 image points, 33 metric points and a mask of the person in one crop.

Bazarevsky et al., arXiv 2006.10204, and Grishchenko et al., "BlazePose GHUM Holistic", arXiv 2206.11678 (the
metric points). The refinement by heatmaps follows MediaPipe's `RefineLandmarksFromHeatmapCalculator`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from common.models import calls
from common.models.litert import TfliteModel
from common.models.painting_over import paint_over
from common.models.regions import Region, cut_out, region_from_points

SIDE = 256
HEATMAP_SIDE = 64
POINTS = 33
_ROWS = 39  # 33 landmarks, the next frame's centre (33) and circle point (34), four unused
_Float = TypeVar("_Float", np.float32, np.float64)
_LOGIT_LIMIT = 30.0  # mask logits reach +-1700; beyond 30 the sigmoid is 0 or 1 in float32

NAMES = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky",
    "left_index", "right_index", "left_thumb", "right_thumb", "left_hip", "right_hip",
    "left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel", "right_heel",
    "left_foot_index", "right_foot_index",
)  # fmt: skip


@dataclass(frozen=True)
class Landmarks33:
    """One person, in the order of NAMES.

    Attributes:
        image: (33, 2) float64, pixels of the image.
        world: (33, 3) float64, metres, camera axes (x right, y down, z forward), origin between the hips.
        depth: (33,) float64, z behind the hips' centre in the scale of image pixels (negative is nearer).
        visibility: (33,) float64 in [0, 1]: the point is in the image and not hidden.
        presence: (33,) float64 in [0, 1]: the point is in the image.
        score: probability in [0, 1] that the crop shows a person.
        mask: (256, 256) float32 in [0, 1]: probability that a pixel of the crop belongs to the person.
        region: the crop that was looked at.
        next_region: where to look in the next frame.
    """

    image: NDArray[np.float64]
    world: NDArray[np.float64]
    depth: NDArray[np.float64]
    visibility: NDArray[np.float64]
    presence: NDArray[np.float64]
    score: float
    mask: NDArray[np.float32]
    region: Region
    next_region: Region


class LandmarkModel:
    """The landmark model, loaded."""

    def __init__(self, path: Path | str, *, threads: int = 1) -> None:
        """Loads `pose_landmark_heavy.tflite` (or full, or lite: same interface).

        Args:
            path: the model file.
            threads: see TfliteModel.

        Raises:
            ModelUnavailable: the file or the runtime is missing.
        """
        self._model = TfliteModel(path, threads=threads)

    def run(
        self, image: NDArray[np.uint8], region: Region, *, suppress: NDArray[np.bool_] | None = None
    ) -> Landmarks33:
        """Looks at one region.

        Args:
            image: (H, W, 3) uint8 RGB.
            region: where the person is.
            suppress: (256, 256) bool, pixels **of the crop** that belong to somebody else. They are painted
                over before the model sees them. From a label image:
                `others = cut_out_labels(labels, region, SIDE)`,
                `suppress = (others != 0) & (others != person)`.

        Returns:
            What the model sees, also when `score` says that there is nobody.
        """
        crop = cut_out(image, region, SIDE)
        if suppress is not None:
            crop = paint_over(crop, suppress)
        calls.count("blazepose-heavy")
        outputs = self._model(np.multiply(crop, np.float32(1 / 255), dtype=np.float32)[None])
        points = outputs[1, 5 * _ROWS].reshape(_ROWS, 5).astype(np.float64)
        world = outputs[1, 3 * _ROWS].reshape(_ROWS, 3)[:POINTS].astype(np.float64)
        refined = refine(points[:, :2], outputs[1, HEATMAP_SIDE, HEATMAP_SIDE, _ROWS][0])
        to_image = region.to_image(SIDE)
        # The model counts from the crop's edge, to_image from its first pixel's centre.
        in_image = (refined - 0.5) @ to_image[:, :2].T + to_image[:, 2]
        world[:, :2] = world[:, :2] @ region.rotation.T
        return Landmarks33(
            image=in_image[:POINTS],
            world=world,
            depth=points[:POINTS, 2] * (region.side / SIDE),
            visibility=_sigmoid(points[:POINTS, 3]),
            presence=_sigmoid(points[:POINTS, 4]),
            score=float(outputs[1, 1][0, 0]),
            mask=_sigmoid(outputs[1, SIDE, SIDE, 1][0, :, :, 0]),
            region=region,
            next_region=region_from_points(in_image[POINTS], in_image[POINTS + 1]),
        )


def refine(
    points: NDArray[np.float64],
    heatmaps: NDArray[np.float32],
    *,
    side: int = SIDE,
    window: int = 7,
    confident: float = 0.5,
) -> NDArray[np.float64]:
    """Points moved to the centroid of their heatmaps, where those are confident.

    Args:
        points: (n, 2) x, y in crop pixels.
        heatmaps: (h, w, n) float32 logits over the same crop.
        side: side of the crop, pixels.
        window: side of the square of heatmap cells around a point that is looked at.
        confident: a window's highest probability must reach it; MediaPipe's value.

    Returns:
        (n, 2) crop pixels; unchanged where the point lies outside the crop or the window is not confident.
    """
    height, width, count = heatmaps.shape
    cell = np.trunc(points / side * (width, height)).astype(np.int64)
    reach = np.arange(window) - window // 2
    columns, rows = cell[:, :1] + reach, cell[:, 1:] + reach  # (n, window) each
    in_x, in_y = (columns >= 0) & (columns < width), (rows >= 0) & (rows < height)
    logits = heatmaps[
        rows.clip(0, height - 1)[:, :, None],
        columns.clip(0, width - 1)[:, None, :],
        np.arange(count)[:, None, None],
    ]
    weights = _sigmoid(logits).astype(np.float64) * (in_y[:, :, None] & in_x[:, None, :])
    centre = window // 2
    use = in_x[:, centre] & in_y[:, centre] & (weights.max(axis=(1, 2)) >= confident)
    total = np.maximum(weights.sum(axis=(1, 2)), 1e-12)
    x = (weights.sum(axis=1) * columns).sum(axis=1) / total * (side / width)
    y = (weights.sum(axis=2) * rows).sum(axis=1) / total * (side / height)
    return np.where(use[:, None], np.column_stack([x, y]), points)


def _sigmoid(logits: NDArray[_Float]) -> NDArray[_Float]:
    """1 / (1 + exp(-logits)) in the dtype of its argument."""
    odds = np.exp(-np.clip(logits, -_LOGIT_LIMIT, _LOGIT_LIMIT))
    probability: NDArray[_Float] = np.reciprocal(1 + odds, dtype=logits.dtype)
    return probability
