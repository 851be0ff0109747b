"""Videos that are placed relative to each other: aligned to a fraction of a step, and with what else was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stages.sync.alignment import Alignment, View, align
from stages.sync.audio import CAMERA_BIAS
from stages.sync.evidence import Evidence, LaggedClue
from stages.sync.fusion import Fused, Measurement, fuse
from stages.sync.placement import Placement
from stages.sync.rates import MIN_SPAN, ClockRates, rates_of_clues, rates_of_means, rates_of_pairs
from stages.sync.result import AUDIO, CALIBRATION

# z from which a measurement goes into the starts. A wrong match of sounds may reach 5 (audio.py); cameras measure near
# what is known already, and what they say is told from chance at 2 (epipolar.py).
TRUSTED = {AUDIO: 5.0, CALIBRATION: 2.0}


@dataclass(frozen=True, eq=False)
class Group:
    """One component of the camera graph.

    Attributes:
        number: from 0, the largest first.
        placement: which videos, and their links.
        videos: positions of the supported ones, ascending.
        people: of linked tracks (video, track), the number of the person.
        views: of the linked tracks of these videos.
        alignment: of `videos`, by motion alone.
        clues: of pairs of these videos, by position in the scene, in the order of `fused.used`.
        fused: of `videos`, by all evidence.
        starts: of these, scene time of PTS 0 in seconds; the earliest is 0.
    """

    number: int
    placement: Placement
    videos: list[int]
    people: dict[tuple[int, int], int]
    views: list[View]
    alignment: Alignment
    clues: list[tuple[int, int, LaggedClue]]
    fused: Fused
    starts: dict[int, float]

    @classmethod
    def of_all(cls, evidence: Evidence, placements: Sequence[Placement], *, seed: int) -> list[Group]:
        """One group of every placement.

        Args:
            evidence: of the scene.
            placements: the largest first.
            seed: of the draws behind the intervals.
        """
        return [cls._of(number, evidence, placement, seed=seed) for number, placement in enumerate(placements)]

    @classmethod
    def _of(cls, number: int, evidence: Evidence, placement: Placement, *, seed: int) -> Group:
        videos = placement.supported
        people = placement.people()
        views = [View(videos.index(v), p, evidence.features[v][t]) for (v, t), p in people.items() if v in videos]
        alignment = align(
            np.array([placement.starts[v] for v in videos]) * evidence.stride,
            views,
            rate=evidence.rate,
            centred=evidence.centred,
            generator=np.random.default_rng(seed),
        )
        clues = [
            (i, j, clue)
            for (i, j), said in sorted(evidence.clues.items())
            for clue in said
            if i in videos and j in videos and clue.clue.z >= TRUSTED[clue.clue.kind]
        ]
        measurements = [
            Measurement(
                clue.clue.kind,
                videos.index(i),
                videos.index(j),
                clue.difference,
                clue.clue.deviation,
                bias=min(clue.clue.deviation / np.sqrt(2), CAMERA_BIAS) if clue.clue.kind == AUDIO else 0.0,
            )
            for i, j, clue in clues
        ]
        seconds = _seconds(alignment.starts, evidence, videos)
        fused = fuse(seconds, alignment.half_widths / evidence.rate, measurements)
        earliest = float(fused.starts.min())
        starts = {v: float(start) - earliest for v, start in zip(videos, fused.starts, strict=True)}
        return cls(number, placement, videos, people, views, alignment, clues, fused, starts)

    def clock_rates(self, evidence: Evidence, *, widely: bool) -> ClockRates | None:
        """How fast the videos' clocks run; None if the recordings are too short to tell.

        Args:
            evidence: of the scene.
            widely: whether they may differ by so much that the videos are not aligned throughout.
        """
        if self.alignment.projection is None:
            return self._rates_of_clues() if widely else None
        if widely and not any(len(view.features.values) >= MIN_SPAN * evidence.rate for view in self.views):
            return self._rates_of_clues()
        if widely:
            coarse = [replace(view, features=view.features.every(evidence.stride)) for view in self.views]
            starts = self.alignment.starts / evidence.stride
            return rates_of_pairs(starts, coarse, self.alignment.projection, rate=evidence.curve_rate)
        return rates_of_means(self.alignment, rate=evidence.rate)

    def _rates_of_clues(self) -> ClockRates | None:
        told = [
            (self.videos.index(i), self.videos.index(j), rate, deviation)
            for (i, j, clue), used in zip(self.clues, self.fused.used, strict=True)
            if used and (rate := clue.clue.rate) is not None and (deviation := clue.clue.rate_deviation) is not None
        ]
        return rates_of_clues(len(self.videos), told)

    def same_person(self, i: int, j: int) -> list[tuple[int, int]]:
        """Tracks (of i, of j) that are one person, ascending."""
        of_i, of_j = ({t: p for (w, t), p in self.people.items() if w == v} for v in (i, j))
        return sorted((t, u) for t, p in of_i.items() for u, q in of_j.items() if p == q)

    def offset(self, i: int, j: int) -> float:
        """start_time[j] - start_time[i], seconds."""
        return self.starts[j] - self.starts[i]


def _seconds(starts: NDArray[np.float64], evidence: Evidence, videos: Sequence[int]) -> NDArray[np.float64]:
    """Starts of PTS 0, not of the grids' first instants."""
    return starts / evidence.rate - np.array([evidence.grids[v].origin for v in videos])
