"""The same seconds of the made-up world, filmed at other rates: what happens to people does not depend on them."""

import numpy as np
import pytest

from stages.segment.follow import MOST_HELD, follow
from tests.stages.segment.synthetic import Person, World
from tests.stages.segment.test_follow import BLUE, RED, WHITE, owners

STEP = 50  # the default of the command line


def even(fps):
    return lambda seconds: np.arange(round(fps * seconds)) / fps


def variable(seconds):
    """60 frames per second of which a random half is missing."""
    count = round(60 * seconds)
    return np.sort(np.random.default_rng(0).permutation(count)[: count // 2]) / 60


def stalling(seconds):
    """A phone's: 30 per second with jitter, and half a second without any in the middle."""
    times = np.arange(round(30 * seconds)) / 30 + np.random.default_rng(1).uniform(-0.008, 0.008, round(30 * seconds))
    return np.abs(times)[np.abs(times - seconds / 2) > 0.25]


CLOCKS = {f"{fps:g} fps": even(fps) for fps in (5, 12.5, 30, 120)} | {"variable": variable, "stalling": stalling}
every_rate = pytest.mark.parametrize("clock", CLOCKS.values(), ids=CLOCKS.keys())
also_240 = pytest.mark.parametrize("clock", [*CLOCKS.values(), even(240)], ids=[*CLOCKS, "240 fps"])


def path(times, *points, gone=()):
    """(frames, 2) places of somebody: lines between (seconds, x), nobody in the intervals `gone`."""
    seconds, x = np.transpose(points)
    places = np.column_stack([np.interp(times, seconds, x), np.full(len(times), 120.0)])
    for first, last in gone:
        places[(times >= first) & (times < last)] = np.nan
    return places


def film(times, *people, **changes):
    world = World([Person(*person) for person in people], len(times), times=times, **changes)
    results = list(follow(world.stream(), look=world.look, detect=world.detect, detection_step=STEP))
    return world, *owners(world, results)


def each_has_one_id(on, count):
    return sorted(map(tuple, on.values())) == [(n,) for n in range(count)]


@every_rate
def test_people_who_cross_keep_their_ids(clock):
    times = clock(3)
    red, white = path(times, (0, 100), (3, 250)), path(times, (0, 251), (3, 102))
    world, on, frames = film(times, (red, RED), (white, WHITE))
    hidden = sum(world.hidden(0, frame) for frame in range(len(times)))
    assert each_has_one_id(on, 2), on
    assert min(map(len, frames.values())) >= len(times) - hidden


@also_240
def test_who_runs_has_one_id(clock):
    times = clock(2)
    _, on, frames = film(times, (path(times, (0, 40), (2, 440)), RED))  # 1.5 sizes per second: 3.5 m/s
    assert on == {1: {0}}, on
    assert len(frames[1]) >= 0.95 * len(times)


@also_240
def test_who_is_not_seen_for_a_moment_is_still_followed(clock):
    times = clock(2)
    blink = path(times, (0, 100), (2, 200), gone=[(0.999, 1.032)])  # two frames of 60 per second
    world, on, frames = film(times, (blink, RED), undetected=set(range(1, len(times))))
    assert on == {1: {0}}, on
    assert len(frames[1]) == int(np.isfinite(blink[:, 0]).sum()), "only detection can find who is lost"
    assert world.detections[0] == 0


@also_240
def test_a_false_detection_of_a_moment_is_nobody(clock):
    times = clock(1)
    ghosts = {int(frame): (350.0, 120.0) for frame in np.flatnonzero(times < times[0] + 0.04)}
    world, on, _ = film(times, (path(times, (0, 60), (1, 100)), RED), ghosts=ghosts)
    assert world.detections[0] in ghosts
    assert on == {1: {0}}, on


@every_rate
def test_who_is_there_for_a_second_and_a_half_is_found_from_the_first_frame_on(clock):
    times = clock(3.4)
    visit = path(times, (0, 330), (4, 360), gone=[(0, 1.55), (3.05, 9)])
    _, on, frames = film(times, (path(times, (0, 60), (4, 120)), RED), (visit, WHITE))
    assert each_has_one_id(on, 2), on
    (visitor,) = (one for one, people in on.items() if people == {1})
    there = np.flatnonzero(np.isfinite(visit[:, 0]))
    late = times[frames[visitor][0]] - times[there[0]]
    assert late <= 0.05, f"{late:.3f} s late"
    assert frames[visitor][-1] == there[-1]


@every_rate
def test_who_comes_back_elsewhere_after_two_seconds_has_the_old_id(clock):
    times = clock(4)
    back = path(times, (0, 60), (2.79, 60), (2.8, 400), (4, 400), gone=[(0.6, 2.8)])
    _, on, _ = film(times, (back, RED), (path(times, (0, 230), (4, 230)), WHITE))
    assert each_has_one_id(on, 2), on


@every_rate
def test_who_appears_elsewhere_within_a_moment_is_somebody_else(clock):
    times = clock(2)
    first, second = path(times, (0, 60), (2, 60), gone=[(0.7, 9)]), path(times, (0, 400), (2, 400), gone=[(0, 1)])
    _, on, _ = film(times, (first, RED), (second, RED), (path(times, (0, 230), (2, 230)), WHITE))
    assert each_has_one_id(on, 3), on


@every_rate
def test_somebody_else_in_the_place_of_who_left_gets_a_new_id(clock):
    times = clock(2.4)
    first, second = path(times, (0, 200), (3, 205), gone=[(0.8, 9)]), path(times, (0, 205), (3, 210), gone=[(0, 1.1)])
    _, on, _ = film(times, (first, RED), (second, BLUE))
    assert on == {1: {0}, 2: {1}}, on


@pytest.mark.parametrize("fps", [5, 60, 240, 1000])
@pytest.mark.parametrize("step", [1, 50])
def test_frames_are_held_until_it_is_known_who_is_in_them_but_never_too_many(fps, step):
    times = 3 + np.arange(140) / fps
    enters = times[20]
    world = World([Person(path(times, (3, 100), (9, 140), gone=[(0, enters)]), RED)], len(times), times=times)
    taken, lag, with_them = [], [], []

    def counted():
        for frame in world.stream():
            taken.append(frame.index)
            yield frame

    for result in follow(counted(), look=world.look, detect=world.detect, detection_step=step):
        lag.append(len(taken) - 1 - result.index)
        if result.tracked:
            with_them.append(result.index)
    assert max(lag) <= MOST_HELD
    late = times[with_them[0]] - enters
    assert late <= (0 if step == 1 else 0.05), f"{late:.3f} s late"
    assert with_them == list(range(with_them[0], 140))


@every_rate
def test_the_number_of_looks_for_anybody_new_depends_on_time(clock):
    times = clock(2)
    near = path(times, (0, 180), (2, 190)), path(times, (0, 215), (2, 225))  # their boxes overlap: 6 looks a second
    world, on, _ = film(times, (near[0], RED), (near[1], WHITE))
    assert each_has_one_id(on, 2), on
    assert len(world.detections) <= 2 * 6 + 1, world.detections
