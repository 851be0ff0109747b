"""`cross_video_id_mapping.json`: which people of different videos are the same person.

The original's format: `{video id: {"<local id>": id in the scene}}`. Ids in the scene count from 1. Two local ids of
one video may be one person who was lost and found again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from common.artifacts.json_files import read_json, write_json
from common.errors import BadInput

_LOCAL_ID = re.compile(r"[1-9][0-9]{0,4}")  # as json writes a person's id, a uint16 from 1

Identities = Mapping[str, Mapping[int, int]]


def save(path: Path, identities: Identities) -> None:
    """Writes the mapping: video id -> local person id -> id in the scene."""
    write_json(
        path, {video: {str(local): person for local, person in people.items()} for video, people in identities.items()}
    )


def load(path: Path) -> dict[str, dict[int, int]]:
    """Reads and validates the mapping. Raises BadInput."""
    document = read_json(path)
    if not isinstance(document, dict):
        raise BadInput(f"{path.name}: expected an object, got {type(document).__name__}.")
    return {video: _people(path.name, video, people) for video, people in document.items()}


def validate(path: Path) -> None:
    """Raises BadInput unless the file keeps its contract."""
    load(path)


def _people(file: str, video: str, people: object) -> dict[int, int]:
    if not isinstance(people, dict):
        raise BadInput(f"{file}: {video}: expected an object, got {type(people).__name__}.")
    for local, person in people.items():
        if not _LOCAL_ID.fullmatch(local) or not isinstance(person, int) or isinstance(person, bool) or person < 1:
            raise BadInput(f"{file}: {video}: expected {{local id: id from 1}}, got {{{local!r}: {person!r}}}.")
    return {int(local): person for local, person in people.items()}
