import dataclasses
import math

import cv2
import numpy as np
import pytest

from common.models.regions import Region, cut_out, cut_out_labels, move_to_region, paste_back, region_from_points

TILTED = Region(x=150.0, y=110.0, side=128.0, angle=0.4)


def blob(height=240, width=320, centre=(150, 110), radius=30):
    y, x = np.mgrid[:height, :width]
    return (np.hypot(x - centre[0], y - centre[1]) < radius).astype(np.float32)


def test_the_edge_point_is_straight_up_in_the_crop_at_two_fifths_of_its_side():
    centre, edge = np.array([100.0, 80.0]), np.array([130.0, 40.0])
    region = region_from_points(centre, edge)
    to_image = region.to_image(256)
    x, y = np.linalg.solve(to_image[:, :2], edge - to_image[:, 2])
    assert region.side == pytest.approx(2.5 * 50)
    assert (x, y) == pytest.approx((127.5, 127.5 - 256 / 2.5))


def test_an_upright_body_has_no_angle():
    assert region_from_points(np.array([5.0, 9.0]), np.array([5.0, 2.0])).angle == pytest.approx(0)
    assert region_from_points(np.array([5.0, 9.0]), np.array([12.0, 9.0])).angle == pytest.approx(math.pi / 2)


def test_the_middle_of_the_crop_is_the_middle_of_the_region():
    to_image = TILTED.to_image(64)
    np.testing.assert_allclose(to_image @ (31.5, 31.5, 1), (150, 110))
    corners = np.array([(-0.5, -0.5, 1), (63.5, -0.5, 1)]) @ to_image.T
    assert np.hypot(*(corners[1] - corners[0])) == pytest.approx(128)


def test_cutting_out_and_pasting_back_returns_the_shape():
    truth = blob()
    crop = cut_out((truth * 255).astype(np.uint8), TILTED, 256).astype(np.float32) / 255
    box, (x0, y0) = paste_back(crop, TILTED, height=240, width=320)
    again = np.zeros_like(truth)
    again[y0 : y0 + box.shape[0], x0 : x0 + box.shape[1]] = box
    iou = ((again > 0.5) & (truth > 0.5)).sum() / ((again > 0.5) | (truth > 0.5)).sum()
    assert iou > 0.98, f"IoU {iou:.3f}"


def test_the_pasted_box_equals_the_same_pixels_of_a_whole_frame():
    crop = np.random.default_rng(0).uniform(0, 1, (64, 64)).astype(np.float32)
    whole = cv2.warpAffine(crop, TILTED.to_image(64), (320, 240), flags=cv2.INTER_LINEAR)
    box, (x0, y0) = paste_back(crop, TILTED, height=240, width=320)
    # OpenCV rounds source positions to 1/32 of a pixel, and the box starts elsewhere: 1/32 of a step of up to 1
    worst = np.abs(whole[y0 : y0 + box.shape[0], x0 : x0 + box.shape[1]] - box).max()
    assert worst < 0.07, f"{worst:.3f}"
    outside = whole.copy()
    outside[y0 : y0 + box.shape[0], x0 : x0 + box.shape[1]] = 0
    assert outside.max() <= 0.5


@pytest.mark.parametrize("x", [-20.0, 330.0])
def test_what_leaves_the_image_is_cut_off(x):
    box, (x0, _) = paste_back(np.ones((32, 32), np.float32), Region(x, 100, 60, 0.0), height=240, width=320)
    assert box.shape[1] <= 32
    assert 0 <= x0 <= 320 - box.shape[1]


def test_nobody_in_the_mask_or_in_the_image_is_an_empty_box():
    assert paste_back(np.zeros((32, 32), np.float32), TILTED, height=240, width=320)[0].size == 0
    far = Region(900, 900, 60, 0.0)
    assert paste_back(np.ones((32, 32), np.float32), far, height=240, width=320)[0].size == 0


def test_labels_are_not_mixed():
    labels = np.zeros((240, 320), np.uint16)
    labels[:, 160:] = 40000
    assert set(np.unique(cut_out_labels(labels, TILTED, 64))) == {0, 40000}


def test_a_mask_moves_between_two_regions():
    other = Region(x=160.0, y=100.0, side=180.0, angle=-0.3)
    image = (blob() * 255).astype(np.uint8)
    there = cut_out(image, TILTED, 128).astype(np.float32) / 255
    moved = move_to_region(there, TILTED, other)
    expected = cut_out(image, other, 128).astype(np.float32) / 255
    assert (np.abs(moved - expected) > 0.5).mean() < 0.002


@pytest.mark.parametrize("change", [{"side": 0.0}, {"side": 1.9}, {"x": math.nan}, {"angle": math.inf}])
def test_a_region_without_extent_or_place_is_not_usable(change):
    assert TILTED.usable
    assert not dataclasses.replace(TILTED, **change).usable
