import logging
import os
from pathlib import Path

import pytest

from common.errors import BadInput, InputMissing, UsageError
from common.recordings import find_scenes, list_recordings, refused_recordings
from common.storage.local import LocalStorage


def make(root: Path, *files: str) -> LocalStorage:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return LocalStorage(root)


def test_scenes_are_the_folders_that_hold_videos(tmp_path: Path) -> None:
    data = make(tmp_path, "b/cam.mp4", "a/CAM.MKV", "notes/read.txt", ".trash/cam.mp4", "_old/cam.mp4", "loose.mp4")
    assert find_scenes(data) == ["a", "b"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "there is no such folder, or nothing in it"),
        (("notes.txt",), "there is no such folder, or nothing in it"),
        (("a/notes.txt",), "no videos in its folders"),
        (("cam01.mp4",), "holds videos itself. Pass the folder above it, and --scene root"),
    ],
)
def test_a_data_root_without_scenes_is_explained(tmp_path: Path, files: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputMissing, match=message):
        find_scenes(make(tmp_path / "root", *files))


def test_a_folder_that_may_not_be_read_is_left_out_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data = make(tmp_path, "a/cam.mp4", "lost+found/x")
    scandir = os.scandir

    def closed(path: Path) -> object:  # by hand, for root may read everything
        if Path(path).name == "lost+found":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with caplog.at_level(logging.WARNING, logger="ghost"):
        assert find_scenes(data) == ["a"]
    assert "lost+found/ may not be read and is left out" in caplog.text


def test_a_video_is_called_like_its_file(tmp_path: Path) -> None:
    data = make(tmp_path, "take/cam02.MP4", "take/cam01.mkv", "take/.cam03.mp4", "take/notes.txt", "take/cam04.mp4/x")
    assert list_recordings(data, "take") == {"cam01": "cam01.mkv", "cam02": "cam02.MP4"}


def test_a_file_with_a_bad_name_is_refused_without_the_others(tmp_path: Path) -> None:
    data = make(tmp_path, *(f"take/{name}.mp4" for name in ("cam01", "a b", "a..b", "scene.json")), "take/a b.txt")
    assert list_recordings(data, "take") == {"cam01": "cam01.mp4"}
    refused = refused_recordings(data, "take")
    assert sorted(refused) == ["a b.mp4", "a..b.mp4", "scene.json.mp4"]
    assert "'a b' is not accepted: use letters, digits" in refused["a b.mp4"]
    assert "ghost writes a file of that name" in refused["scene.json.mp4"]


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        ((), InputMissing, "no videos. Expected DATA_ROOT/<scene>/<camera>.mp4"),
        (("notes.txt",), InputMissing, "no videos"),
        (("cam01.mp4", "cam01.mkv"), BadInput, "two videos have the same name"),
        (("cam01.mp4", "CAM01.mp4"), BadInput, "differ only in the case"),
        (("my cam.mp4",), UsageError, "'my cam' is not accepted"),
        (("a..b.mp4",), UsageError, "is not accepted"),
        (("scene.json.mp4",), UsageError, "a video cannot be called 'scene.json'"),
        (("Report.HTML.mp4",), UsageError, "a video cannot be called 'Report.HTML'"),
        (("my cam.mp4", "cam01.mp4", "cam01.mkv"), BadInput, "two videos have the same name"),
    ],
)
def test_folders_that_cannot_become_a_scene_are_refused(
    tmp_path: Path, files: tuple[str, ...], error: type[Exception], message: str
) -> None:
    data = make(tmp_path, "take/other.txt", *(f"take/{name}" for name in files))
    with pytest.raises(error, match=message):
        list_recordings(data, "take")
