"""Start times and identities of a scene, from the tracks of its videos: the whole method in one function.

Features (features.py) of every person are correlated for all couples of tracks of all pairs of videos (pairwise.py,
evidence.py). Each pair's best lag goes into a robust consensus on the camera graph (consensus.py); tracks are linked
where they agree at the consensus (identity.py). Videos that the data cannot place are left out (certainty.py), and
tried again among themselves (placement.py) and as their mirror image (mirror.py). The linked people then give the
starts to a fraction of a frame (alignment.py), their drift the clocks' rates (rates.py), and what else was measured is
weighed in (fusion.py). Last come the words (verdicts.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from common.artifacts.synchronization import EVIDENCE
from common.errors import BadInput
from stages.sync.answer import Clocks, answer
from stages.sync.clues import Clue
from stages.sync.epipolar import calibration_clue
from stages.sync.evidence import Evidence, gather, lagged_clues
from stages.sync.groups import Group
from stages.sync.identity import best_assignment
from stages.sync.mirror import mirrored_videos
from stages.sync.placement import components
from stages.sync.rates import ClockRates
from stages.sync.result import AUDIO, CALIBRATION, MOTION, Synchronization
from stages.sync.tracks import VideoTracks

RATE_ROUNDS = 4  # of fitting rates and placing again: the first by pairs, the others against the mean
NEGLIGIBLE_RATE = 2e-6  # a change of rates that is not worth another round: 0.2 of a frame in an hour
MOST_CALIBRATED = 8  # videos up to which all pairs of cameras are compared: 0.1 s per pair of 30 s, 1.5 of 400 s

METHOD = (
    "view-invariant features of the joints, masked normalised cross-correlation per pair of cameras and people, "
    "identities and lags solved together, robust consensus over all cameras, alignment with the mean of the others, "
    "bootstrap intervals"
)


def solve(
    videos: Sequence[VideoTracks],
    *,
    max_offset: float = 60.0,
    seed: int = 0,
    without_bodies: Collection[str] = (),
    clues: Sequence[Clue] = (),
    evidence: Collection[str] = EVIDENCE,
    fit_rates: bool = True,
) -> Synchronization:
    """When every video starts on one clock, and which tracks are the same person.

    scene time = start_time[v] + rate[v] * pts, the earliest start_time is 0,
    offset(a, b) = start_time[b] - start_time[a].

    Args:
        videos: of one scene, each with a name of its own; without persons, too.
        max_offset: largest difference between two start times that is considered, seconds.
        seed: of the draws behind the intervals.
        without_bodies: names of videos that have no persons because their bodies were never estimated.
        clues: what was measured otherwise, as by sound; those of kinds that are not in `evidence` do not count.
        evidence: kinds that count, of EVIDENCE. Calibration is looked at where videos have cameras.
        fit_rates: whether clocks may run at different rates.

    Returns:
        Start times, pairs, components and identities; "unknown" wherever the data do not support a number.

    Raises:
        BadInput: two videos have the same name.
    """
    names = [video.video for video in videos]
    if len(set(names)) != len(names):
        raise BadInput(f"videos: expected every name once, got {names}. Rename one of the files.")
    order = {name: v for v, name in enumerate(names)}
    heard = [_in_order(clue, order) for clue in clues if clue.kind in evidence]
    motion = MOTION in evidence
    calibrated = CALIBRATION in evidence and 1 < sum(v.camera is not None for v in videos) <= MOST_CALIBRATED
    data = gather(videos, max_offset=max_offset, clues=heard, motion=motion)
    if calibrated and data.couples:
        heard += _calibration(videos, data, max_offset=max_offset)
        data = replace(data, clues=lagged_clues(data, heard, videos, {}))  # the curves stay as they are
    found, first = components(data)
    mirrored = mirrored_videos(data, found[0]) if found else []
    if mirrored:
        data = gather(videos, max_offset=max_offset, mirrored=mirrored, clues=heard, motion=motion)
        found, first = components(data)
    rates: dict[int, float] = {}
    clocks: ClockRates | None = None
    groups = Group.of_all(data, found, seed=seed)
    for attempt in range(RATE_ROUNDS if fit_rates and groups else 0):
        now = groups[0].clock_rates(data, widely=attempt == 0)
        if now is None:
            break
        clocks = now
        videos_of = groups[0].videos
        factors = clocks.corrections(np.array([v in rates for v in videos_of]))
        if attempt > 0 and np.abs(factors - 1).max() < NEGLIGIBLE_RATE:
            break
        if (factors != 1).any():
            rates |= {v: rates.get(v, 1.0) * float(f) for v, f in zip(videos_of, factors, strict=True) if f != 1}
            data = gather(videos, max_offset=max_offset, rates=rates, mirrored=mirrored, clues=heard, motion=motion)
            found, first = components(data)
            groups = Group.of_all(data, found, seed=seed)
    if calibrated and groups and not rates:  # near offsets are told of time stamps as they are
        near = _calibration_near(videos, data, groups, max_offset=max_offset)
        heard = [clue for clue in heard if (clue.a, clue.b) not in near or clue.kind != CALIBRATION]
        heard += near.values()
        data = replace(data, clues=lagged_clues(data, heard, videos, rates))
        groups = Group.of_all(data, found, seed=seed)
    looked_at = tuple(
        kind
        for kind, there in ((MOTION, motion), (AUDIO, any(c.kind == AUDIO for c in heard)), (CALIBRATION, calibrated))
        if there
    )
    return answer(
        videos,
        data,
        groups,
        first,
        clocks=Clocks(rates, clocks),
        mirrored=mirrored,
        without_bodies=without_bodies,
        method=METHOD,
        looked_at=looked_at,
    )


def _in_order(clue: Clue, order: Mapping[str, int]) -> Clue:
    """The clue with the earlier video first, as everywhere here. Raises BadInput for a video that is not there."""
    for name in (clue.a, clue.b):
        if name not in order:
            raise BadInput(f"clues: expected videos of the scene, got {name!r}.")
    return clue if order[clue.a] < order[clue.b] else clue.turned()


def _calibration_near(
    videos: Sequence[VideoTracks], data: Evidence, groups: Sequence[Group], *, max_offset: float
) -> dict[tuple[str, str], Clue]:
    """What calibrated cameras say of linked people, near the offsets that are known now; by pair of video ids."""
    found = {}
    for group in groups:
        for i, j in itertools.combinations(group.videos, 2):
            people = data.local_ids(videos, i, j, group.same_person(i, j))
            clue = calibration_clue(
                videos[i], videos[j], people, rate=data.rate, max_offset=max_offset, near=group.offset(i, j)
            )
            if clue is not None:
                found[clue.a, clue.b] = clue
    return found


def _calibration(videos: Sequence[VideoTracks], data: Evidence, *, max_offset: float) -> list[Clue]:
    """What calibrated cameras say, of the people whose movements agree best."""
    found = []
    for (i, j), couples in data.couples.items():
        _, chosen = best_assignment(couples)
        people = data.local_ids(videos, i, j, chosen)
        clue = calibration_clue(videos[i], videos[j], people, rate=data.rate, max_offset=max_offset)
        if clue is not None:
            found.append(clue)
    return found
