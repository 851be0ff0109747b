"""synchronization.csv: which frame every camera shows, against a search frame by frame."""

import csv
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from common.artifacts import clock_table
from common.artifacts.clock_table import NOT_RECORDING, CameraClock, camera_clock
from common.errors import BadInput


def clocks() -> dict[str, CameraClock | None]:
    """29.97 and 60 fps, a variable rate with a pause, a clock 1000 ppm off, a start unknown, a single frame."""
    generator = np.random.default_rng(4)
    uneven = np.cumsum(generator.uniform(0.02, 0.05, 80))
    uneven[40:] += 1.3
    return {
        "ntsc": camera_clock(np.arange(90) * 1001 / 30000, start_time=0.0, frame_rate=30000 / 1001),
        "fast": camera_clock(0.4 + np.arange(120) / 60, start_time=0.7123, frame_rate=60.0),
        "uneven": camera_clock(uneven, start_time=1.5, frame_rate=28.0),
        "drifting": camera_clock(np.arange(100) / 25, start_time=0.01, rate=1.001, frame_rate=25.0),
        "lost": None,
        "still": camera_clock(np.array([0.25]), start_time=0.5, frame_rate=float("nan")),
    }


def shown_by_search(clock: CameraClock, moment: float) -> str:
    """The oracle: look at every frame in turn."""
    found = ""
    for index, appears in enumerate(clock.times.tolist()):
        if appears <= moment + 1e-6:
            found = str(index)
    return "" if moment >= clock.end - 1e-6 else found


def test_every_cell_is_the_last_frame_that_has_appeared(tmp_path: Path) -> None:
    cameras = clocks()
    clock_table.save(tmp_path / "t.csv", cameras)
    with (tmp_path / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 200
    for row in rows:
        moment = float(row["scene_time"])
        for video, clock in cameras.items():
            expected = "" if clock is None else shown_by_search(clock, moment)
            assert row[video] == expected, f"{video} at {moment}: {row[video]!r} instead of {expected!r}"


def test_every_frame_of_the_fastest_camera_has_one_row_and_all_recordings_are_covered(tmp_path: Path) -> None:
    cameras = clocks()
    clock_table.save(tmp_path / "t.csv", cameras)
    table = clock_table.load(tmp_path / "t.csv")
    fast = table.frames["fast"]
    assert fast[fast != NOT_RECORDING].tolist() == list(range(120))
    at = np.flatnonzero(fast != NOT_RECORDING)
    np.testing.assert_allclose(table.scene_time[at], cameras["fast"].times, atol=5e-7)
    known = [clock for clock in cameras.values() if clock is not None]
    assert table.scene_time[0] == pytest.approx(min(clock.times[0] for clock in known), abs=1e-6)
    assert max(clock.end for clock in known) - 1 / 60 - 1e-5 <= table.scene_time[-1] < max(c.end for c in known)
    assert np.diff(table.scene_time).max() <= 1 / 60 + 1e-5, "a pause that has no rows"
    assert (table.frames["lost"] == NOT_RECORDING).all()
    assert set(table.frames["still"].tolist()) == {NOT_RECORDING, 0}


def test_cameras_that_are_exactly_synchronous_show_the_same_frame_in_every_row(tmp_path: Path) -> None:
    pts = np.arange(3000) * 1001 / 30000
    same = {f"cam{k}": camera_clock(pts, start_time=k * 1e-9, frame_rate=30000 / 1001) for k in range(4)}
    clock_table.save(tmp_path / "t.csv", same)
    table = clock_table.load(tmp_path / "t.csv")
    assert all(shown.tolist() == list(range(3000)) for shown in table.frames.values())


def test_pauses_of_the_fastest_camera_are_filled_with_rows(tmp_path: Path) -> None:
    pts = np.concatenate([np.arange(30), np.arange(90, 120)]) / 60
    slow = np.arange(50) / 25
    cameras = {"fast": camera_clock(pts, start_time=0.0, frame_rate=60.0)}
    cameras["slow"] = camera_clock(slow, start_time=0.0, frame_rate=25.0)
    clock_table.save(tmp_path / "t.csv", cameras)
    table = clock_table.load(tmp_path / "t.csv")
    assert np.diff(table.scene_time) == pytest.approx(1 / 60, abs=2e-6)
    assert set(table.frames["slow"].tolist()) == set(range(50))


def test_without_a_known_start_there_is_a_header_and_no_row(tmp_path: Path) -> None:
    clock_table.save(tmp_path / "t.csv", {"cam01": None, "cam02": None})
    assert (tmp_path / "t.csv").read_text() == "scene_time,cam01,cam02\n"
    table = clock_table.load(tmp_path / "t.csv")
    assert len(table.scene_time) == 0
    assert {video: len(shown) for video, shown in table.frames.items()} == {"cam01": 0, "cam02": 0}


def test_the_memory_for_an_hour_does_not_hold_the_whole_text(tmp_path: Path) -> None:
    pts = np.arange(600 * 60) / 60  # ten minutes, because tracing is slow
    cameras = {f"cam{k}": camera_clock(pts, start_time=k / 7, frame_rate=60.0) for k in range(4)}
    tracemalloc.start()
    clock_table.save(tmp_path / "t.csv", cameras)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6, f"{peak / 1e6:.1f} MB for {(tmp_path / 't.csv').stat().st_size / 1e6:.1f} MB of text"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected scene_time and every camera once"),
        ("time,cam01\n", "line 1: expected scene_time"),
        ("scene_time,cam01,cam01\n", "line 1: expected scene_time and every camera once"),
        ("scene_time,cam01\n0.0,0\n0.1\n", "line 3: expected 2 cells, got 1"),
        ("scene_time,cam01\n0.0,0\nnow,1\n", "could not convert string to float"),
        ("scene_time,cam01\n0.0,0\n0.1,1.5\n", "invalid literal"),
        ("scene_time,cam01\n0.1,0\n0.1,1\n", "scene_time: expected increasing values"),
        ("scene_time,cam01\nnan,0\n", "scene_time: expected finite values"),
        ("scene_time,cam01\n0.0,1\n0.1,0\n", "cam01: expected frame indices from 0 that never decrease"),
        ("scene_time,cam01\n0.0,-2\n", "cam01: expected frame indices from 0"),
        ("scene_time,cam01\n0.0,99999999999999999999\n", "expected frame indices of at most 64 bits"),
    ],
)
def test_a_table_that_breaks_its_contract_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(BadInput, match=message):
        clock_table.validate(tmp_path / "t.csv")


def test_frames_appear_at_start_plus_rate_times_pts() -> None:
    clock = camera_clock(np.array([-2.0, 0.0, 100.0]), start_time=5.0, rate=1.001, frame_rate=25.0)
    assert clock.times.tolist() == pytest.approx([2.998, 5.0, 105.1])
    assert clock.step == pytest.approx(0.04004)
