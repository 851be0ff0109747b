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

import numpy as np

from common.errors import BadInput
from stages.sync.certainty import TOLERANCE
from stages.sync.consensus import Pair
from stages.sync.evidence import Evidence, gather
from stages.sync.identity import Link, best_assignment, persons
from stages.sync.intervals import HalfWidths, bootstrap
from stages.sync.pairwise import Peak, find_peak
from stages.sync.placement import Placement, components
from stages.sync.result import (
    Component,
    IdentifiedTrack,
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
    starts: dict[int, VideoStart] = {}
    pairs: dict[Pair, PairOffset] = {}
    for number, placement in enumerate(found):
        group = _component(names, evidence, placement)
        widths = _intervals(evidence, placement, seed=seed)
        inside = _pairs(videos, evidence, placement, widths)
        pairs |= inside
        starts |= _starts(names, evidence, placement, group, widths, inside, number=number)
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
        components=tuple(_component(names, evidence, placement) for placement in found),
        identities=_identities(videos, evidence, found, starts),
    )


def _component(names: Sequence[str], evidence: Evidence, placement: Placement) -> Component:
    """Starts of PTS 0 instead of the grids' first instants, the earliest 0."""
    group = placement.supported
    start = {v: placement.starts[v] / evidence.rate - evidence.grids[v].origin for v in group}
    earliest = min(start.values())
    return Component(tuple(names[v] for v in group), tuple(start[v] - earliest for v in group))


def _id(videos: Sequence[VideoTracks], evidence: Evidence, video: int, track: int) -> int:
    """Local id of a compared track."""
    return videos[video].persons[evidence.tracks[video][track]].person


def _same_person(placement: Placement, i: int, j: int) -> list[tuple[int, int]]:
    """Tracks (of i, of j) that are one person."""
    tracks = {t for link in placement.links for t in (link.a, link.b)}
    count = [1 + max((t for v, t in tracks if v == video), default=-1) for video in range(max(placement.members) + 1)]
    couples = []
    for group in persons(count, placement.links):
        couples += [(t, u) for v, t in group if v == i for w, u in group if w == j]
    return sorted(couples)


def _intervals(evidence: Evidence, placement: Placement, *, seed: int) -> HalfWidths:
    """Half widths; everything by position in placement.supported."""
    group = placement.supported
    couples, weights = {}, {}
    for a, b in itertools.combinations(range(len(group)), 2):
        i, j = group[a], group[b]
        curve = placement.curves.get((i, j))
        same = _same_person(placement, i, j)
        if curve is None or not same:
            continue
        lag = placement.starts[j] - placement.starts[i]
        r, overlap = np.interp(lag, curve.lags, curve.r), np.interp(lag, curve.lags, curve.overlap)
        if r > 0:
            couples[a, b] = [(evidence.features[i][u], evidence.features[j][w]) for u, w in same]
            weights[a, b] = float(r**2 * overlap)
    return bootstrap(
        np.array([placement.starts[v] for v in group]),
        couples,
        weights,
        rate=evidence.rate,
        centred=evidence.centred,
        generator=np.random.default_rng(seed),
    )


def _pairs(
    videos: Sequence[VideoTracks], evidence: Evidence, placement: Placement, widths: HalfWidths
) -> dict[Pair, PairOffset]:
    """Every pair within the component that shows somebody in common."""
    found = {}
    group = placement.supported
    for a, b in itertools.combinations(range(len(group)), 2):
        i, j = group[a], group[b]
        same = _same_person(placement, i, j)
        if (i, j) not in placement.curves or not same:
            continue
        peak = find_peak(placement.curves[i, j], rate=evidence.rate)
        residual = (peak.lag - (placement.starts[j] - placement.starts[i])) / evidence.rate
        near = abs(residual) <= TOLERANCE and (a, b) in widths.lags
        found[i, j] = PairOffset(
            videos[i].video,
            videos[j].video,
            offset=evidence.offset(i, j, peak.lag),
            half_width=widths.lags[a, b] / evidence.rate if near else None,
            r=peak.r,
            z=peak.z,
            overlap=peak.overlap / evidence.rate,
            residual=residual,
            persons=tuple((_id(videos, evidence, i, u), _id(videos, evidence, j, w)) for u, w in same),
        )
    return found


def _unrelated(videos: Sequence[VideoTracks], evidence: Evidence, pair: Pair) -> PairOffset:
    """A pair that nothing supports: how good its best match is, but no offset."""
    couples = evidence.couples[pair]
    k, chosen = best_assignment(couples)
    peak = Peak(0.0, 0.0, 0.0, 0.0)
    if chosen:
        middle = k - couples.r.shape[2] // 2
        peak = find_peak(couples.pooled(chosen), rate=evidence.rate, near=middle, radius=1.0)
    return PairOffset(
        videos[pair[0]].video,
        videos[pair[1]].video,
        offset=None,
        half_width=None,
        r=peak.r,
        z=peak.z,
        overlap=peak.overlap / evidence.rate,
        residual=None,
        persons=(),
    )


def _starts(
    names: Sequence[str],
    evidence: Evidence,
    placement: Placement,
    group: Component,
    widths: HalfWidths,
    pairs: Mapping[Pair, PairOffset],
    *,
    number: int,
) -> dict[int, VideoStart]:
    found = {}
    for k, v in enumerate(placement.supported):
        fit = placement.fit(v, rate=evidence.rate)
        width = float(widths.starts[k]) / evidence.rate if np.isfinite(widths.starts[k]) else None
        verdict, reasons, advice = judge_start(fit, width, placed=v in placement.placed)
        if number > 0:
            others = ", ".join(name for name in group.videos if name != names[v])
            verdict = Verdict.UNKNOWN
            reasons = (f"its start is known relative to {others} alone: nothing connects them to the rest", *reasons)
        known = number == 0
        found[v] = VideoStart(
            names[v],
            start_time=group.starts[k] if known else None,
            half_width=width if known else None,
            verdict=verdict,
            component=number,
            z=fit.z,
            r=fit.r,
            overlap=fit.overlap,
            cycle_residual=_cycle_residual(v, placement.supported, pairs),
            reasons=reasons,
            advice=advice,
        )
    return found


def _cycle_residual(video: int, group: Sequence[int], pairs: Mapping[Pair, PairOffset]) -> float | None:
    """Median of |o_ij + o_jk - o_ik| over the triangles with this video, seconds."""

    def offset(a: int, b: int) -> float | None:
        pair = pairs.get((min(a, b), max(a, b)))
        if pair is None or pair.offset is None:
            return None
        return pair.offset if a < b else -pair.offset

    closings = []
    for a, b in itertools.combinations([v for v in group if v != video], 2):
        sides = [offset(video, a), offset(a, b), offset(b, video)]
        known = [side for side in sides if side is not None]
        if len(known) == len(sides):
            closings.append(abs(sum(known)))
    return float(np.median(closings)) if closings else None


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
    fit = first.fit(v, rate=evidence.rate)
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
