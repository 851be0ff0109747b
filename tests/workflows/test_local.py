from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from common.errors import DiskError, Terminated
from common.stage import Stage, Unit, option
from workflows import local
from workflows.local import LocalRun
from workflows.units import Request, State, UnitRun

ROOT = Path(__file__).parents[2]


class _Output:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def write(self, key: str, content: bytes) -> None:
        raise self.error


def _write_log(error: Exception) -> None:
    run = SimpleNamespace(request=SimpleNamespace(output=_Output(error)))
    unit = SimpleNamespace(stage=SimpleNamespace(name="frames"), video="cam01", scene="take", title="frames take/cam01")
    LocalRun._write_log(run, unit, ["a line"])  # type: ignore[arg-type]  # what it touches, and no more


def test_a_signal_that_arrives_while_a_log_is_written_ends_the_run():
    with pytest.raises(Terminated):
        _write_log(Terminated("stopped by SIGTERM"))


def test_a_log_that_cannot_be_written_is_a_warning(caplog: pytest.LogCaptureFixture):
    _write_log(DiskError("no space left"))
    assert "could not be kept: no space left" in caplog.text


class _Process:
    """A unit's process that has ended well as soon as anybody asks."""

    def __init__(self, stage: str, arguments: Sequence[str], *, environment: Mapping[str, str]) -> None:
        self.gpu = environment.get("CUDA_VISIBLE_DEVICES")
        self.events: list[str] = []
        self.log: list[str] = []

    def wait(self, timeout: float | None = None) -> int:
        return 0


@dataclasses.dataclass(frozen=True)
class _Options:
    backend: str = option("large", help="models", choices=("small", "large"))


def _stage(name: str, **more: Any) -> Stage:
    return Stage(name, name, Unit.SCENE, (), (), run=lambda workspace, options: None, options=_Options, **more)


def _without_results(monkeypatch: pytest.MonkeyPatch, process: type[_Process]) -> None:
    """Units neither read nor write: each runs as such a process and is done."""
    monkeypatch.setattr(local, "UnitProcess", process)
    monkeypatch.setattr(LocalRun, "_settle_without_running", lambda self, scene, unit: False)
    monkeypatch.setattr(LocalRun, "_arguments", lambda self, unit: [])
    monkeypatch.setattr(LocalRun, "_write_log", lambda self, unit, lines: None)
    monkeypatch.setattr(
        LocalRun, "_conclude", lambda self, scene, unit, code, lines: self._settle(scene, unit, State.DONE, 0, "")
    )


def test_units_are_spread_over_the_gpus_and_others_do_not_wait_for_one(monkeypatch: pytest.MonkeyPatch):
    _without_results(monkeypatch, _Process)
    stages = (_stage("plain"), _stage("models", uses_gpu=lambda options: options.backend == "large"))
    scenes = tuple(f"take_{number}" for number in range(5))
    nowhere: Any = None
    run = LocalRun(Request(nowhere, nowhere, {}, stages, scenes, jobs=8, gpus=("GPU-a", "GPU-b")))
    seen: list[list[tuple[str, str | None]]] = []

    def listen(unit: UnitRun) -> None:
        running = [other for other in run.units if id(other) in run._processes]
        seen.append([(other.stage.name, run._processes[id(other)].gpu) for other in running])

    run.listener = listen
    run.run()
    assert all(unit.state is State.DONE for unit in run.units)
    on_gpus = [sorted(str(gpu) for name, gpu in moment if name == "models") for moment in seen]
    assert ["GPU-a", "GPU-b"] in on_gpus, "never two at once"
    assert all(len(set(moment)) == len(moment) for moment in on_gpus), "two units on one GPU"
    assert {gpu for moment in seen for name, gpu in moment if name == "plain"} == {None}
    assert max(sum(name == "plain" for name, _ in moment) for moment in seen) == 5, "a unit without a GPU had to wait"


@pytest.mark.parametrize("gpus", [("GPU-a",), ()], ids=str)
def test_a_process_that_ends_gives_way_to_a_unit_for_an_idle_gpu(
    monkeypatch: pytest.MonkeyPatch, gpus: tuple[str, ...]
):
    """Whichever scene the unit belongs to; without a GPU results of the first scenes come first."""
    _without_results(monkeypatch, _Process)
    stages = (_stage("models", uses_gpu=lambda options: options.backend == "large"), _stage("plain"))
    nowhere: Any = None
    run = LocalRun(Request(nowhere, nowhere, {}, stages, ("a", "b"), jobs=1, gpus=gpus))
    order: list[str] = []
    run.listener = lambda unit: order.append(f"{unit.stage.name} {unit.scene}") if unit.state is State.RUNNING else None
    run.run()
    first = ["models a", "models b"] if gpus else ["plain a", "models a"]
    assert order[:2] == first, order


def test_a_model_for_gpus_on_the_cpu_starts_with_its_share_of_the_cores(monkeypatch: pytest.MonkeyPatch):
    told: dict[str, Mapping[str, str]] = {}

    class Process(_Process):
        def __init__(self, stage: str, arguments: Sequence[str], *, environment: Mapping[str, str]) -> None:
            super().__init__(stage, arguments, environment=environment)
            told[stage] = environment

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(local, "usable_cores", lambda: 8)
    _without_results(monkeypatch, Process)
    stages = (_stage("plain"), _stage("models", uses_gpu=lambda options: options.backend == "large"))
    nowhere: Any = None
    LocalRun(Request(nowhere, nowhere, {}, stages, ("take",), jobs=2)).run()
    assert told == {"plain": {}, "models": {"OMP_NUM_THREADS": "4"}}


def test_a_unit_that_cannot_be_started_gives_its_gpu_back(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(local, "UnitProcess", refuse)
    monkeypatch.setattr(LocalRun, "_settle_without_running", lambda self, scene, unit: False)
    monkeypatch.setattr(LocalRun, "_arguments", lambda self, unit: [])
    monkeypatch.setattr(
        LocalRun, "_fail", lambda self, scene, unit, error: self._settle(scene, unit, State.FAILED, 74, "")
    )
    nowhere: Any = None
    stages = (_stage("models", uses_gpu=lambda options: True),)
    run = LocalRun(Request(nowhere, nowhere, {}, stages, ("a", "b", "c"), jobs=8, gpus=("GPU-a",)))
    run.run()
    assert [unit.state for unit in run.units] == [State.FAILED] * 3


_HELP_LINES = """
import os
from workflows.unit_process import UnitProcess

def lines(environment):
    process = UnitProcess("frames", ["--help"], environment=environment)
    with process.events, process.log:
        number = len(list(process.events))
    assert process.wait() == 0
    return number

print(lines({"COLUMNS": "30"}), lines({}), os.environ.get("COLUMNS"))
"""


def test_variables_of_a_unit_are_there_before_its_command_looks_and_nowhere_else():
    """COLUMNS is how wide a command's help may be."""
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run(
        [sys.executable, "-c", _HELP_LINES], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    narrow, wide, own = done.stdout.split()
    assert int(narrow) > int(wide)
    assert own == "None"
