import numpy as np
import pytest

from stages.segment.key_frames import KeyFrames


def due_frames(key_frames, count, *, first=0, rate=60, **state):
    """Which of the frames from number `first` on, counted from there."""
    state = {"movement": 0.0, "touching": False, "missing": set()} | state
    return [i for i in range(count) if key_frames.due((first + i) / rate, **state)]


def test_quiet_people_are_looked_for_every_step():
    assert due_frames(KeyFrames(10), 35) == [0, 10, 20, 30]


def test_a_step_of_one_is_every_frame():
    assert due_frames(KeyFrames(1), 4, missing={0}) == [0, 1, 2, 3]


def test_fast_or_touching_people_are_looked_for_five_times_as_often():
    assert due_frames(KeyFrames(50), 31, movement=0.6) == [0, 10, 20, 30]
    assert due_frames(KeyFrames(50), 31, touching=True) == [0, 10, 20, 30]


def test_a_lost_person_is_looked_for_soon_and_then_less_and_less():
    assert due_frames(KeyFrames(50), 160, missing={0}) == [0, 4, 12, 28, 60, 110]


def test_who_was_found_again_is_looked_for_soon_when_lost_again():
    key_frames = KeyFrames(50)
    due_frames(key_frames, 61, missing={0})
    due_frames(key_frames, 5, first=61)
    assert due_frames(key_frames, 3, first=66, missing={0}) == [0]


def test_who_is_lost_after_somebody_else_is_looked_for_just_as_soon():
    key_frames = KeyFrames(50)
    assert due_frames(key_frames, 62, missing={0})[-1] == 60
    assert due_frames(key_frames, 40, first=62, missing={0, 1}) == [2, 10, 26]


def test_who_is_given_up_does_not_start_the_search_for_the_others_again():
    key_frames = KeyFrames(50)
    assert due_frames(key_frames, 30, missing={0, 1}) == [0, 4, 12, 28]
    assert due_frames(key_frames, 40, first=30, missing={1}) == [30]


@pytest.mark.parametrize("rate", [24, 25, 30, 50, 120])
def test_the_search_for_somebody_takes_the_same_seconds_at_any_rate(rate):
    frames = due_frames(KeyFrames(1000), round(2.5 * rate), rate=rate, missing={0})
    asked = np.array([0, 4, 12, 28, 60, 124]) / 60
    off = np.abs(np.array(frames) / rate - asked)
    assert (off <= np.arange(6) * 0.5 / rate + 1e-9).all(), frames  # half a frame for each pause


@pytest.mark.parametrize("rate", [30, 120, 240])
def test_fast_people_are_looked_for_six_times_a_second_at_any_rate(rate):
    assert due_frames(KeyFrames(50), rate // 2, rate=rate, movement=0.6) == [0, rate // 6, rate // 3]


@pytest.mark.parametrize(("rate", "step"), [(5, 4), (6, 5), (25, 21), (30, 25), (120, 50), (240, 50)])
def test_the_step_is_shorter_where_frames_are_far_apart_and_never_longer(rate, step):
    assert due_frames(KeyFrames(50), 3 * step, rate=rate) == [0, step, 2 * step]


def test_a_pause_in_the_recording_counts_as_the_time_that_it_is():
    times = np.concatenate([np.arange(10) / 60, 5 + np.arange(10) / 60])
    key_frames = KeyFrames(50)
    assert [i for i, t in enumerate(times) if key_frames.due(t, movement=0, touching=False, missing=set())] == [0, 10]


def test_the_video_may_begin_at_any_time():
    key_frames = KeyFrames(50)
    assert due_frames(key_frames, 30, first=6000, missing={0}) == [0, 4, 12, 28]
