"""`ghost run` as a user runs it, in processes, with the fake backend on small real video files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from common.artifacts import bodies, frames, landmarks, masks, people, scene, synchronization
from common.artifacts import identities as identities_artifact
from common.errors import ExitCode
from tests.media_zoo import make_zoo, run_ffmpeg
from tools.setup_environment import write_command

ROOT = Path(__file__).parents[2]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "workflows", *map(str, arguments)]


def ghost(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, cwd=ROOT, timeout=240)


def run(data: Path, output: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return ghost("run", data, output, "--backend", "fake", *arguments)


def make_video(path: Path, *, seconds: float = 2.0, first: float = 0.0, source: str = "testsrc=") -> None:
    """A small picture of a lavfi source; with `first` the PTS begin there. The fake backend moves people by PTS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    offset = ("-output_ts_offset", first) if first else ()
    run_ffmpeg(
        "-f",
        "lavfi",
        "-i",
        f"{source}size=160x120:rate=30:duration={seconds}",
        *encoding,
        *offset,
        path,
    )


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "plain.mp4"
    make_video(path)
    return path


@pytest.fixture
def data(tmp_path: Path, video: Path) -> Path:
    for camera in ("cam01", "cam02"):
        (tmp_path / "data" / "take").mkdir(parents=True, exist_ok=True)
        shutil.copy(video, tmp_path / "data" / "take" / f"{camera}.mp4")
    return tmp_path / "data"


def contents(folder: Path) -> dict[str, bytes]:
    """Everything published, without records, logs and locks."""
    files = (p for p in folder.rglob("*") if p.is_file())
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in files
        if not any(part.startswith("_") for part in p.relative_to(folder).parts)
    }


def test_a_scene_runs_from_recordings_to_report_and_every_artifact_keeps_its_contract(data: Path, tmp_path: Path):
    done = run(data, tmp_path / "out", "--vis")
    assert done.returncode == 0, done.stdout + done.stderr
    take = tmp_path / "out" / "take"
    scene.validate(take / "scene.json")
    synchronization.validate(take / "synchronization.json")
    identities_artifact.validate(take / "cross_video_id_mapping.json")
    for camera in ("cam01", "cam02"):
        frames.validate(take / camera / "frames")
        masks.validate(take / camera / "mask_data.npz")
        people.validate(take / camera / "json_data")
        landmarks.validate(take / camera / "landmarks.npz")
        bodies.validate(take / camera / "body_data")
        assert (take / camera / "segmentation.mp4").stat().st_size > 1000
    assert "<html" in (take / "report.html").read_text(encoding="utf-8")
    assert "report.html" in done.stdout
    assert "11 units: 11 done" in done.stdout


