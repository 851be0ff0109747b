"""What synchronisation says: start times with their certainty, the evidence of every pair, and who is who."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.artifacts.synchronization import EVIDENCE

MOTION, AUDIO, CALIBRATION = EVIDENCE


class Verdict(enum.StrEnum):
    """How far an answer can be trusted."""

    OK = "ok"
    UNCERTAIN = "uncertain"  # a number, with the reason why it may be wrong
    UNKNOWN = "unknown"  # no number


@dataclass(frozen=True)
class Contribution:
    """What one kind of evidence says about one start, or about one pair.

    Attributes:
        kind: "motion", "audio" or "calibration".
        weight: its share of the information (inverse variance) in the answer, 0 to 1; 0 where it was not used.
        offset: pairs only: start_time[b] - start_time[a] that it alone measures, seconds; None if it says nothing.
        half_width: half the 95 % interval of what it alone says, seconds; None if it says nothing.
        z: how far its match stands out of its noise; 0 where it cannot be judged.
        residual: what it says minus the answer, seconds; None if it says nothing.
        used: whether it went into the answer; False where it contradicts the rest or says nothing.
    """

    kind: str
    weight: float
    offset: float | None = None
    half_width: float | None = None
    z: float = 0.0
    residual: float | None = None
    used: bool = True


@dataclass(frozen=True)
class VideoStart:
    """When a video starts: scene time = start_time + rate * pts.

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
        rate: seconds of the scene's clock per second of the video's own; exactly 1 unless the data show otherwise. The
            scene's clock is that of most videos.
        rate_half_width: half the 95 % interval of rate; None where the recording does not tell.
        mirrored: whether the video fits the others as its mirror image only (a selfie).
        contributions: what each kind of evidence alone says about this start.
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
    rate: float = 1.0
    rate_half_width: float | None = None
    mirrored: bool = False
    contributions: tuple[Contribution, ...] = ()
    reasons: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class OffsetCurve:
    """How well two videos agree at every offset.

    Attributes:
        offsets: (lags,) start_time[b] - start_time[a] in seconds, evenly spaced, ascending.
        r: (lags,) float32 normalised cross-correlation; NaN where it cannot be judged.
    """

    offsets: NDArray[np.float64]
    r: NDArray[np.float32]


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
        contributions: what each kind of evidence alone says about this pair.
        curve: the correlation at every lag that was considered, for a picture; None where there is none.
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
    contributions: tuple[Contribution, ...] = ()
    curve: OffsetCurve | None = None


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
        method: how it was found, in words.
        evidence: kinds of evidence that were looked at, of "motion", "audio", "calibration".
    """

    videos: tuple[VideoStart, ...]
    pairs: tuple[PairOffset, ...]
    components: tuple[Component, ...]
    identities: tuple[IdentifiedTrack, ...]
    method: str = ""
    evidence: tuple[str, ...] = ("motion",)
