"""From groups of aligned videos to the whole answer: every video, pair and person, with verdicts and reasons."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stages.sync.alignment import expected_variance
from stages.sync.certainty import TOLERANCE
from stages.sync.consensus import Pair
from stages.sync.evidence import Evidence, LaggedClue
from stages.sync.groups import Group
from stages.sync.identity import Link, best_assignment, persons
from stages.sync.pairwise import Curve, Peak, find_peak
from stages.sync.placement import Placement
from stages.sync.rates import ClockRates
from stages.sync.result import (
    MOTION,
    Component,
    Contribution,
    IdentifiedTrack,
    OffsetCurve,
    PairOffset,
    Synchronization,
    Verdict,
    VideoStart,
)
from stages.sync.tracks import VideoTracks
from stages.sync.verdicts import explain_unknown, judge_identity, judge_start, nothing_to_compare


@dataclass(frozen=True, eq=False)
class Clocks:
    """How fast the videos' clocks run.

    Attributes:
        rates: by position, where they are not 1.
        last: what was found last, of the videos of the first group.
    """

    rates: Mapping[int, float]
    last: ClockRates | None

    def of(self, k: int, v: int, *, first: bool) -> tuple[float, float | None]:
        """Rate and half width of a video: its position in its group and in the scene, and whether that is the first."""
        width = 1.96 * float(self.last.deviations[k]) if first and self.last is not None else float("nan")
        return self.rates.get(v, 1.0), width if np.isfinite(width) else None


def answer(
    videos: Sequence[VideoTracks],
    evidence: Evidence,
    groups: Sequence[Group],
    first: Placement | None,
    *,
    clocks: Clocks,
    mirrored: Collection[int],
    without_bodies: Collection[str],
    method: str,
    looked_at: tuple[str, ...],
) -> Synchronization:
    """The whole answer.

    Args:
        videos: of the scene.
        evidence: of the scene.
        groups: of placed videos, the largest first.
        first: the attempt to place all videos together; None if there was nothing to place.
        clocks: their rates.
        mirrored: positions of videos whose mirror image was meant.
        without_bodies: names of videos whose bodies were never estimated.
        method: in words.
        looked_at: kinds of evidence.
    """
    starts: dict[int, VideoStart] = {}
    pairs: dict[Pair, PairOffset] = {}
    for group in groups:
        inside = _pairs(videos, evidence, group)
        pairs |= inside
        starts |= _starts(videos, evidence, group, inside, clocks=clocks, mirrored=mirrored)
    for v, video in enumerate(videos):
        if v not in starts:
            has_bodies = video.video not in without_bodies
            starts[v] = _unknown(
                video, v, evidence, first, videos=len(videos), has_bodies=has_bodies, looked_at=looked_at
            )
    for pair in evidence.couples:
        if pair not in pairs:
            pairs[pair] = _unrelated(videos, evidence, pair)
    names = [video.video for video in videos]
    return Synchronization(
        videos=tuple(starts[v] for v in range(len(videos))),
        pairs=tuple(pairs[pair] for pair in sorted(pairs)),
        components=tuple(
            Component(tuple(names[v] for v in group.videos), tuple(group.starts[v] for v in group.videos))
            for group in groups
        ),
        identities=_identities(videos, evidence, [group.placement for group in groups], starts),
        method=method,
        evidence=looked_at,
    )


def _pairs(videos: Sequence[VideoTracks], evidence: Evidence, group: Group) -> dict[Pair, PairOffset]:
    """Every pair within the group that shows somebody in common, or that other evidence speaks of."""
    found = {}
    clues: dict[Pair, list[tuple[LaggedClue, bool]]] = {}
    for (i, j, clue), used in zip(group.clues, group.fused.used, strict=True):
        clues.setdefault((i, j), []).append((clue, used))
    for i, j in itertools.combinations(group.videos, 2):
        curve = group.placement.curves.get((i, j))
        same = group.same_person(i, j)
        said = [_contribution(clue, group.offset(i, j), used=used) for clue, used in clues.get((i, j), [])]
        if curve is None or not same:
            if said:
                found[i, j] = _of_clues(videos, i, j, said, clues[i, j])
            continue
        peak = find_peak(curve, rate=evidence.curve_rate)
        offset = evidence.offset(i, j, peak.lag)
        residual = offset - group.offset(i, j)
        half_width = None
        if abs(residual) <= TOLERANCE:
            top = int(np.clip(round(peak.lag) + curve.reach, 1, len(curve.r) - 2))
            variance = expected_variance(curve.r[top - 1 : top + 2], peak.overlap)
            variance *= group.alignment.inflation / evidence.stride  # of coarse steps, which are fewer
            half_width = 1.96 * float(np.sqrt(variance)) / evidence.curve_rate if np.isfinite(variance) else None
        motion = Contribution(MOTION, 0.0, offset, half_width, peak.z, residual, used=half_width is not None)
        found[i, j] = PairOffset(
            videos[i].video,
            videos[j].video,
            offset=offset,
            half_width=half_width,
            r=peak.r,
            z=peak.z,
            overlap=peak.overlap / evidence.curve_rate,
            residual=residual,
            persons=tuple(evidence.local_ids(videos, i, j, same)),
            contributions=_weighed([motion, *said]),
            curve=_offset_curve(evidence, i, j, curve),
        )
    return found


def _contribution(clue: LaggedClue, offset: float, *, used: bool) -> Contribution:
    said = clue.clue
    return Contribution(
        said.kind, 0.0, clue.difference, 1.96 * said.deviation, said.z, clue.difference - offset, used=used
    )


def _weighed(contributions: Sequence[Contribution]) -> tuple[Contribution, ...]:
    """With the share of the information that each holds."""
    information = [c.half_width**-2 if c.used and c.half_width else 0.0 for c in contributions]
    total = sum(information) or 1.0
    return tuple(replace(c, weight=i / total) for c, i in zip(contributions, information, strict=True))


def _of_clues(
    videos: Sequence[VideoTracks],
    i: int,
    j: int,
    said: Sequence[Contribution],
    clues: Sequence[tuple[LaggedClue, bool]],
) -> PairOffset:
    """A pair that shows nobody in common."""
    best = max(range(len(said)), key=lambda k: (said[k].used, said[k].z))
    return PairOffset(
        videos[i].video,
        videos[j].video,
        offset=said[best].offset,
        half_width=said[best].half_width,
        r=0.0,
        z=said[best].z,
        overlap=clues[best][0].clue.overlap,
        residual=said[best].residual,
        persons=(),
        contributions=_weighed(said),
    )


def _offset_curve(evidence: Evidence, i: int, j: int, curve: Curve) -> OffsetCurve:
    offsets = curve.lags / evidence.curve_rate + evidence.grids[i].origin - evidence.grids[j].origin
    return OffsetCurve(offsets, np.where(curve.allowed, curve.r, np.nan).astype(np.float32))


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
    videos: Sequence[VideoTracks],
    evidence: Evidence,
    group: Group,
    pairs: Mapping[Pair, PairOffset],
    *,
    clocks: Clocks,
    mirrored: Collection[int],
) -> dict[int, VideoStart]:
    found = {}
    closing = _cycle_residuals(group.videos, pairs)
    fits = group.placement.fits(group.videos, rate=evidence.curve_rate)
    for k, (v, fit) in enumerate(zip(group.videos, fits, strict=True)):
        rate, rate_width = clocks.of(k, v, first=group.number == 0)
        width = float(group.fused.half_widths[k])
        if rate != 1 and rate_width is not None:  # the start is told where the recording is, and reckoned back to PTS 0
            moments = [clue.clue.moment for i, j, clue in group.clues if v in (i, j)]
            seen = evidence.grids[v]
            middle = seen.origin + seen.length / evidence.rate / 2 if seen.length else max(moments, default=0.0)
            width = float(np.hypot(width, rate_width * middle))
        half_width = width if np.isfinite(width) else None
        verdict, reasons, advice = judge_start(
            fit, half_width, placed=v in group.placement.placed, mirrored=v in mirrored, contradicted=_against(group, v)
        )
        if group.number > 0:
            others = ", ".join(videos[w].video for w in group.videos if w != v)
            verdict = Verdict.UNKNOWN
            reasons = (f"its start is known relative to {others} alone: nothing connects them to the rest", *reasons)
        known = group.number == 0
        found[v] = VideoStart(
            videos[v].video,
            start_time=group.starts[v] if known else None,
            half_width=half_width if known else None,
            verdict=verdict,
            component=group.number,
            z=max(fit.z, fit.clue),
            r=fit.r,
            overlap=fit.overlap,
            cycle_residual=closing.get(v),
            rate=rate,
            rate_half_width=rate_width,
            mirrored=v in mirrored,
            contributions=tuple(
                Contribution(kind, float(share[k])) for kind, share in group.fused.shares.items() if share[k] > 0
            ),
            reasons=reasons,
            advice=advice,
        )
    return found


def _against(group: Group, v: int) -> dict[str, float]:
    """Kinds of evidence that contradict the rest about a video and were set aside, and by how many seconds."""
    found: dict[str, float] = {}
    for (i, j, clue), used in zip(group.clues, group.fused.used, strict=True):
        if not used and v in (i, j):
            off = abs(clue.difference - group.offset(i, j))
            found[clue.clue.kind] = max(found.get(clue.clue.kind, 0.0), off)
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
    video: VideoTracks,
    v: int,
    evidence: Evidence,
    first: Placement | None,
    *,
    videos: int,
    has_bodies: bool,
    looked_at: Sequence[str],
) -> VideoStart:
    """A video without a start, and why."""
    if MOTION not in looked_at and videos > 1:
        reason = "its sound has too little in common with the others', or it has none; motion was not looked at"
        return VideoStart(
            video.video,
            None,
            None,
            Verdict.UNKNOWN,
            reasons=(reason,),
            advice=("Let motion count: --evidence motion,audio.",),
        )
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
