import numpy as np
import pytest

from common.models.blazepose_detector import Detections
from common.models.movenet import BLAZEPOSE_OF_COCO, Poses
from stages.segment.candidates import from_circles, from_poses, united
from tests.stages.segment.synthetic import BODY


def detected(body, score=0.9):
    keypoints = np.column_stack([body[list(BLAZEPOSE_OF_COCO)], np.full(17, score)])
    return Poses(keypoints[None], np.zeros((1, 4)), np.array([0.9]))


def circle(hips):
    return Detections(np.zeros((1, 4)), np.array([hips]), np.array([hips]) - (0, 55), np.array([0.9]))


def test_a_pose_is_at_no_distance_from_its_body_and_at_the_right_one_from_others():
    body = BODY * 100 + 200
    (candidate,) = from_poses(detected(body))
    assert candidate.distance(body) == pytest.approx(0)
    assert candidate.distance(body + np.array([19.0, 0])) == pytest.approx(0.2, abs=0.001)  # it is 95 pixels tall


def test_a_circle_is_compared_at_the_hips():
    body = BODY * 100 + 200
    (candidate,) = from_circles(circle((200.0, 200.0)))
    assert candidate.distance(body) == pytest.approx(0)
    assert candidate.distance(body + np.array([9.5, 0])) == pytest.approx(0.1, abs=0.001)


def test_what_both_detectors_see_is_there_once():
    poses = from_poses(detected(BODY * 100 + 200))
    assert len(united(poses, from_circles(circle((203.0, 201.0))))) == 1
    assert len(united(poses, from_circles(circle((300.0, 201.0))))) == 2
    assert len(united([], from_circles(circle((300.0, 201.0))))) == 1


def test_a_pose_of_which_nothing_was_seen_is_left_out():
    assert from_poses(detected(BODY * 100 + 200, score=0.01)) == []
