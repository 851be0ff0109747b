"""Following people through a made-up world in which the truth is known and models err on purpose."""

import itertools
import logging
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import torch

from stages.segment.prompted import driver, gallery
from stages.segment.prompted.driver import DriverSettings, follow
from stages.segment.prompted.held_masks import MOST_HELD
from stages.segment.prompted.protocols import Outlines
from tests.stages.segment.prompted.world import BLUE, GREEN, RED, WHITE, Board, Filmed, World, film, walk
from tests.synth.truth_models import TrackerMistakes, TruthDetector, TruthTracker, TruthVideo


def still(frames, x):
    return dict.fromkeys(range(frames), (x, 60.0))


def two_walkers(frames=120):
    return World([Board(walk(0, frames, 30, 100), RED), Board(walk(0, frames, 210, 140), BLUE)], frames)


def changes(ids):
    """The ids somebody had, each as long as it lasted, without frames in which they had none."""
    return [number for number, _ in itertools.groupby(i for i in ids.values() if i is not None)]


def always_one(ids):
    """Whether somebody has a mask in every frame, always with the same id."""
    return len(set(ids.values())) == 1 and None not in ids.values()


def test_one_result_per_frame_in_order_with_time_and_size():
    filmed = film(two_walkers(30))
    assert [r.index for r in filmed.results] == list(range(30))
    assert filmed.results[7].seconds == pytest.approx(7 / 30)
    assert (filmed.results[0].height, filmed.results[0].width) == (120, 240)
    assert filmed.results[3].outlines.numbers == (1, 2)
    assert set(filmed.results[3].scores) == {1, 2}
    assert filmed.results[3].class_names == {1: "person", 2: "person"}


def test_nobody_is_a_result_as_well():
    filmed = film(World([], 20))
    assert [len(r.outlines) for r in filmed.results] == [0] * 20


def test_no_frames_give_no_results():
    assert film(World([], 0)).results == []


def test_a_video_of_one_frame_is_believed_at_one_detection():
    assert film(two_walkers(1)).results[0].outlines.numbers == (1, 2)


def test_who_is_not_detected_on_three_key_frames_keeps_the_id_and_every_mask():
    filmed = film(two_walkers(200), step=20, blind=((20, 90, 2),))
    looked = [frame for frame in filmed.detector.calls if 20 <= frame <= 90]
    assert len(looked) >= 3
    assert always_one(filmed.ids(2))


def test_a_late_arrival_is_traced_back_to_the_frame_of_entry_without_a_reset():
    world = World([Board(still(140, 200.0), RED), Board(walk(61, 140, 20, 110), BLUE)], 140)
    filmed = film(world)
    ids = filmed.ids(2)
    assert min(frame for frame, number in ids.items() if number) == 61, ids
    assert filmed.tracker.calls["memory"] <= 2  # the one that is there from the start, and the first that is filled


def test_a_false_box_is_never_published():
    filmed = film(two_walkers(300), step=10, false=0.15, seed=3)
    boxes = sum(len(filmed.detector.detect(filmed.world.image(frame))) > 2 for frame in list(filmed.detector.calls))
    assert boxes >= 3, "the detector made no mistake"
    assert filmed.false_masks() == []
    assert filmed.all_ids == {1, 2}


def test_missed_at_random_everybody_has_one_id_in_every_frame():
    filmed = film(two_walkers(200), missed=0.2, jitter=0.04, seed=5, mistakes=TrackerMistakes(ragged=True))
    assert always_one(filmed.ids(1))
    assert always_one(filmed.ids(2))


def test_ten_frames_behind_somebody_do_not_change_ids():
    world = World([Board(walk(0, 100, 20, 220), RED, front=1), Board(still(100, 120.0), BLUE, size=(14, 50))], 100)
    filmed = film(world)
    hidden = [frame for frame in range(100) if (world.labels(frame) == 2).sum() < 6]
    assert len(hidden) >= 3
    assert len(changes(filmed.ids(1))) == 1
    assert len(changes(filmed.ids(2))) == 1


