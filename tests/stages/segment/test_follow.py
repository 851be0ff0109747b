"""Following people through a made-up world in which the truth is known and the models are perfect."""

import numpy as np
import pytest

from common.artifacts.label_geometry import people_in
from stages.segment.follow import MOST_HELD, follow
from stages.segment.key_frames import KeyFrames
from stages.segment.tracker import Tracker
from tests.stages.segment.synthetic import Person, World, walk

RED, WHITE, BLUE = (180, 40, 40), (230, 230, 230), (30, 30, 160)


def run(world, step=20):
    return list(follow(world.stream(), look=world.look, detect=world.detect, detection_step=step))


def owners(world, results):
    """For each id the set of people (numbers in the world) on whom it ever was, and its frames."""
    on, frames = {}, {}
    for result in results:
        for person in result.tracked:
            hips = person.landmarks.image[[23, 24]].mean(axis=0)
            gaps = {n: np.hypot(*(world.people[n].path[result.index] - hips)) for n in world.visible(result.index)}
            on.setdefault(person.id, set()).add(min(gaps, key=gaps.get) if gaps else None)
            frames.setdefault(person.id, []).append(result.index)
    return on, frames


def test_one_result_per_frame_in_order_with_its_time():
    world = World([Person(walk(30, 100, 140), RED)], 30)
    results = run(world)
    assert [r.index for r in results] == list(range(30))
    assert results[7].seconds == pytest.approx(7 / 60)


def test_two_people_who_cross_keep_their_ids_though_one_is_hidden():
    world = World([Person(walk(60, 100, 300), RED), Person(walk(60, 300, 100), WHITE)], 60)
    hidden = [f for f in range(60) if world.hidden(0, f)]
    on, frames = owners(world, run(world))
    assert len(hidden) >= 3, "the test needs an occlusion"
    assert on == {1: {0}, 2: {1}} or on == {1: {1}, 2: {0}}, on
    shortest = min(len(f) for f in frames.values())
    assert shortest >= 60 - len(hidden), f"{shortest} frames; hidden in {len(hidden)}"


def test_who_is_hidden_is_found_behind_the_person_in_front():
    # They stop 18 pixels apart, 0.18 heights: too near for the model to show the one behind by itself.
    stop = np.concatenate([walk(20, 100, 188), walk(20, 188, 188), walk(20, 188, 100)])
    world = World([Person(stop, RED), Person(walk(60, 206, 206), WHITE)], 60)
    assert sum(world.hidden(0, f) for f in range(60)) >= 20
    on, frames = owners(world, run(world))
    assert sorted(map(tuple, on.values())) == [(0,), (1,)], on
    assert {i: len(f) for i, f in frames.items()} == {1: 60, 2: 60}


def test_a_person_whom_the_detector_misses_is_kept():
    world = World([Person(walk(50, 100, 200), RED)], 50, undetected=set(range(1, 50)))
    on, frames = owners(world, run(world))
    assert on == {1: {0}}
    assert frames[1] == list(range(50))


def test_who_comes_in_late_is_followed_back_to_the_frame_of_entry():
    path = walk(60, 400, 300)
    path[:27] = np.nan
    world = World([Person(walk(60, 100, 150), RED), Person(path, WHITE)], 60)
    _, frames = owners(world, run(world, step=20))
    assert frames[2] == list(range(27, 60)), f"present from 27, found from {frames[2][0]}"


@pytest.mark.parametrize("gone", [1, 5, 20, 70])
def test_who_leaves_and_comes_back_has_the_old_id(gone):
    path = walk(60 + gone, 200, 240)
    path[25 : 25 + gone] = np.nan
    world = World([Person(path, RED), Person(walk(60 + gone, 80, 60), WHITE)], 60 + gone)
    on, frames = owners(world, run(world))
    assert sorted(map(tuple, on.values())) == [(0,), (1,)], on
    back = min(f for i in on if on[i] == {0} for f in frames[i] if f >= 25 + gone)
    assert back == 25 + gone, f"back in frame {25 + gone}, resumed in {back}"


