"""Checks of what a JSON file holds: failures are BadInput that name the field, what was expected and what is there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeVar

from common.errors import BadInput

Entry = TypeVar("Entry")


def build(where: str, kind: type[Entry], entry: object) -> Entry:
    """A dataclass made of an object that has exactly its fields, not checked further.

    Args:
        where: file and field, for the message.
        kind: a dataclass.
        entry: whatever JSON holds.
    """
    check_object(where, entry)
    try:
        return kind(**entry)  # type: ignore[arg-type]  # checked above
    except TypeError as error:
        raise BadInput(f"{where}: {error}.") from error


def check_object(where: str, value: object) -> None:
    """Raises BadInput unless `value` is a JSON object."""
    if not isinstance(value, dict):
        raise BadInput(f"{where}: expected an object, got {value!r}.")


def entries(where: str, value: object) -> Iterator[tuple[str, object]]:
    """("where.0", first element), ... of a list."""
    if not isinstance(value, list | tuple):
        raise BadInput(f"{where}: expected a list, got {value!r}.")
    return ((f"{where}.{index}", entry) for index, entry in enumerate(value))


def check_number(
    where: str, value: object, *, minimum: float = -math.inf, maximum: float = math.inf, required: bool = False
) -> None:
    """Raises BadInput unless `value` is a finite number in the range, or None where that may be."""
    if value is None and not required:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not minimum <= value <= maximum or not math.isfinite(value):  # type: ignore[operator, arg-type]
        lowest = f" from {minimum:g}" if math.isfinite(minimum) else ""
        highest = f" to {maximum:g}" if math.isfinite(maximum) else ""
        raise BadInput(f"{where}: expected a number{lowest}{highest}{'' if required else ' or null'}, got {value!r}.")


def check_flag(where: str, value: object) -> None:
    """Raises BadInput unless `value` is true or false."""
    if not isinstance(value, bool):
        raise BadInput(f"{where}: expected true or false, got {value!r}.")


def check_text(where: str, value: object) -> None:
    """Raises BadInput unless `value` is a text."""
    if not isinstance(value, str):
        raise BadInput(f"{where}: expected a text, got {value!r}.")


def check_choice(where: str, value: object, choices: tuple[Any, ...]) -> None:
    """Raises BadInput unless `value` is one of the choices."""
    if value not in choices:
        raise BadInput(f"{where}: expected one of {choices}, got {value!r}.")


def texts(where: str, value: object) -> tuple[str, ...]:
    """A list of texts, as a tuple."""
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise BadInput(f"{where}: expected a list of texts, got {value!r}.")
    return tuple(value)
