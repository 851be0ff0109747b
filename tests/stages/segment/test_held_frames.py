import numpy as np
import pytest

from stages.segment.held_frames import SMALL_SIDE, HeldFrame, scaled, shrink, trace_back
from tests.stages.segment.synthetic import BODY, landmarks
from tests.stages.segment.test_tracks import seen, track


def frames(*found, rate=60):
    return [HeldFrame(i, i / rate, 240, 480, np.zeros((120, 240, 3), np.uint8), dict(f)) for i, f in enumerate(found)]


def looking_at(places):
    """A model that sees somebody at these x (full size) in the frames before, latest first; None is nobody."""
    left = iter(places)

    def observe(image, region):
        x = next(left)
        if x is None:
            return None
        person = seen(x)
        return person.__class__(scaled(person.landmarks, 0.5), person.colours)  # the pictures are half as large

    return observe


def test_a_person_is_traced_to_the_frame_before_which_nobody_is_there():
    held = frames({}, {}, {}, {}, {0: seen(100.0)})
    trace_back(track(), held, looking_at([98.0, 96.0, None]))
    assert [0 in f.found for f in held] == [False, False, True, True, True]
    assert held[2].found[0].landmarks.image[23:25, 0].mean() == pytest.approx(96.0)


def test_a_jump_is_somebody_else():
    held = frames({}, {}, {0: seen(100.0)})
    trace_back(track(), held, looking_at([60.0, 60.0]))
    assert [0 in f.found for f in held] == [False, False, True]


def test_a_longer_way_is_one_persons_where_frames_are_far_apart():
    held = frames({}, {}, {0: seen(100.0)}, rate=10)
    trace_back(track(), held, looking_at([60.0, None]))
    assert [0 in f.found for f in held] == [False, True, True]


def test_who_is_already_known_there_is_not_found_twice():
    held = frames({}, {3: seen(101.0)}, {0: seen(100.0)})
    trace_back(track(), held, looking_at([101.0, 101.0]))
    assert [sorted(f.found) for f in held] == [[], [3], [0]]


def test_a_gap_is_filled_up_to_where_the_track_was():
    held = frames({0: seen(90.0)}, {}, {}, {0: seen(99.0)}, {0: seen(100.0)})
    trace_back(track(), held, looking_at([96.0, 93.0]))
    assert all(0 in f.found for f in held)


def test_scaling_there_and_back_changes_nothing():
    body = landmarks(BODY * 100 + (100.0, 120.0))
    again = scaled(scaled(body, 0.25), 4.0)
    np.testing.assert_allclose(again.image, body.image)
    assert again.region.x == pytest.approx(body.region.x)
    assert again.region.side == pytest.approx(body.region.side)


@pytest.mark.parametrize(
    ("size", "expected"), [((1080, 1920), (360, 640)), ((1920, 1080), (640, 360)), ((48, 64), (48, 64))]
)
def test_pictures_are_kept_small(size, expected):
    image = np.zeros((*size, 3), np.uint8)
    small = shrink(image)
    assert small.shape[:2] == expected
    assert max(small.shape) <= SMALL_SIDE
    assert not np.shares_memory(small, image)
