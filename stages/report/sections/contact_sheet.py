"""The same instant in all cameras: whether people, identities and start times look right."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from common.drawing import hex_colour
from common.errors import GhostError
from stages.report.gather import Evidence, VideoEvidence
from stages.report.instants import choose_instants
from stages.report.looks import group_people
from stages.report.pictures import Picture, draw_frames, encode_all
from stages.report.wording import seconds

TEMPLATE = "contact_sheet.html"
ANCHOR, TITLE = "contact-sheet", "The same instant in all cameras"

_BUDGET = 3_500_000  # characters of pictures; the page has 5 MB
_MOST_PICTURES = 36  # chosen by hand: beyond that a reader does not look any more


@dataclass(frozen=True)
class _Shot:
    """One picture of the sheet: which frame of which video, under which heading."""

    video: str
    frame: int | None  # None: the camera was not recording
    heading: str


@dataclass
class _Sheet:
    shots: list[_Shot] = field(default_factory=list)
    pictures: dict[tuple[str, int], Picture] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def context(evidence: Evidence) -> dict[str, Any]:
    """Rows of pictures, a legend, and what to say about them."""
    usable = {v: found for v, found in evidence.videos.items() if found.recording and found.frames}
    placed = [video for video in usable if evidence.start(video) is not None]
    shots = _plan(evidence, usable, placed)
    sheet = _Sheet(shots)
    for video in usable:
        _draw(evidence, video, sheet)
    jpegs = dict(
        zip(sheet.pictures, encode_all([p.image for p in sheet.pictures.values()], budget=_BUDGET), strict=True)
    )
    headings = list(dict.fromkeys(shot.heading for shot in shots))
    return {
        "rows": [
            {"heading": heading, "pictures": [_cell(shot, sheet, jpegs) for shot in shots if shot.heading == heading]}
            for heading in headings
        ],
        "placed": bool(placed),
        "tall": sum(p.image.shape[0] > p.image.shape[1] for p in sheet.pictures.values()) * 2 > len(sheet.pictures),
        "alone": len(evidence.videos) == 1,
        "no_pictures": evidence.no_pictures if not usable else "",
        "legend": [
            {"name": name, "colour": hex_colour(colour), "cameras": [video for video, _ in members]}
            for name, colour, members in group_people(evidence)
        ],
        "matched": evidence.identities is not None,
        "missing": [video for video in evidence.videos if video not in usable],
    }


def _plan(evidence: Evidence, usable: dict[str, VideoEvidence], placed: list[str]) -> list[_Shot]:
    """Instants on the scene's clock for the cameras that are on it; for the others, or if none is, equal PTS."""
    together = placed or list(usable)
    spans = {v: evidence.scene_span(v) or usable[v].span or (0.0, 0.0) for v in together}
    count = max(1, min(3, _MOST_PICTURES // max(1, len(together))))
    shots = []
    instants = choose_instants(
        list(spans.values()), count=count, seen=lambda t: sum(_people_at(evidence, usable[v], t) for v in together)
    )
    for instant in dict.fromkeys(round(t, 3) for t in instants):
        clock = "Scene time" if placed else "PTS"
        for video in together:
            inside = spans[video][0] <= instant < spans[video][1]
            frame = _frame_at(evidence, usable[video], instant) if inside else None
            shots.append(_Shot(video, frame, f"{clock} {seconds(instant)}"))
    apart = [video for video in usable if video not in together]
    for video in apart:
        found = usable[video]
        middle = choose_instants([found.span or (0.0, 0.0)], count=1, seen=partial(_people_at, evidence, found))
        for instant in middle:
            frame = _frame_at(evidence, found, instant)
            shots.append(_Shot(video, frame, "Start unknown: some other instant"))
    return shots


def _frame_at(evidence: Evidence, found: VideoEvidence, instant: float) -> int:
    if found.frames is None:
        return 0
    return int(found.frames.table.nearest(evidence.own_time(found.video, instant)))


def _people_at(evidence: Evidence, found: VideoEvidence, instant: float) -> int:
    if found.people is None:
        return 0
    low, high = np.searchsorted(found.people.frame, np.array([0, 1]) + _frame_at(evidence, found, instant))
    return int(high - low)


def _draw(evidence: Evidence, video: str, sheet: _Sheet) -> None:
    wanted = [shot.frame for shot in sheet.shots if shot.video == video and shot.frame is not None]
    try:
        pictures = draw_frames(evidence, video, wanted)
    except (GhostError, OSError, ValueError) as error:
        sheet.problems[video] = str(error)
        return
    sheet.pictures |= {(video, index): picture for index, picture in pictures.items()}


def _cell(shot: _Shot, sheet: _Sheet, jpegs: dict[tuple[str, int], Any]) -> dict[str, Any]:
    cell: dict[str, Any] = {"video": shot.video, "jpeg": None}
    if shot.frame is None:
        return cell | {"text": "not recording at this moment"}
    picture = sheet.pictures.get((shot.video, shot.frame))
    if picture is None:
        return cell | {"text": sheet.problems.get(shot.video, f"frame {shot.frame} cannot be decoded")}
    who = ", ".join(picture.people) or "nobody"
    damaged = ", damaged" if picture.corrupt else ""
    return cell | {
        "jpeg": jpegs[shot.video, shot.frame],
        "text": f"frame {shot.frame} · PTS {seconds(picture.seconds)}{damaged}",
        "alt": f"{shot.video}, frame {shot.frame}: {who}",
    }
