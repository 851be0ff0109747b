"""What is done to masks outside of the network, against loops over cells."""

import itertools
from collections import deque

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stages.segment.prompted.sam3_cleaning import cleaned, component_areas, distinct, overlaps


def areas_by_flooding(inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The size of each cell's component, corners connect: cell by cell."""
    areas = np.zeros(inside.shape, np.int64)
    height, width = inside.shape
    for start in zip(*np.nonzero(inside), strict=True):
        if areas[start]:
            continue
        component, waiting = {start}, deque([start])
        while waiting:
            y, x = waiting.popleft()
            for near in [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]:
                if 0 <= near[0] < height and 0 <= near[1] < width and inside[near] and near not in component:
                    component.add(near)
                    waiting.append(near)
        for cell in component:
            areas[cell] = len(component)
    return areas


def snake(length: int) -> NDArray[np.bool_]:
    """A winding line of one cell's width: the component whose cells are farthest apart."""
    picture = np.zeros((9, 12), bool)
    path = [(row, column if row % 4 == 0 else 11 - column) for row in (0, 2, 4, 6, 8) for column in range(12)]
    full = []
    for before, cell in itertools.pairwise(path):
        full.append(before)
        if cell[0] != before[0]:
            full.append((before[0] + 1, before[1]))
    for cell in full[:length]:
        picture[cell] = True
    assert picture.sum() == length
    return picture


@pytest.mark.parametrize("density", [0.1, 0.3, 0.45, 0.6, 0.95])
@pytest.mark.parametrize("most", [1, 2, 5, 16])
def test_areas_of_components_are_exact_as_far_as_they_matter(density: float, most: int) -> None:
    inside = np.random.default_rng(0).random((4, 17, 23)) < density
    expected = np.stack([np.minimum(areas_by_flooding(one), most + 1) for one in inside])
    found = component_areas(torch.from_numpy(inside), most=most).clamp(max=most + 1).numpy()
    assert (found == expected).all(), f"{(found != expected).sum()} cells differ"


@pytest.mark.parametrize("length", [15, 16, 17, 18, 40])
def test_a_winding_line_has_its_length_as_area_though_its_ends_are_far_apart(length: int) -> None:
    line = snake(length)
    found = component_areas(torch.from_numpy(line)[None], most=16)[0].numpy()
    assert (found[line] == length).all() if length <= 16 else (found[line] > 16).all(), found[line].tolist()
    assert not found[~line].any()


def test_components_of_the_published_size_are_told_apart() -> None:
    inside = torch.zeros((1, 288, 288), dtype=torch.bool)
    inside[0, -3:, -3:], inside[0, 0, :], inside[0, 100:104, 287] = True, True, True
    areas = component_areas(inside, most=16)[0]
    assert areas[-1, -1] == 9
    assert (areas[0] > 16).all()
    assert (areas[100:104, 287] == 4).all()


def cleaned_by_flooding(logits: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    result = logits.copy()
    for mask in result[:, 0]:
        holes = areas_by_flooding(mask <= 0)
        mask[(holes > 0) & (holes <= most)] = 0.1
        inside = mask > 0
        crumbs = areas_by_flooding(inside)
        mask[(crumbs > 0) & (crumbs <= min(most, inside.sum() // 2))] = -0.1
    return result


@pytest.mark.parametrize("most", [1, 4, 16])
@pytest.mark.parametrize("density", [0.02, 0.3, 0.5, 0.8, 0.97])
def test_holes_are_filled_and_then_crumbs_removed(density: float, most: int) -> None:
    rng = np.random.default_rng(1)
    logits = np.where(rng.random((5, 1, 16, 16)) < density, 3, -3).astype(np.float32)
    given = torch.from_numpy(logits.copy())
    found = cleaned(given, most)
    assert np.array_equal(found.numpy(), cleaned_by_flooding(logits, most))
    assert np.array_equal(given.numpy(), logits), "what was given has changed"


def test_a_mask_that_is_all_crumb_stays() -> None:
    logits = torch.full((2, 1, 20, 20), -4.0)
    logits[0, 0, 3, 3:6] = 4.0  # three cells, all that there is
    logits[1, 0, 3, 3:6] = 4.0
    logits[1, 0, 10:14, 10:14] = 4.0
    found = cleaned(logits, 16) > 0
    assert [int(mask.sum()) for mask in found] == [3, 16]


def test_each_half_can_be_left_out_and_nothing_is_done_for_an_area_of_nothing() -> None:
    logits = torch.full((1, 1, 12, 12), -1.0)
    logits[0, 0, 1:9, 1:9], logits[0, 0, 4, 4], logits[0, 0, 11, 11] = 1.0, -1.0, 1.0
    assert bool(cleaned(logits, 4, remove_sprinkles=False)[0, 0, 11, 11] > 0)
    assert bool(cleaned(logits, 4, fill_holes=False)[0, 0, 4, 4] < 0)
    assert cleaned(logits, 0) is logits
    assert cleaned(logits[:0], 4).shape == (0, 1, 12, 12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_masks_keep_their_type(dtype: torch.dtype) -> None:
    assert cleaned(torch.randn(2, 1, 8, 8, dtype=dtype), 4).dtype == dtype


def kept_one_by_one(
    scores: NDArray[np.float32], masks: NDArray[np.bool_], least: float, most: float
) -> NDArray[np.bool_]:
    kept: list[int] = []
    for row in sorted(range(len(scores)), key=lambda row: (-scores[row], row)):
        common = [(masks[row] & masks[other]).sum() / max((masks[row] | masks[other]).sum(), 1) for other in kept]
        if scores[row] > least and not any(overlap > most for overlap in common):
            kept.append(row)
    return np.isin(np.arange(len(scores)), kept)


@pytest.mark.parametrize("count", [0, 1, 2, 30])
@pytest.mark.parametrize("most", [0.1, 0.3])
def test_of_masks_that_overlap_the_best_stays(count: int, most: float) -> None:
    rng = np.random.default_rng(count)
    masks = np.zeros((count, 24, 24), bool)
    for mask in masks:
        y, x, height, width = rng.integers(0, 16, 2).tolist() + rng.integers(3, 9, 2).tolist()
        mask[y : y + height, x : x + width] = True
    scores = rng.choice([0.2, 0.4, 0.5, 0.6, 0.9], count).astype(np.float32)  # some are equal
    expected = kept_one_by_one(scores, masks, 0.3, most)
    found = distinct(torch.from_numpy(scores), torch.from_numpy(np.where(masks, 2.0, -2.0)), 0.3, most).numpy()
    assert found.tolist() == expected.tolist()
    assert count < 30 or 1 < found.sum() < (scores > 0.3).sum(), "some overlap, some do not"


def test_an_overlap_of_exactly_the_threshold_is_none() -> None:
    masks = torch.full((2, 1, 20), -1.0)
    masks[0, 0, :10], masks[1, 0, 5:15] = 1.0, 1.0  # 5 of 15 cells
    assert distinct(torch.tensor([0.5, 0.6]), masks, 0.0, 1 / 3).tolist() == [True, True]
    assert distinct(torch.tensor([0.5, 0.6]), masks, 0.0, 0.33).tolist() == [False, True]


def test_overlaps_are_exact() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((3, 31, 17)) < 0.4, rng.random((4, 31, 17)) < 0.6
    first[1] = second[2] = False
    found = overlaps(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    for (i, j), value in np.ndenumerate(found):
        expected = np.float32((first[i] & second[j]).sum()) / np.float32(max((first[i] | second[j]).sum(), 1))
        assert value == expected, f"{i}, {j}"