def test_the_installed_command_runs_a_scene_from_any_folder(data: Path, tmp_path: Path):
    script = tmp_path / "ghost"
    write_command(script, python=Path(sys.executable), root=ROOT)
    (tmp_path / "stages").mkdir()  # a folder of the user's that must not be taken for ghost's
    (tmp_path / "stages" / "__init__.py").write_text("raise RuntimeError('not ghost')")
    done = subprocess.run(
        [str(script), "run", str(data), "out", "--backend", "fake"],
        capture_output=True, text=True, cwd=tmp_path, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 units: 9 done" in done.stdout


def test_the_originals_scripts_can_read_the_results(data: Path, tmp_path: Path):
    assert run(data, tmp_path / "out").returncode == 0
    folder = tmp_path / "out" / "take" / "cam01"
    with np.load(folder / "mask_data.npz") as archive:
        assert archive.files[0] == "mask_000000"
        assert len(archive.files) == 60
        label = archive["mask_000030"]
    assert (label.shape, label.dtype) == ((120, 160), np.uint16)
    described = json.loads((folder / "json_data" / "mask_000030.json").read_text())["labels"]
    for person, entry in described.items():
        rows, columns = np.nonzero(label == int(person))
        box = [columns.min(), rows.min(), columns.max(), rows.max()]
        assert [entry[key] for key in ("x1", "y1", "x2", "y2")] == box
    summary = json.loads((folder / "body_data" / "body_params_summary.json").read_text())
    assert summary["video_id"] == "cam01"
    for person, entry in summary["persons"].items():
        with np.load(folder / "body_data" / f"person_{person}.npz") as body:
            assert body["pred_keypoints_3d"].shape == (entry["num_frames"], 70, 3)
            assert body["pred_cam_t"].dtype == np.float32


def test_a_second_run_runs_nothing_and_changes_nothing(data: Path, tmp_path: Path):
    assert run(data, tmp_path / "out").returncode == 0
    before = contents(tmp_path / "out")
    again = run(data, tmp_path / "out")
    assert again.returncode == 0
    assert "9 units: 9 up to date" in again.stdout, again.stdout
    assert contents(tmp_path / "out") == before


def test_the_same_recordings_give_the_same_bytes_with_one_process_and_with_several(data: Path, tmp_path: Path):
    assert run(data, tmp_path / "one", "--jobs", 1).returncode == 0
    assert run(data, tmp_path / "two", "--jobs", 4).returncode == 0
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    unstable = {"take/report.html"}  # shows how long everything took
    assert one.keys() == two.keys()
    assert {name for name in one if one[name] != two[name]} <= unstable


def test_a_changed_option_runs_its_stage_and_what_follows(data: Path, tmp_path: Path):
    assert run(data, tmp_path / "out").returncode == 0
    done = run(data, tmp_path / "out", "--sam3d-step", 2)
    assert done.returncode == 0
    assert "9 units: 4 done, 5 up to date" in done.stdout, done.stdout  # body twice, sync, report


def test_another_camera_runs_its_own_units_and_what_sees_all_cameras(data: Path, video: Path, tmp_path: Path):
    assert run(data, tmp_path / "out").returncode == 0
    shutil.copy(video, data / "take" / "cam03.mp4")
    done = run(data, tmp_path / "out")
    assert done.returncode == 0
    for stage in ("frames", "segment", "body"):
        assert f"{stage} take/cam03: done" in done.stderr, done.stderr
        assert f"{stage} take/cam01: up to date" in done.stderr, done.stderr


def test_start_times_follow_the_pts_of_recordings_that_start_later(tmp_path: Path):
    # The fake people move by PTS. A recording whose PTS begin at 0.5 s shows, on its own clock, the same walk; so all
    # cameras have the same start: a start offset in the file must not be lost or counted twice.
    make_video(tmp_path / "data" / "take" / "cam01.mp4", seconds=8)
    make_video(tmp_path / "data" / "take" / "cam02.mp4", seconds=8, first=0.5)
    done = run(tmp_path / "data", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    result = synchronization.load(tmp_path / "out" / "take" / "synchronization.json")
    starts = [camera.start_time for camera in result.cameras.values()]
    assert None not in starts, result
    assert abs(starts[0] - starts[1]) < 0.02, f"start times {starts}"


def test_one_unreadable_video_does_not_stop_the_others_and_the_exit_code_tells(data: Path, tmp_path: Path):
    (data / "take" / "cam03.mp4").write_text("these are words, not pictures")
    done = run(data, tmp_path / "out")
    assert done.returncode == ExitCode.SOME_FAILED, done.stdout + done.stderr
    assert "FAILED   frames take/cam03 (exit 65)" in done.stdout
    assert "not run  segment take/cam03: frames failed" in done.stdout
    result = synchronization.load(tmp_path / "out" / "take" / "synchronization.json")
    assert result.cameras["cam03"].verdict == "unknown"
    page = (tmp_path / "out" / "take" / "report.html").read_text(encoding="utf-8")
    assert "cam03" in page
    assert (tmp_path / "out" / "take" / "cam01" / "mask_data.npz").exists()


def test_a_failed_scene_does_not_stop_the_others(data: Path, video: Path, tmp_path: Path):
    (data / "broken").mkdir()
    shutil.copy(video, data / "broken" / "cam01.mp4")
    shutil.copy(video, data / "broken" / "cam01.mkv")
    done = run(data, tmp_path / "out")
    assert done.returncode == ExitCode.SOME_FAILED
    assert "FAILED   ingest broken (exit 65)" in done.stdout, done.stdout
    assert "two videos have the same name: 'cam01' and 'cam01'" in done.stdout, done.stdout
    assert (tmp_path / "out" / "take" / "report.html").exists()
    assert (tmp_path / "out" / "broken" / "report.html").exists(), done.stdout  # it says why there is nothing else


def test_videos_with_names_that_are_not_accepted_are_left_out_and_the_others_kept(
    data: Path, video: Path, tmp_path: Path
):
    for name in ("my cam", "cam..03"):
        shutil.copy(video, data / "take" / f"{name}.mp4")
    done = run(data, tmp_path / "out")
    assert done.returncode == ExitCode.SOME_FAILED, done.stdout + done.stderr
    for name in ("my cam", "cam..03"):
        assert f"'{name}.mp4' is left out" in done.stdout + done.stderr, done.stdout + done.stderr
    assert list(scene.load(tmp_path / "out" / "take" / "scene.json").videos) == ["cam01", "cam02"]
    folders = {path.name for path in (tmp_path / "out" / "take").iterdir() if path.is_dir()}
    assert {name for name in folders if not name.startswith("_")} == {"cam01", "cam02"}
    assert (tmp_path / "out" / "take" / "cam02" / "body_data" / "body_params_summary.json").exists()


def test_a_recording_with_nobody_in_it_is_a_result_without_people_and_no_failure(data: Path, tmp_path: Path):
    make_video(data / "take" / "cam03.mp4", source="color=black:")
    done = run(data, tmp_path / "out", "--vis")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "out" / "take" / "cam03"
    assert len(people.load_tracks(folder / "json_data").people) == 0
    with masks.Masks.open(folder / "mask_data.npz") as found:
        assert len(found) == 60
    assert bodies.load(folder / "body_data") == {}
    assert bodies.load(tmp_path / "out" / "take" / "cam01" / "body_data") != {}
    result = synchronization.load(tmp_path / "out" / "take" / "synchronization.json")
    assert result.cameras["cam03"].start_time is None
    assert "cam03" in (tmp_path / "out" / "take" / "report.html").read_text(encoding="utf-8")


def test_an_empty_scene_that_is_asked_for_by_name_fails_and_the_others_are_run(data: Path, tmp_path: Path):
    (data / "hollow").mkdir()
    done = run(data, tmp_path / "out", "--scene", "hollow", "--scene", "take")
    assert done.returncode == ExitCode.SOME_FAILED, done.stdout + done.stderr
    assert "FAILED   ingest hollow (exit 66)" in done.stdout, done.stdout
    assert f"{data / 'hollow'}: no videos" in done.stdout, done.stdout
    assert (tmp_path / "out" / "take" / "cam01" / "mask_data.npz").exists()


def test_what_was_done_before_a_recording_broke_is_kept(data: Path, tmp_path: Path):
    assert run(data, tmp_path / "out").returncode == 0
    kept = (tmp_path / "out" / "take" / "cam02" / "mask_data.npz").read_bytes()
    (data / "take" / "cam02.mp4").write_bytes(b"")
    done = run(data, tmp_path / "out")
    assert done.returncode == ExitCode.SOME_FAILED
    assert (tmp_path / "out" / "take" / "cam02" / "mask_data.npz").read_bytes() == kept
    result = synchronization.load(tmp_path / "out" / "take" / "synchronization.json")
    assert result.cameras["cam02"].verdict == "unknown", "an old body must not pass for one of this run"


def test_a_truncated_video_gives_what_there_is_and_says_so(data: Path, tmp_path: Path):
    zoo = make_zoo(tmp_path / "zoo", "truncated.mp4")
    shutil.copy(zoo["truncated.mp4"], data / "take" / "cam03.mp4")
    done = run(data, tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" in done.stdout
    with masks.Masks.open(tmp_path / "out" / "take" / "cam03" / "mask_data.npz") as found:
        assert 0 < len(found) < 90


def test_a_scene_with_one_camera_is_complete_without_an_offset_to_find(data: Path, tmp_path: Path):
    (data / "take" / "cam02.mp4").unlink()
    done = run(data, tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    synchronization.validate(tmp_path / "out" / "take" / "synchronization.json")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("run", "nowhere", "out"), ExitCode.INPUT_MISSING, "nowhere"),
        (("run", "data", "out", "--scene", "../take"), ExitCode.USAGE, "scene name"),
        (("run", "data", "out", "--scene", "missing", "--backend", "fake"), ExitCode.SOME_FAILED, "no videos"),
        (("run", "data", "out", "--weights", "none"), ExitCode.MODEL_UNAVAILABLE, "weights fetch --backend embedded"),
        (("run", "data", "out", "--backend", "nothing"), ExitCode.USAGE, "embedded"),
        (("run", "data", "out", "--sam3d-step", "0"), ExitCode.USAGE, "--sam3d-step"),
        (("run", "data", "out", "--no-such-option"), ExitCode.USAGE, "--no-such-option"),
        (("run", "data", "data/take/cam01.mp4"), ExitCode.DISK, "cam01.mp4"),
        (("run",), ExitCode.USAGE, "DATA_ROOT"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_work_ends_with_its_code_and_one_line(
    data: Path, arguments: tuple[str, ...], code: int, words: str, tmp_path: Path
):
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, cwd=tmp_path, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupted_run_stops_its_stages_leaves_nothing_and_can_be_continued(data: Path, tmp_path: Path):
    make_video(data / "take" / "cam01.mp4", seconds=60)
    process = subprocess.Popen(
        command("run", data, tmp_path / "out", "--backend", "fake"),
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    attempts = tmp_path / "out" / "take" / "_manifests" / "attempts"
    deadline = time.monotonic() + 60
    while not list(attempts.glob("segment.cam01.*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.TERMINATED, out + err
    assert list(attempts.iterdir()) == []
    assert not (tmp_path / "out" / "take" / "cam01" / "mask_data.npz").exists()
    make_video(data / "take" / "cam01.mp4")
    done = run(data, tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr


def close(data: Path, output: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    roots = (f"--data-root={data}", f"--output-root={output}", "--scene=take")
    return ghost("close", *roots, "--backend=fake", *arguments)


def test_closing_a_run_says_how_it_ended_and_takes_results_of_other_options_for_none(data: Path, tmp_path: Path):
    output = tmp_path / "out"
    assert run(data, output).returncode == 0
    done = close(data, output, "--engine-status=Succeeded", "--engine-failures=")
    assert (done.returncode, "FAILED" in done.stdout) == (0, False), done.stderr
    other = close(data, output, "--sam3d-step=2")
    assert other.returncode == ExitCode.SOME_FAILED
    assert "FAILED   body take/cam01 (exit 75): its result was made with other options" in other.stdout
    assert close(data, output).returncode == 0, "nothing is recorded against a result that is there"


def test_closing_a_run_in_which_a_unit_was_killed_says_so_in_the_report(data: Path, tmp_path: Path):
    output = tmp_path / "out"
    assert run(data, output).returncode == 0
    (output / "take" / "_manifests" / "body" / "cam01.json").unlink()
    said = '[{"displayName": "body cam01", "message": "OUT_OF_MEMORY"}]'
    done = close(data, output, f"--engine-failures={said}")
    assert done.returncode == ExitCode.SOME_FAILED
    assert "FAILED   body take/cam01 (exit 75): it ended without a word" in done.stdout
    assert "OUT_OF_MEMORY" in (output / "take" / "report.html").read_text()
