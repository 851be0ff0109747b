"""The local run: every unit as a process of its own, as many at once as the machine has cores (and GPUs) for.

A unit starts when the units that it follows are over. If one that it needs has failed, it is not started and says so;
everything else goes on.
"""

from __future__ import annotations

import enum
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import harness, progress
from common.artifacts import SCENE, Unit
from common.errors import ExitCode, GhostError, from_os_error
from common.manifest import Manifest, failure_key, read_failure, read_manifest
from common.published import Published
from common.stage import Stage, option_specs
from common.storage.interface import Storage
from workflows import pipeline

_ROOT = Path(__file__).parent.parent
_TERMINATE_S = 10.0  # what a stage gets to sweep its attempt before it is killed
_LAST_LINES = 3


class State(enum.Enum):
    """How a unit stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    UP_TO_DATE = "up to date"
    FAILED = "failed"
    BLOCKED = "not run"
    STOPPED = "stopped"

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self not in (State.WAITING, State.RUNNING)

    @property
    def good(self) -> bool:
        """Whether its result can be used."""
        return self in (State.DONE, State.UP_TO_DATE)


@dataclass
class UnitRun:
    """One unit of the run and what became of it."""

    stage: Stage
    scene: str
    video: str | None
    state: State = State.WAITING
    exit_code: int = ExitCode.DONE
    message: str = ""
    manifest: Manifest | None = None
    done: int = 0
    total: int = 0
    wall_s: float = 0.0
    to_run: bool = False  # known not to be up to date; only waits for room

    @property
    def title(self) -> str:
        """How tables call it."""
        return f"{self.stage.name} {self.scene}" + (f"/{self.video}" if self.video else "")


@dataclass(frozen=True)
class Request:
    """What `ghost run` was asked to do.

    Attributes:
        data: where the recordings are.
        output: where results go.
        scenes: names, checked.
        options: values given for options, by the option's name; per stage where a stage is named ("segment.backend").
        stages: the stages that take part.
        jobs: processes at once.
        gpus: GPUs on this machine.
        force: run units even if they are up to date.
    """

    data: Storage
    output: Storage
    scenes: tuple[str, ...]
    options: Mapping[str, Any]
    stages: tuple[Stage, ...]
    jobs: int
    gpus: int = 0
    force: bool = False


@dataclass
class LocalRun:
    """The run of a request. `listener` hears of every change, from the thread that called `run`."""

    request: Request
    listener: Callable[[UnitRun], None] = lambda unit: None
    units: list[UnitRun] = field(default_factory=list)
    _events: queue.Queue[Callable[[], None]] = field(default_factory=queue.Queue)
    _processes: dict[int, subprocess.Popen[str]] = field(default_factory=dict)
    _stopping: bool = False

    def run(self) -> None:
        """Works until every unit is over. If it is interrupted, all processes are stopped before it raises."""
        pipeline.check_order(self.request.stages)
        for scene in self.request.scenes:
            self.units += [UnitRun(s, scene, None) for s in self.request.stages if s.unit is Unit.SCENE]
        try:
            self._start_what_can()
            while any(unit.state is State.RUNNING for unit in self.units):
                self._events.get()()
        except BaseException:
            self._stop()
            raise

    def _start_what_can(self) -> None:
        progressed = True
        while progressed:
            progressed = False
            for unit in sorted(self.units, key=self._priority):
                if unit.state is State.WAITING and self._is_ready(unit):
                    progressed = self._start(unit) or progressed

    def _priority(self, unit: UnitRun) -> tuple[int, int]:
        """Scenes one after the other, and in a scene what is furthest along first: results come early."""
        return self.request.scenes.index(unit.scene), -self.request.stages.index(unit.stage)

    def _upstream(self, unit: UnitRun, stages: Sequence[Stage]) -> Iterator[UnitRun]:
        for other in self.units:
            same = other.video is None or unit.video is None or other.video == unit.video
            if other.scene == unit.scene and other.stage in stages and same:
                yield other

    def _is_ready(self, unit: UnitRun) -> bool:
        stages = pipeline.upstream(unit.stage, self.request.stages)
        return all(other.state.over for other in self._upstream(unit, stages))

    def _start(self, unit: UnitRun) -> bool:
        """Starts a unit, or settles it without a process. False if there is no room for it now."""
        if not unit.to_run and self._settle_without_running(unit):
            return True
        unit.to_run = True
        if not self._has_room(unit):
            return False
        unit.state = State.RUNNING
        self.listener(unit)
        threading.Thread(target=self._watch, args=(unit, self._command(unit)), daemon=True).start()
        return True

    def _settle_without_running(self, unit: UnitRun) -> bool:
        """Whether a unit is over without a process of its own: blocked, up to date, or impossible."""
        needs = pipeline.required(unit.stage, self.request.stages)
        broken = [other for other in self._upstream(unit, needs) if not other.state.good]
        # A scene stage works with the videos that there are; it is blocked only by what the scene itself lacks.
        blocking = [other for other in broken if other.video is None or unit.video is not None]
        if blocking:
            self._settle(
                unit, State.BLOCKED, ExitCode.INPUT_MISSING, f"{blocking[0].stage.name} {blocking[0].state.value}"
            )
            return True
        try:
            task = self._task(unit)
            manifest = None if self.request.force else harness.finished(task, harness.plan(task))
        except (GhostError, OSError) as error:
            known = error if isinstance(error, GhostError) else from_os_error(error)
            harness.record_failure(self._task(unit), known)
            self._settle(unit, State.FAILED, known.exit_code, str(known))
            return True
        if manifest is None:
            return False
        task.output.remove(failure_key(task.scene, task.stage.name, task.video))
        unit.manifest = manifest
        self._settle(unit, State.UP_TO_DATE, ExitCode.DONE, "")
        return True

    def _has_room(self, unit: UnitRun) -> bool:
        running = [other for other in self.units if other.state is State.RUNNING]
        if len(running) >= self.request.jobs:
            return False
        return not unit.stage.resources.gpu or sum(r.stage.resources.gpu for r in running) < max(1, self.request.gpus)

    def _task(self, unit: UnitRun) -> harness.Task:
        return harness.Task(
            stage=unit.stage,
            output=self.request.output,
            scene=unit.scene,
            video=unit.video,
            options=unit.stage.make_options(stage_options(unit.stage, self.request.options)),
            data=self.request.data if unit.stage.source else None,
        )

    def _command(self, unit: UnitRun) -> list[str]:
        command = [sys.executable, "-m", f"stages.{unit.stage.name}", f"--output-root={self.request.output.uri}"]
        command.append(f"--scene={unit.scene}")
        if unit.video is not None:
            command.append(f"--video={unit.video}")
        if unit.stage.source:
            command.append(f"--data-root={self.request.data.uri}")
        if self.request.force:
            command.append("--force")
        values = stage_options(unit.stage, self.request.options)
        for spec in option_specs(unit.stage.options):
            value = values.get(spec.name, spec.default)
            if spec.type is bool:
                command.append(spec.flag if value else f"--no-{spec.flag[2:]}")
            else:
                command.append(f"{spec.flag}={value}")
        return command

    def _watch(self, unit: UnitRun, command: list[str]) -> None:
        """Runs a unit's process to its end, in a thread of its own; hands what it hears to the main thread."""
        start = time.monotonic()
        environment = {**os.environ, progress.VARIABLE: "json", "PYTHONPATH": str(_ROOT)}
        lines: list[str] = []
        process = subprocess.Popen(  # noqa: S603 - our own interpreter, an argument list, names checked at the door
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        self._processes[id(unit)] = process
        if self._stopping:
            process.terminate()
        errors = threading.Thread(target=self._keep, args=(process, lines), daemon=True)
        errors.start()
        if process.stdout is not None:
            for line in process.stdout:
                self._events.put(self._progress_event(unit, line))
        code = process.wait()
        errors.join()
        self._events.put(lambda: self._ended(unit, code, lines, time.monotonic() - start))

    def _keep(self, process: subprocess.Popen[str], lines: list[str]) -> None:
        if process.stderr is not None:
            lines.extend(line.rstrip() for line in process.stderr)

    def _progress_event(self, unit: UnitRun, line: str) -> Callable[[], None]:
        def apply() -> None:
            try:
                event = json.loads(line)
                unit.done, unit.total = int(event["done"]), int(event["total"])
            except (ValueError, TypeError, KeyError):
                return  # a library wrote to stdout
            self.listener(unit)

        return apply

    def _ended(self, unit: UnitRun, code: int, lines: list[str], wall_s: float) -> None:
        self._conclude(unit, code, lines, wall_s)
        self._start_what_can()

    def _conclude(self, unit: UnitRun, code: int, lines: list[str], wall_s: float) -> None:
        del self._processes[id(unit)]
        unit.wall_s = wall_s
        self._write_log(unit, lines)
        if code == ExitCode.DONE:
            unit.manifest = read_manifest(self.request.output, unit.scene, unit.stage.name, unit.video)
            if unit.manifest is not None:
                self._settle(unit, State.DONE, code, "")
                return
            code, lines = ExitCode.BUG, [*lines, "it ended well, but left no manifest"]
        failure = read_failure(self.request.output, unit.scene, unit.stage.name, unit.video)
        last = " / ".join(line for line in lines[-_LAST_LINES:] if line.strip())
        message = failure.message if failure is not None else last or f"ended with {code}"
        if failure is None and code not in (ExitCode.TERMINATED, ExitCode.DONE):
            message = f"{_died(code)} {message}".strip()
            harness.record_failure(self._task(unit), _unexplained(message, code))
        self._settle(unit, State.FAILED, code, message)

    def _write_log(self, unit: UnitRun, lines: list[str]) -> None:
        name = f"{unit.stage.name}.{unit.video}" if unit.video else unit.stage.name
        try:
            self.request.output.write(f"{unit.scene}/_logs/{name}.log", ("\n".join(lines) + "\n").encode())
        except OSError:
            return  # a full disk has been reported by the unit itself

    def _settle(self, unit: UnitRun, state: State, code: int, message: str) -> None:
        unit.state, unit.exit_code, unit.message = state, code, message
        if state.good and SCENE in unit.stage.writes:
            self._add_videos(unit.scene)
        self.listener(unit)

    def _add_videos(self, scene: str) -> None:
        """Once ingest is over the videos are known, and with them the units of the stages that cover one."""
        videos = sorted(Published(self.request.output, scene).load_scene().videos)
        stages = [stage for stage in self.request.stages if stage.unit is Unit.VIDEO]
        self.units += [UnitRun(stage, scene, video) for video in videos for stage in stages]

    def _stop(self) -> None:
        """Ends every process: politely first, so that they sweep their attempts."""
        self._stopping = True
        processes = list(self._processes.values())
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + _TERMINATE_S
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        for unit in self.units:
            if not unit.state.over:
                unit.state, unit.exit_code = State.STOPPED, ExitCode.TERMINATED


def stage_options(stage: Stage, options: Mapping[str, Any]) -> dict[str, Any]:
    """The given options that a stage has; "segment.backend" counts for segment alone and wins over "backend"."""
    names = [spec.name for spec in option_specs(stage.options)]
    plain = {name: options[name] for name in names if name in options}
    named = {name: options[f"{stage.name}.{name}"] for name in names if f"{stage.name}.{name}" in options}
    return {**plain, **named}


def _died(code: int) -> str:
    """What a return code says about a process that did not explain itself."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        hint = " (out of memory? Try fewer --jobs.)" if code == -signal.SIGKILL else ""
        return f"killed by {name}{hint}."
    return ""


def _unexplained(message: str, code: int) -> GhostError:
    error = GhostError(message or f"ended with exit code {code}")
    if code in list(ExitCode):
        error.exit_code = ExitCode(code)
    return error