@pytest.mark.parametrize("gone", [40, 150])
def test_who_comes_back_after_an_absence_has_the_same_id(gone):
    before, after = walk(0, 70, 120, -20), walk(70 + gone, 170 + gone, -20, 100)
    frames = 170 + gone
    world = World([Board(still(frames, 200.0), RED), Board(before | after, BLUE)], frames)
    filmed = film(world)
    assert len(changes(filmed.ids(2))) == 1
    back = [frame for frame, number in filmed.ids(2).items() if number and frame > 100]
    assert min(back) <= min(frame for frame in filmed.ids(2) if frame > 100) + 2, "not traced back to the return"


def test_who_returns_elsewhere_after_long_is_known_by_colours():
    world = World([Board(still(300, 120.0), RED), Board(walk(0, 60, 60, -20) | walk(180, 300, 260, 200), BLUE)], 300)
    assert len(changes(film(world).ids(2))) == 1


def test_somebody_in_the_clothes_of_two_who_left_gets_a_new_id():
    world = World(
        [
            Board(still(320, 120.0), RED),
            Board(walk(0, 60, 60, -20), BLUE),
            Board(walk(0, 60, 180, 260), BLUE),
            Board(walk(180, 320, -20, 60), BLUE),
        ],
        320,
    )
    filmed = film(world)
    (number,) = set(changes(filmed.ids(4)))
    assert number not in {*changes(filmed.ids(2)), *changes(filmed.ids(3))}


def test_two_who_are_in_view_together_are_never_one():
    """Somebody in the same clothes comes in while the first is there, who then leaves."""
    world = World(
        [
            Board(still(240, 120.0), RED),
            Board(walk(0, 120, 60, -20), BLUE),
            Board(walk(60, 240, 260, 190), BLUE),
        ],
        240,
    )
    filmed = film(world)
    assert not set(changes(filmed.ids(2))) & set(changes(filmed.ids(3)))


def crossing(frames=160):
    return World(
        [
            Board(walk(0, frames, 20, 220), RED, size=(24, 64), front=1),
            Board(walk(0, frames, 200, 40), BLUE, size=(18, 50)),
        ],
        frames,
    )


def test_a_mask_that_slid_onto_whoever_was_in_front_is_taken_back():
    filmed = film(crossing(), mistakes=TrackerMistakes(drift=1.0))
    assert len(changes(filmed.ids(1))) == 1
    assert len(changes(filmed.ids(2))) == 1
    late = [number for frame, number in filmed.ids(2).items() if frame > 110]
    assert len(set(late)) == 1, late
    assert not set(changes(filmed.ids(1))) & set(changes(filmed.ids(2)))


class Swapping(TruthTracker):
    """Exchanges two people for each other when they cross, as a tracker without appearance would."""

    def memory(self, *, reverse=False):
        memory = super().memory(reverse=reverse)
        if not reverse:
            follow_truly = memory.follow

            def follow_wrongly(picture, index):
                if index == 80:
                    locks = memory._locks
                    for lock in locks.values():
                        lock.target = {1: 2, 2: 1}.get(lock.target, lock.target)
                return follow_truly(picture, index)

            memory.follow = follow_wrongly
        return memory


def test_exchanged_masks_are_exchanged_back_from_the_crossing_on():
    world = crossing()
    video = TruthVideo(world)
    tracker = Swapping(video, TrackerMistakes(), cell=1)
    filmed = film(world)  # for its way of counting
    filmed.results = list(
        follow(video.stream(), detector=TruthDetector(video), tracker=tracker, settings=DriverSettings())
    )
    for number in (1, 2):
        ids = filmed.ids(number)
        wrong = [frame for frame, found in ids.items() if found not in (ids[0], None)]
        assert len(wrong) <= 3, f"person {number} has a wrong id in frames {wrong}"


def test_classes_are_matched_within_themselves():
    world = World(
        [Board(still(120, 120.0), RED), Board(still(120, 120.0), WHITE, size=(60, 24), kind="bicycle", front=-1)], 120
    )
    filmed = film(world, step=10)
    assert filmed.results[-1].class_names == {1: "person", 2: "bicycle"} or filmed.results[-1].class_names == {
        1: "bicycle", 2: "person"}  # fmt: skip
    assert filmed.all_ids == {1, 2}


def test_who_comes_in_shortly_before_the_end_is_published():
    world = World([Board(still(118, 60.0), RED), Board(walk(107, 118, 236, 200), GREEN)], 118)
    filmed = film(world)
    assert not [frame for frame in filmed.detector.calls if 107 <= frame < 114 and frame % 4], "found by chance"
    assert always_one(filmed.ids(2))


