"""Who is large enough to be looked at is the same for all models."""

import numpy as np

from stages.body.boxes import large_enough


def test_ten_pixels_wide_and_high_is_large_enough_the_first_and_the_last_included():
    boxes = [[3, 3, 12, 12], [3, 3, 11, 100], [3, 3, 100, 11], [0, 0, 12, 300]]
    assert large_enough(np.array(boxes, np.float32)).tolist() == [True, False, False, True]
    assert large_enough(np.empty((0, 4), np.float32)).tolist() == []
