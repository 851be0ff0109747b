"""Poses of a track on a grid, and what body axes take away."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from common.skeletons import HIPS, INDEX, SHOULDERS
from stages.sync.body_axes import in_body_axes, poses
from stages.sync.features import Grid
from stages.sync.tracks import PersonTrack


def _track(frames: int = 20) -> PersonTrack:
    joints = np.random.default_rng(0).normal(size=(frames, 70, 3))
    return PersonTrack(1, np.arange(frames) / 30, joints, np.ones((frames, 70)))


def test_body_axes_know_neither_the_camera_nor_where_the_person_stands():
    joints = _track().keypoints
    turned = joints @ Rotation.from_euler("xyz", [0.3, -1.1, 2.0]).as_matrix().T + np.array([4, 5, 6])
    worst = np.abs(in_body_axes(joints) - in_body_axes(turned)).max()
    assert worst <= 1e-9, f"worst difference {worst:.1e} m"


def test_body_axes_point_left_up_and_forward():
    joints = np.zeros((1, 70, 3))
    joints[0, HIPS, 0] = 0.1, -0.1  # facing +z of a world with y up, the left is +x
    joints[0, SHOULDERS, 1] = 0.5
    joints[0, INDEX["nose"]] = [0, 0.7, 0.1]
    np.testing.assert_allclose(in_body_axes(joints)[0, INDEX["nose"]], [0, 0.7, 0.1], atol=1e-12)


def test_instants_at_which_nothing_is_seen_are_left_out():
    track = _track()
    track.keypoints[5:12] = np.nan
    found = poses(track, Grid(0.0, 30.0, 20), axes="camera")
    assert found.steps.tolist() == [0, 1, 2, 3, 4, *range(12, 20)]
    np.testing.assert_allclose(found.joints[5], track.keypoints[12])


@pytest.mark.parametrize("axes", ["camera", "body"])
def test_what_is_not_seen_has_no_weight(axes):
    track = _track()
    track.keypoints[:, 30], track.confidence[:, 40], track.confidence[:, 50] = np.nan, 0, np.nan
    found = poses(track, Grid(0.0, 30.0, 20), axes=axes)
    assert (found.weights[:, [30, 40, 50]] == 0).all()
    assert (np.delete(found.weights, [30, 40, 50], axis=1) == 1).all()
    assert np.isfinite(found.joints).all()


def test_without_hips_there_are_no_body_axes():
    track = _track()
    track.confidence[4:9, HIPS[0]] = 0
    assert poses(track, Grid(0.0, 30.0, 20), axes="body").steps.tolist() == [*range(4), *range(9, 20)]
    assert len(poses(track, Grid(0.0, 30.0, 20), axes="camera").steps) == 20
