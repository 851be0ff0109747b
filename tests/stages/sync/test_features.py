from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmarks.simulation.cameras import LEVELS, observe
from benchmarks.simulation.motion import simulate_motion
from common.skeletons import INDEX, MHR70
from stages.sync.features import (
    Grid,
    body_points,
    common_rate,
    distances,
    limb_directions,
    person_features,
    resample,
    video_grid,
)
from stages.sync.tracks import PersonTrack, VideoTracks

PTS = np.arange(240) / 30


def _track(seed: int = 0, **changes: np.ndarray) -> PersonTrack:
    motion = simulate_motion(10, np.random.default_rng(seed))
    track = observe(motion, PTS, PTS, LEVELS["clean"], np.random.default_rng(seed), rotation=np.eye(3))
    fields = {"times": track.times, "keypoints": track.keypoints, "confidence": track.confidence, **changes}
    return PersonTrack(1, **fields)


def _grid(track: PersonTrack) -> Grid:
    return video_grid(VideoTracks("cam", (track,)), 30.0)


def test_measures_do_not_know_where_the_camera_stands():
    track = _track()
    turn = Rotation.from_euler("xyz", [0.3, 2.1, -0.2]).as_matrix()
    moved = _track(keypoints=track.keypoints @ turn.T + [0.4, -1.0, 5.0])
    for measure in (distances, limb_directions):
        a, b = measure(body_points(track)), measure(body_points(moved))
        assert np.abs(a - b).max() < 1e-6, f"{measure.__name__} differs by {np.abs(a - b).max():.1e}"


def test_features_do_not_know_the_size_of_the_body():
    track = _track()
    a, b = (person_features(t, _grid(t), detrend=False) for t in (track, _track(keypoints=track.keypoints * 1.1)))
    np.testing.assert_allclose(a.values, b.values, atol=1e-4)


def test_a_mirrored_person_has_other_features():
    track = _track()
    mirrored = _track(keypoints=track.keypoints * [-1, 1, 1])
    a, b = (limb_directions(body_points(t)) for t in (track, mirrored))
    assert np.abs(a - b).max() > 0.5


def test_uneven_time_stamps_give_the_even_curve():
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.05, 150))
    grid = Grid(0.2, 30.0, 130)
    found = resample(times, 3 * times + 1, grid)
    np.testing.assert_allclose(found, 3 * grid.times + 1, atol=1e-9)


def test_a_long_gap_stays_empty_and_a_lost_frame_is_bridged():
    times = np.delete(np.arange(90) / 30, [20, *range(40, 50)])
    found = resample(times, np.sin(times), Grid(0.0, 30.0, 90))
    assert np.flatnonzero(np.isnan(found)).tolist() == list(range(40, 50))


def test_a_missing_value_does_not_hide_the_frame_beside_it():
    values = np.arange(10.0)
    values[4] = np.nan
    assert np.flatnonzero(np.isnan(resample(np.arange(10) / 30, values, Grid(0.0, 30.0, 10)))).tolist() == [4]


def test_nothing_is_invented_outside_the_time_stamps():
    found = resample(np.array([1.0, 1.02, 1.04]), np.ones(3), Grid(0.0, 30.0, 60))
    at = Grid(0.0, 30.0, 60).times
    assert np.isfinite(found).tolist() == ((at >= 1.0) & (at <= 1.04)).tolist()


@pytest.mark.parametrize(("rates", "expected"), [((6.0,), 30.0), ((25.0, 50.0), 50.0), ((30.0, 240.0), 60.0)])
def test_the_grid_is_as_fast_as_the_fastest_camera_within_reason(rates: tuple[float, ...], expected: float):
    videos = []
    for k, rate in enumerate(rates):
        times = 3.0 + np.arange(50) / rate
        videos.append(VideoTracks(str(k), (PersonTrack(1, times, np.zeros((50, 70, 3)), np.ones((50, 70))),)))
    assert common_rate(videos) == pytest.approx(expected)
    grid = video_grid(videos[0], expected)
    assert grid.origin == 3.0
    assert grid.times[-1] <= 3.0 + 49 / rates[0] + 1e-6 < grid.times[-1] + 1 / expected


def test_joints_that_are_not_seen_are_not_used():
    track = _track()
    confidence = track.confidence.copy()
    legs = [INDEX[f"{side}_{name}"] for side in ("left", "right") for name in ("knee", "ankle", "big_toe")]
    confidence[:, legs] = 0.1
    wild = track.keypoints.copy()
    wild[:, legs] = np.random.default_rng(0).normal(size=(len(PTS), len(legs), 3))
    features = [
        person_features(t, _grid(t), detrend=False)
        for t in (_track(confidence=confidence), _track(confidence=confidence, keypoints=wild))
    ]
    np.testing.assert_array_equal(features[0].values, features[1].values)
    assert 0 < features[0].mask.mean() < 0.7


def test_the_head_is_where_those_of_nose_and_ears_are_that_are_seen():
    track = _track()
    confidence = track.confidence.copy()
    confidence[:, INDEX["nose"]] = 0  # seen from behind
    head = body_points(_track(confidence=confidence))[:, 0]
    ears = track.keypoints[:, [INDEX["left_ear"], INDEX["right_ear"]]].mean(1)
    np.testing.assert_allclose(head, ears, atol=1e-12)


def test_only_joints_of_the_body_matter():
    track = _track()
    with_hands = track.keypoints.copy()
    hands = [i for i, name in enumerate(MHR70) if "tip" in name or "joint" in name]
    with_hands[:, hands] = 1.0
    np.testing.assert_array_equal(body_points(track), body_points(_track(keypoints=with_hands)))


def test_a_still_picture_has_no_features():
    track = _track()
    frozen = _track(keypoints=np.repeat(track.keypoints[:1], len(PTS), axis=0))
    assert not person_features(frozen, _grid(frozen), detrend=False).mask.any()


def test_a_speed_needs_three_instants_in_a_row_and_a_position_one():
    track = _track()
    keep = np.r_[0:100, 150:240]
    part = PersonTrack(1, track.times[keep], track.keypoints[keep], track.confidence[keep])
    features = person_features(part, _grid(part), detrend=False)
    assert features.values.shape == features.mask.shape == (240, 88)
    position, velocity = features.mask[:, :20], features.mask[:, 20:40]
    assert position[[99, 150]].all()
    assert not velocity[[99, 150]].any()
    assert velocity[[98, 151]].all()
    assert not features.values[100:150].any()


def test_a_fragment_does_not_set_the_rate_of_the_grid():
    def track(person: int, times: np.ndarray) -> PersonTrack:
        return PersonTrack(person, times, np.zeros((len(times), 70, 3)), np.ones((len(times), 70)))

    video = VideoTracks("cam", (track(1, np.arange(50) / 40), track(2, np.array([0.0, 0.017]))))
    assert common_rate([video]) == pytest.approx(40)


def test_a_track_has_features_where_it_is_and_costs_nothing_elsewhere():
    track = _track()
    part = PersonTrack(1, track.times[60:180], track.keypoints[60:180], track.confidence[60:180])
    features = person_features(part, _grid(track), detrend=False)
    assert features.begin in (58, 59)
    assert len(features.values) <= 124
    seen = np.flatnonzero(features.mask.any(1)) + features.begin
    assert (seen[0], seen[-1]) == (60, 179)
    alone = person_features(part, _grid(part), detrend=False)
    at = 60 - features.begin
    np.testing.assert_allclose(features.values[at + 1 : at + 118], alone.values[1:118], atol=0.03)
    assert features.known == 120
