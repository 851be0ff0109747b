import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from common.artifacts import scene
from common.artifacts.camera_fields import Calibration
from common.errors import BadInput
from stages.ingest.calibration import doubt, read_calibration
from tests.faults.unit import ROOT
from tests.media_zoo import make_zoo

POSE = [[1, 0, 0, 0.5], [0, 1, 0, -1], [0, 0, 1, 3]]
MATRIX = [[1680, 0, 540], [0, 1680, 960], [0, 0, 1]]


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_zoo(tmp_path_factory.mktemp("zoo"), "plain.mp4", "rot90.mp4")


def run(stage: str, root: Path, *arguments: str) -> tuple[int, list[str]]:
    """Exit code and lines of the log of a real stage process over root/data/take."""
    command = [sys.executable, "-m", f"stages.{stage}", f"--output-root={root / 'out'}", "--scene=take"]
    command += [f"--data-root={root / 'data'}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr.splitlines()


@pytest.fixture
def take(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "take"
    folder.mkdir(parents=True)
    return folder


def test_recordings_are_described_and_the_unreadable_named_with_its_problem(
    tmp_path: Path, take: Path, zoo: dict[str, Path]
) -> None:
    (take / "cam01.mp4").symlink_to(zoo["plain.mp4"])
    (take / "cam02.mp4").symlink_to(zoo["rot90.mp4"])
    (take / "text.mp4").write_text("I am no video.")
    (take / "gone.mp4").symlink_to("nowhere.mp4")
    (take / "empty.mp4").touch()
    os.mkfifo(take / "pipe.mp4")
    (take / "calibration.json").write_text(
        json.dumps({"cam01": {"intrinsics": MATRIX, "camera_T_world": POSE}, "cam09": {"intrinsics": MATRIX}})
    )
    code, lines = run("ingest", tmp_path)
    assert code == 0, lines
    assert lines[-1].endswith("ingest take: done (videos 6, unusable 4)")
    assert any("calibration.json describes 'cam09', but there is no such video" in line for line in lines)
    found = scene.load(tmp_path / "out" / "take" / "scene.json")
    plain, rotated = found.videos["cam01"], found.videos["cam02"]
    assert (plain.width, plain.height, plain.rate, plain.codec, plain.problem) == (320, 180, 30.0, "h264", None)
    assert plain.bytes == zoo["plain.mp4"].stat().st_size
    assert plain.duration == pytest.approx(3.0, abs=0.05)
    assert plain.intrinsics == tuple(tuple(map(float, row)) for row in MATRIX)
    camera = plain.static_camera()
    assert camera is not None
    assert camera.camera_T_world[:3, 3].tolist() == [0.5, -1, 3]
    assert any("cam01: its principal point (540, 960) is far from the middle" in line for line in lines)
    assert not any("copy" in line for line in lines)
    assert (rotated.width, rotated.height) == (320, 180), "upright; stored it is 180 x 320"
    problems = {video: entry.problem for video, entry in found.videos.items() if entry.problem}
    assert "not a video in a format that ghost reads" in problems.pop("text")
    assert "No such file" in problems.pop("gone")
    assert "empty (0 bytes)" in problems.pop("empty")
    assert "not a regular file" in problems.pop("pipe")
    assert problems == {}
    assert run("ingest", tmp_path)[1][-1].endswith("up to date (videos 6, unusable 4)")


def test_two_copies_of_one_recording_are_named(tmp_path: Path, take: Path, zoo: dict[str, Path]) -> None:
    for name in ("cam01", "cam03"):
        (take / f"{name}.mp4").write_bytes(zoo["plain.mp4"].read_bytes())
    (take / "cam02.mp4").symlink_to(zoo["rot90.mp4"])
    code, lines = run("ingest", tmp_path)
    assert code == 0, lines
    said = [line for line in lines if "copy" in line]
    assert len(said) == 1, lines
    assert "cam03 is a copy of cam01, not another camera's recording" in said[0]


def test_a_file_whose_name_is_no_video_id_is_left_out_with_a_warning(
    tmp_path: Path, take: Path, zoo: dict[str, Path]
) -> None:
    (take / "cam01.mp4").symlink_to(zoo["plain.mp4"])
    (take / "my cam.mp4").symlink_to(zoo["plain.mp4"])
    code, lines = run("ingest", tmp_path)
    assert code == 0, lines
    assert any("'my cam.mp4' is left out" in line and "use letters, digits" in line for line in lines), lines
    assert lines[-1].endswith("ingest take: done (videos 1, refused 1)")
    assert list(scene.load(tmp_path / "out" / "take" / "scene.json").videos) == ["cam01"]


@pytest.mark.parametrize(
    ("files", "expected", "message"),
    [
        ((), 66, "no videos"),
        (("cam01.mp4", "cam01.mkv"), 65, "two videos have the same name"),
        (("CAM01.mp4", "cam01.mp4"), 65, "differ only in the case"),
        (("my cam.mp4",), 64, "'my cam' is not accepted"),
        (("scene.json.mp4",), 64, "cannot be called 'scene.json'"),
    ],
)
def test_a_folder_that_is_no_scene_ends_with_its_code_and_one_line(
    tmp_path: Path, take: Path, files: tuple[str, ...], expected: int, message: str
) -> None:
    for name in files:
        (take / name).touch()
    code, lines = run("ingest", tmp_path)
    assert code == expected, lines
    assert len(lines) == 1
    assert message in lines[0]


def test_a_calibration_that_breaks_its_contract_is_refused(tmp_path: Path, take: Path) -> None:
    (take / "cam01.mp4").write_text("x")
    (take / "calibration.json").write_text('{"cam01": {}}')
    code, lines = run("ingest", tmp_path)
    assert code == 65
    assert "calibration.json: cam01.intrinsics: expected 3x3 numbers, got None" in lines[-1]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "expected an object of cameras, got list"),
        ({"cam01": MATRIX}, "cam01: expected an object with intrinsics, distortion, camera_T_world, got list"),
        ({"cam01": {"intrinsics": MATRIX[:2]}}, "expected 3x3 numbers"),
        ({"cam01": {"intrinsics": [[1, 2], [3, 4], [5, 6]]}}, "expected 3x3 numbers"),
        ({"cam01": {"intrinsics": [["1", 0, 0], [0, 1, 0], [0, 0, 1]]}}, "expected 3x3 numbers"),
        ({"cam01": {"intrinsics": [[True, 0, 0], [0, 1, 0], [0, 0, 1]]}}, "expected 3x3 numbers"),
        ({"cam01": {"intrinsics": [[0, 0, 0], [0, 1, 0], [0, 0, 1]]}}, r"expected \[\[fx, 0, cx\]"),
        ({"cam01": {"intrinsics": [[1, 0, 0], [0, -1, 0], [0, 0, 1]]}}, r"expected \[\[fx, 0, cx\]"),
        ({"cam01": {"intrinsics": [[9, 0.5, 0], [0, 9, 0], [0, 0, 1]]}}, "expected a skew of 0 .*, got 0.5"),
        ({"cam01": {"intrinsics": [[1, 0, 0], [2, 1, 0], [0, 0, 1]]}}, r"expected \[\[fx, 0, cx\]"),
        ({"cam01": {"intrinsics": [[1, 0, 0], [0, 1, 0], [0, 1, 1]]}}, r"expected \[\[fx, 0, cx\]"),
        ({"cam01": {"intrinsics": MATRIX, "fisheye": True}}, "cam01: expected only intrinsics, .*, got 'fisheye'"),
        ({"cam01": {"intrinsics": MATRIX, "distortion": [0.1]}}, r"distortion: expected 4, 5 or 8 .* got \[0.1\]"),
        ({"cam01": {"intrinsics": MATRIX, "distortion": ["0"] * 4}}, "cam01.distortion: expected 4, 5 or 8 numbers"),
        ({"cam01": {"intrinsics": MATRIX, "camera_T_world": POSE[:2]}}, "cam01.camera_T_world: expected 3x4 or 4x4"),
        ({"cam01": {"intrinsics": MATRIX, "camera_T_world": [*POSE, [0, 0, 1, 1]]}}, "as the last row, got"),
        ({"cam01": {"intrinsics": MATRIX, "camera_T_world": [*POSE[:2], [0, 0, 1.1, 0]]}}, "0.21 off orthonormal"),
        ({"cam01": {"intrinsics": MATRIX, "camera_T_world": [*POSE[:2], [0, 0, -1, 0]]}}, "got a mirror image"),
    ],
)
def test_a_calibration_says_which_entry_is_wrong(tmp_path: Path, document: object, message: str) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(document))
    with pytest.raises(BadInput, match=message):
        read_calibration(path)


