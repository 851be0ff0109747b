"""JSON files as ghost writes them: readable as a diff, the same bytes for the same content, and never NaN."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from common.errors import BadInput


def write_json(path: Path, content: object) -> None:
    """Writes `content` in UTF-8, indented by one space, keys in the order given, with a final newline.

    Raises:
        ValueError: a NaN or infinite number, which other readers refuse; missing is None.
        OSError: the disk refuses.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:  # noqa: ANN401 - what a file holds is known to the caller, who validates it
    """What the file holds, not validated.

    Raises:
        BadInput: not JSON in UTF-8, nested beyond reason, or a NaN in it.
        OSError: the file cannot be read.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        reason = " ".join(str(error).split())
        raise BadInput(f"{path}: not a JSON file ({reason}). Run the stage that writes it again.") from error


def _refuse(constant: str) -> Any:  # noqa: ANN401 - the signature that json asks for; it never returns
    raise ValueError(f"{constant} is no JSON value")
