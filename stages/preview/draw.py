"""Reads a video, draws what was found on every frame, writes it: one frame in memory at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping

from common.artifacts import BODIES, FRAMES, MASKS, PEOPLE, PREVIEW, bodies, frames, masks, people
from common.artifacts.bodies import PersonBody
from common.drawing import Drawn, draw_people, fitting_size, person_colour
from common.media.decode import frames as read_frames
from common.media.encode import VideoWriter
from common.workspace import Workspace

_NOMINAL_RATE = 30.0  # for a video of a single frame, which has no rate of its own


def draw_video(workspace: Workspace, *, height: int) -> None:
    """Publishes segmentation.mp4 at the times of the recording's frames, the first one at 0.

    Args:
        workspace: of the preview stage, for one video.
        height: pixels to shrink to.
    """
    source = frames.load(workspace.input(FRAMES))
    body_folder = workspace.find(BODIES)
    found = bodies.load(body_folder) if body_folder is not None else {}
    if body_folder is None:
        workspace.warn(f"{workspace.video}: no bodies, so the preview shows masks without skeletons.")
    everybody = people.load_tracks(workspace.input(PEOPLE)).people
    rows = rows_by_frame(found)
    table, size = source.table, (source.properties.width, source.properties.height)
    rate = table.rate if math.isfinite(table.rate) else _NOMINAL_RATE
    with (
        masks.Masks.open(workspace.input(MASKS)) as labels,
        read_frames(workspace.recording(), table, size=fitting_size(*size, max_height=height)) as stream,
        VideoWriter(workspace.output(PREVIEW), rate=rate) as writer,
    ):
        labelled = set(labels.frames)
        for frame in workspace.track(stream, total=len(table)):
            drawn = describe_people(everybody, found, rows.get(frame.index, {}))
            mask = labels.labels(frame.index) if frame.index in labelled else None
            writer.write(draw_people(frame.image, drawn, full_size=size, labels=mask), seconds=frame.seconds)
        if stream.tally.missing:
            workspace.warn(
                f"{workspace.video}: {stream.tally.missing} of {len(table)} frames cannot be decoded; left out."
            )
        workspace.found["frames"] = stream.tally.delivered


def rows_by_frame(found: Mapping[int, PersonBody]) -> dict[int, dict[int, int]]:
    """{frame index: {person: row in the person's arrays}}."""
    rows: dict[int, dict[int, int]] = {}
    for person, body in found.items():
        for row, frame in enumerate(body.frame_indices.tolist()):
            rows.setdefault(frame, {})[person] = row
    return rows


def describe_people(
    everybody: tuple[int, ...], found: Mapping[int, PersonBody], rows: Mapping[int, int]
) -> dict[int, Drawn]:
    """How everybody of a video is drawn in one frame.

    Args:
        everybody: local ids.
        found: bodies by local id.
        rows: of those whose body was estimated in this frame: row in their arrays.
    """
    return {
        person: Drawn(
            colour=person_colour(person),
            text=str(person),
            keypoints=found[person].image_keypoints[rows[person]] if person in rows else None,
            confidence=found[person].confidence[rows[person]] if person in rows else None,
        )
        for person in everybody
    }
