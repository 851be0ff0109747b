from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simulation.cameras import simulate_scene
from stages.sync.evidence import gather
from stages.sync.tracks import PersonTrack, VideoTracks


def test_offsets_that_are_too_large_are_not_considered():
    scene = simulate_scene(np.random.default_rng(0), cameras=2, seconds=30, first_pts=(0.0, 5.0))
    evidence = gather(scene.videos, max_offset=2.0)
    allowed = np.flatnonzero((evidence.couples[0, 1].r > -1).any(axis=(0, 1)))
    reach = evidence.couples[0, 1].r.shape[2] // 2
    offsets = [evidence.offset(0, 1, lag - reach) for lag in allowed]
    assert min(offsets) == pytest.approx(-2.0, abs=0.2)
    assert max(offsets) == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize(("seconds", "centred"), [(10, True), (30, False)])
def test_short_recordings_are_centred(seconds: float, centred: bool):
    scene = simulate_scene(np.random.default_rng(0), cameras=2, seconds=seconds)
    assert gather(scene.videos, max_offset=60).centred is centred


def test_clock_times_of_day_cost_no_memory():
    scene = simulate_scene(np.random.default_rng(0), cameras=2, seconds=10, first_pts=(0.0, 80_000.0))
    assert gather(scene.videos, max_offset=60).couples[0, 1].r.shape[2] <= 2 * 300


def test_fragments_are_not_compared_and_the_only_one_is():
    scene = simulate_scene(np.random.default_rng(0), cameras=2, seconds=30)
    track = scene.videos[0].persons[0]

    def part(person: int, frames: int) -> PersonTrack:
        return PersonTrack(person, track.times[:frames], track.keypoints[:frames], track.confidence[:frames])

    whole, other = PersonTrack(3, track.times, track.keypoints, track.confidence), scene.videos[1]
    evidence = gather([VideoTracks("a", (part(1, 60), part(2, 80), whole)), other], max_offset=60)
    assert evidence.tracks == [[2], [0]]
    assert evidence.couples[0, 1].r.shape[:2] == (1, 1)
    evidence = gather([VideoTracks("a", (part(1, 3), part(2, 20))), other], max_offset=60)
    assert evidence.usable == [0, 1], "a video of fragments is compared, and refused with a reason"
