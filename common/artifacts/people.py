"""json_data/mask_%06d.json: who is in each frame, where and how certain, as the original ghost wrote it.

``{mask_name, mask_height, mask_width, promote_type: "mask", labels: {"<id>": {instance_id, class_name, x1,
y1, x2, y2, logit}}}``; the box is the inclusive pixel box of the person's mask, ``logit`` the detector's
score or null. ghost adds ``area``, the pixels of the mask, so that boxes and areas are known without opening
any mask. There is one file per frame of mask_data.npz; where nobody is, ``labels`` is empty.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.artifacts.class_names import PERSON, is_person
from common.artifacts.contract import check_person, place
from common.artifacts.json_files import read_json, write_json
from common.artifacts.label_geometry import PeopleInFrame
from common.artifacts.masks import entry_name
from common.errors import BadInput

_FILE = re.compile(r"mask_(\d{6,})\.json")


@dataclass(frozen=True)
class PersonLabel:
    """One person, or another thing that was asked for, in one frame.

    Attributes:
        person: local id, 1..65535.
        box: inclusive pixels (x1, y1, x2, y2) of the mask.
        area: pixels of the mask; None in files of the original, which does not say.
        score: of the detection, in the detector's unit; None where the person was tracked but not detected.
        class_name: what it is: PERSON, or another phrase of the prompt.
    """

    person: int
    box: tuple[int, int, int, int]
    area: int | None
    score: float | None
    class_name: str = PERSON


@dataclass(frozen=True)
class FramePeople:
    """Everybody in one frame.

    Attributes:
        frame: index in the video, from 0.
        height: of the label image, pixels.
        width: likewise.
        people: in ascending order of ids.
    """

    frame: int
    height: int
    width: int
    people: tuple[PersonLabel, ...]


@dataclass(frozen=True)
class PeopleTable:
    """Everybody in all frames of a video, one row per person and frame, sorted by frame, then person.

    Attributes:
        frames: (n,) int64, all frames, those with nobody included.
        height: of the frames, pixels.
        width: likewise.
        frame: (m,) int64.
        person: (m,) int64, local ids.
        box: (m, 4) float64, inclusive pixels (x1, y1, x2, y2).
        score: (m,) float64, NaN where there is none.
        area: (m,) float64, pixels of the mask, NaN where the file does not say.
        class_names: what each local id is; an id that is not here is a PERSON.
    """

    frames: npt.NDArray[np.int64]
    height: int
    width: int
    frame: npt.NDArray[np.int64]
    person: npt.NDArray[np.int64]
    box: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]
    area: npt.NDArray[np.float64]
    class_names: Mapping[int, str] = field(default_factory=dict)

    @property
    def people(self) -> tuple[int, ...]:
        """All local ids, ascending."""
        return tuple(np.unique(self.person).tolist())

    def class_name(self, person: int) -> str:
        """What a local id is."""
        return self.class_names.get(person, PERSON)

    def of(self, person: int) -> PeopleTable:
        """The rows of one person; `frames` stays that of the video."""
        return self._rows(self.person == person)

    def persons(self) -> PeopleTable:
        """The rows of those who are persons, without other things that were asked for; see `is_person`."""
        others = [person for person in self.people if not is_person(self.class_name(person))]
        return self._rows(~np.isin(self.person, others)) if others else self

    def _rows(self, rows: npt.NDArray[np.bool_]) -> PeopleTable:
        columns = {name: getattr(self, name)[rows] for name in ("frame", "person", "box", "score", "area")}
        return replace(self, **columns)


def file_name(frame: int) -> str:
    """Name of a frame's file in the folder."""
    return f"{entry_name(frame)}.json"


def from_geometry(
    frame: int,
    people: PeopleInFrame,
    *,
    height: int,
    width: int,
    scores: Mapping[int, float | None] | None = None,
    class_names: Mapping[int, str] | None = None,
) -> FramePeople:
    """What json_data says about a label image.

    Args:
        frame: index in the video.
        people: `people_in` of the label image.
        height: of the label image, pixels.
        width: likewise.
        scores: by id; who is not in it has no score.
        class_names: by id; who is not in it is a PERSON.
    """
    scores, class_names = scores or {}, class_names or {}
    rows = zip(people.ids.tolist(), people.boxes.tolist(), people.areas.tolist(), strict=True)
    labels = tuple(
        PersonLabel(person, tuple(box), area, scores.get(person), class_names.get(person, PERSON))
        for person, box, area in rows
    )
    return FramePeople(frame, height, width, labels)


def save_frame(folder: Path, people: FramePeople) -> None:
    """Writes one frame's file into an existing folder.

    Raises:
        BadInput: the record breaks the contract (boxes, ids, scores that are not finite).
        OSError: the disk refuses.
    """
    name = entry_name(people.frame)
    labels = {
        str(label.person): {
            "instance_id": label.person,
            "class_name": label.class_name,
            **dict(zip(("x1", "y1", "x2", "y2"), label.box, strict=True)),
            "logit": label.score,
            "area": label.area,
        }
        for label in people.people
    }
    record = {
        "mask_name": f"{name}.npy",
        "mask_height": people.height,
        "mask_width": people.width,
        "promote_type": "mask",
        "labels": labels,
    }
    path = folder / file_name(people.frame)
    _parse(record, people.frame, path)
    write_json(path, record)


