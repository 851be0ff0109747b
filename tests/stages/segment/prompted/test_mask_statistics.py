"""Numbers of masks against counting by hand."""

import numpy as np
import pytest
import torch

from stages.segment.prompted.mask_statistics import fetch, measure
from stages.segment.prompted.protocols import Outlines


def outlines(masks, presence=None):
    logits = torch.from_numpy(np.where(masks, 3.0, -3.0).astype(np.float32))
    in_view = torch.ones(len(masks)) if presence is None else torch.tensor(presence)
    return Outlines(tuple(range(len(masks))), logits, in_view)


def statistics(masks, presence=None):
    return fetch([measure(outlines(masks, presence))], height=masks.shape[1], width=masks.shape[2])[0]


def test_areas_boxes_and_overlaps_are_those_that_are_counted():
    masks = np.random.default_rng(0).random((4, 9, 14)) < 0.3
    masks[1, :, :5] = False
    found = statistics(masks)
    for row, mask in enumerate(masks):
        rows, columns = np.nonzero(mask)
        box = np.array([columns.min() / 14, rows.min() / 9, (columns.max() + 1) / 14, (rows.max() + 1) / 9])
        assert found.areas[row] == pytest.approx(mask.sum() / mask.size)
        assert found.boxes[row] == pytest.approx(box)
        assert found.fills[row] == pytest.approx(mask.sum() / (np.ptp(rows) + 1) / (np.ptp(columns) + 1))
        for column, other in enumerate(masks):
            both = (mask & other).sum()
            assert found.overlaps[row, column] == pytest.approx(both / (mask | other).sum())
            assert found.shared[row, column] == pytest.approx(both / min(mask.sum(), other.sum()))


def test_who_is_not_in_view_has_no_mask():
    found = statistics(np.ones((2, 4, 4), bool), presence=[1.0, -1.0])
    assert found.areas.tolist() == [1.0, 0.0]
    assert np.isnan(found.boxes[1]).all()
    assert found.overlaps[0, 1] == found.fills[1] == 0.0


def test_frames_with_different_people_are_fetched_together():
    one, three = np.ones((1, 3, 5), bool), np.eye(3, 5, dtype=bool)[None].repeat(3, axis=0)
    found = fetch([measure(outlines(one)), measure(outlines(three))], height=3, width=5)
    assert [len(frame.areas) for frame in found] == [1, 3]
    assert found[1].areas == pytest.approx([0.2] * 3)


def test_no_frames_and_nobody_are_fetched_as_well():
    assert fetch([], height=3, width=5) == []
    assert len(statistics(np.zeros((0, 3, 5), bool)).areas) == 0