def test_somebody_else_in_the_place_of_who_left_gets_a_new_id():
    first, second = walk(80, 200, 205), walk(80, 205, 210)
    first[30:], second[:40] = np.nan, np.nan
    world = World([Person(first, RED), Person(second, BLUE)], 80)
    on, frames = owners(world, run(world))
    assert on == {1: {0}, 2: {1}}, on
    assert frames[1][-1] == 29
    assert frames[2][0] == 40


def test_a_crop_that_slides_onto_a_neighbour_does_not_swap_ids():
    # Side by side for 40 frames, so near that each one's crop shows the other just as well.
    a, b = walk(80, 180, 200), walk(80, 240, 230)
    world = World([Person(a, RED), Person(b, WHITE)], 80)
    on, frames = owners(world, run(world))
    assert sorted(map(tuple, on.values())) == [(0,), (1,)], on
    assert {i: len(f) for i, f in frames.items()} == {1: 80, 2: 80}


def test_a_false_detection_of_two_frames_is_not_published():
    world = World([Person(walk(60, 100, 150), RED)], 60, ghosts={20: (350.0, 120.0), 21: (351.0, 120.0)})
    on, _ = owners(world, run(world))
    assert 20 in world.detections
    assert on == {1: {0}}, on


def test_nobody_is_an_answer():
    results = run(World([], 25))
    assert len(results) == 25
    assert all(r.tracked == () for r in results)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_video_shorter_than_the_proof_still_shows_who_is_in_all_of_it(frames):
    results = run(World([Person(walk(frames, 100, 110), RED)], frames))
    assert [len(r.tracked) for r in results] == [1] * frames


def test_a_fast_person_is_detected_more_often_than_a_slow_one():
    fast = World([Person(walk(80, 60, 420), RED)], 80)
    slow = World([Person(walk(80, 100, 110), RED)], 80)
    run(fast, step=40)
    run(slow, step=40)
    assert len(fast.detections) > len(slow.detections) == 2, (fast.detections, slow.detections)


def test_a_lone_person_costs_one_look_per_frame():
    world = World([Person(walk(80, 100, 110), RED)], 80)
    run(world, step=40)
    assert world.looks == 80, f"{world.looks} looks at 80 frames"


def test_the_search_for_who_has_left_becomes_rare():
    path = walk(400, 100, 110)
    path[20:] = np.nan
    world = World([Person(path, RED)], 400)
    run(world, step=50)
    assert len(world.detections) <= 400 / 50 + 6, world.detections


def test_results_lag_behind_by_a_bounded_number_of_frames():
    world = World([Person(walk(200, 100, 300), RED)], 200)
    taken = []

    def counted():
        for frame in world.stream():
            taken.append(frame.index)
            yield frame

    results = follow(counted(), look=world.look, detect=world.detect, detection_step=1000)
    for expected in range(200):
        assert next(results).index == expected
        assert len(taken) - expected <= MOST_HELD + 1


def test_the_labels_cover_the_person():
    world = World([Person(walk(10, 200, 200), RED)], 10)
    labels = run(world)[5].labels
    found = people_in(labels)
    assert (labels.dtype, found.ids.tolist()) == (np.uint16, [1])
    assert labels[120, 200] == 1
    x1, y1, x2, y2 = found.boxes[0]
    assert 80 < y2 - y1 < 120, found.boxes
    assert 15 < x2 - x1 < 45, found.boxes


def test_the_same_frames_give_the_same_result():
    def digest():
        world = World([Person(walk(60, 100, 300), RED), Person(walk(60, 300, 100), WHITE)], 60)
        return [(r.index, [p.id for p in r.tracked], r.labels.tobytes()) for r in run(world)]

    assert digest() == digest()


