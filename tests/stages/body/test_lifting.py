"""Joints on rays and bones of constant length bring noisy bodies nearer to the truth."""

import numpy as np
import pytest

from stages.body.lifting import bone_lengths, onto_rays, with_bone_lengths
from stages.body.placement import Intrinsics, Placement
from tests.stages.body.scenes import MATRIX, project, walking

CAMERA = Intrinsics.from_matrix(MATRIX)
STAND = np.array([0.3, -0.1, 3.0])
FRAMES = 60
LIMBS = [11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]


@pytest.fixture
def truth():
    return walking(FRAMES)


@pytest.fixture
def stands():
    """Where the body stands, known without error."""
    return Placement(np.tile(STAND, (FRAMES, 1)), np.ones((FRAMES, 33)), np.zeros(FRAMES))


def error(found, truth):
    return float(np.linalg.norm(found - truth, axis=2)[:, LIMBS].mean()) * 1e3


def test_rays_take_away_the_sideways_error_and_leave_the_depth(truth, stands):
    noisy = truth + np.random.default_rng(0).normal(0, 0.05, truth.shape)
    lifted = onto_rays(noisy, project(truth + STAND), stands, camera=CAMERA)
    assert np.array_equal(lifted[..., 2], noisy[..., 2])
    reprojected = np.abs(project(lifted + STAND) - project(truth + STAND)).max()
    assert reprojected < 1e-9, f"{reprojected:.1e} px"
    before, after = error(noisy, truth), error(lifted, truth)
    assert after < 0.6 * before, f"{before:.0f} -> {after:.0f} mm"


def test_an_image_point_that_disagrees_pulls_less(truth, stands):
    stands.inlier[:, 15] = 0.1
    image = project(truth + STAND)
    image[:, 15] += 200  # 0.75 m
    lifted = onto_rays(truth, image, stands, camera=CAMERA)
    moved = np.linalg.norm(lifted[:, 15] - truth[:, 15], axis=1)
    assert 0.05 < moved.min() <= moved.max() < 0.15, f"{moved.min():.2f} to {moved.max():.2f} m"


def test_frames_without_a_place_stay(truth, stands):
    stands.translation[3] = np.nan
    noisy = truth + 0.05
    lifted = onto_rays(noisy, project(truth + STAND), stands, camera=CAMERA)
    assert np.array_equal(lifted[3], noisy[3])
    lengths = bone_lengths(lifted, np.ones((FRAMES, 33)))
    with_bones = with_bone_lengths(lifted, lengths, translation=stands.translation)
    assert np.array_equal(with_bones[3], noisy[3])
    assert np.isfinite(with_bones).all()


def test_bones_are_measured_over_time_and_both_sides(truth):
    generator = np.random.default_rng(0)
    lengths = bone_lengths(truth + generator.normal(0, 0.01, truth.shape), np.ones((FRAMES, 33)))
    upper_arm, shoulders = np.linalg.norm(truth[0, 11] - truth[0, 13]), 0.36
    assert lengths[0] == pytest.approx(upper_arm, abs=0.01)
    assert lengths[4] == pytest.approx(shoulders, abs=0.01)
    hidden = np.ones((FRAMES, 33))
    hidden[4:, 15] = hidden[4:, 16] = 0  # wrists are seen in four frames
    assert np.isnan(bone_lengths(truth, hidden)).tolist() == [False, True, False, False, False, False]


def test_bone_lengths_bring_depths_nearer_to_the_truth(truth, stands):
    rays = (truth + STAND) / (truth + STAND)[..., 2:]
    noisy = truth + rays * np.random.default_rng(0).normal(0, 0.08, truth.shape[:2])[..., None]
    lengths = bone_lengths(truth, np.ones((FRAMES, 33)))
    better = with_bone_lengths(noisy, lengths, translation=stands.translation)
    before, after = error(noisy, truth), error(better, truth)
    assert after < 0.9 * before, f"{before:.0f} -> {after:.0f} mm"
    moved_px = np.abs(project(better + STAND) - project(noisy + STAND)).max()
    assert moved_px < 1e-6, f"the image of a joint moved by {moved_px:.1e} px"
    thigh = lambda body: np.linalg.norm(body[:, 23] - body[:, 25], axis=1).std()  # noqa: E731
    assert thigh(better) < 0.5 * thigh(noisy)


def test_a_body_that_is_right_stays(truth, stands):
    lengths = bone_lengths(truth, np.ones((FRAMES, 33)))
    worst = np.abs(with_bone_lengths(truth, lengths, translation=stands.translation) - truth).max()
    assert worst < 1e-9, f"{worst:.1e} m"


def test_hands_feet_and_head_go_along(truth, stands):
    rays = (truth + STAND) / (truth + STAND)[..., 2:]
    noisy = truth.copy()
    noisy[:, 27] += rays[:, 27] * 0.15
    noisy[:, [29, 31]] += rays[:, [29, 31]] * 0.15
    lengths = bone_lengths(truth, np.ones((FRAMES, 33)))
    better = with_bone_lengths(noisy, lengths, translation=stands.translation)
    ankle, toe = better[:, 27, 2] - noisy[:, 27, 2], better[:, 31, 2] - noisy[:, 31, 2]
    assert np.abs(ankle).mean() > 0.02
    assert np.abs(ankle - toe).max() < 1e-9


def test_without_any_bone_nothing_moves(truth, stands):
    unchanged = with_bone_lengths(truth, np.full(6, np.nan), translation=stands.translation)
    assert np.array_equal(unchanged, truth)
