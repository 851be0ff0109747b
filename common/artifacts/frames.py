"""`frames/`: the time table of a video (`time_table.npz`) and what its file says about itself (`video.json`).

time_table.npz holds `pts` (n,) int64, increasing, in ticks; `seconds` (n,) float64, that is PTS times time
base, for readers who do not want to multiply; `keyframe` and `corrupt` (n,) bool. video.json holds the
properties (time base as text: "1/15360"), whether the file is truncated, and how many frames it announces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from common.artifacts.contract import FREE, Field, check_increasing, place, read_fields
from common.artifacts.json_files import read_json, write_json
from common.artifacts.npz import NpzReader, NpzWriter
from common.errors import BadInput, from_os_error
from common.media.properties import VideoProperties
from common.media.time_table import TimeTable

SCHEMA = 1
TABLE_FILE = "time_table.npz"
PROPERTIES_FILE = "video.json"
_TOLERANCE_S = 1e-9  # seconds, chosen by hand: other writers may round otherwise; no two frames are as close

_FIELDS = {
    "pts": Field((FREE,), np.int64),
    "seconds": Field((FREE,), np.float64),
    "keyframe": Field((FREE,), np.bool_),
    "corrupt": Field((FREE,), np.bool_),
}


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames artifact in memory."""

    table: TimeTable
    properties: VideoProperties


def save(folder: Path, table: TimeTable, properties: VideoProperties) -> None:
    """Writes both files; equal content gives equal bytes.

    Raises:
        DiskError: the disk refuses.
    """
    described = asdict(properties) | {"time_base": str(properties.time_base)}
    document = {
        "schema": SCHEMA,
        "frames": len(table),
        "declared_frames": table.declared,
        "truncated": table.truncated,
        "properties": described,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NpzWriter(folder / TABLE_FILE) as writer:
            for name in _FIELDS:
                writer.write(name, getattr(table, name))
        write_json(folder / PROPERTIES_FILE, document)
    except OSError as error:
        raise from_os_error(error) from error


def load(folder: Path) -> Frames:
    """Reads and validates the artifact.

    Raises:
        InputMissing: a file is not there.
        BadInput: it breaks its contract; the message names the field, what was expected and what was found.
    """
    try:
        document = read_json(folder / PROPERTIES_FILE)
        with NpzReader(folder / TABLE_FILE) as reader:
            arrays = read_fields(reader, place("frames", folder / TABLE_FILE), _FIELDS)
    except OSError as error:
        raise from_os_error(error) from error
    properties = _properties(folder / PROPERTIES_FILE, document)
    where = place("frames", folder / TABLE_FILE)
    pts = arrays["pts"]
    if len(pts) == 0:
        raise BadInput(f"{where}: pts: expected at least one frame, got none")
    check_increasing(f"{where}: pts", pts)
    _check(
        folder / PROPERTIES_FILE,
        "frames",
        document.get("frames"),
        lambda count: count == len(pts),
        f"{len(pts)}",
    )
    table = TimeTable(
        pts=pts,
        keyframe=arrays["keyframe"],
        corrupt=arrays["corrupt"],
        time_base=properties.time_base,
        truncated=document["truncated"],
        declared=document["declared_frames"],
    )
    same = np.isclose(table.seconds, arrays["seconds"], rtol=0, atol=_TOLERANCE_S)
    if not same.all():
        worst = int(np.argmin(same))
        expected, got = table.seconds[worst], arrays["seconds"][worst]
        raise BadInput(f"{where}: seconds: expected pts x time base = {expected!r} at {worst}, got {got!r}")
    return Frames(table, properties)


def validate(folder: Path) -> None:
    """Raises BadInput unless the artifact keeps its contract."""
    load(folder)


def _is_count(value: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_text(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, str) and value != ""


def _is_seconds(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_flag(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, bool)


_Rule = tuple[Callable[[Any], bool], str]
_COUNT: _Rule = (_is_count, "a positive integer")
_TEXT: _Rule = (_is_text, "a text")
_PROPERTIES: dict[str, _Rule] = {
    "width": _COUNT,
    "height": _COUNT,
    "coded_width": _COUNT,
    "coded_height": _COUNT,
    "rotation": (lambda value: _is_count(value + 1) and value in (0, 90, 180, 270), "0, 90, 180 or 270"),
    "codec": _TEXT,
    "pixel_format": _TEXT,
    "time_base": _TEXT,
    "average_rate": (lambda value: _is_seconds(value) and value > 0, "a positive number"),
    "duration_s": (lambda value: value is None or _is_seconds(value), "null or a number of seconds"),
    "has_audio": (_is_flag, "true or false"),
    "container": _TEXT,
}


def _properties(path: Path, document: Any) -> VideoProperties:  # noqa: ANN401 - whatever JSON holds
    if not isinstance(document, dict):
        raise BadInput(f"{place('frames', path)}: expected an object, got {type(document).__name__}")
    _check(path, "schema", document.get("schema"), lambda value: value == SCHEMA, str(SCHEMA))
    _check(path, "truncated", document.get("truncated"), _is_flag, "true or false")
    declared = document.get("declared_frames")
    _check(
        path,
        "declared_frames",
        declared,
        lambda value: value is None or _is_count(value),
        "null or a positive integer",
    )
    entries = document.get("properties")
    if not isinstance(entries, dict) or entries.keys() != _PROPERTIES.keys():
        got = sorted(entries) if isinstance(entries, dict) else entries
        raise BadInput(f"{place('frames', path)}: properties: expected {sorted(_PROPERTIES)}, got {got}")
    for name, (fits, expected) in _PROPERTIES.items():
        _check(path, f"properties.{name}", entries[name], fits, expected)
    return VideoProperties(**entries | {"time_base": _time_base(path, entries["time_base"])})


def _time_base(path: Path, text: str) -> Fraction:
    try:
        time_base = Fraction(text)
    except (ValueError, ZeroDivisionError):
        time_base = Fraction(0)
    _check(path, "properties.time_base", text, lambda _: time_base > 0, 'a positive fraction such as "1/90000"')
    return time_base


def _check(path: Path, field: str, value: Any, fits: Callable[[Any], bool], expected: str) -> None:  # noqa: ANN401
    try:
        ok = fits(value)
    except TypeError:  # compared or added to what is no number
        ok = False
    if not ok:
        raise BadInput(f"{place('frames', path)}: {field}: expected {expected}, got {value!r}")
