"""Paints over pixels so that what they showed cannot be guessed from what is left.

A person painted over in one colour is still a person to a landmark model: it knows silhouettes. Measured on four
frames of a lone man whose mask was painted over, score of "there is a person": one colour 0.90 to 1.00, OpenCV's
inpainting 0.00 to 0.90, this 0.01 to 0.67.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def paint_over(image: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The image with its hidden pixels continued smoothly from the others around them.

    Pull-push interpolation (Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.3): averages of known pixels on
    coarser and coarser grids fill the holes of the finer ones.

    Args:
        image: (n, n, 3) uint8, n a power of two.
        hidden: (n, n) bool.

    Returns:
        (n, n, 3) uint8, a new array; the image's copy if all or none of it is hidden.
    """
    if hidden.all() or not hidden.any():
        return image.copy()
    known = (~hidden).astype(np.float32)
    levels = [np.dstack([image * known[:, :, None], known])]  # colour times weight, and weight
    while levels[-1].shape[0] > 1:
        half = levels[-1].shape[0] // 2
        levels.append(np.asarray(cv2.resize(levels[-1], (half, half), interpolation=cv2.INTER_AREA)))
    filled = levels[-1].reshape(1, 1, 4)
    filled = filled / filled[:, :, 3:]
    for level in reversed(levels[:-1]):
        size = level.shape[0]
        coarser = cv2.resize(filled, (size, size), interpolation=cv2.INTER_LINEAR).reshape(size, size, 4)
        filled = level + (1 - level[:, :, 3:]) * coarser
    result = image.copy()
    result[hidden] = np.round(filled[:, :, :3][hidden]).clip(0, 255)
    return result
