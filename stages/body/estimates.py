"""Single bodies in single frames become tracks: judged when they come, kept in columns, large ones on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.artifacts.bodies import PARAMETRIC_NAMES, PersonBody, parametric_form
from common.artifacts.body_projection import TOLERANCE_PX, project_keypoints
from common.errors import BadInput, GhostError
from common.skeletons import MHR70_COUNT
from stages.body.backends import BodyEstimate
from stages.body.clip import Clip
from stages.body.placement import Intrinsics

Columns = dict[str, NDArray[Any]]

NOT_FINITE = "not finite"
BEHIND = "behind the camera"
CONTRADICTORY = "2D and 3D keypoints contradict each other"

ROW = "row"
_HALF = ("pred_vertices", "smpl_vertices", "feature")  # kept as float16: 0.5 mm on a body of 2 m
_ON_DISK_FROM = 2048  # bytes of a row; chosen by hand: what is smaller adds up to less than the keypoints
_SINGULAR = 0.1  # metres before the lens where float32 no longer says where a point is seen
_SINGLE = 1e-5  # relative error of a projection in float32, generously


def objection(estimate: BodyEstimate, camera: Intrinsics) -> str | None:
    """Why an estimate cannot be published, or None.

    Args:
        estimate: of one person in one frame.
        camera: with which its 2D keypoints should be the projection of the 3D ones.

    Raises:
        GhostError: shapes or names that no body has: a bug of the backend.
    """
    _check_shapes(estimate)
    points = estimate.keypoints3d.astype(np.float64) + estimate.transl.astype(np.float64)
    known = np.isfinite(estimate.keypoints3d).all(axis=1)
    numbers = [estimate.transl, estimate.confidence, *estimate.params.values()]
    numbers += [array for array in (estimate.vertices, estimate.feature) if array is not None]
    if not known.any() or not all(np.isfinite(array).all() for array in numbers):
        return NOT_FINITE
    if not (points[known, 2] > 0).any():
        return BEHIND
    exact, off = _apart(estimate, camera)
    allowed = TOLERANCE_PX + _SINGLE * np.abs(exact).max(axis=1)
    return None if (off <= allowed).all() else CONTRADICTORY


def apart_px(estimate: BodyEstimate, camera: Intrinsics) -> float:
    """Median distance in pixels between the 2D keypoints and the projection of the 3D ones; NaN if there are none."""
    _, off = _apart(estimate, camera)
    return float(np.median(off)) if len(off) else float("nan")


def _apart(estimate: BodyEstimate, camera: Intrinsics) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Projections (m, 2) of the keypoints that are safely before the lens, and how far off theirs are, (m,)."""
    points = estimate.keypoints3d.astype(np.float64) + estimate.transl.astype(np.float64)
    safe = np.isfinite(estimate.keypoints3d).all(axis=1) & (points[:, 2] > _SINGULAR)
    exact = camera.project(points[safe])
    return exact, np.abs(exact - estimate.keypoints2d[safe]).max(axis=1)


def held_bytes(estimate: BodyEstimate) -> int:
    """What the large arrays of an estimate take in memory: the mesh, and whatever else is larger than the keypoints."""
    optional = [array for array in (estimate.vertices, estimate.feature) if array is not None]
    return sum(array.nbytes for array in (*optional, *estimate.params.values()) if array.nbytes >= _ON_DISK_FROM)


def _check_shapes(estimate: BodyEstimate) -> None:
    shapes = {
        "keypoints3d": (estimate.keypoints3d, (MHR70_COUNT, 3)),
        "transl": (estimate.transl, (3,)),
        "keypoints2d": (estimate.keypoints2d, (MHR70_COUNT, 2)),
        "confidence": (estimate.confidence, (MHR70_COUNT,)),
    }
    for name, (array, expected) in shapes.items():
        if array.shape != expected:
            raise GhostError(f"a body backend gave {name} of shape {array.shape}, expected {expected}.")
    unknown = set(estimate.params) - set(PARAMETRIC_NAMES)
    if unknown:
        raise GhostError(f"a body backend gave {sorted(unknown)}, of which the bodies' files know nothing.")


