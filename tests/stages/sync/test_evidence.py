from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.simulation.cameras import Outlier, mirrored, simulate_scene
from stages.sync.evidence import SEARCH_RATE, compare, gather
from stages.sync.features import mirror_image
from stages.sync.pairwise import EXCLUDED, find_peak
from stages.sync.tracks import PersonTrack, VideoTracks


def test_offsets_that_are_too_large_are_not_considered():
    scene = simulate_scene(np.random.default_rng(0), cameras=2, seconds=30, first_pts=(0.0, 5.0))
    evidence = gather(scene.videos, max_offset=2.0)
    allowed = np.flatnonzero((evidence.couples[0, 1].r > EXCLUDED).any(axis=(0, 1)))
    reach = evidence.couples[0, 1].r.shape[2] // 2
    offsets = [evidence.offset(0, 1, lag - reach) for lag in allowed]
    step = 1 / evidence.curve_rate
    assert -2.0 <= min(offsets) <= -2.0 + step
    assert 2.0 - step <= max(offsets) <= 2.0


@pytest.mark.parametrize(("seconds", "centred"), [(10, True), (30, False)])
def test_short_recordings_are_centred(seconds: float, centred: bool):
    scene = simulate_scene(np.random.default_rng(0), cameras=2, seconds=seconds)
    assert gather(scene.videos, max_offset=60).centred is centred


@pytest.mark.parametrize("fps", [25.0, 30.0, 50.0, 60.0])
def test_long_recordings_are_searched_coarsely_and_short_ones_finely(fps: float):
    for seconds, least, most in ((30, 0.8 * SEARCH_RATE, 1.4 * SEARCH_RATE), (10, fps, max(fps, 30.0))):
        scene = simulate_scene(np.random.default_rng(1), cameras=2, seconds=seconds, rates=(fps,))
        evidence = gather(scene.videos, max_offset=60)
        assert least - 1e-6 <= evidence.curve_rate <= most + 1e-6
        assert evidence.curve_rate * evidence.stride == pytest.approx(evidence.rate)
        assert evidence.rate == pytest.approx(max(fps, 30.0))


@pytest.mark.parametrize("seconds", [10, 30])
@pytest.mark.parametrize("first_pts", [(0.0,), (0.0, 3.37, 120.0)])
def test_the_highest_points_of_the_curves_are_the_true_offsets(seconds: float, first_pts: tuple[float, ...]):
    scene = simulate_scene(
        np.random.default_rng(2),
        cameras=3,
        seconds=seconds,
        max_start=4,
        level="easy",
        first_pts=first_pts,
        rates=(60, 25),
    )
    evidence = gather(scene.videos, max_offset=150)
    assert set(evidence.couples) == {(0, 1), (0, 2), (1, 2)}
    for (i, j), couples in evidence.couples.items():
        peak = find_peak(couples.pooled([(0, 0)]), rate=evidence.curve_rate)
        error = evidence.offset(i, j, peak.lag) - (scene.start_times[j] - scene.start_times[i])
        assert abs(error) < 0.02, f"{i, j}: {error:.4f} s off"


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


def test_every_couple_of_several_persons_is_where_it_belongs():
    scene = simulate_scene(np.random.default_rng(3), cameras=3, seconds=30, people=3, absent=0.3, level="easy")
    evidence = gather(scene.videos, max_offset=60)
    assert len({len(video.persons) for video in scene.videos}) > 1, "the scene tells rows from columns"
    for (i, j), couples in evidence.couples.items():
        assert couples.r.shape[:2] == (len(scene.people[i]), len(scene.people[j]))
        high = couples.score.max(2)
        for u, v in np.ndindex(*high.shape):
            if scene.people[i][u] == scene.people[j][v]:
                assert high[u, v] == max(high[u].max(), high[:, v].max())
        assert [side.shape for side in couples.together] == [(n, n) for n in couples.r.shape[:2]]


def test_a_video_without_anybody_is_not_compared():
    scene = simulate_scene(np.random.default_rng(4), cameras=2, seconds=10)
    evidence = gather([scene.videos[0], VideoTracks("empty", ()), scene.videos[1]], max_offset=60)
    assert evidence.usable == [0, 2]
    assert set(evidence.couples) == {(0, 2)}
    assert gather([], max_offset=60).couples == {}


def test_a_clock_that_runs_at_another_rate_is_set_right():
    scene = simulate_scene(np.random.default_rng(5), cameras=2, seconds=30)
    tracks = tuple(replace(track, times=track.times / 1.01) for track in scene.videos[1].persons)
    fast = [scene.videos[0], replace(scene.videos[1], persons=tracks)]
    expected = gather(scene.videos, max_offset=60)
    found = gather(fast, max_offset=60, rates={1: 1.01})
    np.testing.assert_allclose(found.couples[0, 1].r, expected.couples[0, 1].r, atol=1e-4)
    unset = gather(fast, max_offset=60).couples[0, 1].r
    assert expected.couples[0, 1].r.max() - unset.max() > 0.05, "the rate matters"


def test_the_mirror_image_of_a_mirrored_video_is_the_video():
    scenes = [
        simulate_scene(np.random.default_rng(6), cameras=3, seconds=30, outliers=outliers)
        for outliers in ({}, {1: Outlier.MIRRORED})
    ]
    expected = gather(scenes[0].videos, max_offset=60)
    found = gather(scenes[1].videos, max_offset=60, mirrored={1})
    for pair, couples in expected.couples.items():
        np.testing.assert_allclose(found.couples[pair].r, couples.r, atol=1e-4)


def test_comparing_with_others_in_their_place_leaves_the_first_as_it_is():
    scene = simulate_scene(np.random.default_rng(7), cameras=3, seconds=30)
    evidence = gather(scene.videos, max_offset=60)
    again = compare(evidence, evidence.features, list(evidence.couples))
    for pair, couples in evidence.couples.items():
        np.testing.assert_allclose(again[pair].r, couples.r, atol=1e-6)
    images = [[mirror_image(f) for f in found] for found in evidence.features]
    pairs = list(itertools.permutations(range(3), 2))
    found = compare(evidence, images, pairs)
    for i, j in pairs:
        one_flipped = list(scene.videos)
        one_flipped[j] = replace(one_flipped[j], persons=tuple(map(mirrored, one_flipped[j].persons)))
        expected = gather(one_flipped, max_offset=60).couples[min(i, j), max(i, j)].r[0, 0]
        expected = expected if i < j else expected[::-1]
        both = (found[i, j].r[0, 0] > EXCLUDED) & (expected > EXCLUDED)
        assert both.sum() > 500
        np.testing.assert_allclose(found[i, j].r[0, 0, both], expected[both], atol=1e-4)
