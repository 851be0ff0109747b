from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from benchmarks.simulation.cameras import Outlier
from benchmarks.sync.cells import CELLS, Cell
from benchmarks.sync.metrics import errors
from benchmarks.sync.trials import run_cells, run_trial, simulate

SMALL = Cell("small", "easy", frames=450, cameras=3, max_start=2.0)


def test_a_trial_is_the_same_whenever_it_is_asked_for_and_like_no_other():
    first, again, next_one, other_half = (
        simulate(SMALL, *which) for which in ((0, "tune"), (0, "tune"), (1, "tune"), (0, "report"))
    )
    np.testing.assert_array_equal(first.videos[0].persons[0].keypoints, again.videos[0].persons[0].keypoints)
    assert not np.array_equal(first.start_times, next_one.start_times)
    assert not np.array_equal(first.start_times, other_half.start_times)


def test_cells_with_the_same_scenes_differ_in_nothing_but_what_they_name():
    plain, mixed = (simulate(CELLS[name], 0, "report") for name in ("all at 30 fps", "variable frame rate"))
    np.testing.assert_array_equal(plain.start_times, mixed.start_times)
    other = simulate(CELLS["medium, T 900, N 6"], 0, "report")
    assert not np.array_equal(plain.start_times, other.start_times)


def test_the_outlying_camera_changes_from_trial_to_trial():
    cell = replace(SMALL, outlier=Outlier.FROZEN)
    assert [list(simulate(cell, trial, "tune").outliers) for trial in range(4)] == [[0], [1], [2], [0]]


def test_a_record_sets_the_answer_beside_the_truth():
    cell = replace(SMALL, frames=900, people=2, baselines=("vertical speed + LSQ",))
    scene, record = simulate(cell, 0, "tune"), run_trial(cell, 0, "tune")
    assert [camera.true_start for camera in record.cameras] == pytest.approx(scene.start_times.tolist())
    assert [camera.true_rate for camera in record.cameras] == [1.0] * 3
    assert [camera.length for camera in record.cameras] == pytest.approx([30, 30, 30], abs=1)
    off = errors([record])
    assert off.answered == 3
    assert off.quantile(1.0) < 1, f"{off.quantile(1.0):.2f} frames off"
    assert record.links.true == 6, "two people in three pairs of cameras"
    assert record.links.right == 6
    assert len(record.baselines["vertical speed + LSQ"]) == 3
    assert 0 < record.cost.cpu < 60
    assert record.cost.memory > 20, "MB"
    assert json.loads(json.dumps(asdict(record)))["cameras"][0]["true_start"] == record.cameras[0].true_start


def test_workers_run_all_trials_of_all_cells(capsys: pytest.CaptureFixture[str]):
    pair = [SMALL, replace(SMALL, name="another")]
    records = run_cells(pair, trials=2, half="tune", workers=1)
    assert {name: [one.trial for one in many] for name, many in records.items()} == {"small": [0, 1], "another": [0, 1]}
    assert "another: 2 trials" in capsys.readouterr().err
    here = run_trial(SMALL, 1, "tune").cameras
    assert [c.start for c in records["small"][1].cameras] == pytest.approx([c.start for c in here], abs=1e-6)
