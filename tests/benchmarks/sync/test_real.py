"""The arithmetic of the figures on real cuts, on answers whose errors are known."""

import numpy as np

from benchmarks.sync import real
from benchmarks.sync.real import errors, links
from benchmarks.sync.real_cuts import RATE, Cuts, Trial
from stages.sync.result import IdentifiedTrack, Synchronization, Verdict, VideoStart

CAMERAS = ("cam01", "cam02", "cam03", "cam04")
TRIAL = Trial(dict.fromkeys(CAMERAS, 0), {"cam01": 5, "cam02": 20, "cam03": 0, "cam04": 11})


def start_times(off, zero=0.0):
    return [(TRIAL.starts[camera] + e) / RATE + zero for camera, e in zip(CAMERAS, off, strict=True)]


def test_right_starts_have_no_error_wherever_the_clock_begins():
    worst = np.abs(errors(start_times([0, 0, 0, 0], zero=-0.3), TRIAL, CAMERAS)).max()
    assert worst <= 1e-9, worst


def test_a_camera_that_is_off_is_compared_with_the_mean_of_the_others():
    found = errors(start_times([3, 0, 0, 0]), TRIAL, CAMERAS)
    np.testing.assert_allclose(found, [3, -1, -1, -1], atol=1e-9)


def test_an_unknown_start_is_no_error_and_counts_for_nobody():
    starts = start_times([2, 0, 0, 0])
    starts[1] = None
    np.testing.assert_allclose(errors(starts, TRIAL, CAMERAS), [2, np.nan, -1, -1], atol=1e-9)


def test_one_start_alone_says_nothing():
    assert np.isnan(errors([None, 0.4, None, None], TRIAL, CAMERAS)).all()


def answer(identities, unknown=()):
    videos = tuple(
        VideoStart(camera, None if camera in unknown else 0.0, None, Verdict.OK) for camera in ("cam01", "cam02")
    )
    tracks = tuple(IdentifiedTrack(v, p, identity, 9.0, 9.0, Verdict.OK) for (v, p), identity in identities.items())
    return Synchronization(videos, (), (), tracks)


def counted(monkeypatch, identities, unknown=()):
    """Man and woman are 1 and 2 in camera 1, and 2 and 1 in camera 2; 3 is a bystander."""
    who = {"cam01": {1: "man", 2: "woman"}, "cam02": {2: "man", 1: "woman"}}
    monkeypatch.setattr(Cuts, "people", lambda self, number, camera: who.get(camera, {}))
    found = links(Cuts("multi", 72, None), [(TRIAL, answer(identities, unknown))])
    return found.right, found.wrong, found.missed


def test_links_between_the_same_people_are_right(monkeypatch):
    found = {("cam01", 1): 1, ("cam01", 2): 2, ("cam02", 2): 1, ("cam02", 1): 2}
    assert counted(monkeypatch, found) == (2, 0, 0)


def test_swapped_people_are_wrong_and_missed(monkeypatch):
    found = {("cam01", 1): 1, ("cam01", 2): 2, ("cam02", 1): 1, ("cam02", 2): 2}
    assert counted(monkeypatch, found) == (0, 2, 2)


def test_a_bystander_linked_to_the_man_is_wrong_and_to_a_bystander_uncounted(monkeypatch):
    found = {("cam01", 1): 1, ("cam01", 3): 3, ("cam02", 3): 1, ("cam02", 4): 3}
    assert counted(monkeypatch, found) == (0, 1, 0)


def test_cameras_without_a_start_are_not_asked_who_is_who(monkeypatch):
    assert counted(monkeypatch, {("cam01", 1): 1, ("cam02", 1): 1}, unknown=("cam02",)) == (0, 0, 0)


def test_quick_takes_one_cut_of_each_camera_and_says_what_it_skips(monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(real.demo_data, "scenes", lambda folder: [])
    monkeypatch.setattr(Cuts, "complete", property(lambda self: False))
    monkeypatch.setattr(Cuts, "make", lambda self, recordings: made.append((self.scene, self.frames, self.count)))
    monkeypatch.setattr(real, "starts", lambda cuts: [])
    rows = real.figures(quick=True, folder=tmp_path)
    assert made == [("single", 72, 1)]
    assert [row.name for row in rows] == ["real multi, 25 trials of 1.2 s"]
    assert "skipped" in rows[0].measured


def test_a_refused_start_breaks_the_promise():
    off = np.zeros((25, 3))
    assert all(figure.ok for figure in real._gates("", off))
    off[3, 1] = np.nan
    assert [figure.ok for figure in real._gates("", off)] == [True, True, False]
    off[3, 1] = 4.2
    assert [figure.ok for figure in real._gates("", off)] == [True, False, True]
