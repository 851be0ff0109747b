"""Start times by dynamic time warping of 3D joints, the method of the first version of this tool, for comparison.

For every pair of videos: the cheapest way to walk through both (warping.py), and from it the offset that occurs most
often. Several people are paired by the order of their ids, and the median of their offsets counts. Start times are
the unweighted least squares solution over all pairs.

What is repaired against the first version: the sign; time is PTS, so rates may differ; instants at which nobody is
seen are left out of both sequences instead of costing nothing. What belongs to the method and stays: joints are
compared in each camera's own axes, so that cameras must look from about the same side; a path runs from the first to
the last instant of both even though they did not record the same; nothing says how sure an answer is.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from common.errors import BadInput
from stages.sync.body_axes import Axes, Poses, poses
from stages.sync.features import common_rate, video_grid
from stages.sync.result import Component, IdentifiedTrack, PairOffset, Synchronization, Verdict, VideoStart
from stages.sync.tracks import VideoTracks
from stages.sync.warping import cheapest_path, costs

Floats = NDArray[np.float64]
Pair = tuple[int, int]
Summary = Literal["mode", "median"]

MAX_INSTANTS = (
    8000  # 4.4 minutes at 30 Hz: two such videos take about 10 s and 0.5 GB; longer ones are compared more coarsely
)

METHOD = (
    "dynamic time warping of 3D joints in camera axes, most frequent offset on the path, people paired by the order "
    "of their ids, unweighted least squares over all pairs"
)
_NO_CERTAINTY = "dynamic time warping gives a number for any two videos and no measure of how sure it is"
_OTHER_METHOD = "Use the default method, which says how sure it is."


@dataclass(frozen=True)
class _Scene:
    """What the verdicts are made from; positions of videos instead of names."""

    videos: Sequence[VideoTracks]
    people: list[list[tuple[int, Poses]]]  # per video, see seen_people
    rate: float
    starts: Floats
    groups: list[list[int]]
    pairs: dict[Pair, PairOffset]


def solve_dtw(
    videos: Sequence[VideoTracks], *, max_offset: float, without_bodies: Collection[str] = ()
) -> Synchronization:
    """When every video starts on one clock, by dynamic time warping. No verdict is better than "uncertain".

    Args:
        videos: of one scene, each with a name of its own; without persons, too.
        max_offset: largest difference between two start times that is considered, seconds.
        without_bodies: names of videos that have no persons because their bodies were never estimated.

    Returns:
        Start times, pairs, components and identities, without intervals, r and z. The n-th person that is seen in each
        video of a component has the same identity.

    Raises:
        BadInput: two videos have the same name.
    """
    names = [video.video for video in videos]
    if len(set(names)) != len(names):
        raise BadInput(f"videos: expected every name once, got {names}. Rename one of the files.")
    rate = affordable_rate(videos)
    people = [seen_people(video, rate=rate, axes="camera") for video in videos]
    pairs, offsets = {}, {}
    for i, j in itertools.combinations(range(len(videos)), 2):
        if people[i] and people[j]:
            pairs[i, j] = _compare(names[i], names[j], people[i], people[j], max_offset=max_offset)
            if (offset := pairs[i, j].offset) is not None:
                offsets[i, j] = offset
    starts = least_squares_starts(len(videos), offsets)
    for (i, j), offset in offsets.items():
        pairs[i, j] = replace(pairs[i, j], residual=float(offset - (starts[j] - starts[i])))
    scene = _Scene(videos, people, rate, starts, _groups(len(videos), offsets), pairs)
    found = {v: _placed(scene, v, number) for number, group in enumerate(scene.groups) for v in group}
    return Synchronization(
        videos=tuple(found.get(v) or _unknown(scene, v, without_bodies) for v in range(len(videos))),
        pairs=tuple(pairs.values()),
        components=tuple(
            Component(tuple(names[v] for v in group), tuple(float(s) for s in _from_earliest(starts[group])))
            for group in scene.groups
        ),
        identities=_identities(scene),
        method=METHOD,
    )


def affordable_rate(videos: Sequence[VideoTracks]) -> float:
    """Instants per second at which no video has more than MAX_INSTANTS; the common rate if that is affordable."""
    spans = [track.times[[0, -1]] for video in videos for track in video.persons if len(track.times)]
    longest = max((float(last - first) for first, last in spans), default=0.0)
    return min(common_rate(videos), MAX_INSTANTS / max(longest, 1e-9))


def seen_people(video: VideoTracks, *, rate: float, axes: Axes) -> list[tuple[int, Poses]]:
    """Local id and poses of everybody with two poses or more, by id."""
    grid = video_grid(video, rate)
    found = [(track.person, poses(track, grid, axes=axes)) for track in video.persons]
    return sorted(((person, p) for person, p in found if len(p.steps) > 1), key=lambda item: item[0])


def path_offset(a: Poses, b: Poses, *, max_offset: float, summary: Summary = "mode") -> float | None:
    """start_time[b] - start_time[a] in seconds along the cheapest path through the poses of one person in two videos.

    Args:
        a: of the one video.
        b: of the other, at the same rate and in the same kind of axes.
        max_offset: steps of the path with larger offsets are not counted, seconds.
        summary: the most frequent offset (the smallest of those, to the step of the grid) or the median one.

    Returns:
        None where the two have no joint in common, or no step of the path is within max_offset.
    """
    cost = costs(a.joints, b.joints, a.weights, b.weights)
    if np.isnan(cost[0, 0]):
        return None
    rows, columns = cheapest_path(cost)
    lags = a.steps[rows] - b.steps[columns]
    offsets = lags / a.grid.rate + (a.grid.origin - b.grid.origin)
    near = np.abs(offsets) <= max_offset
    if not near.any():
        return None
    if summary == "median":
        return float(np.median(offsets[near]))
    values, counts = np.unique(lags[near], return_counts=True)
    return float(values[counts.argmax()] / a.grid.rate + (a.grid.origin - b.grid.origin))


def least_squares_starts(videos: int, offsets: Mapping[Pair, float]) -> Floats:
    """(videos,) starts, seconds, that minimise the sum of (offset - (start_j - start_i))² over all pairs (i, j).

    The mean of every connected group is 0, and so is a video without any pair.
    """
    incidence = np.zeros((len(offsets), videos))
    for row, (i, j) in enumerate(offsets):
        incidence[row, i], incidence[row, j] = -1, 1
    return np.asarray(np.linalg.lstsq(incidence, np.array(list(offsets.values())), rcond=None)[0])


def _compare(
    a: str, b: str, people_a: list[tuple[int, Poses]], people_b: list[tuple[int, Poses]], *, max_offset: float
) -> PairOffset:
    """The median offset of people paired by the order of their ids."""
    found = [
        (offset, p, q, first, second)
        for (p, first), (q, second) in zip(people_a, people_b, strict=False)
        if (offset := path_offset(first, second, max_offset=max_offset)) is not None
    ]
    if not found:
        return PairOffset(a, b, None, None, r=0.0, z=0.0, overlap=0.0, residual=None, persons=())
    offset = float(np.median([f[0] for f in found]))
    return PairOffset(
        a,
        b,
        offset=offset,
        half_width=None,
        r=0.0,
        z=0.0,
        overlap=float(np.mean([_overlap(first, second, offset) for *_, first, second in found])),
        residual=None,
        persons=tuple((p, q) for _, p, q, *_ in found),
    )


def _overlap(a: Poses, b: Poses, offset: float) -> float:
    """Seconds that both have seen."""
    lag = round((offset - a.grid.origin + b.grid.origin) * a.grid.rate)
    return len(np.intersect1d(a.steps, b.steps + lag)) / a.grid.rate


def _groups(videos: int, offsets: Mapping[Pair, float]) -> list[list[int]]:
    """Videos that offsets connect, the largest group first; a video alone is none."""
    i, j = np.array(list(offsets), dtype=np.int64).reshape(-1, 2).T
    _, label = connected_components(coo_array((np.ones(len(i)), (i, j)), shape=(videos, videos)), directed=False)
    groups = [np.flatnonzero(label == number).tolist() for number in range(label.max(initial=-1) + 1)]
    return sorted((group for group in groups if len(group) > 1), key=len, reverse=True)


def _from_earliest(starts: Floats) -> Floats:
    return np.asarray(starts - starts.min())


def _placed(scene: _Scene, v: int, number: int) -> VideoStart:
    """A video that has an offset to another one."""
    group = scene.groups[number]
    names = [video.video for video in scene.videos]
    reasons, advice = [_NO_CERTAINTY], [_OTHER_METHOD]
    if number > 0:
        others = ", ".join(names[w] for w in group if w != v)
        reasons.insert(0, f"its start is known relative to {others} alone: nothing connects them to the rest")
    if scene.rate < common_rate(scene.videos):
        reasons.append(f"recordings this long are compared in steps of {1 / scene.rate:.2f} s")
    if any(len(people) > 1 for people in scene.people):
        reasons.append("people are paired by the order of their ids, which may not be the same people")
    mine = [pair for (i, j), pair in scene.pairs.items() if v in (i, j) and pair.offset is not None]
    start = float(_from_earliest(scene.starts[group])[group.index(v)])
    return VideoStart(
        names[v],
        start_time=start if number == 0 else None,
        half_width=None,
        verdict=Verdict.UNCERTAIN if number == 0 else Verdict.UNKNOWN,
        component=number,
        overlap=float(np.mean([pair.overlap for pair in mine])),
        cycle_residual=_cycle_residual(scene, v, group),
        reasons=tuple(reasons),
        advice=tuple(advice),
    )


def _cycle_residual(scene: _Scene, v: int, group: Sequence[int]) -> float | None:
    """Median closing error of the triangles with this video, seconds: what the residuals of its sides add up to."""
    residuals = np.full((len(scene.videos),) * 2, np.nan)
    for (i, j), pair in scene.pairs.items():
        if pair.residual is not None:
            residuals[i, j], residuals[j, i] = pair.residual, -pair.residual
    closings = np.array(
        [residuals[v, i] + residuals[i, j] + residuals[j, v] for i, j in itertools.combinations(group, 2)]
    )
    closings = closings[np.isfinite(closings)]
    return float(np.median(np.abs(closings))) if len(closings) else None


def _unknown(scene: _Scene, v: int, without_bodies: Collection[str]) -> VideoStart:
    """A video without any offset, and why."""
    video = scene.videos[v]
    if video.video in without_bodies:
        why = "it has no bodies: an earlier stage failed or was not run", "See why, then run again."
    elif len(scene.videos) == 1:
        why = "the only video of the scene: there is nothing to compare it with", "Add the other cameras' videos."
    elif not video.persons:
        why = "no person was found in it", "Check that people are visible and large enough."
    elif not scene.people[v]:
        frames = max(len(track.times) for track in video.persons)
        why = (
            f"nobody's joints are seen in two successive frames of the {frames} that a person is in",
            "Record longer, and keep more of the body in view.",
        )
    elif sum(bool(people) for people in scene.people) < 2:
        why = "no other video shows a person", "Check the other videos."
    else:
        why = "no joint is seen in another video too, or every offset is larger than allowed", "Raise --max-offset."
    return VideoStart(video.video, None, None, Verdict.UNKNOWN, reasons=(why[0],), advice=(why[1],))


def _identities(scene: _Scene) -> tuple[IdentifiedTrack, ...]:
    """The n-th person seen in each video of a component is the same one; everybody else is somebody else."""
    numbers: dict[tuple[object, ...], int] = {}
    members: dict[int, int] = {}
    found = []
    for v, video in enumerate(scene.videos):
        component = next((number for number, group in enumerate(scene.groups) if v in group), None)
        seen = [person for person, _ in scene.people[v]]
        for track in sorted(video.persons, key=lambda t: t.person):
            together = component is not None and track.person in seen
            who = ("same", component, seen.index(track.person)) if together else ("alone", v, track.person)
            identity = numbers.setdefault(who, len(numbers) + 1)
            members[identity] = members.get(identity, 0) + 1
            found.append((video.video, track.person, identity))
    return tuple(
        IdentifiedTrack(
            video, person, identity, 0.0, 0.0, Verdict.UNCERTAIN if members[identity] > 1 else Verdict.UNKNOWN
        )
        for video, person, identity in found
    )
