"""What entries of a lock file, and of a record of pins, have to look like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

_SHA256 = re.compile(r"[0-9a-f]{64}")


def require(condition: bool, problem: str) -> None:
    """Raises ValueError with the problem unless the condition holds."""
    if not condition:
        raise ValueError(problem)


def read_size(entry: Mapping[str, Any], where: str) -> int:
    """The entry's "bytes"."""
    require(type(entry["bytes"]) is int and entry["bytes"] > 0, f"{where}: bytes {entry['bytes']!r}")
    return int(entry["bytes"])


def read_digest(digest: str, where: str) -> str:
    """A sha256, hexadecimal."""
    require(_SHA256.fullmatch(digest) is not None, f"{where}: sha256 {digest!r}")
    return digest


def read_path(path: str, where: str) -> str:
    """A path with "/" that stays below the folder it is joined to."""
    parts = PurePosixPath(path).parts
    is_inside = bool(parts) and not PurePosixPath(path).is_absolute() and ".." not in parts
    require(is_inside and "\\" not in path and "\0" not in path, f"{where}: path {path!r} leads out")
    return path


def read_words(entry: Mapping[str, Any], where: str) -> None:
    """Checks the entry's licence and notice: nothing is fetched without them."""
    for key in ("licence", "notice"):
        require(bool(entry[key]), f"{where}: {key} is empty")
