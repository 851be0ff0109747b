"""Many attempts at one unit: one wins, the others say so and end well, and files are never mixed."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.faults.race import WRITERS
from tests.faults.unit import ROOT, SlowUnit

ROUNDS = int(os.environ.get("GHOST_TEST_ROUNDS", "15"))


def test_of_eight_writers_at_once_one_wins_and_none_mixes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.faults.race", str(tmp_path), str(ROUNDS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert set(report["codes"]) == {0}, done.stderr[-3000:]
    assert report["answers"] == [["another attempt was first"] * (WRITERS - 1) + ["done"]] * ROUNDS
    assert report["mixed"] == []
    assert report["leftovers"] == []


def test_processes_that_start_together_all_end_well(tmp_path: Path) -> None:
    unit = SlowUnit(tmp_path)
    processes = [unit.start() for _ in range(4)]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    said = [error.rpartition("slow take/cam01: ")[2].strip() for error in errors]
    assert said.count("done") == 1, said
    assert set(said) <= {"done", "up to date", "another attempt was first"}, said
    assert unit.promised() == unit.files()
    assert unit.leftovers() == []
