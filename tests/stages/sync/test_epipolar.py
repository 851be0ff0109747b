"""The epipolar evidence at every lag, against sums that share no code with it, and the clue made of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.simulation.geometry import simulate_calibrated_scene, wrongly_calibrated
from common.skeletons import MIRROR
from stages.sync.epipolar import MIN_SCORE, _agreement, calibration_clue, epipolar_curve
from stages.sync.epipolar_offset import TOLERANCE
from stages.sync.plane_tracks import JOINTS, PlaneTrack
from tests.stages.sync.epipolar_scenes import (
    RATE,
    couple,
    points_of,
    simulate,
    standing_still,
    true_lag,
    with_points,
)


def test_the_sum_over_frequencies_is_the_sum_of_bells() -> None:
    generator = np.random.default_rng(0)
    tracks = []
    for length, begin in ((50, 5), (40, 0)):
        angles = np.cumsum(0.05 * generator.standard_normal((length, len(JOINTS))), axis=0)
        angles[generator.random(angles.shape) < 0.2] = np.nan
        tracks.append(PlaneTrack(angles, np.where(np.isfinite(angles), 3.0, np.nan), begin))
    a, b = tracks
    found, overlap = _agreement(a, b, reach=12)
    width = TOLERANCE * np.sqrt(2) / 3.0

    def bells(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.exp(-0.5 * ((x[:, None] - y[None, :]) / width) ** 2)

    worst, scale = 0.0, 0.0
    for lag in range(-12, 13):
        total, count = 0.0, 0
        for joint in range(len(JOINTS)):
            x, y = a.angles[:, joint], b.angles[:, joint]
            every = bells(x[np.isfinite(x)], y[np.isfinite(y)])
            for k in range(len(y)):
                at = k + lag + b.begin - a.begin
                if 0 <= at < len(x) and np.isfinite(x[at]) and np.isfinite(y[k]):
                    one = bells(x[[at]], y[[k]])[0, 0]
                    total += one - bells(x[[at]], y[np.isfinite(y)]).mean() - bells(x[np.isfinite(x)], y[[k]]).mean()
                    total += every.mean()
                    count += 1
        worst = max(worst, abs(found[lag + 12] - total / len(JOINTS)))
        scale = max(scale, abs(total / len(JOINTS)))
        assert abs(overlap[lag + 12] - count / len(JOINTS)) < 1e-6
    assert worst < 0.05 * scale, f"{worst:.3f} of {scale:.3f}"


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_the_curve_is_highest_at_the_lag(seed: int) -> None:
    scene = simulate(seed, level="easy")
    both = couple(*scene.videos)
    assert both is not None
    curve = epipolar_curve([both], rate=RATE, reach=299)
    assert curve.score.shape == curve.overlap.shape == (599,)
    assert (curve.score >= 0).all()
    off = int(np.argmax(curve.score)) - 299 - true_lag(scene)
    assert abs(off) <= 1.5, f"{off:.1f} frames off"
    assert curve.score.max() > 3


def test_who_stands_still_says_nothing_at_any_lag() -> None:
    worst = 0.0
    for seed in (1, 2, 3):
        a, b = simulate(seed).videos
        both = couple(standing_still(a, noise=3, seed=1), standing_still(b, noise=3, seed=2))
        assert both is not None
        worst = max(worst, float(epipolar_curve([both], rate=RATE, reach=299).score.max()))
    assert worst < 0.5, f"score {worst:.2f} out of nothing"


def test_a_clue_gives_the_offset_on_the_clocks_of_the_videos() -> None:
    """Scene time = start_time + pts; the second video's PTS begin at 100 s."""
    scene = simulate(1)
    a, b = scene.videos
    late = replace(b, persons=(replace(b.persons[0], times=b.persons[0].times + 100.0),))
    truth = float(scene.start_times[1] - scene.start_times[0]) - 100.0
    clue = calibration_clue(a, late, [(1, 1)], rate=RATE, max_offset=120.0)
    assert clue is not None
    assert (clue.kind, clue.a, clue.b) == ("calibration", "cam1", "cam2")
    assert abs(clue.offset - truth) < 0.001, f"{clue.offset - truth:.4f} s off"
    assert abs(clue.offsets[np.argmax(clue.score)] - truth) <= 1.5 / RATE
    assert np.abs(np.diff(clue.offsets) - 1 / RATE).max() < 1e-9
    assert np.abs(clue.offsets).max() <= 120.0
    assert clue.z > 4
    assert clue.deviation < 0.01
    assert 3 < clue.overlap <= 10
    assert 0 <= clue.moment <= 10


def test_an_offset_that_is_known_is_refined_where_it_is() -> None:
    scene = simulate(2)
    truth = float(scene.start_times[1] - scene.start_times[0])
    near = calibration_clue(*scene.videos, [(1, 1)], rate=RATE, max_offset=30.0, near=truth + 0.2)
    assert near is not None
    assert abs(near.offset - truth) < 0.001
    assert calibration_clue(*scene.videos, [(1, 1)], rate=RATE, max_offset=30.0, near=truth + 5) is None


def test_two_people_say_more_than_one() -> None:
    scene = simulate_calibrated_scene(
        np.random.default_rng(4), cameras=2, seconds=10, people=2, level="easy", max_start=1
    )
    a, b = scene.videos
    couples = [(i + 1, scene.people[1].index(p) + 1) for i, p in enumerate(scene.people[0])]
    alone = calibration_clue(a, b, couples[:1], rate=RATE, max_offset=20.0)
    both = calibration_clue(a, b, couples, rate=RATE, max_offset=20.0)
    assert alone is not None
    assert both is not None
    assert both.deviation < alone.deviation
    assert both.overlap > alone.overlap


def test_strangers_wrong_calibrations_and_cameras_without_one_give_no_clue() -> None:
    a, b = simulate(3, level="easy").videos
    _, other = simulate(2, level="easy").videos
    generator = np.random.default_rng(0)

    def ask(second):
        return calibration_clue(a, second, [(1, 1)], rate=RATE, max_offset=30.0)

    assert ask(b) is not None
    assert ask(replace(b, camera=None)) is None
    assert calibration_clue(a, b, [], rate=RATE, max_offset=30.0) is None
    stranger = ask(replace(b, persons=other.persons))
    assert stranger is None or stranger.z < MIN_SCORE + 1
    assert b.camera is not None
    wrong = ask(replace(b, camera=wrongly_calibrated(b.camera, generator, degrees=30, metres=0)))
    assert wrong is None or wrong.z < MIN_SCORE + 1


def test_swapped_sides_cost_little_evidence() -> None:
    scene = simulate(3)
    a, b = scene.videos
    points = points_of(b)
    swapped = np.random.default_rng(0).random(len(points)) < 0.1
    points[swapped] = points[swapped][:, MIRROR]
    scores = []
    for video in (b, with_points(b, points)):
        both = couple(a, video)
        assert both is not None
        scores.append(float(epipolar_curve([both], rate=RATE, reach=299).score.max()))
    assert scores[1] > 0.8 * scores[0], f"{scores[0]:.1f} -> {scores[1]:.1f}"
