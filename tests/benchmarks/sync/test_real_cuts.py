"""The design of the trials on real cuts: balanced, fixed, inside the recordings; bodies are those of today's cuts."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.sync import real_cuts
from benchmarks.sync.real_cuts import CAMERAS, CUTS, RECORDED, Cuts, first_frames, trials
from common import fingerprint

LENGTHS = (48, 72, 90)


@pytest.mark.parametrize("frames", LENGTHS)
def test_every_cut_lies_in_the_recording_and_no_two_of_a_camera_are_the_same(frames):
    for camera, starts in first_frames(frames).items():
        assert len(set(starts)) == CUTS, camera
        assert min(starts) >= 0, camera
        assert max(starts) + frames <= RECORDED, camera


@pytest.mark.parametrize("frames", LENGTHS)
def test_25_different_trials_use_every_cut_equally_often(frames):
    found = trials(frames)
    assert len({tuple(trial.cuts.values()) for trial in found}) == 25
    for camera in CAMERAS:
        assert Counter(trial.cuts[camera] for trial in found) == dict.fromkeys(range(CUTS), 5), camera


def test_the_truth_of_a_trial_is_where_its_cuts_begin():
    first = first_frames(48)
    for trial in trials(48):
        assert trial.starts == {camera: first[camera][trial.cuts[camera]] for camera in CAMERAS}


def test_one_cut_of_each_camera_makes_one_trial():
    assert [trial.cuts for trial in trials(72, cuts=1)] == [dict.fromkeys(CAMERAS, 0)]


def test_the_trials_are_the_same_every_time():
    assert trials(90) == trials(90)


@pytest.fixture
def cut_files(monkeypatch):
    """Cuts are a few bytes that say what they are; the names of those that were made."""
    made = []

    def cut_once(source, target, *, start, frames):
        made.append(target.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes() + f"{start} {frames}".encode())

    monkeypatch.setattr(real_cuts, "cut_once", cut_once)
    return made


def test_nothing_is_complete_before_bodies_are_there(tmp_path):
    cuts = Cuts("single", 72, tmp_path)
    assert not cuts.complete
    assert cuts.outdated == 0


def test_a_trial_of_one_cut_needs_the_first_cut_of_every_camera_only(tmp_path, cut_files, monkeypatch):
    runs = []

    class Run:
        units = ()

        def __init__(self, request):
            runs.append(request)

        def run(self):
            """Estimates nothing."""

    monkeypatch.setattr(real_cuts, "LocalRun", Run)
    recordings = tmp_path / "recordings" / "single"
    recordings.mkdir(parents=True)
    for camera in CAMERAS:
        (recordings / f"{camera}.mp4").write_bytes(b"recording")
    Cuts("single", 72, tmp_path / "cuts", count=1).make(tmp_path / "recordings")
    assert sorted(cut_files) == [f"{camera}.mp4" for camera in CAMERAS]
    (request,) = runs
    assert request.scenes == ("single_72_0",)
    assert [stage.name for stage in request.stages] == ["ingest", "frames", "segment", "body"]
    first = {camera: starts[0] for camera, starts in first_frames(72).items()}
    for camera in CAMERAS:
        cut = tmp_path / "cuts" / "data" / "single_72_0" / f"{camera}.mp4"
        assert cut.read_bytes() == b"recording" + f"{first[camera]} 72".encode()


@pytest.mark.parametrize(("changed", "complete"), [(None, True), ("cam03", False)])
def test_bodies_of_another_cut_do_not_count(tmp_path, monkeypatch, changed, complete):
    cuts = Cuts("single", 72, tmp_path, count=1)
    folder = tmp_path / "data" / "single_72_0"
    folder.mkdir(parents=True)
    for camera in CAMERAS:
        (folder / f"{camera}.mp4").write_bytes(camera.encode())
    seen = {path.name: fingerprint.of_recording(path) for path in folder.iterdir()}

    class Published:
        def manifest(self, stage, video):
            return SimpleNamespace(inputs={"recordings": seen})

        def find(self, artifact, video):
            return SimpleNamespace()

    monkeypatch.setattr(Cuts, "_published", lambda self, number: Published())
    if changed is not None:
        (folder / f"{changed}.mp4").write_bytes(b"cut elsewhere")
    assert cuts.complete is complete


def test_combinations_are_not_the_same_cut_number_of_every_camera():
    numbers = np.array([list(trial.cuts.values()) for trial in trials(72)])
    assert (numbers == numbers[:, :1]).all(1).mean() < 0.2
