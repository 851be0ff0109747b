"""The checks that all artifacts share: shapes and dtypes of arrays, ids of persons, and what a message says.

Every failure is a BadInput that names the artifact, the field, what was expected and what was found, as in
``bodies body_data/person_3.npz: pred_keypoints_3d: expected (90, 70, 3) float32, got (90, 33, 3) float64``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from common.errors import BadInput

if TYPE_CHECKING:
    from common.artifacts.npz import NpzReader

FREE = -1
"""In an expected shape: any size."""

MAX_PERSON = int(np.iinfo(np.uint16).max)
"""Label images hold person ids as uint16."""


@dataclass(frozen=True)
class Field:
    """Shape and dtype that an array must have; FREE stands for the artifact's number of rows."""

    shape: tuple[int, ...]
    dtype: npt.DTypeLike


def describe(shape: tuple[int, ...], dtype: npt.DTypeLike) -> str:
    """Text for messages: ``(n, 70, 3) float32``; a free size is called n."""
    sizes = ", ".join("n" if size == FREE else str(size) for size in shape)
    return f"({sizes}{',' if len(shape) == 1 else ''}) {np.dtype(dtype)}"


def check_header(
    name: str,
    got_shape: tuple[int, ...],
    got_dtype: npt.DTypeLike,
    *,
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
) -> None:
    """Raises BadInput if shape or dtype differ from what is expected.

    Args:
        name: artifact, place and field, for the message.
        got_shape: what the array or its header says.
        got_dtype: likewise.
        shape: expected sizes; FREE (-1) accepts any.
        dtype: expected dtype, byte order included.
    """
    fits = len(got_shape) == len(shape) and all(
        wanted in (FREE, got) for got, wanted in zip(got_shape, shape, strict=True)
    )
    if not fits or np.dtype(got_dtype) != np.dtype(dtype):
        raise BadInput(f"{name}: expected {describe(shape, dtype)}, got {describe(got_shape, got_dtype)}")


def check_array(name: str, array: npt.NDArray[Any], shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
    """Raises BadInput unless `array` is a numpy array of this shape (FREE accepts any size) and dtype."""
    if not isinstance(array, np.ndarray):
        raise BadInput(f"{name}: expected {describe(shape, dtype)}, got a {type(array).__name__}")
    check_header(name, array.shape, array.dtype, shape=shape, dtype=dtype)


def check_person(name: str, person: int) -> int:
    """Returns `person` as an int, or raises BadInput if it is no id that a uint16 label image can hold.

    Args:
        name: artifact and place, for the message.
        person: id within one video; 0 is the background and no person.
    """
    if not 1 <= person <= MAX_PERSON:
        raise BadInput(f"{name}: person id expected in 1..{MAX_PERSON} (label images are uint16), got {person}")
    return int(person)


def check_fields(
    where: str,
    arrays: Mapping[str, npt.NDArray[Any]],
    fields: Mapping[str, Field],
) -> int:
    """Raises BadInput unless all fields are there and fit; returns the number of rows that they share.

    Args:
        where: artifact and file, for the message.
        arrays: what there is, by field.
        fields: what there must be. The first one that has a FREE size says how many rows all others have.
    """
    headers = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    return _check_headers(where, headers, fields)


def read_fields(
    reader: NpzReader,
    where: str,
    fields: Mapping[str, Field],
    *,
    optional: Collection[str] = (),
) -> dict[str, npt.NDArray[Any]]:
    """The arrays of these fields; every header is checked before the first array is read.

    Args:
        reader: an open archive.
        where: artifact and file, for the message.
        fields: what there must be; FREE sizes agree among all fields.
        optional: names of fields that may be absent, and then are absent from the result.

    Raises:
        BadInput: a field is missing, does not fit, or is damaged.
    """
    names = set(reader.names)
    wanted = {name: field for name, field in fields.items() if name in names or name not in optional}
    _check_headers(where, {name: reader.header(name) for name in wanted if name in names}, wanted)
    return {name: reader.read(name) for name in wanted}


def _check_headers(
    where: str, headers: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]], fields: Mapping[str, Field]
) -> int:
    rows = FREE
    for name, field in fields.items():
        if name not in headers:
            raise BadInput(f"{where}: {name}: expected {describe(field.shape, field.dtype)}, but it is missing")
        shape, dtype = headers[name]
        expected = tuple(rows if size == FREE else size for size in field.shape)
        check_header(f"{where}: {name}", shape, dtype, shape=expected, dtype=field.dtype)
        if rows == FREE and FREE in field.shape:
            rows = shape[field.shape.index(FREE)]
    return rows


def check_increasing(name: str, values: npt.NDArray[Any]) -> None:
    """Raises BadInput unless `values` (n,) are finite and each is greater than the one before."""
    if not np.isfinite(values).all():
        raise BadInput(f"{name}: expected finite values, got {np.count_nonzero(~np.isfinite(values))} that are not")
    back = np.flatnonzero(values[1:] <= values[:-1])
    if back.size:
        at = int(back[0])
        raise BadInput(f"{name}: expected increasing values, got {values[at]} before {values[at + 1]} at {at}")


def check_unit_interval(name: str, values: npt.NDArray[np.floating[Any]]) -> None:
    """Raises BadInput unless every value lies in [0, 1]; NaN does not."""
    bad = ~((values >= 0) & (values <= 1))
    if bad.any():
        raise BadInput(f"{name}: expected values in [0, 1], got {values[bad].flat[0]} ({np.count_nonzero(bad)} such)")


def place(artifact: str, path: Path) -> str:
    """How messages begin: the artifact's name and the file that breaks its contract."""
    return f"{artifact} {path}"
