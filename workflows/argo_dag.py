"""The DAG templates: the scene with its fan-out over videos, the stages of one video, the end. Derived, not written.

Whether something may start is a condition on how others ended. Argo looks at it when all of them are over, so "over in
any way" is the list of all ways; a bare name means that the task succeeded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common.artifacts import PREVIEW, SCENE
from common.stage import Stage, Unit
from workflows import pipeline
from workflows.argo_expressions import computed, is_true, texts, value_of
from workflows.parameters import backends

MAIN = "main"
VIDEO = "video"
WEIGHTS = "weights"
END = "end"

_RAN = ("Succeeded", "Failed", "Errored", "Skipped")
_OVER = (*_RAN, "Omitted")  # omitted: what it depends on has failed


def main_dag(stages: Sequence[Stage], *, videos_at_once: int) -> dict[str, Any]:
    """The template that runs a scene: lists its videos, runs the stages of each, then those that need all of them.

    Args:
        stages: of the pipeline, in order.
        videos_at_once: how many videos are worked on at a time. Argo takes no parameter for it.
    """
    in_scene = [stage for stage in stages if stage.unit is Unit.SCENE and not stage.history]
    of_video = [stage for stage in stages if stage.unit is Unit.VIDEO]
    listing = next(stage for stage in in_scene if SCENE in stage.writes)
    tasks: list[dict[str, Any]] = [
        {"name": WEIGHTS, "template": WEIGHTS, "when": _some_model(stages)},
    ]
    for stage in in_scene:
        fanned_out = any(other in of_video for other in pipeline.upstream(stage, stages))
        before = _depends(stage, in_scene)
        tasks.append(_task(stage, " && ".join([*before, _any(VIDEO, _RAN)] if fanned_out else before)))
        if stage is listing:
            # Pods whose model files are missing say so themselves, which explains more than a task that never ran.
            tasks.append(
                {
                    "name": VIDEO,
                    "template": VIDEO,
                    "depends": f"{listing.name} && {_any(WEIGHTS, _RAN)}",
                    "withParam": f"{{{{tasks.{listing.name}.outputs.result}}}}",
                    "arguments": {"parameters": [{"name": "video", "value": "{{item}}"}]},
                }
            )
    return {"name": MAIN, "parallelism": videos_at_once, "dag": {"failFast": False, "tasks": tasks}}


def video_dag(stages: Sequence[Stage]) -> dict[str, Any]:
    """The template that runs the stages of one video."""
    of_video = [stage for stage in stages if stage.unit is Unit.VIDEO]
    tasks = []
    for stage in of_video:
        task = _task(stage, " && ".join(_depends(stage, of_video)))
        task["arguments"] = {"parameters": [{"name": "video", "value": "{{inputs.parameters.video}}"}]}
        if PREVIEW in stage.writes:
            task["when"] = is_true("vis")
        tasks.append(task)
    inputs = {"parameters": [{"name": "video"}]}
    return {"name": VIDEO, "inputs": inputs, "dag": {"failFast": False, "tasks": tasks}}


def end_dag(close: str) -> dict[str, Any]:
    """The template of the exit handler: one task, which is tried again by itself.

    onExit must not name a template with a retryStrategy. Argo would take its attempts for a part of the run, and after
    the run's deadline it fails those that have not started yet: there would be no report.
    """
    return {"name": END, "dag": {"failFast": False, "tasks": [{"name": close, "template": close}]}}


def _task(stage: Stage, depends: str) -> dict[str, Any]:
    task = {"name": stage.name, "template": stage.name}
    return {**task, "depends": depends} if depends else task


def _depends(stage: Stage, among: Sequence[Stage]) -> list[str]:
    """Conditions on other stages of the same template: success of those it needs, the end of those it can use."""
    needed = pipeline.required(stage, among)
    return [other.name if other in needed else _any(other.name, _OVER) for other in pipeline.upstream(stage, among)]


def _any(task: str, ways: Sequence[str]) -> str:
    return "(" + " || ".join(f"{task}.{way}" for way in ways) + ")"


def _some_model(stages: Sequence[Stage]) -> str:
    """A condition: whether one of the chosen backends runs a model."""
    chosen = [
        f"{value_of(found.parameter)} not in {texts(found.without_models)}" for found in backends(stages).values()
    ]
    return computed(" || ".join(chosen) or "false")
