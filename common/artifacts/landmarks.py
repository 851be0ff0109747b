"""landmarks.npz: the BlazePose landmarks that `segment` computed along with its masks, for `body` to use.

Rows are person-frames, sorted by person, then frame. Landmarks are in BlazePose's order of 33
(common/skeletons.py says which of them are keypoints of a body).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.artifacts.contract import FREE, Field, check_fields, check_unit_interval, place, read_fields
from common.artifacts.npy import STORED_LEVEL
from common.artifacts.npz import NpzReader, NpzWriter
from common.errors import BadInput
from common.skeletons import BLAZEPOSE_COUNT

_FIELDS = {
    "frame": Field((FREE,), np.int32),
    "person": Field((FREE,), np.uint16),
    "image": Field((FREE, BLAZEPOSE_COUNT, 2), np.float32),
    "world": Field((FREE, BLAZEPOSE_COUNT, 3), np.float32),
    "visibility": Field((FREE, BLAZEPOSE_COUNT), np.float32),
    "presence": Field((FREE, BLAZEPOSE_COUNT), np.float32),
    "score": Field((FREE,), np.float32),
    "region": Field((FREE, 4), np.float32),
}
_UNIT_INTERVAL = ("visibility", "presence", "score")


@dataclass(frozen=True)
class Landmarks:
    """Landmarks of m person-frames; nothing is missing: a person-frame without landmarks has no row.

    Attributes:
        frame: (m,) int32, index in the video.
        person: (m,) uint16, local id.
        image: (m, 33, 2) float32, pixels of the upright frame.
        world: (m, 33, 3) float32, metres, OpenCV camera axes, origin in the middle of the hips.
        visibility: (m, 33) float32 in [0, 1], probability that the landmark is not occluded.
        presence: (m, 33) float32 in [0, 1], probability that it is within the region.
        score: (m,) float32 in [0, 1], probability that the region shows a person.
        region: (m, 4) float32, the square that the model saw: centre x, y and side in pixels, angle in
            radians.
    """

    frame: npt.NDArray[np.int32]
    person: npt.NDArray[np.uint16]
    image: npt.NDArray[np.float32]
    world: npt.NDArray[np.float32]
    visibility: npt.NDArray[np.float32]
    presence: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]
    region: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def people(self) -> tuple[int, ...]:
        """All local ids, ascending."""
        return tuple(np.unique(self.person).tolist())

    def of(self, person: int) -> Landmarks:
        """The rows of one person, in the order of the frames; none if it is not here. Views, not copies."""
        first, last = np.searchsorted(self.person, [person, person + 1])
        return Landmarks(**{name: values[first:last] for name, values in _arrays(self).items()})


def save(path: Path, landmarks: Landmarks) -> None:
    """Writes the artifact, uncompressed: floating-point noise does not deflate.

    Raises:
        BadInput: the landmarks break the contract.
        OSError: the disk refuses.
    """
    _check(landmarks, place("landmarks", path))
    with NpzWriter(path, level=STORED_LEVEL) as writer:
        for name, values in _arrays(landmarks).items():
            writer.write(name, values)


def load(path: Path) -> Landmarks:
    """Reads and checks the artifact.

    Raises:
        BadInput: the field that breaks the contract, expected and actual.
        OSError: the file cannot be read.
    """
    where = place("landmarks", path)
    with NpzReader(path) as reader:
        landmarks = Landmarks(**read_fields(reader, where, _FIELDS))
    _check(landmarks, where)
    return landmarks


def validate(path: Path) -> None:
    """Checks the whole artifact; errors as in `load`."""
    load(path)


def _arrays(landmarks: Landmarks) -> dict[str, npt.NDArray[Any]]:
    return {field.name: getattr(landmarks, field.name) for field in fields(Landmarks)}


def _check(landmarks: Landmarks, where: str) -> None:
    arrays = _arrays(landmarks)
    check_fields(where, arrays, _FIELDS)
    for name in ("image", "world", "region"):
        missing = np.count_nonzero(~np.isfinite(arrays[name]))
        if missing:
            raise BadInput(f"{where}: {name}: expected finite values, got {missing} that are not")
    for name in _UNIT_INTERVAL:
        check_unit_interval(f"{where}: {name}", arrays[name])
    if (landmarks.frame < 0).any() or (landmarks.person < 1).any():
        lowest = f"{landmarks.frame.min()} and {landmarks.person.min()}"
        raise BadInput(f"{where}: frame, person: expected at least 0 and 1, got {lowest}")
    order = landmarks.person.astype(np.int64) << 32 | landmarks.frame
    if (np.diff(order) <= 0).any():
        row = int(np.argmax(np.diff(order) <= 0)) + 1
        raise BadInput(
            f"{where}: expected rows sorted by person, then frame, each once; row {row} has person "
            f"{landmarks.person[row]}, frame {landmarks.frame[row]}"
        )
