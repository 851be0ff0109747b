"""The rows of the benchmark of identities say what was measured, and fall short where they should."""

import pytest

from benchmarks import segment
from benchmarks.figures import NOTHING
from benchmarks.identity_runs import record
from benchmarks.identity_scores import IdentityScores
from benchmarks.segment import Load
from tests.stages.segment.prompted.world import BLUE, RED, Board, World, walk


def fake_scores(idf1, switches):
    return IdentityScores(idf1, 0.9, 0.8, 0.8, 0.8, switches, 5, 6, 100, 10)


@pytest.fixture
def rows(monkeypatch):
    """Figures of two who walk for ten frames, with made-up scores, as if the scenes had so many frames."""
    world = World([Board(walk(0, 10, 30, 100), RED), Board(walk(0, 10, 210, 140), BLUE)], 10)
    monkeypatch.setattr(segment, "crowd_scene", lambda seed, frames: world)
    monkeypatch.setattr(segment, "record_scene", lambda scene, camera: record(world, lambda _: {}))

    def identities(idf1, switches, *, frames):
        monkeypatch.setattr(segment, "combined_scores", lambda comparisons: fake_scores(idf1, switches))
        return segment.identities(Load((1,), (0,), frames))

    return identities


@pytest.mark.parametrize(("idf1", "switches", "ok"), [(0.99, 0, True), (0.97, 0, False), (0.99, 1, False)])
def test_falls_short_of_either_promise(rows, idf1, switches, ok):
    figures = rows(idf1, switches, frames=segment.FULL.frames)
    assert all(figure.ok for figure in figures) is ok
    assert [figure.asked for figure in figures[:2]] == [">= 0.98", "0"]
    assert {figure.asked for figure in figures[2:]} == {NOTHING}


def test_nothing_is_promised_of_shorter_scenes(rows):
    figures = rows(0.5, 7, frames=segment.FULL.frames - 1)
    assert {figure.asked for figure in figures} == {NOTHING}
    assert [figure.measured for figure in figures[:2]] == ["0.5000", "7"]
    assert all("659 frames only" in figure.name for figure in figures[:2])
