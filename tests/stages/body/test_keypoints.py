"""Landmarks become keypoints under their names, with a confidence that falls where it should."""

import numpy as np

from common.skeletons import INDEX
from stages.body.keypoints import confidence_to_mhr70, landmark_confidence, to_mhr70
from tests.stages.body.scenes import standing


def test_joints_arrive_under_their_names():
    body = to_mhr70(standing()[None])[0]
    assert body[INDEX["left_wrist"]].tolist() == standing()[15].tolist()
    assert body[INDEX["right_big_toe"]].tolist() == standing()[32].tolist()
    assert np.allclose(body[INDEX["neck"]], [0, -0.5, 0.02])


def test_what_blazepose_does_not_see_is_missing_and_not_zero():
    body = to_mhr70(standing()[None])[0]
    assert np.isfinite(body).all(axis=1).sum() == 22
    assert np.isnan(body[INDEX["left_index_tip"]]).all()
    confidence = confidence_to_mhr70(np.ones((1, 33)))[0]
    assert np.array_equal(confidence > 0, np.isfinite(body).all(axis=1))


def test_the_neck_is_as_sure_as_the_worse_shoulder():
    confidence = np.ones((1, 33))
    confidence[0, 11] = 0.2
    assert confidence_to_mhr70(confidence)[0, INDEX["neck"]] == 0.2


def test_confidence_falls_outside_the_image_and_behind_others():
    image = np.array([[[10.0, 10], [-0.4, 10], [-0.6, 10], [10, 99.6], [10, 10]]])
    hidden = np.array([[False, False, False, False, True]])
    confidence = landmark_confidence(
        np.full((1, 5), 0.9), np.full((1, 5), 0.8), image, height=100, width=200, hidden=hidden
    )
    assert np.allclose(confidence, [[0.72, 0.72, 0.18, 0.18, 0.36]])
