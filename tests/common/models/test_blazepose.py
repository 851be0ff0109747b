"""The arithmetic around the BlazePose models, without the models."""

import numpy as np
import pytest

from common.errors import ModelUnavailable
from common.models.blazepose_detector import PersonDetector, anchor_centres, merge_overlapping
from common.models.blazepose_landmarks import LandmarkModel, refine


def test_the_anchors_are_those_of_the_model():
    anchors = anchor_centres()
    assert anchors.shape == (2254, 2)
    np.testing.assert_allclose(anchors[[0, 1, 2]], [[0.5 / 28] * 2, [0.5 / 28] * 2, [1.5 / 28, 0.5 / 28]])
    np.testing.assert_allclose(anchors[1568], [0.5 / 14] * 2)
    np.testing.assert_allclose(anchors[-1], [6.5 / 7] * 2)


def person(x, y, *, head=20.0):
    return [[x - head, y - 100 - head], [x + head, y - 100 + head], [x, y], [x, y - 120]]


def test_candidates_of_one_person_become_their_weighted_mean():
    points = np.array([person(100, 200), person(104, 200), person(400, 210)])
    merged, scores = merge_overlapping(points, np.array([0.6, 0.9, 0.7]))
    assert scores.tolist() == [0.9, 0.7]
    np.testing.assert_allclose(merged[0, 2], [(100 * 0.6 + 104 * 0.9) / 1.5, 200])
    np.testing.assert_allclose(merged[1], person(400, 210))


def test_heads_that_miss_each_other_are_one_person_if_the_hips_agree():
    merged, _ = merge_overlapping(np.array([person(100, 200, head=3), person(110, 200, head=3)]), np.array([0.9, 0.8]))
    assert len(merged) == 1


def test_no_candidate_is_nobody():
    merged, scores = merge_overlapping(np.zeros((0, 4, 2)), np.zeros(0))
    assert merged.shape == (0, 4, 2)
    assert scores.shape == (0,)


def refine_one_by_one(points, heatmaps):
    """MediaPipe's calculator, written as its loops."""
    height, width, count = heatmaps.shape
    result = points.copy()
    for j in range(count):
        column, row = int(points[j, 0] / 256 * width), int(points[j, 1] / 256 * height)
        if not (0 <= column < width and 0 <= row < height):
            continue
        total = x = y = highest = 0.0
        for r in range(max(0, row - 3), min(height, row + 4)):
            for c in range(max(0, column - 3), min(width, column + 4)):
                weight = 1 / (1 + np.exp(-float(heatmaps[r, c, j])))
                total, x, y, highest = total + weight, x + weight * c, y + weight * r, max(highest, weight)
        if highest >= 0.5:
            result[j] = x / total * 256 / width, y / total * 256 / height
    return result


@pytest.mark.parametrize("level", [-9.0, -1.0, 3.0])
def test_refinement_equals_the_published_loops(level):
    rng = np.random.default_rng(3)
    points = rng.uniform(-30, 290, (39, 2))
    heatmaps = rng.normal(level, 2, (64, 64, 39)).astype(np.float32)
    worst = np.abs(refine(points, heatmaps) - refine_one_by_one(points, heatmaps)).max()
    assert worst < 1e-4, f"{worst:.2e} px"


@pytest.mark.parametrize("model", [PersonDetector, LandmarkModel])
def test_a_missing_or_broken_file_says_what_to_do(model, tmp_path):
    with pytest.raises(ModelUnavailable, match="ghost weights fetch"):
        model(tmp_path / "absent.tflite")
    (tmp_path / "broken.tflite").write_bytes(b"not a model")
    with pytest.raises(ModelUnavailable, match="ghost weights fetch"):
        model(tmp_path / "broken.tflite")
