"""The artifacts: what stages hand to each other, by name and place. One module each saves, loads and validates it.

This file imports nothing heavy: the declarations of all stages are made of it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Unit(enum.Enum):
    """What one run of a stage, or one instance of an artifact, covers."""

    SCENE = "scene"
    VIDEO = "video"


@dataclass(frozen=True)
class Artifact:
    """A named output on disk.

    Attributes:
        name: also the name of the module in `common.artifacts` that saves, loads and validates it.
        unit: whether a scene has one, or each of its videos.
        path: where it lies, relative to `<scene>/` or `<scene>/<video>/`; a folder if it ends in "/".
        summary: what is inside, for the README.
    """

    name: str
    unit: Unit
    path: str
    summary: str

    def key(self, video: str | None) -> str:
        """The path of this artifact relative to the scene's folder."""
        if self.unit is Unit.SCENE:
            return self.path
        if video is None:
            raise ValueError(f"{self.name} belongs to a video, and none was named")
        return f"{video}/{self.path}"


SCENE = Artifact(
    "scene", Unit.SCENE, "scene.json", "the videos of the scene: size, rate, codec, calibration when known"
)
FRAMES = Artifact("frames", Unit.VIDEO, "frames/", "`time_table.npz`: PTS, key-frame and corrupt flag of every frame")
SOUND = Artifact(
    "sound", Unit.VIDEO, "sound.npz", "mono samples on the video's clock; only where there is a sound track"
)
MASKS = Artifact(
    "masks", Unit.VIDEO, "mask_data.npz", "per frame a uint16 label image `mask_000000`; pixel = person id"
)
PEOPLE = Artifact("people", Unit.VIDEO, "json_data/", "per frame the people in it: id, box, area, score")
LANDMARKS = Artifact("landmarks", Unit.VIDEO, "landmarks.npz", "33 BlazePose landmarks per person and frame (embedded)")
BODIES = Artifact("bodies", Unit.VIDEO, "body_data/", "`person_<id>.npz`: 70 keypoints in 3D and 2D, translation")
PREVIEW = Artifact("preview", Unit.VIDEO, "segmentation.mp4", "the video with masks, ids and skeletons drawn on it")
SYNCHRONIZATION = Artifact(
    "synchronization", Unit.SCENE, "synchronization.json", "start time of every camera, interval, verdict, all pairs"
)
CLOCK_TABLE = Artifact(
    "clock_table", Unit.SCENE, "synchronization.csv", "scene time, and which frame of every camera is shown then"
)
SYNC_PICTURE = Artifact(
    "sync_picture", Unit.SCENE, "synchronization.svg", "picture: aligned movements, camera graph, correlation per pair"
)
IDENTITIES = Artifact("identities", Unit.SCENE, "cross_video_id_mapping.json", "`{video: {local id: id in the scene}}`")
REPORT = Artifact("report", Unit.SCENE, "report.html", "one page that says what was found and how sure it is")

ALL = (
    SCENE,
    FRAMES,
    SOUND,
    MASKS,
    PEOPLE,
    LANDMARKS,
    BODIES,
    PREVIEW,
    SYNCHRONIZATION,
    CLOCK_TABLE,
    SYNC_PICTURE,
    IDENTITIES,
    REPORT,
)
