"""Start times and identities of a scene, from the tracks of its videos: the whole method in one function.

Features (features.py) of every person are correlated for all couples of tracks of all pairs of videos (pairwise.py,
evidence.py). Each pair's best lag goes into a robust consensus on the camera graph (consensus.py); tracks are linked
where they agree at the consensus (identity.py), and the linked couples' curves give the final starts. Videos that the
data cannot place are left out (certainty.py), and tried again among themselves (placement.py). Last come the
intervals (intervals.py) and the words (verdicts.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from common.errors import BadInput
from stages.sync.alignment import Alignment, View, align, expected_variance
from stages.sync.certainty import TOLERANCE
from stages.sync.consensus import Pair
from stages.sync.evidence import Evidence, gather
from stages.sync.identity import Link, best_assignment, persons
from stages.sync.pairwise import Curve, Peak, find_peak
from stages.sync.placement import Placement, components
from stages.sync.result import (
    Component,
    IdentifiedTrack,
    OffsetCurve,
    PairOffset,
    Synchronization,
    Verdict,
    VideoStart,
)
from stages.sync.tracks import VideoTracks
from stages.sync.verdicts import explain_unknown, judge_identity, judge_start, nothing_to_compare


def solve(
    videos: Sequence[VideoTracks], *, max_offset: float = 60.0, seed: int = 0, without_bodies: Collection[str] = ()
) -> Synchronization:
    """When every video starts on one clock, and which tracks are the same person.

    scene time = start_time[v] + pts, the earliest start_time is 0, offset(a, b) = start_time[b] - start_time[a].

    Args:
        videos: of one scene, each with a name of its own; without persons, too.
        max_offset: largest difference between two start times that is considered, seconds.
        seed: of the draws behind the intervals.
        without_bodies: names of videos that have no persons because their bodies were never estimated.

    Returns:
        Start times, pairs, components and identities; "unknown" wherever the data do not support a number.

    Raises:
        BadInput: two videos have the same name.
    """
    names = [video.video for video in videos]
    if len(set(names)) != len(names):
        raise BadInput(f"videos: expected every name once, got {names}. Rename one of the files.")
    evidence = gather(videos, max_offset=max_offset)
    found, first = components(evidence)
    groups = [_Group.of(number, evidence, placement, seed=seed) for number, placement in enumerate(found)]
    starts: dict[int, VideoStart] = {}
    pairs: dict[Pair, PairOffset] = {}
    for group in groups:
        inside = _pairs(videos, evidence, group)
        pairs |= inside
        starts |= _starts(names, evidence, group, inside)
    for v, video in enumerate(videos):
        if v not in starts:
            has_bodies = video.video not in without_bodies
            starts[v] = _unknown(video, v, evidence, first, videos=len(videos), has_bodies=has_bodies)
    for pair in evidence.couples:
        if pair not in pairs:
            pairs[pair] = _unrelated(videos, evidence, pair)
    return Synchronization(
        videos=tuple(starts[v] for v in range(len(videos))),
        pairs=tuple(pairs[pair] for pair in sorted(pairs)),
        components=tuple(group.component(names) for group in groups),
        identities=_identities(videos, evidence, found, starts),
    )


@dataclass(frozen=True, eq=False)
class _Group:
    """Videos that are placed relative to each other, to a fraction of a step.

    Attributes:
        number: from 0, the largest first.
        placement: which videos, and their links.
        videos: positions of the supported ones, ascending.
        people: of linked tracks (video, track), the number of the person.
        alignment: of `videos`.
        start: of these, scene time of PTS 0 in seconds; the earliest is 0.
    """

    number: int
    placement: Placement
    videos: list[int]
    people: dict[tuple[int, int], int]
    alignment: Alignment
    start: dict[int, float]

    @classmethod
    def of(cls, number: int, evidence: Evidence, placement: Placement, *, seed: int) -> _Group:
        group = placement.supported
        people = placement.people()
        views = [View(group.index(v), p, evidence.features[v][t]) for (v, t), p in people.items() if v in group]
        found = align(
            np.array([placement.starts[v] for v in group]) * evidence.stride,
            views,
            rate=evidence.rate,
            centred=evidence.centred,
            generator=np.random.default_rng(seed),
        )
        start = {v: s / evidence.rate - evidence.grids[v].origin for v, s in zip(group, found.starts, strict=True)}
        earliest = min(start.values())
        return cls(number, placement, group, people, found, {v: s - earliest for v, s in start.items()})

    def component(self, names: Sequence[str]) -> Component:
        return Component(tuple(names[v] for v in self.videos), tuple(self.start[v] for v in self.videos))

    def offset(self, i: int, j: int) -> float:
        """start_time[j] - start_time[i], seconds."""
        return self.start[j] - self.start[i]


def _pairs(videos: Sequence[VideoTracks], evidence: Evidence, group: _Group) -> dict[Pair, PairOffset]:
    """Every pair within the group that shows somebody in common."""
    found = {}
    shown = {v: [(t, p) for (w, t), p in group.people.items() if w == v] for v in group.videos}
    for i, j in itertools.combinations(group.videos, 2):
        curve = group.placement.curves.get((i, j))
        same = sorted((t, u) for t, p in shown[i] for u, q in shown[j] if p == q)
        if curve is None or not same:
            continue
        peak = find_peak(curve, rate=evidence.curve_rate)
        offset = evidence.offset(i, j, peak.lag)
        residual = offset - group.offset(i, j)
        half_width = None
        if abs(residual) <= TOLERANCE:
            top = int(np.clip(round(peak.lag) + curve.reach, 1, len(curve.r) - 2))
            variance = group.alignment.inflation * expected_variance(curve.r[top - 1 : top + 2], peak.overlap)
            half_width = 1.96 * float(np.sqrt(variance)) / evidence.curve_rate if np.isfinite(variance) else None
        found[i, j] = PairOffset(
            videos[i].video,
            videos[j].video,
            offset=offset,
            half_width=half_width,
            r=peak.r,
            z=peak.z,
            overlap=peak.overlap / evidence.curve_rate,
            residual=residual,
            persons=tuple((_id(videos, evidence, i, t), _id(videos, evidence, j, u)) for t, u in same),
            curve=_offset_curve(evidence, i, j, curve),
        )
    return found


def _offset_curve(evidence: Evidence, i: int, j: int, curve: Curve) -> OffsetCurve:
    offsets = curve.lags / evidence.curve_rate + evidence.grids[i].origin - evidence.grids[j].origin
    return OffsetCurve(offsets, np.where(curve.allowed, curve.r, np.nan).astype(np.float32))


def _id(videos: Sequence[VideoTracks], evidence: Evidence, video: int, track: int) -> int:
    """Local id of a compared track."""
    return videos[video].persons[evidence.tracks[video][track]].person


def _unrelated(videos: Sequence[VideoTracks], evidence: Evidence, pair: Pair) -> PairOffset:
    """A pair that nothing supports: how good its best match is, but no offset."""
    couples = evidence.couples[pair]
    k, chosen = best_assignment(couples)
    peak, curve = Peak(0.0, 0.0, 0.0, 0.0), None
    if chosen:
        middle = k - couples.r.shape[2] // 2
        pooled = couples.pooled(chosen)
        peak = find_peak(pooled, rate=evidence.curve_rate, near=middle, radius=1.0)
        curve = _offset_curve(evidence, *pair, pooled)
    return PairOffset(
        videos[pair[0]].video,
        videos[pair[1]].video,
        offset=None,
        half_width=None,
        r=peak.r,
        z=peak.z,
        overlap=peak.overlap / evidence.curve_rate,
        residual=None,
        persons=(),
        curve=curve,
    )


def _starts(
    names: Sequence[str], evidence: Evidence, group: _Group, pairs: Mapping[Pair, PairOffset]
) -> dict[int, VideoStart]:
    found = {}
    closing = _cycle_residuals(group.videos, pairs)
    fits = group.placement.fits(group.videos, rate=evidence.curve_rate)
    for k, (v, fit) in enumerate(zip(group.videos, fits, strict=True)):
        width = group.alignment.half_widths[k] / evidence.rate
        half_width = float(width) if np.isfinite(width) else None
        verdict, reasons, advice = judge_start(fit, half_width, placed=v in group.placement.placed)
        if group.number > 0:
            others = ", ".join(names[w] for w in group.videos if w != v)
            verdict = Verdict.UNKNOWN
            reasons = (f"its start is known relative to {others} alone: nothing connects them to the rest", *reasons)
        known = group.number == 0
        found[v] = VideoStart(
            names[v],
            start_time=group.start[v] if known else None,
            half_width=half_width if known else None,
            verdict=verdict,
            component=group.number,
            z=fit.z,
            r=fit.r,
            overlap=fit.overlap,
            cycle_residual=closing.get(v),
            reasons=reasons,
            advice=advice,
        )
    return found


def _cycle_residuals(group: Sequence[int], pairs: Mapping[Pair, PairOffset]) -> dict[int, float]:
    """Per video the median of |o_ij + o_jk - o_ik| over the triangles with it, seconds."""
    offset = np.full((len(group), len(group)), np.nan)
    for (a, i), (b, j) in itertools.permutations(enumerate(group), 2):
        pair = pairs.get((i, j))
        if pair is not None and pair.offset is not None:
            offset[a, b], offset[b, a] = pair.offset, -pair.offset
    found = {}
    for a, i in enumerate(group):
        closing = np.abs(offset[a][:, None] + offset - offset[a][None, :])[np.triu_indices(len(group), 1)]
        if np.isfinite(closing).any():
            found[i] = float(np.nanmedian(closing))
    return found


def _unknown(
    video: VideoTracks, v: int, evidence: Evidence, first: Placement | None, *, videos: int, has_bodies: bool
) -> VideoStart:
    """A video without a start, and why."""
    doubt = nothing_to_compare(
        video, evidence.features[v], videos=videos, usable=len(evidence.usable), has_bodies=has_bodies
    )
    if doubt is not None or first is None:
        reason, advice = doubt or ("there is nothing to compare it with", "Check the other videos.")
        return VideoStart(video.video, None, None, Verdict.UNKNOWN, reasons=(reason,), advice=(advice,))
    (fit,) = first.fits([v], rate=evidence.curve_rate)
    reasons, advices = explain_unknown(fit)
    return VideoStart(
        video.video,
        None,
        None,
        Verdict.UNKNOWN,
        z=fit.z,
        r=fit.r,
        overlap=fit.overlap,
        reasons=reasons,
        advice=advices,
    )


def _identities(
    videos: Sequence[VideoTracks], evidence: Evidence, found: Sequence[Placement], starts: Mapping[int, VideoStart]
) -> tuple[IdentifiedTrack, ...]:
    """Who every track is. Links count between videos of one component alone: elsewhere the lag itself is in doubt."""
    links: list[Link] = []
    for placement in found:
        for x in placement.links:
            if x.a[0] in placement.supported and x.b[0] in placement.supported:
                a, b = ((v, evidence.tracks[v][t]) for v, t in (x.a, x.b))
                links.append(Link(a, b, x.z, x.margin))
    best: dict[tuple[int, int], Link] = {}
    for link in links:
        for track in (link.a, link.b):
            if track not in best or link.z > best[track].z:
                best[track] = link
    groups = persons([len(video.persons) for video in videos], links)
    identity = {track: number for number, members in enumerate(groups, start=1) for track in members}
    tracks = []
    for (v, t), number in sorted(identity.items()):
        link_or_none = best.get((v, t))
        z, margin = (link_or_none.z, link_or_none.margin) if link_or_none else (0.0, 0.0)
        person = videos[v].persons[t].person
        verdict = judge_identity(z, margin, starts[v].verdict)
        tracks.append(IdentifiedTrack(videos[v].video, person, number, z, margin, verdict))
    return tuple(tracks)
