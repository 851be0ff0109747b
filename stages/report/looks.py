"""What people are called and which colour they have: P1 is the same person everywhere, #1 a local id of one video."""

from __future__ import annotations

from common.drawing import NOBODY, Colour, person_colour
from stages.report.gather import Evidence


def group_people(evidence: Evidence) -> list[tuple[str, Colour, list[tuple[str, int]]]]:
    """(name, RGB, [(video, local id)]) of everybody: identities first, then those who have none, by video."""
    known: dict[int, list[tuple[str, int]]] = {}
    unknown = []
    for video, found in evidence.videos.items():
        for person in found.persons:
            identity = evidence.identity(video, person)
            if identity is None:
                unknown.append((video, person))
            else:
                known.setdefault(identity, []).append((video, person))
    groups = [(f"P{identity}", person_colour(identity), members) for identity, members in sorted(known.items())]
    for video, person in unknown:
        groups.append((f"{video} #{person}", look(evidence, video, person)[1], [(video, person)]))
    return groups


def look(evidence: Evidence, video: str, person: int) -> tuple[str, Colour]:
    """What is written at a video's person on pictures, and in which colour: P1 is an identity, #1 a local id."""
    identity = evidence.identity(video, person)
    if identity is not None:
        return f"P{identity}", person_colour(identity)
    return f"#{person}", person_colour(person) if evidence.identities is None else NOBODY
