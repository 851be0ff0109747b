from __future__ import annotations

import numpy as np
import pytest

from stages.body.backends.nlf_plausibility import covered, duplicates, on_masks, plausible_bones, similarity
from tests.stages.body.backends.nlf_stand_in import around_bones, joints

POSE = around_bones(500) + np.array([0.3, -0.1, 4.0])


def test_poses_are_compared_at_one_scale_about_the_camera():
    assert similarity(POSE, POSE) == pytest.approx(1.0)
    assert similarity(POSE, 1.3 * POSE) == pytest.approx(1.0)


def test_similarity_falls_to_nothing_over_30_cm():
    for apart in (0.06, 0.15, 0.4):
        turn = apart / 4.0  # sideways about the camera: no change of scale
        turned = POSE @ np.array([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
        assert similarity(POSE, turned) == pytest.approx(max(1 - apart / 0.3, 0), abs=0.05)


@pytest.mark.parametrize(("moved", "expected"), [(20, 0.8), (100, 0.0)])
def test_the_worst_fifth_of_the_points_decides(moved: int, expected: float):
    other = POSE.copy()
    other[:moved, 0] += 0.5
    assert similarity(POSE, other) == pytest.approx(expected, abs=0.03)


def test_the_surest_of_equal_poses_stays_and_a_chain_keeps_its_ends():
    step = np.array([0.12, 0, 0])  # similarity 0.6 to the next one, 0.2 to the one after it
    poses = np.stack([POSE, POSE + step, POSE + 2 * step])
    assert duplicates(poses, np.array([0.2, 0.1, 0.3])).tolist() == [0, 2]
    assert duplicates(poses, np.array([0.1, 0.2, 0.3])).tolist() == [1]
    assert duplicates(poses[:0], np.zeros(0)).tolist() == []


@pytest.mark.parametrize(("scale", "plausible"), [(0.25, False), (0.6, True), (1.0, True), (1.4, True), (1.8, False)])
def test_bones_are_those_of_people_from_small_children_on(scale: float, *, plausible: bool):
    assert plausible_bones(scale * joints()) is plausible


def test_one_arm_that_is_too_long_is_enough():
    body = joints()
    body[21] += [-0.4, 0, 0]
    assert not plausible_bones(body)


@pytest.mark.parametrize(
    ("points", "share"),
    [
        ([[0, 0], [200, 200]], 1.0),
        ([[10, 20], [20, 60]], 0.5),
        ([[15, 40], [90, 90]], 0.75 * 0.5),
        ([[60, 0], [70, 90]], 0),
    ],
)
def test_share_of_a_box_that_a_pose_covers(points: list[list[float]], share: float):
    # 20 px wide from x = 10, 40 px high from y = 20
    assert covered(np.array([10.0, 20, 20, 40]), np.array(points, float)) == pytest.approx(share)


def test_points_are_looked_up_at_their_nearest_pixel_of_every_mask():
    masks = np.zeros((2, 6, 8), bool)
    masks[0, 2, 3] = masks[1, 5, 7] = True
    image = np.array([[3.4, 1.6], [4.6, 2.0], [7.4, 5.4], [7.6, 5.0], [np.nan, 2.0], [-0.6, 0.0]])
    assert on_masks(masks, image).tolist() == [
        [True, False, False, False, False, False],
        [False, False, True, False, False, False],
    ]
    assert on_masks(masks, image, radius=2)[0].tolist() == [True, True, False, False, False, False]
