"""Known bodies in front of known cameras are put back to where they stood."""

import numpy as np
import pytest

from stages.body.placement import Intrinsics, place
from tests.stages.body.scenes import HEIGHT, MATRIX, WIDTH, project, walking

CAMERA = Intrinsics.from_matrix(MATRIX)
STANDS = np.array([[0.4, -0.2, 3.5], [-1.0, 0.3, 6.0], [0.0, 0.0, 2.0]])


@pytest.fixture
def seen():
    """(world, image, confidence) of a body in three places."""
    world = walking(3)
    return world, project(world + STANDS[:, None]), np.ones((3, 33))


def test_a_body_is_put_where_it_stood(seen):
    found = place(*seen, camera=CAMERA)
    worst = np.abs(found.translation - STANDS).max()
    assert worst < 1e-9, f"{worst:.1e} m off"
    assert found.residual_px.max() < 1e-6
    assert found.inlier.min() == 1


def test_noise_of_two_pixels_moves_it_by_less_than_three_centimetres(seen):
    world, image, confidence = seen
    noisy = image + np.random.default_rng(1).normal(0, 2, image.shape)
    found = place(world, noisy, confidence, camera=CAMERA)
    worst = np.abs(found.translation - STANDS)[[0, 2]].max()
    assert worst < 0.03, f"{worst * 1e3:.0f} mm off"
    assert 1 < found.residual_px.mean() < 4, f"residual {found.residual_px}"


def test_three_wrong_image_points_do_not_count(seen):
    world, image, confidence = seen
    image = image.copy()
    image[:, [15, 16, 31]] += [120, -90]
    robust = place(world, image, confidence, camera=CAMERA)
    worst = np.abs(robust.translation - STANDS).max(axis=1)
    assert worst[0] < 0.05, f"{worst[0] * 1e3:.0f} mm off"
    assert robust.inlier[:, [15, 16, 31]].max() < 0.2 < robust.inlier[:, [11, 12, 25]].min()


def test_joints_without_confidence_have_no_say(seen):
    world, image, confidence = seen
    image, confidence = image.copy(), confidence.copy()
    image[:, :10] += 300
    confidence[:, :10] = 0
    image[:, 10] = np.nan
    assert np.abs(place(world, image, confidence, camera=CAMERA).translation - STANDS).max() < 1e-9


def test_too_few_confident_joints_place_nobody(seen):
    world, image, confidence = seen
    confidence = np.full_like(confidence, 0.1)
    confidence[0, :4] = 1
    confidence[1, :3] = 1
    found = place(world, image, confidence, camera=CAMERA)
    assert np.isfinite(found.translation).all(axis=1).tolist() == [True, False, False]
    assert np.isnan(found.residual_px).tolist() == [False, True, True]


def test_joints_on_one_ray_place_nobody():
    found = place(np.zeros((1, 33, 3)), np.full((1, 33, 2), 100.0), np.ones((1, 33)), camera=CAMERA)
    assert np.isnan(found.translation).all()


def test_no_frames_are_no_placements():
    found = place(np.zeros((0, 33, 3)), np.zeros((0, 33, 2)), np.zeros((0, 33)), camera=CAMERA)
    assert found.translation.shape == (0, 3)


def test_without_calibration_the_camera_is_assumed_and_says_so(seen):
    world, image, confidence = seen
    assumed = Intrinsics.assume(height=HEIGHT, width=WIDTH)
    assert assumed.assumed
    assert not CAMERA.assumed
    assert assumed.focal.tolist() == [800.0, 800.0]  # the diagonal of 640 x 480
    assert assumed.centre.tolist() == [319.5, 239.5]
    found = place(world, image, confidence, camera=assumed)
    assert np.abs(found.translation[:, 2] / STANDS[:, 2] - 1).max() < 0.05