def test_false_boxes_in_every_look_are_not_published_not_even_at_the_end():
    filmed = film(two_walkers(60), false=1.0, seed=2)
    assert filmed.false_masks() == []
    assert filmed.all_ids == {1, 2}


def test_the_result_does_not_depend_on_how_frames_come():
    def results(chunk):
        video = TruthVideo(crossing(200))
        models = TruthDetector(video, missed=0.2, false=0.05, seed=1), TruthTracker(
            video, TrackerMistakes(ragged=True, drift=0.5), cell=1)  # fmt: skip
        stream = video.stream()
        chunks = iter(lambda: list(itertools.islice(stream, chunk)), [])
        frames = itertools.chain.from_iterable(chunks)
        return [
            (r.index, r.outlines.numbers, r.outlines.logits.numpy().tobytes(), tuple(r.scores.values()))
            for r in follow(frames, detector=models[0], tracker=models[1], settings=DriverSettings())
        ]

    assert results(200) == results(7) == results(1)


@pytest.mark.parametrize("step", [5, 50, 120])
def test_the_delay_is_bounded_whatever_the_step(step):
    video = TruthVideo(two_walkers(200))
    taken = 0

    def counted():
        nonlocal taken
        for frame in video.stream():
            taken += 1
            yield frame

    settings = DriverSettings(detection_step=step)
    stream = follow(counted(), detector=TruthDetector(video), tracker=TruthTracker(video, cell=1), settings=settings)
    delays = [taken - 1 - result.index for result in stream]
    assert max(delays) == MOST_HELD == 64


def test_what_is_kept_does_not_grow_with_the_video():
    """A new person every 20 frames, none of whom comes back."""
    rng = np.random.default_rng(0)
    boards = []
    for number in range(16):
        clothes = tuple(tuple(int(c) for c in rng.integers(0, 256, 3)) for _ in range(2))
        boards.append(Board(walk(20 * number, 20 * number + 60, -10, 250), clothes))
    world = World(boards, 340)
    video = TruthVideo(world)
    followers, held = [], []
    original = driver.Follower

    def remembered(*arguments):
        followers.append(original(*arguments))
        return followers[-1]

    tracker = TruthTracker(video, cell=1)
    with mock.patch.object(driver, "Follower", remembered), mock.patch.object(gallery, "MOST_LOST", 5):
        for _ in follow(video.stream(), detector=TruthDetector(video), tracker=tracker, settings=DriverSettings()):
            held.append(len(followers[0].roster.held))
    assert max(held) <= MOST_HELD
    assert len(followers[0].roster.gallery.lost) == 5
    assert tracker.most <= 8, "people who have left long ago are still followed"


class NoWaiting(torch.Tensor):
    """A tensor that says when somebody waits for it."""

    waits = 0

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in (
            torch.Tensor.cpu, torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.numpy, torch.Tensor.__bool__,
            torch.Tensor.nonzero, torch.Tensor.__int__, torch.Tensor.__float__,
        ):  # fmt: skip
            NoWaiting.waits += 1
        return super().__torch_function__(function, types, args, kwargs or {})


class FarAway(TruthTracker):
    """Its masks are on a device that one would have to wait for."""

    def as_outlines(self, numbers, masks, shape):
        near = super().as_outlines(numbers, masks, shape)
        return Outlines(near.numbers, near.logits.as_subclass(NoWaiting), near.presence.as_subclass(NoWaiting))


def test_between_looks_nothing_waits_for_the_device():
    frames = 320
    world = World([Board(walk(0, frames, 30, 100), RED), Board(walk(0, frames, 210, 140), BLUE)], frames)
    video = TruthVideo(world)
    detector = TruthDetector(video)
    NoWaiting.waits, waited, before = 0, set(), 0
    fed = -1

    def counted():
        nonlocal fed, before
        for frame in video.stream():
            if NoWaiting.waits > before:
                waited.add(fed)
            before, fed = NoWaiting.waits, frame.index
            yield frame

    for _ in follow(counted(), detector=detector, tracker=FarAway(video, cell=1), settings=DriverSettings()):
        pass
    assert waited, "the test sees nothing"
    regular = {frame for frame in waited if frame > 64}  # after those who are there are known
    assert regular <= set(detector.calls), f"waits in {sorted(regular)}, detections in {sorted(detector.calls)}"
    assert len(regular) <= 6, sorted(regular)


