"""The local run: every unit as a process of its own, as many at once as the machine has cores (and GPUs) for.

A unit starts when the units that it follows are over. If one that it needs has failed, it is not started and says so;
everything else goes on.
"""

from __future__ import annotations

import datetime
import json
import logging
import queue
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from common import harness
from common.artifacts import SCENE, Unit
from common.errors import ExitCode, GhostError, TemporaryFailure, Terminated, from_os_error
from common.manifest import failure_key, read_failure, read_manifest
from common.published import Published
from common.stage import Stage, option_specs
from workflows import pipeline
from workflows.machine import GpuPlaces, gpus_of, model_threads, usable_cores
from workflows.unit_process import UnitProcess
from workflows.units import Request, SceneRun, State, UnitRun, stage_options

_LOG = logging.getLogger("ghost")
_TERMINATE_S = 10.0  # what a stage gets to sweep its attempt before it is killed
_LAST_LINES = 3


@dataclass
class LocalRun:
    """The run of a request. `listener` hears of every change, from the thread that called `run`."""

    request: Request
    listener: Callable[[UnitRun], None] = lambda unit: None
    units: list[UnitRun] = field(default_factory=list)
    _scenes: dict[str, SceneRun] = field(default_factory=dict)
    _events: queue.Queue[Callable[[], None]] = field(default_factory=queue.Queue)
    _processes: dict[int, UnitProcess] = field(default_factory=dict)
    _gpus: GpuPlaces = field(init=False)

    def __post_init__(self) -> None:
        threads = model_threads(cores=usable_cores(), jobs=self.request.jobs)
        self._gpus = GpuPlaces(self.request.gpus, on_cpu=threads)

    def run(self) -> None:
        """Works until every unit is over. If it is interrupted, all processes are stopped before it raises."""
        pipeline.check_order(self.request.stages)
        for name in self.request.scenes:
            scene = SceneRun(name, [UnitRun(s, name, None) for s in self.request.stages if s.unit is Unit.SCENE])
            self._scenes[name] = scene
            self.units += scene.units
        try:
            self._start_what_can()
            while self._processes:
                self._events.get()()
        except BaseException:
            self._stop()
            raise

    def _start_what_can(self) -> None:
        """Scenes one after the other, and in a scene what is furthest along first: results come early.

        Units that work on a GPU come before all others of all scenes: a process that ends is never given to another
        unit while a GPU has nothing to do.
        """
        request = self.request
        on_gpu = [stage for stage in request.stages if gpus_of(stage, request.options, request.gpus)]
        for stages in (on_gpu, request.stages):
            for scene in list(self._scenes.values()):
                self._start_in(scene, stages)
                if len(self._processes) >= request.jobs:
                    return

    def _start_in(self, scene: SceneRun, stages: Sequence[Stage]) -> None:
        """Starts what can be started of these stages in a scene, as long as there is room."""
        progressed = True
        while progressed and len(self._processes) < self.request.jobs:
            progressed = False
            for unit in sorted(scene.units, key=lambda unit: -self.request.stages.index(unit.stage)):
                if unit.stage in stages and unit.state is State.WAITING and self._is_ready(scene, unit):
                    progressed = self._start(scene, unit) or progressed
        if all(unit.state.over for unit in scene.units):
            del self._scenes[scene.name]

    def _is_ready(self, scene: SceneRun, unit: UnitRun) -> bool:
        stages = pipeline.upstream(unit.stage, self.request.stages)
        return all(other.state.over for other in scene.before(unit, stages))

    def _start(self, scene: SceneRun, unit: UnitRun) -> bool:
        """Starts a unit, or settles it without a process. False if there is no room for it now."""
        try:
            if not unit.to_run and self._settle_without_running(scene, unit):
                return True
            unit.to_run = True
            if len(self._processes) >= self.request.jobs:
                return False
            place = self._gpus.take(id(unit), unit.stage, self.request.options)
            if place is None:
                return False
            process = UnitProcess(unit.stage.name, self._arguments(unit), environment=place.environment)
        except Terminated:
            raise  # a signal may arrive anywhere: it is not this unit's failure
        except (GhostError, OSError) as error:
            self._gpus.leave(id(unit))
            self._fail(scene, unit, error if isinstance(error, GhostError) else from_os_error(error))
            return True
        self._processes[id(unit)] = process
        unit.state, unit.started = State.RUNNING, datetime.datetime.now(datetime.UTC)
        self.listener(unit)
        threading.Thread(target=self._watch, args=(scene, unit, process), daemon=True).start()
        return True

    def _settle_without_running(self, scene: SceneRun, unit: UnitRun) -> bool:
        """Whether a unit is over without a process of its own: blocked, or up to date."""
        needs = pipeline.required(unit.stage, self.request.stages)
        broken = [other for other in scene.before(unit, needs) if not other.state.good]
        # A scene stage works with the videos that there are; it is blocked only by what the scene itself lacks.
        blocking = [other for other in broken if other.video is None or unit.video is not None]
        if blocking:
            reason = f"{blocking[0].stage.name} {blocking[0].state.value}"
            self._settle(scene, unit, State.BLOCKED, ExitCode.INPUT_MISSING, reason)
            return True
        if scene.published is None:
            self.request.output.sweep(scene.name)
            scene.published = Published(self.request.output, scene.name)
        task = self._task(unit)
        planned = harness.plan(task, scene.published)
        manifest = None if self.request.force else harness.finished(task, planned, scene.published)
        if manifest is None:
            return False
        task.output.remove(failure_key(task.scene, task.stage.name, task.video))
        unit.manifest = manifest
        self._settle(scene, unit, State.UP_TO_DATE, ExitCode.DONE, "")
        return True

    def _task(self, unit: UnitRun) -> harness.Task:
        return self.request.task(unit.stage, unit.scene, unit.video)

    def _arguments(self, unit: UnitRun) -> list[str]:
        arguments = [f"--output-root={self.request.output.uri}", f"--scene={unit.scene}"]
        if unit.video is not None:
            arguments.append(f"--video={unit.video}")
        if unit.stage.source:
            arguments.append(f"--data-root={self.request.data.uri}")
        if self.request.force:
            arguments.append("--force")
        values = stage_options(unit.stage, self.request.options)
        for spec in option_specs(unit.stage.options):
            value = values.get(spec.name, spec.default)
            if spec.type is bool:
                arguments.append(spec.flag if value else f"--no-{spec.flag[2:]}")
            else:
                arguments.append(f"{spec.flag}={value}")
        return arguments

    def _watch(self, scene: SceneRun, unit: UnitRun, process: UnitProcess) -> None:
        """Follows a unit's process to its end, in a thread of its own; hands what it hears to the main thread."""
        start = time.monotonic()
        lines: list[str] = []
        keeper = threading.Thread(target=lambda: lines.extend(line.rstrip() for line in process.log), daemon=True)
        keeper.start()
        try:
            for line in process.events:
                self._events.put(self._progress_event(unit, line))
            keeper.join()
        finally:
            code = process.wait()
            wall_s = time.monotonic() - start
            self._events.put(lambda: self._ended(scene, unit, ExitCode.BUG if code is None else code, lines, wall_s))

    def _progress_event(self, unit: UnitRun, line: str) -> Callable[[], None]:
        def apply() -> None:
            try:
                event = json.loads(line)
                unit.done, unit.total = int(event["done"]), int(event["total"])
            except (ValueError, TypeError, KeyError):
                return  # a library wrote to stdout
            self.listener(unit)

        return apply

    def _ended(self, scene: SceneRun, unit: UnitRun, code: int, lines: list[str], wall_s: float) -> None:
        del self._processes[id(unit)]
        self._gpus.leave(id(unit))
        unit.wall_s, scene.published = wall_s, None  # the workspace has changed: look again
        self._write_log(unit, lines)
        try:
            self._conclude(scene, unit, code, lines)
        except Terminated:
            raise
        except (GhostError, OSError) as error:
            self._fail(scene, unit, error if isinstance(error, GhostError) else from_os_error(error))
        self._start_what_can()

    def _conclude(self, scene: SceneRun, unit: UnitRun, code: int, lines: list[str]) -> None:
        if code == ExitCode.DONE:
            unit.manifest = read_manifest(self.request.output, unit.scene, unit.stage.name, unit.video)
            if unit.manifest is None:
                raise GhostError(f"{unit.title} ended well, but left no manifest.")
            self._settle(scene, unit, State.DONE, code, "")
            return
        failure = read_failure(self.request.output, unit.scene, unit.stage.name, unit.video)
        if failure is not None and failure.exit_code == code and _since(failure.when, unit.started):
            self._settle(scene, unit, State.FAILED, code, failure.message)
            return
        self._fail(scene, unit, _unexplained(code, [line for line in lines if line.strip()]))

    def _fail(self, scene: SceneRun, unit: UnitRun, error: GhostError) -> None:
        """Settles a unit that could not explain itself, and leaves its failure where the report finds it."""
        if not isinstance(error, Terminated):
            harness.record_failure(self._task(unit), error)
        self._settle(scene, unit, State.FAILED, error.exit_code, str(error))

    def _write_log(self, unit: UnitRun, lines: list[str]) -> None:
        name = f"{unit.stage.name}.{unit.video}" if unit.video else unit.stage.name
        try:
            self.request.output.write(f"{unit.scene}/_logs/{name}.log", ("\n".join(lines) + "\n").encode())
        except Terminated:
            raise  # swallowed here, the run would go on
        except (GhostError, OSError) as error:
            _LOG.warning("the log of %s could not be kept: %s", unit.title, error)

    def _settle(self, scene: SceneRun, unit: UnitRun, state: State, code: int, message: str) -> None:
        unit.state, unit.exit_code, unit.message = state, code, message
        if state.good and SCENE in unit.stage.writes:
            self._add_videos(scene)
        self.listener(unit)

    def _add_videos(self, scene: SceneRun) -> None:
        """Once ingest is over the videos are known, and with them the units of the stages that cover one."""
        videos = sorted(Published(self.request.output, scene.name).load_scene().videos)
        stages = [stage for stage in self.request.stages if stage.unit is Unit.VIDEO]
        found = [UnitRun(stage, scene.name, video) for video in videos for stage in stages]
        scene.units += found
        self.units += found

    def _stop(self) -> None:
        """Ends every process: politely first, so that they sweep their attempts."""
        processes = list(self._processes.values())
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + _TERMINATE_S
        for process in processes:
            if process.wait(max(0.0, deadline - time.monotonic())) is None:
                process.kill()
        for unit in self.units:
            if not unit.state.over:
                unit.state, unit.exit_code = State.STOPPED, ExitCode.TERMINATED


def _since(when: str, started: datetime.datetime | None) -> bool:
    """Whether a record was made by the attempt that started then; records count whole seconds."""
    return started is None or datetime.datetime.fromisoformat(when) >= started.replace(microsecond=0)


def _unexplained(code: int, lines: Sequence[str]) -> GhostError:
    """What to say about a process that ended without a record of why."""
    last = " / ".join(lines[-_LAST_LINES:]) or f"it ended with exit code {code}"
    if code == -signal.SIGKILL:
        return TemporaryFailure("killed from outside, probably for want of memory. Try again with fewer --jobs.")
    if code < 0:
        return GhostError(f"killed by signal {-code}. {last}")
    error = Terminated(last) if code == ExitCode.TERMINATED else GhostError(last)
    if code in list(ExitCode):
        error.exit_code = ExitCode(code)
    return error