def to_columns(rows: Iterable[int], estimates: Iterable[BodyEstimate]) -> Columns:
    """Estimates as arrays with a row each, as they are stored.

    Args:
        rows: their rows in the clip's table of people.
        estimates: what `objection` has nothing against.

    Returns:
        ROW (n,) int64, pred_keypoints_3d, pred_cam_t, confidence and those of PARAMETRIC_NAMES that there are.

    Raises:
        GhostError: estimates with different arrays, or of shapes that cannot be published: a bug of the backend.
    """
    dicts = [_as_dict(estimate) for estimate in estimates]
    if any(one.keys() != dicts[0].keys() for one in dicts):
        raise GhostError("a body backend gave arrays for some people that it did not give for others.")
    columns: Columns = {ROW: np.fromiter(rows, np.int64)}
    for name in dicts[0] if dicts else ():
        columns[name] = column = np.stack([one[name] for one in dicts])
        if name in PARAMETRIC_NAMES:
            try:  # now, not when the last frame is done
                parametric_form("a body backend", name, column.shape, column.dtype)
            except BadInput as error:
                raise GhostError(str(error)) from error
    return columns


def _as_dict(estimate: BodyEstimate) -> dict[str, NDArray[Any]]:
    known = np.isfinite(estimate.keypoints3d).all(axis=1)
    arrays: dict[str, NDArray[Any]] = {
        "pred_keypoints_3d": np.where(known[:, None], estimate.keypoints3d, np.nan),
        "pred_cam_t": estimate.transl,
        "confidence": np.where(known, np.clip(estimate.confidence, 0, 1), 0),
        **estimate.params,
    }
    arrays |= {} if estimate.vertices is None else {"pred_vertices": estimate.vertices}
    arrays |= {} if estimate.feature is None else {"feature": estimate.feature}
    return {name: array.astype(np.float16 if name in _HALF else np.float32) for name, array in arrays.items()}


class Tracks:
    """Columns by person. Rows of more than 2 kB, which is meshes and features, go to hidden files in a folder.

    Attributes:
        count: number of bodies.
    """

    def __init__(self, clip: Clip, folder: Path) -> None:
        """Starts empty.

        Args:
            clip: what the rows are about.
            folder: for the large columns; whoever owns it removes them.
        """
        self._clip = clip
        self._folder = folder
        self.count = 0
        self._small: dict[int, list[Columns]] = {}
        self._large: dict[int, dict[str, tuple[Path, np.dtype[Any], tuple[int, ...]]]] = {}

    def add(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Appends what `to_columns` has made, of frames after those that are here.

        Raises:
            OSError: the disk refuses.
        """
        people = self._clip.people.person[columns[ROW]]
        self.count += len(people)
        for person in np.unique(people).tolist():
            mine = people == person
            small: Columns = {}
            for name, column in columns.items():
                if column[0].nbytes < _ON_DISK_FROM:
                    small[name] = column[mine]
                else:
                    self._append(person, name, column[mine])
            self._small.setdefault(person, []).append(small)

    def _append(self, person: int, name: str, part: NDArray[Any]) -> None:
        path = self._folder / f".{name}.{person}"
        columns = self._large.setdefault(person, {})
        with path.open("ab" if name in columns else "wb") as file:
            file.write(np.ascontiguousarray(part).data)
        columns[name] = path, part.dtype, part.shape[1:]

    def bodies(self) -> dict[int, PersonBody]:
        """Everybody's body by local id, ascending; large arrays are maps of the files.

        Raises:
            GhostError: arrays that are there in some frames only: a bug of the backend.
        """
        return {person: self._body(person) for person in sorted(self._small)}

    def _body(self, person: int) -> PersonBody:
        parts, clip = self._small[person], self._clip
        if any(part.keys() != parts[0].keys() for part in parts):
            raise GhostError("a body backend gave arrays in some frames that it did not give in others.")
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        rows = columns.pop(ROW)
        for name, (path, dtype, shape) in self._large.get(person, {}).items():
            columns[name] = np.memmap(path, dtype, "r", shape=(len(rows), *shape))
        frame, keypoints, moved = clip.people.frame[rows], columns.pop("pred_keypoints_3d"), columns.pop("pred_cam_t")
        focal = np.tile(clip.camera.focal.astype(np.float32), (len(rows), 1))
        centre = np.tile(clip.camera.centre.astype(np.float32), (len(rows), 1))
        return PersonBody(
            person=person,
            frame_indices=frame.astype(np.int32),
            pred_keypoints_3d=keypoints,
            pred_keypoints_2d=project_keypoints(keypoints, moved, focal=focal, principal_point=centre),
            pred_cam_t=moved,
            focal_length=np.full(len(rows), clip.camera.focal.mean(), np.float32),
            bbox=clip.people.box[rows].astype(np.float32),
            times=clip.times[frame],
            confidence=columns.pop("confidence"),
            principal_point=centre,
            focal_xy=focal,
            parametric=columns,
        )
