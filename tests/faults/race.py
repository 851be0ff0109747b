"""Eight processes at the same unit at the same moment, round after round; prints what came of it, as JSON.

    python -m tests.faults.race FOLDER ROUNDS

Every process writes its own number into all of its files, so that a mix of two shows.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

from common import harness
from common.storage.local import LocalStorage
from common.workspace import Workspace
from tests.faults import forking
from tests.faults.slow_stage import STAGE, Options
from tests.faults.unit import SlowUnit

WRITERS = 8


class Gate:
    """Nobody passes until it is opened."""

    def __init__(self) -> None:
        self._waiting, self._open = os.pipe()

    def wait(self) -> None:
        os.close(self._open)
        os.read(self._waiting, 1)

    def open(self) -> None:
        os.close(self._open)
        os.close(self._waiting)


def write(root: Path, gate: Gate, ready: int, answers: int) -> None:
    """One writer: says that it has decided to run, and publishes when all have."""

    def run(workspace: Workspace, options: Options) -> None:
        STAGE.run(workspace, dataclasses.replace(options, content=f"{os.getpid()} "))
        os.write(ready, b".")
        gate.wait()

    stage = dataclasses.replace(STAGE, run=run)
    options = stage.make_options({"files": 8, "kilobytes": 1})
    outcome = harness.execute(harness.Task(stage, LocalStorage(root), "take", "cam01", options))
    os.write(answers, f"{outcome.status.value}\n".encode())


def main(root: Path, rounds: int) -> None:
    report: dict[str, list[object]] = {"answers": [], "codes": [], "mixed": [], "leftovers": []}
    for number in range(rounds):
        unit, gate = SlowUnit(root / str(number)), Gate()
        (all_ready, ready), (answers, answer) = os.pipe(), os.pipe()
        writers = [forking.start(write, unit.root, gate, ready, answer) for _ in range(WRITERS)]
        os.close(answer)
        for _ in writers:
            os.read(all_ready, 1)
        gate.open()
        report["codes"] += [forking.result(writer) for writer in writers]
        with os.fdopen(answers) as heard:
            report["answers"].append(sorted(heard.read().split("\n")[:-1]))
        authors = {path.read_text().split()[0] for path in (unit.scene / "cam01").rglob("*") if path.is_file()}
        if len(authors) != 1 or unit.promised() != unit.files():
            report["mixed"].append(number)
        if unit.leftovers():
            report["leftovers"].append([number, *unit.leftovers()])
        os.close(all_ready)
        os.close(ready)
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
