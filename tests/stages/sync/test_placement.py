from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from benchmarks.simulation.cameras import Outlier, Scene, simulate_scene
from stages.sync.evidence import Evidence, gather
from stages.sync.placement import Placement, components, place
from stages.sync.tracks import VideoTracks


def _renamed(videos: tuple[VideoTracks, ...], prefix: str) -> list[VideoTracks]:
    return [VideoTracks(prefix + video.video, video.persons) for video in videos]


def _worst(placement: Placement, scene: Scene, evidence: Evidence) -> float:
    """Largest error of a difference between two starts, seconds."""
    return max(
        abs(
            evidence.offset(a, b, placement.starts[b] - placement.starts[a])
            - (scene.start_times[b] - scene.start_times[a])
        )
        for a, b in itertools.combinations(placement.supported, 2)
    )


def test_cameras_that_share_nothing_form_components_of_their_own():
    first = simulate_scene(np.random.default_rng(0), cameras=3, seconds=30)
    second = simulate_scene(np.random.default_rng(1), cameras=2, seconds=30)
    evidence = gather([*_renamed(first.videos, "a"), *_renamed(second.videos, "b")], max_offset=60)
    found, attempt = components(evidence)
    assert [placement.supported for placement in found] == [[0, 1, 2], [3, 4]]
    b = found[1]
    error = evidence.offset(3, 4, b.starts[4] - b.starts[3]) - (second.start_times[1] - second.start_times[0])
    assert abs(error) < 0.05, f"{error:.3f} s off"
    assert attempt is not None
    assert attempt.members == [0, 1, 2, 3, 4]


def test_starts_are_whole_steps_next_to_the_truth():
    for seconds, rates in ((30, (30.0,)), (30, (60.0, 25.0)), (12, (30.0,))):
        scene = simulate_scene(np.random.default_rng(3), cameras=5, seconds=seconds, max_start=5, rates=rates)
        evidence = gather(scene.videos, max_offset=60)
        placement = place(evidence, evidence.usable)
        assert placement.supported == [0, 1, 2, 3, 4]
        assert all(start == round(start) for start in placement.starts.values())
        worst = _worst(placement, scene, evidence)
        assert worst < 1.5 / evidence.curve_rate, f"{worst:.3f} s off"


def test_members_keep_their_positions_in_the_scene():
    scene = simulate_scene(np.random.default_rng(2), cameras=5, seconds=30)
    placement = place(gather(scene.videos, max_offset=60), [4, 1, 3])
    assert placement.members == placement.placed == [1, 3, 4]
    assert set(placement.curves) == {(1, 3), (1, 4), (3, 4)}
    assert {track for link in placement.links for track in (link.a, link.b)} == {(1, 0), (3, 0), (4, 0)}


def test_people_get_one_number_in_all_videos():
    scene = simulate_scene(np.random.default_rng(4), cameras=4, seconds=30, people=3, absent=0.25)
    evidence = gather(scene.videos, max_offset=60)
    numbers = place(evidence, evidence.usable).people()
    truth = {(v, t): p for v, shown in enumerate(scene.people) for t, p in enumerate(shown)}
    alone = {t for t, p in truth.items() if sum(q == p for q in truth.values()) == 1}
    assert set(numbers) == set(truth) - alone
    for a, b in itertools.combinations(numbers, 2):
        assert (numbers[a] == numbers[b]) == (truth[a] == truth[b])


def test_a_stranger_is_not_supported_and_fits_nobody():
    scene = simulate_scene(np.random.default_rng(5), cameras=5, seconds=30, outliers={2: Outlier.ELSEWHERE})
    evidence = gather(scene.videos, max_offset=60)
    placement = place(evidence, evidence.usable)
    assert placement.placed == placement.supported == [0, 1, 3, 4]
    rate = evidence.curve_rate
    fits = dict(zip(placement.members, placement.fits(placement.members, rate=rate), strict=True))
    assert fits[2].z < 5 <= min(fits[v].z for v in placement.placed)
    assert fits[2].r < 0.5 * min(fits[v].r for v in placement.placed)
    worst = _worst(placement, scene, evidence)
    assert worst < 0.1, f"{worst:.3f} s off"
    found, _ = components(evidence)
    assert [p.supported for p in found] == [[0, 1, 3, 4]], "what is left over is a single video"


def test_members_are_judged_by_the_supported_ones_alone():
    scene = simulate_scene(np.random.default_rng(6), cameras=4, seconds=30)
    evidence = gather(scene.videos, max_offset=60)
    placement = place(evidence, evidence.usable)
    assert placement.supported == [0, 1, 2, 3]
    fits = {
        tuple(those): replace(placement, supported=those).fits([0], rate=evidence.curve_rate)[0]
        for those in ([0, 1], [0, 1, 2, 3], [])
    }
    assert fits[()] == fits[0, 1, 2, 3], "all members, if none is supported"
    curve, lag = placement.curves[0, 1], round(placement.starts[1] - placement.starts[0])
    near = curve.r[np.abs(curve.lags - lag) <= 2]
    assert near.min() <= fits[0, 1].r <= near.max()
    assert fits[0, 1].z < fits[()].z
