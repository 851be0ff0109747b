"""MoveNet multipose: up to six people with 17 keypoints each, small ones included, in one pass.

Google's `movenet/multipose/lightning/1`, run from an ONNX file through onnxruntime.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from common.errors import ModelUnavailable
from common.models import calls
from common.models.regions import Region, region_from_points

BLAZEPOSE_OF_COCO = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""The BlazePose landmark that each of the 17 COCO keypoints corresponds to."""

_STRIDE = 32  # the model takes any size that is a multiple of it
_POINTS = 17
_SHOULDERS, _HIPS = [5, 6], [11, 12]
_SEEN = 0.15  # keypoint score from which a point counts for the crop; by eye on real scenes
_MARGIN = 1.1  # the circle is that much wider than the farthest keypoint: hands and head go beyond wrists and nose


@dataclass(frozen=True)
class Poses:
    """People found in one image, best first. Pixels of the image.

    Attributes:
        keypoints: (n, 17, 3) float64: x, y and a score in [0, 1], COCO order.
        boxes: (n, 4) float64 xyxy.
        scores: (n,) float64 in [0, 1].
    """

    keypoints: NDArray[np.float64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]


class MultiPoseModel:
    """The model, loaded."""

    def __init__(self, path: Path | str, *, side: int = 512, threshold: float = 0.3, threads: int = 1) -> None:
        """Loads `movenet-multipose.onnx`.

        Args:
            path: the model file.
            side: the image's longer side is scaled to it; 512 finds people of a sixth of the image's height.
            threshold: lowest person score that counts.
            threads: threads of one call.

        Raises:
            ModelUnavailable: the file or the runtime is missing.
        """
        try:
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as failures
        except ImportError as error:
            raise ModelUnavailable(
                f"the runtime of {Path(path).name} cannot be loaded ({error}). Run `make setup`."
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Idle threads would spin and show up as CPU time.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if not Path(path).is_file():
            raise ModelUnavailable(f"{path} does not exist. Run `ghost weights fetch`.")
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except (failures.Fail, failures.InvalidProtobuf, failures.InvalidGraph, RuntimeError) as error:
            raise ModelUnavailable(
                f"{path} cannot be loaded as a model ({error}). Run `ghost weights fetch`."
            ) from error
        self._input = self._session.get_inputs()[0].name
        self._side = side
        self._threshold = threshold

    def detect(self, image: NDArray[np.uint8]) -> Poses:
        """Finds people.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            At most six people; near-duplicates are removed.
        """
        height, width = image.shape[:2]
        scale = self._side / max(height, width)
        w, h = max(1, int(width * scale)), max(1, int(height * scale))
        padded_w, padded_h = (math.ceil(n / _STRIDE) * _STRIDE for n in (w, h))
        canvas = np.zeros((1, padded_h, padded_w, 3), np.int32)
        canvas[0, :h, :w] = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
        calls.count("movenet-multipose")
        (output,) = self._session.run(None, {self._input: canvas})
        rows = output[0][output[0, :, 55] > self._threshold].astype(np.float64)
        rows = rows[np.argsort(-rows[:, 55], kind="stable")]
        # From the image's edge to the first pixel's centre; w and h are rounded: each axis has its own scale.
        to_pixels = np.array([padded_w * width / w, padded_h * height / h])
        keypoints = rows[:, : 3 * _POINTS].reshape(-1, _POINTS, 3)[:, :, [1, 0, 2]]
        keypoints[:, :, :2] = keypoints[:, :, :2] * to_pixels - 0.5
        boxes = rows[:, [52, 51, 54, 53]] * np.tile(to_pixels, 2) - 0.5
        keep = distinct(keypoints)
        return Poses(keypoints[keep], boxes[keep], rows[keep, 55])


def distinct(keypoints: NDArray[np.float64], *, threshold: float = 0.06) -> list[int]:
    """Which people to keep so that nobody is there twice.

    Args:
        keypoints: (n, 17, 3) x, y, score; best person first.
        threshold: median keypoint distance of two different people, in heights of the better one.

    Returns:
        Indices, ascending.
    """
    kept: list[int] = []
    for index, person in enumerate(keypoints):
        for other in keypoints[kept]:
            distance = np.median(np.hypot(*(person[:, :2] - other[:, :2]).T))
            if distance <= threshold * max(np.ptp(other[:, 1]), 1.0):
                break
        else:
            kept.append(index)
    return kept


def region_of(keypoints: NDArray[np.float64]) -> Region | None:
    """The crop for the landmark model: around the hips, as wide as the farthest keypoint, shoulders up.

    Args:
        keypoints: (17, 3) x, y, score.

    Returns:
        None if fewer than four keypoints were seen.
    """
    points, seen = keypoints[:, :2], keypoints[:, 2] > _SEEN
    if seen.sum() < 4:
        return None
    hips, shoulders = points[_HIPS].mean(axis=0), points[_SHOULDERS].mean(axis=0)
    up = shoulders - hips
    length = np.hypot(*up)
    if length < 1e-6:
        return None
    radius = np.hypot(*(points[seen] - hips).T).max() * _MARGIN
    return region_from_points(hips, hips + up / length * radius)
