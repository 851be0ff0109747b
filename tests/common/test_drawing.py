import itertools

import numpy as np
import pytest

from common.drawing import (
    NOBODY,
    PALETTE,
    TINT,
    VISIBLE,
    Drawn,
    draw_label,
    draw_mask,
    draw_people,
    draw_skeleton,
    fitting_size,
    hex_colour,
    luminance,
    person_colour,
    to_scale,
)
from common.skeletons import INDEX

GREY = np.full((180, 320, 3), 100, np.uint8)


def box_mask(height=180, width=320, y=slice(40, 140), x=slice(100, 160)):
    mask = np.zeros((height, width), bool)
    mask[y, x] = True
    return mask


def changed(image, background=GREY):
    return (image != background).any(axis=-1)


def test_the_inside_of_a_mask_is_tinted_and_the_rest_is_left_alone():
    drawn = draw_mask(GREY, box_mask(), (230, 159, 0))
    expected = np.rint(100 * (1 - TINT) + np.array([230, 159, 0]) * TINT)
    assert np.abs(drawn[60:120, 110:150].astype(int) - expected).max() <= 1
    outside = changed(drawn)
    outside[36:144, 96:164] = False
    assert not outside.any()


def test_a_mask_is_outlined_in_full_colour():
    drawn = draw_mask(GREY, box_mask(), (230, 159, 0))
    assert np.abs(drawn[90, 100].astype(int) - (230, 159, 0)).max() <= 12  # a smooth line mixes in a little


def test_a_mask_of_the_full_size_frame_lands_in_its_place_on_a_small_picture():
    small = draw_mask(GREY, box_mask(1080, 1920, slice(240, 840), slice(600, 960)), (0, 0, 255))
    rows, columns = np.nonzero(changed(small))
    found = columns.min(), rows.min(), columns.max(), rows.max()
    assert np.abs(np.array(found) - (100, 40, 159, 139)).max() <= 2, found


def test_nothing_is_drawn_in_place():
    image, labels = GREY.copy(), box_mask().astype(np.uint16)
    keypoints = np.random.default_rng(0).uniform(0, 180, (70, 2))
    people = {1: Drawn((255, 0, 0), "1", keypoints, np.ones(70))}
    assert changed(draw_people(image, people, full_size=(320, 180), labels=labels)).any()
    assert (image == GREY).all()
    assert labels.max() == 1


def test_an_empty_mask_draws_nothing():
    assert (draw_mask(GREY, np.zeros((180, 320), bool), (255, 0, 0)) == GREY).all()


def points(**named):
    keypoints = np.full((70, 2), np.nan)
    for name, at in named.items():
        keypoints[INDEX[name]] = at
    return keypoints


def test_a_bone_joins_two_keypoints_that_were_observed():
    drawn = changed(draw_skeleton(GREY, points(left_hip=(50, 50), left_knee=(150, 50)), (255, 0, 0)))
    assert drawn[50, 50:151].all()
    assert not drawn[:40].any()
    assert not drawn[60:].any()


def test_a_bone_needs_both_ends():
    drawn = changed(draw_skeleton(GREY, points(left_hip=(50, 50), left_ankle=(150, 50)), (255, 0, 0)))
    assert not drawn[50, 60:140].any()


def test_keypoints_that_are_not_trusted_are_not_drawn():
    keypoints = points(left_hip=(50, 50), left_knee=(150, 50))
    confidence = np.full(70, VISIBLE + 0.01)
    assert changed(draw_skeleton(GREY, keypoints, (255, 0, 0), confidence=confidence)).any()
    confidence[INDEX["left_knee"]] = VISIBLE - 0.01
    drawn = changed(draw_skeleton(GREY, keypoints, (255, 0, 0), confidence=confidence))
    assert not drawn[:, 60:].any()


def test_a_body_without_any_keypoint_draws_nothing():
    assert (draw_skeleton(GREY, np.full((70, 2), np.nan), (255, 0, 0)) == GREY).all()


def test_keypoints_far_outside_the_picture_do_no_harm():
    keypoints = points(left_hip=(50, 50), left_knee=(1e30, -1e30))
    assert draw_skeleton(GREY, keypoints, (255, 0, 0)).shape == GREY.shape


def test_keypoints_are_scaled_from_the_full_size_frame_by_pixel_centres():
    corners = np.array([[-0.5, -0.5], [1919.5, 1079.5]])
    assert to_scale(corners, full=(1920, 1080), scaled=(320, 180)).tolist() == [[-0.5, -0.5], [319.5, 179.5]]


def test_a_skeleton_without_a_mask_is_scaled_too():
    keypoints = points(left_hip=(300, 300), left_knee=(900, 300))
    drawn = changed(draw_people(GREY, {4: Drawn((255, 0, 0), "", keypoints)}, full_size=(1920, 1080)))
    rows, columns = np.nonzero(drawn)
    assert abs(rows.mean() - 50) < 1
    assert abs(columns.mean() - 100) < 1


@pytest.mark.parametrize("anchor", [(160, 90), (0, 0), (319, 179), (-50, 500), (400, -3)])
def test_a_label_is_always_inside_the_picture(anchor):
    drawn = draw_label(GREY, "P12", anchor, (230, 159, 0))
    plate = (np.abs(drawn.astype(int) - (230, 159, 0)).max(axis=-1) <= 2).sum()
    assert plate > 100, f"{plate} pixels of the plate are visible"


def test_a_label_stands_above_its_person():
    labels = box_mask(y=slice(80, 170)).astype(np.uint16)
    drawn = draw_people(GREY, {1: Drawn((230, 159, 0), "1")}, full_size=(320, 180), labels=labels)
    above = changed(drawn)[:78, 100:160]
    assert above.any()


def test_people_who_are_not_named_are_left_alone():
    labels = box_mask().astype(np.uint16) * 7
    assert (draw_people(GREY, {1: Drawn((255, 0, 0), "1")}, full_size=(320, 180), labels=labels) == GREY).all()


def test_colours_repeat_only_after_the_palette_is_used_up():
    assert [person_colour(person) for person in range(1, 8)] == list(PALETTE)
    assert person_colour(8) == person_colour(1)
    assert NOBODY not in PALETTE


@pytest.mark.parametrize("deficiency", ["none", "protan", "deutan", "tritan"])
def test_colours_can_be_told_apart_with_any_kind_of_colour_vision(deficiency):
    """Machado, Oliveira and Fernandes 2009, severity 1.0, in linear RGB; distances in CIELAB."""
    matrix = {
        "none": np.eye(3),
        "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    }[deficiency]
    srgb = np.array(PALETTE) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(matrix).T, 0, 1)
    xyz = seen @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    f = np.cbrt(xyz / [0.9505, 1, 1.089])
    lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=-1)
    closest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2))
    assert closest > 10, f"the two most alike colours are {closest:.1f} apart (2.3 is just noticeable)"


def test_hexadecimal_and_luminance_of_known_colours():
    assert hex_colour((230, 159, 0)) == "#e69f00"
    assert luminance((0, 0, 0)) == 0
    assert luminance((255, 255, 255)) == pytest.approx(1)
    assert luminance((255, 0, 0)) == pytest.approx(0.2126)


@pytest.mark.parametrize(
    ("size", "expected"), [((1920, 1080), (1280, 720)), ((1080, 1920), (405, 720)), ((640, 480), (640, 480))]
)
def test_frames_are_shrunk_to_a_height_and_never_enlarged(size, expected):
    assert fitting_size(*size, max_height=720) == expected