def test_a_calibration_gives_what_is_known_by_video(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    known = {"intrinsics": MATRIX, "distortion": [0.1, 0, 0, 0, -0.2], "camera_T_world": POSE}
    path.write_text(json.dumps({"cam01": {"intrinsics": MATRIX}, "cam02": known}))
    found = read_calibration(path)
    assert found["cam01"] == Calibration(((1680.0, 0.0, 540.0), (0.0, 1680.0, 960.0), (0.0, 0.0, 1.0)))
    assert found["cam02"].distortion == (0.1, 0, 0, 0, -0.2)
    assert found["cam02"].camera_T_world == (*(tuple(row) for row in POSE), (0, 0, 0, 1)), "a 3x4 pose is completed"


def test_a_matrix_of_the_frame_before_rotation_is_doubted() -> None:
    matrix = ((1680.0, 0.0, 540.0), (0.0, 1680.0, 960.0), (0.0, 0.0, 1.0))
    upright = scene.SceneVideo("cam01.mp4", 1, "x", 1080, 1920, 30.0, intrinsics=matrix)
    assert doubt(upright) is None
    stored = doubt(replace(upright, width=1920, height=1080))
    assert stored is not None
    assert "principal point (540, 960) is far from the middle of the upright 1920x1080 frame" in stored
