"""Cuts are reused only if they are the cuts asked for, and an interrupted one is never taken for whole."""

import pytest

from benchmarks import cut as module
from benchmarks.cut import cut_once


@pytest.fixture
def made(monkeypatch):
    """The cuts made since, as (source, start, frames); the file says which it is."""
    calls = []

    def cut(source, target, *, start, frames):
        calls.append((source.stem, start, frames))
        target.write_text(f"{source.read_text()} {start} {frames}")

    monkeypatch.setattr(module, "cut", cut)
    return calls


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "cam01.mp4"
    path.write_text("take 1")
    return path


def test_the_same_cut_is_made_once(source, tmp_path, made):
    for _ in range(2):
        cut_once(source, tmp_path / "cuts" / "a.mp4", start=3, frames=70)
    assert made == [("cam01", 3, 70)]
    assert (tmp_path / "cuts" / "a.mp4").read_text() == "take 1 3 70"


@pytest.mark.parametrize("changed", [{"start": 4}, {"frames": 60}])
def test_other_frames_give_another_file(source, tmp_path, made, changed):
    cut_once(source, tmp_path / "a.mp4", start=3, frames=70)
    wanted = {"start": 3, "frames": 70, **changed}
    cut_once(source, tmp_path / "a.mp4", **wanted)
    assert (tmp_path / "a.mp4").read_text() == "take 1 {start} {frames}".format(**wanted)


def test_another_recording_gives_another_file(source, tmp_path, made):
    cut_once(source, tmp_path / "a.mp4", start=3, frames=70)
    source.write_text("take 2")
    cut_once(source, tmp_path / "a.mp4", start=3, frames=70)
    assert (tmp_path / "a.mp4").read_text() == "take 2 3 70"


def test_an_interrupted_cut_is_made_again(source, tmp_path, made, monkeypatch):
    whole = module.cut

    def interrupted(_source, target, **_):
        target.write_text("half a")
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "cut", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cut_once(source, tmp_path / "a.mp4", start=3, frames=70)
    assert not (tmp_path / "a.mp4").exists()
    monkeypatch.setattr(module, "cut", whole)
    cut_once(source, tmp_path / "a.mp4", start=3, frames=70)
    assert (tmp_path / "a.mp4").read_text() == "take 1 3 70"


def test_beside_a_cut_lies_nothing_that_the_pipeline_takes_for_a_recording(source, tmp_path, made):
    cut_once(source, tmp_path / "scene" / "a.mp4", start=3, frames=70)
    assert [path.name for path in (tmp_path / "scene").glob("[!.]*")] == ["a.mp4"]
