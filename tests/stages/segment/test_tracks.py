import dataclasses
import math

import numpy as np
import pytest

from stages.segment.appearance import BINS
from stages.segment.tracker import distinct
from stages.segment.tracks import (
    Observation,
    Track,
    continuation_cost,
    reach,
    return_costs,
    same_person,
    touching,
)
from tests.stages.segment.synthetic import BODY, landmarks


def seen(x=100.0, *, shade=4, score=0.9):
    """Somebody 95 pixels tall (131 pixels of region) whose colours all lie in one bin."""
    colours = np.zeros((2, 3, BINS), np.float32)
    colours[:, :, shade] = 1
    return Observation(landmarks(BODY * 100 + (x, 120.0), score=score), colours)


def track(**changes):
    last = seen()
    start = Track(
        number=0,
        last=last,
        last_seconds=10 / 60,
        colours=last.colours,
        seen=11,
        seen_for=10 / 60,
        misses=0,
        reference=last.hips,
    )
    return dataclasses.replace(start, **changes)


def test_a_small_step_continues_a_track_and_a_jump_does_not():
    near, far = (continuation_cost(track(), seen(100 + step), seconds=11 / 60) for step in (6.5, 30.0))
    assert near == pytest.approx(0.05, abs=0.001)
    assert far == math.inf


def test_after_missed_frames_a_longer_way_is_allowed():
    assert continuation_cost(track(), seen(130.0), seconds=13 / 60) < math.inf


def test_other_colours_do_not_continue_a_track_however_near():
    assert continuation_cost(track(), seen(shade=12), seconds=11 / 60) == math.inf


def test_unknown_colours_do_not_forbid_to_continue_but_to_return():
    nothing = dataclasses.replace(seen(), colours=np.full((2, 3, BINS), np.nan, np.float32))
    assert continuation_cost(track(), nothing, seconds=11 / 60) < math.inf
    assert returns([track()], [nothing], frame=11) == [[math.inf]]


def returns(lost, newcomers, present=(), *, frame):
    return return_costs([t.remembered() for t in lost], newcomers, present, seconds=frame / 60).tolist()


def dressed(shade, x=800.0, number=1):
    last = seen(x, shade=shade)
    return track(number=number, last=last, colours=last.colours)


FAR = 100 + 1.6 * 131


def test_the_lost_return_nearby_at_first_and_anywhere_after_a_while():
    far, other = seen(FAR), dressed(12)
    assert returns([track()], [seen(120.0)], frame=30)[0][0] < math.inf
    assert returns([track()], [far], [other], frame=30) == [[math.inf]]
    assert returns([track()], [far], [other], frame=80)[0][0] < math.inf
    assert returns([track(), other], [far], frame=80)[0][0] < math.inf
    assert returns([track()], [seen(shade=12)], frame=80) == [[math.inf]]


@pytest.mark.parametrize("twin", ["lost", "present", "coming"])
def test_nobody_returns_elsewhere_as_long_as_it_might_be_somebody_else(twin):
    other = dressed(12)
    lost = [track(), dressed(4)] if twin == "lost" else [track()]
    newcomers = [seen(FAR), seen(FAR + 100)] if twin == "coming" else [seen(FAR)]
    present = [other, dressed(4)] if twin == "present" else [other]
    assert np.isinf(returns(lost, newcomers, present, frame=80)).all()


def test_colours_prove_nothing_elsewhere_without_anybody_to_compare_them_to():
    assert returns([track()], [seen(FAR)], frame=80) == [[math.inf]]


def test_colours_that_are_not_seen_might_be_the_same():
    unknown = track(colours=np.full((2, 3, BINS), np.nan, np.float32))
    assert returns([track()], [seen(FAR)], [dressed(12), unknown], frame=80) == [[math.inf]]


def test_near_the_old_place_a_twin_elsewhere_does_not_matter():
    assert returns([track()], [seen(120.0)], [dressed(4)], frame=80)[0][0] < math.inf


def test_of_two_looks_at_one_body_the_surer_one_counts():
    unsure, sure, other = seen(100.0, score=0.6), seen(104.0, score=0.9), seen(130.0, score=0.7)
    assert same_person(unsure, sure)
    assert distinct([unsure, other, sure]) == [sure, other]


def test_people_touch_where_their_boxes_overlap():
    assert touching(seen(100.0), seen(125.0))
    assert not touching(seen(100.0), seen(140.0))


def test_colours_are_learned_slowly_and_only_where_they_can_be_trusted():
    person = track()
    person.extend(seen(shade=12), seconds=11 / 60, interval=1 / 60, learn=False)
    assert person.colours[0, 0, 12] == 0
    person.extend(seen(shade=12), seconds=12 / 60, interval=1 / 60, learn=True)
    assert 0 < person.colours[0, 0, 12] < 0.1
    assert (person.last_seconds, person.seen, person.misses) == (12 / 60, 13, 0)


@pytest.mark.parametrize(("fps", "sizes"), [(240, 0.2), (60, 0.2), (30, 0.3), (20, 0.4), (5, 0.4)])
def test_people_come_further_in_a_longer_time_but_not_out_of_the_crop(fps, sizes):
    assert reach(1 / fps) == pytest.approx(sizes)


@pytest.mark.parametrize(("fps", "frames"), [(240, 12), (120, 7), (60, 4), (30, 3), (25, 3), (5, 3)])
def test_it_takes_50_milliseconds_and_three_frames_to_believe_in_somebody(fps, frames):
    person = track(seen=0, seen_for=0.0)
    for frame in range(frames):
        assert not person.confirmed
        person.extend(seen(), seconds=frame / fps, interval=1 / fps, learn=True)
    assert person.confirmed


@pytest.mark.parametrize(("fps", "frames"), [(240, 11), (120, 6), (60, 3), (30, 2), (25, 2), (5, 2)])
def test_a_track_is_lost_after_50_milliseconds_and_two_frames(fps, frames):
    person = track(last_seconds=7.0)
    for frame in range(1, frames + 1):
        assert not person.is_lost(7 + (frame - 1) / fps)
        person.misses += 1
    assert person.is_lost(7 + frames / fps)


@pytest.mark.parametrize("fps", [30, 60, 120, 240])
def test_other_colours_are_half_learned_in_a_quarter_of_a_second(fps):
    person = track()
    for frame in range(round(0.225 * fps)):
        person.extend(seen(shade=12), seconds=frame / fps, interval=1 / fps, learn=True)
    assert person.colours[0, 0, 12] == pytest.approx(0.5, abs=0.04)


def test_a_single_look_never_counts_more_than_a_quarter():
    person = track()
    person.extend(seen(shade=12), seconds=100.0, interval=90.0, learn=True)
    assert person.colours[0, 0, 12] == pytest.approx(0.25)
