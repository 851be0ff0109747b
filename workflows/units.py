"""The units of a run: which there are, how each stands, and what was asked of the run."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import ExitCode
from common.manifest import Manifest
from common.plan import Task
from common.published import Published
from common.stage import Stage, option_specs
from common.storage.interface import Storage


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
    started: datetime.datetime | None = None
    to_run: bool = False  # known not to be up to date; only waits for room

    @property
    def title(self) -> str:
        """How tables call it."""
        return f"{self.stage.name} {self.scene}" + (f"/{self.video}" if self.video else "")


@dataclass(frozen=True)
class Asked:
    """What every unit of a run was asked to do, on whichever engine.

    Attributes:
        data: where the recordings are.
        output: where results go.
        options: values given for options, by the option's name; for one stage where it is named ("segment.backend").
        stages: the stages that take part, in order.
    """

    data: Storage
    output: Storage
    options: Mapping[str, Any]
    stages: tuple[Stage, ...]

    def task(self, stage: Stage, scene: str, video: str | None) -> Task:
        """What the harness is told about one unit."""
        options = stage.make_options(stage_options(stage, self.options))
        return Task(stage, self.output, scene, video, options, self.data if stage.source else None)


@dataclass(frozen=True)
class Request(Asked):
    """What `ghost run` was asked to do.

    Attributes:
        scenes: names, checked.
        jobs: processes at once.
        gpus: names of the GPUs to work on, one process on each at a time.
        force: run units even if they are up to date.
    """

    scenes: tuple[str, ...]
    jobs: int
    gpus: tuple[str, ...] = ()
    force: bool = False


@dataclass
class SceneRun:
    """The units of one scene, and what is known of its workspace since it last changed."""

    name: str
    units: list[UnitRun]
    published: Published | None = None

    def before(self, unit: UnitRun, stages: Sequence[Stage]) -> Iterator[UnitRun]:
        """The units of these stages that concern the same video, or the scene."""
        for other in self.units:
            if other.stage in stages and (other.video is None or unit.video in (None, other.video)):
                yield other


def is_complete(units: Collection[UnitRun]) -> bool:
    """Whether everything is done: no unit failed or was left out, and ingest refused no file for its name."""
    return all(unit.state.good for unit in units) and not any(
        unit.manifest.found.get("refused") for unit in units if unit.manifest is not None
    )


def stage_options(stage: Stage, options: Mapping[str, Any]) -> dict[str, Any]:
    """The given options that a stage has; "segment.backend" counts for segment alone and wins over "backend"."""
    names = [spec.name for spec in option_specs(stage.options)]
    plain = {name: options[name] for name in names if name in options}
    named = {name: options[f"{stage.name}.{name}"] for name in names if f"{stage.name}.{name}" in options}
    return {**plain, **named}
