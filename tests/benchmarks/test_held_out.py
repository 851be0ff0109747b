"""The held-out rows: one for each kind, none of them a promise, and no scene that was adjusted on."""

import pytest

from benchmarks import held_out
from benchmarks.figures import NOTHING
from benchmarks.held_out import DIFFICULTIES, Difficulty
from benchmarks.identity_runs import record
from tests.stages.segment.prompted.world import BLUE, RED, Board, World, walk


@pytest.fixture
def seeds(monkeypatch):
    """Those of the scenes that were asked for; every scene is of two who walk."""
    asked = []

    def scene(seed):
        asked.append(seed)
        return World([Board(walk(0, 20, 30, 60), RED), Board(walk(0, 20, 210, 180), BLUE)], 20)

    monkeypatch.setattr(held_out, "DIFFICULTIES", tuple(Difficulty(f"kind {n}", scene) for n in range(7)))
    monkeypatch.setattr(held_out, "record_scene", lambda world, camera: record(world, lambda _: {}))
    return asked


@pytest.mark.parametrize(("quick", "kinds"), [(True, [0, 5]), (False, range(7))])
def test_a_row_for_each_kind_and_one_for_all(seeds, quick, kinds):
    rows = held_out.measure(quick=quick)
    assert [row.name for row in rows] == [*(f"held-out: kind {n}" for n in kinds), "held-out: all"]
    assert {row.asked for row in rows} == {NOTHING}
    assert all("IDF1 " in row.measured and "switches" in row.measured for row in rows)
    assert set(seeds) == set(held_out.SEEDS)


def test_kinds_differ_in_people_steps_and_errors():
    assert len({kind.name for kind in DIFFICULTIES}) == len(DIFFICULTIES) >= 8
    assert {1, 10, 25, 50} <= {kind.step for kind in DIFFICULTIES}
    assert {0.2, 0.3} <= {kind.errors.missed for kind in DIFFICULTIES}
    assert {0.05, 0.1} <= {kind.errors.false for kind in DIFFICULTIES}
    assert max(kind.errors.drift for kind in DIFFICULTIES) > 0
    assert not set(held_out.SEEDS) & {1, 2, 3, 101, 102, 201}, "the driver was adjusted on these"
