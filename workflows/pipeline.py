"""The DAG of ghost, derived from the stages' declarations: B follows A because B reads what A writes."""

from __future__ import annotations

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
    """Options of all stages by name: how one is declared, and the names of the stages that have it.

    Stages that share an option (a backend, a device) declare it alike; its choices are joined.
    """
    found: dict[str, tuple[OptionSpec, tuple[str, ...]]] = {}
    for stage in stages:
        for spec in option_specs(stage.options):
            first, names = found.get(spec.name, (spec, ()))
            if (first.type, first.default) != (spec.type, spec.default):
                raise ValueError(f"{stage.name} and {names[0]} declare {spec.flag} differently")
            found[spec.name] = (first, (*names, stage.name))
    return found