def test_the_detector_is_called_hardly_more_often_than_it_must():
    calls = len(film(two_walkers(500)).detector.calls)
    assert calls <= 500 / 50 + 4, calls


def test_who_left_is_forgotten_by_the_tracker():
    world = World([Board(still(200, 200.0), RED), Board(walk(0, 60, 60, -30), BLUE)], 200)
    filmed = film(world)
    # Two are followed for 60 frames and until the absence has been noticed; then there is one.
    assert filmed.tracker.calls["followed"] <= 2 * 150 + 50 + 40


def test_more_instances_than_ids_are_said_and_left_out(caplog):
    with mock.patch.object(driver, "MOST_IDS", 1), caplog.at_level(logging.WARNING, logger="ghost"):
        filmed = film(two_walkers(60))
    assert filmed.all_ids == {1}
    assert len([r for r in caplog.records if "more than 1 " in r.getMessage()]) == 1


def test_a_mask_that_covers_only_a_part_is_put_right_by_a_detection():
    world = World([Board(still(120, 120.0), RED)], 120)

    class Shrinking(TruthTracker):
        corrected = 0

        def ragged(self, mask, frame, person):
            return mask

        def memory(self, *, reverse=False):
            memory = super().memory(reverse=reverse)
            truly, remember = memory.follow, memory.remember
            shrunk = [True]

            def follow_part(picture, index):
                outlines = truly(picture, index)
                if index > 20 and shrunk[0] and not reverse:
                    outlines.logits[:, 70:] = -6.0
                return outlines

            def remember_all(picture, index, outlines):
                if index > 20 and not reverse:
                    shrunk[0] = False
                    type(self).corrected += 1
                remember(picture, index, outlines)

            memory.follow, memory.remember = follow_part, remember_all
            return memory

    video = TruthVideo(world)
    tracker = Shrinking(video, cell=1)
    results = list(follow(video.stream(), detector=TruthDetector(video), tracker=tracker, settings=DriverSettings()))
    assert Shrinking.corrected == 1
    assert (results[-1].outlines.logits > 0).sum() == (world.labels(119) > 0).sum()


def test_masks_that_flicker_right_after_the_return_have_the_old_id_from_the_first_one_on():
    path = walk(0, 60, 60, -20) | walk(230, 330, 30, 90)
    for frame in (233, 234, 236):
        del path[frame]
    world = World([Board(still(330, 180.0), RED), Board(path, BLUE)], 330)
    filmed = film(world, step=10)
    assert len(changes(filmed.ids(2))) == 1
    assert len(filmed.all_ids) == 2


@pytest.mark.parametrize(("stall", "known"), [(10.0, True), (0.0, False)])
def test_time_that_passes_in_a_stall_of_the_camera_counts(stall, known):
    """Away for 1.7 s by the number of frames, and back too far away for that; longer if the camera has stalled."""
    path = walk(0, 20, 8, 45) | walk(120, 140, 198, 198) | dict.fromkeys(range(140, 240), (198.0, 60.0))
    world = World([Board(path, BLUE), Board(still(240, 228.0), RED)], 240, rate=60.0)
    video = TruthVideo(world)
    frames = (replace(one, seconds=one.seconds + (stall if one.index >= 25 else 0)) for one in video.stream())
    detector, tracker = TruthDetector(video), TruthTracker(video, cell=1)
    results = list(follow(frames, detector=detector, tracker=tracker, settings=DriverSettings(detection_step=10)))
    ids = Filmed(world, detector, tracker, results).ids(1)
    assert (len(changes(ids)) == 1) is known, changes(ids)


@pytest.mark.parametrize("rate", [10.0, 30.0])
def test_how_far_somebody_gets_unseen_is_a_matter_of_seconds(rate):
    """Hidden for thirty frames, in which one passes behind a wide wall in three seconds, but hardly in one."""
    path = walk(0, 60, 8, 198) | dict.fromkeys(range(60, 160), (198.0, 60.0))
    world = World([Board(path, BLUE), Board(still(160, 228.0), RED)], 160, walls=((60, 178),), rate=rate)
    ids = film(world, step=10).ids(1)
    assert (len(changes(ids)) == 1) is (rate == 10.0), changes(ids)
