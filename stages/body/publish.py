"""From a video's masks to its people's bodies on disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from common.artifacts import BODIES, FRAMES, LANDMARKS, MASKS, PEOPLE
from common.artifacts import bodies as bodies_artifact
from common.artifacts import frames as frames_artifact
from common.artifacts import landmarks as landmarks_artifact
from common.artifacts import people as people_artifact
from common.artifacts.class_names import no_bodies
from common.artifacts.masks import Masks
from common.media.decode import Frame, read_frames
from common.models import calls
from common.weights import store
from stages.body.assemble import reprojection_px
from stages.body.backends import create
from stages.body.clip import make_clip
from stages.body.estimate import estimate_bodies
from stages.body.framewise import FramewiseEstimator, Progress
from stages.body.smoothing import window_for

if TYPE_CHECKING:
    from pathlib import Path

    from common.workspace import Workspace
    from stages.body.stage import Options


def estimate_video(workspace: Workspace, options: Options) -> None:
    """Estimates and publishes the bodies of a video's people; nobody in the video is a valid, empty result.

    Raises:
        ModelUnavailable: the backend's model or device is not there.
    """
    timing = frames_artifact.load(workspace.input(FRAMES))
    table, properties = timing.table, timing.properties
    landmarks = workspace.find(LANDMARKS)
    video = workspace.describe()
    intrinsics = video.intrinsics
    if any(video.distortion or ()):
        workspace.warn(f"{workspace.video}: bodies are placed as if the lens had no distortion, though it is known.")
    folder = workspace.output(BODIES)
    estimator = create(
        options,
        model=_weights(options.backend),
        progress=Progress(folder, workspace.checkpoints),
        warn=lambda message: workspace.warn(f"{workspace.video}: {message}"),
    )

    def open_frames(wanted: NDArray[np.int64]) -> Iterator[Frame]:
        size = (properties.width, properties.height)  # of the masks, should the first frame that is read differ
        stream = read_frames(workspace.recording(), table, wanted, size=size)
        return workspace.track(stream, total=len(wanted))

    everything = people_artifact.load_tracks(workspace.input(PEOPLE))
    if things := no_bodies(map(everything.class_name, everything.people)):
        workspace.warn(f"{workspace.video}: segment has found {things}")
    with Masks.open(workspace.input(MASKS)) as masks:
        clip = make_clip(
            table.seconds,
            everything.persons(),
            masks,
            landmarks=None if landmarks is None else landmarks_artifact.load(landmarks),
            intrinsics=None if intrinsics is None else np.array(intrinsics),
            step=options.sam3d_step,
        )
        bodies = estimate_bodies(estimator, clip, open_frames, smooth=options.smooth)
    if estimator.remark:
        workspace.warnings.append(estimator.remark)
    for body in bodies.values():
        bodies_artifact.save_person(folder, body)
    bodies_artifact.save_summary(folder, workspace.video or "", bodies)
    workspace.counts |= calls.counted()
    if isinstance(estimator, FramewiseEstimator):
        workspace.found["model"] = estimator.identity[:12]  # of what the manifest's key does not know
        workspace.found |= estimator.about
        workspace.gpu, workspace.ran_on = estimator.gpu, estimator.ran_on
    workspace.found["bodies"] = sum(len(body) for body in bodies.values())
    residual = np.concatenate([reprojection_px(body) for body in bodies.values()] or [np.empty(0)])
    if np.isfinite(residual).any():
        workspace.found["reprojection_px"] = round(float(np.nanmedian(residual)), 1)
    without = set(clip.people.people) - set(bodies)
    if options.smooth and (
        coarse := [str(person) for person, body in bodies.items() if window_for(body.times) is None]
    ):
        workspace.warn(
            f"{workspace.video}: too few bodies per second to smooth those of person {', '.join(coarse)}; "
            "lower --sam3d-step."
        )
    if without:
        workspace.warn(
            f"{workspace.video}: no body could be estimated for person {', '.join(map(str, sorted(without)))}."
        )


def _weights(backend: str) -> Path | None:
    """What the lock file has for a backend."""
    if backend == "embedded":
        return store.path("blazepose-heavy")
    return store.folder("sam-3d-body-dinov3") if backend == "sam3d-body" else None
