"""How far bodies are from the reference that pose2sim 0.4.15 ships with its single-person demo.

The reference is OpenPose in four views, triangulated and filtered: not marker truth, but independent of ghost. Its
joints are compared after the best similarity transform (PA-MPJPE), so neither the camera's pose nor its focal length
counts.

Times: the reference lies about a frame before the videos. Per camera one whole lag in -4..4 frames is allowed, the one
at which 2D keypoints and projected reference agree best; the 3D error has no say in it.
"""

from __future__ import annotations

import argparse
import tomllib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from common.artifacts import bodies as bodies_artifact
from common.artifacts.bodies import PersonBody
from common.errors import BadInput
from common.skeletons import INDEX

MAX_LAG = 4
JOINTS = {
    "RHip": "right_hip", "RKnee": "right_knee", "RAnkle": "right_ankle",
    "LHip": "left_hip", "LKnee": "left_knee", "LAnkle": "left_ankle",
    "RShoulder": "right_shoulder", "RElbow": "right_elbow", "RWrist": "right_wrist",
    "LShoulder": "left_shoulder", "LElbow": "left_elbow", "LWrist": "left_wrist",
}  # fmt: skip
"""The 12 joints that are compared: name in the reference to keypoint."""

KEYPOINTS = [INDEX[name] for name in JOINTS.values()]


@dataclass(frozen=True)
class Camera:
    """A calibrated camera: x_camera = rotation @ x_world + translation.

    Attributes:
        matrix: (3, 3) float64, pixels.
        distortion: (4,) float64, OpenCV's k1, k2, p1, p2.
        rotation: (3, 3) float64.
        translation: (3,) float64, metres.
    """

    matrix: NDArray[np.float64]
    distortion: NDArray[np.float64]
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 2) pixels of points (..., 3) in the world, metres."""
        vector = cv2.Rodrigues(self.rotation)[0]
        flat = points.reshape(-1, 3)
        pixels, _ = cv2.projectPoints(flat, vector, self.translation, self.matrix, self.distortion)
        return np.asarray(pixels, np.float64).reshape(*points.shape[:-1], 2)


@dataclass(frozen=True)
class Reference:
    """The truth as far as there is one.

    Attributes:
        cameras: by the number at the end of their names, in order: cam_01 first.
        joints: (frames, 12, 3) float64, metres, world of the calibration (z up), in the order of JOINTS.
    """

    cameras: tuple[Camera, ...]
    joints: NDArray[np.float64]


@dataclass(frozen=True)
class Accuracy:
    """How good the bodies of one camera are.

    Attributes:
        camera: name of the video.
        person: local id of the man.
        frames: number of frames compared.
        lag: frames by which the video is behind the reference.
        pa_mpjpe_mm: mean over frames and joints.
        worst_frame_mm: largest mean over the joints of a frame.
        jitter_mm: median length of the second difference of the joints relative to the hips, mm per frame^2.
    """

    camera: str
    person: int
    frames: int
    lag: int
    pa_mpjpe_mm: float
    worst_frame_mm: float
    jitter_mm: float


def read_calibration(path: Path) -> tuple[Camera, ...]:
    """The cameras of a pose2sim calibration (TOML), in the order of their names.

    Raises:
        BadInput: a camera lacks a field.
    """
    with path.open("rb") as file:
        table = tomllib.load(file)
    cameras = []
    for name in sorted(key for key in table if key.startswith("cam")):
        entry = table[name]
        try:
            values = [np.array(entry[key], np.float64) for key in ("matrix", "distortions", "rotation", "translation")]
        except KeyError as error:
            raise BadInput(f"{path.name}: {name}: {error} is missing.") from error
        rotation = np.asarray(cv2.Rodrigues(values[2])[0], np.float64)
        cameras.append(Camera(values[0], values[1], rotation, values[3]))
    return tuple(cameras)


def read_trc(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Markers of a TRC file of pose2sim: their names and positions (frames, markers, 3) in the calibration's world.

    A trap: (X, Y, Z) of the file is (Y, Z, X) of the calibration, because OpenSim wants y up.

    Raises:
        BadInput: not a TRC file in metres, or rows of another length.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) < 6 or not lines[0].startswith("PathFileType"):
        raise BadInput(f"{path.name}: not a TRC file.")
    header = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=False))
    if header.get("Units") != "m":
        raise BadInput(f"{path.name}: Units: expected m, got {header.get('Units')!r}.")
    names = [name for name in lines[3].split("\t")[2:] if name.strip()]
    rows = [line.split("\t")[2 : 2 + 3 * len(names)] for line in lines[5:] if line.strip()]
    if any(len(row) != 3 * len(names) for row in rows):
        raise BadInput(f"{path.name}: expected {len(names)} markers in every row.")
    points = np.array(rows, np.float64).reshape(-1, len(names), 3)
    return names, points[:, :, [2, 0, 1]]


def read_reference(folder: Path) -> Reference:
    """The reference of the demo.

    Args:
        folder: what `benchmarks.demo_data.reference` makes of the pose2sim 0.4.15 wheel.

    Raises:
        BadInput: a file is not what it should be.
        OSError: a file is not there.
    """
    names, points = read_trc(folder / "Balancing_for_IK.trc")
    missing = [name for name in JOINTS if name not in names]
    if missing:
        raise BadInput(f"Balancing_for_IK.trc: markers {', '.join(missing)} are missing.")
    cameras = read_calibration(folder / "Calib_qualisys.toml")
    return Reference(cameras, points[:, [names.index(name) for name in JOINTS]])


def aligned_distances(points: NDArray[np.float64], goal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances (J,) of points (J, 3) from `goal` (J, 3) after the best rotation, translation and scale.

    Umeyama, "Least-Squares Estimation of Transformation Parameters Between Two Point Patterns", PAMI 1991, eq. 40-42.
    """
    centred, target = points - points.mean(axis=0), goal - goal.mean(axis=0)
    left, singular, right = np.linalg.svd(centred.T @ target)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    scale = (singular * sign).sum() / np.square(centred).sum()
    return np.asarray(np.linalg.norm(scale * centred @ (left * sign) @ right - target, axis=1))


