"""The rotated square around a person that a top-down model looks at, and the way between it and the image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_MIN_SIDE = 2.0  # image pixels, chosen by hand: a smaller crop shows nothing, and at 0 its map has no inverse


@dataclass(frozen=True)
class Region:
    """A square crop of an image, rotated so that the body in it stands upright.

    Attributes:
        x: centre, image pixels from the top-left pixel's centre.
        y: centre, image pixels.
        side: length of an edge, image pixels.
        angle: radians in [-pi, pi) from the image's axes to the crop's, clockwise on the screen.
    """

    x: float
    y: float
    side: float
    angle: float

    @property
    def usable(self) -> bool:
        """Whether there is something to look at: all numbers are finite, and a side has at least two pixels."""
        return all(map(math.isfinite, (self.x, self.y, self.side, self.angle))) and self.side >= _MIN_SIDE

    @property
    def rotation(self) -> NDArray[np.float64]:
        """(2, 2): directions in the crop to directions in the image."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return np.array([[cos, -sin], [sin, cos]])

    def to_image(self, size: int) -> NDArray[np.float64]:
        """(2, 3) affine map from pixel centres of a crop of `size` x `size` to pixels of the image."""
        linear = self.rotation * (self.side / size)
        shift = np.array([self.x, self.y]) - linear @ np.full(2, (size - 1) / 2)
        return np.column_stack([linear, shift])


def region_from_points(centre: NDArray[np.float64], edge: NDArray[np.float64], *, scale: float = 1.25) -> Region:
    """The region whose circle around `centre` goes through `edge`, which lies straight up in the crop.

    Args:
        centre: (2,) image pixels: the hips' centre.
        edge: (2,) image pixels: a point of the circle around the whole body, in the direction of the head.
        scale: how much wider than the circle the square is; BlazePose was trained with 1.25.
    """
    dx, dy = float(edge[0] - centre[0]), float(edge[1] - centre[1])
    angle = math.pi / 2 - math.atan2(-dy, dx)
    wrapped = (angle + math.pi) % (2 * math.pi) - math.pi
    return Region(float(centre[0]), float(centre[1]), 2 * math.hypot(dx, dy) * scale, wrapped)


def cut_out(image: NDArray[np.uint8], region: Region, size: int) -> NDArray[np.uint8]:
    """The region of an image, resampled bilinearly; black outside the image.

    Args:
        image: (H, W, 3) or (H, W) uint8.
        region: what to cut out.
        size: side of the result in pixels.

    Returns:
        (size, size[, 3]) uint8.
    """
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, region.to_image(size), (size, size), flags=flags), np.uint8)


def cut_out_labels(labels: NDArray[np.uint16], region: Region, size: int) -> NDArray[np.uint16]:
    """The region of a label image, by nearest neighbour; 0 outside the image.

    Args:
        labels: (H, W) uint16, person ids, 0 = background.
        region: what to cut out.
        size: side of the result in pixels.

    Returns:
        (size, size) uint16.
    """
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(labels, region.to_image(size), (size, size), flags=flags), np.uint16)


def move_to_region(crop: NDArray[np.float32], region: Region, other: Region) -> NDArray[np.float32]:
    """What a crop shows, resampled into another region of the same image; 0 where the crop ends.

    Args:
        crop: (n, n) float32.
        region: where the crop lies.
        other: where to resample it.

    Returns:
        (n, n) float32.
    """
    size = crop.shape[0]
    there, here = (np.vstack([r.to_image(size), (0, 0, 1)]) for r in (region, other))
    between = np.linalg.solve(here, there)[:2]
    return np.asarray(cv2.warpAffine(crop, between, (size, size), flags=cv2.INTER_LINEAR), np.float32)


def paste_back(
    crop: NDArray[np.float32], region: Region, *, height: int, width: int, threshold: float = 0.5
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """A probability in a crop, resampled into the image, but only in the box where it can exceed a threshold.

    Args:
        crop: (n, n) float32 in [0, 1].
        region: where in the image the crop lies.
        height: of the image, pixels.
        width: of the image, pixels.
        threshold: pixels of the crop below it do not widen the box.

    Returns:
        (h, w) float32 and its top-left corner (x0, y0) in the image; h = w = 0 if nothing exceeds the
        threshold inside the image.
    """
    empty = np.zeros((0, 0), np.float32), (0, 0)
    inside = crop > threshold
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not rows.size:
        return empty
    size = crop.shape[0]
    to_image = region.to_image(size)
    # One pixel further: between a pixel above the threshold and its neighbour the interpolation crosses it.
    x, y = (columns[0] - 1, columns[-1] + 1), (rows[0] - 1, rows[-1] + 1)
    corners = np.array([(x[i], y[j], 1) for i in (0, 1) for j in (0, 1)]) @ to_image.T
    x0, y0 = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(corners.max(axis=0)) + 1, (width, height)).astype(int)
    if x1 <= x0 or y1 <= y0:
        return empty
    to_box = to_image.copy()
    to_box[:, 2] -= (x0, y0)
    box = cv2.warpAffine(crop, to_box, (int(x1 - x0), int(y1 - y0)), flags=cv2.INTER_LINEAR)
    return np.asarray(box, np.float32), (int(x0), int(y0))
