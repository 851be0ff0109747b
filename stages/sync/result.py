"""What synchronisation says: start times with their certainty, the evidence of every pair, and who is who."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Verdict(enum.StrEnum):
    """How far an answer can be trusted."""

    OK = "ok"
    UNCERTAIN = "uncertain"  # a number, with the reason why it may be wrong
    UNKNOWN = "unknown"  # no number


@dataclass(frozen=True)
class VideoStart:
    """When a video starts: scene time = start_time + pts.

    Attributes:
        video: its id.
        start_time: scene time of the video's PTS 0, seconds; the earliest of all is 0. None: unknown.
        half_width: half the 95 % interval, seconds, of start_time minus the mean start_time of the *other* videos of
            its component. It is not the interval of start_time alone, which is fixed by the earliest video being 0,
            nor of the difference between two videos, which PairOffset has. None where nothing that agrees connects
            the video with the others.
        verdict: how far to trust it.
        component: number of the group of videos in which the start is known, from 0; None: in none. Only in
            component 0 it is a start_time; the others are related among themselves alone (see Component).
        z: how far the match with the other videos stands out of its noise; 0 where it cannot be judged.
        r: mean correlation with the others.
        overlap: seconds shared with another video, on average.
        cycle_residual: median closing error |o_ij + o_jk - o_ik| over the triangles with this video, seconds, or None.
        reasons: why the verdict is not "ok".
        advice: what would help.
    """

    video: str
    start_time: float | None
    half_width: float | None
    verdict: Verdict
    component: int | None = None
    z: float = 0.0
    r: float = 0.0
    overlap: float = 0.0
    cycle_residual: float | None = None
    reasons: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


@dataclass(frozen=True)
class PairOffset:
    """What two videos alone say.

    Attributes:
        a: first video.
        b: second video.
        offset: start_time[b] - start_time[a] in seconds at this pair's own best match; None where the two are not
            known to belong together.
        half_width: half the 95 % interval of offset, seconds; None where it is not known.
        r: correlation at the match.
        z: how far it stands out of its noise.
        overlap: seconds that both have seen, at the match.
        residual: offset minus what the consensus of all videos says, seconds.
        persons: (local id in a, local id in b) of the persons it rests on.
    """

    a: str
    b: str
    offset: float | None
    half_width: float | None
    r: float
    z: float
    overlap: float
    residual: float | None
    persons: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Component:
    """Videos that are placed relative to each other.

    Attributes:
        videos: ids in the order of the input.
        starts: start of each, seconds, the earliest 0.
    """

    videos: tuple[str, ...]
    starts: tuple[float, ...]


@dataclass(frozen=True)
class IdentifiedTrack:
    """Who a person of a video is.

    Attributes:
        video: its id.
        person: id local to the video.
        identity: id across the scene, from 1. Nobody else has it where no other video shows the person.
        z: agreement with the best matching track of another video, in units of noise; 0 without one.
        margin: by how much z exceeds that of the best rival.
        verdict: "ok"; "uncertain" where the times are, or where a rival comes close; "unknown" without a match.
    """

    video: str
    person: int
    identity: int
    z: float
    margin: float
    verdict: Verdict


@dataclass(frozen=True)
class Synchronization:
    """The whole answer. Everything is in the order of the input; the same input gives the same numbers.

    Attributes:
        videos: one entry per video.
        pairs: one entry per pair of videos (a before b) that both have somebody to compare.
        components: groups of videos, the one whose starts are the start_times first.
        identities: one entry per track.
    """

    videos: tuple[VideoStart, ...]
    pairs: tuple[PairOffset, ...]
    components: tuple[Component, ...]
    identities: tuple[IdentifiedTrack, ...]
