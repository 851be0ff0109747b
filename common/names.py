"""Names of scenes and videos: they become paths, object keys and arguments, so only harmless ones are let in."""

from __future__ import annotations

import re
from collections.abc import Iterable

from common.errors import BadInput, UsageError

NAME_RULE = "letters, digits, '.', '_' and '-', starting with a letter or digit, at most 63, without '..'"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def is_valid(name: str) -> bool:
    """Whether `name` may name a scene or a video."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def check_name(name: str, *, kind: str) -> str:
    """Returns `name`, or raises UsageError that says which rule it breaks.

    Args:
        name: what the user or a folder listing gave.
        kind: "scene" or "video", for the message.
    """
    if not is_valid(name):
        raise UsageError(f"{kind} name {name!r} is not accepted: use {NAME_RULE}. Rename it, then run again.")
    return name


def check_distinct(names: Iterable[str], *, kind: str) -> None:
    """Raises BadInput if two names are equal when the case of letters is ignored (they share a file on some disks)."""
    seen: dict[str, str] = {}
    for name in names:
        first = seen.get(name.lower())
        if first is not None:
            how = "the same name" if first == name else "names that differ only in the case of letters"
            raise BadInput(f"two {kind}s have {how}: {first!r} and {name!r}. Rename one of them.")
        seen[name.lower()] = name
