from __future__ import annotations

import pytest

from benchmarks.simulation.exercises import PERIODIC, SPORTS
from benchmarks.sync.cells import CELLS, Cell
from benchmarks.sync.metrics import Camera, Cost, Links, Record
from benchmarks.sync.promises import FULL
from benchmarks.sync.sections import SECTIONS


def test_every_section_names_cells_that_exist_and_every_cell_is_used():
    used = {cell for section in SECTIONS.values() for cell in section.cells}
    assert used == set(CELLS)


def test_held_out_movements_are_those_of_the_reported_half():
    assert {name for name, cell in CELLS.items() if cell.held_out} == {"sports", "periodic exercise"}
    assert Cell("x", "easy", activities=(next(iter(SPORTS)),)).held_out
    assert Cell("x", "easy", activities=(next(iter(PERIODIC)),)).held_out


def _records(cell: Cell, *, off: float) -> list[Record]:
    """Answers that are off by so many seconds, now early, now late, in intervals that hold 95 %."""
    records = []
    for trial in range(FULL):
        cameras = []
        for k in range(cell.cameras):
            outlier = cell.outlier if k == 0 and cell.outlier else None
            error = off * (-1) ** k
            hit = (trial * cell.cameras + k) % 20 > 0
            cameras.append(
                Camera(
                    true_start=float(k),
                    true_rate=1.0,
                    length=30.0,
                    start=None if outlier else k + error,
                    half_width=None if outlier else 3 * off * hit,
                    refused=outlier is not None,
                    outlier=outlier,
                )
            )
        baselines = {name: tuple(k + 100.0 * (-1) ** k for k in range(cell.cameras)) for name in cell.baselines}
        cost = Cost(1.0, 100.0)
        records.append(
            Record(cell.name, trial, tuple(cameras), Links(3, 3, 3), cost, baselines, dict.fromkeys(baselines, 1.0))
        )
    return records


@pytest.mark.parametrize("section", SECTIONS)
def test_good_answers_keep_every_promise(section: str):
    results = {name: _records(CELLS[name], off=1e-4) for name in SECTIONS[section].cells}
    figures = SECTIONS[section].figures(results)
    assert [figure for figure in figures if not figure.ok] == []
    assert sum(figure.asked != "-" for figure in figures) >= 3, "a section promises something"


@pytest.mark.parametrize("section", ["accuracy", "dtw", "identity", "honesty", "outliers", "clocks", "motions"])
def test_answers_that_are_seconds_off_break_promises(section: str):
    results = {name: _records(CELLS[name], off=2.0) for name in SECTIONS[section].cells}
    assert any(not figure.ok for figure in SECTIONS[section].figures(results))


def test_a_cell_that_was_left_out_leaves_its_rows_out():
    results = {n: _records(CELLS[n], off=1e-4) for n in SECTIONS["motions"].cells if not CELLS[n].held_out}
    assert not any("sports" in figure.name for figure in SECTIONS["motions"].figures(results))
