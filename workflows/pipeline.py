"""The DAG of ghost, derived from the stages' declarations: B follows A because B reads what A writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from common.stage import OptionSpec, Stage, option_specs
from stages.body.stage import STAGE as BODY
from stages.frames.stage import STAGE as FRAMES
from stages.ingest.stage import STAGE as INGEST
from stages.preview.stage import STAGE as PREVIEW
from stages.report.stage import STAGE as REPORT
from stages.segment.stage import STAGE as SEGMENT
from stages.sync.stage import STAGE as SYNC

STAGES: tuple[Stage, ...] = (INGEST, FRAMES, SEGMENT, BODY, SYNC, PREVIEW, REPORT)
"""All stages, each after those that it reads from."""

_ALWAYS_BY_STAGE = ("backend",)  # models of one stage are none of another's, even if they should have the same names


def upstream(stage: Stage, stages: Sequence[Stage] = STAGES) -> tuple[Stage, ...]:
    """The stages that must be over before a stage can start, in order.

    A stage that shows the history of the scene follows all others.
    """
    if stage.history:
        return tuple(other for other in stages if other is not stage)
    wanted = {*stage.reads, *stage.may_read}
    return tuple(other for other in stages if other is not stage and wanted & {*other.writes})


def required(stage: Stage, stages: Sequence[Stage] = STAGES) -> tuple[Stage, ...]:
    """The stages without whose result a stage cannot run."""
    wanted = set(stage.reads)
    return tuple(other for other in stages if other is not stage and wanted & {*other.writes})


def check_order(stages: Sequence[Stage]) -> None:
    """Raises ValueError unless every stage comes after those that it reads from and every artifact has one writer."""
    for index, stage in enumerate(stages):
        late = [other.name for other in upstream(stage, stages) if stages.index(other) > index]
        if late:
            raise ValueError(f"{stage.name} reads what {late[0]} writes and must come after it")
    written = [artifact.name for stage in stages for artifact in stage.writes]
    twice = {name for name in written if written.count(name) > 1}
    if twice:
        raise ValueError(f"written by more than one stage: {', '.join(sorted(twice))}")


def all_options(stages: Iterable[Stage] = STAGES) -> dict[str, tuple[OptionSpec, tuple[str, ...]]]:
    """Options of all stages: how one is declared, and the names of the stages that have it.

    What several stages declare alike (a device) stands once, under its name. What they declare differently, and
    backends always, stands once for each stage, under "<stage>.<name>" and with the flag --<stage>-<name>.

    Raises:
        ValueError: two options would have the same flag.
    """
    declared = [(stage.name, spec) for stage in stages for spec in option_specs(stage.options)]
    found: dict[str, tuple[OptionSpec, tuple[str, ...]]] = {}
    for stage, spec in declared:
        sharing = [(name, other) for name, other in declared if other.name == spec.name]
        if spec.name in _ALWAYS_BY_STAGE or any(other != spec for _, other in sharing):
            by_stage = dataclasses.replace(spec, name=f"{stage}_{spec.name}")
            found[f"{stage}.{spec.name}"] = by_stage, (stage,)
        else:
            found[spec.name] = spec, tuple(name for name, _ in sharing)
    flags = [spec.flag for spec, _ in found.values()]
    twice = sorted({flag for flag in flags if flags.count(flag) > 1})
    if twice:
        raise ValueError(f"two different options are called {twice[0]}: rename one of them")
    return found


def gpu_backends(stage: Stage) -> tuple[str, ...]:
    """The backends of a stage that are made for a GPU, wherever they are run; none if it has no backends."""
    specs = {spec.name: spec for spec in option_specs(stage.options)}
    choices = specs["backend"].choices if "backend" in specs else ()
    return tuple(choice for choice in choices if stage.uses_gpu(stage.make_options({"backend": choice})))
