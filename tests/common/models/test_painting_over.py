import numpy as np

from common.models.painting_over import paint_over


def hole(size=64):
    hidden = np.zeros((size, size), bool)
    hidden[20:44, 24:40] = True
    return hidden


def test_known_pixels_stay_and_the_argument_is_not_touched():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    before = image.copy()
    painted = paint_over(image, hole())
    np.testing.assert_array_equal(painted[~hole()], before[~hole()])
    np.testing.assert_array_equal(image, before)


def test_nothing_of_what_was_hidden_shines_through():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    other = image.copy()
    other[hole()] = 255
    np.testing.assert_array_equal(paint_over(image, hole()), paint_over(other, hole()))


def test_a_slope_is_continued_through_the_hole():
    image = np.repeat(np.repeat(np.linspace(40, 200, 64)[None, :, None], 64, axis=0), 3, axis=2).astype(np.uint8)
    worst = np.abs(paint_over(image, hole()).astype(int) - image).max()
    assert worst < 30, f"{worst} grey levels"  # one colour for all of the hole is off by 20, black by 150
    assert np.abs(paint_over(image, hole()).astype(int) - image)[hole()].mean() < 8


def test_all_or_nothing_hidden_leaves_the_image():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for hidden in (np.zeros((32, 32), bool), np.ones((32, 32), bool)):
        np.testing.assert_array_equal(paint_over(image, hidden), image)
