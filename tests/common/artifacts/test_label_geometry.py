import time

import numpy as np
import pytest
from scipy import ndimage

from common.artifacts.label_geometry import exclusive_labels, people_in
from common.errors import BadInput


def blobs(height, width, people, seed=0):
    """Ragged, overlapping blobs, some at the border, some in several pieces."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((height, width), np.uint16)
    y, x = np.mgrid[:height, :width]
    for person in people:
        for _ in range(2):
            cy, cx, r = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0.05, 0.2) * height
            labels[(y - cy) ** 2 + (x - cx) ** 2 + rng.normal(0, r, (height, width)) < r * r] = person
    return labels


@pytest.mark.parametrize("seed", range(4))
def test_ids_boxes_and_areas_are_those_of_ndimage(seed):
    labels = blobs(120, 200, (3, 1, 40_000, 7), seed)
    found = people_in(labels)
    ids = np.unique(labels)[1:]
    assert found.ids.tolist() == ids.tolist()
    assert found.areas.tolist() == [int((labels == person).sum()) for person in ids]
    slices = ndimage.find_objects(labels.astype(np.int32))
    boxes = [(s[1].start, s[0].start, s[1].stop - 1, s[0].stop - 1) for s in (slices[i - 1] for i in ids)]
    assert found.boxes.tolist() == [list(box) for box in boxes]


def test_people_who_touch_the_borders_and_each_other():
    labels = np.array([[1, 1, 2], [1, 1, 2], [3, 3, 3]], np.uint16)
    found = people_in(labels)
    assert found.ids.tolist() == [1, 2, 3]
    assert found.boxes.tolist() == [[0, 0, 1, 1], [2, 0, 2, 1], [0, 2, 2, 2]]
    assert found.areas.tolist() == [4, 2, 3]


def test_a_part_of_a_larger_image_need_not_be_contiguous():
    labels = blobs(60, 80, (1, 2))
    part = labels[5:50:2, 10:70:3]
    again = people_in(part.copy())
    assert np.array_equal(people_in(part).boxes, again.boxes)
    assert np.array_equal(people_in(part).areas, [(part == person).sum() for person in again.ids])


def test_nobody_is_an_empty_answer():
    found = people_in(np.zeros((4, 5), np.uint16))
    assert (found.ids.shape, found.boxes.shape, found.areas.shape) == ((0,), (0, 4), (0,))


def test_a_1080p_frame_takes_a_few_milliseconds():
    labels = blobs(1080, 1920, (1, 2, 3, 4))
    labels[:, ::7] *= labels[:, ::7] > 2  # more runs than real contours have
    spent = []
    for _ in range(5):
        start = time.process_time()
        people_in(labels)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.02, f"{min(spent) * 1e3:.1f} ms"  # 1 ms on clean contours, quiet machine


def painted(people, height, width):
    """The definition, pixel by pixel: the largest probability above 0.5, the lowest id on a tie."""
    best = np.full((height, width), 0.5)
    labels = np.zeros((height, width), np.uint16)
    for person, soft, (x0, y0) in sorted(people, key=lambda one: one[0]):
        for y in range(soft.shape[0]):
            for x in range(soft.shape[1]):
                if 0 <= y + y0 < height and 0 <= x + x0 < width and soft[y, x] > best[y + y0, x + x0]:
                    best[y + y0, x + x0] = soft[y, x]
                    labels[y + y0, x + x0] = person
    return labels


@pytest.mark.parametrize("seed", range(6))
def test_every_pixel_goes_to_the_most_probable_person(seed):
    rng = np.random.default_rng(seed)
    people = []
    for person in rng.permutation([1, 2, 3, 4, 900]):
        # Few distinct values, 0.5 among them, so that ties happen; boxes reach over all borders and beyond.
        soft = rng.integers(0, 6, rng.integers(1, 25, 2)).astype(np.float32) / 4
        soft[rng.random(soft.shape) < 0.1] = np.nan
        people.append((int(person), soft, (int(rng.integers(-12, 42)), int(rng.integers(-12, 32)))))
    labels = exclusive_labels(people, height=30, width=40)
    assert labels.dtype == np.uint16
    assert np.array_equal(labels, painted(people, 30, 40))
    assert np.array_equal(labels, exclusive_labels(people[::-1], height=30, width=40))


def test_nobody_gives_an_empty_image():
    assert not exclusive_labels([], height=3, width=4).any()


def test_ids_that_a_label_image_cannot_hold_are_refused():
    soft = np.ones((2, 2), np.float32)
    for person in (0, 65_536):
        with pytest.raises(BadInput, match=f"1..65535 .* got {person}"):
            exclusive_labels([(person, soft, (0, 0))], height=3, width=4)
    with pytest.raises(ValueError, match="one mask"):
        exclusive_labels([(1, soft, (0, 0)), (1, soft, (1, 1))], height=3, width=4)
