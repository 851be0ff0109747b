"""The end of a run on a cluster: judges every unit of a scene, leaves a record of those that could not, reports.

An engine knows which of its pods or jobs failed, not what that means: Argo calls a run a success in which a camera was
lost, and a process that was killed has told nobody why. What counts is in the workspace.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from common import harness
from common.artifacts import Unit
from common.errors import BadInput, ExitCode, GhostError, InputMissing, TemporaryFailure, Terminated
from common.manifest import Manifest, read_failure
from common.plan import Plan, plan
from common.published import Published
from common.stage import Stage
from workflows import pipeline
from workflows.units import Asked, State, UnitRun

_UNEXPLAINED = "it ended without a word: killed for want of memory or time, or never started"
_ADVICE = "Run the same command again: what is done is kept."


def close(asked: Asked, scene: str, *, why: str = "") -> list[UnitRun]:
    """Judges all units, records the failures of which there is no record, writes the report.

    Args:
        asked: what was asked for.
        scene: of which scene.
        why: what the engine says about failures, for units that said nothing themselves.

    Returns:
        The units as they stand, the report last.
    """
    published = Published(asked.output, scene)
    units: list[UnitRun] = []
    for stage in (stage for stage in asked.stages if not stage.history):
        for video in _videos(published) if stage.unit is Unit.VIDEO else (None,):
            units.append(_judge(asked, published, UnitRun(stage, scene, video), units, why))
    reports = [_write(asked, UnitRun(stage, scene, None)) for stage in asked.stages if stage.history]
    return units + reports


def _videos(published: Published) -> tuple[str, ...]:
    """The scene's videos; none if ingest has no current result."""
    try:
        return tuple(sorted(published.load_scene().videos))
    except (InputMissing, BadInput):
        return ()


def _judge(asked: Asked, published: Published, unit: UnitRun, before: Sequence[UnitRun], why: str) -> UnitRun:
    """Sets how a unit stands, given those before it."""
    failure = read_failure(asked.output, unit.scene, unit.stage.name, unit.video)
    needs = pipeline.required(unit.stage, asked.stages)
    blocking = next((other for other in before if _blocks(other, unit, needs)), None)
    if failure is not None:
        unit.state, unit.exit_code, unit.message = State.FAILED, failure.exit_code, failure.message
    elif blocking is not None:
        unit.state, unit.exit_code = State.BLOCKED, ExitCode.INPUT_MISSING
        unit.message = f"{blocking.stage.name} {blocking.state.value}"
    elif (manifest := _result(asked, published, unit)) is not None:
        unit.state, unit.manifest, unit.wall_s = State.DONE, manifest, manifest.record.wall_s
    else:
        error = TemporaryFailure(f"{_UNEXPLAINED}{f' ({why})' if why else ''}. {_ADVICE}")
        harness.record_failure(asked.task(unit.stage, unit.scene, unit.video), error)
        unit.state, unit.exit_code, unit.message = State.FAILED, error.exit_code, str(error)
    return unit


def _blocks(other: UnitRun, unit: UnitRun, needs: Sequence[Stage]) -> bool:
    """Whether a unit could not run because of another. A scene's unit works with the videos that there are."""
    concerns = other.video is None or other.video == unit.video
    return other.stage in needs and concerns and not other.state.good


def _result(asked: Asked, published: Published, unit: UnitRun) -> Manifest | None:
    """The unit's result, if it is the one that was asked for."""
    manifest = published.intact(unit.stage.name, unit.video)
    try:
        planned = plan(asked.task(unit.stage, unit.scene, unit.video), published)
    except (InputMissing, BadInput):
        return None
    return manifest if manifest is not None and is_result_of(manifest, planned) else None


def is_result_of(manifest: Manifest, planned: Plan) -> bool:
    """Whether a manifest is of this plan, versions of packages aside: every image has those of its own stage."""
    names = ("inputs", "options", "weights", "code")
    return all(getattr(manifest, name) == getattr(planned, name) for name in names)


def _write(asked: Asked, unit: UnitRun) -> UnitRun:
    """Runs a unit here and now: the report's."""
    try:
        unit.manifest = harness.execute(asked.task(unit.stage, unit.scene, unit.video)).manifest
        unit.state, unit.wall_s = State.DONE, unit.manifest.record.wall_s
    except Terminated:
        raise
    except GhostError as error:
        unit.state, unit.exit_code, unit.message = State.FAILED, error.exit_code, str(error)
    return unit


def engine_failures_of(text: str) -> list[str]:
    """One line for each pod in what Argo passes as {{workflow.failures}}: a JSON list inside a JSON string.

    Anything else is returned as it is: it comes from outside and is only shown.
    """
    try:
        decoded = json.loads(text)
        entries = json.loads(decoded) if isinstance(decoded, str) else decoded
        return [f"{entry['displayName']}: {entry['message']}" for entry in entries or ()]
    except (ValueError, TypeError, KeyError, RecursionError):
        return [text] if text.strip() else []
