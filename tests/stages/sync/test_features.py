from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmarks.simulation.cameras import LEGS, LEVELS, mirrored, observe
from benchmarks.simulation.motion import simulate_motion
from common.skeletons import INDEX, MHR70
from stages.sync import features as module
from stages.sync.features import (
    DIRECTION_ERROR,
    DISTANCE_ERROR,
    ERROR_RATE,
    Features,
    Grid,
    body_points,
    common_rate,
    distances,
    limb_directions,
    mirror_image,
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
        assert np.abs(a - b).max() < 3e-5, f"{measure.__name__} differs by {np.abs(a - b).max():.1e}"


def test_directions_do_not_know_the_size_of_the_body_and_distances_grow_with_it():
    track = _track()
    a, b = (person_features(t, _grid(t), detrend=False) for t in (track, _track(keypoints=track.keypoints * 1.25)))
    distance = np.arange(88) < 40
    np.testing.assert_allclose(a.values[:, ~distance], b.values[:, ~distance], atol=1e-4)
    np.testing.assert_allclose(a.values[:, distance] * 1.25, b.values[:, distance], atol=1e-4)


def _swinging_wrist(height: float, frequency: float, frames: int = 300) -> PersonTrack:
    """A person at rest but for the left wrist, which swings on the line from the pelvis through it."""
    still = _track().keypoints[0]
    pelvis, wrist = still[[INDEX["left_hip"], INDEX["right_hip"]]].mean(0), INDEX["left_wrist"]
    keypoints = np.repeat(still[None], frames, axis=0)
    line = (still[wrist] - pelvis) / np.linalg.norm(still[wrist] - pelvis)
    times = np.arange(frames) / 30
    keypoints[:, wrist] += height * np.sin(2 * np.pi * frequency * times)[:, None] * line
    return PersonTrack(1, times, keypoints, np.ones(keypoints.shape[:2]))


def test_a_movement_counts_in_units_of_the_estimators_errors():
    for height in (0.03, 0.06):
        track = _swinging_wrist(height, 0.5)
        features = person_features(track, _grid(track), detrend=False)
        # no distance changes more than that to the pelvis; 20 distances share the weight of one block
        position, speed = (np.abs(features.values[20:-20, k : k + 20]).max() for k in (0, 20))
        assert position == pytest.approx(height / DISTANCE_ERROR / np.sqrt(20), rel=0.05)
        assert speed == pytest.approx(height * np.pi / (DISTANCE_ERROR * ERROR_RATE) / np.sqrt(20), rel=0.05)


def test_directions_count_in_units_of_their_errors():
    track = _track()
    features = person_features(track, _grid(track), detrend=False)
    measured = limb_directions(body_points(track))
    middle = slice(20, -20)
    expected = measured[middle].std(0) / DIRECTION_ERROR / np.sqrt(24)
    found = features.values[middle, 40:64].std(0)
    large = expected > 0.3 * expected.max()  # the others are clipped or smoothed away in part
    np.testing.assert_allclose(found[large], expected[large], rtol=0.15)


def test_a_measure_that_moves_twice_as_much_is_twice_as_large():
    small, large = (person_features(t, _grid(t), detrend=True) for t in map(_swinging_wrist, (0.02, 0.04), (1, 1)))
    rms = [np.sqrt(np.square(f.values[:, :40]).mean()) for f in (small, large)]
    assert rms[1] / rms[0] == pytest.approx(2, rel=0.03), "features must not be divided by their own spread"


def test_one_wild_joint_is_clipped(monkeypatch: pytest.MonkeyPatch):
    track = _track()
    keypoints = track.keypoints.copy()
    keypoints[100:103, INDEX["left_wrist"]] += [1.5, 0, 0]
    wild = _track(keypoints=keypoints)
    clipped, tame = (person_features(t, _grid(t), detrend=False) for t in (wild, track))
    monkeypatch.setattr(module, "CLIP", np.inf)
    unclipped = person_features(wild, _grid(wild), detrend=False).values
    limit = 3 * np.sqrt(np.square(unclipped.astype(np.float64)).mean(0))
    np.testing.assert_allclose(clipped.values, np.clip(unclipped, -limit, limit), atol=1e-5)
    excess = [np.square(x - tame.values)[95:108].sum() for x in (clipped.values, unclipped)]
    assert excess[0] < 0.5 * excess[1], f"{excess[0] / excess[1]:.2f} of the harm is left"


def test_a_measure_that_never_varies_is_unknown_and_hides_no_other():
    track = _swinging_wrist(0.05, 1.0)
    features = person_features(track, _grid(track), detrend=False)
    assert features.mask.shape == features.values.shape
    known = features.mask.any(0)
    varies = np.ptp(features.values, axis=0) > 0
    np.testing.assert_array_equal(known, varies)
    # of 20 distances those from the left wrist to other points than itself, and 3 coordinates of the left forearm
    assert known[:20].sum() == known[20:40].sum() == 6
    assert set(np.flatnonzero(known[40:64]) // 3) == {2}


@pytest.mark.parametrize("detrend", [False, True])
@pytest.mark.parametrize("hidden", [(), ("left_elbow", "right_knee"), ("nose", "left_ear")], ids=str)
@pytest.mark.parametrize("seed", [0, 3])
def test_the_mirror_image_is_what_the_flipped_picture_gives(detrend: bool, hidden: tuple[str, ...], seed: int):
    track = _track(seed)
    confidence = track.confidence.copy()
    confidence[50:90, [INDEX[name] for name in hidden]] = 0
    track = PersonTrack(1, track.times[30:], track.keypoints[30:], confidence[30:])
    grid = Grid(0.0, 30.0, 240)
    features, expected = (person_features(t, grid, detrend=detrend) for t in (track, mirrored(track)))
    found = mirror_image(features)
    assert found.begin == expected.begin > 0
    assert (found.mask.shape[1] == 1) == (not hidden or "nose" in hidden)
    np.testing.assert_array_equal(found.mask, expected.mask)
    worst = np.abs(found.values - expected.values).max()
    assert worst < 1e-4 * np.abs(expected.values).max(), f"worst difference {worst:.1e}"
    assert np.abs(found.values - features.values).max() > 0.1, "the mirror image differs from the person"
    np.testing.assert_array_equal(mirror_image(found).values, features.values)


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_fewer_steps_keep_the_clock(stride: int):
    for begin in range(9):
        for length in (0, 1, 2, 30, 31):
            at = begin + np.arange(length)
            sine = np.sin(0.2 * at)[:, None].astype(np.float32)
            seen = (at % 5 > 0).astype(np.float32)[:, None]
            found = Features(sine, seen, begin).every(stride)
            steps = stride * (found.begin + np.arange(len(found.values)))
            assert steps.tolist() == [t for t in range(begin, begin + length) if t % stride == 0]
            np.testing.assert_allclose(found.values[:, 0], np.sin(0.2 * steps), atol=1e-6)
            np.testing.assert_array_equal(found.mask[:, 0], steps % 5 > 0)


def test_known_is_the_time_of_the_feature_that_is_known_most():
    mask = np.zeros((10, 3), np.float32)
    mask[:4, 0], mask[2:9, 1] = 1, 1
    assert Features(np.zeros((10, 3), np.float32), mask).known == 7
    assert Features(np.zeros((10, 3), np.float32), np.ones((10, 1), np.float32)).known == 10
    assert Features(np.zeros((0, 3), np.float32), np.ones((0, 1), np.float32)).known == 0


@pytest.mark.parametrize("detrend", [False, True])
@pytest.mark.parametrize("frames", [0, 1, 2, 3])
def test_a_track_of_no_or_few_frames_is_no_problem(frames: int, detrend: bool):
    track = _track()
    part = PersonTrack(1, track.times[:frames], track.keypoints[:frames], track.confidence[:frames])
    features = person_features(part, _grid(part), detrend=detrend)
    assert features.values.shape == (len(features.mask), 88)
    assert np.isfinite(features.values).all()
    assert features.known == (frames if frames > 1 else 0)


def test_the_trend_is_removed_from_positions_and_not_from_speeds():
    times = np.arange(1200) / 30
    still = _track().keypoints[0]
    slow, quick = 0.1 * np.sin(2 * np.pi * times / 40), 0.1 * np.sin(2 * np.pi * times)
    keypoints = np.repeat(still[None], 1200, axis=0)
    keypoints[:, INDEX["left_wrist"]] += (slow + quick)[:, None] * np.array([0.6, 0.0, 0.8])
    track = PersonTrack(1, times, keypoints, np.ones(keypoints.shape[:2]))
    kept, without = (person_features(track, _grid(track), detrend=d) for d in (False, True))

    def slow_part(values: np.ndarray) -> float:
        """Largest Fourier coefficient at the slow wave's frequency."""
        wave = np.exp(-2j * np.pi * times / 40)
        return float(np.abs(wave @ values[: len(times)]).max())

    position, speed = slice(0, 20), slice(20, 40)
    left = slow_part(without.values[:, position]) / slow_part(kept.values[:, position])
    assert left < 0.1, f"{left:.2f} of the trend is left"
    np.testing.assert_allclose(kept.values[:, speed], without.values[:, speed], atol=1e-5)


def test_half_a_leg_that_is_not_seen_leaves_the_rest_as_it_is():
    track = _track()
    confidence = track.confidence.copy()
    confidence[:, list(LEGS)] = 0
    all_of_it, upper = (person_features(t, _grid(t), detrend=False) for t in (track, _track(confidence=confidence)))
    known = upper.mask.any(0)
    assert 0 < known.sum() < 88
    np.testing.assert_allclose(upper.values[:, known], all_of_it.values[:, known], atol=1e-5)
    assert not upper.values[:, ~known].any()


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
    np.testing.assert_allclose(head, ears, atol=1e-6)


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


def test_the_instants_beside_a_gap_count_as_little_as_the_gap():
    track = _track()
    keep = np.r_[0:100, 150:240]
    part = PersonTrack(1, track.times[keep], track.keypoints[keep], track.confidence[keep])
    features = person_features(part, _grid(part), detrend=False)
    assert features.values.shape == (240, 88)
    assert features.mask.shape == (240, 1), "a person seen as a whole or not at all has one mask"
    assert np.flatnonzero(features.mask[:, 0] == 0).tolist() == list(range(99, 151))
    assert not features.values[99:151].any()
    whole = person_features(track, _grid(track), detrend=False).values
    near = [99 - 10, 151 + 10]
    np.testing.assert_allclose(np.diff(features.values[near], axis=0), np.diff(whole[near], axis=0), atol=0.02)


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
    assert (seen[0], seen[-1]) == (61, 178)
    alone = person_features(part, _grid(part), detrend=False)
    at = 60 - features.begin
    np.testing.assert_allclose(features.values[at + 1 : at + 118], alone.values[1:118], atol=0.03)
    assert features.known == 118
