"""Driver and baseline on a recorded view: the baseline behaves as the original does, labels are as they should be."""

import numpy as np
import torch

from benchmarks.identity_runs import Errors, Recorded, labels_of, originals, ours, record, run
from stages.segment.prompted.protocols import Outlines
from tests.stages.segment.prompted.world import BLUE, RED, Board, World, walk
from tests.synth.truth_models import TruthDetector, TruthTracker, TruthVideo


def two_walkers(frames):
    return World([Board(walk(0, frames, 30, 100), RED), Board(walk(0, frames, 210, 140), BLUE)], frames)


def ids(world, method, blind=()):
    """By person the published ids of every frame."""
    video = TruthVideo(world)
    detector, tracker = TruthDetector(video, blind=blind), TruthTracker(video, cell=1)
    found = {1: [], 2: []}
    for result in method(video.stream(), detector, tracker):
        labels = labels_of(result.outlines, (120, 240))
        for person, seen in found.items():
            seen.append(int(np.bincount(labels[world.labels(result.index) == person], minlength=1).argmax()))
    return found


def test_the_original_drops_who_is_not_detected_again_and_we_do_not():
    world, unseen = two_walkers(160), ((50, 50, 2),)
    theirs = ids(world, originals(50), unseen)
    assert set(theirs[1]) == {theirs[1][0]}
    assert set(theirs[2][50:100]) == {0}
    assert theirs[2][100] not in {0, theirs[2][49]}
    mine = ids(world, ours(50), unseen)
    assert len(set(mine[1])) == len(set(mine[2])) == 1


def test_the_original_finds_late_arrivals_on_the_next_key_frame_only():
    world = World([Board(walk(0, 120, 30, 100), RED), Board(walk(20, 120, 210, 140), BLUE)], 120)
    assert set(ids(world, originals(50))[2][20:50]) == {0}
    assert 0 not in ids(world, ours(50))[2][20:]


def test_labels_take_the_strongest_and_repeat_cells():
    logits = torch.tensor([[[1.0, -1.0], [2.0, -1.0]], [[2.0, -1.0], [1.0, 3.0]]])
    labels = labels_of(Outlines((4, 9), logits, torch.ones(2)), (4, 4))
    assert labels.tolist() == [[9, 9, 0, 0], [9, 9, 0, 0], [4, 4, 9, 9], [4, 4, 9, 9]]


def test_nobody_is_labelled_0():
    assert labels_of(Outlines((), torch.zeros((0, 1, 1)), torch.zeros(0)), (3, 2)).tolist() == [[0, 0]] * 3


def test_a_run_without_drift_on_a_simple_world_is_perfect_but_for_contours():
    view = record(two_walkers(120), lambda _: {})
    done = run(ours(50), view, seed=1, errors=Errors())
    assert isinstance(view, Recorded)
    assert done.comparison.scores().idf1 >= 0.98
    assert max(done.delays) <= 64
    assert done.detections >= 3
