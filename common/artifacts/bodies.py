"""body_data/: one ``person_<id>.npz`` per person of a video and a summary, as the original ghost wrote them.

Keypoints are the 70 of common/skeletons.py (MHR70), in metres along OpenCV camera axes (x right, y down, z
forward) and relative to the person: camera coordinates are ``pred_keypoints_3d + pred_cam_t[:, None]``.
`times`, `confidence`, `principal_point` and `focal_xy` are ghost's own; the arrays of PARAMETRIC_NAMES are there only
when the backend estimates them.

One thing holds for every backend: ``pred_keypoints_2d`` is the projection of the 3D keypoints. What a backend has
measured in the image itself stands in ``observed_keypoints_2d``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.artifacts.body_projection import check_projection
from common.artifacts.contract import (
    FREE,
    Field,
    check_fields,
    check_increasing,
    check_person,
    check_unit_interval,
    describe,
    place,
    read_fields,
)
from common.artifacts.json_files import read_json, write_json
from common.artifacts.npy import STORED_LEVEL
from common.artifacts.npz import MAX_ARRAY_BYTES, NpzReader, NpzWriter
from common.errors import BadInput
from common.skeletons import MHR70_COUNT

SUMMARY_NAME = "body_params_summary.json"

_FIELDS = {
    "frame_indices": Field((FREE,), np.int32),
    "pred_keypoints_3d": Field((FREE, MHR70_COUNT, 3), np.float32),
    "pred_keypoints_2d": Field((FREE, MHR70_COUNT, 2), np.float32),
    "pred_cam_t": Field((FREE, 3), np.float32),
    "focal_length": Field((FREE,), np.float32),
    "bbox": Field((FREE, 4), np.float32),
    "times": Field((FREE,), np.float64),
    "confidence": Field((FREE, MHR70_COUNT), np.float32),
    "principal_point": Field((FREE, 2), np.float32),
}
_OPTIONAL = {
    "focal_xy": Field((FREE, 2), np.float32),
    "observed_keypoints_2d": Field((FREE, MHR70_COUNT, 2), np.float32),
}
# One entry for each dtype and size that an array may have.
_HALF, _SINGLE = np.float16, np.float32
_PARAMETRIC: dict[str, tuple[Field, ...]] = {
    # The mesh, in metres like the keypoints and relative to pred_cam_t like them: MHR's, or SMPL's.
    "pred_vertices": tuple(Field((FREE, count, 3), dtype) for count in (18439, 6890) for dtype in (_HALF, _SINGLE)),
    "smpl_vertices": (Field((FREE, 6890, 3), _HALF),),  # MHR's mesh in SMPL's layout
    # Of SAM 3D Body: parameters of MHR.
    "body_pose_params": (Field((FREE, 133), _SINGLE),),
    "hand_pose_params": (Field((FREE, 108), _SINGLE),),
    "shape_params": (Field((FREE, 45), _SINGLE),),
    "global_rot": (Field((FREE, 3), _SINGLE),),
    "scale_params": (Field((FREE, 28), _SINGLE),),
    # Of NLF: parameters of SMPL; axis-angle, shape, metres.
    "smpl_pose": (Field((FREE, 72), _SINGLE),),
    "smpl_betas": (Field((FREE, 10), _SINGLE),),
    "smpl_trans": (Field((FREE, 3), _SINGLE),),
    "keypoint_uncertainty": (Field((FREE, MHR70_COUNT), _SINGLE),),  # metres
    "feature": tuple(Field((FREE, FREE), dtype) for dtype in (_HALF, _SINGLE)),  # looks, for re-identification
}
PARAMETRIC_NAMES: tuple[str, ...] = tuple(_PARAMETRIC)

MESH_NAMES = ("pred_vertices", "smpl_vertices")

_MAX_MESH_BYTES = 1 << 34  # chosen by hand: 40 minutes of one person's mesh at 30 fps
_FILE = re.compile(r"person_([1-9]\d*)\.npz")


@dataclass(frozen=True)
class PersonBody:
    """The body of one person in the N frames of a video in which it was estimated.

    Attributes:
        person: local id.
        frame_indices: (N,) int32, increasing.
        pred_keypoints_3d: (N, 70, 3) float32, metres, camera axes, relative to `pred_cam_t`; NaN where not
            observed.
        pred_keypoints_2d: (N, 70, 2) float32, pixels of the upright frame: the projection of the 3D keypoints; NaN
            where they are, or where they have no image (`body_projection.project_keypoints`).
        pred_cam_t: (N, 3) float32, metres, camera axes.
        focal_length: (N,) float32, pixels: the mean of both axes, for readers that know one only.
        bbox: (N, 4) float32, pixels (x1, y1, x2, y2).
        times: (N,) float64, presentation times in seconds, increasing.
        confidence: (N, 70) float32 in [0, 1]; 0 where `pred_keypoints_3d` is NaN.
        principal_point: (N, 2) float32, pixels.
        focal_xy: (N, 2) float32, pixels along x and y; None in files of others. `focal` is there in any case.
        observed_keypoints_2d: (N, 70, 2) float32, pixels: where the backend saw the keypoints in the image, if it
            measures that apart from the 3D ones; NaN where it did not.
        parametric: those of PARAMETRIC_NAMES that the backend estimates, (N, ...) float32; meshes and features may be
            float16. Large ones may be memory maps of a file.
    """

    person: int
    frame_indices: npt.NDArray[np.int32]
    pred_keypoints_3d: npt.NDArray[np.float32]
    pred_keypoints_2d: npt.NDArray[np.float32]
    pred_cam_t: npt.NDArray[np.float32]
    focal_length: npt.NDArray[np.float32]
    bbox: npt.NDArray[np.float32]
    times: npt.NDArray[np.float64]
    confidence: npt.NDArray[np.float32]
    principal_point: npt.NDArray[np.float32]
    focal_xy: npt.NDArray[np.float32] | None = None
    observed_keypoints_2d: npt.NDArray[np.float32] | None = None
    parametric: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame_indices)

    @property
    def keypoints_camera(self) -> npt.NDArray[np.float32]:
        """(N, 70, 3) float32, metres, camera coordinates; NaN where not observed."""
        return self.pred_keypoints_3d + self.pred_cam_t[:, None]

    @property
    def focal(self) -> npt.NDArray[np.float32]:
        """(N, 2) float32, focal lengths along x and y in pixels: `focal_xy`, or `focal_length` for both."""
        return np.repeat(self.focal_length[:, None], 2, axis=1) if self.focal_xy is None else self.focal_xy

    @property
    def image_keypoints(self) -> npt.NDArray[np.float32]:
        """(N, 70, 2) float32, pixels: the evidence in the image, `observed_keypoints_2d` or else the projection."""
        return self.pred_keypoints_2d if self.observed_keypoints_2d is None else self.observed_keypoints_2d

    @property
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays by their names in the file, in the order of the file."""
        own = {f.name: getattr(self, f.name) for f in fields_of(self) if f.name in _FIELDS}
        own |= {name: getattr(self, name) for name in _OPTIONAL if getattr(self, name) is not None}
        return own | {name: self.parametric[name] for name in PARAMETRIC_NAMES if name in self.parametric}


