from __future__ import annotations

import numpy as np
import pytest

from stages.sync.fusion import Measurement, fuse


def test_without_measurements_motion_alone_decides():
    found = fuse(np.array([1.0, 3.5]), np.array([0.1, 0.1]), [])
    assert found.starts == pytest.approx([0.0, 2.5])
    assert found.half_widths == pytest.approx([0.1, 0.1])
    assert found.shares["motion"] == pytest.approx([1, 1])


def test_two_measurements_of_one_difference_are_weighed_by_their_precision():
    """Motion says 2.0 ± 0.02 (one sigma), a clue 2.03 ± 0.01: the mean is nearer to the clue, 1 to 4."""
    width = 1.96 * 0.02
    found = fuse(np.array([0.0, 2.0]), np.array([width, width]), [Measurement("calibration", 0, 1, 2.03, 0.009)])
    expected = (2.0 / 0.02**2 + 2.03 / 0.01**2) / (1 / 0.02**2 + 1 / 0.01**2)
    assert found.starts[1] == pytest.approx(expected, abs=1e-6)
    assert found.half_widths == pytest.approx([1.96 / np.sqrt(1 / 0.02**2 + 1 / 0.01**2)] * 2, rel=1e-3)
    assert found.shares["calibration"] == pytest.approx([0.8, 0.8], abs=0.01)


def test_what_contradicts_the_rest_is_set_aside():
    motion, widths = np.array([0.0, 1.0, 2.0]), np.full(3, 0.02)
    found = fuse(
        motion, widths, [Measurement("calibration", 0, 1, 1.5, 0.01), Measurement("calibration", 1, 2, 1.0, 0.01)]
    )
    assert found.used == [False, True]
    assert found.starts == pytest.approx(motion, abs=1e-3)


def test_a_bias_that_a_camera_has_in_all_pairs_does_not_average_out():
    """Eight cameras, all pairs: a pair's deviation is 11.4 ms, of which each camera's own part is 8."""
    pairs = [(i, j) for i in range(8) for j in range(i + 1, 8)]
    nothing = np.full(8, np.nan)
    independent = fuse(np.zeros(8), nothing, [Measurement("audio", i, j, 0.0, 0.0114) for i, j in pairs])
    biased = fuse(np.zeros(8), nothing, [Measurement("audio", i, j, 0.0, 0.0114, bias=0.008) for i, j in pairs])
    expected = 1.96 * 0.008 * np.sqrt(1 + 1 / 7)  # a bias against the mean of seven others
    assert biased.half_widths == pytest.approx([expected] * 8, rel=0.1)
    assert independent.half_widths.max() < 0.6 * expected


def test_what_nothing_connects_has_no_width():
    found = fuse(np.zeros(3), np.full(3, np.nan), [Measurement("audio", 0, 1, 1.0, 0.01)])
    assert np.isnan(found.half_widths).all()
