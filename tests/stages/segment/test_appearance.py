import numpy as np
import pytest

from stages.segment.appearance import BINS, colours, difference, remember
from tests.stages.segment.synthetic import BODY, Person, World, landmarks


def seen(colour, *, light=1.0, noise=0.0, at=(200.0, 120.0)):
    world = World([Person(np.array([at]), tuple(int(c * light) for c in colour))], 1)
    image = world.image(0).astype(float)
    image += np.random.default_rng(0).normal(0, noise, image.shape)
    return colours(np.clip(image, 0, 255).astype(np.uint8), landmarks(BODY * 100 + at))


RED, SKIN, WHITE = (180, 40, 40), (200, 160, 140), (230, 230, 230)


def test_histograms_are_distributions_of_both_parts():
    histograms = seen(RED)
    assert histograms.shape == (2, 3, BINS)
    np.testing.assert_allclose(histograms.sum(axis=-1), 1, rtol=1e-5)


def test_other_clothes_differ_more_than_another_light():
    same = difference(seen(SKIN, noise=12), seen(SKIN, light=0.92, noise=12))
    other = difference(seen(SKIN, noise=12), seen(WHITE, noise=12))
    assert same < 0.2 < 0.3 < other, f"same {same:.2f}, other {other:.2f}"


def test_the_difference_is_zero_to_oneself_and_at_most_one():
    assert difference(seen(RED), seen(RED)) == pytest.approx(0, abs=0.02)
    assert difference(seen((0, 0, 0)), seen((255, 255, 255))) <= 1


def test_the_place_in_the_image_does_not_matter():
    assert difference(seen(RED), seen(RED, at=(90.0, 100.0))) < 0.05


def test_somebody_outside_the_image_has_no_colours_of_their_own():
    world = World([], 1)
    body = landmarks(BODY * 100 + (100.0, 120.0))
    empty = colours(world.image(0), body.__class__(**{**body.__dict__, "mask": np.zeros((256, 256), np.float32)}))
    assert np.isnan(empty).all()
    assert np.isnan(difference(empty, seen(RED)))


def test_a_part_that_is_missing_is_remembered():
    known, now = seen(RED), seen(WHITE)
    now[1] = np.nan
    mixed = remember(known, now, rate=0.25)
    np.testing.assert_allclose(mixed[0], 0.75 * known[0] + 0.25 * now[0], rtol=1e-5)
    np.testing.assert_array_equal(mixed[1], known[1])
