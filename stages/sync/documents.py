"""What synchronisation found, in the form of the artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from common.artifacts import synchronization as artifact
from common.artifacts.expectation import Expectation
from stages.sync.result import Contribution, PairOffset, Synchronization, VideoStart

if TYPE_CHECKING:
    from common.media.time_table import TimeTable
    from stages.sync.stage import Options


def published_synchronization(
    scene: str,
    answer: Synchronization,
    options: Options,
    *,
    tables: Mapping[str, TimeTable],
    expectation: Expectation | None,
) -> artifact.Synchronization:
    """The content of synchronization.json.

    Args:
        scene: its name.
        answer: what was found.
        options: of the run.
        tables: time tables of the videos that have one.
        expectation: the outcome of `--expect`, if asked for.
    """
    return artifact.Synchronization(
        scene=scene,
        cameras={start.video: _camera(start, tables.get(start.video)) for start in answer.videos},
        pairs=tuple(_pair(pair) for pair in answer.pairs),
        method=answer.method,
        evidence=answer.evidence,
        components=tuple(dict(zip(component.videos, component.starts, strict=True)) for component in answer.components),
        expectation=expectation,
        options=asdict(options),
    )


def published_identities(videos: Iterable[str], answer: Synchronization) -> dict[str, dict[int, int]]:
    """The content of cross_video_id_mapping.json: video -> local id -> id in the scene."""
    people: dict[str, dict[int, int]] = {video: {} for video in videos}
    for track in answer.identities:
        people[track.video][track.person] = track.identity
    return people


def _camera(start: VideoStart, table: TimeTable | None) -> artifact.CameraStart:
    first = None
    if start.start_time is not None and table is not None:
        first = start.start_time + start.rate * float(table.seconds[0])
    return artifact.CameraStart(
        start_time=start.start_time,
        interval=start.half_width,
        verdict=start.verdict.value,
        confidence=start.z or None,
        reasons=start.reasons,
        advice=start.advice,
        rate=start.rate,
        rate_interval=start.rate_half_width,
        first_frame=first,
        cycle_residual=start.cycle_residual,
        component=start.component,
        mirrored=start.mirrored,
        evidence=_contributions(start.contributions),
    )


def _pair(pair: PairOffset) -> artifact.PairOffset:
    return artifact.PairOffset(
        first=pair.a,
        second=pair.b,
        offset=pair.offset,
        interval=pair.half_width,
        peak=pair.r,
        confidence=pair.z or None,
        overlap=pair.overlap,
        residual=pair.residual,
        people=pair.persons,
        evidence=_contributions(pair.contributions),
    )


def _contributions(parts: Iterable[Contribution]) -> tuple[artifact.Contribution, ...]:
    return tuple(
        artifact.Contribution(
            kind=part.kind,
            weight=part.weight,
            offset=part.offset,
            interval=part.half_width,
            confidence=part.z or None,
            residual=part.residual,
            used=part.used,
        )
        for part in parts
    )
