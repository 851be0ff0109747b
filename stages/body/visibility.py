"""How far keypoints can be trusted that a model places whether they are seen or not: by whose pixels they fall on.

The original's author found that a simple rule goes far: a point counts that lies in front of the camera and projects
into its person's mask. Here other people's masks count against it, and a body half outside of the picture is guessed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.body.keypoints import HIDDEN, OUTSIDE

_OFF_MASK = 0.5  # behind furniture, or misplaced; chosen by hand, like HIDDEN
_NEAR = 0.02  # of the longer side of the box: masks end short of fingertips and toes; chosen by hand
_NEAR_PX = 2.0  # at least

_TURN = np.linspace(0, 2 * np.pi, 16, endpoint=False)
_RING = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
_AROUND = np.concatenate([np.zeros((1, 2)), 0.5 * _RING, _RING])  # (33, 2) where a mask is looked for


def visible_share(
    pixels: NDArray[np.floating[Any]],
    depth: NDArray[np.floating[Any]],
    boxes: NDArray[np.floating[Any]],
    masks: NDArray[np.bool_] | None,
    *,
    height: int,
    width: int,
) -> NDArray[np.float64]:
    """Confidence of the keypoints of the n people of one frame.

    0 where a keypoint is missing or not in front of the camera. Else 1 on its person's mask or within 2 % of the box's
    longer side of it; 0.5 on somebody else's mask (hidden) or on nobody's (behind something, or misplaced); 0.25
    outside of the image. Without masks 1 everywhere in the image.

    Args:
        pixels: (n, J, 2); NaN where missing.
        depth: (n, J) metres in front of the camera; NaN where missing.
        boxes: (n, 4) x1 y1 x2 y2 of the masks, pixels.
        masks: (n, H, W) that exclude each other, or None.
        height: H, of the image.
        width: W.

    Returns:
        (n, J) in [0, 1].
    """
    known = np.asarray(np.isfinite(pixels).all(axis=-1) & (depth > 0))
    at = np.where(known[..., None], pixels, -1.0)
    inside = np.asarray(((at >= -0.5) & (at <= np.array([width, height]) - 0.5)).all(axis=-1))
    confidence = np.where(inside, 1.0, OUTSIDE) * known
    if masks is None:
        return confidence
    reach = np.maximum(_NEAR * (boxes[:, 2:] - boxes[:, :2]).max(axis=1), _NEAR_PX)
    for i, mask in enumerate(masks):
        mine = np.flatnonzero(inside[i] & known[i])
        around = at[i, mine, None] + reach[i] * _AROUND
        column = np.rint(around[..., 0]).astype(np.int64).clip(0, width - 1)
        row = np.rint(around[..., 1]).astype(np.int64).clip(0, height - 1)
        near = mask[row, column].any(axis=1)
        somebody = masks[:, row[:, 0], column[:, 0]].any(axis=0)
        others = somebody & ~mask[row[:, 0], column[:, 0]]
        confidence[i, mine] *= np.where(others, HIDDEN, np.where(near, 1.0, _OFF_MASK))
    return confidence
