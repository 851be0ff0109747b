"""The model looks again only where somebody else's mask touches the person's."""

import numpy as np
import pytest

from common.models.regions import Region
from stages.body.overlap import boxes_close, crowding, hidden_by_others
from tests.stages.body.scenes import write_masks

REGION = Region(127.5, 127.5, 256, 0.0)  # crop pixels are image pixels


def two_people(gap, *, height=200):
    """Person 1 with person 2 to the right of it, `gap` pixels of background between them."""
    labels = np.zeros((256, 256), np.uint16)
    labels[20 : 20 + height, 80:120] = 1
    labels[20 : 20 + height, 120 + gap : 160 + gap] = 2
    return labels


@pytest.mark.parametrize(("gap", "confusing"), [(0, True), (2, True), (3, False), (30, False)])
def test_a_long_border_is_confusing_and_a_distance_is_not(gap, confusing):
    found = crowding(two_people(gap), 1, REGION)
    assert found.confusing is confusing, f"border {found.border}"
    assert found.others.sum() == 200 * 40
    assert found.visible


def test_a_short_touch_is_not_confusing():
    assert not crowding(two_people(0, height=20), 1, REGION).confusing


def test_somebody_who_has_no_pixel_of_his_own_is_confusing_in_company_only():
    labels = two_people(0)
    assert crowding(labels, 3, REGION).confusing
    assert not crowding(np.zeros_like(labels), 3, REGION).confusing


def test_boxes_far_apart_need_no_mask(tmp_path):
    images = [two_people(0), two_people(30), np.where(two_people(0) == 1, 1, 0).astype(np.uint16)]
    masks, people = write_masks(tmp_path, images)
    masks.close()
    rows = np.arange(len(people.frame))
    close = boxes_close(people, rows, margins=np.full(len(rows), 5.0))
    assert list(zip(people.frame.tolist(), people.person.tolist(), close.tolist(), strict=True)) == [
        (0, 1, True), (0, 2, True), (1, 1, False), (1, 2, False), (2, 1, False),
    ]  # fmt: skip


def test_points_on_somebody_else_are_hidden():
    points = np.array([[100.0, 50], [130, 50], [10, 50], [-5, 50], [119.6, 50], [130, 999]])
    assert hidden_by_others(two_people(0), 1, points).tolist() == [False, True, False, False, True, False]
