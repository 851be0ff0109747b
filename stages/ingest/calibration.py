"""`calibration.json`, which a user may put beside the recordings: camera matrices by video id.

    {"cam01": {"intrinsics": [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]}, ...}

Pixels of the upright frame at the video's own size, origin at the centre of the top-left pixel.
"""

from __future__ import annotations

import math
from pathlib import Path

from common.artifacts.json_files import read_json
from common.artifacts.scene import Intrinsics
from common.errors import BadInput


def read_intrinsics(path: Path) -> dict[str, Intrinsics]:
    """Camera matrices (3x3) by video id. Raises BadInput that names the offending entry."""
    document = read_json(path)
    if not isinstance(document, dict):
        raise BadInput(f"{path.name}: expected an object of cameras, got {type(document).__name__}.")
    return {video: _matrix(path.name, video, entry) for video, entry in document.items()}


def _matrix(file: str, video: str, entry: object) -> Intrinsics:
    rows = entry.get("intrinsics") if isinstance(entry, dict) else None
    shaped = isinstance(rows, list) and len(rows) == 3 and all(isinstance(row, list) and len(row) == 3 for row in rows)
    numbers = [value for row in rows for value in row] if shaped and isinstance(rows, list) else []
    if not numbers or not all(_is_finite(value) for value in numbers):
        raise BadInput(f"{file}: {video}.intrinsics: expected 3x3 numbers, got {rows!r}.")
    first, second, third = ((float(a), float(b), float(c)) for a, b, c in (numbers[0:3], numbers[3:6], numbers[6:9]))
    if first[1] != 0:
        raise BadInput(f"{file}: {video}.intrinsics: expected a skew of 0 (second number), got {first[1]}.")
    if first[0] <= 0 or second[0] != 0 or second[1] <= 0 or third != (0, 0, 1):
        raise BadInput(f"{file}: {video}.intrinsics: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], got {rows!r}.")
    return first, second, third


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
