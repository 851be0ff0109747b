"""Kills a unit at each of the system calls that change the disk, one after the other; prints what was left, as JSON.

python -m tests.faults.crash_points FOLDER
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from common import harness
from common.storage.local import LocalStorage
from tests.faults import forking
from tests.faults.slow_stage import STAGE
from tests.faults.unit import SlowUnit

CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir")  # as Python's audit events call them
WRITING = os.O_WRONLY | os.O_RDWR


def execute(root: Path, content: str) -> None:
    options = STAGE.make_options({"content": content, "files": 5, "kilobytes": 1})
    harness.execute(harness.Task(STAGE, LocalStorage(root), "take", "cam01", options))


def execute_and_die(root: Path, content: str, point: int) -> None:
    """Dies before the `point`-th system call that changes the disk, if there are so many."""
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if count == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        flags = arguments[2] if event == "open" else None
        if event in CHANGES or (isinstance(flags, int) and flags & WRITING):
            step()

    def fsync(descriptor: int) -> None:  # the one call that Python does not announce
        step()
        real_fsync(descriptor)

    sys.addaudithook(hear)
    real_fsync, os.fsync = os.fsync, fsync
    execute(root, content)


def main(root: Path) -> None:
    unit, expected = SlowUnit(root), {}
    for content in ("one", "two"):
        forking.run(execute, root, content)
        expected[content] = unit.promised()
    report: dict[str, list[object]] = {"without_manifest": [], "torn": [], "not_completed": [], "leftovers": []}
    code, point = -signal.SIGKILL, 0
    while code == -signal.SIGKILL:
        point += 1
        old, new = ("one", "two") if point % 2 else ("two", "one")
        forking.run(execute, root, old)
        code = forking.run(execute_and_die, root, new, point)
        promised = unit.promised()
        if promised is None:
            report["without_manifest"].append(point)
        elif promised != unit.files():
            report["torn"].append(point)
        again = forking.run(execute, root, new)
        if again or not expected[new] == unit.promised() == unit.files():
            report["not_completed"].append(point)
        if unit.leftovers():
            report["leftovers"].append([point, *unit.leftovers()])
    sys.stdout.write(json.dumps({"points": point - 1, "ended_with": code, **report}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