def best_lag(body: PersonBody, reference: Reference, camera: Camera) -> int:
    """The whole number of frames, within MAX_LAG, by which a video is behind the reference.

    That of the smallest median distance between the keypoints in the image and the projected reference.
    """
    projected = camera.project(reference.joints)
    costs = {}
    for lag in range(-MAX_LAG, MAX_LAG + 1):
        rows, frames = _pairs(body, reference, lag)
        if len(rows):
            distance = np.linalg.norm(body.image_keypoints[rows][:, KEYPOINTS] - projected[frames], axis=2)
            costs[lag] = float(np.nanmedian(distance)) if np.isfinite(distance).any() else np.inf
    if not costs:
        raise BadInput(f"person {body.person}: no frame in common with the reference.")
    return min(costs, key=lambda lag: (costs[lag], abs(lag)))


def pa_mpjpe(body: PersonBody, reference: Reference, *, lag: int) -> NDArray[np.float64]:
    """Distance of each joint from the reference after alignment, frame by frame.

    Args:
        body: the man.
        reference: the reference.
        lag: frames by which the video is behind the reference.

    Returns:
        (n, 12) metres, for the n frames in common in which all 12 joints are there.
    """
    rows, frames = _pairs(body, reference, lag)
    joints = body.pred_keypoints_3d[rows][:, KEYPOINTS].astype(np.float64)
    complete = np.isfinite(joints).all(axis=(1, 2))
    pairs = zip(joints[complete], reference.joints[frames[complete]], strict=True)
    return np.array([aligned_distances(mine, goal) for mine, goal in pairs]).reshape(-1, len(JOINTS))


def jitter(body: PersonBody) -> float:
    """Median length of the second difference of the 12 joints over consecutive frames, metres per frame^2."""
    joints = body.pred_keypoints_3d[:, KEYPOINTS].astype(np.float64)
    second = np.diff(joints, n=2, axis=0)[
        (np.diff(body.frame_indices, n=1)[1:] == 1) & (np.diff(body.frame_indices)[:-1] == 1)
    ]
    lengths = np.linalg.norm(second, axis=2)
    return float(np.nanmedian(lengths)) if np.isfinite(lengths).any() else float("nan")


def measure_body(name: str, body: PersonBody, reference: Reference, camera: Camera) -> Accuracy:
    """The accuracy of one body seen by one camera.

    Raises:
        BadInput: nothing in common with the reference.
    """
    lag = best_lag(body, reference, camera)
    error = pa_mpjpe(body, reference, lag=lag)
    if not len(error):
        raise BadInput(f"{name}: person {body.person}: no frame with all 12 joints in common with the reference.")
    return Accuracy(
        name,
        body.person,
        len(error),
        lag,
        float(error.mean()) * 1e3,
        float(error.mean(axis=1).max()) * 1e3,
        jitter(body) * 1e3,
    )


def measure_bodies(workspace: Path, reference: Path) -> list[Accuracy]:
    """The accuracy of every camera of the single-person demo.

    The man is the person who is seen in most frames; the photographer in cameras 1 and 2 is compared with nothing.

    Args:
        workspace: the scene's output folder, with `<video>/body_data/` for cam01 to cam04.
        reference: what `benchmarks.demo_data.reference` makes of the pose2sim 0.4.15 wheel.

    Raises:
        BadInput: a camera without a person, or files that break their contracts.
    """
    truth = read_reference(reference)
    folders = sorted(workspace.glob("*/body_data"))
    if len(folders) != len(truth.cameras):
        raise BadInput(f"{workspace}: expected {len(truth.cameras)} videos with body_data, got {len(folders)}.")
    found = []
    for folder, camera in zip(folders, truth.cameras, strict=True):
        people = bodies_artifact.load(folder)
        if not people:
            raise BadInput(f"{folder}: holds nobody.")
        man = max(people.values(), key=len)
        found.append(measure_body(folder.parent.name, man, truth, camera))
    return found


def _pairs(body: PersonBody, reference: Reference, lag: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the body and frames of the reference that show the same moment."""
    frames = body.frame_indices.astype(np.int64) - lag
    rows = np.flatnonzero((frames >= 0) & (frames < len(reference.joints)))
    return rows, frames[rows]


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path, help="output folder of the single-person scene")
    parser.add_argument("reference", type=Path, help="folder with the reference, from benchmarks.demo_data")
    arguments = parser.parse_args()
    found = measure_bodies(arguments.workspace, arguments.reference)
    for row in found:
        print(
            f"{row.camera}: PA-MPJPE {row.pa_mpjpe_mm:.1f} mm over {row.frames} frames, "
            f"worst frame {row.worst_frame_mm:.0f}, jitter {row.jitter_mm:.1f} mm/frame^2, lag {row.lag}"
        )
    print(f"mean {np.mean([row.pa_mpjpe_mm for row in found]):.1f} mm")


if __name__ == "__main__":
    main()
