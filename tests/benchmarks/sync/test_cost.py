"""What is timed gives the right answer, and what cannot be timed is said."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simulation.cameras import simulate_scene
from benchmarks.sync import compiled_dtw, cost


def test_the_timed_pair_is_solved():
    scene = simulate_scene(np.random.default_rng(0), cameras=2, seconds=30, level="medium")
    videos = [cost._with_all_keypoints(video) for video in scene.videos]
    assert all(np.isfinite(track.keypoints).all() for video in videos for track in video.persons)
    expected = scene.start_times[1] - scene.start_times[0]
    assert cost.pair_offset(videos) == pytest.approx(expected, abs=1 / 30)


def test_both_methods_mean_the_same_by_an_offset(monkeypatch):
    scene = simulate_scene(np.random.default_rng(0), cameras=2, seconds=6, level="clean", max_start=0.5)
    monkeypatch.setattr(compiled_dtw, "_compiled", lambda: lambda *arrays: np.array([arrays[0].shape[2]]))
    assert cost._dtw_offset(scene.videos) == len(scene.videos[0].persons[0].times) / 30


def test_without_numba_the_row_says_so(monkeypatch):
    monkeypatch.setattr(compiled_dtw, "available", lambda: False)
    rows = cost._pair_figures(600, 20.0, {}, rounds=1)
    assert rows[0].measured.startswith("SKIPPED: numba is not installed")


def test_the_long_scene_is_one_recording(monkeypatch):
    monkeypatch.setattr(cost, "LONG_VIDEOS", 2)
    for number, video in enumerate(cost._long_recordings(4000)):
        track = video.persons[0]
        assert (track.keypoints.dtype, track.confidence.dtype) == (np.float32, np.float32)
        assert track.times[-1] == pytest.approx(4000 / 30, abs=15)
        assert video.video == f"cam{number + 1}"


def test_a_quick_run_allows_memory_in_proportion(monkeypatch):
    class Done:
        stdout = "0.40 0.10 0.12 1.5"

    monkeypatch.setattr(cost.subprocess, "run", lambda *_args, **_options: Done)
    long, short = cost._memory_figure(cost.LONG_LENGTH), cost._memory_figure(cost.LONG_LENGTH // 10)
    assert (long.asked, long.ok) == ("<= 1.00 GB", True)
    assert short.asked.startswith("<= 0.19 GB (in proportion"), "0.1 GB of the program, and a tenth of the rest"
    assert not short.ok
