"""Colours inside masks."""

import numpy as np

from stages.segment.appearance import difference
from stages.segment.prompted.mask_colours import mask_colours, small_lab


def board(top, bottom, background=(90, 90, 90)):
    image = np.full((200, 100, 3), background, np.uint8)
    image[20:100, 30:70], image[100:180, 30:70] = top, bottom
    mask = np.zeros((50, 25), bool)
    mask[5:45, 8:17] = True
    return mask_colours(small_lab(image, height=50, width=25), mask)


RED, BLUE = (180, 40, 40), (40, 40, 180)


def test_each_part_sums_to_one():
    assert np.allclose(board(RED, BLUE).sum(axis=-1), 1)


def test_the_same_clothes_are_alike_in_front_of_any_wall():
    assert difference(board(RED, BLUE), board(RED, BLUE, background=(230, 250, 10))) < 0.02


def test_upper_and_lower_clothes_are_told_apart():
    assert difference(board(RED, BLUE), board(BLUE, RED)) > 0.5


def test_shade_matters_less_than_colour():
    grey, dark, green = (120, 120, 120), (90, 90, 90), (100, 130, 100)
    shade = difference(board(grey, grey), board(dark, dark))
    colour = difference(board(grey, grey), board(green, green))
    assert 2 * shade < colour, f"{shade:.2f}, {colour:.2f}"


def test_too_small_a_mask_tells_nothing():
    lab = small_lab(np.zeros((40, 40, 3), np.uint8), height=20, width=20)
    mask = np.zeros((20, 20), bool)
    assert np.isnan(mask_colours(lab, mask)).all()
    mask[3:6, 3:6] = True
    assert np.isnan(mask_colours(lab, mask)).all()
