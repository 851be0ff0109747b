"""Keypoints count by whose pixels they fall on."""

import numpy as np
import pytest

from stages.body.visibility import visible_share

HEIGHT, WIDTH = 100, 200
BOXES = np.array([[20, 10, 59, 89], [60, 10, 99, 89]], np.float32)

CASES = {
    "on the own mask": ((40, 50), 1.0),
    "a pixel beside it": ((18.8, 50), 1.0),
    "farther away": ((15, 50), 0.5),
    "on somebody else": ((80, 50), 0.5),
    "just on somebody else": ((60, 50), 0.5),
    "at the edge of the image": ((-0.4, 50), 0.5),
    "outside": ((-0.6, 50), 0.25),
    "far outside": ((1e7, -1e7), 0.25),
    "missing": ((np.nan, np.nan), 0.0),
}


def masks():
    found = np.zeros((2, HEIGHT, WIDTH), bool)
    for mask, (x1, y1, x2, y2) in zip(found, BOXES.astype(int), strict=True):
        mask[y1 : y2 + 1, x1 : x2 + 1] = True
    return found


def share(pixels, depth=3.0, *, own=True):
    at = np.broadcast_to(np.asarray(pixels, np.float64), (2, 1, 2))
    found = visible_share(at, np.full((2, 1), depth), BOXES, masks() if own else None, height=HEIGHT, width=WIDTH)
    return found[0, 0]


@pytest.mark.parametrize(("pixels", "expected"), CASES.values(), ids=CASES.keys())
def test_where_a_keypoint_lies_says_how_far_it_is_trusted(pixels, expected):
    assert share(pixels) == expected


def test_what_is_behind_the_camera_is_not_trusted_wherever_it_projects():
    assert share((40, 50), depth=-1.0) == 0
    assert share((40, 50), depth=np.nan) == 0


def test_without_masks_the_image_decides():
    assert share((15, 50), own=False) == 1
    assert share((-5, 50), own=False) == 0.25
