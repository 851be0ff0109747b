"""From the bodies of a scene's videos to its start times, frame table, picture and identities on disk."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from common.artifacts import (
    BODIES,
    CLOCK_TABLE,
    FRAMES,
    IDENTITIES,
    SOUND,
    SYNC_PICTURE,
    SYNCHRONIZATION,
    clock_table,
    sound,
)
from common.artifacts import bodies as bodies_artifact
from common.artifacts import frames as frames_artifact
from common.artifacts import identities as identities_artifact
from common.artifacts import synchronization as artifact
from common.artifacts.expectation import CANNOT_TELL, OFF, Expectation
from common.errors import InputMissing
from stages.sync.documents import published_identities, published_synchronization
from stages.sync.expectation import counts, expect_aligned
from stages.sync.picture import draw
from stages.sync.result import AUDIO, Synchronization
from stages.sync.solve import solve
from stages.sync.tracks import PersonTrack, VideoTracks

if TYPE_CHECKING:
    from pathlib import Path

    from common.media.time_table import TimeTable
    from common.workspace import Workspace
    from stages.sync.clues import Clue
    from stages.sync.stage import Options

ALL_SOUNDS = 8  # videos up to which every pair of sounds is compared, about 1 s of CPU each for 10 minutes
NEXT_SOUNDS = 3  # in larger scenes, every video with so many that follow it
SOUND_GRID = 30.0  # Hz of the offsets at which sounds are scored: that of the slowest grid on which people are compared
_FRAME = 1 / 30  # s: the tolerance where no camera has a time table


def synchronize_scene(workspace: Workspace, options: Options) -> None:
    """Solves and publishes start times and identities; says what it could not solve.

    Raises:
        InputMissing: a camera has no bodies and all are needed.
    """
    folders = {video: workspace.find(BODIES, video) for video in workspace.videos}
    without = [video for video, folder in folders.items() if folder is None]
    if without and options.cameras == "all":
        raise InputMissing(
            f"{', '.join(without)}: no bodies. Run the body stage, or go on without them: --cameras available."
        )
    if without:
        workspace.warn(f"left out, because they have no bodies: {', '.join(without)}.")
    tracks = [
        VideoTracks(video, () if folder is None else _tracks(folder), workspace.describe(video).static_camera())
        for video, folder in folders.items()
    ]
    tables = _time_tables(workspace)
    answer = _solve(workspace, tracks, options, without_bodies=without)
    expectation = None
    if options.expect == "aligned":
        spans = {video: (float(t.seconds[0]), float(t.seconds[-1])) for video, t in tables.items()}
        tolerance = options.expected_tolerance or slowest_frame(tables)
        expectation = expect_aligned(answer, tolerance=tolerance, spans=spans)
    document = published_synchronization(workspace.scene, answer, options, tables=tables, expectation=expectation)
    artifact.save(workspace.output(SYNCHRONIZATION), document)
    clock_table.save(workspace.output(CLOCK_TABLE), camera_clocks(document, tables))
    note = "" if expectation is None else f" · {expectation.text}"
    workspace.output(SYNC_PICTURE).write_text(draw(answer, tracks, scene=workspace.scene, note=note), encoding="utf-8")
    identities_artifact.save(workspace.output(IDENTITIES), published_identities(workspace.videos, answer))
    _report(workspace, answer, expectation, without)


def slowest_frame(tables: Mapping[str, TimeTable]) -> float:
    """How long the slowest camera shows a frame, seconds: it cannot tell starts apart that lie closer together."""
    return max((1 / table.rate for table in tables.values() if len(table) > 1), default=_FRAME)


def camera_clocks(
    document: artifact.Synchronization, tables: Mapping[str, TimeTable]
) -> dict[str, clock_table.CameraClock | None]:
    """Every camera's frames on the scene's clock; None where the start or the time table is not known."""
    clocks: dict[str, clock_table.CameraClock | None] = {}
    for video, camera in document.cameras.items():
        table = tables.get(video)
        clocks[video] = None
        if camera.start_time is not None and table is not None:
            clocks[video] = clock_table.camera_clock(
                table.seconds, start_time=camera.start_time, rate=camera.rate, frame_rate=table.rate
            )
    return clocks


def sound_clues(workspace: Workspace, *, max_offset: float) -> list[Clue]:
    """What the microphones say of every pair of videos that have sound."""
    from stages.sync.audio import audio_clue
    from stages.sync.hearing import Heard, hear

    paths = {video: path for video in workspace.videos if (path := workspace.find(SOUND, video)) is not None}
    names = list(paths)
    pairs = [
        (a, b)
        for a, b in itertools.combinations(range(len(names)), 2)
        if len(names) <= ALL_SOUNDS or b - a <= NEXT_SOUNDS
    ]
    heard: dict[int, Heard] = {}
    found = []
    for a, b in workspace.track(pairs, total=len(pairs), label="pairs of sounds"):
        # two at a time: an hour of sound takes 140 MB
        heard = {k: heard[k] if k in heard else hear(sound.load(paths[names[k]])) for k in (a, b)}
        clue = audio_clue(names[a], heard[a], names[b], heard[b], rate=SOUND_GRID, max_offset=max_offset)
        if clue is not None:
            found.append(clue)
    return found


def _solve(
    workspace: Workspace, tracks: Sequence[VideoTracks], options: Options, *, without_bodies: Collection[str]
) -> Synchronization:
    if options.method == "dtw":
        from stages.sync.dtw import solve_dtw

        return solve_dtw(tracks, max_offset=options.max_offset, without_bodies=without_bodies)
    kinds = options.evidence.split(",")
    clues = sound_clues(workspace, max_offset=options.max_offset) if AUDIO in kinds else []
    return solve(
        tracks, max_offset=options.max_offset, without_bodies=without_bodies, clues=clues, evidence=tuple(kinds)
    )


def _tracks(folder: Path) -> tuple[PersonTrack, ...]:
    return tuple(
        PersonTrack(
            person=person,
            times=body.times,
            keypoints=body.pred_keypoints_3d,
            confidence=body.confidence,
            image_points=body.image_keypoints,
        )
        for person, body in sorted(bodies_artifact.load(folder).items())
    )


def _time_tables(workspace: Workspace) -> dict[str, TimeTable]:
    found = {video: workspace.find(FRAMES, video) for video in workspace.videos}
    return {video: frames_artifact.load(folder).table for video, folder in found.items() if folder is not None}


def _report(
    workspace: Workspace, answer: Synchronization, expectation: Expectation | None, without: Collection[str]
) -> None:
    """What the log and the manifest say about the outcome."""
    verdicts = [start.verdict.value for start in answer.videos]
    workspace.found |= {verdict: verdicts.count(verdict) for verdict in artifact.VERDICTS if verdict in verdicts}
    if expectation is not None:
        workspace.found |= counts(expectation)
    seen = Counter(track.identity for track in answer.identities)
    workspace.found["people seen by several cameras"] = sum(count > 1 for count in seen.values())
    workspace.found["by one only"] = sum(count == 1 for count in seen.values())
    for start in answer.videos:
        if start.start_time is None and start.video not in without:  # those were named above
            workspace.warn(f"{start.video}: start time unknown: {'; '.join(start.reasons)}.")
    if expectation is not None and expectation.verdict == CANNOT_TELL:
        workspace.warn(expectation.text)
    for video, check in (expectation.cameras if expectation is not None else {}).items():
        if check.verdict == OFF:
            workspace.warn(f"{video}: expected aligned, but {check.text}.")
