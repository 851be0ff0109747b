"""BlazePose person detector: head boxes and the circle around each whole body, in one 224x224 pass.

Bazarevsky et al., "BlazePose: On-device Real-time Body Pose tracking", arXiv 2006.10204. Anchor layout,
decoding and suppression follow MediaPipe's `pose_detection_cpu` graph. It finds people of at least about a
third of the image's height; smaller ones need `common.models.movenet`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from common.models import calls
from common.models.litert import TfliteModel
from common.models.regions import Region, region_from_points

SIDE = 224
_LAYERS = (
    (8, 2),
    (16, 2),
    (32, 6),
)  # (stride, anchors per cell), row by row: 1568 + 392 + 294 = 2254 anchors


@dataclass(frozen=True)
class Detections:
    """People found in one image, best first. Pixels of the image.

    Attributes:
        boxes: (n, 4) float64, xyxy, around head and shoulders (not the body).
        hips: (n, 2) float64, centre of the hips.
        edges: (n, 2) float64, a point of the circle around the whole body, towards the head.
        scores: (n,) float64 in [0, 1].
    """

    boxes: NDArray[np.float64]
    hips: NDArray[np.float64]
    edges: NDArray[np.float64]
    scores: NDArray[np.float64]

    @property
    def regions(self) -> list[Region]:
        """The crop of each person, for the landmark model."""
        return [region_from_points(hip, edge) for hip, edge in zip(self.hips, self.edges, strict=True)]


class PersonDetector:
    """The detector, loaded."""

    def __init__(self, path: Path | str, *, threshold: float = 0.5, threads: int = 1) -> None:
        """Loads `pose_detection.tflite`.

        Args:
            path: the model file.
            threshold: lowest score that counts; MediaPipe's value.
            threads: see TfliteModel.

        Raises:
            ModelUnavailable: the file or the runtime is missing.
        """
        self._model = TfliteModel(path, threads=threads)
        self._anchors = anchor_centres() * SIDE
        self._threshold = threshold

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Finds people.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            One entry per person.
        """
        canvas, scale, offset = _letterbox(image)
        calls.count("blazepose-detector")
        outputs = self._model(canvas[None])
        logits = outputs[1, len(self._anchors), 1][0, :, 0]
        keep = np.flatnonzero(logits > np.log(self._threshold / (1 - self._threshold)))
        raw = outputs[1, len(self._anchors), 12][0, keep].astype(np.float64)
        anchors = self._anchors[keep]
        centres, halves = raw[:, :2] + anchors, raw[:, 2:4] / 2
        hips, edges = raw[:, 4:6] + anchors, raw[:, 6:8] + anchors
        corners = np.stack([centres - halves, centres + halves, hips, edges], axis=1)
        pixels = (corners - offset) / scale - 0.5  # from the image's edge to the first pixel's centre
        scores = 1 / (1 + np.exp(-logits[keep].astype(np.float64)))
        points, scores = merge_overlapping(pixels, scores)
        return Detections(points[:, :2].reshape(-1, 4), points[:, 2], points[:, 3], scores)


def anchor_centres() -> NDArray[np.float64]:
    """(2254, 2) x, y in [0, 1]: the point that each output row is relative to."""
    layers = []
    for stride, per_cell in _LAYERS:
        grid = (np.arange(SIDE // stride) + 0.5) / (SIDE // stride)
        x, y = np.meshgrid(grid, grid)
        layers.append(np.repeat(np.column_stack([x.ravel(), y.ravel()]), per_cell, axis=0))
    return np.concatenate(layers)


def merge_overlapping(
    points: NDArray[np.float64], scores: NDArray[np.float64], *, threshold: float = 0.3
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted non-maximum suppression: all candidates for one person become their score-weighted mean.

    Candidates belong together if their head boxes overlap, or if their hips are close compared with the
    circle around the body: head boxes are small, and two of the same person's can miss each other.

    Args:
        points: (n, 4, 2): two corners of the head box, hips, edge of the circle; pixels.
        scores: (n,).
        threshold: lowest intersection over union, or 1 - distance / (half the circle's radius), of one group.

    Returns:
        (m, 4, 2) and (m,) the best score of each group, best first.
    """
    order = np.argsort(-scores, kind="stable")
    points, scores = points[order], scores[order]
    merged, best = [], []
    while scores.size:
        reach = 0.5 * np.hypot(*(points[0, 3] - points[0, 2])) + 1e-6
        near = 1 - np.hypot(*(points[:, 2] - points[0, 2]).T) / reach
        together = np.maximum(near, _iou(points[0, :2].ravel(), points[:, :2].reshape(-1, 4))) > threshold
        together[0] = True
        merged.append(np.average(points[together], axis=0, weights=scores[together]))
        best.append(scores[0])
        points, scores = points[~together], scores[~together]
    return np.array(merged).reshape(-1, 4, 2), np.array(best)


def _iou(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of one xyxy box with many."""
    overlap = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.prod(np.maximum(overlap, 0), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    iou: NDArray[np.float64] = shared / np.maximum(np.prod(box[2:] - box[:2]) + areas - shared, 1e-9)
    return iou


def _letterbox(image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float, NDArray[np.float64]]:
    """The image centred on (224, 224, 3) float32 in [-1, 1]; the scale and (2,) shift that did it."""
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (SIDE - w) // 2, (SIDE - h) // 2
    canvas = np.zeros((SIDE, SIDE, 3), np.float32)  # zero is mid grey, what the model was trained with
    small = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
    canvas[top : top + h, left : left + w] = small / np.float32(127.5) - 1
    return canvas, scale, np.array([left, top], np.float64)
