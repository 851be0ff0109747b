"""The end of a run on a cluster: judges every unit of a scene, leaves a record of those that could not, reports.

An engine knows which of its pods or jobs failed, not what that means: Argo calls a run a success in which a camera was
lost, and a process that was killed has told nobody why. What counts is in the workspace.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common import harness
from common.artifacts import Unit
from common.errors import (
    BadInput,
    ExitCode,
    GhostError,
    InputMissing,
    ModelUnavailable,
    TemporaryFailure,
    Terminated,
)
from common.manifest import Manifest, read_failure
from common.plan import Plan, plan
from common.published import Published
from common.stage import Stage
from workflows import pipeline
from workflows.units import Asked, State, UnitRun

_UNEXPLAINED = "it ended without a word: killed for want of memory or time, or never started"
_ADVICE = "Run the same command again: what is done is kept."
_DETERMINES = ("inputs", "options", "weights", "code")  # versions of packages aside: images have those of their stage
_MOST_REASONS = 3


@dataclass(frozen=True)
class EngineFailure:
    """What an engine says about something that it ran.

    Attributes:
        step: the stage, as far as the engine says.
        video: of which video; "" if it does not say.
        text: in its own words.
    """

    step: str
    video: str
    text: str


def close(asked: Asked, scene: str, *, failures: Sequence[EngineFailure] = ()) -> list[UnitRun]:
    """Judges all units, records the failures of which there is no record, writes the report.

    Args:
        asked: what was asked for.
        scene: of which scene.
        failures: what the engine says, for units that said nothing themselves.

    Returns:
        The units as they stand, the report last.
    """
    published = Published(asked.output, scene)
    units: list[UnitRun] = []
    for stage in (stage for stage in asked.stages if not stage.history):
        for video in _videos(published) if stage.unit is Unit.VIDEO else (None,):
            units.append(_judge(asked, published, UnitRun(stage, scene, video), units, failures))
    reports = [_write(asked, UnitRun(stage, scene, None)) for stage in asked.stages if stage.history]
    return units + reports


def _videos(published: Published) -> tuple[str, ...]:
    """The scene's videos; none if ingest has no current result."""
    try:
        return tuple(sorted(published.load_scene().videos))
    except (InputMissing, BadInput):
        return ()


def _judge(
    asked: Asked, published: Published, unit: UnitRun, before: Sequence[UnitRun], failures: Sequence[EngineFailure]
) -> UnitRun:
    """Sets how a unit stands, given those before it."""
    task = asked.task(unit.stage, unit.scene, unit.video)
    failure = read_failure(asked.output, unit.scene, unit.stage.name, unit.video)
    needs = pipeline.required(unit.stage, asked.stages)
    blocking = next((other for other in before if _blocks(other, unit, needs)), None)
    manifest = published.intact(unit.stage.name, unit.video)
    if failure is not None:
        return _failed(unit, failure.exit_code, failure.message)
    if blocking is not None:
        unit.state, unit.exit_code = State.BLOCKED, ExitCode.INPUT_MISSING
        unit.message = f"{blocking.stage.name} {blocking.state.value}"
        return unit
    try:
        planned = plan(task, published)
    except (Terminated, TemporaryFailure):
        raise  # of the close itself: it can be run again
    except ModelUnavailable as error:  # here: a result that is there is not to be blamed for it
        if manifest is None:
            harness.record_failure(task, error)
        return _failed(unit, error.exit_code, str(error))
    except GhostError as error:
        harness.record_failure(task, error)
        return _failed(unit, error.exit_code, str(error))
    if manifest is None:
        reasons = [one.text for one in failures if one.step == unit.stage.name and one.video in ("", unit.video)]
        said = "; ".join(list(dict.fromkeys(reasons))[:_MOST_REASONS])
        killed = TemporaryFailure(f"{_UNEXPLAINED}{f' ({said})' if said else ''}. {_ADVICE}")
        harness.record_failure(task, killed)
        return _failed(unit, killed.exit_code, str(killed))
    others = differences(manifest, planned)
    if others:  # a result all the same, so nothing is recorded against it
        return _failed(unit, ExitCode.TEMPORARY, f"its result was made with other {', '.join(others)}. {_ADVICE}")
    unit.state, unit.manifest, unit.wall_s = State.DONE, manifest, manifest.record.wall_s
    return unit


def _failed(unit: UnitRun, code: int, message: str) -> UnitRun:
    unit.state, unit.exit_code, unit.message = State.FAILED, code, message
    return unit


def _blocks(other: UnitRun, unit: UnitRun, needs: Sequence[Stage]) -> bool:
    """Whether a unit could not run because of another. A scene's unit works with the videos that there are."""
    concerns = other.video is None or other.video == unit.video
    return other.stage in needs and concerns and not other.state.good


def differences(manifest: Manifest, planned: Plan) -> tuple[str, ...]:
    """In what a result differs from what was asked for: "inputs", "options", "weights", "code"."""
    return tuple(name for name in _DETERMINES if getattr(manifest, name) != getattr(planned, name))


def _write(asked: Asked, unit: UnitRun) -> UnitRun:
    """Runs a unit here and now: the report's."""
    try:
        unit.manifest = harness.execute(asked.task(unit.stage, unit.scene, unit.video)).manifest
        unit.state, unit.wall_s = State.DONE, unit.manifest.record.wall_s
    except Terminated:
        raise
    except GhostError as error:
        return _failed(unit, error.exit_code, str(error))
    return unit


def engine_failures_of(text: str) -> list[EngineFailure]:
    """What Argo passes as {{workflow.failures}}, a JSON list inside a JSON string, or the list alone (SLURM driver).

    Anything else is one failure of no stage: it comes from outside and is only shown.
    """
    try:
        decoded = json.loads(text)
        entries = json.loads(decoded) if isinstance(decoded, str) else decoded
        return [_engine_failure(entry) for entry in entries or ()]
    except (ValueError, TypeError, KeyError, RecursionError):
        return [EngineFailure("", "", text)] if text.strip() else []


def _engine_failure(entry: Mapping[str, str]) -> EngineFailure:
    """Argo names the template; the SLURM driver has "stage video" for a name."""
    name = entry["displayName"]
    step, _, video = name.partition(" ")
    return EngineFailure(entry.get("templateName") or step, video, f"{name}: {entry['message']}")
