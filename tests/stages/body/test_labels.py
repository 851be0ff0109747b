"""Masks and labels say the same."""

import numpy as np

from stages.body.backends import PeopleInFrame
from stages.body.labels import labels_of, masks_of, renumbered


def test_masks_come_back_from_their_labels():
    masks = np.random.default_rng(0).integers(0, 4, (20, 30)) == np.arange(1, 4)[:, None, None]
    labels = labels_of(masks)
    assert labels.dtype == np.uint16
    assert np.array_equal(masks_of(labels, 3), masks)
    frame = PeopleInFrame(np.zeros((20, 30, 3), np.uint8), np.zeros((3, 4), np.float32), labels, np.eye(3))
    assert np.array_equal(frame.masks, masks)


def test_people_are_counted_in_the_order_that_is_asked_for_and_others_are_nobody():
    labels = np.array([[0, 7, 7], [2, 9, 65535]], np.uint16)
    assert renumbered(labels, np.array([9, 2, 65535])).tolist() == [[0, 0, 0], [2, 1, 3]]
    assert renumbered(labels, np.array([70])).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert not renumbered(labels, np.empty(0, np.int64)).any()
