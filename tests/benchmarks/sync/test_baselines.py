"""The baselines are the methods they claim to be: right where those are, and with the same signs as ours."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simulation.cameras import LEVELS, observe, simulate_scene
from benchmarks.simulation.motion import simulate_motion
from benchmarks.sync.baselines import BASELINES, best_lag
from stages.sync.tracks import VideoTracks


@pytest.mark.parametrize("name", BASELINES)
def test_finds_the_starts_of_cameras_that_look_the_same_way(name):
    motion = simulate_motion(40, np.random.default_rng(2))
    truth, videos = [4.2, 0.0, 1.7], []
    for start in truth:
        pts = np.arange(900) / 30
        track = observe(motion, start + pts, pts, LEVELS["clean"], np.random.default_rng(0), rotation=np.eye(3))
        videos.append(VideoTracks(f"from {start}", (track,)))
    found = BASELINES[name](videos)
    assert found == pytest.approx(truth, abs=1.5 / 30), f"{name}: {found}"
    assert found.min() == 0


@pytest.mark.parametrize("name", [name for name in BASELINES if "camera axes" not in name])
def test_all_but_the_original_look_through_the_cameras_rotation(name):
    scene = simulate_scene(np.random.default_rng(0), cameras=3, seconds=30, level="easy")
    error = 30 * (BASELINES[name](scene.videos) - scene.start_times)
    assert np.ptp(error) < 2.5, f"{name}: errors {error} frames"


@pytest.mark.parametrize("name", BASELINES)
def test_always_gives_numbers(name):
    scene = simulate_scene(np.random.default_rng(1), cameras=2, seconds=4, level="hard")
    found = BASELINES[name]([VideoTracks("nobody", ()), *scene.videos])
    assert found.shape == (3,)
    assert np.isfinite(found).all()


def test_best_lag_is_that_of_pearson():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(80, 2))
    b = np.concatenate([a[13:], rng.normal(size=(20, 2))]) * 3 + 5
    a[rng.random(80) < 0.2] = np.nan
    b[rng.random(87) < 0.2] = np.nan
    assert best_lag(a, b, reach=40, min_overlap=10) == 13
    assert best_lag(b, a, reach=40, min_overlap=10) == -13
    assert best_lag(np.full((80, 2), np.nan), b, reach=40, min_overlap=10) == 0