def parametric_form(where: str, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Field:
    """Which of the forms that an array of PARAMETRIC_NAMES may have this one has, whatever its number of rows.

    Args:
        where: artifact and file, for the message.
        name: of the array.
        shape: what it or its header says.
        dtype: likewise.

    Raises:
        BadInput: none of them.
    """
    forms = _PARAMETRIC[name]
    for form in forms:
        sizes = tuple(got if size == FREE else size for size, got in zip(form.shape, shape, strict=False))
        if len(shape) == len(form.shape) and sizes == shape and np.dtype(dtype) == np.dtype(form.dtype):
            return Field((FREE, *shape[1:]), form.dtype)
    if len(forms) == 1:
        return forms[0]  # whose difference from what there is will be named like that of any other field
    wanted = " or ".join(describe(form.shape, form.dtype) for form in forms)
    raise BadInput(f"{where}: {name}: expected {wanted}, got {describe(shape, dtype)}")


def person_file(person: int) -> str:
    """Name of a person's file in the folder."""
    return f"person_{person}.npz"


def save_person(folder: Path, body: PersonBody) -> Path:
    """Writes one person's file, uncompressed as the original, into an existing folder, and returns its path.

    Raises:
        BadInput: the body breaks the contract.
        OSError: the disk refuses.
    """
    path = folder / person_file(check_person("bodies", body.person))
    _check(body, place("bodies", path))
    with NpzWriter(path, level=STORED_LEVEL) as writer:
        for name, values in body.arrays.items():
            writer.write(name, values)
    return path


def load_person(path: Path, *, parametric: bool | Collection[str] = True) -> PersonBody:
    """Reads and checks one person's file.

    Args:
        path: ``person_<id>.npz``.
        parametric: whether to read the arrays of PARAMETRIC_NAMES too, as far as they are there, or which of them;
            the mesh alone is 200 times the size of the keypoints.

    Raises:
        BadInput: the field that breaks the contract, expected and actual.
        OSError: the file cannot be read.
    """
    where = place("bodies", path)
    match = _FILE.fullmatch(path.name)
    if match is None:
        raise BadInput(f"{where}: expected a name like person_1.npz")
    person = check_person(where, int(match[1]))
    if isinstance(parametric, bool):
        parametric = PARAMETRIC_NAMES if parametric else ()
    limit = _MAX_MESH_BYTES if set(parametric) & set(MESH_NAMES) else MAX_ARRAY_BYTES
    with NpzReader(path, max_bytes=limit) as reader:
        extras = {
            name: parametric_form(where, name, *reader.header(name)) for name in parametric if name in reader.names
        }
        arrays = read_fields(reader, where, _FIELDS | _OPTIONAL | extras, optional=_OPTIONAL)
    body = PersonBody(person, parametric={name: arrays.pop(name) for name in extras}, **arrays)
    _check(body, where)
    return body


def load(folder: Path, *, parametric: bool | Collection[str] = False) -> dict[int, PersonBody]:
    """All persons of a video by local id, ascending; nobody is an empty dict.

    Args:
        folder: body_data.
        parametric: as in `load_person`.

    Raises:
        BadInput: as in `load_person`.
        OSError: the folder cannot be read.
    """
    found = {int(match[1]): path for path in folder.iterdir() if (match := _FILE.fullmatch(path.name))}
    return {person: load_person(found[person], parametric=parametric) for person in sorted(found)}


def save_summary(folder: Path, video_id: str, bodies: Mapping[int, PersonBody]) -> None:
    """Writes body_params_summary.json: each person's number of frames, the first and last, and all shapes."""
    persons = {
        str(person): {
            "num_frames": len(body),
            "frame_range": body.frame_indices[[0, -1]].tolist(),
            "param_shapes": {name: list(values.shape) for name, values in body.arrays.items()},
        }
        for person, body in sorted(bodies.items())
    }
    write_json(folder / SUMMARY_NAME, {"video_id": video_id, "persons": persons})


def validate(folder: Path) -> None:
    """Checks every person's file, and that the summary speaks of exactly these persons and frames.

    Raises:
        BadInput: the field that breaks the contract, expected and actual.
        OSError: a file cannot be read.
    """
    summary = read_json(folder / SUMMARY_NAME)
    where = place("bodies", folder / SUMMARY_NAME)
    persons = summary.get("persons") if isinstance(summary, dict) else None
    if not isinstance(persons, dict) or not isinstance(summary.get("video_id"), str):
        raise BadInput(f"{where}: expected {{video_id: text, persons: object}}, got {summary!r:.80}")
    bodies = load(folder)
    if sorted(persons) != sorted(map(str, bodies)):
        raise BadInput(f"{where}: persons: expected {sorted(map(str, bodies))}, got {sorted(persons)}")
    for person, body in bodies.items():
        entry = persons[str(person)]
        expected = (len(body), body.frame_indices[[0, -1]].tolist())
        got = (entry.get("num_frames"), entry.get("frame_range")) if isinstance(entry, dict) else entry
        if got != expected:
            raise BadInput(
                f"{where}: persons[{str(person)!r}]: num_frames, frame_range: expected {expected}, got {got}"
            )


def _check(body: PersonBody, where: str) -> None:
    unknown = set(body.parametric) - set(PARAMETRIC_NAMES)
    if unknown:
        raise BadInput(f"{where}: parametric: expected some of {PARAMETRIC_NAMES}, got {sorted(unknown)}")
    arrays = body.arrays
    fields = {name: f for name, f in (_FIELDS | _OPTIONAL).items() if name in arrays}
    extras = {name: parametric_form(where, name, array.shape, array.dtype) for name, array in body.parametric.items()}
    rows = check_fields(where, arrays, fields | extras)
    if rows == 0:
        raise BadInput(f"{where}: expected at least one frame, got none; a person without frames has no file")
    if body.frame_indices[0] < 0:
        raise BadInput(f"{where}: frame_indices: expected >= 0, got {body.frame_indices[0]}")
    check_increasing(f"{where}: frame_indices", body.frame_indices)
    check_increasing(f"{where}: times", body.times)
    check_unit_interval(f"{where}: confidence", body.confidence)
    trusted = np.isnan(body.pred_keypoints_3d).any(axis=-1) & (body.confidence > 0)
    if trusted.any():
        frame, keypoint = np.argwhere(trusted)[0]
        raise BadInput(
            f"{where}: confidence: expected 0 where pred_keypoints_3d is NaN, "
            f"got {body.confidence[frame, keypoint]} at [{frame}, {keypoint}]"
        )
    check_projection(
        f"{where}: pred_keypoints_2d",
        body.pred_keypoints_2d,
        body.pred_keypoints_3d,
        body.pred_cam_t,
        focal=body.focal,
        principal_point=body.principal_point,
    )
