from __future__ import annotations

import numpy as np

from common.skeletons import INDEX, MHR70, MIRROR
from stages.body.backends.nlf_archive import NlfPeople
from stages.body.backends.nlf_keypoints import VERTICES, confidence, keypoints, uncertainties
from tests.stages.body.backends.nlf_stand_in import joints, vertices


def somebody(points: np.ndarray, unsure: np.ndarray) -> NlfPeople:
    body = joints()[None]
    return NlfPeople(
        joints=body,
        points=points[None],
        joint_uncertainty=np.linspace(0.01, 0.24, 24)[None],
        point_uncertainty=unsure[None],
        fitted_joints=body,
        fitted_vertices=vertices()[VERTICES].astype(np.float32)[None],
        pose=np.zeros((1, 72), np.float32),
        betas=np.zeros((1, 10), np.float32),
        trans=np.zeros((1, 3), np.float32),
    )


def test_left_and_right_are_not_swapped():
    found = keypoints(somebody(np.zeros((0, 3)), np.zeros(0)))[0]
    mirrored = found[list(MIRROR)] * [-1, 1, 1]
    assert np.allclose(found, mirrored, atol=1e-6, equal_nan=True)
    assert found[INDEX["left_hip"], 0] > 0
    assert found[INDEX["left_ear"], 0] > 0, "left is +x of somebody who faces the camera"


def test_hands_and_elbow_points_are_missing():
    found = keypoints(somebody(np.zeros((0, 3)), np.zeros(0)))[0]
    missing = {name for name, place in zip(MHR70, found, strict=True) if np.isnan(place).any()}
    present = set(MHR70) - missing
    assert len(present) == 24
    assert not any("joint" in name or "tip" in name or "olecranon" in name for name in present)


def test_a_joint_has_its_own_uncertainty_and_a_vertex_that_of_the_surface_near_it():
    surface = np.array([[0.0, -0.6, -0.1], [0.0, 1.0, -0.2]])  # at the nose, and between the toes
    found = uncertainties(somebody(surface, np.array([0.5, 0.7])))[0]
    assert found[INDEX["left_knee"]] == np.linspace(0.01, 0.24, 24)[4]
    assert found[INDEX["nose"]] == 0.5
    assert found[INDEX["right_big_toe"]] == 0.7
    assert np.isnan(found[INDEX["left_thumb_tip"]])


def test_without_a_surface_a_vertex_is_as_uncertain_as_the_joint_that_carries_it():
    found = uncertainties(somebody(np.zeros((0, 3)), np.zeros(0)))[0]
    assert found[INDEX["right_heel"]] == np.linspace(0.01, 0.24, 24)[8]


def test_confidence_falls_from_one_to_nothing_and_is_0_where_there_is_no_point():
    trust = confidence(np.array([0.0, 0.1, 0.25, 0.5, np.nan]))
    assert np.allclose(trust, [1, 0.852, np.exp(-1), 0.018, 0], atol=1e-3)
