"""Models that know the truth err as much as they are told to, and no more."""

import numpy as np
import pytest
import torch

from stages.segment.prompted.protocols import Outlines
from tests.stages.segment.prompted.world import BLUE, GREEN, RED, Board, World, walk
from tests.synth.truth_models import TrackerMistakes, TruthDetector, TruthTracker, TruthVideo

FRAMES = 400


def still(frames, x):
    return dict.fromkeys(range(frames), (x, 60.0))


@pytest.fixture(scope="module")
def video():
    world = World([Board(still(FRAMES, 40.0), RED), Board(still(FRAMES, 120.0), BLUE)], FRAMES)
    video = TruthVideo(world)
    for _ in video.stream():
        pass
    return video


def detections(video, **mistakes):
    detector = TruthDetector(video, **mistakes)
    return [detector.detect(video.view.image(frame)) for frame in range(FRAMES)]


def test_without_mistakes_boxes_are_exact(video):
    found = TruthDetector(video).detect(video.view.image(7))
    assert sorted(found.boxes.tolist()) == [[30, 32, 50, 88], [110, 32, 130, 88]]
    assert (np.diff(found.scores) <= 0).all()


def test_misses_as_often_as_asked(video):
    missed = 1 - sum(map(len, detections(video, missed=0.2))) / (2 * FRAMES)
    assert 0.16 <= missed <= 0.24, missed


def test_false_boxes_come_as_often_as_asked(video):
    false = sum(map(len, detections(video, false=0.05))) / (2 * FRAMES) - 1
    assert 0.03 <= false <= 0.07, false


def test_mistakes_depend_on_the_seed_and_not_on_the_order_of_calls(video):
    detector = TruthDetector(video, missed=0.3, false=0.3, jitter=0.1, seed=4)
    forwards = [detector.detect(video.view.image(frame)).boxes.tolist() for frame in range(20)]
    backwards = [detector.detect(video.view.image(frame)).boxes.tolist() for frame in reversed(range(20))]
    assert forwards == backwards[::-1]
    other = TruthDetector(video, missed=0.3, false=0.3, jitter=0.1, seed=5)
    assert forwards != [other.detect(video.view.image(frame)).boxes.tolist() for frame in range(20)]


def test_a_frame_that_was_never_given_out_is_not_known(video):
    with pytest.raises(KeyError):
        TruthDetector(video).detect(np.zeros((120, 240, 3), np.uint8))


def filmed(boards, frames, mistakes=None):
    video = TruthVideo(World(boards, frames))
    pictures = [frame.image for frame in video.stream()]
    return video.view, TruthTracker(video, mistakes or TrackerMistakes(), cell=1), pictures


def followed(tracker, pictures, box, frames):
    """Masks of whoever is in a box of the first frame, in the others."""
    memory = tracker.memory()
    outlines = tracker.outline(tracker.see(pictures[0]), np.array([box], np.float32))
    memory.remember(0, 0, outlines)
    return [memory.follow(tracker.see(pictures[frame]), frame) for frame in range(1, frames)]


def test_locks_onto_who_is_in_the_box_and_shows_what_is_visible():
    world, tracker, pictures = filmed([Board(walk(0, 40, 30, 90), RED), Board(still(40, 80.0), BLUE, front=1)], 40)
    for frame, outlines in enumerate(followed(tracker, pictures, [20, 32, 40, 88], 40), start=1):
        visible = world.labels(frame) == 1
        assert np.array_equal((outlines.logits[0] > 0).numpy(), visible & (visible.sum() >= 6))


def test_a_box_around_nothing_stays_on_the_wall():
    _, tracker, pictures = filmed([Board(walk(0, 40, 30, 90), RED)], 40)
    masks = [outlines.logits[0] > 0 for outlines in followed(tracker, pictures, [180, 20, 200, 60], 40)]
    assert masks[0].sum() > 100
    assert all(torch.equal(mask, masks[0]) for mask in masks)


@pytest.mark.parametrize(("gone", "found"), [(10, True), (40, False)])
def test_finds_again_after_short_absences_only(gone, found):
    path = walk(0, 10, 60, 62) | walk(10 + gone, 60, 62, 70)
    _, tracker, pictures = filmed([Board(path, RED)], 60, TrackerMistakes(finds_again=25))
    outlines = followed(tracker, pictures, [50, 32, 70, 88], 60)
    assert (outlines[14].presence < 0).all()
    assert bool((outlines[-1].presence > 0).all()) is found


@pytest.mark.parametrize(("drift", "target"), [(0.0, 1), (1.0, 2)])
def test_drifts_onto_who_is_in_front_if_it_is_told_to(drift, target):
    boards = [Board(still(60, 100.0), RED, size=(14, 50)), Board(walk(0, 60, 30, 170), GREEN, front=1, size=(24, 64))]
    world, tracker, pictures = filmed(boards, 60, TrackerMistakes(drift=drift))
    last = followed(tracker, pictures, [93, 35, 107, 85], 60)[-1]
    assert np.array_equal((last.logits[0] > 0).numpy(), world.labels(59) == target)


def test_backwards_it_follows_as_well():
    world, tracker, pictures = filmed([Board(walk(5, 30, 30, 90), RED)], 30)
    memory = tracker.memory(reverse=True)
    memory.remember(29, 29, tracker.outline(tracker.see(pictures[29]), np.array([[80, 32, 100, 88]], np.float32)))
    masks = [memory.follow(tracker.see(pictures[frame]), frame).logits[0] > 0 for frame in range(28, -1, -1)]
    assert [int(mask.sum()) for mask in masks[-5:]] == [0] * 5
    assert np.array_equal(masks[0].numpy(), world.labels(28) == 1)


def test_ragged_masks_are_off_by_a_little():
    world, tracker, pictures = filmed([Board(still(30, 60.0), RED)], 30, TrackerMistakes(ragged=True))
    overlaps = []
    for frame, outlines in enumerate(followed(tracker, pictures, [50, 32, 70, 88], 30), start=1):
        mask, truth = (outlines.logits[0] > 0).numpy(), world.labels(frame) == 1
        overlaps.append((mask & truth).sum() / (mask | truth).sum())
    assert 0.8 < min(overlaps) < max(overlaps) <= 1


def test_complains_about_frames_out_of_order():
    _, tracker, pictures = filmed([Board(still(9, 60.0), RED)], 9)
    memory = tracker.memory()
    memory.remember(0, 0, tracker.outline(tracker.see(pictures[0]), np.array([[50, 32, 70, 88]], np.float32)))
    with pytest.raises(AssertionError, match="2 after 0"):
        memory.follow(2, 2)
    with pytest.raises(AssertionError, match="3 is not 0"):
        memory.remember(3, 3, Outlines((5,), torch.ones((1, 120, 240)), torch.ones(1)))


def test_counts_what_it_is_asked_for():
    _, tracker, pictures = filmed([Board(still(9, 60.0), RED)], 9)
    followed(tracker, pictures, [50, 32, 70, 88], 9)
    assert tracker.calls["follow"] == tracker.calls["followed"] == 8
    assert tracker.most == 1