def load_frame(path: Path) -> FramePeople:
    """Reads and checks one frame's file; files of the original, without areas, are accepted.

    Raises:
        BadInput: the field that breaks the contract, expected and actual.
        OSError: the file cannot be read.
    """
    match = _FILE.fullmatch(path.name)
    if match is None:
        raise BadInput(f"{place('people', path)}: expected a name like mask_000000.json")
    return _parse(read_json(path), int(match[1]), path)


def load_tracks(folder: Path) -> PeopleTable:
    """Everybody in all frames of a video.

    Raises:
        BadInput: as in `load_frame`; no file at all, or files that disagree about the size of the frames.
        OSError: the folder cannot be read.
    """
    paths = {int(match[1]): entry.path for entry in os.scandir(folder) if (match := _FILE.fullmatch(entry.name))}
    if not paths:
        raise BadInput(f"{place('people', folder)}: expected mask_000000.json ..., got no such file")
    all_frames = [load_frame(Path(paths[frame])) for frame in sorted(paths)]
    size = (all_frames[0].height, all_frames[0].width)
    for people in all_frames:
        if (people.height, people.width) != size:
            where = place("people", folder / file_name(people.frame))
            raise BadInput(f"{where}: mask_height, mask_width: expected {size}, got {(people.height, people.width)}")
    rows = [(people.frame, label) for people in all_frames for label in people.people]
    class_names: dict[int, str] = {}
    for frame, label in rows:
        if class_names.setdefault(label.person, label.class_name) != label.class_name:
            where = f"{place('people', folder / file_name(frame))}: labels['{label.person}']: class_name"
            raise BadInput(f"{where}: expected {class_names[label.person]!r} as before, got {label.class_name!r}")
    return PeopleTable(
        frames=np.array(sorted(paths), np.int64),
        height=size[0],
        width=size[1],
        frame=np.array([frame for frame, _ in rows], np.int64),
        person=np.array([label.person for _, label in rows], np.int64),
        box=np.array([label.box for _, label in rows], np.float64).reshape(-1, 4),
        score=np.array([label.score for _, label in rows], np.float64),  # None becomes NaN
        area=np.array([label.area for _, label in rows], np.float64),
        class_names=class_names,
    )


def validate(folder: Path) -> None:
    """Checks every file of the folder; errors as in `load_tracks`."""
    load_tracks(folder)


def _parse(record: Any, frame: int, path: Path) -> FramePeople:  # noqa: ANN401 - JSON that nobody has looked at yet
    where = place("people", path)
    if not isinstance(record, dict):
        raise BadInput(f"{where}: expected an object, got {record!r:.40}")
    height, width = (_whole(record, key, where, at_least=1) for key in ("mask_height", "mask_width"))
    labels = record.get("labels")
    if not isinstance(labels, dict):
        raise BadInput(f"{where}: labels: expected an object, got {labels!r:.40}")
    people = [_parse_label(key, label, height, width, where) for key, label in labels.items()]
    return FramePeople(frame, height, width, tuple(sorted(people, key=lambda label: label.person)))


def _parse_label(key: str, label: Any, height: int, width: int, where: str) -> PersonLabel:  # noqa: ANN401 - as above
    where = f"{where}: labels[{key!r}]"
    if not isinstance(label, dict):
        raise BadInput(f"{where}: expected an object, got {label!r:.40}")
    person = check_person(where, _whole(label, "instance_id", where))
    if key != str(person):
        raise BadInput(f"{where}: instance_id: expected {key}, got {person}")
    x1, y1, x2, y2 = (_whole(label, edge, where) for edge in ("x1", "y1", "x2", "y2"))
    if not (0 <= x1 <= x2 < width and 0 <= y1 <= y2 < height):
        raise BadInput(
            f"{where}: box: expected 0 <= x1 <= x2 < {width}, 0 <= y1 <= y2 < {height}, got {x1, y1, x2, y2}"
        )
    area = None if label.get("area") is None else _whole(label, "area", where, at_least=1)
    score = label.get("logit", label.get("score"))  # the original's later version says score
    if score is not None and (
        isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score)
    ):
        raise BadInput(f"{where}: logit: expected a finite number or null, got {score!r}")
    class_name = label.get("class_name") or PERSON
    if not isinstance(class_name, str):
        raise BadInput(f"{where}: class_name: expected a word, got {class_name!r}")
    return PersonLabel(person, (x1, y1, x2, y2), area, score, class_name)


def _whole(record: dict[str, Any], key: str, where: str, *, at_least: int = 0) -> int:
    value = record.get(key)
    if type(value) is not int or value < at_least:
        raise BadInput(f"{where}: {key}: expected a whole number >= {at_least}, got {value!r}")
    return value
