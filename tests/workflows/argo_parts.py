"""The parts of a workflow file, as the checks of tests look at them."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

Document = Mapping[str, Any]

FOLDER = Path(__file__).parents[2] / "workflows"

TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
EXAMPLES = {"scene": "take_01"}
"""Parameters that have no value in the file, because they must be given."""


def document(name: str = "ghost.yaml") -> dict[str, Any]:
    """A rendered file, for a test to change as it likes."""
    return copy.deepcopy(_parsed(name))


@functools.cache
def _parsed(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def task(document: Document, template: str, name: str) -> dict[str, Any]:
    """A task of a DAG."""
    return next(entry for entry in templates(document)[template]["dag"]["tasks"] if entry["name"] == name)


def templates(document: Document) -> dict[str, dict[str, Any]]:
    return {template["name"]: template for template in document["spec"]["templates"]}


def leaves(document: Document) -> dict[str, dict[str, Any]]:
    return {name: template for name, template in templates(document).items() if "container" in template}


def tasks(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, template in templates(document).items():
        for task in template.get("dag", {}).get("tasks", ()):
            yield name, task


def strings(part: object) -> Iterator[str]:
    """All texts in a part of the document."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, Mapping):
        for value in part.values():
            yield from strings(value)
    elif isinstance(part, list):
        for value in part:
            yield from strings(value)
