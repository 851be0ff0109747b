from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.figures import Figure, information, report
from benchmarks.simulation.halves import Half
from benchmarks.sync import cells, sections
from benchmarks.sync.__main__ import main
from benchmarks.sync.cells import Cell
from benchmarks.sync.metrics import Record
from benchmarks.sync.sections import Results, Section, at_most
from benchmarks.sync.trials import run_trial


def test_a_row_that_informs_has_no_verdict(capsys: pytest.CaptureFixture[str]):
    assert report([information("memory", "5 MB"), Figure("speed", "< 2 s", "1 s", ok=True)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split(" | ")[1:] == ["-    ", "5 MB"]
    assert lines[2].endswith("ok")


def test_unknown_sections_are_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main(["--only", "accuracy,speed"])
    assert left.value.code == 2
    assert "speed" in capsys.readouterr().err


@pytest.mark.parametrize(("limit", "code"), [(30.0, 0), (-1.0, 1)])
def test_one_run_prints_the_section_writes_the_records_and_tells_by_its_exit_code(
    limit: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def figures(results: Results) -> list[Figure]:
        return [at_most("trials", len(results["tiny"]), limit)]

    def run_here(cells: list[Cell], *, trials: int, half: Half, workers: int) -> dict[str, list[Record]]:
        return {cell.name: [run_trial(cell, trial, half) for trial in range(trials)] for cell in cells}

    tiny = Cell("tiny", "easy", frames=300, cameras=2, max_start=1.0)
    monkeypatch.setattr(cells, "CELLS", {"tiny": tiny})
    monkeypatch.setattr("benchmarks.sync.trials.run_cells", run_here)
    monkeypatch.setattr(sections, "SECTIONS", {"small": Section("A small section", ("tiny",), figures)})
    records = tmp_path / "records.json"
    arguments = ["--only", "small", "--trials", "1", "--workers", "1", "--half", "tune", "--json", str(records)]
    assert main(arguments) == code
    out = capsys.readouterr().out
    assert "A small section: 1 trials, tune half" in out
    assert ("SHORT" in out) == (code == 1)
    written = json.loads(records.read_text(encoding="utf-8"))
    assert (written["half"], written["trials"], len(written["records"])) == ("tune", 1, 1)
