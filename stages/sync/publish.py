"""From the bodies of a scene's videos to its start times and identities on disk."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from common.artifacts import BODIES, IDENTITIES, SYNCHRONIZATION
from common.artifacts import bodies as bodies_artifact
from common.artifacts import identities as identities_artifact
from common.artifacts import synchronization as artifact
from common.errors import InputMissing
from stages.sync.result import Synchronization, VideoStart
from stages.sync.solve import solve
from stages.sync.tracks import PersonTrack, VideoTracks

if TYPE_CHECKING:
    from pathlib import Path

    from common.workspace import Workspace

METHOD = (
    "view-invariant features of the joints, masked normalised cross-correlation per pair of cameras and people, "
    "identities and lags solved together, robust consensus over all cameras, bootstrap intervals"
)


def synchronize_scene(workspace: Workspace, *, max_offset: float, need_all: bool) -> None:
    """Solves and publishes start times and identities; says what it could not solve.

    Raises:
        InputMissing: a camera has no bodies and `need_all` is set.
    """
    folders = {video: workspace.find(BODIES, video) for video in workspace.videos}
    without = [video for video, folder in folders.items() if folder is None]
    if without and need_all:
        raise InputMissing(
            f"{', '.join(without)}: no bodies. Run the body stage, or go on without them: --cameras available."
        )
    if without:
        workspace.warn(f"left out, because they have no bodies: {', '.join(without)}.")
    tracks = [VideoTracks(video, () if folder is None else _tracks(folder)) for video, folder in folders.items()]
    answer = solve(tracks, max_offset=max_offset, without_bodies=without)
    artifact.save(workspace.output(SYNCHRONIZATION), _published(workspace.scene, answer))
    identities_artifact.save(workspace.output(IDENTITIES), _identities(workspace.videos, answer))
    verdicts = [start.verdict.value for start in answer.videos]
    workspace.found |= {verdict: verdicts.count(verdict) for verdict in artifact.VERDICTS if verdict in verdicts}
    seen = Counter(track.identity for track in answer.identities)
    workspace.found["people seen by several cameras"] = sum(count > 1 for count in seen.values())
    workspace.found["by one only"] = sum(count == 1 for count in seen.values())
    for start in answer.videos:
        if start.start_time is None and start.video not in without:  # those were named above
            workspace.warn(f"{start.video}: start time unknown: {'; '.join(start.reasons)}.")


def _tracks(folder: Path) -> tuple[PersonTrack, ...]:
    return tuple(
        PersonTrack(
            person=person,
            times=body.times,
            keypoints=body.pred_keypoints_3d,
            confidence=body.confidence,
        )
        for person, body in sorted(bodies_artifact.load(folder).items())
    )


def _published(scene: str, answer: Synchronization) -> artifact.Synchronization:
    pairs = tuple(
        artifact.PairOffset(
            first=pair.a,
            second=pair.b,
            offset=pair.offset,
            interval=pair.half_width,
            peak=pair.r,
            confidence=pair.z or None,
            overlap=pair.overlap,
            residual=pair.residual,
            people=pair.persons,
        )
        for pair in answer.pairs
    )
    return artifact.Synchronization(scene, {start.video: _camera(start) for start in answer.videos}, pairs, METHOD)


def _camera(start: VideoStart) -> artifact.CameraStart:
    return artifact.CameraStart(
        start_time=start.start_time,
        interval=start.half_width,
        verdict=start.verdict.value,
        confidence=start.z or None,
        reasons=start.reasons,
        advice=start.advice,
    )


def _identities(videos: tuple[str, ...], answer: Synchronization) -> dict[str, dict[int, int]]:
    people: dict[str, dict[int, int]] = {video: {} for video in videos}
    for track in answer.identities:
        people[track.video][track.person] = track.identity
    return people
