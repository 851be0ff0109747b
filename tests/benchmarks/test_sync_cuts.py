"""Cuts are reused only if they are the cuts asked for, and an interrupted one is never taken for whole."""

from pathlib import Path

import pytest

from benchmarks import sync_cuts
from benchmarks.sync_cuts import make_cuts


@pytest.fixture
def made(monkeypatch):
    """The cuts made since, as (camera, start, frames)."""
    calls = []

    def cut(source, target, *, start, frames):
        calls.append((source.stem, start, frames))
        target.write_text(f"{source.stem} {start} {frames}")

    monkeypatch.setattr(sync_cuts, "cut", cut)
    return calls


@pytest.fixture
def videos(tmp_path):
    for camera in ("cam01", "cam02"):
        (tmp_path / f"{camera}.mp4").write_text(camera)
    return {camera: tmp_path / f"{camera}.mp4" for camera in ("cam01", "cam02")}


def scenes(videos: dict[str, Path], folder: Path, **changed):
    return make_cuts(videos, folder, **{"sets": 2, "window": 70, "latest": 30, "seed": 1, **changed})


def texts(folder: Path):
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*.mp4")}


def test_the_same_cuts_are_made_once_and_more_sets_keep_the_first(videos, tmp_path, made):
    few = scenes(videos, tmp_path / "data")
    assert len(made) == 4
    assert scenes(videos, tmp_path / "data") == few
    assert len(made) == 4
    assert scenes(videos, tmp_path / "data", sets=3)[:2] == few
    assert len(made) == 6


@pytest.mark.parametrize("changed", [{"window": 60}, {"latest": 1000}, {"seed": 2}])
def test_other_parameters_give_other_files(videos, tmp_path, made, changed):
    scenes(videos, tmp_path / "data")
    starts = scenes(videos, tmp_path / "data", **changed)
    scenes(videos, tmp_path / "fresh", **changed)
    assert texts(tmp_path / "data") == texts(tmp_path / "fresh")
    assert starts == scenes(videos, tmp_path / "fresh", **changed)


def test_another_recording_gives_other_files(videos, tmp_path, made):
    scenes(videos, tmp_path / "data")
    videos["cam01"].write_text("another take")
    scenes(videos, tmp_path / "data")
    assert [camera for camera, *_ in made[4:]] == ["cam01", "cam01"]


def test_an_interrupted_cut_is_made_again(videos, tmp_path, made, monkeypatch):
    whole = sync_cuts.cut

    def interrupted(_source, target, **_):
        target.write_text("half a")
        raise KeyboardInterrupt

    monkeypatch.setattr(sync_cuts, "cut", interrupted)
    with pytest.raises(KeyboardInterrupt):
        scenes(videos, tmp_path / "data")
    assert not (tmp_path / "data" / "cut_00" / "cam01.mp4").exists()
    monkeypatch.setattr(sync_cuts, "cut", whole)
    scenes(videos, tmp_path / "data")
    assert len(made) == 4
    assert "half a" not in texts(tmp_path / "data").values()