def test_who_has_left_is_not_continued_on_a_neighbour_in_the_same_clothes():
    left = walk(60, 200, 205)
    left[30:] = np.nan
    world = World([Person(left, RED), Person(walk(60, 226, 226), RED)], 60)
    on, frames = owners(world, run(world))
    assert sorted(map(tuple, on.values())) == [(0,), (1,)], on
    assert sorted(len(f) for f in frames.values()) == [30, 60]


def test_single_false_detections_never_add_up_to_a_person():
    places = {0: (380.0, 120.0), 100: (200.0, 110.0), 200: (420.0, 130.0), 300: (250.0, 120.0), 320: (252.0, 120.0)}
    world = World([Person(walk(400, 60, 90), RED)], 400, ghosts=places)
    on, _ = owners(world, run(world))
    assert set(places) <= set(world.detections), "the test needs a look at every false detection"
    assert on == {1: {0}}, on


def test_who_is_lost_after_somebody_has_left_for_good_is_looked_for_soon():
    gone, hidden = walk(400, 60, 60), walk(400, 400, 400)
    gone[20:] = np.nan
    hidden[303:308] = np.nan  # between two regular key frames
    world = World([Person(gone, RED), Person(hidden, WHITE)], 400)
    results = run(world, step=50)
    assert [f for f in world.detections if 150 < f < 303] == [176, 226, 276]
    first = min(f for f in world.detections if f >= 308)
    assert first <= 312, f"back in frame 308, looked for in {first}"
    on, frames = owners(world, results)
    assert sorted(map(tuple, on.values())) == [(0,), (1,)], on
    assert sorted(len(f) for f in frames.values()) == [20, 395]


def apart(frames, first_until, second_from):
    """Two people far from each other, of whom the first leaves before the second comes."""
    first, second = walk(frames, 60, 60), walk(frames, 400, 400)
    first[first_until:], second[:second_from] = np.nan, np.nan
    return first, second


@pytest.mark.parametrize("present", [None, RED])
def test_somebody_in_the_clothes_of_who_left_who_enters_elsewhere_gets_a_new_id(present):
    first, second = apart(140, 30, 100)
    people = [Person(first, RED), Person(second, RED)]
    if present:
        people.append(Person(walk(140, 230, 230), present))
    world = World(people, 140)
    on, _ = owners(world, run(world))
    assert sorted(map(tuple, on.values())) == [(n,) for n in range(len(people))], on


def test_who_comes_back_elsewhere_in_clothes_of_their_own_has_the_old_id():
    path = walk(140, 60, 60)
    path[30:100], path[100:] = np.nan, (400, 120)
    world = World([Person(path, RED), Person(walk(140, 230, 230), WHITE)], 140)
    on, _ = owners(world, run(world))
    assert sorted(map(tuple, on.values())) == [(0,), (1,)], on


def test_of_those_who_left_only_what_it_takes_to_know_them_again_is_kept():
    path = walk(60, 200, 200)
    path[20:] = np.nan
    world = World([Person(path, RED)], 60)
    tracker = Tracker(look=world.look, detect=world.detect, key_frames=KeyFrames(20))
    for frame in world.stream():
        tracker.step(frame.image, frame.seconds)
    assert tracker.tracks == {}
    (kept,) = tracker.lost.values()
    size = sum(value.nbytes for value in vars(kept).values() if isinstance(value, np.ndarray))
    assert size < 1000, f"{size} bytes"
    assert not any(hasattr(value, "landmarks") for value in vars(kept).values())


def test_who_is_long_gone_is_no_longer_looked_for_between_regular_key_frames():
    path = walk(400, 100, 110)
    path[20:] = np.nan
    world = World([Person(path, RED)], 400)
    run(world, step=390)
    after = [f for f in world.detections if f >= 20]
    assert 2 <= len(after) <= 5, after
    assert after[-1] <= 20 + 60, after
