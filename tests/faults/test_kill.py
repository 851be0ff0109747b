"""SIGKILL at any moment leaves a whole result or none, and the next run completes it, byte for byte."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.unit import ROOT, SlowUnit

KILLS = int(os.environ.get("GHOST_TEST_KILLS", "40"))
SEED = int(os.environ.get("GHOST_TEST_SEED", "1"))


def test_killed_at_any_moment_it_leaves_a_whole_result_or_none(tmp_path: Path) -> None:
    unit, moments = SlowUnit(tmp_path), random.Random(SEED)  # noqa: S311
    started = time.monotonic()
    assert unit.run(content="one")[0] == 0
    longest = time.monotonic() - started
    expected = {"one": unit.promised()}
    assert unit.run(content="two")[0] == 0
    expected["two"] = unit.promised()
    torn, killed = [], 0
    for attempt in range(KILLS):
        content = ("one", "two")[attempt % 2]  # always over an older result of other content
        with unit.start(content=content) as process:
            try:
                process.wait(moments.uniform(0, 1.1 * longest))
            except subprocess.TimeoutExpired:
                process.kill()
                killed += 1
            process.communicate()
        promised = unit.promised()
        if promised is not None and promised != unit.files():
            torn.append(attempt)
        assert promised in (None, *expected.values())
        code, errors = unit.run(content=content)
        assert code == 0, errors
        assert unit.promised() == expected[content] == unit.files(), f"kill {attempt}: the next run did not complete it"
        assert unit.leftovers() == [], f"kill {attempt}"
    assert not torn, f"{len(torn)} of {KILLS} kills left a manifest that does not match its files"
    assert killed > KILLS // 4, f"only {killed} of {KILLS} were killed before their end: the test proves little"


def test_killed_at_each_step_of_publishing_it_leaves_a_whole_result_or_none(tmp_path: Path) -> None:
    """Random moments seldom hit the few milliseconds of publishing: here each of its system calls is one."""
    command = [sys.executable, "-m", "tests.faults.crash_points", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["points"] > 25, report
    assert len(report["without_manifest"]) > 5, "no kill fell between the old manifest and the new one"
    assert report["torn"] == [], report
    assert report["not_completed"] == [], report
    assert report["leftovers"] == [], report


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_sweeps_and_says_143(tmp_path: Path, number: signal.Signals) -> None:
    unit = SlowUnit(tmp_path)
    with unit.start(wait="", environment={"GHOST_PROGRESS": "json"}) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"done": 1, "total": 20, "label": "files"}
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 143, errors
    assert f"stopped by {number.name}; nothing half-finished is left. Run again to go on." in errors
    assert len(errors.splitlines()) == 1
    assert unit.manifest() is None
    assert unit.files() == {}
    assert unit.leftovers() == [], "and no note of a failure either"


def test_when_the_program_above_is_gone_it_stops_and_sweeps(tmp_path: Path) -> None:
    unit = SlowUnit(tmp_path)
    with unit.start(wait="", environment={"GHOST_PROGRESS": "json"}) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        process.stdin.write("\n" * 20)
        process.stdin.close()
        process.wait(30)
        assert process.stderr is not None
        errors = process.stderr.read()
    assert process.returncode == 143, errors
    assert "the program that started this one is gone" in errors
    assert len(errors.splitlines()) == 1, errors
    assert unit.leftovers() == []
