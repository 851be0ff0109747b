"""`calibration.json`, which a user may put beside the recordings: what is known of each camera, by video id.

    {"cam01": {"intrinsics": [[fx, 0, cx], [0, fy, cy], [0, 0, 1]],
               "distortion": [k1, k2, p1, p2, k3],
               "camera_T_world": [[r, r, r, tx], [r, r, r, ty], [r, r, r, tz]]}, ...}

Pixels of the upright frame at the video's own size, origin at the centre of the top-left pixel. `distortion` (OpenCV's
order) and `camera_T_world` (metres, of a camera that stands still) may be left out.
"""

from __future__ import annotations

from pathlib import Path

from common.artifacts.camera_fields import Calibration, read_distortion, read_intrinsics, read_pose
from common.artifacts.json_files import read_json
from common.artifacts.scene import SceneVideo
from common.errors import BadInput

_FIELDS = ("intrinsics", "distortion", "camera_T_world")
OFF_CENTRE = 0.2  # of the frame's size: lenses are centred within a few percent, crops of a frame within more


def read_calibration(path: Path) -> dict[str, Calibration]:
    """What is known of each camera, by video id. Raises BadInput that names the offending entry."""
    document = read_json(path)
    if not isinstance(document, dict):
        raise BadInput(f"{path.name}: expected an object of cameras, got {type(document).__name__}.")
    return {video: _camera(f"{path.name}: {video}", entry) for video, entry in document.items()}


def doubt(video: SceneVideo) -> str | None:
    """Why a camera matrix can hardly be that of the upright frame; None where nothing speaks against it."""
    if video.intrinsics is None or not video.width or not video.height:
        return None
    x, y = video.intrinsics[0][2], video.intrinsics[1][2]
    if abs(x / video.width - 0.5) <= OFF_CENTRE and abs(y / video.height - 0.5) <= OFF_CENTRE:
        return None
    return (
        f"its principal point ({x:g}, {y:g}) is far from the middle of the upright {video.width}x{video.height} frame. "
        "Give the matrix for the frame as it is shown, after rotation, and at this size."
    )


def _camera(where: str, entry: object) -> Calibration:
    if not isinstance(entry, dict):
        raise BadInput(f"{where}: expected an object with {', '.join(_FIELDS)}, got {type(entry).__name__}.")
    for name in entry:
        if name not in _FIELDS:
            raise BadInput(f"{where}: expected only {', '.join(_FIELDS)}, got {name!r}.")
    distortion, pose = entry.get("distortion"), entry.get("camera_T_world")
    return Calibration(
        read_intrinsics(f"{where}.intrinsics", entry.get("intrinsics")),
        None if distortion is None else read_distortion(f"{where}.distortion", distortion),
        None if pose is None else read_pose(f"{where}.camera_T_world", pose),
    )
